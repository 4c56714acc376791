"""Many searches in a small compressed tensor: starts for rank-one and for joint fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from ..utils._memory import explains_memory
from ._backend import to_numpy
from ._dense_tensor import Components, DenseTensor, FloatArray, no_components
from ._power_sweeps import RankOne, power_sweeps

_EXTRA = 10
"""Singular vectors of each mode that are kept beside one per component: weak components are spread
over several."""

_LARGEST_CORE = 20_000
"""Entries of a compressed tensor, which bounds the time of its search for any order."""

_FIRST_SWEEPS = 3
_CORE_SWEEPS = 12
_CORE_TOLERANCE = 1e-3
"""Sweeps before the best start may be taken alone, sweeps in all, and their tolerance."""

_SAME = 0.8
"""Cosine, multiplied over modes, from which two maxima are the same one."""


class Compressed(NamedTuple):
    """A tensor projected on a few directions of each mode.

    Attributes
    ----------
    core : DenseTensor
        The small tensor.
    bases : list of ndarray of shape (p_m, k_m)
        Orthonormal columns, one array a mode.
    """

    core: DenseTensor
    bases: list[FloatArray]

    def lift(self, factors: Sequence[FloatArray]) -> list[FloatArray]:
        """Return vectors of the small tensor as vectors of the large one."""
        return [basis @ factor for basis, factor in zip(self.bases, factors, strict=True)]


def mode_orders(shape: Sequence[int]) -> list[list[int]]:
    """Return one order of the modes beginning with each of them, the cheapest first."""
    ascending = sorted(range(len(shape)), key=lambda mode: (shape[mode], mode))
    return [[mode, *(other for other in ascending if other != mode)] for mode in ascending]


def compress(
    tensor: DenseTensor, minus: Components, order: Sequence[int], rank: int = 0
) -> Compressed:
    """Project each mode on its leading singular vectors, after those of the modes before."""
    columns = min(_EXTRA + minus.rank + rank, int(_LARGEST_CORE ** (1 / tensor.order)))
    bases = [np.eye(size) for size in tensor.shape]
    current, factors, left = tensor, list(minus.factors), minus
    for mode in [mode for mode in order if tensor.shape[mode] > columns]:
        bases[mode] = _leading(current, mode, columns, left)
        current = current.project(bases[mode], mode)
        factors[mode] = bases[mode].T @ factors[mode]
        current = current.minus(Components(left.weights, factors))
        left = no_components(current.shape)
    core = np.asarray(to_numpy(current.minus(left).tensor), dtype=np.float64)
    return Compressed(DenseTensor(core), bases)


def _leading(tensor: DenseTensor, mode: int, n_columns: int, minus: Components) -> FloatArray:
    """Return the leading left singular vectors of an unfolding, signs fixed."""
    size = tensor.shape[mode]
    if not minus.rank and size**2 > np.prod(tensor.shape):
        flat = np.moveaxis(to_numpy(tensor.tensor), mode, 0).reshape(size, -1)
        vectors = np.linalg.svd(flat.astype(np.float64), full_matrices=False)[0][:, :n_columns]
    else:
        gram = residual_gram(tensor, minus, mode) if minus.rank else tensor.gram(mode)
        vectors = eigh(gram, subset_by_index=[size - n_columns, size - 1])[1][:, ::-1]
    largest = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])]))


@explains_memory("a smaller tensor")
def residual_gram(tensor: DenseTensor, minus: Components, mode: int) -> FloatArray:
    """Return the Gram matrix of an unfolding less a low-rank tensor: one pass.

    Parameters
    ----------
    tensor : DenseTensor
        The tensor.
    minus : Components
        What is subtracted.
    mode : int
        The mode.

    Returns
    -------
    ndarray of shape (p_mode, p_mode)
        The Gram matrix, by products with the one of the tensor: digits are lost where the rest is
        less than 1e-6 of the tensor in norm.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import Components, DenseTensor, residual_gram
    >>> one = Components(np.ones(1), [np.eye(2, 1)] * 3)
    >>> residual_gram(DenseTensor(np.ones((2, 2, 2))), one, 0)
    array([[3., 3.],
           [3., 4.]])
    """
    if not minus.rank:
        return np.asarray(tensor.gram(mode))
    weighted = minus.factors[mode] * minus.weights
    cross = tensor.mttkrp(minus.factors, mode) @ weighted.T
    others = [factor for m, factor in enumerate(minus.factors) if m != mode]
    products = np.prod([factor.T @ factor for factor in others], axis=0)
    return np.asarray(tensor.gram(mode) - cross - cross.T + weighted @ products @ weighted.T)


def search_core(
    core: DenseTensor,
    minus: Components,
    n_init: int,
    rng: np.random.Generator,
    enough: float = np.inf,
) -> RankOne:
    """Run power iterations from random starts and from each direction of the first mode."""
    rest = core.minus(minus)
    starts = [
        np.concatenate([rng.standard_normal((size, n_init)), guided], axis=1)
        for size, guided in zip(core.shape, _guided(rest.tensor), strict=True)
    ]
    starts = [start / np.linalg.norm(start, axis=0) for start in starts]
    nothing = no_components(core.shape)
    found = power_sweeps(rest, starts, nothing, _CORE_TOLERANCE, _FIRST_SWEEPS)
    if found.values.max() >= enough:
        found = found.take([int(np.argmax(found.values))])
    found = power_sweeps(rest, found.factors, nothing, _CORE_TOLERANCE, _CORE_SWEEPS)
    return found.take(np.argsort(-found.values, kind="stable"))


def _guided(core: FloatArray) -> list[FloatArray]:
    """Return, for each slice of the first mode, leading singular vectors of all others."""
    n_slices = core.shape[0]
    starts, slices = [np.eye(n_slices)], core
    while slices.ndim > 2:
        unfolded = slices.reshape(n_slices, slices.shape[1], -1)
        vectors = np.linalg.svd(unfolded, full_matrices=False)[0][:, :, 0]
        starts.append(vectors.T)
        slices = (vectors[:, None, :] @ unfolded).reshape(n_slices, *slices.shape[2:])
    norms = np.linalg.norm(slices, axis=1, keepdims=True)
    last = np.divide(slices, norms, where=norms > 0, out=np.ones_like(slices))
    return [*starts, last.T]


def distinct(found: RankOne, n_kept: int) -> RankOne:
    """Keep the first of those that are nearly the same."""
    cosines = np.abs(np.prod([factor.T @ factor for factor in found.factors], axis=0))
    kept: list[int] = []
    for column in range(len(found.values)):
        if len(kept) < n_kept and not (cosines[column, kept] > _SAME).any():
            kept.append(column)
    return found.take(kept)
