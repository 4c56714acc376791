"""Contests on tables: noisy labels, synthetic rows, SGD, the report."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from _contest import Contest, clean_accuracy, fit_and_score, predicted_accuracy
from _data import binary_matrix, draw
from _rivals import fit, fixed_ridge, logistic, logistic_cv, pruned, ridge
from _synthetic import PAIRS, draw_mix
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import (
    LogisticRegression,
    RidgeClassifier,
    RidgeClassifierCV,
    SGDRegressor,
)
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import (
    NoiseAwareLinearClassifier,
    Stage,
    StagedSGDRegressor,
    SyntheticMixClassifier,
)
from skrmt.model_selection import GeneralizationReport
from skrmt.theory.sgd import critical_learning_rate


def noisy_table(seed):
    """Split breast cancer, a fifth or three tenths of the training labels wrong."""
    return draw("breast cancer", binary_matrix((0.2, 0.3)), seed)


class Mixture(NamedTuple):
    """Two Gaussian classes with wrong labels, and clean test rows."""

    X: np.ndarray
    noisy: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


@cache
def noisy_digits(seed):
    """Split the digits, a fifth of 600 training labels replaced by another digit."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, random_state=seed, stratify=y)
    rng = np.random.default_rng(seed)
    wrong = rng.random(len(y)) < 0.2
    noisy = np.where(wrong, (y + rng.integers(1, 10, len(y))) % 10, y)
    return Mixture(X, noisy, X_test, y_test)


@cache
def noisy_texts(seed, n=4000, p=20_000, length=40):
    """Draw bags of words of two topics, of Zipf's frequencies, a fifth of the labels wrong."""
    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(10, p + 10)
    tilt = np.exp(0.5 * rng.standard_normal(p))
    laws = [frequency * tilt / (frequency @ tilt), frequency / tilt / (frequency @ (1 / tilt))]
    y = rng.integers(0, 2, 2 * n)
    words = np.concatenate([rng.choice(p, length, p=laws[label]) for label in y])
    rows = np.repeat(np.arange(2 * n), length)
    counts = sparse.csr_array((np.ones(len(words)), (rows, words)), shape=(2 * n, p))
    X = TfidfTransformer().fit_transform(counts)
    noisy = np.where(rng.random(n) < 0.2, 1 - y[:n], y[:n])
    return Mixture(X[:n], noisy, X[n:], y[n:])


@cache
def noisy_mixture(seed):
    """Draw 2000 training rows and 4000 test rows of 1000 features."""
    X, noisy, clean, _ = make_noisy_mixture(
        6000, 1000, mean_norm=2.0, noise_rates=(0.2, 0.3), random_state=seed
    )
    return Mixture(X[:2000], noisy[:2000], X[2000:], clean[2000:])


class Job(NamedTuple):
    """Data of a contest of noisy labels, and the plain classifiers for it, by name."""

    title: str
    prepare: Callable[[int], Any]
    base: tuple[str, Callable[[], Any]]
    ridge: tuple[str, Callable[[int], Any]] = ("RidgeClassifierCV, 29 penalties", ridge)


LOGISTIC = ("LogisticRegression", logistic)
NOISY_JOBS = (
    Job(
        "breast cancer, 200 rows x 30, flips 20 % / 30 %",
        noisy_table,
        ("LogisticRegressionCV", logistic_cv),
    ),
    Job("Gaussian classes, 2000 x 1000, flips 20 % / 30 %", noisy_mixture, LOGISTIC),
    Job("digits, ten classes, 600 rows x 64, 20 % wrong", noisy_digits, LOGISTIC),
    Job(
        "texts, 4000 x 20 000 words, 0.2 % filled, 20 % wrong",
        noisy_texts,
        LOGISTIC,
        ("RidgeClassifier", fixed_ridge),
    ),
)


def noisy_labels():
    """Yield the contests of noisy labels."""
    for title, prepare, (name, base), (ridge_name, plain) in NOISY_JOBS:
        yield Contest(
            "noisy labels",
            title,
            "accuracy on clean rows",
            prepare,
            lambda data: NoiseAwareLinearClassifier().fit(data.X, data.noisy),
            {
                f"cleanlab CleanLearning({name})": lambda data, base=base: pruned(
                    base(), data.X, data.noisy
                ),
                f"{name}, 5 folds": lambda data, base=base: fit_and_score(
                    base(), data.X, data.noisy
                ),
            },
            clean_accuracy,
            predicted_accuracy,
            {
                ridge_name: lambda data, plain=plain: fit(
                    plain(data.X.shape[0]), data.X, data.noisy
                ),
                name: lambda data, base=base: fit(base(), data.X, data.noisy),
            },
        )


def mixed_digits(seed):
    """Draw 60 real digits and 500 of a generator with 30 % wrong labels, and test rows."""
    name = "digits 3 v 8, 60 real"
    return draw_mix(name, PAIRS[name], (0.3, 1.0, 1.0), seed)[0]


def fit_mix(task):
    """Fit our classifier to real and synthetic rows."""
    return SyntheticMixClassifier(random_state=0).fit(
        task.X, task.y, X_synthetic=task.X_synthetic, y_synthetic=task.y_synthetic
    )


def weighted_search(task):
    """Search 5 weights and 25 penalties by cross-validation, as a plain script does."""
    X, y = np.concatenate([task.X, task.X_synthetic]), np.concatenate([task.y, task.y_synthetic])
    best, found = -1.0, None
    for weight in (0.0, 0.1, 0.3, 1.0, 3.0):
        weights = np.repeat([1.0, weight], [len(task.y), len(task.y_synthetic)])
        folds = [
            (np.setdiff1d(np.arange(len(y)), test), test)
            for test in np.array_split(np.random.default_rng(0).permutation(len(task.y)), 5)
        ]
        grid = {"alpha": np.logspace(-3, 4, 25)}
        search = GridSearchCV(RidgeClassifier(), grid, cv=folds).fit(X, y, sample_weight=weights)
        if search.best_score_ > best:
            best, found = search.best_score_, search
    return found


def synthetic_mix():
    """Yield the contest of real and synthetic rows."""
    penalties = np.logspace(-3, 4, 29)
    yield Contest(
        "synthetic rows",
        "digits 3 v 8, 60 real rows, 500 synthetic with 30 % wrong labels",
        "accuracy on real rows",
        mixed_digits,
        fit_mix,
        {"GridSearchCV, 5 weights x 25 penalties": weighted_search},
        clean_accuracy,
        predicted_accuracy,
        {
            "RidgeClassifierCV, real rows": lambda task: RidgeClassifierCV(penalties).fit(
                task.X, task.y
            ),
            "RidgeClassifierCV, all rows": lambda task: RidgeClassifierCV(penalties).fit(
                np.concatenate([task.X, task.X_synthetic]),
                np.concatenate([task.y, task.y_synthetic]),
            ),
        },
    )


class Regression(NamedTuple):
    """Rows, targets, and the coefficients behind them."""

    X: np.ndarray
    y: np.ndarray
    coef: np.ndarray


@cache
def regression(seed):
    """Draw 10 000 rows of 100 white features, with noise of variance 1/4."""
    rng = np.random.default_rng(seed)
    X, coef = rng.standard_normal((10_000, 100)), rng.standard_normal(100) / 10.0
    return Regression(X, X @ coef + 0.5 * rng.standard_normal(len(X)), coef)


def one_pass(data):
    """Make one pass of our SGD, batches of 32, at half the critical rate, cosine to zero."""
    stage = Stage(len(data.X) // 32, 32, 0.5, "cosine", relative=True)
    return StagedSGDRegressor([stage], random_state=0).fit(data.X, data.y)


def bare_pass(data):
    """Make the same pass at a rate that is given, without any theory."""
    rate = 0.5 * critical_learning_rate(np.ones(data.X.shape[1]), 32)
    stage = Stage(len(data.X) // 32, 32, rate, "cosine")
    return StagedSGDRegressor([stage], random_state=0).partial_fit(data.X, data.y)


def plain_sgd(data):
    """Make one pass of scikit-learn's SGD."""
    return SGDRegressor(max_iter=1, tol=None).fit(data.X, data.y)


def staged_sgd():
    """Yield the contests of a pass of SGD, with its loss curve predicted and without."""
    name = "SGDRegressor(max_iter=1)"
    scored = {
        f"{name}, 5 folds": lambda data: fit_and_score(
            SGDRegressor(max_iter=1, tol=None), data.X, data.y
        )
    }
    job = "one pass over 10 000 rows x 100, batches of 32, cosine"
    for ours, more, predicted, rivals, fits in (
        (
            one_pass,
            "",
            lambda data, model: 2 * model.theoretical_risk_ - 0.25,
            scored,
            {name: plain_sgd},
        ),
        (bare_pass, ", partial_fit", None, {name: plain_sgd}, {}),
    ):
        yield Contest(
            "staged SGD",
            job + more,
            "excess squared error",
            regression,
            ours,
            rivals,
            lambda data, model: float(((model.coef_ - data.coef) ** 2).sum()),
            predicted,
            fits,
        )


class Table(NamedTuple):
    """Training rows and test rows."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def table(seed):
    """Split breast cancer into 200 training rows and test rows."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=200, random_state=seed, stratify=y)
    return Table(X, y, X_test, y_test)


def generalization_report():
    """Yield the contests of predicting an accuracy, of a pipeline and of one that selects by y."""
    scaled = make_pipeline(StandardScaler(), RidgeClassifier(30.0))
    selected = make_pipeline(StandardScaler(), SelectKBest(k=10), LogisticRegression())
    for title, model, cv in (
        ("StandardScaler, RidgeClassifier", scaled, "auto"),
        ("StandardScaler, SelectKBest, LogisticRegression; cv=5", selected, 5),
    ):
        yield Contest(
            "scikit-learn's pipelines",
            f"accuracy of {title} predicted from 200 rows x 30 of breast cancer",
            "distance from test accuracy",
            table,
            lambda data, model=model, cv=cv: GeneralizationReport(model, cv=cv, random_state=0).fit(
                data.X, data.y
            ),
            {
                "fit and cross_val_score, 5 folds": lambda data, model=model: fit_and_score(
                    model, data.X, data.y
                )
            },
            lambda data, found, model=model: gap(data, found, model),
        )


def gap(data, found, model):
    """Return how far a predicted accuracy is from the accuracy on test rows."""
    predicted = getattr(found, "theoretical_accuracy_", getattr(found, "cv_score_", None))
    real = clone(model).fit(data.X, data.y).score(data.X_test, data.y_test)
    return float(abs(predicted - real))


def contests():
    """Yield the contests on tables."""
    for subject in (noisy_labels, synthetic_mix, staged_sgd, generalization_report):
        yield from subject()
