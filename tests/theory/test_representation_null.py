"""Laws of CKA between unrelated rows, against every permutation and a reference table."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import pdist, squareform

from skrmt.theory.representation import (
    KernelInvariants,
    debiased_cka_null,
    moments_of_invariants,
    permutation_moments,
)

TABLE = [
    (40, 25, 5, 7, "linear", 0.105479, 0.032387),
    (40, 25, 5, 7, "rbf", 0.161869, 0.030380),
    (60, 30, 12, 6, "rbf", 0.163891, 0.019661),
    (60, 30, 12, 6, "linear", 0.106824, 0.021142),
]


def wave(n, p, a, b):
    """A deterministic matrix."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, p + 1)
    return np.cos(a * i * j + b * i + 0.3 * j**2)


def pair(n, p, q):
    """Two related deterministic embeddings."""
    X, r = wave(n, p, 0.7, 0.2), min(p, q)
    return X, np.tanh(X[:, :r] @ wave(r, q, 0.5, 0.1)) + 0.3 * wave(n, q, 1.1, 0.4)


def gram(X, kernel, m):
    """A kernel matrix, its bandwidth from the first m rows."""
    if kernel == "linear":
        return X @ X.T
    return np.exp(-squareform(pdist(X, "sqeuclidean")) / 2 / np.median(pdist(X[:m], "sqeuclidean")))


def u_centred(K):
    """The debiased centring, written anew."""
    n = len(K)
    zero = K - np.diag(np.diag(K))
    rows = zero.sum(axis=1)
    out = zero - (rows[:, None] + rows) / (n - 2) + rows.sum() / ((n - 1) * (n - 2))
    return out - np.diag(np.diag(out))


def kernels(rng, n):
    """Two kernels of different kinds, a row repeated in one of them."""
    x, y = rng.standard_normal((n, 2)), rng.standard_normal((n, 3)) ** 3
    x[1] = x[0]
    return x @ x.T + 4.0, np.exp(-squareform(pdist(y, "cityblock")))


def every_value(A, B):
    """Return <A, P B P^T> for all permutations, without centring."""
    return np.array([np.sum(A * B[np.ix_(p, p)]) for p in map(list, permutations(range(len(A))))])


@pytest.mark.parametrize(("n", "m", "p", "q", "kernel", "mean", "std"), TABLE)
def test_reference_table(n, m, p, q, kernel, mean, std):
    X, Y = pair(n, p, q)
    found = permutation_moments(gram(X, kernel, m), gram(Y, kernel, m))
    assert isinstance(found.mean, float)
    assert found == pytest.approx((mean, std), abs=6e-7)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_biased_law_against_all_permutations(n, rng):
    K, L = kernels(rng, n)
    H = np.eye(n) - 1 / n
    A, B = H @ K @ H, H @ L @ H
    values = every_value(A, B)
    null = permutation_moments(K, L, statistic="hsic")
    scale = (n - 1) ** 2
    assert null.mean == pytest.approx(values.mean() / scale, rel=1e-11)
    assert null.std == pytest.approx(values.std() / scale, rel=1e-11)
    size = np.linalg.norm(A) * np.linalg.norm(B)
    null = permutation_moments(K, L)
    assert null == pytest.approx((values.mean() / size, values.std() / size), rel=1e-11)


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_debiased_law_against_all_permutations(n, rng):
    A, B = (u_centred(K) for K in kernels(rng, n))
    values = every_value(A / np.linalg.norm(A), B / np.linalg.norm(B))
    null = debiased_cka_null(n)
    assert values.mean() == pytest.approx(null.mean, abs=1e-14)
    assert values.std() == pytest.approx(null.std, rel=1e-11)


def test_arrays_of_row_numbers():
    null = debiased_cka_null([4, 320])
    np.testing.assert_array_equal(null.mean, [0.0, 0.0])
    np.testing.assert_allclose(null.std, [np.sqrt(0.5), np.sqrt(2 / (320 * 317))], rtol=1e-15)


def test_law_ignores_scale_shift_and_order(rng):
    K, L = kernels(rng, 9)
    expected = permutation_moments(K, L)
    order = rng.permutation(9)
    for A, B in [(1e150 * K, 1e-150 * L), (K + 50, L), (L, K), (K, L[np.ix_(order, order)])]:
        assert permutation_moments(A, B) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("statistic", ["cka", "hsic"])
def test_invariants_of_features_give_the_law_of_their_kernels(statistic, rng):
    X, Y = rng.standard_normal((12, 3)), rng.standard_normal((12, 5)) + 2
    own = []
    for Z in (X - X.mean(axis=0), Y - Y.mean(axis=0)):
        lengths = np.sum(Z**2, axis=1)
        own.append(KernelInvariants(lengths.sum(), np.sum((Z.T @ Z) ** 2), np.sum(lengths**2)))
    found = moments_of_invariants(12, *own, statistic=statistic)
    expected = permutation_moments(X @ X.T, Y @ Y.T, statistic=statistic)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("n", "given", "message"),
    [
        (3, (1.0, 1.0, 0.5), r"n must lie in \[4, inf\), got 3"),
        ([5, 6], (1.0, 1.0, 0.5), "n must be a single number"),
        (5, (1.0, 0.0, 0.0), "second must have a positive sum of squares, got 0"),
        (5, (1.0, np.nan, 0.0), "second must be finite, got nan"),
        (5, (3.0, 1.0, 0.5), "second must be the invariants of one centred kernel of n=5"),
        (5, (1.0, 1.0, 0.1), "second must be the invariants of one centred kernel"),
        (5, (1.0, 1.0, 2.0), "second must be the invariants of one centred kernel"),
    ],
)
def test_bad_invariants(n, given, message):
    with pytest.raises(ValueError, match=message):
        moments_of_invariants(n, KernelInvariants(1.0, 1.0, 0.5), KernelInvariants(*given))


def test_every_permutation_alike_has_no_spread():
    """A centred kernel that treats all items alike is a multiple of the centring matrix."""
    null = permutation_moments(np.eye(8), np.diag(np.arange(8.0)))
    assert null.std == pytest.approx(0.0, abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [False, True])
def test_z_scores_of_unrelated_data(heavy, rng):
    n, repeats = 40, 4000
    z = np.empty(repeats)
    null = debiased_cka_null(n)
    for r in range(repeats):
        X, Y = rng.standard_normal((n, 5)), rng.standard_normal((n, 30))
        if heavy:
            X = np.abs(X) ** 3
        A, B = u_centred(X @ X.T), u_centred(np.exp(-squareform(pdist(Y, "sqeuclidean")) / 60))
        z[r] = np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B) / null.std
    assert abs(z.mean()) < 4 / np.sqrt(repeats)
    error = np.std(z**2) / np.sqrt(repeats)
    assert abs(np.mean(z**2) - 1) < 4 * error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.eye(3), np.eye(3)), "K must have at least 4 rows, got 3"),
        ((np.eye(5), np.ones((5, 4))), r"L must be a square matrix, got shape \(5, 4\)"),
        ((np.diag(np.arange(5.0)), np.eye(6)), "same items, got 5 rows and 6"),
        ((np.eye(5), np.ones((5, 5))), "L must differ between items"),
        ((np.zeros((5, 5)), np.eye(5)), "K must differ between items"),
        ((np.triu(np.ones((5, 5))), np.eye(5)), "K must be symmetric"),
        ((np.full((5, 5), np.nan), np.eye(5)), "K must be finite, got nan"),
    ],
)
def test_bad_kernels(arguments, message):
    with pytest.raises(ValueError, match=message):
        permutation_moments(*arguments)


def test_bad_statistic_and_rows():
    with pytest.raises(ValueError, match="statistic must be 'cka' or 'hsic', got 'rv'"):
        permutation_moments(np.eye(5), np.eye(5), statistic="rv")
    with pytest.raises(ValueError, match=r"n must lie in \[4, inf\), got 3"):
        debiased_cka_null(3)
    with pytest.raises(ValueError, match=r"n must be a whole number, got 4\.5"):
        debiased_cka_null([4, 4.5])
    with pytest.raises(TypeError, match="n must be a real number"):
        debiased_cka_null("many")
