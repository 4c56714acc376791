"""Partially synthetic training: how far it drifts from the real corpus, and what is safe."""

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln, xlog1py, xlogy

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._checks import (
    check_choice,
    check_distribution,
    check_generations,
    distinct,
    one_whole_number,
    whole_numbers,
)
from ._schemes import check_mix, kappa

# Constants of the bound of the paper, see `drift`.
_C0 = float(np.e**3 / (2 * np.pi))
_C1 = float(6 * np.e / np.pi**1.5)
_MAX_WORK = 3e10
"""Operations of about a minute, beyond which the bound is the better answer."""


def binomial_kernel(n: int, chance: FloatArray) -> FloatArray:
    """Return binomial probabilities, one row per success probability."""
    y = np.arange(n + 1)
    log_choose = gammaln(n + 1) - gammaln(y + 1) - gammaln(n - y + 1)
    logs = xlogy(y, chance[:, None])
    logs += xlog1py(n - y, -chance[:, None])
    logs += log_choose
    return np.asarray(np.exp(logs, out=logs), dtype=np.float64)


def spread_sum(q: FloatArray) -> float:
    r"""Return :math:`\sum_i\sqrt{q_i(1-q_i)}`."""
    return float(np.sqrt(q * (1 - q)).sum())


def drift(
    q: ArrayLike,
    n_synthetic: int,
    n_real: int,
    generation: ArrayLike = np.inf,
    *,
    norm: Literal["l2", "l1", "l1_bound", "paper"] = "l2",
    real_weight: float | str | None = None,
) -> FloatOrArray:
    r"""Return how far training on real and own tokens drifts from the model of the real ones.

    Every generation is trained on the same N real tokens and n new ones of the last model.

    Parameters
    ----------
    q : array-like of shape (s,)
        First model: the empirical distribution of the N real tokens.
    n_synthetic : int
        Synthetic tokens n per generation.
    n_real : int
        Real tokens N.
    generation : int or array-like of shape (...), default=inf
        Number m of the model; 1 is the model of the real tokens alone (0 counts as 1), `numpy.inf`
        the limit.
    norm : {"l2", "l1", "l1_bound", "paper"}, default="l2"
        "l2", the expected squared Euclidean distance; "l1", the expected sum of absolute
        differences, exactly; "l1_bound", an upper bound of it; "paper", the bound of the paper,
        the same for all m and very loose.
    real_weight : "pooled", "optimal" or float, default=None
        Weight of the real tokens, N/(N+n) by default; see `diversity`.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`E[\|p^{(m)}-p^{(1)}\| \mid p^{(1)}=q]`, squared for "l2".

    Raises
    ------
    ValueError
        If an argument is out of range, or the exact "l1" is asked for a size at which it takes
        hours.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    safe_synthetic_size : How many synthetic tokens keep it below a tolerance.

    Notes
    -----
    With :math:`\alpha = n/(N+n)` (or 1 minus the real weight) and :math:`r = \alpha^2(1-1/n)`,
    each token has variance :math:`\kappa_m q_i(1-q_i)`:

    .. math::

        \kappa_m = \frac{\alpha^2}n\frac{1-r^{m-1}}{1-r}, \qquad
        \kappa_\infty = \frac{n}{N^2+2Nn+n} < \frac1{2N}

    l2: :math:`\kappa_m(1-\sum q_i^2)`. l1 bound: :math:`\sqrt{\kappa_m}\sum\sqrt{q_i(1-q_i)}`.
    l1: for each q, the Markov chain of the count x with the rows
    Binomial(n, :math:`(1-\alpha)q+\alpha x/n`). Paper:
    :math:`\frac1N\sqrt{\pi n/2}\,G_n(s)`, s the number of tokens in `q`, exponential in n; it is
    the bound for the pooled weight.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import drift
    >>> q = [0.5, 0.3, 0.2]
    >>> round(drift(q, 100, 100), 6), round(drift(q, 100, 100, norm="l1_bound"), 6)
    (0.00206, 0.078289)
    >>> round(drift(q, 100, 100, norm="l1"), 6)
    0.062347
    """
    check_choice("norm", norm, ("l2", "l1", "l1_bound", "paper"))
    distribution = check_distribution("q", q)
    n, real = one_whole_number("n_synthetic", n_synthetic, 1), one_whole_number("n_real", n_real, 1)
    m = check_generations(generation, infinite=True)
    _, mix = check_mix("partial", n, real, None, real_weight)
    if mix.weight.ndim:
        raise ValueError(
            f"real_weight must be one number, got {real_weight!r}. Call once for each."
        )
    share = float(1 - mix.weight) if real_weight is not None else n / (real + n)
    factor = kappa(m - 1, mix.n, np.asarray(share))
    if norm == "paper":
        if not (real_weight is None or real_weight == "pooled"):
            raise ValueError(
                f"real_weight must be None or 'pooled' with norm='paper', got {real_weight!r}. "
                "Use norm='l1_bound'."
            )
        with np.errstate(over="ignore"):
            bound = np.exp(_log_paper_bound(n, real, int(np.count_nonzero(distribution))))
        return unwrap(np.where(m > 1, bound, 0.0))
    if norm == "l1":
        return _l1_drift(distribution, n, share, m)
    if norm == "l2":
        return unwrap(factor * (1 - distribution @ distribution))
    return unwrap(np.sqrt(factor) * spread_sum(distribution))


def _log_paper_bound(n: int, real: int, size: int) -> float:
    """Return the logarithm of the bound of the paper."""
    log_g = size * np.log(2) + np.log1p(-2 * 0.5**size) if size > 1 else -np.inf
    if _C0 * n / np.e + 2 <= size:
        log_g = np.log(_C1 * size) + _C0 * n / (2 * np.e)
    elif _C0 * n / 4 + 2 <= size:
        log_g = np.log(_C1 * size) + size / 2 * np.log(_C0 * n / size)
    return float(log_g + 0.5 * np.log(np.pi * n / 2) - np.log(real))


def _l1_drift(q: FloatArray, n: int, share: float, m: FloatArray) -> FloatOrArray:
    """Return the exact expected absolute drift for every generation."""
    steps = np.maximum(m - 2, -1)
    last = _stationary_steps(share)
    steps = np.minimum(steps, last).astype(np.int64)
    values, _, counts = distinct(q)
    inner = (values > 0) & (values < 1)
    values, counts = values[inner], counts[inner]
    longest = max(int(steps.max(initial=0)), 0)
    if share == 0 or not values.size:
        return unwrap(np.zeros(m.shape))
    work = float(len(values)) * (longest + 20.0) * (n + 1.0) ** 2
    if work > _MAX_WORK:
        raise ValueError(
            f"norm='l1' is exact and takes about {work:.0e} operations for n_synthetic={n}, "
            f"{len(values)} different probabilities and {longest + 2} generations, too many. Use "
            "norm='l1_bound', or fewer generations."
        )
    total = np.zeros(longest + 1)
    for value, count in zip(values, counts, strict=True):
        total += count * _token_drift(float(value), n, share, longest)
    return unwrap(np.where(steps < 0, 0.0, total[np.maximum(steps, 0)]))


def _stationary_steps(share: float) -> int:
    """Return the number of generations after which the chain has forgotten its start."""
    if share <= 0:
        return 0
    return int(np.ceil(38 / -np.log(share))) + 1


def _token_drift(value: float, n: int, share: float, steps: int) -> FloatArray:
    """Return the expected absolute drift of one token after 0, ..., `steps` applications."""
    x = np.arange(n + 1) / n
    row = binomial_kernel(n, np.array([value]))[0]
    kernel = binomial_kernel(n, (1 - share) * value + share * x) if steps else row[:0]
    distance = share * np.abs(x - value)
    found = [row @ distance]
    for _ in range(steps):
        row = row @ kernel
        found.append(row @ distance)
    return np.array(found)


def safe_synthetic_size(
    n_real: ArrayLike,
    tolerance: ArrayLike,
    criterion: Literal["variance", "l1", "paper"] = "variance",
    *,
    p: ArrayLike | None = None,
    support: int | None = None,
) -> FloatOrArray:
    r"""Return the number of synthetic tokens per generation that keeps the drift below a tolerance.

    Every generation is trained on the same N real tokens and n new ones of the last model.

    Parameters
    ----------
    n_real : int or array-like of shape (...)
        Real tokens N.
    tolerance : float or array-like of shape (...)
        "variance": the variance that may be added, in units of that of the real corpus (0.1 for
        10 %). "l1" and "paper": the expected sum of absolute differences from the model of the
        real tokens.
    criterion : {"variance", "l1", "paper"}, default="variance"
        What must stay small: "paper" is the sufficient condition of the paper, very strict.
    p : array-like of shape (s,), default=None
        Distribution of the real tokens, for "l1" and "paper".
    support : int, default=None
        Number of different tokens, instead of `p`; for "l1" it gives the worst case.

    Returns
    -------
    float or ndarray of shape (...)
        Largest whole number n; `numpy.inf` where any amount is safe.

    Raises
    ------
    ValueError
        If an argument is out of range, or neither `p` nor `support` is given where one is needed.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    drift : What happens at a given amount.

    Notes
    -----
    :math:`\kappa_\infty = n/(N^2+2Nn+n) < 1/(2N)` for every n: no amount adds more than half the
    variance of the real corpus. Variance: :math:`N\kappa_\infty \le \delta` iff
    :math:`n \le \delta N^2/(N(1-2\delta)-\delta)`, unlimited from :math:`\delta = N/(2N+1)` on.
    L1: :math:`\sqrt{\kappa_\infty}B \le \varepsilon` with :math:`B = \sum\sqrt{p_i(1-p_i)} \le
    \sqrt{s-1}`; with :math:`t = (\varepsilon/B)^2`, :math:`n \le tN^2/(1-t(2N+1))`, unlimited from
    :math:`t(2N+1) = 1` on. Paper: :math:`n \le 2\pi e^{-2}\min\{s-2,
    \ln(\sqrt{2\pi}N\varepsilon/(6es))\}`, 0 where that is negative.

    References
    ----------
    How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
    arXiv:2404.05090.

    Examples
    --------
    >>> from skrmt.theory.collapse import safe_synthetic_size
    >>> safe_synthetic_size(10**6, [0.01, 0.1, 0.5])
    array([ 10204., 125000.,     inf])
    >>> safe_synthetic_size(10**6, 0.1, "paper", support=65)
    4.0
    """
    check_choice("criterion", criterion, ("variance", "l1", "paper"))
    real, level = broadcast(
        n_real=whole_numbers("n_real", n_real, 1),
        tolerance=in_range(
            "tolerance", tolerance, 0.0, np.inf, "left", "It is how much drift is accepted."
        ),
    )
    if criterion == "variance":
        _refuse_unused(criterion, p, support)
        return unwrap(_largest(level * real, real * (1 - 2 * level) - level, real))
    size, total = _support(criterion, p, support)
    if criterion == "paper":
        with np.errstate(divide="ignore"):
            room = np.log(np.sqrt(2 * np.pi) * real * level / (6 * np.e * size))
        amount = 2 * np.pi * np.exp(-2) * np.minimum(size - 2.0, room)
        return unwrap(np.floor(np.maximum(amount, 0.0)))
    if total == 0:
        return unwrap(np.full(real.shape, np.inf))
    squared = np.minimum(level / total, 1e100) ** 2
    return unwrap(_largest(squared * real, 1 / real - squared * (2 + 1 / real), np.ones(())))


def _largest(numerator: FloatArray, denominator: FloatArray, real: FloatArray) -> FloatArray:
    """Return the largest whole number below numerator real / denominator, infinite if that is."""
    limited = denominator > 0
    amount = numerator * real / np.where(limited, denominator, 1.0)
    # A whole number must not be lost to rounding.
    return np.asarray(np.where(limited, np.floor(amount * (1 + 1e-13)), np.inf))


def _refuse_unused(criterion: str, p: Any, support: Any) -> None:
    """Refuse a distribution that the criterion does not use."""
    if p is not None or support is not None:
        raise ValueError(
            f"p and support are not used by criterion={criterion!r}, got p={p!r} and "
            f"support={support!r}. Leave them out."
        )


def _support(criterion: str, p: Any, support: Any) -> tuple[int, float]:
    """Return the number of tokens and the sum that bounds the absolute drift."""
    if (p is None) == (support is None):
        raise ValueError(
            f"criterion={criterion!r} needs either p or support, got p={p!r} and "
            f"support={support!r}. Give one of them."
        )
    if p is not None:
        distribution = check_distribution("p", p)
        return int(np.count_nonzero(distribution)), spread_sum(distribution)
    size = one_whole_number("support", support, 1)
    return size, float(np.sqrt(size - 1))
