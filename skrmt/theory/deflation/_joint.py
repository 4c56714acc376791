"""Asymptotics of the joint least-squares fit of all components."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray
from ._signal import check_signal

_DAMPING = 0.5
_MAX_SWEEPS = 3000
_TOLERANCE = 1e-12
_EQUAL = 1e-8


class JointLimit(NamedTuple):
    """What the joint least-squares fit is.

    Attributes
    ----------
    weights : ndarray of shape (r,)
        Norms of the fitted components; NaN where the fit is unstable.
    alignments : ndarray of shape (r, d)
        Cosine of each fitted component and its true one in each mode.
    grams : ndarray of shape (d, r, r)
        Gram matrices of the fitted components.
    """

    weights: FloatArray
    alignments: FloatArray
    grams: FloatArray


class JointState(NamedTuple):
    """Unknowns of the equations of the joint fit.

    Attributes
    ----------
    weights : ndarray of shape (r,)
        Norms of the fitted components.
    cosines : ndarray of shape (d, r, r)
        Cosine of true component j and fitted component l in each mode.
    grams : ndarray of shape (d, r, r)
        Gram matrices of the fitted components.
    inverses : ndarray of shape (d, r, r)
        Inverses of the matrices D of the equations.
    """

    weights: FloatArray
    cosines: FloatArray
    grams: FloatArray
    inverses: FloatArray


def joint_cp(betas: ArrayLike, grams: ArrayLike, dims: ArrayLike) -> JointLimit:
    r"""Return the limits of the joint least-squares fit of all components (CP).

    Parameters
    ----------
    betas : array-like of shape (r,)
        Norms :math:`\beta_j` of the components, positive, in units in which the noise entries
        have variance 1/N: raw norms over :math:`\sigma\sqrt N`.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r)
        Gram matrices :math:`\kappa_m` of the components: one a mode, one for all modes, the
        cosine of all pairs in each mode, or that of all pairs in all modes.
    dims : sequence of int
        Sizes :math:`p_1, \ldots, p_d`, three or more; :math:`N = \sum_m p_m`.

    Returns
    -------
    weights : ndarray of shape (r,)
        Norms :math:`\lambda_j` of the fitted components, in the order of `betas`.
    alignments : ndarray of shape (r, d)
        Cosine of each fitted component and its true one in each mode.
    grams : ndarray of shape (d, r, r)
        Gram matrices of the fitted components. All three are NaN where the fit is unstable: the
        components are too weak or too close.

    Raises
    ------
    ValueError
        If a shape or a range is wrong or a Gram matrix is none.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    estimate_from_joint : The inverse.
    hotelling : One component after the other.

    Notes
    -----
    The stationary point of :math:`\|T-\sum_j\lambda_ja_j^{(1)}\circ\cdots\circ a_j^{(d)}\|^2`
    near the truth, unit vectors a. With :math:`H_m` the Gram matrices of the a,
    :math:`R_m[j,l] = \langle x_j^{(m)},a_l^{(m)}\rangle`, :math:`\Gamma_m` the entrywise product
    of the :math:`H_k`, :math:`k\neq m`, :math:`\Gamma_{mk}` that without m and k,
    :math:`B_m` that of the :math:`R_k`, :math:`k\neq m`, with row j times :math:`\beta_j`, and
    :math:`\Lambda = \operatorname{diag}(\lambda)`,

    .. math::

        D_m &= \Gamma_m-\sum_{k\neq m}c_k\,\Gamma_{mk}\odot
            (\Lambda^{-1}D_k^{-1}\Lambda^{-1}), \\
        R_m\Lambda &= \kappa_mB_mD_m^{-1}, \quad
        \Lambda H_m\Lambda = D_m^{-1}(B_m^\top\kappa_mB_m+c_m\Gamma_m)D_m^{-1}.

    The fit is stable where the linearised first equation is: its spectral radius is below 1. One
    component gives `rank_one_limit`.

    Examples
    --------
    >>> from skrmt.theory.deflation import joint_cp
    >>> limit = joint_cp([5.0, 4.5], 0.6, (80, 80, 80))
    >>> limit.weights.round(4)
    array([5.1165, 4.6277])
    >>> limit.alignments[:, 0].round(4)
    array([0.9921, 0.9902])
    """
    signal = check_signal(betas, grams, dims)
    state = solve_joint(signal.betas, signal.grams, signal.share)
    if state is None:
        shape = (signal.rank, signal.order)
        return JointLimit(
            np.full(signal.rank, np.nan), np.full(shape, np.nan), np.full_like(signal.grams, np.nan)
        )
    diagonals = np.diagonal(state.cosines, axis1=1, axis2=2)
    return JointLimit(state.weights, diagonals.T.copy(), state.grams)


def solve_joint(
    betas: FloatArray, grams: FloatArray, share: FloatArray, start: JointState | None = None
) -> JointState | None:
    """Solve the equations of the joint fit by sweeps over the modes, by default from the signal."""
    if start is None:
        eye = np.broadcast_to(np.eye(len(betas)), grams.shape)
        start = JointState(betas, 0.95 * grams, grams, eye)
    state = start
    for _ in range(_MAX_SWEEPS):
        try:
            following, spread = _sweep(betas, grams, share, state)
        except np.linalg.LinAlgError:
            return None
        moved = max(
            float(np.abs(new - old).max()) for new, old in zip(following, state, strict=True)
        )
        state = following
        if not np.isfinite(moved) or state.weights.min() <= 1e-6 * betas.min():
            return None
        if moved < _TOLERANCE * max(1.0, float(state.weights.max())):
            holds = spread <= _EQUAL * state.weights.max() and is_stable(state, share)
            return state if holds else None
    return None


def _sweep(
    betas: FloatArray, grams: FloatArray, share: FloatArray, state: JointState
) -> tuple[JointState, float]:
    """Update every mode once; return the state and the spread of the weights over the modes."""
    weights, cosines, products, inverses = (np.array(part) for part in state)
    norms = np.empty((len(share), len(betas)))
    for mode in range(len(share)):
        inverse = symmetric_inverse(hessian_at(weights, products, inverses, share, mode))
        mixed = betas[:, None] * _product(cosines, mode)
        left = grams[mode] @ mixed
        noise = share[mode] * _product(products, mode)
        full = symmetric(inverse @ (mixed.T @ left + noise) @ inverse)
        norms[mode] = np.sqrt(np.diagonal(full))
        weights = weights + _DAMPING * (norms[mode] - weights)
        inverses[mode] += _DAMPING * (inverse - inverses[mode])
        cosines[mode] += _DAMPING * (left @ inverse / norms[mode] - cosines[mode])
        products[mode] += _DAMPING * (full / np.outer(norms[mode], norms[mode]) - products[mode])
    return JointState(weights, cosines, products, inverses), float(np.ptp(norms, axis=0).max())


def symmetric(matrix: FloatArray) -> FloatArray:
    """Remove the antisymmetric rounding errors, which the sweeps would amplify."""
    return np.asarray(0.5 * (matrix + np.swapaxes(matrix, -1, -2)), dtype=np.float64)


def symmetric_inverse(matrix: FloatArray) -> FloatArray:
    """Return the inverse of a symmetric matrix, symmetric to the last digit."""
    return symmetric(np.asarray(np.linalg.inv(matrix), dtype=np.float64))


def other_products(matrices: FloatArray) -> FloatArray:
    """Return, for each mode, the entrywise product of the matrices of the other modes."""
    return np.array([_product(matrices, mode) for mode in range(len(matrices))])


def _product(matrices: FloatArray, *left_out: int) -> FloatArray:
    """Return the entrywise product of the matrices of all modes but some."""
    product = np.ones(matrices.shape[1:])
    for mode, matrix in enumerate(matrices):
        if mode not in left_out:
            product = product * matrix
    return product


def hessian_at(
    weights: FloatArray, products: FloatArray, inverses: FloatArray, share: FloatArray, mode: int
) -> FloatArray:
    """Return the matrix D of one mode."""
    inverse_weights = 1 / np.outer(weights, weights)
    result = _product(products, mode)
    for other in range(len(share)):
        if other != mode:
            coupling = _product(products, mode, other) * inverse_weights
            result = result - share[other] * coupling * inverses[other]
    return result


def is_stable(state: JointState, share: FloatArray) -> bool:
    """Return whether the linearised equations of the matrices D have a radius below 1."""
    weights, _, products, inverses = state
    order, rank = len(share), len(weights)
    if np.linalg.eigvalsh(inverses).min() <= 0:
        return False
    scale = np.outer(weights, weights)
    blocks = np.zeros((order, rank * rank, order, rank * rank))
    for mode in range(order):
        for other in range(order):
            if other != mode:
                coupling = share[other] * _product(products, mode, other) / scale
                change = np.kron(inverses[other], inverses[other])
                blocks[mode, :, other] = coupling.ravel()[:, None] * change
    jacobian = blocks.reshape(order * rank * rank, -1)
    return bool(np.abs(np.linalg.eigvals(jacobian)).max() < 1)
