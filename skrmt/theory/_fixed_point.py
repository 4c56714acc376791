"""Fixed points of the resolvent of a sample covariance matrix of one or several classes."""

from typing import NamedTuple

import numpy as np

from ._checks import FloatArray
from ._covariances import Covariances

# Newton's steps stop at rounding, or where rounding of an ill-conditioned resolvent lets them fall
# no further, if they are within the accuracy that is promised.
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
    r"""Solve the fixed point of the isotropic ridge in closed form, without cancellation."""
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
    r"""Solve :math:`\delta_a = \mathrm{tr}(C_a Q_0(\delta))/n` for all classes."""
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
