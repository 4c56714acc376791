"""Leave-one-out scores of ridge fits, from one decomposition."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import qr
from scipy.linalg.lapack import dpotrf, dtrtrs
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from ...linalg import RidgeBasis, group_path, loo_path, loo_scores, ridge_basis, to_numpy
from ...utils._rows import content_keys
from .._input import CHOOSE_PENALTY, Rows, ridge_penalty
from ._frequencies import HeldOut, made_up_for, part_of_label
from ._pairs import pair_area

_MOST_REFITS = 20
"""Rows that determine a fit alone, as of dummy variables, up to which each is refitted without."""
_PARTS = 10
"""Parts of the rows, of each of which the others choose the penalty."""
_LEAST_ROOM = 1e-10
"""Floor of 1 - leverage: a row that determines its own fit is moved far, not divided by zero."""
_ALONE = 1 - 1e-8
"""Leverage beyond which a row of least squares has no digits left: it is refitted without."""
_INTERPOLATING = 1 - 1e-6
"""Leverage of most rows beyond which rounding, not data, decides leave-one-out residuals."""
_NULL_DIRECTION = 1e-13
"""Singular values below this part of the largest are rounding."""
_REGULAR = 1e-3
"""Least diagonal of a Cholesky factor over the largest, and 1 - leverage: ten digits are right."""
_SQUARES = 1e-140, 1e140
"""Sums of squares whose products neither vanish nor overflow."""
_MOST_COLUMNS = 1000
"""Squared number of classes up to which each class is made up for without each group."""


class _Smoother(NamedTuple):
    """A ridge fit as what turns targets into fitted values.

    Attributes
    ----------
    root : ndarray of shape (n, r)
        Q of the hat matrix ``Q Q^T`` of weighted and centred targets.
    roots : ndarray of shape (n,)
        Roots of the weights.
    share : ndarray of shape (n,)
        Shares of the rows of the weight, zeros without intercept.
    part : ndarray of shape (n,)
        Part of each weight that is left out at a time.
    """

    root: np.ndarray
    roots: np.ndarray
    share: np.ndarray
    part: np.ndarray

    def leverage(self) -> np.ndarray:
        """Return by how much the target of each row moves its fitted value."""
        return (np.einsum("ij,ij->i", self.root, self.root) + self.share) * self.part

    def fitted(self, targets: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        """Return fitted values of some rows for targets that are zero on the others."""
        root, roots = self.root[rows], self.roots[rows][:, None]
        # Centred columns: the mean of the targets need not be subtracted.
        return self.share[rows] @ targets + root @ (root.T @ (targets * roots)) / roots

    def pair_area(self, targets: np.ndarray, rows: Rows) -> float | None:
        """Return the area of targets of -1 and 1 by fits without each pair."""
        fitted = self.fitted(targets[:, None])[:, 0]
        left, root = self.part * rows.fit_weights, self.root / self.roots[:, None]
        constant = self.share / rows.fit_weights

        def kernel(some: np.ndarray, others: np.ndarray) -> np.ndarray:
            products = root[some] @ root[others].T
            products += constant[some][:, None]
            return products

        energy = np.einsum("ij,ij->i", root, root) + constant
        pull = left * (targets - fitted)
        return pair_area(fitted, energy, pull, left, kernel, targets > 0, rows.weights)


def ridge_held_out(model: Any, rows: Rows) -> HeldOut | None:
    """Return the exact leave-one-out scores of a ridge fit, None if it interpolates."""
    targets = least_squares_targets(model, rows.y)
    table = targets.reshape(len(targets), -1)
    smoother, basis = _regular_smoother(model, rows), None
    if smoother is None:
        basis = rows_basis(model, rows, rows.fit_weights)
        smoother = _basis_smoother(basis, ridge_penalty(model))
    if smoother is not None:
        leverage, rest = smoother.leverage(), table - smoother.fitted(table)
    else:
        assert basis is not None  # there is a smoother or a basis
        _, fitted, leverage = loo_scores(basis, table, ridge_penalty(model) / basis.total_weight)
        rest = table - fitted
    if 2 * np.count_nonzero(leverage > _INTERPOLATING) > len(leverage):
        return None
    scores = table - rest / np.maximum(1.0 - leverage, _LEAST_ROOM)[:, None]
    if isinstance(model, LinearRegression):
        rank = rows.X.shape[1] if basis is None else basis.rank
        if rank != getattr(model, "rank_", rank):
            return None
        alone = np.flatnonzero(leverage > _ALONE)
        if len(alone) > _MOST_REFITS:
            return None
        scores[alone, 0] = [_refitted_score(model, rows, i) for i in alone]
    if basis is not None and isinstance(model, CHOOSE_PENALTY):
        scores = _choice_held_out(model, basis, table, rows)
    mean = float(leverage @ (rows.fit_weights / rows.fit_weights.sum()))
    even = table - rest / max(1.0 - mean, _LEAST_ROOM)
    change = 0.0 if smoother is None else _label_change(model, rows, smoother, rest, leverage)
    parts = (scores, even + change, scores + change)
    scores, even, fair = (some.reshape(targets.shape) for some in parts)
    area = None
    if smoother is not None and targets.ndim == 1 and hasattr(model, "classes_"):
        area = smoother.pair_area(targets, rows)
    return HeldOut(scores, even, "exact", fair, area)


def least_squares_area(rows: Rows, classes: np.ndarray) -> float | None:
    """Return the area of least squares without pairs, None if its fits are not regular."""
    smoother = _regular_smoother(LinearRegression(), rows)
    codes = np.searchsorted(classes, rows.y)
    return None if smoother is None else smoother.pair_area(2.0 * codes - 1.0, rows)


def _label_change(
    model: Any, rows: Rows, smoother: _Smoother, rest: np.ndarray, leverage: np.ndarray
) -> np.ndarray | float:
    """Return by how much scores move where the other rows of its label make up for each row.

    A step from the fit to all rows: `made_up_for` has the sum that moves it.
    """
    if not hasattr(model, "classes_"):
        return 0.0
    codes, change = np.searchsorted(model.classes_, rows.y), np.empty_like(rest)
    room = np.maximum(1.0 - leverage, _LEAST_ROOM)[:, None]
    for k in range(len(model.classes_)):
        own = np.flatnonzero(codes == k)
        change[own] = rest[own] - (rest[own] - smoother.fitted(rest[own], own)) / room[own]
    return made_up_for(part_of_label(codes, rows.fit_weights, rows.part))[:, None] * change


def least_squares_targets(model: Any, y: np.ndarray) -> np.ndarray:
    """Return the targets of least squares: y, or -1/+1 in one column or one per class."""
    if not hasattr(model, "classes_"):
        return y.astype(float)
    codes, n_classes = np.searchsorted(model.classes_, y), len(model.classes_)
    return 2.0 * codes - 1.0 if n_classes == 2 else 2.0 * np.eye(n_classes)[codes] - 1.0


def _regular_smoother(model: Any, rows: Rows) -> _Smoother | None:
    """Return the smoother by a Cholesky factor, None if another has more digits."""
    X, weights = rows.X, rows.fit_weights
    if isinstance(model, CHOOSE_PENALTY) or sparse.issparse(X) or len(X) <= X.shape[1] + 1:
        return None
    roots, share = np.sqrt(weights), np.zeros(len(X))
    mean = 0.0
    if getattr(model, "fit_intercept", True):
        share = weights / weights.sum()
        mean = share @ X
    centred = X - mean
    if share[0]:
        # The mean of features far from zero has lost as many digits as they are far.
        centred -= share @ centred
    if not (weights == 1.0).all():
        centred *= roots[:, None]
    gram = centred.T @ centred
    squares = np.diag(gram).copy()
    rounding = weights.sum() * (4.0 * np.finfo(float).eps * np.abs(mean)) ** 2
    if not ((squares > rounding) & (squares > _SQUARES[0]) & (squares < _SQUARES[1])).all():
        return None
    gram.flat[:: len(gram) + 1] += ridge_penalty(model)
    unit = np.sqrt(np.diag(gram))
    # LAPACK itself: of few rows the checks around it take half of the time.
    lower, failed = dpotrf(gram / np.outer(unit, unit), lower=1)
    diagonal = np.diag(lower)
    if failed or diagonal.min() < _REGULAR * diagonal.max():
        return None
    root = dtrtrs(unit[:, None] * lower, centred.T, lower=1)[0].T
    found = _Smoother(root, roots, share, rows.part)
    return found if found.leverage().max() < 1.0 - _REGULAR else None


def _basis_smoother(basis: RidgeBasis, penalty: float) -> _Smoother | None:
    """Return the smoother at a penalty in the units of scikit-learn, None of large sparse rows."""
    if basis.left is None:
        return None
    with np.errstate(over="ignore", under="ignore"):
        gain = basis.scale / (basis.scale + penalty / basis.unit / basis.unit)
    return _Smoother(basis.left * np.sqrt(gain), basis.sqrt_weights, basis.share, basis.part)


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
    least = _NULL_DIRECTION * max(X.shape)
    if basis.right is not None and _largest_outside(basis, centred) <= least**2 * basis.scale[0]:
        return basis
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    kept = values > least * values[0]
    return basis._replace(left=left[:, kept], scale=values[kept] ** 2)


def _largest_outside(basis: RidgeBasis, centred: np.ndarray) -> float:
    """Return the sum of squares of rows along the directions that a basis has dropped."""
    directions = qr(basis.right, check_finite=False)[0][:, basis.rank :]
    return float(((np.where(basis.varying, centred, 0.0) @ directions) ** 2).sum())


def _in_own_units(X: np.ndarray, centred: bool) -> np.ndarray:
    """Return features in units of their deviations, powers of two, on which no fit depends."""
    deviations = X.std(axis=0, dtype=float) if centred else np.sqrt((X**2.0).mean(axis=0))
    return X / np.ldexp(1.0, np.frexp(deviations)[1])


def _choice_held_out(model: Any, basis: RidgeBasis, targets: np.ndarray, rows: Rows) -> np.ndarray:
    """Return leave-one-out scores of rows at the penalty that the other parts of them choose.

    At the penalty that the rows themselves choose, their error is the least of several.
    """
    alphas = np.sort(np.ravel(model.alphas)) / basis.total_weight
    path = to_numpy(loo_path(basis, targets, alphas)[0])
    squares = ((targets[:, :, None] - path) ** 2).mean(axis=1)
    losses = squares * rows.weights[:, None]
    part = _content_parts(rows)
    others = losses.sum(axis=0) - np.stack([losses[part == k].sum(axis=0) for k in range(_PARTS)])
    chosen = others.argmin(axis=1)[part]
    return np.take_along_axis(path, chosen[:, None, None], axis=2)[:, :, 0]


def _content_parts(rows: Rows) -> np.ndarray:
    """Deal rows out over parts, by what they hold and not by their order."""
    keys = content_keys(rows.X, np.ones(rows.X.shape[1], dtype=bool))
    return np.argsort(np.lexsort((rows.y, keys)), kind="stable") % _PARTS


def _refitted_score(model: Any, rows: Rows, i: Any) -> float:
    """Return the prediction of a row by a fit without it."""
    others = np.arange(len(rows.y)) != i
    fitted = clone(model).fit(rows.X[others], rows.y[others], rows.fit_weights[others])
    return float(fitted.predict(rows.X[[i]])[0])


def groups_held_out(model: Any, rows: Rows, groups: np.ndarray) -> HeldOut:
    """Return the exact scores of a ridge fit without whole groups."""
    basis = rows_basis(model, rows, rows.fit_weights)
    targets = least_squares_targets(model, rows.y)
    alpha = ridge_penalty(model) / basis.total_weight
    scores = group_path(basis, targets, [alpha], groups)[:, :, 0]
    fair = scores + _group_change(model, rows, groups, basis, alpha)
    return HeldOut(scores.reshape(targets.shape), None, "exact", fair.reshape(targets.shape))


def _group_change(
    model: Any, rows: Rows, groups: np.ndarray, basis: RidgeBasis, alpha: float
) -> np.ndarray | float:
    """Return by how much scores move where rows of other groups make up for the labels of each."""
    if not hasattr(model, "classes_") or len(model.classes_) ** 2 > _MOST_COLUMNS:
        return 0.0
    targets = least_squares_targets(model, rows.y).reshape(len(rows.y), -1)
    rest = targets - loo_path(basis, targets, [alpha])[1][:, :, 0]
    codes, n_classes = np.searchsorted(model.classes_, rows.y), len(model.classes_)
    own = np.eye(n_classes)[codes]
    columns = (own[:, :, None] * rest[:, None, :]).reshape(len(rest), -1)
    others = group_path(basis, columns, [alpha], groups)[:, :, 0].reshape(own.shape + (-1,))
    shares = np.zeros((groups.max() + 1, n_classes))
    np.add.at(shares, groups, own * (rows.fit_weights / (rows.fit_weights @ own)[codes])[:, None])
    return np.einsum("ik,ikq->iq", made_up_for(shares)[groups], others)
