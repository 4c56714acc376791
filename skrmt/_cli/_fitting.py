"""Fits whose warnings become notes, and the regimes of a fit in plain words."""

from __future__ import annotations

import time
import warnings

from ..exceptions import TheoryWarning
from ._progress import working

REGIMES = {
    "detected": "The scores follow the labels, and one explanation of the labels is far more "
    "probable than the other.",
    "misfit": "The scores agree with the labels more or less often than expected: the prediction "
    "is doubtful. Other columns may help, or rates that you know.",
    "ambiguous": "Wrong labels and overlapping classes explain these data about as well, and the "
    "interval contains both. More rows would help, or rates that you know.",
    "undetected": "The columns do not separate the classes: all these numbers are guesses. Give "
    "more rows or other columns.",
    "too_few_rows": "There are too few rows to predict an accuracy. Give more.",
}

BRIEFLY = {
    "detected": "one story left",
    "misfit": "doubtful",
    "ambiguous": "both possible",
    "undetected": "classes not separated",
    "too_few_rows": "too few rows: nothing predicted",
}


def fit_quietly(estimator, X, y, **options):
    """Fit an estimator, and keep its warnings off the screen."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        with working(f"fitting {type(estimator).__name__} to {X.shape[0]} x {X.shape[1]} numbers"):
            estimator.fit(X, y, **options)
        seconds = time.perf_counter() - start
    notes = [str(item.message) for item in caught if issubclass(item.category, TheoryWarning)]
    return estimator, seconds, notes
