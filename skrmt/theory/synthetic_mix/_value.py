"""What synthetic rows and verifiers are worth, and the law of rows above a threshold."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, ndtr

from .._checks import FloatArray, FloatOrArray, broadcast, finite_floats, in_range, unwrap
from ._isotropic import RATE, ROWS, pruning


class AveragingWeights(NamedTuple):
    """Best weights of a classifier that averages groups.

    Attributes
    ----------
    weights : ndarray of shape (G,)
        Weight of a row of each group, that of the first useful one being 1; 0 where rows of the
        group teach nothing, negative where they are worse than chance.
    snr : float
        ``mean / sqrt(variance)`` of the score.
    accuracy : float
        ``Phi(snr)``.
    """

    weights: FloatArray
    snr: float
    accuracy: float


class PrunedMoments(NamedTuple):
    """Moments of the rows that a threshold on a linear score leaves.

    Attributes
    ----------
    keep_rate, keep_correct, keep_incorrect : float
        Share kept of all rows, of those with a right label, of those with a wrong one.
    cross_moment : ndarray of shape (p,)
        E[t x] of the rows kept.
    second_moment : ndarray of shape (p, p)
        E[x x^T] of the rows kept.
    """

    keep_rate: float
    keep_correct: float
    keep_incorrect: float
    cross_moment: FloatArray
    second_moment: FloatArray


def verifier_value(
    noise_rate: ArrayLike, keep_correct: ArrayLike, keep_incorrect: ArrayLike
) -> FloatOrArray:
    r"""Return how many real rows a generated row is worth behind a verifier.

    Parameters
    ----------
    noise_rate : float or array-like
        Share of wrong labels before pruning.
    keep_correct, keep_incorrect : float or array-like
        Probability that the verifier keeps a right label, and a wrong one.

    Returns
    -------
    float or ndarray
        :math:`\lambda^2/a` with :math:`a = \phi(1-\varepsilon) + \rho\varepsilon` and
        :math:`\lambda = \phi(1-\varepsilon) - \rho\varepsilon`: the value of a row before pruning,
        at the best weight, for a right mean and isotropic classes. Pruning pays where it exceeds
        :math:`(1-2\varepsilon)^2`, the value without a verifier; random pruning never does.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import verifier_value
    >>> round(verifier_value(0.2, 1, 0), 3), round(verifier_value(0.2, 1, 1), 3)
    (0.8, 0.36)
    """
    noise, correct, wrong = broadcast(
        noise_rate=in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
    )
    kept, contrast = pruning(noise, correct, wrong)
    return unwrap(kept * contrast**2)


def break_even_size(
    n_real: ArrayLike,
    noise_rate: ArrayLike,
    keep_correct: ArrayLike = 1.0,
    keep_incorrect: ArrayLike = 1.0,
) -> FloatOrArray:
    r"""Return how many kept synthetic rows of weight 1 it takes not to harm.

    Parameters
    ----------
    n_real : float or array-like
        Real rows.
    noise_rate, keep_correct, keep_incorrect : float or array-like
        As in `verifier_value`.

    Returns
    -------
    float or ndarray
        :math:`n(1-2\theta)/\theta^2`: 0 where the first row helps (less than a quarter of the
        kept labels wrong), infinity where none ever does (half or more).

    Notes
    -----
    For the averaging classifier, the best one for isotropic classes: n real rows and m kept
    synthetic rows of weight 1 are worth ``(n + theta m)^2 / (n + m)`` real ones.

    Examples
    --------
    >>> from skrmt.theory.synthetic_mix import break_even_size
    >>> break_even_size(300, [0.2, 0.3, 0.4, 0.5]).round(6)
    array([   0.,  375., 4500.,   inf])
    """
    size, noise, correct, wrong = broadcast(
        n_real=in_range("n_real", n_real, 0.0, np.inf, "left", ROWS),
        noise_rate=in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE),
        keep_correct=in_range("keep_correct", keep_correct, 0.0, 1.0, "both", RATE),
        keep_incorrect=in_range("keep_incorrect", keep_incorrect, 0.0, 1.0, "both", RATE),
    )
    theta = pruning(noise, correct, wrong).contrast
    positive = theta > 1e-15
    size_needed = np.divide(
        size * np.maximum(1.0 - 2.0 * theta, 0.0),
        theta**2,
        out=np.full(theta.shape, np.inf),
        where=positive,
    )
    return unwrap(size_needed)


def optimal_averaging_weights(
    n_samples: ArrayLike,
    means: ArrayLike,
    noise_rates: ArrayLike,
    mean: ArrayLike,
    covariances: ArrayLike | list[Any] = 1.0,
    covariance: ArrayLike = 1.0,
) -> AveragingWeights:
    r"""Return the best weights of a classifier that averages groups of labelled rows.

    Parameters
    ----------
    n_samples : array-like of shape (G,)
        Rows of each group, positive.
    means : array-like of shape (G, p)
        Mean of the rows of each group times their true class.
    noise_rates : array-like of shape (G,)
        Share of wrong labels in each.
    mean : array-like of shape (p,)
        Mean of the test points times their class.
    covariances : float, array-like of shape (G,), or list of G covariances, default=1.0
        Covariance of each group: a variance, a diagonal (p,) or a matrix (p, p).
    covariance : float or array-like of shape (p,) or (p, p), default=1.0
        Covariance of the test points.

    Returns
    -------
    AveragingWeights
        Weights relative to the first group of use, ratio and accuracy; all weights are 0 and the
        accuracy is 1/2 where no group is.

    Raises
    ------
    ValueError
        If a shape or a range is wrong, or rows of a group have a mean but no variance.

    Notes
    -----
    The limit of an infinite penalty, which is the best one for isotropic classes:
    ``w = sum_k omega_k sum_i t_i x_i``. With :math:`u_k = n_k\omega_k`,
    :math:`b_k = \theta_k\mu_k^\top\mu` and
    :math:`B_{kl} = \theta_k\theta_l\mu_k^\top C\mu_l + 1[k=l]\,\mathrm{tr}(CC_k)/n_k`, the squared
    ratio :math:`(u^\top b)^2/u^\top B\,u` is largest at :math:`u = B^{-1}b`. For right means the
    best weight is :math:`\theta`, and a row is worth :math:`\theta^2` real ones.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.synthetic_mix import optimal_averaging_weights
    >>> mean = np.eye(200)[0]
    >>> best = optimal_averaging_weights([300, 600], [mean, mean], [0.0, 0.1], mean)
    >>> best.weights.round(6)
    array([1. , 0.8])
    """
    sizes = np.atleast_1d(in_range("n_samples", n_samples, 0.0, np.inf, "neither", ROWS))
    target = finite_floats("mean", mean, "Give one mean.")
    centres = np.atleast_2d(finite_floats("means", means, "Give one mean per group."))
    errors = np.atleast_1d(in_range("noise_rates", noise_rates, 0.0, 1.0, "both", RATE))
    if centres.shape != (len(sizes), len(target)) or errors.shape != sizes.shape:
        raise ValueError(
            f"n_samples, means and noise_rates have shapes {sizes.shape}, {centres.shape} and "
            f"{errors.shape}: give one entry per group, and means of {len(target)} features."
        )
    forms = _group_covariances(covariances, len(sizes))
    test = np.asarray(covariance, dtype=float)
    theta = 1.0 - 2.0 * errors
    scaled = theta[:, None] * centres
    energy = scaled @ _times(test, scaled.T)
    traces = [_trace_product(test, form, len(target)) for form in forms]
    system = energy + np.diag(np.array(traces) / sizes)
    signal = scaled @ target
    # A group whose scores are constant teaches nothing: it is set aside.
    used = np.flatnonzero(np.diag(system) > 0)
    silent = (signal != 0) & (np.diag(system) <= 0)
    if silent.any() or np.linalg.matrix_rank(system[np.ix_(used, used)]) < len(used):
        raise ValueError(
            "covariances leave a score without variance: its accuracy is 0 or 1 at any weight. "
            "Give positive variances along the means."
        )
    best = np.zeros(len(sizes))
    best[used] = np.linalg.solve(system[np.ix_(used, used)], signal[used])
    snr = float(np.sqrt(np.maximum(signal @ best, 0.0)))
    weights = best / sizes
    useful = np.flatnonzero(weights)
    relative = weights / weights[useful[0]] if len(useful) else weights
    return AveragingWeights(relative, snr, float(ndtr(snr)))


def _group_covariances(covariances: Any, n_groups: int) -> list[FloatArray]:
    """Return one covariance per group."""
    if isinstance(covariances, (list, tuple)) or np.ndim(covariances) > 0:
        if len(covariances) != n_groups:
            raise ValueError(
                f"covariances has {len(covariances)} entries for {n_groups} groups: give one each."
            )
        return [np.asarray(form, dtype=float) for form in covariances]
    return [np.asarray(covariances, dtype=float)] * n_groups


def _times(form: FloatArray, columns: FloatArray) -> FloatArray:
    """Multiply columns by a variance, a diagonal or a matrix."""
    if form.ndim == 2:
        return form @ columns
    return form * columns if form.ndim == 0 else form[:, None] * columns


def _trace_product(one: FloatArray, other: FloatArray, p: int) -> float:
    """Return the trace of the product of two covariances in any form."""
    if one.ndim == 2 and other.ndim == 2:
        return float(np.sum(one * other.T))
    first = np.diag(one) if one.ndim == 2 else np.broadcast_to(one, (p,))
    second = np.diag(other) if other.ndim == 2 else np.broadcast_to(other, (p,))
    return float(first @ second)


def pruned_gaussian_moments(
    mean: ArrayLike,
    covariance: ArrayLike,
    direction: ArrayLike,
    threshold: float,
    *,
    noise_rate: float = 0.0,
) -> PrunedMoments:
    r"""Return the moments of synthetic rows whose labelled score reaches a threshold.

    Parameters
    ----------
    mean : array-like of shape (p,)
        Mean of the rows times their true class.
    covariance : float or array-like of shape (p,) or (p, p)
        Covariance within classes.
    direction : array-like of shape (p,)
        The verifier, fitted to other rows.
    threshold : float
        Smallest score kept, label times the product of direction and row; ``-np.inf`` keeps every
        row.
    noise_rate : float, default=0.0
        Share of wrong labels before pruning.

    Returns
    -------
    PrunedMoments
        Rates and moments for a `MixtureGroup` of ``keep_rate * m`` rows.

    Raises
    ------
    ValueError
        If an argument is out of its domain.

    Notes
    -----
    Given the label's correctness z the score is Gaussian, and the rows above a threshold are a
    truncated Gaussian: with :math:`s^2 = v^\top Cv`, :math:`a_z = (\tau - z\,v^\top\mu)/s` and the
    hazard :math:`r_z = \varphi(a_z)/\Phi(-a_z)`, ``t x`` has mean :math:`z\mu + Cv\,r_z/s` and
    covariance :math:`C - Cv(Cv)^\top r_z(r_z - a_z)/s^2`.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.synthetic_mix import pruned_gaussian_moments
    >>> mean, verifier = 1.2 * np.eye(3)[0], np.array([0.8, 0.0, 0.6])
    >>> moments = pruned_gaussian_moments(mean, 1.0, verifier, 0.0, noise_rate=0.35)
    >>> round(moments.keep_rate, 5), round(moments.keep_correct, 5)
    (0.59944, 0.83147)
    """
    mu = finite_floats("mean", mean, "Give one mean.")
    v = finite_floats("direction", direction, "Give the verifier's coefficients.")
    if mu.ndim != 1 or v.shape != mu.shape:
        raise ValueError(f"mean and direction have shapes {mu.shape} and {v.shape}: give (p,).")
    form = finite_floats("covariance", covariance, "Give a variance, a diagonal or a matrix.")
    matrix = form if form.ndim == 2 else np.diag(np.broadcast_to(form, mu.shape))
    noise = float(in_range("noise_rate", noise_rate, 0.0, 1.0, "both", RATE))
    cut = float(in_range("threshold", threshold, -np.inf, np.inf, "left", "Give a number."))
    spread = matrix @ v
    variance = float(v @ spread)
    if not variance > 0:
        raise ValueError(
            f"direction has variance {variance:g} under covariance: give a verifier that is not 0, "
            "and a covariance that is positive."
        )
    deviation = variance**0.5
    rates, means, seconds = [], [], []
    for z in (1.0, -1.0):
        a = (cut - z * float(v @ mu)) / deviation
        hazard = float(np.exp(-0.5 * a**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(-a)))
        curve = hazard * (hazard - a) if np.isfinite(a) else 0.0
        centre = z * mu + spread / deviation * hazard
        covered = matrix - np.outer(spread, spread) / deviation**2 * curve
        rates.append(float(ndtr(-a)))
        means.append(centre)
        seconds.append(covered + np.outer(centre, centre))
    weights = np.array([(1.0 - noise) * rates[0], noise * rates[1]])
    total = float(weights.sum())
    shares = weights / total if total > 0 else np.zeros(2)
    return PrunedMoments(
        total,
        rates[0],
        rates[1],
        np.tensordot(shares, np.array(means), axes=1),
        np.tensordot(shares, np.array(seconds), axes=1),
    )
