"""Powers of two by which data are divided, so that their squares neither overflow nor vanish."""

from __future__ import annotations

import math


def power_of_two(largest: float) -> float:
    """Return the largest power of two that is not above a positive magnitude; 1 for 0."""
    return 1.0 if largest == 0 else math.ldexp(1.0, max(math.frexp(largest)[1] - 1, -1022))


def moderate_unit(largest: float, limit: float = 1e60) -> float:
    """Return 1 for magnitudes within 1/limit and limit, else their power of two."""
    if largest == 0 or 1.0 / limit < largest < limit:
        return 1.0
    return power_of_two(largest)
