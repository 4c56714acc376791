"""Penalties that other rows choose, and refits without some groups of comparisons."""

from __future__ import annotations

import numpy as np

from ._comparisons import Comparisons
from ._solver import PairLoss, both_ways, newton

_FOLDS = 10
"""Folds of the pairs, each scored at the penalty that the others choose: the best of many is so by
luck as well, which adds .02 to the accuracy (`test_the_accuracy_is_that_of_fresh_groups`)."""

_TINY = 1e-300


def content_folds(pairs: Comparisons) -> np.ndarray:
    """Return a fold for each row, whole groups in one, that follows from the rows' content."""
    order = np.lexsort((pairs.won > 0, pairs.key))
    member = np.arange(len(order))
    if pairs.group is not None:
        member = pairs.group
        order = order[np.sort(np.unique(member[order], return_index=True)[1])]
        order = member[order]
    fold = np.empty(len(order), dtype=int)
    fold[order] = np.arange(len(order)) % _FOLDS
    return fold[member]


def best_columns(
    margins: np.ndarray, weights: np.ndarray, fold: np.ndarray
) -> tuple[int, np.ndarray]:
    """Return which column of left-out margins ranks best, by all rows and by those of other folds.

    Columns are judged by the mean over the root mean square of the margins.
    """
    scaled = margins / np.maximum(np.abs(margins).max(axis=0), _TINY)
    sums = np.zeros((_FOLDS, 2, margins.shape[1]))
    mass = np.bincount(fold, weights, minlength=_FOLDS)
    for number in range(_FOLDS):
        rows = fold == number
        sums[number] = weights[rows] @ scaled[rows], weights[rows] @ scaled[rows] ** 2
    total = sums.sum(axis=0)
    without = _ratios(total - sums, (mass.sum() - mass)[:, None])
    return int(_ratios(total, mass.sum()).argmax()), without.argmax(axis=1)


def _ratios(sums: np.ndarray, mass: np.ndarray | float) -> np.ndarray:
    """Return the mean over the root mean square, given sums of values and of their squares."""
    first, second = sums[..., 0, :], sums[..., 1, :]
    return (first / np.sqrt(np.maximum(second * mass, _TINY))).round(12)


def scores_at(left: np.ndarray, best: int, columns: np.ndarray) -> np.ndarray:
    """Return left-out scores at the penalty of each row, in the unit of those at the best one.

    Where penalties are large scores are inversely proportional to them.
    """
    sizes = np.sqrt((left**2).mean(axis=0))
    unit = np.where(sizes > 0, sizes[best] / np.maximum(sizes, _TINY), 1.0)
    return left[np.arange(len(left)), columns] * unit[columns]


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
    """Return the score of each pair by a refit without its fold, at the penalty of the others."""
    fold, weights = content_folds(pairs), pairs.weights
    scores = np.empty(len(Z))
    for number in np.unique(fold):
        rows = fold == number
        in_turn = [both_ways(loss, outcomes_of(pairs, ~rows)) for loss in losses]
        # The sum of the losses stays beside the same penalty.
        alpha = float(alphas[rows][0] * weights.sum() / weights[~rows].sum())
        scores[rows] = Z[rows] @ newton(Z[~rows], in_turn, alpha, start, max_iter).coef
    return scores
