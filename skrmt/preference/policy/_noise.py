"""How many comparisons are wrong, from those that contradict each other."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...utils._dask import is_dask
from ...utils._rows import identical_block_rows
from ._input import Comparisons, identical_rows

_FEWEST = 20.0
_LARGEST = 0.45
_PATHS = 4e6


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
    if is_dask(chosen):
        items = identical_block_rows(chosen, rejected)
    else:
        items = identical_rows(np.concatenate([chosen, rejected]))
    n_items, n = int(items.max()) + 1, len(chosen)
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
