"""How many synthetic tokens are safe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike

from ..theory import collapse
from ._display import COLOURS, new_axes, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class SafeAmountDisplay:
    """Synthetic tokens per real one that are safe for ever, against the tolerance.

    Parameters
    ----------
    tolerances : array-like of shape (t,)
        Tolerances.
    amounts : dict of str to array-like of shape (t,)
        Synthetic tokens per real token by criterion; infinite where any amount is safe.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of str to matplotlib lines
        The curve of each criterion.

    See Also
    --------
    skrmt.theory.collapse.safe_synthetic_size : The amounts.

    Examples
    --------
    >>> from skrmt.inspection import SafeAmountDisplay
    >>> display = SafeAmountDisplay.from_theory(10**6, support=100)
    >>> sorted(display.lines_)
    ['l1', 'paper', 'variance']
    """

    _LABELS = {
        "variance": ("added variance, in units of the corpus's", "blue"),
        "l1": ("distance from the model of the corpus", "green"),
        "paper": ("sufficient condition of the paper", "grey"),
    }

    def __init__(self, tolerances: ArrayLike, amounts: Mapping[str, ArrayLike]) -> None:
        self.tolerances = tolerances
        self.amounts = amounts

    @classmethod
    def from_theory(
        cls,
        n_real: int,
        *,
        p: ArrayLike | None = None,
        support: int | None = None,
        tolerances: ArrayLike | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw all criteria for a context whose real tokens are used again and again.

        Parameters
        ----------
        n_real : int
            Real tokens.
        p : array-like of shape (s,), default=None
            Their distribution; without it and `support` only the variance is drawn.
        support : int, default=None
            Number of different tokens, instead of `p`.
        tolerances : array-like of shape (t,), default=None
            Tolerances; from 0.001 to 0.6 by default.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SafeAmountDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        if tolerances is None:
            tolerances = np.geomspace(1e-3, 0.6, 200)
        amounts = {"variance": collapse.safe_synthetic_size(n_real, tolerances)}
        if p is not None or support is not None:
            for criterion in ("l1", "paper"):
                amounts[criterion] = collapse.safe_synthetic_size(
                    n_real, tolerances, criterion, p=p, support=support
                )
        ratios = {name: np.asarray(amount) / n_real for name, amount in amounts.items()}
        return cls(np.asarray(tolerances, dtype=float), ratios).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the amounts; a curve ends where any amount is safe.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        SafeAmountDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        for name, amount in self.amounts.items():
            label, colour = self._LABELS.get(name, (name, "black"))
            finite = np.where(np.isfinite(amount) & (np.asarray(amount) > 0), amount, np.nan)
            label = label if np.isfinite(finite).any() else f"{label}: none"
            (self.lines_[name],) = self.ax_.plot(
                self.tolerances, finite, color=COLOURS[colour], label=label, linewidth=1.8
            )
            if np.isinf(amount).any():
                self.ax_.axvline(
                    np.asarray(self.tolerances)[np.isinf(amount)].min(),
                    color=COLOURS[colour],
                    linestyle=":",
                    linewidth=1.2,
                )
        self.ax_.set(
            xscale="log",
            yscale="log",
            xlabel="Tolerance",
            ylabel="Safe synthetic tokens per real token",
        )
        tidy(self.ax_, grid="both")
        self.ax_.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            frameon=False,
            fontsize="small",
            title="What is tolerated",
            alignment="left",
        )
        return self
