"""The median course of runs whose rates are near the critical one or above, by simulation.

There the mean loss is that of a few runs that nobody sees: what a fit does is the median.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse

from ._interval import risk_claim

MOST_GROWTH = 1e6
"""Multiple of the loss at the start beyond which a run has diverged, and a fit stops."""
_MOST_RUNS = 200
"""Runs whose median is taken: an error of a twelfth of the spread over runs."""
_FEWEST_RUNS = 24
"""Runs below which the median is too rough to be given."""
_MOST_PRODUCTS = 1e10
"""Products that all runs may take: some seconds."""
_MOST_DRAWS = 2e7
"""Rows that all runs may draw: 80 MB of their numbers."""
_SMOOTHED = 50
"""Windows of the course over which medians are averaged: batches vary more than their mean."""
_MOST_NUMBERS = 4e6
"""Residuals, of rows in runs, that are held in memory."""
_SCALE = 1.4826
"""Standard deviation of a normal law over its median absolute deviation."""
_SEED = 20_240_522
"""The prediction does not depend on the seed of the fit."""


class Runs(NamedTuple):
    """Simulated runs.

    Attributes
    ----------
    medians : ndarray of shape (T,)
        Median loss of the batch of each step, infinite once half of the runs have diverged.
    weights : ndarray of shape (R, p, K)
        Weights at the end of the runs whose losses are numbers.
    diverged : bool
        Whether half of the runs have.
    """

    medians: np.ndarray
    weights: np.ndarray
    diverged: bool


def simulate(steps, X, targets, in_order, start) -> Runs | None:
    """Run all stages again and again; None where that would take too long.

    `start` is the loss at the start, over which growth is measured.
    """
    total = sum(len(step.rates) * step.batch_size for step in steps)
    cost = 4.0 * total * X.shape[1] * targets.shape[1]
    count = int(min(_MOST_RUNS, _MOST_PRODUCTS / cost, _MOST_DRAWS / total))
    if count < _FEWEST_RUNS:
        return None
    rng = np.random.default_rng(_SEED)
    order = None
    if in_order:
        order = np.array([rng.permutation(len(targets))[:total] for _ in range(count)], np.int32)
    runs = _Runs(count, X.shape[1], targets.shape[1])
    losses, first = [], 0
    with np.errstate(over="ignore", invalid="ignore"):
        for step in steps:
            last = first + len(step.rates) * step.batch_size
            part = None if order is None else order[:, first:last]
            losses.append(_stage_losses(runs, step, X, targets, part, rng))
            first = last
    curve, diverged = [], False
    for part in losses:
        medians = np.median(part, axis=1)
        large = np.flatnonzero(~(medians <= MOST_GROWTH * start))
        length = 0 if diverged else int(large[0]) if large.size else len(medians)
        diverged = length < len(medians)
        curve.append(np.full(len(medians), np.inf))
        curve[-1][:length] = _smooth(medians[:length])
    return Runs(np.concatenate(curve), runs.weights, diverged or 2 * len(runs.alive) <= count)


def claim_of_runs(moments, scores, weights):
    """Return the median risk of runs on fresh rows, and how much scores and accuracy vary.

    `scores` (n, K) are those of the mean run, each row left out.
    """
    count = max(_FEWEST_RUNS, int(_MOST_NUMBERS // max(scores.size, 1)))
    weights = weights[:count]
    turned = np.einsum("pr,cpk->crk", moments.vectors, weights)
    residuals = moments.Y - moments.coordinates() @ turned
    middle = np.median(residuals, axis=0)
    deviations = _SCALE * np.median(np.abs(residuals - middle), axis=0)
    # What leaving a row out adds to the residual of the mean run, it adds to that of every run.
    residuals += moments.Y + moments.target_mean - scores - middle
    losses = (residuals**2).sum(axis=2) / 2
    logs = np.log(losses @ moments.shares)
    risk = float(np.exp(np.median(logs)))
    spread = _SCALE * float(np.median(np.abs(logs - np.median(logs))))
    losses = losses.mean(axis=0)
    losses *= risk / float(moments.shares @ losses)
    claim = risk_claim(losses, moments.shares, moments.together, (risk * spread) ** 2, np.zeros(1))
    known = moments.Y + moments.target_mean
    accuracy = _same_class(known - residuals, known) @ moments.shares
    return claim, deviations, _SCALE * float(np.median(np.abs(accuracy - np.median(accuracy))))


def _same_class(scores, known):
    """Return which scores (R, n, K) are on the side of the known targets (n, K)."""
    if known.shape[1] == 1:
        return ((scores > 0) == (known > 0))[:, :, 0]
    return scores.argmax(axis=2) == known.argmax(axis=1)


class _Runs:
    """Weights and velocities of the runs whose losses are numbers, and which they are."""

    def __init__(self, count, n_features, n_targets):
        self.count, self.alive = count, np.arange(count)
        self.weights = np.zeros((count, n_features, n_targets))
        self.velocity = np.zeros_like(self.weights)

    def keep(self, kept):
        """Drop runs."""
        self.alive, self.weights = self.alive[kept], self.weights[kept]
        self.velocity = self.velocity[kept]


def _stage_losses(runs, step, X, targets, order, rng):
    """Take the steps of a stage; return the losses of shape (T, R)."""
    size, decay = step.batch_size, step.weight_decay
    losses = np.full((len(step.rates), runs.count), np.inf)
    cumulative = np.cumsum(step.shares)
    if not step.momentum:
        runs.velocity[:] = 0
    for t, rate in enumerate(step.rates.tolist()):
        if not len(runs.alive):
            break
        if order is None:
            drawn = rng.random((runs.count, size)) * cumulative[-1]
            rows = np.searchsorted(cumulative, drawn[runs.alive], side="right")
            rows = np.minimum(rows, len(cumulative) - 1)
        else:
            rows = order[runs.alive, t * size : (t + 1) * size]
        x = _gathered(X, rows.ravel()) - step.moments.mean
        x = x.reshape(len(runs.alive), size, -1)
        residual = x @ runs.weights - (targets[rows] - step.moments.target_mean)
        loss = np.einsum("rbk,rbk->r", residual, residual) / (2 * size)
        losses[t, runs.alive] = np.where(np.isnan(loss), np.inf, loss)
        gradient = x.transpose(0, 2, 1) @ residual / size
        if step.momentum:
            runs.velocity = gradient = step.momentum * runs.velocity + gradient
        runs.weights = (1 - rate * decay) * runs.weights - rate * gradient
        kept = np.isfinite(loss)
        if not kept.all():
            runs.keep(kept)
    return losses


def _gathered(X, rows):
    """Return rows of an array or a sparse matrix as an array."""
    return X[rows].toarray() if sparse.issparse(X) else X[rows].astype(float, copy=False)


def _smooth(medians):
    """Return means of logarithms over windows that are centred."""
    length = len(medians)
    steps = np.arange(length)
    reach = np.minimum(steps, length - 1 - steps)
    reach = np.minimum(reach, length // (2 * _SMOOTHED))
    logs = np.log(np.maximum(medians, np.finfo(float).tiny))
    sums = np.concatenate([[0.0], np.cumsum(logs)])
    return np.exp((sums[steps + reach + 1] - sums[steps - reach]) / (2 * reach + 1))
