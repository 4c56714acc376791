"""Scores that are equal, up to rounding: their order must show in nothing."""

from __future__ import annotations

import numpy as np

_ROUNDING = 1e-12
"""Gap of scores over their mean modulus up to which they are equal.

Sums of a thousand terms differ by 1e-13 for another order of the terms; a billion scores that do
differ lie farther apart.
"""


def without_rounding(scores, scale=0.0):
    """Return scores (n,) or (n, K) in which those that differ by rounding alone are equal.

    `scale` is the modulus of what the scores were computed from, where it may exceed theirs.
    """
    columns = scores.reshape(len(scores), -1)
    room = _ROUNDING * max(np.abs(columns).mean(), scale)
    result = np.empty_like(columns)
    for column, found in zip(columns.T, result.T, strict=True):
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        first = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > room)
        found[order] = np.repeat(ordered[first], np.diff(first, append=len(ordered)))
    return result.reshape(scores.shape)
