"""One-to-one assignments of many items, among the best candidates of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack, identity
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from ._linear_assignment import linear_assignment

Matrix = NDArray[Any]

N_CANDIDATES = 32
"""Best candidates of each query, and queries of each candidate, that an assignment is made of."""
_BLOCK = 1 << 22
"""Scores held at a time, 16 MB in single precision."""
_NOBODY = 0.01
"""What it is worth to leave a row without a candidate, where scores lie between 1 and 2: a row that
all others displace by less than the whole range keeps one."""
_DENSE = 25_000_000
"""Scores that an assignment of the rows that are left may have at once, 200 MB."""


def best_scores(left: Matrix, right: Matrix, k: int = N_CANDIDATES) -> csr_matrix:
    """Return the k largest products of each row of either side with rows of the other."""
    k_right, k_left = min(k, len(right)), min(k, len(left))
    columns, values = _top(left, right, k_right)
    rows, others = _top(right, left, k_left)
    rows = np.concatenate([np.repeat(np.arange(len(left)), k_right), rows.ravel()])
    columns = np.concatenate([columns.ravel(), np.repeat(np.arange(len(right)), k_left)])
    values = np.concatenate([values.ravel(), others.ravel()]).astype(np.float64)
    _, first = np.unique(rows.astype(np.int64) * len(right) + columns, return_index=True)
    shape = len(left), len(right)
    return csr_matrix((values[first], (rows[first], columns[first])), shape=shape)


def best_entries(scores: Matrix, k: int = N_CANDIDATES) -> csr_matrix:
    """Return the k largest entries of each row and of each column."""
    kept = np.zeros(scores.shape, dtype=bool)
    for marks, table in ((kept, scores), (kept.T, scores.T)):
        most = min(k, table.shape[1])
        best = np.argpartition(table, -most, axis=1)[:, -most:]
        np.put_along_axis(marks, best, True, axis=1)
    rows, columns = np.nonzero(kept)
    values = scores[rows, columns].astype(np.float64)
    return csr_matrix((values, (rows, columns)), shape=scores.shape)


def _top(left: Matrix, right: Matrix, k: int) -> tuple[Matrix, Matrix]:
    """Return columns and values of the k largest products of each row, by blocks."""
    columns = np.empty((len(left), k), dtype=np.int32)
    values = np.empty((len(left), k), dtype=left.dtype)
    step = max(_BLOCK // len(right), 1)
    for start in range(0, len(left), step):
        scores = left[start : start + step] @ right.T
        best = np.argpartition(scores, -k, axis=1)[:, -k:]
        columns[start : start + step] = best
        values[start : start + step] = np.take_along_axis(scores, best, axis=1)
    return columns, values


def assign_entries(scores: csr_matrix) -> NDArray[np.intp]:
    """Return a column for each row, one to one, of the largest total score; -1 for none."""
    n, columns = scores.shape
    low, high = float(scores.data.min()), float(scores.data.max())
    graph = scores.copy()
    graph.data = 1.0 + (graph.data - low) / (high - low if high > low else 1.0)
    # A column of its own for each row makes sure that there is an assignment.
    graph = hstack([graph, _NOBODY * identity(n)]).tocsr()
    _, found = min_weight_full_bipartite_matching(graph, maximize=True)
    return np.where(found < columns, found, -1).astype(np.intp)


def assign_products(
    left: Matrix, right: Matrix, scores: csr_matrix, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return a column for each row, one to one; rows that lack one take what others leave.

    `scores` are the best products of rows of both sides. Rows that no assignment within them serves
    are assigned among the other columns, with more candidates until they are all.
    """
    n, columns = scores.shape
    orders = rng.permutation(n), rng.permutation(columns)
    found = np.empty(n, dtype=np.intp)
    chosen = assign_entries(scores[orders[0]][:, orders[1]])
    found[orders[0]] = np.where(chosen >= 0, orders[1][chosen], -1)
    k = N_CANDIDATES
    while (found < 0).any():
        rows, free = np.flatnonzero(found < 0), np.setdiff1d(np.arange(columns), found)
        k = 4 * k
        if len(rows) * len(free) <= _DENSE or k >= len(free):
            found[rows] = free[linear_assignment(left[rows] @ right[free].T)]
            break
        chosen = assign_entries(best_scores(left[rows], right[free], k))
        found[rows] = np.where(chosen >= 0, free[chosen], -1)
    return found


def sparse_margins(scores: csr_matrix, indices: NDArray[np.intp], own: Matrix) -> Matrix:
    """Return how far each match is ahead of its rivals in its row and in its column.

    `own` holds the scores of the matches; a row without one is behind by the whole range.
    """
    n, columns = scores.shape
    entries = scores.tocoo()
    mine = entries.col == indices[entries.row]
    rivals = np.where(mine, -np.inf, entries.data)
    best_row, best_column = np.full(n, -np.inf), np.full(columns, -np.inf)
    np.maximum.at(best_row, entries.row, rivals)
    np.maximum.at(best_column, entries.col, rivals)
    ahead = own - np.maximum(best_row, np.where(indices >= 0, best_column[indices], -np.inf))
    return np.where(indices >= 0, ahead, scores.data.min() - scores.data.max())
