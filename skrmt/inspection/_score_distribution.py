"""Leave-one-out scores of the classes, with the Gaussians that predict the accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..utils._optional import import_optional
from ._display import COLOURS, class_colour, fitted_attributes, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class ScoreDistributionDisplay:
    r"""Histograms of scores for each true class, with their theoretical Gaussians.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    scores : array-like of shape (n_samples,) or (n_samples, n_classes)
        Leave-one-out scores in the units of `decision_function`: one a row for two classes, one
        for each class beyond.
    membership : array-like of shape (n_samples, n_classes)
        Share of each row in each class: probabilities of the true class, or 0 and 1.
    means : array-like of shape (2,) or (n_classes, n_classes)
        Theoretical means of the score: for each class, or `means[k, j]` for score j in class k.
    variances : array-like of shape (2,) or (n_classes, n_classes)
        Theoretical variances, likewise. Where one is nan, no density is drawn.
    prior : array-like of shape (n_classes,)
        Probabilities of the classes.
    classes : array-like of shape (n_classes,)
        Names of the classes.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the histograms; equal if None.
    known : bool, default=False
        Whether `membership` is known rather than estimated; only the legend differs.

    Attributes
    ----------
    histograms_ : list of matplotlib StepPatch
        Histogram of each class (its panel, for more than two classes).
    lines_ : list of matplotlib Line2D
        Theoretical density of each class.
    rest_ : list of tuple of (StepPatch, Line2D)
        Histogram and density of the other classes in each panel; empty for two classes.
    threshold_ : matplotlib Line2D or None
        Line of the decision threshold, score 0; None for more than two classes.
    ax_ : matplotlib Axes or ndarray of Axes
        Axes with the curves; one for each class beyond two.
    figure_ : matplotlib Figure
        Figure containing the axes.

    See Also
    --------
    ScoreDistributionDisplay.from_estimator : Draw a fitted classifier.
    AccuracyPathDisplay : Draw the accuracy these scores predict, along the penalty.

    Notes
    -----
    With two classes, the histogram of class k and its curve are

    .. math:: \frac{1}{n} \sum_i P(y_i = k \mid \text{data})\, \delta(f - f_i)
        \quad\text{and}\quad \pi_k\, N(f; m_k, v_k),

    of total area 1 over the two classes: a curve off its histogram shows where the Gaussian
    theory fails, and the area of a class beyond the threshold, score 0, is its share of errors.

    With more classes there is one panel for each class k. It draws the k-th score of the rows of
    class k and that of all others, whose theoretical density is a mixture of Gaussians; each of
    the two has area 1. There is no single threshold, since the largest score wins.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import ScoreDistributionDisplay
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=300)
    >>> display = ScoreDistributionDisplay(
    ...     2 * y - 1 + 0.6 * rng.standard_normal(300), np.eye(2)[y],
    ...     means=[-1, 1], variances=[0.36, 0.36], prior=[0.5, 0.5], classes=["no", "yes"],
    ... )
    >>> len(display.plot().lines_)
    2
    """

    def __init__(
        self,
        scores: ArrayLike,
        membership: ArrayLike,
        *,
        means: ArrayLike,
        variances: ArrayLike,
        prior: ArrayLike,
        classes: ArrayLike,
        sample_weight: ArrayLike | None = None,
        known: bool = False,
    ) -> None:
        self.scores = scores
        self.membership = membership
        self.means = means
        self.variances = variances
        self.prior = prior
        self.classes = classes
        self.sample_weight = sample_weight
        self.known = known

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        y_clean: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        bins: int | Sequence[Any] = "auto",
        ax: Axes | None = None,
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw a fitted classifier.

        Parameters
        ----------
        estimator : estimator
            A fitted classifier with `held_out_scores_`, `score_means_` and `label_posterior_`, or a
            pipeline or search that ends in one.
        y_clean : array-like of shape (n_samples,), default=None
            True classes of the training rows, if they are known. If None, a row counts
            in each class with its posterior probability, `label_posterior_`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the training rows.
        bins : int, sequence of float or str, default="auto"
            Bins, as in :func:`numpy.histogram_bin_edges`.
        ax : matplotlib axes, default=None
            Where to draw, one axes for each class beyond two; a new figure if None.
        line_kw : dict, default=None
            Passed to `ax.plot` for the theoretical densities.

        Returns
        -------
        ScoreDistributionDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError
            If it lacks an attribute the display needs, or `y_clean` does not fit it.
        ImportError
            If Matplotlib is not installed.
        """
        scores, means, variances, prior, classes, membership = fitted_attributes(
            estimator,
            "held_out_scores_",
            "score_means_",
            "score_variances_",
            "class_prior_",
            "classes_",
            "label_posterior_",
        )
        if y_clean is not None:
            membership = _indicator(y_clean, np.asarray(classes))
        display = cls(
            scores,
            membership,
            means=means,
            variances=variances,
            prior=prior,
            classes=classes,
            sample_weight=sample_weight,
            known=y_clean is not None,
        )
        return display.plot(ax=ax, bins=bins, line_kw=line_kw)

    def plot(
        self,
        ax: Axes | Sequence[Axes] | None = None,
        *,
        bins: int | Sequence[Any] = "auto",
        line_kw: Mapping[str, Any] | None = None,
    ) -> Self:
        """Draw histograms and densities.

        Parameters
        ----------
        ax : matplotlib axes or array-like of axes, default=None
            Where to draw, one axes for each class beyond two; a new figure if None.
        bins : int, sequence of float or str, default="auto"
            Bins, as in :func:`numpy.histogram_bin_edges`.
        line_kw : dict, default=None
            Passed to `ax.plot` for the theoretical densities.

        Returns
        -------
        ScoreDistributionDisplay
            The display.

        Raises
        ------
        ValueError
            If the arrays do not match, or `ax` is not one axes for each class.
        ImportError
            If Matplotlib is not installed.
        """
        panels = self._panels(bins)
        binary = len(panels) == 1
        axes = _axes(ax, len(panels))
        self.ax_ = axes[0] if binary else axes
        self.figure_ = axes[0].figure
        self.histograms_, self.lines_, self.rest_ = [], [], []
        for axis, groups in zip(axes, panels, strict=True):
            artists = [self._draw_group(axis, group, line_kw or {}) for group in groups]
            own, other = (artists, []) if binary else (artists[:1], artists[1:])
            self.histograms_ += [histogram for histogram, _ in own]
            self.lines_ += [line for _, line in own]
            self.rest_ += other
            axis.set_ylim(bottom=0)
            tidy(axis, grid=None)
        if binary:
            self._label_binary()
        else:
            self._label_panels(axes, own_figure=ax is None)
        return self

    def _panels(self, bins):
        """Return the groups of each panel: what to draw, in checked arrays."""
        scores, membership = np.asarray(self.scores, float), np.asarray(self.membership, float)
        classes, prior = np.asarray(self.classes), np.asarray(self.prior)
        n_classes = len(classes)
        n_scores = n_classes if n_classes > 2 else 1
        if scores.size != len(membership) * n_scores or membership.shape[1:] != (n_classes,):
            raise ValueError(
                f"scores has shape {scores.shape} and membership {membership.shape}: "
                f"{n_classes} classes need (n, {n_scores}) and (n, {n_classes})."
            )
        scores = scores.reshape(len(membership), n_scores)
        weight = np.ones(len(scores)) if self.sample_weight is None else self.sample_weight
        weight = np.asarray(weight, float)
        if weight.shape != (len(scores),):
            raise ValueError(f"sample_weight has shape {weight.shape}, for {len(scores)} rows.")
        membership = membership * (weight / weight.sum())[:, None]
        shape = (n_classes, n_scores)
        means, variances = (np.reshape(a, shape) for a in (self.means, self.variances))
        panels = []
        for j in range(n_scores):
            gaussians = [(prior[k], means[k, j], variances[k, j]) for k in range(n_classes)]
            edges = np.histogram_bin_edges(scores[:, j], bins=bins)
            groups = [
                _Group(scores[:, j], membership[:, k], edges, [gaussians[k]], name, class_colour(k))
                for k, name in enumerate(classes)
            ]
            if n_scores > 1:
                groups = [
                    _conditional(groups[j : j + 1]),
                    _conditional(groups[:j] + groups[j + 1 :]),
                ]
            panels.append(groups)
        return panels

    def _draw_group(self, ax, group, line_kw):
        """Draw one histogram with its density, and return both."""
        share, _ = np.histogram(group.scores, group.edges, weights=group.weights)
        histogram = ax.stairs(
            share / np.diff(group.edges),
            group.edges,
            fill=True,
            color=group.colour,
            alpha=0.32,
            linewidth=0,
            label=f"{'true' if self.known else 'estimated'} class {group.name}",
        )
        low, high = _span(group)
        grid = np.linspace(low, high, 400)
        style = {"color": group.colour, "linewidth": 2.0} | line_kw
        (line,) = ax.plot(grid, sum(_density(grid, *g) for g in group.gaussians), **style)
        return histogram, line

    def _label_binary(self):
        """Write axis labels, threshold and legend."""
        self.threshold_ = self.ax_.axvline(
            0, color=COLOURS["black"], linewidth=1.2, linestyle="--", label="decision threshold"
        )
        self.ax_.set(xlabel="Held-out score (decision function)", ylabel="Density")
        handles = [*self.histograms_, _theory_handle(), self.threshold_]
        self.ax_.legend(handles=handles, frameon=False)

    def _label_panels(self, axes, own_figure):
        """Write axis labels, names of the classes, and the legend in the first panel."""
        self.threshold_ = None
        xlabel, ylabel = "Held-out score of the class", "Density, given the class"
        for axis, name in zip(axes, np.asarray(self.classes), strict=True):
            axis.set_title(f"{name}", fontsize="medium")
            if not own_figure:
                axis.set(xlabel=xlabel, ylabel=ylabel)
        if own_figure:
            self.figure_.supxlabel(xlabel, fontsize="medium")
            self.figure_.supylabel(ylabel, fontsize="medium")
        axes[0].set_ylim(top=1.5 * axes[0].get_ylim()[1])
        axes[0].legend(
            handles=[self.histograms_[0], self.rest_[0][0], _theory_handle()],
            labels=["true class" if self.known else "estimated class", "the others", "theory"],
            frameon=False,
            fontsize="small",
            loc="upper left",
        )


class _Group:
    """Rows drawn together: their scores, shares of the total, Gaussians, name and colour."""

    def __init__(self, scores, weights, edges, gaussians, name, colour):
        self.scores = scores
        self.weights = weights
        self.edges = edges
        self.gaussians = gaussians
        self.name = name
        self.colour = colour


def _conditional(groups):
    """Merge groups into one of area 1; that of several has no class of its own."""
    first = groups[0]
    weights = sum(group.weights for group in groups)
    gaussians = [gaussian for group in groups for gaussian in group.gaussians]
    prior = sum(share for share, _, _ in gaussians)
    return _Group(
        first.scores,
        weights / max(weights.sum(), np.finfo(float).tiny),
        first.edges,
        [(share / prior, mean, variance) for share, mean, variance in gaussians],
        first.name if len(groups) == 1 else "the others",
        first.colour if len(groups) == 1 else COLOURS["grey"],
    )


def _theory_handle():
    """Return the line that stands for all theoretical curves in a legend."""
    lines = import_optional("matplotlib.lines", "plot")
    return lines.Line2D([], [], color=COLOURS["black"], linewidth=2, label="Gaussian theory")


def _span(group):
    """Return the ends of the curve: the histogram's, or 3.5 standard deviations."""
    reach = [m + side * np.sqrt(v) for _, m, v in group.gaussians for side in (-3.5, 3.5)]
    return np.nanmin([*reach, group.edges[0]]), np.nanmax([*reach, group.edges[-1]])


def _density(x, prior, mean, variance):
    """Return the density of one class, times its probability."""
    return prior * np.exp(-((x - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


def _indicator(y, classes):
    """Return 1 where a row is of a class, (n_samples, n_classes)."""
    y = np.asarray(y)
    unknown = np.setdiff1d(y, classes)
    if unknown.size:
        raise ValueError(
            f"y_clean has classes that the estimator does not know: {unknown.tolist()}."
        )
    return (y[:, None] == classes).astype(float)


def _axes(ax, n_panels):
    """Return one axes for each panel, in a flat array."""
    if ax is None and n_panels > 1:
        pyplot = import_optional("matplotlib.pyplot", "plot")
        columns = min(n_panels, 4 if n_panels % 5 else 5)
        rows = -(-n_panels // columns)
        figure, grid = pyplot.subplots(
            rows, columns, figsize=(2.6 * columns, 2.3 * rows + 0.4), layout="constrained"
        )
        for unused in np.ravel(grid)[n_panels:]:
            figure.delaxes(unused)
        return np.ravel(grid)[:n_panels]
    axes = np.ravel(new_axes(ax))
    if axes.size != n_panels:
        raise ValueError(f"ax holds {axes.size} axes: this display needs {n_panels} of them.")
    return axes
