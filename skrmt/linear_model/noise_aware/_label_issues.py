"""Rows whose label is probably wrong."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class LabelIssues(NamedTuple):
    """Rows whose label is probably wrong, the most suspicious first.

    Attributes
    ----------
    indices : ndarray of shape (m,)
        Indices of the rows.
    probabilities : ndarray of shape (m,)
        Probability that the label of each is wrong.
    """

    indices: np.ndarray
    probabilities: np.ndarray
