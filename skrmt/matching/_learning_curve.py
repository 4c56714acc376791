"""Accuracy against numbers of known pairs and of candidates, from fits on parts of the pairs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom, norm

from ..utils._forecast import Forecast, first_reaching

_PARTS = ((2, 4), (4, 8))
"""Parts of the known pairs that are fitted, and how many random ones of each size."""
_FEWEST = 5
"""Known pairs of the smallest part that is fitted."""
USUAL_RISE, _RISE_SPREAD = 0.30, 0.12
"""Gain of the normal quantile of the accuracy when pairs are doubled, on text and digits (.19 to
.46, constant from 12 to 400 pairs), and how it varies: what few pairs are shrunk towards."""
_BEND = 0.08
"""How far gains beyond the known pairs differ from those up to them, one deviation, on the same
data: from -.16 to +.1, since curves are straight in normal quantiles only on average."""
_SHARED = 0.6
"""Correlation of accuracies at two sizes: the same pairs are matched at both."""
USUAL_FALL, _FALL_SPREAD = 0.28, 0.06
"""Loss of the same when candidates are doubled, on the same data."""
_WANTED = 0.6
"""Accuracy at which the rise is measured: there it is least disturbed by saturation and chance."""
_MANY_PAIRS = 2.0**20
"""Known pairs beyond which a score counts as never reached."""


class LearningCurve(NamedTuple):
    """How the normal quantile of the accuracy changes when pairs or candidates are doubled.

    Attributes
    ----------
    n_pairs : int
        Known pairs.
    ahead : ndarray of int of shape (m,)
        Partners of other known pairs that are ahead of the own one.
    shift : float
        What takes the normal quantile that `ahead` gives to that of the accuracy predicted.
    rise, rise_error : float
        Gain of the normal quantile when known pairs are doubled, and its standard error.
    """

    n_pairs: int
    ahead: NDArray[Any]
    shift: float
    rise: float
    rise_error: float

    def forecast(self, n_pairs, n_candidates, top_k):
        """Return the accuracy and its band."""
        pairs, candidates, places = np.broadcast_arrays(n_pairs, n_candidates, top_k)
        level, error = np.empty(pairs.shape), np.empty(pairs.shape)
        for at in np.ndindex(pairs.shape):
            level[at], error[at] = self._quantile(int(candidates[at]), int(places[at]))
        doublings = np.log2(pairs / self.n_pairs)
        level += self.shift + self.rise * doublings
        error = 1.96 * np.hypot(error, self.rise_error * doublings)
        score, lower, upper = (norm.cdf(level + shift) for shift in (0.0, -error, error))
        sure = places >= candidates
        score, lower, upper = (np.where(sure, 1.0, one) for one in (score, lower, upper))
        given = {"n_pairs": n_pairs, "n_candidates": n_candidates, "top_k": top_k}
        return Forecast(score, lower, upper, {k: np.asarray(v) for k, v in given.items()})

    def required(self, score, n_candidates, top_k):
        """Return the smallest number of known pairs that reaches a score, inf if none does."""
        return self._reaching(score, n_candidates, top_k, "score")

    def required_interval(self, score, n_candidates, top_k):
        """Return the numbers of known pairs at which the bounds of the band reach a score."""
        ends = [self._reaching(score, n_candidates, top_k, end) for end in ("upper", "lower")]
        return np.array(ends)

    def _reaching(self, score, n_candidates, top_k, which):
        """Return the smallest number of known pairs at which a part of the forecast is a score."""

        def score_at(pairs):
            return getattr(self.forecast(pairs, n_candidates, top_k), which)

        found = first_reaching(score_at, score, 2.0, _MANY_PAIRS)
        return float(np.ceil(found)) if np.isfinite(found) else found

    def _quantile(self, n_candidates, top_k):
        """Return the normal quantile of the accuracy with the known pairs, and its error."""
        m = self.n_pairs
        level, error = quantile(self.ahead, m, min(n_candidates, m), top_k)
        if n_candidates <= m:
            return level, error
        fewer, _ = quantile(self.ahead, m, max(m // 4, 2), top_k)
        span = np.log2(m / max(m // 4, 2))
        fall, spread = _shrunk((fewer - level) / span, error / span, USUAL_FALL, _FALL_SPREAD)
        doublings = np.log2(n_candidates / m)
        return level - max(fall, 0.0) * doublings, float(np.hypot(error, spread * doublings))


def quantile(ahead, available, n_candidates, top_k=1):
    """Return the normal quantile of the accuracy among fewer candidates, and its error.

    `ahead` counts the rivals, of `available` - 1, that are ahead of the right partner; the other
    `n_candidates` - 1 are a random sample of them.
    """
    shares = hypergeom.cdf(top_k - 1, available - 1, ahead, n_candidates - 1)
    n = len(ahead)
    accuracy = np.clip(shares.mean(), 0.5 / (n + 1), 1 - 0.5 / (n + 1))
    return norm.ppf(accuracy), np.sqrt(accuracy * (1 - accuracy) / n) / norm.pdf(norm.ppf(accuracy))


def _shrunk(value, error, usual, spread):
    """Return a value between what was measured and what is usual, and its standard error."""
    weight = spread**2 / (spread**2 + error**2)
    return weight * value + (1 - weight) * usual, float(np.sqrt(weight) * error)


def learning_curve(ahead, accuracy, scores_of, rng) -> LearningCurve:
    """Measure how the accuracy grows with the known pairs.

    `scores_of(rows, others)` returns the scores of other known pairs among one another by a fit on
    some rows.
    """
    m = len(ahead)
    ahead = np.rint(ahead).astype(int)
    level, _ = quantile(ahead, m, m)
    shift = float(norm.ppf(np.clip(accuracy, 0.5 / (m + 1), 1 - 0.5 / (m + 1))) - level)
    ranks = [(m, m, ahead)]
    for part, repeats in _PARTS:
        size = m // part
        if size >= _FEWEST:
            ranks.append((size, m - size, _part_ranks(m, size, repeats, scores_of, rng)))
    if len(ranks) == 1:
        return LearningCurve(m, ahead, shift, USUAL_RISE, _RISE_SPREAD)
    rise, error = _rise(ranks, shift)
    rise, error = _shrunk(rise, error, USUAL_RISE, _RISE_SPREAD)
    return LearningCurve(m, ahead, shift, max(rise, 0.0), float(np.hypot(error, _BEND)))


def _part_ranks(m, size, repeats, scores_of, rng):
    """Return how many rivals are ahead in fits on random parts of the pairs, one row a repeat."""
    found = []
    for _ in range(repeats):
        order = rng.permutation(m)
        scores = scores_of(order[:size], order[size:])
        found.append((scores > np.diag(scores)[:, None]).sum(axis=1))
    return np.concatenate(found)


def _rise(ranks, shift):
    """Return the slope of normal quantiles in doublings of the pairs, and its standard error."""
    m = ranks[0][0]
    most = min(available for _, available, _ in ranks)
    numbers = np.unique(np.geomspace(2, most, 12).round().astype(int))
    centre = ranks[len(ranks) // 2]
    gaps = [abs(quantile(centre[2], centre[1], c)[0] - norm.ppf(_WANTED)) for c in numbers]
    n_candidates = int(numbers[int(np.argmin(gaps))])
    x = np.log2([size for size, _, _ in ranks])
    levels = np.array(
        [quantile(ahead, available, n_candidates)[0] for _, available, ahead in ranks]
    )
    levels[0] += shift
    # Every size is measured on the same m pairs, however many parts are fitted.
    accuracy = norm.cdf(levels)
    errors = np.sqrt((1 - _SHARED) * accuracy * (1 - accuracy) / m) / norm.pdf(levels)
    weights = 1 / errors**2
    centred = x - (weights * x).sum() / weights.sum()
    spread = (weights * centred**2).sum()
    return float((weights * centred * levels).sum() / spread), float(1 / np.sqrt(spread))
