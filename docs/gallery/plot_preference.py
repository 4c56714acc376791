"""
Preference losses and self-play
===============================

Which loss, which penalty, and will self-play converge? On features of the responses all of it can be
predicted, before the first test pair. Here the truth is known, so that it can be checked.
"""

# %%
# The losses
# ----------
# Losses of the margin between the chosen and the rejected response, and their slopes. dpo and robust go on
# pushing for ever; ipo pulls back to its target; the slope of exo vanishes far from it.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ndtr
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    PreferenceLossDisplay,
    SafetyUtilityDisplay,
    SelfPlayConvergenceDisplay,
)
from skrmt.preference import (
    PreferencePolicy,
    SafetyUtilityFrontier,
    SelfPlayPolicy,
    preference_gradient,
    preference_loss,
)
from skrmt.theory.preference import pairwise_accuracy

warnings.simplefilter("ignore", TheoryWarning)
PreferenceLossDisplay.from_functions(
    preference_loss,
    preference_gradient,
    ["dpo", "robust", "hinge", "ipo", "exo", "nca"],
    margins=np.linspace(-2, 3, 301),
)
plt.show()

# %%
# Predicted and measured accuracy
# -------------------------------
# Differences of features with white noise, one comparison in five wrong. The penalty does little harm when
# it is too large; under correlated noise that is no longer so.


def draw(n, p, signal, noise, spread, seed):
    """Return noisy differences, their mean, and the features' deviations."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(p)
    mean *= np.sqrt(signal) / np.linalg.norm(mean)
    scale = np.logspace(0, -spread, p)
    D = (mean + rng.standard_normal((n, p))) * scale
    D[rng.random(n) < noise] *= -1
    return D, mean * scale, scale


def measured(policy, mean, scale):
    """Return the accuracy on fresh pairs."""
    return ndtr(policy.coef_ @ mean / np.linalg.norm(policy.coef_ * scale))


alphas = np.logspace(-3, 2, 11)
fig, axes = plt.subplots(
    1, 2, figsize=(11, 4), layout="constrained", sharey=True
)
for ax, spread in zip(axes, (0.0, 1.0), strict=True):
    predicted, fresh = np.empty((2, 6, len(alphas)))
    for seed in range(6):
        D, mean, scale = draw(800, 100, 2.0, 0.2, spread, seed)
        for k, alpha in enumerate(alphas):
            policy = PreferencePolicy("ipo", alpha=alpha, noise_rate=0.2)
            policy.fit_pairs(D, np.zeros_like(D))
            predicted[seed, k] = policy.theoretical_accuracy_
            fresh[seed, k] = measured(policy, mean, scale)
    ax.plot(
        alphas,
        predicted.mean(axis=0),
        "o-",
        color="#0072B2",
        label="predicted",
    )
    ax.plot(
        alphas,
        fresh.mean(axis=0),
        "x--",
        color="#D55E00",
        label="measured on fresh pairs",
    )
    if spread == 0:
        theory = pairwise_accuracy(2.0, 800, 100, alpha=alphas, noise_rate=0.2)
        ax.plot(
            alphas,
            theory,
            color="#222222",
            lw=1,
            label="theory at the true signal",
        )
    ax.set(
        xscale="log",
        xlabel="Penalty",
        title="white noise" if spread == 0 else "correlated noise",
    )
    ax.legend(frameon=False)
axes[0].set_ylabel("Fresh pairs ranked rightly")
plt.show()

# %%
# Self-play
# ---------
# At beta 2 a round halves the error; at 0.7 the policy swings about its rest. Below one half the
# rounds diverge, as theory predicts before the first one, and drawing rejected responses from a mixture
# with the reference makes them converge.

rng = np.random.default_rng(0)
X = rng.standard_normal((2000, 5, 6))
y = (X @ rng.standard_normal(6) * 0.6 + rng.gumbel(size=(2000, 5))).argmax(
    axis=1
)
fits = {
    "beta 2": SelfPlayPolicy(2.0, n_rounds=25),
    "beta 0.7": SelfPlayPolicy(0.7, n_rounds=25),
    "beta 0.4, weight of the reference 0.6": SelfPlayPolicy(
        0.4, mixture_weight=0.6, n_rounds=25
    ),
}
fig, axes = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
for ax, (title, policy) in zip(axes, fits.items(), strict=True):
    SelfPlayConvergenceDisplay.from_estimator(policy.fit(X, y), ax=ax)
    ax.set_title(title)
plt.show()

diverging = SelfPlayPolicy(0.4, n_rounds=8).fit(X, y)
print(
    "log-likelihood by round at 0.4:", diverging.log_likelihood_path_.round(2)
)

# %%
# Safety and utility
# ------------------
# Two rewards of the same candidates, and every policy that is best for a mixture of them.

safety = rng.beta(2, 1, size=(300, 8))
utility = np.clip(
    1.2 - 0.8 * safety + 0.3 * rng.standard_normal(safety.shape), 0, 1
)
frontier = SafetyUtilityFrontier(beta=0.1).fit(safety, utility)
SafetyUtilityDisplay.from_estimator(frontier)
plt.show()
