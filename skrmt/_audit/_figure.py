"""The figure of an audit."""

from __future__ import annotations

import numpy as np

from ..inspection import ScoreDistributionDisplay
from ..inspection._display import COLOURS, tidy
from ..utils._optional import import_optional
from ..utils._wording import grouped, one_line
from ._frames import wrong_probabilities
from ._words import share

MOST_IN_MATRIX, MOST_BARS = 12, 20
"""Classes of which each cell can be read, and classes that fit below each other as bars."""
DARK = 0.55
"""Share above which a cell needs white digits."""


def audit_figure(audit):
    """Draw an audit."""
    if hasattr(audit.model, "theoretical_score_"):
        return audit.model.plot().figure_
    outlook = len(audit.more_rows) > 0
    figure = _new_figure(15.0 if outlook else 11.0, 5.0)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08, wspace=0.04)
    axes = figure.subplots(1, 3 if outlook else 2)
    if len(audit.model.classes_) == 2:
        ScoreDistributionDisplay.from_estimator(audit.model, ax=axes[0])
        _finish(axes[0], "How well the classes separate")
    else:
        _draw_classes(axes[0], audit)
    _draw_effort(axes[1], audit)
    if outlook:
        _draw_outlook(axes[2], audit)
    return figure


def _new_figure(width, height):
    """Return a figure outside pyplot, so that no window and no global figure is left."""
    figure = import_optional("matplotlib.figure", "cli").Figure(
        (width, height), layout="constrained"
    )
    import_optional("matplotlib.backends.backend_agg", "cli").FigureCanvasAgg(figure)
    return figure


def _finish(ax, title, grid=None):
    """Give axes their title and look."""
    if grid:
        tidy(ax, grid)
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=10)


def _plain_text(value):
    """Write a value so that Matplotlib takes no dollar sign for mathematics."""
    return one_line(value, 14).replace("$", r"\$")


def _draw_classes(ax, audit):
    """Draw which class is taken for which, or the rates where there are many classes."""
    model = audit.model
    names = [_plain_text(label) for label in model.classes_]
    if len(names) > MOST_IN_MATRIX:
        order = model.noise_rates_.argsort()[-MOST_BARS:]
        ax.barh(range(len(order)), 100 * model.noise_rates_[order], color=COLOURS["blue"])
        ax.set_yticks(range(len(order)), [names[k] for k in order])
        ax.set(xlabel="% of the true class labelled otherwise")
        _finish(ax, "Wrong labels in each class", "x")
        return
    ax.imshow(model.noise_matrix_, cmap="Blues", vmin=0, vmax=1)
    for (k, j), value in np.ndenumerate(model.noise_matrix_):
        colour = "white" if value > DARK else COLOURS["black"]
        ax.text(j, k, f"{100 * value:.0f}", ha="center", va="center", fontsize=8.5, color=colour)
    turned = max(map(len, names)) > 3
    style = {"rotation": 45 if turned else 0, "ha": "right" if turned else "center"}
    ax.set_xticks(range(len(names)), names, **style)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="label given", ylabel="true class")
    _finish(ax, "How each true class is labelled, in %")
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _draw_effort(ax, audit):
    """Draw how many wrong labels are found by checking rows in the order of the list."""
    found = np.concatenate([[0.0], np.cumsum(np.sort(wrong_probabilities(audit.model))[::-1])])
    checked, total = np.arange(len(found)), found[-1]
    style = {"color": COLOURS["blue"], "linewidth": 2.2}
    ax.plot(checked, found, label="the most suspicious first", **style)
    style = {"color": COLOURS["grey"], "linestyle": "--", "linewidth": 1.2}
    ax.plot([0, checked[-1]], [0, total], label="in any order", **style)
    ax.set(xlabel="rows checked by hand", ylabel="wrong labels found (expected)")
    ax.set(xlim=(0, None), ylim=(0, None))
    _finish(ax, "What checking would find", "both")
    _legend_below(ax)


def _legend_below(ax):
    """Put the legend where it hides nothing."""
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.15), fontsize=9, frameon=False)


def _draw_outlook(ax, audit):
    """Draw the accuracy against the number of rows, with these labels and with right ones."""
    model, found = audit.model, audit.more_rows
    present, accuracy = model.n_effective_samples_, model.theoretical_accuracy_
    style = {"color": COLOURS["blue"], "linewidth": 2.2}
    ax.plot(found.n_rows, 100 * found.labels_as_now, label="labels as they are", **style)
    style = {"color": COLOURS["green"], "linewidth": 2.2, "linestyle": (0, (5, 2))}
    ax.plot(found.n_rows, 100 * found.every_label_right, label="every label right", **style)
    low, high = 100 * model.theoretical_accuracy_interval_
    ax.vlines(present, low, high, color=COLOURS["black"], alpha=0.3, linewidth=3)
    style = {"color": COLOURS["black"], "markersize": 9, "markeredgecolor": "white"}
    label = f"now, with its 95 % interval: {share(accuracy)}"
    ax.plot(present, 100 * accuracy, "D", label=label, **style)
    ax.set_xscale("log")
    ticks = present * 2.0 ** np.arange(-2, 4)
    ax.set_xticks(ticks, [grouped(round(tick)) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="rows to train on", ylabel="accuracy on right labels, in %")
    _finish(ax, "What more rows or cleaning would bring", "both")
    _legend_below(ax)
