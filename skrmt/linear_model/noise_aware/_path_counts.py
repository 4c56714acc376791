"""Decisions on rows left out at every penalty, counted by class and by observed label."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg import get_backend, to_numpy
from ...linalg._gram import row_blocks
from ...linalg._ridge_basis import doubles, left_block, left_blocks, projector, sum_left
from ...linalg._ridge_path import _loo_arguments, _loo_block, _targets
from ...utils._dask import add_parts, block_tasks, is_dask, summed
from ...utils._rows import compute_together
from ...utils._scratch import Scratch
from ._block_scores import filter_parts, paths, share_of_one
from ._held_out import on_device, pull_of_own

_LARGEST_LEVERAGE = 0.5
"""Leverage up to which a fit to all rows may tell how rows left out are decided."""

_MARGIN = 1.01
"""Factor of what leaving a row out may change: rounding is far less."""


class Decision(NamedTuple):
    """How scores s of the k-th penalty decide: ``directions (stretch_k s + shift_k) + offsets``.

    One column decides by its sign, of several the largest does.
    """

    stretch: np.ndarray
    shift: np.ndarray
    directions: np.ndarray
    offsets: np.ndarray


class _Fits(NamedTuple):
    """Decisions by fits to all rows as linear functions of these, and what may part them.

    Attributes
    ----------
    maps : ndarray of shape (p, J k)
        Factors of the columns of the data, or of U.
    constants : ndarray of shape (J, k)
        What is added.
    kept : ndarray of shape (k,)
        Part of the leverage at the smallest penalty that is left at each.
    change : ndarray of shape (2, k)
        What a unit of leverage may change, and what a unit of it times that of the fit.
    """

    maps: np.ndarray
    constants: np.ndarray
    kept: np.ndarray
    change: np.ndarray


def count_decisions(basis, targets, fit, labels, decision) -> np.ndarray:
    """Count decisions on rows left out one by one, (k, K, K)."""
    columns, means = _targets(basis, on_device(basis, targets))
    if isinstance(basis.scale, np.ndarray):
        return _count_blocks(basis, columns, means, fit, labels, decision)
    rows, shared = _loo_arguments(basis, columns, means, fit.alphas)
    label = labels.shares_of_rows[:, None] * np.eye(labels.n_classes)[labels.observed]
    extra = (on_device(basis, x) for x in (pull_of_own(basis, targets), label))
    decision = (on_device(basis, x) for x in decision)
    return to_numpy(sum_left(basis, _block_counts, *rows, *extra, shared=(*shared, *decision)))


def _block_counts(block, targets, roots, share, part, pull, label, *arguments):
    """Count decisions on a block of rows left out, beside it on a device."""
    *others, stretch, shift, directions, offsets = arguments
    scores = _loo_block(block, targets, roots, share, part, *others).scores
    return counts_of_scores(scores, label, Decision(stretch, shift, directions, offsets), pull)


def counts_of_scores(scores, label, decision, pull=0.0):
    """Count decisions by scores (n, q, k) of every penalty, (k, K, K), where these are."""
    counts, backend = [], get_backend(scores)
    label = backend.asarray(label, like=scores, dtype="float64")
    classes = backend.asarray(np.arange(label.shape[1]), like=scores)
    for column in range(scores.shape[2]):
        own = (scores[:, :, column] + pull) * decision.stretch[column] + decision.shift[:, column]
        values = own @ decision.directions.T + decision.offsets
        two = values.shape[1] == 1
        codes = (values[:, 0] > 0) * 1 if two else values.argmax(1)
        hits = backend.asarray(codes[:, None] == classes, like=scores, dtype="float64")
        counts.append(hits.T @ label)
    return backend.stack(counts)


def _count_blocks(basis, columns, means, fit, labels, decision):
    """Count decisions block by block.

    A fit to all rows decides those that it is sure of: being left out changes no score by more
    than its leverage allows. The others are left out one by one.
    """
    own = labels.weights
    equal = np.ptp(own) == 0
    # Weights that are those of the fit need not be sent once more.
    same = not equal and np.array_equal(own, basis.sqrt_weights**2)
    observed = labels.observed.astype(np.min_scalar_type(labels.n_classes))
    rows = columns, basis.part, observed, np.ones(len(own)) if same or equal else own
    total = float(len(own)) if equal else own.sum()
    shared = filter_parts(basis, columns, means, fit.alphas)
    fits = _linear_fits(columns, shared, decision)
    others: tuple = same, total, labels.n_classes, share_of_one(basis), fit.leverage
    others = *others, decision, shared
    if not (is_dask(basis.data) or (basis.left is None and isinstance(basis.data, np.ndarray))):
        blocks = left_blocks(basis)
        return _sum_counts(basis, blocks, rows, (fits, *others))
    right, offset, unit = projector(basis)
    constants = fits.constants - (offset @ fits.maps).reshape(fits.constants.shape)
    fits = fits._replace(maps=right @ fits.maps, constants=constants)
    others = *others, right, offset, unit
    if is_dask(basis.data):
        given = (basis.sqrt_weights, *rows)
        width, common = fits.constants.size, (fits, *others)
        tasks = block_tasks(_counts, basis.data, given, common, add_parts, width, scratch=True)
        return compute_together([[summed(tasks)]])[0][0]
    n, p = basis.data.shape
    blocks = ((part, basis.data[part]) for part in row_blocks(n, p, pieces=16))
    return _sum_counts(basis, blocks, rows, (fits, *others))


def _sum_counts(basis, blocks, rows, others):
    """Count decisions on blocks of rows in memory."""
    rows, scratch = (basis.sqrt_weights, *rows), Scratch()
    return sum(
        _counts(block, *(array[part] for array in rows), *others, scratch=scratch)
        for part, block in blocks
    )


def _linear_fits(columns, shared, decision):
    """Return the decisions by fits to all rows in terms of U."""
    means, gain, projected, finite = shared
    stretch, shift, directions, offsets = decision
    maps = np.einsum("rq,rk,jq->rjk", projected, stretch * gain, directions)
    maps = maps.reshape(len(gain), len(directions) * len(stretch))
    constants = directions @ (stretch * means[:, None] + shift) + offsets[:, None]
    if not finite.all():
        never = np.full(len(stretch), np.inf)
        return _Fits(maps, constants, never, np.zeros((2, len(stretch))))
    kept = (gain / np.maximum(gain[:, :1], 1e-300)).max(axis=0, initial=0.0)
    # Left out, a score s of target t moves by h / (1 - h) (s - t); what is added to it is less.
    strength = abs(directions)
    blocks = row_blocks(len(columns), 2 * columns.shape[1], pieces=16)
    far = max((abs(columns[rows] - means) @ strength.T).max() for rows in blocks)
    size = (strength @ np.sqrt(np.einsum("rk,rq->qk", gain, projected**2))).max(axis=0)
    change = np.stack([np.full(len(stretch), far), size])
    sides = 1.0 if len(directions) == 1 else 2.0
    return _Fits(maps, constants, kept, _MARGIN * sides * abs(stretch) * change)


def _counts(
    block,
    roots,
    targets,
    part,
    observed,
    own,
    fits,
    same,
    total,
    n_classes,
    each,
    leverage,
    decision,
    shared,
    right=None,
    offset=None,
    unit=1.0,
    *,
    scratch,
):
    """Count decisions on a block of rows of the data or, where nothing makes U of them, of U."""
    n_columns, n_alphas = fits.constants.shape
    values = scratch("values", fits.constants.size, len(block))
    np.matmul(fits.maps.T, doubles(block, unit, scratch).T, out=values)
    if right is None and (roots != 1.0).any():
        values /= roots
    values = values.reshape(n_columns, n_alphas, len(block))
    values += fits.constants[:, :, None]
    rows = np.flatnonzero(~_sure(values, _bound(fits, roots, part, each, leverage), scratch))
    if len(rows):
        left = block[rows]
        if right is not None:
            left = left_block(left, roots[rows], right, offset, unit, scratch)
        given = left, targets[rows], roots[rows], part[rows], each
        scores, _, pull = paths(*given, shared, scratch)
        scores = (scores + pull) * decision.stretch[:, None] + decision.shift[:, :, None]
        exact = np.tensordot(decision.directions, scores, 1) + decision.offsets[:, None, None]
        values[:, :, rows] = exact
    share = (roots * roots if same else own) / total
    return _tally(values, share[:, None] * np.eye(n_classes)[observed], scratch)


def _bound(fits, roots, part, each, leverage):
    """Return what being left out may change in the decision on some rows at every penalty, (k,)."""
    own = each * (roots * roots).max()
    reach = fits.kept * leverage + own
    size = fits.change[0] + fits.change[1] * np.sqrt(leverage / part.min()) / roots.min()
    small = reach <= _LARGEST_LEVERAGE
    bound = np.full(size.shape, np.inf)
    bound[small] = size[small] * reach[small] / (1.0 - reach[small])
    return bound + fits.change[0] * own / max(1.0 - own, 1.0 - _LARGEST_LEVERAGE)


def _sure(values, bound, scratch):
    """Return the rows whose decisions (J, k, b) no change within a bound turns, (b,)."""
    lead = scratch("lead", *values.shape[1:])
    if len(values) == 1:
        np.abs(values[0], out=lead)
    else:
        top, second = scratch("top", *lead.shape), lead
        np.maximum(values[0], values[1], out=top)
        np.minimum(values[0], values[1], out=second)
        for column in values[2:]:
            between = np.minimum(top, column, out=scratch("between", *lead.shape))
            np.maximum(second, between, out=second)
            np.maximum(top, column, out=top)
        np.subtract(top, second, out=lead)
    return (lead > bound[:, None]).all(axis=0)


def _tally(values, label, scratch):
    """Add up shares of labels (b, K) by the class that values (J, k, b) decide for, (k, K, K)."""
    hits = scratch("hits", *values.shape[1:])
    if len(values) == 1:
        upper = np.greater(values[0], 0.0, out=hits) @ label
        return np.stack([label.sum(axis=0) - upper, upper], axis=1)
    best, counts = values.argmax(axis=0), []
    for number in range(len(values)):
        counts.append(np.equal(best, number, out=hits) @ label)
    return np.stack(counts, axis=1)
