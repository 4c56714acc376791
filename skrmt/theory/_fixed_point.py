"""Fixed points of the resolvent of a sample covariance matrix of one or several classes."""

from typing import NamedTuple

import numpy as np

from ._checks import FloatArray
from ._covariances import Covariances

_TOLERANCE = 1e-14
_ACCEPTED = 1e-9
_MAX_ITER = 300


class IsotropicScale(NamedTuple):
    """The two numbers through which an isotropic ridge sees its penalty.

    Attributes
    ----------
    scale : ndarray
        u = 1 + alpha (1 + delta): the inverse of the shrinkage, `inf` at alpha = inf.
    gap : ndarray
        h = 1 - aspect_ratio / u^2, in [0, 1]; 0 at the interpolation peak only.
    """

    scale: FloatArray
    gap: FloatArray


def isotropic_scale(aspect_ratio: FloatArray, alpha: FloatArray) -> IsotropicScale:
    r"""Solve the fixed point of the isotropic ridge in closed form, without cancellation.

    Parameters
    ----------
    aspect_ratio : ndarray
        eta = p / n, positive.
    alpha : ndarray
        Penalty per sample, from 0 to inf, both included.

    Returns
    -------
    IsotropicScale
        The scale u and the gap h.

    Notes
    -----
    :math:`\delta = \eta(1+\delta)/(1+\gamma(1+\delta))` makes :math:`u = 1 + \gamma(1+\delta)`
    the larger root of :math:`u^2 - (1+\gamma+\eta)u + \eta = 0`. The other root is
    :math:`\eta/u`, so that :math:`h = 1-\eta/u^2 = S/u` with S the difference of the roots,
    :math:`S^2 = (1-\eta)^2 + \gamma^2 + 2\gamma(1+\eta)`: a sum of positive terms.
    """
    finite = np.isfinite(alpha)
    gamma = np.where(finite, alpha, 1.0)
    spread = np.hypot(
        np.hypot(1 - aspect_ratio, gamma), np.sqrt(2 * (1 + aspect_ratio)) * np.sqrt(gamma)
    )
    scale = 0.5 * (1 + aspect_ratio + gamma) + 0.5 * spread
    return IsotropicScale(np.where(finite, scale, np.inf), np.where(finite, spread / scale, 1.0))


def resolvent_traces(
    covariances: Covariances, priors: FloatArray, alpha: float, n_samples: float
) -> FloatArray:
    r"""Solve :math:`\delta_a = \mathrm{tr}(C_a Q_0(\delta))/n` for all classes.

    Parameters
    ----------
    covariances : Covariances
        The covariances of the K classes.
    priors : ndarray of shape (K,)
        Class probabilities.
    alpha : float
        Penalty per sample, finite; 0 only where p < n and the mean covariance is invertible.
    n_samples : float
        Number of samples n.

    Returns
    -------
    ndarray of shape (K,)
        The traces delta.

    Raises
    ------
    ValueError
        If the iteration does not reach a residual of 1e-9.

    Notes
    -----
    :math:`Q_0 = (\sum_a \pi_a C_a/(1+\delta_a) + \gamma I)^{-1}`. The right-hand side is
    increasing and jointly concave in :math:`\delta` (a parallel sum), so Newton's method started
    above the solution decreases to it, quadratically at the end; :math:`\mathrm{tr}(C_a)/(n
    \gamma)` is such a start. At :math:`\gamma = 0` the start is the solution for a tiny penalty.
    """
    if alpha > 0:
        start = covariances.traces() / n_samples / alpha
    else:
        tiny = 1e-8 * float(priors @ covariances.traces()) / covariances.n_features
        start = resolvent_traces(covariances, priors, tiny, n_samples)
    delta, previous = start, np.inf
    for _ in range(_MAX_ITER):
        weights = priors / (1 + delta)
        resolvent = covariances.resolvent(weights, alpha)
        gap = covariances.first_traces(resolvent) / n_samples - delta
        residual = float(np.max(np.abs(gap) / (delta + 1e-300)))
        if residual <= _TOLERANCE or (residual <= _ACCEPTED and residual >= 0.5 * previous):
            return delta
        slope = covariances.second_traces(resolvent) / n_samples * (weights / (1 + delta))
        delta = np.maximum(delta + np.linalg.solve(np.eye(len(delta)) - slope, gap), 0.0)
        previous = residual
    raise ValueError(
        f"the fixed point did not converge at alpha={alpha:g} (relative residual {residual:.1e}). "
        "Take a larger alpha, or scale the covariances to a mean eigenvalue near 1."
    )
