"""PreferencePolicy on responses that are compared several times."""

import numpy as np
import pytest
from scipy.special import expit

from skrmt.preference import PreferencePolicy


def world(rng, n_items, taste, effect):
    """Return features of responses, and their worth."""
    X = rng.standard_normal((n_items, len(taste)))
    return X, X @ taste + effect * rng.standard_normal(n_items)


def compared(rng, worth, n):
    """Return chosen and rejected of n pairs by the law of Bradley and Terry."""
    a = rng.integers(0, len(worth), n)
    b = (a + rng.integers(1, len(worth), n)) % len(worth)
    first = rng.random(n) < expit(worth[a] - worth[b])
    return np.where(first, a, b), np.where(first, b, a)


def realised(policy, X, worth):
    """Return the share of pairs of these responses that are ranked as chosen."""
    score = X @ policy.coef_
    right = expit(np.where(score[:, None] > score, 1, -1) * (worth[:, None] - worth))
    return right[~np.eye(len(X), dtype=bool)].mean()


@pytest.mark.parametrize(("n_features", "effect"), [(6, 0.0), (20, 0.7)])
def test_new_items_are_ranked_as_predicted(n_features, effect):
    """Both numbers are unbiased and their intervals cover, where they differ and where not."""
    found, n_draws = [], 24
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        taste = np.full(n_features, 1.5 / np.sqrt(n_features))
        X, worth = world(rng, 40, taste, effect)
        chosen, rejected = compared(rng, worth, 600)
        policy = PreferencePolicy("ipo").fit_pairs(X[chosen], X[rejected])
        assert policy.fresh_pairs_ == "known responses"
        pairs = [
            (policy.observed_accuracy_, policy.observed_accuracy_interval_, X, worth),
            (
                policy.new_items_accuracy_,
                policy.new_items_accuracy_interval_,
                *world(rng, 1000, taste, effect),
            ),
        ]
        for claimed, (low, high), *fresh in pairs:
            truth = realised(policy, *fresh)
            found.append((claimed - truth, low <= truth <= high, high - low))
    error, inside, width = np.reshape(found, (n_draws, 2, 3)).transpose(2, 1, 0)
    assert (np.abs(error.mean(axis=1)) < 0.01 + 4 * error.std(axis=1) / np.sqrt(n_draws)).all()
    # Of 24 intervals of 95 % less than 20 cover in one of 200 draws.
    assert (inside.sum(axis=1) >= 20).all()
    assert width[0].mean() <= 0.10


def test_pairs_of_new_items_come_from_fits_without_both():
    """With nothing but the worth of items to learn, new ones are ranked by chance."""
    rng = np.random.default_rng(0)
    X, worth = world(rng, 40, np.zeros(15), 2.0)
    chosen, rejected = compared(rng, worth, 800)
    policy = PreferencePolicy("dpo").fit_pairs(X[chosen], X[rejected])
    low, high = policy.new_items_accuracy_interval_
    assert low < 0.5 < high
    assert policy.observed_accuracy_interval_[0] > high - 0.1
    assert policy.observed_accuracy_ > policy.new_items_accuracy_ + 0.1


def test_the_order_of_comparisons_does_not_matter():
    rng = np.random.default_rng(0)
    X, worth = world(rng, 30, np.ones(5), 0.5)
    chosen, rejected = compared(rng, worth, 300)
    order = rng.permutation(300)
    one = PreferencePolicy("ipo").fit_pairs(X[chosen], X[rejected])
    other = PreferencePolicy("ipo").fit_pairs(X[chosen[order]], X[rejected[order]])
    for name in ("observed_accuracy_", "new_items_accuracy_", "new_items_accuracy_interval_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-8)


def test_responses_to_a_prompt_go_out_together():
    """One chosen response beside four others, of a prompt of its own: as groups of prompts."""
    rng = np.random.default_rng(0)
    prompt = np.repeat(np.arange(60), 4)
    chosen = (0.3 + rng.standard_normal((60, 5)))[prompt]
    rejected = rng.standard_normal((240, 5))
    policy = PreferencePolicy("dpo").fit_pairs(chosen, rejected)
    grouped = PreferencePolicy("dpo").fit_pairs(chosen, rejected, groups=prompt)
    assert policy.fresh_pairs_ == "new groups"
    assert policy.n_effective_samples_ == 60
    np.testing.assert_allclose(policy.held_out_scores_, grouped.held_out_scores_)
    assert policy.new_items_accuracy_ == policy.observed_accuracy_


def test_a_baseline_is_no_response_of_its_own():
    rng = np.random.default_rng(0)
    chosen = 0.5 + rng.standard_normal((100, 3))
    policy = PreferencePolicy("ipo").fit_pairs(chosen, np.zeros_like(chosen))
    assert policy.fresh_pairs_ == "new responses"
    assert policy.new_items_accuracy_ == policy.observed_accuracy_


def test_too_few_responses_say_nothing_of_new_ones():
    rng = np.random.default_rng(0)
    X, worth = world(rng, 8, np.ones(3), 0.0)
    chosen, rejected = compared(rng, worth, 300)
    policy = PreferencePolicy("ipo").fit_pairs(X[chosen], X[rejected])
    assert policy.fresh_pairs_ == "known responses"
    assert np.isnan(policy.new_items_accuracy_)
    assert policy.observed_accuracy_ > 0.5
