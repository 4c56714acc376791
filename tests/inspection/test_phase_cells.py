"""Batches of problems against a loop over them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skrmt.inspection._phase_cells import (
    cell_blocks,
    rank_one_cells,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
)

SEEDS = st.integers(0, 10**6)


@given(SEEDS, st.integers(1, 4), st.integers(3, 8), st.integers(2, 5), st.floats(0.01, 10.0))
def test_a_batch_of_problems_is_a_loop(seed, c, n, p, alpha):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((c, n, p)), rng.standard_normal((c, n))
    found = ridge_cells(X, y, np.full(c, alpha))
    for k in range(c):
        expected = np.linalg.solve(X[k].T @ X[k] + alpha * np.eye(p), X[k].T @ y[k])
        np.testing.assert_allclose(found[k], expected, atol=1e-9)
    left, right = spiked_matrix_cells(X)
    for k in range(c):
        u, s, v = np.linalg.svd(X[k], full_matrices=False)
        assert s[0] < 1.01 * s[1] or np.isclose(abs(left[k] @ u[:, 0]), 1, atol=1e-6)
        assert s[0] < 1.01 * s[1] or np.isclose(abs(right[k] @ v[0]), 1, atol=1e-6)


@given(SEEDS, st.integers(1, 3), st.tuples(*[st.integers(2, 5)] * 3))
def test_rank_one_tensors_of_a_batch_are_found(seed, c, shape):
    rng = np.random.default_rng(seed)
    truth = [rng.standard_normal((c, length)) for length in shape]
    truth = [u / np.linalg.norm(u, axis=1, keepdims=True) for u in truth]
    T = np.einsum("ci,cj,ck->cijk", *truth)
    for found, u in zip(rank_one_cells(T), truth, strict=True):
        np.testing.assert_allclose(np.abs(np.sum(found * u, axis=1)), 1, atol=1e-9)


@given(SEEDS, st.integers(1, 3), st.integers(1, 6), st.floats(0.01, 0.2))
def test_descents_of_a_batch_are_a_loop_and_rest_without_noise(seed, c, steps, rate):
    rng = np.random.default_rng(seed)
    batches, noises = rng.standard_normal((steps, c, 2, 3)), rng.standard_normal((steps, c, 2))
    rates = np.full(c, rate)
    found = sgd_cells(list(batches), list(noises), rates)
    assert found.shape == (steps, c)
    np.testing.assert_array_equal(sgd_cells(list(batches), list(0 * noises), rates), 0)
    for k in range(c):
        alone = sgd_cells([b[[k]] for b in batches], [e[[k]] for e in noises], rates[[k]])
        np.testing.assert_allclose(found[:, k], alone[:, 0], rtol=1e-9)


@given(st.integers(1, 200), st.integers(1, 1000), st.floats(1e4, 1e6))
def test_blocks_cover_every_problem_once_within_the_memory(n, numbers, memory):
    blocks = list(cell_blocks(n, numbers, memory=memory))
    covered = [k for block in blocks for k in range(n)[block]]
    assert covered == list(range(n))
    assert all(
        (block.stop - block.start) * numbers * 8 <= memory or block.stop - block.start == 1
        for block in blocks
    )
