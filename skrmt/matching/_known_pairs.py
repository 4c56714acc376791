"""What known pairs show of the sides: their similarity, dimension, and the pairs to label."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.cluster import KMeans

from ..linalg import is_torch
from ..theory.representation import (
    mutual_information,
    recoverable_size,
    white_bilinear_accuracy,
)
from ._kernel_alignment import kernel_alignment
from ._kernels import numpy_float64
from ._scorers import canonical_rank, held_out_correlations

# The largest correlation of the model: at 1 its accuracy has no noise to average over.
_PERFECT = 0.9999


def deviations(rows):
    """Return the standard deviation of each feature, 1 for a constant one."""
    values = numpy_float64(rows)
    shift = np.abs(values).max(initial=0.0) or 1.0
    found = (values / shift).std(axis=0, ddof=1) * shift
    found = np.where(found > 1e-12 * np.abs(values).max(axis=0, initial=0.0), found, 1.0)
    found[found == 0] = 1.0
    if is_torch(rows):
        return rows.new_tensor(found)
    return found.astype(rows.dtype)


def dimension(side):
    """Return the effective dimension (tr S)^2 / |S|^2, the square estimated without bias."""
    m, p = (int(size) for size in side.shape)
    found = kernel_alignment(side, side, debiased=True)
    rows = numpy_float64(side)
    trace = float((rows - rows.mean(axis=0)).var(axis=0, ddof=1).sum()) / found.scales[0]
    square = found.first[1] / (m * (m - 3)) if m > 3 else 0.0
    if square <= 0:
        return float("nan")
    return float(np.clip(trace**2 / square, 1.0, p))


def correlation(known):
    """Return the correlation of the sides: the root of the debiased linear CKA."""
    cka = kernel_alignment(*known, debiased=True).cka
    return float(np.sqrt(np.clip(cka, 0.0, _PERFECT**2)))


def model_dimension(widths):
    """Return how many white features the model has, as many as the effective dimensions suggest."""
    size = float(np.sqrt(widths[0] * widths[1]))
    return size if np.isnan(size) else float(max(round(size), 2))


def model_accuracy(rho, size, n_pairs, n_queries):
    """Return how often the nearest neighbour is right if white features have correlation rho."""
    if np.isnan(size):
        return np.full(np.broadcast_shapes(np.shape(n_pairs), np.shape(n_queries)), np.nan)[()]
    return white_bilinear_accuracy(rho, size, n_pairs, n_queries)


def information(known):
    """Return the mutual information of the sides, and how many pairs it can distinguish."""
    known = [numpy_float64(side) for side in known]
    rho = held_out_correlations(known, [canonical_rank(known)])[0]
    if not rho.size:
        return 0.0, 1.0
    return float(mutual_information(rho)), float(recoverable_size(rho))


def covering_rows(pool, n, seed):
    """Return n different rows, each the nearest to the centre of a cluster of k-means."""
    groups = min(n, len(np.unique(pool, axis=0)))
    centres = KMeans(groups, n_init=1, random_state=seed).fit(pool).cluster_centers_
    gaps = (centres**2).sum(1)[:, None] - 2 * centres @ pool.T + (pool**2).sum(1)
    chosen = list(dict.fromkeys(int(row) for row in gaps.argmin(axis=1)))
    rest = [row for row in np.argsort(gaps.min(axis=0), kind="stable") if row not in chosen]
    return np.array(chosen + rest[: n - len(chosen)], dtype=np.intp)


class SimilarityMixin:
    """Attributes of EncoderMatcher that describe the two spaces, worked out when first read."""

    # Attributes of EncoderMatcher that they are worked out from.
    n_pairs_: int
    _known: tuple
    _scales: tuple
    _similarities: dict

    @property
    def effective_dimensions_(self) -> tuple[Any, ...]:
        """Effective dimension of the features of each side."""
        return self._similarity("dimensions", lambda sides: tuple(map(dimension, sides)))

    @property
    def correlation_(self) -> float:
        """Correlation of the sides in the model: the root of the debiased linear CKA."""
        return self._similarity("correlation", correlation)

    @property
    def model_accuracy_(self) -> float:
        """`theoretical_accuracy_` in the model of correlated Gaussian features."""
        m, size = self.n_pairs_, model_dimension(self.effective_dimensions_)
        return self._similarity(
            "model", lambda _: float(model_accuracy(self.correlation_, size, m, m))
        )

    @property
    def information_(self) -> float:
        """Mutual information of the sides in nats, from held-out canonical correlations."""
        return self._similarity("information", information)[0]

    @property
    def recoverable_size_(self) -> float:
        """Number of pairs that so much information can distinguish without error."""
        return self._similarity("information", information)[1]

    def _similarity(self, name, compute):
        """Return what is worked out from the known pairs, once."""
        if "_similarities" not in vars(self):
            raise AttributeError(f"{type(self).__name__} is not fitted: call fit first.")
        if name not in self._similarities:
            sides = zip(self._known, self._scales, strict=True)
            self._similarities[name] = compute(tuple(side / scale for side, scale in sides))
        return self._similarities[name]
