"""
Matching two feature sets of the same digits
============================================

The left and the right part of images of handwritten digits are two views of the same items, as a picture
and its caption are. Some pairs are known. Are the views similar? Which left part belongs to which right one?
How sure is it? `EncoderMatcher` answers before it sees a single label of the queries.
"""

# %%
# Are they similar?
# -----------------
# Four feature sets: two overlapping parts of the image, its coarse version, and noise. Crosses mark what is
# not beyond chance, corrected for the number of comparisons.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from skrmt.inspection import (
    CKAMatrixDisplay,
    KnownPairsDisplay,
    ScoreMatrixDisplay,
)
from skrmt.matching import EncoderMatcher, cka_matrix

images = load_digits().images
rng = np.random.default_rng(0)
order = rng.permutation(len(images))
images = images[order]
views = {
    "left": images[:, :, :5].reshape(len(images), -1),
    "right": images[:, :, 3:].reshape(len(images), -1),
    "coarse": images.reshape(-1, 4, 2, 4, 2)
    .mean(axis=(2, 4))
    .reshape(len(images), -1),
    "noise": rng.standard_normal((len(images), 40)),
}
CKAMatrixDisplay.from_result(
    cka_matrix({name: view[:300] for name, view in views.items()})
)
plt.show()

# %%
# Which goes with which
# ---------------------
# 200 known pairs, 150 queries. Rows are left parts, columns right ones; a dot is a match, blue if it is
# right.

X, Y = views["left"], views["right"]
known, query = slice(0, 200), slice(200, 350)
matcher = EncoderMatcher(random_state=0).fit(X[known], Y[known])
predicted = matcher.predict_accuracy(X[query], Y[query])
print(f"method: {matcher.method_}, z-score {matcher.z_score_:.0f}")
print(f"predicted: {predicted.accuracy:.3f} ± {predicted.standard_error:.3f}")
print(f"measured: {matcher.score(X[query], Y[query]):.3f}")
ScoreMatrixDisplay.from_estimator(
    matcher, X[query], Y[query], true_match=range(150)
)
plt.show()

# %%
# Predicted and measured
# ----------------------
# Both assignments, all methods, ever more queries: accuracies predicted without labels against measured ones.
# Circles are nearest neighbours, squares one-to-one matches.

figure, ax = plt.subplots(figsize=(5, 4.4), layout="constrained")
colours = dict(
    zip(
        ("kernel_cca", "local_cka", "procrustes", "relative", "cca", "ridge"),
        ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"),
        strict=True,
    )
)
for method, colour in colours.items():
    for assignment, marker in (("argmax", "o"), ("hungarian", "s")):
        model = EncoderMatcher(
            method, assignment=assignment, random_state=0
        ).fit(X[known], Y[known])
        for n in (50, 200, 800):
            rows = slice(200, 200 + n)
            predicted = model.predict_accuracy(X[rows], Y[rows])
            ax.errorbar(
                model.score(X[rows], Y[rows]),
                predicted.accuracy,
                predicted.standard_error,
                fmt=marker,
                color=colour,
                markersize=5,
                alpha=0.8,
            )
    ax.plot([], [], "o", color=colour, label=method)
ax.plot([0, 1], [0, 1], color="0.7", zorder=0)
ax.set(
    xlabel="Share of right matches",
    ylabel="Predicted without labels",
    xlim=(0, 1.03),
    ylim=(0, 1.03),
)
ax.legend(frameon=False, fontsize="small")
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# How many pairs to label
# -----------------------
# The share of 200 queries whose nearest neighbour is the right one, forecast from 80 known pairs, and measured
# after fits to other numbers of known pairs. Digits that look the same in one half stay confused with any
# number of pairs: there the forecast is too high.

sizes = [20, 40, 80, 160, 320]
measured = []
for m in sizes:
    draws = []
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(len(X))
        pairs, asked = shuffled[:m], shuffled[-200:]
        model = EncoderMatcher(assignment="argmax", random_state=0).fit(
            X[pairs], Y[pairs]
        )
        draws.append(model.score(X[asked], Y[asked]))
    measured.append(draws)
model = EncoderMatcher(assignment="argmax", random_state=0).fit(X[:80], Y[:80])
n_pairs = np.unique(np.geomspace(10, 1000, 40).astype(int))
curve = model.forecast(n_pairs=n_pairs, n_candidates=200).score
KnownPairsDisplay(
    n_pairs, {"forecast from 80": curve}, points=(sizes, measured)
).plot()
plt.show()
