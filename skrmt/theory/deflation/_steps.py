"""Asymptotics of successive best rank-one approximations, one step after the other."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, in_range
from ._equations import Candidate, estimates, refine, search, step_problem
from ._signal import SpikedSignal, check_signal, check_steps, coordinates, even_signs


class DeflationLimit(NamedTuple):
    """What successive best rank-one approximations are.

    Attributes
    ----------
    singular_values : ndarray of shape (s,)
        Value of each step; NaN from the first step that finds nothing on.
    alignments : ndarray of shape (s, r, d)
        Signed cosines of estimate i and component j in each mode; 0 from that step on.
    cross_alignments : ndarray of shape (s, s, d)
        Signed cosines of estimates i and k in each mode, which the data show.
    """

    singular_values: FloatArray
    alignments: FloatArray
    cross_alignments: FloatArray


def hotelling(
    betas: ArrayLike, grams: ArrayLike, dims: ArrayLike, n_steps: int | None = None
) -> DeflationLimit:
    r"""Return the limits of Hotelling deflation: subtract the best rank one, and start again.

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
    n_steps : int, optional
        Number of steps s, by default r. More are allowed: residuals of correlated components
        hold spurious ones, often above the noise.

    Returns
    -------
    singular_values : ndarray of shape (s,)
        Value of each step, in the order in which they are found (not that of `betas`). NaN from
        the first step on that finds no more.
    alignments : ndarray of shape (s, r, d)
        Cosines :math:`\langle u_i^{(m)}, x_j^{(m)}\rangle`; 0 from that step on.
    cross_alignments : ndarray of shape (s, s, d)
        Cosines :math:`\langle u_i^{(m)}, u_k^{(m)}\rangle` of the estimates, 1 for i = k; 0
        from that step on.

    Raises
    ------
    ValueError
        If a shape or a range is wrong or a Gram matrix is none.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    orthogonalized : Deflation by projection along one mode.
    joint_cp : The least-squares fit, which does not suffer from correlation.
    estimate_from_hotelling : The inverse.

    Notes
    -----
    Signs: an even number of modes of an estimate may change sign. They are chosen so that the
    estimate has positive cosines, in all modes but possibly the last one, with the component that
    contributes most to its value.

    :math:`T_1 = T`, :math:`T_{i+1} = T_i-\lambda_i u_i^{(1)}\circ\cdots\circ u_i^{(d)}`. Given
    the earlier steps, whose critical equations are linear in the noise, :math:`T_i` is a known
    tensor :math:`M_i` (signal, subtractions, and the noise of least norm that satisfies those
    equations) plus free noise. In the span of components and earlier estimates the projection
    :math:`p^{(m)}` of :math:`u_i^{(m)}` solves, with
    :math:`o_k^{(m)} = \langle u_k^{(m)}, p^{(m)}\rangle`,
    :math:`s_k^{(a)} = \prod_{m\neq a}o_k^{(m)}`,
    :math:`G_{kl}^{(a)} = \prod_{m\neq a}\eta_{kl}^{(m)}`, :math:`z^{(a)} = (G^{(a)})^{-1}s^{(a)}`,

    .. math::

        F^{(m)} &= M_i(p^{(-m)}) + \sum_{a\neq m}g_a\sum_k z_k^{(a)}
            \prod_{b\neq m,a}o_k^{(b)}\,u_k^{(m)}, \\
        D_m^2 &= \|F^{(m)}\|^2 + c_m(1-s^{(m)\top}z^{(m)}), \quad
        p^{(m)} = F^{(m)}/D_m, \quad g_m = -c_m/D_m,

    and :math:`\lambda_i = D_m-\sum_{a\neq m}g_a`, the same for every m. Among the solutions
    beyond the bulk the largest value is kept; where two of them differ by less than about
    :math:`1/\sqrt N`, data show the one or the other. The first step of a single component, and
    every step where the components are orthogonal, is `rank_one_limit`.

    References
    ----------
    Hotelling Deflation on Large Symmetric Spiked Tensors, arXiv:2304.10248.
    On the Accuracy of Hotelling-Type Asymmetric Tensor Deflation, arXiv:2310.18717.

    Examples
    --------
    >>> from skrmt.theory.deflation import hotelling
    >>> limit = hotelling([6.0, 4.0], 0.5, (90, 90, 90))
    >>> limit.singular_values.round(4)
    array([6.8955, 3.0709])
    >>> limit.alignments[:, :, 0].round(4)
    array([[0.9652, 0.697 ],
           [0.2334, 0.941 ]])
    """
    signal = check_signal(betas, grams, dims)
    steps = check_steps(n_steps, signal.rank)
    return summarize(signal, solve_steps(signal, steps), steps)


def orthogonalized(
    betas: ArrayLike,
    grams: ArrayLike,
    dims: ArrayLike,
    gamma: ArrayLike,
    n_steps: int | None = None,
) -> DeflationLimit:
    r"""Return the limits of orthogonalised deflation: project mode 1 off the estimate.

    Parameters
    ----------
    betas : array-like of shape (r,)
        Norms of the components, as in `hotelling`.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r)
        Gram matrices of the components, as in `hotelling`.
    dims : sequence of int
        Sizes of the tensor.
    gamma : float or array-like of shape (s - 1,)
        Strength :math:`\gamma_i` of the projection after each step, in [0, 1]; 1 projects
        entirely. A number serves after every step.
    n_steps : int, optional
        Number of steps s, by default r.

    Returns
    -------
    singular_values : ndarray of shape (s,)
        Value of each step; NaN from the first step on that finds no more.
    alignments : ndarray of shape (s, r, d)
        Cosines of estimate i and component j in each mode; 0 from that step on.
    cross_alignments : ndarray of shape (s, s, d)
        Cosines of the estimates; 1 for i = k.

    Raises
    ------
    ValueError
        If a shape or a range is wrong or a Gram matrix is none.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    optimal_gamma : The best strength.
    hotelling : Deflation by subtraction, the equations and the signs.

    Notes
    -----
    :math:`T_{i+1} = T_i - \gamma_i u_i^{(1)}\circ T_i(u_i^{(1)},\cdot,\ldots)`: mode 1 of T is
    multiplied by :math:`Q_{i+1} = (I-\gamma_iu_i^{(1)}u_i^{(1)\top})Q_i`. The equations are those
    of `hotelling` with :math:`Q_k^\top u_k^{(1)}` in place of :math:`u_k^{(1)}` in the constraints
    on the noise, and with the variance :math:`\nu = \|Q_i^\top u_i^{(1)}\|^2` of the noise left
    in the direction of the new estimate:

    .. math::

        F^{(1)} \mathrel{+}= -\sum_{a\neq1}g_a(Q_iQ_i^\top-I)p^{(1)}, \qquad
        \lambda_i = D_m-\sum_{a\neq m}g_a\,\nu^{[m\neq1,\,a\neq1]}.

    Where :math:`\gamma` is so small that :math:`(1-\gamma)\lambda_1` exceeds every other value,
    the second step finds the first estimate again: its cross alignments are then 1.

    References
    ----------
    Optimizing Orthogonalized Tensor Deflation via Random Tensor Theory, arXiv:2302.05798.

    Examples
    --------
    >>> from skrmt.theory.deflation import orthogonalized
    >>> limit = orthogonalized([5.0, 4.5], 0.6, (80, 80, 80), gamma=0.62)
    >>> limit.singular_values.round(4)
    array([6.8852, 2.6874])
    >>> limit.alignments[1, 1].round(4)
    array([0.9799, 0.9875, 0.9875])
    """
    signal = check_signal(betas, grams, dims)
    steps = check_steps(n_steps, signal.rank)
    strengths = in_range("gamma", gamma, 0.0, 1.0, "both", "1 projects entirely.")
    if strengths.shape not in ((), (steps - 1,)):
        raise ValueError(
            f"gamma must be a number or have shape ({steps - 1},), got {strengths.shape}. Give "
            "one strength after each step but the last."
        )
    chosen = solve_steps(signal, steps, np.broadcast_to(strengths, (steps - 1,)))
    return summarize(signal, chosen, steps)


def solve_steps(
    signal: SpikedSignal,
    n_steps: int,
    gammas: FloatArray | None = None,
    guesses: list[Candidate] | None = None,
) -> list[Candidate]:
    """Solve the steps one after the other, up to the first one that finds nothing."""
    chosen: list[Candidate] = []
    for step in range(n_steps):
        problem, starts = step_problem(signal, chosen, gammas)
        if problem is None:
            break
        if guesses is None:
            candidates = search(problem, starts)
        elif step < len(guesses):
            candidates = refine(problem, guesses[step : step + 1])
        else:
            break
        valid = [candidate for candidate in candidates if candidate.is_valid]
        if not valid:
            break
        best = max(valid, key=lambda candidate: candidate.singular_value)
        chosen.append(_fix_signs(best, signal))
    return chosen


def summarize(signal: SpikedSignal, chosen: list[Candidate], n_steps: int) -> DeflationLimit:
    """Return the observable numbers of solved steps."""
    found, rank = len(chosen), signal.rank
    values = np.full(n_steps, np.nan)
    values[:found] = [candidate.singular_value for candidate in chosen]
    alignments = np.zeros((n_steps, rank, signal.order))
    cross = np.zeros((n_steps, n_steps, signal.order))
    cross[np.arange(n_steps), np.arange(n_steps)] = 1.0
    vectors = estimates(chosen, rank + found)
    axes = coordinates(signal.grams)
    for i in range(found):
        alignments[i] = np.einsum("mjn,mn->jm", axes, vectors[i, :, :rank])
        for k in range(i):
            cross[i, k] = cross[k, i] = np.einsum("mn,mn->m", vectors[i], vectors[k])
    return DeflationLimit(values, alignments, cross)


def _fix_signs(candidate: Candidate, signal: SpikedSignal) -> Candidate:
    """Give an estimate positive cosines with the component that it owes most of its value to."""
    axes = coordinates(signal.grams)
    cosines = np.einsum("mjn,mn->jm", axes, candidate.projections[:, : signal.rank])
    main = int(np.argmax(signal.betas * cosines.prod(axis=1)))
    signs = even_signs(cosines[main])
    return candidate._replace(projections=signs[:, None] * candidate.projections)
