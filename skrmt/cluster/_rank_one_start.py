"""Noise of views whose covariance shows no factor: by maximum likelihood, from the classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._factor import ViewFactor
from ._view_products import leading_components

_CLEAR = 10.0
"""Standard errors of correlations, times the root of the number of views, from which the largest
eigenvalue of the correlations between views shows their factor without doubt."""

_LEADING = 3
_ALONE = 8
"""Leading directions of concatenated views, and most views alone, from which the search starts."""

_FIRST_SWEEPS = 15
_SWEEPS = 200
_TOLERANCE = 1e-8
_LEAST_NOISE = 1e-3
"""Least noise of a view over its variance: a view without noise would take all weight."""


class RankOneFit(NamedTuple):
    """One class direction seen in all views.

    Attributes
    ----------
    strengths : ndarray of shape (m,)
        Root mean square of the shared part of an entry of each view, signed.
    noise : ndarray of shape (m,)
        Variance of the rest.
    sample : ndarray of shape (n,)
        Unit vector of the samples.
    loss : float
        Sum of the logarithms of the variances: minus twice the log-likelihood of an entry.
    """

    strengths: np.ndarray
    noise: np.ndarray
    sample: np.ndarray
    loss: float


def is_clear(covariance: np.ndarray, n_entries: int) -> bool:
    """Return whether the covariance of views shows a factor without doubt."""
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 0.0)
    bound = _CLEAR * np.sqrt(len(scale) / n_entries)
    return bool(np.linalg.eigvalsh(correlation)[-1] > bound)


def fit_rank_one(views: np.ndarray) -> RankOneFit:
    """Fit a rank-one tensor in noise of unequal variances to centred views, (n, m, p)."""
    n, _, p = views.shape
    variances = (views**2).sum(axis=(0, 2)) / ((n - 1) * p)
    fits = [_ascend(views, variances, start, _FIRST_SWEEPS) for start in _starts(views, variances)]
    best = min(fits, key=lambda fit: fit.loss)
    return _ascend(views, variances, best.sample, _SWEEPS)


def _starts(views, variances):
    """Return unit vectors of samples from which to start."""
    n, m, _ = views.shape
    scaled = views / np.sqrt(variances)[:, None]
    joined = leading_components(scaled.reshape(n, -1), min(_LEADING, n - 1))
    signs = np.sign((scaled * scaled[:, :1]).sum(axis=(0, 2)))
    summed = leading_components(np.einsum("nmp,m->np", scaled, np.where(signs < 0, -1.0, 1.0)), 1)
    alone = [leading_components(scaled[:, k], 1) for k in range(m)]
    alone = sorted(alone, key=lambda found: -found.eigenvalues[0])[:_ALONE]
    return [*joined.left.T, summed.left[:, 0], *(found.left[:, 0] for found in alone)]


def _ascend(views, variances, u, sweeps):
    """Raise the likelihood from a unit vector of the samples."""
    n, m, p = views.shape
    flat, weights, loss = views.reshape(n, -1), None, np.inf
    for _ in range(sweeps):
        pulled = (u @ flat).reshape(m, p)
        if weights is None:
            # From samples alone: what each view shows of them, along what they show together.
            weights = np.linalg.svd(pulled / np.sqrt(variances)[:, None])[0][:, 0]
            weights = weights / np.sqrt(variances)
        v = weights @ pulled
        v /= max(np.linalg.norm(v), 1e-300)
        scores = views @ v
        u = scores @ weights
        u /= max(np.linalg.norm(u), 1e-300)
        b = u @ scores
        noise = np.maximum(variances - b**2 / ((n - 1) * p), _LEAST_NOISE * variances)
        weights, last, loss = b / noise, loss, float(np.log(noise).sum())
        if last - loss <= _TOLERANCE:
            break
    return RankOneFit(b / np.sqrt((n - 1) * p), noise, u, loss)


def as_factor(fit: RankOneFit) -> ViewFactor:
    """Return the strengths and the noise as one factor."""
    a = fit.strengths * (1.0 if fit.strengths.sum() >= 0 else -1.0)
    precision = float((a**2 / fit.noise).sum())
    return ViewFactor(
        a, fit.noise, a / fit.noise / max(precision, 1e-300), precision, False, 1, True
    )


def nested_loss(factor: ViewFactor, covariance: np.ndarray, largest: float) -> float:
    """Return minus twice the log-likelihood of an entry under the nested model.

    `largest` is the share of the largest eigenvalue in the mean square of the combined views.
    """
    weights, precision = factor.weights, factor.precision
    mean_square = float(weights @ covariance @ weights)
    rest = mean_square * (1 - largest)
    within = max(rest - 1 / precision, 0.0)
    loss = np.log(factor.noise).sum() + (np.diag(covariance) / factor.noise).sum()
    loss += np.log1p(precision * within) - precision * mean_square
    return float(loss + rest / (within + 1 / precision))
