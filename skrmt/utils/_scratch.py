"""Memory that the pieces of a block write over in turn."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


class Scratch:
    """Arrays by name, which every piece of a block writes over.

    Dask has its workers give freed memory back to the system at once: what the system then clears
    and maps anew for each temporary array costs more than the numbers in it.
    """

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}
        self._made: dict[str, Any] = {}

    def __call__(self, name: str, *shape: int) -> np.ndarray:
        """Return an array of doubles, with what it last held."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size)
        return held[:size].reshape(shape)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is the same for all pieces, made for the first one."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]
