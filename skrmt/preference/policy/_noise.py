"""How many comparisons are wrong, from those that contradict each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...utils._dask import is_dask
from ...utils._merging import merge_rows
from ...utils._rows import identical_block_rows
from ._comparisons import Comparisons

_FEWEST = 20.0
"""Chances of a contradiction below which no share is estimated: at a share of .1 its standard error
would be .08 or more."""

_LARGEST = 0.45
"""Largest share that is estimated: the standard error is infinite at 1/2."""

_PATHS = 4e6
"""Paths of two comparisons that are searched for cycles: some seconds and 100 MB."""


class NoiseEstimate(NamedTuple):
    """Share of comparisons that went the wrong way.

    Attributes
    ----------
    rate : float
        The share, nan where no comparisons can contradict each other.
    std : float
        Its standard error.
    """

    rate: float
    std: float


def estimate_noise(
    comparisons: Comparisons,
    chosen: Any = None,
    rejected: Any = None,
) -> NoiseEstimate:
    r"""Estimate the share of wrong comparisons from repetitions and cycles."""
    repeated = np.flatnonzero(comparisons.weights > 1.0)
    repeated = repeated[~np.isin(repeated, comparisons.empty)]
    won, lost = comparisons.won[repeated], comparisons.lost[repeated]
    clashes = float((won * lost).sum())
    chances = float(np.maximum((won + lost) * (won + lost - 1.0), 0.0).sum())
    if chosen is not None:
        cycles, triangles = _cycles(chosen, rejected)
        clashes, chances = clashes + cycles, chances + triangles
    if chances < _FEWEST:
        return NoiseEstimate(float("nan"), float("nan"))
    product = min(clashes / chances, _LARGEST * (1 - _LARGEST))
    root = np.sqrt(1.0 - 4.0 * product)
    std = np.sqrt(max(product, 0.5 / chances) / chances) / root
    return NoiseEstimate(float((1.0 - root) / 2.0), float(std))


def _cycles(chosen: Any, rejected: Any) -> tuple[float, float]:
    """Return the number of cyclic triangles of responses, and of all triangles."""
    n = len(chosen)
    items = _items(chosen, rejected)
    n_items = int(items.max()) + 1
    if n_items == 2 * n:
        return 0.0, 0.0
    wins = sparse.csr_array((np.ones(n), (items[:n], items[n:])), shape=(n_items, n_items))
    met = wins + wins.T
    once = met.multiply(met == 1).tocsr()
    degrees = np.asarray(once.sum(axis=1)).ravel()
    order = np.argsort(degrees, kind="stable")
    kept = np.sort(order[np.cumsum(degrees[order] ** 2) <= _PATHS])
    once, wins = once[kept][:, kept], wins[kept][:, kept]
    won = wins.multiply(once).tocsr()
    cyclic = (won @ won).multiply(won.T).sum() / 3.0
    triangles = (once @ once).multiply(once).sum() / 6.0
    return float(cyclic), float(triangles)


def _items(chosen: Any, rejected: Any) -> np.ndarray:
    """Return the number of each response, equal for equal features."""
    if is_dask(chosen):
        return identical_block_rows(chosen, rejected)
    both = np.concatenate([chosen, rejected])
    merged = merge_rows(both, np.zeros(len(both)), np.ones(len(both)))
    return merged.spread(np.arange(len(merged.first)))
