"""Signs of life on the error output of commands that take long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

EVERY = 10.0
"""Seconds between two lines: who waits longer for a sign takes a command for dead."""


@contextmanager
def working(what: str) -> Iterator[None]:
    """Print what is being done, and for how long, every ten seconds until it is done."""
    start, done = time.monotonic(), threading.Event()

    def report() -> None:
        while not done.wait(EVERY):
            seconds = time.monotonic() - start
            print(f"skrmt: {what}, for {seconds:.0f} s so far", file=sys.stderr, flush=True)

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
