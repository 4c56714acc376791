"""The result of every `forecast`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._optional import import_optional


class Forecast(NamedTuple):
    """Predicted scores under other conditions, with their 95 % bands.

    Every estimator's ``forecast(**conditions)`` returns one. Scalar conditions broadcast as
    arrays: pass ``np.ix_`` grids for maps.

    Attributes
    ----------
    score : ndarray
        Predicted score, of the shape to which the conditions broadcast; nan where nothing can be
        said.
    lower, upper : ndarray
        Bounds of its 95 % band; nan where there is no band.
    conditions : dict of str to ndarray
        The conditions by name, as given.

    See Also
    --------
    skrmt.model_selection.ForecastDisplay : Draws a forecast along one of its conditions.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.utils import Forecast
    >>> score = np.array([0.81, 0.86])
    >>> forecast = Forecast(score, score - 0.03, score + 0.03, {"n_samples": np.array([100, 200])})
    >>> forecast.upper
    array([0.84, 0.89])
    """

    score: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    conditions: dict[str, Any]

    def to_frame(self) -> Any:
        """Return a pandas DataFrame with one row per prediction.

        Returns
        -------
        pandas.DataFrame
            The scalar conditions, then score, lower and upper. Conditions that do not broadcast
            to the shape of the scores are left out.
        """
        pandas = import_optional("pandas", "cli")
        columns = {}
        for name, values in self.conditions.items():
            try:
                columns[name] = np.broadcast_to(values, np.shape(self.score)).ravel()
            except ValueError:
                continue
        scores = {"score": self.score, "lower": self.lower, "upper": self.upper}
        return pandas.DataFrame(columns | {k: np.ravel(v) for k, v in scores.items()})


def unbanded(score: Any, **conditions: Any) -> Forecast:
    """Return a forecast without a band."""
    score = np.asarray(score, dtype=float)
    nowhere = np.full(score.shape, np.nan)
    return Forecast(score, nowhere, nowhere.copy(), conditions)


def check_asked(of: Any, choices: tuple[str, ...], given: dict[str, Any] | None = None) -> None:
    """Raise unless `of` is one of the choices, and no value of it is given."""
    if not (isinstance(of, str) and of in choices):
        raise ValueError(f"of={of!r} must be {' or '.join(map(repr, choices))}.")
    value = (given or {}).get(of)
    if value is not None:
        raise ValueError(f"{of}={value!r} is given, but it is what of={of!r} asks for.")


def first_reaching(
    score_at: Callable[[np.ndarray], np.ndarray],
    target: float,
    low: float,
    high: float = 1e9,
) -> float:
    """Return the smallest amount in [low, high] at which a score reaches its target, or inf.

    `score_at` maps amounts of shape (m,) to scores of shape (m,), nan where nothing can be said.
    A grid of 64 amounts, geometric, is refined until it is finer than one part in a million. The
    result is nan where no score of the grid is a number.
    """
    for _ in range(6):
        amounts = np.geomspace(low, high, 64)
        scores = np.asarray(score_at(amounts), dtype=float)
        if np.isnan(scores).all():
            return float("nan")
        reached = np.flatnonzero(scores >= target)
        if len(reached) == 0:
            return float("inf")
        if reached[0] == 0 or high / low < 1 + 1e-6:
            return float(amounts[reached[0]])
        low, high = amounts[reached[0] - 1], amounts[reached[0]]
    return float(high)
