"""Linear and Gaussian kernels of rows, their bandwidth, and what computing them takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..linalg._backend import Array, get_backend, to_numpy
from ..utils._memory import explains_memory

Kernel: TypeAlias = Literal["linear", "rbf", "precomputed"]

# Numbers held at a time, about 16 MB.
_CHUNK = 1 << 21
# Rows whose distances the median is taken of: it varies by less than 1 % with the rows chosen.
_MEDIAN_ROWS = 4096


def median_bandwidth(X: Array, *, max_rows: int = _MEDIAN_ROWS) -> float:
    r"""Return the median distance between rows."""
    n = int(X.shape[0])
    if n > max_rows:
        chosen = np.sort(np.random.default_rng(0).choice(n, max_rows, replace=False))
        X = X[get_backend(X).asarray(chosen, like=X)]
    rows, scale = centred_rows(X, "float64")
    squares = to_numpy(squared_distances(rows, rows))
    values = squares[np.triu_indices(len(squares), 1)]
    if values.size == 0:
        return 1.0
    found = np.median(values) or values.mean()
    return float(np.sqrt(found) * scale) if found > 0 else 1.0


@explains_memory("fewer rows", "kernel_alignment, which holds kernels by blocks")
def kernel_matrix(
    X: Array, Z: Array | None = None, *, kernel: Kernel = "linear", bandwidth: float = 1.0
) -> Array:
    r"""Return the kernel of the rows of X with those of Z."""
    if kernel == "linear":
        return X @ (X if Z is None else Z).T
    backend = get_backend(X)
    mean = column_means(X)
    unit = float(bandwidth) * np.sqrt(2.0)
    left = (X - mean) / unit
    right = left if Z is None else (Z - mean) / unit
    found = backend.exp(-squared_distances(left, right))
    if Z is None:
        every = np.arange(int(X.shape[0]))
        found[every, every] = 1.0
    return found


def centred_kernel(K: Array, *, debiased: bool = False) -> Array:
    r"""Return a kernel less its means of rows and columns."""
    n = int(K.shape[0])
    if not debiased:
        means = K.mean(0)
        return K - means - means[:, None] + means.mean()
    every = np.arange(n)
    means = (K.sum(0) - K[every, every]) / (n - 2)
    centred = K - means - means[:, None] + means.sum() / (n - 1)
    centred[every, every] = 0.0
    return centred


def squared_distances(left: Array, right: Array) -> Array:
    """Return squared distances of rows, not below 0."""
    squares = (left * left).sum(1)[:, None] + (right * right).sum(1) - 2 * (left @ right.T)
    return get_backend(left).clip(squares, 0.0, None)


def centred_rows(X: Array, dtype: str | None = None) -> tuple[Array, float]:
    """Return rows less their mean, over the largest entry that is left."""
    rows = X - column_means(X)
    scale = largest_entry(rows) or 1.0
    rows = rows / scale
    return (rows if dtype is None else get_backend(X).asarray(rows, like=X, dtype=dtype)), scale


def column_means(X: Array, dtype: str | None = None) -> Array:
    """Return column means, summed in float64."""
    n, p = (int(size) for size in X.shape)
    total = sum(as_float64(X[rows]).sum(0) / n for rows in row_blocks(n, p))
    return get_backend(X).asarray(total, like=X, dtype=dtype or dtype_name(X))


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that hold about 2 million numbers."""
    step = max(_CHUNK // max(width, 1), 1)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def largest_entry(X: Array) -> float:
    """Return the largest absolute entry."""
    return float(max(abs(float(X.max())), abs(float(X.min()))))


def as_float64(x: Array) -> Array:
    """Return x in float64."""
    return get_backend(x).asarray(x, like=x, dtype="float64")


def numpy_float64(x: Array) -> NDArray[np.float64]:
    """Return an array of either library as NumPy float64."""
    return np.asarray(to_numpy(x), dtype=np.float64)


def dtype_name(x: Array) -> str:
    """Return the name of a floating-point dtype of either library."""
    return "float32" if "float32" in str(x.dtype) else "float64"
