"""
When synthetic data help, and when they hurt
============================================

Fifty pictures of handwritten digits with right labels, and a thousand synthetic ones from Gaussians
fitted to *other* pictures. Some synthetic labels are made wrong on purpose.
`SyntheticMixClassifier` weighs the synthetic pictures and predicts its accuracy; since the test
pictures are at hand here, all of it can be checked.
"""

# %%
# Three ways to use synthetic rows
# --------------------------------
# Use none, mix everything, or let leave-one-out on the fifty real pictures decide.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from skrmt.datasets import GaussianGenerator
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    LabelNoiseTransitionDisplay,
    SyntheticValueDisplay,
    VerifierFrontierDisplay,
)
from skrmt.linear_model import SyntheticMixClassifier

warnings.simplefilter("ignore", TheoryWarning)
X_all, y_all = load_digits(return_X_y=True)
X_all = X_all / 16
penalties = np.logspace(-3, 4, 29)
noises = np.array([0.0, 0.15, 0.3, 0.45, 0.6, 0.75])


def draw(noise, seed, n_synthetic=1000):
    """Return real, synthetic and test pictures; others fit the generator."""
    order = np.random.default_rng(seed).permutation(len(y_all))
    fit, real, test = order[:400], order[400:450], order[450:]
    generator = GaussianGenerator(noise_rate=noise, random_state=seed)
    made = generator.fit(X_all[fit], y_all[fit]).sample(n_synthetic)
    return X_all[real], y_all[real], *made, X_all[test], y_all[test]


results = np.empty((len(noises), 5, 6))
for i, noise in enumerate(noises):
    for seed in range(5):
        X, y, X_made, y_made, X_test, y_test = draw(noise, seed)
        mix = SyntheticMixClassifier().fit(
            X, y, X_synthetic=X_made, y_synthetic=y_made
        )
        alone = RidgeClassifierCV(penalties).fit(X, y)
        pooled = RidgeClassifierCV(penalties).fit(
            np.concatenate([X, X_made]), np.concatenate([y, y_made])
        )
        results[i, seed] = (
            alone.score(X_test, y_test),
            pooled.score(X_test, y_test),
            mix.score(X_test, y_test),
            mix.theoretical_accuracy_,
            *mix.noise_rate_interval_,
        )
means = results.mean(1)

fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), layout="constrained"
)
for column, name, style in (
    (0, "real rows only", "s:"),
    (1, "everything mixed", "^--"),
    (2, "SyntheticMixClassifier", "o-"),
):
    left.plot(noises, means[:, column], style, label=f"{name}, measured")
left.plot(
    noises, means[:, 3], "kx", ms=9, label="SyntheticMixClassifier, predicted"
)
left.set(
    xlabel="Share of wrong synthetic labels",
    ylabel="Accuracy on test pictures",
)
left.set_ylim(bottom=0.66)
left.legend(frameon=False, loc="lower left")
right.plot([0, 0.8], [0, 0.8], color="0.7")
right.vlines(noises, means[:, 4], means[:, 5], lw=3)
right.set(
    xlabel="Share of wrong synthetic labels, true",
    ylabel="Range, without the truth",
)
plt.show()

# %%
# With clean labels, mixing everything is best and the classifier finds it. Once most labels are wrong,
# mixing everything falls below the real pictures alone, while the classifier lowers the weight and
# keeps what is still to be learned from the synthetic pictures. It predicts its accuracy and
# bounds the share of wrong labels from training data alone.
#
# How many synthetic rows?
# ------------------------
# For 30 % of wrong labels: the accuracy that theory predicts for other numbers of synthetic pictures,
# with measured points at the weight chosen; and leave-one-out at each weight. Theory takes isotropic
# classes, and one shift lets it meet the accuracies of left-out rows, with synthetic ones and without, on
# average; here it understates what more synthetic pictures bring.

X, y, X_made, y_made, X_test, y_test = draw(0.3, seed=1)
mix = SyntheticMixClassifier().fit(
    X, y, X_synthetic=X_made, y_synthetic=y_made
)
sizes = np.array([100, 300, 1000, 3000, 10000])
measured = np.empty((len(sizes), 5))
for i, size in enumerate(sizes):
    for seed in range(5):
        _, _, more, labels, _, _ = draw(0.3, seed, size)
        fit = SyntheticMixClassifier(synthetic_weight=mix.synthetic_weight_)
        fit.fit(X, y, X_synthetic=more, y_synthetic=labels)
        measured[i, seed] = fit.score(X_test, y_test)

fig, (left, right) = plt.subplots(
    1, 2, figsize=(11, 4.2), layout="constrained"
)
SyntheticValueDisplay.from_estimator(
    mix, ax=left, test_points=(sizes, measured)
)
left.set_ylim(bottom=0.6)
left.legend(frameon=False, fontsize="small", loc="lower left")
SyntheticValueDisplay.from_estimator(mix, kind="weight", ax=right)
plt.show()
print(mix.data_report())

# %%
# What a verifier is worth
# ------------------------
# Without real rows, training on synthetic ones works up to a critical share of wrong labels: a jump
# for infinitely many rows, a smooth fall for as many as there are. A verifier moves that point. Below
# the red line, a verifier is worth its loss of rows.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(11.5, 4.2), layout="constrained"
)
LabelNoiseTransitionDisplay.from_theory(
    1.5, keep_correct=0.8, keep_incorrect=0.3, ax=left
)
VerifierFrontierDisplay.from_theory(
    0.3, ax=right, verifiers={"strict": (0.7, 0.1), "random": (0.5, 0.5)}
)
plt.show()
