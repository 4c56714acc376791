"""Ridge fits to noisy labels, sharpened by soft relabelling, from one decomposition."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg import get_backend, loo_scores, loo_squared_error, to_numpy
from ...theory.noisy_labels import optimal_perturbation
from ._label_models import BinaryState, ClassState, binary_state, class_state
from ._onsager import onsager

_LARGEST_LOSS = 2.0
"""Log-likelihood of the observed labels that a round may lose and still be kept.

It is that of about one label: a round that loses more has fitted its own guesses.
"""


class Round(NamedTuple):
    """One ridge fit and what its held-out scores show.

    Attributes
    ----------
    targets : ndarray of shape (n,) or (n, K)
        Targets of the fit.
    alpha_index : int
        Index of its penalty on the path.
    scores : ndarray of shape (n,) or (n, K)
        Held-out scores, which do not depend on the labels of their own rows.
    state : BinaryState or ClassState
        Laws of the scores and noise of the labels.
    n_iter : int
        Number of rounds of relabelling before.
    """

    targets: np.ndarray
    alpha_index: int
    scores: np.ndarray
    state: BinaryState | ClassState
    n_iter: int = 0


def relabelled_fit(basis, labels, alphas, n_relabel):
    """Fit noisy labels, then their posterior means, and stop before it hurts."""
    current = first_fit(basis, labels, alphas, labels.first_targets())
    for _ in range(n_relabel):
        if labels.is_clean or not current.state.separated:
            return current
        candidate = _relabel(basis, labels, alphas, current)
        loss = _label_fit_at(current, candidate, labels) - candidate.state.label_fit(labels)
        if not (loss <= _LARGEST_LOSS and candidate.state.separated):
            return current
        current = candidate
    return current


def first_fit(basis, labels, alphas, targets, previous=None):
    """Fit given targets."""
    index = int(np.argmin(_errors(basis, targets, alphas)))
    scores = common_intercept(basis, targets, _scores(basis, targets, alphas[index]))
    return Round(targets, index, scores, _state(scores, labels, previous))


def perturbed_fit(basis, labels, alphas, perturbation):
    """Fit the labels-perturbed classifier; return it and the weights of its loss."""
    _check_perturbation(perturbation, labels.n_classes)
    state = None
    known = labels
    if labels.likelihood is None:
        state = first_fit(basis, labels, alphas, labels.first_targets()).state
        known = labels._replace(noise_matrix=state.noise_matrix, prior=state.prior)
    targets, pair = _perturbed_targets(known, perturbation)
    return first_fit(basis, labels, alphas, targets, state), pair


def _relabel(basis, labels, alphas, current):
    """Fit the posterior means of the classes given the current scores and the labels."""
    targets, slopes = current.state.soft_targets(current.scores)
    wanted = int(np.argmin(_errors(basis, targets, alphas)))
    index = (current.alpha_index + wanted + 1) // 2
    previous, alpha = alphas[current.alpha_index], alphas[index]
    scores = _scores(basis, targets, alpha)
    own = _own_label_effect(basis, previous, alpha, slopes, current.targets)
    scores = common_intercept(basis, targets, scores - own)
    return Round(targets, index, scores, _state(scores, labels, current.state), current.n_iter + 1)


def _own_label_effect(basis, previous, alpha, slopes, targets):
    """Return what relabelling carried of each row's own label into its held-out score."""
    basis = basis._replace(fit_intercept=False)
    if targets.ndim == 1:
        return to_numpy(onsager(basis, previous, alpha, slopes)) * targets
    common = to_numpy(onsager(basis, previous, alpha, np.ones(len(targets))))
    return common[:, None] * (targets @ slopes.T)


def _label_fit_at(current, candidate, labels):
    """Return how well the current scores explain the labels at the candidate's noise."""
    if isinstance(current.state, ClassState) or candidate.state.posterior is None:
        return current.state.label_fit(labels)
    known = labels._replace(
        noise_matrix=candidate.state.noise_matrix, likelihood=candidate.state.likelihood
    )
    return binary_state(current.scores, known).label_fit(labels)


def _state(scores, labels, previous=None):
    """Describe the scores of two classes or more."""
    describe = binary_state if labels.n_classes == 2 else class_state
    return describe(scores, labels, previous)


def _errors(basis, targets, alphas):
    """Return the leave-one-out squared error at every penalty."""
    if len(alphas) == 1:
        return np.zeros(1)
    return to_numpy(loo_squared_error(basis, on_device(basis, targets), alphas)).sum(1)


def _scores(basis, targets, alpha):
    """Return the leave-one-out scores in float64."""
    return to_numpy(loo_scores(basis, on_device(basis, targets), alpha)[0]).astype(float)


def common_intercept(basis, targets, scores):
    """Measure leave-one-out scores from the intercept of the whole fit."""
    share = to_numpy(basis.share)
    if not basis.fit_intercept or len(share) < 2:
        return scores
    left_out = share * to_numpy(basis.part)
    pull = left_out / np.maximum(1.0 - left_out, 1e-10)
    centred = targets - share @ targets
    return scores + (pull * centred.T).T


def on_device(basis, targets):
    """Return targets as an array beside those of the basis."""
    xp = get_backend(basis.scale)
    return xp.asarray(targets, like=basis.scale, dtype="float64")


def _perturbed_targets(labels, perturbation):
    """Return the perturbed targets, and the weights of the loss for two classes."""
    nothing = np.full(2, np.nan)
    if labels.noise_matrix is None:
        if perturbation != "optimal":
            raise ValueError(
                f"perturbation={perturbation!r} needs noise that depends on the class alone, but "
                "rows have their own: use perturbation='optimal'."
            )
        return labels.first_targets(), nothing
    if labels.n_classes > 2:
        return _class_targets(labels, perturbation)[labels.observed], nothing
    pair = _loss_weights(labels, perturbation)
    signs = 2.0 * labels.observed - 1.0
    return (signs + pair[1] - pair[0]) / (1.0 - pair.sum()), pair


def _loss_weights(labels, perturbation):
    """Return the weights of the perturbed loss of two classes."""
    if not isinstance(perturbation, str):
        return np.asarray(perturbation, dtype=float)
    rates = labels.noise_matrix[[0, 1], [1, 0]]
    if perturbation == "optimal":
        return np.array(optimal_perturbation(labels.implied_prior()[1], rates, rho_negative=None))
    return rates if perturbation == "unbiased" else np.zeros(2)


def _class_targets(labels, perturbation):
    """Return the targets of the K observed labels, one row per label."""
    if perturbation == "unbiased":
        return np.linalg.inv(labels.noise_matrix)
    if perturbation == "naive":
        return np.eye(labels.n_classes)
    joint = labels.noise_matrix.T * labels.implied_prior()
    return joint / np.maximum(joint.sum(1, keepdims=True), 1e-300)


def _check_perturbation(perturbation, n_classes):
    """Raise if a pair of weights is not one, or turns the classifier over."""
    if isinstance(perturbation, str):
        return
    pair = np.asarray(perturbation, dtype=float)
    if pair.shape != (2,) or not np.isfinite(pair).all() or n_classes != 2:
        raise ValueError(
            f"perturbation={perturbation!r} must be 'optimal', 'unbiased', 'naive' or, for two "
            "classes, a pair of finite numbers (rho_-, rho_+)."
        )
    if pair.sum() >= 1:
        raise ValueError(
            f"perturbation={perturbation!r} has sum {pair.sum():.4g}: from 1 on the targets change "
            "sign. Only rho_+ - rho_- matters: subtract the same number from both."
        )
