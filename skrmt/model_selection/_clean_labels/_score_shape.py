"""Which wrong labels would make the scores of both true classes Gaussian."""

from __future__ import annotations

import numpy as np

_STEPS = 20
"""Steps of expectation-maximisation: the labels start it near its end."""

_POOLED = 0.5
"""Part of each variance that both classes share: few rows of one class are narrow by chance."""

_NARROWEST = 0.01
"""Added to the variances, of scores of variance one: ties must not make a class a point."""

_RAREST = 0.02
"""Smallest share of a class."""

_TINY = 1e-300


def shape_evidence(points, mass, rates):
    """Return the log-likelihoods (G,) of scores under each pair of rates of wrong labels.

    The scores of each true class are Gaussian; means, variances and shares are fitted to the scores
    and the labels. `points` (B,) are scores, `mass` (2, B) their weights by observed label, and
    `rates` (2, G). One step costs ``O(G B)``.
    """
    size, observed = mass.sum(), mass.sum(1)
    labels = np.array([[1.0 - rates[0], rates[0]], [rates[1], 1.0 - rates[1]]])[..., None]
    share = _bounded((observed[1] / size - rates[0]) / (1.0 - rates.sum(0)))
    density = np.ones((2, len(share), len(points)))
    for _ in range(_STEPS):
        joint = labels * (_both(share)[..., None] * density)[:, None]
        belongs = (mass[:, None] * joint / np.maximum(joint.sum(0), _TINY)).sum(1)
        total = np.maximum(belongs.sum(2), _TINY)
        mean = belongs @ points / total
        distance = (points - mean[..., None]) ** 2
        variance = (belongs * distance).sum(2) / total
        pooled = (total * variance).sum(0) / size
        variance = ((1.0 - _POOLED) * variance + _POOLED * pooled + _NARROWEST)[..., None]
        density = np.exp(-0.5 * distance / variance) / np.sqrt(variance)
        share = _bounded(total[1] / size)
    seen = (_both(share)[..., None] * density).sum(0)
    return np.log(np.maximum(seen, _TINY)) @ mass.sum(0)


def _bounded(share):
    """Keep both classes from vanishing."""
    return np.clip(share, _RAREST, 1.0 - _RAREST)


def _both(share):
    """Return the shares of both classes, (2, G)."""
    return np.stack([1.0 - share, share])
