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
    """Return the kernels that local CKA takes of one side.

    Parameters
    ----------
    X_base : ndarray or torch tensor of shape (m, p)
        Base: the known pairs of this side.
    X_query : ndarray or torch tensor of shape (n, p)
        Queries.
    kernel : {"linear", "rbf"}, default="linear"
        The kernel.
    bandwidth : float, default=1.0
        Length of the RBF kernel.

    Returns
    -------
    LocalKernels
        Kernels up to a factor, of features less the mean of the base; local CKA sees neither.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._local_cka import local_kernels
    >>> local_kernels(np.eye(3), np.eye(3)[:2], kernel="rbf").query.round(3)
    array([[1.   , 0.368, 0.368],
           [0.368, 1.   , 0.368]])
    """
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
    r"""Return rows whose scalar products are all local CKA scores.

    Parameters
    ----------
    first : LocalKernels
        Kernels of one side, with n queries.
    second : LocalKernels
        Kernels of the other, with n' queries and the same m known pairs in the same order.
    debiased : bool, default=True
        Whether the CKA is the debiased one; it needs m >= 4.

    Returns
    -------
    left : ndarray or torch tensor of shape (n, m + 2)
        One row for each query of the first side.
    right : ndarray or torch tensor of shape (n', m + 2)
        One row for each query of the second.

    Notes
    -----
    The score of a candidate pair (i, j) is the CKA of the m known pairs together with it. Bordering
    HKH by the row :math:`\tilde k_i`, the similarities of i to the base less their means, and by
    :math:`\kappa_i`, its squared distance to the mean of the base, gives for all pairs at once

    .. math:: \mathrm{num}_{ij} = \langle K_c,L_c\rangle + \tfrac{2m}{m+1}\tilde k_i\cdot\tilde l_j
              + \bigl(\tfrac{m}{m+1}\bigr)^2\kappa_i\lambda_j,

    and the norms likewise with :math:`\tilde k_i` and :math:`\kappa_i` twice. With U-centring the
    diagonal is 0 and only :math:`\tilde k_i = t_i - \bar t_i`, with :math:`t_i = k_i - r/(m-2)` and
    the row sums r of the base, remains, times :math:`2(m-2)/(m-1)`. All is a scalar product of
    m + 2 numbers. The cost is O((n + n') m + m^2), and O(n n' m) for all scores.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._local_cka import local_cka_factors, local_kernels
    >>> X = np.random.default_rng(0).standard_normal((9, 3))
    >>> side = local_kernels(X[:6], X[6:])
    >>> left, right = local_cka_factors(side, side)
    >>> (left @ right.T).round(3)
    array([[1.   , 0.907, 0.996],
           [0.907, 1.   , 0.92 ],
           [0.996, 0.92 , 1.   ]])
    """
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
    """Return the CKA of the known pairs together with each candidate pair.

    Parameters
    ----------
    first : LocalKernels
        Kernels of one side, with n queries.
    second : LocalKernels
        Kernels of the other, with n' queries.
    debiased : bool, default=True
        Whether the CKA is the debiased one.

    Returns
    -------
    ndarray or torch tensor of shape (n, n')
        The scores, exact; 0 where a kernel is zero. By `local_cka_factors`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching._local_cka import local_cka_scores, local_kernels
    >>> X = np.random.default_rng(0).standard_normal((9, 3))
    >>> side = local_kernels(X[:6], X[6:])
    >>> local_cka_scores(side, side, debiased=False).argmax(axis=1)
    array([0, 1, 2])
    """
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
