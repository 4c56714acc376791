"""From the values and the cross alignments that deflation shows back to the signal."""

from collections.abc import Iterator
from itertools import chain, product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares, linear_sum_assignment

from .._checks import FloatArray, in_range
from ..spiked_tensor._limits import check_dims, shares, signal_strength
from ..spiked_tensor._thresholds import thresholds
from ._equations import Candidate
from ._joint import joint_cp
from ._joint_inverse import SignalEstimate, no_estimate, signal_std
from ._signal import SpikedSignal, check_signal
from ._steps import DeflationLimit, solve_steps, summarize

_COSINES = (0.2, 0.4, 0.6, 0.8)
_RATIOS = (1.0, 0.8, 0.6)
_N_TRIED = 4
_LARGEST_COSINE = 0.97
_SOLVED = 1e-8
_ACCEPTED = 1e-4
_SAME = 1 - 1e-4
"""Product of the cosines of two estimates from which a step found an earlier one again."""

_DIFFERENCE = 1e-5
_MAX_EVALUATIONS = 30


class Observation(NamedTuple):
    """What deflation shows, checked.

    Attributes
    ----------
    values : ndarray of shape (r,)
        Value of each step.
    cross : ndarray of shape (r, r, d)
        Cosines of the estimates.
    sizes : tuple of int
        Sizes of the tensor.
    gammas : ndarray of shape (r - 1,) or None
        Strengths of the projections; None for subtractions.
    """

    values: FloatArray
    cross: FloatArray
    sizes: tuple[int, ...]
    gammas: FloatArray | None = None


def estimate_from_hotelling(
    singular_values: ArrayLike,
    cross_alignments: ArrayLike,
    dims: ArrayLike,
    *,
    initial: tuple[ArrayLike, ArrayLike] | None = None,
) -> SignalEstimate:
    r"""Return the signal behind Hotelling deflation, and the accuracy of its estimates.

    Parameters
    ----------
    singular_values : array-like of shape (r,)
        Values of as many steps as there are components, positive, in units in which the noise
        entries have variance 1/N: raw values over :math:`\hat\sigma\sqrt N`.
    cross_alignments : array-like of shape (r, r, d)
        Signed cosines of estimates i and k in each mode; only those with i > k are read.
    dims : sequence of int
        Sizes of the tensor.
    initial : tuple of (betas, grams), optional
        A guess, tried before the grid: the norms of the components and their Gram matrices in one
        of the forms of `hotelling`, say those of `estimate_from_joint`. Worth having from three
        components on.

    Returns
    -------
    betas : ndarray of shape (r,)
        Norms of the components, component i being the one that step i estimates best.
    grams : ndarray of shape (d, r, r)
        Their Gram matrices.
    alignments : ndarray of shape (r, r, d)
        Cosines of estimate i and component j in each mode.
    betas_std : ndarray of shape (r,)
        Standard errors that an efficient estimate of `betas` has, see `estimate_from_joint`;
        simulations of two components attain them. NaN where a joint fit would be unstable.
    residual : float
        Largest misfit of what was observed.
    converged : bool
        Whether a signal explains it: the search ended, with half the sum of squared misfits at
        most 1e-4. If not, all other numbers but the residual are NaN.
    coefficients : ndarray of shape (r,)
        Weights with which the estimates come closest to the signal.

    Raises
    ------
    ValueError
        If a shape or a range is wrong.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    hotelling : The forward map.
    estimate_from_joint : The same from a joint fit: faster and more accurate.

    Notes
    -----
    The r values and :math:`d\,r(r-1)/2` cosines determine as many unknowns, found by least
    squares from the best of a grid of starts. An even number of modes of an estimate may have
    changed sign in the data: at each evaluation the signs of step i = 2, 3, ... are matched to
    the observed cosines with the earlier steps. A value above what a component alone would give
    is no sign of a larger norm: the first value exceeds every norm where components are
    correlated. The cost is below a second for two components, a few for three; four correlated
    ones, hardly determined by these numbers, take a minute without `initial`.

    References
    ----------
    On the Accuracy of Hotelling-Type Asymmetric Tensor Deflation, arXiv:2310.18717.

    Examples
    --------
    >>> from skrmt.theory.deflation import estimate_from_hotelling, hotelling
    >>> seen = hotelling([6.0, 4.5], [0.6, 0.5, 0.4], (70, 80, 90))
    >>> estimate = estimate_from_hotelling(
    ...     seen.singular_values, seen.cross_alignments, (70, 80, 90)
    ... )
    >>> estimate.betas.round(4), estimate.grams[:, 0, 1].round(4)
    (array([6. , 4.5]), array([0.6, 0.5, 0.4]))
    """
    return _estimate(_check_observation(singular_values, cross_alignments, dims), initial)


def estimate_from_orthogonalized(
    singular_values: ArrayLike,
    cross_alignments: ArrayLike,
    dims: ArrayLike,
    gamma: ArrayLike,
    *,
    initial: tuple[ArrayLike, ArrayLike] | None = None,
) -> SignalEstimate:
    r"""Return the signal behind orthogonalised deflation, and the accuracy of its estimates.

    Parameters
    ----------
    singular_values : array-like of shape (r,)
        Values of as many steps as there are components, positive, in units in which the noise
        entries have variance 1/N: raw values over :math:`\hat\sigma\sqrt N`.
    cross_alignments : array-like of shape (r, r, d)
        Signed cosines of estimates i and k in each mode; only those with i > k are read.
    dims : sequence of int
        Sizes of the tensor.
    gamma : float or array-like of shape (r - 1,)
        Strength of the projection after each step, at least 0 and less than 1; a number serves
        after every step.
    initial : tuple of (betas, grams), optional
        A guess, tried before the grid, as in `estimate_from_hotelling`.

    Returns
    -------
    betas : ndarray of shape (r,)
        Norms of the components, component i being the one that step i estimates best.
    grams : ndarray of shape (d, r, r)
        Their Gram matrices.
    alignments : ndarray of shape (r, r, d)
        Cosines of estimate i and component j in each mode.
    betas_std : ndarray of shape (r,)
        Standard errors that an efficient estimate of `betas` has, see `estimate_from_joint`.
    residual : float
        Largest misfit of what was observed.
    converged : bool
        Whether a signal explains it; if not, all other numbers but the residual are NaN.
    coefficients : ndarray of shape (r,)
        Weights with which the estimates come closest to the signal.

    Raises
    ------
    ValueError
        If a shape or a range is wrong.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    orthogonalized : The forward map.
    optimal_gamma : The best strength at the signal found.
    estimate_from_hotelling : The same from deflation by subtraction.

    Notes
    -----
    The search is that of `estimate_from_hotelling`; without `initial` it may take a minute. With
    :math:`\gamma = 1` the estimates are orthogonal in the first mode, so that fewer numbers than
    unknowns are observed. With a strength so weak that a step finds an earlier estimate again
    (their cosines are 1) nothing is learnt of a further component, and `converged` is False. The
    improved algorithm of the paper deflates with some strength, estimates the signal, and deflates
    again with its `optimal_gamma`, until that strength no longer moves.

    References
    ----------
    Optimizing Orthogonalized Tensor Deflation via Random Tensor Theory, arXiv:2302.05798.

    Examples
    --------
    >>> from skrmt.theory.deflation import estimate_from_orthogonalized, optimal_gamma
    >>> from skrmt.theory.deflation import orthogonalized
    >>> seen = orthogonalized([5.0, 4.5], 0.6, (80, 80, 80), gamma=0.8)
    >>> estimate = estimate_from_orthogonalized(
    ...     seen.singular_values,
    ...     seen.cross_alignments,
    ...     (80, 80, 80),
    ...     gamma=0.8,
    ...     initial=([5.5, 4.0], 0.5),
    ... )
    >>> estimate.betas.round(3)
    array([5. , 4.5])
    >>> round(optimal_gamma(estimate.betas, estimate.grams, (80, 80, 80)), 2)
    0.62
    """
    observed = _check_observation(singular_values, cross_alignments, dims)
    remedy = "At 1 the cosines of the first mode, which are 0, determine nothing."
    strengths = in_range("gamma", gamma, 0.0, 1.0, "left", remedy)
    steps = len(observed.values) - 1
    if strengths.shape not in ((), (steps,)):
        raise ValueError(
            f"gamma must be a number or have shape ({steps},), got {strengths.shape}. Give one "
            "strength after each step but the last."
        )
    return _estimate(observed._replace(gammas=np.broadcast_to(strengths, (steps,))), initial)


def _estimate(observed: Observation, initial: tuple[ArrayLike, ArrayLike] | None) -> SignalEstimate:
    """Find the signal behind checked observations."""
    rank, order = len(observed.values), len(observed.sizes)
    missing = thresholds(observed.sizes).bulk_edge - float(observed.values.min())
    rows, columns = np.tril_indices(rank, -1)
    again = np.abs(observed.cross.prod(axis=2))[rows, columns] > _SAME
    if missing > np.sqrt(2 * _ACCEPTED) or again.any():
        return no_estimate(order, rank, (rank, rank, order), missing)
    best = None
    for start in chain(_initial_start(initial, observed), _best_starts(observed)):
        fit = _descend(start, observed)
        if best is None or fit.cost < best.cost:
            best = fit
        if best.cost < _SOLVED:
            break
    return _report(best, observed)


def _check_observation(singular_values: Any, cross_alignments: Any, dims: Any) -> Observation:
    sizes = check_dims(dims)
    values = in_range(
        "singular_values", singular_values, 0.0, 1e50, "neither", "Leave out failed steps."
    )
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"singular_values must be a sequence of one value or more, got shape {values.shape}. "
            "Give one a step."
        )
    cross = in_range(
        "cross_alignments", cross_alignments, -1 - 1e-8, 1 + 1e-8, "both", "They are cosines."
    )
    shape = (len(values), len(values), len(sizes))
    if cross.shape != shape:
        raise ValueError(
            f"cross_alignments must have shape {shape}, got {cross.shape}. Give the cosines of "
            "all pairs of estimates in each mode."
        )
    return Observation(values, cross, sizes)


def _signal(unknown: FloatArray, observed: Observation) -> SpikedSignal:
    """Return the signal that a vector of unknowns stands for: norms, then cosines."""
    rank, order = len(observed.values), len(observed.sizes)
    grams = np.broadcast_to(np.eye(rank), (order, rank, rank)).copy()
    rows, columns = np.tril_indices(rank, -1)
    cosines = unknown[rank:].reshape(order, len(rows))
    grams[:, rows, columns] = grams[:, columns, rows] = cosines
    return SpikedSignal(unknown[:rank], grams, observed.sizes, shares(observed.sizes))


def _solve(
    unknown: FloatArray, observed: Observation, guesses: list[Candidate] | None = None
) -> tuple[DeflationLimit, list[Candidate]]:
    signal, steps = _signal(unknown, observed), len(observed.values)
    chosen = solve_steps(signal, steps, observed.gammas, guesses)
    return summarize(signal, chosen, steps), chosen


def _misfit(limit: DeflationLimit, observed: Observation) -> FloatArray:
    """Return theory minus observation; a step that finds nothing counts as 0."""
    rows, columns = np.tril_indices(len(observed.values), -1)
    signs = match_signs(limit.cross_alignments, observed.cross)
    cross = limit.cross_alignments * signs[:, None] * signs[None]
    gap = (cross - observed.cross)[rows, columns]
    values = np.nan_to_num(limit.singular_values) - observed.values
    return np.concatenate([values, gap.ravel()])


def match_signs(theory: FloatArray, observed: FloatArray) -> FloatArray:
    """Return the signs of the estimates that bring their cosines close to observed ones."""
    steps, _, order = theory.shape
    patterns = np.array([p for p in product((1.0, -1.0), repeat=order) if np.prod(p) > 0])
    signs = np.ones((steps, order))
    for step in range(1, steps):
        earlier = signs[:step] * theory[step, :step]
        gaps = patterns[:, None] * earlier - observed[step, :step]
        signs[step] = patterns[np.argmin((gaps**2).sum(axis=(1, 2)))]
    return signs


def _initial_start(
    initial: tuple[ArrayLike, ArrayLike] | None, observed: Observation
) -> Iterator[FloatArray]:
    """Yield the unknowns of a guess, if there is one."""
    if initial is None:
        return
    signal = check_signal(initial[0], initial[1], observed.sizes)
    rank = len(observed.values)
    if signal.rank != rank:
        raise ValueError(
            f"initial must hold {rank} norms, one a step, got {signal.rank}. Leave out the "
            "others, or give more steps."
        )
    rows, columns = np.tril_indices(rank, -1)
    yield np.concatenate([signal.betas, signal.grams[:, rows, columns].ravel()])


def _best_starts(observed: Observation) -> Iterator[FloatArray]:
    """Yield the starts of a grid with the least misfit, once they are asked for."""
    values, order = observed.values, len(observed.sizes)
    rank = len(values)
    n_cosines = order * rank * (rank - 1) // 2
    alone = np.nan_to_num(np.asarray(signal_strength(values, observed.sizes)), nan=1.2)
    starts = [np.concatenate([np.atleast_1d(alone), np.zeros(n_cosines)])]
    for cosine, ratio in product(_COSINES, _RATIOS):
        if rank > 1:
            first = values.max() / (1 + 1.2 * ratio * cosine**order)
            norms = np.maximum(first * ratio ** np.arange(rank), 1.2)
            starts.append(np.concatenate([norms, np.full(n_cosines, cosine)]))
    misfits = [np.linalg.norm(_misfit(_solve(start, observed)[0], observed)) for start in starts]
    for index in np.argsort(misfits, kind="stable")[:_N_TRIED]:
        yield starts[index]


def _descend(start: FloatArray, observed: Observation) -> Any:
    """Minimise the misfit from one start; slopes follow the solution of the steps."""
    rank = len(observed.values)
    low = np.r_[np.full(rank, 0.5), np.full(len(start) - rank, -_LARGEST_COSINE)]
    high = np.r_[np.full(rank, 3 * observed.values.max()), -low[rank:]]

    def misfit(unknown: FloatArray) -> FloatArray:
        return _misfit(_solve(unknown, observed)[0], observed)

    def slopes(unknown: FloatArray) -> FloatArray:
        limit, chosen = _solve(unknown, observed)
        base, columns = _misfit(limit, observed), []
        for index in range(len(unknown)):
            moved = unknown.copy()
            step = _DIFFERENCE if unknown[index] + _DIFFERENCE < high[index] else -_DIFFERENCE
            moved[index] += step
            there = _misfit(_solve(moved, observed, chosen)[0], observed)
            columns.append((there - base) / step)
        return np.array(columns).T

    inside = np.clip(start, low + 1e-6, high - 1e-6)
    return least_squares(
        misfit, inside, slopes, bounds=(low, high), xtol=1e-10, max_nfev=_MAX_EVALUATIONS
    )


def _report(fit: Any, observed: Observation) -> SignalEstimate:
    """Return the signal of a fit, its components in the order of the steps."""
    residual = float(np.abs(fit.fun).max())
    signal = _signal(np.asarray(fit.x, dtype=np.float64), observed)
    rank, order = signal.rank, signal.order
    limit, chosen = _solve(fit.x, observed)
    is_gram = np.linalg.eigvalsh(signal.grams).min() >= -1e-6
    is_solved = fit.cost < _SOLVED or (fit.status > 0 and fit.cost <= _ACCEPTED)
    if not is_solved or len(chosen) < rank or not is_gram:
        return no_estimate(order, rank, (rank, rank, order), residual)
    signs = match_signs(limit.cross_alignments, observed.cross)
    alignments = limit.alignments * signs[:, None]
    ranks = linear_sum_assignment(-np.abs(alignments.prod(axis=2)))[1]
    betas, grams = signal.betas[ranks], signal.grams[:, ranks][:, :, ranks]
    joint = joint_cp(betas, grams, signal.sizes).alignments
    spread = signal_std(grams, signal.sizes) / np.abs(joint.prod(axis=1))
    cross = (limit.cross_alignments * signs[:, None] * signs[None]).prod(axis=2)
    coefficients = np.linalg.solve(cross, alignments[:, ranks].prod(axis=2) @ betas)
    alignments = alignments[:, ranks]
    return SignalEstimate(betas, grams, alignments, spread, residual, True, coefficients)
