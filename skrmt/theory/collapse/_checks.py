"""Checks of the arguments of the theory of collapse: distributions, sizes, generations."""

from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from .._checks import FloatArray, as_floats, in_range

Scheme: TypeAlias = Literal["full", "partial", "fresh", "accumulate", "random", "window"]
SCHEMES: tuple[str, ...] = get_args(Scheme)
USES_REAL = ("partial", "fresh", "accumulate")
USES_WEIGHT = ("partial", "fresh")


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return a string after checking that it is one of `choices`."""
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {known}, got {value!r}. Give one of these.")
    return value


def whole_numbers(
    name: str, value: Any, least: int, *, infinite: bool = False, remedy: str = ""
) -> FloatArray:
    """Return `value` as floats after checking that every entry is a whole number."""
    array = as_floats(name, value)
    good = (array >= least) & (array <= 2.0**53) & (array == np.floor(array))
    if infinite:
        good |= np.isposinf(array)
    if not good.all():
        raise ValueError(
            f"{name} must hold whole numbers of {least} or more"
            f"{' or inf' if infinite else ' (below 2**53)'}, got {array[~good].flat[0]:g}. "
            f"{remedy or 'Round it, or give the number of tokens.'}"
        )
    return array


def one_whole_number(name: str, value: Any, least: int) -> int:
    """Return one whole number as an int."""
    array = whole_numbers(name, value, least)
    if array.ndim:
        raise ValueError(f"{name} must be one number, got shape {array.shape}. Call once for each.")
    return int(array)


def check_generations(
    generation: Any, *, infinite: bool = False, name: str = "generation"
) -> FloatArray:
    """Check generation numbers: whole, 0 for the truth."""
    return whole_numbers(
        name, generation, 0, infinite=infinite, remedy="Generation 0 is the truth."
    )


def check_distribution(name: str, value: Any) -> FloatArray:
    """Check a distribution over tokens and make it sum to 1 to the last bit."""
    p = as_floats(name, value)
    if p.ndim != 1 or p.size == 0:
        raise ValueError(
            f"{name} must be a distribution of shape (s,) with s of 1 or more, got shape "
            f"{p.shape}. Give the probabilities of the tokens of one context."
        )
    p = in_range(name, p, 0.0, np.inf, "left", "Probabilities are not negative.")
    total = p.sum()
    if not abs(total - 1) <= 1e-6:
        raise ValueError(f"{name} must sum to 1, got {total:g}. Divide counts by their sum before.")
    return np.asarray(p / total, dtype=np.float64)


def check_second_moment(s0: Any) -> FloatArray:
    """Check a sum of squared probabilities."""
    return in_range("s0", s0, 0.0, 1.0, "right", "It is the sum of the squared probabilities.")


def distinct(p: FloatArray) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """Group equal probabilities."""
    values, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    return values, index.reshape(-1), counts.astype(np.float64)
