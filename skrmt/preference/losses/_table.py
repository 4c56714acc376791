"""The preference losses by name, with what a fit has to know of each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from . import _formulas as f
from ._formulas import Array, Pair, Slope


def logistic_probability(z: np.ndarray, noise: float) -> np.ndarray:
    """Return the probability of a preference whose log-odds are z."""
    return expit(z)


class Loss(NamedTuple):
    """A loss with its derivatives in `chosen` and `rejected`, and what a fit has to know of it."""

    value: Callable[[Any, Pair], Array]
    gradient: Callable[[Any, Pair], tuple[Array, Array]]
    margin: Slope | None = None
    """The loss as a function of the margin; None if it reads the probability of each response."""
    options: dict[str, tuple[float, float, float, str]] = {}
    """Own options: default, interval, and which of its ends belong to it."""
    reference: bool = True
    """Whether it compares to a reference policy."""
    lengths: str = "unused"
    """Whether lengths are "unused", "optional" or "required"."""
    sides: str = "both"
    """Whether it reads "both" responses, only the "chosen" one, or "any" that is given."""
    convex: bool = False
    """Whether it is convex in the coefficients of a log-linear policy."""
    squared: bool = False
    """Whether it is a squared error, whose second derivative is 2."""
    smooth: bool = True
    """Whether it has no corners."""
    finite: bool = True
    """Whether it has one finite minimum without a penalty, even on pairs that can be separated."""
    needs_noise: bool = False
    """Whether its `label_smoothing` must be above 0."""
    probability: Callable[[np.ndarray, float], np.ndarray] = logistic_probability
    """Probability of a preference at whose margin, times beta, the loss is least; of (z, noise)."""


def _per_token(values: Array, lengths: Array | None) -> Array:
    return values if lengths is None else values / lengths


def _of_margin(value: Callable, first: Callable, second: Callable, **flags: Any) -> Loss:
    """Return a loss of the margin, per token if it uses lengths, as a function of the pair."""
    by_length = flags.get("lengths", "unused") != "unused"

    def scale(pair: Pair) -> tuple[Array | None, Array | None]:
        return (pair.chosen_lengths, pair.rejected_lengths) if by_length else (None, None)

    def margin(pair: Pair) -> Array:
        longs = scale(pair)
        return _per_token(pair.chosen, longs[0]) - _per_token(pair.rejected, longs[1])

    def of_pair(bk: Any, pair: Pair) -> Array:
        return value(bk, margin(pair), pair)

    def gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
        slope = first(bk, margin(pair), pair)
        longs = scale(pair)
        return _per_token(slope, longs[0]), -_per_token(slope, longs[1])

    return Loss(of_pair, gradient, Slope(value, first, second), **flags)


def _linear_probability(z: np.ndarray, noise: float) -> np.ndarray:
    """Return the probability whose excess over 1/2 is z."""
    return np.clip(0.5 + z, 0.0, 1.0)


def _exo_probability(z: np.ndarray, noise: float) -> np.ndarray:
    """Return the probability whose excess over 1/2 is z in units of twice the target of exo."""
    return np.clip(0.5 + z / (2 * np.log((1 - noise) / noise)), 0.0, 1.0)


def _unsmoothed_probability(z: np.ndarray, noise: float) -> np.ndarray:
    """Return the probability before labels were smoothed to log-odds z."""
    return np.clip(0.5 + (expit(z) - 0.5) / (1 - 2 * noise), 0.0, 1.0)


def _zero(bk: Any, d: Array, pair: Pair) -> Array:
    return 0 * d


def _two(bk: Any, d: Array, pair: Pair) -> Array:
    return 2 + 0 * d


_WEIGHT = (1.0, 0.0, math.inf, "left")

LOSSES: dict[str, Loss] = {
    "dpo": _of_margin(
        f._logistic, f._logistic_first, f._logistic_second, convex=True, finite=False
    ),
    "cdpo": _of_margin(
        f._smoothed,
        f._smoothed_first,
        f._logistic_second,
        convex=True,
        probability=_unsmoothed_probability,
    ),
    "robust": _of_margin(f._robust, f._robust_first, f._logistic_second, convex=True, finite=False),
    "hinge": _of_margin(f._hinge, f._hinge_first, _zero, convex=True, smooth=False, finite=False),
    "ipo": _of_margin(
        f._ipo,
        f._ipo_first,
        _two,
        lengths="optional",
        convex=True,
        squared=True,
        probability=_linear_probability,
    ),
    "exo": _of_margin(
        f._exo, f._exo_first, f._exo_second, needs_noise=True, probability=_exo_probability
    ),
    "discopop": _of_margin(
        f._discopop,
        f._discopop_first,
        f._discopop_second,
        options={"tau": (0.05, 0.0, 1.0, "right")},
    ),
    "sigmoid_norm": _of_margin(
        f._logistic,
        f._logistic_first,
        f._logistic_second,
        lengths="required",
        convex=True,
        finite=False,
    ),
    "simpo": _of_margin(
        f._simpo,
        f._simpo_first,
        f._simpo_second,
        options={"gamma": (0.5, -math.inf, math.inf, "neither")},
        reference=False,
        lengths="required",
        convex=True,
        finite=False,
    ),
    "nca": Loss(f._nca, f._nca_gradient),
    "bco": Loss(f._bco, f._bco_gradient),
    "sppo": Loss(f._sppo, f._sppo_gradient, squared=True, probability=_linear_probability),
    "apo_zero": Loss(f._apo_zero, f._apo_zero_gradient),
    "apo_down": Loss(f._apo_down, f._apo_down_gradient),
    "kto": Loss(
        f._kto,
        f._kto_gradient,
        options={
            "k": (0.0, -math.inf, math.inf, "neither"),
            "desirable_weight": _WEIGHT,
            "undesirable_weight": _WEIGHT,
        },
        sides="any",
    ),
    "sft": Loss(
        f._sft, f._sft_gradient, reference=False, lengths="optional", sides="chosen", convex=True
    ),
    "cpo": Loss(
        f._cpo,
        f._cpo_gradient,
        options={"weight": _WEIGHT},
        reference=False,
        lengths="optional",
        convex=True,
    ),
    "slic": Loss(
        f._slic,
        f._slic_gradient,
        options={"delta": _WEIGHT, "weight": _WEIGHT},
        reference=False,
        lengths="optional",
        smooth=False,
    ),
    "orpo": Loss(
        f._orpo,
        f._orpo_gradient,
        options={"weight": (0.1, 0.0, math.inf, "left")},
        reference=False,
        lengths="required",
    ),
}
"""Every loss of a pair, by its canonical name."""
