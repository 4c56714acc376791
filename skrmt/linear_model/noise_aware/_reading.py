"""What a fit needs to know of its rows before it decomposes them, in two readings of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import get_backend, is_torch, to_numpy
from ...linalg._gram import Moments, block_moments, fitted_targets, row_blocks
from ...model_selection._clean_labels import NoisyLabels, rows_of
from ...utils._dask import add_parts, block_tasks, is_dask, join_rows, summed
from ...utils._labels import refuse_missing_labels
from ...utils._merging import MergedRows, merge_rows
from ...utils._rows import (
    RowJob,
    block_keys,
    compute_together,
    content_keys,
    row_sums,
    take_rows,
)
from ...utils._scaling import unit_of
from ._held_out import choose_landmarks, known_targets

_FENCE = 3.0
"""Interquartile ranges above the quartile at which a row's log-norm is far out (Tukey)."""

_ROUNDING = 8.0 * np.finfo(float).eps
"""Range of a column over its largest value below which it is constant."""


class ReadRows(NamedTuple):
    """The distinct rows of a fit.

    Attributes
    ----------
    data : array of shape (m, p)
        The rows, in units of `unit`.
    unit : float
        Power of two by which data of extreme scale are divided, 1 for others.
    merged : MergedRows
        Which of the given rows are one.
    weights : ndarray of shape (m,)
        Their weights, less for rows far out.
    centre : ndarray of shape (p,)
        Their mean.
    key : ndarray of shape (m,)
        Numbers that follow from the content of the rows.
    moments : Moments or None
        Sums over the rows of a Dask array, where the same reading gave them.
    some : tuple of ndarrays of shape (l,) and (l, p), or None
        Numbers of the landmarks and these rows, likewise.
    """

    data: Any
    unit: float
    merged: MergedRows
    weights: np.ndarray
    centre: np.ndarray
    key: np.ndarray
    moments: Moments | None = None
    some: tuple | None = None


def read_rows(X, kept, labels: NoisyLabels, groups=None) -> ReadRows:
    """Read rows that are kept twice: to merge identical ones, and to see which are far out.

    `labels` are those of the rows that are kept, `groups` those of all.
    """
    if groups is not None:
        refuse_missing_labels(groups, "groups")
    groups = rows_of("groups", groups, kept)
    X = X if kept.all() else take_rows(X, kept)
    low, high, sums, keys, contents = _read_columns(X)
    unit = unit_of(float(max(-low.min(), high.max(), 0.0)))
    varying = high - low > _ROUNDING * np.maximum(abs(low), abs(high))
    merged = merge_rows(X, labels.contents(), labels.weights, groups, keys)
    data = X if merged.origin is None else X[merged.first]
    data = data if unit == 1.0 else data * (1.0 / unit)
    # Sums of columns spare a reading of a Dask array, where all rows are distinct.
    summed = merged.origin is None and sums is not None and np.isfinite(sums).all()
    centre = sums / unit / X.shape[0] if summed else _centre(data)
    if is_dask(X):
        key = contents[merged.first] / unit if varying.all() else None
        return _read_blocks(data, unit, merged, centre, key, varying, labels)
    norms, key = _norms(data, centre), content_keys(data, varying)
    trusted = merged.weights * _row_trust(norms, merged.weights)
    return ReadRows(data, unit, merged, trusted, centre, key)


def _read_blocks(data, unit, merged, centre, key, varying, labels: NoisyLabels) -> ReadRows:
    """Read rows in blocks once more: norms, sums for the case that none is far out, landmarks."""
    weights = merged.weights if np.ptp(merged.weights) > 0 else np.ones(len(merged.weights))
    targets, n_targets = fitted_targets(known_targets(labels.merged(merged)), len(weights))
    jobs = [RowJob(_norms, data, (), (centre,))]
    if key is None:
        jobs.append(RowJob(content_keys, data, (), (varying,)))
    places = choose_landmarks([] if key is None else key)
    chosen = np.zeros(len(weights), dtype=bool)
    chosen[places] = True
    tasks = [block_tasks(*job, join=join_rows) for job in jobs]
    tasks.append(block_tasks(_chosen_rows, data, (chosen,), ()) if len(places) else [])
    moments = block_tasks(
        block_moments, data, (weights, targets), (centre, 1.0, n_targets), join=add_parts
    )
    *found, (moments,) = compute_together([*tasks, [summed(moments)]])
    norms, *keys, some = found
    trust = _row_trust(np.concatenate(norms), merged.weights)
    near = bool((trust == 1.0).all())
    return ReadRows(
        data,
        unit,
        merged,
        merged.weights if near else merged.weights * trust,
        centre,
        np.concatenate(keys[0]) if key is None else key,
        moments if near else None,
        (places, np.concatenate(some)) if len(places) else None,
    )


def _chosen_rows(block, chosen):
    """Return some rows of a block, in double precision."""
    return np.asarray(block[chosen], dtype=float)


def _read_columns(X):
    """Return smallest and largest values of columns, which must be numbers.

    For a Dask array also their sums, numbers (n,) that are equal where rows are, and numbers that
    follow from the content of rows of which all columns vary.
    """
    sums = keys = contents = None
    if is_dask(X):
        every = np.ones(X.shape[1], dtype=bool)
        facts, *parts = compute_together(
            [
                block_tasks(_block_facts, X, (), ()),
                block_tasks(block_keys, X, (), (), join=join_rows),
                block_tasks(content_keys, X, (), (every,), join=join_rows),
            ]
        )
        lows, highs, totals = (np.stack(values) for values in zip(*facts, strict=True))
        low, high, sums = lows.min(0), highs.max(0), totals.sum(0)
        keys, contents = (np.concatenate(part) for part in parts)
    else:
        low, high = _ranges(X)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("X contains NaN or infinity: drop or impute these values.")
    return low, high, sums, keys, contents


def _row_trust(norms, weights):
    """Return the factors of the weights of rows: below 1 for those far out, else 1."""
    size = np.log(np.maximum(norms, 1e-300))
    order = np.argsort(size, kind="stable")
    level = np.cumsum(weights[order]) / weights.sum()
    low, high = size[order[np.minimum(np.searchsorted(level, [0.25, 0.75]), len(size) - 1)]]
    return np.exp(2.0 * np.minimum(high + _FENCE * (high - low) - size, 0.0))


def _block_facts(block):
    """Return smallest and largest values and sums of the columns of a block of rows."""
    if len(block) == 0:
        edge = np.full(block.shape[1], np.inf)
        return edge, -edge, np.zeros(block.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        return (*_ranges(block), _column_sums(block))


def _ranges(X):
    """Return the smallest and largest values of columns, in double precision."""
    if is_torch(X):
        return tuple(to_numpy(x).astype(float) for x in (X.amin(0), X.amax(0)))
    if hasattr(X, "tocsr"):
        return tuple(x.toarray().ravel().astype(float) for x in (X.min(axis=0), X.max(axis=0)))
    return np.min(X, axis=0).astype(float), np.max(X, axis=0).astype(float)


def _centre(X):
    """Return the column means."""
    return row_sums(_column_sums, X) / X.shape[0]


def _column_sums(X):
    """Return the sums of columns."""
    if sparse.issparse(X):
        return np.asarray(X.sum(axis=0, dtype=float)).ravel()
    return to_numpy(X.double().sum(0)) if is_torch(X) else np.sum(X, axis=0, dtype=float)


def _norms(X, centre):
    """Return the distances of rows from a centre."""
    if sparse.issparse(X):
        # Columns that are mostly full are centred as they are, lest what is left of large values
        # be rounding; the others cost no more than the entries that they have.
        full = np.bincount(X.indices, minlength=X.shape[1]) > X.shape[0] / 2
        rest, mean = sparse.csr_array(X[:, ~full], dtype=float), centre[~full]
        rest.data *= rest.data - 2.0 * mean[rest.indices]
        squares = _norms(X[:, full].toarray(), centre[full]) ** 2 + rest.sum(axis=1) + mean @ mean
        return np.sqrt(np.maximum(squares, 0.0))
    xp = get_backend(X)
    centre, parts = xp.asarray(centre, like=X, dtype="float64"), []
    for rows in row_blocks(X.shape[0], X.shape[1], pieces=16):
        part = xp.asarray(X[rows], dtype="float64") - centre
        squares = (part * part).sum(1) if is_torch(part) else np.einsum("ij,ij->i", part, part)
        parts.append(to_numpy(squares))
    return np.sqrt(np.concatenate(parts))
