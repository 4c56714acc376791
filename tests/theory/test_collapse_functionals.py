"""Expected functionals and drift of recursive training against enumeration, limits, simulation."""

from __future__ import annotations

import itertools
from math import factorial, prod

import numpy as np
import pytest
from scipy.special import xlogy

from skrmt.theory import collapse
from skrmt.theory.collapse import _functionals as functionals


def zipf(size, power):
    """Return probabilities proportional to a power of the rank."""
    p = np.arange(1, size + 1) ** -float(power)
    return p / p.sum()


def chain(p, n):
    """Return all states, the law of generation 1, and the transitions of the whole model."""
    states = np.array([c for c in itertools.product(range(n + 1), repeat=len(p)) if sum(c) == n])

    def row(q):
        return [factorial(n) / prod(map(factorial, c)) * np.prod(q**c) for c in states]

    return states / n, np.array(row(np.asarray(p))), np.array([row(s / n) for s in states])


FUNCTIONS = {
    "entropy": lambda x, p: -xlogy(x, x).sum(-1),
    "l1": lambda x, p: abs(x - p).sum(-1),
    "simpson": lambda x, p: (x**2).sum(-1),
    "support": lambda x, p: (x > 0).sum(-1),
    np.sqrt: lambda x, p: np.sqrt(x).sum(-1),
}


@pytest.mark.parametrize("f", list(FUNCTIONS), ids=str)
@pytest.mark.parametrize(
    ("n", "p"), [(6, (0.3, 0.7)), (4, (0.5, 0.3, 0.2)), (3, (0.6, 0.4, 0.0)), (1, (0.2, 0.8))]
)
def test_functionals_agree_with_enumeration(f, n, p):
    p = np.array(p)
    states, law, step = chain(p, n)
    wanted = [FUNCTIONS[f](p, p)]
    for _ in range(6):
        wanted.append(law @ FUNCTIONS[f](states, p))
        law = law @ step
    found = collapse.expected_functional(f, p, n, np.arange(7))
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("p", "n", "m", "entropy", "l1"),
    [
        (zipf(50, 1), 30, 1, 2.51893, 0.841919),
        (zipf(50, 1), 30, 5, 1.7169, 1.28536),
        (zipf(50, 1), 30, 20, 0.785138, 1.62929),
        (zipf(50, 1), 30, 60, 0.181085, 1.79484),
        (zipf(600, 1.2), 100, 50, 1.00045, 1.59872),
    ],
)
def test_table(p, n, m, entropy, l1):
    assert collapse.expected_functional("entropy", p, n, m) == pytest.approx(entropy, abs=6e-6)
    assert collapse.expected_functional("l1", p, n, m) == pytest.approx(l1, abs=6e-6)


@pytest.mark.parametrize("n", [60, 2500, 10**9])
def test_a_square_given_as_a_function_is_the_closed_form(n):
    p = zipf(30, 1.1)
    times = np.unique([0, 1, 2, 7, 40, n // 200])[:6]
    found = collapse.expected_functional(np.square, p, n, times)
    np.testing.assert_allclose(
        found, collapse.expected_functional("simpson", p, n, times), rtol=1e-7
    )


@pytest.mark.parametrize("f", ["entropy", "l1"])
@pytest.mark.parametrize("p", [zipf(3, 0), zipf(40, 1.2), np.array([0.999, 0.001])])
def test_the_grid_continues_the_exact_chain(f, p, monkeypatch):
    times = [1, 2, 10, 600]
    n = functionals.KERNEL_SIZE + 1
    near = collapse.expected_functional(f, p, n, times)
    monkeypatch.setattr(functionals, "KERNEL_SIZE", 1100)
    exact = collapse.expected_functional(f, p, n, times)
    np.testing.assert_allclose(near, exact, rtol=1e-5)


@pytest.mark.parametrize("n", [10**5, 10**9])
def test_many_tokens_follow_the_normal_limit(n):
    p = np.array([0.5, 0.3, 0.2])
    deviation = np.sqrt(2 / np.pi) * np.sqrt(p * (1 - p) * 3 / n).sum()
    assert collapse.expected_functional("l1", p, n, 3) == pytest.approx(deviation, rel=20 / n**0.5)
    entropy = -(p @ np.log(p)) - 2 * 3 / (2 * n)
    found = collapse.expected_functional("entropy", p, n, 3)
    assert found == pytest.approx(entropy, abs=10 / n**2 + 1e-10)


@pytest.mark.parametrize("f", ["entropy", "l1", "support"])
def test_time_scales_with_the_number_of_tokens(f):
    p = np.array([0.6, 0.4])
    small, large = (collapse.expected_functional(f, p, n, n) for n in (10**5, 3 * 10**5))
    np.testing.assert_allclose(small, large, rtol=1e-3)


def test_tokens_of_many_contexts_at_once():
    x = np.array([0.0, 0.25, 0.5, 0.25, 1.0])
    found = collapse.token_expectation("entropy", x, 4, [0, 3])
    assert found.shape == (2, 5)
    assert found[0] == pytest.approx(-xlogy(x, x))
    assert found[1, 1] == found[1, 3] and found[1, 0] == found[1, 4] == 0
    whole = collapse.expected_functional("entropy", [0.5, 0.25, 0.25], 4, 3)
    assert whole == pytest.approx(found[1, [1, 2, 3]].sum())


@pytest.mark.parametrize("n", [1, 5, 2000, 10**9])
def test_a_model_of_one_token_never_changes(n):
    for f, value in (("entropy", 0), ("l1", 0), ("simpson", 1), ("support", 1)):
        assert collapse.expected_functional(f, [0.0, 1.0], n, [0, 1, 50]) == pytest.approx(value)


def partial_chain(q, n, share, last):
    """Return E|p - q| of one token by generation, from the chain of its count."""
    x = np.arange(n + 1)
    choose = np.array([factorial(n) / factorial(k) / factorial(n - k) for k in x])

    def pmf(chance):
        return choose * chance**x * (1 - chance) ** (n - x)

    law, found = pmf(q), [0.0, 0.0]
    for _ in range(2, last + 1):
        model = (1 - share) * q + share * x / n
        found.append(law @ abs(model - q))
        law = law @ np.array([pmf(chance) for chance in model])
    return np.array(found)


@pytest.mark.parametrize(("n", "real", "weight"), [(6, 8, None), (3, 1, None), (5, 5, 0.3)])
def test_l1_drift_agrees_with_the_chain(n, real, weight):
    q = np.array([0.5, 0.25, 0.25])
    share = n / (real + n) if weight is None else 1 - weight
    wanted = sum(partial_chain(value, n, share, 7) for value in q)
    found = collapse.drift(q, n, real, np.arange(8), norm="l1", real_weight=weight)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    bound = collapse.drift(q, n, real, np.arange(8), norm="l1_bound", real_weight=weight)
    assert (bound >= found).all()


@pytest.mark.parametrize(
    ("n", "real", "m"), [(10, 100, 30), (100, 100, 30), (1000, 100, 60), (1, 1, 2)]
)
def test_l2_drift_is_what_the_variance_says(n, real, m):
    q = zipf(20, 1)
    lost = collapse.variance_factor("partial", m - 1, n, real, observed=True)
    assert collapse.drift(q, n, real, m) == pytest.approx(lost * (1 - q @ q), rel=1e-12)


def test_drift_agrees_with_simulation():
    rng = np.random.default_rng(0)
    q, n, real, chains = zipf(8, 1), 30, 20, 40_000
    model = np.tile(q, (chains, 1))
    for _ in range(4):
        model = (real * q + rng.multinomial(n, model)) / (n + real)
    for norm, values in (("l2", (model - q) ** 2), ("l1", abs(model - q))):
        each = values.sum(1)
        error = each.std() / np.sqrt(chains)
        assert abs(each.mean() - collapse.drift(q, n, real, 5, norm=norm)) < 4.5 * error


@pytest.mark.parametrize("real", [1, 7, 1000, 10**6, 10**12])
@pytest.mark.parametrize("tolerance", [0.0, 1e-3, 0.1, 0.3, 0.49])
def test_safe_sizes_are_the_largest_within_tolerance(real, tolerance):
    safe = collapse.safe_synthetic_size(real, tolerance)
    if np.isinf(safe):
        limit = 1e15
        assert real * limit / (real**2 + 2 * real * limit + limit) <= tolerance
        return

    def added(n):
        return real * n / (real**2 + 2 * real * n + n)

    assert safe == 0 or added(safe) <= tolerance * (1 + 1e-12)
    assert added(safe + 1) > tolerance * (1 - 1e-12)


def test_safe_sizes_in_absolute_distance():
    q = zipf(40, 1)
    safe = collapse.safe_synthetic_size(5000, 0.05, "l1", p=q)
    assert collapse.drift(q, int(safe), 5000, norm="l1_bound") <= 0.05
    assert collapse.drift(q, int(safe) + 1, 5000, norm="l1_bound") > 0.05
    worst = collapse.safe_synthetic_size(5000, 0.05, "l1", support=40)
    assert worst <= safe
    assert collapse.safe_synthetic_size(5000, 0.5, "l1", p=[1.0]) == np.inf
    assert collapse.safe_synthetic_size(10**6, 0.1, "paper", support=65) == 4


def test_bound_of_the_paper_in_its_three_cases():
    c0, c1 = np.e**3 / (2 * np.pi), 6 * np.e / np.pi**1.5
    for size, n, value in (
        (65, 4, c1 * 65 * np.exp(c0 * 4 / (2 * np.e))),
        (20, 16, c1 * 20 * (c0 * 16 / 20) ** 10),
        (5, 40, 2**5 - 2),
    ):
        wanted = np.sqrt(np.pi * n / 2) * value / 1000
        found = collapse.drift(np.full(size, 1 / size), n, 1000, 3, norm="paper")
        assert found == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: collapse.expected_functional("variance", [1.0], 5, 1), "f must be one of"),
        (lambda: collapse.expected_functional(lambda x: x + np.inf, [0.5, 0.5], 5, 1), "finite"),
        (lambda: collapse.expected_functional(np.sum, [0.5, 0.5], 5, 1), "shape"),
        (lambda: collapse.expected_functional("l1", [0.5, 0.4], 5, 1), "sum to 1"),
        (lambda: collapse.expected_functional("l1", [0.5, 0.5], 0, 1), "n must"),
        (lambda: collapse.expected_functional("l1", [0.5, 0.5], 5, -1), "m must hold"),
        (lambda: collapse.token_expectation("l1", [1.5], 5, 1), "x"),
        (lambda: collapse.token_expectation("l1", [[0.5]], 5, 1), "x must have shape"),
        (lambda: collapse.drift([0.5, 0.5], 5, 5, norm="l3"), "norm"),
        (lambda: collapse.drift([0.5, 0.5], 5, 5, norm="paper", real_weight=0.5), "real_weight"),
        (lambda: collapse.drift([0.5, 0.5], 5.5, 5), "n_synthetic"),
        (lambda: collapse.drift(zipf(900, 1), 10**6, 10, norm="l1"), "l1_bound"),
        (lambda: collapse.safe_synthetic_size(10, -0.1), "tolerance"),
        (lambda: collapse.safe_synthetic_size(0, 0.1), "n_real"),
        (lambda: collapse.safe_synthetic_size(10, 0.1, "best"), "criterion"),
        (lambda: collapse.safe_synthetic_size(10, 0.1, "l1"), "p or support"),
        (lambda: collapse.safe_synthetic_size(10, 0.1, support=3), "not used"),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()
