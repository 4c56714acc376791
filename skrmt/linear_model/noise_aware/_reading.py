"""What a fit needs to know of its rows before it decomposes them, in two readings of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import get_backend, is_torch, to_numpy
from ...linalg._gram import (
    Moments,
    centred_rows,
    fitted_targets,
    moments_of_centred,
    row_blocks,
)
from ...model_selection._clean_labels import NoisyLabels, rows_of
from ...utils._dask import add_parts, block_tasks, is_dask, join_rows, summed
from ...utils._labels import refuse_missing_labels
from ...utils._merging import MergedRows, merge_rows
from ...utils._rows import (
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

_LOW_FENCE = 2.0
"""The same in a piece of a block, lower as its quartiles are not those of all."""

_SENT = 0.01
"""Part of the rows of a piece that may be sent, and two of them."""

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
    """Read rows in blocks once more: norms, sums of all but some rows, these rows, landmarks."""
    weights = merged.weights if np.ptp(merged.weights) > 0 else np.ones(len(merged.weights))
    targets, n_targets = fitted_targets(known_targets(labels.merged(merged)), len(weights))
    places = choose_landmarks([] if key is None else key)
    chosen = np.zeros(len(weights), dtype=bool)
    chosen[places] = True
    given, shared = (weights, targets), (centre, n_targets)
    tasks = block_tasks(_moments_and_norms, data, given, shared, _joined_moments, scratch=True)
    (moments,), parts, keys, some = compute_together(
        [
            [summed([task[0] for task in tasks])],
            [task[1] for task in tasks],
            block_tasks(content_keys, data, (), (varying,), join_rows) if key is None else [],
            block_tasks(_chosen_rows, data, (chosen,), ()) if len(places) else [],
        ]
    )
    norms, apart, rows = (np.concatenate(part) for part in zip(*parts, strict=True))
    trust = _row_trust(norms, merged.weights)
    near = bool((trust == 1.0).all())
    trusted = merged.weights if near else merged.weights * trust
    if (trust[~apart] < 1.0).any():
        # A row of less weight is among the sums.
        moments = None
    else:
        scale = 1.0 if near else merged.weights[0] / weights[0]
        own = (weights if near else trusted)[apart]
        more = moments_of_centred(rows, own, targets[apart], n_targets)
        moments = Moments(*(scale * most + rest for most, rest in zip(moments, more, strict=True)))
    return ReadRows(
        data,
        unit,
        merged,
        trusted,
        centre,
        np.concatenate(keys) if key is None else key,
        moments,
        (places, np.concatenate(some)) if len(places) else None,
    )


def _moments_and_norms(block, weights, targets, centre, n_targets, scratch):
    """Return weighted sums of centred rows, and norms, which rows the sums leave out, and these.

    Left out are the few that may prove to be far out, and to count less.
    """
    centred = centred_rows(block, centre, 1.0, scratch)
    norms = np.sqrt(np.einsum("ij,ij->i", centred, centred))
    apart = _perhaps_far(norms, max(2, int(_SENT * len(block))))
    rows = centred[apart]
    moments = moments_of_centred(centred, np.where(apart, 0.0, weights), targets, n_targets)
    return moments, (norms, apart, rows)


def _joined_moments(parts):
    """Add up the sums of the pieces of a block, and join what else they give."""
    others = []

    def sums():
        for moments, rest in parts:
            others.append(rest)
            yield moments

    total = add_parts(sums())
    return total, tuple(np.concatenate(part) for part in zip(*others, strict=True))


def _perhaps_far(norms, most):
    """Return which rows of a piece, few at most, may be far out among all."""
    size = np.log(np.maximum(norms, 1e-300))
    ordered, n = np.sort(size), len(size)
    low, high = ordered[n // 4], ordered[(3 * n) // 4]
    return size > max(high + _LOW_FENCE * (high - low), ordered[max(n - most - 1, 0)])


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
        tasks = block_tasks(_first_facts, X, (), (), join=_joined_facts, scratch=True)
        facts, *parts = zip(*compute_together([tasks])[0], strict=True)
        low, high, sums = _all_facts(facts)
        keys, contents = (np.concatenate(part) for part in parts)
    else:
        low, high = _ranges(X)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError("X contains NaN or infinity: drop or impute these values.")
    return low, high, sums, keys, contents


def _row_trust(norms, weights):
    """Return the factors of the weights of rows: below 1 for those far out, else 1."""
    size = np.log(np.maximum(norms, 1e-300))
    if np.ptp(weights) == 0:
        ordered, level = np.sort(size), np.arange(1.0, len(size) + 1.0) / len(size)
    else:
        order = np.argsort(size)
        ordered, level = size[order], np.cumsum(weights[order]) / weights.sum()
    low, high = ordered[np.minimum(np.searchsorted(level, [0.25, 0.75]), len(size) - 1)]
    return np.exp(2.0 * np.minimum(high + _FENCE * (high - low) - size, 0.0))


def _first_facts(block, scratch):
    """Return what `_block_facts` does, and two numbers a row."""
    every = np.ones(block.shape[1], dtype=bool)
    keys = block_keys(block, scratch=scratch)
    return _block_facts(block), keys, content_keys(block, every)


def _joined_facts(parts):
    """Join facts of the pieces of a block."""
    facts, keys, contents = zip(*parts, strict=True)
    return _all_facts(facts), np.concatenate(keys), np.concatenate(contents)


def _all_facts(facts):
    """Return smallest and largest values and sums of columns from those of some rows each."""
    lows, highs, totals = (np.stack(values) for values in zip(*facts, strict=True))
    with np.errstate(over="ignore", invalid="ignore"):
        return lows.min(0), highs.max(0), totals.sum(0)


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
