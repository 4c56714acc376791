"""The risk on fresh rows, with an interval that heavy tails do not escape."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.stats import chi2
from scipy.stats import t as student

from ...utils._intervals import SHARED_FITS

_ONE_SIDED = 1.645
"""The 95 % quantile of the standard normal distribution: how much heavier a tail may be."""
_FEWEST_FOR_A_TAIL = 50
"""Effective rows below which the largest losses show no tail: seven of them for 50."""
_LARGE_LEVERAGE = 0.3
"""Leverage of a row that no other is like. One that alone limits the rate has .41 after a pass at
half the critical rate with decay to 0."""
_FAR = 4.0
"""Multiple of the mean leverage from which a large one is that of a row far from the others."""
_LARGE_PART = 0.25
"""Part of the risk that such rows may make: whether fresh rows have their like is a guess."""
_ONE_SIDED_TAIL = 0.05
"""Probability that so few squares are smaller by luck: that of `_ONE_SIDED`."""


class RiskClaim(NamedTuple):
    """Risk on fresh rows.

    Attributes
    ----------
    risk : float
        The mean loss of rows left out.
    interval : ndarray of shape (2,)
        Its 95 % interval; the upper end is infinite where the mean loss may be.
    few_rows_decide : bool
        Whether it hangs on few rows: the tail of the losses is so heavy that their mean may be
        infinite, or rows that determine their own score make much of it; nan in the latter case.
    """

    risk: float
    interval: np.ndarray
    few_rows_decide: bool


def risk_claim(losses, shares, together, wander, leverage) -> RiskClaim:
    """Return the risk of rows left out, of given probabilities, and its interval.

    `together` is the probability of what goes out with each row, `wander` the variance of the risk
    over the draws of batches, and `leverage` that of each row of the fit.
    """
    risk = float(shares @ losses)
    if not risk > 0 or not np.isfinite(risk):
        return RiskClaim(risk, np.array([risk, risk]), False)
    far = _far_rows(leverage)
    part = float(shares[far] @ losses[far])
    if part > _LARGE_PART * risk:
        return RiskClaim(np.nan, np.full(2, np.nan), True)
    size = 1 / float(shares @ together)
    drawn = float((shares * together) @ (losses - risk) ** 2) * size / max(size - 1, 1)
    error = np.sqrt(SHARED_FITS**2 * drawn + wander) / risk
    half = float(student.ppf(0.975, max(size - 1, 1))) * error
    upper = risk * np.exp(half)
    if len(far):
        # Few losses are small by luck: as squared Gaussians, one in twenty single ones by 250.
        upper = max(upper, risk + part * (len(far) / chi2.ppf(_ONE_SIDED_TAIL, len(far)) - 1))
    if min(size, len(losses)) >= _FEWEST_FOR_A_TAIL:
        upper = max(upper, _with_heavier_tail(losses, shares, np.sqrt(size)))
    return RiskClaim(risk, np.array([risk * np.exp(-half), upper]), bool(np.isinf(upper)))


def _far_rows(leverage) -> np.ndarray:
    """Return the rows that largely determine their own score, and are far from all others."""
    return np.flatnonzero(leverage > max(_LARGE_LEVERAGE, _FAR * float(leverage.mean())))


def _with_heavier_tail(losses, shares, count):
    r"""Return the mean of losses whose largest follow the heaviest power law they allow.

    With :math:`\xi` the mean logarithm of the k largest losses over the next one, u, and W their
    probability, their part of the mean is :math:`Wu/(1-\xi)`, infinite from :math:`\xi=1`; the
    standard error of :math:`\xi` is :math:`\xi/\sqrt k` (Hill's estimator).
    """
    order = np.argsort(-losses, kind="stable")
    mass = np.cumsum(shares[order])
    last = int(np.clip(np.searchsorted(mass, (1 + 1e-9) / count), 1, len(order) - 1))
    top, rest = order[:last], order[last:]
    bound = losses[rest[0]]
    if bound <= 0:
        return np.inf
    weight = shares[top].sum()
    slope = float(shares[top] @ np.log(losses[top] / bound)) / weight
    slope *= 1 + _ONE_SIDED / np.sqrt(count)
    if slope >= 1:
        return np.inf
    return float(shares[rest] @ losses[rest] + weight * bound / (1 - slope))
