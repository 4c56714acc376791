"""Joint least-squares fits: normal equations, exact recovery, extrapolation, rivals."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.decomposition._cp import cp_als, join, restarted_components, strong_components
from skrmt.linalg import Components, DenseTensor, no_components


def dense(components):
    letters = "abcde"[: len(components.factors)]
    terms = ",".join(f"{letter}r" for letter in letters)
    return np.einsum(f"r,{terms}->{letters}", components.weights, *components.factors)


def signal(shape, weights, cosine, rng):
    rank = len(weights)
    root = np.linalg.cholesky(np.full((rank, rank), cosine) + (1 - cosine) * np.eye(rank))
    factors = [np.linalg.qr(rng.standard_normal((size, rank)))[0] @ root.T for size in shape]
    return Components(np.asarray(weights, dtype=float), factors)


def near(components, rng, distance=0.2):
    moved = [
        factor + distance * rng.standard_normal(factor.shape) / np.sqrt(len(factor))
        for factor in components.factors
    ]
    return components._replace(factors=[f / np.linalg.norm(f, axis=0) for f in moved])


@pytest.mark.parametrize("shape", [(12, 10, 14), (7, 8, 6, 9)])
def test_fit_is_stationary_and_its_norm_is_what_it_says(shape, backend, rng):
    truth = signal(shape, [6.0, 4.0], 0.5, rng)
    array = dense(truth) + rng.standard_normal(shape) / np.sqrt(sum(shape))
    fit = cp_als(DenseTensor(backend.asarray(array)), near(truth, rng), tol=1e-11)
    assert fit.converged
    residual = array - dense(fit.components)
    assert (array**2).sum() - fit.explained == pytest.approx((residual**2).sum(), rel=1e-9)
    rest = DenseTensor(residual)
    for mode in range(len(shape)):
        gradient = rest.mttkrp(fit.components.factors, mode)
        np.testing.assert_allclose(gradient, 0, atol=1e-9 * np.abs(array).max() * array.size**0.5)


def test_noiseless_tensor_is_recovered(rng):
    truth = signal((15, 16, 17), [5.0, 4.0, 3.0], 0.4, rng)
    fit = cp_als(DenseTensor(dense(truth)), near(truth, rng), tol=1e-12)
    np.testing.assert_allclose(fit.components.weights, truth.weights, rtol=1e-9)
    np.testing.assert_allclose(dense(fit.components), dense(truth), atol=1e-9)


def test_extrapolation_saves_sweeps_and_changes_nothing(rng, monkeypatch):
    import skrmt.decomposition._cp as module

    truth = signal((40, 40, 40), [4.0, 3.5], 0.75, rng)
    array = dense(truth) + rng.standard_normal((40, 40, 40)) / np.sqrt(120)
    start = near(truth, rng)
    fast = cp_als(DenseTensor(array), start, tol=1e-8)
    monkeypatch.setattr(module._Mixing, "extrapolate", lambda self, before, after: after)
    slow = cp_als(DenseTensor(array), start, tol=1e-10, max_iter=5000)
    assert fast.n_iter < slow.n_iter / 3
    np.testing.assert_allclose(fast.components.weights, slow.components.weights, rtol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_more_sweeps_never_fit_worse(seed):
    """Pure noise: the extrapolation has nothing to follow, and must not be followed."""
    rng = np.random.default_rng(seed)
    tensor = DenseTensor(rng.standard_normal((3, 3, 3)))
    factors = [rng.standard_normal((3, 1)) for _ in range(3)]
    start = Components(np.ones(1), [factor / np.linalg.norm(factor) for factor in factors])
    fits = [cp_als(tensor, start, tol=0.0, max_iter=k).explained for k in range(1, 25)]
    assert (np.diff(fits) >= -1e-10 * np.array(fits[1:])).all()


def test_tolerance_of_each_component(rng):
    truth = signal((20, 20, 20), [5.0, 3.0], 0.5, rng)
    array = dense(truth) + rng.standard_normal((20, 20, 20)) / np.sqrt(60)
    start = near(truth, rng)
    rough = cp_als(DenseTensor(array), start, tol=np.array([1e-1, 1e-1]))
    fine = cp_als(DenseTensor(array), start, tol=np.array([1e-8, 1e-1]))
    assert rough.n_iter < fine.n_iter


def test_rank_zero_and_max_iter(rng):
    tensor = DenseTensor(rng.standard_normal((4, 5, 6)))
    nothing = cp_als(tensor, no_components(tensor.shape))
    assert nothing.explained == 0
    assert nothing.converged
    truth = signal(tensor.shape, [2.0, 1.0], 0.3, rng)
    assert not cp_als(tensor, truth, tol=1e-14, max_iter=1).converged


def test_strong_components_are_found_together(rng):
    truth = signal((40, 45, 50), [8.0, 6.0, 4.0], 0.3, rng)
    shape = (40, 45, 50)
    tensor = DenseTensor(dense(truth) + rng.standard_normal(shape) / np.sqrt(sum(shape)))
    found = strong_components(tensor, no_components(shape), enough=2.2, max_rank=5)
    assert found.rank == 3
    cosines = np.abs(
        np.prod([f.T @ t for f, t in zip(found.factors, truth.factors, strict=True)], 0)
    )
    assert (cosines.max(axis=0) > 0.8).all()
    further = strong_components(tensor, cp_als(tensor, found).components, enough=2.2, max_rank=2)
    assert further.rank == 0


def test_restarts_tell_components_apart_that_are_alike(rng):
    truth = signal((40, 40, 40), [4.0, 3.4], 0.6, rng)
    tensor = DenseTensor(dense(truth) + rng.standard_normal((40, 40, 40)) / np.sqrt(120))
    fit = cp_als(tensor, restarted_components(tensor, 2))
    best = cp_als(tensor, truth)
    assert fit.explained == pytest.approx(best.explained, rel=1e-6)


def test_join_appends(rng):
    one, two = (signal((4, 5, 6), [2.0], 0.0, rng) for _ in range(2))
    both = join(one, *two)
    np.testing.assert_array_equal(both.weights, [2.0, 2.0])
    np.testing.assert_allclose(dense(both), dense(one) + dense(two))
