"""Dask arrays chunked by rows: checks, and functions of blocks on the active scheduler."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from ._optional import import_optional
from ._packing import pack, unpack
from ._scratch import Scratch
from ._warnings import warn

_PIECES = 16
"""Pieces of a block that are read in turn: what a task computes is small beside its block."""

_FEWEST = 64
"""Rows of a piece: with fewer, calls cost more than numbers."""

_LARGEST = 1 << 16
"""Numbers of a piece, 0.5 MB: larger ones leave the cache of a core."""

_ENOUGH = 256
"""Rows of a piece, however wide, at which products run at full speed."""

_BYTES_OF_RESULT = 64
"""Bytes that a function holds at once for each of the numbers it computes a row: eight arrays."""

_MESSAGE = 4_000_000
"""Bytes sent with one graph, beyond which they are sent before it in several: Dask warns at 10 MB
of a graph, which passes through the scheduler in one piece."""

_CHUNKS_OF_A_TASK = 6
"""Chunks for which a worker has room: four of a task, one that is read and one that is sent."""

_SUMMED = 4
"""Results that a task adds up: each task costs a worker a millisecond, each result memory."""

_LARGEST_CHUNK = 1 << 29
"""Bytes of a chunk where the memory of workers is not known: 0.5 GB."""


def is_dask(x: Any) -> bool:
    """Return whether x is a Dask array, without importing dask."""
    dask_array: Any = sys.modules.get("dask.array")
    return hasattr(dask_array, "Array") and isinstance(x, dask_array.Array)


def check_dask(X: Any, name: str = "X", ndim: int = 2, *, ensure_finite: bool = True) -> Any:
    """Check a Dask array and chunk it by rows; values are checked when they are first read."""
    if X.ndim != ndim:
        raise ValueError(f"{name} has {X.ndim} dimensions, {ndim} are needed.")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {X.dtype}: give real numbers.")
    if any(np.isnan(size) for size in X.shape):
        X = X.compute_chunk_sizes()
    if 0 in X.shape:
        raise ValueError(f"{name} has shape {X.shape}: give one row and one feature at least.")
    X = _whole_rows(X, name)
    X = X.astype(X.dtype if X.dtype in (np.float32, np.float64) else np.float64)
    if ensure_finite:
        X = X.map_blocks(finite_block, name, dtype=X.dtype, meta=np.empty((0,) * ndim, X.dtype))
    # With its tasks fused once, several functions of a block share one reading of it.
    return import_optional("dask", "dask").optimize(X)[0]


def finite_block(block: np.ndarray, name: str) -> np.ndarray:
    """Return a block of finite numbers, or raise."""
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum needs no memory; it may overflow where all numbers are finite.
        finite = np.isfinite(block.sum(dtype=float)) or np.isfinite(block).all()
    if not finite:
        raise ValueError(f"{name} contains NaN or infinity: drop or impute these values.")
    return block


def _whole_rows(X: Any, name: str) -> Any:
    """Chunk an array by rows, in chunks that fit into the memory of the workers."""
    itemsize = 4 if X.dtype == np.float32 else 8
    width = itemsize * int(np.prod(X.shape[1:]))
    room = _room_for_chunk()
    whole = dict.fromkeys(range(1, X.ndim), -1)
    largest = max(X.chunks[0]) * width
    if largest <= room:
        return X.rechunk(whole)
    rows = max(1, int(room // width))
    warn(
        f"{name} has chunks of {largest / 1e6:.0f} MB in whole rows, for which workers have no "
        f"room: it is rechunked to {rows * width / 1e6:.0f} MB, {rows} rows each. Chunk it so "
        "when it is read.",
        UserWarning,
    )
    return X.rechunk({0: rows, **whole})


def _room_for_chunk() -> float:
    """Return the bytes of a chunk for which every worker has room."""
    distributed: Any = sys.modules.get("distributed")
    try:
        workers = distributed.get_client().scheduler_info(n_workers=-1)["workers"].values()
    except (AttributeError, TypeError, ValueError):
        return _LARGEST_CHUNK
    rooms = [w["memory_limit"] / w["nthreads"] for w in workers if w["memory_limit"]]
    return min(rooms) / _CHUNKS_OF_A_TASK if rooms else _LARGEST_CHUNK


def row_slices(X: Any) -> list[slice]:
    """Return the rows of every block."""
    ends = np.cumsum(X.chunks[0]).tolist()
    return [slice(start, stop) for start, stop in zip([0, *ends], ends, strict=False)]


def map_blocks(
    function: Callable[..., Any], X: Any, *row_arrays: np.ndarray, shared: tuple = ()
) -> list[Any]:
    """Call a function of every block of rows on the workers."""
    tasks = block_tasks(function, X, row_arrays, shared)
    return list(import_optional("dask", "dask").compute(*tasks))


def reduce_blocks(
    function: Callable[..., Any],
    X: Any,
    *row_arrays: np.ndarray,
    shared: tuple = (),
    scratch: bool = False,
) -> Any:
    """Add up what a function gives for the rows of every block."""
    dask = import_optional("dask", "dask")
    tasks = block_tasks(function, X, row_arrays, shared, join=add_parts, scratch=scratch)
    return dask.compute(summed(tasks))[0]


def summed(parts: list[Any], add: Callable[[Any], Any] | None = None) -> Any:
    """Return the task that adds up the results of others, by a function of a few of them."""
    add = import_optional("dask", "dask").delayed(add or add_parts, pure=False)
    while len(parts) > 1:
        few = [parts[i : i + _SUMMED] for i in range(0, len(parts), _SUMMED)]
        parts = [add(some) if len(some) > 1 else some[0] for some in few]
    return parts[0]


def block_tasks(
    function: Callable[..., Any],
    X: Any,
    row_arrays: tuple[np.ndarray, ...],
    shared: tuple,
    join: Callable[[Any], Any] | None = None,
    width: int = 0,
    *,
    scratch: bool = False,
) -> list[Any]:
    """Return one task a block, which are read together with others of the same array.

    With `join`, a function of rows is called for pieces of a block in turn, and `join` makes one
    result of theirs; `width` is how many numbers the function computes a row, if they are many.
    With `scratch` it is given arrays to write over, by the keyword of that name.
    """
    dask = import_optional("dask", "dask")
    if any(count > 1 for count in X.numblocks[1:]):
        raise ValueError(
            f"X has chunks {X.chunks}: make blocks of whole rows by X.rechunk({{1: -1}})."
        )
    call = dask.delayed(_on_block, pure=False, traverse=False)
    name = dask.delayed(function, pure=False, traverse=False)
    common = [_sent(value) for value in shared]
    blocks = X.to_delayed(optimize_graph=False).reshape(len(X.chunks[0]), -1)[:, 0]
    packed = _sent_rows([[pack(array[rows]) for array in row_arrays] for rows in row_slices(X)])
    return [
        call(name, join, width, scratch, len(row_arrays), block, *parts, *common)
        for block, parts in zip(blocks, packed, strict=True)
    ]


def _sent(value: Any) -> Any:
    """Return what all tasks share as a task; large arrays go ahead in parts."""
    dask = import_optional("dask", "dask")
    size = getattr(value, "nbytes", 0)
    if size <= _MESSAGE or np.ndim(value) == 0:
        return dask.delayed(value, pure=False, traverse=False)
    pieces = np.array_split(value, min(len(value), -(-size // _MESSAGE)))
    sent = [_persisted([piece])[0] for piece in pieces]
    return dask.delayed(np.concatenate, pure=False)(sent)


def _sent_rows(packed: list[list[Any]]) -> list[list[Any]]:
    """Return packed rows of blocks; many go ahead in parts, and may be sent again."""
    if sum(part.nbytes for parts in packed for part in parts) <= _MESSAGE:
        return packed
    sent, batch, size = [], [], 0
    for parts in packed:
        batch.append(parts)
        size += sum(part.nbytes for part in parts)
        if size > _MESSAGE:
            sent += _persisted(batch)
            batch, size = [], 0
    return [[parts] for parts in sent + _persisted(batch)]


def _persisted(values: list[Any]) -> list[Any]:
    """Return values that workers hold."""
    dask = import_optional("dask", "dask")
    held = [dask.delayed(_same, pure=False)(_Box(value)) for value in values]
    return list(dask.persist(*held)) if held else []


class _Box:
    """A value into which Dask does not look."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


def _same(box: _Box) -> Any:
    """Return what is in a box."""
    return box.value


def _on_block(
    function: Callable[..., Any],
    join: Callable[[Any], Any] | None,
    width: int,
    scratch: bool,
    n_arrays: int,
    block: np.ndarray,
    *arguments: Any,
) -> Any:
    """Call a function of a block of rows, or of its pieces in turn."""
    if n_arrays and isinstance(arguments[0], list):
        arguments = (*arguments[0], *arguments[1:])
    row_arrays, shared = arguments[:n_arrays], arguments[n_arrays:]
    if scratch:
        function = partial(function, scratch=Scratch())
    if join is None or len(block) <= _FEWEST:
        return function(block, *map(unpack, row_arrays), *shared)
    size = _rows_of_piece(block, width)
    pieces = [slice(start, start + size) for start in range(0, len(block), size)]
    found = (
        function(block[rows], *(array[rows] for array in row_arrays), *shared) for rows in pieces
    )
    return join(Pieces(found, len(block)))


def _rows_of_piece(block: np.ndarray, width: int) -> int:
    """Return how many rows of a block are computed at a time."""
    columns = max(1, block.size // max(1, len(block)))
    size = min(-(-len(block) // _PIECES), max(_LARGEST // max(columns, width), _ENOUGH))
    if width:
        size = min(size, block.nbytes // (_BYTES_OF_RESULT * width))
    return max(size, 1 if width else _FEWEST)


def add_parts(parts: Any) -> Any:
    """Add up arrays, or tuples of them."""
    parts = iter(parts)
    total, is_own = next(parts), False
    for part in parts:
        total, is_own = _add(total, part, is_own), True
    return total


class Pieces:
    """Results for the pieces of a block in turn, with the most rows that they have together."""

    def __init__(self, found: Iterator[Any], n_rows: int):
        self.found, self.n_rows = found, n_rows

    def __iter__(self) -> Iterator[Any]:
        return self.found


class JoinedRows:
    """Results of rows, put one below another in one array: a list would hold them twice."""

    def __init__(self, n_rows: int):
        self.n_rows, self.filled, self.rows = n_rows, 0, np.empty(0)

    def add(self, part: np.ndarray) -> None:
        """Put the results of a piece below the others."""
        if self.filled == 0:
            self.rows = np.empty((self.n_rows, *part.shape[1:]), part.dtype)
        self.rows[self.filled : self.filled + len(part)] = part
        self.filled += len(part)

    def result(self) -> np.ndarray:
        """Return all rows."""
        return self.rows if self.filled == self.n_rows else self.rows[: self.filled].copy()


def join_rows(parts: Pieces) -> np.ndarray:
    """Join the results of the rows of pieces."""
    joined = JoinedRows(parts.n_rows)
    for part in parts:
        joined.add(part)
    return joined.result()


def sums_and_rows(parts: Pieces) -> tuple[Any, np.ndarray]:
    """Add up the first results of pieces, and put rows of the second one below another."""
    joined = JoinedRows(parts.n_rows)

    def sums() -> Iterator[Any]:
        for part, rows in parts:
            joined.add(rows)
            yield part

    return add_parts(sums()), joined.result()


def _add(first: Any, second: Any, in_place: bool) -> Any:
    """Add two arrays, or two tuples of them, perhaps in the memory of the first."""
    if not isinstance(first, tuple):
        is_array = in_place and isinstance(first, np.ndarray)
        return np.add(first, second, out=first) if is_array else first + second
    total = [_add(a, b, in_place) for a, b in zip(first, second, strict=True)]
    return type(first)(*total) if hasattr(first, "_fields") else tuple(total)


def to_local(x: Any) -> Any:
    """Return the array that a Dask array stands for, anything else as it is."""
    return x.compute() if is_dask(x) else x
