"""Whether a report can be believed: one line per check, and what to do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ._outlook import Evidence

_FAR = 8.0
"""Median absolute deviations from which a held-out error is an outlier's: 5.4 standard ones."""
_FEW = 50
"""Observations below which the interval of a proportion spans a quarter of all values."""
_RARE = 20
"""Rows of a class below which its recall is known to a quarter at best."""


class Check(NamedTuple):
    """One reason to believe a report or not."""

    name: str
    status: str
    text: str


def beliefs(report) -> list[Check]:
    """Return the checks of a fitted report."""
    evidence = report._evidence
    checks = [
        _rows(report),
        _held_out(report),
        _copies(evidence),
        _groups(evidence),
        _theory(report),
        _signal(report),
        _errors(evidence) if evidence.labels is None else _classes(report, evidence),
    ]
    return [check for check in checks if check is not None]


def _rows(report) -> Check:
    """Return whether there are enough rows."""
    size = report.n_effective_samples_
    if report.regime_ == "too_few_rows":
        return Check("Rows", "refused", f"{size:.0f} effective rows say nothing. Give more rows.")
    if size < _FEW:
        text = f"{size:.0f} effective rows: the interval is wide. More rows make it narrower."
        return Check("Rows", "caution", text)
    return Check("Rows", "ok", f"{size:.0f} effective rows.")


def _held_out(report) -> Check:
    """Return from what rows were held out."""
    if report.scores_kind_ == "folds":
        text = "Rows are held out of every step: what a step learns from the targets is counted."
        return Check("Steps", "ok", text)
    return Check("Steps", "ok", "No step before the last sees the targets.")


def _copies(evidence: Evidence) -> Check:
    """Return whether rows repeat."""
    kind = evidence.given.merged.kind
    if kind == "copies":
        text = (
            "Rows repeat. Copies count once and are left out together. Drop those that are no "
            "observations of their own."
        )
        return Check("Copies", "caution", text)
    if kind == "discrete":
        text = "Rows recur because features have few values: each counts as one observation."
        return Check("Copies", "ok", text)
    return Check("Copies", "ok", "No row repeats.")


def _groups(evidence: Evidence) -> Check:
    """Return whether rows belong together."""
    group = evidence.given.merged.group
    if group is None:
        text = "None given. If rows share a person, a day or a source, give `groups`."
        return Check("Groups", "ok", text)
    return Check("Groups", "ok", f"{group.max() + 1} groups, each left out as a whole.")


def _theory(report) -> Check | None:
    """Return whether theory agrees with held-out rows."""
    if np.isnan(report.model_fit_pvalue_):
        return None
    if report.model_fit_:
        text = f"Theory predicts {report.model_score_:.3f} and agrees with held-out rows."
        return Check("Theory", "ok", text)
    text = (
        f"Theory predicts {report.model_score_:.3f} and disagrees with held-out rows, which are "
        "what is counted. Look for outliers or clusters of rows."
    )
    return Check("Theory", "caution", text)


def _signal(report) -> Check | None:
    """Return whether the score beats a constant guess."""
    if report.regime_ == "too_few_rows":
        return None
    if report.regime_ == "undetected":
        text = "The score is not above that of a constant guess. Give other features or more rows."
        return Check("Signal", "refused", text)
    if report.theoretical_score_interval_[0] <= report.baseline_score_:
        text = (
            "The features rank rows better than chance, but the score is not above that of a "
            "constant guess. Of rare classes look at another metric."
        )
        return Check("Signal", "caution", text)
    return Check("Signal", "ok", "The score is above that of a constant guess.")


def _classes(report, evidence: Evidence) -> Check:
    """Return whether every class has enough rows."""
    counts = np.bincount(evidence.sample.y, minlength=len(report.classes_))
    rarest = int(counts.argmin())
    name = str(report.classes_[rarest])
    if counts[rarest] < _RARE:
        text = (
            f"Class {name} has {counts[rarest]} rows: what is predicted of it alone is not "
            "precise. Judge by balanced accuracy, or give more of its rows."
        )
        return Check("Classes", "caution", text)
    return Check("Classes", "ok", f"The rarest class, {name}, has {counts[rarest]} rows.")


def _errors(evidence: Evidence) -> Check:
    """Return whether a few rows make the error."""
    some, y = evidence.rounds[0], evidence.sample.y
    errors = np.abs(y - some.decided)[some.fold >= 0]
    centre = np.median(errors)
    far = int((errors > _FAR * max(centre, 1e-300)).sum())
    share = float(np.sort(errors**2)[::-1][: max(far, 1)].sum() / max((errors**2).sum(), 1e-300))
    if far and share > 0.25:
        text = (
            f"{far} of {len(errors)} rows make {share:.0%} of the squared error. Look at them: "
            "`held_out_scores_` has their predictions."
        )
        return Check("Outliers", "caution", text)
    return Check("Outliers", "ok", "No few rows make most of the squared error.")
