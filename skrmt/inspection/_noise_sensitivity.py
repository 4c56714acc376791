"""Accuracy against label noise, or against what the classifier assumes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory.noisy_labels import bayes_accuracy, lpc, optimal_shift
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

_STYLES = {
    "naive": (COLOURS["vermilion"], "--"),
    "unbiased": (COLOURS["orange"], "-."),
    "optimal": (COLOURS["blue"], "-"),
    "Bayes": (COLOURS["black"], (0, (1, 1.3))),
    "oracle": (COLOURS["green"], (0, (6, 1.5))),
}
_LABELS = {
    "Bayes": "Bayes-optimal",
    "oracle": "oracle (clean labels)",
    "lpc": "ridge on perturbed labels",
}
# Where classifiers coincide, the smaller markers stand on the larger one.
_MARKERS = {
    "optimal": {"marker": "D", "markersize": 10, "zorder": 5},
    "unbiased": {"marker": "^", "markersize": 7, "zorder": 6},
    "naive": {"marker": "s", "markersize": 7, "zorder": 6},
}
_AXES = {
    "rho": r"Label perturbation $\rho_+ - \rho_-$",
    "noise": "Share of wrong labels",
}


class NoiseSensitivityDisplay:
    r"""Accuracy of ridge classifiers on noisy labels, as their theory predicts it.

    Use :meth:`from_theory` or :meth:`from_estimator` to create one. All parameters are stored as
    attributes.

    Parameters
    ----------
    positions : array-like of shape (m,)
        Positions of the curves: perturbations, or shares of wrong labels.
    curves : dict of str to array-like of shape (m,) or float
        Accuracies, fractions, by the names "naive", "unbiased", "optimal", "oracle", "Bayes" or
        "lpc"; a float is the same at every position.
    against : {"rho", "noise"}, default="rho"
        What the positions are.
    marks : dict of str to (float, float), default=None
        Positions and accuracies of the classifiers on the curve "lpc".
    current : float, default=None
        Share of wrong labels of the problem at hand, drawn as a vertical line.
    estimate : tuple of (float, float), default=None
        Position and accuracy of a fitted classifier.
    empirical : tuple of two array-likes or dict of str to such tuples, default=None
        Positions of shape (m,) and measured accuracies of shape (m,) or (m, n_repeats), several
        repeats giving a mean and a bar of one standard deviation; a dict names the classifiers
        measured.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        The curves.
    marks_ : dict of str to matplotlib Line2D
        The marked classifiers.
    current_ : matplotlib Line2D or None
        The line of the problem at hand.
    estimate_ : matplotlib Line2D or None
        The point of the fitted classifier.
    empirical_ : dict of str to matplotlib ErrorbarContainer
        The measured points; one without name is called "measured".
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    NoiseSensitivityDisplay.from_theory : Draw the theory at given parameters.
    NoiseSensitivityDisplay.from_estimator : Draw the theory at what a classifier has estimated.
    AccuracyPathDisplay : Draw the predicted accuracy along the penalty.

    Notes
    -----
    The model is two classes :math:`x = y\mu + z` with white noise :math:`z` about a known
    centre, and ridge regression without intercept [1]_ on the targets

    .. math:: t_i \propto \tilde y_i + d, \qquad d = \rho_+ - \rho_-,

    where :math:`\tilde y_i = \pm 1` is the observed label; accuracy depends on the perturbation
    :math:`(\rho_-, \rho_+)` only through :math:`d`. *Naive* takes :math:`d = 0`, *unbiased* the
    true rates, :math:`d = \varepsilon_+ - \varepsilon_-`, and *optimal* the :math:`d` of the
    highest accuracy. The *oracle* is the same regression on clean labels, and *Bayes* the best
    accuracy of any method on the noisy ones; where :math:`\alpha` is small it can be above the
    oracle.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.inspection import NoiseSensitivityDisplay
    >>> display = NoiseSensitivityDisplay.from_theory(
    ...     0.2, 1.5, alpha=1.0, prior=0.7, noise_rates=(0.3, 0.4), against="noise"
    ... )
    >>> sorted(display.lines_)
    ['Bayes', 'naive', 'optimal', 'oracle', 'unbiased']
    """

    def __init__(
        self,
        positions: ArrayLike,
        curves: Mapping[str, ArrayLike],
        *,
        against: Literal["rho", "noise"] = "rho",
        marks: Mapping[str, tuple[Any, ...]] | None = None,
        current: float | None = None,
        estimate: tuple[Any, ...] | None = None,
        empirical: Any = None,
    ) -> None:
        self.positions = positions
        self.curves = curves
        self.against = against
        self.marks = marks
        self.current = current
        self.estimate = estimate
        self.empirical = empirical

    @classmethod
    def from_theory(
        cls,
        aspect_ratio: float,
        mean_norm: float,
        *,
        alpha: float,
        noise_rates: tuple[Any, ...],
        prior: float = 0.5,
        against: Literal["rho", "noise"] = "rho",
        empirical: Any = None,
        n_points: int = 101,
        ax: Axes | None = None,
    ) -> Self:
        r"""Draw the theory at given parameters.

        Parameters
        ----------
        aspect_ratio : float
            Number of features over number of samples, p / n.
        mean_norm : float
            Distance of each class mean from the centre, in standard deviations of the noise.
        alpha : float
            Ridge penalty per sample, in units of the noise variance; `np.inf` included.
        noise_rates : tuple of (float, float)
            P(observed label wrong | true class), of the negative and the positive class.
        prior : float, default=0.5
            Probability of the positive class.
        against : {"rho", "noise"}, default="rho"
            Draw against the perturbation :math:`\rho_+ - \rho_-`, or against the share of wrong
            labels, the two rates kept in the ratio of `noise_rates` (equal if both are 0).
        empirical : tuple of two arrays or dict of str to such tuples, default=None
            Positions and measured accuracies, (m,) or (m, n_repeats), to draw beside the theory.
        n_points : int, default=101
            Number of points of each curve.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        NoiseSensitivityDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a parameter is out of its range.
        ImportError
            If Matplotlib is not installed.
        """
        problem = (aspect_ratio, alpha, mean_norm, prior, _check_rates(noise_rates))
        display = cls._of_problem(problem, against, n_points, empirical)
        return display.plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        against: Literal["rho", "noise"] = "noise",
        alpha: float | None = None,
        empirical: Any = None,
        n_points: int = 101,
        ax: Axes | None = None,
    ) -> Self:
        r"""Draw the theory at what a classifier has estimated from its training data.

        Parameters
        ----------
        estimator : estimator
            A fitted binary classifier with `snr_`, `noise_rates_` and `class_prior_`, or a
            pipeline or search that ends in one.
        against : {"rho", "noise"}, default="noise"
            What to draw against, as in :meth:`from_theory`.
        alpha : float, default=None
            Ridge penalty per sample, in units of the noise variance. If None, that of
            the classifier, `alpha_`, over the noise variance along its direction w, the pooled
            variance of the scores over :math:`\|w\|^2`.
        empirical : tuple of two arrays or dict of str to such tuples, default=None
            Positions and measured accuracies, to draw beside the theory.
        n_points : int, default=101
            Number of points of each curve.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        NoiseSensitivityDisplay
            The display, drawn. Against the noise, it shows the classifier's own
            `theoretical_accuracy_`, which need not lie on the curves of this simplified model.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If it has more than two classes, lacks an attribute the display needs, or could not
            estimate the signal.
        ImportError
            If Matplotlib is not installed.
        """
        classes, snr, rates, prior, n_features, n_samples, accuracy = fitted_attributes(
            estimator,
            "classes_",
            "snr_",
            "noise_rates_",
            "class_prior_",
            "n_features_in_",
            "n_effective_samples_",
            "theoretical_accuracy_",
        )
        if len(classes) != 2:
            raise ValueError(
                f"The classifier has {len(classes)} classes: this theory is for 2. Draw an "
                "AccuracyPathDisplay or a ScoreDistributionDisplay instead."
            )
        if not np.isfinite(snr) or snr <= 0:
            raise ValueError(
                f"The classifier found no signal (snr_={snr}): give parameters of your own to "
                "NoiseSensitivityDisplay.from_theory."
            )
        rates = _check_rates(rates)
        if alpha is None:
            alpha = _relative_alpha(estimator, prior)
        problem = (n_features / n_samples, alpha, snr, float(prior[1]), rates)
        display = cls._of_problem(problem, against, n_points, empirical)
        if against == "noise" and np.isfinite(accuracy):
            display.estimate = (_wrong_share(prior[1], rates), accuracy)
        return display.plot(ax=ax)

    @classmethod
    def _of_problem(cls, problem, against, n_points, empirical):
        """Return the display of a problem (aspect_ratio, alpha, mean_norm, prior, rates)."""
        if against not in _AXES:
            raise ValueError(f"against={against!r} is unknown: use 'rho' or 'noise'.")
        build = _against_rho if against == "rho" else _against_noise
        curves = build(*problem, n_points=n_points)
        return cls(**curves, against=against, empirical=empirical)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        NoiseSensitivityDisplay
            The display.

        Raises
        ------
        ValueError
            If positions and accuracies do not match.
        ImportError
            If Matplotlib is not installed.
        """
        positions = np.asarray(self.positions, dtype=float)
        curves = {
            name: np.broadcast_to(np.asarray(values, dtype=float), positions.shape)
            for name, values in self.curves.items()
        }
        measured = _named_points(self.empirical)

        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {
            name: self._draw_curve(name, positions, values) for name, values in curves.items()
        }
        self.marks_ = {name: self._draw_mark(name, *at) for name, at in (self.marks or {}).items()}
        self.empirical_ = {
            name: draw_points(
                self.ax_,
                *points,
                color=_colour(name),
                label=f"{name}, measured" if name != "measured" else name,
            )
            for name, points in measured.items()
        }
        self._draw_problem()
        self.ax_.set(xlabel=_AXES[self.against], ylabel="Accuracy, clean labels")
        self.ax_.margins(x=0.02)
        percent_axis(self.ax_.yaxis)
        if self.against == "noise":
            percent_axis(self.ax_.xaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False)
        return self

    def _draw_curve(self, name, positions, values):
        """Draw one curve."""
        colour, style = _STYLES.get(name, (COLOURS["blue"], "-"))
        label = _LABELS.get(name, name)
        (line,) = self.ax_.plot(
            positions, values, color=colour, linestyle=style, linewidth=2.0, label=label
        )
        return line

    def _draw_mark(self, name, position, accuracy):
        """Draw one classifier of the family."""
        (mark,) = self.ax_.plot(
            [position],
            [accuracy],
            linestyle="none",
            color=_colour(name),
            markeredgecolor="white",
            label=f"{name}: {percent(accuracy)}",
            **_MARKERS.get(name, {"marker": "o"}),
        )
        return mark

    def _draw_problem(self):
        """Draw where the problem at hand and the fitted classifier stand."""
        self.current_ = self.estimate_ = None
        if self.current is not None:
            self.current_ = self.ax_.axvline(
                self.current,
                color=COLOURS["grey"],
                linewidth=1.0,
                zorder=1,
                label=f"noise of this problem: {percent(self.current)}",
            )
        if self.estimate is not None:
            position, accuracy = self.estimate
            (self.estimate_,) = self.ax_.plot(
                [position],
                [accuracy],
                linestyle="none",
                marker="o",
                markersize=8,
                color=COLOURS["purple"],
                markeredgecolor="white",
                zorder=6,
                label=f"this classifier, predicted: {percent(accuracy)}",
            )


def _against_rho(aspect_ratio, alpha, mean_norm, prior, rates, *, n_points):
    """Return the curves against the perturbation, for the constructor."""

    def accuracy(shift, noise_rates=rates):
        return lpc(
            aspect_ratio, alpha, mean_norm, prior=prior, noise_rates=noise_rates, shift=shift
        ).accuracy

    shifts = {
        "naive": 0.0,
        "unbiased": rates[1] - rates[0],
        "optimal": optimal_shift(prior, rates),
    }
    low, high = min(shifts.values()), max(shifts.values())
    margin = max(0.8, 0.7 * (high - low))
    positions = np.linspace(low - margin, high + margin, n_points)
    return {
        "positions": positions,
        "curves": {
            "Bayes": bayes_accuracy(aspect_ratio, mean_norm, prior, rates).accuracy,
            "oracle": accuracy(0.0, (0.0, 0.0)),
            "lpc": accuracy(positions),
        },
        "marks": {name: (shift, accuracy(shift)) for name, shift in shifts.items()},
    }


def _against_noise(aspect_ratio, alpha, mean_norm, prior, rates, *, n_points):
    """Return the curves against the share of wrong labels, for the constructor."""
    direction = np.array(rates) / sum(rates) if any(rates) else np.array([0.5, 0.5])
    # At a sum of exactly 1 the labels say nothing, and the optimal shift does not exist.
    noise = tuple(np.linspace(0, 0.998, n_points) * rate for rate in direction)

    def accuracy(shift, noise_rates=noise):
        return lpc(
            aspect_ratio, alpha, mean_norm, prior=prior, noise_rates=noise_rates, shift=shift
        ).accuracy

    return {
        "positions": _wrong_share(prior, noise),
        "curves": {
            "Bayes": bayes_accuracy(aspect_ratio, mean_norm, prior, noise).accuracy,
            "oracle": accuracy(0.0, (0.0, 0.0)),
            "optimal": accuracy(optimal_shift(prior, noise)),
            "unbiased": accuracy(noise[1] - noise[0]),
            "naive": accuracy(0.0),
        },
        "current": _wrong_share(prior, rates) if any(rates) else None,
    }


def _wrong_share(prior, rates):
    """Return the share of wrong labels, P(observed != true)."""
    return (1 - prior) * rates[0] + prior * rates[1]


def _relative_alpha(estimator, prior):
    """Return the penalty in units of the variance of the noise along the classifier."""
    alpha, variances, coef = fitted_attributes(estimator, "alpha_", "score_variances_", "coef_")
    if np.isinf(alpha):
        return np.inf
    norm = np.linalg.norm(np.asarray(coef, dtype=float))
    relative = alpha * norm**2 / np.dot(prior, variances)
    if not np.isfinite(relative):
        raise ValueError(
            f"The noise variance of the classifier is unknown (score_variances_={variances}): "
            "give alpha."
        )
    return float(relative)


def _check_rates(noise_rates):
    """Return two rates as floats, checked."""
    rates = np.asarray(noise_rates, dtype=float)
    if rates.shape != (2,):
        raise ValueError(
            f"noise_rates has shape {rates.shape}: give the rates of the negative and the "
            "positive class."
        )
    if not (rates >= 0).all() or not rates.sum() < 1:
        raise ValueError(
            f"noise_rates={rates.tolist()}: both rates must be at least 0, and their sum below 1."
        )
    return tuple(rates.tolist())


def _named_points(empirical):
    """Return measured points by name."""
    if empirical is None:
        return {}
    if not isinstance(empirical, dict):
        empirical = {"measured": empirical}
    return {name: as_points(points, f"empirical[{name!r}]") for name, points in empirical.items()}


def _colour(name):
    """Return the colour of a classifier."""
    return _STYLES.get(name, (COLOURS["black"], "-"))[0]
