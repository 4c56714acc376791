"""Metrics of reports: those of scikit-learn on rows left out, and their intervals."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestRegressor, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import get_scorer, make_scorer, precision_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from skrmt.datasets import flip_labels, make_noisy_mixture
from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import GeneralizationReport, ReportDisplay, clean_accuracy
from skrmt.model_selection._accuracy import read_labels
from skrmt.model_selection._growth import fitted_growth
from skrmt.model_selection._input import read_rows
from skrmt.model_selection._metrics import claim, metric_names, read_sample
from skrmt.model_selection._rounds import one_round
from skrmt.model_selection._whole_folds import part_rounds

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def clouds(rng, n, n_classes=2, distance=1.5, shares=None):
    """Gaussian classes in five features."""
    y = rng.choice(n_classes, n, p=shares)
    X = rng.standard_normal((n, 5))
    X[:, 0] += distance * y
    return X, y


def counted(y, scores, *, shares=None, smooth=False):
    """A round in which every row is out, and its rows."""
    decided = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)
    some = one_round(decided, scores, ranks=scores, shares=shares, smooth=smooth)
    labels = read_labels(y, np.ones(len(y)), np.array(0.0))
    return (some,), read_sample(y, np.ones(len(y)), float(len(y)), labels)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_counted_metrics_are_those_of_scikit_learn(rng, n_classes):
    from sklearn import metrics as m

    y = rng.integers(0, n_classes, 200)
    shares = rng.dirichlet(np.ones(n_classes), 200) * 0.5 + 0.5 * np.eye(n_classes)[y]
    shares = 0.5 * shares + 0.5 * rng.dirichlet(np.ones(n_classes), 200)
    scores = np.log(shares[:, 1] / shares[:, 0]) if n_classes == 2 else np.log(shares)
    rounds, sample = counted(y, scores, shares=shares)
    predicted = shares.argmax(1)
    expected = {
        "accuracy": m.accuracy_score(y, predicted),
        "balanced_accuracy": m.balanced_accuracy_score(y, predicted),
        "neg_log_loss": -m.log_loss(y, shares),
        "neg_brier_score": -((shares - np.eye(n_classes)[y]) ** 2).sum(1).mean(),
    }
    if n_classes == 2:
        expected["neg_brier_score"] = -m.brier_score_loss(y, shares[:, 1])
        expected["f1"] = m.f1_score(y, predicted)
        expected["roc_auc"] = m.roc_auc_score(y, scores)
        expected["average_precision"] = m.average_precision_score(y, scores)
    else:
        expected["f1_macro"] = m.f1_score(y, predicted, average="macro")
        expected["roc_auc_ovr"] = m.roc_auc_score(y, shares, multi_class="ovr")
    assert set(metric_names(sample, rounds)) == set(expected)
    for name, value in expected.items():
        found = claim(name, rounds, sample)
        assert found.score == pytest.approx(value, rel=1e-12)
        assert found.low < found.score < found.high


def test_guesses_are_those_of_a_constant(rng):
    X, y = clouds(rng, 300, shares=[0.3, 0.7])
    X_fresh = np.zeros((300, 5))
    dummy = DummyClassifier().fit(X, y)
    report = GeneralizationReport(LogisticRegression()).fit(X, y)
    table = report.to_frame()
    for name in ("accuracy", "balanced_accuracy", "f1", "roc_auc", "neg_log_loss"):
        guess = get_scorer(name)(dummy, X_fresh, y)
        assert table.loc[name, "baseline"] == pytest.approx(guess, abs=1e-9)
    assert table.loc["neg_brier_score", "baseline"] == pytest.approx(-0.21, abs=0.02)


def test_perfect_ranks_are_no_certainty(rng):
    y = np.arange(60) % 2
    rounds, sample = counted(y, 2.0 * y - 1.0 + 0.1 * rng.random(60))
    for name in ("roc_auc", "average_precision"):
        found = claim(name, rounds, sample)
        assert found.score == found.high == 1.0
        assert 0.7 < found.low < 0.98
    rounds, sample = counted(y, 1.0 - 2.0 * y + 0.1 * rng.random(60))
    found = claim("roc_auc", rounds, sample)
    assert found.score == found.low == 0.0 and 0.02 < found.high < 0.3


def test_tiny_probabilities_rank_rows(rng):
    """Those of naive Bayes are often below 1e-9, and not ties."""
    y = np.arange(400) % 2
    X = np.repeat(rng.standard_normal((400, 1)) + 0.6 * y[:, None], 60, axis=1)
    report = GeneralizationReport(GaussianNB(), scoring="roc_auc").fit(X[:200], y[:200])
    truth = get_scorer("roc_auc")(report.estimator_, X[200:], y[200:])
    ranked = get_scorer("roc_auc")(GaussianNB().fit(X[:200, :1], y[:200]), X[200:, :1], y[200:])
    assert abs(report.theoretical_score_ - truth) < 0.12
    assert abs(truth - ranked) < 0.01


@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(random_state=0),
        SVC(class_weight="balanced", random_state=0),
        GaussianNB(priors=[0.5, 0.5]),
    ],
    ids=lambda model: type(model).__name__,
)
def test_rare_classes_of_noise_are_not_recalled(model):
    """Calibrated probabilities are as rare as the class."""
    gaps, found = {"balanced_accuracy": [], "f1": []}, 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        y = (rng.random(3150) < 0.1).astype(int)
        X = rng.standard_normal((3150, 3))
        report = GeneralizationReport(model, scoring="f1").fit(X[:150], y[:150])
        for name in gaps:
            truth = get_scorer(name)(report.estimator_, X[150:], y[150:])
            gaps[name].append(report.theoretical_scores_[name][0] - truth)
        guess = report.to_frame().loc["accuracy", "baseline"]
        assert guess == pytest.approx(1.0 - y[:150].mean())
        found += report.regime_ == "detected"
    for gap in gaps.values():
        assert abs(np.mean(gap)) < 4.0 * np.std(gap) / 4.0 + 0.02
    assert found < 5


def test_scores_without_an_error_are_not_certain(rng):
    y = np.arange(60) % 2
    X = rng.standard_normal((60, 3))
    X[:, 0] += 8.0 * y
    tree = GeneralizationReport(DecisionTreeClassifier(random_state=0)).fit(X, y)
    for score, low, high in tree.theoretical_scores_.values():
        assert low < score <= high
    line = GeneralizationReport(DecisionTreeRegressor(random_state=0)).fit(X, y.astype(float))
    for score, low, high in line.theoretical_scores_.values():
        assert low < score <= high
    report = GeneralizationReport(LogisticRegression(), scoring="precision").fit(X, y)
    assert report.theoretical_score_interval_[0] < 0.97


def test_scorers_of_ones_own_have_no_bounds(rng):
    X, y = clouds(rng, 80)

    def f1_in_thousands(model, X, y):
        return 1000.0 + 1000.0 * model.score(X, y)

    report = GeneralizationReport(GaussianNB(), scoring=f1_in_thousands).fit(X, y)
    low, high = report.theoretical_score_interval_
    assert low < report.theoretical_score_ < high
    assert high > 1500.0


def test_equal_targets_are_dealt_out_whatever_their_order(rng):
    X, y = rng.standard_normal((80, 3)), np.round(rng.standard_normal(80))
    order = rng.permutation(80)
    here = GeneralizationReport(KNeighborsRegressor()).fit(X, y)
    there = GeneralizationReport(KNeighborsRegressor()).fit(X[order], y[order])
    assert there.theoretical_r2_ == pytest.approx(here.theoretical_r2_, abs=1e-9)


def test_searches_among_estimators_have_the_curve_of_the_one_chosen(rng):
    X = rng.uniform(-1, 1, (200, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    steps = Pipeline([("model", LogisticRegression())])
    search = GridSearchCV(steps, {"model": [SVC(C=10.0, random_state=0)]}, cv=3)
    for model in (search, make_pipeline(StandardScaler(), search)):
        report = GeneralizationReport(model).fit(X, y)
        score = report.forecast(n_samples=[100, 200, 800]).score
        assert score[0] < score[1] <= score[2]
        assert score[1] > 0.8


def test_copies_for_estimators_that_take_no_weights(rng):
    X, y = clouds(rng, 60)
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    search = GridSearchCV(inner, {"logisticregression__C": [1.0, 3.0]}, cv=3)
    for model in (make_pipeline(StandardScaler(), search), StackingClassifier([("a", inner)])):
        report = GeneralizationReport(model, cv=3).fit(np.r_[X, X[:20]], np.r_[y, y[:20]])
        assert report.n_effective_samples_ < 60


def test_searches_over_groups_are_given_them(rng):
    X, y = clouds(rng, 60)
    groups = np.repeat(np.arange(20), 3)
    search = GridSearchCV(SVC(random_state=0), {"C": [0.1, 1.0]}, cv=GroupKFold(3))
    report = GeneralizationReport(search).fit(X, y, groups=groups)
    assert report.n_effective_samples_ == pytest.approx(20)
    assert report.estimator_.n_splits_ == 3


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (FrozenEstimator(GaussianNB()), TypeError, "ends in a FrozenEstimator"),
        (SVC(kernel="precomputed"), ValueError, "precomputed distances or a kernel"),
        (GridSearchCV(SVC(), {"C": [1.0]}, refit=False), ValueError, "refit=False"),
        (
            make_pipeline("passthrough", GridSearchCV(SVC(), {"C": [1.0]}, refit=False)),
            ValueError,
            "refit=False",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_reported_is_named(rng, model, error, message):
    X, y = clouds(rng, 60)
    with pytest.raises(error, match=message):
        GeneralizationReport(model).fit(X, y)


@pytest.mark.parametrize("kind", [sparse.coo_matrix, sparse.bsr_array, sparse.dia_array])
def test_sparse_formats(rng, kind):
    X, y = clouds(rng, 60)
    weights = np.arange(60) % 3
    report = GeneralizationReport(LogisticRegression())
    report.fit(kind(np.where(X > 1, X, 0.0)), y, sample_weight=weights)
    assert np.isnan(report.held_out_scores_[weights == 0]).all()


DRAWS = 300


@pytest.mark.parametrize("n", [40, 150])
@pytest.mark.parametrize("share", [0.5, 0.15])
def test_intervals_contain_what_fresh_rows_show(n, share):
    """Of 95 % intervals of a fixed classifier at most 10 % miss, with 4 standard errors."""
    names = ("accuracy", "balanced_accuracy", "f1", "roc_auc", "average_precision")
    names += ("neg_log_loss", "neg_brier_score")
    rng = np.random.default_rng(0)

    def draw(size):
        y = (rng.random(size) < share).astype(int)
        scores = 1.6 * (y - 0.5) + rng.standard_normal(size) + np.log(share / (1 - share))
        positive = 1 / (1 + np.exp(-1.3 * scores))
        return counted(y, scores, shares=np.stack([1 - positive, positive], axis=1))

    truth = {name: claim(name, *draw(200_000)).score for name in names}
    covered = dict.fromkeys(names, 0)
    for _ in range(DRAWS):
        rounds, sample = draw(n)
        if sample.y.sum() < 3:
            sample.y[:3], _ = 1, None
        for name in names:
            found = claim(name, rounds, sample)
            covered[name] += found.low <= truth[name] <= found.high
    least = 0.9 - 4 * np.sqrt(0.9 * 0.1 / DRAWS)
    assert min(covered.values()) >= least * DRAWS, covered


@pytest.mark.parametrize("n", [40, 150])
def test_intervals_of_regressions(n):
    names = ("r2", "neg_mean_squared_error", "neg_mean_absolute_error")
    rng = np.random.default_rng(0)

    def draw(size):
        signal = rng.standard_normal(size)
        y = signal + 0.7 * rng.standard_normal(size)
        return (one_round(signal, signal),), read_sample(y, np.ones(size), float(size))

    truth = {name: claim(name, *draw(200_000)).score for name in names}
    covered = dict.fromkeys(names, 0)
    for _ in range(DRAWS):
        rounds, sample = draw(n)
        for name in names:
            found = claim(name, rounds, sample)
            covered[name] += found.low <= truth[name] <= found.high
    assert min(covered.values()) >= (0.93 - 4 * np.sqrt(0.93 * 0.07 / DRAWS)) * DRAWS, covered


def test_smoothing_keeps_the_mean_and_narrows_the_spread():
    """Half of the confusion is that of calibrated scores, which are right here."""
    rng, found = np.random.default_rng(0), {True: [], False: []}
    for _ in range(400):
        y = rng.integers(0, 2, 60)
        scores = 1.5 * (2 * y - 1) + 1.5 * rng.standard_normal(60)
        for smooth in found:
            rounds, sample = counted(y, scores, smooth=smooth)
            found[smooth].append(claim("accuracy", rounds, sample).score)
    smoothed, plain = np.array(found[True]), np.array(found[False])
    gap = smoothed - plain
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(400) + 0.005
    assert smoothed.std() < 0.95 * plain.std()


@pytest.mark.parametrize("estimator", [RidgeClassifier(20.0), GaussianNB()])
def test_smoothing_keeps_the_mean_where_odds_level_off(estimator):
    """A tenth of wrong labels: log-odds that are linear in scores take .02 from every claim."""
    gaps = []
    for seed in range(25):
        X, y, _, _ = make_noisy_mixture(3300, 20, noise_rates=0.1, random_state=seed)
        report = GeneralizationReport(estimator).fit(X[:300], y[:300])
        gaps.append(report.theoretical_score_ - report.score(X[300:], y[300:]))
    assert abs(np.mean(gaps)) < 4.0 * np.std(gaps, ddof=1) / 5.0


def test_metrics_on_clean_labels():
    """Confusions are unmixed by the rates of wrong labels."""
    X, clean, _, _ = make_noisy_mixture(6000, 5, noise_rates=None, random_state=0)
    clean = np.unique(clean, return_inverse=True)[1]
    noisy = flip_labels(clean, [[0.9, 0.1], [0.3, 0.7]], random_state=1)
    report = GeneralizationReport(
        LogisticRegression(), scoring="balanced_accuracy", noise_rates=[0.1, 0.3]
    ).fit(X[:2000], noisy[:2000])
    assert list(report.theoretical_scores_) == ["accuracy", "balanced_accuracy", "f1"]
    for name, (score, low, high) in report.theoretical_scores_.items():
        truth = get_scorer(name)(report.estimator_, X[2000:], clean[2000:])
        assert low < truth < high
        assert high - low < 0.12
        assert score > get_scorer(name)(report.estimator_, X[2000:], noisy[2000:]) + 0.1
    low, high = report.observed_score_interval_
    assert low < get_scorer("balanced_accuracy")(report.estimator_, X[2000:], noisy[2000:]) < high


def test_noise_is_estimated_from_the_scores_of_any_classifier():
    X, clean, _, _ = make_noisy_mixture(3000, 5, noise_rates=None, random_state=0)
    noisy = flip_labels(clean, [[0.95, 0.05], [0.35, 0.65]], random_state=1)
    model = GaussianNB()
    report = GeneralizationReport(model, noise_rates="estimate").fit(X[:600], noisy[:600])
    found = report.clean_accuracy_
    assert report.theoretical_score_ == found.accuracy
    low, high = report.theoretical_score_interval_
    assert low <= report.score(X[600:], clean[600:]) <= high
    assert found.noise_rates[1] > found.noise_rates[0]
    again = clean_accuracy(report.held_out_scores_, noisy[:600])
    assert again.observed_accuracy == pytest.approx(report.observed_accuracy_, abs=0.03)
    assert report.to_dict()["noise"]["rates"] == found.noise_rates.tolist()
    forecast = report.forecast(n_samples=[300, 600, 2400])
    assert forecast.score[1] == pytest.approx(report.theoretical_score_)
    assert (np.diff(forecast.score) >= 0).all()


@pytest.mark.parametrize(
    "cv", [StratifiedKFold(5), 4, KFold(5, shuffle=True, random_state=0), ShuffleSplit(6)], ids=str
)
def test_other_scorers_are_those_of_cross_validation(rng, cv):
    X, y = clouds(rng, 120, 3)
    if isinstance(cv, ShuffleSplit):
        cv.random_state = 0
    report = GeneralizationReport(GaussianNB(), scoring="f1_weighted", cv=cv).fit(X, y)
    assert np.isnan(report.baseline_score_) and report.scores_kind_ == "folds"
    low, high = report.theoretical_score_interval_
    assert low < report.theoretical_score_ < high <= 1.0
    if not isinstance(cv, int):
        expected = cross_val_score(GaussianNB(), X, y, scoring="f1_weighted", cv=cv)
        assert report.theoretical_score_ == pytest.approx(expected.mean(), abs=1e-12)
        splits = list(cv.split(X, y))
        other = GeneralizationReport(GaussianNB(), scoring="f1_weighted", cv=splits).fit(X, y)
        assert other.theoretical_score_ == report.theoretical_score_


def test_a_scorer_of_ones_own(rng):
    X, y = clouds(rng, 120)
    scorer = make_scorer(precision_score)
    report = GeneralizationReport(GaussianNB(), scoring=scorer).fit(X, y)
    named = GeneralizationReport(GaussianNB(), scoring="precision").fit(X, y)
    assert report.theoretical_score_ == named.theoretical_score_
    assert named.regime_ == "detected"
    assert np.isfinite(named.forecast(n_samples=300).score)


def test_repeats_and_rows_that_are_never_out(rng):
    X, y = clouds(rng, 90)
    cv = RepeatedStratifiedKFold(n_splits=3, n_repeats=4, random_state=0)
    report = GeneralizationReport(GaussianNB(), cv=cv).fit(X, y)
    assert report.n_fits_ == 13 and np.isfinite(report.held_out_scores_).all()
    report = GeneralizationReport(GaussianNB(), cv=[(np.arange(45), np.arange(45, 90))]).fit(X, y)
    assert np.isnan(report.held_out_scores_[:45]).all()
    assert np.isfinite(report.held_out_scores_[45:]).all()
    for cv, message in (
        ([(np.arange(60), np.arange(45, 90))], "rows in training and test of a split"),
        ([], "has no split"),
        ([(np.arange(60), np.arange(60, 91))], "does not number rows of X"),
        ([(np.arange(60), [])], "does not number rows of X|without training or test rows"),
    ):
        with pytest.raises(ValueError, match=message):
            GeneralizationReport(GaussianNB(), cv=cv).fit(X, y)


def test_folds_follow_from_what_rows_hold(rng):
    X, y = clouds(rng, 100, 3)
    model = DecisionTreeClassifier(max_depth=3, random_state=0)
    report = GeneralizationReport(model).fit(X, y)
    order = rng.permutation(100)
    other = GeneralizationReport(model).fit(X[order], y[order])
    np.testing.assert_array_equal(other.held_out_scores_, report.held_out_scores_[order])
    # Sums over rows in another order round otherwise.
    for name, found in report.theoretical_scores_.items():
        np.testing.assert_allclose(other.theoretical_scores_[name], found, rtol=1e-9)
    with parallel_config("threading"):
        parallel = GeneralizationReport(model, n_jobs=2).fit(X, y)
    assert parallel.theoretical_scores_ == report.theoretical_scores_
    dealt = GeneralizationReport(model, random_state=1).fit(X, y)
    assert (dealt.held_out_scores_ != report.held_out_scores_).any()
    again = GeneralizationReport(model, random_state=1).fit(X, y)
    np.testing.assert_array_equal(dealt.held_out_scores_, again.held_out_scores_)


@pytest.mark.parametrize(
    ("model", "scoring", "message"),
    [
        (RidgeClassifier(), "neg_log_loss", "scoring='neg_log_loss' needs an estimator with"),
        (GaussianNB(), "f1", "needs two classes: give 'f1_macro'"),
        (GaussianNB(), "roc_auc", "needs two classes and an estimator with"),
        (GaussianNB(), "no_such_score", "no_such_score"),
        (GaussianNB(), ["accuracy"], "scoring"),
    ],
)
def test_metrics_that_there_are_not(model, scoring, message):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match=message):
        GeneralizationReport(model, scoring=scoring).fit(X, y)


def test_areas_need_scores(rng):
    X, y = clouds(rng, 60)

    votes = VotingClassifier([("a", GaussianNB()), ("b", KNeighborsClassifier())])
    with pytest.raises(ValueError, match="scoring='roc_auc' needs two classes and an estimator"):
        GeneralizationReport(votes, scoring="roc_auc").fit(X, y)


def test_noise_and_metrics_that_do_not_meet(rng):
    X, y = clouds(rng, 60)
    for rates, scoring in ((0.1, "roc_auc"), ("estimate", "f1")):
        with pytest.raises(ValueError, match="not known on clean labels"):
            GeneralizationReport(GaussianNB(), scoring=scoring, noise_rates=rates).fit(X, y)


class Recording(KNeighborsClassifier):
    """Remember the metadata of a fit."""

    def fit(self, X, y, tags=None, verbose=False):
        """Fit, and keep the tags."""
        self.tags_, self.verbose_ = tags, verbose
        if tags is not None:
            np.testing.assert_array_equal(tags, X[:, 0])
        return super().fit(X, y)


def test_parameters_of_fits_go_with_their_rows(rng):
    X, y = clouds(rng, 60)
    report = GeneralizationReport(Recording()).fit(X, y, tags=X[:, 0], verbose=True)
    assert report.estimator_.verbose_ is True and len(report.estimator_.tags_) == 60
    report.forecast(n_samples=100)
    steps = make_pipeline("passthrough", Recording())
    GeneralizationReport(steps).fit(X, y, recording__tags=X[:, 0])


def test_documents(rng):
    y = np.arange(80) % 2
    words = [["bad", "good"][k if rng.random() < 0.8 else 1 - k] for k in y]
    texts = [f"{word} {rng.integers(1000)}" for word in words]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    scores = [
        GeneralizationReport(model).fit(X, y).theoretical_score_
        for X in (texts, np.array(texts), pd.Series(texts))
    ]
    assert scores[0] == scores[1] == scores[2]
    assert 0.6 < scores[0] < 1.0


def test_indicators_of_few_rows_are_scaled_without_them(rng):
    """Scaled on all rows, a word that two rows have gives each away."""
    X = (rng.random((80, 600)) < 0.015).astype(float)
    y = np.arange(80) % 2
    model = make_pipeline(StandardScaler(), RidgeClassifier())
    assert GeneralizationReport(model).fit(X, y).scores_kind_ == "folds"
    assert GeneralizationReport(RidgeClassifier()).fit(X, y).scores_kind_ == "exact"


def test_areas_of_noise_are_a_half():
    """Without its row a class is rarer, and the intercept lower: a rank for it is taken back."""
    areas = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((30, 3)), np.arange(30) % 2
        for model in (RidgeClassifier(30.0), LogisticRegression(C=0.1)):
            report = GeneralizationReport(model, scoring="roc_auc").fit(X, y)
            assert report.scores_kind_ in ("exact", "newton")
            areas.append(report.theoretical_score_)
    areas = np.array(areas).reshape(60, 2).mean(1)
    areas = areas[np.isfinite(areas)]
    assert len(areas) > 30
    assert abs(areas.mean() - 0.5) < 4 * areas.std() / np.sqrt(len(areas))


def test_power_laws_through_scores_are_found():
    """Each law by weighted least squares, and as likely as its misfit leaves it."""
    sizes, values = np.array([400.0, 100.0, 200.0]), np.array([0.85, 0.70, 0.80])
    errors = np.array([0.01, 0.02, 0.01])
    found = fitted_growth(sizes, values, errors, "accuracy")
    # A twentieth of the rise is the misfit of any power law.
    weights, slopes, likely = 1.0 / (errors**2 + (0.05 * 0.15) ** 2 + 1e-12), [], []
    for exponent in (0.25, 0.5, 1.0, 2.0):
        u = -((sizes / 400.0) ** -exponent)
        slope, level = np.polyfit(u, values, 1, w=np.sqrt(weights))
        slopes.append(slope)
        likely.append(np.exp(-0.5 * weights @ (values - level - slope * u) ** 2))
    likely = np.array(likely) / np.sum(likely)
    np.testing.assert_allclose(found.slopes, slopes, rtol=1e-8)
    np.testing.assert_allclose(found.weights, likely, rtol=1e-8)
    present = np.array([0.85, 0.80, 0.89])
    score, low, high = found.scores(present, np.array([100.0, 400.0, 800.0, 1600.0]))
    expected = 0.85 + likely @ (slopes * (1.0 - 2.0 ** -np.array([0.25, 0.5, 1.0, 2.0])))
    assert score[2] == pytest.approx(expected, rel=1e-8)
    np.testing.assert_allclose([score[1], low[1], high[1]], present, rtol=1e-12)
    assert (np.diff(score) > 0).all() and (low < score).all() and (score < high).all()
    # Late curves steepen: there is more room above than below.
    assert high[3] - score[3] > score[3] - low[3]
    flat = fitted_growth(sizes, np.full(3, 0.8), np.full(3, 0.01), "accuracy")
    assert not flat.rises and (flat.errors > 0).all()


def test_no_score_becomes_perfect():
    """What misses of the best score falls no faster than the number of rows rises."""
    sizes, errors = np.array([400.0, 100.0, 200.0]), np.full(3, 0.01)
    steep = fitted_growth(sizes, np.array([0.97, 0.7, 0.85]), errors, "accuracy")
    present = np.array([0.97, 0.93, 0.99])
    score = steep.scores(present, np.array([800.0, 1600.0, 4e6]))[0]
    assert (score <= 1.0 - 0.03 * 400.0 / np.array([800.0, 1600.0, 4e6]) + 1e-12).all()
    losses = fitted_growth(sizes, np.array([3.0, 0.0, 1.0]), errors, "neg_log_loss")
    score = losses.scores(-np.exp([-3.0] * 3), np.array([800.0]))[0]
    assert score == pytest.approx(-np.exp(-3.0) / 2.0)


def test_parts_are_compared_on_the_same_rows():
    """Forecasts equal to those of refits, beside held-out errors of the rows that they test."""
    X, y = load_diabetes(return_X_y=True)
    X, y, model = X[:320], y[:320], KNeighborsRegressor()
    folds, scoring = KFold(5, shuffle=True, random_state=0), "neg_mean_squared_error"
    report = GeneralizationReport(model, cv=folds, scoring=scoring, random_state=0).fit(X, y)
    held_out = cross_val_predict(model, X, y, cv=folds)
    given = read_rows(model, X, y, None, None)
    sizes, values, errors = [320.0], [-np.log(np.mean((y - held_out) ** 2))], []
    for part, repeats in ((0.25, 4), (0.5, 6)):
        logs = []
        for ((train, test),) in part_rounds(given, None, part, repeats, 0):
            alone = clone(model).fit(X[train], y[train]).predict(X[test])
            logs.append([np.log(np.mean((y[test] - p) ** 2)) for p in (alone, held_out[test])])
        logs = np.array(logs)
        sizes.append(part * 320.0)
        values.append(values[0] - np.mean(logs[:, 0] - logs[:, 1]))
        errors.append(np.std(logs[:, 0], ddof=1) / repeats**0.5)
    parts = map(np.array, (sizes, values, [errors[1], *errors]))
    present = np.array([report.theoretical_score_, *report.theoretical_score_interval_])
    growth = fitted_growth(*parts, scoring).from_guess(present[0], report.baseline_score_)
    expected = growth.scores(present, np.array([160.0, 640.0]))
    found = report.forecast(n_samples=[160, 640])
    assert found.score[1] > report.theoretical_score_ > found.score[0]
    np.testing.assert_allclose([found.score, found.lower, found.upper], expected, rtol=1e-8)


def test_where_nothing_is_seen_a_band_is_open():
    """Of what has not begun nobody knows when it will."""
    rng = np.random.default_rng(3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no signal
        report = GeneralizationReport(GaussianNB()).fit(
            rng.standard_normal((100, 4)), np.arange(100) % 2
        )
    assert report.regime_ == "undetected"
    found = report.forecast(n_samples=[100, 400])
    assert found.upper[0] == pytest.approx(report.theoretical_score_interval_[1])
    assert found.upper[1] == 1.0 and found.lower[1] < report.theoretical_score_


def test_gains_of_many_classes_are_measured():
    """Digits, of which some are near each other, at four times the rows, against real gains."""
    X, y = load_digits(return_X_y=True)
    gaps, gains, model = [], [], RidgeClassifier(10.0)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(y))
        few, more, test = order[:200], order[:800], order[900:]
        report = GeneralizationReport(model).fit(X[few], y[few])
        assert "Call <code>forecast</code>" in report._repr_html_()
        score = report.forecast(n_samples=[200, 800]).score
        larger = clone(model).fit(X[more], y[more])
        gains.append(larger.score(X[test], y[test]) - report.score(X[test], y[test]))
        gaps.append(score[1] - score[0] - gains[-1])
    # Ten classes taken as equally far apart gain half as much again.
    assert np.abs(gaps).mean() < np.abs(gains).mean() / 3.0


def test_forecasts_by_parts_of_the_rows():
    """Gains of neighbours from 120 to 480 rows beside the true ones."""
    gaps, truths, covered = [], [], 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 2600)
        X = rng.standard_normal((2600, 8)) + 0.5 * y[:, None]
        X[y == 1, :4] *= 0.5
        model = KNeighborsClassifier(3)
        report = GeneralizationReport(model).fit(X[:120], y[:120])
        forecast = report.forecast(n_samples=[120, 480])
        larger = clone(model).fit(X[:480], y[:480]).score(X[600:], y[600:])
        truths.append(larger - report.score(X[600:], y[600:]))
        gaps.append(forecast.score[1] - forecast.score[0] - truths[-1])
        covered += forecast.lower[1] < larger < forecast.upper[1]
    assert np.abs(gaps).mean() < np.abs(truths).mean()
    # Of 95 % bands four of twelve miss once in five hundred times.
    assert covered >= 9


def test_fits_that_are_impossible_on_a_quarter(rng):
    X, y = clouds(rng, 60)
    model = QuadraticDiscriminantAnalysis(reg_param=0.0)
    report = GeneralizationReport(model).fit(np.c_[X, X**2], y)
    with pytest.warns(TheoryWarning, match="cannot be fitted to parts of the rows"):
        assert np.isnan(report.forecast(n_samples=100).score)
    assert report.to_dict()["forecast"] is None


def test_what_no_part_of_the_rows_shows(rng):
    X, y = rng.standard_normal((200, 3)), np.arange(200) % 2
    X[:, 0] += 7.0 * y
    report = GeneralizationReport(GaussianNB()).fit(X, y)
    forecast = report.forecast(n_samples=[100, 800])
    np.testing.assert_allclose(forecast.score, report.theoretical_score_, atol=1e-12)
    assert forecast.upper[1] >= forecast.score[1] > forecast.lower[1]
    assert "does not rise visibly" in report.to_html()
    with pytest.warns(TheoryWarning, match="does not rise visibly"):
        assert np.isnan(report.required(0.999))
    with pytest.warns(TheoryWarning, match="no theory of this estimator"):
        assert np.isnan(report.forecast(noise_rates=0.1).score)
    few = GeneralizationReport(GaussianNB()).fit(X[:26], np.arange(26) % 4 == 0)
    with pytest.warns(TheoryWarning, match="fewer than eight rows"):
        assert np.isnan(few.forecast(n_samples=100).score)


def test_plain_types_pages_and_frames():
    X, y = load_breast_cancer(return_X_y=True)
    report = GeneralizationReport(GaussianNB()).fit(X[:150], y[:150])
    cell = report._repr_html_()
    assert not report._curve and "Call <code>forecast</code>" in cell
    found = report.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["n_fits"] == 21 and len(found["forecast"]["n_samples"]) == 25
    assert {check["status"] for check in found["checks"]} <= {"ok", "caution", "refused"}
    assert list(report.to_frame().index) == list(report.theoretical_scores_)
    other = pickle.loads(pickle.dumps(report))
    assert other.to_dict() == found
    assert isinstance(report.plot(), ReportDisplay)
    assert "not fitted" not in GeneralizationReport(GaussianNB())._repr_html_()[:0]


def test_pages_are_written(tmp_path):
    X, y = load_diabetes(return_X_y=True)
    report = GeneralizationReport(RandomForestRegressor(5, random_state=0)).fit(X[:80], y[:80])
    assert report.to_html(tmp_path / "report.html") is None
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text == report.to_html() and len(text) < 300_000


def test_what_can_be_believed(rng):
    X, y = clouds(rng, 60)

    def statuses(report):
        return {check["name"]: check["status"] for check in report.to_dict()["checks"]}

    report = GeneralizationReport(GaussianNB()).fit(np.r_[X, X], np.r_[y, y])
    assert statuses(report)["Copies"] == "caution"
    noise = GeneralizationReport(GaussianNB()).fit(X, rng.integers(0, 2, 60))
    assert statuses(noise)["Signal"] == "refused"
    rare = GeneralizationReport(GaussianNB()).fit(X, np.arange(60) < 12)
    assert statuses(rare)["Classes"] == "caution"
    target = X[:, 0] + 0.1 * rng.standard_normal(60)
    target[0] += 100
    outlier = GeneralizationReport(Ridge()).fit(X, target)
    assert statuses(outlier)["Outliers"] == "caution"


@pytest.mark.parametrize(
    "model", [SVC(random_state=0), GaussianProcessClassifier()], ids=lambda m: type(m).__name__
)
def test_classes_of_names(rng, model):
    X, y = clouds(rng, 60, 3)
    report = GeneralizationReport(model).fit(X, np.array(["a", "b", "c"])[y])
    assert report.to_dict()["classes"] == ["a", "b", "c"]
    assert np.sum(report.to_dict()["confusion"]) == pytest.approx(1.0)
