"""Everything that fitting a policy to comparisons tells, in the units of the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...linalg import coefficients, loo_path, ridge_basis
from ...theory.preference._names import canonical_loss
from ...utils._dask import is_dask
from ..self_play._candidate_fit import (
    CONVEX_NORMALISED,
    NORMALISED,
    Drift,
    drift,
    fit_candidates,
    leave_one_out_candidates,
)
from ._input import Candidates, Comparisons
from ._moments import Moments, moments_of, ridge_path
from ._noise import NoiseEstimate, estimate_noise
from ._separation import check_finite_optimum
from ._solver import (
    CONVEX,
    Fit,
    Slope,
    _smooth_hinge,
    both_ways,
    convex_slopes,
    descend,
    directions,
    gradient_size,
    leave_one_out,
    newton,
    slope_of,
)
from ._theory import (
    Signal,
    accuracy_of_margins,
    estimate_signal,
    model_accuracy,
    noise_is_white,
    signal_of,
    smooth_ratio,
)

OF_MARGIN = (*CONVEX, "exo", "discopop")
OWN_NOISE = ("cdpo", "robust", "exo")

_RIDGE_GRID = np.logspace(-4, 3, 29)
_NEWTON_GRID = np.logspace(-4, 3, 15)
_MANY = 20_000
_AGREE = 2.5
_ALIKE = 0.01
_NAN = float("nan")


class Problem(NamedTuple):
    """What a fit is given.

    Attributes
    ----------
    pairs : Comparisons
        Distinct pairs, in their unit.
    sets : Candidates or None
        Candidate sets, features in the same unit.
    items : tuple of ndarray or dask array, or None
        Features of the chosen and of the rejected responses.
    """

    pairs: Comparisons
    sets: Candidates | None
    items: tuple[Any, Any] | None


class Setting(NamedTuple):
    """The loss of a fit and what it takes."""

    name: str
    beta: float
    noise: float
    options: dict[str, Any]
    alpha: float | None
    max_iter: int


class Choice(NamedTuple):
    """A fit, its penalty, and the margins of pairs left out, None where they are not known."""

    fit: Fit
    alpha: float
    alphas: np.ndarray
    left_out: np.ndarray | None
    ridge_alpha: float
    """Penalty of the squared loss of the same shrinkage."""
    moments: Moments | None = None
    """Sums over the comparisons, where they took the place of the rows."""


def read_setting(estimator: Any, estimate: NoiseEstimate, unit: float) -> Setting:
    """Check the parameters of a policy against one another."""
    name = check_loss(estimator.loss)
    noise = estimator.noise_rate
    if isinstance(noise, str):
        noise = 0.0 if np.isnan(estimate.rate) else estimate.rate
    if name == "exo" and not noise > 0:
        raise ValueError(
            f"noise_rate={estimator.noise_rate!r} with loss='exo', which needs it above 0: its "
            "target is log((1 - noise) / noise). Use 1e-3 for instance."
        )
    alpha = None if isinstance(estimator.alpha, str) else float(estimator.alpha) / unit / unit
    if alpha == 0 and name == "hinge":
        raise ValueError(
            "alpha=0 with loss='hinge': its minimum is not unique. Give a positive alpha, or "
            "'auto'."
        )
    options = dict(estimator.loss_options or {})
    beta = float(estimator.beta)
    return Setting(name, beta, float(noise), options, alpha, int(estimator.max_iter))


def check_loss(loss: Any) -> str:
    """Return the canonical name of a loss that a policy can be fitted by."""
    return canonical_loss(loss, (*OF_MARGIN, *NORMALISED))


def fit_policy(estimator: Any, problem: Problem) -> tuple[dict[str, Any], list[str], bool]:
    """Fit a policy."""
    pairs = problem.pairs
    estimate = estimate_noise(pairs, *(problem.items or ()))
    setting = read_setting(estimator, estimate, pairs.unit)
    messages = _zero_pairs(pairs)
    if setting.name in NORMALISED:
        if problem.sets is None:
            raise ValueError(
                f"loss={estimator.loss!r} reads the probability of each response, which pairs do "
                "not determine: give candidate sets, X of shape (n_prompts, n_candidates, n_features) "
                "and y of shape (n_prompts, 2); or use a loss of the margin, "
                f"{', '.join(OF_MARGIN)}."
            )
        choice = _fit_normalised(problem.sets, pairs, setting)
    elif setting.name == "ipo":
        choice = _fit_ridge(pairs, setting)
    elif setting.name in CONVEX:
        choice = _fit_convex(pairs, setting)
    else:
        choice = _fit_other(pairs, setting)
    moved = Drift(_NAN, _NAN, _NAN)
    if problem.sets is not None:
        moved = drift(problem.sets, choice.fit.coef)
    theory, more = _theory(problem, setting, choice, estimate)
    unit = pairs.unit
    attributes = {
        "coef_": choice.fit.coef / unit,
        "alpha_": choice.alpha * unit * unit,
        "alphas_": choice.alphas * unit * unit,
        "noise_rate_": setting.noise if np.isnan(estimate.rate) else estimate.rate,
        "chosen_logratio_": moved.chosen,
        "rejected_logratio_": moved.rejected,
        "kl_to_reference_": moved.kl,
        "margin_": _mean_margin(problem, choice),
        "n_iter_": choice.fit.n_iter,
    }
    return attributes | theory, messages + more, choice.fit.converged


def _mean_margin(problem: Problem, choice: Choice) -> float:
    """Return the mean margin of the comparisons as they went."""
    if choice.moments is not None:
        return choice.moments.mean_margin(choice.fit.coef)
    scores = choice.fit.scores
    if problem.sets is not None:
        scores = problem.pairs.differences @ choice.fit.coef
    margins, weights = problem.pairs.outcomes(scores)
    return float(weights @ margins / weights.sum())


def _zero_pairs(pairs: Comparisons) -> list[str]:
    """Say that pairs of equal features tell nothing."""
    if len(pairs.empty) == 0:
        return []
    count = int(np.isin(pairs.row, pairs.empty).sum())
    return [
        f"{count} of {len(pairs.row)} pairs have responses of identical features: they only add a "
        "constant to the loss, and count as ranked half rightly. Leave them out."
    ]


def _targets(pairs: Comparisons, beta: float) -> np.ndarray:
    """Return the mean target of the squared loss for each distinct pair."""
    return (pairs.won - pairs.lost) / pairs.weights / (2 * beta)


def _basis(pairs: Comparisons) -> Any:
    """Return the decomposition of the differences."""
    weights = pairs.weights
    given = None if np.ptp(weights) == 0 and weights[0] == 1 else weights
    return ridge_basis(pairs.differences, given, fit_intercept=False)


def _level(pairs: Comparisons) -> float:
    """Return the mean square of a difference, 1 for none."""
    weights = pairs.weights
    energy = np.einsum("ij,ij->i", pairs.differences, pairs.differences)
    return float(weights @ energy / weights.sum()) / pairs.differences.shape[1] or 1.0


def best_alpha(left_out: np.ndarray, pairs: Comparisons) -> int:
    """Return which column of left-out scores ranks best, by their smooth ratio."""
    margins, weights = pairs.outcomes(left_out)
    return int(np.argmax(smooth_ratio(margins, weights).round(12)))


def _fit_ridge(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit the squared loss, the penalty by exact leave-one-out."""
    if is_dask(pairs.differences):
        return _fit_ridge_blocks(pairs, setting)
    basis = _basis(pairs)
    targets = _targets(pairs, setting.beta)
    alphas = (
        _level(pairs) * _RIDGE_GRID if setting.alpha is None else np.array([float(setting.alpha)])
    )
    loo = loo_path(basis, targets, alphas)[0][:, 0]
    best = best_alpha(loo, pairs) if len(alphas) > 1 else 0
    coef = coefficients(basis, targets, float(alphas[best]))[0][0]
    fit = Fit(coef, pairs.differences @ coef, 1, True)
    return Choice(fit, float(alphas[best]), alphas, loo[:, best], float(alphas[best]))


def _fit_ridge_blocks(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit the squared loss to a Dask array, of which no row leaves its worker."""
    differences, balance, weights = pairs.differences, pairs.balance, pairs.weights
    moments = moments_of(differences, balance, weights, pairs.unit)
    given = setting.alpha
    alphas = moments.level * _RIDGE_GRID if given is None else np.array([float(given)])
    path = ridge_path(moments, differences, balance, weights, alphas, setting.beta)
    best = best_alpha(path.left_out, pairs) if len(alphas) > 1 else 0
    alpha, left_out = float(alphas[best]), path.left_out[:, best]
    fit = Fit(path.coef[:, best], np.empty(0), 1, True)
    return Choice(fit, alpha, alphas, left_out, alpha, moments)


def _curvature(name: str, slope: Slope, pairs: Comparisons, setting: Setting, scores) -> float:
    """Return the mean second derivative of the loss of a pair, of a smooth hinge for the hinge."""
    smooth = _smooth_hinge(setting.beta, 1.0) if name == "hinge" else slope
    return float(both_ways(smooth, pairs)(scores)[2].sum())


def _fit_convex(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a convex loss by Newton's method, the penalty by approximate leave-one-out."""
    name, beta = setting.name, setting.beta
    slope = slope_of(name, beta=beta, noise_rate=setting.noise, options=setting.options)
    coarse, fine = (
        [both_ways(part, pairs) for part in parts] for parts in convex_slopes(name, slope, beta)
    )
    space = directions(pairs.differences, setting.alpha == 0)
    alphas = np.array([setting.alpha], dtype=float)
    if setting.alpha is None:
        alphas = beta**2 / 8 * _level(pairs) * _NEWTON_GRID
    size = gradient_size(space.Z, coarse[-1])
    fits, left, start = [], [], _rough_start(space.Z, pairs, name, slope, float(alphas[-1]))
    near = None if start is None else start.factor
    start = None if start is None else start.coef
    start_is_rough = start is not None
    for alpha in alphas[::-1]:
        fit = newton(space.Z, coarse, float(alpha), start, setting.max_iter, factor=near, size=size)
        near = fit.factor if start_is_rough else None
        fits.append(fit)
        start = fit.coef
        left.append(leave_one_out(space.Z, coarse[-1], float(alpha), fit.scores, near))
    if setting.alpha == 0:
        check_finite_optimum(name, pairs, fits[0])
    fits, left = fits[::-1], left[::-1]
    best = best_alpha(np.column_stack(left), pairs) if len(alphas) > 1 else 0
    alpha, fit, left_out = float(alphas[best]), fits[best], left[best]
    steps = sum(each.n_iter for each in fits)
    if fine:
        shift = left_out - fit.scores
        fit = newton(space.Z, fine, alpha, fit.coef, setting.max_iter)
        left_out, steps = fit.scores + shift, steps + fit.n_iter
    bend = _curvature(name, slope, pairs, setting, fit.scores)
    ridge = 2 * alpha / bend if bend > 0 else np.inf
    fit = fit._replace(coef=space.coef(fit.coef), n_iter=steps)
    return Choice(fit, alpha, alphas, left_out, ridge if alpha else 0.0)


def _rough_start(Z, pairs: Comparisons, name: str, slope: Slope, alpha: float):
    """Return a rough fit to one row in eight where rows abound, None elsewhere."""
    n, p = Z.shape
    if n < max(_MANY, 100 * p) or name == "hinge" or alpha == 0:
        return None
    blocks = [slice(start, start + n // 128) for start in range(0, n, n // 16)]
    won, lost, rows = (
        np.concatenate([array[block] for block in blocks]) for array in (pairs.won, pairs.lost, Z)
    )
    part = pairs._replace(won=won, lost=lost)
    return newton(rows, [both_ways(slope, part)], alpha, None, 50, tol=1e-3)


def _borrowed_alpha(pairs: Comparisons, setting: Setting, curvature: float) -> float:
    """Return the penalty given, or that of the squared loss for a loss of this curvature."""
    if setting.alpha is not None:
        return setting.alpha
    basis, alphas = _basis(pairs), _level(pairs) * _RIDGE_GRID
    left_out = loo_path(basis, _targets(pairs, setting.beta), alphas)[0][:, 0]
    margins, weights = pairs.outcomes(left_out)
    ratios = smooth_ratio(margins, weights)
    return curvature / 2 * float(alphas[np.argmax(ratios >= ratios.max() - _ALIKE)])


def _fit_other(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a loss of the margin that is not convex, from where that of dpo is least."""
    slope = slope_of(
        setting.name, beta=setting.beta, noise_rate=setting.noise, options=setting.options
    )
    convex = slope_of("dpo", beta=setting.beta, noise_rate=0.0, options={})
    space = directions(pairs.differences, setting.alpha == 0)
    alpha = _borrowed_alpha(pairs, setting, setting.beta**2 / 4)
    start = newton(space.Z, [both_ways(convex, pairs)], alpha, None, setting.max_iter).coef
    fit = descend(space.Z, both_ways(slope, pairs), alpha, start, setting.max_iter)
    fit = fit._replace(coef=space.coef(fit.coef))
    return Choice(fit, alpha, np.array([alpha]), None, _NAN)


def _fit_normalised(sets: Candidates, pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a loss of single responses."""
    name, beta, options = setting.name, setting.beta, setting.options
    if setting.alpha is None and name in CONVEX_NORMALISED:
        alphas = _level(pairs) / 8 * _NEWTON_GRID[::2]
    else:
        curvature = 2.0 if name == "sppo" else beta**2 / 4
        alphas = np.array([_borrowed_alpha(pairs, setting, curvature)])
    arguments = {"beta": beta, "options": options}
    fits = [
        fit_candidates(name, sets, float(alpha), **arguments, max_iter=setting.max_iter)
        for alpha in alphas
    ]
    best, left = 0, None
    if name in CONVEX_NORMALISED:
        columns = [
            leave_one_out_candidates(name, sets, float(alpha), fit, **arguments)
            for alpha, fit in zip(alphas, fits, strict=True)
        ]
        ratios = smooth_ratio(np.column_stack(columns), sets.weights)
        best = int(np.argmax(ratios.round(12)))
        left = columns[best]
    return Choice(fits[best], float(alphas[best]), alphas, left, _NAN)


def _theory(
    problem: Problem, setting: Setting, choice: Choice, estimate: NoiseEstimate
) -> tuple[dict[str, Any], list[str]]:
    """Return what the fit says of its own accuracy."""
    pairs = problem.pairs
    known = setting.noise > 0 or np.isnan(estimate.rate)
    noise = setting.noise if known else estimate.rate
    size = pairs.n_effective
    signal = _signal(pairs, choice.moments, size, noise)
    attributes: dict[str, Any] = {
        "signal_": signal.value,
        "signal_std_": signal.std,
        "theoretical_accuracy_": _NAN,
        "theoretical_accuracy_interval_": np.array([_NAN, _NAN]),
        "model_accuracy_": _NAN,
        "model_fit_": False,
        "held_out_scores_": np.full(len(pairs.row), _NAN),
    }
    if choice.left_out is None:
        kind = "has corners" if setting.name == "slic" else "is not convex"
        return attributes, [
            f"loss={setting.name!r} {kind}: what it does to fresh pairs cannot be told from "
            "one fit, and theoretical_accuracy_ is nan."
            + (" Its penalty is that of ipo." if setting.alpha is None else "")
        ]
    if setting.name in NORMALISED:
        margins, weights = choice.left_out, problem.sets.weights
        attributes["held_out_scores_"] = choice.left_out
        size = float(weights.sum() ** 2 / (weights**2).sum())
    else:
        margins, weights = pairs.outcomes(choice.left_out)
        rows = choice.left_out[pairs.row] * pairs.sign
        attributes["held_out_scores_"] = np.where(pairs.row >= 0, rows, _NAN)
    if size < 2:
        return attributes, ["One pair says nothing of others: theoretical_accuracy_ is nan."]
    told = accuracy_of_margins(margins, weights, size, noise)
    messages = _too_much_agreement(margins, weights, size, noise)
    accuracy, std = told.accuracy, told.std
    model, model_std, holds = _NAN, _NAN, False
    if not np.isnan(choice.ridge_alpha):
        n_features = pairs.differences.shape[1]
        model, model_std = model_accuracy(signal, size, n_features, choice.ridge_alpha, noise)
        total = None if choice.moments is None else choice.moments.cross
        holds = abs(model - accuracy) < _AGREE * std and noise_is_white(
            pairs.differences, pairs.won, pairs.lost, signal, noise, total
        )
    if holds:
        # What the model leaves out is taken as half of what the data leave open.
        accuracy, std = model, float(np.hypot(model_std, std / 2))
    doubt = 0.0 if known else told.noise_slope * estimate.std
    half = 1.96 * np.hypot(std, doubt)
    interval = np.clip(accuracy + half * np.array([-1.0, 1.0]), 0.0, 1.0)
    attributes |= {
        "theoretical_accuracy_": accuracy,
        "model_fit_": holds,
        "theoretical_accuracy_interval_": interval,
        "model_accuracy_": model,
    }
    return attributes, messages


def _signal(pairs: Comparisons, moments: Moments | None, size: float, noise: float) -> Signal:
    """Return the estimated signal, from sums over the rows where they are known."""
    if moments is None:
        return estimate_signal(pairs.differences, pairs.won, pairs.lost, size, noise)
    return signal_of(moments.cross / moments.weight, moments.energy, size, noise)


def _too_much_agreement(
    margins: np.ndarray, weights: np.ndarray, size: float, noise: float
) -> list[str]:
    """Say that more comparisons are ranked as observed than the noise allows."""
    agree = float(weights @ (margins > 0) / weights.sum())
    if agree - 1 + noise < 4 * np.sqrt(noise * (1 - noise) / size) or noise == 0:
        return []
    return [
        f"noise_rate={noise:.3g} leaves at most {1 - noise:.3g} of the comparisons right, but "
        f"fits without them rank {agree:.3g} as observed: the share of wrong ones must be smaller, "
        "and theoretical_accuracy_ is too large."
    ]
