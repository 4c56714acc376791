"""
Clustering several noisy views
==============================

Items are seen through several views of unknown, unequal noise, without labels. Which views are to be
trusted? Is there anything to be found? Would the clusters be the same with more items?
`NestedTensorClustering` answers from the views alone; here the truth is known, so that all of it can be
checked.
"""

# %%
# Theory against simulation
# -------------------------
# Two clusters in sixty weak views. Every method has a threshold, and the methods differ most where a
# single view shows nothing: concatenating the views is far from what their best combination reaches.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from skrmt.cluster import NestedTensorClustering
from skrmt.datasets import make_nested_views, make_noisy_copies
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    ClusteringAccuracyDisplay,
    PhaseDiagramDisplay,
    UnfoldingSpectrumDisplay,
    ViewWeightsDisplay,
)

warnings.simplefilter("ignore", TheoryWarning)
n, p, m, beta_t = 100, 80, 60, 0.4
total = n + p + m


def draw(beta_m, seed):
    """Return views of the nested model, classes and strengths of the views."""
    rng = np.random.default_rng(seed)
    h = rng.standard_normal(m)
    h /= np.linalg.norm(h)
    data = make_nested_views(
        n,
        p,
        noise_stds=np.ones(m),
        strengths=h,
        separation=beta_t * beta_m * np.sqrt(total / n),
        within_std=beta_t * np.sqrt(total / (n + p)),
        random_state=seed,
    )
    return data.X, data.y, h


def share(labels, y):
    """Return the share of right labels, whatever the clusters are called."""
    right = np.mean(labels == y)
    return max(right, 1 - right)


def measured(method, beta_m, seed):
    """Return the accuracy of a method on one draw."""
    X, y, h = draw(beta_m, seed)
    if method == "oracle":
        combined = X @ h
        return share(
            np.linalg.svd(combined - combined.mean(0))[0][:, 0] > 0, y
        )
    fit = NestedTensorClustering(
        method=method,
        noise_structure="known",
        noise_variance=np.ones(m),
        threshold="zero",
        random_state=0,
    )
    return share(fit.fit(X).labels_, y)


betas = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
points = {
    method: (
        betas,
        [[measured(method, b, seed) for seed in range(6)] for b in betas],
    )
    for method in ("unfolding", "tensor", "two_step", "nested_ml", "oracle")
}
ClusteringAccuracyDisplay.from_theory(
    n_samples=n,
    n_features=p,
    n_views=m,
    beta_t=beta_t,
    betas=np.linspace(0, 6, 61),
    points=points,
)
plt.show()

# %%
# Why concatenated views fail
# ---------------------------
# The eigenvalue that belongs to the clusters leaves the bulk of the others only where they are strong.

fig, axes = plt.subplots(
    1, 2, figsize=(11, 4), layout="constrained", sharey=True
)
for ax, beta_m in zip(axes, (3.0, 10.0), strict=True):
    X, _, _ = draw(beta_m, 0)
    flat = X.reshape(n, -1) / np.sqrt(total)
    UnfoldingSpectrumDisplay.from_theory(
        n_samples=n,
        n_features=p,
        n_views=m,
        beta_t=beta_t,
        beta_m=beta_m,
        eigenvalues=np.linalg.eigvalsh(flat @ flat.T),
        ax=ax,
    )
    ax.set_title(f"β of the matrix {beta_m:g}")
plt.show()

# %%
# What a fit predicts
# -------------------
# Four views of noise 1, 2, 3 and 6: their weights and what each would reach alone, beside the accuracy in
# four views of equal noise.

data = make_nested_views(
    400, 300, noise_stds=[1, 2, 3, 6], separation=2.0, random_state=0
)
model = NestedTensorClustering(random_state=0).fit(data.X)
fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), layout="constrained"
)
ViewWeightsDisplay.from_estimator(model, ax=left)
PhaseDiagramDisplay.from_theory("multi-view", size=300, ax=[right])
right.set_title("Theory, four views of equal noise")
plt.show()
print(
    f"predicted {model.model_accuracy_:.3f}, right "
    f"{model.score(data.X, data.y):.3f}"
)
print(
    "agreement with a fit to many more samples "
    f"{model.theoretical_accuracy_:.3f}"
)
print(f"with 4000 samples {model.forecast(n_samples=4000).score:.3f}")

# %%
# Real data
# ---------
# Noisy copies of pairs of handwritten digits. The noise within a digit is not white, and the share of
# right samples that the model predicts is too hopeful. What is claimed is the agreement, on fresh samples,
# with a fit to many more: here fits to a quarter of the samples against fits to the others.

from itertools import combinations

from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
rows = []
for a, b in list(combinations(range(10), 2))[::5]:
    chosen = np.random.default_rng(0).permutation(
        np.flatnonzero((y == a) | (y == b))
    )
    copies = make_noisy_copies(X[chosen], [0.5, 1, 2, 4], random_state=0).X
    quarter, rest = copies[: len(chosen) // 4], copies[len(chosen) // 4 :]
    fit = NestedTensorClustering(random_state=0).fit(quarter)
    large = NestedTensorClustering(random_state=0).fit(rest)
    agreed = share(fit.predict(rest), large.labels_)
    rows.append(
        (
            agreed,
            fit.theoretical_accuracy_,
            *fit.theoretical_accuracy_interval_,
        )
    )
agreed, claimed, low, high = np.transpose(rows)

fig, ax = plt.subplots(figsize=(5.4, 5), layout="constrained")
ax.plot([0.7, 1], [0.7, 1], color="#8A8A8A", lw=1)
ax.errorbar(
    agreed, claimed, (claimed - low, high - claimed), fmt="o", color="#0072B2"
)
ax.set(
    xlabel="Labels on which the larger fit agrees", ylabel="Claimed without it"
)
ax.spines[["top", "right"]].set_visible(False)
plt.show()
print(f"claimed of {np.isfinite(claimed).mean():.0%} of the pairs")
