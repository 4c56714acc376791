"""What every `fit` does around its own work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from ._memory import memory_advice
from ._progress import progress_of


def restore_on_failure(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Leave an estimator as it was when its `fit` raises."""

    @wraps(fit)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        name = f"{type(self).__name__}.{fit.__name__}"
        given = partial(_given, before, args, kwargs)
        try:
            with progress_of(self), memory_advice(name, given, "fewer rows"):
                return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper


def _given(before: dict[str, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of an estimator and the arguments of its `fit`, by name."""
    parameters = {name: value for name, value in before.items() if not name.endswith("_")}
    return {**parameters, **dict(zip(("X", "y"), args, strict=False)), **kwargs}
