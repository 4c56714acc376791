"""Multi-view clustering: what methods reach, the spectrum of the views and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory import nested_tensor
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


_METHODS = {
    "unfolding": ("concatenated views", "vermilion", "-"),
    "tensor": ("best rank-one tensor", "orange", "-"),
    "two_step": ("two steps", "sky", "-"),
    "nested_ml": ("maximum likelihood", "blue", "-"),
    "oracle": ("known strengths of the views", "black", "--"),
    "bayes": ("Bayes", "green", ":"),
}


class ClusteringAccuracyDisplay:
    """Accuracy of every method of multi-view clustering against the strength of the signal.

    Parameters
    ----------
    betas : array-like of shape (b,)
        Strengths of the matrix inside the tensor.
    accuracies : dict of str to array-like of shape (b,)
        Accuracy of each method, under the names of `PerformanceGap`.
    points : dict of str to (array-like, array-like), default=None
        Measured accuracies of some methods, as positions and one row of repeats each.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of str to matplotlib lines
        The curve of each method.

    See Also
    --------
    skrmt.theory.nested_tensor.performance_gap : The accuracies.

    Examples
    --------
    >>> from skrmt.inspection import ClusteringAccuracyDisplay
    >>> sizes = dict(n_samples=100, n_features=80, n_views=60)
    >>> display = ClusteringAccuracyDisplay.from_theory(**sizes, beta_t=0.4)
    >>> sorted(display.lines_)
    ['bayes', 'nested_ml', 'oracle', 'tensor', 'two_step', 'unfolding']
    """

    def __init__(
        self,
        betas: ArrayLike,
        accuracies: Mapping[str, ArrayLike],
        *,
        points: Mapping[str, tuple[Any, ...]] | None = None,
    ) -> None:
        self.betas = betas
        self.accuracies = accuracies
        self.points = points

    @classmethod
    def from_theory(
        cls,
        *,
        n_samples: int,
        n_features: int,
        n_views: int,
        beta_t: float,
        betas: ArrayLike | None = None,
        points: Mapping[str, tuple[Any, ...]] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the theory for data of some shape.

        Parameters
        ----------
        n_samples, n_features, n_views : int
            Sizes.
        beta_t : float
            Strength of the tensor.
        betas : array-like of shape (b,), default=None
            Strengths of the matrix inside it; 0 to 6 by default.
        points : dict of str to (array-like, array-like), default=None
            Measured accuracies of some methods.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ClusteringAccuracyDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        betas = np.linspace(0, 6, 121) if betas is None else np.asarray(betas, dtype=float)
        sizes = {"n_samples": n_samples, "n_features": n_features, "n_views": n_views}
        gaps = [
            nested_tensor.performance_gap(**sizes, beta_t=beta_t, beta_m=float(b)) for b in betas
        ]
        accuracies = {name: np.array([getattr(gap, name) for gap in gaps]) for name in _METHODS}
        return cls(betas, accuracies, points=points).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ClusteringAccuracyDisplay
            The display.

        Raises
        ------
        ValueError
            If a method is unknown.
        ImportError
            If Matplotlib is not installed.
        """
        unknown = (set(self.accuracies) | set(self.points or {})) - set(_METHODS)
        if unknown:
            raise ValueError(
                f"accuracies and points name {sorted(unknown)}: choose among {sorted(_METHODS)}."
            )
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        for name, accuracies in self.accuracies.items():
            label, colour, style = _METHODS[name]
            (self.lines_[name],) = self.ax_.plot(
                self.betas, accuracies, style, color=COLOURS[colour], label=label
            )
        for name, measured in (self.points or {}).items():
            positions, values = as_points(measured, f"points[{name!r}]")
            draw_points(self.ax_, positions, values, color=COLOURS[_METHODS[name][1]])
        self.ax_.set(
            xlabel="Strength of the clusters, β of the matrix",
            ylabel="Samples in the right cluster",
        )
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False, fontsize="small")
        return self


class UnfoldingSpectrumDisplay:
    """Eigenvalues of concatenated views: bulk, density and the isolated one.

    Parameters
    ----------
    x : array-like of shape (g,)
        Where the density is evaluated.
    density : array-like of shape (g,)
        Density of the bulk.
    isolated : float
        Eigenvalue outside of the bulk; nan where there is none.
    eigenvalues : array-like of shape (n,), default=None
        Measured eigenvalues of the Gram matrix of the samples.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    line_ : matplotlib line
        The density.

    See Also
    --------
    skrmt.theory.nested_tensor.unfolding_density : The density.

    Examples
    --------
    >>> from skrmt.inspection import UnfoldingSpectrumDisplay
    >>> sizes = dict(n_samples=200, n_features=150, n_views=60)
    >>> display = UnfoldingSpectrumDisplay.from_theory(**sizes, beta_t=2, beta_m=1.5)
    >>> round(display.isolated, 2)
    37.01
    """

    def __init__(
        self,
        x: ArrayLike,
        density: ArrayLike,
        *,
        isolated: float,
        eigenvalues: ArrayLike | None = None,
    ) -> None:
        self.x = x
        self.density = density
        self.isolated = isolated
        self.eigenvalues = eigenvalues

    @classmethod
    def from_theory(
        cls,
        *,
        n_samples: int,
        n_features: int,
        n_views: int,
        beta_t: float,
        beta_m: float,
        eigenvalues: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the theory, with measured eigenvalues if there are any.

        Parameters
        ----------
        n_samples, n_features, n_views : int
            Sizes.
        beta_t, beta_m : float
            Strengths of the tensor and of the matrix inside it.
        eigenvalues : array-like of shape (n_samples,), default=None
            Of the Gram matrix of the samples, all views together, noise of variance
            1/(n_samples + n_features + n_views).
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        UnfoldingSpectrumDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        sizes: dict[str, Any] = {"n_samples": n_samples, "n_features": n_features}
        sizes |= {"n_views": n_views, "beta_t": beta_t}
        noise = nested_tensor.unfolding(**sizes, beta_m=0.0).eigenvalue
        x = np.linspace(0, 1.05 * noise, 801)[1:]
        limit = nested_tensor.unfolding(**sizes, beta_m=beta_m)
        isolated = limit.eigenvalue if limit.detected else float("nan")
        density = nested_tensor.unfolding_density(x, **sizes, beta_m=beta_m)
        return cls(x, density, isolated=isolated, eigenvalues=eigenvalues).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the spectrum.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        UnfoldingSpectrumDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        if self.eigenvalues is not None:
            values = np.asarray(self.eigenvalues, dtype=float)
            self.ax_.hist(
                values, bins=30, density=True, color=COLOURS["sky"], alpha=0.6, label="eigenvalues"
            )
        (self.line_,) = self.ax_.plot(
            self.x, self.density, color=COLOURS["blue"], label="density of noise"
        )
        if np.isfinite(self.isolated):
            self.ax_.axvline(
                self.isolated, color=COLOURS["vermilion"], linestyle="--", label="clusters, theory"
            )
        self.ax_.set(xlabel="Eigenvalue", ylabel="Density", ylim=(0, None))
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False)
        return self


class ViewWeightsDisplay:
    """Weight of each view, and its accuracy by itself.

    Parameters
    ----------
    weights : array-like of shape (m,)
        Weights of the views.
    accuracies : array-like of shape (m,)
        Accuracy of each view by itself; nan where it is not known.
    accuracy : float
        That of all of them.
    names : sequence of str, default=None
        Names of the views; their numbers if None.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    bars_ : matplotlib container
        The weights.

    See Also
    --------
    skrmt.cluster.NestedTensorClustering : The clustering drawn.

    Examples
    --------
    >>> from skrmt.cluster import NestedTensorClustering
    >>> from skrmt.datasets import make_nested_views
    >>> from skrmt.inspection import ViewWeightsDisplay
    >>> X = make_nested_views(random_state=0).X
    >>> display = ViewWeightsDisplay.from_estimator(NestedTensorClustering(random_state=0).fit(X))
    >>> len(display.bars_)
    4
    """

    def __init__(
        self,
        weights: ArrayLike,
        accuracies: ArrayLike,
        *,
        accuracy: float,
        names: Sequence[str] | None = None,
    ) -> None:
        self.weights = weights
        self.accuracies = accuracies
        self.accuracy = accuracy
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        names: Sequence[str] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a fitted clustering.

        Parameters
        ----------
        estimator : NestedTensorClustering
            Fitted.
        names : sequence of str, default=None
            Names of the views.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ViewWeightsDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it lacks an attribute or there are other than one name a view.
        ImportError
            If Matplotlib is not installed.
        """
        weights, alone, accuracy = fitted_attributes(
            estimator, "view_weights_", "view_accuracies_", "model_accuracy_"
        )
        return cls(weights, alone, accuracy=accuracy, names=names).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ViewWeightsDisplay
            The display.

        Raises
        ------
        ValueError
            If there are other than one name or accuracy a view.
        ImportError
            If Matplotlib is not installed.
        """
        weights, alone = np.asarray(self.weights, float), np.asarray(self.accuracies, float)
        names = [str(k) for k in range(len(weights))] if self.names is None else list(self.names)
        if len(names) != len(weights) or alone.shape != weights.shape:
            raise ValueError(
                f"there are {len(weights)} weights, {len(names)} names and {len(alone)} "
                "accuracies: give one of each a view."
            )
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.bars_ = self.ax_.bar(range(len(weights)), weights, color=COLOURS["blue"], width=0.6)
        texts = [f"{percent(a)} alone" if np.isfinite(a) else "" for a in alone]
        self.ax_.bar_label(self.bars_, texts, padding=2, fontsize="small")
        self.ax_.set_xticks(range(len(weights)), names)
        title = f"together {percent(self.accuracy)}" if np.isfinite(self.accuracy) else ""
        self.ax_.set(xlabel="View", ylabel="Weight", title=title)
        self.ax_.margins(y=0.12)
        tidy(self.ax_)
        return self
