"""Collapse without real data: enumeration of all states, tables, series of the coalescent."""

from itertools import product
from math import factorial

import numpy as np
import pytest

from skrmt.theory.collapse import _ancestors as ancestors
from skrmt.theory.collapse import _genealogy as genealogy
from skrmt.theory.collapse import (
    collapse_probability,
    collapse_probability_bounds,
    expected_collapse_time,
    expected_collapse_time_bounds,
    expected_support,
    survival_probabilities,
)

M = [1, 2, 3, 7, 20]


def zipf(size, power):
    p = np.arange(1.0, size + 1) ** -power
    return p / p.sum()


def chain(n, size):
    """All counts of `size` tokens that sum to n, and the matrix from p-rows to them."""
    states = np.array([c for c in product(range(n + 1), repeat=size) if sum(c) == n])
    ways = np.array([factorial(n) / np.prod([factorial(k) for k in c]) for c in states])

    def law(p):
        return ways * np.prod(np.asarray(p)[None, :] ** states, axis=1)

    return states, law, np.array([law(c / n) for c in states])


@pytest.fixture(
    params=[(6, (0.3, 0.7)), (5, (0.5, 0.3, 0.2)), (4, (0.6, 0.3, 0.1, 0.0)), (1, (0.4, 0.6))]
)
def enumerated(request):
    n, p = request.param
    return (n, np.array(p), *chain(n, len(p)))


def test_probabilities_agree_with_enumeration(enumerated):
    n, p, states, law, matrix = enumerated
    row = law(p)
    for m in range(1, 12):
        dirac = row[(states == n).any(axis=1)].sum()
        alive = row @ (states > 0)
        assert collapse_probability(p, n, m) == pytest.approx(dirac, rel=1e-12, abs=1e-15)
        np.testing.assert_allclose(survival_probabilities(p, n, m), alive, rtol=1e-12)
        assert expected_support(p, n, m) == pytest.approx(alive.sum(), rel=1e-12)
        row = row @ matrix


def test_collapse_time_agrees_with_the_fundamental_matrix(enumerated):
    n, p, states, law, matrix = enumerated
    open_ = ~(states == n).any(axis=1)
    inner = np.eye(open_.sum()) - matrix[np.ix_(open_, open_)]
    want = 1 + (law(p)[open_] @ np.linalg.solve(inner, np.ones(open_.sum())) if n > 1 else 0.0)
    assert expected_collapse_time(p, n) == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize(
    ("truth", "n", "m", "dirac", "support"),
    [
        ((50, 1.0), 30, 1, None, 16.3481),
        ((50, 1.0), 30, 5, 6.5917e-06, 7.30425),
        ((50, 1.0), 30, 20, 0.0534793, 2.82698),
        ((50, 1.0), 30, 60, 0.663749, 1.35052),
        ((600, 1.2), 100, 50, 0.0118988, 3.70461),
    ],
)
def test_table(truth, n, m, dirac, support):
    p = zipf(*truth)
    assert expected_support(p, n, m) == pytest.approx(support, rel=2e-6)
    if dirac is not None:
        assert collapse_probability(p, n, m) == pytest.approx(dirac, rel=1e-5)


@pytest.mark.parametrize(
    ("truth", "n", "exact", "diffusion"),
    [
        ((2, 0.0), 40, 53.7279, 56.452),
        ((50, 1.0), 30, 55.6132, 58.444),
        ((600, 1.2), 100, 189.365, 192.594),
        ((20, 0.0), 200, 387.358, 390.829),
    ],
)
def test_table_of_collapse_times(truth, n, exact, diffusion):
    p = zipf(*truth)
    assert expected_collapse_time(p, n) == pytest.approx(exact, rel=3e-6)
    assert expected_collapse_time(p, n, "diffusion") == pytest.approx(diffusion, abs=5.1e-4)
    lower, upper = expected_collapse_time_bounds(p, n)
    assert lower <= expected_collapse_time(p, n) <= upper


def test_bounds_of_the_paper():
    lower, upper = expected_collapse_time_bounds(zipf(600, 1.2), 100)
    assert (round(lower, 3), round(upper)) == (92.392, 9125)
    p, m = zipf(20, 1.0), np.arange(0, 400, 7)
    rho = collapse_probability(p, 30, m)
    low, high = collapse_probability_bounds(p, 30, m)
    sharp = collapse_probability_bounds(p, 30, m, sharp=True).lower
    assert np.all((low <= sharp) & (sharp <= rho + 1e-15) & (rho <= high))
    left = (1 - (p**2).sum()) * (29 / 30) ** m[-1]
    assert low[-1] == pytest.approx(1 - 30 * left, rel=1e-12)
    assert high[-1] == pytest.approx(1 - left / 0.95, rel=1e-12)


@pytest.mark.parametrize(("n", "kappa"), [(10, 2.670), (30, 2.854), (100, 2.944), (300, 2.978)])
def test_tail_constant(n, kappa):
    p, m = zipf(3, 0.5), 12 * n
    left = (1 - (p**2).sum()) * np.exp(m * np.log1p(-1 / n))
    assert (1 - collapse_probability(p, n, m)) / left == pytest.approx(kappa, abs=1e-3)


@pytest.mark.parametrize("p", [zipf(2, 0), zipf(400, 1.2), zipf(500, 0), np.array([0.999, 0.001])])
def test_moments_continue_the_exact_law(p, monkeypatch):
    """Past the exact range against the exact law for 1400 tokens, at every stage."""
    n, m = 1400, [1, 2, 3, 6, 10, 20, 60, 300, 1500, 9000]
    near = [f(p, n, m) for f in (collapse_probability, expected_support, survival_probabilities)]
    time = expected_collapse_time(p, n)
    monkeypatch.setattr(ancestors, "EXACT_SIZE", 2000)
    monkeypatch.setattr(genealogy, "EXACT_SIZE", 2000)
    ancestors._laws.cache_clear()
    exact = [f(p, n, m) for f in (collapse_probability, expected_support, survival_probabilities)]
    ancestors._laws.cache_clear()
    for seen, want in zip(near, exact, strict=True):
        np.testing.assert_allclose(seen, want, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(near[1], exact[1], rtol=1e-6)
    assert time == pytest.approx(expected_collapse_time(p, n), rel=1e-6)


@pytest.mark.parametrize("time", [0.01, 0.1, 1.0, 4.0])
@pytest.mark.parametrize("n", [10**6, 10**9])
def test_many_tokens_follow_the_coalescent(n, time):
    r"""E A = sum (2k-1) exp(-k(k-1)t/2), up to O(1/n), seen through a very rare token.

    At n generations times t, one generation more or less and the finite n move the mean number of
    ancestors by relative terms of order ln(n)/(nt).
    """
    k = np.arange(1, 300 / np.sqrt(time))
    want = ((2 * k - 1) * np.exp(-k * (k - 1) * time / 2)).sum()
    rare = 1e-9
    alive = survival_probabilities([rare, 1 - rare], n, int(time * n))[0]
    assert alive / rare == pytest.approx(want, rel=20 / (n * time) + 2e-6)


@pytest.mark.parametrize("n", [10**4, 10**6, 10**9])
def test_collapse_time_of_many_tokens(n):
    p = zipf(100, 1.0)
    exact, limit = expected_collapse_time(p, n), expected_collapse_time(p, n, "diffusion")
    # The diffusion is too long by a few generations, more by (2/3) ln n than a constant.
    assert 0 < limit - exact < 2 * np.log(n) + 1e-7 * n
    assert exact == pytest.approx(limit, rel=20 / n + 1e-7)


def test_first_two_generations_of_many_tokens():
    n = 10**9
    p = np.array([1e-9, 1e-10, 1 - 1.1e-9])
    alive = survival_probabilities(p, n, [1, 2])
    np.testing.assert_allclose(alive[0, :2], [1 - np.exp(-1), 1 - np.exp(-0.1)], rtol=1e-8)
    # Poisson branching twice: 1 - exp(-lambda (1 - 1/e)).
    want = 1 - np.exp(-np.array([1, 0.1]) * (1 - np.exp(-1)))
    np.testing.assert_allclose(alive[1, :2], want, rtol=1e-8)


def test_trivial_cases():
    for n in (1, 7, 10**9):
        assert collapse_probability([1.0], n, [0, 1, 9]).tolist() == [1, 1, 1]
        assert expected_collapse_time([0.0, 1.0], n) == 1
        assert expected_collapse_time_bounds([1.0], n) == (1, 1)
        assert collapse_probability_bounds([1.0], n, 3) == (1, 1)
        np.testing.assert_array_equal(survival_probabilities([0.0, 1.0], n, 5), [0, 1])
    p = [0.25, 0.25, 0.5, 0.0]
    assert expected_support(p, 10, 0) == 3
    assert collapse_probability(p, 1, [0, 1, 2]).tolist() == [0, 1, 1]
    assert expected_collapse_time(p, 1) == 1
    assert collapse_probability_bounds(p, 1, [0, 1])[0].tolist() == [0, 1]
    np.testing.assert_allclose(survival_probabilities(p, 1, 4), p)
    np.testing.assert_allclose(survival_probabilities(p, 30, 10**7), p, rtol=1e-9)


def test_shapes_and_order():
    p = zipf(5, 1.0)
    m = np.array([[7, 1], [0, 7]])
    assert survival_probabilities(p, 9, m).shape == (2, 2, 5)
    table = expected_support(p, 9, m)
    assert table[0, 0] == table[1, 1] == expected_support(p, 9, 7)
    assert table[1, 0] == 5
    assert expected_collapse_time(p, [3, 9]).shape == (2,)
    assert isinstance(collapse_probability(p, 9, 4), float)


@pytest.mark.parametrize(
    ("p", "n", "m", "match"),
    [
        ([0.5, 0.6], 3, 1, "p must sum to 1"),
        ([3, 4], 3, 1, "p must sum to 1, got 7. Divide counts"),
        ([-0.5, 1.5], 3, 1, "p must lie in"),
        ([np.nan, 1.0], 3, 1, "p must lie in"),
        ([], 3, 1, "p must be a distribution"),
        ([[0.5, 0.5]], 3, 1, "p must be a distribution"),
        ([0.5, 0.5], 0, 1, "n must hold whole numbers of 1"),
        ([0.5, 0.5], [2, 3], 1, "n must be one number"),
        ([0.5, 0.5], 2.5, 1, "n must hold whole numbers"),
        ([0.5, 0.5], 3, -1, "m must hold"),
        ([0.5, 0.5], 3, np.inf, "m must hold"),
    ],
)
def test_bad_input(p, n, m, match):
    for function in (collapse_probability, survival_probabilities, expected_support):
        with pytest.raises(ValueError, match=match):
            function(p, n, m)


def test_bad_method():
    with pytest.raises(ValueError, match="method must be one of 'exact', 'diffusion', got 'x'"):
        expected_collapse_time([0.5, 0.5], 3, "x")
