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
_RANKING = ("roc_auc", "roc_auc_ovr", "balanced_accuracy", "r2")
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
    observed_accuracy : Claim
        Accuracy on labels as given, or R^2.
    claims : dict of str to Claim
        All metrics.
    model, p_value : float
        The score in theory, and the p-value of its agreement with rows left out.
    clean : CleanAccuracy or None
        What scores show of the labels, if that was asked for.
    regime : str
        The regime.
    """

    main: Claim
    observed: Claim
    observed_accuracy: Claim
    claims: dict
    model: float
    p_value: float
    clean: CleanAccuracy | None
    regime: str


def predict_scores(evidence: Evidence, noise_rates: Any) -> Found:
    """Predict all metrics on fresh rows."""
    rounds, sample, scoring = evidence.rounds, evidence.sample, evidence.scoring
    claims = {name: claim(name, rounds, sample) for name in metric_names(sample, rounds)}
    plain = sample._replace(unmixing=None, contrast=1.0)
    first = claim("accuracy" if sample.n_classes else "r2", rounds, plain)
    if evidence.scorer is None and scoring not in claims:
        check_available(scoring, tuple(claims))
    default = "accuracy" if sample.n_classes else "r2"
    accuracy, clean = _accuracy_or_r2(evidence, claims[default], noise_rates)
    low, high = accuracy.interval
    claims[default] = Claim(accuracy.score, float(low), float(high), claims[default].guess)
    if clean is not None:
        claims = {default: claims[default]}
    main = scorer_claim(scoring, rounds) if evidence.scorer else claims[scoring]
    observed = main if evidence.scorer else _observed(scoring, first, evidence, main)
    few = sample.size < _FEWEST_ROWS
    if few or _is_artefact(evidence, first):
        guesses = {name: _NOTHING._replace(guess=x.guess) for name, x in claims.items()}
        main, observed, claims = _NOTHING._replace(guess=main.guess), _NOTHING, guesses
        first, accuracy = _NOTHING, Prediction(np.nan, np.full(2, np.nan))
    theory = scoring in OF_THEORY and evidence.scorer is None
    p_value = accuracy.p_value if theory else np.nan
    state = regime(
        too_few_rows=few,
        undetected=not _is_detected(main, claims, clean),
        misfit=p_value < MISFIT_LEVEL,
        ambiguous=clean is not None and clean.regime == "ambiguous",
    )
    model = float(accuracy.model) if theory else np.nan
    return Found(main, observed, first, claims, model, float(p_value), clean, state)


def _is_detected(main: Claim, claims: dict, clean: CleanAccuracy | None) -> bool:
    """Return whether the metric asked for, or else the ranks of rows, beat a constant guess.

    Of rare classes a constant guess has an accuracy that no features improve on.
    """
    if clean is not None:
        return clean.regime != "undetected"
    ranking = next(claims[name] for name in _RANKING if name in claims)
    clear = ranking.low - ranking.guess > _SECOND_LOOK * (ranking.score - ranking.low)
    return bool(main.low > main.guess or clear)


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
    plain = evidence.sample._replace(unmixing=None, contrast=1.0)
    return claim(scoring, evidence.rounds, plain)


def _is_artefact(evidence: Evidence, first: Claim) -> bool:
    """Return whether scores are always wrong because a class is rarer without its row."""
    if evidence.labels is None or evidence.left.kind == "folds":
        return False
    return is_artefact(
        first.score, evidence.sample.y, evidence.sample.weights, evidence.sample.size
    )
