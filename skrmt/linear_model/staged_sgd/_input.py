"""Rows of a staged fit: checked, merged where identical, and how they are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...linalg import as_device, is_torch, to_numpy
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._labels import refuse_missing_labels
from ...utils._merging import group_codes, merge_rows
from ...utils._scaling import unit_of
from ...utils._sklearn_compat import _check_n_features, validate_data
from ...utils._sparse import dense_order_keys

_MOST_REPEATS = 1.1
"""Rows given per distinct row up to which copies are written out, so that one pass uses each once.

Beyond, rows are drawn with replacement by their weight: to write out large weights costs memory."""


class StagedRows(NamedTuple):
    """Rows of positive weight, identical ones merged.

    Attributes
    ----------
    X : ndarray, sparse matrix or tensor of shape (n, p)
        Features, divided by `unit`.
    targets : ndarray of shape (n, K)
        Targets, divided by `target_unit`.
    weights : ndarray of shape (n,)
        Weights, summing to 1.
    together : ndarray of shape (n,)
        What goes out together with a row, in units of its weight; see `merge_rows`.
    n_effective : float
        Effective number of rows, or of groups.
    length : float
        Effective number of rows, of which one pass consists.
    group : ndarray of int of shape (n,) or None
        Which rows are left out together, if groups of several are given.
    copies : bool
        Whether rows are copies of each other.
    source : ndarray of shape (n,) or None
        Source of each row.
    unit, target_unit : float
        Powers of two that keep squares finite.
    """

    X: Any
    targets: np.ndarray
    weights: np.ndarray
    together: np.ndarray
    n_effective: float
    length: float
    group: np.ndarray | None
    copies: bool
    source: np.ndarray | None
    unit: float
    target_unit: float

    @property
    def equal(self) -> bool:
        """Whether all rows have the same weight."""
        return bool((self.weights == self.weights[0]).all())


def checked_data(
    estimator: Any, X: Any, y: Any, *, numeric: bool, reset: bool = True
) -> tuple[Any, NDArray[Any]]:
    """Check features and targets."""
    y = to_numpy(y) if is_torch(y) else y
    if not is_torch(X):
        X, y = validate_data(
            estimator,
            X,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            y_numeric=numeric,
            reset=reset,
        )
        if sparse.issparse(X) and estimator.device is not None:
            raise ValueError(
                f"device={estimator.device!r} needs dense data, but X is sparse: pass X.toarray(), "
                "or device=None."
            )
        X = X if sparse.issparse(X) else as_device(X, estimator.device)
    else:
        known = None if reset else estimator.n_features_in_
        X = check_array_like_on_device(X, "X", 2, n_features=known)
        refuse_missing_labels(y)
        y = np.asarray(y)
        if y.shape != (len(X),):
            raise ValueError(f"y has shape {y.shape}: pass one target per row, ({len(X)},).")
        _check_n_features(estimator, X, reset=reset)
        if reset:
            vars(estimator).pop("feature_names_in_", None)
    if numeric:
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity: drop or impute such rows.")
    return X, y


def staged_rows(X, targets, sample_weight, sample_source, groups=None) -> StagedRows:
    """Return distinct rows of positive weight, in an order that weights do not change."""
    weights = check_sample_weight(sample_weight, len(targets))
    groups = None if groups is None else group_codes(groups, len(targets))
    source = _checked_source(sample_source, len(targets))
    X, unit = _moderate(X, "X")
    targets, target_unit = _moderate(targets, "y")
    used = np.flatnonzero(weights > 0)
    if len(used) < len(weights):
        X, targets, weights = X[_index(X, used)], targets[used], weights[used]
        source = None if source is None else source[used]
        groups = None if groups is None else groups[used]
    codes = np.zeros(len(weights)) if source is None else np.unique(source, return_inverse=True)[1]
    labels = np.column_stack([targets, codes]) + 0.0
    merged = merge_rows(X, labels, weights, groups)
    rows, weights, together = merged.first, merged.weights, merged.part
    length = merged.n_effective if groups is None else weights.sum() ** 2 / (weights @ weights)
    if not (weights == weights[0]).all():
        order = _content_order(X[_index(X, rows)], labels[rows])
        rows, weights, together = rows[order], weights[order], together[order]
        whole = bool((weights == np.rint(weights)).all())
        if whole and weights.sum() <= _MOST_REPEATS * len(weights):
            counts = weights.astype(int)
            rows, together = np.repeat(rows, counts), np.repeat(together * counts, counts)
            weights = np.ones(len(rows))
    if merged.origin is not None or weights is not merged.weights:
        X, targets = X[_index(X, rows)], targets[rows]
        source = None if source is None else source[rows]
    alone = merged.group is None or merged.group.max() + 1 == len(merged.first)
    group = None if groups is None or alone else groups[rows]
    equal = (weights == weights[0]).all()
    weights = np.full(len(weights), 1 / len(weights)) if equal else weights / weights.sum()
    copies = merged.kind == "copies"
    return StagedRows(
        X,
        targets,
        weights,
        together,
        merged.n_effective,
        float(length),
        group,
        copies,
        source,
        unit,
        target_unit,
    )


def _index(X, rows):
    """Return indices for an array or a tensor."""
    if not is_torch(X):
        return rows
    return X.new_tensor(rows, dtype=None).long()


def _moderate(values, name):
    """Return values whose squares neither overflow nor vanish, and what they were divided by."""
    unit = unit_of(max(float(values.max()), -float(values.min())), name, 1e30)
    return values if unit == 1 else values / unit, unit


def _checked_source(sample_source, n_samples):
    """Return the source of every row."""
    if sample_source is None:
        return None
    refuse_missing_labels(sample_source, "sample_source")
    source = to_numpy(sample_source) if is_torch(sample_source) else np.asarray(sample_source)
    if source.shape != (n_samples,):
        raise ValueError(
            f"sample_source has shape {source.shape}: give one source per row of X, ({n_samples},)."
        )
    return source


def _content_order(X, labels) -> np.ndarray:
    """Sort distinct rows by their bytes, sparse ones as if they were dense."""
    if sparse.issparse(X):
        parts = zip(dense_order_keys(X), labels, strict=True)
        keys = [row + (label + 0.0).tobytes() for row, label in parts]
        return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=int)
    content = np.column_stack([to_numpy(X).astype(float), labels]) + 0.0
    rows = np.ascontiguousarray(content).view([("row", "V", content.shape[1] * 8)]).ravel()
    return np.argsort(rows["row"], kind="stable")


def row_shares(rows: StagedRows, mixture) -> np.ndarray:
    """Return the probability of each row to be drawn in a stage."""
    if mixture is None:
        return rows.weights
    if rows.source is None:
        raise ValueError(
            f"mixture={mixture!r} needs sample_source: pass the source of each row to fit."
        )
    shares = np.zeros(len(rows.weights))
    for name, share in mixture.items():
        chosen = rows.source == name
        if not np.any(chosen):
            known = np.unique(rows.source).tolist()[:10]
            raise ValueError(
                f"mixture names the source {name!r}, of which there are no rows; sample_source has "
                f"{known}."
            )
        shares[chosen] = share * rows.weights[chosen] / rows.weights[chosen].sum()
    return shares
