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
    order = np.argsort(columns, axis=0, kind="stable")
    ordered = np.take_along_axis(columns, order, axis=0)
    first = np.arange(len(columns))[:, None] * (np.diff(ordered, axis=0, prepend=-np.inf) > room)
    result = np.empty_like(columns)
    lowest = np.take_along_axis(ordered, np.maximum.accumulate(first, axis=0), axis=0)
    np.put_along_axis(result, order, lowest, axis=0)
    return result.reshape(scores.shape)
