"""Gaussian embeddings: what CKA shows, how many dimensions count, how many pairs can be matched."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, in_range, unwrap
from ._checks import check_count, check_covariance, check_cross


def effective_dimension(cov: ArrayLike) -> float:
    r"""Return how many equal directions a covariance or a kernel amounts to.

    Parameters
    ----------
    cov : array-like of shape (p,) or (p, p)
        A covariance or kernel matrix, positive semi-definite, or its eigenvalues.

    Returns
    -------
    float
        :math:`d = (\mathrm{tr}\,S)^2/|S|^2`, between 1 and p.

    Raises
    ------
    ValueError
        If `cov` has another shape, is not finite, not symmetric, has negative eigenvalues, or is
        zero.
    TypeError
        If `cov` is not numeric.

    See Also
    --------
    expected_cka : Where it decides how large biased CKA is without any relation.

    Notes
    -----
    It is p for p equal eigenvalues and 1 for a single one. Also called participation ratio. A
    sample covariance of n rows understates it: its squared norm has mean
    :math:`|S|^2(1+1/(n-1)) + (\mathrm{tr}\,S)^2/(n-1)` for Gaussian rows.

    Examples
    --------
    >>> from skrmt.theory.representation import effective_dimension
    >>> effective_dimension([1.0, 1.0, 1.0])
    3.0
    >>> effective_dimension([[2.0, 0.0], [0.0, 1.0]])
    1.8
    """
    array = check_covariance("cov", cov)
    scaled = array / np.abs(array).max()
    dimension = _trace(scaled) ** 2 / float(np.sum(scaled**2))
    return min(max(dimension, 1.0), float(len(array)))


def expected_cka(
    n: ArrayLike,
    cov_x: ArrayLike,
    cov_y: ArrayLike,
    cross: ArrayLike | None = None,
    *,
    debiased: bool = False,
) -> FloatOrArray:
    r"""Return the expected linear CKA of Gaussian embeddings.

    Parameters
    ----------
    n : array-like of int
        Number of rows compared, at least 2.
    cov_x : array-like of shape (p, p) or (p,)
        Covariance :math:`S_x` of the first embedding, or its variances if it is diagonal.
    cov_y : array-like of shape (q, q) or (q,)
        Covariance :math:`S_y` of the second.
    cross : array-like of shape (p, q) or (r,), optional
        Covariance C of the two, :math:`C_{ij} = \mathrm{Cov}(x_i, y_j)`; or its diagonal, with
        :math:`r \le \min(p, q)`. Zero by default: unrelated embeddings.
    debiased : bool, default=False
        Whether the CKA is the debiased one, which estimates the population value.

    Returns
    -------
    float or ndarray
        Expected CKA, in [0, 1], of the shape of `n`.

    Raises
    ------
    ValueError
        If `n` is below 2 or not whole, a covariance has a wrong shape or a negative eigenvalue,
        or `cross` is larger than the covariances allow.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    debiased_cka_null : The law of debiased CKA without any relation.
    effective_dimension : What decides how large biased CKA is by chance.

    Notes
    -----
    Exactly, for n Gaussian rows and :math:`h(K, L) = \mathrm{tr}(KHLH)`,

    .. math:: E\,h(K,L) = (n-1)\,[\,n|C|^2 + \mathrm{tr} S_x\,\mathrm{tr} S_y\,],
              \quad E\,h(K,K) = (n-1)\,[\,n|S_x|^2 + (\mathrm{tr} S_x)^2\,],

    and the CKA is their ratio to leading order in 1/n:

    .. math:: E\,\mathrm{CKA} \simeq \frac{n|C|^2 + \mathrm{tr} S_x\,\mathrm{tr} S_y}
              {\sqrt{(n|S_x|^2 + (\mathrm{tr} S_x)^2)(n|S_y|^2 + (\mathrm{tr} S_y)^2)}}.

    Unrelated embeddings have :math:`[(1+n/d_x)(1+n/d_y)]^{-1/2}` with the effective dimensions
    d, which tends to 1 where n is far below them: a large biased CKA proves nothing. The debiased
    CKA tends to :math:`|C|^2/(|S_x||S_y|)` with a bias of order 1/n.

    References
    ----------
    Similarity of Neural Network Representations Revisited, arXiv:1905.00414.

    Examples
    --------
    >>> from skrmt.theory.representation import expected_cka
    >>> import numpy as np
    >>> x, y = np.arange(1, 51) ** -0.5, np.arange(1, 81) ** -0.5
    >>> round(expected_cka(100, x, y), 5)
    0.30643
    >>> expected_cka(100, x, y, debiased=True)
    0.0
    """
    rows = check_count("n", n, 2, "It is the number of rows compared.")
    first, second = check_covariance("cov_x", cov_x), check_covariance("cov_y", cov_y)
    related = check_cross(cross, first, second)
    scales = np.abs(first).max(), np.abs(second).max()
    first, second = first / scales[0], second / scales[1]
    related = related / np.sqrt(scales[0]) / np.sqrt(scales[1])
    shared = np.sum(related**2)
    squares = np.sum(first**2), np.sum(second**2)
    if debiased:
        return unwrap(np.full_like(rows, min(shared / np.sqrt(squares[0] * squares[1]), 1.0)))
    traces = _trace(first), _trace(second)
    own = [rows * square + trace**2 for square, trace in zip(squares, traces, strict=True)]
    return unwrap((rows * shared + traces[0] * traces[1]) / np.sqrt(own[0] * own[1]))


def _trace(array: FloatArray) -> float:
    """Return the trace of a matrix, or the sum of its eigenvalues."""
    return float(array.sum() if array.ndim == 1 else np.trace(array))


def mutual_information(canonical_correlations: ArrayLike) -> FloatOrArray:
    r"""Return the information of one Gaussian embedding of an item about the other.

    Parameters
    ----------
    canonical_correlations : array-like of shape (..., r)
        Canonical correlations :math:`\rho_k` in [0, 1], of the population.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`I = -\tfrac12\sum_k\log(1-\rho_k^2)`, in nats; `inf` at a correlation of 1.

    Raises
    ------
    ValueError
        If a correlation is outside [0, 1].
    TypeError
        If the correlations are not numeric.

    See Also
    --------
    recoverable_size : How many pairs this suffices for.

    Notes
    -----
    Sample canonical correlations are too large unless the number of pairs is many times the number
    of features; use correlations of held-out pairs.

    Examples
    --------
    >>> from skrmt.theory.representation import mutual_information
    >>> round(mutual_information([0.9, 0.6, 0.0]), 6)
    1.053509
    """
    rho = in_range(
        "canonical_correlations", canonical_correlations, 0.0, 1.0, "both", "They are correlations."
    )
    with np.errstate(divide="ignore"):
        return unwrap(0.0 - 0.5 * np.sum(np.log1p(-np.atleast_1d(rho)) + np.log1p(rho), axis=-1))


def recoverable_size(canonical_correlations: ArrayLike) -> FloatOrArray:
    r"""Return how many pairs of Gaussian embeddings can be matched without any error.

    Parameters
    ----------
    canonical_correlations : array-like of shape (..., r)
        Canonical correlations :math:`\rho_k` in [0, 1], of the population.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`e^{I/2}`, with the mutual information I of `mutual_information`; `inf` where it
        exceeds the largest float.

    Raises
    ------
    ValueError
        If a correlation is outside [0, 1].
    TypeError
        If the correlations are not numeric.

    See Also
    --------
    mutual_information : The information in one pair.

    Notes
    -----
    With many weak correlations, exact recovery of N shuffled pairs is possible where
    :math:`I > 2\log N` and impossible where it is smaller, whatever the method: two pairs are
    swapped with probability about :math:`e^{-I}`, and there are about :math:`N^2/2` couples. With
    known covariances the maximum-likelihood assignment gets there.

    References
    ----------
    Database Alignment with Gaussian Features, arXiv:1903.01422.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.representation import recoverable_size
    >>> round(recoverable_size(np.full(64, 0.5)), 2)
    99.77
    """
    with np.errstate(over="ignore"):
        return unwrap(np.exp(np.asarray(mutual_information(canonical_correlations)) / 2))
