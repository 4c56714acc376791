"""Accuracy and selection criteria from leave-one-out scores of rows with right labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp, ndtr, softmax

_MODEL_ERROR = 0.02
"""Expected error of an accuracy that takes margins for Gaussian. It is weighed against the error of
the share counted, which falls with the number of rows."""
_TINY = 1e-300
_CONVERGED = 1e-12
"""Relative step of Newton's method at which it ends: the next would be rounding."""
_FAR, _FEW = 3.0, 0.1
"""Rows are outliers where the length of a score, or the distance of a margin from the median, is
more than 3 times what a tenth of the rows exceed, 5 deviations of a Gaussian: they are drawn in to
there. A tenth of the rows may be a class, and one outlier is less."""
_LARGEST_SHARE = 12.0
"""Squared length of a score, or squared distance of a margin, over its mean, from which a column is
searched for outliers."""


class LooAccuracy(NamedTuple):
    """Accuracy on fresh data, one value for each column of scores.

    Attributes
    ----------
    accuracy : ndarray of shape (...,)
        The estimate: `counted` and `smoothed` by their precision.
    counted : ndarray of shape (...,)
        Share of the rows that are classified rightly.
    smoothed : ndarray of shape (...,)
        Accuracy of Gaussian margins with the mean and variance of those of the rows.
    """

    accuracy: np.ndarray
    counted: np.ndarray
    smoothed: np.ndarray


def score_margins(scores, observed):
    """Return by how much the score of the right class exceeds the others."""
    if scores.shape[1] == 1:
        signs = np.where(observed == 1, 1.0, -1.0)
        return scores[:, 0] * signs.reshape(-1, *[1] * (scores.ndim - 2))
    rows = np.arange(len(observed))
    rivals = scores.astype(float)
    own = rivals[rows, observed].copy()
    rivals[rows, observed] = -np.inf
    return own - rivals.max(1)


def loo_accuracy(margins, sample_weight, part=1.0):
    """Estimate the accuracy on fresh data from margins of left-out rows, or parts of rows."""
    w = sample_weight / sample_weight.sum()
    counted = _weighted(w, margins > 0)
    mean, spread = _moments(bounded_margins(margins), w)
    smoothed = ndtr(mean / np.maximum(spread, _TINY))
    trust = _trust(smoothed, w, part)
    return LooAccuracy(trust * counted + (1.0 - trust) * smoothed, counted, smoothed)


def accuracy_influence(margins, sample_weight, part=1.0):
    """Return the share of each row in the estimate of `loo_accuracy`, for each column."""
    w = sample_weight / sample_weight.sum()
    drawn_in = bounded_margins(margins)
    mean, spread = _moments(drawn_in, w)
    spread = np.maximum(spread, np.maximum(1e-9 * np.abs(mean), _TINY))
    ratio = np.clip(mean / spread, -40.0, 40.0)
    z = (drawn_in - mean) / spread
    density = np.exp(-0.5 * ratio**2) / np.sqrt(2.0 * np.pi)
    smoothed = ndtr(ratio)
    share = smoothed + density * (z - 0.5 * ratio * (z**2 - 1.0))
    trust = _trust(smoothed, w, part)
    return trust * (margins > 0) + (1.0 - trust) * share


def criterion_parts(scores, observed, sample_weight, criterion="scale_free"):
    """Return what each row adds, times its weight, to the sums that make a criterion."""
    scores = bounded_scores(scores)
    ones = np.ones((len(observed), *[1] * (scores.ndim - 2)))
    if criterion == "smooth":
        margins = score_margins(scores, observed)
        return ones, margins, margins**2
    targets = _targets(observed, scores.shape[1]).reshape(
        len(observed), scores.shape[1], *[1] * (scores.ndim - 2)
    )
    if criterion == "squared":
        return ones, ((scores - targets) ** 2).sum(1)
    if criterion == "nll":
        return ones, _log_losses(scores, observed, sample_weight / sample_weight.sum())
    if scores.shape[1] > 1:
        scores = scores - scores.mean(1, keepdims=True)
        targets = targets - targets.mean(1, keepdims=True)
    return (scores * targets).sum(1), (scores**2).sum(1), (targets**2).sum(1)


def criterion_of_sums(sums, criterion="scale_free"):
    """Return a criterion from the weighted sums of what rows add to it."""
    if criterion == "smooth":
        total, first, second = sums
        mean = first / total
        spread = np.sqrt(np.maximum(second / total - mean**2, 0.0))
        return -ndtr(mean / np.maximum(spread, _TINY))
    if criterion in ("squared", "nll"):
        return sums[1] / sums[0]
    cross, energy, level = sums
    cosine = cross / np.sqrt(np.maximum(energy * level, _TINY))
    return 1.0 - np.sign(cosine) * cosine**2


def bounded_scores(scores):
    """Return scores with those of outliers drawn in: one row would decide every sum of squares."""
    centred = scores - scores.mean(1, keepdims=True) if scores.shape[1] > 1 else scores
    lengths = np.sqrt((centred**2).sum(1))
    limit = _limits(lengths)
    if limit is None:
        return scores
    return scores * np.minimum(1.0, limit / np.maximum(lengths, _TINY))[:, None]


def bounded_margins(margins):
    """Return margins with those of outliers drawn in."""
    centre = column_medians(margins)
    limit = _limits(np.abs(margins - centre))
    return margins if limit is None else centre + np.clip(margins - centre, -limit, limit)


def column_medians(values):
    """Return medians over the first axis; `np.median` takes twice the time for a few rows."""
    places = (len(values) - 1) // 2, len(values) // 2
    low, high = np.partition(values, places, axis=0)[list(places)]
    return (low + high) / 2.0


def _limits(lengths):
    """Return how long the entries of each column may be, or None if no column has outliers."""
    threshold = min(_LARGEST_SHARE, len(lengths) / 2.0)
    suspects = np.asarray(lengths.max(0) ** 2 > threshold * (lengths**2).mean(0))
    if not suspects.any():
        return None
    limit = np.full(suspects.shape, np.inf)
    place = int((1.0 - _FEW) * (len(lengths) - 1))
    size = np.partition(lengths[:, suspects], place, axis=0)[place]
    limit[suspects] = np.where(size > 0, _FAR * size, np.inf)
    return limit


def score_temperature(scores, observed, sample_weight):
    """Return the factor that makes scores log-odds of the classes."""
    w = sample_weight / sample_weight.sum()
    columns = scores[:, :, None]
    return float(_temperatures(columns, observed, w)[0][0])


def _weighted(w, values):
    """Return weighted sums over the first axis; `np.tensordot` takes longer for a few rows."""
    return (w @ values.reshape(len(w), -1)).reshape(values.shape[1:])


def _moments(margins, w):
    """Return weighted means and standard deviations over the first axis."""
    mean = _weighted(w, margins)
    variance = _weighted(w, (margins - mean) ** 2)
    return mean, np.sqrt(variance)


def _trust(smoothed, w, part):
    """Return the weight of the count."""
    size = 1.0 / (w**2 * part).sum()
    spread = np.maximum(smoothed * (1.0 - smoothed), 0.25 / size) / size
    return _MODEL_ERROR**2 / (_MODEL_ERROR**2 + spread)


def _targets(observed, n_columns):
    """Return the targets -1/+1, (n, q)."""
    if n_columns == 1:
        return np.where(observed == 1, 1.0, -1.0)[:, None]
    return 2.0 * np.eye(n_columns)[observed] - 1.0


def _log_losses(scores, observed, w):
    """Return the log-loss of each row at the best temperature of each column."""
    columns = scores.reshape(*scores.shape[:2], -1)
    losses = _temperatures(columns, observed, w)[1]
    return losses.reshape(len(observed), *scores.shape[2:])


def _temperatures(columns, observed, w):
    """Return the best temperature of each column (c,) and the log-loss of each row (n, c)."""
    rms = np.sqrt(w @ (columns**2).mean(1))
    unit = np.maximum(rms, _TINY)
    losses = _two_class_losses if columns.shape[1] == 1 else _class_losses
    derivatives, values = losses(columns / unit, observed, w)
    factor = np.ones(columns.shape[2])
    for _ in range(30):
        gradient, curvature = derivatives(factor)
        step = gradient / np.maximum(curvature, 1e-12)
        before = factor
        factor = np.clip(factor - step, np.maximum(0.05, factor / 3), np.minimum(100, factor * 3))
        if (np.abs(factor - before) <= _CONVERGED * factor).all():
            break
    return factor / unit, values(factor)


def _two_class_losses(scaled, observed, w):
    """Return slope and curvature of the mean log-loss, and that of each row, by temperature."""
    margins = scaled[:, 0] * np.where(observed == 1, 1.0, -1.0)[:, None]
    squares = margins**2

    def derivatives(factor):
        wrong = expit(-factor * margins)
        return -(w @ (margins * wrong)), w @ (squares * (wrong * (1.0 - wrong)))

    return derivatives, lambda factor: np.logaddexp(0.0, -factor * margins)


def _class_losses(logits, observed, w):
    """Return the same for one score of each class."""
    own = logits[np.arange(len(observed)), observed]

    def derivatives(factor):
        shares = softmax(factor * logits, axis=1)
        mean = (shares * logits).sum(1)
        return w @ (mean - own), w @ ((shares * logits**2).sum(1) - mean**2)

    return derivatives, lambda factor: logsumexp(factor * logits, axis=1) - factor * own
