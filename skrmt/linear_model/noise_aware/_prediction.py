"""Accuracy of Gaussian classes like those of the data: here, along the penalties, elsewhere."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ...linalg import to_numpy
from ...model_selection._clean_labels import noise_matrix
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
from ._held_out import group_scores, linear_form, pull_of_own
from ._path_counts import Decision, count_decisions, counts_of_scores

_SMALLEST_SHARE = 0.01
"""Least share of the variance that is left within classes: the signal stays finite."""

_LARGEST_SUM = 0.999
"""Largest sum of two noise rates given to theory, which needs it below 1."""

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


def _gaussian_classes(basis, labels, by_label, prior):
    """Estimate isotropic Gaussian classes like those of the data, in the columns that vary."""
    means, trace, excess = _unmixed_means(basis, labels, by_label)
    binary = len(prior) == 2
    contrasts = np.array([[-0.5, 0.5]]) if binary else np.eye(len(prior)) - prior
    means = contrasts @ means
    seen = (means**2).sum(1)
    noise = trace * np.einsum("ka,ab,kb->k", contrasts, excess, contrasts)
    true = np.maximum(seen - noise, 0.0)
    explained = 4.0 * prior[0] * prior[1] * true[0] if binary else prior @ true
    within = max(trace - explained, _SMALLEST_SHARE * trace) / max(means.shape[1], 1)
    if not within > 0:
        return GaussianClasses(0.0, means, 0.0)
    scale = np.sqrt(true.sum() / max(seen.sum(), 1e-300) / within)
    return GaussianClasses(
        float(np.sqrt((true[0] if binary else prior @ true) / within)), scale * means, within
    )


class Setting(NamedTuple):
    """What theory needs to know of a fit.

    Attributes
    ----------
    classes : GaussianClasses
        Classes like those of the data.
    size : float
        Effective number of rows.
    prior : ndarray of shape (K,)
        Frequencies of the classes.
    noise : ndarray of shape (K, K)
        Noise matrix.
    rates : tuple of float
        Noise rates of two classes that say as much as those of the rows.
    alpha : float
        Penalty, in the unit of the decomposed data.
    lpc_weights : ndarray of shape (2,) or None
        Weights of the loss of the labels-perturbed classifier, None for others.
    fit_intercept : bool
        Whether there is an intercept.
    """

    classes: GaussianClasses
    size: float
    prior: np.ndarray
    noise: np.ndarray
    rates: tuple
    alpha: float
    lpc_weights: np.ndarray | None
    fit_intercept: bool


def theory_setting(basis, labels, by_label, stories, alpha, lpc_weights):
    """Return what `model_accuracy` needs, without the rows.

    `by_label` (n, K) are the probabilities of the classes of rows given their label alone.
    """
    prior, noise = stories.prior, stories.noise_matrix
    return Setting(
        classes=_gaussian_classes(basis, labels, by_label, prior),
        size=labels.size,
        prior=prior,
        noise=noise,
        rates=_rates(labels, by_label, prior, noise) if labels.n_classes == 2 else (),
        alpha=float(alpha),
        lpc_weights=lpc_weights,
        fit_intercept=basis.fit_intercept,
    )


def model_accuracy(setting):
    """Return the accuracies that theory gives to a method and to the best one for such classes."""
    classes, size, prior, noise, rates, alpha, lpc_weights, fit_intercept = setting
    penalty = alpha / classes.within if classes.within > 0 else np.inf
    if len(prior) > 2:
        result = gaussian_mixture_ridge(classes.means, 1.0, prior, noise, penalty, size)
        return float(result.accuracy), np.nan
    ratio = max(classes.means.shape[1], 1) / size
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
        n_relabel=0,
        fit_intercept=fit_intercept,
    )
    return float(path.accuracy[-1]), best


def _unmixed_means(basis, labels, by_label):
    """Return class means (K, p) from the centre, the total variance, and (K, K) noise of means."""
    weights = labels.shares_of_rows
    gram = by_label.T @ (weights[:, None] * by_label) + 1e-9 * np.eye(labels.n_classes)
    unmixing = np.linalg.solve(gram, by_label.T).T
    means = linear_form(basis, unmixing, np.inf)[0].astype(float)
    varying = to_numpy(basis.varying)
    # Where none varies, theory still has one feature, without signal.
    means = means[:, varying] if varying.any() else 0.0 * means[:, :1]
    excess = unmixing.T @ ((weights**2 * labels.part)[:, None] * unmixing)
    trace = basis.trace / basis.total_weight
    return means, trace, excess


def _theory_rates(noise):
    """Return noise rates that theory accepts, with a sum below 1."""
    rates = noise[[0, 1], [1, 0]]
    return tuple(rates * min(1.0, _LARGEST_SUM / max(rates.sum(), 1e-300)))


def _rates(labels, by_label, prior, noise):
    """Return the rates of the classes or, where rows have their own, one that says as much."""
    if not labels.known_by_row:
        return _theory_rates(noise)
    quality = labels.weights @ (by_label[:, 1] - by_label[:, 0]) ** 2 / labels.weights.sum()

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


def accuracy_path(basis, targets, fit, labels, stories, folds, group=None):
    """Predict the accuracy at every penalty, and its own at the one chosen, for given targets.

    Leave-one-out decisions are counted against the labels, and the noise taken out of the counts.
    Scores of every penalty are shifted and stretched to those of the one chosen before they decide.
    """
    alphas = fit.alphas
    if len(alphas) == 1:
        return np.array([stories.accuracy])
    index = fit.alpha_index
    stretch = fit.spreads[index] / np.maximum(fit.spreads, 1e-12 * fit.spreads.max() + 1e-300)
    shift = fit.centres[:, [index]] - stretch * fit.centres
    decision = Decision(stretch, shift, stories.directions, stories.offsets)
    if fit.paths is None and group is None:
        counts = count_decisions(basis, targets, fit, labels, decision)
    else:
        label = labels.shares_of_rows[:, None] * np.eye(labels.n_classes)[labels.observed]
        together = folds if group is None else group
        scores = group_scores(basis, targets, alphas, group) if fit.paths is None else fit.paths
        counts = counts_of_scores(scores, label, decision, pull_of_own(basis, targets, together))
    unmixing = np.linalg.pinv(stories.noise_matrix)
    path = np.einsum("kal,la->k", counts, unmixing)
    return np.clip(path + stories.accuracy - path[index], 0.0, 1.0)


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


def accuracy_forecaster(prior, n_features, accuracy, n_samples, noise):
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
                n_relabel=0,
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
    return partial(at, signal)


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
