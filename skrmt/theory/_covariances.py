"""Covariances of K classes, diagonal in a common basis where they can be, dense where not."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from ._checks import FloatArray, finite_floats

# Estimated covariances have eigenvalues of -eps n times the largest: well below this share of it.
_PSD_TOLERANCE = 1e-10


class Covariances(ABC):
    """The operations that the fixed point and the ridge need of K covariances.

    A resolvent is `(sum_a w_a C_a + alpha I)^{-1}`: a vector of p numbers or a (p, p) matrix,
    which the other methods take back.
    """

    n_features: int

    @abstractmethod
    def traces(self) -> FloatArray:
        """Return tr(C_a), shape (K,)."""

    @abstractmethod
    def resolvent(self, weights: FloatArray, alpha: float) -> FloatArray:
        """Return (sum_a w_a C_a + alpha I)^{-1}."""

    @abstractmethod
    def first_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q), shape (K,)."""

    @abstractmethod
    def second_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q C_b Q), shape (K, K)."""

    @abstractmethod
    def apply(self, resolvent: FloatArray, vectors: FloatArray) -> FloatArray:
        """Return Q V for V of shape (p, q)."""

    @abstractmethod
    def quadratic(self, vectors: FloatArray) -> FloatArray:
        """Return V^T C_a V for V of shape (p, q): shape (K, q, q)."""

    @staticmethod
    def singular(alpha: float) -> ValueError:
        """Return the error of a resolvent that does not exist."""
        return ValueError(
            f"the resolvent is singular at alpha={alpha:g}: the mean covariance is not invertible. "
            "Take alpha > 0."
        )


class DiagonalCovariances(Covariances):
    """Covariances that are diagonal in one basis, in which the means are expressed.

    Parameters
    ----------
    spectra : ndarray of shape (K, p)
        The diagonals.
    """

    def __init__(self, spectra: FloatArray) -> None:
        self.spectra = spectra
        self.n_features = spectra.shape[1]

    def traces(self) -> FloatArray:
        """Return tr(C_a), shape (K,)."""
        return np.sum(self.spectra, axis=1)

    def resolvent(self, weights: FloatArray, alpha: float) -> FloatArray:
        """Return the diagonal of the resolvent, shape (p,)."""
        diagonal = weights @ self.spectra + alpha
        if not (diagonal > 0).all():
            raise self.singular(alpha)
        return 1 / diagonal

    def first_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q), shape (K,)."""
        return self.spectra @ resolvent

    def second_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q C_b Q), shape (K, K)."""
        half = self.spectra * resolvent
        return half @ half.T

    def apply(self, resolvent: FloatArray, vectors: FloatArray) -> FloatArray:
        """Return Q V."""
        return resolvent[:, None] * vectors

    def quadratic(self, vectors: FloatArray) -> FloatArray:
        """Return V^T C_a V, shape (K, q, q)."""
        return np.stack([vectors.T @ (s[:, None] * vectors) for s in self.spectra])


class DenseCovariances(Covariances):
    """Covariances without a common basis.

    Parameters
    ----------
    matrices : ndarray of shape (K, p, p)
        The covariances.
    """

    def __init__(self, matrices: FloatArray) -> None:
        self.matrices = matrices
        self.n_features = matrices.shape[1]

    def traces(self) -> FloatArray:
        """Return tr(C_a), shape (K,)."""
        return np.trace(self.matrices, axis1=1, axis2=2)

    def resolvent(self, weights: FloatArray, alpha: float) -> FloatArray:
        """Return the resolvent, shape (p, p)."""
        matrix = np.tensordot(weights, self.matrices, axes=1)
        matrix.flat[:: self.n_features + 1] += alpha
        try:
            inverse = np.linalg.inv(matrix)
        except np.linalg.LinAlgError as error:
            raise self.singular(alpha) from error
        return (inverse + inverse.T) / 2

    def first_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q), shape (K,)."""
        return np.array([np.vdot(matrix, resolvent) for matrix in self.matrices])

    def second_traces(self, resolvent: FloatArray) -> FloatArray:
        """Return tr(C_a Q C_b Q), shape (K, K)."""
        products = [matrix @ resolvent for matrix in self.matrices]
        transposed = [product.T.copy() for product in products]
        return np.array([[np.vdot(left, right) for right in transposed] for left in products])

    def apply(self, resolvent: FloatArray, vectors: FloatArray) -> FloatArray:
        """Return Q V."""
        return resolvent @ vectors

    def quadratic(self, vectors: FloatArray) -> FloatArray:
        """Return V^T C_a V, shape (K, q, q)."""
        return np.stack([vectors.T @ (matrix @ vectors) for matrix in self.matrices])


def as_covariances(value: Any, means: FloatArray) -> tuple[Covariances, FloatArray]:
    """Read covariances in any of the accepted shapes, and rotate the means to their basis."""
    array = finite_floats("covariances", value, "Estimate them without missing values.")
    n_classes, n_features = means.shape
    if array.shape == (n_features, n_features):
        values, vectors = np.linalg.eigh(_check_covariances(array[None])[0])
        spectra = np.maximum(values, 0.0)
        return DiagonalCovariances(np.tile(spectra, (n_classes, 1))), means @ vectors
    if array.shape == (n_classes, n_features, n_features):
        return DenseCovariances(_check_covariances(array)), means
    return DiagonalCovariances(_spectra(array, n_classes, n_features)), means


def _spectra(array: FloatArray, n_classes: int, n_features: int) -> FloatArray:
    """Return the diagonals (K, p) of covariances that are diagonal already."""
    if array.ndim == 1 and len(array) == n_classes == n_features:
        raise ValueError(
            f"covariances of shape ({n_classes},) are ambiguous where n_classes == n_features: "
            "one number per class or per feature. Pass shape (n_features, n_features) or "
            "(n_classes, n_features, n_features)."
        )
    if array.shape == (n_classes,):
        array = array[:, None]
    elif array.ndim > 0 and array.shape not in ((n_features,), (n_classes, n_features)):
        raise ValueError(
            f"covariances must be a number or have shape (K,), (p,), (K, p), (p, p) or (K, p, p) "
            f"with K={n_classes} and p={n_features}, got shape {array.shape}. Check it against "
            "the shape of means."
        )
    if (array < 0).any():
        raise ValueError(
            f"covariances must not be negative, got {array[array < 0].flat[0]:g}. Pass variances."
        )
    return np.broadcast_to(array, (n_classes, n_features)).copy()


def _check_covariances(matrices: FloatArray) -> FloatArray:
    """Refuse matrices that are not symmetric positive semidefinite, within rounding."""
    for index, matrix in enumerate(matrices):
        size = float(np.max(np.abs(matrix)))
        if np.max(np.abs(matrix - matrix.T)) > 1e-8 * size:
            raise ValueError(
                f"covariances[{index}] must be symmetric, got an asymmetry of "
                f"{np.max(np.abs(matrix - matrix.T)):g}. Take (C + C.T) / 2."
            )
        jitter = _PSD_TOLERANCE * size * len(matrix) + 1e-300
        try:
            np.linalg.cholesky((matrix + matrix.T) / 2 + jitter * np.eye(len(matrix)))
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"covariances[{index}] must be positive semidefinite, got a negative eigenvalue. "
                "Clip its eigenvalues at 0."
            ) from error
    return (matrices + matrices.transpose(0, 2, 1)) / 2
