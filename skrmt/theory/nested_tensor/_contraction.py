"""Spectrum of the nested tensor contracted with one vector per mode."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import FloatArray, FloatOrArray, finite_floats, unwrap
from ._methods import tensor
from ._model import as_model, cosine

_HEIGHTS = np.append(np.logspace(0.5, -12, 51), 0.0)
"""Distances from the axis at which the transforms are followed down to it: from one to the next
they change so little that Newton's method needs two or three steps."""

_NEWTON_STEPS = 40
_TOLERANCE = 1e-13
_LOOSE = 1e-6
"""Relative step at which Newton's method stops above the axis, where it only prepares a start."""

_NEAREST = 1e-9
"""Distance from 0 at which the density is evaluated instead of at 0, where there may be an atom."""

_SMALLEST = 1e-9
"""Imaginary part that counts as rounding, over the largest: beyond the edge it is 0."""


def contraction_density(
    x: ArrayLike,
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
    view_overlap: float | None = None,
) -> FloatOrArray:
    r"""Return the density of the spectrum of the contracted tensor.

    Parameters
    ----------
    x : array-like of shape (...)
        Where to evaluate it.
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    beta_t, beta_m : float, optional
        Strength of the tensor and of the matrix inside it.
    theta, tau : float, optional
        Instead of these, their product and the energy of the within-class noise; see `oracle`.
    view_overlap : float, optional
        Squared cosine :math:`q_h` of the vector of the views with their strengths; that of the best
        rank-one approximation, `tensor`, by default.

    Returns
    -------
    float or ndarray of shape (...)
        The density of the bulk: symmetric, of total mass 1. Where one mode is longer than the
        others together, an atom at 0 is part of that mass and left out of the density.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If an argument is outside its range or x is not finite.

    See Also
    --------
    tensor : The singular value, which lies beyond the bulk where the classes are found.
    skrmt.theory.spiked_tensor.noise_density : The same without within-class noise.

    Notes
    -----
    For unit vectors u, v and w of the features, samples and views, the symmetric matrix of size
    N = n + p + m with blocks

    .. math:: \begin{pmatrix} 0 & T(w) & T(v)\\ T(w)^\top & 0 & T(u)\\
        T(v)^\top & T(u)^\top & 0\end{pmatrix}

    has a spectrum whose Stieltjes transform :math:`g = g_1 + g_2 + g_3` solves

    .. math:: -\frac{c_1}{g_1} = z + a g_2 + g_3,\quad -\frac{c_2}{g_2} = z + a g_1 + g_3,\quad
        -\frac{c_3}{g_3} = z + g_1 + g_2,\qquad a = 1 + \tau q_h,

    with the shares :math:`c_i` of p, n and m in N: the within-class noise is part of the first
    block only. The density is :math:`\Im g(x + i0)/\pi`; it is followed down to the axis by
    Newton's method.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import contraction_density
    >>> sizes = dict(n_samples=200, n_features=150, n_views=60)
    >>> contraction_density([0.5, 2.0, 3.5], **sizes, beta_t=2, beta_m=1.5).round(4)
    array([0.2121, 0.1418, 0.    ])
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    points = finite_floats("x", x, "Pass real numbers.")
    if view_overlap is None:
        overlap = tensor(**model.arguments).view_overlap
    else:
        overlap = cosine("view_overlap", view_overlap)
    share = np.array([model.n_features, model.n_samples, model.n_views]) / model.total
    coupling = np.ones((3, 3)) - np.eye(3)
    coupling[0, 1] = coupling[1, 0] = model.contracted_noise(overlap) * model.total
    half = np.maximum(np.abs(points).ravel(), _NEAREST)
    height = _transforms(half, share, coupling).sum(axis=-1).imag
    density = np.where(height > _SMALLEST * (1 + half), height, 0.0) / np.pi
    return unwrap(density.reshape(points.shape))


def _transforms(
    points: FloatArray, share: FloatArray, coupling: FloatArray
) -> NDArray[np.complex128]:
    """Return the three transforms on the real axis, followed down from the upper half-plane."""
    z = points[:, None] + 1j * _HEIGHTS[0] * np.sqrt(coupling.max())
    transforms = -share / z
    for _ in range(200):
        transforms = 0.5 * (transforms - share / (z + transforms @ coupling))
    for height in _HEIGHTS * np.sqrt(coupling.max()):
        tolerance = _TOLERANCE if height == 0 else _LOOSE
        transforms = _newton(transforms, points[:, None] + 1j * height, share, coupling, tolerance)
    return transforms


def _newton(
    transforms: NDArray[np.complex128],
    z: NDArray[np.complex128],
    share: FloatArray,
    coupling: FloatArray,
    tolerance: float,
) -> NDArray[np.complex128]:
    """Solve g (z + coupling g) = -share by Newton's method."""
    for _ in range(_NEWTON_STEPS):
        others = z + transforms @ coupling
        slope = transforms[:, :, None] * coupling
        slope[:, range(3), range(3)] += others
        step = np.linalg.solve(slope, (transforms * others + share)[:, :, None])[:, :, 0]
        transforms = transforms - step
        if (np.abs(step) <= tolerance * np.abs(transforms)).all():
            break
    return transforms
