"""Numbers, dates and truth values written as text, as people and spreadsheets write them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ...utils._optional import import_optional

_TRUE_FALSE = (
    ("yes", "no"),
    ("y", "n"),
    ("true", "false"),
    ("t", "f"),
    ("on", "off"),
    ("ja", "nein"),
    ("oui", "non"),
    ("si", "no"),
)
_FEW_MARKS, _FEW_TEXTS = 0.1, 3
"""Share of texts, and number of different ones, that may be marks of missing values."""
_DIGITS = r"\d[\d.,'\u2019 \u00a0\u202f]*|[.,]\d+"
_WRITTEN = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[+\-\u2212]?)\s*(?P<before>[$\u20ac\u00a3\u00a5\u20b9]|[A-Z]{3}(?=\s))?"
    rf"\s*(?P<inner>[+\-\u2212]?)(?P<number>(?:{_DIGITS})(?:[eE][+\-]?\d+)?)"
    r"\s*(?P<after>[^\W\d_][^\d\s()]{0,7}|[%\u2030\u00b0$\u20ac\u00a3\u00a5\u20b9]\w?)?\s*\)?"
)
"""A number with a currency before it or a unit behind it; in brackets it is negative."""
_PLAIN = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][+\-]?\d+)?")
_SPACES = re.compile(r"[ '\u2019\u00a0\u202f](?=\d{3}(\D|$))")
"""What separates thousands, the point and the comma left aside."""
_THOUSANDS = {mark: re.compile(rf"\d{{1,3}}(?:\{mark}\d{{3}})+") for mark in ".,"}
_YEAR_LAST = re.compile(r"(\d{1,2})([./\-])(\d{1,2})\2(\d{4}|\d{2})(?:[ T]+(\d{1,2}:\d\d.*))?")
_YEAR_FIRST = re.compile(r"\d{4}([./\-]?)\d\d\1\d\d(?:[ T]\d\d:\d\d.*)?")
_MONTH_NAMED = re.compile(
    r"(?:[a-z]{3,9},? )?(?:\d{1,2}\.?[ \-][a-z]{3,9}\.?[ \-,]+|[a-z]{3,9}\.? \d{1,2}, ?)\d{4}",
    flags=re.I,
)


class Parsed(NamedTuple):
    """Values of a column of texts, and how they were read."""

    kind: str
    values: Any
    remark: str = ""


def parsed(texts, there):
    """Return numbers, dates or truth values where texts are such, else None.

    `texts` are stripped, "" where missing; `there` are those that are not missing.
    """
    for read in (_truth_values, _dates, _numbers):
        found = read(texts, there)
        if found is not None:
            return found
    return None


def _truth_values(texts, there):
    """Return 1 for yes and 0 for no, in whatever case they are written."""
    words = set(there.str.casefold())
    for yes, no in _TRUE_FALSE:
        if words == {yes, no}:
            values = texts.str.casefold().map({yes: 1.0, no: 0.0})
            return Parsed("true/false", values.astype(float))
    return None


def _marks(there, failed):
    """Return a remark on texts that stand for missing values; None if they are something else."""
    many = len(failed) > _FEW_MARKS * len(there) or failed.nunique() > _FEW_TEXTS
    if many or failed.str.contains(r"\d").any():
        return None
    marks = ", ".join(repr(mark) for mark in sorted(failed.unique()))
    return f"{marks} counted as missing" if marks else ""


def _numbers(texts, there):
    """Return numbers, without separators of thousands, currencies, units and per cent."""
    pandas = import_optional("pandas", "cli")
    values = pandas.to_numeric(texts, errors="coerce").astype(float)
    remark = _marks(there, there[values[there.index].isna()])
    if remark is not None:
        return Parsed("number", values, remark)
    found = there.str.strip().map(_WRITTEN.fullmatch)
    fits = found.notna()
    remark = _marks(there, there[~fits])
    if remark is None:
        return None
    found = found[fits]
    units = {_unit(match).casefold() for match in found}
    written = [_SPACES.sub("", match["number"]).strip() for match in found]
    fitting = [mark for mark in ".," if all(_fits(number, mark) for number in written)]
    if len(units) > 1 or not fitting:
        return None
    decimal = fitting[0]
    values = [float(_pointed(number, decimal)) for number in written]
    signs = [-1.0 if _is_negative(match) else 1.0 for match in found]
    unit = _unit(found.iloc[0])
    notes = [f"read as numbers in {unit!r}"] if unit else []
    if any("," in text for text in written) and (decimal == "," or len(fitting) == 2):
        notes.append(f"the comma {'before decimals' if decimal == ',' else 'between thousands'}")
    notes += [remark] if remark else []
    numbers = pandas.Series(values, found.index) * signs
    return Parsed("number", numbers.reindex(texts.index), ", ".join(notes))


def _unit(match):
    """Return what stands beside a number."""
    return " ".join(filter(None, ((match["before"] or "").strip(), match["after"])))


def _is_negative(match):
    """Return whether a number has a minus or brackets."""
    return bool(match["open"]) or bool({"-", "\u2212"} & {match["sign"], match["inner"]})


def _fits(number, decimal):
    """Return whether a number is written with this mark before its decimals."""
    thousands = "," if decimal == "." else "."
    whole = number.partition(decimal)[0]
    grouped = thousands not in whole or _THOUSANDS[thousands].fullmatch(whole) is not None
    return grouped and _PLAIN.fullmatch(_pointed(number, decimal)) is not None


def _pointed(number, decimal):
    """Return a number without a sign as Python writes it: a point, and no mark of thousands."""
    whole, mark, rest = number.partition(decimal)
    return whole.replace("," if decimal == "." else ".", "") + "." * bool(mark) + rest


def _dates(texts, there):
    """Return dates, with the year first, last, or with names of months."""
    if there.str.fullmatch(_YEAR_FIRST).all() and not there.str.fullmatch(r"\d{8}").all():
        return _as_dates(texts, "")
    if there.str.fullmatch(_MONTH_NAMED).all():
        return _as_dates(texts, "", format="mixed")
    found = there.map(_YEAR_LAST.fullmatch)
    if found.isna().any():
        return None
    first, second = (max(int(match[k]) for match in found) for k in (1, 3))
    if first > 12 and second > 12:
        return None
    unclear = first <= 12 and second <= 12 and found.iloc[0][2] != "."
    remark = "read with the day before the month: no value says which is first" if unclear else ""
    return _as_dates(texts, remark, format="mixed", dayfirst=second <= 12)


def _as_dates(texts, remark, **options):
    """Return dates, or None where some are none."""
    pandas = import_optional("pandas", "cli")
    options = options or {"format": "ISO8601"}
    dates = pandas.to_datetime(texts.mask(texts == ""), errors="coerce", utc=True, **options)
    if (dates.isna() & (texts != "")).any():
        return None
    return Parsed("date", dates, remark)
