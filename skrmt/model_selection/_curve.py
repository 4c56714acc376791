"""Learning curves of linear estimators from one training set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import loo_path, loo_squared_error, ridge_basis, to_numpy
from ..theory.learning_curves import (
    RidgeProfile,
    ridge_profile,
    transfer_degrees,
    transfer_penalty,
    transfer_values,
)

_GRID = np.logspace(-6, 4, 61)
_STEP = 8


class LearningCurve(NamedTuple):
    """Scores that a larger or smaller training set would give.

    Attributes
    ----------
    n_samples : ndarray of shape (m,)
        Numbers of training rows.
    score : ndarray of shape (m,)
        Accuracy on clean labels, or R^2.
    lower, upper : ndarray of shape (m,)
        Band of 95 %: the uncertainty of the present score, carried along.
    extrapolated : ndarray of bool of shape (m,)
        Where less regularisation is in effect than the training set can show, as happens with
        fewer rows than features: the degrees of freedom are continued by a power law.
    """

    n_samples: np.ndarray
    score: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    extrapolated: np.ndarray


class Transfer(NamedTuple):
    """What depends on the renormalised penalty alone, for one or several targets.

    Attributes
    ----------
    profile : RidgeProfile
        Degrees of freedom.
    bias : ndarray of shape (k, q)
        Squared error on fresh rows without the excess of a finite training set.
    covariance : ndarray of shape (k, q)
        Covariance of targets and predictions on fresh rows.
    variances : ndarray of shape (q,)
        Variances of the targets.
    """

    profile: RidgeProfile
    bias: np.ndarray
    covariance: np.ndarray
    variances: np.ndarray

    def moments(self, alpha, n_samples, noise=None):
        """Return error (q,), covariance (q,), 1 - df2 / n, and whether the profile ends before."""
        kappa = transfer_penalty(self.profile, alpha, n_samples)
        bias, covariance = (
            np.array([transfer_values(self.profile, column, kappa) for column in table.T])
            for table in (self.bias, self.covariance)
        )
        if noise is not None:
            factor = noise[0] ** 2
            bias = factor * (bias - self.variances) + noise[1]
            covariance = factor * covariance
        df2 = transfer_degrees(self.profile, kappa)[1]
        room = max(1.0 - df2 / n_samples, 1e-6)
        return bias / room, covariance, room, bool(kappa < 0.999 * self.profile.penalties[0])


def ridge_transfer(X, targets, weights, fit_intercept, basis=None):
    r"""Measure on one training set what other sizes depend on."""
    if basis is None:
        plain = None if (weights == 1.0).all() else weights
        basis = ridge_basis(X, plain, fit_intercept=fit_intercept)
    n = float(weights.sum() ** 2 / (weights**2).sum())
    spectrum = to_numpy(basis.scale).astype(float) * basis.unit**2 / basis.total_weight
    alphas = _GRID * spectrum.mean()
    profile = ridge_profile(spectrum, alphas, n - float(fit_intercept))
    shares = weights / weights.sum()
    centred = targets - shares @ targets if fit_intercept else targets
    errors = to_numpy(loo_squared_error(basis, targets, alphas))
    covariance = np.concatenate(
        [
            np.einsum("iqk,iq,i->kq", loo_path(basis, targets, part)[0], centred, shares)
            for part in np.array_split(alphas, -(-len(alphas) // _STEP))
        ]
    )
    bias = errors * (1.0 - profile.df2 / n)[:, None]
    variances = shares @ centred**2
    return Transfer(profile, bias, covariance, variances)


def separation(moments, variances, clean_variances, contrast):
    """Return the distance of clean classes over the deviation within them, up to a factor."""
    errors, covariance = moments[:2]
    spread = errors - variances + 2.0 * covariance
    clean = covariance / contrast
    within = np.maximum(spread - clean**2 / clean_variances, 1e-12 * clean_variances)
    return clean / clean_variances / np.sqrt(within)
