"""Labels, weights and what is known of the noise, as the user gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import to_numpy
from ...model_selection._clean_labels import class_posterior, estimate_prior
from ...utils._dask import is_dask
from ...utils._rows import identical_block_rows

_BLOCK = 1 << 16
_REPEATED = (
    "{} rows of X repeat others: with the same label they count as one row with the sum of their "
    "weights; with another, leave-one-out scores are optimistic. Drop copies that are no "
    "observations of their own."
)


class LabelData(NamedTuple):
    """Labels of the rows and what is known of their noise.

    Attributes
    ----------
    observed : ndarray of shape (n,)
        Codes of the observed labels.
    weights : ndarray of shape (n,)
        Weights of the rows.
    n_classes : int
        K.
    size : float
        Effective number of rows.
    noise_matrix : ndarray of shape (K, K) or None
        Noise of the labels, if it is known and the same in every row.
    likelihood : ndarray of shape (n, K) or None
        ``P(observed_i | true k)`` if the noise is known; None if it is to be learned.
    prior : ndarray of shape (K,) or None
        Frequencies of the true classes, if they are known.
    """

    observed: np.ndarray
    weights: np.ndarray
    n_classes: int
    size: float
    noise_matrix: np.ndarray | None = None
    likelihood: np.ndarray | None = None
    prior: np.ndarray | None = None

    @property
    def is_clean(self):
        """Whether every label is known to be right."""
        if self.likelihood is None:
            return False
        own = self.likelihood[np.arange(len(self.observed)), self.observed]
        return bool((self.likelihood.sum(1) == own).all())

    def implied_prior(self):
        """Return the known frequencies of the classes, or those that the labels imply."""
        if self.prior is not None:
            return self.prior
        edge = min(1.0 / self.size, 1.0 / self.n_classes)
        prior = np.clip(self._label_prior(), edge, None)
        return prior / prior.sum()

    def _label_prior(self):
        """Return the frequencies of the classes by maximum likelihood."""
        if self.noise_matrix is None:
            return estimate_prior(self.likelihood, self.weights)
        counts = np.bincount(self.observed, self.weights, self.n_classes)
        return estimate_prior(self.noise_matrix.T, counts)

    def first_targets(self):
        """Return the targets of the first fit: (n,) for two classes, (n, K) for more."""
        if self.likelihood is not None and self.noise_matrix is None:
            targets = class_posterior(self.likelihood, self.implied_prior())
        else:
            targets = np.eye(self.n_classes)[self.observed]
        return targets[:, 1] - targets[:, 0] if self.n_classes == 2 else targets


class Rows(NamedTuple):
    """Distinct rows of positive weight.

    Attributes
    ----------
    X : array, sparse matrix or tensor of shape (m, p)
        Their data; the array given where every row is distinct.
    data : LabelData
        Their labels and weights.
    origin : ndarray of shape (n,) or None
        Row of `X` to which each given row belongs; None where they are the same.
    """

    X: Any
    data: LabelData
    origin: np.ndarray | None


def distinct_rows(X, data):
    """Merge identical rows, adding their weights."""
    groups, n_repeated = _identical_rows(X, data)
    messages = [_REPEATED.format(n_repeated)] if n_repeated else []
    if groups is None:
        return Rows(X, data, None), messages
    first = np.unique(groups, return_index=True)[1]
    total = np.bincount(groups, data.weights)
    size = total.sum() ** 2 / (total**2).sum()
    merged = data._replace(
        observed=data.observed[first],
        weights=total,
        size=float(size),
        likelihood=None if data.likelihood is None else data.likelihood[first],
    )
    return Rows(X[first], merged, groups), messages


def _identical_rows(X, data):
    """Return the group of each row among identical ones (None if all differ), and the repeats."""
    suspects, contents = _repeated_rows(X)
    n_repeated = len(suspects) - len(set(contents))
    if len(suspects) == 0:
        return None, 0
    groups, rows_seen = np.arange(X.shape[0]), {}
    for row, content in zip(suspects, contents, strict=True):
        groups[row] = rows_seen.setdefault((content, _label_bytes(data, row)), row)
    if len(rows_seen) == len(suspects):
        return None, n_repeated
    return np.unique(groups, return_inverse=True)[1], n_repeated


def _repeated_rows(X):
    """Return the rows that may have a twin, and for each what is equal where rows are."""
    if is_dask(X):
        codes = identical_block_rows(X)
        suspects = np.flatnonzero(np.bincount(codes)[codes] > 1)
        return suspects, codes[suspects].tolist()
    key = _row_key(X)
    order = np.argsort(key, kind="stable")
    same = np.flatnonzero(key[order][1:] == key[order][:-1])
    if len(same) == 0:
        return same, []
    suspects = np.unique(order[np.concatenate([same, same + 1])])
    return suspects, [_row_bytes(X, row) for row in suspects]


def _row_key(X, n_columns=16):
    """Return a number a row, equal for identical rows."""
    n_features = X.shape[1]
    if sparse.issparse(X):
        return X @ np.sqrt(np.arange(1.0, n_features + 1))
    columns = np.unique(np.linspace(0, n_features - 1, n_columns).astype(int))
    blocks = [slice(start, start + _BLOCK) for start in range(0, X.shape[0], _BLOCK)]
    largest = max(float(abs(X[rows][:, columns]).max()) for rows in blocks) or 1.0
    return np.concatenate([_block_key(X[rows][:, columns], largest) for rows in blocks])


def _block_key(part, largest):
    """Return the keys of a block of rows, of which some columns are given."""
    key = np.zeros(len(part))
    for number, column in enumerate(to_numpy(part).T):
        key += np.sqrt(number + 2.0) * (column / largest)
    return key


def _row_bytes(X, row):
    """Return the content of a row."""
    if sparse.issparse(X):
        start, stop = X.indptr[row], X.indptr[row + 1]
        return X.indices[start:stop].tobytes() + X.data[start:stop].tobytes()
    return to_numpy(X[row]).tobytes()


def _label_bytes(data, row):
    """Return the label of a row and its likelihood."""
    likelihood = b"" if data.likelihood is None else data.likelihood[row].tobytes()
    return int(data.observed[row]), likelihood
