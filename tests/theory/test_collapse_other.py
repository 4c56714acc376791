"""Gaussian and least-squares recursions, selection and fixation against oracles."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory import collapse


@pytest.mark.parametrize(
    ("n", "m", "error", "deviation", "log_variance"),
    [(20, 10, 0.5, 0.876763, -0.535539), (50, 40, 0.8, 0.815407, -0.821879)],
)
def test_gaussian_table(n, m, error, deviation, log_variance):
    result = collapse.gaussian_recursion(n, m)
    assert result.mean_error == pytest.approx(error)
    assert result.standard_deviation == pytest.approx(deviation, abs=1e-6)
    assert result.log_variance == pytest.approx(log_variance, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3, 59, 60, 61, 62, 1000, 10**9])
@pytest.mark.parametrize("ddof", [0, 1])
def test_gaussian_moments_agree_with_mpmath(n, ddof):
    m = 7
    with mp.workdps(50):
        nu = mp.mpf(n - 1)
        scale = nu / (n - ddof)
        c = mp.sqrt(2 / nu) * mp.gamma(mp.mpf(n) / 2) / mp.gamma(nu / 2) * mp.sqrt(scale)
        log = mp.digamma(nu / 2) - mp.log(nu / 2) + mp.log(scale)
        mean = mp.mpf(m) / n if ddof else 1 - (1 - mp.mpf(1) / n) ** m
        variance = mp.mpf(1) if ddof else (1 - mp.mpf(1) / n) ** m
        distance = mean + variance + 1 - 2 * c**m
        wanted = [float(v) for v in (mean, variance, c**m, m * log, distance)]
    found = collapse.gaussian_recursion(n, m, ddof=ddof)
    np.testing.assert_allclose(found, wanted, rtol=1e-10)


@pytest.mark.parametrize("ddof", [0, 1])
def test_gaussian_recursion_agrees_with_simulation(ddof):
    rng = np.random.default_rng(1)
    n, m, chains = 8, 5, 20_000
    mean, deviation = np.zeros(chains), np.ones(chains)
    for _ in range(m):
        x = mean[:, None] + deviation[:, None] * rng.standard_normal((chains, n))
        mean, deviation = x.mean(1), x.std(1, ddof=ddof)
    values = [
        mean**2,
        deviation**2,
        deviation,
        2 * np.log(deviation),
        mean**2 + (deviation - 1) ** 2,
    ]
    for found, each in zip(collapse.gaussian_recursion(n, m, ddof=ddof), values, strict=True):
        assert abs(found - each.mean()) < 4.5 * each.std() / np.sqrt(chains)


@pytest.mark.parametrize("scheme", ["replace", "accumulate"])
def test_least_squares_agree_with_simulation(scheme):
    rng = np.random.default_rng(2)
    d, rows, m, chains = 3, 9, 4, 2000
    each = np.empty(chains)
    for i in range(chains):
        w, X = np.zeros(d), rng.standard_normal((rows, d))
        labels = []
        for _ in range(m):
            if scheme == "replace":
                X, labels = rng.standard_normal((rows, d)), []
            labels.append(X @ w + 0.5 * rng.standard_normal(rows))
            w = np.linalg.lstsq(X, np.mean(labels, axis=0), rcond=None)[0]
        each[i] = w @ w
    found = collapse.ols_recursion(d, rows, m, noise_variance=0.25, scheme=scheme)
    assert abs(found - each.mean()) < 4.5 * each.std() / np.sqrt(chains)


def test_least_squares_limits():
    assert collapse.ols_recursion(20, 60, 8) == pytest.approx(4.10256, abs=1e-5)
    limit = collapse.ols_recursion(20, 60, np.inf, scheme="accumulate")
    assert limit == pytest.approx(20 / 39 * np.pi**2 / 6)
    assert collapse.ols_recursion(20, 60, np.inf) == np.inf
    assert collapse.ols_recursion(20, 60, 0) == 0
    assert collapse.ols_recursion(20, 60, np.inf, noise_variance=0) == 0


def test_selection_is_its_iteration():
    p, a = np.array([0.5, 0.3, 0.2, 0.0]), np.array([0.5, 1.0, 0.8, 2.0])
    wanted = p
    for m in range(6):
        found = collapse.selected_distribution(p, a, m)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-16)
        wanted = wanted * a / (wanted @ a)
    nucleus = collapse.selected_distribution(p, [1, 1, 0, 0], 3)
    np.testing.assert_allclose(nucleus, [0.625, 0.375, 0, 0])
    assert collapse.selected_distribution(p, a, 10**6).tolist() == [0, 1, 0, 0]


def test_temperature_is_its_iteration():
    p = np.array([0.5, 0.3, 0.2, 0.0])
    for heat in (0.7, 1.0, 1.5):
        wanted = p
        for m in range(5):
            found = collapse.tempered_distribution(p, heat, m)
            np.testing.assert_allclose(found, wanted, rtol=1e-12)
            wanted = wanted ** (1 / heat) / (wanted ** (1 / heat)).sum()
    assert collapse.tempered_distribution(p, 0.5, 10**4).tolist() == [1, 0, 0, 0]
    np.testing.assert_allclose(collapse.tempered_distribution(p, 2, 10**4), [1 / 3] * 3 + [0])


@pytest.mark.parametrize(
    ("n", "p", "s", "value"), [(100, 0.2, 0.02, 0.5609), (200, 0.05, 0.03, 0.4512)]
)
def test_fixation_table(n, p, s, value):
    assert collapse.fixation_probability(p, n, s) == pytest.approx(value, abs=5e-5)


@pytest.mark.parametrize(("n", "s"), [(100, 0.01), (60, -0.02)])
def test_fixation_agrees_with_the_chain(n, s):
    from scipy.stats import binom

    x = np.arange(n + 1)
    q = x * (1 + s) / (x * (1 + s) + n - x)
    step = binom.pmf(x, n, q[:, None])
    inner = step[1:-1, 1:-1]
    exact = np.linalg.solve(np.eye(n - 1) - inner, step[1:-1, -1])
    found = collapse.fixation_probability(x[1:-1] / n, n, s)
    np.testing.assert_allclose(found, exact, atol=2 * abs(s))


def test_fixation_edges():
    assert collapse.fixation_probability([0, 1], 10, 0.1).tolist() == [0, 1]
    assert collapse.fixation_probability(0.3, 10**9, 0.5) == 1
    assert collapse.fixation_probability(0.3, 10**9, -0.5) == 0
    near, neutral = collapse.fixation_probability(0.3, 100, [1e-12, 0.0])
    assert near == pytest.approx(neutral, abs=1e-9) and neutral == 0.3
    both = collapse.fixation_probability([0.3, 0.7], 50, [0.02, -0.02])
    assert both.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: collapse.gaussian_recursion(1, 3), "n must"),
        (lambda: collapse.gaussian_recursion(5, 3, ddof=2), "ddof"),
        (lambda: collapse.gaussian_recursion(5, -1), "generation"),
        (lambda: collapse.ols_recursion(5, 6, 2), "n_samples"),
        (lambda: collapse.ols_recursion(5, 9, 2, scheme="keep"), "scheme"),
        (lambda: collapse.ols_recursion(5, 9, 2, noise_variance=-1), "noise_variance"),
        (lambda: collapse.selected_distribution([0.5, 0.5], [1, -1]), "acceptance"),
        (lambda: collapse.selected_distribution([0.5, 0.5], [1, 1, 1]), "shape"),
        (lambda: collapse.selected_distribution([1.0, 0.0], [0, 1]), "nothing"),
        (lambda: collapse.tempered_distribution([0.5, 0.5], 0), "temperature"),
        (lambda: collapse.tempered_distribution([0.5, 0.5], [1, 2]), "one number"),
        (lambda: collapse.fixation_probability(1.2, 10), "p must"),
        (lambda: collapse.fixation_probability(0.2, 0), "n must"),
        (lambda: collapse.fixation_probability(0.2, 10, -1), "advantage"),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
