"""The loss curve, risk and accuracy that moments of rows predict."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from ._interval import RiskClaim, risk_claim
from ._moments import RowMoments, Sample

_NODES = 20
"""Times at which rows are visited; between them the noise is interpolated."""
_COSTLY = 4e9
"""Operations of a stage beyond which products with fourth moments are refreshed less often."""
_AT_ONCE = 4_000_000
"""Residuals, of rows at times, that are held in memory."""
_LARGEST_LEVERAGE = 0.95
"""A row that determines its own score leaves no residual to correct."""
_MOST_FEATURES = 0.8
"""Features per effective row from which on least squares fits the noise as well."""


class StageSteps(NamedTuple):
    """The steps of a stage and the rows that they draw.

    Attributes
    ----------
    moments : RowMoments
        Moments of the rows.
    sample : Sample
        Rows that stand for all.
    shares : ndarray of shape (n,)
        Probability of every row of the fit.
    rates : ndarray of shape (T,)
        Learning rates.
    batch_size : int
        Rows per step.
    weight_decay : float
        Penalty.
    momentum : float
        Part of the last step that is repeated.
    unstable : bool
        Whether a rate is so near the critical one, or above, that the mean loss says little.
    """

    moments: RowMoments
    sample: Sample
    shares: np.ndarray
    rates: np.ndarray
    batch_size: int
    weight_decay: float
    momentum: float
    unstable: bool


class Outliers(NamedTuple):
    """Rows that the prediction leaves out but for the risk on fresh rows.

    Attributes
    ----------
    features : ndarray of shape (m, p)
        Features.
    targets : ndarray of shape (m, K)
        Targets.
    shares : ndarray of shape (m,)
        Probability of each row.
    together : ndarray of shape (m,)
        Probability of what goes out together with each row.
    """

    features: np.ndarray
    targets: np.ndarray
    shares: np.ndarray
    together: np.ndarray


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
    claim : RiskClaim
        Risk on fresh rows after the last step.
    floor : float
        Where the largest rate of the last stage would end.
    size : float
        Effective number of rows, or groups, that the scores leave out.
    accuracy_spread : float
        Standard deviation over runs of the share of rows whose class is right, where runs were
        simulated.
    """

    risks: np.ndarray
    degrees: np.ndarray
    scores: np.ndarray
    deviations: np.ndarray
    claim: RiskClaim
    floor: float
    size: float
    accuracy_spread: float = 0.0


class _State:
    """Mean and second moments of weights and velocity, and how they respond to a target.

    `square`, `cross` and `push` are the variance of the weights, their covariance with the velocity
    and its variance, coordinate by coordinate.
    """

    def __init__(self, moments, sample):
        shape = (moments.eigenvalues.size, moments.Y.shape[1])
        self.mean, self.velocity = np.zeros(shape), np.zeros(shape)
        self.square, self.cross, self.push = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._see(moments, sample)

    def _see(self, moments, sample):
        """Set the rows, to which nothing has responded yet."""
        self.moments, self.sample = moments, sample
        size = moments.eigenvalues.size
        self.response, self.response_velocity = np.zeros(size), np.zeros(size)
        self.squares, self.fourth = sample.squares, sample.fourth

    def move_to(self, moments, sample):
        """Rotate to the eigenvectors of other rows."""
        rotation = moments.vectors.T @ self.moments.vectors
        self.mean, self.velocity = rotation @ self.mean, rotation @ self.velocity
        turned = rotation**2
        self.square, self.cross = turned @ self.square, turned @ self.cross
        self.push = turned @ self.push
        self._see(moments, sample)

    def rest(self):
        """Forget the velocity, of which a stage without momentum leaves none."""
        for array in (self.velocity, self.response_velocity, self.cross, self.push):
            array[:] = 0


def predict_curve(stages, fresh, outliers=None, with_scores=True):
    """Return the predicted course of a fit that starts at 0.

    `outliers` are rows that the moments of the last stage leave out; `with_scores` says whether
    scores and deviations of single rows are needed.
    """
    state = _State(stages[0].moments, stages[0].sample)
    risks: list = []
    degrees: list = []
    for stage in stages:
        if stage.moments is not state.moments:
            state.move_to(stage.moments, stage.sample)
        if not stage.momentum:
            state.rest()
        times = _node_times(len(stage.rates))
        width = max(1, _AT_ONCE // max(len(stage.sample.rows) * state.mean.shape[1], 1))
        # The loss at a change of rows is that of the rows that come.
        risks = risks[:-1]
        for first in range(0, len(times) - 1, width):
            part, freedom = _advance(state, stage, times[first : first + width + 1], fresh)
            risks += part if first == 0 else part[1:]
            degrees.append(freedom)
    scores, deviations, claim = _end(state, fresh, outliers, with_scores)
    floor = _floor(state, stages[-1], fresh)
    curve, freedom = np.array(risks), np.concatenate(degrees)
    size = state.moments.n_effective
    return Prediction(curve, freedom, scores, deviations, claim, floor, size)


def _node_times(n_steps):
    """Return times at which rows are visited, from 0 to the end."""
    times = np.concatenate([np.geomspace(1, n_steps, _NODES), np.linspace(0, n_steps, _NODES)])
    return np.unique(np.round(times).astype(int))


def _advance(state, stage, times, fresh):
    """Take the steps between some times; return the risks at all of them and the degrees."""
    training, means, responses = _mean_path(state, stage, times)
    nodes = _nodes(state, means, responses, fresh)
    squares, spreads = _spread_path(state, stage, times, nodes.noise)
    counts = np.diff(times)
    steps = np.arange(times[0], times[-1] + 1)
    correction = np.interp(steps, times, nodes.correction)
    risks = training + correction + spreads / 2
    known = _degrees(state, nodes, squares, means, stage.batch_size)
    freedom = np.repeat(known[:-1], counts) + np.concatenate(
        [
            np.arange(count) / count * (after - before)
            for count, before, after in zip(counts, known[:-1], known[1:], strict=True)
        ]
    )
    return risks.tolist(), freedom


def _training_risk(moments, mean):
    """Return half the mean squared residual of given mean weights."""
    lam = moments.eigenvalues[:, None]
    return (moments.power + float(((lam * mean - 2 * moments.moment) * mean).sum())) / 2


def _mean_path(state, stage, times):
    """Move the mean; return half its mean squared residual at all steps, and it at the times."""
    rates = stage.rates[times[0] : times[-1]]
    places = times - times[0]
    if stage.momentum:
        return _mean_path_with_momentum(state, stage, rates, places)
    moments = state.moments
    lam, moment = moments.eigenvalues, moments.moment
    # A step shrinks what is left to the limit, which no rate changes.
    ridge = lam + stage.weight_decay
    limit, response_limit = moment / ridge[:, None], 1 / ridge
    gap, response_gap = state.mean - limit, state.response - response_limit
    slope = (2 * (lam[:, None] * limit - moment) * gap).sum(axis=1)
    bend = (lam[:, None] * gap**2).sum(axis=1)
    training = np.empty(len(rates) + 1)
    base = _training_risk(moments, limit)
    means, responses = [], []
    left, width = np.ones(len(lam)), max(1, _AT_ONCE // max(len(lam), 1))
    for first in range(0, len(rates) + 1, width):
        part = rates[max(first - 1, 0) : first + width - 1]
        factors = 1 - part[:, None] * ridge
        if first == 0:
            factors = np.concatenate([np.ones((1, len(lam))), factors])
        factors[0] *= left
        powers = np.cumprod(factors, axis=0, out=factors)
        left = powers[-1]
        training[first : first + width] = base + (powers @ slope + powers**2 @ bend) / 2
        inside = powers[places[(places >= first) & (places < first + width)] - first]
        means.append(limit + inside[:, :, None] * gap)
        responses.append(response_limit + inside * response_gap)
    state.mean, state.response = means[-1][-1], responses[-1][-1]
    return training, np.concatenate(means), np.concatenate(responses)


def _mean_path_with_momentum(state, stage, rates, places):
    """Do the same step by step, with the velocity."""
    lam, moment = state.moments.eigenvalues[:, None], state.moments.moment
    decay, mu = stage.weight_decay, stage.momentum
    mean, velocity = state.mean, state.velocity
    response, speed = state.response, state.response_velocity
    training, wanted = np.empty(len(rates) + 1), set(places.tolist())
    training[0], means, responses = _training_risk(state.moments, mean), [mean], [response]
    for k, rate in enumerate(rates.tolist(), 1):
        velocity = mu * velocity + (lam * mean - moment)
        mean = (1 - rate * decay) * mean - rate * velocity
        speed = mu * speed + (lam[:, 0] * response - 1)
        response = (1 - rate * decay) * response - rate * speed
        training[k] = _training_risk(state.moments, mean)
        if k in wanted:
            means.append(mean)
            responses.append(response)
    state.mean, state.velocity = mean, velocity
    state.response, state.response_velocity = response, speed
    return training, np.array(means), np.array(responses)


class _Nodes(NamedTuple):
    """What is computed from rows at N times: residuals of the mean, and the noise they make."""

    squared: np.ndarray
    level: np.ndarray
    correction: np.ndarray
    noise: np.ndarray


def _nodes(state, means, responses, fresh):
    """Return squared residuals (m, N, K), their means (N,) and the noise of the gradient."""
    moments, sample = state.moments, state.sample
    count, rank, targets = means.shape
    fitted = sample.Z @ means.transpose(1, 0, 2).reshape(rank, count * targets)
    residuals = moments.Y[sample.rows][:, None, :] - fitted.reshape(-1, count, targets)
    trained = np.einsum("i,ijk,ijk->j", sample.shares, residuals, residuals)
    if len(sample.rows) < len(moments.shares):
        # The sample is a little too high or too low, which the moments of all rows show.
        exact = np.array([2 * _training_risk(moments, mean) for mean in means])
        scale = np.divide(exact, trained, out=np.ones_like(exact), where=trained > 0)
        residuals *= np.sqrt(np.maximum(scale, 0))[:, None]
        trained = exact
    if fresh:
        spread = 1 + state.squares @ responses.T
        leverage = moments.together[sample.rows][:, None] * spread
        residuals /= (1 - np.minimum(leverage, _LARGEST_LEVERAGE))[:, :, None]
    squared = np.square(residuals, out=residuals)
    weighted = (sample.shares[:, None, None] * squared).reshape(len(sample.rows), -1)
    gradient = moments.eigenvalues[:, None] * means - moments.moment
    noise = (state.squares.T @ weighted).reshape(rank, count, targets).transpose(1, 0, 2)
    noise = np.maximum(noise - gradient**2, 0)
    level = weighted.sum(axis=0).reshape(count, targets)
    if fresh:
        ratio = _without_double_count(moments, level, noise, responses)
        level, noise = ratio * level, ratio[:, None, :] * noise
        squared *= ratio
    total = level.sum(axis=1)
    return _Nodes(squared, total, (total - trained) / 2, noise)


def _without_double_count(moments, level, noise, responses):
    """Return the part of left-out squares (N, K) that is no variance of the mean over data."""
    known = responses[:, :, None] ** 2 * noise / moments.n_effective
    excess = np.einsum("r,jrk->jk", moments.eigenvalues, known)
    return np.divide(level, level + excess, out=np.ones_like(level), where=level > 0)


def _spread_path(state, stage, times, noise):
    """Move the second moments; return the variance of the weights at the times, and the spread."""
    step = _momentum_step if stage.momentum else _plain_step
    advance = step(state, stage)
    held = _refresh_every(state, len(stage.rates))
    lam = np.empty_like(state.square)
    lam[:] = state.moments.eigenvalues[:, None]
    squares, spreads = [state.square.copy()], np.empty(times[-1] - times[0] + 1)
    spreads[0] = np.vdot(lam, state.square)
    k, mixed = 0, None
    for number, (start, stop) in enumerate(pairwise(times)):
        drawn = noise[number].copy()
        slope = (noise[number + 1] - noise[number]) / (stop - start)
        for rate in stage.rates[start:stop].tolist():
            if k % held == 0:
                mixed = state.fourth @ state.square
            advance(rate, mixed, drawn)
            drawn += slope
            k += 1
            spreads[k] = np.vdot(lam, state.square)
        squares.append(state.square.copy())
    return np.array(squares), spreads


def _plain_step(state, stage):
    """Return what moves the variance by a step of some rate."""
    lam, size = state.moments.eigenvalues[:, None], stage.batch_size
    linear, square_term = 2 * (lam + stage.weight_decay), (lam + stage.weight_decay) ** 2
    square_term = square_term - lam**2 / size

    def advance(rate, mixed, drawn):
        change = mixed + drawn
        change /= size
        change += square_term * state.square
        change *= rate
        change -= linear * state.square
        change *= rate
        state.square += change

    return advance


def _momentum_step(state, stage):
    """Return what moves the second moments of weights and velocity by a step of some rate."""
    lam, size, mu = state.moments.eigenvalues[:, None], stage.batch_size, stage.momentum

    def advance(rate, mixed, drawn):
        curved = lam**2 * state.square
        both = mu * state.cross + lam * state.square
        push = mu**2 * state.push + 2 * mu * lam * state.cross + curved
        push += (mixed + drawn - curved) / size
        keep = 1 - rate * stage.weight_decay
        state.square = keep**2 * state.square - 2 * keep * rate * both + rate**2 * push
        state.cross = keep * both - rate * push
        state.push = push

    return advance


def _refresh_every(state, n_steps):
    """Return for how many steps the product with fourth moments is kept, to bound the cost."""
    cost = float(n_steps) * state.square.size * state.square.shape[0]
    return max(1, int(np.ceil(cost / _COSTLY)))


def _degrees(state, nodes, squares, means, batch_size):
    """Return the degrees of freedom that match the variance of the loss of a batch, at N times."""
    moments, sample = state.moments, state.sample
    count, rank, targets = squares.shape
    lam = moments.eigenvalues[:, None]
    risk = (nodes.level + np.einsum("r,jrk->j", moments.eigenvalues, squares)) / 2
    s = state.squares @ squares.transpose(1, 0, 2).reshape(rank, count * targets)
    s, b = s.reshape(-1, count, targets), nodes.squared
    second = (b + s).sum(axis=2) ** 2 + ((4 * b + 2 * s) * s).sum(axis=2)
    ratio = ((sample.shares @ second) / 4 - risk**2) / (2 * risk**2)
    few = min(moments.n_effective, len(sample.rows))
    if targets == 1:
        ratio = np.where(np.abs(ratio - 1) < 5 * np.sqrt(6 / few), 1.0, ratio)
    moved = wandering(lam, squares, means - moments.moment / lam)
    variance = 2 * np.maximum(ratio, 0.05) * risk**2 / batch_size
    degrees = 2 * risk**2 / (variance + moved * (1 + 2 / batch_size))
    return np.where(risk > 0, degrees, float(batch_size))


def wandering(lam, squares, shift):
    """Return the variance of the risk of weights of a variance, whose mean is off by a shift."""
    parts = 2 * (lam * squares) ** 2 + 4 * (lam * shift) ** 2 * squares
    return parts.sum(axis=(-2, -1)) / 4


def _end(state, fresh, outliers, with_scores):
    """Return scores of all rows if left out, their deviations, and the risk on fresh rows."""
    moments = state.moments
    residuals = moments.residuals(state.mean)
    leverage, spread, noise, deviations = _row_forms(state, residuals, with_scores)
    residuals /= (1 - np.minimum(leverage, _LARGEST_LEVERAGE))[:, None]
    scores = moments.target_mean + moments.Y - residuals
    level = moments.shares @ residuals**2
    ratio = _without_double_count(moments, level[None], noise[None], state.response[None])[0]
    losses = ((ratio if fresh else 1.0) * residuals**2).sum(axis=1) / 2 + spread / 2
    lam = moments.eigenvalues[:, None]
    moved = wandering(lam, state.square, state.mean - moments.moment / lam)
    shares, together = moments.shares, moments.together
    if outliers is not None:
        Z = (outliers.features - moments.mean) @ moments.vectors
        off = (outliers.targets - moments.target_mean - Z @ state.mean) ** 2 + Z**2 @ state.square
        losses = np.concatenate([losses, off.sum(axis=1) / 2])
        kept = 1 - outliers.shares.sum()
        shares = np.concatenate([kept * shares, outliers.shares])
        together = np.concatenate([kept * together, outliers.together])
    claim = risk_claim(losses, shares, together, float(moved), leverage)
    return scores, deviations, claim


def _row_forms(state, residuals, with_scores):
    """Return leverages, spreads of scores, noise of the gradient, and deviations of the scores.

    Where the scores of single rows are not needed, those outside the sample have the leverage and
    spread of sampled ones of their norm.
    """
    moments, sample = state.moments, state.sample
    n, targets = residuals.shape
    whole = with_scores or len(sample.rows) == n
    rows, squares, shares = sample.rows, sample.squares, sample.shares
    if whole:
        rows, shares = np.arange(n), moments.shares
        if len(sample.rows) < n:
            squares = moments.coordinates() ** 2
    forms = squares @ np.column_stack([state.response, state.square])
    leverage = moments.together[rows] * (1 + forms[:, 0])
    left_out = residuals[rows] / (1 - np.minimum(leverage, _LARGEST_LEVERAGE))[:, None]
    squared = shares[:, None] * left_out**2
    gradient = moments.eigenvalues[:, None] * state.mean - moments.moment
    noise = np.maximum(squares.T @ squared - gradient**2, 0)
    level = squared.sum(axis=0)
    spread = forms[:, 1:].sum(axis=1)
    if whole:
        ratio = _without_double_count(moments, level[None], noise[None], state.response[None])[0]
        known = state.response[:, None] ** 2 * ratio * noise / moments.n_effective
        return leverage, spread, noise, np.sqrt(squares @ np.maximum(state.square - known, 0))
    others = slice(sample.n_extreme, None)
    per_norm = sample.shares[others] / (sample.shares[others] @ sample.norms[rows[others]])
    response, spreads = (float(per_norm @ v[others]) * sample.norms for v in (forms[:, 0], spread))
    response[rows], spreads[rows] = forms[:, 0], spread
    return moments.together * (1 + response), spreads, noise, np.full((n, targets), np.nan)


def _floor(state, stage, fresh):
    """Return where the largest rate of a stage would end, from the noise at its end."""
    moments = state.moments
    lam, rate, size = moments.eigenvalues, float(stage.rates.max()), stage.batch_size
    if not lam.size or rate == 0:
        return _training_risk(moments, state.mean)
    # Least squares on so few rows fit them: their residuals do not show the noise.
    if fresh and lam.size >= _MOST_FEATURES * moments.n_effective:
        return np.nan
    # With momentum the pull to 0 does not gather speed: it counts for less.
    ridge = lam + (1 - stage.momentum) * stage.weight_decay
    mean = moments.moment / ridge[:, None]
    node = _nodes(state, mean[None], (1 / ridge)[None], fresh)
    mu, keep = stage.momentum, 1 - rate * stage.weight_decay
    inertia = mu * keep
    loss = (1 + inertia) ** 2 - (keep + mu - rate * lam) ** 2
    room = (1 - inertia) / (1 + inertia) * loss + (rate * lam) ** 2 / size
    system = np.diag(room) - rate**2 / size * state.fourth
    variance = np.linalg.solve(system, rate**2 / size * node.noise[0])
    if (variance < 0).any():
        return np.inf
    spread = float((lam @ variance).sum())
    return _training_risk(moments, mean) + float(node.correction[0]) + spread / 2


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
