"""Two classes: accuracy on right labels, averaged over what may be wrong with the labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from ...utils._intervals import SHARED_FITS, Z95
from ._label_evidence import class_posterior
from ._label_links import (
    label_cells,
    likeliest_links,
    links_around,
    own_pull,
    score_axis,
)
from ._noisy_labels import NoisyLabels
from ._record import Stories, both_ends
from ._score_shape import shape_evidence
from ._unmixing import unmixed_accuracy

_RATES = np.arange(0.0, 0.46, 0.05)
"""Rates of wrong labels tried first: neighbours differ by less than 300 rows can show."""

_LARGEST_SUM = 0.75
"""Largest sum of both rates: beyond it labels are worth less than a sixteenth of right ones."""

_FINE = np.linspace(-2.7, 2.7, 9)
"""Rates tried then where many rows have narrowed them down, in standard deviations."""

_CLEAN = 0.5
"""Prior probability that all labels are right: scores and labels alone can never exclude it."""

_SYMMETRIC, _SYMMETRY = 0.4, 0.05
"""Share of the other half for nearly equal rates, the commonest noise, and how nearly."""

_DECAY = 0.5
"""Sum of rates over which the prior falls by e: labels that are mostly wrong are rare."""

_SHAPED, _SHAPE_NATS = 0.5, 4.0
"""Prior probability that scores of a class are Gaussian, and the most evidence of that.

It weighs rates against each other and moves no cut: two clouds need not be the classes.
"""

_FARTHEST_CUT = 3.0
"""Standard deviations from the median within which the cut is expected."""

_DECISION_ODDS = 0.25
"""Factor of the odds of right labels where classes are decided.

A cut moved for noise that is not there costs less than one left in its place: it moves little.
"""

_MODEL_ERROR = 0.3
"""Error of the accuracy per unit of the mean rate: rates that depend on more than the class."""

_NEGLIGIBLE = 1e-3
"""Probability below which a pair of rates is left out of the sums over rows."""


def two_class_stories(scores, labels: NoisyLabels, *, evidence=None, fixed=False, group=None):
    """Average over the rates of wrong labels and over logistic links of scores and true class.

    `evidence` are better scores, if there are any, which need not decide. `fixed` decides by the
    sign of the scores.
    """
    own_axis = score_axis(scores, labels.weights)
    plain = evidence is None or evidence is scores
    axis = own_axis if plain else score_axis(evidence, labels.weights)
    rates, links, joint, odds = _posterior(axis, labels)
    probabilities, known = joint.sum(1), labels.likelihood is not None
    start, prior = (None, labels.implied_prior()) if known else (links.peaks.theta, None)
    slope, offset, own = _decision(own_axis, labels, prior, rates, probabilities, start, group)
    if fixed:
        offset = 0.0
    if fixed or not np.ptp(scores) > 0:
        # One decision for all rows: what a row adds to it would only show which label it has.
        own = 0.0
    joint = joint * (odds / (odds @ probabilities))[:, None]
    probabilities = joint.sum(1)
    predicted = (slope * scores + offset > own).astype(int)
    link = links.at(axis.points) @ axis.mass(labels.shares_of_rows * (2 * predicted - 1))
    link = link + labels.shares_of_rows @ (1 - predicted)
    found = _unmixed(predicted, labels, prior, group) if known else None
    counts = _counted(predicted, labels, rates) if found is None else found.accuracy
    accuracies = 0.5 * (link + np.reshape(counts, (-1, 1)))
    accuracy = _mean_over(np.full(len(joint), True), joint, accuracies)
    posterior = _row_posterior(axis, labels, rates, links, joint)
    mean = rates @ probabilities
    std = np.zeros(2) if known else np.sqrt((rates - mean[:, None]) ** 2 @ probabilities)
    noise = np.array([[1.0 - mean[0], mean[0]], [mean[1], 1.0 - mean[1]]])
    model = _MODEL_ERROR * mean.mean() if found is None else 0.5 * _count_error(found, labels.size)
    interval = _interval(accuracy, accuracies, joint, labels.size, model)
    clean = (rates.sum(0) == 0) & (not known or labels.is_clean)
    noisy = float(probabilities[~clean].sum())
    ends = [_mean_over(part, joint, accuracies) for part in (clean, ~clean)]
    return Stories(
        directions=np.array([[slope]]),
        offsets=np.array([offset]),
        noise_matrix=labels.average_noise(posterior) if labels.known_by_row else noise,
        noise_rates_std=std,
        noise_probability=noisy,
        prior=labels.shares_of_rows @ posterior if labels.prior is None else labels.prior,
        label_posterior=posterior,
        accuracy=accuracy,
        interval=interval if known else both_ends(interval, ends, noisy),
        accuracy_if_clean=ends[0],
        accuracy_if_noisy=ends[1],
        predicted=predicted,
    )


def _mean_over(part, joint, accuracies):
    """Return the mean accuracy over some of the hypotheses, nan if none of them is possible."""
    mass = joint[part].sum()
    return float((joint[part] * accuracies[part]).sum() / mass) if mass > 0 else np.nan


def _posterior(axis, labels):
    """Return pairs of rates (2, G), links, probabilities (G, N), and odds by shape (G,)."""
    if labels.likelihood is not None:
        rates = np.zeros((2, 1))
        if not labels.known_by_row:
            rates = labels.noise_matrix[[0, 1], [1, 0]][:, None]
        cells = label_cells(axis, labels, rates)
        links = links_around(cells, likeliest_links(cells, np.zeros(1), 1.0))
        return rates, links, _normalised(links.log_weights), np.ones(1)
    grid = np.stack([x.ravel() for x in np.meshgrid(_RATES, _RATES, indexing="ij")])
    found = _weighed(axis, labels, grid[:, grid.sum(0) > 0], 0.05**2)
    rates, _, joint, _ = found
    noisy = joint[1:].sum(1) / max(joint[1:].sum(), 1e-300)
    mean = rates[:, 1:] @ noisy
    spread = np.sqrt((rates[:, 1:] - mean[:, None]) ** 2 @ noisy)
    if spread.min() > 0.05 or joint[1:].sum() < _NEGLIGIBLE:
        return found
    # Many rows: the grid is too coarse for the rates, one around their mean is not.
    spread = np.maximum(spread, 0.004)
    axes = mean[:, None] + spread[:, None] * _FINE
    fine = np.stack([x.ravel() for x in np.meshgrid(*axes, indexing="ij")])
    fine = fine[:, (fine.min(0) >= 0) & (fine.max(0) < 0.5)]
    return _weighed(axis, labels, fine, spread.prod() * (_FINE[1] - _FINE[0]) ** 2)


def _weighed(axis, labels, noisy, area):
    """Return what `_posterior` does: no noise, then likely noisy pairs of a grid."""
    noisy = noisy[:, noisy.sum(0) <= _LARGEST_SUM]
    rates = np.column_stack([np.zeros(2), noisy])
    prior = np.append(_CLEAN, (1.0 - _CLEAN) * area * _rate_density(noisy))
    if labels.prior is not None:
        prior = prior * _prior_fit(labels, rates)
    cells = label_cells(axis, labels, rates)
    shape = shape_evidence(axis.points, cells.mass.reshape(2, -1), noisy)
    shape = np.exp(np.maximum(shape - shape.max(), -_SHAPE_NATS))
    shaped = _SHAPED * shape * prior[1:].sum() / (prior[1:] @ shape)
    odds = np.append(1.0, 1.0 - _SHAPED + shaped)
    prior = np.log(np.maximum(prior, 1e-300))
    peaks = likeliest_links(cells, np.zeros(len(prior)), 1.0)
    first, second, cross = peaks.curvature
    evidence = peaks.value + prior - 0.5 * np.log(first * second - cross**2)
    kept = evidence > evidence.max() + np.log(_NEGLIGIBLE)
    kept[0] = True
    links = links_around(cells.some(kept), peaks.some(kept))
    return rates[:, kept], links, _normalised(links.log_weights + prior[kept, None]), odds[kept]


def _rate_density(rates):
    """Return the prior density of pairs of rates, given that some labels are wrong."""
    density = np.exp(-rates.sum(0) / _DECAY)
    equal = np.exp(-0.5 * ((rates[0] - rates[1]) / _SYMMETRY) ** 2)
    # Integrals over all pairs below one half with the largest sum.
    return density * ((1.0 - _SYMMETRIC) / 0.094 + _SYMMETRIC * equal / 0.022)


def _prior_fit(labels, rates):
    """Return how well rates turn known frequencies of the classes into the observed ones."""
    share = labels.shares[1]
    expected = rates[0] + (1.0 - rates.sum(0)) * labels.prior[1]
    # The grid of rates is 0.05 wide: a gap of half a step is none.
    error = np.sqrt(share * (1.0 - share) / labels.size) + 0.025
    return np.exp(-0.5 * ((share - expected) / error) ** 2)


def _normalised(logs):
    """Return weights proportional to exponentials, with sum 1."""
    weights = np.exp(logs - logs.max())
    return weights / weights.sum()


def _decision(axis, labels, prior, rates, probabilities, start, group):
    """Return slope and offset of the log-odds of the positive class, and what rows added to them.

    The last is what each row's own label, or its group's, pulls the cut towards its side, (n,).
    """
    masses = np.where(rates.sum(0) > 0, 1.0, _DECISION_ODDS) * probabilities
    kept = masses > _NEGLIGIBLE * masses.sum()
    centres = _expected_cuts(axis, labels, prior, rates[:, kept])
    cells = label_cells(axis, labels, rates[:, kept])
    links = links_around(
        cells, likeliest_links(cells, centres, 1.0, None if start is None else start[:, kept])
    )
    weights = np.exp(links.log_weights - links.log_weights.max(1, keepdims=True))
    weights *= (masses[kept] / weights.sum(1) / masses[kept].sum())[:, None]

    def excess(x):
        return float((weights * expit(links.slopes * (x - links.cuts))).sum()) - 0.5

    low, high = axis.x.min() - 1.0, axis.x.max() + 1.0
    cut = low if excess(low) >= 0 else high if excess(high) <= 0 else brentq(excess, low, high)
    odds = links.slopes * (cut - links.cuts)
    rises = (weights * links.slopes * expit(odds) * expit(-odds)).sum(1)
    slope = max(4.0 * float(rises.sum()), 1e-3) / axis.spread
    shares = rises / max(rises.sum(), 1e-300)
    pull = own_pull(axis, labels, cells, links.peaks, shares, group)
    offset = -slope * (axis.centre + axis.spread * cut)
    return slope, offset, -slope * axis.spread * pull


def _expected_cuts(axis, labels, prior, rates):
    """Return where the regression of the labels on the scores puts the cuts, (G,)."""
    shares = labels.shares_of_rows
    if labels.known_by_row:
        posterior = class_posterior(labels.likelihood, prior)
        wanted, levels = posterior[:, 1] - posterior[:, 0], np.zeros(1)
    else:
        # The mean label, of -1 and +1, is e0 - e1 where the classes are equally likely.
        wanted, levels = 2.0 * labels.observed - 1.0, rates[0] - rates[1]
    centred = axis.x - shares @ axis.x
    slope = shares @ (centred * wanted) / max(shares @ centred**2, 1e-300)
    if not slope > 0:
        return np.zeros(rates.shape[1])
    cuts = shares @ axis.x + (levels - shares @ wanted) / slope
    return np.clip(cuts, -_FARTHEST_CUT, _FARTHEST_CUT)


def _counted(predicted, labels, rates):
    """Return the accuracy that the counted agreement means under each pair of rates, (G,)."""
    shares = labels.shares_of_rows
    counts = np.zeros((2, 2))
    np.add.at(counts, (predicted, labels.observed), shares)
    left = 1.0 - rates.sum(0)
    positive = ((1.0 - rates[0]) * counts[1, 1] - rates[0] * counts[1, 0]) / left
    negative = ((1.0 - rates[1]) * counts[0, 0] - rates[1] * counts[0, 1]) / left
    return np.clip(np.maximum(positive, 0.0) + np.maximum(negative, 0.0), 0.0, 1.0)


def _row_posterior(axis, labels, rates, links, joint):
    """Return the probabilities of the classes given score and observed label, (n, 2)."""
    kept = joint.sum(1) > _NEGLIGIBLE
    link = links.at(axis.points)[kept]
    rates, joint = rates[:, kept], joint[kept] / joint[kept].sum()
    if labels.known_by_row:
        clean = np.interp(axis.x, axis.points, joint[0] @ link[0])
        return class_posterior(labels.likelihood, np.column_stack([1.0 - clean, clean]))
    result = np.zeros(len(axis.x))
    for label, (low, high) in enumerate([(1 - rates[0], rates[1]), (rates[0], 1 - rates[1])]):
        positive = high[:, None, None] * link
        share = positive / np.maximum(positive + low[:, None, None] * (1.0 - link), 1e-12)
        level = np.einsum("gt,gtb->b", joint, share)
        rows = labels.observed == label
        result[rows] = np.interp(axis.x[rows], axis.points, level)
    return np.column_stack([1.0 - result, result])


def _unmixed(predicted, labels, prior, group):
    """Return the accuracy counted under known noise; one half, unsure, if labels say too little."""
    label = class_posterior(labels.likelihood, prior)
    found = unmixed_accuracy(predicted, label, prior, labels.weights, labels.part, group)
    return found if np.isfinite(found.accuracy) else found._replace(accuracy=0.5)


def _count_error(found, size):
    """Return the standard error of an accuracy counted under known noise, beyond binomial."""
    if np.isnan(found.standard_error):
        return 1.0
    binomial = found.accuracy * (1.0 - found.accuracy) / size
    return SHARED_FITS * np.sqrt(max(found.standard_error**2 - binomial, 0.0))


def _interval(accuracy, accuracies, joint, size, model):
    """Return the 95 % interval: what the hypotheses leave open, a count's error, and another."""
    order = np.argsort(accuracies, axis=None)
    level = np.cumsum(joint.ravel()[order])
    last = len(order) - 1
    low, high = accuracies.ravel()[order[np.minimum(np.searchsorted(level, [0.025, 0.975]), last)]]
    counted = SHARED_FITS**2 * (accuracy * (1.0 - accuracy) * size + 1.0) / ((size + 2.0) * size)
    error = Z95**2 * (counted + model**2)
    ends = [
        accuracy - np.sqrt((accuracy - min(low, accuracy)) ** 2 + error),
        accuracy + np.sqrt((max(high, accuracy) - accuracy) ** 2 + error),
    ]
    return np.clip(ends, 0.0, 1.0)
