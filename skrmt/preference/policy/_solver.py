"""Fits of losses of the margin: Newton's method, and what leaving a pair out would change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh, solve_triangular
from scipy.linalg.blas import dtrmm, strmm
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from ...utils._merging import rows_together
from ..losses._losses import margin_derivatives
from ..losses._table import LOSSES
from ._comparisons import Comparisons

_TOL = 3e-9
"""Largest entry of the gradient at a minimum, in units of that at 0."""

_COARSE = (1.0, 0.3)
_FINE = (0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)
"""Widths over which a corner is rounded in turn: the penalty is chosen at the end of the first,
whose second derivatives still are those of many pairs, and the fit is that of the last."""

_ALMOST = 1e-6
"""The same where rounding lets no step make the objective fall."""

_FLAT = 1e-10
"""Cosine of step and change of the gradient below which the curvature between them is rounding."""

_REUSE = 0.1
"""Factor by which the gradient must fall over a few steps for a Hessian to serve further ones."""

_STEPS_PER_HESSIAN = 12
"""Features for which a Hessian costs one step more: measured at 4000 x 100, a Hessian takes as long
as 8 steps, which read the differences twice."""

_NEAR = 1e-4
"""Gradient, in units of that at 0, below which a Hessian is that of the minimum: it is computed
there once, so that the steps left converge at once and pairs are left out by it."""

_STEP = 2e-8
"""Step, in units of the largest coefficient, after which the next one would be rounding."""

_FARTHEST = 1e6
"""Growth of the margins beyond that of the first step from which a fit counts as divergent."""

_ROOM = 1e-10
"""Least part of a row that its own leverage leaves: below, the score left out is rounding."""

_SINGLE = 1e-5
"""Error of leverages in single precision, in units of the largest, beyond which doubles are used.
Leverages of many rows are small: a score left out changes by this part of its own change."""

_BLOCK = 2048
"""Rows of a block: with 100 features they fit into the cache of a core."""

Derivatives = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Values of a loss with its first two derivatives."""

PairLoss = Callable[..., Derivatives]
"""A loss of margins; that of distinct pairs takes their rows, all by default."""


class Fit(NamedTuple):
    """A minimum.

    Attributes
    ----------
    coef : ndarray of shape (F,)
        Coefficients, of the differences as they are kept.
    scores : ndarray of shape (m,)
        Margins of the distinct pairs.
    n_iter : int
        Steps taken.
    converged : bool
        Whether the gradient vanished.
    factor : tuple, optional
        Factor of the Hessian near the minimum, if it was computed.
    size : float, optional
        Largest entry of the gradient at 0.
    """

    coef: np.ndarray
    scores: np.ndarray
    n_iter: int
    converged: bool
    factor: Any = None
    size: float | None = None


class Directions(NamedTuple):
    """Orthonormal coordinates of the space that the differences span.

    Attributes
    ----------
    Z : ndarray of shape (m, r)
        Coordinates of the differences.
    basis : ndarray of shape (r, F) or None
        What turns coordinates into features; None where they are the features.
    """

    Z: np.ndarray
    basis: np.ndarray | None

    def coef(self, coordinates: np.ndarray) -> np.ndarray:
        """Return coefficients of the features."""
        return coordinates if self.basis is None else coordinates @ self.basis


def directions(D: np.ndarray, full_rank: bool) -> Directions:
    """Return coordinates in which a penalised fit is small and, if asked, a free one regular."""
    m, F = D.shape
    if m >= F and not full_rank:
        return Directions(D, None)
    if m >= F:
        values, vectors = eigh(D.T @ D)
        kept = values > 1e-12 * max(float(values[-1]), 0.0)
        return Directions(D @ vectors[:, kept], vectors[:, kept].T)
    values, vectors = eigh(D @ D.T)
    kept = values > 1e-12 * max(float(values[-1]), 0.0)
    roots = np.sqrt(values[kept])
    return Directions(vectors[:, kept] * roots, (vectors[:, kept] / roots).T @ D)


def loss_of(name: str, *, beta: float, noise: float, options: dict[str, Any]) -> PairLoss:
    """Return a loss of the margin as a function."""
    noise = LOSSES[name].smoothing(noise)

    def loss(d: np.ndarray) -> Derivatives:
        return margin_derivatives(name, d, beta=beta, label_smoothing=noise, **options)

    loss(np.zeros(1))
    return loss if name != "dpo" else _logistic(beta)


def _logistic(beta: float) -> PairLoss:
    """Return the loss of dpo, in fewer passes than the general one."""

    def loss(d: np.ndarray) -> Derivatives:
        z = beta * d
        against = expit(-z)
        return -log_expit(z), -beta * against, beta**2 * against * (1.0 - against)

    return loss


def smooth_hinge(beta: float, width: float) -> PairLoss:
    """Return the hinge with its corner rounded over a width."""

    def loss(d: np.ndarray) -> Derivatives:
        short = 1 - beta * d
        inside = (short > 0) & (short < width)
        value = np.where(inside, short**2 / (2 * width), np.maximum(short - width / 2, 0.0))
        first = -beta * np.clip(short / width, 0.0, 1.0)
        return value, first, np.where(inside, beta**2 / width, 0.0)

    return loss


def both_ways(loss: PairLoss, pairs: Comparisons) -> PairLoss:
    """Return the loss of each distinct pair: of all its outcomes, divided by the total weight."""
    total = pairs.weights.sum()
    sign = np.where(pairs.won > 0, 1.0, -1.0)
    weight = np.where(pairs.won > 0, pairs.won, pairs.lost) / total
    signed = sign * weight
    both = (pairs.won > 0) & (pairs.lost > 0)
    any_both = bool(both.any())

    def combined(d: np.ndarray, rows: slice = slice(None)) -> Derivatives:
        value, first, second = loss(sign[rows] * d)
        value, first, second = weight[rows] * value, signed[rows] * first, weight[rows] * second
        if any_both:
            mixed = np.flatnonzero(both[rows])
            against = pairs.lost[rows][mixed] / total
            other, other_first, other_second = loss(-d[mixed])
            value[mixed] += against * other
            first[mixed] -= against * other_first
            second[mixed] += against * other_second
        return value, first, second

    return combined


def in_turn(loss: PairLoss, smooth: bool, beta: float) -> tuple[list[PairLoss], list[PairLoss]]:
    """Return the losses to minimise in turn: one with a corner, a hinge, is reached by smooth ones.

    The penalty is chosen at the end of the first list.
    """
    if smooth:
        return [loss], []
    return (
        [smooth_hinge(beta, width) for width in _COARSE],
        [smooth_hinge(beta, width) for width in _FINE],
    )


def newton(
    Z: np.ndarray,
    losses: list[PairLoss],
    alpha: float,
    start: np.ndarray | None,
    max_iter: int,
    tol: float = _TOL,
    factor: Any = None,
    size: float | None = None,
) -> Fit:
    """Minimise the losses in turn, each from the minimum of the one before."""
    u = np.zeros(Z.shape[1]) if start is None else start
    size = gradient_size(Z, losses[-1]) if size is None else size
    goal = Goal(tol * size, max(_NEAR, 10 * tol) * size, _ALMOST * size, max_iter)
    # Rounded corners bend where the margins change: old Hessians say little of them.
    patience = 1 + Z.shape[1] // _STEPS_PER_HESSIAN if len(losses) == 1 else 1
    fit, steps = Fit(u, np.empty(0), 0, True, factor), 0
    for loss in losses:
        fit = _newton(Z, loss, alpha, fit, goal, patience)
        steps += fit.n_iter
        fit = fit if len(losses) == 1 else fit._replace(factor=None)
    return fit._replace(n_iter=steps, size=size)


class Goal(NamedTuple):
    """Entries of the gradient at which a fit ends or is near, and the steps it may take."""

    reached: float
    near: float
    almost: float
    """Where rounding lets no step make the objective fall."""
    max_iter: int


def gradient_size(Z: np.ndarray, loss: PairLoss) -> float:
    """Return the largest entry of the gradient of a loss at 0, 1 if that is 0."""
    return float(np.abs(Z.T @ loss(np.zeros(len(Z)))[1]).max(initial=0.0)) or 1.0


class _Metric:
    """A Hessian, as its Cholesky factor, corrected by the steps taken since (L-BFGS)."""

    def __init__(self, factor: Any, far: bool) -> None:
        self.factor = factor
        self.far = far
        """Whether it is from farther than near the minimum."""
        self.norms: list[float] = []
        self.steps: list[tuple[np.ndarray, np.ndarray, float]] = []
        self.scale = 1.0

    def is_stale(self, norm: float, near: float, patience: int) -> bool:
        """Return whether another Hessian is worth its time."""
        if self.far and norm <= near:
            return True
        return len(self.norms) >= patience and norm > _REUSE * self.norms[-patience]

    def divide(self, gradient: np.ndarray) -> np.ndarray:
        """Return a gradient divided by the Hessian."""
        shares = []
        for move, change, curvature in reversed(self.steps):
            shares.append(float(move @ gradient) / curvature)
            gradient = gradient - shares[-1] * change
        found = self.scale * cho_solve(self.factor, gradient, check_finite=False)
        for (move, change, curvature), share in zip(self.steps, reversed(shares), strict=True):
            found += (share - float(change @ found) / curvature) * move
        return found

    def learn(self, move: np.ndarray, change: np.ndarray) -> None:
        """Take account of the change of the gradient over a step."""
        curvature = float(move @ change)
        if curvature > _FLAT * np.linalg.norm(move) * np.linalg.norm(change):
            self.steps.append((move, change, curvature))
            whitened = cho_solve(self.factor, change, check_finite=False)
            self.scale = curvature / float(change @ whitened)


def _newton(
    Z: np.ndarray, loss: PairLoss, alpha: float, start: Fit, goal: Goal, patience: int
) -> Fit:
    """Minimise one loss."""
    u = start.coef
    (d, (value, first, second)), ahead = _full_step(Z, loss, np.zeros(len(Z)), u)
    gradient = ahead + 2 * alpha * u
    metric = None if start.factor is None else _Metric(start.factor, far=True)
    reach = np.inf

    def fit(steps: int, converged: bool) -> Fit:
        factor = None if metric is None or metric.far else metric.factor
        return Fit(u, d, steps, converged, factor)

    for step in range(goal.max_iter):
        norm = float(np.abs(gradient).max(initial=0.0))
        if norm <= goal.reached:
            return fit(step, True)
        if metric is None or metric.is_stale(norm, goal.near, patience):
            metric = _Metric(_factor(Z, second, alpha), far=norm > goal.near)
        move = -metric.divide(gradient)
        trial, ahead = _full_step(Z, loss, d, move)
        if alpha > 0 and np.abs(move).max() <= _STEP * np.abs(u).max():
            u, d = u + move, trial.margins
            return fit(step + 1, True)
        far = float(np.abs(trial.margins).max())
        reach = _FARTHEST * far if step == 0 else reach
        if far > reach:
            return fit(step, False)
        length, taken = _search(loss, alpha, u, d, trial, move, value, gradient)
        if taken is None:
            if not metric.norms:
                return fit(step, norm <= goal.almost)
            metric = None
            continue
        metric.norms.append(norm)
        u = u + length * move
        d, (value, first, second) = taken
        ahead = ahead if length == 1.0 else Z.T @ first
        before, gradient = gradient, ahead + 2 * alpha * u
        metric.learn(length * move, gradient - before)
    return fit(goal.max_iter, float(np.abs(gradient).max()) <= goal.almost)


def _factor(Z: np.ndarray, second: np.ndarray, alpha: float) -> Any:
    """Return the Cholesky factor of the Hessian, with the least of a penalty where it is flat."""
    roots = np.sqrt(np.maximum(second, 0.0))[:, None]
    hessian = np.zeros((Z.shape[1], Z.shape[1]))
    for start in range(0, len(Z), _BLOCK):
        scaled = Z[start : start + _BLOCK] * roots[start : start + _BLOCK]
        hessian += scaled.T @ scaled
    diagonal = np.einsum("ii->i", hessian)
    floor = 1e-14 * max(float(diagonal.max(initial=0.0)), np.finfo(float).tiny)
    diagonal += 2 * alpha + floor
    for _ in range(12):
        try:
            return cho_factor(hessian, lower=True)
        except LinAlgError:
            diagonal += floor
            floor *= 10.0
    raise ValueError("the differences are too ill-conditioned to fit: give a larger alpha.")


class Trial(NamedTuple):
    """Margins and what the loss is there."""

    margins: np.ndarray
    loss: Derivatives


def _full_step(
    Z: np.ndarray, loss: PairLoss, d: np.ndarray, move: np.ndarray
) -> tuple[Trial, np.ndarray]:
    """Return where a step leads with the gradient of the loss there, reading the rows once."""
    margins, value, first, second = (np.empty_like(d) for _ in range(4))
    gradient = np.zeros(Z.shape[1])
    for start in range(0, len(Z), _BLOCK):
        rows = slice(start, start + _BLOCK)
        margins[rows] = d[rows] + Z[rows] @ move
        value[rows], first[rows], second[rows] = loss(margins[rows], rows)
        gradient += Z[rows].T @ first[rows]
    return Trial(margins, (value, first, second)), gradient


def _search(
    loss: PairLoss,
    alpha: float,
    u: np.ndarray,
    d: np.ndarray,
    full: Trial,
    move: np.ndarray,
    value: np.ndarray,
    gradient: np.ndarray,
) -> tuple[float, Trial | None]:
    """Return a length along a descent direction; no trial where none makes the objective fall."""
    slope = float(gradient @ move)
    before = float(value.sum()) + alpha * float(u @ u)
    slack = 1e-14 * (1e-300 + float(np.abs(value).sum()) + alpha * float(u @ u))
    length, trial = 1.0, full
    for _ in range(40):
        moved = u + length * move
        if float(trial.loss[0].sum()) + alpha * float(moved @ moved) <= (
            before + 1e-4 * length * slope + slack
        ):
            return length, trial
        length *= 0.5
        margins = d + length * (full.margins - d)
        trial = Trial(margins, loss(margins))
    return 0.0, None


def leave_one_out(
    Z: np.ndarray,
    loss: PairLoss,
    alpha: float,
    scores: np.ndarray,
    part: np.ndarray,
    factor: Any = None,
    group: np.ndarray | None = None,
) -> np.ndarray:
    r"""Return the margin of each pair by the fit without it, after one Newton step.

    What is left out is a part of the pair, or its group.
    """
    if Z.shape[1] == 0:
        return scores
    _, first, second = loss(scores)
    factor = _factor(Z, second, alpha) if factor is None else factor
    first, second = part * first, part * second
    inverse = solve_triangular(factor[0], np.eye(Z.shape[1]), lower=True)
    lever = _levers(Z, inverse)
    left = scores + first * lever / np.maximum(1.0 - second * lever, _ROOM)
    for rows in rows_together(group):
        step = _group_step(Z[rows] @ inverse.T, first[rows], second[rows])
        left[rows] = scores[rows] + step
    return left


def _levers(Z: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """Return the squared norms of whitened rows, of many in single precision if that does."""
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(Z), _BLOCK)]
    first = _block_levers(dtrmm, inverse, Z[blocks[0]])
    if len(blocks) > 1:
        single = inverse.astype(np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            levers = [_block_levers(strmm, single, Z[rows].astype(np.float32)) for rows in blocks]
        error = np.abs(levers[0] - first).max()
        if error <= _SINGLE * first.max() and all(np.isfinite(each).all() for each in levers):
            return np.concatenate([first, *levers[1:]])
    return np.concatenate([first, *(_block_levers(dtrmm, inverse, Z[rows]) for rows in blocks[1:])])


def _block_levers(product: Callable, inverse: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the squared norms of rows times a triangular matrix."""
    whitened = product(1.0, inverse, rows.T, lower=1)
    return np.einsum("ji,ji->i", whitened, whitened)


def _group_step(whitened: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return by how much the margins of a group change in the step of the fit without it."""
    roots = np.sqrt(np.maximum(second, 0.0))[:, None]
    _, sizes, axes = np.linalg.svd(roots * whitened, full_matrices=False)
    pull = first @ whitened
    pull += (sizes**2 / np.maximum(1.0 - sizes**2, _ROOM) * (axes @ pull)) @ axes
    return whitened @ pull


def descend(Z: np.ndarray, loss: PairLoss, alpha: float, start: np.ndarray, max_iter: int) -> Fit:
    """Find a stationary point of a loss that is not convex by L-BFGS."""

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, first, _ = loss(Z @ u)
        return float(value.sum() + alpha * u @ u), Z.T @ first + 2 * alpha * u

    return minimise(objective, start, max_iter, lambda u: Z @ u)


def minimise(
    objective: Callable,
    start: np.ndarray,
    max_iter: int,
    scores: Callable[[np.ndarray], np.ndarray],
) -> Fit:
    """Minimise a smooth objective by L-BFGS."""
    if len(start) == 0:
        return Fit(start, scores(start), 0, True)
    scale = float(np.abs(objective(np.zeros(len(start)))[1]).max()) or 1.0
    options = {"maxiter": max_iter * 20, "maxfun": max_iter * 40, "ftol": 0.0, "gtol": 1e-9 * scale}
    options["maxcor"] = 20
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    settled = float(np.abs(found.jac).max()) <= 1e-5 * scale
    return Fit(found.x, scores(found.x), int(found.nit), settled)
