"""Intervals of 95 %."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""

SHARED_FITS = 1.25
"""Rows held out share their fits: their count has 1.15 to 1.3 binomial standard deviations."""


_ARTEFACT = 3.0
"""Standard errors below the accuracy of a guess: chance does so in one fit in a thousand."""


def normal_interval(
    centre: float, std: ArrayLike, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """Return the 95 % interval of a normal estimate within bounds, shape (2,)."""
    below, above = np.broadcast_to(std, (2,))
    return np.clip([centre - Z95 * below, centre + Z95 * above], low, high)


def wilson_interval(share: float, size: float, z: float = Z95) -> np.ndarray:
    """Return Wilson's interval of a share, shape (2,); up to 1 where less than one row is wrong."""
    scale = 1.0 + z**2 / size
    centre = (share + z**2 / (2 * size)) / scale
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / scale
    high = 1.0 if size * (1.0 - share) < 1.0 else max(centre + half, share)
    return np.clip([min(centre - half, share), high], 0.0, 1.0)


def not_below_guess(accuracy: float, size: float, guess: float) -> float:
    """Return an accuracy of rows left out, or that of a guess where chance makes none as low.

    Without its row a class is rarer: decisions that hang on little else are then always wrong.
    """
    return guess if wilson_interval(accuracy, size, _ARTEFACT)[1] < guess else accuracy


def held_out_interval(share: float, size: float) -> np.ndarray:
    """Return Wilson's interval of a share of rows that were held out of fits, shape (2,)."""
    return wilson_interval(share, size / SHARED_FITS**2)
