"""Further rows for a staged model, as they come."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import get_backend, is_torch, to_numpy
from ._critical import critical_rate
from ._moments import row_moments, sample_rows

_BATCH = 32
"""Batch size of "auto": the largest that one pass of `fit` uses."""
_ROWS_OF_SPREAD = 500
"""Rows from which the spread of a stream is estimated, beside its mean."""


class Stream(NamedTuple):
    """What is known of the rows so far.

    Attributes
    ----------
    weight : float
        Sum of their weights.
    mean : ndarray of shape (p,)
        Mean of the features.
    target_mean : ndarray of shape (K,)
        Mean of the targets.
    critical : dict of (int, float) to float
        Critical rates by batch size and momentum, of the rows of the first call.
    step : int
        Number of steps taken.
    velocity : ndarray of shape (p, K) or None
        What momentum repeats a part of.
    """

    weight: float
    mean: np.ndarray
    target_mean: np.ndarray
    critical: dict
    step: int
    velocity: np.ndarray | None


def new_stream(n_features, n_targets, step):
    """Return a stream of no rows."""
    return Stream(0.0, np.zeros(n_features), np.zeros(n_targets), {}, step, None)


def stream_steps(stages, fit_intercept, stream, X, targets, weights, coef):
    """Take one pass over rows in the order given; return stream, coefficients and losses."""
    values = X if sparse.issparse(X) else to_numpy(X)
    total = stream.weight + weights.sum()
    if fit_intercept:
        share = weights / total
        before = stream.weight / total
        mean = before * stream.mean + share @ values
        target_mean = before * stream.target_mean + share @ targets
        stream = stream._replace(mean=mean, target_mean=target_mean)
    rates = _Rates(stages, fit_intercept, values, targets, weights, stream.critical)
    slope, velocity, losses = _steps(rates, stream, X, targets - stream.target_mean, weights, coef)
    step = stream.step + len(losses)
    stream = stream._replace(
        weight=float(total), critical=rates.critical, step=step, velocity=velocity
    )
    return stream, slope, np.array(losses)


def _steps(rates, stream, X, targets, weights, coef):
    """Take the steps; return coefficients of shape (K, p), velocity of shape (p, K) and losses."""
    like = X[:1].toarray() if sparse.issparse(X) else X
    backend, kind = get_backend(like), str(X.dtype).rpartition(".")[2]

    def moved(array):
        return backend.asarray(np.array(array, dtype=float), like=like, dtype=kind)

    # One target in vectors: products with a matrix of one column are slow.
    flat = targets[:, 0] if targets.shape[1] == 1 else targets
    start = coef[0] if targets.shape[1] == 1 else coef.T
    wanted, slope, centre = moved(flat), moved(start), moved(stream.mean)
    slope = slope.clone() if is_torch(slope) else np.array(slope)
    velocity = None
    if stream.velocity is not None:
        velocity = moved(stream.velocity.reshape(start.shape))
    if not sparse.issparse(X) and _large_mean(X, stream.mean):
        X, centre = X - centre, None
    equal = bool((weights == weights[0]).all())
    ones = moved(np.ones(len(weights)))
    losses, first, step = [], 0, stream.step
    with np.errstate(over="ignore", invalid="ignore"):
        while first < len(weights):
            rate, size, decay, mu = rates.at(step)
            part = slice(first, first + size)
            features = X[part]
            residual = features @ slope
            residual -= wanted[part]
            if centre is not None:
                residual -= centre @ slope
            weighted, mass = residual, float(features.shape[0])
            if not equal:
                rows = moved(weights[part])
                weighted, mass = (rows * residual.T).T, float(rows.sum())
            squares = weighted.reshape(-1) @ residual.reshape(-1)
            loss = float(squares) / (2 * mass) if mass else 0.0
            if not isfinite(loss):
                raise ValueError(
                    f"the loss overflows at step {step}: the learning rate {rate:g} is too high "
                    "for these data. Lower learning_rate, or give it with relative=True."
                )
            if mass:
                gradient = features.T @ weighted
                if centre is not None:
                    total = ones[part] @ weighted
                    gradient -= centre * total if residual.ndim == 1 else centre[:, None] * total
                if decay:
                    slope *= 1 - rate * decay
                gradient *= 1 / mass
                if mu:
                    velocity = gradient if velocity is None else mu * velocity + gradient
                    gradient = velocity
                else:
                    velocity = None
                slope -= rate * gradient
            losses.append(loss)
            first, step = first + size, step + 1
    if velocity is not None:
        velocity = to_numpy(velocity).astype(float).reshape(X.shape[1], -1)
    return np.atleast_2d(to_numpy(slope).T), velocity, losses


def _large_mean(X, mean):
    """Return whether the mean is so large that differences of products would lose digits."""
    rows = np.asarray(to_numpy(X[:_ROWS_OF_SPREAD]), dtype=float)
    return bool((mean**2).sum() > 10 * ((rows - mean) ** 2).sum(axis=1).mean())


class _Rates:
    """Rate, batch size and weight decay of a step, beyond the last stage too."""

    def __init__(self, stages, fit_intercept, X, targets, weights, critical):
        self.stages, self.critical = stages, dict(critical)
        self.X, self.targets, self.shares = X, targets, weights / weights.sum()
        self.centred = fit_intercept
        self.moments, self.rates = None, {}
        for stage in [] if isinstance(stages, str) else stages:
            if stage.mixture is not None:
                raise ValueError(
                    f"{stage!r} has a mixture, but partial_fit takes rows as they come: draw the "
                    "rows of the mixture yourself, or use fit."
                )

    def _critical(self, size, momentum=0.0):
        """Return the critical rate of a batch size and a momentum."""
        if (size, momentum) not in self.critical:
            if self.moments is None:
                apart = np.ones(len(self.shares))
                self.moments = row_moments(self.X, self.targets, self.shares, apart, self.centred)
                self.sample = sample_rows(self.moments)
            self.critical[size, momentum] = critical_rate(self.moments, self.sample, size, momentum)
        rate = self.critical[size, momentum]
        return rate if np.isfinite(rate) else 0.0

    def at(self, step):
        """Return what a step needs."""
        if isinstance(self.stages, str):
            size = min(_BATCH, len(self.shares))
            size = next(iter(self.critical), (size, 0.0))[0]
            return self._critical(size) / 2, size, 0.0, 0.0
        for stage in self.stages:
            if step < stage.n_steps:
                break
            step -= stage.n_steps
        else:
            step = stage.n_steps - 1
        if id(stage) not in self.rates:
            critical = None
            if stage.needs_critical_rate:
                critical = self._critical(stage.batch_size, stage.momentum)
            self.rates[id(stage)] = stage.learning_rates(critical)
        rate = float(self.rates[id(stage)][step])
        return rate, stage.batch_size, stage.weight_decay, stage.momentum
