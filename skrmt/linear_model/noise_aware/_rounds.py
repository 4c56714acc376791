"""Ridge fits to noisy labels, sharpened by soft relabelling, from one decomposition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg import get_backend, loo_scores, loo_squared_error, to_numpy
from ._label_models import BinaryState, ClassState, binary_state, class_state
from ._onsager import onsager

_LARGEST_LOSS = 2.0


class Round(NamedTuple):
    """One ridge fit and what its leave-one-out scores show.

    Attributes
    ----------
    targets : ndarray of shape (n,) or (n, K)
        Targets of the fit.
    index : int
        Index of its penalty on the path.
    scores : ndarray of shape (n,) or (n, K)
        Leave-one-out scores, free of the memory of their own labels.
    state : BinaryState or ClassState
        Laws of the scores and noise of the labels.
    """

    targets: np.ndarray
    index: int
    scores: np.ndarray
    state: BinaryState | ClassState


def relabelled_fit(basis, data, alphas, n_relabel):
    r"""Fit noisy labels, then their posterior means, and stop before it hurts."""
    current = first_fit(basis, data, alphas, data.first_targets())
    for iteration in range(n_relabel):
        if data.is_clean or not current.state.separated:
            return current, iteration
        candidate = _relabel(basis, data, alphas, current)
        loss = _label_fit_at(current, candidate, data) - candidate.state.label_fit(data)
        if not (loss <= _LARGEST_LOSS and candidate.state.separated):
            return current, iteration
        current = candidate
    return current, n_relabel


def first_fit(basis, data, alphas, targets, previous=None):
    """Fit given targets."""
    index = int(np.argmin(_errors(basis, targets, alphas)))
    scores = common_intercept(basis, targets, _scores(basis, targets, alphas[index]))
    return Round(targets, index, scores, _state(scores, data, previous))


def _relabel(basis, data, alphas, current):
    """Fit the posterior means of the classes given the current scores and the labels."""
    targets, slopes = current.state.soft_targets(current.scores)
    wanted = int(np.argmin(_errors(basis, targets, alphas)))
    index = (current.index + wanted + 1) // 2
    scores = _scores(basis, targets, alphas[index])
    scores = scores - _memory(basis, alphas[current.index], alphas[index], slopes, current.targets)
    scores = common_intercept(basis, targets, scores)
    return Round(targets, index, scores, _state(scores, data, current.state))


def _memory(basis, previous, alpha, slopes, targets):
    """Return what the scores remember of their own previous targets."""
    basis = basis._replace(fit_intercept=False)
    if targets.ndim == 1:
        return to_numpy(onsager(basis, previous, alpha, slopes)) * targets
    common = to_numpy(onsager(basis, previous, alpha, np.ones(len(targets))))
    return common[:, None] * (targets @ slopes.T)


def _label_fit_at(current, candidate, data):
    """Return how well the current scores explain the labels at the candidate's noise."""
    if isinstance(current.state, ClassState) or candidate.state.posterior is None:
        return current.state.label_fit(data)
    known = data._replace(
        noise_matrix=candidate.state.noise_matrix, likelihood=candidate.state.likelihood
    )
    return binary_state(current.scores, known).label_fit(data)


def _state(scores, data, previous=None):
    """Describe the scores of two classes or more."""
    describe = binary_state if data.n_classes == 2 else class_state
    return describe(scores, data, previous)


def _errors(basis, targets, alphas):
    """Return the leave-one-out squared error at every penalty."""
    if len(alphas) == 1:
        return np.zeros(1)
    return to_numpy(loo_squared_error(basis, on_device(basis, targets), alphas)).sum(1)


def _scores(basis, targets, alpha):
    """Return the leave-one-out scores in float64."""
    return to_numpy(loo_scores(basis, on_device(basis, targets), alpha)[0]).astype(float)


def common_intercept(basis, targets, scores):
    r"""Measure leave-one-out scores from the intercept of the whole fit."""
    share = to_numpy(basis.share)
    if not basis.fit_intercept or len(share) < 2:
        return scores
    pull = share / np.maximum(1.0 - share, 1e-10)
    centred = targets - share @ targets
    return scores + (pull * centred.T).T


def on_device(basis, targets):
    """Return targets as an array beside those of the basis."""
    xp = get_backend(basis.scale)
    return xp.asarray(targets, like=basis.scale, dtype="float64")
