"""Quadratic assignment as a user calls it: the checks, the starts, and what known pairs leave."""

from __future__ import annotations

import numbers
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.random import RandomState
from numpy.typing import ArrayLike
from scipy.sparse.linalg import eigsh

from ..linalg import is_torch, to_numpy
from ..utils._intervals import wilson_interval
from ..utils._random import random_generator
from ..utils._types import DataLike
from ..utils._warnings import warn
from ._faq import (
    QuadraticAssignment,
    faq,
    random_start,
    remaining_feature_problem,
    remaining_problem,
    top_factors,
)
from ._held_out import FEWEST, split
from ._inputs import count
from ._linear_assignment import Factored, assignment_objective, take
from ._quadratic_input import read_problem

# Share of the rank up to which Lanczos steps are faster than a whole decomposition.
_SPARSE_RANK = 0.1
# A gradient at the barycentre that varies by less than this, relative to its entries, is rounding.
_FLAT = 1e-8

_SHARED_FATE = 2.0
"""Standard deviations of the share found again, in binomial ones: pairs are found or lost together
(1.6 to 2.2 on correlated graphs and on encoders of text)."""


def quadratic_assignment(
    A: DataLike,
    B: DataLike,
    *,
    known_pairs: ArrayLike | None = None,
    linear_term: ArrayLike | None = None,
    init: Literal["barycentre", "random"] | ArrayLike = "barycentre",
    n_init: int = 1,
    low_rank: int | Literal["features"] | None = None,
    polish: bool = False,
    maximize: bool = True,
    max_iter: int = 30,
    tol: float = 0.03,
    cv: int | None = None,
    n_jobs: int | None = None,
    random_state: int | RandomState | None = None,
) -> QuadraticAssignment:
    r"""Match the items of two matrices by Frank-Wolfe steps (FAQ).

    Parameters
    ----------
    A : array-like or torch tensor of shape (n, n) or (n, p)
        Similarities of the items of one side with one another; features whose scalar products they
        are with ``low_rank="features"``. Any scale.
    B : array-like or torch tensor of shape (n', n') or (n', q)
        Those of the other side. The smaller side is padded with items of similarity 0.
    known_pairs : array-like of int of shape (m, 2), default=None
        Row of A and row of B of each known pair.
    linear_term : array-like of shape (n, n'), default=None
        Further similarities L of the items of one side with those of the other.
    init : {"barycentre", "random"} or array-like of shape (N - m, N - m), default="barycentre"
        First start; a doubly stochastic matrix of the items without a known partner,
        in their order, N = max(n, n'): items that only pad come last.
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
    cv : int, default=None
        Folds of the known pairs, each of which is held out once to predict the accuracy: so many
        times the cost. Nothing is predicted if None.
    n_jobs : int, default=None
        Number of starts, or folds, that are followed at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of random starts, and of the order in which ties are broken.

    Returns
    -------
    QuadraticAssignment
        `indices`, with -1 for items of a larger A without partner, `objective`
        :math:`\mathrm{tr}(A P B^\top P^\top) + \langle L, P\rangle`, `n_iter`, `converged`,
        `theoretical_accuracy` and `theoretical_accuracy_interval`.

    Raises
    ------
    ValueError
        If a matrix is not square or not finite, a row is named twice by the known pairs or is out
        of range, or a start is not doubly stochastic.

    Warns
    -----
    TheoryWarning
        If an accuracy is to be predicted from fewer than ten known pairs: it is nan.

    See Also
    --------
    scipy.optimize.quadratic_assignment : One start, several products of matrices a step.

    Notes
    -----
    A step costs one product of n x n matrices and one linear assignment. Without known pairs the
    gradient of centred matrices is 0 at the barycentre: the first start is then random. Items are
    shuffled inside, so that ties are not broken in favour of the order that was given. An objective
    beyond the largest number is inf, the assignment is still that of the matrices.

    The accuracy predicted is that of items which are like the known pairs: the share of these that
    are found when their fold is held out, plus what that share loses when one more fold is. Pairs
    are found or lost together, so that the interval is that of a quarter of them.

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

    Fewer items on the other side, and the accuracy predicted from known pairs:

    >>> pairs = [[order[k], k] for k in range(10)]
    >>> found = quadratic_assignment(A, B[:30, :30], known_pairs=pairs, cv=10, random_state=0)
    >>> found.theoretical_accuracy, bool((found.indices[order[:30]] == np.arange(30)).all())
    (1.0, True)
    >>> bool((found.indices[order[30:]] == -1).all())
    True
    """
    if not (isinstance(tol, numbers.Real) and 0 <= float(tol) < np.inf):
        raise ValueError(f"tol={tol!r} must be a number, 0 or more.")
    if isinstance(low_rank, str) and low_rank != "features":
        raise ValueError(f"low_rank must be None, a number or 'features', got {low_rank!r}.")
    problem = read_problem(A, B, known_pairs, linear_term, low_rank == "features")
    folds = 0 if cv is None else count("cv", cv, 2)
    rng = random_generator(random_state)
    options = {
        "sign": 1.0 if maximize else -1.0,
        "n_init": count("n_init", n_init),
        "low_rank": low_rank,
        "polish": polish,
        "max_iter": count("max_iter", max_iter),
        "tol": float(tol),
    }
    found = _solved(problem, problem.pairs, init, rng, n_jobs=n_jobs, **options)
    with np.errstate(over="ignore", under="ignore"):
        value = float(np.ldexp(found.objective, problem.exponent))
    found = found._replace(objective=value)
    if not folds:
        return found
    init = init if isinstance(init, str) else "barycentre"
    return _with_claim(found, problem, folds, init, rng, n_jobs, options)


def _solved(
    problem, pairs, init, rng, *, sign, n_init, low_rank, polish, max_iter, tol, n_jobs=None
):
    """Return the assignment with some pairs known, in the units of the problem."""
    if problem.features:
        rest = remaining_feature_problem(problem.first, problem.second, pairs, sign)
    else:
        rest = remaining_problem(sign * problem.first, problem.second, pairs)
    linear, constant = rest.linear, rest.constant
    if problem.term is not None:
        linear = linear + sign * take(problem.term, rest.rows, rest.columns)
        known = to_numpy(problem.term)[pairs[:, 0], pairs[:, 1]]
        constant += sign * float(known.sum())
    indices = np.empty(max(problem.sizes), dtype=np.intp)
    indices[pairs[:, 0]] = pairs[:, 1]
    found = QuadraticAssignment(indices, 0.0, 0, True)
    if rest.rows.size:
        first, second = _reduced(rest.first, low_rank), _reduced(rest.second, low_rank)
        starts = _starts(rest, linear, init, n_init, rng)
        found = faq(
            first,
            second,
            linear,
            starts=starts,
            max_iter=max_iter,
            tol=tol,
            polish=polish,
            rng=rng,
            n_jobs=n_jobs,
        )
        indices[rest.rows] = rest.columns[found.indices]
        if isinstance(low_rank, numbers.Integral):
            value = assignment_objective(rest.first, rest.second, found.indices, linear)
            found = found._replace(objective=value)
    # An item that goes with one that only pads has no partner.
    indices = np.where(indices < problem.sizes[1], indices, -1)[: problem.sizes[0]]
    return found._replace(indices=indices, objective=sign * (found.objective + constant))


def _with_claim(found, problem, n_folds, init, rng, n_jobs, options):
    """Add how often known pairs are found that are held out, a fold at a time."""
    m = len(problem.pairs)
    if m < FEWEST:
        warn("fewer than ten known pairs: theoretical_accuracy is nan. Give more known_pairs.")
        return found
    folds = split(m, n_folds, rng)
    n = len(folds)
    out = [(fold, fold) for fold in folds]
    # Twice as many left out show what those of a fold are worth.
    out += [
        (fold, np.concatenate([fold, other]))
        for fold, other in zip(folds, folds[1:] + folds[:1], strict=True)
    ]
    right = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_found_again)(problem, *fold, init, child, options)
        for fold, child in zip(out, rng.spawn(len(out)), strict=True)
    )
    once, twice = (float(np.concatenate(part).mean()) for part in (right[:n], right[n:]))
    share = float(np.clip(2 * once - twice, 0.0, 1.0))
    ends = [wilson_interval(one, m / _SHARED_FATE**2) for one in sorted((once, share))]
    return found._replace(
        theoretical_accuracy=share,
        theoretical_accuracy_interval=np.array([ends[0][0], ends[1][1]]),
    )


def _found_again(problem, fold, out, init, rng, options):
    """Return whether each known pair of a fold is found, some left out."""
    pairs = np.delete(problem.pairs, out, axis=0)
    found = _solved(problem, pairs, init, rng, **options)
    return found.indices[problem.pairs[fold, 0]] == problem.pairs[fold, 1]


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
    """Return whether the gradient at the barycentre is 0 up to rounding."""
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
