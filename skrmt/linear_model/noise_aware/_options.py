"""Labels, weights and what is known of the noise, as the user gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import to_numpy
from ...model_selection._clean_labels import (
    estimate_prior,
    label_likelihood,
    sample_likelihood,
    symmetric_noise,
)
from ...utils._dask import is_dask
from ...utils._rows import identical_block_rows
from ._label_models import LabelData

_TOLERANCE = 1e-6
_BLOCK = 1 << 16
_REPEATED = (
    "{} rows of X repeat others: with the same label they count as one row with the sum of their "
    "weights; with another, leave-one-out scores are optimistic. Drop copies that are no "
    "observations of their own."
)


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


def label_data(estimator, observed, weights, sample_noise=None, label_distribution=None):
    """Return what is known of the labels and their noise, and what is odd about it."""
    n_classes = len(estimator.classes_)
    size = float(weights.sum() ** 2 / (weights**2).sum())
    prior = _class_prior(estimator.class_prior, n_classes)
    data = LabelData(observed, weights, n_classes, size, prior=prior)
    if sample_noise is not None and label_distribution is not None:
        raise ValueError("Both sample_noise and label_distribution are given: pass only one.")
    if label_distribution is not None:
        shares = _label_distribution(label_distribution, len(observed), n_classes)
        prior = weights @ shares / weights.sum() if prior is None else prior
        likelihood = shares / np.maximum(prior, 1e-12)
        likelihood /= likelihood.sum(1, keepdims=True)
        return data._replace(observed=shares.argmax(1), likelihood=likelihood, prior=prior), []
    if sample_noise is not None:
        rates = _sample_noise(sample_noise, len(observed), n_classes)
        return data._replace(likelihood=sample_likelihood(observed, rates, n_classes)), []
    if isinstance(estimator.noise_rates, str):
        return data, []
    matrix = noise_matrix(estimator.noise_rates, n_classes)
    data = data._replace(noise_matrix=matrix, likelihood=label_likelihood(observed, matrix))
    return data, _check_compatible(data)


def noise_matrix(noise_rates, n_classes):
    """Return the noise matrix that rates of any accepted form mean."""
    rates = np.zeros(1) if noise_rates is None else np.asarray(noise_rates, dtype=float)
    if rates.shape not in ((), (1,), (n_classes,), (n_classes, n_classes)):
        raise ValueError(
            f"noise_rates has shape {rates.shape}, but y has {n_classes} classes: give one rate, "
            f"{n_classes} rates, or a {n_classes} x {n_classes} noise matrix."
        )
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"noise_rates={noise_rates!r} must be probabilities, in [0, 1].")
    if rates.ndim == 2:
        if np.abs(rates.sum(1) - 1.0).max() > _TOLERANCE:
            raise ValueError(
                f"noise_rates has rows that sum to {rates.sum(1)}: each row of a noise matrix is "
                "P(observed | true) and must sum to 1."
            )
        matrix = rates
    else:
        matrix = symmetric_noise(n_classes, rates if rates.size > 1 else rates.reshape(-1)[:1])
    _check_informative(matrix, noise_rates)
    return matrix


def _check_informative(matrix, noise_rates):
    """Raise if observed labels say nothing of the true ones, or the opposite."""
    if len(matrix) == 2 and matrix[0, 1] + matrix[1, 0] >= 1:
        raise ValueError(
            f"noise_rates={noise_rates!r} sum to {matrix[0, 1] + matrix[1, 0]:.4g}: rates whose "
            "sum is 1 or more leave labels useless or inverted. Give rates with a sum below 1."
        )
    smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    if smallest < 1e-6 or (np.diag(matrix) <= 0).any():
        raise ValueError(
            f"noise_rates={noise_rates!r} make labels of some classes indistinguishable: give "
            "rates under which every class has a law of labels of its own."
        )


def _check_compatible(data):
    """Return a warning if the noise cannot produce the observed frequencies."""
    shares = np.bincount(data.observed, data.weights, data.n_classes) / data.weights.sum()
    prior = estimate_prior(data.noise_matrix.T, shares)
    gap = np.abs(prior @ data.noise_matrix - shares)
    if (gap <= 4.0 * np.sqrt(np.maximum(shares * (1 - shares), 0) / data.size) + 1e-9).all():
        return []
    return [
        f"The classes are observed with frequencies {np.round(shares, 3)}, which the given "
        "noise_rates cannot produce for any class_prior: the nearest possible prior is used. "
        "Correct noise_rates, or let them be estimated."
    ]


def _class_prior(class_prior, n_classes):
    """Return the checked frequencies of the classes, or None."""
    if class_prior is None:
        return None
    prior = np.asarray(class_prior, dtype=float)
    if prior.shape != (n_classes,) or not (prior > 0).all() or abs(prior.sum() - 1) > _TOLERANCE:
        raise ValueError(
            f"class_prior={class_prior!r} must be {n_classes} positive numbers with sum 1, one "
            "for each class in sorted order."
        )
    return prior


def _sample_noise(sample_noise, n_samples, n_classes):
    """Return the checked rates of the rows."""
    rates = np.asarray(sample_noise, dtype=float)
    if rates.shape not in ((n_samples,), (n_samples, n_classes)):
        raise ValueError(
            f"sample_noise has shape {rates.shape}: give shape ({n_samples},) or "
            f"({n_samples}, {n_classes})."
        )
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError("sample_noise has values outside [0, 1]: give rates of wrong labels.")
    return rates


def _label_distribution(label_distribution, n_samples, n_classes):
    """Return the checked soft labels."""
    shares = np.asarray(label_distribution, dtype=float)
    if shares.shape != (n_samples, n_classes):
        raise ValueError(
            f"label_distribution has shape {shares.shape}: give one row a sample and one column a "
            f"class, shape ({n_samples}, {n_classes})."
        )
    if not (shares >= 0).all() or np.abs(shares.sum(1) - 1).max() > _TOLERANCE:
        raise ValueError("label_distribution has rows that are not probabilities with sum 1.")
    if not shares.any(0).all():
        raise ValueError(
            f"label_distribution has only zeros in column {shares.any(0).argmin()}: no row can "
            "have that class. Leave the class out of y and its column out."
        )
    return shares


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
