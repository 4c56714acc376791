"""What scores become at other numbers of rows: by theory, or by fits to parts of the rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._accuracy import Labels, class_contrast
from ._closed_forms import HeldOut
from ._curve import (
    Extrapolation,
    extrapolation,
    knows_amplitude,
    no_forecast,
    predicted_scores,
    scaled_gains,
)
from ._growth import NO_RISE, Growth, Parts, fitted_growth, scored_parts
from ._input import Given, Rows
from ._metrics import Sample
from ._peak import PEAK, may_peak
from ._rounds import Round
from ._whole_folds import fewest_units

_FEWEST_OF_CLASS = 8
"""Rows of a class, or in all of a regression, of which a quarter is still two."""
_FARTHEST = 4.0
"""Times the rows at hand to which theory must see penalties, to be used."""
_SMALLEST_CONTRAST = 0.1
"""What noise must leave of a difference between classes: gains are not stretched by more."""
FEWEST_ROWS = 2.0
"""The smallest number of rows that a score is predicted for."""
OF_THEORY = ("accuracy", "r2")
"""Metrics of which theory knows how they grow."""

FEW_OF_A_CLASS = (
    "A class has fewer than eight rows that are left out apart from each other: no estimator can "
    "be fitted to a quarter of them, and no other number of rows is predicted. Give more rows."
)
NO_PARTS = (
    "The estimator cannot be fitted to parts of the rows, a quarter or half of them: no other "
    "number of rows is predicted. Give more rows."
)
NO_ROWS = (
    "A report that was saved holds no training rows to fit parts of: no other number of rows is "
    "predicted. Call forecast() once before it is saved, or fit it again."
)
NO_NOISE = (
    "There is no theory of this estimator or metric under other label noise: only numbers of rows "
    "are predicted. Leave noise_rates at None."
)


class Evidence(NamedTuple):
    """What a report keeps of a fit.

    Attributes
    ----------
    model : estimator
        The fitted last step where theory knows it; None elsewhere.
    rows : Rows
        Distinct rows, as the last step sees them.
    left : HeldOut
        Their held-out scores.
    rounds : tuple of Round
        What fits without them make of all rows with weight.
    sample : Sample
        These rows.
    labels : Labels or None
        Labels of a classifier.
    given : Given
        Rows as the whole estimator takes them.
    params : dict
        Further parameters of its fit.
    scoring, scorer : str, callable or None
        The metric, and what counts it on a fold if nothing else does.
    interpolates : bool
        Whether a ridge fit passes through its rows.
    """

    model: Any
    rows: Rows
    left: HeldOut
    rounds: tuple[Round, ...]
    sample: Sample
    labels: Labels | None
    given: Given
    params: dict
    scoring: str
    scorer: Any
    interpolates: bool

    @property
    def has_theory(self) -> bool:
        """Whether other numbers of rows are predicted by theory."""
        return self.model is not None and self.scoring in OF_THEORY

    @property
    def needs_no_parts(self) -> bool:
        """Whether other numbers of rows are predicted without fits to parts of the rows."""
        return self.has_theory and knows_amplitude(self.model, self.labels)

    @property
    def has_rows(self) -> bool:
        """Whether the training rows are at hand, which no pickle holds."""
        return self.given.X is not None

    def without_rows(self) -> Evidence:
        """Return what is left without the training rows and what else was given of each."""
        rows, given = self.rows._replace(X=None), self.given._replace(X=None)
        return self._replace(rows=rows, given=given, params={})

    def held_out_scores(self) -> np.ndarray:
        """Return the scores of all rows given, nan where they were never left out."""
        if self.left.kind != "folds":
            return self.given.spread(self.left.scores)
        some, kept = self.rounds[0], self.given.kept
        scores = np.full((len(kept), *some.scores.shape[1:]), np.nan)
        out = some.fold >= 0
        scores[np.flatnonzero(kept)[out]] = some.scores[out]
        return scores


class Unknown(NamedTuple):
    """Why nothing is known of scores at other numbers of rows."""

    reason: str


Outlook = Extrapolation | Growth | Unknown


def measure_outlook(evidence: Evidence, report: Any, present: np.ndarray) -> Outlook:
    """Measure what scores at other numbers of rows depend on."""
    if evidence.has_theory:
        curve = extrapolation(
            evidence.model, evidence.rows, evidence.left, is_noise=evidence.interpolates
        )
        if cannot_predict(curve, evidence) is not None:
            return curve
        if curve.reaches(_FARTHEST * curve.size):
            if evidence.needs_no_parts:
                return curve
            parts = _measured(evidence, report, present)
            return scaled_gains(curve, evidence.labels, present, parts)
    if may_peak(report.estimator, report.estimator_, evidence.given.X, len(evidence.rows.y)):
        return Unknown(PEAK)
    parts = _measured(evidence, report, present)
    if parts is None:
        return Unknown(NO_PARTS)
    guess = present[0] if report.regime_ == "undetected" else report.baseline_score_
    return fitted_growth(*parts, evidence.scoring).from_guess(present[0], guess)


def _measured(evidence: Evidence, report: Any, present: np.ndarray) -> Parts | None:
    """Fit the estimator of a report to parts of its rows; None if it cannot be."""
    clean = report.clean_accuracy_
    classes = None if evidence.labels is None else report.classes_
    if fewest_units(evidence.given, classes) < _FEWEST_OF_CLASS:
        return None
    try:
        parts = scored_parts(
            report.estimator,
            evidence.given,
            classes,
            evidence.sample,
            float(present[0]) if clean is None else report.observed_score_,
            evidence.rounds,
            scoring=evidence.scoring,
            scorer=evidence.scorer,
            n_jobs=report.n_jobs,
            params=evidence.params,
            random_state=report.random_state,
        )
    except Exception:
        # What an estimator raises on few rows is its own; it has been fitted to all.
        return None
    if clean is None:
        return parts
    # Parts are counted on labels as given: noise has shrunk what they gain.
    contrast = max(class_contrast(clean.noise_rates), _SMALLEST_CONTRAST)
    return parts._replace(values=parts.values / contrast, errors=parts.errors / contrast)


def cannot_measure(evidence: Evidence, classes: np.ndarray | None) -> str | None:
    """Return why fits to parts of the rows are impossible, None if they are not."""
    if evidence.has_theory or fewest_units(evidence.given, classes) >= _FEWEST_OF_CLASS:
        return None
    return FEW_OF_A_CLASS


def cannot_predict(outlook: Outlook, evidence: Evidence) -> str | None:
    """Return why no other score is predicted, None if one is."""
    if isinstance(outlook, Unknown):
        return outlook.reason
    if isinstance(outlook, Growth):
        return None
    return no_forecast(outlook, evidence.labels)


def is_measured(outlook: Outlook) -> bool:
    """Return whether other scores are measured on parts of the rows, not those of theory."""
    return isinstance(outlook, Growth)


def fewest_rows(outlook: Outlook) -> float:
    """Return the number of rows below which nothing is predicted."""
    return outlook.fewest if isinstance(outlook, Growth) else FEWEST_ROWS


def cannot_require(outlook: Outlook) -> str | None:
    """Return why no number of rows is predicted, None if one is."""
    return NO_RISE if isinstance(outlook, Growth) and not outlook.rises else None


def outlook_scores(
    outlook: Outlook,
    evidence: Evidence,
    present: np.ndarray,
    sizes: np.ndarray,
    rates: np.ndarray | None,
) -> np.ndarray:
    """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
    if isinstance(outlook, Growth):
        return outlook.scores(present, sizes)
    assert isinstance(outlook, Extrapolation)  # `cannot_predict` has been asked before
    return predicted_scores(outlook, evidence.labels, present, sizes, rates)
