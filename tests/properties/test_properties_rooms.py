"""Properties of what is estimated from clusters, views and tensors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import datasets, linalg
from skrmt.cluster._factor import SpikedSpectrum, ViewFactor, fit_view_factor, spiked_spectrum
from skrmt.cluster._modes import (
    Stability,
    TiedMixture,
    UnitMixture,
    bimodal_direction,
    calibrated_accuracy,
    fit_tied_mixture,
    fit_unit_mixture,
    half_sample_stability,
    kurtosis,
)
from skrmt.cluster._view_products import leading_components
from skrmt.decomposition._noise import NoiseCheck, check_tensor_noise, degrees_of_freedom
from skrmt.decomposition._rank import JointComponents, SearchOptions, joint_components, largest_rank

SEEDS = st.integers(0, 2**32 - 1)


def two_modes(seed, n=60, gap=2.0):
    """Return scores of two balanced modes."""
    rng = np.random.default_rng(seed)
    return gap * np.where(np.arange(n) % 2, 1.0, -1.0) + rng.standard_normal(n)


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
    assert isinstance(here, TiedMixture)
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
    assert isinstance(here, UnitMixture)
    assert np.isclose(here.priors.sum(), 1)
    order = [m.means[:, 0].argsort() for m in (here, there)]
    np.testing.assert_allclose(there.means[order[1]], here.means[order[0]] + shift, atol=1e-3)


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
    halves = half_sample_stability(scores)
    assert isinstance(halves, Stability)
    assert 0.5 <= halves.agreement <= 1
    accuracy = calibrated_accuracy(halves, 1.0, 200)
    assert np.isnan(accuracy) or 0.5 <= accuracy <= 1
    assert np.isnan(calibrated_accuracy(halves, 0.6, 200))


@settings(max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_spikes_are_counted_whatever_the_unit(seed, scale):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((80, 50)) + 1.0 * np.where(np.arange(80) % 2, 1, -1)[:, None]
    here, there = (spiked_spectrum(leading_components(f * Y, 10), 80, 50) for f in (1.0, scale))
    assert isinstance(here, SpikedSpectrum)
    assert here.n_spikes == there.n_spikes >= 1
    assert np.isclose(there.noise_variance, scale**2 * here.noise_variance)
    np.testing.assert_allclose(there.signals, scale**2 * here.signals)


@given(SEEDS, st.integers(3, 6), st.floats(0.2, 5.0))
def test_an_exact_factor_is_found_and_follows_its_views(seed, m, scale):
    rng = np.random.default_rng(seed)
    strengths, noise = rng.uniform(0.5, 2, m), rng.uniform(0.5, 3, m)
    covariance = np.outer(strengths, strengths) + np.diag(noise)
    fit = fit_view_factor(covariance)
    assert isinstance(fit, ViewFactor)
    np.testing.assert_allclose(fit.noise, noise, rtol=1e-3)
    order = rng.permutation(m)
    moved = fit_view_factor(covariance[np.ix_(order, order)])
    np.testing.assert_allclose(moved.noise, fit.noise[order], rtol=1e-3)
    scaled = fit_view_factor(scale * covariance)
    np.testing.assert_allclose(scaled.noise, scale * fit.noise, rtol=1e-3)


@given(st.lists(st.integers(2, 30), min_size=3, max_size=4))
def test_the_largest_rank_leaves_degrees_of_freedom_and_the_next_does_not(dims):
    rank = largest_rank(tuple(dims))
    assert rank >= 0
    if rank:
        left = degrees_of_freedom(dims, rank)
        assert left >= 1
        assert degrees_of_freedom(dims, rank + 1) < left or left == 1
    assert degrees_of_freedom(dims, 0) <= np.prod(dims)
    assert largest_rank(tuple(reversed(dims))) == rank


@settings(max_examples=4)
@given(st.integers(0, 1000), st.floats(0.2, 5.0))
def test_joint_components_scale_with_the_tensor(seed, scale):
    X = datasets.make_spiked_tensor((8, 9, 10), [9.0, 6.0], random_state=seed).X
    options = SearchOptions(tol=1e-9)
    here, there = (joint_components(linalg.DenseTensor(f * X), 2, options) for f in (1.0, scale))
    assert isinstance(here, JointComponents)
    np.testing.assert_allclose(
        np.sort(there.components.weights), scale * np.sort(here.components.weights), rtol=1e-4
    )


@settings(max_examples=6)
@given(st.integers(0, 1000), st.floats(0.2, 5.0))
def test_the_check_of_the_noise_has_no_unit(seed, scale):
    X = np.random.default_rng(seed).standard_normal((10, 11, 12))
    checks = [
        check_tensor_noise(linalg.DenseTensor(f * X), linalg.no_components(X.shape), f**2)
        for f in (1.0, scale)
    ]
    assert isinstance(checks[0], NoiseCheck)
    np.testing.assert_allclose(checks[0][:3], checks[1][:3], rtol=1e-6)
    assert checks[0].misfit.split("(")[0] == checks[1].misfit.split("(")[0]
