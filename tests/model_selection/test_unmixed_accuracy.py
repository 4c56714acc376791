"""Accuracy on clean labels from noisy ones: unmixing by counting, and the tests of the law."""

import numpy as np
import pytest
from scipy.stats import jarque_bera

from skrmt.model_selection._clean_labels import (
    class_posterior,
    label_likelihood,
    mixture_fit_test,
    normality_test,
    sample_likelihood,
    symmetric_noise,
    unmixed_accuracy,
)

NOISE_3 = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]])


def by_determinant(predicted, observed, prior, rates, weights):
    """Section 8.2 for two classes: unmix the averages over rows of each label."""
    pi, (negative, positive) = prior, rates
    right = pi * (1 - positive) / (pi * (1 - positive) + (1 - pi) * negative)
    wrong = pi * positive / (pi * positive + (1 - pi) * (1 - negative))
    det = right - wrong
    on_plus = np.average(predicted[observed == 1], weights=weights[observed == 1])
    on_minus = np.average(predicted[observed == 0], weights=weights[observed == 0])
    plus = ((1 - wrong) * on_plus - (1 - right) * on_minus) / det
    minus = (right * on_minus - wrong * on_plus) / det
    return pi * plus + (1 - pi) * (1 - minus)


@pytest.mark.parametrize("rates", [(0.0, 0.0), (0.1, 0.3), (0.3, 0.3)])
def test_two_classes_by_the_determinant(rng, rates):
    prior = np.array([0.35, 0.65])
    observed = (rng.random(300) < 0.6).astype(int)
    predicted = np.where(rng.random(300) < 0.6, observed, 1 - observed)
    weights = rng.uniform(0.5, 2.0, 300)
    label = class_posterior(label_likelihood(observed, symmetric_noise(2, rates)), prior)
    found = unmixed_accuracy(predicted, label, prior, weights)
    expected = by_determinant(predicted, observed, 0.65, rates, weights)
    assert 0 < expected < 1
    assert found.accuracy == pytest.approx(expected, rel=1e-9)


def test_contrast_is_the_correlation_of_label_and_class():
    prior, noise = np.array([0.3, 0.7]), symmetric_noise(2, [0.1, 0.3])
    joint = prior[:, None] * noise
    observed = np.array([0, 1])
    label = class_posterior(label_likelihood(observed, noise), prior)
    contrast = unmixed_accuracy(observed, label, prior, joint.sum(0)).contrast
    share = joint.sum(0)
    covariance = joint[1, 1] - prior[1] * share[1]
    expected = covariance / np.sqrt(prior.prod() * share.prod())
    assert contrast == pytest.approx(expected, rel=1e-10)


def rows_of(kind, rng, n):
    """Draw classes, likelihoods of their noisy labels, and predictions of known accuracy."""
    prior = np.array([0.4, 0.6]) if kind == "two" else np.array([0.3, 0.3, 0.4])
    n_classes = len(prior)
    clean = rng.choice(n_classes, n, p=prior)
    if kind == "rows":
        rates = rng.uniform(0.0, 0.5, n)
        wrong = (clean + rng.integers(1, n_classes, n)) % n_classes
        observed = np.where(rng.random(n) < rates, wrong, clean)
        likelihood = sample_likelihood(observed, rates, n_classes)
    else:
        noise = symmetric_noise(2, [0.1, 0.3]) if kind == "two" else NOISE_3
        observed = (rng.random(n)[:, None] > np.cumsum(noise, axis=1)[clean]).sum(1)
        likelihood = label_likelihood(observed, noise)
    hit = np.array([0.9, 0.7, 0.8])[clean]
    miss = (clean + rng.integers(1, n_classes, n)) % n_classes
    predicted = np.where(rng.random(n) < hit, clean, miss)
    return predicted, class_posterior(likelihood, prior), prior, prior @ [0.9, 0.7, 0.8][:n_classes]


@pytest.mark.parametrize("kind", ["two", "three", "rows"])
def test_accuracy_is_unbiased_with_the_stated_error(rng, kind):
    """400 draws: mean within 4 standard errors, spread within 20 % of the predicted one."""
    found, errors = [], []
    for _ in range(400):
        predicted, label, prior, truth = rows_of(kind, rng, 800)
        estimate = unmixed_accuracy(predicted, label, prior, np.ones(800))
        found.append(estimate.accuracy)
        errors.append(estimate.standard_error)
    spread = np.std(found, ddof=1)
    assert abs(np.mean(found) - truth) <= 4.0 * spread / 20.0, (np.mean(found), truth, spread)
    assert np.mean(errors) == pytest.approx(spread, rel=0.2)


def test_labels_that_say_nothing_give_nan(rng):
    label = class_posterior(
        label_likelihood(rng.integers(0, 2, 100), symmetric_noise(2, 0.48)), np.full(2, 0.5)
    )
    found = unmixed_accuracy(rng.integers(0, 2, 100), label, np.full(2, 0.5), np.ones(100))
    assert np.isnan(found.accuracy) and np.isnan(found.standard_error)
    assert found.contrast == pytest.approx(0.04, abs=0.01)


def test_accuracy_stays_in_the_unit_interval(rng):
    observed = np.array([0, 1] * 10)
    label = class_posterior(label_likelihood(observed, symmetric_noise(2, 0.3)), np.full(2, 0.5))
    assert unmixed_accuracy(observed, label, np.full(2, 0.5), np.ones(20)).accuracy == 1.0
    assert unmixed_accuracy(1 - observed, label, np.full(2, 0.5), np.ones(20)).accuracy == 0.0


def p_value(scores, observed, rates, prior, means, sd):
    """Test the true law at known rates."""
    joint = np.array([1 - prior, prior]) * label_likelihood(
        observed.astype(int), symmetric_noise(2, rates)
    )
    odds = np.log(joint[:, 1] / joint[:, 0])
    return mixture_fit_test(scores, odds, np.array(means), sd**2, np.ones(len(scores)))


def test_size_of_the_test_of_the_law(draw, rng):
    """At 1 %: rejections among 600 within 4 binomial standard errors (0.4 %) of 1 %."""
    rejected = []
    for _ in range(600):
        scores, observed, _ = draw(rng, 500, means=(-1.0, 1.0), prior=0.4, rates=(0.1, 0.3))
        rejected.append(p_value(scores, observed, (0.1, 0.3), 0.4, (-1.0, 1.0), 1.0) < 0.01)
    assert abs(np.mean(rejected) - 0.01) <= 4.0 * np.sqrt(0.01 * 0.99 / 600)


def test_power_of_the_test_of_the_law(draw, rng):
    """Classes of two clusters each are found out in 95 % of the draws."""
    rejected = []
    for _ in range(40):
        scores, observed, _ = draw(rng, 500, sd=0.3, rates=(0.1, 0.3))
        scores = scores + np.where(rng.random(500) < 0.5, 1.2, -1.2)
        rejected.append(p_value(scores, observed, (0.1, 0.3), 0.5, (-1.0, 1.0), 1.24) < 0.01)
    assert np.mean(rejected) >= 0.95


def test_normality_test_is_that_of_jarque_and_bera(rng):
    deviates = rng.exponential(size=60)
    assert normality_test(deviates, np.ones(60)) == pytest.approx(
        jarque_bera(deviates).pvalue, rel=1e-9
    )
    assert normality_test(5.0 - 3.0 * deviates, np.full(60, 2.0)) == pytest.approx(
        normality_test(deviates, np.ones(60)), rel=1e-9
    )


def test_rows_of_a_group_err_together(rng):
    prior, observed = np.full(2, 0.5), rng.integers(0, 2, 200)
    predicted = np.where(rng.random(200) < 0.7, observed, 1 - observed)
    label = class_posterior(label_likelihood(observed, symmetric_noise(2, (0.2, 0.3))), prior)
    one = unmixed_accuracy(predicted, label, prior, np.ones(200))
    group = np.repeat(rng.permutation(200), 3)
    thrice = (x[group] for x in (predicted, label))
    other = unmixed_accuracy(*thrice, prior, np.ones(600), 3.0, group)
    np.testing.assert_allclose(other[:3], one[:3], rtol=1e-12)
    alone = unmixed_accuracy(predicted, label, prior, np.ones(200), group=np.arange(200))
    np.testing.assert_allclose(alone[:3], one[:3], rtol=1e-12)
