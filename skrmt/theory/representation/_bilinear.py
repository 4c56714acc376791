"""How often a bilinear score finds the true match: for a given matrix, and for a learned one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.interpolate import CubicSpline

from .._checks import FloatArray, FloatOrArray, broadcast, finite_floats, unwrap
from ._checks import check_count, check_covariance, check_cross, dense
from ._similarity import check_queries, check_rho, check_top, chi_rule, mean_chance

# A conditional variance this far below 0, relative to that of the score, is rounding.
_ROUNDING = 1e-8
# The chance of a true score as a function of its mean; outside it is 0 or 1 to rounding.
_MEANS = np.linspace(-14.0, 22.0, 1201)
_NOISE = np.linspace(-8.0, 8.0, 65)
_NOISE_WEIGHTS = np.exp(-(_NOISE**2) / 2) / np.sum(np.exp(-(_NOISE**2) / 2))
# Orders that leave an error of 1e-5, measured against integrals in the tests.
_LENGTHS = 48
_COSINES = np.sin(np.linspace(-np.pi / 2, np.pi / 2, 1201))


class BilinearAccuracy(NamedTuple):
    """How often the true match is among the best scores.

    Attributes
    ----------
    accuracy : float
        Mean over the queries.
    queries : ndarray of shape (n,)
        The chance of each query.
    """

    accuracy: float
    queries: FloatArray


def bilinear_accuracy(
    X: ArrayLike,
    weights: ArrayLike,
    cov_x: ArrayLike,
    cov_y: ArrayLike,
    cross: ArrayLike,
    n_queries: int,
    k: int = 1,
) -> BilinearAccuracy:
    r"""Return how often a bilinear score puts the true match among the k best.

    Parameters
    ----------
    X : array-like of shape (n, p)
        Queries of the first side, less the mean of that side.
    weights : array-like of shape (p, q)
        Matrix W of the score :math:`x^\top W y`; any multiple of it gives the same. Linear local
        similarity without norms has the cross-covariance of the known pairs here.
    cov_x : array-like of shape (p, p) or (p,)
        Covariance :math:`S_x` of x, invertible, or its variances if it is diagonal.
    cov_y : array-like of shape (q, q) or (q,)
        Covariance :math:`S_y` of y.
    cross : array-like of shape (p, q) or (r,)
        Covariance C of x and y, or its diagonal.
    n_queries : int
        Number of candidates, the true match included.
    k : int, default=1
        How many candidates are looked at, from 1 to `n_queries`.

    Returns
    -------
    accuracy : float
        Mean chance over the queries.
    queries : ndarray of shape (n,)
        Chance of each query that its true match is among the k best; k / n_queries where the score
        of all candidates is 0.

    Raises
    ------
    ValueError
        If a shape or a number is wrong, `cov_x` is singular, or no joint law has these covariances.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    white_bilinear_accuracy : Averaged over queries and over the pairs that W is learned from.

    Notes
    -----
    Exact for centred Gaussian (x, y) and a W that does not depend on the queries. With
    :math:`w = W^\top x` and :math:`v = w^\top S_y w`, wrong candidates score :math:`N(0, v)`, and
    the true one, in units of :math:`\sqrt v`, has mean and variance

    .. math:: \mu = w^\top C^\top S_x^{-1} x/\sqrt v, \qquad
              \tau^2 = w^\top (S_y - C^\top S_x^{-1} C) w/v,

    so that the chance is :math:`E\,\Phi(\mu+\tau Z)^{N-1}` for k = 1, and the probability that a
    binomial variable of N - 1 trials with :math:`\Phi(-\mu-\tau Z)` is at most k - 1 in general.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.representation import bilinear_accuracy
    >>> X = np.random.default_rng(0).standard_normal((200, 50))
    >>> found = bilinear_accuracy(X, np.eye(50), np.ones(50), np.ones(50), np.full(50, 0.7), 100)
    >>> round(found.accuracy, 4)
    0.9925
    """
    first, second = check_covariance("cov_x", cov_x), check_covariance("cov_y", cov_y)
    C = check_cross(cross, first, second)
    queries, matrix = _check_score(X, weights, C.shape)
    size, top = check_queries(n_queries), check_count("k", k, 1, "It is how many are looked at.")
    if size.ndim or top.ndim:
        raise ValueError(
            f"n_queries and k must be single numbers, got {n_queries!r} and {k!r}. Call once for "
            "each."
        )
    check_top(top[None], size[None])
    scores = queries @ matrix
    variance = np.einsum("ij,ij->i", scores @ dense(second), scores)
    predicted = scores @ C.T
    explained = _solve(dense(first), np.stack([queries, predicted]).reshape(-1, len(C)))
    whitened, solved = explained.reshape(2, *queries.shape)
    known = variance > 0
    unit = np.sqrt(np.where(known, variance, 1.0))
    mean = np.einsum("ij,ij->i", predicted, whitened) / unit
    spread = 1 - np.einsum("ij,ij->i", predicted, solved) / unit**2
    if spread.min(initial=0.0) < -_ROUNDING:
        raise ValueError(
            f"cross must leave y a variance of 0 or more given x, got {spread.min():g} of it. Give "
            "covariances of one joint law, all estimated from the same rows or all shrunk equally."
        )
    chances = mean_chance(mean, np.sqrt(np.clip(spread, 0.0, 1.0)), float(size), float(top))
    chances = np.where(known, chances, top / size)
    return BilinearAccuracy(float(chances.mean()), chances)


def white_bilinear_accuracy(
    rho: ArrayLike,
    n_features: ArrayLike,
    n_pairs: ArrayLike,
    n_queries: ArrayLike,
    k: ArrayLike = 1,
) -> FloatOrArray:
    r"""Return how often a bilinear score of white features, learned from pairs, finds the match.

    All arguments broadcast against one another.

    Parameters
    ----------
    rho : array-like
        Correlation of each feature of x with the same feature of y, in [-1, 1].
    n_features : array-like of int
        Number d of features on each side, at least 2.
    n_pairs : array-like of int
        Number m of known pairs, at least 2.
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
    bilinear_accuracy : For any covariances and a given matrix of the score.
    similarity_accuracy : Similarities to known pairs that are independent of one another.

    Notes
    -----
    Model: :math:`(x, y)` Gaussian with :math:`S_x = S_y = I_d` and :math:`C = \rho I_d`, the score
    :math:`x^\top W y` with :math:`W = X_c^\top Y_c` of m pairs, centred. Turned so that x lies
    along the first axis, :math:`W^\top x` is a multiple of :math:`(G, g)` with
    :math:`G = \rho T+\sqrt{1-\rho^2}\,\zeta` and :math:`g\sim N(0, I_{d-1})`, where T has the law
    chi of m - 1 degrees of freedom and :math:`\zeta` is standard normal. Hence for k = 1, exactly,

    .. math:: P = E\,\Phi\bigl(\rho R\cos\theta+\sqrt{1-\rho^2}\,Z\bigr)^{N-1}, \qquad
              \cos\theta = \frac{G}{\sqrt{G^2+|g|^2}},

    with R of law chi of d degrees of freedom. In large dimension :math:`\cos\theta` is close to
    :math:`\rho\sqrt{m/(\rho^2m+d)}`. With many known pairs it tends to 1, and the
    accuracy to that of `similarity_accuracy` with d known pairs. Computed by quadrature to about
    1e-5.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> from skrmt.theory.representation import white_bilinear_accuracy
    >>> white_bilinear_accuracy([0.8, 0.6], [50, 100], [100, 320], [200, 500]).round(4)
    array([0.9522, 0.9183])
    """
    correlation, width, pairs, size, top = broadcast(
        rho=check_rho(rho),
        n_features=check_count("n_features", n_features, 2, "It is the number of features."),
        n_pairs=check_count("n_pairs", n_pairs, 2, "It is the number of known pairs."),
        n_queries=check_queries(n_queries),
        k=check_count("k", k, 1, "It is how many candidates are looked at."),
    )
    check_top(top, size)
    points = np.nditer([correlation, width, pairs, size, top])
    values = [_white_accuracy(*(float(value) for value in point)) for point in points]
    return unwrap(np.reshape(values, correlation.shape))


def _white_accuracy(rho: float, width: float, pairs: float, size: float, top: float) -> float:
    """Average over the direction learned, then over the length of the query."""
    if top >= size:
        return 1.0
    spread = np.sqrt((1 - rho) * (1 + rho))
    chances = CubicSpline(_MEANS, mean_chance(_MEANS, np.full_like(_MEANS, spread), size, top))
    known, known_weights = chi_rule(pairs - 1, _LENGTHS)
    noise, noise_weights = chi_rule(width - 1, _LENGTHS)
    length, length_weights = chi_rule(width, _LENGTHS)
    means = np.clip(rho * length * _COSINES[:, None], _MEANS[0], _MEANS[-1])
    by_cosine = CubicSpline(_COSINES, chances(means) @ length_weights)
    signal = rho * known[:, None] + spread * _NOISE
    cosine = signal[..., None] / np.hypot(signal[..., None], noise)
    total = known_weights @ (by_cosine(cosine) @ noise_weights) @ _NOISE_WEIGHTS
    return float(np.clip(total, 0.0, 1.0))


def _check_score(
    X: ArrayLike, weights: ArrayLike, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray]:
    """Return queries and matrix of the score, both with the features of the covariances."""
    queries = finite_floats("X", X, "Remove NaN and infinite entries.")
    matrix = finite_floats("weights", weights, "Remove NaN and infinite entries.")
    if queries.ndim != 2 or queries.shape[1] != shape[0] or len(queries) == 0:
        raise ValueError(
            f"X must have shape (n, {shape[0]}), one column a feature of cov_x, got "
            f"{queries.shape}. Give one row a query."
        )
    if matrix.shape != shape:
        raise ValueError(
            f"weights must have shape {shape}, that of the cross-covariance, got {matrix.shape}. "
            "Transpose it if it maps y to x."
        )
    largest = np.abs(matrix).max()
    return queries, matrix / largest if largest > 0 else matrix


def _solve(cov_x: FloatArray, rows: FloatArray) -> FloatArray:
    """Return rows times the inverse of a covariance."""
    values, vectors = np.linalg.eigh(cov_x)
    if values[0] <= 1e-13 * values[-1]:
        raise ValueError(
            f"cov_x must be invertible, got eigenvalues from {values[0]:g} to {values[-1]:g}. "
            "Shrink it, or project x on its leading principal components."
        )
    return (rows @ vectors / values) @ vectors.T
