"""
Matching real texts: descriptions and parameters
================================================

The documentation of scikit-learn describes some 500 estimators and functions. What each one does stands in a few
paragraphs, what it takes in a list of parameters. Suppose the two were torn apart: which list belongs to which
description? Two encoders that know nothing of each other turn both into vectors, 150 pairs are known, and
`EncoderMatcher` finds the others, and says beforehand how many of them will be right.
"""

# %%
# The texts
# ---------
# Everything comes with scikit-learn. Names of estimators are taken out: they would give the partner away.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.utils.discovery import all_estimators, all_functions
from skrmt.inspection import ScoreMatrixDisplay
from skrmt.matching import EncoderMatcher

names, descriptions, parameters = [], [], []
for name, thing in all_estimators() + all_functions():
    text = (thing.__doc__ or "").replace(name, "")
    head, found, rest = text.partition("Parameters\n")
    if found and len(head) > 80 and len(rest) > 80:
        names.append(name)
        descriptions.append(head)
        parameters.append(rest.partition("Examples\n")[0])
print(f"{len(names)} texts. For instance {names[0]}:")
print(" ".join(descriptions[0].split())[:150])
print(" ".join(parameters[0].split())[:150])

# %%
# Two encoders
# ------------
# One counts words, the other letters in groups of three to five: latent semantic analysis of both, 80 and 100
# dimensions. The spaces share no axis.

words = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, stop_words="english"),
    TruncatedSVD(80, random_state=0),
)
letters = make_pipeline(
    TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5), min_df=3
    ),
    TruncatedSVD(100, random_state=0),
)
order = np.random.default_rng(0).permutation(len(names))
X = words.fit_transform(descriptions)[order]
Y = letters.fit_transform(parameters)[order]
names = np.array(names)[order]
known, query = slice(0, 150), slice(150, 300)

# %%
# What is predicted, and what is found
# ------------------------------------
# Rows are descriptions, columns lists of parameters; a dot is a match, blue if it is right.

matcher = EncoderMatcher(random_state=0).fit(X[known], Y[known])
predicted = matcher.predict_accuracy(X[query], Y[query])
print(f"z-score {matcher.z_score_:.0f}, p-value {matcher.p_value_:.0e}")
print(f"predicted: {predicted.accuracy:.2f} ± {predicted.standard_error:.2f}")
print(f"measured: {matcher.score(X[query], Y[query]):.2f}")
ScoreMatrixDisplay.from_estimator(
    matcher, X[query], Y[query], true_match=range(150)
)
plt.show()

# %%
# Which are mistaken for which
# ----------------------------
# The surest matches, and the surest of the wrong ones: relatives.

found = matcher.match(X[query], Y[query])
surest = np.argsort(-found.confidence, kind="stable")
right = found.indices == np.arange(150)
for title, rows in (
    ("right", surest[right[surest]][:6]),
    ("wrong", surest[~right[surest]][:6]),
):
    print(title)
    for i in rows:
        match = names[query][found.indices[i]]
        print(
            f"  {names[query][i]:32} -> {match:32} confidence "
            f"{found.confidence[i]:.2f}"
        )

# %%
# Is the confidence true?
# -----------------------
# Matches in order of confidence: how many of the first ones are right, as the confidence has it, and as it is.

counts = np.arange(1, 151)
figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
ax.plot(
    counts,
    np.cumsum(found.confidence[surest]) / counts,
    color="#D55E00",
    label="predicted",
)
ax.plot(
    counts, np.cumsum(right[surest]) / counts, color="black", label="measured"
)
ax.set(
    xlabel="Matches, the surest first",
    ylabel="Share that is right",
    ylim=(0, 1.03),
)
ax.legend(frameon=False)
ax.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# How many pairs?
# ---------------
# The share of nearest neighbours among 100 that are right, forecast from 150 pairs and measured with fewer and
# with more.

pairs = [40, 75, 150, 300]
measured = []
for m in pairs:
    draws = []
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(len(X))
        model = EncoderMatcher(assignment="argmax", random_state=0).fit(
            X[shuffled[:m]], Y[shuffled[:m]]
        )
        asked = shuffled[-100:]
        draws.append(model.score(X[asked], Y[asked]))
    measured.append(draws)
curve = matcher.forecast(n_pairs=pairs, n_candidates=100)
for m, score, low, high, draws in zip(
    pairs, curve.score, curve.lower, curve.upper, measured, strict=True
):
    print(
        f"{m:4} pairs: forecast {score:.2f} ({low:.2f} to {high:.2f}), "
        f"measured {np.mean(draws):.2f}"
    )
