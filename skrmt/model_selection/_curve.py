"""Scores of linear estimators at other numbers of rows and with other label noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression

from ..linalg import RidgeBasis, loo_path, loo_squared_error, to_numpy
from ..theory.learning_curves import (
    RidgeProfile,
    ridge_profile,
    transfer_degrees,
    transfer_penalty,
    transfer_values,
)
from ..utils._intervals import Z95
from ._accuracy import Labels, class_rates, stretch_accuracy
from ._closed_forms import HeldOut, least_squares_targets, rows_basis
from ._growth import Parts
from ._input import CHOOSE_PENALTY, RIDGES, Rows, ridge_penalty

_PROFILE = np.logspace(-6, 4, 61)
"""Penalties of the profile over the mean eigenvalue: from hardly any shrinkage to almost all."""
_PENALTIES_AT_ONCE = 8
"""Leave-one-out scores are kept for so many penalties at a time, to bound the memory."""
_CANDIDATES = np.logspace(-5, 3, 33)
"""Penalties tried where one is chosen, over `_LEVEL` or the mean eigenvalue."""
_LEVEL = 16
"""Penalty of the profile, .0005 mean eigenvalues: candidates over it are from none to half one."""
_ALL_ROWS = 0.95
"""Degrees of freedom over rows, at next to no penalty, from which rows limit them, not features."""
_CONTINUED = 0.5
"""Part of the smallest penalty on the profile to which it is continued: an octave."""
_LEAST_ROOM = 0.1
"""1 - df2 / n below which errors of one training set are amplified tenfold: all noise."""
_AMPLITUDE_SPREAD = 0.5
"""By how much true gains differ from those of approximate theory, relative to these: one deviation.
Classes that are not equally far apart gain half of what equal ones would, or twice."""
_DOUBT_PER_OCTAVE = 0.25
"""By how much a rise from a part of the rows leaves that of theory, relative to the larger of both,
for each halving: one deviation. A quarter may have hardly more rows than features."""

ALL_NOISE = (
    "The rows are hardly more than the features in use (`n_effective_samples_`), where a fit with "
    "too little penalty is all noise: no other score is predicted. Give more rows, or a larger "
    "penalty."
)
NOT_APART = (
    "The classes are not apart beyond chance in held-out scores (`held_out_scores_`): there is "
    "nothing to extrapolate, and no other score is predicted. Give more rows."
)


class Moments(NamedTuple):
    """Moments of predictions on fresh rows, for q targets.

    Attributes
    ----------
    error : ndarray of shape (q,)
        Mean squared error.
    covariance : ndarray of shape (q,)
        Covariance of targets and predictions.
    room : float
        ``1 - df2 / n``.
    """

    error: np.ndarray
    covariance: np.ndarray
    room: float


class Extrapolation(NamedTuple):
    """What one training set shows of every renormalised penalty, and how the penalty is set.

    Attributes
    ----------
    profile : RidgeProfile
        Degrees of freedom at k penalties.
    bias : ndarray of shape (k, q)
        Squared error on fresh rows without the excess of a finite training set.
    covariance : ndarray of shape (k, q)
        Covariance of targets and predictions on fresh rows.
    variances : ndarray of shape (q,)
        Variances of the targets.
    size : float
        Effective number of rows at hand.
    per_row, total : float
        The penalty per row is ``per_row + total / n``.
    is_chosen : bool
        Whether the penalty is chosen anew at every number of rows.
    is_noise : bool
        Whether a fit passes through its rows.
    amplitude, amplitude_error : float
        By what gains are multiplied, and its standard error; 1 and 0 where theory is exact.
    """

    profile: RidgeProfile
    bias: np.ndarray
    covariance: np.ndarray
    variances: np.ndarray
    size: float
    per_row: float
    total: float
    is_chosen: bool
    is_noise: bool
    amplitude: float = 1.0
    amplitude_error: float = 0.0

    def moments(
        self, n_samples: float, alpha: float | None = None, noise: tuple | None = None
    ) -> Moments:
        """Return the moments at a number of rows, a penalty per row and other label noise."""
        alpha = self.per_row + self.total / n_samples if alpha is None else alpha
        kappa = transfer_penalty(self.profile, alpha, n_samples)
        bias, covariance = (
            np.array([transfer_values(self.profile, column, kappa) for column in table.T])
            for table in (self.bias, self.covariance)
        )
        if noise is not None:
            contrast, variances = noise
            bias = contrast**2 * (bias - self.variances) + variances
            covariance = contrast**2 * covariance
        df2 = transfer_degrees(self.profile, kappa)[1]
        room = max(1.0 - df2 / n_samples, 1e-6)
        return Moments(bias / room, covariance, room)

    def reaches(self, n_samples: float) -> bool:
        """Return whether the penalty at a number of rows is one that the rows at hand show.

        Of more features than rows, degrees of freedom are continued below it by a power law, and
        nothing is known of the rest.
        """
        if self.profile.df1[0] < _ALL_ROWS * self.profile.n_samples:
            return True
        alpha = self.per_row + self.total / n_samples
        kappa = transfer_penalty(self.profile, alpha, n_samples)
        return bool(kappa >= _CONTINUED * self.profile.penalties[0])

    def best(
        self, n_samples: float, value: Callable[[Moments], float], noise: tuple | None = None
    ) -> float:
        """Return a value at a number of rows, the largest over penalties if one is chosen."""
        if not self.is_chosen:
            return value(self.moments(n_samples, noise=noise))
        level = self.profile.penalties[_LEVEL]
        return max(value(self.moments(n_samples, level * c, noise)) for c in _CANDIDATES)


def extrapolation(model: Any, rows: Rows, left: HeldOut, *, is_noise: bool) -> Extrapolation:
    """Measure on one training set what scores at other numbers of rows depend on."""
    intercept = getattr(model, "fit_intercept", True)
    targets = least_squares_targets(model, rows.y).reshape(len(rows.y), -1)
    # Class weights belong to the fit of a ridge; what stands for other fits has none.
    weights = rows.fit_weights if isinstance(model, RIDGES) else rows.weights
    basis = rows_basis(model, rows, weights)
    spectrum = to_numpy(basis.scale).astype(float) * basis.unit**2 / basis.total_weight
    alphas = _PROFILE * spectrum.mean()
    # Copies of rows make fewer observations than directions: a fit passes through all of them then.
    profile = ridge_profile(spectrum, alphas, max(rows.size - float(intercept), len(spectrum)))
    shares = rows.weights / rows.weights.sum()
    centred = targets - shares @ targets if intercept else targets
    errors = to_numpy(loo_squared_error(basis, targets, alphas))
    covariance = np.concatenate(
        [
            np.einsum("iqk,iq,i->kq", to_numpy(loo_path(basis, targets, some)[0]), centred, shares)
            for some in np.array_split(alphas, -(-len(alphas) // _PENALTIES_AT_ONCE))
        ]
    )
    per_row, total = _penalty(model, rows, left, basis, targets)
    return Extrapolation(
        profile=profile,
        bias=errors * (1.0 - profile.df2 / rows.size)[:, None],
        covariance=covariance,
        variances=shares @ centred**2,
        size=rows.size,
        per_row=per_row,
        total=total,
        is_chosen=isinstance(model, CHOOSE_PENALTY),
        is_noise=is_noise,
    )


def _penalty(
    model: Any, rows: Rows, left: HeldOut, basis: RidgeBasis, targets: np.ndarray
) -> tuple[float, float]:
    """Return the parts of the penalty per row that do not, and do, fall with the number of rows."""
    if isinstance(model, RIDGES):
        return 0.0, ridge_penalty(model)
    if isinstance(model, LinearDiscriminantAnalysis):
        return _shrinkage_penalty(model, rows), 0.0
    return 0.0, _nearest_penalty(left.scores, basis, targets) * rows.size


def _shrinkage_penalty(model: Any, rows: Rows) -> float:
    """Return the penalty that shrinking the covariance amounts to."""
    if model.shrinkage is None:
        return 0.0
    codes = np.searchsorted(model.classes_, rows.y)
    means = [
        np.average(rows.X[codes == k], axis=0, weights=rows.weights[codes == k])
        for k in range(len(model.classes_))
    ]
    deviations = rows.X - np.array(means)[codes]
    level = float(np.average((deviations**2).mean(axis=1), weights=rows.weights))
    share = (
        float(ledoit_wolf_shrinkage(deviations))
        if model.shrinkage == "auto"
        else float(model.shrinkage)
    )
    return level * share / max(1.0 - share, 1e-6)


def _nearest_penalty(scores: np.ndarray, basis: RidgeBasis, targets: np.ndarray) -> float:
    """Return the penalty per row of the ridge fit whose held-out scores correlate best."""
    level = float(to_numpy(basis.scale).mean()) / basis.total_weight * basis.unit**2
    scores = scores.reshape(len(targets), -1)
    scores = scores - scores.mean(0)
    if scores.shape[1] > 1:
        scores = scores - scores.mean(1, keepdims=True)
    correlations = []
    for alpha in _CANDIDATES * level:
        path = to_numpy(loo_path(basis, targets, [alpha])[0])[:, :, 0]
        path = path - path.mean(0)
        correlations.append((path * scores).sum() / np.sqrt((path**2).sum() + 1e-300))
    return float(_CANDIDATES[int(np.argmax(correlations))] * level)


def no_forecast(curve: Extrapolation, labels: Labels | None) -> str | None:
    """Return why no score can be predicted, None if one can."""
    if curve.is_noise or curve.moments(curve.size).room < _LEAST_ROOM:
        return ALL_NOISE
    if labels is not None:
        present, chance = _separations(curve, labels)
        if present.mean() < chance.mean():
            return NOT_APART
    return None


def knows_amplitude(model: Any, labels: Labels | None) -> bool:
    """Return whether theory knows by how much scores rise, not only along what curve.

    Three and more classes are taken as equally far apart, a ridge stands for logistic regression,
    and shrinkage that is estimated changes with the number of rows.
    """
    if labels is None:
        return True
    approximate = isinstance(model, LogisticRegression) or getattr(model, "shrinkage", 0) == "auto"
    return len(labels.prior) == 2 and not approximate


def scaled_gains(
    curve: Extrapolation, labels: Labels | None, present: np.ndarray, parts: Parts | None
) -> Extrapolation:
    """Return a curve whose gains are those measured on parts of the rows, as far as they show."""
    if parts is None:
        return curve._replace(amplitude_error=_AMPLITUDE_SPREAD)
    expected = _theory(curve, labels, present[:1], parts.sizes, None)[0]
    rises, expected = ((x[0] - x[1:]) for x in (parts.values, expected))
    octaves = np.log2(parts.sizes[0] / parts.sizes[1:])
    misfit = _DOUBT_PER_OCTAVE * octaves * np.maximum(np.abs(rises), np.abs(expected))
    expected = np.where(np.abs(expected) < 1e-9, 1e-9, expected)
    # In units of the amplitude; theory that expects no rise shows nothing of it.
    doubt = np.sqrt(parts.errors[0] ** 2 + parts.errors[1:] ** 2 + misfit**2) / np.abs(expected)
    ratios = np.append(rises / expected, 1.0)
    known = np.append(doubt, _AMPLITUDE_SPREAD) ** -2.0
    amplitude = max(float(np.average(ratios, weights=known)), 0.0)
    return curve._replace(amplitude=amplitude, amplitude_error=float(known.sum() ** -0.5))


def predicted_scores(
    curve: Extrapolation,
    labels: Labels | None,
    present: np.ndarray,
    sizes: np.ndarray,
    noise_rates: np.ndarray | None,
) -> np.ndarray:
    """Return score, lower and upper bound (3, m) at numbers of rows (m,) and rates (m, r)."""
    scores = _theory(curve, labels, present, sizes, noise_rates)
    if labels is None:
        return scores
    rates, which = noise_rates, np.zeros(len(sizes), dtype=int)
    if noise_rates is not None:
        rates, which = np.unique(noise_rates, axis=0, return_inverse=True)
    here = np.full(1 if rates is None else len(rates), curve.size)
    now = _theory(curve, labels, present, here, rates)[:, which.ravel()]
    # Errors fall no faster than 1/n, unless theory says so; that no row has shown, at most so fast:
    # the tails of normal scores promise what few rows can deny.
    slowly = 1.0 - (1.0 - now) * np.minimum(curve.size / sizes, 1.0)
    if curve.amplitude_error > 0.0:
        scores = _scaled(curve, scores, now, slowly[0])
    score, low, high = scores
    return np.clip([score, np.minimum(low, slowly[1]), high], 0.0, 1.0)


def _scaled(
    curve: Extrapolation, scores: np.ndarray, now: np.ndarray, slowly: np.ndarray
) -> np.ndarray:
    """Return scores whose gains are multiplied by what parts of the rows show, with its error."""
    gains = scores - now
    spread = Z95 * curve.amplitude_error * np.abs(gains[0])
    score, low, high = now + curve.amplitude * gains
    score = np.minimum(score, np.maximum(scores[0], slowly))
    return np.array(
        [score, score - np.hypot(score - low, spread), score + np.hypot(high - score, spread)]
    )


def _theory(
    curve: Extrapolation,
    labels: Labels | None,
    present: np.ndarray,
    sizes: np.ndarray,
    noise_rates: np.ndarray | None,
) -> np.ndarray:
    """Return what present scores (s,) become at numbers of rows (m,) and rates (m, r): (s, m)."""
    if labels is None:
        return 1.0 - _error_ratios(curve, sizes) * (1.0 - present[:, None])
    if noise_rates is None:
        return _accuracies(curve, labels, present, sizes, labels.rates, labels.contrast)
    scores = np.empty((len(present), len(sizes)))
    different, which = np.unique(noise_rates, axis=0, return_inverse=True)
    for k, given in enumerate(different):
        own = which.ravel() == k
        rates, contrast = class_rates(given, len(labels.prior))
        scores[:, own] = _accuracies(curve, labels, present, sizes[own], rates, contrast)
    return scores


def _error_ratios(curve: Extrapolation, sizes: np.ndarray) -> np.ndarray:
    """Return mean squared errors at other numbers of rows over the present one."""
    now = curve.moments(curve.size).error[0]
    return np.array([-curve.best(n, lambda moments: -moments.error[0]) / now for n in sizes])


def _accuracies(
    curve: Extrapolation,
    labels: Labels,
    present: np.ndarray,
    sizes: np.ndarray,
    rates: np.ndarray,
    contrast: float,
) -> np.ndarray:
    """Return what present accuracies become at other numbers of rows with other noise."""
    clean = _clean_variances(curve, labels)
    variances = curve.variances / target_variances(labels.prior, labels.rates)
    variances = variances * target_variances(labels.prior, rates)
    apart, chance = _separations(curve, labels)
    # A class between the others is not apart from their mean, and shows nothing.
    clear = apart > chance
    clear = clear if clear.any() else np.ones_like(clear)

    def ratio(moments: Moments) -> float:
        values = separation(moments, variances, clean, contrast)
        return float((values[clear] / apart[clear]).mean())

    noise = (contrast / labels.contrast, variances)
    ratios = np.array([curve.best(n, ratio, noise) for n in sizes])
    return stretch_accuracy(present[:, None], ratios, len(labels.prior))


def _separations(curve: Extrapolation, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """Return the present separation of classes, and two standard errors of none."""
    clean = _clean_variances(curve, labels)
    moments = curve.moments(curve.size)
    present = separation(moments, curve.variances, clean, labels.contrast)
    return present, 2.0 / np.sqrt(curve.size * clean) / labels.contrast


def _clean_variances(curve: Extrapolation, labels: Labels) -> np.ndarray:
    """Return the variances of the targets without noise."""
    scale = curve.variances / target_variances(labels.prior, labels.rates)
    return scale * target_variances(labels.prior, np.zeros(len(labels.prior)))


def target_variances(prior: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the variances of the targets -1/+1 of noisy labels, one or one per class."""
    n_classes = len(prior)
    spread = prior * rates / max(n_classes - 1, 1)
    observed = prior * (1.0 - rates) + spread.sum() - spread
    variances = 4.0 * observed * (1.0 - observed)
    return variances[1:] if n_classes == 2 else variances


def separation(
    moments: Moments, variances: np.ndarray, clean_variances: np.ndarray, contrast: float
) -> np.ndarray:
    """Return the distance of clean classes over the deviation within them, up to a factor."""
    spread = moments.error - variances + 2.0 * moments.covariance
    clean = moments.covariance / contrast
    within = np.maximum(spread - clean**2 / clean_variances, 1e-12 * clean_variances)
    return clean / clean_variances / np.sqrt(within)
