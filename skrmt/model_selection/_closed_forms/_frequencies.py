"""Scores of rows left out, and what keeps their labels as frequent as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_LEAST_REST = 1e-9
"""Part of a label that other rows must hold to stand for a row that is left out."""


class HeldOut(NamedTuple):
    """Scores of training rows by fits without them.

    Attributes
    ----------
    scores : ndarray of shape (m,) or (m, K)
        Decision function, or prediction, of each row by the fit without it.
    even : ndarray of the same shape, or None
        Those of `fair` if every row had the mean leverage, as in theory; None where not known.
    kind : {"exact", "newton", "folds"}
        Closed form, one Newton step per row, or cross-validation.
    fair : ndarray of the same shape, or None
        Scores by fits in which the other rows of its label weigh more, so that no label is rarer
        without the row; None where they are `scores`.
    area : float or None
        Share of pairs of two classes ranked right by fits without both; None where not known.
    ranks : ndarray of shape (m,) or None
        Scores of two classes less what a row that is left out adds to those of all rows alike,
        which would lower its rank among theirs; None where they are `deciding`.
    """

    scores: np.ndarray
    even: np.ndarray | None
    kind: str
    fair: np.ndarray | None = None
    area: float | None = None
    ranks: np.ndarray | None = None

    @property
    def deciding(self) -> np.ndarray:
        """Scores from which metrics are counted.

        In a fit without it the label of a row is rarer than among fresh rows: where features show
        little, each row would be taken for one of another class.
        """
        return self.scores if self.fair is None else self.fair


def part_of_label(codes: np.ndarray, weights: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return which part of the weight of its label goes with each row."""
    return part * weights / np.bincount(codes, weights)[codes]


def made_up_for(own: np.ndarray) -> np.ndarray:
    """Return by which part the rest of a label weighs more where a part of it goes.

    With gradient ``g_j`` of row j and its label c, the gradient of the fit that is wanted without
    row i is ``sum_{j != i} g_j + made_up_for * sum_{j != i, j in c} g_j``.
    """
    rest = 1.0 - own
    return np.where(rest > _LEAST_REST, own / np.maximum(rest, _LEAST_REST), 0.0)
