"""Fits of losses that read the probability of each response, and so need all candidates."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import log_expit, logsumexp

from ...utils._merging import rows_together
from ..losses._losses import preference_gradient, preference_loss
from ..losses._table import LOSSES
from ._input import Candidates
from ._solver import Fit, minimise

_BLOCK = 1 << 22

_ROOM = 1e-10
"""Added to what a prompt leaves of itself, so that one that decides the fit leaves something."""


class Drift(NamedTuple):
    """How far a policy has moved from its reference.

    Attributes
    ----------
    chosen, rejected : float
        Mean log-ratio of the chosen and of the rejected responses.
    kl : float
        Mean divergence from the reference, in nats.
    """

    chosen: float
    rejected: float
    kl: float


def log_policy(X: np.ndarray, base: np.ndarray, coef: np.ndarray) -> np.ndarray:
    """Return log-probabilities proportional to the base times exp(X coef), over the candidates."""
    logits = base + X @ coef
    return np.minimum(logits - logsumexp(logits, axis=1, keepdims=True), 0.0)


def drift(sets: Candidates, coef: np.ndarray) -> Drift:
    """Return how far the policy of these coefficients is from the reference."""
    logs = log_policy(sets.X, sets.log_reference, coef)
    present = np.isfinite(sets.log_reference)
    ratio = np.where(present, logs - np.where(present, sets.log_reference, 0.0), 0.0)
    share = sets.weights / sets.weights.sum()
    rows = np.arange(len(ratio))
    divergence = (np.where(present, np.exp(logs), 0.0) * ratio).sum(1)
    return Drift(
        float(share @ ratio[rows, sets.pairs[:, 0]]),
        float(share @ ratio[rows, sets.pairs[:, 1]]),
        max(float(share @ divergence), 0.0),
    )


def fit_candidates(
    name: str,
    sets: Candidates,
    alpha: float,
    *,
    beta: float,
    options: dict[str, Any],
    max_iter: int,
) -> Fit:
    """Find a stationary point of a loss of single responses, from the reference."""
    rows = np.arange(len(sets.X))
    chosen, rejected = (sets.X[rows, sets.pairs[:, side]] for side in (0, 1))
    share = sets.weights / sets.weights.sum()
    arguments = {"beta": beta, **options}
    if LOSSES[name].lengths == "required":
        arguments |= {"chosen_lengths": 1.0, "rejected_lengths": 1.0}
    references = _references(name, sets)

    def objective(u: np.ndarray) -> tuple[float, np.ndarray]:
        logs = log_policy(sets.X, sets.log_reference, u)
        pair = [logs[rows, sets.pairs[:, side]] for side in (0, 1)]
        value = preference_loss(name, *pair, *references, **arguments)
        up, down = (share * g for g in preference_gradient(name, *pair, *references, **arguments))
        mean = np.einsum("nk,nkf->nf", np.exp(logs), sets.X)
        gradient = up @ (chosen - mean) + down @ (rejected - mean)
        return float(share @ value) + alpha * float(u @ u), gradient + 2 * alpha * u

    difference = chosen - rejected
    fit = minimise(objective, np.zeros(sets.X.shape[2]), max_iter, lambda u: difference @ u)
    # The minimum of a loss with corners lies on one, where the gradient does not vanish.
    return fit._replace(
        converged=fit.converged or (not LOSSES[name].smooth and fit.n_iter < max_iter)
    )


def _references(name: str, sets: Candidates) -> list[np.ndarray | None]:
    """Return the log-probabilities under the reference, where the loss reads them."""
    if not LOSSES[name].reference:
        return [None, None]
    rows = np.arange(len(sets.X))
    return [sets.log_reference[rows, sets.pairs[:, side]] for side in (0, 1)]


def leave_one_out_candidates(
    name: str, sets: Candidates, alpha: float, fit: Fit, *, beta: float, options: dict[str, Any]
) -> np.ndarray:
    r"""Return the margin of each pair by the fit without its prompt, after one Newton step.

    What is left out is the prompt, or its group.
    """
    alone = LOSSES[name].sides == "chosen"
    weight = 1.0 if alone else options.get("weight", 1.0)
    share = sets.weights / sets.weights.sum()
    policy = np.exp(log_policy(sets.X, sets.log_reference, fit.coef))
    rows = np.arange(len(sets.X))
    chosen, rejected = (sets.X[rows, sets.pairs[:, side]] for side in (0, 1))
    known = [sets.log_reference[rows, sets.pairs[:, side]] for side in (0, 1)]
    z = beta * (fit.scores + known[0] - known[1])
    pull = 0.0 if alone else beta * np.exp(log_expit(-z))
    bend = np.zeros_like(z) if alone else beta**2 * np.exp(log_expit(z) + log_expit(-z))
    n, K, F = sets.X.shape
    size = max(1, _BLOCK // (F * (K + 1)))
    blocks = [slice(start, start + size) for start in range(0, n, size)]

    def factors(block: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return roots of the Hessians and the gradients of some prompts."""
        mean = np.einsum("nk,nkf->nf", policy[block], sets.X[block])
        D = chosen[block] - rejected[block]
        spread = np.sqrt(weight * policy[block])[:, :, None] * (sets.X[block] - mean[:, None])
        roots = np.concatenate([spread, (np.sqrt(bend[block])[:, None] * D)[:, None]], axis=1)
        slope = (
            -(weight * (chosen[block] - mean)) - np.reshape(pull * np.ones(n), -1)[block, None] * D
        )
        return roots * np.sqrt(share[block])[:, None, None], slope * share[block, None]

    hessian = 2 * alpha * np.eye(F)
    for block in blocks:
        flat = factors(block)[0].reshape(-1, F)
        hessian += flat.T @ flat
    hessian[np.diag_indices(F)] += 1e-12 * max(float(np.trace(hessian)) / F, 1e-300)
    factor = cho_factor(hessian, lower=True)
    left = np.array(fit.scores)
    for block in blocks:
        B, g = factors(block)
        PB = cho_solve(factor, B.reshape(-1, F).T).T.reshape(B.shape)
        Pg = cho_solve(factor, g.T).T
        inner = np.eye(K + 1) - np.einsum("naf,nbf->nab", B, PB)
        inner += _ROOM * np.eye(K + 1)
        step = np.linalg.solve(inner, np.einsum("naf,nf->na", B, Pg)[:, :, None])[:, :, 0]
        move = Pg + np.einsum("na,naf->nf", step, PB)
        left[block] += np.einsum("nf,nf->n", chosen[block] - rejected[block], move)
    for together in rows_together(sets.group):
        move = _group_move(factor, *factors(together))
        left[together] = fit.scores[together] + (chosen[together] - rejected[together]) @ move
    return left


def _group_move(factor: Any, roots: np.ndarray, slopes: np.ndarray) -> np.ndarray:
    """Return the change of the coefficients in the step of the fit without some prompts."""
    B = roots.reshape(-1, roots.shape[2])
    PB, Pg = cho_solve(factor, B.T), cho_solve(factor, slopes.sum(0))
    inner = (1.0 + _ROOM) * np.eye(len(B)) - B @ PB
    return Pg + PB @ np.linalg.solve(inner, B @ Pg)
