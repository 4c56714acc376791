"""Real and synthetic groups whose covariances are proportional: one scalar unknown."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, as_floats, finite_floats

_STEPS = 200
_TOLERANCE = 1e-13


class MixResult(NamedTuple):
    """Law of the score of a fresh real point of the positive class, and the accuracy.

    Attributes
    ----------
    mean : float or ndarray
        Mean of the score.
    variance : float or ndarray
        Its variance.
    accuracy : float or ndarray
        ``Phi(mean / sqrt(variance))``, below 1/2 where labels are worse than chance.
    """

    mean: FloatOrArray
    variance: FloatOrArray
    accuracy: FloatOrArray


def proportional_mix(
    n_used: ArrayLike,
    weights: ArrayLike,
    alpha: ArrayLike,
    n_total: ArrayLike,
    spectrum: ArrayLike,
    multiplicity: ArrayLike,
    scales: ArrayLike,
    mean_grams: ArrayLike,
    contrasts: ArrayLike,
) -> MixResult:
    r"""Return the law of a ridge on groups with covariances proportional to one matrix C.

    Parameters
    ----------
    n_used : array-like of shape (..., G)
        Rows used of each group; group 0 has the law of the test points.
    weights : array-like of shape (..., G)
        Loss weights.
    alpha : array-like of shape (...)
        Penalty per row of `n_total`, positive.
    n_total : array-like of shape (...)
        N, the unit of the penalty.
    spectrum : array-like of shape (b,)
        Eigenvalues of C, one per bin.
    multiplicity : array-like of shape (b,)
        Number of features in each bin.
    scales : array-like of shape (..., G)
        The covariance of group k is ``scales[k] C``.
    mean_grams : array-like of shape (b, G, G)
        Products of the group means within each bin.
    contrasts : array-like of shape (..., G)
        ``1 - 2 eps`` with eps the share of wrong labels among the rows used.

    Returns
    -------
    MixResult
        Arrays of the shape to which the arguments broadcast.

    Notes
    -----
    With :math:`\delta_k = \sigma_k \delta` the fixed point has one unknown,

    .. math:: \delta = \frac1N \sum_j \frac{d_j l_j}{\gamma + g(\delta) l_j},\qquad
        g(\delta) = \sum_k \frac{c_k\omega_k\sigma_k}{1+\omega_k\sigma_k\delta},

    whose residual is monotone in :math:`\log\delta`: it is bracketed and bisected with Newton
    steps. A cell costs O(b) per iteration and O(b G^2 + G^3) at the end.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import proportional_mix
    >>> law = proportional_mix(
    ...     [300, 456], [1, 1], 1.0, 900, [1.0], [200], [1, 1], [[[1.0, 1.0], [1.0, 1.0]]],
    ...     [1.0, 408 / 456])
    >>> round(float(law.accuracy), 5)
    0.80032
    """
    cells = _cells(n_used, weights, scales, contrasts, alpha, n_total)
    counts, omega, sigma, theta, gamma, total, shape = cells
    eigenvalues = np.asarray(spectrum, dtype=float)
    features = np.asarray(multiplicity, dtype=float)
    grams = np.asarray(mean_grams, dtype=float)
    share = counts / total[:, None]
    delta = _solve_delta(share, omega * sigma, gamma, total, eigenvalues, features)
    kappa = share * omega / (1.0 + omega * sigma * delta[:, None])
    # Scores are computed times this unit: a large penalty would make their squares vanish.
    unit = np.maximum(gamma, 1.0)
    level = (gamma / unit)[:, None] + ((kappa * sigma).sum(1) / unit)[:, None] * eigenvalues
    scaled = np.einsum("cb,bkl->ckl", 1.0 / level, grams)
    coefficients = _mean_coefficients(scaled / unit[:, None, None], kappa, theta)
    fitted = np.einsum("ckl,cl->ck", scaled, coefficients)
    energy = np.einsum("cb,ck,bkl,cl->c", eigenvalues / level**2, coefficients, grams, coefficients)
    score, power = fitted / unit[:, None], energy / unit / unit
    loss = 1.0 - 2.0 * theta * score + score**2 + sigma * power[:, None]
    trace = ((features * eigenvalues**2) / level**2).sum(1) / total
    second = np.divide(kappa**2, share, out=np.zeros_like(kappa), where=share > 0)
    # T diag(s) has rank one, sigma_k sigma_l s_l: its resolvent is explicit.
    inflation = 1.0 - trace / unit / unit * (sigma**2 * second).sum(1)
    spread = trace / inflation * (second * sigma * sigma[:, :1] * loss).sum(1)
    mean, variance = fitted[:, 0], sigma[:, 0] * energy + spread
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(variance > 0, mean / np.sqrt(variance), 0.0)
    law = (mean / unit, variance / unit / unit, ndtr(ratio))
    return MixResult(*(part.reshape(shape) for part in law))


def _cells(
    n_used: Any, weights: Any, scales: Any, contrasts: Any, alpha: Any, n_total: Any
) -> tuple[Any, ...]:
    """Broadcast the arguments to one axis of cells; unused groups have count 0."""
    groups = [np.asarray(a, dtype=float) for a in (n_used, weights, scales, contrasts)]
    points = [np.asarray(a, dtype=float) for a in (alpha, n_total)]
    size = max(a.shape[-1] for a in groups)
    shape = np.broadcast_shapes(*(a.shape[:-1] for a in groups), *(a.shape for a in points))
    flat = [np.broadcast_to(a, (*shape, size)).reshape(-1, size) for a in groups]
    counts, omega, sigma, theta = flat
    counts = np.where(omega > 0, counts, 0.0)
    theta = np.where(counts > 0, theta, 0.0)
    gamma, total = (np.broadcast_to(a, shape).ravel() for a in points)
    return counts, omega, sigma, theta, gamma, total, shape


def _solve_delta(
    share: FloatArray,
    load: FloatArray,
    gamma: FloatArray,
    total: FloatArray,
    eigenvalues: FloatArray,
    features: FloatArray,
) -> FloatArray:
    """Solve the fixed point in log(delta) by bracketed Newton steps."""
    slope = share * load
    floor = (features * eigenvalues / (gamma[:, None] + slope.sum(1)[:, None] * eigenvalues)).sum(
        1
    ) / total
    penalised = gamma > 0
    ceiling = (features * eigenvalues).sum() / (total * np.where(penalised, gamma, 1.0))
    ceiling = np.where(penalised, np.maximum(ceiling, floor), 1e12 * floor)
    low, high = np.log(floor), np.log(ceiling)
    x = low.copy()
    for _ in range(_STEPS):
        delta = np.exp(x)
        shrunk = 1.0 + load * delta[:, None]
        level = gamma[:, None] + (slope / shrunk).sum(1)[:, None] * eigenvalues
        value = (features * eigenvalues / level).sum(1) / total
        derivative = (features * (eigenvalues / level) ** 2).sum(1) / total
        derivative = derivative * (slope * load / shrunk**2).sum(1) * delta / value
        residual = x - np.log(value)
        low, high = np.where(residual < 0, x, low), np.where(residual > 0, x, high)
        step = x - residual / np.maximum(1.0 - derivative, 1e-12)
        inside = (step >= low) & (step <= high)
        new = np.where(inside, step, 0.5 * (low + high))
        if np.abs(new - x).max() <= _TOLERANCE * np.maximum(np.abs(x), 1.0).max():
            return np.exp(new)
        x = new
    return np.exp(x)


def _mean_coefficients(first: FloatArray, kappa: FloatArray, theta: FloatArray) -> FloatArray:
    """Return the coefficients of the mean classifier on the group means, ``A wbar``."""
    size = first.shape[-1]
    system = np.eye(size) + kappa[:, :, None] * first
    solution = np.linalg.solve(system, (kappa * theta)[:, :, None])
    return np.asarray(solution[:, :, 0], dtype=np.float64)


def simplex_accuracy(ratio: ArrayLike, n_classes: int) -> FloatOrArray:
    r"""Return the accuracy of K exchangeable classes from that of the scalar problem.

    Parameters
    ----------
    ratio : array-like
        ``mean / sqrt(variance)`` of the problem with two classes and ``|mu| = s / sqrt(K)``, for
        class means ``s (e_k - 1/K)``, contrast ``1 - eps K / (K - 1)`` and uniform flips.
    n_classes : int
        K.

    Returns
    -------
    float or ndarray
        Probability that the right class has the largest score.

    Raises
    ------
    ValueError
        If `ratio` is not finite or `n_classes` is no whole number of 2 or more.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    The difference of two one-against-rest scores is the score of the scalar problem up to scale,
    and all differences have correlation 1/2: with :math:`\Delta = \sqrt K\, r`,

    .. math:: \int \varphi(z - \Delta)\, \Phi(z)^{K-1} dz,

    which is :math:`\Phi(r)` for K = 2.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import simplex_accuracy
    >>> round(float(simplex_accuracy(1.0, 2)), 6), round(float(simplex_accuracy(0.0, 4)), 6)
    (0.841345, 0.25)
    """
    ratio = finite_floats("ratio", ratio, "It is a mean over a standard deviation.")
    classes = as_floats("n_classes", n_classes)
    if classes.ndim or not classes >= 2 or classes % 1:
        raise ValueError(f"n_classes must be a whole number of 2 or more, got {n_classes!r}.")
    if n_classes == 2:
        return np.asarray(ndtr(ratio)) if ratio.ndim else float(ndtr(ratio))
    nodes = np.linspace(-9.0, 9.0, 361)
    density = np.exp(-0.5 * nodes**2)
    z = nodes + np.sqrt(n_classes) * ratio[..., None]
    value = ndtr(z) ** (n_classes - 1) @ (density / density.sum())
    return value if ratio.ndim else float(value)
