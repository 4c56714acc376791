"""Labels that a judge gave to rows whose right label is known."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...linalg import is_torch, to_numpy
from ...utils._dask import to_local
from ...utils._intervals import wilson_interval

_FEWEST_OF_A_CLASS = 5
"""Effective rows of each class with both labels, below which targets are not corrected."""
_LEAST_CONTRAST = 0.1
"""1 less the error rates of both classes below which a judge is near chance: its confusion matrix
is then not inverted."""


class JudgedRows(NamedTuple):
    """Labels by the judge of each source, of rows with right labels.

    Attributes
    ----------
    codes : ndarray of int of shape (n_real, S)
        Codes of the labels of each source's judge, -1 where there is none.
    weights : ndarray of shape (n_real,)
        Weights of the rows.
    """

    codes: np.ndarray
    weights: np.ndarray


class JudgeErrors(NamedTuple):
    """How often judges are wrong, one entry for each source; nan where nothing shows it.

    Attributes
    ----------
    confusion : ndarray of shape (S, K, K)
        P(label of the judge = l | right label = k).
    rates : ndarray of shape (S, K)
        Share of wrong labels in each class.
    intervals : ndarray of shape (S, K, 2)
        95 % intervals of them.
    rate : ndarray of shape (S,)
        Share of wrong labels.
    rate_interval : ndarray of shape (S, 2)
        95 % interval of it.
    class_sizes : ndarray of shape (S, K)
        Effective number of rows of each class with both labels.
    """

    confusion: np.ndarray
    rates: np.ndarray
    intervals: np.ndarray
    rate: np.ndarray
    rate_interval: np.ndarray
    class_sizes: np.ndarray


def read_judge(
    y_judge: Any, classes: np.ndarray, n: int, real: np.ndarray, n_sources: int
) -> np.ndarray | None:
    """Return the codes of the judges' labels of real rows, (n_real, S), -1 for missing ones."""
    if y_judge is None:
        return None
    if not n_sources:
        raise ValueError(
            "y_judge has the labels of the judge of synthetic rows, but there are none: pass "
            "X_synthetic and y_synthetic, or sample_source."
        )
    values = _as_objects(y_judge)
    values = values[:, None] if values.ndim == 1 else values
    if values.shape != (n, n_sources):
        raise ValueError(
            f"y_judge has shape {values.shape}: give one label per row of X, ({n},), or one column "
            f"for each of the {n_sources} synthetic sources, ({n}, {n_sources})."
        )
    values = values[real]
    missing = _is_missing(values)
    codes = np.full(values.shape, -1)
    place = {label: k for k, label in enumerate(classes.tolist())}
    for index in zip(*np.nonzero(~missing), strict=True):
        label = values[index]
        if label not in place:
            raise ValueError(
                f"y_judge has the label {label!r}, which no row of y has (classes "
                f"{classes.tolist()[:10]}): give labels of these classes, or None or NaN where the "
                "judge has not labelled a row."
            )
        codes[index] = place[label]
    return codes


def _as_objects(y_judge):
    """Return labels as an array of Python objects, None where an entry is masked."""
    values = to_local(y_judge)
    if isinstance(values, np.ma.MaskedArray):
        data = np.array(values.data, dtype=object)
        data[np.ma.getmaskarray(values)] = None
        return data
    values = np.asarray(to_numpy(values) if is_torch(values) else values)
    # Numbers of NumPy become those of Python, which are hashed and printed as such.
    return np.array(values.tolist(), dtype=object).reshape(values.shape)


def _is_missing(values):
    """Return where labels are None, NaN, NaT or pandas.NA: these differ from themselves."""

    def missing(label):
        if label is None:
            return True
        try:
            return bool(label != label)
        except TypeError:
            return True

    return np.array([missing(label) for label in values.ravel()], dtype=bool).reshape(values.shape)


def judge_errors(rows: Any) -> JudgeErrors:
    """Count the errors of the judge of each source on real rows."""
    n_classes, n_sources = len(rows.classes), len(rows.sources)
    empty = JudgeErrors(
        np.full((n_sources, n_classes, n_classes), np.nan),
        np.full((n_sources, n_classes), np.nan),
        np.tile([0.0, 1.0], (n_sources, n_classes, 1)),
        np.full(n_sources, np.nan),
        np.tile([0.0, 1.0], (n_sources, 1)),
        np.zeros((n_sources, n_classes)),
    )
    if rows.judged is None or rows.real is None:
        return empty
    for source in range(n_sources):
        _count(rows, source, empty)
    return empty


def _count(rows, source, errors):
    """Enter the errors of the judge of one source."""
    real, n_classes = rows.real, len(rows.classes)
    known = (rows.place >= 0) & (rows.judged.codes[:, source] >= 0)
    # Identical rows with the same label by the judge are one.
    cell = rows.place[known] * n_classes + rows.judged.codes[known, source]
    weights = np.bincount(cell, rows.judged.weights[known], minlength=len(real.codes) * n_classes)
    weights = weights.reshape(-1, n_classes)
    squares = (weights**2).sum(1) * real.part
    member = np.eye(n_classes)[real.codes]
    table = member.T @ weights
    totals, energy = table.sum(1), member.T @ squares
    right = np.diag(table)
    for k in np.flatnonzero(totals > 0):
        errors.confusion[source, k] = table[k] / totals[k]
        share = float(right[k] / totals[k])
        errors.rates[source, k] = 1.0 - share
        errors.class_sizes[source, k] = totals[k] ** 2 / energy[k]
        interval = wilson_interval(share, errors.class_sizes[source, k])
        errors.intervals[source, k] = 1.0 - interval[::-1]
    if totals.any():
        share, size = float(right.sum() / totals.sum()), totals.sum() ** 2 / energy.sum()
        errors.rate[source] = 1.0 - share
        errors.rate_interval[source] = 1.0 - wilson_interval(share, size)[::-1]


def correction_spread(errors: JudgeErrors, corrected: list, amounts: np.ndarray) -> float:
    """Return the variance of the shift of corrected targets, times the number of real rows.

    `amounts` are the weights of the sources in the fit. A rate e of n rows has the variance
    ``e (1 - e) / n``.
    """
    if not (any(corrected) and amounts.sum() > 0):
        return 0.0
    spread = np.zeros(len(corrected))
    for k in np.flatnonzero(corrected):
        rates, sizes = errors.rates[k], errors.class_sizes[k]
        spread[k] = rates * (1.0 - rates) @ (sizes.sum() / sizes)
    return float((amounts / amounts.sum()) ** 2 @ spread)


def with_judge(qualities: list, pooled: Any, errors: JudgeErrors, rows: Any) -> tuple[list, Any]:
    """Return the qualities of sources, and of all, with the shares of wrong labels counted."""
    known = np.isfinite(errors.rate)
    qualities = [
        q._replace(noise_rate=float(errors.rate[k]), noise_rate_interval=errors.rate_interval[k])
        if known[k] and not q.leaked
        else q
        for k, q in enumerate(qualities)
    ]
    if not known.all() or not len(known) or any(q.leaked for q in qualities):
        return qualities, pooled
    weights = np.array([source.weights.sum() for source in rows.sources])
    shares = weights / weights.sum()
    rate = float(shares @ errors.rate)
    below, above = np.abs(errors.rate_interval.T - errors.rate)
    interval = np.array(
        [rate - np.sqrt(shares**2 @ below**2), rate + np.sqrt(shares**2 @ above**2)]
    )
    return qualities, pooled._replace(noise_rate=rate, noise_rate_interval=interval)


def label_targets(n_classes: int) -> np.ndarray:
    """Return the targets -1/+1 of each label, (K, 1) for two classes, (K, K) for more."""
    if n_classes == 2:
        return np.array([[-1.0], [1.0]])
    return 2.0 * np.eye(n_classes) - 1.0


def source_targets(rows: Any) -> tuple[list, list]:
    """Return the targets of each label of each source, and whether its judge corrects them.

    With T the confusion matrix of the judge, targets ``c T^{-1} t`` have the mean ``c t`` over its
    labels of rows of a class: what it takes one class for the other more often than back no longer
    moves the threshold. c is the contrast that uniform errors would leave. T is drawn to that of
    uniform errors as far as its own sampling error explains the difference.
    """
    plain = label_targets(len(rows.classes))
    errors, tables, corrected = judge_errors(rows), [], []
    for confusion, sizes in zip(errors.confusion, errors.class_sizes, strict=True):
        table = _corrected(confusion, sizes, plain)
        corrected.append(table is not None)
        tables.append(plain if table is None else table)
    return tables, corrected


def _corrected(confusion, sizes, plain):
    """Return the corrected targets of each label, or None where there is nothing to correct."""
    n_classes = len(plain)
    if not (np.isfinite(confusion).all() and (sizes >= _FEWEST_OF_A_CLASS).all()):
        return None
    contrast = (np.trace(confusion) - 1.0) / (n_classes - 1)
    if contrast < _LEAST_CONTRAST:
        return None
    uniform = contrast * np.eye(n_classes) + (1.0 - contrast) / n_classes
    difference = float(((confusion - uniform) ** 2).sum())
    variance = float(((confusion * (1.0 - confusion)).sum(1) / sizes).sum())
    if not difference > variance:
        return None
    table = uniform + (1.0 - variance / difference) * (confusion - uniform)
    if np.linalg.cond(table) > 1.0 / _LEAST_CONTRAST**2:
        return None
    return contrast * np.linalg.solve(table, plain)
