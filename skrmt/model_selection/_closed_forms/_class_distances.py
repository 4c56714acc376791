"""Distances of rows to the means of classes that share a covariance, by fits without the row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cholesky, solve_triangular
from scipy.linalg.lapack import dtrtri

LEAST_ROOM = 1e-8
"""Floor of 1 - leverage: a row that determines its own fit is moved far, not divided by zero."""
_LEAST_DIAGONAL = 1e-7
"""Smallest over largest diagonal of a Cholesky factor: below, features are collinear."""


class Classes(NamedTuple):
    """Classes in units that no discriminant depends on, and how their scatters are added.

    Attributes
    ----------
    deviations : list of ndarray of shape (m, p)
        Deviations of the rows of each class from its mean.
    means : ndarray of shape (K, p)
        Means of the classes, up to a shift of all.
    unit : ndarray of shape (p,)
        Units of the features.
    where : list of ndarray of int
        Which rows are those of each class.
    counts : ndarray of shape (K,)
        Their numbers.
    priors : ndarray of shape (K,) or None
        Those given.
    weighed : bool
        Whether covariances of classes are weighed by the priors given, not by their rows.
    """

    deviations: list[np.ndarray]
    means: np.ndarray
    unit: np.ndarray
    where: list[np.ndarray]
    counts: np.ndarray
    priors: np.ndarray | None
    weighed: bool

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    @property
    def scale(self) -> float:
        """By what a sum of weighed scatters without a row is divided to be a covariance."""
        return 1.0 if self.weighed else self.n_rows - 1.0

    def differences(self, k: int) -> np.ndarray:
        """Return the differences of the mean of a class from those of all."""
        return self.means[k] - self.means

    def ratio(self, k: int) -> float:
        """Return n / (n - 1) of a class."""
        return float(self.counts[k] / (self.counts[k] - 1.0))

    def weight(self, k: int, left: bool = False) -> float:
        """Return by what the scatter of a class counts, also with a row of it left out."""
        if self.priors is None or not self.weighed:
            return 1.0
        return float(self.priors[k] / (self.counts[k] - float(left)))

    def total(self, scatters: Sequence[np.ndarray], k: int) -> np.ndarray:
        """Add up scatters, of one class as it is weighed without a row of it."""
        weights = [self.weight(j, left=j == k) for j in range(len(scatters))]
        return np.sum([w * x for w, x in zip(weights, scatters, strict=True)], axis=0)

    def log_priors(self) -> np.ndarray:
        """Return log priors (K, K): of all classes, without a row of each."""
        left = self.counts[None, :] - np.eye(len(self.counts))
        shares = left / (self.n_rows - 1.0) if self.priors is None else self.priors + 0.0 * left
        return np.log(np.maximum(shares, 1e-300))

    def kept_priors(self) -> np.ndarray:
        """Return by how much scores (n, or (n, K)) rise with the priors that all rows have."""
        shares = self.counts / self.n_rows if self.priors is None else self.priors
        change = np.log(np.maximum(shares, 1e-300)) - self.log_priors()
        rises = np.empty((self.n_rows, len(self.counts)))
        for k, where in enumerate(self.where):
            rises[where] = change[k]
        return decision(rises)


class Products(NamedTuple):
    """Inner products, by the inverse of a matrix, of what lies between the rows of a class.

    Attributes
    ----------
    energy : ndarray of shape (m,)
        Of deviations with themselves.
    pulled : ndarray of shape (m, K)
        Of deviations with differences of means.
    apart : ndarray of shape (m or 1, K)
        Of differences of means with themselves.
    """

    energy: np.ndarray
    pulled: np.ndarray
    apart: np.ndarray


class OwnClass(NamedTuple):
    """What the scores of the rows of a class without each are worked out from.

    Attributes
    ----------
    products : Products
        By the matrix as it is without any row of the class, up to what follows.
    gain : ndarray of shape (m,)
        What ``d d^T`` of a row's deviation is multiplied by where it is taken off the matrix.
    moved : tuple of Products, or ()
        Products of solutions by what else a row, and a mean row, adds to the matrix.
    """

    products: Products
    gain: np.ndarray
    moved: tuple = ()


class Found(NamedTuple):
    """Scores of rows without each.

    Attributes
    ----------
    exact, even : ndarray of shape (n,) or (n, K)
        Scores without each row, and those if every row had the mean leverage.
    shift : ndarray of shape (n,), or None
        By how much scores of two classes are larger for the row, and would be for any other,
        because the middle between the means moves without it, to first order.
    """

    exact: np.ndarray
    even: np.ndarray
    shift: np.ndarray | None = None


def lower_factor(matrix: np.ndarray) -> np.ndarray | None:
    """Return the lower Cholesky factor, None if features are collinear."""
    try:
        lower = cholesky(matrix, lower=True, check_finite=False)
    except LinAlgError:
        return None
    diagonal = np.diag(lower)
    return lower if diagonal.min() >= _LEAST_DIAGONAL * diagonal.max() else None


def largest_inverse(lower: np.ndarray) -> float:
    """Return a bound on the largest eigenvalue of the inverse: its trace."""
    inverse, _ = dtrtri(lower, lower=1)
    return float(np.einsum("ij,ij->", inverse, inverse))


def solve_lower(lower: np.ndarray, vectors: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Solve for rows of vectors; once for half a solution, then transposed for the whole."""
    trans = "T" if transposed else "N"
    return solve_triangular(lower, vectors.T, lower=True, trans=trans, check_finite=False).T


def inner_products(own: np.ndarray, apart: np.ndarray, weights: Any = None) -> Products:
    """Return inner products of rows and differences of means, weighed by row and coordinate."""
    if weights is None:
        apart_squared = np.einsum("kj,kj->k", apart, apart)[None, :]
        return Products(np.einsum("ij,ij->i", own, own), own @ apart.T, apart_squared)
    weighed = own * weights
    energy = np.einsum("ij,ij->i", weighed, own)
    return Products(energy, weighed @ apart.T, weights @ (apart**2).T)


def left_out_scores(
    classes: Classes, parts: list[OwnClass], scale: float | None = None
) -> Found | None:
    """Return the scores of all rows by fits without each; None if rounding decides."""
    scale = classes.scale if scale is None else scale
    if any((part.gain * part.products.energy > 1.0 + 1e-6).any() for part in parts):
        return None
    mean = float(np.mean(np.concatenate([part.products.energy for part in parts])))
    logs, n_classes = classes.log_priors(), len(classes.counts)
    found, shift = np.empty((2, classes.n_rows, n_classes)), np.empty(classes.n_rows)
    for k, (products, gain, moved) in enumerate(parts):
        even = products._replace(energy=np.full(len(gain), mean))
        for which, some in enumerate((products, even)):
            distances = _distances(some, gain, moved[which] if moved else None)
            distances[:, k] *= classes.ratio(k) ** 2
            found[which, classes.where[k]] = logs[k] - 0.5 * scale * distances
        shift[classes.where[k]] = scale * (2 * k - 1) * _middle(products, gain, classes, k)
    exact, mean_leverage = map(decision, found)
    return Found(exact, mean_leverage, shift if n_classes == 2 else None)


def _middle(part: Products, gain: np.ndarray, classes: Classes, k: int) -> np.ndarray:
    """Return how far the middle moves without each row of one of two classes, along what decides.

    Without a row the mean of its class moves by its deviation over the number of the others.
    """
    others = classes.counts[k] - 1.0
    along = part.pulled[:, 1 - k] - part.energy / others
    return 0.5 * along / others / np.maximum(1.0 - gain * part.energy, LEAST_ROOM)


def decision(scores: np.ndarray) -> np.ndarray:
    """Return scores of classes, of two their difference."""
    return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores


def _distances(part: Products, gain: np.ndarray, moved: Products | None) -> np.ndarray:
    """Return squared distances of rows to all means, by the matrix without each row."""
    pulled = part.energy[:, None] + part.pulled
    gain = (gain / np.maximum(1.0 - gain * part.energy, LEAST_ROOM))[:, None]
    distances = pulled + part.pulled + part.apart + gain * pulled**2
    if moved is not None:
        along = 1.0 + gain * pulled
        distances -= along**2 * moved.energy[:, None] + 2.0 * along * moved.pulled + moved.apart
    return distances
