"""The Bayes-optimal accuracy under noisy labels, and how message passing climbs to it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, Pair, as_floats, broadcast, in_range, unwrap
from ._labels import check_labels
from ._lpc import check_aspect_ratio, check_mean_norm

# The trapezoidal rule on this grid is exact to rounding: the integrand is analytic in a strip,
# and beyond overlaps of about 100, where the strip is too thin, it is 1 up to exp(-50).
_NODES = np.linspace(-9.0, 9.0, 601)
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.sum(np.exp(-(_NODES**2) / 2))
# A step below rounding ends the iteration; the cap only matters at a transition, where steps are
# small from the start.
_TOLERANCE = 1e-15
_MAX_ITER = 200


class BayesResult(NamedTuple):
    """The best that any method can do.

    Attributes
    ----------
    accuracy : float or ndarray
        Clean accuracy under the balanced rule (threshold 0).
    overlap : float or ndarray
        Squared norm q of the posterior mean of the class mean: the score of a fresh point of
        class y is N(y q, q).
    """

    accuracy: FloatOrArray
    overlap: FloatOrArray


class AMPPath(NamedTuple):
    """State evolution of approximate message passing.

    Attributes
    ----------
    accuracy : ndarray of shape (..., n_iter + 1)
        Clean accuracy under the balanced rule after 0, 1, ..., n_iter iterations.
    overlap : ndarray of shape (..., n_iter + 1)
        The overlaps q_0 = 0, q_1, ...
    """

    accuracy: FloatArray
    overlap: FloatArray


class LabelChannel(NamedTuple):
    """Joint law of the true label and of what is known about it, and the signal to reach."""

    weights: tuple[FloatArray, ...]
    signs: tuple[float, ...]
    log_odds: tuple[FloatArray, ...]
    eta: FloatArray
    signal: FloatArray

    def step(self, overlap: FloatArray) -> FloatArray:
        """Return the overlap after one more iteration."""
        known = self.information(overlap)
        return self.signal**2 * known / (self.eta + self.signal * known)

    def information(self, overlap: FloatArray) -> FloatArray:
        """Return E[E[y | noisy label, q y + sqrt(q) g]^2], between 0 and 1."""
        noise = np.sqrt(overlap)[..., None] * _NODES
        total = np.zeros_like(overlap)
        for weight, sign, odds in zip(self.weights, self.signs, self.log_odds, strict=True):
            field = odds[..., None] + sign * overlap[..., None] + noise
            total += weight * (np.tanh(field) ** 2 @ _WEIGHTS)
        return np.minimum(total, 1.0)


def label_channel(
    aspect_ratio: ArrayLike,
    mean_norm: ArrayLike,
    prior: ArrayLike,
    noise_rates: Pair,
    labelled_fraction: ArrayLike,
) -> LabelChannel:
    """Check the arguments and tabulate P(y, observed label) and half the log odds of y."""
    pi, negative, positive = check_labels(prior, noise_rates)
    eta, norm, pi, neg, pos, known = broadcast(
        aspect_ratio=check_aspect_ratio(aspect_ratio),
        mean_norm=check_mean_norm(mean_norm),
        prior=pi,
        rate_negative=negative,
        rate_positive=positive,
        labelled_fraction=in_range(
            "labelled_fraction", labelled_fraction, 0.0, 1.0, "both", "It is a fraction of rows."
        ),
    )
    cells = (
        (pi * (1 - pos), (1 - pi) * neg, known),
        (pi * pos, (1 - pi) * (1 - neg), known),
        (pi, 1 - pi, 1 - known),
    )
    weights, odds = [], []
    for plus, minus, share in cells:
        with np.errstate(divide="ignore"):
            # Clean labels have infinite odds; tanh is 1 to rounding long before 1e4.
            half = np.clip(0.5 * (np.log(plus) - np.log(minus)), -1e4, 1e4)
        weights += [share * plus, share * minus]
        odds += [half, half]
    return LabelChannel(tuple(weights), (1.0, -1.0) * 3, tuple(odds), eta, norm**2)


def bayes_accuracy(
    aspect_ratio: ArrayLike,
    mean_norm: ArrayLike,
    prior: ArrayLike,
    noise_rates: Pair,
    *,
    labelled_fraction: ArrayLike = 1.0,
) -> BayesResult:
    r"""Return the best accuracy that any method can reach from noisy labels.

    All arguments broadcast against one another; the cost is 3600 `tanh` per point and iteration.

    Parameters
    ----------
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.
    mean_norm : array-like
        Norm :math:`\|\mu\|` of the class means :math:`\pm\mu`, in noise standard deviations.
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple or list of two array-likes,
        or an ndarray of shape (..., 2). Each in [0, 1), with sum below 1.
    labelled_fraction : array-like, default=1.0
        Fraction of the rows that have a label at all. At 0 with equal classes the accuracy is up
        to a global sign, and 1/2 below :math:`\|\mu\|^4 = \eta`.

    Returns
    -------
    accuracy : float or ndarray
        :math:`\Phi(\sqrt q)`: accuracy under the balanced rule, the sign of the score of a fresh
        point. With unequal classes, the threshold :math:`-\tfrac12\log(\pi_+/\pi_-)` does better
        still: see the example.
    overlap : float or ndarray
        :math:`q`; the squared cosine of the estimated and the true direction is
        :math:`q/\|\mu\|^2`.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    amp_path : The accuracies on the way.
    lpc : What a ridge reaches.

    Notes
    -----
    q is the largest fixed point of

    .. math::

        q = \frac{\|\mu\|^4 M(q)}{\eta+\|\mu\|^2 M(q)}, \qquad
        M(q) = E\bigl[E[y\mid \tilde y, qy+\sqrt q g]^2\bigr],

    with g standard normal and :math:`\tilde y` the noisy label (absent from unlabelled rows).
    It is also the limit of `amp_path` wherever the fixed point is unique.

    References
    ----------
    arXiv:1907.03792 and arXiv:2403.17767, for labels without noise on part of the rows.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import bayes_accuracy, best_threshold, binary_accuracy
    >>> result = bayes_accuracy(1.0, 1.6, 0.7, (0.3, 0.4))
    >>> round(result.accuracy, 5), round(result.overlap, 5)
    (0.90345, 1.69387)
    >>> q = result.overlap
    >>> threshold = best_threshold((-q, q), (q, q), 0.7)
    >>> round(binary_accuracy((-q, q), (q, q), 0.7, threshold), 5)
    0.91433
    """
    channel = label_channel(aspect_ratio, mean_norm, prior, noise_rates, labelled_fraction)
    silent = (channel.signal**2 <= channel.eta) & (channel.information(0 * channel.eta) == 0)
    overlap = np.where(silent, 0.0, _largest_fixed_point(channel))
    return BayesResult(unwrap(ndtr(np.sqrt(overlap))), unwrap(overlap))


def _largest_fixed_point(channel: LabelChannel) -> FloatArray:
    """Iterate down from the overlap under clean labels, accelerated by Steffensen's method."""
    q = channel.signal**2 / (channel.eta + channel.signal)
    for _ in range(_MAX_ITER):
        first = channel.step(q)
        if np.all(np.abs(first - q) <= _TOLERANCE * (1 + q)):
            return first
        second = channel.step(first)
        curvature = second - 2 * first + q
        with np.errstate(divide="ignore", invalid="ignore"):
            jump = q - (first - q) ** 2 / curvature
        safe = np.isfinite(jump) & (jump >= 0) & (jump <= second) & (first < q)
        q = np.where(safe, jump, second)
    return q


def amp_path(
    aspect_ratio: ArrayLike,
    mean_norm: ArrayLike,
    prior: ArrayLike,
    noise_rates: Pair,
    n_iter: int = 15,
    *,
    labelled_fraction: ArrayLike = 1.0,
) -> AMPPath:
    r"""Return the accuracy of approximate message passing after each iteration.

    Parameters
    ----------
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.
    mean_norm : array-like
        Norm :math:`\|\mu\|` of the class means :math:`\pm\mu`, in noise standard deviations.
    prior : array-like
        Probability of the positive class, in (0, 1).
    noise_rates : pair of array-like
        `(P(observed + | true -), P(observed - | true +))`: a tuple or list of two array-likes,
        or an ndarray of shape (..., 2). Each in [0, 1), with sum below 1.
    n_iter : int, default=15
        Number of iterations.
    labelled_fraction : array-like, default=1.0
        Fraction of the rows that have a label at all.

    Returns
    -------
    accuracy : ndarray of shape (..., n_iter + 1)
        :math:`\Phi(\sqrt{q_k})` for k = 0, ..., n_iter, under the balanced rule.
    overlap : ndarray of shape (..., n_iter + 1)
        The overlaps :math:`q_k`.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    bayes_accuracy : The limit.

    Notes
    -----
    :math:`q_0 = 0` and :math:`q_{k+1} = \|\mu\|^4M(q_k)/(\eta+\|\mu\|^2M(q_k))` with M as in
    `bayes_accuracy`. :math:`M(0)` is the label quality :math:`r^{*2}`: the first step is the
    best ridge, `lpc` at the optimal shift and an infinite penalty.

    References
    ----------
    arXiv:1907.03792 and arXiv:2403.17767, for labels without noise on part of the rows.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import amp_path
    >>> amp_path(1.0, 1.6, 0.7, (0.3, 0.4), 3).accuracy.round(5)
    array([0.5    , 0.8328 , 0.89422, 0.90239])
    """
    steps = as_floats("n_iter", n_iter)
    if steps.ndim or steps < 0 or steps != np.floor(steps):
        raise ValueError(f"n_iter must be an integer, 0 or more, got {n_iter!r}. Give a count.")
    channel = label_channel(aspect_ratio, mean_norm, prior, noise_rates, labelled_fraction)
    path = [np.zeros_like(channel.eta)]
    for _ in range(int(steps)):
        path.append(channel.step(path[-1]))
    overlap = np.stack(path, axis=-1)
    return AMPPath(ndtr(np.sqrt(overlap)), overlap)


def signal_from_eigenvalue(eigenvalue: ArrayLike, aspect_ratio: ArrayLike) -> FloatOrArray:
    r"""Return the squared norm of the class means from the top eigenvalue of the data.

    Parameters
    ----------
    eigenvalue : array-like
        Top eigenvalue of :math:`X^\top X/n`, in units of the noise variance.
    aspect_ratio : array-like
        :math:`\eta = p/n`, positive.

    Returns
    -------
    float or ndarray
        :math:`\|\mu\|^2`; NaN where the eigenvalue is not above the edge
        :math:`(1+\sqrt\eta)^2` of the noise: the signal is then at most :math:`\sqrt\eta`, and
        the eigenvalue says no more.

    Raises
    ------
    ValueError
        If a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    Notes
    -----
    Inverse of :math:`\lambda = (1+\|\mu\|^2)(1+\eta/\|\mu\|^2)`, the larger root:

    .. math:: \|\mu\|^2 = \tfrac12\Bigl[\lambda-1-\eta+\sqrt{(\lambda-(1+\sqrt\eta)^2)
              (\lambda-(1-\sqrt\eta)^2)}\Bigr].

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import signal_from_eigenvalue
    >>> signal_from_eigenvalue([5.0 * 1.125, 2.0], 0.5)
    array([ 4., nan])
    """
    remedy = "It is the top eigenvalue of X.T @ X / n."
    value, eta = broadcast(
        eigenvalue=in_range("eigenvalue", eigenvalue, 0.0, np.inf, "left", remedy),
        aspect_ratio=check_aspect_ratio(aspect_ratio),
    )
    above = value - (1 + np.sqrt(eta)) ** 2
    root = np.sqrt(np.maximum(above, 0.0) * np.maximum(value - (1 - np.sqrt(eta)) ** 2, 0.0))
    return unwrap(np.where(above > 0, (value - 1 - eta + root) / 2, np.nan))
