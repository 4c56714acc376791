"""Phase diagrams of every subject: the map that theory draws, and the same by Monte Carlo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import joblib
import numpy as np
from numpy.typing import ArrayLike

from ..utils._memory import explains_memory
from ..utils._optional import import_optional
from ._display import COLOURS
from ._phase_draws import Plan
from ._phase_models import SUBJECTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GRID = 12
"""Values per axis where none are given: a map that is drawn in seconds."""
_PROGRESS_REPORTS = 10
"""Parts of a simulation after which progress is printed."""


class PhaseDiagramDisplay:
    """Predictions of theory over two parameters, beside a simulation.

    Parameters
    ----------
    subject : str
        Name of the subject.
    x, y : array-like of shape (a,), (b,)
        Values of the two parameters.
    theory : array-like of shape (b, a)
        What theory predicts.
    simulated : array-like of shape (b, a) or None, default=None
        Means over draws.
    standard_error : array-like of shape (b, a) or None, default=None
        Their standard errors.

    Attributes
    ----------
    axes_ : ndarray of matplotlib axes
        One panel, or two with simulation.
    figure_ : matplotlib figure
        Their figure.
    images_ : list of matplotlib collections
        The maps.

    See Also
    --------
    skrmt.theory : The formulas.

    Examples
    --------
    >>> from skrmt.inspection import PhaseDiagramDisplay
    >>> display = PhaseDiagramDisplay.from_theory("noisy-labels")
    >>> display.axes_[0].get_ylabel()
    'Rate of wrong labels'
    """

    def __init__(
        self,
        subject: str,
        x: ArrayLike,
        y: ArrayLike,
        theory: ArrayLike,
        *,
        simulated: ArrayLike | None = None,
        standard_error: ArrayLike | None = None,
    ) -> None:
        self.subject = subject
        self.x = x
        self.y = y
        self.theory = theory
        self.simulated = simulated
        self.standard_error = standard_error

    @staticmethod
    def subjects() -> dict[str, str]:
        """List the subjects.

        Returns
        -------
        dict of str to str
            Names, and the question of each.

        Examples
        --------
        >>> from skrmt.inspection import PhaseDiagramDisplay
        >>> PhaseDiagramDisplay.subjects()["self-play"]
        'Self-play from the previous policy'
        """
        return {name: subject.title for name, subject in SUBJECTS.items()}

    @staticmethod
    def ranges(subject: str) -> tuple[tuple[float, ...], ...]:
        """Return the ranges of the two parameters of a subject.

        Parameters
        ----------
        subject : str
            One of `subjects`.

        Returns
        -------
        tuple of tuple of float
            Ends of x and of y.

        Raises
        ------
        ValueError
            If the subject is not known.
        """
        return _known(subject).ranges

    @property
    def quantity(self) -> str:
        """Name of what is predicted."""
        return SUBJECTS[self.subject].quantity

    @classmethod
    def from_theory(
        cls,
        subject: str,
        *,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        size: int = 100,
        ax: Axes | None = None,
    ) -> Self:
        """Draw the map of a subject.

        Parameters
        ----------
        subject : str
            One of `subjects`.
        x, y : array-like of shape (a,), (b,), optional
            Values of the parameters; up to 61 over the range of the subject by default.
        size : int, default=100
            Number of features, or length of an axis, at least 4.
        ax : matplotlib axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        PhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the subject is not known, or a value is out of its domain.
        """
        x, y, values = _map(subject, x, y, size, _known(subject).n_points)
        return cls(subject, x, y, values).plot(ax=None if ax is None else [ax])

    @classmethod
    @explains_memory("a smaller size")
    def from_simulation(
        cls,
        subject: str,
        *,
        x: ArrayLike | None = None,
        y: ArrayLike | None = None,
        size: int = 60,
        n_draws: int = 20,
        device: str | None = None,
        memory: float = 2.0**28,
        random_state: int = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
        ax: Sequence[Axes] | None = None,
    ) -> Self:
        """Draw the map of a subject beside a Monte Carlo of every cell.

        Parameters
        ----------
        subject : str
            One of `subjects`.
        x, y : array-like of shape (a,), (b,), optional
            Values of the parameters; 12 over the range of the subject by default.
        size : int, default=60
            Number of features, or length of an axis, at least 4.
        n_draws : int, default=20
            Draws of every cell, at least 2. All cells and draws take a few batched calls.
        device : str, optional
            Torch device to compute on, "cuda" for instance; NumPy by default. Random numbers are
            drawn by NumPy: the device changes results by rounding only.
        memory : float, default=2**28
            Bytes that a batch may take; smaller ones follow one another. The result is the same.
        random_state : int, default=0
            Seed.
        n_jobs : int, optional
            Number of jobs, which share the lines of the map; the backend that
            ``joblib.parallel_config`` names by default. The result is the same.
        verbose : int, default=0
            If positive, joblib reports on parts of the map that are done.
        ax : sequence of two matplotlib axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        PhaseDiagramDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If the subject is not known, or a value is out of its domain.

        Examples
        --------
        >>> from skrmt.inspection import PhaseDiagramDisplay
        >>> display = PhaseDiagramDisplay.from_simulation(
        ...     "noisy-labels", x=[1.0, 2.0], y=[0.1], size=50, n_draws=40
        ... )
        >>> round(float(display.largest_deviation()), 1)  # in standard errors
        1.1
        """
        if not (isinstance(n_draws, (int, np.integer)) and n_draws >= 2):
            raise ValueError(f"n_draws={n_draws!r} must be a whole number, 2 or more.")
        if not memory > 0:
            raise ValueError(f"memory={memory!r} must be a positive number of bytes.")
        x, y, values = _map(subject, x, y, size, _GRID)
        plan = Plan(size, int(n_draws), device, memory)
        draws = _simulate(SUBJECTS[subject], x, y, plan, random_state, n_jobs, verbose)
        mean, error = draws.mean(axis=-1), draws.std(axis=-1, ddof=1) / np.sqrt(n_draws)
        if SUBJECTS[subject].logarithmic:
            error = error / np.maximum(mean, 1e-300) / np.log(10.0)
            mean = np.log10(np.maximum(mean, 1e-300))
        display = cls(subject, x, y, values, simulated=mean, standard_error=error)
        return display.plot(ax=ax)

    def largest_deviation(self) -> float:
        """Return how far theory and simulation are apart at the most.

        Returns
        -------
        float
            In standard errors, over the cells whose draws differ among themselves. Close to a
            threshold finite sizes smooth what is sharp in theory.

        Raises
        ------
        ValueError
            If nothing was simulated.
        """
        if self.simulated is None:
            raise ValueError("Nothing was simulated: use PhaseDiagramDisplay.from_simulation.")
        error = np.asarray(self.standard_error)
        gap = np.abs(np.asarray(self.simulated) - np.asarray(self.theory))
        varied = error > 1e-9
        return float((gap[varied] / error[varied]).max()) if varied.any() else 0.0

    def plot(self, *, ax: Sequence[Axes] | None = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : sequence of matplotlib axes, optional
            One panel, or two with simulation; a new figure by default.

        Returns
        -------
        PhaseDiagramDisplay
            The display.
        """
        pyplot = import_optional("matplotlib.pyplot", "plot")
        tables = [self.theory] + ([] if self.simulated is None else [self.simulated])
        if ax is None:
            width = 1.0 + 4.6 * len(tables)
            figure, ax = pyplot.subplots(
                1, len(tables), figsize=(width, 4.2), squeeze=False, layout="constrained"
            )
            figure.suptitle(SUBJECTS[self.subject].title)
        self.axes_ = np.ravel(np.asarray(ax))
        if len(self.axes_) != len(tables):
            raise ValueError(f"ax has {len(self.axes_)} panels: give {len(tables)}.")
        self.figure_ = self.axes_[0].figure
        known = SUBJECTS[self.subject]
        finite = np.concatenate([np.ravel(t)[np.isfinite(np.ravel(t))] for t in tables])
        limits = {"vmin": finite.min(), "vmax": min(finite.max(), known.ceiling)}
        self.images_ = []
        for panel, table, title in zip(self.axes_, tables, ("Theory", "Simulation"), strict=False):
            image = panel.pcolormesh(
                self.x, self.y, table, shading="nearest", cmap="Blues", **limits
            )
            self.images_.append(image)
            self._draw_levels(panel, known)
            panel.set(xlabel=known.axes[0], ylabel=known.axes[1], title=title)
        self.figure_.colorbar(self.images_[0], ax=list(self.axes_), label=known.quantity)
        return self

    def _draw_levels(self, panel, known):
        """Draw the lines of the theory where the quantity has chosen values."""
        table = np.asarray(self.theory)
        if min(table.shape) < 2:
            return
        inside = [v for v in known.levels if np.nanmin(table) < v < np.nanmax(table)]
        if inside:
            lines = panel.contour(self.x, self.y, table, levels=inside, colors=COLOURS["vermilion"])
            panel.clabel(lines, fmt="%g", fontsize=8)


def _known(subject):
    """Return a subject by its name."""
    if subject not in SUBJECTS:
        raise ValueError(f"subject={subject!r} is not known: give one of {', '.join(SUBJECTS)}.")
    return SUBJECTS[subject]


def _simulate(known, x, y, plan, random_state, n_jobs, verbose):
    """Return draws of shape (len(y), len(x), n_draws), lines shared out among jobs."""
    across = known.lines == "y"
    fixed, free = (y, x) if across else (x, y)
    seeds = np.random.default_rng(random_state).integers(2**62, size=len(fixed))
    n_parts = max(joblib.effective_n_jobs(n_jobs), _PROGRESS_REPORTS if verbose > 0 else 1)
    parts = np.array_split(np.arange(len(fixed)), min(n_parts, len(fixed)))
    tasks = []
    for part in parts:
        same, varied = (grid.ravel() for grid in np.meshgrid(fixed[part], free, indexing="ij"))
        given = (varied, same) if across else (same, varied)
        tasks.append(joblib.delayed(known.simulate)(*given, plan, seeds[part]))
    found = np.concatenate(joblib.Parallel(n_jobs=n_jobs, verbose=10 * int(verbose > 0))(tasks))
    found = found.reshape(len(fixed), len(free), plan.n_draws)
    return found if across else found.swapaxes(0, 1)


def _map(subject, x, y, size, n_points):
    """Check the arguments, and return grids and what theory predicts."""
    known = _known(subject)
    if not (isinstance(size, (int, np.integer)) and size >= 4):
        raise ValueError(f"size={size!r} must be a whole number, 4 or more.")
    grids = []
    for name, given, ends in zip("xy", (x, y), known.ranges, strict=True):
        grid = np.linspace(ends[0], ends[1], n_points) if given is None else given
        grid = np.asarray(grid, dtype=float)
        if grid.ndim != 1 or len(grid) == 0 or not np.isfinite(grid).all():
            raise ValueError(f"{name}={given!r} must be finite numbers in one dimension.")
        grids.append(np.unique(grid))
    points = [grid.ravel() for grid in np.meshgrid(*grids)]
    values = np.asarray(known.theory(*points, size), dtype=float)
    return *grids, values.reshape(len(grids[1]), len(grids[0]))
