"""Identical rows: merged, and left out as copies or as observations."""

import numpy as np
import pytest
from scipy import sparse

from skrmt.utils._merging import merge_rows


def one_hot(rng, n=1000, levels=6):
    X = np.eye(levels)[rng.integers(0, levels, n)]
    return X, rng.integers(0, 2, n)


def test_distinct_rows_stay_as_they_are(rng):
    X = rng.standard_normal((50, 3))
    found = merge_rows(X, np.arange(50) % 2, np.ones(50))
    assert (found.kind, found.origin, found.n_effective) == ("distinct", None, 50.0)
    np.testing.assert_array_equal(found.part, 1.0)


def test_copies_of_continuous_rows_are_left_out_whole(rng):
    X, y = rng.standard_normal((20, 5)), np.arange(20) % 2
    found = merge_rows(np.repeat(X, 20, 0), np.repeat(y, 20), np.ones(400))
    assert found.kind == "copies"
    assert found.n_effective == pytest.approx(20)
    np.testing.assert_array_equal(found.weights, 20.0)
    np.testing.assert_array_equal(found.part, 1.0)


def test_rows_of_a_discrete_table_are_people(rng):
    """Six distinct rows of 1000 people are 1000 observations."""
    X, y = one_hot(rng)
    found = merge_rows(X, y, np.ones(1000))
    assert found.kind == "discrete"
    assert found.n_effective == pytest.approx(1000)
    np.testing.assert_allclose(found.part * found.weights, 1.0)
    assert merge_rows(X, X[:, 0], np.ones(1000)).kind == "discrete"


def test_weights_on_continuous_rows_are_left_out_whole(rng):
    weights = np.where(np.arange(60) % 6 == 0, 5.0, 1.0)
    found = merge_rows(rng.standard_normal((60, 100)), np.arange(60) % 6 == 0, weights)
    np.testing.assert_array_equal(found.part, 1.0)
    assert found.n_effective == pytest.approx(weights.sum() ** 2 / (weights**2).sum())


def test_a_weight_of_two_is_the_row_twice(rng):
    times = rng.integers(1, 4, 200)
    for X, y in (one_hot(rng, 200), (rng.standard_normal((200, 3)), np.arange(200) % 2)):
        weighted = merge_rows(X, y, times.astype(float))
        order = rng.permutation(times.sum())
        repeated = merge_rows(
            np.repeat(X, times, 0)[order], np.repeat(y, times)[order], order * 0 + 1.0
        )
        assert repeated.n_effective == pytest.approx(weighted.n_effective)
        assert sorted(repeated.weights) == sorted(weighted.weights)
        assert sorted(repeated.part) == sorted(weighted.part)


@pytest.mark.parametrize("factor", [1e-3, 0.7, 1e4])
def test_a_constant_factor_changes_nothing_but_counts(rng, factor):
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 2
    weights = rng.uniform(0.5, 2.0, 60)
    one, other = (merge_rows(X, y, f * weights) for f in (1.0, factor))
    assert other.n_effective == pytest.approx(one.n_effective)
    np.testing.assert_allclose(other.part, one.part)
    X, y = one_hot(rng, 300)
    weights = rng.uniform(0.5, 2.0, 2)[y]
    one, other = (merge_rows(X, y, f * weights) for f in (1.0, factor))
    assert one.kind == other.kind == "discrete"
    assert other.n_effective == pytest.approx(one.n_effective)


def test_sparse_rows_merge_as_dense_ones(rng):
    X, y = one_hot(rng, 200)
    dense, thin = (merge_rows(rows, y, np.ones(200)) for rows in (X, sparse.csr_matrix(X)))
    np.testing.assert_array_equal(dense.origin, thin.origin)
    np.testing.assert_array_equal(dense.part, thin.part)


def test_zero_and_minus_zero_are_equal():
    X = np.array([[0.0, 1.0], [-0.0, 1.0], [2.0, 3.0]])
    assert len(merge_rows(X, np.zeros(3), np.ones(3)).first) == 2


def test_groups_count_as_one_observation(rng):
    X, y = rng.standard_normal((60, 3)), np.arange(60) % 2
    groups = np.repeat([f"g{i:02}" for i in range(20)], 3)
    found = merge_rows(X, y, np.ones(60), groups)
    assert found.n_effective == pytest.approx(20)
    np.testing.assert_array_equal(found.group, np.repeat(np.arange(20), 3))
    copies = merge_rows(np.repeat(X, 2, 0), np.repeat(y, 2), np.ones(120), np.repeat(groups, 2))
    assert (len(copies.first), copies.n_effective) == (60, pytest.approx(20))
    with pytest.raises(ValueError, match="one group per row"):
        merge_rows(X, y, np.ones(60), groups[:5])
    with pytest.raises(ValueError, match="one group only"):
        merge_rows(X, y, np.ones(60), np.zeros(60))


def test_a_value_that_recurs_is_no_copy(rng):
    """Three rows in ten are "not measured", with both labels; twice ten others are copies."""
    X = np.r_[np.zeros((300, 4)), rng.standard_normal((700, 4))]
    y = (rng.random(1000) < 0.2).astype(int)
    found = merge_rows(X, y, np.ones(1000))
    assert (found.kind, found.n_effective) == ("discrete", 1000.0)
    both = merge_rows(np.r_[X, X[-10:]], np.r_[y, y[-10:]], np.ones(1010))
    assert both.kind == "copies"
    assert both.n_effective == pytest.approx(1010**2 / (990 + 10 * 4))
    # With one label they may be copies of one row.
    assert merge_rows(X, np.where(np.arange(1000) < 300, 0, y), np.ones(1000)).n_effective < 12
