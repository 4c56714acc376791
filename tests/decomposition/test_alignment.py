"""Matching of estimated and true factors."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.decomposition import factor_alignments


def test_order_signs_and_norms_do_not_matter(rng):
    true = [np.linalg.qr(rng.standard_normal((size, 3)))[0] for size in (5, 6, 7)]
    moved = [-2.0 * factor[:, [2, 0, 1]] for factor in true]
    np.testing.assert_allclose(factor_alignments(moved, true), 1.0)


def test_cosines_are_those_of_the_pairs(rng):
    true = [np.eye(4)[:, :1]] * 3
    angles = [0.1, 0.2, 0.3]
    found = [np.array([[np.cos(a)], [np.sin(a)], [0], [0]]) for a in angles]
    np.testing.assert_allclose(factor_alignments(found, true), [np.cos(angles)])


def test_missing_components_count_zero():
    true = [np.eye(4)[:, :2]] * 3
    alignments = factor_alignments([factor[:, 1:] for factor in true], true)
    np.testing.assert_allclose(alignments, [[0, 0, 0], [1, 1, 1]])
    assert factor_alignments([np.zeros((4, 0))] * 3, true).sum() == 0


@pytest.mark.parametrize(
    "true, message",
    [
        ([np.eye(4)] * 2, "modes of sizes"),
        ([np.eye(5)] * 3, "modes of sizes"),
        ([np.ones(4)] * 3, "one array of"),
        ([np.eye(4), np.eye(4), np.eye(4)[:, :2]], "same number of columns"),
        ([np.full((4, 1), np.nan)] * 3, "NaN"),
    ],
)
def test_refusals(true, message):
    with pytest.raises(ValueError, match=message):
        factor_alignments([np.eye(4)] * 3, true)
