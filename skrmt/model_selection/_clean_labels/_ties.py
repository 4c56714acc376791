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
    result = np.empty_like(columns)
    for column, found in zip(columns.T, result.T, strict=True):
        order, first = _tied(column, _room(columns, scale))
        found[order] = np.repeat(column[order[first]], _counts(first, column))
    return result.reshape(scores.shape)


def tied_ranks(columns):
    """Return the ranks of scores (n, K) in their columns, the mean one for equal scores."""
    result = np.empty(columns.shape)
    for column, found in zip(columns.T, result.T, strict=True):
        order, first = _tied(column, _room(columns))
        if len(first) == len(column):
            found[order] = np.arange(1.0, len(column) + 1.0)
            continue
        counts = _counts(first, column)
        found[order] = np.repeat(first + (counts + 1) / 2, counts)
    return result


def _room(columns, scale=0.0):
    """Return the gap up to which scores are equal."""
    return _ROUNDING * max(np.abs(columns).mean(), scale)


def _tied(column, room):
    """Return the order of scores, and where in it each run of equal ones begins."""
    order = np.argsort(column)
    ordered = column[order]
    return order, np.append(0, 1 + np.flatnonzero(ordered[1:] - ordered[:-1] > room))


def _counts(first, column):
    """Return how long each run of equal scores is."""
    return np.diff(first, append=len(column))
