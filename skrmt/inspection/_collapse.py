"""What recursive training does to a corpus: its diversity and its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike

from ..theory import collapse
from ._display import COLOURS, fitted_attributes, new_axes, percent_axis, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..utils._forecast import Forecast

_SCHEMES: dict[Any, tuple[str, str]] = {
    "full": ("last model only", "vermilion"),
    "window": ("last models", "orange"),
    "random": ("any earlier model", "purple"),
    "partial": ("corpus + last model", "blue"),
    "accumulate": ("corpus + all models", "green"),
    "fresh": ("new real tokens + last model", "sky"),
}


class CollapseForecastDisplay:
    """Expected diversity by generation, with simulated chains.

    Parameters
    ----------
    generations : array-like of shape (g,)
        Numbers of the generations.
    diversities : dict of str to array-like of shape (g,)
        Expected diversity by name; names of schemes get their own colours.
    simulated : dict of str to Forecast, default=None
        Mean of simulated chains and its 95 % band, of shape (g,) each.

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
    skrmt.collapse.CollapseForecaster : What forecasts and simulates.

    Examples
    --------
    >>> from skrmt.inspection import CollapseForecastDisplay
    >>> display = CollapseForecastDisplay.from_theory(0.1, 50, n_real=50, window=5)
    >>> sorted(display.lines_)
    ['accumulate', 'fresh', 'full', 'partial', 'random', 'window']
    """

    def __init__(
        self,
        generations: ArrayLike,
        diversities: Mapping[str, ArrayLike],
        *,
        simulated: Mapping[str, Forecast] | None = None,
    ) -> None:
        self.generations = generations
        self.diversities = diversities
        self.simulated = simulated

    @classmethod
    def from_theory(
        cls,
        s0: float,
        n_synthetic: int,
        *,
        n_real: int,
        window: int,
        n_generations: int = 100,
        ax: Axes | None = None,
    ) -> Self:
        """Draw all schemes for one context.

        Parameters
        ----------
        s0 : float
            Sum of squared probabilities of the truth.
        n_synthetic : int
            Synthetic tokens per generation.
        n_real : int
            Real tokens, where the scheme has any.
        window : int
            Number of models of the window.
        n_generations : int, default=100
            Last generation.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        CollapseForecastDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If an argument is outside its domain.
        ImportError
            If Matplotlib is not installed.
        """
        times = np.arange(n_generations + 1)
        curves = {
            scheme: collapse.diversity(
                scheme,
                times,
                s0,
                n_synthetic,
                n_real if scheme in ("partial", "fresh", "accumulate") else None,
                window=window if scheme == "window" else None,
            )
            for scheme in _SCHEMES
        }
        return cls(times, curves).plot(ax=ax)

    @classmethod
    def from_estimators(
        cls,
        forecasters: Any,
        *,
        n_chains: int = 0,
        random_state: int | RandomState | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw fitted forecasters, and simulate them.

        Parameters
        ----------
        forecasters : CollapseForecaster, or dict of str to CollapseForecaster
            Fitted forecasters of as many generations, by name; schemes name them where there is
            one.
        n_chains : int, default=0
            Simulated chains of each; none are drawn if 0.
        random_state : int, RandomState instance or None, default=None
            Seed of the simulations.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        CollapseForecastDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError
            If a forecaster is not fitted.
        ValueError
            If horizons differ.
        ImportError
            If Matplotlib is not installed.
        """
        named = (
            forecasters if isinstance(forecasters, Mapping) else {forecasters.scheme: forecasters}
        )
        curves = {
            name: fitted_attributes(model, "theoretical_diversity_")[0]
            for name, model in named.items()
        }
        lengths = {len(curve) for curve in curves.values()}
        if len(lengths) != 1:
            raise ValueError(
                f"forecasters have horizons of {sorted(length - 1 for length in lengths)} "
                "generations: fit them with the same n_generations."
            )
        simulated = {
            name: model.simulate(n_chains, random_state)
            for name, model in named.items()
            if n_chains
        }
        return cls(np.arange(lengths.pop()), curves, simulated=simulated).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the curves, and every few generations the simulated means with their bands.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        CollapseForecastDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        self.lines_ = {}
        spare = iter(list(COLOURS.values()) * 9)
        for name, curve in self.diversities.items():
            label, colour = _SCHEMES.get(name, (name, None))
            colour = next(spare) if colour is None else COLOURS[colour]
            (self.lines_[name],) = self.ax_.plot(
                self.generations, curve, color=colour, label=label, linewidth=1.8
            )
            if self.simulated and name in self.simulated:
                self._draw_simulated(self.simulated[name], colour)
        self.ax_.set(xlabel="Generation", ylabel="Probability that two tokens differ")
        self.ax_.set_ylim(bottom=0)
        tidy(self.ax_)
        self.ax_.legend(loc="best", frameon=False, fontsize="small")
        return self

    def _draw_simulated(self, found, colour):
        """Draw about a dozen means with their bands."""
        mean = np.asarray(found.score)
        places = np.unique(np.linspace(0, len(mean) - 1, 13).round().astype(int))
        band = np.stack([mean - found.lower, found.upper - mean])
        self.ax_.errorbar(
            np.asarray(self.generations)[places],
            mean[places],
            yerr=band[:, places],
            fmt="o",
            color=colour,
            markersize=4,
            capsize=2,
            elinewidth=1.0,
            zorder=4,
        )


class TokenSurvivalDisplay:
    """Probability that a token is still known, by its rank, for some generations.

    Parameters
    ----------
    ranks : array-like of shape (s,)
        Ranks of the tokens, the most frequent first.
    survival : dict of int to array-like of shape (s,)
        Probability of each token to be known, by generation.

    Attributes
    ----------
    ax_ : matplotlib axes
        Axes on which it is drawn.
    figure_ : matplotlib figure
        Its figure.
    lines_ : dict of int to matplotlib lines
        The curve of each generation.

    See Also
    --------
    skrmt.theory.collapse.survival_probabilities : The probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.inspection import TokenSurvivalDisplay
    >>> p = 1 / np.arange(1, 101)
    >>> display = TokenSurvivalDisplay.from_theory(p / p.sum(), 200, [1, 10, 100])
    >>> sorted(display.lines_)
    [1, 10, 100]
    """

    def __init__(self, ranks: ArrayLike, survival: Mapping[int, ArrayLike]) -> None:
        self.ranks = ranks
        self.survival = survival

    @classmethod
    def from_theory(
        cls,
        p: ArrayLike,
        n: int,
        generations: Sequence[int] = (1, 5, 20, 100),
        *,
        ax: Axes | None = None,
    ) -> Self:
        """Draw one context, each generation trained on tokens of the last model alone.

        Parameters
        ----------
        p : array-like of shape (s,)
            Probabilities of the tokens.
        n : int
            Tokens per generation.
        generations : sequence of int, default=(1, 5, 20, 100)
            Generations to draw.
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        TokenSurvivalDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If `p` is no distribution or a number is out of range.
        ImportError
            If Matplotlib is not installed.
        """
        ordered = np.sort(np.asarray(p, dtype=float))[::-1]
        known = collapse.survival_probabilities(ordered, n, list(generations))
        curves = {int(m): curve for m, curve in zip(generations, known, strict=True)}
        return cls(np.arange(1, len(ordered) + 1), curves).plot(ax=ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw one curve a generation.

        Parameters
        ----------
        ax : matplotlib axes, default=None
            Where to draw; a new figure if None.

        Returns
        -------
        TokenSurvivalDisplay
            The display.

        Raises
        ------
        ImportError
            If Matplotlib is not installed.
        """
        self.ax_ = new_axes(ax)
        self.figure_ = self.ax_.figure
        colours = _shades(len(self.survival))
        self.lines_ = {}
        for (generation, curve), colour in zip(sorted(self.survival.items()), colours, strict=True):
            (self.lines_[generation],) = self.ax_.plot(
                self.ranks, curve, color=colour, label=str(generation), linewidth=1.8
            )
        self.ax_.set(xscale="log", xlabel="Rank of the token", ylabel="Probability to be known")
        self.ax_.set_ylim(0, 1.02)
        percent_axis(self.ax_.yaxis)
        tidy(self.ax_)
        self.ax_.legend(
            loc="lower left",
            bbox_to_anchor=(0, 1),
            ncols=min(len(self.lines_), 5),
            frameon=False,
            fontsize="small",
            title="Generation",
        )
        return self


def _shades(count):
    """Return colours from blue to vermilion."""
    first, last = (
        np.array([int(COLOURS[name][i : i + 2], 16) / 255 for i in (1, 3, 5)])
        for name in ("blue", "vermilion")
    )
    return [tuple((1 - t) * first + t * last) for t in np.linspace(0, 1, max(count, 1))]
