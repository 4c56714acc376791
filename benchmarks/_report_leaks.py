"""Pipelines with a step before the last one that uses the targets, and data to try them on."""

from typing import NamedTuple

import numpy as np
from _report_subjects import Draw, seed_of
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.feature_selection import (
    RFE,
    SelectFdr,
    SelectFromModel,
    SelectKBest,
    SelectPercentile,
    SequentialFeatureSelector,
    f_regression,
)
from sklearn.linear_model import Lasso, LogisticRegression, Ridge, RidgeClassifier
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler, TargetEncoder
from sklearn.svm import SVC, LinearSVC

N_ROWS = 100
N_TEST = 2500
N_COLUMNS = {"noise": 500, "signal": 100}
INFORMATIVE = 8
SLOPE = 0.7  # per informative column: 82 % of labels follow from the features, at best


class PLSScores(PLSRegression):
    """Scores of partial least squares, as one array."""

    def fit_transform(self, X, y):
        """Fit, and return the scores of X alone."""
        return self.fit(X, y).transform(X)


class Centroids(TransformerMixin, BaseEstimator):
    """Distances to the means of the classes, beside the features."""

    def fit(self, X, y):
        """Take the means."""
        self.means_ = np.array([X[y == label].mean(axis=0) for label in np.unique(y)])
        return self

    def transform(self, X):
        """Append the squared distances."""
        distances = ((X[:, None] - self.means_) ** 2).sum(axis=2)
        return np.hstack([X, distances])


class KeepCorrelated(TransformerMixin, BaseEstimator):
    """The columns that correlate most with the targets; no tag says that they are used."""

    def __init__(self, n_columns=10):
        self.n_columns = n_columns

    def fit(self, X, y=None):
        """Rank the columns."""
        centred = X - X.mean(axis=0)
        covariances = abs((y - np.mean(y)) @ centred) / np.linalg.norm(centred, axis=0)
        self.kept_ = np.sort(np.argsort(covariances)[-self.n_columns :])
        return self

    def transform(self, X):
        """Keep them."""
        return X[:, self.kept_]


class Pipelines(NamedTuple):
    """Classifiers and regressors by name."""

    classifiers: dict
    regressors: dict


def best(k, **options):
    """Keep k columns by their F statistic."""
    return SelectKBest(k=k, **options)


def binned():
    """Cut columns into five bins."""
    return KBinsDiscretizer(5, encode="ordinal", strategy="uniform")


def encoder():
    """Replace bins by the mean target of nearly their own rows alone."""
    return TargetEncoder(smooth=1e-3, random_state=0)


def logistic():
    """Return a logistic regression."""
    return LogisticRegression(max_iter=1000)


def forest():
    """Return a small forest."""
    return RandomForestClassifier(20, random_state=0)


def halves(first, second):
    """Transform columns 0 to 49 in one way and columns 50 to 99 in another; leave out others."""
    return ColumnTransformer([("a", first, slice(0, 50)), ("b", second, slice(50, 100))])


def _selecting():
    """Return classifiers after a selection of columns."""
    l1 = LinearSVC(penalty="l1", dual=False, C=0.5, random_state=0)
    forward = SequentialFeatureSelector(RidgeClassifier(), n_features_to_select=2, cv=2)
    union = FeatureUnion([("fdr", SelectFdr(alpha=0.5)), ("pca", PCA(2, random_state=0))])
    inner = make_pipeline(StandardScaler(), best(10))
    return {
        "KBest(5), ridge": make_pipeline(best(5), RidgeClassifier()),
        "KBest(20), logistic": make_pipeline(best(20), logistic()),
        "KBest(20), LDA": make_pipeline(best(20), LinearDiscriminantAnalysis()),
        "Percentile(5), SVC": make_pipeline(SelectPercentile(percentile=5), SVC()),
        "Fdr + PCA, ridge": make_pipeline(union, RidgeClassifier()),
        "FromModel(L1), ridge": make_pipeline(SelectFromModel(l1), RidgeClassifier()),
        "FromModel(forest), KNN": make_pipeline(SelectFromModel(forest()), KNeighborsClassifier()),
        "RFE, LDA": make_pipeline(
            RFE(RidgeClassifier(), n_features_to_select=10, step=0.5), LinearDiscriminantAnalysis()
        ),
        "KBest(6), forward, logistic": make_pipeline(best(6), forward, logistic()),
        "nested KBest(10), ridge": make_pipeline(inner, RidgeClassifier()),
    }


def _transforming():
    """Return classifiers after a supervised transformer."""
    neighbours = NeighborhoodComponentsAnalysis(2, init="pca", max_iter=10, random_state=0)
    few = ColumnTransformer([("few", "passthrough", slice(0, 50))])
    encoded = halves(make_pipeline(binned(), encoder()), StandardScaler())
    both = halves(best(5), SelectFromModel(logistic(), max_features=5))
    union = FeatureUnion([("best", best(10)), ("pca", PCA(5, random_state=0))])
    return {
        "bins, TargetEncoder, logistic": make_pipeline(few, binned(), encoder(), logistic()),
        "columns TargetEncoder, ridge": make_pipeline(encoded, RidgeClassifier()),
        "PLS(5), logistic": make_pipeline(PLSScores(5), logistic()),
        "LDA, KNN": make_pipeline(LinearDiscriminantAnalysis(), KNeighborsClassifier()),
        "NCA(2), KNN": make_pipeline(neighbours, KNeighborsClassifier()),
        "union KBest + PCA, ridge": make_pipeline(union, RidgeClassifier()),
        "columns KBest, FromModel, logistic": make_pipeline(both, logistic()),
        "Centroids, logistic": make_pipeline(Centroids(), StandardScaler(), logistic()),
        "KeepCorrelated(10), ridge": make_pipeline(KeepCorrelated(), RidgeClassifier()),
    }


def _wrapped():
    """Return searches and other meta-estimators around pipelines that select."""
    selected = make_pipeline(best(20), logistic())
    pair = [("ridge", make_pipeline(best(5), RidgeClassifier())), ("knn", KNeighborsClassifier())]
    percentiles = make_pipeline(SelectPercentile(), SVC())
    spread = {"selectpercentile__percentile": [2, 5, 10, 20], "svc__C": [0.1, 1, 10]}
    tuned = TunedThresholdClassifierCV(selected, thresholds=20, cv=3, random_state=0)
    searched = RandomizedSearchCV(percentiles, spread, n_iter=4, cv=3, random_state=0)
    return {
        "GridSearch(KBest, logistic)": GridSearchCV(selected, {"selectkbest__k": [5, 20]}, cv=3),
        "RandomizedSearch(Percentile, SVC)": searched,
        "FixedThreshold(KBest)": FixedThresholdClassifier(selected, threshold=0.5),
        "TunedThreshold(KBest)": tuned,
        "Calibrated(KBest)": CalibratedClassifierCV(pair[0][1], cv=3),
        "Stacking(KBest)": StackingClassifier(pair, logistic(), cv=3),
        "Bagging(KBest)": BaggingClassifier(selected, n_estimators=5, random_state=0),
    }


def _regressing():
    """Return regressors after a supervised step."""
    chosen = make_pipeline(best(20, score_func=f_regression), Ridge())
    search = {"plsscores__n_components": [1, 3]}
    return {
        "FromModel(Lasso), Ridge": make_pipeline(
            SelectFromModel(Lasso(alpha=0.05), max_features=20), Ridge()
        ),
        "PLS(5), Ridge": make_pipeline(PLSScores(5), Ridge()),
        "GridSearch(PLS, Ridge)": GridSearchCV(make_pipeline(PLSScores(), Ridge()), search, cv=3),
        "TransformedTarget(KBest, Ridge)": TransformedTargetRegressor(
            chosen, transformer=StandardScaler()
        ),
    }


def pipelines():
    """Return thirty pipelines."""
    return Pipelines(_selecting() | _transforming() | _wrapped(), _regressing())


def draw(kind, name, is_classes, index):
    """Draw a hundred training rows for a pipeline, and fresh ones; noise depends on nothing."""
    rng = np.random.RandomState(seed_of("leaks", kind, name, index))
    X = rng.standard_normal((N_ROWS + N_TEST, N_COLUMNS[kind]))
    signal = SLOPE * X[:, :INFORMATIVE].sum(axis=1) if kind == "signal" else np.zeros(len(X))
    if is_classes:
        y = (rng.uniform(size=len(X)) < expit(signal)).astype(int)
    else:
        y = signal + rng.standard_normal(len(X))
    return Draw(X[:N_ROWS], y[:N_ROWS], X[N_ROWS:], y[N_ROWS:])


def known_truth(kind, is_classes):
    """Return the scores that are known without fresh rows: those of guesses about noise."""
    return {"accuracy": 0.5} if kind == "noise" and is_classes else {}
