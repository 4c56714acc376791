"""Properties of the estimators on tensors, views, tokens and hidden states."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skrmt import cluster, collapse, datasets, decomposition, feature_extraction

SEEDS = st.integers(0, 10**6)
pytestmark = [
    pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@pytest.mark.property_of("cluster.NestedTensorClustering")
@settings(max_examples=4)
@given(SEEDS, st.floats(0.1, 10.0))
def test_clusters_follow_samples_and_ignore_features_views_and_unit(seed, scale):
    X = datasets.make_nested_views(80, 30, noise_stds=[1.0, 2.0], random_state=seed).X
    here = cluster.NestedTensorClustering(random_state=0).fit(X)
    rng = np.random.default_rng(seed)
    order = rng.permutation(30)
    there = cluster.NestedTensorClustering(random_state=0).fit(scale * X[:, order][:, :, ::-1])
    agreement = np.mean(here.labels_ == there.labels_)
    assert max(agreement, 1 - agreement) == 1
    assert np.isclose(there.theoretical_accuracy_, here.theoretical_accuracy_, atol=1e-3)
    assert 0.5 <= here.theoretical_accuracy_ <= 1 or np.isnan(here.theoretical_accuracy_)
    np.testing.assert_array_equal(here.predict(X), here.labels_)


@pytest.mark.property_of("decomposition.TensorDeflation")
@settings(max_examples=4)
@given(SEEDS, st.floats(0.1, 10.0), st.permutations(range(3)))
def test_components_follow_the_axes_and_scale_with_the_tensor(seed, scale, order):
    X = datasets.make_spiked_tensor((10, 11, 12), [9.0, 6.0], random_state=seed).X
    here = decomposition.TensorDeflation(2, random_state=0, tol=1e-9).fit(X)
    there = decomposition.TensorDeflation(2, random_state=0, tol=1e-9).fit(
        scale * X.transpose(order)
    )
    np.testing.assert_allclose(there.weights_, scale * here.weights_, rtol=1e-4)
    np.testing.assert_allclose(
        there.theoretical_alignments_, here.theoretical_alignments_[:, list(order)], atol=1e-4
    )
    assert ((here.theoretical_alignments_ >= 0) & (here.theoretical_alignments_ <= 1)).all()


@st.composite
def corpora(draw):
    """Return texts of a few words, each word twice at least."""
    words = draw(st.lists(st.sampled_from("abcde"), min_size=6, max_size=30))
    return [" ".join(words), "a b a b c a"]


@pytest.mark.property_of("collapse.NextTokenModel")
@given(corpora(), st.integers(1, 2), st.floats(0.0, 2.0))
def test_next_tokens_are_probabilities_and_texts_have_no_order(texts, length, smoothing):
    def fit(texts):
        model = collapse.NextTokenModel(length, smoothing=smoothing, tokenizer=str.split)
        return model.fit(texts)

    here, there = fit(texts), fit(texts[::-1])
    contexts = [("a", "b")[:length]]
    found, other = (np.sort(model.predict_proba(contexts)) for model in (here, there))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(other, found, atol=1e-12)
    parts = collapse.NextTokenModel(length, smoothing=smoothing, tokenizer=str.split)
    for text in texts:
        parts.partial_fit([text])
    assert np.isclose(parts.score(texts), here.score(texts))


@pytest.mark.property_of("collapse.CollapseForecaster", "collapse.AtRiskToken")
@settings(max_examples=8)
@given(st.lists(st.integers(1, 60), min_size=2, max_size=6), st.integers(0, 1000))
def test_forecasts_fall_ignore_the_order_of_tokens_and_name_the_rare(counts, seed):
    counts = np.array([counts])
    here, there = (
        collapse.CollapseForecaster(n_generations=10, random_state=0).fit(c)
        for c in (counts, counts[:, ::-1])
    )
    curve = here.theoretical_diversity_
    assert (np.diff(curve) <= 1e-12).all()
    np.testing.assert_allclose(there.theoretical_diversity_, curve, atol=1e-12)
    risks = [token.probability for token in here.at_risk_tokens_]
    assert all(isinstance(token, collapse.AtRiskToken) for token in here.at_risk_tokens_)
    assert all(0 <= risk <= 1 for risk in risks)
    assert risks == sorted(risks, reverse=True)
    simulated = here.simulate(5, seed)
    assert ((simulated.score >= 0) & (simulated.score <= 1)).all()
    assert (simulated.upper >= simulated.lower).all()


@pytest.mark.property_of(
    "feature_extraction.HuggingFaceEncoder", "feature_extraction.MemoryEstimate"
)
@given(st.integers(1, 64), st.integers(1, 5), st.sampled_from(["float32", "float16"]))
def test_memory_grows_with_the_batch_and_shrinks_with_the_precision(batch, layers, dtype):
    torch = pytest.importorskip("torch")
    with torch.random.fork_rng(devices=[]):
        model = torch.nn.Linear(4, 3)
    model.config = SimpleNamespace(
        hidden_size=8, num_hidden_layers=layers, max_position_embeddings=16
    )
    encoder = feature_extraction.HuggingFaceEncoder(model, batch_size=batch, dtype=dtype)
    need = encoder.memory_estimate()
    assert isinstance(need, feature_extraction.MemoryEstimate)
    assert need.n_parameters == 15
    assert need.total == need.weights + need.activations
    double = encoder.set_params(batch_size=2 * batch).memory_estimate()
    assert double.activations == 2 * need.activations
    full = encoder.set_params(batch_size=batch, dtype="float32").memory_estimate()
    assert full.total == need.total * (1 if dtype == "float32" else 2)


@pytest.mark.property_of("feature_extraction.HuggingFaceEncoder")
@given(st.text("ab é/-", min_size=1), st.integers(-5, 5), st.integers(1, 100), st.booleans())
def test_encoders_keep_their_parameters_in_a_copy(name, layer, batch, normalize):
    encoder = feature_extraction.HuggingFaceEncoder(
        name, layer=layer, batch_size=batch, normalize=normalize
    )
    assert clone(encoder).get_params() == encoder.get_params()
