"""Comparisons that come part by part, of which sums are kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...utils._checks import check_sample_weight
from ...utils._dask import to_local
from ._fit import check_loss
from ._input import as_host, check_two_classes, read_reference, signs_of, unit_of_rows, validated
from ._moments import Moments, moments_of, ridge_coefficients
from ._theory import model_accuracy, signal_of


def keeps_sums(policy: Any) -> bool:
    """Say what to do where a fit needs more than sums over comparisons."""
    if check_loss(policy.loss) != "ipo":
        raise ValueError(
            f"loss={policy.loss!r} needs all comparisons at once: only loss='ipo' can be fitted "
            "part by part. Use it, or fit."
        )
    if isinstance(policy.alpha, str) or isinstance(policy.noise_rate, str):
        name = "alpha" if isinstance(policy.alpha, str) else "noise_rate"
        raise ValueError(
            f"{name}={getattr(policy, name)!r} is told by the comparisons all at once, of which "
            f"partial_fit keeps sums: give {name} as a number, from a fit to a part of them for "
            "instance."
        )
    return True


def add_comparisons(
    policy: Any, X: Any, y: Any, classes: Any, sample_weight: Any, first: bool
) -> dict[str, Any]:
    """Add comparisons to the sums of a policy."""
    X, y = validated(policy, X, y, reset=first)
    classes = _both_classes(policy, classes, y, first)
    read_reference(policy.reference, policy.n_features_in_)
    weights = as_host(to_local(sample_weight))
    if not first and weights is not None and not np.any(weights):
        return {}
    weights = check_sample_weight(weights, len(X))
    unit = unit_of_rows(X)
    differences = X if unit == 1 else X / unit
    moments = moments_of(differences, weights * signs_of(y, classes), weights, unit)
    moments = moments if first else policy._moments.plus(moments)
    return {"classes_": classes, "_moments": moments} | told_by_moments(policy, moments)


def _both_classes(policy: Any, classes: Any, y: np.ndarray, first: bool) -> np.ndarray:
    """Return the classes, which do not change after the first call."""
    if not first:
        found = policy.classes_
        if classes is not None and not np.array_equal(np.unique(classes), found):
            raise ValueError(
                f"classes={classes!r} is not the same as in the call before, {found.tolist()}."
            )
    elif classes is None and len(y) and (y == y[0]).all():
        raise ValueError(f"y has one class only, {y[0]!r}: pass both as classes in the first call.")
    elif classes is None:
        found = check_two_classes("y", y)
    else:
        found = check_two_classes("classes", np.asarray(classes))
    if not np.isin(y, found).all():
        raise ValueError(
            f"y has labels {np.setdiff1d(y, found).tolist()[:5]}, which are not among the classes "
            f"{found.tolist()}: give both classes in the first call."
        )
    return found


def told_by_moments(estimator: Any, moments: Moments) -> dict[str, Any]:
    """Return what sums over comparisons tell, without the comparisons."""
    unit, beta, noise = moments.unit, float(estimator.beta), float(estimator.noise_rate)
    alpha = float(estimator.alpha) / unit / unit
    coef = ridge_coefficients(moments, alpha, beta)
    size = moments.n_effective
    signal = signal_of(moments.cross / moments.weight, moments.energy, size, noise)
    model = np.nan
    if size >= 2:
        model = model_accuracy(signal, size, len(coef), alpha, noise)[0]
    return {
        "coef_": coef / unit,
        "alpha_": float(estimator.alpha),
        "alphas_": np.array([float(estimator.alpha)]),
        "noise_rate_": noise,
        "signal_": signal.value,
        "signal_std_": signal.std,
        "theoretical_accuracy_": np.nan,
        "theoretical_accuracy_interval_": np.array([np.nan, np.nan]),
        "model_accuracy_": model,
        "model_fit_": False,
        "held_out_scores_": np.empty(0),
        "margin_": moments.mean_margin(coef),
        "chosen_logratio_": np.nan,
        "rejected_logratio_": np.nan,
        "kl_to_reference_": np.nan,
        "n_iter_": 1,
    }
