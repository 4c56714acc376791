"""Properties of what is estimated from scores and noisy labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skrmt.model_selection._clean_labels import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    mixture_fit_test,
    normality_test,
    sample_likelihood,
    symmetric_noise,
    unmixed_accuracy,
)

SEEDS = st.integers(0, 2**32 - 1)
RATES = st.tuples(st.floats(0.0, 0.4), st.floats(0.0, 0.4))


def labelled_scores(seed, n, gap=1.5, rate=0.1):
    """Return scores around +-gap, their observed labels and weights."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2 == 1
    scores = np.where(truth, gap, -gap) + rng.standard_normal(n)
    return scores, truth ^ (rng.random(n) < rate), rng.uniform(0.5, 2.0, n)


@given(st.integers(2, 5), st.floats(0.0, 0.5), SEEDS)
def test_noise_matrices_have_rows_of_sum_one_and_give_the_likelihood(k, rate, seed):
    noise = symmetric_noise(k, rate)
    np.testing.assert_allclose(noise.sum(axis=-1), 1)
    np.testing.assert_allclose(np.diag(noise), 1 - rate)
    observed = np.random.default_rng(seed).integers(0, k, 8)
    likelihood = label_likelihood(observed, noise)
    np.testing.assert_allclose(likelihood, noise.T[observed])


@given(st.integers(2, 5), st.floats(0.0, 0.5), SEEDS)
def test_equal_noise_of_every_row_is_the_noise_of_all(k, rate, seed):
    observed = np.random.default_rng(seed).integers(0, k, 8)
    np.testing.assert_allclose(
        sample_likelihood(observed, np.full(8, rate), k),
        label_likelihood(observed, symmetric_noise(k, rate)),
        atol=1e-12,
    )


@given(RATES, SEEDS, st.integers(10, 60))
def test_posteriors_sum_to_one_and_the_prior_is_their_mean(rates, seed, n):
    noise = np.array([[1 - rates[0], rates[0]], [rates[1], 1 - rates[1]]]) * 0.98 + 0.01
    observed = np.random.default_rng(seed).integers(0, 2, n)
    likelihood = label_likelihood(observed, noise)
    prior = estimate_prior(likelihood, n_iter=5000)
    posterior = class_posterior(likelihood, prior)
    np.testing.assert_allclose(posterior.sum(axis=1), 1)
    np.testing.assert_allclose(posterior.mean(axis=0), prior, atol=1e-3)


@given(SEEDS, st.integers(20, 60))
def test_without_noise_the_accuracy_is_that_by_class(seed, n):
    rng = np.random.default_rng(seed)
    y, predicted = np.arange(n) % 2, rng.integers(0, 2, n)
    found = unmixed_accuracy(predicted, np.eye(2)[y], np.full(2, 0.5), np.ones(n))
    expected = np.mean([(predicted[y == k] == k).mean() for k in (0, 1)])
    assert np.isclose(found.accuracy, expected)
    assert found.standard_error >= 0


@given(SEEDS, st.integers(50, 200), st.floats(0.1, 10))
def test_p_values_are_probabilities_without_scale(seed, n, scale):
    scores, observed, w = labelled_scores(seed, n, rate=0.0)
    odds = np.where(observed, 30.0, -30.0)
    values = [
        mixture_fit_test(f * scores, odds, f * np.array([-1.5, 1.5]), f**2, w) for f in (1.0, scale)
    ]
    assert 0 <= values[0] <= 1
    assert np.isclose(values[0], values[1], atol=1e-8)
    noise = np.random.default_rng(seed).standard_normal(n)
    assert 0 <= normality_test(noise, w) <= 1
    assert np.isclose(normality_test(noise[::-1], w[::-1]), normality_test(noise, w))


@given(SEEDS, st.integers(100, 200))
def test_heavier_tails_are_less_normal(seed, n):
    noise = np.random.default_rng(seed).standard_normal(n)
    assert normality_test(noise**3, np.ones(n)) < 1e-3
