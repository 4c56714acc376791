"""Training of causal language models: log-probabilities, pairs, self-play."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skrmt.exceptions import TheoryWarning
from skrmt.preference import (
    SelfPlayTrainer,
    preference_loss,
    response_logps,
    sample_responses,
)
from skrmt.theory.preference import self_play_rate

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

VOCABULARY = 6


class Bigram(torch.nn.Module):
    """The next token depends on the last one only."""

    def __init__(self):
        super().__init__()
        values = np.random.default_rng(0).standard_normal((VOCABULARY, VOCABULARY))
        self.table = torch.nn.Parameter(torch.as_tensor(values))

    def forward(self, input_ids, attention_mask):
        return self.table[input_ids]


def tiny_falcon():
    """Return a Falcon model of a few thousand random weights."""
    transformers = pytest.importorskip("transformers")
    config = transformers.FalconConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return transformers.FalconForCausalLM(config)


def texts(n=16, seed=0):
    """Return prompts, and responses of two kinds: rising tokens, and random ones."""
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(1, VOCABULARY, rng.integers(1, 4)).tolist() for _ in range(n)]
    human = [[(p[-1] + 1) % VOCABULARY, (p[-1] + 2) % VOCABULARY] for p in prompts]
    other = [rng.integers(0, VOCABULARY, rng.integers(1, 4)).tolist() for _ in range(n)]
    return prompts, human, other


MODELS = [Bigram, tiny_falcon]


@pytest.mark.parametrize("make", MODELS)
def test_log_probabilities_are_sums_over_the_response(make):
    model = make().eval()
    prompts, _, other = texts(5)
    found = response_logps(model, prompts, other).detach().numpy()
    for i, (prompt, response) in enumerate(zip(prompts, other, strict=True)):
        ids = torch.tensor([prompt + response])
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids))
        logs = getattr(output, "logits", output)[0].log_softmax(-1)
        places = range(len(prompt) - 1, len(prompt) + len(response) - 1)
        total = sum(float(logs[p, t].detach()) for p, t in zip(places, response, strict=True))
        assert found[i] == pytest.approx(total, rel=1e-4)


def test_gradients_flow_through_log_probabilities():
    model = Bigram()
    response_logps(model, [[1]], [[2, 3]]).sum().backward()
    rows = model.table.grad.abs().sum(1) > 0
    assert rows.tolist() == [False, True, True, False, False, False]


def test_draws_follow_the_model():
    model = Bigram()
    state = torch.random.get_rng_state()
    drawn = sample_responses(model, [[1]] * 4000, max_new_tokens=1, random_state=0)
    assert torch.equal(state, torch.random.get_rng_state())
    share = np.bincount([row[0] for row in drawn], minlength=VOCABULARY) / 4000
    p = model.table[1].softmax(0).detach().numpy()
    assert np.all(np.abs(share - p) < 4.5 * np.sqrt(p * (1 - p) / 4000))


def test_draws_end_at_the_end_token():
    drawn = sample_responses(Bigram(), [[1]] * 50, max_new_tokens=40, eos_token_id=2)
    assert all(row.count(2) <= 1 for row in drawn)
    assert all(row[-1] == 2 or len(row) == 40 for row in drawn)
    assert len({len(row) for row in drawn}) > 1


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("loss", ["dpo", "ipo", "nca", "simpo"])
def test_the_loss_of_pairs_falls(make, loss):
    model = make()
    prompts, human, other = texts()
    trainer = SelfPlayTrainer(
        model, loss=loss, beta=0.5, learning_rate=1e-2, n_epochs=10, engine="torch"
    )
    log = trainer.train_pairs(prompts, human, other)
    assert log.losses[-2:].mean() < log.losses[:2].mean()
    assert log.margins[-2:].mean() > 0.1
    assert len(log.losses) == 20


def test_the_first_loss_is_that_of_the_reference():
    """At the start all log-ratios vanish."""
    prompts, human, other = texts()
    trainer = SelfPlayTrainer(Bigram(), loss="dpo", batch_size=16, engine="torch")
    log = trainer.train_pairs(prompts, human, other)
    assert_allclose(log.losses[0], preference_loss("dpo", [0], [0], [0], [0])[0])
    assert log.margins[0] == 0


def mean_divergence(model, base, prompts):
    """Return the mean divergence over the next token."""
    last = [[p[-1]] for p in prompts]
    ids = torch.tensor(last)
    tables = []
    for each in (model, base):
        output = each(input_ids=ids, attention_mask=torch.ones_like(ids))
        tables.append(getattr(output, "logits", output)[:, -1].double().log_softmax(-1).detach())
    return float((tables[0].exp() * (tables[0] - tables[1])).sum(1).mean())


@pytest.mark.parametrize("make", MODELS)
def test_regularisation_keeps_self_play_near_the_base(make):
    prompts, human, _ = texts()
    base, distances = make(), []
    for weight in (0.0, 0.9):
        model = make()
        trainer = SelfPlayTrainer(
            model,
            beta=2.0,
            mixture_weight=weight,
            n_rounds=3,
            n_epochs=8,
            batch_size=16,
            learning_rate=1e-2,
            max_new_tokens=2,
            engine="torch",
        )
        log = trainer.train(prompts, human)
        distances.append(mean_divergence(model, base, prompts))
        assert sorted(set(log.rounds)) == [0, 1, 2]
    assert 0 < distances[1] < distances[0]


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("history", [1, 2, "all"])
def test_self_play_raises_the_likelihood_of_humans(make, history):
    prompts, human, _ = texts()
    model = make()
    before = float(response_logps(model, prompts, human).mean().detach())
    trainer = SelfPlayTrainer(
        model,
        history=history,
        n_rounds=3,
        n_epochs=6,
        learning_rate=2e-2,
        max_new_tokens=2,
        engine="torch",
    )
    trainer.train(prompts, human)
    after = float(response_logps(model, prompts, human).mean().detach())
    assert after > before + 0.5
    scheme = {1: "previous", 2: "last_two", "all": "all"}[history]
    assert trainer.rate_ == self_play_rate(scheme, 1.0)
    assert trainer.is_stable_


def test_the_same_seed_gives_the_same_model():
    prompts, human, _ = texts()
    found = []
    for _ in range(2):
        model = Bigram()
        SelfPlayTrainer(
            model, n_rounds=2, learning_rate=0.1, max_new_tokens=2, engine="torch"
        ).train(prompts, human)
        found.append(model.table.detach().numpy())
    assert_allclose(found[0], found[1], rtol=0)


def test_accelerate_takes_the_same_steps():
    pytest.importorskip("accelerate")
    prompts, human, other = texts()
    losses = []
    for engine in ("torch", "accelerate"):
        trainer = SelfPlayTrainer(
            Bigram(), learning_rate=0.05, n_epochs=3, batch_size=16, engine=engine
        )
        losses.append(trainer.train_pairs(prompts, human, other).losses)
    assert_allclose(losses[1], losses[0], rtol=1e-6)


def test_divergence_is_announced():
    prompts, human, _ = texts(4)
    trainer = SelfPlayTrainer(Bigram(), beta=0.1, n_rounds=1, max_new_tokens=1, engine="torch")
    with pytest.warns(TheoryWarning, match="`beta` is not above"):
        trainer.train(prompts, human)
    assert not trainer.is_stable_


def test_own_generation_is_used():
    prompts, human, _ = texts()
    calls = []

    def generate(model, given, seed):
        calls.append(len(given))
        return [[0] for _ in given]

    SelfPlayTrainer(Bigram(), generate=generate, n_rounds=2, engine="torch").train(prompts, human)
    assert calls == [16, 16]


def test_the_mode_of_the_model_is_kept():
    prompts, human, other = texts(4)
    for training in (True, False):
        model = Bigram().train(training)
        SelfPlayTrainer(model, engine="torch").train_pairs(prompts, human, other)
        assert model.training is training


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"beta": 0.0}, "beta"),
        ({"mixture_weight": 2.0}, "mixture_weight"),
        ({"history": 0}, "history"),
        ({"engine": "mine"}, "engine"),
        ({"n_rounds": 0}, "n_rounds"),
        ({"batch_size": 0}, "batch_size"),
        ({"loss": "wrong"}, "wrong"),
    ],
)
def test_parameters_are_checked(parameters, match):
    prompts, human, other = texts(4)
    with pytest.raises(ValueError, match=match):
        SelfPlayTrainer(Bigram(), **{"engine": "torch", **parameters}).train_pairs(
            prompts, human, other
        )


def test_texts_are_checked():
    with pytest.raises(ValueError, match="empty"):
        response_logps(Bigram(), [[]], [[1]])
    with pytest.raises(ValueError, match="one response per prompt"):
        response_logps(Bigram(), [[1]], [[1], [2]])
    with pytest.raises(ValueError, match="prompts"):
        SelfPlayTrainer(Bigram(), engine="torch").train_pairs([[1]], [[1]], [[1], [2]])
    with pytest.raises(ValueError, match="max_new_tokens"):
        sample_responses(Bigram(), [[1]], max_new_tokens=0)
