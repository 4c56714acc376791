"""Choose weights, threshold and penalty by leave-one-out on the real rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg import to_numpy
from ._loo_accuracy import loo_accuracy, loo_criterion, score_margins

_N_WEIGHTS = 8
_TIE = 1e-10


class Choice(NamedTuple):
    """Scores of the real rows at one point of the grid.

    Attributes
    ----------
    weights : ndarray of shape (S,)
        Weights of the sources.
    cut : int
        Position of the threshold.
    alpha : float
        Penalty.
    value : float
        Criterion.
    scores : ndarray of shape (n, q)
        Left-out scores.
    """

    weights: np.ndarray
    cut: int
    alpha: float
    value: float
    scores: np.ndarray


class Search:
    """Grid of weights, thresholds and penalties, evaluated a part at a time.

    Parameters
    ----------
    left_out : callable
        ``left_out(weights (g, S), cuts (g,))`` yields ``(indices, scores (n, q, len, k))``.
    real : RealRows
        The real rows.
    alphas : ndarray of shape (k,)
        Penalties, increasing.
    criterion : str
        What is minimised.
    """

    def __init__(self, left_out, real, alphas, criterion):
        self.left_out, self.real = left_out, real
        self.alphas, self.criterion = alphas, criterion
        self.weights, self.cuts, self.values, self.accuracy = [], [], [], []
        self.best = {}

    def evaluate(self, weights, cuts, role="best"):
        """Evaluate points that have not been, and keep the best of each role."""
        done = {(*w, c) for w, c in zip(self.weights, self.cuts, strict=True)}
        points = dict.fromkeys((*map(float, w), int(c)) for w, c in zip(weights, cuts, strict=True))
        points = [point for point in points if point not in done]
        if not points:
            return
        table = np.array([point[:-1] for point in points]).reshape(len(points), -1)
        positions = np.array([point[-1] for point in points])
        first = len(self.weights)
        self.weights += [point[:-1] for point in points]
        self.cuts += positions.tolist()
        self.values += [None] * len(points)
        self.accuracy += [None] * len(points)
        for indices, scores in self.left_out(table, positions):
            scores = to_numpy(scores).astype(float)
            value = loo_criterion(scores, self.real.observed, self.real.weights, self.criterion)
            margins = score_margins(scores, self.real.observed)
            accuracy = loo_accuracy(margins, self.real.weights).accuracy
            for place, index in enumerate(indices):
                self.values[first + index] = value[place]
                self.accuracy[first + index] = accuracy[place]
                self._keep(table[index], positions[index], value[place], scores[:, :, place], role)

    def _keep(self, weights, cut, values, scores, role):
        """Keep the best penalty of a point under each role it plays."""
        lowest = values.min()
        column = int(np.flatnonzero(values <= lowest + _TIE * abs(lowest))[-1])
        choice = Choice(weights, int(cut), self.alphas[column], values[column], scores[..., column])
        roles = [role] if role else []
        roles += ["real"] * (not weights.any())
        roles += ["mix"] * bool((weights == 1).all() and cut == 0)
        for name in roles:
            kept = self.best.get(name)
            margin = np.inf if kept is None else kept.value - choice.value
            smaller = kept is not None and weights.sum() < kept.weights.sum()
            if margin > (-1 if smaller else 1) * _TIE * abs(choice.value):
                self.best[name] = choice._replace(scores=choice.scores.copy())

    @property
    def choice(self):
        """The best point."""
        return self.best["best"]


def run_search(search, n_sources, n_cuts, synthetic_weight, size_ratio):
    """Evaluate the grid: common weights first, then each source and the threshold in turn."""
    ends = np.array([[0.0] * n_sources, [1.0] * n_sources])[: 2 if n_sources else 1]
    if n_sources == 0:
        search.evaluate(ends, [0])
        return
    if not isinstance(synthetic_weight, str):
        search.evaluate([synthetic_weight], [0])
        search.evaluate(ends, [0, 0], role=None)
        _try_cuts(search, n_cuts)
        return
    grid = weight_grid(size_ratio, _step(search.alphas))
    search.evaluate(np.repeat(grid[:, None], n_sources, axis=1), np.zeros(len(grid)))
    _try_cuts(search, n_cuts)
    for _ in range(2 if n_sources > 1 else int(n_cuts > 1)):
        before = search.choice
        for source in range(n_sources):
            trials = np.repeat(search.choice.weights[None], len(grid), axis=0)
            trials[:, source] = grid
            search.evaluate(trials, np.full(len(grid), search.choice.cut))
        if search.choice.value >= before.value:
            break


def _try_cuts(search, n_cuts):
    """Try every threshold at the best weights, or at weight 1 where they are 0."""
    weights = search.choice.weights
    weights = weights if weights.any() else np.ones(len(weights))
    if n_cuts > 1:
        search.evaluate(np.repeat(weights[None], n_cuts, axis=0), np.arange(n_cuts))


def weight_grid(size_ratio, step=2.15):
    """Return the weights to try, 0 and 1 among them."""
    last = _N_WEIGHTS - 2
    power = 1 if size_ratio * step**-last <= 1.0 else 2
    return np.concatenate([[0.0], step ** (power * np.arange(-last, 1.0))])


def _step(alphas):
    """Return the ratio of successive penalties if it is between 1.6 and 3, else 2.15."""
    ratio = alphas[1] / alphas[0] if len(alphas) > 1 and alphas[0] > 0 else 2.15
    return ratio if 1.6 <= ratio <= 3.0 else 2.15
