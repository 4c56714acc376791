"""Accuracy and selection criteria from leave-one-out scores of rows with right labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, softmax

_MODEL_ERROR = 0.02
"""Expected error of an accuracy that takes margins for Gaussian. It is weighed against the error of
the share counted, which falls with the number of rows."""
_TINY = 1e-300


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
    counted = np.tensordot(w, margins > 0, axes=1)
    mean, spread = _moments(margins, w)
    smoothed = ndtr(mean / np.maximum(spread, _TINY))
    trust = _trust(smoothed, w, part)
    return LooAccuracy(trust * counted + (1.0 - trust) * smoothed, counted, smoothed)


def accuracy_influence(margins, sample_weight, part=1.0):
    """Return the share of each row in the estimate of `loo_accuracy`."""
    w = sample_weight / sample_weight.sum()
    mean, spread = _moments(margins, w)
    spread = max(float(spread), 1e-9 * abs(float(mean)), _TINY)
    ratio = np.clip(mean / spread, -40.0, 40.0)
    z = (margins - mean) / spread
    density = np.exp(-0.5 * ratio**2) / np.sqrt(2.0 * np.pi)
    smoothed = ndtr(ratio)
    share = smoothed + density * (z - 0.5 * ratio * (z**2 - 1.0))
    trust = _trust(smoothed, w, part)
    return trust * (margins > 0) + (1.0 - trust) * share


def loo_criterion(scores, observed, sample_weight, criterion="scale_free"):
    """Return what a choice between scores minimises, for each column of scores."""
    w = sample_weight / sample_weight.sum()
    if criterion == "smooth":
        mean, spread = _moments(score_margins(scores, observed), w)
        return -ndtr(mean / np.maximum(spread, _TINY))
    targets = _targets(observed, scores.shape[1]).reshape(
        len(observed), scores.shape[1], *[1] * (scores.ndim - 2)
    )
    if criterion == "squared":
        return np.tensordot(w, ((scores - targets) ** 2).sum(1), axes=1)
    if criterion == "nll":
        return _best_log_loss(scores, observed, w)
    if scores.shape[1] > 1:
        scores = scores - scores.mean(1, keepdims=True)
        targets = targets - targets.mean(1, keepdims=True)
    cross = np.tensordot(w, (scores * targets).sum(1), axes=1)
    energy = np.tensordot(w, (scores**2).sum(1), axes=1)
    level = np.tensordot(w, (targets**2).sum(1), axes=1)
    cosine = cross / np.sqrt(np.maximum(energy * level, _TINY))
    return 1.0 - np.sign(cosine) * cosine**2


def score_temperature(scores, observed, sample_weight):
    """Return the factor that makes scores log-odds of the classes."""
    w = sample_weight / sample_weight.sum()
    columns = scores[:, :, None]
    return float(_temperatures(columns, observed, w)[0][0])


def _moments(margins, w):
    """Return weighted means and standard deviations over the first axis."""
    mean = np.tensordot(w, margins, axes=1)
    variance = np.tensordot(w, (margins - mean) ** 2, axes=1)
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


def _best_log_loss(scores, observed, w):
    """Return the log-loss at the best temperature for each column."""
    columns = scores.reshape(*scores.shape[:2], -1)
    return _temperatures(columns, observed, w)[1].reshape(scores.shape[2:])


def _temperatures(columns, observed, w):
    """Return the best temperature of each column (c,) and its log-loss, by Newton's method."""
    rms = np.sqrt(np.tensordot(w, (columns**2).mean(1), axes=1))
    unit = np.maximum(rms, _TINY)
    scaled = columns / unit
    logits = np.concatenate([-scaled, scaled], axis=1) / 2 if columns.shape[1] == 1 else scaled
    own = logits[np.arange(len(observed)), observed]
    factor = np.ones(columns.shape[2])
    for _ in range(30):
        shares = softmax(factor * logits, axis=1)
        mean = (shares * logits).sum(1)
        gradient = w @ (mean - own)
        curvature = w @ ((shares * logits**2).sum(1) - mean**2)
        step = gradient / np.maximum(curvature, 1e-12)
        factor = np.clip(factor - step, np.maximum(0.05, factor / 3), np.minimum(100, factor * 3))
    top = (factor * logits).max(1)
    log_sum = top + np.log(np.exp(factor * logits - top[:, None]).sum(1))
    return factor / unit, w @ (log_sum - factor * own)
