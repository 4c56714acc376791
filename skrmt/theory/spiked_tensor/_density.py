"""Bulk of the singular values of a contracted noise tensor."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import FloatArray, FloatOrArray, finite_floats, unwrap
from ._limits import check_dims, edge_parameter, shares, singular_value_at

_HEIGHTS = np.append(np.logspace(0.5, -12, 51), 0.0)
_NEWTON_STEPS = 40
_TOLERANCE = 1e-13
_LOOSE = 1e-6
_NEAREST = 1e-9


def noise_density(x: ArrayLike, dims: ArrayLike) -> FloatOrArray:
    r"""Return the limiting density of the spectrum of a contracted noise tensor.

    Parameters
    ----------
    x : float or array-like of shape (...)
        Where, in units in which the noise entries have variance 1/N.
    dims : sequence of int
        Sizes :math:`p_1, \ldots, p_d`, three or more; :math:`N = \sum_m p_m`.

    Returns
    -------
    float or ndarray of shape (...)
        The density: symmetric, 0 beyond the bulk edge :math:`\lambda_s`, of total mass 1. Where
        one mode is longer than all the others together, an atom of mass :math:`2\max_m c_m-1` at
        0 is part of that mass and left out of the density. `inf` at 0 where it is as long as the
        others together.

    Raises
    ------
    ValueError
        If `x` is not finite, or `dims` are not sizes of a tensor.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    thresholds : The bulk edge among other values.

    Notes
    -----
    For unit vectors :math:`u^{(m)}` the symmetric N x N block matrix, with 0 on the diagonal and
    the contraction of the noise with all u but :math:`u^{(m)}, u^{(k)}` in block (m, k), has a
    spectrum whose Stieltjes transform is :math:`g = \sum_m g_m`,

    .. math::

        g_m(z)\,\bigl(z + \textstyle\sum_{k\neq m} g_k(z)\bigr) = -c_m,

    the only solution with positive imaginary parts in the upper half-plane; the density is
    :math:`\operatorname{Im} g(x+i0)/\pi`. It is followed from large :math:`\operatorname{Im} z`
    down to the axis by Newton's method. For equal sizes it is the semicircle of radius
    :math:`\lambda_s = 2\sqrt{(d-1)/d}`. With a spike or at a critical point the bulk is the same.

    References
    ----------
    When Random Tensors meet Random Matrices, arXiv:2112.12348.

    Examples
    --------
    >>> from skrmt.theory.spiked_tensor import noise_density
    >>> noise_density([0.0, 1.0, 1.7], (50, 50, 50)).round(4)
    array([0.3898, 0.3082, 0.    ])
    """
    sizes = check_dims(dims)
    points = finite_floats("x", x, "The density is asked at real numbers.")
    share = shares(sizes)
    edge = float(singular_value_at(np.asarray(edge_parameter(sizes)), share))
    density = np.zeros_like(points)
    excess = 2 * max(sizes) - sum(sizes)
    if excess == 0:
        density[points == 0] = np.inf
    inside = np.abs(points) < edge
    if excess >= 0:
        inside &= points != 0
    if inside.any():
        # The density is even: only half the axis is followed. Towards an atom g diverges.
        half = np.maximum(np.abs(points[inside]), _NEAREST if excess > 0 else 0.0)
        transform = _transforms(half, share).sum(axis=-1)
        density[inside] = np.maximum(transform.imag, 0.0) / np.pi
    return unwrap(density)


def _transforms(points: FloatArray, share: FloatArray) -> NDArray[np.complex128]:
    """Return g_m on the real axis, shape (n, d), followed down from the upper half-plane."""
    z = points + 1j * _HEIGHTS[0]
    transforms = -share / z[:, None]
    for _ in range(200):
        transforms = 0.5 * (transforms + _map(transforms, z, share))
    for height in _HEIGHTS:
        tolerance = _TOLERANCE if height == 0 else _LOOSE
        transforms = _newton(transforms, points + 1j * height, share, tolerance)
    return transforms


def _map(
    transforms: NDArray[np.complex128], z: NDArray[np.complex128], share: FloatArray
) -> NDArray[np.complex128]:
    """Return -c_m / (z + sum of the other g)."""
    others = transforms.sum(axis=1, keepdims=True) - transforms
    return -share / (z[:, None] + others)


def _newton(
    start: NDArray[np.complex128],
    z: NDArray[np.complex128],
    share: FloatArray,
    tolerance: float,
) -> NDArray[np.complex128]:
    """Solve the system at z from a start nearby, each point until it stands still."""
    transforms, active = start.copy(), np.arange(len(z))
    for _ in range(_NEWTON_STEPS):
        step = _newton_step(transforms[active], z[active], share)
        transforms[active] -= step
        moves = np.abs(step) > tolerance * np.abs(transforms[active])
        active = active[moves.any(axis=1)]
        if active.size == 0:
            break
    return transforms


def _newton_step(
    transforms: NDArray[np.complex128], z: NDArray[np.complex128], share: FloatArray
) -> NDArray[np.complex128]:
    """Return the step of Newton's method for :math:`g_m + c_m/(z+g-g_m) = 0`."""
    image = _map(transforms, z, share)
    gap = transforms - image
    slope = image**2 / share
    diagonal = 1 + slope
    weight, plain = slope / diagonal, gap / diagonal
    rows, largest = np.arange(len(z)), np.argmax(np.abs(slope), axis=1)
    rest = weight.copy()
    rest[rows, largest] = 0
    total = plain.sum(axis=1) / (1 / diagonal[rows, largest] - rest.sum(axis=1))
    return plain + weight * total[:, None]
