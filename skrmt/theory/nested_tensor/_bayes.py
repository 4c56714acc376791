"""The best possible labels, and how far the methods stay behind them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from ._methods import nested_ml, oracle, tensor, two_step
from ._model import as_model, strength
from ._unfolding import unfolding

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(101)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()
_GRID = np.concatenate([1 - np.logspace(-12, -2, 41), np.linspace(0.98, 0.01, 98)])
_TINY = np.logspace(-2, -12, 41)


class PerformanceGap(NamedTuple):
    """Accuracies of the methods on the same data.

    Attributes
    ----------
    unfolding, tensor, two_step, nested_ml : float
        What each method reaches without labels.
    oracle : float
        What spectral methods reach that know the strengths of the views.
    bayes : float
        What no method exceeds, with these strengths known.
    gap : float
        The tensor method less the unfolding, negative where the latter is better.
    """

    unfolding: float
    tensor: float
    two_step: float
    nested_ml: float
    oracle: float
    bayes: float
    gap: float


def bayes_accuracy(snr: float, ratio: float) -> float:
    r"""Return the accuracy of the best labels of two balanced classes in white noise.

    Parameters
    ----------
    snr : float
        :math:`s = |\mu|^2/v`: half the distance of the means, squared, over the noise variance.
    ratio : float
        Samples over features, r = n/p.

    Returns
    -------
    float
        The accuracy of the Bayes estimate, without labels; 0.5 where :math:`s^2r\le 1`.

    Raises
    ------
    ValueError
        If an argument is negative, not finite, or not one number.

    Notes
    -----
    The largest fixed point of :math:`\gamma_\mu = rsq_y`, :math:`q_\mu =
    \gamma_\mu/(1+\gamma_\mu)`, :math:`\gamma_y = sq_\mu`, :math:`q_y =
    E\tanh(\gamma_y + \sqrt{\gamma_y}Z)` gives :math:`\Phi(\sqrt{\gamma_y})`.

    References
    ----------
    Lesieur, De Bacco, Banks, Krzakala, Moore & Zdeborova, Phase transitions and optimal algorithms
    in high-dimensional Gaussian mixture clustering, arXiv:1610.02918.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import bayes_accuracy
    >>> round(bayes_accuracy(1, 2), 6)
    0.722159
    """
    s, r = strength("snr", snr), strength("ratio", ratio)
    if s * s * r <= 1:
        return 0.5

    def gamma(q: np.ndarray | float) -> np.ndarray:
        return np.asarray(s / (1 + 1 / (r * s * np.asarray(q))))

    def residual(q: np.ndarray | float) -> np.ndarray:
        g = gamma(q)[..., None]
        overlap = np.tanh(g + np.sqrt(g) * _NODES) @ _WEIGHTS
        return np.asarray(overlap - q)

    grid = np.concatenate([_GRID, _TINY[1:]])
    values = residual(grid)
    first = int(np.argmax(values >= 0))
    if values[first] < 0:
        return 0.5
    if first == 0:
        return float(ndtr(np.sqrt(gamma(1.0))))
    root = brentq(lambda q: float(residual(q)), grid[first], grid[first - 1], xtol=1e-15)
    return float(ndtr(np.sqrt(gamma(root))))


def performance_gap(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> PerformanceGap:
    r"""Return the accuracies of all methods under the nested model.

    Parameters
    ----------
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    beta_t, beta_m : float, optional
        Strength of the tensor and of the matrix inside it.
    theta, tau : float, optional
        Instead of these, their product and the energy of the within-class noise; see `oracle`.

    Returns
    -------
    PerformanceGap
        The accuracies.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer or a strength is negative or not finite.

    Notes
    -----
    Of each method the accuracy :math:`\Phi\bigl(\sqrt{q_y/(1-q_y)}\bigr)` at its overlap of the
    samples :math:`q_y`, see `overlap_accuracy`; that of the best labels is `bayes_accuracy` at
    the signal-to-noise ratio of the combination that the oracle takes.

    References
    ----------
    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import performance_gap
    >>> result = performance_gap(n_samples=100, n_features=80, n_views=60, beta_t=0.4, beta_m=3)
    >>> round(result.unfolding, 3), round(result.nested_ml, 3), round(result.bayes, 3)
    (0.5, 0.905, 0.926)
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    given = model.arguments
    concatenated, rank_one = unfolding(**given).accuracy, tensor(**given).accuracy
    bound = oracle(**given).accuracy
    snr = model.signal / (model.n_samples * model.core_noise)
    return PerformanceGap(
        concatenated,
        rank_one,
        two_step(**given).accuracy,
        nested_ml(**given).accuracy,
        bound,
        max(bayes_accuracy(snr, model.n_samples / model.n_features), bound),
        rank_one - concatenated,
    )
