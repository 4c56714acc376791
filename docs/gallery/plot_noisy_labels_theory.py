"""
Noisy labels: theory against simulation
=======================================

The theory of learning with noisy labels is about large data, yet its numbers are right at a few
hundred rows. Here two Gaussian classes are drawn again and again, and classifiers trained on their
noisy labels are measured on fresh, clean data: points are means over draws, with bars of one standard
deviation. The curves are the theory. No curve was fitted to the points.
"""

# %%
# The problem
# -----------
# 500 rows, 250 features, class means at :math:`\pm\mu` with :math:`\|\mu\| = 1.6`. 70 % of the rows are
# positive; 30 % of the negative and 40 % of the positive labels are wrong.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from skrmt.datasets import make_noisy_mixture
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import NoiseSensitivityDisplay
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.theory.noisy_labels import intercept_ridge, lpc, optimal_shift

n, p, mean_norm, prior, noise_rates = 500, 250, 1.6, 0.7, (0.3, 0.4)
n_draws, n_test = 10, 2000
# Some classifiers below are bad on purpose, and warn.
warnings.simplefilter("ignore", TheoryWarning)


def draw(rates, seed, prior=prior):
    """Return noisy training data and clean test data."""
    X, y, clean, _ = make_noisy_mixture(
        n + n_test,
        p,
        mean_norm=mean_norm,
        class_prior=(1 - prior, prior),
        noise_rates=rates,
        random_state=seed,
    )
    return X[:n], y[:n], X[n:], clean[n:]


def lpc_accuracy(shift, rates, seed, alpha):
    """Return the accuracy of the labels-perturbed classifier on clean labels."""
    X, y, X_test, y_test = draw(rates, seed)
    # Only the difference of the two numbers matters; this choice keeps their sum below 1.
    perturbation = (min(0.0, -shift), min(0.0, shift))
    model = NoiseAwareLinearClassifier(
        alpha, noise_rates=rates, method="lpc", perturbation=perturbation
    )
    return model.fit(X, y).score(X_test, y_test)


# %%
# Accuracy against the perturbation
# ---------------------------------
# The labels-perturbed classifier is ridge regression without intercept whose targets are the observed
# labels, coded -1 and +1, shifted by :math:`d = \rho_+ - \rho_-`. The naive choice :math:`d = 0` and
# the unbiased one :math:`d = \varepsilon_+ - \varepsilon_-` are far from the best, which has a closed
# form, :func:`~skrmt.theory.noisy_labels.optimal_shift`. On the wrong side there is a shift at which
# nothing is learned, and beyond it predictions are turned over.

shifts = np.linspace(-0.6, 2.6, 9)
measured = [
    [lpc_accuracy(d, noise_rates, s, alpha=1.0) for s in range(n_draws)]
    for d in shifts
]
display = NoiseSensitivityDisplay.from_theory(
    p / n,
    mean_norm,
    alpha=1.0,
    noise_rates=noise_rates,
    prior=prior,
    against="rho",
    empirical=(shifts, measured),
)
display.ax_.legend(frameon=False, fontsize=8.5, loc="lower right")
plt.show()

# %%
# Accuracy against the noise
# --------------------------
# The same problem from clean labels to useless ones, the two rates in the ratio 3 to 4, with a
# strong penalty: with optimal targets, more penalty is always better here. What lies between the
# optimal curve and the Bayes curve is out of reach for ridge regression on the labels.

levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
empirical = {}
for name in ("naive", "optimal"):
    accuracies = np.empty((len(levels), n_draws))
    for k, level in enumerate(levels):
        rates = (level * 3 / 7, level * 4 / 7)
        shift = optimal_shift(prior, rates) if name == "optimal" else 0.0
        for seed in range(n_draws):
            accuracies[k, seed] = lpc_accuracy(shift, rates, seed, alpha=10.0)
    share = levels * ((1 - prior) * 3 / 7 + prior * 4 / 7)
    empirical[name] = (share, accuracies)

display = NoiseSensitivityDisplay.from_theory(
    p / n,
    mean_norm,
    alpha=10.0,
    noise_rates=noise_rates,
    prior=prior,
    against="noise",
    empirical=empirical,
)
display.ax_.legend(frameon=False, fontsize=8.5, loc="lower left")
plt.show()

# %%
# Accuracy against the penalty
# ----------------------------
# `method="threshold"` is ridge regression with an intercept on the labels as they are, and a threshold
# that allows for their noise; "lpc" shifts the targets. The rates are given; the threshold is estimated
# from the rows, which the theory (:func:`~skrmt.theory.noisy_labels.intercept_ridge`,
# :func:`~skrmt.theory.noisy_labels.lpc`) takes as known.

alphas, curve = np.logspace(-2, 2, 5), np.logspace(-2.2, 2.2, 60)
shift = optimal_shift(prior, noise_rates)
problem = {"prior": prior, "noise_rates": noise_rates}
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
for method, colour in (("threshold", "#0072B2"), ("lpc", "#D55E00")):
    measured = np.empty((len(alphas), n_draws))
    for seed in range(n_draws):
        X, y, X_test, y_test = draw(noise_rates, seed)
        for k, alpha in enumerate(alphas):
            model = NoiseAwareLinearClassifier(
                alpha, noise_rates=noise_rates, method=method
            )
            measured[k, seed] = model.fit(X, y).score(X_test, y_test)
    if method == "lpc":
        theory = lpc(p / n, curve, mean_norm, shift=shift, **problem).accuracy
    else:
        theory = intercept_ridge(p / n, curve, mean_norm, **problem).accuracy
    ax.plot(
        curve, theory, color=colour, linewidth=2, label=f"{method}, theory"
    )
    ax.errorbar(
        alphas,
        measured.mean(1),
        measured.std(1, ddof=1),
        fmt="o",
        capsize=2,
        color=colour,
        label=f"{method}, mean of {n_draws} ± 1 s.d.",
    )
ax.set(xscale="log", xlabel="Penalty alpha", ylabel="Accuracy, clean labels")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#E3E3E3", linewidth=0.8)
ax.legend(frameon=False, loc="lower right")
plt.show()

# %%
# What the noise costs, and what it hides
# ---------------------------------------
# The same classes with equal frequencies and a penalty of 3. If the rates are given, the accuracy
# predicted from the noisy rows follows the theory. If they are not, right labels of classes that
# overlap explain the rows too, and what is predicted lies between both stories. At the left end labels
# are right, and nothing is lost.

levels, equal, alpha = np.array([0.0, 0.1, 0.2, 0.3]), 0.5, 3.0
given, guessed = np.empty((2, len(levels), n_draws))
for k, level in enumerate(levels):
    for seed in range(n_draws):
        X, y, _, _ = draw((level, level), seed, prior=equal)
        model = NoiseAwareLinearClassifier(alpha, noise_rates=level).fit(X, y)
        given[k, seed] = model.theoretical_accuracy_
        model = NoiseAwareLinearClassifier(alpha).fit(X, y)
        guessed[k, seed] = model.theoretical_accuracy_

curve = np.linspace(0, 0.32, 33)
theory = intercept_ridge(
    p / n, alpha, mean_norm, noise_rates=(curve, curve)
).accuracy
figure, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
ax.plot(curve, theory, color="#6B6B6B", linewidth=2, label="theory")
for values, colour, label, move in (
    (given, "#0072B2", "predicted, rates given", -0.002),
    (guessed, "#D55E00", "predicted, rates estimated", 0.002),
):
    ax.errorbar(
        levels + move,
        values.mean(1),
        values.std(1, ddof=1),
        fmt="o",
        capsize=2,
        color=colour,
        label=f"{label}, mean ± 1 s.d.",
    )
ax.set(xlabel="Share of wrong labels", ylabel="Accuracy, clean labels")
ax.xaxis.set_major_formatter("{x:.0%}")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#E3E3E3", linewidth=0.8)
ax.legend(frameon=False, loc="lower left")
plt.show()
