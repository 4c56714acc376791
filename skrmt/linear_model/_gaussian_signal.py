"""Signal of isotropic Gaussian classes in the data, and the accuracy that theory gives it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..estimation import class_posterior
from ..linalg import coefficients, to_numpy
from ..theory.noisy_labels import (
    bayes_accuracy,
    best_threshold,
    binary_accuracy,
    gaussian_mixture_ridge,
    lpc,
    relabelling_path,
)
from ._relabelling import on_device

_SMALLEST_SHARE = 0.01


class Signal(NamedTuple):
    """Isotropic Gaussian classes like those of the data.

    Attributes
    ----------
    norm : float
        Distance of a class mean from the centre, in standard deviations within classes.
    means : ndarray of shape (K, p) or (1, p)
        Means from their centre in the same unit; half their difference for two classes.
    within : float
        Mean variance of a feature within classes.
    """

    norm: float
    means: np.ndarray
    within: float


def gaussian_signal(basis, state, data):
    r"""Estimate the signal of isotropic Gaussian classes.

    Parameters
    ----------
    basis : RidgeBasis
        Decomposition of the data.
    state : BinaryState or ClassState
        Noise of the labels.
    data : LabelData
        Labels.

    Returns
    -------
    Signal
        The classes.

    Notes
    -----
    Class means are unmixed by regression on the posterior A of the class given the label,
    ``M = (X - m)^T D A (A^T D A)^-1``; the squared norm of a combination ``M c`` exceeds that of
    the true means by ``tr(C) sum_i w_i^2 (u_i . c)^2`` with u the rows of ``A (A^T D A)^-1``,
    which is subtracted (C the covariance within labels, whose trace is about the total one).
    """
    means, trace, excess = _unmixed_means(basis, state, data)
    prior = state.prior
    binary = len(prior) == 2
    contrasts = np.array([[-0.5, 0.5]]) if binary else np.eye(len(prior)) - prior
    means = contrasts @ means
    seen = (means**2).sum(1)
    noise = trace * np.einsum("ka,ab,kb->k", contrasts, excess, contrasts)
    true = np.maximum(seen - noise, 0.0)
    explained = 4.0 * prior[0] * prior[1] * true[0] if binary else prior @ true
    within = max(trace - explained, _SMALLEST_SHARE * trace) / len(basis.mean)
    if not within > 0:
        return Signal(0.0, means, 0.0)
    scale = np.sqrt(true.sum() / max(seen.sum(), 1e-300) / within)
    return Signal(
        float(np.sqrt((true[0] if binary else prior @ true) / within)), scale * means, within
    )


def model_attributes(signal, data, attributes, method):
    """Return the accuracies that pure theory gives to such classes.

    Parameters
    ----------
    signal : Signal
        The classes.
    data : LabelData
        Labels.
    attributes : dict
        With `alpha_`, `noise_matrix_`, `class_prior_`, `perturbation_` and `n_iter_`.
    method : str
        Method of the estimator.

    Returns
    -------
    dict
        `snr_`, `model_accuracy_` and `bayes_accuracy_`.
    """
    prior, noise = attributes["class_prior_"], attributes["noise_matrix_"]
    penalty = attributes["alpha_"] / signal.within if signal.within > 0 else np.inf
    if data.n_classes > 2:
        result = gaussian_mixture_ridge(signal.means, 1.0, prior, noise, penalty, data.size)
        accuracy, bayes = float(result.accuracy), np.nan
    else:
        ratio, rates = signal.means.shape[1] / data.size, _rates(noise)
        bayes = _bayes_accuracy(ratio, signal.norm, prior[1], rates)
        accuracy = _binary_accuracy(
            ratio, penalty, signal.norm, prior[1], rates, attributes, method
        )
    return {"snr_": signal.norm, "model_accuracy_": accuracy, "bayes_accuracy_": bayes}


def _unmixed_means(basis, state, data):
    """Return class means (K, p) from the centre, the total variance, and (K, K) noise of means."""
    label = class_posterior(state.likelihood, state.prior)
    weights = data.weights / data.weights.sum()
    gram = label.T @ (weights[:, None] * label) + 1e-9 * np.eye(data.n_classes)
    unmixing = np.linalg.solve(gram, label.T).T
    means = to_numpy(coefficients(basis, on_device(basis, unmixing), np.inf)[0]).astype(float)
    excess = unmixing.T @ ((weights**2)[:, None] * unmixing)
    trace = float(to_numpy(basis.scale).sum()) / basis.total_weight
    return means, trace, excess


def _rates(noise):
    """Return noise rates that theory accepts."""
    return tuple(np.minimum(noise[[0, 1], [1, 0]], 0.999))


def _bayes_accuracy(ratio, norm, prior, rates):
    """Return the Bayes accuracy, the threshold following the prior."""
    overlap = bayes_accuracy(ratio, norm, prior, rates).overlap
    if not overlap > 0:
        return float(max(prior, 1.0 - prior))
    means, variances = (-overlap, overlap), (overlap, overlap)
    threshold = best_threshold(means, variances, prior)
    return float(binary_accuracy(means, variances, prior, threshold))


def _binary_accuracy(ratio, penalty, norm, prior, rates, attributes, method):
    """Return the accuracy of the method for two isotropic Gaussian classes."""
    if method != "lpc":
        rounds = attributes["n_iter_"]
        path = relabelling_path(ratio, penalty, norm, prior, rates, n_relabel=rounds)
        return float(path.accuracy[-1])
    negative, positive = np.nan_to_num(attributes["perturbation_"])
    shift = positive - negative
    return float(lpc(ratio, penalty, norm, prior=prior, noise_rates=rates, shift=shift).accuracy)
