"""Quadratic assignment by Frank-Wolfe steps (FAQ), one matrix product a step."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ..linalg._backend import Array, get_backend, to_numpy
from ..utils._memory import explains_memory
from ._kernels import as_float64, dtype_name
from ._linear_assignment import (
    Factored,
    Matrix,
    Permutation,
    assignment_objective,
    improve_by_swaps,
    is_symmetric,
    item_count,
    linear_assignment,
    sum_of_picks,
    take,
    take_columns,
    take_rows,
)

# Steps after which the gradient, updated by each, is computed afresh: rounding stays below 1e-12.
_REFRESH = 20


class QuadraticAssignment(NamedTuple):
    """A permutation that makes two matrices similar.

    Attributes
    ----------
    indices : ndarray of int of shape (n,)
        Row i of the first matrix goes with row indices[i] of the second; -1 without a partner,
        the second having fewer items.
    objective : float
        The maximised objective, known pairs included.
    n_iter : int
        Frank-Wolfe steps of the start it was found from.
    converged : bool
        Whether the last step was below the tolerance.
    theoretical_accuracy : float
        Predicted share of right partners among items that have one and are like the known pairs:
        the share of known pairs that are found when they are held out. nan where not asked for.
    theoretical_accuracy_interval : ndarray of shape (2,)
        Its 95 % interval.
    """

    indices: Permutation
    objective: float
    n_iter: int
    converged: bool
    theoretical_accuracy: float = float("nan")
    theoretical_accuracy_interval: NDArray[np.float64] = np.full(2, np.nan)


class RemainingProblem(NamedTuple):
    """What is left of a quadratic assignment once some pairs are known.

    Attributes
    ----------
    first, second : array of shape (n, n)
        Blocks of the other items.
    linear : array of shape (n, n)
        Linear term of their assignment.
    constant : float
        What the known pairs contribute.
    rows, columns : ndarray of int of shape (n,)
        The other items of each side.
    """

    first: Array
    second: Array
    linear: Array
    constant: float
    rows: Permutation
    columns: Permutation


def remaining_problem(A: Array, B: Array, known_pairs: Any) -> RemainingProblem:
    """Return the quadratic assignment that known pairs leave."""
    pairs = np.asarray(known_pairs, dtype=np.intp).reshape(-1, 2)
    size = int(A.shape[0])
    rows, columns = (np.setdiff1d(np.arange(size), pairs[:, side]) for side in (0, 1))
    known, other = (take(M, pairs[:, s], pairs[:, s]) for s, M in enumerate((A, B)))
    a_out, b_out = take(A, rows, pairs[:, 0]), take(B, columns, pairs[:, 1])
    a_in, b_in = take(A, pairs[:, 0], rows), take(B, pairs[:, 1], columns)
    return RemainingProblem(
        take(A, rows, rows),
        take(B, columns, columns),
        a_out @ b_out.T + a_in.T @ b_in,
        float((known * other).sum()),
        rows,
        columns,
    )


def remaining_feature_problem(
    A: Array, B: Array, pairs: Permutation, sign: float = 1.0
) -> RemainingProblem:
    """Return the quadratic assignment of scalar products of features that known pairs leave."""
    n = int(A.shape[0])
    rows, columns = (np.setdiff1d(np.arange(n), pairs[:, side]) for side in (0, 1))
    known = A[pairs[:, 0]].T @ B[pairs[:, 1]]
    first, second = A[rows], B[columns]
    return RemainingProblem(
        Factored(first, sign * (1.0 + 0.0 * A[0])),
        Factored(second, 1.0 + 0.0 * B[0]),
        (2 * sign * first @ known) @ second.T,
        sign * float((known * known).sum()),
        rows,
        columns,
    )


@explains_memory("fewer items")
def top_factors(A: Array, rank: int) -> Factored:
    """Return the best approximation of a symmetric matrix by one of low rank."""
    values, vectors = get_backend(A).eigh(A)
    chosen = np.argsort(-np.abs(to_numpy(values)), kind="stable")[:rank]
    index = get_backend(A).asarray(chosen, like=A)
    return Factored(vectors[:, index], values[index])


def random_start(n: int, rng: np.random.Generator, *, n_rounds: int = 20) -> NDArray[np.float64]:
    """Return a random doubly stochastic matrix half-way to the barycentre."""
    D = rng.uniform(size=(n, n))
    for _ in range(n_rounds):
        D /= D.sum(axis=0)
        D /= D.sum(axis=1, keepdims=True)
    return (D + 1.0 / n) / 2


def permutation_start(permutation: Any) -> NDArray[np.float64]:
    """Return the point half-way between a permutation and the barycentre."""
    columns = np.asarray(permutation, dtype=np.intp)
    start = np.full((len(columns), len(columns)), 0.5 / len(columns))
    start[np.arange(len(columns)), columns] += 0.5
    return start


@explains_memory("fewer items", "features instead of matrices")
def faq(
    A: Matrix,
    B: Matrix,
    linear: Array | None = None,
    *,
    starts: Iterable[Array | None] = (None,),
    max_iter: int = 30,
    tol: float = 0.03,
    polish: bool = False,
    max_swaps: int = 1000,
    rng: np.random.Generator | None = None,
    n_jobs: int | None = None,
) -> QuadraticAssignment:
    """Maximise a quadratic function of a permutation by Frank-Wolfe steps."""
    n = item_count(A)
    rng = np.random.default_rng(0) if rng is None else rng
    shuffle = rng.permutation(n)
    second = _shuffled(B, shuffle)
    term = None if linear is None else take_columns(linear, shuffle)
    points = (None if start is None else take_columns(start, shuffle) for start in starts)
    swaps = max_swaps if polish else 0
    found = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_from_start)(A, second, term, point, max_iter, tol, swaps) for point in points
    )
    best = max(found, key=lambda one: one.objective, default=None)
    if best is None:
        raise ValueError("starts must hold one start or more, got none. Give [None] for 1 / n.")
    return best._replace(indices=shuffle[best.indices])


def _from_start(
    A: Matrix,
    B: Matrix,
    linear: Array | None,
    start: Array | None,
    max_iter: int,
    tol: float,
    max_swaps: int,
) -> QuadraticAssignment:
    """Return what the steps from one start and swaps find."""
    columns, n_iter, converged = _frank_wolfe(A, B, linear, start, max_iter, tol)
    if max_swaps:
        columns, _ = improve_by_swaps(A, B, columns, linear, max_swaps=max_swaps)
    value = assignment_objective(A, B, columns, linear)
    return QuadraticAssignment(columns, value, n_iter, converged)


class _Level(NamedTuple):
    """Quadratic part of the objective, half its linear part, and squared norm, at one point."""

    quadratic: float
    linear: float
    squares: float


def _frank_wolfe(
    A: Matrix, B: Matrix, linear: Array | None, start: Array | None, max_iter: int, tol: float
) -> tuple[Permutation, int, bool]:
    """Return the permutation nearest to where the steps end, their number, and convergence."""
    n = item_count(A)
    symmetric = is_symmetric(A) and is_symmetric(B)
    P, G, half = _start_point(A, B, linear, start, symmetric)
    level = _Level(_inner(G, P), 0.0 if half is None else _inner(half, P), _inner(P, P))
    rows, n_iter, converged = np.arange(n), 0, False
    vertex: Permutation | None = None
    while n_iter < max_iter and not converged:
        n_iter += 1
        columns = linear_assignment(G if half is None else G + half)
        target = _gathered_product(A, B, columns, symmetric)
        gain = 0.0 if half is None else sum_of_picks(half, columns)
        ahead = _Level(sum_of_picks(target, columns), gain, float(n))
        mixed, along = sum_of_picks(G, columns), sum_of_picks(P, columns)
        step = _best_step(level, ahead, mixed)
        if step == 0.0:
            converged = True
            break
        vertex = columns if step == 1.0 else None
        moved = step * np.sqrt(max(n - 2 * along + level.squares, 0.0) / n)
        converged = bool(moved < tol)
        level = _advance(level, ahead, mixed, along, step)
        P *= 1 - step
        P[rows, columns] += step
        if n_iter % _REFRESH == 0:
            G = _product(A, B, P, symmetric)
            level = level._replace(quadratic=_inner(G, P))
        else:
            G *= 1 - step
            target *= step
            G += target
    return linear_assignment(P) if vertex is None else vertex, n_iter, converged


def _start_point(
    A: Matrix, B: Matrix, linear: Array | None, start: Array | None, symmetric: bool
) -> tuple[Array, Array, Array | None]:
    """Return where the steps start, the quadratic gradient there, and half the linear term."""
    n = item_count(A)
    like = A.factor if isinstance(A, Factored) else A
    backend = get_backend(like)
    kind = dtype_name(like)
    half = None if linear is None else backend.asarray(linear, like=like, dtype=kind) / 2
    if start is None:
        P = backend.empty((n, n), like=like, dtype=kind)
        P[:] = 1.0 / n
        return P, _barycentre_product(A, B), half
    P = backend.asarray(start, like=like, dtype=kind) * 1.0
    return P, _product(A, B, P, symmetric), half


def _best_step(here: _Level, ahead: _Level, mixed: float) -> float:
    """Return the step in [0, 1] that maximises the objective on the way to a permutation."""
    a2 = ahead.quadratic - 2 * mixed + here.quadratic
    a1 = 2 * (mixed - here.quadratic) + 2 * (ahead.linear - here.linear)
    if a2 < 0:
        return float(np.clip(-a1 / (2 * a2), 0.0, 1.0))
    return 1.0 if a1 + a2 > 0 else 0.0


def _advance(here: _Level, ahead: _Level, mixed: float, along: float, step: float) -> _Level:
    """Return the numbers of a point on the way, from those at both ends and between them."""
    rest = 1 - step
    return _Level(
        rest**2 * here.quadratic + 2 * step * rest * mixed + step**2 * ahead.quadratic,
        rest * here.linear + step * ahead.linear,
        rest**2 * here.squares + 2 * step * rest * along + step**2 * ahead.squares,
    )


def _barycentre_product(A: Matrix, B: Matrix) -> Array:
    """Return the gradient at 1 / n, from sums of rows and columns."""
    n = item_count(A)
    if isinstance(A, Factored):
        left = A.factor @ (A.weights * A.factor.sum(0))
        right = B.factor @ (B.weights * B.factor.sum(0))
        return left[:, None] * (right / n)
    out = A.sum(1)[:, None] * (B.sum(1) / n)
    return (out + A.sum(0)[:, None] * (B.sum(0) / n)) / 2


def _product(A: Matrix, B: Matrix, P: Array, symmetric: bool) -> Array:
    """Return the gradient at P without the linear term, over 2."""
    if isinstance(A, Factored):
        inner = (A.weights[:, None] * (A.factor.T @ P @ B.factor)) * B.weights
        return (A.factor @ inner) @ B.factor.T
    if symmetric:
        return A @ P @ B
    return (A @ P @ B.T + A.T @ P @ B) / 2


def _gathered_product(A: Matrix, B: Matrix, columns: Permutation, symmetric: bool) -> Array:
    """Return the same at a permutation."""
    if isinstance(A, Factored):
        inner = A.factor.T @ take_rows(B.factor, columns)
        return (A.factor @ (A.weights[:, None] * inner * B.weights)) @ B.factor.T
    if symmetric:
        return A @ take_rows(B, columns)
    return (A @ take_rows(B.T, columns) + A.T @ take_rows(B, columns)) / 2


def _shuffled(B: Matrix, order: Permutation) -> Matrix:
    """Return a matrix with its items in another order."""
    if isinstance(B, Factored):
        return B._replace(factor=take_rows(B.factor, order))
    return take(B, order, order)


def _inner(A: Array, B: Array) -> float:
    """Return the sum of the entrywise product."""
    return float(as_float64((A * B).sum(1)).sum())
