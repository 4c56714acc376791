"""Scores of training rows by fits without them, from one decomposition each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression

from ...linalg import RidgeBasis, group_path, loo_path, loo_scores, ridge_basis, to_numpy
from ...utils._rows import content_keys
from .._input import CHOOSE_PENALTY, RIDGES, Rows, has_other_penalty, inverse_penalty, ridge_penalty
from ._discriminant import discriminant_scores
from ._dual import dual_scores, has_dual_form

_MOST_REFITS = 20
"""Rows that determine a fit alone, as of dummy variables, up to which each is refitted without."""
_PARTS = 10
"""Parts of the rows, of each of which the others choose the penalty."""
_LEAST_ROOM = 1e-8
"""Floor of 1 - leverage: a row that determines its own fit is moved far, not divided by zero."""
_INTERPOLATING = 1 - 1e-6
"""Median leverage beyond which rounding, not data, decides the leave-one-out residuals."""
_FARTHEST_STEP = 4.0
"""Change of a log-odds beyond which the logistic loss is no parabola, and one step too few."""
_FAR_SHARE = 0.05
"""Share of such rows beyond which scores come from folds: they shift an accuracy by as much."""
_LARGEST_HESSIAN = 3000
"""Side of a Hessian, of several classes or sparse features, up to which it is inverted."""
_NULL_DIRECTION = 1e-13
"""Singular values below this part of the largest are rounding."""
_CONSTANT = 1e-12
"""Range of scores over the largest up to which they differ by rounding."""


class HeldOut(NamedTuple):
    """Scores of training rows by fits without them.

    Attributes
    ----------
    scores : ndarray of shape (m,) or (m, K)
        Decision function, or prediction, of each row by the fit without it.
    even : ndarray of the same shape, or None
        The same if every row had the mean leverage, as in theory; None where it is not known.
    kind : {"exact", "newton", "folds"}
        Closed form, one Newton step per row, or cross-validation.
    """

    scores: np.ndarray
    even: np.ndarray | None
    kind: str


def held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the scores of rows left out in closed form, None if there is none."""
    if hasattr(model, "classes_"):
        scores = _decision(model, rows.X)
        if np.ptp(scores, axis=0).max() <= _CONSTANT * np.abs(scores).max():
            # Without its row a class is rarer: this constant guess would always be another class.
            return HeldOut(scores, None, "exact")
    if rows.group is not None:
        return _groups_held_out(model, rows, rows.group) if isinstance(model, RIDGES) else None
    if isinstance(model, RIDGES):
        return _ridge_held_out(model, rows)
    if isinstance(model, LinearDiscriminantAnalysis):
        return _discriminant_held_out(model, rows)
    if has_dual_form(model):
        predicted = dual_scores(model, rows)
        return None if predicted is None else HeldOut(predicted, None, "exact")
    return None if has_other_penalty(model) else _logistic_held_out(model, rows)


def _decision(model: Any, X: Any) -> np.ndarray:
    """Return the decision function of a linear classifier, of rows that were checked before."""
    scores = X @ np.atleast_2d(model.coef_).T + model.intercept_
    return scores[:, 0] if scores.shape[1] == 1 else scores


def predicted_codes(scores: np.ndarray) -> np.ndarray:
    """Return the codes of the classes that scores predict."""
    return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)


def least_squares_targets(model: Any, y: np.ndarray) -> np.ndarray:
    """Return the targets of least squares: y, or -1/+1 in one column or one per class."""
    if not hasattr(model, "classes_"):
        return y.astype(float)
    codes, n_classes = np.searchsorted(model.classes_, y), len(model.classes_)
    return 2.0 * codes - 1.0 if n_classes == 2 else 2.0 * np.eye(n_classes)[codes] - 1.0


def rows_basis(model: Any, rows: Rows, weights: np.ndarray) -> RidgeBasis:
    """Decompose rows, down to the directions of features of far smaller scale than others."""
    X, part, fit_intercept = rows.X, rows.part, getattr(model, "fit_intercept", True)
    if isinstance(model, LinearRegression) and not sparse.issparse(X):
        X = _in_own_units(X, fit_intercept)
    plain = None if (weights == 1.0).all() else weights
    basis = ridge_basis(X, plain, fit_intercept=fit_intercept, part=part)
    full = min(basis.n_samples - int(fit_intercept), int(basis.varying.sum()))
    if basis.rank == full or sparse.issparse(X) or basis.n_samples == 1:
        return basis
    # The eigenvalues of a Gram matrix are known to 1e-16 of the largest, singular values squared
    # to 1e-32: a unit 1e6 times smaller than another is lost in the first, not in the second.
    centred = (X.astype(float) - basis.mean) / basis.unit * basis.sqrt_weights[:, None]
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    kept = values > _NULL_DIRECTION * max(X.shape) * values[0]
    return basis._replace(left=left[:, kept], scale=values[kept] ** 2)


def _in_own_units(X: np.ndarray, centred: bool) -> np.ndarray:
    """Return features in units of their deviations, powers of two, on which no fit depends."""
    deviations = X.std(axis=0, dtype=float) if centred else np.sqrt((X**2.0).mean(axis=0))
    return X / np.ldexp(1.0, np.frexp(deviations)[1])


def _ridge_held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the exact leave-one-out scores of a ridge fit, None if it interpolates."""
    basis = rows_basis(model, rows, rows.fit_weights)
    targets = least_squares_targets(model, rows.y)
    scores, fitted, leverage = loo_scores(basis, targets, ridge_penalty(model) / basis.total_weight)
    if np.median(leverage) > _INTERPOLATING:
        return None
    if isinstance(model, LinearRegression):
        if basis.rank != getattr(model, "rank_", basis.rank):
            return None
        alone = np.flatnonzero(leverage * rows.part > 1.0 - _LEAST_ROOM)
        if len(alone) > _MOST_REFITS:
            return None
        scores[alone] = [_refitted_score(model, rows, i) for i in alone]
    if isinstance(model, CHOOSE_PENALTY):
        scores = _choice_held_out(model, basis, targets, rows)
    mean = float(leverage @ (rows.fit_weights / rows.fit_weights.sum()))
    even = targets - (targets - fitted) / max(1.0 - mean, _LEAST_ROOM)
    return HeldOut(scores, even, "exact")


def _choice_held_out(model: Any, basis: RidgeBasis, targets: np.ndarray, rows: Rows) -> np.ndarray:
    """Return leave-one-out scores of rows at the penalty that the other parts of them choose.

    At the penalty that the rows themselves choose, their error is the least of several.
    """
    alphas = np.sort(np.ravel(model.alphas)) / basis.total_weight
    path = to_numpy(loo_path(basis, targets, alphas)[0])
    squares = ((targets.reshape(len(targets), -1)[:, :, None] - path) ** 2).mean(axis=1)
    losses = squares * rows.weights[:, None]
    part = _content_parts(rows)
    others = losses.sum(axis=0) - np.stack([losses[part == k].sum(axis=0) for k in range(_PARTS)])
    chosen = others.argmin(axis=1)[part]
    scores = np.take_along_axis(path, chosen[:, None, None], axis=2)[:, :, 0]
    return scores.reshape(targets.shape)


def _content_parts(rows: Rows) -> np.ndarray:
    """Deal rows out over parts, by what they hold and not by their order."""
    keys = content_keys(rows.X, np.ones(rows.X.shape[1], dtype=bool))
    return np.argsort(np.lexsort((rows.y, keys)), kind="stable") % _PARTS


def _refitted_score(model: Any, rows: Rows, i: Any) -> float:
    """Return the prediction of a row by a fit without it."""
    others = np.arange(len(rows.y)) != i
    fitted = clone(model).fit(rows.X[others], rows.y[others], rows.fit_weights[others])
    return float(fitted.predict(rows.X[[i]])[0])


def _groups_held_out(model: Any, rows: Rows, groups: np.ndarray) -> HeldOut:
    """Return the exact scores of a ridge fit without whole groups."""
    basis = rows_basis(model, rows, rows.fit_weights)
    targets = least_squares_targets(model, rows.y)
    alpha = ridge_penalty(model) / basis.total_weight
    scores = group_path(basis, targets, [alpha], groups)[:, :, 0]
    return HeldOut(scores.reshape(targets.shape), None, "exact")


def _discriminant_held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the leave-one-out scores of linear discriminant analysis."""
    found = discriminant_scores(model, rows)
    return None if found is None else HeldOut(*found)


def _logistic_held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return approximate leave-one-out scores of logistic regression."""
    if sparse.issparse(rows.X) and rows.X.shape[1] > _LARGEST_HESSIAN:
        return None
    if getattr(model, "solver", None) == "liblinear" and model.fit_intercept:
        # It alone penalises the intercept.
        return None
    X = rows.X.toarray() if sparse.issparse(rows.X) else rows.X
    codes = np.searchsorted(model.classes_, rows.y)
    design = np.hstack([X, np.ones((len(X), 1))]) if model.fit_intercept else X
    scores = _decision(model, X)
    penalty = np.full(design.shape[1], 1.0 / inverse_penalty(model))
    if model.fit_intercept:
        penalty[-1] = 0.0
    if scores.ndim > 1 and design.shape[1] * scores.shape[1] > _LARGEST_HESSIAN:
        return None
    step = _binary_newton if scores.ndim == 1 else _softmax_newton
    exact, even = step(design, scores, codes, rows.fit_weights, rows.part, penalty)
    if _is_far(exact - scores):
        return None
    return HeldOut(exact, None if _is_far(even - scores) else even, "newton")


def _is_far(steps: np.ndarray) -> bool:
    """Return whether one Newton step is too few for many rows."""
    return bool(np.mean(np.abs(steps) > _FARTHEST_STEP) > _FAR_SHARE)


def _binary_newton(design, scores, codes, weights, part, penalty):
    """Return the scores of two classes after a Newton step per row, and with mean leverage."""
    p = expit(scores)
    curvature = weights * p * (1.0 - p)
    curved = np.sqrt(curvature)[:, None] * design
    hessian = curved.T @ curved + np.diag(penalty)
    # In units in which the diagonal is 1, so that features of small scale are not regularised.
    unit = np.sqrt(np.maximum(np.diag(hessian), np.finfo(float).tiny))
    lower = cholesky(hessian / np.outer(unit, unit) + 1e-12 * np.eye(len(hessian)), lower=True)
    solved = solve_triangular(unit[:, None] * lower, design.T, lower=True, check_finite=False)
    energy = np.einsum("ji,ji->i", solved, solved)
    pull, curvature = part * weights * (codes - p), part * curvature

    def moved(energy):
        return scores - energy * pull / np.maximum(1.0 - curvature * energy, _LEAST_ROOM)

    return moved(energy), moved(np.average(energy, weights=1.0 / part))


def _softmax_newton(design, scores, codes, weights, part, penalty):
    """Return the scores of K classes after a Newton step per row, and with mean leverage."""
    n, n_classes = scores.shape
    size = design.shape[1]
    p = softmax(scores, axis=1)
    hessian = np.zeros((n_classes, size, n_classes, size))
    for k in range(n_classes):
        for j in range(k + 1):
            curvature = weights * p[:, k] * ((k == j) - p[:, j])
            block = design.T @ (curvature[:, None] * design)
            hessian[k, :, j] = block + (k == j) * np.diag(penalty)
            hessian[j, :, k] = hessian[k, :, j].T
    flat = hessian.reshape(n_classes * size, -1)
    # Scores of classes are known up to a constant per row: that direction is flat.
    flat = flat + 1e-9 * np.trace(flat) / len(flat) * np.eye(len(flat))
    inverse = np.linalg.inv(flat).reshape(n_classes, size, n_classes, size)
    energy = np.empty((n, n_classes, n_classes))
    for k in range(n_classes):
        for j in range(n_classes):
            energy[:, k, j] = np.einsum("ij,ij->i", design @ inverse[k, :, j], design)
    left = (part * weights)[:, None]
    residual = left * (np.eye(n_classes)[codes] - p)
    own = left[:, :, None] * (p[:, :, None] * np.eye(n_classes) - p[:, :, None] * p[:, None, :])

    def moved(energy):
        step = energy @ np.linalg.solve(np.eye(n_classes) - own @ energy, residual[:, :, None])
        return scores - step[:, :, 0]

    mean = np.average(energy, axis=0, weights=1.0 / part)
    return moved(energy), moved(np.broadcast_to(mean, energy.shape))
