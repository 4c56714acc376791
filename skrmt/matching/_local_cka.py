"""Local CKA: the CKA of known pairs together with each candidate pair, all at once."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..linalg import as_device, is_torch
from ..linalg._backend import Array, get_backend
from ..utils._memory import explains_memory
from ._inputs import check_kernel_name, check_sides, resolve_bandwidths, same_library
from ._kernels import Kernel, as_float64, centred_rows, column_means, dtype_name, kernel_matrix

LocalKernels: TypeAlias = tuple[Array, Array, Array]
"""Of one side: kernels of known items (m, m), of queries with them (n, m), of each query (n,)."""


@explains_memory("fewer candidates")
def local_cka_scores(
    X: Any,
    Y: Any,
    X_query: Any,
    Y_query: Any,
    *,
    kernel: Kernel = "rbf",
    debiased: bool = True,
    bandwidth: Any = "median",
) -> Array:
    """Score every candidate pair by the CKA of the known pairs together with it.

    Parameters
    ----------
    X : array-like or torch tensor of shape (m, p)
        One side of the known pairs.
    Y : array-like or torch tensor of shape (m, q)
        The other side, in the same order.
    X_query : array-like or torch tensor of shape (n, p)
        Queries.
    Y_query : array-like or torch tensor of shape (n', q)
        Candidates.
    kernel : {"linear", "rbf"}, default="rbf"
        Kernel of both sides.
    debiased : bool, default=True
        Whether to take the debiased CKA; it needs 4 known pairs.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side; "median" is that of the known pairs.

    Returns
    -------
    ndarray or torch tensor of shape (n, n')
        The scores, exact.

    Raises
    ------
    ValueError
        If a side is no finite matrix, lengths or widths differ, or there are too few known pairs.

    Notes
    -----
    All candidates together cost one product of an n x (m + 2) with an (m + 2) x n' matrix.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import local_cka_scores
    >>> X = np.random.default_rng(0).standard_normal((30, 4))
    >>> local_cka_scores(X[:25], X[:25], X[25:], X[25:]).argmax(axis=1)
    array([0, 1, 2, 3, 4])
    """
    check_kernel_name(kernel, ("linear", "rbf"))
    least = 4 if debiased else 2
    X, Y = check_sides(X, Y, min_samples=least)
    X_query, Y_query = check_sides(X_query, Y_query, names=("X_query", "Y_query"), paired=False)
    sides = []
    widths = resolve_bandwidths(bandwidth, X, Y, kernel)
    for name, known, query, width in zip("XY", (X, Y), (X_query, Y_query), widths, strict=True):
        if known.shape[1] != query.shape[1]:
            raise ValueError(
                f"{name}_query has {query.shape[1]} features and {name} {known.shape[1]}: both "
                "must come from the same encoder."
            )
        known, query = _beside(known, query)
        sides.append(local_kernels(known, query, kernel=kernel, bandwidth=width))
    left, right = local_cka_factors(*sides, debiased=debiased)
    return left @ right.T


def _beside(known, query):
    """Return two arrays in one library."""
    if is_torch(known) and not is_torch(query):
        return known, as_device(query, str(known.device))
    return same_library(known, query)


def local_kernels(
    X: Array, X_query: Array, *, kernel: Kernel = "linear", bandwidth: float = 1.0
) -> LocalKernels:
    """Return the kernels that local CKA takes of one side."""
    backend = get_backend(X)
    n = int(X_query.shape[0])
    if kernel == "rbf":
        mean, unit = column_means(X), float(bandwidth)
        known, query = (X - mean) / unit, (X_query - mean) / unit
        diagonal = backend.asarray(np.ones(n), like=known, dtype=dtype_name(known))
        return (
            kernel_matrix(known, kernel="rbf"),
            kernel_matrix(query, known, kernel="rbf"),
            diagonal,
        )
    known, scale = centred_rows(X)
    query = (X_query - column_means(X)) / scale
    return known @ known.T, query @ known.T, (query * query).sum(1)


def local_cka_factors(
    first: LocalKernels, second: LocalKernels, *, debiased: bool = True
) -> tuple[Array, Array]:
    """Return rows whose scalar products are all local CKA scores."""
    backend = get_backend(first[0], second[0])
    (K, k, kappa), (L, ell, lam) = (_bordered(side, debiased) for side in (first, second))
    m = int(K.shape[0])
    alpha = 2 * (m - 2) / (m - 1) if debiased else 2 * m / (m + 1)
    beta = 0.0 if debiased else (m / (m + 1)) ** 2
    shared = float((K * L).sum())
    found = []
    for known, query, own, like, corner in (
        (K, k, kappa, first[1], shared),
        (L, ell, lam, second[1], 1.0),
    ):
        norms = (known * known).sum() + alpha * (query * query).sum(1) + beta * own**2
        norms = backend.sqrt(norms)
        inverse = backend.where(norms > 0, 1.0 / backend.where(norms > 0, norms, norms + 1.0), 0.0)
        columns = [alpha**0.5 * query, beta**0.5 * own[:, None], own[:, None] * 0.0 + corner]
        rows = backend.concatenate(columns, axis=1) * inverse[:, None]
        found.append(backend.asarray(rows, like=rows, dtype=dtype_name(like)))
    return found[0], found[1]


def _bordered(side: LocalKernels, debiased: bool) -> tuple[Array, Array, Array]:
    """Return the centred kernel of the known items, rows of the queries, and own entries."""
    known, query, own = (as_float64(part) for part in side)
    m = int(known.shape[0])
    every = np.arange(m)
    sums = known.sum(0)
    if not debiased:
        means, level = sums / m, sums.sum() / m**2
        shift = query.mean(1)
        centred = known - means - means[:, None] + level
        return centred, query - means - shift[:, None] + level, own - 2 * shift + level
    means = (sums - known[every, every]) / (m - 2)
    level = means.sum() / (m - 1)
    centred = known - means - means[:, None] + level
    centred[every, every] = 0.0
    rows = query - means
    return centred, rows - rows.mean(1)[:, None], own * 0.0
