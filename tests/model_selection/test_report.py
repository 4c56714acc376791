"""Scores of scikit-learn's estimators: exactness, calibration, forecasts, weights and copies."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.covariance import OAS
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict, learning_curve
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels, make_noisy_mixture
from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import ForecastDisplay, GeneralizationReport
from skrmt.utils._compare import assert_same, fitted_state
from tests.model_selection.brute_force import centred, refits

quiet = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def mixture(n, p=60, seed=0, norm=1.3):
    """Return correlated Gaussian classes."""
    X, _, y, _ = make_noisy_mixture(
        n, p, mean_norm=norm, covariance=0.5, noise_rates=None, random_state=seed
    )
    return X, y


def small(n_classes, n=60):
    """Return a few rows of two or three classes."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n)
    X = rng.standard_normal((n, 6)) @ rng.standard_normal((6, 6))
    return X + y[:, None] * np.array([1.0, 0.5, 0, 0, 0, -1.0]), y


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        RidgeClassifier(3.0),
        RidgeClassifier(0.5, fit_intercept=False),
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="lsqr"),
        LinearDiscriminantAnalysis(solver="eigen"),
    ],
    ids=str,
)
def test_left_out_scores_are_those_of_refits(model, n_classes):
    X, y = small(n_classes)
    report = GeneralizationReport(model).fit(X, y)
    assert report.scores_kind_ == "exact"
    expected = refits(model, X, y)
    if isinstance(model, LinearDiscriminantAnalysis):
        expected, found = centred(expected), centred(report.held_out_scores_)
    else:
        found = report.held_out_scores_
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


@quiet
def test_weighted_ridge_and_priors():
    X, y = small(2)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    weights /= weights.mean()
    report = GeneralizationReport(Ridge(2.0)).fit(X, X[:, 0] + y, sample_weight=weights)
    expected = refits(Ridge(2.0), X, X[:, 0] + y, weights=weights)
    np.testing.assert_allclose(report.held_out_scores_, expected, rtol=1e-8, atol=1e-8)
    X, y = small(3)
    model = LinearDiscriminantAnalysis(priors=[0.2, 0.3, 0.5])
    report = GeneralizationReport(model).fit(X, y)
    np.testing.assert_allclose(
        centred(report.held_out_scores_), centred(refits(model, X, y)), rtol=1e-8, atol=1e-8
    )


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_newton_steps_are_close_to_refits(n_classes, weight):
    """A step off by the third order: a tenth of what leaving out itself moves, at the most."""
    X, y = small(n_classes, 60)
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000, class_weight=weight)
    report = GeneralizationReport(model).fit(X, y)
    assert report.scores_kind_ == "newton"
    expected, plain = refits(model, X, y), clone(model).fit(X, y).decision_function(X)
    moved = np.abs(centred(expected) - centred(plain)).max()
    assert np.abs(centred(report.held_out_scores_) - centred(expected)).max() < 0.1 * moved


@quiet
def test_what_has_no_closed_form_is_folded():
    X, y = small(3)
    for model in (
        LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=OAS()),
        LinearDiscriminantAnalysis(
            solver="eigen", covariance_estimator=OAS(), priors=[0.4, 0.3, 0.3]
        ),
    ):
        report = GeneralizationReport(model).fit(X, y)
        assert report.scores_kind_ == "folds"
        assert np.isnan(report.model_score_)
        assert 0 < report.theoretical_accuracy_ < 1


@quiet
@pytest.mark.parametrize(
    "model",
    [RidgeClassifier(20.0), LinearDiscriminantAnalysis(), LogisticRegression(C=0.05)],
    ids=str,
)
def test_the_accuracy_is_that_of_fresh_rows(model):
    """The mean error over 12 draws is within 4 standard errors; most intervals hold."""
    gaps, inside = [], []
    for seed in range(12):
        X, y = mixture(5000, seed=seed)
        report = GeneralizationReport(model).fit(X[:300], y[:300])
        real = report.estimator_.score(X[300:], y[300:])
        gaps.append(report.theoretical_accuracy_ - real)
        low, high = report.theoretical_accuracy_interval_
        inside.append(low <= real <= high)
    error = np.std(gaps, ddof=1) / np.sqrt(len(gaps))
    assert abs(np.mean(gaps)) < 4 * error
    assert np.mean(inside) >= 0.75


@pytest.mark.parametrize(
    ("model", "close"),
    [
        (RidgeClassifier(20.0), 0.0),
        (RidgeClassifierCV(np.logspace(-1, 4, 11)), 0.005),
        (LinearDiscriminantAnalysis(), 0.0),
        (LogisticRegression(C=0.05), 0.01),
    ],
    ids=str,
)
@quiet
def test_forecasts_of_other_numbers_of_rows_are_right(model, close):
    """From 250 rows for 150 to 2500; mean over 8 draws, `close` where it is approximate."""
    sizes = [150, 500, 2500]
    gaps = []
    for seed in range(8):
        X, y = mixture(7000, seed=seed)
        report = GeneralizationReport(model).fit(X[:250], y[:250])
        curve = report.forecast(n_samples=sizes)
        real = [clone(model).fit(X[:n], y[:n]).score(X[3000:], y[3000:]) for n in sizes]
        gaps.append(curve.score - real)
        assert (curve.lower < curve.score).all()
        assert (curve.score < curve.upper).all()
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(np.mean(gaps, axis=0)) < 4 * error + close).all()


@quiet
def test_forecasts_of_other_noise_are_right():
    """Predicted from labels 20 % wrong: as they are, clean, worse, and ten times the rows."""
    model, gaps = RidgeClassifier(20.0), []
    flips = {rate: [[1 - rate, rate], [rate, 1 - rate]] for rate in (0.0, 0.2, 0.35)}
    for seed in range(12):
        X, clean = mixture(7000, seed=seed, norm=1.6)
        noisy = {rate: flip_labels(clean, flips[rate], random_state=seed) for rate in flips}
        report = GeneralizationReport(model, noise_rates=0.2).fit(X[:400], noisy[0.2][:400])
        predicted = [
            report.theoretical_accuracy_,
            *report.forecast(noise_rates=[[0.0], [0.35]]).score,
            report.forecast(n_samples=4000).score,
        ]
        cases = ((400, 0.2), (400, 0.0), (400, 0.35), (4000, 0.2))
        real = [
            clone(model).fit(X[:n], noisy[r][:n]).score(X[4000:], clean[4000:]) for n, r in cases
        ]
        gaps.append(np.array(predicted) - real)
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(np.mean(gaps, axis=0)) < 4 * error + 0.005).all()


@quiet
def test_r2_and_errors_are_those_of_fresh_rows():
    gaps, curves = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        scales = np.logspace(0, -1, 80)
        X = rng.standard_normal((6000, 80)) * scales
        y = X @ rng.standard_normal(80) + 1.5 * rng.standard_normal(6000)
        report = GeneralizationReport(Ridge(5.0)).fit(X[:200], y[:200])
        real = report.estimator_.score(X[3000:], y[3000:])
        mse = np.mean((report.estimator_.predict(X[3000:]) - y[3000:]) ** 2)
        gaps.append([report.theoretical_r2_ - real, report.theoretical_error_ - mse])
        predicted = report.forecast(n_samples=[120, 2000]).score
        found = [clone(Ridge(5.0)).fit(X[:n], y[:n]).score(X[3000:], y[3000:]) for n in (120, 2000)]
        curves.append(predicted - found)
    for values in (gaps, curves):
        error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        assert (np.abs(np.mean(values, axis=0)) < 4 * error).all()


def test_theory_is_doubted_where_leverages_differ():
    """A few rows of huge leverage, of which the mean leverage knows nothing."""
    rng = np.random.default_rng(0)
    scale = np.where(rng.random(200) < 0.1, 30.0, 1.0)
    X = rng.standard_normal((200, 30)) * scale[:, None]
    y = 4 * X[:, 0] + scale * rng.standard_normal(200)
    with pytest.warns(TheoryWarning, match="disagree") as caught:
        report = GeneralizationReport(Ridge(1e-3)).fit(X, y)
    assert len(caught) == 1
    assert report.regime_ == "misfit"
    assert not report.model_fit_


@quiet
def test_theory_is_believed_where_it_holds():
    """At the level of 1 %, 40 draws of Gaussian classes hardly ever disagree."""
    fits = []
    for seed in range(40):
        X, y = mixture(300, 40, seed)
        fits.append(GeneralizationReport(RidgeClassifier(20.0)).fit(X, y).model_fit_)
    assert np.mean(fits) >= 0.85


@quiet
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_containers_and_inputs():
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["benign", "malignant"])[y]
    pipeline = make_pipeline(StandardScaler(), PCA(10), RidgeClassifier(5.0))
    report = GeneralizationReport(pipeline).fit(X[:200], names[:200])
    frame = GeneralizationReport(pipeline).fit(pd.DataFrame(X[:200]), pd.Series(names[:200]))
    np.testing.assert_allclose(frame.held_out_scores_, report.held_out_scores_, rtol=1e-9)
    search = GridSearchCV(pipeline, {"ridgeclassifier__alpha": [1.0, 5.0]}, cv=3)
    assert GeneralizationReport(search).fit(X[:200], names[:200]).scores_kind_ == "folds"
    assert not hasattr(pipeline[-1], "coef_")
    weights = np.ones(200)
    weights[:20] = 0.0
    dropped = GeneralizationReport(pipeline).fit(X[20:200], names[20:200])
    weighted = GeneralizationReport(pipeline).fit(X[:200], names[:200], sample_weight=weights)
    assert weighted.theoretical_accuracy_ == pytest.approx(dropped.theoretical_accuracy_, abs=1e-12)
    matrix = GeneralizationReport(RidgeClassifier()).fit(sparse.csr_array(X[:200, :5]), names[:200])
    dense = GeneralizationReport(RidgeClassifier()).fit(X[:200, :5], names[:200])
    np.testing.assert_allclose(
        matrix.held_out_scores_, dense.held_out_scores_, rtol=1e-6, atol=1e-8
    )
    for model in (RidgeCV(), LogisticRegressionCV(Cs=3, cv=3, max_iter=5000)):
        target = y[:200].astype(float) if isinstance(model, RidgeCV) else names[:200]
        found = GeneralizationReport(make_pipeline(StandardScaler(), model)).fit(X[:200], target)
        assert np.isfinite(found.forecast(n_samples=[100, 4000]).score).all()


@quiet
def test_words_copies_and_pickles():
    X, y = load_digits(return_X_y=True)
    report = GeneralizationReport(make_pipeline(StandardScaler(), RidgeClassifier(30.0)))
    report.fit(X[:400], y[:400])
    text = report.summary()
    assert text.startswith("Predicted accuracy on fresh rows: 0.9")
    assert "Predicted with twice the rows: 0.9" in text
    for other in (copy.deepcopy(report), pickle.loads(pickle.dumps(report))):
        assert other.theoretical_accuracy_ == report.theoretical_accuracy_
        assert other.forecast(n_samples=800).score == report.forecast(n_samples=800).score


@quiet
def test_it_is_an_estimator():
    X, y = mixture(200)
    report = GeneralizationReport(make_pipeline(StandardScaler(), RidgeClassifier(3.0)))
    assert report.get_params()["estimator__ridgeclassifier__alpha"] == 3.0
    other = clone(report).set_params(estimator__ridgeclassifier__alpha=30.0, noise_rates=0.1)
    assert repr(clone(GeneralizationReport(Ridge(2.0)))) == (
        "GeneralizationReport(estimator=Ridge(alpha=2.0))"
    )
    with pytest.raises(NotFittedError, match="GeneralizationReport"):
        other.summary()
    assert other.fit(X, y).theoretical_score_ != report.fit(X, y).theoretical_score_
    np.testing.assert_array_equal(report.predict(X), report.estimator_.predict(X))
    assert report.score(X, y) == report.estimator_.score(X, y)
    assert report.theoretical_accuracy_ == report.theoretical_score_
    assert not hasattr(report, "theoretical_r2_")
    assert not hasattr(GeneralizationReport(Ridge()).fit(X, X[:, 0]), "observed_accuracy_")
    before = dict(vars(report))
    with pytest.raises(ValueError, match="NaN"):
        report.fit(np.where(X > 2, np.nan, X), y)
    assert vars(report) == before


def test_the_observed_accuracy_is_that_of_labels_as_given():
    """With one label in five wrong at most .8 of the labels given can be predicted, on average."""
    X, clean = mixture(2000, 20, norm=2.5)
    noisy = flip_labels(clean, [[0.8, 0.2], [0.2, 0.8]], random_state=0)
    report = GeneralizationReport(RidgeClassifier(), noise_rates=0.2).fit(X[:1000], noisy[:1000])
    low, high = report.observed_accuracy_interval_
    assert low < report.score(X[1000:], noisy[1000:]) < high < 0.83
    low, high = report.theoretical_accuracy_interval_
    assert low < report.score(X[1000:], clean[1000:]) < high
    assert low > 0.82


@quiet
def test_conditions_broadcast():
    X, y = mixture(200)
    report = GeneralizationReport(RidgeClassifier(20.0)).fit(X, y)
    found = report.forecast(n_samples=[[100], [200], [400]], noise_rates=[[0.0, 0.2], [0.1, 0.1]])
    assert found.score.shape == found.lower.shape == (3, 2)
    alone = report.forecast(n_samples=400, noise_rates=[0.0, 0.2])
    assert alone.score.shape == ()
    assert alone.score == found.score[2, 0]
    assert report.forecast().score == pytest.approx(report.theoretical_score_, abs=1e-9)
    frame = report.forecast(n_samples=[100, 200]).to_frame()
    assert list(frame.columns) == ["n_samples", "score", "lower", "upper"]
    with pytest.raises(TypeError, match="alpha"):
        report.forecast(alpha=1.0)


@quiet
def test_required_rows_reach_the_score():
    X, y = mixture(250)
    report = GeneralizationReport(RidgeClassifier(20.0)).fit(X, y)
    score = report.theoretical_score_ + 0.01
    needed = report.required(score)
    assert 250 < needed < 2500
    assert report.forecast(n_samples=needed).score == pytest.approx(score, abs=1e-5)
    assert report.forecast(n_samples=0.99 * needed).score < score
    assert report.required(0.999999) == np.inf
    assert report.required(score, noise_rates=0.1) > needed
    with pytest.raises(ValueError, match="of='epochs'"):
        report.required(0.9, of="epochs")
    rng = np.random.default_rng(0)
    report.fit(rng.standard_normal((80, 5)), np.arange(80) % 2)
    with pytest.warns(TheoryWarning, match="not apart beyond chance"):
        assert np.isnan(report.required(0.9))


@quiet
def test_intervals_of_required_rows_are_where_bands_reach_the_score():
    X, y = mixture(600)
    report = GeneralizationReport(RidgeClassifier(20.0)).fit(X, y)
    score = report.theoretical_score_ + 0.01
    low, high = report.required_interval(score)
    assert 2 < low < report.required(score) < high
    assert report.forecast(n_samples=low).upper == pytest.approx(score, abs=1e-7)
    assert np.isinf(high) or report.forecast(n_samples=high).lower == pytest.approx(score, abs=1e-7)
    reached = report.theoretical_score_interval_[0] - 0.005
    _, high = report.required_interval(reached)
    assert 2 < high < 600
    assert report.forecast(n_samples=high).lower == pytest.approx(reached, abs=1e-7)
    np.testing.assert_array_equal(report.required_interval(0.1), [2.0, 2.0])
    np.testing.assert_array_equal(report.required_interval(0.9999999), [np.inf, np.inf])
    assert report.required_interval(score, noise_rates=0.1)[0] > low
    with pytest.raises(ValueError, match="of='epochs'"):
        report.required_interval(0.9, of="epochs")
    with pytest.raises(ValueError, match="must be a number"):
        report.required_interval("0.9")


@quiet
def test_required_rows_of_measured_curves():
    """Nothing is known of fewer rows than a quarter; where no rise is seen, of a lower bound."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 240)
    X = rng.standard_normal((240, 8)) + 0.7 * y[:, None]
    report = GeneralizationReport(KNeighborsClassifier(40)).fit(X, y)
    assert report.required(0.5) == pytest.approx(60.0)
    assert report.required_interval(0.5) == pytest.approx([2.0, 60.0])
    score = report.theoretical_score_ + 0.005
    needed, (low, high) = report.required(score), report.required_interval(score)
    assert report.forecast(n_samples=needed).score == pytest.approx(score, abs=1e-7)
    assert low < 240 < needed and np.isinf(high)
    X[:, 0] += 7.0 * y
    report.fit(X, y)
    with pytest.warns(TheoryWarning, match="does not rise visibly"):
        assert np.isnan(report.required(0.9999))
    low, high = report.required_interval(0.9999)
    assert np.isfinite(low) and np.isinf(high)


@quiet
def test_intervals_of_required_rows_hold():
    """Of 12 scores halfway to that of four times the rows, most are reached within."""
    inside = []
    for seed in range(6):
        X, y = mixture(5000, seed=seed)
        for model in (RidgeClassifier(20.0), KNeighborsClassifier(15)):
            report = GeneralizationReport(model).fit(X[:200], y[:200])
            fits = [clone(model).fit(X[:n], y[:n]) for n in (200, 400, 800)]
            real = [fit.score(X[1000:], y[1000:]) for fit in fits]
            target = (real[0] + real[2]) / 2
            low, high = report.required_interval(target)
            reached = np.exp(np.interp(target, np.sort(real), np.log([200, 400, 800])))
            inside.append(low <= reached <= high)
    # Of 95 % intervals four of twelve miss once in five hundred times.
    assert np.sum(inside) >= 9


@quiet
def test_display():
    plt = pytest.importorskip("matplotlib.pyplot")
    X, y = load_diabetes(return_X_y=True)
    report = GeneralizationReport(Ridge(0.1)).fit(X, y)
    sizes, _, scores = learning_curve(Ridge(0.1), X, y, cv=3)
    display = ForecastDisplay.from_estimator(report, measured=(sizes, scores))
    assert display.ax_.get_ylabel() == "R^2"
    assert display.ax_.get_xscale() == "log"
    assert display.points_ is not None
    sizes = [50, 442, 5000]
    again = ForecastDisplay.from_estimator(report, values=sizes)
    assert again.points_ is None
    np.testing.assert_array_equal(again.line_.get_ydata(), report.forecast(n_samples=sizes).score)
    with pytest.raises(ValueError, match="values is missing"):
        ForecastDisplay.from_estimator(report, along="noise")
    grid = report.forecast(n_samples=[[50, 100]])
    with pytest.raises(ValueError, match="alone vary"):
        ForecastDisplay.from_forecast(grid)
    with pytest.raises(ValueError, match="no condition of the forecast: n_samples"):
        ForecastDisplay.from_forecast(grid, along="alpha")
    with pytest.raises(NotFittedError):
        ForecastDisplay.from_estimator(GeneralizationReport(Ridge()))
    plt.close("all")


COPIED = [
    RidgeClassifier(),
    RidgeClassifierCV(),
    LogisticRegression(),
    LinearDiscriminantAnalysis(),
    make_pipeline(StandardScaler(), RidgeClassifier()),
]


@quiet
@pytest.mark.parametrize("model", COPIED, ids=str)
def test_copies_count_once(model):
    X, y = mixture(4000, 20)
    report = GeneralizationReport(model).fit(np.repeat(X[:60], 20, 0), np.repeat(y[:60], 20))
    assert report.n_effective_samples_ == 60
    assert len(report.held_out_scores_) == 1200
    low, high = report.theoretical_accuracy_interval_
    assert low < report.score(X[60:], y[60:]) < high
    assert high - low > 0.1
    once = GeneralizationReport(model).fit(X[:60], y[:60])
    assert report.theoretical_accuracy_ == pytest.approx(once.theoretical_accuracy_, abs=0.06)


def test_copies_are_named_last():
    X, y = mixture(60, 20, norm=3.0)
    with pytest.warns(TheoryWarning, match="Rows of X repeat") as caught:
        GeneralizationReport(RidgeClassifier()).fit(np.r_[X, X], np.r_[y, y])
    assert len(caught) == 1
    with pytest.warns(TheoryWarning, match="constant guess") as caught:
        GeneralizationReport(RidgeClassifier()).fit(np.r_[X, X], np.r_[y, y][::-1] * 0 + Y_NOISE)
    assert len(caught) == 1


Y_NOISE = np.tile(np.random.default_rng(0).integers(0, 2, 60), 2)

WEIGHTED = [
    (RidgeClassifier(), 0),
    (RidgeClassifierCV(), 0),
    (LogisticRegression(tol=1e-10), 0),
    (Ridge(), 1),
    (make_pipeline(StandardScaler(), RidgeCV()), 1),
]


@quiet
@pytest.mark.parametrize(("model", "is_regression"), WEIGHTED, ids=str)
def test_the_unit_of_weights_changes_nothing(model, is_regression):
    X, y = mixture(90, 10)
    y = X[:, 0] + y if is_regression else y
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 90)
    here, there = (
        GeneralizationReport(model).fit(X, y, sample_weight=c * weights) for c in (1.0, 1e3)
    )
    assert_same(fitted_state(there), fitted_state(here) | {"estimator_": there.estimator_}, 1e-7)
    conditions = {"n_samples": [50.0, 500.0]}
    assert_same(there.forecast(**conditions).score, here.forecast(**conditions).score, 1e-7)


@quiet
@pytest.mark.parametrize(("model", "is_regression"), WEIGHTED[:4], ids=str)
def test_a_row_of_weight_two_is_the_row_twice(model, is_regression):
    X, y = mixture(90, 10)
    y = X[:, 0] + y if is_regression else y
    twice = GeneralizationReport(model).fit(np.r_[X, X[:9]], np.r_[y, y[:9]])
    weighted = GeneralizationReport(model).fit(
        X, y, sample_weight=np.where(np.arange(90) < 9, 2.0, 1.0)
    )
    np.testing.assert_allclose(twice.held_out_scores_[:90], weighted.held_out_scores_, atol=1e-7)
    assert twice.theoretical_score_ == pytest.approx(weighted.theoretical_score_, abs=1e-7)
    assert twice.n_effective_samples_ == weighted.n_effective_samples_ == 99**2 / (4 * 9 + 81)
    sizes = [50.0, 500.0]
    np.testing.assert_allclose(
        twice.forecast(n_samples=sizes).score, weighted.forecast(n_samples=sizes).score, atol=1e-6
    )


@pytest.mark.parametrize(
    "model",
    [RidgeClassifier(), LogisticRegression(tol=1e-8), LinearDiscriminantAnalysis()],
    ids=str,
)
def test_one_hot_tables_count_people(model):
    """A thousand people of six groups; 1 - max(p) of each group is the error that none beats."""
    rng = np.random.default_rng(0)
    share, group = np.array([0.2, 0.4, 0.5, 0.6, 0.7, 0.9]), rng.integers(0, 6, 1000)
    X, y = np.eye(6)[group][:, 1:], (rng.random(1000) < share[group]).astype(int)
    report = GeneralizationReport(model).fit(X, y)
    assert report.n_effective_samples_ == 1000
    low, high = report.theoretical_accuracy_interval_
    assert low < np.maximum(share, 1 - share).mean() < high
    assert high - low < 0.075
    if isinstance(model, LinearDiscriminantAnalysis):
        return
    table, counts = np.unique(np.c_[X, y], axis=0, return_counts=True)
    counted = GeneralizationReport(model).fit(table[:, :-1], table[:, -1], sample_weight=counts)
    assert counted.theoretical_accuracy_ == pytest.approx(report.theoretical_accuracy_, abs=1e-7)
    assert counted.n_effective_samples_ == pytest.approx(1000)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [RidgeClassifier(), LogisticRegression(), LinearDiscriminantAnalysis(solver="lsqr")],
    ids=str,
)
def test_constant_features_are_a_guess(model, n_classes):
    X, y = np.ones((120, 5)), np.arange(120) % n_classes
    with pytest.warns(TheoryWarning, match="constant guess"):
        report = GeneralizationReport(model).fit(X, y)
    assert report.regime_ == "undetected"
    assert report.theoretical_accuracy_ == pytest.approx(1 / n_classes)


def test_fits_that_hang_on_the_shares_of_classes_are_at_chance():
    """So large a penalty leaves the shares alone: without its row a class would be the rarer."""
    X, _ = mixture(100, 20)
    with pytest.warns(TheoryWarning, match="constant guess"):
        report = GeneralizationReport(RidgeClassifier(1e12)).fit(X, np.arange(100) % 2)
    low, high = report.theoretical_accuracy_interval_
    assert low < 0.5 < high
    assert report.regime_ == "undetected"


@quiet
@pytest.mark.filterwarnings("ignore:.*ll-conditioned matrix")
@pytest.mark.parametrize(
    ("model", "n"),
    [
        (RidgeClassifier(), 16),
        (RidgeClassifier(), 60),
        (RidgeClassifier(1e-3), 60),
        (LinearDiscriminantAnalysis(), 60),
    ],
    ids=str,
)
def test_features_of_unequal_scales_are_all_used(model, n):
    rng = np.random.default_rng(2)
    y = np.arange(n) % 2
    X = rng.standard_normal((n, 20)) + 0.5 * rng.standard_normal((2, 20))[y]
    X *= np.logspace(-6, 6, 20)
    report = GeneralizationReport(model).fit(X, y)
    expected = cross_val_predict(model, X, y, cv=LeaveOneOut())
    np.testing.assert_array_equal(report.held_out_scores_ > 0, expected == 1)


def test_a_rare_class_of_noise_is_not_recalled():
    """With weights that balance 12 rows of 60 about one in five of them is found by chance."""
    recalls = []
    for seed in range(30):
        X, y = np.random.default_rng(seed).standard_normal((60, 100)), np.arange(60) < 12
        with pytest.warns(TheoryWarning, match="constant guess"):
            report = GeneralizationReport(RidgeClassifier(class_weight="balanced")).fit(X, y)
        recalls.append(np.mean(report.held_out_scores_[y] > 0))
    assert 0.1 < np.mean(recalls) < 0.35


@pytest.mark.filterwarnings("ignore:Only one sample available")
@pytest.mark.parametrize("model", [RidgeClassifier(), LinearDiscriminantAnalysis("lsqr")], ids=str)
def test_a_class_of_one_row_is_refused(model):
    X, y = small(3)
    with pytest.raises(ValueError, match="y has class 5 in one row only"):
        GeneralizationReport(model).fit(X, np.where(np.arange(60) == 0, 5, y))


@quiet
def test_routing_changes_nothing():
    X, y = mixture(90, 10)
    weights = np.random.default_rng(0).uniform(0.5, 2.0, 90)
    pipeline = make_pipeline(StandardScaler(), RidgeClassifier())
    search = GridSearchCV(pipeline, {"ridgeclassifier__alpha": [1.0, 50.0]}, cv=3)
    for model in (RidgeClassifier(), pipeline, search):
        expected = GeneralizationReport(model).fit(X, y, sample_weight=weights).theoretical_score_
        with config_context(enable_metadata_routing=True):
            last = getattr(model, "estimator", model)
            last = last[-1] if hasattr(last, "steps") else last
            last.set_fit_request(sample_weight=True)
            report = GeneralizationReport(model).fit(X, y, sample_weight=weights)
        assert report.theoretical_score_ == expected


@quiet
def test_too_little():
    X, y = mixture(60, 4)
    with pytest.warns(TheoryWarning, match="fewer than ten effective rows"):
        report = GeneralizationReport(RidgeClassifier()).fit(X[:8], np.arange(8) % 2)
    assert np.isnan(report.theoretical_accuracy_)
    assert report.regime_ == "too_few_rows"
    X, y = mixture(63, 60)
    report = GeneralizationReport(Ridge(1e-9)).fit(X, y)
    with pytest.warns(TheoryWarning, match="all noise"):
        assert np.isnan(report.forecast(n_samples=[600]).score).all()


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_curve_from_labels_by_chance(n_classes):
    """Two standard errors are exceeded by chance in 2.3 %: 4 sigma above that in 40 draws are 4."""
    predicted = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((80, 5)), rng.integers(0, n_classes, 80)
        report = GeneralizationReport(RidgeClassifier()).fit(X, y)
        predicted += bool(np.isfinite(report.forecast(n_samples=[800]).score).all())
    assert predicted <= 4
    X[:, 0] += 2.0 * y
    report = GeneralizationReport(RidgeClassifier()).fit(X, y)
    curve = report.forecast(n_samples=[800])
    more, labels = rng.standard_normal((4800, 5)), rng.integers(0, n_classes, 4800)
    more[:, 0] += 2.0 * labels
    accuracy = RidgeClassifier().fit(more[:800], labels[:800]).score(more[800:], labels[800:])
    assert curve.lower[0] < accuracy < curve.upper[0]
    rng.shuffle(y)
    report = GeneralizationReport(RidgeClassifier()).fit(X, y)
    with pytest.warns(TheoryWarning, match="not apart beyond chance"):
        report.forecast(n_samples=[800])
    assert "not apart beyond chance" in report.summary()


@quiet
@pytest.mark.filterwarnings("ignore:Ill-conditioned matrix")
@pytest.mark.parametrize(
    "estimator", [RidgeClassifier(alpha=1e-12), LogisticRegression(C=1e6, max_iter=5000)]
)
def test_fits_without_error_on_noise_are_folded(estimator):
    """Of labels by chance 1/2 is right, whatever a fit says of its own rows: 5 sigma of 12 x 40."""
    scores = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((40, 100)), rng.integers(0, 2, 40)
        report = GeneralizationReport(estimator).fit(X, y)
        assert report.scores_kind_ == "folds"
        scores.append(report.theoretical_accuracy_)
    assert abs(np.mean(scores) - 0.5) < 5 * np.std(scores, ddof=1) / np.sqrt(12)


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (KMeans(), {}, TypeError, r"estimator=KMeans\(\) is neither a classifier nor"),
        (RidgeClassifier, {}, TypeError, "Got the class RidgeClassifier"),
        (Ridge(), {"noise_rates": 0.1}, ValueError, "noise_rates=0.1 is for classifiers"),
        (RidgeClassifier(), {"noise_rates": 1.5}, ValueError, "'noise_rates' parameter"),
        (RidgeClassifier(), {"noise_rates": [1.5]}, ValueError, "must be one rate"),
        (RidgeClassifier(), {"noise_rates": 0.5}, ValueError, "leave nothing of the labels"),
        (RidgeClassifier(), {"noise_rates": [0.1] * 3}, ValueError, "of the 2 classes"),
    ],
)
def test_bad_estimators(estimator, options, error, message):
    X, y = mixture(60, 4)
    with pytest.raises(error, match=message):
        GeneralizationReport(estimator, **options).fit(X, y)


@quiet
def test_bad_data():
    X, y = mixture(60, 4)
    with pytest.raises(ValueError, match="NaN"):
        GeneralizationReport(RidgeClassifier()).fit(np.where(X > 2, np.nan, X), y)
    for estimator in (Ridge(), RidgeClassifier(), LinearDiscriminantAnalysis()):
        with pytest.raises(ValueError, match=r"y is '1.0' in every row"):
            GeneralizationReport(estimator).fit(X, np.ones(60))
    with pytest.raises(ValueError, match="one label or target per row"):
        GeneralizationReport(Ridge()).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="inconsistent"):
        GeneralizationReport(Ridge()).fit(X, X[:-1, 0])
    with pytest.raises(ValueError, match="sample_weight is given, but the estimator takes none"):
        GeneralizationReport(LinearDiscriminantAnalysis()).fit(X, y, sample_weight=np.ones(60))
    with pytest.raises(ValueError, match="not fitted"):
        GeneralizationReport(Ridge()).forecast(n_samples=[10])
    report = GeneralizationReport(Ridge()).fit(X, X[:, 0])
    for sizes in ([1], [np.nan], [[1]]):
        with pytest.raises(ValueError, match="must be numbers of rows"):
            report.forecast(n_samples=sizes)
    with pytest.raises(ValueError, match="is for classifiers"):
        report.forecast(n_samples=[20], noise_rates=0.1)


def persons(rng, n_persons=40, n_rows=5):
    """Rows of persons who each have a centre and a label of their own, unrelated to each other."""
    centres, labels = rng.standard_normal((n_persons, 30)), np.arange(n_persons) % 2
    X = np.repeat(centres, n_rows, axis=0) + 0.05 * rng.standard_normal((n_persons * n_rows, 30))
    return X, np.repeat(labels, n_rows), np.repeat(np.arange(n_persons), n_rows)


@pytest.mark.parametrize(
    "model", [RidgeClassifier(), LogisticRegression(max_iter=500)], ids=["exact", "folds"]
)
def test_groups_are_left_out_whole(rng, model):
    """The label of a person follows from another row of the same person, not from other persons."""
    X, y, groups = persons(rng)
    with pytest.warns(TheoryWarning):
        report = GeneralizationReport(model).fit(X, y, groups=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        assert GeneralizationReport(model).fit(X, y).observed_accuracy_ > 0.85
    assert report.scores_kind_ == ("exact" if isinstance(model, RidgeClassifier) else "folds")
    assert report.n_effective_samples_ == pytest.approx(40)
    # 4 standard errors of 40 coin flips.
    assert abs(report.observed_accuracy_ - 0.5) < 4 * np.sqrt(0.25 / 40)
    assert report.regime_ == "undetected"


def test_exact_scores_of_groups_are_those_of_refits(rng):
    X, y, groups = persons(rng)
    with pytest.warns(TheoryWarning):
        report = GeneralizationReport(RidgeClassifier(2.0)).fit(X, y, groups=groups)
    out = groups == 7
    refit = RidgeClassifier(2.0).fit(X[~out], y[~out])
    np.testing.assert_allclose(
        report.held_out_scores_[out], refit.decision_function(X[out]), rtol=1e-8
    )


def test_groups_of_one_class_each_are_refused(rng):
    X, y = rng.standard_normal((20, 2)), np.arange(20) % 2
    with pytest.raises(
        ValueError, match="y has class 0 in one row only, or in rows that are left out"
    ):
        GeneralizationReport(LogisticRegression()).fit(X, y, groups=y)
