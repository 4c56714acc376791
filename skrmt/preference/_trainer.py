"""Preference optimisation and self-play of causal language models in torch.

torch and accelerate are imported when a function needs them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from ..theory.preference._names import LOSS_ARGUMENTS, canonical_loss
from ..utils._optional import import_optional
from ..utils._random import fresh_random_state
from ..utils._warnings import warn
from ._language_model import response_logps, sample_responses
from .losses._inputs import read_beta, read_number
from .losses._losses import preference_loss
from .losses._spin import spin_loss
from .self_play._theory import DIVERGES, Rules, predict_rounds


class TrainingLog(NamedTuple):
    """What a training went through.

    Attributes
    ----------
    losses : ndarray of shape (n_steps,)
        Mean loss of each batch.
    margins : ndarray of shape (n_steps,)
        Mean difference of the log-ratios to the reference, chosen minus rejected.
    rounds : ndarray of int of shape (n_steps,)
        Round of self-play of each step, from 0.
    """

    losses: np.ndarray
    margins: np.ndarray
    rounds: np.ndarray


class SelfPlayTrainer:
    r"""Training of a causal language model by a preference loss, or by self-play.

    `train_pairs` learns from chosen and rejected responses by any loss of `preference_loss`.
    `train` learns from human responses alone: each round rejects responses of earlier policies, and
    theory predicts before the first round whether the rounds converge. Gradients, devices and
    several processes are the business of accelerate if it is installed.

    Parameters
    ----------
    model : torch.nn.Module
        Causal language model, as in `response_logps`; it is trained in place. Its dropout is off.
    loss : str, default="dpo"
        Loss of `train_pairs`.
    beta : float, default=1.0
        Strength of the pull to the reference, of the log-ratios in self-play.
    mixture_weight : float, default=0.0
        Weight of the model as given, the reference, in its mixture with the previous one to which
        self-play compares, in [0, 1].
    history : {1, 2, "all"}, default=1
        Over how many of the last policies the opponent of self-play is averaged; so many copies of
        the model are kept.
    n_rounds : int, default=3
        Rounds of self-play.
    n_epochs : int, default=1
        Passes over the pairs, in each round.
    batch_size : int, default=8
        Pairs per step.
    learning_rate : float, default=1e-5
        Of AdamW.
    optimizer : callable, default=None
        ``optimizer(parameters)`` returns a torch optimizer, in place of AdamW.
    max_new_tokens : int, default=32
        Largest number of tokens of a drawn response.
    eos_token_id : int, default=None
        Token that ends a drawn response.
    pad_token_id : int, default=0
        Token that fills up shorter rows; it is masked.
    generate : callable, default=None
        ``generate(model, prompts, seed)`` returns the token ids of drawn responses, in place of
        `sample_responses`.
    loss_options : dict, default=None
        Further keyword arguments of `preference_loss`.
    engine : {"auto", "accelerate", "torch"}, default="auto"
        What runs the steps: accelerate, plain torch on one device, or the first where installed.
    random_state : int, default=0
        Seed of draws and shuffles.

    Attributes
    ----------
    log_ : TrainingLog
        Losses and margins of the steps of the last training.
    rate_ : float
        Predicted factor by which a round of self-play, solved exactly, multiplies the error.
    is_stable_ : bool
        Whether such rounds converge.
    stationary_weight_ : float
        Weight of the reference where they rest.
    min_beta_ : float
        The `beta` above which such rounds converge.
    stable_settings_ : list of dict
        Other settings with which they converge at this `beta`.

    See Also
    --------
    SelfPlayPolicy : The same on features, in milliseconds.

    Notes
    -----
    The lengths of the responses are handed to the losses that read them, as TRL does. Theory is for
    rounds that are solved exactly: fewer steps per round damp it, and widen the stable range.

    References
    ----------
    .. [1] "Self-Play Fine-Tuning", arXiv:2401.01335.
    .. [2] "Investigating Regularization of Self-Play Language Models", arXiv:2404.04291.

    Examples
    --------
    >>> import torch
    >>> from skrmt.preference import SelfPlayTrainer
    >>> class Bigram(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.table = torch.nn.Parameter(torch.zeros(4, 4))
    ...     def forward(self, input_ids, attention_mask):
    ...         return self.table[input_ids]
    >>> trainer = SelfPlayTrainer(Bigram(), learning_rate=0.1, n_epochs=20, engine="torch")
    >>> log = trainer.train_pairs([[0], [1]], chosen=[[1], [2]], rejected=[[2], [3]])
    >>> bool(log.losses[-1] < log.losses[0])
    True
    """

    def __init__(
        self,
        model: Any,
        *,
        loss: str = "dpo",
        beta: float = 1.0,
        mixture_weight: float = 0.0,
        history: int | str = 1,
        n_rounds: int = 3,
        n_epochs: int = 1,
        batch_size: int = 8,
        learning_rate: float = 1e-5,
        optimizer: Callable | None = None,
        max_new_tokens: int = 32,
        eos_token_id: int | None = None,
        pad_token_id: int = 0,
        generate: Callable | None = None,
        loss_options: dict[str, Any] | None = None,
        engine: str = "auto",
        random_state: int = 0,
    ) -> None:
        self.model = model
        self.loss = loss
        self.beta = beta
        self.mixture_weight = mixture_weight
        self.history = history
        self.n_rounds = n_rounds
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.optimizer = optimizer
        self.max_new_tokens = max_new_tokens
        self.eos_token_id = eos_token_id
        self.pad_token_id = pad_token_id
        self.generate = generate
        self.loss_options = loss_options
        self.engine = engine
        self.random_state = random_state

    def train_pairs(
        self, prompts: Any, chosen: Any, rejected: Any, *, reference: Any = None
    ) -> TrainingLog:
        """Train on chosen and rejected responses.

        Parameters
        ----------
        prompts, chosen, rejected : sequence of sequences of int
            Token ids.
        reference : torch.nn.Module, default=None
            Reference policy; a copy of the model as it is by default.

        Returns
        -------
        TrainingLog
            Losses and margins, also in `log_`.
        """
        torch = import_optional("torch", "hf")
        name = canonical_loss(self.loss)
        self._check()
        runner = _Runner(self, torch)
        frozen = _frozen(self.model) if reference is None else reference
        known = self._score(torch, frozen, prompts, chosen, rejected)
        lengths = [
            torch.tensor([len(row) for row in side], dtype=known[0].dtype)
            for side in (chosen, rejected)
        ]

        def losses(pair: list[Any], rows: Any) -> Any:
            options = dict(self.loss_options or {})
            if LOSS_ARGUMENTS[name].lengths != "unused":
                options |= {
                    "chosen_lengths": lengths[0][rows].to(pair[0].device),
                    "rejected_lengths": lengths[1][rows].to(pair[0].device),
                }
            given = [side[rows].to(pair[0].device) for side in known]
            return preference_loss(name, *pair, *given, beta=self.beta, **options)

        self.log_ = _join([self._optimise(runner, prompts, (chosen, rejected), known, losses, 0)])
        runner.finish()
        return self.log_

    def train(self, prompts: Any, responses: Any) -> TrainingLog:
        """Train on human responses by self-play.

        Parameters
        ----------
        prompts, responses : sequence of sequences of int
            Token ids of the prompts, and of the human response to each.

        Returns
        -------
        TrainingLog
            Losses and margins, also in `log_`.

        Warns
        -----
        TheoryWarning
            Before the first round, where rounds solved exactly would diverge.
        """
        torch = import_optional("torch", "hf")
        self._check()
        self._predict_rounds()
        runner = _Runner(self, torch)
        reference = _frozen(self.model)
        policies, logs = [reference], []
        rng = fresh_random_state(self.random_state)
        for number in range(self.n_rounds):
            used = policies if self.history == "all" else policies[-int(self.history) :]
            drawn = self._draw(used, prompts, rng)
            previous = self._score(torch, policies[-1], prompts, responses, drawn)
            first = self._score(torch, reference, prompts, responses, drawn)

            def losses(pair: list[Any], rows: Any, previous=previous, first=first) -> Any:
                given = [side[rows].to(pair[0].device) for side in (*previous, *first)]
                return spin_loss(
                    *pair,
                    *given,
                    beta=self.beta,
                    reference="geometric",
                    mixture_weight=self.mixture_weight,
                )

            sides = (responses, drawn)
            logs.append(self._optimise(runner, prompts, sides, previous, losses, number))
            policies.append(_frozen(runner.bare()))
            if self.history != "all":
                policies = policies[-int(self.history) :]
        runner.finish()
        self.log_ = _join(logs)
        return self.log_

    def _predict_rounds(self) -> None:
        """Predict the rounds, and warn if they diverge."""
        settings = (float(self.beta), float(self.mixture_weight), "previous", self.history)
        rules = Rules(*settings, alpha=0.0, n_rounds=int(self.n_rounds), n_draws=1, tol=0.0)
        theory = predict_rounds(rules, samplers=("previous",))
        self.rate_, self.is_stable_ = theory.rate, theory.is_stable
        self.stationary_weight_, self.min_beta_ = theory.stationary_weight, theory.min_beta
        self.stable_settings_ = [
            {name: value for name, value in setting.items() if name != "sampler"}
            for setting in theory.stable_settings
        ]
        if not theory.is_stable:
            warn(DIVERGES)

    def _check(self) -> None:
        """Refuse settings that cannot be used."""
        read_beta(self.beta)
        read_number(
            "mixture_weight", self.mixture_weight, 0.0, 1.0, "both", "It weighs the reference."
        )
        if self.history not in (1, 2, "all"):
            raise ValueError(f"history={self.history!r} is not known: use 1, 2 or 'all'.")
        if self.engine not in ("auto", "accelerate", "torch"):
            raise ValueError(
                f"engine={self.engine!r} is not known: use 'auto', 'accelerate' or 'torch'."
            )
        for name in ("n_rounds", "n_epochs", "batch_size", "max_new_tokens"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise ValueError(f"{name} must be an integer of 1 or more, got {value!r}.")

    def _draw(self, policies: list[Any], prompts: Any, rng: Any) -> list[list[int]]:
        """Draw a response to each prompt from one of the policies, with equal probabilities."""
        origin = rng.randint(len(policies), size=len(prompts))
        drawn: list[list[int]] = [[] for _ in prompts]
        for number, policy in enumerate(policies):
            rows = np.flatnonzero(origin == number)
            if len(rows) == 0:
                continue
            given, seed = [prompts[i] for i in rows], int(rng.randint(2**31 - 1))
            for i, response in zip(rows, self._generate(policy, given, seed), strict=True):
                drawn[i] = list(response)
        return drawn

    def _generate(self, policy: Any, prompts: Any, seed: int) -> Any:
        """Draw responses from one policy."""
        if self.generate is not None:
            return self.generate(policy, prompts, seed)
        return sample_responses(
            policy,
            prompts,
            max_new_tokens=self.max_new_tokens,
            eos_token_id=self.eos_token_id,
            pad_token_id=self.pad_token_id,
            random_state=seed,
        )

    def _score(self, torch: Any, model: Any, prompts: Any, *sides: Any) -> list[Any]:
        """Return the log-probabilities of the responses of each side, without gradients."""
        scores = []
        with torch.no_grad():
            for side in sides:
                if len(side) != len(prompts):
                    raise ValueError(
                        f"{len(prompts)} prompts and {len(side)} responses: give one per prompt."
                    )
                parts = [
                    response_logps(
                        model,
                        prompts[start : start + self.batch_size],
                        side[start : start + self.batch_size],
                        pad_token_id=self.pad_token_id,
                    ).cpu()
                    for start in range(0, len(prompts), self.batch_size)
                ]
                scores.append(torch.cat(parts))
        return scores

    def _optimise(
        self, runner: Any, prompts: Any, sides: Any, known: Any, losses: Callable, number: int
    ) -> TrainingLog:
        """Take the steps of some epochs."""
        seen, margins = [], []
        for rows in runner.batches(len(prompts), self.n_epochs, self.random_state + number):
            texts = [prompts[i] for i in rows] * 2
            answers = [side[i] for side in sides for i in rows]
            both = response_logps(runner.model, texts, answers, pad_token_id=self.pad_token_id)
            pair = [both[: len(rows)], both[len(rows) :]]
            loss = losses(pair, rows).mean()
            runner.step(loss)
            moved = [pair[side].detach().cpu() - known[side][rows] for side in (0, 1)]
            seen.append(float(loss.detach()))
            margins.append(float((moved[0] - moved[1]).mean()))
        return TrainingLog(np.array(seen), np.array(margins), np.full(len(seen), number))


class _Runner:
    """Steps of an optimizer, by accelerate or by torch alone."""

    def __init__(self, trainer: SelfPlayTrainer, torch: Any):
        self.torch = torch
        self.batch_size = trainer.batch_size
        self.was_training = trainer.model.training
        trainer.model.eval()
        parameters = [p for p in trainer.model.parameters() if p.requires_grad]
        make = trainer.optimizer or (
            lambda given: torch.optim.AdamW(given, lr=trainer.learning_rate, weight_decay=0.0)
        )
        self.original, self.model, self.optimizer = trainer.model, trainer.model, make(parameters)
        self.accelerator = None
        if trainer.engine == "accelerate" or (
            trainer.engine == "auto" and find_spec("accelerate") is not None
        ):
            accelerate = import_optional("accelerate", "hf")
            self.accelerator = accelerate.Accelerator()
            self.model, self.optimizer = self.accelerator.prepare(self.model, self.optimizer)

    def batches(self, n: int, n_epochs: int, seed: int) -> Iterator[list[int]]:
        """Yield the rows of the batches of this process."""
        generator = self.torch.Generator().manual_seed(int(seed))
        loader = self.torch.utils.data.DataLoader(
            list(range(n)),
            batch_size=self.batch_size,
            shuffle=True,
            generator=generator,
            collate_fn=list,
        )
        if self.accelerator is not None:
            loader = self.accelerator.prepare(loader)
        for _ in range(n_epochs):
            yield from loader

    def step(self, loss: Any) -> None:
        """Take a step down the gradient of a loss."""
        self.optimizer.zero_grad()
        if self.accelerator is None:
            loss.backward()
        else:
            self.accelerator.backward(loss)
        self.optimizer.step()

    def bare(self) -> Any:
        """Return the model without what accelerate has wrapped around it."""
        return self.model if self.accelerator is None else self.accelerator.unwrap_model(self.model)

    def finish(self) -> None:
        """Leave the model in the mode in which it came."""
        self.optimizer.zero_grad()
        self.original.train(self.was_training)


def _frozen(model: Any) -> Any:
    """Return a copy of a model that is not trained."""
    twin = copy.deepcopy(model).eval()
    for parameter in twin.parameters():
        parameter.requires_grad_(False)
    return twin


def _join(logs: list[TrainingLog]) -> TrainingLog:
    """Return the logs of several rounds as one."""
    return TrainingLog(*(np.concatenate(parts) for parts in zip(*logs, strict=True)))
