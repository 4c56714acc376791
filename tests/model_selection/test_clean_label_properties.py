"""Properties of what is estimated from scores and noisy labels."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.model_selection._clean_labels import (
    class_posterior,
    combine_accuracies,
    estimate_prior,
    fit_class_mixture,
    fit_label_link,
    fit_score_mixture,
    inverse_temperature,
    label_likelihood,
    label_log_odds,
    learn_class_mixture,
    mixture_fit_test,
    noise_posterior,
    normality_test,
    prior_from_rates,
    rates_likelihood,
    sample_likelihood,
    score_sample,
    symmetric_noise,
    unmixed_accuracy,
    update_posterior,
)

SEEDS = st.integers(0, 2**32 - 1)
ROWS = st.integers(20, 80)
RATES = st.tuples(st.floats(0.0, 0.4), st.floats(0.0, 0.4))
PRIORS = st.floats(0.1, 0.9)


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


@given(RATES, PRIORS)
def test_rates_imply_the_prior_that_gives_the_observed_share(rates, prior):
    share = prior * (1 - rates[1]) + (1 - prior) * rates[0]
    assert np.isclose(prior_from_rates(share, np.array(rates)), prior, atol=1e-7)
    likelihood = rates_likelihood(np.array([True, False]), np.array(rates)[:, None])
    np.testing.assert_allclose(likelihood.sum(axis=1), 1)


@given(RATES, PRIORS, st.floats(0.02, 0.1))
def test_log_odds_are_those_of_bayes_rule(rates, prior, more):
    likelihood = rates_likelihood(np.array([True, False]), np.array(rates)[:, None])
    odds = label_log_odds(likelihood, np.array([prior]))
    floor = 1e-12
    expected = np.log(np.maximum(prior * likelihood[1], floor))
    expected -= np.log(np.maximum((1 - prior) * likelihood[0], floor))
    inner = (likelihood > 1e-6).all(axis=0)
    np.testing.assert_allclose(odds[inner], expected[inner], atol=1e-8)
    assert np.isfinite(odds).all()
    raised = label_log_odds(likelihood, np.array([min(prior + more, 0.99)]))
    assert (raised >= odds - 1e-12).all()


@given(SEEDS, st.integers(300, 900))
def test_bins_keep_the_weight_and_the_mean(seed, n):
    scores, observed, w = labelled_scores(seed, n)
    sample = score_sample(scores, w, observed, n_bins=32)
    share = sample.weights / sample.weights.sum()
    values = np.reshape(sample.scores, -1)
    assert np.isclose(np.reshape(share, -1) @ values, w @ scores / w.sum(), atol=1e-9)
    assert np.isclose(sample.size, w.sum() ** 2 / (w @ w))


@given(SEEDS, st.integers(40, 100), st.floats(0.1, 10.0), st.floats(-5, 5))
def test_the_mixture_moves_and_scales_with_its_scores(seed, n, scale, shift):
    scores, observed, w = labelled_scores(seed, n)
    likelihood = rates_likelihood(observed, np.array([[0.1], [0.1]]))
    fits = [
        fit_score_mixture(score_sample(s, w, observed), likelihood, np.array([0.5]))
        for s in (scores, scale * scores + shift)
    ]
    np.testing.assert_allclose(fits[1].means, scale * fits[0].means + shift, atol=1e-6 * scale)
    np.testing.assert_allclose(fits[1].variance, scale**2 * fits[0].variance, rtol=1e-6)


@settings(max_examples=5)
@given(SEEDS, st.floats(0.5, 3.0))
def test_probabilities_of_noise_rates_sum_to_one_whatever_the_scale(seed, scale):
    scores, observed, w = labelled_scores(seed, 300, gap=2.0, rate=0.2)
    sample = score_sample(scores, w, observed)
    found = noise_posterior(sample)
    assert np.isclose(found.probabilities.sum(), 1)
    assert ((found.mean >= 0) & (found.mean < 1)).all()
    scaled = noise_posterior(score_sample(scale * scores, w, observed))
    np.testing.assert_allclose(scaled.mean, found.mean, atol=1e-5)
    again = update_posterior(found, sample)
    assert np.isclose(again.probabilities.sum(), 1)
    np.testing.assert_array_equal(again.rates, found.rates)


@given(SEEDS, st.integers(60, 120), st.floats(0.2, 5.0))
def test_the_link_has_the_slope_of_its_scale_and_an_accuracy(seed, n, scale):
    scores, observed, w = labelled_scores(seed, n, gap=0.8)
    likelihood = rates_likelihood(observed, np.array([[0.1], [0.1]]))
    links = []
    for factor in (1.0, scale):
        sample = score_sample(factor * scores, w, observed)
        links.append(fit_label_link(sample, likelihood))
        assert 0.5 <= links[-1].accuracy(sample)[0] <= 1
    np.testing.assert_allclose(links[1].slope * scale, links[0].slope, rtol=1e-4, atol=1e-6)


@settings(max_examples=8)
@given(SEEDS, st.permutations(range(3)))
def test_mixtures_of_classes_follow_their_names(seed, order):
    order = np.array(order)
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], 40)
    scores = np.eye(3)[y] + 0.3 * rng.standard_normal((120, 3))
    one, prior = np.ones(120), np.full(3, 1 / 3)
    here = fit_class_mixture(scores, np.eye(3)[y], prior, one)
    there = fit_class_mixture(scores, np.eye(3)[y][:, order], prior, one)
    np.testing.assert_allclose(there.means, here.means[order], atol=1e-9)
    observed = np.where(rng.random(120) < 0.2, rng.integers(0, 3, 120), y)
    learned = learn_class_mixture(scores, observed, 3, one)
    np.testing.assert_allclose(learned.noise_matrix.sum(axis=1), 1)
    renamed = learn_class_mixture(scores, order[observed], 3, one)
    np.testing.assert_allclose(
        renamed.noise_matrix[np.ix_(order, order)], learned.noise_matrix, atol=1e-6
    )


@given(SEEDS, st.floats(0.3, 3.0))
def test_the_factor_undoes_a_scale_of_the_logits(seed, scale):
    rng = np.random.default_rng(seed)
    y = np.arange(100) % 2
    logits = np.eye(2)[y] + rng.standard_normal((100, 2))
    labels = np.eye(2)[y]
    here, there = (
        inverse_temperature(factor * logits, labels, np.ones(100)) for factor in (1.0, scale)
    )
    assert here > 0
    assert np.isclose(there * scale, here, rtol=1e-3)


@given(SEEDS, st.integers(20, 60))
def test_without_noise_the_accuracy_is_that_by_class(seed, n):
    rng = np.random.default_rng(seed)
    y, predicted = np.arange(n) % 2, rng.integers(0, 2, n)
    found = unmixed_accuracy(predicted, np.eye(2)[y], np.full(2, 0.5), np.ones(n))
    expected = np.mean([(predicted[y == k] == k).mean() for k in (0, 1)])
    assert np.isclose(found.accuracy, expected)
    assert found.standard_error >= 0


@given(st.floats(0.5, 0.99), st.floats(0.5, 0.99), st.floats(0.0, 0.8), st.integers(50, 5000))
def test_a_combined_accuracy_lies_between_its_claims_and_in_its_interval(a, b, noise, size):
    claims = np.array([a]), np.array([b]), np.ones(1)
    found = combine_accuracies(*claims, noise, float(size))
    low, high = found.interval
    assert min(a, b) - 1e-12 <= found.accuracy <= max(a, b) + 1e-12
    assert 0 <= low <= found.accuracy <= high <= 1
    wider = combine_accuracies(*claims, noise, float(size), misfit=True).interval
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12


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
