"""Gaussian and least-squares models refitted to their own samples, generation after generation."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln, polygamma

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._checks import check_choice, check_generations, whole_numbers

_ASYMPTOTIC = 60.0
"""Degrees of freedom from which four terms of the series are exact to rounding."""


class GaussianCollapse(NamedTuple):
    """A Gaussian refitted to its own samples, in units of the true standard deviation.

    Attributes
    ----------
    mean_error : float or ndarray
        Expected squared error of the mean.
    variance : float or ndarray
        Expected variance.
    standard_deviation : float or ndarray
        Expected standard deviation.
    log_variance : float or ndarray
        Expected natural logarithm of the variance.
    wasserstein : float or ndarray
        Expected squared 2-Wasserstein distance to the truth.
    """

    mean_error: FloatOrArray
    variance: FloatOrArray
    standard_deviation: FloatOrArray
    log_variance: FloatOrArray
    wasserstein: FloatOrArray


def _log_chi_mean(nu: FloatArray) -> FloatArray:
    r"""Return :math:`\ln E\sqrt{\chi^2_\nu/\nu}`, by its series where the gammas would cancel."""
    at = np.maximum(nu, _ASYMPTOTIC)
    series = -1 / (4 * at) + 1 / (24 * at**3) - 1 / (20 * at**5) + 17 / (112 * at**7)
    small = np.minimum(nu, _ASYMPTOTIC)
    direct = gammaln((small + 1) / 2) - gammaln(small / 2) + 0.5 * np.log(2 / small)
    return np.asarray(np.where(nu < _ASYMPTOTIC, direct, series), dtype=np.float64)


def _mean_log_chi(nu: FloatArray) -> FloatArray:
    r"""Return :math:`E\ln(\chi^2_\nu/\nu)`, by its series where the digamma would cancel."""
    x = np.maximum(nu, _ASYMPTOTIC) / 2
    series = -1 / (2 * x) - 1 / (12 * x**2) + 1 / (120 * x**4) - 1 / (252 * x**6)
    small = np.minimum(nu, _ASYMPTOTIC) / 2
    return np.asarray(np.where(nu < _ASYMPTOTIC, digamma(small) - np.log(small), series))


def gaussian_recursion(n: ArrayLike, generation: ArrayLike, *, ddof: int = 1) -> GaussianCollapse:
    r"""Return the law of a Gaussian refitted to n of its own samples each generation.

    Parameters
    ----------
    n : int or array-like of shape (...)
        Samples per generation, 2 or more.
    generation : int or array-like of shape (...)
        Number m of the model; 0 is the truth, 1 the first fitted one.
    ddof : {0, 1}, default=1
        The fitted variance divides by n - ddof.

    Returns
    -------
    GaussianCollapse
        `mean_error`, `variance` and `wasserstein` in units of the true variance,
        `standard_deviation` of its root, `log_variance` as a difference to the truth's.

    Raises
    ------
    ValueError
        If n < 2, m < 0, or ddof is neither 0 nor 1.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    Unbiased (ddof = 1), with :math:`\nu = n-1`:

    .. math::

        E\sigma_m^2 = 1, \quad E(\mu_m-\mu)^2 = m/n, \quad
        E\sigma_m = c^m, \quad c = \sqrt{2/\nu}\,\Gamma(\tfrac{n}2)/\Gamma(\tfrac{\nu}2), \quad
        E\ln\sigma_m^2 = m[\psi(\tfrac\nu2)-\ln\tfrac\nu2] \approx -m/\nu

    The spread goes to 0 although its mean square never does. With ddof = 0 every variance has one
    more factor 1 - 1/n: :math:`E\sigma_m^2 = (1-1/n)^m`, :math:`E(\mu_m-\mu)^2 = 1-(1-1/n)^m`, the
    law of the diversity of tokens. :math:`E W_2^2 = E(\mu_m-\mu)^2+E(\sigma_m-1)^2`.

    References
    ----------
    The Curse of Recursion: Training on Generated Data Makes Models Forget, arXiv:2305.17493.

    Examples
    --------
    >>> from skrmt.theory.collapse import gaussian_recursion
    >>> result = gaussian_recursion(20, 10)
    >>> result.mean_error, round(result.standard_deviation, 6), round(result.log_variance, 6)
    (0.5, 0.876763, -0.535539)
    """
    sizes = whole_numbers("n", n, 2, remedy="A variance takes two samples.")
    if ddof not in (0, 1):
        raise ValueError(f"ddof must be 0 or 1, got {ddof!r}. The variance divides by n - ddof.")
    sizes, m = broadcast(n=sizes, generation=check_generations(generation))
    shrink = np.log1p(-1 / sizes) if ddof == 0 else np.zeros(sizes.shape)
    log_std = m * (_log_chi_mean(sizes - 1) + shrink / 2)
    lost = -np.expm1(m * shrink)
    error = m / sizes if ddof else lost
    spread = -2 * np.expm1(log_std) - lost
    return GaussianCollapse(
        unwrap(error),
        unwrap(1 - lost),
        unwrap(np.exp(log_std)),
        unwrap(m * (_mean_log_chi(sizes - 1) + shrink)),
        unwrap(error + spread),
    )


def ols_recursion(
    n_features: ArrayLike,
    n_samples: ArrayLike,
    generation: ArrayLike,
    *,
    noise_variance: ArrayLike = 1.0,
    scheme: Literal["replace", "accumulate"] = "replace",
) -> FloatOrArray:
    r"""Return the excess error of least squares refitted to its own noisy labels.

    Parameters
    ----------
    n_features : int or array-like of shape (...)
        Number d of features, iid standard Gaussian.
    n_samples : int or array-like of shape (...)
        Rows T per generation, more than d + 1.
    generation : int or array-like of shape (...)
        Number m of the model; 0 is the truth, 1 the first fitted one. `numpy.inf` is the limit.
    noise_variance : float or array-like of shape (...), default=1.0
        Variance of the noise added to the labels in every generation.
    scheme : {"replace", "accumulate"}, default="replace"
        Whether a generation sees new rows labelled by the last model only, or the same rows with
        the labels of all models so far.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`E\|\hat w_m - w\|^2`, the excess squared error on fresh rows.

    Raises
    ------
    ValueError
        If T <= d + 1 (the error is infinite), or an argument is out of range.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    Each fit adds :math:`\sigma^2 d/(T-d-1)`: m times under "replace". Under "accumulate"
    generation k moves the average over k label sets, hence :math:`\sum_{k\le m}1/k^2 \le \pi^2/6`.

    References
    ----------
    Model Collapse Demystified: The Case of Regression, arXiv:2402.07712.
    Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and
    Synthetic Data, arXiv:2404.01413.

    Examples
    --------
    >>> from skrmt.theory.collapse import ols_recursion
    >>> round(ols_recursion(20, 60, 8), 5)
    4.10256
    >>> round(ols_recursion(20, 60, 8, scheme="accumulate"), 5)
    0.78329
    """
    check_choice("scheme", scheme, ("replace", "accumulate"))
    d, rows, m, noise = broadcast(
        n_features=whole_numbers("n_features", n_features, 1, remedy="It counts features."),
        n_samples=whole_numbers("n_samples", n_samples, 1, remedy="It counts rows."),
        generation=check_generations(generation, infinite=True),
        noise_variance=in_range(
            "noise_variance", noise_variance, 0.0, np.inf, "left", "It is a variance."
        ),
    )
    few = rows <= d + 1
    if few.any():
        raise ValueError(
            f"n_samples must exceed n_features + 1, got {rows[few].flat[0]:g} rows of "
            f"{d[few].flat[0]:g} features: the error is infinite. Take more rows."
        )
    if scheme == "replace":
        total = m
    else:
        total = np.pi**2 / 6 - np.where(np.isinf(m), 0.0, polygamma(1, np.minimum(m, 1e300) + 1))
    each = noise * d / (rows - d - 1)
    positive = (each > 0) & (m > 0)
    return unwrap(np.where(positive, np.where(positive, each, 1.0) * total, 0.0))
