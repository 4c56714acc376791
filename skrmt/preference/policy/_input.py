"""Comparisons of responses in their three forms, checked and merged."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...linalg import is_torch, to_numpy
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._rows import identical_block_rows
from ...utils._sklearn_compat import validate_data
from ._blocks import outline, read_block_pairs, read_blocks

_BLOCK = 4096


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
    """

    X: np.ndarray
    log_reference: np.ndarray
    pairs: np.ndarray
    weights: np.ndarray


class Comparisons(NamedTuple):
    """Distinct differences of features, each with the weights of both outcomes.

    Attributes
    ----------
    differences : ndarray or dask array of shape (m, n_features)
        Features of one response minus those of the other, divided by `unit`; one row for all
        comparisons of a pair, whichever way they went. A Dask array has more rows than columns.
    won, lost : ndarray of shape (m,)
        Weight of the comparisons that the first response won, and lost.
    unit : float
        Power of two; 1 unless the data are tiny or huge.
    row : ndarray of int of shape (n,)
        Row of `differences` of each comparison given; -1 for those of weight 0.
    sign : ndarray of shape (n,)
        1 where the first response of that row won, -1 where it lost.
    empty : ndarray of int of shape (z,)
        Rows of `differences` that are 0.
    """

    differences: Any
    won: np.ndarray
    lost: np.ndarray
    unit: float
    row: np.ndarray
    sign: np.ndarray
    empty: np.ndarray

    @property
    def weights(self) -> np.ndarray:
        """Weights of the distinct pairs."""
        return self.won + self.lost

    @property
    def balance(self) -> np.ndarray:
        """Weight won less weight lost of the distinct pairs."""
        return self.won - self.lost

    @property
    def n_effective(self) -> float:
        """Effective number of distinct pairs."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def outcomes(self, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the margins of all outcomes, and their weights; scores of any further axes."""
        mixed = (self.won > 0) & (self.lost > 0)
        turned = (self.won == 0).reshape(-1, *[1] * (scores.ndim - 1))
        margins = np.where(turned, -scores, scores)
        weights = np.where(self.won > 0, self.won, self.lost)
        if not mixed.any():
            return margins, weights
        margins = np.concatenate([margins, -scores[mixed]])
        return margins, np.concatenate([weights, self.lost[mixed]])


def read_differences(estimator: Any, X: Any, y: Any) -> tuple[Any, np.ndarray]:
    """Check feature differences and outcomes."""
    X, y = validated(estimator, X, y)
    classes = check_two_classes("y", y)
    estimator.classes_ = classes
    return X, signs_of(y, classes)


def validated(estimator: Any, X: Any, y: Any, *, reset: bool = True) -> tuple[Any, np.ndarray]:
    """Check features and labels."""
    y = as_host(to_local(y))
    if is_dask(X):
        X, y = read_blocks(estimator, X, reset=reset), np.asarray(y)
        if len(X) != len(np.atleast_1d(y)):
            raise ValueError(
                f"y has shape {y.shape}, but X has {len(X)} rows: give one label a row."
            )
        _refuse_missing(y)
    else:
        dtype = [np.float64, np.float32]
        X, y = validate_data(estimator, as_host(X), y, dtype=dtype, reset=reset)
        X, y = X.astype(np.float64, copy=False), np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise ValueError(
            "Unknown label type: continuous. y must name which response is preferred, two classes."
        )
    return X, y


def _refuse_missing(y: np.ndarray) -> None:
    """Raise if there are no labels, in one column, or one of them is missing."""
    if y.ndim == 0 or (y.ndim == 2 and y.shape[1] != 1) or y.ndim > 2:
        raise ValueError(f"y has shape {y.shape}: give one label a row of X.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("y contains NaN or infinity: give one of two labels a row.")


def check_two_classes(name: str, labels: np.ndarray) -> np.ndarray:
    """Return the two classes of labels, sorted."""
    classes = np.unique(labels)
    if len(classes) > 2:
        raise ValueError(
            f"Only binary classification is supported. {name} has {len(classes)} classes: give one "
            "where the first response is preferred and another where the second is."
        )
    if len(classes) < 2:
        raise ValueError(
            f"{name} has one class only, {classes[0]!r}: turn some pairs around, or give the "
            "features of chosen and rejected responses to fit_pairs."
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
    chosen = validate_data(estimator, X_chosen, dtype=[np.float64, np.float32])
    rejected = check_array_like_on_device(X_rejected, "X_rejected", 2)
    if chosen.shape != rejected.shape:
        raise ValueError(
            f"X_chosen has shape {chosen.shape} and X_rejected {rejected.shape}: give one row of "
            "each for every comparison."
        )
    estimator.classes_ = np.array([0, 1])
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
            f"{name} has shape {values.shape}: give one coefficient a feature, ({n_features},)."
        )
    return values.astype(np.float64)


def read_candidates(
    X: Any,
    mask: Any,
    log_reference: Any,
    n_features: int | None = None,
    name: str = "log_reference",
):
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
    values = np.asarray(as_host(log_reference), dtype=np.float64)
    if values.shape != shape or not (values < np.inf).all():
        raise ValueError(
            f"{name} must hold log-probabilities of shape {shape}, finite or -inf, got "
            f"shape {values.shape} with largest entry {values.max() if values.size else None}."
        )
    return values


def read_indices(y: Any, base: np.ndarray, name: str = "y") -> np.ndarray:
    """Check indices of candidates."""
    y = np.asarray(as_host(y))
    if y.dtype.kind not in "biuf" or not np.isfinite(y).all() or (y != np.floor(y)).any():
        raise ValueError(
            f"{name} must hold indices of candidates, finite integers, got dtype {y.dtype}."
        )
    if len(y) != len(base):
        raise ValueError(f"{name} has {len(y)} rows for {len(base)} prompts: give one a prompt.")
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
    return unit_of(float(outline(X).largest.max())) if is_dask(X) else feature_unit(X)


def unit_of(largest: float) -> float:
    """Return the power of two by which features of this largest magnitude are divided."""
    if largest == 0 or 1e-60 < largest < 1e60:
        return 1.0
    return float(2.0 ** np.floor(np.log2(largest)))


def merge(differences: Any, signs: np.ndarray, sample_weight: Any) -> Comparisons:
    """Gather the comparisons of each pair in one row."""
    weights = check_sample_weight(as_host(to_local(sample_weight)), len(differences))
    if is_dask(differences):
        unit, groups, turned, zeros = _groups_of_blocks(differences)
    else:
        unit = feature_unit(differences)
        groups, turned = _groups(differences)
        zeros = _zeros(differences)
    differences = differences if unit == 1 else differences / unit
    if groups is None:
        first = groups = np.arange(len(differences))
        won, lost = np.where(signs > 0, weights, 0.0), np.where(signs < 0, weights, 0.0)
    else:
        first = np.unique(groups, return_index=True)[1]
        signs = signs * turned * turned[first][groups]
        won = np.bincount(groups, weights * (signs > 0))
        lost = np.bincount(groups, weights * (signs < 0))
    kept = won + lost > 0
    if len(first) < len(differences) or not kept.all():
        differences = differences[first[kept]]
    if differences.shape[0] <= differences.shape[1]:
        differences = to_local(differences)
    return Comparisons(
        differences,
        won[kept],
        lost[kept],
        unit,
        np.where(kept[groups], (np.cumsum(kept) - 1)[groups], -1),
        signs,
        np.flatnonzero(zeros[first[kept]]),
    )


def _groups_of_blocks(differences: Any) -> tuple[float, np.ndarray | None, np.ndarray, np.ndarray]:
    """Return the unit, the groups and signs of rows, and which rows are 0, by blocks."""
    seen = outline(differences)
    unit, zeros = unit_of(float(seen.largest.max())), seen.largest == 0
    if len(np.unique(seen.first)) == len(differences):
        return unit, None, np.ones(len(differences)), zeros
    groups = identical_block_rows(differences, signs=seen.sign)
    return unit, (None if groups.max() + 1 == len(groups) else groups), seen.sign, zeros


def _zeros(differences: np.ndarray) -> np.ndarray:
    """Return which rows are 0."""
    zeros = differences[:, 0] == 0
    zeros[zeros] = ~differences[zeros].any(axis=1)
    return zeros


def _groups(differences: np.ndarray) -> tuple[np.ndarray | None, np.ndarray]:
    """Return the group of each row among those equal up to sign, None if all differ, and signs."""
    signs = np.ones(len(differences))
    if len(np.unique(np.abs(differences[:, 0]))) == len(differences):
        return None, signs
    lead = differences[np.arange(len(differences)), (differences != 0).argmax(axis=1)]
    signs[lead < 0] = -1.0
    groups = identical_rows(differences * signs[:, None])
    return (None if groups.max() + 1 == len(groups) else groups), signs


def identical_rows(rows: np.ndarray) -> np.ndarray:
    """Number the distinct rows in the order of their first appearance."""
    rows = np.ascontiguousarray(rows + 0.0)
    largest = max(float(rows.max()), -float(rows.min())) or 1.0
    keys = np.empty(len(rows))
    weights = np.sqrt(np.arange(2.0, rows.shape[1] + 2.0)) / largest
    for start in range(0, len(rows), _BLOCK):
        # Sums along rows, unlike products with a vector, are the same wherever the row is.
        keys[start : start + _BLOCK] = (rows[start : start + _BLOCK] * weights).sum(axis=1)
    first, codes = _first_seen(keys)
    if len(first) < len(rows) and not _equal_to_first(rows, first, codes):
        whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]
        first, codes = _first_seen(whole)
    rank = np.empty(len(first), dtype=int)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[codes]


def _first_seen(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct key appears first, and which one each is."""
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    return first, codes.ravel()


def _equal_to_first(rows: np.ndarray, first: np.ndarray, codes: np.ndarray) -> bool:
    """Return whether every row is that of its key's first appearance."""
    later = np.flatnonzero(first[codes] != np.arange(len(rows)))
    return bool((rows[later] == rows[first[codes[later]]]).all())
