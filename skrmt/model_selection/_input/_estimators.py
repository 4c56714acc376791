"""Estimators of scikit-learn that are reported: their last step, its fit, and the rows it sees."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from inspect import signature
from typing import Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.base import is_classifier, is_regressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
)
from sklearn.pipeline import Pipeline
from sklearn.utils import compute_class_weight, compute_sample_weight, get_tags
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object
from sklearn.utils.validation import check_array, has_fit_parameter

from ...utils._sparse import canonical

RIDGES = (LinearRegression, Ridge, RidgeCV, RidgeClassifier, RidgeClassifierCV)
"""Ridge regression, of penalty 0 too."""
_OF_GROUPS = (
    GroupKFold,
    GroupShuffleSplit,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    StratifiedGroupKFold,
)
_ENSEMBLES = (StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor)
CHOOSE_PENALTY = (RidgeCV, RidgeClassifierCV, LogisticRegressionCV)
_LINEAR = (*RIDGES, LinearDiscriminantAnalysis, LogisticRegression, LogisticRegressionCV)


def last_step(estimator: Any) -> Any:
    """Return the estimator inside pipelines and searches, unfitted."""
    if isinstance(estimator, type):
        raise TypeError(f"Got the class {estimator.__name__} as estimator: give an instance of it.")
    if isinstance(estimator, Pipeline):
        return last_step(estimator.steps[-1][1])
    if is_search(estimator):
        if getattr(estimator, "refit", True) is False:
            raise ValueError(
                "estimator has refit=False: there is no fit to report. Leave it at True."
            )
        return last_step(estimator.estimator)
    return estimator


def check_predicts(estimator: Any) -> None:
    """Raise for what predicts neither one class nor one target."""
    if not (is_classifier(estimator) or is_regressor(estimator)):
        raise TypeError(
            f"estimator={estimator!r} is neither a classifier nor a regressor: give one, or a "
            "Pipeline or a search that ends in one."
        )
    if isinstance(last_step(estimator), FrozenEstimator):
        raise TypeError(
            "estimator ends in a FrozenEstimator, whose rows no fit can leave out: give the "
            "estimator itself."
        )
    if get_tags(estimator).input_tags.pairwise:
        raise ValueError(
            "estimator takes precomputed distances or a kernel, of which no row can be left out "
            "alone: give an estimator of rows."
        )


def has_theory(model: Any) -> bool:
    """Return whether there is a theory of an estimator, and a decomposition that follows it."""
    # A subclass may do more in its fit.
    return type(model) in _LINEAR and not getattr(model, "positive", False)


def searched(search: Any) -> Any:
    """Return what a search has chosen, or what it is over if it is not fitted."""
    return getattr(search, "best_estimator_", search.estimator)


def is_search(estimator: Any) -> bool:
    """Return whether an estimator searches for parameters of another."""
    return hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions")


def groups_name(estimator: Any) -> str | None:
    """Return by which name the fit of an estimator is given groups, None if none of it asks."""
    if get_config()["enable_metadata_routing"]:
        return "groups" if _asks_for(estimator, "groups") else None
    if isinstance(estimator, Pipeline):
        return _in_last_step(estimator, groups_name)
    if is_search(estimator) and isinstance(estimator.cv, _OF_GROUPS):
        return "groups"
    return None


def _in_last_step(pipeline: Pipeline, named: Callable) -> str | None:
    """Return the name of a parameter of the last step of a pipeline, None if it has none."""
    step, last = pipeline.steps[-1]
    name = named(last)
    return None if name is None else f"{step}__{name}"


def _asks_for(estimator: Any, name: str) -> bool:
    """Return whether an estimator, or one inside it, requests metadata for its fit."""
    return name in get_routing_for_object(estimator).consumes("fit", [name])


def chooses_by_folds(estimator: Any) -> bool:
    """Return whether the estimator, or its last step, chooses parameters by cross-validation.

    Held-out scores at the parameters chosen flatter such a fit, a `LogisticRegressionCV` by .02.
    """
    if isinstance(estimator, Pipeline):
        return chooses_by_folds(estimator.steps[-1][1])
    if isinstance(estimator, (RidgeCV, RidgeClassifierCV)):
        # Its own choice leaves rows out, by squares: that is counted in closed form.
        return estimator.cv is not None or estimator.scoring is not None
    return is_search(estimator) or isinstance(estimator, LogisticRegressionCV)


def takes_weights(estimator: Any) -> bool:
    """Return whether the fit can be given sample weights."""
    if _weight_name(estimator) is not None:
        return True
    return get_config()["enable_metadata_routing"] and _asks_for(estimator, "sample_weight")


def fit_weighted(
    estimator: Any, X: Any, y: np.ndarray, weights: np.ndarray | None, params: dict | None = None
) -> Any:
    """Fit an estimator with weights, those of steps that ask for them, and further parameters."""
    params = params or {}
    if weights is None:
        return estimator.fit(X, y, **params)
    name = _weight_name(estimator)
    routes = get_config()["enable_metadata_routing"] and _asks_for(estimator, "sample_weight")
    # Routing needs requests of every step; by its name the last gets the same without them.
    if routes and (name in (None, "sample_weight") or not _leaves_open(estimator)):
        return estimator.fit(X, y, sample_weight=weights, **params)
    with config_context(enable_metadata_routing=False):
        return estimator.fit(X, y, **{name or "sample_weight": weights}, **params)


def _leaves_open(estimator: Any) -> bool:
    """Return whether something inside an estimator takes weights but does not say if it should."""
    inside = (v for v in estimator.get_params().values() if hasattr(v, "get_metadata_routing"))
    requests = (get_routing_for_object(one) for one in inside)
    fits = (one.fit.requests for one in requests if isinstance(one, MetadataRequest))
    return any(one.get("sample_weight", True) is None for one in fits)


def _weight_name(estimator: Any) -> str | None:
    """Return by which name the last of all steps is given weights, None if it takes none."""
    if isinstance(estimator, Pipeline):
        return _in_last_step(estimator, _weight_name)
    if isinstance(estimator, _ENSEMBLES):
        return "sample_weight" if all(map(_takes_weights_itself, _members(estimator))) else None
    if has_fit_parameter(estimator, "sample_weight"):
        return "sample_weight"
    inner = getattr(estimator, "estimator", getattr(estimator, "regressor", None))
    hands_on = any(
        some.kind is some.VAR_KEYWORD for some in signature(estimator.fit).parameters.values()
    )
    return _weight_name(inner) if hands_on and hasattr(inner, "fit") else None


def _takes_weights_itself(member: Any) -> bool:
    """Return whether a member of an ensemble, which names no step of it, takes weights."""
    return _weight_name(member) == "sample_weight"


def _members(ensemble: Any) -> list:
    """Return the estimators that an ensemble fits to the same weights."""
    members = [member for _, member in ensemble.estimators if not isinstance(member, str)]
    final = getattr(ensemble, "final_estimator", None)
    return members if final is None else [*members, final]


def last_step_rows(fitted: Any, X: Any) -> tuple[Any, Any]:
    """Return the rows as the fitted last step sees them, and the last step."""
    if hasattr(fitted, "best_estimator_"):
        return last_step_rows(fitted.best_estimator_, X)
    if isinstance(fitted, Pipeline):
        rows = fitted[:-1].transform(X) if len(fitted.steps) > 1 else X
        return last_step_rows(fitted.steps[-1][1], rows)
    # The rows are an array from here on, even if it was fitted to a frame.
    model = copy(fitted)
    vars(model).pop("feature_names_in_", None)
    if is_plain(X) and X.dtype.char in "df":
        return X, model
    return canonical(check_array(X, accept_sparse="csr", dtype=(np.float64, np.float32))), model


def is_plain(X: Any) -> bool:
    """Return whether X is an array of numbers with rows and columns, which needs no conversion."""
    return type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "fiu" and X.size > 0


def class_factors(model: Any, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return by what the weight of each row is multiplied for the sake of its class."""
    given = getattr(model, "class_weight", None)
    if given is None:
        return np.ones(len(y))
    weighs_rows = "sample_weight" in signature(compute_class_weight).parameters
    if isinstance(model, RIDGES) or not weighs_rows:
        return compute_sample_weight(given, y)
    classes, codes = np.unique(y, return_inverse=True)
    factors = compute_class_weight(given, classes=classes, y=y, sample_weight=weights)
    return factors[codes]


def ridge_penalty(model: Any) -> float:
    """Return the penalty of a fitted ridge estimator, in the units of scikit-learn."""
    if isinstance(model, LinearRegression):
        return 0.0
    given = model.alpha_ if hasattr(model, "alpha_") else model.alpha
    if np.ndim(given) and len(given) > 1:
        raise ValueError(f"alpha={given!r} has one value per target: give one number.")
    return float(np.max(given))


def inverse_penalty(model: Any) -> float:
    """Return C of a fitted logistic regression, infinite without a penalty."""
    if getattr(model, "penalty", "l2") is None:
        return np.inf
    return float(np.mean(model.C_ if hasattr(model, "C_") else model.C))


def has_other_penalty(model: Any) -> bool:
    """Return whether a logistic regression has another penalty than the l2 norm."""
    chosen = np.atleast_1d(getattr(model, "l1_ratio_", getattr(model, "l1_ratio", 0.0)))
    mixed = any(bool(ratio) for ratio in chosen if not isinstance(ratio, str))
    return mixed or getattr(model, "penalty", "l2") in ("l1", "elasticnet")
