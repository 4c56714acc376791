"""PCA of concatenated views: its limits under the nested model, and its spectrum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from .._checks import FloatOrArray, finite_floats, unwrap
from ._methods import nested_limit
from ._model import Model, NestedLimit, as_model


def unfolding(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
    regime: Literal["exact", "asymptotic"] = "exact",
) -> NestedLimit:
    r"""Return the limits of the first principal component of the concatenated views.

    Parameters
    ----------
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    beta_t, beta_m : float, optional
        Strength of the tensor and of the matrix inside it.
    theta, tau : float, optional
        Instead of these, their product and the energy of the within-class noise; see `oracle`.
    regime : {"exact", "asymptotic"}, default="exact"
        "exact" holds for any number of views; "asymptotic" is the limit of many views and
        overestimates overlaps where there are few.

    Returns
    -------
    NestedLimit
        The feature overlap is that of the unfolding by features, the view overlap nan. The
        eigenvalue is that of the Gram matrix of the samples, the edge of its bulk if nothing is
        detected; in the asymptotic regime it is centred and scaled,
        :math:`(N\lambda - (n + pm))/\sqrt{pnm}`, N = n + p + m.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer, a strength is negative or not finite, or the regime
        is unknown.

    Notes
    -----
    A rotation of the views puts the signal and the within-class noise into one block of p columns,
    of noise variance :math:`s_1 = (1+\tau)/N`, beside p(m-1) columns of variance
    :math:`s_2 = 1/N`. With :math:`\kappa = \theta^2 + ns_1`,

    .. math:: q_y = \frac{\theta^2}\kappa\left[1 - \frac{nps_1^2}{\theta^4}
        - \frac{np(m-1)s_2^2}{(\kappa-ns_2)^2}\right],\quad
        \lambda = \kappa\left[1 + \frac{ps_1}{\theta^2} + \frac{p(m-1)s_2}{\kappa-ns_2}\right],

    detected where the bracket is positive.

    References
    ----------
    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import unfolding
    >>> result = unfolding(n_samples=200, n_features=150, n_views=60, beta_t=2, beta_m=1.5)
    >>> round(result.sample_overlap, 4), round(result.eigenvalue, 3)
    (0.6468, 37.013)
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    check_regime(regime)
    limit = _exact if regime == "exact" else _asymptotic
    sample, eigenvalue = limit(model)
    feature, _ = limit(model._replace(n_samples=n_features, n_features=n_samples))
    return nested_limit(sample, feature, np.nan, eigenvalue)


def check_regime(regime: str) -> None:
    """Raise unless the regime is known."""
    if regime not in ("exact", "asymptotic"):
        raise ValueError(f"regime must be 'exact' or 'asymptotic', got {regime!r}.")


def _exact(model: Model) -> tuple[float, float]:
    """Return one less the overlap of samples, and the eigenvalue."""
    n, p, s1, s2 = model.n_samples, model.n_features, model.core_noise, model.view_variance
    signal, others = model.signal, p * model.other_views * s2
    if signal > 0:
        kappa = signal + n * s1
        outside = signal + n * model.within / model.total
        lost = n * p * (s1 / signal) ** 2 + n * s2 * others / outside**2
        if lost < 1:
            overlap = signal / kappa * (1 - lost)
            complement = n * s1 / kappa + signal / kappa * lost
            eigenvalue = kappa * (1 + p * s1 / signal + others / outside)
            return (complement if overlap > 0 else 1.0), eigenvalue
    return 1.0, _edge(_slope(n, [(p, s1), (p * model.other_views, s2)]), n * s1)


def _asymptotic(model: Model) -> tuple[float, float]:
    """Return the same in the limit of many views, the eigenvalue centred and scaled."""
    n, p = model.n_samples, model.n_features
    scale = model.total / np.sqrt(float(p) * n * model.n_views)
    within = model.within / model.total
    rate = scale * (model.signal + n * within)
    if model.signal > 0:
        lost = n * p * (within / model.signal) ** 2 + rate**-2
        if lost < 1:
            kept = model.signal / (model.signal + n * within)
            return 1 - kept * (1 - lost), rate * (1 + p * within / model.signal) + 1 / rate
    if not within:
        return 1.0, 2.0
    inner = _slope(n, [(p, scale * within)])
    return 1.0, _edge(lambda g: inner(g) + np.array([-g, -1.0]), max(n * scale * within, 1.0))


def _slope(n: int, blocks: list[tuple[int, float]]) -> Callable[[float], np.ndarray]:
    """Return z(g), the inverse of the Stieltjes transform of noise, with its derivative."""

    def evaluate(g: float) -> np.ndarray:
        z = np.array([-1 / g, g**-2])
        for width, variance in blocks:
            share = 1 + n * variance * g
            z += [width * variance / share, -n * width * (variance / share) ** 2]
        return z

    return evaluate


def _edge(inverse: Callable[[float], np.ndarray], largest: float) -> float:
    """Return the right edge of a bulk: z(g) where its derivative vanishes, -1/largest < g < 0."""
    low, high = -(1 - 1e-13) / largest, -1e-9 / largest
    g = brentq(lambda t: inverse(-np.exp(t))[1], np.log(-high), np.log(-low), xtol=1e-14)
    return float(inverse(-np.exp(g))[0])


def unfolding_density(
    x: ArrayLike,
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> FloatOrArray:
    r"""Return the density of the eigenvalues of the Gram matrix of the concatenated views.

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

    Returns
    -------
    float or ndarray of shape (...)
        Density of the bulk of the n eigenvalues, without the isolated one. Where n > pm its mass
        is pm/n, the others are 0.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If an argument is outside its range or x is not finite.

    Notes
    -----
    It is :math:`\Im g(x)/\pi` with the Stieltjes transform g, the root of positive imaginary part
    of :math:`g = 1/(-x + ps_1/(1+ns_1g) + p(m-1)s_2/(1+ns_2g))`, with the variances of
    `unfolding`: a cubic equation.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import unfolding_density
    >>> sizes = dict(n_samples=200, n_features=150, n_views=60)
    >>> unfolding_density([22.0, 60.0], **sizes, beta_t=2, beta_m=1.5).round(4)
    array([0.0862, 0.    ])
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    points = finite_floats("x", x, "Pass real numbers.")
    n, p, s1, s2 = model.n_samples, model.n_features, model.core_noise, model.view_variance
    widths = p * s1, p * model.other_views * s2
    a, b = n * s1, n * s2
    z = points.ravel()
    coefficients = np.stack(
        [
            -z * a * b,
            -a * b - z * (a + b) + widths[0] * b + widths[1] * a,
            -(a + b) - z + widths[0] + widths[1],
            np.full_like(z, -1.0),
        ],
        axis=-1,
    )
    found = [np.roots(row).imag.max(initial=0.0) if row[0] else 0.0 for row in coefficients]
    density = np.where(z > 0, np.array(found) / np.pi, 0.0)
    return unwrap(density.reshape(points.shape))
