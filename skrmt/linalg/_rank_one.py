"""Best rank-one approximation of a dense tensor less a low-rank one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..utils._memory import explains_memory
from ._dense_tensor import Components, DenseTensor, FloatArray, no_components
from ._power_sweeps import RankOne, power_sweeps
from ._spectral_start import compress, distinct, mode_orders, search_core

_FIRST_SWEEPS = 5
"""Sweeps on the tensor after which the value of the first start is judged."""

_KEPT = 4
"""Distinct maxima of each compressed tensor that are lifted, fewer for a short first mode."""

_TRIAL_SWEEPS = 8
"""Sweeps after which the best of all lifted maxima is known."""


@explains_memory("a smaller tensor")
def best_rank_one(
    tensor: DenseTensor,
    *,
    minus: Components | None = None,
    n_init: int = 20,
    enough: float = np.inf,
    floor: float = -np.inf,
    tol: float = 1e-6,
    max_iter: int = 500,
    seed: int = 0,
    run: Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]] = map,
) -> RankOne:
    r"""Find the rank-one tensor nearest to a tensor, or to what is left of it.

    Parameters
    ----------
    tensor : DenseTensor
        The tensor T.
    minus : Components, optional
        A low-rank tensor that is subtracted from T on the fly, without a copy.
    n_init : int, default=20
        Random starts in each compressed tensor, beside one for each of its first directions.
    enough : float, default=inf
        If the first compressed tensor leads to a value of at least this, no other is tried.
    floor : float, default=-inf
        The search ends early once its growth will not lead to this value.
    tol : float, default=1e-6
        Largest change of a unit vector in the last sweep.
    max_iter : int, default=500
        Largest number of sweeps.
    seed : int, default=0
        Seed of the random starts.
    run : callable, default=map
        Calls a function on each of several items, in parallel perhaps.

    Returns
    -------
    RankOne
        The best approximation found, in one column.

    Notes
    -----
    T is compressed by truncated singular vectors, each mode after projection on those of the
    modes before: one Gram matrix of T and one pass. The compressed tensor is searched from many
    starts in one batch, the best is lifted, and power iterations on T go on from there, two
    passes over T each. Only if the value stays below `enough`, compressions that begin with each
    of the modes follow, and four distinct maxima of each are lifted in one batch of sweeps.

    References
    ----------
    A Statistical Model for Tensor PCA, arXiv:1411.1076.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import DenseTensor, best_rank_one
    >>> T = np.einsum("i,j,k->ijk", [3.0, 4.0], [1.0, 0.0], [0.6, 0.8])
    >>> best_rank_one(DenseTensor(T)).values.round(6)
    array([5.])
    """
    minus = no_components(tensor.shape) if minus is None else minus
    seeds = np.random.SeedSequence(seed).spawn(tensor.order)
    jobs = list(zip(mode_orders(tensor.shape), seeds, strict=True))

    n_kept = min(_KEPT, max(1, tensor.shape[0] // (2 * tensor.order)))

    def starts_of(job: tuple[list[int], np.random.SeedSequence]) -> list[FloatArray]:
        rng = np.random.default_rng(job[1])
        return _starts(tensor, minus, job[0], n_init, n_kept, rng)

    starts = [starts_of(jobs[0])]
    first = [factor[:, :1] for factor in starts[0]]
    best = power_sweeps(tensor, first, minus, tol, min(_FIRST_SWEEPS, max_iter))
    n_iter = best.n_iter
    if best.values[0] < enough:
        starts += run(starts_of, jobs[1:])
        trials = [np.concatenate(factors, axis=1) for factors in zip(*starts, strict=True)]
        found = power_sweeps(tensor, trials, minus, tol, min(_TRIAL_SWEEPS, max_iter))
        n_iter += found.n_iter
        found = found.take([int(np.argmax(found.values))])
        best = max(best, found, key=lambda result: float(result.values[0]))
    if not best.converged and n_iter < max_iter:
        best = power_sweeps(tensor, best.factors, minus, tol, max_iter - n_iter, floor)
        n_iter += best.n_iter
    return best._replace(n_iter=n_iter)


def _starts(
    tensor: DenseTensor,
    minus: Components,
    order: Sequence[int],
    n_init: int,
    n_kept: int,
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Return distinct maxima of a compressed tensor, lifted, the best first."""
    compressed = compress(tensor, minus, order)
    nothing = no_components(compressed.core.shape)
    found = search_core(compressed.core, nothing, n_init, rng)
    return compressed.lift(distinct(found, n_kept).factors)


@explains_memory("overwrite=True")
def deflate_mode(
    tensor: DenseTensor,
    vector: FloatArray,
    mode: int,
    gamma: float,
    *,
    overwrite: bool = False,
) -> DenseTensor:
    r"""Multiply a mode by :math:`I - \gamma uu^\top`.

    Parameters
    ----------
    tensor : DenseTensor
        The tensor.
    vector : ndarray of shape (p_mode,)
        The unit vector u.
    mode : int
        The mode.
    gamma : float
        Strength, from 0 (nothing) to 1 (a projection).
    overwrite : bool, default=False
        Write into the tensor instead of a copy.

    Returns
    -------
    DenseTensor
        The deflated tensor.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import DenseTensor, deflate_mode
    >>> deflated = deflate_mode(DenseTensor(np.ones((2, 2, 2))), np.array([1.0, 0.0]), 0, 1.0)
    >>> deflated.tensor[:, 0, 0]
    array([0., 1.])
    """
    contracted = tensor.project(vector[:, None], mode).tensor
    shape = [1] * tensor.order
    shape[mode] = -1
    column = tensor.native(gamma * vector).reshape(shape)
    deflated = tensor.tensor if overwrite else 1 * tensor.tensor
    for i in range(tensor.shape[0]):
        row = 0 if mode == 0 else i
        deflated[i] -= column[i if mode == 0 else 0] * contracted[row]
    return DenseTensor(deflated)
