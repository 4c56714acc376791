"""Targets of the labels-perturbed classifier."""

from __future__ import annotations

import numpy as np

from ...theory.noisy_labels import optimal_perturbation


def perturbed_targets(labels, perturbation):
    """Return the perturbed targets, and the weights of the loss for two classes."""
    _check_perturbation(perturbation, labels.n_classes)
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
        return np.array(perturbation, dtype=float)
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
