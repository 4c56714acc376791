"""Arrays of other libraries, where scikit-learn's `array_api_dispatch` is on.

Torch tensors are computed where they are; arrays of any other library are computed in NumPy. Either
way fitted arrays and predictions then belong to the library and the device of the input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, NamedTuple

import numpy as np

from ._checks import is_torch, tensor_on_host
from ._dask import is_dask
from ._sklearn_compat import get_config


class Place(NamedTuple):
    """Where arrays belong.

    Attributes
    ----------
    namespace : module
        The library: torch, or what `__array_namespace__` returned.
    device : object
        The device of that library.
    """

    namespace: Any
    device: Any

    def take(self, value: Any) -> Any:
        """Return a NumPy array of numbers as an array of this place, anything else as it is."""
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            return value
        # A copy: the memory of NumPy may be read-only, or that of the estimator.
        value = np.array(value, order="C")
        if self.namespace.__name__ == "torch":
            return self.namespace.as_tensor(value, device=self.device)
        return self.namespace.asarray(value, device=self.device)


def place_of(X: Any) -> Place | None:
    """Return the place of an array, None for NumPy or where dispatch is off."""
    if not get_config()["array_api_dispatch"] or not _is_foreign(X):
        return None
    library = sys.modules["torch"] if is_torch(X) else X.__array_namespace__()
    return Place(library, X.device)


def dispatched_fit(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Let a fit take arrays of any library, and leave its fitted arrays in that of the input."""

    @wraps(fit)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        place = place_of(_data(fit, args, kwargs))
        try:
            vars(self).update(_attributes_on_host(self))
            fit(self, *_arguments(args), **_arguments(kwargs))
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise
        if place is not None:
            # Labels may be strings: they stay what they are, as in scikit-learn, like parameters.
            kept = {"classes_", *self.get_params(deep=False)}
            found = vars(self).items()
            vars(self).update({k: place.take(v) for k, v in found if k not in kept})
        return self

    return wrapper


def dispatched(predict: Callable[..., Any]) -> Callable[..., Any]:
    """Let a prediction take arrays of any library, and return one of the same."""

    @wraps(predict)
    def wrapper(self, *args, **kwargs):
        place = place_of(_data(predict, args, kwargs))
        found = predict(self, *_arguments(args), **_arguments(kwargs))
        return found if place is None else place.take(found)

    return wrapper


def from_host(method: Callable[..., Any]) -> Callable[..., Any]:
    """Let a method read the fitted arrays as NumPy arrays, wherever they are."""

    @wraps(method)
    def wrapper(self, *args, **kwargs):
        return method(on_host(self), *args, **kwargs)

    return wrapper


def on_host(estimator: Any) -> Any:
    """Return an estimator whose fitted arrays are NumPy arrays: itself, or a shallow copy."""
    found = _attributes_on_host(estimator)
    if not found:
        return estimator
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator), **found)
    return twin


def beside(fitted: Any, X: Any) -> Any:
    """Return a fitted array in the library of X, where that is torch on its device and as it."""
    if is_torch(X):
        return fitted.to(X) if is_torch(fitted) else X.new_tensor(fitted)
    return in_numpy(fitted)


def in_numpy(array: Any) -> Any:
    """Return an array of another library as a NumPy array, anything else as it is."""
    if not _is_foreign(array):
        return array
    if is_torch(array):
        return tensor_on_host(array)
    if hasattr(array, "get"):
        return array.get()
    try:
        return np.from_dlpack(array)
    except (AttributeError, BufferError, TypeError, RuntimeError):
        return np.asarray(array)


def _attributes_on_host(estimator: Any) -> dict[str, Any]:
    """Return the fitted arrays that are no NumPy arrays, as NumPy arrays."""
    parameters = estimator.get_params(deep=False)
    return {
        name: in_numpy(value)
        for name, value in vars(estimator).items()
        if name not in parameters and _is_foreign(value)
    }


def _is_foreign(X: Any) -> bool:
    """Return whether X is an array that is not of NumPy: a tensor, or one of the array API."""
    if isinstance(X, (np.ndarray, np.generic)) or is_dask(X):
        return False
    return is_torch(X) or hasattr(X, "__array_namespace__")


def _data(method: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
    """Return the first argument of a call, given by place or by name; None without any."""
    if args:
        return args[0]
    _, name, *_ = signature(method).parameters
    return kwargs.get(name)


def _argument(value: Any) -> Any:
    """Return an argument in NumPy unless it is a tensor, which is computed where it is."""
    known = is_torch(value) or not get_config()["array_api_dispatch"]
    return value if known else in_numpy(value)


def _arguments(values: Any) -> Any:
    """Return the arguments of a call, in a tuple or a dict, in NumPy unless they are tensors."""
    if isinstance(values, dict):
        return {name: _argument(value) for name, value in values.items()}
    return tuple(map(_argument, values))
