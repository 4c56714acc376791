"""Comparisons by blocks of rows, in memory and in Dask arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...utils._dask import add_parts, block_tasks, check_dask, is_dask, join_rows, summed
from ...utils._rows import block_keys, compute_together, content_keys
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


class Reading(NamedTuple):
    """What one reading of the blocks of differences of positive weight tells of them.

    Attributes
    ----------
    sizes : ndarray of shape (p,)
        How many entries of each column are not 0, or of some rows if that is not 0.
    outline : Outline
        What decides whether rows can be equal.
    key : ndarray of shape (n,)
        Numbers that follow from the content of rows of which every column counts.
    twin : ndarray of shape (n,)
        Numbers that are equal where rows are equal up to their sign.
    sides : tuple of two ndarrays of shape (2, m), or None
        The last two numbers of chosen and rejected responses: their contents, and twins.
    """

    sizes: np.ndarray
    outline: Outline
    key: np.ndarray
    twin: np.ndarray
    sides: tuple[np.ndarray, ...] | None = None


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


def read_once(differences: Any, used: np.ndarray, sides: tuple = ()) -> Reading:
    """Read the blocks of differences, and of the responses they are of, once."""
    tasks = [
        [summed(block_tasks(_used_sizes, differences, (used,), (), join=add_parts))],
        block_tasks(_row_facts, differences, (used,), (), join=join_rows),
        *(block_tasks(_content_and_twins, side, (), (), join=join_rows) for side in sides),
    ]
    (sizes,), facts, *contents = compute_together(tasks)
    *parts, key, twin = np.concatenate(facts).T
    both = tuple(np.concatenate(part).T for part in contents)
    return Reading(sizes, Outline(*parts), key, twin, both or None)


def _used_sizes(rows: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return how many entries of each column are not 0, in rows that are used."""
    return (rows[used] != 0).sum(axis=0)


def _row_facts(rows: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Return outline, content and number of twins of the rows that are used, (n, 5)."""
    rows = rows if used.all() else rows[used]
    seen = _outline(rows) if len(rows) else np.empty((0, 3))
    content = _content_and_twins(rows)
    content[:, 1] *= seen[:, 1]
    return np.column_stack([seen, content])


def _content_and_twins(rows: np.ndarray) -> np.ndarray:
    """Return two numbers a row that follow from its content, the second the same in all blocks."""
    every = np.ones(rows.shape[1], bool)
    return np.column_stack([content_keys(rows, every), block_keys(rows)])


def outline(X: Any) -> Outline:
    """Return what decides whether rows in memory can be equal up to their sign."""
    blocks = range(0, len(X), _BLOCK)
    return Outline(*np.concatenate([_outline(X[start : start + _BLOCK]) for start in blocks]).T)


def _outline(rows: np.ndarray) -> np.ndarray:
    """Return the outline of some rows, (n, 3)."""
    lead = rows[:, 0].copy()
    later = np.flatnonzero(lead == 0)
    lead[later] = rows[later, (rows[later] != 0).argmax(axis=1)]
    largest = largest_entry(rows)
    return np.column_stack(
        [np.abs(rows[:, 0]), np.where(lead < 0, -1.0, 1.0), np.where(lead == 0, 0.0, largest)]
    )


def largest_entry(rows: np.ndarray) -> float:
    """Return the largest magnitude of some rows, 0 for none."""
    return max(float(rows.max(initial=0.0)), -float(rows.min(initial=0.0)))
