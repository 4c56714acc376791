"""One-to-one matches of many items, and how often those of known pairs planted there are right."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bmat, csr_matrix

from ._kernels import numpy_float64
from ._scorers import pair_factors
from ._sparse_assignment import (
    assign_entries,
    assign_products,
    best_entries,
    best_scores,
    sparse_margins,
)

_ENTRIES = 1 << 14
"""Scores whose factors are gathered at a time: 60 MB with 1000 known pairs."""


class SparseMatches(NamedTuple):
    """One-to-one matches, the best scores they are made of, and score and margin of each."""

    indices: NDArray[np.intp]
    scores: csr_matrix
    own: NDArray[Any]
    margins: NDArray[Any]


def sparse_matches(rule, known, queries, rng) -> SparseMatches:
    """Match queries one to one among the best candidates."""
    left, right = _single(pair_factors(rule, known, queries))
    scores = best_scores(left, right)
    indices = assign_products(left, right, scores, rng)
    own = np.einsum("ij,ij->i", left, right[indices]).astype(np.float64)
    return SparseMatches(indices, scores, own, sparse_margins(scores, indices, own))


def _single(factors):
    """Return factors in single precision."""
    return tuple(numpy_float64(one).astype(np.float32) for one in factors)


def planted_sparsely(factors, scores, planted):
    """Return whether pairs that are planted last, beside queries, are right, and their margins.

    Queries are scored with the candidates that `scores` holds, by `factors` that have not seen the
    planted pairs.
    """
    n, candidates = scores.shape
    entries = scores.tocoo()
    values = np.zeros(scores.nnz)
    rows = np.zeros((planted, candidates + planted))
    columns = np.zeros((n, planted))
    for left, right in map(_single, factors):
        for start in range(0, scores.nnz, _ENTRIES):
            part = slice(start, start + _ENTRIES)
            both = left[entries.row[part]], right[entries.col[part]]
            values[part] += np.einsum("ij,ij->i", *both)
        rows += left[n:] @ right.T
        columns += left[:n] @ right[candidates:].T
    among = csr_matrix((values, (entries.row, entries.col)), shape=scores.shape)
    last = best_entries(rows).tolil()
    every = np.arange(planted)
    last[every, candidates + every] = rows[every, candidates + every]
    last = last.tocsr()
    table = bmat(
        [[among, best_entries(columns)], [last[:, :candidates], last[:, candidates:]]]
    ).tocsr()
    found = assign_entries(table)
    own = np.asarray(table[np.arange(n + planted), found]).ravel()
    right = found[n:] == candidates + every
    return right, sparse_margins(table, found, own)[n:]
