"""One accuracy, with its interval, from estimates that err in different ways."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_MODEL_ERROR = 0.02


class AccuracyEstimate(NamedTuple):
    """Accuracy on fresh clean data.

    Attributes
    ----------
    accuracy : float
        The estimate, in [0, 1].
    interval : tuple of float
        95 % interval, within [0, 1].
    """

    accuracy: float
    interval: tuple[float, float]


def combine_accuracies(
    gaussian, calibrated, probabilities, noise_level, size, *, counted=None, misfit=False
):
    r"""Combine the accuracies that two descriptions of the scores claim.

    Parameters
    ----------
    gaussian, calibrated : ndarray of shape (G,)
        Accuracy by the Gaussian law of the scores, and by the clean posterior fitted to the
        labels, under each of G hypotheses on the noise.
    probabilities : ndarray of shape (G,)
        Probabilities of the hypotheses.
    noise_level : float
        One minus the contrast of the labels: the sum of both noise rates for two classes.
    size : float
        Effective number of rows.
    counted : UnmixedAccuracy, optional
        Accuracy by counting, where the noise does not have to be guessed.
    misfit : bool, default=False
        Whether the Gaussian law failed its test: the interval then allows for an error of the
        model of standard deviation 0.02.

    Returns
    -------
    AccuracyEstimate
        Mean of both claims over the hypotheses and, if given, of the counted accuracy by its
        precision; normal interval.

    Notes
    -----
    The Gaussian law is optimistic where classes are not Gaussian, the calibrated posterior
    pessimistic where few rows are left to say so: their mean is nearer than either. The variance
    of the claim is twice that of the 2 G values (the distance between both descriptions stands for
    the error of the model, not half of it), plus the binomial variance
    ``a (1 - a) / (n (1 - noise)^2)``; a counted accuracy brings the variance of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.model_selection._clean_labels import combine_accuracies
    >>> round(combine_accuracies(*[np.array([x]) for x in (0.96, 0.92, 1.0)], 0.2, 500).accuracy, 3)
    0.94
    """
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
    half = 1.96 * np.sqrt(2.0 * variance + spread)
    low, high = max(accuracy - half, 0.0), min(accuracy + half, 1.0)
    return AccuracyEstimate(float(accuracy), (float(low), float(high)))
