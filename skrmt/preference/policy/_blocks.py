"""Comparisons by blocks of rows, in memory and in Dask arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...utils._dask import check_dask, is_dask
from ...utils._rows import row_values
from ...utils._sklearn_compat import _check_feature_names, _check_n_features

_BLOCK = 1 << 11
"""Rows of a block: with 100 features they fit into the cache of a core."""


class Outline(NamedTuple):
    """What decides whether rows can be equal.

    Attributes
    ----------
    first : ndarray of shape (n,)
        Magnitude of the first entry.
    sign : ndarray of shape (n,)
        Sign of the first entry that is not 0; 1 for a row of zeros.
    largest : ndarray of shape (n,)
        Largest magnitude in the block of each row; 0 for a row of zeros.
    """

    first: np.ndarray
    sign: np.ndarray
    largest: np.ndarray


def lazy_margins(estimator: Any, X: Any, coef: np.ndarray) -> Any:
    """Return the margins of a Dask array as one, of which nothing is computed."""
    if X.ndim != 2:
        raise ValueError(
            f"X has {X.ndim} dimensions, shape {X.shape}: a dask array must hold differences, one "
            "row each. Read candidate sets into memory with X.compute()."
        )
    X = check_dask(X, ensure_finite=False)
    _check_n_features(estimator, X, reset=False)
    return X.map_blocks(_margins, coef, dtype=coef.dtype, drop_axis=1)


def _margins(rows: np.ndarray, coef: np.ndarray) -> np.ndarray:
    """Return the margins of a block of rows."""
    if not np.isfinite(rows).all():
        raise ValueError("X contains NaN or infinity: drop or impute these values.")
    return rows @ coef


def read_blocks(estimator: Any, X: Any, name: str = "X", *, reset: bool = True) -> Any:
    """Check a Dask array of features."""
    X = check_dask(X, name, 2)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        _check_feature_names(estimator, X, reset=True)
    return X.astype(np.float64)


def read_block_pairs(estimator: Any, X_chosen: Any, X_rejected: Any) -> tuple[Any, Any]:
    """Check two Dask arrays of features, and give both the same blocks."""
    for name, X in (("X_chosen", X_chosen), ("X_rejected", X_rejected)):
        if not is_dask(X):
            raise ValueError(
                f"{name} is {type(X).__name__}, the other responses a dask array: give both as "
                "dask arrays of equal chunks, or call compute() on the other."
            )
    chosen = read_blocks(estimator, X_chosen, "X_chosen")
    rejected = check_dask(X_rejected, "X_rejected", 2).astype(np.float64)
    if chosen.shape != rejected.shape:
        raise ValueError(
            f"X_chosen has shape {chosen.shape} and X_rejected {rejected.shape}: give one row of "
            "each for every comparison."
        )
    return chosen, rejected.rechunk(chosen.chunks)


def outline(X: Any) -> Outline:
    """Return what decides whether rows can be equal up to their sign."""
    if is_dask(X):
        return Outline(*row_values(_outline, X).T)
    blocks = range(0, len(X), _BLOCK)
    return Outline(*np.concatenate([_outline(X[start : start + _BLOCK]) for start in blocks]).T)


def _outline(rows: np.ndarray) -> np.ndarray:
    """Return the outline of some rows, (n, 3)."""
    lead = rows[:, 0].copy()
    later = np.flatnonzero(lead == 0)
    lead[later] = rows[later, (rows[later] != 0).argmax(axis=1)]
    largest = max(rows.max(initial=0.0), -rows.min(initial=0.0))
    return np.column_stack(
        [np.abs(rows[:, 0]), np.where(lead < 0, -1.0, 1.0), np.where(lead == 0, 0.0, largest)]
    )
