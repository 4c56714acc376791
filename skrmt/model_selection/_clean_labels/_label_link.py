"""The clean posterior as a logistic function of the score: accuracy without a law of the scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from ._score_mixture import standardise

_RIDGE = 1e-2
"""Penalty on slope and offset, of standardised scores: the link stays finite if labels agree."""

_TINY = 1e-9
"""Smallest probability of which a logarithm is taken."""


class LabelLink(NamedTuple):
    """Logistic links, one for each of G hypotheses on the noise.

    Attributes
    ----------
    slope, offset : ndarray of shape (G,)
        ``P(positive | score) = sigma(slope score + offset)``.
    """

    slope: np.ndarray
    offset: np.ndarray

    def accuracy(self, sample, threshold=None):
        """Return the mean over a sample of the probability that a threshold is right, (G,)."""
        clean = expit(sample.scores[:, None] * self.slope + self.offset)
        if threshold is None:
            return sample.weights @ np.maximum(clean, 1.0 - clean)
        above = sample.scores[:, None] > threshold
        return sample.weights @ np.where(above, clean, 1.0 - clean)


def fit_label_link(sample, likelihood, *, n_iter=25):
    r"""Fit ``P(positive | score)`` to noisy labels."""
    z, centre, spread, w = standardise(sample)
    w = w * sample.size
    negative, rise = likelihood[0], likelihood[1] - likelihood[0]
    a, b = np.full(likelihood.shape[2], 1.5), np.zeros(likelihood.shape[2])
    step = np.ones_like(a)
    current = _objective(z, w, negative, rise, a, b)
    for _ in range(n_iter):
        move_a, move_b = _fisher_step(z, w, negative, rise, a, b)
        new_a, new_b = a + step * move_a, b + step * move_b
        new = _objective(z, w, negative, rise, new_a, new_b)
        better = new >= current
        a, b = np.where(better, new_a, a), np.where(better, new_b, b)
        step = np.where(better, 1.0, step / 3.0)
        done = np.abs(new - current).max() < 1e-8
        current = np.where(better, new, current)
        if done:
            break
    return LabelLink(a / spread, b - a * centre / spread)


def _objective(z, w, negative, rise, a, b):
    """Return the penalised log-likelihood of each hypothesis."""
    seen = np.maximum(negative + rise * expit(z * a + b), _TINY)
    return (w * np.log(seen)).sum(0) - _RIDGE * (a**2 + b**2)


def _fisher_step(z, w, negative, rise, a, b):
    """Return the step of Fisher scoring, of length 2 at most in each coordinate."""
    clean = expit(z * a + b)
    seen = np.clip(negative + rise * clean, _TINY, 1.0 - _TINY)
    derivative = rise * clean * (1.0 - clean)
    score = w * derivative / seen
    information = score * derivative / (1.0 - seen)
    gradient_a = (score * z).sum(0) - 2.0 * _RIDGE * a
    gradient_b = score.sum(0) - 2.0 * _RIDGE * b
    aa = (information * z * z).sum(0) + 2.0 * _RIDGE
    bb = information.sum(0) + 2.0 * _RIDGE
    ab = (information * z).sum(0)
    determinant = aa * bb - ab * ab
    move_a = (bb * gradient_a - ab * gradient_b) / determinant
    move_b = (aa * gradient_b - ab * gradient_a) / determinant
    length = np.maximum(1.0, np.maximum(np.abs(move_a), np.abs(move_b)) / 2.0)
    return move_a / length, move_b / length
