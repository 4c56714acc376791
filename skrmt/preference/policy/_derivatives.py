"""What a fit of a smooth loss shows of fits to other pairs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Derivatives(NamedTuple):
    """A fit of a smooth loss: coordinates of the pairs, and derivatives of the mean loss there.

    Attributes
    ----------
    Z : ndarray of shape (m, r)
        Coordinates.
    scores, first, second : ndarray of shape (m,)
        Margins, and derivatives of the loss of each pair in its margin.
    alpha : float
        Penalty.
    """

    Z: np.ndarray
    scores: np.ndarray
    first: np.ndarray
    second: np.ndarray
    alpha: float
