"""The transition in the label noise of synthetic rows, and the frontier of verifiers."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory.synthetic_mix import (
    critical_noise_rate,
    infinite_sample_accuracy,
    synthetic_only_accuracy,
    verifier_value,
)
from ._display import COLOURS, fitted_attributes, new_axes, percent_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FEATURES = 1000.0
_SHADES = ("sky", "blue", "green", "orange", "vermilion", "purple")


class LabelNoiseTransitionDisplay:
    """Accuracy of training on synthetic rows alone, against the share of wrong labels.

    Parameters
    ----------
    noise_rate : array-like of shape (k,)
        Shares of wrong labels before pruning.
    accuracies : array-like of shape (r, k)
        Accuracy for each ratio of features to synthetic rows.
    ratios : array-like of shape (r,)
        The ratios p/m.
    limit : array-like of shape (k,)
        Accuracy with infinitely many rows.
    critical : float
        Label noise at which accuracy is 1/2.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : list of matplotlib lines
        The curves, the limit last.

    See Also
    --------
    skrmt.theory.synthetic_mix.synthetic_only_accuracy : The formula.

    Examples
    --------
    >>> from skrmt.inspection import LabelNoiseTransitionDisplay
    >>> display = LabelNoiseTransitionDisplay.from_theory(1.0, keep_correct=0.8,
    ...                                                   keep_incorrect=0.3)
    >>> round(display.critical, 3)
    0.727
    """

    def __init__(
        self,
        noise_rate: ArrayLike,
        accuracies: ArrayLike,
        ratios: ArrayLike,
        limit: ArrayLike,
        critical: float,
    ) -> None:
        self.noise_rate = noise_rate
        self.accuracies = accuracies
        self.ratios = ratios
        self.limit = limit
        self.critical = critical

    @classmethod
    def from_theory(
        cls,
        mean_norm: float,
        ratios: ArrayLike = (1.0, 0.1, 0.01, 0.001),
        *,
        alpha: float = 1.0,
        keep_correct: float = 1.0,
        keep_incorrect: float = 1.0,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the theory.

        Parameters
        ----------
        mean_norm : float
            Norm of the class mean, in standard deviations of a feature.
        ratios : array-like of shape (r,), default=(1, 0.1, 0.01, 0.001)
            Features per synthetic row, p/m.
        alpha : float, default=1.0
            Penalty per synthetic row.
        keep_correct, keep_incorrect : float, default=1.0
            Probability that the verifier keeps a right label, and a wrong one.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        LabelNoiseTransitionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is out of its domain.
        ImportError
            If Matplotlib is not installed.
        """
        noise = np.linspace(0.0, 1.0, 401)
        keep = {"keep_correct": keep_correct, "keep_incorrect": keep_incorrect}
        ratios = np.atleast_1d(np.asarray(ratios, dtype=float))
        accuracies = synthetic_only_accuracy(
            _FEATURES / ratios[:, None],
            _FEATURES,
            mean_norm,
            alpha=alpha,
            noise_rate=noise,
            **keep,
        )
        limit = infinite_sample_accuracy(noise, mean_norm, **keep)
        critical = float(critical_noise_rate(keep_correct, keep_incorrect))
        return cls(noise, accuracies, ratios, limit, critical).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        LabelNoiseTransitionDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        accuracies, ratios = np.asarray(self.accuracies), np.asarray(self.ratios)
        colours = islice(cycle(_SHADES), len(ratios))
        self.lines_ = [
            self.ax_.plot(self.noise_rate, row, color=COLOURS[colour], label=f"p/m = {ratio:g}")[0]
            for row, ratio, colour in zip(accuracies, ratios, colours, strict=True)
        ]
        self.lines_ += self.ax_.plot(
            self.noise_rate, self.limit, "--", color=COLOURS["black"], label="infinitely many rows"
        )
        self.ax_.axvline(self.critical, color=COLOURS["grey"], linestyle=":")
        self.ax_.annotate(
            f"critical: {self.critical:.2f}",
            (self.critical, 0.98),
            xycoords=("data", "axes fraction"),
            xytext=(5, 0),
            textcoords="offset points",
            va="top",
            color=COLOURS["grey"],
        )
        self.ax_.set(xlabel="Share of wrong synthetic labels", ylabel="Accuracy on real data")
        percent_axis(self.ax_.xaxis)
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="lower left", frameon=False)
        return self


class VerifierFrontierDisplay:
    """Value of a synthetic row behind verifiers, in real rows.

    Parameters
    ----------
    noise_rate : float
        Share of wrong labels before pruning.
    verifiers : dict, default=None
        Verifiers to mark: names and pairs (keep_correct, keep_incorrect).

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    frontier_ : matplotlib contour set
        Where a verifier is worth as much as none.

    See Also
    --------
    skrmt.theory.synthetic_mix.verifier_value : The formula.

    Examples
    --------
    >>> from skrmt.inspection import VerifierFrontierDisplay
    >>> display = VerifierFrontierDisplay.from_theory(0.3, verifiers={"mine": (0.9, 0.2)})
    >>> display.ax_.get_xlabel()
    'Right labels kept'
    """

    def __init__(self, noise_rate: float, *, verifiers: Mapping[str, Any] | None = None) -> None:
        self.noise_rate = noise_rate
        self.verifiers = verifiers

    @classmethod
    def from_theory(
        cls,
        noise_rate: float,
        *,
        verifiers: Mapping[str, Any] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the theory.

        Parameters
        ----------
        noise_rate : float
            Share of wrong labels before pruning.
        verifiers : dict, default=None
            Verifiers to mark: names and pairs (keep_correct, keep_incorrect).
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        VerifierFrontierDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the noise is no probability.
        ImportError
            If Matplotlib is not installed.
        """
        return cls(noise_rate, verifiers=verifiers).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        verifiers: Mapping[str, Any] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the frontier at the label noise that a fit has estimated, and its verifier.

        Parameters
        ----------
        estimator : SyntheticMixClassifier
            Fitted to real and synthetic rows.
        verifiers : dict, default=None
            Further verifiers to mark: names and pairs (keep_correct, keep_incorrect).
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        VerifierFrontierDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If its rows do not identify the label noise.
        ImportError
            If Matplotlib is not installed.
        """
        noise, rates = fitted_attributes(estimator, "noise_rate_", "keep_rates_")
        if not np.isfinite(noise):
            raise ValueError(
                "noise_rate_ is nan: the rows of the fit do not tell how many synthetic labels are "
                "wrong. Pass y_judge to fit, or call from_theory with a rate from "
                "noise_rate_interval_."
            )
        fitted = {"estimated": tuple(rates)} if np.isfinite(rates).all() else {}
        marked = {**fitted, **(verifiers or {})}
        return cls(noise, verifiers=marked).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the contours.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        VerifierFrontierDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        rates = np.linspace(0.0, 1.0, 201)
        value = verifier_value(self.noise_rate, rates, rates[:, None])
        self.ax_ = new_axes(ax, figsize=(6.0, 5.0))
        self.figure_ = self.ax_.figure
        image = self.ax_.contourf(rates, rates, value, levels=np.linspace(0, 1, 11), cmap="Blues")
        self.figure_.colorbar(image, ax=self.ax_, label="Real rows a generated row is worth")
        level = verifier_value(self.noise_rate, 1.0, 1.0)
        self.frontier_ = self.ax_.contour(
            rates, rates, value, levels=[level], colors=COLOURS["vermilion"], linewidths=2
        )
        self.ax_.plot([], [], color=COLOURS["vermilion"], lw=2, label=f"as without ({level:.2f})")
        shapes = np.resize(["o", "s", "^", "D"], len(self.verifiers or {}))
        for shape, (name, (correct, wrong)) in zip(
            shapes, (self.verifiers or {}).items(), strict=True
        ):
            self.ax_.plot(
                correct,
                wrong,
                shape,
                color=COLOURS["orange"],
                markeredgecolor=COLOURS["black"],
                label=f"{name} ({verifier_value(self.noise_rate, correct, wrong):.2f})",
                clip_on=False,
            )
        self.ax_.set(
            xlabel="Right labels kept",
            ylabel="Wrong labels kept",
            title=f"{self.noise_rate:.0%} of the labels wrong",
        )
        percent_axis(self.ax_.xaxis)
        percent_axis(self.ax_.yaxis)
        self.ax_.legend(loc="upper left", framealpha=0.9)
        return self
