"""Choose weights, threshold and penalty by scores of left-out real rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import (
    RidgeBasis,
    coefficients,
    get_backend,
    group_path,
    is_torch,
    loo_path,
    ridge_basis,
    to_numpy,
)
from .._input import data_unit
from ._basis import mix_basis
from ._input import LabelledRows, MixRows
from ._loo_accuracy import criterion_of_sums, criterion_parts, loo_accuracy, score_margins
from ._path import mix_coefficients, mix_loo

_N_WEIGHTS = 8
_N_THRESHOLDS = 8
_MOST_ROUNDS = 4
"""Rounds over three sources or more; the second rarely changes a weight."""
_N_FOLDS = 10
"""Parts of the real rows that are claimed at the choice of the others: with nine tenths of the rows
the choice is nearly that of all."""
_TIE = 1e-10
"""Relative difference of criteria below which the larger penalty and the smaller weight win."""


class MixProblem(NamedTuple):
    """Rows ready for the kernels, data in a unit in which squares neither overflow nor vanish.

    Attributes
    ----------
    real : LabelledRows
        The real rows.
    strata : list of list of LabelledRows
        Kept rows of each source between successive thresholds.
    thresholds : ndarray of shape (c,)
        Smallest score kept; minus infinity first.
    n_classes : int
        K.
    total_weight : float
        W.
    fit_intercept : bool
        Whether an intercept is fitted.
    unit : float
        What the data were divided by.
    basis : MixBasis or RidgeBasis
        Decomposition of all rows.
    """

    real: LabelledRows
    strata: list
    thresholds: np.ndarray
    n_classes: int
    total_weight: float
    fit_intercept: bool
    unit: float
    basis: Any

    def stratum_weights(self, weights: Any, cuts: Any) -> np.ndarray:
        """Return the weight of each stratum, (g, S c), for weights of sources and thresholds."""
        kept = np.arange(len(self.thresholds)) >= np.asarray(cuts, dtype=int)[:, None]
        table = np.asarray(weights, dtype=float)[:, :, None] * kept[:, None, :]
        occupied = [len(stratum.codes) > 0 for source in self.strata for stratum in source]
        return table.reshape(len(table), -1)[:, np.array(occupied, dtype=bool)]


def mix_problem(rows: MixRows, fit_intercept: bool) -> MixProblem:
    """Cut the sources by their verifier scores and decompose the data."""
    assert rows.real is not None
    thresholds, n_classes = score_thresholds(rows.sources), len(rows.classes)
    strata = [_strata(source, thresholds) for source in rows.sources]
    unit = data_unit(rows.real.X)
    real = rows.real._replace(X=in_units(rows.real.X, unit))
    targets = signed_targets(real.codes, n_classes, real.X)
    sources = [
        (
            in_units(stratum.X, unit),
            signed_targets(stratum.codes, n_classes, stratum.X),
            stratum.weights,
        )
        for source in strata
        for stratum in source
        if len(stratum.codes)
    ]
    options: dict[str, Any] = {
        "fit_intercept": fit_intercept,
        "total_weight": rows.total_weight,
        "part": np.minimum(real.part, 1.0),
    }
    basis: Any
    if sources:
        made = [stratum.group for source in strata for stratum in source if len(stratum.codes)]
        groups = None if real.group is None else (real.group, made)
        basis = mix_basis(real.X, targets, sources, real.weights, groups=groups, **options)
    else:
        weights = None if (real.weights == 1).all() else real.weights
        basis = ridge_basis(real.X, weights, **options)
    return MixProblem(
        real, strata, thresholds, n_classes, rows.total_weight, fit_intercept, unit, basis
    )


def in_units(X, unit):
    """Return data divided by a unit, themselves where it is 1."""
    return X if unit == 1.0 else X * (1.0 / unit)


def signed_targets(codes, n_classes, like):
    """Return the targets -1/+1, (n,) or (n, K), beside the data."""
    signs = 2.0 * codes - 1.0 if n_classes == 2 else 2.0 * np.eye(n_classes)[codes] - 1.0
    if is_torch(like):
        return get_backend(like).asarray(signs, like=like, dtype="float64")
    return signs


def stack(parts):
    """Stack data of one kind by rows."""
    if sparse.issparse(parts[0]):
        return sparse.vstack(parts, format="csr")
    if is_torch(parts[0]):
        return get_backend(parts[0]).concatenate(parts, axis=0)
    return np.concatenate(parts)


def score_thresholds(sources):
    """Return minus infinity and, where there are scores, their quantiles."""
    scores = [source.score for source in sources if source.score is not None]
    if not scores:
        return np.array([-np.inf])
    levels = np.arange(1, _N_THRESHOLDS) / _N_THRESHOLDS
    quantiles = np.quantile(np.concatenate(scores), levels, method="inverted_cdf")
    return np.concatenate([[-np.inf], np.unique(quantiles)])


def _strata(source, thresholds):
    """Return the kept rows of a source between successive thresholds."""
    if len(thresholds) == 1 or source.score is None:
        nothing = np.zeros(len(source.kept), dtype=bool)
        return [source.select(source.kept)] + [source.select(nothing) for _ in thresholds[1:]]
    place = np.searchsorted(thresholds, source.score, side="right") - 1
    return [source.select((place == k) & source.kept) for k in range(len(thresholds))]


def exact_scores(problem: MixProblem, alphas: np.ndarray) -> Callable:
    """Return the function that yields exact leave-one-out scores for weights and thresholds."""

    def plain(weights, cuts):
        targets = signed_targets(problem.real.codes, problem.n_classes, problem.real.X)
        if problem.real.group is None:
            loo = loo_path(problem.basis, targets, alphas)[0]
        else:
            loo = group_path(problem.basis, targets, alphas, problem.real.group)
        for index in range(len(weights)):
            yield [index], loo[:, :, None]

    def mixed(weights, cuts):
        yield from mix_loo(problem.basis, problem.stratum_weights(weights, cuts), alphas)

    return plain if isinstance(problem.basis, RidgeBasis) else mixed


def solve(problem: MixProblem, weights, cut, alpha) -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients (q, p) and intercept (q,) at one point of the grid."""
    if isinstance(problem.basis, RidgeBasis):
        targets = signed_targets(problem.real.codes, problem.n_classes, problem.real.X)
        coef, intercept = coefficients(problem.basis, targets, alpha)
    else:
        table = problem.stratum_weights([weights], [cut])
        coef, intercept = mix_coefficients(problem.basis, table[0], alpha)
    return to_numpy(coef), to_numpy(intercept)


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
    real : LabelledRows
        The real rows.
    alphas : ndarray of shape (k,)
        Penalties, increasing.
    criterion : str
        What is minimised.
    """

    def __init__(
        self, left_out: Callable, real: LabelledRows, alphas: np.ndarray, criterion: str
    ) -> None:
        self.left_out, self.real = left_out, real
        self.alphas, self.criterion = alphas, criterion
        self.weights: list[tuple] = []
        self.cuts: list[int] = []
        self.accuracy: list[Any] = []
        self.best: dict[str, Choice] = {}
        self.folds = selection_folds(real)
        self.fold_best: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

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
        for indices, scores in self.left_out(table, positions):
            scores = to_numpy(scores).astype(float)
            value, unseen = self._criteria(scores)
            margins = score_margins(scores, self.real.codes)
            accuracy = loo_accuracy(margins, self.real.weights, self.real.part).accuracy
            for place, index in enumerate(indices):
                self.accuracy[first + index] = accuracy[place]
                roles = self._keep(
                    table[index], positions[index], value[place], scores[:, :, place], role
                )
                self._keep_folds(roles, table[index], unseen[:, place], margins[:, place])

    def _criteria(self, scores):
        """Return the criterion of all rows (h, k), and of those outside each fold (F, h, k)."""
        real = self.real
        parts = criterion_parts(scores, real.codes, real.weights, self.criterion)
        member = np.eye(self.folds.max() + 1)[self.folds].T * real.weights
        inside = [np.tensordot(member, part, axes=1) for part in parts]
        whole = [part.sum(0) for part in inside]
        outside = [total - part for total, part in zip(whole, inside, strict=True)]
        return criterion_of_sums(whole, self.criterion), criterion_of_sums(outside, self.criterion)

    def _keep_folds(self, roles, weights, values, margins):
        """Keep all margins at the best point for the rows outside each fold, (n, F)."""
        lowest = values.min(1)
        near = values <= (lowest + _TIE * np.abs(lowest))[:, None]
        columns = near.shape[1] - 1 - near[:, ::-1].argmax(1)
        value, size = values[np.arange(len(values)), columns], float(weights.sum())
        for role in roles:
            if role not in self.fold_best:
                sizes = np.full(len(value), size)
                self.fold_best[role] = value.copy(), sizes, margins[:, columns]
                continue
            kept, sizes, known = self.fold_best[role]
            side = np.where(size < sizes, -_TIE, _TIE)
            better = kept - value > side * np.abs(value)
            kept[better], sizes[better] = value[better], size
            known[:, better] = margins[:, columns[better]]

    def fair_margins(self, role: str) -> np.ndarray:
        """Return the margin of each row at the choice that the rows outside its fold make.

        Each is in units of the median margin of its point of the grid.
        """
        margins = self.fold_best.get(role, self.fold_best["real"])[2]
        unit = np.maximum(np.median(np.abs(margins), axis=0), 1e-300)
        return (margins / unit)[np.arange(len(margins)), self.folds]

    def _keep(self, weights, cut, values, scores, role):
        """Keep the best penalty of a point under each role it plays."""
        lowest = values.min()
        column = int(np.flatnonzero(values <= lowest + _TIE * abs(lowest))[-1])
        choice = Choice(weights, int(cut), self.alphas[column], values[column], scores[..., column])
        roles = [role] if role else []
        roles += ["real"] * (not weights.any())
        roles += ["mix"] * bool((weights == 1).all() and cut == 0)
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
    search = Search(left_out, problem.real, alphas, criterion)
    n_sources, n_cuts = len(problem.strata), len(problem.thresholds)
    given = not isinstance(synthetic_weight, str)
    used = np.ones(n_sources) if usable is None or given else usable.astype(float)
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
