"""Properties of the theories of one spike, and of several, in a tensor of noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import trapezoid

from skrmt.theory import deflation, spiked_tensor

LENGTHS = st.tuples(*[st.integers(20, 120)] * 3)
STRENGTHS = st.floats(2.5, 8.0)
COSINES = st.floats(0.0, 0.8)


@pytest.mark.property_of("theory.spiked_tensor.rank_one_limit", "theory.spiked_tensor.RankOneLimit")
@given(st.floats(0.1, 8.0), LENGTHS, st.permutations(range(3)))
def test_alignments_are_fractions_and_follow_their_axes(beta, dims, order):
    limit = spiked_tensor.rank_one_limit(beta, dims)
    assert isinstance(limit, spiked_tensor.RankOneLimit)
    assert ((limit.alignments >= 0) & (limit.alignments <= 1)).all()
    moved = spiked_tensor.rank_one_limit(beta, [dims[axis] for axis in order])
    np.testing.assert_allclose(moved.alignments, limit.alignments[list(order)], atol=1e-9)
    np.testing.assert_allclose(moved.singular_value, limit.singular_value, rtol=1e-9)


@pytest.mark.property_of("theory.spiked_tensor.rank_one_limit", "theory.spiked_tensor.thresholds")
@given(STRENGTHS, LENGTHS, st.floats(1.01, 3.0), st.integers(2, 5))
def test_stronger_spikes_align_better_and_only_shares_of_lengths_matter(beta, dims, factor, times):
    weak, strong = (spiked_tensor.rank_one_limit(b, dims) for b in (beta, beta * factor))
    assert (strong.alignments > weak.alignments).all()
    assert strong.singular_value > weak.singular_value > beta
    scaled = spiked_tensor.rank_one_limit(beta, [times * length for length in dims])
    np.testing.assert_allclose(scaled.alignments, weak.alignments, rtol=1e-9)
    np.testing.assert_allclose(
        spiked_tensor.thresholds(dims)[:4],
        spiked_tensor.thresholds([times * length for length in dims])[:4],
        rtol=1e-9,
    )


@pytest.mark.property_of("theory.spiked_tensor.thresholds", "theory.spiked_tensor.SpikedThresholds")
@given(LENGTHS, st.permutations(range(3)))
def test_thresholds_are_in_order_and_symmetric_in_the_axes(dims, order):
    found = spiked_tensor.thresholds(dims)
    assert isinstance(found, spiked_tensor.SpikedThresholds)
    assert 0 < found.signal <= found.critical
    assert found.bulk_edge <= found.noise_norm
    moved = spiked_tensor.thresholds([dims[axis] for axis in order])
    np.testing.assert_allclose(moved, found, rtol=1e-9)
    below = spiked_tensor.rank_one_limit(0.999 * found.signal, dims)
    above = spiked_tensor.rank_one_limit(1.001 * found.signal, dims)
    assert (below.alignments == 0).all()
    assert (above.alignments > 0).all()


@pytest.mark.property_of("theory.spiked_tensor.signal_strength")
@given(STRENGTHS, LENGTHS)
def test_signal_strength_inverts_the_limit(beta, dims):
    value = spiked_tensor.rank_one_limit(beta, dims).singular_value
    assert np.isclose(spiked_tensor.signal_strength(value, dims), beta, rtol=1e-8)


@pytest.mark.property_of(
    "theory.spiked_tensor.required_signal", "theory.spiked_tensor.RequiredSignal"
)
@given(st.floats(0.3, 0.99), st.integers(20, 120))
def test_required_signal_gives_the_alignment_or_the_least_above_the_jump(alignment, length):
    plan = spiked_tensor.required_signal(alignment, (length,) * 3)
    assert isinstance(plan, spiked_tensor.RequiredSignal)
    np.testing.assert_allclose(plan.alignments, max(alignment, 0.5**0.5), rtol=1e-7)
    if plan.detectable:
        reached = spiked_tensor.rank_one_limit(plan.signal, (length,) * 3)
        np.testing.assert_allclose(reached.alignments, plan.alignments, rtol=1e-7)
        assert np.isclose(reached.singular_value, plan.singular_value, rtol=1e-8)


@pytest.mark.property_of("theory.spiked_tensor.noise_density")
@settings(max_examples=8)
@given(LENGTHS)
def test_noise_density_is_even_and_has_mass_one_up_to_its_edge(dims):
    edge = spiked_tensor.thresholds(dims).bulk_edge
    x = edge * np.sin(np.linspace(-np.pi / 2, np.pi / 2, 801))
    density = spiked_tensor.noise_density(x, dims)
    assert (density >= 0).all()
    np.testing.assert_allclose(density, density[::-1], atol=1e-6)
    assert spiked_tensor.noise_density(1.001 * edge, dims) == 0
    atom = max(0.0, 2 * max(dims) / sum(dims) - 1)
    assert atom > 0 or abs(trapezoid(density, x) - 1) < 2e-2


@pytest.mark.property_of("theory.deflation.hotelling", "theory.deflation.DeflationLimit")
@settings(max_examples=8)
@given(STRENGTHS, LENGTHS)
def test_deflation_of_one_component_is_the_single_spike(beta, dims):
    limit = deflation.hotelling([beta], 0.0, dims)
    alone = spiked_tensor.rank_one_limit(beta, dims)
    assert isinstance(limit, deflation.DeflationLimit)
    np.testing.assert_allclose(limit.singular_values[0], alone.singular_value, rtol=1e-6)
    np.testing.assert_allclose(np.ravel(limit.alignments), alone.alignments, rtol=1e-6)


@pytest.mark.property_of("theory.deflation.hotelling")
@settings(max_examples=6)
@given(st.floats(4.0, 6.0), st.floats(1.2, 2.0), COSINES, LENGTHS, st.permutations(range(3)))
def test_deflation_follows_a_permutation_of_the_axes(beta, factor, gram, dims, order):
    order = list(order)
    here = deflation.hotelling([beta * factor, beta], gram, dims)
    there = deflation.hotelling([beta * factor, beta], gram, [dims[axis] for axis in order])
    np.testing.assert_allclose(there.singular_values, here.singular_values, rtol=1e-6)
    np.testing.assert_allclose(there.alignments, here.alignments[..., order], atol=1e-5)
    assert (np.abs(here.alignments) <= 1 + 1e-9).all()


@pytest.mark.property_of("theory.deflation.estimate_from_hotelling")
@settings(max_examples=2)  # Each inverts the equations of both steps by root finding.
@given(st.floats(4.0, 6.0), st.floats(1.25, 2.0), st.floats(0.1, 0.6))
def test_estimate_from_hotelling_inverts_hotelling(beta, factor, gram):
    dims = (70, 80, 90)
    seen = deflation.hotelling([beta * factor, beta], gram, dims)
    found = deflation.estimate_from_hotelling(seen.singular_values, seen.cross_alignments, dims)
    np.testing.assert_allclose(found.betas, [beta * factor, beta], rtol=1e-5)
    np.testing.assert_allclose(found.grams[:, 0, 1], gram, atol=1e-4)


@pytest.mark.property_of(
    "theory.deflation.joint_cp",
    "theory.deflation.JointLimit",
    "theory.deflation.estimate_from_joint",
    "theory.deflation.SignalEstimate",
)
@settings(max_examples=12)
@given(st.floats(3.0, 6.0), st.floats(1.0, 2.0), COSINES, LENGTHS)
def test_estimate_from_joint_inverts_the_joint_fit(beta, factor, gram, dims):
    fit = deflation.joint_cp([beta * factor, beta], gram, dims)
    assert isinstance(fit, deflation.JointLimit)
    assert ((fit.alignments > 0) & (fit.alignments <= 1)).all()
    found = deflation.estimate_from_joint(fit.weights, fit.grams, dims)
    assert isinstance(found, deflation.SignalEstimate)
    np.testing.assert_allclose(found.betas, [beta * factor, beta], rtol=1e-6)
    np.testing.assert_allclose(found.grams[:, 0, 1], gram, atol=1e-6)
    np.testing.assert_allclose(found.alignments, fit.alignments, rtol=1e-6)


@pytest.mark.property_of("theory.deflation.joint_cp", "theory.deflation.joint_cosines")
@settings(max_examples=12)
@given(st.floats(3.0, 6.0), st.floats(1.0, 2.0), LENGTHS)
def test_orthogonal_components_are_spikes_of_their_own(beta, factor, dims):
    betas = [beta * factor, beta]
    fit = deflation.joint_cp(betas, 0.0, dims)
    alone = spiked_tensor.rank_one_limit(betas, dims)
    np.testing.assert_allclose(fit.weights, alone.singular_value, rtol=1e-6)
    np.testing.assert_allclose(fit.alignments, alone.alignments, rtol=1e-6)
    cosines = deflation.joint_cosines(betas, 0.0, dims)
    np.testing.assert_allclose(np.diagonal(cosines).T, fit.alignments, rtol=1e-6)
    np.testing.assert_allclose([cosines[0, 1], cosines[1, 0]], 0.0, atol=1e-6)


@pytest.mark.property_of("theory.deflation.optimal_coefficients")
@given(st.floats(2.0, 8.0), st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3))
def test_the_best_weight_of_one_component_is_its_shrunk_strength(beta, alignments):
    weights = deflation.optimal_coefficients([beta], [[alignments]], np.ones((1, 1, 3)))
    np.testing.assert_allclose(weights, [beta * np.prod(alignments)], rtol=1e-9, atol=1e-12)


@pytest.mark.property_of("theory.deflation.orthogonalized", "theory.deflation.optimal_gamma")
@settings(max_examples=1)  # It searches for the best projection.
@given(st.floats(4.0, 6.0), st.floats(1.1, 1.5), st.floats(0.0, 1.0))
def test_no_other_projection_estimates_the_second_component_better(beta, factor, gamma):
    betas, dims = [beta * factor, beta], (80, 80, 80)
    best = deflation.optimal_gamma(betas, 0.5, dims)
    assert 0 <= best <= 1

    def reached(value):
        alignments = deflation.orthogonalized(betas, 0.5, dims, gamma=value).alignments
        return np.abs(alignments[1, 1]).mean()

    assert reached(best) >= reached(gamma) - 1e-4


@pytest.mark.property_of("theory.deflation.estimate_from_orthogonalized")
@settings(max_examples=2)  # Each inverts the equations of both steps by root finding.
@given(st.floats(4.0, 5.0), st.floats(1.25, 1.5), st.floats(0.3, 0.6))
def test_estimate_from_orthogonalized_inverts_orthogonalized(beta, factor, gram):
    betas, dims = [beta * factor, beta], (70, 80, 90)
    seen = deflation.orthogonalized(betas, gram, dims, gamma=0.8)
    found = deflation.estimate_from_orthogonalized(
        *(seen.singular_values, seen.cross_alignments, dims, 0.8),
        initial=([1.05 * betas[0], 0.97 * betas[1]], 0.9 * gram),
    )
    np.testing.assert_allclose(found.betas, betas, rtol=1e-4)
    np.testing.assert_allclose(found.grams[:, 0, 1], gram, atol=1e-3)
