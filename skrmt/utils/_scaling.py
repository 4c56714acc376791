"""Powers of two by which data are divided, so that their squares neither overflow nor vanish."""

from __future__ import annotations

import math

_LARGEST = 1e152
"""Largest value of data: 1e3 times its square is a number, as is 1e-4 times that of 1 / 1e152."""


def power_of_two(largest: float) -> float:
    """Return the largest power of two that is not above a positive magnitude; 1 for 0."""
    return 1.0 if largest == 0 else math.ldexp(1.0, max(math.frexp(largest)[1] - 1, -1022))


def moderate_unit(largest: float, limit: float = 1e60) -> float:
    """Return 1 for magnitudes within 1/limit and limit, else their power of two."""
    if largest == 0 or 1.0 / limit < largest < limit:
        return 1.0
    return power_of_two(largest)


def unit_of(largest: float, name: str = "X", limit: float = 1e60) -> float:
    """Return the unit of data of a largest modulus, whose squares must be numbers."""
    if largest == 0 or 1.0 / _LARGEST <= largest <= _LARGEST:
        return moderate_unit(largest, limit)
    raise ValueError(
        f"{name} has values up to {largest:.3g}: their squares, which penalties, rates and losses "
        f"are in units of, overflow or vanish. Divide {name} by {power_of_two(largest):.3g}."
    )
