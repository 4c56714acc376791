"""Whether held-out scores see the classes, and whether the laws fitted to them hold."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from ...model_selection._clean_labels import (
    FEWEST_ROWS,
    frequencies_contradict,
    mixture_fit_test,
    normality_test,
)
from ...utils._merging import COPIES
from .._input import class_probabilities

TOO_FEW = (
    f"There are fewer than {FEWEST_ROWS} effective rows (`n_effective_samples_`): no accuracy is "
    "predicted. Give more rows."
)
_CONTRADICTION = (
    "The given noise_rates cannot produce the observed class frequencies for any class_prior: the "
    "nearest possible `class_prior_` is used. Correct noise_rates, or let them be estimated."
)
_UNDETECTED = (
    "The held-out scores do not follow the labels: the theoretical accuracy is that of a guess. "
    "Give more rows or other features."
)
_MISFIT = (
    "The held-out scores do not agree with the labels as often as expected (`regime_`): the "
    "theoretical accuracy is doubtful. Give other features, or noise_rates if they are known."
)
_AMBIGUOUS = (
    "Wrong labels and overlapping classes explain the labels equally (`noise_probability_`): the "
    "interval of the theoretical accuracy contains both. Give noise_rates if they are known, or "
    "more rows."
)

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
    seen = class_probabilities(scores)
    seen = seen * labels.likelihood if labels.known_by_row else seen @ stories.noise_matrix
    expected = np.take_along_axis(seen, stories.predicted[:, None], axis=1)[:, 0]
    del seen
    hit = stories.predicted == labels.observed
    order = np.argsort(expected, kind="stable")
    share = labels.shares_of_rows
    level = np.minimum((np.cumsum(share[order]) * _N_BINS).astype(int), _N_BINS - 1)

    def binned(values):
        """Return the sum of each bin."""
        return np.bincount(level, values[order], _N_BINS)

    # In turn: rows may be many.
    mass, gap = binned(share), binned(share * (hit - expected))
    power = binned(share * expected * (1.0 - expected))
    # One row more or less than expected is no surprise in a bin that expects none.
    power = np.maximum(labels.size * power, 1.0 * (mass > 0))
    statistic = (labels.size * gap) ** 2 / np.where(power > 0, power, np.inf)
    return float(chi2.sf(statistic.sum(), _N_BINS))


def gaussian_p_value(scores, moments, by_label, stories, labels):
    """Return the p-value of the test that held-out scores are Gaussian within classes."""
    means, variances = moments
    if labels.n_classes == 2:
        odds = np.log(np.maximum(by_label[:, 1], 1e-12) / np.maximum(by_label[:, 0], 1e-12))
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


def complaints(state, labels, kind):
    """Return what to warn of, the most serious first, in a regime and for rows of some kind."""
    found = {
        TOO_FEW: state == "too_few_rows",
        _CONTRADICTION: frequencies_contradict(labels),
        _UNDETECTED: state == "undetected",
        _MISFIT: state == "misfit",
        _AMBIGUOUS: state == "ambiguous",
        COPIES: kind == "copies",
    }
    return [text for text, applies in found.items() if applies]
