"""Scores of candidate pairs, learned from known pairs: rows whose scalar products they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import svd

from ..linalg import coefficients, loo_squared_error, ridge_basis
from ._kernel_cca import Ensemble
from ._kernels import numpy_float64
from ._local_cka import local_cka_factors, local_kernels

METHODS = ("kernel_cca", "local_cka", "procrustes", "relative", "cca", "ridge")
"""Methods that score single candidate pairs; "qap" matches all queries together."""

# Penalties of the regression, in units of the mean squared singular value.
_PENALTIES = np.logspace(-4, 4, 17)
# A held-out correlation that is larger is taken for this one: the likelihood ratio would let one
# variable decide.
_LARGEST_CORRELATION = 0.98
# Known pairs per principal component: with fewer, canonical correlations of the sample are noise.
_PAIRS_PER_DIRECTION = 5
# Folds of the held-out canonical correlations.
_FOLDS = 5
# Numbers of components that are tried, geometric.
_RANKS = 10


class MatchingRule(NamedTuple):
    """How candidate pairs are scored, and how scores become matches.

    Attributes
    ----------
    method : str
        One of `METHODS`, or "qap", whose single pairs are scored by local CKA.
    assignment : str
        "hungarian", "sparse" or "argmax".
    kernel : str
        Kernel of local CKA and "qap".
    debiased : bool
        Whether local CKA is the debiased one.
    bandwidths : tuple of float
        Lengths of the RBF kernels.
    n_init : int
        Starts of "qap".
    scales : tuple
        What features are divided by, all methods but "kernel_cca".
    ensemble : Ensemble or None
        The fitted choice of "kernel_cca".
    """

    method: str
    assignment: str
    kernel: str
    debiased: bool
    bandwidths: tuple
    n_init: int
    scales: tuple
    ensemble: Ensemble | None = None


def scaled(rule, sides):
    """Return the rows of both sides in the scale in which they are compared."""
    return tuple(side / scale for side, scale in zip(sides, rule.scales, strict=True))


def score_pairs(rule, known, queries):
    """Return the scores of all candidate pairs."""
    left, right = pair_factors(rule, known, queries)
    return left @ right.T


def pair_factors(rule, known, queries):
    """Return rows of queries and of candidates whose scalar products are all scores."""
    if rule.method == "kernel_cca":
        ensemble = rule.ensemble if known is rule.ensemble.known else rule.ensemble.refit(known)
        return ensemble.factors(queries)
    known, queries = scaled(rule, known), scaled(rule, queries)
    if rule.method in ("local_cka", "qap"):
        sides = [
            local_kernels(rows, query, kernel=rule.kernel, bandwidth=width)
            for rows, query, width in zip(known, queries, rule.bandwidths, strict=True)
        ]
        return local_cka_factors(*sides, debiased=rule.debiased)
    known = [numpy_float64(side) for side in known]
    means = [side.mean(axis=0) for side in known]
    known = [side - mean for side, mean in zip(known, means, strict=True)]
    asked = [numpy_float64(side) - mean for side, mean in zip(queries, means, strict=True)]
    return _FACTORS[rule.method](known, asked)


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
    basis = ridge_basis(X)
    if not basis.rank:
        return np.zeros((len(asked[0]), Y.shape[1])), _unit(asked[1])
    mean_square = float(basis.scale.mean()) * basis.unit**2
    alphas = _PENALTIES * mean_square / len(X)
    best = int(np.argmin(loo_squared_error(basis, Y, alphas).sum(axis=1)))
    weights, _ = coefficients(basis, Y, alphas[best])
    return _unit(asked[0] @ weights.T), _unit(asked[1])


def _principal_components(side):
    """Return principal components of variance 1, up to their length, and the map to them."""
    basis, values, directions = svd(side, full_matrices=False)
    kept = values > 1e-8 * max(values.max(initial=0.0), 1e-300)
    return basis[:, kept], directions[kept].T * (np.sqrt(len(side)) / values[kept])


def _canonical_maps(components, rank):
    """Return the maps from centred features to canonical variables of the first components."""
    (basis, projection), (other, other_projection) = components
    left, _, right = svd(basis[:, :rank].T @ other[:, :rank], full_matrices=False)
    return projection[:, :rank] @ left, other_projection[:, :rank] @ right.T


def held_out_correlations(known, ranks):
    """Return what is left of canonical correlations in pairs they were not found in."""
    m = len(known[0])
    order = np.random.default_rng(0).permutation(m)
    totals: list[list[np.ndarray]] = [[] for _ in ranks]
    for fold in np.array_split(order, min(_FOLDS, m)):
        train = np.setdiff1d(order, fold)
        means = [side[train].mean(axis=0) for side in known]
        components = [
            _principal_components(side[train] - mean)
            for side, mean in zip(known, means, strict=True)
        ]
        asked = [side[fold] - mean for side, mean in zip(known, means, strict=True)]
        for rank, total in zip(ranks, totals, strict=True):
            maps = _canonical_maps(components, rank)
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
    maps = _canonical_maps([_principal_components(side) for side in known], ranks[best])
    width = min(len(paths[best]), maps[0].shape[1])
    rho = paths[best][:width]
    u, v = (side @ projection[:, :width] for side, projection in zip(asked, maps, strict=True))
    quality = 1 - rho**2
    own = [-(side**2) @ (rho**2 / (2 * quality)) for side in (u, v)]
    constant = -0.5 * np.log(quality).sum()
    ones = [np.ones((len(side), 1)) for side in (u, v)]
    left = np.hstack([u * (rho / quality), own[0][:, None] + constant, ones[0]])
    return left, np.hstack([v, ones[1], own[1][:, None]])


_FACTORS = {"relative": _relative, "procrustes": _procrustes, "ridge": _ridge, "cca": _cca}
