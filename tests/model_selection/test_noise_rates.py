"""Noise rates from the shape of the scores."""

import numpy as np
import pytest

from skrmt.model_selection._clean_labels import (
    noise_posterior,
    prior_from_rates,
    rates_likelihood,
    score_sample,
    update_posterior,
)


def posterior_of(data, **options):
    """Return the posterior of the rates of a draw."""
    return noise_posterior(
        score_sample(data.scores, np.ones(len(data.scores)), data.observed), **options
    )


def test_rates_likelihood_is_the_noise_matrix(rng):
    rates = rng.uniform(0.0, 0.5, (2, 3))
    observed = np.array([True, False, True])
    likelihood = rates_likelihood(observed, rates)
    for g in range(3):
        matrix = [[1 - rates[0, g], rates[0, g]], [rates[1, g], 1 - rates[1, g]]]
        np.testing.assert_array_equal(likelihood[:, :, g], np.array(matrix)[:, observed * 1])


def test_prior_from_rates_inverts_the_noise():
    prior, rates = 0.3, np.array([0.1, 0.4])
    share = prior * (1 - rates[1]) + (1 - prior) * rates[0]
    assert prior_from_rates(share, rates) == pytest.approx(prior, rel=1e-13)


def test_posterior_is_a_distribution_over_compatible_rates(draw, rng):
    data = draw(rng, 500, prior=0.3, rates=(0.1, 0.2))
    posterior = posterior_of(data)
    assert posterior.probabilities.sum() == pytest.approx(1.0, rel=1e-12)
    assert (posterior.probabilities >= 0).all()
    assert (posterior.rates >= 0).all() and (posterior.rates.sum(0) < 0.95).all()
    implied = prior_from_rates(data.observed.mean(), posterior.rates)
    assert ((implied > 0) & (implied < 1)).all()
    np.testing.assert_allclose(posterior.mixture.prior, implied, rtol=1e-10)
    deviation = posterior.rates - posterior.mean[:, None]
    np.testing.assert_allclose(posterior.std**2, deviation**2 @ posterior.probabilities, rtol=1e-12)


@pytest.mark.parametrize("rates", [(0.2, 0.2), (0.15, 0.35)])
def test_posterior_mean_finds_the_rates(draw, rng, rates):
    """Mean over 24 draws within 4 standard errors + (1 - 2 rate) / (m + 2).

    The last is the mean of a Beta posterior less its mode after m rows, here half of the rows
    to which the evidence is tempered: classes hardly overlap.
    """
    n, found, rows = 4000, [], []
    for _ in range(24):
        posterior = posterior_of(draw(rng, n, means=(-3.0, 3.0), rates=rates))
        found.append(posterior.mean)
        rows.append(0.5 * n * posterior.temper)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(24)
    gap = np.abs(np.mean(found, axis=0) - rates)
    skew = (1.0 - 2.0 * np.array(rates)) * np.mean(1.0 / (np.array(rows) + 2.0))
    assert (gap <= 4.0 * error + skew).all(), (gap, error, skew)


def test_posterior_covers_the_rates_where_classes_overlap(draw, rng):
    """The tempered posterior is wide: the truth is within two of its standard deviations."""
    inside = []
    for _ in range(40):
        posterior = posterior_of(draw(rng, 400, means=(-1.0, 1.0), rates=(0.1, 0.3)))
        inside.append(np.abs(posterior.mean - [0.1, 0.3]) <= 2.0 * posterior.std)
    assert (np.mean(inside, axis=0) >= 0.9).all()


def test_known_prior_ties_both_rates(draw, rng):
    data = draw(rng, 1500, means=(-2.0, 2.0), prior=0.3, rates=(0.1, 0.3))
    posterior = posterior_of(data, prior=0.3)
    implied = prior_from_rates(data.observed.mean(), posterior.rates)
    np.testing.assert_allclose(implied, 0.3, rtol=1e-9)
    assert np.abs(posterior.mean - [0.1, 0.3]).max() <= 3.0 * posterior.std.max()


def test_known_prior_that_no_rates_allow_is_refused(draw, rng):
    data = draw(rng, 300, prior=0.02, rates=(0.0, 0.0))
    assert 0 < data.observed.mean() < 0.05
    with pytest.raises(ValueError, match=r"class_prior.*0\.99"):
        posterior_of(data, prior=0.99)


def test_update_keeps_the_pairs_and_sharpens_them(draw, rng):
    first = draw(rng, 800, means=(-1.0, 1.0), rates=(0.1, 0.3))
    later = 2.5 * np.where(first.clean, 1.0, -1.0) + rng.standard_normal(800)
    posterior = posterior_of(first)
    updated = update_posterior(posterior, score_sample(later, np.ones(800), first.observed))
    np.testing.assert_array_equal(updated.rates, posterior.rates)
    assert updated.probabilities.sum() == pytest.approx(1.0, rel=1e-12)
    assert (updated.std < posterior.std).all()


def test_rare_class_is_still_described(draw, rng):
    data = draw(rng, 400, means=(-3.0, 3.0), prior=0.01, rates=(0.0, 0.0))
    assert 0 < data.observed.sum() < 20
    posterior = posterior_of(data)
    assert np.isfinite(posterior.mean).all()
    assert np.isfinite(posterior.mixture.means).all()
