"""Memory of a leave-one-out score for its own previous target (Onsager term)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...linalg._backend import Array, get_backend
from ...linalg._ridge_basis import RidgeBasis, gains, map_left, sum_left
from ...linalg._ridge_path import LEVERAGE_ROOM


class _Fit(NamedTuple):
    """How the leave-one-out scores of one fit depend on the targets.

    gain g (r,), energy ``diag(U g U^T)``, amplification k and intercept factor e, all (n,).
    """

    gain: Array
    energy: Array
    amplification: Array
    intercept: Array


def onsager(basis: RidgeBasis, alpha_previous: float, alpha_current: float, slopes: Array) -> Array:
    r"""Compute how strongly each leave-one-out score remembers its own previous target.

    When the targets of a fit are functions of the leave-one-out scores of a previous fit,
    ``t_j = tau_j(f_j)``, the score of row i depends on the previous target of row i through all
    other rows. To first order it carries ``c_i t_i``, which the caller subtracts.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`, common to both fits.
    alpha_previous, alpha_current : float
        Penalties per unit weight of the previous and of the current fit, ``np.inf`` included.
    slopes : array of shape (n,)
        ``slopes[j] = tau_j'`` at the previous scores.

    Returns
    -------
    array of shape (n,)
        c, such that the corrected score is ``f_i - c_i t_i`` with t the previous targets.

    Raises
    ------
    ValueError
        If `slopes` has another shape or a penalty is negative.

    Notes
    -----
    The leave-one-out score is linear in the other targets, ``f_i = sum_{j != i} A_ij t_j``, hence
    ``c_i = sum_{j != i} A2_ij tau'_j A1_ji``. With weights w, ``d = sqrt(w)``,
    ``m = d / sqrt(sum w)`` and ``B = U diag(g) U^T``,

    .. math:: A_{ij} = (d_j / d_i) k_i (B_{ij} + e_i m_i m_j),

    where for finite alpha ``g = s^2 / (s^2 + W alpha)``, ``k = 1 / (1 - h)``, ``e = 1``, and at
    infinity ``g = s^2 / W``, ``k = 1 / (1 - m^2)``, ``e = 1 + k diag(B)``. The sum averages
    ``v = k1 tau'`` over rows with weights ``B2_ij B1_ij``, which concentrates: v is replaced by
    its mean, with a relative error of order ``1/sqrt(n)`` in c (none where v is constant), as in
    approximate message passing. Since ``U^T U = 1``, what remains is

    .. math:: c_i = k_{2i} \bar v \big[u_i^T g_2 g_1 u_i + m_i u_i^T g_2 U^T (e_1 m)
        + e_{2i} m_i u_i^T g_1 U^T m + e_{2i} m_i^2 \sum_j e_{1j} m_j^2
        - (B_{2ii} + e_{2i} m_i^2)(B_{1ii} + e_{1i} m_i^2)\big].

    Cost: O(n r), against O(n r min(n, r)) for the double sum.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.noise_aware._onsager import onsager
    >>> from skrmt.linalg import ridge_basis
    >>> X = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0], [4.0, 1.0]])
    >>> np.round(onsager(ridge_basis(X), 1.0, 1.0, np.zeros(4)), 6)
    array([0., 0., 0., 0.])
    """
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
    fits = [_sensitivity(basis, alphas[k], gain[:, k], energy[:, k]) for k in (0, 1)]
    return fits[0], fits[1], energy[:, 2]


def _sensitivity(basis: RidgeBasis, alpha: float, gain: Array, energy: Array) -> _Fit:
    """Return the factors k and e of one fit."""
    xp = get_backend(basis.scale)
    share = basis.share
    if np.isfinite(alpha):
        amplification = 1.0 / xp.clip(1.0 - energy - share, LEVERAGE_ROOM, None)
        return _Fit(gain, energy, amplification, energy * 0.0 + 1.0)
    amplification = 1.0 / xp.clip(1.0 - share, LEVERAGE_ROOM, None)
    return _Fit(gain, energy, amplification, 1.0 + energy * amplification)


def _intercept_part(basis: RidgeBasis, previous: _Fit, current: _Fit) -> Array:
    """Return the terms in which m appears."""
    if not basis.fit_intercept:
        return previous.energy * 0.0
    share, root = basis.share, basis.share**0.5
    e_m, m = sum_left(basis, _projections, previous.intercept * root, root)
    forward, backward = current.gain * e_m, previous.gain * m
    first, second = previous.intercept * share, current.intercept * share
    own = previous.energy * second + current.energy * first + first * second
    parts = map_left(basis, _crossing, root, current.intercept, shared=(forward, backward))
    crossing = get_backend(basis.scale).concatenate(list(parts), axis=0)
    return second * (previous.intercept * share).sum() - own + crossing


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
