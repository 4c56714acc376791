"""One-to-one matches of many items, and how often those of known pairs planted there are right."""

from __future__ import annotations

import numpy as np
from scipy.sparse import bmat, csr_matrix

from ._kernels import numpy_float64
from ._matching import append_rows
from ._scorers import pair_factors
from ._sparse_assignment import (
    assign_entries,
    assign_products,
    best_entries,
    best_scores,
    sparse_margins,
)

_CHUNK = 2000
"""Queries whose scores with all known pairs are held in double precision at a time."""


def sparse_matches(rule, known, queries, rng):
    """Return matches, scores of the best candidates, and the score and margin of each match."""
    left, right = _single(pair_factors(rule, known, queries))
    scores = best_scores(left, right)
    indices = assign_products(left, right, scores, rng)
    own = np.einsum("ij,ij->i", left, right[indices]).astype(np.float64)
    return indices, scores, own, sparse_margins(scores, indices, own)


def _single(factors):
    """Return factors in single precision."""
    return tuple(numpy_float64(one).astype(np.float32) for one in factors)


def planted_sparsely(planted, folds, scores, groups):
    """Return whether pairs of "kernel_cca" that are planted beside queries are right, and margins.

    `scores` are those of the best candidates of the queries, `groups` the pairs that are planted at
    a time.
    """
    n, candidates = scores.shape
    m = sum(len(fold) for fold in folds)
    rows, columns = np.empty((m, candidates), np.float32), np.empty((m, n), np.float32)
    among = np.empty((m, m))
    for fold in folds:
        among[fold] = planted.known_rows(fold)
    for start in range(0, max(n, candidates), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        part = planted.beside(tuple(side[chunk] for side in planted.queries))
        for fold in folds:
            if start < candidates:
                rows[fold, chunk] = part.rows(fold)[0]
            if start < n:
                columns[fold, chunk] = part.columns(fold).T
    right, margin = np.empty(m), np.empty(m)
    for group in groups:
        both = np.ix_(group, group)
        table = bmat(
            [
                [scores, best_entries(columns[group].T)],
                [best_entries(rows[group]), _with_diagonal(among[both])],
            ]
        ).tocsr()
        right[group], margin[group] = _outcome(table, np.diag(among)[group])
    return right, margin


def _with_diagonal(scores):
    """Return the best entries of a square matrix, those of its diagonal included."""
    best, own = best_entries(scores), np.diag(scores)
    best.setdiag(own)
    return csr_matrix(best)


def refitted_sparsely(rule, known, queries, fold, without):
    """Return the same for a fold, by a fit to the other known pairs."""
    together = [append_rows(query, side[fold]) for query, side in zip(queries, known, strict=True)]
    left, right = _single(pair_factors(rule, without, together))
    own = np.einsum("ij,ij->i", left[-len(fold) :], right[-len(fold) :]).astype(np.float64)
    return _outcome(best_scores(left, right), own)


def _outcome(table, own):
    """Return whether the last rows of a table go with its last columns, and their margins."""
    n, columns = table.shape
    planted = len(own)
    found = assign_entries(table)
    right = found[-planted:] == np.arange(columns - planted, columns)
    scores = np.asarray(table[np.arange(n), found]).ravel()
    return right, sparse_margins(table, found, scores)[-planted:]
