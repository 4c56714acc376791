"""How large the loss of a batch may get: by luck, and because the learning rate is high."""

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import quad
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq
from scipy.stats import chi2

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap

_LARGEST_INDEX = 40.0
"""A tail of this index is out of reach of any run; larger ones are given as infinite."""
_NODES = 120
"""Nodes of the Gauss-Laguerre quadrature of a chi-square variable."""


def spike_p_value(loss: ArrayLike, risk: ArrayLike, batch_size: ArrayLike) -> FloatOrArray:
    r"""Return the probability that the loss of a batch is as large as observed, by luck.

    All arguments broadcast against one another.

    Parameters
    ----------
    loss : array-like
        Half the mean squared residual of the batch, 0 or more.
    risk : array-like
        Its expectation, 0 or more.
    batch_size : array-like
        Rows B of the batch, 1 or more.

    Returns
    -------
    float or ndarray
        :math:`P(\chi^2_B > BL/R)`: uniform on [0, 1] if the residuals are Gaussian with this risk.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    risk_curve : The expectation.

    Notes
    -----
    Given the weights, residuals of Gaussian data are Gaussian, so that B L / R has the law
    :math:`\chi^2_B` exactly, for the risk R of these weights.

    Examples
    --------
    >>> from skrmt.theory.sgd import spike_p_value
    >>> spike_p_value([0.5, 2.0], 0.5, 6).round(5)
    array([0.42319, 0.00052])
    """
    observed, expected, size = broadcast(
        loss=in_range("loss", loss, 0, np.inf, "both", "It is half a mean square."),
        risk=in_range("risk", risk, 0, np.inf, "both", "It is half a mean square."),
        batch_size=in_range("batch_size", batch_size, 1, np.inf, "left", "It counts rows."),
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(observed == 0, 0.0, observed / expected)
    # Both infinite: nothing can be said against this loss.
    ratio = np.where(np.isnan(ratio), 0.0, ratio)
    return unwrap(chi2.sf(size * ratio, size))


def tail_index(learning_rate: ArrayLike, n_features: ArrayLike) -> FloatOrArray:
    r"""Return how heavy the tails of the weights are, for batches of one row.

    Parameters
    ----------
    learning_rate : array-like
        Learning rate :math:`\eta`, positive, for features of variance 1.
    n_features : array-like
        Number p of independent Gaussian features, 1 or more; broadcasts with `learning_rate`.

    Returns
    -------
    float or ndarray
        The index k: the distance of the weights from the best ones exceeds r with a probability
        that falls like :math:`r^{-k}`. `inf` above 40, 0 where there is no stationary law.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    critical_learning_rate : The rate at which the index is 2.

    Notes
    -----
    A step multiplies the squared distance by

    .. math:: \rho = 1-2\eta u^2+\eta^2u^2(u^2+c), \quad u\sim N(0,1), \quad c\sim\chi^2_{p-1},

    and the index solves :math:`E\rho^{k/2} = 1`. The variance of the loss is finite only for
    k > 4; rates with k of 8 or more have few spikes. Below k = 2 the mean risk is infinite, though
    the typical one may be small.

    References
    ----------
    The Heavy-Tail Phenomenon in SGD, arXiv:2006.04740.

    Examples
    --------
    >>> from skrmt.theory.sgd import tail_index
    >>> tail_index([0.1, 0.14, 1 / 6], 10).round(3)
    array([12.831,  6.06 ,  2.   ])
    """
    remedy = "Use critical_learning_rate to find stable ones."
    eta, p = broadcast(
        learning_rate=in_range("learning_rate", learning_rate, 0, np.inf, "neither", remedy),
        n_features=in_range("n_features", n_features, 1, np.inf, "left", "It counts features."),
    )
    found = [_index(float(e), float(d)) for e, d in zip(eta.ravel(), p.ravel(), strict=True)]
    return unwrap(np.reshape(found, eta.shape))


def _index(eta: float, p: float) -> float:
    """Return the root of E rho^(k/2) = 1, which is convex in k and 1 at k = 0."""

    def excess(k: float) -> float:
        return _log_moment(eta, p, k)

    if excess(_LARGEST_INDEX) < 0:
        return np.inf
    low = 1.0
    while excess(low) >= 0:
        low /= 2
        if low < 1e-3:
            return 0.0
    return float(brentq(excess, low, _LARGEST_INDEX, xtol=1e-13))


def _log_moment(eta: float, p: float, k: float) -> float:
    """Return log E rho^(k/2)."""
    if p == 1:
        return _log_moment_one(eta, k)
    u2, weights_u = _chi_square_rule(1.0)
    c, weights_c = _chi_square_rule(p - 1.0)
    excess = eta * u2[:, None] * (eta * (u2[:, None] + c) - 2)
    with np.errstate(divide="ignore"):
        powers = 0.5 * k * np.log1p(np.maximum(excess, -1))
    top = powers.max()
    if top < 30:
        return float(np.log1p(weights_u @ np.expm1(powers) @ weights_c))
    return float(top + np.log(weights_u @ np.exp(powers - top) @ weights_c))


def _log_moment_one(eta: float, k: float) -> float:
    """Return log E |1 - eta u^2|^k, whose kink Gaussian quadrature would not see."""
    kink = 1 / np.sqrt(eta)
    ends = [0.0, kink, max(2 * kink, 12.0), max(4 * kink, 60.0)]

    def density(u: float) -> float:
        return float(np.exp(-u * u / 2) * np.abs(1 - eta * u * u) ** k)

    parts = [quad(density, a, b, epsabs=0, epsrel=1e-11, limit=400)[0] for a, b in pairwise(ends)]
    return float(np.log(sum(parts) * np.sqrt(2 / np.pi)))


def _chi_square_rule(degrees: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for a chi-square variable: Gauss and Laguerre, normalised."""
    alpha = degrees / 2 - 1
    order = np.arange(_NODES, dtype=np.float64)
    inner = order[1:]
    diagonal, side = 2 * order + alpha + 1, np.sqrt(inner * (inner + alpha))
    nodes = np.asarray(eigh_tridiagonal(diagonal, side, eigvals_only=True), dtype=np.float64)
    return 2 * np.maximum(nodes, 0), _gauss_weights(nodes, diagonal, side)


def _gauss_weights(nodes: FloatArray, diagonal: FloatArray, side: FloatArray) -> FloatArray:
    """Return one over the sum of the squared orthonormal polynomials, at each node."""
    last, now, squares, log_scale = np.zeros_like(nodes), *np.ones((2, nodes.size)), 0.0 * nodes
    for k in range(side.size):
        before = side[k - 1] if k else 0.0
        last, now = now, ((nodes - diagonal[k]) * now - before * last) / side[k]
        scale = np.maximum(np.abs(now), 1.0)
        last, now, squares = last / scale, now / scale, (squares / scale**2)
        squares, log_scale = squares + now**2, log_scale + 2 * np.log(scale)
    return np.exp(-log_scale) / squares
