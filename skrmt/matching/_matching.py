"""From scores to matches: assignments, margins, quadratic assignment, abstention."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import get_backend
from ._faq import (
    faq,
    permutation_start,
    random_start,
    remaining_feature_problem,
    remaining_problem,
)
from ._kernels import centred_kernel, kernel_matrix, numpy_float64
from ._linear_assignment import linear_assignment
from ._scorers import scaled, score_pairs

_BLOCK = 1 << 21
"""Scores held at a time, 16 MB."""


class Matching(NamedTuple):
    """Which candidate goes with each query.

    Attributes
    ----------
    indices : ndarray of int of shape (n,)
        Row i of X_query goes with row indices[i] of Y_query; -1 where `match`
        abstains.
    confidence : ndarray of shape (n,)
        Estimated probability that the match is right, also where `match` abstains; nan if there are
        too few known pairs to estimate it.
    objective : float
        Mean score of the matches, or the CKA of all pairs together under "qap".
    n_iter : int
        Steps of Frank-Wolfe under "qap", rounds of self-training otherwise.
    """

    indices: np.ndarray
    confidence: np.ndarray
    objective: float
    n_iter: int


class Neighbors(NamedTuple):
    """The best candidates of each query.

    Attributes
    ----------
    indices : ndarray of int of shape (n, k)
        Rows of Y_query, the best first.
    scores : ndarray of shape (n, k)
        Their scores.
    """

    indices: np.ndarray
    scores: np.ndarray


def best_candidates(left, right, k, shuffle):
    """Return the k best candidates of each query, by blocks of queries; ties as shuffled."""
    left, right = numpy_float64(left), numpy_float64(right)[shuffle].T
    indices = np.empty((len(left), k), dtype=np.intp)
    scores = np.empty((len(left), k))
    step = max(_BLOCK // right.shape[1], 1)
    for start in range(0, len(left), step):
        score = left[start : start + step] @ right
        order = np.argsort(-score, axis=1, kind="stable")[:, :k]
        indices[start : start + step] = shuffle[order]
        scores[start : start + step] = np.take_along_axis(score, order, axis=1)
    return Neighbors(indices, scores)


def assign(score, assignment, rng):
    """Return one candidate for each query."""
    if assignment == "argmax":
        return _best(score, rng)
    rows, columns = rng.permutation(score.shape[0]), rng.permutation(score.shape[1])
    found = np.empty(score.shape[0], dtype=np.intp)
    found[rows] = columns[linear_assignment(score[np.ix_(rows, columns)])]
    return found


def _best(score, rng):
    """Return the column of the largest score of each row, a random one of equals."""
    found = score.argmax(axis=1)
    ties = score == score[np.arange(len(score)), found][:, None]
    for row in np.flatnonzero(ties.sum(axis=1) > 1):
        found[row] = rng.choice(np.flatnonzero(ties[row]))
    return found


def margins(score, indices, assignment):
    """Return how far each match is ahead of its rivals."""
    own, rows = score[np.arange(len(indices)), indices], len(indices)
    rival = _largest_but(score, indices)
    if assignment == "hungarian" and rows > 1:
        across = np.full(score.shape[1], -1)
        across[indices] = np.arange(rows)
        rival = np.maximum(rival, _largest_but(score[:, indices].T, across[indices]))
    return own - rival


def _largest_but(score, indices):
    """Return the largest other score of each row."""
    if score.shape[1] == 1:
        return np.full(len(indices), -np.inf)
    two = np.partition(score, -2, axis=1)[:, -2:]
    own = score[np.arange(len(indices)), indices]
    return np.where(own >= two[:, 1], two[:, 0], two[:, 1])


def quadratic_matches(rule, known, queries, rng, n_jobs=None):
    """Match queries by the kernels of all items together."""
    problem = _joint_problem(rule, known, queries)
    local = assign(numpy_float64(score_pairs(rule, known, queries)), "hungarian", rng)
    starts = _starts(local, rule.n_init, rng)
    found = faq(
        problem.first, problem.second, problem.linear, starts=starts, rng=rng, n_jobs=n_jobs
    )
    return found._replace(objective=found.objective + problem.constant)


def _joint_problem(rule, known, queries):
    """Return the quadratic assignment of the queries, by centred kernels of norm 1."""
    sides = []
    known, queries = scaled(rule, known), scaled(rule, queries)
    for first, query, width in zip(known, queries, rule.bandwidths, strict=True):
        rows = append_rows(first, query)
        if rule.kernel == "linear":
            rows = rows - rows.mean(0)
            square = rows.T @ rows
            sides.append(rows / float((square * square).sum()) ** 0.25)
        else:
            kernel = centred_kernel(kernel_matrix(rows, kernel="rbf", bandwidth=width))
            sides.append(kernel / float((kernel * kernel).sum()) ** 0.5)
    pairs = np.column_stack([np.arange(len(known[0]))] * 2)
    remaining = remaining_feature_problem if rule.kernel == "linear" else remaining_problem
    return remaining(sides[0], sides[1], pairs)


def append_rows(first, second):
    """Return the rows of two arrays of one library."""
    return get_backend(first).concatenate([first, second], axis=0)


def _starts(local, n_init, rng):
    """Yield the barycentre, the matching by local CKA, and random points."""
    yield None
    if n_init > 1:
        yield permutation_start(local)
    for _ in range(n_init - 2):
        yield random_start(len(local), rng)


def abstaining(confidence, precision):
    """Return which matches to keep so that a share of them is expected to be right."""
    order = np.argsort(-confidence, kind="stable")
    means = np.cumsum(confidence[order]) / np.arange(1, len(order) + 1)
    good = np.flatnonzero(means >= precision - 1e-12)
    kept = np.zeros(len(order), dtype=bool)
    if good.size:
        kept[order[: good[-1] + 1]] = True
    return kept
