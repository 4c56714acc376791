"""From the joint fit to the decomposition asked for, and what is predicted of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linalg import Components
from ..utils._regimes import regime
from ._deflation_fit import TensorFit, deflate, largest_first, residual_variance, signs_of
from ._joint_fit import JointFit, effective_variance, has_further_component
from ._predictions import (
    TOO_FEW,
    Accuracy,
    DetectedSignal,
    best_method,
    detected_signal,
    in_order_of,
    predicted_accuracy,
    with_reproducibility,
)
from ._reproducibility import split_halves
from ._tensor_input import TensorInput


class Decomposition(NamedTuple):
    """Components found by one of the methods.

    Attributes
    ----------
    found : JointFit
        The joint fit.
    fit : TensorFit
        The components of the tensor in white noise.
    signal : DetectedSignal
        The signal behind them.
    variance : float
        Variance of an entry of the white noise.
    method : str
        The method.
    gamma : float
        Strength of the projection; nan without one.
    """

    found: JointFit
    fit: TensorFit
    signal: DetectedSignal
    variance: float
    method: str
    gamma: float

    @property
    def dims(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        return self.found.data.dims

    @property
    def unit(self) -> float:
        """Unit of the rank-one values."""
        return float(np.sqrt(self.variance * sum(self.dims)))

    @property
    def entry_variance(self) -> float:
        """Variance of an entry of the noise of the input."""
        entries = self.found.data.entries
        return self.variance * entries.share / entries.copies

    @property
    def components(self) -> Components:
        """The components of the input, mode by mode."""
        return self.found.coloured(self.fit.components)

    @property
    def factors(self) -> list[np.ndarray]:
        """Their factors, axis by axis."""
        return self.found.data.original(self.components.factors)

    @property
    def covariances(self) -> list[np.ndarray] | None:
        """Covariances of the noise, axis by axis; None where it is white."""
        whitening = self.found.whitening
        return None if whitening is None else self.found.data.original(whitening.covariances)


def decompose(
    found: JointFit,
    rank: int | None,
    known: float | None,
    method: str,
    gamma: float | str,
    search: dict[str, Any],
) -> Decomposition:
    """Estimate the signal behind a joint fit, and deflate if another method is asked for.

    `known` is the variance of the noise, `rank` the number of components; None where unknown.
    """
    data, pilot = found.white, largest_first(found.joint)
    if known is None:
        variance = residual_variance(data, pilot.components)
    else:
        variance = effective_variance(known, data.entries)
    signal = _signal(found, pilot, variance, method, gamma, search)
    if pilot.components.rank and pilot.detected.all():
        options = {**search, "noise_variance": known}
        if has_further_component(found, signal.misfit, rank, options):
            signal = DetectedSignal(None, TOO_FEW, {})
    if method == "auto":
        method = best_method(signal.predictions)
    if method == "joint":
        return Decomposition(found, pilot, signal, variance, method, float("nan"))
    strength = float("nan")
    if method == "orthogonalized" and method in signal.predictions:
        strength = signal.predictions[method].gamma
    elif method == "orthogonalized":
        strength = 1.0 if gamma == "auto" else float(gamma)
    fit = deflate(data, pilot, strength, **search)
    signal = in_order_of(fit, signal, method, pilot)
    return Decomposition(found, fit, signal, variance, method, strength)


def _signal(
    found: JointFit,
    pilot: TensorFit,
    variance: float,
    method: str,
    gamma: float | str,
    search: dict[str, Any],
) -> DetectedSignal:
    """Estimate the signal behind the joint fit."""
    return detected_signal(
        found.white,
        found.joint,
        pilot,
        variance,
        method,
        gamma,
        search["tol"],
        search["seed"],
        found.heavy,
        found.data.tensor if found.data.observed is None else None,
    )


def accuracy_of(
    result: Decomposition, given: TensorInput, search: dict[str, Any]
) -> tuple[Accuracy, list[str]]:
    """Predict the accuracy of a decomposition, or measure it by halves; return regimes too."""
    found, fit, signal = result.found, result.fit, result.signal
    signs, covariances, whitened = signs_of(result.factors), result.covariances, None
    if covariances is not None:
        white = found.data.original(fit.components.factors)
        whitened = [factor * sign for factor, sign in zip(white, signs, strict=True)]
    accuracy = predicted_accuracy(
        fit, signal, result.method, result.dims, signs, result.unit, covariances, whitened
    )
    misfit = bool(signal.misfit)
    regimes = [regime(undetected=not seen, misfit=misfit) for seen in fit.detected]
    colour = covariances is not None and not fit.detected.all()
    if signal.misfit == TOO_FEW or not (misfit or colour):
        return accuracy, regimes
    asked = None if misfit else ~fit.detected
    halves = split_halves(found, given, result.components, search, asked)
    if halves is None:
        return accuracy, regimes
    alignments = found.data.original(list(halves.alignments.T))
    return with_reproducibility(accuracy, halves, alignments, regimes, result.method)
