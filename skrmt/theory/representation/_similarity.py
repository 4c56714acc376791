"""How often the nearest neighbour by similarities to known pairs is the right one."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaincinv, gammainc, gammaincc, log_ndtr, ndtr, ndtri

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._checks import check_count

# The trapezoidal rule is exact to rounding where the integrand is analytic and decays.
_NORMAL_NODES = np.linspace(-9.0, 9.0, 301)
_NORMAL_WEIGHTS = np.exp(-(_NORMAL_NODES**2) / 2) / np.sum(np.exp(-(_NORMAL_NODES**2) / 2))
# Orders and tail that leave an error of 1e-10, measured against integrals in the tests.
_ORDER_NODES = 240
_CHI_NODES = 160
_TAIL = 1e-18
# Where the noise of the true score is smaller, the rule for its mean would see its steps.
_LITTLE_NOISE = 0.3
_BLOCK = 1 << 19
# Beyond this number of degrees of freedom a chi variable is Gaussian to rounding in its effect.
_MANY = 1e13


def similarity_accuracy(
    rho: ArrayLike, n_pairs: ArrayLike, n_queries: ArrayLike, k: ArrayLike = 1
) -> FloatOrArray:
    r"""Return how often a query's true match is among its k best by similarities to known pairs.

    All arguments broadcast against one another.

    Parameters
    ----------
    rho : array-like
        Correlation of the similarities of a true pair to a seed, in [-1, 1].
    n_pairs : array-like
        Number m of known pairs, at least 1; may be an effective number that is not whole, where
        similarities to different known pairs are correlated.
    n_queries : array-like of int
        Number N of candidates, the true match included.
    k : array-like of int, default=1
        How many candidates are looked at, from 1 to `n_queries`.

    Returns
    -------
    float or ndarray
        Probability that the true match has one of the k largest scores.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    required_pairs : The number of known pairs that a wanted accuracy takes.
    white_bilinear_accuracy : The same for features instead of similarities to known pairs.

    Notes
    -----
    Model: the similarities of query i to the m known pairs are :math:`k_i\sim N(0, I_m)` on one
    side and :math:`l_i = \rho k_i + \sqrt{1-\rho^2}\,z_i` on the other, and the score of a pair is
    :math:`k_i\cdot l_j`. Divided by :math:`R = |k_i|`, wrong scores are standard normal, and the
    true one is :math:`u = \rho R + \sqrt{1-\rho^2}\,Z` with R of law chi with m degrees of
    freedom and Z standard normal, so that

    .. math:: P = E\,P\bigl(\mathrm{Binomial}(N-1, \Phi(-u)) \le k-1\bigr),
              \qquad P = E\,\Phi(u)^{N-1}\ \text{for}\ k=1.

    One query is almost surely right from about :math:`2\log N/\rho^2` pairs on, all N from about
    :math:`8\log N/\rho^2` on, and all N by one-to-one assignment from about
    :math:`4\log N/\rho^2` on, for small :math:`\rho`. Computed by quadrature to 1e-10.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> from skrmt.theory.representation import similarity_accuracy
    >>> round(similarity_accuracy(0.5, 40, 200), 4)
    0.6545
    >>> similarity_accuracy(0.3, 200, 500, k=[1, 5]).round(4)
    array([0.8747, 0.9708])
    """
    correlation, pairs, size, top = broadcast(
        rho=check_rho(rho),
        n_pairs=in_range(
            "n_pairs", n_pairs, 1.0, np.inf, "left", "It is the number of known pairs."
        ),
        n_queries=check_queries(n_queries),
        k=check_count("k", k, 1, "It is how many candidates are looked at."),
    )
    check_top(top, size)
    points = np.nditer([correlation, pairs, size, top])
    values = [_similarity_accuracy(*(float(value) for value in point)) for point in points]
    return unwrap(np.reshape(values, correlation.shape))


def required_pairs(
    accuracy: ArrayLike, rho: ArrayLike, n_queries: ArrayLike, k: ArrayLike = 1
) -> FloatOrArray:
    r"""Return the smallest number of known pairs that makes nearest neighbours right often enough.

    All arguments broadcast against one another.

    Parameters
    ----------
    accuracy : array-like
        Wanted probability that the true match is among the k best, in (0, 1).
    rho : array-like
        Correlation of the similarities of a true pair to a seed, in [-1, 1].
    n_queries : array-like of int
        Number of candidates, the true match included.
    k : array-like of int, default=1
        How many candidates are looked at, from 1 to `n_queries`.

    Returns
    -------
    float or ndarray
        A whole number of known pairs, at least 1; `inf` where no number suffices, that is for `rho`
        of 0 or less, and where the number exceeds the largest float.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    similarity_accuracy : The accuracy at a number of known pairs, and its model.

    Notes
    -----
    :math:`\min\{s : A_k(\rho, s) \geq A\}` with A the wanted accuracy and :math:`A_k` that of
    `similarity_accuracy`, which increases with the number of known pairs for positive `rho`; found
    by bisection. The pairs are independent ones: where similarities to different known pairs are
    correlated, the number is an effective one, and more pairs are needed.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> from skrmt.theory.representation import required_pairs, similarity_accuracy
    >>> required_pairs(0.9, 0.5, 200)
    67.0
    >>> similarity_accuracy(0.5, [66, 67], 200).round(4)
    array([0.8993, 0.9044])
    """
    wanted, correlation, size, top = broadcast(
        accuracy=in_range(
            "accuracy", accuracy, 0.0, 1.0, "neither", "It is a probability that can be reached."
        ),
        rho=check_rho(rho),
        n_queries=check_queries(n_queries),
        k=check_count("k", k, 1, "It is how many candidates are looked at."),
    )
    check_top(top, size)
    points = np.nditer([wanted, correlation, size, top])
    values = [_required_pairs(*(float(value) for value in point)) for point in points]
    return unwrap(np.reshape(values, wanted.shape))


def _similarity_accuracy(rho: float, n_pairs: float, n_queries: float, k: float) -> float:
    """Average the tail of the true score over the best wrong score that it has to beat."""
    if k >= n_queries:
        return 1.0
    rival, weights = rival_rule(n_queries, k)
    spread = np.sqrt((1 - rho) * (1 + rho))
    if spread >= _LITTLE_NOISE:
        lengths, chi_weights = chi_rule(n_pairs, _CHI_NODES)
        tail = ndtr((rho * lengths - rival[:, None]) / spread) @ chi_weights
    else:
        tail = _tail_of_length(rho, spread, n_pairs, rival)
    return float(min(weights @ tail, 1.0))


def _tail_of_length(rho: float, spread: float, n_pairs: float, rival: FloatArray) -> FloatArray:
    """Return P(rho R + spread Z > rival) from the exact law of R, averaged over Z."""
    least = (rival[:, None] - spread * _NORMAL_NODES) / rho
    half_square = np.maximum(least, 0.0) ** 2 / 2
    law = gammaincc if rho > 0 else gammainc
    return np.asarray(law(n_pairs / 2, half_square) @ _NORMAL_WEIGHTS)


def _required_pairs(accuracy: float, rho: float, n_queries: float, k: float) -> float:
    """Bracket by doubling and bisect between whole numbers."""
    if _similarity_accuracy(rho, 1.0, n_queries, k) >= accuracy:
        return 1.0
    if rho <= 0:
        return np.inf
    low, high = 1.0, 2.0
    while _similarity_accuracy(rho, high, n_queries, k) < accuracy:
        low, high = high, 2 * high
    while high - low > max(1.0, 4e-16 * high):
        middle = np.floor((low + high) / 2)
        enough = _similarity_accuracy(rho, middle, n_queries, k) >= accuracy
        low, high = (low, middle) if enough else (middle, high)
    return high


def mean_chance(mean: FloatArray, spread: FloatArray, n_queries: float, k: float) -> FloatArray:
    """Return the chance that a Gaussian true score is among the k best of n_queries."""
    if k >= n_queries:
        return np.ones_like(mean)
    found = np.empty_like(mean)
    rival, weights = rival_rule(n_queries, k)
    smooth = spread >= 3 * (rival[1] - rival[0])
    for rows in _blocks(np.flatnonzero(smooth)):
        gaps = (mean[rows, None] - rival) / spread[rows, None]
        found[rows] = ndtr(gaps) @ weights
    for rows in _blocks(np.flatnonzero(~smooth)):
        scores = mean[rows, None] + spread[rows, None] * _NORMAL_NODES
        found[rows] = betaincc(k, n_queries - k, ndtr(-scores)) @ _NORMAL_WEIGHTS
    return found


def _blocks(rows: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
    """Yield row numbers by blocks whose tables stay small."""
    step = _BLOCK // len(_NORMAL_NODES)
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def rival_rule(n_queries: float, k: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for the k-th largest of n_queries - 1 standard normal variables."""
    high = -ndtri(betaincinv(k, n_queries - k, _TAIL))
    low = ndtri(betaincinv(n_queries - k, k, _TAIL))
    nodes = np.linspace(low, high, _ORDER_NODES)
    log_density = (k - 1) * log_ndtr(-nodes) + (n_queries - k - 1) * log_ndtr(nodes) - nodes**2 / 2
    weights = np.exp(log_density - log_density.max())
    return nodes, weights / weights.sum()


def chi_rule(dof: float, n_nodes: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of a quadrature for a chi variable."""
    t, weights = np.polynomial.legendre.leggauss(n_nodes)
    mode = np.sqrt(dof - 1)
    low, high = -6.5, 9.0
    if mode + low > 0:
        away = low + (high - low) * (t + 1) / 2
        log_factor = 0.0
    else:
        root = (t + 1) / 2 * np.sqrt(mode + high)
        away = root**2 - mode
        log_factor = np.log(root)
    nodes = mode + away
    if dof > _MANY:
        log_density = -(away**2)
    else:
        log_density = log_factor - away**2 / 2 - mode * away
        if dof > 1:
            log_density = log_density + (dof - 1) * np.log1p(away / mode)
    weights = weights * np.exp(log_density - log_density.max())
    return nodes, weights / weights.sum()


def check_rho(rho: ArrayLike) -> FloatArray:
    """Return correlations in [-1, 1] as floats."""
    return in_range("rho", rho, -1.0, 1.0, "both", "It is a correlation.")


def check_queries(n_queries: ArrayLike) -> FloatArray:
    """Return numbers of candidates as floats."""
    return check_count(
        "n_queries", n_queries, 1, "It is the number of candidates, the true match included."
    )


def check_top(k: FloatArray, n_queries: FloatArray) -> None:
    """Refuse to look at more candidates than there are."""
    if (k > n_queries).any():
        worst = k > n_queries
        raise ValueError(
            f"k must be at most n_queries, got k={k[worst].flat[0]:g} of "
            f"{n_queries[worst].flat[0]:g} candidates. Look at fewer."
        )
