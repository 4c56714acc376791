"""Tensor components: their values against noise, and the alignments of their factors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from ..utils._intervals import Z95
from ._display import COLOURS, fitted_attributes, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MODES = (COLOURS["blue"], COLOURS["vermilion"], COLOURS["green"], COLOURS["purple"])


class TensorScreeDisplay:
    """Values of the components of a tensor against the largest that noise has.

    Parameters
    ----------
    values : array-like of shape (r,)
        Values in units of the noise.
    detected : array-like of bool of shape (r,)
        Which stand out of the noise.
    bulk_edge, noise_norm : float
        End of the bulk, where searches in noise stop, and best rank-one value of noise.
    next_value : float, default=nan
        Best rank-one value of what is left.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    points_ : matplotlib collection
        The values.

    See Also
    --------
    skrmt.decomposition.TensorDeflation : The decomposition drawn.
    FactorAlignmentDisplay : How close its factors are.

    Examples
    --------
    >>> from skrmt.datasets import make_spiked_tensor
    >>> from skrmt.decomposition import TensorDeflation
    >>> from skrmt.inspection import TensorScreeDisplay
    >>> X = make_spiked_tensor((20, 30, 40), [5.0, 3.0], random_state=0).X
    >>> display = TensorScreeDisplay.from_estimator(TensorDeflation(random_state=0).fit(X))
    >>> display.ax_.get_xlabel()
    'Component'
    """

    def __init__(
        self,
        values: ArrayLike,
        detected: ArrayLike,
        *,
        bulk_edge: float,
        noise_norm: float,
        next_value: float = np.nan,
    ) -> None:
        self.values = values
        self.detected = detected
        self.bulk_edge = bulk_edge
        self.noise_norm = noise_norm
        self.next_value = next_value

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Axes | None = None) -> Self:
        """Draw a fitted decomposition.

        Parameters
        ----------
        estimator : TensorDeflation
            Fitted.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        TensorScreeDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it lacks an attribute.
        ImportError
            If Matplotlib is not installed.
        """
        names = ("singular_values_", "component_regimes_", "thresholds_", "next_singular_value_")
        values, regimes, limits, following = fitted_attributes(estimator, *names)
        display = cls(
            values,
            [found != "undetected" for found in regimes],
            bulk_edge=limits.bulk_edge,
            noise_norm=limits.noise_norm,
            next_value=following,
        )
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the values.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        TensorScreeDisplay
            The display.

        Raises
        ------
        ValueError
            If there are not as many values as flags.
        ImportError
            If Matplotlib is not installed.
        """
        values, detected = np.asarray(self.values, float), np.asarray(self.detected, bool)
        if values.shape != detected.shape or values.ndim != 1:
            raise ValueError(
                f"values has shape {values.shape}, detected {detected.shape}: both must be (r,)."
            )
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        positions = np.arange(1, len(values) + 1)
        colours = np.where(detected, COLOURS["blue"], COLOURS["grey"])
        self.ax_.vlines(positions, 0, values, colors=colours, lw=2)
        self.points_ = self.ax_.scatter(
            positions, values, c=colours, s=45, zorder=3, label="components"
        )
        if np.isfinite(self.next_value):
            self.ax_.plot(
                len(values) + 1,
                self.next_value,
                "o",
                markerfacecolor="none",
                color=COLOURS["grey"],
                label="best of what is left",
            )
        self.ax_.axhline(self.noise_norm, color=COLOURS["vermilion"], label="norm of noise")
        self.ax_.axhline(
            self.bulk_edge, color=COLOURS["orange"], linestyle="--", label="edge of the bulk"
        )
        last = len(values) + 1 + 0.5 * np.isfinite(self.next_value)
        self.ax_.set(
            xlabel="Component",
            ylabel="Value, in units of the noise",
            xlim=(0.5, max(last, 1.5)),
            ylim=(0, None),
        )
        self.ax_.set_xticks(np.arange(1, int(np.ceil(last))))
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False)
        return self


class FactorAlignmentDisplay:
    """Predicted alignment of each factor with the true one, and the realised one where known.

    Parameters
    ----------
    predicted : array-like of shape (r, d)
        Predicted alignments, one row a component, one column an axis.
    low, high : array-like of shape (r, d)
        Ends of the error bars.
    realised : array-like of shape (r, d), default=None
        Realised alignments; nan where a component has no true partner.
    labels : list of str, default=None
        Names of the components.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    predicted_ : list of matplotlib containers
        Predictions with error bars, one an axis of the tensor.
    realised_ : list of matplotlib lines
        Realised alignments, empty where they are not known.

    See Also
    --------
    skrmt.decomposition.TensorDeflation : The decomposition drawn.
    TensorScreeDisplay : Values of the components against the noise.

    Examples
    --------
    >>> from skrmt.datasets import make_spiked_tensor
    >>> from skrmt.decomposition import TensorDeflation
    >>> from skrmt.inspection import FactorAlignmentDisplay
    >>> data = make_spiked_tensor((20, 30, 40), [5.0, 3.0], random_state=0)
    >>> model = TensorDeflation(random_state=0).fit(data.X)
    >>> display = FactorAlignmentDisplay.from_estimator(model, true_factors=data.factors)
    >>> display.ax_.get_ylabel()
    'Alignment with the true factor'
    """

    def __init__(
        self,
        predicted: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        *,
        realised: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        self.predicted = predicted
        self.low = low
        self.high = high
        self.realised = realised
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        true_factors: Sequence[Any] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted decomposition.

        Parameters
        ----------
        estimator : TensorDeflation
            Fitted, with one component or more.
        true_factors : sequence of array-like of shape (p_m, k), default=None
            The truth, one array an axis.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        FactorAlignmentDisplay
            The display, drawn. Error bars hold 95 % of realised alignments.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it has no component, or `true_factors` do not fit it.
        ImportError
            If Matplotlib is not installed.
        """
        names = ("theoretical_alignments_", "theoretical_alignments_std_", "snr_", "factors_")
        predicted, spread, snr, factors = fitted_attributes(estimator, *names)
        if not len(predicted):
            raise ValueError(
                "The fit has no component, n_components_=0: there is nothing to draw. Give "
                "n_components to fit some."
            )
        margin = Z95 * np.nan_to_num(spread)
        low, high = np.maximum(predicted - margin, 0), np.minimum(predicted + margin, 1)
        realised = None if true_factors is None else _matched(factors, true_factors)
        labels = [f"{i + 1}\n(β = {beta:.3g})" for i, beta in enumerate(snr)]
        return cls(predicted, low, high, realised=realised, labels=labels).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the alignments.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        FactorAlignmentDisplay
            The display.

        Raises
        ------
        ValueError
            If shapes differ.
        ImportError
            If Matplotlib is not installed.
        """
        predicted, low, high = (np.asarray(a, float) for a in (self.predicted, self.low, self.high))
        if predicted.ndim != 2 or not predicted.shape == low.shape == high.shape:
            raise ValueError(
                f"predicted has shape {predicted.shape}, low {low.shape}, high {high.shape}: all "
                "must be (components, axes)."
            )
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        rank, order = predicted.shape
        positions = np.arange(rank)[:, None] + 0.4 * (np.arange(order) - (order - 1) / 2) / order
        self.predicted_, self.realised_ = [], []
        for mode, colour in zip(range(order), np.resize(_MODES, order), strict=True):
            bars = np.abs([predicted[:, mode] - low[:, mode], high[:, mode] - predicted[:, mode]])
            self.predicted_.append(
                self.ax_.errorbar(
                    positions[:, mode],
                    predicted[:, mode],
                    yerr=bars,
                    fmt="o",
                    color=colour,
                    capsize=3,
                    label=f"axis {mode}, predicted",
                )
            )
            if self.realised is not None:
                self.realised_ += self.ax_.plot(
                    positions[:, mode] + 0.06,
                    np.asarray(self.realised)[:, mode],
                    "x",
                    color=colour,
                    markersize=8,
                    label=f"axis {mode}, realised",
                )
        self.ax_.set(xlabel="Component", ylabel="Alignment with the true factor")
        self.ax_.set_xticks(np.arange(rank), self.labels or [str(i + 1) for i in range(rank)])
        tidy(self.ax_)
        self.ax_.legend(
            loc="best", frameon=False, ncols=2 if self.realised_ else 1, fontsize="small"
        )
        return self


def _matched(factors, true_factors):
    """Return realised alignments in the order of the estimates, nan where there is no partner."""
    true = [np.asarray(factor, dtype=float) for factor in true_factors]
    if [len(f) for f in factors] != [len(t) for t in true]:
        raise ValueError(
            f"true_factors has modes of sizes {[len(t) for t in true]}, but the tensor had "
            f"{[len(f) for f in factors]}: give one array of shape (size, k) for each axis."
        )
    cosines = np.abs(
        [f.T @ (t / np.linalg.norm(t, axis=0)) for f, t in zip(factors, true, strict=True)]
    )
    rows, columns = linear_sum_assignment(-cosines.prod(axis=0))
    realised = np.full((factors[0].shape[1], len(true)), np.nan)
    realised[rows] = cosines[:, rows, columns].T
    return realised
