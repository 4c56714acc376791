"""Similarity of embedding spaces, and how many known pairs it takes to match them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory.representation import similarity_accuracy
from ._display import COLOURS, as_points, draw_points, new_axes, percent_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_FEW_CELLS = 15


class CKAMatrixDisplay:
    """CKA of every encoder with every other; cells that are not beyond chance are crossed out.

    Parameters
    ----------
    cka : array-like of shape (a, b)
        The CKAs.
    significant : array-like of bool of shape (a, b), default=None
        Which are beyond chance; all if None.
    names : tuple of (sequence of str, sequence of str), default=None
        Names of rows and columns.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    image_ : matplotlib image
        The cells.

    See Also
    --------
    skrmt.matching.cka_matrix : What computes it.

    Examples
    --------
    >>> from skrmt.inspection import CKAMatrixDisplay
    >>> display = CKAMatrixDisplay([[1.0, 0.2], [0.2, 1.0]], [[True, False], [False, True]]).plot()
    >>> display.image_.get_array().shape
    (2, 2)
    """

    def __init__(
        self,
        cka: ArrayLike,
        significant: ArrayLike | None = None,
        *,
        names: tuple[Any, ...] | None = None,
    ) -> None:
        self.cka = cka
        self.significant = significant
        self.names = names

    @classmethod
    def from_result(cls, result: Any, *, ax: Axes | None = None) -> Self:
        """Draw a table of `skrmt.matching.cka_matrix`.

        Parameters
        ----------
        result : CKAMatrix
            The table.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        CKAMatrixDisplay
            The display, drawn.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        return cls(result.cka, result.significant, names=result.names).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the table.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        CKAMatrixDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        values = np.asarray(self.cka, dtype=float)
        rows, columns = values.shape
        width = max(4.0, 0.7 * columns + 2)
        self.ax_ = new_axes(ax, figsize=(width, max(3.2, 0.6 * rows + 1.4)))
        self.figure_ = self.ax_.figure
        self.image_ = self.ax_.imshow(values, vmin=0, vmax=1, cmap="Blues", aspect="auto")
        self.figure_.colorbar(self.image_, ax=self.ax_, label="CKA", shrink=0.9)
        if self.significant is not None:
            for i, j in np.argwhere(~np.asarray(self.significant, dtype=bool)):
                self.ax_.plot(j, i, "x", color=COLOURS["vermilion"], markersize=7)
        if max(rows, columns) <= _FEW_CELLS:
            self._write(values)
        for axis, k, size in ((self.ax_.yaxis, 0, rows), (self.ax_.xaxis, 1, columns)):
            labels = range(size) if self.names is None else self.names[k]
            axis.set_ticks(range(size), labels=[str(label) for label in labels])
        self.ax_.tick_params(length=0)
        for label in self.ax_.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
        for spine in self.ax_.spines.values():
            spine.set_visible(False)
        return self

    def _write(self, values):
        """Write the numbers that are not crossed out into the cells."""
        for (i, j), value in np.ndenumerate(values):
            if self.significant is None or np.asarray(self.significant)[i, j]:
                colour = "white" if value > 0.55 else COLOURS["black"]
                text = f"{value:.2f}"
                self.ax_.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)


class KnownPairsDisplay:
    """Accuracy of the nearest neighbour against the number of known pairs.

    Parameters
    ----------
    n_pairs : array-like of shape (s,)
        Numbers of known pairs.
    accuracies : dict of str to array-like of shape (s,)
        Predicted accuracies by name.
    points : tuple of (array-like, array-like), default=None
        Measured accuracies: numbers of known pairs, and one row of repeats each.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of str to matplotlib lines
        The curve of each name.

    See Also
    --------
    skrmt.theory.representation.similarity_accuracy : The accuracies.

    Examples
    --------
    >>> from skrmt.inspection import KnownPairsDisplay
    >>> display = KnownPairsDisplay.from_theory([0.3, 0.6], n_queries=500)
    >>> sorted(display.lines_)
    ['correlation 0.3', 'correlation 0.6']
    """

    def __init__(
        self,
        n_pairs: ArrayLike,
        accuracies: Mapping[str, ArrayLike],
        *,
        points: tuple[Any, ...] | None = None,
    ) -> None:
        self.n_pairs = n_pairs
        self.accuracies = accuracies
        self.points = points

    @classmethod
    def from_theory(
        cls,
        correlations: float | Sequence[float],
        *,
        n_queries: int,
        n_pairs: ArrayLike | None = None,
        points: tuple[Any, ...] | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the model of correlated similarities to known pairs.

        Parameters
        ----------
        correlations : float or sequence of float
            Correlations of the similarities of a pair to a known pair.
        n_queries : int
            Number of candidates.
        n_pairs : array-like of int of shape (s,), default=None
            Numbers of known pairs; 2 to 1000 by default.
        points : tuple of (array-like, array-like), default=None
            Measured accuracies.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        KnownPairsDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        pairs = np.unique(np.geomspace(2, 1000, 60).round()) if n_pairs is None else n_pairs
        curves = {
            f"correlation {rho:g}": similarity_accuracy(rho, np.asarray(pairs, float), n_queries)
            for rho in np.atleast_1d(correlations)
        }
        return cls(pairs, curves, points=points).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves and the points.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        KnownPairsDisplay
            The display.

        Raises
        ------
        ValueError
            If the points are not a pair of arrays.
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        names = [name for name in COLOURS if name not in ("black", "grey")] * 9
        self.lines_ = {}
        for (label, curve), colour in zip(self.accuracies.items(), names, strict=False):
            (self.lines_[label],) = self.ax_.plot(
                self.n_pairs, curve, color=COLOURS[colour], label=label, linewidth=1.8
            )
        if self.points is not None:
            positions, values = as_points(self.points, "points")
            draw_points(self.ax_, positions, values, color=COLOURS["black"], label="measured")
        self.ax_.set(xscale="log", xlabel="Known pairs", ylabel="Nearest neighbour is right")
        self.ax_.set_ylim(0, 1.02)
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False, fontsize="small")
        return self


class ScoreMatrixDisplay:
    """Scores of all candidate pairs, with the matches.

    Parameters
    ----------
    scores : array-like of shape (n, n')
        Scores.
    indices : array-like of int of shape (n,), default=None
        Candidate matched with each query, -1 for none.
    true_match : array-like of int of shape (n,), default=None
        The right ones.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    image_ : matplotlib image
        The scores.

    See Also
    --------
    skrmt.matching.EncoderMatcher : What scores and matches.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import ScoreMatrixDisplay
    >>> display = ScoreMatrixDisplay(np.eye(4), [0, 1, 3, 2], range(4)).plot()
    >>> display.ax_.get_title()
    '2 of 4 matches are right'
    """

    def __init__(
        self,
        scores: ArrayLike,
        indices: ArrayLike | None = None,
        true_match: ArrayLike | None = None,
    ) -> None:
        self.scores = scores
        self.indices = indices
        self.true_match = true_match

    @classmethod
    def from_estimator(
        cls,
        matcher: Any,
        X_query: ArrayLike,
        Y_query: ArrayLike,
        *,
        true_match: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Score and match queries, and draw it.

        Parameters
        ----------
        matcher : EncoderMatcher
            Fitted matcher.
        X_query : array-like of shape (n, p)
            Queries.
        Y_query : array-like of shape (n', q)
            Candidates.
        true_match : array-like of int of shape (n,), default=None
            The right candidates.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ScoreMatrixDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If the matcher is not fitted.
        ImportError
            If Matplotlib is not installed.
        """
        scores = matcher.score_matrix(X_query, Y_query)
        return cls(scores, matcher.predict(X_query, Y_query), true_match).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the scores, and the matches as dots.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        ScoreMatrixDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        scores = np.asarray(self.scores, dtype=float)
        self.ax_ = new_axes(ax, figsize=(5.2, 4.4))
        self.figure_ = self.ax_.figure
        low, high = np.quantile(scores, [0.01, 0.999])
        self.image_ = self.ax_.imshow(scores, vmin=low, vmax=high, cmap="Greys", aspect="auto")
        self.figure_.colorbar(self.image_, ax=self.ax_, label="Score", shrink=0.9)
        if self.indices is not None:
            self._draw_matches(np.asarray(self.indices))
        self.ax_.set(xlabel="Candidate", ylabel="Query")
        return self

    def _draw_matches(self, indices):
        """Draw the matches, coloured by whether they are right."""
        rows = np.flatnonzero(indices >= 0)
        right = np.ones(len(rows), dtype=bool)
        if self.true_match is not None:
            right = indices[rows] == np.asarray(self.true_match)[rows]
            self.ax_.set_title(f"{right.sum()} of {len(rows)} matches are right")
        size = float(np.clip(600 / max(len(indices), 1), 2, 25))
        for chosen, colour in ((right, "blue"), (~right, "vermilion")):
            self.ax_.scatter(
                indices[rows[chosen]], rows[chosen], s=size, color=COLOURS[colour], linewidths=0
            )
