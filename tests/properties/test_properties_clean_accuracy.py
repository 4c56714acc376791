"""Properties of the accuracy on right labels that out-of-fold scores show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import model_selection

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.property_of("model_selection.clean_accuracy", "model_selection.CleanAccuracy")
@settings(max_examples=5)  # Each weighs fifty hypotheses twice.
@given(SEEDS, st.integers(2, 4), st.floats(0.1, 10.0))
def test_clean_accuracy_is_one_for_any_unit_and_its_parts_agree(seed, n_classes, unit):
    rng = np.random.default_rng(seed)
    y = np.arange(120) % n_classes
    scores = np.eye(n_classes)[y] * 1.5 + rng.standard_normal((120, n_classes))
    found = model_selection.clean_accuracy(scores, y)
    assert isinstance(found, model_selection.CleanAccuracy)
    low, high = found.accuracy_interval
    assert 0 <= low <= found.accuracy <= high <= 1
    assert 0 <= found.noise_probability <= 1
    np.testing.assert_allclose(found.noise_matrix.sum(axis=1), 1)
    np.testing.assert_allclose(found.label_posterior.sum(axis=1), 1)
    np.testing.assert_array_equal(found.label_quality, found.label_posterior[np.arange(120), y])
    other = model_selection.clean_accuracy(unit * scores + 1.0, y)
    np.testing.assert_allclose(other.accuracy, found.accuracy, rtol=1e-6)
