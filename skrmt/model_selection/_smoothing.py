"""Confusion of classes by calibrated scores, which is less random than counted rows."""

from __future__ import annotations

from typing import Any

import numpy as np

_LEAST_SHARE = 0.02
"""Probabilities below are as good as this: few trees or neighbours give exact zeros."""
_FARTHEST = 4.0
"""Median distances from the boundary beyond which scores are all the same certain."""
_PENALTY = 0.01
"""Of the squared slope: without it that of classes that do not overlap would be infinite."""
_LARGEST_SLOPE = 50.0
"""Slope at which a score at the median is as certain as can be counted."""
_MOST_STEPS, _MOST_HALVINGS = 50, 30
"""Steps of Newton's method, and halvings of one: ten are many for a slope and a few offsets."""
_SETTLED = 1e-9
"""Gain a row, of a step, at which a fit has ended."""
_FLAT = 1e-10
"""Curvature a row along constants, which change nothing."""


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
    wanted = np.eye(scores.shape[1])[codes]
    offsets = np.log(np.maximum(weights @ wanted, 0.5) / weights.sum())
    values = np.concatenate([[0.0], offsets])
    loss, shares = _loss(values, scores, codes, weights)
    for _ in range(_MOST_STEPS):
        move, gain = _newton_step(values[0], shares, scores, wanted, weights)
        if gain <= _SETTLED * weights.sum():
            break
        for _ in range(_MOST_HALVINGS):
            moved = values + move
            moved[0] = np.clip(moved[0], -_LARGEST_SLOPE, _LARGEST_SLOPE)
            after, shares_there = _loss(moved, scores, codes, weights)
            if after < loss:
                break
            move = 0.5 * move
        else:
            break
        values, loss, shares = moved, after, shares_there
    return shares


def _loss(
    values: np.ndarray, scores: np.ndarray, codes: np.ndarray, weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Return the loss of a slope and offsets, and the probabilities they make."""
    logits = values[0] * scores + values[1:]
    logits -= logits.max(axis=1, keepdims=True)
    shares = np.exp(logits)
    totals = shares.sum(axis=1)
    own = logits[np.arange(len(codes)), codes] - np.log(totals)
    return float(_PENALTY * values[0] ** 2 - weights @ own), shares / totals[:, None]


def _newton_step(
    slope: float, shares: np.ndarray, scores: np.ndarray, wanted: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return a step of Newton's method for a slope and offsets, and about twice its gain."""
    size = scores.shape[1] + 1
    weighed = weights[:, None] * shares
    rest = weighed - weights[:, None] * wanted
    apart = scores - (shares * scores).sum(axis=1, keepdims=True)
    gradient = np.empty(size)
    gradient[0] = 2.0 * _PENALTY * slope + np.vdot(rest, scores)
    gradient[1:] = rest.sum(axis=0)
    hessian = np.empty((size, size))
    hessian[0, 0] = 2.0 * _PENALTY + np.vdot(weighed, apart * scores)
    hessian[0, 1:] = hessian[1:, 0] = (weighed * apart).sum(axis=0)
    hessian[1:, 1:] = np.diag(weighed.sum(axis=0)) - weighed.T @ shares
    # One constant in all offsets changes nothing.
    hessian.flat[:: size + 1] += _FLAT * weights.sum()
    move = -np.linalg.solve(hessian, gradient)
    return move, -float(gradient @ move)


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
