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


def label_issues(quality, threshold):
    """Return the rows whose label is wrong with a probability of the threshold or more."""
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r} must be a probability, between 0 and 1.")
    wrong = 1.0 - quality
    order = np.argsort(-wrong, kind="stable")
    order = order[wrong[order] >= threshold]
    return LabelIssues(order, wrong[order])
