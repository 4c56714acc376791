"""Log-probabilities and draws of responses under causal language models in torch.

torch is imported when a function needs it.
"""

from __future__ import annotations

from typing import Any

from ..utils._optional import import_optional

_IGNORED = -100
"""Label of the tokens that are no part of the response, as in transformers."""


def response_logps(model: Any, prompts: Any, responses: Any, *, pad_token_id: int = 0) -> Any:
    """Compute the log-probabilities of responses under a causal language model.

    Parameters
    ----------
    model : torch.nn.Module
        Called with `input_ids` and `attention_mask`, it returns logits of shape (n, length,
        vocabulary), or an object with such `logits`, as models of transformers do.
    prompts : sequence of sequences of int
        Token ids of the prompts, one or more each.
    responses : sequence of sequences of int
        Token ids of the responses, one or more each, an end token included where there is one.
    pad_token_id : int, default=0
        Token that fills up shorter rows; it is masked.

    Returns
    -------
    torch tensor of shape (n,)
        Sums over the tokens of each response, in float32 or more, with their graph.

    Raises
    ------
    ValueError
        If the numbers of prompts and responses differ, or one is empty.
    ImportError
        If torch is not installed.

    Examples
    --------
    >>> import torch
    >>> from skrmt.preference import response_logps
    >>> class Uniform(torch.nn.Module):
    ...     def forward(self, input_ids, attention_mask):
    ...         return torch.zeros(*input_ids.shape, 4)
    >>> response_logps(Uniform(), [[1, 2]], [[3, 1, 0]]).numpy().round(4)
    array([-4.1589], dtype=float32)
    """
    torch = import_optional("torch", "hf")
    ids, attention, labels = _batch(torch, prompts, responses, pad_token_id)
    device = _device_of(model, torch)
    ids, attention, labels = ids.to(device), attention.to(device), labels.to(device)
    output = model(input_ids=ids, attention_mask=attention)
    logits = getattr(output, "logits", output)[:, :-1]
    logits = logits if logits.dtype == torch.float64 else logits.float()
    targets = labels[:, 1:]
    counted = targets != _IGNORED
    logs = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0]
    return (logs * counted).sum(1)


def _device_of(model: Any, torch: Any) -> Any:
    """Return the device of the model, the CPU for one without parameters."""
    parameter = next(iter(model.parameters()), None)
    return torch.device("cpu") if parameter is None else parameter.device


def _batch(torch: Any, prompts: Any, responses: Any, pad: int) -> tuple[Any, Any, Any]:
    """Return token ids, attention mask and labels, padded on the right."""
    if len(prompts) != len(responses) or len(prompts) == 0:
        raise ValueError(
            f"{len(prompts)} prompts and {len(responses)} responses: give one response per prompt, "
            "one pair at least."
        )
    rows = [
        (_tokens(prompt, f"prompt {i}"), _tokens(response, f"response {i}"))
        for i, (prompt, response) in enumerate(zip(prompts, responses, strict=True))
    ]
    ids, attention = _pad(torch, [prompt + response for prompt, response in rows], pad)
    labels = torch.full_like(ids, _IGNORED)
    for i, (prompt, response) in enumerate(rows):
        labels[i, len(prompt) : len(prompt) + len(response)] = torch.tensor(response)
    return ids, attention, labels


def _tokens(row: Any, name: str) -> list[int]:
    """Return token ids as a list, one at least."""
    tokens = [int(token) for token in row]
    if not tokens:
        raise ValueError(
            f"{name} is empty: give one token at least, a start token for a prompt without words."
        )
    return tokens


def _pad(torch: Any, rows: list[list[int]], pad: int) -> tuple[Any, Any]:
    """Return token ids and attention mask of rows of unequal lengths, padded on the right."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), int(pad), dtype=torch.long)
    attention = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        attention[i, : len(row)] = 1
    return ids, attention


def sample_responses(
    model: Any,
    prompts: Any,
    *,
    max_new_tokens: int = 32,
    eos_token_id: int | None = None,
    pad_token_id: int = 0,
    random_state: int = 0,
) -> list[list[int]]:
    """Draw a response to each prompt from a causal language model, token by token.

    Parameters
    ----------
    model : torch.nn.Module
        As in `response_logps`.
    prompts : sequence of sequences of int
        Token ids of the prompts.
    max_new_tokens : int, default=32
        Largest number of tokens of a response.
    eos_token_id : int, default=None
        Token that ends a response; it is kept.
    pad_token_id : int, default=0
        Token that fills up shorter rows; it is masked.
    random_state : int, default=0
        Seed of the draws; torch's own seed is left alone.

    Returns
    -------
    list of list of int
        Token ids of the responses.

    Raises
    ------
    ValueError
        If a prompt is empty, or `max_new_tokens` below 1.
    ImportError
        If torch is not installed.

    Notes
    -----
    For large models, `generate` of transformers keeps the states of the past tokens and is faster;
    hand its responses to `SelfPlayTrainer.train_pairs`.

    Examples
    --------
    >>> import torch
    >>> from skrmt.preference import sample_responses
    >>> class Always(torch.nn.Module):
    ...     def forward(self, input_ids, attention_mask):
    ...         logits = torch.zeros(*input_ids.shape, 4)
    ...         logits[..., 2] = 100.0
    ...         return logits
    >>> sample_responses(Always(), [[1], [3, 1]], max_new_tokens=2)
    [[2, 2], [2, 2]]
    """
    torch = import_optional("torch", "hf")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be 1 or more.")
    device = _device_of(model, torch)
    generator = torch.Generator().manual_seed(int(random_state))
    texts = [_tokens(prompt, f"prompt {i}") for i, prompt in enumerate(prompts)]
    starts, running = [len(text) for text in texts], list(range(len(texts)))
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(max_new_tokens):
            ids, attention = _pad(torch, [texts[i] for i in running], pad_token_id)
            output = model(input_ids=ids.to(device), attention_mask=attention.to(device))
            logits = getattr(output, "logits", output)
            last = logits[torch.arange(len(running)), attention.sum(1) - 1].double().cpu()
            drawn = torch.multinomial(last.softmax(-1), 1, generator=generator)[:, 0].tolist()
            for i, token in zip(running, drawn, strict=True):
                texts[i].append(token)
            running = [i for i in running if texts[i][-1] != eos_token_id]
            if not running:
                break
    model.train(was_training)
    return [text[start:] for text, start in zip(texts, starts, strict=True)]
