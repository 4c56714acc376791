"""The squared loss from sums over comparisons: by blocks of rows, or as the rows come."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh

from ...utils._dask import is_dask
from ...utils._rows import row_sums, row_values
from ._accuracy import tested_share, weighted_gram
from ._comparisons import Comparisons

_RANK_CUT = 1e-11
"""Eigenvalues below this part of the largest are rounding, as in `linalg.ridge_basis`."""

_SAFE = 1e-9
"""Penalty, in units of the trace, from which a Cholesky factor is as accurate as a spectrum."""

_ROOM = 1e-10
"""Least part of a row that its own leverage leaves: below, the score left out is rounding."""


class Moments(NamedTuple):
    """Sums over comparisons with differences d, weights w and outcomes s of 1 or -1.

    Attributes
    ----------
    gram : ndarray of shape (F, F)
        ``sum w d d^T``, in squares of `unit`.
    cross : ndarray of shape (F,)
        ``sum w s d``, in the unit.
    weight : float
        ``sum w``.
    squares : float
        ``sum w^2``.
    unit : float
        Power of two by which the differences are divided.
    sample, coins : ndarray of shape (F, F) or None
        Gram matrices of the same reading of blocks: of some rows by which white noise is tested,
        and of the coins of the test of noise; None where `gram` serves.
    """

    gram: np.ndarray
    cross: np.ndarray
    weight: float
    squares: float
    unit: float
    sample: np.ndarray | None = None
    coins: np.ndarray | None = None

    @property
    def n_effective(self) -> float:
        """Effective number of comparisons."""
        return self.weight**2 / self.squares

    @property
    def energy(self) -> float:
        """Mean squared norm of a difference."""
        return float(np.trace(self.gram)) / self.weight

    @property
    def level(self) -> float:
        """Mean square of an entry, 1 for none."""
        return self.energy / len(self.gram) or 1.0

    def mean_margin(self, coef: np.ndarray) -> float:
        """Return the mean margin of the comparisons as they went."""
        return float(self.cross @ coef) / self.weight

    def plus(self, other: Moments) -> Moments:
        """Return the sums over the comparisons of both, in the larger unit."""
        unit = max(self.unit, other.unit)
        if not self.gram.any():
            unit = other.unit
        one, two = self.unit / unit, other.unit / unit
        return Moments(
            one * self.gram * one + two * other.gram * two,
            one * self.cross + two * other.cross,
            self.weight + other.weight,
            self.squares + other.squares,
            unit,
        )


def moments_of(differences: Any, balance: np.ndarray, weights: np.ndarray, unit: float) -> Moments:
    """Sum over comparisons."""
    gram, cross = row_sums(sums_of_rows, differences, balance, weights)
    return Moments(gram, cross, float(weights.sum()), float(weights @ weights), unit)


def moments_of_blocks(pairs: Comparisons) -> Moments:
    """Sum over comparisons in a Dask array, in one reading of it."""
    weights, balance = pairs.weights, pairs.balance
    share, squares = tested_share(weights), None
    if not pairs.count_once:
        size, count = coins_of_rows(pairs)
        squares = count * size**2
    everything = np.count_nonzero(share) == len(share)
    rows = [balance, weights]
    rows += [] if everything else [share]
    rows += [] if squares is None else [squares]
    gram, cross, *more = row_sums(
        _sums_of_block, pairs.differences, *rows, shared=(not everything, squares is not None)
    )
    return Moments(
        gram,
        cross,
        float(weights.sum()),
        float(weights @ weights),
        pairs.unit,
        None if everything else more[0],
        None if squares is None else more[-1],
    )


def _sums_of_block(rows: np.ndarray, balance: np.ndarray, weights: np.ndarray, *more: Any) -> tuple:
    """Return the sums of some rows: all, a sample where one is asked for, coins likewise."""
    *shares, sampled, coins = more
    found = [*sums_of_rows(rows, balance, weights)]
    if sampled:
        taken = shares[0] > 0
        found.append(weighted_gram(rows[taken], shares[0][taken]))
    if coins:
        found.append(weighted_gram(rows, shares[-1]))
    return tuple(found)


def coins_of_rows(pairs: Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """Return size and number of the coins in each row, one for what is left out at a time."""
    whole = pairs.part == 1
    size = np.where(whole, np.abs(pairs.balance), pairs.part * pairs.weights)
    return size, 1.0 / pairs.part


def moments_of_pairs(pairs: Comparisons) -> Moments | None:
    """Return the sums over pairs in memory that count once; None of others, or of few."""
    rows = pairs.differences
    n = float(len(rows))
    if is_dask(rows) or rows.shape[1] > n or not pairs.count_once:
        return None
    return Moments(rows.T @ rows, pairs.balance @ rows, n, n, pairs.unit)


def sums_of_rows(
    rows: np.ndarray, balance: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gram matrix of some rows and their sum by outcome."""
    return weighted_gram(rows, weights), balance @ rows


def ridge_coefficients(moments: Moments, alpha: float, beta: float) -> np.ndarray:
    r"""Return the minimum of the squared loss."""
    penalty, cross = moments.weight * alpha, moments.cross / (2 * beta)
    if penalty > _SAFE * float(np.trace(moments.gram)):
        system = moments.gram.copy()
        np.einsum("ii->i", system)[:] += penalty
        try:
            return cho_solve(cho_factor(system, lower=True, overwrite_a=True), cross)
        except LinAlgError:
            pass
    values, vectors = _spectrum(moments.gram)
    return vectors @ ((vectors.T @ cross) / (values + penalty))


def _spectrum(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues that are not rounding errors, and their eigenvectors."""
    values, vectors = eigh(gram, driver="evd" if len(gram) > 1 else "evr")
    kept = values > max(_RANK_CUT * float(values[-1]), 0.0)
    return values[kept], vectors[:, kept]


class RidgePath(NamedTuple):
    """Fits of the squared loss for several penalties.

    Attributes
    ----------
    coef : ndarray of shape (F, k)
        Coefficients.
    left_out : ndarray of shape (m, k)
        Score of each row by the fit without the part of it that is left out.
    """

    coef: np.ndarray
    left_out: np.ndarray


def ridge_path(
    moments: Moments,
    differences: Any,
    balance: np.ndarray,
    weights: np.ndarray,
    part: np.ndarray,
    alphas: np.ndarray,
    beta: float,
) -> RidgePath:
    r"""Minimise the squared loss for every penalty, with exact leave-one-out, in one pass."""
    values, vectors = _spectrum(moments.gram)
    inverse = 1.0 / (values[:, None] + moments.weight * alphas)
    filters = inverse * (vectors.T @ moments.cross / (2 * beta))[:, None]
    targets = balance / weights / (2 * beta)
    shared = (vectors, inverse, filters)
    left_out = row_values(_left_out, differences, targets, part * weights, shared=shared)
    return RidgePath(vectors @ filters, left_out)


def _left_out(
    rows: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray,
    vectors: np.ndarray,
    inverse: np.ndarray,
    filters: np.ndarray,
) -> np.ndarray:
    """Return the left-out scores of some pairs; the weights are those left out."""
    places = rows @ vectors
    room = np.maximum(1.0 - weights[:, None] * ((places * places) @ inverse), _ROOM)
    targets = targets[:, None]
    return targets - (targets - places @ filters) / room
