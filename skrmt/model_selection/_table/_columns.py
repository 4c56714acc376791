"""What kind each column of a table is, and the features made of it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np

from ...utils._optional import import_optional
from ...utils._wording import count
from ._values import parsed

FEW, MANY_WORDS, NEARLY_ALL = 30, 3.0, 0.9
FEWEST_OTHERS, MANY_ROWS = 5, 100
"""Rows that differ from a constant, and rows in all, from which they are no accident."""
ROWS_A_VALUE = 10
"""Rows of a value, all with one label, that are no accident: of even classes one in a thousand."""
_SAME = 1e-9
"""One less the correlation of what differs by rounding alone."""
NAMES_OF_ROWS = re.compile(r"(^|.*[ _\-])(id|key|uuid|guid|nr|no)$", flags=re.I)


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
    """Find out the kind of a column, beside labels or, as floats, numbers to predict."""
    pandas = import_optional("pandas", "cli")
    try:
        codes, distinct = pandas.factorize(column, use_na_sentinel=False)
    except TypeError:
        return _left_out(column, "holds lists or other objects")
    if column.isna().all():
        return _left_out(column, "is empty")
    reason = _says_nothing(codes) or _says_all(codes, labels)
    if reason:
        return _left_out(column, reason)
    if column.dtype.kind in "mM":
        return _dates(column)
    if pandas.api.types.is_bool_dtype(column.dtype) or _only_booleans(distinct):
        return Column(column.name, "true/false", _floats(column))
    if pandas.api.types.is_complex_dtype(column.dtype):
        return _left_out(column, "holds complex numbers")
    if pandas.api.types.is_numeric_dtype(column.dtype):
        return _unless_linear(_numbers(column, _floats(column)), labels)
    return _unless_linear(_texts(column), labels)


def _unless_linear(found, labels):
    """Return a column, left out where it is the target of a regression in another unit."""
    if found.kind != "number" or labels.dtype.kind != "f":
        return found
    values = found.values.to_numpy(dtype=float)
    there = np.isfinite(values)
    if there.sum() > 2 and min(np.ptp(values[there]), np.ptp(labels[there])) > 0:
        correlation = np.corrcoef(values[there], labels[there])[0, 1]
        if abs(correlation) > 1.0 - _SAME:
            return Column(found.name, "left out", None, "gives the target away: it is linear in it")
    return found


def _left_out(column, reason):
    """Return a column that is not used."""
    return Column(column.name, "left out", None, reason)


def _says_nothing(codes):
    """Return why a column has no more to say than a constant, "" if it has."""
    others = len(codes) - np.bincount(codes).max()
    if others == 0:
        return "is the same in every row"
    if others < FEWEST_OTHERS and len(codes) >= MANY_ROWS:
        return f"is the same in all but {count(others, 'row')}"
    return ""


def _says_all(codes, labels):
    """Return how a column gives the target away, "" if it does not."""
    targets = np.unique(labels, return_inverse=True)[1]
    n_values, n_classes = codes.max() + 1, targets.max() + 1
    # Numbers that are all different say nothing of each other by being so.
    if labels.dtype.kind == "f" and n_values > len(codes) / ROWS_A_VALUE:
        return ""
    if len(np.unique(codes * n_classes + targets)) > n_values:
        return ""
    if n_values == n_classes:
        return "says the same as the target"
    if n_values <= len(codes) / ROWS_A_VALUE:
        return "gives the target away: every value goes with one label"
    return ""


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


def _dates(column, remark=""):
    """Turn dates into days since the first, durations into days."""
    pandas = import_optional("pandas", "cli")
    start = column.min() if column.dtype.kind == "M" else pandas.Timedelta(0)
    return Column(column.name, "date", (column - start) / pandas.Timedelta(days=1), remark)


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
    if NAMES_OF_ROWS.match(str(column.name)) and present.is_unique:
        return _left_out(column, "names the rows: every value is different")
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
    found = parsed(texts, there)
    if found is None:
        return _words(column, texts, there)
    if found.kind == "number":
        return _numbers(column, found.values, found.remark)
    if found.kind == "date":
        return _dates(found.values.rename(column.name), found.remark)
    return Column(column.name, found.kind, found.values, found.remark)


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
    return _categories(column, texts)


def _categories(column, texts):
    """Return categories; those that differ in case or spaces only are one."""
    keys = texts.str.casefold().str.split().str.join(" ")
    spelling = texts.groupby(keys).agg(lambda same: same.value_counts().index[0])
    merged = texts.nunique() - len(spelling)
    remark = f"{count(merged, 'spelling')} that differ in case or spaces merged" if merged else ""
    return Column(column.name, "category", keys.map(spelling).astype(object), remark)
