"""The steps of a staged fit: batches, spikes, rollbacks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.special import chdtrc, chdtri

from ...linalg import get_backend, is_torch, to_numpy
from ._moments import RowMoments
from ._simulate import MOST_GROWTH

_FALSE_ALARMS = 0.01
"""Fits in which a stretch of losses counts as a spike by luck."""
_LONGEST = 3
"""Most batches in a row whose losses are compared together."""
_LEAST_EXCESS = 1.25
"""Ratio to the predicted loss below which nothing is a spike, however small its p-value."""
_LOST = 10.0
"""Ratio of the risk of the present weights to the predicted one beyond which they are lost, and
are no measure of what a loss should be."""
_LARGEST = float(np.finfo(float).max)
"""Loss above which a run has diverged at any rate."""
_BURST = 64
"""Steps on a device between two reads of their losses."""
_BLOCK = 2**17
"""Numbers that are gathered at once: what stays in the cache."""


class Watch(NamedTuple):
    """What counts as a spike, and what is done about it.

    Attributes
    ----------
    risks, degrees : ndarray of shape (T,)
        Expected losses and the degrees of freedom of their law.
    max_rollbacks : int
        Most rollbacks.
    moments : list of RowMoments
        Rows of each stage, for the risk of given weights.
    """

    risks: np.ndarray
    degrees: np.ndarray
    max_rollbacks: int
    moments: list[RowMoments]

    def p_value(self, step, loss, risk):
        """Return the probability of a loss as large."""
        return float(chdtrc(self.degrees[step], self.degrees[step] * loss / risk))

    def thresholds(self):
        """Return the losses that one, two or three batches in a row must exceed."""
        level = _FALSE_ALARMS / (_LONGEST * len(self.risks))
        levels = level ** (1 / np.arange(1, _LONGEST + 1))
        ratios = chdtri(self.degrees, levels[:, None]) / self.degrees
        return self.risks * np.maximum(ratios, _LEAST_EXCESS)


class Batches:
    """Batches by stage and step, the same whenever they are asked for."""

    def __init__(self, X, targets, stages, seed, in_order):
        self.X, self.stages, self.seed = X, stages, seed
        single = targets.shape[1] == 1
        like = X[:1].toarray() if sparse.issparse(X) else X
        backend, kind = get_backend(like), str(X.dtype).rpartition(".")[2]

        def moved(values):
            return backend.asarray(values, like=like, dtype=kind)

        # One target in vectors: products with a matrix of one column are slow.
        self.targets = moved(targets[:, 0] if single else targets)
        self.start = moved(np.zeros(X.shape[1:] if single else (X.shape[1], targets.shape[1])))
        self.means = [moved(stage.moments.mean) for stage in stages]
        centres = [stage.moments.target_mean for stage in stages]
        self.centres = [moved(centre[0] if single else centre) for centre in centres]
        # A mean that is small beside the deviations is accounted for in the products: that saves
        # a pass over the rows. A large one would cost digits.
        self.offsets = [
            mean if stage.moments.small_mean else None
            for mean, stage in zip(self.means, stages, strict=True)
        ]
        self.order, self.key, self.buffer = None, None, None
        if in_order:
            self.order = np.random.default_rng(seed).permutation(len(targets))
        sizes = [stage.batch_size for stage in stages]
        self.lengths = [max(1, min(_BLOCK // (size * X.shape[1]), 256)) for size in sizes]
        self.ones = moved(np.ones(max(sizes)))
        rows = [len(stage.rates) * stage.batch_size for stage in stages]
        self.first = np.concatenate([[0], np.cumsum(rows)]).astype(int)
        self.cumulative = [None if in_order else np.cumsum(stage.shares) for stage in stages]

    def get(self, number, step):
        """Return features and targets, centred, of a step of a stage."""
        size = self.stages[number].batch_size
        block, inside = divmod(step, self.lengths[number])
        if self.key != (number, block):
            self._load(number, block, self.lengths[number])
        rows = slice(inside * size, (inside + 1) * size)
        return self.features[rows], self.values[rows]

    def _load(self, number, block, length):
        """Gather the rows of some steps."""
        stage = self.stages[number]
        steps = min(length, len(stage.rates) - block * length)
        count = steps * stage.batch_size
        if self.order is not None:
            start = self.first[number] + block * length * stage.batch_size
            rows = self.order[start : start + count]
        else:
            draws = np.random.default_rng([*self.seed, number + 1, block]).random(count)
            total = self.cumulative[number]
            rows = np.searchsorted(total, draws * total[-1], side="right")
            rows = np.minimum(rows, len(total) - 1)
        if is_torch(self.X):
            rows = self.X.new_tensor(rows, dtype=None).long()
            self.features = self.X[rows]
        elif sparse.issparse(self.X):
            self.features = self.X[rows].toarray()
        else:
            self.features = self._gathered(rows)
        if self.offsets[number] is None:
            self.features -= self.means[number]
        self.values = self.targets[rows] - self.centres[number]
        self.key = (number, block)

    def _gathered(self, rows):
        """Return rows in memory that is used again."""
        if self.buffer is None or len(self.buffer) < len(rows):
            self.buffer = np.empty((len(rows), self.X.shape[1]), dtype=self.X.dtype)
        return np.take(self.X, rows, axis=0, out=self.buffer[: len(rows)], mode="clip")


class Progress:
    """Weights and losses of a run so far, its spikes and rollbacks, and what it can go back to."""

    def __init__(self, weights, n_steps):
        self.step, self.weights, self.velocity = 0, weights, None
        self.losses = np.full(n_steps, np.nan)
        self.factors = np.ones(n_steps)
        self.skipped: set[int] = set()
        self.spikes: list = []
        self.rollbacks: list = []
        self.streak, self.excursion = 0, False
        self.diverged = False
        self.ring: list = []

    def keep(self):
        """Keep weights and velocity, at most three times."""
        if not self.ring or self.ring[-1][0] != self.step:
            kept = self.step, _copy(self.weights), _copy(self.velocity)
            self.ring = [*self.ring[-2:], kept]

    def back(self, step):
        """Go back to the newest weights that a step has not touched."""
        older = [kept for kept in self.ring if kept[0] <= step]
        self.ring = older or self.ring[:1]
        self.step, weights, velocity = self.ring[-1]
        self.weights, self.velocity = _copy(weights), _copy(velocity)
        self.streak = 0

    def stop(self, step):
        """End a run that has diverged with its last finite weights."""
        self.diverged = True
        self.losses[step:] = np.inf
        self.step = step
        if not _finite(self.weights):
            finite = [kept for kept in self.ring if _finite(kept[1])]
            self.step, self.weights, self.velocity = finite[-1]


def run(batches, watch, *, start, snapshot_every, report=None) -> Progress:
    """Take all steps, or those before the loss is too many times that at the start."""
    bounds = np.cumsum([0, *(len(stage.rates) for stage in batches.stages)])
    progress = Progress(batches.start, int(bounds[-1]))
    limits = None if watch is None else watch.thresholds()
    with np.errstate(over="ignore", invalid="ignore"):
        while progress.step < bounds[-1] and not progress.diverged:
            if progress.step % snapshot_every == 0:
                progress.keep()
                if report is not None and progress.step:
                    report(progress.step, progress.losses[progress.step - 1])
            number = int(np.searchsorted(bounds, progress.step, side="right")) - 1
            stop = min(bounds[number + 1], (progress.step // snapshot_every + 1) * snapshot_every)
            highest = MOST_GROWTH * start if batches.stages[number].unstable else np.inf
            steps = Stretch(number, bounds[number], stop, highest)
            _stretch(progress, batches, steps, watch, limits, snapshot_every)
    return progress


class Stretch(NamedTuple):
    """Steps of a stage up to the next snapshot.

    Attributes
    ----------
    number : int
        Which stage.
    first, stop : int
        Where the stage begins, and the stretch ends.
    highest : float
        Loss above which the run has diverged.
    """

    number: int
    first: int
    stop: int
    highest: float


def _stretch(progress, batches, steps, watch, limits, every):
    """Take steps of one stage up to the next snapshot, or until something happens."""
    number, first, stop, highest = steps
    stage = batches.stages[number]
    size, losses = stage.batch_size, progress.losses
    if not stage.momentum:
        progress.velocity = None
    elif progress.velocity is None:
        progress.velocity = 0 * progress.weights
    lowest = None if limits is None else limits[-1]
    begin, high, careful = progress.step, 0, progress.step
    rates = stage.rates[begin - first : stop - first].tolist()
    while progress.step < stop:
        step = progress.step
        if is_torch(progress.weights) and step >= careful and not high:
            end = min(step + _BURST, stop)
            limit = min(highest, _LARGEST)
            if _burst(progress, batches, steps, rates[step - begin : end - begin], limits, limit):
                continue
            careful = end
        residual, features = _residual(progress.weights, batches, number, step - first)
        flat = residual.reshape(-1)
        loss = float(flat @ flat) / (2 * size)
        losses[step] = loss
        progress.step += 1
        if step in progress.skipped:
            continue
        # The comparison is written so that nan counts as large.
        if lowest is not None and not loss <= lowest[step]:
            progress.streak += 1
            if _handle(progress, number, step, watch, limits, every):
                return
        else:
            progress.streak, progress.excursion = 0, False
        high = high + 1 if loss > highest else 0
        if high == _LONGEST or not loss <= _LARGEST:
            progress.stop(step)
            return
        rate = rates[step - begin] * float(progress.factors[step])
        _descend(progress, batches, number, rate, residual, features)


def _burst(progress, batches, steps, rates, limits, largest):
    """Take steps on a device and read their losses at once; take none where one is too large.

    To read each loss would wait for the device at each step. Losses that are no spike change
    nothing but the weights, so that the result is that of single steps.
    """
    number, first, *_ = steps
    begin, stage = progress.step, batches.stages[number]
    before = _copy(progress.weights), _copy(progress.velocity)
    found = []
    for step, rate in enumerate(rates, begin):
        residual, features = _residual(progress.weights, batches, number, step - first)
        flat = residual.reshape(-1)
        found.append(flat @ flat)
        if step not in progress.skipped:
            rate = rate * float(progress.factors[step])
            _descend(progress, batches, number, rate, residual, features)
    losses = to_numpy(get_backend(found[0]).stack(found)).astype(float) / (2 * stage.batch_size)
    progress.losses[begin : begin + len(rates)] = losses
    streak, excursion = progress.streak, progress.excursion
    for step, loss in enumerate(losses.tolist(), begin):
        if step in progress.skipped:
            continue
        streak = streak + 1 if limits is not None and not loss <= limits[-1][step] else 0
        excursion = excursion and streak > 0
        recent = progress.losses[max(0, step - streak + 1) : step + 1]
        if not loss <= largest or (streak and _exceeding(recent, step, limits)):
            progress.weights, progress.velocity = before
            return False
    progress.step += len(rates)
    progress.streak, progress.excursion = streak, excursion
    return True


def _residual(weights, batches, number, step):
    """Return the residuals of a step of a stage, and its features."""
    features, values = batches.get(number, step)
    residual = features @ weights
    residual -= values
    if batches.offsets[number] is not None:
        residual -= batches.offsets[number] @ weights
    return residual, features


def _descend(progress, batches, number, rate, residual, features):
    """Move the weights down the gradient of a batch, in place."""
    stage, offset, weights = batches.stages[number], batches.offsets[number], progress.weights
    size, mu = stage.batch_size, stage.momentum
    if stage.weight_decay:
        weights *= 1 - rate * stage.weight_decay
    gradient = features.T @ residual
    if offset is not None:
        total = batches.ones[: len(residual)] @ residual
        gradient -= offset * total if residual.ndim == 1 else offset[:, None] * total
    if mu:
        gradient *= 1 / size
        progress.velocity *= mu
        progress.velocity += gradient
        weights -= rate * progress.velocity
    else:
        gradient *= rate / size
        weights -= gradient


def _handle(progress, number, step, watch, limits, every):
    """Record a spike if it is one; return whether the run went back."""
    recent = progress.losses[max(0, step - progress.streak + 1) : step + 1]
    length = _exceeding(recent, step, limits)
    if not length:
        return False
    expected = watch.risks[step]
    # Weights wander: what is large for the mean risk need not be for the risk of these weights.
    risk = watch.moments[number].risk(progress.weights)
    risk = expected if np.isnan(risk) else max(risk, expected)
    if risk <= _LOST * expected:
        length = _exceeding(recent, step, limits * (risk / expected))
        if not length:
            return False
    else:
        risk = expected
    first = step - length + 1
    if not progress.excursion:
        values = [watch.p_value(t, progress.losses[t], risk) for t in range(first, step + 1)]
        progress.spikes.append((first, float(np.nanmin([*values, 1.0]))))
    if len(progress.rollbacks) >= watch.max_rollbacks:
        progress.excursion = True
        return False
    again = bool(progress.rollbacks) and first - progress.rollbacks[-1][0] <= every
    progress.skipped.update(range(first, step + 1))
    progress.back(first)
    if again:
        progress.factors[progress.step : step + every] *= 0.5
    progress.rollbacks.append((step, progress.step))
    return True


def _exceeding(recent, step, limits):
    """Return how many of the last losses exceed the limits of as many, 0 if none do."""
    for k in range(1, min(_LONGEST, len(recent)) + 1):
        if not (recent[-k:] <= limits[k - 1, step - k + 1 : step + 1]).any():
            return k
    return 0


def _finite(weights):
    """Return whether all weights are numbers."""
    return bool(np.isfinite(to_numpy(weights)).all())


def _copy(weights):
    """Return a copy of an array or a tensor, or None."""
    if weights is None:
        return None
    return weights.clone() if is_torch(weights) else weights.copy()
