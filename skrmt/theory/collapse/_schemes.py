"""Variance of a model trained on its own output, for each way of mixing data."""

from typing import Any, NamedTuple

import numpy as np

from .._checks import FloatArray, broadcast, in_range
from ._checks import SCHEMES, USES_REAL, USES_WEIGHT, check_choice, whole_numbers

_DIRECT = 24
"""Terms that are summed as they are, before Euler and Maclaurin's formula takes the rest."""


class Variance(NamedTuple):
    """Variance of the model and what it leaves of the diversity.

    Attributes
    ----------
    lost : ndarray
        v with Var p_i = v p_i (1 - p_i).
    kept : ndarray
        1 - v, to full relative precision where it is small.
    """

    lost: FloatArray
    kept: FloatArray


class Mix(NamedTuple):
    """Checked arguments of a scheme, broadcast together except for the window.

    Attributes
    ----------
    n : ndarray
        Synthetic tokens per generation.
    real : ndarray
        Real tokens; NaN where the scheme has none.
    weight : ndarray
        Weight of the real tokens; NaN where the scheme has none.
    window : int
        Number of models in the window; 1 elsewhere.
    """

    n: FloatArray
    real: FloatArray
    weight: FloatArray
    window: int


def best_weight(real: FloatArray, n: FloatArray, *, exact: bool = False) -> FloatArray:
    r"""Return the weight of fresh real tokens that minimises the limiting variance."""
    lost = 1 / n if exact else np.zeros_like(n)
    linear = 1 + lost * n / real
    return np.asarray(
        2 / (linear + np.sqrt(linear**2 + 4 * (1 - lost) * n / real)), dtype=np.float64
    )


def check_mix(
    scheme: Any, n_synthetic: Any, n_real: Any, window: Any, real_weight: Any
) -> tuple[str, Mix]:
    """Check the arguments that describe a scheme."""
    name = check_choice("scheme", scheme, SCHEMES)
    n = whole_numbers("n_synthetic", n_synthetic, 1)
    uses = {
        "n_real": (n_real, USES_REAL),
        "window": (window, ("window",)),
        "real_weight": (real_weight, USES_WEIGHT),
    }
    for parameter, (value, schemes) in uses.items():
        if value is not None and name not in schemes:
            raise ValueError(
                f"{parameter} is not used by scheme={name!r}, got {value!r}. Leave it out, or "
                f"choose among {', '.join(map(repr, schemes))}."
            )
    missing = "n_real" if name in USES_REAL and n_real is None else ""
    missing = "window" if name == "window" and window is None else missing
    if missing:
        raise ValueError(f"{missing} is needed by scheme={name!r}, got None. Give a number.")
    real = np.full_like(n, np.nan) if n_real is None else whole_numbers("n_real", n_real, 1)
    n, real = broadcast(n_synthetic=n, n_real=real)
    weight = _real_weight(name, real_weight, real, n)
    n, real, weight = broadcast(n_synthetic=n, n_real=real, real_weight=weight)
    return name, Mix(n, real, weight, _check_window(window, n))


def _check_window(window: Any, n: FloatArray) -> int:
    """Check that one window divides every number of synthetic tokens."""
    if window is None:
        return 1
    sizes = whole_numbers("window", window, 1, remedy="It counts models.")
    if sizes.ndim:
        raise ValueError(f"window must be one number, got {window!r}. Call once for each window.")
    odd = n % sizes != 0
    if odd.any():
        raise ValueError(
            f"window must divide n_synthetic, got window={int(sizes)} and "
            f"n_synthetic={n[odd].flat[0]:g}. Round n_synthetic to a multiple of the window."
        )
    return int(sizes)


def _real_weight(scheme: str, value: Any, real: FloatArray, n: FloatArray) -> FloatArray:
    """Return the weight of the real tokens, by name or by value."""
    if scheme not in USES_WEIGHT:
        return np.full_like(n, np.nan)
    if value is None or (isinstance(value, str) and value == "pooled"):
        return np.asarray(1 / (1 + n / real), dtype=np.float64)
    if isinstance(value, str) and value == "optimal":
        return best_weight(real, n) if scheme == "fresh" else np.ones_like(n)
    if isinstance(value, str):
        raise ValueError(
            f"real_weight must be 'pooled', 'optimal' or a number in [0, 1], got {value!r}."
            " Give one of these."
        )
    return in_range("real_weight", value, 0.0, 1.0, remedy="It is the weight of the real tokens.")


def log_power(steps: FloatArray, log_rate: FloatArray) -> FloatArray:
    """Return steps log_rate, 0 at no step even where the factor per step is 0."""
    still = (steps <= 0) | (log_rate == 0)
    return np.asarray(np.where(still, 1.0, steps) * np.where(still, 0.0, log_rate))


def log_keep(n: FloatArray) -> FloatArray:
    """Return log(1 - 1/n), minus infinity at n = 1."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(-1 / n), dtype=np.float64)


def kappa(steps: FloatArray, n: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return the drift factor after some generations of partial training."""
    with np.errstate(divide="ignore"):
        log_rate = 2 * np.log(share) + log_keep(n)
    gap = (1 - share) * (1 + share) + share**2 / n
    limit = np.where(share > 0, share**2 / n / np.where(gap > 0, gap, 1.0), 0.0)
    return np.asarray(-limit * np.expm1(log_power(steps, log_rate)), dtype=np.float64)


def log_product(m: FloatArray, a: FloatArray, c: FloatArray) -> FloatArray:
    r"""Return :math:`\sum_{t=1}^{m-1}\log(1-c/(a+t)^2)` for any m, infinity included."""
    m, a, c = np.broadcast_arrays(m, a, c)
    total = np.zeros(m.shape)
    with np.errstate(divide="ignore"):
        for t in range(1, _DIRECT):
            total += np.where(t < m, np.log1p(-c / (a + t) ** 2), 0.0)
    low, high = a + _DIRECT, a + np.maximum(m - 1, _DIRECT)
    ends = _antiderivative(high, c) - _antiderivative(low, c)
    low_terms, high_terms = _end_terms(low, c), _end_terms(high, c)
    rest = ends + low_terms[0] + high_terms[0] + high_terms[1] - low_terms[1]
    return np.asarray(total + np.where(m > _DIRECT, rest, 0.0), dtype=np.float64)


def _antiderivative(x: FloatArray, c: FloatArray) -> FloatArray:
    """Return the integral of log(1 - c/x^2) that vanishes at infinity."""
    at = np.where(np.isinf(x), 1.0, x)
    b = np.where(np.isinf(x), 0.0, np.sqrt(c))
    return np.asarray(at * np.log1p(-((b / at) ** 2)) + 2 * b * np.arctanh(b / at))


def _end_terms(x: FloatArray, c: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return half the end value and the odd derivatives of the formula of Euler and Maclaurin."""
    b = np.sqrt(c)

    def inverse_powers(power: int) -> FloatArray:
        return np.asarray((x - b) ** -power + (x + b) ** -power - 2 * x**-power)

    half = 0.5 * np.log1p(-c / x**2)
    odd = inverse_powers(1) / 12 - inverse_powers(3) / 360 + inverse_powers(5) / 1260
    return half, odd


def variance(scheme: str, m: FloatArray, mix: Mix, *, observed: bool) -> Variance:
    """Return the variance of model m of a scheme."""
    n, real, weight = mix.n, mix.real, mix.weight
    if scheme in ("full", "window") and mix.window == 1:
        return _from_log(log_power(m, log_keep(n)))
    if scheme == "window":
        return _from_kept(_window_kept(m, n, mix.window))
    if scheme == "random":
        first = np.where(m > 0, log_keep(n), 0.0)
        return _from_log(first + log_product(m, np.ones_like(n), 1 / n))
    shift = 1.0 if observed else 0.0
    start = np.where((m > 0) & (not observed), 1 / real, 0.0)
    if scheme == "accumulate":
        kept = log_product(m + shift, real / n, 1 / n)
        with np.errstate(divide="ignore"):
            return _from_log(kept + np.log1p(-start))
    if scheme == "partial":
        drifted = kappa(m + shift - 1, n, 1 - weight)
        return Variance(start + (1 - start) * drifted, (1 - start) * (1 - drifted))
    return _fresh(m, n, real, weight, observed=observed)


def _from_log(log_kept: FloatArray) -> Variance:
    """Return lost and kept from the logarithm of what is kept."""
    return Variance(np.asarray(-np.expm1(log_kept)), np.asarray(np.exp(log_kept)))


def _from_kept(kept: FloatArray) -> Variance:
    """Return lost and kept from what is kept."""
    return Variance(np.asarray(1 - kept), kept)


def _fresh(
    m: FloatArray, n: FloatArray, real: FloatArray, weight: FloatArray, *, observed: bool
) -> Variance:
    """Return the variance with fresh real tokens every generation."""
    share = 1 - weight
    gap = weight * (2 - weight) + share**2 / n
    limit = (weight**2 / real + share**2 / n) / gap
    with np.errstate(divide="ignore"):
        log_rate = 2 * np.log(share) + log_keep(n)
    if observed:
        start, steps = np.zeros_like(n), m
    else:
        start, steps = np.where(m > 0, 1 / real, 0.0), m - 1
    left = np.exp(log_power(steps, log_rate))
    limit = np.where(m > 0, limit, 0.0)
    lost = np.where(steps > 0, limit + (start - limit) * left, start)
    kept = np.where(steps > 0, (1 - limit) * (1 - left) + (1 - start) * left, 1 - start)
    return Variance(np.asarray(lost), np.asarray(kept))


def _window_kept(m: FloatArray, n: FloatArray, window: int) -> FloatArray:
    """Return the diversity kept by a window of the last models, one recursion for all n."""
    shape = m.shape
    sizes, where = np.unique(n, return_inverse=True)
    where = where.reshape(shape)
    burn = 40 * window + 40
    finite = m[np.isfinite(m)]
    last = int(min(finite.max(initial=0), burn))
    history = np.ones((last + 1, sizes.size))
    rate = np.zeros(sizes.size)
    D = np.ones((sizes.size, 1, 1))
    keep = 1 - window / sizes
    for generation in range(1, last + 1):
        diagonal = np.einsum("kii->ki", D)
        w = diagonal.shape[1]
        column = D.mean(axis=2)
        fresh = column.mean(axis=1) - (1 - keep) * diagonal.mean(axis=1) / w
        rate = _window_rate(D, sizes)
        D = _append(D, column, fresh)[:, -window:, -window:]
        history[generation] = fresh
    if np.isinf(m).any() or (finite.size and finite.max() > last):
        tail = np.where(np.isinf(m), np.inf, np.maximum(m - last, 0))
    else:
        tail = np.zeros(shape)
    base = history[np.minimum(m, last).astype(int), where]
    with np.errstate(divide="ignore", invalid="ignore"):
        extra = np.where(tail > 0, tail * np.log1p(-rate[where]), 0.0)
    extra = np.where(np.isinf(tail), -np.inf, extra)
    return np.asarray(base * np.exp(extra), dtype=np.float64)


def _append(D: FloatArray, column: FloatArray, fresh: FloatArray) -> FloatArray:
    """Append the row and column of a new model to the matrices of cross diversities."""
    size = D.shape[1]
    grown = np.empty((D.shape[0], size + 1, size + 1))
    grown[:, :size, :size] = D
    grown[:, :size, size] = grown[:, size, :size] = column
    grown[:, size, size] = fresh
    return grown


def _window_rate(D: FloatArray, sizes: FloatArray) -> FloatArray:
    """Return the share of diversity that a window loses per generation, from its martingale."""
    window = D.shape[1]
    weights = np.arange(1, window + 1) / (window * (window + 1) / 2)
    held = np.einsum("i,kij,j->k", weights, D, weights)
    mean = np.einsum("kii->k", D) / window
    loss = 4 / (sizes * (window + 1) ** 2) * mean
    return np.asarray(np.where(held > 0, loss / np.where(held > 0, held, 1.0), 1.0))
