"""The number of components of a tensor, and the noise that is left."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition._rank import joint_components, largest_rank
from skrmt.linalg import DenseTensor

SETTINGS = [((), 0.0), ((3.0,), 0.0), ((6.0, 4.0), 0.5), ((4.0, 3.0, 2.6), 0.4)]


def found(X, rank=None, **options):
    return joint_components(DenseTensor(X), rank, **options)


@pytest.mark.parametrize("betas, cosine", SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_number_of_components(betas, cosine, seed):
    X = make_spiked_tensor((60, 60, 60), betas, grams=cosine, noise_std=3.0, random_state=seed).X
    assert found(X, seed=seed).components.rank == len(betas)


@pytest.mark.slow
@pytest.mark.parametrize("betas, cosine", SETTINGS)
def test_number_of_components_in_forty_draws(betas, cosine):
    right = 0
    for seed in range(100, 140):
        X = make_spiked_tensor((60, 60, 60), betas, grams=cosine, random_state=seed).X
        right += found(X, seed=seed).components.rank == len(betas)
    assert right >= 38


def test_given_number_is_kept_and_judged():
    X = make_spiked_tensor((30, 30, 30), [5.0], random_state=0).X
    fit = found(X, 3)
    assert fit.components.rank == 3
    assert fit.detected.tolist() == [True, False, False]
    assert np.isnan(fit.next_value)


def test_search_ends_below_the_noise_norm():
    from skrmt.theory.spiked_tensor import thresholds

    dims = (40, 40, 40)
    fit = found(make_spiked_tensor(dims, [4.0], random_state=1).X)
    scale = np.sqrt(fit.residual / (np.prod(dims) - 118) * 120)
    assert fit.next_value < (thresholds(dims).noise_norm + 1 / np.sqrt(120)) * scale


def test_residual_is_the_sum_of_squares_left():
    X = make_spiked_tensor((20, 25, 30), [5.0, 4.0], grams=0.3, random_state=2).X
    fit = found(X)
    low = DenseTensor(X).minus(fit.components).tensor
    assert fit.residual == pytest.approx(float((low**2).sum()), rel=1e-10)


@pytest.mark.parametrize("noise", [0.0, 1e-9, 1e-6, 1e-3])
def test_nearly_noiseless_tensors(noise):
    X, factors = make_spiked_tensor((20, 25, 30), [5.0, 4.0], grams=0.3, random_state=3)
    low = np.einsum("ar,br,cr,r->abc", *factors, [5.0, 4.0])
    assert found(low + noise * (X - np.mean(X))).components.rank == 2 + (noise == 1)


def test_outlier_ends_the_search(rng):
    X = rng.standard_normal((20, 20, 20))
    X[3, 4, 5] = 200
    fit = found(X)
    assert fit.outlier
    assert fit.components.rank == 0


def test_coloured_noise_exhausts_the_search(rng):
    noise = rng.standard_normal((12, 14, 16))
    fit = found(np.cumsum(noise, axis=2), max_iter=50)
    assert fit.exhausted or fit.components.rank < 7


def test_known_noise_variance_is_used():
    X = make_spiked_tensor((30, 30, 30), [2.5], random_state=4).X
    assert found(X, noise_variance=1.0).components.rank == 1
    assert found(X, noise_variance=4.0).components.rank == 0


def test_largest_rank():
    assert largest_rank((3, 4, 5)) == 5
    assert largest_rank((2, 2, 2)) == 1
    assert largest_rank((100, 100, 3)) == 149


def test_report_is_called_for_each_component():
    lines = []
    X = make_spiked_tensor((20, 20, 20), [6.0], random_state=5).X
    found(X, report=lines.append)
    assert lines
    assert lines[0].startswith("1 component(s)")
