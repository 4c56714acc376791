"""What every `fit` does around its own work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from ._memory import memory_advice


def restore_on_failure(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Leave an estimator as it was when its `fit` raises.

    Parameters
    ----------
    fit : callable
        A method that sets attributes, `fit` or `partial_fit`.

    Returns
    -------
    callable
        The same method; when it raises, the attributes of the estimator are those of before, and
        where memory did not suffice the error says what to reduce.

    Notes
    -----
    It goes outermost, above `_fit_context`, so that callbacks are torn down before attributes
    are restored. The snapshot is shallow: a `fit` must bind new arrays to its attributes rather
    than write into the old ones.

    Examples
    --------
    >>> from skrmt.utils._fit import restore_on_failure
    >>> class Model:
    ...     @restore_on_failure
    ...     def fit(self, X):
    ...         self.size_ = len(X)
    ...         self.mean_ = sum(X) / len(X)
    ...         return self
    >>> model = Model().fit([1, 3])
    >>> try:
    ...     model.fit([])
    ... except ZeroDivisionError:
    ...     model.size_
    2
    """

    @wraps(fit)
    def wrapper(self, *args, **kwargs):
        before = vars(self).copy()
        name = f"{type(self).__name__}.{fit.__name__}"
        given = partial(_given, before, args, kwargs)
        try:
            with memory_advice(name, given, "fewer rows"):
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
