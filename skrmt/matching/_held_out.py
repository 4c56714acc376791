"""How often matches are right, measured on known pairs that are held out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import beta, norm
from sklearn.isotonic import IsotonicRegression

from ._kernels import numpy_float64
from ._learning_curve import USUAL_FALL, USUAL_RISE
from ._matching import append_rows, assign, margins, quadratic_matches
from ._planted import PlantedPairs, left_out_matches, top_shares
from ._scorers import pair_factors, score_pairs
from ._sparse_matching import planted_sparsely, sparse_matches

# Held-out pairs per query that are planted at a time in a one-to-one matching: more of them would
# make it larger, and its matches worse, than the one that is asked for.
_PLANTED_SHARE = 0.1


FEWEST = 10
"""Known pairs below which no accuracy is claimed, as of every estimator: the interval of the few
that are held out is as wide as everything (`test_a_handful_of_known_pairs_predicts_nothing`)."""


class PredictedAccuracy(NamedTuple):
    """An accuracy predicted without labels.

    Attributes
    ----------
    accuracy : float
        Expected share of right matches.
    standard_error : float
        Its standard error.
    """

    accuracy: float
    standard_error: float


def split(m, n_folds, rng):
    """Split known pairs into folds at random."""
    return np.array_split(rng.permutation(m), min(n_folds, m))


def enough_pairs(m, n_folds, left_out):
    """Return whether 4 known pairs are left when some folds are held out."""
    return m - left_out * -(-m // min(n_folds, m)) >= 4


def _without(known, left_out):
    """Return the known pairs without some of them."""
    kept = np.setdiff1d(np.arange(len(known[0])), left_out)
    return tuple(side[kept] for side in known)


def planted_accuracy(rule, known, queries, n_folds, rng, n_jobs):
    """Predict the accuracy of matches with all known pairs, no pair planted."""
    m, n = len(known[0]), int(queries[0].shape[0])
    right, _ = planted_matches(rule, known, queries, n_folds, rng, n_jobs)
    doublings = missing_doublings(m, n_folds, 1)
    if rule.assignment != "argmax":
        # Candidates that are planted beside the others make the matching harder.
        group = max(1, min(-(-m // min(n_folds, m)), int(_PLANTED_SHARE * n)))
        doublings += USUAL_FALL / USUAL_RISE * np.log2(1 + group / n)
    return mean_and_error(right, doublings)


def planted_matches(rule, known, queries, n_folds, rng, n_jobs, planted=None, scores=None):
    """Match held-out pairs planted among the queries: how likely each is right, and its margin."""
    m = len(known[0])
    folds = rule.ensemble.folds if rule.method == "kernel_cca" else split(m, n_folds, rng)
    planted = planted_pairs(rule, known, queries) if planted is None else planted
    if rule.assignment == "sparse" and scores is None:
        scores = sparse_matches(rule, known, queries, rng).scores
    match = _planted_neighbours if rule.assignment == "argmax" else _planted_assignments
    found = Parallel(n_jobs=n_jobs)(
        delayed(match)(rule, known, queries, planted, fold, child, scores)
        for fold, child in zip(folds, rng.spawn(len(folds)), strict=True)
    )
    right, margin = np.empty(m), np.empty(m)
    for fold, outcome in zip(folds, found, strict=True):
        right[fold], margin[fold] = outcome
    return right, margin


def planted_pairs(rule, known, queries):
    """Return known pairs planted among queries, in closed form where there is one."""
    if rule.method == "kernel_cca":
        return PlantedPairs(rule.ensemble, queries)
    return RefittedPairs(rule, known, queries)


class RefittedPairs:
    """Scores of known pairs planted among queries, by a fit to those outside their fold."""

    def __init__(self, rule, known, queries):
        self.rule, self.known, self.queries = rule, known, queries

    def scores(self):
        """Return scores of all queries with all candidates, no pair left out."""
        return numpy_float64(score_pairs(self.rule, self.known, self.queries))

    def factors(self, fold):
        """Yield rows of queries and held-out pairs, and of the other side, to be multiplied."""
        together = [
            append_rows(query, side[fold])
            for query, side in zip(self.queries, self.known, strict=True)
        ]
        yield pair_factors(self.rule, _without(self.known, fold), together)

    def whole(self, fold):
        """Return scores of queries and held-out pairs with candidates and held-out partners."""
        ((left, right),) = self.factors(fold)
        return numpy_float64(left @ right.T)

    def rows(self, fold):
        """Return scores of held-out pairs with candidates, and with their own partners."""
        last = [side[fold] for side in self.known]
        queries = last[0], append_rows(self.queries[1], last[1])
        scores = numpy_float64(score_pairs(self.rule, _without(self.known, fold), queries))
        every, n = np.arange(len(fold)), int(self.queries[1].shape[0])
        return scores[:, :n], scores[every, n + every]


def _planted_neighbours(rule, known, queries, planted, fold, rng, scores):
    """Return whether held-out pairs are nearest neighbours among all candidates but one."""
    rivals, own = planted.rows(fold)
    n, every = rivals.shape[1], np.arange(len(fold))
    best = second = np.full(len(fold), -np.inf)
    if n > 1:
        rivals = rivals.copy()
        rivals[every, rng.integers(0, n, len(fold))] = -np.inf
        best = rivals.max(axis=1)
        second = np.partition(np.column_stack([rivals, own]), -2, axis=1)[:, -2]
    right = top_shares((rivals > own[:, None]).sum(1), (rivals == own[:, None]).sum(1), 1)
    return right, np.maximum(own, best) - second


def _planted_assignments(rule, known, queries, planted, fold, rng, scores):
    """Return whether held-out pairs are matched rightly in one-to-one assignments."""
    n, candidates = (int(side.shape[0]) for side in queries)
    if rule.assignment == "sparse":
        return planted_sparsely(planted.factors(fold), scores, len(fold))
    score = planted.whole(fold)
    group = max(1, min(len(fold), int(_PLANTED_SHARE * n)))
    right, margin = np.empty(len(fold)), np.empty(len(fold))
    for first in range(0, len(fold), group):
        chosen = np.arange(first, min(first + group, len(fold)))
        rows = np.concatenate([np.arange(n), n + chosen])
        columns = np.concatenate([np.arange(candidates), candidates + chosen])
        small = score[np.ix_(rows, columns)]
        if rule.method == "qap":
            together = [
                append_rows(query, side[fold[chosen]])
                for query, side in zip(queries, known, strict=True)
            ]
            found = quadratic_matches(rule, _without(known, fold), together, rng).indices
        else:
            found = assign(small, "hungarian", rng)
        right[chosen] = found[n:] == candidates + np.arange(len(chosen))
        margin[chosen] = margins(small, found, "hungarian")[n:]
    return right, margin


def extrapolated(accuracy, doublings):
    """Return what an accuracy becomes with so many doublings of the known pairs."""
    return norm.cdf(norm.ppf(accuracy) + USUAL_RISE * np.asarray(doublings))


def missing_doublings(m, n_folds, left_out):
    """Return doublings from the known pairs that are left, some folds held out, to all of them."""
    return np.log2(m / max(m - left_out * m / min(n_folds, m), 1.0))


def mean_and_error(right, doublings=0.0):
    """Return the share of right matches with all known pairs, and its standard error."""
    m, mean = len(right), float(np.mean(right))
    smoothed = (mean * m + 0.5) / (m + 1)
    error = float(np.sqrt(smoothed * (1 - smoothed) / m))
    return PredictedAccuracy(float(extrapolated(mean, doublings)), error)


def jeffreys_interval(right, doublings=0.0):
    """Return a 95 % interval of the share of right matches, nan where it is."""
    good, bad = float(np.sum(right)), float(len(right) - np.sum(right))
    low, high = beta.ppf([0.025, 0.975], good + 0.5, bad + 0.5)
    return extrapolated([low if good else 0.0, high if bad else 1.0], doublings)


def calibrated(right, planted_margin, margin):
    """Return probabilities that matches are right, from the margins of held-out pairs."""
    finite = np.isfinite(planted_margin)
    if not finite.any():
        return np.full(len(margin), float(right.mean()))
    ahead, right = planted_margin[finite], right[finite]
    # Two pseudo-observations keep probabilities away from 0 and 1.
    ends = np.array([ahead.min(), ahead.max()])
    fit = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    fit.fit(
        np.concatenate([ahead, ends]),
        np.concatenate([right, [0.0, 0.0]]),
        sample_weight=np.concatenate([np.ones(len(right)), [0.5, 0.5]]),
    )
    return fit.predict(np.clip(np.nan_to_num(margin, posinf=ends[1]), *ends))


def cross_fitted_matches(rule, known, n_folds, rng, n_jobs):
    """Return how likely each known pair beats all others, and how many of them are ahead.

    Each is scored without the folds of both; nan if too few pairs are left.
    """
    m = len(known[0])
    if not enough_pairs(m, n_folds, 2):
        return np.full(m, np.nan), np.full(m, np.nan)
    if rule.method == "kernel_cca":
        return left_out_matches(rule.ensemble)
    folds = split(m, n_folds, rng)
    pairs = [(f, g) for f in range(len(folds)) for g in range(f, len(folds))]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_rivals)(rule, known, folds[f], folds[g]) for f, g in pairs
    )
    ahead, tied = np.zeros(m), np.zeros(m)
    for (f, g), outcomes in zip(pairs, found, strict=True):
        for fold, (more, equal) in zip((folds[f], folds[g]), outcomes, strict=False):
            ahead[fold] += more
            tied[fold] += equal
    return top_shares(ahead, tied, 1), ahead + tied / 2


def _rivals(rule, known, first, second):
    """Return, for the pairs of two folds, how many candidates of the other beat their own."""
    both, same = np.unique(np.concatenate([first, second])), np.array_equal(first, second)
    held_out = tuple(side[both] for side in known)
    score = numpy_float64(score_pairs(rule, _without(known, both), held_out))
    places = [np.searchsorted(both, fold) for fold in (first, second)]
    outcomes = []
    for mine, other in ((places[0], places[1]), (places[1], places[0]))[: 1 if same else 2]:
        rivals = score[np.ix_(mine, other)].copy()
        if same:
            np.fill_diagonal(rivals, -np.inf)
        own = score[mine, mine][:, None]
        outcomes.append(((rivals > own).sum(axis=1), (rivals == own).sum(axis=1)))
    return outcomes
