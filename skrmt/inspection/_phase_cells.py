"""Monte Carlo of many small problems of one shape at once, for phase diagrams.

Every function takes arrays whose first axis counts the problems, and works where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..linalg._backend import Array, get_backend
from ..utils._memory import explains_memory


def cell_blocks(n_cells: int, numbers: int, memory: float = 2.0**28) -> Iterator[slice]:
    """Yield slices of problems that fit into memory.

    Parameters
    ----------
    n_cells : int
        Number of problems.
    numbers : int
        Numbers that one problem holds.
    memory : float, default=2**28
        Bytes that a block may take, in float64.

    Yields
    ------
    slice
        At least one problem at a time. Draws that are taken in order from one generator are the
        same whatever the blocks.

    Examples
    --------
    >>> from skrmt.inspection._phase_cells import cell_blocks
    >>> list(cell_blocks(5, 100, memory=1600))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, int(memory // (8 * max(1, numbers))))
    for start in range(0, n_cells, step):
        yield slice(start, min(start + step, n_cells))


@explains_memory("fewer cells at once")
def ridge_cells(X: Array, targets: Array, penalties: Array) -> Array:
    """Solve many ridge regressions without intercept.

    Parameters
    ----------
    X : array or torch tensor of shape (c, n, p)
        Rows; those of zeros count for nothing.
    targets : array or torch tensor of shape (c, n)
        Targets.
    penalties : array or torch tensor of shape (c,)
        Penalties of the sums of squares.

    Returns
    -------
    array or torch tensor of shape (c, p)
        Coefficients.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection._phase_cells import ridge_cells
    >>> ridge_cells(np.ones((1, 2, 1)), np.ones((1, 2)), np.ones(1)).round(6)
    array([[0.666667]])
    """
    xp = get_backend(X)
    flipped = X.swapaxes(1, 2)
    gram = flipped @ X
    eye = xp.asarray(np.eye(int(X.shape[2])), like=X, dtype=_name(X))
    gram = gram + penalties[:, None, None] * eye
    return xp.solve(gram, flipped @ targets[:, :, None])[:, :, 0]


@explains_memory("fewer cells at once")
def spiked_matrix_cells(Y: Array) -> tuple[Array, Array]:
    """Find the leading singular vectors of many matrices.

    Parameters
    ----------
    Y : array or torch tensor of shape (c, n, p)
        The matrices.

    Returns
    -------
    left : array or torch tensor of shape (c, n)
        Leading left singular vectors, of norm 1.
    right : array or torch tensor of shape (c, p)
        Leading right singular vectors.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection._phase_cells import spiked_matrix_cells
    >>> left, right = spiked_matrix_cells(np.diag([1.0, 3.0])[None])
    >>> np.abs(right).round(6)
    array([[0., 1.]])
    """
    xp = get_backend(Y)
    right = xp.eigh(Y.swapaxes(1, 2) @ Y)[1][:, :, -1]
    left = (Y @ right[:, :, None])[:, :, 0]
    return _unit(left), right


@explains_memory("fewer cells at once")
def rank_one_cells(T: Array, n_iter: int = 60) -> tuple[Array, Array, Array]:
    """Find good rank-one approximations of many tensors of order three.

    Parameters
    ----------
    T : array or torch tensor of shape (c, a, b, d)
        The tensors.
    n_iter : int, default=60
        Sweeps of alternating power iteration, from the leading left singular vectors of the
        unfoldings.

    Returns
    -------
    tuple of array or torch tensor of shapes (c, a), (c, b), (c, d)
        Factors of norm 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection._phase_cells import rank_one_cells
    >>> factors = rank_one_cells(np.ones((1, 2, 3, 4)))
    >>> [round(float(np.abs(u).sum()) ** 2, 6) for u in factors]
    [2.0, 3.0, 4.0]
    """
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
    """Run many linear regressions by stochastic gradient descent.

    Parameters
    ----------
    batches : iterable of array or torch tensor of shape (c, b, p)
        Rows of every step, each read once.
    noises : iterable of array or torch tensor of shape (c, b)
        Noise of the targets of these rows.
    rates : array or torch tensor of shape (c,)
        Learning rates.

    Returns
    -------
    array or torch tensor of shape (t, c)
        Squared distance from the truth after every step, the start being the truth.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection._phase_cells import sgd_cells
    >>> sgd_cells([np.ones((1, 1, 1))], [np.ones((1, 1))], np.array([0.5]))
    array([[0.25]])
    """
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
