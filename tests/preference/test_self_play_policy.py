"""SelfPlayPolicy: rounds against theory, both sides of each threshold, errors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skrmt.exceptions import TheoryWarning
from skrmt.preference import SelfPlayPolicy, spin_loss
from skrmt.theory.preference import (
    self_play_fixed_point,
    self_play_map,
    self_play_rate,
)


def human_choices(n=400, K=5, F=4, seed=0):
    """Return candidates and choices of a log-linear policy."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, K, F))
    theta = 0.6 * rng.standard_normal(F)
    return X, (X @ theta + rng.gumbel(size=(n, K))).argmax(axis=1)


def free_policy(repeats=1):
    """Return prompts on which a log-linear policy can express anything: one-hot candidates.

    Candidate i is human in i of 15 prompts, so that the empirical human policy is i / 15.
    """
    K = 5
    y = np.repeat(np.arange(K), np.arange(1, K + 1) * repeats)
    return np.tile(np.eye(K)[None], (len(y), 1, 1)), y


HUMAN = np.log(np.arange(1, 6) / 15)
START = 1.5 * np.log(np.arange(5, 0, -1))


def logs(policy):
    """Return the log-policy over the five candidates."""
    return np.log(policy.predict_proba(np.eye(5)[None])[0])


@pytest.mark.parametrize("sampler", ["reference", "previous"])
@pytest.mark.parametrize(("beta", "weight"), [(1.0, 0.0), (2.0, 0.3), (0.8, 0.5)])
def test_one_round_is_the_map_of_the_theory(sampler, beta, weight):
    X, y = free_policy()
    policy = SelfPlayPolicy(
        beta,
        mixture_weight=weight,
        sampler=sampler,
        n_rounds=1,
        reference=START,
        alpha=1e-12,
    ).fit(X, y)
    expected = self_play_map(sampler, START, HUMAN, START, beta=beta, mixture_weight=weight)
    assert_allclose(logs(policy), expected, atol=1e-6)


@pytest.mark.parametrize("sampler", ["reference", "previous"])
@pytest.mark.parametrize(("beta", "weight"), [(2.0, 0.0), (2.0, 0.3), (0.8, 0.5)])
def test_rounds_rest_at_the_fixed_point(sampler, beta, weight):
    X, y = free_policy()
    policy = SelfPlayPolicy(
        beta,
        mixture_weight=weight,
        sampler=sampler,
        n_rounds=100,
        reference=START,
        alpha=1e-12,
    ).fit(X, y)
    rest = self_play_fixed_point(sampler, HUMAN, START, beta=beta, mixture_weight=weight)
    assert policy.converged_
    assert policy.stationary_weight_ == pytest.approx(rest.reference_weight)
    assert_allclose(logs(policy), rest.log_policy, atol=1e-5)
    assert policy.observed_rate_ == pytest.approx(policy.rate_, abs=2e-3)


def error_after(sampler, history, beta, weight, n_rounds):
    """Return the largest error of log p after some rounds from a start near the fixed point."""
    X, y = free_policy()
    scheme = {1: sampler, 2: "last_two", "all": "all"}[history]
    scheme += "_both" if history != 1 and sampler == "reference" else ""
    rng = np.random.default_rng(0)
    reference = HUMAN + 0.01 * rng.standard_normal(5)
    rest = self_play_fixed_point(
        scheme, HUMAN, reference, beta=beta, mixture_weight=weight
    ).log_policy
    policy = SelfPlayPolicy(
        beta,
        mixture_weight=weight,
        sampler=sampler,
        history=history,
        n_rounds=n_rounds,
        reference=reference,
        alpha=0.0,
        tol=0.0,
    )
    policy.fit(X, y)
    return np.abs(logs(policy) - rest).max(), np.abs(reference - rest).max()


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize(
    ("sampler", "history", "weight", "below", "above"),
    [
        ("previous", 1, 0.0, 0.47, 0.53),
        ("reference", 1, 0.0, 0.47, 0.53),
        ("previous", 1, 0.3, 0.56, 0.62),
        ("reference", 1, 0.3, 0.39, 0.43),
        ("previous", 2, 0.0, 0.47, 0.53),
        ("reference", 2, 0.0, 0.32, 0.35),
    ],
)
def test_both_sides_of_each_threshold(sampler, history, weight, below, above):
    """Forty rounds multiply the error by rate^40 up to the polynomial of complex roots."""
    after, start = error_after(sampler, history, below, weight, 40)
    assert after > 1.5 * start
    after, start = error_after(sampler, history, above, weight, 150)
    assert after < 0.5 * start


def test_all_policies_converge_below_the_threshold_of_one():
    after, start = error_after("reference", "all", 0.45, 0.0, 60)
    assert after < 0.1 * start


def test_the_rate_is_that_of_the_theory_near_the_point_of_rest():
    """Log-linear policy, humans described by it; two draws' noise leaves a tenth."""
    X, y = human_choices(n=2000)
    for beta in (2.0, 0.7):
        policy = SelfPlayPolicy(beta).fit(X, y)
        assert policy.rate_ == self_play_rate("reference", beta)
        assert policy.observed_rate_ == pytest.approx(policy.rate_, abs=0.1)


def misfit_choices():
    """Return few choices, which the fit describes better than it describes others."""
    return human_choices(n=60, K=3, F=5, seed=2)


def largest_factor(X, y, rest, **settings):
    """Return the largest factor of a round, by differences of rounds that start near their rest."""
    h, columns = 1e-4, []
    for step in h * np.eye(X.shape[2]):
        up, down = (
            SelfPlayPolicy(n_rounds=1, reference=rest + s, **settings).fit(X, y).coef_
            for s in (step, -step)
        )
        columns.append((up - down) / (2 * h))
    factors = np.linalg.eigvals(np.transpose(columns))
    return factors[np.argmax(np.abs(factors))].real


@pytest.mark.parametrize("sampler", ["reference", "previous"])
@pytest.mark.parametrize("beta", [1.0, 2.0, 4.0])
def test_rounds_slower_than_predicted_are_not_stable_and_have_the_rate_of_the_features(
    sampler, beta
):
    X, y = misfit_choices()
    settings = {"beta": beta, "sampler": sampler, "alpha": 0.0, "tol": 1e-12}
    policy = SelfPlayPolicy(n_rounds=200, **settings).fit(X, y)
    told, true = self_play_rate(sampler, beta), largest_factor(X, y, policy.coef_, **settings)
    assert 1.2 * (1 - abs(true)) < 1 - max(abs(told), 1 / 6)
    assert not policy.is_stable_
    # Truncation of the differences is of the order of the square of their step.
    assert policy.rate_ == pytest.approx(true, rel=1e-5)
    assert policy.converged_
    assert policy.regime_ == "detected"


@pytest.mark.parametrize("sampler", ["reference", "previous"])
def test_with_a_mixture_the_rate_is_that_of_the_last_steps(sampler):
    X, y = misfit_choices()
    policy = SelfPlayPolicy(0.8, mixture_weight=0.1, sampler=sampler, n_rounds=300, alpha=0.0)
    policy.fit(X, y)
    assert not policy.is_stable_
    # Steps are followed down to 1e-6 of the largest, where other factors are forgotten.
    assert policy.rate_ == pytest.approx(policy.observed_rate_, rel=0.02)


def test_two_opponents_have_the_rate_that_is_seen():
    X, y = misfit_choices()
    policy = SelfPlayPolicy(0.7, history=2, n_rounds=300, alpha=0.0).fit(X, y)
    assert policy.rate_ > 1.2 * self_play_rate("last_two_both", 0.7)
    assert not policy.is_stable_
    steps = np.linalg.norm(np.diff(policy.coef_path_, axis=0), axis=1)
    clear = np.flatnonzero(steps > 1e-6 * steps.max())[-1]
    # Complex factors turn as they shrink: over half of the steps a turn is a small part of it.
    mean = (steps[clear] / steps[clear // 2]) ** (1 / (clear - clear // 2))
    assert policy.rate_ == pytest.approx(mean, rel=0.1)


def test_draws_do_not_count_as_slower_rounds():
    X, y = human_choices(n=2000)
    policy = SelfPlayPolicy(2.0, n_draws=8, n_rounds=30, random_state=0).fit(X, y)
    assert policy.is_stable_
    assert policy.rate_ == 0.5


@pytest.mark.parametrize("sampler", ["reference", "previous"])
def test_the_point_of_rest_is_the_fit_of_largest_likelihood(sampler):
    X, y = human_choices()
    policy = SelfPlayPolicy(1.2, sampler=sampler).fit(X, y)
    probabilities = policy.predict_proba(X)
    gap = X[np.arange(len(y)), y].mean(axis=0) - (probabilities[..., None] * X).sum(1).mean(axis=0)
    assert_allclose(gap, 0, atol=1e-5)
    likelihood = np.log(probabilities[np.arange(len(y)), y]).mean()
    assert policy.log_likelihood_path_[-1] == pytest.approx(likelihood)
    assert policy.log_likelihood_path_[-1] > policy.log_likelihood_path_[0]


def test_a_round_minimises_the_public_loss():
    X, y = human_choices(n=60)
    beta, weight = 0.8, 0.4
    reference = np.array([0.3, -0.2, 0.1, 0.0])
    two = SelfPlayPolicy(
        beta, mixture_weight=weight, n_rounds=2, reference=reference, alpha=1e-3, tol=0.0
    ).fit(X, y)
    previous = two.coef_path_[1]
    rows = np.arange(60)
    penalty = 1e-3 * np.mean((X - X[rows, y][:, None]) ** 2)
    anchor = (1 - weight) * previous + weight * reference
    opponent = np.exp(X @ anchor)
    opponent /= opponent.sum(axis=1, keepdims=True)

    def table(coef):
        logits = X @ coef
        values = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        return np.broadcast_to(values[rows, y][:, None], values.shape), values

    def objective(coef):
        losses = spin_loss(
            *table(coef),
            *table(previous),
            *table(reference),
            beta=beta,
            reference="geometric",
            mixture_weight=weight,
        )
        return (opponent * losses).sum(axis=1).mean() + penalty * np.sum((coef - anchor) ** 2)

    best = minimize(objective, previous, options={"gtol": 1e-9})
    assert_allclose(two.coef_, best.x, atol=1e-5)


def test_kl_regularisation_keeps_near_the_reference():
    X, y = human_choices()
    distances = [
        SelfPlayPolicy(2.0, mixture_weight=w).fit(X, y).kl_to_reference_
        for w in (0.0, 0.3, 0.9, 1.0)
    ]
    assert np.all(np.diff(distances) < 0)


def test_divergence_is_announced_with_settings_that_work():
    X, y = human_choices()
    with pytest.warns(TheoryWarning, match="stable_settings_") as caught:
        policy = SelfPlayPolicy(0.35, n_rounds=30).fit(X, y)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert not policy.is_stable_
    assert not policy.converged_
    assert policy.min_beta_ == 0.5
    assert {"sampler": "reference", "mixture_weight": 0.47} in policy.stable_settings_
    for parameters in policy.stable_settings_:
        assert SelfPlayPolicy(0.35, n_rounds=3, **parameters).fit(X, y).is_stable_


def test_draws_approach_the_exact_expectation():
    X, y = human_choices(n=1000)
    exact = SelfPlayPolicy(n_rounds=1).fit(X, y)
    errors = []
    for n_draws in (4, 64):
        drawn = [
            SelfPlayPolicy(n_rounds=1, n_draws=n_draws, random_state=seed).fit(X, y).coef_
            for seed in range(5)
        ]
        errors.append(np.sqrt(np.mean((np.array(drawn) - exact.coef_) ** 2)))
    # Sixteen times the draws, a quarter of the error; 20 numbers each: spread of the ratio 22 %.
    assert errors[1] < 0.25 * errors[0] * (1 + 4 * 0.22)
    pair = [SelfPlayPolicy(n_rounds=1, n_draws=4, random_state=0).fit(X, y) for _ in range(2)]
    assert_allclose(pair[0].coef_, pair[1].coef_, rtol=0)


def test_masked_candidates_and_weights():
    X, y = human_choices(n=50)
    more = np.concatenate([X, np.full((50, 1, 4), np.nan)], axis=1)
    mask = np.ones((50, 6), bool)
    mask[:, -1] = False
    for parameters in ({}, {"history": 2}, {"n_draws": 3, "random_state": 0, "n_rounds": 2}):
        expected = SelfPlayPolicy(**parameters).fit(X, y)
        policy = SelfPlayPolicy(**parameters).fit(more, y, mask=mask)
        assert_allclose(policy.coef_, expected.coef_, rtol=1e-7, atol=1e-9)
    count = np.random.default_rng(0).integers(0, 3, 50)
    weighted = SelfPlayPolicy().fit(X, y, sample_weight=count)
    repeated = SelfPlayPolicy().fit(np.repeat(X, count, axis=0), np.repeat(y, count))
    assert_allclose(weighted.coef_, repeated.coef_, rtol=1e-6)
    assert_allclose(weighted.kl_to_reference_, repeated.kl_to_reference_, rtol=1e-6)


def test_a_shared_log_reference_shifts_the_policy():
    X, y = human_choices(n=200)
    offsets = np.random.default_rng(0).standard_normal(X.shape[:2])
    policy = SelfPlayPolicy().fit(X, y, log_reference=offsets)
    probabilities = policy.predict_proba(X, log_reference=offsets)
    gap = X[np.arange(200), y].mean(axis=0) - (probabilities[..., None] * X).sum(1).mean(axis=0)
    assert_allclose(gap, 0, atol=1e-5)


def test_methods():
    X, y = human_choices(n=100)
    policy = SelfPlayPolicy().fit(X, y)
    logits = X @ policy.coef_
    assert_allclose(policy.decision_function(X), logits)
    assert_allclose(policy.decision_function(X[0]), logits[0])
    assert (policy.predict(X) == logits.argmax(axis=1)).all()
    assert (policy.rank(X) == np.argsort(-logits, axis=1)).all()
    assert policy.score(X, y) == np.mean(logits.argmax(axis=1) == y)
    assert_allclose(policy.predict_proba(X).sum(axis=1), 1)
    assert policy.coef_path_.shape == (policy.n_iter_ + 1, 4)
    assert policy.chosen_logratio_ > 0 > policy.rejected_logratio_


def test_rounds_can_be_printed(capsys):
    X, y = human_choices(n=50)
    SelfPlayPolicy(n_rounds=2, verbose=1).fit(X, y)
    assert capsys.readouterr().out.count("round") == 2


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"beta": 0.0}, "beta"),
        ({"mixture_weight": 1.1}, "mixture_weight"),
        ({"mixture_weight": -0.1}, "mixture_weight"),
        ({"sampler": "both"}, "sampler"),
        ({"history": 0}, "history"),
        ({"history": 3}, "history"),
        ({"history": "none"}, "history"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"n_draws": 0}, "n_draws"),
        ({"reference": [1.0]}, "reference"),
        ({"alpha": -1.0}, "alpha"),
    ],
)
def test_parameters_are_checked(parameters, match):
    X, y = human_choices(n=20)
    with pytest.raises(ValueError, match=match):
        SelfPlayPolicy(**parameters).fit(X, y)


def test_data_are_checked():
    X, y = human_choices(n=20)
    with pytest.raises(ValueError, match="two or more"):
        SelfPlayPolicy().fit(X[:, :1], np.zeros(20))
    with pytest.raises(ValueError, match="indices"):
        SelfPlayPolicy().fit(X, y + 5)
    with pytest.raises(ValueError, match="one index per prompt"):
        SelfPlayPolicy().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="does not exist"):
        SelfPlayPolicy().fit(X, y, log_reference=np.where(np.arange(5) == y[:, None], -np.inf, 0.0))


def test_steps_that_grow_against_the_prediction_are_a_misfit():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((30, 4, 2)) * rng.choice([1.0, 3.0, 6.0])
    y = (2.0 * X[..., 0] + rng.gumbel(size=(30, 4))).argmax(axis=1)
    with pytest.warns(ConvergenceWarning, match="grew"):
        policy = SelfPlayPolicy(beta=0.8, alpha=1e-6, n_rounds=40).fit(X, y)
    assert not policy.is_stable_
    assert policy.rate_ == policy.observed_rate_
    assert policy.regime_ == "misfit"
    assert SelfPlayPolicy(beta=2.0, alpha=0.1).fit(X, y).regime_ == "detected"
