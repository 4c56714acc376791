"""Whether held-out scores follow the law that was fitted to them."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, expit, ndtr, ndtri

_ROUNDING = 1e-7
"""Deviation over the largest score up to which there is none: variances are right to 1e-14."""


def mixture_fit_test(scores, label_odds, means, variance, sample_weight, *, size=None):
    r"""Test whether scores follow two Gaussians in known proportions."""
    sd = np.sqrt(variance)
    if not sd > _ROUNDING * np.abs(scores).max():
        return 1.0
    share = expit(label_odds)
    level = share * ndtr((scores - means[1]) / sd) + (1.0 - share) * ndtr((scores - means[0]) / sd)
    return normality_test(ndtri(np.clip(level, 1e-12, 1.0 - 1e-12)), sample_weight, size=size)


def normality_test(deviates, sample_weight, *, size=None):
    """Return the p-value of the weighted Jarque-Bera test, with the effective number of rows."""
    weights = sample_weight / sample_weight.sum()
    largest = np.abs(deviates).max()
    # Rows may be many: one name frees what it stood for.
    deviates = deviates - weights @ deviates
    squares = deviates * deviates
    second = weights @ squares
    if not np.sqrt(second) > _ROUNDING * largest:
        return 1.0
    # Powers of arrays other than squares take twenty times as long as products.
    skewness = weights @ (squares * deviates) / second**1.5
    excess = weights @ (squares * squares) / second**2 - 3.0
    size = 1.0 / (weights**2).sum() if size is None else size
    return float(chdtrc(2, size / 6.0 * (skewness**2 + excess**2 / 4.0)))
