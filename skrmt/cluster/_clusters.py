"""From leading components to clusters, and how many samples are in the right one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp, ndtr, ndtri

from ..linalg import to_numpy
from ..theory.nested_tensor import bayes_accuracy
from ..utils._dask import is_dask
from ..utils._rows import row_sums, row_values
from ._modes import (
    GaussianClusters,
    UnitMixture,
    bimodal_direction,
    fit_tied_mixture,
    fit_unit_mixture,
    kurtosis,
)
from ._view_products import combine_views

_MOST_DIRECTIONS = 8
"""Directions among which two modes are sought on real data; chosen on pairs of digits."""

_PRIOR_SIGMAS = 2.0
"""Standard errors by which the share of a cluster must differ from a half to be used: one set of
equal clusters in twenty gets a threshold of its own, which costs it little."""

_KURTOSIS_SIGMAS = 5.0
"""Standard errors by which the kurtosis of the scores may be off two Gaussian laws: the noise of
the test statistic is not quite Gaussian, and a fit that passes is still checked by its spectrum."""


_MESSAGE_ROUNDS = 30
"""Rounds of message passing, which settles geometrically in about ten."""


class Clusters(NamedTuple):
    """Clusters in the embedding.

    Attributes
    ----------
    coefficients : ndarray of shape (q,) or None
        Change of the log-odds of the second of two clusters with the embedding.
    intercept : float
        Its log-odds at the origin.
    mixture : UnitMixture, GaussianClusters or None
        Clusters that are not on two sides of a plane.
    priors : ndarray of shape (k,)
        Shares of the clusters.
    threshold : float
        Score that separates two clusters, in standard deviations of the score; nan for more.
    model_accuracy : float
        Under the model.
    balanced_accuracy : float
        The same if they were of equal size.
    model_fit : bool
        Whether the assumption of the model survives its tests.
    n_iter : int
        Sweeps.
    """

    coefficients: np.ndarray | None
    intercept: float
    mixture: UnitMixture | GaussianClusters | None
    priors: np.ndarray
    threshold: float
    model_accuracy: float
    balanced_accuracy: float
    model_fit: bool
    n_iter: int = 0

    def decision(self, embedding):
        """Return log-odds of the second cluster, or log-probabilities of all up to a constant."""
        if self.mixture is None:
            return embedding @ self.coefficients + self.intercept
        log_joint = self.mixture.log_joint(embedding[:, : self.mixture.means.shape[1]])
        if len(self.priors) == 2:
            return log_joint[:, 1] - log_joint[:, 0]
        return log_joint - logsumexp(log_joint, axis=1, keepdims=True)

    def labels(self, embedding):
        """Return the clusters of samples."""
        decision = self.decision(embedding)
        if decision.ndim == 1:
            return (decision > 0).astype(np.int64)
        return decision.argmax(axis=1)


def two_clusters(combined, embedding, model_accuracy, threshold, seed):
    """Separate two clusters."""
    if combined.white and combined.spectrum.n_spikes <= 1:
        clusters = _model_clusters(combined, embedding, model_accuracy, threshold)
        if clusters.model_fit:
            return clusters
    return _bimodal_clusters(combined, embedding, model_accuracy, threshold, seed)


def _model_clusters(combined, embedding, model_accuracy, rule):
    """Separate two clusters along the first component, with the accuracy of the model."""
    scores = embedding[:, 0]
    fit = fit_tied_mixture(scores)
    if not combined.spectrum.n_spikes:
        return _guessed(embedding, fit, rule, True)
    distance = float(np.sqrt(max(np.mean(scores**2) - 1, 0.0)))
    prior = _prior(fit, scores)
    overlap = distance**2 / (distance**2 + 1)
    share = prior * (1 - prior)
    expected = 3 + overlap**2 * (1 - 6 * share) / share
    error = np.sqrt(24 / len(scores))
    model_fit = abs(kurtosis(scores) - expected) <= _KURTOSIS_SIGMAS * error
    if prior == 0.5:
        accuracy, slope, threshold = model_accuracy, 2 * max(distance, 1e-8), 0.0
    else:
        slope, threshold = fit.slope, fit.threshold
        accuracy = _imbalanced(model_accuracy, prior, rule)
        if rule == "zero":
            threshold = 0.0
    coefficients = slope * _unit(embedding)
    spread = np.sqrt(distance**2 + 1)
    return Clusters(
        coefficients,
        float(-slope * threshold),
        None,
        np.array([1 - prior, prior]),
        float(threshold / spread),
        accuracy,
        model_accuracy,
        bool(model_fit),
    )


def _guessed(embedding, fit, rule, model_fit):
    """Return two clusters along the first component where nothing stands out of the noise."""
    threshold = fit.threshold if rule == "mixture" and np.isfinite(fit.threshold) else 0.0
    halves = np.array([0.5, 0.5])
    direction = _unit(embedding)
    return Clusters(direction, -threshold, None, halves, threshold, 0.5, 0.5, model_fit)


def _imbalanced(balanced_accuracy, prior, rule):
    """Return the accuracy of the model for clusters of unequal size; see `imbalanced`."""
    distance = ndtri(min(balanced_accuracy, 1 - 1e-15)) / (2 * np.sqrt(prior * (1 - prior)))
    if rule == "zero":
        shares = 2 * np.array([1 - prior, prior])
        return float(np.array([prior, 1 - prior]) @ ndtr(shares * distance))
    odds = np.log(prior / (1 - prior)) / (2 * max(distance, 1e-12))
    return float(prior * ndtr(distance + odds) + (1 - prior) * ndtr(distance - odds))


def _unit(embedding):
    """Return the first coordinate vector."""
    return np.eye(1, embedding.shape[1])[0]


def _prior(fit, scores):
    """Return the share of the second cluster: a half unless it differs for sure."""
    error = fit.prior_error(scores)
    if abs(fit.prior - 0.5) <= _PRIOR_SIGMAS * error or fit.separation < 0.5:
        return 0.5
    return float(fit.prior)


def _bimodal_clusters(combined, embedding, model_accuracy, rule, seed):
    """Separate two clusters along the direction of two modes."""
    if not combined.spectrum.n_spikes:
        return _guessed(embedding, fit_tied_mixture(embedding[:, 0]), rule, False)
    r = max(1, min(_MOST_DIRECTIONS, combined.spectrum.n_spikes, embedding.shape[1]))
    spread = np.maximum(np.sqrt((embedding[:, :r] ** 2).mean(axis=0)), 1e-300)
    whitened = embedding[:, :r] / spread
    direction = bimodal_direction(whitened, seed)
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    scores = whitened @ direction
    fit = fit_tied_mixture(scores)
    prior, threshold = 0.5, 0.0
    if rule == "mixture":
        prior = _prior(fit, scores)
        threshold = fit.threshold if prior != 0.5 else 0.0
    coefficients = np.zeros(embedding.shape[1])
    coefficients[:r] = fit.slope * direction / spread
    return Clusters(
        coefficients,
        float(-fit.slope * threshold),
        None,
        np.array([1 - prior, prior]),
        float(threshold),
        model_accuracy,
        model_accuracy,
        False,
    )


def many_clusters(combined, embedding, n_clusters, tol, max_iter, seed):
    """Separate more than two clusters, or none from one."""
    found = combined.spectrum.n_spikes
    r = max(1, min(n_clusters - 1, found if combined.white else n_clusters - 1, embedding.shape[1]))
    points = embedding[:, :r]
    mixture = fit_unit_mixture(points, n_clusters, seed, tol, max_iter)
    white = combined.white and found <= n_clusters - 1
    model_accuracy = 1 / n_clusters
    if found:
        model_accuracy = mixture.accuracy(np.random.default_rng(seed))
    return Clusters(
        None,
        0.0,
        mixture,
        mixture.priors,
        float("nan"),
        model_accuracy,
        model_accuracy,
        bool(white),
        mixture.n_iter,
    )


def pass_messages(views, combined, clusters):
    """Improve two clusters by approximate message passing; return them, labels and loadings."""
    Y = combine_views(views.X, np.stack(combined.means, axis=1), combined.weights)
    odds, direction, accuracy = _messages(Y if is_dask(Y) else to_numpy(Y), combined)
    loadings = [np.outer(direction, [weight]) for weight in combined.weights]
    clusters = clusters._replace(model_accuracy=accuracy, balanced_accuracy=accuracy)
    return clusters, (odds > 0).astype(np.int64), loadings


def _messages(Y, combined):
    """Return log-odds of the samples, loadings of the features, and the accuracy of the model."""
    n, p = Y.shape
    v = combined.spectrum.noise_variance
    s = combined.model.signal / (n * v)
    scale = np.sqrt(v)
    strength = np.sqrt(s / p)
    labels = np.clip(np.sqrt(n) * combined.components.left[:, 0], -0.95, 0.95)
    previous = np.zeros(p)
    for _ in range(_MESSAGE_ROUNDS):
        energy = s / p * float(labels @ labels)
        drive = strength * row_sums(weighted_rows, Y, labels) / scale
        drive -= s / p * float((1 - labels**2).sum()) * previous
        direction = drive / (1 + energy)
        scores = row_values(np.matmul, Y, shared=(direction,))
        odds = strength * scores / scale - s / (1 + energy) * labels
        previous, labels = direction, np.tanh(odds)
    accuracy = max(bayes_accuracy(s, n / p), 0.5)
    return 2 * odds, 2 * strength * direction / scale, accuracy


def weighted_rows(Y, weights):
    """Return the weighted sum of the rows of a matrix."""
    return Y.T @ weights


def triangular_draw(seed, signal, noise_variance, shape):
    r"""Draw what is left of a centred matrix of two clusters after a rotation of its samples."""
    (n, p), rng = shape, np.random.default_rng(seed)
    size = min(n - 2, p)
    rows = np.triu(rng.standard_normal((size, p)), 1)
    np.fill_diagonal(rows, np.sqrt(rng.chisquare(n - 2.0 - np.arange(size))))
    Y = np.sqrt(noise_variance) * np.concatenate([rng.standard_normal((1, p)), rows])
    total = 2.0 * rng.binomial(n, 0.5) - n
    Y[0, 0] += np.sqrt(max(n - total**2 / n, 0.0) * signal / n)
    return Y
