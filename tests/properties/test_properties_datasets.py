"""Properties of the generators of data, and of the helpers for tests."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from skrmt import datasets, decomposition, exceptions, utils
from skrmt.utils import testing

SEEDS = st.integers(0, 2**31 - 1)
ROWS, FEATURES = st.integers(4, 40), st.integers(2, 12)
RATES = st.floats(0.0, 0.45)


def same(first, second):
    """Tell whether two draws are the same in every array."""
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.property_of("datasets.flip_labels")
@given(SEEDS, st.integers(2, 4), RATES)
def test_flips_keep_the_labels_that_exist_and_follow_their_names(seed, k, rate):
    y = np.arange(40) % k
    before = y.copy()
    noisy = datasets.flip_labels(y, rate, random_state=seed)
    assert set(noisy) <= set(y)
    np.testing.assert_array_equal(y, before)
    named = datasets.flip_labels(np.array(list("abcd"))[y], rate, random_state=seed)
    np.testing.assert_array_equal(named, np.array(list("abcd"))[noisy])
    np.testing.assert_array_equal(datasets.flip_labels(y, 0.0, random_state=seed), y)


@pytest.mark.property_of("datasets.flip_labels")
@settings(max_examples=10)
@given(SEEDS, st.floats(0.05, 0.45))
def test_the_share_of_wrong_labels_is_the_rate_within_five_standard_errors(seed, rate):
    y = np.arange(4000) % 2
    wrong = np.mean(datasets.flip_labels(y, rate, random_state=seed) != y)
    assert abs(wrong - rate) <= 5 * np.sqrt(rate * (1 - rate) / 4000)


@pytest.mark.property_of("datasets.make_noisy_mixture", "datasets.NoisyMixture")
@given(SEEDS, ROWS, FEATURES, RATES)
def test_mixtures_repeat_with_their_seed_and_only_labels_are_noisy(seed, n, p, rate):
    data = datasets.make_noisy_mixture(n, p, noise_rates=rate, random_state=seed)
    assert isinstance(data, datasets.NoisyMixture)
    assert data.X.shape == (n, p)
    again = datasets.make_noisy_mixture(n, p, noise_rates=rate, random_state=seed)
    assert same(data, again)
    exact = datasets.make_noisy_mixture(n, p, noise_rates=0.0, random_state=seed)
    np.testing.assert_array_equal(exact[1], exact[2])


@pytest.mark.property_of("datasets.make_synthetic_mix", "datasets.SyntheticMix")
@given(SEEDS, ROWS, ROWS, FEATURES)
def test_synthetic_rows_are_counted_and_repeat_with_their_seed(seed, n, m, p):
    data = datasets.make_synthetic_mix(n, m, p, random_state=seed)
    again = datasets.make_synthetic_mix(n, m, p, random_state=seed)
    assert isinstance(data, datasets.SyntheticMix)
    assert data.X.shape == (n + m, p)
    assert data.sample_source.sum() == m
    assert same(data, again)


@pytest.mark.property_of("datasets.make_spiked_tensor", "datasets.SpikedTensor")
@given(SEEDS, st.tuples(*[st.integers(3, 8)] * 3), st.floats(0.0, 0.9), st.floats(0.1, 9))
def test_factors_have_norm_one_and_their_cosines(seed, dims, gram, beta):
    data, none = (
        datasets.make_spiked_tensor(dims, [b, 1e-9], grams=gram, random_state=seed)
        for b in (beta, 1e-9)
    )
    assert isinstance(data, datasets.SpikedTensor)
    for factor in data.factors:
        np.testing.assert_allclose(factor.T @ factor, [[1, gram], [gram, 1]], atol=1e-9)
    spike = np.einsum("i,j,k->ijk", *(factor[:, 0] for factor in data.factors))
    added = data.X - none.X
    strength = (added * spike).sum()
    np.testing.assert_allclose(added, strength * spike, atol=1e-7)
    assert np.isclose(strength, beta * np.sqrt(sum(dims)), rtol=1e-6)


@pytest.mark.property_of("datasets.make_nested_views", "datasets.NestedViews")
@given(SEEDS, ROWS, FEATURES, st.lists(st.floats(0.1, 5.0), min_size=1, max_size=4))
def test_views_have_their_shape_and_repeat_with_their_seed(seed, n, p, noise):
    data = datasets.make_nested_views(n, p, noise_stds=noise, random_state=seed)
    assert isinstance(data, datasets.NestedViews)
    assert data.X.shape == (n, p, len(noise))
    assert len(data.y) == n
    assert same(data, datasets.make_nested_views(n, p, noise_stds=noise, random_state=seed))


@pytest.mark.property_of("datasets.make_noisy_copies", "datasets.NoisyCopies")
@given(SEEDS, ROWS, FEATURES, st.floats(0.5, 4.0))
def test_noisy_copies_scale_with_their_data_and_a_clean_one_is_the_data(seed, n, p, scale):
    X = np.random.default_rng(seed).standard_normal((n, p))
    here = datasets.make_noisy_copies(X, [0.0, 1.0], random_state=seed).X
    there = datasets.make_noisy_copies(scale * X, [0.0, 1.0], random_state=seed).X
    np.testing.assert_array_equal(here[:, :, 0], X)
    np.testing.assert_allclose(there, scale * here, rtol=1e-9)


@pytest.mark.property_of("datasets.make_paired_encoders", "datasets.PairedEncoders")
@given(SEEDS, ROWS, FEATURES, FEATURES)
def test_paired_encoders_see_the_same_items(seed, n, p, q):
    data = datasets.make_paired_encoders(n, p, q, n_latent=3, random_state=seed)
    assert isinstance(data, datasets.PairedEncoders)
    assert (len(data.X), len(data.Y), len(data.latent)) == (n, n, n)
    again = datasets.make_paired_encoders(n, p, q, n_latent=3, random_state=seed)
    assert same(data, again)
    exact = datasets.make_paired_encoders(n, p, q, n_latent=1, noise_std=0.0, random_state=seed).X
    assert np.linalg.matrix_rank(exact, tol=1e-8) == 1


@pytest.mark.property_of("datasets.make_correlated_graphs", "datasets.CorrelatedGraphs")
@given(SEEDS, st.integers(3, 30), st.floats(0.0, 1.0))
def test_matched_graphs_are_symmetric_and_the_same_at_correlation_one(seed, n, correlation):
    data = datasets.make_correlated_graphs(n, correlation, random_state=seed)
    assert isinstance(data, datasets.CorrelatedGraphs)
    for matrix in (data.A, data.B):
        np.testing.assert_array_equal(matrix, matrix.T)
    assert sorted(data.indices) == list(range(n))
    exact = datasets.make_correlated_graphs(n, 1.0, random_state=seed)
    np.testing.assert_allclose(exact.A, exact.B[np.ix_(exact.indices, exact.indices)])


@pytest.mark.property_of("datasets.GaussianGenerator")
@settings(max_examples=10)
@given(SEEDS, st.floats(-5, 5))
def test_generated_rows_move_with_the_data_and_repeat_with_the_seed(seed, shift):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((40, 3)), np.arange(40) % 2
    drawn = [
        datasets.GaussianGenerator(random_state=seed).fit(Z, y).sample(60)
        for Z in (X, X, X + shift)
    ]
    assert same(drawn[0], drawn[1])
    np.testing.assert_allclose(drawn[2][0], drawn[0][0] + shift, atol=1e-8)
    np.testing.assert_array_equal(drawn[2][1], drawn[0][1])
    assert set(drawn[0][1]) == {0, 1}


@pytest.mark.property_of("decomposition.factor_alignments")
@given(SEEDS, st.integers(3, 8), st.permutations(range(3)))
def test_alignments_follow_order_and_ignore_sign_and_length_of_the_true_factors(seed, n, order):
    rng = np.random.default_rng(seed)
    found = [rng.standard_normal((n, 3)) for _ in range(3)]
    truth = [rng.standard_normal((n, 3)) for _ in range(3)]
    here = decomposition.factor_alignments(found, truth)
    assert ((here >= 0) & (here <= 1 + 1e-12)).all()
    moved = [-2.0 * factor[:, list(order)] for factor in truth]
    np.testing.assert_allclose(
        decomposition.factor_alignments(found, moved), here[list(order)], atol=1e-12
    )
    np.testing.assert_allclose(decomposition.factor_alignments(found, found), 1)


@pytest.mark.property_of("exceptions.InconsistentVersionWarning", "exceptions.TheoryWarning")
@given(
    st.text("ab é%{\n", min_size=1, max_size=20),
    st.sampled_from([exceptions.InconsistentVersionWarning, exceptions.TheoryWarning]),
)
def test_warnings_are_filtered_as_those_of_users(message, category):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(message, category, stacklevel=1)
    assert [str(w.message) for w in caught] == [message]
    assert issubclass(caught[0].category, UserWarning)


@pytest.mark.property_of("utils.all_estimators")
@given(st.data())
def test_every_estimator_is_named_after_its_class_and_can_be_had_again(data):
    name, cls = data.draw(st.sampled_from(utils.all_estimators()))
    assert (cls.__name__, issubclass(cls, BaseEstimator)) == (name, True)
    assert [n for n, _ in utils.all_estimators()] == sorted(n for n, _ in utils.all_estimators())


class Mean(BaseEstimator):
    """Mean of samples; it takes whatever it is given."""

    def fit(self, X, y=None):
        self.mean_ = np.mean(X, axis=0)
        return self


@pytest.mark.property_of(
    "utils.testing.tensor_estimator_checks",
    "utils.testing.check_tensor_estimator",
    "utils.testing.TensorCheck",
)
@settings(max_examples=5)
@given(st.integers(4, 8))
def test_checks_are_named_callables_and_find_what_accepts_nan(n):
    X = np.random.default_rng(n).standard_normal((n, 3, 3))

    def output(fitted, X):
        return fitted.mean_

    checks = list(testing.tensor_estimator_checks(Mean(), X, output=output))
    assert all(isinstance(check, testing.TensorCheck) for check in checks)
    assert len({str(check) for check in checks}) == len(checks)
    with pytest.raises(AssertionError, match="nan"):
        testing.check_tensor_estimator(Mean(), X, output=output, scale=1, permutation=())
