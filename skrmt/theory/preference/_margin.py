"""How well a linear policy ranks fresh pairs."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatOrArray, broadcast, in_range
from ..noisy_labels._lpc import lpc
from ._population import check_noise_rate


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
        noise_rate=check_noise_rate(noise_rate),
    )
    return lpc(features / pairs, penalty, np.sqrt(strength), noise_rates=(noise, noise)).accuracy
