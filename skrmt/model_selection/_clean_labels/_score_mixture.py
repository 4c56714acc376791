"""Two Gaussian classes seen through noisy labels: the law of held-out scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr

OWN_VARIANCE = 0.5
"""Share of its own variance in the law of a real class: a common one takes wide for noisy."""

_SMALLEST_VARIANCE = 0.02
"""Least variance within classes, of scores of variance 1: no class shrinks to a point."""

_TINY = 1e-12
"""Smallest probability of which a logarithm is taken."""


class ScoreSample(NamedTuple):
    """Scores to which a mixture is fitted.

    Attributes
    ----------
    scores : ndarray of shape (m,) or (m, G)
        Leave-one-out scores, or the means of bins of them; one column for each of G fits.
    weights : ndarray of the shape of scores
        Their shares of the total weight.
    observed : ndarray of bool of shape (m,) or None
        Whether the observed label is the positive class; None where each row has a likelihood
        of its own.
    size : float
        Effective number of independent rows.
    """

    scores: np.ndarray
    weights: np.ndarray
    observed: np.ndarray | None
    size: float


class ScoreMixture(NamedTuple):
    """Gaussian laws of the scores of both classes, one for each of G hypotheses.

    Attributes
    ----------
    means : ndarray of shape (2, G)
        Mean score of the negative and of the positive class.
    variance : ndarray of shape (G,)
        Their common variance.
    prior : ndarray of shape (G,)
        Frequency of the positive class.
    log_likelihood : ndarray of shape (G,)
        Log-likelihood of scores and labels, of the effective number of rows.
    """

    means: np.ndarray
    variance: np.ndarray
    prior: np.ndarray
    log_likelihood: np.ndarray

    @property
    def slope(self):
        """Derivative of the log-odds of the positive class by the score, (G,)."""
        return (self.means[1] - self.means[0]) / self.variance

    @property
    def offset(self):
        """Log-odds of the positive class at score 0, (G,)."""
        centre = 0.5 * (self.means[0] + self.means[1])
        return np.log(self.prior / (1.0 - self.prior)) - self.slope * centre

    @property
    def threshold(self):
        """Score at which both classes are equally likely, (G,); nan without separation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.slope > 0, -self.offset / self.slope, np.nan)

    def accuracy(self, threshold=None):
        """Return the accuracy of a threshold, the best one by default, (G,)."""
        cut = self.threshold if threshold is None else threshold
        sd = np.sqrt(self.variance)
        hit = self.prior * ndtr((self.means[1] - cut) / sd)
        hit = hit + (1.0 - self.prior) * ndtr((cut - self.means[0]) / sd)
        return np.where(np.isnan(hit), np.maximum(self.prior, 1.0 - self.prior), hit)


def score_sample(scores, sample_weight, observed=None, *, size=None, n_bins=128):
    """Gather scores for a mixture fit, by bins where there are many."""
    total = sample_weight.sum()
    size = float(total**2 / (sample_weight**2).sum() if size is None else size)
    weights = sample_weight / total
    if observed is None or len(scores) <= 4 * n_bins:
        columns = weights if scores.ndim == 1 else np.broadcast_to(weights[:, None], scores.shape)
        return ScoreSample(scores, columns, observed, size)
    bins = [_binned(column, weights, observed, n_bins) for column in np.atleast_2d(scores.T)]
    points, mass = (np.stack(part, axis=1) for part in zip(*bins, strict=True))
    if scores.ndim == 1:
        points, mass = points[:, 0], mass[:, 0]
    return ScoreSample(points, mass, np.arange(2 * n_bins) >= n_bins, size)


def _binned(scores, weights, observed, n_bins):
    """Return the mean score and the weight of every bin of each label."""
    low, width = scores.min(), np.ptp(scores) or 1.0
    cells = np.minimum((scores - low) * (n_bins / width), n_bins - 1).astype(int)
    cells += n_bins * observed
    mass = np.bincount(cells, weights, 2 * n_bins)
    sums = np.bincount(cells, weights * scores, 2 * n_bins)
    return sums / np.where(mass > 0, mass, 1.0), mass


def standardise(sample):
    """Return the scores as columns of mean 0 and variance 1, with centre, spread and weights."""
    columns = sample.scores.reshape(len(sample.scores), -1)
    weights = sample.weights.reshape(columns.shape)
    centre = (weights * columns).sum(0)
    deviation = columns - centre
    spread = np.sqrt((weights * deviation**2).sum(0))
    spread = np.where(spread > 0, spread, 1.0)
    return deviation / spread, centre, spread, weights


def label_log_odds(likelihood, prior):
    """Return the log-odds of the positive class given the label alone."""
    ratio = np.maximum(likelihood[1], _TINY) / np.maximum(likelihood[0], _TINY)
    return np.log(ratio) + np.log(prior / (1.0 - prior))


def fit_score_mixture(sample, likelihood, prior, *, own_variance=0.0, n_iter=40):
    r"""Fit the Gaussian laws of both classes, with the weights of the mixture known."""
    z, centre, spread, w = standardise(sample)
    odds = label_log_odds(likelihood, prior)
    low, high, variance = _unmix(z, w, expit(odds))
    variances = np.stack([variance, variance])
    for _ in range(n_iter):
        share = w * expit(odds + _log_ratio(z, low, high, variances))
        first, second = share.sum(0), (share * z).sum(0)
        # Scores are standardised, so that the negative class has what the positive one lacks.
        positive = np.clip(first, 1e-6, 1.0 - 1e-6)
        high, low = second / positive, -second / (1.0 - positive)
        variance = np.maximum(1.0 - first * high**2 - (1.0 - first) * low**2, _SMALLEST_VARIANCE)
        variances = np.stack([variance, variance])
        if own_variance > 0:
            third = (share * z * z).sum(0)
            own = np.stack([(1.0 - third) / (1.0 - positive) - low**2, third / positive - high**2])
            variances += own_variance * (own - variance)
            variances = np.maximum(variances, _SMALLEST_VARIANCE)
    log_likelihood = _log_likelihood(z, w, likelihood, prior, low, high, variances)
    log_likelihood = sample.size * (log_likelihood - np.log(spread))
    means = centre + spread * np.stack([low, high])
    return ScoreMixture(means, variance * spread**2, prior, log_likelihood)


def _log_ratio(z, low, high, variances):
    """Return the log-ratio of the density of the positive class to that of the negative one."""
    negative, positive = variances
    if (negative == positive).all():
        return (high - low) / positive * (z - 0.5 * (low + high))
    ratio = 0.5 * np.log(negative / positive)
    return ratio + (z - low) ** 2 / (2.0 * negative) - (z - high) ** 2 / (2.0 * positive)


def _unmix(z, w, share):
    """Return means and variance from the regression of the scores on the label's posterior."""
    average = (w * share).sum(0)
    deviation = share - average
    energy = np.maximum((w * deviation**2).sum(0), 1e-6)
    gap = (w * deviation * z).sum(0) / energy
    low = -average * gap
    variance = np.clip(1.0 - average * (1.0 - average) * gap**2, 0.1, None)
    return low, low + gap, variance


def _log_likelihood(z, w, likelihood, prior, low, high, variances):
    """Return the mean log-likelihood of standardised scores and labels."""
    positive = np.log(np.maximum(prior * likelihood[1], _TINY)) + _log_normal(z, high, variances[1])
    weight = np.log(np.maximum((1.0 - prior) * likelihood[0], _TINY))
    negative = weight + _log_normal(z, low, variances[0])
    return (w * np.logaddexp(positive, negative)).sum(0)


def _log_normal(z, mean, variance):
    """Return the log-density of a normal law."""
    return -((z - mean) ** 2) / (2.0 * variance) - 0.5 * np.log(2.0 * np.pi * variance)
