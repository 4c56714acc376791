"""How many labels of fresh samples a fit to many more samples would give as this one does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import ndtr, owens_t

from ..utils._intervals import Z95
from ._combination import MOST_ROWS

_SPLITS = 8
"""Random splits into halves: the standard error of their mean is then below that of the rows."""

_LAST = 0.15
"""Mean disagreement of halves beyond which nothing is claimed: several partitions are then at
hand, and disagreement does not fall like the root of the number of rows (bench_view_choice)."""

_WIDEST = 0.35
"""Disagreement at the lower end beyond which nothing is claimed: halves that agree at times and not
at others show a second partition."""

_LEAST_OF_IT = 0.1
"""Share of the disagreement of halves that is there with any number of rows, at least."""

_MORE = np.sqrt(4 / 3)
"""Disagreement with a fit to three times the rows over that with one to any number: the lower end
of intervals allows for it."""

_DRAWS = 20_000
"""Draws from which the agreement of more than two clusters is counted, to a standard error below
0.004."""


Halves = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Agreement(NamedTuple):
    """Share of labels on which a fit to many more rows agrees.

    Attributes
    ----------
    value : float
        The share; nan where it is unknown.
    interval : ndarray of shape (2,)
        95 % interval of it.
    """

    value: float
    interval: np.ndarray

    @classmethod
    def unknown(cls, value: float = float("nan")) -> Agreement:
        """Return a share without an interval."""
        return cls(value, np.full(2, np.nan))

    def in_doubt(self, doubt: float, n: int) -> Agreement:
        """Return the claim where a fit to more rows may differ on a share of the labels.

        The interval reaches to it; where it is large, nothing is claimed.
        """
        if doubt > _LAST:
            return Agreement.unknown()
        low = min(self.interval[0], max(1 - doubt - 1 / n, 0.0)) if doubt else self.interval[0]
        return Agreement(self.value, np.array([low, self.interval[1]]))


def agreement(one: np.ndarray, other: np.ndarray, n_clusters: int) -> float:
    """Return the share of equal labels under the best naming of clusters."""
    table = np.zeros((n_clusters, n_clusters))
    np.add.at(table, (one, other), 1)
    rows, columns = linear_sum_assignment(-table)
    return float(table[rows, columns].sum() / len(one))


def agreement_of_halves(keys: np.ndarray, fit: Halves, k: int, seed: int) -> Agreement:
    """Return the agreement from that of fits to random halves of the rows.

    `fit` takes two sets of rows and returns the labels of all of them by either fit. Rows of equal
    keys are in the same half; which rows go where depends on what they are, not on their order.
    """
    groups = np.unique(keys, return_inverse=True)[1].ravel()
    size = int(groups.max()) + 1
    if size < 4 * k:
        return Agreement.unknown()
    used = min(size, MOST_ROWS)
    gaps = []
    for draw in np.random.SeedSequence(seed).spawn(_SPLITS):
        rank = np.random.default_rng(draw).permutation(size)[groups]
        half = np.flatnonzero(rank < used // 2)
        other = np.flatnonzero((rank >= used // 2) & (rank < used))
        gaps.append(1 - agreement(*fit(half, other), k))
    return from_disagreement(np.array(gaps), size, np.sqrt(used / size))


def from_disagreement(gaps: np.ndarray, n: int, shrink: float = 1.0) -> Agreement:
    """Return the agreement of n rows from disagreements m of halves.

    Labels near the boundary change like the root of the summed inverse numbers of rows: half as
    many between n rows and many more as between two halves. `shrink` is the root of the share of
    rows that was used.
    """
    mean, most = float(gaps.mean()), float(gaps.mean() + 2 * gaps.std(ddof=1))
    if mean > _LAST or most > _WIDEST:
        return Agreement.unknown()
    low = 1 - shrink * most - 1 / n
    high = 1 - max(shrink * _LEAST_OF_IT * mean - 1 / n, 0.0)
    return Agreement(1 - shrink * mean / 2, np.clip([low, high], 0.0, 1.0))


def bivariate_cdf(a: np.ndarray, b: np.ndarray, correlation: np.ndarray) -> np.ndarray:
    """Return the probability that two correlated standard normal numbers are below a and b."""
    a, b, r = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (a, b, correlation)))
    r = np.clip(r, -1 + 1e-12, 1 - 1e-12)
    a, b = (np.where(x == 0, 1e-300, x) for x in (a, b))
    root = np.sqrt(1 - r**2)
    first = owens_t(a, (b / a - r) / root)
    second = owens_t(b, (a / b - r) / root)
    return 0.5 * (ndtr(a) + ndtr(b)) - first - second - 0.5 * (a * b < 0)


def model_agreement(
    fitted: np.ndarray, best: np.ndarray, prior: float = 0.5, at_mean: bool = False
) -> float:
    r"""Return the agreement of two clusters under the model of white noise.

    Scores along the fitted direction have means :math:`\pm cA` = `fitted`, along that of a fit to
    many more samples :math:`\pm A` = `best`, unit variances and the correlation c. The thresholds
    are the best ones for the share `prior` of the second cluster, or the means of all scores.
    Arrays are averaged.
    """
    a, b = np.maximum(fitted, 1e-9), np.maximum(best, 1e-9)
    correlation = np.minimum(a / b, 1.0)
    odds = np.log(prior / (1 - prior))
    total = np.zeros(np.broadcast(a, b).shape)
    thresholds = [(2 * prior - 1) * x if at_mean else -odds / (2 * x) for x in (a, b)]
    for sign, share in ((1.0, prior), (-1.0, 1 - prior)):
        low, other = thresholds[0] - sign * a, thresholds[1] - sign * b
        below = bivariate_cdf(low, other, correlation)
        total += share * (2 * below + 1 - ndtr(low) - ndtr(other))
    return float(np.clip(total.mean(), 0.0, 1.0))


def mixture_agreement(
    means: np.ndarray, priors: np.ndarray, cosines: np.ndarray, seed: int
) -> float:
    """Return the agreement of Gaussian clusters of unit covariance, counted from draws.

    `means` (k, r) are those of scores along r fitted directions whose cosines with the true ones
    are `cosines`.
    """
    rng = np.random.default_rng(seed)
    c = np.clip(cosines, 1e-6, 1.0)
    true = means / c
    classes = rng.choice(len(priors), _DRAWS, p=priors / priors.sum())
    noise = rng.standard_normal((2, _DRAWS, means.shape[1]))
    best = true[classes] + noise[0]
    fitted = c * best + np.sqrt(1 - c**2) * noise[1]
    labels = [_nearest(fitted, means, priors), _nearest(best, true, priors)]
    return float((labels[0] == labels[1]).mean())


def _nearest(points, means, priors):
    """Return the most probable clusters of points."""
    joint = points @ means.T - 0.5 * (means**2).sum(axis=1) + np.log(np.maximum(priors, 1e-300))
    return joint.argmax(axis=1)


def interval_of_model(value: float, error: float, n: int) -> np.ndarray:
    """Return the 95 % interval of an agreement under the model.

    It reaches from the agreement with a fit to three times the rows to that with one to any number,
    each with the standard error of the signal and of counting n rows.
    """
    ends = np.array([max(1 - _MORE * (1 - value), 0.0), value])
    spread = np.sqrt(error**2 + np.maximum(ends * (1 - ends), 1 / n) / n)
    return np.clip(ends + Z95 * np.array([-1.0, 1.0]) * spread, 0.0, 1.0)
