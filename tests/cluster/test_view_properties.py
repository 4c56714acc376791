"""Properties of what is estimated from views and clusters."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.cluster._factor import fit_view_factor, spiked_spectrum
from skrmt.cluster._modes import (
    bimodal_direction,
    fit_tied_mixture,
    fit_unit_mixture,
    kurtosis,
)
from skrmt.cluster._view_products import (
    combine_views,
    leading_components,
    project_views,
    view_gram,
    view_means,
)

SEEDS = st.integers(0, 2**32 - 1)


def two_modes(seed, n=60, gap=2.0):
    """Return scores of two balanced modes."""
    rng = np.random.default_rng(seed)
    return gap * np.where(np.arange(n) % 2, 1.0, -1.0) + rng.standard_normal(n)


def noise(seed, shape):
    """Return a tensor of Gaussian numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5, 5))
def test_kurtosis_has_no_origin_or_scale_and_is_at_least_one(seed, scale, shift):
    scores = np.random.default_rng(seed).standard_normal(30)
    value = kurtosis(scores)
    assert value >= 1
    assert np.isclose(kurtosis(-scale * scores + shift), value)


@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5, 5))
def test_two_modes_move_and_scale_with_the_scores(seed, scale, shift):
    scores = two_modes(seed)
    here = fit_tied_mixture(scores)
    there = fit_tied_mixture(scale * scores + shift)
    np.testing.assert_allclose(there.means, scale * here.means + shift, atol=1e-4 * scale)
    assert np.isclose(there.variance, scale**2 * here.variance, rtol=1e-4)
    assert 0 < here.prior < 1


@settings(max_examples=5)
@given(st.integers(0, 1000), st.floats(-5, 5))
def test_unit_clusters_move_with_their_points(seed, shift):
    rng = np.random.default_rng(seed)
    points = np.repeat([[-4.0, 0.0], [4.0, 0.0]], 30, axis=0) + rng.standard_normal((60, 2))
    here = fit_unit_mixture(points, 2, seed=0)
    there = fit_unit_mixture(points + shift, 2, seed=0)
    assert np.isclose(here.priors.sum(), 1)
    order = [m.means[:, 0].argsort() for m in (here, there)]
    np.testing.assert_allclose(there.means[order[1]], here.means[order[0]] + shift, atol=1e-3)


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_spikes_are_counted_whatever_the_unit(seed, scale):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((80, 50)) + 1.0 * np.where(np.arange(80) % 2, 1, -1)[:, None]
    here, there = (spiked_spectrum(leading_components(f * Y, 10), 80, 50) for f in (1.0, scale))
    assert here.n_spikes == there.n_spikes >= 1
    assert np.isclose(there.noise_variance, scale**2 * here.noise_variance)
    np.testing.assert_allclose(there.signals, scale**2 * here.signals)


@given(SEEDS, st.integers(3, 6), st.floats(0.2, 5.0))
def test_an_exact_factor_is_found_and_follows_its_views(seed, m, scale):
    rng = np.random.default_rng(seed)
    strengths, noise = rng.uniform(0.5, 2, m), rng.uniform(0.5, 3, m)
    covariance = np.outer(strengths, strengths) + np.diag(noise)
    fit = fit_view_factor(covariance)
    np.testing.assert_allclose(fit.noise, noise, rtol=1e-3)
    order = rng.permutation(m)
    moved = fit_view_factor(covariance[np.ix_(order, order)])
    np.testing.assert_allclose(moved.noise, fit.noise[order], rtol=1e-3)
    scaled = fit_view_factor(scale * covariance)
    np.testing.assert_allclose(scaled.noise, scale * fit.noise, rtol=1e-3)


@given(SEEDS, st.integers(3, 12), st.integers(3, 12), st.integers(1, 3))
def test_leading_components_are_those_of_the_svd(seed, n, p, k):
    Y = noise(seed, (n, p))
    found = leading_components(Y, k)
    left, values, right = np.linalg.svd(Y, full_matrices=False)
    np.testing.assert_allclose(found.eigenvalues[:k], values[:k] ** 2, rtol=1e-8, atol=1e-9)
    cosines = np.abs(np.sum(found.left[:, 0] * left[:, 0])), np.abs(found.right[:, 0] @ right[0])
    gap = values[0] / max(values[1], 1e-12)
    assert gap < 1.001 or np.allclose(cosines, 1, atol=1e-6)
    assert np.isclose(found.trace, (Y**2).sum())


@given(SEEDS, st.integers(2, 8), st.integers(1, 6), st.integers(1, 4))
def test_views_in_one_pass_are_the_plain_sums(seed, n, p, m):
    X = noise(seed, (n, p, m))
    mean = view_means(X)
    np.testing.assert_allclose(mean, X.mean(axis=0), atol=1e-12)
    centred = X - mean
    np.testing.assert_allclose(
        view_gram(X, mean), np.einsum("ijk,ijl->kl", centred, centred), atol=1e-9
    )
    weights = np.random.default_rng(seed).standard_normal(m)
    np.testing.assert_allclose(combine_views(X, mean, weights), centred @ weights, atol=1e-9)
    directions = noise(seed + 1, (p, 2))
    np.testing.assert_allclose(
        project_views(X, mean, directions),
        np.einsum("ijk,jr->irk", centred, directions),
        atol=1e-9,
    )


@given(SEEDS, st.integers(3, 8), st.integers(1, 5), st.integers(1, 4))
def test_a_full_mask_is_no_mask_and_rows_have_no_order(seed, n, p, m):
    X = noise(seed, (n, p, m))
    full = np.ones((n, m), dtype=bool)
    mean = view_means(X, full)
    np.testing.assert_allclose(mean, view_means(X), atol=1e-12)
    expected = view_gram(X, mean)
    np.testing.assert_allclose(view_gram(X, mean, full), expected, atol=1e-9)
    order = np.random.default_rng(seed).permutation(n)
    np.testing.assert_allclose(view_gram(X[order], mean), expected, atol=1e-9)


@settings(max_examples=4)
@given(st.integers(0, 1000), st.floats(0.0, 3.14))
def test_the_direction_of_two_modes_turns_with_the_scores(seed, angle):
    rng = np.random.default_rng(seed)
    modes = two_modes(seed, 200, gap=3.0)
    scores = np.column_stack([modes / modes.std(), rng.standard_normal(200)])
    scores -= scores.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    here = bimodal_direction(scores)
    there = bimodal_direction(scores @ turn)
    assert np.isclose(np.linalg.norm(here), 1)
    assert np.isclose(abs(there @ (here @ turn)), 1, atol=1e-3)
