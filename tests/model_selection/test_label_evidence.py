"""Likelihoods, priors and posteriors of labels against closed forms."""

import numpy as np
import pytest
from scipy.optimize import minimize

from skrmt.model_selection._clean_labels import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    sample_likelihood,
    symmetric_noise,
)

NOISE = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]])


def test_likelihood_of_a_label_is_a_column_of_the_noise_matrix():
    observed = np.array([2, 0, 1, 1])
    likelihood = label_likelihood(observed, NOISE)
    for i, label in enumerate(observed):
        np.testing.assert_array_equal(likelihood[i], NOISE[:, label])


def test_symmetric_noise_spreads_wrong_labels_evenly():
    matrix = symmetric_noise(4, [0.0, 0.3, 0.6, 0.9])
    np.testing.assert_allclose(matrix.sum(1), 1.0, rtol=1e-15)
    np.testing.assert_allclose(1.0 - np.diag(matrix), [0.0, 0.3, 0.6, 0.9], rtol=1e-15)
    assert matrix[1, 0] == matrix[1, 2] == matrix[1, 3] == pytest.approx(0.1)
    np.testing.assert_array_equal(symmetric_noise(3, 0.3), symmetric_noise(3, [0.3] * 3))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_sample_noise_that_is_constant_is_class_noise(n_classes, rng):
    observed = rng.integers(0, n_classes, 50)
    rates = rng.uniform(0.0, 0.5, n_classes)
    expected = label_likelihood(observed, symmetric_noise(n_classes, rates))
    rows = np.tile(rates, (50, 1))
    np.testing.assert_allclose(sample_likelihood(observed, rows, n_classes), expected, rtol=1e-15)
    expected = label_likelihood(observed, symmetric_noise(n_classes, 0.3))
    actual = sample_likelihood(observed, np.full(50, 0.3), n_classes)
    np.testing.assert_allclose(actual, expected, rtol=1e-15)


def test_sample_likelihood_sums_to_one_over_labels(rng):
    rates = rng.uniform(0.0, 1.0, (30, 4))
    total = sum(sample_likelihood(np.full(30, label), rates, 4) for label in range(4))
    np.testing.assert_allclose(total, 1.0, rtol=1e-14)


def test_class_posterior_is_bayes_rule():
    prior = np.array([0.5, 0.3, 0.2])
    posterior = class_posterior(label_likelihood(np.arange(3), NOISE), prior)
    joint = prior[:, None] * NOISE
    np.testing.assert_allclose(posterior, (joint / joint.sum(0)).T, rtol=1e-14)


def test_class_posterior_of_an_impossible_label_is_the_prior():
    prior = np.array([0.7, 0.3])
    np.testing.assert_array_equal(class_posterior(np.zeros((1, 2)), prior), [prior])


def test_prior_inverts_the_noise_where_it_can():
    prior = np.array([0.5, 0.3, 0.2])
    likelihood = label_likelihood(np.arange(3), NOISE)
    found = estimate_prior(likelihood, prior @ NOISE, n_iter=5000)
    np.testing.assert_allclose(found, prior, atol=1e-8)


@pytest.mark.parametrize(("share", "expected"), [(0.05, 0.0), (0.95, 1.0)])
def test_prior_is_at_the_edge_where_the_noise_cannot_produce_the_labels(share, expected):
    likelihood = label_likelihood(np.array([0, 1]), symmetric_noise(2, 0.2))
    found = estimate_prior(likelihood, np.array([1.0 - share, share]))
    assert found[1] == pytest.approx(expected, abs=1e-10)


def test_prior_maximises_the_likelihood_of_rows_with_their_own_noise(rng):
    likelihood = rng.uniform(0.05, 1.0, (200, 3))
    weights = rng.uniform(0.5, 2.0, 200)

    def loss(logits):
        prior = np.exp(logits) / np.exp(logits).sum()
        return -weights @ np.log(likelihood @ prior)

    best = minimize(loss, np.zeros(3), tol=1e-12)
    found = estimate_prior(likelihood, weights, n_iter=5000)
    np.testing.assert_allclose(found, np.exp(best.x) / np.exp(best.x).sum(), atol=1e-5)


def test_prior_ignores_the_scale_of_rows_and_counts_weights(rng):
    likelihood = rng.uniform(0.05, 1.0, (20, 2))
    weights = rng.integers(1, 4, 20)
    expected = estimate_prior(np.repeat(likelihood, weights, axis=0))
    scaled = likelihood * rng.uniform(0.1, 10.0, (20, 1))
    np.testing.assert_allclose(estimate_prior(scaled, weights * 2.5), expected, atol=1e-9)
