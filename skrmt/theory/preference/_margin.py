"""What a preference loss converges to, and how well a linear policy ranks fresh pairs."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ..noisy_labels._lpc import lpc
from ._names import canonical_loss


def population_margin(
    loss: str, p: ArrayLike, *, beta: ArrayLike, noise_rate: ArrayLike = 0.0
) -> FloatOrArray:
    r"""Return what a preference loss converges to at a preference probability.

    The numbers broadcast against one another.

    Parameters
    ----------
    loss : str
        Name of the loss, TRL's names included: dpo, cdpo, robust, hinge, ipo, exo, sigmoid_norm
        (margins), or sppo, bco, nca (log-ratios of single responses).
    p : array-like
        The *observed* probability, in [0, 1], that the first response is preferred to the second;
        for sppo, that the response is preferred to one of the reference; for bco and nca, that
        the response is the chosen one of its pair.
    beta : array-like
        Strength :math:`\beta` of the pull to the reference, positive.
    noise_rate : array-like, default=0.0
        The loss's own :math:`\epsilon`, in [0, 1/2), for cdpo, robust and exo (there above 0);
        the other losses have none and ignore it.

    Returns
    -------
    float or ndarray
        For the losses of a margin, :math:`d = \log\frac{\pi(y)}{\pi_{ref}(y)} -
        \log\frac{\pi(y')}{\pi_{ref}(y')}` at the minimum of the expected loss (per token for
        sigmoid_norm); for sppo, bco and nca, the log-ratio of the response itself. Infinite where
        the minimum is approached at infinity.

    Raises
    ------
    ValueError
        If the loss is not one of these, a number is out of range or shapes do not broadcast.
    TypeError
        If an argument is of the wrong type.

    See Also
    --------
    kl_regularized_optimum : The policy that a reward converges to.

    Notes
    -----
    The minimum over d of :math:`p\,\ell(d) + (1-p)\,\ell(-d)`:

    - dpo, sigmoid_norm: :math:`\operatorname{logit}(p)/\beta`;
    - cdpo: :math:`\operatorname{logit}((1-\epsilon)p + \epsilon(1-p))/\beta`;
    - robust: :math:`\operatorname{logit}\bigl((p-\epsilon)/(1-2\epsilon)\bigr)/\beta`, the margin
      of the probability before a fraction :math:`\epsilon` of the preferences was turned over;
      infinite for p outside :math:`(\epsilon, 1-\epsilon)`;
    - ipo: :math:`(p-1/2)/\beta`;
    - exo: :math:`(2p-1)\log((1-\epsilon)/\epsilon)/\beta`;
    - hinge: :math:`\operatorname{sign}(p-1/2)/\beta` (every margin up to :math:`1/\beta` on both
      sides of 0 is as good at p = 1/2; 0 is returned).

    Losses of single responses minimise over the log-ratio h, chosen and rejected responses having
    densities :math:`d_w, d_l` with :math:`p = d_w/(d_w+d_l)`: sppo gives :math:`(p-1/2)/\beta`, bco
    :math:`\operatorname{logit}(p)/\beta`, nca :math:`\log(2p)/\beta`, which is at most
    :math:`\log(2)/\beta`.

    References
    ----------
    Direct Preference Optimization, arXiv:2305.18290. A General Theoretical Paradigm to Understand
    Learning from Human Preferences, arXiv:2310.12036. Provably Robust DPO, arXiv:2403.00409.
    Towards Efficient Exact Optimization of Language Model Alignment, arXiv:2402.00856. Noise
    Contrastive Alignment, arXiv:2402.05369.

    Examples
    --------
    >>> from skrmt.theory.preference import population_margin
    >>> round(population_margin("dpo", 0.8, beta=0.5), 6)
    2.772589
    >>> population_margin("robust", [0.05, 0.8], beta=0.5, noise_rate=0.1).round(6)
    array([   -inf, 3.89182])
    """
    name = canonical_loss(loss, tuple(_SCALED_MARGINS))
    probability = in_range("p", p, 0.0, 1.0, remedy="It is the probability of a preference.")
    scale = in_range("beta", beta, 0.0, np.inf, "neither", "It weighs the reference.")
    noise = _check_noise_rate(noise_rate, positive=name == "exo")
    probability, scale, noise = broadcast(p=probability, beta=scale, noise_rate=noise)
    with np.errstate(divide="ignore"):
        return unwrap(_SCALED_MARGINS[name](probability, noise) / scale)


def _check_noise_rate(noise_rate: Any, positive: bool = False) -> FloatArray:
    """Check a fraction of preferences turned over, below 1/2."""
    remedy = "At 1/2 the preferences carry no information; above it, swap them."
    if positive:
        remedy = "This loss needs it above 0: its target is log((1 - noise) / noise)."
    return in_range("noise_rate", noise_rate, 0.0, 0.5, "neither" if positive else "left", remedy)


def _log_odds(favour: FloatArray, against: FloatArray, difference: FloatArray) -> FloatArray:
    """Return log(favour / against), exact near even odds through the exact difference."""
    near = 2 * np.abs(difference) < against
    ratio = np.where(near, difference, 0.0) / np.where(near, against, 1.0)
    return np.where(near, np.log1p(ratio), np.log(favour) - np.log(against))


def _logit(p: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the log-odds of p, whatever the noise."""
    return _log_odds(p, 1 - p, 2 * p - 1)


def _smoothed(p: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the log-odds of the probability blurred once more."""
    gap = 1 - 2 * noise
    return _log_odds(noise + gap * p, noise + gap * (1 - p), gap * (2 * p - 1))


def _cleaned(p: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the log-odds of the probability before the noise, infinite beyond its range."""
    favour, against = np.maximum(p - noise, 0.0), np.maximum(1 - noise - p, 0.0)
    return _log_odds(favour, against, favour - against)


def _centred(p: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the excess of the probability over an even one."""
    return p - 0.5


def _reverse(p: FloatArray, noise: FloatArray) -> FloatArray:
    """Return the mean of the two log-odds that smoothed labels name."""
    return (2 * p - 1) * (np.log1p(-noise) - np.log(noise))


_SCALED_MARGINS: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "dpo": _logit,
    "sigmoid_norm": _logit,
    "cdpo": _smoothed,
    "robust": _cleaned,
    "ipo": _centred,
    "exo": _reverse,
    "hinge": lambda p, noise: np.sign(p - 0.5),
    "sppo": _centred,
    "bco": _logit,
    "nca": lambda p, noise: np.log(2 * p),
}
"""beta times the minimiser, a function of the observed probability and of the loss's own noise."""


def pairwise_accuracy(
    signal: ArrayLike,
    n_pairs: ArrayLike,
    n_features: ArrayLike,
    *,
    alpha: ArrayLike,
    noise_rate: ArrayLike = 0.0,
) -> FloatOrArray:
    r"""Return the fraction of fresh pairs that a linear policy fitted by IPO ranks rightly.

    All arguments broadcast against one another.

    Parameters
    ----------
    signal : array-like
        Squared norm :math:`M = |\mu|^2` of the mean feature difference (preferred minus rejected),
        in units of the variance of the differences about it; not negative.
    n_pairs : array-like
        Number n of pairs, positive.
    n_features : array-like
        Number F of features, positive.
    alpha : array-like
        Penalty :math:`\gamma` per pair, in the units of the variance, from 0 to `inf` (limits from
        inside).
    noise_rate : array-like, default=0.0
        Fraction :math:`\epsilon` of the training pairs given in the wrong order, in [0, 1/2).

    Returns
    -------
    float or ndarray
        The probability that a fresh pair, its order free of noise, is ranked rightly.

    Raises
    ------
    ValueError
        If a number is out of range or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    skrmt.theory.noisy_labels.lpc : The classifier that this policy amounts to.

    Notes
    -----
    Differences are :math:`\Delta_i = s_i(\mu + g_i)`, :math:`g_i \sim N(0, I_F)`,
    :math:`s_i = -1` with probability :math:`\epsilon`, and
    :math:`w = (\Delta^\top\Delta/n + \gamma I)^{-1}\Delta^\top 1/n` (IPO's policy is w up to the
    factor :math:`1/(2\beta)`, which ranks equally). With
    :math:`\eta = F/n`, :math:`b = \gamma + \eta - 1`, :math:`s = 1-2\epsilon`,

    .. math::

        a &= \tfrac12\bigl(\sqrt{b^2+4\gamma} - b\bigr), \qquad a' = \frac{1-a}{2a+b}, \qquad
        D = a(1+M)+\gamma, \\
        m &= \frac{saM}{D}, \qquad m' = sM\,\frac{a'D - a(a'(1+M)+1)}{D^2}, \\
        v &= a'(1-sm) - asm', \qquad \text{accuracy} = \Phi(m/\sqrt v).

    It is the limit of large F and n; one fit differs from it by :math:`O(1/\sqrt F)`. It increases
    with :math:`\gamma` up to :math:`\Phi\bigl(sM/\sqrt{s^2M+\eta}\bigr)`, that of the mean
    difference. Correlated features need their mean whitened first, and then a finite penalty may
    win.

    References
    ----------
    A General Theoretical Paradigm to Understand Learning from Human Preferences, arXiv:2310.12036.
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.preference import pairwise_accuracy
    >>> round(pairwise_accuracy(2.0, 400, 100, alpha=0.1), 6)
    0.884017
    >>> pairwise_accuracy(2.0, 400, 200, alpha=[1.0, float("inf")], noise_rate=0.2).round(6)
    array([0.788513, 0.861355])
    """
    size = "It is a count of one or more."
    strength = in_range("signal", signal, 0.0, np.inf, "left", "It is a squared norm.")
    pairs = in_range("n_pairs", n_pairs, 0.0, np.inf, "neither", size)
    features = in_range("n_features", n_features, 0.0, np.inf, "neither", size)
    penalty = in_range("alpha", alpha, 0.0, np.inf, remedy="It is a ridge penalty per pair.")
    strength, pairs, features, penalty, noise = broadcast(
        signal=strength,
        n_pairs=pairs,
        n_features=features,
        alpha=penalty,
        noise_rate=_check_noise_rate(noise_rate),
    )
    return lpc(features / pairs, penalty, np.sqrt(strength), noise_rates=(noise, noise)).accuracy
