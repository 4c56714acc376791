"""Are preferences noise: a test of every comparison being the toss of a fair coin."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cho_factor, cho_solve, eigh
from scipy.stats import pearson3

from ...utils._rows import row_sums
from ._comparisons import Comparisons
from ._moments import Moments, coins_of_rows, sums_of_rows

_MANY = 50
"""Coins per direction from which their sum is Gaussian to the accuracy of a p-value: what single
coins change of the moments, which takes another pass over the rows, is one part in 50."""

_CLEAR = 1e-6
"""P-value below which its exact value tells nothing more: single coins would make it smaller."""

_CUT = 1e-11
"""Eigenvalues below this part of the largest are rounding."""


def noise_pvalue(pairs: Comparisons, moments: Moments | None = None) -> float:
    r"""Return the p-value of fair coins, one for each pair or group that is left out at a time.

    With a vector v for each coin, the statistic is ``s^T (sum v v^T + c I)^-1 s`` for the sum s of
    all; its first three moments under independent signs are exact.
    """
    rows, signed, size, count = _coins(pairs)
    n_coins = float(count.sum())
    if moments is not None and pairs.count_once:
        total = moments.cross
        found = _pvalue_of_gram(moments.gram, total, n_coins)
        if found < _CLEAR:
            return found
        values, vectors = _spectrum(moments.gram)
    elif moments is not None and moments.coins is not None:
        total = moments.cross
        values, vectors = _spectrum(moments.coins)
    elif rows.shape[1] <= len(rows):
        gram, total = row_sums(sums_of_rows, rows, signed, count * size**2)
        values, vectors = _spectrum(gram)
    else:
        scaled = rows * (np.sqrt(count) * size)[:, None]
        values, left = _spectrum(scaled @ scaled.T)
        vectors, total = scaled.T @ (left / np.sqrt(values)), signed @ rows
    total = vectors.T @ total
    found = _pvalue(values, total, n_coins, 0.0)
    if found < _CLEAR or n_coins >= _MANY * len(values):
        return found
    shrunk = _shrunk(values, n_coins)
    shared = (vectors / np.sqrt(shrunk), values / shrunk)
    return _pvalue(values, total, n_coins, row_sums(_own_moments, rows, size, count, shared=shared))


def noise_pvalue_of_moments(moments: Moments) -> float:
    """Return the p-value of fair coins from sums over comparisons, which are taken for many."""
    values, vectors = _spectrum(moments.gram)
    return _pvalue(values, vectors.T @ moments.cross, moments.n_effective, 0.0)


def _pvalue(
    values: np.ndarray, total: np.ndarray, n_coins: float, own: np.ndarray | float
) -> float:
    """Return the p-value of a sum of coins in the axes of their squares, by a Pearson law."""
    shrunk = _shrunk(values, n_coins)
    power = values / shrunk
    second, third = np.array([(power**2).sum(), (power**3).sum()]) - own
    if not second > _CUT * power.sum():
        return 1.0
    return _beyond(float((total**2 / shrunk).sum()), float(power.sum()), second, third)


def _pvalue_of_gram(gram: np.ndarray, total: np.ndarray, n_coins: float) -> float:
    """Return the p-value of many coins by products of the matrix, which cost less than its axes."""
    constant = float(np.trace(gram)) / n_coins
    if not constant > 0:
        return 1.0
    identity = np.eye(len(gram))
    inverse = cho_solve(cho_factor(gram + constant * identity), identity)
    power = identity - constant * inverse
    square = power @ power
    third = float(np.einsum("ij,ji->", square, power))
    moments = float(np.trace(power)), float(np.trace(square)), third
    return _beyond(float(total @ inverse @ total), *moments)


def _beyond(found: float, first: float, second: float, third: float) -> float:
    """Return the share of a Pearson law above a value, from sums of powers of its parts."""
    spread = np.sqrt(2 * second)
    return float(pearson3(8 * third / spread**3, loc=first, scale=spread).sf(found))


def _shrunk(values: np.ndarray, n_coins: float) -> np.ndarray:
    """Return eigenvalues plus a constant, without which n coins in n directions are all as far."""
    return values + values.sum() / n_coins


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues that are not rounding, and their eigenvectors."""
    values, vectors = eigh(gram)
    kept = values > max(_CUT * float(values[-1]), 0.0)
    return values[kept], vectors[:, kept]


def _coins(pairs: Comparisons) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray]:
    """Return rows, their signed weights, and the size and number of the coins in each."""
    if pairs.group is not None:
        sums = np.zeros((pairs.group.max() + 1, pairs.differences.shape[1]))
        np.add.at(sums, pairs.group, pairs.differences * pairs.balance[:, None])
        ones = np.ones(len(sums))
        return sums, ones, ones, ones
    return pairs.differences, pairs.balance, *coins_of_rows(pairs)


def _own_moments(
    rows: np.ndarray, size: np.ndarray, count: np.ndarray, axes: np.ndarray, power: np.ndarray
) -> np.ndarray:
    """Return what products of coins with themselves add to second and third moments."""
    squares = ((rows * size[:, None]) @ axes) ** 2
    own = squares.sum(axis=1)
    return np.array([count @ own**2, count @ (3 * own * (squares @ power) - 2 * own**3)])
