"""Quadratic assignment by Frank-Wolfe steps (FAQ), one matrix product a step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
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

_REFRESH = 20


class Assignment(NamedTuple):
    """A permutation and what it is worth.

    Attributes
    ----------
    permutation : ndarray of int of shape (n,)
        Row i of the first matrix goes with row permutation[i] of the second.
    objective : float
        What is maximised.
    n_iter : int
        Frank-Wolfe steps of the start it was found from.
    converged : bool
        Whether the last step was below the tolerance.
    n_swaps : int
        Swaps made afterwards.
    """

    permutation: Permutation
    objective: float
    n_iter: int
    converged: bool
    n_swaps: int


class SeededProblem(NamedTuple):
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


def seeded_problem(A: Array, B: Array, seeds: Any) -> SeededProblem:
    r"""Return the quadratic assignment that known pairs leave.

    Parameters
    ----------
    A, B : ndarray or torch tensor of shape (m + n, m + n)
        The two matrices.
    seeds : array-like of int of shape (m, 2)
        Known pairs: row of A, row of B.

    Returns
    -------
    SeededProblem
        Blocks, and the linear term :math:`A_{21}B_{21}^\top + A_{12}^\top B_{12}`, twice the
        first for symmetric matrices.

    Notes
    -----
    The pairs are taken in the order given: they need not be sorted.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._faq import seeded_problem
    >>> A = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 5.0], [2.0, 5.0, 0.0]])
    >>> seeded_problem(A, A, [[0, 2]]).linear
    array([[ 4., 10.],
           [ 8., 20.]])
    """
    pairs = np.asarray(seeds, dtype=np.intp).reshape(-1, 2)
    size = int(A.shape[0])
    rows, columns = (np.setdiff1d(np.arange(size), pairs[:, side]) for side in (0, 1))
    known, other = (take(M, pairs[:, s], pairs[:, s]) for s, M in enumerate((A, B)))
    a_out, b_out = take(A, rows, pairs[:, 0]), take(B, columns, pairs[:, 1])
    a_in, b_in = take(A, pairs[:, 0], rows), take(B, pairs[:, 1], columns)
    return SeededProblem(
        take(A, rows, rows),
        take(B, columns, columns),
        a_out @ b_out.T + a_in.T @ b_in,
        float((known * other).sum()),
        rows,
        columns,
    )


@explains_memory("fewer items")
def top_factors(A: Array, rank: int) -> Factored:
    """Return the best approximation of a symmetric matrix by one of low rank.

    Parameters
    ----------
    A : ndarray or torch tensor of shape (n, n)
        The matrix.
    rank : int
        How many eigenvalues are kept, the largest in absolute value.

    Returns
    -------
    Factored
        Eigenvectors and eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._faq import top_factors
    >>> top_factors(np.diag([1.0, -3.0, 2.0]), 2).weights
    array([-3.,  2.])
    """
    values, vectors = get_backend(A).eigh(A)
    chosen = np.argsort(-np.abs(to_numpy(values)), kind="stable")[:rank]
    index = get_backend(A).asarray(chosen, like=A)
    return Factored(vectors[:, index], values[index])


def random_start(n: int, rng: np.random.Generator, *, n_rounds: int = 20) -> NDArray[np.float64]:
    """Return a random doubly stochastic matrix half-way to the barycentre.

    Parameters
    ----------
    n : int
        Size.
    rng : numpy.random.Generator
        Source of the noise.
    n_rounds : int, default=20
        Rounds of Sinkhorn scaling of uniform noise.

    Returns
    -------
    ndarray of shape (n, n)
        The mean of it and of 1 / n.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._faq import random_start
    >>> random_start(3, np.random.default_rng(0)).sum(axis=1).round(6)
    array([1., 1., 1.])
    """
    D = rng.uniform(size=(n, n))
    for _ in range(n_rounds):
        D /= D.sum(axis=0)
        D /= D.sum(axis=1, keepdims=True)
    return (D + 1.0 / n) / 2


def permutation_start(permutation: Any) -> NDArray[np.float64]:
    """Return the point half-way between a permutation and the barycentre.

    Parameters
    ----------
    permutation : array-like of int of shape (n,)
        Row i of the first matrix goes with row permutation[i] of the second.

    Returns
    -------
    ndarray of shape (n, n)
        A doubly stochastic matrix.

    Examples
    --------
    >>> from skrmt.matching._faq import permutation_start
    >>> permutation_start([1, 0])
    array([[0.25, 0.75],
           [0.75, 0.25]])
    """
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
    run: Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]] = map,
) -> Assignment:
    r"""Maximise a quadratic function of a permutation by Frank-Wolfe steps.

    Parameters
    ----------
    A, B : ndarray or torch tensor of shape (n, n), or Factored
        The two matrices, both arrays or both factored; symmetric or not. Negate A, and `linear`,
        to minimise.
    linear : array of shape (n, n), optional
        Linear term L, for example that of `seeded_problem`.
    starts : iterable of array of shape (n, n) or None, default=(None,)
        Doubly stochastic matrices to start from, None for the barycentre 1 / n. The best result
        is returned: by objective, the first of equals.
    max_iter : int, default=30
        Largest number of steps from each start.
    tol : float, default=0.03
        Stop where a step changes P by less, in Frobenius norm over :math:`\sqrt n`.
    polish : bool, default=False
        Whether to swap pairs afterwards as long as one swap helps.
    max_swaps : int, default=1000
        Largest number of swaps.
    rng : numpy.random.Generator, optional
        Shuffles the items of B, so that ties are broken at random. Seeded by 0 by default.
    run : callable, default=map
        ``run(function, starts)`` calls the function for each start; a parallel one may be given.

    Returns
    -------
    Assignment
        Permutation, objective, steps, convergence, swaps.

    Notes
    -----
    The function is :math:`f(P) = \langle A, PBP^\top\rangle + \langle L, P\rangle` over doubly
    stochastic P, with :math:`G(P) = \tfrac12(APB^\top + A^\top PB)`, which is APB for symmetric
    matrices: f has gradient 2G + L, and :math:`\langle G(P),P\rangle` is its quadratic part. A
    step solves the linear assignment of 2G + L for a permutation Q. G(Q) is one product, of A and
    the rows of B gathered by Q; G is linear in P, so the next one is
    :math:`(1-s)G(P)+sG(Q)`. The curve along :math:`P+s(Q-P)` follows from
    :math:`\langle G(P),P\rangle, \langle G(P),Q\rangle, \langle G(Q),Q\rangle`, all of which are
    gathers or recurrences. Every 20 steps G is computed afresh, from its rounding errors.

    With matrices of rank r a product costs :math:`O(n^2r)` and no n x n matrix but G and P is
    held. The assignments are solved on the CPU.

    References
    ----------
    Vogelstein et al., Fast approximate quadratic programming for graph matching, PLoS ONE 10
    (2015). Seeded graph matching, arXiv:1209.0367.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._faq import faq
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((30, 30))
    >>> A, hidden = A + A.T, rng.permutation(30)
    >>> linear = np.zeros((30, 30))
    >>> linear[np.arange(5), hidden[:5]] = 100.0
    >>> found = faq(A, A[np.ix_(np.argsort(hidden), np.argsort(hidden))], linear)
    >>> bool((found.permutation == hidden).all())
    True
    """
    n = item_count(A)
    rng = np.random.default_rng(0) if rng is None else rng
    shuffle = rng.permutation(n)
    second = _shuffled(B, shuffle)
    term = None if linear is None else take_columns(linear, shuffle)
    points = (None if start is None else take_columns(start, shuffle) for start in starts)
    swaps = max_swaps if polish else 0
    follow = partial(_from_start, A, second, term, max_iter=max_iter, tol=tol, max_swaps=swaps)
    found = run(follow, points)
    best = max(found, key=lambda one: one.objective, default=None)
    if best is None:
        raise ValueError("starts must hold one start or more, got none. Give [None] for 1 / n.")
    return best._replace(permutation=shuffle[best.permutation])


def _from_start(
    A: Matrix,
    B: Matrix,
    linear: Array | None,
    start: Array | None,
    *,
    max_iter: int,
    tol: float,
    max_swaps: int,
) -> Assignment:
    """Return what the steps from one start and swaps find."""
    columns, n_iter, converged = _frank_wolfe(A, B, linear, start, max_iter, tol)
    n_swaps = 0
    if max_swaps:
        columns, n_swaps = improve_by_swaps(A, B, columns, linear, max_swaps=max_swaps)
    value = assignment_objective(A, B, columns, linear)
    return Assignment(columns, value, n_iter, converged, n_swaps)


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
