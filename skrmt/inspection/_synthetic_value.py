"""Accuracy against the number and the weight of synthetic rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from ._display import (
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


_CURVES = (COLOURS["black"], COLOURS["blue"], COLOURS["orange"], COLOURS["green"])


class SyntheticValueDisplay:
    """Predicted accuracy against the number, or the weight, of synthetic rows.

    Parameters
    ----------
    positions : array-like of shape (a,)
        Numbers of synthetic rows, or their weights.
    accuracies : array-like of shape (a, b)
        Predicted accuracies, one column per curve.
    labels : list of str
        Names of the curves.
    xlabel : str
        Name of the axis.
    chosen : tuple of (float, float), default=None
        Position and predicted accuracy of the fit.
    interval : array-like of shape (2,), default=None
        95 % interval of the latter.
    references : dict, default=None
        Accuracies drawn as horizontal lines, by their names.
    test_points : tuple of (array-like of shape (m,), array-like of shape (m,) or (m, n_repeats)), \
default=None
        Positions, and accuracies measured there.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : list of matplotlib lines
        The curves.
    chosen_ : matplotlib container or None
        The fit.
    test_points_ : matplotlib artist or None
        The measured accuracies.

    See Also
    --------
    skrmt.linear_model.SyntheticMixClassifier : The classifier drawn.

    Examples
    --------
    >>> from skrmt.datasets import make_synthetic_mix
    >>> from skrmt.inspection import SyntheticValueDisplay
    >>> from skrmt.linear_model import SyntheticMixClassifier
    >>> data = make_synthetic_mix(100, 500, 30, random_state=0)
    >>> model = SyntheticMixClassifier().fit(data.X, data.y, sample_source=data.sample_source)
    >>> display = SyntheticValueDisplay.from_estimator(model)
    >>> display.ax_.get_ylabel()
    'Accuracy on real data'
    """

    def __init__(
        self,
        positions: ArrayLike,
        accuracies: ArrayLike,
        labels: Sequence[str],
        *,
        xlabel: str,
        chosen: tuple[Any, ...] | None = None,
        interval: ArrayLike | None = None,
        references: Mapping[str, Any] | None = None,
        test_points: tuple[Any, ...] | None = None,
    ) -> None:
        self.positions = positions
        self.accuracies = accuracies
        self.labels = labels
        self.xlabel = xlabel
        self.chosen = chosen
        self.interval = interval
        self.references = references
        self.test_points = test_points

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        kind: Literal["number", "weight"] = "number",
        n_synthetic: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        test_points: tuple[Any, ...] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted classifier.

        Parameters
        ----------
        estimator : SyntheticMixClassifier
            Fitted.
        kind : {"number", "weight"}, default="number"
            What is on the axis: the number of synthetic rows, by theory; or their weight, by
            left-out rows, at the best penalty of each.
        n_synthetic : array-like of shape (a,), default=None
            For "number": numbers before pruning; from a tenth to ten times the present one by
            default.
        weight : array-like of shape (b,), default=None
            For "number": one curve each; 0, the mean weight of the fit and 1 by default.
        test_points : tuple of (array-like of shape (m,), array-like of shape (m,) or \
(m, n_repeats)), default=None
            Numbers or weights, and accuracies measured there.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SyntheticValueDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If it lacks an attribute, `kind` is unknown or there are several sources for "weight".
        ImportError
            If Matplotlib is not installed.
        """
        if kind not in ("number", "weight"):
            raise ValueError(f"kind={kind!r} must be 'number' or 'weight'.")
        names = (
            "theoretical_accuracy_",
            "theoretical_accuracy_interval_",
            "real_only_accuracy_",
            "mix_all_accuracy_",
        )
        accuracy, interval, alone, everything = fitted_attributes(estimator, *names)
        references = {"real rows only": alone, "everything mixed": everything}
        if kind == "number":
            display = cls._by_number(estimator, accuracy, n_synthetic, weight)
        else:
            display = cls._by_weight(estimator, accuracy)
        display.interval, display.test_points = interval, test_points
        display.references = references if kind == "weight" else None
        return display.plot(ax=ax)

    @classmethod
    def _by_number(cls, estimator, accuracy, n_synthetic, weight):
        """Return the display of the forecast."""
        names = ("n_synthetic_", "synthetic_weight_", "source_quality_")
        present, chosen, sources = fitted_attributes(estimator, *names)
        if n_synthetic is None:
            n_synthetic = np.unique(np.round(max(present, 1) * np.geomspace(0.1, 10, 25)))
        if weight is None:
            n_rows = [max(source.n_rows, 1) for source in sources]
            mean = np.average(chosen, weights=n_rows) if n_rows else 0.0
            weight = np.unique([0.0, mean, 1.0])
        sizes, weights = np.ix_(np.atleast_1d(n_synthetic), np.atleast_1d(weight))
        return cls(
            sizes[:, 0],
            estimator.forecast(n_synthetic=sizes, weight=weights).score,
            [f"weight {value:.2g}, theory" for value in weights[0]],
            xlabel="Synthetic rows, before pruning",
            chosen=(present, accuracy),
        )

    @classmethod
    def _by_weight(cls, estimator, accuracy):
        """Return the display of the grid."""
        names = ("weight_grid_", "accuracy_grid_", "synthetic_weight_")
        grid, values, chosen = fitted_attributes(estimator, *names)
        if grid.shape[1] != 1:
            raise ValueError(
                f"weight_grid_ has {grid.shape[1]} sources: kind='weight' draws one. Use 'number'."
            )
        order = np.argsort(grid[:, 0], kind="stable")
        return cls(
            grid[order, 0],
            values.max(1)[order][:, None],
            ["left-out rows, best penalty"],
            xlabel="Weight of a synthetic row",
            chosen=(float(chosen[0]), accuracy),
        )

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SyntheticValueDisplay
            The display.

        Raises
        ------
        ValueError
            If positions and accuracies do not match.
        ImportError
            If Matplotlib is not installed.
        """
        positions, accuracies = as_points(
            (self.positions, self.accuracies), "positions and accuracies"
        )
        points = None if self.test_points is None else as_points(self.test_points, "test_points")
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = [
            self.ax_.plot(positions, column, color=colour, label=label)[0]
            for column, label, colour in zip(
                accuracies.T, self.labels, np.resize(_CURVES, len(self.labels)), strict=True
            )
        ]
        self._draw_references()
        self._draw_chosen()
        self.test_points_ = None
        if points is not None:
            self.test_points_ = draw_points(
                self.ax_, *points, color=COLOURS["vermilion"], label="measured on test rows"
            )
        if positions.min() > 0:
            self.ax_.set_xscale("log")
        self.ax_.set(xlabel=self.xlabel, ylabel="Accuracy on real data")
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False)
        return self

    def _draw_references(self):
        """Draw accuracies to compare with."""
        styles = (":", "--")
        for style, (name, value) in zip(styles, (self.references or {}).items(), strict=False):
            self.ax_.axhline(value, color=COLOURS["grey"], linestyle=style, label=name)

    def _draw_chosen(self):
        """Draw the accuracy of the fit with its interval."""
        self.chosen_ = None
        if self.chosen is None:
            return
        position, accuracy = self.chosen
        errors = None
        if self.interval is not None:
            low, high = np.asarray(self.interval)
            errors = [[max(accuracy - low, 0.0)], [max(high - accuracy, 0.0)]]
        self.chosen_ = self.ax_.errorbar(
            [position],
            [accuracy],
            yerr=errors,
            fmt="o",
            color=COLOURS["purple"],
            capsize=3,
            label="this fit, left-out rows (95 %)",
        )
