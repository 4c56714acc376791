"""Properties of the theory of classifiers trained on noisy labels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from skrmt.theory import noisy_labels

ASPECTS = st.floats(0.05, 3.0)
NORMS = st.floats(0.3, 4.0)
PRIORS = st.floats(0.15, 0.85)
RATES = st.tuples(st.floats(0.0, 0.4), st.floats(0.0, 0.4))
PENALTIES = st.floats(1e-3, 1e3)


@pytest.mark.property_of(
    "theory.noisy_labels.bayes_accuracy",
    "theory.noisy_labels.BayesResult",
    "theory.noisy_labels.lpc",
    "theory.noisy_labels.LPCResult",
)
@given(ASPECTS, NORMS, RATES, PENALTIES, st.floats(-1.5, 1.5))
def test_no_ridge_beats_the_best_of_all_methods(aspect, norm, rates, alpha, shift):
    best = noisy_labels.bayes_accuracy(aspect, norm, 0.5, rates)
    ridge = noisy_labels.lpc(aspect, alpha, norm, prior=0.5, noise_rates=rates, shift=shift)
    assert isinstance(best, noisy_labels.BayesResult)
    assert isinstance(ridge, noisy_labels.LPCResult)
    assert ridge.accuracy <= best.accuracy + 1e-9
    assert 0.5 <= best.accuracy <= 1


@pytest.mark.property_of("theory.noisy_labels.bayes_accuracy")
@given(ASPECTS, NORMS, PRIORS, RATES, st.floats(1.01, 2.0))
def test_bayes_grows_with_signal_and_rows_and_ignores_the_names_of_classes(
    aspect, norm, prior, rates, factor
):
    here = noisy_labels.bayes_accuracy(aspect, norm, prior, rates)
    renamed = noisy_labels.bayes_accuracy(aspect, norm, 1 - prior, rates[::-1])
    assert np.isclose(renamed.accuracy, here.accuracy, atol=1e-8)
    assert noisy_labels.bayes_accuracy(aspect, norm * factor, prior, rates).accuracy > (
        here.accuracy - 1e-9
    )
    assert noisy_labels.bayes_accuracy(aspect / factor, norm, prior, rates).accuracy > (
        here.accuracy - 1e-9
    )


@pytest.mark.property_of("theory.noisy_labels.amp_path", "theory.noisy_labels.AMPPath")
@given(ASPECTS, NORMS, PRIORS, RATES)
def test_message_passing_climbs_to_the_best_accuracy(aspect, norm, prior, rates):
    path = noisy_labels.amp_path(aspect, norm, prior, rates, 12)
    best = noisy_labels.bayes_accuracy(aspect, norm, prior, rates)
    assert isinstance(path, noisy_labels.AMPPath)
    assert path.accuracy[0] == 0.5
    assert (np.diff(path.accuracy) >= -1e-9).all()
    assert path.accuracy[-1] <= best.accuracy + 1e-8


@pytest.mark.property_of(
    "theory.noisy_labels.best_threshold", "theory.noisy_labels.binary_accuracy"
)
@given(st.floats(0.1, 3), st.floats(0.2, 3), st.floats(0.2, 3), PRIORS, st.floats(-4, 4))
def test_no_other_threshold_is_better(mean, first, second, prior, other):
    law = (-mean, mean), (first, second), prior
    best = noisy_labels.best_threshold(*law)
    reached = noisy_labels.binary_accuracy(*law, best)
    assert noisy_labels.binary_accuracy(*law, other) <= reached + 1e-10
    assert max(prior, 1 - prior) - 1e-10 <= reached <= 1
    mirror = noisy_labels.binary_accuracy((-mean, mean), (second, first), 1 - prior, -other)
    assert np.isclose(mirror, noisy_labels.binary_accuracy(*law, other), atol=1e-10)


@pytest.mark.property_of("theory.noisy_labels.lpc")
@given(ASPECTS, NORMS, PRIORS, RATES, st.lists(PENALTIES, min_size=2, max_size=4))
def test_batch_of_penalties_is_a_loop_and_lies_between_chance_and_one(
    aspect, norm, prior, rates, alphas
):
    batch = noisy_labels.lpc(aspect, alphas, norm, prior=prior, noise_rates=rates)
    loop = [noisy_labels.lpc(aspect, a, norm, prior=prior, noise_rates=rates) for a in alphas]
    np.testing.assert_allclose(batch.accuracy, [one.accuracy for one in loop], rtol=1e-10)
    np.testing.assert_allclose(batch.risk, [one.risk for one in loop], rtol=1e-10)
    assert ((batch.accuracy >= 0) & (batch.accuracy <= 1)).all()
    assert (batch.variance >= 0).all()


@pytest.mark.property_of(
    "theory.noisy_labels.optimal_shift",
    "theory.noisy_labels.worst_shift",
    "theory.noisy_labels.label_quality",
)
@given(ASPECTS, NORMS, PRIORS, RATES, st.floats(-1.0, 1.0))
def test_best_and_worst_shift_bound_every_other(aspect, norm, prior, rates, shift):
    law = {"prior": prior, "noise_rates": rates}
    best, worst = noisy_labels.optimal_shift(prior, rates), noisy_labels.worst_shift(prior, rates)
    assume(np.isfinite(worst))
    here, top, bottom = (
        noisy_labels.lpc(aspect, 1e6, norm, **law, shift=s).accuracy for s in (shift, best, worst)
    )
    assert np.isclose(bottom, 0.5, atol=1e-8)
    assert here <= top + 1e-6
    quality = noisy_labels.label_quality(prior, rates)
    assert 0 <= noisy_labels.label_quality(prior, rates, shift) <= quality + 1e-12 <= 1 + 1e-12
    assert np.isclose(noisy_labels.label_quality(prior, rates, best), quality, atol=1e-10)


@pytest.mark.property_of(
    "theory.noisy_labels.optimal_perturbation", "theory.noisy_labels.Perturbation"
)
@given(ASPECTS, NORMS, PRIORS, RATES)
def test_best_weights_of_the_loss_are_the_best_shift(aspect, norm, prior, rates):
    law = {"prior": prior, "noise_rates": rates}
    weights = noisy_labels.optimal_perturbation(prior, rates)
    assert isinstance(weights, noisy_labels.Perturbation)
    shift = noisy_labels.optimal_shift(prior, rates)
    assert np.isclose(weights.positive - weights.negative, shift, atol=1e-9)
    assume(sum(weights) < 1 - 1e-6)
    by_weights = noisy_labels.lpc(aspect, 1.0, norm, **law, perturbation=weights)
    by_shift = noisy_labels.lpc(aspect, 1.0, norm, **law, shift=shift)
    assert np.isclose(by_weights.accuracy, by_shift.accuracy, atol=1e-9)


@pytest.mark.property_of(
    "theory.noisy_labels.intercept_ridge", "theory.noisy_labels.InterceptRidgeResult"
)
@given(ASPECTS, NORMS, PRIORS, RATES, PENALTIES)
def test_an_intercept_makes_the_names_of_classes_immaterial(aspect, norm, prior, rates, alpha):
    here = noisy_labels.intercept_ridge(aspect, alpha, norm, prior=prior, noise_rates=rates)
    renamed = noisy_labels.intercept_ridge(
        aspect, alpha, norm, prior=1 - prior, noise_rates=rates[::-1]
    )
    assert isinstance(here, noisy_labels.InterceptRidgeResult)
    assert np.isclose(renamed.accuracy, here.accuracy, atol=1e-9)
    assert max(prior, 1 - prior) - 1e-9 <= here.accuracy <= 1
    best = noisy_labels.bayes_accuracy(aspect, norm, prior, rates)
    top = noisy_labels.best_threshold((-best.overlap, best.overlap), (best.overlap,) * 2, prior)
    ceiling = noisy_labels.binary_accuracy(
        (-best.overlap, best.overlap), (best.overlap,) * 2, prior, top
    )
    assert here.accuracy <= ceiling + 1e-8


@pytest.mark.property_of(
    "theory.noisy_labels.gaussian_mixture_ridge", "theory.noisy_labels.GaussianRidgeResult"
)
@settings(max_examples=10)
@given(st.integers(50, 150), NORMS, PRIORS, RATES, PENALTIES, st.integers(0, 2**32 - 1))
def test_general_ridge_agrees_with_the_isotropic_one_and_ignores_rotations(
    p, norm, prior, rates, alpha, seed
):
    n_samples = 2.0 * p
    direction = np.random.default_rng(seed).standard_normal(p)
    noise = [[1 - rates[0], rates[0]], [rates[1], 1 - rates[1]]]
    results = []
    for mean in (np.full(p, norm / np.sqrt(p)), norm * direction / np.linalg.norm(direction)):
        found = noisy_labels.gaussian_mixture_ridge(
            [-mean, mean], 1.0, [1 - prior, prior], noise, alpha, n_samples, fit_intercept=False
        )
        assert isinstance(found, noisy_labels.GaussianRidgeResult)
        results.append(found.accuracy)
    isotropic = noisy_labels.lpc(0.5, alpha, norm, prior=prior, noise_rates=rates)
    np.testing.assert_allclose(results, isotropic.accuracy, atol=1e-7)


@pytest.mark.property_of("theory.noisy_labels.optimal_alpha")
@settings(max_examples=4)
@given(st.floats(1.0, 6.0), PENALTIES)
def test_no_other_penalty_is_better(scale, other):
    spectrum = np.repeat([scale, 1 / scale], 20)
    mean, noise = np.full(40, 0.2), [[0.7, 0.3], [0.3, 0.7]]
    best = noisy_labels.optimal_alpha([-mean, mean], spectrum, noise_matrix=noise, n_samples=80)

    def accuracy(alpha):
        law = [-mean, mean], spectrum, [0.5, 0.5], noise
        return noisy_labels.gaussian_mixture_ridge(*law, alpha, 80).accuracy

    assert accuracy(best) >= accuracy(other) - 1e-6


@pytest.mark.property_of(
    "theory.noisy_labels.relabelling_path", "theory.noisy_labels.RelabellingPath"
)
@settings(max_examples=6)
@given(ASPECTS, NORMS, RATES)
def test_relabelling_starts_at_the_ridge_and_stays_below_the_best(aspect, norm, rates):
    alpha = np.array([10.0, np.inf])
    paths = noisy_labels.relabelling_path(aspect, alpha, norm, 0.5, rates, n_relabel=2)
    assert isinstance(paths, noisy_labels.RelabellingPath)
    assert np.isnan(paths.accuracy[0, 1:]).all() and np.isnan(paths.overlap[0, 1:]).all()
    start = noisy_labels.intercept_ridge(aspect, 10.0, norm, noise_rates=rates)
    assert np.isclose(paths.accuracy[0, 0], start.accuracy, atol=1e-8)
    best = noisy_labels.bayes_accuracy(aspect, norm, 0.5, rates)
    known = ~np.isnan(paths.accuracy)
    assert known.sum() == 4 and (paths.accuracy[known] <= best.accuracy + 1e-3).all()


@pytest.mark.property_of("theory.noisy_labels.signal_from_eigenvalue")
@given(st.floats(0.05, 3.0), st.floats(1.05, 20.0))
def test_signal_from_eigenvalue_inverts_the_spike(aspect, excess):
    square = excess * np.sqrt(aspect)
    eigenvalue = (1 + square) * (1 + aspect / square)
    assert np.isclose(noisy_labels.signal_from_eigenvalue(eigenvalue, aspect), square, rtol=1e-7)
    assert np.isnan(noisy_labels.signal_from_eigenvalue((1 + np.sqrt(aspect)) ** 2 * 0.99, aspect))
