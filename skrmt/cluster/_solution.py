"""The whole procedure: views to clusters, along the nested model or as a rival does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linalg import to_numpy
from ..utils._dask import is_dask
from ..utils._rows import block_keys, row_values
from ._accuracy import METHODS, balanced_accuracy, method_accuracies
from ._agreement import agreement
from ._choice import best_partition, chances_of_others, separation_gains
from ._clusters import Clusters, many_clusters, pass_messages, two_clusters
from ._combination import MOST_ROWS, CombinedViews, combine_stack, may_be_correlated
from ._concatenated import concatenate_views
from ._embedding import complete_scores, embed
from ._rivals import Rival, rivals, standardised, weighted_space
from ._views_input import ViewList, ViewStack

Views = ViewStack | ViewList
BY_BLOCKS = ("two_step", "nested_ml")
"""Methods that read Dask arrays block by block."""

RIVALS = ("components", "kmeans", "gaussian_mixture")
_AS_GOOD = 1e-3
"""Accuracy by which another method must exceed the two steps for "auto" to pay for it."""

_LEAST_CHANCE = 0.05
"""Probability from which another solution is one that more samples may favour: an interval of 95 %
has to reach to it."""

_MORE_RIGHT = 0.01
"""Predicted accuracy by which noise that is correlated between views must explain more."""

_LEAST_ROWS = 4
"""Distinct rows per cluster from which other solutions are tried."""


class Options(NamedTuple):
    """Parameters of the procedure; see `NestedTensorClustering`."""

    n_clusters: int
    method: str
    scaling: str
    refine: str | None
    threshold: str
    compare: bool
    tol: float
    max_iter: int
    seed: int
    may_correlate: bool = False

    @property
    def search(self) -> dict[str, Any]:
        """What iterations take."""
        return {"tol": self.tol, "max_iter": self.max_iter, "seed": self.seed}


class Solution(NamedTuple):
    """Clusters of views, and how new samples are assigned to them.

    Attributes
    ----------
    method : str
        The method that found them.
    combined : CombinedViews
        The nested model, whatever found the clusters.
    clusters : Clusters
        Clusters in the embedding.
    embedding : ndarray of shape (n, q)
        Scores of the samples.
    means, loadings : list of ndarray of shape (p_k,) and (p_k, q)
        What is taken off each view, and what it is then multiplied with: the sum are the scores.
    labels : ndarray of shape (n,)
        Clusters of the samples.
    view_weights : ndarray of shape (m,)
        Weights of the views, whose absolute values sum to 1.
    odds_loadings : list of ndarray or None
        Loadings of the log-odds, where messages were passed.
    doubt : float
        Share of the labels on which a solution differs that more samples may favour.
    """

    method: str
    combined: CombinedViews
    clusters: Clusters
    embedding: np.ndarray
    means: list[np.ndarray]
    loadings: list[np.ndarray]
    labels: np.ndarray
    view_weights: np.ndarray
    odds_loadings: list[np.ndarray] | None = None
    doubt: float = 0.0

    @property
    def is_nested(self) -> bool:
        """Whether the clusters are along the nested model."""
        return self.method not in RIVALS


def solve(views: Views, options: Options) -> Solution:
    """Cluster views: along the nested model, or as a rival does where that separates better."""
    solution = nested_solution(views, options)
    nothing = solution.combined.spectrum.n_spikes == 0 or solution.clusters.model_fit
    if nothing or not options.compare or options.n_clusters == 1:
        return solution
    if views.mask is not None or options.refine is not None:
        return solution
    return _best(views, solution, options)


def nested_solution(views: Views, options: Options) -> Solution:
    """Cluster views along the nested model."""
    k, seed = options.n_clusters, options.seed
    combined, method = _combine(views, options)
    embedding, loadings, sure = embed(combined, views, k)
    model_accuracy = balanced_accuracy(combined, views)
    if k == 2:
        clusters = two_clusters(combined, embedding, model_accuracy, options.threshold, seed)
    else:
        clusters = many_clusters(combined, embedding, k, **options.search)
    labels = clusters.labels(embedding if sure is None else embedding * sure[:, None])
    odds_loadings = None
    if options.refine == "amp" and combined.spectrum.n_spikes > 0:
        clusters, labels, odds_loadings = pass_messages(views, combined, clusters)
    weights = combined.weights / np.abs(combined.weights).sum()
    return Solution(
        method,
        combined,
        clusters,
        embedding,
        list(combined.means),
        loadings,
        labels,
        weights,
        odds_loadings,
    )


def _combine(views: Views, options: Options) -> tuple[CombinedViews, str]:
    """Combine the views; return the combination and the method that made it."""
    if isinstance(views, ViewList):
        return concatenate_views(views.X, options.scaling), "concatenated"
    method = "two_step" if options.method == "auto" else options.method
    combined = combine_stack(views, method, options.search)
    if options.method == "auto" and views.mask is None and views.noise_structure != "full":
        scores = method_accuracies(combined, views.shape)
        best = max(BY_BLOCKS if is_dask(views.X) else METHODS, key=scores.__getitem__)
        if scores[best] > scores["two_step"] + _AS_GOOD:
            combined, method = combine_stack(views, best, options.search), best
    if options.may_correlate and may_be_correlated(views, combined):
        full = views._replace(noise_structure="full")
        other = combine_stack(full, method, options.search)
        better = balanced_accuracy(other, full) > balanced_accuracy(combined, views) + _MORE_RIGHT
        if other.white and better:
            return other, method
    return combined, method


def row_keys(views: Views) -> np.ndarray:
    """Return a number per sample, the same for samples that are equal in all views."""
    if isinstance(views, ViewStack):
        return row_values(_keys, views.X)
    parts = [row_values(_keys, view) for view in views.X]
    return np.asarray(parts).T @ np.sqrt(np.arange(2.0, len(parts) + 2.0))


def _keys(rows: Any) -> np.ndarray:
    """Return a number per row of a matrix or a stack."""
    step = max(1, 2**18 // max(1, int(np.prod(rows.shape[1:]))))
    parts = [to_numpy(rows[i : i + step]) for i in range(0, len(rows), step)]
    return np.concatenate([block_keys(part.reshape(len(part), -1)) for part in parts])


def taken(views: Views, rows: np.ndarray) -> Views:
    """Return some samples, in memory."""
    if isinstance(views, ViewList):
        return views._replace(X=[_local(view, rows) for view in views.X])
    mask = None if views.mask is None else views.mask[rows]
    return views._replace(X=_local(views.X, rows), mask=mask, moments=None, head=None)


def _local(X: Any, rows: np.ndarray) -> np.ndarray:
    """Return some rows as a NumPy array in float64."""
    part = X[np.sort(rows)].compute()[np.argsort(np.argsort(rows))] if is_dask(X) else X[rows]
    return np.asarray(to_numpy(part), dtype=np.float64)


def matrices(views: Views) -> list[np.ndarray]:
    """Return a matrix per view."""
    if isinstance(views, ViewList):
        return list(views.X)
    return [views.X[:, :, k] for k in range(views.shape[2])]


def score_rows(
    X: Any, means: list[np.ndarray], loadings: list[np.ndarray], unit: float = 1.0
) -> np.ndarray:
    """Return the scores of samples of a stack in units of `unit`, or of a list of matrices."""
    if isinstance(X, (list, tuple)):
        parts = zip(X, means, loadings, strict=True)
        rows = [
            (np.asarray(to_numpy(v), dtype=np.float64) - a) @ loading for v, a, loading in parts
        ]
        return np.sum(rows, axis=0)
    views = np.asarray(to_numpy(X), dtype=np.float64) - np.stack(means, axis=1) / unit
    views *= unit
    flat = views.transpose(0, 2, 1).reshape(len(views), -1)
    return np.asarray(flat @ np.concatenate(loadings, axis=0))


def decide(solution: Solution, views: Views, unit: float = 1.0) -> np.ndarray:
    """Return the decision for samples with the views of the solution."""
    loadings, clusters = solution.odds_loadings, solution.clusters
    if loadings is not None:
        return scores_of(solution, views, loadings, unit)[0][:, 0]
    scores, sure = scores_of(solution, views, solution.loadings, unit)
    return clusters.decision(scores * sure[:, None])


def scores_of(
    solution: Solution, views: Views, loadings: list[np.ndarray], unit: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of samples, and how sure each is."""
    X: Any = views.X
    if isinstance(views, ViewStack) and views.mask is not None:
        means = np.stack(solution.means, axis=1) / unit
        X = np.where(views.mask[:, None, :], np.asarray(to_numpy(views.X), dtype=float), means)
    scores, combined = score_rows(X, solution.means, loadings, unit), solution.combined
    if views.mask is None and (not solution.is_nested or not _is_incomplete(combined)):
        return scores, np.ones(len(scores))
    weighable = solution.is_nested and solution.method != "unfolding"
    if not weighable or not np.isfinite(combined.noise).all():
        raise ValueError(
            "X has samples without some view, which this fit cannot weigh. Fit three views or "
            "more with method='two_step' and compare=False."
        )
    shape = len(scores), len(solution.means)
    present = np.ones(shape, dtype=bool) if views.mask is None else views.mask
    return complete_scores(combined, scores, present)


def _is_incomplete(combined: CombinedViews) -> bool:
    """Return whether samples of the fit lacked views."""
    return getattr(combined.model, "strengths", None) is not None


def labels_of(decision: np.ndarray) -> np.ndarray:
    """Return the clusters that a decision gives."""
    if decision.ndim == 1:
        return (decision > 0).astype(np.int64)
    return decision.argmax(axis=1)


def sampled_rows(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return the rows on which rivals are fitted, in an order that follows from their content."""
    order = np.argsort(keys, kind="stable")
    if len(order) <= MOST_ROWS:
        return order
    chosen = np.random.default_rng(seed).permutation(len(order))[:MOST_ROWS]
    return order[np.sort(chosen)]


def _best(views: Views, nested: Solution, options: Options) -> Solution:
    """Return the nested solution or the rival that separates rows held out better."""
    k, seed = options.n_clusters, options.seed
    rows = sampled_rows(row_keys(views), seed)
    sample = taken(views, rows)
    table = standardised(matrices(sample))
    if len(np.unique(table.Z, axis=0)) < _LEAST_ROWS * k or table.Z.shape[1] < k:
        return nested
    space = weighted_space(table, seed)
    partitions = [nested.labels[rows]]
    found = rivals(table, space, partitions[0], k, seed)
    partitions += [rival.clusters.labels(table.Z @ rival.directions) for rival in found]
    points = table.Z @ space[0]
    gains = np.stack([separation_gains(points, labels, k, seed) for labels in partitions])
    best = best_partition(gains, k)
    kept = nested if best == 0 else _as_solution(found[best - 1], table, views, nested)
    return kept._replace(doubt=_doubt(partitions, gains, best, k))


def _doubt(partitions: list[np.ndarray], gains: np.ndarray, kept: int, k: int) -> float:
    """Return on how many labels a solution differs that more samples may favour."""
    possible = np.flatnonzero(chances_of_others(gains, kept, k) > _LEAST_CHANCE)
    return max((1 - agreement(partitions[i], partitions[kept], k) for i in possible), default=0.0)


def _as_solution(rival: Rival, table: Any, views: Views, nested: Solution) -> Solution:
    """Return a rival as a solution."""
    parts = np.split(rival.directions, table.ends)
    loadings = [part / scale[:, None] for part, scale in zip(parts, table.scales, strict=True)]
    if isinstance(views, ViewList):
        embedding = np.sum(
            [
                row_values(_one_view, view, shared=(mean, loading))
                for view, mean, loading in zip(views.X, table.means, loadings, strict=True)
            ],
            axis=0,
        )
    else:
        embedding = row_values(score_rows, views.X, shared=(table.means, loadings))
    return nested._replace(
        method=rival.name,
        clusters=rival.clusters._replace(model_accuracy=nested.clusters.model_accuracy),
        embedding=embedding,
        means=table.means,
        loadings=loadings,
        labels=rival.clusters.labels(embedding),
        view_weights=rival.view_weights / rival.view_weights.sum(),
    )


def _one_view(rows: Any, mean: np.ndarray, loading: np.ndarray) -> np.ndarray:
    """Return the scores of rows of one view."""
    return score_rows([rows], [mean], [loading])
