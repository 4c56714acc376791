"""Comparisons of responses in their three forms, checked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import is_torch, to_numpy
from ...utils._checks import check_array_like_on_device
from ...utils._dask import is_dask, map_blocks, to_local
from ...utils._labels import label_codes, refuse_masked, refuse_missing_labels
from ...utils._memory import refuse_dense
from ...utils._scaling import unit_of
from ...utils._sklearn_compat import _check_feature_names, validate_data
from ._blocks import largest_entry, read_block_pairs, read_blocks


class Candidates(NamedTuple):
    """Candidate responses of prompts, with the pairs compared.

    Attributes
    ----------
    X : ndarray of shape (n_prompts, n_candidates, n_features)
        Features, 0 where there is no candidate.
    log_reference : ndarray of shape (n_prompts, n_candidates)
        Normalised log-probabilities of the reference policy; `-inf` where there is no candidate.
    pairs : ndarray of int of shape (n_prompts, 2)
        Indices of the chosen and of the rejected response.
    weights : ndarray of shape (n_prompts,)
        Weights of the prompts.
    group : ndarray of int of shape (n_prompts,) or None
        Which prompts are left out together, if groups of several are given.
    """

    X: np.ndarray
    log_reference: np.ndarray
    pairs: np.ndarray
    weights: np.ndarray
    group: np.ndarray | None = None


def validated(estimator: Any, X: Any, y: Any, *, reset: bool = True) -> tuple[Any, np.ndarray]:
    """Check features and labels."""
    y = as_host(to_local(y))
    if is_dask(X):
        X, y = read_blocks(estimator, X, reset=reset), np.asarray(y)
        if len(X) != len(np.atleast_1d(y)):
            raise ValueError(
                f"y has shape {y.shape}, but X has {len(X)} rows: give one label per row."
            )
        refuse_missing_labels(y)
        _check_column(y)
    else:
        dtype = [np.float64, np.float32]
        X, y = validate_data(
            estimator, as_host(X), y, dtype=dtype, reset=reset, accept_sparse="csr"
        )
        X, y = _as_dense(X).astype(np.float64, copy=False), np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(
            "Unknown label type: continuous. y must name which response is preferred, two classes."
        )
    return X, y


def _as_dense(X: Any, name: str = "X") -> np.ndarray:
    """Return a sparse array as a dense one: leaving pairs out fills in what is 0."""
    if not sparse.issparse(X):
        return X
    refuse_dense(name, X, int(X.shape[0]), "comparisons are left out of a fit to all features")
    return X.toarray()


def _check_column(y: np.ndarray) -> None:
    """Raise if labels are not one finite column."""
    if y.ndim == 0 or (y.ndim == 2 and y.shape[1] != 1) or y.ndim > 2:
        raise ValueError(f"y has shape {y.shape}: give one label per row of X.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains infinity: give one of two labels per row.")


def check_two_classes(name: str, labels: np.ndarray) -> np.ndarray:
    """Return the two classes of labels, sorted."""
    classes, _ = label_codes(labels, name)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. {name} has {len(classes)} classes: give one "
            "where the first response is preferred and another where the second is."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{name} has one class only, {classes.tolist()[0]!r}: turn some pairs around, or give "
            "the features of chosen and rejected responses to fit_pairs."
        )
    return classes


def signs_of(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return 1 for labels of the second class and -1 for the first."""
    return np.where(y == classes[1], 1.0, -1.0)


def read_pairs(estimator: Any, X_chosen: Any, X_rejected: Any) -> tuple[Any, Any]:
    """Check the features of chosen and rejected responses."""
    if is_dask(X_chosen) or is_dask(X_rejected):
        return read_block_pairs(estimator, X_chosen, X_rejected)
    X_chosen, X_rejected = as_host(X_chosen), as_host(X_rejected)
    if sparse.issparse(X_chosen) or sparse.issparse(X_rejected):
        X_chosen = _as_dense(X_chosen, "X_chosen")
        X_rejected = _as_dense(X_rejected, "X_rejected")
    chosen = validate_data(estimator, X_chosen, dtype=[np.float64, np.float32])
    rejected = check_array_like_on_device(X_rejected, "X_rejected", 2)
    if chosen.shape != rejected.shape:
        raise ValueError(
            f"X_chosen has shape {chosen.shape} and X_rejected {rejected.shape}: give one row of "
            "each for every comparison."
        )
    _check_feature_names(estimator, X_rejected, reset=False)
    return chosen.astype(np.float64), rejected.astype(np.float64)


def as_host(X: Any) -> Any:
    """Return a torch tensor as a NumPy array, and anything else as it is."""
    return to_numpy(X.detach()) if is_torch(X) else X


def output_dtype(X: Any) -> type:
    """Return float32 for float32 input, NumPy or torch, else float64."""
    single = str(getattr(X, "dtype", "")).removeprefix("torch.") == "float32"
    return np.float32 if single else np.float64


def read_reference(reference: Any, n_features: int, name: str = "reference") -> np.ndarray:
    """Check the coefficients of a log-linear reference policy."""
    if reference is None:
        return np.zeros(n_features)
    values = check_array_like_on_device(as_host(reference), name, 1)
    if values.shape != (n_features,):
        raise ValueError(
            f"{name} has shape {values.shape}: give one coefficient per feature, ({n_features},)."
        )
    return values.astype(np.float64)


def read_candidates(
    X: Any,
    mask: Any,
    log_reference: Any,
    n_features: int | None = None,
    name: str = "log_reference",
) -> tuple[np.ndarray, np.ndarray]:
    """Check candidate sets."""
    X = as_host(X)
    if mask is not None:
        X = np.array(X, dtype=np.float64)
        present = _read_mask(mask, X.shape)
        X[~present] = 0.0
    X = check_array_like_on_device(X, "X", 3, n_features=n_features).astype(np.float64)
    present = np.ones(X.shape[:2], bool) if mask is None else present
    base = np.where(present, _read_log_reference(log_reference, X.shape[:2], name), -np.inf)
    counts = np.isfinite(base).sum(1)
    if counts.min() < 2:
        raise ValueError(
            f"X has {counts.min()} candidate(s) for prompt {counts.argmin()}, shape {X.shape}: a "
            "choice needs two or more. Leave such prompts out."
        )
    return X, base


def _read_mask(mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Check which candidates there are."""
    refuse_masked(mask, "mask")
    mask = np.asarray(as_host(mask))
    if mask.dtype != bool or mask.shape != shape[:2]:
        raise ValueError(
            f"mask must be boolean of shape {shape[:2]}, got {mask.dtype} of shape {mask.shape}: "
            "give True where there is a candidate."
        )
    return mask


def _read_log_reference(log_reference: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Check log-probabilities over candidates."""
    if log_reference is None:
        return np.zeros(shape)
    refuse_masked(log_reference, name)
    values = np.asarray(as_host(log_reference), dtype=np.float64)
    if values.shape != shape or not (values < np.inf).all():
        raise ValueError(
            f"{name} must hold log-probabilities of shape {shape}, finite or -inf, got "
            f"shape {values.shape} with largest entry {values.max() if values.size else None}."
        )
    return values


def read_indices(y: Any, base: np.ndarray, name: str = "y") -> np.ndarray:
    """Check indices of candidates."""
    refuse_missing_labels(y, name)
    y = np.asarray(as_host(y))
    if y.dtype.kind not in "biuf" or not np.isfinite(y).all() or (y != np.floor(y)).any():
        raise ValueError(
            f"{name} must hold indices of candidates, finite integers, got dtype {y.dtype}."
        )
    if len(y) != len(base):
        raise ValueError(f"{name} has {len(y)} rows for {len(base)} prompts: give one per prompt.")
    if y.min() < 0 or y.max() >= base.shape[1]:
        raise ValueError(
            f"{name} must hold indices from 0 to {base.shape[1] - 1}, got {y.min():g} to "
            f"{y.max():g}."
        )
    y = y.astype(int)
    rows = np.arange(len(base)).reshape(-1, *[1] * (y.ndim - 1))
    if not np.isfinite(base[rows, y]).all():
        raise ValueError(f"{name} names a candidate that does not exist, by mask or log_reference.")
    return y


def read_choices(y: Any, base: np.ndarray) -> np.ndarray:
    """Check the indices of chosen and rejected candidates, (n_prompts, 2)."""
    refuse_missing_labels(y)
    y = np.asarray(as_host(y))
    if y.ndim != 2 or y.shape[1] != 2:
        raise ValueError(
            f"y has shape {y.shape}: for candidate sets give shape ({len(base)}, 2), the indices "
            "of the chosen and of the rejected response."
        )
    y = read_indices(y, base)
    if (y[:, 0] == y[:, 1]).any():
        raise ValueError(
            f"y names the same candidate twice for prompt {(y[:, 0] == y[:, 1]).argmax()}: the "
            "chosen and the rejected response must differ."
        )
    return y


def feature_unit(X: np.ndarray) -> float:
    """Return the power of two by which features are divided: 1 unless they are tiny or huge."""
    return unit_of(max(float(X.max()), -float(X.min())))


def unit_of_rows(X: Any) -> float:
    """Return the unit of an array, or of a Dask array."""
    return unit_of(max(map_blocks(largest_entry, X))) if is_dask(X) else feature_unit(X)


def in_unit(alpha: float, unit: float) -> float:
    """Return a penalty for features that are divided by a unit."""
    penalty = alpha / unit / unit
    if penalty == np.inf:
        raise ValueError(
            f"alpha={alpha:.3g} is no number in units of the mean square of X, whose values are of "
            f"order {unit:.3g}. Divide X by {unit:.3g}, or give a smaller alpha."
        )
    return penalty


def n_dimensions(X: Any) -> int:
    """Return the number of dimensions of an array-like."""
    shape = getattr(X, "shape", None)
    return len(shape) if shape is not None else np.ndim(np.asarray(X, dtype=object))
