"""CKA and HSIC of two sets of embeddings, and their law under random pairing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.random import RandomState
from scipy.stats import false_discovery_control

from ..theory.representation import KernelInvariants, debiased_cka_null, moments_of_invariants
from ..utils._random import random_generator
from ..utils._types import DataLike
from ._inputs import (
    check_kernel_name,
    check_kernels,
    check_sides,
    count,
    resolve_bandwidths,
)
from ._kernel_alignment import kernel_alignment, minibatch_cka
from ._kernels import (
    centred_kernel,
    centred_rows,
    largest_entry,
    numpy_float64,
    squared_distances,
)
from ._linear_assignment import take, take_rows
from ._permutation_law import permutation_skewness, upper_tail

# Random pairings that are drawn in one task.
_LOT = 32
_MOST_ROWS = 500
"""Rows of which the skewness of the null law is worked out, a random choice of more: it depends on
the shape of the spectra, which they show."""


class CKATest(NamedTuple):
    """CKA and its law under random pairing.

    Attributes
    ----------
    statistic : float
        The CKA.
    z_score : float
        Its distance from the mean over all pairings, in standard deviations.
    p_value : float
        Probability of as large a value under random pairing.
    null_mean : float
        Mean over all pairings.
    null_std : float
        Standard deviation over all pairings.
    null_skewness : float
        Skewness over all pairings: 0 for a normal law, 2.8 where one direction dominates each side.
    """

    statistic: float
    z_score: float
    p_value: float
    null_mean: float
    null_std: float
    null_skewness: float


class CKAMatrix(NamedTuple):
    """CKA of every encoder with every other, and which are similar beyond chance.

    Attributes
    ----------
    cka : ndarray of shape (a, b)
        The CKAs.
    z_score : ndarray of shape (a, b)
        Distances from the mean over random pairings, in standard deviations.
    p_value : ndarray of shape (a, b)
        One-sided, corrected for the number of comparisons.
    significant : ndarray of bool of shape (a, b)
        Where the p-value is at most the level.
    names : tuple of tuple
        Names of rows and columns.
    """

    cka: np.ndarray
    z_score: np.ndarray
    p_value: np.ndarray
    significant: np.ndarray
    names: tuple


def _checked(X, Y, kernel, debiased, bandwidth):
    """Return the checked sides and the bandwidths."""
    check_kernel_name(kernel)
    least = 4 if debiased else 2
    check = check_kernels if kernel == "precomputed" else check_sides
    X, Y = check(X, Y, min_samples=least)
    return X, Y, resolve_bandwidths(bandwidth, X, Y, kernel)


def cka(
    X: DataLike,
    Y: DataLike,
    *,
    kernel: Literal["linear", "rbf", "precomputed"] = "linear",
    debiased: bool = True,
    bandwidth: Literal["median"] | float | Sequence[float] = "median",
    batch_size: int | None = None,
) -> float:
    r"""Compute the centred kernel alignment of two sets of embeddings of the same items.

    Parameters
    ----------
    X : array-like or torch tensor of shape (n, p)
        One side; its kernel (n, n) if precomputed.
    Y : array-like or torch tensor of shape (n, q)
        The other side, in the same order.
    kernel : {"linear", "rbf", "precomputed"}, default="linear"
        Kernel of both sides.
    debiased : bool, default=True
        Whether the mean over random pairings is 0. The biased CKA tends to 1 for unrelated
        embeddings of many features.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side.
    batch_size : int, default=None
        Average HSICs over batches of that many consecutive rows, at least 4; all rows together if
        None.

    Returns
    -------
    float
        In [0, 1], or [-1, 1] if debiased. 0 if a side is constant.

    Raises
    ------
    ValueError
        If a side is no finite matrix, the lengths differ, there are fewer than 4 rows (2 if not
        debiased), or a precomputed kernel is not symmetric.

    See Also
    --------
    cka_test : Whether it is beyond chance.

    Notes
    -----
    :math:`\langle K_c,L_c\rangle/(|K_c||L_c|)` with centred or U-centred kernels. A linear kernel
    of fewer features than rows costs O(n p q) and takes memory for the covariances only; others
    O(n^2 (p + q)), by blocks.

    References
    ----------
    Similarity of Neural Network Representations Revisited, arXiv:1905.00414. Do Vision and Language
    Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import cka
    >>> X = np.random.default_rng(0).standard_normal((100, 300))
    >>> Y = np.random.default_rng(1).standard_normal((100, 300))
    >>> round(cka(X, Y, debiased=False), 2), round(abs(cka(X, Y)), 2)
    (0.75, 0.0)
    """
    X, Y, bandwidths = _checked(X, Y, kernel, debiased, bandwidth)
    options = {"kernel": kernel, "debiased": debiased, "bandwidths": bandwidths}
    if batch_size is None:
        return kernel_alignment(X, Y, **options).cka
    return minibatch_cka(X, Y, count("batch_size", batch_size, 4), **options)


def hsic(
    X: DataLike,
    Y: DataLike,
    *,
    kernel: Literal["linear", "rbf", "precomputed"] = "linear",
    debiased: bool = True,
    bandwidth: Literal["median"] | float | Sequence[float] = "median",
) -> float:
    r"""Compute the Hilbert-Schmidt independence criterion of two sets of embeddings.

    Parameters
    ----------
    X : array-like or torch tensor of shape (n, p)
        One side; its kernel (n, n) if precomputed.
    Y : array-like or torch tensor of shape (n, q)
        The other side, in the same order.
    kernel : {"linear", "rbf", "precomputed"}, default="linear"
        Kernel of both sides.
    debiased : bool, default=True
        Whether to take the unbiased estimator.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side.

    Returns
    -------
    float
        In the product of the units of the kernels.

    Raises
    ------
    ValueError
        As for `cka`.

    Notes
    -----
    :math:`\mathrm{tr}(KHLH)/(n-1)^2`, or :math:`\langle U(K),U(L)\rangle/(n(n-3))`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import hsic
    >>> X = np.arange(12.0).reshape(6, 2) ** 1.5
    >>> round(hsic(X, X[:, :1] ** 2, debiased=False), 1)
    46634966.8
    """
    X, Y, bandwidths = _checked(X, Y, kernel, debiased, bandwidth)
    return kernel_alignment(X, Y, kernel=kernel, debiased=debiased, bandwidths=bandwidths).hsic


def cka_test(
    X: DataLike,
    Y: DataLike,
    *,
    kernel: Literal["linear", "rbf", "precomputed"] = "linear",
    debiased: bool = True,
    n_permutations: int = 0,
    bandwidth: Literal["median"] | float | Sequence[float] = "median",
    n_jobs: int | None = None,
    random_state: int | RandomState | None = None,
) -> CKATest:
    r"""Test whether two sets of embeddings are similar beyond chance.

    Parameters
    ----------
    X : array-like or torch tensor of shape (n, p)
        One side; its kernel (n, n) if precomputed.
    Y : array-like or torch tensor of shape (n, q)
        The other side, in the same order.
    kernel : {"linear", "rbf", "precomputed"}, default="linear"
        Kernel of both sides.
    debiased : bool, default=True
        Whether the statistic is the debiased CKA.
    n_permutations : int, default=0
        Random pairings for the p-value; a gamma law with the exact moments if 0.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side.
    n_jobs : int, default=None
        Number of lots of pairings that are drawn at a time. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
        Seed of the pairings.

    Returns
    -------
    CKATest
        `statistic`, `z_score`, `p_value`, `null_mean`, `null_std`, `null_skewness`.

    Raises
    ------
    ValueError
        As for `cka`, with at least 4 rows.

    Notes
    -----
    Mean, variance and skewness over all n! pairings are exact, without drawing any; the skewness is
    that of a random choice of 500 rows where there are more. Debiased, the first two are 0 and
    :math:`2/(n(n-3))`, for any data and any kernels. Few dominating eigenvalues skew the law to the
    right: with one on each side :math:`1+\sqrt2\,z` follows chi-square of 1 degree of freedom, and
    z = 4 has the p-value 0.01, not the 0.00003 of a normal law. The p-value is that of a gamma law,
    shifted and scaled, with the same three moments (Pearson's type III), which is that chi-square
    law there and the normal law where no direction dominates; a negative skewness is taken for 0.
    Where single rows decide, as with Cauchy's law, `n_permutations` gives an exact one:
    :math:`(1+r)/(1+n_{perm})` with r pairings at or above the statistic. A constant side has
    statistic and z-score 0 and p-value 1.

    References
    ----------
    Kazi-Aoual, Hitier, Sabatier and Lebreton, Refined approximations to permutation tests for
    multivariate inference, Computational Statistics & Data Analysis 20 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import cka_test
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((100, 20))
    >>> found = cka_test(X, X[:, :5] + rng.standard_normal((100, 5)))
    >>> round(found.statistic, 2), found.z_score > 10
    (0.25, True)
    """
    number = count("n_permutations", n_permutations, 0)
    X, Y, bandwidths = _checked(X, Y, kernel, True, bandwidth)
    options = {"kernel": kernel, "debiased": debiased, "bandwidths": bandwidths}
    found = kernel_alignment(X, Y, **options)
    mean, std = _null(found)
    if not found.first[1] or not found.second[1]:
        return CKATest(0.0, 0.0, 1.0, mean, std, 0.0)
    z_score = (found.cka - mean) / std if std > 0 else 0.0
    skewness = _skewness(X, Y, options) if std > 0 else 0.0
    if not number:
        return CKATest(found.cka, z_score, upper_tail(z_score, skewness), mean, std, skewness)
    orders = _orders(number, found.n, random_generator(random_state))
    larger = _count_larger(X, Y, options, found.cka, orders, n_jobs)
    return CKATest(found.cka, z_score, (1 + larger) / (1 + number), mean, std, skewness)


def _null(found):
    """Return mean and standard deviation over all pairings."""
    if found.debiased:
        null = debiased_cka_null(found.n)
        return float(null.mean), float(null.std)
    if not found.first[1] or not found.second[1]:
        return 0.0, 0.0
    null = moments_of_invariants(
        found.n, KernelInvariants(*found.first), KernelInvariants(*found.second)
    )
    return float(null.mean), float(null.std)


def _skewness(X, Y, options):
    """Return the skewness over all pairings, of some of many rows."""
    n = int(X.shape[0])
    if n > _MOST_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(n, _MOST_ROWS, replace=False))
        square = options["kernel"] == "precomputed"
        X, Y = (take(Z, rows, rows) if square else take_rows(Z, rows) for Z in (X, Y))
    return permutation_skewness(*_centred_sides(X, Y, options))


def _centred_sides(X, Y, options):
    """Return the centred kernels of both sides, in units of their own."""
    return [
        centred_kernel(_kernel(Z, options["kernel"], width), debiased=options["debiased"])
        for Z, width in zip((X, Y), options["bandwidths"], strict=True)
    ]


def _kernel(Z, kernel, bandwidth):
    """Return the kernel of rows up to what centring takes off, and a factor."""
    if kernel == "precomputed":
        return numpy_float64(Z) / (largest_entry(Z) or 1.0)
    rows, scale = centred_rows(Z, "float64")
    rows = numpy_float64(rows)
    if kernel == "linear":
        return rows @ rows.T
    rows = rows * (scale / (float(bandwidth) * np.sqrt(2.0)))
    return np.expm1(-squared_distances(rows, rows))


def _orders(number, n, rng):
    """Yield random pairings in lots."""
    for first in range(0, number, _LOT):
        yield [rng.permutation(n) for _ in range(first, min(first + _LOT, number))]


def _count_larger(X, Y, options, statistic, orders, n_jobs):
    """Count the pairings whose CKA is not below a value."""
    K, L = _centred_sides(X, Y, options)
    K /= np.linalg.norm(K)
    L /= np.linalg.norm(L)
    return sum(
        Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_count_lot)(K, L, lot, statistic) for lot in orders
        )
    )


def _count_lot(K, L, orders, statistic):
    """Count the pairings of a lot whose CKA is not below a value."""
    values = [float((K * L[np.ix_(order, order)]).sum()) for order in orders]
    return sum(value >= statistic - 1e-12 for value in values)


def cka_matrix(
    encoders: Any,
    others: Any = None,
    *,
    kernel: Literal["linear", "rbf", "precomputed"] = "linear",
    debiased: bool = True,
    bandwidth: Literal["median"] | float = "median",
    correction: Literal["holm", "fdr"] | None = "holm",
    level: float = 0.05,
    n_jobs: int | None = None,
) -> CKAMatrix:
    """Compare every layer or encoder with every other, and test which are similar beyond chance.

    Parameters
    ----------
    encoders : sequence of array-like of shape (n, p_k), or dict of str to such
        Embeddings of the same items, in the same order.
    others : sequence or dict, default=None
        What to compare them with; one another if None.
    kernel : {"linear", "rbf", "precomputed"}, default="linear"
        Kernel of all.
    debiased : bool, default=True
        Whether to take the debiased CKA.
    bandwidth : "median" or float, default="median"
        Length of the RBF kernels.
    correction : {"holm", "fdr"} or None, default="holm"
        How p-values are corrected: for any false finding (Holm), or for their share (Benjamini and
        Hochberg).
    level : float, default=0.05
        Largest corrected p-value that counts as significant.
    n_jobs : int, default=None
        Number of pairs that are compared at a time.

    Returns
    -------
    CKAMatrix
        `cka`, `z_score`, `p_value`, `significant`, `names`.

    Raises
    ------
    ValueError
        If there is nothing to compare, or as for `cka`.

    See Also
    --------
    skrmt.inspection.CKAMatrixDisplay : Draws it.

    Notes
    -----
    Compared with one another, each pair counts once and an encoder with itself not at all; the
    p-value on the diagonal is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.matching import cka_matrix
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((60, 8))
    >>> found = cka_matrix({"a": X, "b": X @ rng.standard_normal((8, 5)), "noise": X[::-1]})
    >>> found.significant.astype(int)
    array([[1, 1, 0],
           [1, 1, 0],
           [0, 0, 1]])
    """
    if correction not in ("holm", "fdr", None):
        raise ValueError(f"correction must be 'holm', 'fdr' or None, got {correction!r}.")
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level!r}.")
    rows, row_names = _listed("encoders", encoders)
    columns, column_names = (rows, row_names) if others is None else _listed("others", others)
    shape = len(rows), len(columns)
    cka_values, z_scores, p_values = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    pairs = [
        (i, j) for i in range(shape[0]) for j in range(shape[1]) if others is not None or i < j
    ]
    compared = pairs + [(i, i) for i in range(shape[0]) if others is None]
    options = {"kernel": kernel, "debiased": debiased, "bandwidth": bandwidth}
    tests = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(cka_test)(rows[i], columns[j], **options) for i, j in compared
    )
    for (i, j), test in zip(compared, tests, strict=True):
        cka_values[i, j], z_scores[i, j], p_values[i, j], *_ = test
    tested = tuple(np.array(pairs).T) if pairs else (np.array([], int), np.array([], int))
    p_values[tested] = _corrected(p_values[tested], correction)
    if others is None:
        np.fill_diagonal(p_values, 0.0)
        for values in (cka_values, z_scores, p_values):
            values += np.triu(values, 1).T
    return CKAMatrix(cka_values, z_scores, p_values, p_values <= level, (row_names, column_names))


def _listed(name, encoders):
    """Return embeddings and their names."""
    if isinstance(encoders, dict):
        arrays, names = list(encoders.values()), tuple(str(key) for key in encoders)
    elif isinstance(encoders, (list, tuple)):
        arrays = list(encoders)
        names = tuple(str(i) for i in range(len(arrays)))
    else:
        raise TypeError(
            f"{name} must be a list or dict of embeddings, got {type(encoders).__name__}."
        )
    sizes = [len(array) if hasattr(array, "__len__") else None for array in arrays]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"{name} must be embeddings of the same items, got {sizes} rows: give as many of each."
        )
    if not arrays:
        raise ValueError(f"{name} must hold one set of embeddings or more, got none.")
    return arrays, names


def _corrected(p_values, correction):
    """Return p-values corrected for their number."""
    if correction is None or not len(p_values):
        return p_values
    if correction == "fdr":
        return false_discovery_control(p_values)
    order = np.argsort(p_values)
    factors = np.arange(len(p_values), 0, -1)
    result = np.empty_like(p_values)
    result[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return result
