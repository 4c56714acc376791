"""How a low-rank fit is best weighted to come close to the signal."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, finite_floats
from ._joint import solve_joint
from ._signal import check_norms, check_signal


def joint_cosines(betas: ArrayLike, grams: ArrayLike, dims: ArrayLike) -> FloatArray:
    r"""Return the cosines of all fitted and all true components of the joint fit.

    Parameters
    ----------
    betas : array-like of shape (r,)
        Norms of the components, positive, in units in which the noise entries have variance 1/N.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r)
        Gram matrices of the components, in one of the forms of `joint_cp`.
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    ndarray of shape (r, r, d)
        Cosine of fitted component i and true component j in each mode; NaN where the fit is
        unstable.

    Raises
    ------
    ValueError
        If a shape or a range is wrong or a Gram matrix is none.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    joint_cp : The diagonal, and the equations.

    Notes
    -----
    :math:`R_m[j,i] = \langle x_j^{(m)},a_i^{(m)}\rangle`, the solution of the equations of
    `joint_cp`,

    .. math:: R_m\Lambda = \kappa_mB_mD_m^{-1}.

    Examples
    --------
    >>> from skrmt.theory.deflation import joint_cosines
    >>> joint_cosines([5.0, 4.5], 0.6, (80, 80, 80))[:, :, 0].round(3)
    array([[0.992, 0.596],
           [0.595, 0.99 ]])
    """
    signal = check_signal(betas, grams, dims)
    state = solve_joint(signal.betas, signal.grams, signal.share)
    if state is None:
        return np.full((signal.rank, signal.rank, signal.order), np.nan)
    return state.cosines.transpose(2, 1, 0).copy()


def optimal_coefficients(
    betas: ArrayLike, alignments: ArrayLike, cross_alignments: ArrayLike
) -> FloatArray:
    r"""Return the weights with which estimated components come closest to the signal.

    Parameters
    ----------
    betas : array-like of shape (r,)
        Norms of the true components, positive.
    alignments : array-like of shape (s, r, d)
        Signed cosines of estimate i and component j in each mode.
    cross_alignments : array-like of shape (s, s, d)
        Signed cosines of the estimates, 1 for i = k.

    Returns
    -------
    ndarray of shape (s,)
        The weights, in the units of `betas`.

    Raises
    ------
    ValueError
        If a shape is wrong or a value is not finite.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    joint_cosines, hotelling, orthogonalized : Where the cosines come from.

    Notes
    -----
    The minimum of :math:`\|\sum_i c_i\,u_i^{(1)}\circ\cdots\circ u_i^{(d)}-\sum_j\beta_j\,
    x_j^{(1)}\circ\cdots\circ x_j^{(d)}\|` is at :math:`c = G^{-1}b`,
    :math:`G_{ik} = \prod_m\eta_{ik}^{(m)}`, :math:`b_i = \sum_j\beta_j\prod_m\rho_{ij}^{(m)}`.
    One component of alignments q in all modes: :math:`c = \beta\prod_m q_m`, less than the
    norm of the fit.

    Examples
    --------
    >>> from skrmt.theory.deflation import optimal_coefficients
    >>> from skrmt.theory.spiked_tensor import rank_one_limit
    >>> limit = rank_one_limit(2.0, (50, 50, 50))
    >>> q = limit.alignments
    >>> optimal_coefficients([2.0], [[q]], [[[1.0, 1.0, 1.0]]]).round(3)
    array([1.731])
    """
    norms = check_norms("betas", betas)
    cosines = finite_floats("alignments", alignments, "Drop estimates without a limit.")
    cross = finite_floats("cross_alignments", cross_alignments, "Drop estimates without a limit.")
    if cosines.ndim != 3 or cosines.shape[1] != len(norms):
        raise ValueError(
            f"alignments has shape {cosines.shape}: with {len(norms)} betas it must be "
            f"(s, {len(norms)}, d)."
        )
    wanted = (len(cosines), len(cosines), cosines.shape[2])
    if cross.shape != wanted:
        raise ValueError(f"cross_alignments has shape {cross.shape}: it must be {wanted}.")
    return np.linalg.solve(cross.prod(axis=2), cosines.prod(axis=2) @ norms)
