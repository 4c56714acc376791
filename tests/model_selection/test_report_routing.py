"""Weights, groups and other parameters reach the estimators inside that take them."""

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import StackingClassifier, VotingClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skrmt.model_selection import GeneralizationReport

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


@pytest.fixture
def rows():
    """Features, labels, weights whose mean is 1, and groups."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.standard_normal((60, 4)) + y[:, None]
    weights = rng.uniform(0.1, 3.0, 60)
    return X, y, weights / weights.mean(), np.arange(60) // 5


def members():
    """Two classifiers, neither of which is linear in the labels."""
    return [
        ("ridge", RidgeClassifier()),
        ("tree", DecisionTreeClassifier(max_depth=2, random_state=0)),
    ]


def wrapped(ask):
    """Estimators that hand on weights, with a function that makes those inside ask for them."""
    stack = StackingClassifier([(n, ask(m)) for n, m in members()], ask(LogisticRegression()), cv=2)
    vote = VotingClassifier([(n, ask(m)) for n, m in members()])
    search = GridSearchCV(ask(LogisticRegression()), {"C": [0.1, 1.0]}, cv=2)
    return {"stack": stack, "vote": vote, "search": search}


def asks(model):
    """Let an estimator ask for weights in its fit."""
    return model.set_fit_request(sample_weight=True)


@pytest.mark.parametrize("name", ["stack", "vote", "search"])
@pytest.mark.parametrize("inside", [False, True], ids=["alone", "in_a_pipeline"])
def test_weights_reach_those_that_ask(rows, name, inside):
    X, y, weights, _ = rows
    with config_context(enable_metadata_routing=True):
        model = wrapped(asks)[name]
        if name == "search":
            model.scoring = None
            model.estimator.set_score_request(sample_weight=False)
        if inside:
            model = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        report = GeneralizationReport(model, cv=2).fit(X, y, sample_weight=weights)
        expected = clone(model).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))
    plain = GeneralizationReport(clone(model), cv=2).fit(X, y)
    assert not np.array_equal(report.held_out_scores_, plain.held_out_scores_)


@pytest.mark.parametrize("name", ["stack", "vote", "search"])
def test_weights_reach_all_without_routing(rows, name):
    X, y, weights, _ = rows
    model = wrapped(lambda inner: inner)[name]
    report = GeneralizationReport(model, cv=2).fit(X, y, sample_weight=weights)
    expected = clone(model).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))
    piped = make_pipeline(StandardScaler(), clone(model))
    report = GeneralizationReport(piped, cv=2).fit(X, y, sample_weight=weights)
    expected = clone(piped).fit(X, y, **{f"{piped.steps[-1][0]}__sample_weight": weights})
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))


def test_weights_reach_regressors(rows):
    X, _, weights, _ = rows
    y = X[:, 0] + X[:, 1] ** 2
    pipeline = make_pipeline(StandardScaler(), Ridge())
    turned = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    report = GeneralizationReport(turned, cv=2).fit(X, y, sample_weight=weights)
    expected = clone(turned).fit(X, y, ridge__sample_weight=weights)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))
    vote = VotingRegressor([("a", Ridge()), ("b", Ridge(10.0))])
    report = GeneralizationReport(vote, cv=2).fit(X, y, sample_weight=weights)
    expected = clone(vote).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))


def test_members_without_weights_are_named(rows):
    X, y, weights, _ = rows
    vote = VotingClassifier([*members(), ("near", KNeighborsClassifier())])
    with pytest.raises(ValueError, match="sample_weight is given, but the estimator takes none"):
        GeneralizationReport(vote, cv=2).fit(X, y, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        vote = VotingClassifier([(n, asks(m)) for n, m in members()] + [vote.estimators[-1]])
        report = GeneralizationReport(vote, cv=2).fit(X, y, sample_weight=weights)
        expected = clone(vote).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))


@pytest.mark.parametrize("routing", [False, True])
def test_groups_reach_the_folds_of_a_search(rows, routing):
    X, y, _, groups = rows
    search = GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 100.0]}, cv=GroupKFold(3))
    with config_context(enable_metadata_routing=routing):
        for model in (search, make_pipeline(StandardScaler(), search)):
            report = GeneralizationReport(model, cv=2).fit(X, y, groups=groups)
            found = report.estimator_[-1] if hasattr(report.estimator_, "steps") else None
            found = report.estimator_ if found is None else found
            features = X if found is report.estimator_ else StandardScaler().fit_transform(X)
            expected = clone(search).fit(features, y, groups=groups)
            for key in ("split0_test_score", "split2_test_score"):
                np.testing.assert_array_equal(found.cv_results_[key], expected.cv_results_[key])


@pytest.mark.parametrize("routing", [False, True])
def test_weights_and_groups_go_together(rows, routing):
    X, y, weights, groups = rows
    with config_context(enable_metadata_routing=routing):
        inner = RidgeClassifier()
        if routing:
            inner = asks(inner).set_score_request(sample_weight=False)
        search = GridSearchCV(inner, {"alpha": [1.0, 100.0]}, cv=GroupKFold(3))
        report = GeneralizationReport(search, cv=2)
        report.fit(X, y, sample_weight=weights, groups=groups)
        expected = clone(search).fit(X, y, sample_weight=weights, groups=groups)
    np.testing.assert_array_equal(report.predict(X), expected.predict(X))
    assert report.n_effective_samples_ < 13
