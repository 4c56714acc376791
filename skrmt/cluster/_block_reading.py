"""One reading of the blocks of views: what is missing, means, and products of views."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from ..utils._dask import block_tasks, row_slices, summed
from ..utils._rows import compute_together
from ._view_products import centred_blocks, view_gram, view_means


class Outline(NamedTuple):
    """Largest modulus of a block of samples, its views that are there, and a bad entry."""

    largest: float
    present: np.ndarray
    first_bad: tuple | None


class ViewMoments(NamedTuple):
    """Sums over the samples of blocks.

    Attributes
    ----------
    mean : ndarray of shape (p, m)
        Means of the features in every view, over the samples that have it.
    gram : ndarray of shape (m, m)
        Gram matrix of the centred views.
    together : ndarray of shape (m, m)
        How many samples have both views.
    beside : ndarray of shape (p, m, m) or None
        Sums of centred features of the last view over the samples that have the one before; None
        where no view is missing, so that they are 0.
    """

    mean: np.ndarray
    gram: np.ndarray
    together: np.ndarray
    beside: np.ndarray | None

    def of_views(self, kept: np.ndarray) -> ViewMoments:
        """Return the sums of some of the views."""
        among = np.ix_(kept, kept)
        beside = None if self.beside is None else self.beside[:, kept[:, None], kept]
        return ViewMoments(self.mean[:, kept], self.gram[among], self.together[among], beside)


class BlockReading(NamedTuple):
    """What one reading of the blocks gives: outlines, sums, and the first samples."""

    outlines: list[Outline]
    moments: ViewMoments
    head: np.ndarray


def read_view_blocks(X: Any, masks: tuple, n_head: int) -> BlockReading:
    """Read the blocks of views once."""
    first = np.arange(X.shape[0]) < n_head
    tasks = block_tasks(_read_block, X, (first, *masks), ())
    moments = summed([task[1] for task in tasks], _merged)
    outlines, (sums,), heads = compute_together(
        [[task[0] for task in tasks], [moments], [task[2] for task in tasks]]
    )
    _refuse_bad(X, outlines)
    return BlockReading(outlines, sums, np.concatenate(heads))


def _refuse_bad(X: Any, outlines: Iterable[Outline]) -> None:
    """Raise if a view that is there holds NaN or infinity."""
    for rows, part in zip(row_slices(X), outlines, strict=True):
        if part.first_bad is not None:
            (row, *rest), value = part.first_bad
            index = (rows.start + row, *rest)
            raise ValueError(
                f"X contains NaN or infinity: {value} at index {index}. Impute or drop such values."
            )


def _read_block(
    block: np.ndarray, first: np.ndarray, *masks: np.ndarray
) -> tuple[Outline, ViewMoments, np.ndarray]:
    """Return outline and sums of a block of samples, and those among the first."""
    outline, block = _outlined(block, *masks)
    present = None if outline.present.all() else outline.present
    with np.errstate(over="ignore", invalid="ignore"):
        # NaN and infinity are reported when all blocks have been read.
        moments = _moments(block, present)
    return outline, moments, np.asarray(block[first], dtype=np.float64)


def _outlined(block: np.ndarray, *masks: np.ndarray) -> tuple[Outline, np.ndarray]:
    """Return the outline of a block of samples, and the block with 0 for what is missing."""
    n, _, m = block.shape
    present = masks[0] if masks else np.ones((n, m), dtype=bool)
    largest = largest_entry(block)
    if np.isfinite(largest) and present.all():
        return Outline(largest, present, None), block
    present = present & ~np.isnan(block).all(axis=1)
    block = np.where(present[:, None, :], block, block.dtype.type(0))
    bad = ~np.isfinite(block)
    if not bad.any():
        return Outline(largest_entry(block), present, None), block
    index = tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape))
    return Outline(np.inf, present, (index, float(block[index]))), block


def _moments(block: np.ndarray, present: np.ndarray | None) -> ViewMoments:
    """Return the sums of a block of samples about their own means."""
    n, p, m = block.shape
    if n == 0:
        return ViewMoments(np.zeros((p, m)), np.zeros((m, m)), np.zeros((m, m)), None)
    mean = view_means(block, present)
    gram = view_gram(block, mean, present)
    if present is None:
        return ViewMoments(mean, gram, np.full((m, m), float(n)), None)
    there = present.astype(float)
    beside = np.zeros((p, m, m))
    for rows, part in centred_blocks(block, mean, present):
        beside += np.einsum("ijl,ik->jkl", part, there[rows])
    return ViewMoments(mean, gram, there.T @ there, beside)


def _merged(parts: Iterable[ViewMoments]) -> ViewMoments:
    """Merge the sums of two sets of samples, each about means of its own, without cancellation."""
    parts = list(parts)
    counts = np.array([part.together.diagonal() for part in parts])
    shares = counts / np.maximum(counts.sum(axis=0), 1.0)
    mean = np.sum([part.mean * share for part, share in zip(parts, shares, strict=True)], axis=0)
    complete = all(part.beside is None for part in parts)
    moved = [_about(part, mean, complete) for part in parts]
    gram, together = (
        np.sum([getattr(part, name) for part in moved], axis=0) for name in ("gram", "together")
    )
    beside = [part.beside for part in moved if part.beside is not None]
    return ViewMoments(mean, gram, together, np.sum(beside, axis=0) if beside else None)


def _about(part: ViewMoments, mean: np.ndarray, complete: bool) -> ViewMoments:
    """Return sums of samples about other means than their own."""
    shift = part.mean - mean
    gram = part.gram + part.together * (shift.T @ shift)
    if complete:
        return ViewMoments(mean, gram, part.together, None)
    beside = np.zeros((*shift.shape, shift.shape[1])) if part.beside is None else part.beside
    across = np.einsum("jk,jkl->kl", shift, beside)
    beside = beside + part.together * shift[:, None, :]
    return ViewMoments(mean, gram + across + across.T, part.together, beside)


def largest_entry(X: Any) -> float:
    """Return the largest modulus."""
    return max(float(X.max()), -float(X.min())) if X.shape[0] else 0.0
