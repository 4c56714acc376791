"""Accuracy and error on fresh rows from leave-one-out scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, ndtri

from ._clean_labels import normality_test, unmixed_accuracy

_LEVEL = 0.01
_Z = 1.959963984540054
_FEWEST = 20


class Labels(NamedTuple):
    """Observed labels and what is known of the true ones.

    Attributes
    ----------
    codes : ndarray of shape (n,)
        Observed labels.
    posterior : ndarray of shape (n, K)
        Probability of each true class given the observed label.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.
    weights : ndarray of shape (n,)
        Weights of the rows.
    contrast : float
        ``1 - sum of the noise rates`` of two classes: what noise leaves of a difference.
    rates : ndarray of shape (K,)
        Noise rates.
    """

    codes: np.ndarray
    posterior: np.ndarray
    prior: np.ndarray
    weights: np.ndarray
    contrast: float
    rates: np.ndarray

    @property
    def size(self):
        """Effective number of rows."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


class Told(NamedTuple):
    """A score on fresh rows as the training rows tell it.

    Attributes
    ----------
    score : float
        Accuracy, or R^2.
    interval : tuple of float
        95 % interval.
    counted : float
        The same counted on leave-one-out scores.
    model : float
        The same in theory: every row with the mean leverage and, of two classes, Gaussian scores.
    p_value : float
        Of the test that theory and leave-one-out agree; nan where there is no theory.
    """

    score: float
    interval: tuple[float, float]
    counted: float
    model: float
    p_value: float


def accuracy_told(left_out, labels):
    """Tell the accuracy on clean labels."""
    counted = unmixed_accuracy(
        _predicted(left_out.scores), labels.posterior, labels.prior, labels.weights
    )
    if left_out.even is None:
        told = counted.accuracy
        return Told(told, _interval(told, labels), told, np.nan, np.nan)
    binary = left_out.scores.ndim == 1
    if binary:
        model = gaussian_accuracy(left_out.even, labels)
        score = gaussian_accuracy(left_out.scores, labels)
        law = _law_p_value(left_out.scores, labels)
    else:
        model = unmixed_accuracy(
            _predicted(left_out.even), labels.posterior, labels.prior, labels.weights
        ).accuracy
        score, law = counted.accuracy, 1.0
    error = np.hypot(counted.standard_error, 0.5 / labels.size)
    gap = 2.0 * ndtr(-abs(model - counted.accuracy) / error)
    p_value = float(min(1.0, 2.0 * min(gap, law)))
    score = score if p_value >= _LEVEL else counted.accuracy
    return Told(score, _interval(score, labels), counted.accuracy, model, p_value)


def _predicted(scores):
    """Return the codes that scores predict."""
    return (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)


def class_moments(scores, labels):
    """Return mean and variance of the scores of each true class."""
    A, w = labels.posterior, labels.weights / labels.weights.sum()
    gram = A.T @ (w[:, None] * A)
    moments = np.linalg.solve(gram, A.T @ (w[:, None] * np.stack([scores, scores**2], axis=1)))
    return moments[:, 0], np.maximum(moments[:, 1] - moments[:, 0] ** 2, 0.0)


def gaussian_accuracy(scores, labels):
    """Return the accuracy of the sign of scores that are Gaussian within two classes."""
    means, variances = class_moments(scores, labels)
    signs = np.array([-1.0, 1.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        z = signs * means / np.sqrt(variances)
    return float(labels.prior @ ndtr(np.where(np.isnan(z), 0.0, z)))


def _law_p_value(scores, labels):
    """Return the p-value of normal scores within the observed classes of clean labels."""
    if labels.contrast < 1:
        return 1.0
    values = []
    for k in range(2):
        rows = labels.codes == k
        if rows.sum() >= _FEWEST:
            values.append(normality_test(_standard(scores[rows]), labels.weights[rows]))
    return min(1.0, len(values) * min(values)) if values else 1.0


def _standard(values):
    """Return values of mean 0 and variance 1."""
    return (values - values.mean()) / (values.std() or 1.0)


def _interval(score, labels):
    """Return Wilson's interval of a share counted on the effective number of rows."""
    n = labels.size * min(labels.contrast, 1.0) ** 2
    centre = (score + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z * np.sqrt(score * (1 - score) / n + _Z**2 / (4 * n**2)) / (1 + _Z**2 / n)
    return max(0.0, centre - half), min(1.0, centre + half)


class ToldError(NamedTuple):
    """Mean squared error and R^2 on fresh rows.

    Attributes
    ----------
    error : float
        Mean squared error of leave-one-out predictions.
    error_interval : tuple of float
        95 % interval.
    r2 : Told
        R^2, counted and in theory.
    model_error : float
        Mean squared error in theory.
    """

    error: float
    error_interval: tuple[float, float]
    r2: Told
    model_error: float


def error_told(left_out, y, weights):
    """Tell the mean squared error and R^2 on fresh rows."""
    w = weights / weights.sum()
    n = 1.0 / (w**2).sum()
    squares = (y - left_out.scores) ** 2
    spread = (y - w @ y) ** 2 * n / max(n - 1.0, 1.0)
    error, variance = float(w @ squares), max(float(w @ spread), 1e-300)
    half = _Z * np.sqrt((w**2) @ (squares - error) ** 2)
    r2 = 1.0 - error / variance
    influence = (squares - (1 - r2) * spread) / variance
    half_r2 = _Z * np.sqrt((w**2) @ influence**2)
    model, p_value = np.nan, np.nan
    if left_out.even is not None:
        even = (y - left_out.even) ** 2
        model = float(w @ even)
        gap = even - squares
        deviation = np.sqrt((w**2) @ (gap - gap.mean()) ** 2)
        shift = abs(float(w @ gap))
        p_value = 1.0 if shift <= 1e-9 * error else float(2 * ndtr(-shift / max(deviation, 1e-300)))
    told = Told(r2, (r2 - half_r2, min(1.0, r2 + half_r2)), r2, 1.0 - model / variance, p_value)
    return ToldError(error, (max(0.0, error - half), error + half), told, model)


def stretched(score, ratio, chance):
    """Return an accuracy whose distance from chance, as a normal deviate, is multiplied."""
    ratio = np.asarray(ratio, dtype=float)
    n_classes = round(1.0 / chance)
    if n_classes == 2:
        return ndtr(ratio * ndtri(np.clip(score, 1e-12, 1 - 1e-12)))
    distances = np.linspace(-3.0, 12.0, 1501)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    table = ndtr(nodes + distances[:, None]) ** (n_classes - 1) @ weights / weights.sum()
    distance = np.interp(score, table, distances)
    return np.interp(ratio * distance, distances, table)
