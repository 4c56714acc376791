"""Checks of the arguments that mark, weigh and prune synthetic rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ...linalg import is_torch, to_numpy
from ...utils._checks import refuse_masked
from ...utils._dask import is_dask, to_local


def check_forms(estimator, stacked, separate, y_synthetic, keep, verifier_score):
    """Raise if synthetic rows are given in both forms, in half a form, or are missing."""
    if stacked and separate:
        raise ValueError(
            "Both sample_source and X_synthetic are given: stack all rows in X and mark the "
            "synthetic ones in sample_source, or pass X_synthetic and y_synthetic, not both."
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


def check_container(estimator, X, X_synthetic):
    """Raise if a fit to Dask arrays would need all their rows in memory."""
    if not (is_dask(X) or is_dask(X_synthetic)):
        return
    name = "X_synthetic" if is_dask(X_synthetic) else "X"
    for option, default in (("generator_source", "external"), ("device", None)):
        value = getattr(estimator, option)
        if value != default:
            raise ValueError(
                f"{option}={value!r} needs all rows in memory, but {name} is a dask array: pass "
                f"{name}.compute(), or {option}={default!r}."
            )
    for other, data in (("X", X), ("X_synthetic", X_synthetic)):
        if is_torch(data) or sparse.issparse(data):
            raise ValueError(
                f"{other} is {type(data).__name__}, but {name} a dask array: give {other} as a "
                "dense NumPy array."
            )


def check_source(sample_source, n_samples):
    """Return checked ids of the sources."""
    refuse_masked(sample_source, "sample_source")
    origin = as_array(sample_source)
    if origin.shape != (n_samples,):
        raise ValueError(
            f"sample_source has shape {origin.shape}: give one id per row of X, ({n_samples},)."
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


def real_rows(sample_source: Any, shape: tuple) -> np.ndarray:
    """Return which rows of a test are real; accuracy is counted on these."""
    real = np.asarray(to_numpy(to_local(sample_source))) == 0
    if real.shape != shape:
        raise ValueError(
            f"sample_source has shape {real.shape}: give one id per row, ({shape[0]},)."
        )
    if not real.any():
        raise ValueError(
            "sample_source has no 0: accuracy is counted on real rows, of which there are none "
            "here. Stratify the folds by sample_source."
        )
    return real


def read_pruning(estimator, keep, verifier_score, n_rows, has_sources):
    """Return the mask and the scores that `pruning` asks for, one entry per row, or None."""
    if estimator.pruning is None or not has_sources:
        return None, None
    name = "keep" if estimator.pruning == "mask" else "verifier_score"
    values = keep if estimator.pruning == "mask" else verifier_score
    if values is None:
        raise ValueError(
            f"pruning={estimator.pruning!r} needs {name}: pass it to fit, one entry per row, or "
            "set pruning=None."
        )
    refuse_masked(values, name)
    values = as_array(values)
    if values.shape != (n_rows,):
        raise ValueError(
            f"{name} has shape {values.shape}: give one entry for each row of X, or of "
            f"X_synthetic where that is given, shape ({n_rows},)."
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


def check_labels(y, classes):
    """Raise if synthetic rows have labels that no real row has."""
    try:
        unseen = ~np.isin(y, classes)
    except TypeError:
        unseen = np.array([label not in classes for label in y])
    if unseen.any():
        extra = sorted(set(np.asarray(y)[unseen].tolist()), key=str)[:5]
        raise ValueError(
            f"Synthetic rows have labels {extra}, which no real row of positive weight in y has "
            f"(classes {classes.tolist()[:10]}): relabel or drop them, or give real rows of them."
        )


def as_numbers(name, values):
    """Return numbers in double precision."""
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} has values that are not numbers ({error}): give numbers."
        ) from error


def as_array(values):
    """Return an array, tensor or Dask array as a NumPy array."""
    values = to_local(values)
    return to_numpy(values) if is_torch(values) else np.asarray(values)
