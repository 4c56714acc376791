"""Reports on estimators of which the whole is left out: any, and after any step."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    Ridge,
    RidgeClassifier,
)
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skrmt.model_selection import GeneralizationReport
from skrmt.model_selection._whole_folds import is_linear, row_results

pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore:The least populated class"),
]


def clouds(rng, n, n_classes=2, distance=1.0, n_features=5):
    """Gaussian classes."""
    y = rng.integers(0, n_classes, n)
    X = rng.standard_normal((n, n_features))
    X[:, 0] += distance * y
    return X, y


def assert_chance(claims, chance, draws):
    """Check that claims are those of a guess, to 4 standard errors."""
    assert abs(np.mean(claims) - chance) < 4.0 * np.std(claims, ddof=1) / np.sqrt(draws)


@pytest.mark.parametrize("last", [RidgeClassifier(), LogisticRegression()])
def test_a_selector_finds_nothing_in_noise(last):
    model, claims, found = make_pipeline(StandardScaler(), SelectKBest(k=10), last), [], 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((60, 400)), rng.integers(0, 2, 60)
        report = GeneralizationReport(model).fit(X, y)
        claims.append(report.theoretical_accuracy_)
        assert report.scores_kind_ == "folds"
        found += report.regime_ == "detected"
    assert_chance(claims, 0.5, 10)
    # At 2.5 %, three of ten come once in a thousand times.
    assert found < 3


def test_an_encoder_of_targets_finds_nothing_in_noise():
    model, claims = make_pipeline(TargetEncoder(smooth=1e-9, random_state=0), RidgeClassifier()), []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.integers(0, 60, (150, 4)).astype(str), rng.integers(0, 2, 150)
        claims.append(GeneralizationReport(model).fit(X, y).theoretical_accuracy_)
    assert_chance(claims, 0.5, 10)


@pytest.mark.parametrize(
    "model",
    [
        PLSRegression(2),
        make_pipeline(SelectKBest(f_regression, k=5), Ridge(0.1)),
        Lasso(0.1, random_state=0),
    ],
)
def test_noise_explains_no_variance(model):
    claims = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((60, 100)), rng.standard_normal(60)
        report = GeneralizationReport(model).fit(X, y)
        claims.append(report.theoretical_r2_)
    assert np.mean(claims) < 4.0 * np.std(claims, ddof=1) / np.sqrt(10)


MODELS = [
    DecisionTreeClassifier(max_depth=3, random_state=0),
    RandomForestClassifier(5, random_state=0),
    KNeighborsClassifier(7),
    GaussianNB(),
    SVC(random_state=0),
    LinearSVC(C=0.1, random_state=0),
    make_pipeline(PCA(3, random_state=0), LogisticRegression()),
    GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 100.0]}, cv=2),
    DecisionTreeRegressor(max_depth=3, random_state=0),
    KNeighborsRegressor(7),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_scores_are_those_of_fresh_rows(model):
    gaps, covered = [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        X, y = clouds(rng, 2120, 3, 1.5)
        report = GeneralizationReport(model).fit(X[:120], y[:120])
        truth, (low, high) = report.score(X[120:], y[120:]), report.theoretical_score_interval_
        gaps.append(report.theoretical_score_ - truth)
        covered.append(low <= truth <= high)
        assert report.scores_kind_ == "folds"
        assert len(report.held_out_scores_) == 120
    assert abs(np.mean(gaps)) < 4.0 * np.std(gaps, ddof=1) / np.sqrt(8)
    # Of 8 intervals of 95 % three fail once in two hundred times.
    assert sum(covered) >= 6


def test_which_steps_leave_the_closed_form():
    frame = make_column_transformer((OneHotEncoder(), [0]), remainder=StandardScaler())
    union = make_union(StandardScaler(), make_pipeline(StandardScaler(), "passthrough"))
    for steps in ([], [StandardScaler()], [frame], [union], [StandardScaler(), "passthrough"]):
        assert is_linear(make_pipeline(*steps, RidgeClassifier()))
    for step in (SelectKBest(), PCA(), TargetEncoder(), make_union(StandardScaler(), PCA())):
        assert not is_linear(make_pipeline(step, RidgeClassifier()))
    assert not is_linear(make_pipeline(StandardScaler(), SVC()))
    assert not is_linear(Ridge(positive=True))


def test_searches_of_linear_models_have_a_curve(rng):
    X, y = clouds(rng, 120)
    search = GridSearchCV(RidgeClassifier(), {"alpha": [1.0, 100.0]}, cv=3)
    report = GeneralizationReport(search).fit(X, y)
    assert report.scores_kind_ == "folds"
    assert np.isfinite(report.forecast(n_samples=[60, 1000]).score).all()


def test_scores_decide_as_the_estimator_does(rng):
    X, y = clouds(rng, 200, 2)
    for model in (FixedThresholdClassifier(LogisticRegression(), threshold=0.8), GaussianNB()):
        model.fit(X, y)
        decided, scores, _, _ = row_results(model, X, np.arange(2))
        np.testing.assert_array_equal(scores > 0, model.predict(X) == 1)
        np.testing.assert_array_equal(decided, model.predict(X))
    X, y = clouds(rng, 200, 3)
    for model in (
        SVC(random_state=0),
        SVC(decision_function_shape="ovo", random_state=0),
        KNeighborsClassifier(3),
    ):
        model.fit(X, y)
        decided, scores, _, _ = row_results(model, X, np.arange(3))
        np.testing.assert_array_equal(scores.argmax(1), model.predict(X))


@pytest.mark.parametrize("by", ["copies", "groups"])
def test_copies_and_groups_are_in_one_fold(by):
    """One neighbour knows copies, and rows nearly so, by heart."""
    claims = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = np.repeat(rng.standard_normal((40, 4)), 3, axis=0), np.repeat(np.arange(40) % 2, 3)
        given = {}
        if by == "groups":
            X, given = X + 1e-3 * rng.standard_normal(X.shape), {"groups": np.repeat(range(40), 3)}
        report = GeneralizationReport(KNeighborsClassifier(1)).fit(X, y, **given)
        assert report.n_effective_samples_ == pytest.approx(40)
        claims.append(report.theoretical_accuracy_)
    assert_chance(claims, 0.5, 10)


def test_frames_weights_and_names(rng):
    X, y = clouds(rng, 150)
    frame = pd.DataFrame(X, columns=list("abcde")).assign(kind=np.where(X[:, 1] > 0, "high", "low"))
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    tree = make_pipeline(columns, DecisionTreeClassifier(max_depth=3, random_state=0))
    labels = np.array(["no", "yes"])[y]
    report = GeneralizationReport(tree).fit(frame, labels)
    assert list(report.feature_names_in_) == [*"abcde", "kind"]
    weights = rng.integers(0, 3, 150).astype(float)
    weighted = GeneralizationReport(tree).fit(frame, labels, sample_weight=weights)
    assert np.isnan(weighted.held_out_scores_[weights == 0]).all()
    assert np.isfinite(weighted.held_out_scores_[weights > 0]).all()


class Fails(GaussianNB):
    """Refuse to be fitted to few rows."""

    def fit(self, X, y, sample_weight=None):
        """Fit to a hundred rows or more."""
        if len(X) < 100:
            raise ValueError("too few")
        return super().fit(X, y)


def test_what_cannot_be_left_out_is_named(rng):
    X, y = clouds(rng, 100)
    with pytest.raises(ValueError, match="too few") as caught:
        GeneralizationReport(Fails()).fit(X, y)
    assert caught.value.__notes__ == ["It was raised in fold 1 of 20 of the report."]
    y[0] = 7
    with pytest.raises(ValueError, match="y has class 7 in one row only"):
        GeneralizationReport(GaussianNB()).fit(X, y)


class Watch:
    """Count the folds that a callback is told of."""

    def __init__(self):
        self.told, self.folds = [], 0

    def setup(self, estimator, context):
        """Begin."""

    def teardown(self, estimator, context):
        """End."""

    def on_fit_task_begin(self, estimator, context):
        """Take the name of a task."""
        self.told.append(context.task_name)

    def on_fit_task_end(self, estimator, context):
        """Count what ends."""
        self.folds += context.task_name == "fold"


@pytest.mark.parametrize(("model", "n_folds"), [(GaussianNB(), 20), (RidgeClassifier(), 0)])
def test_callbacks_are_told_of_every_fold(rng, model, n_folds):
    pytest.importorskip("sklearn.callback")
    X, y = clouds(rng, 80)
    watch, plain = Watch(), GeneralizationReport(model).fit(X, y)
    report = GeneralizationReport(model).set_callbacks(watch).fit(X, y)
    assert watch.told == ["fit"] + bool(n_folds) * ["folds"] + n_folds * ["fold"]
    assert watch.folds == n_folds
    assert report.theoretical_score_ == plain.theoretical_score_
