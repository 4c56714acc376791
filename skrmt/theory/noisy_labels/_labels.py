"""How much a noisy label says: statistics of the targets, optimal and worst shifts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import (
    FloatArray,
    FloatOrArray,
    Pair,
    broadcast,
    check_noise_rates,
    check_prior,
    finite_floats,
    unwrap,
)


class Perturbation(NamedTuple):
    r"""Noise-aware weights of the squared loss, in class order.

    Attributes
    ----------
    negative, positive : float or ndarray
        The weights :math:`(\rho_-, \rho_+)`.
    """

    negative: FloatOrArray
    positive: FloatOrArray


class LabelMoments(NamedTuple):
    """Moments of the targets `t = observed label + shift`, labels coded -1/+1.

    Attributes
    ----------
    signal : ndarray
        s = E[y t], y the true label.
    power : ndarray
        T2 = E[t^2].
    unexplained : ndarray
        E[(t - s y)^2] = T2 - s^2, computed as a sum of squares.
    """

    signal: FloatArray
    power: FloatArray
    unexplained: FloatArray


def check_labels(prior: Any, noise_rates: Any) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Check and broadcast the three numbers that describe noisy binary labels."""
    negative, positive = check_noise_rates(noise_rates)
    pi, neg, pos = broadcast(
        **{
            "prior": check_prior(prior),
            "noise_rates[0]": negative,
            "noise_rates[1]": positive,
        }
    )
    return pi, neg, pos


def label_moments(
    prior: FloatArray, negative: FloatArray, positive: FloatArray, shift: FloatArray
) -> LabelMoments:
    """Compute the moments of `t = observed label + shift`."""
    mistakes = prior * positive + (1 - prior) * negative
    signal = 1 - 2 * mistakes + (2 * prior - 1) * shift
    kept_positive, kept_negative = prior * (1 - positive), (1 - prior) * (1 - negative)
    lost_positive, lost_negative = prior * positive, (1 - prior) * negative
    power = (kept_positive + lost_negative) * (1 + shift) ** 2 + (kept_negative + lost_positive) * (
        1 - shift
    ) ** 2
    # t - s for y = +, t + s for y = -, each written without the difference 1 - 1.
    gap_positive = 2 * mistakes + 2 * (1 - prior) * shift
    gap_negative = -2 * mistakes + 2 * prior * shift
    unexplained = (
        kept_positive * gap_positive**2
        + lost_positive * (gap_positive - 2) ** 2
        + kept_negative * gap_negative**2
        + lost_negative * (gap_negative + 2) ** 2
    )
    return LabelMoments(signal, power, unexplained)


def optimal_shift(prior: ArrayLike, noise_rates: Pair) -> FloatOrArray:
    r"""Return the shift of noisy -1/+1 labels that is best for a ridge without intercept.

    Parameters
    ----------
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple of two array-likes, or an
        ndarray of shape (..., 2). Each in [0, 1), with sum below 1.

    Returns
    -------
    float or ndarray
        The shift :math:`d^*`; its modulus may exceed 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    optimal_perturbation : The same point in the parametrisation of the paper.
    worst_shift : The shift that erases what the labels say.

    Notes
    -----
    Without an intercept, the accuracy depends on the targets :math:`t` only through
    :math:`r^2 = E[y t]^2 / E[t^2]`. By the Cauchy-Schwarz inequality the best targets are
    proportional to the posterior mean :math:`E[y | \tilde y]`, that is to
    :math:`\tilde y + d^*` with

    .. math:: d^* = \frac{\pi_+^2\epsilon_+(1-\epsilon_+) - \pi_-^2\epsilon_-(1-\epsilon_-)}
                         {\pi_+\pi_-(1-\epsilon_+-\epsilon_-)}.

    It does not depend on the signal, on the aspect ratio, on the penalty, nor on a covariance
    that the classes share. It is 0 for clean labels, and for equal rates and classes.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import optimal_shift
    >>> round(optimal_shift(0.7, (0.3, 0.4)), 6)
    1.566667
    """
    return unwrap(_optimal_shift(*check_labels(prior, noise_rates)))


def _optimal_shift(prior: FloatArray, negative: FloatArray, positive: FloatArray) -> FloatArray:
    spread_positive = prior**2 * positive * (1 - positive)
    spread_negative = (1 - prior) ** 2 * negative * (1 - negative)
    return (spread_positive - spread_negative) / (prior * (1 - prior) * (1 - positive - negative))


def optimal_perturbation(
    prior: ArrayLike, noise_rates: Pair, rho_negative: ArrayLike | None = 0.0
) -> Perturbation:
    r"""Return the noise-aware loss weights that give the best accuracy.

    Parameters
    ----------
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple of two array-likes, or an
        ndarray of shape (..., 2). Each in [0, 1), with sum below 1.
    rho_negative : array-like or None, default=0.0
        The weight :math:`\rho_-`, which is free. With a number, the sum of the two weights may
        reach 1 or more; `lpc` refuses such a pair, since it turns the classifier over. `None`
        takes :math:`\rho_- = \min(0, -d^*)`, whose sum :math:`-|d^*|` is always safe; the
        targets are then scaled to a largest modulus of 1.

    Returns
    -------
    negative : float or ndarray
        The weight :math:`\rho_-`.
    positive : float or ndarray
        The weight :math:`\rho_+ = \rho_- + d^*`.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    optimal_shift : The difference of the two weights, which alone decides.

    Notes
    -----
    The targets are :math:`t = (\tilde y + d) / (1-\rho_+-\rho_-)` with
    :math:`d = \rho_+ - \rho_-`. The sum of the optimal weights is :math:`2\rho_- + d^*`: it stays
    below 1 if and only if :math:`\rho_- < (1 - d^*)/2`.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import optimal_perturbation
    >>> optimal_perturbation(0.7, (0.3, 0.4))
    Perturbation(negative=0.0, positive=1.566667)
    >>> optimal_perturbation(0.7, (0.3, 0.4), rho_negative=None)
    Perturbation(negative=-1.566667, positive=0.0)
    """
    shift = _optimal_shift(*check_labels(prior, noise_rates))
    if rho_negative is None:
        return Perturbation(unwrap(np.minimum(0.0, -shift)), unwrap(np.minimum(0.0, shift)))
    negative = finite_floats("rho_negative", rho_negative, "Give a finite number or None.")
    negative, shift = broadcast(rho_negative=negative, prior_and_noise_rates=shift)
    return Perturbation(unwrap(negative.copy()), unwrap(negative + shift))


def worst_shift(prior: ArrayLike, noise_rates: Pair) -> FloatOrArray:
    r"""Return the shift at which a ridge without intercept is no better than chance.

    Parameters
    ----------
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple of two array-likes, or an
        ndarray of shape (..., 2). Each in [0, 1), with sum below 1.

    Returns
    -------
    float or ndarray
        The shift :math:`d_0`; `inf` for equal classes, where only targets that are all equal
        say nothing.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    optimal_shift : The best shift.

    Notes
    -----
    With :math:`a = 1 - 2\pi_+\epsilon_+ - 2\pi_-\epsilon_-` and :math:`b = \pi_+ - \pi_-`, the
    mean of the score is proportional to :math:`E[y t] = a + b d`, which is 0 at
    :math:`d_0 = -a/b`. Beyond it predictions are inverted.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import lpc, worst_shift
    >>> shift = worst_shift(0.7, (0.3, 0.4))
    >>> round(shift, 6)
    -0.65
    >>> round(lpc(0.2, 1.0, 1.5, prior=0.7, noise_rates=(0.3, 0.4), shift=shift).accuracy, 6)
    0.5
    """
    pi, negative, positive = check_labels(prior, noise_rates)
    agreement = 1 - 2 * (pi * positive + (1 - pi) * negative)
    imbalance = 2 * pi - 1
    balanced = imbalance == 0
    shift = -agreement / np.where(balanced, 1.0, imbalance)
    return unwrap(np.where(balanced, np.inf, shift))


def label_quality(
    prior: ArrayLike, noise_rates: Pair, shift: ArrayLike | None = None
) -> FloatOrArray:
    r"""Return the squared correlation of the targets with the true labels.

    Parameters
    ----------
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple of two array-likes, or an
        ndarray of shape (..., 2). Each in [0, 1), with sum below 1.
    shift : array-like, optional
        The shift d of the targets (observed label + d); the optimal one by default.

    Returns
    -------
    float or ndarray
        :math:`r^2` in [0, 1]: 1 for clean labels, 0 at the worst shift.

    Raises
    ------
    ValueError
        If a number is out of range.

    See Also
    --------
    optimal_shift : The shift that maximises it.

    Notes
    -----
    :math:`r^2 = E[y t]^2 / E[t^2]` (moments about 0, the centre being known). At the optimum it
    is :math:`E[E[y|\tilde y]^2] = (A-B)^2/(A+B) + (C-D)^2/(C+D)` with
    :math:`A=\pi_+(1-\epsilon_+)`, :math:`B=\pi_-\epsilon_-`, :math:`C=\pi_+\epsilon_+` and
    :math:`D=\pi_-(1-\epsilon_-)`. The accuracy of every ridge without intercept increases with
    it.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import label_quality
    >>> round(label_quality(0.7, (0.3, 0.4)), 6)
    0.223529
    >>> round(label_quality(0.7, (0.3, 0.4), shift=0.0), 6)
    0.0676
    """
    pi, negative, positive = check_labels(prior, noise_rates)
    if shift is None:
        return unwrap(_best_quality(pi, negative, positive))
    moments = label_moments(pi, negative, positive, check_shift(shift))
    return unwrap(moments.signal**2 / moments.power)


def _best_quality(prior: FloatArray, negative: FloatArray, positive: FloatArray) -> FloatArray:
    a, b = prior * (1 - positive), (1 - prior) * negative
    c, d = prior * positive, (1 - prior) * (1 - negative)
    return (a - b) ** 2 / (a + b) + (c - d) ** 2 / (c + d)


def check_shift(shift: Any) -> FloatArray:
    """Check a shift of the targets: finite."""
    return finite_floats("shift", shift, "Take optimal_shift(prior, noise_rates).")
