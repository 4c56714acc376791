"""Which of several partitions separates rows held out best."""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp, ndtr

_SPLITS = 2
_RIDGE = 0.02
"""Added to the covariance within clusters of whitened scores: discriminants of few rows."""

_MARGIN = 0.05
"""Mean log-likelihood of a row by which another solution must be better: below it the difference
does not change labels for the better (bench_view_choice)."""

_SIGMAS = 2.0
"""Standard errors by which it must be better: one of equals in forty is taken for better."""

_MORE_ROWS = 3.0
"""Times the rows for which claims are made at least."""

_NO_CLUSTER = -9.0
"""Gain of a partition that leaves less than two rows in a cluster of a half."""


def separation_gains(points: np.ndarray, labels: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Return by how much clusters raise the log-likelihood of each row, held out.

    On one half of the rows a linear discriminant of the labels gives k Gaussian laws in k - 1
    directions; the gain of a row of the other half is their log-density less that of one law.
    """
    rng, n = np.random.default_rng(seed), len(points)
    gains = np.zeros(n)
    for _ in range(_SPLITS):
        order = rng.permutation(n)
        halves = order[: n // 2], order[n // 2 :]
        for rows, held_out in (halves, halves[::-1]):
            gains[held_out] += _gains(points[rows], labels[rows], points[held_out], k)
    return gains / _SPLITS


def _gains(points, labels, held_out, k):
    """Return the gains of rows held out from labelled points."""
    counts = np.bincount(labels, minlength=k)
    if counts.min() < 2:
        return np.full(len(held_out), _NO_CLUSTER)
    centre = points.mean(axis=0)
    means = np.stack([points[labels == c].mean(axis=0) for c in range(k)])
    rest = points - means[labels]
    within = rest.T @ rest / len(points) + _RIDGE * np.eye(points.shape[1])
    values, vectors = np.linalg.eigh(within)
    root = vectors / np.sqrt(values)
    basis = np.linalg.svd(root.T @ (means - centre).T, full_matrices=False)[0][:, : k - 1]
    D = root @ basis
    variances = np.maximum(((rest @ D) ** 2).mean(axis=0), 1e-12)
    t, m, all_ = (held_out - centre) @ D, (means - centre) @ D, (points - centre) @ D
    squares = ((t[:, None] - m) ** 2 / variances).sum(axis=2)
    joint = np.log(counts / len(points)) - 0.5 * squares - 0.5 * np.log(variances).sum()
    total = all_.T @ all_ / len(points) + 1e-12 * np.eye(D.shape[1])
    one = (t * np.linalg.solve(total, t.T).T).sum(axis=1) + np.linalg.slogdet(total)[1]
    return logsumexp(joint, axis=1) + 0.5 * one


def best_partition(gains: np.ndarray, k: int) -> int:
    """Return which partition is kept: of two clusters the first, unless another is better for sure.

    `gains` (c, n) are those of rows held out. More than two clusters of the nested solution are
    those of a mixture in k - 1 directions, which has no advantage: the best is kept.
    """
    best, most = 0, 0.0
    for index, gain in enumerate(gains[1:], 1):
        difference, error = _mean_and_error(gain - gains[0])
        if difference > max(most, _least(error, k)):
            best, most = index, difference
    return best


def chances_of_others(gains: np.ndarray, kept: int, k: int) -> np.ndarray:
    """Return how probable it is that more rows would favour each partition over the one kept.

    The gains on three times the rows are normal about those seen, with errors of both.
    """
    chances = np.zeros(len(gains))
    for index in np.flatnonzero(np.arange(len(gains)) != kept):
        difference, error = _mean_and_error(gains[index] - gains[kept])
        least = _least(error / np.sqrt(_MORE_ROWS), k)
        limit = least if kept == 0 else (-least if index == 0 else 0.0)
        spread = max(error * np.sqrt(1 + 1 / _MORE_ROWS), 1e-300)
        chances[index] = ndtr((difference - limit) / spread)
    return chances


def _mean_and_error(difference):
    """Return the mean of a difference of gains and its standard error."""
    return float(difference.mean()), float(difference.std() / np.sqrt(len(difference)))


def _least(error, k):
    """Return by how much a partition must be better than that of the nested solution."""
    return max(_MARGIN, _SIGMAS * error) if k == 2 else 0.0
