"""What an observed label says of the true class: likelihoods, priors, posteriors."""

from __future__ import annotations

import numpy as np

_TINY = 1e-12
"""Smallest probability by which is divided."""


def label_likelihood(observed, noise_matrix):
    """Return the likelihood of each observed label under each true class."""
    return np.asarray(noise_matrix, dtype=float).T[observed]


def sample_likelihood(observed, sample_noise, n_classes):
    """Return the likelihood of each observed label when every row has its own noise."""
    rates = np.asarray(sample_noise, dtype=float)
    rates = np.broadcast_to(rates[:, None] if rates.ndim == 1 else rates, (len(rates), n_classes))
    likelihood = rates / (n_classes - 1)
    rows = np.arange(len(observed))
    likelihood[rows, observed] = 1.0 - rates[rows, observed]
    return likelihood


def estimate_prior(likelihood, sample_weight=None, *, n_iter=200):
    r"""Estimate the frequencies of the true classes from the labels alone."""
    rows, counts = _distinct_rows(likelihood, sample_weight)
    prior = np.full(rows.shape[1], 1.0 / rows.shape[1])
    for _ in range(n_iter):
        joint = rows * prior
        update = counts @ (joint / np.maximum(joint.sum(1, keepdims=True), _TINY))
        if np.abs(update - prior).max() < 1e-12:
            break
        prior = update
    return prior / prior.sum()


def class_posterior(likelihood, prior):
    """Return the probabilities of the true classes given the label alone."""
    joint = likelihood * prior
    total = joint.sum(1, keepdims=True)
    return np.where(total > 0, joint / np.where(total > 0, total, 1.0), prior)


def _distinct_rows(likelihood, sample_weight):
    """Return the distinct rows, each scaled to maximum 1, and their shares of the weight."""
    scaled = likelihood / np.maximum(likelihood.max(1, keepdims=True), _TINY)
    weights = np.ones(len(scaled)) if sample_weight is None else sample_weight
    rows, codes = np.unique(scaled, axis=0, return_inverse=True)
    counts = np.bincount(codes.ravel(), weights, len(rows))
    return rows, counts / counts.sum()


def symmetric_noise(n_classes, rate):
    """Return the noise matrix of labels that are wrong at a rate, uniformly."""
    if not n_classes >= 2:
        raise ValueError(f"n_classes={n_classes!r}: labels can be wrong for 2 classes or more.")
    rates = np.broadcast_to(np.asarray(rate, dtype=float), (n_classes,))
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"rate={rate!r} must lie in [0, 1]: it is a probability.")
    matrix = np.repeat(rates[:, None] / (n_classes - 1), n_classes, axis=1)
    matrix[np.diag_indices(n_classes)] = 1.0 - rates
    return matrix
