"""Predicted accuracy along the penalties of one decomposition."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from ..estimation import fit_class_mixture, fit_score_mixture, rates_likelihood, score_sample
from ..linalg import loo_path, to_numpy
from ._relabelling import common_intercept, on_device

_BINS = 32
_ITERATIONS = 12


def accuracy_path(basis, fit, data, attributes):
    """Predict the accuracy at every penalty, the targets being those of the last fit.

    Parameters
    ----------
    basis : RidgeBasis
        Decomposition of the data.
    fit : Round
        Last fit.
    data : LabelData
        Labels.
    attributes : dict
        With `alphas_` and `theoretical_accuracy_`.

    Returns
    -------
    ndarray of shape (k,)
        Gaussian accuracy of the leave-one-out scores at each penalty, shifted so that it is
        `theoretical_accuracy_` at the one chosen, and clipped to [0, 1].
    """
    alphas = attributes["alphas_"]
    if len(alphas) == 1:
        return np.array([attributes["theoretical_accuracy_"]])
    scores = to_numpy(loo_path(basis, on_device(basis, fit.targets), alphas)[0]).astype(float)
    scores = _without_memory(basis, fit, alphas, scores)
    binary = data.n_classes == 2
    path = _binary_path(fit, data, scores[:, 0]) if binary else _class_path(fit, data, scores)
    shift = attributes["theoretical_accuracy_"] - path[fit.index]
    return np.clip(path + shift, 0.0, 1.0)


def _without_memory(basis, fit, alphas, scores):
    """Remove from the scores their memory of previous targets, known at one penalty.

    It is the chosen penalty's, times the ratio of the mean gains of the spectrum.
    """
    columns = fit.targets.reshape(len(fit.targets), -1)
    scores = np.stack(
        [common_intercept(basis, columns, scores[:, :, k]) for k in range(len(alphas))], axis=2
    )
    exact = scores[:, :, fit.index] - fit.scores.reshape(columns.shape)
    spectrum = to_numpy(basis.scale).astype(float)
    penalties = basis.total_weight * alphas / float(basis.unit) ** 2
    gains = (1.0 / (spectrum[:, None] + np.where(np.isinf(penalties), 0.0, penalties))).T
    gains = np.where(np.isinf(penalties)[:, None], 1.0 / basis.total_weight, gains) * spectrum
    ratio = gains.sum(1) / max(gains[fit.index].sum(), 1e-300)
    return scores - exact[:, :, None] * ratio


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
