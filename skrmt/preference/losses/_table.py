"""The preference losses by name, with what a fit has to know of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from ...theory.preference._names import LOSS_ARGUMENTS, LossArguments
from . import _formulas as f
from ._formulas import Array, Pair, Slope


def logistic_probability(z: np.ndarray, noise: float) -> np.ndarray:
    """Return the probability of a preference whose log-odds are z."""
    return expit(z)


class Loss(NamedTuple):
    """A loss with its derivatives in `chosen` and `rejected`, and what a fit has to know of it."""

    name: str
    value: Callable[[Any, Pair], Array]
    gradient: Callable[[Any, Pair], tuple[Array, Array]]
    margin: Slope | None = None
    """The loss as a function of the margin; None if it reads the probability of each response."""
    reference: bool = True
    """Whether it compares to a reference policy."""
    sides: str = "both"
    """Whether it reads "both" responses, only the "chosen" one, or "any" that is given."""
    batch: bool = False
    """Whether the loss of a pair depends on the other pairs of its batch."""
    odds: bool = False
    """Whether it reads odds, so that mean log-probabilities must be below 0."""
    convex: bool = False
    """Whether it is convex in the coefficients of a log-linear policy."""
    squared: bool = False
    """Whether it is a squared error, whose second derivative is 2."""
    smooth: bool = True
    """Whether it has no corners."""
    finite: bool = True
    """Whether it has one finite minimum without a penalty, even on pairs that can be separated."""
    probability: Callable[[np.ndarray, float], np.ndarray] = logistic_probability
    """Probability of a preference at whose margin, times beta, the loss is least; of (z, noise)."""

    @property
    def takes(self) -> LossArguments:
        """What it takes besides log-probabilities."""
        return LOSS_ARGUMENTS[self.name]

    @property
    def lengths(self) -> str:
        """Whether lengths are "unused", "optional" or "required"."""
        return self.takes.lengths

    @property
    def needs_noise(self) -> bool:
        """Whether its `label_smoothing` must be above 0."""
        return self.takes.smoothing == "required"

    def smoothing(self, noise: float) -> float:
        """Return the share of wrong pairs if the loss reads it, else 0."""
        return 0.0 if self.takes.smoothing == "unused" else noise


def _per_token(values: Array, lengths: Array | None) -> Array:
    return values if lengths is None else values / lengths


def _margin(pair: Pair) -> Array:
    """Return the margin of each pair, per token where the loss was given lengths."""
    chosen = _per_token(pair.chosen, pair.chosen_lengths)
    return chosen - _per_token(pair.rejected, pair.rejected_lengths)


def _of_margin(name: str, slope: Slope, **flags: Any) -> Loss:
    """Return a loss of the margin as a function of the pair."""

    def of_pair(bk: Any, pair: Pair) -> Array:
        return slope.value(bk, _margin(pair), pair)

    def gradient(bk: Any, pair: Pair) -> tuple[Array, Array]:
        first = slope.first(bk, _margin(pair), pair)
        return _per_token(first, pair.chosen_lengths), -_per_token(first, pair.rejected_lengths)

    return Loss(name, of_pair, gradient, slope, **flags)


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


_LOGISTIC = Slope(f._logistic, f._logistic_first, f._logistic_second)
_SMOOTHED = Slope(f._smoothed, f._smoothed_first, f._logistic_second)
_ROBUST = Slope(f._robust, f._robust_first, f._logistic_second)
_HINGE = Slope(f._hinge, f._hinge_first, _zero)
_IPO = Slope(f._ipo, f._ipo_first, _two)
_EXO = Slope(f._exo, f._exo_first, f._exo_second)
_DISCOPOP = Slope(f._discopop, f._discopop_first, f._discopop_second)
_SIMPO = Slope(f._simpo, f._simpo_first, f._simpo_second)

_UNBOUNDED: dict[str, Any] = {"convex": True, "finite": False}
_SQUARED: dict[str, Any] = {"squared": True, "probability": _linear_probability}
_ALONE: dict[str, Any] = {"reference": False}

_ALL = (
    _of_margin("dpo", _LOGISTIC, **_UNBOUNDED),
    _of_margin("cdpo", _SMOOTHED, convex=True, probability=_unsmoothed_probability),
    _of_margin("robust", _ROBUST, **_UNBOUNDED),
    _of_margin("hinge", _HINGE, smooth=False, **_UNBOUNDED),
    _of_margin("ipo", _IPO, convex=True, **_SQUARED),
    _of_margin("exo", _EXO, probability=_exo_probability),
    _of_margin("discopop", _DISCOPOP),
    _of_margin("sigmoid_norm", _LOGISTIC, **_UNBOUNDED),
    _of_margin("simpo", _SIMPO, **_ALONE, **_UNBOUNDED),
    Loss("nca", f._nca, f._nca_gradient),
    Loss("bco", f._bco, f._bco_gradient),
    Loss("sppo", f._sppo, f._sppo_gradient, **_SQUARED),
    Loss("apo_zero", f._apo_zero, f._apo_zero_gradient),
    Loss("apo_down", f._apo_down, f._apo_down_gradient),
    Loss("aot", f._aot, f._aot_gradient, batch=True),
    Loss("aot_unpaired", f._aot_unpaired, f._aot_unpaired_gradient, batch=True),
    Loss("kto", f._kto, f._kto_gradient, sides="any"),
    Loss("sft", f._sft, f._sft_gradient, sides="chosen", convex=True, **_ALONE),
    Loss("cpo", f._cpo, f._cpo_gradient, convex=True, **_ALONE),
    Loss("slic", f._slic, f._slic_gradient, smooth=False, **_ALONE),
    Loss("orpo", f._orpo, f._orpo_gradient, odds=True, **_ALONE),
)

LOSSES: dict[str, Loss] = {loss.name: loss for loss in _ALL}
"""Every loss of a pair, by its canonical name."""

MARGIN_LOSSES = tuple(loss.name for loss in _ALL if loss.margin is not None)
"""The losses that depend on the difference of the two log-ratios only."""
