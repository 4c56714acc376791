"""partial_fit of NextTokenModel and CollapseForecaster: the fit to the whole corpus, exactly."""

import numpy as np
import pytest

from skrmt.collapse import CollapseForecaster, NextTokenModel
from skrmt.exceptions import TheoryWarning

CURVES = (
    "theoretical_diversity_",
    "half_life_",
    "collapsed_fraction_",
    "expected_support_",
    "expected_entropy_",
    "missing_mass_",
    "effective_support_",
    "safe_synthetic_size_",
)


def corpus(n=40, seed=0):
    """Return sequences of tokens, some of them a single token."""
    rng = np.random.default_rng(seed)
    return [["a", "b", "c"]] + [
        [str(token) for token in rng.integers(0, 6, rng.integers(1, 8))] for _ in range(n)
    ]


def assert_same_model(one, other):
    assert (one.counts_ != other.counts_).nnz == 0
    assert (one.contexts_, one.tokens_) == (other.contexts_, other.tokens_)
    np.testing.assert_array_equal(one.unigram_, other.unigram_)
    assert one.n_tokens_seen_ == other.n_tokens_seen_


@pytest.mark.parametrize("size", [1, 7])
@pytest.mark.parametrize("length", [1, 2])
def test_any_parts_make_the_whole(length, size):
    """Parts of one token only count nothing, and name their token all the same."""
    texts = corpus()
    model, forecaster = NextTokenModel(length), CollapseForecaster(context_length=length)
    for start in range(0, len(texts), size):
        model.partial_fit(texts[start : start + size])
        forecaster.partial_fit(texts[start : start + size])
    assert_same_model(model, NextTokenModel(length).fit(texts))
    assert_same_model(forecaster.corpus_, model)
    whole = CollapseForecaster(context_length=length).fit(texts)
    for name in CURVES:
        np.testing.assert_array_equal(getattr(forecaster, name), getattr(whole, name), name)
    assert forecaster.at_risk_tokens_ == whole.at_risk_tokens_


def test_counts_of_a_part_may_lack_known_contexts():
    model = NextTokenModel().fit(np.array([[1, 2], [3, 4]]))
    model.partial_fit(np.array([[0, 0], [1, 0]]))
    np.testing.assert_array_equal(model.counts_.toarray(), [[1, 2], [4, 4]])
    with pytest.raises(ValueError, match="context 2 has no count"):
        model.partial_fit(np.array([[0, 0], [1, 0], [0, 0]]))


def test_counts_of_models_add_up():
    texts = corpus()
    parts = [NextTokenModel().fit(texts[:10]), NextTokenModel().fit(texts[10:])]
    whole = NextTokenModel().fit(texts)
    forecaster = CollapseForecaster().fit(parts[0]).partial_fit(parts[1])
    assert_same_model(forecaster.corpus_, whole)
    assert_same_model(parts[0], NextTokenModel().fit(texts[:10]))


def test_the_length_of_contexts_cannot_change():
    texts = corpus()
    model = NextTokenModel(1).fit(texts).set_params(context_length=2)
    with pytest.raises(ValueError, match="keep context_length, or fit anew"):
        model.partial_fit(texts)
    forecaster = CollapseForecaster().fit(texts).set_params(context_length=2)
    before = forecaster.corpus_
    with pytest.raises(ValueError, match="keep context_length"):
        forecaster.partial_fit(texts)
    assert forecaster.corpus_ is before
    assert before.context_length == 1


def test_a_failed_part_changes_nothing():
    forecaster = CollapseForecaster().fit(corpus())
    before = forecaster.half_life_, forecaster.corpus_.n_tokens_seen_
    with pytest.raises(TypeError, match="not hashable"):
        forecaster.partial_fit([[["a"], ["b"]]])
    assert (forecaster.half_life_, forecaster.corpus_.n_tokens_seen_) == before


def test_warnings_name_the_line_of_the_caller():
    with pytest.warns(TheoryWarning) as caught:
        CollapseForecaster("fresh").fit(corpus())
    assert [warning.filename for warning in caught] == [__file__]
