"""What the scores of a round say of labels and noise: the statistics of soft relabelling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from ...model_selection._clean_labels import (
    ClassMixture,
    NoisePosterior,
    ScoreMixture,
    ScoreSample,
    class_posterior,
    estimate_prior,
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


class LabelData(NamedTuple):
    """Labels of the rows and what is known of their noise.

    Attributes
    ----------
    observed : ndarray of shape (n,)
        Codes of the observed labels.
    weights : ndarray of shape (n,)
        Weights of the rows.
    n_classes : int
        K.
    size : float
        Effective number of rows.
    noise_matrix : ndarray of shape (K, K) or None
        Noise of the labels, if it is known and the same in every row.
    likelihood : ndarray of shape (n, K) or None
        ``P(observed_i | true k)`` if the noise is known; None if it is to be learned.
    prior : ndarray of shape (K,) or None
        Frequencies of the true classes, if they are known.
    """

    observed: np.ndarray
    weights: np.ndarray
    n_classes: int
    size: float
    noise_matrix: np.ndarray | None = None
    likelihood: np.ndarray | None = None
    prior: np.ndarray | None = None

    @property
    def is_clean(self):
        """Whether every label is known to be right."""
        if self.likelihood is None:
            return False
        own = self.likelihood[np.arange(len(self.observed)), self.observed]
        return bool((self.likelihood.sum(1) == own).all())

    def implied_prior(self):
        """Return the known frequencies of the classes, or those that the labels imply."""
        if self.prior is not None:
            return self.prior
        edge = min(1.0 / self.size, 1.0 / self.n_classes)
        prior = np.clip(self._label_prior(), edge, None)
        return prior / prior.sum()

    def _label_prior(self):
        """Return the frequencies of the classes by maximum likelihood."""
        if self.noise_matrix is None:
            return estimate_prior(self.likelihood, self.weights)
        counts = np.bincount(self.observed, self.weights, self.n_classes)
        return estimate_prior(self.noise_matrix.T, counts)

    def first_targets(self):
        """Return the targets of the first fit: (n,) for two classes, (n, K) for more."""
        if self.likelihood is not None and self.noise_matrix is None:
            targets = class_posterior(self.likelihood, self.implied_prior())
        else:
            targets = np.eye(self.n_classes)[self.observed]
        return targets[:, 1] - targets[:, 0] if self.n_classes == 2 else targets


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

    def label_fit(self, data):
        """Return the log-likelihood of the observed labels given the leave-one-out scores."""
        clean = expit(self.score_log_odds(self.sample.scores))
        seen = self.point_likelihood[0] * (1.0 - clean) + self.point_likelihood[1] * clean
        return float(data.size * (self.sample.weights @ np.log(np.maximum(seen, _TINY))))

    @property
    def point_likelihood(self):
        """Likelihood of the labels of the sample's points at the mean rates, (2, m)."""
        if self.sample.observed is None:
            return self.likelihood.T
        return rates_likelihood(self.sample.observed, self.posterior.mean[:, None])[:, :, 0]

    def soft_targets(self, scores):
        """Return ``E[y | score, label]`` in [-1, 1], and its derivative by the score."""
        evidence = np.log(np.maximum(self.likelihood, _TINY))
        targets = np.tanh(0.5 * (self.score_log_odds(scores) + evidence[:, 1] - evidence[:, 0]))
        return targets, 0.5 * self.mixture.slope[0] * (1.0 - targets**2)


def binary_state(scores, data, previous=None):
    """Describe the scores of two classes."""
    if data.likelihood is not None and data.noise_matrix is None:
        sample = score_sample(scores, data.weights, size=data.size)
        prior = data.implied_prior()[1:]
        mixture = _class_laws(sample, data.likelihood.T[:, :, None], prior)
        return BinaryState(sample, None, mixture, data.likelihood)
    sample = score_sample(scores, data.weights, data.observed == 1, size=data.size)
    posterior = _rates(sample, data, previous)
    rates = posterior.mean
    mixture = posterior.mixture
    if len(posterior.probabilities) > 1:
        prior = posterior.mixture.prior @ posterior.probabilities
        points = rates_likelihood(sample.observed, rates[:, None])
        mixture = _class_laws(sample, points, np.atleast_1d(prior))
    likelihood = rates_likelihood(data.observed == 1, rates[:, None])[:, :, 0].T
    return BinaryState(sample, posterior, mixture, likelihood)


def _class_laws(sample, likelihood, prior):
    """Return the laws of the scores, real classes having variances of their own."""
    return fit_score_mixture(sample, likelihood, prior, own_variance=OWN_VARIANCE)


def _rates(sample, data, previous):
    """Return the posterior of the rates: known, learned or carried on."""
    if data.likelihood is not None:
        rates = np.array([[data.noise_matrix[0, 1]], [data.noise_matrix[1, 0]]])
        points = rates_likelihood(sample.observed, rates)
        mixture = _class_laws(sample, points, data.implied_prior()[1:])
        return NoisePosterior(rates, np.ones(1), mixture)
    if previous is not None:
        return update_posterior(previous.posterior, sample)
    return noise_posterior(sample, prior=None if data.prior is None else data.prior[1])


class ClassState(NamedTuple):
    """K classes as the scores of one round show them.

    Attributes
    ----------
    scores : ndarray of shape (n, K)
        Leave-one-out scores.
    mixture : ClassMixture
        Laws of the scores.
    likelihood : ndarray of shape (n, K)
        ``P(observed_i | class)``.
    """

    scores: np.ndarray
    mixture: ClassMixture
    likelihood: np.ndarray

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

    def label_fit(self, data):
        """Return the log-likelihood of the observed labels given the leave-one-out scores."""
        seen = (softmax(self.logits(self.scores), axis=1) * self.likelihood).sum(1)
        shares = data.weights / data.weights.sum()
        return float(data.size * (shares @ np.log(np.maximum(seen, _TINY))))

    def soft_targets(self, scores):
        """Return the class posteriors given score and label, and their mean Jacobian (K, K)."""
        evidence = np.log(np.maximum(self.likelihood, _TINY))
        targets = softmax(self.logits(scores) + evidence, axis=1)
        overlap = np.diag(targets.mean(0)) - targets.T @ targets / len(targets)
        return targets, overlap @ self.mixture.directions


def class_state(scores, data, previous=None):
    """Describe the scores of K classes."""
    matrix, likelihood = data.noise_matrix, data.likelihood
    if likelihood is None:
        matrix = previous.noise_matrix if previous is not None else None
        if matrix is None:
            learned = learn_class_mixture(
                scores, data.observed, data.n_classes, data.weights, prior=data.prior
            )
            matrix = learned.noise_matrix
        likelihood = label_likelihood(data.observed, matrix)
    prior = data._replace(likelihood=likelihood).implied_prior()
    mixture = fit_class_mixture(
        scores, likelihood, prior, data.weights, learn_prior=data.prior is None
    )
    return ClassState(scores, mixture._replace(noise_matrix=matrix), likelihood)
