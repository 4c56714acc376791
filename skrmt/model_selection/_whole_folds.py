"""Scores of training rows by fits of the whole estimator to other rows, and when these are due."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.special import logit
from scipy.stats import rankdata
from sklearn import config_context, get_config, preprocessing
from sklearn.base import clone, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import check_cv
from sklearn.pipeline import FeatureUnion, Pipeline

from ..utils._merging import group_folds
from ..utils._random import random_seed
from ..utils._rows import content_keys
from ._closed_forms import has_dual_form
from ._input import (
    Given,
    comparable,
    fit_weighted,
    has_theory,
    is_search,
    params_of_rows,
    searched,
    some_rows,
)
from ._rounds import Round, deciding_scores

_FOLDS, _ROUNDS = 10, 2
"""Fits to nine tenths of the rows are nearly those to all; two rounds show how far folds differ."""

_LEAST_SHARE = 1e-9
"""Probabilities closer to 0 and 1 have the log-odds of this one: theirs may be infinite."""

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
    return is_linear(searched(estimator)) if is_search(estimator) else has_theory(estimator)


def has_closed_form(estimator: Any) -> bool:
    """Return whether rows may be left out of the last step alone."""
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


class _Found(NamedTuple):
    """What one fit makes of the rows left out."""

    decided: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray | None
    shares: np.ndarray | None
    value: float


def whole_folds(
    estimator: Any,
    given: Given,
    classes: np.ndarray | None,
    rounds: list,
    *,
    scorer: Callable | None = None,
    n_jobs: int | None = None,
    params: dict | None = None,
    watched: Any = None,
) -> tuple[Round, ...]:
    """Return what fits of the whole estimator to training rows make of test rows, by round.

    Callbacks of the estimator that is watched, if it has any, are called at every fold.
    """
    splits = [split for splits in rounds for split in splits]
    # scikit-learn's own `delayed` sets warning filters in threads, and leaves some behind.
    run, config = delayed(_fold_scores), get_config()
    with _told(watched, len(splits)) as tasks:
        found = Parallel(n_jobs=n_jobs)(
            run(
                config, task, estimator, given, classes, split, k, len(splits), scorer, params or {}
            )
            for k, (split, task) in enumerate(zip(splits, tasks, strict=True))
        )
    start, gathered = 0, []
    for some in rounds:
        gathered.append(_gather(found[start : start + len(some)], some, len(given.y)))
        start += len(some)
    return tuple(gathered)


@contextmanager
def _told(watched: Any, n_folds: int) -> Iterator[list]:
    """Yield what tells the callbacks of an estimator in its fit of each fold, None without any."""
    root = getattr(watched, "_callback_fit_ctx", None)
    if root is None:
        yield [None] * n_folds
        return
    folds = root.subcontext("folds", max_subtasks=n_folds, sequential_subtasks=False)
    folds.call_on_fit_task_begin(estimator=watched)
    tasks = [folds.subcontext("fold", task_id=k) for k in range(n_folds)]
    yield [(task, watched) for task in tasks]
    folds.call_on_fit_task_end(estimator=watched)


def _gather(found: list, splits: list, n: int) -> Round:
    """Put what the fits of a round make of their rows in the order of all rows."""
    fold = np.full(n, -1)

    def filled(name: str) -> Any:
        parts = [getattr(one, name) for one in found]
        if any(part is None for part in parts):
            return None
        whole = np.zeros((n, *parts[0].shape[1:]), dtype=parts[0].dtype)
        for part, (_, test) in zip(parts, splits, strict=True):
            whole[test] = part
        return whole

    for k, (_, test) in enumerate(splits):
        fold[test] = k
    decided, scores, ranks, shares = map(filled, ("decided", "scores", "ranks", "shares"))
    return Round(fold, decided, scores, ranks, shares, tuple(one.value for one in found))


def _fold_scores(
    config, task, estimator, given, classes, split, k, n_folds, scorer, params
) -> _Found:
    """Return what the fit to the training rows of a fold makes of its test rows."""
    if task is not None:
        task, watched = task
        task.call_on_fit_task_begin(estimator=watched)
    try:
        with config_context(**config):
            return _tested(estimator, given, classes, split, k, n_folds, scorer, params)
    finally:
        if task is not None:
            task.call_on_fit_task_end(estimator=watched)


def _tested(estimator, given, classes, split, k, n_folds, scorer, params) -> _Found:
    """Fit to the training rows of a fold, and return what comes of its test rows."""
    train, test = split
    weights = None if given.fit_weights is None else given.fit_weights[train]
    try:
        rows, own = some_rows(given.X, train), params_of_rows(params, len(given.y), train)
        fitted = fit_weighted(clone(estimator), rows, given.y[train], weights, own)
        rows = some_rows(given.X, test)
        value = np.nan if scorer is None else float(scorer(fitted, rows, given.y[test]))
        decided, scores, ranks, shares = row_results(fitted, rows, classes)
        return _Found(decided, scores, ranks, shares, value)
    except Exception as error:
        error.add_note(f"It was raised in fold {k + 1} of {n_folds} of the report.")
        raise


def content_rounds(
    given: Given, classes: np.ndarray | None, n_folds: int | None, random_state: Any
) -> list:
    """Return the splits of each round of folds, which follow from what the rows hold.

    Copies, and rows of a group, are in one fold; folds have classes as frequent as all rows.
    """
    deal, strata = _dealer(given, random_state), _strata(given, classes)
    rows, rounds = np.arange(len(given.y)), []
    for k in range(_ROUNDS if n_folds is None else 1):
        fold = deal(strata, n_folds or _FOLDS, k)
        rounds.append([(rows[fold != j], rows[fold == j]) for j in range(fold.max() + 1)])
    return rounds


def part_rounds(
    given: Given, classes: np.ndarray | None, part: float, repeats: int, random_state: Any
) -> list:
    """Return splits, a round each, that train on a part of the rows and test on the others."""
    deal, strata = _dealer(given, random_state), _strata(given, classes)
    inside = [deal(strata, round(1.0 / part), k) == 0 for k in range(repeats)]
    rows = np.arange(len(given.y))
    return [[(rows[own], rows[~own])] for own in inside]


def _dealer(given: Given, random_state: Any) -> Callable:
    """Return a function that deals rows out over folds, by what they hold and a seed."""
    unit = _units(given)
    names = _content_ranks(given, unit)
    seed = 0 if random_state is None else random_seed(random_state)

    def deal(strata: np.ndarray, n_folds: int, k: int) -> np.ndarray:
        order = np.random.default_rng((seed, n_folds, k)).permutation(len(names))
        fold = group_folds(order[names][unit], strata, min(n_folds, len(names)))
        return np.unique(fold, return_inverse=True)[1].ravel()

    return deal


def given_rounds(cv: Any, estimator: Any, given: Given, groups: Any) -> list:
    """Return the splits of a splitter of scikit-learn, or of an iterable, by round.

    Splits that have no test row in common are one round.
    """
    splitter = check_cv(cv, given.y, classifier=is_classifier(estimator))
    # A splitter deals out rows with weight; an iterable numbers all rows that were given.
    kept = np.ones(len(given.y), dtype=bool) if hasattr(cv, "split") else given.kept
    rounds: list = []
    taken: list = []
    for train, test in splitter.split(given.X, given.y, groups):
        try:
            train, test = (_kept_numbers(rows, kept) for rows in (train, test))
        except (IndexError, TypeError) as error:
            raise ValueError(f"cv has a split that does not number rows of X: {error}.") from error
        if not len(test) or not len(train):
            raise ValueError("cv has a split without training or test rows: give rows of both.")
        if len(np.intersect1d(train, test)):
            raise ValueError("cv has rows in training and test of a split: part them.")
        free = next((k for k, rows in enumerate(taken) if not rows[test].any()), len(rounds))
        if free == len(rounds):
            rounds.append([])
            taken.append(np.zeros(len(given.y), dtype=bool))
        rounds[free].append((train, test))
        taken[free][test] = True
    if not rounds:
        raise ValueError(f"cv={cv!r} has no split: give one at least, of (train, test).")
    return rounds


def _kept_numbers(rows: Any, kept: np.ndarray) -> np.ndarray:
    """Return rows, given by number or as a mask, as numbers among those that are kept."""
    rows = np.arange(len(kept))[np.asarray(rows)]
    return (np.cumsum(kept) - 1)[rows[kept[rows]]]


def _units(given: Given) -> np.ndarray:
    """Return what goes out together: the copies of a row, or the rows of a group."""
    merged = given.merged
    if merged.group is not None:
        return merged.group if merged.origin is None else merged.group[merged.origin]
    if merged.origin is not None and merged.kind != "discrete":
        return merged.origin
    return np.arange(len(given.y))


def _strata(given: Given, classes: np.ndarray | None) -> np.ndarray:
    """Return what is as frequent in every fold: classes, or parts of the range of targets."""
    if classes is not None:
        return np.searchsorted(classes, given.y)
    # Equal targets are in one part, whatever the order of their rows.
    return (rankdata(given.y, "min").astype(int) - 1) * _STRATA // len(given.y)


def _content_ranks(given: Given, unit: np.ndarray) -> np.ndarray:
    """Return the rank of each unit by what its rows hold, whatever their order."""
    X = comparable(given.X)
    keys = content_keys(X, np.ones(X.shape[1], dtype=bool))
    least = np.full(unit.max() + 1, np.inf)
    np.minimum.at(least, unit, keys)
    codes = np.full(unit.max() + 1, np.inf)
    np.minimum.at(codes, unit, np.unique(given.y, return_inverse=True)[1].ravel())
    return np.argsort(np.lexsort((codes, least)), kind="stable")


def fewest_units(given: Given, classes: np.ndarray | None) -> int:
    """Return how many rows or groups, left out apart from each other, the rarest class has."""
    return int(_unit_counts(given, classes).min())


def _unit_counts(given: Given, classes: np.ndarray | None) -> np.ndarray:
    """Return how many rows or groups, left out apart from each other, each class has."""
    if classes is None:
        classes, codes = np.zeros(1), np.zeros(len(given.y), dtype=int)
    else:
        codes = np.searchsorted(classes, given.y)
    n_classes, merged = len(classes), given.merged
    if merged.origin is None and merged.group is None:
        return np.bincount(codes, minlength=n_classes)
    pairs = np.unique(_units(given) * n_classes + codes)
    return np.bincount(pairs % n_classes, minlength=n_classes)


def check_classes(given: Given, classes: np.ndarray) -> None:
    """Raise if without the rows that are left out together no fit knows a class."""
    alone = np.flatnonzero(_unit_counts(given, classes) < 2)
    if len(alone):
        raise ValueError(
            f"y has class {classes[alone[0]].item()!r} in one row only, or in rows that are left "
            "out together: without them no fit knows it. Give more rows of the class, or drop it."
        )


def row_results(fitted: Any, X: Any, classes: np.ndarray | None) -> tuple:
    """Return decisions, scores that decide so, scores as given and probabilities of rows."""
    predicted = np.asarray(fitted.predict(X))
    if classes is None:
        if predicted.reshape(len(predicted), -1).shape[1] > 1:
            raise ValueError("The estimator predicts several targets: give one with one target.")
        predicted = predicted.reshape(-1).astype(float)
        return predicted, predicted, None, None
    decided = np.searchsorted(classes, predicted)
    scores, ranks, shares = _scores_and_shares(fitted, X, classes)
    return decided, deciding_scores(decided, scores, len(classes)), ranks, shares


def _scores_and_shares(fitted: Any, X: Any, classes: np.ndarray) -> tuple:
    """Return decision values or log-odds, what ranks rows, and probabilities; None where none."""
    shape = (len(classes),) if len(classes) > 2 else ()
    known = getattr(fitted, "classes_", None)
    if known is None or not np.array_equal(known, classes):
        return None, None, None
    shares = scores = None
    if hasattr(fitted, "predict_proba"):
        shares = np.asarray(fitted.predict_proba(X), dtype=float)
    if hasattr(fitted, "decision_function"):
        scores = np.asarray(fitted.decision_function(X), dtype=float)
    if scores is not None and scores.shape[1:] == shape:
        return scores, scores, shares
    if shares is None:
        return None, None, None
    # Log-odds of 0 and 1 would be infinite; ranks of tiny probabilities are as given.
    clipped = np.clip(shares, _LEAST_SHARE, 1.0 - _LEAST_SHARE)
    if shape:
        return np.log(clipped), shares, shares
    return logit(clipped[:, 1]), shares[:, 1], shares
