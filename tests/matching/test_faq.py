"""Quadratic assignment against SciPy, against every permutation, and on correlated matrices."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment, quadratic_assignment

from skrmt.matching._faq import faq, permutation_start, random_start, remaining_problem, top_factors
from skrmt.matching._kernels import kernel_matrix, median_bandwidth
from skrmt.matching._linear_assignment import (
    assignment_objective,
    improve_by_swaps,
    linear_assignment,
)

TABLE = [
    (40, 25, 5, 7, "linear", 0.484676),
    (40, 25, 5, 7, "rbf", 0.469599),
    (60, 30, 12, 6, "rbf", 0.378751),
    (60, 30, 12, 6, "linear", 0.364074),
]


def wave(n, p, a, b):
    """A deterministic matrix."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, p + 1)
    return np.cos(a * i * j + b * i + 0.3 * j**2)


def pair(n, p, q):
    """Two related deterministic embeddings."""
    X, r = wave(n, p, 0.7, 0.2), min(p, q)
    return X, np.tanh(X[:, :r] @ wave(r, q, 0.5, 0.1)) + 0.3 * wave(n, q, 1.1, 0.4)


def wigner(n, rho, rng):
    """Symmetric matrices whose entries have correlation rho."""
    draws = np.triu(rng.standard_normal((2, n, n)), 1)
    A, Z = draws + draws.transpose(0, 2, 1)
    return A, rho * A + np.sqrt(1 - rho**2) * Z


def known_pairs(m):
    return np.repeat(np.arange(m)[:, None], 2, axis=1)


def scipy_faq(A, B, pairs, **options):
    # Without a generator SciPy warns where an earlier test has seeded NumPy's global numbers.
    given = {"maximize": True, "partial_match": pairs, "rng": np.random.default_rng(0)}
    return quadratic_assignment(A, B, method="faq", options=given | options)


def solve(A, B, pairs, backend=None, **options):
    """Matched columns of the unknown rows, and the objective with the known pairs."""
    if backend is not None:
        A, B = backend.asarray(A), backend.asarray(B)
    problem = remaining_problem(A, B, pairs)
    found = faq(problem.first, problem.second, problem.linear, **options)
    return problem.columns[found.indices], found.objective + problem.constant, found


def objectives(A, B, linear):
    """What every permutation is worth, from the definition."""
    n = len(A)
    return {
        c: sum(A[i, j] * B[c[i], c[j]] for i in range(n) for j in range(n))
        + sum(linear[i, c[i]] for i in range(n))
        for c in permutations(range(n))
    }


@pytest.mark.parametrize(("n", "m", "p", "q", "kernel", "value"), TABLE)
def test_reference_table(backend, n, m, p, q, kernel, value):
    centred = []
    for Z in pair(n, p, q):
        K = kernel_matrix(Z, kernel=kernel, bandwidth=median_bandwidth(Z[:m]))
        K = K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()
        centred.append((K + K.T) / 2 / np.linalg.norm(K))
    _, total, found = solve(*centred, known_pairs(m), backend)
    assert found.objective == pytest.approx(value, abs=6e-7)
    assert total == pytest.approx(scipy_faq(*centred, known_pairs(m)).fun, rel=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("n", "m"), [(30, 5), (90, 8)])
def test_same_path_as_scipy(backend, rng, n, m, symmetric):
    A, B = wigner(n, 0.6, rng) if symmetric else rng.standard_normal((2, n, n))
    if not symmetric:
        B = 0.7 * A + 0.7 * B
    A[np.diag_indices(n)] = rng.standard_normal(n)
    pairs = np.stack([rng.permutation(n)[:m], rng.permutation(n)[:m]], axis=1)
    expected = scipy_faq(A, B, pairs[np.argsort(pairs[:, 0])])
    columns, total, found = solve(A, B, pairs, backend)
    assert total == pytest.approx(expected.fun, rel=1e-12)
    assert found.n_iter == expected.nit
    rows = np.setdiff1d(np.arange(n), pairs[:, 0])
    np.testing.assert_array_equal(columns, expected.col_ind[rows])


def test_given_start_as_in_scipy(rng):
    A, B = wigner(40, 0.8, rng)
    P0 = random_start(40, rng)
    expected = scipy_faq(A, B, np.empty((0, 2), int), P0=P0, tol=1e-3, maxiter=60)
    _, total, found = solve(A, B, [], starts=[P0], tol=1e-3, max_iter=60)
    assert total == pytest.approx(expected.fun, rel=1e-12)
    assert found.n_iter == expected.nit > 10


def test_objective_against_the_definition(backend, rng):
    A, B, linear = rng.standard_normal((3, 5, 5))
    every = objectives(A, B, linear)
    arrays = [backend.asarray(M) for M in (A, B, linear)]
    for c in list(every)[::13]:
        assert assignment_objective(arrays[0], arrays[1], c, arrays[2]) == pytest.approx(every[c])
    found = faq(*arrays, starts=[None] + [random_start(5, rng) for _ in range(20)], polish=True)
    assert found.objective == pytest.approx(every[tuple(found.indices)], rel=1e-12)
    assert found.objective == pytest.approx(max(every.values()), rel=1e-12)


def test_remaining_problem_is_the_problem(rng):
    """Objectives differ by the constant, for unsorted known pairs and asymmetric matrices."""
    A, B = rng.standard_normal((2, 9, 9))
    pairs = np.array([[7, 2], [1, 8], [4, 0]])
    problem = remaining_problem(A, B, pairs)
    for _ in range(5):
        c = rng.permutation(6)
        whole = np.empty(9, int)
        whole[pairs[:, 0]] = pairs[:, 1]
        whole[problem.rows] = problem.columns[c]
        part = assignment_objective(problem.first, problem.second, c, problem.linear)
        assert part + problem.constant == pytest.approx(assignment_objective(A, B, whole))


def test_accuracy_against_the_reference(rng):
    """Correlation 0.5, 200 unknown, 20 known pairs: all right; and no more than SciPy finds."""
    A, B = wigner(220, 0.5, rng)
    columns, total, _ = solve(A, B, known_pairs(20))
    assert np.mean(columns == np.arange(20, 220)) == 1.0
    assert total == pytest.approx(scipy_faq(A, B, known_pairs(20)).fun, rel=1e-12)


@pytest.mark.slow
def test_ten_known_pairs_and_a_few_starts_suffice(rng):
    """One start finds all or next to nothing; the best of 21 has at least 0.90 right on average."""
    one, many = [], []
    for _ in range(20):
        A, B = wigner(210, 0.5, rng)
        starts = [None, *(random_start(200, rng) for _ in range(20))]
        for kept, given in ((one, starts[:1]), (many, starts)):
            columns, total, _ = solve(A, B, known_pairs(10), starts=given)
            kept.append((np.mean(columns == np.arange(10, 210)), total))
    accuracy, objective = np.array(many).T
    assert (objective >= np.array(one)[:, 1] * (1 - 1e-12)).all()
    assert accuracy.mean() >= 0.90
    error = np.std(accuracy - np.array(one)[:, 0]) / np.sqrt(20)
    assert accuracy.mean() - np.mean(np.array(one)[:, 0]) > -4 * error


def test_low_rank_equals_dense(backend, rng):
    F, E = rng.standard_normal((2, 50, 4))
    E = F + 0.2 * E
    w, v = np.array([1.0, -0.5, 2.0, 1.0]), np.ones(4)
    linear = 0.1 * rng.standard_normal((50, 50))
    dense = (F * w) @ F.T, (E * v) @ E.T
    start = random_start(50, rng)
    sides = [top_factors(backend.asarray(M), 4) for M in dense]
    for first in (None, start):
        options = {"starts": [first], "max_iter": 40, "tol": 1e-3}
        expected = faq(*dense, linear, **options)
        found = faq(*sides, backend.asarray(linear), **options)
        np.testing.assert_array_equal(found.indices, expected.indices)
        assert found.objective == pytest.approx(expected.objective, rel=1e-10)
    polished = faq(*sides, backend.asarray(linear), polish=True)
    assert polished.objective == pytest.approx(faq(*dense, linear, polish=True).objective)


def test_top_factors(backend, rng):
    F = rng.standard_normal((12, 3))
    A = (F * [1.0, -2.0, 0.5]) @ F.T
    found = top_factors(backend.asarray(A), 3).dense()
    np.testing.assert_allclose(backend.to_numpy(found), A, atol=1e-12)
    values, vectors = np.linalg.eigh(A)
    k = np.argmax(np.abs(values))
    best = values[k] * np.outer(vectors[:, k], vectors[:, k])
    np.testing.assert_allclose(top_factors(A, 1).dense(), best, atol=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_swaps_end_where_no_swap_helps(backend, rng, symmetric):
    n = 25
    A, B, linear = rng.standard_normal((3, n, n))
    if symmetric:
        A, B = A + A.T, B + B.T
    start = rng.permutation(n)
    c, n_swaps = improve_by_swaps(*map(backend.asarray, (A, B)), start, backend.asarray(linear))
    best = assignment_objective(A, B, c, linear)
    assert n_swaps > 5
    assert best > assignment_objective(A, B, start, linear)
    np.testing.assert_array_equal(np.sort(c), np.arange(n))
    for i in range(n):
        for j in range(i):
            d = c.copy()
            d[[i, j]] = c[[j, i]]
            assert assignment_objective(A, B, d, linear) <= best + 1e-9


def test_each_swap_is_the_best_one(rng):
    A, B, linear = rng.standard_normal((3, 8, 8))
    c = np.arange(8)
    for _ in range(3):
        values = {}
        for i in range(8):
            for j in range(i):
                d = c.copy()
                d[[i, j]] = c[[j, i]]
                values[tuple(d)] = assignment_objective(A, B, d, linear)
        c, n_swaps = improve_by_swaps(A, B, c, linear, max_swaps=1)
        assert n_swaps == 1
        assert tuple(c) == max(values, key=values.get)


def test_swaps_are_the_same_with_fresh_sums(rng, monkeypatch):
    A, B, linear = rng.standard_normal((3, 40, 40))
    expected = improve_by_swaps(A, B, np.arange(40), linear)
    monkeypatch.setattr("skrmt.matching._linear_assignment._SWAP_REFRESH", 1)
    found = improve_by_swaps(A, B, np.arange(40), linear)
    np.testing.assert_array_equal(found[0], expected[0])
    assert found[1] == expected[1] > 10


@pytest.mark.parametrize("kind", ["normal", "heavy", "low-rank", "ties", "zero", "doubly"])
def test_linear_assignment_is_optimal(backend, rng, kind):
    n = 90
    score = {
        "normal": rng.standard_normal((n, n)),
        "heavy": rng.standard_normal((n, n)) ** 15,
        "low-rank": rng.standard_normal((n, 3)) @ rng.standard_normal((3, n)) * 1e-140,
        "ties": rng.integers(0, 3, (n, n)).astype(float),
        "zero": np.zeros((n, n)),
        "doubly": permutation_start(rng.permutation(n)),
    }[kind]
    columns = linear_assignment(backend.asarray(score))
    np.testing.assert_array_equal(np.sort(columns), np.arange(n))
    best = score[linear_sum_assignment(score, maximize=True)].sum()
    size = np.abs(score).max()
    assert score[np.arange(n), columns].sum() == pytest.approx(best, abs=1e-12 * n * size)


def test_rectangular_linear_assignment(rng):
    score = rng.standard_normal((70, 100))
    np.testing.assert_array_equal(
        linear_assignment(score), linear_sum_assignment(score, maximize=True)[1]
    )


def test_starts(rng):
    P = random_start(30, rng)
    np.testing.assert_allclose(P.sum(axis=1), 1.0, rtol=1e-14)
    np.testing.assert_allclose(P.sum(axis=0), 1.0, rtol=1e-3)
    assert P.min() > 0
    A, B = wigner(30, 0.9, rng)
    one = [faq(A, B, starts=[P]), faq(A, B, starts=[None])]
    both = faq(A, B, starts=[P, None])
    assert both.objective == max(found.objective for found in one)
    near = faq(A, B, starts=[permutation_start(np.arange(30))])
    np.testing.assert_array_equal(near.indices, np.arange(30))
    with pytest.raises(ValueError, match="starts must hold one start or more, got none"):
        faq(A, B, starts=[])


def test_ties_are_broken_at_random():
    """Without any information the identity is no better than chance: 1 right on average."""
    zeros = np.zeros((20, 20))
    right = [
        np.sum(faq(zeros, zeros, rng=np.random.default_rng(s)).indices == np.arange(20))
        for s in range(100)
    ]
    assert abs(np.mean(right) - 1) < 4 * 0.1


def test_single_precision_and_inputs_kept(backend, rng):
    A, B = wigner(100, 0.8, rng)
    arrays = [backend.asarray(M, "float32") for M in (A, B, np.zeros((100, 100)))]
    copies = [backend.to_numpy(M).copy() for M in arrays]
    arrays[2][range(10), range(10)] = 100.0
    copies[2][range(10), range(10)] = 100.0
    found = faq(*arrays, polish=True)
    np.testing.assert_array_equal(found.indices, np.arange(100))
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(backend.to_numpy(array), copy)


def test_refreshed_gradient_changes_nothing(rng, monkeypatch):
    A, B = wigner(60, 0.4, rng)
    expected = faq(A, B, starts=[random_start(60, np.random.default_rng(3))], tol=1e-4)
    monkeypatch.setattr("skrmt.matching._faq._REFRESH", 1)
    found = faq(A, B, starts=[random_start(60, np.random.default_rng(3))], tol=1e-4)
    assert expected.n_iter > 5
    assert found.n_iter == expected.n_iter
    assert found.objective == pytest.approx(expected.objective, rel=1e-12)
