"""NextTokenModel against naive counts, and what it must refuse."""

from __future__ import annotations

import itertools
import pickle
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skrmt.collapse import NextTokenModel

TEXT = __doc__ + " ".join(str(n % 7) for n in range(300)) + " the model of the token of the text"
CORPUS = [TEXT, TEXT[::-1], "a b c a b d"]


def naive(sequences, length):
    """Return the counts of every context as a dictionary of counters."""
    found = defaultdict(Counter)
    for sequence in sequences:
        for i in range(len(sequence) - length):
            found[tuple(sequence[i : i + length])][sequence[i + length]] += 1
    return found


@pytest.mark.parametrize("length", [1, 2, 3])
def test_counts_are_the_naive_ones(length):
    model = NextTokenModel(length, tokenizer=str.split).fit(CORPUS)
    expected = naive([text.split() for text in CORPUS], length)
    assert list(expected) == model.contexts_
    dense = model.counts_.toarray()
    for row, context in enumerate(model.contexts_):
        actual = {model.tokens_[j]: dense[row, j] for j in np.flatnonzero(dense[row])}
        assert actual == expected[context]
    assert model.n_tokens_seen_ == sum(sum(c.values()) for c in expected.values())


def test_probabilities_predictions_and_unseen_contexts():
    model = NextTokenModel().fit([["x", "y", "x", "y", "x", "z"]])
    proba = model.predict_proba([("x",), "y", ("never",)])
    by_token = dict(zip(model.tokens_, proba.T, strict=True))
    np.testing.assert_allclose(by_token["y"], [2 / 3, 0, 2 / 5])
    np.testing.assert_allclose(proba[2], model.unigram_)
    assert model.predict([("x",), ("y",)]) == ["y", "x"]
    assert model.predict([]) == [] and model.predict_proba([]).shape == (0, 3)


def test_smoothing_mixes_in_the_unigrams():
    plain, smooth = NextTokenModel(), NextTokenModel(smoothing=2.0)
    for model in (plain, smooth):
        model.fit([["x", "y", "x", "y", "x", "z"]])
    expected = (3 * plain.predict_proba(["x"]) + 2 * plain.unigram_) / 5
    np.testing.assert_allclose(smooth.predict_proba(["x"]), expected)


def test_score_is_the_mean_log_likelihood():
    model = NextTokenModel(smoothing=1.0, tokenizer=str.split).fit(CORPUS)
    words = CORPUS[0].split()
    column = {token: i for i, token in enumerate(model.tokens_)}
    proba = model.predict_proba([(word,) for word in words[:-1]])
    expected = np.mean([np.log(p[column[w]]) for p, w in zip(proba, words[1:], strict=True)])
    assert model.score([CORPUS[0]]) == pytest.approx(expected)
    plain = NextTokenModel(tokenizer=str.split).fit(CORPUS)
    assert plain.score([["never seen", "nor this"]]) == -np.inf


def test_counts_can_be_given():
    counts = np.array([[3, 0, 1], [0, 2, 2]])
    for X in (counts, sparse.csr_matrix(counts), sparse.coo_array(counts.astype(float))):
        model = NextTokenModel().fit(X)
        np.testing.assert_allclose(model.predict_proba([(0,)]), [[0.75, 0, 0.25]])
    assert model.score(counts) == pytest.approx(
        (3 * np.log(0.75) + np.log(0.25) + 4 * np.log(0.5)) / 8
    )


@pytest.mark.parametrize("length", [1, 2])
def test_partial_fit_is_exact(length):
    whole = NextTokenModel(length, tokenizer=str.split).fit(CORPUS)
    parts = NextTokenModel(length, tokenizer=str.split)
    for text in CORPUS:
        parts.partial_fit([text])
    assert parts.contexts_ == whole.contexts_ and parts.tokens_ == whole.tokens_
    assert (parts.counts_ != whole.counts_).nnz == 0
    np.testing.assert_allclose(parts.unigram_, whole.unigram_)


def test_samples_follow_the_model():
    counts = np.array([[1, 3], [2, 2]])
    tokens = NextTokenModel().fit(counts).sample(40_000, random_state=0)
    pairs = Counter(itertools.pairwise(tokens))
    for row, share in ((0, 0.75), (1, 0.5)):
        total = pairs[row, 0] + pairs[row, 1]
        error = np.sqrt(share * (1 - share) / total)
        assert pairs[row, 1] / total == pytest.approx(share, abs=4 * error)
    dirac = NextTokenModel().fit([["a", "a", "a"]]).sample(5, random_state=0)
    assert dirac == ["a"] * 5


def test_samples_of_longer_contexts_and_smoothing():
    model = NextTokenModel(2, smoothing=0.5, tokenizer=str.split).fit(CORPUS)
    one, other = (model.sample(200, random_state=3) for _ in range(2))
    assert one == other and set(one) <= set(model.tokens_)
    state = np.random.get_state()[1].copy()
    model.sample(3)
    assert (np.random.get_state()[1] == state).all()


def test_hashable_tokens_of_any_type():
    model = NextTokenModel().fit([[1, (2, 3), None, 1, (2, 3)]])
    assert model.predict([(1,)]) == [(2, 3)]
    assert model.predict([((2, 3),)]) == [None]


def test_many_tokens_fit_in_little_memory():
    rng = np.random.default_rng(0)
    tokens = rng.zipf(1.3, 200_000) % 5000
    model = NextTokenModel().fit([tokens.tolist()])
    assert model.counts_.sum() == 199_999


def test_clone_pickle_and_unfitted():
    model = NextTokenModel(2, smoothing=1.0)
    with pytest.raises(NotFittedError):
        model.predict([("a", "b")])
    model.fit([list("abcabd")])
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        loaded.predict_proba([("a", "b")]), model.predict_proba([("a", "b")])
    )
    assert clone(model).get_params() == model.get_params()


@pytest.mark.parametrize(
    ("parameters", "X", "error", "match"),
    [
        ({}, ["a b"], TypeError, "tokenizer"),
        ({}, "a b", TypeError, "one string"),
        ({}, 5, TypeError, "sequences"),
        ({}, [5], TypeError, r"X\[0\]"),
        ({}, [], ValueError, "no sequence"),
        ({}, [["a"], []], ValueError, r"X\[1\]"),
        ({}, [["a"]], ValueError, "context_length=1"),
        ({}, [[["a"], ["b"]]], TypeError, "hashable"),
        ({}, np.array([[1, -1]]), ValueError, "-1"),
        ({}, np.array([[0.5, 1]]), ValueError, "0.5"),
        ({}, np.array([[np.nan, 1]]), ValueError, "finite"),
        ({}, np.array([[1, 1], [0, 0]]), ValueError, "context 1"),
        ({"context_length": 0}, [["a", "b"]], ValueError, "context_length"),
        ({"smoothing": -1}, [["a", "b"]], ValueError, "smoothing"),
    ],
)
def test_bad_input(parameters, X, error, match):
    with pytest.raises(error, match=match):
        NextTokenModel(**parameters).fit(X)


def test_other_mistakes():
    model = NextTokenModel(2).fit([list("abcabd")])
    with pytest.raises(ValueError, match="1 token"):
        model.predict_proba([("a",)])
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(0)
    before = dict(vars(model))
    with pytest.raises(ValueError):
        model.fit([])
    assert vars(model) == before


@pytest.mark.parametrize(
    "X",
    [[["a", float("nan"), "a"]], [np.array([1.0, np.nan, 1.0])], [["a", pd.NA]], [["a", pd.NaT]]],
    ids=["list", "array", "NA", "NaT"],
)
def test_missing_tokens_are_refused(X):
    with pytest.raises(ValueError, match="a missing value, which equals no other"):
        NextTokenModel().fit(X)
    assert NextTokenModel().fit([["a", None, "a"]]).tokens_ == ["a", None]


def test_smoothing_makes_new_tokens_finite():
    model = NextTokenModel(smoothing=0.5, tokenizer=str.split).fit(["a b a b a c"])
    # Five tokens follow another; two new ones join them with half an occurrence each.
    new = 0.5 / (5 + 0.5 * 2)
    expected = np.log(0.5 * new / (3 + 0.5)), np.log(new)
    assert model.score([["a", "d"], ["d", "e"]]) == pytest.approx(np.mean(expected))
    alone = [model.score([["a", token], ["a", "d"]]) for token in "bc"]
    assert np.isfinite(alone).all()
    plain = NextTokenModel(tokenizer=str.split).fit(["a b a b a c"])
    assert plain.score(["a d"]) == -np.inf


@pytest.mark.parametrize("context", ["a", "never"])
def test_the_law_of_known_and_new_tokens_sums_to_one(context):
    model = NextTokenModel(smoothing=0.7).fit([list("abacabadab")])
    # Each pair occurs once in every text, so that a score is the sum of one new and known logs.
    texts = [[[context, token], [context, "x"], [context, "y"]] for token in model.tokens_]
    base = np.log(0.7 / (model.n_tokens_seen_ + 1.4))
    size = np.asarray(model.counts_.sum(axis=1)).ravel()[model.contexts_.index(("a",))]
    if context == "a":
        base += np.log(0.7 / (size + 0.7))
    known = [np.exp(3 * model.score(text) - 2 * base) for text in texts]
    assert sum(known) + 2 * np.exp(base) == pytest.approx(1)


def test_contexts_may_be_lists_or_rows_of_an_array():
    model = NextTokenModel(2).fit([list("abcabdab")])
    expected = model.predict_proba([("a", "b"), ("b", "c")])
    for contexts in ([["a", "b"], ["b", "c"]], np.array([["a", "b"], ["b", "c"]])):
        np.testing.assert_array_equal(model.predict_proba(contexts), expected)
    numbers = NextTokenModel().fit([[1, 2, 1, 3]])
    for contexts in ([[1]], [1], np.array([[1]]), np.array([1]), [(1,)]):
        np.testing.assert_array_equal(numbers.predict_proba(contexts), [[0, 0.5, 0.5]])
    with pytest.raises(ValueError, match="3 token"):
        model.predict([["a", "b", "c"]])
