"""The tables of an audit."""

from __future__ import annotations

import numpy as np

from ..utils._intervals import SHARED_FITS, normal_interval
from ..utils._optional import import_optional
from ._words import SUREST

FIRST = (10, 50, 100)
"""Rows of the list that people check first."""
SPAN = (0.25, 8.0, 13)
"""Smallest and largest number of rows of a forecast per row at hand, and how many numbers."""


def decided(model) -> np.ndarray:
    """Return the class that the fits without each row decide for, as a position in `classes_`."""
    scores = model.held_out_scores_
    return (scores > 0) * 1 if scores.ndim == 1 else scores.argmax(axis=1)


def accuracy_frame(model, codes):
    """Return the accuracies that answer different questions."""
    pandas = import_optional("pandas", "cli")
    nothing = [np.nan, np.nan]
    sizes = np.bincount(codes, minlength=len(model.classes_))
    rows = {
        "if every label is right": [model.accuracy_if_clean_, *nothing],
        "if the labels that disagree most are mistakes": [model.accuracy_if_noisy_, *nothing],
        "on right labels": [model.theoretical_accuracy_, *model.theoretical_accuracy_interval_],
        "on labels as given": [model.observed_accuracy_, *model.observed_accuracy_interval_],
        "balanced, on labels as given": _balanced(model, codes, sizes),
        "always the commonest label": [sizes.max() / sizes.sum(), *nothing],
    }
    return pandas.DataFrame.from_dict(
        rows, orient="index", columns=["score", "lower", "upper"], dtype=float
    )


def _balanced(model, codes, sizes):
    """Return the mean share of each label that is predicted as such, with its interval."""
    if not np.isfinite(model.observed_accuracy_):
        return [np.nan, np.nan, np.nan]
    right = np.bincount(codes, weights=decided(model) == codes, minlength=len(sizes))
    smooth = (right + 1.0) / (sizes + 2.0)
    variance = (smooth * (1.0 - smooth) / sizes).sum() / len(sizes) ** 2
    balanced = float((right / sizes).mean())
    return [balanced, *normal_interval(balanced, SHARED_FITS * np.sqrt(variance))]


def class_frame(model, codes):
    """Return for each class how many of its labels look wrong, and how many rows miss theirs."""
    pandas = import_optional("pandas", "cli")
    sizes = np.bincount(codes, minlength=len(model.classes_))
    wrong = np.bincount(codes, weights=1.0 - model.label_quality_, minlength=len(sizes))
    rates, std = model.noise_rates_, model.noise_rates_std_
    if model.regime_ in ("undetected", "too_few_rows"):
        wrong, rates, std = (np.full(len(sizes), np.nan) for _ in range(3))
    columns = {
        "rows_labelled": sizes,
        "look_wrong": np.minimum(wrong / sizes, SUREST),
        "labelled_otherwise": np.minimum(rates, SUREST),
        "labelled_otherwise_std": std,
    }
    return pandas.DataFrame(columns, pandas.Index(model.classes_, name="class"))


def wrong_probabilities(model) -> np.ndarray:
    """Return the probability that each label is wrong, nowhere certain."""
    return np.minimum(1.0 - model.label_quality_, SUREST)


def row_frame(model, codes, frame, threshold):
    """Return the rows that the model disagrees with, the most suspicious first."""
    wrong = wrong_probabilities(model)
    listed = decided(model) != codes if threshold is None else wrong >= threshold
    # Ties in probability keep the order in which the scores disagree.
    order = np.argsort(model.label_quality_, kind="stable")
    order = order[listed[order]]
    others = model.label_posterior_[order].copy()
    others[np.arange(len(order)), codes[order]] = -1.0
    found = {
        "given_label": model.classes_[codes[order]],
        "suggested_label": model.classes_[others.argmax(1)],
        "probability_wrong": np.round(wrong[order], 6),
    }
    return _before_columns(found, frame.iloc[order])


def precision_frame(model):
    """Return the share of the first rows of the list that is expected to be mislabelled."""
    pandas = import_optional("pandas", "cli")
    if model.regime_ in ("undetected", "too_few_rows"):
        return pandas.DataFrame(columns=["expected", "if_labels_are_wrong"], dtype=float)
    ordered = np.sort(wrong_probabilities(model))[::-1]
    firsts = [first for first in FIRST if first <= len(ordered)]
    expected = np.array([ordered[:first].mean() for first in firsts])
    known = model.noise_rates != "estimate" or model.noise_probability_ == 0
    per_story = 1.0 if known else float(model.noise_probability_)
    columns = {
        "expected": np.minimum(expected, SUREST),
        "if_labels_are_wrong": np.minimum(expected / per_story, SUREST),
    }
    return pandas.DataFrame(columns, pandas.Index(firsts, name="first_rows"))


def outlook_frame(model):
    """Return the accuracy on right labels with more rows, and with every label put right."""
    pandas = import_optional("pandas", "cli")
    names = ["n_rows", "labels_as_now", "every_label_right"]
    # Theory needs two classes, and a fit that is not a mixture of two stories.
    if model.regime_ not in ("detected", "misfit") or len(model.classes_) != 2:
        return pandas.DataFrame(columns=names, dtype=float)
    sizes = model.n_effective_samples_ * np.geomspace(*SPAN)
    now = model.forecast(n_samples=sizes).score
    clean = model.forecast(n_samples=sizes, cleaned_fraction=1.0).score
    return pandas.DataFrame(dict(zip(names, (sizes, now, clean), strict=True)))


def column_frame(columns):
    """Return what became of each column."""
    pandas = import_optional("pandas", "cli")
    rows = [(column.kind, column.remark) for column in columns]
    names = pandas.Index([column.name for column in columns], name="column")
    return pandas.DataFrame(rows, names, ["kind", "remark"])


def residual_frame(report, targets, frame):
    """Return all rows, those first whose target the model misses most."""
    predicted = report.held_out_scores_
    missed = targets - predicted
    spread = np.sqrt(np.mean(missed**2))
    order = np.argsort(-np.abs(missed), kind="stable")
    found = {
        "given": targets[order],
        "predicted": predicted[order],
        "error_in_std": missed[order] / (spread if spread > 0 else 1.0),
    }
    return _before_columns(found, frame.iloc[order])


def _before_columns(found, rows):
    """Return what was found of rows, followed by the columns of their table."""
    pandas = import_optional("pandas", "cli")
    taken = set(rows.columns)
    named = {key if key not in taken else f"skrmt_{key}": found[key] for key in found}
    return pandas.concat([pandas.DataFrame(named, rows.index), rows], axis=1)
