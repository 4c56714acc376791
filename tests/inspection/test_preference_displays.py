"""Displays of preference losses, self-play and the trade-off of two rewards."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import NotFittedError

from skrmt.inspection import (
    PreferenceLossDisplay,
    SafetyUtilityDisplay,
    SelfPlayConvergenceDisplay,
)
from skrmt.preference import (
    SafetyUtilityFrontier,
    SelfPlayPolicy,
    preference_gradient,
    preference_loss,
)
from skrmt.theory.preference import safety_utility_curve

pytest.importorskip("matplotlib")


def test_losses_and_gradients():
    names = ["dpo", "nca", "sigmoid_norm", "exo"]
    display = PreferenceLossDisplay.from_functions(
        preference_loss, preference_gradient, names, beta=0.5
    )
    assert list(display.lines_) == names
    for name, (value, slope) in display.lines_.items():
        steps = np.gradient(value.get_ydata(), display.margins)
        # The opposite signs of a single response's loss: half the margin each.
        assert_allclose(slope.get_ydata()[5:-5], steps[5:-5], atol=1e-3, err_msg=name)
    assert len(display.axes_) == 2


def test_losses_alone_and_given_axes():
    from matplotlib import pyplot

    _, ax = pyplot.subplots()
    display = PreferenceLossDisplay.from_functions(preference_loss, names=["ipo"], axes=ax)
    assert display.axes_[0] is ax
    assert display.figure_ is ax.figure
    with pytest.raises(ValueError, match="give 2"):
        PreferenceLossDisplay.from_functions(preference_loss, preference_gradient, axes=ax)


def test_convergence_is_measured_against_the_rate():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 4, 2))
    policy = SelfPlayPolicy(2.0, n_rounds=15)
    with pytest.raises(NotFittedError):
        SelfPlayConvergenceDisplay.from_estimator(policy)
    policy.fit(X, (X[..., 0] + rng.gumbel(size=(200, 4))).argmax(axis=1))
    display = SelfPlayConvergenceDisplay.from_estimator(policy)
    measured, predicted = (line.get_ydata() for line in display.lines_)
    assert len(measured) == policy.n_iter_
    assert_allclose(predicted, measured[0] * 0.5 ** np.arange(len(measured)))
    path = policy.coef_path_
    assert_allclose(measured, np.linalg.norm(path[:-1] - path[-1], axis=1))
    other = SelfPlayConvergenceDisplay.from_estimator(policy, target=[1.0, 0.0])
    assert len(other.errors) == policy.n_iter_ + 1
    with pytest.raises(ValueError, match="target"):
        SelfPlayConvergenceDisplay.from_estimator(policy, target=[1.0])


def test_frontier():
    rng = np.random.default_rng(0)
    safety, utility = rng.random((2, 20, 5))
    frontier = SafetyUtilityFrontier(beta=0.2).fit(safety, utility)
    display = SafetyUtilityDisplay.from_estimator(frontier)
    other = SafetyUtilityDisplay.from_rewards(safety, utility, np.zeros((20, 5)), beta=0.2)
    curve = safety_utility_curve(safety, utility, np.zeros((20, 5)), 0.2)
    for each in (display, other):
        assert_allclose(each.line_.get_xydata(), np.column_stack([curve.safety, curve.utility]))
        assert each.knee == curve.knee
        assert len(each.axes_) == 2
    with pytest.raises(NotFittedError):
        SafetyUtilityDisplay.from_estimator(SafetyUtilityFrontier())
