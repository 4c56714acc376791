"""Learning curves of ridge regression, from a spectrum or from what one training set shows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from .._checks import as_floats, finite_floats, in_range

FloatArray = NDArray[np.float64]

_LARGEST_LOG = 700.0
"""Logarithm near which float64 overflows: it brackets penalties as small as they come."""


class RidgeRisk(NamedTuple):
    """Risk of ridge regression on fresh rows.

    Attributes
    ----------
    risk : float
        Mean squared error on fresh rows, noise included.
    bias : float
        The part that a larger training set of the same renormalised penalty would keep.
    penalty : float
        Renormalised penalty.
    degrees_of_freedom : float
        ``sum l / (l + penalty)``.
    """

    risk: float
    bias: float
    penalty: float
    degrees_of_freedom: float


def renormalized_penalty(eigenvalues: Any, alpha: float, n_samples: float) -> float:
    r"""Compute the penalty at which the population acts as the sample does at another.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues l of the covariance matrix of the features.
    alpha : float
        Penalty per row, 0 included where there are more rows than features.
    n_samples : float
        Number n of rows.

    Returns
    -------
    float
        The root of

        .. math:: \kappa = \alpha + \frac{\kappa}{n} \sum_j \frac{l_j}{l_j + \kappa},

        the largest one; 0 where alpha is 0 and n > p.

    Raises
    ------
    ValueError
        If an eigenvalue or the penalty is negative, or there is no row.

    References
    ----------
    Dobriban & Wager, High-dimensional asymptotics of prediction: ridge regression and
    classification, arXiv:1507.03003. Bach, High-dimensional analysis of double descent for linear
    regression with random projections, arXiv:2303.01372.

    Examples
    --------
    >>> from skrmt.theory.learning_curves import renormalized_penalty
    >>> round(renormalized_penalty([1.0] * 50, 0.5, 100), 6)
    0.707107
    """
    spectrum = in_range("eigenvalues", eigenvalues, 0.0, np.inf, "left").ravel()
    level = float(in_range("alpha", alpha, 0.0, np.inf, "left"))
    n = float(in_range("n_samples", n_samples, 0.0, np.inf, "neither"))
    positive = spectrum[spectrum > 0]
    if level == 0 and len(positive) <= n:
        return 0.0

    def excess(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        return float(1.0 - level / kappa - (positive / (positive + kappa)).sum() / n)

    high = np.log(level + spectrum.sum() / n) + 1.0
    low = np.log(level) - 1e-12 if level > 0 else high - _LARGEST_LOG
    return float(np.exp(brentq(excess, low, high, xtol=1e-14, rtol=1e-15)))


def ridge_risk(
    eigenvalues: Any,
    signal: Any,
    noise_variance: float,
    alpha: float,
    n_samples: float,
) -> RidgeRisk:
    r"""Compute the mean squared error of ridge regression on fresh rows.

    Parameters
    ----------
    eigenvalues : array-like of shape (p,)
        Eigenvalues l of the covariance matrix of the features.
    signal : array-like of shape (p,)
        Squared coefficients b^2 along the eigenvectors.
    noise_variance : float
        Variance s^2 of the noise of the targets.
    alpha : float
        Penalty per row: ``(1/n) sum (y - x.w)^2 + alpha |w|^2``.
    n_samples : float
        Number n of rows.

    Returns
    -------
    RidgeRisk
        The risk, infinite at the interpolation threshold without penalty.

    Raises
    ------
    ValueError
        If lengths differ or a value is out of its domain.

    Notes
    -----
    With the renormalised penalty k and ``df2 = sum l^2 / (l + k)^2``,

    .. math:: R = \frac{\sigma^2 + \kappa^2 \sum_j b_j^2 l_j / (l_j + \kappa)^2}
              {1 - \mathrm{df}_2(\kappa)/n},

    exact for Gaussian features as n and p grow together.

    References
    ----------
    Dobriban & Wager, arXiv:1507.03003. Hastie, Montanari, Rosset & Tibshirani, Surprises in
    high-dimensional ridgeless least squares interpolation, arXiv:1903.08560.

    Examples
    --------
    >>> from skrmt.theory.learning_curves import ridge_risk
    >>> round(ridge_risk([1.0] * 50, [0.02] * 50, 0.25, 0.0, 100).risk, 6)
    0.5
    """
    spectrum = in_range("eigenvalues", eigenvalues, 0.0, np.inf, "left").ravel()
    squares = in_range("signal", signal, 0.0, np.inf, "left").ravel()
    if squares.shape != spectrum.shape:
        raise ValueError(
            f"signal has {squares.size} entries for {spectrum.size} eigenvalues: give one for each."
        )
    variance = float(in_range("noise_variance", noise_variance, 0.0, np.inf, "left"))
    kappa = renormalized_penalty(spectrum, alpha, n_samples)
    share = np.where(spectrum > 0, spectrum / (spectrum + kappa + (spectrum == 0)), 0.0)
    lost = np.where(spectrum > 0, kappa / (spectrum + kappa + (spectrum == 0)), 1.0)
    bias = variance + float((squares * spectrum * lost**2).sum())
    room = 1.0 - float((share**2).sum()) / float(n_samples)
    return RidgeRisk(bias / room if room > 1e-12 else np.inf, bias, kappa, float(share.sum()))


class RidgeProfile(NamedTuple):
    """What one training set shows of every renormalised penalty.

    Attributes
    ----------
    penalties : ndarray of shape (k,)
        Renormalised penalties, increasing.
    df1, df2 : ndarray of shape (k,)
        ``sum l / (l + k)`` and ``sum l^2 / (l + k)^2`` of the population, estimated.
    n_samples : float
        Number of rows.
    """

    penalties: FloatArray
    df1: FloatArray
    df2: FloatArray
    n_samples: float


def ridge_profile(sample_eigenvalues: Any, alphas: Any, n_samples: float) -> RidgeProfile:
    r"""Estimate the degrees of freedom of the population from the spectrum of a sample.

    Parameters
    ----------
    sample_eigenvalues : array-like of shape (r,)
        Positive eigenvalues s of the sample covariance matrix.
    alphas : array-like of shape (k,)
        Positive penalties per row, increasing.
    n_samples : float
        Number n of rows.

    Returns
    -------
    RidgeProfile
        One entry per penalty.

    Raises
    ------
    ValueError
        If a value is not positive or penalties do not increase.

    Notes
    -----
    The degrees of freedom of the sample at alpha are those of the population at the renormalised
    penalty, ``df1(k) = sum s / (s + alpha)``, and ``k = alpha / (1 - df1 / n)``: the spectrum of
    the population need not be known. ``df2 = df1 + k df1'(k)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.learning_curves import ridge_profile
    >>> profile = ridge_profile(np.ones(5), [0.1, 1.0], 100)
    >>> profile.df1.round(3)
    array([4.545, 2.5  ])
    """
    spectrum = in_range("sample_eigenvalues", sample_eigenvalues, 0.0, np.inf, "neither").ravel()
    levels = in_range("alphas", alphas, 0.0, np.inf, "neither").ravel()
    n = float(in_range("n_samples", n_samples, 0.0, np.inf, "neither"))
    if (np.diff(levels) <= 0).any():
        raise ValueError(f"alphas={levels.tolist()} must increase: sort them, without repeats.")
    shares = spectrum / (spectrum + levels[:, None])
    df1 = shares.sum(axis=1)
    slope = -(shares / (spectrum + levels[:, None])).sum(axis=1)
    room = np.maximum(1.0 - df1 / n, 1e-15)
    kappa = levels / room
    rate = (room + levels * slope / n) / room**2
    df2 = np.clip(df1 + kappa * slope / rate, 0.0, df1)
    return RidgeProfile(kappa, df1, df2, n)


def transfer_penalty(profile: RidgeProfile, alpha: float, n_samples: float) -> float:
    r"""Compute the renormalised penalty of another number of rows.

    Parameters
    ----------
    profile : RidgeProfile
        From `ridge_profile`.
    alpha : float
        Penalty per row.
    n_samples : float
        Number of rows.

    Returns
    -------
    float
        The renormalised penalty; below the profile the degrees of freedom are continued by a power
        law.

    Raises
    ------
    ValueError
        If a value is out of its domain.

    Notes
    -----
    The root of

    .. math:: \kappa = \alpha + \frac{\kappa}{n}\,\mathrm{df}_1(\kappa),

    with the degrees of freedom of the profile in the place of those of the population.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.learning_curves import ridge_profile, transfer_penalty
    >>> profile = ridge_profile(np.ones(5), np.logspace(-3, 2, 20), 1000)
    >>> round(transfer_penalty(profile, 0.5, 1e9), 3)
    0.5
    """
    level = float(in_range("alpha", alpha, 0.0, np.inf, "left"))
    n = float(in_range("n_samples", n_samples, 0.0, np.inf, "neither"))
    log_df = _log_degrees(profile)

    def excess(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        return float(1.0 - level / kappa - np.exp(log_df(log_kappa)) / n)

    high = np.log(level + profile.penalties[-1]) + 5.0
    low = np.log(level) - 1e-12 if level > 0 else np.log(profile.penalties[0]) - 25.0
    if excess(low) >= 0:
        return float(np.exp(low))
    return float(np.exp(brentq(excess, low, high, xtol=1e-12)))


def transfer_degrees(profile: RidgeProfile, penalty: float) -> tuple[float, float]:
    r"""Read the degrees of freedom at some penalty.

    Parameters
    ----------
    profile : RidgeProfile
        From `ridge_profile`.
    penalty : float
        Renormalised penalty.

    Returns
    -------
    tuple of (float, float)
        ``df1 = sum l / (l + k)`` and ``df2 = sum l^2 / (l + k)^2``; beyond the profile the first is
        continued by a power law, and ``df2 = df1 + k df1'``.

    Raises
    ------
    ValueError
        If the penalty is not positive.

    Notes
    -----
    .. math:: \mathrm{df}_1(\kappa) = \sum_j\frac{l_j}{l_j+\kappa}, \qquad
        \mathrm{df}_2(\kappa) = \sum_j\frac{l_j^2}{(l_j+\kappa)^2}
        = \mathrm{df}_1 + \kappa\,\mathrm{df}_1'(\kappa).

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.learning_curves import ridge_profile, transfer_degrees
    >>> profile = ridge_profile(np.ones(5), np.logspace(-3, 2, 30), 1000)
    >>> [float(round(value, 2)) for value in transfer_degrees(profile, 1.0)]
    [2.5, 1.25]
    """
    kappa = float(in_range("penalty", penalty, 0.0, np.inf, "neither"))
    if profile.penalties[0] <= kappa <= profile.penalties[-1]:
        df1, df2 = (transfer_values(profile, part, kappa) for part in (profile.df1, profile.df2))
        return df1, df2
    end, inner = (0, 1) if kappa < profile.penalties[0] else (-1, -2)
    slope = np.log(profile.df1[end] / profile.df1[inner])
    slope /= np.log(profile.penalties[end] / profile.penalties[inner])
    df1 = float(np.exp(_log_degrees(profile)(np.log(kappa))))
    return df1, df1 * max(1.0 + float(slope), 0.0)


def _log_degrees(profile: RidgeProfile) -> Any:
    """Return log df1 as a function of the log of the penalty."""
    return _continued(np.log(profile.penalties), np.log(np.maximum(profile.df1, 1e-300)))


def transfer_values(profile: RidgeProfile, values: Any, penalty: float) -> float:
    r"""Read at some penalty what a training set shows on a profile.

    Parameters
    ----------
    profile : RidgeProfile
        From `ridge_profile`.
    values : array-like of shape (k,)
        Values on the profile, functions of the renormalised penalty alone.
    penalty : float
        Renormalised penalty.

    Returns
    -------
    float
        The value, monotone between its neighbours; constant beyond the ends.

    Raises
    ------
    ValueError
        If there is not one value per penalty.

    Notes
    -----
    What depends on :math:`\kappa` alone is the same for every number of rows. It is read off a
    monotone cubic in :math:`\log\kappa` through the values.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.learning_curves import ridge_profile, transfer_values
    >>> profile = ridge_profile(np.ones(5), [0.1, 1.0, 10.0], 100)
    >>> float(round(transfer_values(profile, [1.0, 2.0, 3.0], profile.penalties[1]), 6))
    2.0
    """
    given = finite_floats("values", values, "Leave out what is not finite.").ravel()
    if given.shape != profile.penalties.shape:
        raise ValueError(
            f"values has {given.size} entries for {profile.penalties.size} penalties: give one for "
            "each."
        )
    grid = np.log(profile.penalties)
    at = float(np.clip(np.log(as_floats("penalty", penalty)), grid[0], grid[-1]))
    return float(PchipInterpolator(grid, given)(at))


def _continued(grid: FloatArray, values: FloatArray) -> Any:
    """Return a monotone interpolant, straight beyond its ends."""
    inner = PchipInterpolator(grid, values)
    first = (values[1] - values[0]) / (grid[1] - grid[0])
    last = (values[-1] - values[-2]) / (grid[-1] - grid[-2])

    def at(x: float) -> float:
        if x < grid[0]:
            return float(values[0] + first * (x - grid[0]))
        if x > grid[-1]:
            return float(values[-1] + last * (x - grid[-1]))
        return float(inner(x))

    return at
