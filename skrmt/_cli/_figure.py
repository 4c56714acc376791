"""What the figures of the commands share."""

from __future__ import annotations

from ..utils._optional import import_optional

INK, FAINT = "#222222", "#8A8A8A"
# Okabe and Ito's palette, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")


def new_figure(width, height):
    """Make a figure outside pyplot, so that no window and no global figure is left."""
    figure = import_optional("matplotlib.figure", "cli").Figure(
        (width, height), layout="constrained"
    )
    import_optional("matplotlib.backends.backend_agg", "cli").FigureCanvasAgg(figure)
    return figure


def plain(ax, title, *, grid="both"):
    """Give axes their title and look."""
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK, pad=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(FAINT)
    ax.tick_params(colors=INK, labelsize=9, color=FAINT)
    ax.set_axisbelow(True)
    if grid is not None:
        ax.grid(True, axis=grid, color="#E6E6E6", linewidth=0.8)


def in_percent(*axes, step=None):
    """Write the fractions of some axis as percentages."""
    ticker = import_optional("matplotlib.ticker", "cli")
    for axis in axes:
        axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{100 * value:.4g}%"))
        if step is not None:
            axis.set_major_locator(ticker.MultipleLocator(step))
