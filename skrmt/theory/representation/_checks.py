"""Checks of the arguments of the matching theory: counts, kernels, covariances."""

from typing import Any

import numpy as np

from .._checks import FloatArray, finite_floats, in_range

# Asymmetry and negative eigenvalues up to here, relative to the largest entry, are rounding.
_ROUNDING = 1e-8


def check_count(name: str, value: Any, low: int, remedy: str) -> FloatArray:
    """Return whole numbers of at least `low` as floats."""
    count = in_range(name, value, low, np.inf, "left", remedy)
    whole = np.isfinite(count) & (count == np.floor(count))
    if not whole.all():
        raise ValueError(f"{name} must be a whole number, got {count[~whole].flat[0]:g}. {remedy}")
    return count


def check_symmetric(name: str, value: Any, remedy: str) -> FloatArray:
    """Return a finite symmetric matrix, made symmetric to the last bit."""
    matrix = finite_floats(name, value, "Remove NaN and infinite entries.")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix, got shape {matrix.shape}. {remedy}")
    gap = np.abs(matrix - matrix.T).max()
    if gap > _ROUNDING * np.abs(matrix).max():
        raise ValueError(
            f"{name} must be symmetric, got entries that differ by {gap:g} from their mirror "
            f"images. Use ({name} + {name}.T) / 2 if that is what is meant."
        )
    return (matrix + matrix.T) / 2


def check_covariance(name: str, value: Any) -> FloatArray:
    """Return variances (one axis) or a positive semi-definite covariance (two axes)."""
    remedy = "Give a covariance (p, p), or the variances (p,) of independent features."
    array = finite_floats(name, value, "Remove NaN and infinite entries.")
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(f"{name} must have one or two axes, got shape {array.shape}. {remedy}")
    if array.ndim == 2:
        array = check_symmetric(name, array, remedy)
    values = array if array.ndim == 1 else np.linalg.eigvalsh(array)
    if values.min() < -_ROUNDING * np.abs(values).max():
        raise ValueError(f"{name} must have no negative eigenvalue, got {values.min():g}. {remedy}")
    if not values.max() > 0:
        raise ValueError(f"{name} must not be zero. Leave out sides without any variance.")
    return array


def check_cross(value: Any, cov_x: FloatArray, cov_y: FloatArray) -> FloatArray:
    """Return the cross-covariance as a matrix, checked against the two covariances."""
    p, q = len(cov_x), len(cov_y)
    given = finite_floats(
        "cross", np.zeros((p, q)) if value is None else value, "Remove NaN and infinite entries."
    )
    matrix = given
    if given.ndim == 1 and 0 < len(given) <= min(p, q):
        matrix = np.zeros((p, q))
        np.fill_diagonal(matrix[: len(given), : len(given)], given)
    if matrix.shape != (p, q):
        raise ValueError(
            f"cross must have shape ({p}, {q}), one row a feature of x and one column a feature "
            f"of y, got shape {given.shape}. Give the matrix, or its diagonal."
        )
    _check_size(matrix, cov_x, cov_y)
    return matrix


def _check_size(cross: FloatArray, cov_x: FloatArray, cov_y: FloatArray) -> None:
    """Refuse entries, or a norm, that no joint law with these covariances can have."""
    variances = [cov if cov.ndim == 1 else np.diag(cov) for cov in (cov_x, cov_y)]
    largest = np.sqrt(np.outer(*(np.maximum(variance, 0.0) for variance in variances)))
    entries = np.abs(cross) > largest + _ROUNDING * largest.max()
    bound = np.linalg.norm(cov_x) * np.linalg.norm(cov_y)
    if entries.any() or np.linalg.norm(cross) ** 2 > bound * (1 + _ROUNDING):
        raise ValueError(
            f"cross must be at most what correlations of 1 allow, got a norm of "
            f"{np.linalg.norm(cross):g} with covariances of norms {np.linalg.norm(cov_x):g} and "
            f"{np.linalg.norm(cov_y):g}. Give the covariance of x and y in the units of cov_x and "
            "cov_y, not a sum over rows."
        )


def dense(cov: FloatArray) -> FloatArray:
    """Return a covariance given by its variances or in full as a matrix."""
    return np.diag(cov) if cov.ndim == 1 else cov
