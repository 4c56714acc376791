"""Signal, prior and noise rates of centred Gaussian classes, by moments and message passing."""

import numpy as np
import pytest
from scipy.special import expit, ndtr

from skrmt.exceptions import TheoryWarning
from skrmt.theory.noisy_labels import bayes_accuracy, signal_from_eigenvalue
from tests.theory.amp_oracle import amp_em, u_statistics


def draw_data(rng, n, p, norm, prior, rates):
    """Draw the model of section 4; the mean is along the first axis."""
    clean = rng.random(n) < prior
    X = rng.standard_normal((n, p))
    X[:, 0] += norm * (2.0 * clean - 1.0)
    wrong = rng.random(n) < np.where(clean, rates[1], rates[0])
    return X, clean ^ wrong, clean


# n, p, mu, pi_+, (eps_-, eps_+), RMSE of (mu, pi_+, eps_-, eps_+) by moments and by EM, 40 draws.
TABLE = [
    (1000, 100, 2.0, 0.667, (0.2, 0.4), (0.032, 0.016, 0.025, 0.018), (0.028, 0.015, 0.02, 0.017)),
    (400, 200, 1.2, 0.5, (0.1, 0.3), (0.069, 0.046, 0.037, 0.043), (0.067, 0.042, 0.03, 0.047)),
]


@pytest.mark.parametrize("case", TABLE)
def test_errors_are_those_of_the_table(case, rng):
    """80 draws against 40: four standard errors of a ratio of RMSE are 4 sqrt(1/160 + 1/80)."""
    n, p, norm, prior, rates, by_moments, by_em = case
    truth = np.array([norm, prior, *rates])
    errors = {u_statistics: [], amp_em: []}
    for _ in range(80):
        X, y, _ = draw_data(rng, n, p, norm, prior, rates)
        for method, found in errors.items():
            estimate = method(X, y)
            found.append([estimate.mean_norm, estimate.prior, *estimate.noise_rates] - truth)
    tolerance = 4.0 * np.sqrt(1 / 160 + 1 / 80)
    for found, expected in zip(errors.values(), (by_moments, by_em), strict=True):
        ratio = np.sqrt(np.mean(np.square(found), axis=0)) / expected
        assert (np.abs(np.log(ratio)) <= tolerance).all(), ratio
        spread = np.std(found, axis=0, ddof=1) / np.sqrt(80)
        assert (np.abs(np.mean(found, axis=0)) <= 4.0 * spread + 5.0 / n).all()


def test_signal_is_that_of_the_top_eigenvalue(rng):
    for n, p in ((150, 60), (60, 150)):
        X, y, _ = draw_data(rng, n, p, 2.5, 0.6, (0.1, 0.2))
        expected = signal_from_eigenvalue(np.linalg.norm(X, 2) ** 2 / n, p / n)
        assert u_statistics(X, y).mean_norm ** 2 == pytest.approx(expected, rel=1e-8)


def test_moments_are_the_sums_over_pairs(rng):
    """The estimates from the double loop over pairs of rows, with weights."""
    n = 60
    X, y, _ = draw_data(rng, n, 5, 2.0, 0.6, (0.1, 0.2))
    weights = rng.uniform(0.5, 2.0, n)
    estimate = u_statistics(X, y, weights)
    signs, sums, pairs = 2.0 * y - 1.0, np.zeros(3), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                product = weights[i] * weights[j] * (X[i] @ X[j])
                sums += product * np.array([1.0, signs[i], signs[i] * signs[j]])
                pairs += weights[i] * weights[j]
    _, cross, own = sums / pairs
    a = min(np.sqrt(own) / estimate.mean_norm, 1.0)
    b = np.clip(cross / (a * estimate.mean_norm**2), -0.98, 0.98)
    assert estimate.prior == pytest.approx((1.0 + b) / 2.0, rel=1e-9)
    m0 = np.average(signs, weights=weights)
    positive = (1.0 - (a + m0) / (1.0 + b)) / 2.0
    negative = (1.0 - (a - m0) / (1.0 - b)) / 2.0
    expected = np.maximum([negative, positive], 0.0)
    np.testing.assert_allclose(estimate.noise_rates, expected, rtol=1e-9, atol=1e-12)


def test_weights_of_any_size_are_exact_in_the_limit(rng):
    """Weights 0, 1/2, 1 and 4: mean over 30 draws within 4 standard errors + 10/n."""
    n, p, truth = 1500, 300, np.array([1.4, 0.6, 0.1, 0.3])
    found = []
    for _ in range(30):
        X, y, _ = draw_data(rng, n, p, 1.4, 0.6, (0.1, 0.3))
        weights = rng.choice([0.0, 0.5, 1.0, 4.0], n)
        estimate = u_statistics(X, y, weights)
        found.append([estimate.mean_norm, estimate.prior, *estimate.noise_rates])
    error = np.std(found, axis=0, ddof=1) / np.sqrt(30)
    gap = np.abs(np.mean(found, axis=0) - truth)
    assert (gap <= 4.0 * error + 10.0 / n).all(), (gap, error)


def test_rows_of_weight_zero_do_not_count(rng):
    X, y, _ = draw_data(rng, 200, 20, 2.0, 0.6, (0.1, 0.2))
    weights = rng.uniform(0.5, 2.0, 200) * (np.arange(200) % 3 > 0)
    kept = weights > 0
    one, other = u_statistics(X, y, weights), u_statistics(X[kept], y[kept], weights[kept])
    assert one.mean_norm == pytest.approx(other.mean_norm, rel=1e-9)
    assert one.prior == pytest.approx(other.prior, rel=1e-9)
    np.testing.assert_allclose(one.noise_rates, other.noise_rates, rtol=1e-9)


@pytest.mark.parametrize("method", [u_statistics, amp_em])
def test_units_of_the_noise_and_names_of_the_classes(method, rng):
    X, y, _ = draw_data(rng, 300, 30, 2.0, 0.6, (0.1, 0.2))
    one = method(X, y)
    other = method(7.0 * X, np.where(y, "yes", "no"), noise_variance=49.0)
    for name, value in one._asdict().items():
        scaled = getattr(other, name) * (7.0 if name == "coef" else 1.0)
        np.testing.assert_allclose(scaled, value, rtol=1e-9, atol=1e-12)


def test_signal_within_the_noise_is_nan_with_one_warning(rng):
    X, y, _ = draw_data(rng, 100, 400, 0.3, 0.5, (0.1, 0.1))
    with pytest.warns(TheoryWarning, match="No eigenvalue") as record:
        estimate = u_statistics(X, y)
    assert len(record) == 1
    assert np.isnan([estimate.mean_norm, estimate.prior, *estimate.noise_rates]).all()
    fit = amp_em(X, y)
    assert np.isfinite(fit.coef).all() and np.isfinite(fit.mean_norm)


@pytest.mark.parametrize("known", [False, True])
def test_message_passing_attains_the_bayes_accuracy(known, rng):
    """Row 1000 x 1000 of the table of section 9: mean over 12 draws within 4 se + 4/n.

    With unknown parameters the accuracy loses a term of the order of their squared errors, which
    the table of section 7 gives: at most 0.04^2 for each of 4, hence 0.006.
    """
    n, norm, prior, rates = 1000, 1.6, 0.7, (0.3, 0.4)
    options = {"mean_norm": norm, "prior": prior, "noise_rates": rates} if known else {}
    found = []
    for _ in range(12):
        X, y, _ = draw_data(rng, n, n, norm, prior, rates)
        coef = amp_em(X, y, **options).coef
        found.append(ndtr(norm * coef[0] / np.linalg.norm(coef)))
    error = np.std(found, ddof=1) / np.sqrt(12)
    expected = bayes_accuracy(1.0, norm, prior, rates).accuracy
    assert expected == pytest.approx(0.90345, abs=1e-5)
    allowed = 4.0 * error + 4.0 / n + (0.0 if known else 0.006)
    assert abs(np.mean(found) - expected) <= allowed, (np.mean(found), expected, error)


def test_known_parameters_are_kept(rng):
    X, y, _ = draw_data(rng, 200, 50, 2.0, 0.6, (0.1, 0.2))
    fit = amp_em(X, y, mean_norm=1.9, prior=0.55, noise_rates=(0.15, 0.25))
    assert (fit.mean_norm, fit.prior) == (1.9, 0.55)
    np.testing.assert_array_equal(fit.noise_rates, [0.15, 0.25])
    assert fit.intercept == pytest.approx(np.log(0.55 / 0.45), rel=1e-12)


def test_posteriors_are_calibrated(rng):
    """Fresh rows and training rows: hits less mean probability within 4 standard errors."""
    gaps, fresh = [], []
    for _ in range(30):
        X, y, clean = draw_data(rng, 600, 120, 1.3, 0.6, (0.1, 0.3))
        fit = amp_em(X, y)
        np.testing.assert_allclose(fit.label_posterior.sum(1), 1.0, rtol=1e-12)
        gaps.append(np.mean(fit.label_posterior[:, 1] - clean))
        Z, _, truth = draw_data(rng, 2000, 120, 1.3, 0.6, (0.0, 0.0))
        share = expit(Z @ fit.coef + fit.intercept)
        right = (share > 0.5) == truth
        fresh.append(np.mean(np.maximum(share, 1.0 - share) - right))
    for values in (gaps, fresh):
        error = np.std(values, ddof=1) / np.sqrt(30)
        assert abs(np.mean(values)) <= 4.0 * error + 5.0 / 600, (np.mean(values), error)


def test_clean_labels_are_found_clean(rng):
    X, y, clean = draw_data(rng, 400, 40, 2.0, 0.5, (0.0, 0.0))
    fit = amp_em(X, y)
    assert fit.noise_rates.max() < 4.0 * np.sqrt(0.05 / 400)
    assert ((fit.label_posterior[:, 1] > 0.5) == clean).mean() > 0.97


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_variance": 0.0}, r"noise_variance=0\.0"),
        ({"noise_variance": np.nan}, "noise_variance=nan"),
        ({"n_iter": 0}, "n_iter=0"),
        ({"n_iter": 2.5}, r"n_iter=2\.5"),
        ({"mean_norm": -1.0}, r"mean_norm=-1\.0"),
        ({"prior": 1.0}, r"prior=1\.0"),
        ({"noise_rates": (0.6, 0.4)}, r"noise_rates=\(0\.6, 0\.4\)"),
        ({"noise_rates": (0.1,)}, r"noise_rates=\(0\.1,\)"),
    ],
)
def test_arguments_out_of_their_domain(options, message, rng):
    X, y, _ = draw_data(rng, 20, 3, 2.0, 0.5, (0.1, 0.1))
    with pytest.raises(ValueError, match=message):
        amp_em(X, y, **options)


@pytest.mark.parametrize("method", [u_statistics, amp_em])
def test_labels_of_another_number_of_classes(method, rng):
    X = rng.standard_normal((30, 4))
    for n_classes in (1, 3):
        with pytest.raises(ValueError, match=f"y has {n_classes} classes"):
            method(X, np.arange(30) % n_classes)


@pytest.mark.parametrize("weights", [[-1.0, 1.0, 1.0, 1.0], [0.0] * 4, [1.0] * 3])
def test_bad_weights(weights, rng):
    with pytest.raises(ValueError, match="sample_weight="):
        u_statistics(rng.standard_normal((4, 2)), [0, 1, 0, 1], weights)
