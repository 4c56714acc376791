"""
Handwritten digits with wrong labels
====================================

Some labels of real data are made wrong on purpose. `NoiseAwareLinearClassifier` sees the wrong
labels only, and estimates how many there are, which ones, and how accurate it is on *clean* labels. Since
the truth is known here, all of it can be checked. At the end the labels are right and the classes overlap, which
noisy labels resemble.
"""

# %%
# Two digits, wrong labels
# ------------------------
# Half of the pictures of a 3 or an 8 are for training. 10 % of the threes are labelled 8, and 40 % of
# the eights are labelled 3. The other half is the clean test set, which nobody has in practice.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from skrmt.datasets import flip_labels
from skrmt.exceptions import TheoryWarning
from skrmt.inspection import AccuracyPathDisplay, ScoreDistributionDisplay
from skrmt.linear_model import NoiseAwareLinearClassifier

digits = load_digits()
# Where a fit warns that a number is uncertain, its interval below shows how much.
warnings.simplefilter("ignore", TheoryWarning)


def split(a, b, seed):
    """Return standardised halves of two digits, and the training pictures."""
    rows = np.isin(digits.target, (a, b))
    train, test, y_train, y_test = train_test_split(
        digits.data[rows],
        digits.target[rows],
        test_size=0.5,
        random_state=seed,
        stratify=digits.target[rows],
    )
    scaler = StandardScaler().fit(train)
    return (
        scaler.transform(train),
        scaler.transform(test),
        y_train,
        y_test,
        train,
    )


X, X_test, y_clean, y_test, pictures = split(3, 8, seed=0)
y = flip_labels(y_clean, (0.1, 0.4), random_state=0)

model = NoiseAwareLinearClassifier().fit(X, y)
low, high = model.theoretical_accuracy_interval_
print(
    f"{len(y)} training rows, {np.mean(y != y_clean):.0%} of the labels wrong"
)
true = [np.mean((y != y_clean)[y_clean == k]) for k in model.classes_]
print("noise rates    true     ", ", ".join(f"{rate:.0%}" for rate in true))
print(
    "               estimated",
    ", ".join(f"{rate:.0%}" for rate in model.noise_rates_),
)
print(
    f"accuracy       predicted {model.theoretical_accuracy_:.3f} ({low:.3f} "
    f"to {high:.3f})"
)
print(f"               actual    {model.score(X_test, y_test):.3f}")
ridge = RidgeClassifierCV(np.logspace(-4, 3, 29) * len(y)).fit(X, y)
print(f"ridge, blind   actual    {ridge.score(X_test, y_test):.3f}")
print(f"If every label is right: {model.accuracy_if_clean_:.1%}.")
print(
    f"If some are mistakes ({model.noise_probability_:.0%}): "
    f"{model.accuracy_if_noisy_:.1%}."
)

# %%
# From 178 noisy labels it cannot be excluded that the classes overlap and every label is right: the
# prediction is a mean over both stories, and the interval contains both. If the rates are known, one
# story is left:

known = NoiseAwareLinearClassifier(noise_rates=(0.1, 0.4)).fit(X, y)
low, high = known.theoretical_accuracy_interval_
print(
    f"rates given    predicted {known.theoretical_accuracy_:.3f} ({low:.3f} "
    f"to {high:.3f})"
)
print(f"               actual    {known.score(X_test, y_test):.3f}")

# %%
# The penalty
# -----------
# The accuracy on clean labels is predicted for every penalty that was tried; here the rates are
# given. The points are what classifiers with these penalties reach on clean test rows, over eight
# splits; the curve is what the first of them predicts from its noisy labels. Which penalty to take is
# decided by the leave-one-out error on the noisy labels: the largest of many predictions would be too
# good to be true. The curve keeps the decision made at the chosen penalty, which does not suit the small
# scores of the largest ones: there it is too low.

rates = (0.1, 0.4)
first = NoiseAwareLinearClassifier(noise_rates=rates).fit(X, y)
penalties = first.alphas_[::3]
actual = np.empty((len(penalties), 8))
for seed in range(8):
    train, test, truth, y_test, _ = split(3, 8, seed)
    noisy = flip_labels(truth, rates, random_state=seed)
    for k, alpha in enumerate(penalties):
        other = NoiseAwareLinearClassifier(alpha, noise_rates=rates)
        actual[k, seed] = other.fit(train, noisy).score(test, y_test)
display = AccuracyPathDisplay.from_estimator(
    first, test_points=(penalties, actual)
)
display.ax_.set_ylim(bottom=0.62)
display.ax_.set_title(
    "Digits 3 and 8, 10 % and 40 % of the labels wrong", loc="left"
)
plt.show()

# %%
# The scores
# ----------
# Every prediction rests on the held-out scores. On the left they are split by the *true* class;
# on the right by what the classifier believes, from noisy labels alone. The curves are its Gaussians,
# the same in both; no accuracy is made from them.

figure, axes = plt.subplots(
    1, 2, figsize=(10, 4), layout="constrained", sharey=True
)
bins = np.linspace(
    model.held_out_scores_.min(), model.held_out_scores_.max(), 26
)
ScoreDistributionDisplay.from_estimator(
    model, y_clean=y_clean, bins=bins, ax=axes[0]
)
ScoreDistributionDisplay.from_estimator(model, bins=bins, ax=axes[1])
axes[0].set_title("By the true class", loc="left")
axes[1].set_title("By the estimated class: all that training sees", loc="left")
axes[1].set(ylabel="")
plt.show()

# %%
# The pictures to look at
# -----------------------
# `find_label_issues` ranks the rows by the probability that their label is wrong. That probability
# leaves room for right labels, so that few are above one half; the order is good all the same. Green
# frames: the label is wrong indeed.

issues = model.find_label_issues(threshold=0)
wrong = y != y_clean
for first_rows in (16, wrong.sum()):
    share = wrong[issues.indices[:first_rows]].mean()
    print(f"of the first {first_rows} rows, {share:.0%} are wrong")

figure, axes = plt.subplots(2, 8, figsize=(10, 3.6), layout="constrained")
suggested = model.classes_[model.label_posterior_.argmax(axis=1)]
for ax, i in zip(axes.flat, issues.indices, strict=False):
    ax.imshow(
        pictures[i].reshape(8, 8), cmap="gray_r", interpolation="bilinear"
    )
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"given {y[i]}", fontsize=10)
    ax.set_xlabel(f"suggested {suggested[i]}", fontsize=10)
    for spine in ax.spines.values():
        spine.set(color="#009E73" if wrong[i] else "#D55E00", linewidth=2)
figure.suptitle(
    "The 16 most suspicious labels", fontsize=11, x=0.01, ha="left"
)
plt.show()

# %%
# More and more wrong labels
# --------------------------
# Two other digits, at every level of noise: what is predicted from noisy labels (line: mean over the
# splits; band: mean ends of the 95 % intervals), also where the rates are given, what is reached on
# clean test rows, and what `RidgeClassifierCV` makes of the same labels. Without the rates the
# prediction is too low, since right labels keep some probability; the interval allows for it. A nine is mislabelled three times as often as a four,
# so that near 30 % the nines labelled 4 are almost as many as those labelled 9.

shares = np.array([0.0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30])
n_splits = 8
results = np.empty((len(shares), n_splits, 6))
for k, share in enumerate(shares):
    for seed in range(n_splits):
        X, X_test, y_clean, y_test, _ = split(4, 9, seed)
        rates = (0.5 * share, 1.5 * share)
        y = flip_labels(y_clean, rates, random_state=seed)
        model = NoiseAwareLinearClassifier().fit(X, y)
        known = NoiseAwareLinearClassifier(noise_rates=rates).fit(X, y)
        ridge = RidgeClassifierCV(np.logspace(-4, 3, 15) * len(y)).fit(X, y)
        results[k, seed] = (
            model.theoretical_accuracy_,
            *model.theoretical_accuracy_interval_,
            known.theoretical_accuracy_,
            model.score(X_test, y_test),
            ridge.score(X_test, y_test),
        )

predicted, low, high, given, actual, blind = np.moveaxis(results, 2, 0)
figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
ax.fill_between(
    shares,
    low.mean(1),
    high.mean(1),
    color="#0072B2",
    alpha=0.15,
    linewidth=0,
    label="95% interval",
)
ax.plot(
    shares, predicted.mean(1), color="#0072B2", linewidth=2, label="predicted"
)
ax.plot(
    shares,
    given.mean(1),
    "--",
    color="#0072B2",
    label="predicted, rates given",
)
style = {"fmt": "o", "capsize": 2, "markersize": 6, "markeredgecolor": "white"}
ax.errorbar(
    shares,
    actual.mean(1),
    actual.std(1),
    color="#0072B2",
    label="actual",
    **style,
)
style["fmt"] = "s"
ax.errorbar(
    shares,
    blind.mean(1),
    blind.std(1),
    color="#D55E00",
    label="RidgeClassifierCV",
    **style,
)
ax.set(xlabel="Share of wrong labels", ylabel="Accuracy, clean test rows")
ax.xaxis.set_major_formatter("{x:.0%}")
ax.yaxis.set_major_formatter("{x:.0%}")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#E3E3E3", linewidth=0.8)
ax.set_title(
    f"Digits 4 and 9, {n_splits} splits: mean and one standard deviation",
    loc="left",
)
ax.legend(frameon=False, loc="lower left")
plt.show()

inside = np.mean((low <= actual) & (actual <= high))
print(
    f"{inside:.0%} of the {actual.size} intervals contain the actual accuracy"
)

# %%
# Right labels, overlapping classes
# ---------------------------------
# People of the same description differ. Here survival depends on sex, class and age as it did among the
# passengers of a ship; every label is right, and the best possible classifier is right for 77 %. Two
# clouds, the men and the women, with a fifth of "wrong" labels in each, look like noise. The more
# rows, the closer the prediction, and the narrower the interval.


def passengers(n, rng):
    """Return features, survival, and the chance of the likelier outcome."""
    woman = rng.random(n) < 0.35
    cabin = rng.choice([1, 2, 3], n, p=[0.25, 0.2, 0.55])
    age = np.clip(rng.normal(30, 14, n), 1, 75)
    odds = np.exp(-1.2 + 2.6 * woman - 1.1 * (cabin - 2) - 0.03 * (age - 30))
    survived = (rng.random(n) < odds / (1 + odds)).astype(int)
    table = np.column_stack([woman, cabin == 1, cabin == 3, (age - 30) / 14])
    return table.astype(float), survived, np.maximum(odds, 1) / (1 + odds)


sizes, n_draws = np.array([100, 200, 400, 800, 1600, 3200]), 10
results = np.empty((len(sizes), n_draws, 4))
rng = np.random.default_rng(0)
X_test, y_test, best = passengers(20_000, rng)
for k, size in enumerate(sizes):
    for draw in range(n_draws):
        X, y, _ = passengers(size, rng)
        model = NoiseAwareLinearClassifier().fit(X, y)
        results[k, draw] = (
            model.theoretical_accuracy_,
            *model.theoretical_accuracy_interval_,
            model.score(X_test, y_test),
        )

predicted, low, high, actual = np.moveaxis(results, 2, 0)
figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
ax.fill_between(
    sizes,
    low.mean(1),
    high.mean(1),
    color="#0072B2",
    alpha=0.15,
    linewidth=0,
    label="95% interval",
)
ax.plot(
    sizes, predicted.mean(1), color="#0072B2", linewidth=2, label="predicted"
)
style["fmt"] = "o"
ax.errorbar(
    sizes,
    actual.mean(1),
    actual.std(1),
    color="#0072B2",
    label="actual",
    **style,
)
ax.axhline(
    best.mean(),
    color="#6B6B6B",
    linewidth=1,
    linestyle=":",
    label="best possible",
)
ax.set(
    xscale="log", xlabel="Training rows", ylabel="Accuracy", ylim=(0.6, 0.95)
)
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.minorticks_off()
ax.yaxis.set_major_formatter("{x:.0%}")
ax.spines[["top", "right"]].set_visible(False)
ax.grid(axis="y", color="#E3E3E3", linewidth=0.8)
ax.set_title(f"Survival by sex, class and age, {n_draws} draws", loc="left")
ax.legend(frameon=False, loc="upper right")
plt.show()

inside = np.mean((low <= actual) & (actual <= high))
print(
    f"{inside:.0%} of the {actual.size} intervals contain the actual accuracy"
)
