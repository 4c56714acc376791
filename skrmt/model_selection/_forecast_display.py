"""Forecasts drawn along one of their conditions, beside measured scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from ..inspection._display import (
    COLOURS,
    as_points,
    draw_points,
    fitted_attributes,
    new_axes,
    percent_axis,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..utils._forecast import Forecast

_LABELS = {"n_samples": "Training rows"}
_DECADE = 10.0
"""Ratio of conditions from which their axis is logarithmic."""


class ForecastDisplay:
    """A forecast along one of its conditions, such as a learning curve.

    Parameters
    ----------
    forecast : Forecast
        From the `forecast` of a fitted estimator.
    along : str, default="n_samples"
        The scalar condition to draw it along.
    present : tuple of (float, float, ndarray of shape (2,)), default=None
        The condition at hand, its score and the interval of it.
    measured : tuple of (ndarray of shape (m,), ndarray of shape (m,) or (m, r)), default=None
        Conditions, and scores measured there, repeated r times.
    score_name : str, default="Accuracy"
        Name of the score.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    line_ : matplotlib line
        The forecast.
    band_ : matplotlib collection
        Its 95 % band.
    points_ : matplotlib container or None
        Measured scores.

    See Also
    --------
    GeneralizationReport : Forecasts scores of scikit-learn's estimators.
    sklearn.model_selection.LearningCurveDisplay : Curves measured by cross-validation alone.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.model_selection import ForecastDisplay, GeneralizationReport
    >>> X, y, _, _ = make_noisy_mixture(300, 50, noise_rates=None, random_state=0)
    >>> report = GeneralizationReport(RidgeClassifier(10.0)).fit(X, y)
    >>> display = ForecastDisplay.from_estimator(report)
    >>> display.ax_.get_xlabel()
    'Training rows'
    """

    def __init__(
        self,
        forecast: Forecast,
        *,
        along: str = "n_samples",
        present: tuple[Any, ...] | None = None,
        measured: tuple[Any, ...] | None = None,
        score_name: str = "Accuracy",
    ) -> None:
        self.forecast = forecast
        self.along = along
        self.present = present
        self.measured = measured
        self.score_name = score_name

    @classmethod
    def from_forecast(
        cls,
        forecast: Forecast,
        *,
        along: str = "n_samples",
        measured: tuple[Any, ...] | None = None,
        score_name: str = "Accuracy",
        ax: Axes | None = None,
    ) -> Self:
        """Draw a forecast.

        Parameters
        ----------
        forecast : Forecast
            From the `forecast` of a fitted estimator.
        along : str, default="n_samples"
            The scalar condition to draw it along.
        measured : tuple of (array-like of shape (m,), array-like), default=None
            Conditions, and scores measured there, of shape (m,) or (m, r).
        score_name : str, default="Accuracy"
            Name of the score.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If there is no such condition, or it is not the only one that varies.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.model_selection import ForecastDisplay
        >>> from skrmt.utils import Forecast
        >>> score = np.array([0.8, 0.85, 0.9])
        >>> sizes = {"n_samples": np.array([100, 200, 400])}
        >>> forecast = Forecast(score, score - 0.05, score + 0.05, sizes)
        >>> ForecastDisplay.from_forecast(forecast).line_.get_xdata()
        array([100, 200, 400])
        """
        return cls(forecast, along=along, measured=measured, score_name=score_name).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        along: str = "n_samples",
        values: ArrayLike | None = None,
        measured: tuple[Any, ...] | None = None,
        ax: Axes | None = None,
        **conditions: Any,
    ) -> Self:
        """Draw the forecast of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with a method `forecast`; the last step of a pipeline is taken.
        along : str, default="n_samples"
            The scalar condition to draw it along.
        values : array-like of float of shape (m,), default=None
            Its values; numbers of rows go from an eighth to ten times those at hand by default.
        measured : tuple of (array-like of shape (m,), array-like), default=None
            Conditions, and scores measured there, of shape (m,) or (m, r): sizes and test scores of
            `sklearn.model_selection.learning_curve`, for instance.
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.
        **conditions : object
            Further conditions of the forecast.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the values are missing, or the estimator predicts nothing else.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from sklearn.model_selection import learning_curve
        >>> from skrmt.model_selection import ForecastDisplay, GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> sizes, _, scores = learning_curve(Ridge(0.1), X, y)
        >>> report = GeneralizationReport(Ridge(0.1)).fit(X, y)
        >>> display = ForecastDisplay.from_estimator(report, measured=(sizes, scores))
        >>> display.score_name
        'R^2'
        """
        (forecast,) = fitted_attributes(estimator, "forecast")
        name = "R^2" if hasattr(estimator, "theoretical_r2_") else "Accuracy"
        present = None
        if along == "n_samples":
            kind = "score" if hasattr(estimator, "theoretical_score_") else "accuracy"
            n, score, interval = fitted_attributes(
                estimator,
                "n_effective_samples_",
                f"theoretical_{kind}_",
                f"theoretical_{kind}_interval_",
            )
            present = (n, score, interval)
            values = np.geomspace(max(n / 8, 4), 10 * n, 40) if values is None else values
        if values is None:
            raise ValueError(f"values is missing: give values of {along!r} to draw along.")
        found = forecast(**{along: np.asarray(values)}, **conditions)
        display = cls(found, along=along, present=present, measured=measured, score_name=name)
        return display.plot(ax=ax)

    def plot(self, *, ax: Axes | None = None) -> Self:
        """Draw the forecast.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        ForecastDisplay
            The display.
        """
        values, score = self._line()
        ax, blue = new_axes(ax), COLOURS["blue"]
        lower, upper = self.forecast.lower, self.forecast.upper
        self.line_ = ax.plot(values, score, color=blue, label="Predicted")[0]
        self.band_ = ax.fill_between(values, lower, upper, color=blue, alpha=0.15, linewidth=0)
        if self.present is not None:
            at, now, (low, high) = self.present
            error, label = [[now - low], [high - now]], "Predicted at hand"
            ax.errorbar(
                [at], [now], error, color=COLOURS["black"], marker="o", capsize=3, label=label
            )
        self.points_ = None
        if self.measured is not None:
            style = {"color": COLOURS["vermilion"], "fmt": "s", "label": "Measured"}
            self.points_ = draw_points(ax, *as_points(self.measured, "measured"), **style)
        if values.min() > 0 and values.max() >= _DECADE * values.min():
            ax.set_xscale("log")
        ax.set(xlabel=_LABELS.get(self.along, self.along), ylabel=self.score_name)
        if self.score_name == "Accuracy":
            percent_axis(ax.yaxis)
        ax.legend(frameon=False)
        tidy(ax, "both")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _line(self):
        """Return the conditions and the scores, if the scores are a line along them."""
        conditions, score = self.forecast.conditions, np.asarray(self.forecast.score)
        if self.along not in conditions:
            names = ", ".join(conditions) or "none"
            raise ValueError(f"along={self.along!r} is no condition of the forecast: {names}.")
        values = np.asarray(conditions[self.along])
        if score.ndim != 1 or values.shape != score.shape:
            raise ValueError(
                f"along={self.along!r} has shape {values.shape} and the scores {score.shape}: let "
                "this condition alone vary, along one axis."
            )
        return values, score
