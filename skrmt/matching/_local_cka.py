"""Local CKA: the CKA of known pairs together with each candidate pair, all at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg._backend import Array, get_backend
from ..utils._memory import explains_memory
from ._kernels import Kernel, as_float64, centred_rows, column_means, dtype_name, kernel_matrix


class LocalKernels(NamedTuple):
    """Kernels of the items of one side with the base of known pairs.

    Attributes
    ----------
    base : array of shape (m, m)
        Of the base with itself.
    query : array of shape (n, m)
        Of the queries with the base.
    diagonal : array of shape (n,)
        Of each query with itself.
    """

    base: Array
    query: Array
    diagonal: Array


def local_kernels(
    X_base: Array, X_query: Array, *, kernel: Kernel = "linear", bandwidth: float = 1.0
) -> LocalKernels:
    """Return the kernels that local CKA takes of one side."""
    backend = get_backend(X_base)
    n = int(X_query.shape[0])
    if kernel == "rbf":
        mean, unit = column_means(X_base), float(bandwidth)
        base, query = (X_base - mean) / unit, (X_query - mean) / unit
        diagonal = backend.asarray(np.ones(n), like=base, dtype=dtype_name(base))
        return LocalKernels(
            kernel_matrix(base, kernel="rbf"), kernel_matrix(query, base, kernel="rbf"), diagonal
        )
    base, scale = centred_rows(X_base)
    query = (X_query - column_means(X_base)) / scale
    return LocalKernels(base @ base.T, query @ base.T, (query * query).sum(1))


def local_cka_factors(
    first: LocalKernels, second: LocalKernels, *, debiased: bool = True
) -> tuple[Array, Array]:
    r"""Return rows whose scalar products are all local CKA scores."""
    backend = get_backend(first.base, second.base)
    (K, k, kappa), (L, ell, lam) = (_bordered(side, debiased) for side in (first, second))
    m = int(K.shape[0])
    alpha = 2 * (m - 2) / (m - 1) if debiased else 2 * m / (m + 1)
    beta = 0.0 if debiased else (m / (m + 1)) ** 2
    shared = float((K * L).sum())
    found = []
    for base, query, own, like, corner in (
        (K, k, kappa, first.query, shared),
        (L, ell, lam, second.query, 1.0),
    ):
        norms = (base * base).sum() + alpha * (query * query).sum(1) + beta * own**2
        norms = backend.sqrt(norms)
        inverse = backend.where(norms > 0, 1.0 / backend.where(norms > 0, norms, norms + 1.0), 0.0)
        columns = [alpha**0.5 * query, beta**0.5 * own[:, None], own[:, None] * 0.0 + corner]
        rows = backend.concatenate(columns, axis=1) * inverse[:, None]
        found.append(backend.asarray(rows, like=rows, dtype=dtype_name(like)))
    return found[0], found[1]


@explains_memory("fewer candidates")
def local_cka_scores(first: LocalKernels, second: LocalKernels, *, debiased: bool = True) -> Array:
    """Return the CKA of the known pairs together with each candidate pair."""
    left, right = local_cka_factors(first, second, debiased=debiased)
    return left @ right.T


def _bordered(side: LocalKernels, debiased: bool) -> tuple[Array, Array, Array]:
    """Return the centred base kernel, the centred rows of the queries, and their own entries."""
    base, query, own = (as_float64(part) for part in side)
    m = int(base.shape[0])
    every = np.arange(m)
    sums = base.sum(0)
    if not debiased:
        means, level = sums / m, sums.sum() / m**2
        shift = query.mean(1)
        centred = base - means - means[:, None] + level
        return centred, query - means - shift[:, None] + level, own - 2 * shift + level
    means = (sums - base[every, every]) / (m - 2)
    level = means.sum() / (m - 1)
    centred = base - means - means[:, None] + level
    centred[every, every] = 0.0
    rows = query - means
    return centred, rows - rows.mean(1)[:, None], own * 0.0
