"""Whether held-out scores see the classes, and whether the laws fitted to them hold."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from ...model_selection._clean_labels import (
    class_posterior,
    mixture_fit_test,
    normality_test,
)
from .._input import class_probabilities

TEST_LEVEL = 0.01
"""Level of the tests of laws: one fit in a hundred of model data is called a misfit."""

_FEWEST_TESTED = 20
"""Members of a class from which the normality of its scores is tested: moments need as many."""

_N_BINS = 10
"""Bins in which the agreement with the labels is compared with what is expected."""


def score_moments(scores, stories, labels):
    """Return the means and the variances of the decision function in each class."""
    columns = scores.reshape(len(scores), -1)
    weights = labels.weights[:, None] * stories.label_posterior
    mass = np.maximum(weights.sum(0), 1e-300)
    means = weights.T @ columns / mass[:, None]
    variances = weights.T @ columns**2 / mass[:, None] - means**2
    if scores.ndim == 1:
        means, variances = means[:, 0], variances[:, 0]
    return means, np.maximum(variances, 0.0)


def link_p_value(scores, stories, labels):
    """Return the p-value of the agreement with the labels that the decision function expects."""
    clean = class_probabilities(scores)
    likelihood = labels.likelihood
    hit = stories.predicted == labels.observed
    if likelihood is None or labels.noise_matrix is not None:
        seen = clean @ stories.noise_matrix
        expected = seen[np.arange(len(seen)), stories.predicted]
    else:
        expected = (clean * likelihood)[np.arange(len(clean)), stories.predicted]
    order = np.argsort(expected, kind="stable")
    share = labels.shares_of_rows
    level = np.minimum((np.cumsum(share[order]) * _N_BINS).astype(int), _N_BINS - 1)
    mass, gap, power = (
        np.bincount(level, values[order], _N_BINS)
        for values in (share, share * (hit - expected), share * expected * (1.0 - expected))
    )
    # One row more or less than expected is no surprise in a bin that expects none.
    power = np.maximum(labels.size * power, 1.0 * (mass > 0))
    statistic = (labels.size * gap) ** 2 / np.where(power > 0, power, np.inf)
    return float(chi2.sf(statistic.sum(), _N_BINS))


def gaussian_p_value(scores, means, variances, stories, labels, likelihood):
    """Return the p-value of the test that held-out scores are Gaussian within classes."""
    if labels.n_classes == 2:
        label = class_posterior(likelihood, stories.prior)
        odds = np.log(np.maximum(label[:, 1], 1e-12) / np.maximum(label[:, 0], 1e-12))
        variance = stories.prior @ variances
        return mixture_fit_test(scores, odds, means, variance, labels.weights, size=labels.size)
    likeliest = stories.label_posterior.argmax(1)
    deviates = scores - means[likeliest]
    axis = np.linalg.eigh(deviates.T @ (labels.weights[:, None] * deviates))[1][:, -1]
    values = []
    for k in range(labels.n_classes):
        rows = likeliest == k
        if rows.sum() >= _FEWEST_TESTED:
            weights = labels.weights[rows]
            size = weights.sum() ** 2 / (weights**2 * labels.part[rows]).sum()
            values.append(normality_test(deviates[rows] @ axis, weights, size=size))
    return min(1.0, len(values) * min(values)) if values else 1.0
