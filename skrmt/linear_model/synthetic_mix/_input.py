"""Real and synthetic rows, in either form in which the user gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.utils import check_X_y
from sklearn.utils.multiclass import check_classification_targets

from ...linalg import as_device, is_torch, to_numpy
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._rows import take_rows
from ...utils._sklearn_compat import validate_data
from .._input import check_training_data, encode_labels
from ..noise_aware._label_models import LabelData
from ..noise_aware._options import Rows, distinct_rows
from ._blocks import check_container, read_blocks


class RealRows(NamedTuple):
    """Distinct real rows of positive weight.

    Attributes
    ----------
    X : array, sparse matrix or tensor of shape (n, p)
        Their data.
    observed : ndarray of shape (n,)
        Codes of their classes.
    weights : ndarray of shape (n,)
        Their weights.
    """

    X: Any
    observed: np.ndarray
    weights: np.ndarray

    @property
    def size(self):
        """Effective number of rows, ``(sum w)^2 / sum w^2``."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum()) if len(self.weights) else 0


class SourceRows(NamedTuple):
    """Rows of one synthetic source, of positive weight, the pruned ones included.

    Attributes
    ----------
    X : array, sparse matrix, tensor or dask array of shape (m, p)
        Their data.
    observed : ndarray of shape (m,)
        Codes of their labels.
    weights : ndarray of shape (m,)
        Their weights.
    kept : ndarray of bool of shape (m,)
        Whether pruning leaves them.
    score : ndarray of shape (m,) or None
        The verifier's score, where the threshold is to be chosen.
    """

    X: Any
    observed: np.ndarray
    weights: np.ndarray
    kept: np.ndarray
    score: np.ndarray | None

    def pruned(self, threshold):
        """Return the source, rows of a lower score not kept."""
        if self.score is None:
            return self
        return self._replace(kept=self.kept & (self.score >= threshold))

    def select(self, rows):
        """Return some of the rows, as RealRows."""
        if rows.all():
            return RealRows(self.X, self.observed, self.weights)
        return RealRows(take_rows(self.X, rows), self.observed[rows], self.weights[rows])


class MixRows(NamedTuple):
    """Everything that is given to a fit.

    Attributes
    ----------
    classes : ndarray of shape (K,)
        Labels, sorted.
    real : RealRows or None
        The real rows; None where there are none.
    sources : list of SourceRows
        The synthetic ones, in the order of their ids.
    total_weight : float
        Sum of the weights of all rows given.
    n_real, n_synthetic : int
        Numbers of rows given.
    messages : list of str
        What to warn of.
    """

    classes: np.ndarray
    real: RealRows | None
    sources: list
    total_weight: float
    n_real: int
    n_synthetic: int
    messages: list


def mix_rows(
    estimator, X, y, sample_weight, sample_source, X_synthetic, y_synthetic, keep, verifier_score
):
    """Check the arguments of a fit and tell real rows from synthetic ones."""
    stacked, separate = sample_source is not None, X_synthetic is not None
    _check_forms(estimator, stacked, separate, y_synthetic, keep, verifier_score)
    check_container(estimator, X, X_synthetic)
    X, y = _input(estimator, X, y, stacked)
    check_classification_targets(y)
    weights = check_sample_weight(to_local(sample_weight), len(y))
    if separate:
        parts = [_synthetic_input(estimator, X, X_synthetic, y_synthetic)]
        X = _like(X, parts[0][0])
        real, n_rows = np.ones(len(y), dtype=bool), parts[0][0].shape[0]
        given = [(*parts[0], np.ones(n_rows), np.arange(n_rows))]
    else:
        origin = _check_source(sample_source, len(y)) if stacked else np.zeros(len(y), int)
        real, n_rows = origin == 0, len(y)
        marks = [origin == k for k in np.unique(origin[~real])]
        given = [(take_rows(X, k), y[k], weights[k], np.flatnonzero(k)) for k in marks]
    kept, score = _pruning(estimator, keep, verifier_score, n_rows, bool(given))
    used = real & (weights > 0)
    classes, observed = _classes(y[used], weights[used], given)
    sources = [_source(part, classes, kept, score, estimator.prune_threshold) for part in given]
    total = float(weights.sum() + (sources[0].weights.sum() if separate else 0.0))
    rows, messages = None, []
    if used.any():
        data = LabelData(observed, weights[used], len(classes), 0.0)
        kept_rows = to_local(X if used.all() else take_rows(X, used))
        distinct, messages = distinct_rows(kept_rows, data)
        rows = RealRows(distinct.X, distinct.data.observed, distinct.data.weights)
    n_synthetic = sum(len(part[1]) for part in given)
    return MixRows(classes, rows, sources, total, int(real.sum()), n_synthetic, messages)


def _input(estimator, X, y, stacked):
    """Check the data of a fit; a Dask array without synthetic rows is read into memory."""
    y = to_local(y)
    if not is_dask(X):
        return check_training_data(estimator, X, y)
    if not stacked:
        return check_training_data(estimator, to_local(X), y)
    X = read_blocks(estimator, X, "X", reset=True)
    # The labels are checked as ever, with a column of the right length in place of the rows.
    _, y = check_X_y(np.zeros((len(X), 1)), y, dtype=None)
    return X, y


def _check_forms(estimator, stacked, separate, y_synthetic, keep, verifier_score):
    """Raise if synthetic rows are given in both forms, in half a form, or are missing."""
    if stacked and separate:
        raise ValueError(
            "Both sample_source and X_synthetic are given: stack all rows in X and say with "
            "sample_source which are synthetic, or pass X_synthetic and y_synthetic, not both."
        )
    if separate != (y_synthetic is not None):
        missing, present = ("y", "X") if separate else ("X", "y")
        raise ValueError(
            f"{present}_synthetic is given without {missing}_synthetic: pass both, or neither."
        )
    if stacked or separate:
        return
    wanting = {
        "keep": keep is not None,
        "verifier_score": verifier_score is not None,
        f"pruning={estimator.pruning!r}": estimator.pruning is not None,
        "generator_source='same'": estimator.generator_source == "same",
    }
    for name, wanted in wanting.items():
        if wanted:
            raise ValueError(
                f"{name} concerns synthetic rows, but neither sample_source nor X_synthetic is "
                "given: pass one of them."
            )


def _synthetic_input(estimator, X, X_synthetic, y_synthetic):
    """Return checked synthetic data, dense or sparse as the real ones, and their labels."""
    y_synthetic = to_local(y_synthetic)
    y = to_numpy(y_synthetic) if is_torch(y_synthetic) else np.asarray(y_synthetic)
    if is_dask(X_synthetic):
        data = read_blocks(estimator, X_synthetic, "X_synthetic", reset=False)
    elif is_torch(X_synthetic):
        data = check_array_like_on_device(
            X_synthetic, "X_synthetic", 2, n_features=estimator.n_features_in_
        )
    else:
        data = validate_data(
            estimator,
            X_synthetic,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            reset=False,
        )
    if y.shape != (data.shape[0],):
        raise ValueError(
            f"y_synthetic has shape {y.shape}, but X_synthetic has {data.shape[0]} rows: give one "
            "label a row."
        )
    return _like(data, X), y


def _like(data, other):
    """Return data in the container of other; in double precision where either is."""
    if is_torch(other) or is_torch(data):
        torch_one = other if is_torch(other) else data
        data = data if is_torch(data) else as_device(data, str(torch_one.device))
        wide = "float64" in str(data.dtype) or "float64" in str(other.dtype)
        data = data.to(torch_one.device)
        return data.double() if wide else data
    if sparse.issparse(other) and not sparse.issparse(data):
        data = sparse.csr_matrix(data)
    if sparse.issparse(data) and not sparse.issparse(other):
        data = data.toarray()
    return data.astype(np.promote_types(data.dtype, other.dtype), copy=False)


def _check_source(sample_source, n_samples):
    """Return checked ids of the sources."""
    sample_source = to_local(sample_source)
    origin = to_numpy(sample_source) if is_torch(sample_source) else np.asarray(sample_source)
    if origin.shape != (n_samples,):
        raise ValueError(
            f"sample_source has shape {origin.shape}: give one id a row of X, ({n_samples},)."
        )
    try:
        ids = np.nan_to_num(origin.astype(float), nan=-1.0, posinf=-1.0, neginf=-1.0).astype(int)
        valid = bool((ids == origin).all() and (ids >= 0).all())
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"sample_source has values such as {origin.ravel()[:5].tolist()}: give 0 for real rows "
            "and 1, 2, ... for synthetic sources."
        )
    return ids


def _pruning(estimator, keep, verifier_score, n_rows, has_sources):
    """Return the mask and the score that `pruning` asks for, one entry a row, or None."""
    if estimator.pruning is None or not has_sources:
        return None, None
    name = "keep" if estimator.pruning == "mask" else "verifier_score"
    values = keep if estimator.pruning == "mask" else verifier_score
    if values is None:
        raise ValueError(
            f"pruning={estimator.pruning!r} needs {name}: pass it to fit, one entry a row, or set "
            "pruning=None."
        )
    values = to_local(values)
    values = to_numpy(values) if is_torch(values) else np.asarray(values)
    if values.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {values.shape}: give one entry for each row of "
            f"{'X' if n_rows else 'X_synthetic'}, shape ({n_rows},)."
        )
    if estimator.pruning == "mask":
        if values.dtype != bool and not np.isin(values, (0, 1)).all():
            raise ValueError("keep has values other than True and False: give a boolean mask.")
        return values.astype(bool), None
    values = as_numbers("verifier_score", values)
    if not isinstance(estimator.prune_threshold, str) and np.isnan(estimator.prune_threshold):
        raise ValueError("prune_threshold=nan must be 'auto' or a number.")
    if np.isnan(values).any():
        raise ValueError("verifier_score contains NaN: give a number for every row.")
    return None, values


def as_numbers(name, values):
    """Return numbers in double precision."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} has values that are not numbers ({error}): give numbers."
        ) from error


def _classes(y, weights, given):
    """Return the classes and the codes of the real labels; of the synthetic ones without."""
    if len(y):
        return encode_labels(y, weights)
    labels = np.concatenate([part[1] for part in given])
    weights = np.concatenate([part[2] for part in given])
    return encode_labels(labels, weights)[0], np.zeros(0, dtype=int)


def _source(part, classes, kept, score, threshold):
    """Return the rows of one source."""
    X, y, weights, rows = part
    try:
        unseen = ~np.isin(y, classes)
    except TypeError:
        unseen = np.array([label not in classes for label in y])
    if unseen[weights > 0].any():
        extra = sorted(set(np.asarray(y)[unseen & (weights > 0)].tolist()), key=str)[:5]
        raise ValueError(
            f"Synthetic rows have labels {extra}, which no real row of positive weight in y has "
            f"(classes {classes.tolist()[:10]}): relabel or drop them, or give real rows of them."
        )
    used = weights > 0
    observed = np.searchsorted(classes, y[used])
    keep = np.ones(len(y), dtype=bool) if kept is None else kept[rows]
    values = None if score is None else score[rows][used]
    keep = keep[used]
    if values is not None and not isinstance(threshold, str):
        keep, values = values >= threshold, None
    X = X if used.all() else take_rows(X, used)
    marks = np.column_stack([keep, np.zeros(len(keep)) if values is None else values])
    data = LabelData(observed, weights[used], len(classes), 0.0, likelihood=marks.astype(float))
    rows = distinct_rows(X, data)[0] if len(observed) else Rows(X, data, None)
    marks = rows.data.likelihood
    return SourceRows(
        rows.X,
        rows.data.observed,
        rows.data.weights,
        marks[:, 0] > 0,
        None if values is None else marks[:, 1],
    )
