"""Monte Carlo of the cells of phase diagrams, all of a task in few batched calls.

A task is some lines of a grid. Every line has a seed of its own: what is drawn for a cell depends
on neither the tasks nor the blocks that fit into memory.
"""

from __future__ import annotations

from itertools import tee
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ..linalg import as_device, to_numpy
from ..theory import preference, sgd
from ._phase_cells import cell_blocks, rank_one_cells, ridge_cells, sgd_cells, spiked_matrix_cells

VIEWS = 4
CANDIDATES = 100
TOKENS = 20
SEPARATION = 1.5
"""Distance of the class means from 0: an accuracy of 93 %, far from both chance and certainty."""
_BURN_IN, _STEPS = 300, 300
_ROUNDS = 12
"""Rounds of self-play after which the ratio of successive steps is read."""
_SMALLEST_STEP = 1e-11
"""Steps below this are spoilt by rounding."""


class Plan(NamedTuple):
    """How to draw.

    Attributes
    ----------
    size : int
        Number of features, or length of an axis.
    n_draws : int
        Draws of every cell.
    device : str or None
        Torch device to compute on; NumPy by default.
    memory : float
        Bytes that a batch may take, draws in double precision included.
    """

    size: int
    n_draws: int
    device: str | None = None
    memory: float = 2.0**28


class Streams:
    """Generators of the lines of a grid, read in the order of the cells.

    Parameters
    ----------
    seeds : sequence of int
        One a line.
    role : int
        Number of the stream, other for other purposes.
    per_line : int
        Problems of a line: cells times draws.
    """

    def __init__(self, seeds, role, per_line):
        self.generators = [np.random.default_rng([int(seed), role]) for seed in seeds]
        self.per_line = per_line

    def normal(self, problems, *shape):
        """Return standard normal numbers for a slice of the problems."""
        return self._draw("standard_normal", problems, shape)

    def uniform(self, problems, *shape):
        """Return uniform numbers for a slice of the problems."""
        return self._draw("random", problems, shape)

    def _draw(self, method, problems, shape):
        """Draw from the generators of all lines that the slice crosses."""
        found, start = np.empty((problems.stop - problems.start, *shape)), problems.start
        while start < problems.stop:
            line = start // self.per_line
            stop = min(problems.stop, (line + 1) * self.per_line)
            here = slice(start - problems.start, stop - problems.start)
            getattr(self.generators[line], method)(out=found[here])
            start = stop
        return found


def _repeat(values, n_draws):
    """Return one entry per problem."""
    return np.repeat(np.asarray(values, dtype=float), n_draws)


def _ridge_draws(norms, noise, penalties, kept, plan, seeds):
    """Return the accuracies of ridge classifiers on classes at +-mu, one a problem."""
    n, per_line = noise.shape[1], len(norms) // len(seeds)
    rows, labels = (Streams(seeds, role, per_line) for role in (0, 1))
    found = np.empty(len(norms))
    for cells in cell_blocks(len(norms), 3 * n * plan.size, plan.memory):
        X = rows.normal(cells, n, plan.size)
        X[:, :, 0] += norms[cells, None]
        X *= kept[cells, :, None]
        flips = np.where(labels.uniform(cells, n) < noise[cells], -1.0, 1.0) * kept[cells]
        given = (as_device(part, plan.device) for part in (X, flips, penalties[cells]))
        w = to_numpy(ridge_cells(*given))
        found[cells] = ndtr(norms[cells] * w[:, 0] / np.linalg.norm(w, axis=1))
    return found.reshape(-1, plan.n_draws)


def noisy_labels(x, y, plan, seeds):
    """Draw accuracies of ridge classifiers on noisy labels."""
    x, y, n = _repeat(x, plan.n_draws), _repeat(y, plan.n_draws), 2 * plan.size
    noise = np.repeat(y[:, None], n, axis=1)
    penalties = np.full(len(x), float(n))
    return _ridge_draws(x, noise, penalties, np.ones_like(noise), plan, seeds)


def synthetic_mix(x, y, plan, seeds):
    """Draw accuracies of ridge classifiers on real and synthetic rows."""
    size = plan.size
    made, y = np.round(_repeat(x, plan.n_draws) * size), _repeat(y, plan.n_draws)
    position = np.arange(size + int(made.max()))
    noise = np.where(position < size, 0.0, y[:, None])
    kept = (position < size + made[:, None]).astype(float)
    norms = np.full(len(y), SEPARATION)
    return _ridge_draws(norms, noise, size + made, kept, plan, seeds)


def pairs(x, y, plan, seeds):
    """Draw accuracies of the ipo policy on pairs of which some are judged wrongly."""
    given, y = np.round(_repeat(x, plan.n_draws) * plan.size), _repeat(y, plan.n_draws)
    position = np.arange(int(given.max()))
    noise = np.repeat(y[:, None], len(position), axis=1)
    kept = (position < given[:, None]).astype(float)
    return _ridge_draws(np.full(len(y), SEPARATION), noise, given, kept, plan, seeds)


def chains(x, y, plan, seeds):
    """Draw chains of models, each trained on what the one before wrote; a line has one size."""
    sizes, generations = np.round(x).astype(int), np.round(y).astype(int)
    found = np.empty((len(x), plan.n_draws))
    for n, seed, line in zip(*_lines(sizes, seeds), strict=True):
        rng, p = np.random.default_rng(int(seed)), np.full((plan.n_draws, TOKENS), 1.0 / TOKENS)
        for generation in range(1, generations[line].max() + 1):
            p = rng.multinomial(n, p) / n
            found[line][generations[line] == generation] = 1.0 - (p * p).sum(1)
    return found / (1.0 - 1.0 / TOKENS)


def _lines(values, seeds):
    """Return the one value, the seed and the slice of cells of every line."""
    cells = len(values) // len(seeds)
    slices = [slice(k * cells, (k + 1) * cells) for k in range(len(seeds))]
    return [values[line][0] for line in slices], seeds, slices


def tensor_shape(ratio, size):
    """Return the shape of a tensor whose first axis is `ratio` times as long as the others."""
    return max(2, round(float(ratio) * size)), size, size


def tensors(x, y, plan, seeds):
    """Draw overlaps of rank-one fits from a spectral start; a line has one shape."""
    found = np.empty((len(x), plan.n_draws))
    for ratio, seed, line in zip(*_lines(y, seeds), strict=True):
        shape = tensor_shape(ratio, plan.size)
        betas = _repeat(x[line], plan.n_draws) * np.sqrt(sum(shape))
        noise, values = Streams([seed], 0, len(betas)), np.empty(len(betas))
        for cells in cell_blocks(len(betas), 6 * int(np.prod(shape)), plan.memory):
            T = noise.normal(cells, *shape)
            T[:, 0, 0, 0] += betas[cells]
            factors = rank_one_cells(as_device(T, plan.device))
            values[cells] = np.mean([to_numpy(u)[:, 0] ** 2 for u in factors], axis=0)
        found[line] = values.reshape(-1, plan.n_draws)
    return found


def views(x, y, plan, seeds):
    """Draw accuracies of the leading component of the combined views."""
    size, norms = plan.size, _repeat(x, plan.n_draws)
    spread = np.sqrt(1.0 + _repeat(y, plan.n_draws) ** 2 / VIEWS)
    rows, classes = (Streams(seeds, role, len(norms) // len(seeds)) for role in (0, 1))
    found = np.empty(len(norms))
    for cells in cell_blocks(len(norms), 4 * size * size, plan.memory):
        labels = np.sign(classes.uniform(cells, size) - 0.5)
        Y = rows.normal(cells, size, size) * spread[cells, None, None]
        Y[:, :, 0] += labels * norms[cells, None]
        left = to_numpy(spiked_matrix_cells(as_device(Y, plan.device))[0])
        agreed = (np.sign(left) == labels).mean(1)
        found[cells] = np.maximum(agreed, 1.0 - agreed)
    return found.reshape(-1, plan.n_draws)


def matches(x, y, plan, seeds):
    """Draw accuracies of bilinear matching; a line has every number of known pairs."""
    rho, size = _repeat(x, plan.n_draws), plan.size
    known = np.maximum(1, np.round(_repeat(y, plan.n_draws) * size))
    most = int(known.max())
    left, right = (Streams(seeds, role, len(rho) // len(seeds)) for role in (0, 1))
    found = np.empty(len(rho))
    numbers = 4 * (most + CANDIDATES) * size + CANDIDATES**2
    for cells in cell_blocks(len(rho), numbers, plan.memory):
        r = rho[cells, None, None]
        X = left.normal(cells, most + CANDIDATES, size)
        Y = r * X + np.sqrt(1 - r**2) * right.normal(cells, most + CANDIDATES, size)
        used = (np.arange(most) < known[cells, None])[:, :, None].astype(float)
        X, Y, used = (as_device(part, plan.device) for part in (X, Y, used))
        inner = (X[:, :most] * used).swapaxes(1, 2) @ Y[:, :most]
        scores = X[:, most:] @ inner @ Y[:, most:].swapaxes(1, 2)
        found[cells] = (to_numpy(scores).argmax(2) == np.arange(CANDIDATES)).mean(1)
    return found.reshape(-1, plan.n_draws)


def self_play(x, y, plan, seeds):
    """Play rounds from near the rest point, and measure the rate; every draw is the same."""
    human = np.log(np.arange(1.0, 6.0) / 15.0)
    base = human + 1e-5 * np.sin(np.arange(1.0, 6.0))
    base -= np.log(np.exp(base).sum())
    rates = [_measured_rate(human, base, t, a) for t, a in zip(x, y, strict=True)]
    return np.repeat(np.array(rates)[:, None], plan.n_draws, axis=1)


def _measured_rate(human, base, beta, weight):
    """Return the last ratio of two successive steps that rounding does not spoil."""
    given = {"beta": beta, "mixture_weight": weight}
    rate, moved, policy = 0.0, 0.0, base
    for _ in range(_ROUNDS):
        new = preference.self_play_map("previous", policy, human, base, **given)
        step = float(np.linalg.norm(new - policy))
        if step < _SMALLEST_STEP:
            return rate
        rate = step / moved if moved else rate
        moved, policy = step, new
    return rate


def descents(x, y, plan, seeds):
    """Draw excess risks at the end of long runs; a line has one batch size, and one batched run."""
    found = np.empty((len(x), plan.n_draws))
    for batch, seed, line in zip(*_lines(np.round(y).astype(int), seeds), strict=True):
        critical = sgd.critical_learning_rate(np.ones(plan.size), batch)
        rates = as_device(_repeat(x[line] * critical, plan.n_draws), plan.device)
        steps, again = tee(_steps(seed, (len(rates), batch), plan))
        path = sgd_cells((X[..., :-1] for X in steps), (X[..., -1] for X in again), rates)
        found[line] = to_numpy(path)[_BURN_IN:].mean(0).reshape(-1, plan.n_draws)
    return found


def _steps(seed, shape, plan):
    """Yield rows and noise of every step, one after the other."""
    rng = np.random.default_rng(int(seed))
    for _ in range(_BURN_IN + _STEPS):
        yield as_device(rng.standard_normal((*shape, plan.size + 1)), plan.device)
