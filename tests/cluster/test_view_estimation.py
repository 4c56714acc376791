"""Factors of views, spikes and clusters of scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, minimize
from scipy.special import ndtr
from sklearn.mixture import GaussianMixture

from skrmt.cluster._factor import fit_view_factor, spiked_spectrum
from skrmt.cluster._modes import (
    bimodal_direction,
    fit_gaussian_clusters,
    fit_tied_mixture,
    fit_unit_mixture,
    kurtosis,
)
from skrmt.cluster._view_products import leading_components
from skrmt.theory.nested_tensor import matrix_spike


def test_factor_is_exact_on_exact_covariances(rng):
    for m in (3, 4, 9):
        a, psi = rng.uniform(0.3, 2, m) * rng.choice([1, 1, -1], m), rng.uniform(0.1, 3, m)
        a *= np.sign(a.sum())
        fit = fit_view_factor(np.outer(a, a) + np.diag(psi))
        np.testing.assert_allclose(fit.strengths, a, rtol=1e-8)
        np.testing.assert_allclose(fit.noise, psi, rtol=1e-7)
        assert fit.precision == pytest.approx((a**2 / psi).sum())
        assert fit.weights @ fit.strengths == pytest.approx(1)
        assert fit.converged and not fit.improper


def test_factor_of_three_has_a_closed_form(rng):
    Z = rng.standard_normal((400, 1)) * [1.0, 2.0, 0.5] + rng.standard_normal((400, 3))
    C = Z.T @ Z / 400
    fit = fit_view_factor(C)
    assert fit.strengths[0] ** 2 == pytest.approx(C[0, 1] * C[0, 2] / C[1, 2], rel=1e-9)


def test_factor_with_known_noise(rng):
    a, psi = np.array([1.0, 2.0]), np.array([0.5, 3.0])
    fit = fit_view_factor(np.outer(a, a) + np.diag(psi), psi)
    np.testing.assert_allclose(fit.strengths, a, rtol=1e-9)
    one = fit_view_factor(np.array([[4.0]]))
    assert one.weights == [0.5] and np.isnan(one.noise).all()


def test_improper_factor_is_said():
    C = np.array([[1.0, 0.9, 0.9], [0.9, 1.0, 0.2], [0.9, 0.2, 1.0]])
    assert fit_view_factor(C).improper


@pytest.mark.parametrize(("n", "p"), [(300, 150), (150, 400)])
def test_spectrum_recovers_signal_and_noise(rng, n, p):
    found = []
    for _ in range(30):
        y = rng.choice([-1.0, 1.0], n)
        Y = np.sqrt(2500.0 / n) * np.outer(y, np.eye(p)[0]) + 1.5 * rng.standard_normal((n, p))
        spectrum = spiked_spectrum(leading_components(Y, 10), n, p)
        assert spectrum.white
        assert spectrum.n_spikes == (2.25 * np.sqrt(n * p) < 900)
        found.append((spectrum.signals[0], spectrum.noise_variance))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - [2500, 2.25]) <= 4 * error + [2500 / p, 2 / n]).all()


def test_spectrum_of_noise_is_white_and_of_colour_is_not(rng):
    departures = []
    for _ in range(100):
        spectrum = spiked_spectrum(leading_components(rng.standard_normal((120, 60)), 10), 120, 60)
        departures.append(spectrum.departure)
    assert np.mean(np.square(departures)) == pytest.approx(1, abs=5 * np.sqrt(2 / 100))
    coloured = rng.standard_normal((120, 60)) * np.linspace(0.5, 2, 60)
    assert not spiked_spectrum(leading_components(coloured, 10), 120, 60).white


@pytest.mark.parametrize("prior", [0.5, 0.3])
def test_tied_mixture_is_the_maximum_of_the_likelihood(rng, prior):
    scores = np.where(rng.random(500) < prior, 1.5, -1.0) + rng.standard_normal(500)
    fit = fit_tied_mixture(scores)

    def loss(x):
        low, high, log_variance, odds = x
        share = 1 / (1 + np.exp(-odds))
        density = share * np.exp(-((scores - high) ** 2) / 2 / np.exp(log_variance))
        density += (1 - share) * np.exp(-((scores - low) ** 2) / 2 / np.exp(log_variance))
        return -np.log(density / np.exp(log_variance / 2)).sum()

    start = [*fit.means, np.log(fit.variance), np.log(fit.prior / (1 - fit.prior))]
    best = minimize(loss, start, tol=1e-10)
    assert loss(start) <= best.fun + 1e-4
    error = fit.prior_error(scores)
    assert error == pytest.approx(np.sqrt(prior * (1 - prior) / 500) * 1.6, rel=0.5)
    assert fit.log_odds(np.array([fit.threshold])) == pytest.approx(0, abs=1e-9)


def test_accuracy_of_a_tied_mixture():
    scores = np.repeat([-1.5, 1.5], 5000) + np.random.default_rng(0).standard_normal(10_000)
    assert fit_tied_mixture(scores).accuracy == pytest.approx(ndtr(1.5), abs=0.01)


def test_direction_is_the_linear_discriminant(rng):
    y = rng.choice([-1.0, 1.0], 4000)
    X = rng.standard_normal((4000, 4)) * [1, 2, 3, 0.5] + np.outer(y, [0.5, 3.0, 2.0, 0.3])
    X -= X.mean(axis=0)
    values, vectors = np.linalg.eigh(X.T @ X / 4000)
    whitened = X @ (vectors / np.sqrt(values))
    found = whitened @ bimodal_direction(whitened)
    discriminant = X @ np.linalg.solve(X.T @ X, X.T @ y)
    assert abs(np.corrcoef(found, discriminant)[0, 1]) > 0.99
    assert kurtosis(found) < kurtosis(whitened[:, -1])


@pytest.mark.parametrize("tied", [True, False])
def test_gaussian_clusters_are_those_of_scikit_learn(rng, tied):
    means = np.array([[3.0, 0], [-2, 2.5], [-2, -2.5]])
    labels = rng.integers(0, 3, 600)
    points = means[labels] + rng.standard_normal((600, 2)) * [1.0, 0.5]
    fit = fit_gaussian_clusters(points, [labels, rng.integers(0, 3, 600)], 3, tied)
    form = "tied" if tied else "full"
    model = GaussianMixture(
        3, covariance_type=form, means_init=means, tol=1e-9, random_state=0
    ).fit(points)
    order = linear_sum_assignment(-model.means_ @ fit.means.T)[1]
    joint = fit.log_joint(points)[:, order]
    expected = model._estimate_weighted_log_prob(points) + np.log(2 * np.pi)
    np.testing.assert_allclose(joint, expected, atol=0.3)
    assert (joint.argmax(axis=1) == model.predict(points)).mean() > 0.99


def test_unit_mixture(rng):
    means = np.array([[3.0, 0], [-2, 2.5], [-2, -2.5]])
    labels = rng.integers(0, 3, 900)
    points = means[labels] + rng.standard_normal((900, 2))
    fit = fit_unit_mixture(points, 3, seed=0)
    np.testing.assert_allclose(fit.means[0], means[0], atol=5 / np.sqrt(300))
    predicted = fit.log_joint(points).argmax(axis=1)
    accuracy = max(
        np.mean(np.choose(predicted, order) == labels) for order in ((0, 1, 2), (0, 2, 1))
    )
    error = np.sqrt(accuracy * (1 - accuracy) / 900)
    assert fit.accuracy(rng) == pytest.approx(accuracy, abs=5 * error)


def test_overlap_of_spikes_is_that_of_theory(rng):
    overlaps = []
    for _ in range(20):
        y = rng.choice([-1.0, 1.0], 300)
        Y = np.outer(y, 2 * np.eye(150)[0]) + rng.standard_normal((300, 150))
        found = leading_components(Y, 1)
        overlaps.append((found.left[:, 0] @ y) ** 2 / 300)
    expected = matrix_spike(1200.0, 1.0, 300, 150).sample_overlap
    error = np.std(overlaps) / np.sqrt(20)
    assert np.mean(overlaps) == pytest.approx(expected, abs=4 * error + 1 / 150)
