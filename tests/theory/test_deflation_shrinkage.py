"""Weights that bring estimated components closest to the signal, by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.theory.deflation import (
    estimate_from_hotelling,
    estimate_from_joint,
    hotelling,
    joint_cosines,
    joint_cp,
    optimal_coefficients,
)
from skrmt.theory.spiked_tensor import rank_one_limit

DIMS = (60, 80, 100)


def test_coefficients_minimise_the_distance(rng):
    true = [np.linalg.qr(rng.standard_normal((size, 2)))[0] for size in (5, 6, 7)]
    found = [f + 0.3 * rng.standard_normal(f.shape) for f in true]
    found = [f / np.linalg.norm(f, axis=0) for f in found]
    betas = np.array([3.0, 2.0])
    signal = np.einsum("ar,br,cr,r->abc", *true, betas).ravel()
    terms = np.einsum("ar,br,cr->abcr", *found).reshape(-1, 2)
    expected = np.linalg.lstsq(terms, signal, rcond=None)[0]
    alignments = np.stack([f.T @ t for f, t in zip(found, true, strict=True)], axis=2)
    cross = np.stack([f.T @ f for f in found], axis=2)
    np.testing.assert_allclose(optimal_coefficients(betas, alignments, cross), expected, rtol=1e-10)


def test_one_component_shrinks_by_its_alignments():
    limit = rank_one_limit(2.0, DIMS)
    cosines = joint_cosines([2.0], 0.0, DIMS)
    np.testing.assert_allclose(cosines[0, 0], limit.alignments, atol=1e-10)
    coefficient = optimal_coefficients([2.0], cosines, np.ones((1, 1, 3)))
    assert coefficient[0] == pytest.approx(2.0 * limit.alignments.prod(), abs=1e-9)
    assert coefficient[0] < limit.singular_value


def test_inverse_problems_give_the_same_coefficients():
    betas, grams = [5.0, 4.0], [0.5, 0.4, 0.3]
    joint = joint_cp(betas, grams, DIMS)
    cosines = joint_cosines(betas, grams, DIMS)
    np.testing.assert_allclose(np.diagonal(cosines).T, joint.alignments, atol=1e-9)
    expected = optimal_coefficients(betas, cosines, joint.grams.transpose(1, 2, 0))
    estimate = estimate_from_joint(joint.weights, joint.grams, DIMS)
    np.testing.assert_allclose(estimate.coefficients, expected, atol=1e-6)
    steps = hotelling(betas, grams, DIMS)
    expected = optimal_coefficients(betas, steps.alignments, steps.cross_alignments)
    estimate = estimate_from_hotelling(steps.singular_values, steps.cross_alignments, DIMS)
    np.testing.assert_allclose(estimate.coefficients, expected, atol=1e-4)


def test_unstable_fit_has_no_cosines():
    assert np.isnan(joint_cosines([1.3, 1.2], 0.95, DIMS)).all()


@pytest.mark.parametrize(
    "alignments, cross, name",
    [
        (np.ones((1, 2, 3)), np.ones((1, 1, 3)), "alignments"),
        (np.ones((2, 1, 3)), np.ones((1, 1, 3)), "cross_alignments"),
        (np.full((1, 1, 3), np.nan), np.ones((1, 1, 3)), "alignments"),
    ],
)
def test_refusals(alignments, cross, name):
    with pytest.raises(ValueError, match=name):
        optimal_coefficients([2.0], alignments, cross)
