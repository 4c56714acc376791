"""
Batch doubling and loss spikes
==============================

A schedule of several stages is a bet: on a learning rate, on the moment at which the batch size doubles, on
the rows being clean. For least squares the whole loss curve is known before the first step.
"""

# %%
# Batch doubling
# --------------
# Three stages: a constant rate at half the critical one, the same with the batch size doubled, and a decay.
# A dot is a batch. The predicted curve was there before the fit; nothing in it is fitted to the losses.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import StandardScaler
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import NoiseFloorDisplay, StagedLossDisplay
from skrmt.linear_model import Stage, StagedSGDClassifier, StagedSGDRegressor
from skrmt.theory.sgd import (
    critical_learning_rate,
    plan_stages,
    risk_curve,
    tail_index,
)

p, noise_variance = 60, 0.25
eigenvalues = 1 / np.sqrt(1 + np.arange(p))
eigenvalues *= p / eigenvalues.sum()
truth = np.full(p, p**-0.5)


def draw(n, seed):
    """Return rows of the model and their targets."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) * np.sqrt(eigenvalues)
    return X, X @ truth + np.sqrt(noise_variance) * rng.standard_normal(n)


rate = 0.5 * critical_learning_rate(eigenvalues, 4)
stages = [
    Stage(600, 4, rate),
    Stage(600, 8, rate),
    Stage(600, 8, rate, "linear"),
]
X, y = draw(12000, 0)
model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
display = StagedLossDisplay.from_estimator(model, window=30)
_ = display.ax_.set_title("Constant, doubled batch, decay")

# %%
# The mean over a hundred runs, with two standard errors every few steps, against the recursion for Gaussian
# features at the true parameters.

short = [Stage(80, 4, rate), Stage(80, 8, rate)]
runs = np.array(
    [
        StagedSGDRegressor(short, detect_spikes=False, random_state=s)
        .fit(*draw(960, s))
        .loss_curve_
        for s in range(100)
    ]
)
places = np.arange(0, 160, 8)
_, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(
    risk_curve(eigenvalues, truth, noise_variance, short),
    color="#D55E00",
    label="theory",
)
ax.errorbar(
    places + 3.5,
    runs.reshape(100, 20, 8).mean(axis=(0, 2)),
    yerr=2 * runs.reshape(100, 20, 8).mean(axis=2).std(axis=0) / 10,
    fmt="o",
    color="#222222",
    markersize=4,
    capsize=2,
    label="mean of 100 runs, 8 steps each",
)
ax.axvline(80, color="#777777", linestyle="--", linewidth=1)
ax.set(
    xlabel="Step",
    ylabel="Half mean squared residual",
    title="Batch size doubled at step 80",
)
ax.spines[["top", "right"]].set_visible(False)
_ = ax.legend(frameon=False)

# %%
# Why double the batch? It lowers the floor as halving the rate does, and does not slow down what the rate
# still has to learn. Dotted: the critical rate of each batch size.

display = NoiseFloorDisplay.from_theory(eigenvalues, noise_variance)
_ = display.ax_.set_title("What a constant rate ends with")

# %%
# If it is rows and not steps that cost, a decay does better: `plan_stages` finds the best schedule of the
# family for 12000 rows.

plan = plan_stages(eigenvalues, noise_variance, 12000, batch_size=4)
print(*plan.stages, sep="\n")
print(
    f"predicted risk {plan.risk:.4f}, three stages above "
    f"{model.theoretical_risk_:.4f}"
)

# %%
# Spikes
# ------
# A few targets are wrong by far. Without rollback each of them costs the steps that it takes to forget it.
# With it, the fit goes back to the last snapshot and leaves the batch out.

X, y = draw(6000, 1)
y[np.random.default_rng(2).choice(6000, 4, replace=False)] += 60
figure, axes = plt.subplots(
    1, 2, figsize=(10, 4), sharey=True, layout="constrained"
)
for ax, rollback in zip(axes, (False, True), strict=True):
    model = StagedSGDRegressor(
        [Stage(1500, 4, rate)], rollback=rollback, random_state=1
    )
    StagedLossDisplay.from_estimator(model.fit(X, y), ax=ax)
    others = np.delete(
        model.loss_curve_, np.flatnonzero(model.loss_curve_ > 100)
    )
    name = "Rolled back" if rollback else "Seen and left alone"
    ax.set_title(f"{name}: mean of other losses {others.mean():.2f}")
axes[1].set_ylabel("")

# %%
# Clean data spike too, the more the larger the rate: the weights have tails that fall like a power, and a
# power of 2 at the critical rate.

for part in (0.25, 0.5, 0.75, 1.0):
    index = tail_index(part * critical_learning_rate(np.ones(10), 1), 10)
    print(f"{part:.2f} of the critical rate: tails fall like r^-{index:.1f}")

# %%
# Real features
# -------------
# Handwritten digits are far from Gaussian: a pixel that is nearly always white is a huge feature once
# standardised. The critical rate of Gaussian features would be more than ten times too large; that of the
# rows themselves is used. The curve and the accuracy are still predicted.

warnings.simplefilter("ignore", TheoryWarning)
X, y = load_digits(return_X_y=True)
X, order = (
    StandardScaler().fit_transform(X),
    np.random.default_rng(0).permutation(len(y)),
)
train, test = order[:1400], order[1400:]
digits = StagedSGDClassifier(
    [
        Stage(400, 4, "auto"),
        Stage(400, 8, "auto"),
        Stage(400, 8, "auto", "linear"),
    ],
    random_state=0,
).fit(X[train], y[train])
display = StagedLossDisplay.from_estimator(digits, window=20)
_ = display.ax_.set_title(
    f"Digits: accuracy {digits.theoretical_accuracy_:.3f} predicted, "
    f"{digits.score(X[test], y[test]):.3f} measured"
)
