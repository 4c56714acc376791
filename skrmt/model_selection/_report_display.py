"""A report drawn in four panels: the number, other metrics, more rows, held-out predictions."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..inspection._display import COLOURS, tidy
from ..utils._forecast import Forecast
from ..utils._optional import import_optional
from ._forecast_display import ForecastDisplay
from ._page import (
    confusion,
    interval,
    known,
    metric_name,
    number,
    percent,
    short,
    shorter,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ._report import GeneralizationReport

_DARK = 0.6
"""Share above which a cell of the confusion matrix needs white digits."""
_WIDTH = 60
"""Characters in a line of a note that fit in a panel."""


class ReportDisplay:
    """A report on an estimator's score on fresh rows, in four panels.

    The panels are the score with its interval beside that of a constant guess; the other metrics;
    the score along the number of training rows; and held-out predictions, as a confusion matrix of
    classifiers or against the targets of regressors.

    Parameters
    ----------
    report : dict
        From the `to_dict` of a fitted report.

    Attributes
    ----------
    axes_ : ndarray of shape (4,)
        Axes of the panels, in the order above.
    figure_ : matplotlib figure
        Their figure.

    See Also
    --------
    GeneralizationReport : Predicts the score.
    ForecastDisplay : Draws the score along the number of rows alone.

    Examples
    --------
    >>> from skrmt.model_selection import ReportDisplay
    >>> report = {
    ...     "scoring": "r2", "score": 0.49, "interval": [0.43, 0.55], "baseline": 0.0,
    ...     "scores": {"r2": [0.49, 0.43, 0.55], "explained_variance": [0.5, 0.44, 0.56]},
    ...     "n_effective_samples": 442.0, "forecast": None, "forecast_note": "Give more rows.",
    ...     "classes": None, "confusion": None, "points": [[150.0, 140.0], [80.0, 100.0]],
    ... }
    >>> display = ReportDisplay(report).plot()
    >>> [axes.get_title() for axes in display.axes_]
    ['R² 0.490', 'Other metrics', 'More rows', 'Held-out predictions']
    """

    def __init__(self, report: Mapping[str, Any]) -> None:
        self.report = report

    @classmethod
    def from_estimator(
        cls, report: GeneralizationReport, *, ax: Sequence[Axes] | None = None
    ) -> Self:
        """Draw a report.

        Parameters
        ----------
        report : GeneralizationReport
            Fitted.
        ax : array-like of four matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        ReportDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If it is no report.

        Examples
        --------
        >>> from skrmt.model_selection import ReportDisplay
        >>> try:
        ...     ReportDisplay.from_estimator("report")
        ... except TypeError as error:
        ...     print(error)
        report must be a fitted GeneralizationReport, got an object of type str.
        """
        if isinstance(report, type) or not hasattr(report, "to_dict"):
            kind = type(report).__name__
            raise TypeError(
                f"report must be a fitted GeneralizationReport, got an object of type {kind}."
            )
        return cls(report.to_dict()).plot(ax=ax)

    def plot(self, *, ax: Sequence[Axes] | None = None) -> Self:
        """Draw the report.

        Parameters
        ----------
        ax : array-like of four matplotlib axes, default=None
            Where to draw; a new figure by default.

        Returns
        -------
        ReportDisplay
            The display.

        Raises
        ------
        ValueError
            If there are not four axes.
        """
        axes = _four_axes(ax)
        _draw_score(axes[0], self.report)
        _draw_metrics(axes[1], self.report)
        _draw_curve(axes[2], self.report)
        _draw_evidence(axes[3], self.report)
        for one in axes:
            one.title.set(ha="left", x=0.0, fontweight="bold", fontsize=11)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self


def _four_axes(ax):
    """Return the four axes to draw on, those of a new figure if none are given."""
    pyplot = import_optional("matplotlib.pyplot", "plot")
    if ax is None:
        _, ax = pyplot.subplots(2, 2, figsize=(11.0, 8.0), layout="constrained")
    axes = np.asarray(ax, dtype=object).ravel()
    if len(axes) != 4:
        raise ValueError(f"ax must be four axes, one for each panel, got {len(axes)}.")
    return axes


def _note(ax, text):
    """Write a text in place of a panel."""
    ax.set_axis_off()
    words = "\n".join(textwrap.wrap(text.replace("`", ""), _WIDTH))
    ax.text(0.0, 0.95, words, va="top", fontsize=10, color=COLOURS["black"], parse_math=False)


def _error(score, ends):
    """Return the lengths of an error bar, none if the interval is not known."""
    return [[score - ends[0]], [ends[1] - score]] if known(*ends) else None


def _draw_score(ax, report):
    """Draw the score with its interval, beside that of a constant guess."""
    name, score, ends = metric_name(report["scoring"]), report["score"], report["interval"]
    ax.set_title(f"{name} {number(score)}")
    if not known(score):
        _note(ax, f"The score is not known. A constant guess: {number(report['baseline'])}.")
        return
    style = {"fmt": "o", "markersize": 9, "capsize": 5, "elinewidth": 2.5}
    ax.errorbar([score], [1], xerr=_error(score, ends), color=COLOURS["blue"], **style)
    labels = [f"predicted\n{interval(ends)}"]
    if known(report["baseline"]):
        ax.plot([report["baseline"]], [0], "D", color=COLOURS["grey"], markersize=8)
        ax.axvline(report["baseline"], color=COLOURS["grey"], linewidth=1, linestyle="--")
        labels.insert(0, f"constant guess\n{number(report['baseline'])}")
    ax.set(ylim=(-0.7, 1.7), xlabel=report["scoring"])
    ax.set_yticks([1.0] if len(labels) == 1 else [0.0, 1.0], labels)
    ax.margins(x=0.15)
    tidy(ax, "x")


def _draw_metrics(ax, report):
    """Draw the other metrics with their intervals; those outside of [0, 1] in figures alone."""
    ax.set_title("Other metrics")
    rows = {name: row for name, row in report["scores"].items() if name != report["scoring"]}
    if not rows:
        _note(ax, "There are none.")
        return
    style = {"fmt": "o", "color": COLOURS["blue"], "markersize": 5, "capsize": 3}
    low = 1.0
    for height, (score, *ends) in enumerate(rows.values()):
        held = [value for value in (score, *ends) if known(value)]
        if known(score) and all(0 <= value <= 1 for value in held):
            ax.errorbar([score], [height], xerr=_error(score, ends), **style)
            low = min(low, *held)
        words = f"{number(score)} ({interval(ends)})" if known(*ends) else number(score)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 9}
        ax.annotate(words, (1.03, height), annotation_clip=False, **place)
    ax.set_yticks(range(len(rows)), [short(name, 34) for name in rows], parse_math=False)
    left = np.floor(9.99 * low) / 10 if low < 1.0 else 0.0
    ax.set(xlim=(left, 1.0), ylim=(len(rows) - 0.5, -0.5))
    tidy(ax, "x")


def _draw_curve(ax, report):
    """Draw the score along the number of rows, or why it is not known."""
    found, ends = report["forecast"], np.asarray(report["interval"], dtype=float)
    ax.set_title("More rows")
    if found is None:
        _note(ax, report["forecast_note"] or "The score at other numbers of rows is not known.")
        return
    sizes, score, lower, upper = (
        np.asarray(found[key], dtype=float) for key in ("n_samples", "score", "lower", "upper")
    )
    present = (report["n_effective_samples"], report["score"], ends)
    forecast = Forecast(score, lower, upper, {"n_samples": sizes})
    ForecastDisplay(forecast, present=present, score_name=report["scoring"]).plot(ax=ax)


def _draw_evidence(ax, report):
    """Draw held-out predictions: a confusion matrix, or a scatter against the targets."""
    if report["confusion"] is not None:
        _draw_confusion(ax, report)
        return
    ax.set_title("Held-out predictions")
    points = np.asarray(report["points"] or np.empty((0, 2)), dtype=float)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        _note(ax, "They are not known.")
        return
    ax.scatter(*points.T, s=14, color=COLOURS["blue"], alpha=0.5, linewidth=0)
    ax.axline((points[0, 0], points[0, 0]), slope=1, color=COLOURS["grey"], linestyle="--")
    ax.set(xlabel="Target", ylabel="Held-out prediction")
    tidy(ax, "both")


def _draw_confusion(ax, report):
    """Draw the confusion of the most frequent classes, as shares of their rows."""
    found = confusion(report)
    shares = np.array(found.shares)
    names = [shorter(name, 14) for name in found.names]
    colors = import_optional("matplotlib.colors", "plot")
    shades = colors.LinearSegmentedColormap.from_list("shares", ["white", COLOURS["blue"]])
    ax.imshow(shares, vmin=0, vmax=1, cmap=shades, aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        color = "white" if share > _DARK else COLOURS["black"]
        words = f"{100 * share:.0f}" if known(share) else "–"
        ax.text(j, i, words, ha="center", va="center", fontsize=9, color=color)
    columns = names + ["others"] * (found.n_left_out > 0)
    turned = 90 if sum(len(name) for name in columns) > _WIDTH else 0
    ax.set_xticks(range(len(columns)), columns, rotation=turned, parse_math=False)
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_title("Held-out predictions, % of each class")
    left_out = f"; {found.n_left_out} classes ({percent(found.share_left_out)} of rows) left out"
    ax.set(xlabel="Predicted class" + left_out * (found.n_left_out > 0), ylabel="True class")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
