"""Logistic links of scores and true class: the likeliest one, others around it, rows left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from ._left_out import gone_with

_TEMPER = 0.7
"""Power of the likelihood: the link is only nearly logistic."""

_SLOPE_CENTRE, _SLOPE_SPREAD = np.log(2.5), 1.0
"""Prior of the log-slope: 95 % of it between 0.35 and 18, accuracies of about 0.57 to 0.98.

A larger centre takes weak signals for strong ones that wrong labels hide, a smaller one the
opposite: labels and scores alone cannot tell.
"""

_LATTICE = np.linspace(-2.6, 2.6, 5)
"""Links tried around the likeliest, along each axis in posterior standard deviations.

Steps of 1.3 integrate a Gaussian to 1e-5.
"""

_STEPS = 25
"""Steps of Fisher scoring towards the likeliest link: ten suffice unless classes are separable."""

_CONVERGED = 1e-7
"""Gain of log-likelihood at which scoring stops: the start must not show in the result."""

_N_BINS = 33
"""Bins of scores, of equal weight: an odd number, so that no row lies on the edge of one."""

_FARTHEST = 8.0
"""Half-widths of the middle two thirds of the scores beyond which a score counts as at the end."""


class _Axis(NamedTuple):
    """Scores in standard deviations from their median, in bins of equal weight."""

    centre: float
    spread: float
    x: np.ndarray
    bins: np.ndarray
    points: np.ndarray

    def mass(self, weights):
        """Add up weights by bin."""
        return np.bincount(self.bins, weights, len(self.points))


def score_axis(scores, weights):
    """Put scores on a robust scale, and gather them in bins."""
    # Equal scores are in one bin: else the order of the rows would show.
    values, tie = np.unique(scores, return_inverse=True)
    mass = np.bincount(tie, weights)
    middle = (np.cumsum(mass) - 0.5 * mass) / weights.sum()
    low, centre, high = np.interp([0.16, 0.5, 0.84], middle, values)
    reach = _FARTHEST * 0.5 * (high - low) or np.inf
    bounded = np.clip(scores, centre - reach, centre + reach)
    mean = weights @ bounded / weights.sum()
    spread = np.sqrt(weights @ (bounded - mean) ** 2 / weights.sum()) if len(values) > 1 else 1.0
    x = (bounded - centre) / spread
    bins = np.unique((middle * _N_BINS).astype(int), return_inverse=True)[1][tie]
    mass = np.bincount(bins, weights)
    return _Axis(float(centre), float(spread), x, bins, np.bincount(bins, weights * x) / mass)


class _Cells(NamedTuple):
    """Points of the axis with the same likelihoods of the label: x and mass (C,), others (G, C)."""

    x: np.ndarray
    mass: np.ndarray
    low: np.ndarray
    rise: np.ndarray

    def some(self, kept):
        """Return the same points under some pairs of rates."""
        return self._replace(low=self.low[kept], rise=self.rise[kept])


def label_cells(axis, labels, rates):
    """Gather rows by bin and label or, where each has its own noise, not at all."""
    weights = labels.size * labels.shares_of_rows
    if labels.known_by_row:
        low, high = labels.likelihood.T
        return _Cells(axis.x, weights, low[None], (high - low)[None])
    mass = [axis.mass(weights * (labels.observed == label)) for label in (0, 1)]
    ones = np.ones(len(axis.points))
    low = np.column_stack([np.outer(1.0 - rates[0], ones), np.outer(rates[0], ones)])
    left = np.outer(1.0 - rates.sum(0), ones)
    return _Cells(
        np.tile(axis.points, 2), np.concatenate(mass), low, np.column_stack([-left, left])
    )


class _Peaks(NamedTuple):
    """The likeliest link for each of G pairs of rates.

    Log-slopes and cuts theta (2, G), information curvature (3, G), penalised log-likelihood value
    (G,); the Gaussian prior: centre (2, G) and precision (2,).
    """

    theta: np.ndarray
    curvature: np.ndarray
    value: np.ndarray
    centre: np.ndarray
    precision: np.ndarray

    def some(self, kept):
        """Return the peaks of some pairs of rates."""
        return self._replace(
            theta=self.theta[:, kept],
            curvature=self.curvature[:, kept],
            value=self.value[kept],
            centre=self.centre[:, kept],
        )


class _Links(NamedTuple):
    """Logistic links: G hypotheses on the noise, N links each.

    cuts and slopes (G, N), log-weights (G, N) of each: tempered likelihood, prior and area; and the
    likeliest of each hypothesis.
    """

    cuts: np.ndarray
    slopes: np.ndarray
    log_weights: np.ndarray
    peaks: _Peaks

    def at(self, x):
        """Return the probability of the positive class at scores on the axis, (G, N, ...)."""
        return expit(self.slopes[..., None] * (x - self.cuts[..., None]))


def likeliest_links(cells, cuts, spread, start=None):
    """Return the likeliest links by Fisher scoring, for cuts that are expected with a spread."""
    precision = np.array([_SLOPE_SPREAD**-2.0, spread**-2.0])
    centre = np.stack([np.full(len(cuts), _SLOPE_CENTRE), cuts])
    theta = centre if start is None else start
    value = link_objective(cells, theta[:, :, None], centre, precision)[:, 0]
    length, moving = np.ones(len(value)), np.full(len(value), True)
    for _ in range(_STEPS):
        gradient, curvature = link_derivatives(cells, theta, centre, precision)
        move = _solve(curvature, gradient)
        move = length * move / np.maximum(1.0, np.abs(move).max(0))
        new = link_objective(cells, (theta + move)[:, :, None], centre, precision)[:, 0]
        better = moving & (new >= value)
        theta = np.where(better, theta + move, theta)
        length = np.where(better, 1.0, 0.3 * length)
        # Further steps of those that have arrived would follow rounding.
        moving &= np.abs(new - value) >= _CONVERGED
        value = np.where(better, new, value)
        if not moving.any():
            break
    curvature = link_derivatives(cells, theta, centre, precision)[1]
    return _Peaks(theta, curvature, value, centre, precision)


def links_around(cells, peaks):
    """Return the links around the likeliest ones, with their weights."""
    points, area = _lattice(peaks.theta, peaks.curvature)
    logs = link_objective(cells, points, peaks.centre, peaks.precision) + np.log(area)[:, None]
    return _Links(points[1], np.exp(points[0]), logs, peaks)


def link_objective(cells, theta, prior, precision):
    """Return the tempered log-likelihood plus log-prior of links (2, G, N) as (G, N)."""
    slopes, cuts = np.exp(theta[0])[..., None], theta[1][..., None]
    link = expit(slopes * (cells.x - cuts))
    seen = cells.low[:, None] + cells.rise[:, None] * link
    value = _TEMPER * (np.log(np.maximum(seen, 1e-9)) @ cells.mass)
    distance = (theta - prior[:, :, None]) ** 2
    log_area = 0.5 * np.log(precision).sum() - np.log(2.0 * np.pi)
    return value - 0.5 * np.einsum("a,agn->gn", precision, distance) + log_area


def _scores(cells, theta):
    """Return the derivatives of tempered log-likelihoods by the log-odds, and these, (G, C)."""
    odds = np.exp(theta[0])[:, None] * (cells.x - theta[1][:, None])
    link = expit(odds)
    seen = np.maximum(cells.low + cells.rise * link, 1e-9)
    return _TEMPER * cells.rise * link * (1.0 - link) / seen, odds


def link_derivatives(cells, theta, prior, precision):
    """Return gradient (2, G) and information (3, G): both diagonal terms, then the other."""
    slope = np.exp(theta[0])[:, None]
    score, odds = _scores(cells, theta)
    power = cells.mass * score**2 / _TEMPER
    pull = precision[:, None] * (prior - theta)
    gradient = np.stack([(score * odds) @ cells.mass, -slope[:, 0] * (score @ cells.mass)]) + pull
    curvature = np.stack(
        [
            (power * odds**2).sum(1) + precision[0],
            slope[:, 0] ** 2 * power.sum(1) + precision[1],
            -slope[:, 0] * (power * odds).sum(1),
        ]
    )
    return gradient, curvature


def _solve(curvature, gradient):
    """Solve G symmetric 2 x 2 systems."""
    first, second, cross = curvature
    down = second * gradient[0] - cross * gradient[1]
    across = first * gradient[1] - cross * gradient[0]
    return np.stack([down, across]) / (first * second - cross**2)


def _lattice(theta, curvature):
    """Return points around each likeliest link, (2, G, N), and the area of each cell (G,)."""
    first, second, cross = curvature
    u, v = (z.ravel() for z in np.meshgrid(_LATTICE, _LATTICE, indexing="ij"))
    root = np.sqrt(first)
    rest = np.sqrt(np.maximum(second - cross**2 / first, 1e-12))
    across = v / rest[:, None]
    along = (u - (cross / root)[:, None] * across) / root[:, None]
    step = _LATTICE[1] - _LATTICE[0]
    return theta[:, :, None] + np.stack([along, across]), step**2 / (root * rest)


def own_pull(axis, labels, cells, peaks, shares, group):
    """Return how far the cut moved for the labels left out with each row, to first order, (n,)."""
    slope = np.exp(peaks.theta[0])[:, None]
    score, odds = _scores(cells, peaks.theta)
    gradient = np.stack([score * odds, -slope * score])
    moved = shares @ _solve(peaks.curvature[:, :, None], gradient)[1]
    if not labels.known_by_row:
        moved = moved.reshape(2, -1)[labels.observed, axis.bins]
    weights = labels.size * labels.shares_of_rows
    pulls = (weights * moved)[:, None]
    gone = gone_with(pulls, labels.observed, weights, labels.part, group)[:, 0]
    return np.clip(gone, -1.0, 1.0)
