"""The loss curve and the accuracy of a staged fit, predicted from moments of the rows."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ._law import weighted_gram

_NODES = 20
_OUTLYING = 8.0
_MOST_OUTLYING = 0.01
_COSTLY = 4e9
_LARGEST_LEVERAGE = 0.95
_MOST_FEATURES = 0.8


class Plan(NamedTuple):
    """A stage, ready to run.

    Attributes
    ----------
    law : Law
        Its rows.
    rates : ndarray of shape (T,)
        Learning rates.
    batch_size : int
        Rows a step.
    weight_decay : float
        Penalty.
    """

    law: object
    rates: np.ndarray
    batch_size: int
    weight_decay: float


class Prediction(NamedTuple):
    """What theory says of a fit.

    Attributes
    ----------
    risks : ndarray of shape (T + 1,)
        Mean loss of a batch before each step, and of one after the last.
    degrees : ndarray of shape (T,)
        Degrees of freedom of the chi-square law of the loss of a batch.
    scores : ndarray of shape (n, K)
        Mean score of each row of the last stage if it is left out.
    deviations : ndarray of shape (n, K)
        Standard deviation of it over the draws of batches.
    floor : float
        Where the largest rate of the last stage would end.
    """

    risks: np.ndarray
    degrees: np.ndarray
    scores: np.ndarray
    deviations: np.ndarray
    floor: float


class _State:
    """Mean and variance of the weights, and how they respond to the target of a row."""

    def __init__(self, law):
        self.law = law
        shape = (law.eigenvalues.size, law.Y.shape[1])
        self.mean, self.variance = np.zeros(shape), np.zeros(shape)
        self.response = np.zeros(shape[0])
        self.set_law(law)

    def set_law(self, law):
        """Rotate to the eigenvectors of another law."""
        if law is not self.law:
            rotation = law.vectors.T @ self.law.vectors
            self.mean = rotation @ self.mean
            self.variance = rotation**2 @ self.variance
            self.response = np.zeros(law.eigenvalues.size)
        self.law = law
        self.squares = law.Z**2
        self.fourth = weighted_gram(self.squares, law.shares)

    def residuals(self, left_out):
        """Return the mean residual of each row, as if the row had been left out."""
        law = self.law
        residuals = law.Y - law.Z @ self.mean
        if not left_out:
            return residuals
        leverage = law.shares * (1 + self.squares @ self.response)
        return residuals / (1 - np.minimum(leverage, _LARGEST_LEVERAGE))[:, None]


def without_outliers(law, make):
    """Return the law without rows that no noise of the others explains, a hundredth at most."""
    solution = law.moment / law.eigenvalues[:, None]
    residuals = np.abs(law.Y - law.Z @ solution)
    scale = 1.4826 * np.median(residuals, axis=0)
    if not (scale > 1e-8 * np.abs(law.Y).max()).all():
        return law
    kept = (residuals <= _OUTLYING * scale).all(axis=1)
    if kept.all() or law.shares[~kept].sum() > _MOST_OUTLYING:
        return law
    return make(kept)


def predict_curve(plans, fresh):
    """Return the predicted course of a fit that starts at 0."""
    state = _State(plans[0].law)
    node = _node(state, fresh, plans[0].batch_size)
    risks, degrees = [[node.risk]], []
    for plan in plans:
        if plan.law is not state.law:
            state.set_law(plan.law)
            risks[-1][-1] = _node(state, fresh, plan.batch_size).risk
        node = _node(state, fresh, plan.batch_size)
        for start, stop in _stretches(len(plan.rates)):
            part, node_after = _advance(state, plan, start, stop, node, fresh)
            ramp = np.arange(stop - start) / (stop - start)
            degrees.append(node.degrees + ramp * (node_after.degrees - node.degrees))
            risks.append(part)
            node = node_after
    residuals = state.residuals(True)
    scores = state.law.target_mean + state.law.Y - residuals
    known = _node(state, True, plans[-1].batch_size).known
    deviations = np.sqrt(state.squares @ np.maximum(state.variance - known, 0))
    floor = _floor(state, plans[-1], fresh)
    return Prediction(np.concatenate(risks), np.concatenate(degrees), scores, deviations, floor)


class _Node(NamedTuple):
    """What is computed from all rows, at a few times only."""

    risk: float
    correction: float
    noise: np.ndarray
    degrees: float
    known: np.ndarray


def _node(state, fresh, batch_size):
    """Return the noise of the gradient, the risk and the spread of the loss."""
    law = state.law
    residuals = state.residuals(fresh)
    squared = law.shares[:, None] * residuals**2
    gradient = law.eigenvalues[:, None] * state.mean - law.moment
    noise = np.maximum(state.squares.T @ squared - gradient**2, 0)
    known = np.zeros_like(noise)
    level = squared.sum(axis=0)
    if fresh:
        known = float(law.shares @ law.shares) * state.response[:, None] ** 2 * noise
        excess = law.eigenvalues @ known
        ratio = np.divide(level, level + excess, out=np.ones_like(level), where=level > 0)
        level, noise, known = ratio * level, ratio * noise, ratio * known
        residuals = np.sqrt(ratio) * residuals
    spread = law.eigenvalues @ state.variance
    risk = np.float64(level.sum() + spread.sum()) / 2
    correction = float(level.sum()) / 2 - _training_risk(state)
    return _Node(risk, correction, noise, _degrees(state, residuals, risk, batch_size), known)


def _training_risk(state):
    """Return half the mean squared residual of the mean weights."""
    law = state.law
    power = float(law.shares @ (law.Y**2).sum(axis=1))
    bend = law.eigenvalues[:, None] * state.mean**2 - 2 * law.moment * state.mean
    return (power + float(bend.sum())) / 2


def _degrees(state, residuals, risk, batch_size):
    """Return the degrees of freedom that match the variance of the loss of a batch."""
    law = state.law
    if risk <= 0:
        return float(batch_size)
    s = state.squares @ state.variance
    b = residuals**2
    second = (b + s).sum(axis=1) ** 2 + (4 * b * s + 2 * s**2).sum(axis=1)
    ratio = ((law.shares @ second) / 4 - risk**2) / (2 * risk**2)
    n_rows = 1 / float(law.shares @ law.shares)
    if residuals.shape[1] == 1 and abs(ratio - 1) < 5 * np.sqrt(6 / n_rows):
        ratio = 1.0
    lam = law.eigenvalues[:, None]
    mean = state.mean - law.moment / lam
    moved = (2 * (lam * state.variance) ** 2 + 4 * (lam * mean) ** 2 * state.variance).sum() / 4
    variance = 2 * max(ratio, 0.05) * risk**2 / batch_size
    return float(2 * risk**2 / (variance + moved * (1 + 2 / batch_size)))


def _stretches(n_steps):
    """Yield first and last times between which noise is interpolated."""
    times = np.concatenate([np.geomspace(1, n_steps, _NODES), np.linspace(0, n_steps, _NODES)])
    times = np.unique(np.round(times).astype(int))
    yield from zip(times[:-1].tolist(), times[1:].tolist(), strict=True)


def _advance(state, plan, start, stop, node, fresh):
    """Take the steps of a stretch: the mean first, then the variance with interpolated noise."""
    lam = state.law.eigenvalues[:, None]
    size, decay = plan.batch_size, plan.weight_decay
    count = stop - start
    training = np.empty(count)
    for i, rate in enumerate(plan.rates[start:stop]):
        keep = 1 - rate * (lam + decay)
        state.mean = keep * state.mean + rate * state.law.moment
        state.response = keep[:, 0] * state.response + rate
        training[i] = _training_risk(state)
    after = _node(state, fresh, size)
    spreads = np.empty(count)
    held = _refresh_every(state, len(plan.rates))
    mixed = None
    for i, rate in enumerate(plan.rates[start:stop]):
        if i % held == 0:
            mixed = state.fourth @ state.variance
        weight = i / count
        noise = (1 - weight) * node.noise + weight * after.noise
        keep = (1 - rate * (lam + decay)) ** 2 - (rate * lam) ** 2 / size
        state.variance = keep * state.variance + rate**2 / size * (mixed + noise)
        spreads[i] = float((lam * state.variance).sum())
    correction = node.correction + (np.arange(count) + 1) / count * (
        after.correction - node.correction
    )
    after = _node(state, fresh, size)
    return training + correction + spreads / 2, after


def _refresh_every(state, n_steps):
    """Return for how many steps the product with fourth moments is kept, to bound the cost."""
    cost = float(n_steps) * state.variance.size * state.variance.shape[0]
    return max(1, int(np.ceil(cost / _COSTLY)))


def _floor(state, plan, fresh):
    """Return where the largest rate of a stage would end, from the noise at its end."""
    law = state.law
    lam, rate, size = law.eigenvalues, float(plan.rates.max()), plan.batch_size
    if not lam.size or rate == 0:
        return _training_risk(state)
    # Least squares on so few rows fit them: their residuals do not tell the noise.
    if fresh and lam.size * float(law.shares @ law.shares) > _MOST_FEATURES:
        return np.nan
    ends = copy(state)
    ends.variance = np.zeros_like(state.variance)
    ends.mean = law.moment / (lam + plan.weight_decay)[:, None]
    ends.response = 1 / (lam + plan.weight_decay)
    node = _node(ends, fresh, size)
    room = 1 - (1 - rate * (lam + plan.weight_decay)) ** 2 + (rate * lam) ** 2 / size
    system = np.diag(room) - rate**2 / size * ends.fourth
    variance = np.linalg.solve(system, rate**2 / size * node.noise)
    if (variance < 0).any():
        return np.inf
    return node.risk + float((lam @ variance).sum()) / 2


def predicted_accuracy(prediction, codes, shares):
    """Return the probability that a fresh row is classified rightly."""
    scores, deviations = prediction.scores, np.maximum(prediction.deviations, 1e-300)
    if scores.shape[1] == 1:
        margins = (2 * codes - 1) * scores[:, 0] / deviations[:, 0]
        return float(shares @ ndtr(margins))
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    rows = np.arange(len(codes))
    right = scores[rows, codes], deviations[rows, codes]
    probability = np.zeros(len(codes))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        own = right[0] + node * right[1]
        each = ndtr((own[:, None] - scores) / deviations)
        each[rows, codes] = 1
        probability += weight * each.prod(axis=1)
    return float(shares @ probability)
