"""Leave rows out of an estimator, in closed form where every step allows it, else by folds."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import is_classifier
from sklearn.pipeline import Pipeline

from ..linalg import needs_krylov
from ._accuracy import Labels, read_labels
from ._closed_forms import HeldOut, held_out
from ._input import RIDGES, Given, Rows, chooses_by_folds, distinct_rows, last_step_rows
from ._metrics import read_sample
from ._outlook import Evidence
from ._rounds import closed_round, distinct_scores
from ._whole_folds import (
    check_classes,
    content_rounds,
    given_rounds,
    has_closed_form,
    is_linear,
    whole_folds,
)

_ONE_ROW = 0.4
"""Part of a column's scatter from which one row decides its scale, as one of two equal ones."""
_SUCH_COLUMNS = 0.1
"""Share of such columns up to which rows are scaled as they would be without each of them."""


def leave_out(
    report: Any, given: Given, params: dict, groups: Any, scoring: str, scorer: Any
) -> Evidence:
    """Return what fits without them make of the rows of a report whose estimator is fitted."""
    estimator, features, model = report.estimator, None, None
    classes = None
    if is_classifier(estimator):
        known = getattr(report.estimator_, "classes_", None)
        classes = np.unique(given.y) if known is None else np.asarray(known)
        check_classes(given, classes)
    if has_closed_form(report.estimator_):
        features, model = last_step_rows(report.estimator_, given.X)
        if isinstance(report.estimator_, Pipeline) and _hang_on_single_rows(features):
            features = model = None
        elif needs_krylov(features):
            # Closed forms would need a dense array of the size of the rows.
            features = model = None
    rows = distinct_rows(model, features, given)
    labels = _labels(report, given, rows, classes)
    closed = model is not None and not chooses_by_folds(estimator) and not params
    closed = closed and scorer is None and report.cv == "auto"
    left = held_out(model, rows) if closed else None
    if left is None:
        rounds = _folds(report, given, params, groups, classes, scorer)
        left = HeldOut(distinct_scores(rounds[0], given), None, "folds")
    else:
        rounds = (closed_round(left, model, rows, given),)
    interpolates = closed and left.kind == "folds" and isinstance(model, RIDGES)
    model = model if is_linear(report.estimator_) else None
    weights = np.ones(len(given.y)) if given.fit_weights is None else given.fit_weights
    codes_or_targets = given.y if labels is None else given.merged.spread(labels.codes)
    return Evidence(
        model,
        rows,
        left,
        rounds,
        read_sample(codes_or_targets, weights, rows.size, labels),
        labels,
        given,
        params,
        scoring,
        scorer,
        interpolates,
    )


def _hang_on_single_rows(features: Any) -> bool:
    """Return whether single rows decide the scale of columns, as in rarely used indicators.

    Without its row such a column is scaled otherwise, or constant.
    """
    if sparse.issparse(features):
        largest = np.asarray(features.multiply(features).max(axis=0).todense()).ravel()
        total = np.asarray(features.multiply(features).sum(axis=0)).ravel()
    else:
        squares = (features - features.mean(axis=0)) ** 2
        largest, total = squares.max(axis=0), squares.sum(axis=0)
    return bool(np.mean(largest > _ONE_ROW * np.maximum(total, 1e-300)) > _SUCH_COLUMNS)


def _labels(report: Any, given: Given, rows: Rows, classes: np.ndarray | None) -> Labels | None:
    """Return what is known of the labels of a classifier, None for a regressor."""
    if classes is None:
        return None
    rates = report.noise_rates
    known = 0.0 if rates is None or isinstance(rates, str) else rates
    codes = np.searchsorted(classes, rows.y)
    return read_labels(codes, rows.weights, np.asarray(known, dtype=float))


def _folds(
    report: Any, given: Given, params: dict, groups: Any, classes: Any, scorer: Any
) -> tuple:
    """Return what fits of the whole estimator make of rows left out."""
    cv = report.cv
    if cv == "auto" or isinstance(cv, Integral):
        n_folds = None if cv == "auto" else int(cv)
        rounds = content_rounds(given, classes, n_folds, report.random_state)
    else:
        kept = None if groups is None else np.asarray(groups)[given.kept]
        rounds = given_rounds(cv, report.estimator, given, kept)
    return whole_folds(
        report.estimator,
        given,
        classes,
        rounds,
        scorer=scorer,
        n_jobs=report.n_jobs,
        params=params,
        watched=report,
    )
