"""Minimisers of preference losses and the accuracy of IPO, against tables, minimisers, draws."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, xlogy
from scipy.stats import norm

from skrmt.theory.preference import pairwise_accuracy, population_margin

TABLE = [
    ("sigmoid", 0.8, 0.5, 0.1, 2.7725887),
    ("cdpo", 0.8, 0.5, 0.1, 2.0919371),
    ("robust", 0.8, 0.5, 0.1, 3.8918203),
    ("ipo", 0.8, 0.5, 0.1, 0.6),
    ("exo_pair", 0.8, 0.5, 0.1, 2.6366695),
    ("hinge", 0.8, 0.5, 0.1, 2.0),
    ("sigmoid", 0.6, 0.1, 0.2, 4.0546511),
    ("cdpo", 0.6, 0.1, 0.2, 2.4116206),
    ("robust", 0.6, 0.1, 0.2, 6.9314718),
    ("ipo", 0.6, 0.1, 0.2, 1.0),
    ("exo_pair", 0.6, 0.1, 0.2, 2.7725887),
    ("hinge", 0.6, 0.1, 0.2, 10.0),
]

ACCURACIES = [
    (2.0, 100, 400, 0.1, 0.0, 0.88401665),
    (2.0, 200, 400, 1.0, 0.2, 0.78851338),
    (4.0, 200, 200, 0.5, 0.1, 0.86259176),
    (1.0, 150, 100, 0.05, 0.3, 0.55468634),
]


def loss(name, d, beta, noise):
    """The losses of a margin, written anew."""
    z = beta * d
    good, bad = -log_expit(z), -log_expit(-z)
    return {
        "dpo": good,
        "cdpo": (1 - noise) * good + noise * bad,
        "robust": ((1 - noise) * good - noise * bad) / (1 - 2 * noise),
        "hinge": max(0.0, 1 - z),
        "ipo": (d - 0.5 / beta) ** 2,
        "exo": xlogy(expit(z), expit(z) / (1 - noise)) + xlogy(expit(-z), expit(-z) / noise),
    }[name]


@pytest.mark.parametrize(("name", "p", "beta", "noise", "value"), TABLE)
def test_tabulated_margins(name, p, beta, noise, value):
    found = population_margin(name, p, beta=beta, noise_rate=noise)
    assert isinstance(found, float)
    assert found == pytest.approx(value, abs=6e-8)


@pytest.mark.parametrize("name", ["dpo", "cdpo", "robust", "hinge", "ipo", "exo"])
@pytest.mark.parametrize("p", [0.23, 0.71, 0.86])
def test_margin_minimises_the_expected_loss(name, p):
    beta, noise = 0.7, 0.12
    found = minimize_scalar(
        lambda d: p * loss(name, d, beta, noise) + (1 - p) * loss(name, -d, beta, noise),
        bounds=(-12, 12),
        method="bounded",
        options={"xatol": 1e-9},
    )
    theory = population_margin(name, p, beta=beta, noise_rate=noise)
    # A minimum is located to the square root of the accuracy of its value.
    assert theory == pytest.approx(found.x, abs=1e-6)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_log_ratios_of_single_responses_minimise_their_losses(p):
    beta = 0.4
    losses = {
        "sppo": lambda h: p * (h - 0.5 / beta) ** 2 + (1 - p) * (h + 0.5 / beta) ** 2,
        "bco": lambda h: -p * log_expit(beta * h) - (1 - p) * log_expit(-beta * h),
        "nca": lambda h: -p * log_expit(beta * h) - 0.5 * log_expit(-beta * h),
    }
    for name, function in losses.items():
        found = minimize_scalar(
            function, bounds=(-12, 12), method="bounded", options={"xatol": 1e-9}
        )
        assert population_margin(name, p, beta=beta) == pytest.approx(found.x, abs=1e-6)


@pytest.mark.parametrize("p", ["1e-12", "0.2", "0.4999999", "0.500001", "0.75", "0.9999"])
def test_margins_to_fifty_digits(p):
    with mpmath.workdps(50):
        exact, beta, noise = mpmath.mpf(float(p)), mpmath.mpf(0.3), mpmath.mpf(0.05)
        blurred = (1 - noise) * exact + noise * (1 - exact)
        expected = {
            "dpo": mpmath.log(exact / (1 - exact)) / beta,
            "cdpo": mpmath.log(blurred / (1 - blurred)) / beta,
            "exo": (2 * exact - 1) * mpmath.log((1 - noise) / noise) / beta,
            "bco": mpmath.log(exact / (1 - exact)) / beta,
            "nca": mpmath.log(2 * exact) / beta,
        }
        if 0.05 < exact < 0.95:
            expected["robust"] = mpmath.log((exact - noise) / (1 - noise - exact)) / beta
        for name, value in expected.items():
            found = population_margin(name, float(p), beta=0.3, noise_rate=0.05)
            assert found == pytest.approx(float(value), rel=1e-10), name


def test_robust_undoes_the_noise_and_the_others_see_it():
    clean, noise = 0.83, 0.2
    observed = (1 - noise) * clean + noise * (1 - clean)
    margin = population_margin("dpo", clean, beta=0.5)
    robust = population_margin("robust", observed, beta=0.5, noise_rate=noise)
    assert robust == pytest.approx(margin, rel=1e-12)
    assert population_margin("dpo", observed, beta=0.5) < margin


def test_certain_preferences():
    assert population_margin("dpo", [0.0, 0.5, 1.0], beta=2).tolist() == [-np.inf, 0.0, np.inf]
    robust = population_margin("robust", [0.0, 0.1, 0.95, 1], beta=1, noise_rate=0.1)
    assert robust.tolist() == [-np.inf, -np.inf, np.inf, np.inf]
    assert population_margin("hinge", 0.5, beta=1.0) == 0.0
    assert population_margin("nca", 1.0, beta=2.0) == pytest.approx(np.log(2) / 2)
    assert np.isfinite(population_margin("cdpo", [0.0, 1.0], beta=1.0, noise_rate=0.1)).all()


def test_names_and_broadcasting():
    for alias, name in [("Sigmoid", "dpo"), ("safe-nca", "nca"), ("rdpo", "robust")]:
        assert population_margin(alias, 0.7, beta=1.0) == population_margin(name, 0.7, beta=1.0)
    p, beta = np.array([0.2, 0.9])[:, None], np.array([0.1, 1.0, 2.0])
    assert population_margin("ipo", p, beta=beta).shape == (2, 3)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("dpo", 1.2, 1.0, 0.0), "p must lie in"),
        (("dpo", float("nan"), 1.0, 0.0), "p must lie in"),
        (("dpo", 0.5, 0.0, 0.0), "beta must lie in"),
        (("dpo", 0.5, float("inf"), 0.0), "beta must lie in"),
        (("dpo", 0.5, 1.0, 0.5), "noise_rate must lie in"),
        (("exo", 0.5, 1.0, 0.0), "above 0"),
        (("aot", 0.5, 1.0, 0.0), "not known here"),
        (("nothing", 0.5, 1.0, 0.0), "'nothing' is not known"),
        (("dpo", [0.5, 0.6], [1.0, 2.0, 3.0], 0.0), "do not broadcast"),
    ],
)
def test_refused_margins(arguments, match):
    name, p, beta, noise = arguments
    with pytest.raises(ValueError, match=match):
        population_margin(name, p, beta=beta, noise_rate=noise)


def test_refused_types():
    with pytest.raises(TypeError, match="loss must be the name"):
        population_margin(3, 0.5, beta=1.0)
    with pytest.raises(TypeError, match="p must be a real number"):
        population_margin("dpo", "often", beta=1.0)


@pytest.mark.parametrize(("signal", "n_features", "n_pairs", "alpha", "noise", "value"), ACCURACIES)
def test_tabulated_accuracies(signal, n_features, n_pairs, alpha, noise, value):
    found = pairwise_accuracy(signal, n_pairs, n_features, alpha=alpha, noise_rate=noise)
    assert isinstance(found, float)
    assert found == pytest.approx(value, abs=1e-8)


def exact_accuracy(signal, eta, alpha, noise):
    """The displayed formula in 50 digits."""
    with mpmath.workdps(50):
        signal, eta, alpha, noise = (mpmath.mpf(x) for x in (signal, eta, alpha, noise))
        b, s = alpha + eta - 1, 1 - 2 * noise
        a = (mpmath.sqrt(b * b + 4 * alpha) - b) / 2
        slope = (1 - a) / (2 * a + b)
        d = a * (1 + signal) + alpha
        m = s * a * signal / d
        dm = s * signal * (slope * d - a * (slope * (1 + signal) + 1)) / d**2
        v = slope * (1 - s * m) - a * s * dm
        return float(mpmath.ncdf(m / mpmath.sqrt(v)))


def test_accuracy_to_fifty_digits(rng):
    for _ in range(30):
        signal, eta = 10 ** rng.uniform(-3, 2), 10 ** rng.uniform(-2, 2)
        alpha, noise = 10 ** rng.uniform(-6, 4), rng.uniform(0, 0.49)
        found = pairwise_accuracy(signal, 1000, 1000 * eta, alpha=alpha, noise_rate=noise)
        expected = exact_accuracy(signal, 1000 * eta / 1000, alpha, noise)
        assert found == pytest.approx(expected, rel=1e-10)


def test_limits_of_the_accuracy():
    mean = pairwise_accuracy(2.0, 400, 200, alpha=np.inf, noise_rate=0.2)
    assert mean == pytest.approx(norm.cdf(1.2 / np.sqrt(0.72 + 0.5)), rel=1e-12)
    path = pairwise_accuracy(2.0, 400, 200, alpha=np.logspace(-4, 4, 30), noise_rate=0.2)
    assert (np.diff(path) > 0).all()
    assert path[-1] < mean
    assert pairwise_accuracy(0.0, 400, 200, alpha=1.0) == 0.5
    assert pairwise_accuracy(3.0, 1e9, 2, alpha=0.1) == pytest.approx(norm.cdf(np.sqrt(3)))


def realised_accuracy(rng, signal, n_features, n_pairs, alpha, noise):
    """Fit one IPO policy to drawn pairs and return its exact accuracy on fresh ones."""
    mean = np.zeros(n_features)
    mean[0] = np.sqrt(signal)
    pairs = mean + rng.standard_normal((n_pairs, n_features))
    pairs *= np.where(rng.random(n_pairs) < noise, -1.0, 1.0)[:, None]
    gram = pairs.T @ pairs / n_pairs + alpha * np.eye(n_features)
    w = np.linalg.solve(gram, pairs.mean(axis=0))
    return norm.cdf(w @ mean / np.linalg.norm(w))


@pytest.mark.parametrize(("signal", "n_features", "n_pairs", "alpha", "noise", "value"), ACCURACIES)
def test_accuracy_against_draws(rng, signal, n_features, n_pairs, alpha, noise, value):
    drawn = [realised_accuracy(rng, signal, n_features, n_pairs, alpha, noise) for _ in range(40)]
    error = np.std(drawn, ddof=1) / np.sqrt(len(drawn))
    # 4 standard errors, and the finite size: 3000 draws at two sizes are off by 0.1 / F at most.
    assert abs(np.mean(drawn) - value) < 4 * error + 0.1 / n_features


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"signal": -1.0}, "signal must lie in"),
        ({"n_pairs": 0}, "n_pairs must lie in"),
        ({"n_features": 0}, "n_features must lie in"),
        ({"alpha": -0.1}, "alpha must lie in"),
        ({"noise_rate": 0.5}, "noise_rate must lie in"),
        ({"signal": [1.0, 2.0], "alpha": [1.0, 2.0, 3.0]}, "do not broadcast"),
    ],
)
def test_refused_accuracies(changes, match):
    arguments = {"signal": 1.0, "n_pairs": 100, "n_features": 50, "alpha": 1.0} | changes
    with pytest.raises(ValueError, match=match):
        pairwise_accuracy(**arguments)
