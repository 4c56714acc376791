"""Find fits whose scores may fall before they rise: those through all rows of many features."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from ..linalg import needs_krylov, ridge_basis
from ._input import (
    CHOOSE_PENALTY,
    RIDGES,
    chooses_by_folds,
    last_step,
    last_step_rows,
    ridge_penalty,
)

_ALL_ROWS = 0.95
"""Degrees of freedom over rows from which a fit passes through them: where the rows are as many as
the features, errors of such fits are amplified threefold or more, of isotropic features."""

PEAK = (
    "The fit passes through its rows, which are fewer than its features: as the rows approach the "
    "features in number such scores may fall before they rise, which no part of the rows shows. No "
    "other score is predicted. Choose a larger penalty."
)


def may_peak(estimator: Any, fitted: Any, X: Any, n_distinct: int) -> bool:
    """Return whether a fit of squares passes through its rows, of fewer rows than features."""
    # A penalty that is chosen grows where it is needed.
    if chooses_by_folds(estimator) or not _is_of_squares(last_step(estimator)):
        return False
    features, model = last_step_rows(fitted, X)
    if features.shape[1] < features.shape[0]:
        return False
    penalty = 0.0 if isinstance(model, LinearDiscriminantAnalysis) else ridge_penalty(model)
    return _degrees(features, penalty) >= _ALL_ROWS * (n_distinct - 1)


def _is_of_squares(model: Any) -> bool:
    """Return whether a model minimises squares, with a given penalty on squares at most."""
    if isinstance(model, LinearDiscriminantAnalysis):
        return model.shrinkage is None
    return isinstance(model, RIDGES) and not isinstance(model, CHOOSE_PENALTY)


def _degrees(X: Any, penalty: float) -> float:
    """Return the degrees of freedom of a fit to n rows of more features, or more of them."""
    if needs_krylov(X):
        # Of directions with the same sum, equal ones have the most; no n x n array is made.
        n, mean = X.shape[0], np.asarray(X.mean(axis=0), dtype=float)
        squares = np.square(X.data, dtype=float).sum() - n * (mean**2).sum()
        values = np.full(n - 1, max(squares, 0.0) / (n - 1))
    else:
        basis = ridge_basis(X)
        values = basis.scale.astype(float) * basis.unit**2
    return float((values / np.maximum(values + penalty, 1e-300)).sum())
