"""Held-out scores of rows in the blocks of a Dask array, from one reading where that suffices."""

from __future__ import annotations

import numpy as np

from ...linalg import get_backend
from ...linalg._ridge_basis import gains, left_tasks
from ...linalg._ridge_path import _project, _targets, scores_across
from ...utils._dask import add_parts, join_rows, sums_and_rows
from ...utils._rows import compute_together

N_FOLDS = 10
"""Folds of the choice of the penalty: each row is scored at the penalty that the others choose."""

_MOST_TARGETS = 3
"""Targets up to which scores are kept at several penalties: workers hold 72 bytes a row."""

_POWER = 16
"""Power whose sum over a million leverages has a root of 2.4 times the largest at most."""

_FORESEEN = 3
"""Penalties at which scores are kept while errors are summed: the one that generalised
cross-validation chooses and its neighbours. Leave-one-out differs from it by O(1/n)."""

_SMALLEST_ROOM = 1e-10
"""Least weight of other rows of which a mean is taken."""


def scores_of_blocks(basis, targets, alphas, folds, bounds, choose, near):
    """Score each row by a fit without it, at the penalty that `choose` finds by errors of folds.

    `near` is a function of blocks of U, square roots of weights and arguments, with several of
    these arguments: its results for each, one a row, are returned beside the scores and the sums
    of `sums_of_scores`.
    """
    columns, means = _targets(basis, targets)
    shared = filter_parts(basis, columns, means, alphas)
    seen = _foreseen(basis, columns, means, shared, alphas)
    each = share_of_one(basis)
    function, pieces = near
    beside = [
        left_tasks(basis, function, (), extra, join=join_rows, with_roots=True) for extra in pieces
    ]
    member = folds.astype(np.min_scalar_type(int(folds.max())))
    tasks = left_tasks(
        basis,
        _errors_and_scores,
        (columns, basis.part, member),
        (each, seen, bounds, shared),
        join=sums_and_rows,
        with_roots=True,
        width=len(means) * len(alphas),
        scratch=True,
    )
    # Sums of a few penalties are no more than some bytes a row: no worker need add them up.
    found, *distances = compute_together([tasks, *beside])
    sums = add_parts(part for part, _ in found)
    scores = np.concatenate([rows for _, rows in found])
    near_rows = [np.concatenate(part) for part in distances]
    chosen = choose(sums[0])
    wanted = np.unique(chosen)
    if np.isin(wanted, seen).all():
        column = np.searchsorted(seen, chosen)[member][:, None, None]
        return np.take_along_axis(scores, column, axis=2)[:, :, 0], sums, near_rows
    _, gain, projected, finite = shared
    tasks = left_tasks(
        basis,
        _chosen_scores,
        (columns, basis.part, np.searchsorted(wanted, chosen).astype(np.uint8)[member]),
        (each, (means, gain[:, wanted], projected, finite[wanted])),
        join=join_rows,
        with_roots=True,
        width=len(means) * len(alphas),
        scratch=True,
    )
    return np.concatenate(compute_together([tasks])[0]), sums, near_rows


def _foreseen(basis, columns, means, shared, alphas):
    """Return the penalties that leave-one-out is likely to choose, none if scores are too many."""
    if len(alphas) <= _FORESEEN:
        return np.arange(len(alphas))
    if len(means) > _MOST_TARGETS:
        return np.zeros(0, dtype=int)
    _, gain, projected, finite = shared
    weights = basis.sqrt_weights**2
    total = sum(
        weights @ (column - mean) ** 2 for column, mean in zip(columns.T, means, strict=True)
    )
    # With gains g, the fit takes (2 g - g^2) p^2 off the squares of the targets.
    power = (projected**2).sum(1)[:, None] * gain * (2.0 - gain)
    room = np.maximum(1.0 - (gain.sum(0) + basis.fit_intercept) / basis.n_samples, 1e-3)
    error = np.where(finite, (total - power.sum(0)) / room**2, np.inf)
    best = int(np.argmin(error))
    start = min(max(best - _FORESEEN // 2, 0), len(alphas) - _FORESEEN)
    return np.arange(start, start + _FORESEEN)


def share_of_one(basis):
    """Return the share of a row of weight one in the intercept."""
    weight = float(basis.sqrt_weights @ basis.sqrt_weights)
    return 1.0 / weight if basis.fit_intercept else 0.0


def filter_parts(basis, columns, means, alphas):
    """Return what blocks need beside their rows, without the products that they can make."""
    gain = gains(basis, alphas)
    return means, gain, _project(basis, columns, means), np.isfinite(alphas)


def paths(block, targets, roots, part, each, shared, scratch):
    """Return leave-one-out scores (q, k, b), 1 - h (k, b), and what is to be added to the scores.

    That, (q, 1, b), measures them from the fit to all rows.
    """
    means, gain, projected, finite = shared
    share = each * roots * roots
    filters = scratch.once("filters", lambda: _filters(projected, gain))
    given = targets, roots, share, part, means, gain, filters, finite
    scores, room = scores_across(block, *given, scratch=scratch)
    own = (share * part)[:, None]
    pull = own * (targets - means) / np.maximum(1.0 - own, _SMALLEST_ROOM)
    return scores, room, pull.T[:, None, :]


def _filters(projected, gain):
    """Return what makes fits at every penalty of rows of U, (r, q k)."""
    filters = projected[:, :, None] * gain[:, None, :]
    return filters.reshape(len(gain), projected.shape[1] * gain.shape[1])


def _errors_and_scores(block, roots, targets, part, member, each, seen, bounds, shared, scratch):
    """Add up errors and scores of a block of rows; also return some of the scores themselves."""
    scores, room, pull = paths(block, targets, roots, part, each, shared, scratch)
    folds = np.equal.outer(np.arange(N_FOLDS), member).astype(float)
    sums = sums_of_scores(scores, room, targets, roots, folds, pull, bounds, scratch)
    return sums, scores[:, seen].transpose(2, 0, 1)


def sums_of_scores(scores, room, targets, roots, folds, pull, bounds, scratch=None):
    """Return sums over a block of rows, to whose scores (q, k, b) the pull is added.

    Bounded squared errors by fold and penalty, scores (q, k), their squares, and a power of the
    leverages at the smallest penalty, the root of whose sum exceeds each of them.
    """
    xp, weights = get_backend(scores), roots * roots
    if scratch is None:
        error = xp.clip(scores, *bounds)
    else:
        error = np.clip(scores, *bounds, out=scratch("errors", *scores.shape))
    error -= targets.T[:, None, :]
    error *= error
    total = error.sum(0) if len(error) > 1 else error[0]
    scores += pull
    first, folds = scores @ weights, (folds * weights) @ total.T
    error[:] = scores
    error *= scores
    return folds, first, error @ weights, ((1.0 - room[0]) ** _POWER).sum()


def largest_leverage(powers):
    """Return what no leverage exceeds, from the sum that `sums_of_scores` gives of their powers."""
    return float(powers) ** (1.0 / _POWER)


def _chosen_scores(block, roots, targets, part, chosen, each, shared, scratch):
    """Return the scores of a block of rows, each at its own penalty."""
    scores, _, pull = paths(block, targets, roots, part, each, shared, scratch)
    column = chosen.astype(np.intp)[None, None]
    return (np.take_along_axis(scores, column, axis=1) + pull)[:, 0].T
