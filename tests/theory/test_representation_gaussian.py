"""CKA, effective dimension and information of Gaussian embeddings."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from skrmt.theory.representation import (
    effective_dimension,
    expected_cka,
    mutual_information,
    recoverable_size,
)

TABLE = [
    (100, 50, 80, 0.0, 0.30643, 0.0),
    (200, 400, 300, 0.0, 0.49817, 0.0),
    (200, 400, 400, 0.5, 0.64819, 0.25),
    (300, 30, 30, 0.3, 0.15479, 0.09),
    (50, 200, 100, 0.8, 0.84890, 0.60123),
]


def model(p, q, rho):
    """Variances 1 / sqrt(j), correlation rho on the common diagonal."""
    x, y = np.arange(1, p + 1) ** -0.5, np.arange(1, q + 1) ** -0.5
    r = min(p, q)
    return x, y, rho * np.sqrt(x[:r] * y[:r])


def linear_cka(X, Y):
    """Biased CKA and its numerator."""
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    top = np.sum((X.T @ Y) ** 2)
    return top / np.linalg.norm(X.T @ X) / np.linalg.norm(Y.T @ Y), top


@pytest.mark.parametrize(("n", "p", "q", "rho", "biased", "population"), TABLE)
def test_reference_table(n, p, q, rho, biased, population):
    x, y, cross = model(p, q, rho)
    assert expected_cka(n, x, y, cross) == pytest.approx(biased, abs=6e-6)
    assert expected_cka(n, x, y, cross, debiased=True) == pytest.approx(population, abs=6e-6)


def test_diagonals_and_matrices_agree(rng):
    x, y, cross = model(5, 7, 0.6)
    full = np.zeros((5, 7))
    np.fill_diagonal(full, cross)
    expected = expected_cka([20, 100], x, y, cross)
    np.testing.assert_allclose(
        expected_cka([20, 100], np.diag(x), np.diag(y), full), expected, rtol=1e-13
    )
    turn, other = (np.linalg.qr(rng.standard_normal((k, k)))[0] for k in (5, 7))
    turned = [turn @ np.diag(x) @ turn.T, other @ np.diag(y) @ other.T, turn @ full @ other.T]
    np.testing.assert_allclose(expected_cka([20, 100], *turned), expected, rtol=1e-12)
    scaled = [1e150 * x, 1e-140 * y, 1e5 * cross]
    np.testing.assert_allclose(expected_cka([20, 100], *scaled), expected, rtol=1e-12)


def test_unrelated_embeddings_by_effective_dimension():
    x, y, _ = model(40, 60, 0.0)
    n, dims = np.array([10, 1000]), (effective_dimension(x), effective_dimension(y))
    expected = ((1 + n / dims[0]) * (1 + n / dims[1])) ** -0.5
    np.testing.assert_allclose(expected_cka(n, x, y), expected, rtol=1e-13)


def test_same_embedding_has_cka_one(rng):
    S = np.cov(rng.standard_normal((4, 30)))
    assert expected_cka(25, S, S, S) == pytest.approx(1.0, rel=1e-13)
    assert expected_cka(25, S, S, S, debiased=True) == pytest.approx(1.0, rel=1e-13)


def test_expected_numerator_is_exact(rng):
    """E tr(KHLH) holds at any n; here n = 6 and the spread over draws is the error."""
    n, repeats, rho = 6, 40_000, 0.7
    x, y, cross = model(3, 2, rho)
    X = rng.standard_normal((repeats, n, 3))
    Y = rho * X[..., :2] + np.sqrt(1 - rho**2) * rng.standard_normal((repeats, n, 2))
    X, Y = X * np.sqrt(x), Y * np.sqrt(y)
    X, Y = X - X.mean(axis=1, keepdims=True), Y - Y.mean(axis=1, keepdims=True)
    tops = np.sum(np.einsum("rni,rnj->rij", X, Y) ** 2, axis=(1, 2))
    bottoms = np.sum(np.einsum("rni,rnj->rij", X, X) ** 2, axis=(1, 2))
    theory = (n - 1) * (n * np.sum(cross**2) + x.sum() * y.sum())
    own = (n - 1) * (n * np.sum(x**2) + x.sum() ** 2)
    assert abs(tops.mean() - theory) < 4 * tops.std() / np.sqrt(repeats)
    assert abs(bottoms.mean() - own) < 4 * bottoms.std() / np.sqrt(repeats)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p", "q", "rho"), [row[:4] for row in TABLE])
def test_expected_cka_against_draws(n, p, q, rho, rng):
    """The ratio of means is the mean of the ratio up to order 1/n; here at most 0.3/n is seen."""
    x, y, cross = model(p, q, rho)
    r, draws = min(p, q), []
    for _ in range(200):
        X, Y = rng.standard_normal((n, p)), rng.standard_normal((n, q))
        Y[:, :r] = rho * X[:, :r] + np.sqrt(1 - rho**2) * Y[:, :r]
        draws.append(linear_cka(X * np.sqrt(x), Y * np.sqrt(y))[0])
    error = np.std(draws) / np.sqrt(len(draws))
    assert abs(np.mean(draws) - expected_cka(n, x, y, cross)) < 4 * error + 0.3 / n


def test_effective_dimension():
    assert effective_dimension(np.full(7, 1e200)) == 7.0
    assert effective_dimension([3.0, 0.0, 0.0]) == 1.0
    assert effective_dimension(np.diag([2.0, 1.0])) == pytest.approx(1.8, rel=1e-15)
    a = np.array([[2.0, 0.9], [0.9, 1.0]])
    assert effective_dimension(a) == pytest.approx(effective_dimension(np.linalg.eigvalsh(a)))


def test_information_against_mpmath():
    rho = [0.999999, 0.9, 1e-9, 0.0]
    with mpmath.workdps(50):
        exact = -sum(mpmath.log(1 - mpmath.mpf(r) ** 2) for r in rho) / 2
        size = mpmath.exp(exact / 2)
    assert mutual_information(rho) == pytest.approx(float(exact), rel=1e-12)
    assert recoverable_size(rho) == pytest.approx(float(size), rel=1e-12)
    assert mutual_information([1e-9]) == pytest.approx(0.5e-18, rel=1e-12)


def test_information_by_rows_and_at_the_ends():
    np.testing.assert_allclose(
        mutual_information([[0.5, 0.5], [0.0, 0.0]]), [-np.log(0.75), 0.0], rtol=1e-14
    )
    assert str(mutual_information([0.0])) == "0.0"
    assert recoverable_size([1.0, 0.2]) == np.inf
    assert recoverable_size(np.full(20_000, 0.9)) == np.inf
    assert recoverable_size(0.6) == pytest.approx(0.8**-0.5)


@pytest.mark.slow
def test_exact_recovery_sets_in_at_the_recoverable_size(rng):
    """200 weak correlations: half the information leaves errors, twice leaves none."""
    size, width, wrong = 60, 200, []
    for factor in (0.5, 2.0):
        rho = np.sqrt(1 - np.exp(-2 * factor * 2 * np.log(size) / width))
        errors = []
        for _ in range(20):
            X = rng.standard_normal((size, width))
            Y = rho * X + np.sqrt(1 - rho**2) * rng.standard_normal((size, width))
            norms = np.sum(X**2, axis=1)[:, None] + np.sum(Y**2, axis=1)
            chosen = linear_sum_assignment(X @ Y.T - rho * norms / 2, maximize=True)[1]
            errors.append(np.mean(chosen != np.arange(size)))
        wrong.append(errors)
    assert np.count_nonzero(wrong[0]) == 20
    assert np.count_nonzero(wrong[1]) <= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: effective_dimension([]), r"cov must have one or two axes, got shape \(0,\)"),
        (lambda: effective_dimension([0.0, 0.0]), "cov must not be zero"),
        (lambda: effective_dimension([1.0, -1.0]), "cov must have no negative eigenvalue, got -1"),
        (lambda: effective_dimension([[1.0, 2.0], [2.0, 1.0]]), "no negative eigenvalue, got -1"),
        (lambda: effective_dimension([[1.0, 0.5], [0.0, 1.0]]), "cov must be symmetric"),
        (lambda: effective_dimension(np.ones((2, 3))), "cov must be a square matrix"),
        (lambda: expected_cka(1, [1.0], [1.0]), r"n must lie in \[2, inf\), got 1"),
        (lambda: expected_cka(9, [1.0], [np.inf]), "cov_y must be finite, got inf"),
        (lambda: expected_cka(9, [1.0], [1.0], [[1.1]]), "cross must be at most what"),
        (lambda: expected_cka(9, [1.0, 1], [1.0, 1], np.ones((2, 2))), "cross must be at most"),
        (lambda: expected_cka(9, [1.0], [1.0], [0.1, 0.1]), r"cross must have shape \(1, 1\)"),
        (lambda: mutual_information([0.5, 1.1]), r"canonical_correlations must lie in \[0, 1\]"),
        (lambda: recoverable_size([-0.1]), r"canonical_correlations must lie in \[0, 1\]"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()
