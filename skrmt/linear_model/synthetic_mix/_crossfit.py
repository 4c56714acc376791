"""Scores of real rows by fits to rows of a generator that has not seen them."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from ...linalg import as_device, is_torch, ridge_basis, to_numpy
from ...utils._merging import group_folds
from ...utils._progress import say
from ...utils._random import fresh_random_state
from ._input import LabelledRows, MixRows, SourceRows
from ._predict_path import predict_path
from ._problem import MixProblem, in_units, signed_targets, stack


class Fold(NamedTuple):
    """A fold with the synthetic rows of a generator that has not seen it.

    Attributes
    ----------
    train, test : ndarray of int
        Positions of the real rows.
    sources : list of SourceRows
        Generated rows, one group per source.
    """

    train: np.ndarray
    test: np.ndarray
    sources: list


def generate_folds(
    rows: MixRows, generator: Any, pruning: Any, prune_threshold: Any, cv: Any, random_state: Any
) -> list[Fold]:
    """Refit the generator without each fold of the real rows."""
    real: Any = rows.real
    _check_generator(generator, len(real.codes))
    random_state = fresh_random_state(random_state)
    folds = []
    splits = list(_splits(cv, real.codes, real.group, random_state))
    for number, (train, test) in enumerate(splits, 1):
        y_train = rows.classes[real.codes[train]]
        sources = []
        for source in rows.sources:
            seed = random_state.randint(2**31 - 1)
            made = generator(real.X[train], y_train, len(source.codes), seed)
            sources.append(_generated_rows(made, rows, pruning, prune_threshold))
        folds.append(Fold(train, test, sources))
        say(f"generator refitted without fold {number} of {len(splits)}")
    return folds


def _check_generator(generator, n_rows):
    """Raise if there is nothing to refit, or too little to refit it to."""
    if not callable(generator):
        raise ValueError(
            f"generator={generator!r} is not callable, but generator_source='same': give "
            "generator(X, y, n, random_state) -> (X, y), which fits the generator to rows and "
            "draws n, so that the accuracy can be measured on rows it has not seen."
        )
    if n_rows < 2:
        raise ValueError(
            f"generator_source='same' cross-fits, but there are {n_rows} distinct real rows: give "
            "two or more."
        )


def _splits(cv, codes, group, random_state):
    """Return the folds of the real rows, of whole groups where there are groups."""
    splitter = _splitter(cv, codes, random_state)
    rows = np.zeros((len(codes), 1))
    alone = group is None or group.max() + 1 == len(group)
    if isinstance(cv, numbers.Integral):
        if alone:
            return splitter.split(rows, codes)
        fold = group_folds(group, codes, min(int(cv), group.max() + 1))
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in np.unique(fold)]
    if group is None:
        return splitter.split(rows, codes)
    with warnings.catch_warnings():
        # Whether a splitter that does not read groups keeps them is seen from what it returns.
        warnings.filterwarnings("ignore", "The groups parameter is ignored", UserWarning)
        splits = list(splitter.split(rows, codes, group))
    if any(np.isin(group[test], group[train]).any() for train, test in splits):
        raise ValueError(
            f"cv={cv!r} splits rows of one group: give a number of folds, or a splitter that keeps "
            "groups whole, such as GroupKFold()."
        )
    return splits


def _splitter(cv, codes, random_state):
    """Return what splits the real rows."""
    if not isinstance(cv, numbers.Integral):
        return check_cv(cv, codes, classifier=True)
    n_splits = min(int(cv), len(codes))
    smallest = np.bincount(codes).min()
    splitter = StratifiedKFold if smallest >= n_splits else KFold
    return splitter(n_splits, shuffle=True, random_state=random_state.randint(2**31 - 1))


def _generated_rows(made, rows, pruning, prune_threshold):
    """Check what the generator returns."""
    expected = 2 if pruning is None else 3
    if not isinstance(made, tuple) or len(made) < expected:
        third = "" if pruning is None else ", keep" if pruning == "mask" else ", score"
        length = f" of length {len(made)}" if isinstance(made, tuple) else ""
        raise ValueError(
            f"generator must return (X, y{third}) for pruning={pruning!r}, but returned "
            f"{type(made).__name__}{length}."
        )
    X, y = made[0], np.asarray(to_numpy(made[1]))
    if X.shape[1] != rows.real.X.shape[1] or len(y) != X.shape[0]:
        raise ValueError(
            f"generator returned data of shape {tuple(X.shape)} and {len(y)} labels: give "
            f"{rows.real.X.shape[1]} features and one label per row."
        )
    if not np.isin(y, rows.classes).all():
        raise ValueError(
            f"generator returned labels {sorted(set(y.tolist()) - set(rows.classes.tolist()))[:5]} "
            f"that are not among the classes {rows.classes.tolist()[:10]}."
        )
    kept, score = np.ones(len(y), dtype=bool), None
    if pruning == "mask":
        kept = np.asarray(made[2], dtype=bool)
    elif pruning == "score":
        score = np.asarray(made[2], dtype=float)
        if not isinstance(prune_threshold, str):
            kept, score = score >= prune_threshold, None
    if is_torch(rows.real.X):
        X = as_device(np.asarray(to_numpy(X), dtype=np.float64), str(rows.real.X.device))
    ones = np.ones(len(y))
    return SourceRows(X, np.searchsorted(rows.classes, y), ones, ones, kept, score)


def crossfitted_scores(problem: MixProblem, folds: list, alphas: np.ndarray) -> Callable:
    """Return the function that yields scores of the real rows by fits that have not seen them."""
    n, q = len(problem.real.codes), 1 if problem.n_classes == 2 else problem.n_classes

    def left_out(weights, cuts):
        for index, (weight, cut) in enumerate(zip(weights, cuts, strict=True)):
            scores = np.empty((n, q, 1, len(alphas)))
            for fold in folds:
                scores[fold.test, :, 0] = _fold_scores(problem, fold, weight, cut, alphas)
            yield np.array([index]), scores

    return left_out


def _fold_scores(problem, fold, weights, cut, alphas):
    """Return the scores (n_test, q, k) of the rows of a fold at every penalty."""
    lowest = problem.thresholds[cut]
    used = [LabelledRows(*(values[fold.train] for values in problem.real[:4]))]
    factors, total = [1.0], used[0].weights.sum()
    for weight, source in zip(weights, fold.sources, strict=True):
        total += source.weights.sum()
        source = source.pruned(lowest)
        if weight > 0 and source.kept.any():
            rows = source.select(source.kept)
            used.append(rows._replace(X=in_units(rows.X, problem.unit)))
            factors.append(weight)
    data = stack([rows.X for rows in used])
    row_weights = np.concatenate([f * rows.weights for f, rows in zip(factors, used, strict=True)])
    codes = np.concatenate([rows.codes for rows in used])
    basis = ridge_basis(
        data, row_weights, fit_intercept=problem.fit_intercept, total_weight=float(total)
    )
    targets = signed_targets(codes, problem.n_classes, data)
    return to_numpy(predict_path(basis, targets, alphas, problem.real.X[fold.test]))
