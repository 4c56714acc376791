"""Sparse matrices in one form, whatever the way in which their entries are stored."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from scipy import sparse


def canonical(X: Any) -> Any:
    """Return rows with sorted indices, one entry a place and no stored zero; X is left as it is.

    What is not sparse is returned unchanged.
    """
    if not sparse.issparse(X):
        return X
    rows = X.tocsr()
    # The flags that scipy keeps are not those of arrays that were changed since.
    if _is_sorted(rows) and rows.data.all():
        return rows
    rows = rows.copy()
    rows.has_canonical_format = rows.has_sorted_indices = False
    rows.sum_duplicates()
    rows.eliminate_zeros()
    return rows


def _is_sorted(rows: Any) -> bool:
    """Return whether the indices of each row increase."""
    steps = np.diff(rows.indices)
    starts = rows.indptr[1:-1]
    starts = starts[(starts > 0) & (starts < len(rows.indices))]
    rising = steps > 0
    rising[starts - 1] = True
    return bool(rising.all())


def dense_order_keys(X: Any) -> list[bytes]:
    """Return a key for each row of a canonical matrix; keys sort as the bytes of dense rows do."""
    # The first stored entry that differs decides: the one further left if columns differ, since
    # the other row has a zero there, and no byte is below those of zero.
    places = (np.iinfo(np.int64).max - X.indices.astype(np.int64)).astype(">i8")
    entries = np.column_stack([places.view(np.int64), X.data.astype(np.float64).view(np.int64)])
    content = entries.tobytes()
    ends = (16 * X.indptr.astype(np.int64)).tolist()
    end = bytes(8)
    return [content[start:stop] + end for start, stop in pairwise(ends)]
