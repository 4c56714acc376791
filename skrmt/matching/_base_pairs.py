"""What the known pairs say: are the sides alike, how strongly, in how many dimensions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ..linalg import is_torch, to_numpy
from ..theory.representation import (
    mutual_information,
    recoverable_size,
    white_bilinear_accuracy,
)
from ._inputs import host
from ._kernel_alignment import kernel_alignment
from ._scorers import canonical_rank, held_out_correlations

_PERFECT = 0.9999
_MANY_PAIRS = 2**20


class BilinearModel(NamedTuple):
    """The model in which whitened features of both sides are correlated Gaussians.

    Attributes
    ----------
    rho : float
        Correlation of each pair of features.
    dimension : float
        Number of features.
    """

    rho: float
    dimension: float

    def accuracy(self, n_pairs, n_queries):
        """Return how often the nearest neighbour is right."""
        if np.isnan(self.dimension):
            return float("nan")
        return float(white_bilinear_accuracy(self.rho, self.dimension, n_pairs, n_queries))

    def anchored(self, accuracy, n_pairs):
        """Return the model with the correlation at which an accuracy is reached."""
        if np.isnan(accuracy) or np.isnan(self.dimension):
            return self

        def gap(rho):
            return self._replace(rho=rho).accuracy(n_pairs, n_pairs) - accuracy

        if gap(0.0) >= 0:
            return self._replace(rho=0.0)
        if gap(_PERFECT) <= 0:
            return self._replace(rho=_PERFECT)
        return self._replace(rho=float(brentq(gap, 0.0, _PERFECT, xtol=1e-4)))

    def required_pairs(self, accuracy, n_queries):
        """Return the smallest number of known pairs that reaches an accuracy."""
        low, high = 1, 2
        while self.accuracy(high, n_queries) < accuracy:
            low, high = high, 2 * high
            if high > _MANY_PAIRS:
                return float("inf")
        while high - low > 1:
            middle = (low + high) // 2
            if self.accuracy(middle, n_queries) < accuracy:
                low = middle
            else:
                high = middle
        return float(high)


def deviations(rows):
    """Return the standard deviation of each feature, 1 for a constant one."""
    values = host(rows)
    shift = np.abs(values).max(initial=0.0) or 1.0
    found = (values / shift).std(axis=0, ddof=1) * shift
    found = np.where(found > 1e-12 * np.abs(values).max(axis=0, initial=0.0), found, 1.0)
    found[found == 0] = 1.0
    if is_torch(rows):
        return rows.new_tensor(found)
    return found.astype(rows.dtype)


def dimensions(base):
    """Return the effective dimension of the features of both sides."""
    return tuple(_dimension(side) for side in base)


def _dimension(side):
    """Return (tr S)^2 / |S|^2 of the covariance, the square estimated without bias."""
    m, p = (int(size) for size in side.shape)
    found = kernel_alignment(side, side, debiased=True)
    rows = host(side)
    trace = float((rows - rows.mean(axis=0)).var(axis=0, ddof=1).sum()) / found.scales[0]
    square = found.first[1] / (m * (m - 3)) if m > 3 else 0.0
    if square <= 0:
        return float("nan")
    return float(np.clip(trace**2 / square, 1.0, p))


def bilinear_model(base, widths):
    """Return the model of correlated features that known pairs suggest."""
    alike = kernel_alignment(*base, debiased=True).cka
    size = float(np.sqrt(widths[0] * widths[1]))
    return BilinearModel(
        float(np.sqrt(np.clip(alike, 0.0, _PERFECT**2))),
        size if np.isnan(size) else float(max(round(size), 2)),
    )


def information(base):
    """Return the mutual information of the sides, and how many pairs it can tell apart."""
    known = [np.asarray(to_numpy(side), dtype=np.float64) for side in base]
    rho = held_out_correlations(known, [canonical_rank(known)])[0]
    if not rho.size:
        return 0.0, 1.0
    return float(mutual_information(rho)), float(recoverable_size(rho))
