"""Dask arrays chunked by rows: checks, and functions of blocks on the active scheduler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._optional import import_optional


def is_dask(x: Any) -> bool:
    """Tell whether x is a Dask array, without importing dask.

    Parameters
    ----------
    x : object
        Anything.

    Returns
    -------
    bool
        True for a `dask.array.Array`.

    Examples
    --------
    >>> from skrmt.utils._dask import is_dask
    >>> is_dask([1.0])
    False
    """
    dask_array = sys.modules.get("dask.array")
    return hasattr(dask_array, "Array") and isinstance(x, dask_array.Array)


def check_dask(X: Any, name: str = "X", ndim: int = 2, *, ensure_finite: bool = True) -> Any:
    """Check a Dask array and chunk it by rows.

    Parameters
    ----------
    X : dask array
        The array; unknown chunk sizes are computed.
    name : str, default="X"
        What the user calls it, for the messages.
    ndim : int, default=2
        Number of dimensions it must have.
    ensure_finite : bool, default=True
        Read the array once, and refuse NaN and infinity.

    Returns
    -------
    dask array
        Same values, one chunk along every axis but the first; float32 stays, other numbers become
        float64.

    Raises
    ------
    ValueError
        If its number of dimensions is another, it is empty, not numeric, or a value is NaN or
        infinite.

    Examples
    --------
    >>> import dask.array as da
    >>> from skrmt.utils._dask import check_dask
    >>> check_dask(da.ones((6, 4), chunks=(3, 2), dtype=int)).chunks
    ((3, 3), (4,))
    """
    if X.ndim != ndim:
        raise ValueError(f"{name} has {X.ndim} dimensions, {ndim} are needed.")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {X.dtype}: give real numbers.")
    if any(np.isnan(size) for size in X.shape):
        X = X.compute_chunk_sizes()
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}: give one row and one feature at least.")
    X = X.rechunk(dict.fromkeys(range(1, ndim), -1))
    X = X.astype(X.dtype if X.dtype in (np.float32, np.float64) else np.float64)
    if ensure_finite and not all(map_blocks(_is_finite, X)):
        raise ValueError(f"{name} contains NaN or infinity: drop or impute these values.")
    return X


def _is_finite(block: np.ndarray) -> bool:
    """Tell whether all values are finite."""
    return bool(np.isfinite(block).all())


def row_slices(X: Any) -> list[slice]:
    """Return the rows of every block.

    Parameters
    ----------
    X : dask array of shape (n, ...)
        Chunked by rows.

    Returns
    -------
    list of slice
        One slice a block, in order.

    Examples
    --------
    >>> import dask.array as da
    >>> from skrmt.utils._dask import row_slices
    >>> row_slices(da.ones((5, 2), chunks=(3, 2)))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    ends = np.cumsum(X.chunks[0]).tolist()
    return [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]


def map_blocks(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> list[Any]:
    """Call a function of every block of rows on the workers.

    Parameters
    ----------
    function : callable
        ``function(block, *parts_of_row_arrays, *shared)``, defined in a module, so that workers
        find it.
    X : dask array of shape (n, ...)
        Chunked by rows.
    *row_arrays : ndarray of shape (n, ...)
        What belongs to the rows; each task gets its part.
    shared : tuple, default=()
        What every block needs; it is sent once.

    Returns
    -------
    list
        The results, in the order of the blocks.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from skrmt.utils._dask import map_blocks
    >>> [float(total) for total in map_blocks(np.sum, da.ones((5, 2), chunks=(3, 2)))]
    [6.0, 4.0]
    """
    tasks = _tasks(function, X, row_arrays, shared)
    return list(import_optional("dask", "dask").compute(*tasks))


def reduce_blocks(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> Any:
    """Add up what a function gives for every block of rows.

    Parameters
    ----------
    function : callable
        ``function(block, *parts_of_row_arrays, *shared)`` gives an array, or a tuple of arrays.
    X : dask array of shape (n, ...)
        Chunked by rows.
    *row_arrays : ndarray of shape (n, ...)
        What belongs to the rows; each task gets its part.
    shared : tuple, default=()
        What every block needs; it is sent once.

    Returns
    -------
    array or tuple of arrays
        The total. Partial results are added in pairs on the workers, always in the same order:
        a worker that is lost and replaced changes nothing.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from skrmt.utils._dask import reduce_blocks
    >>> float(reduce_blocks(np.sum, da.ones((5, 2), chunks=(2, 2))))
    10.0
    """
    dask = import_optional("dask", "dask")
    add = dask.delayed(_add, pure=True)
    parts = _tasks(function, X, row_arrays, shared)
    while len(parts) > 1:
        paired = [add(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = paired + parts[len(parts) - len(parts) % 2 :]
    return dask.compute(parts[0])[0]


def _tasks(
    function: Callable[..., Any], X: Any, row_arrays: tuple[np.ndarray, ...], shared: tuple
) -> list[Any]:
    """Return one task a block."""
    dask = import_optional("dask", "dask")
    call = dask.delayed(function, pure=False, traverse=False)
    common = [dask.delayed(value, pure=False, traverse=False) for value in shared]
    blocks = X.to_delayed().reshape(len(X.chunks[0]), -1)[:, 0]
    return [
        call(block, *(array[rows] for array in row_arrays), *common)
        for block, rows in zip(blocks, row_slices(X), strict=True)
    ]


def _add(first: Any, second: Any) -> Any:
    """Add two arrays, or two tuples of them."""
    if not isinstance(first, tuple):
        return first + second
    total = [_add(a, b) for a, b in zip(first, second, strict=True)]
    return type(first)(*total) if hasattr(first, "_fields") else tuple(total)


def to_local(x: Any) -> Any:
    """Return the array that a Dask array stands for, anything else as it is.

    Parameters
    ----------
    x : object
        A Dask array or anything else.

    Returns
    -------
    object
        An ndarray for a Dask array.

    Examples
    --------
    >>> import dask.array as da
    >>> from skrmt.utils._dask import to_local
    >>> to_local(da.arange(3, chunks=2))
    array([0, 1, 2])
    """
    return x.compute() if is_dask(x) else x
