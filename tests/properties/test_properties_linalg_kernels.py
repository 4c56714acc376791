"""Properties of the kernels of similarity, assignment and array libraries."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrmt import linalg
from skrmt.matching._faq import (
    Assignment,
    SeededProblem,
    faq,
    permutation_start,
    random_start,
    seeded_problem,
    top_factors,
)
from skrmt.matching._kernel_alignment import Alignment, kernel_alignment, minibatch_cka
from skrmt.matching._kernels import centred_kernel, kernel_matrix, median_bandwidth
from skrmt.matching._linear_assignment import Factored, linear_assignment, take
from skrmt.matching._local_cka import (
    LocalKernels,
    local_cka_factors,
    local_cka_scores,
    local_kernels,
)

SEEDS = st.integers(0, 2**32 - 1)
ROWS = st.integers(5, 15)
KERNELS = st.sampled_from(["linear", "rbf"])


def rows(seed, n, p=3):
    """Return n random rows."""
    return np.random.default_rng(seed).standard_normal((n, p))


def symmetric(seed, n):
    """Return a random symmetric matrix."""
    A = rows(seed, n, n)
    return A + A.T


@given(SEEDS, ROWS, KERNELS)
def test_kernels_are_symmetric_positive_and_follow_their_rows(seed, n, kernel):
    X = rows(seed, n)
    width = median_bandwidth(X)
    K = kernel_matrix(X, kernel=kernel, bandwidth=width)
    np.testing.assert_allclose(K, K.T, atol=1e-12)
    assert np.linalg.eigvalsh(K).min() >= -1e-9
    order = np.random.default_rng(seed).permutation(n)
    moved = kernel_matrix(X[order], X, kernel=kernel, bandwidth=width)
    np.testing.assert_allclose(moved, K[order], atol=1e-9)
    assert np.isclose(median_bandwidth(3 * X[order]), 3 * width)


@given(SEEDS, ROWS, st.booleans())
def test_centred_kernels_have_rows_of_sum_zero_and_centring_is_idempotent(seed, n, debiased):
    K = kernel_matrix(rows(seed, n))
    centred = centred_kernel(K, debiased=debiased)
    np.testing.assert_allclose(centred.sum(axis=0), 0, atol=1e-9)
    again = centred_kernel(centred, debiased=debiased)
    np.testing.assert_allclose(again, centred, atol=1e-9)
    assert not debiased or np.allclose(np.diag(centred), 0)


@given(SEEDS, ROWS, KERNELS, st.booleans(), st.integers(2, 9))
def test_alignment_is_one_with_itself_symmetric_and_the_same_by_blocks(
    seed, n, kernel, debiased, block
):
    X, Y = rows(seed, n), rows(seed + 1, n, 4)
    options = {"kernel": kernel, "debiased": debiased}
    found = kernel_alignment(X, Y, **options)
    assert isinstance(found, Alignment)
    assert np.isclose(kernel_alignment(X, X, **options).cka, 1)
    assert np.isclose(kernel_alignment(Y, X, **options).cka, found.cka, atol=1e-9)
    blocks = kernel_alignment(X, Y, **options, block_size=block)
    assert np.isclose(blocks.cka, found.cka, atol=1e-8)
    order = np.random.default_rng(seed).permutation(n)
    moved = kernel_alignment(X[order], Y[order], **options)
    assert np.isclose(moved.cka, found.cka, atol=1e-8)
    assert debiased or -1e-12 <= found.cka <= 1 + 1e-12


@given(SEEDS, ROWS, KERNELS)
def test_one_batch_of_all_rows_is_the_plain_alignment(seed, n, kernel):
    X, Y = rows(seed, n), rows(seed, n)[:, :2] + 0.3 * rows(seed + 1, n, 2)
    whole = kernel_alignment(X, Y, kernel=kernel).cka
    assert np.isclose(minibatch_cka(X, Y, n, kernel=kernel), whole, atol=1e-9)


@given(SEEDS, st.integers(6, 12), KERNELS, st.booleans())
def test_local_scores_are_the_alignment_with_one_more_pair(seed, n, kernel, debiased):
    X, Y = rows(seed, n + 2), rows(seed, n + 2) @ rows(seed + 1, 3) + 0.1 * rows(seed + 2, n + 2)
    sides = [local_kernels(Z[:n], Z[n:], kernel=kernel, bandwidth=2.0) for Z in (X, Y)]
    assert isinstance(sides[0], LocalKernels)
    scores = local_cka_scores(*sides, debiased=debiased)
    for i, j in itertools.product(range(2), range(2)):
        with_pair = [np.append(Z[:n], Z[[n + k]], axis=0) for Z, k in ((X, i), (Y, j))]
        expected = kernel_alignment(
            *with_pair, kernel=kernel, debiased=debiased, bandwidths=(2.0, 2.0)
        ).cka
        assert np.isclose(scores[i, j], expected, atol=1e-8)
    left, right = local_cka_factors(*sides, debiased=debiased)
    np.testing.assert_allclose(left @ right.T, scores, atol=1e-8)


@given(SEEDS, st.integers(1, 5))
def test_no_assignment_has_a_larger_total(seed, n):
    score = rows(seed, n, n)
    found = linear_assignment(score)
    assert sorted(found) == list(range(n))
    best = max(score[range(n), list(p)].sum() for p in itertools.permutations(range(n)))
    assert np.isclose(score[range(n), found].sum(), best)


@given(SEEDS, st.integers(4, 10))
def test_matching_reports_what_its_permutation_is_worth(seed, n):
    A, B = symmetric(seed, n), symmetric(seed + 1, n)
    found = faq(A, B, polish=True)
    assert isinstance(found, Assignment)
    assert sorted(found.permutation) == list(range(n))
    value = (A * B[np.ix_(found.permutation, found.permutation)]).sum()
    assert np.isclose(found.objective, value)
    swapped = found.permutation.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    assert value >= (A * B[np.ix_(swapped, swapped)]).sum() - 1e-8


@given(SEEDS, st.integers(2, 10))
def test_starts_are_doubly_stochastic(seed, n):
    rng = np.random.default_rng(seed)
    for start in (permutation_start(rng.permutation(n)), random_start(n, rng)):
        assert (start >= 0).all()
        np.testing.assert_allclose(start.sum(axis=0), 1, atol=1e-2)
        np.testing.assert_allclose(start.sum(axis=1), 1, atol=1e-2)


@given(SEEDS, st.integers(4, 7), st.integers(1, 2))
def test_what_seeds_leave_is_worth_the_same(seed, n, n_seeds):
    A, B = symmetric(seed, n), symmetric(seed + 1, n)
    order = np.random.default_rng(seed).permutation(n)
    left = seeded_problem(A, B, [[k, order[k]] for k in range(n_seeds)])
    assert isinstance(left, SeededProblem)
    position = {column: j for j, column in enumerate(left.columns)}
    inner = np.array([position[order[row]] for row in left.rows])
    value = (
        (left.first * left.second[np.ix_(inner, inner)]).sum()
        + left.linear[np.arange(len(inner)), inner].sum()
        + left.constant
    )
    assert np.isclose(value, (A * B[np.ix_(order, order)]).sum())


@given(SEEDS, st.integers(3, 9))
def test_low_rank_matrices_are_taken_from_like_dense_ones(seed, n):
    A = symmetric(seed, n)
    whole = top_factors(A, n)
    assert isinstance(whole, Factored)
    np.testing.assert_allclose(whole.factor * whole.weights @ whole.factor.T, A, atol=1e-9)
    rng = np.random.default_rng(seed)
    picked = rng.integers(0, n, 2), rng.integers(0, n, 3)
    np.testing.assert_allclose(take(A, *picked), A[np.ix_(*picked)])
    part = top_factors(A, n - 1)
    rest = A - part.factor * part.weights @ part.factor.T
    assert np.isclose(np.linalg.norm(rest, 2), np.abs(np.linalg.eigvalsh(A)).min(), atol=1e-9)


@pytest.mark.property_of(
    "linalg.as_device", "linalg.to_numpy", "linalg.get_backend", "linalg.is_torch"
)
@given(SEEDS, st.sampled_from([np.float32, np.float64]))
def test_arrays_go_to_torch_and_back_unchanged(seed, dtype):
    X = rows(seed, 4).astype(dtype)
    assert linalg.get_backend(X).name == "numpy"
    assert linalg.as_device(X, None) is X
    assert not linalg.is_torch(X)
    pytest.importorskip("torch")
    moved = linalg.as_device(X, "cpu")
    assert linalg.is_torch(moved)
    assert linalg.get_backend(moved).name == "pytorch"
    back = linalg.to_numpy(moved)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, X)
