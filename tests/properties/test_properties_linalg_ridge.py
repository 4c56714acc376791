"""Properties of the kernels of ridge regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skrmt import linalg

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(4, 14), st.integers(1, 10))
PENALTIES = st.floats(1e-3, 1e3)


def problem(seed, shape):
    """Return rows, two targets and weights."""
    rng = np.random.default_rng(seed)
    n, p = shape
    return rng.standard_normal((n, p)), rng.standard_normal((n, 2)), rng.uniform(0.5, 2.0, n)


@pytest.mark.property_of("linalg.ridge_basis", "linalg.RidgeBasis", "linalg.coefficients")
@given(SEEDS, SHAPES, PENALTIES, st.booleans())
def test_coefficients_solve_the_normal_equations(seed, shape, alpha, intercept):
    X, T, w = problem(seed, shape)
    before = X.copy()
    basis = linalg.ridge_basis(X, w, fit_intercept=intercept)
    assert isinstance(basis, linalg.RidgeBasis)
    coef, constant = linalg.coefficients(basis, T, alpha)
    residual = T - X @ np.atleast_2d(coef).T - constant
    gradient = residual.T * w @ X / w.sum() - alpha * np.atleast_2d(coef)
    np.testing.assert_allclose(gradient, 0, atol=1e-9)
    assert not intercept or np.allclose(w @ residual, 0, atol=1e-9)
    np.testing.assert_array_equal(X, before)


@pytest.mark.property_of("linalg.ridge_basis", "linalg.coefficients")
@given(SEEDS, SHAPES, PENALTIES)
def test_a_weight_of_two_is_a_row_given_twice(seed, shape, alpha):
    X, T, _ = problem(seed, shape)
    times = np.random.default_rng(seed).integers(1, 4, len(X))
    weighted = linalg.coefficients(linalg.ridge_basis(X, times * 1.0), T, alpha)
    repeated = linalg.coefficients(
        linalg.ridge_basis(np.repeat(X, times, axis=0)), np.repeat(T, times, axis=0), alpha
    )
    np.testing.assert_allclose(weighted[0], repeated[0], atol=1e-9)
    np.testing.assert_allclose(weighted[1], repeated[1], atol=1e-9)


@pytest.mark.property_of("linalg.loo_path", "linalg.loo_scores", "linalg.loo_squared_error")
@given(SEEDS, SHAPES, st.lists(PENALTIES, min_size=1, max_size=3))
def test_the_path_at_one_penalty_is_the_single_fit(seed, shape, alphas):
    X, T, w = problem(seed, shape)
    basis = linalg.ridge_basis(X, w)
    path = linalg.loo_path(basis, T, alphas)
    errors = linalg.loo_squared_error(basis, T, alphas)
    for k, alpha in enumerate(alphas):
        left_out, fitted, leverage = linalg.loo_scores(basis, T, alpha)
        for whole, one in zip(path, (left_out, fitted, leverage), strict=True):
            np.testing.assert_allclose(whole[..., k], one, atol=1e-9)
        assert ((leverage >= -1e-12) & (leverage <= 1 + 1e-12)).all()
        mean = w @ (T - left_out) ** 2 / w.sum()
        np.testing.assert_allclose(errors[k], mean, rtol=1e-8)


@pytest.mark.property_of("linalg.loo_scores")
@given(SEEDS, SHAPES, st.floats(0.01, 100.0))
def test_the_score_of_a_row_does_not_depend_on_its_target(seed, shape, alpha):
    X, T, _ = problem(seed, shape)
    basis = linalg.ridge_basis(X)
    changed = T.copy()
    changed[0] += 10.0
    here, there = (linalg.loo_scores(basis, targets, alpha)[0][0] for targets in (T, changed))
    np.testing.assert_allclose(here, there, atol=1e-7)


@pytest.mark.property_of("linalg.group_path")
@given(SEEDS, SHAPES, st.floats(0.01, 100.0))
def test_the_scores_of_a_group_do_not_depend_on_its_targets(seed, shape, alpha):
    X, T, w = problem(seed, shape)
    groups = np.arange(len(X)) % 3
    basis = linalg.ridge_basis(X, w)
    changed = np.where(groups[:, None] == 0, T + 10.0, T)
    here, there = (linalg.group_path(basis, t, [alpha], groups)[groups == 0] for t in (T, changed))
    np.testing.assert_allclose(here, there, atol=1e-6)


@pytest.mark.property_of("linalg.ridge_basis")
@given(SEEDS, SHAPES, PENALTIES)
def test_rotated_features_give_the_same_scores_and_single_precision_nearly(seed, shape, alpha):
    X, T, w = problem(seed, shape)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((shape[1],) * 2))[0]
    expected = linalg.loo_scores(linalg.ridge_basis(X, w), T, alpha)[1]
    found = linalg.loo_scores(linalg.ridge_basis(X @ rotation, w), T, alpha)[1]
    np.testing.assert_allclose(found, expected, atol=1e-8)
    single = linalg.ridge_basis(X.astype(np.float32), w.astype(np.float32))
    rough = linalg.loo_scores(single, T.astype(np.float32), alpha)[1]
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, expected, atol=2e-3 * np.abs(T).max())


@pytest.mark.property_of("linalg.group_path")
@given(SEEDS, st.integers(2, 4), st.floats(0.01, 10.0))
def test_groups_left_out_have_no_names_and_rows_no_order(seed, n_groups, alpha):
    rng = np.random.default_rng(seed)
    X, targets = rng.standard_normal((12, 3)), rng.standard_normal(12)
    groups = np.arange(12) % n_groups
    scores = linalg.group_path(linalg.ridge_basis(X), targets, [alpha], groups)
    order = rng.permutation(12)
    moved = linalg.group_path(linalg.ridge_basis(X[order]), targets[order], [alpha], -groups[order])
    np.testing.assert_allclose(moved, scores[order], rtol=1e-7, atol=1e-9)
    out = groups == 0
    rest = linalg.ridge_basis(X[~out], total_weight=12.0)
    coef, intercept = linalg.coefficients(rest, targets[~out], alpha)
    np.testing.assert_allclose(scores[out, 0, 0], X[out] @ coef[0] + intercept[0], atol=1e-8)


@pytest.mark.property_of("linalg.needs_krylov")
@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_only_sparse_data_too_large_to_decompose_need_krylov(n, p):
    """Twice the rows or columns never make a decomposition possible again, dense data have one."""
    needs = [linalg.needs_krylov(sparse.csr_array(s)) for s in ((n, p), (2 * n, p), (n, 2 * p))]
    assert needs[0] == (min(n, p) > 600 or (n > p and n * p > 1 << 24))
    assert not needs[0] or needs[1]
    assert min(n, p) <= 600 or needs[2]
    assert not linalg.needs_krylov(np.broadcast_to(0.0, (n, p)))
