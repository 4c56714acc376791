"""Data in and predictions out: NumPy, sparse, torch and Dask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit, softmax
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.multiclass import check_classification_targets

from ..linalg import as_device, is_torch, to_numpy
from ..utils._array_api import beside
from ..utils._checks import check_array_like_on_device
from ..utils._dask import check_dask, is_dask, map_blocks, to_local
from ..utils._labels import label_codes, refuse_missing_labels
from ..utils._scaling import unit_of
from ..utils._sklearn_compat import _check_n_features, validate_data

_GRID = np.logspace(-4, 3, 29)
"""Penalties of "auto" in units of the mean variance of a feature: four per decade."""

_SMALLEST_ALPHA = 1e-8
"""Least penalty over the largest eigenvalue: below it rounding decides the fit."""


def check_training_data(
    estimator: Any, X: Any, y: Any, *, ensure_finite: bool = True
) -> tuple[Any, NDArray[Any]]:
    """Check the data of a fit; whether the values of a Dask array are finite only if asked for."""
    if is_torch(y):
        y = to_numpy(y)
    y = to_local(y)
    if not is_torch(X) and not is_dask(X):
        X, y = validate_data(estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        if sparse.issparse(X) and estimator.device is not None:
            raise ValueError(
                f"device={estimator.device!r} needs dense data, but X is sparse: pass X.toarray(), "
                "or device=None."
            )
        return as_device(X, estimator.device), y
    if is_torch(X):
        X = check_array_like_on_device(X, "X", 2)
    else:
        X = _dask_input(estimator, X, ensure_finite)
    if y is None:
        raise ValueError("y is None: this classifier requires y to be passed, one label per row.")
    refuse_missing_labels(y)
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(f"y has shape {y.shape}: pass one label per row, shape ({len(X)},).")
    _check_n_features(estimator, X, reset=True)
    vars(estimator).pop("feature_names_in_", None)
    return X, y


def _dask_input(estimator, X, ensure_finite):
    """Check a Dask array; one with as many features as rows is read into memory."""
    if estimator.device is not None:
        raise ValueError(
            f"device={estimator.device!r} needs data in memory, but X is a Dask array: pass "
            "X.compute(), or device=None."
        )
    X = check_dask(X, ensure_finite=ensure_finite)
    return X if X.shape[0] > X.shape[1] else X.compute()


def check_class_labels(y):
    """Raise unless y holds labels of classes, which can be sorted."""
    try:
        check_classification_targets(y)
    except TypeError:
        label_codes(y)
        raise


def encode_labels(y, weights):
    """Return the classes of the rows of positive weight, and the codes of all labels."""
    labels, codes = label_codes(y)
    present = np.bincount(codes, weights, len(labels)) > 0
    classes = labels[present]
    if len(classes) < 2:
        raise ValueError(
            f"y has only one class, {classes.tolist()[0]!r}, among the rows of positive weight: "
            "this classifier needs at least two classes. Give rows of another class."
        )
    renumbered = np.where(present, np.cumsum(present) - 1, -1)
    return classes, renumbered[codes]


def data_unit(X):
    """Return the power of two by which data of extreme scale are divided, 1 for others."""
    if is_dask(X):
        return unit_of(max(map_blocks(_largest, X)))
    return unit_of(_largest(X.data if sparse.issparse(X) else X))


def _largest(values):
    """Return the largest modulus, without a copy of the values."""
    return max(float(values.max()), -float(values.min())) if values.shape[0] else 0.0


def penalty_grid(alpha, basis, unit):
    """Return the penalties to try, increasing."""
    # Constant columns are no features: they change no penalty.
    n_features = max(int(to_numpy(basis.varying).sum()), 1)
    if isinstance(alpha, str):
        if not basis.trace > 0:
            return _GRID.copy()
        floor = _SMALLEST_ALPHA * basis.largest / basis.total_weight
        level = basis.trace / (n_features * basis.total_weight)
        return np.unique(np.maximum(_GRID * level, floor))
    alphas = np.unique(np.asarray(alpha, dtype=float))
    if alphas.size == 0 or np.isnan(alphas).any() or alphas[0] < 0:
        raise ValueError(f"alpha={alpha!r} must be 'auto' or non-negative numbers, one at least.")
    if alphas[0] == 0 and n_features >= basis.n_samples:
        raise ValueError(
            f"alpha=0 needs more rows than features, but there are {basis.n_samples} distinct rows "
            f"and {n_features} features: give a positive alpha, or 'auto'."
        )
    return alphas / unit**2


def check_new_data(estimator, X):
    """Check data to predict."""
    if is_torch(X):
        return check_array_like_on_device(X, "X", 2, n_features=estimator.n_features_in_)
    if is_dask(X):
        X = check_dask(X, ensure_finite=False)
        _check_n_features(estimator, X, reset=False)
        return X
    return validate_data(
        estimator, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
    )


def linear_scores(estimator, X):
    """Return the decision function of a fitted linear classifier."""
    coef, intercept = beside(estimator.coef_, X), beside(estimator.intercept_, X)
    if is_dask(X):
        shape = {"drop_axis": 1} if len(intercept) == 1 else {"chunks": (X.chunks[0], len(coef))}
        return X.map_blocks(_block_scores, coef, intercept, dtype=coef.dtype, **shape)
    if is_torch(X):
        scores = X @ coef.T + intercept
    else:
        scores = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    return scores[:, 0] if len(intercept) == 1 else scores


def _block_scores(X, coef, intercept):
    """Return the decision function of a block of rows."""
    if not np.isfinite(X).all():
        raise ValueError("X contains NaN or infinity: drop or impute these values.")
    scores = X @ coef.T + intercept
    return scores[:, 0] if len(intercept) == 1 else scores


def class_probabilities(scores):
    """Return probabilities from log-odds, or from log-posteriors."""
    if is_dask(scores):
        shape = {"new_axis": 1, "chunks": (scores.chunks[0], 2)} if scores.ndim == 1 else {}
        return scores.map_blocks(class_probabilities, dtype=scores.dtype, **shape)
    if is_torch(scores):
        logits = scores if scores.ndim == 2 else scores[:, None] * scores.new_tensor([0.0, 1.0])
        return logits.softmax(1)
    if scores.ndim == 2:
        return softmax(scores, axis=1)
    return np.stack([expit(-scores), expit(scores)], axis=1)


def decode_labels(classes, codes):
    """Return the labels of codes, as a tensor where the codes are one and labels are numbers."""
    if is_torch(codes) and classes.dtype.kind in "biuf":
        return codes.new_tensor(classes, dtype=None)[codes]
    if is_dask(codes):
        return codes.map_blocks(classes.__getitem__, dtype=classes.dtype)
    return classes[to_numpy(codes)]
