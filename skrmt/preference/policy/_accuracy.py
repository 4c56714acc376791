"""Statistics of margins and differences: how many fresh pairs a policy ranks rightly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from ...theory.preference import pairwise_accuracy
from ...utils._dask import is_dask
from ...utils._rows import row_sums

_MODEL_ERROR = 0.02
"""Error of the Gaussian law of margins: the share counted and the one smoothed by that law are
averaged with the weights that minimise the square error if the law is off by so much."""

_TINY = 1e-300

_TESTED = 5_000
"""Rows, evenly spaced, to which the test of white noise is applied: it bounds the cost."""

_REJECTED = 9.21
"""The 99 % quantile of chi-squared with two degrees of freedom."""


class PairAccuracy(NamedTuple):
    """Share of fresh pairs ranked rightly.

    Attributes
    ----------
    accuracy : float
        The share, pairs being given in the right order.
    std : float
        Its standard error.
    """

    accuracy: float
    std: float


class PairSignal(NamedTuple):
    """Squared norm of the mean difference over the variance about it, an entry.

    Attributes
    ----------
    value, std : float
        The estimate, not below 0, and its standard error.
    variance : float
        Variance of an entry about the mean difference, wrong comparisons turned back.
    """

    value: float
    std: float
    variance: float


def accuracy_of_margins(
    margins: np.ndarray, weights: np.ndarray, size: float, noise: float
) -> PairAccuracy:
    r"""Estimate the accuracy on clean pairs from the left-out margins of noisy ones."""
    w = weights / weights.sum()
    gap = 1.0 - 2.0 * noise
    right = np.where(margins == 0, 0.5, margins > 0)
    counted = (float(w @ right) - noise) / gap
    largest = max(float(np.abs(margins).max()), _TINY)
    f = margins / largest
    mean = float(w @ f) / gap
    square = float(w @ f**2)
    variance = max(square - mean**2, 1e-12 * square, _TINY)
    ratio = float(np.clip(mean / np.sqrt(variance), -8.0, 8.0))
    smoothed = float(ndtr(ratio))
    spread = max(smoothed * (1 - smoothed), 0.25 / size) / size / gap**2
    trust = _MODEL_ERROR**2 / (_MODEL_ERROR**2 + spread)
    if noise == 0 and _far_from_gaussian((f - mean) / np.sqrt(variance), w, size):
        trust = 1.0
    density = float(np.exp(-0.5 * ratio**2) / np.sqrt(2 * np.pi))
    shift = f / gap - mean
    bend = (f**2 - square) - 2 * mean * shift
    influence = density * (shift / np.sqrt(variance) - ratio * bend / (2 * variance))
    influence = trust * (right - w @ right) / gap + (1 - trust) * influence
    accuracy = float(np.clip(trust * counted + (1 - trust) * smoothed, 0.0, 1.0))
    floor = 0.25 / size if size > 1 else 1.0
    return PairAccuracy(
        accuracy,
        float(np.sqrt((float(w @ influence**2) + floor / size) / size)),
    )


def _far_from_gaussian(z: np.ndarray, w: np.ndarray, size: float) -> bool:
    """Return whether the test of Jarque and Bera rejects a Gaussian law, at 1 %."""
    square = z * z
    skewness, excess = float(w @ (square * z)), float(w @ (square * square)) - 3.0
    return size / 6.0 * (skewness**2 + excess**2 / 4.0) > _REJECTED


def smooth_ratio(margins: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean over the root mean square of margins along the first axis."""
    w = weights / weights.sum()
    largest = np.maximum(np.abs(margins).max(axis=0), _TINY)
    scaled = margins / largest
    mean = np.tensordot(w, scaled, axes=1)
    square = np.tensordot(w, scaled**2, axes=1)
    return mean / np.sqrt(np.maximum(square, _TINY))


def estimate_signal(
    differences: np.ndarray, won: np.ndarray, lost: np.ndarray, size: float, noise: float
) -> PairSignal:
    """Estimate the squared norm of the mean difference in units of the variance about it."""
    weights = won + lost
    total = weights.sum()
    mean = (won - lost) @ differences / total
    energy = float(weights @ np.einsum("ij,ij->i", differences, differences)) / total
    return signal_of(mean, energy, size, noise)


def signal_of(mean: np.ndarray, energy: float, size: float, noise: float) -> PairSignal:
    r"""Estimate the squared norm of the mean difference from two moments."""
    if size <= 1:
        return PairSignal(float("nan"), float("nan"), float("nan"))
    n_features = len(mean)
    trace = max(energy - float(mean @ mean), 0.0) * size / (size - 1)
    s2 = (1.0 - 2.0 * noise) ** 2
    norm = max(float(mean @ mean) - trace / size, 0.0) / s2
    variance = (trace - (1 - s2) * norm) / n_features
    if not variance > 1e-12 * energy / n_features:
        return PairSignal(float("nan"), float("nan"), float("nan"))
    M = norm / variance
    spread = (4 * s2 * M * (1 + (1 - s2) * M) / size + 2 * n_features / size**2) / s2**2
    return PairSignal(M, float(np.sqrt(spread)), variance)


def noise_is_white(
    differences: Any,
    won: np.ndarray,
    lost: np.ndarray,
    signal: PairSignal,
    noise: float,
    total: np.ndarray | None = None,
    gram: np.ndarray | None = None,
    sample: np.ndarray | None = None,
) -> bool:
    r"""Test, at 1 %, whether differences vary equally in all directions but that of their mean.

    `total` and `gram` are the sum of the differences as they went and their weighted Gram matrix,
    where they are known, `sample` that of the rows of `tested_share`.
    """
    step = -(-len(differences) // _TESTED)
    share = tested_share(won + lost)[::step]
    size = float(1.0 / (share**2).sum())
    n_features = differences.shape[1]
    if not np.isfinite(signal.value) or size < 10 or n_features < 3:
        return False
    rows = differences[::step]
    total = (won - lost) @ differences if total is None else total
    axis = total / max(float(np.linalg.norm(total)), _TINY)
    if is_dask(rows) or n_features <= len(rows):
        if gram is not None and step == 1:
            across = gram / (won + lost).sum()
        elif sample is not None:
            across = sample
        else:
            across = row_sums(weighted_gram, rows, share)
        # What is orthogonal to the axis, taken from the matrix: the rows need no copy.
        across = across - np.outer(across @ axis, axis)
        across = across - np.outer(axis, axis @ across)
    else:
        rest = _across(rows, share, axis)
        across = rest @ rest.T
    free = n_features - 1
    trace, square = float(np.trace(across)), float(np.einsum("ij,ij->", across, across))
    if not trace > 0:
        return False
    spread = size * (free * square / trace**2 - 1.0) - free
    eta, s2 = n_features / (won + lost > 0).sum(), (1.0 - 2.0 * noise) ** 2
    spike = signal.value * eta / max(s2 * signal.value + eta, _TINY)
    return bool(abs(spread - 1.0 - size / free * spike**2) < 2.58 * 2.0)


def tested_share(weights: np.ndarray) -> np.ndarray:
    """Return the shares of rows in the test of white noise, 0 for those that are not tested."""
    step = -(-len(weights) // _TESTED)
    share = np.zeros(len(weights))
    share[::step] = weights[::step] / weights[::step].sum()
    return share


def _across(rows: np.ndarray, share: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Return what of weighted rows is orthogonal to a direction."""
    return np.sqrt(share)[:, None] * (rows - np.outer(rows @ axis, axis))


def weighted_gram(rows: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the Gram matrix of weighted rows."""
    scaled = rows * np.sqrt(share)[:, None]
    return scaled.T @ scaled


def model_accuracy(
    signal: PairSignal, size: float, n_features: int, alpha: float, noise: float
) -> tuple[float, float]:
    """Return the accuracy that theory predicts, and its standard error by that of the signal."""
    if not np.isfinite(signal.value):
        return float("nan"), float("nan")
    penalty = alpha / signal.variance

    def at(strength: float) -> float:
        return float(pairwise_accuracy(strength, size, n_features, alpha=penalty, noise_rate=noise))

    low, high = at(max(signal.value - signal.std, 0.0)), at(signal.value + signal.std)
    return at(signal.value), (high - low) / 2
