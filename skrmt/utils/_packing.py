"""Numbers of rows on their way to workers: as codes where few of them differ."""

from __future__ import annotations

from typing import Any

import numpy as np

_FEW = 256
"""Distinct rows that a code of one byte can name."""

_SAMPLE = 1024
"""Rows that show whether few differ, before all are sorted."""

_RARE = 8
"""Rows for each that differs from the commonest one, from which differences are sent alone."""


class PackedRows:
    """Rows as distinct values with a code each, or as one value with exceptions."""

    __slots__ = ("codes", "n", "values", "where")

    def __init__(self, n: int, values: np.ndarray, codes: Any = None, where: Any = None):
        self.n, self.values, self.codes, self.where = n, values, codes, where

    @property
    def nbytes(self) -> int:
        """Bytes that are sent."""
        parts = (self.values, self.codes, self.where)
        return sum(part.nbytes for part in parts if part is not None)

    def __getitem__(self, rows: slice) -> np.ndarray:
        """Return some of the rows; the others are not unpacked."""
        start, stop, _ = rows.indices(self.n)
        if self.codes is not None:
            return self.values[self.codes[start:stop]]
        found = np.broadcast_to(self.values[0], (stop - start, *self.values.shape[1:]))
        if self.where is not None:
            found = found.copy()
            first, last = np.searchsorted(self.where, (start, stop))
            found[self.where[first:last] - start] = self.values[1 + first : 1 + last]
        return found

    def unpack(self) -> np.ndarray:
        """Return the rows."""
        return self[0 : self.n]


def pack(rows: np.ndarray) -> Any:
    """Return rows in the form that takes the fewest bytes."""
    rows = np.asarray(rows)
    n = len(rows)
    if n < 2 or rows.dtype.kind not in "biuf" or rows.size == 0:
        return rows
    if not (rows.strides[0] == 0 or _few_differ(rows[:_SAMPLE])):
        return _with_exceptions(rows)
    if (rows == rows[0]).all():
        return PackedRows(n, rows[:1].copy())
    _, first, codes = np.unique(_keys(rows), return_index=True, return_inverse=True)
    if len(first) > _FEW or 2 * len(first) > n:
        return _with_exceptions(rows)
    packed = PackedRows(n, rows[first], codes.ravel().astype(np.uint8))
    return packed if np.array_equal(packed.unpack(), rows) else np.ascontiguousarray(rows)


def unpack(rows: Any) -> np.ndarray:
    """Return rows that may be packed."""
    return rows.unpack() if isinstance(rows, PackedRows) else rows


def _with_exceptions(rows: np.ndarray) -> Any:
    """Return the commonest of a few values and what differs from it, if that is little."""
    flat = rows.reshape(len(rows), -1)
    for place in (0, len(rows) // 2, -1):
        where = np.flatnonzero((flat != flat[place]).any(axis=1))
        if len(where) * _RARE <= len(rows):
            values = np.concatenate([rows[place][None], rows[where]])
            return PackedRows(len(rows), values, where=where.astype(np.int32))
    return np.ascontiguousarray(rows)


def _few_differ(rows: np.ndarray) -> bool:
    """Return whether some rows have few distinct values."""
    return 2 * len(np.unique(_keys(rows))) <= min(len(rows), 2 * _FEW)


def _keys(rows: np.ndarray) -> np.ndarray:
    """Return a number a row, equal where the bytes of rows are, and rarely elsewhere."""
    rows = np.ascontiguousarray(rows).reshape(len(rows), -1)
    parts = rows.view(f"u{rows.dtype.itemsize}")
    keys = np.zeros(len(rows), dtype=np.uint64)
    for column in parts.T:
        keys = keys * np.uint64(0x9E3779B97F4A7C15) + column.astype(np.uint64)
        keys ^= keys >> np.uint64(29)
    return keys
