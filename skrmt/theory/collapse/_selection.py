"""Recursive training on sampled, verified, pruned or sharpened output: what is selected wins."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._checks import check_distribution, check_generations, whole_numbers


def selected_distribution(
    p: ArrayLike, acceptance: ArrayLike, generation: ArrayLike = 1
) -> FloatArray:
    r"""Return the distribution after generations of accepting tokens with given weights.

    Parameters
    ----------
    p : array-like of shape (s,)
        Distribution at the start.
    acceptance : array-like of shape (s,)
        Weights :math:`a_i \ge 0`, up to a factor: the chance that a verifier accepts the token,
        its reward weight, or 0 and 1 for pruning, top-k and nucleus sampling.
    generation : int or array-like of shape (...), default=1
        Number m of rounds; 0 is the start.

    Returns
    -------
    ndarray of shape (..., s)
        :math:`p_i^{(m)} \propto p_i a_i^m`.

    Raises
    ------
    ValueError
        If `p` is no distribution, a weight is negative or not finite, the shapes differ, or no
        token of positive probability is accepted.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    fixation_probability : The same with a finite number of samples, for two tokens.

    Notes
    -----
    The limit for many samples: one round maps p to :math:`p\circ a/(p\cdot a)`. Weighting the
    accepted tokens by :math:`1/a_i` when fitting undoes it, where :math:`a_i > 0`.

    References
    ----------
    Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification,
    arXiv:2406.07515.

    Examples
    --------
    >>> from skrmt.theory.collapse import selected_distribution
    >>> selected_distribution([0.5, 0.3, 0.2], [0.5, 1.0, 1.0], [0, 1, 10]).round(4)
    array([[0.5   , 0.3   , 0.2   ],
           [0.3333, 0.4   , 0.2667],
           [0.001 , 0.5994, 0.3996]])
    """
    distribution, m = check_distribution("p", p), check_generations(generation)
    weights = in_range("acceptance", acceptance, 0.0, np.inf, "left", "It is a weight.")
    if weights.shape != distribution.shape:
        raise ValueError(
            f"acceptance must have the shape of p, {distribution.shape}, got {weights.shape}. "
            "Give one weight per token."
        )
    if not (weights * np.sign(distribution)).any():
        raise ValueError(
            "acceptance must be positive for a token of positive probability, got none: nothing "
            "is left to train on. Accept a token that occurs."
        )
    with np.errstate(divide="ignore"):
        log_p, log_a = np.log(distribution), np.log(weights)
    rounds = m[..., None]
    power = np.where(rounds > 0, rounds, 1.0) * log_a
    return _normalised(log_p + np.where(rounds > 0, power, 0.0))


def _normalised(log_weights: FloatArray) -> FloatArray:
    """Return weights given by logarithms, over their sum along the last axis."""
    weights = np.exp(log_weights - log_weights.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), dtype=np.float64)


def tempered_distribution(
    p: ArrayLike, temperature: float, generation: ArrayLike = 1
) -> FloatArray:
    r"""Return the distribution after generations of sampling at a temperature.

    Parameters
    ----------
    p : array-like of shape (s,)
        Distribution at the start.
    temperature : float
        Temperature :math:`\tau > 0` of every generation; below 1 sharpens.
    generation : int or array-like of shape (...), default=1
        Number m of rounds; 0 is the start.

    Returns
    -------
    ndarray of shape (..., s)
        :math:`p_i^{(m)} \propto p_i^{\tau^{-m}}`; a token of probability 0 stays at 0.

    Raises
    ------
    ValueError
        If `p` is no distribution, or the temperature is not one positive number.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    The limit for many samples. Below 1 the exponent explodes and only the most probable tokens
    are left, in a number of generations that grows with the logarithm of the logarithm of their
    advantage; above 1 the tokens in the support become equally probable.

    Examples
    --------
    >>> from skrmt.theory.collapse import tempered_distribution
    >>> tempered_distribution([0.5, 0.3, 0.2], 0.7, [0, 1, 5]).round(4)
    array([[0.5   , 0.3   , 0.2   ],
           [0.5707, 0.2751, 0.1542],
           [0.9504, 0.0455, 0.0041]])
    """
    distribution, m = check_distribution("p", p), check_generations(generation)
    heat = in_range("temperature", temperature, 0.0, np.inf, "neither", "Sampling needs heat.")
    if heat.ndim:
        raise ValueError(
            f"temperature must be one number, got {temperature!r}. Call once for each."
        )
    top = distribution.max()
    with np.errstate(divide="ignore", over="ignore"):
        logs = np.log(distribution / top)
        exponent = np.exp(-m[..., None] * np.log(heat))
    known = (logs < 0) & np.isfinite(logs)
    powers = np.where(known, np.where(known, exponent, 1.0) * np.where(known, logs, 0.0), logs)
    return _normalised(powers)


def fixation_probability(p: ArrayLike, n: ArrayLike, advantage: ArrayLike = 0.0) -> FloatOrArray:
    r"""Return the probability that a favoured token is the only one left in the end.

    Parameters
    ----------
    p : float or array-like of shape (...)
        Probability of the token at the start.
    n : int or array-like of shape (...)
        Tokens per generation.
    advantage : float or array-like of shape (...), default=0.0
        Selection s > -1: in every generation the token counts 1 + s times the others.

    Returns
    -------
    float or ndarray of shape (...)
        Probability of fixation; `p` itself without selection.

    Raises
    ------
    ValueError
        If a probability is outside [0, 1], n < 1, or s is not above -1.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    selected_distribution : The deterministic part.

    Notes
    -----
    Kimura's diffusion limit, for small s, of drawing n tokens with the weights (1 + s, 1):

    .. math::

        \frac{1-e^{-2nsp}}{1-e^{-2ns}}

    Selection beats chance where :math:`2n|s| \gg 1`.

    References
    ----------
    On the probability of fixation of mutant genes in a population, Kimura, Genetics 47, 1962.

    Examples
    --------
    >>> from skrmt.theory.collapse import fixation_probability
    >>> round(fixation_probability(0.2, 100, 0.02), 4), round(fixation_probability(0.2, 100), 4)
    (0.5609, 0.2)
    """
    chance, size, gain = broadcast(
        p=in_range("p", p, 0.0, 1.0, remedy="It is a probability."),
        n=whole_numbers("n", n, 1),
        advantage=in_range(
            "advantage", advantage, -1.0, np.inf, "neither", "The token counts 1 + s times."
        ),
    )
    strength = 2 * size * np.abs(gain)
    neutral = strength < 1e-300
    strength = np.where(neutral, 1.0, strength)
    for_it = np.expm1(-strength * chance) / np.expm1(-strength)
    against = np.exp(-strength * (1 - chance)) * for_it
    return unwrap(np.where(neutral, chance, np.where(gain > 0, for_it, against)))
