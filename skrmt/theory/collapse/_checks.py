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
    """Return a string after checking that it is one of `choices`.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : str
        What was given.
    choices : tuple of str
        What is allowed.

    Returns
    -------
    str
        The value.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if not isinstance(value, str) or value not in choices:
        known = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name} must be one of {known}, got {value!r}. Give one of these.")
    return value


def whole_numbers(
    name: str, value: Any, least: int, *, infinite: bool = False, remedy: str = ""
) -> FloatArray:
    """Return `value` as floats after checking that every entry is a whole number.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : array-like
        What was given.
    least : int
        Smallest number allowed.
    infinite : bool, default=False
        Whether `numpy.inf` is allowed.
    remedy : str, default=""
        What to do about it; closes the message.

    Returns
    -------
    ndarray
        The numbers, at most 2**53 unless infinite.

    Raises
    ------
    ValueError
        If an entry is fractional, too small, or not finite where it must be.
    """
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
    """Return one whole number as an int.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : int
        What was given.
    least : int
        Smallest number allowed.

    Returns
    -------
    int
        The number.

    Raises
    ------
    ValueError
        If it is not one whole number of at least `least`.
    """
    array = whole_numbers(name, value, least)
    if array.ndim:
        raise ValueError(f"{name} must be one number, got shape {array.shape}. Call once for each.")
    return int(array)


def check_generations(
    generation: Any, *, infinite: bool = False, name: str = "generation"
) -> FloatArray:
    """Check generation numbers: whole, 0 for the truth.

    Parameters
    ----------
    generation : array-like
        What was given.
    infinite : bool, default=False
        Whether the limit `numpy.inf` is allowed.
    name : str, default="generation"
        Name of the parameter, for the message.

    Returns
    -------
    ndarray
        The numbers.
    """
    return whole_numbers(
        name, generation, 0, infinite=infinite, remedy="Generation 0 is the truth."
    )


def check_distribution(name: str, value: Any) -> FloatArray:
    """Check a distribution over tokens and make it sum to 1 to the last bit.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : array-like of shape (s,)
        What was given.

    Returns
    -------
    ndarray of shape (s,)
        The probabilities.

    Raises
    ------
    ValueError
        If it is empty, not one-dimensional, negative, not finite, or does not sum to 1.
    """
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
    """Check a sum of squared probabilities.

    Parameters
    ----------
    s0 : array-like
        What was given.

    Returns
    -------
    ndarray
        The numbers, in (0, 1].
    """
    return in_range("s0", s0, 0.0, 1.0, "right", "It is the sum of the squared probabilities.")


def distinct(p: FloatArray) -> tuple[FloatArray, NDArray[np.intp], FloatArray]:
    """Group equal probabilities.

    Parameters
    ----------
    p : ndarray of shape (s,)
        Checked probabilities.

    Returns
    -------
    values : ndarray of shape (d,)
        The different ones.
    index : ndarray of shape (s,)
        Where each probability is among them.
    counts : ndarray of shape (d,)
        How often each occurs.
    """
    values, index, counts = np.unique(p, return_inverse=True, return_counts=True)
    return values, index.reshape(-1), counts.astype(np.float64)
