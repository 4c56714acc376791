"""Signal of isotropic Gaussian classes in the data, and the accuracy that theory gives it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ...linalg import coefficients, to_numpy
from ...model_selection._clean_labels import class_posterior
from ...theory.noisy_labels import (
    bayes_accuracy,
    best_threshold,
    binary_accuracy,
    gaussian_mixture_ridge,
    intercept_ridge,
    label_quality,
    lpc,
    optimal_shift,
    relabelling_path,
)
from ._rounds import on_device

_SMALLEST_SHARE = 0.01
_LARGEST_SUM = 0.999


class Signal(NamedTuple):
    """Isotropic Gaussian classes like those of the data.

    Attributes
    ----------
    norm : float
        Distance of a class mean from the centre, in standard deviations within classes.
    means : ndarray of shape (K, p) or (1, p)
        Means from their centre in the same unit; half their difference for two classes.
    within : float
        Mean variance of a feature within classes.
    """

    norm: float
    means: np.ndarray
    within: float


def gaussian_signal(basis, state, data):
    r"""Estimate the signal of isotropic Gaussian classes."""
    means, trace, excess = _unmixed_means(basis, state, data)
    prior = state.prior
    binary = len(prior) == 2
    contrasts = np.array([[-0.5, 0.5]]) if binary else np.eye(len(prior)) - prior
    means = contrasts @ means
    seen = (means**2).sum(1)
    noise = trace * np.einsum("ka,ab,kb->k", contrasts, excess, contrasts)
    true = np.maximum(seen - noise, 0.0)
    explained = 4.0 * prior[0] * prior[1] * true[0] if binary else prior @ true
    within = max(trace - explained, _SMALLEST_SHARE * trace) / len(basis.mean)
    if not within > 0:
        return Signal(0.0, means, 0.0)
    scale = np.sqrt(true.sum() / max(seen.sum(), 1e-300) / within)
    return Signal(
        float(np.sqrt((true[0] if binary else prior @ true) / within)), scale * means, within
    )


def model_attributes(signal, data, attributes, method, fit_intercept):
    """Return the accuracies that pure theory gives to such classes."""
    prior, noise = attributes["class_prior_"], attributes["noise_matrix_"]
    penalty = attributes["alpha_"] / signal.within if signal.within > 0 else np.inf
    if data.n_classes > 2:
        result = gaussian_mixture_ridge(signal.means, 1.0, prior, noise, penalty, data.size)
        accuracy, bayes = float(result.accuracy), np.nan
    else:
        ratio, rates = signal.means.shape[1] / data.size, _rates(data, prior, noise)
        bayes = _bayes_accuracy(ratio, signal.norm, prior[1], rates)
        model = _perturbed_accuracy if method == "lpc" else _relabelled_accuracy
        accuracy = model(ratio, penalty, signal.norm, prior[1], rates, attributes, fit_intercept)
    return {"snr_": signal.norm, "model_accuracy_": accuracy, "bayes_accuracy_": bayes}


def _unmixed_means(basis, state, data):
    """Return class means (K, p) from the centre, the total variance, and (K, K) noise of means."""
    label = class_posterior(state.likelihood, state.prior)
    weights = data.weights / data.weights.sum()
    gram = label.T @ (weights[:, None] * label) + 1e-9 * np.eye(data.n_classes)
    unmixing = np.linalg.solve(gram, label.T).T
    means = to_numpy(coefficients(basis, on_device(basis, unmixing), np.inf)[0]).astype(float)
    excess = unmixing.T @ ((weights**2)[:, None] * unmixing)
    trace = float(to_numpy(basis.scale).sum()) / basis.total_weight
    return means, trace, excess


def theory_rates(noise):
    """Return noise rates that theory accepts, with a sum below 1."""
    rates = noise[[0, 1], [1, 0]]
    return tuple(rates * min(1.0, _LARGEST_SUM / max(rates.sum(), 1e-300)))


def _rates(data, prior, noise):
    """Return the rates of the classes or, where rows have their own, one that says as much."""
    if data.likelihood is None or data.noise_matrix is not None:
        return theory_rates(noise)
    label = class_posterior(data.likelihood, prior)
    quality = data.weights @ (label[:, 1] - label[:, 0]) ** 2 / data.weights.sum()

    def excess(rate):
        return label_quality(prior[1], (rate, rate)) - quality

    largest = _LARGEST_SUM / 2.0
    if excess(0.0) <= 0 or excess(largest) >= 0:
        rate = 0.0 if excess(0.0) <= 0 else largest
    else:
        rate = brentq(excess, 0.0, largest)
    return rate, rate


def _bayes_accuracy(ratio, norm, prior, rates):
    """Return the Bayes accuracy, the threshold following the prior."""
    overlap = bayes_accuracy(ratio, norm, prior, rates).overlap
    if not overlap > 0:
        return float(max(prior, 1.0 - prior))
    means, variances = (-overlap, overlap), (overlap, overlap)
    threshold = best_threshold(means, variances, prior)
    return float(binary_accuracy(means, variances, prior, threshold))


def _relabelled_accuracy(ratio, penalty, norm, prior, rates, attributes, fit_intercept):
    """Return the accuracy of a ridge fit, relabelled, at the best threshold."""
    rounds = attributes["n_iter_"]
    path = relabelling_path(
        ratio, penalty, norm, prior, rates, n_relabel=rounds, fit_intercept=fit_intercept
    )
    return float(path.accuracy[-1])


def _perturbed_accuracy(ratio, penalty, norm, prior, rates, attributes, fit_intercept):
    """Return the accuracy of the labels-perturbed classifier at threshold 0."""
    negative, positive = attributes["perturbation_"]
    shift = positive - negative
    if np.isnan(shift):
        shift = optimal_shift(prior, rates)
    if not fit_intercept:
        result = lpc(ratio, penalty, norm, prior=prior, noise_rates=rates, shift=shift)
        return float(result.accuracy)
    result = intercept_ridge(ratio, penalty, norm, prior=prior, noise_rates=rates)
    means = result.score_means + shift
    return float(binary_accuracy(means, (result.variance, result.variance), prior, 0.0))
