"""Isotropic ridge on noisy labels: exact limits without (`lpc`) and with an intercept."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from .._checks import (
    FloatArray,
    FloatOrArray,
    Pair,
    as_pair,
    broadcast,
    finite_floats,
    in_range,
    unwrap,
)
from .._fixed_point import isotropic_scale
from ._decision import best_threshold, binary_accuracy
from ._labels import check_labels, check_shift, label_moments


class LPCResult(NamedTuple):
    """What the labels-perturbed classifier does on a fresh point.

    Attributes
    ----------
    mean, variance : float or ndarray
        Mean and variance of the true label times the score.
    accuracy : float or ndarray
        Probability that the sign of the score is the true label.
    risk : float or ndarray
        Mean squared difference of the score and the true label.
    """

    mean: FloatOrArray
    variance: FloatOrArray
    accuracy: FloatOrArray
    risk: FloatOrArray


class InterceptRidgeResult(NamedTuple):
    """What a ridge with intercept does on a fresh point.

    Attributes
    ----------
    score_means : ndarray of shape (..., 2)
        Mean score of the negative and of the positive class.
    variance : float or ndarray
        Variance of the score within a class, the same in both.
    threshold : float or ndarray
        The best threshold of the score.
    accuracy : float or ndarray
        Clean accuracy at this threshold.
    """

    score_means: FloatArray
    variance: FloatOrArray
    threshold: FloatOrArray
    accuracy: FloatOrArray


def lpc(
    aspect_ratio: ArrayLike,
    alpha: ArrayLike,
    mean_norm: ArrayLike,
    *,
    prior: ArrayLike = 0.5,
    noise_rates: Pair = (0.0, 0.0),
    perturbation: Pair | None = None,
    shift: ArrayLike | None = None,
) -> LPCResult:
    r"""Return the performance of a ridge without intercept on perturbed noisy labels.

    All arguments broadcast against one another.

    Parameters
    ----------
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.
    alpha : array-like
        Penalty :math:`\gamma` per sample, in units of the noise variance (scikit-learn's
        `Ridge(alpha=n * alpha)`), from 0 to `inf`. At 0 it is the limit from above: the minimum
        norm interpolator for :math:`\eta > 1`, and an infinite variance at :math:`\eta = 1`. At
        `inf` the score is the limit of `alpha` times the score, so that mean, variance and risk
        jump there; the accuracy does not.
    mean_norm : array-like
        Norm :math:`\|\mu\|` of the class means :math:`\pm\mu`, in noise standard deviations.
    prior : array-like, default=0.5
        Probability :math:`\pi_+` of the positive class, in (0, 1).
    noise_rates : pair of array-like, default=(0.0, 0.0)
        :math:`(\epsilon_-, \epsilon_+)` = `(P(observed + | true -), P(observed - | true +))`: a
        tuple or list of two array-likes, or an ndarray of shape (..., 2). Each in [0, 1), with
        sum below 1.
    perturbation : pair of array-like, optional
        Noise-aware weights :math:`(\rho_-, \rho_+)` with sum below 1, given as `noise_rates` is;
        (0, 0), the plain labels, by default.
    shift : array-like, optional
        Instead of `perturbation`: the targets are observed label + shift, labels coded -1/+1.

    Returns
    -------
    mean, variance : float or ndarray
        Mean m and variance v of the true label times the score of a fresh point; the product is
        Gaussian.
    accuracy : float or ndarray
        :math:`\Phi(m/\sqrt v)`, below 1/2 where the classifier is turned over.
    risk : float or ndarray
        Mean squared difference of the score and the true label, :math:`v + (1-m)^2`.

    Raises
    ------
    ValueError
        If a number is out of range, both or ill-shaped perturbations are given, or the shapes do
        not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    optimal_shift : The best shift.
    intercept_ridge : The same with an intercept and the best threshold.
    gaussian_mixture_ridge : Any means, covariances and number of classes.

    Notes
    -----
    Model: n samples :math:`x = y\mu + z` with :math:`z \sim N(0, I_p)` and the centre known to be
    0; p and n grow together. The classifier minimises the squared loss to targets
    :math:`\lambda_+ = (1-\rho_-+\rho_+)/(1-\rho_+-\rho_-)` for an observed +1 and
    :math:`-\lambda_- = -(1-\rho_++\rho_-)/(1-\rho_+-\rho_-)` for an observed -1. They are
    :math:`(\tilde y + d)/(1-\rho_+-\rho_-)`, :math:`d = \rho_+-\rho_-`: only the shift d matters
    for the accuracy. With :math:`s = E[yt]`, :math:`T_2 = E[t^2]`,

    .. math::

        u &= \tfrac12\bigl(1+\gamma+\eta+\sqrt{(1-\eta)^2+\gamma^2+2\gamma(1+\eta)}\bigr), \quad
        h = 1-\eta/u^2, \\
        m &= \frac{s\|\mu\|^2}{\|\mu\|^2+u}, \quad
        v = \frac1h\Bigl[\frac{s^2\|\mu\|^2}{(\|\mu\|^2+u)^2}
            + \frac{\eta}{u^2}\bigl(T_2-s^2+(s-m)^2\bigr)\Bigr].

    At the optimal shift the accuracy increases with :math:`\gamma`, up to
    :math:`\Phi\bigl(r\|\mu\|^2/\sqrt{r^2\|\mu\|^2+\eta}\bigr)` with
    :math:`r^2 = s^2/T_2`. The variance diverges at :math:`\eta=1, \gamma=0`.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import lpc, optimal_shift
    >>> naive = lpc(0.2, 1.0, 1.5, prior=0.7, noise_rates=(0.3, 0.4))
    >>> shift = optimal_shift(0.7, (0.3, 0.4))
    >>> best = lpc(0.2, [1.0, float("inf")], 1.5, prior=0.7, noise_rates=(0.3, 0.4), shift=shift)
    >>> round(naive.accuracy, 6)
    0.71981
    >>> best.accuracy.round(6)
    array([0.827434, 0.897742])
    """
    offset, factor = _targets(perturbation, shift)
    prior, negative, positive = check_labels(prior, noise_rates)
    eta, gamma, norm, pi, neg, pos, d, factor = broadcast(
        aspect_ratio=check_aspect_ratio(aspect_ratio),
        alpha=check_alpha(alpha),
        mean_norm=check_mean_norm(mean_norm),
        prior=prior,
        rate_negative=negative,
        rate_positive=positive,
        shift=offset,
        perturbation=factor,
    )
    s, _, unexplained = label_moments(pi, neg, pos, d)
    mean, variance = scaled_moments(eta, gamma, norm**2, s, unexplained)
    with np.errstate(divide="ignore"):
        accuracy = ndtr(mean / np.sqrt(variance))
    scale = np.where(np.isfinite(gamma), isotropic_scale(eta, gamma).scale, 1.0) * factor
    mean, variance = mean / scale, variance / scale / scale
    return LPCResult(
        unwrap(mean), unwrap(variance), unwrap(accuracy), unwrap(variance + (1 - mean) ** 2)
    )


def scaled_moments(
    eta: FloatArray, gamma: FloatArray, signal: FloatArray, s: FloatArray, unexplained: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the mean and the variance of u times the score, which alpha = inf leaves finite."""
    u, h = isotropic_scale(eta, gamma)
    left = 1 / (1 + signal / u)
    with np.errstate(divide="ignore"):
        variance = ((s * left) ** 2 * signal + eta * (unexplained + (s * left) ** 2)) / h
    return s * signal * left, variance


def _targets(perturbation: Any, shift: Any) -> tuple[FloatArray, FloatArray]:
    """Return the shift of the targets and what they are divided by."""
    if shift is not None:
        if perturbation is not None:
            raise ValueError(
                f"perturbation={perturbation!r} and shift={shift!r} were both given. Give one: "
                "the shift is perturbation[1] - perturbation[0]."
            )
        return check_shift(shift), np.ones(())
    low, high = as_pair("perturbation", (0.0, 0.0) if perturbation is None else perturbation)
    remedy = "Give finite weights, or shift=."
    negative, positive = broadcast(
        **{
            "perturbation[0]": finite_floats("perturbation[0]", low, remedy),
            "perturbation[1]": finite_floats("perturbation[1]", high, remedy),
        }
    )
    factor = np.asarray(1 - negative - positive)
    if (factor <= 0).any():
        pair = (float(negative[factor <= 0].flat[0]), float(positive[factor <= 0].flat[0]))
        raise ValueError(
            f"perturbation must sum to less than 1, got {pair}: at 1 the targets are infinite, "
            "above it the classifier is turned over. Give shift=perturbation[1] - "
            "perturbation[0], or take optimal_perturbation(..., rho_negative=None)."
        )
    return np.asarray(positive - negative), factor


def intercept_ridge(
    aspect_ratio: ArrayLike,
    alpha: ArrayLike,
    mean_norm: ArrayLike,
    *,
    prior: ArrayLike = 0.5,
    noise_rates: Pair = (0.0, 0.0),
) -> InterceptRidgeResult:
    r"""Return the performance of an isotropic ridge with intercept on noisy labels.

    All arguments broadcast against one another.

    Parameters
    ----------
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.
    alpha : array-like
        Penalty :math:`\gamma` per sample, in units of the noise variance, from 0 to `inf`, as in
        `lpc`. At `inf` the score is the mean label plus the limit of `alpha` times the rest.
    mean_norm : array-like
        Norm :math:`\|\mu\|` of half the difference of the class means, in noise standard
        deviations; their centre is free.
    prior : array-like, default=0.5
        Probability :math:`\pi_+` of the positive class, in (0, 1).
    noise_rates : pair of array-like, default=(0.0, 0.0)
        :math:`(\epsilon_-, \epsilon_+)` = `(P(observed + | true -), P(observed - | true +))`: a
        tuple or list of two array-likes, or an ndarray of shape (..., 2).

    Returns
    -------
    score_means : ndarray of shape (..., 2)
        Mean score of the negative and of the positive class, for labels coded -1/+1.
    variance : float or ndarray
        Variance of the score within each class.
    threshold : float or ndarray
        The best threshold; infinite where the majority class is the best guess.
    accuracy : float or ndarray
        Clean accuracy at this threshold.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    lpc : Without an intercept, the centre being known.
    gaussian_mixture_ridge : Any means, covariances and number of classes.

    Notes
    -----
    With an intercept no shift of the targets changes the direction: the threshold is the only
    parameter that depends on the noise. With :math:`P = \pi_+\pi_-`, u and h as in `lpc`,

    .. math::

        k &= \frac{2(1-\epsilon_+-\epsilon_-)P}{1+4P\|\mu\|^2/u}, \quad
        N = 4[\pi_+\epsilon_+(1-\epsilon_+)+\pi_-\epsilon_-(1-\epsilon_-)] + k^2/P, \\
        M_+ - M_- &= 4k\|\mu\|^2/u, \quad \pi_+M_++\pi_-M_- = E[\tilde y], \quad
        v = \frac{4k^2\|\mu\|^2 + \eta N}{u^2 h}.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import intercept_ridge
    >>> result = intercept_ridge(0.25, 1.0, 1.7, prior=0.7, noise_rates=(0.3, 0.4))
    >>> result.score_means.round(6)
    array([-0.203576,  0.115818])
    >>> round(result.accuracy, 6)
    0.777713
    """
    prior, negative, positive = check_labels(prior, noise_rates)
    eta, gamma, norm, pi, neg, pos = broadcast(
        aspect_ratio=check_aspect_ratio(aspect_ratio),
        alpha=check_alpha(alpha),
        mean_norm=check_mean_norm(mean_norm),
        prior=prior,
        rate_negative=negative,
        rate_positive=positive,
    )
    signal, product = norm**2, pi * (1 - pi)
    u, h = isotropic_scale(eta, gamma)
    k = 2 * (1 - neg - pos) * product / (1 + 4 * product * signal / u)
    power = 4 * (pi * pos * (1 - pos) + (1 - pi) * neg * (1 - neg)) + k**2 / product
    scale = np.where(np.isfinite(gamma), u, 1.0)
    centre = pi * (1 - 2 * pos) - (1 - pi) * (1 - 2 * neg)
    with np.errstate(divide="ignore"):
        variance = (4 * k**2 * signal + eta * power) / h
    # Threshold and accuracy come from scores less their centre times the scale: large penalties
    # make scores so nearly equal that their difference, or their variance, is rounded away.
    shift = (4 * k * signal)[..., None] * np.stack([-pi, 1 - pi], axis=-1)
    bounded = np.isfinite(variance)
    spread = np.where(bounded, variance, 1.0)
    spread = np.stack([spread, spread], axis=-1)
    seen = np.where(bounded[..., None], shift, 0.0)
    cut = best_threshold(seen, spread, pi)
    accuracy = binary_accuracy(seen, spread, pi, cut)
    means = centre[..., None] + shift / scale[..., None]
    return InterceptRidgeResult(
        means, unwrap(variance / scale / scale), unwrap(centre + cut / scale), accuracy
    )


def check_aspect_ratio(aspect_ratio: Any) -> FloatArray:
    """Check p/n: positive and finite."""
    return in_range(
        "aspect_ratio", aspect_ratio, 0.0, np.inf, "neither", "It is n_features / n_samples."
    )


def check_mean_norm(mean_norm: Any) -> FloatArray:
    """Check the norm of the class means: not negative, and finite once squared."""
    remedy = "It is the norm of half the difference of the class means over the noise sd."
    return in_range("mean_norm", mean_norm, 0.0, 1e75, "both", remedy)


def check_alpha(alpha: Any) -> FloatArray:
    """Check a penalty: from 0 to inf."""
    return in_range("alpha", alpha, 0.0, np.inf, "both", "It is a ridge penalty.")
