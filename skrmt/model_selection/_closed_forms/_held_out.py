"""Scores of training rows by fits without them, from one decomposition each."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import cholesky, solve_triangular
from scipy.special import expit, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from .._input import RIDGES, Rows, has_other_penalty, inverse_penalty
from ._discriminant import discriminant_scores
from ._dual import dual_scores, has_dual_form
from ._frequencies import HeldOut, made_up_for, part_of_label
from ._pairs import pair_area
from ._ridge import groups_held_out, ridge_held_out

_LEAST_ROOM = 1e-8
"""Floor of 1 - leverage: a row that determines its own fit is moved far, not divided by zero."""
_FARTHEST_STEP = 4.0
"""Change of a log-odds beyond which the logistic loss is no parabola, and one step too few."""
_FAR_SHARE = 0.05
"""Share of such rows beyond which scores come from folds: they shift an accuracy by as much."""
_LARGEST_HESSIAN = 3000
"""Side of a Hessian, of several classes or sparse features, up to which it is inverted."""
_CONSTANT = 1e-12
"""Range of scores over the largest up to which they differ by rounding."""


def held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the scores of rows left out in closed form, None if there is none."""
    if hasattr(model, "classes_"):
        scores = _decision(model, rows.X)
        if np.ptp(scores, axis=0).max() <= _CONSTANT * np.abs(scores).max():
            # Without its row a class is rarer: this constant guess would always be another class.
            return HeldOut(scores, None, "exact")
    if rows.group is not None:
        return groups_held_out(model, rows, rows.group) if isinstance(model, RIDGES) else None
    if isinstance(model, RIDGES):
        return ridge_held_out(model, rows)
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


def _discriminant_held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the leave-one-out scores of linear discriminant analysis."""
    return discriminant_scores(model, rows)


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
    if len(X) <= X.shape[1] and not penalty[0]:
        return None
    step = _binary_newton if scores.ndim == 1 else _softmax_newton
    moved = step(design, scores, codes, rows, penalty)
    exact, even, change = moved.scores, moved.even, moved.change
    if _is_far(exact - scores):
        return None
    even = None if _is_far(even - scores) else even + change
    return HeldOut(exact, even, "newton", exact + change, moved.area)


def _is_far(steps: np.ndarray) -> bool:
    """Return whether one Newton step is too few for many rows."""
    return bool(np.mean(np.abs(steps) > _FARTHEST_STEP) > _FAR_SHARE)


class _Moved(NamedTuple):
    """Scores after a Newton step per row.

    Attributes
    ----------
    scores, even : ndarray
        Scores by the step without each row, and with mean leverage.
    change : ndarray
        By how much they move where the other rows of its label make up for the row.
    area : float or None
        Share of pairs of two classes that steps without both rank right.
    """

    scores: np.ndarray
    even: np.ndarray
    change: np.ndarray
    area: float | None = None


def _binary_newton(design, scores, codes, rows, penalty):
    """Return the scores of two classes after a step per row."""
    weights, part = rows.fit_weights, rows.part
    p = expit(scores)
    rest, curvature = weights * (codes - p), weights * p * (1.0 - p)
    wide = len(design) < np.count_nonzero(penalty)
    products = _wide_products if wide else _products
    columns = np.eye(2)[codes] * rest[:, None]
    energy, moves, kernel = products(design, curvature, penalty, columns)
    pull, curvature = part * rest, part * curvature
    room = np.maximum(1.0 - curvature * energy, _LEAST_ROOM)
    others = moves[np.arange(len(codes)), codes] - energy * pull
    change = made_up_for(part_of_label(codes, weights, part)) * others / room

    def moved(energy):
        return scores - energy * pull / np.maximum(1.0 - curvature * energy, _LEAST_ROOM)

    even = moved(np.average(energy, weights=1.0 / part))
    area = pair_area(scores, energy, pull, curvature, kernel, codes == 1, rows.weights)
    return _Moved(moved(energy), even, change, area)


def _products(design, curvature, penalty, columns):
    """Return products by the inverse Hessian: of rows with themselves, of them with sums of rows.

    Third is a function that returns those of some rows with others.
    """
    curved = np.sqrt(curvature)[:, None] * design
    hessian = curved.T @ curved
    hessian.flat[:: len(hessian) + 1] += penalty
    # In units in which the diagonal is 1, so that features of small scale are not regularised.
    unit = np.sqrt(np.maximum(np.diag(hessian), np.finfo(float).tiny))
    hessian /= unit[:, None]
    hessian /= unit
    hessian.flat[:: len(hessian) + 1] += 1e-12
    lower = cholesky(hessian, lower=True, overwrite_a=True, check_finite=False)
    solved = solve_triangular(unit[:, None] * lower, design.T, lower=True, check_finite=False)

    def kernel(some, others):
        return solved[:, some].T @ solved[:, others]

    return np.einsum("ji,ji->i", solved, solved), ((solved @ columns).T @ solved).T, kernel


def _wide_products(design, curvature, penalty, columns):
    """Return what `_products` does, of fewer rows than features, by matrices of their number."""
    features, roots = design[:, penalty > 0], np.sqrt(curvature)
    kernel = features @ features.T / penalty[0]
    lower = cholesky(roots[:, None] * kernel * roots + np.eye(len(kernel)), lower=True)
    solved = solve_triangular(lower, roots[:, None] * kernel, lower=True, check_finite=False)
    kernel -= solved.T @ solved
    if features.shape[1] < design.shape[1]:
        # An intercept has no penalty.
        ones = solve_triangular(lower, roots, lower=True, check_finite=False)
        left = 1.0 - solved.T @ ones
        kernel += np.outer(left, left) / max(float(ones @ ones), np.finfo(float).tiny)
    return np.diag(kernel), kernel @ columns, lambda some, others: kernel[np.ix_(some, others)]


def _softmax_newton(design, scores, codes, rows, penalty):
    """Return what `_binary_newton` does, of K classes, but for the area."""
    weights, part = rows.fit_weights, rows.part
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
    rest = weights[:, None] * (np.eye(n_classes)[codes] - p)
    pull, left = part[:, None] * rest, (part * weights)[:, None]
    own = left[:, :, None] * (p[:, :, None] * np.eye(n_classes) - p[:, :, None] * p[:, None, :])
    others = np.empty_like(scores)
    for k in range(n_classes):
        same = codes == k
        pulled = np.einsum("kajb,bj->ak", inverse, design[same].T @ rest[same])
        others[same] = design[same] @ pulled
    others -= np.einsum("ikj,ij->ik", energy, pull)

    def without(energy, values):
        """Take rows out of the Hessian by which values are divided."""
        within = np.linalg.solve(np.eye(n_classes) - own @ energy, own @ values[:, :, None])
        return values + (energy @ within)[:, :, 0]

    def moved(energy):
        step = energy @ np.linalg.solve(np.eye(n_classes) - own @ energy, pull[:, :, None])
        return scores - step[:, :, 0]

    change = made_up_for(part_of_label(codes, weights, part))[:, None] * without(energy, others)
    mean = np.average(energy, axis=0, weights=1.0 / part)
    return _Moved(moved(energy), moved(np.broadcast_to(mean, energy.shape)), change)
