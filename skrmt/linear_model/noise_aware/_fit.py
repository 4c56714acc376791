"""From leave-one-out scores to the fitted attributes of a noise-aware classifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from ...linalg import coefficients, to_numpy
from ...model_selection._clean_labels import (
    class_posterior,
    combine_accuracies,
    fit_label_link,
    inverse_temperature,
    label_log_odds,
    mixture_fit_test,
    normality_test,
    rates_likelihood,
    unmixed_accuracy,
)
from ._accuracy_path import accuracy_path
from ._label_perturbation import perturbed_fit
from ._prediction import gaussian_signal, model_attributes
from ._rounds import on_device, relabelled_fit

_LEVEL = 0.01
_VAGUE = 0.1
_FEWEST_ROWS = 10


class Decision(NamedTuple):
    """How the log-odds of the classes follow from the scores of the ridge fit.

    Attributes
    ----------
    directions : ndarray of shape (q', q)
        Linear part; q' and q are 1 for two classes, K for more.
    offsets : ndarray of shape (q',)
        Constant part.
    """

    directions: np.ndarray
    offsets: np.ndarray

    def apply(self, scores):
        """Return the decision function of scores, (n,) or (n, K)."""
        columns = scores.reshape(len(scores), -1)
        return (columns @ self.directions.T + self.offsets).reshape(scores.shape)


class Claims(NamedTuple):
    """What the scores say of the accuracy.

    Attributes
    ----------
    gaussian, calibrated, probabilities : ndarray of shape (G,)
        Accuracies under G hypotheses on the noise, and their probabilities.
    p_value : float
        p-value of the test of the Gaussian law.
    noise_level : float
        Sum of the noise rates, or one minus the contrast of the labels.
    """

    gaussian: np.ndarray
    calibrated: np.ndarray
    probabilities: np.ndarray
    p_value: float
    noise_level: float


def fit_noise_aware(estimator, basis, data, alphas):
    """Fit the classifier and derive every attribute of the fit."""
    perturbation = np.full(2, np.nan)
    if estimator.method == "lpc":
        fit, perturbation = perturbed_fit(basis, data, alphas, estimator.perturbation)
        n_iter = 0
    else:
        rounds = estimator.n_relabel if estimator.method == "soft" else 0
        fit, n_iter = relabelled_fit(basis, data, alphas, rounds)
    fixed = estimator.method == "lpc" or not fit.state.separated
    binary = data.n_classes == 2
    decision = _binary_decision(fit, fixed) if binary else _class_decision(fit, data, fixed)
    claims = _binary_claims(fit, data, fixed) if binary else _class_claims(fit, data, decision)
    loo = decision.apply(fit.scores)
    attributes = _linear_attributes(basis, fit, decision, alphas)
    attributes |= _noise_attributes(fit, data, loo)
    attributes |= _accuracy_attributes(fit, data, loo, claims)
    attributes |= _regime_attributes(fit, claims, attributes["noise_rates_std_"])
    attributes |= _score_attributes(fit, data, decision)
    attributes |= {"perturbation_": perturbation, "n_iter_": n_iter}
    signal = gaussian_signal(basis, fit.state, data)
    attributes |= model_attributes(signal, data, attributes, estimator.method, basis.fit_intercept)
    attributes["theoretical_accuracy_path_"] = accuracy_path(basis, fit, data, attributes)
    if data.size < _FEWEST_ROWS:
        attributes |= _too_few(len(alphas))
    return attributes, _messages(attributes)


def _too_few(n_alphas):
    """Return the attributes of which a handful of rows says nothing."""
    accuracies = ("theoretical_accuracy_", "loo_accuracy_", "model_accuracy_", "bayes_accuracy_")
    return dict.fromkeys(accuracies, np.nan) | {
        "theoretical_accuracy_interval_": np.array([0.0, 1.0]),
        "theoretical_accuracy_path_": np.full(n_alphas, np.nan),
        "regime_": "too_few_rows",
    }


def _binary_decision(fit, fixed):
    """Return the log-odds of the positive class as a function of the score."""
    slope = float(fit.state.mixture.slope[0])
    if fixed:
        return Decision(np.array([[slope if slope > 0 else 1.0]]), np.zeros(1))
    return Decision(np.array([[slope]]), fit.state.mixture.offset[:1].copy())


def _class_decision(fit, data, fixed):
    """Return the log-posteriors of K classes as a function of the scores."""
    mixture = fit.state.mixture
    if not fixed:
        return Decision(mixture.directions, mixture.offsets)
    factor = inverse_temperature(fit.scores, fit.state.likelihood, data.weights)
    return Decision(factor * np.eye(data.n_classes), np.zeros(data.n_classes))


def _binary_claims(fit, data, fixed):
    """Return what the scores of two classes say of the accuracy."""
    state = fit.state
    sample, threshold = state.sample, 0.0 if fixed else None
    if state.posterior is None:
        mixture, probabilities = state.mixture, np.ones(1)
        likelihood = state.likelihood.T[:, :, None]
    else:
        mixture, probabilities = state.posterior.mixture, state.posterior.probabilities
        likelihood = rates_likelihood(sample.observed, state.posterior.rates)
    link = fit_label_link(sample, likelihood)
    odds = label_log_odds(state.likelihood.T[:, :, None], state.mixture.prior)[:, 0]
    law = state.mixture
    p_value = mixture_fit_test(fit.scores, odds, law.means[:, 0], law.variance[0], data.weights)
    return Claims(
        mixture.accuracy(threshold),
        link.accuracy(sample, threshold),
        probabilities,
        p_value,
        _noise_level(state, data),
    )


def _noise_level(state, data):
    """Return how far the labels are from clean ones, between 0 and 1."""
    if state.noise_matrix is not None and data.n_classes == 2:
        return float(state.noise_matrix[0, 1] + state.noise_matrix[1, 0])
    label = class_posterior(state.likelihood, state.prior)
    codes = np.zeros(len(label), dtype=int)
    return 1.0 - unmixed_accuracy(codes, label, state.prior, data.weights).contrast


def _class_claims(fit, data, decision):
    """Return what the scores of K classes say of the accuracy."""
    weights = data.weights / data.weights.sum()
    logits = decision.apply(fit.scores)
    factor = inverse_temperature(logits, fit.state.likelihood, data.weights)
    calibrated = np.atleast_1d(weights @ softmax(factor * logits, axis=1).max(1))
    level, p_value = _noise_level(fit.state, data), _class_fit_test(fit, data)
    return Claims(calibrated, calibrated, np.ones(1), p_value, level)


def _class_fit_test(fit, data):
    """Return the p-value of the normality of scores around the mean of their likeliest class."""
    mixture = fit.state.mixture
    posterior, _ = fit.state.soft_targets(fit.scores)
    likeliest = posterior.argmax(1)
    axis = np.linalg.eigh(mixture.covariance)[1][:, -1]
    deviates = (fit.scores - mixture.means[likeliest]) @ axis
    tested = [likeliest == k for k in range(data.n_classes) if (likeliest == k).sum() >= 20]
    values = [normality_test(deviates[rows], data.weights[rows]) for rows in tested]
    return min(1.0, len(values) * min(values)) if values else 1.0


def _linear_attributes(basis, fit, decision, alphas):
    """Return the attributes of the linear decision function."""
    pair = coefficients(basis, on_device(basis, fit.targets), alphas[fit.index])
    coef, intercept = (to_numpy(part) for part in pair)
    offsets = decision.directions @ intercept + decision.offsets
    slope = decision.directions[0, 0]
    return {
        "coef_": (decision.directions @ coef).astype(coef.dtype),
        "intercept_": offsets.astype(coef.dtype),
        "alpha_": float(alphas[fit.index]),
        "alphas_": alphas,
        "threshold_": float(-decision.offsets[0] / slope) if len(offsets) == 1 else np.nan,
    }


def _noise_attributes(fit, data, loo):
    """Return noise, prior and the posteriors of the rows."""
    state = fit.state
    evidence = np.log(np.maximum(state.likelihood, 1e-12))
    logits = np.stack([np.zeros_like(loo), loo], axis=1) if loo.ndim == 1 else loo
    posterior = softmax(logits + evidence, axis=1)
    matrix, std = state.noise_matrix, np.zeros(data.n_classes)
    if matrix is None:
        shares = data.weights[:, None] * posterior
        counts = shares.T @ np.eye(data.n_classes)[data.observed]
        matrix = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    elif data.likelihood is None:
        std = state.posterior.std if data.n_classes == 2 else np.full(data.n_classes, np.nan)
    return {
        "noise_matrix_": matrix,
        "noise_rates_": 1.0 - np.diag(matrix),
        "noise_rates_std_": std,
        "class_prior_": state.prior,
        "label_posterior_": posterior,
        "label_quality_": posterior[np.arange(len(posterior)), data.observed],
        "loo_scores_": loo,
        "n_effective_samples_": data.size,
    }


def _accuracy_attributes(fit, data, loo, claims):
    """Return the accuracies that the training data show."""
    predicted = (loo > 0).astype(int) if loo.ndim == 1 else loo.argmax(1)
    label = class_posterior(fit.state.likelihood, fit.state.prior)
    counted = unmixed_accuracy(predicted, label, fit.state.prior, data.weights)
    guessed = data.likelihood is None and data.n_classes == 2
    estimate = combine_accuracies(
        claims.gaussian,
        claims.calibrated,
        claims.probabilities,
        claims.noise_level,
        data.size,
        counted=None if guessed else counted,
        misfit=claims.p_value < _LEVEL or data.n_classes > 2,
    )
    return {
        "theoretical_accuracy_": estimate.accuracy,
        "theoretical_accuracy_interval_": np.array(estimate.interval),
        "loo_accuracy_": counted.accuracy,
    }


def _regime_attributes(fit, claims, rates_std):
    """Return whether the theory holds."""
    fits = bool(claims.p_value >= _LEVEL)
    regime = "detected" if fits else "misfit"
    if np.nanmax(rates_std, initial=0.0) > _VAGUE:
        regime = "noise_unidentified"
    if not fit.state.separated:
        regime = "undetected"
    return {"model_fit_": fits, "model_fit_pvalue_": claims.p_value, "regime_": regime}


def _score_attributes(fit, data, decision):
    """Return the moments of the decision function in each class."""
    if data.n_classes == 2:
        slope = decision.directions[0, 0]
        means = fit.state.mixture.means[:, 0]
        share = expit(fit.state.score_log_odds(fit.scores))
        evidence = fit.state.likelihood * np.stack([1.0 - share, share], axis=1)
        posterior = evidence / np.maximum(evidence.sum(1, keepdims=True), 1e-300)
        weights = data.weights[:, None] * posterior
        squares = (weights * (fit.scores[:, None] - means) ** 2).sum(0)
        variances = squares / np.maximum(weights.sum(0), 1e-300)
        return {
            "score_means_": slope * means + decision.offsets[0],
            "score_variances_": slope**2 * variances,
        }
    mixture = fit.state.mixture
    variances = np.diag(decision.directions @ mixture.covariance @ decision.directions.T)
    return {
        "score_means_": mixture.means @ decision.directions.T + decision.offsets,
        "score_variances_": np.tile(variances, (data.n_classes, 1)),
    }


def _messages(attributes):
    """Return what to warn of."""
    regime = attributes["regime_"]
    if regime == "too_few_rows":
        return [
            f"There are only {attributes['n_effective_samples_']:.3g} effective rows: no accuracy "
            f"is predicted below {_FEWEST_ROWS}. Give more rows."
        ]
    if regime == "undetected":
        return [
            "The scores do not tell the classes apart: the plain ridge classifier is returned, and "
            "its theoretical accuracy is that of a guess. Give more rows or other features."
        ]
    if regime == "noise_unidentified":
        return [
            "The noise rates are known to no better than "
            f"{np.round(attributes['noise_rates_std_'], 2)}: the interval of the theoretical "
            "accuracy is wide. Give noise_rates if they are known, or more rows."
        ]
    if regime == "misfit":
        return [
            "The leave-one-out scores are not Gaussian within classes (p-value "
            f"{attributes['model_fit_pvalue_']:.1g}): the theoretical accuracy leans on the "
            "observed labels and its interval is widened."
        ]
    return []
