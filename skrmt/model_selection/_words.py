"""A report in words and in plain types."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._beliefs import beliefs
from ._metrics import confusion
from ._outlook import cannot_require
from ._page import metric_name
from ._texts import KINDS

_NAMES = {"r2": "R^2", "accuracy": "accuracy"}
_POINTS = 400
"""Predictions that are drawn: more cover each other."""
_ASKED_FIRST = (
    "Not measured yet: the estimator would be fitted ten times to parts of the rows. Call "
    "`forecast`, `plot` or `to_html`."
)


def summary_lines(report) -> list[str]:
    """Return what is predicted in sentences."""
    name = _NAMES.get(report._evidence.scoring) or metric_name(report._evidence.scoring)
    low, high = report.theoretical_score_interval_
    lines = [
        f"Predicted {name} on fresh rows: {report.theoretical_score_:.3f} (95 % interval "
        f"{low:.3f} to {high:.3f}).",
        KINDS[report.scores_kind_],
    ]
    if np.isfinite(report.model_score_):
        verdict = "agrees" if report.model_fit_ else "disagrees"
        lines.append(
            f"Theory predicts {report.model_score_:.3f}: it {verdict} with held-out rows "
            f"(p = {report.model_fit_pvalue_:.2g})."
        )
    return lines


def outlook_line(report) -> str:
    """Return what more rows bring in a sentence."""
    reason = report._no_forecast()
    if reason is None:
        reason = cannot_require(report._outlook())
    if reason is not None:
        return reason
    sizes = np.array([2.0, 10.0]) * report.n_effective_samples_
    twice, ten = report._scores(sizes, None)[0]
    return f"Predicted with twice the rows: {twice:.3f}; with ten times: {ten:.3f}."


def report_dict(report, *, measure: bool) -> dict[str, Any]:
    """Return every number of a report in plain types, other numbers of rows if they are known."""
    evidence = report._evidence
    forecast, note = _forecast(report, measure)
    labels = evidence.labels
    return {
        "estimator": repr(report.estimator),
        "kind": "regressor" if labels is None else "classifier",
        "scoring": evidence.scoring,
        "score": report.theoretical_score_,
        "interval": report.theoretical_score_interval_.tolist(),
        "baseline": report.baseline_score_,
        "observed_score": report.observed_score_,
        "observed_interval": report.observed_score_interval_.tolist(),
        "model_score": report.model_score_,
        "model_fit_pvalue": report.model_fit_pvalue_,
        "regime": report.regime_,
        "n_samples": len(report.held_out_scores_),
        "n_effective_samples": float(report.n_effective_samples_),
        "n_features": int(getattr(report.estimator_, "n_features_in_", 0)),
        "scores_kind": report.scores_kind_,
        "n_fits": report.n_fits_,
        "scores": {name: list(claim) for name, claim in report.theoretical_scores_.items()},
        "classes": None if labels is None else [str(name) for name in report.classes_],
        "confusion": None if labels is None else confusion(*evidence[3:5]).tolist(),
        "points": _points(evidence) if labels is None else None,
        "forecast": forecast,
        "forecast_note": note,
        "noise": _noise(report, measure),
        "checks": [check._asdict() for check in beliefs(report)],
        "summary": " ".join(summary_lines(report)),
    }


def _points(evidence) -> list:
    """Return some targets beside their held-out predictions."""
    some = evidence.rounds[0]
    pairs = np.stack([evidence.sample.y, some.decided], axis=1)[some.fold >= 0]
    return pairs[:: -(-len(pairs) // _POINTS)].tolist()


def _forecast(report, measure: bool) -> tuple[dict | None, str | None]:
    """Return scores at other numbers of rows, or why there are none."""
    if not measure and not report._curve and not report._evidence.needs_no_parts:
        return None, _ASKED_FIRST
    reason = report._no_forecast()
    if reason is not None:
        return None, reason
    n = report.n_effective_samples_
    sizes = np.geomspace(max(n / 4.0, 4.0), 8.0 * n, 25)
    score, lower, upper = report._scores(sizes, None)
    found = {"n_samples": sizes, "score": score, "lower": lower, "upper": upper}
    note = cannot_require(report._outlook())
    return {name: values.tolist() for name, values in found.items()}, note


def _noise(report, measure: bool) -> dict | None:
    """Return what is known, or estimated, of wrong labels."""
    labels, clean = report._evidence.labels, report.clean_accuracy_
    if labels is None or report.noise_rates is None:
        return None
    rates = labels.rates if clean is None else clean.noise_rates
    return {
        "rates": rates.tolist(),
        "observed": report.observed_score_,
        "clean": report.theoretical_score_,
        "clean_interval": report.theoretical_score_interval_.tolist(),
        "if_clean": np.nan if clean is None else float(clean.accuracy_if_clean),
        "if_noisy": np.nan if clean is None else float(clean.accuracy_if_noisy),
        "probability": float(rates.max() > 0) if clean is None else float(clean.noise_probability),
        "retrained": _retrained(report, measure),
    }


def _retrained(report, measure: bool) -> float:
    """Return the accuracy of a fit to as many rows with clean labels; nan where unknown."""
    if not measure and not report._curve and not report._evidence.needs_no_parts:
        return np.nan
    clean = np.zeros(len(report.classes_))
    if not report._evidence.has_theory or report._no_forecast(clean) is not None:
        return np.nan
    sizes = np.array([report.n_effective_samples_])
    return float(report._scores(sizes, clean[None])[0, 0])


def plain(found: Any) -> Any:
    """Return numbers, lists and dicts with None in place of nan, which JSON does not have."""
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list):
        return [plain(value) for value in found]
    return None if isinstance(found, float) and not np.isfinite(found) else found
