"""Displays of real and synthetic rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.datasets import make_synthetic_mix
from skrmt.inspection import (
    LabelNoiseTransitionDisplay,
    SyntheticValueDisplay,
    VerifierFrontierDisplay,
)
from skrmt.linear_model import SyntheticMixClassifier
from skrmt.theory.synthetic_mix import synthetic_only_accuracy, verifier_value

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def fitted():
    data = make_synthetic_mix(80, 300, 20, noise_rate=0.3, keep_incorrect=0.3, random_state=0)
    model = SyntheticMixClassifier(pruning="mask")
    return model.fit(data.X, data.y, sample_source=data.sample_source, keep=data.keep)


def test_curves_against_the_number_are_the_forecast(fitted):
    display = SyntheticValueDisplay.from_estimator(
        fitted, n_synthetic=[50, 500], weight=[0.0, 0.5], test_points=([300], [0.9])
    )
    sizes, weights = np.ix_([50, 500], [0.0, 0.5])
    forecast = fitted.forecast(n_synthetic=sizes, weight=weights)
    for line, column in zip(display.lines_, forecast.score.T, strict=True):
        np.testing.assert_array_equal(line.get_ydata(), column)
    assert display.ax_.get_xscale() == "log" and display.test_points_ is not None


def test_curve_against_the_weight_is_the_grid(fitted):
    display = SyntheticValueDisplay.from_estimator(fitted, kind="weight")
    (line,) = display.lines_
    order = np.argsort(fitted.weight_grid_[:, 0])
    np.testing.assert_array_equal(line.get_xdata(), fitted.weight_grid_[order, 0])
    np.testing.assert_array_equal(line.get_ydata(), fitted.accuracy_grid_.max(1)[order])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "real rows only" in labels and "everything mixed" in labels


def test_bad_displays(fitted):
    with pytest.raises(ValueError, match="kind"):
        SyntheticValueDisplay.from_estimator(fitted, kind="size")
    with pytest.raises(NotFittedError):
        SyntheticValueDisplay.from_estimator(SyntheticMixClassifier())
    data = make_synthetic_mix(40, 60, 5, random_state=0)
    plain = SyntheticMixClassifier().fit(data.X[:40], data.y[:40])
    with pytest.raises(ValueError, match="noise_rate_ is nan"):
        VerifierFrontierDisplay.from_estimator(plain)


def test_transition_is_the_theory():
    display = LabelNoiseTransitionDisplay.from_theory(1.2, (0.5, 0.05), alpha=2.0)
    assert display.critical == 0.5
    expected = synthetic_only_accuracy(
        20_000, 1000, 1.2, alpha=2.0, noise_rate=np.asarray(display.noise_rate)
    )
    np.testing.assert_allclose(display.lines_[1].get_ydata(), expected)
    assert len(display.lines_) == 3


def test_frontier_is_where_pruning_is_worth_nothing(fitted):
    display = VerifierFrontierDisplay.from_estimator(fitted, verifiers={"oracle": (1.0, 0.0)})
    (level,) = display.frontier_.levels
    assert level == pytest.approx(verifier_value(fitted.noise_rate_, 1, 1))
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert any(label.startswith("estimated") for label in labels)
    assert any(label.startswith("oracle") for label in labels)
