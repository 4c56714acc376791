"""A fit that raises leaves its estimator alone."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression

from skrmt.utils._fit import restore_on_failure
from skrmt.utils._sklearn_compat import _fit_context, validate_data


class Model(BaseEstimator):
    _parameter_constraints = {"fail": ["boolean"]}

    def __init__(self, fail=False):
        self.fail = fail

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        X = validate_data(self, X)
        self.mean_ = X.mean(axis=0)
        if self.fail:
            raise KeyboardInterrupt
        return self


def test_failed_fit_keeps_every_attribute():
    model = Model().fit(np.ones((2, 3)))
    before = vars(model).copy()
    for X in (np.zeros((2, 4)) * np.nan, "text", np.zeros((0, 4))):
        with pytest.raises((ValueError, TypeError)):
            model.fit(X)
        assert vars(model) == before


def test_interrupted_first_fit_leaves_nothing():
    model = Model(fail=True)
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.ones((2, 3)))
    assert vars(model) == {"fail": True}


def test_signature_and_result_are_those_of_fit():
    model = Model()
    assert model.fit(np.ones((2, 3))) is model
    assert "sample_weight" in Model._get_metadata_request(model).fit.requests


def test_callbacks_are_torn_down_when_fit_fails():
    callback = pytest.importorskip("sklearn.callback")
    torn_down = []

    class Watch:
        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            torn_down.append(True)

    class Watched(callback.CallbackSupportMixin, Model):
        @restore_on_failure
        @_fit_context(prefer_skip_nested_validation=True)
        def fit(self, X, y=None):
            self._init_callback_context()
            raise ValueError("always")

    model = Watched().set_callbacks(Watch())
    before = set(vars(model))
    with pytest.raises(ValueError, match="always"):
        model.fit(np.ones((2, 3)))
    assert torn_down == [True]
    assert set(vars(model)) == before


def test_public_scikit_learn_estimator_can_be_wrapped():
    class Safe(LogisticRegression):
        fit = restore_on_failure(LogisticRegression.fit)

    model = Safe().fit([[0.0], [1.0]], [0, 1])
    coef = model.coef_
    with pytest.raises(ValueError):
        model.fit([[0.0], [np.nan]], [0, 1])
    assert model.coef_ is coef
