"""SafetyUtilityFrontier: the formulas of the theory, as an estimator."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone

from skrmt.preference import SafetyUtilityFrontier
from skrmt.theory.preference import safety_utility_curve


def rewards(n=30, K=6, seed=0):
    """Return two rewards that disagree, and a reference."""
    rng = np.random.default_rng(seed)
    return rng.random((n, K)), rng.random((n, K)), rng.standard_normal((n, K))


def test_it_is_the_curve_of_the_theory():
    safety, utility, base = rewards()
    frontier = SafetyUtilityFrontier(beta=0.2).fit(safety, utility, base)
    curve = safety_utility_curve(safety, utility, base, 0.2)
    for attribute, field in {
        "safety_": "safety",
        "utility_": "utility",
        "kl_": "kl",
        "slope_": "slope",
        "knee_": "knee",
        "safety_weights_": "safety_weight",
    }.items():
        assert_allclose(getattr(frontier, attribute), getattr(curve, field))


def test_policies_lie_on_the_frontier():
    safety, utility, base = rewards()
    frontier = SafetyUtilityFrontier(beta=0.2, safety_weights=[0.0, 0.5, 1.0])
    frontier.fit(safety, utility, base)
    for place, weight in enumerate((0.0, 0.5, 1.0)):
        policy = frontier.policy(weight)
        assert_allclose(policy.sum(axis=1), 1)
        assert_allclose((policy * safety).sum(axis=1).mean(), frontier.safety_[place])
        assert_allclose((policy * utility).sum(axis=1).mean(), frontier.utility_[place])


def test_a_target_of_safety_is_reached():
    safety, utility, base = rewards()
    frontier = SafetyUtilityFrontier(beta=0.2).fit(safety, utility, base)
    target = (frontier.safety_[0] + frontier.safety_[-1]) / 2
    weight = frontier.weight_for(target)
    reached = (frontier.policy(weight) * safety).sum(axis=1).mean()
    # Linear between weights 0.01 apart.
    assert_allclose(reached, target, atol=1e-4)
    assert np.isnan(frontier.weight_for(2.0))
    assert frontier.weight_for(-1.0) == 0


def test_the_reference_is_even_by_default_and_clones_are_unfitted():
    safety, utility, _ = rewards()
    one = SafetyUtilityFrontier().fit(safety, utility)
    two = SafetyUtilityFrontier().fit(safety, utility, np.zeros(safety.shape))
    assert_allclose(one.utility_, two.utility_)
    assert not hasattr(clone(one), "knee_")


def test_a_constant_reward_has_no_knee():
    safety, utility, base = rewards()
    for pair in ((np.full_like(safety, 0.3), utility), (safety, np.full_like(utility, 0.3))):
        frontier = SafetyUtilityFrontier(beta=0.2).fit(*pair, base)
        assert np.isnan(frontier.knee_)
        assert np.isnan(frontier.slope_).all()
        assert_allclose(frontier.policy(), frontier.policy(0.5))


def test_bad_input_is_refused_and_leaves_the_fit():
    safety, utility, base = rewards()
    frontier = SafetyUtilityFrontier().fit(safety, utility, base)
    before = dict(vars(frontier))
    with pytest.raises(ValueError, match="shape"):
        frontier.fit(safety[:, :2], utility, base)
    with pytest.raises(ValueError, match="NaN"):
        frontier.fit(safety * np.nan, utility, base)
    with pytest.raises(ValueError, match="candidates"):
        frontier.fit(safety[:, :1], utility[:, :1])
    with pytest.raises(ValueError, match="safety_weight"):
        frontier.policy(1.5)
    assert all(vars(frontier)[name] is value for name, value in before.items())
    with pytest.raises(ValueError, match="beta"):
        SafetyUtilityFrontier(beta=0.0).fit(safety, utility)
    with pytest.raises(ValueError, match="safety_weight"):
        SafetyUtilityFrontier(safety_weights=[1.0, 0.0]).fit(safety, utility)
