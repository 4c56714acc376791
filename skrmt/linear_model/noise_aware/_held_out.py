"""Ridge scores of rows that neither the fit nor the choice of its penalty has seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist

from ...linalg import RidgeBasis, get_backend, group_path, is_torch, ridge_basis, to_numpy
from ...linalg._gram import row_blocks
from ...linalg._ridge_basis import map_left, sum_left
from ...linalg._ridge_path import _loo_arguments, _loo_block, _targets
from ...utils._dask import to_local
from ...utils._rows import row_sums, row_values, take_rows

_N_FOLDS = 10
"""Folds of the choice of the penalty: each row is scored at the penalty that the others choose."""

_BOUND = 1.0
"""Excess of a score over the range of the targets from which an error counts no more.

One row far from all others would choose the penalty otherwise.
"""

_FENCE = 3.0
"""Interquartile ranges above the quartile at which a row's log-norm is far out (Tukey)."""

_MOST_ROWS = 20_000
"""Rows up to which a kernel looks for structure that no linear score has: 16 MB of features."""

_LANDMARKS = 100
"""Rows that span the features of the kernel: enough to see that classes can be separated."""

_WIDTHS = (0.25, 1.0)
"""Inverse widths of the kernel, over the median squared distance of rows."""

_KERNEL_PENALTIES = np.logspace(-2.0, 2.5, 7)
"""Penalties of the kernel ridge, for a kernel of diagonal 1."""

_SMALLEST_SHARE = 0.02
"""Share of the kernel's score below which it adds nothing."""


class HeldOut(NamedTuple):
    """Leave-one-out scores of the targets of a fit.

    Attributes
    ----------
    scores : ndarray of shape (n,) or (n, K)
        Score of each row by the fit without it, or its group, at the penalty that the rows of
        other folds choose.
    errors : ndarray of shape (k,)
        Mean bounded squared error at every penalty.
    alpha_index : int
        Penalty chosen by all rows.
    """

    scores: np.ndarray
    errors: np.ndarray
    alpha_index: int


def content_folds(key, observed, group=None):
    """Return a fold for each distinct row, or group, that follows from the rows' content."""
    if group is None:
        order, member = np.lexsort((key, observed)), np.arange(len(key))
    else:
        rows = np.lexsort((observed, key))
        first = rows[np.unique(group[rows], return_index=True)[1]]
        order, member = np.lexsort((key[first], observed[first])), group
    fold = np.empty(len(order), dtype=int)
    fold[order] = np.arange(len(order)) % _N_FOLDS
    return fold[member]


def centred_norms(X):
    """Return the centre of the rows and their distances from it."""
    centre = _centre(X)
    return centre, row_values(_norms, X, shared=(centre,))


def row_trust(norms, weights):
    """Return the factors of the weights of rows: below 1 for those far out, else 1."""
    size = np.log(np.maximum(norms, 1e-300))
    order = np.argsort(size, kind="stable")
    level = np.cumsum(weights[order]) / weights.sum()
    low, high = size[order[np.minimum(np.searchsorted(level, [0.25, 0.75]), len(size) - 1)]]
    return np.exp(2.0 * np.minimum(high + _FENCE * (high - low) - size, 0.0))


def _centre(X):
    """Return the column means, or zeros for sparse data, which stay sparse."""
    if hasattr(X, "tocsr"):
        return np.zeros(X.shape[1])
    return row_sums(_column_sums, X) / X.shape[0]


def _column_sums(X):
    """Return the sums of columns."""
    return to_numpy(X.double().sum(0)) if is_torch(X) else np.sum(X, axis=0, dtype=float)


def _centred_blocks(X, centre):
    """Yield blocks of rows less the centre, in double precision; sparse data as they are."""
    if hasattr(X, "tocsr"):
        yield X.astype(float)
        return
    xp = get_backend(X)
    centre = xp.asarray(centre, like=X, dtype="float64")
    for rows in row_blocks(X.shape[0], X.shape[1], pieces=16):
        yield xp.asarray(X[rows], dtype="float64") - centre


def _norms(X, centre):
    """Return the distances of rows from a centre."""
    return np.sqrt(np.concatenate([_squares(part) for part in _centred_blocks(X, centre)]))


def _squares(part):
    """Return the sums of squares of rows, of any kind of array."""
    if is_torch(part):
        return to_numpy((part * part).sum(1))
    if hasattr(part, "tocsr"):
        return np.asarray(part.multiply(part).sum(1), dtype=float).ravel()
    return np.einsum("ij,ij->i", part, part)


def held_out(basis: RidgeBasis, targets, alphas, folds, group=None) -> HeldOut:
    """Score each row by a fit without it, at a penalty chosen without its fold."""
    if group is not None:
        return _of_groups(basis, targets, alphas, folds, group)
    xp = get_backend(basis.scale)
    columns, means = _targets(basis, on_device(basis, targets))
    rows, shared = _loo_arguments(basis, columns, means, alphas)
    range_ = float(targets.min()) - _BOUND, float(targets.max()) + _BOUND
    member = on_device(basis, np.eye(_N_FOLDS)[folds])
    errors = to_numpy(sum_left(basis, _fold_errors, *rows, member, shared=(*shared, *range_)))
    own = _choice_without(errors)[folds]
    wanted = np.unique(own)
    kept = [shared[0], shared[1][:, wanted], None, shared[3][wanted]]
    shape = (basis.rank, columns.shape[1], len(alphas))
    kept[2] = shared[2].reshape(shape)[:, :, wanted].reshape(basis.rank, shape[1] * len(wanted))
    chosen = on_device(basis, np.searchsorted(wanted, own)[:, None] == np.arange(len(wanted)))
    parts = map_left(basis, _chosen_scores, *rows, chosen, shared=tuple(kept))
    scores = to_numpy(xp.concatenate(list(parts), axis=0)).astype(float)
    return _measured(basis, targets, scores, errors)


def _measured(basis, targets, scores, errors, group=None):
    """Return scores measured from the intercept of the fit to all rows.

    The mean of the other targets is lower for rows of the upper class: where little else is
    learned, that alone would separate the classes.
    """
    share = to_numpy(basis.share) * to_numpy(basis.part)
    group = np.arange(len(share)) if group is None else group
    columns = targets.reshape(len(targets), -1)
    centred = columns - to_numpy(basis.share) @ columns
    own = np.stack([np.bincount(group, share * column) for column in centred.T], axis=1)
    room = np.maximum(1.0 - np.bincount(group, share), 1e-10)
    scores = scores + (own / room[:, None])[group]
    total = errors.sum(0)
    return HeldOut(scores.reshape(targets.shape), total, int(np.argmin(total)))


def _choice_without(errors):
    """Return the best penalty for each fold by the errors of the others."""
    return np.argmin(errors.sum(0) - errors, axis=1)


def _fold_errors(block, targets, roots, share, part, member, *arguments):
    """Add up bounded squared errors of a block of rows by fold and penalty."""
    *others, low, high = arguments
    scores = _loo_block(block, targets, roots, share, part, *others).scores
    error = (targets[:, :, None] - get_backend(block).clip(scores, low, high)) ** 2
    return member.T @ (error.sum(1) * (roots * roots)[:, None])


def _chosen_scores(block, targets, roots, share, part, chosen, *arguments):
    """Return the scores of a block of rows, each at its own penalty."""
    scores = _loo_block(block, targets, roots, share, part, *arguments).scores
    return (scores * chosen[:, None, :]).sum(2)


def _of_groups(basis, targets, alphas, folds, group):
    """Score each row by a fit without its group."""
    paths = to_numpy(group_path(basis, on_device(basis, targets), alphas, group)).astype(float)
    columns = targets.reshape(len(targets), -1)[:, :, None]
    bounded = np.clip(paths, targets.min() - _BOUND, targets.max() + _BOUND)
    weights = to_numpy(basis.sqrt_weights) ** 2
    error = ((columns - bounded) ** 2).sum(1) * weights[:, None]
    errors = np.eye(_N_FOLDS)[folds].T @ error
    own = _choice_without(errors)[folds]
    scores = np.take_along_axis(paths, own[:, None, None], axis=2)[:, :, 0]
    return _measured(basis, targets, scores, errors, group)


def kernel_evidence(X, centre, norms, key, linear, targets, weights, labels, folds, group=None):
    """Return held-out scores that a kernel has improved, where it can, to judge labels by."""
    if X.shape[0] > _MOST_ROWS:
        return linear
    features = _kernel_features(X, centre, norms, key)
    found = [
        held_out(
            ridge_basis(columns, weights, part=labels.part),
            targets,
            _KERNEL_PENALTIES / labels.size,
            folds,
            group,
        )
        for columns in features
    ]
    best = min(found, key=lambda fit: fit.errors.min(), default=None)
    return linear if best is None else _stacked(linear, best.scores, targets, weights)


def _kernel_features(X, centre, norms, key):
    """Yield the features of radial kernels: their values at some rows, whitened."""
    n = X.shape[0]
    count = min(_LANDMARKS, n)
    landmarks = np.sort(np.argsort(key, kind="stable")[np.linspace(0, n - 1, count).astype(int)])
    points = _host(to_local(take_rows(X, np.isin(np.arange(n), landmarks)))) - centre
    square = norms**2
    cross = row_values(_products, X, shared=(centre, points.T))
    distances = np.maximum(square[:, None] + square[landmarks] - 2.0 * cross, 0.0)
    middle = np.median(pdist(points, "sqeuclidean")) if count > 1 else 0.0
    if not (middle > 0 and np.isfinite(middle)):
        return
    for width in _WIDTHS:
        kernel = np.exp(-width / middle * distances)
        values, vectors = np.linalg.eigh(kernel[landmarks])
        kept = values > 1e-8 * values[-1]
        yield kernel @ (vectors[:, kept] / np.sqrt(values[kept]))


def _stacked(first, second, targets, weights):
    """Return the mean of two held-out scores that predicts the targets best."""
    change, share = second - first, weights / weights.sum()
    power = share @ _row_sums(change**2)
    if not power > 0:
        return first
    gain = share @ _row_sums(change * (targets - first))
    # Half the variance of the change is what the better score owes to chance.
    owed = 0.5 * share @ _row_sums((change - share @ change) ** 2) / len(first)
    weight = float(np.clip((gain - owed) / power, 0.0, 1.0))
    return first if weight < _SMALLEST_SHARE else first + weight * change


def _row_sums(values):
    """Return sums over columns, if there are any."""
    return values if values.ndim == 1 else values.sum(1)


def _host(x):
    """Return an array, sparse matrix or tensor as a dense NumPy array."""
    return x.toarray() if hasattr(x, "toarray") else to_numpy(x).astype(float)


def _products(X, centre, vectors):
    """Return the products of centred rows with vectors."""
    parts = []
    for part in _centred_blocks(X, centre):
        like = get_backend(part).asarray(vectors, like=part) if is_torch(part) else vectors
        parts.append(_host(part @ like))
    return np.concatenate(parts)


def on_device(basis, targets):
    """Return targets as an array beside those of the basis."""
    xp = get_backend(basis.scale)
    return xp.asarray(targets, like=basis.scale, dtype="float64")
