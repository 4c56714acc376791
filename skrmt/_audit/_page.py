"""An audit as a page of HTML, of the same pieces as the page of a report."""

from __future__ import annotations

import numpy as np

from .. import _install
from ..model_selection._page import (
    assemble,
    data_table,
    effort,
    escape,
    heat_table,
    mark,
    report_page,
    share_scale,
    two_columns,
    two_curves,
    valued_bar,
)
from ..model_selection._words import report_dict
from ..utils._labels import is_missing
from ..utils._wording import count, one_line
from ._frames import wrong_probabilities
from ._words import REGIMES, beside, caution, doubt, share, share_interval, wrong_if_noisy

ROWS_SHOWN, COLUMNS_SHOWN = 100, 8
"""Rows of the list, and columns of the table, that the page shows."""
MOST_CLASSES = 30
"""Classes of the table of classes, those with most wrong labels."""
_MARKS = {
    "detected": "ok",
    "misfit": "caution",
    "ambiguous": "caution",
    "undetected": "refused",
    "too_few_rows": "refused",
}


def audit_page(audit, *, whole):
    """Return an audit as a page, or as a part of a notebook."""
    more = [
        ("Rows the model misses most", _rows(audit, ["given", "predicted", "error / s.d."])),
        ("What became of the columns", _columns(audit)),
    ]
    model = audit.model
    if hasattr(model, "theoretical_score_"):
        return report_page(report_dict(model, measure=whole), whole=whole, more=more)
    sections = [
        ("How accurate can a linear classifier be?", _accuracy(audit)),
        ("Are labels wrong?", _classes(audit)),
        _precision(audit),
        _outlook(audit),
        ("Rows the model disagrees with", _rows(audit, ["label", "suggested", "wrong"])),
        _synthetic(audit),
        more[1],
    ]
    page = assemble(
        f"Audit of {audit.name}",
        f"Labels of the column <code>{escape(audit.target)}</code> of {escape(audit.name)}",
        _hero(audit),
        [section for section in sections if section],
        _foot(audit),
        whole=whole,
    )
    # A number and its sign stay on one line.
    return page.replace(" %", "\u00a0%")


def _hero(audit):
    """Return the accuracy under each explanation of the labels."""
    model = audit.model
    stories = []
    if model.noise_rates != "estimate" or model.regime_ in ("undetected", "too_few_rows"):
        stories.append((model.theoretical_accuracy_, "on right labels"))
    else:
        wrong = f"if the {share(wrong_if_noisy(model))} that disagree most are mistakes"
        stories = [(model.accuracy_if_clean_, "if every label is right")]
        stories.append((model.accuracy_if_noisy_, wrong))
        stories = [story for story in stories if np.isfinite(story[0])]
    numbers = "".join(
        f'<div><p class="number{"" if np.isfinite(value) else " words"}">{share(value)}</p>'
        f"<p>{words}</p></div>"
        for value, words in stories
    )
    verdict = f"{mark(_MARKS[model.regime_])} {REGIMES[model.regime_]} {doubt(model)}"
    return (
        f'<div class="hero">{numbers}</div><p class="lead">{verdict}</p>'
        f'<p class="lead">{beside(audit.accuracy)}</p>'
    )


def _accuracy(audit):
    """Return the accuracies with their intervals as bars."""
    known = audit.accuracy[np.isfinite(audit.accuracy["score"])]
    if known.empty:
        return '<p class="note">Not known.</p>'
    scale = share_scale(known.to_numpy().ravel().tolist())
    rows = (
        (escape(name), _bar(name, row.score, (row.lower, row.upper), scale))
        for name, row in known.iterrows()
    )
    return (
        '<p class="note">Share of fresh rows that are right, with 95 % intervals; bars are from '
        f"{scale.low:g} to 1.</p>{two_columns(rows)}"
    )


def _bar(name, score, ends, scale):
    """Return a share and its interval in percent, and as a bar."""
    return valued_bar(name, score, ends, scale, (share(score), share_interval(ends)))


def _classes(audit):
    """Return how many labels look wrong in each class."""
    order = audit.classes["labelled_otherwise"].to_numpy().argsort()[::-1]
    table = audit.classes.iloc[np.sort(order[:MOST_CLASSES])]
    left = len(order) - len(table)
    rows = [
        [one_line(name, 40), f"{row.rows_labelled:.0f}", share(row.look_wrong), _rate(row)]
        for name, row in table.iterrows()
    ]
    header = ["class", "rows labelled so", "of these look wrong", "of true ones labelled otherwise"]
    words = "On average over both explanations of the labels." * (
        audit.model.regime_ not in ("undetected", "too_few_rows")
    )
    words += f" The {len(table)} classes with most wrong labels; {left} are left out." * (left > 0)
    body = f'<p class="note">{words}</p>{data_table(header, rows, left=1)}'
    if len(audit.classes) == 2 or audit.model.regime_ in ("undetected", "too_few_rows"):
        return body
    joint = audit.model.class_prior_[:, None] * audit.model.noise_matrix_
    found = {"confusion": joint.tolist(), "classes": [str(name) for name in audit.classes.index]}
    note = "Of the rows of each true class (a line of the table), the percentage labelled as each."
    return body + heat_table(found, note)


def _rate(row):
    """Write the share of a class that is labelled otherwise, with its standard deviation."""
    std = row.labelled_otherwise_std
    return share(row.labelled_otherwise) + (f" \u00b1 {100 * std:.0f}" if std > 0 else "")


def _precision(audit):
    """Return how many of the first rows of the list are expected to be mislabelled."""
    title = "What would checking rows find?"
    if len(audit.precision) == 0:
        return None
    scale = share_scale([0.0])
    rows = (
        (f"first {first} rows", _bar("expected", row.expected, (np.nan, np.nan), scale))
        for first, row in audit.precision.iterrows()
    )
    found = np.cumsum(np.sort(wrong_probabilities(audit.model))[::-1])
    words = f"Expected number of wrong labels found, {found[-1]:.0f} in all {len(found)} rows."
    note = f'<p class="note">{caution(audit.precision)}</p>'
    return title, f"{note}{two_columns(rows)}{effort(found.tolist(), words)}"


def _outlook(audit):
    """Return what more rows and right labels would bring."""
    found = audit.more_rows
    if len(found) == 0:
        return None
    last = found.iloc[-1]
    note = (
        f"Accuracy on right labels, as far as the classes are Gaussian. With {last.n_rows:,.0f} "
        f"rows: {share(last.labels_as_now)} with labels as they are (solid), "
        f"{share(last.every_label_right)} with every label right (dashed)."
    )
    curves = [found.labels_as_now.tolist(), found.every_label_right.tolist()]
    drawn = two_curves(found.n_rows.tolist(), curves, note, "accuracy")
    return "What more rows or cleaning would bring", f'<p class="note">{note}</p>{drawn}'


def _rows(audit, heads):
    """Return the first rows of the list."""
    found = audit.rows
    if len(found) == 0:
        return '<p class="note">None.</p>'
    names = [name for name in found.columns[3:] if name != audit.target][:COLUMNS_SHOWN]
    shown = found[:ROWS_SHOWN]
    classes = len(audit.classes) > 0
    rows = [
        [one_line(index, 30), *_first_cells(first, classes), *map(_cell, rest)]
        for index, first, rest in zip(
            shown.index,
            shown.iloc[:, :3].itertuples(index=False, name=None),
            shown[names].astype(object).itertuples(index=False, name=None),
            strict=True,
        )
    ]
    label = "row" if found.index.name is None else str(found.index.name)
    note = f"The first {len(shown)} of {count(len(found), 'row')}."
    if classes:
        note += " The last of the three is the probability that the label is wrong, on average "
        note += "over both explanations."
    head = [label, *heads, *names]
    return f'<p class="note">{note}</p>{data_table(head, rows, left=len(head), long=True)}'


def _first_cells(first, classes):
    """Return the cells of a row that are not of the table."""
    if classes:
        return [one_line(first[0], 40), one_line(first[1], 40), share(first[2])]
    return [f"{value:.4g}" for value in first]


def _cell(value):
    """Return a cell of the table, empty where it is missing."""
    if is_missing(value):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else one_line(value, 120)


def _synthetic(audit):
    """Return what the synthetic rows are worth."""
    if audit.synthetic is None:
        return None
    rows = ((escape(name), escape(value)) for name, value in audit.synthetic.frame["value"].items())
    return "What are the synthetic rows worth?", two_columns(rows) + _list(audit.synthetic.advice)


def _columns(audit):
    """Return what was made of the columns."""
    return _list([*audit.used, *audit.notes])


def _list(items):
    """Return a list."""
    return '<ul class="plain">' + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"


def _foot(audit):
    """Return what the audit rests on."""
    model = audit.model
    entries = [
        ("Rows", f"{int(audit.classes.rows_labelled.sum()):,}"),
        ("Features", f"{model.n_features_in_:,}"),
        ("Rows are held out", "each in turn, in closed form, exactly"),
        ("95 % interval on right labels", share_interval(model.theoretical_accuracy_interval_)),
        ("Written by", f"skrmt {escape(_install.version())}"),
    ]
    terms = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in entries)
    return f'<dl class="foot">{terms}</dl>'
