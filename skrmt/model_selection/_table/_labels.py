"""The labels in the target column of a table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils.multiclass import type_of_target

from ...utils._wording import count, listed, one_line

FEWEST_ROWS, FEWEST_IN_CLASS, MOST_CLASSES = 20, 5, 100


class Labels(NamedTuple):
    """What the target column says.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Labels of the rows kept, integers or texts; numbers for a target of regression.
    kept : ndarray of shape (n_rows,)
        Which rows of the table are kept, booleans.
    notes : list of str
        What was left out, in plain words.
    """

    values: np.ndarray
    kept: np.ndarray
    notes: list


def read_labels(column):
    """Read the labels of a target column."""
    present = _present(column)
    notes = []
    if not present.all():
        missing = int((~present).sum())
        notes.append(f"{count(missing, 'row')} without a label: left out.")
    values = _as_labels(column[present], column.name)
    classes, codes = np.unique(values, return_inverse=True)
    sizes = np.bincount(codes, minlength=len(classes))
    _check_classes(classes, sizes, column.name)
    rare = sizes < FEWEST_IN_CLASS
    if rare.any():
        named = [f"{classes[k]} ({count(sizes[k], 'row')})" for k in np.flatnonzero(rare)]
        notes.append(
            f"classes with fewer than {FEWEST_IN_CLASS} rows, left out; check by hand whether "
            f"they are misspelt: {listed(named)}."
        )
    kept = np.zeros(len(column), dtype=bool)
    kept[np.flatnonzero(present)[~rare[codes]]] = True
    values = values[~rare[codes]]
    _check_enough(values, classes[~rare], column.name)
    return Labels(values, kept, notes)


def _present(column):
    """Return which labels are there; a blank text is none."""
    present = column.notna().to_numpy()
    if column.dtype.kind in "biufmMc":
        return present
    return present & (column.astype(str).str.strip() != "").fillna(False).to_numpy(dtype=bool)


def _as_labels(column, name):
    """Return integers where the labels are whole numbers, texts elsewhere."""
    if column.dtype.kind in "mMc":
        raise ValueError(f"the target {name!r} holds {column.dtype}, not labels of classes.")
    if column.dtype.kind not in "iuf":
        return column.astype(str).str.strip().to_numpy(dtype=object).astype(str)
    values = column.to_numpy(dtype=float)
    return values.astype(np.int64)


def _continuous(values):
    """Return whether numbers are no labels: fractions, or as good as all different."""
    if type_of_target(values).startswith("continuous"):
        return True
    distinct = len(np.unique(values))
    return distinct > MOST_CLASSES or (distinct > 20 and distinct > len(values) / 4)


def _check_classes(classes, sizes, name):
    """Refuse too few or too many classes."""
    if len(classes) == 0:
        raise ValueError(f"the target {name!r} has no labels at all.")
    if len(classes) == 1:
        raise ValueError(
            f"the target {name!r} has one class only, {one_line(classes[0])!r}: at least two are "
            "needed."
        )
    if len(classes) > MOST_CLASSES or (sizes < FEWEST_IN_CLASS).all():
        raise ValueError(
            f"the target {name!r} has {len(classes)} different values in "
            f"{count(sizes.sum(), 'row')}: these are not labels of classes, or there are too few "
            "rows."
        )


def _check_enough(values, classes, name):
    """Refuse too few rows or classes."""
    if len(classes) == 1:
        raise ValueError(
            f"the target {name!r} has one class only, {one_line(classes[0])!r}, with at least "
            f"{FEWEST_IN_CLASS} rows: at least two are needed."
        )
    if len(values) < FEWEST_ROWS:
        raise ValueError(
            f"there are only {count(len(values), 'row')} with a label: at least {FEWEST_ROWS} are "
            "needed, and some hundreds are better."
        )


def is_regression(column):
    """Return whether a target holds numbers to predict, not labels of classes."""
    if column.dtype.kind not in "iuf":
        return False
    values = column.dropna().to_numpy(dtype=float)
    return len(values) > 0 and (not np.isfinite(values).all() or _continuous(values))


def read_numbers(column):
    """Read the numbers of a target column."""
    values = column.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(values).any():
        raise ValueError(
            f"the target {column.name!r} is continuous and holds infinite numbers: correct them, "
            "or leave their rows out."
        )
    kept = np.isfinite(values)
    missing = int((~kept).sum())
    notes = [f"{count(missing, 'row')} without a target: left out."] if missing else []
    if kept.sum() < FEWEST_ROWS:
        raise ValueError(
            f"there are only {count(int(kept.sum()), 'row')} with a target: at least "
            f"{FEWEST_ROWS} are needed, and some hundreds are better."
        )
    return Labels(values[kept], kept, notes)
