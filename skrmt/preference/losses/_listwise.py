"""Losses of several responses to a prompt, with a reward for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...linalg import to_numpy
from ._formulas import Array, log_sigmoid
from ._inputs import (
    Operands,
    check_finite,
    check_reduction,
    convert_arrays,
    finish,
    read_beta,
    read_number,
)

_ABSENT = -1e30
"""Score of a response that does not exist: far below any other, and finite, so that gradients
are."""


def listwise_loss(
    name: str,
    logps: Any,
    ref_logps: Any,
    rewards: Any,
    *,
    beta: float = 0.1,
    temperature: float = 1.0,
    mask: Any = None,
    reduction: str = "none",
) -> Any:
    r"""Return a loss of several responses to each prompt, given their rewards.

    Parameters
    ----------
    name : {"info_nca", "nca_k"}
        The loss; "infonca" and "nca" are understood.
    logps : array-like or torch tensor of shape (n_prompts, n_responses)
        Log-probabilities of the responses under the policy, summed over their tokens.
    ref_logps : array-like or torch tensor of shape (n_prompts, n_responses)
        The same under the reference policy.
    rewards : array-like or torch tensor of shape (n_prompts, n_responses)
        Rewards :math:`R` of the responses, the more the better.
    beta : float, default=0.1
        Strength :math:`\beta` of the pull to the reference, positive.
    temperature : float, default=1.0
        The :math:`\alpha` that divides the rewards, positive and in their unit: the smaller, the
        more only the best response counts.
    mask : array-like or torch tensor of bool of shape (n_prompts, n_responses), optional
        True where there is a response; all by default. What is masked is not read: it may be NaN
        or infinite, and has a gradient of 0.
    reduction : {"none", "mean", "sum"}, default="none"
        What to return: one loss per prompt, their mean or their sum.

    Returns
    -------
    ndarray or torch tensor of shape (n_prompts,), or a number of the same library
        The losses. Tensors keep device, dtype and graph.

    Raises
    ------
    TypeError
        If an argument is of the wrong type.
    ValueError
        If the loss is unknown, shapes differ, a prompt has fewer than two responses, or a number is
        out of range or not finite.

    See Also
    --------
    preference_loss : Two responses, one chosen and one rejected.

    Notes
    -----
    With :math:`h_k = \beta\log(\pi(y_k)/\pi_{ref}(y_k))` and
    :math:`w = \operatorname{softmax}(R/\alpha)`,

    .. math::

        \text{info\_nca} &= -\sum_k w_k \log\operatorname{softmax}(h)_k, \\
        \text{nca\_k} &= -\sum_k \bigl[w_k\log\sigma(h_k) + \tfrac1K\log\sigma(-h_k)\bigr].

    info_nca fixes differences of log-ratios only, and is least at
    :math:`\pi\propto\pi_{ref}e^{R/(\alpha\beta)}`; nca_k anchors each log-ratio. For two responses
    and a small temperature they are the dpo and the nca loss of the pair.

    References
    ----------
    Noise Contrastive Alignment of Language Models with Explicit Rewards, arXiv:2402.05369.

    Examples
    --------
    >>> from skrmt.preference import listwise_loss
    >>> rewards = [[1.0, 0.0, -1.0]]
    >>> listwise_loss("info_nca", [[-4.0, -5.0, -6.0]], [[-5.0, -5.0, -5.0]], rewards, beta=1.0)
    array([0.83239558])
    """
    loss = _LISTWISE.get(name.lower().replace("-", "_")) if isinstance(name, str) else None
    if loss is None:
        raise ValueError(
            f"name={name!r} is not a loss of several responses. Use 'info_nca' or 'nca_k'."
        )
    check_reduction(reduction)
    strength = read_beta(beta)
    scale = read_number("temperature", temperature, 0.0, np.inf, remedy="It divides the rewards.")
    operands = convert_arrays(logps=logps, ref_logps=ref_logps, rewards=rewards)
    bk = operands.backend
    present = _read_mask(mask, operands.arrays["logps"], bk)
    policy, reference, gains = _present_only(operands, present)
    weights = bk.exp(_log_softmax(bk, _scaled(bk, gains, scale), present))
    terms = loss(bk, strength * (policy - reference), weights, present)
    return finish(-terms.sum(-1), reduction, operands.dtype)


def _info_nca(bk: Any, h: Array, weights: Array, present: Array) -> Array:
    """Return the terms of the cross entropy between rewards and policy."""
    return weights * bk.where(present, _log_softmax(bk, h, present), 0 * h)


def _nca_k(bk: Any, h: Array, weights: Array, present: Array) -> Array:
    """Return the terms of the contrast of each response with one drawn evenly."""
    counted = bk.where(present, 1 + 0 * h, 0 * h)
    # Counts in the dtype of h: the ratio of integers is in single precision in torch.
    share = counted / counted.sum(-1)[..., None]
    return weights * log_sigmoid(bk, h) + share * log_sigmoid(bk, -h)


_LISTWISE = {"info_nca": _info_nca, "infonca": _info_nca, "nca_k": _nca_k, "nca": _nca_k}
"""The losses by all their names."""


def _present_only(operands: Operands, present: Array) -> list[Array]:
    """Return the arrays with 0 where there is no response, and refuse other holes."""
    bk = operands.backend
    kept = {
        name: bk.where(present, array, bk.zeros_like(array))
        for name, array in operands.arrays.items()
    }
    check_finite(operands._replace(arrays=kept))
    return list(kept.values())


def _read_mask(mask: Any, like: Array, backend: Any) -> Array:
    """Return which responses there are, at least two per prompt."""
    if like.ndim == 0:
        raise ValueError("logps must have shape (n_prompts, n_responses), got a single number.")
    present = np.ones(tuple(like.shape), bool) if mask is None else to_numpy(mask)
    if present.dtype != bool or present.shape != tuple(like.shape):
        raise ValueError(
            f"mask must be a boolean array of shape {tuple(like.shape)}, got {present.dtype} of "
            f"shape {present.shape}. Give True where there is a response."
        )
    fewest = int(present.sum(axis=-1).min())
    if fewest < 2:
        raise ValueError(
            f"every prompt needs two responses or more, got one with {fewest}. Leave it out."
        )
    return present if backend.name == "numpy" else backend.asarray(present, like=like)


def _scaled(bk: Any, rewards: Array, temperature: float) -> Array:
    """Return the rewards over the temperature, refusing what overflows."""
    with np.errstate(over="ignore"):
        scores = rewards / temperature
    if not bool(bk.isfinite(scores).all()):
        raise ValueError(
            f"temperature={temperature:g} is too small for these rewards. Raise it: at 1 % of "
            "their differences only the best response counts."
        )
    return scores


def _log_softmax(bk: Any, scores: Array, present: Array) -> Array:
    """Return log-softmax over the responses present; far below anything for the others."""
    top = bk.max(_floored(bk, scores, present), axis=-1)[..., None]
    gap = _floored(bk, scores, present) - top
    exponentials = bk.where(present, bk.exp(gap), 0 * gap)
    return gap - bk.log(exponentials.sum(-1))[..., None]


def _floored(bk: Any, scores: Array, present: Array) -> Array:
    """Return the scores, those not present far below any other."""
    return bk.where(present, scores, 0 * scores + _ABSENT)
