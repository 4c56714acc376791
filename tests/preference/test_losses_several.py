"""Losses of several responses and of self-play."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit, log_softmax, softmax

from skrmt.preference.losses._listwise import listwise_loss
from skrmt.preference.losses._losses import preference_loss
from skrmt.preference.losses._spin import spin_loss
from skrmt.theory.preference import kl_regularized_optimum, self_play_map


def draw(rng, shape=(6, 4)):
    """Return log-probabilities, those of a reference, and rewards."""
    return -5 * rng.random(shape), -5 * rng.random(shape), rng.standard_normal(shape)


@pytest.mark.parametrize("name", ["info_nca", "nca_k"])
def test_listwise_formulas(name, rng, backend):
    logps, reference, rewards = draw(rng)
    h, w = 0.4 * (logps - reference), softmax(rewards / 0.5, axis=1)
    expected = {
        "info_nca": -(w * log_softmax(h, axis=1)).sum(axis=1),
        "nca_k": -(w * log_expit(h) + log_expit(-h) / 4).sum(axis=1),
    }[name]
    arrays = [backend.asarray(x) for x in (logps, reference, rewards)]
    found = listwise_loss(name, *arrays, beta=0.4, temperature=0.5)
    assert backend.is_native(found)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-12)
    mean = listwise_loss(name, *arrays, beta=0.4, temperature=0.5, reduction="mean")
    assert float(mean) == pytest.approx(expected.mean(), rel=1e-12)


@pytest.mark.parametrize("name", ["info_nca", "nca_k"])
def test_listwise_gradient_torch(name, rng):
    torch = pytest.importorskip("torch")
    logps, reference, rewards = draw(rng)
    mask = np.ones((6, 4), bool)
    mask[0, 3] = mask[2, 0] = False
    tensor = torch.tensor(logps, requires_grad=True)
    listwise_loss(
        name, tensor, reference, rewards, beta=0.4, mask=torch.tensor(mask), reduction="sum"
    ).backward()
    h = 1e-6
    for i, k in [(0, 0), (0, 3), (2, 0), (3, 2)]:
        step = np.zeros((6, 4))
        step[i, k] = h
        up, down = (
            listwise_loss(name, logps + s, reference, rewards, beta=0.4, mask=mask).sum()
            for s in (step, -step)
        )
        assert tensor.grad[i, k].item() == pytest.approx((up - down) / (2 * h), rel=1e-7, abs=1e-8)
    assert tensor.grad[0, 3] == tensor.grad[2, 0] == 0


@pytest.mark.parametrize("name", ["info_nca", "nca_k"])
def test_mask_is_leaving_out(name, rng):
    logps, reference, rewards = draw(rng)
    mask = np.ones((6, 4), bool)
    mask[:, 1] = False
    rewards[:, 1] = 50.0
    kept = [0, 2, 3]
    expected = listwise_loss(name, logps[:, kept], reference[:, kept], rewards[:, kept])
    found = listwise_loss(name, logps, reference, rewards, mask=mask)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("name", ["info_nca", "nca_k"])
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf, 1e300])
def test_what_is_masked_is_never_read(name, hole, rng, backend):
    arrays = draw(rng)
    mask = np.ones((6, 4), bool)
    mask[:3, 1] = mask[2:, 3] = False
    expected = listwise_loss(name, *arrays, mask=mask)
    holes = [backend.asarray(np.where(mask, array, hole)) for array in arrays]
    if backend.name == "torch":
        holes[0] = holes[0].detach().requires_grad_()
    found = listwise_loss(name, *holes, mask=mask)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-14)
    if backend.name == "torch":
        found.sum().backward()
        gradient = holes[0].grad.numpy()
        assert np.isfinite(gradient).all()
        assert (gradient[~mask] == 0).all()
        assert (gradient[mask] != 0).all()
    with pytest.raises(ValueError, match="logps must be finite"):
        listwise_loss(name, np.full((6, 4), np.nan), *arrays[1:], mask=mask)


def test_two_responses_with_a_hard_label(rng):
    logps, reference, _ = draw(rng, (6, 2))
    rewards = np.tile([1.0, 0.0], (6, 1))
    pairs = (*logps.T, *reference.T)
    for name, pair in [("info_nca", "dpo"), ("nca_k", "nca")]:
        found = listwise_loss(name, logps, reference, rewards, beta=0.3, temperature=1e-3)
        np.testing.assert_allclose(found, preference_loss(pair, *pairs, beta=0.3), rtol=1e-13)


def test_info_nca_reaches_the_optimum_of_the_reward(rng):
    """The minimum is the policy that is best for the reward, beta times temperature the penalty."""
    _, reference, rewards = draw(rng, (1, 4))
    reference = log_softmax(reference, axis=1)

    def objective(logits):
        policy = log_softmax(logits)[None]
        return listwise_loss("infonca", policy, reference, rewards, beta=0.5, temperature=0.7)[0]

    found = minimize(objective, np.zeros(4), tol=1e-12).x
    best = kl_regularized_optimum(rewards[0], reference[0], 0.35)
    # A minimiser is located to the square root of the accuracy of the minimum.
    np.testing.assert_allclose(softmax(found), np.exp(best.log_policy), atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"name": "nothing"}, ValueError, "not a loss of several"),
        ({"name": 1}, ValueError, "not a loss of several"),
        ({"beta": 0}, ValueError, "beta must lie in"),
        ({"temperature": 0}, ValueError, "temperature must lie in"),
        ({"temperature": 1e-320}, ValueError, "temperature=.* is too small"),
        ({"rewards": np.zeros((2, 2))}, ValueError, "one shape"),
        ({"rewards": np.full((2, 3), np.nan)}, ValueError, "rewards must be finite"),
        ({"mask": np.ones((2, 3))}, ValueError, "mask must be a boolean"),
        ({"mask": np.eye(2, 3, dtype=bool)}, ValueError, "two responses or more"),
        ({"reduction": None}, ValueError, "reduction=None"),
    ],
)
def test_refused_listwise(changes, error, match):
    given = {"name": "nca_k", "rewards": np.ones((2, 3))} | changes
    name, rewards = given.pop("name"), given.pop("rewards")
    with pytest.raises(error, match=match):
        listwise_loss(name, np.zeros((2, 3)), np.zeros((2, 3)), rewards, **given)


def test_one_response_is_refused():
    with pytest.raises(ValueError, match="two responses or more"):
        listwise_loss("nca_k", np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match="got a single number"):
        listwise_loss("nca_k", 0.0, 0.0, 0.0)


def rounds(rng, n_policies=3, n=6):
    """Return log-probabilities of human and generated responses: policy, previous, reference."""
    return -5 * rng.random((2, n)), -5 * rng.random((2, n_policies, n)), -5 * rng.random((2, n))


def test_spin_is_dpo_with_the_previous_policy(rng, backend):
    policy, previous, reference = rounds(rng)
    arrays = [backend.asarray(x) for x in (*policy, *previous[:, -1])]
    expected = preference_loss("dpo", *policy, *previous[:, -1], beta=0.8)
    found = spin_loss(*arrays, beta=0.8)
    assert backend.is_native(found)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-13)
    same = spin_loss(*arrays, *reference, beta=0.8, reference="geometric")
    np.testing.assert_allclose(backend.to_numpy(same), expected, rtol=1e-13)


@pytest.mark.parametrize("history", [1, 2, "all"])
def test_spin_references(rng, backend, history):
    policy, previous, reference = rounds(rng)
    count = 3 if history == "all" else history
    average = np.log(np.exp(previous[:, -count:]).mean(axis=1))
    for weight in (0.0, 0.3, 1.0):
        mixture = (1 - weight) * average + weight * reference
        arrays = [backend.asarray(x) for x in (*policy, *previous, *reference)]
        found = spin_loss(
            *arrays,
            beta=1.7,
            reference="geometric",
            mixture_weight=weight,
            history=history,
            reduction="mean",
        )
        expected = preference_loss("dpo", *policy, *mixture, beta=1.7, reduction="mean")
        assert float(found) == pytest.approx(expected, rel=1e-13)


def test_spin_gradient_torch(rng):
    torch = pytest.importorskip("torch")
    policy, previous, reference = rounds(rng)
    tensors = [torch.tensor(row, requires_grad=True) for row in policy]
    settings = {"reference": "geometric", "mixture_weight": 0.4, "history": 2}
    spin_loss(*tensors, *previous, *reference, reduction="sum", **settings).backward()
    h = 1e-6
    up = spin_loss(policy[0] + h, policy[1], *previous, *reference, **settings)
    down = spin_loss(policy[0] - h, policy[1], *previous, *reference, **settings)
    np.testing.assert_allclose(tensors[0].grad, (up - down) / (2 * h), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(tensors[1].grad, -tensors[0].grad, rtol=1e-14)
    single = [tensor.detach().float() for tensor in tensors]
    assert spin_loss(*single, *previous).dtype == torch.float32


@pytest.mark.parametrize(
    ("scheme", "settings", "history"),
    [
        ("previous", {"reference": "previous"}, 1),
        ("previous", {"reference": "geometric", "mixture_weight": 0.35}, 1),
        ("last_two", {"reference": "previous"}, 1),
        ("last_two_both", {"reference": "previous", "history": 2}, 2),
    ],
)
def test_minimum_of_the_loss_is_the_exact_round(rng, scheme, settings, history):
    human, reference = rng.dirichlet(np.ones(4)), log_softmax(rng.standard_normal(4))
    iterates = log_softmax(rng.standard_normal((2, 4)), axis=1)
    opponent = np.exp(iterates[-1:] if scheme == "previous" else iterates).mean(axis=0)
    first, second = (index.ravel() for index in np.indices((4, 4)))
    weights = np.outer(human, opponent).ravel()

    def objective(logits):
        policy = log_softmax(logits)
        previous = iterates[-history:]
        losses = spin_loss(
            policy[first],
            policy[second],
            previous[:, first],
            previous[:, second],
            reference[first],
            reference[second],
            beta=1.3,
            **settings,
        )
        return weights @ losses

    found = log_softmax(minimize(objective, np.zeros(4), tol=1e-12).x)
    given = iterates[-1] if scheme == "previous" else iterates
    expected = self_play_map(
        scheme,
        given,
        np.log(human),
        reference,
        beta=1.3,
        mixture_weight=settings.get("mixture_weight", 0.0),
    )
    # A minimiser is located to the square root of the accuracy of the minimum.
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"beta": 0.0}, ValueError, "beta must lie in"),
        ({"reference": "mixture"}, ValueError, "reference='mixture' is not known"),
        ({"reference": "geometric", "mixture_weight": 1.2}, ValueError, "mixture_weight must lie"),
        ({"mixture_weight": 0.3}, ValueError, "which has no mixture"),
        ({"history": 0}, ValueError, "history must be 1 or more"),
        ({"history": 1.5}, TypeError, "history must be an integer"),
        ({"history": "two"}, TypeError, "history must be an integer"),
        ({"history": 2}, ValueError, "history=2 needs"),
        ({"reference": "geometric", "mixture_weight": 0.3}, ValueError, "ref_human_logps must"),
        ({"reduction": "max"}, ValueError, "reduction='max'"),
    ],
)
def test_refused_spin(changes, error, match):
    arrays = [np.zeros(3)] * 4
    with pytest.raises(error, match=match):
        spin_loss(*arrays, **changes)


def test_refused_spin_shapes():
    zero = np.zeros(3)
    with pytest.raises(ValueError, match="one shape"):
        spin_loss(zero, zero, np.zeros(4), np.zeros(4))
    with pytest.raises(ValueError, match="previous_generated_logps must be finite"):
        spin_loss(zero, zero, zero, zero - np.inf)
    with pytest.raises(ValueError, match="history=1 needs"):
        spin_loss(zero, zero, np.zeros((2, 2, 3)), np.zeros((2, 2, 3)))
