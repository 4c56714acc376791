"""Fits whose warnings become notes, and what a fit says in plain words."""

from __future__ import annotations

import time
import warnings

from ..exceptions import TheoryWarning

REGIMES = {
    "detected": "The theory holds: within each class the scores follow the law it assumes.",
    "misfit": "Within classes the scores are not Gaussian, as the theory assumes: the prediction "
    "leans on the observed labels instead, and its interval is wider.",
    "noise_unidentified": "These data say little of how many labels are wrong: the rates are "
    "vague and the interval is wide. More rows would help, or rates that you know.",
    "undetected": "The columns do not tell the classes apart: all these numbers are guesses. Give "
    "more rows or other columns.",
}

BRIEFLY = {
    "detected": "the theory holds",
    "misfit": "not Gaussian: wider interval",
    "noise_unidentified": "noise unclear: wide interval",
    "undetected": "classes not told apart",
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
