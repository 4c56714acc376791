"""What the audit prints."""

from __future__ import annotations

import numpy as np

from ..utils._wording import count, one_line
from ._text import WIDTH, likelihood, paragraph, percent, span, table

ROWS_SHOWN, CLASSES_SHOWN = 10, 12
"""Rows of the list, and classes, that fit on a screen."""


def audit_text(audit, paths, missing=""):
    """Write the results of an audit."""
    parts = [_table_read(audit), _headline(audit)]
    if len(audit.classes):
        parts += [_accuracy(audit), _classes(audit)]
    else:
        parts.append(_metrics(audit))
    parts.append(_rows(audit))
    if audit.synthetic is not None:
        parts.append(_synthetic(audit))
    written = "\n".join(f"  {path}" for path in paths)
    parts.append(f"Written\n{written}")
    if missing:
        parts.append(paragraph(missing))
    return "\n\n".join(parts)


def _headline(audit):
    """Write the number to read first."""
    return f"In short\n{paragraph(audit.headline)}"


def _table_read(audit):
    """Describe what was read and what became of the columns."""
    title = f"skrmt audit: {one_line(audit.name)}\n{'=' * WIDTH}"
    n = int(audit.classes["rows_labelled"].sum()) if len(audit.classes) else len(audit.rows)
    kind = "label" if len(audit.classes) else "number"
    size = f"""{count(n, "row")} with a {kind} in the column
        "{one_line(audit.target)}"; {count(_n_features(audit), "feature")} made of:"""
    used = [paragraph(text, indent=2, bullet="- ") for text in audit.used]
    lines = [title, paragraph(size), *used]
    if audit.notes:
        lines += ["Please note:", *(paragraph(note, indent=2, bullet="- ") for note in audit.notes)]
    return "\n".join(lines)


def _n_features(audit):
    """Return the number of features."""
    return getattr(audit.model, "estimator_", audit.model).n_features_in_


def _accuracy(audit):
    """Write the accuracies, and what more rows would bring."""
    known = audit.accuracy[np.isfinite(audit.accuracy["score"])]
    cells = [
        [name, likelihood(row.score), "" if np.isnan(row.lower) else span((row.lower, row.upper))]
        for name, row in known.iterrows()
    ]
    lines = ["How accurate can a linear classifier be?"]
    lines.append(table(["accuracy on fresh rows", "", "95% interval"], cells))
    lines += [paragraph(text) for text in _outlook(audit)]
    return "\n".join(lines)


def _outlook(audit):
    """Describe what more rows would bring."""
    if audit.model.regime_ == "undetected":
        yield "The columns do not separate the classes: all these numbers are guesses."
    if len(audit.more_rows) == 0:
        return
    more = audit.more_rows
    twice = np.interp(2 * audit.model.n_effective_samples_, more.n_rows, more.labels_as_now)
    clean = np.interp(audit.model.n_effective_samples_, more.n_rows, more.every_label_right)
    yield (
        f"With twice as many rows it would be {likelihood(twice)} on right labels; with these rows "
        f"and every label put right, {likelihood(clean)} (as far as the classes are Gaussian)."
    )


def _metrics(audit):
    """Write the metrics of a continuous target."""
    frame = audit.accuracy
    cells = [[name, *(f"{value:.4g}" for value in row)] for name, row in frame.iterrows()]
    header = ["metric on fresh rows", "predicted", "lower", "upper", "constant guess"]
    return f"How good can ridge regression be?\n{table(header, cells)}"


def _classes(audit):
    """Write how many labels look wrong in each class."""
    found = audit.classes
    text = ""
    if audit.model.regime_ == "undetected":
        text = "These columns do not show it."
    if len(found) > CLASSES_SHOWN:
        text += f" The {CLASSES_SHOWN} classes with most wrong labels:"
        found = found.sort_values("labelled_otherwise", ascending=False)[:CLASSES_SHOWN]
    cells = [
        [
            str(name),
            f"{row.rows_labelled:.0f}",
            percent(row.look_wrong, 0),
            percent(row.labelled_otherwise, 0),
            f"{100 * row.labelled_otherwise_std:.0f}" if row.labelled_otherwise_std > 0 else "",
        ]
        for name, row in found.iterrows()
    ]
    header = ["class", "rows\nlabelled so", "of these\nlook wrong"]
    header += ["of true ones\nlabelled otherwise", "+/- 1 s.d."]
    title = "Are labels wrong?" + (f"\n{paragraph(text)}" if text else "")
    return f"{title}\n{table(header, cells)}"


def _synthetic(audit):
    """Describe what the synthetic rows are worth."""
    advice = [paragraph(text, indent=2, bullet="- ") for text in audit.synthetic.advice]
    cells = table(["", "synthetic rows"], list(audit.synthetic.frame["value"].items()), left=1)
    return "\n".join(["What are the synthetic rows worth?", cells, *advice])


def _rows(audit):
    """List the first rows that the model disagrees with."""
    labels = len(audit.classes) > 0
    title = "Rows the model disagrees with" if labels else "Rows the model misses most"
    text = f"{count(len(audit.rows), 'row')}."
    if labels and audit.model.regime_ == "undetected":
        text += " This list, too, is a guess."
    if len(audit.precision):
        text += f" {audit.precision_summary}"
    if len(audit.rows) == 0:
        return f"{title}\n{paragraph(text)}"
    if len(audit.rows) > ROWS_SHOWN:
        text += f" The first {ROWS_SHOWN} (row 1 is the first below the header):"
    shown = audit.rows.iloc[:ROWS_SHOWN, :3].itertuples(name=None)
    if labels:
        header = ["row", "label given", "label suggested", "probability wrong"]
        cells = [
            [str(row), one_line(given, 30), one_line(suggested, 30), likelihood(wrong)]
            for row, given, suggested, wrong in shown
        ]
        return f"{title}\n{paragraph(text)}\n\n{table(header, cells, left={1, 2})}"
    header = ["row", "given", "predicted", "error / s.d."]
    cells = [[str(row), *(f"{value:.4g}" for value in values)] for row, *values in shown]
    return f"{title}\n{paragraph(text)}\n\n{table(header, cells, left=set())}"
