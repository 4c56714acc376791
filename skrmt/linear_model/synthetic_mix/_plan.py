"""The Gaussian model of real and synthetic rows, and what it forecasts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from ...theory.synthetic_mix import proportional_mix, simplex_accuracy
from ...utils._forecast import Forecast, check_asked, first_reaching, unbanded
from ...utils._warnings import warn

_PENALTIES = np.geomspace(1e-3, 1e4, 15)
"""Penalties per row among which a forecast takes the best; accuracy is flat beyond both ends."""
_FLAT = 5e-4
"""Accuracies as near as this to the best are as good: the smallest amount among them is taken."""
_NO_MODEL = (
    "The fit has too few real rows, real rows without variance, or a generator that has seen them, "
    "and forecasts nothing: the result is nan. Give at least 10 real rows, and a generator that "
    "has not seen them."
)


class MixModel(NamedTuple):
    """Isotropic classes in an effective number of dimensions, in units of their deviation.

    Attributes
    ----------
    n_classes : int
        K.
    n_samples, n_synthetic : float
        Effective numbers of real rows, and of synthetic ones before pruning.
    weight : float
        Weight of a synthetic row, a real one having 1.
    n_features : float
        Effective number of features.
    signal : float
        Norm of a mean, |mu|.
    mean_scale, mean_orthogonal : float
        Means of the generator along and across those of the real rows.
    variance : float
        Its variance within classes.
    noise_rate : float
        Share of wrong synthetic labels before pruning.
    keep_rates : tuple of float
        Probability that pruning leaves a right label, a wrong one.
    offset : float, default=0.0
        Added to the probit of every accuracy: what leave-one-out sees beyond the model.
    judge_spread : float, default=0.0
        Variance, times the number of real rows, of the shift of synthetic targets by the errors
        of a judge that these rows show.
    """

    n_classes: int
    n_samples: float
    n_synthetic: float
    weight: float
    n_features: float
    signal: float
    mean_scale: float
    mean_orthogonal: float
    variance: float
    noise_rate: float
    keep_rates: tuple
    offset: float = 0.0
    judge_spread: float = 0.0

    def accuracy(
        self,
        *,
        n_samples: Any = None,
        n_synthetic: Any = None,
        weight: Any = None,
        keep_rates: Any = None,
        penalty: float | None = None,
    ) -> np.ndarray:
        """Return the accuracy at the best penalty, or at a given one; by default of the fit."""
        n_samples = self.n_samples if n_samples is None else n_samples
        n_synthetic = self.n_synthetic if n_synthetic is None else n_synthetic
        weight = self.weight if weight is None else weight
        rates = np.asarray(self.keep_rates if keep_rates is None else keep_rates, dtype=float)
        correct, wrong = rates[..., 0], rates[..., 1]
        kept = np.asarray(correct * (1 - self.noise_rate) + wrong * self.noise_rate)
        error = np.divide(wrong * self.noise_rate, kept, out=np.zeros_like(kept), where=kept > 0)
        contrast = 1.0 - error * self.n_classes / (self.n_classes - 1)
        cells = np.broadcast_arrays(n_samples, kept * n_synthetic, weight, contrast)
        n_real, n_used, omega, theta = (np.asarray(a, dtype=float)[..., None] for a in cells)
        ones = np.ones_like(n_real)
        total = n_real + n_used
        result = proportional_mix(
            np.stack(np.broadcast_arrays(n_real, n_used), axis=-1),
            np.stack([ones, omega], axis=-1),
            _PENALTIES if penalty is None else np.array([penalty]) / total,
            total,
            np.ones(1),
            np.array([self.n_features]),
            np.array([1.0, self.variance]),
            self._mean_grams(),
            np.stack([ones, theta], axis=-1),
        )
        share = omega * n_used / (n_real + omega * n_used)
        shifted = result.variance + share**2 * self.judge_spread / n_real
        ratio = result.mean / np.sqrt(np.maximum(shifted, 1e-300))
        accuracy = np.asarray(simplex_accuracy(ratio, self.n_classes)).max(-1)
        return ndtr(_probit(accuracy) + self.offset) if self.offset else accuracy

    def _mean_grams(self) -> np.ndarray:
        """Return the Gram matrix of the real and the synthetic mean, (1, 2, 2)."""
        synthetic = [self.mean_scale * self.signal, self.mean_orthogonal]
        pair = np.array([[self.signal, 0.0], synthetic])
        return (pair @ pair.T)[None]

    def calibrated(self, real_accuracy: float, mix_accuracy: float) -> MixModel:
        """Return the model with the offset at which it meets observed accuracies on average."""
        sizes, weights = np.array([0.0, self.n_synthetic]), np.array([0.0, self.weight])
        forecast = self.accuracy(n_synthetic=sizes, weight=weights)
        seen = np.array([real_accuracy, mix_accuracy])
        return self._replace(offset=float((_probit(seen) - _probit(forecast)).mean()))

    def equivalent_real_samples(self) -> float:
        """Return the number of real rows that alone are as good as the mix, at most 1e9."""
        if not self.weight > 0:
            return self.n_samples

        def alone(log_size):
            return float(self.accuracy(n_samples=np.exp(log_size), n_synthetic=0.0, weight=0.0))

        return float(np.exp(_solve(alone, float(self.accuracy()), np.log(1e-2), np.log(1e9))))


def _probit(accuracy):
    """Return the normal quantile of accuracies, kept off 0 and 1."""
    return ndtri(np.clip(accuracy, 1e-4, 1.0 - 1e-4))


def _solve(function, target, low, high):
    """Return where an increasing function takes a value, or the nearer end."""
    if function(low) >= target:
        return low
    if function(high) <= target:
        return high
    return brentq(lambda x: function(x) - target, low, high, xtol=1e-4)


def forecast_mix(model: MixModel | None, conditions: tuple) -> Forecast:
    """Predict the accuracy under other conditions, those of the fit where they are None."""
    given = _checked(conditions)
    if model is None:
        warn(_NO_MODEL)
        shapes = [np.shape(v)[:-1] if k == "keep_rates" else np.shape(v) for k, v in given.items()]
        return unbanded(np.full(np.broadcast_shapes(*shapes), np.nan), **given)
    return unbanded(model.accuracy(**given), **given)


def required_amount(model: MixModel | None, score: float, of: str, conditions: tuple) -> float:
    """Return the smallest number of rows that reaches an accuracy; inf if none does."""
    check_asked(of, ("n_samples", "n_synthetic"), dict(zip(_RANGES, conditions, strict=True)))
    target = float(_numbers("score", score, 0.0, 1.0))
    given = _checked(conditions, scalar=True)
    if model is None:
        warn(_NO_MODEL)
        return np.nan
    fitted = model

    def score_at(amounts):
        return fitted.accuracy(**(given | {of: amounts}))

    if of == "n_synthetic" and score_at(0.0) >= target:
        return 0.0
    return first_reaching(score_at, target, 1.0)


def best_amount(model: MixModel | None, of: str, conditions: tuple, largest: float) -> float:
    """Return the number or the weight of synthetic rows of largest predicted accuracy."""
    check_asked(of, ("n_synthetic", "weight"), dict(zip(_RANGES, conditions, strict=True)))
    limit = float(_numbers("max_n_synthetic", largest, 1.0, np.inf))
    given = _checked(conditions, scalar=True)
    if model is None:
        warn(_NO_MODEL)
        return np.nan
    if of == "weight":
        amounts = np.linspace(0.0, 1.0, 201)
    else:
        amounts = np.unique(np.round(np.concatenate([[0], np.geomspace(1, limit, 200)])))
    accuracy = model.accuracy(**(given | {of: amounts}))
    return float(amounts[np.flatnonzero(accuracy >= accuracy.max() - _FLAT)[0]])


_RANGES = {
    "n_samples": (1.0, np.inf),
    "n_synthetic": (0.0, np.inf),
    "weight": (0.0, 1.0),
    "keep_rates": (0.0, 1.0),
}
"""Ranges of the conditions, in the order in which the functions above take them."""


def _checked(values, scalar=False) -> dict[str, Any]:
    """Return the conditions that are given, by name, checked."""
    given: dict[str, Any] = {}
    for (name, limits), value in zip(_RANGES.items(), values, strict=True):
        if value is None:
            continue
        given[name] = _numbers(name, value, *limits)
        pair = name == "keep_rates"
        if pair and given[name].shape[-1:] != (2,):
            raise ValueError(
                f"keep_rates={value!r} must be (keep_correct, keep_incorrect), or an array of such "
                "pairs, shape (..., 2)."
            )
        if scalar and given[name].ndim > pair:
            raise ValueError(f"{name}={value!r} must be one {'pair' if pair else 'number'} here.")
    return given


def _numbers(name, values, low, high):
    """Return checked finite numbers."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={values!r} must be numbers.") from error
    if not ((array >= low) & (array <= high) & np.isfinite(array)).all():
        raise ValueError(f"{name}={values!r} must be finite numbers in [{low:g}, {high:g}].")
    return array


class MixReport(NamedTuple):
    """Summary of a fit with real and synthetic rows; ``print`` it.

    Attributes
    ----------
    accuracy : float
        Predicted accuracy.
    interval : ndarray of shape (2,)
        95 % interval of it.
    real_only, mix_all : float
        Predicted accuracy of real rows alone, and of all rows at weight 1.
    sources : list of SourceQuality
        Estimated quality of each source.
    weights : ndarray of shape (S,)
        Weights chosen.
    value : float
        Real rows that a synthetic row is worth.
    advice : list of str
        What to do next.
    """

    accuracy: float
    interval: np.ndarray
    real_only: float
    mix_all: float
    sources: list
    weights: np.ndarray
    value: float
    advice: list

    def __str__(self):
        """Return the report as text."""
        low, high = self.interval
        lines = [
            f"Predicted accuracy        {self.accuracy:.3f}  (95 %: {low:.3f} to {high:.3f})",
            f"  with real rows alone    {self.real_only:.3f}",
            f"  with everything mixed   {self.mix_all:.3f}",
        ]
        for k, (source, weight) in enumerate(zip(self.sources, self.weights, strict=False), 1):
            lines += [
                f"Synthetic source {k}: weight {weight:.3g}, "
                f"{source.n_kept} of {source.n_rows} rows kept",
                f"  wrong labels            {_share_text(source)}",
                f"  verifier keeps          {source.keep_correct:.0%} of the right labels, "
                f"{source.keep_incorrect:.0%} of the wrong ones",
                f"  class means             {source.mean_scale:.2f} times the real ones, "
                f"{source.mean_orthogonal:.2f} deviations off",
            ]
        if self.sources:
            lines.append(f"One synthetic row is worth {self.value:.3g} real rows.")
        return "\n".join([*lines, *(f"- {line}" for line in self.advice)])


def _share_text(source):
    """Return the share of wrong labels as text."""
    low, high = source.noise_rate_interval
    if np.isfinite(source.noise_rate):
        return f"{source.noise_rate:.1%}  ({low:.0%} to {high:.0%})"
    if source.leaked:
        return "unknown"
    return (
        f"not identified: {source.flip_rate:.0%} if they fall anywhere, {low:.0%} to {high:.0%} "
        "otherwise"
    )


def advice(
    n_real: int, gain: float, gain_std: float, weights: np.ndarray, sources: list, n_classes: int
) -> list[str]:
    """Return what to do next."""
    if n_real == 0:
        return ["Give real rows: without them nothing can be said of accuracy."]
    if np.isnan(gain):
        return ["Give at least 10 real rows: fewer do not show an accuracy."]
    if not sources:
        return ["There are no synthetic rows: the fit is a ridge classifier on real ones."]
    if not weights.any():
        lines = ["The synthetic rows do not help: they are left out."]
    elif abs(gain) < 2 * gain_std:
        lines = [
            f"The gain over real rows alone, {gain:+.3f}, is within its error ({gain_std:.3f}): "
            "more real rows would settle it."
        ]
    else:
        lines = [f"The synthetic rows gain {gain:+.3f} over real rows alone."]
    for k, source in enumerate(sources, 1):
        lines += _source_advice(k, source, n_classes)
    return lines


def _source_advice(k, source, n_classes):
    """Return what to do about one source."""
    if source.leaked:
        return [
            f"Source {k}: its generator seems to have been fitted to these real rows, and its rows "
            "show no more than these. Pass generator_source='same' with the generator."
        ]
    lines = []
    if source.flip_rate > 0.25:
        lines.append(
            f"Source {k}: {source.flip_rate:.0%} of the labels look wrong; a verifier would "
            "raise the value of its rows."
        )
    if source.n_kept < source.n_rows and np.isfinite(source.keep_incorrect):
        before = (1 - source.flip_rate * n_classes / (n_classes - 1)) ** 2
        share = source.n_kept / source.n_rows
        error = source.flip_rate * source.keep_incorrect / max(share, 1e-9)
        after = share * (1 - error * n_classes / (n_classes - 1)) ** 2
        verdict = "pays" if after > before else "discards more than it gains"
        lines.append(
            f"Source {k}: pruning {verdict}: value per row {after:.2f} against {before:.2f}."
        )
    if source.mean_orthogonal > 0.5 * max(abs(source.mean_scale), 0.1):
        lines.append(
            f"Source {k}: its classes are off the real ones; more rows of it soon stop helping."
        )
    return lines
