"""What more rows, other noise or cleaned labels would give."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from ...theory.noisy_labels import gaussian_mixture_ridge, relabelling_path
from ._options import noise_matrix
from ._prediction import theory_rates

_LARGEST = 1e3


def accuracy_curve(estimator, n_samples, noise_rates, cleaned_fraction):
    """Predict the accuracy of a fitted classifier under other conditions."""
    n_classes = len(estimator.classes_)
    sizes = np.asarray(
        estimator.n_effective_samples_ if n_samples is None else n_samples, dtype=float
    )
    cleaned = np.asarray(0.0 if cleaned_fraction is None else cleaned_fraction, dtype=float)
    matrices = _matrices(estimator, noise_rates, n_classes)
    if not (sizes > 0).all():
        raise ValueError(f"n_samples={n_samples!r} must be positive.")
    if not ((cleaned >= 0) & (cleaned <= 1)).all():
        raise ValueError(f"cleaned_fraction={cleaned_fraction!r} must be in [0, 1].")
    if np.isnan(estimator.theoretical_accuracy_):
        raise ValueError(
            f"The fit has {estimator.n_effective_samples_:.3g} effective rows, too few to predict "
            "an accuracy: fit more rows before planning."
        )
    predict = _binary_predictor if n_classes == 2 else _class_predictor
    accuracy = predict(estimator)
    shape = np.broadcast_shapes(sizes.shape, cleaned.shape, matrices.shape[:-2])
    sizes, cleaned = np.broadcast_to(sizes, shape), np.broadcast_to(cleaned, shape)
    matrices = np.broadcast_to(matrices, shape + matrices.shape[-2:])
    values = np.array([accuracy(sizes[i], matrices[i], cleaned[i]) for i in np.ndindex(shape)])
    return values.reshape(shape) if shape else float(values[0])


def _matrices(estimator, noise_rates, n_classes):
    """Return noise matrices of shape (..., K, K)."""
    if noise_rates is None:
        return estimator.noise_matrix_
    rates = np.asarray(noise_rates, dtype=float)
    if rates.ndim == 0:
        return noise_matrix(rates, n_classes)
    if rates.shape[-1] != n_classes:
        raise ValueError(
            f"noise_rates has shape {rates.shape}: give one rate, or {n_classes} rates along the "
            "last axis."
        )
    flat = [noise_matrix(row, n_classes) for row in rates.reshape(-1, n_classes)]
    return np.reshape(flat, (*rates.shape[:-1], n_classes, n_classes))


def _calibrated(accuracy, target):
    """Return the signal at which an increasing accuracy reaches its target, within bounds."""
    if accuracy(0.0) >= target:
        return 0.0
    if accuracy(_LARGEST) <= target:
        return _LARGEST
    return brentq(lambda signal: accuracy(signal) - target, 0.0, _LARGEST, xtol=1e-6)


def _binary_predictor(estimator):
    """Return the accuracy of two classes as a function of size, noise and cleaning."""
    rounds = estimator.n_iter_
    prior, dimension = estimator.class_prior_[1], estimator.n_features_in_

    def at(signal, size, matrix, cleaned=0.0):
        path = relabelling_path(
            dimension / size,
            np.inf,
            signal,
            prior,
            theory_rates(matrix),
            n_relabel=rounds,
            cleaned_fraction=cleaned,
        )
        return float(path.accuracy[-1])

    size, matrix = estimator.n_effective_samples_, estimator.noise_matrix_
    signal = _calibrated(lambda s: at(s, size, matrix), estimator.theoretical_accuracy_)
    return lambda size, matrix, cleaned: at(signal, size, matrix, cleaned)


def _class_predictor(estimator):
    """Return the accuracy of K classes, their means on a simplex."""
    n_classes = len(estimator.classes_)
    dimension = max(estimator.n_features_in_, n_classes)
    simplex = np.zeros((n_classes, dimension))
    simplex[:, :n_classes] = np.eye(n_classes) - 1.0 / n_classes

    def at(signal, size, matrix, cleaned=0.0):
        mixed = (1.0 - cleaned) * matrix + cleaned * np.eye(n_classes)
        prior = estimator.class_prior_
        return gaussian_mixture_ridge(signal * simplex, 1.0, prior, mixed, 10.0, size).accuracy

    size, matrix = estimator.n_effective_samples_, estimator.noise_matrix_
    signal = _calibrated(lambda s: at(s, size, matrix), estimator.theoretical_accuracy_)
    return lambda size, matrix, cleaned: at(signal, size, matrix, cleaned)
