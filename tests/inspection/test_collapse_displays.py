"""Displays of model collapse."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.collapse import CollapseForecaster
from skrmt.inspection import CollapseForecastDisplay, SafeAmountDisplay, TokenSurvivalDisplay
from skrmt.theory import collapse

pytest.importorskip("matplotlib")
COUNTS = np.array([[5, 3, 2], [4, 4, 0]])


def test_forecast_of_all_schemes_is_that_of_theory():
    display = CollapseForecastDisplay.from_theory(0.2, 12, n_real=9, window=3, n_generations=7)
    for scheme, line in display.lines_.items():
        options = {"window": 3} if scheme == "window" else {}
        real = 9 if scheme in ("partial", "fresh", "accumulate") else None
        wanted = collapse.diversity(scheme, np.arange(8), 0.2, 12, real, **options)
        assert np.array_equal(line.get_ydata(), wanted)
    assert display.ax_.get_xlabel() and display.ax_.get_ylabel()


def test_forecasts_are_drawn_with_simulated_chains():
    models = {
        "all": CollapseForecaster(n_generations=5).fit(COUNTS),
        "few": CollapseForecaster(n_synthetic=3, n_generations=5).fit(COUNTS),
    }
    display = CollapseForecastDisplay.from_estimators(models, n_chains=20, random_state=0)
    assert set(display.simulated) == {"all", "few"}
    assert np.array_equal(display.lines_["few"].get_ydata(), models["few"].theoretical_diversity_)
    assert len(display.ax_.containers) == 2
    single = CollapseForecastDisplay.from_estimators(models["all"])
    assert list(single.lines_) == ["full"] and not single.ax_.containers


def test_forecasts_must_agree_in_length():
    short, long = (CollapseForecaster(n_generations=g).fit(COUNTS) for g in (2, 4))
    with pytest.raises(ValueError, match="n_generations"):
        CollapseForecastDisplay.from_estimators({"a": short, "b": long})
    with pytest.raises(NotFittedError):
        CollapseForecastDisplay.from_estimators(CollapseForecaster())


def test_survival_is_drawn_by_rank():
    p = [0.2, 0.5, 0.3]
    display = TokenSurvivalDisplay.from_theory(p, 10, [1, 4])
    wanted = collapse.survival_probabilities([0.5, 0.3, 0.2], 10, 4)
    assert np.array_equal(display.lines_[4].get_ydata(), wanted)
    assert (np.diff(wanted) < 0).all()


def test_safe_amounts_end_where_any_is_safe():
    display = SafeAmountDisplay.from_theory(1000, tolerances=[0.1, 0.3, 0.6])
    amount = display.lines_["variance"].get_ydata()
    assert amount[0] == collapse.safe_synthetic_size(1000, 0.1) / 1000
    assert np.isnan(amount[-1])
    assert list(display.lines_) == ["variance"]
    assert set(SafeAmountDisplay.from_theory(10**6, support=9).lines_) == {
        "variance",
        "l1",
        "paper",
    }
