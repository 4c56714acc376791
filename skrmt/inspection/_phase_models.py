"""The subjects of phase diagrams: what theory predicts, and how to simulate it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

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
from . import _phase_draws as draws


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
        ``simulate(x, y, plan, seeds)`` gives draws of shape (cells, n_draws) for the cells of
        some lines of the grid, one seed a line.
    lines : {"x", "y"}
        The parameter that is the same in all cells of a line.
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
    lines: str = "y"
    logarithmic: bool = False
    ceiling: float = np.inf
    n_points: int = 61


def _noisy_labels(x, y, size):
    """Return accuracies of the ridge with 2 rows a feature and penalty 1."""
    return noisy_labels.lpc(0.5, 1.0, x, noise_rates=(y, y), perturbation=(0.0, 0.0)).accuracy


def _mix(x, y, size):
    """Return accuracies of a mix with as many real rows as features, at distance 1.5."""
    made = np.round(x * size)
    norm = draws.SEPARATION
    return synthetic_mix.isotropic_mix(size, made, size, norm, alpha=1.0, noise_rate=y).accuracy


def _preference(x, y, size):
    """Return accuracies on clean pairs whose mean difference has norm 1.5, at penalty 1."""
    square = draws.SEPARATION**2
    cells = zip(np.round(x * size), y, strict=True)
    return np.array(
        [preference.pairwise_accuracy(square, n, size, alpha=1.0, noise_rate=e) for n, e in cells]
    )


def _collapse(x, y, size):
    """Return what is left of the diversity of equally frequent tokens."""
    cells = zip(np.round(x), np.round(y), strict=True)
    left = [collapse.diversity("full", int(m), 1.0 / draws.TOKENS, int(n)) for n, m in cells]
    return np.array(left) / (1.0 - 1.0 / draws.TOKENS)


def _tensor(x, y, size):
    """Return the mean overlap of a rank-one fit, 0 where none is found."""
    found = []
    for beta, ratio in zip(x, y, strict=True):
        shape = draws.tensor_shape(ratio, size)
        seen = beta >= spiked_tensor.thresholds(shape).critical
        limit = spiked_tensor.rank_one_limit(beta, shape).alignments
        found.append(float(np.mean(limit**2)) if seen else 0.0)
    return np.array(found)


def _views(x, y, size):
    """Return accuracies of two clusters in four views of equal noise, as many items as features."""
    precision = draws.VIEWS / np.asarray(y, dtype=float) ** 2
    total = 2 * size + draws.VIEWS
    theta = np.asarray(x) * np.sqrt(precision * size / total)
    given = {"n_samples": size, "n_features": size, "n_views": draws.VIEWS}
    return np.array(
        [
            nested_tensor.two_step(**given, theta=t, tau=p).accuracy
            for t, p in zip(theta, precision, strict=True)
        ]
    )


def _matching(x, y, size):
    """Return the accuracy of matching 100 items of correlated spaces from known pairs."""
    cells = zip(x, np.maximum(1, np.round(y * size)), strict=True)
    n = draws.CANDIDATES
    return np.array(
        [representation.white_bilinear_accuracy(rho, size, int(m), n) for rho, m in cells]
    )


def _self_play(x, y, size):
    """Return by how much the distance from the rest point changes in a round."""
    cells = zip(x, y, strict=True)
    return np.array([abs(preference.self_play_rate("previous", t, a)) for t, a in cells])


def _sgd(x, y, size):
    """Return the excess risk in the long run over that of the noise, in powers of ten."""
    found = []
    for share, batch in zip(x, np.round(y), strict=True):
        rate = share * sgd.critical_learning_rate(np.ones(size), int(batch))
        floor = sgd.noise_floor(np.ones(size), 1.0, rate, int(batch))
        found.append(np.log10(2.0 * float(floor) - 1.0))
    return np.array(found)


SUBJECTS = {
    "noisy-labels": Subject(
        "A linear classifier on wrong labels, 2 rows a feature",
        ("Norm of the class means", "Rate of wrong labels"),
        ((0.3, 3.0), (0.0, 0.45)),
        "Accuracy on clean labels",
        _noisy_labels,
        (0.75, 0.9),
        draws.noisy_labels,
    ),
    "synthetic-mix": Subject(
        "Synthetic rows beside one real row a feature",
        ("Synthetic rows a feature", "Wrong synthetic labels"),
        ((0.0, 6.0), (0.0, 0.6)),
        "Accuracy",
        _mix,
        (0.75, 0.8, 0.85),
        draws.synthetic_mix,
    ),
    "collapse": Subject(
        "Models trained on the output of models",
        ("Tokens a generation", "Generation"),
        ((8.0, 200.0), (1.0, 60.0)),
        "Diversity that is left",
        _collapse,
        (0.5,),
        draws.chains,
        lines="x",
    ),
    "tensor-deflation": Subject(
        "A rank-one component in a noisy tensor",
        ("Norm in units of the noise", "Length of the first axis over the others"),
        ((0.5, 3.5), (0.5, 2.0)),
        "Mean overlap with the truth",
        _tensor,
        (0.5, 0.9),
        draws.tensors,
    ),
    "multi-view": Subject(
        "Two clusters in four views, as many items as features",
        ("Norm of the class means", "Noise of the views"),
        ((0.3, 3.5), (0.5, 5.0)),
        "Accuracy of clusters",
        _views,
        (0.75, 0.9),
        draws.views,
    ),
    "encoder-matching": Subject(
        "Matching 100 items of two embedding spaces",
        ("Correlation of the spaces", "Known pairs a feature"),
        ((0.3, 0.95), (0.25, 4.0)),
        "Right matches",
        _matching,
        (0.5, 0.9),
        draws.matches,
        lines="x",
        n_points=13,
    ),
    "preference": Subject(
        "A policy that learns from comparisons",
        ("Pairs a feature", "Pairs judged wrongly"),
        ((0.5, 8.0), (0.0, 0.45)),
        "Accuracy on fresh pairs",
        _preference,
        (0.75, 0.85),
        draws.pairs,
    ),
    "self-play": Subject(
        "Self-play from the previous policy",
        ("Beta", "Weight of the reference policy"),
        ((0.2, 3.0), (0.0, 0.9)),
        "Distance from rest, a round over the one before",
        _self_play,
        (1.0,),
        draws.self_play,
        ceiling=2.0,
    ),
    "staged-sgd": Subject(
        "Stochastic gradient descent in the long run, unit noise",
        ("Learning rate over the critical one", "Batch size"),
        ((0.05, 0.6), (1.0, 16.0)),
        "Excess risk over the noise, log10",
        _sgd,
        (-1.0, 0.0),
        draws.descents,
        logarithmic=True,
    ),
}
