"""Best rank-one approximation: critical equations, known optima, backends, batches."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.linalg import Components, DenseTensor, best_rank_one, no_components
from skrmt.linalg._power_sweeps import power_sweeps
from skrmt.linalg._spectral_start import compress, distinct, mode_orders, search_core
from skrmt.theory.spiked_tensor import rank_one_limit, thresholds

SHAPES = [(12, 15, 10), (8, 6, 7, 9), (40, 5, 3)]


def spiked(shape, beta, rng):
    vectors = [rng.standard_normal(size) for size in shape]
    vectors = [vector / np.linalg.norm(vector) for vector in vectors]
    signal = vectors[0]
    for vector in vectors[1:]:
        signal = np.multiply.outer(signal, vector)
    return beta * signal + rng.standard_normal(shape) / np.sqrt(sum(shape)), vectors


def contract(array, vectors, mode):
    """Contract all modes but one, in the plain way."""
    for axis in reversed(range(array.ndim)):
        if axis != mode:
            array = np.tensordot(array, vectors[axis], (axis, 0))
    return array


@pytest.mark.parametrize("shape", SHAPES)
def test_result_solves_the_critical_equations(shape, backend, rng):
    array, _ = spiked(shape, 5.0, rng)
    best = best_rank_one(DenseTensor(backend.asarray(array)), tol=1e-10)
    assert best.converged
    vectors = [factor[:, 0] for factor in best.factors]
    for mode, vector in enumerate(vectors):
        np.testing.assert_allclose(
            contract(array, vectors, mode), best.values[0] * vector, atol=1e-8
        )


def test_orthogonal_components_give_the_largest():
    eye = np.eye(6)
    array = sum(w * np.einsum("i,j,k->ijk", *[eye[j]] * 3) for j, w in enumerate((2.0, 5.0, 3.0)))
    best = best_rank_one(DenseTensor(array))
    assert best.values[0] == pytest.approx(5.0, abs=1e-9)
    rest = Components(best.values, best.factors)
    second = best_rank_one(DenseTensor(array), minus=rest)
    assert second.values[0] == pytest.approx(3.0, abs=1e-9)


def test_subtracting_on_the_fly_is_subtracting(rng):
    array, _ = spiked((10, 12, 14), 6.0, rng)
    tensor = DenseTensor(array)
    first = best_rank_one(tensor, tol=1e-12)
    low = Components(first.values, first.factors)
    fly = best_rank_one(tensor, minus=low, tol=1e-10)
    copy = best_rank_one(tensor.minus(low), tol=1e-10)
    assert fly.values[0] == pytest.approx(copy.values[0], rel=1e-8)


def test_seed_decides_and_float32_agrees(rng):
    array, _ = spiked((20, 20, 20), 3.0, rng)
    one, two = (best_rank_one(DenseTensor(array), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.factors[0], two.factors[0])
    single = best_rank_one(DenseTensor(array.astype(np.float32)), tol=1e-5)
    assert single.values[0] == pytest.approx(one.values[0], rel=1e-4)


def test_parallel_map_changes_nothing(rng):
    from concurrent.futures import ThreadPoolExecutor

    tensor = DenseTensor(rng.standard_normal((12, 12, 12)))
    with ThreadPoolExecutor(2) as pool:
        parallel = best_rank_one(tensor, run=pool.map)
    np.testing.assert_array_equal(parallel.factors[1], best_rank_one(tensor).factors[1])


def test_values_never_fall_during_a_search(rng):
    tensor = DenseTensor(rng.standard_normal((9, 10, 11)))
    starts = [rng.standard_normal((size, 5)) for size in tensor.shape]
    starts = [start / np.linalg.norm(start, axis=0) for start in starts]
    nothing, values = no_components(tensor.shape), np.full(5, -np.inf)
    for sweeps in range(1, 8):
        found = power_sweeps(tensor, starts, nothing, 0.0, sweeps)
        assert (found.values >= values - 1e-12).all()
        values = found.values
    assert not found.converged


def test_hopeless_searches_end_early(rng):
    tensor = DenseTensor(rng.standard_normal((20, 20, 20)))
    full = best_rank_one(tensor, tol=1e-9)
    short = best_rank_one(tensor, tol=1e-9, floor=10 * float(full.values[0]))
    assert short.n_iter < full.n_iter


def test_zero_tensor_keeps_unit_vectors():
    best = best_rank_one(DenseTensor(np.zeros((3, 4, 5))))
    assert best.values[0] == 0
    assert all(np.linalg.norm(factor) == pytest.approx(1) for factor in best.factors)


def test_compression_keeps_what_fits(rng):
    array = rng.standard_normal((5, 6, 7))
    compressed = compress(DenseTensor(array), no_components(array.shape), [0, 1, 2])
    np.testing.assert_array_equal(compressed.core.tensor, array)
    assert mode_orders((5, 3, 4)) == [[1, 2, 0], [2, 1, 0], [0, 1, 2]]


def test_compression_of_a_low_rank_tensor_is_exact(rng):
    factors = [rng.standard_normal((size, 3)) for size in (30, 40, 300)]
    array = np.einsum("ar,br,cr->abc", *factors)
    core, bases = compress(DenseTensor(array), no_components(array.shape), [0, 1, 2])
    assert core.shape == (10, 10, 10)
    lifted = np.einsum("abc,ia,jb,kc->ijk", core.tensor, *bases)
    np.testing.assert_allclose(lifted, array, atol=1e-10 * np.abs(array).max())


def test_distinct_maxima_are_distinct(rng):
    core = DenseTensor(rng.standard_normal((6, 6, 6)))
    found = distinct(search_core(core, no_components(core.shape), 20, rng), 4)
    cosines = np.abs(np.prod([factor.T @ factor for factor in found.factors], axis=0))
    assert (cosines[~np.eye(len(found.values), dtype=bool)] <= 0.8).all()
    assert (np.diff(found.values) <= 0).all()


@pytest.mark.parametrize("dims, beta", [((60, 60, 60), 1.5), ((20, 60, 100), 1.5)])
def test_start_succeeds_below_the_spectral_threshold(dims, beta):
    """16 of 16 draws at signals that the unfolding cannot detect; the limit holds on average.

    Four standard errors of the mean of 16 are one standard deviation, at most 1/sqrt(N) for values.
    """
    assert beta < thresholds(dims).computational + 0.2
    limit = rank_one_limit(beta, dims)
    values, alignments = [], []
    for seed in range(16):
        array, vectors = spiked(dims, beta, np.random.default_rng(seed))
        best = best_rank_one(DenseTensor(array), seed=seed)
        values.append(best.values[0])
        alignments.append([abs(f[:, 0] @ v) for f, v in zip(best.factors, vectors, strict=True)])
    assert np.min(alignments) > 0.3
    error = 4 / np.sqrt(16 * sum(dims)) + 2 / sum(dims)
    assert np.mean(values) == pytest.approx(limit.singular_value, abs=error)
    allowed = np.std(alignments, axis=0, ddof=1) + 4 / sum(dims)
    assert (np.abs(np.mean(alignments, axis=0) - limit.alignments) < allowed).all()
