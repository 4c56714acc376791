"""Noise rates of two classes from held-out scores, as a distribution over a grid."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._goodness import mixture_fit_test
from ._score_mixture import OWN_VARIANCE, ScoreMixture, fit_score_mixture, label_log_odds

_STEP, _LARGEST = 0.08, 0.49
"""Step and end of the coarse grid of rates, refined afterwards; beyond 1/2 labels mislead."""

_FINE = np.linspace(-2.2, 2.2, 9)
"""Fine grid around the coarse mean, in its standard deviations: 97 % of a normal law."""

_SYMMETRY = 3.0
"""Prior weight against unequal rates, which an unequal shape of the classes imitates."""

_RARE = 0.05
"""Least frequency of a class: rates that imply a rarer one explain labels by its absence."""

_TEMPER = 0.25
"""Power of the likelihood: classes are only nearly Gaussian, and evidence counts for less."""

_LATER = 0.4
"""Further power for the scores of later rounds, of the same rows and labels."""

_ENOUGH_ROWS = 100.0
"""Rows at which a law that fails its test has half of the evidence left, and less with more."""

_LEVEL = 0.05
"""Level of that test: stricter than the one reported, since doubting the law costs little."""


class NoisePosterior(NamedTuple):
    """Pairs of noise rates with their probabilities.

    Attributes
    ----------
    rates : ndarray of shape (2, G)
        ``P(observed label wrong | class)`` of the negative and of the positive class.
    probabilities : ndarray of shape (G,)
        Their probabilities; they sum to 1.
    mixture : ScoreMixture
        The laws of the scores under each pair.
    temper : float
        Power to which the likelihood was raised.
    """

    rates: np.ndarray
    probabilities: np.ndarray
    mixture: ScoreMixture
    temper: float = 1.0

    @property
    def mean(self):
        """Posterior mean of the rates, (2,)."""
        return self.rates @ self.probabilities

    @property
    def std(self):
        """Posterior standard deviations of the rates, (2,)."""
        deviation = self.rates - self.mean[:, None]
        return np.sqrt(deviation**2 @ self.probabilities)


def rates_likelihood(observed, rates):
    """Return the likelihood of observed labels under pairs of noise rates."""
    negative, positive = np.asarray(rates, dtype=float)
    seen = observed[:, None]
    return np.stack(
        [np.where(seen, negative, 1.0 - negative), np.where(seen, 1.0 - positive, positive)]
    )


def prior_from_rates(observed_rate, rates):
    """Return the frequency of the positive class that noise rates imply."""
    return (observed_rate - rates[0]) / (1.0 - rates[0] - rates[1])


def noise_posterior(sample, *, prior=None, n_iter=40):
    r"""Estimate the noise rates of two classes from scores and observed labels."""
    axis = np.arange(0.0, _LARGEST, _STEP)
    coarse = _weigh(sample, _pairs(axis, axis, sample, prior), _TEMPER, n_iter)
    if _is_gaussian(sample, coarse):
        temper = _TEMPER
    else:
        temper = min(_TEMPER, _ENOUGH_ROWS / (_ENOUGH_ROWS + sample.size))
        coarse = _reweigh(coarse, temper)
    spread = np.maximum(coarse.std, _STEP / 3.0)
    negative, positive = coarse.mean[:, None] + spread[:, None] * _FINE
    return _weigh(sample, _pairs(negative, positive, sample, prior), temper, n_iter)


def update_posterior(posterior, sample, *, n_iter=40):
    """Reweigh noise rates by the scores of a later fit."""
    mixture = _mixture(sample, posterior.rates, posterior.mixture.prior, n_iter)
    evidence = _LATER * posterior.temper * mixture.log_likelihood
    with np.errstate(divide="ignore"):
        probabilities = _normalise(np.log(posterior.probabilities) + evidence)
    return NoisePosterior(posterior.rates, probabilities, mixture, posterior.temper)


def _pairs(negative, positive, sample, prior):
    """Return the pairs of rates of a grid, and the priors they imply, that are possible."""
    rates = np.stack([x.ravel() for x in np.meshgrid(negative, positive, indexing="ij")])
    share = float(sample.weights @ sample.observed)
    if prior is not None:
        rates = _on_known_prior(rates[0], share, prior)
    rates = rates[:, (rates.min(0) >= 0) & (rates.sum(0) < 0.95)]
    implied = prior_from_rates(share, rates)
    kept = (implied > _RARE) & (implied < 1.0 - _RARE)
    if not kept.any():
        kept = (implied > 0) & (implied < 1)
    if not kept.any():
        if prior is not None:
            raise ValueError(
                f"class_prior gives the positive class {prior:.3g}, which no noise rates turn into "
                f"the observed share {share:.3g}: correct it, or leave it None."
            )
        return np.zeros((2, 1)), np.array([share])
    return rates[:, kept], implied[kept]


def _on_known_prior(negative, share, prior):
    """Return the pairs of rates under which a known prior gives the observed share."""
    negative = np.unique(negative)
    return np.stack([negative, 1.0 - (share - (1.0 - prior) * negative) / prior])


def _weigh(sample, pairs, temper, n_iter):
    """Return the posterior over pairs of rates."""
    rates, prior = pairs
    mixture = _mixture(sample, rates, prior, n_iter)
    return _reweigh(NoisePosterior(rates, np.ones(len(prior)), mixture), temper)


def _reweigh(posterior, temper):
    """Return the posterior with its likelihood raised to another power."""
    rates, prior = posterior.rates, posterior.mixture.prior
    log_prior = np.log(prior * (1.0 - prior)) - _SYMMETRY * (rates[0] - rates[1]) ** 2
    evidence = temper * posterior.mixture.log_likelihood
    return posterior._replace(probabilities=_normalise(evidence + log_prior), temper=temper)


def _is_gaussian(sample, posterior):
    """Return whether the scores pass the test of the likeliest pair's laws."""
    best = int(np.argmax(posterior.probabilities))
    mixture = posterior.mixture
    likelihood = rates_likelihood(sample.observed, posterior.rates[:, [best]])
    odds = label_log_odds(likelihood, mixture.prior[[best]])[:, 0]
    means, variance = mixture.means[:, best], mixture.variance[best]
    p_value = mixture_fit_test(
        sample.scores, odds, means, variance, sample.weights, size=sample.size
    )
    return p_value > _LEVEL


def _mixture(sample, rates, prior, n_iter):
    """Fit one mixture a pair of rates."""
    likelihood = rates_likelihood(sample.observed, rates)
    return fit_score_mixture(sample, likelihood, prior, own_variance=OWN_VARIANCE, n_iter=n_iter)


def _normalise(log_weights):
    """Return weights proportional to the exponential, with sum 1."""
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()
