"""What every subject shares: warnings at the caller's line, random numbers, units, intervals."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import cross_validate

from skrmt.utils import Forecast
from skrmt.utils._forecast import check_asked, first_reaching, unbanded
from skrmt.utils._intervals import normal_interval, wilson_interval
from skrmt.utils._random import fresh_random_state, random_generator, random_seed
from skrmt.utils._regimes import regime
from skrmt.utils._scaling import moderate_unit, power_of_two
from skrmt.utils._warnings import warn, warn_first


class Complaining(RidgeClassifier):
    def fit(self, X, y):
        warn_first(["the first", "the second"])
        return super().fit(X, y)


def test_a_warning_points_at_the_caller_through_scikit_learn_and_joblib(rng):
    with pytest.warns(match="the first") as caught:
        cross_validate(Complaining(), rng.standard_normal((20, 2)), np.arange(20) % 2, cv=2)
    # This class lies outside skrmt: its own line is the first one outside.
    assert {record.filename for record in caught} == {__file__}


def test_a_warning_of_skrmt_points_at_the_user():
    code = """
import warnings, numpy as np
warnings.filterwarnings("error", module="__main__")
from skrmt.model_selection import GeneralizationReport
from sklearn.linear_model import RidgeClassifier
try:
    GeneralizationReport(RidgeClassifier()).fit(np.eye(6)[:, :2], [0, 1] * 3)
except Warning as warning:
    print(type(warning).__name__)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "TheoryWarning"


def test_no_message_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_first([])
    with pytest.warns(RuntimeWarning, match="other"):
        warn("other", RuntimeWarning)


def test_none_leaves_the_global_seed_alone():
    before = np.random.get_state()[1].copy()
    draws = {random_seed(None), random_seed(None), int(random_generator(None).integers(2**62))}
    assert len(draws) == 3
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    assert random_seed(3) == random_seed(3)
    state = fresh_random_state(5)
    assert fresh_random_state(state) is state


def test_units_are_powers_of_two():
    for largest in (5e-324, 1e-310, 0.75, 1.0, 3.0, 1e300):
        unit = power_of_two(largest)
        assert np.frexp(unit)[0] == 0.5
        assert unit <= largest < 2 * unit or largest < 2**-1022
    assert power_of_two(0.0) == moderate_unit(0.0) == moderate_unit(1e20) == 1.0
    assert moderate_unit(1e70) == power_of_two(1e70)


def test_intervals_hold_their_share(rng):
    assert normal_interval(0.99, 0.1)[1] == 1.0
    shares = rng.binomial(200, 0.8, 4000) / 200
    low, high = np.transpose([wilson_interval(share, 200) for share in shares])
    held = np.mean((low <= 0.8) & (high >= 0.8))
    assert abs(held - 0.95) <= 4 * np.sqrt(0.95 * 0.05 / 4000) + 1 / 200


def test_a_forecast_is_a_table():
    pandas = pytest.importorskip("pandas")
    found = unbanded([0.8, 0.9], n_samples=np.array([10, 20]), noise_rates=(0.1, 0.2, 0.3))
    assert isinstance(found, Forecast)
    assert np.isnan(found.lower).all()
    frame = found.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame) == ["n_samples", "score", "lower", "upper"]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "detected"),
        ({"ambiguous": True}, "ambiguous"),
        ({"ambiguous": True, "misfit": True}, "misfit"),
        ({"misfit": True, "undetected": True}, "undetected"),
        ({"undetected": True, "too_few_rows": True, "misfit": True}, "too_few_rows"),
    ],
)
def test_the_first_regime_that_applies_is_reported(conditions, expected):
    assert regime(**conditions) == expected


def test_the_amount_at_which_a_score_is_reached():
    found = first_reaching(lambda n: 1 - 1 / n, 0.9, 1.0)
    assert found == pytest.approx(10, rel=1e-5)
    assert first_reaching(lambda n: 0.5 - 1 / n, 0.9, 1.0) == np.inf
    assert first_reaching(lambda n: n / n, 0.9, 2.0) == 2.0
    assert np.isnan(first_reaching(lambda n: n * np.nan, 0.9, 2.0))


def test_what_is_asked_for_is_known_and_not_given():
    choices = "n_samples", "n_views"
    check_asked("n_samples", choices, {"n_samples": None, "n_views": 3})
    for of in ("rows", None, ["n_samples"], 3):
        with pytest.raises(ValueError, match="must be 'n_samples' or 'n_views'"):
            check_asked(of, choices)
    with pytest.raises(ValueError, match="n_views=3 is given, but it is what of='n_views' asks"):
        check_asked("n_views", choices, {"n_views": 3})
