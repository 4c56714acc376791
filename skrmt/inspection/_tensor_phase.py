"""Where components of a tensor can be found, and how well."""

import numpy as np

from ..theory.spiked_tensor import rank_one_limit, thresholds
from ._display import COLOURS, fitted_attributes, new_axes


class TensorPhaseDiagramDisplay:
    """Overlap of one component with the truth, by its strength and the length of the first axis.

    Parameters
    ----------
    lengths : array-like of shape (a,)
        Lengths of the first axis.
    betas : array-like of shape (b,)
        Norms of the component, in units of the noise.
    overlaps : array-like of shape (b, a)
        Mean overlap of its factors with the true ones.
    critical, computational : array-like of shape (a,)
        Norms from which the component is the best rank one, and from which a spectral start is
        expected to find it.
    points : tuple of (array-like, array-like), default=None
        Lengths and norms to mark.

    Attributes
    ----------
    ax_ : matplotlib axes
        Where it is drawn.
    figure_ : matplotlib figure
        Its figure.
    image_ : matplotlib collection
        The overlaps.
    lines_ : list of matplotlib lines
        The two thresholds.

    See Also
    --------
    skrmt.theory.spiked_tensor.thresholds : The thresholds.
    skrmt.decomposition.TensorDeflation : Finds components.

    Examples
    --------
    >>> from skrmt.inspection import TensorPhaseDiagramDisplay
    >>> display = TensorPhaseDiagramDisplay.from_theory((50, 40, 30))
    >>> display.ax_.get_xlabel()
    'Length of the first axis'
    """

    def __init__(self, lengths, betas, overlaps, *, critical, computational, points=None):
        self.lengths = lengths
        self.betas = betas
        self.overlaps = overlaps
        self.critical = critical
        self.computational = computational
        self.points = points

    @classmethod
    def from_theory(cls, dims, *, lengths=None, betas=None, points=None, ax=None):
        """Draw tensors of some shape whose first axis has various lengths.

        Parameters
        ----------
        dims : sequence of int
            Sizes, three or more.
        lengths : array-like of int of shape (a,), default=None
            Lengths of the first axis, at least 2; from a tenth to ten times the given one by
            default.
        betas : array-like of shape (b,), default=None
            Norms; 0.5 to 3 by default.
        points : tuple of (array-like, array-like), default=None
            Lengths and norms to mark.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        TensorPhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If sizes or norms are out of their domain.
        ImportError
            If Matplotlib is not installed.
        """
        if lengths is None:
            lengths = np.unique(np.maximum(np.round(dims[0] * np.geomspace(0.1, 10, 41)), 2))
        lengths = np.asarray(lengths, dtype=int)
        betas = np.linspace(0.5, 3.0, 101) if betas is None else np.asarray(betas, dtype=float)
        shapes = [(int(length), *dims[1:]) for length in lengths]
        limits = [thresholds(shape) for shape in shapes]
        overlaps = [
            np.mean(rank_one_limit(betas, shape).alignments ** 2, axis=-1)
            * (betas >= limit.critical)
            for shape, limit in zip(shapes, limits, strict=True)
        ]
        display = cls(
            lengths,
            betas,
            np.transpose(overlaps),
            critical=[limit.critical for limit in limits],
            computational=[limit.computational for limit in limits],
            points=points,
        )
        return display.plot(ax=ax)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None):
        """Draw tensors of the shape that was fitted, and mark its components.

        Parameters
        ----------
        estimator : TensorDeflation
            Fitted.
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        TensorPhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ImportError
            If Matplotlib is not installed.
        """
        factors, snr = fitted_attributes(estimator, "factors_", "snr_")
        dims = tuple(len(factor) for factor in factors)
        known = snr[np.isfinite(snr)]
        top = max(3.0, 1.1 * known.max(initial=0.0))
        points = (np.full(len(known), dims[0]), known)
        return cls.from_theory(dims, betas=np.linspace(0.5, top, 101), points=points, ax=ax)

    def plot(self, ax=None):
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure where it is None.

        Returns
        -------
        TensorPhaseDiagramDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax, figsize=(6.4, 4.4))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.contourf(
            self.lengths, self.betas, self.overlaps, levels=np.linspace(0, 1, 11), cmap="Blues"
        )
        self.figure_.colorbar(self.image_, ax=self.ax_, label="Mean overlap with the truth")
        self.lines_ = [
            self.ax_.plot(self.lengths, values, color=colour, linestyle=style, label=label)[0]
            for values, colour, style, label in (
                (self.critical, COLOURS["vermilion"], "-", "detectable from here on"),
                (self.computational, COLOURS["orange"], "--", "found by a spectral start"),
            )
        ]
        if self.points is not None and len(self.points[0]):
            self.ax_.plot(
                *self.points,
                "o",
                color=COLOURS["orange"],
                markeredgecolor=COLOURS["black"],
                label="components",
            )
        self.ax_.set(
            xlabel="Length of the first axis",
            ylabel="Norm β, in units of the noise",
            xscale="log",
            ylim=(np.min(self.betas), np.max(self.betas)),
        )
        self.ax_.legend(loc="upper left", framealpha=0.9)
        return self
