"""Self-play: one round against minimisation, limits and rates against iteration, thresholds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp

from skrmt.theory.preference import (
    self_play_fixed_point,
    self_play_map,
    self_play_min_beta,
    self_play_rate,
    self_play_stable,
)

HUMAN = np.log(np.arange(1, 6) / 15)
BASE = np.full(5, -np.log(5))
START = log_softmax(1.5 * np.log(np.arange(5, 0, -1)))
MILD = log_softmax(0.5 * np.log(np.arange(5, 0, -1)))
ONE, TWO = ("spin", "previous", "reference"), ("last_two", "last_two_both")
SCHEMES = (*ONE, *TWO, "all", "all_both")

TABLE = [
    (1.0, 0.0, (0.066666667, 0.066666667), (0.066666667, 0.066666667), (0.0, 0.0)),
    (2.0, 0.0, (0.19795082, 0.19795082), (0.066666667, 0.066666667), (0.5, 0.5)),
    (0.6, 0.0, (0.0087975673, 0.0087975673), (0.066666667, 0.066666667), (-2 / 3, -2 / 3)),
    (2.0, 0.3, (0.14908368, 0.1730308), (0.1037129, 0.087825651), (0.2, 0.35)),
    (0.8, 0.5, (0.013765729, 0.040563422), (0.093622473, 0.058157136), (-0.75, -0.125)),
]


@pytest.mark.parametrize(("beta", "weight", "first", "limit", "rate"), TABLE)
def test_tabulated_rounds(beta, weight, first, limit, rate):
    settings = {"beta": beta, "mixture_weight": weight}
    for column, scheme in enumerate(["previous", "reference"]):
        step = self_play_map(scheme, START, HUMAN, BASE, **settings)
        rest = self_play_fixed_point(scheme, HUMAN, BASE, **settings)
        assert np.exp(step[0]) == pytest.approx(first[column], rel=5e-8)
        assert np.exp(rest.log_policy[0]) == pytest.approx(limit[column], rel=5e-8)
        found = self_play_rate(scheme, beta, weight)
        assert isinstance(found, float)
        assert found == pytest.approx(rate[column], abs=1e-12)


def minimised_round(policy, opponent, reference, beta):
    """Minimise the expected logistic loss of a round over all policies."""
    human = np.exp(HUMAN)

    def objective(logits):
        h = beta * (log_softmax(logits) - reference)
        gaps = np.subtract.outer(h, h)
        return human @ np.logaddexp(0, -gaps) @ np.exp(opponent)

    found = minimize(objective, policy, method="BFGS", options={"gtol": 1e-10, "maxiter": 500})
    return log_softmax(found.x)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_round_minimises_the_loss(rng, scheme):
    beta, weight = 1.3, 0.0 if scheme == "spin" else 0.35
    policies = log_softmax(rng.standard_normal((3, 5)), axis=-1)
    used = {"last_two": 2, "all": 3}.get(scheme.removesuffix("_both"), 1)
    average = logsumexp(policies[-used:], axis=0) - np.log(used)
    both = scheme == "reference" or scheme.endswith("_both")
    reference = log_softmax((1 - weight) * (average if both else policies[-1]) + weight * BASE)
    opponent = reference if both else average
    given = policies[-1] if scheme in ONE else policies
    step = self_play_map(scheme, given, HUMAN, BASE, beta=beta, mixture_weight=weight)
    expected = minimised_round(policies[-1], opponent, reference, beta)
    # The gradient vanishes to 1e-8 or so, and the curvature is of order 0.1.
    np.testing.assert_allclose(step, expected, atol=1e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("beta", "weight"), [(0.8, 0.4), (1.0, 0.7), (3.0, 1.0)])
def test_fixed_point_is_one(scheme, beta, weight):
    settings = {"beta": beta, "mixture_weight": 0.0 if scheme == "spin" else weight}
    rest = self_play_fixed_point(scheme, HUMAN, BASE, **settings)
    given = rest.log_policy if scheme in ONE else np.stack([rest.log_policy] * 3)
    step = self_play_map(scheme, given, HUMAN, BASE, **settings)
    np.testing.assert_allclose(step, rest.log_policy, atol=1e-13)
    w = rest.reference_weight
    expected = log_softmax(w * BASE + (1 - w) * HUMAN)
    np.testing.assert_allclose(rest.log_policy, expected, atol=1e-13)
    if beta == 1.0 and scheme.endswith(("reference", "both")):
        assert w == 0.0


def iterate(scheme, start, n_rounds, **settings):
    """Return the log-policies of a run, the start included."""
    policies = [start]
    for _ in range(n_rounds):
        given = policies[-1] if scheme in ONE else np.stack(policies)
        policies.append(self_play_map(scheme, given, HUMAN, BASE, **settings))
    return np.array(policies)


def errors(scheme, n_rounds, size=1e-5, **settings):
    """Return the sizes of log p - log p* of a run that starts at a small distance."""
    rest = self_play_fixed_point(scheme, HUMAN, BASE, **settings).log_policy
    start = log_softmax(rest + size * np.array([1.0, -0.3, 0.5, -0.8, 0.1]))
    path = iterate(scheme, start, n_rounds, **settings) - rest
    return np.abs(path - path.mean(axis=1, keepdims=True)).max(axis=1)


@pytest.mark.parametrize(
    ("beta", "weight"), [(0.7, 0.0), (2.5, 0.0), (0.9, 0.3), (3.0, 0.6), (1.4, 1.0)]
)
@pytest.mark.parametrize("scheme", ["previous", "reference"])
def test_exact_rate_of_one_opponent(scheme, beta, weight):
    settings = {"beta": beta, "mixture_weight": weight}
    rest = self_play_fixed_point(scheme, HUMAN, BASE, **settings).log_policy
    path = iterate(scheme, START, 3, **settings) - rest
    gaps = path[:, 1:] - path[:, :1]
    rate = self_play_rate(scheme, beta, weight)
    for before, after in pairwise(gaps):
        np.testing.assert_allclose(after, rate * before, atol=1e-12)


def linear_errors(scheme, n_rounds, beta, mixture_weight):
    """Return the errors of a run in first order: averages of probabilities average logarithms."""
    both, window = scheme.endswith("_both"), 2 if scheme in TWO else None
    error, averaged = [1.0], 1.0
    total = 1.0
    for _ in range(n_rounds):
        anchor = averaged if both else error[-1]
        reference = (1 - mixture_weight) * anchor
        error.append(reference - (reference if both else averaged) / beta)
        total += error[-1]
        averaged = np.mean(error[-2:]) if window else total / len(error)
    return np.abs(error)


@pytest.mark.parametrize("scheme", [*TWO, "all", "all_both"])
@pytest.mark.parametrize(("beta", "weight"), [(0.65, 0.0), (1.5, 0.0), (0.8, 0.4)])
def test_small_errors_of_averaged_opponents(scheme, beta, weight):
    path = errors(scheme, 30, beta=beta, mixture_weight=weight)
    linear = linear_errors(scheme, 30, beta, weight)
    # The next order is the size of the error, 1e-5, times a few.
    np.testing.assert_allclose(path / path[0], linear, atol=2e-4 * linear.max())


@pytest.mark.parametrize(("beta", "weight"), [(0.65, 0.0), (1.5, 0.0), (0.8, 0.4), (5, 1.0)])
def test_rate_of_two_opponents(beta, weight):
    c, k = (1 - weight) * (1 - 1 / beta), 0.5 / beta
    roots = np.abs(np.roots([1, -(1 - weight - k), k]))
    assert self_play_rate("last_two", beta, weight) == pytest.approx(roots.max())
    roots = np.abs(np.roots([1, -c / 2, -c / 2]))
    assert self_play_rate("last_two_both", beta, weight) == pytest.approx(roots.max())


@pytest.mark.parametrize("scheme", [*ONE, *TWO])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8])
def test_thresholds_from_both_sides(scheme, weight):
    if scheme == "spin" and weight:
        return
    threshold = self_play_min_beta(scheme, weight)
    for factor in (0.93, 1.07):
        settings = {"beta": factor * threshold, "mixture_weight": weight}
        stable = self_play_stable(scheme, *settings.values())
        assert stable == (factor > 1) == (abs(self_play_rate(scheme, *settings.values())) < 1)
        path = errors(scheme, 60, size=1e-6, **settings)
        peak = path[:10].max(), path[-10:].max()
        assert (peak[1] < peak[0]) == stable


@pytest.mark.parametrize(
    ("scheme", "weight", "threshold"),
    [
        ("spin", 0.0, 0.5),
        ("previous", 0.3, 1 / 1.7),
        ("reference", 0.3, 0.7 / 1.7),
        ("last_two", 0.0, 0.5),
        ("last_two_both", 0.0, 1 / 3),
        ("all", 0.0, 0.0),
        ("all_both", 0.0, 0.0),
        ("reference", 1.0, 0.0),
        ("previous", 1.0, 1.0),
    ],
)
def test_tabulated_thresholds(scheme, weight, threshold):
    assert self_play_min_beta(scheme, weight) == pytest.approx(threshold, rel=1e-14)
    assert not self_play_stable("spin", 0.5)


def total_variation(path):
    return 0.5 * np.abs(np.exp(path) - np.exp(HUMAN)).sum(axis=-1)


@pytest.mark.parametrize(
    ("scheme", "n_rounds", "values"),
    [
        ("spin", 60, {0.45: 0.933, 0.55: 1.7e-6, 4.0: 9.3e-9}),
        ("last_two", 200, {0.45: 0.678, 0.55: 1.3e-5}),
        ("all", 400, {0.45: 0.074, 0.55: 0.040, 1.0: 0.038, 4.0: 0.059}),
    ],
)
def test_tabulated_runs(scheme, n_rounds, values):
    for beta, value in values.items():
        path = iterate(scheme, MILD, n_rounds, beta=beta)
        # The last printed digit of the table.
        assert total_variation(path[-1]) == pytest.approx(value, rel=0.04)


@pytest.mark.parametrize("beta", [0.4, 1.3, 4.0])
def test_all_policies_decay_algebraically(beta):
    path = linear_errors("all", 40_000, beta, 0.0)
    # Windows of the phase 2 sqrt(t / beta) hold several periods; the envelope moves by
    # 1 % or less within the last period.
    early, late = path[2000:2500].max(), path[32_000:40_000].max()
    assert late / early == pytest.approx(16**-0.25, rel=0.02)
    both = linear_errors("all_both", 4000, beta, 0.0)
    # The product of 1 - 1 / (beta t) is t^(-1 / beta) up to a relative 10 / t.
    assert both[4000] / both[1000] == pytest.approx(4 ** (-1 / beta), rel=0.01)


@pytest.mark.parametrize("beta", [0.4, 1.3, 4.0])
def test_all_policies_with_a_reference_decay_algebraically(beta):
    path = linear_errors("all", 40_000, beta, 0.4)
    power = 1 + 1 / (0.4 * beta)
    # Corrections are of the order power^2 / (0.4 t).
    assert path[40_000] / path[10_000] == pytest.approx(4**-power, rel=0.02)
    path = linear_errors("all_both", 40_000, beta, 0.4)
    power = 1 - 0.6 * (1 - 1 / beta)
    assert path[40_000] / path[10_000] == pytest.approx(4**-power, rel=0.02)


def test_all_policies_are_stable_at_every_temperature():
    for scheme in ("all", "all_both"):
        assert self_play_rate(scheme, 0.1, 0.3) == 1.0
        assert self_play_stable(scheme, [0.1, 1.0, 10.0], [0.0, 0.5, 1.0]).all()


def test_all_policies_in_one_round():
    path = errors("all_both", 3, beta=1.0, mixture_weight=0.3)
    assert path[1:].max() < 1e-14
    assert self_play_rate("all_both", [1.0, 2.0], [0.3, 1.0]).tolist() == [0.0, 0.0]


def test_batches_and_unused_inputs(rng):
    policies = rng.standard_normal((2, 3, 5))
    step = self_play_map("last_two", policies, HUMAN, beta=2.0)
    alone = self_play_map("last_two", policies[:, 1], HUMAN, beta=2.0)
    np.testing.assert_allclose(step[1], alone, rtol=1e-12)
    np.testing.assert_allclose(np.exp(step).sum(axis=-1), 1.0)
    shifted = self_play_map("spin", START + 3.0, HUMAN - 2.0, beta=2.0)
    np.testing.assert_allclose(shifted, self_play_map("spin", START, HUMAN, beta=2.0), atol=1e-14)
    single = self_play_map("spin", START, [-np.inf, 0.0, 0.0, -np.inf, 0.0], beta=2.0)
    assert (np.exp(single)[[0, 3]] == 0).all()
    rates = self_play_rate("last_two", np.array([[0.4], [2.0]]), [0.0, 0.5])
    assert rates.shape == (2, 2)
    assert self_play_stable("alpha_spin_previous", [0.4, 2.0]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"scheme": "nothing"}, "'nothing' is not known"),
        ({"beta": 0.0}, "beta must lie in"),
        ({"beta": np.nan}, "beta must lie in"),
        ({"mixture_weight": 1.1}, "mixture_weight must lie in"),
        ({"scheme": "spin", "mixture_weight": 0.5}, "has no reference"),
        ({"beta": [1.0, 2.0]}, "beta must be one number"),
        ({"log_policy": np.zeros(4)}, "do not broadcast"),
        ({"log_policy": [0.0, 0.0, 0.0, 0.0, -np.inf]}, "log_policy must be finite"),
        ({"log_policy": [0.0, 0.0, 0.0, 0.0, np.nan]}, "log_policy must hold"),
        ({"log_human": np.zeros(1), "log_policy": np.zeros(1)}, "at least 2 candidates"),
        ({"log_reference": None}, "log_reference must be given"),
        ({"log_reference": [0.0, 0.0, 0.0, 0.0, -np.inf]}, "log_reference must be finite"),
        ({"scheme": "last_two"}, "log_policy must have shape"),
        ({"scheme": "all", "log_policy": np.zeros((0, 5))}, "log_policy must have shape"),
    ],
)
def test_refused_rounds(changes, match):
    arguments = {
        "scheme": "previous",
        "log_policy": START,
        "log_human": HUMAN,
        "log_reference": BASE,
        "beta": 1.0,
        "mixture_weight": 0.5,
    } | changes
    with pytest.raises(ValueError, match=match):
        self_play_map(
            arguments.pop("scheme"),
            arguments.pop("log_policy"),
            arguments.pop("log_human"),
            arguments.pop("log_reference"),
            **arguments,
        )


def test_refused_scheme_type():
    with pytest.raises(TypeError, match="scheme must be the name"):
        self_play_rate(2, 1.0)
