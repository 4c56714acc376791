"""Other solutions than that of the nested model: on standardised views side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh
from sklearn.cluster import KMeans

from ._clusters import Clusters
from ._modes import UnitMixture, bimodal_direction, fit_gaussian_clusters, fit_tied_mixture

_MOST_COMPONENTS = 8
"""Leading components of the views together among which clusters are sought, as many as the nested
solution has."""

_ROWS_PER_COMPONENT = 15
"""Fewest rows for each of them: a bimodal direction among more would fit the noise."""

_MIXTURE_COMPONENTS = 5
"""Leading components on which Gaussian laws of unequal covariances are fitted."""

_TIED_COMPONENTS = 4
"""Leading components on which more than two Gaussian laws are fitted."""

_KMEANS_STARTS = 4
"""Starts of k-means, each the best of several draws of its first means."""

_RIDGE = 0.1
"""Penalty of the prediction of a view from the others, over the mean diagonal of the Gram matrix:
any value from .03 to 1 ranks the views alike."""

_LEAST_SHARE = 0.01
"""Least share of its variance that counts as predictable, and 1 less the largest: weights of views
then differ by a factor of ten at most."""


class Table(NamedTuple):
    """Standardised views of some rows, side by side.

    Attributes
    ----------
    Z : ndarray of shape (n, d)
        Their columns, of mean 0 and variance 1.
    means, scales : list of ndarray of shape (p_k,)
        What was taken off the columns of each view, and what they were divided by.
    widths : ndarray of int of shape (m,)
        Columns of each view that vary.
    """

    Z: np.ndarray
    means: list[np.ndarray]
    scales: list[np.ndarray]
    widths: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """Where the views but the first begin."""
        return np.cumsum([len(mean) for mean in self.means])[:-1]


class Rival(NamedTuple):
    """A solution on standardised views side by side.

    Attributes
    ----------
    name : str
        Name of the method.
    directions : ndarray of shape (d, q)
        What standardised columns are multiplied with.
    clusters : Clusters
        Clusters of the scores.
    view_weights : ndarray of shape (m,)
        Weights of the views.
    """

    name: str
    directions: np.ndarray
    clusters: Clusters
    view_weights: np.ndarray


def standardised(views: list[np.ndarray]) -> Table:
    """Standardise the columns of views, and put them side by side."""
    means = [view.mean(axis=0) for view in views]
    stds = [view.std(axis=0) for view in views]
    floors = [1e-12 * np.abs(view).max(initial=0.0) for view in views]
    varying = [std > floor for std, floor in zip(stds, floors, strict=True)]
    scales = [np.where(v, std, np.inf) for v, std in zip(varying, stds, strict=True)]
    parts = [(v - mean) / s for v, mean, s in zip(views, means, scales, strict=True)]
    return Table(np.hstack(parts), means, scales, np.array([int(v.sum()) for v in varying]))


def predictable_shares(table: Table, seed: int) -> np.ndarray:
    """Return how much of the variance of each view the others predict, on halves held out."""
    n, m = len(table.Z), len(table.widths)
    if m == 1 or n < 4:
        return np.full(m, 0.5)
    parts = np.split(table.Z, table.ends, axis=1)
    grams = [part @ part.T / max(width, 1) for part, width in zip(parts, table.widths, strict=True)]
    order = np.random.default_rng(seed).permutation(n)
    halves = order[: n // 2], order[n // 2 :]
    shares = []
    for part, gram in zip(parts, grams, strict=True):
        others = np.sum(grams, axis=0) - gram
        folds = [_left_over(others, part, *fold) for fold in (halves, halves[::-1])]
        left, total = np.sum(folds, axis=0)
        shares.append(1 - left / total if total > 0 else 0.0)
    return np.clip(shares, _LEAST_SHARE, 1 - _LEAST_SHARE)


def _left_over(gram, view, rows, held_out):
    """Return the sums of squares of rows of a view beside their ridge prediction and the mean."""
    inner, mean = gram[np.ix_(rows, rows)], view[rows].mean(axis=0)
    penalty = max(_RIDGE * np.trace(inner) / len(rows), 1e-300)
    fit = np.linalg.solve(inner + penalty * np.eye(len(rows)), view[rows] - mean)
    rest = view[held_out] - mean
    return ((rest - gram[np.ix_(held_out, rows)] @ fit) ** 2).sum(), (rest**2).sum()


def leading_directions(Z: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the leading right singular vectors of a matrix, and its singular values."""
    n, d = Z.shape
    gram = Z @ Z.T if n < d else Z.T @ Z
    count = max(1, min(count, n - 1, d))
    values, vectors = eigh(gram, subset_by_index=(len(gram) - count, len(gram) - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    singular = np.sqrt(np.maximum(values, 1e-12 * max(values[0], 1e-300)))
    return (Z.T @ vectors / singular if n < d else vectors), singular


def weighted_space(table: Table, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return directions of whitened leading components, their spreads, and weights of the views.

    Views count by how well the others predict them, whatever their widths.
    """
    n = len(table.Z)
    shares = predictable_shares(table, seed)
    weights = np.sqrt(shares / (1 - shares) / np.maximum(table.widths, 1))
    columns = np.repeat(weights, [len(mean) for mean in table.means])
    count = min(_MOST_COMPONENTS, n // _ROWS_PER_COMPONENT)
    vectors, singular = leading_directions(table.Z * columns, count)
    spreads = singular / np.sqrt(n)
    return columns[:, None] * vectors / spreads, spreads, weights


def rivals(
    table: Table, space: tuple, labels: np.ndarray, n_clusters: int, seed: int
) -> list[Rival]:
    """Return the other solutions; mixtures start from k-means and from given labels."""
    directions, spreads, weights = space
    equal = np.ones(len(weights))
    basis, means, of_means = _k_means(table.Z, n_clusters, seed)
    starts = [of_means, labels]
    vectors, laws = _mixture(table.Z, starts, n_clusters)
    found = [
        Rival("kmeans", basis, means, equal),
        Rival("gaussian_mixture", vectors, laws, equal),
    ]
    if n_clusters == 2:
        clusters = _two_modes(table.Z @ directions, seed)
        return [Rival("components", directions, clusters, weights), *found]
    raw = (directions * spreads)[:, :_TIED_COMPONENTS]
    fit = fit_gaussian_clusters(table.Z @ raw, starts, n_clusters, tied=True)
    return [Rival("components", raw, of_mixture(fit, fit.priors), weights), *found]


def _two_modes(whitened, seed):
    """Return two clusters along the direction of two modes."""
    direction = bimodal_direction(whitened, seed)
    direction = direction * np.sign(direction[np.abs(direction).argmax()])
    fit = fit_tied_mixture(whitened @ direction)
    priors = np.array([1 - fit.prior, fit.prior])
    nan = float("nan")
    return Clusters(
        fit.slope * direction,
        float(-fit.slope * fit.threshold),
        None,
        priors,
        float(fit.threshold),
        nan,
        nan,
        False,
    )


def _k_means(Z, n_clusters, seed):
    """Return directions between the means of k-means, clusters of equal shares, and labels."""
    fit = KMeans(n_clusters, n_init=_KMEANS_STARTS, random_state=seed).fit(Z)
    centres = fit.cluster_centers_.astype(np.float64)
    middle = centres.mean(axis=0)
    basis = np.linalg.svd(centres - middle, full_matrices=False)[2][: n_clusters - 1].T
    rest = (Z - centres[fit.labels_]) @ basis
    unit = max(np.sqrt((rest**2).mean()), 1e-6 * np.sqrt(((centres - middle) ** 2).mean()), 1e-300)
    shares = np.full(n_clusters, 1 / n_clusters)
    mixture = UnitMixture(centres @ basis / unit, shares, int(fit.n_iter_))
    counts = np.bincount(fit.labels_, minlength=n_clusters) / len(Z)
    return basis / unit, of_mixture(mixture, counts), fit.labels_


def _mixture(Z, starts, n_clusters):
    """Return leading components, and Gaussian laws of unequal covariances on them."""
    count = min(_MIXTURE_COMPONENTS, max(1, len(Z) // (_ROWS_PER_COMPONENT * n_clusters) + 1))
    vectors, _ = leading_directions(Z, count)
    fit = fit_gaussian_clusters(Z @ vectors, starts, n_clusters, tied=False)
    return vectors, of_mixture(fit, fit.priors)


def of_mixture(mixture: Any, shares: np.ndarray) -> Clusters:
    """Return clusters by the log-densities of a mixture; what the model claims of them is nan."""
    nan = float("nan")
    return Clusters(None, 0.0, mixture, shares, nan, nan, nan, False, mixture.n_iter)
