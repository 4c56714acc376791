"""Diversity of a recursively trained model, generation by generation, and its half-life."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._checks import Scheme, check_generations, check_second_moment, whole_numbers
from ._schemes import Mix, Variance, best_weight, check_mix, variance

_LAST_GENERATION = 2.0**52
"""Generation up to which a half-life is searched: beyond, floats skip whole numbers."""


def _at(
    scheme: str,
    generation: ArrayLike,
    n_synthetic: ArrayLike,
    n_real: ArrayLike | None,
    window: int | None,
    real_weight: ArrayLike | str | None,
    observed: bool,
    **others: FloatArray,
) -> tuple[Variance, tuple[FloatArray, ...]]:
    """Return the variance and the other arrays, all broadcast together."""
    m = check_generations(generation, infinite=True)
    name, mix = check_mix(scheme, n_synthetic, n_real, window, real_weight)
    arrays = broadcast(
        generation=m, n_synthetic=mix.n, n_real=mix.real, real_weight=mix.weight, **others
    )
    mix = Mix(arrays[1], arrays[2], arrays[3], mix.window)
    return variance(name, arrays[0], mix, observed=observed), arrays[4:]


def variance_factor(
    scheme: Scheme,
    generation: ArrayLike,
    n_synthetic: ArrayLike,
    n_real: ArrayLike | None = None,
    *,
    window: int | None = None,
    real_weight: ArrayLike | str | None = None,
    observed: bool = False,
) -> FloatOrArray:
    r"""Return the variance of a token's probability, in units of :math:`p_i(1-p_i)`.

    Parameters
    ----------
    scheme : {"full", "partial", "fresh", "accumulate", "random", "window"}
        What generation m is trained on, see `diversity`.
    generation : int or array-like of shape (...)
        Number m of the model; 0 is the truth, `numpy.inf` the limit.
    n_synthetic : int or array-like of shape (...)
        Synthetic tokens per generation.
    n_real : int or array-like of shape (...), default=None
        Real tokens, where the scheme has any.
    window : int, default=None
        Number of models, under "window".
    real_weight : "pooled", "optimal", float or array-like, default=None
        Weight of the real tokens under "partial" and "fresh".
    observed : bool, default=False
        Whether generation 0 is an observed corpus instead of the truth.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`v_m` in [0, 1], with :math:`\mathrm{Var}\,p_i^{(m)} = v_m p_i(1-p_i)`,
        :math:`E\|p^{(m)}-p\|_2^2 = v_m(1-S_0)` and :math:`H_m = (1-v_m)(1-S_0)`.

    Raises
    ------
    ValueError
        If an argument is out of range, missing, or not used by the scheme.

    See Also
    --------
    diversity : What is left, and the formulas.

    Examples
    --------
    >>> from skrmt.theory.collapse import variance_factor
    >>> round(variance_factor("fresh", 40, 100, 100), 8)
    0.00664452
    """
    result, _ = _at(scheme, generation, n_synthetic, n_real, window, real_weight, observed)
    return unwrap(result.lost)


def diversity(
    scheme: Scheme,
    generation: ArrayLike,
    s0: ArrayLike,
    n_synthetic: ArrayLike,
    n_real: ArrayLike | None = None,
    *,
    window: int | None = None,
    real_weight: ArrayLike | str | None = None,
    observed: bool = False,
) -> FloatOrArray:
    r"""Return the expected diversity of a model trained on the output of earlier ones.

    Parameters
    ----------
    scheme : {"full", "partial", "fresh", "accumulate", "random", "window"}
        What generation m is trained on: "full", n tokens of the last model; "partial", the same N
        real tokens each time and n of the last model; "fresh", N new real tokens and n of the last
        model; "accumulate", the N real tokens and n from every earlier model; "random", n tokens,
        each from an earlier model drawn uniformly, the truth among them; "window", n/K tokens from
        each of the last K models, the truth among them at first.
    generation : int or array-like of shape (...)
        Number m of the model: 0 is the truth, 1 the first fitted model, `numpy.inf` the limit.
    s0 : float or array-like of shape (...)
        :math:`S_0 = \sum_i p_i^2` of the truth, in (0, 1].
    n_synthetic : int or array-like of shape (...)
        Number n of synthetic tokens per generation (per model for "accumulate").
    n_real : int or array-like of shape (...), default=None
        Number N of real tokens; needed by "partial", "fresh" and "accumulate" only.
    window : int, default=None
        Number K of models; needed by "window" only, a divisor of n.
    real_weight : "pooled", "optimal", float or array-like, default=None
        Weight w of the real tokens in "partial" and "fresh". None and "pooled" weigh all tokens
        equally, w = N/(N+n); "optimal" is the best in the limit, see `optimal_real_weight` (1 for
        "partial", where synthetic tokens only add noise).
    observed : bool, default=False
        Whether generation 0 is an observed corpus, with S_0 its sum of squared frequencies, instead
        of the truth. It then is the real data of "partial" and "accumulate", and new real tokens of
        "fresh" are drawn from it.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`H_m = 1 - E\sum_i (p_i^{(m)})^2`, the probability that two tokens differ.

    Raises
    ------
    ValueError
        If an argument is out of range, missing, or not used by the scheme.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    half_life : When half of it is gone.
    variance_factor : What is lost, to full relative precision.

    Notes
    -----
    No scheme has a bias, :math:`E p^{(m)} = p`, so that :math:`H_m = (1-v_m)(1-S_0)` with v the
    variance factor. Full: :math:`1-v_m = (1-1/n)^m`. Partial, with :math:`\alpha = 1-w` and
    :math:`r = \alpha^2(1-1/n)`:

    .. math::

        1-v_m = (1-\tfrac1N)(1-\kappa_m), \qquad \kappa_m = \frac{\alpha^2}{n}\frac{1-r^{m-1}}{1-r}

    Fresh: :math:`v_1 = 1/N`, :math:`v_{m+1} = w^2/N + (1-w)^2[1/n+(1-1/n)v_m]`. Accumulate:
    :math:`1-v_m = (1-\frac1N)\prod_{t=1}^{m-1}(1-\frac{n}{(N+tn)^2})`. Random:
    :math:`1-v_m = \prod_{k=1}^m(1-\frac1{nk^2})`. Both products tend to positive limits: with all
    earlier data kept, part of the diversity stays. Window: a linear recursion for the cross
    moments of the models in it; it decays by :math:`\approx 4/(n(K+1)^2)` per generation, and
    after 40 K generations exactly geometrically to rounding.

    With an observed corpus q the factor 1 - 1/N is left out of "partial" and "accumulate", whose
    model after m generations is the one numbered m + 1 above, given q; "fresh" starts from
    :math:`v_0 = 0` with its recursion.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.
    Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and
    Synthetic Data, arXiv:2404.01413.

    Examples
    --------
    >>> from skrmt.theory.collapse import diversity
    >>> diversity("full", [0, 1, 60], 0.08, 30).round(4)
    array([0.92  , 0.8893, 0.1203])
    >>> round(diversity("accumulate", float("inf"), 0.08, 30, 30), 4)
    0.8704
    """
    square = check_second_moment(s0)
    result, (square,) = _at(
        scheme, generation, n_synthetic, n_real, window, real_weight, observed, s0=square
    )
    return unwrap(result.kept * (1 - square))


def _half_time(kept: Callable[[FloatArray], FloatArray], like: FloatArray) -> FloatArray:
    """Return where a decreasing sequence of shape `like` crosses half its start, or infinity."""
    start = kept(np.zeros_like(like))
    half = 0.5 * start
    low, high = np.zeros_like(like), np.ones_like(like)
    while ((kept(high) > half) & (high < _LAST_GENERATION)).any():
        above = (kept(high) > half) & (high < _LAST_GENERATION)
        low, high = np.where(above, high, low), np.where(above, 2 * high, high)
    while (high - low > 1).any():
        middle = np.floor(0.5 * (low + high))
        above = kept(middle) > half
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        upper, lower = np.log(kept(low)), np.log(kept(high))
        part = (upper - np.log(half)) / (upper - lower)
    part = np.where(np.isneginf(lower), 0.0, part)
    never = kept(np.full_like(like, np.inf)) >= half
    return np.where(start > 0, np.where(never, np.inf, low + part), 0.0)


def half_life(
    n_synthetic: ArrayLike,
    scheme: Scheme = "full",
    n_real: ArrayLike | None = None,
    *,
    window: int | None = None,
    real_weight: ArrayLike | str | None = None,
    observed: bool = False,
) -> FloatOrArray:
    r"""Return the number of generations after which half the diversity is gone.

    Parameters
    ----------
    n_synthetic : int or array-like of shape (...)
        Number n of synthetic tokens per generation.
    scheme : {"full", "partial", "fresh", "accumulate", "random", "window"}, default="full"
        What each generation is trained on, see `diversity`.
    n_real : int or array-like of shape (...), default=None
        Real tokens, where the scheme has any.
    window : int, default=None
        Number of models, under "window".
    real_weight : "pooled", "optimal", float or array-like, default=None
        Weight of the real tokens under "partial" and "fresh".
    observed : bool, default=False
        Whether generation 0 is an observed corpus instead of the truth.

    Returns
    -------
    float or ndarray of shape (...)
        Generations, not a whole number; `numpy.inf` where more than half always stays; 0 where a
        single generation leaves nothing (n = 1).

    Raises
    ------
    ValueError
        If an argument is out of range, missing, or not used by the scheme.

    See Also
    --------
    corpus_half_life : The same for many contexts together.

    Notes
    -----
    It does not depend on the truth. Full: :math:`\ln 2/(-\ln(1-1/n)) \approx 0.693\,n`. Window of
    K: about :math:`n((K+1)/2)^2\ln 2` from any late generation on, less from the truth on, because
    the first models have only n/K tokens from each of fewer than K models. Between the two
    generations on each side of one half the logarithm of the diversity is taken as linear.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import half_life
    >>> round(half_life(1000), 3), half_life(1000, "accumulate", 1000)
    (692.801, inf)
    >>> round(half_life(30, "window", window=3), 1)
    77.7
    """
    name, mix = check_mix(scheme, n_synthetic, n_real, window, real_weight)
    if name == "full":
        with np.errstate(divide="ignore"):
            return unwrap(-np.log(2) / np.log1p(-1 / mix.n))
    return unwrap(_half_time(lambda m: variance(name, m, mix, observed=observed).kept, mix.n))


def corpus_half_life(
    s0: ArrayLike,
    n_synthetic: ArrayLike,
    n_real: ArrayLike | None = None,
    *,
    scheme: Scheme = "full",
    share: ArrayLike | None = None,
    window: int | None = None,
    real_weight: ArrayLike | str | None = None,
    observed: bool = True,
) -> float:
    r"""Return the half-life of the mean diversity of many contexts.

    Parameters
    ----------
    s0 : array-like of shape (c,)
        Sum of squared frequencies of each context.
    n_synthetic : int or array-like of shape (c,)
        Synthetic tokens per generation and context.
    n_real : int or array-like of shape (c,), default=None
        Real tokens of each context, where the scheme has any.
    scheme : {"full", "partial", "fresh", "accumulate", "random", "window"}, default="full"
        What each generation is trained on, see `diversity`.
    share : array-like of shape (c,), default=None
        Weights of the contexts, not negative; equal by default. They need not sum to 1.
    window : int, default=None
        Number of models, under "window".
    real_weight : "pooled", "optimal", float or array-like, default=None
        Weight of the real tokens under "partial" and "fresh".
    observed : bool, default=True
        Whether generation 0 is an observed corpus, as in `diversity`.

    Returns
    -------
    float
        Generations, between whole ones as in `half_life`; `numpy.inf` if more than half always
        stays; 0 if there is no diversity to lose.

    Raises
    ------
    ValueError
        If an argument is out of range, missing, or not used by the scheme, or no share is positive.

    Notes
    -----
    :math:`\sum_j \pi_j(1-S_{0,j})(1-v_{m,j})` is a sum of different exponentials: rare contexts die
    first, and the half-life is not that of the mean sample size.

    Examples
    --------
    >>> from skrmt.theory.collapse import corpus_half_life
    >>> round(corpus_half_life([0.5, 0.5], [10, 1000]), 2)
    32.64
    """
    name, mix = check_mix(scheme, n_synthetic, n_real, window, real_weight)
    square = check_second_moment(s0)
    weights = in_range(
        "share", np.ones(()) if share is None else share, 0.0, np.inf, "left", "It is a weight."
    )
    arrays = broadcast(
        n_synthetic=mix.n, n_real=mix.real, real_weight=mix.weight, s0=square, share=weights
    )
    if not weights.any():
        raise ValueError(f"share must have a positive entry, got {share!r}. Leave it out.")
    mix = Mix(arrays[0], arrays[1], arrays[2], mix.window)
    held = arrays[4] / weights.max() * (1 - arrays[3])

    def mean(m: FloatArray) -> FloatArray:
        each = np.broadcast_to(m, held.shape)
        return np.asarray((held * variance(name, each, mix, observed=observed).kept).sum())

    return float(_half_time(mean, np.zeros(())))


def optimal_real_weight(
    n_real: ArrayLike, n_synthetic: ArrayLike, *, exact: bool = False
) -> FloatOrArray:
    r"""Return the weight of fresh real tokens that keeps the limiting variance smallest.

    Parameters
    ----------
    n_real : int or array-like of shape (...)
        New real tokens N per generation.
    n_synthetic : int or array-like of shape (...)
        Synthetic tokens n per generation.
    exact : bool, default=False
        Keep the terms of order 1/n instead of only the ratio k = N/n.

    Returns
    -------
    float or ndarray of shape (...)
        The weight w of the real tokens, in (0, 1]; the synthetic ones get 1 - w.

    Raises
    ------
    ValueError
        If an argument is not a whole number of at least 1.

    Notes
    -----
    It minimises :math:`v_\infty = (w^2/N+(1-w)^2/n)/(1-(1-w)^2(1-1/n))`. Setting the derivative
    to 0 gives :math:`(1-\frac1n)w^2+(k+\frac1n)w-k = 0`; without 1/n,
    :math:`w = (\sqrt{k^2+4k}-k)/2`, the reciprocal golden ratio at n = N.

    References
    ----------
    Golden Ratio Weighting Prevents Model Collapse, arXiv:2502.18049.

    Examples
    --------
    >>> from skrmt.theory.collapse import optimal_real_weight
    >>> round(optimal_real_weight(100, 100), 4), round(optimal_real_weight(100, 400), 4)
    (0.618, 0.3904)
    """
    real, n = broadcast(
        n_real=whole_numbers("n_real", n_real, 1),
        n_synthetic=whole_numbers("n_synthetic", n_synthetic, 1),
    )
    return unwrap(best_weight(real, n, exact=exact))
