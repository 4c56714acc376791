"""Which sparse data are too large for one decomposition."""

from __future__ import annotations

from typing import Any

from scipy import sparse

EXACT_SIDE = 600
"""Smaller side of sparse data up to which its Gram matrix is decomposed: beyond, ten refits by
Krylov spaces are faster, and the time of both is about equal here."""

EXACT_ENTRIES = 1 << 24
"""Numbers of left singular vectors, 128 MB, beyond which they are not stored."""


def needs_krylov(X: Any) -> bool:
    """Return whether a sparse matrix is too wide and tall for one decomposition.

    Parameters
    ----------
    X : array, sparse matrix, tensor or dask array of shape (n, p)
        The data.

    Returns
    -------
    bool
        True where its smaller side exceeds 600, or left singular vectors would take more than
        128 MB and four times the data.

    Examples
    --------
    >>> from scipy import sparse
    >>> from skrmt.linalg import needs_krylov
    >>> needs_krylov(sparse.csr_array((1000, 50))), needs_krylov(sparse.csr_array((1000, 5000)))
    (False, True)
    """
    if not sparse.issparse(X):
        return False
    side, rows = min(X.shape), X.shape[0]
    return side > EXACT_SIDE or (X.shape[1] < rows and rows * side > max(EXACT_ENTRIES, 4 * X.nnz))
