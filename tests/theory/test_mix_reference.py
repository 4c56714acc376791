"""Theory of real and synthetic rows: tabulated values, limits and simulations of its own."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.stats import norm

from skrmt.theory.synthetic_mix import (
    MixtureGroup,
    break_even_size,
    critical_noise_rate,
    estimated_generator,
    infinite_sample_accuracy,
    isotropic_mix,
    mixture_ridge,
    optimal_averaging_weights,
    proportional_mix,
    pruned_gaussian_moments,
    simplex_accuracy,
    synthetic_only_accuracy,
    transition_slope,
    verifier_value,
)

P = 200
KEEP = {"keep_correct": 0.9, "keep_incorrect": 0.2}
ISOTROPIC = [
    ((300, 600, 1.0), {"alpha": 1.0, "noise_rate": 0.2, **KEEP}, (0.28022, 0.11056, 0.80032)),
    ((300, 600, 1.0), {"alpha": 0.05, "noise_rate": 0.2, **KEEP}, (0.45049, 0.36828, 0.77106)),
    (
        (300, 600, 1.5),
        {
            "alpha": 0.1,
            "noise_rate": 0.3,
            "keep_correct": 0.8,
            "keep_incorrect": 0.1,
            "mean_scale": 0.7,
            "mean_orthogonal": 1.0,
            "synthetic_variance": 0.5,
        },
        (0.64803, 0.33767, 0.86761),
    ),
    (
        (300, 600, 1.5),
        {"alpha": 0.1, "noise_rate": 0.3, "weight": 0.4},
        (0.45868, 0.21023, 0.84144),
    ),
    (
        (0, 800, 1.0),
        {"alpha": 1.0, "noise_rate": 0.1, "keep_correct": 0.8, "keep_incorrect": 0.3},
        (0.26024, 0.10364, 0.79056),
    ),
    (
        (0, 800, 1.0),
        {"alpha": 0.05, "noise_rate": 0.1, "keep_correct": 0.5, "keep_incorrect": 0.2},
        (0.41736, 0.52396, 0.71789),
    ),
    (
        (0, 800, 1.0),
        {"alpha": 1.0, "noise_rate": 0.6, "keep_correct": 0.8, "keep_incorrect": 0.3},
        (0.06436, 0.04946, 0.61386),
    ),
    (
        (0, 800, 1.0),
        {"alpha": 1.0, "noise_rate": 0.8, "keep_correct": 0.8, "keep_incorrect": 0.3},
        (-0.04026, 0.04244, 0.42252),
    ),
    ((300, 600, 1.0), {"alpha": 0.05, "noise_rate": 0.2}, (0.35543, 0.30529, 0.73998)),
    ((300, 600, 1.0), {"alpha": 1.0, "noise_rate": 0.0}, (0.32079, 0.13234, 0.81107)),
    (
        (300, 600, 1.0),
        {"alpha": 0.05, "noise_rate": 0.2, "keep_correct": 0.5, "keep_incorrect": 0.5},
        (0.37963, 0.39832, 0.72625),
    ),
    ((300, 600, 1.0), {"alpha": 0.05, "weight": 0.0}, (0.43359, 0.51422, 0.72729)),
]


@pytest.mark.parametrize(("sizes", "options", "expected"), ISOTROPIC)
def test_isotropic_values(sizes, options, expected):
    n, m, size = sizes
    np.testing.assert_allclose(isotropic_mix(n, m, P, size, **options), expected, atol=1.1e-5)


def test_isotropic_other_dimension():
    law = isotropic_mix(200, 800, 300, 1.2, alpha=0.01, noise_rate=0.4, keep_incorrect=0.0)
    np.testing.assert_allclose(law, (0.58399, 0.53276, 0.78817), atol=1.1e-5)


def toeplitz(r, p=P):
    return r ** np.abs(np.subtract.outer(np.arange(p), np.arange(p)))


def pruned(m, eps, phi, rho):
    kept = phi * (1 - eps) + rho * eps
    return m * kept, rho * eps / kept


def test_general_values():
    mean = 1.5 * np.eye(P)[0]
    kept, error = pruned(600, 0.2, 0.9, 0.2)
    groups = [MixtureGroup(300, mean, toeplitz(0.5)), MixtureGroup(kept, mean, noise_rate=error)]
    law = mixture_ridge(groups, 0.1, 900, mean, toeplitz(0.5))
    np.testing.assert_allclose(law[:3], (0.62719, 0.23032, 0.90437), atol=1.1e-5)
    kept, error = pruned(600, 0.3, 0.7, 0.2)
    shifted = 0.8 * mean + 0.6 * np.eye(P)[1]
    groups = [
        MixtureGroup(300, mean, toeplitz(0.3)),
        MixtureGroup(kept, shifted, toeplitz(0.7), 0.5, error),
    ]
    law = mixture_ridge(groups, 0.02, 900, mean, toeplitz(0.3))
    np.testing.assert_allclose(law[:3], (0.68740, 0.38150, 0.86713), atol=1.1e-5)
    assert law.risk == pytest.approx(1 - 2 * law.mean + law.mean**2 + law.variance)


@pytest.mark.parametrize(
    ("sizes", "size", "options", "expected"),
    [
        (
            (400, 400, 800),
            0.7,
            {"alpha": 1.0, "noise_rate": 0.2, "keep_incorrect": 0.0},
            (0.18356, 0.09796, 0.72122),
        ),
        (
            (200, 100, 600),
            1.2,
            {"alpha": 0.1, "noise_rate": 0.3, "keep_correct": 0.9, "keep_incorrect": 0.3},
            (0.56238, 0.46903, 0.79422),
        ),
        (
            (200, 150, 600),
            1.2,
            {
                "alpha": 0.1,
                "noise_rate": 0.2,
                "keep_correct": 0.9,
                "keep_incorrect": 0.3,
                "weight": 0.5,
                "estimated_mean": True,
            },
            (0.47885, 0.36017, 0.78753),
        ),
    ],
)
def test_generator_values(sizes, size, options, expected):
    law = estimated_generator(*sizes, P, size, **options)
    np.testing.assert_allclose(law, expected, atol=1.1e-5)


def test_generator_of_infinitely_many_rows_is_right():
    options = {"alpha": 0.3, "noise_rate": 0.2, "weight": 0.6, **KEEP}
    law = estimated_generator(200, 1e9, 500, 150, 1.1, **options)
    np.testing.assert_allclose(law, isotropic_mix(200, 500, 150, 1.1, **options), atol=1e-6)
    none = estimated_generator(200, 50, 500, 150, 1.1, alpha=0.3, weight=0.0)
    alone = isotropic_mix(200, 500, 150, 1.1, alpha=0.3, weight=0.0)
    np.testing.assert_allclose(none, alone, rtol=1e-8)


@pytest.mark.parametrize(
    ("direction", "tau", "cov", "rates", "expected"),
    [
        (
            (0.8, 0.6),
            0.0,
            1.0,
            (0.59944, 0.83147, 0.16853),
            (0.55547, 0.30452, 0.84293),
        ),
        (
            (0.6, 0.8),
            1.0,
            toeplitz(0.4),
            (0.27728, 0.39716, 0.05464),
            (0.48191, 0.26473, 0.82552),
        ),
    ],
)
def test_threshold_values(direction, tau, cov, rates, expected):
    mean, verifier = 1.2 * np.eye(P)[0], np.zeros(P)
    verifier[[0, 2]] = direction
    moments = pruned_gaussian_moments(mean, cov, verifier, tau, noise_rate=0.35)
    np.testing.assert_allclose(moments[:3], rates, atol=1.1e-5)
    group = MixtureGroup(
        900 * moments.keep_rate,
        mean,
        cov,
        cross_moment=moments.cross_moment,
        second_moment=moments.second_moment,
    )
    law = mixture_ridge([MixtureGroup(300, mean), group], 0.1, 1200, mean)
    np.testing.assert_allclose(law[:3], expected, atol=1.1e-5)


def test_threshold_moments_by_simulation():
    rng = np.random.default_rng(0)
    mean, v = np.array([1.0, 0.3, 0.0]), np.array([0.5, -0.2, 1.0])
    cov = toeplitz(0.5, 3)
    n = 400_000
    s = np.where(rng.random(n) < 0.5, 1, -1)
    t = np.where(rng.random(n) < 0.3, -s, s)
    x = s[:, None] * mean + rng.multivariate_normal(np.zeros(3), cov, n)
    kept = t * (x @ v) >= 0.4
    moments = pruned_gaussian_moments(mean, cov, v, 0.4, noise_rate=0.3)
    assert abs(kept.mean() - moments.keep_rate) < 4.5 * np.sqrt(0.25 / n)
    z = (t[:, None] * x)[kept]
    np.testing.assert_array_less(
        np.abs(z.mean(0) - moments.cross_moment), 4.5 * z.std(0) / np.sqrt(len(z))
    )
    second = z[:, :, None] * z[:, None, :]
    bound = 4.5 * second.std(0) / np.sqrt(len(z))
    assert (np.abs(second.mean(0) - moments.second_moment) < bound).all()
    everything = pruned_gaussian_moments(mean, cov, v, -np.inf, noise_rate=0.3)
    np.testing.assert_allclose(everything[:3], 1.0)
    np.testing.assert_allclose(everything.cross_moment, 0.4 * mean, atol=1e-12)


def test_closed_form_against_mpmath():
    mpmath.mp.dps = 50
    rng = np.random.default_rng(1)
    for _ in range(20):
        m, p, mu = rng.integers(20, 900), rng.integers(5, 400), rng.uniform(0.1, 3)
        gamma, eps, phi, rho = 10 ** rng.uniform(-3, 2), *rng.random(3)
        got = synthetic_only_accuracy(
            m, p, mu, alpha=gamma, noise_rate=eps, keep_correct=phi, keep_incorrect=rho
        )
        kept = mpmath.mpf(phi) * (1 - mpmath.mpf(eps)) + mpmath.mpf(rho) * eps
        theta = (mpmath.mpf(phi) * (1 - mpmath.mpf(eps)) - mpmath.mpf(rho) * eps) / kept
        eta, g = mpmath.mpf(int(p)) / (kept * int(m)), mpmath.mpf(gamma) / kept
        delta = (eta - 1 - g + mpmath.sqrt((1 + g - eta) ** 2 + 4 * g * eta)) / (2 * g)
        kappa = 1 / (1 + delta)
        square = mpmath.mpf(mu) ** 2
        q = eta * kappa**2 / (g + kappa) ** 2
        x = kappa * square / (g + kappa + kappa * square)
        v = theta**2 * x**2 / square + q / (1 - q) * (1 - theta**2 * (2 * x - x**2 - x**2 / square))
        assert got == pytest.approx(float(mpmath.ncdf(theta * x / mpmath.sqrt(v))), rel=1e-10)
        options = {"noise_rate": eps, "keep_correct": phi, "keep_incorrect": rho}
        general = isotropic_mix(0, m, p, mu, alpha=gamma, **options)
        assert general.accuracy == pytest.approx(got, abs=1e-9)


TRANSITION = {
    0.0: (0.7329, 0.8243, 0.8395, 0.8412),
    0.4: (0.6362, 0.7749, 0.8326, 0.8404),
    0.6: (0.5613, 0.6665, 0.7977, 0.8361),
    0.7: (0.5142, 0.5428, 0.6267, 0.7685),
    0.76: (0.4822, 0.4464, 0.3466, 0.2104),
    0.9: (0.3949, 0.2588, 0.1744, 0.1603),
}


@pytest.mark.parametrize("noise", TRANSITION)
def test_transition_table(noise):
    ratios = np.array([1.0, 0.1, 0.01, 0.001])
    got = synthetic_only_accuracy(
        100 / ratios, 100, 1.0, alpha=1.0, noise_rate=noise, keep_correct=0.8, keep_incorrect=0.3
    )
    np.testing.assert_allclose(got, TRANSITION[noise], atol=5.1e-5)


def test_transition_point_and_slope():
    critical = critical_noise_rate(0.8, 0.3)
    assert critical == pytest.approx(8 / 11)
    keep = {"keep_correct": 0.8, "keep_incorrect": 0.3}
    for ratio, expected in ((1.0, -0.531386), (0.1, -1.61344), (0.01, -5.09568)):
        slope = transition_slope(ratio, 1.0, alpha=1.0, **keep)
        assert slope == pytest.approx(expected, abs=1e-5)
        low, high = synthetic_only_accuracy(
            100 / ratio,
            100,
            1.0,
            alpha=1.0,
            noise_rate=critical + np.array([-1, 1]) * 1e-5,
            **keep,
        )
        assert (high - low) / 2e-5 == pytest.approx(slope, rel=1e-5)
    far = infinite_sample_accuracy([0.2, critical, 0.9], 1.0, 0.8, 0.3)
    np.testing.assert_allclose(far, [norm.cdf(1), 0.5, norm.cdf(-1)], atol=1e-12)
    near = synthetic_only_accuracy(1e9, 10, 1.0, alpha=1.0, noise_rate=0.2, **keep)
    assert near == pytest.approx(norm.cdf(1), abs=1e-6)


def test_averaging_limit():
    for eps, size in ((0.1, 0.0), (0.3, 375.0), (0.4, 4500.0)):
        assert break_even_size(300, eps) == pytest.approx(size)
    kept, error = 375.0, 0.3
    theta = 1 - 2 * error
    assert (300 + theta * kept) ** 2 / (300 + kept) == pytest.approx(300)
    mean = np.eye(P)[0]
    shifted = 0.6 * mean + 0.8 * np.eye(P)[1]
    for m, weight, accuracy in ((100, 0.3984, 0.7835), (1000, 0.1575, 0.7904)):
        best = optimal_averaging_weights([300, m], [mean, shifted], [0.0, 0.1], mean)
        assert best.weights[1] == pytest.approx(weight, abs=6e-5)
        assert best.accuracy == pytest.approx(accuracy, abs=6e-5)
        law = isotropic_mix(
            300,
            m,
            P,
            1.0,
            alpha=np.inf,
            noise_rate=0.1,
            weight=best.weights[1],
            mean_scale=0.6,
            mean_orthogonal=0.8,
        )
        assert law.accuracy == pytest.approx(best.accuracy, rel=1e-9)
    right = optimal_averaging_weights([300, 600], [mean, mean], [0.0, 0.2], mean)
    worth = 300 + 0.36 * 600
    assert right.weights[1] == pytest.approx(0.6)
    assert right.accuracy == pytest.approx(norm.cdf(1 / np.sqrt(1 + P / worth)))
    limit = isotropic_mix(300, 600, P, 1.0, alpha=1e7, noise_rate=0.1, weight=0.7)
    ends = isotropic_mix(300, 600, P, 1.0, alpha=np.inf, noise_rate=0.1, weight=0.7)
    assert limit.accuracy == pytest.approx(ends.accuracy, abs=1e-6)


def test_verifier_value():
    assert verifier_value(0.2, 1, 1) == pytest.approx(0.36)
    assert verifier_value(0.2, 0.5, 0.5) == pytest.approx(0.18)
    assert verifier_value(0.2, 1, 0) == pytest.approx(0.8)
    assert verifier_value(0.2, 0, 0) == 0


@pytest.mark.parametrize(
    ("gamma", "error", "weight", "accuracy"),
    [
        (0.1, 0.1, 0.4379, 0.77769),
        (0.1, 0.3, 0.1197, 0.75075),
        (1.0, 0.1, 0.4925, 0.80117),
        (1.0, 0.3, 0.1731, 0.78161),
        (100.0, 0.1, 0.7923, 0.81037),
        (100.0, 0.3, 0.3937, 0.79233),
    ],
)
def test_best_weight_at_finite_penalties(gamma, error, weight, accuracy):
    options = {"alpha": gamma, "noise_rate": error}
    at = isotropic_mix(300, 600, P, 1.0, weight=weight + np.array([-0.02, 0, 0.02]), **options)
    assert at.accuracy[1] == pytest.approx(accuracy, abs=1.1e-5)
    assert at.accuracy.argmax() == 1


def test_number_of_rows_has_an_optimum_inside():
    sizes = np.array([20.0, 77.0, 300.0, 1e5])
    law = isotropic_mix(
        300,
        sizes,
        P,
        1.0,
        alpha=1.0,
        noise_rate=0.2,
        keep_correct=0.9,
        keep_incorrect=0.2,
        mean_scale=0.6,
        mean_orthogonal=0.8,
    )
    assert law.accuracy.argmax() == 1


def test_routes_agree():
    rng = np.random.default_rng(3)
    p = 40
    mean, other = rng.standard_normal((2, p)) / 4
    groups = [(60, mean, 1.0), (90, other, 0.5)]
    forms = [
        lambda c: c,
        lambda c: np.full(p, c),
        lambda c: c * np.eye(p),
    ]
    laws = []
    for form in forms:
        parts = [MixtureGroup(n, m, form(c), 0.7, 0.1) for n, m, c in groups]
        laws.append(mixture_ridge(parts, 0.2, 200, mean, form(1.0)))
    np.testing.assert_allclose(laws[0], laws[1], rtol=1e-12)
    np.testing.assert_allclose(laws[0], laws[2], rtol=1e-9)
    gram = np.array([[mean @ mean, mean @ other], [mean @ other, other @ other]])
    scalar = proportional_mix(
        [60, 90], [0.7, 0.7], 0.2, 200, [1.0], [p], [1.0, 0.5], gram[None], [0.8, 0.8]
    )
    np.testing.assert_allclose(scalar[:2], laws[0][:2], rtol=1e-9)


def test_spectrum_of_several_bins():
    rng = np.random.default_rng(4)
    spectrum = np.array([3.0, 1.0, 0.2])
    counts = np.array([4, 10, 26])
    diagonal = np.repeat(spectrum, counts)
    means = rng.standard_normal((2, 40)) / 3
    bins = np.repeat(np.arange(3), counts)
    grams = np.stack([means[:, bins == b] @ means[:, bins == b].T for b in range(3)])
    groups = [
        MixtureGroup(70, means[0], diagonal),
        MixtureGroup(50, means[1], 0.6 * diagonal, 0.5, 0.2),
    ]
    dense = mixture_ridge(groups, 0.1, 150, means[0], diagonal)
    law = proportional_mix(
        [70, 50], [1, 0.5], 0.1, 150, spectrum, counts, [1, 0.6], grams, [1, 0.6]
    )
    np.testing.assert_allclose(law[:3], dense[:3], rtol=1e-9)


def simulate(n, m, p, mu, eps, phi, rho, weight, gamma, beta, orth, variance, rng):
    y = rng.choice([-1, 1], n)
    s = rng.choice([-1, 1], m)
    X, Xs = rng.standard_normal((n, p)), np.sqrt(variance) * rng.standard_normal((m, p))
    X[:, 0] += mu * y
    Xs[:, 0] += beta * mu * s
    Xs[:, 1] += orth * s
    t = np.where(rng.random(m) < eps, -s, s)
    kept = rng.random(m) < np.where(t == s, phi, rho)
    Xs, t = Xs[kept], t[kept]
    gram = X.T @ X + weight * Xs.T @ Xs + (n + m) * gamma * np.eye(p)
    w = np.linalg.solve(gram, X.T @ y + weight * Xs.T @ t)
    return mu * w[0], w @ w


@pytest.mark.parametrize("scale", [1, 2])
def test_simulation_at_new_points(scale):
    rng = np.random.default_rng(10)
    cases = [
        (60, 150, 50, 1.3, 0.25, 0.9, 0.4, 0.6, 0.2, 0.9, 0.4, 1.2),
        (80, 60, 70, 1.8, 0.1, 0.7, 0.7, 0.3, 0.05, 1.1, 0.0, 0.7),
    ]
    for case in cases:
        n, m, p, *rest = case
        sizes = (scale * n, scale * m, scale * p)
        draws = np.array([simulate(*sizes, *rest, rng) for _ in range(300 // scale)])
        mu, eps, phi, rho, weight, gamma, beta, orth, variance = rest
        law = isotropic_mix(
            *sizes,
            mu,
            alpha=gamma,
            noise_rate=eps,
            keep_correct=phi,
            keep_incorrect=rho,
            weight=weight,
            mean_scale=beta,
            mean_orthogonal=orth,
            synthetic_variance=variance,
        )
        error = draws.std(0) / np.sqrt(len(draws))
        bias = 0.5 * np.array([law.mean, law.variance]) / (scale * 10)
        assert (np.abs(draws.mean(0) - law[:2]) < 4 * error + bias).all()


def test_fixed_rows_condition_the_law():
    rng = np.random.default_rng(5)
    n, m, p, gamma = 60, 150, 40, 0.3
    mean = 1.2 * np.eye(p)[0]
    y = rng.choice([-1, 1], n)
    X = rng.standard_normal((n, p)) + y[:, None] * mean
    total = n + m
    group = [MixtureGroup(m, mean, 0.8, 0.5, 0.1)]
    law = mixture_ridge(group, gamma, total, mean, penalty=X.T @ X / total, offset=X.T @ y / total)
    scores = []
    for _ in range(400):
        s = rng.choice([-1, 1], m)
        Z = np.sqrt(0.8) * rng.standard_normal((m, p)) + s[:, None] * mean
        t = np.where(rng.random(m) < 0.1, -s, s)
        gram = X.T @ X + 0.5 * Z.T @ Z + total * gamma * np.eye(p)
        w = np.linalg.solve(gram, X.T @ y + 0.5 * Z.T @ t)
        scores.append((mean @ w, w @ w))
    scores = np.array(scores)
    error = scores.std(0) / np.sqrt(len(scores))
    assert (np.abs(scores.mean(0) - law[:2]) < 4 * error + 0.5 / m).all()


def class_groups(means, n, noise, weight=1.0, covariance=1.0):
    size = len(means)
    flips = noise / (size - 1) * (1 - np.eye(size)) + (1 - noise) * np.eye(size)
    return [
        MixtureGroup(
            n / size,
            means[k],
            covariance,
            weight,
            target_mean=flips[k],
            target_moment=np.diag(flips[k]),
        )
        for k in range(size)
    ]


def test_three_classes_by_simulation():
    rng = np.random.default_rng(6)
    p, n, m, gamma, weight = 60, 120, 240, 0.2, 0.7
    means = 2.0 * np.eye(p)[:3]
    shifted = means + 0.3 * np.eye(p)[3:6]
    groups = class_groups(means, n, 0.0) + class_groups(shifted, m, 0.2, weight)
    law = mixture_ridge(groups, gamma, n + m, means)
    scores = []
    for _ in range(200):
        y, s = rng.integers(3, size=n), rng.integers(3, size=m)
        X = means[y] + rng.standard_normal((n, p))
        Z = shifted[s] + rng.standard_normal((m, p))
        t = np.where(rng.random(m) < 0.2, (s + rng.integers(1, 3, m)) % 3, s)
        gram = X.T @ X + weight * Z.T @ Z + (n + m) * gamma * np.eye(p)
        W = np.linalg.solve(gram, X.T @ np.eye(3)[y] + weight * Z.T @ np.eye(3)[t])
        test = rng.integers(3, size=500)
        fresh = means[test] + rng.standard_normal((500, p))
        scores.append(((fresh @ W).argmax(1) == test).mean())
    error = np.std(scores) / np.sqrt(len(scores))
    assert abs(np.mean(scores) - law.accuracy) < 4 * error + 0.5 / p
    assert law.mean.shape == (3, 3) and law.variance.shape == (3, 3, 3)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_simplex_reduces_to_two_classes(n_classes):
    p, size, noise = 60, 2.2, 0.15
    means = np.zeros((n_classes, p))
    means[:, :n_classes] = size * (np.eye(n_classes) - 1.0 / n_classes)
    groups = class_groups(means, 90, 0.0) + class_groups(means, 200, noise, 0.6)
    exact = mixture_ridge(groups, 0.1, 290, means)
    scalar = isotropic_mix(
        90,
        200,
        p,
        size / np.sqrt(n_classes),
        alpha=0.1,
        noise_rate=noise * n_classes / (n_classes - 1) / 2,
        weight=0.6,
    )
    ratio = scalar.mean / np.sqrt(scalar.variance)
    # The common direction of one-hot targets without intercept leaves a difference of order 1/p.
    assert simplex_accuracy(ratio, n_classes) == pytest.approx(exact.accuracy, abs=2e-3)


def test_simplex_accuracy():
    ratios = np.linspace(-3, 3, 7)
    np.testing.assert_allclose(simplex_accuracy(ratios, 2), norm.cdf(ratios))
    assert simplex_accuracy(0.0, 1000) == pytest.approx(1e-3, rel=1e-9)
    mpmath.mp.dps = 30
    for ratio, k in ((0.7, 3), (-0.4, 10), (1.5, 200)):
        shift = mpmath.sqrt(k) * ratio
        exact = mpmath.quad(
            lambda z: mpmath.npdf(z - shift) * mpmath.ncdf(z) ** (k - 1),  # noqa: B023
            mpmath.linspace(shift - 12, shift + 12, 25),
        )
        assert simplex_accuracy(ratio, k) == pytest.approx(float(exact), abs=1e-10)


def test_edges():
    assert isotropic_mix(0, 100, 50, 1.0, alpha=1.0, keep_correct=0.0).accuracy == 0.5
    assert synthetic_only_accuracy(100, 50, 1.0, alpha=1.0, keep_correct=0.0) == 0.5
    assert np.isnan(critical_noise_rate(0.0, 0.0))
    plain = isotropic_mix(100, 0, 50, 1.0, alpha=1.0)
    ignored = isotropic_mix(100, 300, 50, 1.0, alpha=0.25, weight=0.0)
    np.testing.assert_allclose(plain, ignored, rtol=1e-10)
    least = isotropic_mix(400, 0, 50, 1.0, alpha=0.0)
    np.testing.assert_allclose(least, isotropic_mix(400, 0, 50, 1.0, alpha=1e-10), rtol=1e-6)
    shape = isotropic_mix([100, 200], [[0], [10], [20]], 50, 1.0, alpha=1.0).accuracy.shape
    assert shape == (3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: isotropic_mix(10, 10, 50, 1.0, alpha=0.0), "alpha must be positive"),
        (lambda: isotropic_mix(10, 10, 50, 1.0, alpha=-1.0), "alpha"),
        (lambda: isotropic_mix(10, 10, 50, 1.0, alpha=1, noise_rate=1.2), "noise_rate"),
        (lambda: isotropic_mix(-1, 10, 50, 1.0, alpha=1.0), "n_real"),
        (lambda: isotropic_mix(0, 0, 50, 1.0, alpha=1.0), "both 0"),
        (lambda: isotropic_mix(0, 0, 50, 1.0, alpha=np.inf), "both 0"),
        (lambda: mixture_ridge([MixtureGroup(9, np.ones(3))], 1, 9, np.ones((1, 3))), "one class"),
        (lambda: mixture_ridge([], 1.0, 10, np.ones(3)), "groups is empty"),
        (lambda: mixture_ridge([MixtureGroup(5, np.ones(2))], 1.0, 10, np.ones(3)), "mean must"),
        (lambda: mixture_ridge([MixtureGroup(2, np.ones(3))], 0.0, 10, np.ones(3)), "alpha"),
        (lambda: mixture_ridge([MixtureGroup(0, np.ones(3))], 1.0, 10, np.ones(3)), "no row"),
        (lambda: pruned_gaussian_moments(np.ones(2), 1.0, np.zeros(2), 0.0), "direction"),
        (lambda: estimated_generator(10, 10, 10, 5, 1.0, alpha=0.0), "alpha"),
        (lambda: transition_slope(0.1, 1.0, alpha=1.0, keep_incorrect=0.0), "keep_incorrect"),
        (lambda: break_even_size(-1, 0.2), "n_real"),
        (lambda: optimal_averaging_weights([1, 2], np.ones((2, 3)), [0.1], np.ones(3)), "shapes"),
        (
            lambda: optimal_averaging_weights([1, 2], np.ones((2, 3)), [0, 0.1], np.ones(3), 0.0),
            "without variance",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("alpha", [1e15, 1e200, 1e300])
def test_huge_penalties_have_the_accuracy_of_the_limit(alpha):
    noisy = {"noise_rate": 0.4, "keep_correct": 0.8, "keep_incorrect": 0.3}
    only = (synthetic_only_accuracy(1000, 100, 1.0, alpha=a, **noisy) for a in (alpha, np.inf))
    np.testing.assert_allclose(*only, rtol=1e-12)
    law, limit = (isotropic_mix(300, 600, P, 1.0, alpha=a, **noisy) for a in (alpha, np.inf))
    np.testing.assert_allclose(law.accuracy, limit.accuracy, rtol=1e-12)
    np.testing.assert_allclose(law.mean * alpha, limit.mean, rtol=1e-12)
    mean = np.eye(P)[0]
    kept = 600 * (0.8 * 0.6 + 0.3 * 0.4)
    groups = [MixtureGroup(300, mean), MixtureGroup(kept, mean, noise_rate=0.3 * 0.4 * 600 / kept)]
    for covariance in (1.0, np.eye(P)):
        ridge = mixture_ridge(groups, alpha, 900, mean, covariance)
        np.testing.assert_allclose(ridge.accuracy, limit.accuracy, rtol=1e-10)
        assert ridge.reliable and ridge.risk == pytest.approx(1.0)
    slopes = [transition_slope(0.1, 1.0, alpha=a) for a in (alpha, 1e14)]
    np.testing.assert_allclose(*slopes, rtol=1e-10)


@pytest.mark.parametrize(
    ("means", "noise"),
    [((1.0, 1.0), (0.5, 0.1)), ((0.0, 1.0), (0.0, 0.1)), ((0.0, 0.0), (0.0, 0.1))],
)
def test_groups_that_teach_nothing_have_no_weight(means, noise):
    target = np.eye(20)[0]
    rows = np.outer(means, target)
    best = optimal_averaging_weights([300, 600], rows, noise, target, [1.0, 1.0])
    useful = means[1] > 0
    np.testing.assert_array_equal(best.weights, [0.0, float(useful)])
    alone = optimal_averaging_weights([600], rows[1:], noise[1:], target)
    np.testing.assert_allclose(best[1:], alone[1:], rtol=1e-12)
    still = optimal_averaging_weights([300, 600], rows * [[0], [1]], noise, target, [0.0, 1.0])
    np.testing.assert_allclose(still[1:], alone[1:], rtol=1e-12)


@pytest.mark.parametrize("means", [np.eye(60)[0], np.eye(60)[:3]])
def test_nothing_is_predicted_at_interpolation(means):
    groups = [MixtureGroup(60 / len(np.atleast_2d(means)), m) for m in np.atleast_2d(means)]
    if means.ndim == 2:
        groups = [g._replace(target_mean=t) for g, t in zip(groups, np.eye(3), strict=True)]
    near, far = (mixture_ridge(groups, alpha, 60, means) for alpha in (1e-14, 1.0))
    assert far.reliable and not near.reliable
    for value, expected in zip(near[:4], far[:4], strict=True):
        assert np.isnan(value).all() and np.shape(value) == np.shape(expected)
