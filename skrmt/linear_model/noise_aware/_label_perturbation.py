"""The labels-perturbed classifier: targets that undo the noise of the labels."""

from __future__ import annotations

import numpy as np

from ...theory.noisy_labels import optimal_perturbation
from ._rounds import first_fit


def perturbed_fit(basis, data, alphas, perturbation):
    r"""Fit the labels-perturbed classifier."""
    _check_pair(perturbation, data)
    state = None
    known = data
    if data.likelihood is None:
        state = first_fit(basis, data, alphas, data.first_targets()).state
        known = data._replace(noise_matrix=state.noise_matrix, prior=state.prior)
    targets, pair = _targets(known, perturbation)
    return first_fit(basis, data, alphas, targets, state), pair


def _targets(data, perturbation):
    """Return the perturbed targets, and the weights of the loss for two classes."""
    nothing = np.full(2, np.nan)
    if data.noise_matrix is None:
        if perturbation != "optimal":
            raise ValueError(
                f"perturbation={perturbation!r} needs noise that depends on the class alone, but "
                "rows have their own: use perturbation='optimal'."
            )
        return data.first_targets(), nothing
    if data.n_classes > 2:
        return _class_targets(data, perturbation)[data.observed], nothing
    pair = _pair(data, perturbation)
    signs = 2.0 * data.observed - 1.0
    return (signs + pair[1] - pair[0]) / (1.0 - pair.sum()), pair


def _pair(data, perturbation):
    """Return the weights of the perturbed loss of two classes."""
    if not isinstance(perturbation, str):
        return np.asarray(perturbation, dtype=float)
    rates = data.noise_matrix[[0, 1], [1, 0]]
    if perturbation == "optimal":
        return np.array(optimal_perturbation(data.implied_prior()[1], rates, rho_negative=None))
    return rates if perturbation == "unbiased" else np.zeros(2)


def _class_targets(data, perturbation):
    """Return the targets of the K observed labels, one row each."""
    if perturbation == "unbiased":
        return np.linalg.inv(data.noise_matrix)
    if perturbation == "naive":
        return np.eye(data.n_classes)
    joint = data.noise_matrix.T * data.implied_prior()
    return joint / np.maximum(joint.sum(1, keepdims=True), 1e-300)


def _check_pair(perturbation, data):
    """Raise if a pair of weights is not one, or turns the classifier over."""
    if isinstance(perturbation, str):
        return
    pair = np.asarray(perturbation, dtype=float)
    if pair.shape != (2,) or not np.isfinite(pair).all() or data.n_classes != 2:
        raise ValueError(
            f"perturbation={perturbation!r} must be 'optimal', 'unbiased', 'naive' or, for two "
            "classes, a pair of finite numbers (rho_-, rho_+)."
        )
    if pair.sum() >= 1:
        raise ValueError(
            f"perturbation={perturbation!r} has sum {pair.sum():.4g}: from 1 on the targets change "
            "sign. Only rho_+ - rho_- matters: subtract the same number from both."
        )
