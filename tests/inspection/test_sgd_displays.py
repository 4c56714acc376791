"""Displays of staged SGD."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.inspection import NoiseFloorDisplay, StagedLossDisplay
from skrmt.linear_model import Stage, StagedSGDRegressor
from skrmt.theory import sgd

pytest.importorskip("matplotlib")


def fitted():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 5))
    y = X[:, 0] + 0.5 * rng.standard_normal(900)
    y[450] += 100
    stages = [Stage(100, 4, 0.1), Stage(60, 8, 0.1, "linear")]
    return StagedSGDRegressor(stages, random_state=0).fit(X, y)


def test_losses_are_drawn_with_prediction_stages_and_spikes():
    model = fitted()
    display = StagedLossDisplay.from_estimator(model, window=7)
    assert np.array_equal(display.losses_.get_ydata(), model.loss_curve_)
    assert np.array_equal(display.risks_.get_ydata(), model.theoretical_loss_curve_)
    steps = [step for step, _ in model.spikes_]
    assert len(steps) == 1 and display.spikes_.get_xdata().tolist() == steps
    dashed = [line for line in display.ax_.lines if line.get_linestyle() == "--"]
    assert [line.get_xdata()[0] for line in dashed] == [100]
    assert display.ax_.get_xlabel() and display.ax_.get_ylabel()


def test_running_mean_stays_within_a_stage():
    display = StagedLossDisplay([1, 3, 5, 10, 20], np.ones(5), [0, 3, 5], window=2).plot()
    places, means = display.mean_.get_data()
    assert places[[0, 1, 3]].tolist() == [0.5, 1.5, 3.5]
    assert means[[0, 1, 3]].tolist() == [2, 4, 15]
    assert np.isnan(means[[2, 4]]).all()


def test_loss_display_needs_a_fit():
    with pytest.raises(NotFittedError):
        StagedLossDisplay.from_estimator(StagedSGDRegressor())


def test_floors_are_those_of_theory():
    lam, rates = np.array([2.0, 1, 0.5]), np.array([0.1, 0.4, 0.5])
    display = NoiseFloorDisplay.from_theory(lam, 0.3, batch_sizes=(2, 9), learning_rates=rates)
    for size in (2, 9):
        expected = sgd.noise_floor(lam, 0.3, rates, size) / 0.15 - 1
        drawn = display.lines_[size].get_ydata()
        finite = np.isfinite(expected)
        np.testing.assert_allclose(drawn[finite], expected[finite], rtol=1e-12)
        assert np.isnan(drawn[~finite]).all()
    assert np.isnan(display.lines_[2].get_ydata()[-1])
    with pytest.raises(ValueError, match="without noise"):
        NoiseFloorDisplay.from_theory(lam, 0.0)
