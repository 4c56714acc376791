"""Accuracy of Gaussian classes like those of the data: here, along the penalties, elsewhere."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from ...linalg import coefficients, loo_path, loo_scores, to_numpy
from ...model_selection._clean_labels import (
    class_posterior,
    fit_class_mixture,
    fit_score_mixture,
    rates_likelihood,
    score_sample,
)
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
from ._labels import noise_matrix
from ._rounds import common_intercept, on_device

_SMALLEST_SHARE = 0.01
"""Least share of the variance that is left within classes: the signal stays finite."""

_LARGEST_SUM = 0.999
"""Largest sum of two noise rates given to theory, which needs it below 1."""

_BINS, _ITERATIONS = 32, 12
"""Bins and iterations of the mixtures of the path, a guide to the penalty rather than a claim."""

_STREAMED_PENALTIES = 4
"""Penalties of which scores are held at once where the data are read by blocks."""

_LARGEST_SIGNAL = 1e3
"""Signal at which every accuracy below one has been reached."""


class GaussianClasses(NamedTuple):
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


def gaussian_classes(basis, state, labels):
    """Estimate isotropic Gaussian classes like those of the data."""
    means, trace, excess = _unmixed_means(basis, state, labels)
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
        return GaussianClasses(0.0, means, 0.0)
    scale = np.sqrt(true.sum() / max(seen.sum(), 1e-300) / within)
    return GaussianClasses(
        float(np.sqrt((true[0] if binary else prior @ true) / within)), scale * means, within
    )


def model_accuracy(classes, labels, prior, noise, alpha, n_relabel, lpc_weights, fit_intercept):
    """Return the accuracies that theory gives to a method and to the best one for such classes.

    `lpc_weights` are the weights of the loss of the labels-perturbed classifier, None for others.
    """
    penalty = alpha / classes.within if classes.within > 0 else np.inf
    if labels.n_classes > 2:
        result = gaussian_mixture_ridge(classes.means, 1.0, prior, noise, penalty, labels.size)
        return float(result.accuracy), np.nan
    ratio, rates = classes.means.shape[1] / labels.size, _rates(labels, prior, noise)
    best = _bayes_accuracy(ratio, classes.norm, prior[1], rates)
    if lpc_weights is not None:
        accuracy = _perturbed_accuracy(
            ratio, penalty, classes.norm, prior[1], rates, lpc_weights, fit_intercept
        )
        return accuracy, best
    path = relabelling_path(
        ratio,
        penalty,
        classes.norm,
        prior[1],
        rates,
        n_relabel=n_relabel,
        fit_intercept=fit_intercept,
    )
    return float(path.accuracy[-1]), best


def _unmixed_means(basis, state, labels):
    """Return class means (K, p) from the centre, the total variance, and (K, K) noise of means."""
    label = class_posterior(state.likelihood, state.prior)
    weights = labels.weights / labels.weights.sum()
    gram = label.T @ (weights[:, None] * label) + 1e-9 * np.eye(labels.n_classes)
    unmixing = np.linalg.solve(gram, label.T).T
    means = to_numpy(coefficients(basis, on_device(basis, unmixing), np.inf)[0]).astype(float)
    excess = unmixing.T @ ((weights**2 * labels.part)[:, None] * unmixing)
    trace = float(to_numpy(basis.scale).sum()) / basis.total_weight
    return means, trace, excess


def _theory_rates(noise):
    """Return noise rates that theory accepts, with a sum below 1."""
    rates = noise[[0, 1], [1, 0]]
    return tuple(rates * min(1.0, _LARGEST_SUM / max(rates.sum(), 1e-300)))


def _rates(labels, prior, noise):
    """Return the rates of the classes or, where rows have their own, one that says as much."""
    if not labels.known_by_row:
        return _theory_rates(noise)
    label = class_posterior(labels.likelihood, prior)
    quality = labels.weights @ (label[:, 1] - label[:, 0]) ** 2 / labels.weights.sum()

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


def _perturbed_accuracy(ratio, penalty, norm, prior, rates, weights, fit_intercept):
    """Return the accuracy of the labels-perturbed classifier at threshold 0."""
    negative, positive = weights
    shift = positive - negative
    if np.isnan(shift):
        shift = optimal_shift(prior, rates)
    if not fit_intercept:
        result = lpc(ratio, penalty, norm, prior=prior, noise_rates=rates, shift=shift)
        return float(result.accuracy)
    scores = intercept_ridge(ratio, penalty, norm, prior=prior, noise_rates=rates)
    means = scores.score_means + shift
    return float(binary_accuracy(means, (scores.variance, scores.variance), prior, 0.0))


def accuracy_path(basis, fit, labels, alphas, accuracy):
    """Predict the accuracy at every penalty given the targets of the last fit, and its own."""
    if len(alphas) == 1:
        return np.array([accuracy])
    n_targets = 1 if fit.targets.ndim == 1 else fit.targets.shape[1]
    room = len(basis.mean) // 8 if basis.left is not None else _STREAMED_PENALTIES
    width = int(np.clip(room // n_targets, 1, len(alphas)))
    parts = [alphas[start : start + width] for start in range(0, len(alphas), width)]
    path = np.concatenate([_gaussian_accuracy(basis, fit, labels, alphas, part) for part in parts])
    shift = accuracy - path[fit.alpha_index]
    return np.clip(path + shift, 0.0, 1.0)


def _gaussian_accuracy(basis, fit, labels, alphas, part):
    """Return the Gaussian accuracy at some penalties, few enough for their scores to be held."""
    columns = fit.targets.reshape(len(fit.targets), -1)
    scores = to_numpy(loo_path(basis, on_device(basis, columns), part)[0]).astype(float)
    scores += _intercept_pull(basis, columns)[:, :, None]
    gains = _mean_gains(basis, np.append(part, alphas[fit.alpha_index]))
    exact = loo_scores(basis, on_device(basis, columns), alphas[fit.alpha_index])[0]
    own = to_numpy(exact) + _intercept_pull(basis, columns) - fit.scores.reshape(columns.shape)
    scores -= own[:, :, None] * (gains[:-1] / max(gains[-1], 1e-300))
    if labels.n_classes == 2:
        return _binary_path(fit, labels, scores[:, 0])
    return _class_path(fit, labels, scores)


def _intercept_pull(basis, targets):
    """Return what `common_intercept` adds to scores."""
    return common_intercept(basis, targets, np.zeros_like(targets))


def _mean_gains(basis, alphas):
    """Return the sum of the gains of the spectrum: Onsager terms are about proportional to it."""
    spectrum = to_numpy(basis.scale).astype(float)[:, None]
    penalties = basis.total_weight * alphas
    finite = np.isfinite(penalties)
    damped = spectrum / (spectrum + np.where(finite, penalties, 1.0))
    return np.where(finite, damped, spectrum / basis.total_weight).sum(0)


def _binary_path(fit, labels, scores):
    """Return the Gaussian accuracy of two classes at every penalty."""
    shared = fit.state.posterior is not None
    observed = labels.observed == 1 if shared else None
    sample = score_sample(scores, labels.weights, observed, size=labels.size, n_bins=_BINS)
    if shared:
        likelihood = rates_likelihood(sample.observed, fit.state.posterior.mean[:, None])
    else:
        likelihood = fit.state.likelihood.T[:, :, None]
    prior = np.repeat(fit.state.mixture.prior[:1], scores.shape[1])
    return fit_score_mixture(sample, likelihood, prior, n_iter=_ITERATIONS).accuracy()


def _class_path(fit, labels, scores):
    """Return the Gaussian accuracy of K classes at every penalty."""
    weights = labels.weights / labels.weights.sum()
    path = []
    for column in np.moveaxis(scores, 2, 0):
        column = column / (column.std() or 1.0)
        mixture = fit_class_mixture(
            column,
            fit.state.likelihood,
            fit.state.prior,
            labels.weights,
            size=labels.size,
            n_iter=_ITERATIONS // 2,
        )
        logits = column @ mixture.directions.T + mixture.offsets
        path.append(weights @ softmax(logits, axis=1).max(1))
    return np.array(path)


def noise_matrices(noise_rates, n_classes):
    """Return noise matrices of shape (..., K, K) from rates of shape () or (..., K)."""
    rates = np.asarray(noise_rates, dtype=float)
    if rates.ndim == 0:
        return noise_matrix(rates, n_classes)
    if rates.shape[-1] != n_classes:
        raise ValueError(
            f"noise_rates has shape {rates.shape}: give one rate, or {n_classes} rates along the "
            "last axis."
        )
    flat = [noise_matrix(row, n_classes) for row in rates.reshape(-1, n_classes)]
    return np.reshape(flat, (*rates.shape[:-1], n_classes, n_classes))


def accuracy_forecaster(prior, n_features, n_relabel, accuracy, n_samples, noise):
    """Return the accuracy as a function of size, noise matrix and share of cleaned labels.

    The signal is the one that gives `accuracy` with `n_samples` rows and the noise matrix `noise`.
    """
    if len(prior) == 2:

        def at(signal, size, matrix, cleaned):
            path = relabelling_path(
                n_features / size,
                np.inf,
                signal,
                prior[1],
                _theory_rates(matrix),
                n_relabel=n_relabel,
                cleaned_fraction=cleaned,
            )
            return float(path.accuracy[-1])
    else:
        identity = np.eye(len(prior))
        simplex = np.zeros((len(prior), max(n_features, len(prior))))
        simplex[:, : len(prior)] = identity - 1.0 / len(prior)

        def at(signal, size, matrix, cleaned):
            mixed = (1.0 - cleaned) * matrix + cleaned * identity
            fit = gaussian_mixture_ridge(signal * simplex, 1.0, prior, mixed, 10.0, size)
            return fit.accuracy

    signal = _signal_reaching(lambda signal: at(signal, n_samples, noise, 0.0), accuracy)
    return lambda size, matrix, cleaned: at(signal, size, matrix, cleaned)


def forecast_accuracy(predict, n_samples, matrices, cleaned_fraction):
    """Return the accuracies of a forecaster, of the shape to which the conditions broadcast."""
    sizes = np.asarray(n_samples, dtype=float)
    cleaned = np.asarray(cleaned_fraction, dtype=float)
    if not (sizes > 0).all():
        raise ValueError(f"n_samples={n_samples!r} must be positive.")
    if not ((cleaned >= 0) & (cleaned <= 1)).all():
        raise ValueError(f"cleaned_fraction={cleaned_fraction!r} must be in [0, 1].")
    shape = np.broadcast_shapes(sizes.shape, cleaned.shape, matrices.shape[:-2])
    sizes, cleaned = np.broadcast_to(sizes, shape), np.broadcast_to(cleaned, shape)
    matrices = np.broadcast_to(matrices, shape + matrices.shape[-2:])
    values = [predict(sizes[i], matrices[i], cleaned[i]) for i in np.ndindex(shape)]
    return np.reshape(values, shape)


def _signal_reaching(accuracy, target):
    """Return the signal at which an increasing accuracy reaches its target, within bounds."""
    if accuracy(0.0) >= target:
        return 0.0
    if accuracy(_LARGEST_SIGNAL) <= target:
        return _LARGEST_SIGNAL
    return brentq(lambda signal: accuracy(signal) - target, 0.0, _LARGEST_SIGNAL, xtol=1e-6)
