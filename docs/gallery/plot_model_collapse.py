"""
Training on the output of models
================================

Each generation of a next-token model is trained on what the last one wrote. How fast does its diversity
go, what is lost first, and how much synthetic text is safe? `CollapseForecaster` reads the answers off the
counts of the corpus; simulated chains of models check them.
"""

# %%
# A corpus
# --------
# The manual that comes with Python, as words: a model of which word follows which.

import re
import warnings
from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np
from skrmt.collapse import CollapseForecaster, NextTokenModel
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import (
    CollapseForecastDisplay,
    SafeAmountDisplay,
    TokenSurvivalDisplay,
)

pages = [re.findall("[a-z_]+", text.lower()) for text in topics.values()]
corpus = [page for page in pages if len(page) > 1]
model = NextTokenModel().fit(corpus)
print(f"{model.n_tokens_seen_} words, {len(model.contexts_)} contexts")

# %%
# Six ways of mixing data
# -----------------------
# Lines are forecasts, points simulated chains with two standard errors. Training on the last model alone
# loses the corpus; keeping the corpus, or fresh real text, stops the loss.

forecasters = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", TheoryWarning)
    for scheme in (
        "full",
        "window",
        "random",
        "partial",
        "accumulate",
        "fresh",
    ):
        window = 5 if scheme == "window" else None
        forecasters[scheme] = CollapseForecaster(
            scheme, window=window, n_generations=60
        ).fit(model)
CollapseForecastDisplay.from_estimators(
    forecasters, n_chains=10, random_state=0
)
plt.show()

# %%
# What dies first
# ---------------
# The contexts of a word that is often followed by another know hundreds of them. Tokens of low rank are
# lost first, and those that stay become ever fewer.

rows = np.asarray(model.counts_.sum(axis=1)).ravel()
often = int(rows.argmax())
counts = model.counts_[[often]].toarray().ravel()
frequencies = counts[counts > 0] / counts.sum()
display = TokenSurvivalDisplay.from_theory(
    frequencies, int(rows[often]), [1, 20, 200, 2000]
)
display.figure_.suptitle(
    f"Words after {model.contexts_[often][0]!r}, seen {rows[often]} times"
)
plt.show()

# %%
# The pairs of words that are most likely lost within 60 generations:

for token in forecasters["full"].at_risk_tokens_[:3]:
    print(
        f"{' '.join(token.context)} {token.token}: lost with probability "
        f"{token.probability:.3f}"
    )

# %%
# Contexts collapse
# -----------------
# A context has collapsed when it knows a single word. The forecast is that of the genealogy of tokens: how
# many of the first generation have descendants in a later one.

full = forecasters["full"]
simulated = full.simulate(20, random_state=1, curve="collapsed_fraction")
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
axes[0].plot(full.collapsed_fraction_, color="#0072B2", label="forecast")
axes[0].plot(
    simulated.conditions["generation"][::5],
    simulated.score[::5],
    "o",
    color="#D55E00",
    label="simulated",
)
axes[0].set(
    xlabel="Generation", ylabel="Share of contexts with one word", ylim=(0, 1)
)
axes[0].legend(frameon=False)
simulated = full.simulate(20, random_state=2, curve="entropy")
axes[1].plot(full.expected_entropy_, color="#0072B2", label="forecast")
axes[1].plot(
    simulated.conditions["generation"][::5],
    simulated.score[::5],
    "o",
    color="#D55E00",
    label="simulated",
)
axes[1].set(xlabel="Generation", ylabel="Entropy, nats")
axes[1].set_ylim(bottom=0)
for axis in axes:
    axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# How much is safe
# ----------------
# If the corpus is trained on again in each generation, any amount of synthetic text adds at most half the
# variance that the corpus has already (dotted lines: from there on, everything is safe). The condition that
# the paper proves sufficient is stricter by many orders of magnitude. Here for a context seen a million
# times.

SafeAmountDisplay.from_theory(10**6, p=frequencies)
plt.show()
