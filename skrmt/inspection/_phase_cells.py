"""Monte Carlo of many small problems of one shape at once, for phase diagrams.

Every function takes arrays whose first axis counts the problems, and works where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..linalg._backend import Array, get_backend
from ..utils._memory import explains_memory


def cell_blocks(n_cells: int, numbers: int, memory: float = 2.0**28) -> Iterator[slice]:
    """Yield slices of problems that fit into memory."""
    step = max(1, int(memory // (8 * max(1, numbers))))
    for start in range(0, n_cells, step):
        yield slice(start, min(start + step, n_cells))


@explains_memory("fewer cells at once")
def ridge_cells(X: Array, targets: Array, penalties: Array) -> Array:
    """Solve many ridge regressions without intercept."""
    xp = get_backend(X)
    flipped = X.swapaxes(1, 2)
    gram = flipped @ X
    eye = xp.asarray(np.eye(int(X.shape[2])), like=X, dtype=_name(X))
    gram = gram + penalties[:, None, None] * eye
    return xp.solve(gram, flipped @ targets[:, :, None])[:, :, 0]


@explains_memory("fewer cells at once")
def spiked_matrix_cells(Y: Array) -> tuple[Array, Array]:
    """Find the leading singular vectors of many matrices."""
    xp = get_backend(Y)
    right = xp.eigh(Y.swapaxes(1, 2) @ Y)[1][:, :, -1]
    left = (Y @ right[:, :, None])[:, :, 0]
    return _unit(left), right


@explains_memory("fewer cells at once")
def rank_one_cells(T: Array, n_iter: int = 60) -> tuple[Array, Array, Array]:
    """Find good rank-one approximations of many tensors of order three."""
    c, a, b, d = (int(size) for size in T.shape)
    # Vectors times wide matrices: many times faster in torch than matrices times vectors.
    first, last = T.reshape(c, a, b * d), T.swapaxes(1, 3).reshape(c, d, b * a)
    u, w = _leading(first), _leading(last)
    v = _leading(T.swapaxes(1, 2).reshape(c, b, a * d))
    for _ in range(n_iter):
        M = (w[:, None, :] @ last).reshape(c, b, a)
        u = _unit((v[:, None, :] @ M)[:, 0, :])
        v = _unit((M @ u[:, :, None])[:, :, 0])
        N = (u[:, None, :] @ first).reshape(c, b, d)
        w = _unit((v[:, None, :] @ N)[:, 0, :])
    return u, v, w


@explains_memory("fewer cells at once")
def sgd_cells(batches: Iterable[Array], noises: Iterable[Array], rates: Array) -> Array:
    """Run many linear regressions by stochastic gradient descent."""
    xp = get_backend(rates)
    away, found = None, []
    for X, noise in zip(batches, noises, strict=True):
        away = X[:, 0, :] * 0.0 if away is None else away
        residual = noise - (X @ away[:, :, None])[:, :, 0]
        step = (residual[:, None, :] @ X)[:, 0, :] / X.shape[1]
        away = away + rates[:, None] * step
        found.append((away * away).sum(1))
    return xp.stack(found)


def _leading(M: Array) -> Array:
    """Return the leading left singular vectors of matrices (c, m, k)."""
    return get_backend(M).eigh(M @ M.swapaxes(1, 2))[1][:, :, -1]


def _unit(vectors: Array) -> Array:
    """Return vectors (c, m) over their norms."""
    norms = (vectors * vectors).sum(1) ** 0.5
    return vectors / (norms + (norms == 0))[:, None]


def _name(X: Array) -> str:
    """Return the name of the dtype."""
    return "float32" if "float32" in str(X.dtype) else "float64"
