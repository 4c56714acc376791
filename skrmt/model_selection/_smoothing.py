"""Confusion of classes by calibrated scores, which is less random than counted rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
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

    One slope by maximum likelihood makes log-odds of the scores of the rows left out.
    """
    scores = _log_shares(some, out) if some.shares is not None else _margins(some, out, n_classes)
    if scores is None:
        return None
    rows, weights = np.arange(len(codes)), shares * len(codes)

    def loss(slope: float) -> float:
        likelihood = log_softmax(slope * scores, axis=1)[rows, codes]
        return float(_PENALTY * slope**2 - weights @ likelihood)

    slope = minimize_scalar(loss, bounds=(0.0, _LARGEST_SLOPE), method="bounded").x
    true = softmax(slope * scores, axis=1) * shares[:, None]
    return true.T @ np.eye(n_classes)[decided]


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
