"""Fully synthetic training: when a model has collapsed, and which tokens survive until when."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from .._checks import FloatArray, FloatOrArray, unwrap
from ._ancestors import EXACT_SIZE, AncestorLaw, ancestor_laws, crossing_law, flow, path, visits
from ._checks import (
    check_choice,
    check_distribution,
    check_generations,
    distinct,
    one_whole_number,
    whole_numbers,
)

_BLOCK = 2**20
"""Numbers of a block: 8 MB."""


class CollapseBounds(NamedTuple):
    """Bounds of a probability or of an expected time.

    Attributes
    ----------
    lower : float or ndarray
        Lower bound.
    upper : float or ndarray
        Upper bound.
    """

    lower: FloatOrArray
    upper: FloatOrArray


def lost_given(x: FloatArray, law: AncestorLaw) -> FloatArray:
    """Return E[1 - (1 - x)^A] for a number A of ancestors."""
    result = np.empty(x.shape)
    rows = max(1, _BLOCK // len(law.ancestors))
    with np.errstate(divide="ignore"):
        logs = np.log1p(-x)
    for low in range(0, len(x), rows):
        part = logs[low : low + rows, None]
        result[low : low + rows] = -np.expm1(part * law.ancestors) @ law.weights
    return np.where(x == 1, 1.0, np.clip(result, 0.0, 1.0))


def _diverse(values: FloatArray, counts: FloatArray, law: AncestorLaw) -> float:
    """Return the probability that the ancestors do not all carry the same token."""
    with np.errstate(divide="ignore"):
        logs = np.log(values)
    power = np.zeros(len(law.ancestors))
    for low in range(0, len(values), max(1, _BLOCK // len(power))):
        part = slice(low, low + max(1, _BLOCK // len(power)))
        power += counts[part] @ np.exp(logs[part, None] * law.ancestors)
    return float(np.clip((1 - power) @ law.weights, 0.0, 1.0))


def _laws_at(n: int, m: FloatArray) -> dict[int, AncestorLaw]:
    """Return the law for each generation of 1 or more."""
    wanted = [int(g) for g in np.unique(m[m > 0])]
    return dict(zip(wanted, ancestor_laws(n, wanted), strict=True))


def _dirac(p: FloatArray) -> bool:
    """Return whether one token has all the mass."""
    return bool(np.count_nonzero(p) == 1)


def collapse_probability(p: ArrayLike, n: int, m: ArrayLike) -> FloatOrArray:
    r"""Return the probability that generation m knows a single token.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution (or the empirical one of a corpus; generations count from it).
    n : int
        Tokens per generation, each drawn from the last model.
    m : int or array-like of shape (...)
        Generation; 0 is the truth, 1 the first fitted model.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`\rho_m = P(p^{(m)} \text{ is a Dirac mass})`.

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, or m < 0.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    collapse_probability_bounds : Closed-form bounds.
    expected_collapse_time : When it happens.

    Notes
    -----
    The n tokens of generation m descend from A tokens of generation 1, A a Markov chain: a balls
    thrown into n cells hit b of them. Those A tokens are independent draws from p, so
    :math:`\rho_m = E\sum_i p_i^A`. Exact for n up to 1000. Beyond, A is followed by its mean and
    variance down to about 200 and by the exact chain from there: the absolute error is below
    :math:`10^{-6}`.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import collapse_probability
    >>> collapse_probability([0.5, 0.5], 40, [1, 10, 100]).round(4)
    array([0.    , 0.0217, 0.8854])
    """
    distribution, size = check_distribution("p", p), one_whole_number("n", n, 1)
    generations = check_generations(m, name="m")
    if _dirac(distribution):
        return unwrap(np.ones(generations.shape))
    values, _, counts = distinct(distribution)
    known = {g: 1 - _diverse(values, counts, law) for g, law in _laws_at(size, generations).items()}
    known[0] = 0.0
    return _gather(known, generations)


def _gather(known: dict[int, float], generations: FloatArray) -> FloatOrArray:
    """Return one number per generation in the shape of the generations."""
    flat = [known[int(g)] for g in generations.ravel()]
    return unwrap(np.array(flat).reshape(generations.shape))


def collapse_probability_bounds(
    p: ArrayLike, n: int, m: ArrayLike, *, sharp: bool = False
) -> CollapseBounds:
    r"""Return bounds of the probability that generation m knows a single token.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution.
    n : int
        Tokens per generation.
    m : int or array-like of shape (...)
        Generation; 0 is the truth.
    sharp : bool, default=False
        Replace the lower bound of the paper by one about twice as near.

    Returns
    -------
    CollapseBounds
        `lower` and `upper`, cut to [0, 1].

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, or m < 0.

    Notes
    -----
    With :math:`h = (1-S_0)(1-1/n)^m` and s tokens of positive probability,

    .. math::

        1 - nh \le \rho_m \le 1 - \frac{h}{1-1/s}

    because a model that is no Dirac mass has a diversity of at most 1 - 1/s and at least
    :math:`2(n-1)/n^2 \ge 1/n`; keeping the last but one gives the sharp lower bound
    :math:`1-\frac{n^2}{2(n-1)}h`. The truth, generation 0, need not be made of n tokens: its
    lower bound is 0.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import collapse_probability_bounds
    >>> lower, upper = collapse_probability_bounds([0.5, 0.5], 40, 200)
    >>> round(lower, 4), round(upper, 4)
    (0.8735, 0.9937)
    """
    distribution, size = check_distribution("p", p), one_whole_number("n", n, 1)
    generations = check_generations(m, name="m")
    if _dirac(distribution):
        one = unwrap(np.ones(generations.shape))
        return CollapseBounds(one, one)
    if size == 1:
        done = unwrap(np.where(generations > 0, 1.0, 0.0))
        return CollapseBounds(done, done)
    left = (1 - distribution @ distribution) * np.exp(generations * np.log1p(-1 / size))
    factor = size**2 / (2 * (size - 1)) if sharp else size
    lower = np.where(generations > 0, np.clip(1 - factor * left, 0.0, 1.0), 0.0)
    upper = np.clip(1 - left / (1 - 1 / np.count_nonzero(distribution)), 0.0, 1.0)
    return CollapseBounds(unwrap(lower), unwrap(upper))


def survival_probabilities(p: ArrayLike, n: int, m: ArrayLike) -> FloatArray:
    r"""Return the probability that each token is still known to generation m.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution (or the empirical one of a corpus; generations count from it).
    n : int
        Tokens per generation, each drawn from the last model.
    m : int or array-like of shape (...)
        Generation; 0 is the truth, 1 the first fitted model.

    Returns
    -------
    ndarray of shape (..., s)
        :math:`P(p_i^{(m)} > 0)`.

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, or m < 0.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    expected_support : Their sum.

    Notes
    -----
    A token is known if one of the A ancestors in generation 1 is one: :math:`1-E(1-p_i)^A`, see
    `collapse_probability` for A and the error. Late, only the :math:`p_i` are left: the limit is
    a Dirac mass at i with probability :math:`p_i`.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import survival_probabilities
    >>> survival_probabilities([0.9, 0.09, 0.01], 100, 10).round(3)
    array([1.   , 0.804, 0.161])
    """
    distribution, size = check_distribution("p", p), one_whole_number("n", n, 1)
    generations = check_generations(m, name="m")
    values, index, _ = distinct(distribution)
    known = {g: lost_given(values, law) for g, law in _laws_at(size, generations).items()}
    known[0] = (values > 0).astype(np.float64)
    flat = np.array([known[int(g)] for g in generations.ravel()])
    flat = flat.reshape(generations.size, len(values))[:, index]
    return flat.reshape(*generations.shape, len(distribution))


def expected_support(p: ArrayLike, n: int, m: ArrayLike) -> FloatOrArray:
    r"""Return the expected number of tokens that generation m knows.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution (or the empirical one of a corpus; generations count from it).
    n : int
        Tokens per generation, each drawn from the last model.
    m : int or array-like of shape (...)
        Generation; 0 is the truth, 1 the first fitted model.

    Returns
    -------
    float or ndarray of shape (...)
        Expected number of tokens of positive probability.

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, or m < 0.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    survival_probabilities : The terms of the sum, and the error for n above 1000.

    Notes
    -----
    The sum of the survival probabilities. Exact for n up to 1000, relative error below
    :math:`10^{-6}` beyond.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.collapse import expected_support
    >>> p = 1 / np.arange(1, 51)
    >>> expected_support(p / p.sum(), 30, [1, 5, 20, 60]).round(4)
    array([16.3481,  7.3042,  2.827 ,  1.3505])
    """
    distribution, size = check_distribution("p", p), one_whole_number("n", n, 1)
    generations = check_generations(m, name="m")
    values, _, counts = distinct(distribution)
    laws = _laws_at(size, generations)
    known = {g: float(lost_given(values, law) @ counts) for g, law in laws.items()}
    known[0] = float(np.count_nonzero(distribution))
    return _gather(known, generations)


def expected_collapse_time(
    p: ArrayLike, n: ArrayLike, method: Literal["exact", "diffusion"] = "exact"
) -> FloatOrArray:
    r"""Return the expected number of the first generation that knows a single token.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution (or the empirical one of a corpus; generations count from it).
    n : int or array-like of shape (...)
        Tokens per generation, each drawn from the last model.
    method : {"exact", "diffusion"}, default="exact"
        The expectation itself, or its limit for many tokens.

    Returns
    -------
    float or ndarray of shape (...)
        Generations, at least 1.

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, or the method is unknown.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    expected_collapse_time_bounds : Closed-form bounds.
    collapse_probability : Its distribution, and the law of the ancestors.

    Notes
    -----
    With :math:`g_b` the expected number of generations with b ancestors,

    .. math::

        E T = 1 + \sum_{b \ge 2} g_b\left(1-\sum_i p_i^b\right), \qquad
        E T \approx 1 - 2n\sum_i(1-p_i)\ln(1-p_i)

    The right is the diffusion limit: linear in n, 2n for a diffuse truth, and 2.4 to 3.5
    generations too long for n from 10 to 200. The left is exact for n up to 1000; beyond, many
    ancestors are followed by mean and variance, with a relative error below :math:`10^{-6}`.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import expected_collapse_time
    >>> round(expected_collapse_time([0.5, 0.5], 40), 4)
    53.7279
    >>> round(expected_collapse_time([0.5, 0.5], 40, "diffusion"), 3)
    56.452
    """
    check_choice("method", method, ("exact", "diffusion"))
    distribution, sizes = check_distribution("p", p), whole_numbers("n", n, 1)
    if _dirac(distribution):
        return unwrap(np.ones(sizes.shape))
    if method == "diffusion":
        return unwrap(1 - 2 * sizes * xlog1py(1 - distribution, -distribution).sum())
    values, _, counts = distinct(distribution)
    times = [_collapse_time(values, counts, int(size)) for size in sizes.ravel()]
    return unwrap(np.array(times).reshape(sizes.shape))


def _collapse_time(values: FloatArray, counts: FloatArray, n: int) -> float:
    """Return the expected collapse time for one sample size."""
    if n == 1:
        return 1.0
    time, law = 1.0, np.zeros(min(n, EXACT_SIZE) + 1)
    if n > EXACT_SIZE:
        generation, law = crossing_law(n)
        time += generation - 1 - _dirac_before(values.max(), n, generation)
    else:
        law[n] = 1.0
    spent = visits(n, law)
    numbers = np.arange(2, len(law), dtype=np.float64)
    return time + _diverse(values, counts, AncestorLaw(numbers, spent[2:] / spent[2:].sum())) * (
        float(spent[2:].sum())
    )


def _dirac_before(top: float, n: int, end: int) -> float:
    """Return the expected number of collapsed generations before `end`, ancestors being many."""
    large, log_top = path(n), np.log(top)
    count = min(len(large.means), end - 1)
    early = np.exp(large.means[:count] * log_top + large.variances[:count] * log_top**2 / 2).sum()
    if end - 1 <= count:
        return float(early)

    def chance(generation: FloatArray) -> NDArray[Any]:
        means = flow(n, large, generation)
        return np.asarray(np.exp(means * log_top + means / 3 * log_top**2 / 2))

    edges = np.geomspace(count + 1, end, 33)
    nodes, weights = np.polynomial.legendre.leggauss(12)
    middle, half = (edges[1:] + edges[:-1]) / 2, (edges[1:] - edges[:-1]) / 2
    points = middle[:, None] + half[:, None] * nodes
    integral = (chance(points.ravel()).reshape(points.shape) @ weights) @ half
    first, last = chance(np.array([count + 1.0, float(end)]))
    return float(early + integral + (first - last) / 2)


def expected_collapse_time_bounds(p: ArrayLike, n: ArrayLike) -> CollapseBounds:
    r"""Return bounds of the expected first generation that knows a single token.

    Parameters
    ----------
    p : array-like of shape (s,)
        True distribution.
    n : int or array-like of shape (...)
        Tokens per generation.

    Returns
    -------
    CollapseBounds
        `lower` and `upper`, in generations.

    Raises
    ------
    ValueError
        If `p` is no distribution or n < 1.

    See Also
    --------
    expected_collapse_time : The expectation, which is of order n.

    Notes
    -----
    With s tokens of positive probability,

    .. math::

        1 + \frac{(1-S_0)(n-1)}{1-1/s} \le E T \le 1 + (1-S_0)n(n-1)

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import expected_collapse_time_bounds
    >>> expected_collapse_time_bounds([0.5, 0.5], 40)
    CollapseBounds(lower=40.0, upper=781.0)
    """
    distribution, sizes = check_distribution("p", p), whole_numbers("n", n, 1)
    if _dirac(distribution):
        one = unwrap(np.ones(sizes.shape))
        return CollapseBounds(one, one)
    diverse = 1 - distribution @ distribution
    lower = 1 + diverse * (sizes - 1) / (1 - 1 / np.count_nonzero(distribution))
    return CollapseBounds(unwrap(lower), unwrap(1 + diverse * sizes * (sizes - 1)))
