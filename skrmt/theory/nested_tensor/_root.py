"""The largest root in (0, 1) of a function of an overlap, from its complement."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from .._checks import FloatArray

_GRID = np.concatenate(
    [
        np.logspace(-30, -2, 113),
        np.linspace(0.01, 0.99, 197)[1:-1],
        1 - np.logspace(-2, -9, 29),
    ]
)
_TOLERANCE = 1e-14


def largest_overlap(residual: Callable[[FloatArray], FloatArray]) -> float:
    """Return one less the largest root of a function that is positive near overlap 1."""
    values = residual(_GRID)
    first = int(np.argmax(values <= 0))
    high = _GRID[first]
    if values[first] > 0:
        lowest = _lowest(residual, int(np.argmin(values)))
        if not residual(np.array([lowest]))[0] <= 0:
            return 1.0
        high, first = lowest, int(np.searchsorted(_GRID, lowest))
    if first == 0:
        return float(_GRID[0])
    low = _GRID[first - 1]
    if high <= 0.5:
        log_u = brentq(lambda t: residual(np.exp([t]))[0], np.log(low), np.log(high), xtol=1e-15)
        return float(np.exp(log_u))
    log_q = brentq(
        lambda t: residual(-np.expm1([t]))[0], np.log1p(-high), np.log1p(-low), xtol=_TOLERANCE
    )
    return float(-np.expm1(log_q))


def _lowest(residual: Callable[[FloatArray], FloatArray], index: int) -> float:
    """Return where the function is smallest between the neighbours of a point of the grid."""
    low, high = _GRID[max(index - 1, 0)], _GRID[min(index + 1, len(_GRID) - 1)]
    found = minimize_scalar(
        lambda u: float(residual(np.array([u]))[0]), bounds=(low, high), method="bounded"
    )
    return float(found.x)
