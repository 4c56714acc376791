"""Losses of preference optimisation as functions of log-probabilities, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...linalg import to_numpy
from ...theory.preference._names import canonical_loss
from ...utils._checks import is_torch
from ._formulas import Array, Pair
from ._inputs import check_reduction, finish, read_arrays, read_beta, read_lengths, read_number
from ._table import LOSSES, Loss

MARGIN_LOSSES = tuple(name for name, loss in LOSSES.items() if loss.margin is not None)
"""The losses that depend on the difference of the two log-ratios only."""


def preference_loss(
    name: str,
    chosen_logps: Any,
    rejected_logps: Any,
    ref_chosen_logps: Any = None,
    ref_rejected_logps: Any = None,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    chosen_lengths: Any = None,
    rejected_lengths: Any = None,
    reduction: str = "none",
    **loss_options: Any,
) -> Any:
    r"""Return a preference loss of pairs of a chosen and a rejected response.

    Parameters
    ----------
    name : str
        Name of the loss, see Notes; the names of TRL are understood.
    chosen_logps, rejected_logps : array-like or torch tensor of shape (n_pairs,)
        Log-probabilities of the responses under the policy, *summed* over their tokens. Any common
        shape will do. "sft" does not read `rejected_logps`; "kto" takes None for a side without
        responses.
    ref_chosen_logps, ref_rejected_logps : array-like or torch tensor of shape (n_pairs,), optional
        The same under the reference policy. Zeros where the first two are log-ratios already. Not
        read by sft, simpo, cpo, orpo and slic, needed by all others.
    beta : float, default=0.1
        Strength :math:`\beta` of the pull to the reference, positive. Not used by sft, orpo, slic.
    label_smoothing : float, default=0.0
        Fraction :math:`\epsilon` of pairs given in the wrong order, in [0, 1/2). Used by cdpo,
        robust and exo, which needs it above 0; the others ignore it.
    chosen_lengths, rejected_lengths : array-like, torch tensor or float, optional
        Numbers of tokens :math:`|y_w|, |y_l|`, at least 1. Needed by sigmoid_norm, simpo and orpo
        (1 where the log-probabilities are means over tokens already). With them ipo divides the
        log-ratios as TRL does, and the likelihood term of sft, cpo and slic is the mean over the
        *tokens* of the batch; without them ipo is the published loss of sums, and the likelihood
        term a mean over responses. The others ignore them.
    reduction : {"none", "mean", "sum"}, default="none"
        What to return: one loss per pair, their mean or their sum.
    **loss_options : float
        Options of single losses: discopop `tau` (0.05, at most 1); kto `k` (0.0; estimate of the
        KL divergence in nats, without gradient and counted as 0 below 0), `desirable_weight`,
        `undesirable_weight` (1.0); simpo `gamma` (0.5), a margin; cpo `weight` (1.0), orpo `weight`
        (0.1, the paper's :math:`\lambda`), slic `delta` (1.0) and `weight` (1.0, its
        :math:`\lambda`), where `weight` is that of the likelihood term, for orpo that of the odds.

    Returns
    -------
    ndarray or torch tensor of shape (n_pairs,), or a number of the same library
        The losses. Tensors keep device, dtype and graph: the loss can be differentiated. NumPy
        computes in float64 and returns float32 for float32 input.

    Raises
    ------
    TypeError
        If an argument is of the wrong type, or an option not one of this loss.
    ValueError
        If the loss is unknown, something it needs is missing, shapes or devices differ, or a number
        is out of range or not finite.

    See Also
    --------
    preference_gradient : The derivatives in closed form.
    listwise_loss : More than two responses.
    spin_loss : Human against generated responses.
    skrmt.theory.preference.population_margin : What the losses converge to.

    Notes
    -----
    With :math:`c, r` the log-ratios :math:`\log\pi/\pi_{ref}` of the chosen and the rejected
    response, :math:`d = c - r`, :math:`z = \beta d` and :math:`\sigma` the logistic function:

    =================================== ========================================================
    name (TRL's, if another)            loss
    =================================== ========================================================
    dpo (sigmoid)                       :math:`-\log\sigma(z)`
    cdpo                                :math:`-(1-\epsilon)\log\sigma(z)-\epsilon\log\sigma(-z)`
    robust                              :math:`[-(1-\epsilon)\log\sigma(z)
                                        + \epsilon\log\sigma(-z)]/(1-2\epsilon)`
    hinge                               :math:`\max(0, 1-z)`
    ipo                                 :math:`(d-1/(2\beta))^2`
    exo (exo_pair)                      :math:`\sigma(z)\log\frac{\sigma(z)}{1-\epsilon}
                                        + \sigma(-z)\log\frac{\sigma(-z)}{\epsilon}`
    nca (nca_pair), safe_nca            :math:`-\log\sigma(\beta c)-\frac12\log\sigma(-\beta c)
                                        -\frac12\log\sigma(-\beta r)`
    bco (bco_pair)                      :math:`-\log\sigma(\beta c)-\log\sigma(-\beta r)`
    sppo (sppo_hard)                    :math:`(c-1/(2\beta))^2+(r+1/(2\beta))^2`
    apo_zero                            :math:`1-\sigma(\beta c)+\sigma(\beta r)`
    apo_down                            :math:`\sigma(\beta c)+1-\sigma(z)`
    discopop                            :math:`-\log\sigma(z)(1-g)+e^{-z}g`,
                                        :math:`g=\sigma(z/\tau)`
    sigmoid_norm                        dpo of :math:`c/|y_w|-r/|y_l|`
    kto                                 :math:`w_D[1-\sigma(\beta(c-k))]+w_U[1-\sigma(\beta(k-r))]`
    sft                                 :math:`-\log\pi(y_w)`
    simpo                               :math:`-\log\sigma(\beta(\bar l_w-\bar l_l)-\gamma)`
    cpo                                 :math:`-\log\sigma(\beta(l_w-l_l))` + weight sft
    orpo                                sft - weight :math:`\log\sigma(u)`,
                                        :math:`u=\operatorname{logit}e^{\bar l_w}
                                        -\operatorname{logit}e^{\bar l_l}`
    slic                                :math:`\max(0,\delta-l_w+l_l)` + weight sft
    =================================== ========================================================

    where :math:`l = \log\pi` and :math:`\bar l = l/|y|`. robust equals
    :math:`-\log\sigma(z)-\epsilon z/(1-2\epsilon)`: convex, and unbounded below, so that it needs a
    penalty or an early stop on pairs that can be separated. exo is not convex, and its gradient
    vanishes where :math:`|z|` is large. kto of TRL is a mean over single responses, half the mean
    over pairs here where both sides are as many.

    References
    ----------
    DPO arXiv:2305.18290, robust 2403.00409, hinge and slic 2305.10425, IPO 2310.12036, EXO
    2402.00856, NCA 2402.05369, Safe-NCA 2409.07772, BCO 2404.04656, SPPO 2405.00675, APO
    2408.06266, DiscoPOP 2406.08414, KTO 2402.01306, SimPO 2405.14734, CPO 2401.08417, ORPO
    2403.07691.

    Examples
    --------
    >>> from skrmt.preference import preference_loss
    >>> preference_loss("dpo", [-9.7, -8.0], [-12.4, -7.0], [-10, -8], [-12, -8], beta=0.7)
    array([0.47786415, 1.10318605])
    """
    loss, pair, operands = _read(
        name,
        chosen_logps,
        rejected_logps,
        ref_chosen_logps,
        ref_rejected_logps,
        beta=beta,
        label_smoothing=label_smoothing,
        chosen_lengths=chosen_lengths,
        rejected_lengths=rejected_lengths,
        **loss_options,
    )
    check_reduction(reduction)
    return finish(loss.value(operands.backend, pair), reduction, operands.dtype)


def preference_gradient(
    name: str,
    chosen_logps: Any,
    rejected_logps: Any,
    ref_chosen_logps: Any = None,
    ref_rejected_logps: Any = None,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    chosen_lengths: Any = None,
    rejected_lengths: Any = None,
    **loss_options: Any,
) -> tuple[Any, Any]:
    r"""Return the derivatives of a preference loss in the two log-probabilities.

    Parameters
    ----------
    name : str
        Name of the loss, see `preference_loss`.
    chosen_logps, rejected_logps : array-like or torch tensor of shape (n_pairs,)
        Log-probabilities of the responses under the policy, summed over their tokens.
    ref_chosen_logps, ref_rejected_logps : array-like or torch tensor of shape (n_pairs,), optional
        The same under the reference policy.
    beta : float, default=0.1
        Strength of the pull to the reference, positive.
    label_smoothing : float, default=0.0
        Fraction of pairs given in the wrong order, in [0, 1/2).
    chosen_lengths, rejected_lengths : array-like, torch tensor or float, optional
        Numbers of tokens, at least 1.
    **loss_options : float
        Options of single losses, see `preference_loss`.

    Returns
    -------
    chosen_gradient : ndarray or torch tensor of shape (n_pairs,)
        Derivative of the loss of each pair in `chosen_logps`; None where "kto" was given none.
    rejected_gradient : ndarray or torch tensor of shape (n_pairs,)
        The same in `rejected_logps`.

    Raises
    ------
    TypeError
        If an argument is of the wrong type, or an option not one of this loss.
    ValueError
        If the loss is unknown, something it needs is missing, shapes or devices differ, or a number
        is out of range or not finite.

    See Also
    --------
    preference_loss : The loss itself.

    Notes
    -----
    In closed form, without automatic differentiation: for a loss of the margin, :math:`f'(d)` and
    :math:`-f'(d)` (each divided by its length where the loss divides). Where hinge and slic have a
    corner the derivative is 0, as torch has it.

    References
    ----------
    Direct Preference Optimization, arXiv:2305.18290.

    Examples
    --------
    >>> from skrmt.preference import preference_gradient
    >>> chosen, rejected = preference_gradient("dpo", [0.3], [-0.4], [0.0], [0.0], beta=0.7)
    >>> chosen.round(6), rejected.round(6)
    (array([-0.265925]), array([0.265925]))
    """
    loss, pair, operands = _read(
        name,
        chosen_logps,
        rejected_logps,
        ref_chosen_logps,
        ref_rejected_logps,
        beta=beta,
        label_smoothing=label_smoothing,
        chosen_lengths=chosen_lengths,
        rejected_lengths=rejected_lengths,
        **loss_options,
    )
    gradients = loss.gradient(operands.backend, pair)
    chosen, rejected = (
        None if gradient is None else finish(gradient, "none", operands.dtype)
        for gradient in gradients
    )
    return chosen, rejected


def margin_derivatives(
    name: str, margin: Any, *, beta: float, label_smoothing: float = 0.0, **loss_options: Any
) -> tuple[Array, Array, Array]:
    """Return a loss of the margin with its first two derivatives, for fits."""
    name = canonical_loss(name, MARGIN_LOSSES)
    slope = LOSSES[name].margin
    assert slope is not None
    operands = read_arrays(margin=margin)
    d, bk = operands.arrays["margin"], operands.backend
    options = _read_options(name, loss_options)
    smoothing = _read_smoothing(name, label_smoothing)
    pair = Pair(d, 0 * d, read_beta(beta), smoothing, None, None, options)
    value, first, second = (
        finish(function(bk, d, pair), "none", operands.dtype) for function in slope
    )
    return value, first, second


def _read(
    name: str,
    chosen_logps: Any,
    rejected_logps: Any,
    ref_chosen_logps: Any,
    ref_rejected_logps: Any,
    *,
    beta: float,
    label_smoothing: float,
    chosen_lengths: Any,
    rejected_lengths: Any,
    **loss_options: Any,
) -> tuple[Loss, Pair, Any]:
    """Return the loss, what it is computed from, and the library, all checked."""
    name = canonical_loss(name)
    loss = LOSSES[name]
    options = _read_options(name, loss_options)
    logps = {"chosen_logps": chosen_logps, "rejected_logps": rejected_logps}
    references = {"chosen": ref_chosen_logps, "rejected": ref_rejected_logps}
    sides = _sides(name, loss, logps)
    wanted = {f"{side}_logps": logps[f"{side}_logps"] for side in sides}
    if loss.reference:
        wanted |= {f"ref_{side}_logps": references[side] for side in sides}
    _check_given(name, wanted)
    operands = read_arrays(**wanted)
    values = _subtract_reference(operands.arrays, sides)
    lengths = {"chosen": chosen_lengths, "rejected": rejected_lengths}
    tokens = {
        side: _read_tokens(name, loss, side, lengths[side], values[side], operands.backend)
        for side in sides
    }
    if name == "ipo" and len({value is None for value in tokens.values()}) == 2:
        raise ValueError(
            "ipo needs both chosen_lengths and rejected_lengths, or neither; got one of them. "
            "Give the other one."
        )
    if name == "orpo":
        options["epsilon"] = _check_mean_logps(values, tokens)
    pair = Pair(
        values.get("chosen"),
        values.get("rejected"),
        read_beta(beta),
        _read_smoothing(name, label_smoothing),
        tokens.get("chosen"),
        tokens.get("rejected"),
        options,
    )
    return loss, pair, operands


def _sides(name: str, loss: Loss, logps: dict[str, Any]) -> list[str]:
    """Return which of the two responses the loss reads."""
    if loss.sides == "chosen":
        return ["chosen"]
    sides = ["chosen", "rejected"]
    if loss.sides == "both":
        return sides
    given = [side for side in sides if logps[f"{side}_logps"] is not None]
    if not given:
        raise ValueError(f"{name} needs chosen_logps or rejected_logps, got None for both.")
    return given


def _check_given(name: str, wanted: dict[str, Any]) -> None:
    """Refuse what is missing."""
    for parameter, value in wanted.items():
        if value is None:
            remedy = (
                "Give the log-probabilities of the reference policy, or zeros where the others "
                "are log-ratios to it already."
                if parameter.startswith("ref_")
                else "Give log-probabilities."
            )
            raise ValueError(f"{name} needs {parameter}, got None. {remedy}")


def _subtract_reference(arrays: dict[str, Array], sides: list[str]) -> dict[str, Array]:
    """Return the log-ratios, or the log-probabilities where there is no reference."""
    values = {}
    for side in sides:
        reference = arrays.get(f"ref_{side}_logps")
        value = arrays[f"{side}_logps"]
        values[side] = value if reference is None else value - reference
    return values


def _read_tokens(
    name: str, loss: Loss, side: str, lengths: Any, like: Array, backend: Any
) -> Array | None:
    """Return the lengths of a side where the loss uses them."""
    parameter = f"{side}_lengths"
    if loss.lengths == "unused":
        return None
    if lengths is None and loss.lengths == "required":
        raise ValueError(
            f"{name} needs {parameter}, got None. Give the numbers of tokens, or 1 where the "
            "log-probabilities are means over tokens."
        )
    return read_lengths(parameter, lengths, like, backend)


def _read_smoothing(name: str, label_smoothing: Any) -> float:
    """Return the noise of a loss, positive for the one that needs it."""
    if LOSSES[name].needs_noise:
        remedy = f"{name} needs it above 0, 1e-3 for instance: its target is log((1 - eps) / eps)."
        return read_number("label_smoothing", label_smoothing, 0.0, 0.5, remedy=remedy)
    remedy = "It is the fraction of pairs in the wrong order."
    return read_number("label_smoothing", label_smoothing, 0.0, 0.5, "left", remedy)


def _read_options(name: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a loss with their defaults."""
    known = LOSSES[name].options
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise TypeError(
            f"loss_options: {name} has no option {unknown[0]!r}; it has "
            f"{', '.join(known) or 'none'}. Leave it out."
        )
    options = {}
    for option, (default, low, high, closed) in known.items():
        value = given.get(option, default)
        if option == "k" and not isinstance(value, (int, float)):
            value = _batch_estimate(value)
        options[option] = read_number(option, value, low, high, closed)
    if "k" in options:
        options["k"] = max(options["k"], 0.0)
    return options


def _batch_estimate(value: Any) -> Any:
    """Return a one-element array or tensor as a float, without its gradient."""
    size = value.numel() if is_torch(value) else np.size(value)
    return to_numpy(value).item() if size == 1 and hasattr(value, "dtype") else value


def _check_mean_logps(values: dict[str, Array], tokens: dict[str, Array]) -> float:
    """Refuse log-probabilities above 0 and return the rounding unit that keeps them below."""
    for side, value in values.items():
        largest = float(to_numpy(value / tokens[side]).max())
        if largest > 1e-3:
            raise ValueError(
                f"{side}_logps must be logarithms of probabilities for orpo, got a mean of "
                f"{largest:.3g} per token, above 0. Give log-probabilities, not scores."
            )
    single = any(value.dtype.itemsize == 4 for value in values.values())
    return float(np.finfo(np.float32 if single else np.float64).eps)
