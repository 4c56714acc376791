"""Properties of the comparison and the matching of representations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import datasets, matching

SEEDS = st.integers(0, 10**6)
KERNELS = st.sampled_from(["linear", "rbf"])
pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def sides(seed, n=20):
    """Return two related sets of embeddings."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 4))
    return X, X @ rng.standard_normal((4, 3)) + 0.5 * rng.standard_normal((n, 3))


@pytest.mark.property_of("matching.cka", "matching.hsic")
@given(SEEDS, KERNELS, st.booleans(), st.floats(0.1, 10.0))
def test_similarity_is_symmetric_and_ignores_rotation_scale_and_origin(
    seed, kernel, debiased, scale
):
    X, Y = sides(seed)
    options = {"kernel": kernel, "debiased": debiased}
    value = matching.cka(X, Y, **options)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((4, 4)))[0]
    assert np.isclose(matching.cka(scale * X @ rotation + 3.0, Y, **options), value, atol=1e-6)
    assert np.isclose(matching.cka(Y, X, **options), value, atol=1e-9)
    assert np.isclose(matching.cka(X, X, **options), 1)
    own = [matching.hsic(Z, Z, **options) for Z in (X, Y)]
    ratio = matching.hsic(X, Y, **options) / np.sqrt(own[0] * own[1])
    assert np.isclose(ratio, value, atol=1e-9)


@pytest.mark.property_of("matching.cka_test", "matching.CKATest")
@given(SEEDS, st.booleans())
def test_the_test_reports_the_similarity_and_ignores_the_order_of_items(seed, debiased):
    X, Y = sides(seed)
    found = matching.cka_test(X, Y, debiased=debiased)
    assert isinstance(found, matching.CKATest)
    assert np.isclose(found.statistic, matching.cka(X, Y, debiased=debiased))
    assert 0 <= found.p_value <= 1
    order = np.random.default_rng(seed).permutation(20)
    moved = matching.cka_test(X[order], Y[order], debiased=debiased)
    np.testing.assert_allclose(moved, found, rtol=1e-6, atol=1e-9)


@pytest.mark.property_of("matching.cka_matrix", "matching.CKAMatrix")
@settings(max_examples=8)
@given(SEEDS)
def test_the_matrix_is_made_of_pairs(seed):
    X, Y = sides(seed)
    found = matching.cka_matrix([X, Y])
    assert isinstance(found, matching.CKAMatrix)
    np.testing.assert_allclose(found.cka, found.cka.T)
    assert np.isclose(found.cka[0, 1], matching.cka(X, Y))
    assert ((found.p_value >= 0) & (found.p_value <= 1)).all()
    swapped = matching.cka_matrix([Y, X])
    np.testing.assert_allclose(swapped.cka, found.cka[::-1, ::-1])


@pytest.mark.property_of("matching.local_cka_scores")
@given(SEEDS, KERNELS)
def test_local_scores_follow_the_queries_and_are_at_most_one(seed, kernel):
    X, Y = sides(seed)
    options = {"kernel": kernel, "debiased": False}
    here = matching.local_cka_scores(X[:14], Y[:14], X[14:], Y[14:], **options)
    assert (here <= 1 + 1e-9).all()
    order = np.random.default_rng(seed).permutation(6)
    moved = matching.local_cka_scores(X[:14], Y[:14], X[14:][order], Y[14:], **options)
    np.testing.assert_allclose(moved, here[order], atol=1e-9)


@pytest.mark.property_of("matching.quadratic_assignment", "matching.QuadraticAssignment")
@given(SEEDS, st.integers(5, 12), st.floats(0.5, 5.0))
def test_an_assignment_is_a_permutation_worth_its_objective(seed, n, scale):
    data = datasets.make_correlated_graphs(n, 0.9, random_state=seed)
    pairs = [[k, int(data.indices[k])] for k in range(2)]
    found = matching.quadratic_assignment(data.A, data.B, known_pairs=pairs, random_state=0)
    assert isinstance(found, matching.QuadraticAssignment)
    assert sorted(found.indices) == list(range(n))
    assert found.indices[0] == pairs[0][1]
    value = (data.A * data.B[np.ix_(found.indices, found.indices)]).sum()
    assert np.isclose(found.objective, value)
    scaled = matching.quadratic_assignment(
        scale * data.A, data.B, known_pairs=pairs, random_state=0
    )
    assert np.isclose(scaled.objective, scale * value, rtol=1e-6)


@pytest.mark.property_of(
    "matching.EncoderMatcher",
    "matching.KernelConfiguration",
    "matching.Matching",
    "matching.Neighbors",
    "matching.PredictedAccuracy",
)
@settings(max_examples=4)
@given(SEEDS, st.sampled_from(["kernel_cca", "local_cka", "relative"]))
def test_matches_follow_the_order_of_candidates(seed, method):
    data = datasets.make_paired_encoders(60, 8, 9, n_latent=5, random_state=seed)
    matcher = matching.EncoderMatcher(method, random_state=0).fit(data.X[:40], data.Y[:40])
    for configuration in getattr(matcher, "configurations_", ()):
        assert isinstance(configuration, matching.KernelConfiguration)
        assert configuration.alpha > 0
    found = matcher.match(data.X[40:], data.Y[40:])
    assert isinstance(found, matching.Matching)
    assert sorted(found.indices) == list(range(20))
    order = np.random.default_rng(seed).permutation(20)
    moved = matcher.match(data.X[40:], data.Y[40:][order])
    np.testing.assert_array_equal(order[moved.indices], found.indices)
    near = matcher.kneighbors(data.X[40:], data.Y[40:], n_neighbors=3)
    assert isinstance(near, matching.Neighbors)
    scores = matcher.score_matrix(data.X[40:], data.Y[40:])
    np.testing.assert_array_equal(near.indices[:, 0], scores.argmax(axis=1))
    assert (np.diff(near.scores, axis=1) <= 1e-12).all()
    predicted = matcher.predict_accuracy(data.X[40:], data.Y[40:])
    assert isinstance(predicted, matching.PredictedAccuracy)
    assert 0 <= predicted.accuracy <= 1
