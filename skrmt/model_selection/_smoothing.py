"""Confusion of classes by calibrated scores, which is less random than counted rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

_LEAST_SHARE = 0.02
"""Probabilities below are as good as this: few trees or neighbours give exact zeros."""
_FARTHEST = 4.0
"""Median distances from the boundary beyond which scores are all the same certain."""
_PENALTY = 0.01
"""Of the squared slope: without it that of classes that do not overlap would be infinite."""
_LARGEST_SLOPE = 50.0
"""Slope at which a score at the median is as certain as can be counted."""


def smoothed_confusion(
    some: Any,
    n_classes: int,
    out: np.ndarray,
    codes: np.ndarray,
    decided: np.ndarray,
    shares: np.ndarray,
) -> np.ndarray | None:
    """Return the shares of true and predicted classes by calibrated scores, None without scores.

    A slope and offsets by maximum likelihood make log-odds of the scores of the rows left out.
    """
    scores = _log_shares(some, out) if some.shares is not None else _margins(some, out, n_classes)
    if scores is None:
        return None
    true = _calibrated(scores, codes, shares * len(codes)) * shares[:, None]
    # As frequent as the classes are, to the last digit: recalls and F1 hang on it.
    true *= np.bincount(codes, shares, n_classes) / np.maximum(true.sum(axis=0), 1e-300)
    return true.T @ np.eye(n_classes)[decided]


def _calibrated(scores: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probabilities of a slope, and an offset of each class, by maximum likelihood.

    Without offsets rare classes would be taken for frequent ones. The slope may be negative: where
    features show nothing it is so as often as not.
    """
    n_classes = scores.shape[1]
    wanted = np.eye(n_classes)[codes]

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        log_shares = log_softmax(values[0] * scores + values[1:], axis=1)
        rest = weights[:, None] * (np.exp(log_shares) - wanted)
        slope = 2.0 * _PENALTY * values[0] + (rest * scores).sum()
        value = _PENALTY * values[0] ** 2 - weights @ (wanted * log_shares).sum(axis=1)
        return float(value), np.concatenate([[slope], rest.sum(axis=0)])

    bounds = [(-_LARGEST_SLOPE, _LARGEST_SLOPE), *[(None, None)] * n_classes]
    start = np.log(np.maximum(weights @ wanted, 0.5) / weights.sum())
    found = minimize(loss, [0.0, *start], jac=True, bounds=bounds, method="L-BFGS-B").x
    return softmax(found[0] * scores + found[1:], axis=1)


def _log_shares(some: Any, out: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities, in units of their deviation."""
    scores = np.log(np.clip(some.shares[out], _LEAST_SHARE, None))
    scores = scores - scores.mean(axis=1, keepdims=True)
    return scores / max(scores.std(), 1e-300)


def _margins(some: Any, out: np.ndarray, n_classes: int) -> np.ndarray | None:
    """Return the scores of two classes, in units of their median distance from the boundary."""
    if n_classes > 2 or some.ranks is None:
        return None
    margin = some.ranks[out]
    margin = margin / max(np.median(np.abs(margin)), 1e-300)
    margin = np.clip(margin, -_FARTHEST, _FARTHEST)
    return np.stack([-margin, margin], axis=1) / 2.0
