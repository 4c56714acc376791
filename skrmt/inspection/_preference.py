"""Preference losses, self-play and the trade-off of two rewards, drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory.preference import safety_utility_curve
from ..theory.preference._names import LOSS_ARGUMENTS, canonical_loss
from ._display import COLOURS, fitted_attributes, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_STYLES = [
    (colour, style)
    for style in ("-", "--", ":")
    for colour in ("blue", "vermilion", "green", "orange", "purple", "sky", "black")
]


class PreferenceLossDisplay:
    """Shapes and gradients of preference losses against the margin of a pair.

    Parameters
    ----------
    margins : array-like of shape (m,)
        Differences of the log-ratios, chosen minus rejected.
    losses : dict of str to array-like of shape (m,)
        Values of each loss.
    gradients : dict of str to array-like of shape (m,), default=None
        Their derivatives in the margin.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes
        Losses, and gradients if there are any.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of str to list of matplotlib lines
        The curves of each loss.

    See Also
    --------
    skrmt.preference.preference_loss : The losses.

    Examples
    --------
    >>> from skrmt.inspection import PreferenceLossDisplay
    >>> from skrmt.preference import preference_gradient, preference_loss
    >>> display = PreferenceLossDisplay.from_functions(
    ...     preference_loss, preference_gradient, ["dpo", "ipo", "hinge"]
    ... )
    >>> sorted(display.lines_)
    ['dpo', 'hinge', 'ipo']
    """

    def __init__(
        self,
        margins: ArrayLike,
        losses: Mapping[str, ArrayLike],
        gradients: Mapping[str, ArrayLike] | None = None,
    ) -> None:
        self.margins = margins
        self.losses = losses
        self.gradients = gradients

    @classmethod
    def from_functions(
        cls,
        loss: Callable[..., Any],
        gradient: Callable[..., Any] | None = None,
        names: Sequence[str] = ("dpo", "ipo", "hinge", "exo", "robust"),
        *,
        beta: float = 1.0,
        label_smoothing: float = 0.1,
        margins: ArrayLike | None = None,
        axes: Sequence[Axes] | None = None,
    ) -> Self:
        """Draw losses computed by functions.

        Parameters
        ----------
        loss : callable
            `skrmt.preference.preference_loss`, or a function of the same arguments.
        gradient : callable, default=None
            `skrmt.preference.preference_gradient`, or a function of the same arguments.
        names : sequence of str
            Names of the losses; those of single responses are drawn for log-ratios of opposite
            sign, half the margin each.
        beta : float, default=1.0
            Strength of the losses.
        label_smoothing : float, default=0.1
            Noise of those that read it.
        margins : array-like of shape (m,), default=None
            Margins; -4 to 4 over beta by default.
        axes : sequence of matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        PreferenceLossDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a loss is unknown, or a number out of its range.
        ImportError
            If Matplotlib is not installed.
        """
        margins = np.linspace(-4, 4, 401) / beta if margins is None else np.asarray(margins, float)
        half, zero = margins / 2, np.zeros(len(margins))
        values, slopes = {}, {}
        for name in names:
            takes = LOSS_ARGUMENTS[canonical_loss(name)]
            options = {"beta": beta}
            if takes.smoothing != "unused":
                options["label_smoothing"] = label_smoothing
            if takes.lengths == "required":
                options |= {"chosen_lengths": 1.0, "rejected_lengths": 1.0}
            values[name] = loss(name, half, -half, zero, zero, **options)
            if gradient is not None:
                chosen, rejected = gradient(name, half, -half, zero, zero, **options)
                slopes[name] = (chosen - rejected) / 2
        return cls(margins, values, slopes or None).plot(axes=axes)

    def plot(self, axes: Sequence[Axes] | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        axes : sequence of matplotlib axes, default=None
            One for the losses, and one for the gradients if there are any; a new figure where it
            is None.

        Returns
        -------
        PreferenceLossDisplay
            The display.

        Raises
        ------
        ValueError
            If there are too few axes.
        ImportError
            If Matplotlib is not installed.
        """
        panels = [self.losses] if self.gradients is None else [self.losses, self.gradients]
        self.axes_ = _panels(axes, len(panels))
        self.figure_ = self.axes_[0].figure
        self.lines_: dict[str, list] = {name: [] for name in self.losses}
        for ax, curves in zip(self.axes_, panels, strict=True):
            for (name, values), (colour, style) in zip(curves.items(), _STYLES, strict=False):
                (line,) = ax.plot(self.margins, values, style, color=COLOURS[colour], label=name)
                self.lines_[name].append(line)
            ax.axvline(0, color=COLOURS["grey"], linewidth=0.8, zorder=0)
            ax.set_xlabel("Margin: log-ratio of chosen less that of rejected")
            tidy(ax)
        self.axes_[0].set_ylabel("Loss")
        self.axes_[0].legend(loc="best", frameon=False, fontsize="small")
        if len(panels) == 2:
            self.axes_[1].set_ylabel("Slope of the loss")
        return self


class SelfPlayConvergenceDisplay:
    """Distance of the rounds of self-play to their fixed point, measured and predicted.

    Parameters
    ----------
    errors : array-like of shape (t,)
        Distance after each round, the start first.
    rate : float
        Predicted factor of a round.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : list of matplotlib lines
        Measured and predicted distances.

    See Also
    --------
    skrmt.theory.preference.self_play_rate : The factor.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import SelfPlayConvergenceDisplay
    >>> from skrmt.preference import SelfPlayPolicy
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((300, 4, 3))
    >>> y = (X[..., 0] + rng.gumbel(size=(300, 4))).argmax(axis=1)
    >>> display = SelfPlayConvergenceDisplay.from_estimator(SelfPlayPolicy(2.0).fit(X, y))
    >>> display.rate
    0.5
    """

    def __init__(self, errors: ArrayLike, rate: float) -> None:
        self.errors = errors
        self.rate = rate

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, target: ArrayLike | None = None, ax: Axes | None = None
    ) -> Self:
        """Draw the rounds of a fitted policy.

        Parameters
        ----------
        estimator : SelfPlayPolicy
            Fitted.
        target : array-like of shape (n_features,), default=None
            Coefficients at the end; the last ones by default.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SelfPlayConvergenceDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it lacks an attribute, or the target has another length.
        ImportError
            If Matplotlib is not installed.
        """
        path, rate = fitted_attributes(estimator, "coef_path_", "rate_")
        end = path[-1] if target is None else np.asarray(target, dtype=float)
        if end.shape != path.shape[1:]:
            raise ValueError(f"target has shape {end.shape}: give {path.shape[1:]} coefficients.")
        errors = np.linalg.norm(path - end, axis=1)
        return cls(errors if target is not None else errors[:-1], rate).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the distances.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SelfPlayConvergenceDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        errors = np.asarray(self.errors, dtype=float)
        rounds = np.arange(len(errors))
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        predicted = errors[0] * np.abs(self.rate) ** rounds
        floor = 1e-12 * max(float(errors.max(initial=0.0)), 1e-300)
        seen, expected = np.maximum(errors, floor), np.maximum(predicted, floor)
        self.lines_ = [
            *self.ax_.plot(rounds, seen, "o-", color=COLOURS["blue"], label="measured"),
            *self.ax_.plot(
                rounds,
                expected,
                "--",
                color=COLOURS["orange"],
                label=f"predicted, factor {self.rate:.3g} per round",
            ),
        ]
        self.ax_.set(xlabel="Round", ylabel="Distance to the end", yscale="log")
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False, fontsize="small")
        return self


class SafetyUtilityDisplay:
    """Utility against safety of the best policies near a reference, with the knee.

    Parameters
    ----------
    safety, utility : array-like of shape (n_weights,)
        Mean rewards along the weights of safety.
    kl : array-like of shape (n_weights,)
        Mean divergence from the reference, in nats.
    safety_weight : array-like of shape (n_weights,)
        The weights.
    knee : float, default=nan
        Weight to mark.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes
        The frontier, and what the weight does to the divergence.
    figure_ : matplotlib figure
        Its figure.
    line_ : matplotlib line
        The frontier.

    See Also
    --------
    skrmt.theory.preference.safety_utility_curve : The numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import SafetyUtilityDisplay
    >>> display = SafetyUtilityDisplay.from_rewards(
    ...     [1, 0.8, 0], [0, 0.7, 1], np.log([0.2, 0.3, 0.5]), beta=0.1
    ... )
    >>> display.knee
    0.55
    """

    def __init__(
        self,
        safety: ArrayLike,
        utility: ArrayLike,
        kl: ArrayLike,
        safety_weight: ArrayLike,
        *,
        knee: float = float("nan"),
    ) -> None:
        self.safety = safety
        self.utility = utility
        self.kl = kl
        self.safety_weight = safety_weight
        self.knee = knee

    @classmethod
    def from_rewards(
        cls,
        safety: ArrayLike,
        utility: ArrayLike,
        log_reference: ArrayLike,
        *,
        beta: float,
        axes: Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the frontier of two rewards.

        Parameters
        ----------
        safety, utility : array-like of shape (n_candidates,) or (n_prompts, n_candidates)
            Rewards.
        log_reference : array-like of shape (n_candidates,) or (n_prompts, n_candidates)
            Log-probabilities of the reference.
        beta : float
            Strength of the pull to the reference.
        axes : sequence of two matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SafetyUtilityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        curve = safety_utility_curve(safety, utility, log_reference, float(beta))
        numbers = (curve.safety, curve.utility, curve.kl, curve.safety_weight)
        return cls(*numbers, knee=float(curve.knee)).plot(axes=axes)

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Sequence[Axes] | None = None) -> Self:
        """Draw a fitted frontier.

        Parameters
        ----------
        estimator : SafetyUtilityFrontier
            Fitted.
        axes : sequence of two matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SafetyUtilityDisplay
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
        *numbers, knee = fitted_attributes(
            estimator, "safety_", "utility_", "kl_", "safety_weights_", "knee_"
        )
        return cls(*numbers, knee=knee).plot(axes=axes)

    def plot(self, axes: Sequence[Axes] | None = None) -> Self:
        """Draw the frontier.

        Parameters
        ----------
        axes : sequence of two matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SafetyUtilityDisplay
            The display.

        Raises
        ------
        ValueError
            If there are too few axes.
        ImportError
            If Matplotlib is not installed.
        """
        self.axes_ = _panels(axes, 2)
        first, second = self.axes_
        self.figure_ = first.figure
        (self.line_,) = first.plot(self.safety, self.utility, color=COLOURS["blue"])
        second.plot(self.safety_weight, self.kl, color=COLOURS["blue"])
        if np.isfinite(self.knee):
            safety, utility, kl = map(np.asarray, (self.safety, self.utility, self.kl))
            place = int(np.argmin(np.abs(np.asarray(self.safety_weight) - self.knee)))
            label = f"knee, weight {self.knee:.2f}"
            style = {"color": COLOURS["orange"], "zorder": 4, "label": label}
            first.plot(safety[place], utility[place], "o", **style)
            second.plot(self.knee, kl[place], "o", **style)
            first.legend(loc="best", frameon=False, fontsize="small")
        first.set(xlabel="Mean safety", ylabel="Mean utility")
        second.set(xlabel="Weight of safety", ylabel="KL divergence from the reference, nats")
        for ax in self.axes_:
            tidy(ax, "both")
        return self


def _panels(axes, count):
    """Return so many axes side by side, new ones where there are none."""
    if axes is not None:
        axes = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(axes) < count:
            raise ValueError(f"axes holds {len(axes)} axes: give {count}, or None for new ones.")
        return axes[:count]
    first = new_axes(None, figsize=(4.8 * count, 3.6))
    if count == 1:
        return np.array([first], dtype=object)
    figure = first.figure
    first.remove()
    return np.atleast_1d(figure.subplots(1, count)).ravel()
