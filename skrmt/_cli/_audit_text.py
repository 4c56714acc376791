"""What the audit prints."""

from __future__ import annotations

import numpy as np

from ..utils._wording import count, one_line
from ._fitting import REGIMES
from ._synthetic import synthetic_advice, synthetic_rows
from ._text import WIDTH, likelihood, paragraph, percent, span, table

ROWS_SHOWN, CLASSES_SHOWN = 10, 12


def audit_text(audit, paths, missing=None):
    """Write the results of an audit."""
    parts = [_table_read(audit), _noise(audit), _accuracy(audit), _rows(audit)]
    if audit.synthetic is not None:
        parts.append(_synthetic(audit))
    written = "\n".join(f"  {path}" for path in paths)
    parts.append(f"Written\n{written}")
    if missing:
        parts.append(paragraph(missing))
    return "\n\n".join(parts)


def _table_read(audit):
    """Describe what was read and what became of the columns."""
    title = f"skrmt audit: {one_line(audit.name)}\n{'=' * WIDTH}"
    size = f"""{count(len(audit.labels), "row")} with a label in the column
        "{one_line(audit.target)}"; {count(audit.features.X.shape[1], "feature")} made of:"""
    used = [paragraph(text, indent=2, bullet="- ") for text in audit.features.used]
    lines = [title, paragraph(size), *used]
    if audit.notes:
        lines += ["Please note:", *(paragraph(note, indent=2, bullet="- ") for note in audit.notes)]
    return "\n".join(lines)


def noise_cells(audit):
    """Return the cells of the table of noise rates."""
    model = audit.model
    rows = [
        [
            str(label),
            str((audit.labels == label).sum()),
            percent(rate),
            "" if not std > 0 else f"{100 * std:.1f}",
        ]
        for label, rate, std in zip(
            model.classes_, model.noise_rates_, model.noise_rates_std_, strict=True
        )
    ]
    header = ["true class", "rows so labelled", "carry a wrong label", "+/- 1 s.d."]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    return header, rows


def _noise(audit):
    """Describe how many labels are wrong."""
    header, rows = noise_cells(audit)
    origin = "You say that" if audit.model.noise_rates != "estimate" else "It seems that"
    if audit.model.regime_ == "undetected":
        text = "These columns do not show it: the rates below are guesses."
    else:
        text = f"{origin} {percent(audit.wrong_share)} of the labels are wrong."
    if len(rows) > CLASSES_SHOWN:
        text += f" The {CLASSES_SHOWN} classes with most wrong labels:"
        order = audit.model.noise_rates_.argsort()[::-1][:CLASSES_SHOWN]
        rows = [rows[k] for k in order]
    return f"How many labels are wrong?\n{paragraph(text)}\n\n{table(header, rows)}"


def accuracy_sentences(audit):
    """Describe how accurate the classifier is, in plain words."""
    model = audit.model
    sentences = [
        "A linear classifier that knows of the noise will be right on "
        f"{percent(model.theoretical_accuracy_)} of new rows "
        f"(95% interval: {span(model.theoretical_accuracy_interval_)}).",
        *_stories(audit),
        REGIMES[model.regime_],
    ]
    if audit.prospects is not None:
        more, clean = audit.prospects
        sentences.append(
            f"With twice as many rows it would be {percent(more)}; with these rows and every label "
            f"put right, {percent(clean)} (as far as the classes are Gaussian)."
        )
    return sentences


def _stories(audit):
    """Write the accuracy if every label is right and if some are not, where both are possible."""
    model = audit.model
    if not np.isfinite([model.accuracy_if_clean_, model.accuracy_if_noisy_]).all():
        return []
    wrong = audit.wrong_share / model.noise_probability_
    return [
        f"If every label is right: {percent(model.accuracy_if_clean_)}. If the {percent(wrong)} "
        f"that seem wrong are mistakes: {percent(model.accuracy_if_noisy_)}."
    ]


def _accuracy(audit):
    """Describe how accurate the classifier is."""
    text = " ".join(accuracy_sentences(audit))
    return f"How accurate can a linear classifier be on correct labels?\n{paragraph(text)}"


def _synthetic(audit):
    """Describe what the synthetic rows are worth."""
    advice = [paragraph(text, indent=2, bullet="- ") for text in synthetic_advice(audit.synthetic)]
    cells = table(["", one_line(audit.synthetic.name)], synthetic_rows(audit.synthetic), left=1)
    return "\n".join(["What are the synthetic rows worth?", cells, *advice])


def _rows(audit):
    """List the first suspicious rows."""
    title = "Which rows look mislabelled?"
    found = audit.suspicious
    listed = count(len(found), "row")
    verb = "is" if len(found) == 1 else "are"
    text = f"{listed} {verb} wrongly labelled with a probability of {percent(audit.threshold, 0)} "
    text += "or more."
    if audit.model.regime_ == "undetected":
        text += " This list, too, is a guess."
    if len(found) == 0:
        return f"{title}\n{paragraph(text)}"
    if len(found) > ROWS_SHOWN:
        text += f" The first {ROWS_SHOWN} (row 1 is the first below the header):"
    cells = [
        [str(row), one_line(given, 30), one_line(suggested, 30), likelihood(probability)]
        for row, given, suggested, probability in found.iloc[:ROWS_SHOWN, :4].itertuples(
            index=False
        )
    ]
    header = ["row", "label given", "label suggested", "probability wrong"]
    return f"{title}\n{paragraph(text)}\n\n{table(header, cells, left={1, 2})}"
