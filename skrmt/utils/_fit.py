"""What every `fit` does around its own work."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any


def restore_on_failure(fit: Callable[..., Any]) -> Callable[..., Any]:
    """Leave an estimator as it was when its `fit` raises.

    Parameters
    ----------
    fit : callable
        A method that sets attributes, `fit` or `partial_fit`.

    Returns
    -------
    callable
        The same method; when it raises, the attributes of the estimator are those of before.

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
        try:
            return fit(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return wrapper
