"""Accuracy of nearest neighbours by known pairs or bilinear scores: integrals and draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import bdtr, ndtr
from scipy.stats import chi

from skrmt.theory.representation import (
    bilinear_accuracy,
    required_pairs,
    similarity_accuracy,
    white_bilinear_accuracy,
)

TABLE = [
    (0.5, 40, 200, 0.6545, 0.8852),
    (0.3, 200, 500, 0.8747, 0.9708),
    (0.7, 10, 100, 0.3614, 0.7020),
    (0.2, 320, 500, 0.6965, 0.8868),
]


def integral(rho, m, n, k):
    """The double integral, by adaptive quadrature over the length and the noise."""
    spread = np.sqrt(1 - rho**2)

    def chance(u):
        return bdtr(k - 1, n - 1, ndtr(-u))

    def over_noise(r):
        if spread == 0:
            return chance(rho * r)
        weighted = lambda z: np.exp(-z * z / 2) * chance(rho * r + spread * z)  # noqa: E731
        return quad(weighted, -9, 9, epsabs=1e-11)[0] / np.sqrt(2 * np.pi)

    return quad(lambda r: chi.pdf(r, m) * over_noise(r), 0, np.sqrt(m) + 7, epsabs=1e-10)[0]


def draws(rho, m, n, repeats, rng):
    """Ranks of the true match in the model of similarities to known pairs."""
    ranks = []
    for _ in range(repeats):
        left = rng.standard_normal((n, m))
        scores = left @ (rho * left + np.sqrt(1 - rho**2) * rng.standard_normal((n, m))).T
        ranks.append(np.sum(scores > np.diag(scores)[:, None], axis=1))
    return np.array(ranks)


def white(rho, d, m, rng):
    """Pairs of white features."""
    X = rng.standard_normal((m, d))
    return X, rho * X + np.sqrt(1 - rho**2) * rng.standard_normal((m, d))


def mean_and_error(values):
    return np.mean(values), np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize(("rho", "m", "n", "first", "fifth"), TABLE)
def test_reference_table(rho, m, n, first, fifth):
    np.testing.assert_allclose(similarity_accuracy(rho, m, n, k=[1, 5]), [first, fifth], atol=6e-5)


@pytest.mark.parametrize(
    "point", [(0.5, 6, 20, 1), (0.99, 3.5, 8, 2), (1.0, 4, 12, 3), (-0.3, 5, 4, 1), (0.4, 1, 6, 5)]
)
def test_accuracy_against_the_integral(point):
    assert similarity_accuracy(*point) == pytest.approx(integral(*point), rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("k", [1, 3, 60])
def test_accuracy_against_draws(k, rng):
    ranks = draws(0.5, 20, 120, 40, rng)
    mean, error = mean_and_error(np.mean(ranks < k, axis=1))
    assert abs(similarity_accuracy(0.5, 20, 120, k) - mean) < 4 * error


def test_chance_without_correlation():
    n, k = np.array([2, 50, 10**6]), np.array([1, 7, 1000])
    np.testing.assert_allclose(similarity_accuracy(0.0, 12.5, n, k), k / n, rtol=1e-9)


def test_both_rules_for_the_length_agree():
    """Correlations on the two sides of the change of rule, where the accuracy is smooth."""
    rho = np.sqrt(1 - np.array([0.2997, 0.2999, 0.3001, 0.3003]) ** 2)
    values = similarity_accuracy(rho, 3, 50)
    assert np.abs(np.diff(values, 3)).max() < 1e-9


def test_limits():
    assert similarity_accuracy(0.2, 3, 4, 4) == 1.0
    assert similarity_accuracy(0.2, 3, 1) == 1.0
    assert similarity_accuracy(0.5, 1e7, 10**6) == pytest.approx(1.0, abs=1e-15)
    assert similarity_accuracy(-0.9, 1e4, 10) == 0.0
    large = similarity_accuracy([1e-3, 1e-7], [1e7, 1e15], 100)
    np.testing.assert_allclose(large[0], large[1], rtol=1e-5)


def test_accuracy_increases_with_known_pairs_and_correlation():
    rho, m = np.linspace(0.05, 1, 12)[:, None], np.array([1, 2, 5, 20, 80])
    values = similarity_accuracy(rho, m, 30)
    assert values.shape == (12, 5)
    assert (np.diff(values, axis=0) > -1e-12).all()
    assert (np.diff(values, axis=1) > -1e-12).all()


@pytest.mark.parametrize(("accuracy", "rho", "n", "k"), [(0.9, 0.5, 200, 1), (0.5, 0.2, 50, 3)])
def test_required_pairs_is_the_first_that_suffices(accuracy, rho, n, k):
    pairs = required_pairs(accuracy, rho, n, k)
    assert pairs == int(pairs)
    before, after = similarity_accuracy(rho, [pairs - 1, pairs], n, k)
    assert before < accuracy <= after


def test_required_pairs_where_one_or_none_suffices():
    np.testing.assert_array_equal(
        required_pairs([0.4, 0.6, 0.6], [0.0, 0.0, -0.5], 2), [1.0, np.inf, np.inf]
    )
    assert required_pairs(0.1, 0.5, 2) == 1.0
    assert required_pairs(0.9, 1e-6, 100) == pytest.approx(
        required_pairs(0.9, 1e-4, 100) * 1e4, rel=1e-4
    )


@pytest.mark.parametrize("k", [1, 4])
def test_bilinear_accuracy_of_a_given_score(k, rng):
    """Dependent features, other numbers of them, a score that is not the best one."""
    mix, n, repeats = rng.standard_normal((5, 8)), 25, 500
    law = mix @ mix.T
    law[np.diag_indices(5)] += 0.5
    p = 3
    cov_x, cov_y, cross = law[:p, :p], law[p:, p:], law[:p, p:]
    weights = cross + 0.5 * rng.standard_normal((3, 2))
    root = np.linalg.cholesky(law)
    hits, theory = [], []
    for _ in range(repeats):
        rows = rng.standard_normal((n, 5)) @ root.T
        X, Y = rows[:, :p], rows[:, p:]
        scores = X @ weights @ Y.T
        hits.append(np.mean(np.sum(scores > np.diag(scores)[:, None], axis=1) < k))
        theory.append(bilinear_accuracy(X[:4], weights, cov_x, cov_y, cross, n, k).accuracy)
    mean, error = mean_and_error(hits)
    expected, own = mean_and_error(theory)
    assert abs(mean - expected) < 4 * np.hypot(error, own)


def test_bilinear_accuracy_by_query(rng):
    X = rng.standard_normal((6, 3))
    X[2] = 0.0
    found = bilinear_accuracy(X, np.eye(3), np.ones(3), np.ones(3), np.full(3, 0.8), 10, k=2)
    assert found.queries.shape == (6,)
    assert found.queries[2] == pytest.approx(0.2)
    assert found.accuracy == pytest.approx(found.queries.mean())
    order = np.argsort(np.linalg.norm(X, axis=1))
    assert (np.diff(found.queries[order]) > 0).all()
    again = bilinear_accuracy(X, -1e9 * np.eye(3), np.eye(3), np.eye(3), -0.8 * np.eye(3), 10, k=2)
    np.testing.assert_allclose(again.queries, found.queries, rtol=1e-12)


def test_perfect_score_of_the_same_features():
    """y = x: the chance is that of no other score being larger, a known integral."""
    X = np.array([[0.3], [-2.0], [1.0]])
    found = bilinear_accuracy(X, [[1.0]], [1.0], [1.0], [1.0], 8)
    np.testing.assert_allclose(found.queries, ndtr(np.abs(X[:, 0])) ** 7, rtol=1e-12)


@pytest.mark.parametrize(("rho", "d", "m", "n", "k"), [(0.8, 20, 30, 50, 1), (0.9, 3, 3, 10, 4)])
def test_white_features_against_draws(rho, d, m, n, k, rng):
    values, given = [], []
    for repeat in range(600):
        X, Y = white(rho, d, m, rng)
        weights = (X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0))
        X, Y = white(rho, d, n, rng)
        scores = X @ weights @ Y.T
        values.append(np.mean(np.sum(scores > np.diag(scores)[:, None], axis=1) < k))
        if repeat < 200:
            ones, diagonal = np.ones(d), np.full(d, rho)
            given.append(bilinear_accuracy(X, weights, ones, ones, diagonal, n, k).accuracy)
    theory = white_bilinear_accuracy(rho, d, m, n, k)
    for sample in (values, given):
        mean, error = mean_and_error(sample)
        assert abs(theory - mean) < 4 * error + 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rho", "d", "m", "n", "value"),
    [
        (0.8, 50, 100, 200, 0.95224),
        (0.6, 100, 320, 500, 0.91828),
        (0.8, 50, 400, 200, 0.99590),
        (0.9, 100, 50, 500, 0.98208),
    ],
)
def test_white_features_at_larger_sizes(rho, d, m, n, value, rng):
    theory, values = white_bilinear_accuracy(rho, d, m, n), []
    assert theory == pytest.approx(value, abs=6e-6)
    for _ in range(150):
        X, Y = white(rho, d, m, rng)
        weights = (X - X.mean(axis=0)).T @ (Y - Y.mean(axis=0))
        X, Y = white(rho, d, n, rng)
        values.append(np.mean(np.argmax(X @ weights @ Y.T, axis=1) == np.arange(n)))
    mean, error = mean_and_error(values)
    assert abs(theory - mean) < 4 * error


def test_white_features_known_exactly():
    """With very many known pairs the direction is right, and features are as good as those."""
    assert white_bilinear_accuracy(0.5, 30, 10**7, 100) == pytest.approx(
        similarity_accuracy(0.5, 30, 100), abs=2e-5
    )
    np.testing.assert_allclose(
        white_bilinear_accuracy(0.0, 4, 4, [9, 20]), [1 / 9, 0.05], rtol=1e-6
    )
    assert white_bilinear_accuracy(0.3, 4, 4, 1) == 1.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: similarity_accuracy(1.2, 3, 4), r"rho must lie in \[-1, 1\], got 1.2"),
        (lambda: similarity_accuracy(0.5, 0, 4), r"n_pairs must lie in \[1, inf\), got 0"),
        (lambda: similarity_accuracy(0.5, np.inf, 4), "n_pairs must lie in"),
        (lambda: similarity_accuracy(0.5, 3, 4.5), "n_queries must be a whole number, got 4.5"),
        (lambda: similarity_accuracy(0.5, 3, 4, 5), "k must be at most n_queries, got k=5 of 4"),
        (lambda: similarity_accuracy([0.5, 0.1], [1, 2, 3], 4), "do not broadcast"),
        (lambda: required_pairs(1.0, 0.5, 4), r"accuracy must lie in \(0, 1\), got 1"),
        (lambda: required_pairs(0.5, np.nan, 4), "rho must lie in"),
        (lambda: required_pairs(0.5, 0.5, 0), r"n_queries must lie in \[1, inf\), got 0"),
        (lambda: white_bilinear_accuracy(0.5, 1, 9, 9), r"n_features must lie in \[2, inf\)"),
        (lambda: white_bilinear_accuracy(0.5, 9, 1, 9), r"n_pairs must lie in \[2, inf\)"),
    ],
)
def test_bad_numbers(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((3, 4))}, r"X must have shape \(n, 2\), one column a feature"),
        ({"X": np.ones((0, 2))}, r"X must have shape \(n, 2\)"),
        ({"weights": np.ones((3, 2))}, r"weights must have shape \(2, 3\)"),
        ({"cov_x": [1.0, 0.0], "cross": np.zeros((2, 3))}, "cov_x must be invertible"),
        ({"cross": [[0.9, 0.9, 0], [0, 0, 0]]}, "cross must leave y a variance of 0 or more"),
        ({"n_queries": [3, 4]}, "n_queries and k must be single numbers"),
        ({"k": 9}, "k must be at most n_queries"),
        ({"X": np.full((2, 2), np.inf)}, "X must be finite, got inf"),
    ],
)
def test_bad_scores(change, message):
    given = {
        "X": np.ones((4, 2)),
        "weights": np.ones((2, 3)),
        "cov_x": np.ones(2),
        "cov_y": np.ones(3),
        "cross": [0.5, 0.5],
        "n_queries": 5,
    }
    with pytest.raises(ValueError, match=message):
        bilinear_accuracy(**(given | change))
