"""Refusals of data that NumPy would silently read as something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import is_torch
from ._checks import refuse_masked as refuse_masked
from ._dask import is_dask


def refuse_missing_labels(y: Any, name: str = "y") -> None:
    """Raise ValueError at the first missing label: None, NaN, pandas.NA, NaT or a masked one."""
    refuse_masked(y, name)
    if is_torch(y) or is_dask(y):
        return
    # An array of strings would turn a NaN among them into the word "nan".
    plain = isinstance(y, np.ndarray)
    values = y if plain else np.asarray(y, dtype=object)
    missing = _missing(values)
    if missing.any():
        row = int(np.argwhere(missing)[0][0])
        raise ValueError(
            f"{name} has a missing label at row {row}: Input {name} contains NaN or another mark "
            "of a missing value. Drop the rows without a label."
        )


def _missing(values: np.ndarray) -> np.ndarray:
    """Return where values are missing, whatever their type."""
    if values.dtype.kind in "fc":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind != "O":
        return np.zeros(values.shape, dtype=bool)
    flat = [_is_missing(value) for value in values.ravel()]
    return np.array(flat, dtype=bool).reshape(values.shape)


def _is_missing(value: Any) -> bool:
    """Return whether an object marks a missing value: None, or not equal to itself."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # pandas.NA compares to NA, which has no truth value.
        return type(value).__name__ == "NAType"
