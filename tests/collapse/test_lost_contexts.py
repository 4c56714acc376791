"""Contexts lost in text generated freely, against models that are sampled and fitted again."""

from __future__ import annotations

from pydoc_data.topics import topics

import joblib
import numpy as np
import pytest

from skrmt.collapse import CollapseForecaster, NextTokenModel

WORDS = topics["with"].split()
LINES = [line.split() for line in topics["with"].splitlines() if line.strip()]
APART = [[*WORDS, WORDS[0]], [f"{word}#" for word in [*WORDS, WORDS[0]]]]
"""Two languages, neither of which leads to the other."""
RUNS = [word for word in WORDS for _ in range(1 + len(word) % 4)]
"""Every word once to four times in a row: its occurrences are lost together."""

PROMISED = 0.03
"""Error that the documentation promises at most, of a share of the corpus."""


def sampled(corpus, length, n_generations, seed):
    """Return the share of the corpus of lost contexts, by the public model alone."""
    first = model = NextTokenModel(length).fit(corpus)
    totals = np.asarray(first.counts_.sum(axis=1)).ravel()
    rng, lost = np.random.RandomState(seed), [0.0]
    for _ in range(n_generations):
        model = NextTokenModel(length).fit([model.sample(int(totals.sum()), rng)])
        known = set(model.contexts_)
        gone = np.array([context not in known for context in first.contexts_])
        lost.append(totals[gone].sum() / totals.sum())
    return lost


def mean_and_error(chains):
    """Return the mean of chains, and its standard error with one event as the least."""
    chains = np.asarray(chains)
    return chains.mean(axis=0), np.maximum(chains.std(axis=0, ddof=1), 1e-3) / len(chains) ** 0.5


@pytest.mark.parametrize(
    ("corpus", "length"),
    [([WORDS], 1), (LINES, 1), (LINES, 2), ([RUNS], 1), (APART, 1)],
    ids=["words", "lines", "lines of pairs", "runs", "two languages"],
)
def test_the_forecast_is_that_of_text_generated_freely(corpus, length):
    forecaster = CollapseForecaster(context_length=length, n_generations=8).fit(corpus)
    simulated = forecaster.simulate(16, 0, curve="lost_contexts")
    error = np.maximum((simulated.upper - simulated.score) / 1.96, 1e-3)
    assert (abs(forecaster.lost_context_share_ - simulated.score) <= PROMISED + 4.5 * error).all()
    assert simulated.score[8] > 0.15


@pytest.mark.parametrize("length", [1, 2])
def test_simulated_text_is_that_of_samples(length):
    forecaster = CollapseForecaster(context_length=length, n_generations=3).fit(LINES)
    ours = forecaster.simulate(40, 0, curve="lost_contexts")
    mean, error = mean_and_error([sampled(LINES, length, 3, seed) for seed in range(8)])
    both = np.hypot(error, (ours.upper - ours.score) / 1.96)
    assert (abs(ours.score - mean) <= 4.5 * both).all()


def test_words_far_ahead():
    forecaster = CollapseForecaster(n_generations=30, random_state=0).fit([WORDS])
    simulated = forecaster.simulate(12, curve="lost_contexts")
    error = np.maximum((simulated.upper - simulated.score) / 1.96, 1e-3)
    assert (abs(forecaster.lost_context_share_ - simulated.score) <= PROMISED + 4.5 * error).all()
    assert (np.diff(forecaster.lost_context_share_) > 0).all()
    again = CollapseForecaster(n_generations=30, random_state=0, n_jobs=2).fit([WORDS])
    with joblib.parallel_config(backend="threading"):
        again = again.simulate(12, curve="lost_contexts")
    np.testing.assert_array_equal(again.score, simulated.score)


def test_small_corpora_are_exact_at_first():
    """A token without memory: the first generation misses it with probability (1 - x)^n."""
    counts = np.array([[3, 1], [3, 1]])
    lost = CollapseForecaster(n_generations=4).fit(counts).lost_context_share_
    assert lost[0] == 0
    assert lost[1] == pytest.approx(0.5 * (0.25**8 + 0.75**8), rel=1e-6)


def test_one_context_is_never_lost_for_good_of_its_own_token():
    counts = np.array([[5]])
    assert (CollapseForecaster(n_generations=3).fit(counts).lost_context_share_ == 0).all()


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_other_schemes():
    for scheme, options in (("partial", {}), ("accumulate", {})):
        kept = CollapseForecaster(scheme, n_generations=3, **options).fit([WORDS])
        assert (kept.lost_context_share_ == 0).all()
    for scheme, options in (("fresh", {}), ("random", {}), ("window", {"window": 2})):
        model = CollapseForecaster(scheme, n_generations=3, **options).fit([WORDS])
        assert np.isnan(model.lost_context_share_[1:]).all()
        assert model.lost_context_share_[0] == 0
        with pytest.raises(ValueError, match="scheme='full' only"):
            model.simulate(3, curve="lost_contexts")


def test_parts_of_a_corpus_and_counts_say_the_same():
    whole = CollapseForecaster(n_generations=3).fit(LINES)
    parts = CollapseForecaster(n_generations=3).fit(LINES[:9])
    before = parts.lost_context_share_
    parts.partial_fit(LINES[9:])
    np.testing.assert_allclose(parts.lost_context_share_, whole.lost_context_share_)
    assert not np.allclose(before, whole.lost_context_share_)


def test_tokens_that_are_kept_in_each_context_keep_more_contexts():
    few = CollapseForecaster(n_generations=5).fit([WORDS]).lost_context_share_
    more = CollapseForecaster(n_synthetic=20, n_generations=5).fit([WORDS]).lost_context_share_
    assert (more[1:] < few[1:]).all()
