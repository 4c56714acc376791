"""Leaving out a part of a row's weight, against refits."""

import numpy as np
import pytest

from skrmt.linalg import loo_path, ridge_basis


@pytest.mark.parametrize("alpha", [0.01, 1.0, np.inf])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("shape", [(20, 5), (9, 14)])
def test_a_part_left_out_is_a_refit_with_less_weight(naive, rng, alpha, fit_intercept, shape):
    n = shape[0]
    X, t = rng.standard_normal(shape) + 0.5, rng.standard_normal(n)
    w = rng.integers(1, 6, n).astype(float)
    part = 1.0 / w
    basis = ridge_basis(X, w, fit_intercept=fit_intercept, part=part)
    found = loo_path(basis, t, [alpha])[0][:, 0, 0]
    for i in range(n):
        less = w.copy()
        less[i] -= 1.0
        kept = less > 0
        coef, intercept = naive.ridge(X[kept], less[kept], t[kept], alpha, w.sum(), fit_intercept)
        assert found[i] == pytest.approx(X[i] @ coef + intercept, rel=1e-8)


def test_a_part_is_checked(rng):
    with pytest.raises(ValueError, match="part must be 3 numbers"):
        ridge_basis(rng.standard_normal((3, 2)), part=np.array([0.5, 1.5, 1.0]))
