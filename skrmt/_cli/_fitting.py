"""Fits whose warnings become notes, and the regimes of a fit in few words."""

from __future__ import annotations

import time
import warnings

from ..exceptions import TheoryWarning
from ._progress import working

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
