"""Functions of rows, in memory at once and on Dask arrays by blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import numpy as np

from ._dask import is_dask, map_blocks, reduce_blocks

_DIGEST = 16


def row_values(
    function: Callable[..., np.ndarray], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> np.ndarray:
    """Return one result a row.

    Parameters
    ----------
    function : callable
        ``function(rows, *parts_of_row_arrays, *shared)`` gives an array with one entry a row, the
        same whichever rows come with it. It is defined in a module, so that workers find it.
    X : ndarray or dask array of shape (n, p)
        The rows.
    *row_arrays : ndarray of shape (n, ...)
        What belongs to them.
    shared : tuple, default=()
        What every block needs.

    Returns
    -------
    ndarray of shape (n, ...)
        The results.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.utils._rows import row_values
    >>> row_values(np.matmul, np.eye(2), shared=(np.array([3.0, 4.0]),))
    array([3., 4.])
    """
    if not is_dask(X):
        return function(X, *row_arrays, *shared)
    return np.concatenate(map_blocks(function, X, *row_arrays, shared=shared))


def row_sums(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> Any:
    """Return a result that adds up over the rows.

    Parameters
    ----------
    function : callable
        ``function(rows, *parts_of_row_arrays, *shared)`` gives an array or a tuple of arrays, sums
        over its rows. It is defined in a module, so that workers find it.
    X : ndarray or dask array of shape (n, p)
        The rows.
    *row_arrays : ndarray of shape (n, ...)
        What belongs to them.
    shared : tuple, default=()
        What every block needs.

    Returns
    -------
    array or tuple of arrays
        The sums.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.utils._rows import row_sums
    >>> def total(rows, weights):
    ...     return weights @ rows
    >>> row_sums(total, np.eye(2), np.array([3.0, 4.0]))
    array([3., 4.])
    """
    if not is_dask(X):
        return function(X, *row_arrays, *shared)
    return reduce_blocks(function, X, *row_arrays, shared=shared)


def take_rows(X: Any, rows: np.ndarray) -> Any:
    """Return some rows, in their order.

    Parameters
    ----------
    X : array or dask array of shape (n, p)
        The rows.
    rows : ndarray of bool of shape (n,)
        Which of them.

    Returns
    -------
    array or dask array
        The rows; a Dask array keeps its blocks, and knows their sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.utils._rows import take_rows
    >>> take_rows(np.eye(2), np.array([False, True]))
    array([[0., 1.]])
    """
    return X[np.flatnonzero(rows)] if is_dask(X) else X[rows]


def identical_block_rows(*parts: Any, signs: np.ndarray | None = None) -> np.ndarray:
    """Number the distinct rows of Dask arrays in the order of their first appearance.

    Parameters
    ----------
    *parts : dask array of shape (n, p)
        Finite rows, one array after the other.
    signs : ndarray of shape (n,), optional
        What the rows of a single array are multiplied by.

    Returns
    -------
    ndarray of int
        Number of each row.

    Notes
    -----
    A sum a row tells which rows can be equal; of those alone a digest of 16 bytes is taken on the
    workers. Rows do not travel.
    """
    weights = np.sqrt(np.arange(2.0, parts[0].shape[1] + 2.0))
    signs = np.ones(len(parts[0])) if signs is None else signs
    keys = np.concatenate([row_values(_keys, part, signs, shared=(weights,)) for part in parts])
    _, codes, counts = np.unique(keys, return_inverse=True, return_counts=True)
    suspect = counts[codes.ravel()] > 1
    groups = np.arange(len(keys))
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
    return np.unique(groups, return_inverse=True)[1].ravel()


def _keys(rows: np.ndarray, signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return a number a row, the same for equal rows wherever they are."""
    return (np.ascontiguousarray(rows) * signs[:, None] * weights).sum(axis=1)


def _digests(rows: np.ndarray, signs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return a digest of the content of some rows, 0 and -0 alike."""
    rows = np.ascontiguousarray(rows[wanted] * signs[wanted, None] + 0.0)
    digests = b"".join(blake2b(row.tobytes(), digest_size=_DIGEST).digest() for row in rows)
    return np.frombuffer(digests, dtype=np.dtype((np.void, _DIGEST)))
