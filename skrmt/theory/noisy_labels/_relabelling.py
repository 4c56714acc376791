"""State evolution of ridge fits whose targets are the posterior means of earlier fits."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, Pair, broadcast, in_range
from ._bayes import label_channel
from ._decision import best_threshold, binary_accuracy
from ._lpc import check_alpha, scaled_moments


class RelabellingPath(NamedTuple):
    """Accuracy round by round.

    Attributes
    ----------
    accuracy : ndarray of shape (..., n_relabel + 1)
        Clean accuracy, at the best threshold, of the fit to the noisy labels and after each round;
        nan after rounds at a finite `alpha`.
    overlap : ndarray of shape (..., n_relabel + 1)
        Squared half-distance of the mean scores over their variance within classes, or nan.
    """

    accuracy: FloatArray
    overlap: FloatArray


def relabelling_path(
    aspect_ratio: ArrayLike,
    alpha: ArrayLike,
    mean_norm: ArrayLike,
    prior: ArrayLike,
    noise_rates: Pair,
    *,
    n_relabel: int = 2,
    fit_intercept: bool = True,
    cleaned_fraction: ArrayLike = 0.0,
) -> RelabellingPath:
    r"""Return the accuracy of a ridge fit to noisy labels, and after rounds at `alpha = inf`.

    Rounds after the fit to the labels are known at `alpha = inf` only, and nan elsewhere. All array
    arguments broadcast against one another. The cost is 3600 `tanh` a point and round.

    Parameters
    ----------
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.
    alpha : array-like
        Penalty per sample of every round, in units of the noise variance, `inf` included.
    mean_norm : array-like
        :math:`\|\mu\|`, half the distance of the class means in noise standard deviations.
    prior : array-like
        Probability :math:`\pi_+` of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple of two array-likes, or an
        ndarray of shape (..., 2). Each in [0, 1), with sum below 1.
    n_relabel : int, default=2
        Rounds in which the targets are :math:`E[y \mid \text{score}, \text{label}]`, scores and
        coefficients being freed of their memory of the round before.
    fit_intercept : bool, default=True
        Whether an intercept is fitted; without, the centre of the classes must be 0.
    cleaned_fraction : array-like, default=0.0
        Share of the rows, drawn at random, whose labels have been put right and are known to be.

    Returns
    -------
    accuracy : ndarray of shape (..., n_relabel + 1)
        Clean accuracy, at the best threshold, of the fit to the noisy labels and after each round;
        nan after rounds at a finite `alpha`.
    overlap : ndarray of shape (..., n_relabel + 1)
        Squared half-distance of the mean scores over their variance within classes, or nan.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    amp_path : The same at `alpha = inf` with the optimal scale, round after round.
    bayes_accuracy : What no number of rounds can exceed.

    Notes
    -----
    The accuracy of a ridge fit depends on its targets only through their label quality. For
    posterior means t, :math:`E[yt] = E[t^2] = M(q)` with q the overlap of the scores that were
    used (0 for the first fit, which sees labels alone) and M the function of `bayes_accuracy`. The
    correlation of targets and classes is then :math:`\varphi^2 = (M(q)-b^2)/(1-b^2)`,
    :math:`b = 2\pi_+-1`, and the next overlap is :math:`m^2/v` of `lpc` with
    :math:`\|\mu\|^2 \to 4\pi_+\pi_-\|\mu\|^2`, :math:`s \to \varphi`, :math:`T_2 \to 1`, divided
    by :math:`4\pi_+\pi_-` (without intercept, with :math:`s^2 \to M(q)` and no such factor).

    The first fit is exact in the limit. A refit to targets that were made from earlier scores keeps
    a part of the earlier coefficients, so that its scores are not those of fresh targets. At
    `alpha = inf` that part is a multiple of them, the mean slope of the targets: the rounds are
    exact if it is subtracted, which is message passing, and a plain refit is at most 0.01 less
    accurate. At a finite `alpha` it is an unknown function of the data, with which the recursion
    errs by 0.11 at :math:`\eta = 0.2`, `alpha = 0.02`: these rounds are nan.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088; state evolution as in
    arXiv:2403.17767. Derived for skrmt.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.theory.noisy_labels import relabelling_path
    >>> relabelling_path(0.5, 10.0, 1.5, 0.5, (0.2, 0.3)).accuracy.round(4)
    array([0.8456,    nan,    nan])
    >>> relabelling_path(0.5, np.inf, 1.5, 0.5, (0.2, 0.3)).accuracy.round(4)
    array([0.863 , 0.9036, 0.9068])
    """
    if n_relabel < 0 or n_relabel != int(n_relabel):
        raise ValueError(f"n_relabel={n_relabel!r} must be a number of rounds: 0, 1, 2, ...")
    channel = label_channel(aspect_ratio, mean_norm, prior, noise_rates, 1.0)
    pi, gamma, cleaned, eta, signal = broadcast(
        prior=np.asarray(prior, dtype=float),
        alpha=check_alpha(alpha),
        cleaned_fraction=in_range(
            "cleaned_fraction", cleaned_fraction, 0.0, 1.0, "both", "It is a fraction of rows."
        ),
        aspect_ratio=channel.eta,
        mean_norm=channel.signal,
    )
    product = 4 * pi * (1 - pi) if fit_intercept else np.ones_like(pi)
    overlap = np.zeros(np.broadcast_shapes(pi.shape, channel.eta.shape))
    overlaps = []
    for _ in range(int(n_relabel) + 1):
        known = cleaned + (1 - cleaned) * channel.information(overlap)
        quality = np.clip((known - (1 - product)) / product, 0.0, 1.0)
        mean, variance = scaled_moments(eta, gamma, product * signal, np.sqrt(quality), 1 - quality)
        with np.errstate(divide="ignore", invalid="ignore"):
            overlap = np.where(mean > 0, mean**2 / variance / product, 0.0)
        overlaps.append(overlap)
    path = np.stack(overlaps, axis=-1)
    accuracy = _accuracy(path, pi[..., None])
    for unknown in (accuracy, path):
        unknown[..., 1:][np.isfinite(np.broadcast_to(gamma, path.shape[:-1]))] = np.nan
    return RelabellingPath(accuracy, path)


def _accuracy(overlap: FloatArray, prior: FloatArray) -> FloatArray:
    """Return the accuracy of the best threshold on scores N(+-q, q)."""
    scale = np.where(overlap > 0, overlap, 1.0)
    means, variances = (-scale, scale), (scale, scale)
    threshold = best_threshold(means, variances, prior)
    hit = binary_accuracy(means, variances, prior, threshold)
    return np.where(overlap > 0, hit, np.maximum(prior, 1 - prior))
