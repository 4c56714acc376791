"""Isotropic real and synthetic rows: scalar and closed forms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, broadcast, finite_floats, in_range, unwrap
from ._proportional import MixResult, proportional_mix

RATE = "It is a probability."
ROWS = "It is a number of rows."


class Pruning(NamedTuple):
    """What a verifier leaves.

    Attributes
    ----------
    kept : ndarray
        Share of rows kept.
    contrast : ndarray
        ``1 - 2 eps`` with eps the share of wrong labels among them; 0 where none is kept.
    """

    kept: FloatArray
    contrast: FloatArray


def pruning(noise_rate: FloatArray, correct: FloatArray, wrong: FloatArray) -> Pruning:
    """Return the share kept, ``phi (1 - eps) + rho eps``, and the contrast of the rest."""
    right, bad = correct * (1.0 - noise_rate), wrong * noise_rate
    kept = right + bad
    contrast = np.divide(right - bad, kept, out=np.zeros_like(kept), where=kept > 0)
    return Pruning(kept, contrast)


def isotropic_mix(
    n_real: ArrayLike,
    n_synthetic: ArrayLike,
    n_features: ArrayLike,
    mean_norm: ArrayLike,
    *,
    alpha: ArrayLike,
    noise_rate: ArrayLike = 0.0,
    keep_correct: ArrayLike = 1.0,
    keep_incorrect: ArrayLike = 1.0,
    weight: ArrayLike = 1.0,
    mean_scale: ArrayLike = 1.0,
    mean_orthogonal: ArrayLike = 0.0,
    synthetic_variance: ArrayLike = 1.0,
) -> MixResult:
    r"""Return the law of a ridge on real and pruned synthetic rows of isotropic classes.

    Parameters
    ----------
    n_real, n_synthetic : float or array-like
        Real rows, and synthetic ones before pruning.
    n_features : float or array-like
        Number of features, p.
    mean_norm : float or array-like
        Norm of the real mean, in standard deviations of a real feature.
    alpha : float or array-like
        Penalty per row of ``N = n_real + n_synthetic``. At ``np.inf`` mean and variance are those
        of the limit of alpha times the score; 0 where more rows are kept than features.
    noise_rate : float or array-like, default=0.0
        Share of wrong synthetic labels before pruning.
    keep_correct, keep_incorrect : float or array-like, default=1.0
        Probability that the verifier keeps a right label, and a wrong one.
    weight : float or array-like, default=1.0
        Loss weight of a synthetic row.
    mean_scale : float or array-like, default=1.0
        Component of the synthetic mean along the real one, over the norm of the latter.
    mean_orthogonal : float or array-like, default=0.0
        Norm of the rest of the synthetic mean.
    synthetic_variance : float or array-like, default=1.0
        Variance of a synthetic feature within classes.

    Returns
    -------
    MixResult
        Mean and variance of the score of a fresh point of the positive class, and the accuracy;
        of the shape to which the arguments broadcast.

    Raises
    ------
    ValueError
        If an argument is outside its range, or no row is left.

    See Also
    --------
    mixture_ridge : Any covariances and any number of groups.
    synthetic_only_accuracy : Closed form without real rows.

    Notes
    -----
    The general theorem with :math:`C_r = I`, :math:`C_s = \sigma^2 I` and
    :math:`\mu_s = \beta\mu + v`: one scalar fixed point, and 2 x 2 systems.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import isotropic_mix
    >>> law = isotropic_mix(300, 600, 200, 1.0, alpha=1.0, noise_rate=0.2, keep_correct=0.9,
    ...                     keep_incorrect=0.2)
    >>> round(law.mean, 5), round(law.variance, 5), round(law.accuracy, 5)
    (0.28022, 0.11056, 0.80032)
    """
    arguments = broadcast(
        n_real=in_range("n_real", n_real, 0.0, np.inf, "left", ROWS),
        n_synthetic=in_range("n_synthetic", n_synthetic, 0.0, np.inf, "left", ROWS),
        n_features=in_range("n_features", n_features, 0.0, np.inf, "neither", "A number."),
        mean_norm=in_range("mean_norm", mean_norm, 0.0, np.inf, "left", "It is a norm."),
        alpha=in_range("alpha", alpha, 0.0, np.inf, "both", "It is a ridge penalty."),
        noise_rate=in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
        weight=in_range("weight", weight, 0.0, np.inf, "left", "It is a loss weight."),
        mean_scale=finite_floats("mean_scale", mean_scale, "It is a ratio of means."),
        mean_orthogonal=in_range("mean_orthogonal", mean_orthogonal, 0.0, np.inf, "left", "Norm."),
        synthetic_variance=in_range(
            "synthetic_variance", synthetic_variance, 0.0, np.inf, "left", "It is a variance."
        ),
    )
    shape = arguments[0].shape
    flat = [np.asarray(array, dtype=float).ravel() for array in arguments]
    return MixResult(*(unwrap(part.reshape(shape)) for part in _isotropic(*flat)))


def _isotropic(
    n_real: FloatArray,
    n_synthetic: FloatArray,
    n_features: FloatArray,
    norm: FloatArray,
    alpha: FloatArray,
    noise: FloatArray,
    correct: FloatArray,
    wrong: FloatArray,
    weight: FloatArray,
    scale: FloatArray,
    orthogonal: FloatArray,
    variance: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, variance and accuracy of cells on one axis."""
    kept, contrast = pruning(noise, correct, wrong)
    used = np.stack([n_real, kept * n_synthetic], axis=-1)
    omega = np.stack([np.ones_like(weight), weight], axis=-1)
    _check_rows(used * (omega > 0), n_features, alpha)
    total = n_real + n_synthetic
    if (total == 0).any():
        raise ValueError("n_real and n_synthetic are both 0: give one row at least.")
    theta = np.stack([np.ones_like(contrast), contrast], axis=-1)
    sigma = np.stack([np.ones_like(variance), variance], axis=-1)
    along = np.stack([norm, scale * norm], axis=-1)
    across = np.stack([np.zeros_like(orthogonal), orthogonal], axis=-1)
    cells = (used, omega, alpha, total, n_features, sigma, along, across, theta)
    limit = np.isinf(alpha)
    law = np.zeros((3, len(alpha)))
    for rule, rows in ((_averaging, limit), (_ridge, ~limit)):
        if rows.any():
            law[:, rows] = rule(*(cell[rows] for cell in cells))
    return law[0], law[1], law[2]


def _check_rows(used: FloatArray, n_features: FloatArray, alpha: FloatArray) -> None:
    """Raise where alpha = 0 meets too few rows, or where there is no row given."""
    short = (alpha == 0) & (used.sum(-1) <= n_features)
    if short.any():
        where = int(np.flatnonzero(short)[0])
        raise ValueError(
            "alpha must be positive unless more rows are kept than features, got 0 with "
            f"{used[where].sum():g} rows and {n_features[where]:g} features."
        )


def _ridge(
    used: FloatArray,
    omega: FloatArray,
    alpha: FloatArray,
    total: FloatArray,
    n_features: FloatArray,
    sigma: FloatArray,
    along: FloatArray,
    across: FloatArray,
    theta: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the law at finite penalties, features as the multiplicity of one bin."""
    mean, variance = np.zeros(len(alpha)), np.zeros(len(alpha))
    accuracy = np.full(len(alpha), 0.5)
    empty = (used * (omega > 0)).sum(-1) == 0
    for cell in np.flatnonzero(~empty):
        gram = np.outer(along[cell], along[cell]) + np.outer(across[cell], across[cell])
        law = proportional_mix(
            used[cell],
            omega[cell],
            alpha[cell],
            total[cell],
            np.ones(1),
            n_features[cell : cell + 1],
            sigma[cell],
            gram[None],
            theta[cell],
        )
        mean[cell], variance[cell], accuracy[cell] = law
    return mean, variance, accuracy


def _averaging(
    used: FloatArray,
    omega: FloatArray,
    alpha: FloatArray,
    total: FloatArray,
    n_features: FloatArray,
    sigma: FloatArray,
    along: FloatArray,
    across: FloatArray,
    theta: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the law of the limit, in which the classifier is a weighted mean."""
    share = used / total[:, None] * omega
    first, second = (share * theta * along).sum(-1), (share * theta * across).sum(-1)
    noise = (share * omega * sigma).sum(-1) * n_features / total
    mean, variance = first * along[:, 0], first**2 + second**2 + noise
    ratio = np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 0)
    return mean, variance, ndtr(ratio)


def synthetic_only_accuracy(
    n_synthetic: ArrayLike,
    n_features: ArrayLike,
    mean_norm: ArrayLike,
    *,
    alpha: ArrayLike,
    noise_rate: ArrayLike = 0.0,
    keep_correct: ArrayLike = 1.0,
    keep_incorrect: ArrayLike = 1.0,
) -> FloatOrArray:
    r"""Return the accuracy of a ridge on synthetic rows alone, in closed form.

    Parameters
    ----------
    n_synthetic : float or array-like
        Rows before pruning, the unit of the penalty.
    n_features : float or array-like
        Number of features, p.
    mean_norm : float or array-like
        Norm of the mean, the right one.
    alpha : float or array-like
        Penalty per row, positive; ``np.inf`` allowed.
    noise_rate, keep_correct, keep_incorrect : float or array-like
        As in `isotropic_mix`.

    Returns
    -------
    float or ndarray
        Accuracy on fresh real points; 1/2 where no row is kept.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    With :math:`\eta = p/(a m)`, a the share kept, :math:`g = \gamma/a`,
    :math:`\kappa = 1/(1+\delta)`, :math:`q = \eta\kappa^2/(g+\kappa)^2` and
    :math:`x = \kappa|\mu|^2/(g + \kappa + \kappa|\mu|^2)`,

    .. math::

        m_1 = \theta x,\qquad
        V = \frac{\theta^2x^2}{|\mu|^2} + \frac{q}{1-q}
            \Big(1 - \theta^2\big(2x - x^2 - x^2/|\mu|^2\big)\Big).

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import synthetic_only_accuracy
    >>> round(synthetic_only_accuracy(1000, 100, 1.0, alpha=1.0, noise_rate=0.4,
    ...                               keep_correct=0.8, keep_incorrect=0.3), 4)
    0.7749
    """
    m, p, norm, gamma, noise, correct, wrong = broadcast(
        n_synthetic=in_range("n_synthetic", n_synthetic, 0.0, np.inf, "neither", ROWS),
        n_features=in_range("n_features", n_features, 0.0, np.inf, "neither", "A number."),
        mean_norm=in_range("mean_norm", mean_norm, 0.0, np.inf, "left", "It is a norm."),
        alpha=in_range("alpha", alpha, 0.0, np.inf, "right", "It is a ridge penalty."),
        noise_rate=in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
    )
    kept, theta = pruning(noise, correct, wrong)
    share = np.where(kept > 0, kept, 1.0)
    eta = p / (share * m)
    slope, noise_level, level = shrinkage(eta, gamma / share, norm)
    x_over_norm, q = slope / level, (noise_level / level) ** 2
    x = x_over_norm * norm
    # Mean and variance of the score times the level, which neither vanish nor overflow.
    mean = theta * norm * slope
    variance = (theta * slope) ** 2 + noise_level**2 / (1.0 - q) * (
        1.0 - theta**2 * (2.0 * x - x**2 - x_over_norm**2)
    )
    return unwrap(np.where(kept > 0, ndtr(mean / np.sqrt(variance)), 0.5))


def shrinkage(
    eta: FloatArray, g: FloatArray, norm: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return ``x / |mu|`` and the root of q, both times a level, and the level ``g + kappa``."""
    finite = np.isfinite(g)
    g = np.where(finite, g, 1.0)
    b = 1.0 + g - eta
    # The two forms of the root, without cancellation or squares.
    root = np.hypot(b, 2.0 * np.sqrt(g) * np.sqrt(eta))
    delta = np.where(b > 0, eta / (b / 2.0 + root / 2.0), (root - b) / (2.0 * g))
    kappa = np.where(finite, 1.0 / (1.0 + delta), 1.0)
    level = np.where(finite, g + kappa, np.inf)
    return kappa * norm / (1.0 + kappa * norm**2 / level), np.sqrt(eta) * kappa, level


def critical_noise_rate(keep_correct: ArrayLike, keep_incorrect: ArrayLike) -> FloatOrArray:
    r"""Return the label noise above which synthetic rows alone mislead.

    Parameters
    ----------
    keep_correct, keep_incorrect : float or array-like
        Probability that the verifier keeps a right label, and a wrong one.

    Returns
    -------
    float or ndarray
        :math:`\varepsilon^* = \phi/(\phi+\rho)`; nan where both are 0.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import critical_noise_rate
    >>> round(critical_noise_rate(0.8, 0.3), 6)
    0.727273
    """
    correct, wrong = broadcast(
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
    )
    total = correct + wrong
    return unwrap(np.divide(correct, total, out=np.full(total.shape, np.nan), where=total > 0))


def transition_slope(
    ratio: ArrayLike,
    mean_norm: ArrayLike,
    *,
    alpha: ArrayLike,
    keep_correct: ArrayLike = 1.0,
    keep_incorrect: ArrayLike = 1.0,
) -> FloatOrArray:
    r"""Return the slope of the accuracy in the label noise at its critical value.

    Parameters
    ----------
    ratio : float or array-like
        Features per synthetic row before pruning, p/m.
    mean_norm : float or array-like
        Norm of the mean.
    alpha : float or array-like
        Penalty per synthetic row before pruning, finite.
    keep_correct, keep_incorrect : float or array-like, default=1.0
        Probability that the verifier keeps a right label, and a wrong one, positive.

    Returns
    -------
    float or ndarray
        The slope, negative; it grows like ``(p/m)^(-1/2)``: the jump of infinite samples.

    Notes
    -----
    .. math::

        -\frac{(\phi+\rho)^2}{2\phi\rho}\, x\, \sqrt{\frac{1-q}{q}}\, \frac{1}{\sqrt{2\pi}},

    x and q of `synthetic_only_accuracy` at the share kept there,
    :math:`2\phi\rho/(\phi+\rho)`.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import transition_slope
    >>> round(transition_slope(0.1, 1.0, alpha=1.0, keep_correct=0.8, keep_incorrect=0.3), 5)
    -1.61344
    """
    eta, norm, gamma, correct, wrong = broadcast(
        ratio=in_range("ratio", ratio, 0.0, np.inf, "neither", "It is p/m."),
        mean_norm=in_range("mean_norm", mean_norm, 0.0, np.inf, "left", "It is a norm."),
        alpha=in_range("alpha", alpha, 0.0, np.inf, "neither", "It is a ridge penalty."),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "right", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "right", RATE),
    )
    kept = 2.0 * correct * wrong / (correct + wrong)
    slope, noise_level, level = shrinkage(eta / kept, gamma / kept, norm)
    steepness = (correct + wrong) ** 2 / (2.0 * correct * wrong)
    ratio = slope / noise_level * np.sqrt(1.0 - (noise_level / level) ** 2)
    return unwrap(-steepness * norm * ratio / np.sqrt(2.0 * np.pi))


def infinite_sample_accuracy(
    noise_rate: ArrayLike,
    mean_norm: ArrayLike,
    keep_correct: ArrayLike = 1.0,
    keep_incorrect: ArrayLike = 1.0,
) -> FloatOrArray:
    r"""Return the accuracy that infinitely many synthetic rows alone give.

    Parameters
    ----------
    noise_rate : float or array-like
        Share of wrong labels before pruning.
    mean_norm : float or array-like
        Norm of the mean.
    keep_correct, keep_incorrect : float or array-like, default=1.0
        Probability that the verifier keeps a right label, and a wrong one.

    Returns
    -------
    float or ndarray
        :math:`\Phi(|\mu|)` below the critical label noise, 1/2 at it, :math:`\Phi(-|\mu|)` above.

    References
    ----------
    "Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification",
    arXiv:2406.07515.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import infinite_sample_accuracy
    >>> infinite_sample_accuracy([0.4, 0.6], 1.0).round(4)
    array([0.8413, 0.1587])
    """
    noise, norm, correct, wrong = broadcast(
        noise_rate=in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE),
        mean_norm=in_range("mean_norm", mean_norm, 0.0, np.inf, "left", "It is a norm."),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
    )
    margin = correct * (1.0 - noise) - wrong * noise
    level = np.where(np.abs(margin) < 1e-15, 0.0, np.sign(margin))
    return unwrap(ndtr(level * norm))
