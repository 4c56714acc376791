"""Closed forms of the noisy-label theory against mpmath, at random points and at edges."""

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory.noisy_labels import (
    best_threshold,
    binary_accuracy,
    intercept_ridge,
    label_quality,
    lpc,
    optimal_perturbation,
    optimal_shift,
    signal_from_eigenvalue,
    worst_shift,
)

RTOL = 1e-10
DIGITS = 50


def mp_moments(pi, eps_neg, eps_pos, d):
    """E[y t] and E[t^2] by the definitions of the page, t = lambda_+ or -lambda_-."""
    pi, em, ep, d = map(mp.mpf, (pi, eps_neg, eps_pos, d))
    plus, minus = 1 + d, 1 - d
    mean_pos = (1 - ep) * plus - ep * minus
    mean_neg = em * plus - (1 - em) * minus
    power = pi * ((1 - ep) * plus**2 + ep * minus**2)
    power += (1 - pi) * (em * plus**2 + (1 - em) * minus**2)
    return pi * mean_pos - (1 - pi) * mean_neg, power


def mp_lpc(eta, gamma, norm, pi, eps_neg, eps_pos, d):
    """Section 4 of the page as printed, with 50 digits left after its cancellations."""
    lost = 3 * int(np.log10(gamma)) if 1 < gamma < np.inf else 0
    with mp.workdps(DIGITS + lost):
        s, power = mp_moments(pi, eps_neg, eps_pos, d)
        eta, mu2 = mp.mpf(eta), mp.mpf(norm) ** 2
        if np.isinf(gamma):
            m, v = s * mu2, s**2 * mu2 + eta * power
        else:
            gamma = mp.mpf(gamma)
            root = mp.sqrt((eta - 1 - gamma) ** 2 + 4 * eta * gamma)
            delta = (eta - 1 - gamma + root) / (2 * gamma)
            u = 1 + gamma * (1 + delta)
            h = 1 - eta / u**2
            a = mu2 + u
            m = s * mu2 / a
            nu = (s**2 * mu2 / a * ((mu2 + 1) / a - 2 * (1 - h)) + (1 - h) * power) / h
            v = nu - m**2
        return [float(x) for x in (m, v, mp.ncdf(m / mp.sqrt(v)), v + m**2 + 1 - 2 * m)]


def random_points(n_points, seed):
    rng = np.random.default_rng(seed)
    eta = 10 ** rng.uniform(-3, 2, n_points)
    gamma = 10 ** rng.uniform(-6, 8, n_points)
    norm = 10 ** rng.uniform(-1, 1, n_points)
    pi = rng.uniform(0.02, 0.98, n_points)
    em = rng.uniform(0, 0.95, n_points)
    ep = rng.uniform(0, 1, n_points) * (1 - em) * 0.95
    return eta, gamma, norm, pi, em, ep, rng.uniform(-3, 3, n_points)


EDGES = [
    (1.0, 1e-8, 1.0, 0.5, 0.0, 0.0, 0.0),
    (1 + 1e-9, 1e-10, 2.0, 0.6, 0.1, 0.2, 0.3),
    (1.0, 1e14, 1.0, 0.3, 0.2, 0.1, -0.5),
    (0.5, np.inf, 1.5, 0.7, 0.3, 0.4, 1.5),
    (50.0, 1e-12, 3.0, 0.4, 0.3, 0.4, 0.0),
    (1e-6, 1e-12, 3.0, 0.4, 0.3, 0.4, 0.0),
    (2.0, 1e-3, 1e-6, 0.5, 0.49, 0.5, 0.0),
    (0.3, 0.7, 1e3, 1e-6, 0.0, 0.0, 0.0),
    (0.3, 1e100, 1.0, 0.5, 0.1, 0.1, 0.0),
]


def lpc_at(point):
    eta, gamma, norm, pi, em, ep, d = point
    return lpc(eta, gamma, norm, prior=pi, noise_rates=(em, ep), shift=d)


def test_lpc_agrees_with_mpmath_at_random_points():
    points = random_points(150, 0)
    result = lpc_at(points)
    for index, point in enumerate(zip(*points, strict=True)):
        got = [values[index] for values in result]
        np.testing.assert_allclose(got, mp_lpc(*point), rtol=RTOL, err_msg=str(point))


@pytest.mark.parametrize("point", EDGES)
def test_lpc_agrees_with_mpmath_at_edges(point):
    np.testing.assert_allclose(lpc_at(point), mp_lpc(*point), rtol=RTOL)


@pytest.mark.parametrize("eta", [0.2, 0.999, 1.001, 5.0])
def test_alpha_zero_is_the_limit_from_above(eta):
    at_zero = lpc(eta, 0.0, 1.3, prior=0.4, noise_rates=(0.1, 0.3), shift=0.2)
    # The distance is O(alpha / |1 - eta|^3) relative, 1e-16 * 1e9 at most here.
    near = mp_lpc(eta, 1e-16, 1.3, 0.4, 0.1, 0.3, 0.2)
    np.testing.assert_allclose(at_zero, near, rtol=1e-6)


def test_interpolation_peak_has_infinite_variance():
    result = lpc(1.0, 0.0, 1.0)
    assert result.variance == np.inf
    assert result.accuracy == 0.5
    assert result.risk == np.inf
    assert lpc(1.0, [1e-4, 1e-8], 1.0).variance == pytest.approx([24.94, 2500.0], rel=0.05)


def test_accuracy_is_continuous_at_infinite_alpha():
    large = lpc(0.4, 1e13, 1.2, prior=0.3, noise_rates=(0.2, 0.3), shift=0.5)
    limit = lpc(0.4, np.inf, 1.2, prior=0.3, noise_rates=(0.2, 0.3), shift=0.5)
    assert large.accuracy == pytest.approx(limit.accuracy, rel=1e-11)
    assert 1e13 * large.mean == pytest.approx(limit.mean, rel=1e-11)
    assert 1e26 * large.variance == pytest.approx(limit.variance, rel=1e-11)


@pytest.mark.parametrize("perturbation", [(0.0, 0.0), (0.3, 0.4), (-1.0, 0.5), (0.2, -3.0)])
def test_perturbation_scales_the_targets_of_the_shift(perturbation):
    negative, positive = perturbation
    factor = 1 - negative - positive
    weighted = lpc(0.3, 0.5, 1.1, prior=0.6, noise_rates=(0.3, 0.4), perturbation=perturbation)
    shifted = lpc(0.3, 0.5, 1.1, prior=0.6, noise_rates=(0.3, 0.4), shift=positive - negative)
    assert weighted.mean == pytest.approx(shifted.mean / factor, rel=1e-12)
    assert weighted.variance == pytest.approx(shifted.variance / factor**2, rel=1e-12)
    assert weighted.accuracy == pytest.approx(shifted.accuracy, rel=1e-12)
    risk = weighted.variance + weighted.mean**2 + 1 - 2 * weighted.mean
    assert weighted.risk == pytest.approx(risk, rel=1e-12)


def test_optimal_shift_values_and_equivalent_forms():
    assert optimal_shift(0.7, (0.3, 0.4)) == pytest.approx(47 / 30, rel=1e-14)
    assert optimal_shift(0.5, (0.2, 0.2)) == 0
    assert optimal_shift(0.3, (0.0, 0.0)) == 0
    _, _, _, pi, em, ep, _ = random_points(500, 1)
    a = 1 - 2 * pi * ep - 2 * (1 - pi) * em
    b, m0 = 2 * pi - 1, pi * (1 - 2 * ep) - (1 - pi) * (1 - 2 * em)
    # a - b m0 = 4 pi (1 - pi)(1 - em - ep) is a difference of numbers of order 1.
    condition = 1 / np.abs(a - b * m0)
    error = np.abs(optimal_shift(pi, (em, ep)) - (b - a * m0) / (a - b * m0))
    assert np.all(error <= 1e-14 * condition * (1 + np.abs(optimal_shift(pi, (em, ep)))))


def test_optimal_shift_agrees_with_mpmath():
    _, _, _, pi, em, ep, _ = random_points(100, 2)
    got = optimal_shift(pi, (em, ep))
    for index in range(100):
        with mp.workdps(DIGITS):
            p, n, q = map(mp.mpf, (pi[index], em[index], ep[index]))
            top = p**2 * q * (1 - q) - (1 - p) ** 2 * n * (1 - n)
            want = top / (p * (1 - p) * (1 - n - q))
        np.testing.assert_allclose(got[index], float(want), rtol=RTOL)


def test_optimal_shift_maximises_label_quality_and_accuracy():
    eta, gamma, norm, pi, em, ep, _ = random_points(300, 3)
    best = optimal_shift(pi, (em, ep))
    quality = label_quality(pi, (em, ep))
    np.testing.assert_allclose(label_quality(pi, (em, ep), best), quality, rtol=1e-10)
    top = lpc(eta, gamma, norm, prior=pi, noise_rates=(em, ep), shift=best).accuracy
    for step in (-0.5, -0.01, 0.01, 0.5):
        assert np.all(label_quality(pi, (em, ep), best + step) < quality)
        other = lpc(eta, gamma, norm, prior=pi, noise_rates=(em, ep), shift=best + step).accuracy
        assert np.all(other <= top + 1e-15)


def test_label_quality_edges():
    assert label_quality(0.3, (0.0, 0.0)) == pytest.approx(1.0, abs=1e-15)
    assert label_quality(0.5, (0.2, 0.2)) == pytest.approx(0.36, rel=1e-14)
    assert label_quality(0.7, (0.3, 0.4), worst_shift(0.7, (0.3, 0.4))) < 1e-30
    # Labels that say almost nothing leave what the prior says.
    assert label_quality(0.7, (0.5, 0.5 - 1e-12)) == pytest.approx(0.16, rel=1e-9)


def test_worst_shift_is_chance_and_the_sign_turns_over_beyond_it():
    worst = worst_shift(0.7, (0.3, 0.4))
    at = [worst - 0.2, worst, worst + 0.2]
    accuracy = lpc(0.3, 1.0, 1.5, prior=0.7, noise_rates=(0.3, 0.4), shift=at).accuracy
    assert accuracy[0] < 0.5 < accuracy[2]
    assert accuracy[1] == pytest.approx(0.5, abs=1e-15)
    assert worst_shift(0.5, (0.1, 0.2)) == np.inf


def test_naive_labels_fail_when_more_than_half_are_wrong():
    for rates, fails in [((0.05, 0.62), True), ((0.05, 0.6), False)]:
        wrong = 0.8 * rates[1] + 0.2 * rates[0]
        assert (lpc(0.2, 1.0, 1.5, prior=0.8, noise_rates=rates).accuracy < 0.5) == fails
        assert (wrong > 0.5) == fails


def test_optimal_perturbation_has_the_optimal_difference():
    assert optimal_perturbation(0.7, (0.3, 0.4)) == pytest.approx((0, 47 / 30), rel=1e-14)
    assert optimal_perturbation(0.7, (0.3, 0.4), -0.5) == pytest.approx((-0.5, 47 / 30 - 0.5))
    _, _, _, pi, em, ep, _ = random_points(200, 4)
    safe = optimal_perturbation(pi, (em, ep), rho_negative=None)
    shift = optimal_shift(pi, (em, ep))
    np.testing.assert_allclose(safe.positive - safe.negative, shift, rtol=1e-14)
    np.testing.assert_allclose(safe.positive + safe.negative, -np.abs(shift), rtol=1e-14)
    weighted = lpc(0.4, 1.0, 1.2, prior=pi, noise_rates=(em, ep), perturbation=safe)
    shifted = lpc(0.4, 1.0, 1.2, prior=pi, noise_rates=(em, ep), shift=shift)
    np.testing.assert_allclose(weighted.accuracy, shifted.accuracy, rtol=1e-12)


def test_unbiased_weights_are_optimal_for_equal_classes_only():
    rates = (0.1, 0.35)
    assert optimal_shift(0.5, rates) == pytest.approx(rates[1] - rates[0], rel=1e-13)
    assert abs(optimal_shift(0.6, rates) - (rates[1] - rates[0])) > 0.1


def test_accuracy_increases_with_alpha_at_the_optimal_shift():
    eta, _, norm, pi, em, ep, _ = random_points(3000, 5)
    gamma = np.append(np.logspace(-5, 6, 23), np.inf)[:, None]
    shift = optimal_shift(pi, (em, ep))
    ratio = lpc(eta, gamma, norm, prior=pi, noise_rates=(em, ep), shift=shift)
    snr = ratio.mean**2 / ratio.variance
    # Strict in exact arithmetic; rounding leaves equality within some ulp.
    assert np.all(np.diff(snr, axis=0) >= -1e-13 * snr[1:])
    quality = np.sqrt(label_quality(pi, (em, ep)))
    limit = quality * norm**2 / np.sqrt(quality**2 * norm**2 + eta)
    np.testing.assert_allclose(np.sqrt(snr[-1]), limit, rtol=1e-10)


def test_signal_inverts_the_spiked_eigenvalue_and_is_nan_below_the_edge():
    rng = np.random.default_rng(6)
    eta = 10 ** rng.uniform(-3, 2, 100)
    signal = np.sqrt(eta) * (1 + 10 ** rng.uniform(-1, 3, 100))
    eigenvalue = (1 + signal) * (1 + eta / signal)
    np.testing.assert_allclose(signal_from_eigenvalue(eigenvalue, eta), signal, rtol=RTOL)
    edge = (1 + np.sqrt(0.5)) ** 2
    assert np.isnan(signal_from_eigenvalue([edge, edge / 2, 0.0], 0.5)).all()
    # Within 1e-3 of the transition the inverse is a square root: half of the digits are lost.
    near = np.sqrt(0.5) * (1 + 1e-4)
    got = signal_from_eigenvalue((1 + near) * (1 + 0.5 / near), 0.5)
    assert got == pytest.approx(near, rel=1e-6)


def mp_threshold(means, variances, pi, start):
    """The stationary point next to `start`, from the two densities at 50 digits."""
    with mp.workdps(DIGITS):
        (m0, m1), (v0, v1) = map(mp.mpf, means), map(mp.mpf, variances)
        odds = mp.log(mp.mpf(pi)) - mp.log(1 - mp.mpf(pi))

        def log_ratio(c):
            gain = (c - m0) ** 2 / (2 * v0) - (c - m1) ** 2 / (2 * v1)
            return gain + mp.log(v0 / v1) / 2 + odds

        return float(mp.findroot(log_ratio, mp.mpf(start)))


def test_best_threshold_agrees_with_mpmath():
    rng = np.random.default_rng(7)
    finite = 0
    for _ in range(100):
        centre, half = rng.normal(), rng.uniform(0.2, 3)
        means = (centre - half, centre + half)
        variances = tuple(10 ** rng.uniform(-1, 1) * np.array([1, 10 ** rng.uniform(-1, 1)]))
        pi = rng.uniform(0.1, 0.9)
        got = best_threshold(means, variances, pi)
        if np.isfinite(got):
            finite += 1
            want = mp_threshold(means, variances, pi, got)
            assert abs(got - want) <= RTOL * (abs(want) + half)
    assert finite > 60


def test_best_threshold_beats_every_other():
    rng = np.random.default_rng(8)
    cuts = np.append(np.linspace(-30, 30, 20001), [-np.inf, np.inf])
    for _ in range(60):
        means = tuple(rng.normal(size=2) * rng.choice([0.1, 1, 3]))
        variances = tuple(10 ** rng.uniform(-1, 1, size=2))
        pi = rng.uniform(0.02, 0.98)
        best = binary_accuracy(means, variances, pi, best_threshold(means, variances, pi))
        assert best >= np.max(binary_accuracy(means, variances, pi, cuts)) - 1e-15


def test_best_threshold_special_cases():
    want = 0.5 - 2.0 * np.log(0.7 / 0.3) / 3.0
    assert best_threshold((-1.0, 2.0), (2.0, 2.0), 0.7) == pytest.approx(want, rel=1e-14)
    almost = best_threshold((-1.0, 2.0), (2.0, 2.0 + 1e-13), 0.7)
    assert almost == pytest.approx(want, rel=1e-12)
    assert best_threshold((-0.01, 0.01), (1.0, 2.0), 0.9) == -np.inf
    assert best_threshold((-0.01, 0.01), (2.0, 1.0), 0.1) == np.inf
    assert best_threshold((1.0, -1.0), (1.0, 1.0), 0.7) == -np.inf
    assert best_threshold((0.0, 0.0), (1.0, 1.0), 0.5) in (-np.inf, np.inf)
    tiny = best_threshold((-1e-160, 1e-160), (1e-300, 1e-300), 0.5)
    assert tiny == pytest.approx(0.0, abs=1e-165)


def test_binary_accuracy_counts_ties_half_and_takes_infinite_thresholds():
    assert binary_accuracy((0.0, 0.0), (0.0, 0.0), 0.3) == 0.5
    assert binary_accuracy((-1.0, 1.0), (0.0, 0.0), 0.3) == 1.0
    assert binary_accuracy((-1.0, 1.0), (1.0, 1.0), 0.3, np.inf) == pytest.approx(0.7)
    assert binary_accuracy((-1.0, 1.0), (1.0, 1.0), 0.3, -np.inf) == pytest.approx(0.3)


def test_intercept_ridge_is_the_centred_ridge_of_corrected_signal():
    """For C = I: phi in place of s, 4 pi_+ pi_- |mu|^2 in place of |mu|^2, T2 = 1."""
    eta, gamma, norm, pi, em, ep, _ = random_points(60, 9)
    result = intercept_ridge(eta, gamma, norm, prior=pi, noise_rates=(em, ep))
    for index in range(60):
        with mp.workdps(DIGITS):
            p, n, q = map(mp.mpf, (pi[index], em[index], ep[index]))
            four, m0 = 4 * p * (1 - p), p * (1 - 2 * q) - (1 - p) * (1 - 2 * n)
            phi2 = four * (1 - n - q) ** 2 / (1 - m0**2)
            e, g, mu2 = mp.mpf(eta[index]), mp.mpf(gamma[index]), four * mp.mpf(norm[index]) ** 2
            u = (1 + g + e + mp.sqrt((1 + g - e) ** 2 + 4 * e * g)) / 2
            h = 1 - e / u**2
            m = mp.sqrt(phi2) * mu2 / (mu2 + u)
            v = (phi2 * mu2 / (mu2 + u) ** 2 + e / u**2 * (1 - 2 * mp.sqrt(phi2) * m + m**2)) / h
            want = m / mp.sqrt(v * four)
        low, high = result.score_means[index]
        got = (high - low) / 2 / np.sqrt(result.variance[index])
        # The difference of two stored means loses what their common part exceeds it by.
        slack = 4e-16 * max(abs(low), abs(high)) / (high - low)
        assert abs(got - float(want)) <= (RTOL + slack) * float(want)
        total = pi[index] * high + (1 - pi[index]) * low
        assert total == pytest.approx(float(m0), abs=1e-14)


@pytest.mark.parametrize("prior", [0.5, 0.3])
@pytest.mark.parametrize("alpha", [1e12, 1e15, 1e17, 1e100, 1e200, 1e300])
def test_huge_penalties_of_an_intercept_ridge_have_the_accuracy_of_the_limit(alpha, prior):
    finite, limit = (
        intercept_ridge(0.5, a, 1.5, prior=prior, noise_rates=(0.3, 0.4)) for a in (alpha, np.inf)
    )
    np.testing.assert_allclose(finite.accuracy, limit.accuracy, rtol=1e-10)
    centre = prior * (1 - 2 * 0.4) - (1 - prior) * (1 - 2 * 0.3)
    np.testing.assert_allclose(finite.threshold, centre, atol=10 / alpha + 1e-15)


def test_an_intercept_ridge_at_interpolation_guesses_the_majority():
    for prior in (0.5, 0.3, 0.8):
        result = intercept_ridge(1.0, 0.0, 1.5, prior=prior)
        assert result.accuracy == max(prior, 1 - prior)
        assert np.isposinf(result.variance)
    many = intercept_ridge([1.0, 0.5], 0.0, 1.5)
    assert many.accuracy[1] == intercept_ridge(0.5, 0.0, 1.5).accuracy > many.accuracy[0] == 0.5
