"""Properties of the theory of comparing and matching representations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.theory import representation

SEEDS = st.integers(0, 2**32 - 1)
CORRELATIONS = st.floats(0.05, 0.95)
SPECTRA = st.lists(st.floats(0.05, 4.0), min_size=2, max_size=10)


def centred_kernel(seed, n, rank=3):
    """Return the centred kernel of n random rows."""
    X = np.random.default_rng(seed).standard_normal((n, rank))
    X -= X.mean(axis=0)
    return X @ X.T


@pytest.mark.property_of(
    "theory.representation.bilinear_accuracy", "theory.representation.BilinearAccuracy"
)
@settings(max_examples=8)
@given(SEEDS, st.integers(5, 30), CORRELATIONS, st.integers(2, 50))
def test_more_chances_find_more_matches_and_rotations_do_not_matter(seed, p, rho, n_queries):
    rng = np.random.default_rng(seed)
    X, (rotation, _) = rng.standard_normal((40, p)), np.linalg.qr(rng.standard_normal((p, p)))
    law = np.eye(p), np.ones(p), np.ones(p), np.full(p, rho), n_queries
    found = representation.bilinear_accuracy(X, *law)
    assert isinstance(found, representation.BilinearAccuracy)
    assert ((found.queries >= 0) & (found.queries <= 1)).all()
    assert np.isclose(found.queries.mean(), found.accuracy)
    turned = representation.bilinear_accuracy(X @ rotation, *law)
    np.testing.assert_allclose(turned.queries, found.queries, atol=1e-6)
    assert representation.bilinear_accuracy(X, *law, k=2).accuracy >= found.accuracy - 1e-9


@pytest.mark.property_of("theory.representation.debiased_cka_null")
@given(st.integers(5, 2000))
def test_chance_alignment_is_zero_on_average_and_smaller_for_more_rows(n):
    small, large = (representation.debiased_cka_null(size) for size in (n, n + 1))
    assert small.mean == 0
    assert small.std > large.std > 0


@pytest.mark.property_of("theory.representation.effective_dimension")
@given(SPECTRA, SEEDS, st.floats(0.1, 10))
def test_effective_dimension_lies_between_one_and_the_number_of_directions(spectrum, seed, scale):
    size = representation.effective_dimension(spectrum)
    assert 1 - 1e-12 <= size <= len(spectrum) + 1e-12
    d = len(spectrum)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((d, d)))[0]
    matrix = scale * rotation * spectrum @ rotation.T
    assert np.isclose(representation.effective_dimension(matrix), size, rtol=1e-9)


@pytest.mark.property_of("theory.representation.expected_cka")
@given(SPECTRA, SPECTRA, st.integers(5, 1000), st.floats(0.1, 10))
def test_expected_alignment_of_strangers_falls_with_rows_and_has_no_scale(x, y, n, scale):
    few, many = (representation.expected_cka(size, x, y) for size in (n, n + 10))
    assert 0 <= many < few <= 1
    scaled = representation.expected_cka(n, scale * np.array(x), y)
    assert np.isclose(scaled, few, rtol=1e-9)
    assert np.isclose(representation.expected_cka(n, y, x), few, rtol=1e-9)
    assert representation.expected_cka(n, x, y, debiased=True) == 0


@pytest.mark.property_of(
    "theory.representation.permutation_moments", "theory.representation.NullMoments"
)
@settings(max_examples=10)
@given(SEEDS, st.sampled_from(["cka", "hsic"]))
def test_moments_are_those_over_all_permutations(seed, statistic):
    K, L = centred_kernel(seed, 5), centred_kernel(seed + 1, 5)
    null = representation.permutation_moments(K, L, statistic=statistic)
    assert isinstance(null, representation.NullMoments)
    values = np.array([(K * L[np.ix_(p, p)]).sum() for p in itertools.permutations(range(5))])
    if statistic == "cka":
        values /= np.linalg.norm(K) * np.linalg.norm(L)
        np.testing.assert_allclose(null, [values.mean(), values.std()], rtol=1e-8)
    else:
        assert np.isclose(null.std / null.mean, values.std() / values.mean(), rtol=1e-8)


@pytest.mark.property_of(
    "theory.representation.moments_of_invariants", "theory.representation.KernelInvariants"
)
@given(SEEDS, st.integers(5, 30), st.sampled_from(["cka", "hsic"]))
def test_three_numbers_of_each_kernel_are_enough(seed, n, statistic):
    kernels = centred_kernel(seed, n), centred_kernel(seed + 1, n)
    own = [
        representation.KernelInvariants(np.trace(K), (K**2).sum(), (np.diag(K) ** 2).sum())
        for K in kernels
    ]
    np.testing.assert_allclose(
        representation.moments_of_invariants(n, *own, statistic=statistic),
        representation.permutation_moments(*kernels, statistic=statistic),
        rtol=1e-7,
    )


@pytest.mark.property_of(
    "theory.representation.mutual_information", "theory.representation.recoverable_size"
)
@given(st.lists(CORRELATIONS, min_size=1, max_size=8), st.floats(0.01, 0.04))
def test_information_adds_up_and_grows_with_each_correlation(rho, more):
    total = representation.mutual_information(rho)
    alone = [representation.mutual_information([r]) for r in rho]
    assert np.isclose(total, sum(alone), rtol=1e-9)
    assert representation.mutual_information([*rho, 0.0]) == pytest.approx(total)
    assert representation.mutual_information([rho[0] + more, *rho[1:]]) > total
    assert representation.recoverable_size([rho[0] + more, *rho[1:]]) > (
        representation.recoverable_size(rho)
    )


@pytest.mark.property_of("theory.representation.similarity_accuracy")
@given(CORRELATIONS, st.integers(1, 400), st.integers(2, 500), st.integers(1, 5))
def test_known_pairs_help_rivals_harm_and_no_correlation_is_chance(rho, pairs, queries, k):
    k = min(k, queries)
    here = representation.similarity_accuracy(rho, pairs, queries, k=k)
    assert k / queries - 1e-9 <= here <= 1
    assert representation.similarity_accuracy(rho, pairs + 5, queries, k=k) >= here - 1e-9
    assert representation.similarity_accuracy(rho, pairs, queries + 5, k=k) <= here + 1e-9
    assert np.isclose(representation.similarity_accuracy(0.0, pairs, queries, k=k), k / queries)


@pytest.mark.property_of(
    "theory.representation.required_pairs", "theory.representation.similarity_accuracy"
)
@settings(max_examples=10)
@given(st.floats(0.3, 0.97), st.floats(0.2, 0.9), st.integers(20, 500))
def test_required_pairs_are_the_fewest_that_suffice(accuracy, rho, queries):
    pairs = representation.required_pairs(accuracy, rho, queries)
    assert representation.similarity_accuracy(rho, pairs, queries) >= accuracy - 1e-9
    if pairs > 1:
        assert representation.similarity_accuracy(rho, pairs - 1, queries) < accuracy


@pytest.mark.property_of("theory.representation.white_bilinear_accuracy")
@settings(max_examples=8)  # Each takes five double integrals.
@given(CORRELATIONS, st.integers(5, 200), st.integers(5, 500), st.integers(2, 300))
def test_white_features_match_better_with_more_known_pairs_and_correlation(rho, p, pairs, queries):
    def accuracy(rho, pairs, queries):
        return representation.white_bilinear_accuracy(rho, p, pairs, queries)

    here = accuracy(rho, pairs, queries)
    assert 1 / queries - 1e-9 <= here <= 1
    assert accuracy(rho, pairs + 10, queries) >= here - 1e-9
    assert accuracy(min(rho + 0.04, 1), pairs, queries) >= here - 1e-9
    assert accuracy(rho, pairs, queries + 10) <= here + 1e-9
    batch = representation.white_bilinear_accuracy([rho, 0.5], p, [pairs, 50], queries)
    assert np.isclose(batch[0], here, rtol=1e-9)
