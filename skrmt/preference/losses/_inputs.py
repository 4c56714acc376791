"""Checks of the losses: log-probabilities of NumPy or torch, lengths, numbers and reductions."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from ...linalg import get_backend
from ...theory._checks import as_floats, in_range
from ...utils._checks import is_torch

Array = Any
"""A NumPy array or a torch tensor."""

REDUCTIONS = ("none", "mean", "sum")


class Operands(NamedTuple):
    """Arrays of one library, precise enough to compute with."""

    backend: Any
    arrays: dict[str, Array]
    dtype: Any
    """The dtype of the result."""


def read_arrays(**arrays: Any) -> Operands:
    """Return finite arrays of one shape and one library, leaving out those that are None."""
    operands = convert_arrays(**arrays)
    check_finite(operands)
    return operands


def convert_arrays(**arrays: Any) -> Operands:
    """Return arrays of one shape and one library, leaving out those that are None."""
    given = {name: value for name, value in arrays.items() if value is not None}
    backend = get_backend(*given.values())
    model = next((value for value in given.values() if is_torch(value)), None)
    if model is None:
        read = {name: as_floats(name, value) for name, value in given.items()}
        single = all(getattr(value, "dtype", None) == np.float32 for value in given.values())
        dtype: Any = np.float32 if single else np.float64
    else:
        read = {name: _as_tensor(name, value, backend, model) for name, value in given.items()}
        dtype = model.dtype if model.is_floating_point() else None
    _check_shapes(read)
    return Operands(backend, read, dtype)


def check_finite(operands: Operands) -> None:
    """Refuse arrays that are not finite."""
    for name, value in operands.arrays.items():
        if not bool(operands.backend.isfinite(value).all()):
            raise ValueError(
                f"{name} must be finite, got a NaN or an infinity. Leave such pairs out."
            )


def _as_tensor(name: str, value: Any, backend: Any, model: Any) -> Any:
    """Return a tensor of at least single precision, on the device of the model."""
    if not is_torch(value):
        return backend.asarray(as_floats(name, value), like=model)
    if value.is_complex():
        raise TypeError(f"{name} must hold real numbers, got {value.dtype}. Take the real part.")
    if value.device != model.device:
        raise ValueError(
            f"{name} is on the device {value.device} and the other arrays on {model.device}. "
            "Move them to one device."
        )
    if not value.is_floating_point():
        return value.double()
    return value.float() if value.dtype.itemsize < 4 else value


def _check_shapes(arrays: dict[str, Array]) -> None:
    """Refuse arrays of different shapes, and empty ones."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"the arrays must have one shape, got {listed}. Give one number per pair.")
    if any(0 in shape for shape in shapes.values()):
        raise ValueError(f"{next(iter(shapes))} must hold one pair or more, got none. Give pairs.")


def read_lengths(name: str, lengths: Any, like: Array, backend: Any) -> Array | None:
    """Return the numbers of tokens as an array of the shape of `like`, or None."""
    if lengths is None:
        return None
    numbers = as_floats(name, lengths.detach().cpu().numpy() if is_torch(lengths) else lengths)
    numbers = in_range(name, numbers, 1.0, np.inf, "left", "It counts the tokens of a response.")
    if numbers.shape not in ((), tuple(like.shape)):
        raise ValueError(
            f"{name} must have the shape of the log-probabilities, {tuple(like.shape)}, got "
            f"{numbers.shape}. Give one length per response."
        )
    if is_torch(like):
        return backend.asarray(np.full(tuple(like.shape), numbers), like=like).to(like.dtype)
    return np.full(like.shape, numbers)


def read_number(
    name: str,
    value: Any,
    low: float,
    high: float,
    closed: Any = "neither",
    remedy: str = "",
) -> float:
    """Return one real number after checking its range."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}. Give a float. {remedy}")
    return float(in_range(name, value, low, high, closed, remedy))


def read_beta(beta: Any) -> float:
    """Return the strength of a loss, positive."""
    return read_number("beta", beta, 0.0, np.inf, remedy="It multiplies the log-ratios.")


def check_reduction(reduction: Any) -> None:
    """Refuse an unknown reduction."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"reduction={reduction!r} is not known. Use one of {', '.join(REDUCTIONS)}."
        )


def finish(losses: Array, reduction: str, dtype: Any) -> Array:
    """Reduce the losses and return them in the dtype of the input."""
    if reduction != "none":
        losses = losses.mean() if reduction == "mean" else losses.sum()
    if dtype is None:
        return losses
    return losses.to(dtype) if is_torch(losses) else np.asarray(losses, dtype=dtype)[()]
