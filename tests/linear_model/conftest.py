"""Data of two and more classes with noisy labels, and the exact accuracy on fresh data."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from skrmt.datasets import make_noisy_mixture


@pytest.fixture(scope="session")
def binary():
    """300 rows of two classes, 40 features, rates 0.15 and 0.3: X, y, clean."""
    return make_noisy_mixture(
        300, 40, noise_rates=(0.15, 0.3), class_prior=(0.45, 0.55), shift=1.0, random_state=0
    )[:3]


@pytest.fixture(scope="session")
def three():
    """360 rows of three classes, 20 features, rates 0.25: X, y, clean."""
    return make_noisy_mixture(
        360, 20, n_classes=3, mean_norm=2.5, noise_rates=0.25, shift=1.0, random_state=1
    )[:3]


def clean_accuracy(model, means, prior):
    """Accuracy of a binary linear classifier on isotropic Gaussian classes, integrated exactly."""
    w, b = model.coef_[0], model.intercept_[0]
    low, high = means @ w + b
    size = np.linalg.norm(w)
    return prior[1] * ndtr(high / size) + prior[0] * ndtr(-low / size)


@pytest.fixture(scope="session")
def exact_accuracy():
    """The function `clean_accuracy`."""
    return clean_accuracy
