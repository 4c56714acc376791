"""One spike in a noise tensor: limits of the best rank-one approximation and its thresholds."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .._checks import FloatArray, FloatOrArray, as_floats, in_range, unwrap

_MAX_ITER = 200


class RankOneLimit(NamedTuple):
    """What the best rank-one approximation of one spike in noise is.

    Attributes
    ----------
    singular_value : float or ndarray of shape (...)
        Its value; NaN below the threshold.
    alignments : ndarray of shape (..., d)
        Its alignment with the spike in each mode; 0 below the threshold.
    """

    singular_value: FloatOrArray
    alignments: FloatArray


def check_dims(dims: Any) -> tuple[int, ...]:
    """Check the sizes of a tensor: three or more integers, each of 2 or more."""
    sizes = as_floats("dims", dims)
    if sizes.ndim != 1 or sizes.size < 3:
        raise ValueError(
            f"dims must be a sequence of three or more sizes, got {dims!r}. A matrix has other "
            "limits; give the size of every mode of a tensor."
        )
    bad = ~(np.isfinite(sizes) & (sizes >= 2) & (sizes == np.floor(sizes)))
    if bad.any():
        raise ValueError(
            f"dims must hold integers of 2 or more, got {sizes[bad][0]:g}. Drop the modes of "
            "size 1."
        )
    return tuple(int(size) for size in sizes)


def shares(sizes: tuple[int, ...]) -> FloatArray:
    """Return the share of each mode in the sum of the sizes."""
    counts = np.asarray(sizes, dtype=np.float64)
    return np.asarray(counts / counts.sum(), dtype=np.float64)


def square_roots(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`s_m = \sqrt{h^2+4c_m}` without overflow."""
    return np.hypot(h[..., None], 2 * np.sqrt(share))


def singular_value_at(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`\lambda(h) = h + \sum_m 2c_m/(h+s_m)`."""
    tails = 2 * share / (h[..., None] + square_roots(h, share))
    return np.asarray(h + tails.sum(axis=-1), dtype=np.float64)


def alignments_at(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`q_m(h) = \sqrt{2h/(h+s_m)}`."""
    ratio = 2 / (1 + square_roots(h, share) / h[..., None])
    return np.asarray(np.sqrt(ratio), dtype=np.float64)


def signal_at(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`\beta(h) = h / \prod_m q_m`."""
    return np.asarray(h / alignments_at(h, share).prod(axis=-1), dtype=np.float64)


def _slope(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`d\lambda/dh = \tfrac12(2-d+\sum_m h/s_m)`."""
    ratios = h[..., None] / square_roots(h, share)
    return np.asarray(0.5 * (2 - len(share) + ratios.sum(axis=-1)), dtype=np.float64)


def _signal_slope(h: FloatArray, share: FloatArray) -> FloatArray:
    r"""Return :math:`d\beta/dh = (\beta/h)\,d\lambda/dh`."""
    return _slope(h, share) / alignments_at(h, share).prod(axis=-1)


@lru_cache(maxsize=256)
def edge_parameter(sizes: tuple[int, ...]) -> float:
    r"""Return :math:`h_s`, the minimiser of both :math:`\lambda(h)` and :math:`\beta(h)`."""
    share, order = shares(sizes), len(sizes)
    cubic = (order - 2) / np.sqrt(order - 1)
    low, high = (
        cubic * np.sqrt(share.min()) * (1 - 1e-9),
        cubic * np.sqrt(share.max()) * (1 + 1e-9),
    )
    return float(brentq(lambda h: float(_slope(np.asarray(h), share)), low, high, xtol=1e-16))


def _increasing_root(
    function: Callable[[FloatArray], FloatArray],
    slope: Callable[[FloatArray], FloatArray],
    target: FloatArray,
    low: float,
) -> FloatArray:
    """Solve function(h) = target for h in [low, target] by Newton kept in a shrinking bracket."""
    bottom, top = np.full_like(target, low), target.copy()
    root = top.copy()
    for _ in range(_MAX_ITER):
        gap = function(root) - target
        top, bottom = np.where(gap > 0, root, top), np.where(gap <= 0, root, bottom)
        rise = slope(root)
        newton = root - gap / np.where(rise > 0, rise, 1.0)
        inside = (rise > 0) & (newton >= bottom) & (newton <= top)
        following = np.where(inside, newton, 0.5 * (bottom + top))
        moved = np.abs(following - root)
        root = following
        if np.all(moved <= 4e-16 * root):
            break
    return root


def _limits(
    values: FloatArray,
    sizes: tuple[int, ...],
    function: Callable[[FloatArray, FloatArray], FloatArray],
    slope: Callable[[FloatArray, FloatArray], FloatArray],
) -> FloatArray:
    """Return the parameter h at which function(h) = values; NaN below its minimum."""
    share, edge = shares(sizes), edge_parameter(sizes)
    least = float(function(np.asarray(edge), share))
    above = values >= least
    root = _increasing_root(
        lambda h: function(h, share),
        lambda h: slope(h, share),
        np.where(above, values, least + 1.0),
        edge,
    )
    return np.where(above, root, np.nan)


def rank_one_limit(beta: ArrayLike, dims: ArrayLike) -> RankOneLimit:
    r"""Return the value and the alignments of the best rank-one approximation of a spike in noise.

    Parameters
    ----------
    beta : float or array-like of shape (...)
        Signal :math:`\beta \ge 0`, in units in which the noise entries have variance 1/N. Raw data
        with a spike of norm b and noise of standard deviation :math:`\sigma` have
        :math:`\beta = b/(\sigma\sqrt N)`.
    dims : sequence of int
        Sizes :math:`p_1, \ldots, p_d`, three or more; :math:`N = \sum_m p_m`.

    Returns
    -------
    singular_value : float or ndarray of shape (...)
        Limit :math:`\lambda` of the best rank-one value; NaN below the threshold
        :math:`\beta_s`. Times :math:`\sigma\sqrt N` in raw units.
    alignments : ndarray of shape (..., d)
        Limits :math:`q_m` of :math:`|\langle u^{(m)}, x^{(m)}\rangle|`; 0 below it.

    Raises
    ------
    ValueError
        If `beta` is negative or not finite, or `dims` are not sizes of a tensor.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    signal_strength : The inverse map.
    thresholds : The signals at which the behaviour changes.

    Notes
    -----
    Model: :math:`T = \beta\, x^{(1)}\circ\cdots\circ x^{(d)} + W/\sqrt N`, unit vectors x, iid
    entries of W with mean 0 and variance 1. With :math:`c_m = p_m/N` and
    :math:`s_m = \sqrt{h^2+4c_m}`,

    .. math::

        \lambda(h) = h + \tfrac12\sum_m(s_m-h), \quad
        q_m^2(h) = \frac{2h}{h+s_m}, \quad
        \beta(h) = \frac{h}{\prod_m q_m},

    all increasing for :math:`h > h_s`, where :math:`\sum_m h_s/s_m = d-2`; :math:`\beta_s =
    \beta(h_s)`. Further, :math:`d\lambda/d\beta = \prod_m q_m`. For d = 3 and equal sizes, with
    :math:`R = \sqrt{3(3\beta^2-4)^3}`,
    :math:`\lambda = \sqrt{\beta^2/2+2+R/(18\beta)}`. Between :math:`\beta_s` and the critical
    signal this is a local maximum, not the global one.

    References
    ----------
    A Random Matrix Perspective on Random Tensors, arXiv:2108.00774.
    When Random Tensors meet Random Matrices, arXiv:2112.12348.

    Examples
    --------
    >>> from skrmt.theory.spiked_tensor import rank_one_limit
    >>> value, alignments = rank_one_limit(3.0, (90, 90, 90))
    >>> round(value, 5), alignments.round(5)
    (3.16828, array([0.98055, 0.98055, 0.98055]))
    """
    sizes = check_dims(dims)
    signal = in_range("beta", beta, 0.0, np.inf, "left", "It is the norm of a spike.")
    h = _limits(signal, sizes, signal_at, _signal_slope)
    share = shares(sizes)
    alignments = np.nan_to_num(alignments_at(h, share))
    return RankOneLimit(unwrap(singular_value_at(h, share)), alignments)


def signal_strength(singular_value: ArrayLike, dims: ArrayLike) -> FloatOrArray:
    r"""Return the signal behind an observed best rank-one value.

    Parameters
    ----------
    singular_value : float or array-like of shape (...)
        Best rank-one value :math:`\lambda \ge 0`, in units in which the noise entries have
        variance 1/N: the raw value over :math:`\sigma\sqrt N`.
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    float or ndarray of shape (...)
        The signal :math:`\beta`; NaN below the bulk edge.

    Raises
    ------
    ValueError
        If `singular_value` is negative or not finite, or `dims` are not sizes of a tensor.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    rank_one_limit : The forward map and the formulas.

    Notes
    -----
    The root of :math:`\lambda(h) = \lambda` above :math:`h_s` is put into :math:`\beta(h)`; for
    equal sizes :math:`h = [(d-2)\lambda + \sqrt{d^2\lambda^2-4d(d-1)}]/(2(d-1))`. The standard
    error of an observed :math:`\lambda` is at most :math:`1/\sqrt N`, that of the signal at most
    :math:`1/(\sqrt N\prod_m q_m)`.

    Examples
    --------
    >>> from skrmt.theory.spiked_tensor import signal_strength
    >>> round(signal_strength(3.1682813, (90, 90, 90)), 6)
    3.0
    """
    sizes = check_dims(dims)
    value = in_range(
        "singular_value", singular_value, 0.0, np.inf, "left", "Give the value over the noise."
    )
    h = _limits(value, sizes, singular_value_at, _slope)
    return unwrap(signal_at(h, shares(sizes)))
