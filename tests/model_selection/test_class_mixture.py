"""K Gaussian classes: against two classes, a dense version, and the truth."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import multivariate_normal

from skrmt.model_selection._clean_labels import (
    class_posterior,
    fit_class_mixture,
    inverse_temperature,
    label_likelihood,
    learn_class_mixture,
    symmetric_noise,
)

NOISE = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]])
PRIOR = np.array([0.3, 0.3, 0.4])
MEANS = 1.5 * np.array([[1.0, -0.5, -0.5], [-0.5, 1.0, -0.5], [-0.5, -0.5, 1.0]])
COVARIANCE = 0.2 * np.eye(3) + 0.05


def draw_classes(rng, n, noise=NOISE):
    """Draw score vectors and observed labels of three classes."""
    clean = rng.choice(3, n, p=PRIOR)
    scores = MEANS[clean] + rng.multivariate_normal(np.zeros(3), COVARIANCE, n)
    observed = (rng.random(n)[:, None] > np.cumsum(noise, axis=1)[clean]).sum(1)
    return scores, observed, clean


def test_posterior_form_is_bayes_rule(rng):
    scores, observed, _ = draw_classes(rng, 200)
    mixture = fit_class_mixture(scores, label_likelihood(observed, NOISE), PRIOR, np.ones(200))
    density = np.stack(
        [multivariate_normal.pdf(scores, m, mixture.covariance) for m in mixture.means], axis=1
    )
    expected = density * mixture.prior / (density @ mixture.prior)[:, None]
    logits = scores @ mixture.directions.T + mixture.offsets
    np.testing.assert_allclose(softmax(logits, axis=1), expected, rtol=1e-8, atol=1e-12)


def test_log_likelihood_is_that_of_the_mixture(rng):
    """Up to the constant of the normal density: (2 pi)^(K/2) a row."""
    scores, observed, _ = draw_classes(rng, 200)
    likelihood = label_likelihood(observed, NOISE)
    mixture = fit_class_mixture(scores, likelihood, PRIOR, np.ones(200))
    density = np.stack(
        [multivariate_normal.pdf(scores, m, mixture.covariance) for m in mixture.means], axis=1
    )
    expected = np.log((density * mixture.prior * likelihood).sum(1)).sum()
    constant = 200 * 1.5 * np.log(2.0 * np.pi)
    assert mixture.log_likelihood - constant == pytest.approx(expected, rel=1e-9)


def test_fit_is_a_fixed_point_of_expectation_maximisation(rng):
    """One dense step from the converged fit changes nothing; covariance shrunk by 10 %."""
    n = 300
    scores, observed, _ = draw_classes(rng, n)
    likelihood, weights = label_likelihood(observed, NOISE), rng.uniform(0.5, 2.0, n)
    mixture = fit_class_mixture(scores, likelihood, PRIOR, weights, learn_prior=False, n_iter=400)
    share = np.zeros((n, 3))
    for k in range(3):
        density = multivariate_normal.pdf(scores, mixture.means[k], mixture.covariance)
        share[:, k] = PRIOR[k] * likelihood[:, k] * density
    share /= share.sum(1, keepdims=True)
    second = np.zeros((3, 3))
    for k in range(3):
        w = weights * share[:, k] / weights.sum()
        mean = w @ scores / w.sum()
        np.testing.assert_allclose(mean, mixture.means[k], atol=1e-8)
        second += np.einsum("i,ij,ik->jk", w, scores - mean, scores - mean)
    shrunk = 0.9 * second + 0.1 * np.trace(second) / 3.0 * np.eye(3)
    np.testing.assert_allclose(shrunk, mixture.covariance, atol=1e-8)


def test_fit_recovers_the_law(rng):
    """Mean over 20 draws within 4 standard errors + 2/n; the shrunk covariance is known."""
    n, found = 1500, []
    for _ in range(20):
        scores, observed, _ = draw_classes(rng, n)
        fit = fit_class_mixture(
            scores, label_likelihood(observed, NOISE), np.full(3, 1 / 3), np.ones(n)
        )
        found.append(np.concatenate([fit.means, fit.covariance, fit.prior[None]]).ravel())
    shrunk = 0.9 * COVARIANCE + 0.1 * np.trace(COVARIANCE) / 3.0 * np.eye(3)
    truth = np.concatenate([MEANS, shrunk, PRIOR[None]]).ravel()
    error = np.std(found, axis=0, ddof=1) / np.sqrt(20)
    gap = np.abs(np.mean(found, axis=0) - truth)
    assert (gap <= 4.0 * error + 2.0 / n).all(), (gap, error)


def test_learned_noise_matrix_is_the_truth(rng):
    """Mean over 12 draws within 4 standard errors + the pull of the prior.

    Counts tempered by 0.3 against 2 rows of symmetric noise of at most 50 %, a distance of 0.5 or
    less: the pull is at most 0.5 * 2 / (0.3 * 0.3 n + 2).
    """
    n, found = 1500, []
    for _ in range(12):
        scores, observed, _ = draw_classes(rng, n)
        found.append(learn_class_mixture(scores, observed, 3, np.ones(n)).noise_matrix)
    np.testing.assert_allclose(np.sum(found, axis=2), 1.0, rtol=1e-12)
    error = np.std(found, axis=0, ddof=1) / np.sqrt(12)
    gap = np.abs(np.mean(found, axis=0) - NOISE)
    assert (gap <= 4.0 * error + 1.0 / (0.09 * n + 2.0)).all(), (gap, error)


def test_known_prior_is_kept(rng):
    scores, observed, _ = draw_classes(rng, 300)
    learned = learn_class_mixture(scores, observed, 3, np.ones(300), prior=PRIOR)
    np.testing.assert_allclose(learned.prior, PRIOR, atol=1.0 / 300)
    likelihood = label_likelihood(observed, NOISE)
    fit = fit_class_mixture(scores, likelihood, PRIOR, np.ones(300), learn_prior=False)
    np.testing.assert_array_equal(fit.prior, PRIOR)


def test_weights_are_repetitions(rng):
    """The prior is smoothed by half a row of the effective number: it is kept fixed here."""
    scores, observed, _ = draw_classes(rng, 120)
    weights = rng.integers(1, 4, 120)
    rows = np.repeat(np.arange(120), weights)
    likelihood = label_likelihood(observed, NOISE)
    one = fit_class_mixture(scores, likelihood, PRIOR, weights * 1.0, learn_prior=False)
    other = fit_class_mixture(
        scores[rows], likelihood[rows], PRIOR, np.ones(len(rows)), learn_prior=False
    )
    np.testing.assert_allclose(one.means, other.means, atol=1e-9)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-9)


def test_degenerate_scores_give_a_finite_law():
    likelihood = label_likelihood(np.array([0, 1, 2] * 4), NOISE)
    fit = fit_class_mixture(np.zeros((12, 3)), likelihood, PRIOR, np.ones(12))
    assert np.isfinite(fit.means).all() and np.isfinite(fit.directions).all()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_inverse_temperature_is_the_best_of_a_grid(rng, scale):
    scores, observed, _ = draw_classes(rng, 400)
    likelihood = label_likelihood(observed, NOISE)
    weights = rng.uniform(0.5, 2.0, 400)
    logits = scale * scores
    beta = inverse_temperature(logits, likelihood, weights)

    def value(factor):
        clean = softmax(factor * logits, axis=1)
        return weights @ np.log((clean * likelihood).sum(1))

    grid = beta * np.exp(np.linspace(-1.0, 1.0, 401))
    values = [value(factor) for factor in grid]
    assert value(beta) >= max(values) - 1e-6 * abs(value(beta))


def test_inverse_temperature_undoes_a_factor(rng):
    """Logits of the true posterior, times 5: beta is 1/5 within 4 standard errors of 30 draws."""
    found = []
    for _ in range(30):
        logits = 1.5 * rng.standard_normal((1000, 3))
        posterior = softmax(logits, axis=1)
        clean = (rng.random(1000)[:, None] > np.cumsum(posterior, axis=1)).sum(1)
        observed = (rng.random(1000)[:, None] > np.cumsum(NOISE, axis=1)[clean]).sum(1)
        likelihood = label_likelihood(observed, NOISE)
        found.append(inverse_temperature(5.0 * logits, likelihood, np.ones(1000)))
    error = np.std(found, ddof=1) / np.sqrt(30)
    assert abs(np.mean(found) - 0.2) <= 4.0 * error + 1.0 / 1000


def test_inverse_temperature_of_equal_logits_is_finite():
    likelihood = class_posterior(label_likelihood(np.array([0, 1]), symmetric_noise(2, 0.1)), 0.5)
    assert np.isfinite(inverse_temperature(np.zeros((2, 2)), likelihood, np.ones(2)))
