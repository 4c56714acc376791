"""Properties of the theories of preferences and of self-play."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrmt.theory import preference

SEEDS = st.integers(0, 2**32 - 1)
SCHEMES = st.sampled_from(["spin", "reference", "previous"])
LOSSES = st.sampled_from(["dpo", "ipo"])


def log_policy(seed, size=5):
    """Return the logarithms of random probabilities."""
    return np.log(np.random.default_rng(seed).dirichlet(np.ones(size) * 3))


@pytest.mark.property_of("theory.preference.kl_regularized_optimum", "theory.preference.KLOptimum")
@given(SEEDS, st.floats(0.05, 5.0), st.floats(-3, 3))
def test_no_policy_has_a_larger_value_than_the_optimum(seed, beta, shift):
    rng = np.random.default_rng(seed)
    reward, reference, other = rng.standard_normal(5), log_policy(seed), log_policy(seed + 1)
    best = preference.kl_regularized_optimum(reward, reference, beta)
    value = np.exp(other) @ (reward - beta * (other - reference))
    assert value <= best.value + 1e-10
    assert np.isclose(np.exp(best.log_policy).sum(), 1)
    assert np.isclose(best.reward - beta * best.kl, best.value)
    moved = preference.kl_regularized_optimum(reward + shift, reference, beta)
    np.testing.assert_allclose(moved.log_policy, best.log_policy, atol=1e-9)


@pytest.mark.property_of("theory.preference.kl_regularized_optimum")
@given(SEEDS, st.floats(0.05, 5.0), st.floats(1.01, 5.0))
def test_a_larger_penalty_costs_reward_and_a_batch_is_a_loop(seed, beta, factor):
    reward = np.random.default_rng(seed).standard_normal(5)
    betas = [beta, beta * factor]
    both = preference.kl_regularized_optimum(reward, log_policy(seed), betas)
    assert both.reward[0] >= both.reward[1] - 1e-12
    assert both.kl[0] >= both.kl[1] - 1e-12 >= -1e-11
    loop = [preference.kl_regularized_optimum(reward, log_policy(seed), b).value for b in betas]
    np.testing.assert_allclose(both.value, loop, rtol=1e-12)


@pytest.mark.property_of("theory.preference.pairwise_accuracy")
@given(
    st.floats(0.1, 5), st.integers(50, 1000), st.integers(10, 500), st.floats(1e-3, 1e3),
    st.floats(0.0, 0.45), st.floats(1.01, 3.0),
)  # fmt: skip
def test_ranking_grows_with_signal_and_falls_with_noise(signal, n, p, alpha, noise, more):
    def accuracy(signal, alpha, noise):
        return preference.pairwise_accuracy(signal, n, p, alpha=alpha, noise_rate=noise)

    here = accuracy(signal, alpha, noise)
    assert 0.5 <= here <= 1
    assert accuracy(signal, alpha, noise + 0.04) <= here + 1e-12
    assert accuracy(signal * more, np.inf, noise) >= accuracy(signal, np.inf, noise) - 1e-12
    assert np.isclose(accuracy(signal, alpha, 0.5 - 1e-12), 0.5, atol=1e-6)
    assert np.isclose(accuracy(0.0, alpha, noise), 0.5, atol=1e-12)


@pytest.mark.property_of("theory.preference.population_margin")
@given(LOSSES, st.floats(0.02, 0.98), st.floats(0.05, 3.0))
def test_margin_is_odd_in_the_preference_and_zero_where_there_is_none(loss, p, beta):
    margin = preference.population_margin(loss, [p, 1 - p, 0.5], beta=beta)
    assert np.isclose(margin[0], -margin[1], atol=1e-9)
    assert np.isclose(margin[2], 0, atol=1e-9)
    assert (margin[0] >= 0) == (p >= 0.5) or abs(p - 0.5) < 1e-9
    assert np.isclose(
        preference.population_margin(loss, p, beta=2 * beta), margin[0] / 2, atol=1e-9
    )


@pytest.mark.property_of(
    "theory.preference.safety_utility_curve", "theory.preference.SafetyUtilityCurve"
)
@given(SEEDS, st.floats(0.05, 2.0))
def test_more_weight_on_safety_buys_safety_for_utility(seed, beta):
    safety, utility = np.random.default_rng(seed).random((2, 5))
    weights = {"safety_weight": np.linspace(0.0, 1.0, 11)}
    curve = preference.safety_utility_curve(safety, utility, log_policy(seed), beta, **weights)
    assert (np.diff(curve.safety - curve.utility) >= -1e-12).all()
    assert (curve.kl >= -1e-12).all()
    other = preference.safety_utility_curve(utility, safety, log_policy(seed), beta, **weights)
    np.testing.assert_allclose(other.safety, curve.utility[::-1], atol=1e-10)
    end = preference.kl_regularized_optimum(safety, log_policy(seed), beta)
    assert np.isclose(curve.safety[-1], end.reward)


@pytest.mark.property_of(
    "theory.preference.self_play_fixed_point",
    "theory.preference.SelfPlayFixedPoint",
    "theory.preference.self_play_map",
)
@given(SCHEMES, SEEDS, st.floats(0.6, 4.0), st.floats(0.0, 0.8))
def test_a_round_of_self_play_leaves_its_fixed_point_alone(scheme, seed, beta, weight):
    human, reference = log_policy(seed), log_policy(seed + 1)
    mixture = 0.0 if scheme == "spin" else weight
    law = {"beta": beta, "mixture_weight": mixture}
    rest = preference.self_play_fixed_point(scheme, human, reference, **law)
    again = preference.self_play_map(scheme, rest.log_policy, human, reference, **law)
    np.testing.assert_allclose(again, rest.log_policy, atol=1e-9)
    assert np.isclose(np.exp(again).sum(), 1)
    assert np.isclose(np.exp(rest.log_policy).sum(), 1)


@pytest.mark.property_of(
    "theory.preference.self_play_rate",
    "theory.preference.self_play_stable",
    "theory.preference.self_play_min_beta",
)
@given(SCHEMES, st.floats(0.05, 4.0), st.floats(0.0, 0.9))
def test_self_play_is_stable_where_its_rate_is_below_one(scheme, beta, weight):
    mixture = 0.0 if scheme == "spin" else weight
    rate = preference.self_play_rate(scheme, beta, mixture)
    stable = preference.self_play_stable(scheme, beta, mixture)
    assert stable == (abs(rate) < 1)
    least = preference.self_play_min_beta(scheme, mixture)
    assert preference.self_play_stable(scheme, least * 1.0001, mixture)
    assert stable == (beta > least)


@pytest.mark.property_of("theory.preference.self_play_rate", "theory.preference.self_play_map")
@given(SCHEMES, SEEDS, st.floats(0.6, 4.0), st.floats(0.0, 0.8))
def test_a_small_error_shrinks_at_the_rate(scheme, seed, beta, weight):
    mixture = 0.0 if scheme == "spin" else weight
    law = {"beta": beta, "mixture_weight": mixture}
    human, reference = log_policy(seed), log_policy(seed + 1)
    rest = preference.self_play_fixed_point(scheme, human, reference, **law).log_policy
    error = 1e-5 * np.array([1.0, -1.0, 0.5, 0.0, -0.5])
    after = preference.self_play_map(scheme, rest + error, human, reference, **law) - rest
    rate = preference.self_play_rate(scheme, beta, mixture)
    np.testing.assert_allclose(
        after - after.mean(), rate * (error - error.mean()), atol=1e-8 * max(1, abs(rate))
    )
