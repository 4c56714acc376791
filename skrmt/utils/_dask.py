"""Dask arrays chunked by rows: checks, and functions of blocks on the active scheduler."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._optional import import_optional


def is_dask(x: Any) -> bool:
    """Return whether x is a Dask array, without importing dask."""
    dask_array: Any = sys.modules.get("dask.array")
    return hasattr(dask_array, "Array") and isinstance(x, dask_array.Array)


def check_dask(X: Any, name: str = "X", ndim: int = 2, *, ensure_finite: bool = True) -> Any:
    """Check a Dask array and chunk it by rows."""
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
    """Return whether all values are finite."""
    return bool(np.isfinite(block).all())


def row_slices(X: Any) -> list[slice]:
    """Return the rows of every block."""
    ends = np.cumsum(X.chunks[0]).tolist()
    return [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]


def map_blocks(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> list[Any]:
    """Call a function of every block of rows on the workers."""
    tasks = _tasks(function, X, row_arrays, shared)
    return list(import_optional("dask", "dask").compute(*tasks))


def reduce_blocks(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> Any:
    """Add up what a function gives for every block of rows."""
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
    """Return the array that a Dask array stands for, anything else as it is."""
    return x.compute() if is_dask(x) else x
