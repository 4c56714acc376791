"""What more rows bring, measured on parts of the rows: for estimators without a theory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..utils._intervals import Z95
from ._input import Given
from ._metrics import Sample, claim, score_range, scorer_claim
from ._rounds import Round
from ._whole_folds import part_rounds, whole_folds

_PARTS = ((0.25, 4), (0.5, 6))
"""Parts of the rows that are trained on, and how often: six fits to halves cost as much as ten to a
quarter, and the larger part is nearer to what is asked."""
_EXPONENTS = np.array([0.25, 0.5, 1.0, 2.0])
"""Rates at which scores approach their limit, by octaves: 1 of few parameters, 1/2 and less of
neighbours, 2 where the smallest part has hardly more rows than parameters."""
_MISFIT = 0.05
"""Part of the whole rise by which scores leave any power law: curves have other shapes."""
_LATE = 0.5
"""What a further doubling may bring beyond the fitted laws, one deviation, over the largest recent
rise: kernels and neighbours begin late, and their curves steepen before they flatten."""
_LEAST_LATE = 0.01
"""The least recent rise that is allowed for, in units of the metric: half of what is visible."""
_LEAST_RISE = 0.02
"""Rise from a quarter of the rows, in units of the metric, below which no curve is seen."""

NO_RISE = (
    "The score does not rise visibly from a quarter of the rows to all of them: no gain is "
    "predicted, and how many rows a higher score takes is not known. Give more rows, or another "
    "estimator."
)


class Parts(NamedTuple):
    """Scores of fits to numbers of rows, all counted on the same rows.

    Attributes
    ----------
    sizes : ndarray of shape (3,)
        Numbers of rows: all n at hand, a quarter, a half.
    values : ndarray of shape (3,)
        Scores; of errors minus their logarithms.
    errors : ndarray of shape (3,)
        Standard errors of their differences.
    """

    sizes: np.ndarray
    values: np.ndarray
    errors: np.ndarray


class Growth(NamedTuple):
    """The score ``present + sum_k w_k slope_k (1 - (m/n)^-g_k)`` of fits to m rows.

    Attributes
    ----------
    size : float
        Rows n at hand.
    slopes : ndarray of shape (4,)
        How far the score is from its limit at each exponent g_k; 0 where no rise is seen.
    errors : ndarray of shape (4,)
        Standard errors of the slopes.
    weights : ndarray of shape (4,)
        How likely each exponent is.
    recent : float
        What the last doubling brought, or the mean of the last two; more near a constant guess.
    scoring : str
        The metric. Errors grow in their logarithm: they never reach 0.
    """

    size: float
    slopes: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    recent: float
    scoring: str

    @property
    def rises(self) -> bool:
        """Whether a rise is seen."""
        return bool(self.slopes.any())

    @property
    def fewest(self) -> float:
        """The number of rows below which nothing is known."""
        return _PARTS[0][0] * self.size

    def scores(self, present: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
        ratio = np.maximum(sizes, self.fewest) / self.size
        now = _straight(present, self.scoring)
        saved = 1.0 - ratio ** -_EXPONENTS[:, None]
        each = self.slopes[:, None] * saved
        gains = self.weights @ each
        spread = self.weights @ ((self.errors[:, None] * saved) ** 2 + (each - gains) ** 2)
        late = _LATE * self.recent * np.maximum(np.log2(ratio), 0.0)
        gains = np.minimum(gains, self._most(now[0], ratio))
        low = now[0] + gains - np.hypot(now[0] - now[1], Z95 * np.sqrt(spread))
        high = now[0] + gains + np.hypot(now[2] - now[0], Z95 * np.sqrt(spread + late**2))
        found = np.stack([now[0] + gains, low, high])
        if _is_error(self.scoring):
            return -np.exp(-found)
        return np.clip(found, *score_range(self.scoring))

    def from_guess(self, present: float, guess: float) -> Growth:
        """Return the same growth, which may still begin: the more so, the nearer to a guess.

        A doubling may bring what is missing of the best score, times the square of the part of the
        way from a constant guess to it that is not gone.
        """
        best = score_range(self.scoring)[1]
        if not (np.isfinite(best) and np.isfinite(guess) and guess < best):
            return self
        ahead = np.clip((best - present) / (best - guess), 0.0, 1.0)
        missing = np.log(2.0) if _is_error(self.scoring) else best - present
        return self._replace(recent=max(self.recent, float(missing * ahead**2)))

    def _most(self, now: float, ratio: np.ndarray) -> np.ndarray:
        """Return the largest gains: what misses of the best score falls no faster than 1/m."""
        if _is_error(self.scoring):
            return np.maximum(np.log(ratio), 0.0)
        best = score_range(self.scoring)[1]
        if np.isinf(best):
            return np.full_like(ratio, np.inf)
        return (best - now) * np.maximum(1.0 - 1.0 / ratio, 0.0)


def _is_error(scoring: str) -> bool:
    """Return whether a metric is an error, 0 at best."""
    return score_range(scoring)[1] == 0.0


def _straight(scores: Any, scoring: str) -> np.ndarray:
    """Return scores as they rise with the number of rows: errors in logarithms."""
    scores = np.asarray(scores, dtype=float)
    return -np.log(np.maximum(-scores, 1e-300)) if _is_error(scoring) else scores


def scored_parts(
    estimator: Any,
    given: Given,
    classes: np.ndarray | None,
    sample: Sample,
    present: float,
    held_out: tuple[Round, ...],
    *,
    scoring: str,
    scorer: Any,
    n_jobs: int | None,
    params: dict,
    random_state: Any,
) -> Parts:
    """Fit the estimator to parts of the rows, and score the others.

    What fits to all rows but them make of the same rows is `held_out`: how hard rows are is the
    same for both, and only the difference is counted.
    """
    now = float(_straight(present, scoring))
    sizes, values, errors = [float(sample.size)], [now], [0.0]
    for part, repeats in _PARTS:
        rounds = part_rounds(given, classes, part, repeats, random_state)
        found = whole_folds(
            estimator, given, classes, rounds, scorer=scorer, n_jobs=n_jobs, params=params
        )
        if scorer is None:
            # Alike on both sides: smoothing shifts scores, if by little.
            found = tuple(one._replace(smooth=held_out[0].smooth) for one in found)
            alone = [claim(scoring, (one,), sample).score for one in found]
            beside = [_beside(one, held_out, sample, scoring, present) for one in found]
        else:
            alone, beside = [scorer_claim(scoring, (one,)).score for one in found], [present]
        rises = _straight(beside, scoring) - _straight(alone, scoring)
        # By weight: a row of weight two is the row twice.
        trained = np.mean([sample.weights[train].sum() for ((train, _),) in rounds])
        sizes.append(float(trained / sample.weights.sum()) * sample.size)
        values.append(now - float(np.mean(rises)))
        errors.append(float(np.std(_straight(alone, scoring), ddof=1)) / repeats**0.5)
    errors[0] = errors[-1]
    return Parts(np.array(sizes), np.array(values), np.array(errors))


def _beside(
    some: Round, rounds: tuple[Round, ...], sample: Sample, scoring: str, present: float
) -> float:
    """Return the score of rounds on the rows of another one, that on all where there is none."""
    common = [one._replace(fold=np.where(some.fold >= 0, one.fold, -1)) for one in rounds]
    common = [one for one in common if (one.fold >= 0).any()]
    score = claim(scoring, tuple(common), sample).score if common else np.nan
    return score if np.isfinite(score) else present


def fitted_growth(
    sizes: np.ndarray, values: np.ndarray, errors: np.ndarray, scoring: str
) -> Growth:
    """Return the power laws through scores at numbers of rows, all, a quarter and a half.

    Three sizes do not decide on an exponent: each counts as much as it is likely.
    """
    size = sizes[0]
    weights = 1.0 / (errors**2 + (_MISFIT * (values[0] - values[1])) ** 2 + 1e-12)
    x = -((sizes / size) ** -_EXPONENTS[:, None])
    slopes, spread, misfits = _slopes(x, values, weights)
    likely = np.exp(-0.5 * (misfits - misfits.min()))
    likely /= likely.sum()
    rise, recent = values[0] - values[1:]
    bounded = _is_error(scoring) or score_range(scoring)[1] == 1.0
    scale = 1.0 if bounded else float(np.abs(values).max())
    length = x[:, 0] - x[:, 1]
    seen, known = likely @ (slopes * length), np.sqrt(likely @ (spread * length) ** 2)
    recent = max(abs(recent), abs(rise) / 2.0, _LEAST_LATE * scale)
    if seen < max(_LEAST_RISE * scale, Z95 * known / 2.0):
        unseen = np.hypot(spread, slopes)
        return Growth(size, np.zeros_like(slopes), unseen, likely, recent, scoring)
    return Growth(size, np.maximum(slopes, 0.0), spread, likely, recent, scoring)


def _slopes(
    x: np.ndarray, values: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return slopes of lines through values at k sets of abscissae (k, m), errors and misfits."""
    centred = x - np.average(x, axis=1, weights=weights)[:, None]
    distant = values - np.average(values, weights=weights)
    power = np.maximum(centred**2 @ weights, 1e-300)
    slopes = (centred * distant) @ weights / power
    misfits = (distant - slopes[:, None] * centred) ** 2 @ weights
    return slopes, 1.0 / np.sqrt(power), misfits
