"""What held-out scores and noisy labels show, averaged over all explanations of the labels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_POSSIBLE = 0.05
"""Probability from which an explanation of the labels is not excluded."""


class Stories(NamedTuple):
    """Averages over the hypotheses on the noise of the labels, "all are right" among them.

    Attributes
    ----------
    directions : ndarray of shape (1, 1) or (K, K)
        Linear part of the decision function in the scores: log-odds or log-posteriors.
    offsets : ndarray of shape (1,) or (K,)
        Its constant part.
    noise_matrix : ndarray of shape (K, K)
        ``P(observed l | true k)``.
    noise_rates_std : ndarray of shape (K,)
        Standard deviations of the rates of wrong labels.
    noise_probability : float
        Probability that labels are wrong at all.
    prior : ndarray of shape (K,)
        Frequencies of the true classes.
    label_posterior : ndarray of shape (n, K)
        Probability of each true class given score and observed label.
    accuracy : float
        Accuracy of the decision on right labels.
    interval : ndarray of shape (2,)
        95 % interval of it.
    accuracy_if_clean, accuracy_if_noisy : float
        The same if all labels are right, and if some are wrong; nan where that is excluded.
    predicted : ndarray of int of shape (n,)
        Decision for each row by what the other rows show.
    """

    directions: np.ndarray
    offsets: np.ndarray
    noise_matrix: np.ndarray
    noise_rates_std: np.ndarray
    noise_probability: float
    prior: np.ndarray
    label_posterior: np.ndarray
    accuracy: float
    interval: np.ndarray
    accuracy_if_clean: float
    accuracy_if_noisy: float
    predicted: np.ndarray

    def apply(self, scores):
        """Return the decision function of scores, (n,) or (n, K)."""
        columns = scores.reshape(len(scores), -1)
        return (columns @ self.directions.T + self.offsets).reshape(scores.shape)

    def without_accuracies(self):
        """Return what is left where nothing can be said of accuracies: nan for each of them."""
        return self._replace(
            accuracy=np.nan,
            interval=np.full(2, np.nan),
            accuracy_if_clean=np.nan,
            accuracy_if_noisy=np.nan,
        )

    @property
    def threshold(self):
        """Score at which two classes are equally likely; nan for more."""
        if len(self.offsets) > 1:
            return np.nan
        # Subtracted from 0, so that a fixed threshold is 0 rather than -0.
        return float(0.0 - self.offsets[0] / self.directions[0, 0])

    @property
    def is_ambiguous(self):
        """Whether neither right nor wrong labels have 95 % of the probability."""
        return bool(_POSSIBLE < self.noise_probability < 1.0 - _POSSIBLE)


def both_ends(interval, ends, noise_probability):
    """Widen an interval to contain the accuracies of all explanations that are not excluded."""
    masses = (1.0 - noise_probability, noise_probability)
    open_ends = [end for end, mass in zip(ends, masses, strict=True) if mass > _POSSIBLE]
    return np.array([min(interval[0], *open_ends), max(interval[1], *open_ends)])
