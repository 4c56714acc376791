"""All that a report predicts, from what fits make of rows left out of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..utils._regimes import regime
from ._accuracy import (
    MISFIT_LEVEL,
    Prediction,
    error_theory,
    is_artefact,
    with_theory,
)
from ._clean_labels import CleanAccuracy, find_clean_accuracy
from ._metrics import Claim, claim, metric_names, scorer_claim
from ._outlook import OF_THEORY, Evidence
from ._scoring import check_available

_FEWEST_ROWS = 10
"""Effective rows below which an interval of 95 % spans half of all accuracies or more."""
_RANKING = ("roc_auc", "balanced_accuracy", "r2")
"""Metrics that show whether features say anything, the most sensitive first."""
_SECOND_LOOK = 0.3
"""Part of half an interval by which ranks must beat chance: at 2.5 instead of 2 deviations."""
_NOTHING = Claim(np.nan, np.nan, np.nan, np.nan)


class Found(NamedTuple):
    """What a report predicts.

    Attributes
    ----------
    main, observed : Claim
        The metric asked for, on clean labels and on labels as given.
    default, observed_default : Claim
        The same of accuracy, or R^2.
    model, p_value : float
        The score in theory, and the p-value of its agreement with rows left out.
    clean : CleanAccuracy or None
        What scores show of the labels, if that was asked for.
    regime : str
        The regime.
    is_known : bool
        Whether anything is predicted.
    """

    main: Claim
    observed: Claim
    default: Claim
    observed_default: Claim
    model: float
    p_value: float
    clean: CleanAccuracy | None
    regime: str
    is_known: bool


def predict_scores(evidence: Evidence, noise_rates: Any) -> Found:
    """Predict the metric of a report, and accuracy or R^2, on fresh rows."""
    rounds, sample, scoring = evidence.rounds, evidence.sample, evidence.scoring
    names = metric_names(sample, rounds)
    if evidence.scorer is None:
        check_available(scoring, names)
    first = claim(names[0], rounds, sample.as_given)
    counted = first if sample.unmixing is None else claim(names[0], rounds, sample)
    accuracy, clean = _accuracy_or_r2(evidence, counted, noise_rates)
    low, high = accuracy.interval
    default = Claim(accuracy.score, float(low), float(high), counted.guess)
    main = default if scoring == names[0] else _main(evidence)
    observed = main if evidence.scorer else _observed(scoring, first, evidence, main)
    few = sample.size < _FEWEST_ROWS
    known = not (few or _is_artefact(evidence, first))
    if not known:
        main, default = (_NOTHING._replace(guess=found.guess) for found in (main, default))
        observed, first, accuracy = _NOTHING, _NOTHING, Prediction(np.nan, np.full(2, np.nan))
    theory = scoring in OF_THEORY and evidence.scorer is None
    p_value = float(accuracy.p_value) if theory else np.nan
    state = regime(
        too_few_rows=few,
        undetected=not (known and _is_detected(evidence, main, clean)),
        misfit=p_value < MISFIT_LEVEL,
        ambiguous=clean is not None and clean.regime == "ambiguous",
    )
    model = float(accuracy.model) if theory else np.nan
    return Found(main, observed, default, first, model, p_value, clean, state, known)


def all_claims(evidence: Evidence, found: Found) -> dict[str, Claim]:
    """Predict all metrics that a report has."""
    rounds, sample = evidence.rounds, evidence.sample
    names = metric_names(sample, rounds)
    claims = {names[0]: found.default}
    for name in names[1:] if found.clean is None else ():
        claims[name] = found.main if name == evidence.scoring else claim(name, rounds, sample)
        if not found.is_known:
            claims[name] = _NOTHING._replace(guess=claims[name].guess)
    return claims


def _main(evidence: Evidence) -> Claim:
    """Return the metric asked for."""
    if evidence.scorer:
        return scorer_claim(evidence.scoring, evidence.rounds)
    return claim(evidence.scoring, evidence.rounds, evidence.sample)


def _is_detected(evidence: Evidence, main: Claim, clean: CleanAccuracy | None) -> bool:
    """Return whether the metric asked for, or else the ranks of rows, beat a constant guess.

    Of rare classes a constant guess has an accuracy that no features improve on.
    """
    if clean is not None:
        return clean.regime != "undetected"
    if main.low > main.guess:
        return True
    names = metric_names(evidence.sample, evidence.rounds)
    name = next(name for name in _RANKING if name in names)
    ranking = claim(name, evidence.rounds, evidence.sample)
    return bool(ranking.low - ranking.guess > _SECOND_LOOK * (ranking.score - ranking.low))


def _accuracy_or_r2(
    evidence: Evidence, counted: Claim, noise_rates: Any
) -> tuple[Prediction, CleanAccuracy | None]:
    """Return the accuracy on clean labels, or R^2, with what theory says of it."""
    labels, rows, left = evidence.labels, evidence.rows, evidence.left
    if labels is None:
        return Prediction(counted.score, counted.interval, *error_theory(left, rows)), None
    if isinstance(noise_rates, str):
        clean = _clean_labels(evidence)
        return Prediction(clean.accuracy, clean.accuracy_interval), clean
    return with_theory(Prediction(counted.score, counted.interval), left, labels, rows), None


def _clean_labels(evidence: Evidence) -> CleanAccuracy:
    """Return what the scores of rows left out show of their labels."""
    rounds, sample, merged = evidence.rounds, evidence.sample, evidence.given.merged
    seen = np.array([some.fold >= 0 for some in rounds])
    out = seen.any(axis=0)
    columns = [np.where(own, some.scores.T, 0.0) for own, some in zip(seen, rounds, strict=True)]
    scores = (np.sum(columns, axis=0) / np.maximum(seen.sum(0), 1)).T[out]
    groups = merged.origin if merged.kind == "copies" else None
    if merged.group is not None:
        groups = merged.spread(merged.group)
    return find_clean_accuracy(
        scores,
        sample.y[out],
        sample_weight=sample.weights[out],
        groups=None if groups is None else groups[out],
    )


def _observed(scoring: str, first: Claim, evidence: Evidence, main: Claim) -> Claim:
    """Return the metric on labels as given."""
    if scoring in OF_THEORY:
        return first
    if evidence.sample.unmixing is None:
        return main
    return claim(scoring, evidence.rounds, evidence.sample.as_given)


def _is_artefact(evidence: Evidence, first: Claim) -> bool:
    """Return whether scores are always wrong because a class is rarer without its row."""
    left = evidence.left
    if evidence.labels is None or left.kind == "folds" or left.fair is not None:
        return False
    return is_artefact(
        first.score, evidence.sample.y, evidence.sample.weights, evidence.sample.size
    )
