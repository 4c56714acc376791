"""From what a user passes as views to what is clustered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linalg import as_device, get_backend, is_torch, to_numpy
from ..utils._checks import check_array_like_on_device, refuse_masked
from ..utils._dask import check_dask, is_dask, to_local
from ..utils._feature_names import check_feature_names, feature_names
from ..utils._optional import import_optional
from ..utils._scaling import moderate_unit
from ._block_reading import ViewMoments, largest_entry, read_view_blocks

HEAD = 256
"""Samples of a Dask array that are kept of the first reading, to see which views are copies."""

_SAFE = 1e50
"""Magnitude of X up to which its cubic products and their sums of squares stay finite."""


class ViewStack(NamedTuple):
    """Views of equal width.

    Attributes
    ----------
    X : ndarray, torch tensor or dask array of shape (n, p, m)
        The entries over `scale`; 0 where a view is missing.
    mask : ndarray of bool of shape (n, m) or None
        Which samples have which view; None for all.
    scale : float
        1, or a power of two where the magnitude of X is extreme.
    noise_structure : {"none", "diagonal", "full", "known"}
        Form of the noise of the views; "none" for a single view.
    noise_variance : ndarray of shape (m,) or None
        Variances of the noise over `scale` squared, where they are known.
    moments : ViewMoments or None
        Means and products of the views of a Dask array, of the reading that checked it.
    head : ndarray of shape (h, p, m) or None
        Its first samples, of the same reading.
    """

    X: Any
    mask: np.ndarray | None
    scale: float
    noise_structure: str = "diagonal"
    noise_variance: np.ndarray | None = None
    moments: ViewMoments | None = None
    head: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The three sizes, as integers."""
        return tuple(int(size) for size in self.X.shape)

    @property
    def dtype(self) -> Any:
        """Type of the entries."""
        return self.X.dtype


class ViewList(NamedTuple):
    """Views of unequal widths, none of them missing."""

    X: list[Any]
    mask: None = None
    scale: float = 1.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, features of all views together, and views."""
        return int(self.X[0].shape[0]), sum(int(v.shape[1]) for v in self.X), len(self.X)

    @property
    def dtype(self) -> Any:
        """Type of the entries of the first view."""
        return self.X[0].dtype


def is_view_list(X):
    """Return whether X is a list of matrices."""
    return isinstance(X, (list, tuple)) and any(len(getattr(v, "shape", ())) == 2 for v in X)


def is_dask_views(X):
    """Return whether X is a Dask array, or a list of them."""
    return is_dask(X) or (isinstance(X, (list, tuple)) and len(X) > 0 and is_dask(X[0]))


def stacked(views):
    """Return views of equal width as one array."""
    if not is_dask(views[0]):
        return get_backend(*views).stack(views, -1)
    da = import_optional("dask.array", "dask")
    return da.stack(views, axis=-1).rechunk({1: -1, 2: -1})


def side_by_side(views):
    """Return matrices as one."""
    if len(views) == 1:
        return views[0]
    if is_dask(views[0]):
        da = import_optional("dask.array", "dask")
        return da.concatenate(views, axis=1).rechunk({1: -1})
    return get_backend(*views).concatenate(views, 1)


def n_dimensions(X):
    """Return the number of dimensions of an array-like, 0 for what is none."""
    if hasattr(X, "shape"):
        return len(X.shape)
    try:
        return np.asarray(X).ndim
    except ValueError:
        return 0


def view_list(X, device=None):
    """Check a list of matrices."""
    if any(is_dask(view) for view in X):
        return dask_list(X, device)
    views = []
    for k, view in enumerate(X):
        checked = check_array_like_on_device(
            view, f"view {k} of X", 2, ensure_min_samples=1, ensure_finite=True
        )
        views.append(as_device(checked, device))
    _check_same_samples(views)
    return views


def _check_same_samples(views):
    """Raise unless all views have the same number of samples."""
    sizes = [int(view.shape[0]) for view in views]
    if len(set(sizes)) > 1:
        raise ValueError(
            f"the views of X have {sizes} samples: every view needs the same samples, in the same "
            "order. Leave out the others, or pass one array with NaN where a view is missing."
        )


def dask_list(X, device=None, *, ensure_finite=True):
    """Check a list of Dask arrays, and chunk them alike."""
    local = [k for k, view in enumerate(X) if not is_dask(view)]
    if local:
        raise ValueError(
            f"view {local[0]} of X is a {type(X[local[0]]).__name__} and others are Dask arrays: "
            "make all of them Dask arrays, or pass view.compute() for each to fit them in memory."
        )
    _refuse_device(device)
    views = [
        check_dask(view, f"view {k} of X", ensure_finite=ensure_finite) for k, view in enumerate(X)
    ]
    _check_same_samples(views)
    return [view.rechunk({0: views[0].chunks[0]}) for view in views]


def _refuse_device(device):
    """Raise if Dask arrays are to go to a device."""
    if device is not None:
        raise ValueError(
            f"device={device!r} needs views in memory, but X is a Dask array: pass X.compute(), or "
            "device=None."
        )


def names_of_views(X):
    """Return the feature names of each view of a list, None for those without."""
    return [None if is_dask(view) else feature_names(view) for view in X]


def check_names_of_views(estimator, X, seen):
    """Raise or warn as scikit-learn does unless each view has the features seen in fit."""
    for view, names in zip(X, seen, strict=False):
        if not is_dask(view):
            check_feature_names(estimator, view, names)


def view_stack(X, mask, device=None, shape=None):
    """Check views of equal width."""
    ndim = n_dimensions(X)
    if ndim not in (2, 3):
        raise ValueError(
            f"X has {ndim} dimension(s): expected 2 dimensions for one "
            "view or 3, (n_samples, n_features, n_views). Reshape your data."
        )
    if is_dask(X):
        _refuse_device(device)
        X = check_dask(X, "X", ndim, ensure_finite=False)
    else:
        X = check_array_like_on_device(X, "X", ndim, ensure_finite=False)
    X = X[:, :, None] if ndim == 2 else X
    if shape is not None:
        check_views_of_fit(X, shape)
    if is_dask(X):
        return _blocks_of_views(X, mask)
    X, present = _missing(as_device(X, device), mask)
    scale = moderate_unit(largest_entry(X), _SAFE)
    return ViewStack(X if scale == 1.0 else X / scale, present, scale)


def check_views_of_fit(X, shape):
    """Raise unless samples have the features and views seen in `fit`."""
    if tuple(X.shape[1:]) != tuple(shape):
        raise ValueError(
            f"X has {int(X.shape[1])} features and {int(X.shape[2])} views, but {shape[0]} "
            f"features and {shape[1]} views were seen in fit: pass the same ones in the same order."
        )


def _blocks_of_views(X, mask):
    """Return the stack of the views of a Dask array, by one reading of its blocks."""
    n, _, m = X.shape
    masks = () if mask is None else (_checked_mask(to_local(mask), (n, m)),)
    read = read_view_blocks(X, masks, HEAD)
    there = np.concatenate([part.present for part in read.outlines])
    _refuse_samples_alone(there)
    X, present = _zeroed(X, there), None if there.all() else there
    scale = moderate_unit(max(part.largest for part in read.outlines), _SAFE)
    if scale == 1.0:
        return ViewStack(X, present, scale, moments=read.moments, head=read.head)
    # Squares of extreme numbers overflow: the sums are taken once more, in another unit.
    return ViewStack(X / scale, present, scale, head=read.head / scale)


def _missing(X, mask):
    """Return the views with 0 for what is missing, and which are there."""
    with np.errstate(over="ignore", invalid="ignore"):
        finite = bool(np.isfinite(float(X.sum())))
    if mask is None and finite:
        return X, None
    n, _, m = (int(size) for size in X.shape)
    present = np.ones((n, m), dtype=bool) if mask is None else _checked_mask(mask, (n, m))
    if not finite:
        empty = X.isnan().all(1).cpu().numpy() if is_torch(X) else np.isnan(X).all(axis=1)
        present = present & ~empty
    X = _zeroed(X, present)
    check_array_like_on_device(X, "X", 3)
    _refuse_samples_alone(present)
    return X, None if present.all() else present


def _refuse_samples_alone(present):
    """Raise if a sample has no view."""
    alone = ~present.any(axis=1)
    if alone.any():
        raise ValueError(
            f"sample {int(np.argmax(alone))} of X has no view: all are NaN or masked. Drop it."
        )


def _zeroed(X, present):
    """Return the views with 0 for what is missing."""
    if present.all():
        return X
    if is_torch(X):
        absent = X.new_tensor(~present).bool()[:, None, :]
        return X.masked_fill(absent, 0.0)
    if is_dask(X):
        da = import_optional("dask.array", "dask")
        there = da.from_array(present, chunks=(X.chunks[0], -1))[:, None, :]
        return da.where(there, X, X.dtype.type(0))
    return np.where(present[:, None, :], X, X.dtype.type(0))


def _checked_mask(mask, shape):
    """Return the mask as an array of bool, or say what is wrong."""
    refuse_masked(mask, "mask")
    present = np.asarray(mask.cpu() if is_torch(mask) else mask)
    if present.shape != shape or present.dtype.kind not in "bui":
        raise ValueError(
            f"mask must be an array of bool of shape {shape}, a row per sample, a column per view, "
            f"got dtype {present.dtype} and shape {present.shape}."
        )
    return present.astype(bool)


def check_sizes(n, p, n_clusters, refine):
    """Refuse more clusters than samples or components."""
    if n < 2:
        raise ValueError(
            f"X has {n} sample(s), while a minimum of 2 is required: pass more samples."
        )
    if n_clusters > n or n_clusters - 1 > min(n, p):
        raise ValueError(
            f"n_clusters={n_clusters} is too large for {n} samples of {p} features: it must be at "
            f"most {min(n, min(n, p) + 1)}."
        )
    if refine is not None and n_clusters > 2:
        raise ValueError(
            f"refine={refine!r} separates two clusters, got n_clusters={n_clusters}. Use "
            "refine=None."
        )


def checked_variance(noise_variance, n_views):
    """Return the variances of the noise, or say what is wrong."""
    if noise_variance is None:
        raise ValueError(
            "noise_structure='known' needs noise_variance, the variances of the noise of the "
            f"{n_views} views, got None."
        )
    variance = np.asarray(to_numpy(noise_variance), dtype=np.float64)
    if variance.shape != (n_views,) or not (np.isfinite(variance) & (variance > 0)).all():
        raise ValueError(
            f"noise_variance must hold {n_views} positive variances, one per view, got "
            f"{noise_variance!r}."
        )
    return variance
