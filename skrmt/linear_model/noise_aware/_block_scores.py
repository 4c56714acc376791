"""Held-out scores of rows in the blocks of a Dask array, from one reading where that suffices."""

from __future__ import annotations

from functools import partial

import numpy as np

from ...linalg._ridge_basis import gains, left_tasks
from ...linalg._ridge_path import _loo_block, _project, _targets
from ...utils._dask import JoinedRows, add_parts, join_rows, summed
from ...utils._rows import compute_together

_MOST_TARGETS = 3
"""Targets up to which scores are kept at several penalties: 72 bytes a row."""

_FORESEEN = 3
"""Penalties at which scores are kept while errors are summed: the one that generalised
cross-validation chooses and its neighbours. Leave-one-out differs from it by O(1/n)."""

_SMALLEST_ROOM = 1e-10
"""Least weight of other rows of which a mean is taken."""


def scores_of_blocks(basis, targets, alphas, folds, bounds, choose, near):
    """Score each row by a fit without it, at the penalty that `choose` finds by errors of folds.

    `near` is a function of blocks of U, square roots of weights and arguments, with several of
    these arguments: its results for each, one a row, are returned beside the scores, errors
    (folds, k) and weighted sums of scores and of their squares (q, k).
    """
    columns, means = _targets(basis, targets)
    shared = _shared(basis, columns, means, alphas)
    seen = _foreseen(basis, columns, means, shared, alphas)
    weight = float(basis.sqrt_weights @ basis.sqrt_weights)
    each = 1.0 / weight if basis.fit_intercept else 0.0
    function, pieces = near
    beside = [
        left_tasks(basis, function, (), extra, join=join_rows, with_roots=True) for extra in pieces
    ]
    member = folds.astype(np.min_scalar_type(int(folds.max())))
    tasks = left_tasks(
        basis,
        _errors_and_scores,
        (columns, basis.part, member),
        (each, seen, *bounds, *shared),
        join=_joined,
        with_roots=True,
        width=len(means) * len(alphas),
    )
    (sums,), found, *distances = compute_together(
        [[summed([task[0] for task in tasks])], [task[1] for task in tasks], *beside]
    )
    errors, first, second = sums
    scores, near_rows = np.concatenate(found), [np.concatenate(part) for part in distances]
    chosen = choose(errors)
    wanted = np.unique(chosen)
    if np.isin(wanted, seen).all():
        column = np.searchsorted(seen, chosen)[member][:, None, None]
        return np.take_along_axis(scores, column, axis=2)[:, :, 0], errors, first, second, near_rows
    _, gain, projected, finite = shared
    tasks = left_tasks(
        basis,
        _chosen_scores,
        (columns, basis.part, np.searchsorted(wanted, chosen).astype(np.uint8)[member]),
        (each, means, gain[:, wanted], projected, finite[wanted]),
        join=join_rows,
        with_roots=True,
        width=len(means) * len(alphas),
    )
    scores = np.concatenate(compute_together([tasks])[0])
    return scores, errors, first, second, near_rows


def confusions_of_blocks(basis, targets, alphas, labels, decision, count):
    """Count decisions on rows left out by class and observed label at every penalty, (k, K, K).

    `count` takes scores (b, q, k), shares of labels (b, K), what `decision` holds, and what is to
    be added to the scores (b, q).
    """
    columns, means = _targets(basis, targets)
    shared = _shared(basis, columns, means, alphas)
    weight = float(basis.sqrt_weights @ basis.sqrt_weights)
    each = 1.0 / weight if basis.fit_intercept else 0.0
    observed = labels.observed.astype(np.min_scalar_type(labels.n_classes))
    own = labels.weights
    same = np.array_equal(own, basis.sqrt_weights**2) or np.ptp(own) == 0
    rows = (columns, basis.part, observed, np.ones(len(own)) if same else own)
    tasks = left_tasks(
        basis,
        partial(_confusions, count, len(decision), same and np.ptp(own) > 0),
        rows,
        (labels.n_classes, own.sum() if np.ptp(own) else float(len(own)), each, *decision, *shared),
        join=add_parts,
        with_roots=True,
        width=len(means) * len(alphas),
    )
    return compute_together([[summed(tasks)]])[0][0]


def _foreseen(basis, columns, means, shared, alphas):
    """Return the penalties that leave-one-out is likely to choose, none if scores are too many."""
    n_targets = len(means)
    if len(alphas) <= _FORESEEN:
        return np.arange(len(alphas))
    if n_targets > _MOST_TARGETS:
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


def _shared(basis, columns, means, alphas):
    """Return what blocks need beside their rows, without the products that they can make."""
    gain = gains(basis, alphas)
    return means, gain, _project(basis, columns, means), np.isfinite(alphas)


def _paths(block, targets, roots, part, each, means, gain, projected, finite):
    """Return leave-one-out scores (b, q, k), and what measures them from the fit to all rows."""
    share = each * roots * roots
    filters = (projected[:, :, None] * gain[:, None, :]).reshape(len(gain), -1)
    scores = _loo_block(block, targets, roots, share, part, means, gain, filters, finite).scores
    own = (share * part)[:, None]
    return scores, own * (targets - means) / np.maximum(1.0 - own, _SMALLEST_ROOM)


def _errors_and_scores(block, roots, targets, part, member, each, seen, low, high, *shared):
    """Add up errors and scores of a block of rows; also return some of the scores themselves."""
    scores, pull = _paths(block, targets, roots, part, each, *shared)
    weights = (roots * roots)[:, None]
    error = ((targets[:, :, None] - np.clip(scores, low, high)) ** 2).sum(1) * weights
    scores += pull[:, :, None]
    heavy = scores * weights[:, None]
    folds = np.equal.outer(np.arange(10), member) @ error
    sums = folds, heavy.sum(0), np.einsum("bqk,bqk->qk", heavy, scores)
    return sums, scores[:, :, seen]


def _joined(parts):
    """Join the results of pieces: add up the first, put rows of the others one below another."""
    total, joined = None, JoinedRows(parts.n_rows)
    for sums, rows in parts:
        # One at a time: sums of ten classes at thirty penalties outweigh the rows of a piece.
        total = sums if total is None else add_parts([total, sums])
        joined.add(rows)
    return total, joined.result()


def _chosen_scores(block, roots, targets, part, chosen, each, *shared):
    """Return the scores of a block of rows, each at its own penalty."""
    scores, pull = _paths(block, targets, roots, part, each, *shared)
    column = chosen.astype(np.intp)[:, None, None]
    return np.take_along_axis(scores, column, axis=2)[:, :, 0] + pull


def _confusions(
    count, n_decision, weighted, block, roots, targets, part, observed, own, *arguments
):
    """Count decisions on a block of rows left out."""
    n_classes, total, each, *rest = arguments
    decision, shared = rest[:n_decision], rest[n_decision:]
    scores, pull = _paths(block, targets, roots, part, each, *shared)
    share = (roots * roots if weighted else own) / total
    label = share[:, None] * np.eye(n_classes)[observed]
    return count(scores, label, *decision, pull)
