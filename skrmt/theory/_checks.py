"""Checks of the arguments of the theory: numbers, pairs, distributions, and their broadcasting."""

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.float64]
FloatOrArray: TypeAlias = float | FloatArray
Pair: TypeAlias = ArrayLike | tuple[ArrayLike, ArrayLike]
Closed: TypeAlias = Literal["both", "left", "right", "neither"]


def as_floats(name: str, value: Any) -> FloatArray:
    """Return `value` as a float64 array, refusing what is not a real number."""
    array = _as_array(name, value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{name} must be a real number or an array of them, got {value!r}. "
            "Convert it to floats first."
        )
    return array.astype(np.float64)


def _as_array(name: str, value: Any) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise TypeError(
            f"{name} must be a rectangular array of numbers, got {value!r}. "
            "Give every row the same length."
        ) from error


def in_range(
    name: str,
    value: Any,
    low: float,
    high: float,
    closed: Closed = "both",
    remedy: str = "",
) -> FloatArray:
    """Return `value` as floats after checking that every entry lies in an interval."""
    array = as_floats(name, value)
    above = array >= low if closed in ("both", "left") else array > low
    below = array <= high if closed in ("both", "right") else array < high
    inside = above & below
    if not inside.all():
        interval = (
            f"{'[' if closed in ('both', 'left') else '('}{low:g}, {high:g}"
            f"{']' if closed in ('both', 'right') else ')'}"
        )
        worst = array[~inside].flat[0]
        raise ValueError(f"{name} must lie in {interval}, got {worst:g}. {remedy}".strip())
    return array


def finite_floats(name: str, value: Any, remedy: str) -> FloatArray:
    """Return `value` as floats after checking that every entry is finite."""
    array = as_floats(name, value)
    finite = np.isfinite(array)
    if not finite.all():
        raise ValueError(f"{name} must be finite, got {array[~finite].flat[0]:g}. {remedy}")
    return array


def as_pair(name: str, value: Any) -> tuple[Any, Any]:
    """Split a pair given in class order (negative, positive)."""
    if isinstance(value, tuple | list):
        if len(value) == 2:
            return value[0], value[1]
    else:
        array = _as_array(name, value)
        if array.ndim > 0 and array.shape[-1] == 2:
            return array[..., 0], array[..., 1]
    raise ValueError(
        f"{name} must be a pair (negative class, positive class) or an array of shape (..., 2), "
        f"got {value!r}. Give one value per class."
    )


def check_prior(prior: Any) -> FloatArray:
    """Check the probability of the positive class, strictly between 0 and 1."""
    return in_range(
        "prior", prior, 0.0, 1.0, "neither", "It is the probability of the positive class."
    )


def check_noise_rates(noise_rates: Any) -> tuple[FloatArray, FloatArray]:
    """Check a pair of noise rates: each in [0, 1), summing to less than 1."""
    remedy = "It is the fraction of that class whose label was flipped."
    low, high = as_pair("noise_rates", noise_rates)
    negative = in_range("noise_rates[0]", low, 0.0, 1.0, "left", remedy)
    positive = in_range("noise_rates[1]", high, 0.0, 1.0, "left", remedy)
    total = broadcast(**{"noise_rates[0]": negative, "noise_rates[1]": positive})
    worthless = total[0] + total[1] >= 1.0
    if worthless.any():
        pair = (float(total[0][worthless].flat[0]), float(total[1][worthless].flat[0]))
        raise ValueError(
            f"noise_rates must sum to less than 1, got {pair}: labels this noisy say nothing "
            "(sum 1) or name the other class (sum above 1). Check the order (negative, positive), "
            "or swap the two labels."
        )
    return negative, positive


def broadcast(**arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Broadcast arrays together, naming the parameters that do not fit."""
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError as error:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise ValueError(
            f"the shapes of the arguments do not broadcast together: {shapes}. Insert axes of "
            "length 1 so that they do."
        ) from error


def unwrap(array: Any) -> FloatOrArray:
    """Return a Python float for a 0-d array, and any other array as it is."""
    array = np.asarray(array, dtype=np.float64)
    return float(array) if array.ndim == 0 else array
