"""Margins of comparisons by fits without them, and how much their count is worth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from ...utils._intervals import Z95
from ._comparisons import Comparisons
from ._fit import Choice
from ._input import Candidates

FEWEST = 10
"""Effective comparisons below which nothing is predicted: an interval from two comparisons without
signal misses 1/2 in half of the draws (`test_a_handful_of_pairs_predicts_nothing`)."""

_FEWEST_WRONG = 5
"""Groups that a wrong pair must be in for the spread between groups to be known: with fewer, a
group counts as one observation."""


class HeldOut(NamedTuple):
    """Margins of comparisons by fits without them.

    Attributes
    ----------
    margins, weights : ndarray of shape (k,)
        Margins of the outcomes, positive if ranked as they went, and their weights.
    group : ndarray of int of shape (k,) or None
        Group of each outcome.
    size : float
        Effective number of comparisons, or groups.
    scores : ndarray of shape (n,)
        Margin of each comparison given, nan for those of weight 0.
    """

    margins: np.ndarray
    weights: np.ndarray
    group: np.ndarray | None
    size: float
    scores: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Weights that sum to 1."""
        return self.weights / self.weights.sum()

    @property
    def right(self) -> np.ndarray:
        """Which outcomes are ranked as they went; equal scores count half."""
        return np.where(self.margins == 0, 0.5, self.margins > 0)

    def worth(self) -> float:
        """Return the number of independent comparisons that the share ranked right is worth.

        Comparisons of a group are right or wrong together as far as they are seen to be.
        """
        if self.group is None:
            return self.size
        share = float(self.shares @ self.right)
        residual = self.shares * (self.right - share)
        spread = float((np.bincount(self.group, residual) ** 2).sum())
        if len(np.unique(self.group[self.right < 1])) < _FEWEST_WRONG or not spread > 0:
            return self.size
        few = (student.ppf(0.975, self.size - 1) / Z95) ** 2
        most = 1.0 / float((self.shares**2).sum())
        return float(np.clip(share * (1 - share) / spread / few, self.size / few, most))


def held_out(choice: Choice, pairs: Comparisons, sets: Candidates | None) -> HeldOut:
    """Return the margins of comparisons by fits without them."""
    assert choice.left_out is not None
    if choice.by_prompt:
        assert sets is not None
        group, weights = sets.group, sets.weights
        together = weights if group is None else np.bincount(group, weights)
        size = float(weights.sum() ** 2 / (together**2).sum())
        return HeldOut(choice.left_out, weights, group, size, choice.left_out)
    group = None if pairs.group is None else pairs.group[pairs.outcome_rows]
    scores = np.where(pairs.row >= 0, choice.left_out[pairs.row] * pairs.sign, np.nan)
    return HeldOut(*pairs.outcomes(choice.left_out), group, pairs.n_effective, scores)
