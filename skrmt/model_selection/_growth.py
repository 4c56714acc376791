"""What more rows bring, measured on parts of the rows: for estimators without a theory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..utils._intervals import Z95
from ._metrics import Sample, best_score, claim, scorer_claim
from ._rows import Given
from ._whole_folds import part_rounds, whole_folds

_PARTS = ((0.25, 4), (0.5, 6))
"""Parts of the rows that are trained on, and how often: six fits to halves cost as much as ten to a
quarter, and the larger part is nearer to what is asked."""
_LEAST_RISE = 0.02
"""Rise from a quarter of the rows, in units of the metric, below which no curve is seen."""

NO_RISE = (
    "The score does not rise visibly from a quarter of the rows to all of them: no gain is "
    "predicted, and how many rows a higher score takes is not known. Give more rows, or another "
    "estimator."
)


class Growth(NamedTuple):
    """The score ``present - slope (1 / m - 1 / n)`` of fits to m rows.

    Attributes
    ----------
    size : float
        Rows at hand.
    slope : float
        How the score rises with ``-1 / m``; 0 where no rise is seen.
    error : float
        Standard error of the slope.
    best : float
        The largest score that there is.
    """

    size: float
    slope: float
    error: float
    best: float

    def scores(self, present: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
        saved = 1.0 / self.size - 1.0 / sizes
        score = np.minimum(present[0] + self.slope * saved, self.best)
        spread = Z95 * self.error * np.abs(saved)
        below, above = present[0] - present[1], present[2] - present[0]
        low, high = score - np.hypot(below, spread), score + np.hypot(above, spread)
        return np.stack([score, low, np.minimum(high, self.best)])


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

    The exponent is fixed: from three sizes nothing better than 1 / m can be estimated.
    """
    inverses, values = [1.0 / sample.size], [float(present[0])]
    errors = [float(present[2] - present[1]) / (2.0 * Z95)]
    for part, repeats in _PARTS:
        rounds = part_rounds(given, classes, part, repeats, random_state)
        found = whole_folds(
            estimator, given, classes, rounds, scorer=scorer, n_jobs=n_jobs, params=params
        )
        scores = [
            scorer_claim(scoring, (one,)).score if scorer else claim(scoring, (one,), sample).score
            for one in found
        ]
        trained = float(np.mean([len(train) for ((train, _),) in rounds])) / len(given.y)
        inverses.append(1.0 / (trained * sample.size))
        values.append(float(np.mean(scores)))
        spread = float(np.std(scores, ddof=1))
        errors.append(max(spread / repeats**0.5, 1e-12))
    best = best_score(scoring)
    return fitted_growth(np.array(inverses), np.array(values), np.array(errors), sample.size, best)


def fitted_growth(
    inverses: np.ndarray, values: np.ndarray, errors: np.ndarray, size: float, best: float
) -> Growth:
    """Return the line in 1 / m through scores, if they rise."""
    # The same rows test the fits to all sizes: what is uncertain of their level is shared, and the
    # rise to all of them is as certain as that between the parts.
    weights = 1.0 / np.maximum(errors, errors[1:].max()) ** 2
    centred = inverses - np.average(inverses, weights=weights)
    power = float(weights @ centred**2)
    slope = -float(weights @ (centred * values)) / power
    error = 1.0 / np.sqrt(power)
    rise = slope * (inverses[1] - inverses[0])
    scale = 1.0 if best == 1.0 else float(np.abs(values).max())
    if rise < max(_LEAST_RISE * scale, Z95 * error * (inverses[1] - inverses[0]) / 2.0):
        return Growth(size, 0.0, max(error, abs(slope)), best)
    return Growth(size, slope, error, best)
