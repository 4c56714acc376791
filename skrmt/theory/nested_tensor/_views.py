"""Views of unequal width, unequal class sizes and missing views: weighted PCA."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, broadcast, in_range, unwrap
from ._methods import accuracy_of
from ._model import check_size, matrix_spike, strength


class UnequalViews(NamedTuple):
    """What the weighted concatenation of views reaches.

    Attributes
    ----------
    sample_overlap : float
        Squared alignment of the estimated with the true labels.
    accuracy : float
        Share of samples put into the right class: 0.5 at chance.
    detected : bool
        Whether the classes are found.
    eigenvalue : float
        Largest eigenvalue of the weighted Gram matrix; its edge where nothing is found.
    weights : ndarray of shape (m,)
        Weights of the squared views, the largest 1.
    """

    sample_overlap: float
    accuracy: float
    detected: bool
    eigenvalue: float
    weights: FloatArray


class Imbalanced(NamedTuple):
    """What centred samples of classes of unequal size reach.

    Attributes
    ----------
    feature_overlap : float or ndarray
        Squared alignment with the direction of the means.
    accuracy : float or ndarray
        With the threshold at 0, the mean of the scores.
    midpoint_accuracy : float or ndarray
        With the threshold between the classes.
    prior_accuracy : float or ndarray
        With the best threshold, which knows how large they are.
    detected : bool or ndarray of bool
        Whether the classes are found.
    """

    feature_overlap: FloatOrArray
    accuracy: FloatOrArray
    midpoint_accuracy: FloatOrArray
    prior_accuracy: FloatOrArray
    detected: bool | FloatArray


class MissingViews(NamedTuple):
    """Limits for samples of which some views are missing.

    Attributes
    ----------
    feature_overlap : float
        Squared alignment with the direction of the means.
    accuracy : float
        Mean of the accuracies of the samples.
    sample_accuracies : ndarray of shape (n_samples,)
        Accuracy of each sample, by its views.
    detected : bool
        Whether the classes are found.
    """

    feature_overlap: float
    accuracy: float
    sample_accuracies: FloatArray
    detected: bool


def unequal_views(
    n_samples: float,
    n_features: ArrayLike,
    signal: ArrayLike,
    noise: ArrayLike,
    weights: Literal["optimal", "inverse_variance", "unit"] | ArrayLike = "optimal",
) -> UnequalViews:
    r"""Return the limits of PCA on weighted, concatenated views of unequal widths.

    Parameters
    ----------
    n_samples : float
        Number n of samples, 1 or more.
    n_features : array-like of int of shape (m,)
        Widths :math:`p_k`.
    signal : array-like of shape (m,)
        :math:`\theta_k^2`, n times the squared norm of the mean of a class of each view.
    noise : array-like of shape (m,)
        :math:`\sigma_k^2`, noise variances, positive.
    weights : {"optimal", "inverse_variance", "unit"} or array-like of shape (m,), default="optimal"
        Weights of the squared views; the optimal ones are
        :math:`\theta_k^2/(\sigma_k^2(p_k\sigma_k^2 + \theta_k^2))`.

    Returns
    -------
    UnequalViews
        Overlap, accuracy and weights.

    Raises
    ------
    ValueError
        If the shapes differ or an argument is outside its range.

    Notes
    -----
    With :math:`t_k = w_k\theta_k^2` and :math:`s_k = w_k\sigma_k^2`, g solves
    :math:`1 + g\sum_k t_k/(1+ns_kg) = 0` in :math:`(-1/(n\max s_k), 0)` and

    .. math:: q_y = \frac{-g\,z'(g)}{\sum_k t_k/(1+ns_kg)^2},\qquad
        z'(g) = \frac1{g^2} - n\sum_k\frac{p_ks_k^2}{(1+ns_kg)^2},

    if positive. Views below their own thresholds are found together where
    :math:`\sum_k\theta_k^4/(np_k\sigma_k^4) > 1`.

    References
    ----------
    Optimally Weighted PCA for High-Dimensional Heteroscedastic Data, arXiv:1810.12862.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import unequal_views
    >>> views = dict(n_features=[60, 200, 500], signal=[240, 400, 480], noise=[0.5, 1, 2])
    >>> round(unequal_views(400, **views).sample_overlap, 4)
    0.6293
    >>> unequal_views(400, **views, weights="unit").detected
    False
    """
    n = float(in_range("n_samples", n_samples, 1, np.inf, "left", "Pass one number."))
    p = in_range("n_features", n_features, 1, np.inf, "left", "Pass one width per view.")
    t = in_range("signal", signal, 0, np.inf, "left", "Pass squared singular values.")
    s = in_range("noise", noise, 0, np.inf, "neither", "Pass positive variances.")
    p, t, s = (np.atleast_1d(x) for x in broadcast(n_features=p, signal=t, noise=s))
    if p.ndim != 1:
        raise ValueError(f"n_features must hold one width a view, got shape {p.shape}.")
    w = _weights(weights, p, t, s)
    complement, eigenvalue = weighted_spike(n, p, w * t, w * s)
    return UnequalViews(
        1 - complement, accuracy_of(complement), complement < 1, float(eigenvalue), w
    )


def _weights(weights: str | ArrayLike, p: FloatArray, t: FloatArray, s: FloatArray) -> FloatArray:
    """Return the weights of the views, the largest 1."""
    if isinstance(weights, str):
        rules = {
            "optimal": t / (s * (p * s + t)),
            "inverse_variance": 1 / s,
            "unit": np.ones_like(s),
        }
        if weights not in rules:
            raise ValueError(
                f"weights must be one of {sorted(rules)} or an array, got {weights!r}."
            )
        w = rules[weights]
        w = w if w.any() else 1 / s
    else:
        w = in_range("weights", weights, 0, np.inf, "left", "Pass one weight a view.")
        if w.shape != s.shape or not w.any():
            raise ValueError(
                f"weights must hold {s.size} numbers, not all 0, got {weights!r}. Pass one a view."
            )
    return np.asarray(w / w.max())


def weighted_spike(
    n: float, widths: FloatArray, signals: FloatArray, noises: FloatArray
) -> tuple[float, float]:
    """Return one less the overlap of samples of concatenated blocks, and the eigenvalue."""
    scale = n * noises.max()
    low, high = np.log(1e-15), np.log1p(-1e-12)

    def parts(log_x: float) -> tuple[float, FloatArray]:
        g = -np.exp(log_x) / scale
        return g, 1 + n * noises * g

    def balance(log_x: float) -> float:
        g, share = parts(log_x)
        return float(1 + g * (signals / share).sum())

    def slope(log_x: float) -> float:
        g, share = parts(log_x)
        return float(1 - n * (widths * (noises * g / share) ** 2).sum())

    if balance(high) < 0 < balance(low):
        root = brentq(balance, low, high, xtol=1e-15, rtol=1e-14)
        g, share = parts(root)
        if slope(root) > 0:
            overlap = slope(root) / (-g * (signals / share**2).sum())
            return float(1 - overlap), float(-1 / g + (widths * noises / share).sum())
    edge = brentq(slope, low, high, xtol=1e-15)
    g, share = parts(edge)
    return 1.0, float(-1 / g + (widths * noises / share).sum())


def imbalanced(
    *, n_samples: ArrayLike, n_features: ArrayLike, snr: ArrayLike, prior: ArrayLike
) -> Imbalanced:
    r"""Return the cost of centring if the classes are of unequal size.

    Parameters
    ----------
    n_samples, n_features : array-like of int
        Sizes n and p.
    snr : array-like
        :math:`|\mu|^2/v`: half the distance of the means, squared, over the noise variance.
    prior : array-like
        Share :math:`\pi` of one class, between 0 and 1.

    Returns
    -------
    Imbalanced
        Overlap and accuracies, broadcast.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Centred features keep the signal :math:`4\pi(1-\pi)n|\mu|^2`. With
    :math:`A = \sqrt{q_x\,\mathrm{snr}}`, scores lie about :math:`2(1-\pi)A` and :math:`-2\pi A`
    with unit noise, so that the threshold 0 gives
    :math:`\pi\Phi(2(1-\pi)A) + (1-\pi)\Phi(2\pi A)`, the midpoint :math:`\Phi(A)`, and the best,
    with :math:`L = \log(\pi/(1-\pi))`, :math:`\pi\Phi(A+L/2A) + (1-\pi)\Phi(A-L/2A)`. Where nothing
    is detected the last is the share of the larger class.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import imbalanced
    >>> result = imbalanced(n_samples=600, n_features=300, snr=3.24, prior=0.3)
    >>> round(result.feature_overlap, 4), round(result.accuracy, 4)
    (0.7878, 0.878)
    """
    n = in_range("n_samples", n_samples, 1, np.inf, "left", "Pass a size.")
    p = in_range("n_features", n_features, 1, np.inf, "left", "Pass a size.")
    ratio = in_range("snr", snr, 0, np.inf, "left", "Pass a finite ratio of 0 or more.")
    share = in_range("prior", prior, 0, 1, "neither", "Pass the share of a class.")
    n, p, ratio, share = broadcast(n_samples=n, n_features=p, snr=ratio, prior=share)
    spike = matrix_spike(4 * share * (1 - share) * n * ratio, 1.0, n, p)
    overlap = np.asarray(spike.feature_overlap)
    distance = np.sqrt(overlap * ratio)
    at_zero = share * ndtr(2 * (1 - share) * distance) + (1 - share) * ndtr(2 * share * distance)
    odds = np.log(share / (1 - share))
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = np.where(distance > 0, odds / (2 * distance), np.inf * np.sign(odds))
    offset = np.where(odds == 0, 0.0, offset)
    best = share * ndtr(distance + offset) + (1 - share) * ndtr(distance - offset)
    return Imbalanced(
        unwrap(overlap), unwrap(at_zero), unwrap(ndtr(distance)), unwrap(best), _as_bool(overlap)
    )


def _as_bool(overlap: FloatArray) -> bool | FloatArray:
    """Return whether there is an overlap, a bool for a number."""
    return bool(overlap > 0) if overlap.ndim == 0 else np.asarray(overlap > 0)


def missing_views(
    mask: ArrayLike,
    *,
    n_features: int,
    signal: float,
    noise: ArrayLike,
    within: float = 0.0,
    weights: Literal["optimal", "inverse_variance", "unit"] = "optimal",
) -> MissingViews:
    r"""Return the limits for samples of which some views are missing.

    Parameters
    ----------
    mask : array-like of bool of shape (n_samples, n_views)
        Which views are there, at least one a sample.
    n_features : int
        Number p of features.
    signal : float
        :math:`|\mu|^2`, half the distance of the means, squared.
    noise : array-like of shape (n_views,)
        :math:`\sigma_k^2/h_k^2`, noise variances of the views over their squared strengths.
    within : float, default=0.0
        :math:`\sigma_z^2`, variance of the within-class noise that the views share.
    weights : {"optimal", "inverse_variance", "unit"}, default="optimal"
        Weights of the samples in the covariance matrix.

    Returns
    -------
    MissingViews
        Overlap and accuracies.

    Raises
    ------
    ValueError
        If a sample has no view or an argument is outside its range.

    Notes
    -----
    The best combination of the views of sample i has the noise variance
    :math:`v_i = \sigma_z^2 + 1/P_i`, :math:`P_i` the sum of the inverse noise variances of its
    views. Samples are weighted by :math:`|\mu|^2/(v_i(v_i+|\mu|^2))`; `unequal_views` with samples
    as blocks of width one tells the overlap of the direction; sample i reaches
    :math:`\Phi(\sqrt{q_x|\mu|^2/v_i})`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.nested_tensor import missing_views
    >>> mask = np.arange(1500).reshape(500, 3) % 4 > 0
    >>> result = missing_views(mask, n_features=300, signal=2.25, noise=[1, 2, 4], within=0.5)
    >>> round(result.accuracy, 3)
    0.845
    """
    present = np.asarray(mask, dtype=bool)
    variances = in_range("noise", noise, 0, np.inf, "neither", "Pass positive variances.")
    if present.ndim != 2 or variances.shape != present.shape[1:]:
        raise ValueError(
            f"mask must have shape (n_samples, n_views) with one entry of noise a view, got "
            f"{present.shape} and {variances.shape}."
        )
    if not present.any(axis=1).all():
        raise ValueError(
            f"mask leaves sample {int(np.argmin(present.any(axis=1)))} without a view. Drop it."
        )
    p, rho, shared = check_size("n_features", n_features), strength("signal", signal), within
    v = strength("within", shared) + 1 / (present @ (1 / variances))
    rules = {"optimal": rho / (v * (v + rho)), "inverse_variance": 1 / v, "unit": np.ones_like(v)}
    if weights not in rules:
        raise ValueError(f"weights must be one of {sorted(rules)}, got {weights!r}.")
    omega = rules[weights] if rho else rules["inverse_variance"]
    omega = omega / omega.max()
    complement, _ = weighted_spike(p, np.ones_like(v), omega * rho, omega * v)
    accuracies = ndtr(np.sqrt((1 - complement) * rho / v))
    return MissingViews(1 - complement, float(accuracies.mean()), accuracies, complement < 1)
