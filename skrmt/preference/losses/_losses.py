"""Losses of preference optimisation as functions of log-probabilities, with their gradients."""

from __future__ import annotations

from typing import Any

from ...theory.preference._names import canonical_loss
from ._arguments import read_loss, read_options, read_smoothing
from ._formulas import Array, Pair
from ._inputs import check_reduction, finish, read_arrays, read_beta
from ._table import LOSSES, MARGIN_LOSSES


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
        Name of the loss, see Notes; the names of TRL are understood, and mean what TRL computes.
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
        Fraction :math:`\epsilon` of pairs given in the wrong order, in [0, 1/2). Read by cdpo,
        robust, aot, aot_unpaired and exo, which needs it above 0; the others refuse it.
    chosen_lengths, rejected_lengths : array-like, torch tensor or float, optional
        Numbers of tokens :math:`|y_w|, |y_l|`, at least 1. Needed by sigmoid_norm, simpo and orpo.
        With them ipo divides the log-ratios as TRL does, and the likelihood term of sft, cpo, slic
        and orpo is, in the mean over pairs, that over the *tokens* of the batch. Without them ipo
        is the published loss of sums, and the likelihood term of sft, cpo and slic a mean over
        responses. Where the log-probabilities are means over tokens already, lengths of 1 leave
        simpo and sigmoid_norm as they are; the likelihood term, that of orpo too, then weighs each
        response equally, however long. The others ignore them.
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
    aot                                 cdpo of :math:`s_{(i)}-t_{(i)}`, :math:`s=l_w-l_l`,
                                        :math:`t` that of the reference
    aot_unpaired                        cdpo of :math:`c_{(i)}-r_{(i)}`
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

    where :math:`l = \log\pi`, :math:`\bar l = l/|y|`, and :math:`x_{(i)}` is the i-th smallest
    number of the batch. The losses of aot are those of batches: each is returned for the pair, or
    for aot_unpaired the chosen response, of its rank, and equal numbers have ranks in any order.
    robust equals
    :math:`-\log\sigma(z)-\epsilon z/(1-2\epsilon)`: convex, and unbounded below, so that it needs a
    penalty or an early stop on pairs that can be separated. exo is not convex, and its gradient
    vanishes where :math:`|z|` is large.

    Where TRL differs: its sigmoid smoothed labels by `label_smoothing` in releases before 1, and
    ignores it since; that is cdpo here, and dpo refuses it. Its exo_pair takes 0 for 0.001. Its kto
    is a mean over single responses, half the mean over pairs here where both sides are as many. Its
    `beta` of ORPO is `weight` here, and its likelihood term of ORPO counts the tokens of the prompt
    as well; its simpo adds the likelihood term of CPO unless `cpo_alpha` is 0.

    References
    ----------
    DPO arXiv:2305.18290, robust 2403.00409, hinge and slic 2305.10425, IPO 2310.12036, EXO
    2402.00856, NCA 2402.05369, Safe-NCA 2409.07772, BCO 2404.04656, SPPO 2405.00675, APO
    2408.06266, AOT 2406.05882, DiscoPOP 2406.08414, KTO 2402.01306, SimPO 2405.14734, CPO
    2401.08417, ORPO 2403.07691.

    Examples
    --------
    >>> from skrmt.preference import preference_loss
    >>> preference_loss("dpo", [-9.7, -8.0], [-12.4, -7.0], [-10, -8], [-12, -8], beta=0.7)
    array([0.47786415, 1.10318605])
    """
    loss, pair, operands = read_loss(
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
        Fraction of pairs given in the wrong order, in [0, 1/2); refused by losses that have none.
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
    corner the derivative is 0, as torch has it. For aot and aot_unpaired it is that of the sum over
    the batch.

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
    loss, pair, operands = read_loss(
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
    loss = LOSSES[canonical_loss(name, MARGIN_LOSSES)]
    assert loss.margin is not None
    operands = read_arrays(margin=margin)
    d, bk = operands.arrays["margin"], operands.backend
    options = read_options(loss.name, loss_options)
    smoothing = read_smoothing(loss, label_smoothing)
    pair = Pair(d, 0 * d, read_beta(beta), smoothing, None, None, options)
    value, first, second = (
        finish(function(bk, d, pair), "none", operands.dtype) for function in loss.margin
    )
    return value, first, second
