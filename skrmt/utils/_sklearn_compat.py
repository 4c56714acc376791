"""The only module that imports private or version-dependent parts of scikit-learn (1.6 to 1.9).

The other modules of `utils` import all of scikit-learn from here.
"""

from __future__ import annotations

from sklearn import get_config
from sklearn.base import BaseEstimator, _fit_context, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _is_fitted,
    check_is_fitted,
)
from sklearn.utils.validation import validate_data as _validate_data

from ._checks import is_torch, tensor_on_host
from ._labels import refuse_masked, refuse_missing_labels
from ._sparse import canonical

__all__ = [
    "BaseEstimator",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "NotFittedError",
    "Options",
    "StrOptions",
    "Tags",
    "_check_feature_names",
    "_check_n_features",
    "_fit_context",
    "_is_fitted",
    "check_is_fitted",
    "check_random_state",
    "clone",
    "get_config",
    "get_tags",
    "validate_data",
]


def validate_data(estimator, X="no_validation", y="no_validation", **options):
    """Validate as scikit-learn does, and refuse masked arrays and missing labels by name.

    Torch tensors are read as NumPy arrays: scikit-learn takes none that requires a gradient or is
    on a device. Sparse matrices come back in one form.
    """
    X, y = (tensor_on_host(data) if is_torch(data) else data for data in (X, y))
    if not isinstance(X, str):
        refuse_masked(X, "X")
    if y is not None and not isinstance(y, str):
        refuse_missing_labels(y)
    checked = _validate_data(estimator, X, y, **options)
    return (canonical(checked[0]), checked[1]) if type(checked) is tuple else canonical(checked)


class _NoCallbackContext:
    """The context of scikit-learn's callbacks where there are none."""

    def subcontext(self, *args, **kwargs) -> _NoCallbackContext:
        """Return the context of a subtask."""
        return self

    def call_on_fit_task_begin(self, **kwargs) -> _NoCallbackContext:
        """Call nothing."""
        return self

    def call_on_fit_task_end(self, **kwargs) -> bool:
        """Call nothing, and never ask to stop."""
        return False

    def propagate_callback_context(self, sub_estimator) -> _NoCallbackContext:
        """Propagate nothing."""
        return self


class _NoCallbackSupportMixin:
    """Stand-in for scikit-learn's `CallbackSupportMixin`, which older versions lack.

    It has no `set_callbacks`: what cannot be called back should not be accepted.
    """

    def _init_callback_context(self, *args, **kwargs) -> _NoCallbackContext:
        """Return a context whose hooks do nothing."""
        return _NoCallbackContext()


try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:
    CallbackSupportMixin = _NoCallbackSupportMixin
