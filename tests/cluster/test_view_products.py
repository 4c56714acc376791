"""Passes over stacked views, and leading components, against dense oracles."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.cluster._view_products import (
    combine_views,
    leading_components,
    project_views,
    view_gram,
    view_means,
)


@pytest.fixture(params=[False, True], ids=["complete", "masked"])
def views(request, rng, dtype):
    X = (rng.standard_normal((700, 40, 12)) + 5).astype(dtype)
    if not request.param:
        return X, None
    mask = rng.random((700, 12)) > 0.3
    return np.where(mask[:, None, :], X, np.float32(0)).astype(dtype), mask


def centred(X, mask):
    """Return the means and the centred views."""
    weights = np.ones(X.shape) if mask is None else np.broadcast_to(mask[:, None, :], X.shape)
    mean = (X.astype(np.float64) * weights).sum(0) / weights.sum(0)
    return mean, (X.astype(np.float64) - mean) * weights


def test_passes(views, backend, rng):
    X, mask = views
    mean, Z = centred(X, mask)
    native = backend.asarray(X)
    np.testing.assert_allclose(view_means(native, mask), mean, rtol=1e-9)
    flat = Z.reshape(-1, X.shape[2])
    np.testing.assert_allclose(view_gram(native, mean, mask), flat.T @ flat, rtol=1e-9, atol=1e-6)
    weights = rng.standard_normal(X.shape[2])
    combined = combine_views(native, mean, weights, mask)
    assert backend.is_native(combined)
    np.testing.assert_allclose(np.asarray(combined), Z @ weights, rtol=1e-9, atol=1e-9)
    directions = rng.standard_normal((X.shape[1], 3))
    expected = np.einsum("npm,pq->nqm", Z, directions)
    actual = project_views(native, mean, directions, mask)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", [(60, 25), (25, 60), (30, 30), (5, 1), (1, 5)])
def test_leading_components(shape, backend, rng):
    Y = rng.standard_normal(shape) * np.linspace(1, 3, shape[1])
    q = min(4, *shape)
    found = leading_components(backend.asarray(Y), 4)
    u, s, vt = np.linalg.svd(Y, full_matrices=False)
    np.testing.assert_allclose(found.eigenvalues, s[:q] ** 2, rtol=1e-9)
    assert found.trace == pytest.approx((Y**2).sum())
    assert found.squares == pytest.approx((s**4).sum())
    np.testing.assert_allclose(
        found.left * np.sqrt(found.eigenvalues) @ found.right.T,
        u[:, :q] * s[:q] @ vt[:q],
        atol=1e-8 * s[0],
    )
    top = np.abs(found.right).argmax(axis=0)
    assert (found.right[top, np.arange(q)] > 0).all()


def test_components_of_low_rank(rng):
    Y = np.outer(rng.standard_normal(20), rng.standard_normal(10))
    found = leading_components(Y, 5)
    assert np.isfinite(found.left).all() and (found.eigenvalues >= 0).all()
    zero = leading_components(np.zeros((4, 3)), 2)
    assert (zero.eigenvalues == 0).all() and np.isfinite(zero.left).all()
