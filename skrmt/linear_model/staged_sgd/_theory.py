"""Moments of rows, the learning rates they allow, and the loss curve and accuracy they predict."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, get_blas_funcs
from scipy.special import ndtr

from ...linalg import to_numpy

_RANK = 1e-10
_ROUNDING = 1e-26
_MOST_ROWS = 3000
"""Rows of which fourth moments are taken: an error of a few per cent in the critical rate."""
_NODES = 20
"""Times at which all rows are visited; between them the noise is interpolated."""
_OUTLYING = 8.0
"""Robust standard deviations beyond which no noise of the other rows explains a residual."""
_MOST_OUTLYING = 0.01
"""Share of the rows beyond which outliers are the data and stay in the prediction."""
_COSTLY = 4e9
"""Operations of a stage beyond which products with fourth moments are refreshed less often."""
_LARGEST_LEVERAGE = 0.95
"""A row that determines its own score leaves no residual to correct."""
_MOST_FEATURES = 0.8
"""Features per effective row from which on least squares fits the noise as well."""


class RowMoments(NamedTuple):
    """Moments of the rows of a stage, in coordinates of the eigenvectors of their covariance.

    Attributes
    ----------
    rows : ndarray of int of shape (n,)
        Which rows of the fit they are.
    shares : ndarray of shape (n,)
        Probability of each row.
    together : ndarray of shape (n,)
        Probability of what goes out together with each row.
    mean : ndarray of shape (p,)
        Mean of the features.
    target_mean : ndarray of shape (K,)
        Mean of the targets.
    eigenvalues : ndarray of shape (r,)
        Positive eigenvalues.
    vectors : ndarray of shape (p, r)
        Their eigenvectors.
    Z : ndarray of shape (n, r)
        Coordinates of the centred rows.
    Y : ndarray of shape (n, K)
        Centred targets.
    moment : ndarray of shape (r, K)
        Mean product of coordinates and targets.
    """

    rows: np.ndarray
    shares: np.ndarray
    together: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    Z: np.ndarray
    Y: np.ndarray
    moment: np.ndarray

    @property
    def n_effective(self) -> float:
        """Effective number of rows."""
        return 1 / float(self.shares @ self.together)

    @property
    def small_mean(self) -> bool:
        """Whether the mean is at most about three standard deviations."""
        return bool((self.mean**2).sum() <= 10 * self.eigenvalues.sum())

    def risk(self, weights) -> float:
        """Return half the mean squared residual of given weights."""
        rotated = self.vectors.T @ to_numpy(weights).astype(float).reshape(len(self.mean), -1)
        return float(self.shares @ ((self.Y - self.Z @ rotated) ** 2).sum(axis=1)) / 2


def row_moments(X, targets, shares, together, centred) -> RowMoments:
    """Return the moments of the rows that have a share."""
    used = np.flatnonzero(shares > 0)
    X = np.asarray(to_numpy(X), dtype=float)[used]
    targets, shares, together = targets[used], shares[used], (shares * together)[used]
    mean, target_mean = shares @ X, shares @ targets
    if not centred:
        mean, target_mean = np.zeros_like(mean), np.zeros_like(target_mean)
    rounding = _ROUNDING * float((mean * mean).max())
    X, Y = X - mean, targets - target_mean
    values, vectors = _eigen(X, shares, rounding)
    Z = X @ vectors
    moment = Z.T @ (shares[:, None] * Y)
    return RowMoments(used, shares, together, mean, target_mean, values, vectors, Z, Y, moment)


def _eigen(X, shares, rounding):
    """Return the positive eigenvalues of the covariance and their vectors."""
    if X.shape[1] <= X.shape[0]:
        values, vectors = eigh(weighted_gram(X, shares))
        kept = values > max(_RANK * values[-1], rounding)
        return values[kept], vectors[:, kept]
    root = np.sqrt(shares)[:, None] * X
    values, left = eigh(root @ root.T)
    kept = values > max(_RANK * values[-1], rounding)
    return values[kept], root.T @ (left[:, kept] / np.sqrt(values[kept]))


def weighted_gram(A, shares):
    """Return the mean of a a' over the rows a of A, without a copy where shares are equal."""
    if (shares == shares[0]).all():
        return shares[0] * (A.T @ A)
    return A.T @ (shares[:, None] * A)


def critical_rate(moments, batch_size, tolerance=1e-4, most_steps=200):
    r"""Return the largest rate at which second moments converge, for the rows themselves."""
    lam = moments.eigenvalues
    if not lam.size:
        return np.inf
    Z, shares = _thinned(moments)
    top = lam[-1]
    Z, lam = Z / np.sqrt(top), lam / top
    if lam.size > 400:
        tolerance, most_steps = max(tolerance, 2e-2), 25
    sums, products = lam[:, None] + lam, (1 - 1 / batch_size) * np.outer(lam, lam)
    matrix = np.diag(1 / np.sqrt(lam.size * np.ones_like(lam)))
    rate = np.inf
    for _ in range(most_steps):
        image = _fourth(Z, shares, matrix) / batch_size
        previous, rate = rate, _norm_keeping_rate(image, sums, products, batch_size)
        matrix = rate * image / (sums - rate * products)
        matrix /= np.linalg.norm(matrix)
        if abs(rate - previous) <= tolerance * rate / 10:
            break
    return float(rate / top)


def _thinned(moments):
    """Return rows and shares, thinned out where there are many."""
    n, most = len(moments.shares), max(_MOST_ROWS, 2 * moments.eigenvalues.size)
    if n <= most:
        return moments.Z, moments.shares
    order = np.argsort(-np.einsum("ij,ij->i", moments.Z, moments.Z), kind="stable")
    head = most // 3
    rest = order[head:]
    picked = rest[np.linspace(0, len(rest) - 1, most - head).astype(int)]
    factor = moments.shares[rest].sum() / moments.shares[picked].sum()
    rows = np.concatenate([order[:head], picked])
    shares = np.concatenate([moments.shares[order[:head]], factor * moments.shares[picked]])
    return moments.Z[rows], shares


def _fourth(Z, shares, matrix):
    """Return E[x x' M x x']."""
    forms = shares * np.einsum("ij,ij->i", Z @ matrix, Z)
    scaled = np.sqrt(np.maximum(forms, 0))[:, None] * Z
    syrk = get_blas_funcs("syrk", (scaled,))
    lower = syrk(1.0, scaled.T, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T


def _norm_keeping_rate(image, sums, products, batch_size):
    """Return the rate at which the norm of rate * image / (sums - rate * products) is 1."""
    if batch_size == 1:
        return float(1 / np.linalg.norm(image / sums))
    low, high = 0.0, 2 / (1 - 1 / batch_size)
    for _ in range(50):
        rate = (low + high) / 2
        large = rate * np.linalg.norm(image / (sums - rate * products)) > 1
        low, high = (low, rate) if large else (rate, high)
        if high - low < 1e-9 * low:
            break
    return low


class StageSteps(NamedTuple):
    """The steps of a stage and the rows that they draw.

    Attributes
    ----------
    moments : RowMoments
        Moments of the rows.
    shares : ndarray of shape (n,)
        Probability of every row of the fit.
    rates : ndarray of shape (T,)
        Learning rates.
    batch_size : int
        Rows per step.
    weight_decay : float
        Penalty.
    """

    moments: RowMoments
    shares: np.ndarray
    rates: np.ndarray
    batch_size: int
    weight_decay: float


class Prediction(NamedTuple):
    """The predicted course of a fit.

    Attributes
    ----------
    risks : ndarray of shape (T + 1,)
        Mean loss of a batch before each step, and of one after the last.
    degrees : ndarray of shape (T,)
        Degrees of freedom of the chi-square law of the loss of a batch.
    scores : ndarray of shape (n, K)
        Mean score of each row of the last stage if it is left out.
    deviations : ndarray of shape (n, K)
        Standard deviation of it over the draws of batches.
    floor : float
        Where the largest rate of the last stage would end.
    size : float
        Effective number of rows, or groups, that the scores leave out.
    """

    risks: np.ndarray
    degrees: np.ndarray
    scores: np.ndarray
    deviations: np.ndarray
    floor: float
    size: float


class _State:
    """Mean and variance of the weights, and how they respond to the target of a row."""

    def __init__(self, moments):
        self.moments = moments
        shape = (moments.eigenvalues.size, moments.Y.shape[1])
        self.mean, self.variance = np.zeros(shape), np.zeros(shape)
        self.response = np.zeros(shape[0])
        self.set_moments(moments)

    def set_moments(self, moments):
        """Rotate to the eigenvectors of other rows."""
        if moments is not self.moments:
            rotation = moments.vectors.T @ self.moments.vectors
            self.mean = rotation @ self.mean
            self.variance = rotation**2 @ self.variance
            self.response = np.zeros(moments.eigenvalues.size)
        self.moments = moments
        self.squares = moments.Z**2
        self.fourth = weighted_gram(self.squares, moments.shares)

    def residuals(self, left_out):
        """Return the mean residual of each row, as if the row had been left out."""
        moments = self.moments
        residuals = moments.Y - moments.Z @ self.mean
        if not left_out:
            return residuals
        leverage = moments.together * (1 + self.squares @ self.response)
        return residuals / (1 - np.minimum(leverage, _LARGEST_LEVERAGE))[:, None]


def without_outliers(moments, make):
    """Return moments without rows that no noise of the others explains, a hundredth at most."""
    solution = moments.moment / moments.eigenvalues[:, None]
    residuals = np.abs(moments.Y - moments.Z @ solution)
    scale = 1.4826 * np.median(residuals, axis=0)
    if not (scale > 1e-8 * np.abs(moments.Y).max()).all():
        return moments
    kept = (residuals <= _OUTLYING * scale).all(axis=1)
    if kept.all() or moments.shares[~kept].sum() > _MOST_OUTLYING:
        return moments
    return make(kept)


def predict_curve(stages, fresh):
    """Return the predicted course of a fit that starts at 0."""
    state = _State(stages[0].moments)
    node = _node(state, fresh, stages[0].batch_size)
    risks, degrees = [[node.risk]], []
    for stage in stages:
        if stage.moments is not state.moments:
            state.set_moments(stage.moments)
            risks[-1][-1] = _node(state, fresh, stage.batch_size).risk
        node = _node(state, fresh, stage.batch_size)
        for start, stop in _stretches(len(stage.rates)):
            part, node_after = _advance(state, stage, start, stop, node, fresh)
            ramp = np.arange(stop - start) / (stop - start)
            degrees.append(node.degrees + ramp * (node_after.degrees - node.degrees))
            risks.append(part)
            node = node_after
    residuals = state.residuals(True)
    scores = state.moments.target_mean + state.moments.Y - residuals
    known = _node(state, True, stages[-1].batch_size).known
    deviations = np.sqrt(state.squares @ np.maximum(state.variance - known, 0))
    floor = _floor(state, stages[-1], fresh)
    size = state.moments.n_effective
    curve, freedom = np.concatenate(risks), np.concatenate(degrees)
    return Prediction(curve, freedom, scores, deviations, floor, size)


class _Node(NamedTuple):
    """What is computed from all rows, at a few times only."""

    risk: float
    correction: float
    noise: np.ndarray
    degrees: float
    known: np.ndarray


def _node(state, fresh, batch_size):
    """Return the noise of the gradient, the risk and the spread of the loss."""
    moments = state.moments
    residuals = state.residuals(fresh)
    squared = moments.shares[:, None] * residuals**2
    gradient = moments.eigenvalues[:, None] * state.mean - moments.moment
    noise = np.maximum(state.squares.T @ squared - gradient**2, 0)
    known = np.zeros_like(noise)
    level = squared.sum(axis=0)
    if fresh:
        known = state.response[:, None] ** 2 * noise / moments.n_effective
        excess = moments.eigenvalues @ known
        ratio = np.divide(level, level + excess, out=np.ones_like(level), where=level > 0)
        level, noise, known = ratio * level, ratio * noise, ratio * known
        residuals = np.sqrt(ratio) * residuals
    spread = moments.eigenvalues @ state.variance
    risk = np.float64(level.sum() + spread.sum()) / 2
    correction = float(level.sum()) / 2 - _training_risk(state)
    return _Node(risk, correction, noise, _degrees(state, residuals, risk, batch_size), known)


def _training_risk(state):
    """Return half the mean squared residual of the mean weights."""
    moments = state.moments
    power = float(moments.shares @ (moments.Y**2).sum(axis=1))
    bend = moments.eigenvalues[:, None] * state.mean**2 - 2 * moments.moment * state.mean
    return (power + float(bend.sum())) / 2


def _degrees(state, residuals, risk, batch_size):
    """Return the degrees of freedom that match the variance of the loss of a batch."""
    moments = state.moments
    if risk <= 0:
        return float(batch_size)
    s = state.squares @ state.variance
    b = residuals**2
    second = (b + s).sum(axis=1) ** 2 + (4 * b * s + 2 * s**2).sum(axis=1)
    ratio = ((moments.shares @ second) / 4 - risk**2) / (2 * risk**2)
    if residuals.shape[1] == 1 and abs(ratio - 1) < 5 * np.sqrt(6 / moments.n_effective):
        ratio = 1.0
    lam = moments.eigenvalues[:, None]
    mean = state.mean - moments.moment / lam
    moved = (2 * (lam * state.variance) ** 2 + 4 * (lam * mean) ** 2 * state.variance).sum() / 4
    variance = 2 * max(ratio, 0.05) * risk**2 / batch_size
    return float(2 * risk**2 / (variance + moved * (1 + 2 / batch_size)))


def _stretches(n_steps):
    """Yield first and last times between which noise is interpolated."""
    times = np.concatenate([np.geomspace(1, n_steps, _NODES), np.linspace(0, n_steps, _NODES)])
    times = np.unique(np.round(times).astype(int))
    yield from zip(times[:-1].tolist(), times[1:].tolist(), strict=True)


def _advance(state, stage, start, stop, node, fresh):
    """Take the steps of a stretch: the mean first, then the variance with interpolated noise."""
    lam = state.moments.eigenvalues[:, None]
    size, decay = stage.batch_size, stage.weight_decay
    count = stop - start
    training = np.empty(count)
    for i, rate in enumerate(stage.rates[start:stop]):
        keep = 1 - rate * (lam + decay)
        state.mean = keep * state.mean + rate * state.moments.moment
        state.response = keep[:, 0] * state.response + rate
        training[i] = _training_risk(state)
    after = _node(state, fresh, size)
    spreads = np.empty(count)
    held = _refresh_every(state, len(stage.rates))
    mixed = None
    for i, rate in enumerate(stage.rates[start:stop]):
        if i % held == 0:
            mixed = state.fourth @ state.variance
        weight = i / count
        noise = (1 - weight) * node.noise + weight * after.noise
        keep = (1 - rate * (lam + decay)) ** 2 - (rate * lam) ** 2 / size
        state.variance = keep * state.variance + rate**2 / size * (mixed + noise)
        spreads[i] = float((lam * state.variance).sum())
    correction = node.correction + (np.arange(count) + 1) / count * (
        after.correction - node.correction
    )
    after = _node(state, fresh, size)
    return training + correction + spreads / 2, after


def _refresh_every(state, n_steps):
    """Return for how many steps the product with fourth moments is kept, to bound the cost."""
    cost = float(n_steps) * state.variance.size * state.variance.shape[0]
    return max(1, int(np.ceil(cost / _COSTLY)))


def _floor(state, stage, fresh):
    """Return where the largest rate of a stage would end, from the noise at its end."""
    moments = state.moments
    lam, rate, size = moments.eigenvalues, float(stage.rates.max()), stage.batch_size
    if not lam.size or rate == 0:
        return _training_risk(state)
    # Least squares on so few rows fit them: their residuals do not show the noise.
    if fresh and lam.size >= _MOST_FEATURES * moments.n_effective:
        return np.nan
    ends = copy(state)
    ends.variance = np.zeros_like(state.variance)
    ends.mean = moments.moment / (lam + stage.weight_decay)[:, None]
    ends.response = 1 / (lam + stage.weight_decay)
    node = _node(ends, fresh, size)
    room = 1 - (1 - rate * (lam + stage.weight_decay)) ** 2 + (rate * lam) ** 2 / size
    system = np.diag(room) - rate**2 / size * ends.fourth
    variance = np.linalg.solve(system, rate**2 / size * node.noise)
    if (variance < 0).any():
        return np.inf
    return node.risk + float((lam @ variance).sum()) / 2


def predicted_accuracy(prediction, codes, shares):
    """Return the probability that a fresh row is classified correctly."""
    scores, deviations = prediction.scores, np.maximum(prediction.deviations, 1e-300)
    if scores.shape[1] == 1:
        margins = (2 * codes - 1) * scores[:, 0] / deviations[:, 0]
        return float(shares @ ndtr(margins))
    nodes, weights = np.polynomial.hermite_e.hermegauss(24)
    rows = np.arange(len(codes))
    right = scores[rows, codes], deviations[rows, codes]
    probability = np.zeros(len(codes))
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        own = right[0] + node * right[1]
        each = ndtr((own[:, None] - scores) / deviations)
        each[rows, codes] = 1
        probability += weight * each.prod(axis=1)
    return float(shares @ probability)
