"""Properties of what is estimated from tensors."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import datasets, linalg
from skrmt.decomposition._cp import cp_als, join, restarted_components, strong_components
from skrmt.decomposition._noise import check_tensor_noise, degrees_of_freedom
from skrmt.decomposition._rank import joint_components, largest_rank

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(*[st.integers(2, 6)] * 3)


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
    here, there = (joint_components(linalg.DenseTensor(f * X), 2, tol=1e-9) for f in (1.0, scale))
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
    np.testing.assert_allclose(checks[0][:3], checks[1][:3], rtol=1e-6)
    assert checks[0].misfit.split("(")[0] == checks[1].misfit.split("(")[0]


@given(SEEDS, SHAPES)
def test_joined_components_are_the_sum_of_their_tensors(seed, shape):
    one, two = low_rank(seed, shape, 1), low_rank(seed + 1, shape, 2)
    both = join(one, two.weights, two.factors)
    assert both.rank == 3
    np.testing.assert_allclose(dense(both), dense(one) + dense(two), atol=1e-12)
    start = join(linalg.no_components(shape), one.weights, one.factors)
    np.testing.assert_allclose(dense(start), dense(one), atol=1e-12)


@given(SEEDS, SHAPES)
def test_a_fit_started_at_the_truth_stays_there(seed, shape):
    truth = low_rank(seed, shape, 1)
    fit = cp_als(linalg.DenseTensor(dense(truth)), truth)
    np.testing.assert_allclose(dense(fit.components), dense(truth), atol=1e-9)
    T = noise(seed, shape)
    best = cp_als(linalg.DenseTensor(T), truth, tol=0.0, max_iter=50)
    short = cp_als(linalg.DenseTensor(T), truth, tol=0.0, max_iter=2)
    assert np.linalg.norm(T - dense(best.components)) <= (
        np.linalg.norm(T - dense(short.components)) + 1e-9
    )


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
