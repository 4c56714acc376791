"""The subjects of phase diagrams: what theory says of two parameters, and how to simulate it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ..linalg import (
    as_device,
    cell_blocks,
    rank_one_cells,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
    to_numpy,
)
from ..theory import (
    collapse,
    nested_tensor,
    noisy_labels,
    preference,
    representation,
    sgd,
    spiked_tensor,
    synthetic_mix,
)

_VIEWS = 4
_TOKENS = 20
_BURN_IN, _STEPS = 300, 300
_ROUNDS = 12
_SPOILT = 1e-11


class Subject(NamedTuple):
    """Two parameters and a quantity.

    Attributes
    ----------
    title : str
        The question.
    axes : tuple of str
        Names of the parameters.
    ranges : tuple of tuple of float
        Ends of the two grids.
    quantity : str
        What is predicted.
    theory : callable
        ``theory(x, y, size)`` gives the quantity for vectors of parameters.
    levels : tuple of float
        Values of the quantity at which a line is drawn.
    simulate : callable
        ``simulate(x, y, size, n_draws, rng, device)`` gives draws of shape (cells, n_draws).
    logarithmic : bool
        Whether theory gives the logarithm to base 10 of what is simulated.
    ceiling : float
        Largest value that is drawn.
    n_points : int
        Values of a parameter where only theory is drawn.
    """

    title: str
    axes: tuple[str, str]
    ranges: tuple[tuple[float, float], tuple[float, float]]
    quantity: str
    theory: Callable
    levels: tuple[float, ...]
    simulate: Callable
    logarithmic: bool = False
    ceiling: float = np.inf
    n_points: int = 61


def _repeat(values, n_draws):
    """Return one entry a draw."""
    return np.repeat(np.asarray(values, dtype=float), n_draws)


def _ridge_draws(norms, noise, penalties, kept, size, rng, device):
    """Return the accuracies of ridge classifiers on classes at +-mu, one a problem.

    Labels of the first rows are right, those of the others wrong at rates of their own: `noise` has
    one column a row. Rows are kept or not, n of them at the most.
    """
    labels, rows = (np.random.default_rng(s) for s in rng.integers(2**62, size=2))
    n = noise.shape[1]
    found = np.empty(len(norms))
    for cells in cell_blocks(len(norms), n * size * 3):
        width = cells.stop - cells.start
        X = rows.standard_normal((width, n, size))
        X[:, :, 0] += norms[cells, None]
        X *= kept[cells, :, None]
        flips = np.where(labels.random((width, n)) < noise[cells], -1.0, 1.0) * kept[cells]
        given = (as_device(part, device) for part in (X, flips, penalties[cells]))
        w = to_numpy(ridge_cells(*given))
        found[cells] = ndtr(norms[cells] * w[:, 0] / np.linalg.norm(w, axis=1))
    return found


def _noisy_labels(x, y, size):
    """Return accuracies of the ridge with 2 rows a feature and penalty 1."""
    rates = (np.asarray(y), np.asarray(y))
    return noisy_labels.lpc(0.5, 1.0, x, noise_rates=rates, perturbation=(0.0, 0.0)).accuracy


def _simulate_noisy(x, y, size, n_draws, rng, device):
    """Draw accuracies of ridge classifiers on noisy labels."""
    x, y, n = _repeat(x, n_draws), _repeat(y, n_draws), 2 * size
    noise = np.repeat(y[:, None], n, axis=1)
    penalties = np.full(len(x), float(n))
    found = _ridge_draws(x, noise, penalties, np.ones_like(noise), size, rng, device)
    return found.reshape(-1, n_draws)


def _mix(x, y, size):
    """Return accuracies of a mix with as many real rows as features, at distance 1.5."""
    return synthetic_mix.isotropic_mix(size, x * size, size, 1.5, alpha=1.0, label_noise=y).accuracy


def _simulate_mix(x, y, size, n_draws, rng, device):
    """Draw accuracies of ridge classifiers on real and synthetic rows."""
    made, y = np.round(_repeat(x, n_draws) * size), _repeat(y, n_draws)
    position = np.arange(size + int(made.max()))
    noise = np.where(position < size, 0.0, y[:, None])
    kept = (position < size + made[:, None]).astype(float)
    norms = np.full(len(y), 1.5)
    found = _ridge_draws(norms, noise, size + made, kept, size, rng, device)
    return found.reshape(-1, n_draws)


def _preference(x, y, size):
    """Return accuracies on clean pairs whose mean difference has norm 1.5, at penalty 1."""
    pairs = np.asarray(x) * size
    cells = zip(pairs, np.asarray(y), strict=True)
    return np.array(
        [preference.pairwise_accuracy(2.25, n, size, alpha=1.0, label_noise=e) for n, e in cells]
    )


def _simulate_preference(x, y, size, n_draws, rng, device):
    """Draw accuracies of the ipo policy on pairs of which some are judged wrongly."""
    pairs, y = np.round(_repeat(x, n_draws) * size), _repeat(y, n_draws)
    position = np.arange(int(pairs.max()))
    noise = np.repeat(y[:, None], len(position), axis=1)
    kept = (position < pairs[:, None]).astype(float)
    norms = np.full(len(y), 1.5)
    return _ridge_draws(norms, noise, pairs, kept, size, rng, device).reshape(-1, n_draws)


def _collapse(x, y, size):
    """Return what is left of the diversity of equally frequent tokens."""
    cells = zip(np.round(x), np.round(y), strict=True)
    left = [collapse.diversity("full", int(m), 1.0 / _TOKENS, int(n)) for n, m in cells]
    return np.array(left) / (1.0 - 1.0 / _TOKENS)


def _simulate_collapse(x, y, size, n_draws, rng, device):
    """Draw chains of models, each trained on what the one before wrote."""
    sizes, generations = np.round(x).astype(int), np.round(y).astype(int)
    found = np.empty((len(x), n_draws))
    for n in np.unique(sizes):
        child = np.random.default_rng([int(rng.integers(2**62)), int(n)])
        p = np.full((n_draws, _TOKENS), 1.0 / _TOKENS)
        wanted = sizes == n
        for generation in range(1, generations[wanted].max() + 1):
            p = child.multinomial(n, p) / n
            found[wanted & (generations == generation)] = 1.0 - (p * p).sum(1)
    return found / (1.0 - 1.0 / _TOKENS)


def _tensor_shape(y, size):
    """Return the shape of tensors whose first axis has y times the length of the others."""
    return max(2, round(float(y) * size)), size, size


def _tensor(x, y, size):
    """Return the mean overlap of a rank-one fit, 0 where none is found."""
    found = []
    for beta, ratio in zip(x, y, strict=True):
        shape = _tensor_shape(ratio, size)
        seen = beta >= spiked_tensor.thresholds(shape).critical
        limit = spiked_tensor.rank_one_limit(beta, shape).alignments
        found.append(float(np.mean(limit**2)) if seen else 0.0)
    return np.array(found)


def _simulate_tensor(x, y, size, n_draws, rng, device):
    """Draw overlaps of rank-one fits from a spectral start."""
    found = np.empty((len(x), n_draws))
    x, y = np.asarray(x), np.asarray(y)
    for ratio in np.unique(y):
        shape = _tensor_shape(ratio, size)
        rows = np.flatnonzero(y == ratio)
        betas = _repeat(x[rows], n_draws)
        noise = np.random.default_rng(int(rng.integers(2**62)))
        values = np.empty(len(betas))
        for cells in cell_blocks(len(betas), 6 * int(np.prod(shape))):
            T = noise.standard_normal((cells.stop - cells.start, *shape))
            T[:, 0, 0, 0] += betas[cells] * np.sqrt(sum(shape))
            factors = rank_one_cells(as_device(T, device))
            values[cells] = np.mean([to_numpy(u)[:, 0] ** 2 for u in factors], axis=0)
        found[rows] = values.reshape(-1, n_draws)
    return found


def _views(x, y, size):
    """Return accuracies of two clusters in four views of equal noise, as many items as features."""
    precision = _VIEWS / np.asarray(y, dtype=float) ** 2
    total = 2 * size + _VIEWS
    theta = np.asarray(x) * np.sqrt(precision * size / total)
    given = {"n_samples": size, "n_features": size, "n_views": _VIEWS}
    return np.array(
        [
            nested_tensor.two_step(**given, theta=t, tau=p).accuracy
            for t, p in zip(theta, precision, strict=True)
        ]
    )


def _simulate_views(x, y, size, n_draws, rng, device):
    """Draw accuracies of the leading component of the combined views."""
    norms, spread = _repeat(x, n_draws), np.sqrt(1.0 + _repeat(y, n_draws) ** 2 / _VIEWS)
    rows, classes = (np.random.default_rng(s) for s in rng.integers(2**62, size=2))
    found = np.empty(len(norms))
    for cells in cell_blocks(len(norms), 4 * size * size):
        width = cells.stop - cells.start
        labels = np.sign(classes.random((width, size)) - 0.5)
        Y = rows.standard_normal((width, size, size)) * spread[cells, None, None]
        Y[:, :, 0] += labels * norms[cells, None]
        left = to_numpy(spiked_matrix_cells(as_device(Y, device))[0])
        agreed = (np.sign(left) == labels).mean(1)
        found[cells] = np.maximum(agreed, 1.0 - agreed)
    return found.reshape(-1, n_draws)


def _matching(x, y, size):
    """Return the accuracy of matching 100 items of correlated spaces from known pairs."""
    cells = zip(np.asarray(x), np.maximum(1, np.round(np.asarray(y) * size)), strict=True)
    return np.array(
        [representation.white_bilinear_accuracy(rho, size, int(m), 100) for rho, m in cells]
    )


def _simulate_matching(x, y, size, n_draws, rng, device):
    """Draw accuracies of bilinear matching."""
    rho = _repeat(x, n_draws)
    seeds = np.maximum(1, np.round(_repeat(y, n_draws) * size))
    total = int(seeds.max()) + 100
    left, right = (np.random.default_rng(s) for s in rng.integers(2**62, size=2))
    found = np.empty(len(rho))
    for cells in cell_blocks(len(rho), 4 * total * size + 10_000):
        r = rho[cells, None, None]
        X = left.standard_normal((cells.stop - cells.start, total, size))
        Y = r * X + np.sqrt(1 - r**2) * right.standard_normal(X.shape)
        known = (np.arange(total - 100) < seeds[cells, None])[:, :, None]
        X, Y = as_device(X, device), as_device(Y, device)
        base = X[:, :-100] * as_device(known.astype(float), device)
        scores = X[:, -100:] @ (base.swapaxes(1, 2) @ Y[:, :-100]) @ Y[:, -100:].swapaxes(1, 2)
        found[cells] = (to_numpy(scores).argmax(2) == np.arange(100)).mean(1)
    return found.reshape(-1, n_draws)


def _self_play(x, y, size):
    """Return by how much the distance from the rest point changes in a round."""
    cells = zip(np.asarray(x), np.asarray(y), strict=True)
    return np.array([abs(preference.self_play_rate("previous", t, a)) for t, a in cells])


def _simulate_self_play(x, y, size, n_draws, rng, device):
    """Play rounds from near the rest point, and measure the rate; every draw is the same."""
    human = np.log(np.arange(1.0, 6.0) / 15.0)
    base = human + 1e-5 * np.random.default_rng(int(rng.integers(2**62))).standard_normal(5)
    base -= np.log(np.exp(base).sum())
    rates = [_measured_rate(human, base, t, a) for t, a in zip(x, y, strict=True)]
    return np.repeat(np.array(rates)[:, None], n_draws, axis=1)


def _measured_rate(human, base, temperature, weight):
    """Return the last ratio of two successive steps that rounding does not spoil."""
    given = {"temperature": temperature, "mixture_weight": weight}
    rate, moved, policy = 0.0, 0.0, base
    for _ in range(_ROUNDS):
        new = preference.self_play_map("previous", policy, human, base, **given)
        step = float(np.linalg.norm(new - policy))
        if step < _SPOILT:
            return rate
        rate = step / moved if moved else rate
        moved, policy = step, new
    return rate


def _sgd(x, y, size):
    """Return the excess risk in the long run over that of the noise, in powers of ten."""
    found = []
    for share, batch in zip(x, np.round(y), strict=True):
        rate = share * sgd.critical_learning_rate(np.ones(size), int(batch))
        floor = sgd.noise_floor(np.ones(size), 1.0, rate, int(batch))
        found.append(np.log10(2.0 * float(floor) - 1.0))
    return np.array(found)


def _simulate_sgd(x, y, size, n_draws, rng, device):
    """Draw excess risks at the end of long runs."""
    found, x, batches = np.empty((len(x), n_draws)), np.asarray(x), np.round(y)
    for batch in np.unique(batches).astype(int):
        rows = np.flatnonzero(batches == batch)
        critical = sgd.critical_learning_rate(np.ones(size), batch)
        rates = _repeat(x[rows] * critical, n_draws)
        drawn = np.random.default_rng(int(rng.integers(2**62)))
        rows_of = [
            as_device(drawn.standard_normal((len(rates), batch, size + 1)), device)
            for _ in range(_BURN_IN + _STEPS)
        ]
        path = sgd_cells(
            [block[:, :, :-1] for block in rows_of],
            [block[:, :, -1] for block in rows_of],
            as_device(rates, device),
        )
        found[rows] = to_numpy(path)[_BURN_IN:].mean(0).reshape(-1, n_draws)
    return found


SUBJECTS = {
    "noisy-labels": Subject(
        "A linear classifier on wrong labels, 2 rows a feature",
        ("Norm of the class means", "Rate of wrong labels"),
        ((0.3, 3.0), (0.0, 0.45)),
        "Accuracy on clean labels",
        _noisy_labels,
        (0.75, 0.9),
        _simulate_noisy,
    ),
    "synthetic-mix": Subject(
        "Synthetic rows beside one real row a feature",
        ("Synthetic rows a feature", "Wrong synthetic labels"),
        ((0.0, 6.0), (0.0, 0.6)),
        "Accuracy",
        _mix,
        (0.75, 0.8, 0.85),
        _simulate_mix,
    ),
    "collapse": Subject(
        "Models trained on the output of models",
        ("Tokens a generation", "Generation"),
        ((8.0, 200.0), (1.0, 60.0)),
        "Diversity that is left",
        _collapse,
        (0.5,),
        _simulate_collapse,
    ),
    "tensor-deflation": Subject(
        "A rank-one component in a noisy tensor",
        ("Norm in units of the noise", "Length of the first axis over the others"),
        ((0.5, 3.5), (0.5, 2.0)),
        "Mean overlap with the truth",
        _tensor,
        (0.5, 0.9),
        _simulate_tensor,
    ),
    "multi-view": Subject(
        "Two clusters in four views, as many items as features",
        ("Norm of the class means", "Noise of the views"),
        ((0.3, 3.5), (0.5, 5.0)),
        "Accuracy of clusters",
        _views,
        (0.75, 0.9),
        _simulate_views,
    ),
    "encoder-matching": Subject(
        "Matching 100 items of two embedding spaces",
        ("Correlation of the spaces", "Known pairs a feature"),
        ((0.3, 0.95), (0.25, 4.0)),
        "Right matches",
        _matching,
        (0.5, 0.9),
        _simulate_matching,
        n_points=13,
    ),
    "preference": Subject(
        "A policy that learns from comparisons",
        ("Pairs a feature", "Pairs judged wrongly"),
        ((0.5, 8.0), (0.0, 0.45)),
        "Accuracy on fresh pairs",
        _preference,
        (0.75, 0.85),
        _simulate_preference,
    ),
    "self-play": Subject(
        "Self-play from the previous policy",
        ("Temperature", "Weight of the base policy"),
        ((0.2, 3.0), (0.0, 0.9)),
        "Distance from rest, a round over the one before",
        _self_play,
        (1.0,),
        _simulate_self_play,
        ceiling=2.0,
    ),
    "staged-sgd": Subject(
        "Stochastic gradient descent in the long run, unit noise",
        ("Learning rate over the critical one", "Batch size"),
        ((0.05, 0.6), (1.0, 16.0)),
        "Excess risk over the noise, log10",
        _sgd,
        (-1.0, 0.0),
        _simulate_sgd,
        logarithmic=True,
    ),
}
