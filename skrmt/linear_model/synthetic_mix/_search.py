"""Choose weights, threshold and penalty by scores of left-out real rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...linalg import get_backend, is_torch, to_numpy
from ._input import LabelledRows, MixRows
from ._loo_accuracy import (
    column_medians,
    criterion_of_sums,
    criterion_parts,
    loo_accuracy,
    score_margins,
)
from ._problem import MixProblem

_N_WEIGHTS = 8
_MOST_ROUNDS = 4
"""Rounds over three sources or more; the second rarely changes a weight."""
_N_FOLDS = 10
"""Parts of the real rows that are claimed at the choice of the others: with nine tenths of the rows
the choice is nearly that of all."""
_SURE = 1.0
"""Standard errors by which weights inside have to beat the best of 0 and 1: the one of Breiman et
al., Classification and Regression Trees (1984)."""
_CELLS = 1 << 18
"""Scores, 2 MB of them, up to which points of the grid are compared at once."""
_TIE = 1e-10
"""Relative difference of criteria below which the larger penalty and the smaller weight win."""


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


class FoldBest(NamedTuple):
    """Best point for the rows outside each of F folds.

    Attributes
    ----------
    values, sizes : ndarray of shape (F,)
        Criterion there, and sum of the weights of the sources.
    margins : ndarray of shape (n, F)
        Margins of all rows.
    parts : list of ndarray of shape (n, F)
        What each row adds to the sums that make the criterion.
    """

    values: np.ndarray
    sizes: np.ndarray
    margins: np.ndarray
    parts: list


class Search:
    """Grid of weights, thresholds and penalties, evaluated a part at a time.

    Parameters
    ----------
    left_out : callable
        ``left_out(weights (g, S), cuts (g,))`` yields ``(indices, scores (n, q, len, k))``.
    real : LabelledRows
        The real rows.
    alphas : ndarray of shape (k,)
        Penalties, increasing.
    criterion : str
        What is minimised.
    full : ndarray of shape (S,)
        Weights at which every usable row counts as a real one.
    """

    def __init__(
        self,
        left_out: Callable,
        real: LabelledRows,
        alphas: np.ndarray,
        criterion: str,
        full: np.ndarray,
    ) -> None:
        self.left_out, self.real, self.full = left_out, real, full
        self.alphas, self.criterion = alphas, criterion
        self.weights: list[tuple] = []
        self.cuts: list[int] = []
        self.accuracy: list[Any] = []
        self.best: dict[str, Choice] = {}
        self.folds = selection_folds(real)
        self.fold_best: dict[str, FoldBest] = {}

    def evaluate(self, weights, cuts, role="best"):
        """Evaluate points that have not been, and keep the best of each role."""
        done = {(*w, c) for w, c in zip(self.weights, self.cuts, strict=True)}
        points = dict.fromkeys((*map(float, w), int(c)) for w, c in zip(weights, cuts, strict=True))
        new = [point for point in points if point not in done]
        if not new:
            return
        table = np.array([point[:-1] for point in new]).reshape(len(new), -1)
        positions = np.array([point[-1] for point in new])
        first = len(self.weights)
        self.weights += [point[:-1] for point in new]
        self.cuts += positions.tolist()
        self.accuracy += [None] * len(new)
        for indices, scores in _joined(self.left_out(table, positions)):
            value, unseen, parts = self._criteria(scores)
            margins = score_margins(scores, self.real.codes)
            accuracy = loo_accuracy(margins, self.real.weights, self.real.part).accuracy
            for place, index in enumerate(indices):
                self.accuracy[first + index] = accuracy[place]
                roles = self._keep(
                    table[index], positions[index], value[place], scores[:, :, place], role
                )
                own = [part[:, place] for part in parts]
                self._keep_folds(roles, table[index], unseen[:, place], margins[:, place], own)

    def _criteria(self, scores):
        """Return the criterion of all rows (h, k), of those outside each fold, and its parts."""
        real = self.real
        parts = criterion_parts(scores, real.codes, real.weights, self.criterion)
        parts = np.broadcast_arrays(*parts)
        member = np.eye(self.folds.max() + 1)[self.folds].T * real.weights
        inside = [(member @ part.reshape(len(part), -1)) for part in parts]
        inside = [sums.reshape(-1, *parts[0].shape[1:]) for sums in inside]
        whole = [sums.sum(0) for sums in inside]
        outside = [total - sums for total, sums in zip(whole, inside, strict=True)]
        unseen = criterion_of_sums(outside, self.criterion)
        return criterion_of_sums(whole, self.criterion), unseen, parts

    def _keep_folds(self, roles, weights, values, margins, parts):
        """Keep what is known of all rows at the best point for the rows outside each fold."""
        lowest = values.min(1)
        near = values <= (lowest + _TIE * np.abs(lowest))[:, None]
        columns = near.shape[1] - 1 - near[:, ::-1].argmax(1)
        value, size = values[np.arange(len(values)), columns], float(weights.sum())
        for role in roles:
            if role not in self.fold_best:
                chosen = [part[:, columns] for part in parts]
                sizes = np.full(len(value), size)
                self.fold_best[role] = FoldBest(value.copy(), sizes, margins[:, columns], chosen)
                continue
            kept = self.fold_best[role]
            side = np.where(size < kept.sizes, -_TIE, _TIE)
            better = kept.values - value > side * np.abs(value)
            kept.values[better], kept.sizes[better] = value[better], size
            kept.margins[:, better] = margins[:, columns[better]]
            for known, part in zip(kept.parts, parts, strict=True):
                known[:, better] = part[:, columns[better]]

    def settle(self) -> None:
        """Take each source as it is or not at all, unless the best point is surely better.

        The best of two hundred points is so by chance where a few rows judge them: it has to beat
        the best of weights 0 and 1 by a standard error, with all rows and outside each fold.
        """
        choices = self.best["best"], self.best["corner"]
        parts = []
        for scores in (choice.scores[:, :, None] for choice in choices):
            own = criterion_parts(scores, self.real.codes, self.real.weights, self.criterion)
            parts.append([np.broadcast_to(part, (len(scores), 1)) for part in own])
        values = [np.array([choice.value]) for choice in choices]
        if not self._surely_better(values, parts, np.ones((1, 1)))[0]:
            self.best["best"] = choices[1]
        bests = self.fold_best["best"], self.fold_best["corner"]
        outside = 1.0 - np.eye(self.folds.max() + 1)[self.folds]
        values, parts = [best.values for best in bests], [best.parts for best in bests]
        other = ~self._surely_better(values, parts, outside)
        bests[0].margins[:, other] = bests[1].margins[:, other]

    def _surely_better(self, values, parts, inside):
        """Return whether the first of two points is better by a standard error, (F,)."""
        error = difference_error(parts[0], parts[1], self.real, inside, self.criterion)
        return values[1] - values[0] > _SURE * error

    def fair_margins(self, role: str) -> np.ndarray:
        """Return the margin of each row at the choice that the rows outside its fold make.

        Each is in units of the median margin of its point of the grid.
        """
        margins = self.fold_best.get(role, self.fold_best["real"]).margins
        unit = np.maximum(column_medians(np.abs(margins)), 1e-300)
        return (margins / unit)[np.arange(len(margins)), self.folds]

    def _keep(self, weights, cut, values, scores, role):
        """Keep the best penalty of a point under each role it plays."""
        lowest = values.min()
        column = int(np.flatnonzero(values <= lowest + _TIE * abs(lowest))[-1])
        choice = Choice(weights, int(cut), self.alphas[column], values[column], scores[..., column])
        roles = [role] if role else []
        roles += ["real"] * (not weights.any())
        roles += ["mix"] * bool((weights == self.full).all() and cut == 0)
        roles += ["corner"] * bool(((weights == 0) | (weights == 1)).all() and cut == 0)
        self._keep_best(roles, choice)
        return roles

    def _keep_best(self, roles, choice):
        """Keep a choice for each role in which it is the best."""
        for name in roles:
            kept = self.best.get(name)
            margin = np.inf if kept is None else kept.value - choice.value
            smaller = kept is not None and choice.weights.sum() < kept.weights.sum()
            if margin > (-1 if smaller else 1) * _TIE * abs(choice.value):
                self.best[name] = choice._replace(scores=choice.scores.copy())

    @property
    def choice(self) -> Choice:
        """The best point."""
        return self.best["best"]

    @property
    def real_only(self) -> Choice:
        """The best point without synthetic rows."""
        return self.best["real"]

    @property
    def mix_all(self) -> Choice:
        """The best point with every synthetic row at weight 1."""
        return self.best.get("mix", self.best["real"])


def _joined(parts):
    """Yield scores of several points at once, as many as memory is cheap for."""
    places, held, size = [], [], 0
    for indices, scores in parts:
        scores = to_numpy(scores).astype(float)
        places.append(np.asarray(indices))
        held.append(scores)
        size += scores.size
        if size > _CELLS:
            yield np.concatenate(places), np.concatenate(held, axis=2)
            places, held, size = [], [], 0
    if held:
        yield np.concatenate(places), np.concatenate(held, axis=2)


def difference_error(one, other, real, inside, criterion) -> np.ndarray:
    """Return standard errors of differences of a criterion, from parts (n, F), by the jackknife."""
    shares = real.weights[:, None] * inside
    part, left = real.part[:, None], []
    for parts in (one, other):
        own = [shares * values for values in parts]
        if real.group is not None:
            member = np.eye(real.group.max() + 1)[real.group].T
            own, part = [member @ values for values in own], 1.0
        sums = [values.sum(0) for values in own]
        without = [total - values for total, values in zip(sums, own, strict=True)]
        left.append(criterion_of_sums(without, criterion) - criterion_of_sums(sums, criterion))
    return np.sqrt((part * (left[0] - left[1]) ** 2).sum(0))


def _content_key(X):
    """Return one number per row that is the same in every container."""
    direction = np.sqrt(np.arange(2.0, X.shape[1] + 2.0))
    if is_torch(X):
        direction = get_backend(X).asarray(direction, like=X, dtype=str(X.dtype).split(".")[-1])
    return np.asarray(to_numpy(X @ direction), dtype=float)


def selection_folds(real: LabelledRows) -> np.ndarray:
    """Return the fold of each real row, which follows from the content of the rows."""
    key, group = _content_key(real.X), real.group
    if group is None:
        group = np.arange(len(key))
    rows = np.lexsort((real.codes, key))
    present, place = np.unique(group[rows], return_index=True)
    first = rows[place]
    order = np.lexsort((key[first], real.codes[first]))
    fold = np.empty(group.max() + 1, dtype=int)
    fold[present[order]] = np.arange(len(order)) % min(_N_FOLDS, len(order))
    return fold[group]


def run_search(
    rows: MixRows,
    problem: MixProblem,
    left_out: Callable,
    alphas: np.ndarray,
    synthetic_weight: Any,
    criterion: str,
    usable: np.ndarray | None = None,
) -> Search:
    """Evaluate common weights first, then all pairs for two sources, or each source in turn.

    Sources that are not usable have weight 0 unless weights are given.
    """
    n_sources, n_cuts = len(problem.strata), len(problem.thresholds)
    given = not isinstance(synthetic_weight, str)
    used = np.ones(n_sources) if usable is None or given else usable.astype(float)
    search = Search(left_out, problem.real, alphas, criterion, used)
    ends = np.array([np.zeros(n_sources), used])[: 1 + bool(used.any())]
    if not used.any():
        search.evaluate(ends, [0])
        return search
    if given:
        search.evaluate([synthetic_weight], [0])
        search.evaluate(ends, [0, 0], role=None)
        _try_cuts(search, n_cuts, used)
        return search
    sizes = np.array([source.size for source in rows.sources])
    grid = weight_grid(float(used @ sizes) / problem.real.size, _step(alphas))
    search.evaluate(grid[:, None] * used, np.zeros(len(grid)))
    _try_cuts(search, n_cuts, used)
    active = np.flatnonzero(used)
    if len(active) == 2:
        pairs = np.zeros((len(grid) ** 2, n_sources))
        pairs[:, active] = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
        search.evaluate(pairs, np.full(len(pairs), search.choice.cut))
        _try_cuts(search, n_cuts, used)
    elif len(active) > 2 or n_cuts > 1:
        _search_in_turn(search, grid, active)
    search.settle()
    return search


def _search_in_turn(search, grid, active):
    """Try each source alone, then the weight of one source after another until none gains."""
    n_sources = len(search.choice.weights)
    if len(active) > 1:
        for source in active:
            trials = np.zeros((len(grid), n_sources))
            trials[:, source] = grid
            search.evaluate(trials, np.full(len(grid), search.choice.cut))
    for _ in range(_MOST_ROUNDS):
        before = search.choice
        for source in active:
            trials = np.repeat(search.choice.weights[None], len(grid), axis=0)
            trials[:, source] = grid
            search.evaluate(trials, np.full(len(grid), search.choice.cut))
        if search.choice.value >= before.value:
            break


def _try_cuts(search, n_cuts, used):
    """Try every threshold at the best weights, or at weight 1 where they are 0."""
    weights = search.choice.weights
    weights = weights if weights.any() else used
    if n_cuts > 1:
        search.evaluate(np.repeat(weights[None], n_cuts, axis=0), np.arange(n_cuts))


def weight_grid(size_ratio, step=2.15):
    """Return the weights to try, 0 and 1 among them."""
    last = _N_WEIGHTS - 2
    # The smallest weight leaves the synthetic rows less than the weight of the real ones.
    power = 1 if size_ratio * step**-last <= 1.0 else 2
    return np.concatenate([[0.0], step ** (power * np.arange(-last, 1.0))])


def _step(alphas):
    """Return the ratio of successive penalties if it is between 1.6 and 3, else 2.15.

    Weights in the steps of the penalties share their ratios, and with them their decompositions.
    """
    ratio = alphas[1] / alphas[0] if len(alphas) > 1 and alphas[0] > 0 else 2.15
    return ratio if 1.6 <= ratio <= 3.0 else 2.15
