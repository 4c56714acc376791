"""Ridge scores of rows that neither the fit nor the choice of its penalty has seen."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ...linalg import (
    RidgeBasis,
    coefficients,
    get_backend,
    group_path,
    ridge_basis,
    to_numpy,
)
from ...linalg._ridge_basis import map_left, sum_left
from ...linalg._ridge_path import _loo_arguments, _targets, left_rows, scores_across
from ...model_selection._clean_labels import without_rounding
from ...utils._dask import is_dask
from ...utils._scratch import Scratch
from ...utils._warnings import warn
from ._block_scores import N_FOLDS, largest_leverage, scores_of_blocks, sums_of_scores
from ._sparse_ridge import SparseRidge, fold_path, sparse_coefficients, squared_distances

_SLOW = (
    "Fits to wide sparse data have not converged at the smallest penalties: scores there are those "
    "of a larger one. Give larger alpha, or 'auto'."
)
_BOUND = 1.0
"""Excess of a score over the range of the targets from which an error counts no more.

One row far from all others would choose the penalty otherwise.
"""

_MOST_ROWS = 20_000
"""Rows up to which a kernel looks for structure that no linear score has: 16 MB of features."""

_LANDMARKS = 100
"""Rows that span the features of the kernel: enough to see that classes can be separated."""

_WIDTHS = (0.25, 1.0)
"""Inverse widths of the kernel, over the median squared distance of rows."""

_SPANNED = 1e-6
"""Eigenvalue of the kernel over the largest down to which features are kept.

Whitening multiplies rounding by its inverse root: less would show which container the rows had.
"""

_KERNEL_PENALTIES = np.logspace(-2.0, 2.5, 7)
"""Penalties of the kernel ridge, for a kernel of diagonal 1."""

_SMALLEST_SHARE = 0.02
"""Share of the kernel's score below which it adds nothing."""


class HeldOut(NamedTuple):
    """Held-out scores of the targets of a fit.

    Attributes
    ----------
    scores : ndarray of shape (n,) or (n, K)
        Score of each row by the fit without it, its group or its fold, at the penalty that the
        rows of other folds choose.
    errors : ndarray of shape (k,)
        Mean bounded squared error at every penalty.
    alpha_index : int
        Penalty chosen by all rows.
    centres : ndarray of shape (q, k)
        Means of the scores of each target at every penalty.
    spreads : ndarray of shape (k,)
        Their standard deviation, over all targets.
    distances : ndarray of shape (n, m) or None
        Squared distances from the rows that are landmarks, in some unit.
    alphas : ndarray of shape (k,)
        Penalties tried.
    paths : ndarray of shape (n, q, k) or None
        Scores at every penalty, where fits without folds have computed them.
    leverage : float
        What no leverage at the smallest penalty exceeds, infinite where none is known.
    """

    @property
    def kind(self) -> str:
        """How rows were left out: "exact" by closed forms, or "folds"."""
        return "exact" if self.paths is None else "folds"

    scores: np.ndarray
    errors: np.ndarray
    alpha_index: int
    centres: np.ndarray
    spreads: np.ndarray
    distances: np.ndarray | None = None
    alphas: Any = None
    paths: np.ndarray | None = None
    leverage: float = np.inf


def content_folds(key, observed, group=None):
    """Return a fold for each distinct row, or group, that follows from the rows' content."""
    if group is None:
        order, member = _sorted_by(observed, key), slice(None)
    else:
        rows = np.lexsort((observed, key))
        first = rows[np.unique(group[rows], return_index=True)[1]]
        order, member = _sorted_by(observed[first], key[first]), group
    fold = np.empty(len(order), dtype=np.uint8)
    fold[order] = np.arange(len(order)) % N_FOLDS
    return fold[member]


def _sorted_by(codes, key):
    """Return the order of rows by codes, by a key among equal ones, and then as they are."""
    order = np.argsort(key)
    ordered = key[order]
    if (ordered[1:] == ordered[:-1]).any():
        return np.lexsort((key, codes))
    # Codes of few values are sorted in a fraction of the time of the key.
    few = codes[order].astype(np.min_scalar_type(int(codes.max(initial=0))))
    return order[np.argsort(few, kind="stable")]


def share_of_fold(part):
    """Return what a fold leaves out of the weight of rows of which one unit at a time goes out.

    Rows that stand for many observations are in every fold, as far as those can be divided.
    """
    return np.where(part < 1.0, np.maximum(part, 1.0 / N_FOLDS), 1.0)


def choose_landmarks(key):
    """Return the rows that span the features of a kernel; none for too many rows."""
    n = len(key)
    if n > _MOST_ROWS:
        return np.zeros(0, dtype=int)
    places = np.linspace(0, n - 1, min(_LANDMARKS, n)).astype(int)
    return np.sort(np.argsort(key, kind="stable")[places])


def known_targets(labels):
    """Return targets (n, q), or codes of classes of rows whose targets are equal, now and later."""
    if not labels.known_by_row:
        return labels.observed
    targets = labels.first_targets()
    return targets.reshape(len(targets), -1)


def held_out(
    basis: RidgeBasis | SparseRidge,
    targets,
    alphas,
    folds,
    group=None,
    landmarks=(),
    choose=True,
) -> HeldOut:
    """Score each row by a fit without it, at a penalty chosen without its fold.

    Unless the penalties are to `choose` from, all of them are fitted, however slow.
    """
    landmarks = np.asarray(landmarks, dtype=int)
    if isinstance(basis, SparseRidge):
        fit = _of_folds(basis, targets, alphas, folds, choose)
        found = squared_distances(basis, landmarks) if len(landmarks) > 0 else None
        return fit._replace(distances=found)
    near = _landmark_arguments(basis, landmarks)
    if group is not None and is_dask(basis.data):
        raise ValueError(
            "groups are left out with all their rows, which must be in memory, but X is a Dask "
            "array: pass X.compute(), or no groups."
        )
    if group is None:
        fit, sums = _of_rows(basis, targets, alphas, folds, near)
    else:
        fit, sums = _of_groups(basis, targets, alphas, folds, group), None
        if len(landmarks) > 0:
            parts = map_left(basis, _landmark_sums, basis.sqrt_weights, shared=near)
            sums = _joined(basis, parts)
    fit = fit._replace(alphas=alphas)
    # Where columns say nothing, scores are targets whose rounding, rescaled, would say much. At an
    # infinite penalty they have a unit of their own.
    large = basis.rank == 0 or np.isfinite(alphas).all()
    fit = fit._replace(scores=without_rounding(fit.scores, large * abs(targets).max()))
    return fit if len(landmarks) == 0 else fit._replace(distances=_distances(sums, landmarks))


def _of_rows(basis, targets, alphas, folds, near):
    """Score each row by a fit without it; also return what gives distances from landmarks."""
    if is_dask(basis.data):
        return _of_blocks(basis, targets, alphas, folds, near)
    columns, means = _targets(basis, on_device(basis, targets))
    rows, shared = _loo_arguments(basis, columns, means, alphas)
    bounds = float(targets.min()) - _BOUND, float(targets.max()) + _BOUND
    pull = pull_of_own(basis, targets)
    extra = on_device(basis, folds), on_device(basis, pull)
    function = with_scratch(basis, _fold_errors)
    sums = tuple(map(to_numpy, sum_left(basis, function, *rows, *extra, shared=(*shared, bounds))))
    own = _choice_without(sums[0])[folds]
    wanted = np.unique(own)
    n_targets, (_, gain, filters, finite) = columns.shape[1], shared
    filters = filters.reshape(basis.rank, n_targets, len(alphas))[:, :, wanted]
    filters = filters.reshape(basis.rank, n_targets * len(wanted))
    kept = means, gain[:, wanted], filters, finite[wanted]
    chosen = on_device(basis, np.searchsorted(wanted, own))
    function = with_scratch(basis, _chosen_scores)
    found = _joined(basis, map_left(basis, function, *rows, chosen, shared=(*near, *kept)))
    scores, beside = found[:, :n_targets] + pull, found[:, n_targets:]
    return _gathered(basis, targets, scores, *sums), beside


def _of_blocks(basis, targets, alphas, folds, near):
    """Score each row by a fit without it where rows lie in the blocks of a Dask array."""
    bounds = float(targets.min()) - _BOUND, float(targets.max()) + _BOUND
    beside = _landmark_sums, _pieces_of_landmarks(basis.data, *near)
    scores, sums, found = scores_of_blocks(
        basis, targets, alphas, folds, bounds, _choice_without, beside
    )
    if found:
        found = np.concatenate([found[0], *(part[:, 1:] for part in found[1:])], axis=1)
    return _gathered(basis, targets, scores, *sums), found


def with_scratch(basis, function):
    """Return a function of blocks in memory with arrays to write over, as far as NumPy has them."""
    is_numpy = isinstance(basis.scale, np.ndarray)
    return partial(function, scratch=Scratch()) if is_numpy else function


def _pieces_of_landmarks(data, landmarks, scale):
    """Return arguments for some landmarks at a time: products take half a block of rows at most."""
    size = max(1, data.shape[1] * data.dtype.itemsize // 16)
    starts = range(0, landmarks.shape[1], size)
    return [(landmarks[:, start : start + size], scale) for start in starts]


def _joined(basis, parts):
    """Join what blocks of rows give, in double precision in memory."""
    return to_numpy(get_backend(basis.scale).concatenate(list(parts), axis=0)).astype(float)


def _landmark_arguments(basis, landmarks):
    """Return what the blocks of U need for products of centred rows with landmarks."""
    left = left_rows(basis, landmarks) / basis.sqrt_weights[landmarks][:, None]
    return basis.scale[:, None] * get_backend(left).transpose(left), basis.scale[:, None]


def _landmark_sums(block, roots, landmarks, scale):
    """Return the squared norms of centred rows, and their products with landmarks."""
    squares = ((block * block) @ scale) / (roots * roots)[:, None]
    return get_backend(block).concatenate([squares, (block @ landmarks) / roots[:, None]], axis=1)


def _distances(sums, landmarks):
    """Return squared distances from landmarks."""
    square, products = sums[:, :1], sums[:, 1:]
    return np.maximum(square + square[landmarks, 0] - 2.0 * products, 0.0)


def pull_of_own(basis, targets, group=None):
    """Return what makes scores those measured from the intercept of the fit to all rows, (n, q).

    The mean of the other targets is lower for rows of the upper class: where little else is
    learned, that alone would separate the classes.
    """
    share = to_numpy(basis.share) * to_numpy(basis.part)
    group = np.arange(len(share)) if group is None else group
    columns = targets.reshape(len(targets), -1)
    centred = columns - to_numpy(basis.share) @ columns
    own = np.stack([np.bincount(group, share * column) for column in centred.T], axis=1)
    room = np.maximum(1.0 - np.bincount(group, share), 1e-10)
    return (own / room[:, None])[group]


def _gathered(basis, targets, scores, errors, first, second, powers=np.inf):
    """Gather scores, errors of folds, and the sums of scores and of their squares."""
    total, size = errors.sum(0), row_weights(basis).sum()
    centres = first / size
    spreads = np.sqrt(np.maximum((second / size - centres**2).sum(0), 0.0))
    chosen = int(np.argmin(total))
    leverage = largest_leverage(powers)
    scores = scores.reshape(targets.shape)
    return HeldOut(scores, total, chosen, centres, spreads, leverage=leverage)


def _choice_without(errors):
    """Return the best penalty for each fold by the errors of the others."""
    return np.argmin(errors.sum(0) - errors, axis=1)


def _indicators(block, codes, size):
    """Return which code from 0 each row has, one column for each."""
    xp = get_backend(block)
    values = xp.asarray(np.arange(float(size)), like=block, dtype="float64")
    return xp.asarray(codes[:, None] == values, like=block, dtype="float64")


def _fold_errors(block, targets, roots, share, part, folds, pull, *arguments, scratch=None):
    """Add up what the scores of a block of rows say of every penalty, see `sums_of_scores`."""
    *others, bounds = arguments
    scores, room = scores_across(block, targets, roots, share, part, *others, scratch=scratch)
    member = _indicators(block, folds, N_FOLDS).T
    pull = pull.T[:, None, :]
    return sums_of_scores(scores, room, targets, roots, member, pull, bounds, scratch)


def _chosen_scores(
    block, targets, roots, share, part, chosen, landmarks, scale, *arguments, scratch=None
):
    """Return the scores of a block of rows, each at its own penalty, and sums of landmarks."""
    scores, _ = scores_across(block, targets, roots, share, part, *arguments, scratch=scratch)
    own = (scores * _indicators(block, chosen, scores.shape[1]).T).sum(1).T
    near = _landmark_sums(block, roots, landmarks, scale)
    return get_backend(block).concatenate([own, near], axis=1)


def group_scores(basis, targets, alphas, group):
    """Return scores (n, q, k) of rows by fits without their group, at every penalty."""
    return to_numpy(group_path(basis, on_device(basis, targets), alphas, group)).astype(float)


def _of_groups(basis, targets, alphas, folds, group):
    """Score each row by a fit without its group."""
    paths = group_scores(basis, targets, alphas, group)
    return _at_chosen(basis, targets, paths, folds, group)


def _of_folds(basis, targets, alphas, folds, choose):
    """Score each row by a fit without its fold, at the penalties at which the fits converge."""
    path = fold_path(basis, targets, alphas, folds, all_penalties=not choose)
    if choose:
        alphas = alphas[path.converged]
        path = path._replace(scores=path.scores[:, :, path.converged])
    elif not path.converged.all():
        warn(_SLOW, ConvergenceWarning)
    fit = _at_chosen(basis, targets, path.scores, folds, folds)
    return fit._replace(alphas=alphas, paths=path.scores)


def _at_chosen(basis, targets, paths, folds, group):
    """Read the scores of rows without their group from those at every penalty."""
    columns = targets.reshape(len(targets), -1)[:, :, None]
    bounded = np.clip(paths, targets.min() - _BOUND, targets.max() + _BOUND)
    weights = row_weights(basis)
    error = ((columns - bounded) ** 2).sum(1) * weights[:, None]
    errors = np.eye(N_FOLDS)[folds].T @ error
    own = _choice_without(errors)[folds]
    pull = pull_of_own(basis, targets, group)
    scores = np.take_along_axis(paths, own[:, None, None], axis=2)[:, :, 0] + pull
    first, second = _row_moments(paths, pull, weights)
    return _gathered(basis, targets, scores, errors, first, second)


def _row_moments(paths, pull, weights):
    """Return weighted sums (q, k) of scores at every penalty and of their squares."""
    first = np.empty(paths.shape[1:])
    second = np.empty(paths.shape[1:])
    for j in range(paths.shape[1]):
        scores = paths[:, j] + pull[:, [j]]
        first[j], second[j] = weights @ scores, weights @ scores**2
    return first, second


def row_weights(basis):
    """Return the weights of the rows of a fit."""
    if isinstance(basis, SparseRidge):
        return basis.weights
    return to_numpy(basis.sqrt_weights) ** 2


def kernel_evidence(linear: HeldOut, landmarks, targets, weights, labels, folds, group=None):
    """Return held-out scores that a kernel has improved, where it can, to judge labels by."""
    if linear.distances is None:
        return linear.scores
    found = [
        held_out(
            ridge_basis(columns, weights, part=labels.part),
            targets,
            _KERNEL_PENALTIES / labels.size,
            folds,
            group,
        )
        for columns in _kernel_features(linear.distances, landmarks)
    ]
    best = min(found, key=lambda fit: fit.errors.min(), default=None)
    return linear.scores if best is None else _stacked(linear.scores, best.scores, targets, weights)


def _kernel_features(distances, landmarks):
    """Yield the features of radial kernels: their values at some rows, whitened."""
    between = distances[landmarks][np.triu_indices(len(landmarks), 1)]
    middle = np.median(between) if len(between) else 0.0
    if not (middle > 0 and np.isfinite(middle)):
        return
    for width in _WIDTHS:
        kernel = np.exp(-width / middle * distances)
        values, vectors = np.linalg.eigh(kernel[landmarks])
        kept = values > _SPANNED * values[-1]
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


def linear_form(basis, targets, alpha):
    """Return the coefficients (q, p) and the intercepts (q,) of a fit to all rows."""
    if isinstance(basis, SparseRidge):
        return sparse_coefficients(basis, targets, alpha)
    return tuple(map(to_numpy, coefficients(basis, on_device(basis, targets), alpha)))


def on_device(basis, targets):
    """Return targets as an array beside those of the basis."""
    xp = get_backend(basis.scale)
    return xp.asarray(targets, like=basis.scale, dtype="float64")
