"""A job, our way to do it, and those of others."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import cross_val_score


class Contest(NamedTuple):
    """A job, our way to do it, and those of others.

    `ours`, `rivals` and `fits` take the data of `prepare`, called with a seed; `quality` takes the
    data and a result, and `predicted` what ours predicts of its own quality. Rivals do the same
    job: where ours says how good its result is, so do they. Those of `fits` only fit.
    """

    subject: str
    job: str
    measure: str
    prepare: Callable[[int], Any]
    ours: Callable[[Any], Any]
    rivals: dict[str, Callable[[Any], Any]]
    quality: Callable[[Any, Any], float]
    predicted: Callable[[Any, Any], float] | None = None
    fits: dict[str, Callable[[Any], Any]] = {}


def predicted_accuracy(data, model):
    """Return the accuracy that an estimator predicts of itself."""
    return model.theoretical_accuracy_


def clean_accuracy(data, model):
    """Return the accuracy on clean test rows."""
    return model.score(data.X_test, data.y_test)


def fit_and_score(model, X, y):
    """Fit a model, and measure it by five folds, which is how a plain script knows how good it is.

    The score is left at the model as `cv_score_`.
    """
    fitted = clone(model).fit(X, y)
    fitted.cv_score_ = float(np.mean(cross_val_score(model, X, y, cv=5)))
    return fitted
