"""What the displays share: reading fitted attributes, axes, colours, percentages.

Nothing here changes Matplotlib's state: every style is set on the artists themselves.
"""

import numpy as np

from ..utils._optional import import_optional
from ..utils._sklearn_compat import NotFittedError

# Okabe and Ito's palette, which colour-blind readers tell apart.
COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#222222",
    "grey": "#8A8A8A",
}


def class_colour(k):
    """Return the colour of the k-th class."""
    return COLOURS[("blue", "orange", "green", "purple", "vermilion", "sky")[k % 6]]


def fitted_attributes(estimator, *names):
    """Read attributes of a fitted estimator."""
    estimator = _innermost(estimator)
    kind = type(estimator).__name__
    if not hasattr(estimator, "__dict__"):
        raise TypeError(f"estimator must be a fitted estimator, got an object of type {kind}.")
    if not any(name.endswith("_") and not name.startswith("_") for name in vars(estimator)):
        raise NotFittedError(f"This {kind} is not fitted yet: call its 'fit' before drawing it.")
    missing = [name for name in names if not hasattr(estimator, name)]
    if missing:
        raise ValueError(
            f"This {kind} has no attribute {', '.join(missing)}: the display draws estimators of "
            "skrmt that predict their own accuracy, such as NoiseAwareLinearClassifier."
        )
    return [_on_host(getattr(estimator, name)) for name in names]


def _on_host(value):
    """Bring a torch tensor to a NumPy array, and leave the rest."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _innermost(estimator):
    """Return the estimator inside pipelines and searches."""
    if isinstance(estimator, type):
        raise TypeError(f"Got the class {estimator.__name__}: give a fitted instance of it.")
    if hasattr(estimator, "best_estimator_"):
        return _innermost(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return _innermost(estimator.steps[-1][1])
    return estimator


def as_points(points, name):
    """Check measured points."""
    try:
        positions, accuracies = points
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be a pair (positions, accuracies).") from error
    positions = np.atleast_1d(np.asarray(positions, dtype=float))
    accuracies = np.atleast_1d(np.asarray(accuracies, dtype=float))
    if accuracies.ndim == 1:
        accuracies = accuracies[:, None]
    if positions.ndim != 1 or accuracies.ndim != 2 or len(positions) != len(accuracies):
        raise ValueError(
            f"{name} has positions of shape {positions.shape} and accuracies of shape "
            f"{accuracies.shape}: give one row of accuracies for each position."
        )
    return positions, accuracies


def draw_points(ax, positions, accuracies, **style):
    """Draw means over repeats, with bars of one standard deviation if there are repeats."""
    spread = accuracies.std(axis=1, ddof=1) if accuracies.shape[1] > 1 else None
    style = {"fmt": "o", "markersize": 5, "capsize": 2, "elinewidth": 1.1, "zorder": 4} | style
    return ax.errorbar(positions, accuracies.mean(axis=1), yerr=spread, **style)


def new_axes(ax, figsize=(6.0, 4.0)):
    """Return the axes to draw on, new ones in a figure of their own where `ax` is None."""
    pyplot = import_optional("matplotlib.pyplot", "plot")
    if ax is None:
        _, ax = pyplot.subplots(figsize=figsize, layout="constrained")
    return ax


def tidy(ax, grid="y"):
    """Give axes the look of the displays: two spines, a light grid behind the curves."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_axisbelow(True)
    if grid is not None:
        ax.grid(True, axis=grid, color="#E3E3E3", linewidth=0.8)


def percent_axis(axis):
    """Write the fractions of an axis as percentages."""
    ticker = import_optional("matplotlib.ticker", "plot")
    axis.set_major_formatter(ticker.FuncFormatter(_tick_percent))


def _tick_percent(value, _position):
    """Write a tick as a percentage; a function of the module, so that figures can be pickled."""
    return f"{100 * value:.6g}%"


def percent(fraction, digits=1):
    """Write a fraction as a percentage."""
    return f"{100 * fraction:.{digits}f}%"
