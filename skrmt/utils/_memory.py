"""What to reduce when memory does not suffice, on the host or on a GPU."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, TypeVar, cast

from ._checks import is_torch

_Function = TypeVar("_Function", bound=Callable[..., Any])

_SIGNS = ("out of memory", "not enough memory", "can't allocate memory", "ALLOC_FAILED")
_SIZES = {
    "batch_size": "a smaller batch_size",
    "block_size": "a smaller block_size",
    "memory": "a smaller memory",
    "n_draws": "fewer n_draws",
    "n_init": "a smaller n_init",
    "n_replicates": "fewer n_replicates",
}
_LONGEST = 200

_MOST_DENSE = 1 << 28
"""Numbers of a dense array that is made of sparse data of many columns, 2 GB."""

_MANY_COLUMNS = 5000
"""Columns beyond which sparse data are of texts or tables of codes, for which fewer serve."""


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory does not suffice."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def refuse_dense(name: str, X: Any, n_rows: int, why: str) -> None:
    """Raise where sparse data of many columns would become a dense array of so many rows."""
    n_columns = int(X.shape[1])
    if n_columns <= _MANY_COLUMNS or n_rows * n_columns <= _MOST_DENSE:
        return
    raise ValueError(
        f"{name} is sparse, of shape {tuple(map(int, X.shape))}: {why}, a dense array of "
        f"{n_rows} x {n_columns} numbers, {8e-9 * n_rows * n_columns:.0f} GB. Give fewer columns, "
        "such as those of sklearn.decomposition.TruncatedSVD(300), or fewer rows."
    )


@contextmanager
def memory_advice(
    what: str, given: Callable[[], Mapping[str, Any]], *remedies: str
) -> Iterator[None]:
    """Turn every kind of out-of-memory error into one that says what to reduce."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error) or hasattr(error, "skrmt_advice"):
            raise
        raise _explained(error, what, given(), remedies) from error


def explains_memory(*remedies: str) -> Callable[[_Function], _Function]:
    """Decorate a function with `memory_advice`."""

    def decorate(function: _Function) -> _Function:
        signature = inspect.signature(function)

        def advice(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            given = partial(_arguments, signature, args, kwargs)
            return memory_advice(function.__name__, given, *remedies)

        if inspect.isgeneratorfunction(function):

            @wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                with advice(args, kwargs):
                    return (yield from function(*args, **kwargs))

            return cast(_Function, generator)

        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with advice(args, kwargs):
                return function(*args, **kwargs)

        return cast(_Function, wrapper)

    return decorate


def _arguments(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    given = signature.bind_partial(*args, **kwargs)
    given.apply_defaults()
    return given.arguments


def _explained(
    error: BaseException, what: str, given: Mapping[str, Any], remedies: tuple[str, ...]
) -> MemoryError:
    """Return the error that says what was asked and what to reduce."""
    asked = " ".join(str(error).split())
    if len(asked) > _LONGEST:
        asked = asked[:_LONGEST].rsplit(" ", 1)[0] + " ..."
    elif asked:
        asked = asked.rstrip(".") + "."
    shapes = [text for name, value in given.items() if (text := _shape(name, value))]
    helpful = [*remedies, *(_SIZES[name] for name in given if name in _SIZES), *_placed(given)]
    parts = [
        f"{what} ran out of memory{': ' + asked if asked else '.'}",
        f"It was given {', '.join(shapes)}." if shapes else "",
        f"Give {' or '.join(dict.fromkeys(helpful))}." if helpful else "",
    ]
    explained = MemoryError(" ".join(part for part in parts if part))
    explained.skrmt_advice = True  # type: ignore[attr-defined]
    return explained


def _shape(name: str, value: Any) -> str:
    """Describe an array, or nothing else."""
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(shape, tuple) or not shape or dtype is None:
        return ""
    place = f" on {value.device}" if is_torch(value) else ""
    return f"{name} of shape {tuple(shape)} in {str(dtype).removeprefix('torch.')}{place}"


def _placed(given: Mapping[str, Any]) -> list[str]:
    """Return remedies that follow from dtype and device of what was given."""
    values = list(given.values())
    found = []
    if any("float64" in str(getattr(value, "dtype", "")) for value in values):
        found.append("float32 arrays, half the size")
    on_gpu = any(is_torch(value) and value.device.type == "cuda" for value in values)
    if on_gpu or "cuda" in str(given.get("device")):
        found.append('device="cpu" where the memory of the host is larger')
    return found
