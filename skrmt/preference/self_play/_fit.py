"""Rounds of self-play of a log-linear policy over candidate responses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit, logsumexp

from ...theory.preference import self_play_stable
from ..policy._candidate_fit import Drift, drift, log_policy
from ..policy._input import Candidates
from ._theory import Rules

_TOL = 1e-10
"""Largest entry of the gradient after a round, in units of that before it: far below the factors
between rounds, which are measured on steps down to 1e-6 of the largest."""

_NEWTON = 60
"""Newton steps of a round: a convex loss takes a dozen."""

_GROWTH = 4
"""Steps in a row that grow before rounds count as divergent: a few may grow before they shrink."""

_BLOCK = 1 << 22
"""Numbers in a block of features: 32 MB."""


class Prompts(NamedTuple):
    """Candidate responses with the human ones.

    Attributes
    ----------
    X : ndarray of shape (n, K, F)
        Features, 0 where there is no candidate.
    offsets : ndarray of shape (n, K)
        Logarithms that every policy shares, `-inf` where there is no candidate.
    human : ndarray of int of shape (n,)
        Index of the human response.
    weights : ndarray of shape (n,)
        Weights of the prompts, summing to 1.
    """

    X: np.ndarray
    offsets: np.ndarray
    human: np.ndarray
    weights: np.ndarray

    @property
    def present(self) -> np.ndarray:
        """Which candidates there are."""
        return np.isfinite(self.offsets)

    def likelihood(self, logs: np.ndarray) -> float:
        """Return the mean log-likelihood of the human responses."""
        return float(self.weights @ logs[np.arange(len(self.X)), self.human])


class Rounds(NamedTuple):
    """What the rounds went through.

    Attributes
    ----------
    coefs : ndarray of shape (t + 1, F)
        Coefficients, those of the reference first.
    likelihoods : ndarray of shape (t + 1,)
        Mean log-likelihood of the human responses.
    settled : bool
        Whether the coefficients came to rest.
    diverged : bool
        Whether their steps grew.
    """

    coefs: np.ndarray
    likelihoods: np.ndarray
    settled: bool
    diverged: bool


def mean_square(prompts: Prompts) -> float:
    """Return the mean square of a feature's difference between human responses and candidates."""
    rows = np.arange(len(prompts.X))
    present = prompts.present
    total = 0.0
    for block in blocks_of(len(rows), prompts.X[0].size):
        gaps = prompts.X[block][rows[: len(prompts.X[block])], prompts.human[block]][:, None]
        squares = ((gaps - prompts.X[block]) ** 2).mean(axis=2) * present[block]
        total += float(prompts.weights[block] @ (squares.sum(1) / present[block].sum(1)))
    return total or 1.0


def play(
    prompts: Prompts,
    reference: np.ndarray,
    rules: Rules,
    rng: np.random.RandomState,
    report: Any = None,
) -> Rounds:
    """Play rounds of self-play."""
    log_b = log_policy(prompts.X, prompts.offsets, reference)
    coefs, policies = [reference], [log_b]
    likelihoods, steps = [prompts.likelihood(log_b)], []
    settled = diverged = False
    # Averages of policies swing widely even where they converge.
    telling = rules.history == 1 or not self_play_stable(
        rules.scheme, rules.beta, rules.mixture_weight
    )
    for number in range(rules.n_rounds):
        coef = _round(prompts, coefs, policies, reference, rules, rng)
        step = float(np.abs(coef - coefs[-1]).max())
        coefs.append(coef)
        policies.append(log_policy(prompts.X, prompts.offsets, coef))
        if rules.history != "all":
            policies = policies[-int(rules.history) :]
        likelihoods.append(prompts.likelihood(policies[-1]))
        steps.append(step)
        if report is not None:
            report(number + 1, likelihoods[-1], step)
        largest = max(float(np.abs(coef).max()), 1e-12)
        settled = step <= rules.tol * largest
        growth = np.diff(steps[-_GROWTH - 1 :])
        grown = len(growth) == _GROWTH and bool((growth > 1e-9 * step).all())
        diverged = telling and grown and step > 1e-3 * largest
        if settled or diverged:
            break
    return Rounds(np.array(coefs), np.array(likelihoods), settled, diverged)


def _round(
    prompts: Prompts,
    coefs: list[np.ndarray],
    policies: list[np.ndarray],
    reference: np.ndarray,
    rules: Rules,
    rng: np.random.RandomState,
) -> np.ndarray:
    """Return the coefficients after one round."""
    used = policies if rules.history == "all" else policies[-int(rules.history) :]
    average = used[0] if len(used) == 1 else logsumexp(used, axis=0) - np.log(len(used))
    share = rules.mixture_weight
    anchor = (1 - share) * coefs[-1] + share * reference
    if rules.sampler == "reference" and len(used) > 1:
        log_b = log_policy(prompts.X, prompts.offsets, reference)
        mixture = np.where(
            prompts.present,
            (1 - share) * np.where(prompts.present, average, 0.0)
            + share * np.where(prompts.present, log_b, 0.0),
            -np.inf,
        )
    else:
        mixture = prompts.offsets + prompts.X @ anchor
    opponent = average if rules.sampler == "previous" else mixture
    opponent = np.exp(opponent - logsumexp(opponent, axis=1, keepdims=True))
    if rules.n_draws is not None:
        opponent = _draw(opponent, rules.n_draws, rng)
    return _best_response(prompts, opponent, mixture, anchor, rules)


def _draw(policy: np.ndarray, n_draws: int, rng: np.random.RandomState) -> np.ndarray:
    """Return the frequencies of responses drawn from a policy for each prompt."""
    cumulative = np.cumsum(policy, axis=1)
    points = rng.uniform(size=(len(policy), n_draws)) * cumulative[:, -1:]
    drawn = (points[:, :, None] >= cumulative[:, None, :]).sum(axis=2)
    counts = np.zeros_like(policy)
    np.add.at(counts, (np.arange(len(policy))[:, None], drawn), 1.0 / n_draws)
    return counts


def _best_response(
    prompts: Prompts,
    opponent: np.ndarray,
    mixture: np.ndarray,
    anchor: np.ndarray,
    rules: Rules,
) -> np.ndarray:
    r"""Minimise the loss of one round by Newton's method."""
    n, K, F = prompts.X.shape
    rows = np.arange(n)
    scale = rules.beta
    present = prompts.present
    known = np.where(present, prompts.offsets, 0.0) - np.where(present, mixture, 0.0)
    known = known[rows, prompts.human][:, None] - known
    weight = prompts.weights[:, None] * np.where(present, opponent, 0.0)
    weight[rows, prompts.human] = 0.0
    blocks = blocks_of(n, K * F)

    def margins(theta: np.ndarray) -> np.ndarray:
        logits = prompts.X @ theta
        return scale * (logits[rows, prompts.human][:, None] - logits + known)

    def objective(theta: np.ndarray, z: np.ndarray) -> float:
        shift = theta - anchor
        return float((weight * np.logaddexp(0, -z)).sum() + rules.alpha * shift @ shift)

    def slope(theta: np.ndarray, z: np.ndarray) -> np.ndarray:
        pull = -scale * weight * expit(-z)
        total = np.einsum("nk,nkf->f", -pull, prompts.X)
        total += pull.sum(axis=1) @ prompts.X[rows, prompts.human]
        return total + 2 * rules.alpha * (theta - anchor)

    theta = anchor.copy()
    z = margins(theta)
    value = objective(theta, z)
    size = None
    for _ in range(_NEWTON):
        gradient = slope(theta, z)
        norm = float(np.abs(gradient).max())
        size = norm if size is None else size
        if norm <= _TOL * max(size, 1e-8) or norm == 0.0:
            break
        bend = scale**2 * weight * expit(z) * expit(-z)
        move = -_solve(prompts, bend, blocks, rules.alpha, gradient)
        length, theta, z, value = _shorten(objective, margins, theta, z, value, move, gradient)
        if length == 0.0:
            break
    return theta


def blocks_of(n: int, width: int) -> list[slice]:
    """Return blocks of prompts whose features make a few million numbers."""
    size = max(1, _BLOCK // max(1, width))
    return [slice(start, start + size) for start in range(0, n, size)]


def _solve(
    prompts: Prompts, bend: np.ndarray, blocks: list[slice], alpha: float, gradient: np.ndarray
) -> np.ndarray:
    """Return the inverse Hessian times the gradient."""
    F = len(gradient)
    hessian = np.zeros((F, F))
    for block in blocks:
        X, human = prompts.X[block], prompts.human[block]
        gaps = X[np.arange(len(X)), human][:, None] - X
        gaps = (gaps * np.sqrt(bend[block])[:, :, None]).reshape(-1, F)
        hessian += gaps.T @ gaps
    values, vectors = eigh(hessian)
    # Directions in which no candidate differs have no slope, but for rounding.
    seen = values > 1e-12 * max(float(values[-1]), 1e-300)
    return vectors[:, seen] @ ((gradient @ vectors[:, seen]) / (values[seen] + 2 * alpha))


def _shorten(objective, margins, theta, z, value, move, gradient):
    """Return the longest of halved steps that makes the objective fall, and where it leads."""
    slope = float(gradient @ move)
    length = 1.0
    for _ in range(40):
        trial = theta + length * move
        trial_z = margins(trial)
        reached = objective(trial, trial_z)
        if reached <= value + 1e-4 * length * slope + 1e-15 * abs(value):
            return length, trial, trial_z, reached
        length *= 0.5
    return 0.0, theta, z, value


def distance_moved(prompts: Prompts, start: np.ndarray, coef: np.ndarray) -> Drift:
    """Return how far a policy is from the one at the start: of the human responses, and of others.

    What is rejected is a response drawn from the policy at the start.
    """
    sides = np.column_stack([prompts.human, prompts.human])
    log_start = log_policy(prompts.X, prompts.offsets, start)
    moved = drift(Candidates(prompts.X, log_start, sides, prompts.weights), coef - start)
    logs = log_policy(prompts.X, prompts.offsets, coef)
    ratio = np.where(prompts.present, logs - np.where(prompts.present, log_start, 0.0), 0.0)
    drawn = (np.where(prompts.present, np.exp(log_start), 0.0) * ratio).sum(axis=1)
    return moved._replace(rejected=float(prompts.weights @ drawn))
