"""Names, numbers and shares of a report, in the words in which they are shown."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN = "not known"
MOST_CLASSES = 12
"""Classes of a confusion matrix, whose cells can still be read on a phone."""
_LONGEST = 2000
"""Characters of one text; whole representations of estimators are below 1000."""
_NAMES = {
    "r2": "R²",
    "d2": "D²",
    "f1": "F1",
    "roc": "ROC",
    "auc": "AUC",
    "ovr": "one versus rest",
    "ovo": "one versus one",
    "max error": "Largest error",
    "matthews corrcoef": "Matthews correlation",
}
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def known(*values: float | None) -> bool:
    """Return whether all values are finite numbers."""
    return all(value is not None and math.isfinite(value) for value in values)


def number(value: float | None) -> str:
    """Write a number with three digits or four, a minus sign, or words if it is nan."""
    if value is None or math.isnan(value):
        return UNKNOWN
    size = abs(value)
    if math.isinf(value):
        text = "-∞" if value < 0 else "∞"
    elif 0 < size < 1e-3 or size >= 1e7:
        text = f"{value:.3g}"
    else:
        digits = next((3 - k for k in range(3) if size < 10.0 ** (k + 1)), 0)
        text = f"{value:,.{digits}f}"
    return text.replace("-", "−")


def interval(ends: Sequence[float | None]) -> str:
    """Write an interval."""
    low, high = ends
    return UNKNOWN if UNKNOWN in (number(low), number(high)) else f"{number(low)} to {number(high)}"


def percent(share: float | None) -> str:
    """Write a share in percent."""
    if share is None or math.isnan(share):
        return UNKNOWN
    return ("below 1" if 0 < share < 0.005 else f"{100 * share:.0f}") + "\u00a0%"


def count(size: float, noun: str) -> str:
    """Write a number of things."""
    return f"{size:,.0f} {noun if round(size) == 1 else noun + 's'}"


def metric_name(scoring: str) -> str:
    """Return the name of a metric of scikit-learn in words, without its sign."""
    words = scoring.removeprefix("neg_").replace("_", " ")
    words = _NAMES.get(words) or " ".join(_NAMES.get(word, word) for word in words.split(" "))
    return words[:1].upper() + words[1:]


def short(text: str, limit: int) -> str:
    """Cut a text that is too long."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shorter(name: str, limit: int = 20) -> str:
    """Cut the middle of a name that is too long: what distinguishes names may be at either end."""
    half = (limit - 1) // 2
    return name if len(name) <= limit else f"{name[:half].rstrip()}…{name[-half:].lstrip()}"


def printable(text: object) -> str:
    """Return a text without characters that documents and fonts refuse."""
    return _UNPRINTABLE.sub("\ufffd", str(text))


def escape(text: object, limit: int = _LONGEST) -> str:
    """Return a text as HTML, whatever its characters."""
    return html.escape(short(printable(text), limit))


def prose(text: str) -> str:
    """Return a text of the report as HTML: names in backticks as code, no number as words."""
    words = re.sub(r"\bnan\b", UNKNOWN, escape(text))
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", words)


class Confusion(NamedTuple):
    """What is shown of a confusion matrix.

    Attributes
    ----------
    names : list of str
        The most frequent classes, in their order.
    shares : list of list of float
        Shares of the rows of each of them predicted as each of them, and as any other class if
        some are left out; nan if there are no rows.
    n_left_out : int
        Number of classes left out.
    share_left_out : float
        Share of the rows that are theirs.
    """

    names: list[str]
    shares: list[list[float]]
    n_left_out: int
    share_left_out: float


def confusion(report: dict) -> Confusion:
    """Return the confusion of the most frequent classes, as shares of their rows."""
    matrix, names = report["confusion"], report["classes"]
    totals = [sum(row) for row in matrix]
    by_size = sorted(range(len(names)), key=lambda k: -totals[k])
    shown = sorted(by_size[:MOST_CLASSES])
    n_left_out = len(names) - len(shown)
    shares = []
    for k in shown:
        row = [matrix[k][j] / totals[k] if totals[k] > 0 else math.nan for j in shown]
        shares.append(row + [max(0.0, 1.0 - sum(row))] * (n_left_out > 0))
    left = 1.0 - sum(totals[k] for k in shown) / (sum(totals) or 1.0)
    return Confusion([printable(names[k]) for k in shown], shares, n_left_out, max(0.0, left))
