"""Alternating maximisation of a dense tensor over rank-one tensors, in batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..utils._memory import explains_memory
from ._dense_tensor import Components, DenseTensor, FloatArray, contract_slices

_INNER = 2
"""Updates of the other modes for one of the first, which takes two passes over the tensor."""

_SWEEPS_AHEAD = 40
"""Sweeps of the same growth that must suffice to reach the floor: growth slows down as sweeps
converge, so that a search that fails this does not get there."""


class RankOne(NamedTuple):
    """Rank-one approximations of a tensor, one a column.

    Attributes
    ----------
    values : ndarray of shape (s,)
        What the tensor contracted with the unit vectors of all modes is.
    factors : list of ndarray of shape (p_m, s)
        The vectors, one array a mode.
    n_iter : int
        Sweeps over all modes.
    converged : bool
        Whether the last sweep moved no vector by more than the tolerance.
    """

    values: FloatArray
    factors: list[FloatArray]
    n_iter: int
    converged: bool

    def take(self, columns: Sequence[int] | NDArray[np.intp]) -> RankOne:
        """Return some of the approximations.

        Parameters
        ----------
        columns : sequence of int
            Which.

        Returns
        -------
        RankOne
            These.
        """
        columns = list(columns)
        return self._replace(
            values=self.values[columns], factors=[factor[:, columns] for factor in self.factors]
        )


@explains_memory("a smaller tensor")
def power_sweeps(
    tensor: DenseTensor,
    starts: Sequence[FloatArray],
    minus: Components,
    tol: float,
    max_iter: int,
    floor: float = -np.inf,
) -> RankOne:
    """Improve rank-one approximations by alternating maximisation, in one batch.

    Parameters
    ----------
    tensor : DenseTensor
        The tensor.
    starts : sequence of ndarray of shape (p_m, s)
        Unit columns, one array a mode.
    minus : Components
        A low-rank tensor that is subtracted.
    tol : float
        Largest change of a unit vector in the last sweep.
    max_iter : int
        Largest number of sweeps.
    floor : float, default=-inf
        Stop where 40 further sweeps of the same growth would not reach it.

    Returns
    -------
    RankOne
        One column a start.

    Notes
    -----
    A sweep takes two passes over the tensor: its first mode is contracted, all other vectors are
    updated twice from the result, and the first one from those.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import DenseTensor, no_components, power_sweeps
    >>> T = DenseTensor(np.einsum("i,j,k->ijk", [3.0, 4.0], [1.0, 0.0], [0.6, 0.8]))
    >>> starts = [np.full((2, 1), 0.5**0.5)] * 3
    >>> power_sweeps(T, starts, no_components(T.shape), 1e-6, 10).values.round(6)
    array([5.])
    """
    factors, values = list(starts), np.zeros(starts[0].shape[1])
    moved, n_iter = np.inf, 0
    while moved > tol and n_iter < max_iter:
        before, previous = list(factors), values
        slices = tensor.contract_first(factors[0])
        for mode in [*range(1, tensor.order)] * _INNER:
            product = contract_slices(tensor, slices, factors[1:], mode - 1)
            factors[mode], _ = normalize(product - _contract(minus, factors, mode), factors[mode])
        product = tensor.contract_rest(factors[1:]) - _contract(minus, factors, 0)
        factors[0], values = normalize(product, factors[0])
        moved = max(float(column_change(a, b).max()) for a, b in zip(factors, before, strict=True))
        n_iter += 1
        growth = float((values - previous).max())
        if n_iter > 2 and float(values.max()) + _SWEEPS_AHEAD * growth < floor:
            break
    return RankOne(values, factors, n_iter, moved <= tol)


def _contract(minus: Components, factors: Sequence[FloatArray], mode: int) -> FloatArray:
    """Contract a low-rank tensor in all modes but one."""
    products = minus.weights[:, None] * np.ones(factors[0].shape[1])
    for other, factor in enumerate(factors):
        if other != mode:
            products = products * (minus.factors[other].T @ factor)
    return minus.factors[mode] @ products


def normalize(product: FloatArray, previous: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return unit columns and norms; a column of zeros leaves the previous one."""
    norms = np.sqrt(np.einsum("ps,ps->s", product, product))
    columns = np.divide(product, norms, where=norms > 0, out=previous.copy())
    return columns, norms


def column_change(new: FloatArray, old: FloatArray) -> FloatArray:
    """Return the distance of unit columns up to sign."""
    difference = new - np.sign(np.einsum("ps,ps->s", new, old)) * old
    return np.sqrt(np.einsum("ps,ps->s", difference, difference))
