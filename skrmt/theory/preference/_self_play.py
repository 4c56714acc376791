"""Self-play of a policy against its own past: one round, its limit, and whether it gets there."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from .._checks import FloatArray, FloatOrArray, as_floats, broadcast, in_range, unwrap
from ._optimum import normalize_log


class Scheme(NamedTuple):
    """How a round makes its opponent, and the policy r to which the loss compares."""

    sampler: str
    """Whose responses are rejected: those of the "previous" policies, or of r, the "reference"."""
    history: int | None
    """Over how many iterates the opponent is averaged; None for all."""


_SCHEMES: dict[str, Scheme] = {
    "spin": Scheme("previous", 1),
    "previous": Scheme("previous", 1),
    "reference": Scheme("reference", 1),
    "last_two": Scheme("previous", 2),
    "last_two_both": Scheme("reference", 2),
    "all": Scheme("previous", None),
    "all_both": Scheme("reference", None),
}


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


def _scheme(scheme: Any) -> Scheme:
    """Return the scheme of that name."""
    if not isinstance(scheme, str):
        raise TypeError(f"scheme must be the name of a scheme, got {scheme!r}. Give a string.")
    name = scheme.lower().replace("-", "_").removeprefix("alpha_spin_")
    if name not in _SCHEMES:
        raise ValueError(f"scheme={scheme!r} is not known. Use one of {', '.join(_SCHEMES)}.")
    return _SCHEMES[name]


def _check_settings(
    scheme: Any, beta: Any, mixture_weight: Any
) -> tuple[Scheme, FloatArray, FloatArray]:
    """Check what every function of self-play is given."""
    found = _scheme(scheme)
    scale = in_range("beta", beta, 0.0, np.inf, "neither", "It multiplies the log-ratios.")
    weight = in_range("mixture_weight", mixture_weight, 0.0, 1.0, remedy="It weighs the reference.")
    if scheme.lower() == "spin" and (weight != 0).any():
        raise ValueError(
            f"mixture_weight={mixture_weight!r} with scheme='spin', which has no reference. Use "
            "scheme='previous' or 'reference'."
        )
    scale, weight = broadcast(beta=scale, mixture_weight=weight)
    return found, scale, weight


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
    found, scale, weight = _check_settings(scheme, beta, mixture_weight)
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
    found, scale, weight = _check_settings(scheme, beta, mixture_weight)
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


def self_play_rate(scheme: str, beta: ArrayLike, mixture_weight: ArrayLike = 0.0) -> FloatOrArray:
    r"""Return the factor by which a round of self-play multiplies a small error.

    Beta and the mixture weight broadcast against one another.

    Parameters
    ----------
    scheme : str
        Who the opponent is, see `self_play_map`.
    beta : array-like
        The factor :math:`\beta` of the log-ratios in the loss, positive.
    mixture_weight : array-like, default=0.0
        Weight :math:`\alpha` of the reference policy in the geometric mixture, in [0, 1].

    Returns
    -------
    float or ndarray
        For one opponent ("spin", "previous", "reference"): the exact factor of
        :math:`\log p_t - \log p^*`, with its sign (negative where it oscillates). For the last
        two: the modulus of the largest root of the linearised map. For all policies: 1, as the
        error falls slower than any geometric sequence (0 where "all_both" needs one round only).

    Raises
    ------
    ValueError
        If the scheme is unknown, a number out of range, or the shapes do not broadcast.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    self_play_stable : Whether the error shrinks.

    Notes
    -----
    With :math:`c=1-1/\beta` and :math:`k = 1/(2\beta)`:

    - spin: c; previous: :math:`1-\alpha-1/\beta`; reference: :math:`(1-\alpha)c`;
    - last_two: roots of :math:`z^2-(1-\alpha-k)z+k` (modulus :math:`\sqrt k` where complex);
    - last_two_both: roots of :math:`z^2-(z+1)(1-\alpha)c/2`;
    - all: where :math:`\alpha=0` the error oscillates under an envelope :math:`t^{-1/4}`, otherwise
      it falls as :math:`t^{-1-1/(\alpha\beta)}`;
    - all_both: it falls as :math:`t^{-1+(1-\alpha)c}`: :math:`t^{-1/\beta}` without a reference
      policy.

    The factors of one opponent hold at any distance, as the map is linear in :math:`\log p`; the
    others near the fixed point, where averages of probabilities are averages of logarithms.

    References
    ----------
    Self-Play Fine-Tuning, arXiv:2401.01335. Investigating Regularization of Self-Play Language
    Models, arXiv:2404.04291.

    Examples
    --------
    >>> from skrmt.theory.preference import self_play_rate
    >>> round(self_play_rate("spin", 0.1), 6)
    -9.0
    >>> self_play_rate("reference", [0.8, 2.0], [0.5, 0.3]).round(6)
    array([-0.125,  0.35 ])
    """
    found, scale, weight = _check_settings(scheme, beta, mixture_weight)
    if found.sampler == "reference":
        factor = (1 - weight) * (1 - 1 / scale)
        if found.history is None:
            return unwrap(factor != 0)
        return unwrap(factor if found.history == 1 else _radius(factor / 2, factor / 2))
    if found.history is None:
        return unwrap(np.ones_like(scale))
    if found.history == 1:
        return unwrap(1 - weight - 1 / scale)
    half = 1 / (2 * scale)
    return unwrap(_radius(1 - weight - half, -half))


def _radius(recent: FloatArray, older: FloatArray) -> FloatArray:
    """Return the largest modulus of the roots of z^2 - recent z - older."""
    discriminant = recent**2 + 4 * older
    real = (np.abs(recent) + np.sqrt(np.maximum(discriminant, 0.0))) / 2
    return np.where(discriminant >= 0, real, np.sqrt(np.maximum(-older, 0.0)))


def self_play_min_beta(scheme: str, mixture_weight: ArrayLike = 0.0) -> FloatOrArray:
    r"""Return the beta above which self-play is stable.

    Parameters
    ----------
    scheme : str
        Who the opponent is, see `self_play_map`.
    mixture_weight : array-like, default=0.0
        Weight :math:`\alpha` of the reference policy in the geometric mixture, in [0, 1].

    Returns
    -------
    float or ndarray
        The threshold, where self-play is not stable yet; 0 where every beta is.

    Raises
    ------
    ValueError
        If the scheme is unknown or a number out of range.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    self_play_stable : Compares a beta with it.

    Notes
    -----
    Sampling the opponent from the mixture widens the stable range, sampling it from the previous
    policy narrows it:

    - spin: 1/2; previous: :math:`1/(2-\alpha)`; reference: :math:`(1-\alpha)/(2-\alpha)`;
    - last_two: 1/2 whatever :math:`\alpha`; last_two_both: :math:`(1-\alpha)/(3-\alpha)`;
    - all, all_both: 0.

    References
    ----------
    Investigating Regularization of Self-Play Language Models, arXiv:2404.04291.

    Examples
    --------
    >>> from skrmt.theory.preference import self_play_min_beta
    >>> self_play_min_beta("spin")
    0.5
    >>> self_play_min_beta("reference", [0.0, 0.3]).round(6)
    array([0.5     , 0.411765])
    """
    found, _, weight = _check_settings(scheme, 1.0, mixture_weight)
    return unwrap(_threshold(found, weight))


def _threshold(scheme: Scheme, weight: FloatArray) -> FloatArray:
    """Return the beta above which the roots lie inside the unit circle."""
    if scheme.history is None:
        return np.zeros_like(weight)
    if scheme.sampler == "reference":
        return (1 - weight) / (1 + scheme.history - weight)
    return 1 / (2 - weight) if scheme.history == 1 else np.full_like(weight, 0.5)


def self_play_stable(
    scheme: str, beta: ArrayLike, mixture_weight: ArrayLike = 0.0
) -> bool | np.ndarray:
    r"""Return whether self-play returns to its fixed point after a small error.

    Beta and the mixture weight broadcast against one another.

    Parameters
    ----------
    scheme : str
        Who the opponent is, see `self_play_map`.
    beta : array-like
        The factor of the log-ratios in the loss, positive.
    mixture_weight : array-like, default=0.0
        Weight of the reference policy in the geometric mixture, in [0, 1].

    Returns
    -------
    bool or ndarray of bool
        True where the beta is above `self_play_min_beta`. For one opponent the error
        then shrinks from anywhere; for averaged ones, from the neighbourhood.

    Raises
    ------
    ValueError
        If the scheme is unknown, a number out of range, or the shapes do not broadcast.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    self_play_rate : How fast.

    Notes
    -----
    It is :math:`\beta > \beta_{\min}`, that of `self_play_min_beta`, above which errors
    shrink at the rates of `self_play_rate`. It holds for policies that can express anything, each
    round solved exactly. A log-linear policy rests at its fit of largest likelihood, and behaves so
    near it as far as that fit describes the human responses.

    References
    ----------
    Self-Play Fine-Tuning, arXiv:2401.01335. Investigating Regularization of Self-Play Language
    Models, arXiv:2404.04291.

    Examples
    --------
    >>> from skrmt.theory.preference import self_play_stable
    >>> self_play_stable("spin", 0.1)
    False
    >>> self_play_stable("previous", [0.56, 0.62], 0.3)
    array([False,  True])
    """
    found, scale, weight = _check_settings(scheme, beta, mixture_weight)
    stable = np.asarray(scale > _threshold(found, weight))
    return bool(stable) if stable.ndim == 0 else stable


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
            f"log_policy must have shape {'' if scheme.history == 1 else '(n_policies, ...)'}"
            f"(..., n_candidates), got {np.shape(log_policy)}. Give one row of log-probabilities "
            "a policy, the most recent one last."
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
