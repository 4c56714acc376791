"""Accuracy of Gaussian scores: thresholds for two classes, the largest score for more."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from .._checks import (
    FloatArray,
    FloatOrArray,
    Pair,
    as_floats,
    as_pair,
    broadcast,
    check_prior,
    finite_floats,
    in_range,
    unwrap,
)

# Points of the lattice: 2^12 keep the error of five to forty classes below 2e-5; more are taken
# while points times squared classes stay below 2^22 numbers.
_N_POINTS = (2**12, 2**14)
_MAX_WORK = 2**22


def _check_scores(
    means: Pair, variances: Pair
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Check means (finite) and variances (not negative) of the two classes."""
    first, second = as_pair("means", means)
    low, high = as_pair("variances", variances)
    finite = "Give the mean score of each class."
    remedy = "Give the variances of the score, not negative."
    return (
        finite_floats("means[0]", first, finite),
        finite_floats("means[1]", second, finite),
        in_range("variances[0]", low, 0.0, np.inf, "both", remedy),
        in_range("variances[1]", high, 0.0, np.inf, "both", remedy),
    )


def _normal_tail(distance: FloatArray, variance: FloatArray) -> FloatArray:
    """P(N(distance, variance) > 0), ties counted half."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = distance / np.sqrt(variance)
    return ndtr(np.where(distance == 0, 0.0, ratio))


def _accuracy(
    means: tuple[FloatArray, FloatArray],
    variances: tuple[FloatArray, FloatArray],
    prior: FloatArray,
    threshold: FloatArray,
) -> FloatArray:
    return prior * _normal_tail(means[1] - threshold, variances[1]) + (1 - prior) * _normal_tail(
        threshold - means[0], variances[0]
    )


def binary_accuracy(
    means: Pair, variances: Pair, prior: ArrayLike, threshold: ArrayLike = 0.0
) -> FloatOrArray:
    r"""Return the accuracy of a threshold on a score that is Gaussian in each class.

    All arguments broadcast against one another.

    Parameters
    ----------
    means : pair of array-like
        Mean score of the negative and of the positive class: a tuple or list of two array-likes,
        or an ndarray of shape (..., 2).
    variances : pair of array-like
        Variances of the score, given the same way.
    prior : array-like
        Probability of the positive class, in (0, 1).
    threshold : array-like, default=0.0
        The positive class is predicted above it; infinite values predict one class always.

    Returns
    -------
    float or ndarray
        :math:`\pi_+\Phi((M_+-c)/\sqrt{v_+}) + \pi_-\Phi((c-M_-)/\sqrt{v_-})`.

    Raises
    ------
    ValueError
        If a variance is negative, a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    best_threshold : The threshold that maximises it.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import binary_accuracy
    >>> round(binary_accuracy((-1.0, 1.0), (1.0, 1.0), 0.5), 6)
    0.841345
    """
    cut = as_floats("threshold", threshold)
    if np.isnan(cut).any():
        raise ValueError("threshold must not be NaN, got nan. Give a number, or inf or -inf.")
    first, second, low, high = _check_scores(means, variances)
    first, second, low, high, pi, cut = broadcast(
        **{"means[0]": first, "means[1]": second, "variances[0]": low, "variances[1]": high},
        prior=check_prior(prior),
        threshold=cut,
    )
    return unwrap(_accuracy((first, second), (low, high), pi, cut))


def best_threshold(means: Pair, variances: Pair, prior: ArrayLike) -> FloatOrArray:
    r"""Return the threshold of the score that gives the largest accuracy.

    All arguments broadcast against one another.

    Parameters
    ----------
    means : pair of array-like
        Mean score of the negative and of the positive class: a tuple or list of two array-likes,
        or an ndarray of shape (..., 2).
    variances : pair of array-like
        Variances of the score, positive, given the same way.
    prior : array-like
        Probability of the positive class, in (0, 1).

    Returns
    -------
    float or ndarray
        The threshold c, above which the positive class is predicted: `-inf` or `inf` where one
        class is better predicted always.

    Raises
    ------
    ValueError
        If a variance is not positive, a number is out of range, or the shapes do not broadcast.
    TypeError
        If an argument is not numeric.

    See Also
    --------
    binary_accuracy : The accuracy of any threshold.

    Notes
    -----
    The accuracy is stationary where :math:`\pi_+ N(c; M_+, v_+) = \pi_- N(c; M_-, v_-)`. In
    units where :math:`c = (M_++M_-)/2 + x (v_+v_-)^{1/4}`, with :math:`\Delta` half the
    difference of the means, :math:`g = \tfrac12\log(v_+/v_-)` and
    :math:`\ell = \log(\pi_+/\pi_-)`, this is

    .. math:: x^2 \sinh g + 2 x \Delta\cosh g + \Delta^2\sinh g + \ell - g = 0,

    whose root with an upward crossing is the only local maximum:
    :math:`x = (-\Delta\cosh g + R)/\sinh g`, :math:`R^2 = \Delta^2 - (\ell-g)\sinh g`. It is
    compared with the two infinite thresholds; they win where the root is not real. For equal
    variances :math:`c = (M_++M_-)/2 - v\ell/(M_+-M_-)`.

    Examples
    --------
    >>> from skrmt.theory.noisy_labels import best_threshold
    >>> best_threshold((-1.0, 1.0), (1.0, 1.0), 0.5)
    0.0
    >>> round(best_threshold((-1.0, 1.0), (1.0, 4.0), 0.7), 6)
    -0.497603
    >>> best_threshold((-0.1, 0.1), (1.0, 1.1), 0.9)
    -inf
    """
    first, second, low, high = _check_scores(means, variances)
    first, second, low, high, pi = broadcast(
        **{"means[0]": first, "means[1]": second, "variances[0]": low, "variances[1]": high},
        prior=check_prior(prior),
    )
    if (np.minimum(low, high) <= 0).any():
        raise ValueError(
            "variances must be positive, got 0. Any threshold between the means is then perfect."
        )
    root = _upward_crossing(first, second, low, high, pi)
    ends = np.full_like(root, -np.inf), np.full_like(root, np.inf)
    cuts = np.stack([np.where(np.isnan(root), -np.inf, root), *ends])
    accuracies = [_accuracy((first, second), (low, high), pi, cut) for cut in cuts]
    best = np.argmax(np.stack(accuracies), axis=0)
    return unwrap(np.take_along_axis(cuts, best[None], axis=0)[0])


def _upward_crossing(
    first: FloatArray, second: FloatArray, low: FloatArray, high: FloatArray, prior: FloatArray
) -> FloatArray:
    """Return the score where the posterior odds cross 1 upwards; NaN where they never do."""
    unit = np.sqrt(np.sqrt(low)) * np.sqrt(np.sqrt(high))
    with np.errstate(all="ignore"):
        half = (second - first) / 2 / unit
        near = 0.5 * np.log1p((high - low) / low)
        g = np.where(high > 0.5 * low, near, 0.5 * (np.log(high) - np.log(low)))
        odds = np.log(prior) - np.log1p(-prior) - g
        sinh, cosh = np.sinh(g), np.cosh(g)
        root = np.sqrt(half**2 - sinh * odds)
        forward = -(half**2 * sinh + odds) / (half * cosh + root)
        x = np.where(half >= 0, forward, (root - half * cosh) / sinh)
        return first / 2 + second / 2 + unit * x


def argmax_accuracy(means: FloatArray, covariances: FloatArray, priors: FloatArray) -> float:
    """Return the probability that the largest of K Gaussian scores is that of the true class."""
    n_classes = len(priors)
    accuracy = 0.0
    for label in range(n_classes):
        contrast = np.delete(np.eye(n_classes)[label] - np.eye(n_classes), label, axis=0)
        accuracy += priors[label] * positive_orthant(
            contrast @ means[label], contrast @ covariances[label] @ contrast.T
        )
    return float(accuracy)


def positive_orthant(mean: FloatArray, covariance: FloatArray) -> float:
    r"""Return the probability that all the entries of a Gaussian vector are positive."""
    size = len(mean)
    factor = _cholesky(covariance)
    n_points = 1 if size == 1 else int(np.clip(_MAX_WORK // size**2, *_N_POINTS))
    lattice = _lattice(n_points, size - 1)
    normals = np.zeros((n_points, size))
    weight = np.ones(n_points)
    for i in range(size):
        # P(mean + sum_j L_ij xi_j > 0 | earlier xi), in the upper tail of -xi_i.
        bound = ndtr((mean[i] + normals[:, :i] @ factor[i, :i]) / factor[i, i])
        weight *= bound
        if i < size - 1:
            normals[:, i] = -ndtri(np.clip(lattice[:, i] * bound, 1e-300, 1 - 1e-16))
    return float(np.mean(weight))


def _cholesky(covariance: FloatArray) -> FloatArray:
    """Factor a positive semidefinite matrix, with pivots floored so that none is 0."""
    size = len(covariance)
    floor = max(1e-14 * float(np.max(np.diag(covariance))), 1e-300)
    factor = np.zeros((size, size))
    for j in range(size):
        pivot = covariance[j, j] - factor[j, :j] @ factor[j, :j]
        factor[j, j] = np.sqrt(max(pivot, floor))
        if pivot > floor:
            column = covariance[j + 1 :, j] - factor[j + 1 :, :j] @ factor[j, :j]
            factor[j + 1 :, j] = column / factor[j, j]
    return factor


def _lattice(n_points: int, dimension: int) -> FloatArray:
    """Return folded lattice points in (0, 1): equispaced, then multiples of roots of primes."""
    index = np.arange(1, n_points + 1)[:, None]
    steps = np.sqrt(_primes(dimension - 1))
    points = np.hstack([(index - 0.5) / n_points, (index * steps) % 1.0])
    return np.abs(2 * points - 1)[:, :dimension]


def _primes(count: int) -> FloatArray:
    primes: list[int] = []
    number = 2
    while len(primes) < count:
        if all(number % prime for prime in primes):
            primes.append(number)
        number += 1
    return np.array(primes, dtype=np.float64)
