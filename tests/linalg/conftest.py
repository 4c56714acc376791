"""Dense, slow twins of the kernels: one solve per row."""

from types import SimpleNamespace

import numpy as np
import pytest


def ridge(X, w, t, alpha, total_weight, fit_intercept):
    """Coefficients and intercept from the normal equations."""
    mean = w @ X / w.sum() if fit_intercept else np.zeros(X.shape[1])
    offset = w @ t / w.sum() if fit_intercept else 0.0
    Xc = X - mean
    right = Xc.T @ (w * (t - offset))
    if np.isinf(alpha):
        coef = right / total_weight
    else:
        gram = Xc.T @ (w[:, None] * Xc) + total_weight * alpha * np.eye(X.shape[1])
        coef = np.linalg.solve(gram, right)
    return coef, offset - mean @ coef


def loo(X, w, t, alpha, total_weight, fit_intercept):
    """Score of each row by a refit without it, at the same penalty."""
    scores = np.empty(len(X))
    for i in range(len(X)):
        keep = np.arange(len(X)) != i
        coef, intercept = ridge(X[keep], w[keep], t[keep], alpha, total_weight, fit_intercept)
        scores[i] = X[i] @ coef + intercept
    return scores


@pytest.fixture(scope="session")
def naive():
    return SimpleNamespace(ridge=ridge, loo=loo)


@pytest.fixture(
    params=[(24, 6), (14, 30), (12, 12)], ids=["tall", "wide", "square"], scope="session"
)
def problem(request):
    """X with means away from zero, targets of two columns, weights."""
    n, p = request.param
    rng = np.random.default_rng(17)
    X = rng.standard_normal((n, p)) + rng.standard_normal(p)
    targets = np.stack([np.sign(rng.standard_normal(n)), rng.standard_normal(n)], axis=1)
    return X, targets, rng.uniform(0.3, 3.0, n)
