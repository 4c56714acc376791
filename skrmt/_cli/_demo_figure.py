"""The figure of the demonstration."""

from __future__ import annotations

import numpy as np

from ._figure import COLOURS, FAINT, INK, in_percent, new_figure, plain
from ._output import write_figure
from ._text import likelihood

METHODS = {
    "skrmt": ("skrmt", COLOURS[0], "o"),
    "RidgeClassifierCV": ("RidgeClassifierCV", COLOURS[4], "s"),
    "LogisticRegressionCV": ("LogisticRegressionCV", "#C28500", "^"),
}
SET_COLOURS = (COLOURS[2], COLOURS[3], COLOURS[5], "#5A5A5A")
N_PICTURES = 10


def save_demo_figure(results, path, force=False):
    """Draw the figure of the demonstration."""
    figure = new_figure(12.5, 9.2)
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.10, wspace=0.03, hspace=0.03)
    figure.suptitle(
        "Learning from wrong labels: what skrmt predicts from the noisy training rows, "
        "and what is true",
        x=0.012,
        ha="left",
        fontsize=14,
        fontweight="bold",
        color=INK,
    )
    top, bottom = figure.subfigures(2, 1, height_ratios=[1.25, 1])
    left, right = top.subplots(1, 2, width_ratios=[1, 1.15])
    _draw_predictions(left, results)
    _draw_methods(right, results)
    rates, pictures = bottom.subfigures(1, 2, width_ratios=[1, 1.6])
    _draw_rates(rates.subplots(), results)
    _draw_pictures(pictures, results)
    write_figure(path, figure, 130, force)


def _draw_predictions(ax, results):
    """Draw predicted against actual accuracies, with the intervals."""
    for runs, colour in zip(results, SET_COLOURS, strict=False):
        actual = np.array([run.accuracies["skrmt"] for run in runs])
        predicted = np.array([run.model.theoretical_accuracy_ for run in runs])
        ends = np.array([run.model.theoretical_accuracy_interval_ for run in runs]).T
        ax.vlines(actual, *ends, color=colour, alpha=0.35, linewidth=1.6)
        ax.plot(
            actual,
            predicted,
            "o",
            color=colour,
            markersize=7,
            markeredgecolor="white",
            label=runs[0].problem.name,
        )
    low, high = _limits(results)
    ax.plot([low, high], [low, high], color=FAINT, linestyle="--", linewidth=1, zorder=1)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    ax.set_xlabel("actual accuracy on clean test rows")
    ax.set_ylabel("predicted accuracy, 95% interval")
    in_percent(ax.xaxis, ax.yaxis, step=0.05)
    inside = sum(run.inside for runs in results for run in runs)
    total = sum(map(len, results))
    plain(ax, f"Predicted against actual accuracy: {inside} of {total} intervals hold")
    ax.legend(loc="upper left", fontsize=9, frameon=True, edgecolor="none", framealpha=0.9)


def _limits(results):
    """Return the ends of an axis that holds all accuracies and intervals."""
    lowest = min(
        min(run.accuracies["skrmt"], run.model.theoretical_accuracy_interval_[0])
        for runs in results
        for run in runs
    )
    return max(0.0, np.floor(20 * lowest - 0.2) / 20), 1.015


def _draw_methods(ax, results):
    """Draw the accuracy of each method on each data set: every split, and the mean."""
    for k, runs in enumerate(results):
        for shift, (name, (label, colour, marker)) in zip(
            (0.2, 0, -0.2), METHODS.items(), strict=True
        ):
            values = np.array([run.accuracies[name] for run in runs])
            height = len(results) - 1 - k + shift
            ax.hlines(height, values.min(), values.max(), color=colour, alpha=0.3, linewidth=5)
            ax.plot(
                values, np.full(len(values), height), "|", color=colour, markersize=7, alpha=0.7
            )
            mean = values.mean()
            ax.plot(
                mean,
                height,
                marker,
                color=colour,
                markersize=9,
                markeredgecolor="white",
                linestyle="none",
                label=label if k == 0 else None,
            )
            ax.annotate(
                f"{100 * mean:.1f}%",
                (1.02, height),
                xycoords=("axes fraction", "data"),
                va="center",
                fontsize=9,
                color=colour,
                annotation_clip=False,
            )
    names = [runs[0].problem.name for runs in results][::-1]
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.5, len(names) - 0.5)
    ax.set_xlabel("accuracy on clean test rows, each split and mean")
    in_percent(ax.xaxis)
    plain(ax, "Trained on the same noisy labels", grid="x")
    ax.tick_params(axis="y", length=0, labelsize=10)
    ax.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.13),
        ncols=3,
        fontsize=9,
        frameon=False,
        handletextpad=0.3,
    )


def _draw_rates(ax, results):
    """Draw estimated against true noise rates."""
    largest = 0.0
    for runs, colour in zip(results, SET_COLOURS, strict=False):
        pairs = np.array([pair for run in runs for pair in _class_rates(run)])
        largest = max(largest, pairs.max())
        many = len(runs[0].model.classes_) > 2
        ax.plot(
            *pairs.T,
            "o",
            color=colour,
            markersize=4.5 if many else 7,
            markeredgecolor="white",
            markeredgewidth=0.6,
            alpha=0.55 if many else 0.95,
            zorder=2 if many else 3,
        )
    end = 1.08 * largest
    ax.plot([0, end], [0, end], color=FAINT, linestyle="--", linewidth=1, zorder=1)
    ax.set(xlim=(0, end), ylim=(0, end), aspect="equal")
    ax.set_xlabel("true share of wrong labels in a class")
    ax.set_ylabel("estimated share")
    in_percent(ax.xaxis, ax.yaxis, step=0.1)
    plain(ax, "Estimated against true noise, each class")


def _class_rates(run):
    """Return pairs of the true and the estimated rate of each class."""
    actual = [run.wrong[run.truth == label].mean() for label in run.model.classes_]
    return zip(actual, run.model.noise_rates_, strict=True)


def _draw_pictures(figure, results):
    """Draw the most suspicious pictures, with the label given and what they are."""
    run = next((runs[0] for runs in reversed(results) if runs[0].problem.pictures), None)
    if run is None:
        return
    figure.suptitle(
        f"The {N_PICTURES} most suspicious training rows ({run.problem.name})",
        x=0.03,
        ha="left",
        fontsize=11,
        fontweight="bold",
        color=INK,
    )
    issues = run.model.find_label_issues(threshold=0.0)
    axes = figure.subplots(2, N_PICTURES // 2).ravel()
    for ax, i, probability in zip(axes, *issues, strict=False):
        ax.imshow(run.problem.X[run.rows[i]].reshape(8, 8), cmap="gray_r", interpolation="bilinear")
        ax.set(xticks=[], yticks=[])
        wrong = bool(run.wrong[i])
        colour = COLOURS[2] if wrong else COLOURS[4]
        for spine in ax.spines.values():
            spine.set(color=colour, linewidth=2)
        ax.set_title(f'labelled "{run.given[i]}"', fontsize=9.5, color=INK)
        verdict = f"really a {run.truth[i]}" if wrong else "the label is right"
        ax.set_xlabel(f"{likelihood(probability)} wrong\n{verdict}", fontsize=9, color=colour)
