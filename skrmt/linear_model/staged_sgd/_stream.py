"""Further rows for a staged model, as they come."""

from __future__ import annotations

from math import isfinite
from typing import NamedTuple

import numpy as np

from ...linalg import get_backend, is_torch, to_numpy
from ._fit import checked_stages
from ._law import critical_rate, stage_law

_BATCH = 32
_ROWS_OF_SPREAD = 500


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


def stream_steps(estimator, stream, X, targets, weights, coef):
    """Take one pass over rows in the order given."""
    values = to_numpy(X)
    total = stream.weight + weights.sum()
    if estimator.fit_intercept:
        share = weights / total
        before = stream.weight / total
        mean = before * stream.mean + share @ values
        target_mean = before * stream.target_mean + share @ targets
        stream = stream._replace(mean=mean, target_mean=target_mean)
    schedule = _Schedule(estimator, values, targets, weights, stream)
    slope, losses = _steps(schedule, stream, X, targets - stream.target_mean, weights, coef)
    step = stream.step + len(losses)
    stream = stream._replace(weight=float(total), critical=schedule.critical, step=step)
    return stream, slope, np.array(losses)


def _steps(schedule, stream, X, targets, weights, coef):
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
            rate, size, decay = schedule.at(step)
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
                gradient *= rate / mass
                slope -= gradient
            losses.append(loss)
            first, step = first + size, step + 1
    return np.atleast_2d(to_numpy(slope).T), losses


def _large_mean(X, mean):
    """Tell whether the mean is so large that differences of products would lose digits."""
    rows = np.asarray(to_numpy(X[:_ROWS_OF_SPREAD]), dtype=float)
    return bool((mean**2).sum() > 10 * ((rows - mean) ** 2).sum(axis=1).mean())


class _Schedule:
    """Rate, batch size and weight decay of a step, beyond the last stage too."""

    def __init__(self, estimator, X, targets, weights, stream):
        self.stages, self.critical = checked_stages(estimator.stages), dict(stream.critical)
        self.law, self.rates = None, {}
        self.data = X, targets, weights / weights.sum(), bool(estimator.fit_intercept)
        if isinstance(self.stages, str):
            return
        for stage in self.stages:
            if stage.mixture is not None:
                raise ValueError(
                    f"{stage!r} has a mixture, but partial_fit takes rows as they come: draw the "
                    "rows of the mixture yourself, or use fit."
                )

    def _critical(self, size):
        """Return the critical rate of a batch size."""
        if size not in self.critical:
            if self.law is None:
                self.law = stage_law(*self.data)
            self.critical[size] = critical_rate(self.law, size)
        rate = self.critical[size]
        return rate if np.isfinite(rate) else 0.0

    def at(self, step):
        """Return what a step needs."""
        if isinstance(self.stages, str):
            size = min(_BATCH, len(self.data[2]))
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
