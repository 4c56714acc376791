"""Accuracy on clean labels from predictions and noisy labels, with no law assumed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SMALLEST_CONTRAST = 0.1
"""Contrast below which nothing is counted: the standard error would exceed 5 / sqrt(n)."""


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


def unmixed_accuracy(predicted, label_posterior, prior, sample_weight, part=1.0, group=None):
    """Estimate the accuracy on clean labels of held-out predictions.

    Rows of one group are wrong together, as far as the standard error goes.
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
    error = float(np.sqrt(_variance(weights * (credit - estimate), part, group)))
    return UnmixedAccuracy(float(np.clip(estimate, 0.0, 1.0)), error, contrast)


def _variance(errors, part, group):
    """Return the variance of a sum of errors, of which those of a group are one."""
    if group is None:
        return (part * errors**2).sum()
    return (np.bincount(group, errors) ** 2).sum()
