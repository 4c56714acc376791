"""The formulas of the preference losses with their derivatives, on arrays of any library.

`chosen` and `rejected` are log-ratios to the reference, or log-probabilities for the losses without
one. A function takes the backend and a `Pair`; nothing here checks or changes its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

Array = Any


class Pair(NamedTuple):
    """What a loss of a pair is computed from."""

    chosen: Array
    rejected: Array
    beta: float
    label_smoothing: float
    chosen_lengths: Array | None
    rejected_lengths: Array | None
    options: dict[str, Any]
    reference: Array | None = None
    """Log-ratio of chosen to rejected under the reference, for losses that sort it by itself."""


class Slope(NamedTuple):
    """A function of the margin d with its first two derivatives."""

    value: Callable[[Any, Array, Pair], Array]
    first: Callable[[Any, Array, Pair], Array]
    second: Callable[[Any, Array, Pair], Array]


def log_sigmoid(bk: Any, u: Array) -> Array:
    """Return log(1 / (1 + exp(-u))), safe from overflow."""
    return -bk.logaddexp(bk.zeros_like(u), -u)


def sigmoid(bk: Any, u: Array) -> Array:
    """Return 1 / (1 + exp(-u)), small values to full relative accuracy."""
    return bk.exp(log_sigmoid(bk, u))


def bump(bk: Any, u: Array) -> Array:
    """Return the derivative of the sigmoid."""
    return bk.exp(log_sigmoid(bk, u) + log_sigmoid(bk, -u))


def log1mexp(bk: Any, x: Array) -> Array:
    """Return log(1 - exp(x)) of negative x; each branch sees only its own half."""
    near = x > -math.log(2.0)
    return bk.where(
        near,
        bk.log(-bk.expm1(bk.where(near, x, -1.0 + 0 * x))),
        bk.log1p(-bk.exp(bk.where(near, -1.0 + 0 * x, x))),
    )


def _logistic(bk: Any, d: Array, pair: Pair) -> Array:
    return -log_sigmoid(bk, pair.beta * d)


def _logistic_first(bk: Any, d: Array, pair: Pair) -> Array:
    return -pair.beta * sigmoid(bk, -pair.beta * d)


def _logistic_second(bk: Any, d: Array, pair: Pair) -> Array:
    return pair.beta**2 * bump(bk, pair.beta * d)


def _smoothed(bk: Any, d: Array, pair: Pair) -> Array:
    z, eps = pair.beta * d, pair.label_smoothing
    return -(1 - eps) * log_sigmoid(bk, z) - eps * log_sigmoid(bk, -z)


def _smoothed_first(bk: Any, d: Array, pair: Pair) -> Array:
    z, eps = pair.beta * d, pair.label_smoothing
    return pair.beta * (eps * sigmoid(bk, z) - (1 - eps) * sigmoid(bk, -z))


def _robust(bk: Any, d: Array, pair: Pair) -> Array:
    z, eps = pair.beta * d, pair.label_smoothing
    kept = -(1 - eps) * log_sigmoid(bk, z) + eps * log_sigmoid(bk, -z)
    return kept / (1 - 2 * eps)


def _robust_first(bk: Any, d: Array, pair: Pair) -> Array:
    z, eps = pair.beta * d, pair.label_smoothing
    blend = (1 - eps) * sigmoid(bk, -z) + eps * sigmoid(bk, z)
    return -pair.beta * blend / (1 - 2 * eps)


def _hinge(bk: Any, d: Array, pair: Pair) -> Array:
    short = 1 - pair.beta * d
    return bk.where(short > 0, short, 0 * short)


def _hinge_first(bk: Any, d: Array, pair: Pair) -> Array:
    return bk.where(pair.beta * d < 1, -pair.beta + 0 * d, 0 * d)


def _ipo(bk: Any, d: Array, pair: Pair) -> Array:
    return (d - 0.5 / pair.beta) ** 2


def _ipo_first(bk: Any, d: Array, pair: Pair) -> Array:
    return 2 * (d - 0.5 / pair.beta)


def _exo(bk: Any, d: Array, pair: Pair) -> Array:
    z, eps = pair.beta * d, pair.label_smoothing
    won, lost = log_sigmoid(bk, z), log_sigmoid(bk, -z)
    return bk.exp(won) * (won - math.log1p(-eps)) + bk.exp(lost) * (lost - math.log(eps))


def _exo_target(pair: Pair) -> float:
    return math.log1p(-pair.label_smoothing) - math.log(pair.label_smoothing)


def _exo_first(bk: Any, d: Array, pair: Pair) -> Array:
    z = pair.beta * d
    return pair.beta * bump(bk, z) * (z - _exo_target(pair))


def _exo_second(bk: Any, d: Array, pair: Pair) -> Array:
    z = pair.beta * d
    odd = sigmoid(bk, -z) - sigmoid(bk, z)
    return pair.beta**2 * bump(bk, z) * (odd * (z - _exo_target(pair)) + 1)


def _discopop_parts(bk: Any, d: Array, pair: Pair) -> tuple[Array, Array, Array, Array]:
    """Return z, z / tau, the logistic loss, and exp(-z) times the gate, which never overflows."""
    z = pair.beta * d
    scaled = z / pair.options["tau"]
    return z, scaled, -log_sigmoid(bk, z), bk.exp(log_sigmoid(bk, scaled) - z)


def _discopop(bk: Any, d: Array, pair: Pair) -> Array:
    _, scaled, logistic, gated = _discopop_parts(bk, d, pair)
    return logistic * sigmoid(bk, -scaled) + gated


def _discopop_first(bk: Any, d: Array, pair: Pair) -> Array:
    z, scaled, logistic, gated = _discopop_parts(bk, d, pair)
    closed, tau = sigmoid(bk, -scaled), pair.options["tau"]
    slope = -sigmoid(bk, -z) * closed - logistic * bump(bk, scaled) / tau
    return pair.beta * (slope + gated * (closed / tau - 1))


def _discopop_second(bk: Any, d: Array, pair: Pair) -> Array:
    z, scaled, logistic, gated = _discopop_parts(bk, d, pair)
    closed, tau = sigmoid(bk, -scaled), pair.options["tau"]
    gate = bump(bk, scaled) / tau
    turn = gate * (closed - sigmoid(bk, scaled)) / tau
    smooth = bump(bk, z) * closed + 2 * sigmoid(bk, -z) * gate - logistic * turn
    rest = gated * ((closed / tau - 1) ** 2 - bump(bk, scaled) / tau**2)
    return pair.beta**2 * (smooth + rest)


def _simpo(bk: Any, d: Array, pair: Pair) -> Array:
    return -log_sigmoid(bk, pair.beta * d - pair.options["gamma"])


def _simpo_first(bk: Any, d: Array, pair: Pair) -> Array:
    return -pair.beta * sigmoid(bk, pair.options["gamma"] - pair.beta * d)


def _simpo_second(bk: Any, d: Array, pair: Pair) -> Array:
    return pair.beta**2 * bump(bk, pair.beta * d - pair.options["gamma"])


def _in_order(bk: Any, values: Array) -> Array:
    """Return the indices that sort the entries of an array, whatever its shape."""
    return bk.argsort(values.reshape(-1), axis=0)


def _partners(bk: Any, values: Array, others: Array) -> Array:
    """Return for each value the one of the others that has the same rank in the batch."""
    rank = _in_order(bk, _in_order(bk, values))
    return others.reshape(-1)[_in_order(bk, others)][rank].reshape(tuple(values.shape))


def _aot_margin(bk: Any, pair: Pair) -> Array:
    """Return the policy's log-ratio of each pair less the reference's of the same rank."""
    ratio = pair.chosen - pair.rejected + pair.reference
    return ratio - _partners(bk, ratio, pair.reference)


def _aot(bk: Any, pair: Pair) -> Array:
    return _smoothed(bk, _aot_margin(bk, pair), pair)


def _aot_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    first = _smoothed_first(bk, _aot_margin(bk, pair), pair)
    return first, -first


def _aot_unpaired(bk: Any, pair: Pair) -> Array:
    return _smoothed(bk, pair.chosen - _partners(bk, pair.chosen, pair.rejected), pair)


def _aot_unpaired_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    ahead = pair.chosen - _partners(bk, pair.chosen, pair.rejected)
    behind = _partners(bk, pair.rejected, pair.chosen) - pair.rejected
    return _smoothed_first(bk, ahead, pair), -_smoothed_first(bk, behind, pair)


def _nca(bk: Any, pair: Pair) -> Array:
    c, r = pair.beta * pair.chosen, pair.beta * pair.rejected
    return -log_sigmoid(bk, c) - 0.5 * (log_sigmoid(bk, -c) + log_sigmoid(bk, -r))


def _nca_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    c, r = pair.beta * pair.chosen, pair.beta * pair.rejected
    pull = 0.5 * sigmoid(bk, c) - sigmoid(bk, -c)
    return pair.beta * pull, 0.5 * pair.beta * sigmoid(bk, r)


def _bco(bk: Any, pair: Pair) -> Array:
    return -log_sigmoid(bk, pair.beta * pair.chosen) - log_sigmoid(bk, -pair.beta * pair.rejected)


def _bco_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    c, r = pair.beta * pair.chosen, pair.beta * pair.rejected
    return -pair.beta * sigmoid(bk, -c), pair.beta * sigmoid(bk, r)


def _sppo(bk: Any, pair: Pair) -> Array:
    target = 0.5 / pair.beta
    return (pair.chosen - target) ** 2 + (pair.rejected + target) ** 2


def _sppo_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    target = 0.5 / pair.beta
    return 2 * (pair.chosen - target), 2 * (pair.rejected + target)


def _apo_zero(bk: Any, pair: Pair) -> Array:
    return sigmoid(bk, -pair.beta * pair.chosen) + sigmoid(bk, pair.beta * pair.rejected)


def _apo_zero_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    c, r = pair.beta * pair.chosen, pair.beta * pair.rejected
    return -pair.beta * bump(bk, c), pair.beta * bump(bk, r)


def _apo_down(bk: Any, pair: Pair) -> Array:
    z = pair.beta * (pair.chosen - pair.rejected)
    return sigmoid(bk, pair.beta * pair.chosen) + sigmoid(bk, -z)


def _apo_down_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    away = pair.beta * bump(bk, pair.beta * (pair.chosen - pair.rejected))
    return pair.beta * bump(bk, pair.beta * pair.chosen) - away, away


def _kto_arguments(pair: Pair) -> tuple[Array | None, Array | None]:
    """Return the arguments of the two sigmoids, those of a missing side None."""
    k = max(pair.options["k"], 0.0)
    return (
        None if pair.chosen is None else pair.beta * (k - pair.chosen),
        None if pair.rejected is None else pair.beta * (pair.rejected - k),
    )


def _kto(bk: Any, pair: Pair) -> Array:
    weights = pair.options["desirable_weight"], pair.options["undesirable_weight"]
    terms = zip(weights, _kto_arguments(pair), strict=True)
    return sum(weight * sigmoid(bk, u) for weight, u in terms if u is not None)


def _kto_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    good, bad = _kto_arguments(pair)
    down = -pair.beta * pair.options["desirable_weight"]
    up = pair.beta * pair.options["undesirable_weight"]
    return (
        None if good is None else down * bump(bk, good),
        None if bad is None else up * bump(bk, bad),
    )


def _token_share(pair: Pair) -> Array | float:
    """Return what makes the mean over pairs a mean over the tokens of the batch."""
    return 1.0 if pair.chosen_lengths is None else 1.0 / pair.chosen_lengths.mean()


def _sft(bk: Any, pair: Pair) -> Array:
    return -pair.chosen * _token_share(pair)


def _sft_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    zero = 0 * pair.chosen
    return zero - _token_share(pair), zero


def _cpo(bk: Any, pair: Pair) -> Array:
    z = pair.beta * (pair.chosen - pair.rejected)
    return -log_sigmoid(bk, z) + pair.options["weight"] * _sft(bk, pair)


def _cpo_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    first = _logistic_first(bk, pair.chosen - pair.rejected, pair)
    return first - pair.options["weight"] * _token_share(pair), -first


def _slic(bk: Any, pair: Pair) -> Array:
    short = pair.options["delta"] - pair.chosen + pair.rejected
    return bk.where(short > 0, short, 0 * short) + pair.options["weight"] * _sft(bk, pair)


def _slic_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    short = pair.options["delta"] - pair.chosen + pair.rejected
    active = bk.where(short > 0, 1.0 + 0 * short, 0 * short)
    return -active - pair.options["weight"] * _token_share(pair), active


def _orpo_means(bk: Any, pair: Pair) -> tuple[Array, Array]:
    """Return the mean log-probabilities per token, held below 0 by one rounding unit."""
    ceiling = -pair.options["epsilon"]
    means = pair.chosen / pair.chosen_lengths, pair.rejected / pair.rejected_lengths
    return tuple(bk.where(mean < ceiling, mean, ceiling + 0 * mean) for mean in means)


def _log_odds(bk: Any, pair: Pair) -> Array:
    won, lost = _orpo_means(bk, pair)
    return (won - lost) - (log1mexp(bk, won) - log1mexp(bk, lost))


def _orpo(bk: Any, pair: Pair) -> Array:
    odds = -log_sigmoid(bk, _log_odds(bk, pair))
    return _sft(bk, pair) + pair.options["weight"] * odds


def _orpo_gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
    won, lost = _orpo_means(bk, pair)
    first = -pair.options["weight"] * sigmoid(bk, -_log_odds(bk, pair))
    chosen = -first / bk.expm1(won) / pair.chosen_lengths
    return chosen - _token_share(pair), first / bk.expm1(lost) / pair.rejected_lengths
