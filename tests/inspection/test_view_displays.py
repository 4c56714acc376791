"""Displays of multi-view clustering."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views
from skrmt.inspection import (
    ClusteringAccuracyDisplay,
    UnfoldingSpectrumDisplay,
    ViewWeightsDisplay,
)
from skrmt.theory import nested_tensor

pytest.importorskip("matplotlib")
SIZES = dict(n_samples=100, n_features=80, n_views=60)


@pytest.fixture(scope="module")
def model():
    data = make_nested_views(300, 100, separation=2.5, random_state=0)
    return NestedTensorClustering(random_state=0).fit(data.X)


def test_curves_are_those_of_theory():
    points = {"tensor": ([2.0, 3.0], [[0.7, 0.8], [0.85, 0.9]])}
    display = ClusteringAccuracyDisplay.from_theory(
        **SIZES, beta_t=0.4, betas=[1.0, 2.0, 3.0], points=points
    )
    for name, line in display.lines_.items():
        gap = nested_tensor.performance_gap(**SIZES, beta_t=0.4, beta_m=3.0)
        assert line.get_ydata()[-1] == getattr(gap, name)
    assert display.ax_.get_xlabel() and display.ax_.get_ylabel()
    with pytest.raises(ValueError, match="kmeans"):
        ClusteringAccuracyDisplay([1], {"kmeans": [0.5]}).plot()


def test_spectrum():
    values = np.random.default_rng(0).uniform(10, 30, 100)
    display = UnfoldingSpectrumDisplay.from_theory(
        **SIZES, beta_t=1.0, beta_m=3.0, eigenvalues=values
    )
    limit = nested_tensor.unfolding(**SIZES, beta_t=1.0, beta_m=3.0)
    assert display.isolated == limit.eigenvalue
    none = UnfoldingSpectrumDisplay.from_theory(**SIZES, beta_t=0.4, beta_m=3.0)
    assert np.isnan(none.isolated)


def test_weights(model):
    display = ViewWeightsDisplay.from_estimator(model, names=list("abcd"))
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_array_equal(heights, model.view_weights_)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list("abcd")
    with pytest.raises(ValueError, match="names"):
        ViewWeightsDisplay.from_estimator(model, names=["a"])
    with pytest.raises(NotFittedError):
        ViewWeightsDisplay.from_estimator(NestedTensorClustering())
