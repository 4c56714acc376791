"""Scores of new rows at every penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...linalg._backend import Array, get_backend
from ...linalg._ridge_basis import RidgeBasis, check_alphas
from ...linalg._ridge_path import coefficients


def predict_path(basis: RidgeBasis, targets: Array, alphas: Any, X_new: Array) -> Array:
    """Compute the scores of new rows at every penalty."""
    xp = get_backend(basis.scale)
    scores = []
    for alpha in check_alphas(alphas):
        coef, intercept = coefficients(basis, targets, float(alpha))
        product = X_new @ xp.transpose(coef)
        scores.append((np.asarray(product) if xp.name == "numpy" else product) + intercept)
    return xp.stack(scores, axis=-1)
