"""The general ridge: fixed point, closed forms it must contain, shapes, recodings, argmax."""

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory._covariances import DenseCovariances, DiagonalCovariances
from skrmt.theory._fixed_point import isotropic_scale, resolvent_traces
from skrmt.theory.noisy_labels import (
    best_threshold,
    binary_accuracy,
    gaussian_mixture_ridge,
    intercept_ridge,
    lpc,
    optimal_alpha,
)
from skrmt.theory.noisy_labels._decision import argmax_accuracy

NOISE = np.array([[0.8, 0.2], [0.3, 0.7]])
PRIORS = np.array([0.35, 0.65])
ALPHAS = [1e-6, 1e-2, 1.0, 1e3, 1e9]


def random_covariance(size, rng):
    factor = rng.standard_normal((size, 2 * size))
    return factor @ factor.T / (2 * size)


def problem(p=30, seed=0):
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((2, p)) / np.sqrt(p) * 1.5
    return means, np.stack([random_covariance(p, rng), 2 * random_covariance(p, rng)])


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("n_samples", [20, 30, 90])
def test_fixed_point_residual(alpha, n_samples):
    _, matrices = problem()
    delta = resolvent_traces(DenseCovariances(matrices), PRIORS, alpha, n_samples)
    mixture = np.tensordot(PRIORS / (1 + delta), matrices, axes=1) + alpha * np.eye(30)
    again = np.trace(matrices @ np.linalg.inv(mixture), axis1=1, axis2=2) / n_samples
    # At p = n and alpha -> 0 the inverse itself is known to cond * eps only.
    slack = 1e-12 + 8 * np.finfo(float).eps * np.linalg.cond(mixture)
    np.testing.assert_allclose(again, delta, rtol=slack)


@pytest.mark.parametrize("alpha", [1e-5, 0.3, 50.0])
def test_fixed_point_value_agrees_with_mpmath(alpha):
    rng = np.random.default_rng(1)
    spectra = rng.uniform(0.1, 4.0, (2, 5))
    got = resolvent_traces(DiagonalCovariances(spectra), PRIORS, alpha, 8)

    def equation(index, deltas):
        total = mp.mpf(0)
        for column in spectra.T:
            pole = mp.mpf(alpha)
            for prior, value, delta in zip(PRIORS, column, deltas, strict=True):
                pole += mp.mpf(prior) * mp.mpf(value) / (1 + delta)
            total += mp.mpf(column[index]) / pole
        return total / 8 - deltas[index]

    with mp.workdps(40):
        root = mp.findroot(
            [lambda a, b: equation(0, (a, b)), lambda a, b: equation(1, (a, b))], list(got)
        )
    np.testing.assert_allclose(got, [float(x) for x in root], rtol=1e-12)


@pytest.mark.parametrize("eta", [0.1, 1.0, 3.0])
def test_fixed_point_of_the_identity_is_the_closed_form(eta):
    for alpha in ALPHAS:
        identity = DiagonalCovariances(np.ones((2, 30)))
        delta = resolvent_traces(identity, PRIORS, alpha, 30 / eta)
        scale, gap = isotropic_scale(np.array(eta), np.array(alpha))
        np.testing.assert_allclose(1 + alpha * (1 + delta), scale, rtol=1e-12)
        assert gap == pytest.approx(1 - eta / scale**2, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.01, 1.0, np.inf])
@pytest.mark.parametrize("shift", [0.0, 1.4])
def test_two_isotropic_classes_without_intercept_are_lpc(alpha, shift):
    mean = np.zeros(40)
    mean[3] = 1.6
    result = gaussian_mixture_ridge(
        [-mean, mean],
        1.0,
        PRIORS,
        NOISE,
        alpha,
        100,
        targets=[shift - 1, shift + 1],
        fit_intercept=False,
    )
    want = lpc(0.4, alpha, 1.6, prior=0.65, noise_rates=(0.2, 0.3), shift=shift)
    np.testing.assert_allclose(result.score_means, [-want.mean, want.mean], rtol=1e-11)
    np.testing.assert_allclose(result.score_covariances, want.variance, rtol=1e-11)
    assert result.intercept == 0
    assert result.accuracy == pytest.approx(want.accuracy, rel=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 1.0, np.inf])
def test_two_isotropic_classes_with_intercept_are_intercept_ridge_anywhere(alpha):
    mean = np.zeros(40)
    mean[3] = 1.6
    want = intercept_ridge(0.4, alpha, 1.6, prior=0.65, noise_rates=(0.2, 0.3))
    for centre in (0.0, 5.0):
        result = gaussian_mixture_ridge(
            [centre - mean, centre + mean], 1.0, PRIORS, NOISE, alpha, 100
        )
        np.testing.assert_allclose(result.score_means, want.score_means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(result.score_covariances, want.variance, rtol=1e-9)
        cut = best_threshold(result.score_means, result.score_covariances, 0.65)
        got = binary_accuracy(result.score_means, result.score_covariances, 0.65, cut)
        assert got == pytest.approx(want.accuracy, rel=1e-9)


@pytest.mark.parametrize("alpha", [0.02, 0.5, 20.0])
def test_common_covariance_with_intercept_has_a_closed_form(alpha):
    """The closed form of section 6, written out, is the naive twin."""
    rng = np.random.default_rng(2)
    p, n = 50, 80
    covariance = random_covariance(p, rng)
    mean, centre = rng.standard_normal((2, p)) / np.sqrt(p)
    pi, em, ep = 0.65, 0.2, 0.3
    result = gaussian_mixture_ridge(
        [centre - mean, centre + mean], covariance, PRIORS, NOISE, alpha, n
    )
    delta = resolvent_traces(DenseCovariances(covariance[None]), np.ones(1), alpha, n)[0]
    resolvent = np.linalg.inv(covariance / (1 + delta) + alpha * np.eye(p))
    smooth = covariance @ resolvent
    kappa = mean @ resolvent @ mean
    psi = mean @ resolvent @ smooth @ mean / (1 + delta) ** 2
    g = np.sum(smooth * smooth.T) / n / (1 + delta) ** 2
    product = pi * (1 - pi)
    k = 2 * (1 - ep - em) * product / (1 + 4 * product * kappa / (1 + delta))
    power = 4 * (pi * ep * (1 - ep) + (1 - pi) * em * (1 - em)) + k**2 / product
    low, high = result.score_means
    assert high - low == pytest.approx(4 * kappa * k / (1 + delta), rel=1e-11)
    assert pi * high + (1 - pi) * low == pytest.approx(
        pi * (1 - 2 * ep) - (1 - pi) * (1 - 2 * em), rel=1e-11
    )
    variance = (4 * k**2 * psi + g * power) / (1 - g)
    np.testing.assert_allclose(result.score_covariances, variance, rtol=1e-11)


def test_every_shape_of_covariances_gives_the_same_numbers():
    rng = np.random.default_rng(3)
    means = rng.standard_normal((2, 6))
    diagonal = rng.uniform(0.5, 2, 6)
    full = np.stack([np.diag(diagonal), 3 * np.diag(diagonal)])
    groups = [
        (2.0, [2.0, 2.0], np.full(6, 2.0), np.full((2, 6), 2.0), 2 * np.eye(6)),
        (diagonal, np.diag(diagonal), full[[0, 0]]),
        (full, full[:, range(6), range(6)]),
        ([1.0, 3.0], np.stack([np.eye(6), 3 * np.eye(6)])),
    ]
    for group in groups:
        results = [
            gaussian_mixture_ridge(means, value, PRIORS, NOISE, alpha, 9)
            for value in group
            for alpha in (0.4,)
        ]
        for result in results[1:]:
            for got, want in zip(result, results[0], strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-11)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("alpha", [0.1, np.inf])
def test_scores_are_linear_in_the_targets(fit_intercept, alpha):
    """Any recoding of the labels is a linear map of the one-hot scores."""
    means, covariances = problem(20, 4)
    args = (means, covariances, PRIORS, NOISE, alpha, 50)
    hot = gaussian_mixture_ridge(*args, targets=np.eye(2), fit_intercept=fit_intercept)
    codes = np.array([-0.4, 1.7])
    one = gaussian_mixture_ridge(*args, targets=codes, fit_intercept=fit_intercept)
    np.testing.assert_allclose(hot.score_means @ codes, one.score_means, rtol=1e-10)
    variances = np.einsum("kqr,q,r->k", hot.score_covariances, codes, codes)
    np.testing.assert_allclose(variances, one.score_covariances, rtol=1e-10)
    assert hot.intercept @ codes == pytest.approx(one.intercept, rel=1e-9, abs=1e-12)


def test_largest_of_two_scores_is_the_sign_of_their_difference():
    means, covariances = problem(20, 5)
    args = (means, covariances, PRIORS, NOISE, 0.1, 50)
    hot = gaussian_mixture_ridge(*args, targets=np.eye(2))
    assert hot.accuracy == pytest.approx(gaussian_mixture_ridge(*args).accuracy, rel=1e-10)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_infinite_alpha_is_the_limit(fit_intercept):
    means, covariances = problem(20, 6)
    args = (means, covariances, PRIORS, NOISE)
    limit = gaussian_mixture_ridge(*args, np.inf, 50, fit_intercept=fit_intercept)
    average = PRIORS @ NOISE @ [-1, 1] if fit_intercept else 0.0
    errors = []
    for alpha in (1e3, 1e4, 1e5):
        near = gaussian_mixture_ridge(*args, alpha, 50, fit_intercept=fit_intercept)
        gap = average + alpha * (near.score_means - average) - limit.score_means
        ratio = alpha**2 * near.score_covariances / limit.score_covariances - 1
        start = average + alpha * (near.intercept - average) - limit.intercept
        errors.append(np.max(np.abs([*gap, *ratio, start if fit_intercept else 0.0])))
    # An error of order 1 / alpha: two decades of it.
    assert errors[0] < 0.05
    assert errors[2] == pytest.approx(errors[0] / 100, rel=0.05)


def test_alpha_zero_is_the_limit_for_fewer_features_than_samples():
    means, covariances = problem(20, 7)
    args = (means, covariances, PRIORS, NOISE)
    zero = gaussian_mixture_ridge(*args, 0, 50)
    near = gaussian_mixture_ridge(*args, 1e-10, 50)
    for got, want in zip(zero, near, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-7)


def test_rotation_shift_and_scale():
    means, covariances = problem(15, 8)
    base = gaussian_mixture_ridge(means, covariances, PRIORS, NOISE, 0.3, 40)
    rng = np.random.default_rng(9)
    turn = np.linalg.qr(rng.standard_normal((15, 15)))[0]
    moved = gaussian_mixture_ridge(
        3 * (means @ turn + rng.standard_normal(15)),
        9 * turn.T @ covariances @ turn,
        PRIORS,
        NOISE,
        9 * 0.3,
        40,
    )
    np.testing.assert_allclose(moved.score_means, base.score_means, rtol=1e-9)
    np.testing.assert_allclose(moved.score_covariances, base.score_covariances, rtol=1e-9)


def test_more_observed_labels_than_classes_and_undecided_targets():
    means, _ = problem(20, 10)
    noise = [[0.7, 0.1, 0.2], [0.1, 0.6, 0.3]]
    abstain = gaussian_mixture_ridge(means, 1.0, PRIORS, noise, 0.1, 50, targets=[-1, 1, 0])
    assert abstain.score_means.shape == (2,)
    assert 0.5 < abstain.accuracy < 1
    undecided = gaussian_mixture_ridge(means, 1.0, PRIORS, noise, 0.1, 50)
    assert undecided.score_means.shape == (2, 3)
    assert np.isnan(undecided.accuracy)


@pytest.mark.parametrize("n_classes", [3, 4, 10])
def test_argmax_accuracy_against_draws(n_classes):
    rng = np.random.default_rng(n_classes)
    means = rng.standard_normal((n_classes, n_classes)) + 1.5 * np.eye(n_classes)
    factors = rng.standard_normal((n_classes, n_classes, n_classes)) / np.sqrt(n_classes)
    # One-hot scores with an intercept sum to 1: the covariance has rank K - 1.
    centring = np.eye(n_classes) - 1 / n_classes
    covariances = centring @ factors @ factors.transpose(0, 2, 1) @ centring
    priors = rng.dirichlet(np.ones(n_classes) * 5)
    draws, hits, error = 200_000, 0.0, 0.0
    for a in range(n_classes):
        scores = means[a] + rng.standard_normal((draws, n_classes)) @ (centring @ factors[a]).T
        rate = np.mean(np.argmax(scores, axis=1) == a)
        hits += priors[a] * rate
        error += priors[a] ** 2 * rate * (1 - rate) / draws
    got = argmax_accuracy(means, covariances, priors)
    assert abs(got - hits) <= 4 * np.sqrt(error)
    assert got == argmax_accuracy(means, covariances, priors)


def test_argmax_accuracy_of_independent_scores_has_a_one_dimensional_integral():
    nodes, weights = np.polynomial.hermite_e.hermegauss(120)
    weights = weights / weights.sum()
    for n_classes, tolerance in [(3, 1e-7), (10, 1e-4), (40, 1e-3)]:
        means = 1.3 * np.eye(n_classes)
        covariances = np.stack([np.eye(n_classes)] * n_classes)
        got = argmax_accuracy(means, covariances, np.full(n_classes, 1 / n_classes))
        cdf = np.array([float(mp.ncdf(x + 1.3)) for x in nodes])
        assert got == pytest.approx(weights @ cdf ** (n_classes - 1), abs=tolerance)


def test_ties_between_scores_are_split():
    means, covariances = np.zeros((3, 3)), np.zeros((3, 3, 3))
    covariances[:] = np.ones((3, 3))
    assert argmax_accuracy(means, covariances, np.full(3, 1 / 3)) == pytest.approx(0.25)


def test_optimal_alpha_picks_the_best_candidate_and_the_largest_among_equals():
    means, covariances = problem(20, 11)
    args = (means, covariances, PRIORS, NOISE, 50)
    alphas = [10.0, 0.1, 1e-3, np.inf]
    best = optimal_alpha(*args, alphas=alphas)

    def accuracy(alpha):
        result = gaussian_mixture_ridge(*args[:4], alpha, 50)
        scores = result.score_means, result.score_covariances, PRIORS[1]
        return binary_accuracy(*scores, best_threshold(*scores))

    assert accuracy(best) == max(accuracy(alpha) for alpha in alphas)
    free = optimal_alpha(*args)
    assert accuracy(free) >= max(accuracy(alpha) for alpha in np.logspace(-4, 3, 60)) - 1e-6
    assert optimal_alpha() == np.inf
    blank = np.zeros((2, 5))
    assert optimal_alpha(blank, n_samples=20) == np.inf


def test_optimal_alpha_for_three_classes():
    rng = np.random.default_rng(12)
    spectrum = np.geomspace(0.05, 5, 40)
    means = rng.standard_normal((3, 40)) * 0.25
    best = optimal_alpha(means, spectrum, n_samples=120)
    accuracy = [
        gaussian_mixture_ridge(means, spectrum, np.full(3, 1 / 3), np.eye(3), a, 120).accuracy
        for a in (best, best / 3, best * 3)
    ]
    assert accuracy[0] > max(accuracy[1:])


@pytest.mark.parametrize("alpha", [1e8, 1e13, 1e15, 1e17, 1e30, 1e100, 1e200])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_huge_penalties_have_the_limit_at_infinity(alpha, fit_intercept):
    # The mean target is 0 but for rounding: 0.7 x 0.3 = 0.3 x 0.7.
    mean, noise = np.full(200, 0.1), [[0.85, 0.15], [0.35, 0.65]]
    setting = ([-mean, 2.0 * mean], [1.0, 3.0], [0.3, 0.7], noise)
    near, far = (
        gaussian_mixture_ridge(*setting, a, 1000, fit_intercept=fit_intercept)
        for a in (alpha, np.inf)
    )
    assert near.accuracy == pytest.approx(far.accuracy, rel=1e-6)
    np.testing.assert_allclose(alpha * near.score_means, far.score_means, rtol=1e-6, atol=1e-9)
    if alpha < 1e100:
        scaled = alpha**2 * near.score_covariances
        np.testing.assert_allclose(scaled, far.score_covariances, rtol=1e-6)
