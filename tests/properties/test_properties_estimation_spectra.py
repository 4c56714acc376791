"""Properties of what is estimated from clusters, views and tensors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import datasets, estimation, linalg

SEEDS = st.integers(0, 2**32 - 1)


def two_modes(seed, n=60, gap=2.0):
    """Return scores of two balanced modes."""
    rng = np.random.default_rng(seed)
    return gap * np.where(np.arange(n) % 2, 1.0, -1.0) + rng.standard_normal(n)


@pytest.mark.property_of("estimation.kurtosis")
@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5, 5))
def test_kurtosis_has_no_origin_or_scale_and_is_at_least_one(seed, scale, shift):
    scores = np.random.default_rng(seed).standard_normal(30)
    value = estimation.kurtosis(scores)
    assert value >= 1
    assert np.isclose(estimation.kurtosis(-scale * scores + shift), value)


@pytest.mark.property_of("estimation.fit_tied_mixture", "estimation.TiedMixture")
@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5, 5))
def test_two_modes_move_and_scale_with_the_scores(seed, scale, shift):
    scores = two_modes(seed)
    here = estimation.fit_tied_mixture(scores)
    there = estimation.fit_tied_mixture(scale * scores + shift)
    assert isinstance(here, estimation.TiedMixture)
    np.testing.assert_allclose(there.means, scale * here.means + shift, atol=1e-4 * scale)
    assert np.isclose(there.variance, scale**2 * here.variance, rtol=1e-4)
    assert 0 < here.prior < 1


@pytest.mark.property_of("estimation.fit_unit_mixture", "estimation.UnitMixture")
@settings(max_examples=5)
@given(st.integers(0, 1000), st.floats(-5, 5))
def test_unit_clusters_move_with_their_points(seed, shift):
    rng = np.random.default_rng(seed)
    points = np.repeat([[-4.0, 0.0], [4.0, 0.0]], 30, axis=0) + rng.standard_normal((60, 2))
    here = estimation.fit_unit_mixture(points, 2, seed=0)
    there = estimation.fit_unit_mixture(points + shift, 2, seed=0)
    assert isinstance(here, estimation.UnitMixture)
    assert np.isclose(here.priors.sum(), 1)
    order = [m.means[:, 0].argsort() for m in (here, there)]
    np.testing.assert_allclose(there.means[order[1]], here.means[order[0]] + shift, atol=1e-3)


@pytest.mark.property_of(
    "estimation.bimodal_direction",
    "estimation.half_sample_stability",
    "estimation.Stability",
    "estimation.calibrated_accuracy",
)
@settings(max_examples=4)
@given(st.integers(0, 1000), st.floats(0.0, 3.14))
def test_the_direction_of_two_modes_turns_with_the_scores(seed, angle):
    rng = np.random.default_rng(seed)
    modes = two_modes(seed, 200, gap=3.0)
    scores = np.column_stack([modes / modes.std(), rng.standard_normal(200)])
    scores -= scores.mean(axis=0)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    here = estimation.bimodal_direction(scores)
    there = estimation.bimodal_direction(scores @ turn)
    assert np.isclose(np.linalg.norm(here), 1)
    assert np.isclose(abs(there @ (here @ turn)), 1, atol=1e-3)
    halves = estimation.half_sample_stability(scores)
    assert isinstance(halves, estimation.Stability)
    assert 0.5 <= halves.agreement <= 1
    accuracy = estimation.calibrated_accuracy(halves, 1.0, 200)
    assert np.isnan(accuracy) or 0.5 <= accuracy <= 1
    assert np.isnan(estimation.calibrated_accuracy(halves, 0.6, 200))


@pytest.mark.property_of("estimation.core_spectrum", "estimation.CoreSpectrum")
@settings(max_examples=10)
@given(st.integers(0, 10**6), st.floats(0.2, 5.0))
def test_spikes_are_counted_whatever_the_unit(seed, scale):
    rng = np.random.default_rng(seed)
    Y = rng.standard_normal((80, 50)) + 1.0 * np.where(np.arange(80) % 2, 1, -1)[:, None]
    here, there = (
        estimation.core_spectrum(linalg.leading_components(f * Y, 10), 80, 50) for f in (1.0, scale)
    )
    assert isinstance(here, estimation.CoreSpectrum)
    assert here.n_spikes == there.n_spikes >= 1
    assert np.isclose(there.noise_variance, scale**2 * here.noise_variance)
    np.testing.assert_allclose(there.signals, scale**2 * here.signals)


@pytest.mark.property_of("estimation.fit_view_factor", "estimation.ViewFactor")
@given(SEEDS, st.integers(3, 6), st.floats(0.2, 5.0))
def test_an_exact_factor_is_found_and_follows_its_views(seed, m, scale):
    rng = np.random.default_rng(seed)
    strengths, noise = rng.uniform(0.5, 2, m), rng.uniform(0.5, 3, m)
    covariance = np.outer(strengths, strengths) + np.diag(noise)
    fit = estimation.fit_view_factor(covariance)
    assert isinstance(fit, estimation.ViewFactor)
    np.testing.assert_allclose(fit.noise, noise, rtol=1e-3)
    order = rng.permutation(m)
    moved = estimation.fit_view_factor(covariance[np.ix_(order, order)])
    np.testing.assert_allclose(moved.noise, fit.noise[order], rtol=1e-3)
    scaled = estimation.fit_view_factor(scale * covariance)
    np.testing.assert_allclose(scaled.noise, scale * fit.noise, rtol=1e-3)


@pytest.mark.property_of("estimation.degrees_of_freedom", "estimation.largest_rank")
@given(st.lists(st.integers(2, 30), min_size=3, max_size=4))
def test_the_largest_rank_leaves_degrees_of_freedom_and_the_next_does_not(dims):
    rank = estimation.largest_rank(tuple(dims))
    assert rank >= 0
    if rank:
        left = estimation.degrees_of_freedom(dims, rank)
        assert left >= 1
        assert estimation.degrees_of_freedom(dims, rank + 1) < left or left == 1
    assert estimation.degrees_of_freedom(dims, 0) <= np.prod(dims)
    assert estimation.largest_rank(tuple(reversed(dims))) == rank


@pytest.mark.property_of(
    "estimation.joint_components", "estimation.JointComponents", "estimation.SearchOptions"
)
@settings(max_examples=4)
@given(st.integers(0, 1000), st.floats(0.2, 5.0))
def test_joint_components_scale_with_the_tensor(seed, scale):
    X = datasets.make_spiked_tensor((8, 9, 10), [9.0, 6.0], random_state=seed).X
    options = estimation.SearchOptions(tol=1e-9)
    here, there = (
        estimation.joint_components(linalg.DenseTensor(f * X), 2, options) for f in (1.0, scale)
    )
    assert isinstance(here, estimation.JointComponents)
    np.testing.assert_allclose(
        np.sort(there.components.weights), scale * np.sort(here.components.weights), rtol=1e-4
    )


@pytest.mark.property_of("estimation.check_tensor_noise", "estimation.NoiseCheck")
@settings(max_examples=6)
@given(st.integers(0, 1000), st.floats(0.2, 5.0))
def test_the_check_of_the_noise_has_no_unit(seed, scale):
    X = np.random.default_rng(seed).standard_normal((10, 11, 12))
    checks = [
        estimation.check_tensor_noise(
            linalg.DenseTensor(f * X), linalg.no_components(X.shape), f**2
        )
        for f in (1.0, scale)
    ]
    assert isinstance(checks[0], estimation.NoiseCheck)
    np.testing.assert_allclose(checks[0][:3], checks[1][:3], rtol=1e-6)
    assert checks[0].complaint.split("(")[0] == checks[1].complaint.split("(")[0]
