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
from skrmt.theory.noisy_labels import optimal_shift, relabelling_path

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
    """Return the clean accuracy of the labels-perturbed classifier with a perturbation."""
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
measured = [[lpc_accuracy(d, noise_rates, s, alpha=1.0) for s in range(n_draws)] for d in shifts]
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
# Accuracy against rounds of relabelling
# --------------------------------------
# `method="soft"` fits the noisy labels, replaces them by the posterior means of the true ones, and
# fits again. The leave-one-out scores that the posteriors rest on are freed of their memory of the
# rows' own labels; a recursion, :func:`~skrmt.theory.noisy_labels.relabelling_path`, then gives the
# accuracy round by round. Here the classes are equally frequent, 20 % and 30 % of their labels are
# wrong, the rates are known and the penalty is held fixed. Rounds that no longer help are dropped. With
# frequencies far from equal, a few hundred rows fall short of the theory by two or three per cent.

rounds, alpha, equal, noise_rates = np.arange(5), 3.0, 0.5, (0.2, 0.3)
measured = np.empty((len(rounds), n_draws))
for seed in range(n_draws):
    X, y, X_test, y_test = draw(noise_rates, seed, prior=equal)
    for k in rounds:
        model = NoiseAwareLinearClassifier(alpha, noise_rates=noise_rates, n_relabel=int(k))
        measured[k, seed] = model.fit(X, y).score(X_test, y_test)

theory = relabelling_path(p / n, alpha, mean_norm, equal, noise_rates, n_relabel=4).accuracy
figure, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.plot(rounds, theory, color="#0072B2", linewidth=2, label="theory")
ax.errorbar(
    rounds,
    measured.mean(1),
    measured.std(1, ddof=1),
    fmt="o",
    capsize=2,
    color="#0072B2",
    label=f"measured, mean of {n_draws} ± 1 s.d.",
)
ax.set(xlabel="Rounds of relabelling", ylabel="Accuracy, clean labels", xticks=rounds)
ax.yaxis.set_major_locator(plt.MultipleLocator(0.02))
ax.yaxis.set_major_formatter("{x:.0%}")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#E3E3E3", linewidth=0.8)
ax.legend(frameon=False, loc="lower right")
plt.show()
