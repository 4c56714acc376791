"""What more rows bring, measured on parts of the rows: for estimators without a theory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..utils._intervals import Z95
from ._input import Given
from ._metrics import Sample, claim, score_range, scorer_claim
from ._whole_folds import part_rounds, whole_folds

_PARTS = ((0.25, 4), (0.5, 6))
"""Parts of the rows that are trained on, and how often: six fits to halves cost as much as ten to a
quarter, and the larger part is nearer to what is asked."""
_EXPONENTS = np.array([0.5, 0.75, 1.0])
"""Rates at which scores approach their limit: 1 of few parameters, 1/2 and less of neighbours."""
_LIKELIEST = 1
"""The rate between them, off by the least over neighbours, trees, forests, Bayes and kernels."""
_LEAST_RISE = 0.02
"""Rise from a quarter of the rows, in units of the metric, below which no curve is seen."""

NO_RISE = (
    "The score does not rise visibly from a quarter of the rows to all of them: no gain is "
    "predicted, and how many rows a higher score takes is not known. Give more rows, or another "
    "estimator."
)


class Growth(NamedTuple):
    """The score ``present - slope (m^-g - n^-g)`` of fits to m rows, at three exponents g.

    Attributes
    ----------
    size : float
        Rows n at hand.
    slopes : ndarray of shape (3,)
        How the score rises with ``-m^-g``; 0 where no rise is seen.
    errors : ndarray of shape (3,)
        Standard errors of the slopes.
    scoring : str
        The metric. Errors grow in their logarithm: they never reach 0.
    """

    size: float
    slopes: np.ndarray
    errors: np.ndarray
    scoring: str

    @property
    def rises(self) -> bool:
        """Whether a rise is seen."""
        return bool(self.slopes.any())

    def scores(self, present: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
        # Nothing is known of fewer rows than the smallest part.
        sizes = np.maximum(sizes, _PARTS[0][0] * self.size)
        now = _straight(present, self.scoring)
        saved = self.size ** -_EXPONENTS[:, None] - sizes ** -_EXPONENTS[:, None]
        gains = self.slopes[:, None] * saved
        spread = (Z95 * self.errors[:, None] * np.abs(saved))[_LIKELIEST]
        low = now[0] + gains.min(axis=0) - np.hypot(now[0] - now[1], spread)
        high = now[0] + gains.max(axis=0) + np.hypot(now[2] - now[0], spread)
        found = np.stack([now[0] + gains[_LIKELIEST], low, high])
        if _is_error(self.scoring):
            return -np.exp(-found)
        return np.clip(found, *score_range(self.scoring))


def _is_error(scoring: str) -> bool:
    """Return whether a metric is an error, 0 at best."""
    return score_range(scoring)[1] == 0.0


def _straight(scores: Any, scoring: str) -> np.ndarray:
    """Return scores as they rise with the number of rows: errors in logarithms."""
    scores = np.asarray(scores, dtype=float)
    return -np.log(np.maximum(-scores, 1e-300)) if _is_error(scoring) else scores


def growth(
    estimator: Any,
    given: Given,
    classes: np.ndarray | None,
    sample: Sample,
    present: np.ndarray,
    *,
    scoring: str,
    scorer: Any,
    n_jobs: int | None,
    params: dict,
    random_state: Any,
) -> Growth:
    """Fit the estimator to parts of the rows, and measure how its score rises with their number.

    Exponents are fixed: from three sizes none can be estimated.
    """
    now = _straight(present, scoring)
    sizes, values = [float(sample.size)], [float(now[0])]
    errors = [float(now[2] - now[1]) / (2.0 * Z95)]
    for part, repeats in _PARTS:
        rounds = part_rounds(given, classes, part, repeats, random_state)
        found = whole_folds(
            estimator, given, classes, rounds, scorer=scorer, n_jobs=n_jobs, params=params
        )
        found_scores = [
            scorer_claim(scoring, (one,)).score if scorer else claim(scoring, (one,), sample).score
            for one in found
        ]
        scores = _straight(found_scores, scoring)
        trained = float(np.mean([len(train) for ((train, _),) in rounds])) / len(given.y)
        sizes.append(trained * sample.size)
        values.append(float(np.mean(scores)))
        spread = float(np.std(scores, ddof=1))
        errors.append(max(spread / repeats**0.5, 1e-12))
    return fitted_growth(np.array(sizes), np.array(values), np.array(errors), scoring)


def fitted_growth(
    sizes: np.ndarray, values: np.ndarray, errors: np.ndarray, scoring: str
) -> Growth:
    """Return the lines through scores at numbers of rows, the first at hand, if they rise."""
    # The same rows test the fits to all sizes: what is uncertain of their level is shared, and the
    # rise to all of them is as certain as that between the parts.
    weights = 1.0 / np.maximum(errors, errors[1:].max()) ** 2
    x = sizes ** -_EXPONENTS[:, None]
    centred = x - np.average(x, axis=1, weights=weights)[:, None]
    power = centred**2 @ weights
    slopes, spread = -(centred * values) @ weights / power, 1.0 / np.sqrt(power)
    length = x[:, 1] - x[:, 0]
    bounded = _is_error(scoring) or score_range(scoring)[1] == 1.0
    scale = 1.0 if bounded else float(np.abs(values).max())
    least = np.maximum(_LEAST_RISE * scale, Z95 * spread * length / 2.0)
    if (slopes * length < least)[_LIKELIEST]:
        return Growth(sizes[0], np.zeros(3), np.maximum(spread, np.abs(slopes)), scoring)
    return Growth(sizes[0], np.maximum(slopes, 0.0), spread, scoring)
