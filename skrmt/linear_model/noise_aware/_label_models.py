"""What the held-out scores of a round show of classes and noise."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from ...model_selection._clean_labels import (
    ClassMixture,
    NoisePosterior,
    ScoreMixture,
    ScoreSample,
    fit_class_mixture,
    fit_score_mixture,
    label_likelihood,
    learn_class_mixture,
    noise_posterior,
    rates_likelihood,
    score_sample,
    update_posterior,
)
from ...model_selection._clean_labels._score_mixture import OWN_VARIANCE

_TINY = 1e-12
"""Smallest probability of which a logarithm is taken."""


class BinaryState(NamedTuple):
    """Two classes as the scores of one round show them.

    Attributes
    ----------
    sample : ScoreSample
        Scores, gathered in bins where every row has the same noise.
    posterior : NoisePosterior or None
        Noise rates; None where each row has its own, known noise.
    mixture : ScoreMixture
        Laws of the scores at the mean rates (G = 1).
    likelihood : ndarray of shape (n, 2)
        ``P(observed_i | class)`` at the mean rates.
    """

    sample: ScoreSample
    posterior: NoisePosterior | None
    mixture: ScoreMixture
    likelihood: np.ndarray

    @property
    def noise_matrix(self):
        """Noise matrix at the mean rates, or None."""
        if self.posterior is None:
            return None
        negative, positive = self.posterior.mean
        return np.array([[1.0 - negative, negative], [positive, 1.0 - positive]])

    @property
    def prior(self):
        """Frequencies of the classes, (2,)."""
        return np.array([1.0 - self.mixture.prior[0], self.mixture.prior[0]])

    @property
    def separated(self):
        """Whether the positive class has the larger scores."""
        return bool(self.mixture.slope[0] > 0)

    def score_log_odds(self, scores):
        """Return the log-odds of the positive class given the scores alone, (n,)."""
        return self.mixture.slope[0] * scores + self.mixture.offset[0]

    def label_fit(self, labels):
        """Return the log-likelihood of the observed labels given the held-out scores."""
        clean = expit(self.score_log_odds(self.sample.scores))
        seen = self.point_likelihood[0] * (1.0 - clean) + self.point_likelihood[1] * clean
        return float(labels.size * (self.sample.weights @ np.log(np.maximum(seen, _TINY))))

    @property
    def point_likelihood(self):
        """Likelihood of the labels of the sample's points at the mean rates, (2, m)."""
        if self.posterior is None or self.sample.observed is None:
            return self.likelihood.T
        return rates_likelihood(self.sample.observed, self.posterior.mean[:, None])[:, :, 0]

    def soft_targets(self, scores):
        """Return ``E[y | score, label]`` in [-1, 1], and its derivative by the score."""
        evidence = np.log(np.maximum(self.likelihood, _TINY))
        targets = np.tanh(0.5 * (self.score_log_odds(scores) + evidence[:, 1] - evidence[:, 0]))
        return targets, 0.5 * self.mixture.slope[0] * (1.0 - targets**2)


def binary_state(scores, labels, previous=None):
    """Describe the scores of two classes."""
    if labels.known_by_row:
        sample = score_sample(scores, labels.weights, size=labels.size)
        prior = labels.implied_prior()[1:]
        mixture = _class_laws(sample, labels.likelihood.T[:, :, None], prior)
        return BinaryState(sample, None, mixture, labels.likelihood)
    sample = score_sample(scores, labels.weights, labels.observed == 1, size=labels.size)
    posterior = _rates(sample, labels, previous)
    rates = posterior.mean
    mixture = posterior.mixture
    if len(posterior.probabilities) > 1:
        prior = posterior.mixture.prior @ posterior.probabilities
        points = rates_likelihood(sample.observed, rates[:, None])
        mixture = _class_laws(sample, points, np.atleast_1d(prior))
    likelihood = rates_likelihood(labels.observed == 1, rates[:, None])[:, :, 0].T
    return BinaryState(sample, posterior, mixture, likelihood)


def _class_laws(sample, likelihood, prior):
    """Return the laws of the scores, real classes having variances of their own."""
    return fit_score_mixture(sample, likelihood, prior, own_variance=OWN_VARIANCE)


def _rates(sample, labels, previous):
    """Return the posterior of the rates: known, learned or carried on."""
    if labels.likelihood is not None:
        rates = np.array([[labels.noise_matrix[0, 1]], [labels.noise_matrix[1, 0]]])
        points = rates_likelihood(sample.observed, rates)
        mixture = _class_laws(sample, points, labels.implied_prior()[1:])
        return NoisePosterior(rates, np.ones(1), mixture)
    if previous is not None:
        return update_posterior(previous.posterior, sample)
    return noise_posterior(sample, prior=None if labels.prior is None else labels.prior[1])


class ClassState(NamedTuple):
    """K classes as the scores of one round show them.

    Attributes
    ----------
    scores : ndarray of shape (n, K)
        Held-out scores.
    mixture : ClassMixture
        Laws of the scores.
    likelihood : ndarray of shape (n, K)
        ``P(observed_i | class)``.
    shares : ndarray of shape (n,)
        Shares of the rows in the weight.
    """

    scores: np.ndarray
    mixture: ClassMixture
    likelihood: np.ndarray
    shares: np.ndarray

    @property
    def noise_matrix(self):
        """Noise matrix, or None where each row has its own noise."""
        return self.mixture.noise_matrix

    @property
    def prior(self):
        """Frequencies of the classes, (K,)."""
        return self.mixture.prior

    @property
    def separated(self):
        """Whether every class scores higher on itself than other classes do."""
        own = np.diag(self.mixture.means)
        return bool((own > (self.prior @ self.mixture.means)).all())

    def logits(self, scores):
        """Return the log-posteriors of the classes given the scores alone, (n, K)."""
        return scores @ self.mixture.directions.T + self.mixture.offsets

    def label_fit(self, labels):
        """Return the log-likelihood of the observed labels given the held-out scores."""
        seen = (softmax(self.logits(self.scores), axis=1) * self.likelihood).sum(1)
        return float(labels.size * (self.shares @ np.log(np.maximum(seen, _TINY))))

    def soft_targets(self, scores):
        """Return the class posteriors given score and label, and their mean Jacobian (K, K)."""
        evidence = np.log(np.maximum(self.likelihood, _TINY))
        targets = softmax(self.logits(scores) + evidence, axis=1)
        overlap = np.diag(self.shares @ targets) - targets.T @ (self.shares[:, None] * targets)
        return targets, overlap @ self.mixture.directions


def class_state(scores, labels, previous=None):
    """Describe the scores of K classes."""
    matrix, likelihood = labels.noise_matrix, labels.likelihood
    if likelihood is None:
        matrix = previous.noise_matrix if previous is not None else None
        if matrix is None:
            learned = learn_class_mixture(
                scores,
                labels.observed,
                labels.n_classes,
                labels.weights,
                size=labels.size,
                prior=labels.prior,
            )
            matrix = learned.noise_matrix
        likelihood = label_likelihood(labels.observed, matrix)
    prior = labels._replace(likelihood=likelihood).implied_prior()
    mixture = fit_class_mixture(
        scores,
        likelihood,
        prior,
        labels.weights,
        size=labels.size,
        learn_prior=labels.prior is None,
    )
    mixture = mixture._replace(noise_matrix=matrix)
    return ClassState(scores, mixture, likelihood, labels.weights / labels.weights.sum())
