"""Properties of the theory of clustering from several views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.theory import nested_tensor

SIZES = st.fixed_dictionaries(
    {
        "n_samples": st.integers(50, 300),
        "n_features": st.integers(50, 300),
        "n_views": st.integers(10, 100),
    }
)
BETAS = st.floats(0.1, 4.0)
METHODS = ["unfolding", "tensor", "two_step", "nested_ml", "oracle"]


@pytest.mark.property_of("theory.nested_tensor.bayes_accuracy")
@given(st.floats(0.0, 5.0), st.floats(0.1, 5.0), st.floats(0.01, 1.0))
def test_bayes_accuracy_grows_with_the_signal_from_one_half(snr, ratio, more):
    accuracy = [nested_tensor.bayes_accuracy(s, ratio) for s in (0.0, snr, snr + more)]
    assert accuracy[0] == 0.5
    assert 0.5 <= accuracy[1] <= accuracy[2] <= 1


@pytest.mark.property_of(
    "theory.nested_tensor.unfolding",
    "theory.nested_tensor.tensor",
    "theory.nested_tensor.two_step",
    "theory.nested_tensor.nested_ml",
    "theory.nested_tensor.oracle",
    "theory.nested_tensor.NestedLimit",
    "theory.nested_tensor.TensorLimit",
)
@pytest.mark.parametrize("method", METHODS)
@given(SIZES, BETAS, BETAS)
def test_methods_reach_fractions_and_none_beats_the_oracle(method, sizes, beta_t, beta_m):
    limit = getattr(nested_tensor, method)(**sizes, beta_t=beta_t, beta_m=beta_m)
    best = nested_tensor.oracle(**sizes, beta_t=beta_t, beta_m=beta_m)
    assert isinstance(limit, nested_tensor.NestedLimit | nested_tensor.TensorLimit)
    assert 0 <= limit.sample_overlap <= best.sample_overlap + 1e-9 <= 1 + 1e-9
    assert 0.5 <= limit.accuracy <= best.accuracy + 1e-9
    assert limit.detected or limit.accuracy == 0.5


@pytest.mark.property_of("theory.nested_tensor.two_step", "theory.nested_tensor.nested_ml")
@pytest.mark.parametrize("method", METHODS)
@given(SIZES, BETAS, BETAS, st.floats(1.1, 2.0))
def test_a_stronger_signal_does_not_harm(method, sizes, beta_t, beta_m, more):
    weak, strong = (
        getattr(nested_tensor, method)(**sizes, beta_t=t, beta_m=m).accuracy
        for t, m in [(beta_t, beta_m), (more * beta_t, more * beta_m)]
    )
    assert strong >= weak - 1e-9


@pytest.mark.property_of(
    "theory.nested_tensor.performance_gap", "theory.nested_tensor.PerformanceGap"
)
@given(SIZES, BETAS, BETAS)
def test_the_gap_collects_the_methods(sizes, beta_t, beta_m):
    found = nested_tensor.performance_gap(**sizes, beta_t=beta_t, beta_m=beta_m)
    assert isinstance(found, nested_tensor.PerformanceGap)
    for method in METHODS:
        alone = getattr(nested_tensor, method)(**sizes, beta_t=beta_t, beta_m=beta_m).accuracy
        assert np.isclose(getattr(found, method), alone, atol=1e-9), method
    assert found.oracle <= found.bayes + 1e-9


@pytest.mark.property_of("theory.nested_tensor.fixed_weights")
@given(SIZES, BETAS, BETAS, st.floats(0.0, 0.9), st.floats(0.01, 0.1))
def test_weights_nearer_the_best_ones_do_better(sizes, beta_t, beta_m, cosine, more):
    near, far = (
        nested_tensor.fixed_weights(**sizes, beta_t=beta_t, beta_m=beta_m, view_cosine=c).accuracy
        for c in (cosine + more, cosine)
    )
    best = nested_tensor.oracle(**sizes, beta_t=beta_t, beta_m=beta_m).accuracy
    assert 0.5 <= far <= near <= best + 1e-9
    exact = nested_tensor.fixed_weights(**sizes, beta_t=beta_t, beta_m=beta_m, view_cosine=1.0)
    assert np.isclose(exact.accuracy, best, atol=1e-9)


@pytest.mark.property_of("theory.nested_tensor.overlap_accuracy")
@given(st.floats(0.0, 0.9), st.floats(0.001, 0.05))
def test_accuracy_grows_with_the_overlap_between_chance_and_certainty(overlap, more):
    low, high = nested_tensor.overlap_accuracy([overlap, overlap + more])
    assert 0.5 <= low < high <= 1
    np.testing.assert_array_equal(nested_tensor.overlap_accuracy([0.0, 1.0]), [0.5, 1.0])


@pytest.mark.property_of("theory.nested_tensor.imbalanced", "theory.nested_tensor.Imbalanced")
@given(st.integers(50, 800), st.integers(50, 800), st.floats(0.1, 6), st.floats(0.05, 0.5))
def test_renaming_the_classes_changes_nothing(n_samples, n_features, snr, prior):
    here, there = (
        nested_tensor.imbalanced(n_samples=n_samples, n_features=n_features, snr=snr, prior=p)
        for p in (prior, 1 - prior)
    )
    assert isinstance(here, nested_tensor.Imbalanced)
    np.testing.assert_allclose(np.array(here, float), np.array(there, float), atol=1e-7)
    assert 0 <= here.feature_overlap <= 1
    assert 0 <= here.accuracy <= 1


@pytest.mark.property_of(
    "theory.nested_tensor.matrix_spike",
    "theory.nested_tensor.MatrixSpike",
    "theory.nested_tensor.spike_strength",
)
@given(st.floats(1.0, 1000.0), st.floats(0.1, 5), st.integers(20, 300), st.integers(20, 300))
def test_strength_inverts_the_spike_and_samples_trade_with_features(signal, noise, n, p):
    spike = nested_tensor.matrix_spike(signal, noise, n, p)
    assert isinstance(spike, nested_tensor.MatrixSpike)
    swapped = nested_tensor.matrix_spike(signal, noise, p, n)
    assert np.isclose(spike.sample_overlap, swapped.feature_overlap, atol=1e-12)
    found = nested_tensor.spike_strength(spike.eigenvalue, noise, n, p)
    clear = signal > 1.02 * noise * np.sqrt(n * p)
    assert not clear or np.isclose(found, signal, rtol=1e-6)
    assert signal > noise * np.sqrt(n * p) or spike.sample_overlap == 0


@pytest.mark.property_of("theory.nested_tensor.unequal_views", "theory.nested_tensor.UnequalViews")
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(50, 500))
def test_no_weights_of_views_beat_the_best_ones(seed, m, n):
    rng = np.random.default_rng(seed)
    features, noise = rng.integers(50, 400, m), rng.uniform(0.5, 3, m)
    signal = rng.uniform(0.5, 3, m) * noise * np.sqrt(n * features)
    best = nested_tensor.unequal_views(n, features, signal, noise)
    assert isinstance(best, nested_tensor.UnequalViews)
    for weights in ("unit", rng.uniform(0.1, 2.0, m)):
        other = nested_tensor.unequal_views(n, features, signal, noise, weights=weights)
        assert other.sample_overlap <= best.sample_overlap + 1e-9
    order = rng.permutation(m)
    moved = nested_tensor.unequal_views(n, features[order], signal[order], noise[order])
    assert np.isclose(moved.sample_overlap, best.sample_overlap, atol=1e-9)


@pytest.mark.property_of("theory.nested_tensor.missing_views", "theory.nested_tensor.MissingViews")
@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 4.0))
def test_missing_views_cost_accuracy_and_rows_have_no_order(seed, signal):
    rng = np.random.default_rng(seed)
    mask = rng.random((120, 3)) < 0.7
    mask[:, 0] = True
    law = {"n_features": 80, "signal": signal, "noise": [1.0, 2.0, 4.0]}
    some = nested_tensor.missing_views(mask, **law)
    every = nested_tensor.missing_views(np.ones_like(mask), **law)
    assert isinstance(some, nested_tensor.MissingViews)
    assert 0.5 <= some.accuracy <= every.accuracy + 1e-6
    order = rng.permutation(120)
    moved = nested_tensor.missing_views(mask[order], **law)
    np.testing.assert_allclose(moved.sample_accuracies, some.sample_accuracies[order], atol=1e-6)


@pytest.mark.property_of("theory.nested_tensor.unfolding_density")
@settings(max_examples=5)
@given(SIZES)
def test_density_of_the_bulk_is_nowhere_negative_and_has_mass_at_most_one(sizes):
    x = np.linspace(1e-3, 400.0, 4000)
    density = nested_tensor.unfolding_density(x, **sizes, beta_t=0.5, beta_m=0.5)
    assert (density >= 0).all()
    assert density.sum() * (x[1] - x[0]) < 1.05


@pytest.mark.property_of("theory.nested_tensor.thresholds", "theory.nested_tensor.NestedThresholds")
@settings(max_examples=10)
@given(SIZES, st.floats(0.0, 5.0))
def test_no_method_begins_before_known_strengths(sizes, tau):
    found = nested_tensor.thresholds(**sizes, tau=tau)
    assert isinstance(found, nested_tensor.NestedThresholds)
    assert min(found) >= found.oracle * (1 - 1e-9) > 0
    # Where an overlap leaves 0 continuously, iterations settle slowly: the onset is known to 1e-4.
    assert found.nested_ml <= found.tensor * (1 + 1e-3)


@pytest.mark.property_of("theory.nested_tensor.contraction_density")
@settings(max_examples=20)
@given(SIZES, BETAS, BETAS, st.floats(0.01, 5.0))
def test_the_contracted_spectrum_is_symmetric(sizes, beta_t, beta_m, x):
    given_ = dict(**sizes, beta_t=beta_t, beta_m=beta_m)
    left, right = nested_tensor.contraction_density([-x, x], **given_)
    assert left == right >= 0
    assert nested_tensor.contraction_density(100.0, **given_) == 0
