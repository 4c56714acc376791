"""Data in and predictions out: NumPy, sparse and torch."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.utils.extmath import safe_sparse_dot

from ..linalg import as_device, is_torch, to_numpy
from ..utils._checks import check_array_like_on_device
from ..utils._sklearn_compat import _check_n_features, validate_data

_GRID = np.logspace(-4, 3, 29)
_SMALLEST_ALPHA = 1e-8


def as_input(estimator, X, y):
    """Check the data of a fit.

    Parameters
    ----------
    estimator : estimator
        Its `n_features_in_` and `feature_names_in_` are set; its `device` is where NumPy data go.
    X : array-like, sparse matrix or torch tensor of shape (n, p)
        The data.
    y : array-like of shape (n,)
        Labels.

    Returns
    -------
    X : array, sparse matrix or tensor
        The data in floating point.
    y : ndarray
        Labels.
    """
    if is_torch(y):
        y = to_numpy(y)
    if not is_torch(X):
        X, y = validate_data(estimator, X, y, accept_sparse="csr", dtype=[np.float64, np.float32])
        if sparse.issparse(X) and estimator.device is not None:
            raise ValueError(
                f"device={estimator.device!r} needs dense data, but X is sparse: pass X.toarray(), "
                "or device=None."
            )
        return as_device(X, estimator.device), y
    X = check_array_like_on_device(X, "X", 2)
    if y is None:
        raise ValueError("y is None: this classifier requires y to be passed, one label a row.")
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(f"y has shape {y.shape}: pass one label a row, shape ({len(X)},).")
    _check_n_features(estimator, X, reset=True)
    vars(estimator).pop("feature_names_in_", None)
    return X, y


def penalty_grid(alpha, basis):
    """Return the penalties to try, increasing.

    Parameters
    ----------
    alpha : "auto", float or array-like
        Parameter of the estimator.
    basis : RidgeBasis
        Decomposition of the data.

    Returns
    -------
    ndarray of shape (k,)
        Penalties per unit weight.

    Raises
    ------
    ValueError
        If a penalty is negative or NaN, or 0 with as many features as rows.
    """
    n_features = len(basis.mean)
    if isinstance(alpha, str):
        scale = to_numpy(basis.scale).astype(float)
        if len(scale) == 0:
            return _GRID.copy()
        unit = float(basis.unit) ** 2 / basis.total_weight
        floor = _SMALLEST_ALPHA * scale.max() * unit
        return np.unique(np.maximum(_GRID * (scale.sum() / n_features * unit), floor))
    alphas = np.unique(np.asarray(alpha, dtype=float))
    if alphas.size == 0 or np.isnan(alphas).any() or alphas[0] < 0:
        raise ValueError(f"alpha={alpha!r} must be 'auto' or non-negative numbers, one at least.")
    if alphas[0] == 0 and n_features >= basis.n_samples:
        raise ValueError(
            f"alpha=0 needs more rows than features, but there are {basis.n_samples} distinct rows "
            f"and {n_features} features: give a positive alpha, or 'auto'."
        )
    return alphas


def linear_scores(estimator, X):
    """Return the decision function of a fitted linear classifier.

    Parameters
    ----------
    estimator : estimator
        With `coef_` and `intercept_`.
    X : array-like, sparse matrix or torch tensor of shape (n, p)
        The data.

    Returns
    -------
    ndarray or tensor of shape (n,) or (n, K)
        Scores, on the device of X.
    """
    coef, intercept = estimator.coef_, estimator.intercept_
    if is_torch(X):
        X = check_array_like_on_device(X, "X", 2, n_features=estimator.n_features_in_)
        coef, intercept = X.new_tensor(coef), X.new_tensor(intercept)
        scores = X @ coef.T + intercept
    else:
        X = validate_data(
            estimator, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False
        )
        scores = safe_sparse_dot(X, coef.T, dense_output=True) + intercept
    return scores[:, 0] if len(intercept) == 1 else scores


def return_like(classes, codes):
    """Return the labels of codes, as a tensor where the codes are one and labels are numbers.

    Parameters
    ----------
    classes : ndarray of shape (K,)
        Labels.
    codes : ndarray or tensor of shape (n,)
        Codes 0, ..., K - 1.

    Returns
    -------
    ndarray or tensor of shape (n,)
        Labels.
    """
    if is_torch(codes) and classes.dtype.kind in "biuf":
        return codes.new_tensor(classes, dtype=None)[codes]
    return classes[to_numpy(codes)]
