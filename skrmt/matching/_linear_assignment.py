"""One-to-one assignments: linear ones exactly, quadratic ones improved by swaps."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..linalg._backend import Array, get_backend, to_numpy
from ._kernels import as_float64, dtype_name, numpy_float64

Permutation: TypeAlias = NDArray[np.intp]
Matrix: TypeAlias = Any
"""An array of shape (n, n), or Factored."""

# Duals of linear assignments: size from which they pay, temperature in standard deviations of the
# cost, number of scalings, and largest cost in temperatures: exp(2 * 40) is a single-precision
# number, and no scaling factor can exceed it.
_SMALL, _TEMPERATURE, _SCALINGS, _COLDEST = 64, 0.1, 10, 40.0
_SWAP_REFRESH = 64
# Gains below this times the largest sum are rounding.
_SWAP_ROUNDING = 1e-12


class Factored(NamedTuple):
    r"""A symmetric matrix of low rank, :math:`F\,\mathrm{diag}(w)F^\top`.

    Attributes
    ----------
    factor : array of shape (n, r)
        The columns F.
    weights : array of shape (r,)
        The weights w, of any sign.
    """

    factor: Array
    weights: Array

    def dense(self) -> Array:
        """Return the matrix of shape (n, n)."""
        return (self.factor * self.weights) @ self.factor.T


def linear_assignment(score: Array) -> Permutation:
    r"""Return the one-to-one assignment of the largest total score."""
    given = to_numpy(score)
    if np.isnan(given).any():
        raise ValueError("score contains NaN: give a number for every pair.")
    cost = given.max(axis=1, keepdims=True, initial=-np.inf) - np.asarray(given, dtype=np.float64)
    if cost.shape[0] == cost.shape[1] and len(cost) >= _SMALL:
        cost -= cost.min(axis=0)
        _reduce(cost)
    return np.asarray(linear_sum_assignment(cost)[1])


def _reduce(cost: NDArray[np.float64]) -> None:
    """Take near-optimal dual numbers off rows and columns, in place."""
    some = cost[:: max(len(cost) // _SMALL, 1)]
    temperature = _TEMPERATURE * float(some.std())
    if not temperature > 0:
        return
    kernel = np.empty(cost.shape, dtype=np.float32)
    np.multiply(cost, -1 / temperature, out=kernel, casting="unsafe")
    np.maximum(kernel, -_COLDEST, out=kernel)
    np.exp(kernel, out=kernel)
    columns: NDArray[Any] = np.ones(len(cost), dtype=np.float32)
    for _ in range(_SCALINGS):
        rows = 1 / (kernel @ columns)
        columns = 1 / (rows @ kernel)
    cost -= temperature * np.log(rows.astype(np.float64))[:, None]
    cost -= temperature * np.log(columns.astype(np.float64))
    cost -= cost.min(axis=1, keepdims=True)
    cost -= cost.min(axis=0)


def assignment_objective(
    A: Matrix, B: Matrix, permutation: Any, linear: Array | None = None
) -> float:
    r"""Return what an assignment is worth."""
    columns = np.asarray(permutation, dtype=np.intp)
    total = 0.0 if linear is None else sum_of_picks(linear, columns)
    if isinstance(A, Factored):
        inner = as_float64(A.factor).T @ as_float64(take_rows(B.factor, columns))
        return total + float(
            (as_float64(A.weights)[:, None] * inner**2 * as_float64(B.weights)).sum()
        )
    return total + float(as_float64(A * take(B, columns, columns)).sum())


def improve_by_swaps(
    A: Matrix, B: Matrix, permutation: Any, linear: Array | None = None, *, max_swaps: int = 1000
) -> tuple[Permutation, int]:
    r"""Swap two items at a time, the best swap first, until none helps."""
    first = numpy_float64(A.dense() if isinstance(A, Factored) else A)
    columns = np.array(permutation, dtype=np.intp)
    second = numpy_float64(B.dense() if isinstance(B, Factored) else B)
    second = second[np.ix_(columns, columns)]
    term = np.zeros((1, len(columns))) if linear is None else np.asarray(to_numpy(linear))
    apart = _distances(first), _distances(second)
    symmetric = is_symmetric(A) and is_symmetric(B)
    for n_swaps in range(max_swaps + 1):
        if n_swaps % _SWAP_REFRESH == 0:
            sums = first @ second.T
            sums = 2 * sums if symmetric else sums + first.T @ second
            sums += term[:, columns]
            least = _SWAP_ROUNDING * float(np.abs(sums).max(initial=0.0))
        gains = _swap_gains(sums, *apart)
        i, j = np.unravel_index(np.argmax(gains), gains.shape)
        if n_swaps == max_swaps or not gains[i, j] > least:
            break
        swapped, order = [i, j], [j, i]
        sums += np.outer(first[:, j] - first[:, i], second[:, i] - second[:, j])
        sums += np.outer(first[j] - first[i], second[i] - second[j])
        for table in (sums, second, apart[1]):
            table[:, swapped] = table[:, order]
        for table in (second, apart[1]):
            table[swapped] = table[order]
        columns[swapped] = columns[order]
    return columns, n_swaps


def _distances(A: NDArray[Any]) -> NDArray[Any]:
    """Return what a kernel would call squared distances: diagonal entries less the others."""
    diagonal = np.diag(A)
    return diagonal[:, None] + diagonal - A - A.T


def _swap_gains(total: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    """Return what each swap of two items gains."""
    gains = first * second
    gains += total
    gains += total.T
    diagonal = np.diag(total)
    gains -= diagonal[:, None]
    gains -= diagonal
    return gains


def item_count(A: Matrix) -> int:
    """Return the number of items of a matrix."""
    return int((A.factor if isinstance(A, Factored) else A).shape[0])


def is_symmetric(A: Matrix) -> bool:
    """Return whether a matrix is its transpose up to rounding."""
    if isinstance(A, Factored):
        return True
    rounding = 64 * np.finfo(dtype_name(A)).eps
    return bool(float(abs(A - A.T).max()) <= float(rounding) * float(abs(A).max()))


def take(A: Array, rows: Permutation, columns: Permutation) -> Array:
    """Return rows and columns of a matrix."""
    return take_columns(take_rows(A, rows), columns)


def take_rows(A: Array, rows: Permutation) -> Array:
    """Return rows of a matrix."""
    return A[get_backend(A).asarray(rows, like=A)]


def take_columns(A: Array, columns: Permutation) -> Array:
    """Return columns of a matrix, contiguous."""
    if isinstance(A, np.ndarray):
        return np.take(A, columns, axis=1)
    return A[:, get_backend(A).asarray(columns, like=A)]


def sum_of_picks(A: Array, columns: Permutation) -> float:
    """Return the sum of the entries of a permutation."""
    return float(as_float64(A[np.arange(len(columns)), columns]).sum())
