"""Kernel alignment and local CKA against dense matrices, one candidate pair at a time."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist, squareform

from skrmt.linalg import to_numpy
from skrmt.matching._kernel_alignment import kernel_alignment, minibatch_cka
from skrmt.matching._kernels import centred_kernel, kernel_matrix, median_bandwidth
from skrmt.matching._local_cka import local_cka_factors, local_kernels

TABLE = [
    ((40, 25, 5, 7, "linear", (2, 2)), 0.730863, 0.707985, 0.706218, 0.665043, 1.237732),
    ((40, 25, 5, 7, "rbf", (2, 2)), 0.745540, 0.704391, 0.735714, 0.666266, 0.014859),
    ((60, 30, 12, 6, "rbf", (0, 4)), 0.528196, 0.449405, 0.599396, 0.460223, 0.005929),
    ((60, 30, 12, 6, "linear", (3, 3)), 0.498122, 0.449246, 0.531252, 0.434794, 1.063665),
]


def wave(n, p, a, b):
    """A deterministic matrix."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, p + 1)
    return np.cos(a * i * j + b * i + 0.3 * j**2)


def pair(n, p, q):
    """Two related deterministic embeddings."""
    X, r = wave(n, p, 0.7, 0.2), min(p, q)
    return X, np.tanh(X[:, :r] @ wave(r, q, 0.5, 0.1)) + 0.3 * wave(n, q, 1.1, 0.4)


def gram(X, kernel, bandwidth):
    """A dense kernel."""
    if kernel == "linear":
        return X @ X.T
    return np.exp(-cdist(X, X, "sqeuclidean") / 2 / bandwidth**2)


def centred(K, debiased):
    """HKH, or the U-centred kernel entry by entry."""
    n = len(K)
    if not debiased:
        H = np.eye(n) - 1 / n
        return H @ K @ H
    K = K - np.diag(np.diag(K))
    r = K.sum(axis=0)
    found = K - (r + r[:, None]) / (n - 2) + r.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(found, 0.0)
    return found


def cka(K, L, debiased):
    A, B = centred(K, debiased), centred(L, debiased)
    return np.sum(A * B) / np.linalg.norm(A) / np.linalg.norm(B)


def song_hsic(K, L):
    """The unbiased estimator as published."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    total = np.sum(K * L) + K.sum() * L.sum() / ((n - 1) * (n - 2))
    return (total - 2 / (n - 2) * (K.sum(0) @ L.sum(0))) / (n * (n - 3))


def local_cka_scores(*sides, debiased=True):
    """All scores as scalar products of their factors."""
    left, right = local_cka_factors(*sides, debiased=debiased)
    return left @ right.T


def bordered_cka(first, second, debiased):
    """One kernel of m + 1 items and one CKA for each candidate pair."""

    def border(side, i):
        base, row, own = (np.asarray(part) for part in side)
        return np.block([[base, row[i][:, None]], [row[i], own[i : i + 1]]])

    shape = len(first[1]), len(second[1])
    return np.array(
        [[cka(border(first, i), border(second, j), debiased) for j in range(shape[1])]
         for i in range(shape[0])]
    )  # fmt: skip


@pytest.mark.parametrize(("point", "biased", "debiased", "local", "local_u", "hsic"), TABLE)
def test_reference_table(backend, point, biased, debiased, local, local_u, hsic):
    n, m, p, q, kernel, entry = point
    sides = [backend.asarray(Z) for Z in pair(n, p, q)]
    bandwidths = tuple(median_bandwidth(Z[:m]) for Z in sides)
    options = {"kernel": kernel, "bandwidths": bandwidths, "block_size": 17}
    found = kernel_alignment(*sides, **options)
    assert (found.cka, found.hsic) == pytest.approx((debiased, hsic), abs=6e-7)
    assert kernel_alignment(*sides, debiased=False, **options).cka == pytest.approx(
        biased, abs=6e-7
    )
    kernels = [
        local_kernels(Z[:m], Z[m:], kernel=kernel, bandwidth=s)
        for Z, s in zip(sides, bandwidths, strict=True)
    ]
    for value, is_debiased in ((local, False), (local_u, True)):
        scores = local_cka_scores(*kernels, debiased=is_debiased)
        assert backend.is_native(scores)
        assert float(scores[entry]) == pytest.approx(value, abs=6e-7)


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("kernel", ["linear", "rbf", "precomputed"])
@pytest.mark.parametrize(("n", "p", "q"), [(4, 9, 2), (23, 3, 6), (23, 40, 5)])
def test_alignment_against_dense_kernels(backend, rng, n, p, q, kernel, debiased):
    X, Y = rng.standard_normal((n, p)) + 5.0, rng.standard_normal((n, q)) ** 3 - 2.0
    dense = gram(X, kernel, 2.5), gram(Y, kernel, 1.5)
    sides = dense if kernel == "precomputed" else (X, Y)
    found = kernel_alignment(
        *map(backend.asarray, sides),
        kernel=kernel,
        debiased=debiased,
        bandwidths=(2.5, 1.5),
        block_size=5,
    )
    A, B = (centred(K, debiased) for K in dense)
    scale = found.scales[0], found.scales[1]
    size = np.linalg.norm(A) * np.linalg.norm(B)
    assert found.cross * scale[0] * scale[1] == pytest.approx(np.sum(A * B), abs=1e-12 * size)
    for values, unit, own in ((found.first, scale[0], A), (found.second, scale[1], B)):
        expected = np.trace(own), np.sum(own**2), np.sum(np.diag(own) ** 2)
        given = values[0] * unit, values[1] * unit**2, values[2] * unit**2
        assert given == pytest.approx(expected, rel=1e-11, abs=1e-11)
    assert found.cka == pytest.approx(np.sum(A * B) / size, abs=1e-12)
    hsic = song_hsic(*dense) if debiased else np.sum(A * B) / (n - 1) ** 2
    assert found.hsic == pytest.approx(hsic, rel=1e-9, abs=1e-12 * size)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "precomputed"])
@pytest.mark.parametrize("block_size", [1, 7, 20, 100])
def test_blocks_do_not_matter(rng, kernel, block_size):
    X, Y = rng.standard_normal((20, 30)), rng.standard_normal((20, 25))
    if kernel == "precomputed":
        X, Y = X @ X.T, Y @ Y.T
    options = {"kernel": kernel, "bandwidths": (6.0, 9.0)}
    expected = kernel_alignment(X, Y, **options)
    found = kernel_alignment(X, Y, block_size=block_size, **options)
    assert found.cross == pytest.approx(expected.cross, rel=1e-11)
    assert found.cka == pytest.approx(expected.cka, rel=1e-11)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_huge_and_tiny_features(rng, scale):
    X, Y = rng.standard_normal((15, 3)), rng.standard_normal((15, 20))
    for kernel in ("linear", "rbf"):
        values = []
        for unit in (1.0, scale):
            widths = median_bandwidth(unit * X), median_bandwidth(Y)
            values.append(kernel_alignment(unit * X, Y, kernel=kernel, bandwidths=widths).cka)
        assert values[1] == pytest.approx(values[0], rel=1e-10)


def test_far_from_the_origin_in_single_precision(rng):
    """Features of spread 1 around 1000, the same numbers in both precisions."""
    X = (1000 + rng.standard_normal((60, 5))).astype(np.float32)
    Y = (X[:, :3] ** 2 / 500).astype(np.float32)
    wide = [Z.astype(np.float64) for Z in (X, Y)]
    for kernel in ("linear", "rbf"):
        for debiased in (True, False):
            options = {"kernel": kernel, "debiased": debiased, "bandwidths": (2.0, 2.0)}
            expected = kernel_alignment(*wide, **options).cka
            assert kernel_alignment(X, Y, **options).cka == pytest.approx(expected, abs=1e-4)


def test_very_wide_bandwidth_is_the_linear_kernel_of_distances(rng):
    """exp is 1 to eight digits everywhere, and what is left is the linear kernel."""
    X, Y = rng.standard_normal((25, 3)), rng.standard_normal((25, 4))
    found = kernel_alignment(X, Y, kernel="rbf", bandwidths=(1e5, 1e5))
    D, E = (squareform(pdist(Z, "sqeuclidean")) for Z in (X, Y))
    assert found.cka == pytest.approx(cka(-D, -E, True), abs=1e-8)


def test_no_relation_left_is_zero():
    """Rows of the unit matrix are all alike: U-centring leaves rounding, which is not a CKA."""
    found = kernel_alignment(np.eye(6), np.arange(12.0).reshape(6, 2) ** 2)
    assert (found.first[1], found.cka) == (0.0, 0.0)
    constant = np.ones((6, 2))
    for debiased in (True, False):
        assert kernel_alignment(constant, constant, debiased=debiased).cka == 0.0
        rows = np.arange(6.0)[:, None]
        assert kernel_alignment(constant, rows, kernel="rbf", debiased=debiased).cka == 0.0


def test_features_take_no_square_matrix(rng):
    X = rng.standard_normal((20_000, 8))
    tracemalloc.start()
    found = kernel_alignment(X, X[:, :5])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.cka == pytest.approx(np.sqrt(5 / 8), abs=0.02)
    assert peak < 20 * X.nbytes


def test_minibatches_average_the_products(backend, rng):
    X, Y = rng.standard_normal((26, 3)), rng.standard_normal((26, 5))
    Y[:, :3] += X
    sums = np.zeros(3)
    for start in (0, 8, 16):
        K, L = (Z[start : start + 8] @ Z[start : start + 8].T for Z in (X, Y))
        sums += [song_hsic(K, L), song_hsic(K, K), song_hsic(L, L)]
    expected = sums[0] / np.sqrt(sums[1] * sums[2])
    sides = backend.asarray(X), backend.asarray(Y)
    assert minibatch_cka(*sides, 8) == pytest.approx(expected, rel=1e-12)
    kernels = backend.asarray(X @ X.T), backend.asarray(Y @ Y.T)
    assert minibatch_cka(*kernels, 8, kernel="precomputed") == pytest.approx(expected, rel=1e-12)
    whole = kernel_alignment(*sides, debiased=False).cka
    assert minibatch_cka(*sides, 26, debiased=False) == pytest.approx(whole, rel=1e-12)


def test_median_bandwidth(backend, rng):
    X = rng.standard_normal((31, 4)) + 1e4
    found = median_bandwidth(backend.asarray(X))
    assert found == pytest.approx(np.sqrt(np.median(pdist(X, "sqeuclidean"))), rel=1e-9)
    some = median_bandwidth(backend.asarray(X), max_rows=30)
    assert some == pytest.approx(found, rel=0.1)
    assert some == median_bandwidth(backend.asarray(X), max_rows=30)


def test_median_bandwidth_of_copies():
    X = np.zeros((5, 2))
    assert median_bandwidth(X) == 1.0
    X[0] = 3.0, 4.0
    assert median_bandwidth(X) == pytest.approx(np.sqrt(4 * 25 / 10))
    assert median_bandwidth(X[:1]) == 1.0


def test_kernel_matrix(backend, rng):
    X, Z = rng.standard_normal((7, 3)), rng.standard_normal((4, 3))
    found = kernel_matrix(backend.asarray(X), backend.asarray(Z), kernel="rbf", bandwidth=0.7)
    expected = np.exp(-cdist(X, Z, "sqeuclidean") / (2 * 0.7**2))
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-12)
    own = backend.to_numpy(kernel_matrix(backend.asarray(X), kernel="rbf"))
    np.testing.assert_array_equal(np.diag(own), 1.0)
    np.testing.assert_allclose(to_numpy(kernel_matrix(X, Z)), X @ Z.T)


@pytest.mark.parametrize("debiased", [True, False])
def test_centred_kernel(backend, rng, debiased):
    K = gram(rng.standard_normal((9, 4)) + 3, "rbf", 2.0)
    found = backend.to_numpy(centred_kernel(backend.asarray(K), debiased=debiased))
    np.testing.assert_allclose(found, centred(K, debiased), atol=1e-14)


@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("kernels", [("linear", "linear"), ("rbf", "linear")])
@pytest.mark.parametrize("m", [4, 9])
def test_local_cka_against_bordered_kernels(backend, rng, m, kernels, debiased):
    X, Y = rng.standard_normal((m + 5, 3)) + 4, rng.standard_normal((m + 7, 6)) - 2
    sides = [
        local_kernels(backend.asarray(Z[:m]), backend.asarray(Z[m:]), kernel=kernel, bandwidth=2.0)
        for Z, kernel in zip((X, Y), kernels, strict=True)
    ]
    dense = [tuple(map(backend.to_numpy, side)) for side in sides]
    scores = local_cka_scores(*sides, debiased=debiased)
    assert backend.is_native(scores)
    assert tuple(scores.shape) == (5, 7)
    expected = bordered_cka(*dense, debiased)
    np.testing.assert_allclose(backend.to_numpy(scores), expected, atol=1e-12)


def test_local_cka_by_rows_and_of_given_kernels(rng):
    X = rng.standard_normal((14, 4))
    K, L = np.exp(-cdist(X, X)), (1 + X @ X.T) ** 2
    sides = [(G[:8, :8], G[8:, :8], np.diag(G)[8:]) for G in (K, L)]
    left, right = local_cka_factors(*sides)
    scores = local_cka_scores(*sides)
    np.testing.assert_allclose(left[2:4] @ right.T, scores[2:4], rtol=1e-13)
    np.testing.assert_allclose(scores, bordered_cka(*sides, True), atol=1e-12)


def test_local_cka_keeps_single_precision(backend, rng):
    X, Y = rng.standard_normal((30, 4)) + 100, rng.standard_normal((30, 5))
    wide, narrow = (
        [
            local_kernels(backend.asarray(Z[:20], dtype), backend.asarray(Z[20:], dtype))
            for Z in (X, Y)
        ]
        for dtype in ("float64", "float32")
    )
    scores = local_cka_scores(*narrow)
    assert "float32" in str(scores.dtype)
    expected = backend.to_numpy(local_cka_scores(*wide))
    np.testing.assert_allclose(backend.to_numpy(scores), expected, atol=1e-4)


def test_local_cka_without_any_difference():
    flat = np.ones((5, 5)), np.ones((2, 5)), np.ones(2)
    for debiased in (True, False):
        np.testing.assert_array_equal(local_cka_scores(flat, flat, debiased=debiased), 0.0)
