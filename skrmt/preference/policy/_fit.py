"""Fits of each kind of loss to comparisons, with the margins of comparisons left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ...linalg import coefficients, group_path, loo_path, ridge_basis
from ...theory.preference._names import canonical_loss
from ...utils._dask import is_dask
from ..losses._table import LOSSES, MARGIN_LOSSES, Loss
from ._accuracy import smooth_ratio
from ._candidate_fit import fit_candidates, leave_one_out_candidates
from ._comparisons import Comparisons
from ._derivatives import Derivatives
from ._groups import best_columns, content_folds, scores_at, scores_of_refits
from ._input import Candidates, in_unit
from ._moments import Moments, moments_of_blocks, ridge_path
from ._separation import check_finite_optimum
from ._solver import (
    Fit,
    PairLoss,
    both_ways,
    descend,
    directions,
    gradient_size,
    in_turn,
    leave_one_out,
    loss_of,
    newton,
    smooth_hinge,
)

_RIDGE_GRID = np.logspace(-4, 3, 29)
_NEWTON_GRID = np.logspace(-4, 3, 15)
"""Penalties tried, in units of the curvature of the loss times the mean square of an entry."""

_MANY = 20_000
"""Pairs from which a fit to one in eight is a start worth its time."""

_NEAR_BEST = 0.01
"""Difference from the best smooth ratio within which the smallest penalty is borrowed: under white
noise the best one for ipo may be arbitrarily large."""

_NAN = float("nan")


class Setting(NamedTuple):
    """The loss of a fit and what it takes; alpha is None if it is to be chosen."""

    name: str
    beta: float
    noise: float
    options: dict[str, Any]
    alpha: float | None
    max_iter: int

    @property
    def loss(self) -> Loss:
        """The loss with its flags."""
        return LOSSES[self.name]

    @property
    def reads_noise(self) -> bool:
        """Whether the loss takes the share of wrong comparisons."""
        return self.loss.smoothing(1.0) > 0

    def with_noise(self, noise: float) -> Setting:
        """Return the setting for a share of wrong comparisons, which the loss may ignore."""
        if self.loss.needs_noise and not noise > 0:
            raise ValueError(
                f"noise_rate={noise!r} with loss={self.name!r}, which needs it above 0: its target "
                "is log((1 - noise) / noise). Use 1e-3 for instance."
            )
        return self._replace(noise=float(self.loss.smoothing(noise)))


class Choice(NamedTuple):
    """A fit, its penalty, and the margins of pairs left out.

    Attributes
    ----------
    fit : Fit
        The fit.
    alpha : float
        Its penalty.
    alphas : ndarray
        Penalties tried.
    left_out : ndarray or None
        Score of each row by the fit without it; None if not known.
    kind : {"exact", "newton", "folds"} or None
        How it was computed.
    ridge_alpha : float
        Penalty of the squared loss of the same shrinkage; nan where there is none.
    moments : Moments or None
        Sums over the comparisons, where they took the place of the rows.
    by_prompt : bool
        Whether `left_out` is by prompts of candidate sets.
    """

    fit: Fit
    alpha: float
    alphas: np.ndarray
    left_out: np.ndarray | None
    kind: str | None
    ridge_alpha: float
    moments: Moments | None = None
    by_prompt: bool = False


def read_setting(
    loss: str,
    *,
    beta: float,
    alpha: float | str,
    options: Mapping[str, Any] | None,
    max_iter: int,
    unit: float,
) -> Setting:
    """Check parameters against one another, and take the penalty to the unit of the data."""
    name = canonical_loss(loss)
    if LOSSES[name].batch:
        raise ValueError(
            f"loss={loss!r} compares ranks within a batch, so that a pair has no loss of its own. "
            "Use 'cdpo', or train a model by `preference_loss`."
        )
    penalty = None if isinstance(alpha, str) else in_unit(float(alpha), unit)
    if penalty == 0 and LOSSES[name].convex and not LOSSES[name].smooth:
        raise ValueError(
            f"alpha=0 with loss={loss!r}: its minimum is not unique. Give a positive alpha, or "
            "'auto'."
        )
    return Setting(name, float(beta), 0.0, dict(options or {}), penalty, int(max_iter))


def fit_loss(setting: Setting, pairs: Comparisons, sets: Candidates | None) -> Choice:
    """Fit a loss, and choose its penalty if none is given."""
    loss = setting.loss
    if loss.margin is None:
        if sets is None:
            raise ValueError(
                f"loss={setting.name!r} reads the probability of each response, which pairs do not "
                "determine: give candidate sets, X of shape (n_prompts, n_candidates, n_features) "
                "and y of shape (n_prompts, 2); or use a loss of the margin, "
                f"{', '.join(MARGIN_LOSSES)}."
            )
        return _fit_normalised(sets, pairs, setting)
    if loss.squared:
        return _fit_ridge(pairs, setting)
    return (_fit_convex if loss.convex else _fit_other)(pairs, setting)


def mean_margin(choice: Choice, pairs: Comparisons, sets: Candidates | None) -> float:
    """Return the mean margin of the comparisons as they went."""
    if choice.moments is not None:
        return choice.moments.mean_margin(choice.fit.coef)
    scores = choice.fit.scores if sets is None else pairs.differences @ choice.fit.coef
    margins, weights = pairs.outcomes(scores)
    return float(weights @ margins / weights.sum())


def derivatives_of(choice: Choice, pairs: Comparisons, setting: Setting) -> Derivatives | None:
    """Return the derivatives of the loss at a fit; None where they do not determine others."""
    loss = setting.loss
    if is_dask(pairs.differences) or loss.margin is None or not (loss.convex and loss.smooth):
        return None
    of_pair = loss_of(setting.name, beta=setting.beta, noise=setting.noise, options=setting.options)
    scores = choice.fit.scores
    _, first, second = both_ways(of_pair, pairs)(scores)
    Z = directions(pairs.differences, full_rank=False).Z
    return Derivatives(Z, scores, first, second, choice.alpha)


def _targets(pairs: Comparisons, beta: float) -> np.ndarray:
    """Return the mean target of the squared loss for each distinct pair."""
    return (pairs.won - pairs.lost) / pairs.weights / (2 * beta)


def _basis(pairs: Comparisons) -> Any:
    """Return the decomposition of the differences."""
    weights = pairs.weights
    given = None if np.ptp(weights) == 0 and weights[0] == 1 else weights
    return ridge_basis(pairs.differences, given, fit_intercept=False, part=pairs.part)


def _level(pairs: Comparisons) -> float:
    """Return the mean square of a difference, 1 for none."""
    weights = pairs.weights
    energy = np.einsum("ij,ij->i", pairs.differences, pairs.differences)
    return float(weights @ energy / weights.sum()) / pairs.differences.shape[1] or 1.0


def _best(left: np.ndarray, pairs: Comparisons) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the best penalty, and the scores of rows at theirs, with which penalty that is.

    Each row is scored at the penalty that the rows of other folds choose.
    """
    if left.shape[1] == 1:
        return 0, left[:, 0], np.zeros(len(left), dtype=int)
    fold = content_folds(pairs)
    margins, weights = pairs.outcomes(left)
    best, without = best_columns(margins, weights, fold[pairs.outcome_rows])
    columns = without[fold]
    return best, scores_at(left, best, columns), columns


def _fit_ridge(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit the squared loss, the penalty by exact leave-one-out."""
    if is_dask(pairs.differences):
        return _fit_ridge_blocks(pairs, setting)
    basis = _basis(pairs)
    targets = _targets(pairs, setting.beta)
    alphas = (
        _level(pairs) * _RIDGE_GRID if setting.alpha is None else np.array([float(setting.alpha)])
    )
    loo = _ridge_left_out(basis, pairs, targets, alphas)
    best, left_out, _ = _best(loo, pairs)
    coef = coefficients(basis, targets, float(alphas[best]))[0][0]
    fit = Fit(coef, pairs.differences @ coef, 1, True)
    return Choice(fit, float(alphas[best]), alphas, left_out, "exact", float(alphas[best]))


def _ridge_left_out(
    basis: Any, pairs: Comparisons, targets: np.ndarray, alphas: np.ndarray
) -> np.ndarray:
    """Return the scores (m, k) of pairs by fits without them, or without their group."""
    if pairs.group is None:
        return loo_path(basis, targets, alphas)[0][:, 0]
    return group_path(basis, targets, alphas, pairs.group)[:, 0]


def _fit_ridge_blocks(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit the squared loss to a Dask array, of which no row leaves its worker."""
    differences, balance, weights = pairs.differences, pairs.balance, pairs.weights
    moments = moments_of_blocks(pairs)
    given = setting.alpha
    alphas = moments.level * _RIDGE_GRID if given is None else np.array([float(given)])
    path = ridge_path(moments, differences, balance, weights, pairs.part, alphas, setting.beta)
    best, left_out, _ = _best(path.left_out, pairs)
    alpha = float(alphas[best])
    fit = Fit(path.coef[:, best], np.empty(0), 1, True)
    return Choice(fit, alpha, alphas, left_out, "exact", alpha, moments)


def _curvature(loss: PairLoss, pairs: Comparisons, setting: Setting, scores) -> float:
    """Return the mean second derivative of the loss of a pair, of a smooth hinge for the hinge."""
    smooth = loss if setting.loss.smooth else smooth_hinge(setting.beta, 1.0)
    return float(both_ways(smooth, pairs)(scores)[2].sum())


def _fit_convex(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a convex loss by Newton's method, the penalty by approximate leave-one-out."""
    beta, smooth = setting.beta, setting.loss.smooth
    loss = loss_of(setting.name, beta=beta, noise=setting.noise, options=setting.options)
    coarse, fine = in_turn(loss, smooth, beta)
    space = directions(pairs.differences, setting.alpha == 0)
    alphas = np.array([setting.alpha], dtype=float)
    if setting.alpha is None:
        alphas = beta**2 / 8 * _level(pairs) * _NEWTON_GRID
    start = _rough_start(space.Z, pairs, loss, float(alphas[-1])) if smooth else None
    rounded = [both_ways(each, pairs) for each in coarse]
    fits, left = _newton_path(space.Z, rounded, alphas, start, pairs, setting.max_iter)
    if setting.alpha == 0:
        check_finite_optimum(setting.name, pairs, fits[0])
    best, left_out, columns = _best(left, pairs)
    alpha, fit = float(alphas[best]), fits[best]
    steps = sum(each.n_iter for each in fits)
    if fine:
        shift = left_out - fit.scores
        nearly = [both_ways(each, pairs) for each in fine]
        fit = newton(space.Z, nearly, alpha, fit.coef, setting.max_iter)
        left_out, steps = fit.scores + shift, steps + fit.n_iter
    # Without a group, pairs cross the corner of a loss: one step from the fit is too short.
    refits = bool(fine) and pairs.group is not None
    if refits:
        losses, given = [*coarse, *fine], alphas[columns]
        left_out = scores_of_refits(space.Z, pairs, losses, given, fit.coef, setting.max_iter)
    bend = _curvature(loss, pairs, setting, fit.scores)
    ridge = 2 * alpha / bend if bend > 0 else np.inf
    fit = fit._replace(coef=space.coef(fit.coef), n_iter=steps)
    kind = "folds" if refits else "newton"
    return Choice(fit, alpha, alphas, left_out, kind, ridge if alpha else 0.0)


def _newton_path(
    Z: np.ndarray,
    losses: list[PairLoss],
    alphas: np.ndarray,
    rough: Fit | None,
    pairs: Comparisons,
    max_iter: int,
) -> tuple[list[Fit], np.ndarray]:
    """Return the fits for increasing penalties, each from the one above, and scores left out."""
    start, near, size = (None, None, None)
    if rough is not None:
        start, near, size = rough.coef, rough.factor, rough.size
    size = gradient_size(Z, losses[-1]) if size is None else size
    fits, left = [], []
    for alpha in alphas[::-1]:
        fit = newton(Z, losses, float(alpha), start, max_iter, factor=near, size=size)
        near, start = fit.factor, fit.coef
        fits.append(fit)
        without = leave_one_out(
            Z, losses[-1], float(alpha), fit.scores, pairs.part, near, pairs.group
        )
        left.append(without)
    return fits[::-1], np.column_stack(left[::-1])


def _rough_start(Z: np.ndarray, pairs: Comparisons, loss: PairLoss, alpha: float) -> Fit | None:
    """Return a rough fit to one row in eight if rows abound, else None."""
    n, p = Z.shape
    if n < max(_MANY, 100 * p) or alpha == 0:
        return None
    blocks = [slice(start, start + n // 128) for start in range(0, n, n // 16)]
    won, lost, rows = (
        np.concatenate([array[block] for block in blocks]) for array in (pairs.won, pairs.lost, Z)
    )
    part = pairs._replace(won=won, lost=lost)
    return newton(rows, [both_ways(loss, part)], alpha, None, 50, tol=1e-3)


def _borrowed_alpha(pairs: Comparisons, setting: Setting, curvature: float) -> float:
    """Return the penalty given, or that of the squared loss for a loss of this curvature."""
    if setting.alpha is not None:
        return setting.alpha
    basis, alphas = _basis(pairs), _level(pairs) * _RIDGE_GRID
    left_out = _ridge_left_out(basis, pairs, _targets(pairs, setting.beta), alphas)
    margins, weights = pairs.outcomes(left_out)
    ratios = smooth_ratio(margins, weights)
    return curvature / 2 * float(alphas[np.argmax(ratios >= ratios.max() - _NEAR_BEST)])


def _fit_other(pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a loss of the margin that is not convex, from where that of dpo is least."""
    loss = loss_of(setting.name, beta=setting.beta, noise=setting.noise, options=setting.options)
    convex = loss_of("dpo", beta=setting.beta, noise=0.0, options={})
    space = directions(pairs.differences, setting.alpha == 0)
    alpha = _borrowed_alpha(pairs, setting, setting.beta**2 / 4)
    start = newton(space.Z, [both_ways(convex, pairs)], alpha, None, setting.max_iter).coef
    fit = descend(space.Z, both_ways(loss, pairs), alpha, start, setting.max_iter)
    fit = fit._replace(coef=space.coef(fit.coef))
    return Choice(fit, alpha, np.array([alpha]), None, None, _NAN)


def _fit_normalised(sets: Candidates, pairs: Comparisons, setting: Setting) -> Choice:
    """Fit a loss of single responses."""
    name, beta, options = setting.name, setting.beta, setting.options
    if setting.alpha is None and setting.loss.convex:
        alphas = _level(pairs) / 8 * _NEWTON_GRID[::2]
    else:
        curvature = 2.0 if setting.loss.squared else beta**2 / 4
        alphas = np.array([_borrowed_alpha(pairs, setting, curvature)])
    fits = [
        fit_candidates(
            name, sets, float(alpha), beta=beta, options=options, max_iter=setting.max_iter
        )
        for alpha in alphas
    ]
    if not setting.loss.convex:
        return Choice(fits[0], float(alphas[0]), alphas, None, None, _NAN)
    left = np.column_stack(
        [
            leave_one_out_candidates(name, sets, float(alpha), fit, beta=beta, options=options)
            for alpha, fit in zip(alphas, fits, strict=True)
        ]
    )

    fold = content_folds(pairs)[pairs.row]
    best, without = best_columns(left, sets.weights, fold)
    left_out = scores_at(left, best, without[fold])
    return Choice(fits[best], float(alphas[best]), alphas, left_out, "newton", _NAN, by_prompt=True)
