"""Rows of a staged fit: checked, merged where identical, and how they are drawn."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...linalg import as_device, is_torch, to_numpy
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._sklearn_compat import _check_n_features, validate_data
from ..noise_aware._options import _row_key

_FEW_REPEATS = 1.1


class StagedRows(NamedTuple):
    """Distinct rows of positive weight.

    Attributes
    ----------
    X : ndarray or tensor of shape (n, p)
        Features, divided by `unit`.
    targets : ndarray of shape (n, K)
        Targets, divided by `target_unit`.
    weights : ndarray of shape (n,)
        Weights, summing to 1.
    size : float
        Effective number of rows.
    source : ndarray of shape (n,) or None
        Source of each row.
    unit, target_unit : float
        Powers of two that keep squares finite.
    """

    X: Any
    targets: np.ndarray
    weights: np.ndarray
    size: float
    source: np.ndarray | None
    unit: float
    target_unit: float

    @property
    def equal(self):
        """Whether all rows have the same weight."""
        return bool((self.weights == self.weights[0]).all())


def checked_data(estimator, X, y, *, numeric, reset=True):
    """Check features and targets."""
    y = to_numpy(y) if is_torch(y) else y
    if not is_torch(X):
        X, y = validate_data(
            estimator, X, y, dtype=[np.float64, np.float32], y_numeric=numeric, reset=reset
        )
        X = as_device(X, estimator.device)
    else:
        known = None if reset else estimator.n_features_in_
        X = check_array_like_on_device(X, "X", 2, n_features=known)
        y = np.asarray(y)
        if y.shape != (len(X),):
            raise ValueError(f"y has shape {y.shape}: pass one target a row, ({len(X)},).")
        _check_n_features(estimator, X, reset=reset)
        if reset:
            vars(estimator).pop("feature_names_in_", None)
    if numeric:
        y = np.asarray(y, dtype=float)
        if not np.isfinite(y).all():
            raise ValueError("y contains NaN or infinity: drop or impute such rows.")
    return X, y


def staged_rows(X, targets, sample_weight, sample_source):
    """Return distinct rows of positive weight, in an order that weights do not change."""
    weights = check_sample_weight(sample_weight, len(targets))
    source = _checked_source(sample_source, len(targets))
    X, unit = _moderate(X)
    targets, target_unit = _moderate(targets)
    used = np.flatnonzero(weights > 0)
    if len(used) < len(weights):
        X, targets, weights = X[_index(X, used)], targets[used], weights[used]
        source = None if source is None else source[used]
    if (weights != weights[0]).any() or _repeats(X):
        X, targets, weights, source = _merged(X, targets, weights, source)
    total = weights.sum()
    size = total * total / (weights * weights).sum()
    if (weights == weights[0]).all():
        weights = np.full(len(weights), 1 / len(weights))
    else:
        weights = weights / total
    return StagedRows(X, targets, weights, float(size), source, unit, target_unit)


def _index(X, rows):
    """Return indices for an array or a tensor."""
    if not is_torch(X):
        return rows
    return X.new_tensor(rows, dtype=None).long()


def _moderate(values):
    """Return values whose squares neither overflow nor vanish, and what they were divided by."""
    largest = max(float(values.max()), -float(values.min()))
    if largest == 0 or 1e-30 < largest < 1e30:
        return values, 1.0
    unit = 2.0 ** np.floor(np.log2(largest))
    return values / unit, float(unit)


def _checked_source(sample_source, n_samples):
    """Return the source of every row."""
    if sample_source is None:
        return None
    source = to_numpy(sample_source) if is_torch(sample_source) else np.asarray(sample_source)
    if source.shape != (n_samples,):
        raise ValueError(
            f"sample_source has shape {source.shape}: give one source a row of X, ({n_samples},)."
        )
    return source


def _repeats(X):
    """Tell whether rows may be identical."""
    key = np.sort(_row_key(X))
    return bool((key[1:] == key[:-1]).any())


def _merged(X, targets, weights, source):
    """Sort rows, and merge identical ones, adding their weights, unless few rows repeat."""
    codes = np.zeros(len(weights)) if source is None else np.unique(source, return_inverse=True)[1]
    content = np.column_stack([to_numpy(X).astype(float), targets, codes]) + 0.0
    rows = np.ascontiguousarray(content).view([("row", "V", content.shape[1] * 8)]).ravel()
    _, first, group = np.unique(rows["row"], return_index=True, return_inverse=True)
    total = np.bincount(group.ravel(), weights)
    picked = None if source is None else source[first]
    rows = first
    if (total == np.rint(total)).all() and total.sum() <= _FEW_REPEATS * len(total):
        rows = np.repeat(first, total.astype(int))
        total = np.ones(len(rows))
        picked = None if source is None else source[rows]
    return X[_index(X, rows)], targets[rows], total, picked


def row_shares(rows, mixture):
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
