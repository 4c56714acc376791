"""Values of the noisy-label page, to the digits printed there."""

import numpy as np
import pytest

from skrmt.theory.noisy_labels import (
    amp_path,
    bayes_accuracy,
    gaussian_mixture_ridge,
    lpc,
    optimal_alpha,
    optimal_shift,
)

INF = np.inf
BEST = "best"

# n, p, alpha, |mu|, pi_+, eps_+, eps_-, d; m, v, accuracy.
ISOTROPIC = [
    ((1000, 200, 0.1, 1.5, 0.7, 0.4, 0.3, 0.0), (0.173503, 0.193544, 0.653350)),
    ((1000, 200, 1.0, 1.5, 0.7, 0.4, 0.3, BEST), (0.458095, 0.235451, 0.827434)),
    ((1000, 200, 1.0, 1.5, 0.7, 0.4, 0.3, 0.1), (0.154995, 0.055854, 0.744033)),
    ((600, 600, 0.5, 2.0, 2 / 3, 0.4, 0.3, BEST), (0.455556, 0.784990, 0.696435)),
    ((400, 800, 0.01, 2.0, 0.5, 0.2, 0.1, BEST), (0.465131, 0.640013, 0.719517)),
    ((400, 800, 10.0, 2.0, 0.5, 0.2, 0.1, BEST), (0.166228, 0.016625, 0.901338)),
    ((1000, 100, INF, 1.0, 0.3, 0.1, 0.35, BEST), (0.808009, 0.827614, 0.812779)),
    ((1000, 100, INF, 1.0, 0.3, 0.1, 0.35, 0.0), (0.450000, 0.302500, 0.793373)),
]

# n, p, alpha, rho_+, rho_-, scale_-, pi_+, eps_+, eps_-, d, intercept, shift;
# M_+, M_-, v_+, v_-, accuracy.
D1 = 47 / 30
GENERAL = [
    (
        (800, 200, 0.3, 0.5, 0.5, 1.0, 0.7, 0.4, 0.3, 0.0, False, 0.0),
        (0.174690, -0.174690, 0.131993, 0.131993, 0.684681),
    ),
    (
        (800, 200, 0.3, 0.5, 0.5, 1.0, 0.7, 0.4, 0.3, D1, False, 0.0),
        (0.595737, -0.595737, 0.503542, 0.503542, 0.799414),
    ),
    (
        (800, 200, 0.3, 0.5, 0.5, 1.0, 0.7, 0.4, 0.3, 0.0, True, 1.0),
        (0.133825, -0.245592, 0.133544, 0.133544, 0.674794),
    ),
    (
        (600, 300, 1.0, 0.7, 0.2, 1.6, 0.6, 0.3, 0.1, 0.0, True, 1.0),
        (0.196792, -0.435185, 0.095853, 0.174866, 0.782890),
    ),
    (
        (300, 450, 0.1, 0.7, 0.0, 0.5, 0.4, 0.2, 0.3, 0.0, True, 0.5),
        (0.410244, -0.300515, 0.888794, 0.546797, 0.661975),
    ),
]

# eta, |mu|, pi_+, eps_+, eps_-; naive at inf, best ridge, clean labels, Bayes accuracy, q.
BAYES = [
    ((0.5, 1.5, 0.5, 0.3, 0.2), (0.86245, 0.86302, 0.91258, 0.90700, 1.74904)),
    ((1.0, 1.6, 0.7, 0.4, 0.3), (0.73057, 0.83280, 0.91258, 0.90345, 1.69387)),
    ((2.0, 2.0, 0.5, 0.4, 0.4), (0.70689, 0.70689, 0.94876, 0.94317, 2.50265)),
    ((0.1, 1.0, 0.5, 0.2, 0.2), (0.81183, 0.81183, 0.82982, 0.82390, 0.86549)),
    ((0.2, 1.5, 0.7, 0.4, 0.3), (0.83790, 0.89774, 0.92471, 0.92275, 2.02719)),
]


def toeplitz(size, rho):
    lags = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    return np.where(lags == 0, 1.0, rho**lags)


def noise_matrix(eps_neg, eps_pos):
    return np.array([[1 - eps_neg, eps_neg], [eps_pos, 1 - eps_pos]])


def page_means(size, shift):
    j = np.arange(size)
    mean, centre = np.cos(1 + j), np.sin(2 + 3 * j)
    mean *= 1.7 / np.linalg.norm(mean)
    centre *= shift / np.linalg.norm(centre)
    return np.array([centre - mean, centre + mean])


@pytest.mark.parametrize(("point", "want"), ISOTROPIC)
def test_isotropic_table(point, want):
    n, p, alpha, norm, pi, ep, em, d = point
    shift = optimal_shift(pi, (em, ep)) if d == BEST else d
    result = lpc(p / n, alpha, norm, prior=pi, noise_rates=(em, ep), shift=shift)
    np.testing.assert_allclose(result[:3], want, atol=1e-6)


@pytest.mark.parametrize(("point", "want"), ISOTROPIC)
def test_isotropic_table_from_the_general_theory(point, want):
    n, p, alpha, norm, pi, ep, em, d = point
    shift = optimal_shift(pi, (em, ep)) if d == BEST else d
    mean = np.eye(p)[0] * norm
    result = gaussian_mixture_ridge(
        [-mean, mean],
        1.0,
        [1 - pi, pi],
        noise_matrix(em, ep),
        alpha,
        n,
        targets=[shift - 1, shift + 1],
        fit_intercept=False,
    )
    got = result.score_means[1], result.score_covariances[1], result.accuracy
    np.testing.assert_allclose(got, want, atol=1e-6)


@pytest.mark.parametrize(("point", "want"), GENERAL)
def test_general_table(point, want):
    n, p, alpha, rho_pos, rho_neg, scale, pi, ep, em, d, intercept, shift = point
    result = gaussian_mixture_ridge(
        page_means(p, shift),
        np.stack([scale * toeplitz(p, rho_neg), toeplitz(p, rho_pos)]),
        [1 - pi, pi],
        noise_matrix(em, ep),
        alpha,
        n,
        targets=[d - 1, d + 1],
        fit_intercept=intercept,
    )
    got = (*result.score_means[::-1], *result.score_covariances[::-1], result.accuracy)
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_multiclass_row():
    p, j = 150, np.arange(150)
    means = np.array([np.cos((a + 1) * (1 + j)) for a in range(3)])
    means *= 2 / np.linalg.norm(means, axis=1, keepdims=True)
    noise = [[0.5, 0.5, 0.0], [0.15, 0.7, 0.15], [0.15, 0.15, 0.7]]
    result = gaussian_mixture_ridge(means, 1.0, np.array([2, 3, 4]) / 9, noise, 0.5, 900)
    assert result.score_means.shape == (3, 3)
    assert result.score_covariances.shape == (3, 3, 3)
    assert result.accuracy == pytest.approx(0.667, abs=5e-4)
    assert means.shape[1] == p


@pytest.mark.parametrize(("point", "want"), BAYES)
def test_bayes_table(point, want):
    eta, norm, pi, ep, em = point
    noisy = {"prior": pi, "noise_rates": (em, ep)}
    naive = lpc(eta, INF, norm, **noisy).accuracy
    best = lpc(eta, INF, norm, **noisy, shift=optimal_shift(pi, (em, ep))).accuracy
    clean = lpc(eta, INF, norm, prior=pi).accuracy
    bayes = bayes_accuracy(eta, norm, pi, (em, ep))
    np.testing.assert_allclose((naive, best, clean, *bayes), want, atol=6e-6)


@pytest.mark.parametrize("point", [row[0] for row in BAYES])
def test_first_step_of_message_passing_is_the_best_ridge_and_the_last_is_bayes(point):
    eta, norm, pi, ep, em = point
    shift = optimal_shift(pi, (em, ep))
    best = lpc(eta, INF, norm, prior=pi, noise_rates=(em, ep), shift=shift).accuracy
    path = amp_path(eta, norm, pi, (em, ep), 200).accuracy
    assert path[0] == 0.5
    assert path[1] == pytest.approx(best, rel=1e-12)
    assert np.all(np.diff(path) >= -1e-15)
    assert path[-1] == pytest.approx(bayes_accuracy(eta, norm, pi, (em, ep)).accuracy, rel=1e-11)


def test_optimal_alpha_under_correlated_features():
    rng = np.random.default_rng(0)
    mean = rng.standard_normal(200)
    mean *= 1.7 / np.linalg.norm(mean)
    shape = ([-mean, mean], toeplitz(200, 0.9), [0.3, 0.7], noise_matrix(0.3, 0.4))
    best = {"targets": [D1 - 1, D1 + 1], "fit_intercept": False}
    alpha = optimal_alpha(*shape, 800, **best, threshold=0.0)
    assert 0.3 < alpha < 3.0
    top = gaussian_mixture_ridge(*shape, alpha, 800, **best).accuracy
    assert top > 0.96
    for other in (alpha / 1.2, alpha * 1.2, 1e3):
        assert gaussian_mixture_ridge(*shape, other, 800, **best).accuracy < top
    isotropic = optimal_alpha(shape[0], 1.0, *shape[2:], 800, **best, threshold=0.0)
    assert isotropic == INF
