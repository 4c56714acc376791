"""Synthetic rows in Dask arrays, of which sums and scores are taken where the blocks are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import is_torch, to_numpy
from ...utils._dask import check_dask, is_dask
from ...utils._rows import RowJob, block_values
from ...utils._sklearn_compat import _check_n_features
from ._source_labels import class_sums


class Measures(NamedTuple):
    """What rows show of their classes, and the scores of each.

    Attributes
    ----------
    sums : ndarray of shape (K, p)
        Weighted sum of the rows of each class.
    energy : float
        Weighted sum of their squared norms.
    scores : ndarray of shape (n, q)
        Score of each row.
    """

    sums: np.ndarray
    energy: float
    scores: np.ndarray


def check_container(estimator, X, X_synthetic):
    """Raise if a fit to Dask arrays would need all their rows in memory."""
    if not (is_dask(X) or is_dask(X_synthetic)):
        return
    name = "X_synthetic" if is_dask(X_synthetic) else "X"
    for option, default in (("generator_source", "external"), ("device", None)):
        value = getattr(estimator, option)
        if value != default:
            raise ValueError(
                f"{option}={value!r} needs all rows in memory, but {name} is a dask array: pass "
                f"{name}.compute(), or {option}={default!r}."
            )
    for other, data in (("X", X), ("X_synthetic", X_synthetic)):
        if is_torch(data) or sparse.issparse(data):
            raise ValueError(
                f"{other} is {type(data).__name__}, but {name} a dask array: give {other} as a "
                "dense NumPy array."
            )


def read_blocks(estimator, X, name, *, reset):
    """Check a Dask array of rows."""
    X = check_dask(X, name, 2)
    _check_n_features(estimator, X, reset=reset)
    if reset:
        vars(estimator).pop("feature_names_in_", None)
    return X


def class_weights(rows, n_classes):
    """Return the weight of each row in the column of its class, (n, K)."""
    return np.eye(n_classes)[rows.observed] * rows.weights[:, None]


def measure(sources, n_classes, coef, unit):
    """Measure the rows of sources; Dask arrays are read together, once."""
    lazy = [source for source in sources if is_dask(source.X)]
    shared = (coef, unit)
    jobs = [RowJob(_measured, s.X, (class_weights(s, n_classes),), shared) for s in lazy]
    parts = iter(block_values(jobs) if jobs else [])
    return [
        joined(next(parts))
        if is_dask(source.X)
        else _measured(on_host(source.X), class_weights(source, n_classes), *shared)
        for source in sources
    ]


def joined(parts):
    """Return the measures of rows that come one after the other."""
    return Measures(
        sum(part.sums for part in parts),
        sum(part.energy for part in parts),
        np.concatenate([part.scores for part in parts]),
    )


def _measured(rows, member, coef, unit):
    """Return the measures of some rows."""
    rows = rows if unit == 1.0 else rows * (1.0 / unit)
    return Measures(*class_sums(rows, member), np.asarray(rows @ coef.T, dtype=float))


def on_host(X):
    """Return data as an array or a sparse matrix."""
    return X if hasattr(X, "toarray") else to_numpy(X)
