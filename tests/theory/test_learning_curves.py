"""Ridge regression at other numbers of rows, against Monte Carlo and closed forms."""

import numpy as np
import pytest

from skrmt.theory.learning_curves import (
    renormalized_penalty,
    ridge_profile,
    ridge_risk,
    transfer_degrees,
    transfer_penalty,
    transfer_values,
)

SPECTRUM = np.logspace(0, -2, 150)


@pytest.mark.parametrize("alpha", [0.0, 1e-3, 0.1, 10.0])
@pytest.mark.parametrize("n", [50, 149, 151, 1000])
def test_penalty_solves_its_equation(alpha, n):
    kappa = renormalized_penalty(SPECTRUM, alpha, n)
    if alpha == 0 and n > len(SPECTRUM):
        assert kappa == 0
        return
    df1 = (SPECTRUM / (SPECTRUM + kappa)).sum()
    assert abs(alpha + kappa * df1 / n - kappa) < 1e-12 * max(1.0, kappa)


def test_isotropic_closed_form():
    """kappa^2 + kappa (1 - p/n - alpha) - alpha = 0 for unit eigenvalues."""
    b = 1 - 0.5 - 0.3
    expected = (-b + np.sqrt(b * b + 4 * 0.3)) / 2
    assert renormalized_penalty(np.ones(100), 0.3, 200) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("n", [40, 80])
def test_least_squares_risk(n):
    """Without penalty: s^2 n / (n - p) with more rows, and the ridgeless form with fewer."""
    p, variance = 60, 0.3
    squares = np.full(p, 1.0 / p)
    risk = ridge_risk(np.ones(p), squares, variance, 0.0, n).risk
    if n > p:
        expected = variance * n / (n - p)
    else:
        expected = (1 - n / p) + variance / (1 - n / p)
    assert risk == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "alpha"), [(100, 0.05), (300, 0.02), (2000, 0.3)])
def test_risk_against_monte_carlo(rng, n, alpha):
    p, variance = len(SPECTRUM), 0.3
    squares = np.full(p, 1.0 / p)
    found = []
    for _ in range(60):
        X = rng.standard_normal((n, p)) * np.sqrt(SPECTRUM)
        b = np.sqrt(squares) * rng.choice([-1.0, 1.0], p)
        y = X @ b + np.sqrt(variance) * rng.standard_normal(n)
        w = np.linalg.solve(X.T @ X / n + alpha * np.eye(p), X.T @ y / n)
        found.append(variance + ((w - b) ** 2) @ SPECTRUM)
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    told = ridge_risk(SPECTRUM, squares, variance, alpha, n).risk
    assert abs(np.mean(found) - told) < 4 * error + 1.0 / n


def test_profile_is_that_of_the_population(rng):
    """Within 1/n-fluctuations of a spectral sum: its standard error over 40 draws is measured."""
    n, p = 400, len(SPECTRUM)
    alphas = np.logspace(-3, 1, 30)
    df1, df2, further = [], [], []
    for _ in range(40):
        X = rng.standard_normal((n, p)) * np.sqrt(SPECTRUM)
        profile = ridge_profile(np.linalg.eigvalsh(X.T @ X / n), alphas, n)
        kappa = renormalized_penalty(SPECTRUM, 0.1, n)
        df1.append(transfer_values(profile, profile.df1, kappa))
        df2.append(transfer_values(profile, profile.df2, kappa))
        further.append(transfer_penalty(profile, 0.05, 5 * n))
    share = SPECTRUM / (SPECTRUM + kappa)
    expected = (share.sum(), (share**2).sum(), renormalized_penalty(SPECTRUM, 0.05, 5 * n))
    for values, truth in zip((df1, df2, further), expected, strict=True):
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 4 * error + truth / n


def test_degrees_beyond_the_profile():
    """A power-law spectrum is continued by its own law."""
    spectrum = np.arange(1.0, 20_001.0) ** -3.0
    alphas = np.logspace(-5, 0, 60)
    profile = ridge_profile(spectrum, alphas, 1e12)
    kappa = 1e-6
    share = spectrum / (spectrum + kappa)
    df1, df2 = transfer_degrees(profile, kappa)
    assert df1 == pytest.approx(share.sum(), rel=0.01)
    assert df2 == pytest.approx((share**2).sum(), rel=0.02)
    inside = transfer_degrees(profile, profile.penalties[20])
    assert inside == pytest.approx((profile.df1[20], profile.df2[20]), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: renormalized_penalty([-1.0], 1.0, 5), "eigenvalues must lie in"),
        (lambda: renormalized_penalty([1.0], -1.0, 5), "alpha must lie in"),
        (lambda: renormalized_penalty([1.0], 1.0, 0), "n_samples must lie in"),
        (lambda: ridge_risk([1.0, 2.0], [1.0], 1.0, 1.0, 5), "signal has 1 entries"),
        (lambda: ridge_risk([1.0], [1.0], -1.0, 1.0, 5), "noise_variance must lie in"),
        (lambda: ridge_profile([1.0], [1.0, 0.5], 5), "must increase"),
        (lambda: ridge_profile([0.0], [1.0], 5), "sample_eigenvalues must lie in"),
        (
            lambda: transfer_values(ridge_profile([1.0], [0.5, 1.0], 5), [1.0], 1.0),
            "values has 1 entries",
        ),
        (lambda: transfer_degrees(ridge_profile([1.0], [0.5, 1.0], 5), 0.0), "penalty must lie"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
