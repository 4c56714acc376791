"""Scores of candidate pairs, learned from known pairs: rows whose scalar products they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from ._inputs import host
from ._local_cka import local_cka_factors, local_kernels

METHODS = ("local_cka", "procrustes", "relative", "cca", "ridge")
_PENALTIES = np.logspace(-4, 4, 17)
_LARGEST_CORRELATION = 0.98
_PAIRS_PER_DIRECTION = 5
_FOLDS = 5
_RANKS = 10


class Options(NamedTuple):
    """What scores are made with.

    Attributes
    ----------
    kernel : str
        Kernel of local CKA and relative representations.
    debiased : bool
        Whether local CKA is the debiased one.
    bandwidths : tuple of float
        Lengths of the RBF kernels.
    """

    kernel: str
    debiased: bool
    bandwidths: tuple


def score_factors(method, base, queries, options):
    """Return rows whose scalar products are the scores of all candidate pairs."""
    if method == "local_cka":
        sides = [
            local_kernels(known, query, kernel=options.kernel, bandwidth=width)
            for known, query, width in zip(base, queries, options.bandwidths, strict=True)
        ]
        return local_cka_factors(*sides, debiased=options.debiased)
    known = [host(side) for side in base]
    means = [side.mean(axis=0) for side in known]
    known = [side - mean for side, mean in zip(known, means, strict=True)]
    asked = [host(side) - mean for side, mean in zip(queries, means, strict=True)]
    return _LEARNED[method](known, asked)


def _unit(rows):
    """Return rows of length 1, or 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def _relative(known, asked):
    """Return cosines with the known pairs."""
    return tuple(_unit(_unit(q) @ _unit(k).T) for k, q in zip(known, asked, strict=True))


def _procrustes(known, asked):
    """Return the first side rotated to the second."""
    left, _, right = svd(known[0].T @ known[1], full_matrices=False)
    return _unit(asked[0] @ (left @ right)), _unit(asked[1])


def _ridge(known, asked):
    """Return the first side regressed on the second, the penalty chosen by leave-one-out."""
    X, Y = known
    basis, values, directions = svd(X, full_matrices=False)
    kept = values > 1e-10 * max(values.max(initial=0.0), 1e-300)
    basis, values, directions = basis[:, kept], values[kept], directions[kept]
    if not values.size:
        return np.zeros((len(asked[0]), Y.shape[1])), _unit(asked[1])
    projected, square = basis.T @ Y, values**2
    errors = []
    for penalty in _PENALTIES * square.mean():
        shrink = square / (square + penalty)
        leverage = (basis**2) @ shrink + 1 / len(X)
        residual = Y - basis @ (shrink[:, None] * projected)
        errors.append(((residual / np.maximum(1 - leverage, 1e-9)[:, None]) ** 2).sum())
    penalty = _PENALTIES[int(np.argmin(errors))] * square.mean()
    weights = directions.T @ ((values / (square + penalty))[:, None] * projected)
    return _unit(asked[0] @ weights), _unit(asked[1])


class Whitened(NamedTuple):
    """Principal components of a side with variance 1, the largest first.

    Attributes
    ----------
    basis : ndarray of shape (m, r)
        Their left singular vectors.
    projection : ndarray of shape (p, r)
        From centred features to components.
    """

    basis: np.ndarray
    projection: np.ndarray


class Canonical(NamedTuple):
    """Canonical variables.

    Attributes
    ----------
    maps : tuple of ndarray of shape (p, r) and (q, r)
        From centred features to variables of variance 1.
    correlations : ndarray of shape (r,)
        Correlation of each pair of variables in the data they were found in.
    """

    maps: tuple
    correlations: np.ndarray


def whitened(side):
    """Return the principal components of centred rows."""
    basis, values, directions = svd(side, full_matrices=False)
    kept = values > 1e-8 * max(values.max(initial=0.0), 1e-300)
    scale = np.sqrt(len(side)) / values[kept]
    return Whitened(basis[:, kept], directions[kept].T * scale)


def canonical(sides, rank):
    """Return canonical variables of the first principal components."""
    bases = [side.basis[:, :rank] for side in sides]
    left, correlations, right = svd(bases[0].T @ bases[1], full_matrices=False)
    turns = left, right.T
    maps = tuple(side.projection[:, :rank] @ turn for side, turn in zip(sides, turns, strict=True))
    return Canonical(maps, np.clip(correlations, 0.0, 1.0))


def held_out_correlations(known, ranks):
    """Return what is left of canonical correlations in pairs they were not found in."""
    m = len(known[0])
    order = np.random.default_rng(0).permutation(m)
    totals = [[] for _ in ranks]
    for fold in np.array_split(order, min(_FOLDS, m)):
        train = np.setdiff1d(order, fold)
        means = [side[train].mean(axis=0) for side in known]
        sides = [whitened(side[train] - mean) for side, mean in zip(known, means, strict=True)]
        asked = [side[fold] - mean for side, mean in zip(known, means, strict=True)]
        for rank, total in zip(ranks, totals, strict=True):
            maps = canonical(sides, rank).maps
            u, v = (rows @ projection for rows, projection in zip(asked, maps, strict=True))
            total.append(np.stack([(u * v).sum(0), (u * u).sum(0), (v * v).sum(0)]))
    return [_correlations(total) for total in totals]


def _correlations(totals):
    """Return correlations from sums of products over folds."""
    width = min(total.shape[1] for total in totals)
    cross, first, second = sum(total[:, :width] for total in totals)
    size = np.sqrt(first * second)
    found = np.where(size > 0, cross / np.where(size > 0, size, 1.0), 0.0)
    return np.clip(found, 0.0, _LARGEST_CORRELATION)


def canonical_rank(known):
    """Return how many principal components a side may keep."""
    m = len(known[0])
    widths = [side.shape[1] for side in known]
    return max(1, min(m // _PAIRS_PER_DIRECTION, *widths))


def _cca(known, asked):
    """Return factors of the log-likelihood ratio of canonical variables."""
    largest = canonical_rank(known)
    ranks = np.unique(np.geomspace(1, largest, _RANKS).round().astype(int))
    paths = held_out_correlations(known, ranks)
    best = int(np.argmax([-np.log1p(-(path**2)).sum() for path in paths]))
    rho, found = paths[best], canonical([whitened(side) for side in known], ranks[best])
    width = min(len(rho), found.maps[0].shape[1])
    rho = rho[:width]
    u, v = (
        side @ projection[:, :width] for side, projection in zip(asked, found.maps, strict=True)
    )
    quality = 1 - rho**2
    own = [-(side**2) @ (rho**2 / (2 * quality)) for side in (u, v)]
    constant = -0.5 * np.log(quality).sum()
    ones = [np.ones((len(side), 1)) for side in (u, v)]
    left = np.hstack([u * (rho / quality), own[0][:, None] + constant, ones[0]])
    return left, np.hstack([v, ones[1], own[1][:, None]])


_LEARNED = {"relative": _relative, "procrustes": _procrustes, "ridge": _ridge, "cca": _cca}
