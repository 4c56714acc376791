"""Leave-one-group-out scores against refits without the group."""

import numpy as np
import pytest

from skrmt.linalg import group_path, loo_path, ridge_basis


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_groups_left_out_are_refits(naive, problem, fit_intercept):
    X, targets, w = problem
    groups = np.arange(len(X)) % 5
    alphas = [0.05, 2.0, np.inf]
    basis = ridge_basis(X, w, fit_intercept=fit_intercept)
    found = group_path(basis, targets, alphas, groups)
    for k, alpha in enumerate(alphas):
        for group in range(5):
            out = groups == group
            for q, t in enumerate(targets.T):
                arguments = X[~out], w[~out], t[~out], alpha, w.sum(), fit_intercept
                coef, intercept = naive.ridge(*arguments)
                np.testing.assert_allclose(
                    found[out, q, k], X[out] @ coef + intercept, rtol=1e-8, atol=1e-10
                )


def test_groups_of_one_row_are_leave_one_out(problem):
    X, targets, w = problem
    basis = ridge_basis(X, w)
    names = np.array([f"row {i}" for i in range(len(X))])
    np.testing.assert_array_equal(
        group_path(basis, targets, [1.0], names), loo_path(basis, targets, [1.0])[0]
    )


def test_torch_gives_the_scores_of_numpy(problem, backend):
    X, targets, w = problem
    groups = np.arange(len(X)) % 4
    expected = group_path(ridge_basis(X, w), targets, [0.5], groups)
    basis = ridge_basis(backend.asarray(X), backend.asarray(w))
    found = group_path(basis, backend.asarray(targets), [0.5], groups)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("alphas", "groups", "message"),
    [
        ([1.0], [0, 1], "groups has length 2"),
        ([1.0], [0] * 6, "one group only"),
    ],
)
def test_what_cannot_be_left_out_is_refused(rng, alphas, groups, message):
    basis = ridge_basis(rng.standard_normal((6, 2)))
    with pytest.raises(ValueError, match=message):
        group_path(basis, np.ones(6), alphas, groups)
