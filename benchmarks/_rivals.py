"""What people use today, each with its usual setting and with its best one."""

import warnings

import numpy as np
from cleanlab.classification import CleanLearning
from cleanlab.rank import get_label_quality_scores
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    RidgeClassifier,
    RidgeClassifierCV,
)
from sklearn.model_selection import cross_val_predict

PENALTIES = np.logspace(-4, 3, 29)


def ridge(n):
    """Return a ridge classifier with 29 penalties, chosen by leave-one-out, for n rows."""
    return RidgeClassifierCV(alphas=PENALTIES * n)


def fixed_ridge(n):
    """Return a ridge classifier of one penalty: on sparse rows there is none that tries many."""
    return RidgeClassifier(1.0)


def logistic_cv():
    """Return a logistic regression whose penalty cross-validation chooses."""
    return LogisticRegressionCV(max_iter=1000)


def logistic(C=1.0):
    """Return a logistic regression."""
    return LogisticRegression(C=C, max_iter=1000)


def fit(model, X, y):
    """Fit a rival, its deprecation and convergence warnings silenced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def pruned(base, X, y):
    """Fit cleanlab's CleanLearning: prune rows that look wrong, then fit again."""
    return fit(CleanLearning(base, seed=0, find_label_issues_kwargs={"n_jobs": 1}), X, y)


def label_quality(base, X, y):
    """Return cleanlab's label quality from five-fold out-of-fold probabilities."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        probabilities = cross_val_predict(base, X, y, cv=5, method="predict_proba")
    return get_label_quality_scores(y, probabilities)
