"""Signal of isotropic Gaussian classes in the data, and the accuracy that theory gives it."""

from __future__ import annotations

import numpy as np

from ..estimation import class_posterior
from ..linalg import coefficients, to_numpy
from ..theory.noisy_labels import bayes_accuracy, gaussian_mixture_ridge, lpc, relabelling_path
from ._relabelling import on_device

_SMALLEST_SHARE = 0.01


def gaussian_signal(basis, fit, data, attributes, n_iter, estimator):
    r"""Estimate the signal and the pure theory at it.

    Parameters
    ----------
    basis : RidgeBasis
        Decomposition of the data.
    fit : Round
        Last fit.
    data : LabelData
        Labels.
    attributes : dict
        With `alpha_`, `noise_matrix_` and `class_prior_`.
    n_iter : int
        Rounds of relabelling.
    estimator : NoiseAwareLinearClassifier
        Its method and perturbation are read.

    Returns
    -------
    dict
        `snr_`, `effective_dimension_`, `model_accuracy_` and `bayes_accuracy_`.

    Notes
    -----
    Class means are unmixed by regression on the posterior A of the class given the label,
    ``M = (X - m)^T D A (A^T D A)^-1``; the squared norm of a combination ``M c`` exceeds that of
    the true means by ``tr(C) sum_i w_i^2 (u_i . c)^2`` with u the rows of ``A (A^T D A)^-1``,
    which is subtracted (C the covariance within labels, whose trace is the total one less what
    the means explain).
    """
    prior = attributes["class_prior_"]
    means, trace, excess = _unmixed_means(basis, fit.state, data)
    n_features = len(basis.mean)
    contrasts = _contrasts(prior)
    seen = ((contrasts @ means) ** 2).sum(1)
    noise = trace * np.einsum("ka,ab,kb->k", contrasts, excess, contrasts)
    between = np.maximum(seen - noise, 0.0)
    mass = prior if len(prior) > 2 else np.array([4.0 * prior[0] * prior[1]])
    within = max(trace - float(mass @ between), _SMALLEST_SHARE * trace) / n_features
    signal = mass @ between if len(prior) > 2 else between[0]
    snr = float(np.sqrt(signal / within)) if within > 0 else 0.0
    result = {
        "snr_": snr,
        "effective_dimension_": _effective_dimension(basis, data, float(mass @ between), within),
        "bayes_accuracy_": np.nan,
    }
    penalty = attributes["alpha_"] / within if within > 0 else np.inf
    ratio = n_features / data.size
    if len(prior) > 2:
        shrink = np.sqrt(between.sum() / max(seen.sum(), 1e-300))
        centred = shrink * (contrasts @ means) / np.sqrt(within)
        result["model_accuracy_"] = _class_theory(centred, prior, attributes, penalty, data)
        return result
    rates = tuple(np.minimum(attributes["noise_matrix_"][[0, 1], [1, 0]], 0.999))
    with np.errstate(all="ignore"):
        result["bayes_accuracy_"] = float(bayes_accuracy(ratio, snr, prior[1], rates).accuracy)
        result["model_accuracy_"] = _binary_theory(
            ratio, penalty, snr, prior[1], rates, n_iter, attributes, estimator
        )
    return result


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


def _contrasts(prior):
    """Return half the difference of two class means, or each of K less their centre."""
    if len(prior) == 2:
        return np.array([[-0.5, 0.5]])
    return np.eye(len(prior)) - prior


def _effective_dimension(basis, data, between, within):
    """Return (tr C)^2 / tr C^2 within classes, without the bias of the sample spectrum.

    The means add `between` to one eigenvalue, about `within`, of the total covariance.
    """
    n_features = len(basis.mean)
    spectrum = to_numpy(basis.scale).astype(float) / basis.total_weight
    if not within > 0:
        return float(n_features)
    relative = spectrum / within
    means = between / within
    second = (relative**2).sum() - relative.sum() ** 2 / data.size - means * (means + 2.0)
    first = relative.sum() - means
    return float(np.clip(first**2 / max(second, 1e-12), 1.0, n_features))


def _binary_theory(ratio, penalty, snr, prior, rates, n_iter, attributes, estimator):
    """Return the accuracy of the method for two isotropic Gaussian classes."""
    if estimator.method != "lpc":
        path = relabelling_path(ratio, penalty, snr, prior, rates, n_relabel=n_iter)
        return float(path.accuracy[-1])
    pair = attributes.get("perturbation_", np.zeros(2))
    shift = 0.0 if np.isnan(pair).any() else pair[1] - pair[0]
    return float(lpc(ratio, penalty, snr, prior=prior, noise_rates=rates, shift=shift).accuracy)


def _class_theory(means, prior, attributes, penalty, data):
    """Return the accuracy of a ridge fit of K isotropic Gaussian classes."""
    result = gaussian_mixture_ridge(
        means, 1.0, prior, attributes["noise_matrix_"], penalty, data.size
    )
    return float(result.accuracy)
