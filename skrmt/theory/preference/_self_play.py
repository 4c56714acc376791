"""Self-play of a policy against its own past: one round, and its limit."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from .._checks import FloatArray, as_floats, broadcast
from ._optimum import normalize_log
from ._schemes import Scheme, check_settings


class SelfPlayFixedPoint(NamedTuple):
    """Where self-play comes to rest.

    Attributes
    ----------
    log_policy : ndarray of shape (..., n_candidates)
        Log-probabilities of the policy that one more round leaves as it is.
    reference_weight : float
        Its weight w of the reference policy: the point of rest is proportional to reference^w
        human^(1 - w). Negative where it overshoots the human policy.
    """

    log_policy: FloatArray
    reference_weight: float


def self_play_map(
    scheme: str,
    log_policy: ArrayLike,
    log_human: ArrayLike,
    log_reference: ArrayLike | None = None,
    *,
    beta: float,
    mixture_weight: float = 0.0,
) -> FloatArray:
    r"""Return the policy after one round of self-play solved exactly.

    Parameters
    ----------
    scheme : str
        Who the opponent is, and to which policy r the loss compares:

        - "spin": both are the previous policy;
        - "previous": the opponent is the previous policy, r its geometric mixture with the
          reference policy;
        - "reference": both are this geometric mixture;
        - "last_two", "all": the opponent is the average of the last two policies, or of all
          (fictitious play), r as in "previous";
        - "last_two_both", "all_both": both are the geometric mixture of this average with the
          reference policy.
    log_policy : array-like of shape (..., n_candidates)
        Log-probabilities of the previous policy, finite. For the schemes of several policies:
        of shape (n_policies, ..., n_candidates), the most recent one last; "last_two" reads the
        last two, or the only one.
    log_human : array-like of shape (..., n_candidates)
        Log-probabilities of the human responses; `-inf` for one that does not occur.
    log_reference : array-like of shape (..., n_candidates), optional
        Log-probabilities of the reference policy, finite; needed where `mixture_weight` is not 0.
    beta : float
        The factor :math:`\beta` of the log-ratios in the loss (TRL's beta), positive.
    mixture_weight : float, default=0.0
        Weight :math:`\alpha` of the reference policy in the geometric mixture, in [0, 1].

    Returns
    -------
    ndarray of shape (..., n_candidates)
        Log-probabilities of the next policy.

    Raises
    ------
    ValueError
        If the scheme is unknown, a number out of range, or the shapes do not fit.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    self_play_fixed_point : The policy that the map leaves as it is.
    self_play_rate : How fast the map approaches it.

    Notes
    -----
    A round minimises :math:`E_{y\sim d,\,y'\sim q}\,\log(1+e^{-(h(y)-h(y'))})` over
    :math:`h = \beta\log(p/r)`, with human policy d and opponent q. Without
    restriction on p the minimum is at :math:`h = \log(d/q)` + constant, hence

    .. math:: p_{t+1} \propto r_t\,(d/q_t)^{1/\beta},

    with :math:`r_t \propto p_t^{1-\alpha}b^\alpha`. All inputs are normalised over the candidates
    first.

    References
    ----------
    Self-Play Fine-Tuning, arXiv:2401.01335. Investigating Regularization of Self-Play Language
    Models, arXiv:2404.04291.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.preference import self_play_map
    >>> human = np.log(np.arange(1, 6) / 15)
    >>> start = 1.5 * np.log(np.arange(5, 0, -1))
    >>> np.exp(self_play_map("spin", start, human, beta=2.0)).round(4)
    array([0.198 , 0.2368, 0.2337, 0.1991, 0.1324])
    """
    found, scale, weight = check_settings(scheme, beta, mixture_weight)
    strength, share = _as_number("beta", scale), _as_number("mixture_weight", weight)
    policies = _check_policies(log_policy, found)
    human, log_b = _check_policies_given(log_human, log_reference, share, policies.shape[1:])
    average = logsumexp(policies, axis=0) - np.log(len(policies))
    anchor = policies[-1] if found.sampler == "previous" else average
    reference = anchor if log_b is None else (1 - share) * anchor + share * log_b
    opponent = average if found.sampler == "previous" else _normalized(reference)
    return _normalized(reference + (human - opponent) / strength)


def self_play_fixed_point(
    scheme: str,
    log_human: ArrayLike,
    log_reference: ArrayLike | None = None,
    *,
    beta: float,
    mixture_weight: float = 0.0,
) -> SelfPlayFixedPoint:
    r"""Return the policy at which self-play rests, stable or not.

    Parameters
    ----------
    scheme : str
        Who the opponent is, see `self_play_map`.
    log_human : array-like of shape (..., n_candidates)
        Log-probabilities of the human responses; `-inf` for one that does not occur.
    log_reference : array-like of shape (..., n_candidates), optional
        Log-probabilities of the reference policy, finite; needed where `mixture_weight` is not 0.
    beta : float
        The factor :math:`\beta` of the log-ratios in the loss, positive.
    mixture_weight : float, default=0.0
        Weight :math:`\alpha` of the reference policy in the geometric mixture, in [0, 1].

    Returns
    -------
    log_policy : ndarray of shape (..., n_candidates)
        Log-probabilities of the fixed point.
    reference_weight : float
        Its weight of the reference policy, w.

    Raises
    ------
    ValueError
        If the scheme is unknown, a number out of range, or the shapes do not fit.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    self_play_stable : Whether self-play returns to it.

    Notes
    -----
    With human policy d and reference policy b it is proportional to :math:`b^w d^{1-w}`,

    .. math::

        w = \frac{\alpha\beta}{1+\alpha\beta} \text{ (opponent: previous policies)}, \qquad
        w = \frac{c\alpha}{1-c(1-\alpha)},\ c = 1 - \frac1\beta
        \text{ (opponent: the mixture)},

    however many policies the opponent averages, as they are all equal there. Without a reference
    policy (:math:`\alpha=0`) it is d, as it is for every :math:`\alpha` where :math:`\beta=1` and
    the opponent is the mixture.

    References
    ----------
    Investigating Regularization of Self-Play Language Models, arXiv:2404.04291.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.preference import self_play_fixed_point
    >>> human, reference = np.log(np.arange(1, 6) / 15), np.zeros(5)
    >>> rest = self_play_fixed_point("previous", human, reference, beta=2, mixture_weight=0.3)
    >>> round(rest.reference_weight, 4)
    0.375
    >>> np.exp(rest.log_policy).round(4)
    array([0.1037, 0.1599, 0.2061, 0.2467, 0.2836])
    """
    found, scale, weight = check_settings(scheme, beta, mixture_weight)
    strength, share = _as_number("beta", scale), _as_number("mixture_weight", weight)
    human, log_b = _check_policies_given(log_human, log_reference, share, None)
    if found.sampler == "previous":
        reference_weight = share * strength / (1 + share * strength)
    else:
        reference_weight = share * (strength - 1) / (1 - share + share * strength)
    if log_b is None:
        return SelfPlayFixedPoint(human, 0.0)
    return SelfPlayFixedPoint(
        _normalized(reference_weight * log_b + (1 - reference_weight) * human), reference_weight
    )


def _as_number(name: str, value: FloatArray) -> float:
    """Return a single number as a float."""
    if value.ndim:
        raise ValueError(f"{name} must be one number, got shape {value.shape}. Loop over them.")
    return float(value)


def _normalized(log_weights: FloatArray) -> FloatArray:
    return np.asarray(log_weights - logsumexp(log_weights, axis=-1, keepdims=True))


def _check_policies(log_policy: Any, scheme: Scheme) -> FloatArray:
    """Return the normalised policies that the opponent averages, along a first axis."""
    policies = as_floats("log_policy", log_policy)
    if scheme.history == 1:
        policies = policies[None]
    if policies.ndim < 2 or len(policies) == 0:
        raise ValueError(
            f"log_policy must have shape ({'' if scheme.history == 1 else 'n_policies, '}..., "
            f"n_candidates), got {np.shape(log_policy)}. Give one row of log-probabilities per "
            "policy, the most recent one last."
        )
    policies = policies[-scheme.history :] if scheme.history else policies
    return _full_support("log_policy", policies)


def _full_support(name: str, log_weights: FloatArray) -> FloatArray:
    """Return normalised log-probabilities, none of which is -inf."""
    log_weights = normalize_log(name, log_weights, 2)
    if not np.isfinite(log_weights).all():
        raise ValueError(
            f"{name} must be finite, got -inf: a ratio to a probability of 0 is not defined. "
            "Leave such candidates out."
        )
    return log_weights


def _check_policies_given(
    log_human: Any, log_reference: Any, share: float, shape: tuple[int, ...] | None
) -> tuple[FloatArray, FloatArray | None]:
    """Return the normalised human and reference policies, the latter only where it counts."""
    human = as_floats("log_human", log_human)
    if human.ndim == 0 or human.shape[-1] < 2:
        raise ValueError(
            f"log_human must have shape (..., n_candidates) with two candidates or more, got "
            f"{human.shape}. Give the log-probabilities of the responses."
        )
    arrays = {"log_human": human}
    if share:
        if log_reference is None:
            raise ValueError(
                f"log_reference must be given with mixture_weight={share:g}, got None. Give the "
                "log-probabilities of the reference policy."
            )
        arrays["log_reference"] = as_floats("log_reference", log_reference)
    if shape is not None:
        arrays["log_policy"] = np.zeros(shape)
    arrays = dict(zip(arrays, broadcast(**arrays), strict=True))
    human = normalize_log("log_human", arrays["log_human"])
    log_b = _full_support("log_reference", arrays["log_reference"]) if share else None
    return human, log_b
