"""The mixture of scores against a dense version, literally sections 8.2 and 8.3."""

import numpy as np
import pytest
from scipy.stats import norm

from skrmt.model_selection._clean_labels import (
    fit_score_mixture,
    label_log_odds,
    rates_likelihood,
    score_sample,
)
from skrmt.theory.noisy_labels import best_threshold, binary_accuracy

RATES = np.array([[0.1, 0.3, 0.0, 0.25], [0.1, 0.2, 0.4, 0.45]])
PRIOR = np.array([0.5, 0.6, 0.7, 0.4])


def naive_fit(scores, weights, likelihood, prior, n_iter, own=0.0):
    """One hypothesis: unmix by least squares, then EM with known mixture weights."""
    weights = weights / weights.sum()
    a, b = prior * likelihood[1], (1.0 - prior) * likelihood[0]
    share = a / (a + b)
    root = np.sqrt(weights)
    design = np.stack([share, 1.0 - share], axis=1)
    high, low = np.linalg.lstsq(root[:, None] * design, root * scores, rcond=None)[0]
    total = weights @ (scores - weights @ scores) ** 2
    average = weights @ share
    variance = max(total - average * (1.0 - average) * (high - low) ** 2, 0.1 * total)
    variances = np.array([variance, variance])
    for _ in range(n_iter):
        minus, plus = np.sqrt(variances)
        plus, minus = a * norm.pdf(scores, high, plus), b * norm.pdf(scores, low, minus)
        r = weights * plus / (plus + minus)
        s = weights - r
        high, low = r @ scores / r.sum(), s @ scores / s.sum()
        squares = np.array([s @ (scores - low) ** 2, r @ (scores - high) ** 2])
        variance = max(squares.sum(), 0.02 * total)
        variances = (1.0 - own) * variance + own * squares / [s.sum(), r.sum()]
        variances = np.maximum(variances, 0.02 * total)
    minus, plus = np.sqrt(variances)
    seen = a * norm.pdf(scores, high, plus) + b * norm.pdf(scores, low, minus)
    return low, high, variance, weights @ np.log(seen)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_iter", [0, 1, 40])
@pytest.mark.parametrize("own", [0.0, 0.5, 1.0])
def test_fit_agrees_with_a_dense_one(draw, rng, weighted, n_iter, own):
    """The policy of kernels: rtol 1e-9."""
    scores, observed, _ = draw(rng, 400, means=(-2.0, 1.0), prior=0.6, rates=(0.1, 0.3))
    scores = 7.0 * scores + 20.0
    weights = rng.uniform(0.2, 3.0, 400) if weighted else np.ones(400)
    sample = score_sample(scores, weights, observed)
    likelihood = rates_likelihood(observed, RATES)
    likelihood = np.clip(likelihood, 1e-9, None)
    fit = fit_score_mixture(sample, likelihood, PRIOR, own_variance=own, n_iter=n_iter)
    size = weights.sum() ** 2 / (weights**2).sum()
    assert sample.size == pytest.approx(size, rel=1e-12)
    for g in range(4):
        low, high, variance, value = naive_fit(
            scores, weights, likelihood[:, :, g], PRIOR[g], n_iter, own
        )
        np.testing.assert_allclose(fit.means[:, g], [low, high], rtol=1e-9, atol=1e-9 * 7.0)
        assert fit.variance[g] == pytest.approx(variance, rel=1e-9)
        assert fit.log_likelihood[g] == pytest.approx(size * value, rel=1e-9)


def test_log_likelihood_is_that_of_the_scores_and_labels(draw, rng):
    scores, observed, _ = draw(rng, 300, rates=(0.1, 0.3))
    likelihood = rates_likelihood(observed, np.array([[0.1], [0.3]]))
    fit = fit_score_mixture(
        score_sample(scores, np.ones(300), observed), likelihood, np.array([0.5])
    )
    sd = np.sqrt(fit.variance[0])
    plus = 0.5 * likelihood[1, :, 0] * norm.pdf(scores, fit.means[1, 0], sd)
    minus = 0.5 * likelihood[0, :, 0] * norm.pdf(scores, fit.means[0, 0], sd)
    assert fit.log_likelihood[0] == pytest.approx(np.log(plus + minus).sum(), rel=1e-10)


@pytest.mark.parametrize("column", [False, True])
def test_fit_moves_and_scales_with_the_scores(draw, rng, column):
    scores, observed, _ = draw(rng, 200)
    likelihood = rates_likelihood(observed, np.array([[0.2], [0.2]]))
    shape = (200, 1) if column else (200,)
    fits = [
        fit_score_mixture(
            score_sample(x.reshape(shape), np.ones(200), observed), likelihood, np.array([0.5])
        )
        for x in (scores, 1e-100 * scores, 3.0 - 4.0 * scores)
    ]
    np.testing.assert_allclose(fits[1].means, 1e-100 * fits[0].means, rtol=1e-9)
    np.testing.assert_allclose(fits[2].means, 3.0 - 4.0 * fits[0].means, rtol=1e-9)
    np.testing.assert_allclose(fits[2].variance, 16.0 * fits[0].variance, rtol=1e-9)


def test_fit_recovers_the_law(draw, rng):
    """Mean over 30 draws within 4 standard errors + 1/n."""
    found, n = [], 1000
    for _ in range(30):
        scores, observed, _ = draw(rng, n, means=(-1.2, 0.8), sd=0.7, prior=0.3, rates=(0.1, 0.3))
        sample = score_sample(scores, np.ones(n), observed)
        likelihood = rates_likelihood(sample.observed, np.array([[0.1], [0.3]]))
        fit = fit_score_mixture(sample, likelihood, np.array([0.3]))
        found.append([*fit.means[:, 0], fit.variance[0]])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(30)
    gap = np.abs(np.mean(found, axis=0) - [-1.2, 0.8, 0.49])
    assert (gap <= 4.0 * error + 1.0 / n).all(), (gap, error)


def test_bins_cost_little(draw, rng):
    """Rows of a bin lose at most width^2/12 of variance on average, and no mean."""
    n, n_bins = 4000, 128
    scores, observed, _ = draw(rng, n, rates=(0.1, 0.3))
    binned = score_sample(scores, np.ones(n), observed, n_bins=n_bins)
    full = score_sample(scores, np.ones(n), observed, n_bins=n)
    assert len(binned.scores) == 2 * n_bins
    assert len(full.scores) == n
    assert binned.weights.sum() == pytest.approx(1.0, rel=1e-12)
    assert binned.weights @ binned.scores == pytest.approx(scores.mean(), rel=1e-12)
    lost = scores.var() - binned.weights @ (binned.scores - scores.mean()) ** 2
    width = np.ptp(scores) / n_bins
    assert 0.0 <= lost <= width**2 / 12.0 * 1.2
    fits = [
        fit_score_mixture(s, rates_likelihood(s.observed, RATES[:, :2]), PRIOR[:2])
        for s in (binned, full)
    ]
    np.testing.assert_allclose(fits[0].means, fits[1].means, atol=width**2)
    np.testing.assert_allclose(fits[0].variance, fits[1].variance, atol=width**2)


def test_bins_of_columns_are_those_of_each_column(draw, rng):
    n = 1500
    columns = np.stack([draw(rng, n).scores for _ in range(3)], axis=1)
    observed = rng.random(n) < 0.5
    weights = rng.uniform(0.5, 2.0, n)
    together = score_sample(columns, weights, observed, n_bins=32)
    for g in range(3):
        alone = score_sample(columns[:, g], weights, observed, n_bins=32)
        np.testing.assert_allclose(together.scores[:, g], alone.scores, rtol=1e-12)
        np.testing.assert_allclose(together.weights[:, g], alone.weights, rtol=1e-12)


def test_slope_offset_and_threshold_are_the_posterior_of_the_law(draw, rng):
    scores, observed, _ = draw(rng, 200, means=(-0.3, 1.1), sd=0.8, prior=0.7)
    likelihood = rates_likelihood(observed, np.array([[0.2], [0.2]]))
    sample = score_sample(scores, np.ones(200), observed)
    mixture = fit_score_mixture(sample, likelihood, np.array([0.7]))
    means, variance = mixture.means[:, 0], mixture.variance[0]
    x = np.linspace(-3.0, 3.0, 11)
    low, high = norm.pdf(x[:, None], means, np.sqrt(variance)).T
    odds = np.log(0.7 * high) - np.log(0.3 * low)
    np.testing.assert_allclose(mixture.slope * x + mixture.offset, odds, rtol=1e-12, atol=1e-12)
    cut = best_threshold(means, (variance, variance), 0.7)
    assert mixture.threshold[0] == pytest.approx(float(cut), rel=1e-10)
    for threshold in (None, 0.2):
        at = cut if threshold is None else threshold
        expected = binary_accuracy(means, (variance, variance), 0.7, at)
        assert mixture.accuracy(threshold)[0] == pytest.approx(float(expected), rel=1e-12)


def test_mixture_without_separation_guesses_the_larger_class():
    sample = score_sample(np.zeros(6), np.ones(6), np.arange(6) > 2)
    likelihood = rates_likelihood(sample.observed, np.array([[0.1], [0.1]]))
    mixture = fit_score_mixture(sample, likelihood, np.array([0.3]))
    assert np.isnan(mixture.threshold[0])
    assert mixture.accuracy()[0] == 0.7


def test_label_log_odds_are_finite_for_clean_labels():
    odds = label_log_odds(np.array([[[1.0], [0.0]], [[0.0], [1.0]]]), np.array([0.25]))
    expected = np.log(1e12) * np.array([-1.0, 1.0]) - np.log(3.0)
    np.testing.assert_allclose(odds[:, 0], expected, rtol=1e-12)


def test_equal_scores_give_a_finite_law():
    sample = score_sample(np.zeros(6), np.ones(6), np.arange(6) > 2)
    fit = fit_score_mixture(sample, rates_likelihood(sample.observed, RATES), PRIOR)
    assert np.isfinite(fit.means).all() and (fit.variance > 0).all()
