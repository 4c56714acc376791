"""Leave-one-out scores of linear estimators of scikit-learn, from one decomposition each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import KFold, StratifiedKFold

from ..linalg import loo_scores, ridge_basis

_FOLDS = 20
_ROOM = 1e-8
_INTERPOLATED = 1 - 1e-6
_FARTHEST = 4.0
_FEW = 0.05
_BLOCK = 4096
_LARGEST_HESSIAN = 3000


class LeftOut(NamedTuple):
    """Scores of training rows by fits without them.

    Attributes
    ----------
    scores : ndarray of shape (n,) or (n, K)
        Decision function, or prediction, of each row by the fit without it.
    even : ndarray of the same shape, or None
        The same where every row has the mean leverage, as in theory; None where it is not known.
    kind : {"exact", "newton", "folds"}
        Closed form, one Newton step a row, or cross-validation.
    """

    scores: np.ndarray
    even: np.ndarray | None
    kind: str


def ridge_left_out(model, X, targets, weights):
    """Return the exact leave-one-out scores of a ridge fit."""
    basis = ridge_basis(X, _plain(weights), fit_intercept=model.fit_intercept)
    alpha = ridge_penalty(model) / basis.total_weight
    scores, fitted, leverage = loo_scores(basis, targets, alpha)
    if np.median(leverage) > _INTERPOLATED:
        return None, basis
    shares = weights / weights.sum()
    mean = float(leverage @ shares)
    even = targets - (targets - fitted) / max(1.0 - mean, _ROOM)
    return LeftOut(scores, even, "exact"), basis


def ridge_penalty(model):
    """Return the penalty of a fitted ridge estimator, in the units of scikit-learn."""
    given = model.alpha_ if hasattr(model, "alpha_") else model.alpha
    if np.ndim(given) and len(given) > 1:
        raise ValueError(f"alpha={given!r} has one value a target: give one number.")
    return float(np.max(given))


def _plain(weights):
    """Return None for weights that are all one."""
    return None if (weights == 1.0).all() else weights


def total_weights(model, y, weights):
    """Return the weights of the rows times those of their classes."""
    given = getattr(model, "class_weight", None)
    if given is None:
        return weights
    classes = np.unique(y)
    if given == "balanced":
        totals = np.bincount(np.searchsorted(classes, y), weights)
        factors = weights.sum() / (len(classes) * totals)
    else:
        factors = np.array([given.get(label, 1.0) for label in classes.tolist()])
    return weights * factors[np.searchsorted(classes, y)]


def discriminant_left_out(model, X, codes):
    r"""Return the exact leave-one-out scores of linear discriminant analysis."""
    counts = np.bincount(codes).astype(float)
    n, n_classes = len(X), len(counts)
    if counts.min() < 2 or n - n_classes <= X.shape[1] or model.shrinkage is not None:
        return None
    if model.priors is not None and model.solver != "svd":
        return None
    means = np.array([X[codes == k].mean(axis=0) for k in range(n_classes)])
    centre = means.mean(axis=0)
    X, means = X - centre, means - centre
    deviations = X - means[codes]
    try:
        factor = cho_factor(deviations.T @ deviations)
    except np.linalg.LinAlgError:
        return None
    solved = cho_solve(factor, deviations.T).T
    energy = np.einsum("ij,ij->i", solved, deviations)
    if not (energy < 1).all() or np.diag(factor[0]).min() < 1e-7 * np.diag(factor[0]).max():
        return None
    parts = _Parts(means, cho_solve(factor, means.T).T, X, deviations, solved, codes, counts)
    priors = model.priors_ if model.priors is not None else None
    degrees = _degrees_of_freedom(model, parts) - 1.0
    exact = _discriminant_scores(parts, energy, priors, degrees)
    even = _discriminant_scores(parts, np.full(n, energy.mean()), priors, degrees)
    return LeftOut(exact, even, "exact")


class _Parts(NamedTuple):
    """Products of the rows, their deviations and the class means with the inverse scatter."""

    means: np.ndarray
    means_solved: np.ndarray
    X: np.ndarray
    deviations: np.ndarray
    solved: np.ndarray
    codes: np.ndarray
    counts: np.ndarray


def _degrees_of_freedom(model, parts):
    """Return by what the scatter was divided: the rows, or less the classes in old versions."""
    seen = model.coef_[-1] - (model.coef_[0] if len(model.coef_) > 1 else 0.0)
    unit = parts.means_solved[-1] - parts.means_solved[0]
    n, ratio = len(parts.X), float(seen @ unit / (unit @ unit))
    return min((n, n - len(parts.counts)), key=lambda degrees: abs(degrees - ratio))


def _discriminant_scores(parts, energy, priors, degrees):
    """Return the leave-one-out decision function, given ``d^T S^-1 d`` of every row."""
    n, n_classes = len(parts.X), len(parts.counts)
    own = parts.counts[parts.codes]
    c = own / (own - 1.0)
    gain = c / np.maximum(1.0 - c * energy, _ROOM)
    onehot = np.eye(n_classes)[parts.codes]
    step = onehot / (own - 1.0)[:, None]
    pulled = parts.deviations @ parts.means_solved.T
    with_means = pulled - step * energy[:, None]
    with_row = energy + np.einsum("ij,ij->i", parts.solved, parts.means[parts.codes])
    cross = parts.X @ parts.means_solved.T - step * with_row[:, None]
    cross = cross + (gain * with_row)[:, None] * with_means
    norms = np.einsum("kp,kp->k", parts.means, parts.means_solved)[None, :]
    norms = norms - 2.0 * step * pulled + step**2 * energy[:, None]
    norms = norms + gain[:, None] * with_means**2
    left = parts.counts[None, :] - onehot
    shares = left / (n - 1.0) if priors is None else np.broadcast_to(priors, left.shape)
    scores = degrees * (cross - 0.5 * norms) + np.log(np.maximum(shares, 1e-300))
    return scores[:, 1] - scores[:, 0] if n_classes == 2 else scores


def logistic_left_out(model, X, codes, weights):
    r"""Return approximate leave-one-out scores of logistic regression."""
    design = np.hstack([X, np.ones((len(X), 1))]) if model.fit_intercept else np.asarray(X)
    scores = model.decision_function(X)
    penalty = np.full(design.shape[1], 1.0 / model.C if np.isfinite(model.C) else 0.0)
    if model.fit_intercept:
        penalty[-1] = 0.0
    if scores.ndim == 1:
        return _binary_newton(design, scores, codes, weights, penalty)
    if design.shape[1] * scores.shape[1] > _LARGEST_HESSIAN:
        return None
    return _softmax_newton(design, scores, codes, weights, penalty)


def _binary_newton(design, scores, codes, weights, penalty):
    """Return the scores of two classes after a Newton step a row."""
    p = expit(scores)
    curvature = weights * p * (1.0 - p)
    hessian = design.T @ (curvature[:, None] * design) + np.diag(penalty)
    ridge = 1e-12 * np.trace(hessian) / len(hessian)
    factor = cho_factor(hessian + ridge * np.eye(len(hessian)))
    lever = np.einsum("ij,ij->i", cho_solve(factor, design.T).T, design)
    pull = weights * (codes - p)

    def moved(energy):
        return scores - energy * pull / np.maximum(1.0 - curvature * energy, _ROOM)

    left_out = moved(lever)
    if _too_far(scores, left_out):
        return None
    return LeftOut(left_out, moved(np.full(len(lever), lever.mean())), "newton")


def _too_far(scores, left_out):
    """Return whether scores move so far that the loss is no parabola between."""
    return np.mean(np.abs(left_out - scores) > _FARTHEST) > _FEW


def _softmax_newton(design, scores, codes, weights, penalty):
    """Return the scores of K classes after a Newton step a row."""
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
    flat = flat + 1e-9 * np.trace(flat) / len(flat) * np.eye(len(flat))
    inverse = np.linalg.inv(flat).reshape(n_classes, size, n_classes, size)
    lever = np.empty((n, n_classes, n_classes))
    for k in range(n_classes):
        for j in range(n_classes):
            lever[:, k, j] = np.einsum("ij,ij->i", design @ inverse[k, :, j], design)
    residual = weights[:, None] * (np.eye(n_classes)[codes] - p)
    own = weights[:, None, None] * (np.einsum("ik,kj->ikj", p, np.eye(n_classes)))
    own = own - weights[:, None, None] * p[:, :, None] * p[:, None, :]

    def moved(energy):
        room = np.eye(n_classes) - own @ energy
        step = energy @ np.linalg.solve(room, residual[:, :, None])
        return scores - step[:, :, 0]

    left_out = moved(lever)
    if _too_far(scores, left_out):
        return None
    return LeftOut(left_out, moved(np.broadcast_to(lever.mean(0), lever.shape)), "newton")


def folded_scores(model, X, y, weights):
    """Return scores of rows by fits to the other folds of twenty."""
    classifier = isinstance(model, (LogisticRegression, RidgeClassifier)) or hasattr(
        model, "classes_"
    )
    smallest = np.unique(y, return_counts=True)[1].min() if classifier else len(y)
    if classifier and smallest < 2:
        raise ValueError(
            "y has a class with one row, and scores that come from folds need two of each. Give "
            "more rows of it, or leave it out."
        )
    splitter = StratifiedKFold if classifier else KFold
    n_splits = int(min(_FOLDS, smallest))
    folds = splitter(n_splits, shuffle=True, random_state=0).split(np.zeros(len(y)), y)
    scores = None
    for train, test in folds:
        fitted = clone(model)
        options = {} if _plain(weights) is None else {"sample_weight": weights[train]}
        fitted.fit(X[train], y[train], **options)
        part = fitted.decision_function(X[test]) if classifier else fitted.predict(X[test])
        if scores is None:
            scores = np.zeros((len(y), *part.shape[1:]))
        scores[test] = part
    return LeftOut(scores, None, "folds")
