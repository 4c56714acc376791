"""From held-out scores to the decision function, the noise and the accuracy of a classifier."""

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
from ...utils._intervals import wilson_interval
from ._rounds import on_device

TEST_LEVEL = 0.01
"""Level of the test of the Gaussian law: one fit in a hundred of model data is called a misfit."""

_FEWEST_TESTED = 20
"""Members of a class from which the normality of its scores is tested: moments need as many."""


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

    @property
    def threshold(self):
        """Score at which two classes are equally likely; nan for more."""
        if len(self.offsets) > 1:
            return np.nan
        return float(-self.offsets[0] / self.directions[0, 0])

    def apply(self, scores):
        """Return the decision function of scores, (n,) or (n, K)."""
        columns = scores.reshape(len(scores), -1)
        return (columns @ self.directions.T + self.offsets).reshape(scores.shape)


def class_decision(fit, labels, fixed):
    """Return the log-odds of the classes, at threshold 0 if it is fixed."""
    mixture = fit.state.mixture
    if labels.n_classes == 2:
        slope = float(mixture.slope[0])
        if fixed:
            return Decision(np.array([[slope if slope > 0 else 1.0]]), np.zeros(1))
        return Decision(np.array([[slope]]), mixture.offset[:1].copy())
    if fixed:
        factor = inverse_temperature(fit.scores, fit.state.likelihood, labels.weights)
        return Decision(factor * np.eye(labels.n_classes), np.zeros(labels.n_classes))
    return Decision(mixture.directions, mixture.offsets)


def linear_form(basis, fit, alpha, decision):
    """Return the coefficients and the intercept of the decision function."""
    pair = coefficients(basis, on_device(basis, fit.targets), alpha)
    coef, intercept = (to_numpy(part) for part in pair)
    offsets = decision.directions @ intercept + decision.offsets
    return (decision.directions @ coef).astype(coef.dtype), offsets.astype(coef.dtype)


def label_posterior(scores, likelihood):
    """Return the probabilities of the classes given decision function and label, (n, K)."""
    logits = np.stack([np.zeros_like(scores), scores], axis=1) if scores.ndim == 1 else scores
    return softmax(logits + np.log(np.maximum(likelihood, 1e-12)), axis=1)


def label_noise(state, labels, posterior):
    """Return the noise matrix, known or estimated, and the standard deviations of its rates."""
    matrix, std = state.noise_matrix, np.zeros(labels.n_classes)
    if matrix is None:
        shares = labels.weights[:, None] * posterior
        counts = shares.T @ np.eye(labels.n_classes)[labels.observed]
        matrix = counts / np.maximum(counts.sum(1, keepdims=True), 1e-300)
    elif labels.likelihood is None:
        std = state.posterior.std if labels.n_classes == 2 else np.full(labels.n_classes, np.nan)
    return matrix, std


def score_moments(fit, labels, decision):
    """Return the means and the variances of the decision function in each class."""
    mixture = fit.state.mixture
    if labels.n_classes > 2:
        variances = np.diag(decision.directions @ mixture.covariance @ decision.directions.T)
        means = mixture.means @ decision.directions.T + decision.offsets
        return means, np.tile(variances, (labels.n_classes, 1))
    slope, means = decision.directions[0, 0], mixture.means[:, 0]
    share = expit(fit.state.score_log_odds(fit.scores))
    evidence = fit.state.likelihood * np.stack([1.0 - share, share], axis=1)
    posterior = evidence / np.maximum(evidence.sum(1, keepdims=True), 1e-300)
    weights = labels.weights[:, None] * posterior
    squares = (weights * (fit.scores[:, None] - means) ** 2).sum(0)
    variances = squares / np.maximum(weights.sum(0), 1e-300)
    return slope * means + decision.offsets[0], slope**2 * variances


def observed_accuracy(scores, labels):
    """Return the share of held-out scores that predict the observed label, and its interval."""
    hits = _predicted(scores) == labels.observed
    share = float(labels.weights @ hits / labels.weights.sum())
    return share, wilson_interval(share, labels.size)


def clean_accuracy(fit, labels, decision, fixed, p_value):
    """Estimate the accuracy on clean labels from the held-out scores."""
    state, scores = fit.state, decision.apply(fit.scores)
    label = class_posterior(state.likelihood, state.prior)
    counted = unmixed_accuracy(_predicted(scores), label, state.prior, labels.weights, labels.part)
    if labels.n_classes == 2:
        by_law, by_link, probabilities = _binary_accuracies(state, 0.0 if fixed else None)
    else:
        weights = labels.weights / labels.weights.sum()
        factor = inverse_temperature(scores, state.likelihood, labels.weights)
        by_law = np.atleast_1d(weights @ softmax(factor * scores, axis=1).max(1))
        by_link, probabilities = by_law, np.ones(1)
    # Two classes whose rates are a guess would be counted with that guess, and seem to confirm it.
    guessed = labels.likelihood is None and labels.n_classes == 2
    return combine_accuracies(
        by_law,
        by_link,
        probabilities,
        _noise_level(state, labels, label),
        labels.size,
        counted=None if guessed else counted,
        misfit=p_value < TEST_LEVEL or labels.n_classes > 2,
    )


def _predicted(scores):
    """Return the codes of the classes that a decision function predicts."""
    return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)


def _binary_accuracies(state, threshold):
    """Return accuracies by the Gaussian laws and by the link, for rates and their probabilities."""
    sample = state.sample
    if state.posterior is None:
        mixture, probabilities = state.mixture, np.ones(1)
        likelihood = state.likelihood.T[:, :, None]
    else:
        mixture, probabilities = state.posterior.mixture, state.posterior.probabilities
        likelihood = rates_likelihood(sample.observed, state.posterior.rates)
    link = fit_label_link(sample, likelihood)
    return mixture.accuracy(threshold), link.accuracy(sample, threshold), probabilities


def _noise_level(state, labels, label):
    """Return how far the labels are from clean ones, between 0 and 1."""
    if state.noise_matrix is not None and labels.n_classes == 2:
        return float(state.noise_matrix[0, 1] + state.noise_matrix[1, 0])
    codes = np.zeros(len(label), dtype=int)
    return 1.0 - unmixed_accuracy(codes, label, state.prior, labels.weights).contrast


def gaussian_p_value(fit, labels):
    """Return the p-value of the test that held-out scores are Gaussian within classes."""
    state, mixture = fit.state, fit.state.mixture
    if labels.n_classes == 2:
        odds = label_log_odds(state.likelihood.T[:, :, None], mixture.prior)[:, 0]
        means, variance = mixture.means[:, 0], mixture.variance[0]
        return mixture_fit_test(fit.scores, odds, means, variance, labels.weights, size=labels.size)
    posterior, _ = state.soft_targets(fit.scores)
    likeliest = posterior.argmax(1)
    axis = np.linalg.eigh(mixture.covariance)[1][:, -1]
    deviates = (fit.scores - mixture.means[likeliest]) @ axis
    values = []
    for k in range(labels.n_classes):
        rows = likeliest == k
        if rows.sum() >= _FEWEST_TESTED:
            weights = labels.weights[rows]
            size = weights.sum() ** 2 / (weights**2 * labels.part[rows]).sum()
            values.append(normality_test(deviates[rows], weights, size=size))
    return min(1.0, len(values) * min(values)) if values else 1.0
