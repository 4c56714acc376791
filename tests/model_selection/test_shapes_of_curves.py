"""Curves that theory and parts of the rows do not show: late starts, peaks, errors never seen."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LinearRegression, Ridge, RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC

from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import GeneralizationReport

quiet = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def three_classes(rng, n):
    """Return three unequal classes in many dimensions, which a kernel begins late to tell apart."""
    y = np.searchsorted([0.25, 0.5], rng.uniform(size=n))
    X = rng.standard_normal((n, 150))
    X[:, :40] += 0.55 * np.eye(3)[y][:, np.arange(40) % 3]
    return X, y


def wide(rng, n, p=120):
    """Return two classes of Gaussian rows with weak features."""
    y = rng.integers(0, 2, n)
    return rng.standard_normal((n, p)) + 0.15 * (2 * y - 1)[:, None], y


@quiet
@pytest.mark.parametrize("seed", [1, 5])
def test_a_curve_near_a_guess_may_still_begin(seed):
    rng = np.random.RandomState(seed)
    X, y = three_classes(rng, 130)
    test, labels = three_classes(rng, 3000)
    report = GeneralizationReport(SVC(random_state=0), random_state=0).fit(X, y)
    assert report.regime_ == "detected"
    found = report.forecast(n_samples=[260, 520])
    later = [
        SVC(random_state=0).fit(*three_classes(rng, n)).score(test, labels) for n in (260, 520)
    ]
    assert (later > found.score + 0.08).all()
    assert (found.lower < later).all() and (later < found.upper).all()


@quiet
def test_a_curve_far_from_a_guess_stays_bounded():
    rng = np.random.RandomState(0)
    y = np.arange(300) % 2
    X = rng.standard_normal((300, 5))
    X[:, 0] += 2.0 * y
    report = GeneralizationReport(SVC(random_state=0), random_state=0).fit(X, y)
    below, above = report.theoretical_score_interval_
    found = report.forecast(n_samples=[600])
    assert found.upper[0] - found.score[0] < above - below


def test_a_fit_through_its_rows_may_fall_before_it_rises():
    rng = np.random.default_rng(0)
    X, y = wide(rng, 60)
    model = RidgeClassifier(1e-3)
    report = GeneralizationReport(model, random_state=0).fit(X, y)
    with pytest.warns(TheoryWarning, match="fall before they rise"):
        assert np.isnan(report.forecast(n_samples=[120, 600]).score).all()
    test, labels = wide(rng, 4000)
    scores = [model.fit(*wide(rng, n)).score(test, labels) for n in (60, 120, 600)]
    assert scores[1] < scores[0] - 0.05 < scores[2]


@pytest.mark.parametrize(
    ("model", "peaks"),
    [
        (Ridge(1e-3), True),
        (LinearRegression(), True),
        (make_pipeline(StandardScaler(), RidgeClassifier(0.1)), True),
        (LinearDiscriminantAnalysis(), True),
        (RidgeClassifier(100.0), False),
        (RidgeClassifierCV([0.1, 10.0, 1000.0]), False),
        (GridSearchCV(RidgeClassifier(), {"alpha": [0.1, 1000.0]}), False),
        (LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5), False),
        (SVC(random_state=0), False),
    ],
)
@quiet
def test_which_fits_pass_through_their_rows(model, peaks):
    X, y = wide(np.random.default_rng(1), 60)
    report = GeneralizationReport(model, random_state=0).fit(X, y)
    assert np.isnan(report.forecast(n_samples=[120]).score).all() == peaks


@quiet
def test_sparse_rows_and_copies_pass_through_too():
    X, y = wide(np.random.default_rng(2), 60)
    model = make_pipeline(MaxAbsScaler(), RidgeClassifier(1e-3))
    for rows in (sparse.csr_array(X), np.vstack([X, X])):
        labels = np.tile(y, rows.shape[0] // 60)
        report = GeneralizationReport(model, random_state=0).fit(rows, labels)
        assert "fall before they rise" in report.summary()


@quiet
def test_errors_that_no_row_shows_fall_no_faster_than_rows_grow():
    X = np.random.RandomState(0).choice([-1.0, 1.0], size=(100, 12))
    report = GeneralizationReport(RidgeClassifier()).fit(X, X[:, 0] > 0)
    low = report.theoretical_score_interval_[0]
    found = report.forecast(n_samples=[100, 200, 400])
    np.testing.assert_allclose(1.0 - found.lower[0], 1.0 - low, rtol=0.1)
    assert (1.0 - found.lower >= (1.0 - found.lower[0]) / [1, 2, 4] - 1e-12).all()


@pytest.mark.parametrize(("penalty", "peaks"), [(1.0, False), (1e-6, True)])
@quiet
def test_large_sparse_fits_are_told_apart_without_a_gram_matrix(penalty, peaks):
    """Rows of length 1 have at most half their degrees of freedom at a penalty of 1."""
    rng = np.random.default_rng(3)
    n, p, words = 1200, 2000, 12
    X = sparse.csr_array(
        (np.full(n * words, words**-0.5), rng.integers(0, p, n * words), np.arange(n + 1) * words),
        shape=(n, p),
    )
    y = (X[:, : p // 2].sum(axis=1) > X[:, p // 2 :].sum(axis=1)).astype(int)
    report = GeneralizationReport(RidgeClassifier(penalty), cv=2, random_state=0).fit(X, y)
    tracemalloc.start()
    try:
        found = report.forecast(n_samples=[2 * n])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.isnan(found.score).all() == peaks
    assert peak < 8 * n * n / 2
