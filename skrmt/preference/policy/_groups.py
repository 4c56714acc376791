"""Groups of comparisons: penalties that other groups choose, and refits without some groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ._comparisons import Comparisons
from ._solver import PairLoss, both_ways, newton

_PARTS = 10
"""Parts of the groups, each scored at the penalty that the others choose: the best of many is so by
luck as well, which adds .02 to the accuracy (`test_the_accuracy_is_that_of_fresh_groups`)."""


def chosen_columns(
    n: int, best: int, group: np.ndarray | None, best_of: Callable[[np.ndarray], int]
) -> np.ndarray:
    """Return which penalty each of n rows is scored at: the best one, or that of other groups."""
    columns = np.full(n, best)
    for rows in [] if group is None else _parts(group):
        columns[rows] = best_of(~rows)
    return columns


def _parts(group: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each part of the groups, as masks."""
    return [group % _PARTS == part for part in range(min(_PARTS, group.max() + 1))]


def outcomes_of(pairs: Comparisons, rows: np.ndarray) -> Comparisons:
    """Return the outcomes of some of the pairs, without their differences."""
    return pairs._replace(won=pairs.won[rows], lost=pairs.lost[rows])


def scores_of_refits(
    Z: np.ndarray,
    pairs: Comparisons,
    losses: list[PairLoss],
    alphas: np.ndarray,
    start: np.ndarray,
    max_iter: int,
) -> np.ndarray:
    """Return the score of each pair by a refit without its part of the groups, at its penalty."""
    assert pairs.group is not None
    scores, weights = np.empty(len(Z)), pairs.weights
    for rows in _parts(pairs.group):
        in_turn = [both_ways(loss, outcomes_of(pairs, ~rows)) for loss in losses]
        # The sum of the losses stays beside the same penalty.
        alpha = float(alphas[rows][0] * weights.sum() / weights[~rows].sum())
        scores[rows] = Z[rows] @ newton(Z[~rows], in_turn, alpha, start, max_iter).coef
    return scores
