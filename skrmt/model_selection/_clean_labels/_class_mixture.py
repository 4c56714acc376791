"""K Gaussian classes seen through noisy labels, with the noise known or learned."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax

from ._label_evidence import class_posterior, estimate_prior, label_likelihood

_TINY = 1e-12
"""Smallest probability of which a logarithm is taken."""

_SHRINKAGE = 0.1
"""Pull of the covariance towards its mean eigenvalue: K scores of one-hot targets are dependent."""

_SMALLEST_VARIANCE = 0.02
"""Least variance within classes, of scores of variance 1: no class shrinks to a point."""

_STARTS = (0.1, 0.3, 0.5)
"""Rates of wrong labels from which the noise matrix is learned; the likeliest end is kept."""

_TEMPER = 0.3
"""Share of the rows' evidence on the noise that is believed: classes are only nearly Gaussian."""

_PSEUDO_ROWS = 2.0
"""Rows per class that speak for the noise of the start: rare classes stay near it."""


class ClassMixture(NamedTuple):
    """Gaussian laws of the scores of K classes, with a common covariance.

    Attributes
    ----------
    means : ndarray of shape (K, K)
        Mean score vector of each class.
    covariance : ndarray of shape (K, K)
        Their common covariance, shrunk by 10 % towards its mean eigenvalue.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.
    noise_matrix : ndarray of shape (K, K) or None
        ``P(observed l | true k)``; None where each row has a likelihood of its own.
    log_likelihood : float
        Log-likelihood of scores and labels, of the effective number of rows.
    """

    means: np.ndarray
    covariance: np.ndarray
    prior: np.ndarray
    noise_matrix: np.ndarray | None
    log_likelihood: float

    @property
    def directions(self):
        """Linear part (K, K) of the centred log-posterior of each class in the scores."""
        linear = _posterior_form(self)[0]
        return linear - linear.mean(0)

    @property
    def offsets(self):
        """Constant part (K,) of the centred log-posterior of each class."""
        constant = _posterior_form(self)[1]
        return constant - constant.mean()


def fit_class_mixture(
    scores, likelihood, prior, sample_weight, *, size=None, learn_prior=True, n_iter=50
):
    r"""Fit the Gaussian laws of K classes when the noise of the labels is known."""
    weights = sample_weight / sample_weight.sum()
    size = 1.0 / (weights**2).sum() if size is None else size
    z, centre, spread = _standardise(scores, weights)
    mixture = _start(z, likelihood, prior, weights)
    for _ in range(n_iter):
        shares, mixture = _expect(mixture, z, likelihood, weights, size)
        updated = _smoothed(weights @ shares, size) if learn_prior else mixture.prior
        mixture = _maximise(z, shares, weights, mixture._replace(prior=updated))
    return _in_units(_expect(mixture, z, likelihood, weights, size)[1], centre, spread, size)


def learn_class_mixture(
    scores, observed, n_classes, sample_weight, *, size=None, prior=None, n_iter=50
):
    r"""Fit the Gaussian laws of K classes and the noise matrix of their labels."""
    weights = sample_weight / sample_weight.sum()
    size = 1.0 / (weights**2).sum() if size is None else size
    z, centre, spread = _standardise(scores, weights)
    fits = [
        _learn_from(z, observed, symmetric_noise(n_classes, rate), weights, size, prior, n_iter)
        for rate in _STARTS
    ]
    return _in_units(max(fits, key=lambda fit: fit[0])[1], centre, spread, size)


def symmetric_noise(n_classes, rate):
    """Return the noise matrix of labels that are wrong at a rate, uniformly."""
    if not n_classes >= 2:
        raise ValueError(f"n_classes={n_classes!r}: labels can be wrong for 2 classes or more.")
    rates = np.broadcast_to(np.asarray(rate, dtype=float), (n_classes,))
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"rate={rate!r} must lie in [0, 1]: it is a probability.")
    matrix = np.repeat(rates[:, None] / (n_classes - 1), n_classes, axis=1)
    matrix[np.diag_indices(n_classes)] = 1.0 - rates
    return matrix


def inverse_temperature(logits, likelihood, sample_weight):
    r"""Return the factor that calibrates logits by the likelihood of noisy labels."""
    weights = sample_weight / sample_weight.sum()
    spread = np.sqrt(weights @ logits.var(axis=1)) or 1.0

    def loss(log_beta):
        clean = softmax(np.exp(log_beta) / spread * logits, axis=1)
        return -weights @ np.log(np.maximum((clean * likelihood).sum(1), _TINY))

    best = minimize_scalar(loss, bounds=(-6.0, 6.0), method="bounded", options={"xatol": 1e-5})
    return float(np.exp(best.x) / spread)


def _learn_from(scores, observed, noise, weights, size, known_prior, n_iter):
    """Return the objective and the mixture reached from one start."""
    n_classes = len(noise)
    labels = np.eye(n_classes)[observed]
    start, likelihood = noise, label_likelihood(observed, noise)
    prior = estimate_prior(likelihood, weights) if known_prior is None else known_prior
    mixture = _start(scores, likelihood, _smoothed(prior, size), weights)
    for _ in range(n_iter):
        shares, mixture = _expect(mixture, scores, likelihood, weights, size)
        counts = _TEMPER * size * (shares.T @ (weights[:, None] * labels)) + _PSEUDO_ROWS * start
        noise = counts / counts.sum(1, keepdims=True)
        likelihood = label_likelihood(observed, noise)
        if known_prior is None:
            mixture = mixture._replace(prior=_smoothed(weights @ shares, size))
        mixture = _maximise(scores, shares, weights, mixture)
    mixture = _expect(mixture, scores, likelihood, weights, size)[1]
    penalty = _PSEUDO_ROWS * (start * np.log(np.maximum(noise, _TINY))).sum()
    return mixture.log_likelihood + penalty, mixture._replace(noise_matrix=noise)


def _smoothed(prior, size):
    """Return frequencies with half a row added to each class."""
    prior = prior + 0.5 / size
    return prior / prior.sum()


def _standardise(scores, weights):
    """Return scores of mean 0 and mean variance 1, with what was subtracted and divided by."""
    centre = weights @ scores
    centred = scores - centre
    spread = np.sqrt((weights @ centred**2).mean())
    if not spread > 1e-12 * np.abs(centre).max():
        return np.zeros_like(scores), centre, 1.0
    return centred / spread, centre, spread


def _in_units(mixture, centre, spread, size):
    """Return a mixture of standardised scores in the units of the scores."""
    shift = len(centre) * np.log(spread) * size
    return mixture._replace(
        means=centre + spread * mixture.means,
        covariance=spread**2 * mixture.covariance,
        log_likelihood=mixture.log_likelihood - float(shift),
    )


def _start(scores, likelihood, prior, weights):
    """Return the mixture unmixed from the label's posterior by least squares."""
    posterior = class_posterior(likelihood, prior)
    n_classes = len(prior)
    gram = posterior.T @ (weights[:, None] * posterior) + 1e-6 * np.eye(n_classes)
    means = np.linalg.solve(gram, posterior.T @ (weights[:, None] * scores))
    total = scores.T @ (weights[:, None] * scores)
    between = means.T @ (prior[:, None] * means)
    values, vectors = np.linalg.eigh(total - between)
    floor = max(0.1 * np.trace(total) / n_classes, _SMALLEST_VARIANCE)
    covariance = (vectors * np.maximum(values, floor)) @ vectors.T
    return ClassMixture(means, covariance, prior, None, 0.0)


def _posterior_form(mixture):
    """Return the log-density of each class in the scores, times its prior: linear and constant."""
    linear = np.linalg.solve(mixture.covariance, mixture.means.T).T
    energy = (linear * mixture.means).sum(1)
    return linear, np.log(np.maximum(mixture.prior, _TINY)) - 0.5 * energy


def _expect(mixture, scores, likelihood, weights, size):
    """Return the shares of the classes in each row, and the mixture with its likelihood."""
    values, vectors = np.linalg.eigh(mixture.covariance)
    whitened = (scores @ vectors) / np.sqrt(values)
    linear, constant = _posterior_form(mixture)
    logits = scores @ linear.T + constant + np.log(np.maximum(likelihood, _TINY))
    total = logsumexp(logits, axis=1)
    value = weights @ (total - 0.5 * (whitened**2).sum(1)) - 0.5 * np.log(values).sum()
    return np.exp(logits - total[:, None]), mixture._replace(log_likelihood=float(size * value))


def _maximise(scores, shares, weights, mixture):
    """Return the mixture with the means and covariance of the shares, for scores of variance 1."""
    mass = weights @ shares
    means = shares.T @ (weights[:, None] * scores) / np.maximum(mass, 1e-6)[:, None]
    second = scores.T @ (weights[:, None] * scores) - means.T @ (mass[:, None] * means)
    level = max(np.trace(second) / len(mass), _SMALLEST_VARIANCE)
    covariance = (1.0 - _SHRINKAGE) * second + _SHRINKAGE * level * np.eye(len(mass))
    return mixture._replace(means=means, covariance=covariance)
