"""Fit a tensor and collect what is to be said about it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from scipy.optimize import linear_sum_assignment
from sklearn.utils import check_random_state

from ..linalg import Components
from ..theory import deflation
from ..theory.spiked_tensor import thresholds
from ._deflation_fit import (
    compare_methods,
    deflate,
    least_squares_weights,
    predict_joint,
    predict_steps,
)
from ._noise import check_tensor_noise, degrees_of_freedom
from ._rank import SearchOptions, joint_components
from ._tensor_input import check_rank, tensor_input

_CANCELLED = {"float32": 1e-3, "float64": 1e-8}


class Fit(NamedTuple):
    """Components of a tensor, found by one of the methods.

    Attributes
    ----------
    components : Components
        Weights and factors.
    values : ndarray of shape (r,)
        Rank-one values of the steps, the weights of a joint fit.
    detected : ndarray of bool of shape (r,)
        Which stand out of the noise.
    n_iter : int
        Sweeps.
    converged : bool
        Whether they converged.
    """

    components: Components
    values: np.ndarray
    detected: np.ndarray
    n_iter: int
    converged: bool


class Signal(NamedTuple):
    """The signal behind the detected components, and what theory predicts.

    Attributes
    ----------
    estimate : SignalEstimate or None
        Norms and Gram matrices; None where there is nothing to say.
    complaint : str
        Why there is nothing to say although components are detected.
    predictions : dict of str to Prediction
        By method.
    """

    estimate: deflation.SignalEstimate | None
    complaint: str
    predictions: dict


def fit_tensor(model, X):
    """Fit a tensor."""
    data = tensor_input(X, model.device)
    rank = check_rank(model.n_components, data.dims)
    options = _options(model, data)
    joint = joint_components(data.tensor, rank, options)
    pilot = _sorted(joint)
    variance = _noise_variance(data, pilot.components, options)
    unit = float(np.sqrt(variance * sum(data.dims)))
    signal = _signal(model, data, joint, pilot, variance, unit, options)
    method = _method(model, signal)
    fit, gamma = pilot, float("nan")
    if method != "joint":
        gamma = _gamma(model, method, signal)
        fit = _deflated(data, pilot, gamma, options)
        signal = _same_order(signal, method, fit, pilot)
    attributes = _fit_attributes(data, fit, joint.next_value, variance, unit)
    attributes |= _theory_attributes(data, fit, signal, method, unit)
    attributes |= {"gamma_": gamma, "method_": method}
    return attributes, _messages(pilot, signal), fit.converged


def _options(model, data):
    """Return how to search."""
    variance = model.noise_variance
    if variance is not None:
        variance = float((np.sqrt(variance) / data.scale) ** 2)
    return SearchOptions(
        n_restarts=model.n_restarts,
        tol=max(model.tol, 20 * data.tensor.resolution),
        max_iter=model.max_iter,
        seed=_seed(model.random_state),
        noise_variance=variance,
        report=lambda line: print(f"[TensorDeflation] {line}") if model.verbose else None,
        run=lambda function, jobs: Parallel(n_jobs=model.n_jobs, prefer="threads")(
            delayed(function)(job) for job in jobs
        ),
    )


def _seed(random_state):
    """Return an integer seed; None takes a fresh one and leaves the global state alone."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**31 - 1))
    return int(check_random_state(random_state).randint(2**31 - 1))


def _sorted(joint):
    """Return a joint fit with the largest weight first."""
    order = np.argsort(-joint.components.weights, kind="stable")
    weights = joint.components.weights[order]
    components = Components(weights, [factor[:, order] for factor in joint.components.factors])
    return Fit(components, weights, joint.detected[order], joint.n_iter, joint.converged)


def _noise_variance(data, components, options):
    """Return the variance of the noise, over the squared scale; at least that of rounding."""
    if options.noise_variance is not None:
        return options.noise_variance
    total = data.tensor.squared_norm()
    gram = np.prod([factor.T @ factor for factor in components.factors], axis=0)
    left = total - float(components.weights @ gram @ components.weights)
    if components.rank and left < _CANCELLED[data.dtype] * total:
        left = data.tensor.squared_norm(components)
    rounding = data.tensor.resolution**2 * total
    return max(left, rounding) / degrees_of_freedom(data.dims, components.rank)


def _complaint(data, joint, pilot, variance, options):
    """Say why the tensor is not as theory assumes; nothing where it is, or is fitted exactly."""
    if joint.outlier:
        return "a single entry stands out of all others; clip or remove such outliers"
    if joint.exhausted:
        return (
            f"n_components='auto' gave up after {pilot.components.rank} components; the noise may "
            "be correlated"
        )
    exact = 100 * options.tol**2 * data.tensor.squared_norm()
    if pilot.components.rank and variance * np.prod(data.dims) < exact:
        return ""
    return check_tensor_noise(data.tensor, pilot.components, variance, options.seed).complaint


def _signal(model, data, joint, pilot, variance, unit, options):
    """Estimate the signal of the detected components, unless the noise is not as assumed."""
    complaint = _complaint(data, joint, pilot, variance, options)
    if complaint or not pilot.detected.any():
        return Signal(None, complaint, {})
    kept = np.flatnonzero(pilot.detected)
    factors = data.original([factor[:, kept] for factor in pilot.components.factors])
    grams = np.array([factor.T @ factor for factor in factors])
    for gram in grams:
        np.fill_diagonal(gram, 1.0)
    estimate = deflation.estimate_from_joint(pilot.values[kept] / unit, grams, data.dims)
    if not estimate.converged:
        return Signal(None, "the components are too close or too weak for a stable joint fit", {})
    if model.method == "auto":
        return Signal(estimate, "", compare_methods(estimate, data.dims, model.gamma))
    if model.method == "joint":
        return Signal(estimate, "", {"joint": predict_joint(estimate)})
    gamma = None if model.method == "hotelling" else model.gamma
    return Signal(estimate, "", {model.method: predict_steps(estimate, data.dims, gamma)})


def _method(model, signal):
    """Return the method with the best prediction, the joint fit among equals."""
    if model.method != "auto":
        return model.method
    accuracies = {name: prediction.accuracy for name, prediction in signal.predictions.items()}
    best = max(accuracies, key=accuracies.__getitem__, default="joint")
    return best if accuracies.get(best, 0.0) > accuracies.get("joint", 0.0) + 1e-6 else "joint"


def _gamma(model, method, signal):
    """Return the strength of the projection, NaN where there is none."""
    if method == "hotelling":
        return float("nan")
    if method in signal.predictions:
        return signal.predictions[method].gamma
    return 1.0 if model.gamma == "auto" else float(model.gamma)


def _deflated(data, pilot, gamma, options):
    """Find as many components as the joint fit one after the other."""
    found, n_iter, converged = deflate(data, pilot.components.rank, gamma, options)
    detected = np.arange(found.rank) < pilot.detected.sum()
    found = _oriented(found, pilot.components)
    components = found if np.isnan(gamma) else least_squares_weights(data, found)
    return Fit(components, found.weights, detected, n_iter, converged)


def _oriented(found, reference):
    """Give the factors the signs of those they are about, in all modes but the last."""
    pairs = zip(found.factors, reference.factors, strict=True)
    cosines = np.array([a.T @ b for a, b in pairs])
    rows, about = linear_sum_assignment(-np.abs(cosines.prod(axis=0)))
    signs = np.where(cosines[:, rows, about] < 0, -1.0, 1.0)
    signs[-1] = signs[:-1].prod(axis=0)
    return Components(
        found.weights, [factor * sign for factor, sign in zip(found.factors, signs, strict=True)]
    )


def _same_order(signal, method, fit, pilot):
    """Withdraw the prediction if the steps found the components in another order."""
    if signal.estimate is None:
        return signal
    pairs = zip(fit.components.factors, pilot.components.factors, strict=True)
    cosines = [a[:, fit.detected].T @ b[:, pilot.detected] for a, b in pairs]
    about = linear_sum_assignment(-np.abs(np.prod(cosines, axis=0)))[1]
    if np.array_equal(about, signal.predictions[method].about):
        return signal
    return Signal(None, "the steps found components of nearly equal strength in another order", {})


def _fit_attributes(data, fit, next_value, variance, unit):
    """Return what was fitted."""
    factors = data.original(fit.components.factors)
    rank = fit.components.rank
    cross = np.array([factor.T @ factor for factor in factors]).reshape(len(factors), rank, rank)
    return {
        "weights_": fit.components.weights * data.scale,
        "factors_": [factor.astype(data.dtype) for factor in _fixed_signs(factors)],
        "n_components_": rank,
        "noise_variance_": float((np.sqrt(variance) * data.scale) ** 2),
        "singular_values_": fit.values / unit,
        "next_singular_value_": next_value / unit,
        "cross_alignments_": _gauged(cross, factors).transpose(1, 2, 0),
        "detected_": fit.detected,
        "n_iter_": fit.n_iter,
        "thresholds_": thresholds(data.dims),
    }


def _signs(factors):
    """Return the signs that make the largest entry of all factors but the last positive."""
    signs = []
    for factor in factors:
        largest = np.abs(factor).argmax(axis=0) if factor.shape[1] else np.zeros(0, dtype=int)
        entries = factor[largest, np.arange(factor.shape[1])]
        signs.append(np.where(entries < 0, -1.0, 1.0))
    signs[-1] = np.prod(signs[:-1], axis=0)
    return signs


def _fixed_signs(factors):
    """Return the factors with these signs; no component changes."""
    return [factor * sign for factor, sign in zip(factors, _signs(factors), strict=True)]


def _gauged(grams, factors):
    """Return Gram matrices of the factors with these signs."""
    signs = np.array(_signs(factors))
    return grams * signs[:, :, None] * signs[:, None, :]


def _theory_attributes(data, fit, signal, method, unit):
    """Return what theory says of the fit."""
    rank, order = fit.components.rank, len(data.dims)
    snr, spread = np.full(rank, np.nan), np.full(rank, np.nan)
    grams = np.full((order, rank, rank), np.nan)
    unknown = fit.detected | bool(signal.complaint)
    alignments = np.where(unknown, np.nan, 0.0)[:, None] * np.ones(order)
    shrinkage = np.where(unknown, np.nan, 0.0)
    nothing = float("nan") if signal.complaint else 0.0
    comparison = {method: nothing}
    if signal.estimate is not None:
        prediction, estimate = signal.predictions[method], signal.estimate
        kept, about = np.flatnonzero(fit.detected), prediction.about
        snr[kept], spread[kept] = estimate.betas[about], estimate.betas_std[about]
        grams[:, kept[:, None], kept] = estimate.grams[:, about[:, None], about]
        grams = _gauged(grams, data.original(fit.components.factors))
        alignments[kept] = prediction.alignments
        shrinkage[kept] = prediction.coefficients * unit / fit.components.weights[kept]
        comparison = {
            name: other.accuracy * len(kept) / rank for name, other in signal.predictions.items()
        }
    accuracy = float((alignments**2).mean()) if rank else nothing
    errors, margin = _alignment_errors(alignments, snr, spread, data.dims)
    return {
        "snr_": snr,
        "snr_std_": spread,
        "grams_": grams,
        "theoretical_alignments_": alignments,
        "theoretical_alignments_std_": errors,
        "theoretical_accuracy_": accuracy,
        "theoretical_accuracy_interval_": np.clip([accuracy - margin, accuracy + margin], 0, 1),
        "shrinkage_": shrinkage,
        "method_comparison_": comparison,
    }


def _alignment_errors(alignments, snr, spread, dims):
    """Return standard errors of alignments, and the 95 % margin of the mean overlap."""
    lack = np.where(alignments > 0, 1 - alignments**2, np.nan if len(snr) else 0.0)
    finite = lack * np.sqrt(2 / np.array(dims))
    strength = 2 * lack * (spread / snr)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.hypot(finite, strength) / (2 * alignments)
    variances = np.nansum(finite**2, axis=1) + np.nansum(strength, axis=1) ** 2
    unknown = np.isnan(alignments).any()
    margin = float("nan") if unknown else 1.96 * np.sqrt(variances.sum()) / max(lack.size, 1)
    return errors, margin


def _messages(pilot, signal):
    """Say where theory has nothing to say."""
    messages = []
    if signal.complaint:
        messages.append(
            f"Theory does not apply: {signal.complaint}. The theory attributes are NaN."
        )
    missing = int((~pilot.detected).sum())
    if missing and not signal.complaint:
        messages.append(
            f"{missing} of {len(pilot.detected)} components do not stand out of the noise "
            "(detected_ is False, their alignments are 0). Use fewer components, or "
            "n_components='auto'."
        )
    if not len(pilot.detected) and not signal.complaint:
        messages.append(
            "No component stands out of the noise: n_components_ is 0. Give n_components to fit "
            "some nevertheless."
        )
    return messages
