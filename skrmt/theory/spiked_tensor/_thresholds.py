"""Thresholds of a spiked tensor, and the signal that a wanted accuracy takes."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .._checks import FloatArray, FloatOrArray, in_range, unwrap
from ._limits import (
    alignments_at,
    check_dims,
    edge_parameter,
    shares,
    signal_at,
    singular_value_at,
    square_roots,
)


class SpikedThresholds(NamedTuple):
    """Where the behaviour of a spiked tensor changes, noise of variance 1/N.

    Attributes
    ----------
    bulk_edge : float
        Singular value at the end of the bulk of the contracted tensor.
    signal : float
        Signal from which an informative local maximum exists.
    noise_norm : float
        Best rank-one value of pure noise.
    critical : float
        Signal from which the informative maximum is the global one.
    computational : float
        Signal from which a spectral start finds it; it grows with the sizes.
    """

    bulk_edge: float
    signal: float
    noise_norm: float
    critical: float
    computational: float


class RequiredSignal(NamedTuple):
    """The signal that a target alignment takes.

    Attributes
    ----------
    signal : float or ndarray of shape (...)
        Smallest signal with that alignment in every mode.
    singular_value : float or ndarray of shape (...)
        Value of the best rank-one approximation at that signal.
    alignments : ndarray of shape (..., d)
        Alignments at that signal.
    detectable : bool or ndarray of shape (...)
        Whether the informative maximum is the global one there.
    computational_gap : bool or ndarray of shape (...)
        Whether it is, and a spectral start is not expected to find it.
    """

    signal: FloatOrArray
    singular_value: FloatOrArray
    alignments: FloatArray
    detectable: Any
    computational_gap: Any


def thresholds(dims: ArrayLike) -> SpikedThresholds:
    r"""Return the values at which the behaviour of a spiked tensor changes.

    Parameters
    ----------
    dims : sequence of int
        Sizes :math:`p_1, \ldots, p_d`, three or more; :math:`N = \sum_m p_m`.

    Returns
    -------
    bulk_edge : float
        :math:`\lambda_s`, the end of the bulk of the contracted tensor, where local searches in
        pure noise stop.
    signal : float
        :math:`\beta_s`: above it an informative local maximum exists.
    noise_norm : float
        :math:`\lambda_0`, the best rank-one value of pure noise.
    critical : float
        :math:`\beta_c`: above it the informative maximum is the global one.
    computational : float
        :math:`\beta_a = (\prod_m p_m)^{1/4}/\sqrt N`: above it a spectral start finds it. The
        only one that grows with the sizes; of small tensors it may be the smallest.

    Raises
    ------
    ValueError
        If `dims` are not sizes of a tensor.
    TypeError
        If they are not numeric.

    See Also
    --------
    required_signal : The signal that a target alignment takes.

    Notes
    -----
    :math:`\lambda_s = \lambda(h_s)` and :math:`\beta_s = \beta(h_s)` in the notation of
    `rank_one_limit`; for equal sizes :math:`\lambda_s = 2\sqrt{(d-1)/d}`. The expected number of
    critical points of pure noise with value :math:`\lambda(h)` is :math:`e^{N\Sigma(h)}`,

    .. math::

        \Sigma(h) = -\tfrac12\sum_m c_m\log c_m - \tfrac12 h\lambda(h)
            + \sum_m c_m\log\frac{h+s_m}{2}, \qquad \frac{d\Sigma}{d\lambda} = -h,

    and with :math:`\Sigma(h_0) = 0`, :math:`\lambda_0 = \lambda(h_0)` and
    :math:`\beta_c = \beta(h_0)`. All values are in units in which noise entries have variance 1/N.

    References
    ----------
    When Random Tensors meet Random Matrices, arXiv:2112.12348.

    Examples
    --------
    >>> from skrmt.theory.spiked_tensor import thresholds
    >>> [round(value, 4) for value in thresholds((60, 60, 60))]
    [1.633, 1.1547, 1.657, 1.2066, 1.6069]
    """
    return _thresholds(check_dims(dims))


@lru_cache(maxsize=256)
def _thresholds(sizes: tuple[int, ...]) -> SpikedThresholds:
    share, edge = shares(sizes), edge_parameter(sizes)
    high = edge + 1.0
    while _complexity(high, share) > 0:
        high *= 2
    level = np.asarray(brentq(_complexity, edge, high, args=(share,), xtol=1e-15))
    h = np.asarray(edge)
    log_sizes = np.log(np.asarray(sizes, dtype=np.float64))
    return SpikedThresholds(
        float(singular_value_at(h, share)),
        float(signal_at(h, share)),
        float(singular_value_at(level, share)),
        float(signal_at(level, share)),
        float(np.exp(0.25 * log_sizes.sum() - 0.5 * np.log(sum(sizes)))),
    )


def _complexity(h: float, share: FloatArray) -> float:
    r"""Return :math:`\Sigma(h)`, the exponential rate of critical points of noise."""
    at = np.asarray(h)
    entropy = share @ np.log((h + square_roots(at, share)) / (2 * np.sqrt(share)))
    return float(entropy - 0.5 * h * singular_value_at(at, share))


def required_signal(alignment: ArrayLike, dims: ArrayLike) -> RequiredSignal:
    r"""Return the signal at which one spike is estimated with a given alignment.

    Parameters
    ----------
    alignment : float or array-like of shape (...)
        Alignment :math:`|\langle u, x\rangle|` wanted in every mode, in (0, 1).
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    signal : float or ndarray of shape (...)
        The smallest :math:`\beta`; :math:`\sigma\sqrt N` times it is the norm of the raw spike.
    singular_value : float or ndarray of shape (...)
        The best rank-one value to expect.
    alignments : ndarray of shape (..., d)
        The alignments to expect; the least of them is the one wanted, or more where already the
        weakest signal that can be found gives more.
    detectable : bool or ndarray of shape (...)
        Whether the signal reaches the critical one, so that the best rank-one approximation is
        informative. Below, the informative maximum is only a local one: take `critical` of
        `thresholds` instead.
    computational_gap : bool or ndarray of shape (...)
        Whether it is detectable but below the computational threshold: in principle the spike is
        found, a spectral start does not find it; only many restarts on a small tensor may.

    Raises
    ------
    ValueError
        If `alignment` is outside (0, 1), or `dims` are not sizes of a tensor.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    thresholds : The critical and the computational signal.
    rank_one_limit : The alignments of a signal.

    Notes
    -----
    :math:`q_m^2 = 2h/(h+s_m)` is solved by :math:`h = q_m^2\sqrt{c_m/(1-q_m^2)}`. The longest
    mode is the least aligned one. The result is :math:`\beta(\max(h, h_s))`.

    Examples
    --------
    >>> from skrmt.theory.spiked_tensor import required_signal
    >>> plan = required_signal(0.9, (100, 100, 100))
    >>> round(plan.signal, 4), plan.detectable, plan.computational_gap
    (1.4717, True, True)
    """
    sizes = check_dims(dims)
    target = in_range("alignment", alignment, 0.0, 1.0, "neither", "It is a cosine.")
    share, marks = shares(sizes), _thresholds(sizes)
    wanted = target**2 * np.sqrt(share.max() / ((1 - target) * (1 + target)))
    h = np.maximum(wanted, edge_parameter(sizes))
    signal = signal_at(h, share)
    detectable = signal >= marks.critical
    gap = detectable & (signal < marks.computational)
    return RequiredSignal(
        unwrap(signal),
        unwrap(singular_value_at(h, share)),
        alignments_at(h, share),
        detectable if detectable.ndim else bool(detectable),
        gap if gap.ndim else bool(gap),
    )
