"""Noisy tensors of low rank: Gram matrices, scale, moments and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.datasets import make_spiked_tensor


@pytest.mark.parametrize("dims", [(5, 6, 7), (4, 5, 6, 7)])
def test_factors_have_the_gram_matrices(dims, rng):
    grams = np.array(
        [[[1, c, 0.2], [c, 1, -0.3], [0.2, -0.3, 1]] for c in rng.uniform(0, 0.6, len(dims))]
    )
    data = make_spiked_tensor(dims, [3.0, 2.0, 1.0], grams=grams, random_state=0)
    for factor, gram in zip(data.factors, grams, strict=True):
        np.testing.assert_allclose(factor.T @ factor, gram, atol=1e-12)


def test_signal_and_noise_have_their_size():
    """The noise has 27 000 entries: s.e. of its standard deviation is 0.43 %."""
    dims, betas = (30, 30, 30), [4.0, 2.0]
    X, factors = make_spiked_tensor(dims, betas, noise_std=3.0, random_state=1)
    noise = X - 3 * np.sqrt(90) * np.einsum("ar,br,cr,r->abc", *factors, betas)
    assert noise.std() == pytest.approx(3.0, rel=4 * 0.0043)
    assert abs(noise.mean()) < 4 * 3 / np.sqrt(27000)


def test_seed_and_pure_noise():
    one, two = (make_spiked_tensor((3, 4, 5), [1.0], random_state=7).X for _ in range(2))
    np.testing.assert_array_equal(one, two)
    before = np.random.get_state()[1].copy()
    noise = make_spiked_tensor((3, 4, 5), [])
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert noise.X.shape == (3, 4, 5)
    assert [factor.shape for factor in noise.factors] == [(3, 0), (4, 0), (5, 0)]


def test_equal_components_need_one_dimension():
    data = make_spiked_tensor((2, 3, 4), [2.0, 1.0, 1.0], grams=1.0, random_state=0)
    np.testing.assert_allclose(data.factors[0].T @ data.factors[0], 1.0, atol=1e-12)


@pytest.mark.parametrize(
    "arguments, name",
    [
        ({"dims": (3, 4)}, "dims"),
        ({"dims": (3, 4, 1)}, "dims"),
        ({"betas": [-1.0]}, "betas"),
        ({"betas": [np.nan]}, "betas"),
        ({"noise_std": 0.0}, "noise_std"),
        ({"noise_std": -1.0}, "noise_std"),
        ({"betas": [1.0, 1.0], "grams": 1.5}, "grams"),
        ({"dims": (2, 5, 5), "betas": [1.0, 1.0, 1.0]}, "grams"),
    ],
)
def test_refusals_name_the_parameter(arguments, name):
    with pytest.raises(ValueError, match=name):
        make_spiked_tensor(**({"dims": (3, 4, 5), "betas": [1.0]} | arguments))
