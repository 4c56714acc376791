"""Properties of the theory of training on real and synthetic rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.theory import noisy_labels, synthetic_mix

ROWS = st.integers(50, 1000)
FEATURES = st.integers(20, 400)
NORMS = st.floats(0.3, 4.0)
PENALTIES = st.floats(0.01, 100.0)
NOISES = st.floats(0.0, 0.45)
RIGHT, WRONG = st.floats(0.55, 1.0), st.floats(0.0, 0.5)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.property_of(
    "theory.synthetic_mix.break_even_size", "theory.synthetic_mix.verifier_value"
)
@given(ROWS, st.floats(0.0, 0.6), RIGHT, WRONG, st.floats(0.01, 0.2))
def test_a_better_verifier_needs_fewer_rows_and_makes_them_worth_more(n, noise, right, wrong, more):
    sizes = synthetic_mix.break_even_size(n, noise, right, [wrong, wrong + more])
    assert 0 <= sizes[0] <= sizes[1]
    assert synthetic_mix.break_even_size(n, noise, min(right, 1), 0.0) <= sizes[0]
    worth = [synthetic_mix.verifier_value(noise, right, w) for w in (wrong, wrong + more)]
    assert 0 <= worth[0] <= 1
    clear = (1 - noise) * right > noise * (wrong + more)
    assert not clear or worth[0] >= worth[1] - 1e-12


@pytest.mark.property_of(
    "theory.synthetic_mix.critical_noise_rate",
    "theory.synthetic_mix.infinite_sample_accuracy",
    "theory.synthetic_mix.synthetic_only_accuracy",
)
@given(RIGHT, st.floats(0.01, 0.5), NORMS, ROWS, FEATURES, PENALTIES, st.floats(0.01, 0.2))
def test_synthetic_rows_teach_below_the_critical_noise_and_mislead_above(
    right, wrong, norm, n, p, alpha, step
):
    critical = synthetic_mix.critical_noise_rate(right, wrong)
    low, high = max(critical - step, 0.0), min(critical + step, 1.0)
    keep = {"keep_correct": right, "keep_incorrect": wrong}
    for noise, better in [(low, True), (high, False)]:
        if noise != critical:
            limit = synthetic_mix.infinite_sample_accuracy(noise, norm, **keep)
            finite = synthetic_mix.synthetic_only_accuracy(
                n, p, norm, alpha=alpha, noise_rate=noise, **keep
            )
            assert (limit > 0.5) == (finite > 0.5) == better
            assert abs(finite - 0.5) <= abs(limit - 0.5) + 1e-12


@pytest.mark.property_of("theory.synthetic_mix.isotropic_mix", "theory.synthetic_mix.MixResult")
@given(ROWS, ROWS, FEATURES, NORMS, PENALTIES)
def test_perfect_synthetic_rows_are_real_rows(n_real, n_synthetic, p, norm, alpha):
    mixed = synthetic_mix.isotropic_mix(n_real, n_synthetic, p, norm, alpha=alpha)
    assert isinstance(mixed, synthetic_mix.MixResult)
    n = n_real + n_synthetic
    ridge = noisy_labels.lpc(p / n, alpha, norm)
    assert np.isclose(mixed.accuracy, ridge.accuracy, atol=1e-9)
    swapped = synthetic_mix.isotropic_mix(n_synthetic, n_real, p, norm, alpha=alpha)
    np.testing.assert_allclose(swapped, mixed, rtol=1e-9)


@pytest.mark.property_of("theory.synthetic_mix.isotropic_mix")
@given(ROWS, ROWS, FEATURES, NORMS, PENALTIES, NOISES, st.floats(0.01, 0.05))
def test_more_noise_does_not_help_and_a_batch_is_a_loop(
    n_real, n_synthetic, p, norm, alpha, noise, more
):
    noises = [noise, noise + more]
    batch = synthetic_mix.isotropic_mix(
        n_real, n_synthetic, p, norm, alpha=alpha, noise_rate=noises
    ).accuracy
    loop = [
        synthetic_mix.isotropic_mix(
            n_real, n_synthetic, p, norm, alpha=alpha, noise_rate=value
        ).accuracy
        for value in noises
    ]
    np.testing.assert_allclose(batch, loop, rtol=1e-10)
    assert 0.5 <= batch[1] <= batch[0] <= 1


@pytest.mark.property_of(
    "theory.synthetic_mix.synthetic_only_accuracy", "theory.synthetic_mix.transition_slope"
)
@given(st.floats(0.05, 2.0), NORMS, PENALTIES, RIGHT, WRONG.filter(lambda wrong: wrong > 0.01))
def test_the_slope_is_the_derivative_at_the_transition(ratio, norm, alpha, right, wrong):
    keep = {"keep_correct": right, "keep_incorrect": wrong}
    critical = synthetic_mix.critical_noise_rate(right, wrong)
    step = 1e-5
    low, high = (
        synthetic_mix.synthetic_only_accuracy(
            1.0, ratio, norm, alpha=alpha, noise_rate=critical + side, **keep
        )
        for side in (-step, step)
    )
    slope = synthetic_mix.transition_slope(ratio, norm, alpha=alpha, **keep)
    assert slope < 0
    assert np.isclose((high - low) / (2 * step), slope, rtol=1e-4)


@pytest.mark.property_of("theory.synthetic_mix.estimated_generator")
@given(ROWS, ROWS, FEATURES, NORMS, PENALTIES, NOISES)
def test_a_generator_of_more_rows_is_no_worse_and_tends_to_the_exact_one(
    n, n_syn, p, norm, alpha, noise
):
    def accuracy(n_generator):
        return synthetic_mix.estimated_generator(
            n, n_generator, n_syn, p, norm, alpha=alpha, noise_rate=noise
        ).accuracy

    exact = synthetic_mix.isotropic_mix(n, n_syn, p, norm, alpha=alpha, noise_rate=noise).accuracy
    assert np.isclose(accuracy(1e9), exact, atol=1e-4)
    assert 0 <= accuracy(500.0) <= 1


@pytest.mark.property_of(
    "theory.synthetic_mix.mixture_ridge",
    "theory.synthetic_mix.MixtureGroup",
    "theory.synthetic_mix.MixtureRidgeResult",
)
@settings(max_examples=10)
@given(ROWS, ROWS, st.integers(20, 80), NORMS, PENALTIES, NOISES, SEEDS)
def test_groups_have_no_order_and_directions_do_not_matter(n, m, p, norm, alpha, noise, seed):
    direction = np.random.default_rng(seed).standard_normal(p)
    mean = norm * direction / np.linalg.norm(direction)
    groups = [
        synthetic_mix.MixtureGroup(n, mean),
        synthetic_mix.MixtureGroup(m, mean, noise_rate=noise),
    ]
    here = synthetic_mix.mixture_ridge(groups, alpha, n + m, mean)
    assert isinstance(here, synthetic_mix.MixtureRidgeResult)
    there = synthetic_mix.mixture_ridge(groups[::-1], alpha, n + m, mean)
    assert np.isclose(here.accuracy, there.accuracy, rtol=1e-9)
    isotropic = synthetic_mix.isotropic_mix(n, m, p, norm, alpha=alpha, noise_rate=noise)
    assert np.isclose(here.accuracy, isotropic.accuracy, atol=1e-8)


@pytest.mark.property_of("theory.synthetic_mix.proportional_mix")
@given(ROWS, ROWS, FEATURES, NORMS, PENALTIES, NOISES)
def test_a_spectrum_of_one_value_is_the_isotropic_law(n, m, p, norm, alpha, noise):
    law = synthetic_mix.proportional_mix(
        [n, m], [1, 1], alpha, n + m, [1.0], [p], [1, 1],
        [np.full((2, 2), norm**2)], [1.0, 1 - 2 * noise],
    )  # fmt: skip
    isotropic = synthetic_mix.isotropic_mix(n, m, p, norm, alpha=alpha, noise_rate=noise)
    assert np.isclose(law.accuracy, isotropic.accuracy, atol=1e-9)


@pytest.mark.property_of(
    "theory.synthetic_mix.optimal_averaging_weights", "theory.synthetic_mix.AveragingWeights"
)
@given(SEEDS, st.integers(2, 4), st.integers(5, 60))
def test_cleaner_groups_weigh_more_and_another_group_never_harms(seed, k, p):
    rng = np.random.default_rng(seed)
    mean, sizes = rng.standard_normal(p), rng.integers(50, 500, k)
    errors = np.sort(rng.uniform(0, 0.45, k))
    best = synthetic_mix.optimal_averaging_weights(sizes, [mean] * k, errors, mean)
    assert isinstance(best, synthetic_mix.AveragingWeights)
    assert (np.diff(best.weights) <= 1e-9).all()
    fewer = synthetic_mix.optimal_averaging_weights(sizes[:-1], [mean] * (k - 1), errors[:-1], mean)
    assert 0.5 <= fewer.accuracy <= best.accuracy + 1e-9


@pytest.mark.property_of(
    "theory.synthetic_mix.pruned_gaussian_moments", "theory.synthetic_mix.PrunedMoments"
)
@given(SEEDS, st.integers(2, 6), st.floats(-1.0, 1.0), NOISES)
def test_a_stricter_verifier_keeps_fewer_rows_and_has_no_scale(seed, p, threshold, noise):
    mean, direction = np.random.default_rng(seed).standard_normal((2, p))

    def moments(threshold, direction):
        return synthetic_mix.pruned_gaussian_moments(
            mean, 1.0, direction, threshold, noise_rate=noise
        )

    loose, strict = moments(threshold, direction), moments(threshold + 0.2, direction)
    assert isinstance(loose, synthetic_mix.PrunedMoments)
    assert 0 <= strict.keep_rate <= loose.keep_rate <= 1
    mixed = (1 - noise) * loose.keep_correct + noise * loose.keep_incorrect
    assert np.isclose(mixed, loose.keep_rate, atol=1e-12)
    np.testing.assert_allclose(loose.second_moment, loose.second_moment.T, atol=1e-10)
    scaled = moments(2 * threshold, 2 * direction)
    assert np.isclose(scaled.keep_rate, loose.keep_rate)


@pytest.mark.property_of("theory.synthetic_mix.simplex_accuracy")
@given(st.floats(0.0, 5.0), st.integers(2, 30), st.floats(0.01, 1.0))
def test_accuracy_of_classes_starts_at_chance_and_falls_with_their_number(gap, k, more):
    weak, strong = synthetic_mix.simplex_accuracy(np.array([gap, gap + more]) / np.sqrt(k), k)
    assert 1 / k - 1e-9 <= weak < strong <= 1
    assert synthetic_mix.simplex_accuracy(gap / np.sqrt(k + 1), k + 1) < weak
    assert np.isclose(synthetic_mix.simplex_accuracy(0.0, k), 1 / k)
