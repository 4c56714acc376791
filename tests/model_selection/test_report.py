"""What is told of estimators of scikit-learn: exactness, calibration, learning curves."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels, make_noisy_mixture
from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import ForecastDisplay, GeneralizationReport

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


def refits(model, X, y, weights=None):
    """Return the decision of every row by a fit without it."""
    found = []
    for i in range(len(y)):
        keep = np.arange(len(y)) != i
        options = {} if weights is None else {"sample_weight": weights[keep]}
        fitted = clone(model).fit(X[keep], y[keep], **options)
        method = fitted.decision_function if hasattr(fitted, "classes_") else fitted.predict
        found.append(method(X[i : i + 1])[0])
    return np.array(found)


def centred(scores):
    """Return scores of classes up to a constant a row."""
    return scores - scores.mean(1, keepdims=True) if scores.ndim == 2 else scores


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
    assert report.loo_kind_ == "exact"
    expected = refits(model, X, y)
    if isinstance(model, LinearDiscriminantAnalysis):
        expected, found = centred(expected), centred(report.loo_scores_)
    else:
        found = report.loo_scores_
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)
    predicted = (expected > 0) if n_classes == 2 else expected.argmax(1)
    assert report.loo_accuracy_ == pytest.approx((predicted == y).mean(), abs=1e-12)


@quiet
def test_weighted_ridge_and_priors():
    X, y = small(2)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    report = GeneralizationReport(Ridge(2.0)).fit(X, X[:, 0] + y, weights)
    expected = refits(Ridge(2.0), X, X[:, 0] + y, weights)
    np.testing.assert_allclose(report.loo_scores_, expected, rtol=1e-8, atol=1e-8)
    X, y = small(3)
    model = LinearDiscriminantAnalysis(priors=[0.2, 0.3, 0.5])
    report = GeneralizationReport(model).fit(X, y)
    np.testing.assert_allclose(
        centred(report.loo_scores_), centred(refits(model, X, y)), rtol=1e-8, atol=1e-8
    )


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("weight", [None, "balanced"])
def test_newton_steps_are_close_to_refits(n_classes, weight):
    """A step off by the third order: a tenth of what leaving out itself moves, at the most."""
    X, y = small(n_classes, 150)
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=10_000, class_weight=weight)
    report = GeneralizationReport(model).fit(X, y)
    assert report.loo_kind_ == "newton"
    expected, plain = refits(model, X, y), clone(model).fit(X, y).decision_function(X)
    moved = np.abs(centred(expected) - centred(plain)).max()
    assert np.abs(centred(report.loo_scores_) - centred(expected)).max() < 0.1 * moved


@quiet
def test_what_has_no_closed_form_is_folded():
    X, y = small(3)
    for model in (
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2),
        LinearDiscriminantAnalysis(solver="lsqr", priors=[0.2, 0.3, 0.5]),
    ):
        report = GeneralizationReport(model).fit(X, y)
        assert report.loo_kind_ == report.regime_ == "folds"
        assert np.isnan(report.model_score_)
        assert 0 < report.theoretical_accuracy_ < 1


@quiet
@pytest.mark.parametrize(
    "model",
    [RidgeClassifier(20.0), LinearDiscriminantAnalysis(), LogisticRegression(C=0.05)],
    ids=str,
)
def test_accuracy_told_comes_true(model):
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
def test_learning_curve_comes_true(model, close):
    """Told from 250 rows for 150 to 2500; mean over 10 draws, `close` where it is approximate."""
    sizes = [150, 500, 2500]
    gaps = []
    for seed in range(10):
        X, y = mixture(7000, seed=seed)
        report = GeneralizationReport(model).fit(X[:250], y[:250])
        curve = report.learning_curve(sizes)
        real = [clone(model).fit(X[:n], y[:n]).score(X[3000:], y[3000:]) for n in sizes]
        gaps.append(curve.score - real)
        assert (curve.lower < curve.score).all()
        assert (curve.score < curve.upper).all()
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(np.mean(gaps, axis=0)) < 4 * error + close).all()


@quiet
def test_other_noise_comes_true():
    """Told from labels 20 % wrong: as they are, clean, worse, and ten times the rows."""
    model, gaps = RidgeClassifier(20.0), []
    flips = {rate: [[1 - rate, rate], [rate, 1 - rate]] for rate in (0.0, 0.2, 0.35)}
    for seed in range(12):
        X, clean = mixture(7000, seed=seed, norm=1.6)
        noisy = {rate: flip_labels(clean, flips[rate], random_state=seed) for rate in flips}
        report = GeneralizationReport(model, noise_rates=0.2).fit(X[:400], noisy[0.2][:400])
        told = [report.theoretical_accuracy_]
        told += [report.learning_curve([400], noise_rates=rate).score[0] for rate in (0.0, 0.35)]
        told += [report.learning_curve([4000]).score[0]]
        cases = ((400, 0.2), (400, 0.0), (400, 0.35), (4000, 0.2))
        real = [
            clone(model).fit(X[:n], noisy[r][:n]).score(X[4000:], clean[4000:]) for n, r in cases
        ]
        gaps.append(np.array(told) - real)
    error = np.std(gaps, axis=0, ddof=1) / np.sqrt(len(gaps))
    assert (np.abs(np.mean(gaps, axis=0)) < 4 * error + 0.005).all()


@quiet
def test_regression_comes_true():
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
        told = report.learning_curve([120, 2000]).score
        found = [clone(Ridge(5.0)).fit(X[:n], y[:n]).score(X[3000:], y[3000:]) for n in (120, 2000)]
        curves.append(told - found)
    for values in (gaps, curves):
        error = np.std(values, axis=0, ddof=1) / np.sqrt(len(values))
        assert (np.abs(np.mean(values, axis=0)) < 4 * error).all()


def test_theory_is_doubted_where_rows_are_not_alike():
    """A few rows of huge leverage: the mean leverage tells nothing of them."""
    rng = np.random.default_rng(0)
    scale = np.where(rng.random(200) < 0.1, 30.0, 1.0)
    X = rng.standard_normal((200, 30)) * scale[:, None]
    y = X[:, 0] + scale * rng.standard_normal(200)
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
    np.testing.assert_allclose(frame.loo_scores_, report.loo_scores_, rtol=1e-9)
    search = GridSearchCV(pipeline, {"ridgeclassifier__alpha": [1.0, 5.0]}, cv=3)
    assert GeneralizationReport(search).fit(X[:200], names[:200]).loo_kind_ == "exact"
    assert not hasattr(pipeline[-1], "coef_")
    weights = np.ones(200)
    weights[:20] = 0.0
    dropped = GeneralizationReport(pipeline).fit(X[20:200], names[20:200])
    weighted = GeneralizationReport(pipeline).fit(X[:200], names[:200], weights)
    assert weighted.theoretical_accuracy_ == pytest.approx(dropped.theoretical_accuracy_, abs=1e-12)
    matrix = GeneralizationReport(RidgeClassifier()).fit(sparse.csr_array(X[:200, :5]), names[:200])
    dense = GeneralizationReport(RidgeClassifier()).fit(X[:200, :5], names[:200])
    np.testing.assert_allclose(matrix.loo_scores_, dense.loo_scores_, rtol=1e-6, atol=1e-8)
    for model in (RidgeCV(), LogisticRegressionCV(max_iter=5000)):
        target = y[:200].astype(float) if isinstance(model, RidgeCV) else names[:200]
        found = GeneralizationReport(make_pipeline(StandardScaler(), model)).fit(X[:200], target)
        assert np.isfinite(found.learning_curve([100, 4000]).score).all()


@quiet
def test_words_copies_and_pickles():
    X, y = load_digits(return_X_y=True)
    report = GeneralizationReport(make_pipeline(StandardScaler(), RidgeClassifier(30.0)))
    assert "fresh" not in repr(report)
    report.fit(X[:400], y[:400])
    assert "Accuracy on fresh rows" in repr(report)
    assert "With twice the rows" in report.summary()
    for other in (copy.deepcopy(report), pickle.loads(pickle.dumps(report))):
        assert other.theoretical_accuracy_ == report.theoretical_accuracy_
        assert other.learning_curve([800]).score == report.learning_curve([800]).score


@quiet
def test_display():
    X, y = load_diabetes(return_X_y=True)
    display = ForecastDisplay.from_theory(Ridge(0.1), X, y, measured=True, cv=3)
    assert display.ax_.get_ylabel() == "R^2"
    assert len(display.measured[0]) == 6
    report = GeneralizationReport(Ridge(0.1)).fit(X, y)
    sizes = [50, 442, 5000]
    again = ForecastDisplay.from_theory(report, train_sizes=sizes)
    assert again.points_ is None
    np.testing.assert_array_equal(again.line_.get_ydata(), report.learning_curve(sizes).score)
    with pytest.raises(ValueError, match="give X and y with an estimator"):
        ForecastDisplay.from_theory(Ridge())
    with pytest.raises(ValueError, match="give X and y with an estimator"):
        ForecastDisplay.from_theory(report, X, y)
    with pytest.raises(ValueError, match="measured=True needs"):
        ForecastDisplay.from_theory(report, measured=True)


@quiet
def test_too_little():
    X, y = mixture(60, 4)
    with pytest.warns(TheoryWarning, match="fewer than 10 effective rows"):
        report = GeneralizationReport(RidgeClassifier()).fit(X[:8], np.arange(8) % 2)
    assert np.isnan(report.theoretical_accuracy_)
    assert report.regime_ == "too_few_rows"
    X, y = mixture(63, 60)
    report = GeneralizationReport(Ridge(1e-9)).fit(X, y)
    with pytest.warns(TheoryWarning, match="no learning curve is told"):
        assert np.isnan(report.learning_curve([600]).score).all()


@quiet
@pytest.mark.parametrize("n_classes", [2, 3])
def test_no_curve_from_labels_by_chance(n_classes):
    """Two standard errors are exceeded by chance in 2.3 %: 4 sigma above that in 60 draws are 6."""
    told = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((80, 5)), rng.integers(0, n_classes, 80)
        report = GeneralizationReport(RidgeClassifier()).fit(X, y)
        told += bool(np.isfinite(report.learning_curve([800]).score).all())
    assert told <= 6
    X[:, 0] += 2.0 * y
    report = GeneralizationReport(RidgeClassifier()).fit(X, y)
    curve = report.learning_curve([800])
    more, labels = rng.standard_normal((4800, 5)), rng.integers(0, n_classes, 4800)
    more[:, 0] += 2.0 * labels
    accuracy = RidgeClassifier().fit(more[:800], labels[:800]).score(more[800:], labels[800:])
    assert curve.lower[0] < accuracy < curve.upper[0]
    rng.shuffle(y)
    report = GeneralizationReport(RidgeClassifier()).fit(X, y)
    with pytest.warns(TheoryWarning, match="not apart beyond chance"):
        report.learning_curve([800])
    assert "cannot be told" in report.summary()


@quiet
@pytest.mark.filterwarnings("ignore:Ill-conditioned matrix")
@pytest.mark.parametrize(
    "estimator", [RidgeClassifier(alpha=1e-12), LogisticRegression(C=1e6, max_iter=5000)]
)
def test_fits_without_error_on_noise_are_folded(estimator):
    """Of labels by chance 1/2 is right, whatever a fit says of its own rows: 5 sigma of 20 x 40."""
    told = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((40, 100)), rng.integers(0, 2, 40)
        report = GeneralizationReport(estimator).fit(X, y)
        assert report.loo_kind_ == "folds"
        told.append(report.theoretical_accuracy_)
    assert abs(np.mean(told) - 0.5) < 5 * np.std(told, ddof=1) / np.sqrt(20)


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (Lasso(), {}, TypeError, r"estimator=Lasso\(\) is not reported"),
        (RidgeClassifier, {}, TypeError, "Got the class RidgeClassifier"),
        (Ridge(positive=True), {}, ValueError, "positive=True"),
        (Ridge(), {"noise_rates": 0.1}, ValueError, "noise_rates=0.1 is for classifiers"),
        (RidgeClassifier(), {"noise_rates": 1.5}, ValueError, "noise_rates=1.5 must be one rate"),
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
    with pytest.raises(ValueError, match="one label or target a row"):
        GeneralizationReport(Ridge()).fit(X, X[:, :2])
    with pytest.raises(ValueError, match="inconsistent"):
        GeneralizationReport(Ridge()).fit(X, X[:-1, 0])
    with pytest.raises(ValueError, match="sample_weight is given, but LinearDiscriminant"):
        GeneralizationReport(LinearDiscriminantAnalysis()).fit(X, y, np.ones(60))
    with pytest.raises(ValueError, match="not fitted"):
        GeneralizationReport(Ridge()).learning_curve([10])
    report = GeneralizationReport(Ridge()).fit(X, X[:, 0])
    for sizes in ([1], [np.nan], [[10]]):
        with pytest.raises(ValueError, match="must be numbers of rows"):
            report.learning_curve(sizes)
    with pytest.raises(ValueError, match="is for classifiers"):
        report.learning_curve([20], noise_rates=0.1)
