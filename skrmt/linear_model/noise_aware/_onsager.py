"""The Onsager term: how a held-out score depends on its own previous target."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg._backend import Array, get_backend
from ...linalg._ridge_basis import RidgeBasis, gains, map_left, sum_left
from ...linalg._ridge_path import LEVERAGE_ROOM


class _Fit(NamedTuple):
    """How the leave-one-out scores of one fit depend on the targets.

    gain g (r,); energy ``diag(U g U^T)`` and share of the intercept, both of the part left out,
    amplification k and intercept factor e, all (n,).
    """

    gain: Array
    energy: Array
    share: Array
    amplification: Array
    intercept: Array


def onsager(basis: RidgeBasis, alpha_previous: float, alpha_current: float, slopes: Array) -> Array:
    """Return the derivative of each held-out score by its own target of the fit before."""
    xp = get_backend(basis.scale)
    slopes = xp.asarray(slopes, like=basis.scale, dtype="float64")
    if tuple(slopes.shape) != (basis.n_samples,):
        raise ValueError(f"slopes has shape {tuple(slopes.shape)}: give ({basis.n_samples},).")
    previous, current, both = _sensitivities(basis, alpha_previous, alpha_current)
    weights = basis.sqrt_weights * basis.sqrt_weights
    mean = (weights * slopes * previous.amplification).sum() / weights.sum()
    memory = both - previous.energy * current.energy + _intercept_part(basis, previous, current)
    return xp.asarray(mean * current.amplification * memory, dtype=basis.dtype)


def _sensitivities(
    basis: RidgeBasis, alpha_previous: float, alpha_current: float
) -> tuple[_Fit, _Fit, Array]:
    """Return both fits and ``diag(U g1 g2 U^T)``."""
    xp = get_backend(basis.scale)
    alphas = [alpha_previous, alpha_current]
    gain = gains(basis, alphas)
    gain = xp.concatenate([gain, gain[:, :1] * gain[:, 1:]], axis=1)
    energy = xp.concatenate(list(map_left(basis, _energy, shared=(gain,))), axis=0)
    energy = energy * basis.part[:, None]
    fits = [_sensitivity(basis, alphas[k], gain[:, k], energy[:, k]) for k in (0, 1)]
    return fits[0], fits[1], energy[:, 2]


def _sensitivity(basis: RidgeBasis, alpha: float, gain: Array, energy: Array) -> _Fit:
    """Return the factors k and e of one fit."""
    xp = get_backend(basis.scale)
    share = basis.share * basis.part
    if np.isfinite(alpha):
        amplification = 1.0 / xp.clip(1.0 - energy - share, LEVERAGE_ROOM, None)
        return _Fit(gain, energy, share, amplification, energy * 0.0 + 1.0)
    amplification = 1.0 / xp.clip(1.0 - share, LEVERAGE_ROOM, None)
    return _Fit(gain, energy, share, amplification, 1.0 + energy * amplification)


def _intercept_part(basis: RidgeBasis, previous: _Fit, current: _Fit) -> Array:
    """Return the terms in which the intercepts appear."""
    if not basis.fit_intercept:
        return previous.energy * 0.0
    root = basis.share**0.5
    e_m, m = sum_left(basis, _projections, previous.intercept * root, root)
    forward, backward = current.gain * e_m, previous.gain * m
    first, second = previous.intercept * previous.share, current.intercept * current.share
    own = previous.energy * second + current.energy * first + first * second
    parts = map_left(basis, _crossing, root, current.intercept, shared=(forward, backward))
    crossing = get_backend(basis.scale).concatenate(list(parts), axis=0)
    return second * (previous.intercept * basis.share).sum() - own + crossing * basis.part


def _energy(block: Array, gain: Array) -> Array:
    """Return the diagonal of ``U gain U^T`` on a block of rows."""
    return (block * block) @ gain


def _projections(block: Array, first: Array, second: Array) -> tuple[Array, Array]:
    """Return the products of a block of U with two vectors."""
    return block.T @ first, block.T @ second


def _crossing(
    block: Array, root: Array, intercept: Array, forward: Array, backward: Array
) -> Array:
    """Return the terms in which the intercept of one fit meets the slope of the other."""
    return root * (block @ forward) + intercept * root * (block @ backward)
