"""Which metric a report is on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import is_classifier
from sklearn.metrics import check_scoring, get_scorer

from ._metrics import CLASSIFIER_METRICS, OF_CONFUSION, REGRESSOR_METRICS

_NEEDS = {
    "f1": "two classes: give 'f1_macro'",
    "roc_auc": (
        "two classes and an estimator with decision_function or predict_proba: give another "
        "estimator, 'roc_auc_ovr' or 'balanced_accuracy'"
    ),
    "roc_auc_ovr": "three classes or more and an estimator with predict_proba: give 'roc_auc'",
    "average_precision": (
        "two classes and an estimator with decision_function or predict_proba: give another "
        "estimator or 'f1_macro'"
    ),
    "neg_log_loss": "an estimator with predict_proba: give another, or 'accuracy'",
    "neg_brier_score": "an estimator with predict_proba: give another, or 'accuracy'",
}


def read_scoring(estimator: Any, scoring: Any) -> tuple[str, Callable | None]:
    """Return the name of a metric, and a scorer if the metric is only counted by folds."""
    classifies = is_classifier(estimator)
    known = CLASSIFIER_METRICS if classifies else REGRESSOR_METRICS
    if scoring is None:
        return ("accuracy" if classifies else "r2"), None
    if isinstance(scoring, str):
        return (scoring, None) if scoring in known else (scoring, get_scorer(scoring))
    if not callable(scoring):
        raise ValueError(
            f"scoring={scoring!r} must be None, the name of a scorer of scikit-learn, or a scorer: "
            "give one; `theoretical_scores_` has the others."
        )
    # With brackets: no name of scikit-learn, of which more is known.
    return f"{getattr(scoring, '__name__', 'scorer')}()", check_scoring(estimator, scoring)


def check_available(scoring: str, names: tuple[str, ...]) -> None:
    """Raise for a metric that the estimator and its classes do not have."""
    if scoring not in names:
        raise ValueError(f"scoring={scoring!r} needs {_NEEDS[scoring]}.")


def check_noise(estimator: Any, scoring: str, scorer: Any, noise_rates: Any) -> None:
    """Raise for a metric, or an estimator, of which nothing is known on clean labels."""
    if noise_rates is None:
        return
    if not is_classifier(estimator):
        raise ValueError(
            f"noise_rates={noise_rates!r} is for classifiers, {estimator!r} is none: leave it at "
            "None."
        )
    allowed = ("accuracy",) if isinstance(noise_rates, str) else OF_CONFUSION
    if scorer is not None or scoring not in allowed:
        raise ValueError(
            f"scoring={scoring!r} is not known on clean labels under noise_rates="
            f"{noise_rates!r}: give one of {', '.join(map(repr, allowed))}, or no noise_rates."
        )
