"""Kernel smoothers of one side: rows as they are compared, their kernel, and weights on them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, spotrf, spotri

from ..utils._scaling import power_of_two
from ._kernels import Kernel, kernel_matrix
from ._left_out import unit_rows

Matrix = NDArray[Any]

_CONSTANT = 1e-12
"""A deviation below this share of the largest entry is rounding: the column is constant."""


class Representation(NamedTuple):
    """How rows are compared with one another.

    Attributes
    ----------
    kernel : {"linear", "rbf"}
        Their kernel.
    standardize : bool
        Whether features are divided by their standard deviations among the known pairs.
    unit_rows : bool or "length"
        Whether rows are divided by their length once the mean of the known pairs is off; with
        "length" it stays on.
    """

    kernel: Kernel
    standardize: bool
    unit_rows: bool | str


class Smoother(NamedTuple):
    """Known rows of one side, with their centred kernel.

    Attributes
    ----------
    representation : Representation
        How rows are compared.
    unit, mean, scale : float, ndarray, ndarray
        What raw rows are divided by, what is then taken off, and what features are divided by.
    rows : ndarray of shape (m, p)
        Known rows, prepared.
    bandwidth : float
        Length of the RBF kernel.
    means : ndarray of shape (m,)
        Column means of the kernel.
    centred : ndarray of shape (m, m)
        The kernel less its means of rows and columns.
    """

    representation: Representation
    unit: float
    mean: Matrix
    scale: Matrix | float
    rows: Matrix
    bandwidth: float
    means: Matrix
    centred: Matrix

    def matrix(
        self, alpha: float, *, single: bool = False, inverse: Matrix | None = None
    ) -> Matrix:
        """Return the smoother of the known rows, symmetric, with rows that sum to 1."""
        if inverse is None:
            inverse = self.inverse(alpha, single=single)
        inverse = inverse * inverse.dtype.type(-self.penalty(alpha))
        every = np.arange(len(inverse))
        inverse[every, every] += 1.0
        found: Matrix = inverse + inverse.dtype.type(1.0 / len(every))
        return found

    def weights(self, queries: Matrix, alpha: float, inverse: Matrix | None = None) -> Matrix:
        """Return the weights of known rows in what is smoothed at queries, which sum to 1."""
        kernel = self.kernel(queries)
        kernel -= self.means
        kernel -= kernel.mean(axis=1)[:, None]
        kernel = kernel @ (self.inverse(alpha) if inverse is None else inverse)
        kernel += 1.0 / len(self.rows)
        return kernel

    def dual_directions(self, alpha: float) -> Matrix:
        """Return the vectors (m, p) of which smoothing weights of a linear kernel are products."""
        return self.inverse(alpha) @ (self.rows - self.rows.mean(axis=0))

    def kernel(self, queries: Matrix) -> Matrix:
        """Return the kernel of raw queries with the known rows."""
        rows = _prepared(queries, self.representation, self.unit, self.mean, self.scale)
        kind, width = self.representation.kernel, self.bandwidth
        return kernel_matrix(rows, self.rows, kernel=kind, bandwidth=width)

    def penalty(self, alpha: float) -> float:
        """Return what is added to the eigenvalues of the kernel."""
        return alpha * float(np.trace(self.centred)) / len(self.centred)

    def inverse(self, alpha: float, *, single: bool = False) -> Matrix:
        """Return the inverse of the penalised centred kernel."""
        m, penalty = len(self.centred), self.penalty(alpha)
        penalised: Matrix = np.array(self.centred, dtype=np.float32 if single else np.float64)
        penalised.flat[:: m + 1] += penalty
        factorise, invert = (spotrf, spotri) if single else (dpotrf, dpotri)
        # The transpose of C order is LAPACK's order: the lower triangle comes back as the upper.
        factor, _ = factorise(penalised.T, lower=True, overwrite_a=True)
        found, _ = invert(factor, lower=True, overwrite_c=True)
        # Its other triangle still holds the factor.
        return np.where(_upper(m), found.T, found)


@lru_cache(maxsize=4)
def _upper(m: int) -> Matrix:
    """Return which entries of a square matrix are on or above its diagonal."""
    return np.tri(m, dtype=bool).T


def smoother(known: Matrix, representation: Representation, bandwidth: Any) -> Smoother | None:
    """Return the smoother of known rows, None where all of them have become the same."""
    return smoothers(known, [representation], bandwidth)[0]


def smoothers(known: Matrix, representations: Any, bandwidth: Any) -> list[Smoother | None]:
    """Return smoothers by several representations, which share scalar products of rows."""
    unit = power_of_two(float(np.abs(known).max(initial=0.0)))
    scaled, products = known / unit, {}
    found = []
    for kind in representations:
        start = kind.standardize, kind.unit_rows == "length"
        if start not in products:
            mean = np.zeros(known.shape[1]) if start[1] else scaled.mean(axis=0)
            scale = deviations(scaled) if kind.standardize else 1.0
            rows = (scaled - mean) / scale
            products[start] = mean, scale, rows, rows @ rows.T
        mean, scale, rows, gram = products[start]
        if kind.unit_rows:
            lengths = np.sqrt(np.diag(gram))
            lengths = np.where(lengths > 0, lengths, 1.0)
            rows, gram = rows / lengths[:, None], gram / np.outer(lengths, lengths)
        found.append(_of_products(kind, unit, mean, scale, rows, gram, bandwidth))
    return found


def _of_products(kind, unit, mean, scale, rows, kernel, bandwidth) -> Smoother | None:
    """Return the smoother of prepared rows from their scalar products."""
    width = 1.0
    if kind.kernel == "rbf":
        squares = np.diag(kernel) - 2 * kernel
        squares += np.diag(kernel)[:, None]
        width = _median(squares) if isinstance(bandwidth, str) else float(bandwidth)
        kernel = np.exp(np.maximum(squares, 0.0) / (-2 * width**2))
    means = kernel.mean(axis=0)
    centred = kernel - means - means[:, None] + means.mean()
    if not np.trace(centred) > _CONSTANT * len(centred) * float(np.abs(kernel).max()):
        return None
    return Smoother(kind, unit, mean, scale, rows, width, means, centred)


def _median(squares: Matrix) -> float:
    """Return the median distance of different rows, 1 where they coincide."""
    values = squares[~_upper(len(squares))]
    found = float(np.median(values)) or float(values.mean())
    return float(np.sqrt(found)) if found > 0 else 1.0


def _prepared(rows: Matrix, representation: Representation, unit, mean, scale) -> Matrix:
    """Return rows as they are compared."""
    rows = (rows / unit - mean) / scale
    return unit_rows(rows) if representation.unit_rows else rows


def deviations(rows: Matrix) -> Matrix:
    """Return the standard deviation of each feature, 1 for a constant one."""
    found = rows.std(axis=0, ddof=1)
    return np.where(found > _CONSTANT * np.abs(rows).max(axis=0), found, 1.0)
