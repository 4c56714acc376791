"""The Gaussian model of real and synthetic rows behind planning."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from ...theory.synthetic_mix import proportional_mix, simplex_accuracy

_PENALTIES = np.geomspace(1e-3, 1e4, 15)


class MixModel(NamedTuple):
    """Isotropic classes in an effective number of dimensions, in units of their deviation.

    Attributes
    ----------
    n_classes : int
        K.
    n_real : float
        Effective number of real rows.
    n_features : float
        Effective number of features.
    signal : float
        Norm of a mean, |mu|.
    mean_scale, mean_orthogonal : float
        Means of the generator along and across those of the real rows.
    variance : float
        Its variance within classes.
    noise_rate : float
        Share of wrong synthetic labels before pruning.
    keep_rates : tuple of float
        Probability that pruning leaves a right label, a wrong one.
    offset : float, default=0.0
        Added to the probit of every accuracy: what leave-one-out sees beyond the model.
    """

    n_classes: int
    n_real: float
    n_features: float
    signal: float
    mean_scale: float
    mean_orthogonal: float
    variance: float
    noise_rate: float
    keep_rates: tuple
    offset: float = 0.0

    def accuracy(self, n_synthetic, weight, *, n_real=None, keep_rates=None, penalty=None):
        """Return the accuracy at the best penalty, or at a given one."""
        correct, wrong = self.keep_rates if keep_rates is None else keep_rates
        kept = correct * (1 - self.noise_rate) + wrong * self.noise_rate
        kept = np.asarray(kept, dtype=float)
        error = np.divide(wrong * self.noise_rate, kept, out=np.zeros_like(kept), where=kept > 0)
        contrast = 1.0 - error * self.n_classes / (self.n_classes - 1)
        n_real = self.n_real if n_real is None else n_real
        used = np.broadcast_arrays(n_real, kept * n_synthetic, weight, contrast)
        n_real, n_used, weight, contrast = (np.asarray(a, dtype=float)[..., None] for a in used)
        ones = np.ones_like(n_real)
        total = n_real + n_used
        penalties = _PENALTIES if penalty is None else np.array([penalty]) / total
        result = proportional_mix(
            np.stack(np.broadcast_arrays(n_real, n_used), axis=-1),
            np.stack([ones, weight], axis=-1),
            penalties,
            total,
            np.ones(1),
            np.array([self.n_features]),
            np.array([1.0, self.variance]),
            self._grams(),
            np.stack([ones, contrast], axis=-1),
        )
        ratio = result.mean / np.sqrt(np.maximum(result.variance, 1e-300))
        accuracy = simplex_accuracy(ratio, self.n_classes).max(-1)
        return ndtr(_probit(accuracy) + self.offset) if self.offset else accuracy

    def _grams(self):
        """Return the Gram matrix of the real and the synthetic mean, (1, 2, 2)."""
        real = self.signal * np.array([1.0, 0.0])
        synthetic = np.array([self.mean_scale * self.signal, self.mean_orthogonal])
        pair = np.stack([real, synthetic])
        return (pair @ pair.T)[None]

    def calibrated(self, real_accuracy, mix_accuracy, n_synthetic, weight):
        """Return the model with the offset at which it meets observed accuracies on average."""
        planned = self.accuracy(np.array([0.0, n_synthetic]), np.array([0.0, weight]))
        seen = np.array([real_accuracy, mix_accuracy])
        return self._replace(offset=float((_probit(seen) - _probit(planned)).mean()))

    def equivalent_size(self, accuracy):
        """Return the number of real rows that alone reach an accuracy, at most 1e9."""

        def at(log_size):
            return float(self.accuracy(0.0, 0.0, n_real=np.exp(log_size)))

        return float(np.exp(_solve(at, accuracy, np.log(1e-2), np.log(1e9))))


def _probit(accuracy):
    """Return the normal quantile of accuracies, kept off 0 and 1."""
    return ndtri(np.clip(accuracy, 1e-4, 1.0 - 1e-4))


def _solve(function, target, low, high):
    """Return where an increasing function takes a value, or the nearer end."""
    if function(low) >= target:
        return low
    if function(high) <= target:
        return high
    return brentq(lambda x: function(x) - target, low, high, xtol=1e-4)
