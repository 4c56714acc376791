"""Sets and estimators whose score on fresh rows `bench_report.py` has predicted."""

from functools import cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
from _data import extra_folder
from bench_claims import bundled, stored
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, make_friedman1
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    Lasso,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.model_selection import GridSearchCV, ShuffleSplit, StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC
from sklearn.tree import DecisionTreeClassifier

MOST_TEST_ROWS = 2500
LARGEST_SHARE = 0.65  # of the rows of a set, at most, train
FEWEST_PER_CLASS = 4  # training rows
FOLDS = 5
PENALTIES = np.logspace(-2, 3, 11)
# Chosen by shape: few columns, more columns than rows, a rare class of two, three classes, a rare
# class of four, few rows of many columns.
FOLDER_SETS = ("pima", "sms_tfidf", "oilspill", "splice", "winewhite_ord", "autos_reg")
BUNDLED_SETS = ("breast_cancer", "digits_even_v_odd", "wine", "iris")
# Long enough that four times as many rows are left beside a test part.
FOLDER_CURVES = ("chess", "sms_tfidf", "satimage", "splice")
BUNDLED_CURVES = ("digits_even_v_odd", "digits")


class Data(NamedTuple):
    """Rows of a set, its labels 0 to K - 1 or its values."""

    X: np.ndarray
    y: np.ndarray
    is_classes: bool


class Draw(NamedTuple):
    """Training rows, and other rows."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def seed_of(*names):
    """Return a seed that follows from names alone."""
    return crc32(" ".join(map(str, names)).encode())


def _classes(X, y):
    """Return a set of classes."""
    return Data(np.asarray(X, float), np.unique(y, return_inverse=True)[1], True)


def _values(X, y):
    """Return a set of values."""
    return Data(np.asarray(X, float), np.asarray(y, float), False)


@cache
def _tables():
    """Return the tables of the folder, or those bundled with scikit-learn, by name."""
    folder = extra_folder()
    return stored(folder) if folder else bundled()


@cache
def metric_sets():
    """Return the sets of the part `metrics`, by name."""
    tables = _tables()
    names = FOLDER_SETS if extra_folder() else BUNDLED_SETS
    sets = {
        name: (_values if name.endswith("_reg") else _classes)(*tables[name])
        for name in names
        if name in tables
    }
    return sets | {
        "digits": _classes(*load_digits(return_X_y=True)),
        "diabetes": _values(*load_diabetes(return_X_y=True)),
    }


@cache
def curve_sets():
    """Return the sets of the part `curves`, by name."""
    tables = _tables()
    names = FOLDER_CURVES if extra_folder() else BUNDLED_CURVES
    sets = {name: _classes(*tables[name]) for name in names if name in tables}
    sets["friedman"] = _values(*make_friedman1(4000, 20, noise=2.0, random_state=0))
    if "winewhite_ord" in tables:
        sets["winewhite grade"] = _values(*tables["winewhite_ord"])
    return sets


def is_large_enough(data, n):
    """Return whether a set has n training rows, and enough of every class among them."""
    if n > LARGEST_SHARE * len(data.y):
        return False
    if not data.is_classes:
        return True
    counts = n * np.bincount(data.y) / len(data.y)
    # Stratified folds need one class with as many rows as folds.
    return bool(counts.min() >= FEWEST_PER_CLASS and counts.max() >= FOLDS)


def split(data, n_train, n_test, seed):
    """Return the rows of two disjoint parts, stratified by class."""
    kind = StratifiedShuffleSplit if data.is_classes else ShuffleSplit
    splitter = kind(1, train_size=n_train, test_size=n_test, random_state=seed)
    return next(splitter.split(data.X, data.y))


def draw(name, data, n, index):
    """Draw n training rows and up to 2500 others."""
    n_test = min(MOST_TEST_ROWS, len(data.y) - n)
    train, test = split(data, n, n_test, seed_of(name, n, index))
    return Draw(data.X[train], data.y[train], data.X[test], data.y[test])


def scaled(estimator):
    """Standardise the columns first."""
    return make_pipeline(StandardScaler(), estimator)


def _searched():
    """Return a search for the penalty of a support vector machine."""
    return GridSearchCV(scaled(SVC(random_state=0)), {"svc__C": [0.1, 1, 10]}, cv=3)


CLASSIFIERS = {
    "RidgeClassifier": scaled(RidgeClassifier()),
    "RidgeClassifierCV": scaled(RidgeClassifierCV(alphas=PENALTIES)),
    "LDA svd": LinearDiscriminantAnalysis(),
    "LDA lsqr auto": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    "LogisticRegression": scaled(LogisticRegression(max_iter=1000)),
    "LogisticRegressionCV": scaled(LogisticRegressionCV(Cs=5, cv=3, max_iter=500, random_state=0)),
    "LinearSVC": scaled(LinearSVC(random_state=0)),
    "SVC rbf": scaled(SVC(random_state=0)),
    "DecisionTree": DecisionTreeClassifier(random_state=0),
    "RandomForest": RandomForestClassifier(50, random_state=0),
    "HistGradientBoosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
    "KNeighbors": scaled(KNeighborsClassifier()),
    "GaussianNB": GaussianNB(),
    "GridSearchCV(SVC)": _searched(),
}
REGRESSORS = {
    "Ridge": scaled(Ridge()),
    "RidgeCV": scaled(RidgeCV(alphas=PENALTIES)),
    "Lasso": scaled(Lasso(alpha=0.1, max_iter=10000)),
    "RandomForestRegressor": RandomForestRegressor(50, random_state=0),
    "KNeighborsRegressor": scaled(KNeighborsRegressor()),
    "SVR": scaled(SVR()),
}
# Slow ones are measured on the first draws only.
SLOW = {"LogisticRegressionCV", "RandomForest", "HistGradientBoosting", "GridSearchCV(SVC)"}
SLOW |= {"RandomForestRegressor"}
CURVE_CLASSIFIERS = ("RidgeClassifier", "LDA lsqr auto", "LogisticRegression", "RandomForest")
CURVE_CLASSIFIERS += ("KNeighbors", "SVC rbf")
CURVE_REGRESSORS = ("Ridge", "RandomForestRegressor")


def estimator(name):
    """Return a new estimator of this name."""
    return clone((CLASSIFIERS | REGRESSORS)[name])
