"""StagedSGDClassifier on rows of groups, which are left out together."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GroupKFold, cross_validate

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import Stage, StagedSGDClassifier
from skrmt.linear_model.staged_sgd._fit import Schedule
from skrmt.linear_model.staged_sgd._groups import scores_of_groups
from skrmt.linear_model.staged_sgd._input import staged_rows
from skrmt.utils._merging import group_folds

STAGES = [Stage(60, 8, 0.3, relative=True), Stage(60, 8, 0.3, "cosine", relative=True)]


def persons(rng, n_groups=60, n_rows=5, n_features=30, signal=0.12):
    """Rows of persons, near copies of a centre that depends little on the label of the person."""
    labels = np.arange(n_groups) % 2
    centres = rng.standard_normal((n_groups, n_features)) + signal * (2 * labels[:, None] - 1)
    X = np.repeat(centres, n_rows, axis=0)
    X += 0.05 * rng.standard_normal(X.shape)
    return X, np.repeat(labels, n_rows), np.repeat(np.arange(n_groups), n_rows)


def fitted(*data, stages=STAGES, **arguments):
    """Fit without warnings of theory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return StagedSGDClassifier(stages, random_state=0).fit(*data, **arguments)


@pytest.mark.parametrize("shape", [{}, {"n_groups": 40, "n_features": 60}])
def test_the_accuracy_is_that_of_fresh_groups(shape):
    gaps, alone = [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        X, y, groups = persons(rng, **shape)
        model, without = fitted(X, y, groups=groups), fitted(X, y)
        truth = model.score(*persons(rng, **(shape | {"n_groups": 2000, "n_rows": 1}))[:2])
        gaps.append(model.theoretical_accuracy_ - truth)
        alone.append(without.theoretical_accuracy_ - truth)
    assert np.mean(alone) > 0.15
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / 4
    assert model.n_effective_samples_ == pytest.approx(shape.get("n_groups", 60))
    low, high = model.theoretical_accuracy_interval_
    assert high - low > 0.15
    # The steps are those without groups.
    np.testing.assert_array_equal(model.coef_, without.coef_)
    np.testing.assert_array_equal(model.theoretical_loss_curve_, without.theoretical_loss_curve_)


@pytest.mark.parametrize("n_features", [6, 80])
def test_scores_are_those_of_the_mean_fit_without_a_fold(rng, n_features):
    X, y, groups = persons(rng, n_groups=12, n_features=n_features)
    targets = (2.0 * y - 1)[:, None]
    stages = [
        STAGES[0],
        Stage(40, 4, 0.02, weight_decay=0.5, momentum=0.6),
        Stage(20, 4, 0.01, momentum=0.9),
    ]
    rows = staged_rows(X, targets, None, None, groups)
    schedule = Schedule(rows, stages, True)
    scores, size = scores_of_groups(schedule.steps, rows.X, rows, True)
    assert size == pytest.approx(12)
    out = group_folds(groups, y, 20) == 3
    centred, values = X[~out] - X[~out].mean(0), targets[~out] - targets[~out].mean()
    weights = velocity = np.zeros((n_features, 1))
    for step in schedule.steps:
        for rate in step.rates:
            gradient = centred.T @ (centred @ weights - values) / len(values)
            velocity = step.momentum * velocity + gradient
            weights = weights - rate * (velocity + step.weight_decay * weights)
    expected = (X[out] - X[~out].mean(0)) @ weights + targets[~out].mean()
    np.testing.assert_allclose(scores[out], expected, rtol=1e-8)


def test_groups_of_one_row_are_no_groups(rng):
    X, y, groups = persons(rng, n_groups=90, n_rows=1, n_features=5)
    one, other = fitted(X, y, groups=groups), fitted(X, y)
    assert one.theoretical_accuracy_ == other.theoretical_accuracy_
    assert one.n_effective_samples_ == other.n_effective_samples_
    np.testing.assert_array_equal(one.coef_, other.coef_)


def test_the_order_of_rows_and_rows_of_no_weight_do_not_matter(rng):
    X, y, groups = persons(rng, n_features=8)
    kept = groups != 7
    once = fitted(X[kept], y[kept], groups=groups[kept])
    order = rng.permutation(len(y))
    other = fitted(X[order], y[order], kept[order], groups=groups[order])
    assert other.theoretical_accuracy_ == pytest.approx(once.theoretical_accuracy_, rel=1e-9)
    assert other.n_effective_samples_ == pytest.approx(59)
    np.testing.assert_allclose(
        other.theoretical_accuracy_interval_, once.theoretical_accuracy_interval_
    )


def test_weights_are_repeats(rng):
    X, y, groups = persons(rng, n_groups=30, n_features=4)
    counts = rng.integers(0, 3, len(y))
    one = fitted(X, y, counts, groups=groups)
    other = fitted(
        *(np.repeat(a, counts, axis=0) for a in (X, y)), groups=np.repeat(groups, counts)
    )
    assert other.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, rel=1e-9)
    assert other.n_effective_samples_ == pytest.approx(one.n_effective_samples_)


def test_three_classes(rng):
    X, y, groups = persons(rng, n_groups=90, n_features=5, signal=0.5)
    y = y + (groups % 3 == 0) * (X[:, 0] > 0)
    model = fitted(X, y, groups=groups)
    assert 0.4 < model.theoretical_accuracy_ < fitted(X, y).theoretical_accuracy_


def test_what_cannot_be_left_out_is_refused(rng):
    X, y, groups = persons(rng, n_features=3)
    model = fitted(X, y, groups=groups)
    before = dict(vars(model))
    for wrong, message in [
        (groups[:5], "give one group per row"),
        (np.zeros(len(y)), "one group only"),
        (np.where(groups == 1, np.nan, groups), "groups has a missing"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(X[:, :2], y, groups=wrong)
    assert vars(model) == before
    source = np.where(groups == 5, "a", "b")
    stages = [Stage(20, 4, 0.1, relative=True, mixture={"a": 1.0, "b": 0.0})]
    with pytest.raises(ValueError, match="so few groups"):
        fitted(X, y, stages=stages, sample_source=source, groups=groups)


def test_groups_are_routed(rng):
    X, y, groups = persons(rng, n_features=3)
    with config_context(enable_metadata_routing=True):
        model = StagedSGDClassifier(random_state=0).set_fit_request(groups=True)
        found = cross_validate(
            model, X, y, cv=GroupKFold(3), params={"groups": groups}, return_estimator=True
        )
    assert found["estimator"][0].n_effective_samples_ == pytest.approx(40)
