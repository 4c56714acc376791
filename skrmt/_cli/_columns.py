"""What kind each column of a table is, and the features made of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..utils._optional import import_optional

FEW, MANY_WORDS, NEARLY_ALL = 30, 3.0, 0.9


class Column(NamedTuple):
    """A column that was understood.

    Attributes
    ----------
    name : str
        Its name.
    kind : {"number", "true/false", "date", "category", "text", "left out"}
        What is made of it.
    values : pandas.Series or None
        Floats for the first three kinds, texts for the next two.
    remark : str
        Why it is left out, or what was done to its values.
    """

    name: str
    kind: str
    values: Any
    remark: str = ""


def understand(column, labels):
    """Find out the kind of a column."""
    pandas = import_optional("pandas", "cli")
    try:
        codes, distinct = pandas.factorize(column, use_na_sentinel=False)
    except TypeError:
        return _left_out(column, "holds lists or other objects")
    if column.isna().all():
        return _left_out(column, "is empty")
    if len(distinct) == 1:
        return _left_out(column, "is the same in every row")
    if _repeats(codes, labels):
        return _left_out(column, "says the same as the target")
    if column.dtype.kind in "mM":
        return _dates(column)
    if pandas.api.types.is_bool_dtype(column.dtype) or _only_booleans(distinct):
        return Column(column.name, "true/false", _floats(column))
    if pandas.api.types.is_complex_dtype(column.dtype):
        return _left_out(column, "holds complex numbers")
    if pandas.api.types.is_numeric_dtype(column.dtype):
        return _numbers(column, _floats(column))
    return _texts(column)


def _left_out(column, reason):
    """Return a column that is not used."""
    return Column(column.name, "left out", None, reason)


def _repeats(codes, labels):
    """Return whether values and labels correspond one to one."""
    classes, targets = np.unique(labels, return_inverse=True)
    if codes.max() + 1 != len(classes):
        return False
    return len(np.unique(codes * len(classes) + targets)) == len(classes)


def _only_booleans(distinct):
    """Return whether all values that are there are True or False."""
    missing = import_optional("pandas", "cli").isna(distinct)
    return all(isinstance(value, (bool, np.bool_)) for value in np.asarray(distinct)[~missing])


def _floats(column):
    """Return a column as floats, nan where a value is missing."""
    pandas = import_optional("pandas", "cli")
    if column.dtype == object:
        column = column.astype("boolean")
    return pandas.Series(column.to_numpy(dtype=float, na_value=np.nan), column.index)


def _dates(column):
    """Turn dates into days since the first, durations into days."""
    pandas = import_optional("pandas", "cli")
    start = column.min() if column.dtype.kind == "M" else pandas.Timedelta(0)
    return Column(column.name, "date", (column - start) / pandas.Timedelta(days=1))


def _numbers(column, values, remark=""):
    """Take numbers as they are, unless they number the rows."""
    infinite = np.isinf(values)
    if infinite.any():
        values = values.mask(infinite)
        remark = f"{remark} infinite values counted as missing".strip()
    present = values.dropna()
    if present.empty:
        return _left_out(column, "has no finite number")
    if _numbers_rows(present.to_numpy()):
        return _left_out(column, "numbers the rows")
    return Column(column.name, "number", values, remark)


def _numbers_rows(values):
    """Return whether whole numbers are all different and increase, decrease or leave no gap."""
    steps = np.diff(values)
    if len(values) < 3 or (values != np.round(values)).any() or len(set(values)) < len(values):
        return False
    gapless = np.ptp(values) == len(values) - 1
    return bool(gapless or (steps > 0).all() or (steps < 0).all())


def _texts(column):
    """Return which column holds dates, numbers, categories, free text or names of rows."""
    present = column.notna().to_numpy(dtype=bool)
    texts = column.astype(object).where(present, "").astype(str).str.strip().astype(object)
    there = texts[texts != ""]
    if there.empty:
        return _left_out(column, "is empty")
    if there.str.fullmatch(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?").all():
        dates = _parsed_dates(texts)
        if dates is not None:
            return _dates(dates)
    numbers = _parsed_numbers(texts, there)
    if numbers is not None:
        return _numbers(column, *numbers)
    return _words(column, texts, there)


def _parsed_dates(texts):
    """Return dates, or None where some are none."""
    pandas = import_optional("pandas", "cli")
    dates = pandas.to_datetime(texts.mask(texts == ""), format="ISO8601", errors="coerce", utc=True)
    return None if (dates.isna() & (texts != "")).any() else dates


def _parsed_numbers(texts, there):
    """Return numbers with a remark, where few texts, such as "?", are none; else None."""
    pandas = import_optional("pandas", "cli")
    values = pandas.to_numeric(texts, errors="coerce").astype(float)
    failed = there[values[there.index].isna()]
    if len(failed) > 0.1 * len(there) or failed.nunique() > 3:
        return None
    marks = ", ".join(repr(mark) for mark in sorted(failed.unique()))
    return values, f"{marks} counted as missing" if marks else ""


def _words(column, texts, there):
    """Return the kind of a column of text, by how many texts there are and how long they are."""
    distinct = there.nunique()
    few = distinct <= min(FEW, len(there) / 2)
    if not few and there.str.split().str.len().mean() >= MANY_WORDS:
        return Column(column.name, "text", texts)
    if not few and distinct == len(there):
        return _left_out(column, "names the rows: every value is different")
    if not few and distinct > NEARLY_ALL * len(there):
        return _left_out(column, "has hardly two equal values")
    return Column(column.name, "category", texts)
