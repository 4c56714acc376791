"""The figure of an audit."""

from __future__ import annotations

import numpy as np

from ..inspection import ScoreDistributionDisplay
from ..utils._wording import grouped
from ._figure import COLOURS, FAINT, INK, in_percent, new_figure, plain, plain_text

MOST_IN_MATRIX, MOST_BARS = 12, 20


def audit_figure(audit):
    """Draw an audit."""
    binary = len(audit.model.classes_) == 2
    prospects = audit.prospects is not None
    figure = new_figure(15.0 if prospects else 11.0, 5.0)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08, wspace=0.04)
    axes = figure.subplots(1, 3 if prospects else 2)
    (_draw_scores if binary else _draw_classes)(axes[0], audit)
    _draw_effort(axes[1], audit)
    if prospects:
        _draw_prospects(axes[2], audit)
    return figure


def _draw_scores(ax, audit):
    """Draw the scores of both classes."""
    ScoreDistributionDisplay.from_estimator(audit.model, ax=ax)
    plain(ax, "How well the classes separate", grid=None)


def _draw_classes(ax, audit):
    """Draw which class is taken for which, or the rates where there are many classes."""
    model = audit.model
    names = [plain_text(label, 14) for label in model.classes_]
    if len(names) > MOST_IN_MATRIX:
        order = model.noise_rates_.argsort()[-MOST_BARS:]
        ax.barh(range(len(order)), model.noise_rates_[order], color=COLOURS[0])
        ax.set_yticks(range(len(order)), [names[k] for k in order])
        in_percent(ax.xaxis)
        plain(ax, "Wrong labels in each class", grid="x")
        return
    matrix = model.noise_matrix_
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    for k, row in enumerate(matrix):
        for j, share in enumerate(row):
            text, colour = f"{100 * share:.0f}", "white" if share > 0.55 else INK
            ax.text(j, k, text, ha="center", va="center", fontsize=8.5, color=colour)
    rotation = 45 if max(map(len, names)) > 3 else 0
    ax.set_xticks(range(len(names)), names, rotation=rotation, ha="right" if rotation else "center")
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="label given", ylabel="true class")
    plain(ax, "Who carries which label, in %", grid=None)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


def _draw_effort(ax, audit):
    """Draw how many wrong labels are found by checking rows in the order of the list."""
    probabilities = audit.model.find_label_issues(threshold=0.0).probabilities
    checked = np.arange(len(probabilities) + 1)
    found = np.concatenate([[0.0], np.cumsum(probabilities)])
    total = found[-1]
    ax.plot(checked, found, color=COLOURS[0], linewidth=2.2, label="in the order of the list")
    ax.plot(
        [0, checked[-1]],
        [0, total],
        color=FAINT,
        linestyle="--",
        linewidth=1.2,
        label="in any order",
    )
    listed = len(audit.suspicious)
    ax.plot(
        listed,
        found[listed],
        "o",
        color=COLOURS[4],
        markersize=9,
        markeredgecolor="white",
        label=f"the {listed} suspicious rows: {found[listed]:.0f} of {total:.0f}",
    )
    ax.set(xlabel="rows checked by hand", ylabel="wrong labels found (expected)")
    ax.set(xlim=(0, None), ylim=(0, None))
    plain(ax, "What checking would find")
    _legend_below(ax)


def _legend_below(ax):
    """Put the legend where it hides nothing."""
    ax.legend(loc="upper left", bbox_to_anchor=(-0.02, -0.15), fontsize=9, frameon=False)


def _draw_prospects(ax, audit):
    """Draw the accuracy against the number of rows, with these labels and with right ones."""
    model = audit.model
    present = model.n_effective_samples_
    sizes = np.geomspace(present / 4, 8 * present, 13)
    ax.plot(
        sizes,
        model.forecast(n_samples=sizes).score,
        color=COLOURS[0],
        linewidth=2.2,
        label="labels as noisy as now",
    )
    ax.plot(
        sizes,
        model.forecast(n_samples=sizes, cleaned_fraction=1.0).score,
        color=COLOURS[2],
        linewidth=2.2,
        linestyle=(0, (5, 2)),
        label="every label right",
    )
    low, high = model.theoretical_accuracy_interval_
    ax.vlines(present, low, high, color=INK, alpha=0.3, linewidth=3)
    label = f"now, with its 95% interval: {100 * model.theoretical_accuracy_:.1f}%"
    style = {"color": INK, "markersize": 9, "markeredgecolor": "white"}
    ax.plot(present, model.theoretical_accuracy_, "D", label=label, **style)
    ax.set_xscale("log")
    ticks = present * 2.0 ** np.arange(-2, 4)
    ax.set_xticks(ticks, [grouped(round(tick)) for tick in ticks])
    ax.set_xticks([], minor=True)
    ax.set(xlabel="rows to train on", ylabel="accuracy on correct labels")
    in_percent(ax.yaxis)
    plain(ax, "What more rows or cleaning would bring")
    _legend_below(ax)
