"""Training rows: those with weight, identical ones merged, and what of each goes out at a time."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.validation import check_array, check_consistent_length

from ...utils._array_api import in_numpy
from ...utils._checks import check_sample_weight, refuse_masked
from ...utils._labels import check_targets, label_codes, refuse_missing_labels
from ...utils._merging import MergedRows, merge_rows
from ...utils._sparse import canonical
from ...utils._warnings import warn
from ._estimators import class_factors, is_plain, takes_weights


class Given(NamedTuple):
    """Training rows as the whole estimator takes them.

    Attributes
    ----------
    X : array-like or sparse matrix of shape (n, p)
        Rows with weight.
    y : ndarray of shape (n,)
        Labels or targets.
    fit_weights : ndarray of shape (n,) or None
        Weights that add up to the number of observations; None where all are 1.
    merged : MergedRows
        Which rows are identical.
    kept : ndarray of bool
        Which of the rows given have weight.
    """

    X: Any
    y: np.ndarray
    fit_weights: np.ndarray | None
    merged: MergedRows
    kept: np.ndarray

    def spread(self, scores: np.ndarray) -> np.ndarray:
        """Give every row the scores of its distinct row, nan without weight."""
        spread = np.full((len(self.kept), *scores.shape[1:]), np.nan)
        spread[self.kept] = self.merged.spread(scores)
        return spread


class Rows(NamedTuple):
    """Distinct training rows as the last step of an estimator sees them.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (m, p)
        Features.
    y : ndarray of shape (m,)
        Labels or targets.
    weights : ndarray of shape (m,)
        Weights, of identical rows added up.
    fit_weights : ndarray of shape (m,)
        Weights times those of the classes.
    part : ndarray of shape (m,)
        Part of each weight that is one observation, left out at a time.
    size : float
        Effective number of observations.
    group : ndarray of int of shape (m,) or None
        Which rows are left out together, if groups are given.
    """

    X: Any
    y: np.ndarray
    weights: np.ndarray
    fit_weights: np.ndarray
    part: np.ndarray
    size: float
    group: np.ndarray | None = None


def read_rows(estimator: Any, X: Any, y: Any, sample_weight: Any, groups: Any = None) -> Given:
    """Check training rows, and merge those that are identical."""
    X, y, groups = map(in_numpy, (X, y, groups))
    refuse_masked(X, "X")
    if groups is not None:
        refuse_missing_labels(groups, "groups")
    # Types and missing values are for the estimator to judge, and whether it takes documents.
    if not (is_plain(X) or _is_frame(X) or _are_documents(X)):
        check_array(X, accept_sparse=True, dtype=None, ensure_all_finite=False, input_name="X")
    X = X.tocsr() if sparse.issparse(X) else X
    if y is None:
        raise ValueError("A report requires y to be passed, but the target y is None.")
    refuse_missing_labels(y)
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        warn(
            "A column-vector y was passed when a 1d array was expected: pass y.ravel().",
            DataConversionWarning,
        )
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}: give one label or target per row; several are not reported."
        )
    check_consistent_length(X, y)
    y = y if is_classifier(estimator) else check_targets(y)
    if sample_weight is not None and not takes_weights(estimator):
        raise ValueError(
            "sample_weight is given, but the estimator takes none: leave it at None, or give an "
            "estimator that does."
        )
    weights = np.asarray(check_sample_weight(sample_weight, len(y)), dtype=float)
    kept = weights > 0
    if groups is not None:
        check_consistent_length(X, groups)
        groups = np.asarray(groups)[kept]
    if not kept.all():
        X, y, weights = some_rows(X, kept), y[kept], weights[kept]
    if len(y) and (y == y[0]).all():
        raise ValueError(
            f"y is {str(y[0])!r} in every row, one class or target alone: there is nothing to "
            "predict. Give rows of other labels or targets."
        )
    merged = merge_rows(comparable(X), _comparable_labels(y), weights, groups)
    # Penalties of scikit-learn are not per unit of weight: without this one, the unit of the
    # weights, or copies of the rows, would change the fit.
    unit = float((1.0 / merged.part).sum() / merged.weights.sum())
    unit = unit if abs(unit - 1.0) > 1e-9 and takes_weights(estimator) else 1.0
    merged = merged._replace(weights=merged.weights * unit)
    fit_weights = weights * unit
    return Given(X, y, None if (fit_weights == 1.0).all() else fit_weights, merged, kept)


def distinct_rows(model: Any, features: Any, given: Given) -> Rows:
    """Return the distinct rows as the fitted last step sees them; without features for none."""
    merged = given.merged
    weights = np.ones(len(given.y)) if given.fit_weights is None else given.fit_weights
    factors = class_factors(model, given.y, weights)
    whole = merged.origin is None
    return Rows(
        X=features if whole or features is None else features[merged.first],
        y=given.y[merged.first],
        weights=merged.weights,
        fit_weights=merged.weights * factors[merged.first],
        part=merged.part,
        size=merged.n_effective,
        group=merged.group,
    )


def some_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, by number or by a mask, of an array, matrix, frame or list."""
    rows = np.flatnonzero(rows) if rows.dtype == bool else rows
    if hasattr(X, "iloc"):
        return X.iloc[rows]
    if hasattr(X, "column_names") and hasattr(X, "take"):  # a table of Arrow
        return X.take(rows)
    return X[rows] if hasattr(X, "shape") and hasattr(X, "__getitem__") else np.asarray(X)[rows]


def _is_frame(X: Any) -> bool:
    """Return whether X is a frame in memory: scikit-learn converts all of its columns or none."""
    shape = getattr(X, "shape", ())
    return hasattr(X, "columns") and len(shape) == 2 and all(type(n) is int and n for n in shape)


def _are_documents(X: Any) -> bool:
    """Return whether X is a list, an array or a series of strings."""
    if sparse.issparse(X) or getattr(X, "ndim", 1) != 1 or isinstance(X, str):
        return False
    values = np.asarray(X)
    return values.ndim == 1 and len(values) > 0 and all(isinstance(row, str) for row in values)


def comparable(X: Any) -> Any:
    """Return numbers that are equal where the entries of X are, whatever their type."""
    if sparse.issparse(X):
        return canonical(sparse.csr_array(X, dtype=float))
    array = np.asarray(X)
    array = array[:, None] if array.ndim == 1 else array
    if array.dtype.kind == "O" and all(isinstance(entry, Real) for entry in array.flat):
        array = array.astype(float)
    if array.dtype.kind in "fiub" and np.isfinite(array).all():
        return array.astype(float, copy=False)
    codes = [np.unique(column.astype(str), return_inverse=True)[1].ravel() for column in array.T]
    return np.stack(codes, axis=1).astype(float)


def _comparable_labels(y: np.ndarray) -> np.ndarray:
    """Return numbers of the same bytes where labels are equal; 0 and -0 are."""
    return y + 0 if y.dtype.kind in "iuf" else label_codes(y)[1]


def params_of_rows(params: dict, n: int, rows: np.ndarray) -> dict:
    """Return parameters of a fit, of which those with one entry per row keep some rows."""
    return {name: _entries(value, n, rows) for name, value in params.items()}


def _entries(value: Any, n: int, rows: np.ndarray) -> Any:
    """Return some rows of what has n of them, and anything else as it is."""
    if isinstance(value, (str, dict)) or not (hasattr(value, "__len__") or hasattr(value, "shape")):
        return value
    length = value.shape[0] if getattr(value, "shape", ()) else len(value)
    return some_rows(value, rows) if length == n else value
