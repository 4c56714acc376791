"""Further rows for a staged model, as they come."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np

from ...linalg import get_backend, is_torch, to_numpy
from ._run import overflow
from ._theory import critical_rate, row_moments

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
    critical : dict of int to float
        Critical rates by batch size, of the rows of the first call.
    step : int
        Number of steps taken.
    """

    weight: float
    mean: np.ndarray
    target_mean: np.ndarray
    critical: dict
    step: int


def new_stream(n_features, n_targets, step):
    """Return a stream of no rows."""
    return Stream(0.0, np.zeros(n_features), np.zeros(n_targets), {}, step)


def stream_steps(stages, fit_intercept, stream, X, targets, weights, coef):
    """Take one pass over rows in the order given; return stream, coefficients and losses."""
    values = to_numpy(X)
    total = stream.weight + weights.sum()
    if fit_intercept:
        share = weights / total
        before = stream.weight / total
        mean = before * stream.mean + share @ values
        target_mean = before * stream.target_mean + share @ targets
        stream = stream._replace(mean=mean, target_mean=target_mean)
    rates = _Rates(stages, fit_intercept, values, targets, weights, stream.critical)
    slope, losses = _steps(rates, stream, X, targets - stream.target_mean, weights, coef)
    step = stream.step + len(losses)
    stream = stream._replace(weight=float(total), critical=rates.critical, step=step)
    return stream, slope, np.array(losses)


def _steps(rates, stream, X, targets, weights, coef):
    """Take the steps; return coefficients of shape (K, p) and losses."""
    backend, kind = get_backend(X), str(X.dtype).rpartition(".")[2]
    # One target in vectors: products with a matrix of one column are slow.
    flat = targets[:, 0] if targets.shape[1] == 1 else targets
    start = coef[0] if targets.shape[1] == 1 else coef.T
    wanted = backend.asarray(flat, like=X, dtype=kind)
    slope = backend.asarray(np.array(start, dtype=float), like=X, dtype=kind)
    slope = slope.clone() if is_torch(slope) else np.array(slope)
    centre = backend.asarray(stream.mean, like=X, dtype=kind)
    if _large_mean(X, stream.mean):
        X, centre = X - centre, None
    equal = bool((weights == weights[0]).all())
    ones = backend.asarray(np.ones(len(weights)), like=X, dtype=kind)
    losses, first, step = [], 0, stream.step
    with np.errstate(over="ignore", invalid="ignore"):
        while first < len(weights):
            rate, size, decay = rates.at(step)
            part = slice(first, first + size)
            features = X[part]
            residual = features @ slope
            residual -= wanted[part]
            if centre is not None:
                residual -= centre @ slope
            weighted, mass = residual, float(len(features))
            if not equal:
                rows = backend.asarray(weights[part], like=X, dtype=kind)
                weighted, mass = (rows * residual.T).T, float(rows.sum())
            squares = weighted.reshape(-1) @ residual.reshape(-1)
            loss = float(squares) / (2 * mass) if mass else 0.0
            if not isfinite(loss):
                raise overflow(step, rate)
            if mass:
                gradient = features.T @ weighted
                if centre is not None:
                    total = ones[part] @ weighted
                    gradient -= centre * total if residual.ndim == 1 else centre[:, None] * total
                if decay:
                    slope *= 1 - rate * decay
                gradient *= rate / mass
                slope -= gradient
            losses.append(loss)
            first, step = first + size, step + 1
    return np.atleast_2d(to_numpy(slope).T), losses


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

    def _critical(self, size):
        """Return the critical rate of a batch size."""
        if size not in self.critical:
            if self.moments is None:
                apart = np.ones(len(self.shares))
                self.moments = row_moments(self.X, self.targets, self.shares, apart, self.centred)
            self.critical[size] = critical_rate(self.moments, size)
        rate = self.critical[size]
        return rate if np.isfinite(rate) else 0.0

    def at(self, step):
        """Return what a step needs."""
        if isinstance(self.stages, str):
            size = min(_BATCH, len(self.shares))
            size = next(iter(self.critical), size)
            return self._critical(size) / 2, size, 0.0
        for stage in self.stages:
            if step < stage.n_steps:
                break
            step -= stage.n_steps
        else:
            step = stage.n_steps - 1
        if id(stage) not in self.rates:
            critical = self._critical(stage.batch_size) if stage.needs_critical_rate else None
            self.rates[id(stage)] = stage.learning_rates(critical)
        return float(self.rates[id(stage)][step]), stage.batch_size, stage.weight_decay
