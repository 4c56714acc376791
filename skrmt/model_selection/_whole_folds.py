"""Scores of training rows by fits of the whole estimator to other rows, and when these are due."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit
from sklearn import preprocessing
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from ..utils._merging import group_folds
from ._dual import has_dual_form
from ._estimators import fit_weighted, has_theory, is_search
from ._held_out import HeldOut
from ._rows import Given, some_rows

_FOLDS, _ROUNDS = 10, 2
"""Fits to nine tenths of the rows are nearly those to all; two rounds show how far folds differ."""

_STRATA = 10
"""Parts of the targets of a regression that are dealt out evenly over folds."""

_HARMLESS = (
    preprocessing.Binarizer,
    preprocessing.FunctionTransformer,
    preprocessing.KBinsDiscretizer,
    preprocessing.MaxAbsScaler,
    preprocessing.MinMaxScaler,
    preprocessing.Normalizer,
    preprocessing.OneHotEncoder,
    preprocessing.OrdinalEncoder,
    preprocessing.PolynomialFeatures,
    preprocessing.PowerTransformer,
    preprocessing.QuantileTransformer,
    preprocessing.RobustScaler,
    preprocessing.SplineTransformer,
    preprocessing.StandardScaler,
    MissingIndicator,
    SimpleImputer,
    VarianceThreshold,
)
"""Transformers that see no target, and learn nothing that one row would change by much."""


def is_linear(estimator: Any) -> bool:
    """Return whether an estimator is a linear one that theory knows, after harmless steps."""
    if isinstance(estimator, Pipeline):
        *before, (_, last) = estimator.steps
        return is_linear(last) and all(_is_harmless(step) for _, step in before)
    return is_linear(estimator.estimator) if is_search(estimator) else has_theory(estimator)


def has_closed_form(estimator: Any) -> bool:
    """Return whether rows may be left out of the last step alone, in closed form or by folds."""
    if isinstance(estimator, Pipeline):
        *before, (_, last) = estimator.steps
        return has_closed_form(last) and all(_is_harmless(step) for _, step in before)
    return is_linear(estimator) or has_dual_form(estimator)


def _is_harmless(step: Any) -> bool:
    """Return whether a step sees no target, whatever it is made of."""
    if step is None or isinstance(step, str):
        return step in (None, "passthrough", "drop")
    if isinstance(step, Pipeline):
        return all(_is_harmless(inner) for _, inner in step.steps)
    if isinstance(step, FeatureUnion):
        return all(_is_harmless(inner) for _, inner in step.transformer_list)
    if isinstance(step, ColumnTransformer):
        parts = [inner for _, inner, _ in step.transformers]
        return all(_is_harmless(inner) for inner in [*parts, step.remainder])
    return type(step) in _HARMLESS


def whole_folds(estimator: Any, given: Given, classes: np.ndarray | None) -> HeldOut:
    """Return scores of distinct rows by fits of the whole estimator to the other folds.

    Copies, and rows of a group, are in one fold; folds have classes as frequent as all rows.
    """
    rounds = []
    for seed in range(_ROUNDS):
        fold = _folds(given, classes, seed)
        scores: Any = None
        for k in range(fold.max() + 1):
            found = _fold_scores(estimator, given, classes, fold, k)
            scores = np.empty((len(fold), *found.shape[1:])) if scores is None else scores
            scores[fold == k] = found
        rounds.append(_of_distinct(scores, given.merged.origin))
    return HeldOut(rounds[0], None, "folds", tuple(rounds[1:]))


def _fold_scores(
    estimator: Any, given: Given, classes: np.ndarray | None, fold: np.ndarray, k: int
) -> np.ndarray:
    """Return the scores of the rows of a fold by the fit to the others."""
    train = fold != k
    weights = None if given.fit_weights is None else given.fit_weights[train]
    rows = some_rows(given.X, train)
    try:
        fitted = fit_weighted(clone(estimator), rows, given.y[train], weights)
        return row_scores(fitted, some_rows(given.X, ~train), classes)
    except Exception as error:
        error.add_note(f"It was raised in fold {k + 1} of {fold.max() + 1} of the report.")
        raise


def _of_distinct(scores: np.ndarray, origin: np.ndarray | None) -> np.ndarray:
    """Return the mean scores of rows that are identical."""
    if origin is None:
        return scores
    share = 1.0 / np.bincount(origin)
    columns = scores.reshape(len(origin), -1).T
    means = np.stack([np.bincount(origin, column) * share for column in columns], axis=1)
    return means.reshape(-1, *scores.shape[1:])


def _folds(given: Given, classes: np.ndarray | None, seed: int) -> np.ndarray:
    """Return the fold of each row."""
    n, merged = len(given.y), given.merged
    unit = np.arange(n)
    if merged.origin is not None and merged.kind != "discrete":
        unit = merged.origin
    if merged.group is not None:
        unit = merged.group if merged.origin is None else merged.group[merged.origin]
    if classes is None:
        ranks = np.argsort(np.argsort(given.y, kind="stable"), kind="stable")
        strata = ranks * _STRATA // n
    else:
        strata = np.searchsorted(classes, given.y)
        _check_classes(unit, strata, classes)
    # Rows often lie in an order of time or place: folds follow none.
    names = np.random.default_rng(seed).permutation(unit.max() + 1)
    fold = group_folds(names[unit], strata, min(_FOLDS, unit.max() + 1))
    return np.unique(fold, return_inverse=True)[1].ravel()


def _check_classes(unit: np.ndarray, codes: np.ndarray, classes: np.ndarray) -> None:
    """Raise if without the rows that are left out together no fit knows a class."""
    pairs = np.unique(np.stack([codes, unit], axis=1), axis=0)
    alone = np.flatnonzero(np.bincount(pairs[:, 0], minlength=len(classes)) < 2)
    if len(alone):
        raise ValueError(
            f"y has class {classes[alone[0]].item()!r} in one row only, or in rows that are left "
            "out together: without them no fit knows it. Give more rows of the class, or drop it."
        )


def row_scores(fitted: Any, X: Any, classes: np.ndarray | None) -> np.ndarray:
    """Return predictions, or scores whose sign or largest column is the class predicted."""
    predicted = np.asarray(fitted.predict(X))
    if classes is None:
        if predicted.reshape(len(predicted), -1).shape[1] > 1:
            raise ValueError("The estimator predicts several targets: give one with one target.")
        return predicted.reshape(-1).astype(float)
    chosen = np.eye(len(classes))[np.searchsorted(classes, predicted)]
    two = len(classes) == 2
    shape = (len(chosen),) if two else chosen.shape
    scores = _raw_scores(fitted, X)
    if scores is None or scores.shape != shape or not np.array_equal(fitted.classes_, classes):
        return chosen[:, 1] - chosen[:, 0] if two else chosen
    # A threshold of its own, or another rule, may decide otherwise than scores do.
    least = np.finfo(float).tiny + 1e-12 * np.abs(scores).max(initial=0.0)
    if two:
        sign = chosen[:, 1] - chosen[:, 0]
        return np.where(sign * scores > 0, scores, sign * least)
    others = np.where(chosen > 0, -np.inf, scores).max(1)
    own = (chosen * scores).sum(1)
    return np.where((chosen > 0) & (own <= others)[:, None], (others + least)[:, None], scores)


def _raw_scores(fitted: Any, X: Any) -> np.ndarray | None:
    """Return decision values or log-odds, None where there are neither."""
    if hasattr(fitted, "decision_function"):
        return np.asarray(fitted.decision_function(X), dtype=float)
    if not hasattr(fitted, "predict_proba"):
        return None
    shares = np.clip(np.asarray(fitted.predict_proba(X), dtype=float), 1e-9, 1.0 - 1e-9)
    return logit(shares[:, 1]) if shares.shape[1] == 2 else np.log(shares)
