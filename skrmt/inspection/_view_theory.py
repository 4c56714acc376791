"""What methods of multi-view clustering reach, by the strength of the signal."""

import numpy as np

from ..theory import nested_tensor
from ._display import (
    COLOURS,
    as_points,
    draw_points,
    fitted_attributes,
    new_axes,
    percent_axis,
    tidy,
)

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
        Where it is drawn.
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

    def __init__(self, betas, accuracies, *, points=None):
        self.betas = betas
        self.accuracies = accuracies
        self.points = points

    @classmethod
    def from_theory(
        cls, *, n_samples, n_features, n_views, beta_t, betas=None, points=None, ax=None
    ):
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
            Where to draw; a new figure where it is None.

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

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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


class ViewPhaseDiagramDisplay:
    """Accuracy of a method of multi-view clustering by both strengths of the nested model.

    Parameters
    ----------
    betas_t : array-like of shape (a,)
        Strengths of the tensor.
    betas_m : array-like of shape (b,)
        Strengths of the matrix inside it.
    accuracies : array-like of shape (b, a)
        Accuracies.
    method : str
        Name of the method, for the label.
    points : tuple of (array-like, array-like), default=None
        Strengths to mark.

    Attributes
    ----------
    ax_ : matplotlib axes
        Where it is drawn.
    figure_ : matplotlib figure
        Its figure.
    image_ : matplotlib collection
        The accuracies.

    See Also
    --------
    ClusteringAccuracyDisplay : All methods along one line.

    Examples
    --------
    >>> from skrmt.inspection import ViewPhaseDiagramDisplay
    >>> sizes = dict(n_samples=100, n_features=80, n_views=60)
    >>> display = ViewPhaseDiagramDisplay.from_theory(**sizes, resolution=8)
    >>> display.accuracies.shape
    (8, 8)
    """

    def __init__(self, betas_t, betas_m, accuracies, *, method="nested_ml", points=None):
        self.betas_t = betas_t
        self.betas_m = betas_m
        self.accuracies = accuracies
        self.method = method
        self.points = points

    @classmethod
    def from_theory(
        cls,
        *,
        n_samples,
        n_features,
        n_views,
        method="nested_ml",
        largest=(2.0, 6.0),
        resolution=41,
        points=None,
        ax=None,
    ):
        """Draw the theory for data of some shape.

        Parameters
        ----------
        n_samples, n_features, n_views : int
            Sizes.
        method : {"unfolding", "tensor", "two_step", "nested_ml", "oracle"}, default="nested_ml"
            The method.
        largest : tuple of float, default=(2.0, 6.0)
            Largest strength of the tensor and of the matrix.
        resolution : int, default=41
            Number of values of each.
        points : tuple of (array-like, array-like), default=None
            Strengths to mark.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        ViewPhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        if method not in ("unfolding", "tensor", "two_step", "nested_ml", "oracle"):
            raise ValueError(f"method={method!r} is unknown: choose one of those of the theory.")
        theory = getattr(nested_tensor, method)
        sizes = {"n_samples": n_samples, "n_features": n_features, "n_views": n_views}
        betas_t, betas_m = (np.linspace(0, top, resolution) for top in largest)
        accuracies = [
            [theory(**sizes, beta_t=float(t), beta_m=float(m)).accuracy for t in betas_t]
            for m in betas_m
        ]
        return cls(betas_t, betas_m, np.array(accuracies), method=method, points=points).plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, method="nested_ml", resolution=41, ax=None):
        """Draw the theory for the shape that was fitted, and mark the fitted strengths.

        Parameters
        ----------
        estimator : NestedTensorClustering
            Fitted to three views or more of equal width.
        method : str, default="nested_ml"
            The method.
        resolution : int, default=41
            Number of values of each strength.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        ViewPhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ValueError
            If it lacks an attribute, or its strengths are not known.
        ImportError
            If Matplotlib is not installed.
        """
        labels, p, weights, beta_t, beta_m = fitted_attributes(
            estimator, "labels_", "n_features_in_", "view_weights_", "beta_t_", "beta_m_"
        )
        if not np.isfinite([beta_t, beta_m]).all():
            raise ValueError(
                f"the strengths of this fit are beta_t_={beta_t}, beta_m_={beta_m}: fit three "
                "views of equal width or more."
            )
        return cls.from_theory(
            n_samples=len(labels),
            n_features=p,
            n_views=len(weights),
            method=method,
            largest=(max(2.0, 1.2 * beta_t), max(6.0, 1.2 * beta_m)),
            resolution=resolution,
            points=([beta_t], [beta_m]),
            ax=ax,
        )

    def plot(self, ax=None):
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        ViewPhaseDiagramDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.contourf(
            self.betas_t,
            self.betas_m,
            self.accuracies,
            levels=np.linspace(0.5, 1, 11),
            cmap="Blues",
        )
        label = _METHODS.get(self.method, (self.method,))[0]
        self.figure_.colorbar(self.image_, ax=self.ax_, label=f"Accuracy, {label}")
        if self.points is not None:
            self.ax_.plot(
                *self.points, "o", color=COLOURS["orange"], markeredgecolor=COLOURS["black"]
            )
        self.ax_.set(xlabel="β of the tensor", ylabel="β of the matrix inside it")
        return self
