"""What an observed label says of the true class: likelihoods, priors, posteriors."""

from __future__ import annotations

import numpy as np

_TINY = 1e-12


def label_likelihood(observed, noise_matrix):
    """Return the likelihood of each observed label under each true class.

    Parameters
    ----------
    observed : ndarray of shape (n,)
        Codes 0, ..., K - 1 of the observed labels.
    noise_matrix : ndarray of shape (K, K)
        ``noise_matrix[k, l] = P(observed l | true k)``.

    Returns
    -------
    ndarray of shape (n, K)
        ``P(observed_i | true k)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import label_likelihood
    >>> label_likelihood(np.array([1, 0]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    array([[0.1, 0.8],
           [0.9, 0.2]])
    """
    return np.asarray(noise_matrix, dtype=float).T[observed]


def sample_likelihood(observed, sample_noise, n_classes):
    """Return the likelihood of each observed label when every row has its own noise.

    Parameters
    ----------
    observed : ndarray of shape (n,)
        Codes of the observed labels.
    sample_noise : ndarray of shape (n,) or (n, K)
        Probability that the label is wrong, whatever the true class or for each true class; a
        wrong label is any of the other classes with equal probability.
    n_classes : int
        K.

    Returns
    -------
    ndarray of shape (n, K)
        ``P(observed_i | true k)``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import sample_likelihood
    >>> sample_likelihood(np.array([1, 0]), np.array([0.25, 0.0]), 2)
    array([[0.25, 0.75],
           [1.  , 0.  ]])
    """
    rates = np.asarray(sample_noise, dtype=float)
    rates = np.broadcast_to(rates[:, None] if rates.ndim == 1 else rates, (len(rates), n_classes))
    likelihood = rates / (n_classes - 1)
    rows = np.arange(len(observed))
    likelihood[rows, observed] = 1.0 - rates[rows, observed]
    return likelihood


def estimate_prior(likelihood, sample_weight=None, *, n_iter=200):
    r"""Estimate the frequencies of the true classes from the labels alone.

    Parameters
    ----------
    likelihood : ndarray of shape (n, K)
        ``P(observed_i | true k)``, up to a factor per row.
    sample_weight : ndarray of shape (n,), optional
        Weights of the rows.
    n_iter : int, default=200
        Largest number of iterations of expectation-maximisation.

    Returns
    -------
    ndarray of shape (K,)
        The maximum-likelihood frequencies.

    Notes
    -----
    The log-likelihood ``sum_i w_i log sum_k pi_k P(observed_i | k)`` is concave in pi. For class
    conditional noise its maximum solves ``pi T = observed frequencies`` where that is possible.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import estimate_prior
    >>> likelihood = np.array([[0.9, 0.2], [0.9, 0.2], [0.9, 0.2], [0.1, 0.8]])
    >>> np.round(estimate_prior(likelihood), 3)
    array([0.786, 0.214])
    """
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
    """Return the probabilities of the true classes given the label alone.

    Parameters
    ----------
    likelihood : ndarray of shape (n, K)
        ``P(observed_i | true k)``.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.

    Returns
    -------
    ndarray of shape (n, K)
        ``P(true k | observed_i)``; the prior where the label is impossible under every class.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import class_posterior
    >>> class_posterior(np.array([[0.5, 0.25]]), np.array([0.5, 0.5]))
    array([[0.66666667, 0.33333333]])
    """
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
