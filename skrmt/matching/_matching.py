"""From scores to matches, and how sure they are: known pairs are planted among the queries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import beta
from sklearn.isotonic import IsotonicRegression

from ._assignment import feature_problem
from ._faq import faq, permutation_start, random_start, seeded_problem
from ._inputs import host, runner
from ._kernels import centred_kernel, kernel_matrix
from ._linear_assignment import linear_assignment
from ._scorers import score_factors

_PLANTED_SHARE = 0.1


class Matching(NamedTuple):
    """Which candidate goes with each query.

    Attributes
    ----------
    indices : ndarray of int of shape (n,)
        Row i of X_query goes with row indices[i] of Y_query; -1 where it abstains.
    confidence : ndarray of shape (n,)
        Estimated probability that the match is right, also where it abstains; NaN if it cannot
        be estimated.
    objective : float
        Mean score of the matches, or the CKA of all pairs together under "qap".
    n_iter : int
        Steps of Frank-Wolfe under "qap", rounds of self-training otherwise.
    """

    indices: np.ndarray
    confidence: np.ndarray
    objective: float
    n_iter: int


class PredictedAccuracy(NamedTuple):
    """An accuracy told without labels.

    Attributes
    ----------
    accuracy : float
        Expected share of right matches.
    standard_error : float
        Its standard error.
    """

    accuracy: float
    standard_error: float


class Plan(NamedTuple):
    """How queries are matched.

    Attributes
    ----------
    method : str
        How pairs are scored.
    assignment : str
        "hungarian" or "argmax".
    options : Options
        Kernels.
    n_init : int
        Starts of "qap".
    """

    method: str
    assignment: str
    options: tuple
    n_init: int

    @property
    def scorer(self):
        """How single pairs are scored."""
        return "local_cka" if self.method == "qap" else self.method


def scores(plan, base, queries):
    """Return the scores of all candidate pairs."""
    left, right = score_factors(plan.scorer, base, queries, plan.options)
    return left @ right.T


def assign(score, assignment, rng):
    """Return one candidate for each query."""
    if assignment == "argmax":
        return _best(score, rng)
    rows, columns = rng.permutation(score.shape[0]), rng.permutation(score.shape[1])
    found = np.empty(score.shape[0], dtype=np.intp)
    found[rows] = columns[linear_assignment(score[np.ix_(rows, columns)])]
    return found


def _best(score, rng):
    """Return the column of the largest score of each row, a random one of equals."""
    found = score.argmax(axis=1)
    ties = score == score[np.arange(len(score)), found][:, None]
    for row in np.flatnonzero(ties.sum(axis=1) > 1):
        found[row] = rng.choice(np.flatnonzero(ties[row]))
    return found


def margins(score, indices, assignment):
    """Return how far each match is ahead of its rivals."""
    own, rows = score[np.arange(len(indices)), indices], len(indices)
    rival = _largest_but(score, indices)
    if assignment == "hungarian" and rows > 1:
        across = np.full(score.shape[1], -1)
        across[indices] = np.arange(rows)
        rival = np.maximum(rival, _largest_but(score[:, indices].T, across[indices]))
    return own - rival


def _largest_but(score, indices):
    """Return the largest other score of each row."""
    if score.shape[1] == 1:
        return np.full(len(indices), -np.inf)
    two = np.partition(score, -2, axis=1)[:, -2:]
    own = score[np.arange(len(indices)), indices]
    return np.where(own >= two[:, 1], two[:, 0], two[:, 1])


def folds(m, n_folds, rng):
    """Split known pairs at random."""
    return np.array_split(rng.permutation(m), min(n_folds, m))


def enough_pairs(m, n_folds, left_out):
    """Tell whether enough known pairs are left when some folds are held out."""
    return m - left_out * -(-m // min(n_folds, m)) >= 4


def _without(base, left_out):
    """Return the base without some pairs."""
    kept = np.setdiff1d(np.arange(len(base[0])), left_out)
    return tuple(side[kept] for side in base)


class Planted(NamedTuple):
    """What became of known pairs planted among the queries.

    Attributes
    ----------
    right : ndarray of shape (m,)
        Whether, or how likely, each was matched rightly.
    margin : ndarray of shape (m,)
        How far its match was ahead.
    """

    right: np.ndarray
    margin: np.ndarray


def planted(plan, base, queries, n_folds, rng, n_jobs):
    """Match known pairs that are held out and planted among the queries."""
    parts = folds(len(base[0]), n_folds, rng)
    work = _planted_neighbours if plan.assignment == "argmax" else _planted_assignments
    children = rng.spawn(len(parts))
    found = Parallel(n_jobs=n_jobs)(
        delayed(work)(plan, base, queries, part, child)
        for part, child in zip(parts, children, strict=True)
    )
    right, margin = np.empty(len(base[0])), np.empty(len(base[0]))
    for part, (good, ahead) in zip(parts, found, strict=True):
        right[part], margin[part] = good, ahead
    return Planted(right, margin)


def _planted_scores(plan, base, queries, part):
    """Return scores of queries and held-out pairs against candidates and held-out partners."""
    train = _without(base, part)
    together = tuple(_joined(query, side[part]) for query, side in zip(queries, base, strict=True))
    return host(scores(plan, train, together))


def _joined(query, planted_rows):
    """Append rows."""
    if isinstance(query, np.ndarray):
        return np.concatenate([query, planted_rows])
    import sys

    return sys.modules["torch"].cat([query, planted_rows])


def _planted_neighbours(plan, base, queries, part, rng):
    """Return whether held-out pairs are nearest neighbours among all candidates but one."""
    n = int(queries[1].shape[0])
    score = _planted_scores(plan, base, queries, part)[-len(part) :]
    rivals, own = score[:, :n], score[np.arange(len(part)), n + np.arange(len(part))]
    if n > 1:
        dropped = rng.integers(0, n, len(part))
        rivals = rivals.copy()
        rivals[np.arange(len(part)), dropped] = -np.inf
    best = rivals.max(axis=1) if n > 1 else np.full(len(part), -np.inf)
    ties = (rivals == own[:, None]).sum(axis=1)
    right = np.where(own > best, 1.0, np.where(own == best, 1 / (1 + ties), 0.0))
    top = np.maximum(own, best)
    pooled = np.sort(np.column_stack([rivals, own]), axis=1)
    second = pooled[:, -2] if n > 1 else np.full(len(part), -np.inf)
    return right, top - second


def _planted_assignments(plan, base, queries, part, rng):
    """Return whether held-out pairs are matched rightly in one-to-one assignments."""
    n, candidates = (int(side.shape[0]) for side in queries)
    score = _planted_scores(plan, base, queries, part)
    group = max(1, min(len(part), int(_PLANTED_SHARE * n)))
    right, margin = np.empty(len(part)), np.empty(len(part))
    for first in range(0, len(part), group):
        chosen = np.arange(first, min(first + group, len(part)))
        rows = np.concatenate([np.arange(n), n + chosen])
        columns = np.concatenate([np.arange(candidates), candidates + chosen])
        small = score[np.ix_(rows, columns)]
        if plan.method == "qap":
            train = _without(base, part)
            queried = tuple(
                _joined(query, side[part[chosen]])
                for query, side in zip(queries, base, strict=True)
            )
            found = quadratic_matches(plan, train, queried, rng)[0]
        else:
            found = assign(small, "hungarian", rng)
        right[chosen] = found[n:] == candidates + np.arange(len(chosen))
        margin[chosen] = margins(small, found, "hungarian")[n:]
    return right, margin


def quadratic_matches(plan, base, queries, rng, n_jobs=None):
    """Match queries by the kernels of all items together."""
    problem = _joint_problem(plan, base, queries)
    local = assign(host(scores(plan, base, queries)), "hungarian", rng)
    starts = _starts(local, plan.n_init, rng)
    run = runner(n_jobs)
    found = faq(problem.first, problem.second, problem.linear, starts=starts, rng=rng, run=run)
    return found.permutation, found.objective + problem.constant, found.n_iter


def _joint_problem(plan, base, queries):
    """Return the quadratic assignment of the queries, by centred kernels of norm 1."""
    m, sides = len(base[0]), []
    for known, query, width in zip(base, queries, plan.options.bandwidths, strict=True):
        rows = _joined(known, query)
        if plan.options.kernel == "linear":
            rows = rows - rows.mean(0)
            square = rows.T @ rows
            sides.append(rows / float((square * square).sum()) ** 0.25)
        else:
            kernel = centred_kernel(kernel_matrix(rows, kernel="rbf", bandwidth=width))
            sides.append(kernel / float((kernel * kernel).sum()) ** 0.5)
    A, B = sides
    pairs = np.column_stack([np.arange(m)] * 2)
    if plan.options.kernel == "linear":
        return feature_problem(A, B, pairs)
    return seeded_problem(A, B, pairs)


def _starts(local, n_init, rng):
    """Yield the barycentre, the matching by local CKA, and random points."""
    yield None
    if n_init > 1:
        yield permutation_start(local)
    for _ in range(n_init - 2):
        yield random_start(len(local), rng)


def accuracy_of(right):
    """Return a mean and its standard error."""
    m, mean = len(right), float(np.mean(right))
    smoothed = (mean * m + 0.5) / (m + 1)
    return PredictedAccuracy(mean, float(np.sqrt(smoothed * (1 - smoothed) / m)))


def interval_of(right):
    """Return a 95 % interval of a share (Jeffreys)."""
    good, bad = float(np.sum(right)), float(len(right) - np.sum(right))
    low, high = beta.ppf([0.025, 0.975], good + 0.5, bad + 0.5)
    return np.array([low if good else 0.0, high if bad else 1.0])


def calibrated(known, margin):
    """Return probabilities that matches are right, from how far they are ahead."""
    finite = np.isfinite(known.margin)
    if not finite.any():
        return np.full(len(margin), float(known.right.mean()))
    ahead, right = known.margin[finite], known.right[finite]
    # Two pseudo-observations keep probabilities away from 0 and 1.
    ends = np.array([ahead.min(), ahead.max()])
    fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fit.fit(
        np.concatenate([ahead, ends]),
        np.concatenate([right, [0.0, 0.0]]),
        sample_weight=np.concatenate([np.ones(len(right)), [0.5, 0.5]]),
    )
    return fit.predict(np.clip(np.nan_to_num(margin, posinf=ends[1]), *ends))


def abstaining(confidence, precision):
    """Return which matches to keep so that a share of them is expected to be right."""
    order = np.argsort(-confidence, kind="stable")
    means = np.cumsum(confidence[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(means >= precision - 1e-12)
    kept = np.zeros(len(order), dtype=bool)
    if good.size:
        kept[order[: good[-1] + 1]] = True
    return kept


def cross_fitted(plan, base, n_folds, rng, n_jobs):
    """Return whether each known pair beats all others, scored without both pairs' folds."""
    m = len(base[0])
    parts = folds(m, n_folds, rng)
    pairs = [(f, g) for f in range(len(parts)) for g in range(f, len(parts))]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_rivals)(plan, base, parts[f], parts[g]) for f, g in pairs
    )
    lost, tied = np.zeros(m, dtype=bool), np.zeros(m)
    for (f, g), outcomes in zip(pairs, found, strict=True):
        for part, (beaten, equal) in zip((parts[f], parts[g]), outcomes, strict=False):
            lost[part] |= beaten
            tied[part] += equal
    return np.where(lost, 0.0, 1 / (1 + tied))


def _rivals(plan, base, first, second):
    """Return, for the pairs of two folds, whether candidates of the other beat their own."""
    both = np.unique(np.concatenate([first, second]))
    score = host(scores(plan, _without(base, both), tuple(side[both] for side in base)))
    own = np.diagonal(score)
    places = [np.searchsorted(both, part) for part in (first, second)]
    outcomes = []
    for mine, other in ((places[0], places[1]), (places[1], places[0])):
        rivals = score[np.ix_(mine, other)].copy()
        if first is second or np.array_equal(first, second):
            np.fill_diagonal(rivals, -np.inf)
        true = own[mine][:, None]
        outcomes.append(((rivals > true).any(axis=1), (rivals == true).sum(axis=1)))
    return outcomes[:1] if np.array_equal(first, second) else outcomes
