"""What theory predicts of a decomposition: the signal behind it, and the alignment of factors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..linalg import DenseTensor
from ..theory import deflation
from ..utils._intervals import normal_interval
from ._deflation_fit import TensorFit
from ._noise import check_tensor_noise
from ._rank import JointComponents
from ._reproducibility import REPRODUCED
from ._tensor_input import TensorInput

_MOST_COMPARED = 4
"""Components up to which deflation is predicted by "auto": beyond, it takes longer than the fit."""

_BETTER = 1e-6
"""Mean overlap by which another method must exceed the joint fit: the error of the predictions."""


TOO_FEW = "there are more components than n_components_, which mix into those of the fit"
"""Said where theory, and the agreement of halves, are those of a mixture of components."""


class Prediction(NamedTuple):
    """What theory predicts for one method at an estimated signal.

    Attributes
    ----------
    alignments : ndarray of shape (r, d)
        Alignment of each estimate and the component that it is about.
    about : ndarray of shape (r,)
        Which component that is.
    coefficients : ndarray of shape (r,)
        Weights with which the estimates come closest to the signal, in noise units.
    gamma : float
        Strength of the projection; NaN where there is none.
    """

    alignments: np.ndarray
    about: np.ndarray
    coefficients: np.ndarray
    gamma: float = float("nan")

    @property
    def accuracy(self) -> float:
        """Mean overlap."""
        return float((self.alignments**2).mean()) if self.alignments.size else 0.0


class DetectedSignal(NamedTuple):
    """The signal behind the detected components, and what theory predicts for each method.

    Attributes
    ----------
    estimate : SignalEstimate or None
        Norms and Gram matrices; None where nothing is detected, or theory does not apply.
    misfit : str
        Why theory does not apply; empty where it does.
    predictions : dict of str to Prediction
        By method.
    """

    estimate: deflation.SignalEstimate | None
    misfit: str
    predictions: dict[str, Prediction]


class Accuracy(NamedTuple):
    """Predicted accuracy of a fit, in the order of its components.

    Attributes
    ----------
    snr, snr_std : ndarray of shape (r,)
        Norms of the true components and their standard errors.
    grams : ndarray of shape (d, r, r)
        Cosines of the true factors.
    alignments, alignments_std : ndarray of shape (r, d)
        Alignments and the standard deviations of the realised ones.
    mean : float
        Mean overlap.
    interval : ndarray of shape (2,)
        95 % interval of it.
    shrinkage : ndarray of shape (r,)
        Factors of the weights.
    methods : dict of str to float
        Mean overlap of each method.
    """

    snr: np.ndarray
    snr_std: np.ndarray
    grams: np.ndarray
    alignments: np.ndarray
    alignments_std: np.ndarray
    mean: float
    interval: np.ndarray
    shrinkage: np.ndarray
    methods: dict[str, float]


def detected_signal(
    data: TensorInput,
    joint: JointComponents,
    pilot: TensorFit,
    variance: float,
    method: str,
    gamma: float | str,
    tol: float,
    seed: int,
    heavy: bool = False,
    raw: DenseTensor | None = None,
) -> DetectedSignal:
    """Estimate the signal of the detected components, unless the noise is not as assumed."""
    misfit = _misfit(data, joint, pilot, variance, tol, seed, heavy, raw)
    if misfit or not pilot.detected.any():
        return DetectedSignal(None, misfit, {})
    kept = np.flatnonzero(pilot.detected)
    factors = data.original([factor[:, kept] for factor in pilot.components.factors])
    grams = np.array([factor.T @ factor for factor in factors])
    for gram in grams:
        np.fill_diagonal(gram, 1.0)
    unit = np.sqrt(variance * sum(data.dims))
    estimate = deflation.estimate_from_joint(pilot.values[kept] / unit, grams, data.dims)
    if not estimate.converged:
        misfit = "the components are too close or too weak for a stable joint fit"
        return DetectedSignal(None, misfit, {})
    if data.symmetric:
        # The noise of a component's value is that of d modes which are one.
        estimate = estimate._replace(betas_std=estimate.betas_std * np.sqrt(len(data.dims)))
    return DetectedSignal(estimate, "", _predictions(estimate, data.dims, method, gamma))


def _misfit(data, joint, pilot, variance, tol, seed, heavy, raw):
    """Return why the tensor is not as theory assumes; nothing where it is, or is fitted exactly."""
    if heavy:
        return "the residual has heavy tails; clip or remove outliers"
    if joint.exhausted:
        return (
            "n_components='auto' gave up with n_components_ at its largest; the noise may be "
            "correlated"
        )
    exact = 100 * tol**2 * data.tensor.squared_norm()
    if pilot.components.rank and variance * np.prod(data.dims) < exact:
        return ""
    copies = data.entries.copies
    return check_tensor_noise(data.tensor, pilot.components, variance, seed, copies, raw).misfit


def _predictions(signal, dims, method, gamma):
    """Predict the method asked for, or all of them for "auto"."""
    predictions = {}
    if method in ("joint", "auto"):
        about = np.arange(len(signal.betas))
        predictions["joint"] = Prediction(np.abs(signal.alignments), about, signal.coefficients)
    few = len(signal.betas) <= _MOST_COMPARED
    if method == "hotelling" or (method == "auto" and few):
        predictions["hotelling"] = _predict_steps(signal, dims)
    if method == "orthogonalized" or (method == "auto" and few):
        predictions["orthogonalized"] = _predict_steps(signal, dims, gamma)
    return predictions


def _predict_steps(signal, dims, gamma=None):
    """Predict deflation, one component after the other."""
    rank = len(signal.betas)
    if gamma is None:
        strength = float("nan")
        limit = deflation.hotelling(signal.betas, signal.grams, dims)
    else:
        strength = 1.0 if gamma == "auto" else float(gamma)
        if gamma == "auto" and rank > 1:
            best = deflation.optimal_gamma(signal.betas, signal.grams, dims)
            strength = best if np.isfinite(best) else 1.0
        limit = deflation.orthogonalized(signal.betas, signal.grams, dims, strength)
    steps, about = linear_sum_assignment(-np.abs(limit.alignments.prod(axis=2)))
    informative = np.isfinite(limit.singular_values)
    coefficients = np.zeros(rank)
    if informative.any():
        coefficients[informative] = deflation.optimal_coefficients(
            signal.betas,
            limit.alignments[informative],
            limit.cross_alignments[np.ix_(informative, informative)],
        )
    return Prediction(np.abs(limit.alignments[steps, about]), about, coefficients, strength)


def best_method(predictions: dict[str, Prediction]) -> str:
    """Return the method with the best prediction, the joint fit among equals."""
    accuracies = {name: prediction.accuracy for name, prediction in predictions.items()}
    best = max(accuracies, key=accuracies.__getitem__, default="joint")
    return best if accuracies.get(best, 0.0) > accuracies.get("joint", 0.0) + _BETTER else "joint"


def in_order_of(
    fit: TensorFit, signal: DetectedSignal, method: str, pilot: TensorFit
) -> DetectedSignal:
    """Withdraw the prediction if the steps found the components in another order."""
    if signal.estimate is None:
        return signal
    pairs = zip(fit.components.factors, pilot.components.factors, strict=True)
    cosines = [a[:, fit.detected].T @ b[:, pilot.detected] for a, b in pairs]
    about = linear_sum_assignment(-np.abs(np.prod(cosines, axis=0)))[1]
    if np.array_equal(about, signal.predictions[method].about):
        return signal
    misfit = "the steps found components of nearly equal strength in another order"
    return DetectedSignal(None, misfit, {})


def predicted_accuracy(
    fit: TensorFit,
    signal: DetectedSignal,
    method: str,
    dims: tuple[int, ...],
    signs: np.ndarray,
    unit: float,
    covariances: list[np.ndarray] | None = None,
    factors: list[np.ndarray] | None = None,
) -> Accuracy:
    """Return what theory predicts of a fit; `signs` (d, r) are those of its factors.

    Where the noise was whitened, `covariances` and the white `factors` are given mode by mode.
    """
    rank, order = fit.components.rank, len(dims)
    snr, spread = np.full(rank, np.nan), np.full(rank, np.nan)
    grams = np.full((order, rank, rank), np.nan)
    unknown = fit.detected | bool(signal.misfit)
    alignments = np.where(unknown, np.nan, 0.0)[:, None] * np.ones(order)
    shrinkage = np.where(unknown, np.nan, 0.0)
    nothing = float("nan") if signal.misfit else 0.0
    methods = {method: nothing}
    if signal.estimate is not None:
        prediction, estimate = signal.predictions[method], signal.estimate
        kept, about = np.flatnonzero(fit.detected), prediction.about
        snr[kept], spread[kept] = estimate.betas[about], estimate.betas_std[about]
        grams[:, kept[:, None], kept] = estimate.grams[:, about[:, None], about]
        grams = grams * signs[:, :, None] * signs[:, None, :]
        alignments[kept] = prediction.alignments
        if covariances is not None:
            alignments, grams = _coloured(alignments, grams, kept, covariances, factors)
        shrinkage[kept] = prediction.coefficients * unit / fit.components.weights[kept]
        methods = {
            name: other.accuracy * len(kept) / rank for name, other in signal.predictions.items()
        }
    mean = float((alignments**2).mean()) if rank else nothing
    sizes = dims if covariances is None else [len(c) ** 2 / (c**2).sum() for c in covariances]
    errors, error = _alignment_errors(alignments, snr, spread, sizes)
    interval = normal_interval(mean, error)
    return Accuracy(snr, spread, grams, alignments, errors, mean, interval, shrinkage, methods)


def with_reproducibility(accuracy, halves, alignments, regimes, method):
    """Put split halves where theory has no number; components they find again are not noise."""
    regimes = [
        "misfit" if regime == "undetected" and congruence >= REPRODUCED else regime
        for regime, congruence in zip(regimes, halves.congruence, strict=True)
    ]
    measured = np.array([regime == "misfit" for regime in regimes])
    if not measured.any():
        return accuracy, regimes
    values = np.where(measured[:, None], np.transpose(alignments), accuracy.alignments)
    mean = float((values**2).mean())
    changed = accuracy._replace(
        alignments=values,
        mean=mean,
        interval=halves.interval(values**2, measured),
        methods={**accuracy.methods, method: mean},
    )
    return changed, regimes


def _coloured(alignments, grams, kept, covariances, factors):
    """Return alignments and cosines as they are before the noise was whitened.

    What an estimate owes to white noise has no direction: its covariance is the mean one.
    """
    alignments, grams = alignments.copy(), grams.copy()
    for mode, (covariance, factor) in enumerate(zip(covariances, factors, strict=True)):
        found = factor[:, kept]
        basis = np.linalg.qr(found)[0]
        others = max(1, len(covariance) - basis.shape[1])
        mean = (len(covariance) - float(np.trace(basis.T @ covariance @ basis))) / others
        cosines = alignments[kept, mode]
        product = found.T @ covariance @ found
        # Noise along C x is aligned with x in the metric of C.
        along = np.diagonal(found.T @ covariance @ covariance @ found) / np.diagonal(product)
        noise = np.diag(mean - along / len(covariance)) + mean * (1 - np.eye(len(kept)))
        shared = grams[mode][np.ix_(kept, kept)] * np.outer(cosines, cosines)
        signal = product - noise * (found.T @ found - shared)
        norms = np.sqrt(np.diagonal(signal).clip(1e-300))
        overlap = np.diagonal(signal) / np.diagonal(product)
        alignments[kept, mode] = np.sqrt(overlap.clip(0.0, 1.0))
        grams[mode][np.ix_(kept, kept)] = np.clip(signal / np.outer(norms, norms), -1.0, 1.0)
    return alignments, grams


def _alignment_errors(alignments, snr, spread, dims):
    """Return standard errors of alignments, and that of the mean overlap."""
    lack = np.where(alignments > 0, 1 - alignments**2, np.nan if len(snr) else 0.0)
    finite = lack * np.sqrt(2 / np.array(dims))
    strength = 2 * lack * (spread / snr)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        errors = np.hypot(finite, strength) / (2 * alignments)
    variances = np.nansum(finite**2, axis=1) + np.nansum(strength, axis=1) ** 2
    unknown = np.isnan(alignments).any()
    error = float("nan") if unknown else float(np.sqrt(variances.sum()) / max(lack.size, 1))
    return errors, error
