"""Predicted accuracy along the ridge penalty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..utils._optional import import_optional
from ._display import (
    COLOURS,
    as_points,
    draw_points,
    fitted_attributes,
    new_axes,
    percent,
    percent_axis,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class AccuracyPathDisplay:
    """Predicted accuracy against the ridge penalty, beside measured accuracies.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    alphas : array-like of shape (n_alphas,)
        Ridge penalties, `np.inf` and 0 included if need be.
    accuracies : array-like of shape (n_alphas,)
        Predicted accuracy at each penalty, fractions; `nan` where nothing is predicted.
    alpha : float, default=None
        The chosen penalty.
    accuracy : float, default=None
        The accuracy predicted for the final classifier, which may differ from that of the path
        at `alpha` where fitting goes on after the choice.
    interval : tuple of (float, float), default=None
        Interval of 95 % for `accuracy`.
    test_points : tuple of (array-like of shape (m,), array-like of shape (m,) or \
(m, n_repeats)), default=None
        Penalties and accuracies measured there, several repeats giving a mean and a bar of one
        standard deviation.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The predicted accuracies.
    chosen_ : matplotlib Line2D or None
        The chosen penalty and its accuracy.
    interval_ : matplotlib FillBetweenPolyCollection or None
        The band of the interval, about the chosen penalty.
    test_points_ : matplotlib ErrorbarContainer or None
        The measured accuracies.
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    AccuracyPathDisplay.from_estimator : Draw a fitted classifier.
    ScoreDistributionDisplay : Draw the scores that the accuracies come from.

    Notes
    -----
    The penalties are on a logarithmic axis. An infinite one, the limit in which the classifier
    is the difference of the class means, is put beyond the right end, and 0 beyond the left end,
    each with a tick of its own and joined by a dotted line.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import AccuracyPathDisplay
    >>> display = AccuracyPathDisplay(
    ...     [0.1, 1.0, 10.0, np.inf], [0.81, 0.86, 0.88, 0.87],
    ...     alpha=10.0, accuracy=0.88, interval=(0.85, 0.91),
    ... )
    >>> display.plot().line_.get_ydata()
    array([0.81, 0.86, 0.88])
    """

    def __init__(
        self,
        alphas: ArrayLike,
        accuracies: ArrayLike,
        *,
        alpha: float | None = None,
        accuracy: float | None = None,
        interval: tuple[Any, ...] | None = None,
        test_points: tuple[Any, ...] | None = None,
    ) -> None:
        self.alphas = alphas
        self.accuracies = accuracies
        self.alpha = alpha
        self.accuracy = accuracy
        self.interval = interval
        self.test_points = test_points

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        test_points: tuple[Any, ...] | None = None,
        ax: Axes | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier with `alphas_` and `theoretical_accuracy_path_`, or a pipeline or
            search that ends in one.
        test_points : tuple of (array-like of shape (m,), array-like of shape (m,) or \
(m, n_repeats)), default=None
            Penalties and accuracies measured there, such as a grid and the test scores of
            :func:`sklearn.model_selection.validation_curve`.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.
        line_kw : dict, default=None
            Passed to `ax.plot` for the predicted accuracies.

        Returns
        -------
        AccuracyPathDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If it lacks an attribute the display needs, or the points do not match.
        ImportError
            If Matplotlib is not installed.
        """
        names = ("alphas_", "theoretical_accuracy_path_", "alpha_", "theoretical_accuracy_")
        alphas, path, alpha, accuracy, interval = fitted_attributes(
            estimator, *names, "theoretical_accuracy_interval_"
        )
        display = cls(
            alphas,
            path,
            alpha=alpha,
            accuracy=accuracy,
            interval=interval,
            test_points=test_points,
        )
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, ax: Axes | None = None, *, line_kw: Mapping[str, Any] | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.
        line_kw : dict, default=None
            Passed to `ax.plot` for the predicted accuracies.

        Returns
        -------
        AccuracyPathDisplay
            The display.

        Raises
        ------
        ValueError
            If penalties and accuracies do not match.
        ImportError
            If Matplotlib is not installed.
        """
        alphas, accuracies = as_points((self.alphas, self.accuracies), "alphas and accuracies")
        if accuracies.shape[1] != 1:
            raise ValueError("accuracies must be a vector: one prediction for each penalty.")
        points = None if self.test_points is None else as_points(self.test_points, "test_points")
        axis = _PenaltyAxis(alphas, self.alpha, None if points is None else points[0])

        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self._draw_path(axis, alphas, accuracies[:, 0], line_kw or {})
        self._draw_chosen(axis)
        self.test_points_ = None
        if points is not None:
            repeats = points[1].shape[1]
            self.test_points_ = draw_points(
                self.ax_,
                axis.position(points[0]),
                points[1],
                color=COLOURS["vermilion"],
                label="measured" + (f", mean of {repeats} ± 1 s.d." if repeats > 1 else ""),
            )
        axis.apply(self.ax_)
        self.ax_.set(xlabel=r"Ridge penalty $\alpha$ (per sample)", ylabel="Accuracy, clean labels")
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False)
        return self

    def _draw_path(self, axis, alphas, accuracies, line_kw):
        """Draw the predicted accuracies, the limits apart."""
        order = np.argsort(alphas)
        alphas, accuracies = alphas[order], accuracies[order]
        positions, regular = axis.position(alphas), axis.regular(alphas)
        style = {"color": COLOURS["blue"], "linewidth": 2.0, "label": "predicted"} | line_kw
        if regular.sum() == 1:
            style = {"marker": "o"} | style
        (self.line_,) = self.ax_.plot(positions[regular], accuracies[regular], **style)
        colour = self.line_.get_color()
        self.ax_.plot(positions, accuracies, color=colour, linewidth=1.4, linestyle=":", zorder=1)
        self.ax_.plot(
            positions[~regular],
            accuracies[~regular],
            color=colour,
            linestyle="none",
            marker="o",
            markersize=5,
        )

    def _draw_chosen(self, axis):
        """Mark the chosen penalty, with the interval of its accuracy."""
        self.chosen_ = self.interval_ = None
        if self.alpha is None or self.accuracy is None or not np.isfinite(self.accuracy):
            return
        position = axis.position(self.alpha)
        label = rf"chosen $\alpha$: {percent(self.accuracy)}"
        if self.interval is not None and np.isfinite(self.interval).all():
            low, high = self.interval
            label += f" (95% interval {percent(low)} to {percent(high)})"
            width = axis.width / 80
            self.interval_ = self.ax_.fill_between(
                axis.shifted(position, [-width, width]),
                low,
                high,
                color=COLOURS["black"],
                alpha=0.25,
                linewidth=0,
                zorder=3,
            )
        (self.chosen_,) = self.ax_.plot(
            [position],
            [self.accuracy],
            linestyle="none",
            marker="D",
            markersize=9,
            color=COLOURS["black"],
            markeredgecolor="white",
            zorder=3,
            label=label,
        )


class _PenaltyAxis:
    """Positions of penalties on a logarithmic axis that has room for 0 and infinity."""

    def __init__(self, *alphas):
        values = np.concatenate([np.ravel(a) for a in alphas if a is not None]).astype(float)
        if np.isnan(values).any() or (values < 0).any():
            raise ValueError(f"alphas has negative or missing entries: {values.tolist()}.")
        regular = values[self.regular(values)]
        ends = np.log10([regular.min(), regular.max()]) if regular.size else np.zeros(2)
        self._low, self._high = float(ends[0]), float(ends[1])
        self._gap = max(0.4, 0.1 * (self._high - self._low))
        self._zero, self._infinity = (values == 0).any(), np.isinf(values).any()

    @staticmethod
    def regular(alphas):
        """Return which penalties have a logarithm."""
        return np.isfinite(alphas) & (alphas != 0)

    @property
    def width(self):
        """Length of the axis, in decades."""
        return self._high - self._low + self._gap * (1 + self._zero + self._infinity)

    def position(self, alphas):
        """Return where penalties stand; those with a logarithm stand at themselves."""
        alphas = np.asarray(alphas, dtype=float)
        limits = 10.0 ** (self._low - self._gap), 10.0 ** (self._high + self._gap)
        return np.where(alphas == 0, limits[0], np.where(np.isinf(alphas), limits[1], alphas))

    @staticmethod
    def shifted(position, decades):
        """Return positions some decades away."""
        return position * 10.0 ** np.asarray(decades)

    def apply(self, ax):
        """Set scale, ends and ticks."""
        ticker = import_optional("matplotlib.ticker", "plot")
        ax.set_xscale("log")
        low = self._low - self._gap * (0.4 + self._zero)
        high = self._high + self._gap * (0.4 + self._infinity)
        ax.set_xlim(10.0**low, 10.0**high)
        step = max(1, round((self._high - self._low) / 7))
        exponents = np.arange(np.ceil(self._low - 1e-9), np.floor(self._high + 1e-9) + 1, step)
        ticks = {10.0**k: f"$10^{{{int(k)}}}$" for k in exponents}
        if self._zero:
            ticks[float(self.position(0.0))] = "0"
        if self._infinity:
            ticks[float(self.position(np.inf))] = r"$\infty$"
        ax.xaxis.set_major_locator(ticker.FixedLocator(list(ticks)))
        ax.xaxis.set_major_formatter(ticker.FixedFormatter(list(ticks.values())))
        ax.xaxis.set_minor_locator(ticker.NullLocator())
