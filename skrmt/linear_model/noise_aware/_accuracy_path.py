"""Predicted accuracy along the penalties of one decomposition."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from ...linalg import loo_path, loo_scores, to_numpy
from ...model_selection._clean_labels import (
    fit_class_mixture,
    fit_score_mixture,
    rates_likelihood,
    score_sample,
)
from ._rounds import common_intercept, on_device

_BINS = 32
_ITERATIONS = 12
_STREAMED = 4


def accuracy_path(basis, fit, data, attributes):
    """Predict the accuracy at every penalty, the targets being those of the last fit."""
    alphas = attributes["alphas_"]
    if len(alphas) == 1:
        return np.array([attributes["theoretical_accuracy_"]])
    n_targets = 1 if fit.targets.ndim == 1 else fit.targets.shape[1]
    room = len(basis.mean) // 8 if basis.left is not None else _STREAMED
    width = int(np.clip(room // n_targets, 1, len(alphas)))
    parts = [alphas[start : start + width] for start in range(0, len(alphas), width)]
    path = np.concatenate([_gaussian_accuracy(basis, fit, data, alphas, part) for part in parts])
    shift = attributes["theoretical_accuracy_"] - path[fit.index]
    return np.clip(path + shift, 0.0, 1.0)


def _gaussian_accuracy(basis, fit, data, alphas, part):
    """Return the Gaussian accuracy at some penalties, few enough for their scores to be held."""
    columns = fit.targets.reshape(len(fit.targets), -1)
    scores = to_numpy(loo_path(basis, on_device(basis, columns), part)[0]).astype(float)
    scores += _intercept_pull(basis, columns)[:, :, None]
    gains = _mean_gains(basis, np.append(part, alphas[fit.index]))
    exact = loo_scores(basis, on_device(basis, columns), alphas[fit.index])[0]
    memory = to_numpy(exact) + _intercept_pull(basis, columns) - fit.scores.reshape(columns.shape)
    scores -= memory[:, :, None] * (gains[:-1] / max(gains[-1], 1e-300))
    if data.n_classes == 2:
        return _binary_path(fit, data, scores[:, 0])
    return _class_path(fit, data, scores)


def _intercept_pull(basis, targets):
    """Return what `common_intercept` adds to scores."""
    return common_intercept(basis, targets, np.zeros_like(targets))


def _mean_gains(basis, alphas):
    """Return the sum of the gains of the spectrum, to which memory is about proportional."""
    spectrum = to_numpy(basis.scale).astype(float)[:, None]
    penalties = basis.total_weight * alphas
    finite = np.isfinite(penalties)
    damped = spectrum / (spectrum + np.where(finite, penalties, 1.0))
    return np.where(finite, damped, spectrum / basis.total_weight).sum(0)


def _binary_path(fit, data, scores):
    """Return the Gaussian accuracy of two classes at every penalty."""
    shared = fit.state.posterior is not None
    observed = data.observed == 1 if shared else None
    sample = score_sample(scores, data.weights, observed, size=data.size, n_bins=_BINS)
    if shared:
        likelihood = rates_likelihood(sample.observed, fit.state.posterior.mean[:, None])
    else:
        likelihood = fit.state.likelihood.T[:, :, None]
    prior = np.repeat(fit.state.mixture.prior[:1], scores.shape[1])
    return fit_score_mixture(sample, likelihood, prior, n_iter=_ITERATIONS).accuracy()


def _class_path(fit, data, scores):
    """Return the Gaussian accuracy of K classes at every penalty."""
    weights = data.weights / data.weights.sum()
    path = []
    for column in np.moveaxis(scores, 2, 0):
        column = column / (column.std() or 1.0)
        mixture = fit_class_mixture(
            column, fit.state.likelihood, fit.state.prior, data.weights, n_iter=_ITERATIONS // 2
        )
        logits = column @ mixture.directions.T + mixture.offsets
        path.append(weights @ softmax(logits, axis=1).max(1))
    return np.array(path)
