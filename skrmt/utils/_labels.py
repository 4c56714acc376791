"""Refusals of data that NumPy would silently read as something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import check_array_like_on_device, is_torch
from ._checks import refuse_masked as refuse_masked
from ._dask import is_dask
from ._scaling import unit_of

_SEVERAL = (tuple, list, set, frozenset, dict, np.ndarray)


def refuse_missing_labels(y: Any, name: str = "y") -> None:
    """Raise ValueError at the first missing label: None, NaN, pandas.NA, NaT or a masked one.

    Labels that are sequences are refused too: NumPy compares them entry by entry.
    """
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
    flat = values.flat if values.dtype.kind == "O" else ()
    several = next((value for value in flat if isinstance(value, _SEVERAL)), None)
    if several is not None:
        raise TypeError(
            f"{name} holds {type(several).__name__}s such as {several!r}: a label is one number or "
            "one string. Join them."
        )


def label_codes(y: Any, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct labels, sorted, and the number of each row's label among them."""
    try:
        labels, codes = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            f"{name} mixes labels that cannot be sorted together: {error}. Make them all numbers, "
            "or all strings."
        ) from error
    return labels, codes.ravel()


def check_targets(y: np.ndarray, name: str = "y") -> np.ndarray:
    """Return the targets of a regression as floats, or say why they are none."""
    if y.dtype.kind in "mMcSU":
        raise TypeError(f"{name} has dtype {y.dtype}: a regression needs numbers. Convert it.")
    targets = check_array_like_on_device(y, name, 1).astype(np.float64)
    unit_of(float(np.abs(targets).max(initial=0.0)), name)
    return targets


def _missing(values: np.ndarray) -> np.ndarray:
    """Return where values are missing, whatever their type."""
    if values.dtype.kind in "fc":
        return np.isnan(values)
    if values.dtype.kind in "mM":
        return np.isnat(values)
    if values.dtype.kind != "O":
        return np.zeros(values.shape, dtype=bool)
    flat = [is_missing(value) for value in values.ravel()]
    return np.array(flat, dtype=bool).reshape(values.shape)


def is_missing(value: Any) -> bool:
    """Return whether an object marks a missing value: None, or not equal to itself."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        # pandas.NA compares to NA, which has no truth value.
        return type(value).__name__ == "NAType"
