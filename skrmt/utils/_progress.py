"""Lines of progress, for fits that take a while.

A step says that it is done; whether that is printed, `verbose` of the fit around it decides. Steps
that run in other threads or processes print nothing: joblib reports on those.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import Any

_STARTED: ContextVar[tuple[str, float] | None] = ContextVar("skrmt_progress", default=None)
"""Name of the estimator that is fitted and prints, and when it began."""


@contextmanager
def progress_of(estimator: Any) -> Iterator[None]:
    """Let the steps of a fit print where the estimator is verbose, and be silent otherwise."""
    verbose = getattr(estimator, "verbose", 0)
    token = _STARTED.set((type(estimator).__name__, perf_counter()) if verbose else None)
    try:
        yield
    finally:
        _STARTED.reset(token)


def say(step: str) -> None:
    """Print that a step is done, after the seconds since the fit began."""
    started = _STARTED.get()
    if started is not None:
        name, begin = started
        print(f"[{name}] {perf_counter() - begin:.1f} s: {step}", flush=True)
