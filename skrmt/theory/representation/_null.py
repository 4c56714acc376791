"""What CKA of unrelated rows is: exact laws under random permutations."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, finite_floats, unwrap
from ._checks import check_count, check_symmetric

# Invariants summed in float32 are off by this much.
_ROUNDING = 1e-5
_ROWS = "It is the number of rows, and the law takes 4 or more."


class NullMoments(NamedTuple):
    """Mean and spread of a similarity when one side is permuted at random.

    Attributes
    ----------
    mean : float or ndarray
        Mean over all permutations.
    std : float or ndarray
        Standard deviation over all permutations.
    """

    mean: FloatOrArray
    std: FloatOrArray


class KernelInvariants(NamedTuple):
    """What the permutation law takes of a centred kernel A = HKH.

    Attributes
    ----------
    trace : float
        Trace of A.
    squares : float
        Sum of the squares of all entries.
    diagonal : float
        Sum of the squares of the diagonal.
    """

    trace: float
    squares: float
    diagonal: float


def debiased_cka_null(n: ArrayLike) -> NullMoments:
    r"""Return the mean and the standard deviation of debiased CKA between unrelated rows.

    Parameters
    ----------
    n : array-like of int
        Number of rows compared, at least 4.

    Returns
    -------
    mean : float or ndarray
        0.
    std : float or ndarray
        :math:`\sqrt{2/(n(n-3))}`.

    Raises
    ------
    ValueError
        If `n` is below 4 or not whole.
    TypeError
        If `n` is not numeric.

    See Also
    --------
    permutation_moments : The same for biased CKA, where the data matter.

    Notes
    -----
    The law is that of a uniform permutation of the rows of one side, and holds for any data and
    any kernels: U-centred kernels have rows that sum to 0 and a diagonal of zeros, so that in the
    variance of `permutation_moments` only

    .. math:: \frac{2 (n-1)^2 |A|^2 |B|^2}{(n-1)^2 (n+1)(n-2)}
              + \frac{4 (n-1)^2 |A|^2 |B|^2}{(n+1) n (n-1) (n-2) (n-3)}
              = \frac{2 |A|^2 |B|^2}{n (n-3)}

    remains. Hence :math:`z = \mathrm{CKA}\,\sqrt{n(n-3)/2}` has mean 0 and variance 1 without a
    single permutation. It is close to Gaussian unless a few eigenvalues dominate a kernel: then
    large values are less rare.

    References
    ----------
    Kazi-Aoual, Hitier, Sabatier and Lebreton, Refined approximations to permutation tests for
    multivariate inference, Computational Statistics & Data Analysis 20 (1995).

    Examples
    --------
    >>> from skrmt.theory.representation import debiased_cka_null
    >>> null = debiased_cka_null(320)
    >>> null.mean, round(null.std, 6)
    (0.0, 0.00444)
    """
    rows = check_count("n", n, 4, _ROWS)
    return NullMoments(unwrap(np.zeros_like(rows)), unwrap(np.sqrt(2 / rows / (rows - 3))))


def permutation_moments(
    K: ArrayLike, L: ArrayLike, *, statistic: Literal["cka", "hsic"] = "cka"
) -> NullMoments:
    r"""Return the exact mean and standard deviation of biased CKA under random permutations.

    Parameters
    ----------
    K, L : array-like of shape (n, n)
        Symmetric kernel matrices of the same n >= 4 items, centred or not.
    statistic : {"cka", "hsic"}, default="cka"
        Whether the law is that of :math:`\mathrm{CKA}` or of
        :math:`\mathrm{HSIC} = \mathrm{tr}(KHLH)/(n-1)^2`, with :math:`H = I - 11^\top/n`.

    Returns
    -------
    mean : float
        Mean over all permutations of the items of one side.
    std : float
        Standard deviation over all permutations.

    Raises
    ------
    ValueError
        If a matrix is not square, symmetric and finite, if the sizes differ or are below 4, if a
        centred kernel is zero, or if `statistic` is unknown.
    TypeError
        If a matrix is not numeric.

    See Also
    --------
    debiased_cka_null : Debiased CKA, whose law is free of the data.
    moments_of_invariants : The same from three numbers of each kernel, without n x n matrices.

    Notes
    -----
    With A = HKH, :math:`T = \mathrm{tr} A`, :math:`T_2 = |A|^2`, :math:`S_2 = \sum_a A_{aa}^2`, and
    :math:`U, U_2, V_2` the same of B = HLH,

    .. math::

        E \langle A, PBP^\top\rangle &= \frac{TU}{n-1}, \\
        \mathrm{Var} \langle A, PBP^\top\rangle &=
        \frac{2[(n-1)T_2 - T^2][(n-1)U_2 - U^2]}{(n-1)^2(n+1)(n-2)} \\
        &+ \frac{[n(n+1)S_2 - (n-1)(T^2+2T_2)][n(n+1)V_2 - (n-1)(U^2+2U_2)]}
                {(n+1)n(n-1)(n-2)(n-3)}.

    CKA divides by :math:`\sqrt{T_2U_2}`, which no permutation changes. The cost is
    :math:`O(n^2)`.

    References
    ----------
    Kazi-Aoual, Hitier, Sabatier and Lebreton, Refined approximations to permutation tests for
    multivariate inference, Computational Statistics & Data Analysis 20 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.representation import permutation_moments
    >>> x, y = np.arange(6.0), np.array([0.0, 1.0, 4.0, 9.0, 16.0, 25.0])
    >>> null = permutation_moments(np.outer(x, x), np.outer(y, y))
    >>> round(null.mean, 6), round(null.std, 6)
    (0.2, 0.215433)
    """
    _check_statistic(statistic)
    (a, size_a, n), (b, size_b, other) = _invariants("K", K), _invariants("L", L)
    if n != other:
        raise ValueError(
            f"K and L must be of the same items, got {n} rows and {other}. Compute both on the "
            "same rows."
        )
    scale = 1.0 if statistic == "cka" else size_a / (n - 1) * (size_b / (n - 1))
    return _moments(float(n), a, b, scale)


def moments_of_invariants(
    n: int,
    first: KernelInvariants,
    second: KernelInvariants,
    *,
    statistic: Literal["cka", "hsic"] = "cka",
) -> NullMoments:
    r"""Return the permutation law of biased CKA from three numbers of each kernel.

    Parameters
    ----------
    n : int
        Number of items, at least 4.
    first, second : KernelInvariants
        Trace, sum of squares and sum of squares of the diagonal of HKH and of HLH. With a linear
        kernel they take no n x n matrix: the sum of squares is that of :math:`X_c^\top X_c`, and
        the diagonal holds the squared lengths of the centred rows.
    statistic : {"cka", "hsic"}, default="cka"
        Whether the law is that of CKA or of :math:`\mathrm{HSIC} = \mathrm{tr}(KHLH)/(n-1)^2`.

    Returns
    -------
    mean : float
        Mean over all permutations of the items of one side.
    std : float
        Standard deviation over all permutations.

    Raises
    ------
    ValueError
        If `n` is below 4, a sum of squares is not positive and finite, the invariants are those of
        no centred kernel, or `statistic` is unknown.
    TypeError
        If a number is not real.

    See Also
    --------
    permutation_moments : From the kernels, and the formula.

    Notes
    -----
    With A = HKH and B = HLH, the mean over all permutations is

    .. math:: \frac{\mathrm{tr}A\;\mathrm{tr}B}{(n-1)\,\|A\|\,\|B\|}

    for CKA, and :math:`\mathrm{tr}A\,\mathrm{tr}B/(n-1)^3` for HSIC; the variance is that of
    `permutation_moments`.

    References
    ----------
    Kazi-Aoual, Hitier, Sabatier and Lebreton, Refined approximations to permutation tests for
    multivariate inference, Computational Statistics & Data Analysis 20 (1995).

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.representation import KernelInvariants, moments_of_invariants
    >>> X = np.random.default_rng(0).standard_normal((1000, 3))
    >>> X -= X.mean(axis=0)
    >>> lengths = np.sum(X**2, axis=1)
    >>> squares = np.sum((X.T @ X) ** 2)
    >>> own = KernelInvariants(lengths.sum(), squares, np.sum(lengths**2))
    >>> round(moments_of_invariants(1000, own, own).mean, 6)
    0.00299
    """
    _check_statistic(statistic)
    rows = check_count("n", n, 4, _ROWS)
    if rows.ndim:
        raise ValueError(f"n must be a single number, got {n!r}. Call once for each.")
    total = float(rows)
    a, b = _scaled("first", first, total), _scaled("second", second, total)
    sizes = [float(np.sqrt(side.squares)) / (total - 1) for side in (first, second)]
    return _moments(total, a, b, 1.0 if statistic == "cka" else sizes[0] * sizes[1])


def _moments(n: float, a: KernelInvariants, b: KernelInvariants, scale: float) -> NullMoments:
    """Return the moments from invariants of kernels of norm 1."""
    mean = a.trace * b.trace / (n - 1)
    return NullMoments(float(scale * mean), float(scale * np.sqrt(_variance(a, b, n))))


def _check_statistic(statistic: str) -> None:
    """Refuse an unknown statistic."""
    if statistic not in ("cka", "hsic"):
        raise ValueError(f"statistic must be 'cka' or 'hsic', got {statistic!r}. Choose one.")


def _scaled(name: str, given: KernelInvariants, n: float) -> KernelInvariants:
    """Return the invariants of the kernel divided by its norm, checked."""
    trace, squares, diagonal = finite_floats(
        name, [float(value) for value in given], "Compute the invariants in float64."
    )
    if not squares > 0:
        raise ValueError(
            f"{name} must have a positive sum of squares, got {squares:g}. Check for constant "
            "features or copies of one row."
        )
    found = KernelInvariants(trace / np.sqrt(squares), 1.0, diagonal / squares)
    slack = 1 + _ROUNDING
    low, high = found.trace**2 / n, min(1.0, found.diagonal * slack)
    if found.trace**2 > (n - 1) * slack or low > high * slack or found.diagonal > slack:
        raise ValueError(
            f"{name} must be the invariants of one centred kernel of n={n:g} items, got trace "
            f"{given.trace:g}, squares {given.squares:g} and diagonal {given.diagonal:g}. Sum the "
            "squares of HKH and of its diagonal."
        )
    return found


def _invariants(name: str, kernel: ArrayLike) -> tuple[KernelInvariants, float, int]:
    """Return the invariants of a kernel, centred and of norm 1, that norm, and the items."""
    matrix = check_symmetric(name, kernel, "It holds the similarities of n items, n by n.")
    n = len(matrix)
    if n < 4:
        raise ValueError(f"{name} must have at least 4 rows, got {n}. Compare more items.")
    largest = np.abs(matrix).max()
    centred = _centre(matrix / largest) if largest > 0 else matrix
    norm = float(np.linalg.norm(centred))
    if norm <= 8 * n * np.finfo(float).eps:
        raise ValueError(
            f"{name} must differ between items, got a kernel that is zero once centred. Check for "
            "constant features or copies of one row."
        )
    diagonal = np.diag(centred) / norm
    found = KernelInvariants(float(diagonal.sum()), 1.0, float(diagonal @ diagonal))
    return found, norm * float(largest), n


def _centre(matrix: FloatArray) -> FloatArray:
    """Subtract the means of rows and columns of a symmetric matrix."""
    means = matrix.mean(axis=0)
    return matrix - means - means[:, None] + means.mean()


def _variance(a: KernelInvariants, b: KernelInvariants, n: float) -> float:
    """Return the variance of <A, P B P^T> over permutations P."""
    spread = [max((n - 1) * side.squares - side.trace**2, 0.0) for side in (a, b)]
    corner = [
        n * (n + 1) * side.diagonal - (n - 1) * (side.trace**2 + 2 * side.squares)
        for side in (a, b)
    ]
    first = 2 * spread[0] * spread[1] / ((n - 1) ** 2 * (n + 1) * (n - 2))
    second = corner[0] * corner[1] / ((n + 1) * n * (n - 1) * (n - 2) * (n - 3))
    return max(first + second, 0.0)
