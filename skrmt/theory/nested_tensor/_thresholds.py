"""Where the methods begin to find the classes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatOrArray, in_range, unwrap
from ._methods import nested_ml, oracle, tensor, two_step
from ._model import as_model
from ._unfolding import check_regime, unfolding

_HALVINGS = 50
"""Halvings of the bracket of a threshold, whose ends differ by a factor of 2 at most: the result
is then exact to rounding."""


class NestedThresholds(NamedTuple):
    r"""The least :math:`\theta` at which each method finds the classes.

    Attributes
    ----------
    unfolding, tensor, two_step, nested_ml : float or ndarray of shape (...)
        What each method takes without labels.
    oracle : float or ndarray of shape (...)
        What spectral methods take that know the strengths of the views; no other is less.
    """

    unfolding: FloatOrArray
    tensor: FloatOrArray
    two_step: FloatOrArray
    nested_ml: FloatOrArray
    oracle: FloatOrArray


def thresholds(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    tau: ArrayLike,
    regime: Literal["exact", "asymptotic"] = "exact",
) -> NestedThresholds:
    r"""Return the signal that each method takes to find the classes at all.

    Parameters
    ----------
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    tau : array-like of shape (...)
        Energy of the within-class noise, 0 or more; see `oracle`.
    regime : {"exact", "asymptotic"}, default="exact"
        Of the unfolding; see `unfolding`.

    Returns
    -------
    NestedThresholds
        Values of :math:`\theta = \beta_T\beta_M`: below, the labels of a method are those of
        chance, above, better.

    Raises
    ------
    ValueError
        If a size is not a positive integer, `tau` is negative or not finite, or the regime is
        unknown.

    See Also
    --------
    performance_gap : What the methods reach above.

    Notes
    -----
    With N = n + p + m, the unfolding finds the classes where
    :math:`np(1+\tau)^2/(N\theta^2)^2 + np(m-1)/(N\theta^2+n\tau)^2 < 1`. In the limit of many views
    this is the theorem of the second reference, in its parameters

    .. math:: \frac{c_1c_2}{(1-c_3)^2\beta_M^4} + \frac1{(\rho_TA)^2} < 1,\quad
        \rho_T = \frac{\beta_T^2N}{\sqrt{pnm}},\quad A = \beta_M^2 + \frac{c_2}{1-c_3},

    :math:`c_i` the shares of p, n and m in N. Known strengths of the views take
    :math:`N\theta^2 = \sqrt{np}\,(1+\tau)`. The other methods begin where their overlap with the
    labels leaves 0: with :math:`\tau = 0` in a jump, as in a tensor, with a large one continuously,
    as in a matrix; there their values are known to 1e-4. That of the tensor method is where its
    solution begins to exist; near it an iteration from a poor start may miss it. With a small
    :math:`\tau` the two steps may begin before the fit of the nested model.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import thresholds
    >>> found = thresholds(n_samples=100, n_features=80, n_views=60, tau=[0.0, 0.2, 5.0])
    >>> found.unfolding.round(3)
    array([1.699, 1.678, 1.664])
    >>> found.nested_ml.round(3)
    array([1.142, 0.734, 1.496])
    """
    check_regime(regime)
    sizes: dict[str, Any] = {"n_samples": n_samples, "n_features": n_features, "n_views": n_views}
    as_model(**sizes, theta=0.0, tau=0.0)
    noise = in_range("tau", tau, 0, np.inf, "left", "Pass finite numbers of 0 or more.")

    def unfolded(**given: Any) -> Any:
        return unfolding(**given, regime=regime)

    methods = (unfolded, tensor, two_step, nested_ml, oracle)
    found = [[_critical(method, sizes, float(t)) for t in noise.ravel()] for method in methods]
    return NestedThresholds(*(unwrap(np.reshape(row, noise.shape)) for row in found))


def _critical(method: Any, sizes: dict[str, Any], tau: float) -> float:
    """Return the least theta at which a method detects the classes."""
    n, p, m = sizes.values()
    low = high = np.sqrt((n * p) ** 0.5 * (1 + tau) / (n + p + m))
    while not method(**sizes, theta=high, tau=tau).detected:
        low, high = high, 2 * high
    while method(**sizes, theta=low, tau=tau).detected:
        low, high = low / 2, low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if method(**sizes, theta=middle, tau=tau).detected:
            high = middle
        else:
            low = middle
    return float(high)
