"""How stochastic gradient descent went, and how low it can get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory import sgd
from ._display import COLOURS, fitted_attributes, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class StagedLossDisplay:
    """Losses of the batches of a staged fit, with the predicted curve, stages and spikes.

    Parameters
    ----------
    losses : array-like of shape (T,)
        Loss of each batch before its step.
    risks : array-like of shape (T,)
        Predicted mean; not drawn where it is NaN.
    bounds : array-like of shape (n_stages + 1,)
        Steps at which stages begin, and their total number.
    spikes : list of (int, float), default=()
        Step and p-value of each spike.
    window : int, default=None
        Number of batches whose mean is drawn; a hundredth of all by default.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    losses_ : matplotlib lines
        The losses, one dot each.
    mean_ : matplotlib lines
        Their running mean, without spikes.
    risks_ : matplotlib lines
        The predicted curve.
    spikes_ : matplotlib lines
        The spikes.

    See Also
    --------
    skrmt.linear_model.StagedSGDRegressor : What is drawn.
    skrmt.theory.sgd.risk_curve : The prediction for Gaussian features.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import StagedLossDisplay
    >>> from skrmt.linear_model import Stage, StagedSGDRegressor
    >>> X = np.random.default_rng(0).standard_normal((800, 5))
    >>> stages = [Stage(100, 4, 0.1), Stage(50, 8, 0.1)]
    >>> model = StagedSGDRegressor(stages, random_state=0).fit(X, X[:, 0])
    >>> display = StagedLossDisplay.from_estimator(model)
    >>> display.ax_.get_yscale()
    'log'
    """

    def __init__(
        self,
        losses: ArrayLike,
        risks: ArrayLike,
        bounds: ArrayLike,
        *,
        spikes: Sequence[Any] = (),
        window: int | None = None,
    ) -> None:
        self.losses = losses
        self.risks = risks
        self.bounds = bounds
        self.spikes = spikes
        self.window = window

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, window: int | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw a fitted estimator.

        Parameters
        ----------
        estimator : StagedSGDRegressor, StagedSGDClassifier, Pipeline or search
            Fitted.
        window : int, default=None
            Number of batches whose mean is drawn; a hundredth of all by default.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        StagedLossDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it is of another kind.
        ImportError
            If Matplotlib is not installed.
        """
        losses, risks, bounds, spikes = fitted_attributes(
            estimator, "loss_curve_", "theoretical_loss_curve_", "stage_bounds_", "spikes_"
        )
        return cls(losses, risks, bounds, spikes=spikes, window=window).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw losses, running mean, predicted curve, stages and spikes.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        StagedLossDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        losses = np.asarray(self.losses, dtype=float)
        steps = np.arange(len(losses))
        (self.losses_,) = self.ax_.plot(
            steps, losses, ".", color=COLOURS["grey"], markersize=2, alpha=0.4, label="one batch"
        )
        found = [step for step, _ in self.spikes]
        others = losses.copy()
        others[found] = np.nan
        places, means = _running_mean(others, np.asarray(self.bounds), self._window(len(losses)))
        (self.mean_,) = self.ax_.plot(
            places, means, color=COLOURS["sky"], linewidth=1.6, label="running mean"
        )
        (self.risks_,) = self.ax_.plot(
            steps, self.risks, color=COLOURS["vermilion"], linewidth=1.8, label="predicted"
        )
        (self.spikes_,) = self.ax_.plot(
            found,
            losses[found],
            "v",
            color=COLOURS["purple"],
            markersize=7,
            label="spike" if found else None,
            zorder=5,
        )
        self._decorate(losses)
        return self

    def _window(self, n_steps):
        """Return the number of batches to average."""
        return max(1, n_steps // 100) if self.window is None else int(self.window)

    def _decorate(self, losses):
        """Draw stages, axes and legend."""
        for bound in np.asarray(self.bounds)[1:-1]:
            self.ax_.axvline(bound, color="#777777", linewidth=1.0, linestyle="--", zorder=1)
        self.ax_.set(xlabel="Step", ylabel="Half mean squared residual", yscale="log")
        positive = losses[np.isfinite(losses) & (losses > 0)]
        if positive.size:
            # A few tiny losses of small batches would squeeze the rest.
            self.ax_.set_ylim(np.quantile(positive, 0.01) / 1.5, positive.max() * 1.5)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False, fontsize="small")


def _running_mean(losses, bounds, window):
    """Return centres and means of windows, NaN left out, none across a change of stage."""
    places: list[np.ndarray] = []
    means: list[np.ndarray] = []
    gap = np.array([np.nan])
    known = np.isfinite(losses)
    losses = np.where(known, losses, 0.0)
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        size = min(window, stop - start)
        sums = np.cumsum(np.concatenate([[0.0], losses[start:stop]]))
        counts = np.cumsum(np.concatenate([[0], known[start:stop]]))
        count = counts[size:] - counts[:-size]
        part = np.where(count > 0, (sums[size:] - sums[:-size]) / np.maximum(count, 1), np.nan)
        places += [start + np.arange(len(part)) + (size - 1) / 2, gap]
        means += [part, gap]
    return np.concatenate(places), np.concatenate(means)


class NoiseFloorDisplay:
    """Risk at which constant learning rates end, for some batch sizes.

    Parameters
    ----------
    learning_rates : array-like of shape (k,)
        Learning rates.
    floors : dict of int to array-like of shape (k,)
        Risk at the end by batch size; infinite where it diverges.
    noise_variance : float
        Variance of the noise of the targets.
    critical_rates : dict of int to float, default=None
        Critical rate of each batch size.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of int to matplotlib lines
        The curve of each batch size.

    See Also
    --------
    skrmt.theory.sgd.noise_floor : The risks.
    skrmt.theory.sgd.critical_learning_rate : Where a curve ends.

    Examples
    --------
    >>> from skrmt.inspection import NoiseFloorDisplay
    >>> display = NoiseFloorDisplay.from_theory([1.0] * 20, 0.25, batch_sizes=(1, 8))
    >>> sorted(display.lines_)
    [1, 8]
    """

    def __init__(
        self,
        learning_rates: ArrayLike,
        floors: Mapping[int, ArrayLike],
        noise_variance: float,
        *,
        critical_rates: Mapping[int, float] | None = None,
    ) -> None:
        self.learning_rates = learning_rates
        self.floors = floors
        self.noise_variance = noise_variance
        self.critical_rates = critical_rates

    @classmethod
    def from_theory(
        cls,
        eigenvalues: ArrayLike,
        noise_variance: float,
        *,
        batch_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
        learning_rates: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the floors for Gaussian features.

        Parameters
        ----------
        eigenvalues : array-like of shape (p,)
            Eigenvalues of the second moment of the features.
        noise_variance : float
            Variance of the noise of the targets, positive.
        batch_sizes : sequence of int, default=(1, 2, 4, 8, 16, 32)
            Rows a step.
        learning_rates : array-like of shape (k,), default=None
            Rates; by default from a thousandth of the largest critical one up to it.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        NoiseFloorDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a number is out of range, or there is no noise.
        ImportError
            If Matplotlib is not installed.
        """
        if not np.any(np.asarray(noise_variance, dtype=float) > 0):
            raise ValueError(
                f"noise_variance={noise_variance!r}: without noise the floor is 0 at every rate. "
                "Give a positive variance."
            )
        sizes = [int(size) for size in batch_sizes]
        critical = {size: float(sgd.critical_learning_rate(eigenvalues, size)) for size in sizes}
        if learning_rates is None:
            top = max(critical.values())
            learning_rates = np.geomspace(1e-3 * top, top, 400)
        rates = np.asarray(learning_rates, dtype=float)
        floors = {size: sgd.noise_floor(eigenvalues, noise_variance, rates, size) for size in sizes}
        display = cls(rates, floors, float(noise_variance), critical_rates=critical)
        return display.plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw by how much each floor exceeds the risk of the best weights.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        NoiseFloorDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        best = self.noise_variance / 2
        colours = list(COLOURS.values())
        for number, size in enumerate(sorted(self.floors)):
            excess = np.asarray(self.floors[size], dtype=float) / best - 1
            colour = colours[number % len(colours)]
            (self.lines_[size],) = self.ax_.plot(
                self.learning_rates,
                np.where(np.isfinite(excess), excess, np.nan),
                color=colour,
                linewidth=1.8,
                label=str(size),
            )
            if self.critical_rates:
                self.ax_.axvline(
                    self.critical_rates[size], color=colour, linewidth=0.9, linestyle=":"
                )
        self.ax_.set(
            xlabel="Learning rate",
            ylabel="Excess of the final risk over the best",
            xscale="log",
            yscale="log",
        )
        self.ax_.set_ylim(top=10)
        tidy(self.ax_, grid="both")
        self.ax_.legend(title="Batch size", loc="best", frameon=False, fontsize="small")
        return self
