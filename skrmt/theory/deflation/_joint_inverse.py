"""From a joint least-squares fit back to the signal, and the accuracy of the fit."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares

from .._checks import FloatArray
from ..spiked_tensor._limits import check_dims, rank_one_limit, shares, signal_strength
from ._joint import (
    JointState,
    hessian_at,
    is_stable,
    other_products,
    solve_joint,
    symmetric,
    symmetric_inverse,
)
from ._signal import check_grams, check_norms, coordinates, outer

_MAX_SWEEPS = 3000
_ACCEPTED = 1e-8


class SignalEstimate(NamedTuple):
    """A signal inferred from the result of a fit.

    Attributes
    ----------
    betas : ndarray of shape (r,)
        Norms of the components; NaN, as everything else, where no signal explains the fit.
    grams : ndarray of shape (d, r, r)
        Gram matrices of the components.
    alignments : ndarray
        Cosines of the fit and the components: (r, d) for a joint fit, (s, r, d) for deflation.
    betas_std : ndarray of shape (r,)
        Standard errors of `betas`.
    residual : float
        Largest misfit of what was observed; NaN where it cannot be computed.
    converged : bool
        Whether a signal was found.
    coefficients : ndarray
        Weights with which the estimated components come closest to the signal, see
        `optimal_coefficients`: (r,) for a joint fit, (s,) for deflation.
    """

    betas: FloatArray
    grams: FloatArray
    alignments: FloatArray
    betas_std: FloatArray
    residual: float
    converged: bool
    coefficients: FloatArray


def estimate_from_joint(weights: ArrayLike, grams: ArrayLike, dims: ArrayLike) -> SignalEstimate:
    r"""Return the signal behind a joint least-squares fit, and the accuracy of the fit.

    Parameters
    ----------
    weights : array-like of shape (r,)
        Norms of the fitted components, positive, in units in which the noise entries have
        variance 1/N: raw norms over :math:`\hat\sigma\sqrt N`.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r)
        Gram matrices of the fitted components, in one of the forms of `joint_cp`, with the signs
        of the fit.
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    betas : ndarray of shape (r,)
        Norms of the true components.
    grams : ndarray of shape (d, r, r)
        Their Gram matrices.
    alignments : ndarray of shape (r, d)
        Cosine of each fitted component and its true one in each mode.
    betas_std : ndarray of shape (r,)
        Standard errors of `betas`, infinite where the components do not determine their norms.
    residual : float
        Largest misfit of the equations.
    converged : bool
        Whether a signal explains the fit. If not, it is too weak, or its components are too
        close, and all the numbers are NaN.
    coefficients : ndarray of shape (r,)
        Weights with which the fitted components come closest to the signal.

    Raises
    ------
    ValueError
        If a shape or a range is wrong or a Gram matrix is none.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    joint_cp : The forward map and its equations.
    estimate_from_hotelling : The same from deflation.

    Notes
    -----
    In the equations of `joint_cp` the weights and Gram matrices of the fit are known, hence the
    :math:`D_m`, :math:`P_m = D_m\Lambda H_m\Lambda D_m - c_m\Gamma_m` and
    :math:`E_m = D_m\Lambda`. What is left,

    .. math::

        B_m^\top R_m = P_mE_m^{-\top}, \qquad
        \operatorname{diag}\bigl(R_m E_m^\top P_m^{-1}E_m R_m^\top\bigr) = 1,

    is solved for :math:`\beta` and the :math:`R_m` by least squares from the fit itself;
    :math:`\kappa_m = R_mE_m^\top P_m^{-1}E_mR_m^\top` and the alignments are the diagonals of the
    :math:`R_m`. The solution counts if the forward equations stay there.

    The variance of :math:`\beta_j` is that of an efficient estimator of norms and factors in the
    span of the components, over :math:`\prod_m q_{jm}^2` for the alignments q; of one component
    it is :math:`1/(N\prod_m q_m^2)`. Simulated standard deviations are within 10 % of it.

    Examples
    --------
    >>> from skrmt.theory.deflation import estimate_from_joint, joint_cp
    >>> fit = joint_cp([5.0, 4.5], 0.6, (80, 80, 80))
    >>> estimate = estimate_from_joint(fit.weights, fit.grams, (80, 80, 80))
    >>> estimate.betas.round(6), estimate.grams[0, 0, 1].round(6)
    (array([5. , 4.5]), np.float64(0.6))
    """
    sizes = check_dims(dims)
    norms = check_norms("weights", weights)
    products = check_grams(grams, len(sizes), len(norms))
    return _invert(norms, products, sizes)


def _invert(weights: FloatArray, products: FloatArray, sizes: tuple[int, ...]) -> SignalEstimate:
    """Find the signal behind checked weights and Gram matrices."""
    share, rank = shares(sizes), len(weights)
    if rank == 1:
        return _invert_one(weights, sizes)
    inverses = _hessian_inverses(weights, products, share)
    if inverses is None:
        return no_estimate(len(share), rank, (rank, len(share)))
    noise = share[:, None, None] * other_products(products)
    scaled = np.linalg.inv(inverses) * weights
    power = symmetric(scaled @ products @ scaled.transpose(0, 2, 1) - noise)
    if np.linalg.eigvalsh(power).min() <= 0:
        return no_estimate(len(share), rank, (rank, len(share)))
    targets = power @ np.linalg.inv(scaled.transpose(0, 2, 1))
    metric = symmetric(scaled.transpose(0, 2, 1) @ np.linalg.solve(power, scaled))
    betas, cosines, residual = _solve_signal(weights, products, targets, metric)
    grams = symmetric(cosines @ metric @ cosines.transpose(0, 2, 1))
    state = JointState(weights, cosines, products, inverses)
    is_solved = residual < _ACCEPTED and betas.min() > 0 and is_stable(state, share)
    if not is_solved or not _stays(betas, grams, share, state):
        return no_estimate(len(share), rank, (rank, len(share)), residual)
    alignments = np.diagonal(cosines, axis1=1, axis2=2).T.copy()
    spread = signal_std(grams, sizes) / np.abs(alignments.prod(axis=1))
    overlaps = cosines.prod(axis=0).T @ betas
    coefficients = np.linalg.solve(products.prod(axis=0), overlaps)
    return SignalEstimate(betas, grams, alignments, spread, residual, True, coefficients)


def _invert_one(weights: FloatArray, sizes: tuple[int, ...]) -> SignalEstimate:
    """Find the signal of one component."""
    betas = np.atleast_1d(signal_strength(weights, sizes))
    if not np.isfinite(betas).all():
        return no_estimate(len(sizes), 1, (1, len(sizes)))
    alignments = rank_one_limit(betas, sizes).alignments
    product = alignments.prod(axis=1)
    spread = 1 / (np.sqrt(sum(sizes)) * product)
    grams = np.ones((len(sizes), 1, 1))
    return SignalEstimate(betas, grams, alignments, spread, 0.0, True, betas * product)


def no_estimate(
    order: int, rank: int, shape: tuple[int, ...], residual: float = float("nan")
) -> SignalEstimate:
    """Return the answer where no signal explains what was observed."""
    norms, grams = np.full(rank, np.nan), np.full((order, rank, rank), np.nan)
    alignments, coefficients = np.full(shape, np.nan), np.full(shape[0], np.nan)
    return SignalEstimate(norms, grams, alignments, norms.copy(), residual, False, coefficients)


def _solve_signal(
    weights: FloatArray, products: FloatArray, targets: FloatArray, metric: FloatArray
) -> tuple[FloatArray, FloatArray, float]:
    """Solve for the norms and the cosines with the fit; return them and the largest misfit."""
    rank = len(weights)

    def misfit(unknown: FloatArray) -> FloatArray:
        betas, cosines = unknown[:rank], unknown[rank:].reshape(products.shape)
        mixed = betas[:, None] * other_products(cosines)
        gap = mixed.transpose(0, 2, 1) @ cosines - targets
        norms = np.einsum("mjl,mlk,mjk->mj", cosines, metric, cosines)
        return np.concatenate([gap.ravel() / weights.max(), norms.ravel() - 1])

    def jacobian(unknown: FloatArray) -> FloatArray:
        return _misfit_jacobian(
            unknown[:rank], unknown[rank:].reshape(products.shape), metric, float(weights.max())
        )

    start = np.concatenate([weights, products.ravel()])
    result = least_squares(misfit, start, jacobian, method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    solved = np.asarray(result.x, dtype=np.float64)
    return solved[:rank], solved[rank:].reshape(products.shape), float(np.abs(result.fun).max())


def _misfit_jacobian(
    betas: FloatArray, cosines: FloatArray, metric: FloatArray, scale: float
) -> FloatArray:
    """Return the derivative of the misfit by the norms and the cosines."""
    order, rank = cosines.shape[:2]
    eye = np.eye(rank)
    by_beta = np.empty((order, rank, rank, rank))
    by_cosine = np.zeros((order, rank, rank, order, rank, rank))
    norms = np.zeros((order, rank, order, rank, rank))
    pulled = 2 * cosines @ metric
    for mode in range(order):
        others = np.delete(cosines, mode, axis=0).prod(axis=0)
        by_beta[mode] = np.einsum("ja,jb->abj", others, cosines[mode])
        by_cosine[mode, :, :, mode] = np.einsum("j,ja,bl->abjl", betas, others, eye)
        norms[mode, :, mode] = np.einsum("kj,jl->kjl", eye, pulled[mode])
        for other in range(order):
            if other != mode:
                rest = np.delete(cosines, (mode, other), axis=0).prod(axis=0)
                by_cosine[mode, :, :, other] += np.einsum(
                    "j,jl,jb,al->abjl", betas, rest, cosines[mode], eye
                )
    gap = np.concatenate(
        [by_beta.reshape(-1, rank), by_cosine.reshape(order * rank * rank, -1)], axis=1
    )
    unit = np.concatenate([np.zeros((order * rank, rank)), norms.reshape(order * rank, -1)], axis=1)
    return np.concatenate([gap / scale, unit])


def signal_std(grams: FloatArray, sizes: tuple[int, ...]) -> FloatArray:
    """Return the least standard errors of the norms when the factors are unknown."""
    vectors = coordinates(grams).transpose(1, 0, 2)
    columns = [outer(component).ravel() for component in vectors]
    for component in vectors:
        for mode, vector in enumerate(component):
            for tangent in np.linalg.svd(vector[None])[2][1:]:
                moved = component.copy()
                moved[mode] = tangent
                columns.append(outer(moved).ravel())
    jacobian = np.array(columns)
    information = jacobian @ jacobian.T
    if np.linalg.cond(information) > 1e14:
        return np.full(grams.shape[1], np.inf)
    bounds = np.diagonal(np.linalg.inv(information))[: grams.shape[1]]
    return np.asarray(np.sqrt(bounds / sum(sizes)), dtype=np.float64)


def _hessian_inverses(
    weights: FloatArray, products: FloatArray, share: FloatArray
) -> FloatArray | None:
    """Solve for the matrices D at known weights and Gram matrices; return their inverses."""
    inverses = np.broadcast_to(np.eye(len(weights)), products.shape).copy()
    for _ in range(_MAX_SWEEPS):
        moved = 0.0
        for mode in range(len(share)):
            try:
                hessian = hessian_at(weights, products, inverses, share, mode)
                update = symmetric_inverse(hessian)
            except np.linalg.LinAlgError:
                return None
            moved = max(moved, float(np.abs(update - inverses[mode]).max()))
            inverses[mode] = update
        if not np.isfinite(moved):
            return None
        if moved <= 1e-14 * np.abs(inverses).max():
            return inverses
    return None


def _stays(betas: FloatArray, grams: FloatArray, share: FloatArray, state: JointState) -> bool:
    """Return whether the forward equations, started at a solution, remain there."""
    again = solve_joint(betas, grams, share, state)
    return again is not None and bool(
        np.abs(again.weights - state.weights).max() <= 1e-6 * state.weights.max()
    )
