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


@pytest.mark.property_of("model_selection.audit", "model_selection.Audit")
@settings(max_examples=5)
@given(SEEDS)
def test_audit_is_one_for_any_index_and_way_of_writing_numbers(seed):
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    X = rng.standard_normal((60, 3)) + y[:, None]
    frame = pandas.DataFrame(X, columns=list("abc")).assign(label=y)
    found = model_selection.audit(frame, target="label")
    assert isinstance(found, model_selection.Audit)
    assert found.rows["probability_wrong"].between(0.0, 0.99).all()
    assert found.accuracy["score"].dropna().between(0.0, 1.0).all()
    written = frame.assign(b=[f"$ {value!r}" for value in frame["b"].tolist()], constant=7)
    other = model_selection.audit(written.set_axis(range(100, 160)), target="label")
    np.testing.assert_allclose(other.accuracy, found.accuracy, rtol=1e-9)
    np.testing.assert_array_equal(other.rows.index, found.rows.index + 100)
