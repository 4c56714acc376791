"""Responses that are compared several times, and what a fit knows of pairs of new ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.sparse.csgraph import connected_components
from scipy.stats import t as student

from ...utils._intervals import SHARED_FITS
from ...utils._merging import merge_rows
from ...utils._rows import content_keys, identical_block_rows
from ._blocks import Reading
from ._comparisons import Comparisons
from ._derivatives import Derivatives
from ._held_out import HeldOut

_BASELINE = 0.25
"""Share of the comparisons from which a response is what others are measured against: it will be
there among fresh pairs as well, and without it little would be left."""

_LOOSE = 0.1
"""Share of the comparisons that the largest set of linked responses may have for sets to be left
out whole, as the responses to a prompt are: ten folds then have a tenth each."""

_FOLDS = (20, 8)
"""Folds of the responses: of pairs left out with both folds, 1/10 and 1/4 of the responses are
missing, from which half of the difference leads to none missing
(`test_new_items_are_ranked_as_predicted`)."""

_PARTS = 10
"""Parts of the responses in the jackknife of the accuracy on pairs of new ones."""

_FEWEST = 10
"""Effective responses below which nothing is said of new ones."""


class NewItems(NamedTuple):
    """Share of pairs of new responses that are ranked as chosen, with its 95 % interval."""

    accuracy: float
    interval: np.ndarray


UNKNOWN = NewItems(float("nan"), np.full(2, np.nan))
"""Where nothing is known of new responses."""


def recognise(chosen: Any, rejected: Any, reading: Reading | None = None) -> np.ndarray | None:
    """Return the numbers (n, 2) of responses of equal features; None if each is compared once.

    Numbers follow the content of responses; -1 is one that most others are compared with.
    """
    n = len(chosen)
    if reading is not None and reading.sides is not None:
        keys, twins = np.concatenate(reading.sides, axis=1)
        codes = identical_block_rows(chosen, rejected, keys=twins)
        first = np.unique(codes, return_index=True)[1]
    else:
        both = np.concatenate([chosen, rejected])
        merged = merge_rows(both, np.zeros(2 * n), np.ones(2 * n))
        if merged.origin is None:
            return None
        codes, first = merged.origin, merged.first
        keys = content_keys(both, np.ones(both.shape[1], bool))
    rank = np.empty(len(first), dtype=int)
    rank[np.argsort(keys[first], kind="stable")] = np.arange(len(first))
    items = rank[codes].reshape(2, n).T
    counts = np.bincount(items.ravel())
    items = np.where(counts[items] > _BASELINE * n, -1, items)
    counts = np.bincount(items[items >= 0], minlength=1)
    return items if counts.max() > 1 else None


def linked_sets(items: np.ndarray) -> np.ndarray | None:
    """Return which set of linked responses each comparison is of, if there are many of several."""
    n_items = int(items.max()) + 1
    # A response that is compared with a baseline only is linked to itself.
    ends = np.where(items >= 0, items, items.max(axis=1, keepdims=True))
    known = ends.max(axis=1) >= 0
    links = sparse.coo_array(
        (np.ones(known.sum()), (ends[known, 0], ends[known, 1])), shape=(n_items, n_items)
    )
    sets = connected_components(links, directed=False)[1]
    member = np.where(known, sets[ends[:, 0]], len(sets) + np.arange(len(ends)))
    member = np.unique(member, return_inverse=True)[1].ravel()
    sizes = np.bincount(member)
    pairs = len(np.unique(np.sort(ends, axis=1), axis=0))
    if sizes.max() > _LOOSE * len(items) or len(sizes) == pairs:
        return None
    return member


def items_of_rows(items: np.ndarray, pairs: Comparisons) -> np.ndarray:
    """Return the responses (m, 2) of each distinct pair."""
    found = np.full((len(pairs.won), 2), -1)
    given = pairs.row >= 0
    found[pairs.row[given]] = items[given]
    return found


def new_items_accuracy(fit: Derivatives, pairs: Comparisons, items: np.ndarray) -> NewItems:
    """Predict which share of pairs of new responses is ranked as chosen.

    Both responses of a pair are left out with all their comparisons.
    """
    _, weights = pairs.outcomes(fit.scores)
    share = weights / weights.sum()
    n_items = items.max() + 1
    known = items >= 0
    mass = np.bincount(items[known], np.repeat(pairs.weights, 2).reshape(-1, 2)[known], n_items)
    n_effective = float(mass.sum() ** 2 / (mass**2).sum())
    if n_effective < max(fit.Z.shape[1], _FEWEST):
        return UNKNOWN
    right = []
    for n_folds in _FOLDS:
        fold = np.where(known, items % n_folds, n_folds)
        margins, _ = pairs.outcomes(_scores_without(fit, fold, n_folds))
        right.append(np.where(margins == 0, 0.5, margins > 0))
    many, few = (float(share @ one) for one in right)
    accuracy = float(np.clip(many + (many - few) / 2, 0.0, 1.0))
    residual = np.bincount(pairs.outcome_rows, share * (right[0] - many))
    # What is extrapolated is as sure as that it is there at all.
    variance = max(_dyadic(residual, items), _jackknife(right[0], share, items, pairs))
    variance += ((many - few) / 2) ** 2 / SHARED_FITS**2
    half = SHARED_FITS * student.ppf(0.975, n_effective - 1) * np.sqrt(variance)
    return NewItems(accuracy, np.clip([accuracy - half, accuracy + half], 0.0, 1.0))


def _scores_without(fit: Derivatives, fold: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the scores of pairs by one Newton step to the fit without the folds of both."""
    Z, n_axes = fit.Z, fit.Z.shape[1]
    curves, slopes = np.zeros((n_folds + 1, n_axes, n_axes)), np.zeros((n_folds + 1, n_axes))
    for number in range(n_folds):
        rows = (fold == number).any(axis=1)
        curves[number] = (Z[rows] * fit.second[rows, None]).T @ Z[rows]
        slopes[number] = fit.first[rows] @ Z[rows]
    whole = (Z * fit.second[:, None]).T @ Z + 2 * fit.alpha * np.eye(n_axes)
    whole[np.diag_indices(n_axes)] += 1e-12 * max(float(np.trace(whole)) / n_axes, 1e-300)
    fold = np.sort(fold, axis=1)
    cells = np.unique(fold, axis=0, return_inverse=True)
    scores = np.empty(len(Z))
    for number, (a, b) in enumerate(cells[0]):
        rows = cells[1].ravel() == number
        gone, slope = curves[a], slopes[a]
        if a != b:
            own = (Z[rows] * fit.second[rows, None]).T @ Z[rows] if b < n_folds else 0.0
            gone = gone + curves[b] - own
            slope = slope + slopes[b] - (fit.first[rows] @ Z[rows] if b < n_folds else 0.0)
        scores[rows] = fit.scores[rows] + Z[rows] @ _solved(whole - gone, slope)
    return scores


def _solved(curve: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """Return the solution of a positive definite system, of smallest norm where it is singular."""
    try:
        return cho_solve(cho_factor(curve, lower=True), slope)
    except LinAlgError:
        return np.linalg.lstsq(curve, slope, rcond=1e-10)[0]


def worth_of_known(held: HeldOut, pairs: Comparisons, items: np.ndarray, n_given: float) -> float:
    """Return the number of independent comparisons that a share ranked right is worth.

    That comparisons share responses counts half: fresh pairs are of the same responses.
    """
    share = float(held.shares @ held.right)
    residual = np.bincount(pairs.outcome_rows, held.shares * (held.right - share))
    binomial = share * (1 - share) / n_given
    variance = (binomial + _dyadic(residual, items)) / 2
    # The interval of held-out shares allows for shared fits, as the sums over responses do.
    return held.size if binomial == 0 else share * (1 - share) / variance * SHARED_FITS**2


def _dyadic(residual: np.ndarray, items: np.ndarray) -> float:
    """Return the variance of a mean over pairs that share responses."""
    known = items >= 0
    sums = np.bincount(items[known], np.repeat(residual, 2).reshape(-1, 2)[known])
    both = known.all(axis=1)
    return max(float((sums**2).sum() - (residual[both] ** 2).sum()), float((residual**2).sum()))


def _jackknife(
    right: np.ndarray, share: np.ndarray, items: np.ndarray, pairs: Comparisons
) -> float:
    """Return the variance of a share by leaving out the pairs of a tenth of the responses."""
    found = []
    for part in range(_PARTS):
        kept = ~((items % _PARTS == part) & (items >= 0)).any(axis=1)[pairs.outcome_rows]
        found.append(float(share[kept] @ right[kept] / max(share[kept].sum(), 1e-300)))
    return (_PARTS - 1) * float(np.var(found))
