"""Losses and gradients against those of TRL's own trainer, where TRL is installed."""

from __future__ import annotations

import warnings
from collections import defaultdict
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from skrmt.preference import preference_loss

if find_spec("trl") is None or find_spec("torch") is None:
    pytest.skip("TRL is not installed", allow_module_level=True)

NAMES = (
    "sigmoid",
    "hinge",
    "ipo",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "apo_zero",
    "apo_down",
    "aot",
    "aot_unpaired",
    "discopop",
    "sigmoid_norm",
    "sft",
)
SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
N_PAIRS, N_TOKENS, EPSILON = 64, 9, 0.1


@pytest.fixture(scope="module")
def trl_torch():
    """TRL's DPOTrainer and torch; the stand-ins below fit the release 1.16."""
    import torch
    import trl

    if not trl.__version__.startswith("1.16."):
        pytest.skip(f"written for TRL 1.16, found {trl.__version__}")
    return trl.DPOTrainer, torch


def trainer_loss(trainer, torch, name, token_logps, mask, references, beta):
    """Run the trainer's loss on given log-probabilities of tokens."""
    shape = (2 * N_PAIRS, N_TOKENS)
    outputs = SimpleNamespace(
        log_probs=token_logps * mask,
        entropy=torch.zeros(shape),
        mean_logits=torch.zeros(shape),
        is_top1=torch.zeros(shape, dtype=torch.bool),
    )

    class Model:
        training = False

        def __call__(self, **inputs):
            return outputs

    itself = SimpleNamespace(
        model=Model(),
        accelerator=SimpleNamespace(
            device="cpu", gather=lambda x: x, gather_for_metrics=lambda x: x
        ),
        args=SimpleNamespace(discopop_tau=0.05),
        aux_loss_enabled=False,
        beta=beta,
        f_divergence_type="reverse_kl",
        label_smoothing=EPSILON,
        ld_alpha=None,
        loss_types=[name],
        loss_weights=[1.0],
        precompute_ref_logps=True,
        use_weighting=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
        _total_train_tokens=0,
    )
    padded = torch.cat([torch.zeros(2 * N_PAIRS, 1, dtype=mask.dtype), mask], dim=1)
    inputs = {
        "input_ids": torch.zeros(2 * N_PAIRS, N_TOKENS + 1, dtype=torch.long),
        "attention_mask": torch.ones_like(padded),
        "completion_mask": padded,
        "ref_chosen_logps": references[0],
        "ref_rejected_logps": references[1],
    }
    return trainer._compute_loss(itself, itself.model, inputs, False)


@pytest.mark.parametrize("beta", [0.1, 0.7, 2.0])
@pytest.mark.parametrize("name", NAMES)
def test_trl_agrees_with_torch(trl_torch, rng, name, beta):
    trainer, torch = trl_torch
    lengths = rng.integers(1, N_TOKENS + 1, 2 * N_PAIRS)
    mask = torch.tensor((np.arange(N_TOKENS) < lengths[:, None]).astype(int))
    drawn = -rng.random((2 * N_PAIRS, N_TOKENS))
    references = [torch.tensor(-lengths[:N_PAIRS] * 0.5), torch.tensor(-lengths[N_PAIRS:] * 0.6)]
    results = []
    for ours in (False, True):
        tokens = torch.tensor(drawn, requires_grad=True)
        if ours:
            chosen, rejected = (tokens * mask).sum(dim=1).chunk(2)
            loss = preference_loss(
                name,
                chosen,
                rejected,
                *references,
                beta=beta,
                label_smoothing=EPSILON if name in SMOOTHED else 0.0,
                chosen_lengths=lengths[:N_PAIRS],
                rejected_lengths=lengths[N_PAIRS:],
                reduction="mean",
            )
        else:
            loss = trainer_loss(trainer, torch, name, tokens, mask, references, beta)
        loss.backward()
        results.append((loss.item(), tokens.grad.numpy()))
    (theirs, their_gradient), (value, gradient) = results
    # TRL holds the noise of exo_pair in float32.
    rtol = 1e-7 if name == "exo_pair" else 1e-12
    assert value == pytest.approx(theirs, rel=rtol)
    scale = np.abs(their_gradient).max()
    np.testing.assert_allclose(gradient, their_gradient, rtol=rtol, atol=rtol * scale)


@pytest.fixture(scope="module")
def trl_experimental(trl_torch):
    """The trainers of CPO (SimPO is one of its losses) and ORPO, and torch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cpo = pytest.importorskip("trl.experimental.cpo")
        orpo = pytest.importorskip("trl.experimental.orpo")
    return cpo.CPOTrainer, orpo.ORPOTrainer, trl_torch[1]


def pairs_of(torch, rng):
    """Return summed log-probabilities and lengths of pairs."""
    lengths = rng.integers(1, 20, (2, N_PAIRS))
    logps = [torch.tensor(-row * rng.random(N_PAIRS), requires_grad=True) for row in lengths]
    return logps, {"chosen_lengths": lengths[0], "rejected_lengths": lengths[1]}


@pytest.mark.parametrize("name", ["cpo", "simpo"])
def test_trl_cpo_and_simpo_agree_with_torch(trl_experimental, rng, name):
    trainer, _, torch = trl_experimental
    itself = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu"),
        alpha=0.0,
        beta=0.7,
        label_smoothing=0.0,
        loss_type="simpo" if name == "simpo" else "sigmoid",
        simpo_gamma=0.9,
    )
    logps, lengths = pairs_of(torch, rng)
    means = [x / torch.tensor(n) for x, n in zip(logps, lengths.values(), strict=True)]
    theirs = trainer.cpo_loss(itself, *(means if name == "simpo" else logps))[0]
    options = {"gamma": 0.9} if name == "simpo" else {"weight": 0.0}
    ours = preference_loss(name, *logps, beta=0.7, **lengths, **options)
    np.testing.assert_allclose(ours.detach(), theirs.detach(), rtol=1e-12)


def test_trl_orpo_agrees_with_torch(trl_experimental, rng):
    _, trainer, torch = trl_experimental
    itself = SimpleNamespace(accelerator=SimpleNamespace(device="cpu"), beta=0.25)
    logps, lengths = pairs_of(torch, rng)
    means = [x / torch.tensor(n) for x, n in zip(logps, lengths.values(), strict=True)]
    odds = trainer.odds_ratio_loss(itself, *means)[0]
    theirs = -logps[0].sum() / lengths["chosen_lengths"].sum() - odds.mean()
    ours = preference_loss("orpo", *logps, weight=0.25, **lengths, reduction="mean")
    # TRL computes the odds in float32.
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)
