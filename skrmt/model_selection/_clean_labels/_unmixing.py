"""Accuracy on clean labels from predictions and noisy labels, with no law assumed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SMALLEST_CONTRAST = 0.1


class UnmixedAccuracy(NamedTuple):
    """Accuracy on clean labels.

    Attributes
    ----------
    accuracy : float
        The estimate, clipped to [0, 1]; nan where the labels say too little of the classes.
    standard_error : float
        Its standard error at the given size.
    contrast : float
        Smallest canonical correlation of label and true class: 1 for clean labels, 0 for useless
        ones; ``|corr(y, observed)|`` for two classes.
    """

    accuracy: float
    standard_error: float
    contrast: float


def unmixed_accuracy(predicted, label_posterior, prior, sample_weight):
    r"""Estimate the accuracy on clean labels of leave-one-out predictions.

    Parameters
    ----------
    predicted : ndarray of shape (n,)
        Codes of the classes that the leave-one-out scores predict.
    label_posterior : ndarray of shape (n, K)
        ``P(true k | observed_i)``, from the label alone.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.
    sample_weight : ndarray of shape (n,)
        Weights of the rows.

    Returns
    -------
    UnmixedAccuracy
        ``sum_k pi_k P(predicted k | true k)``, its standard error and the contrast.

    Notes
    -----
    A leave-one-out prediction is independent of the observed label of its row given the true
    class, hence ``P(predicted l | observed_i) = sum_k A_ik P(predicted l | k)`` with A the label
    posterior: a least-squares regression on A unmixes the right-hand side.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import unmixed_accuracy
    >>> clean = np.eye(2)[[0, 0, 1, 1]]
    >>> float(unmixed_accuracy(np.array([0, 0, 1, 0]), clean, np.full(2, 0.5), np.ones(4))[0])
    0.75
    """
    n_classes = len(prior)
    weights = sample_weight / sample_weight.sum()
    gram = label_posterior.T @ (weights[:, None] * label_posterior)
    spread = np.linalg.eigvalsh(gram / np.sqrt(np.outer(prior, prior)))
    contrast = float(np.sqrt(np.clip(spread[0], 0.0, None)))
    if contrast < _SMALLEST_CONTRAST:
        return UnmixedAccuracy(np.nan, np.nan, contrast)
    hits = np.eye(n_classes)[predicted]
    unmixing = label_posterior @ np.linalg.solve(gram, np.diag(prior))
    credit = unmixing[np.arange(len(predicted)), predicted]
    estimate = float(weights @ (unmixing * hits).sum(1))
    error = float(np.sqrt((weights**2) @ (credit - estimate) ** 2))
    return UnmixedAccuracy(float(np.clip(estimate, 0.0, 1.0)), error, contrast)
