"""Properties of the kernels of tensors and of several views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import linalg
from skrmt.cluster._view_products import (
    LeadingComponents,
    combine_views,
    leading_components,
    project_views,
    view_gram,
    view_means,
)
from skrmt.decomposition._cp import CPFit, cp_als, join, restarted_components, strong_components

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


@pytest.mark.property_of("linalg.no_components")
@given(SEEDS, SHAPES)
def test_joined_components_are_the_sum_of_their_tensors(seed, shape):
    one, two = low_rank(seed, shape, 1), low_rank(seed + 1, shape, 2)
    both = join(one, two.weights, two.factors)
    assert both.rank == 3
    np.testing.assert_allclose(dense(both), dense(one) + dense(two), atol=1e-12)
    start = join(linalg.no_components(shape), one.weights, one.factors)
    np.testing.assert_allclose(dense(start), dense(one), atol=1e-12)


@pytest.mark.property_of("linalg.best_rank_one", "linalg.RankOne")
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


@given(SEEDS, SHAPES)
def test_a_fit_started_at_the_truth_stays_there(seed, shape):
    truth = low_rank(seed, shape, 1)
    fit = cp_als(linalg.DenseTensor(dense(truth)), truth)
    assert isinstance(fit, CPFit)
    np.testing.assert_allclose(dense(fit.components), dense(truth), atol=1e-9)
    T = noise(seed, shape)
    best = cp_als(linalg.DenseTensor(T), truth, tol=0.0, max_iter=50)
    short = cp_als(linalg.DenseTensor(T), truth, tol=0.0, max_iter=2)
    assert np.linalg.norm(T - dense(best.components)) <= (
        np.linalg.norm(T - dense(short.components)) + 1e-9
    )


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


@settings(max_examples=8)
@given(SEEDS, st.floats(6.0, 9.0), st.floats(2.0, 4.0))
def test_components_of_a_diagonal_tensor_are_its_entries(seed, first, second):
    T = np.zeros((3, 3, 3))
    T[0, 0, 0], T[1, 1, 1] = first, second
    seed %= 1000
    fitted = restarted_components(linalg.DenseTensor(T), 2, seed=seed)
    np.testing.assert_allclose(np.sort(fitted.weights), [second, first], rtol=1e-5)
    strong = strong_components(
        linalg.DenseTensor(T), linalg.no_components(T.shape), enough=5.0, max_rank=3, seed=seed
    )
    np.testing.assert_allclose(strong.weights, [first], rtol=1e-6)


@given(SEEDS, st.integers(3, 12), st.integers(3, 12), st.integers(1, 3))
def test_leading_components_are_those_of_the_svd(seed, n, p, k):
    Y = noise(seed, (n, p))
    found = leading_components(Y, k)
    assert isinstance(found, LeadingComponents)
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
