"""The audit of the labels of a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..linear_model import NoiseAwareLinearClassifier
from ..model_selection._table import Features, make_features, read_labels
from ..utils._optional import import_optional
from ..utils._wording import count, one_line
from ._audit_text import audit_text
from ._fitting import fit_quietly
from ._output import check_free, output_folder, write_csv
from ._progress import working
from ._report import write_report
from ._synthetic import Synthetic, weigh_synthetic
from ._table import UTF8, check_columns, read_table
from ._text import CommandError


class Audit(NamedTuple):
    """What is known after the fit.

    Attributes
    ----------
    name, target : str
        Names of the file and of the column of labels.
    frame : pandas.DataFrame
        Rows with a label, all their columns.
    rows : ndarray of shape (n,)
        Their numbers in the file, from 1.
    labels : ndarray of shape (n,)
        Their labels.
    features : Features
        What the classifier was given.
    model : NoiseAwareLinearClassifier
        The fitted classifier.
    suspicious : pandas.DataFrame
        The suspicious rows, the most suspicious first.
    threshold : float
        Probability from which a row is suspicious.
    notes : list of str
        What was left out, filled in or warned of.
    synthetic : Synthetic or None
        What synthetic rows are worth.
    """

    name: str
    target: str
    frame: Any
    rows: np.ndarray
    labels: np.ndarray
    features: Features
    model: NoiseAwareLinearClassifier
    suspicious: Any
    threshold: float
    notes: list
    synthetic: Synthetic | None = None

    @property
    def wrong_share(self):
        """Estimated share of wrong labels."""
        return float(self.model.class_prior_ @ self.model.noise_rates_)

    @property
    def prospects(self):
        """Accuracy with twice the rows, and with every label right; None where the fit is vague."""
        trusted = self.model.regime_ in ("detected", "misfit") and len(self.model.classes_) == 2
        if not trusted:
            return None
        more = self.model.forecast(n_samples=2 * self.model.n_effective_samples_)
        return float(more.score), float(self.model.forecast(cleaned_fraction=1.0).score)


def run_audit(
    file,
    target,
    *,
    output="skrmt_audit",
    drop=(),
    noise_rates=None,
    threshold=0.5,
    report="html",
    html=None,
    synthetic=None,
    encoding=UTF8,
    literal_labels=False,
    force=False,
):
    """Audit a table, print what was found and write the suspicious rows."""
    if not 0 <= threshold <= 1:
        raise CommandError(f"--threshold {threshold:g} must be a probability, from 0 to 1.")
    literal = target if literal_labels else None
    with working(f"reading {Path(file).name}"):
        table = read_table(file, encoding, literal)
    check_columns(table, [target, *drop])
    made = None if synthetic is None else read_table(synthetic, encoding, literal)
    listed, page = _paths(output, report, html)
    check_free([listed] if page is None else [listed, page], force)
    audit = audit_table(
        table,
        target,
        name=Path(file).name,
        drop=drop,
        noise_rates=noise_rates,
        threshold=threshold,
    )
    if made is not None:
        name = Path(synthetic).name
        rows = weigh_synthetic(audit.frame, audit.labels, made, target, name=name, drop=drop)
        audit = audit._replace(synthetic=rows)
    output_folder(output, force)
    write_csv(listed, audit.suspicious, force)
    paths, missing = [listed], None
    if page is not None:
        with working("drawing the report"):
            written, missing = write_report(audit, page, report if html is None else "html", force)
        paths += [page] if written else []
    print(audit_text(audit, paths, missing))
    return 0


def _paths(output, report, html):
    """Return where the suspicious rows and the report are written, None for no report."""
    folder = Path(output)
    page = None if report == "none" else folder / f"report.{report}"
    return folder / "suspicious_rows.csv", page if html is None else Path(html)


def audit_table(table, target, *, name="table", drop=(), noise_rates=None, threshold=0.5):
    """Audit a table."""
    labels = read_labels(table[target])
    frame = table[labels.kept].reset_index(drop=True)
    with working(f"making features of {count(len(frame), 'row')}"):
        features = make_features(frame.drop(columns=list({target, *drop})), labels.values)
    rates = "estimate" if noise_rates is None else _rates(noise_rates)
    try:
        model = NoiseAwareLinearClassifier(noise_rates=rates)
        _, _, warned = fit_quietly(model, features.X, labels.values)
    except (ValueError, TypeError) as error:
        raise CommandError(one_line(error, 300)) from error
    rows = np.flatnonzero(labels.kept) + 1
    notes = [*labels.notes, *features.notes, *_copies(frame, target, drop)]
    # The regime is printed in any case; what else there is to warn of concerns rates given.
    notes += warned if noise_rates is not None else []
    suspicious = suspicious_rows(model, frame, rows, labels.values, threshold)
    return Audit(
        name, target, frame, rows, labels.values, features, model, suspicious, threshold, notes
    )


def _rates(rates):
    """Return one number, or one for each class."""
    return float(rates[0]) if len(rates) == 1 else [float(rate) for rate in rates]


def _copies(frame, target, drop):
    """Return how many rows repeat others."""
    try:
        copies = int(frame.drop(columns=list(set(drop) - {target})).duplicated().sum())
    except TypeError:
        return []
    if copies == 0:
        return []
    return [f"{count(copies, 'row')} the same as another, label included: judged together."]


def suspicious_rows(model, frame, rows, labels, threshold):
    """List the rows whose label is probably wrong."""
    pandas = import_optional("pandas", "cli")
    issues = model.find_label_issues(threshold=threshold)
    others = model.label_posterior_[issues.indices].copy()
    given = np.searchsorted(model.classes_, labels[issues.indices])
    others[np.arange(len(given)), given] = -1.0
    found = {
        "row": rows[issues.indices],
        "given_label": labels[issues.indices],
        "suggested_label": model.classes_[others.argmax(1)],
        "probability_wrong": np.round(issues.probabilities, 6),
    }
    taken = set(frame.columns)
    named = {key if key not in taken else f"skrmt_{key}": found[key] for key in found}
    listed = frame.iloc[issues.indices].reset_index(drop=True)
    return pandas.concat([pandas.DataFrame(named), listed], axis=1)
