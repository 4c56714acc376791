"""Displays of tensor decompositions."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    FactorAlignmentDisplay,
    TensorScreeDisplay,
)

pytest.importorskip("matplotlib")
DATA = make_spiked_tensor((20, 24, 28), [5.0, 3.5], grams=0.4, random_state=0)


@functools.cache
def fitted(**parameters):
    """Return a model, fitted once: no test changes it."""
    return TensorDeflation(random_state=0, **parameters).fit(DATA.X)


@pytest.mark.parametrize("method", ["joint", "hotelling", "orthogonalized"])
def test_alignments_are_those_of_the_fit(method):
    model = fitted(method=method, gamma=0.7)
    display = FactorAlignmentDisplay.from_estimator(model, true_factors=DATA.factors)
    for mode, container in enumerate(display.predicted_):
        drawn = container.lines[0].get_ydata()
        np.testing.assert_allclose(drawn, model.theoretical_alignments_[:, mode])
    realised = np.array([line.get_ydata() for line in display.realised_]).T
    expected = factor_alignments(DATA.factors, model.factors_)
    np.testing.assert_allclose(realised, expected)
    assert (display.low <= display.predicted).all()
    assert (display.low < display.high).all()


def test_components_without_partner_are_left_out():
    model = fitted()
    one = [factor[:, :1] for factor in DATA.factors]
    display = FactorAlignmentDisplay.from_estimator(model, true_factors=one)
    assert np.isnan(display.realised[1]).all()
    assert np.isfinite(display.realised[0]).all()


def test_displays_of_noise_and_what_cannot_be_drawn():
    with pytest.raises(NotFittedError):
        FactorAlignmentDisplay.from_estimator(TensorDeflation())
    with pytest.raises(ValueError, match="true_factors"):
        FactorAlignmentDisplay.from_estimator(fitted(), true_factors=DATA.factors[:2])
    with pytest.raises(ValueError, match="shape"):
        FactorAlignmentDisplay([[0.9]], [[0.8]], [0.9]).plot()
    noise = make_spiked_tensor((20, 20, 20), [], random_state=0).X
    with pytest.warns(TheoryWarning):
        empty = TensorDeflation(random_state=0).fit(noise)
    with pytest.raises(ValueError, match="n_components_=0"):
        FactorAlignmentDisplay.from_estimator(empty)
    assert len(TensorScreeDisplay.from_estimator(empty).points_.get_offsets()) == 0


def test_scree_shows_values_and_thresholds():
    model = fitted()
    display = TensorScreeDisplay.from_estimator(model)
    np.testing.assert_allclose(display.points_.get_offsets()[:, 1], model.singular_values_)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["components", "best of what is left", "norm of noise", "edge of the bulk"]
    with pytest.raises(ValueError, match="detected"):
        TensorScreeDisplay([1.0, 2.0], [True], bulk_edge=1.6, noise_norm=1.7).plot()
