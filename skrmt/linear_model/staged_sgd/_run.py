"""The steps of a staged fit: batches, spikes, rollbacks, snapshots."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.special import chdtrc, chdtri

from ...linalg import get_backend, is_torch, to_numpy

_FALSE_ALARMS = 0.01
_LONGEST = 3
_LEAST_EXCESS = 1.25
_LOST = 10.0
_BLOCK = 2**17


class Segment(NamedTuple):
    """A stage as the loop sees it.

    Attributes
    ----------
    rates : ndarray of shape (T,)
        Learning rates.
    batch_size : int
        Rows a step.
    weight_decay : float
        Penalty.
    mean : ndarray of shape (p,)
        What is subtracted from features.
    target_mean : ndarray of shape (K,)
        What is subtracted from targets.
    shares : ndarray of shape (n,)
        Probability of each row.
    small_mean : bool, default=False
        Whether the mean is small beside the standard deviations.
    """

    rates: np.ndarray
    batch_size: int
    weight_decay: float
    mean: np.ndarray
    target_mean: np.ndarray
    shares: np.ndarray
    small_mean: bool = False


class Course(NamedTuple):
    """What happened in a fit.

    Attributes
    ----------
    weights : ndarray or tensor of shape (p, K)
        Weights at the end.
    losses : ndarray of shape (T,)
        Half the mean squared residual of each batch before its step.
    spikes : list of (int, float)
        First step and p-value of each spike.
    rollbacks : list of (int, int)
        Step at which it was noticed, and step to which it went back.
    """

    weights: Any
    losses: np.ndarray
    spikes: list
    rollbacks: list


class Watch(NamedTuple):
    """What counts as a spike, and what is done about it.

    Attributes
    ----------
    risks, degrees : ndarray of shape (T,)
        Expected losses and the degrees of freedom of their law.
    max_rollbacks : int
        Most rollbacks.
    risk_of : callable
        Returns the risk of given weights in a stage, from all its rows.
    """

    risks: np.ndarray
    degrees: np.ndarray
    max_rollbacks: int
    risk_of: Any

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

    def __init__(self, X, targets, segments, root, in_order):
        self.X, self.segments, self.root = X, segments, root
        backend = get_backend(X)
        kind = str(X.dtype).rpartition(".")[2]
        self.targets = backend.asarray(targets, like=X, dtype=kind)
        self.means = [backend.asarray(part.mean, like=X, dtype=kind) for part in segments]
        self.centres = [backend.asarray(part.target_mean, like=X, dtype=kind) for part in segments]
        # A mean that is small beside the deviations is accounted for in the products: that saves
        # a pass over the rows. A large one would cost digits.
        self.offsets = [
            mean if part.small_mean else None
            for mean, part in zip(self.means, segments, strict=True)
        ]
        self.order, self.key, self.buffer = None, None, None
        if in_order:
            self.order = np.random.default_rng(root).permutation(len(targets))
        sizes = [part.batch_size for part in segments]
        self.lengths = [max(1, min(_BLOCK // (size * X.shape[1]), 256)) for size in sizes]
        self.ones = backend.asarray(np.ones(max(sizes)), like=X, dtype=kind)
        rows = [len(part.rates) * part.batch_size for part in segments]
        self.first = np.concatenate([[0], np.cumsum(rows)]).astype(int)
        self.cumulative = [None if in_order else np.cumsum(part.shares) for part in segments]

    def get(self, number, step):
        """Return features and targets, centred, of a step of a stage."""
        size = self.segments[number].batch_size
        block, inside = divmod(step, self.lengths[number])
        if self.key != (number, block):
            self._load(number, block, self.lengths[number])
        rows = slice(inside * size, (inside + 1) * size)
        return self.features[rows], self.values[rows]

    def _load(self, number, block, length):
        """Gather the rows of some steps."""
        part = self.segments[number]
        steps = min(length, len(part.rates) - block * length)
        count = steps * part.batch_size
        if self.order is not None:
            start = self.first[number] + block * length * part.batch_size
            rows = self.order[start : start + count]
        else:
            draws = np.random.default_rng([*self.root, number + 1, block]).random(count)
            total = self.cumulative[number]
            rows = np.searchsorted(total, draws * total[-1], side="right")
            rows = np.minimum(rows, len(total) - 1)
        if is_torch(self.X):
            rows = self.X.new_tensor(rows, dtype=None).long()
            self.features = self.X[rows]
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


class _Progress:
    """State of a run that snapshots hold."""

    def __init__(self, weights, n_steps):
        self.step, self.weights = 0, weights
        self.losses = np.full(n_steps, np.nan)
        self.factors = np.ones(n_steps)
        self.skipped: set[int] = set()
        self.spikes: list = []
        self.rollbacks: list = []
        self.streak, self.excursion = 0, False
        self.ring: list = []

    def keep(self):
        """Keep the weights, at most three of them."""
        if not self.ring or self.ring[-1][0] != self.step:
            self.ring = [*self.ring[-2:], (self.step, _copy(self.weights))]

    def back(self, step):
        """Go back to the newest weights that a step has not touched."""
        older = [kept for kept in self.ring if kept[0] <= step]
        self.ring = older or self.ring[:1]
        self.step, self.weights = self.ring[-1][0], _copy(self.ring[-1][1])
        self.streak = 0


def run(batches, weights, watch, *, snapshot_every, store=None, report=None):
    """Take all steps."""
    segments = batches.segments
    bounds = np.concatenate([[0], np.cumsum([len(part.rates) for part in segments])])
    progress = _Progress(weights, int(bounds[-1]))
    if store is not None:
        store.load(progress)
    limits = None if watch is None else watch.thresholds()
    with np.errstate(over="ignore", invalid="ignore"):
        while progress.step < bounds[-1]:
            if progress.step % snapshot_every == 0:
                _snapshot(progress, store, report)
            number = int(np.searchsorted(bounds, progress.step, side="right")) - 1
            stop = min(bounds[number + 1], (progress.step // snapshot_every + 1) * snapshot_every)
            _stretch(progress, batches, number, bounds[number], stop, watch, limits, snapshot_every)
    return Course(progress.weights, progress.losses, progress.spikes, progress.rollbacks)


def _snapshot(progress, store, report):
    """Keep the weights, and write them where there is a store."""
    progress.keep()
    if store is not None:
        store.save(progress)
    if report is not None and progress.step:
        report(progress.step, progress.losses[progress.step - 1])


def _stretch(progress, batches, number, first, stop, watch, limits, every):
    """Take steps of one stage up to the next snapshot, or until something happens."""
    part = batches.segments[number]
    size, decay, losses = part.batch_size, part.weight_decay, progress.losses
    lowest = None if limits is None else limits[-1]
    weights, offset = progress.weights, batches.offsets[number]
    ones, begin = batches.ones, progress.step
    rates = part.rates[begin - first : stop - first].tolist()
    while progress.step < stop:
        step = progress.step
        features, values = batches.get(number, step - first)
        residual = features @ weights
        residual -= values
        if offset is not None:
            residual -= offset @ weights
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
        rate = rates[step - begin] * float(progress.factors[step])
        if decay:
            weights *= 1 - rate * decay
        gradient = features.T @ residual
        if offset is not None:
            total = ones[: len(residual)] @ residual
            gradient -= offset * total if residual.ndim == 1 else offset[:, None] * total
        gradient *= rate / size
        weights -= gradient
        if not isfinite(loss):
            raise ValueError(
                f"the loss overflows at step {step}: the learning rate {rate:g} is too high for "
                "these data. Lower learning_rate, or give it with relative=True."
            )


def _handle(progress, number, step, watch, limits, every):
    """Record a spike if it is one; return whether the run went back."""
    recent = progress.losses[max(0, step - progress.streak + 1) : step + 1]
    length = _exceeding(recent, step, limits)
    if not length:
        return False
    expected = watch.risks[step]
    # Weights wander: what is large for the mean risk need not be for the risk of these weights.
    risk = watch.risk_of(number, progress.weights)
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


def _copy(weights):
    """Return a copy of an array or a tensor."""
    return weights.clone() if is_torch(weights) else weights.copy()


class SnapshotStore:
    """Snapshots of one fit in a folder; whoever fits the same data the same way finds them.

    Parameters
    ----------
    folder : path-like
        The folder; it is made if it is missing.
    identity : sequence of bytes
        What the fit depends on, but for the seed.
    root : list of int
        Seeds of the fit; those of a fit that crashed replace them unless a seed was given.
    """

    def __init__(self, folder, identity, root):
        digest = hashlib.sha256()
        for part in identity:
            digest.update(part)
        self.path = Path(folder) / f"staged_sgd_{digest.hexdigest()[:16]}.npz"
        self.root, self.content = root, None
        if self.path.exists():
            self.content = self._read()
            self.root = self.content["state"]["root"]

    def _read(self):
        """Return the content of the file."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                content = {name: file[name] for name in file.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"the snapshot {self.path} cannot be read ({error}): delete it."
            ) from error
        return content | {"state": json.loads(str(content["state"]))}

    def load(self, progress):
        """Continue where a fit that crashed has stopped."""
        if self.content is None:
            return
        state, backend = self.content["state"], get_backend(progress.weights)
        like = progress.weights
        kind = str(like.dtype).rpartition(".")[2]
        progress.ring = [
            (step, backend.asarray(values.copy(), like=like, dtype=kind))
            for step, values in zip(state["steps"], self.content["ring"], strict=True)
        ]
        progress.step, progress.weights = progress.ring[-1][0], _copy(progress.ring[-1][1])
        progress.losses[:] = self.content["losses"]
        progress.factors[:] = self.content["factors"]
        progress.skipped = set(state["skipped"])
        progress.spikes = [tuple(spike) for spike in state["spikes"]]
        progress.rollbacks = [tuple(rollback) for rollback in state["rollbacks"]]
        progress.streak, progress.excursion = state["streak"], state["excursion"]

    def save(self, progress):
        """Write a snapshot; a crash meanwhile leaves the one before."""
        state = {
            "root": self.root,
            "steps": [step for step, _ in progress.ring],
            "skipped": sorted(progress.skipped),
            "spikes": progress.spikes,
            "rollbacks": progress.rollbacks,
            "streak": progress.streak,
            "excursion": progress.excursion,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(
                file,
                state=np.array(json.dumps(state)),
                ring=np.stack([to_numpy(kept) for _, kept in progress.ring]),
                losses=progress.losses,
                factors=progress.factors,
            )
        part.replace(self.path)

    def remove(self):
        """Delete the file of a fit that is complete."""
        self.path.unlink(missing_ok=True)
