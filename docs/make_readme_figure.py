"""Draw the picture of the README: accuracy predicted and reached, at every level of label noise.

Run it from the root of the repository; it takes a few minutes.
"""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels
from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import NoiseAwareLinearClassifier

BLUE, RED, INK, GREY = "#0072B2", "#D55E00", "#222222", "#6B6B6B"
SHARES = np.array([0.0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30])
N_SPLITS = 20
PATH = Path(__file__).parent / "_static" / "noisy_labels.png"


def problems():
    """Return title, data, labels and the rates of wrong labels at a share of them."""
    digits, tumours, diabetes = load_digits(), load_breast_cancer(), load_diabetes()
    pair = np.isin(digits.target, (4, 9))
    worse = (diabetes.target > np.median(diabetes.target)).astype(int)
    return [
        # Right labels of classes that overlap: the left end of this panel.
        ("Diabetes, above the median", diabetes.data, worse, lambda s: (0.5 * s, 1.5 * s)),
        ("Digits 4 and 9", digits.data[pair], digits.target[pair], lambda s: (0.5 * s, 1.5 * s)),
        ("Breast cancer", tumours.data, tumours.target, lambda s: (0.5 * s, 1.3 * s)),
        ("All ten digits", digits.data, digits.target, lambda s: s),
    ]


def measure(X, y, noise, seed):
    """Return predicted accuracy, its interval, that for known rates, the actual one, the rival's."""
    train, test, clean, y_test = train_test_split(
        X, y, test_size=0.5, random_state=seed, stratify=y
    )
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    labels = flip_labels(clean, noise, random_state=seed)
    model = NoiseAwareLinearClassifier().fit(train, labels)
    known = NoiseAwareLinearClassifier(noise_rates=noise).fit(train, labels)
    rival = RidgeClassifierCV(np.logspace(-4, 3, 15) * len(labels)).fit(train, labels)
    return (
        model.theoretical_accuracy_,
        *model.theoretical_accuracy_interval_,
        known.theoretical_accuracy_,
        model.score(test, y_test),
        rival.score(test, y_test),
    )


def draw(ax, title, results):
    """Draw one data set; results is (n_shares, N_SPLITS, 6)."""
    predicted, low, high, known, actual, blind = np.moveaxis(results, 2, 0)
    ax.fill_between(
        SHARES,
        low.mean(1),
        high.mean(1),
        color=BLUE,
        alpha=0.14,
        linewidth=0,
        label="its 95% interval",
    )
    ax.plot(SHARES, predicted.mean(1), color=BLUE, linewidth=2.2, label="skrmt, predicted")
    ax.plot(SHARES, known.mean(1), "--", color=BLUE, linewidth=1.6, label="predicted, rates given")
    for values, colour, marker, size, label in (
        (actual, BLUE, "o", 10.0, "skrmt, actual"),
        (blind, RED, "s", 5.5, "RidgeClassifierCV"),
    ):
        ax.plot(
            SHARES,
            values.mean(1),
            marker,
            color=colour,
            markersize=size,
            markeredgecolor="white",
            label=label,
            zorder=4,
        )
    ax.plot(SHARES, blind.mean(1), color=RED, linewidth=1, alpha=0.5)
    inside = ((low <= actual) & (actual <= high)).mean()
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=INK)
    ax.set_title(f"{inside:.0%} of the intervals hold", loc="right", fontsize=9, color=GREY)
    ax.xaxis.set_major_formatter("{x:.0%}")
    ax.yaxis.set_major_formatter("{x:.0%}")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#B5B5B5")
    ax.tick_params(color="#B5B5B5", labelcolor=GREY)
    ax.grid(axis="y", color="#E8E8E8", linewidth=0.8)
    ax.set_axisbelow(True)


def main():
    """Draw the picture."""
    figure, axes = plt.subplots(
        2, 2, figsize=(10, 7.2), sharex=True, sharey=True, layout="constrained"
    )
    for ax, (title, X, y, noise) in zip(axes.flat, problems(), strict=True):
        results = [[measure(X, y, noise(s), seed) for seed in range(N_SPLITS)] for s in SHARES]
        draw(ax, title, np.array(results))
        print(title, np.round(np.mean(results, axis=1), 3).tolist())
    figure.supylabel("accuracy on clean test rows", fontsize="medium", color=INK)
    figure.supxlabel("share of wrong labels in training", fontsize="medium", color=INK)
    figure.suptitle(
        "Right and wrong labels: what skrmt predicts from them alone, and what is measured",
        x=0.01,
        ha="left",
        fontsize=13,
        color=INK,
    )
    handles, labels = axes[0, 1].get_legend_handles_labels()
    order = [1, 0, 2, 3, 4]
    axes[0, 1].legend(
        [handles[i] for i in order], [labels[i] for i in order], loc="lower left", frameon=False
    )
    axes[0, 0].set_ylim(0.44, 1.01)
    figure.savefig(PATH, dpi=130, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    warnings.simplefilter("ignore", TheoryWarning)
    main()
