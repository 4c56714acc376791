"""Identical rows: merged once, and left out of a fit as what they are.

A table of few distinct rows (one-hot columns) repeats because its columns have few values: each
unit of weight is an observation of its own. Elsewhere rows that repeat are copies, which must be
left out together: a copy that stays would give the label away.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ._checks import is_torch, tensor_on_host
from ._dask import is_dask, to_local
from ._labels import refuse_missing_labels
from ._rows import identical_block_rows, take_rows

_BLOCK = 1 << 16
_KEYED_ROWS = 1024
"""Rows whose keys are taken at a time, so that this needs little beside a block of a file."""
_KEY_COLUMNS = 16
_FEWEST_RECURRENCES = 10
"""Weight of a row that carries several labels from which it is a value and not one row's copies."""

COPIES = (
    "Rows of X repeat. Copies are held out together and count as one row with the sum of their "
    "weights: the prediction rests on `n_effective_samples_` rows, fewer than were given. Drop "
    "copies that are not separate observations."
)


class MergedRows(NamedTuple):
    """Distinct rows, and what of each is left out at a time.

    Attributes
    ----------
    first : ndarray of int of shape (m,)
        The given row that stands for each distinct row.
    origin : ndarray of int of shape (n,) or None
        Distinct row of each given row; None if all differ.
    weights : ndarray of shape (m,)
        Sums of the weights.
    part : ndarray of shape (m,)
        Part of each weight that is one observation, in (0, 1]: what is left out at a time.
    n_effective : float
        ``(sum w)^2 / sum w^2`` over what is left out together.
    kind : {"distinct", "copies", "discrete"}
        Whether rows repeat, and as what.
    group : ndarray of int of shape (m,) or None
        Which distinct rows are left out together, if groups are given.
    """

    first: np.ndarray
    origin: np.ndarray | None
    weights: np.ndarray
    part: np.ndarray
    n_effective: float
    kind: str
    group: np.ndarray | None = None

    def spread(self, values: np.ndarray) -> np.ndarray:
        """Give every row the value of its distinct row."""
        return values if self.origin is None else values[self.origin]


def merge_rows(
    X: Any, labels: np.ndarray, weights: np.ndarray, groups: Any = None, keys: Any = None
) -> MergedRows:
    """Merge rows that are identical in X and in `labels`, adding their positive weights.

    `keys` (n,) are those of `block_keys` where the blocks of a Dask array have been read before.
    """
    n = X.shape[0]
    labels = np.ascontiguousarray(np.reshape(labels, (n, -1)))
    codes = None if groups is None else group_codes(groups, n)
    if codes is not None:
        if codes.max(initial=0) == 0:
            raise ValueError("groups has one group only: leaving it out leaves nothing to fit.")
        labels = np.column_stack([labels, codes])
    twins = _twins(X, keys)
    first = same = origin = np.arange(n)
    total = smallest = np.array(weights, dtype=float)
    if len(twins[0]):
        contents: dict = {}
        for row, content in zip(*twins, strict=True):
            same[row] = contents.setdefault((content, labels[row].tobytes()), row)
        first, origin = np.unique(same, return_inverse=True)
        origin = origin.ravel()
        total = np.bincount(origin, weights)
        smallest = np.full(len(first), np.inf)
        np.minimum.at(smallest, origin, weights)
    counted = bool((total == np.rint(total)).all())
    unit = np.ones(len(first)) if counted else smallest
    kind, part = "distinct" if len(first) == n else "copies", np.ones(len(first))
    if codes is None and (unit < total).any():
        content = _contents(n, first, twins)
        if _is_discrete(X, first, content, total, counted):
            kind, part = "discrete", unit / total
        else:
            values = _recurs(content, total)
            part = np.where(values, unit / total, 1.0)
            if values.any() and not ((unit < total) & ~values).any():
                kind = "discrete"
    group = None if codes is None else codes[first]
    together = total**2 * part if group is None else np.bincount(group, total) ** 2
    size = float(total.sum() ** 2 / together.sum())
    return MergedRows(first, None if len(first) == n else origin, total, part, size, kind, group)


def group_codes(groups: Any, n: int) -> np.ndarray:
    """Return the groups of n rows as integers from 0 in the order of their names."""
    refuse_missing_labels(groups, "groups")
    names = _host(to_local(groups))
    if names.shape != (n,):
        raise ValueError(f"groups has shape {names.shape}: give one group per row of X, ({n},).")
    return np.unique(names, return_inverse=True)[1].ravel()


def rows_together(group: np.ndarray | None) -> Iterator[np.ndarray]:
    """Yield the rows of each group of two rows or more, given by integers from 0."""
    if group is None:
        return
    order = np.argsort(group, kind="stable")
    for rows in np.split(order, np.cumsum(np.bincount(group))[:-1]):
        if len(rows) > 1:
            yield rows


def group_folds(group: np.ndarray, labels: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each row: whole groups, dealt out so that labels are as frequent in all.

    Groups and labels are integers from 0, and some groups may be empty.
    """
    counts = np.zeros((group.max() + 1, labels.max() + 1))
    np.add.at(counts, (group, labels), 1.0)
    present = np.flatnonzero(counts.any(axis=1))
    order = present[np.argsort(counts[present].argmax(axis=1), kind="stable")]
    folds = np.zeros(len(counts), dtype=int)
    folds[order] = np.arange(len(order)) % n_folds
    return folds[group]


def _contents(n: int, first: np.ndarray, twins: tuple[np.ndarray, list]) -> np.ndarray:
    """Return the given row that stands for each distinct row, whatever its label."""
    rank = np.arange(n)
    contents: dict = {}
    for row, content in zip(*twins, strict=True):
        rank[row] = contents.setdefault(content, row)
    return rank[first]


def _recurs(content: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return which distinct rows are a value that recurs, such as "not measured", with any label.

    A copy would carry its label along.
    """
    _, where, labelled = np.unique(content, return_inverse=True, return_counts=True)
    where = where.ravel()
    return (labelled[where] > 1) & (np.bincount(where, total)[where] >= _FEWEST_RECURRENCES)


def _is_discrete(X, first, content, total, counted) -> bool:
    """Return whether rows recur because the columns of X have few values."""
    rows, where = np.unique(content, return_inverse=True)
    labelled = len(rows) < len(first)
    if not labelled and not (counted and total.sum() >= 2 * len(rows)):
        return False
    if labelled:
        # Most of the weight lies on rows that carry several labels: observations of few points.
        shared = np.bincount(where.ravel())[where.ravel()] > 1
        if total[shared].sum() >= 0.5 * total.sum():
            return True
    limit = max(2, len(rows) // 2)
    return all(len(np.unique(column)) <= limit for column in _columns(X, rows))


def _columns(X: Any, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the columns of some rows, one by one."""
    if is_dask(X):
        chosen = np.zeros(X.shape[0], dtype=bool)
        chosen[rows] = True
        X, rows = take_rows(X, chosen).compute(), np.arange(len(rows))
    if hasattr(X, "tocsc"):
        X = X[rows].tocsc()
        for j in range(X.shape[1]):
            values = X.data[X.indptr[j] : X.indptr[j + 1]]
            yield np.append(values, 0.0) if len(values) < X.shape[0] else values
        return
    for j in range(X.shape[1]):
        yield _host(X[:, j])[rows]


def _twins(X: Any, keys: Any = None) -> tuple[np.ndarray, list]:
    """Return the rows that may have a twin, and for each what is equal where rows are."""
    if is_dask(X):
        codes = identical_block_rows(X, keys=keys)
        suspects = np.flatnonzero(np.bincount(codes)[codes] > 1)
        return suspects, codes[suspects].tolist()
    key = row_key(X)
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    if len(same) == 0:
        return same, []
    suspects = np.unique(order[np.concatenate([same, same + 1])])
    if is_torch(X):
        # A row at a time would wait for the device as often.
        blocks = [suspects[i : i + _BLOCK] for i in range(0, len(suspects), _BLOCK)]
        parts = [_host(X[rows]) for rows in blocks]
        return suspects, [_row_bytes(part, row) for part in parts for row in range(len(part))]
    return suspects, [_row_bytes(X, int(row)) for row in suspects]


def row_key(X: Any) -> np.ndarray:
    """Return one number per row, equal for identical rows wherever they are."""
    n_features = X.shape[1]
    if hasattr(X, "tocsr"):
        return X @ np.sqrt(np.arange(1.0, n_features + 1))
    steps = _KEY_COLUMNS - 1
    columns = sorted({i * (n_features - 1) // steps for i in range(_KEY_COLUMNS)})
    size = _BLOCK if is_torch(X) else _KEYED_ROWS
    blocks = [slice(start, start + size) for start in range(0, X.shape[0], size)]
    largest = max(float(abs(X[rows][:, columns]).max()) for rows in blocks) or 1.0
    return np.concatenate([_block_key(X[rows][:, columns], largest) for rows in blocks])


def _block_key(part: Any, largest: float) -> np.ndarray:
    """Return the keys of a block of rows, of which some columns are given."""
    if is_torch(part):
        # On the device, column by column, so that only the keys are copied from it.
        key = part.new_zeros(len(part), dtype=None).double()
        for number, column in enumerate(part.detach().double().T):
            key += float(np.sqrt(number + 2.0)) * (column / largest)
        return _host(key)
    # In rows of memory, which are added up alike wherever they are.
    scaled = np.divide(_host(part), largest, out=np.empty(part.shape), dtype=np.float64)
    scaled *= np.sqrt(np.arange(2.0, part.shape[1] + 2.0))
    return scaled.sum(axis=1)


def _row_bytes(X: Any, row: int) -> bytes:
    """Return the content of a row, 0 and -0 equal."""
    if hasattr(X, "tocsr"):
        start, stop = X.indptr[row], X.indptr[row + 1]
        return X.indices[start:stop].tobytes() + (X.data[start:stop] + 0.0).tobytes()
    return (_host(X[row]) + 0.0).tobytes()


def _host(x: Any) -> np.ndarray:
    """Return an array or tensor as a NumPy array."""
    return tensor_on_host(x) if is_torch(x) else np.asarray(x)
