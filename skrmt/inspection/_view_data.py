"""Views that were clustered: their spectrum and their weights."""

import numpy as np

from ..theory.nested_tensor import unfolding, unfolding_density
from ._display import COLOURS, fitted_attributes, new_axes, percent, tidy


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
        Where it is drawn.
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

    def __init__(self, x, density, *, isolated, eigenvalues=None):
        self.x = x
        self.density = density
        self.isolated = isolated
        self.eigenvalues = eigenvalues

    @classmethod
    def from_theory(
        cls, *, n_samples, n_features, n_views, beta_t, beta_m, eigenvalues=None, ax=None
    ):
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
            Where to draw; a new figure where it is None.

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
        given = {"n_samples": n_samples, "n_features": n_features, "n_views": n_views}
        given |= {"beta_t": beta_t, "beta_m": beta_m}
        noise = unfolding(**{**given, "beta_m": 0.0}).eigenvalue
        x = np.linspace(0, 1.05 * noise, 801)[1:]
        limit = unfolding(**given)
        isolated = limit.eigenvalue if limit.detected else float("nan")
        density = unfolding_density(x, **given)
        return cls(x, density, isolated=isolated, eigenvalues=eigenvalues).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the spectrum.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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
    """How far each view is trusted, and how accurate it would be by itself.

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
        Where it is drawn.
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

    def __init__(self, weights, accuracies, *, accuracy, names=None):
        self.weights = weights
        self.accuracies = accuracies
        self.accuracy = accuracy
        self.names = names

    @classmethod
    def from_estimator(cls, estimator, *, names=None, ax=None):
        """Draw a fitted clustering.

        Parameters
        ----------
        estimator : NestedTensorClustering
            Fitted.
        names : sequence of str, default=None
            Names of the views.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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
            estimator, "view_weights_", "view_accuracies_", "theoretical_accuracy_"
        )
        return cls(weights, alone, accuracy=accuracy, names=names).plot(ax=ax)

    def plot(self, ax=None):
        """Draw the weights.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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
