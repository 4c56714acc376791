"""
Components of a noisy tensor
============================

A cube of noisy measurements hides a few rank-one components, some of them similar. How many are real?
How strong are they? How close are the factors that were found to the true ones? `TensorDeflation`
answers from the tensor alone; here the truth is known, so that all of it can be checked.
"""

# %%
# Three components in a cube
# --------------------------
# Subjects, sensors and weeks; three components whose factors have cosines of 0.3 to 0.5. A single
# entry of the signal is some hundred times smaller than the noise.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    FactorAlignmentDisplay,
    PhaseDiagramDisplay,
    TensorScreeDisplay,
)
from skrmt.theory import deflation, spiked_tensor

warnings.simplefilter("ignore", TheoryWarning)
warnings.simplefilter("ignore", ConvergenceWarning)
grams = np.array([[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]])
data = make_spiked_tensor(
    (60, 80, 100), [5.0, 3.5, 2.5], grams=grams, noise_std=2.0, random_state=0
)
model = TensorDeflation(random_state=0).fit(data.X)

fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), layout="constrained"
)
TensorScreeDisplay.from_estimator(model, ax=left)
FactorAlignmentDisplay.from_estimator(
    model, true_factors=data.factors, ax=right
)
plt.show()

# %%
# The scree ends by itself: what three components leave has no larger rank-one value than noise. Crosses
# are the realised alignments; dots are predicted from the tensor alone.
#
# Deflation or a joint fit?
# -------------------------
# Subtracting the best rank one and starting again mixes similar components, however strong they
# are. Projecting one axis off the first estimate is better at the right strength. Fitting all components
# together is best. Lines are theory; points are means of six tensors.

betas = np.linspace(2.0, 8.0, 25)
cosine, dims = 0.6, (60, 60, 60)


def overlaps(limit):
    """Return the mean overlap of each estimate and its component."""
    return np.mean(np.diagonal(limit.alignments, axis1=0, axis2=1) ** 2)


curves = {"joint": [], "hotelling": [], "orthogonalized": []}
for beta in betas:
    signal = ([beta, 0.85 * beta], cosine, dims)
    curves["joint"].append(
        np.mean(deflation.joint_cp(*signal).alignments ** 2)
    )
    curves["hotelling"].append(overlaps(deflation.hotelling(*signal)))
    curves["orthogonalized"].append(
        overlaps(deflation.orthogonalized(*signal, 0.7))
    )

measured_at = np.array([3.0, 4.5, 6.0, 8.0])
measured = {name: np.empty((len(measured_at), 6)) for name in curves}
for i, beta in enumerate(measured_at):
    for seed in range(6):
        X, factors = make_spiked_tensor(
            dims, [beta, 0.85 * beta], grams=cosine, random_state=seed
        )
        for name in curves:
            fit = TensorDeflation(
                2, method=name, gamma=0.7, random_state=0
            ).fit(X)
            measured[name][i, seed] = np.mean(
                factor_alignments(fit.factors_, factors) ** 2
            )

fig, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
for name, colour in zip(
    curves, ("#0072B2", "#D55E00", "#009E73"), strict=True
):
    ax.plot(betas, curves[name], color=colour, label=f"{name}, theory")
    ax.errorbar(
        measured_at,
        measured[name].mean(1),
        measured[name].std(1),
        fmt="o",
        color=colour,
    )
ax.set(
    xlabel="Norm β of the first component",
    ylabel="Mean overlap with the truth",
    ylim=(0.4, 1.01),
)
ax.legend(frameon=False, loc="lower right")
plt.show()

# %%
# What could be found at all?
# ---------------------------
# A component whose norm is below the first of these thresholds cannot be separated from noise by any
# method that looks for the best rank one. Between the two it can be, but a spectral start is not expected
# to find it in large tensors; in tensors of this size the starts used here mostly do. Longer axes help, up
# to a point.

PhaseDiagramDisplay.from_theory("tensor-deflation", size=80)
plt.show()
limits = model.thresholds_
print(
    f"detectable from {limits.critical:.2f} on, found from "
    f"{limits.computational:.2f} on"
)

# %%
# One component, from below the threshold to well above it: predicted values and alignments, and what 12
# tensors of each strength gave.

betas = np.linspace(1.0, 3.0, 81)
limit = spiked_tensor.rank_one_limit(betas, dims)
edges = spiked_tensor.thresholds(dims)
found_at = np.array([1.0, 1.4, 1.7, 2.2, 3.0])
values, alignments = (
    np.empty((len(found_at), 12)),
    np.empty((len(found_at), 12)),
)
for i, beta in enumerate(found_at):
    for seed in range(12):
        X, factors = make_spiked_tensor(dims, [beta], random_state=seed)
        fit = TensorDeflation(1, random_state=0).fit(X)
        values[i, seed] = fit.singular_values_[0]
        alignments[i, seed] = factor_alignments(fit.factors_, factors).mean()

fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), layout="constrained"
)
left.plot(betas, limit.singular_value, label="limit")
left.errorbar(
    found_at,
    values.mean(1),
    values.std(1),
    fmt="o",
    color="#222222",
    label="measured",
)
left.axhline(edges.noise_norm, color="#D55E00", label="norm of noise")
left.set(xlabel="Norm β of the component", ylabel="Best rank-one value")
left.legend(frameon=False)
right.plot(betas, limit.alignments[:, 0], label="limit")
right.errorbar(
    found_at, alignments.mean(1), alignments.std(1), fmt="o", color="#222222"
)
right.axvline(edges.critical, color="#D55E00", label="detectable from here on")
right.set(
    xlabel="Norm β of the component", ylabel="Alignment with the true factor"
)
right.legend(frameon=False, loc="lower right")
plt.show()
