"""Fits whose warnings become notes, and the regimes of a fit in plain words."""

from __future__ import annotations

import time
import warnings

from ..exceptions import TheoryWarning

REGIMES = {
    "detected": "The theory holds: within each class the scores follow the law it assumes.",
    "misfit": "Within classes the scores are not Gaussian, as the theory assumes: the prediction "
    "leans on the observed labels instead, and its interval is wider.",
    "ambiguous": "Few and many wrong labels explain these data about as well: the rates are vague "
    "and the interval is wide. More rows would help, or rates that you know.",
    "undetected": "The columns do not separate the classes: all these numbers are guesses. Give "
    "more rows or other columns.",
    "too_few_rows": "There are too few rows to predict an accuracy. Give more.",
}

BRIEFLY = {
    "detected": "the theory holds",
    "misfit": "not Gaussian: wider interval",
    "ambiguous": "noise unclear: wide interval",
    "undetected": "classes not separated",
    "too_few_rows": "too few rows: nothing predicted",
}


def fit_quietly(estimator, X, y, **options):
    """Fit an estimator, and keep its warnings off the screen."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        estimator.fit(X, y, **options)
        seconds = time.perf_counter() - start
    notes = [str(item.message) for item in caught if issubclass(item.category, TheoryWarning)]
    return estimator, seconds, notes
