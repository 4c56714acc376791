"""Expected entropy, distance or any sum over tokens of a model trained on its own output."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from scipy.special import xlogy
from scipy.stats import binom

from .._checks import FloatArray, FloatOrArray, in_range, unwrap
from ._ancestors import ancestor_laws
from ._checks import check_choice, check_distribution, check_generations, distinct, one_whole_number
from ._drift import binomial_kernel
from ._genealogy import lost_given
from ._grid import grid, transition
from ._schemes import log_keep, log_power

Functional: TypeAlias = (
    Literal["entropy", "l1", "simpson", "support"] | Callable[[FloatArray], ArrayLike]
)

KERNEL_SIZE = 1000
"""Tokens per generation up to which the matrix of all counts is used."""
_LIFETIMES = 45
"""Generations per token after which all is decided: (1 - 1/n)^(45 n) is less than rounding."""
_MOST_STEPS = 20_000
"""Sparse steps beyond which powers of the dense matrix take less work."""
_RARE_COUNT = 128.0
"""Expected count up to which tokens share a grid: it holds every count there, kinks included."""


def expected_functional(f: Functional, p: ArrayLike, n: int, m: ArrayLike) -> FloatOrArray:
    r"""Return the expectation of a sum over the tokens of generation m.

    Parameters
    ----------
    f : {"entropy", "l1", "simpson", "support"} or callable
        The summand: "entropy", :math:`-x\ln x` (nats); "l1", :math:`|x-p_i|`; "simpson",
        :math:`x^2`; "support", 1 for x > 0; or a function of an array of probabilities in [0, 1]
        that returns as many finite numbers.
    p : array-like of shape (s,)
        True distribution (or the empirical one of a corpus; generations count from it).
    n : int
        Tokens per generation, each drawn from the last model.
    m : int or array-like of shape (...)
        Generation; 0 is the truth, 1 the first fitted model.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`E\sum_i f(p_i^{(m)})`.

    Raises
    ------
    ValueError
        If `p` is no distribution, n < 1, m < 0, `f` is unknown or returns something else.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    token_expectation : The terms of the sum, for tokens of many contexts at once.
    diversity : 1 minus "simpson".

    Notes
    -----
    "simpson" has a closed form, "support" follows from the ancestors (see
    `survival_probabilities`). The others are exact for n up to 1000: the count of one token is
    a Markov chain with the rows Binomial(n, x/n), applied m - 1 times to f(y/n).

    Beyond, the same chain runs on a grid of a few hundred to two thousand counts, one for each
    more frequent token under "l1". The relative error is below :math:`10^{-5}` for "entropy",
    "l1" and other functions that are smooth but for the ends of [0, 1]; a callable with a kink or
    a jump inside is not for it.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.collapse import expected_functional
    >>> p = 1 / np.arange(1, 51)
    >>> expected_functional("entropy", p / p.sum(), 30, [1, 5, 20, 60]).round(4)
    array([2.5189, 1.7169, 0.7851, 0.1811])
    """
    distribution = check_distribution("p", p)
    values, _, counts = distinct(distribution)
    return unwrap(token_expectation(f, values, n, m) @ counts)


def token_expectation(f: Functional, x: ArrayLike, n: int, m: ArrayLike) -> FloatArray:
    r"""Return the expectation of a function of the probability of one token in generation m.

    Parameters
    ----------
    f : {"entropy", "l1", "simpson", "support"} or callable
        The function, see `expected_functional`; "support" is 1 for a positive probability.
    x : array-like of shape (k,)
        Probabilities of tokens at the start, in [0, 1]: for a context of n observations, counts
        over n. They need not sum to 1, so that one call serves many contexts of the same n.
    n : int
        Tokens per generation, each drawn from the last model.
    m : int or array-like of shape (...)
        Generation; 0 is the start.

    Returns
    -------
    ndarray of shape (..., k)
        :math:`E f(p_i^{(m)})` given :math:`p_i^{(0)} = x`.

    Raises
    ------
    ValueError
        If an entry of `x` is outside [0, 1], n < 1, m < 0, `f` is unknown or returns something
        else.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    expected_functional : The sum over the tokens of a distribution, and the method.

    Examples
    --------
    >>> from skrmt.theory.collapse import token_expectation
    >>> token_expectation("support", [0.1, 0.5], 10, [0, 1, 20]).round(4)
    array([[1.    , 1.    ],
           [0.6513, 0.999 ],
           [0.1296, 0.5812]])
    """
    chances = in_range("x", x, 0.0, 1.0, remedy="It holds probabilities.")
    if chances.ndim != 1:
        raise ValueError(f"x must have shape (k,), got {chances.shape}. Ravel it.")
    size, generations = one_whole_number("n", n, 1), check_generations(m, name="m")
    if not callable(f):
        check_choice("f", f, ("entropy", "l1", "simpson", "support"))
    values, index, _ = distinct(chances)
    wanted = sorted({int(g) for g in generations.ravel()})
    late = [g for g in wanted if g > 0]
    known = dict(zip(late, _expectations(f, values, size, late), strict=True))
    if len(late) < len(wanted):
        known[0] = np.zeros(len(values)) if f == "l1" else _columns(f, values, values)[:, 0]
    flat = np.array([known[int(g)] for g in generations.ravel()])
    flat = flat.reshape(generations.size, len(values))[:, index]
    return flat.reshape(*generations.shape, len(chances))


def _expectations(f: Functional, values: FloatArray, n: int, late: list[int]) -> list[FloatArray]:
    """Return the expectations for different tokens, in increasing generations of 1 or more."""
    if not late or not values.size:
        return [np.zeros(len(values)) for _ in late]
    if f == "simpson":
        lost = -np.expm1(log_power(np.array(late, dtype=float), log_keep(np.full(len(late), n))))
        return list(values**2 + np.multiply.outer(lost, values * (1 - values)))
    if f == "support":
        return [lost_given(values, law) for law in ancestor_laws(n, late)]
    if n <= KERNEL_SIZE:
        return _by_kernel(f, values, n, late)
    return _distances_by_grid(values, n, late) if f == "l1" else _by_grid(f, values, n, late)


def _columns(f: Functional, x: FloatArray, values: FloatArray) -> FloatArray:
    """Return f at the points x, in one column for all tokens or one per distinct probability."""
    if isinstance(f, str):
        if f == "entropy":
            return np.asarray(-xlogy(x, x)[:, None], dtype=np.float64)
        if f == "l1":
            return np.asarray(np.abs(x[:, None] - values), dtype=np.float64)
        return np.asarray(x[:, None] ** 2 if f == "simpson" else x[:, None] > 0, dtype=np.float64)
    result = np.asarray(f(x.copy()), dtype=np.float64)
    if result.shape != x.shape or not np.isfinite(result).all():
        raise ValueError(
            f"f must return finite numbers of the shape {x.shape} of its argument, got shape "
            f"{result.shape}{'' if np.isfinite(result).all() else ' with nan or inf'}. Write it "
            "for arrays, and give it a value at 0."
        )
    return result[:, None]


def _by_kernel(f: Functional, values: FloatArray, n: int, late: list[int]) -> list[FloatArray]:
    """Return the exact expectations."""
    x = np.arange(n + 1) / n
    start, kernel = binomial_kernel(n, values), binomial_kernel(n, x)
    columns = _columns(f, x, values)
    end = (1 - x)[:, None] * columns[0] + x[:, None] * columns[-1]
    found, at = [], 1
    for generation in late:
        forgotten = generation > _LIFETIMES * n
        columns = end if forgotten else _apply(kernel, columns, generation - at)
        at = generation
        single = columns.shape[1] == 1
        found.append((start @ columns)[:, 0] if single else (start * columns.T).sum(axis=1))
    return found


def _apply(kernel: FloatArray, columns: FloatArray, steps: int) -> FloatArray:
    """Apply a kernel many times, by squaring where that is less work."""
    doublings = steps.bit_length()
    if steps * columns.shape[1] <= (2 * len(kernel) * doublings):
        for _ in range(steps):
            columns = kernel @ columns
        return columns
    for bit in range(doublings):
        if steps >> bit & 1:
            columns = kernel @ columns
        if bit < doublings - 1:
            kernel = kernel @ kernel
    return columns


def _by_grid(f: Functional, values: FloatArray, n: int, late: list[int]) -> list[FloatArray]:
    """Return the expectations of one function of all tokens, for many tokens a generation."""
    nodes = grid(n)
    start, step = transition(n, nodes, n * values), transition(n, nodes, nodes)
    columns = _march(step, _columns(f, nodes / n, values), n, [g - 1 for g in late])
    return [(start @ column)[:, 0] for column in columns]


def _march(step: csr_array, column: FloatArray, n: int, times: list[int]) -> list[FloatArray]:
    """Return a column after increasing numbers of steps, by squaring where that is less work."""
    found, at = [], 0
    for time in times:
        forward = min(time, _LIFETIMES * n) - at
        if forward > _MOST_STEPS:
            column = _apply(step.toarray(), column, forward)
        else:
            for _ in range(forward):
                column = step @ column
        at += forward
        found.append(column)
    return found


def _distance(n: int, chance: FloatArray, value: FloatArray) -> FloatArray:
    """Return E|X/n - value| for X Binomial(n, chance)."""
    below = np.floor(n * value)
    lack = value * binom.cdf(below, n, chance) - chance * binom.cdf(below - 1, n - 1, chance)
    return np.asarray(2 * lack + chance - value, dtype=np.float64)


def _distances_by_grid(values: FloatArray, n: int, late: list[int]) -> list[FloatArray]:
    """Return the expected absolute distances, for many tokens a generation."""
    result = np.zeros((len(late), len(values)))
    inner = (values > 0) & (values < 1)
    rare = n * np.minimum(values, 1 - values) <= _RARE_COUNT
    frequent = np.flatnonzero(inner & ~rare)
    for chosen in (np.flatnonzero(inner & rare), *frequent[:, None]):
        if chosen.size:
            kink = None if rare[chosen[0]] else float(n * values[chosen[0]])
            result[:, chosen] = _token_distances(values[chosen], n, kink, late)
    return list(result)


def _token_distances(
    values: FloatArray, n: int, kink: float | None, generations: list[int]
) -> FloatArray:
    """Return the expected absolute distances of tokens that share a grid, by generation."""
    first = _distance(n, values, values)
    late = [g - 2 for g in generations if g > 1]
    result = np.tile(first, (len(generations), 1))
    if late:
        nodes = grid(n, kink)
        start, step = transition(n, nodes, n * values), transition(n, nodes, nodes)
        column = _distance(n, (nodes / n)[:, None], values)
        for row, after in enumerate(_march(step, column, n, late), len(generations) - len(late)):
            result[row] = (start * after.T).sum(axis=1)
    return result
