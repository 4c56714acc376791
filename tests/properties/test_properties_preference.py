"""Properties of the losses of preferences, the policies and the trainer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import preference

SEEDS = st.integers(0, 10**6)
NAMES = st.sampled_from(["dpo", "ipo", "hinge"])
pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def log_probabilities(seed, n=6):
    """Return log-probabilities of chosen and rejected responses under policy and reference."""
    return -np.random.default_rng(seed).exponential(3.0, (4, n))


@pytest.mark.property_of("preference.preference_loss", "preference.preference_gradient")
@given(st.sampled_from(["dpo", "ipo"]), SEEDS, st.floats(0.05, 2.0))
def test_gradients_are_the_slopes_of_the_loss(name, seed, beta):
    chosen, rejected, *reference = log_probabilities(seed)
    step = 1e-6
    found = preference.preference_gradient(name, chosen, rejected, *reference, beta=beta)
    for k, gradient in enumerate(found):
        sides = [
            preference.preference_loss(
                name,
                chosen + side * (k == 0),
                rejected + side * (k == 1),
                *reference,
                beta=beta,
            )
            for side in (-step, step)
        ]
        slope = (sides[1] - sides[0]) / (2 * step)
        np.testing.assert_allclose(gradient, slope, rtol=1e-3, atol=1e-6)


@pytest.mark.property_of("preference.preference_loss")
@given(NAMES, SEEDS, st.floats(0.05, 2.0), st.floats(-5, 5))
def test_losses_depend_on_log_ratios_alone_and_follow_the_pairs(name, seed, beta, shift):
    chosen, rejected, ref_chosen, ref_rejected = log_probabilities(seed)
    here = preference.preference_loss(name, chosen, rejected, ref_chosen, ref_rejected, beta=beta)
    there = preference.preference_loss(
        name, chosen - 9, rejected - 9, ref_chosen - 9 + shift, ref_rejected - 9 + shift, beta=beta
    )
    np.testing.assert_allclose(there, here, rtol=1e-8, atol=1e-9)
    order = np.random.default_rng(seed).permutation(6)
    moved = preference.preference_loss(
        name, chosen[order], rejected[order], ref_chosen[order], ref_rejected[order], beta=beta
    )
    np.testing.assert_allclose(moved, here[order])
    mean = preference.preference_loss(
        name, chosen, rejected, ref_chosen, ref_rejected, beta=beta, reduction="mean"
    )
    assert np.isclose(mean, here.mean())


@pytest.mark.property_of("preference.listwise_loss")
@given(st.sampled_from(["info_nca", "nca_k"]), SEEDS, st.floats(0.1, 2.0))
def test_listwise_losses_have_no_order_of_responses_and_ignore_masked_ones(name, seed, beta):
    rng = np.random.default_rng(seed)
    logps, reference, rewards = -rng.exponential(3.0, (3, 4, 5))
    here = preference.listwise_loss(name, logps, reference, rewards, beta=beta)
    order = rng.permutation(5)
    moved = preference.listwise_loss(
        name, logps[:, order], reference[:, order], rewards[:, order], beta=beta
    )
    np.testing.assert_allclose(moved, here, rtol=1e-9)
    mask = np.append(np.ones((4, 5), bool), np.zeros((4, 1), bool), axis=1)
    padded = [
        np.append(values, np.full((4, 1), -1.0), axis=1) for values in (logps, reference, rewards)
    ]
    masked = preference.listwise_loss(name, *padded, beta=beta, mask=mask)
    np.testing.assert_allclose(masked, here, rtol=1e-9)


@pytest.mark.property_of("preference.spin_loss", "preference.preference_loss")
@given(SEEDS, st.floats(0.05, 3.0))
def test_self_play_is_dpo_against_the_previous_policy(seed, beta):
    human, generated, *previous = log_probabilities(seed)
    np.testing.assert_allclose(
        preference.spin_loss(human, generated, *previous, beta=beta),
        preference.preference_loss("dpo", human, generated, *previous, beta=beta),
        rtol=1e-9,
    )


@pytest.mark.property_of("preference.PreferencePolicy")
@settings(max_examples=8)
@given(SEEDS, st.sampled_from(["dpo", "ipo"]))
def test_policies_swap_signs_with_their_pairs_and_turn_with_their_features(seed, loss):
    rng = np.random.default_rng(seed)
    chosen, rejected = rng.standard_normal((2, 60, 3))
    chosen = chosen + 0.3
    here = preference.PreferencePolicy(loss, alpha=0.1).fit_pairs(chosen, rejected)
    swapped = preference.PreferencePolicy(loss, alpha=0.1).fit_pairs(rejected, chosen)
    np.testing.assert_allclose(swapped.coef_, -here.coef_, atol=1e-6)
    rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    turned = preference.PreferencePolicy(loss, alpha=0.1).fit_pairs(
        chosen @ rotation, rejected @ rotation
    )
    np.testing.assert_allclose(np.ravel(turned.coef_), np.ravel(here.coef_) @ rotation, atol=1e-5)
    low, high = here.theoretical_accuracy_interval_
    assert 0 <= low <= here.theoretical_accuracy_ <= high <= 1


@pytest.mark.property_of("preference.SelfPlayPolicy")
@settings(max_examples=3)
@given(SEEDS, st.floats(0.8, 4.0))
def test_self_play_ends_at_the_same_place_whatever_the_order_of_candidates(seed, beta):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, 4, 2))
    y = (X @ [1.0, -0.5] + rng.gumbel(size=(40, 4))).argmax(axis=1)
    here = preference.SelfPlayPolicy(beta, alpha=1e-2, n_rounds=100).fit(X, y)
    order = rng.permutation(4)
    there = preference.SelfPlayPolicy(beta, alpha=1e-2, n_rounds=100).fit(
        X[:, order], np.argsort(order)[y]
    )
    np.testing.assert_allclose(there.coef_, here.coef_, atol=1e-5)
    np.testing.assert_allclose(here.predict_proba(X).sum(axis=1), 1)


@pytest.mark.property_of("preference.SafetyUtilityFrontier")
@settings(max_examples=6)  # Each fits two frontiers.
@given(SEEDS, st.floats(0.1, 2.0))
def test_the_frontier_of_swapped_rewards_is_its_mirror(seed, beta):
    rng = np.random.default_rng(seed)
    safety, utility = rng.random((2, 3, 4))
    here = preference.SafetyUtilityFrontier(beta).fit(safety, utility)
    there = preference.SafetyUtilityFrontier(beta).fit(utility, safety)
    np.testing.assert_allclose(here.policy().sum(axis=1), 1)
    np.testing.assert_allclose(there.policy(0.3), here.policy(0.7), atol=1e-9)


def bigram(torch, seed):
    """Return a model whose next token depends on the last one only."""

    class Bigram(torch.nn.Module):
        def __init__(self):
            super().__init__()
            table = np.random.default_rng(seed).standard_normal((5, 5))
            self.table = torch.nn.Parameter(torch.as_tensor(table))

        def forward(self, input_ids, attention_mask):
            return self.table[input_ids]

    return Bigram()


@pytest.mark.property_of("preference.response_logps")
@given(SEEDS, st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_log_probabilities_add_over_the_tokens_of_a_response(seed, response):
    model = bigram(pytest.importorskip("torch"), seed)
    whole = preference.response_logps(model, [[1, 2]], [response]).detach().numpy()
    parts = [
        preference.response_logps(model, [[1, 2, *response[:k]]], [[token]]).detach().numpy()
        for k, token in enumerate(response)
    ]
    np.testing.assert_allclose(whole, np.sum(parts, axis=0), rtol=1e-5)
    assert (whole < 0).all()


@pytest.mark.property_of("preference.sample_responses")
@given(SEEDS, st.integers(1, 5))
def test_sampled_responses_repeat_with_their_seed_and_keep_their_length(seed, length):
    model = bigram(pytest.importorskip("torch"), seed)
    draws = [
        preference.sample_responses(model, [[1], [2, 3]], max_new_tokens=length, random_state=seed)
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
    assert all(len(response) <= length for response in draws[0])
    assert all(0 <= token < 5 for response in draws[0] for token in response)


@pytest.mark.property_of("preference.SelfPlayTrainer", "preference.TrainingLog")
@settings(max_examples=4)
@given(SEEDS)
def test_training_on_pairs_lowers_their_loss(seed):
    model = bigram(pytest.importorskip("torch"), seed)
    trainer = preference.SelfPlayTrainer(
        model, learning_rate=0.05, n_epochs=15, engine="torch", random_state=0
    )
    log = trainer.train_pairs([[0], [1]], chosen=[[1], [2]], rejected=[[2], [3]])
    assert log.losses[-1] < log.losses[0]
    assert log.margins[-1] > log.margins[0]
