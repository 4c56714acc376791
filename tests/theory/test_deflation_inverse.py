"""Joint fits and the ways back to the signal: tables, printed equations, inverse of forward."""

import numpy as np
import pytest

from skrmt.theory.deflation import (
    estimate_from_hotelling,
    estimate_from_joint,
    estimate_from_orthogonalized,
    hotelling,
    joint_cp,
    optimal_gamma,
    orthogonalized,
)
from skrmt.theory.deflation._inverse import match_signs
from skrmt.theory.deflation._joint import solve_joint
from skrmt.theory.deflation._joint_inverse import signal_std
from skrmt.theory.deflation._signal import check_signal
from skrmt.theory.spiked_tensor import rank_one_limit, signal_strength, thresholds

THREE = [[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]]
SIGNALS = {
    "pair": ([5.0, 4.5], 0.6, (80, 80, 80)),
    "unequal": ([4.0, 3.0], [0.7, 0.5, 0.3], (60, 80, 100)),
    "three": ([8.0, 6.0, 4.5], THREE, (80, 80, 80)),
    "four": ([8.0, 6.0, 4.5, 3.0], 0.5, (20, 30, 30, 40)),
    "negative": ([5.0, 3.0], [-0.4, 0.3, 0.2], (50, 60, 70)),
    "close": ([4.0, 3.5], 0.7, (80, 80, 80)),
    "strong": ([1e6, 2e5], 0.5, (50, 50, 50)),
}


def test_joint_table():
    limit = joint_cp([5, 4.5], 0.6, (80, 80, 80))
    np.testing.assert_allclose(limit.weights, [5.11646, 4.62766], atol=1e-4)
    np.testing.assert_allclose(
        limit.alignments, np.outer([0.99207, 0.99016], np.ones(3)), atol=1e-4
    )
    np.testing.assert_allclose(limit.grams[:, 0, 1], 0.58374, atol=1e-4)
    limit = joint_cp([4, 3], [0.7, 0.5, 0.3], (60, 80, 100))
    np.testing.assert_allclose(limit.weights, [4.13807, 3.17965], atol=1e-4)
    np.testing.assert_allclose(limit.alignments[:, 2], [0.98465, 0.97227], atol=1e-4)
    limit = joint_cp([8, 6, 4.5], THREE, (80, 80, 80))
    np.testing.assert_allclose(limit.weights, [8.06729, 6.09106, 4.61470], atol=1e-4)
    np.testing.assert_allclose(limit.alignments[:, 0], [0.99719, 0.99487, 0.99133], atol=1e-4)


@pytest.mark.parametrize("name", SIGNALS)
def test_joint_fit_satisfies_the_printed_equations(name):
    signal = check_signal(*SIGNALS[name])
    state = solve_joint(signal.betas, signal.grams, signal.share)
    inverse_weights = np.diag(1 / state.weights)
    for m in range(signal.order):
        gamma = np.ones((signal.rank, signal.rank))
        mixed = np.diag(signal.betas) @ gamma
        for k in range(signal.order):
            if k != m:
                gamma, mixed = gamma * state.grams[k], mixed * state.cosines[k]
        matrix = gamma.copy()
        for k in range(signal.order):
            if k != m:
                rest = np.ones_like(gamma)
                for other in set(range(signal.order)) - {m, k}:
                    rest = rest * state.grams[other]
                inner = inverse_weights @ state.inverses[k] @ inverse_weights
                matrix -= signal.share[k] * rest * inner
        inverse = np.linalg.inv(matrix)
        cosines = signal.grams[m] @ mixed @ inverse @ inverse_weights
        power = mixed.T @ signal.grams[m] @ mixed + signal.share[m] * gamma
        products = inverse_weights @ inverse.T @ power @ inverse @ inverse_weights
        np.testing.assert_allclose(state.inverses[m], inverse, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(state.cosines[m], cosines, atol=1e-9)
        np.testing.assert_allclose(state.grams[m], products, atol=1e-9)


@pytest.mark.parametrize("dims", [(50, 50, 50), (30, 60, 90), (20, 30, 40, 50)])
@pytest.mark.parametrize("beta", [1.45, 2.0, 7.0])
def test_one_component_is_the_rank_one_limit(dims, beta):
    value, alignments = rank_one_limit(beta, dims)
    limit = joint_cp([beta], 0.0, dims)
    np.testing.assert_allclose(limit.weights, [value], rtol=1e-9)
    np.testing.assert_allclose(limit.alignments, [alignments], rtol=1e-9)
    estimate = estimate_from_joint([value], np.ones((1, 1)), dims)
    np.testing.assert_allclose(estimate.betas, [signal_strength(value, dims)], rtol=1e-9)
    want = 1 / (np.sqrt(sum(dims)) * alignments.prod())
    np.testing.assert_allclose(estimate.betas_std, [want], rtol=1e-9)
    estimate = estimate_from_hotelling([value], np.ones((1, 1, len(dims))), dims)
    np.testing.assert_allclose(estimate.betas, [beta], rtol=1e-5)
    np.testing.assert_allclose(estimate.betas_std, [want], rtol=1e-4)


def test_orthogonal_components_do_not_see_one_another():
    dims = (40, 60, 80)
    value, alignments = rank_one_limit([2.0, 5.0, 3.0], dims)
    limit = joint_cp([2.0, 5.0, 3.0], 0.0, dims)
    np.testing.assert_allclose(limit.weights, value, rtol=1e-9)
    np.testing.assert_allclose(limit.alignments, alignments, rtol=1e-9)
    np.testing.assert_allclose(limit.grams, [np.eye(3)] * 3, atol=1e-12)


@pytest.mark.parametrize(
    ("betas", "grams"), [([1.1], 0.0), ([2.0, 1.5], 0.8), ([4.0, 3.5], 1.0), ([6.0, 1.0], 0.0)]
)
def test_unstable_fits_are_nan(betas, grams):
    limit = joint_cp(betas, grams, (60, 60, 60))
    assert all(np.isnan(part).all() for part in limit)
    assert limit.alignments.shape == (len(betas), 3)
    assert limit.grams.shape == (3, len(betas), len(betas))


@pytest.mark.parametrize("name", SIGNALS)
def test_joint_estimate_inverts_the_joint_fit(name):
    signal = check_signal(*SIGNALS[name])
    fit = joint_cp(*SIGNALS[name])
    estimate = estimate_from_joint(fit.weights, fit.grams, signal.sizes)
    assert estimate.converged
    np.testing.assert_allclose(estimate.betas, signal.betas, rtol=1e-7)
    np.testing.assert_allclose(estimate.grams, signal.grams, atol=1e-7)
    np.testing.assert_allclose(estimate.alignments, fit.alignments, atol=1e-7)
    assert estimate.residual < 1e-8


def test_joint_estimate_carries_signs_and_order():
    dims, flips = (50, 60, 70), np.array([[1, -1, 1], [1, -1, -1], [1, 1, -1]])
    fit = joint_cp([5, 4, 3], 0.4, dims)
    flipped = fit.grams * flips[:, :, None] * flips[:, None, :]
    order = [2, 0, 1]
    turned = flipped[:, order][:, :, order]
    estimate = estimate_from_joint(fit.weights[order], turned, dims)
    np.testing.assert_allclose(estimate.betas, [3, 5, 4], rtol=1e-7)
    signs = flips[:, order]
    want = check_signal([5, 4, 3], 0.4, dims).grams * signs[:, :, None] * signs[:, None, :]
    np.testing.assert_allclose(estimate.grams, want, atol=1e-7)


@pytest.mark.parametrize(
    ("weights", "grams"), [([1.5], [[1.0]]), ([2.0, 2.0], 0.95), ([5.0, 4.0], 1.0)]
)
def test_joint_estimate_without_a_signal(weights, grams):
    estimate = estimate_from_joint(weights, grams, (60, 60, 60))
    assert estimate.converged is False
    for part in (estimate.betas, estimate.grams, estimate.alignments, estimate.betas_std):
        assert np.isnan(part).all()


@pytest.mark.parametrize(
    ("betas", "grams", "dims"),
    [
        ([6.0, 4.5], [0.6, 0.5, 0.4], (70, 80, 90)),
        ([4.0, 3.0], 0.0, (80, 80, 80)),
        pytest.param([4.0, 3.0], [0.9, 0.0, 0.3], (80, 80, 80), marks=pytest.mark.slow),
        pytest.param([6.0, 4.0], 0.6, (30, 30, 40, 40), marks=pytest.mark.slow),
    ],
)
def test_hotelling_estimate_inverts_hotelling(betas, grams, dims):
    seen = hotelling(betas, grams, dims)
    estimate = estimate_from_hotelling(seen.singular_values, seen.cross_alignments, dims)
    assert estimate.converged
    np.testing.assert_allclose(estimate.betas, betas, atol=1e-5)
    np.testing.assert_allclose(estimate.grams, check_signal(betas, grams, dims).grams, atol=1e-5)
    np.testing.assert_allclose(estimate.alignments, seen.alignments, atol=1e-5)
    want = signal_std(estimate.grams, dims)
    assert np.all(estimate.betas_std > want)


@pytest.mark.slow
def test_hotelling_estimate_of_three_components():
    dims = (80, 80, 80)
    seen = hotelling([8, 6, 4.5], THREE, dims)
    estimate = estimate_from_hotelling(seen.singular_values, seen.cross_alignments, dims)
    assert estimate.converged
    # In the order of the steps: the second one finds the third component.
    np.testing.assert_allclose(estimate.betas, [8, 4.5, 6], atol=1e-5)
    grams = np.array(THREE)[[0, 2, 1]][:, [0, 2, 1]]
    np.testing.assert_allclose(estimate.grams, [grams] * 3, atol=1e-5)


def test_hotelling_estimate_matches_signs():
    dims = (70, 80, 90)
    seen = hotelling([6, 4.5], [0.6, 0.5, 0.4], dims)
    flips = np.array([[1, 1, 1], [-1, 1, -1]])
    flipped = seen.cross_alignments * flips[:, None] * flips[None]
    estimate = estimate_from_hotelling(seen.singular_values, flipped, dims)
    np.testing.assert_allclose(estimate.betas, [6, 4.5], atol=1e-5)
    np.testing.assert_allclose(np.abs(estimate.alignments), np.abs(seen.alignments), atol=1e-5)
    np.testing.assert_allclose(np.abs(estimate.grams[:, 0, 1]), [0.6, 0.5, 0.4], atol=1e-5)


@pytest.mark.slow
def test_hotelling_estimate_from_a_guess():
    dims = (80, 80, 80)
    seen = hotelling([8, 6, 4.5], THREE, dims)
    guess = ([8.1, 5.9, 4.4], 0.9 * np.array(THREE) + 0.1 * np.eye(3))
    estimate = estimate_from_hotelling(
        seen.singular_values, seen.cross_alignments, dims, initial=guess
    )
    np.testing.assert_allclose(estimate.betas, [8, 4.5, 6], atol=1e-5)


def test_match_signs_undoes_even_flips():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((4, 3, 6))
    flips = np.array([[1, 1, 1], [-1, -1, 1], [1, -1, -1], [-1, 1, -1]])
    theory = np.einsum("imn,kmn->ikm", vectors, vectors)
    observed = theory * flips[:, None] * flips[None]
    np.testing.assert_array_equal(match_signs(theory, observed), flips)


@pytest.mark.parametrize(
    ("second", "cosine"), [(1.3, 0.1), pytest.param(3.0, 1.0, marks=pytest.mark.slow)]
)
def test_hotelling_estimate_without_a_signal(second, cosine):
    # A value below the bulk edge, and two estimates that are one.
    assert thresholds((60, 60, 60)).bulk_edge > 1.4
    estimate = estimate_from_hotelling([4.0, second], np.full((2, 2, 3), cosine), (60, 60, 60))
    assert estimate.converged is False
    assert np.isnan(estimate.betas).all()
    assert np.isnan(estimate.alignments).all()
    assert estimate.alignments.shape == (2, 2, 3)
    assert estimate.residual > 0.05


def test_standard_errors_grow_with_correlation():
    dims = (60, 60, 60)
    errors = []
    for cosine in (0.0, 0.3, 0.6, 0.9, 1.0):
        grams = check_signal([5, 4], cosine, dims).grams
        errors.append(signal_std(grams, dims))
    np.testing.assert_allclose(errors[0], 1 / np.sqrt(180), rtol=1e-12)
    assert np.all(np.diff(np.array(errors)[:4], axis=0) > 0)
    assert np.all(np.isinf(errors[-1]))


def test_bad_observations():
    dims = (50, 50, 50)
    with pytest.raises(ValueError, match=r"weights must lie in .*got -1"):
        estimate_from_joint([5, -1], 0.5, dims)
    with pytest.raises(ValueError, match="weights must be a sequence"):
        estimate_from_joint(5.0, 0.5, dims)
    with pytest.raises(ValueError, match="grams must be positive"):
        estimate_from_joint([5, 4], 1.2, dims)
    with pytest.raises(ValueError, match="dims"):
        estimate_from_joint([5, 4], 0.5, (50, 50))
    with pytest.raises(ValueError, match=r"singular_values must lie in .*got nan"):
        estimate_from_hotelling([5, np.nan], np.zeros((2, 2, 3)), dims)
    with pytest.raises(ValueError, match="singular_values must be a sequence"):
        estimate_from_hotelling(5.0, np.zeros((1, 1, 3)), dims)
    with pytest.raises(ValueError, match=r"cross_alignments must have shape \(2, 2, 3\)"):
        estimate_from_hotelling([5, 4], np.zeros((2, 2, 4)), dims)
    with pytest.raises(ValueError, match="initial must hold 2 norms, one a step, got 3"):
        estimate_from_hotelling([5, 4], np.zeros((2, 2, 3)), dims, initial=([5, 4, 3], 0.5))
    with pytest.raises(ValueError, match="cross_alignments must lie in"):
        estimate_from_hotelling([5, 4], np.full((2, 2, 3), 1.5), dims)
    with pytest.raises(TypeError, match="weights"):
        estimate_from_joint("heavy", 0.5, dims)
    with pytest.raises(ValueError, match="betas must lie in"):
        joint_cp([5, 0], 0.5, dims)


def test_orthogonalized_inverse_of_forward():
    betas, grams, dims, gamma = [6.0, 4.0], [0.6, 0.5, 0.4], (60, 80, 100), 0.75
    seen = orthogonalized(betas, grams, dims, gamma)
    estimate = estimate_from_orthogonalized(
        seen.singular_values,
        seen.cross_alignments,
        dims,
        gamma,
        initial=(np.multiply(betas, [1.1, 0.9]), np.multiply(grams, 0.8)),
    )
    assert estimate.converged
    np.testing.assert_allclose(estimate.betas, betas, atol=1e-5)
    np.testing.assert_allclose(estimate.grams[:, 0, 1], np.broadcast_to(grams, 3), atol=1e-5)
    again = orthogonalized(estimate.betas, estimate.grams, dims, gamma)
    np.testing.assert_allclose(np.abs(estimate.alignments), np.abs(again.alignments), atol=1e-5)


def test_iterating_the_orthogonalized_inverse_ends_at_the_best_strength():
    """The improved algorithm, without noise: deflate, estimate, deflate with the best strength."""
    betas, dims = [5.0, 4.5], (80, 80, 80)
    seen = orthogonalized(betas, 0.6, dims, 0.8)
    estimate = estimate_from_orthogonalized(
        seen.singular_values, seen.cross_alignments, dims, 0.8, initial=([5.2, 4.3], 0.55)
    )
    gamma = optimal_gamma(estimate.betas, estimate.grams, dims)
    assert gamma == pytest.approx(optimal_gamma(betas, 0.6, dims))
    np.testing.assert_allclose(estimate.betas, betas, atol=1e-4)


def test_orthogonalized_inverse_refuses_what_determines_nothing():
    seen = orthogonalized([5.0, 4.5], 0.6, (80, 80, 80), 0.8)
    observed = (seen.singular_values, seen.cross_alignments, (80, 80, 80))
    for gamma in (1.0, -0.1, [0.5, 0.5]):
        with pytest.raises(ValueError, match="gamma"):
            estimate_from_orthogonalized(*observed, gamma)
    same = np.ones((2, 2, 3))
    estimate = estimate_from_orthogonalized([6.0, 3.0], same, (80, 80, 80), 0.3)
    assert not estimate.converged
    assert np.isnan(estimate.betas).all()
