"""Functions of rows, in memory at once and on Dask arrays by blocks of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np

from ._checks import is_torch
from ._dask import (
    add_parts,
    block_tasks,
    is_dask,
    join_rows,
    map_blocks,
    reduce_blocks,
    summed,
)
from ._optional import import_optional
from ._scratch import Scratch

_DIGEST = 16


def row_values(
    function: Callable[..., np.ndarray], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> np.ndarray:
    """Return one result a row."""
    if not is_dask(X):
        return function(X, *row_arrays, *shared)
    dask = import_optional("dask", "dask")
    return np.concatenate(dask.compute(*block_tasks(function, X, row_arrays, shared, join_rows)))


def row_sums(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> Any:
    """Return a result that adds up over the rows."""
    if not is_dask(X):
        return function(X, *row_arrays, *shared)
    return reduce_blocks(function, X, *row_arrays, shared=shared)


class RowJob(NamedTuple):
    """A function of the rows of a Dask array.

    Attributes
    ----------
    function : callable
        ``function(rows, *parts_of_row_arrays, *shared)``, defined in a module.
    X : dask array of shape (n, p)
        The rows.
    row_arrays : tuple of ndarray of shape (n, ...)
        What belongs to them.
    shared : tuple, default=()
        What every block needs.
    """

    function: Callable[..., Any]
    X: Any
    row_arrays: tuple
    shared: tuple = ()


def block_values(jobs: Sequence[RowJob]) -> list[list[Any]]:
    """Return the results for the blocks of several Dask arrays."""
    return compute_together([block_tasks(*job) for job in jobs])


def compute_together(tasks: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the results of lists of tasks that are computed together."""
    dask = import_optional("dask", "dask")
    flat = iter(dask.compute(*(task for job in tasks for task in job)))
    return [[next(flat) for _ in job] for job in tasks]


def block_sums(jobs: Sequence[RowJob]) -> list[Any]:
    """Return results that add up over the rows of several Dask arrays."""
    dask = import_optional("dask", "dask")
    return list(dask.compute(*(summed(block_tasks(*job, join=add_parts)) for job in jobs)))


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, in their order."""
    return X[np.flatnonzero(rows)] if is_dask(X) else X[rows]


def content_keys(X: Any, varying: np.ndarray) -> np.ndarray:
    """Return one number per row, which follows from what varies in it, in any kind of array."""
    weights = np.where(varying, np.sqrt(1.0 + np.cumsum(varying)), 0.0)
    if is_torch(X):
        return (X.double() @ X.new_tensor(weights).double()).cpu().numpy()
    return np.asarray(X @ weights, dtype=float)


def identical_block_rows(
    *parts: Any, signs: np.ndarray | None = None, keys: np.ndarray | None = None
) -> np.ndarray:
    """Number the distinct rows of Dask arrays in the order of their first appearance."""
    signs = np.ones(len(parts[0])) if signs is None else signs
    if keys is None:
        keys = np.concatenate([row_values(block_keys, part, signs) for part in parts])
    groups = np.arange(len(keys))
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    # Of numbers so large that their sum overflows the key says nothing.
    suspect = np.isin(keys, repeated) | np.isnan(keys)
    if suspect.any():
        marks = np.split(suspect, np.cumsum([len(part) for part in parts])[:-1])
        digests = np.concatenate(
            [
                digest
                for part, mark in zip(parts, marks, strict=True)
                for digest in map_blocks(_digests, part, signs, mark)
            ]
        )
        _, first, same = np.unique(digests, return_index=True, return_inverse=True)
        groups[suspect] = np.flatnonzero(suspect)[first][same.ravel()]
        groups = np.unique(groups, return_inverse=True)[1].ravel()
    return groups


def block_keys(
    rows: np.ndarray, signs: np.ndarray | None = None, *, scratch: Scratch | None = None
) -> np.ndarray:
    """Return a number a row of a block, the same for equal rows wherever they are."""
    weights = np.sqrt(np.arange(2.0, rows.shape[1] + 2.0))
    terms = np.empty(rows.shape) if scratch is None else scratch("terms", *rows.shape)
    keys = np.multiply(rows, weights, out=terms).sum(axis=1)
    return keys if signs is None else keys * signs


def _digests(rows: np.ndarray, signs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return a digest of the content of some rows, 0 and -0 alike."""
    rows = np.ascontiguousarray(rows[wanted] * signs[wanted, None] + 0.0)
    digests = b"".join(blake2b(row.tobytes(), digest_size=_DIGEST).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.dtype((np.void, _DIGEST)))
