"""New samples: views as in `fit`, and predictions for Dask arrays block by block."""

from __future__ import annotations

import copy

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..linalg import get_backend, is_torch
from ..utils._dask import check_dask
from ._views_input import (
    check_views_of_fit,
    dask_list,
    is_dask_views,
    is_view_list,
    side_by_side,
    stacked,
    view_list,
)


def by_blocks(estimator, method, X, n_columns=None, dtype=None):
    """Return what a method gives for the blocks of Dask arrays, computed when needed."""
    check_is_fitted(estimator)
    X = _in_rows(estimator, X)
    light = copy.copy(estimator)
    light.embedding_ = light.labels_ = np.zeros(0)
    dtype = dtype_of(X) if dtype is None else dtype
    wide = {} if n_columns is None else {"new_axis": 1, "chunks": (X.chunks[0], n_columns)}
    meta = np.empty((0,) * (1 + len(wide) // 2), dtype=dtype)
    dropped = list(range(1, X.ndim))
    return X.map_blocks(_on_block, light, method, meta=meta, drop_axis=dropped, **wide)


def _in_rows(estimator, X):
    """Return checked Dask arrays as one, which `_on_block` takes apart again."""
    if estimator._is_list:
        return side_by_side(listed_views(estimator, X, ensure_finite=False))
    if is_view_list(X):
        X = stacked(dask_list(X, ensure_finite=False))
    X = check_dask(X, "X", 3 if X.ndim == 3 else 2, ensure_finite=False)
    check_views_of_fit(X if X.ndim == 3 else X[:, :, None], estimator._shape[1:])
    return X


def _on_block(block, estimator, method):
    """Call a method of an estimator on a block of samples."""
    n = len(block)
    block = block if n else np.zeros((1, *block.shape[1:]), dtype=block.dtype)
    if estimator._is_list:
        ends = np.cumsum(estimator._widths)[:-1]
        block = np.split(block, ends, axis=1)
    return getattr(estimator, method)(block)[:n]


def listed_views(estimator, X, *, ensure_finite=True):
    """Check views of unequal widths against those seen in `fit`."""
    widths = estimator._widths
    if not is_view_list(X):
        raise ValueError(
            f"X must be a list of {len(widths)} views of widths {widths}, as in fit: got "
            f"{type(X).__name__}."
        )
    lazy = is_dask_views(X)
    views = dask_list(X, ensure_finite=ensure_finite) if lazy else view_list(X, estimator.device)
    if [int(view.shape[1]) for view in views] != widths:
        raise ValueError(
            f"the views of X have widths {[int(view.shape[1]) for view in views]}, but in fit "
            f"they were {widths}: pass the same views in the same order."
        )
    return views


def dtype_of(array):
    """Return the precision that results for an array have."""
    return np.float32 if "float32" in str(getattr(array, "dtype", "")) else np.float64


def as_input(array, like):
    """Return a NumPy array as what the input is."""
    if not is_torch(like):
        return array
    return get_backend(like).asarray(array, like=like, dtype=str(array.dtype))
