"""The best strength of the projection of orthogonalised deflation."""

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray
from ._equations import Candidate, search, step_problem
from ._signal import SpikedSignal, check_signal
from ._steps import solve_steps, summarize

_MARGIN = 1.02
_COARSE = 0.05
_FINE = 0.01
_TIE = 1e-6


def optimal_gamma(betas: ArrayLike, grams: ArrayLike, dims: ArrayLike) -> float:
    r"""Return the strength of the projection at which the second component is estimated best.

    Parameters
    ----------
    betas : array-like of shape (r,)
        Norms of the two components or more, positive, in units in which the noise entries have
        variance 1/N.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r)
        Gram matrices of the components, in one of the forms of `orthogonalized`.
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    float
        :math:`\gamma` in [0, 1], the largest one among equals; NaN where the second step finds
        no other component at any strength.

    Raises
    ------
    ValueError
        If a shape or a range is wrong, a Gram matrix is none, or there is one component only.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    orthogonalized : What a strength reaches.
    joint_cp : What the joint fit reaches, mostly more.

    Notes
    -----
    Maximises the product over the modes of the alignment of the second estimate with the
    component that the first one is not about, subject to
    :math:`\lambda_2(\gamma)\ge 1.02\,(1-\gamma)\lambda_1`: with a weaker projection the global
    maximum is the first estimate again, of value :math:`(1-\gamma)\lambda_1`. The optimum tends
    to lie at that constraint. It is found on a grid of step 0.01 about the best of a grid of
    step 0.05.

    References
    ----------
    Optimizing Orthogonalized Tensor Deflation via Random Tensor Theory, arXiv:2302.05798.

    Examples
    --------
    >>> from skrmt.theory.deflation import optimal_gamma
    >>> round(optimal_gamma([5.0, 4.5], 0.6, (80, 80, 80)), 2)
    0.62
    """
    signal = check_signal(betas, grams, dims)
    if signal.rank < 2:
        raise ValueError("betas must hold two norms or more, got 1. One component needs no gamma.")
    first = solve_steps(signal, 1)
    if not first:
        return float("nan")
    coarse = np.linspace(1, 0, round(1 / _COARSE) + 1)
    best = _best(signal, first, coarse)
    if np.isnan(best):
        return best
    fine = best + _COARSE * np.linspace(1, -1, round(2 * _COARSE / _FINE) + 1)
    return _best(signal, first, np.clip(fine, 0, 1))


def _best(signal: SpikedSignal, first: list[Candidate], strengths: FloatArray) -> float:
    """Return the best of decreasing strengths."""
    accuracies = np.array([_accuracy(signal, first, gamma) for gamma in strengths])
    if np.isnan(accuracies).all():
        return float("nan")
    return float(strengths[np.argmax(accuracies >= np.nanmax(accuracies) - _TIE)])


def _accuracy(signal: SpikedSignal, first: list[Candidate], gamma: float) -> float:
    """Return the product of the alignments with another component; NaN under the constraint."""
    problem, starts = step_problem(signal, first, np.array([gamma]))
    if problem is None:
        return float("nan")
    best, accuracy = -np.inf, float("nan")
    for candidate in search(problem, starts[: -len(first)]):
        if not candidate.is_valid or candidate.singular_value <= best:
            continue
        limit = summarize(signal, [*first, candidate], 2)
        if np.abs(limit.cross_alignments[1, 0]).prod() > 1 - 1e-6:
            continue
        best = candidate.singular_value
        products = np.abs(limit.alignments.prod(axis=2))
        main = int(np.argmax(signal.betas * products[0]))
        accuracy = float(np.delete(products[1], main).max())
    if best < _MARGIN * (1 - gamma) * first[0].singular_value:
        return float("nan")
    return accuracy
