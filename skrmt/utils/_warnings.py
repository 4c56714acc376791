"""Warnings that point at the line of the user's code from which skrmt was called."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

from ..exceptions import TheoryWarning

_INSIDE = ("skrmt", "sklearn", "joblib")
_WRAPPERS = ("contextlib", "functools", "threading", "concurrent.futures.thread")
"""Modules of the standard library through which these packages call their own functions."""


def warn(message: str, category: type[Warning] = TheoryWarning) -> None:
    """Warn at the first line outside skrmt, scikit-learn and joblib."""
    warnings.warn(message, category, stacklevel=_depth())


def warn_first(messages: list[str]) -> None:
    """Raise one TheoryWarning with the first of some messages, the most serious first."""
    if messages:
        warn(messages[0])


def _depth() -> int:
    """Return the `stacklevel`, seen from `warn`, of the first frame outside."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and _inside(frame.f_globals):
        frame, depth = frame.f_back, depth + 1
    return depth


def _inside(names: dict) -> bool:
    """Return whether the globals are those of a module of skrmt, scikit-learn or joblib."""
    module = names.get("__name__", "")
    if module in _WRAPPERS:
        return True
    if module == "__main__":
        # `python -m skrmt` runs skrmt/__main__.py under this name.
        return Path(names.get("__file__") or "").parent.name == _INSIDE[0]
    return module.partition(".")[0] in _INSIDE
