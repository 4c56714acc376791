"""Properties of the kernels of tensors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import linalg

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(*[st.integers(2, 6)] * 3)
MODES = st.integers(0, 2)


def dense(components):
    """Return a low-rank tensor of order 3 as an array."""
    return np.einsum("r,ir,jr,kr->ijk", components.weights, *components.factors)


def low_rank(seed, shape, rank=2):
    """Return components with unit factors."""
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((length, rank)) for length in shape]
    factors = [factor / np.linalg.norm(factor, axis=0) for factor in factors]
    return linalg.Components(rng.uniform(1, 3, rank), factors)


def noise(seed, shape):
    """Return a tensor of Gaussian numbers."""
    return np.random.default_rng(seed).standard_normal(shape)


@pytest.mark.property_of("linalg.DenseTensor", "linalg.Components")
@given(SEEDS, SHAPES, MODES)
def test_contraction_with_factors_is_a_sum_over_the_other_axes(seed, shape, mode):
    T, components = noise(seed, shape), low_rank(seed, shape)
    found = linalg.DenseTensor(T).mttkrp(components.factors, mode)
    operands = [f for axis, f in enumerate(components.factors) if axis != mode]
    letters = "ijk".replace("ijk"[mode], "")
    expected = np.einsum(f"ijk,{letters[0]}r,{letters[1]}r->{'ijk'[mode]}r", T, *operands)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@pytest.mark.property_of("linalg.residual_gram", "linalg.no_components")
@given(SEEDS, SHAPES, MODES)
def test_gram_of_a_residual_is_that_of_the_difference(seed, shape, mode):
    T, components = noise(seed, shape), low_rank(seed, shape)
    for minus in (components, linalg.no_components(shape)):
        rest = T - dense(minus) if minus.rank else T
        unfolded = np.moveaxis(rest, mode, 0).reshape(shape[mode], -1)
        found = linalg.residual_gram(linalg.DenseTensor(T), minus, mode)
        np.testing.assert_allclose(found, unfolded @ unfolded.T, atol=1e-8)


@pytest.mark.property_of("linalg.best_rank_one", "linalg.RankOne")
@settings(max_examples=10)  # Each searches from many starts three times.
@given(SEEDS, SHAPES, st.floats(0.1, 10.0), st.permutations(range(3)))
def test_best_rank_one_scales_and_follows_its_axes(seed, shape, scale, order):
    T = noise(seed, shape)
    here = linalg.best_rank_one(linalg.DenseTensor(T), tol=1e-10)
    assert isinstance(here, linalg.RankOne)
    assert here.values[0] <= np.linalg.norm(T) * (1 + 1e-12)
    scaled = linalg.best_rank_one(linalg.DenseTensor(scale * T), tol=1e-10)
    np.testing.assert_allclose(scaled.values[0], scale * here.values[0], rtol=1e-6)
    moved = linalg.best_rank_one(linalg.DenseTensor(T.transpose(order)), tol=1e-10)
    np.testing.assert_allclose(moved.values[0], here.values[0], rtol=1e-6)
    slices = [np.linalg.norm(T[i], 2) for i in range(shape[0])]
    assert here.values[0] >= max(slices) * (1 - 1e-6)


@pytest.mark.property_of("linalg.best_rank_one", "linalg.power_sweeps")
@given(SEEDS, SHAPES)
def test_rank_one_tensors_are_found_and_sweeps_do_not_lose(seed, shape):
    truth = low_rank(seed, shape, 1)
    tensor = linalg.DenseTensor(dense(truth))
    found = linalg.best_rank_one(tensor)
    np.testing.assert_allclose(found.values[0], truth.weights[0], rtol=1e-9)
    noisy = linalg.DenseTensor(noise(seed, shape))
    start = low_rank(seed + 1, shape, 3).factors
    values = [
        np.abs(linalg.power_sweeps(noisy, start, linalg.no_components(shape), 0.0, sweeps).values)
        for sweeps in (1, 2, 5)
    ]
    assert (np.diff(values, axis=0) >= -1e-10).all()


@pytest.mark.property_of("linalg.deflate_mode")
@given(SEEDS, SHAPES, MODES, st.floats(0.0, 1.0))
def test_deflation_takes_its_share_of_a_direction(seed, shape, mode, gamma):
    T = noise(seed, shape)
    before = T.copy()
    vector = low_rank(seed, shape, 1).factors[mode][:, 0]
    left = linalg.deflate_mode(linalg.DenseTensor(T), vector, mode, gamma).tensor
    part = np.tensordot(left, vector, axes=(mode, 0))
    expected = (1 - gamma) * np.tensordot(T, vector, axes=(mode, 0))
    np.testing.assert_allclose(part, expected, atol=1e-12)
    np.testing.assert_array_equal(T, before)
