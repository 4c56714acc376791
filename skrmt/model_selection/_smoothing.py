"""Confusion of classes by calibrated scores, which is less random than counted rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

_LEAST_SHARE = 0.02
"""Probabilities below are as good as this: few trees or neighbours give exact zeros."""
_FARTHEST = 4.0
"""Median distances from the boundary beyond which scores are all the same certain."""
_PENALTY = 0.01
"""Of the squared slope: without it that of classes that do not overlap would be infinite."""
_LARGEST_SLOPE = 50.0
"""Slope at which a score at the median is as certain as can be counted."""
_KNEE = 0.5
"""Medians of the largest scores of rows at which they bend: of labels of which a tenth is wrong
straight ones would take .04 from the accuracy, ones that bend at 1 still .02."""
_MOST_STEPS, _MOST_HALVINGS = 50, 30
"""Steps of Newton's method, and halvings of one: ten are many for a slope and an offset."""
_SETTLED = 1e-9
"""Gain per row, of a step, after which a fit has ended: the next gain is of the order of its
square, and probabilities are right to 1e-8."""


def smoothed_confusion(
    some: Any,
    n_classes: int,
    out: np.ndarray,
    codes: np.ndarray,
    decided: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray | None:
    """Return the shares of true and predicted classes by calibrated scores, None without scores.

    A slope and offsets by maximum likelihood make log-odds of the scores of the rows left out.
    Weights count independent observations: likelihoods are theirs.
    """
    shares = weights / weights.sum()
    if some.shares is not None:
        scores = _log_shares(some.shares[out], shares)
    elif n_classes == 2 and some.ranks is not None:
        scores = _margins(some.ranks[out], shares)
    else:
        return None
    true = _calibrated(scores, codes, weights) * shares[:, None]
    # As frequent as the classes are, to the last digit: recalls and F1 hang on it.
    true *= np.bincount(codes, shares, n_classes) / np.maximum(true.sum(axis=0), 1e-300)
    return true.T @ np.eye(n_classes)[decided]


def _calibrated(scores: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probabilities of a slope, and an offset of each class, by maximum likelihood.

    Without offsets rare classes would be taken for frequent ones. The slope may be negative: where
    features show nothing it is so as often as not. Where labels are wrong at random the odds level
    off: so do those of scores that are bent, and both count by their likelihoods.
    """
    straight, likelihood = _fitted(scores, codes, weights)
    knee = _KNEE * max(_median(np.abs(scores).max(axis=1), weights), 1e-300)
    bent, other = _fitted(np.tanh(scores / knee), codes, weights)
    share = float(expit(other - likelihood))
    return (1.0 - share) * straight + share * bent


def _fitted(scores: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the probabilities of largest likelihood, and its logarithm."""
    if scores.shape[1] == 2:
        own = _of_own_class(scores[:, 1] - scores[:, 0], 2.0 * codes - 1.0, weights)
        second = np.where(codes == 1, own, 1.0 - own)
        shares = np.stack([1.0 - second, second], axis=1)
    else:
        shares = _several_classes(scores, codes, weights)
        own = shares[np.arange(len(codes)), codes]
    return shares, float(weights @ np.log(np.maximum(own, 1e-300)))


def _of_own_class(margin: np.ndarray, sign: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probability of its own class of each row of two classes, by Newton's method."""
    total, own_margin = float(weights.sum()), sign * margin
    first = weights * np.stack([own_margin, sign])
    second = weights * np.stack([margin * margin, margin, np.ones_like(margin)])
    share = min(max(0.5 + 0.5 * float(weights @ sign) / total, 1e-3), 1.0 - 1e-3)

    def fit(slope: float, offset: float) -> tuple[np.ndarray, float]:
        own = expit(slope * own_margin + offset * sign)
        return own, _PENALTY * slope**2 - float(weights.dot(np.log(np.maximum(own, 1e-300))))

    slope, offset = 0.0, float(np.log(share / (1.0 - share)))
    own, value = fit(slope, offset)
    for _ in range(_MOST_STEPS):
        rest = 1.0 - own
        g, h = first.dot(rest).tolist()
        a, b, c = second.dot(own * rest).tolist()
        g, a, c = g - 2.0 * _PENALTY * slope, a + 2.0 * _PENALTY, c + 1e-12
        det = max(a * c - b * b, 1e-300)
        move, shift = (c * g - b * h) / det, (a * h - b * g) / det
        is_last = g * move + h * shift <= _SETTLED * total
        for _ in range(_MOST_HALVINGS):
            moved = min(max(slope + move, -_LARGEST_SLOPE), _LARGEST_SLOPE)
            found, after = fit(moved, offset + shift)
            if is_last or after < value:
                break
            move, shift = 0.5 * move, 0.5 * shift
        else:
            break
        slope, offset, own, value = moved, offset + shift, found, after
        if is_last:
            break
    return own


def _several_classes(scores: np.ndarray, codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probabilities of three or more classes."""
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


def _log_shares(probabilities: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the logarithms of probabilities, in units of their deviation."""
    scores = np.log(np.clip(probabilities, _LEAST_SHARE, None))
    scores = scores - scores.mean(axis=1, keepdims=True)
    return scores / max(float(np.sqrt(shares @ (scores**2).mean(axis=1))), 1e-300)


def _margins(margin: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the scores of two classes, in units of their median distance from the boundary."""
    margin = margin / max(_median(np.abs(margin), shares), 1e-300)
    margin = np.clip(margin, -_FARTHEST, _FARTHEST)
    return np.stack([-margin, margin], axis=1) / 2.0


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """Return the middle of two medians from below and above, of which weights repeat values."""
    order = np.argsort(values)
    sums = np.cumsum(weights[order])
    half = sums[-1] / 2.0
    ends = np.searchsorted(sums, [half * (1.0 - 1e-9), half * (1.0 + 1e-9)])
    return float(values[order[ends]].mean())
