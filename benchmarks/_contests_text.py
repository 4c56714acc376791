"""Contests on language: collapse, preferences, self-play."""

import re
from functools import cache
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np
from _contest import Contest, predicted_accuracy
from scipy.special import ndtr
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score

from skrmt.collapse import CollapseForecaster, NextTokenModel
from skrmt.preference import PreferencePolicy, SelfPlayPolicy


@cache
def corpus(seed):
    """Return next-token counts of pages of Python's manual, in random order."""
    names = np.random.default_rng(seed).permutation(sorted(topics))[:40]
    documents = [re.findall(r"[a-z_]+", topics[name].lower()) for name in names]
    return NextTokenModel().fit([words for words in documents if len(words) > 1])


def plain_chains(model):
    """Simulate 30 chains of 20 generations, context by context, as one would write it."""
    rng = np.random.default_rng(0)
    diversity = np.zeros(20)
    counts = model.counts_.toarray() if hasattr(model.counts_, "toarray") else model.counts_
    sizes = counts.sum(axis=1)
    for row, size in zip(counts, sizes, strict=True):
        tokens = row[row > 0] / size
        for _ in range(30):
            p = tokens
            for generation in range(20):
                p = rng.multinomial(int(size), p) / size
                diversity[generation] += (1 - p @ p) * size / (30 * sizes.sum())
    return diversity


def collapse():
    """Yield the contest of recursive training."""
    yield Contest(
        "model collapse",
        "diversity of 20 generations from 40 pages of text",
        "diversity at the last",
        corpus,
        lambda model: CollapseForecaster(n_generations=20).fit(model).theoretical_diversity_,
        {"simulation, 30 chains": plain_chains},
        lambda model, diversity: float(diversity[-1]),
    )


class Preferences(NamedTuple):
    """Feature differences in random order, outcomes, and the law of fresh pairs."""

    X: np.ndarray
    y: np.ndarray
    mean: np.ndarray


@cache
def preferences(seed, n=4000, p=100):
    """Draw pairs whose difference has a mean of norm 2."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(p)
    mean *= 2.0 / np.linalg.norm(mean)
    order = np.where(rng.random(n) < 0.5, 1.0, -1.0)
    X = order[:, None] * (mean + rng.standard_normal((n, p)))
    return Preferences(X, (order > 0).astype(int), mean)


def pair_accuracy(data, model):
    """Return the probability that a fresh pair is ranked rightly."""
    found = model.best_estimator_ if hasattr(model, "best_estimator_") else model
    coef = found.coef_.ravel()
    return float(ndtr(data.mean @ coef / np.linalg.norm(coef)))


def both_orders(data):
    """Return each pair in both orders, its outcomes, and which pair it is."""
    X, y = np.concatenate([data.X, -data.X]), np.concatenate([data.y, 1 - data.y])
    return X, y, np.tile(np.arange(len(data.y)), 2)


def logistic_pairs(data, folds=False):
    """Fit a logistic regression to both orders, and measure it by five folds of whole pairs."""
    X, y, pair = both_orders(data)
    model = LogisticRegression(fit_intercept=False, C=1 / (len(y) * 2e-3))
    if folds:
        cross_val_score(model, X, y, groups=pair, cv=GroupKFold(5))
    return model.fit(X, y)


def preference():
    """Yield the contests of preferences."""
    yield Contest(
        "preferences",
        "dpo, 4000 pairs x 100 features, fixed penalty",
        "accuracy on fresh pairs",
        preferences,
        lambda data: PreferencePolicy("dpo", alpha=1e-3).fit(data.X, data.y),
        {"LogisticRegression, both orders, 5 folds": lambda data: logistic_pairs(data, folds=True)},
        pair_accuracy,
        predicted_accuracy,
        {"LogisticRegression, both orders": logistic_pairs},
    )
    yield Contest(
        "preferences",
        "ipo, 4000 pairs x 100 features, penalty chosen",
        "accuracy on fresh pairs",
        preferences,
        lambda data: PreferencePolicy("ipo").fit(data.X, data.y),
        {
            "GridSearchCV, same penalties": lambda data: GridSearchCV(
                PreferencePolicy("ipo"),
                {"alpha": [float(a) for a in PreferencePolicy("ipo").fit(data.X, data.y).alphas_]},
            ).fit(data.X, data.y)
        },
        pair_accuracy,
        predicted_accuracy,
    )


class Choices(NamedTuple):
    """Features of the candidates of every prompt, and the human's choices."""

    X: np.ndarray
    y: np.ndarray


def choices(seed):
    """Draw 300 prompts of 6 candidates with 10 features, chosen by a softmax."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((300, 6, 10))
    logits = X @ rng.standard_normal(10)
    return Choices(X, (logits + rng.gumbel(size=logits.shape)).argmax(1))


def self_play():
    """Yield the contest of self-play: rounds against our certificate and fast rounds."""
    yield Contest(
        "self-play",
        "300 prompts x 6 candidates x 10 features, 20 rounds",
        "log-likelihood a prompt",
        choices,
        lambda data: SelfPlayPolicy(n_rounds=20).fit(data.X, data.y),
        {"gradient descent on every round": plain_rounds},
        lambda data, result: choice_likelihood(data, getattr(result, "coef_", result)),
    )


def choice_likelihood(data, coef):
    """Return the mean log-likelihood of the choices."""
    logits = data.X @ coef
    peak = logits.max(1, keepdims=True)
    log_normaliser = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    return float((logits[np.arange(len(data.y)), data.y] - log_normaliser).mean())


def plain_rounds(data):
    """Play 20 rounds of self-play fine-tuning with drawn opponents and 100 gradient steps each."""
    rng = np.random.default_rng(0)
    rows = np.arange(len(data.y))
    coef = np.zeros(data.X.shape[2])
    for _ in range(20):
        played = (data.X @ coef + rng.gumbel(size=data.X.shape[:2])).argmax(1)
        gaps = data.X[rows, data.y] - data.X[rows, played]
        previous, step = coef, np.zeros_like(coef)
        for _ in range(100):
            lost = 1 / (1 + np.exp(gaps @ step))
            step = step + 0.5 * (gaps * lost[:, None]).mean(0)
        coef = previous + step
    return coef


def contests():
    """Yield the contests on language."""
    for subject in (collapse, preference, self_play):
        yield from subject()
