"""One accuracy, with its interval, from estimates that err in different ways."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._intervals import Z95

_MODEL_ERROR = 0.02
"""Error of the Gaussian law and of the link where both agree: what real data show of them."""


class AccuracyEstimate(NamedTuple):
    """Accuracy on fresh clean data.

    Attributes
    ----------
    accuracy : float
        The estimate, in [0, 1].
    interval : ndarray of shape (2,)
        95 % interval, within [0, 1].
    """

    accuracy: float
    interval: np.ndarray


def combine_accuracies(
    gaussian, calibrated, probabilities, noise_level, size, *, counted=None, misfit=False
):
    r"""Combine the accuracies that two descriptions of the scores claim."""
    claims = np.stack([gaussian, calibrated])
    accuracy = 0.5 * float((claims @ probabilities).sum())
    variance = 0.5 * float(((claims - accuracy) ** 2 @ probabilities).sum())
    if counted is not None and np.isfinite(counted.accuracy):
        model = variance + _MODEL_ERROR**2
        trust = model / (model + counted.standard_error**2)
        accuracy += trust * (counted.accuracy - accuracy)
        variance = (1.0 - trust) * variance + (trust * counted.standard_error) ** 2
    variance += misfit * _MODEL_ERROR**2
    accuracy = min(max(accuracy, 0.0), 1.0)
    contrast = max(1.0 - noise_level, 0.05)
    spread = max(accuracy * (1.0 - accuracy), 1.0 / size) / (size * contrast**2)
    half = Z95 * np.sqrt(2.0 * variance + spread)
    return AccuracyEstimate(float(accuracy), np.clip([accuracy - half, accuracy + half], 0.0, 1.0))
