"""Properties of what every subject shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from skrmt.utils import Forecast

scores = arrays(float, st.tuples(st.integers(1, 4), st.integers(1, 3)), elements=st.floats(0, 1))


@given(scores)
@pytest.mark.property_of("utils.Forecast")
def test_forecast_has_a_row_per_prediction(score):
    amounts = np.arange(score.shape[0])[:, None]
    conditions = {"n_samples": amounts, "noise_rates": np.zeros((*score.shape, 2))}
    frame = Forecast(score, score - 0.1, score + 0.1, conditions).to_frame()
    assert list(frame) == ["n_samples", "score", "lower", "upper"]
    np.testing.assert_array_equal(frame["score"], score.ravel())
    assert (frame.groupby("n_samples").size() == score.shape[1]).all()
    assert (frame["lower"] <= frame["upper"]).all()
