"""Real and synthetic rows, in either form in which the user gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_X_y

from ...linalg import as_device, is_torch
from ...utils._checks import check_array_like_on_device, check_sample_weight, refuse_masked
from ...utils._dask import block_tasks, check_dask, is_dask, join_rows, to_local
from ...utils._labels import refuse_missing_labels
from ...utils._merging import group_codes, merge_rows
from ...utils._rows import block_keys, compute_together, take_rows
from ...utils._sklearn_compat import _check_n_features, validate_data
from .._input import check_class_labels, check_training_data, encode_labels
from ._arguments import (
    as_array,
    check_container,
    check_forms,
    check_labels,
    check_source,
    read_pruning,
)
from ._judge import JudgedRows, read_judge


class LabelledRows(NamedTuple):
    """Distinct rows of positive weight with their labels.

    Attributes
    ----------
    X : array, sparse matrix, tensor or dask array of shape (n, p)
        Their data.
    codes : ndarray of shape (n,)
        Codes of their labels.
    weights : ndarray of shape (n,)
        Their weights.
    part : ndarray of shape (n,)
        Part of each weight that is one observation, see `MergedRows`; with groups the weight of
        the group in units of that of the row.
    group : ndarray of int of shape (n,) or None
        Which real rows are left out together, if groups are given, and with which of them
        synthetic ones are: -1 for none.
    """

    X: Any
    codes: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    group: np.ndarray | None = None

    @property
    def size(self) -> float:
        """Effective number of rows."""
        return effective_size(self.weights, self.part)


class SourceRows(NamedTuple):
    """Distinct rows of one synthetic source, of positive weight, the pruned ones included.

    Attributes
    ----------
    X, codes, weights, part, group
        As in `LabelledRows`; `group` is None where no synthetic row has the group of a real one.
    kept : ndarray of bool of shape (m,)
        Whether pruning leaves them.
    score : ndarray of shape (m,) or None
        The verifier's score, where the threshold is to be chosen.
    """

    X: Any
    codes: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    kept: np.ndarray
    score: np.ndarray | None
    group: np.ndarray | None = None

    @property
    def size(self) -> float:
        """Effective number of rows."""
        return effective_size(self.weights, self.part)

    def pruned(self, threshold: float) -> SourceRows:
        """Return the source, rows of a lower score not kept."""
        if self.score is None:
            return self
        return self._replace(kept=self.kept & (self.score >= threshold))

    def select(self, rows: np.ndarray) -> LabelledRows:
        """Return some of the rows."""
        X = self.X if rows.all() else take_rows(self.X, rows)
        group = None if self.group is None else self.group[rows]
        return LabelledRows(X, self.codes[rows], self.weights[rows], self.part[rows], group)


class MixRows(NamedTuple):
    """Everything that is given to a fit.

    Attributes
    ----------
    classes : ndarray of shape (K,)
        Labels, sorted.
    real : LabelledRows or None
        The real rows; None where there are none.
    place : ndarray of int of shape (n_real,)
        Position in `real` of each real row given, -1 for those of weight zero.
    copies : bool
        Whether real rows repeat others that are no observations of their own.
    sources : list of SourceRows
        The synthetic rows, in the order of the ids of their sources.
    total_weight : float
        Sum of the weights of all rows given.
    n_synthetic : int
        Number of synthetic rows given.
    judged : JudgedRows or None
        What the judges of the sources make of real rows.
    """

    classes: np.ndarray
    real: LabelledRows | None
    place: np.ndarray
    copies: bool
    sources: list
    total_weight: float
    n_synthetic: int
    judged: JudgedRows | None = None


class _Part(NamedTuple):
    """Rows of one source as given, and their positions in the mask or the scores of pruning.

    `keys` are equal where rows are, of a Dask array that has been read.
    """

    X: Any
    y: np.ndarray
    weights: np.ndarray
    rows: np.ndarray
    group: np.ndarray | None
    keys: np.ndarray | None = None


def effective_size(weights: np.ndarray, part: np.ndarray) -> float:
    """Return ``(sum w)^2 / sum w^2`` over what is left out together, 0 without rows."""
    return float(weights.sum() ** 2 / (weights**2 * part).sum()) if len(weights) else 0.0


def mix_rows(
    estimator,
    X,
    y,
    sample_weight,
    sample_source,
    X_synthetic,
    y_synthetic,
    keep,
    verifier_score,
    groups=None,
    y_judge=None,
) -> MixRows:
    """Check the arguments of a fit and separate real rows from synthetic ones."""
    stacked, separate = sample_source is not None, X_synthetic is not None
    check_forms(estimator, stacked, separate, y_synthetic, keep, verifier_score)
    check_container(estimator, X, X_synthetic)
    X, y = _real_input(estimator, X, y, stacked)
    check_class_labels(y)
    # Synthetic rows that are given separately have weight 1.
    weights = check_sample_weight(to_local(sample_weight), len(y), additive=separate)
    total = float(weights.sum())
    keys = local = None
    if separate:
        Xs, ys = _synthetic_input(estimator, X, X_synthetic, y_synthetic)
        X = _in_container(X, Xs)
        real, n_rows = np.ones(len(y), dtype=bool), len(ys)
        names = _group_codes(groups, len(y), n_rows)
        made = None if names is None else names[len(y) :]
        given = [_Part(Xs, ys, np.ones(n_rows), np.arange(n_rows), made)]
        total += n_rows
    else:
        origin = check_source(sample_source, len(y)) if stacked else np.zeros(len(y), int)
        real, n_rows = origin == 0, len(y)
        names = _group_codes(groups, len(y))
        if is_dask(X):
            keys, local = _keys_and_real(X, real & (weights > 0))
        given = [
            _Part(
                take_rows(X, k),
                y[k],
                weights[k],
                np.flatnonzero(k),
                _some(names, k),
                _some(keys, k),
            )
            for k in (origin == source for source in np.unique(origin[~real]))
        ]
    kept, score = read_pruning(estimator, keep, verifier_score, n_rows, bool(given))
    used = real & (weights > 0)
    classes, codes = _classes(y[used], weights[used], given)
    own = None if names is None else names[: len(y)][used]
    given = _with_real_groups(given, own)
    sources = [_source(part, classes, kept, score, estimator.prune_threshold) for part in given]
    n_synthetic = sum(len(part.y) for part in given)
    place = np.full(int(real.sum()), -1)
    rows, copies = None, False
    if used.any():
        data = local
        if data is None:
            data = to_local(X if used.all() else take_rows(X, used))
        merged = merge_rows(data, codes, weights[used], own)
        together = estimator.generator_source == "same"
        # Folds leave a merged row out whole, even where it stands for several observations.
        part = np.ones_like(merged.part) if together else merged.part
        if merged.group is not None:
            part = np.bincount(merged.group, merged.weights)[merged.group] / merged.weights
        data = data if merged.origin is None else data[merged.first]
        rows = LabelledRows(data, codes[merged.first], merged.weights, part, merged.group)
        place[used[real]] = merged.spread(np.arange(len(merged.first)))
        copies = merged.kind == "copies" or (together and merged.kind == "discrete")
    labels = read_judge(y_judge, classes, len(y), real, len(sources))
    judged = None if labels is None else JudgedRows(labels, weights[real])
    return MixRows(classes, rows, place, copies, sources, total, n_synthetic, judged)


def _keys_and_real(X, real):
    """Return numbers that are equal where rows are, and the real rows, by one reading of blocks."""
    tasks = [
        block_tasks(block_keys, X, (), (), join=join_rows),
        block_tasks(_chosen_rows, X, (real,), ()),
    ]
    return tuple(np.concatenate(parts) for parts in compute_together(tasks))


def _chosen_rows(rows, chosen):
    """Return some rows of a block."""
    return rows[chosen]


def _group_codes(groups, n, n_synthetic=0):
    """Return the groups of all rows as integers, those of synthetic rows given apart last."""
    if groups is None:
        return None
    total = n + n_synthetic
    shape = np.shape(as_array(groups))
    if n_synthetic and shape != (total,):
        raise ValueError(
            f"groups has shape {shape}: give one group for each of the {n} rows of X, then one for "
            f"each of the {n_synthetic} rows of X_synthetic, ({total},)."
        )
    return group_codes(groups, total)


def _some(values, rows):
    """Return some of the values, where there are any."""
    return None if values is None else values[rows]


def _with_real_groups(given, own):
    """Give synthetic rows the positions of their groups among those of the real rows, or none."""
    if own is None:
        return given
    names = np.unique(own)
    shared = any(np.isin(part.group[part.weights > 0], names).any() for part in given)
    if not shared:
        return [part._replace(group=None) for part in given]
    place = np.full(max(names.max(), *(part.group.max(initial=0) for part in given)) + 1, -1)
    place[names] = np.arange(len(names))
    return [part._replace(group=place[part.group]) for part in given]


def _real_input(estimator, X, y, stacked):
    """Check the data of a fit; a Dask array without synthetic rows is read into memory."""
    y = to_local(y)
    if not is_dask(X):
        return check_training_data(estimator, X, y)
    if not stacked:
        return check_training_data(estimator, to_local(X), y)
    X = _read_blocks(estimator, X, "X", reset=True)
    refuse_missing_labels(y)
    # The labels are checked as ever, with a column of the right length in place of the rows.
    _, y = check_X_y(np.zeros((len(X), 1)), y, dtype=None)
    return X, y


def _read_blocks(estimator, X, name, *, reset):
    """Check a Dask array of rows."""
    X = check_dask(X, name, 2)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        vars(estimator).pop("feature_names_in_", None)
    return X


def _synthetic_input(estimator, X, X_synthetic, y_synthetic):
    """Return checked synthetic data, dense or sparse as the real ones, and their labels."""
    refuse_masked(X_synthetic, "X_synthetic")
    refuse_missing_labels(y_synthetic, "y_synthetic")
    y = as_array(y_synthetic)
    if is_dask(X_synthetic):
        data = _read_blocks(estimator, X_synthetic, "X_synthetic", reset=False)
    elif is_torch(X_synthetic):
        data = check_array_like_on_device(
            X_synthetic, "X_synthetic", 2, n_features=estimator.n_features_in_
        )
    else:
        types = [np.float64, np.float32]
        data = validate_data(estimator, X_synthetic, accept_sparse="csr", dtype=types, reset=False)
    if y.shape != (data.shape[0],):
        raise ValueError(
            f"y_synthetic has shape {y.shape}, but X_synthetic has {data.shape[0]} rows: give one "
            "label per row."
        )
    return _in_container(data, X), y


def _in_container(data, other):
    """Return data in the container of other; in double precision where either is."""
    if is_torch(other) or is_torch(data):
        torch_one = other if is_torch(other) else data
        data = data if is_torch(data) else as_device(data, str(torch_one.device))
        wide = "float64" in str(data.dtype) or "float64" in str(other.dtype)
        data = data.to(torch_one.device)
        return data.double() if wide else data
    if sparse.issparse(other) and not sparse.issparse(data):
        data = sparse.csr_matrix(data)
    if sparse.issparse(data) and not sparse.issparse(other):
        data = data.toarray()
    return data.astype(np.promote_types(data.dtype, other.dtype), copy=False)


def _classes(y, weights, given):
    """Return the classes and the codes of the real labels; of the synthetic ones without."""
    if len(y):
        return encode_labels(y, weights)
    labels = np.concatenate([part.y for part in given])
    weights = np.concatenate([part.weights for part in given])
    return encode_labels(labels, weights)[0], np.zeros(0, dtype=int)


def _source(given, classes, kept, score, threshold):
    """Return the distinct rows of one source."""
    used = given.weights > 0
    check_labels(given.y[used], classes)
    X = given.X if used.all() else take_rows(given.X, used)
    rows, weights = given.rows[used], given.weights[used]
    codes = np.searchsorted(classes, given.y[used])
    keep = np.ones(len(rows), dtype=bool) if kept is None else kept[rows]
    score = None if score is None else score[rows]
    if score is not None and not isinstance(threshold, str):
        keep, score = score >= threshold, None
    group = _some(given.group, used)
    if len(rows) == 0:
        return SourceRows(X, codes, weights, np.ones(0), keep, score, group)
    marks = [codes, keep, *(mark for mark in (score, group) if mark is not None)]
    keys = _some(given.keys, used)
    merged = merge_rows(X, np.column_stack(marks).astype(float), weights, keys=keys)
    first = merged.first
    return SourceRows(
        X if merged.origin is None else X[first],
        codes[first],
        merged.weights,
        merged.part,
        keep[first],
        _some(score, first),
        _some(group, first),
    )
