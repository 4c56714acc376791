"""Properties of the theory of training on generated data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrmt.theory import collapse

SIZES = st.integers(2, 60)
GENERATIONS = st.integers(0, 80)
SCHEMES = st.sampled_from(["full", "accumulate", "fresh"])


@st.composite
def distributions(draw, least=2, most=8):
    """Return probabilities of a few tokens, none of them zero."""
    weights = draw(st.lists(st.floats(0.05, 1.0), min_size=least, max_size=most))
    return np.array(weights) / sum(weights)


@pytest.mark.property_of(
    "theory.collapse.collapse_probability",
    "theory.collapse.collapse_probability_bounds",
    "theory.collapse.CollapseBounds",
)
@given(distributions(), SIZES, GENERATIONS, st.booleans())
def test_collapse_is_probable_within_its_bounds_and_grows(p, n, m, sharp):
    now, later = collapse.collapse_probability(p, n, [m, m + 1])
    bounds = collapse.collapse_probability_bounds(p, n, m, sharp=sharp)
    assert isinstance(bounds, collapse.CollapseBounds)
    assert -1e-12 <= now <= later + 1e-12 <= 1 + 2e-12
    assert 0 <= bounds.lower <= bounds.upper <= 1
    assert bounds.lower - 1e-9 <= now <= bounds.upper + 1e-9


@pytest.mark.property_of(
    "theory.collapse.collapse_probability", "theory.collapse.expected_collapse_time"
)
@given(distributions(most=4), st.integers(2, 12))
def test_expected_time_is_the_sum_of_the_chances_of_diversity(p, n):
    alive = 1 - collapse.collapse_probability(p, n, np.arange(40 * n))
    assert np.isclose(collapse.expected_collapse_time(p, n), alive.sum(), rtol=1e-6)


@pytest.mark.property_of(
    "theory.collapse.expected_collapse_time", "theory.collapse.expected_collapse_time_bounds"
)
@given(distributions(), SIZES)
def test_expected_time_within_bounds_whatever_the_order_of_tokens(p, n):
    time = collapse.expected_collapse_time(p, n)
    lower, upper = collapse.expected_collapse_time_bounds(p, n)
    assert lower - 1e-9 <= time <= upper + 1e-9
    assert np.isclose(collapse.expected_collapse_time(p[::-1], n), time, rtol=1e-9)


@pytest.mark.property_of("theory.collapse.diversity", "theory.collapse.variance_factor")
@given(SCHEMES, st.floats(0.01, 0.9), st.integers(2, 100), st.integers(1, 100), GENERATIONS)
def test_diversity_is_what_the_variance_leaves(scheme, s0, n, n_real, generation):
    real = None if scheme == "full" else n_real
    kept = collapse.diversity(scheme, generation, s0, n, real)
    lost = collapse.variance_factor(scheme, generation, n, real)
    assert np.isclose(kept, (1 - s0) * (1 - lost), rtol=1e-9, atol=1e-12)
    assert 0 <= lost <= 1


@pytest.mark.property_of("theory.collapse.diversity")
@given(SCHEMES, st.floats(0.01, 0.9), st.integers(2, 100), st.integers(1, 100), GENERATIONS)
def test_diversity_falls_and_a_batch_is_a_loop(scheme, s0, n, n_real, generation):
    steps = np.array([generation, generation + 1, generation + 2])
    real = None if scheme == "full" else n_real
    batch = collapse.diversity(scheme, steps, s0, n, real)
    loop = [collapse.diversity(scheme, step, s0, n, real) for step in steps]
    np.testing.assert_allclose(batch, loop, rtol=1e-12)
    assert ((batch >= -1e-12) & (batch <= 1 - s0 + 1e-12)).all()
    assert scheme == "fresh" or (np.diff(batch) <= 1e-12).all()


@pytest.mark.property_of("theory.collapse.half_life", "theory.collapse.corpus_half_life")
@given(st.integers(2, 1000), st.lists(st.floats(0.01, 0.9), min_size=1, max_size=4))
def test_half_life_of_contexts_of_one_size_is_that_of_one(n, s0):
    one = collapse.half_life(n)
    assert np.isclose(collapse.corpus_half_life(s0, [n] * len(s0)), one, rtol=1e-6)
    assert collapse.half_life(n + 1) > one


@pytest.mark.property_of("theory.collapse.drift")
@given(distributions(), st.integers(2, 200), st.integers(2, 200), GENERATIONS)
def test_drift_is_bounded_and_ignores_the_order_of_tokens(q, n_synthetic, n_real, generation):
    exact = collapse.drift(q, n_synthetic, n_real, generation, norm="l1")
    bound = collapse.drift(q, n_synthetic, n_real, generation, norm="l1_bound")
    assert 0 <= exact <= bound * (1 + 1e-6) + 1e-12
    square = collapse.drift(q, n_synthetic, n_real, generation)
    assert np.isclose(collapse.drift(q[::-1], n_synthetic, n_real, generation), square)
    assert square <= collapse.drift(q, n_synthetic, n_real) + 1e-12


@pytest.mark.property_of(
    "theory.collapse.expected_support",
    "theory.collapse.survival_probabilities",
    "theory.collapse.expected_functional",
)
@given(distributions(), SIZES, GENERATIONS)
def test_support_is_the_sum_of_survivals(p, n, m):
    survival = collapse.survival_probabilities(p, n, m)
    assert ((survival >= -1e-12) & (survival <= 1 + 1e-12)).all()
    support = collapse.expected_support(p, n, m)
    assert np.isclose(support, survival.sum(), rtol=1e-9)
    assert np.isclose(collapse.expected_functional("support", p, n, m), support, rtol=1e-9)
    assert support >= 1 - 1e-9


@pytest.mark.property_of(
    "theory.collapse.token_expectation", "theory.collapse.survival_probabilities"
)
@given(distributions(), SIZES, st.integers(0, 30))
def test_token_expectation_of_presence_is_survival(p, n, m):
    np.testing.assert_allclose(
        collapse.token_expectation("support", p, n, m),
        collapse.survival_probabilities(p, n, m),
        atol=1e-10,
    )


@pytest.mark.property_of("theory.collapse.expected_functional")
@given(distributions(), SIZES, st.integers(0, 30))
def test_expected_entropy_falls_from_that_of_the_start(p, n, m):
    entropies = collapse.expected_functional("entropy", p, n, [0, m, m + 1])
    assert np.isclose(entropies[0], -(p * np.log(p)).sum(), rtol=1e-9)
    assert entropies[0] + 1e-9 >= entropies[1] >= entropies[2] - 1e-9


@pytest.mark.property_of("theory.collapse.fixation_probability")
@given(st.floats(0.01, 0.99), st.integers(2, 200), st.floats(-0.5, 0.5))
def test_the_favoured_token_and_its_rival_share_the_end(p, n, advantage):
    wins = collapse.fixation_probability(p, n, advantage)
    assert 0 <= wins <= 1
    assert np.isclose(collapse.fixation_probability(p, n), p, rtol=1e-9)
    assert (wins >= p - 1e-9) if advantage >= 0 else (wins <= p + 1e-9)
    assert collapse.fixation_probability(p, n, advantage + 0.1) >= wins - 1e-12


@pytest.mark.property_of("theory.collapse.gaussian_recursion", "theory.collapse.GaussianCollapse")
@given(st.integers(3, 200), GENERATIONS)
def test_refitted_gaussian_narrows_and_strays(n, generation):
    now, later = (collapse.gaussian_recursion(n, g) for g in (generation, generation + 1))
    assert isinstance(now, collapse.GaussianCollapse)
    assert later.standard_deviation <= now.standard_deviation <= 1 + 1e-12
    assert later.mean_error >= now.mean_error
    assert later.log_variance <= now.log_variance <= 1e-12
    more = collapse.gaussian_recursion(n + 10, generation + 1)
    assert more.standard_deviation > later.standard_deviation


@pytest.mark.property_of("theory.collapse.ols_recursion")
@given(st.integers(1, 20), st.integers(3, 50), st.integers(0, 30), st.floats(0.1, 10))
def test_least_squares_error_is_linear_in_the_noise_and_accumulating_helps(d, extra, m, noise):
    replace = collapse.ols_recursion(d, d + extra, m, noise_variance=noise)
    keep = collapse.ols_recursion(d, d + extra, m, noise_variance=noise, scheme="accumulate")
    assert np.isclose(replace, noise * collapse.ols_recursion(d, d + extra, m))
    assert 0 <= keep <= replace * (1 + 1e-12)
    assert collapse.ols_recursion(d, d + extra, m + 1, noise_variance=noise) >= replace


@pytest.mark.property_of("theory.collapse.optimal_real_weight", "theory.collapse.variance_factor")
@given(st.integers(2, 300), st.integers(2, 300), st.floats(0.05, 0.99))
def test_no_other_real_weight_leaves_less_variance(n_real, n_synthetic, other):
    best = collapse.optimal_real_weight(n_real, n_synthetic, exact=True)
    assert 0 < best <= 1
    left = [
        collapse.variance_factor("fresh", np.inf, n_synthetic, n_real, real_weight=weight)
        for weight in (best, other)
    ]
    assert left[0] <= left[1] * (1 + 1e-6)


@pytest.mark.property_of("theory.collapse.safe_synthetic_size")
@given(st.integers(100, 10**6), st.floats(0.01, 0.4), st.floats(1.01, 2.0))
def test_a_looser_tolerance_allows_more_synthetic_tokens(n_real, tolerance, factor):
    tight, loose = collapse.safe_synthetic_size(n_real, [tolerance, tolerance * factor])
    assert 0 <= tight <= loose


@pytest.mark.property_of("theory.collapse.selected_distribution")
@given(distributions(least=3, most=3), distributions(least=3, most=3), st.integers(0, 20))
def test_selection_composes_and_keeps_total_probability(p, acceptance, m):
    after = collapse.selected_distribution(p, acceptance, m)
    assert np.isclose(after.sum(), 1)
    np.testing.assert_allclose(
        collapse.selected_distribution(after, acceptance, 1),
        collapse.selected_distribution(p, acceptance, m + 1),
        atol=1e-10,
    )
    np.testing.assert_allclose(
        collapse.selected_distribution(p, 3 * acceptance, m), after, rtol=1e-9
    )


@pytest.mark.property_of("theory.collapse.tempered_distribution")
@given(distributions(), st.floats(0.3, 3.0), st.integers(0, 6))
def test_temperatures_multiply(p, temperature, m):
    np.testing.assert_allclose(
        collapse.tempered_distribution(p, temperature, m),
        collapse.tempered_distribution(p, temperature**m, 1),
        rtol=1e-7,
        atol=1e-12,
    )
    np.testing.assert_allclose(collapse.tempered_distribution(p, 1.0, m), p, rtol=1e-9)
