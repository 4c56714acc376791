"""Which learning rates are stable, and how low the risk gets with them."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap


def check_eigenvalues(eigenvalues: Any) -> FloatArray:
    """Check the eigenvalues of a second moment."""
    remedy = "They are eigenvalues of E[x x']; clip rounding errors at 0."
    array = in_range("eigenvalues", eigenvalues, 0, np.inf, "left", remedy)
    if array.ndim != 1 or not array.size:
        raise ValueError(
            f"eigenvalues must be a vector of 1 number or more, got shape {array.shape}."
        )
    if not array.any():
        raise ValueError("eigenvalues are all 0: there is nothing to learn from.")
    return array


def check_batch_size(batch_size: Any) -> FloatArray:
    """Check batch sizes: 1 or more, infinity for the whole gradient."""
    return in_range("batch_size", batch_size, 1, np.inf, "both", "It is a number of rows.")


def check_noise_variance(noise_variance: Any) -> FloatArray:
    """Check the variance of the noise: 0 or more."""
    return in_range("noise_variance", noise_variance, 0, np.inf, "left", "It is a variance.")


def check_momentum(momentum: Any) -> FloatArray:
    """Check momenta: from 0 to below 1."""
    return in_range("momentum", momentum, 0, 1, "left", "From 1 on the velocity does not fade.")


def noise_amplification(
    eigenvalues: ArrayLike,
    learning_rate: ArrayLike,
    batch_size: ArrayLike,
    *,
    momentum: ArrayLike = 0.0,
) -> FloatOrArray:
    r"""Return how strongly the noise of the gradient feeds on itself.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues :math:`\lambda_j` of the second moment of the features.
    learning_rate : array-like
        Learning rate :math:`\eta`, 0 or more; broadcasts with `batch_size`.
    batch_size : array-like
        Rows B a step, 1 or more, `inf` for the whole gradient.
    momentum : array-like, default=0.0
        Part :math:`\mu` of the last step that is repeated (heavy ball), in [0, 1).

    Returns
    -------
    float or ndarray
        :math:`\kappa`; `inf` where a direction diverges by itself.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    critical_learning_rate : Where it is 1.

    Notes
    -----
    For Gaussian features,

    .. math:: \kappa = \frac{\eta}{B}\sum_j \frac{\lambda_j}{2-\eta\lambda_j(1+1/B)},

    where all denominators are positive. The mean risk converges if and only if
    :math:`\kappa < 1`. With momentum, where a coordinate is an autoregression of order two,

    .. math:: \kappa = \eta\sum_j
        \frac{(1+\mu)\lambda_j}{B(1-\mu)[2(1+\mu)-\eta\lambda_j]-(1+\mu)\eta\lambda_j},

    which for small rates is that of the rate :math:`\eta/(1-\mu)` without.

    Examples
    --------
    >>> from skrmt.theory.sgd import noise_amplification
    >>> round(noise_amplification([2.0, 1.0, 0.5], 0.1, 2), 8)
    0.09883757
    >>> round(noise_amplification([2.0, 1.0, 0.5], 0.01, 2, momentum=0.9), 8)
    0.09131033
    """
    lam = check_eigenvalues(eigenvalues)
    eta, size, mu = broadcast(
        learning_rate=in_range("learning_rate", learning_rate, 0, np.inf, "left"),
        batch_size=check_batch_size(batch_size),
        momentum=check_momentum(momentum),
    )
    return unwrap(_kappa(lam, eta, size, mu))


def _kappa(lam: FloatArray, eta: FloatArray, size: FloatArray, mu: FloatArray) -> FloatArray:
    """Return the amplification for arrays of rates, batch sizes and momenta."""
    mu = np.asarray(mu)[..., None]
    # Both are 1 without momentum.
    slow, wide = 1 - mu, 1 + mu
    scaled = np.asarray(eta)[..., None] * lam
    room = slow * (2 - scaled / wide) - scaled / np.asarray(size)[..., None]
    ratio = np.divide(scaled, room, out=np.full(room.shape, np.inf), where=room > 0)
    return np.where((room > 0).all(axis=-1), ratio.sum(axis=-1) / size, np.inf)


def critical_learning_rate(
    eigenvalues: ArrayLike, batch_size: ArrayLike, *, momentum: ArrayLike = 0.0
) -> FloatOrArray:
    r"""Return the learning rate above which the mean risk diverges, for Gaussian features.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues :math:`\lambda_j` of the second moment of the features.
    batch_size : array-like
        Rows B a step, 1 or more, `inf` for the whole gradient.
    momentum : array-like, default=0.0
        Part :math:`\mu` of the last step that is repeated (heavy ball), in [0, 1).

    Returns
    -------
    float or ndarray
        The rate :math:`\eta_c` at which :math:`\kappa = 1`.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    noise_amplification : The function :math:`\kappa`.
    critical_batch_size : The batch size beyond which it does not grow any more.

    Notes
    -----
    :math:`2B/(B+p+1)` if all p eigenvalues are 1, about :math:`2B/\sum_j\lambda_j` for small
    batches, and :math:`2/\lambda_{\max}` for large ones; with momentum the latter is
    :math:`2(1+\mu)/\lambda_{\max}`, and the former about :math:`1-\mu` times as
    much. Features with heavier tails than Gaussian ones need smaller rates, sometimes 20 times
    smaller: `skrmt.linear_model.StagedSGDRegressor` takes the rate from the fourth moments of the
    data.

    References
    ----------
    High-dimensional limit of streaming SGD for generalized linear models, arXiv:2304.06847.

    Examples
    --------
    >>> from skrmt.theory.sgd import critical_learning_rate
    >>> round(critical_learning_rate([1.0] * 50, 1), 7)
    0.0384615
    >>> critical_learning_rate([2.0, 1.0, 0.5], [2, float("inf")]).round(9)
    array([0.46215871, 1.        ])
    """
    lam = check_eigenvalues(eigenvalues)
    sizes, momenta = broadcast(
        batch_size=check_batch_size(batch_size), momentum=check_momentum(momentum)
    )
    values, counts = np.unique(lam[lam > 0] / lam.max(), return_counts=True)
    pairs = zip(np.ravel(sizes), np.ravel(momenta), strict=True)
    rates = np.array([_critical(values, counts, size, mu) for size, mu in pairs])
    return unwrap(rates.reshape(np.shape(sizes)) / lam.max())


def _critical(values: FloatArray, counts: Any, size: float, mu: float) -> float:
    """Return the critical rate for eigenvalues whose largest is 1, with multiplicities."""
    if np.isinf(size):
        return 2.0 * (1 + mu)
    limit = 2 * (1 - mu)
    bound = limit / ((1 - mu) / (1 + mu) + 1 / size)

    # With the rate bound * (1 - h), the room of a direction is limit (1 - v + h v): no
    # cancellation.
    def excess(h: float) -> float:
        room = limit * ((1 - values) + h * values)
        return float(bound * (1 - h) / size * (counts * values / room).sum() - 1)

    low = min(1e-3, 0.1 / size)
    while excess(low) < 0:
        low /= 10
    return bound * (1 - brentq(excess, low, 1.0, xtol=1e-300, rtol=8.9e-16))


def noise_floor(
    eigenvalues: ArrayLike,
    noise_variance: ArrayLike,
    learning_rate: ArrayLike,
    batch_size: ArrayLike,
    *,
    momentum: ArrayLike = 0.0,
) -> FloatOrArray:
    r"""Return the risk at which a constant learning rate ends, for Gaussian features.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues of the second moment of the features.
    noise_variance : array-like
        Variance :math:`\sigma^2` of the noise of the targets; broadcasts with the next two.
    learning_rate : array-like
        Learning rate, 0 or more.
    batch_size : array-like
        Rows a step, 1 or more, `inf` for the whole gradient.
    momentum : array-like, default=0.0
        Part of the last step that is repeated (heavy ball), in [0, 1).

    Returns
    -------
    float or ndarray
        Half the expected squared residual, :math:`\frac{\sigma^2}{2(1-\kappa)}`; `inf` at the
        critical rate and above.

    Raises
    ------
    ValueError
        If a number is out of range.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    noise_amplification : The function :math:`\kappa`.

    Examples
    --------
    >>> from skrmt.theory.sgd import critical_learning_rate, noise_floor
    >>> half = critical_learning_rate([1.0] * 50, 1) / 2
    >>> round(noise_floor([1.0] * 50, 0.25, half, 1), 6)
    0.245192
    """
    lam = check_eigenvalues(eigenvalues)
    variance, eta, size, mu = broadcast(
        noise_variance=check_noise_variance(noise_variance),
        learning_rate=in_range("learning_rate", learning_rate, 0, np.inf, "left"),
        batch_size=check_batch_size(batch_size),
        momentum=check_momentum(momentum),
    )
    room = 1 - _kappa(lam, eta, size, mu)
    floor = np.divide(variance / 2, room, out=np.full(room.shape, np.inf), where=room > 0)
    return unwrap(floor)


def critical_batch_size(eigenvalues: ArrayLike) -> float:
    r"""Return the batch size beyond which a larger one no longer allows a larger rate.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues of the second moment H of the features.

    Returns
    -------
    float
        :math:`\mathrm{tr} H/\lambda_{\max}(H)`, between 1 and p: the intrinsic dimension.

    Raises
    ------
    ValueError
        If an eigenvalue is negative or not finite, or all are 0.
    TypeError
        If they are not numeric.

    See Also
    --------
    critical_learning_rate : The largest rate of a batch size.

    Examples
    --------
    >>> from skrmt.theory.sgd import critical_batch_size
    >>> critical_batch_size([2.0, 1.0, 0.5])
    1.75
    """
    lam = check_eigenvalues(eigenvalues)
    return float((lam / lam.max()).sum())
