"""What left-out real rows show of the accuracy of a fit with real and synthetic rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._intervals import not_below_guess, wilson_interval
from ...utils._regimes import regime
from ._loo_accuracy import accuracy_influence, loo_accuracy
from ._search import Search

_FEWEST_ROWS = 10
"""Effective real rows below which no accuracy is claimed: its interval would be wider than .5."""

_UNSEEN = 1.5
"""Two of these over n are the rule of three: fits that decide n left-out rows alike may differ on
3 / n of others."""


class Claim(NamedTuple):
    """What left-out real rows show of the accuracy; nan where there are too few.

    Attributes
    ----------
    accuracy, interval : float, ndarray of shape (2,)
        Of the choice.
    real_only, mix_all : float
        At weights 0 and 1.
    gain_std : float
        Standard error of `accuracy` less `real_only`.
    chance : float
        Share of the largest class.
    """

    accuracy: float
    interval: np.ndarray
    real_only: float
    mix_all: float
    gain_std: float
    chance: float


NO_CLAIM = Claim(np.nan, np.array([0.0, 1.0]), np.nan, np.nan, np.nan, np.nan)


def claimed_accuracy(search: Search) -> Claim:
    """Return the accuracies that the left-out scores show."""
    real, size = search.real, search.real.size
    if size < _FEWEST_ROWS:
        return NO_CLAIM
    rows = real.weights, real.part
    w = real.weights / real.weights.sum()
    margins = np.stack([search.fair_margins(role) for role in ("best", "real", "mix")], axis=1)
    shares = np.bincount(real.codes, w)
    guess = float(shares.min())
    seen = loo_accuracy(margins, *rows).accuracy
    accuracy, real_only, mix_all = (not_below_guess(float(a), size, guess) for a in seen)
    chosen, alone = accuracy_influence(margins[:, :2], *rows).T
    difference = chosen - alone - w @ (chosen - alone)
    if real.group is None or real.group.max() + 1 == len(w):
        spread = (w**2 * real.part) @ difference**2
    else:
        spread = (np.bincount(real.group, w * difference) ** 2).sum()
    low, high = wilson_interval(accuracy, size)
    interval = np.array([low, max(high, guess)])
    if search.choice.weights.any():
        spread += (_UNSEEN / size) ** 2
    gain_std, chance = float(np.sqrt(spread)), float(shares.max())
    return Claim(accuracy, interval, real_only, mix_all, gain_std, chance)


def guarded_claim(search: Search, leaked: np.ndarray) -> Claim:
    """Return the accuracies claimed, nan where they rest on rows made from the real ones."""
    claim = claimed_accuracy(search)
    if not leaked.any():
        return claim
    if not search.choice.weights[leaked].any():
        return claim._replace(mix_all=np.nan)
    return NO_CLAIM._replace(real_only=claim.real_only, chance=claim.chance)


def claim_regime(claim: Claim, leaked: bool) -> str:
    """Return whether the claim holds."""
    return regime(
        too_few_rows=np.isnan(claim.real_only),
        undetected=bool(np.isfinite(claim.accuracy) and claim.interval[0] <= claim.chance),
        misfit=leaked,
    )
