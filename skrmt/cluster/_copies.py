"""Views that are copies of others, and count once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..linalg import to_numpy
from ..utils._dask import is_dask
from ._views_input import HEAD, ViewList, ViewStack

_SAME = 0.99
"""Mean correlation of the columns of two views from which one is a copy: noise is then less than a
hundredth of the variance of either, so that two views that do differ lose next to nothing."""

_ROWS = HEAD
"""Rows that are compared: the standard error of a correlation of .99 is then .001."""

_FEWEST_ROWS = 8
"""Fewest rows: columns of less correlate by chance."""


def copied_views(views: ViewStack | ViewList) -> np.ndarray:
    """Return the view that each is a copy of, itself for those that are none."""
    m, n = views.shape[2], views.shape[0]
    origin = np.arange(m)
    if n < _FEWEST_ROWS or m == 1:
        return origin
    rows = slice(0, _ROWS) if _lazy(views) else np.linspace(0, n - 1, min(n, _ROWS)).astype(int)
    parts = _matrices(views, rows)
    present = np.ones((len(parts[0]), m), dtype=bool) if views.mask is None else views.mask[rows]
    for k in range(1, m):
        for other in np.flatnonzero(origin[:k] == np.arange(k)):
            both = present[:, k] & present[:, other]
            if both.sum() >= _FEWEST_ROWS and _same(parts[k][both], parts[other][both]):
                origin[k] = other
                break
    return origin


def _lazy(views):
    """Return whether views are Dask arrays."""
    return is_dask(views.X if isinstance(views, ViewStack) else views.X[0])


def _matrices(views, rows):
    """Return some rows of each view, in memory."""
    if isinstance(views, ViewStack) and views.head is not None:
        return list(np.moveaxis(views.head, 2, 0))
    parts = views.X if isinstance(views, ViewList) else [views.X]
    widths = [int(part.shape[1]) for part in parts]
    if isinstance(views, ViewList):
        # A view of another width is no copy: its rows need not be read.
        parts = [
            part[rows] if widths.count(width) > 1 else np.empty((min(len(part), _ROWS), 0))
            for part, width in zip(parts, widths, strict=True)
        ]
    else:
        parts = [views.X[rows]]
    parts = [to_numpy(part.compute() if is_dask(part) else part) for part in parts]
    if isinstance(views, ViewList):
        return [np.asarray(part, dtype=np.float64) for part in parts]
    return list(np.moveaxis(np.asarray(parts[0], dtype=np.float64), 2, 0))


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two views are one, up to the units and the sign of columns together."""
    if one.shape != other.shape or one.shape[1] == 0:
        return False
    one, other = one - one.mean(axis=0), other - other.mean(axis=0)
    norms = np.linalg.norm(one, axis=0), np.linalg.norm(other, axis=0)
    varies = (norms[0] > 1e-12 * norms[0].max()) & (norms[1] > 1e-12 * norms[1].max())
    if not varies.any():
        return False
    products = (one[:, varies] * other[:, varies]).sum(axis=0)
    correlations = products / norms[0][varies] / norms[1][varies]
    return bool(abs(correlations.mean()) >= _SAME)


def without_copies(views: ViewStack | ViewList, origin: np.ndarray) -> Any:
    """Return the views that are no copies."""
    kept = np.flatnonzero(origin == np.arange(len(origin)))
    if len(kept) == len(origin):
        return views
    if isinstance(views, ViewList):
        return views._replace(X=[views.X[k] for k in kept])
    mask = None if views.mask is None else views.mask[:, kept]
    if mask is not None and not mask.any(axis=1).all():
        first = int(np.argmin(mask.any(axis=1)))
        copy = int(np.flatnonzero(origin != np.arange(len(origin)))[0])
        raise ValueError(
            f"sample {first} of X has copies of other views only: views that are copies, such as "
            f"view {copy} of view {int(origin[copy])}, are not used. Drop it, or fill the original."
        )
    moments = None if views.moments is None else views.moments.of_views(kept)
    return views._replace(X=views.X[:, :, kept], mask=mask, moments=moments, head=None)


def message(origin: np.ndarray) -> str:
    """Return what is said of copies."""
    copies = np.flatnonzero(origin != np.arange(len(origin)))
    pairs = ", ".join(f"view {k} is a copy of view {origin[k]}" for k in copies)
    return f"{pairs}: it counts once, and no weight is given to the copy. See view_copies_."


def spread(values: np.ndarray, origin: np.ndarray, of_copies: float | None = None) -> np.ndarray:
    """Return one value per view: `of_copies`, or that of its original, for copies."""
    kept = np.flatnonzero(origin == np.arange(len(origin)))
    full = np.empty(len(origin))
    full[kept] = values
    copies = origin != np.arange(len(origin))
    full[copies] = full[origin[copies]] if of_copies is None else of_copies
    return full


def dropped_originals(drop: np.ndarray, origin: np.ndarray) -> list[int]:
    """Return the numbers, among the views that are no copies, of those dropped with all copies."""
    kept = np.flatnonzero(origin == np.arange(len(origin)))
    lost = set(np.asarray(drop) % len(origin))
    return [i for i, k in enumerate(kept) if set(np.flatnonzero(origin == k)) <= lost]
