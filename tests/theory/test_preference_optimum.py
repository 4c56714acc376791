"""Optimal policies under a KL penalty, against tables, a numerical maximiser and 50 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from skrmt.theory.preference import kl_regularized_optimum, safety_utility_curve

REWARD, REFERENCE = np.array([0, 0.5, 1, -1]), np.array([0.4, 0.3, 0.1, 0.2])
TABLE = [
    (0.1, 0.98991712, 2.181566, 0.77176052),
    (0.5, 0.56502902, 0.4462255, 0.34191627),
    (2.0, 0.22043394, 0.041263939, 0.13790606),
]


@pytest.mark.parametrize(("beta", "reward", "kl", "value"), TABLE)
def test_tabulated_optima(beta, reward, kl, value):
    best = kl_regularized_optimum(REWARD, np.log(REFERENCE), beta)
    assert isinstance(best.kl, float)
    assert (best.reward, best.kl, best.value) == pytest.approx((reward, kl, value), rel=2e-7)


def test_optimum_maximises(rng):
    reward, reference = rng.standard_normal(6), rng.dirichlet(np.ones(6))
    beta = 0.3

    def objective(logits):
        policy = np.exp(log_softmax(logits))
        return -(policy @ reward - beta * policy @ (np.log(policy) - np.log(reference)))

    found = minimize(objective, np.zeros(6), tol=1e-10)
    best = kl_regularized_optimum(reward, np.log(reference), beta)
    assert best.value == pytest.approx(-found.fun, abs=1e-9)
    # A maximiser is located to the square root of the accuracy of the maximum.
    np.testing.assert_allclose(np.exp(best.log_policy), np.exp(log_softmax(found.x)), atol=1e-4)


def exact_optimum(reward, weights, beta):
    """The definitions in 60 digits."""
    with mpmath.workdps(60):
        reward = [mpmath.mpf(x) for x in reward]
        total = mpmath.fsum(mpmath.mpf(x) for x in weights)
        weights = [mpmath.mpf(x) / total for x in weights]
        raised = [
            w * mpmath.exp(r / mpmath.mpf(beta)) for w, r in zip(weights, reward, strict=True)
        ]
        partition = mpmath.fsum(raised)
        policy = [x / partition for x in raised]
        mean = mpmath.fsum(p * r for p, r in zip(policy, reward, strict=True))
        variance = mpmath.fsum(p * (r - mean) ** 2 for p, r in zip(policy, reward, strict=True))
        kl = mpmath.fsum(p * mpmath.log(p / w) for p, w in zip(policy, weights, strict=True))
        value = mpmath.mpf(beta) * mpmath.log(partition)
        return [float(x) for x in (mean, kl, value, variance)]


@pytest.mark.parametrize("beta", [1e-3, 0.02, 0.4, 3.0, 50.0, 1e4, 1e8])
def test_optimum_to_sixty_digits(rng, beta):
    reward, weights = rng.standard_normal(5), rng.random(5)
    best = kl_regularized_optimum(reward, np.log(weights), beta)
    expected = exact_optimum(reward, weights, beta)
    found = (best.reward, best.kl, best.value, best.reward_variance)
    # Below 1e-200 the loser's share is out of reach, and nothing depends on it.
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-200)


def test_value_frontier_and_reward_differences(rng):
    reward, reference = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    best = kl_regularized_optimum(reward, reference, 0.7)
    np.testing.assert_allclose(best.value, best.reward - 0.7 * best.kl, rtol=1e-12)
    ratio = best.log_policy - log_softmax(reference, axis=-1)
    np.testing.assert_allclose(0.7 * np.diff(ratio), np.diff(reward), rtol=1e-12)
    h = 1e-5
    low, high = (kl_regularized_optimum(reward, reference, 1 / (1 / 0.7 + s)) for s in (-h, h))
    # Central differences are off by h^2 and by the rounding 1e-16 / h.
    np.testing.assert_allclose(
        (high.reward - low.reward) / (2 * h), best.reward_variance, rtol=1e-8
    )
    np.testing.assert_allclose((high.reward - low.reward) / (high.kl - low.kl), 0.7, rtol=1e-8)


def test_candidates_that_do_not_exist():
    padded = kl_regularized_optimum(
        [*REWARD, 50.0, np.nan], [*np.log(REFERENCE), -np.inf, -np.inf], 0.5
    )
    plain = kl_regularized_optimum(REWARD, np.log(REFERENCE), 0.5)
    np.testing.assert_allclose(padded.log_policy[:4], plain.log_policy, rtol=1e-14)
    assert (padded.log_policy[4:] == -np.inf).all()
    assert padded[1:] == pytest.approx(plain[1:], rel=1e-14)


def test_extremes():
    best = kl_regularized_optimum([1e6, 0.0], [-1e5, 0.0], 1e-3)
    assert (best.reward, best.kl) == (1e6, pytest.approx(1e5))
    alone = kl_regularized_optimum([3.0], [0.0], 1.0)
    assert alone[1:] == (3.0, 0.0, 3.0, 0.0)
    assert kl_regularized_optimum(REWARD, np.zeros(4), [[0.1], [1.0]]).reward.shape == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((REWARD, np.zeros(4), 0.0), "beta must lie in"),
        ((REWARD, np.zeros(4), np.inf), "beta must lie in"),
        ((REWARD, np.zeros(3), 1.0), "do not broadcast"),
        ((REWARD, np.full(4, -np.inf), 1.0), "at least 1 candidate "),
        ((REWARD, [0, 0, 0, np.nan], 1.0), "got a NaN or"),
        (([0, np.nan, 0, 0], np.zeros(4), 1.0), "reward must be finite"),
        ((1.0, 0.0, 1.0), "n_candidates"),
        (([1e300, 0.0], [0.0, 0.0], 1e-300), "beta is too small"),
    ],
)
def test_refused_optima(arguments, match):
    with pytest.raises(ValueError, match=match):
        kl_regularized_optimum(*arguments)


def test_curve_is_the_optimum_of_mixed_rewards(rng):
    safety, utility, base = rng.standard_normal((3, 4, 6))
    weights = np.array([0.0, 0.3, 1.0])
    curve = safety_utility_curve(safety, utility, base, [0.2, 1.0], safety_weight=weights)
    assert curve.safety.shape == curve.slope.shape == (2, 3)
    for row, beta in enumerate([0.2, 1.0]):
        for column, weight in enumerate(weights):
            mixed = weight * safety + (1 - weight) * utility
            best = kl_regularized_optimum(mixed, base, beta)
            policy = np.exp(best.log_policy)
            expected = [(policy * x).sum(axis=1).mean() for x in (safety, utility)]
            found = [curve.safety[row, column], curve.utility[row, column], curve.kl[row, column]]
            np.testing.assert_allclose(found, [*expected, np.mean(best.kl)], rtol=1e-12)


def test_slopes_of_the_curve(rng):
    safety, utility, base = rng.standard_normal((3, 4, 6))
    h = 1e-5
    curve = safety_utility_curve(safety, utility, base, 0.5, safety_weight=[0.4 - h, 0.4, 0.4 + h])
    for values, slopes in [
        (curve.safety, curve.safety_slope),
        (curve.utility, curve.utility_slope),
    ]:
        assert (values[2] - values[0]) / (2 * h) == pytest.approx(slopes[1], rel=1e-7)
    assert curve.slope[1] == pytest.approx(curve.utility_slope[1] / curve.safety_slope[1])
    assert (curve.safety_slope >= curve.utility_slope).all()


def test_opposed_rewards_trade_and_equal_ones_do_not():
    base = np.log([0.2, 0.3, 0.5])
    opposed = safety_utility_curve([1, 0.8, 0], [0, 0.7, 1], base, 0.1)
    assert (np.diff(opposed.safety) > 0).all()
    assert (np.diff(opposed.utility) < 0).all()
    assert (opposed.slope < 0).all()
    equal = safety_utility_curve([1, 0.8, 0], [1, 0.8, 0], base, 0.1)
    assert np.isnan(equal.slope).all()
    assert np.isnan(equal.knee)


@pytest.mark.parametrize("beta", [0.1, [0.05, 2.0]])
def test_a_constant_reward_leaves_nothing_to_trade(rng, beta):
    """Equal to rounding: 0.1 + 0.2 is no 0.3; a candidate that does not exist has no reward."""
    varied, base = rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    base[:, -1] = -np.inf
    level = np.where(varied > 0, 0.3, 0.1 + 0.2)
    level[:, -1] = np.nan
    for rewards in ((level, varied), (varied, level), (level, level)):
        curve = safety_utility_curve(*rewards, base, beta)
        assert np.isnan(curve.knee).all()
        assert np.isnan(curve.slope).all()
        for reward, mean in zip(rewards, (curve.safety, curve.utility), strict=True):
            if reward is level:
                assert (mean == mean.flat[0]).all()
                assert mean.flat[0] == pytest.approx(0.3, rel=1e-14)
    # A reward that varies in one prompt alone is one.
    level[1, 2] = 0.4
    assert np.isfinite(safety_utility_curve(level, varied, base, beta).slope).all()


def test_knee_by_geometry_whatever_the_units(rng):
    safety, utility, base = [1, 0.8, 0], [0, 0.7, 1], np.log([0.2, 0.3, 0.5])
    curve = safety_utility_curve(safety, utility, base, 0.1)
    points = np.stack([curve.safety, curve.utility], axis=1)
    chord = points[-1] - points[0]
    normal = np.array([-chord[1], chord[0]]) / np.linalg.norm(chord)
    distance = np.abs((points - points[0]) @ normal)
    assert curve.knee == curve.safety_weight[distance.argmax()] == 0.55
    scaled = curve._replace(safety=3 * curve.safety)
    stretched = np.stack([scaled.safety, scaled.utility], axis=1)
    chord = stretched[-1] - stretched[0]
    normal = np.array([-chord[1], chord[0]]) / np.linalg.norm(chord)
    assert np.abs((stretched - stretched[0]) @ normal).argmax() == distance.argmax()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"beta": -1.0}, "beta must lie in"),
        ({"safety_weight": [0.0, 1.5]}, "safety_weight must lie in"),
        ({"safety_weight": [0.5, 0.5]}, "increasing"),
        ({"safety_weight": 0.5}, "increasing"),
        ({"safety": [1.0, 2.0]}, "do not broadcast"),
        ({"utility": [0.0, np.inf, 0.0]}, "utility must be finite"),
        ({"log_reference": [0.0, -np.inf, -np.inf]}, "at least 2 candidates"),
        ({"log_reference": np.zeros((2, 2, 3))}, "n_prompts"),
    ],
)
def test_refused_curves(changes, match):
    arguments = {
        "safety": [1.0, 0.5, 0.0],
        "utility": [0.0, 0.5, 1.0],
        "log_reference": [0.0, 0.0, 0.0],
        "beta": 1.0,
    } | changes
    with pytest.raises(ValueError, match=match):
        safety_utility_curve(**arguments)
