"""Random numbers from scikit-learn's `random_state`; None never draws from NumPy's global seed."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._sklearn_compat import check_random_state


def fresh_random_state(random_state: Any) -> np.random.RandomState:
    """Return a RandomState: the one given, one with the seed given, or a new one for None."""
    if random_state is None:
        return np.random.RandomState(np.random.SeedSequence().generate_state(4))
    return check_random_state(random_state)


def random_seed(random_state: Any) -> int:
    """Return an integer seed drawn from `random_state`."""
    return int(fresh_random_state(random_state).randint(2**31 - 1))


def random_entropy(random_state: Any) -> list[int]:
    """Return 128 bits drawn from `random_state`, for a SeedSequence."""
    drawn = fresh_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    return [int(word) for word in drawn]


def random_generator(random_state: Any) -> np.random.Generator:
    """Return a Generator seeded from `random_state`."""
    return np.random.default_rng(random_entropy(random_state))
