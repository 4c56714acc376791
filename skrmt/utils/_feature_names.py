"""Feature names of estimators that take several frames, one per side or view."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._sklearn_compat import _check_feature_names


def feature_names(X: Any) -> np.ndarray | None:
    """Return the feature names of a frame, None if it has none, as scikit-learn reads them."""
    holder = type("Frame", (), {})()
    _check_feature_names(holder, X, reset=True)
    return getattr(holder, "feature_names_in_", None)


def check_feature_names(estimator: Any, X: Any, seen: np.ndarray | None) -> None:
    """Raise or warn as scikit-learn does unless the features of a frame are those seen in fit."""
    holder = type(type(estimator).__name__, (), {})()
    if seen is not None:
        holder.feature_names_in_ = seen
    _check_feature_names(holder, X, reset=False)
