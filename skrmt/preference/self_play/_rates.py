"""By which factor rounds of self-play multiplied the error, on the features at hand."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh
from scipy.special import expit

from ..policy._candidate_fit import log_policy
from ._fit import Prompts, Rounds, blocks_of
from ._theory import Rules

_SLOWER = 1.2
"""How many times slower than predicted rounds may be: what is left of the error after a round is so
many times larger, or what a round removes so many times smaller."""

_FAST = 1 / 6
"""Rate below which rounds count as predicted to have this one: the error falls below a thousandth
in four rounds, and the fit of 400 choices moves rates by more than a fifth of so small a one."""

_REAL = 1e-6
"""Imaginary part of a factor, in units of the real one, that is rounding of equal factors."""

_NEAR_REST = 0.1
"""Last step, in units of the largest coefficient, from which rounds are too far from their rest to
have the rate there."""


def seen_rate(
    prompts: Prompts, reference: np.ndarray, rules: Rules, rounds: Rounds, observed: float
) -> float:
    """Return the rate that rounds had, nan where they do not show it."""
    if rounds.diverged:
        return observed
    coef, step = rounds.coefs[-1], rounds.coefs[-1] - rounds.coefs[-2]
    if rules.history == "all" or np.abs(step).max() > _NEAR_REST * np.abs(coef).max():
        return float("nan")
    return local_rate(prompts, reference, rules, coef)


def is_slower(seen: float, predicted: float) -> bool:
    """Return whether rounds did not shrink errors as predicted."""
    left = max(abs(predicted), _FAST)
    return abs(seen) > min(_SLOWER * left, 1 - (1 - left) / _SLOWER)


def local_rate(prompts: Prompts, reference: np.ndarray, rules: Rules, coef: np.ndarray) -> float:
    r"""Return the largest factor of a round linearised at a point of rest.

    The gradient of a round's loss depends on the last policies through the opponent and the policy
    compared with. Its derivatives in the new and the old coefficients give the linear map; a real
    factor has its sign, a complex one is its modulus.
    """
    curvature, drift = _derivatives(prompts, reference, rules, coef)
    values, vectors = eigh(curvature)
    varied = values > 1e-12 * max(float(values[-1]), 1e-300)
    basis = vectors[:, varied]
    pull = (basis.T @ drift @ basis) / (values[varied] + 2 * rules.alpha)[:, None]
    kept, eye = 1 - rules.mixture_weight, np.eye(len(pull))
    own = kept if rules.sampler == "reference" else 1.0
    newest, older = kept * eye + own * pull, None
    if rules.history == 2:
        # The opponent, and with "reference" the policy compared with, is the mean of two policies.
        older = own * pull / 2 + (kept * eye / 2 if rules.sampler == "reference" else 0.0)
        newest = older if rules.sampler == "reference" else kept * eye + own * pull / 2
        newest = np.block([[newest, older], [eye, np.zeros_like(eye)]])
    factors = np.linalg.eigvals(newest)
    if len(factors) == 0:
        return 0.0
    largest = factors[np.argmax(np.abs(factors))]
    signed = rules.history == 1 and abs(largest.imag) <= _REAL * abs(largest.real)
    return float(largest.real if signed else np.abs(largest))


def _derivatives(
    prompts: Prompts, reference: np.ndarray, rules: Rules, coef: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return minus the derivatives of the gradient in the margins, and in the opponent's logits."""
    beta, share = rules.beta, rules.mixture_weight
    anchor = (1 - share) * coef + share * reference
    opponent = anchor if rules.sampler == "reference" else coef
    curvature, drift = np.zeros((2, len(coef), len(coef)))
    for block in blocks_of(len(prompts.X), prompts.X[0].size):
        X, human = prompts.X[block], prompts.human[block]
        policy = np.exp(log_policy(X, prompts.offsets[block], opponent))
        gaps = X[np.arange(len(X)), human][:, None] - X
        z = beta * (gaps @ (coef - anchor))
        mean = np.einsum("nk,nkf->nf", policy, X)
        policy *= prompts.weights[block, None]
        flat = gaps.reshape(-1, len(coef))
        bend = (beta**2 * policy * expit(z) * expit(-z)).reshape(-1, 1)
        curvature += flat.T @ (bend * flat)
        moved = (X - mean[:, None]).reshape(-1, len(coef))
        drift += flat.T @ ((beta * policy * expit(-z)).reshape(-1, 1) * moved)
    return curvature, drift


def observed_rate(coefs: np.ndarray, history: int | str = 1) -> float:
    """Return the factor between steps above rounding, nan if there are fewer than two."""
    steps = np.diff(coefs, axis=0)
    sizes = np.linalg.norm(steps, axis=1)
    clear = int((np.cumsum(sizes <= 1e-6 * max(float(sizes.max()), 1e-300)) == 0).sum())
    if clear < 2:
        return float("nan")
    if history == 1:
        return float(steps[clear - 1] @ steps[clear - 2] / sizes[clear - 2] ** 2)
    span = min(10, clear - 1)
    return float((sizes[clear - 1] / sizes[clear - 1 - span]) ** (1 / span))
