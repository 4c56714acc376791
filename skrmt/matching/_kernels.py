"""Linear and Gaussian kernels of rows, their bandwidth, and what computing them takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np

from ..linalg._backend import Array, get_backend, to_numpy
from ..utils._memory import explains_memory

Kernel: TypeAlias = Literal["linear", "rbf", "precomputed"]

_CHUNK = 1 << 21
_MEDIAN_ROWS = 4096


def median_bandwidth(X: Array, *, max_rows: int = _MEDIAN_ROWS) -> float:
    r"""Return the median distance between rows.

    Parameters
    ----------
    X : ndarray or torch tensor of shape (n, p)
        Rows.
    max_rows : int, default=4096
        Beyond this number of rows, a fixed random choice of that many stands for all.

    Returns
    -------
    float
        Square root of the median of the n (n - 1) / 2 squared distances, in the unit of X. Where
        it is 0, the root of their mean; where that is 0 too, 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._kernels import median_bandwidth
    >>> median_bandwidth(np.array([[0.0], [1.0], [3.0]]))
    2.0
    """
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
    r"""Return the kernel of the rows of X with those of Z.

    Parameters
    ----------
    X : ndarray or torch tensor of shape (n, p)
        Rows.
    Z : ndarray or torch tensor of shape (m, p), optional
        Other rows; X by default.
    kernel : {"linear", "rbf"}, default="linear"
        :math:`x\cdot z`, or :math:`\exp(-|x-z|^2/(2s^2))`.
    bandwidth : float, default=1.0
        Length s of the second.

    Returns
    -------
    ndarray or torch tensor of shape (n, m)
        The kernel, in the dtype of X.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._kernels import kernel_matrix
    >>> kernel_matrix(np.array([[0.0], [2.0]]), kernel="rbf", bandwidth=2.0).round(4)
    array([[1.    , 0.6065],
           [0.6065, 1.    ]])
    """
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
    r"""Return a kernel less its means of rows and columns.

    Parameters
    ----------
    K : ndarray or torch tensor of shape (n, n)
        Symmetric kernel.
    debiased : bool, default=False
        Whether to U-centre it, which makes its diagonal and all sums of rows 0; HKH otherwise.

    Returns
    -------
    ndarray or torch tensor of shape (n, n)
        The centred kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._kernels import centred_kernel
    >>> centred_kernel(np.diag([2.0, 0.0, 0.0, 0.0])).sum(axis=0).round(12)
    array([0., 0., 0., 0.])
    """
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
    """Return squared distances of rows, not below 0.

    Parameters
    ----------
    left : ndarray or torch tensor of shape (n, p)
        Rows, best centred.
    right : ndarray or torch tensor of shape (m, p)
        Others.

    Returns
    -------
    ndarray or torch tensor of shape (n, m)
        The distances.
    """
    squares = (left * left).sum(1)[:, None] + (right * right).sum(1) - 2 * (left @ right.T)
    return get_backend(left).clip(squares, 0.0, None)


def centred_rows(X: Array, dtype: str | None = None) -> tuple[Array, float]:
    """Return rows less their mean, over the largest entry that is left.

    Parameters
    ----------
    X : ndarray or torch tensor of shape (n, p)
        Rows.
    dtype : str, optional
        Dtype of the result; that of X by default.

    Returns
    -------
    rows : ndarray or torch tensor of shape (n, p)
        Entries in [-1, 1].
    scale : float
        The largest entry; 1 if all are 0.
    """
    rows = X - column_means(X)
    scale = largest_entry(rows) or 1.0
    rows = rows / scale
    return (rows if dtype is None else get_backend(X).asarray(rows, like=X, dtype=dtype)), scale


def column_means(X: Array, dtype: str | None = None) -> Array:
    """Return column means, summed in float64.

    Parameters
    ----------
    X : ndarray or torch tensor of shape (n, p)
        Rows.
    dtype : str, optional
        Dtype of the result; that of X by default.

    Returns
    -------
    ndarray or torch tensor of shape (p,)
        The means.
    """
    n, p = (int(size) for size in X.shape)
    total = sum(as_float64(X[rows]).sum(0) / n for rows in row_blocks(n, p))
    return get_backend(X).asarray(total, like=X, dtype=dtype or dtype_name(X))


def row_blocks(n: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that hold about 2 million numbers.

    Parameters
    ----------
    n : int
        Number of rows.
    width : int
        Numbers in a row.

    Yields
    ------
    slice
        The next rows.
    """
    step = max(_CHUNK // max(width, 1), 1)
    for start in range(0, n, step):
        yield slice(start, min(start + step, n))


def largest_entry(X: Array) -> float:
    """Return the largest absolute entry.

    Parameters
    ----------
    X : ndarray or torch tensor
        Not empty.

    Returns
    -------
    float
        The entry.
    """
    return float(max(abs(float(X.max())), abs(float(X.min()))))


def as_float64(x: Array) -> Array:
    """Return x in float64.

    Parameters
    ----------
    x : ndarray or torch tensor
        Any numbers.

    Returns
    -------
    ndarray or torch tensor
        The array x itself if it is float64.
    """
    return get_backend(x).asarray(x, like=x, dtype="float64")


def dtype_name(x: Array) -> str:
    """Return the name of a floating-point dtype of either library.

    Parameters
    ----------
    x : ndarray or torch tensor
        Its dtype is meant.

    Returns
    -------
    str
        "float32" or "float64".
    """
    return "float32" if "float32" in str(x.dtype) else "float64"
