"""Leave-one-out predictions of fits in kernel form, from the inverse of the kernel matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import pairwise_kernels

from .._input import Rows, ridge_penalty

_LEAST_DIAGONAL = 1e-4
"""Smallest over largest diagonal of a Cholesky factor: below, an inverse has lost eight digits."""


def dual_scores(model: Any, rows: Rows) -> np.ndarray | None:
    r"""Return exact leave-one-out predictions, None where rounding would decide them.

    Notes
    -----
    With :math:`M = D K D + \alpha I`, :math:`D = \mathrm{diag}(\sqrt{w})` and :math:`c = M^{-1} D
    y`, the prediction without row i is :math:`y_i - c_i / (D_{ii} (M^{-1})_{ii})`. Where only a
    part q of its weight goes, :math:`(M^{-1})_{ii}` becomes :math:`(1 - q) / \alpha + q
    (M^{-1})_{ii}`.
    """
    if isinstance(model, KernelRidge):
        kernel, penalty, weights = _kernel(model, rows.X), ridge_penalty(model), rows.fit_weights
    else:
        kernel, penalty, weights = model.kernel_(rows.X), model.alpha, np.ones(len(rows.y))
        if (rows.weights != 1.0).any():
            return None
    whole = bool((rows.part == 1.0).all())
    if not (whole or penalty > 0):
        return None
    roots = np.sqrt(weights)
    matrix = roots[:, None] * kernel * roots
    matrix.flat[:: len(matrix) + 1] += penalty
    try:
        factor = cho_factor(matrix, overwrite_a=True)
    except LinAlgError:
        return None
    diagonal = np.diag(factor[0])
    if diagonal.min() < _LEAST_DIAGONAL * diagonal.max():
        return None
    inverse = cho_solve(factor, np.eye(len(matrix)), overwrite_b=True)
    room = np.diag(inverse)
    if not whole:
        room = (1.0 - rows.part) / penalty + rows.part * room
    return rows.y - inverse @ (roots * rows.y) / (roots * room)


def _kernel(model: Any, X: Any) -> np.ndarray:
    """Return the kernel matrix of a kernel ridge."""
    given = model.kernel_params or {}
    if not callable(model.kernel):
        given = {name: getattr(model, name) for name in ("gamma", "degree", "coef0")}
    return pairwise_kernels(X, metric=model.kernel, filter_params=True, **given)


def has_dual_form(model: Any) -> bool:
    """Return whether an estimator is a fit by a kernel that does not depend on the targets."""
    if isinstance(model, KernelRidge):
        return not isinstance(model.kernel, str) or model.kernel != "precomputed"
    if not isinstance(model, GaussianProcessRegressor) or model.normalize_y:
        return False
    if model.kernel is None:
        return model.optimizer is None
    is_fixed = model.optimizer is None or model.kernel.n_dims == 0
    return is_fixed and model.kernel.requires_vector_input
