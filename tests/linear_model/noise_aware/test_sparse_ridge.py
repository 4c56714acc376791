"""Ridge fits to sparse data by Krylov spaces, against dense solutions."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skrmt.linalg import coefficients, needs_krylov, ridge_basis
from skrmt.linear_model.noise_aware._sparse_ridge import (
    fold_path,
    sparse_coefficients,
    sparse_ridge,
    squared_distances,
)

TOLERANCE = 5e-3
"""Documented error of a score, 1e-3 root mean square of targets of size one, five times over."""


def problem(n, p, seed=0):
    """Draw sparse rows, two targets, weights and folds."""
    rng = np.random.default_rng(seed)
    X = sparse.random_array((n, p), density=0.05, rng=rng, format="csr")
    targets = np.sign((X @ rng.standard_normal((p, 2))) + 0.3 * rng.standard_normal((n, 2)))
    return X, targets, rng.uniform(0.5, 2.0, n), rng.integers(0, 5, n)


def refits(X, targets, weights, folds, alpha, fit_intercept, part):
    """Return the scores of rows by dense fits without their fold."""
    scores = np.empty_like(targets)
    for fold in range(5):
        kept = weights * np.where(folds == fold, 1.0 - part, 1.0)
        rows = kept > 0
        ridge = Ridge(alpha * weights.sum(), fit_intercept=fit_intercept, solver="cholesky")
        ridge.fit(X.toarray()[rows], targets[rows], kept[rows])
        scores[folds == fold] = ridge.predict(X.toarray()[folds == fold])
    return scores


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(120, 70), (70, 120)])
def test_fold_path_equals_refits(shape, fit_intercept):
    X, targets, weights, folds = problem(*shape)
    part = np.where(np.arange(len(folds)) % 7 == 0, 0.3, 1.0)
    system = sparse_ridge(X, weights, fit_intercept=fit_intercept, part=part)
    alphas = np.array([1e-4, 1e-3, 1e-2])
    path = fold_path(system, targets, alphas, folds, all_penalties=True)
    assert path.converged.all()
    for k, alpha in enumerate(alphas):
        expected = refits(X, targets, weights, folds, alpha, fit_intercept, part)
        np.testing.assert_allclose(path.scores[:, :, k], expected, atol=TOLERANCE)


@pytest.mark.parametrize("shape", [(120, 70), (70, 120)])
def test_scores_at_an_infinite_penalty_are_the_limit(shape):
    X, targets, weights, folds = problem(*shape)
    system = sparse_ridge(X, weights)
    large = 1e6
    found = fold_path(system, targets, [large, np.inf], folds).scores
    means = np.empty_like(targets)
    for fold in range(5):
        out = folds == fold
        means[out] = weights[~out] @ targets[~out] / weights[~out].sum()
    limit = (found[:, :, 0] - means) * large
    # In single precision, after subtraction of means of size one.
    np.testing.assert_allclose(found[:, :, 1] - means, limit, atol=1e6 * 1e-6)


def test_fold_path_says_which_penalties_it_left_out():
    rng = np.random.default_rng(0)
    # Values over four decades: the smallest penalty would take thousands of steps.
    X = sparse.random_array((900, 700), density=0.02, rng=rng, format="csr")
    X = sparse.csr_array(X @ sparse.diags_array(np.logspace(0, -4, 700)))
    target = np.sign(rng.standard_normal(900))
    alphas = np.concatenate([[1e-14], np.logspace(-4, 1, 20)])
    path = fold_path(sparse_ridge(X), target, alphas, np.arange(900) % 10)
    assert not path.converged[0]
    assert path.converged[-1]


@pytest.mark.parametrize("alpha", [1e-3, 1.0, np.inf])
@pytest.mark.parametrize("shape", [(120, 70), (70, 120)])
def test_sparse_coefficients_equal_those_of_the_decomposition(shape, alpha):
    X, targets, weights, _ = problem(*shape)
    coef, intercept = sparse_coefficients(sparse_ridge(X, weights), targets, alpha)
    expected = coefficients(ridge_basis(X.toarray(), weights), targets, alpha)
    np.testing.assert_allclose(coef, expected[0], atol=1e-5 * abs(expected[0]).max())
    np.testing.assert_allclose(intercept, expected[1], atol=1e-5 * abs(expected[1]).max())


def test_sparse_coefficients_of_a_constant_column_are_zero():
    X, targets, weights, _ = problem(90, 40)
    wide = sparse.hstack([X, np.full((90, 1), 1e6)], format="csr")
    coef, intercept = sparse_coefficients(sparse_ridge(wide, weights), targets, 1e-3)
    expected = sparse_coefficients(sparse_ridge(X, weights), targets, 1e-3)
    assert (coef[:, -1] == 0).all()
    np.testing.assert_allclose(coef[:, :-1], expected[0])
    np.testing.assert_allclose(intercept, expected[1])


def test_sparse_ridge_knows_the_trace():
    X, _, weights, _ = problem(90, 40)
    trace = sparse_ridge(X, weights).trace
    np.testing.assert_allclose(trace, ridge_basis(X.toarray(), weights).trace)


def test_squared_distances():
    X, _, _, _ = problem(30, 40)
    rows = np.array([3, 17])
    gaps = X.toarray()[:, None] - X.toarray()[rows]
    found = squared_distances(sparse_ridge(X), rows)
    np.testing.assert_allclose(found, (gaps**2).sum(2), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "expected"), [((100, 5000), False), ((2000, 2000), True), ((10**6, 50), True)]
)
def test_which_data_need_krylov_spaces(shape, expected):
    X = sparse.random_array(shape, density=1e-6, format="csr", rng=np.random.default_rng(0))
    assert needs_krylov(X) is expected
    assert not needs_krylov(np.zeros((3, 2)))
