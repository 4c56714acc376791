"""Scores of new rows at every penalty."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...linalg._backend import Array, get_backend
from ...linalg._ridge_basis import RidgeBasis, check_alphas
from ...linalg._ridge_path import coefficients


def predict_path(basis: RidgeBasis, targets: Array, alphas: Any, X_new: Array) -> Array:
    """Compute the scores of new rows at every penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets.
    alphas : array-like of shape (k,)
        Penalties per unit weight.
    X_new : array, sparse matrix or tensor of shape (m, p)
        New rows.

    Returns
    -------
    array of shape (m, q, k)
        Scores.

    Notes
    -----
    One decomposition serves every penalty; each costs ``O(p r q)`` for its coefficients and
    ``O(m p q)`` for the scores.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._predict_path import predict_path
    >>> from skrmt.linalg import ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0]])
    >>> predict_path(ridge_basis(X), X[:, 0], [0.0], np.array([[5.0]])).ravel().round(6)
    array([5.])
    """
    xp = get_backend(basis.scale)
    scores = []
    for alpha in check_alphas(alphas):
        coef, intercept = coefficients(basis, targets, float(alpha))
        product = X_new @ xp.transpose(coef)
        scores.append((np.asarray(product) if xp.name == "numpy" else product) + intercept)
    return xp.stack(scores, axis=-1)
