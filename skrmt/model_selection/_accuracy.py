"""Accuracy and error on fresh rows from held-out scores."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from ..utils._intervals import held_out_interval, wilson_interval
from ._clean_labels import normality_test, unmixed_accuracy
from ._closed_forms import HeldOut, predicted_codes
from ._input import Rows

MISFIT_LEVEL = 0.01
"""p-value below which theory is contradicted: one in a hundred sound reports is doubted."""
_NORMALITY_ROWS = 20
"""Rows of a class from which the Jarque-Bera test keeps its level well enough."""
_SMALLEST_CONTRAST = 0.05
"""What noise must leave of a difference between classes: below, errors are 20 times larger."""
_LEAST_PRIOR = 1e-3
"""Least share of a true class."""
_ARTEFACT_DEVIATIONS = 3.0
"""Standard errors below the rarest class's share: chance does so in one report in a thousand."""


class Labels(NamedTuple):
    """Observed labels and what is known of the true ones.

    Attributes
    ----------
    codes : ndarray of shape (m,)
        Observed labels.
    by_label : ndarray of shape (K, K)
        Probability of each true class (columns) given each observed label.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.
    contrast : float
        ``1 - sum of the noise rates`` of two classes: what noise leaves of a difference.
    rates : ndarray of shape (K,)
        Noise rates.
    matrix : ndarray of shape (K, K)
        ``P(observed l | true k)``.
    """

    codes: np.ndarray
    by_label: np.ndarray
    prior: np.ndarray
    contrast: float
    rates: np.ndarray
    matrix: np.ndarray

    @property
    def are_clean(self) -> bool:
        """Whether every label is that of its true class."""
        return not self.rates.any()

    @property
    def unmixing(self) -> np.ndarray | None:
        """What turns shares of observed labels into those of true ones, None without noise."""
        return None if self.are_clean else np.linalg.inv(self.matrix.T)

    @property
    def posterior(self) -> np.ndarray:
        """Probability of each true class of each row, given its label, (m, K)."""
        return self.by_label[self.codes]


def read_labels(codes: np.ndarray, weights: np.ndarray, noise_rates: np.ndarray) -> Labels:
    """Return what labels and known noise rates, one or one per class, say of true classes."""
    n_classes = int(codes.max()) + 1
    rates, contrast = class_rates(noise_rates, n_classes)
    observed = np.bincount(codes, weights, n_classes) / weights.sum()
    if not rates.any():
        prior, same = np.maximum(observed, _LEAST_PRIOR), np.eye(n_classes)
        return Labels(codes, same, prior / prior.sum(), contrast, rates, same)
    matrix = np.tile((rates / (n_classes - 1))[:, None], (1, n_classes))
    np.fill_diagonal(matrix, 1.0 - rates)
    # Sampling may leave a class rarer than its noise alone explains: it keeps a small share.
    prior = np.maximum(np.linalg.solve(matrix.T, observed), _LEAST_PRIOR)
    prior = prior / prior.sum()
    joint = prior[:, None] * matrix
    by_label = (joint / np.maximum(joint.sum(0), 1e-300)).T
    return Labels(codes, by_label, prior, contrast, rates, matrix)


def class_contrast(rates: np.ndarray) -> float:
    """Return what labels wrong at the rates of the classes leave of a difference between them."""
    return 1.0 - float(rates.mean()) * len(rates) / (len(rates) - 1.0)


def class_rates(noise_rates: np.ndarray, n_classes: int) -> tuple[np.ndarray, float]:
    """Return the noise rate of each class, and the contrast that they leave."""
    rates = np.asarray(noise_rates, dtype=float)
    if rates.ndim > 1 or rates.size not in (1, n_classes) or not ((rates >= 0) & (rates < 1)).all():
        raise ValueError(
            f"noise_rates={noise_rates!r} must be one rate in [0, 1), or one for each of the "
            f"{n_classes} classes."
        )
    rates = np.broadcast_to(rates.ravel(), (n_classes,)).copy()
    contrast = class_contrast(rates)
    if contrast <= _SMALLEST_CONTRAST:
        raise ValueError(
            f"noise_rates={noise_rates!r} leave nothing of the labels: their sum must stay below "
            f"{(1 - _SMALLEST_CONTRAST) * (n_classes - 1):.3g}."
        )
    return rates, contrast


class Prediction(NamedTuple):
    """An accuracy, or R^2, on fresh rows as the training rows predict it.

    Attributes
    ----------
    score : float
        Accuracy on clean labels, or R^2.
    interval : ndarray of shape (2,)
        Its 95 % interval.
    model : float
        The score in theory: every row with the mean leverage and, of two classes, Gaussian scores.
    p_value : float
        Of the test that theory and held-out scores agree; nan where there is no theory.
    """

    score: float
    interval: np.ndarray
    model: float = np.nan
    p_value: float = np.nan


def with_theory(counted: Prediction, left: HeldOut, labels: Labels, rows: Rows) -> Prediction:
    """Compare a counted accuracy with theory, and replace it where that is more precise.

    It is on labels that are right, unless the data contradict it. Under noise it is not: moments
    of the scores of a class are differences of larger ones.
    """
    if left.even is None:
        return counted
    shares = rows.weights / rows.weights.sum()
    accuracy, error = _counted_accuracy(predicted_codes(left.deciding), labels, rows.weights)
    # The error is for as many observations as there are rows: those that repeat are more.
    error *= np.sqrt(1.0 / (shares @ shares) / rows.size)
    score, model, p_value = _with_theory(left.deciding, left.even, labels, rows, accuracy, error)
    if not labels.are_clean or p_value < MISFIT_LEVEL or left.scores.ndim > 1:
        return counted._replace(model=model, p_value=p_value)
    return Prediction(score, held_out_interval(score, rows.size), model, p_value)


def _counted_accuracy(
    predicted: np.ndarray, labels: Labels, weights: np.ndarray
) -> tuple[float, float]:
    """Return the accuracy of predictions on true classes, and its error for independent rows."""
    if not labels.are_clean:
        found = unmixed_accuracy(predicted, labels.posterior, labels.prior, weights)
        return found.accuracy, found.standard_error
    shares, right = weights / weights.sum(), predicted == labels.codes
    accuracy = float(shares @ right)
    return accuracy, float(np.linalg.norm(shares * (right - accuracy)))


def is_artefact(observed: float, codes: np.ndarray, weights: np.ndarray, size: float) -> bool:
    """Return whether fewer held-out rows are right than the worst constant guess would have right.

    Without its row a class is rarer: scores that hang on little else are then always wrong.
    """
    rarest = (np.bincount(codes, weights) / weights.sum()).min()
    return bool(wilson_interval(observed, size, _ARTEFACT_DEVIATIONS)[1] < rarest)


def _with_theory(
    scores: np.ndarray,
    even: np.ndarray,
    labels: Labels,
    rows: Rows,
    counted: float,
    error: float,
) -> tuple[float, float, float]:
    """Return the accuracy predicted, that of theory, and the p-value of their agreement."""
    if scores.ndim == 1:
        model = gaussian_accuracy(even, labels, rows.weights)
        score = gaussian_accuracy(scores, labels, rows.weights)
        normality = _normality_p_value(scores, labels, rows)
    else:
        model = _counted_accuracy(predicted_codes(even), labels, rows.weights)[0]
        score, normality = counted, 1.0
    gap = 2.0 * ndtr(-abs(model - counted) / np.hypot(error, 0.5 / rows.size))
    p_value = float(min(1.0, 2.0 * min(gap, normality)))
    return score, model, p_value


def class_moments(
    scores: np.ndarray, labels: Labels, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and variance of the scores of each true class."""
    if labels.are_clean:
        codes, n_classes = labels.codes, len(labels.prior)
        total = np.bincount(codes, weights, n_classes)
        means = np.bincount(codes, weights * scores, n_classes) / total
        squares = np.bincount(codes, weights * (scores - means[codes]) ** 2, n_classes)
        return means, squares / total
    A, w = labels.posterior, weights / weights.sum()
    gram = A.T @ (w[:, None] * A)
    moments = np.linalg.solve(gram, A.T @ (w[:, None] * np.stack([scores, scores**2], axis=1)))
    return moments[:, 0], np.maximum(moments[:, 1] - moments[:, 0] ** 2, 0.0)


def gaussian_accuracy(scores: np.ndarray, labels: Labels, weights: np.ndarray) -> float:
    """Return the accuracy of the sign of scores that are Gaussian within two classes."""
    means, variances = class_moments(scores, labels, weights)
    signs = np.array([-1.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = signs * means / np.sqrt(variances)
    return float(labels.prior @ ndtr(np.where(np.isnan(z), 0.0, z)))


def _normality_p_value(scores: np.ndarray, labels: Labels, rows: Rows) -> float:
    """Return the p-value of normal scores within the observed classes of clean labels."""
    if labels.contrast < 1:
        return 1.0
    values = []
    for k in range(2):
        own = labels.codes == k
        weights = rows.weights[own]
        if own.sum() >= _NORMALITY_ROWS:
            size = weights.sum() ** 2 / (weights**2 @ rows.part[own])
            values.append(normality_test(scores[own], weights, size=size))
    return min(1.0, len(values) * min(values)) if values else 1.0


def error_theory(left: HeldOut, rows: Rows) -> tuple[float, float]:
    """Return R^2 in theory, and the p-value of its agreement with held-out rows."""
    if left.even is None:
        return np.nan, np.nan
    y, w = rows.y, rows.weights / rows.weights.sum()
    squares, even = (y - left.scores) ** 2, (y - left.even) ** 2
    spread = (y - w @ y) ** 2 * rows.size / max(rows.size - 1.0, 1.0)
    gap = even - squares
    shift = abs(float(w @ gap))
    deviation = np.sqrt(w**2 * rows.part @ (gap - w @ gap) ** 2)
    p_value = 1.0 if shift <= 1e-9 * (w @ squares) else 2 * ndtr(-shift / max(deviation, 1e-300))
    return 1.0 - float(w @ even) / max(float(w @ spread), 1e-300), float(p_value)


def stretch_accuracy(score: Any, ratio: Any, n_classes: int) -> np.ndarray:
    """Return an accuracy whose distance from chance, as a normal deviate, is multiplied."""
    ratio = np.asarray(ratio, dtype=float)
    if n_classes == 2:
        return ndtr(ratio * ndtri(np.clip(score, 1e-12, 1 - 1e-12)))
    # The accuracy among K equally distant classes, tabulated against their distance.
    distances = np.linspace(-3.0, 12.0, 1501)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    table = ndtr(nodes + distances[:, None]) ** (n_classes - 1) @ weights / weights.sum()
    distance = np.interp(score, table, distances)
    return np.interp(ratio * distance, distances, table)
