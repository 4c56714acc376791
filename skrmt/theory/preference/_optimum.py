"""The policy that maximises a reward near a reference, and the price of safety in usefulness."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from .._checks import FloatArray, FloatOrArray, as_floats, broadcast, in_range, unwrap


class KLOptimum(NamedTuple):
    """The optimum of a reward regularised by the KL divergence to a reference.

    Attributes
    ----------
    log_policy : ndarray of shape (..., n_candidates)
        Log-probabilities of the optimal policy.
    reward : float or ndarray
        Its expected reward.
    kl : float or ndarray
        Its KL divergence to the reference, in nats.
    value : float or ndarray
        What it maximises: reward - beta * kl.
    reward_variance : float or ndarray
        Variance of the reward under it: the derivative of `reward` in 1 / beta.
    """

    log_policy: FloatArray
    reward: FloatOrArray
    kl: FloatOrArray
    value: FloatOrArray
    reward_variance: FloatOrArray


class SafetyUtilityCurve(NamedTuple):
    """Safety and utility of the optimal policies along the weight of safety.

    Attributes
    ----------
    safety_weight : ndarray of shape (n_weights,)
        The weights of safety.
    safety, utility, kl : ndarray of shape (..., n_weights)
        Expected safety and utility, and the KL divergence to the reference in nats; the leading
        axes are those of `beta`.
    safety_slope, utility_slope : ndarray of shape (..., n_weights)
        Derivatives of safety and utility in the weight.
    slope : ndarray of shape (..., n_weights)
        Utility gained per unit of safety along the curve, negative where safety costs utility; nan
        where safety does not move, or one of the rewards is constant.
    knee : float or ndarray
        Weight at the largest distance to the chord between both ends of the curve, whatever the
        units of the two rewards; nan for a curve without a bend, as with a constant reward.
    """

    safety_weight: FloatArray
    safety: FloatArray
    utility: FloatArray
    kl: FloatArray
    safety_slope: FloatArray
    utility_slope: FloatArray
    slope: FloatArray
    knee: FloatOrArray


def kl_regularized_optimum(
    reward: ArrayLike, log_reference: ArrayLike, beta: ArrayLike
) -> KLOptimum:
    r"""Return the policy that maximises the expected reward minus beta times the KL divergence.

    Parameters
    ----------
    reward : array-like of shape (..., n_candidates)
        Reward :math:`R` of each candidate response.
    log_reference : array-like of shape (..., n_candidates)
        Log-probabilities of the reference policy, normalised here over the candidates; `-inf` for
        a candidate that does not exist, whose reward is not read.
    beta : array-like of shape (...)
        Strength of the regularisation, positive, in units of the reward.

    Returns
    -------
    log_policy : ndarray of shape (..., n_candidates)
        Log-probabilities of the optimal policy.
    reward, kl, value, reward_variance : float or ndarray of shape (...)
        Its expected reward, KL divergence to the reference in nats, the maximum reached, and the
        variance of the reward under it.

    Raises
    ------
    ValueError
        If a number is out of range, a row has no candidate or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    safety_utility_curve : Two rewards, one traded for the other.

    Notes
    -----
    The maximum over policies :math:`\pi` of :math:`E_\pi R - \beta\,KL(\pi\|\pi_{ref})` is at

    .. math::

        \pi^* = \pi_{ref}\,e^{R/\beta}/Z, \qquad \text{value} = \beta\log Z, \qquad
        KL(\pi^*\|\pi_{ref}) = E_{\pi^*}R/\beta - \log Z,

    and :math:`dE_{\pi^*}R/d(1/\beta) = Var_{\pi^*}(R)`: along the frontier of reward against KL,
    traced by :math:`1/\beta` from 0, the slope is :math:`\beta`. The divergence is computed as a
    sum of non-negative terms, so that it stays exact where it is tiny.

    References
    ----------
    Direct Preference Optimization, arXiv:2305.18290.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.preference import kl_regularized_optimum
    >>> best = kl_regularized_optimum([0, 0.5, 1, -1], np.log([0.4, 0.3, 0.1, 0.2]), [0.1, 0.5])
    >>> best.reward.round(6)
    array([0.989917, 0.565029])
    >>> best.kl.round(6)
    array([2.181566, 0.446225])
    """
    scale = _check_beta(beta)
    (values,), base = check_candidates({"reward": reward}, log_reference)
    values, base, scale = broadcast(reward=values, log_reference=base, beta=scale[..., None])
    tilt = tilted(values, scale, base)
    mean = tilt.expectation(values)
    variance = tilt.expectation((values - mean[..., None]) ** 2)
    return KLOptimum(
        tilt.log_policy,
        unwrap(mean),
        unwrap(tilt.kl),
        unwrap(scale[..., 0] * tilt.log_partition),
        unwrap(variance),
    )


class Tilt(NamedTuple):
    """A reference policy multiplied by exponentials of a score, and normalised."""

    log_policy: FloatArray
    log_partition: FloatArray
    kl: FloatArray

    def expectation(self, values: FloatArray) -> FloatArray:
        """Return the mean of `values` over the candidates."""
        return np.asarray((np.exp(self.log_policy) * values).sum(axis=-1))


def tilted(reward: FloatArray, beta: FloatOrArray, log_reference: FloatArray) -> Tilt:
    """Return the reference times exp(reward / beta), its log partition function and divergence."""
    with np.errstate(over="ignore"):
        score = reward / beta
    if not np.isfinite(score).all():
        raise ValueError(
            "beta is too small for these rewards, whose ratio to it overflows. Raise it, or take "
            "the candidate of the largest reward."
        )
    exists = np.isfinite(log_reference)
    reference = np.exp(log_reference)
    centre = (reference * score).sum(axis=-1, keepdims=True)
    small = np.abs(np.where(exists, score - centre, 0.0)).max(axis=-1, keepdims=True) < 1.0
    shift = np.where(small, centre, np.where(exists, score, -np.inf).max(axis=-1, keepdims=True))
    gap = np.where(exists, score - shift, 0.0)
    tiny = np.log1p((reference * np.expm1(np.where(small, gap, 0.0))).sum(axis=-1, keepdims=True))
    excess = np.where(small, tiny, logsumexp(log_reference + gap, axis=-1, keepdims=True))
    log_ratio = np.where(exists, gap - excess, 0.0)
    log_policy = log_reference + log_ratio
    terms = _divergence_terms(log_ratio, reference, np.exp(log_policy))
    return Tilt(log_policy, (shift + excess)[..., 0], np.asarray(terms.sum(axis=-1)))


def _divergence_terms(x: FloatArray, reference: FloatArray, policy: FloatArray) -> FloatArray:
    """Return policy * x - policy + reference, x their log-ratio, to full relative accuracy."""
    near = np.abs(x) < 0.2
    small = np.where(near, x, 0.0)
    series = np.zeros_like(x)
    factor = 1.0
    for power in range(2, 15):
        factor /= power
        series = series + (power - 1) * factor * small**power
    return np.where(near, reference * series, policy * x - policy + reference)


def safety_utility_curve(
    safety: ArrayLike,
    utility: ArrayLike,
    log_reference: ArrayLike,
    beta: ArrayLike,
    *,
    safety_weight: ArrayLike | None = None,
) -> SafetyUtilityCurve:
    r"""Return safety against utility of the policies that are optimal for a mixture of both.

    Parameters
    ----------
    safety, utility : array-like of shape (n_candidates,) or (n_prompts, n_candidates)
        The two rewards :math:`R_s, R_u` of each candidate response.
    log_reference : array-like of shape (n_candidates,) or (n_prompts, n_candidates)
        Log-probabilities of the reference policy, normalised here over the candidates; `-inf` for
        a candidate that does not exist.
    beta : array-like
        Strength of the regularisation, positive; the result has its shape in front.
    safety_weight : array-like of shape (n_weights,), optional
        Weights :math:`\lambda` of safety in [0, 1], increasing; 101 equally spaced ones by
        default. The knee is one of them.

    Returns
    -------
    safety_weight : ndarray of shape (n_weights,)
        The weights.
    safety, utility, kl, safety_slope, utility_slope, slope : ndarray of shape (..., n_weights)
        Means over the prompts of safety, utility and KL divergence, the derivatives of the first
        two in the weight, and their ratio d utility / d safety.
    knee : float or ndarray of shape (...)
        Weight where the curve bends most: at the largest distance to its chord. `slope` and `knee`
        are nan where a reward is the same, to rounding, for all candidates of every prompt, as
        there is nothing to trade.

    Raises
    ------
    ValueError
        If a number is out of range, a prompt has fewer than two candidates, or the shapes do not
        fit.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    kl_regularized_optimum : One reward.

    Notes
    -----
    The policy is :math:`\pi_\lambda \propto \pi_{ref}\exp((\lambda R_s + (1-\lambda)R_u)/\beta)`,
    and with covariances under it

    .. math::

        \frac{dE R_s}{d\lambda} = \frac{Cov(R_s, R_s - R_u)}{\beta}, \qquad
        \frac{dE R_u}{d\lambda} = \frac{Cov(R_u, R_s - R_u)}{\beta}:

    utility is lost only where :math:`Cov(R_u, R_s) < Var(R_u)`. Their difference,
    :math:`Var(R_s - R_u)/\beta`, is never negative. Multiplying either reward by a constant does
    not move the points of largest distance to the chord.

    References
    ----------
    Alignment with Preference Optimization Is All You Need for LLM Safety, arXiv:2409.07772.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.preference import safety_utility_curve
    >>> curve = safety_utility_curve([1, 0.8, 0], [0, 0.7, 1], np.log([0.2, 0.3, 0.5]), 0.1)
    >>> curve.safety[[0, 50, 100]].round(3)
    array([0.023, 0.717, 0.966])
    >>> curve.utility[[0, 50, 100]].round(3)
    array([0.991, 0.702, 0.118])
    >>> curve.knee
    0.55
    """
    scale = _check_beta(beta)
    weights = _check_weights(safety_weight)
    (safe, useful), base = check_candidates(
        {"safety": safety, "utility": utility}, log_reference, ndim=(1, 2), fewest=2
    )
    (safe, safe_level), (useful, useful_level) = (
        _above_first(values, base) for values in (safe, useful)
    )
    curve = np.stack(
        [
            _curve_point(safe, useful, base, float(weight), float(strength))
            for strength in scale.ravel()
            for weight in weights
        ],
        axis=-1,
    ).reshape(5, *scale.shape, weights.size)
    safety_slope, utility_slope = curve[3], curve[4]
    moves = (safety_slope != 0) & (safe.any() and useful.any())
    slope = np.where(moves, utility_slope, np.nan) / np.where(moves, safety_slope, 1.0)
    return SafetyUtilityCurve(
        weights,
        curve[0] + safe_level,
        curve[1] + useful_level,
        curve[2],
        safety_slope,
        utility_slope,
        slope,
        unwrap(_knee(weights, curve[0], curve[1])),
    )


_ROUNDING = 8 * np.finfo(float).eps
"""Difference of two rewards, in units of the larger, below which they are equal: a few operations
have rounded numbers that were the same."""


def _above_first(reward: FloatArray, base: FloatArray) -> tuple[FloatArray, float]:
    """Return rewards less those of the first candidates, 0 to rounding, and their mean."""
    exists = np.isfinite(base)
    first = np.take_along_axis(reward, exists.argmax(axis=-1)[..., None], axis=-1)
    excess = np.where(exists, reward - first, 0.0)
    size = np.maximum(np.abs(reward), np.abs(first))
    return np.where(np.abs(excess) > _ROUNDING * size, excess, 0.0), float(first.mean())


def _curve_point(
    safety: FloatArray, utility: FloatArray, base: FloatArray, weight: float, beta: float
) -> FloatArray:
    """Return safety, utility, KL and the two slopes at one weight, averaged over prompts."""
    tilt = tilted(weight * safety + (1 - weight) * utility, beta, base)
    means = [tilt.expectation(values) for values in (safety, utility)]
    gaps = [values - mean[..., None] for values, mean in zip((safety, utility), means, strict=True)]
    difference = gaps[0] - gaps[1]
    slopes = [tilt.expectation(gap * difference) / beta for gap in gaps]
    return np.array([np.mean(number) for number in (*means, tilt.kl, *slopes)])


def _knee(weights: FloatArray, safety: FloatArray, utility: FloatArray) -> FloatArray:
    """Return the weight at the largest distance to the chord, nan for a straight curve."""
    across = safety - safety[..., :1]
    along = utility - utility[..., :1]
    distance = np.abs(across * along[..., -1:] - along * across[..., -1:])
    size = np.abs(across).max(axis=-1) * np.abs(along).max(axis=-1)
    bent = distance.max(axis=-1) > 1e-9 * size
    return np.where(bent, weights[distance.argmax(axis=-1)], np.nan)


def _check_beta(beta: Any) -> FloatArray:
    """Check the strength of a regularisation."""
    return in_range(
        "beta", beta, 0.0, np.inf, "neither", "It weighs the divergence to the reference."
    )


def _check_weights(safety_weight: Any) -> FloatArray:
    """Check an increasing grid of weights in [0, 1]."""
    if safety_weight is None:
        return np.linspace(0.0, 1.0, 101)
    weights = in_range("safety_weight", safety_weight, 0.0, 1.0, remedy="It is a mixing weight.")
    if weights.ndim != 1 or weights.size < 2 or (np.diff(weights) <= 0).any():
        raise ValueError(
            f"safety_weight must hold two or more increasing numbers, got {safety_weight!r}. "
            "Give a grid such as numpy.linspace(0, 1, 101)."
        )
    return weights


def check_candidates(
    rewards: dict[str, Any],
    log_reference: Any,
    ndim: tuple[int, ...] | None = None,
    fewest: int = 1,
) -> tuple[list[FloatArray], FloatArray]:
    """Check rewards and reference over candidates, and normalise the reference."""
    numbers = {name: as_floats(name, value) for name, value in rewards.items()}
    base = as_floats("log_reference", log_reference)
    *values, base = broadcast(**numbers, log_reference=base)
    if base.ndim == 0 or (ndim is not None and base.ndim not in ndim):
        raise ValueError(
            f"log_reference and {', '.join(rewards)} have shape {base.shape} together. Give an "
            "array (n_candidates,), or (n_prompts, n_candidates)."
        )
    base = normalize_log("log_reference", base, fewest)
    exists = np.isfinite(base)
    for name, value in zip(rewards, values, strict=True):
        if not np.isfinite(value[exists]).all():
            raise ValueError(
                f"{name} must be finite for every candidate, got a NaN or an infinity. Where "
                "there is no candidate, give log_reference=-inf."
            )
    return [np.where(exists, value, 0.0) for value in values], base


def normalize_log(name: str, log_weights: FloatArray, fewest: int = 1) -> FloatArray:
    """Return log-weights as log-probabilities over the last axis."""
    if not (log_weights < np.inf).all():
        raise ValueError(
            f"{name} must hold logarithms of probabilities, got a NaN or +inf. Use -inf for "
            "what does not occur."
        )
    count = np.isfinite(log_weights).sum(axis=-1)
    if log_weights.size == 0 or count.min() < fewest:
        raise ValueError(
            f"{name} must hold at least {fewest} candidate{'s' if fewest > 1 else ''} of positive "
            f"probability in every row, got shape {log_weights.shape} with a row of "
            f"{count.min() if count.size else 0}. Leave such prompts out."
        )
    return np.asarray(log_weights - logsumexp(log_weights, axis=-1, keepdims=True))
