"""Quadratic assignment as a user calls it: the checks, the starts, and what known pairs leave."""

from __future__ import annotations

import numbers

import numpy as np
from scipy.sparse.linalg import eigsh

from ..linalg import is_torch, to_numpy
from ..utils._random import random_generator
from ._faq import (
    QuadraticAssignment,
    faq,
    random_start,
    remaining_feature_problem,
    remaining_problem,
    top_factors,
)
from ._inputs import check_sides, count, same_library
from ._linear_assignment import Factored, assignment_objective, take

# Share of the rank up to which Lanczos steps are faster than a whole decomposition.
_SPARSE_RANK = 0.1
# A gradient at the barycentre that varies by less than this, relative to its entries, is rounding.
_FLAT = 1e-8


def quadratic_assignment(
    A,
    B,
    *,
    known_pairs=None,
    linear_term=None,
    init="barycentre",
    n_init=1,
    low_rank=None,
    polish=False,
    maximize=True,
    max_iter=30,
    tol=0.03,
    n_jobs=None,
    random_state=None,
):
    r"""Match the items of two matrices by Frank-Wolfe steps (FAQ).

    Parameters
    ----------
    A : array-like or torch tensor of shape (n, n) or (n, p)
        Similarities of the items of one side with one another; features whose scalar products they
        are with ``low_rank="features"``.
    B : array-like or torch tensor of shape (n, n) or (n, q)
        Those of the other side.
    known_pairs : array-like of int of shape (m, 2), default=None
        Row of A and row of B of each known pair.
    linear_term : array-like of shape (n, n), default=None
        Further similarities L of the items of one side with those of the other.
    init : {"barycentre", "random"} or array-like of shape (n - m, n - m), default="barycentre"
        First start; a doubly stochastic matrix of the items without a known partner,
        in their order.
    n_init : int, default=1
        Number of starts; all but the first are random. The best result by objective is returned.
    low_rank : int or "features", default=None
        Replace the matrices by their best approximations of that rank, so that a step costs
        O(n^2 r); "features" if they are given as such, and no n x n matrix of them is formed.
    polish : bool, default=False
        Whether to swap pairs of items afterwards as long as one swap helps.
    maximize : bool, default=True
        Whether to make the matrices similar or dissimilar.
    max_iter : int, default=30
        Largest number of steps from each start.
    tol : float, default=0.03
        Stop where a step changes the doubly stochastic matrix by less, in Frobenius norm over
        :math:`\sqrt n`.
    n_jobs : int, default=None
        Number of starts that are followed at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of random starts, and of the order in which ties are broken.

    Returns
    -------
    QuadraticAssignment
        `indices`, `objective` :math:`\mathrm{tr}(A P B^\top P^\top) + \langle L, P\rangle`,
        `n_iter`, `converged`.

    Raises
    ------
    ValueError
        If a matrix is not square or not finite, the sizes differ, a row is named twice by the
        known pairs or is out of range, or a start is not doubly stochastic.

    See Also
    --------
    scipy.optimize.quadratic_assignment : One start, several products of matrices a step.

    Notes
    -----
    A step costs one product of n x n matrices and one linear assignment. Without known pairs the
    gradient of centred matrices is 0 at the barycentre: the first start is then random. Items are
    shuffled inside, so that ties are not broken in favour of the order that was given.

    References
    ----------
    Vogelstein et al., Fast approximate quadratic programming for graph matching, PLoS ONE 10
    (2015). Seeded graph matching, arXiv:1209.0367.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import quadratic_assignment
    >>> rng = np.random.default_rng(0)
    >>> A = rng.standard_normal((40, 40))
    >>> A, order = A + A.T, rng.permutation(40)
    >>> B = A[np.ix_(order, order)]
    >>> pairs = [[order[k], k] for k in range(4)]
    >>> found = quadratic_assignment(A, B, known_pairs=pairs, random_state=0)
    >>> bool((order[found.indices] == np.arange(40)).all())
    True
    """
    A, B = check_sides(A, B, names=("A", "B"))
    if not (isinstance(tol, numbers.Real) and 0 <= float(tol) < np.inf):
        raise ValueError(f"tol={tol!r} must be a number, 0 or more.")
    n, rng, sign = int(A.shape[0]), random_generator(random_state), 1.0 if maximize else -1.0
    pairs = _checked_pairs(known_pairs, n)
    if isinstance(low_rank, str):
        if low_rank != "features":
            raise ValueError(f"low_rank must be None, a number or 'features', got {low_rank!r}.")
        problem = remaining_feature_problem(A, B, pairs, sign)
    else:
        _check_square(A, B)
        problem = remaining_problem(sign * A, B, pairs)
    linear, constant = problem.linear, problem.constant
    if linear_term is not None:
        term = sign * _linear_term(linear_term, A)
        linear = linear + take(term, problem.rows, problem.columns)
        constant += float(to_numpy(term)[pairs[:, 0], pairs[:, 1]].sum())
    indices = np.empty(n, dtype=np.intp)
    indices[pairs[:, 0]] = pairs[:, 1]
    if not problem.rows.size:
        return QuadraticAssignment(indices, sign * constant, 0, True)
    first, second = _reduced(problem.first, low_rank), _reduced(problem.second, low_rank)
    starts = _starts(problem, linear, init, count("n_init", n_init), rng)
    found = faq(
        first,
        second,
        linear,
        starts=starts,
        max_iter=count("max_iter", max_iter),
        tol=float(tol),
        polish=polish,
        rng=rng,
        n_jobs=n_jobs,
    )
    indices[problem.rows] = problem.columns[found.indices]
    objective = found.objective
    if isinstance(low_rank, numbers.Integral):
        objective = assignment_objective(problem.first, problem.second, found.indices, linear)
    return QuadraticAssignment(
        indices, sign * (objective + constant), found.n_iter, found.converged
    )


def _check_square(A, B):
    """Raise unless both matrices are square."""
    for name, M in (("A", A), ("B", B)):
        if M.shape[0] != M.shape[1]:
            raise ValueError(
                f"{name} has shape {tuple(M.shape)}: expected a square matrix. Pass its scalar "
                "products, or low_rank='features'."
            )


def _checked_pairs(known_pairs, n):
    """Return known pairs as an array of shape (m, 2)."""
    pairs = np.asarray([] if known_pairs is None else known_pairs)
    if pairs.size == 0:
        return np.empty((0, 2), dtype=np.intp)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"known_pairs must be whole numbers of shape (m, 2), got shape {pairs.shape} of "
            f"{pairs.dtype}. Give the row of A and the row of B of each known pair."
        )
    if pairs.min() < 0 or pairs.max() >= n:
        raise ValueError(
            f"known_pairs must be between 0 and {n - 1}, got {pairs.min()} to {pairs.max()}."
        )
    for side, name in enumerate("AB"):
        if len(np.unique(pairs[:, side])) < len(pairs):
            raise ValueError(f"known_pairs name a row of {name} twice. Each row has one partner.")
    return pairs.astype(np.intp)


def _linear_term(linear_term, A):
    """Return the linear term beside A."""
    term, _ = check_sides(linear_term, A, names=("linear_term", "A"))
    n = int(A.shape[0])
    if tuple(term.shape) != (n, n):
        raise ValueError(
            f"linear_term must have the shape {(n, n)}, got {tuple(term.shape)}: one row for each "
            "item of A and one column for each of B."
        )
    return same_library(term, A)[0]


def _reduced(M, rank):
    """Return a matrix, or its best approximation of low rank."""
    if rank is None or isinstance(M, Factored):
        return M
    n = int(M.shape[0])
    rank = min(count("low_rank", rank), n)
    if is_torch(M) or rank > _SPARSE_RANK * n:
        return top_factors((M + M.T) / 2, rank)
    start = np.random.default_rng(0).standard_normal(n).astype(M.dtype)
    values, vectors = eigsh((M + M.T) / 2, rank, which="LM", v0=start, tol=1e-6)
    return Factored(np.ascontiguousarray(vectors), values)


def _starts(problem, linear, init, n_init, rng):
    """Return where the steps start."""
    n = len(problem.rows)
    if isinstance(init, str):
        if init not in ("barycentre", "random"):
            raise ValueError(f"init must be 'barycentre', 'random' or a matrix, got {init!r}.")
        flat = init == "barycentre" and _is_flat(problem, linear)
        first = random_start(n, rng) if init == "random" or flat else None
    else:
        first = np.asarray(init, dtype=np.float64)
        good = first.shape == (n, n) and np.isfinite(first).all() and (first >= 0).all()
        sums = np.concatenate([first.sum(0), first.sum(1)]) if good else np.zeros(1)
        if not good or abs(sums - 1).max() > 1e-3:
            raise ValueError(
                f"init must be a doubly stochastic matrix of shape {(n, n)}: entries of 0 or more "
                "whose rows and columns sum to 1."
            )
    yield first
    for _ in range(n_init - 1):
        yield random_start(n, rng)


def _is_flat(problem, linear):
    """Tell whether the gradient at the barycentre is 0 up to rounding."""
    sums, scale = [], 1.0
    for M in problem[:2]:
        if isinstance(M, Factored):
            row = M.factor @ (M.weights * M.factor.sum(0))
            size = float((M.factor**2).sum(1).max()) or 1.0
        else:
            row, size = M.sum(0), float(abs(M).max()) or 1.0
        sums.append(float(abs(row).max()) / size)
        scale *= size
    spread = float(linear.max()) - float(linear.min())
    return min(sums) <= _FLAT * len(problem.rows) and spread <= _FLAT * scale
