"""Features that say nothing of the labels: no classifier claims less than a guess."""

import numpy as np
import pytest

from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    StagedSGDClassifier,
    SyntheticMixClassifier,
)

CLASSIFIERS = [NoiseAwareLinearClassifier, StagedSGDClassifier, SyntheticMixClassifier]


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", ["ones", "zeros", "balanced"])
@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda c: c.__name__)
def test_useless_features(classifier, kind, n_classes):
    y = np.arange(120) % n_classes
    X = {
        "ones": np.ones((120, 2)),
        "zeros": np.zeros((120, 2)),
        "balanced": np.repeat(np.eye(2), 60, axis=0),
    }[kind]
    model = classifier().fit(X, y)
    assert model.regime_ == "undetected"
    for low, high in (model.theoretical_accuracy_interval_, model.observed_accuracy_interval_):
        assert low <= 1.0 / n_classes <= high
