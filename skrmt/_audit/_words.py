"""What an audit says in sentences."""

from __future__ import annotations

import numpy as np

REGIMES = {
    "detected": "The scores follow the labels, and one explanation of the labels is far more "
    "probable than the other.",
    "misfit": "The scores agree with the labels more or less often than expected: the prediction "
    "is doubtful. Other columns may help, or rates that you know.",
    "ambiguous": "Wrong labels and overlapping classes explain these data about as well, and the "
    "interval contains both. More rows would help, or rates that you know.",
    "undetected": "The columns do not separate the classes: all these numbers are guesses. Give "
    "more rows or other columns.",
    "too_few_rows": "There are too few different rows to predict an accuracy. Give more.",
}
SUREST = 0.99
"""No label is called wrong with more certainty, and no share is written above it."""


def share(value: float) -> str:
    """Write a share in percent; nothing is above 99 %."""
    if not np.isfinite(value):
        return "not known"
    if value > SUREST:
        return "over 99 %"
    return "below 1 %" if 0 < value < 0.005 else f"{100 * value:.0f} %"


def share_interval(ends) -> str:
    """Write an interval of shares in percent."""
    low, high = (round(100 * min(float(end), SUREST)) if np.isfinite(end) else -1 for end in ends)
    return "not known" if min(low, high) < 0 else f"{low} to {high} %"


def headline(model) -> str:
    """Return the accuracy on right labels under each explanation of the labels."""
    if model.regime_ == "too_few_rows":
        return "There are too few different rows to say how accurate a model will be."
    if model.regime_ == "undetected":
        return "The columns do not show which label a row has: nothing is known of wrong labels."
    clean, noisy = model.accuracy_if_clean_, model.accuracy_if_noisy_
    wrong = share(wrong_if_noisy(model))
    if model.noise_rates != "estimate":
        return f"With {wrong} of the labels wrong, as given: {share(model.theoretical_accuracy_)}."
    sentences = []
    if np.isfinite(clean):
        sentences.append(f"If every label is right: {share(clean)}.")
    if np.isfinite(noisy):
        sentences.append(f"If the {wrong} that disagree most are mistakes: {share(noisy)}.")
    return " ".join(sentences)


def wrong_if_noisy(model) -> float:
    """Return the share of wrong labels if some are wrong, of all rows."""
    share_wrong = float(model.class_prior_ @ model.noise_rates_)
    known = model.noise_rates != "estimate" or model.noise_probability_ == 0
    return share_wrong if known else share_wrong / float(model.noise_probability_)


def doubt(model) -> str:
    """Return how probable the explanations are."""
    if model.noise_rates != "estimate" or model.regime_ in ("undetected", "too_few_rows"):
        return ""
    return f"Probability that labels are wrong at all: {share(model.noise_probability_)}."


def beside(accuracy) -> str:
    """Return what a constant guess reaches, and the balanced accuracy."""
    guess = share(accuracy.score["always the commonest label"])
    balanced = share(accuracy.score["balanced, on labels as given"])
    return (
        f"Always guessing the commonest label: {guess}. Balanced accuracy on labels as given: "
        f"{balanced}."
    )


def caution(precision) -> str:
    """Return how many of the first rows of the list are wrong, in a sentence."""
    if len(precision) == 0:
        return ""
    parts = [f"{share(row.expected)} of the first {first}" for first, row in precision.iterrows()]
    text = f"Expected to be mislabelled: {', '.join(parts)}"
    if np.allclose(precision["expected"], precision["if_labels_are_wrong"], atol=0.02):
        return f"{text}."
    others = [share(value) for value in precision["if_labels_are_wrong"]]
    return f"{text}; if labels are wrong at all, {', '.join(others)}."
