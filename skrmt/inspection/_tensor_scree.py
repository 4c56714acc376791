"""Values of tensor components against what noise has."""

import numpy as np

from ._display import COLOURS, fitted_attributes, new_axes, tidy


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
        Where it is drawn.
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

    def __init__(self, values, detected, *, bulk_edge, noise_norm, next_value=np.nan):
        self.values = values
        self.detected = detected
        self.bulk_edge = bulk_edge
        self.noise_norm = noise_norm
        self.next_value = next_value

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw a fitted decomposition.

        Parameters
        ----------
        estimator : TensorDeflation
            Fitted.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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
        names = ("singular_values_", "detected_", "thresholds_", "next_singular_value_")
        values, detected, limits, following = fitted_attributes(estimator, *names)
        display = cls(
            values,
            detected,
            bulk_edge=limits.bulk_edge,
            noise_norm=limits.noise_norm,
            next_value=following,
        )
        return display.plot(ax=ax)

    def plot(self, ax=None):
        """Draw the values.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

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
