"""Whether self-play converges, and how fast."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, unwrap
from ._schemes import Scheme, check_settings


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
    found, scale, weight = check_settings(scheme, beta, mixture_weight)
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
    found, _, weight = check_settings(scheme, 1.0, mixture_weight)
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
    found, scale, weight = check_settings(scheme, beta, mixture_weight)
    stable = np.asarray(scale > _threshold(found, weight))
    return bool(stable) if stable.ndim == 0 else stable
