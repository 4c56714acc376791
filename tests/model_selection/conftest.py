"""Scores of two Gaussian classes with noisy labels: the model of the estimates."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest


class Draw(NamedTuple):
    """Scores, observed labels and true classes."""

    scores: np.ndarray
    observed: np.ndarray
    clean: np.ndarray


def draw_scores(rng, n, *, means=(-1.5, 1.5), sd=1.0, prior=0.5, rates=(0.2, 0.2)):
    """Draw scores N(means[y], sd^2) and labels that are wrong at the rates of their class."""
    clean = rng.random(n) < prior
    scores = np.where(clean, means[1], means[0]) + sd * rng.standard_normal(n)
    observed = clean ^ (rng.random(n) < np.where(clean, rates[1], rates[0]))
    return Draw(scores, observed, clean)


@pytest.fixture
def draw():
    """The generator `draw_scores`."""
    return draw_scores
