"""Checks of what a user passes as two sides."""

from __future__ import annotations

import numbers

import numpy as np

from ..linalg import as_device, is_torch
from ..utils._checks import check_array_like_on_device
from ._kernels import median_bandwidth

# A gap to the transpose below this share of the largest entry is rounding, also in float32.
_SYMMETRY = 1e-5


def check_sides(X, Y, *, names=("X", "Y"), device=None, min_samples=1, paired=True):
    """Check the rows of two sides."""
    sides = [
        as_device(check_array_like_on_device(Z, name, ensure_min_samples=1), device)
        for Z, name in zip((X, Y), names, strict=True)
    ]
    rows = [int(Z.shape[0]) for Z in sides]
    if paired and rows[0] != rows[1]:
        raise ValueError(
            f"{names[0]} has {rows[0]} rows and {names[1]} has {rows[1]}: row i of one must go "
            "with row i of the other. Leave out rows without a partner."
        )
    if min(rows) < min_samples:
        name = names[int(np.argmin(rows))]
        raise ValueError(
            f"{name} has {min(rows)} rows, at least {min_samples} are needed. Give more pairs."
        )
    return same_library(*sides)


def refuse_constant(known):
    """Raise if a side is the same in every row."""
    for name, side in zip("XY", known, strict=True):
        if float(abs(side - side[:1]).max()) == 0:
            raise ValueError(
                f"{name} is the same in all {len(side)} rows: nothing can be matched. Check "
                "how the embeddings were computed."
            )


def same_library(X, Y):
    """Return two arrays of one library and one floating-point type."""
    if is_torch(X) != is_torch(Y):
        like = X if is_torch(X) else Y
        X, Y = (Z if is_torch(Z) else as_device(Z, str(like.device)) for Z in (X, Y))
    if str(X.dtype) == str(Y.dtype):
        return X, Y
    if is_torch(X):
        return X.double(), Y.double()
    return X.astype(np.float64), Y.astype(np.float64)


def check_kernels(A, B, *, names=("X", "Y"), min_samples=1):
    """Check two square symmetric matrices of the same size."""
    A, B = check_sides(A, B, names=names, min_samples=min_samples)
    for name, K in zip(names, (A, B), strict=True):
        if K.shape[0] != K.shape[1]:
            raise ValueError(
                f"{name} has shape {tuple(K.shape)}, a precomputed kernel is square. Pass the "
                "kernel of all items with all, or features with another kernel."
            )
        gap, size = float(abs(K - K.T).max()), float(abs(K).max())
        if gap > _SYMMETRY * size:
            raise ValueError(
                f"{name} is not symmetric: it differs from its transpose by up to {gap:g}. Pass "
                f"({name} + {name}.T) / 2, or check how it was computed."
            )
    return A, B


def check_kernel_name(kernel, known=("linear", "rbf", "precomputed")):
    """Check the name of a kernel."""
    if kernel not in known:
        names = ", ".join(repr(name) for name in known)
        raise ValueError(f"kernel must be one of {names}, got {kernel!r}.")


def resolve_bandwidths(bandwidth, X, Y, kernel):
    """Return the lengths of the RBF kernels of two sides."""
    if kernel != "rbf":
        return 1.0, 1.0
    if isinstance(bandwidth, str) and bandwidth == "median":
        return median_bandwidth(X), median_bandwidth(Y)
    given = (bandwidth, bandwidth) if isinstance(bandwidth, numbers.Real) else bandwidth
    good = isinstance(given, (tuple, list)) and len(given) == 2
    good = good and all(
        isinstance(s, numbers.Real) and not isinstance(s, bool) and 0 < float(s) < np.inf
        for s in given
    )
    if not good:
        raise ValueError(
            f"bandwidth must be 'median', a positive number or two of them, got {bandwidth!r}."
        )
    return float(given[0]), float(given[1])


def count(name, value, least=1):
    """Check a whole number."""
    good = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not good or value < least:
        raise ValueError(f"{name} must be a whole number of {least} or more, got {value!r}.")
    return int(value)


def whole_numbers(name, values, least):
    """Check whole numbers, one or an array of them."""
    numbers_ = np.asarray(values)
    good = numbers_.dtype.kind in "iuf" and np.isfinite(numbers_).all()
    if not good or (numbers_ != np.floor(numbers_)).any() or (numbers_ < least).any():
        raise ValueError(f"{name} must hold whole numbers of {least} or more, got {values!r}.")
    return numbers_
