"""Gaussian mixtures whose labels are partly wrong, and label noise for any labels."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from scipy.signal import lfilter
from sklearn.utils.multiclass import check_classification_targets

from ..utils._labels import is_missing, refuse_masked
from ..utils._random import fresh_random_state

_SUM_TOLERANCE = 1e-8
"""How far probabilities may be from a sum of 1: rounding passes, a slip does not."""


class NoisyMixture(NamedTuple):
    """A Gaussian mixture with noisy labels, from :func:`make_noisy_mixture`.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        The features.
    y : ndarray of shape (n_samples,)
        The observed labels, partly wrong, integers from 0 to `n_classes - 1`.
    y_clean : ndarray of shape (n_samples,)
        The true classes of the rows.
    means : ndarray of shape (n_classes, n_features)
        The class means, shift included.
    """

    X: np.ndarray
    y: np.ndarray
    y_clean: np.ndarray
    means: np.ndarray


def make_noisy_mixture(
    n_samples: int = 100,
    n_features: int = 20,
    *,
    mean_norm: float = 2.0,
    n_classes: int = 2,
    class_prior: ArrayLike | None = None,
    noise_rates: float | ArrayLike | None = 0.2,
    covariance: Literal["isotropic"] | float | ArrayLike = "isotropic",
    shift: float | ArrayLike = 0.0,
    random_state: int | RandomState | None = None,
) -> NoisyMixture:
    r"""Draw a Gaussian mixture whose observed labels are partly wrong.

    Parameters
    ----------
    n_samples : int, default=100
        Number of rows n.
    n_features : int, default=20
        Number of columns p, at least `n_classes - 1`.
    mean_norm : float, default=2.0
        Distance of every class mean from the centre of the mixture, in the units of the
        features: the standard deviation of the isotropic noise is 1.
    n_classes : int, default=2
        Number of classes K, at least 2.
    class_prior : array-like of shape (n_classes,), default=None
        Probability of each class; equal ones if None.
    noise_rates : float, array-like or None, default=0.2
        A float is the probability that a label is wrong, whatever the class; one number for each
        class k is P(observed label != k | true class k); both replace a wrong label by one of the
        other classes with equal probabilities. A matrix T of shape (n_classes, n_classes) gives
        T[k, l] = P(observed label l | true class k). None means no noise.
    covariance : {"isotropic"}, float or array-like, default="isotropic"
        Covariance of each class about its mean: the identity, the Toeplitz matrix rho^abs(i - j)
        of a float rho in (-1, 1), a matrix of shape (n_features, n_features) for all classes, or
        matrices of shape (n_classes, n_features, n_features), one for each class.
    shift : float or array-like of shape (n_features,), default=0.0
        Centre of the mixture. A float is its distance from the origin, in a random direction.
    random_state : int, RandomState instance or None, default=None
        Source of the random numbers; an integer gives the same data at every call, None new data
        (NumPy's global generator is not used).

    Returns
    -------
    NoisyMixture
        Features, observed labels, true classes and class means.

    Raises
    ------
    ValueError
        If a parameter is out of its range; the message names it.
    TypeError
        If a size is not an integer, or a scale not a number.

    See Also
    --------
    flip_labels : Add label noise to labels of your own.

    Notes
    -----
    Row i is drawn as

    .. math:: x_i = s + m_{y_i} + C_{y_i}^{1/2} z_i, \qquad z_i \sim N(0, I_p),

    with classes :math:`y_i` independent, of the probabilities `class_prior`, a centre :math:`s`
    (the `shift`), and means :math:`m_k` on a regular simplex centred at 0,

    .. math:: \|m_k\| = \mu, \qquad m_k^\top m_l = -\mu^2 / (K - 1) \quad (k \neq l),

    where :math:`\mu` is `mean_norm`. The simplex is turned by a random rotation. With two
    classes :math:`m_0 = -m_1`: this is the model :math:`x = y\mu + z` of [1]_, class 1 being its
    :math:`y = +1`. The mean of the features is the centre only if the classes are equally
    probable.

    Given its true class, the observed label of a row does not depend on its features. With an
    integer `random_state` the features and true classes do not depend on `noise_rates`, and
    where wrong labels are spread evenly the rows mislabelled at some rates are mislabelled at
    any larger rates too.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.datasets import make_noisy_mixture
    >>> X, y, y_clean, means = make_noisy_mixture(5000, 10, noise_rates=(0.1, 0.4), random_state=0)
    >>> X.shape
    (5000, 10)
    >>> [round(float((y != y_clean)[y_clean == k].mean()), 1) for k in range(2)]
    [0.1, 0.4]
    """
    n = _check_integer("n_samples", n_samples, 1)
    n_classes = _check_integer("n_classes", n_classes, 2)
    p = _check_integer("n_features", n_features, 1)
    if p < n_classes - 1:
        raise ValueError(
            f"n_features={p} cannot hold the means of n_classes={n_classes} classes: "
            f"use at least {n_classes - 1} features."
        )
    mean_norm = _check_real("mean_norm", mean_norm)
    if mean_norm < 0:
        raise ValueError(f"mean_norm={mean_norm} is negative: give a distance, at least 0.")
    prior = _check_prior(class_prior, n_classes)
    transition = _check_noise(noise_rates, n_classes, "noise_rates")
    colour = _check_covariance(covariance, p, n_classes)
    shift = _check_shift(shift, p)

    rng = fresh_random_state(random_state)
    means = mean_norm * _simplex(n_classes, p, rng) + _centre(shift, p, rng)
    y_clean = rng.choice(n_classes, size=n, p=prior)
    X = colour(rng.standard_normal((n, p)), y_clean)
    X += means[y_clean]
    y = _flip_codes(y_clean, transition, rng)
    return NoisyMixture(X, y, y_clean, means)


def flip_labels(
    y: ArrayLike, noise_matrix: float | ArrayLike, random_state: int | RandomState | None = None
) -> NDArray[Any]:
    """Replace labels at random by those of other classes.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels of at least two classes, of any type that can be sorted.
    noise_matrix : float or array-like of shape (n_classes,) or (n_classes, n_classes)
        T[k, l] = P(observed label l | true class k), the classes in sorted order, every row of
        sum 1. One number for each class k stands for the probability that its label is wrong,
        a float for the same probability in every class; wrong labels are then drawn evenly
        from the other classes.
    random_state : int, RandomState instance or None, default=None
        Source of the random numbers; an integer gives the same labels at every call, None new
        ones (NumPy's global generator is not used).

    Returns
    -------
    ndarray of shape (n_samples,)
        The noisy labels, a new array of the type of `y`.

    Raises
    ------
    ValueError
        If `y` is not a vector of class labels, has missing values or a single class, or if
        `noise_matrix` is not a matrix of probabilities for its classes. A probability of being
        wrong must be below 1, and those of two classes must have a sum below 1: beyond,
        observed labels point away from the truth.
    TypeError
        If the labels cannot be sorted.

    See Also
    --------
    make_noisy_mixture : Draw features and noisy labels from a Gaussian mixture.

    Notes
    -----
    One uniform number is drawn for each row, in order; with one `random_state` and evenly spread
    errors, the rows that are wrong at some rates are wrong at any larger rates.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.datasets import flip_labels
    >>> y = np.array(["cat", "dog"] * 5)
    >>> noisy = flip_labels(y, (0.0, 0.5), random_state=0)
    >>> (noisy != y)[y == "cat"].any()
    np.False_
    """
    labels = _check_labels(y)
    try:
        classes, codes = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise TypeError(
            f"y mixes labels that cannot be sorted ({error}): give labels of one type."
        ) from error
    if classes.size < 2:
        raise ValueError(
            f"y has {classes.size} class: label noise needs at least two classes of labels."
        )
    transition = _check_noise(noise_matrix, classes.size, "noise_matrix")
    rng = fresh_random_state(random_state)
    return classes[_flip_codes(codes.reshape(-1), transition, rng)]


def _flip_codes(codes, transition, rng):
    """Draw observed class numbers, one uniform number per row."""
    n_classes = len(transition)
    order = (np.arange(n_classes)[:, None] + 1 + np.arange(n_classes)) % n_classes
    levels = np.cumsum(np.take_along_axis(transition, order, axis=1), axis=1)
    uniform = rng.uniform(size=codes.size)
    observed = np.empty_like(codes)
    for k in range(n_classes):
        rows = codes == k
        # Rounding may leave the last level below 1: what is above it keeps its label.
        step = np.searchsorted(levels[k, :-1], uniform[rows], side="right")
        observed[rows] = order[k, step]
    return observed


def _simplex(n_classes, n_features, rng):
    """Return the vertices of a randomly turned regular simplex, of norm 1 and centre 0."""
    vertices = np.eye(n_classes) - 1 / n_classes
    # The centred unit vectors span K - 1 dimensions: their coordinates there.
    coordinates = vertices @ np.linalg.qr(vertices[:, :-1])[0]
    coordinates /= np.linalg.norm(coordinates, axis=1, keepdims=True)
    basis = np.linalg.qr(rng.standard_normal((n_features, n_classes - 1)))[0]
    signs = rng.choice([-1.0, 1.0], size=n_classes - 1)
    return coordinates @ (basis * signs).T


def _centre(shift, n_features, rng):
    """Return the centre of the mixture, (n_features,); a random direction is always drawn."""
    direction = rng.standard_normal(n_features)
    return shift if np.ndim(shift) else shift * direction / np.linalg.norm(direction)


def _check_shift(shift, n_features):
    """Return the shift as a float or a vector."""
    if np.ndim(shift) == 0:
        return _check_real("shift", shift)
    shift = _check_array("shift", shift)
    if shift.shape != (n_features,):
        raise ValueError(
            f"shift has shape {shift.shape}: give one number, or one for each of the "
            f"{n_features} features."
        )
    return shift


def _check_covariance(covariance, n_features, n_classes):
    """Return the function (z, classes) -> noise of the wished covariance."""
    if isinstance(covariance, str):
        if covariance != "isotropic":
            raise ValueError(
                f"covariance={covariance!r} is unknown: use 'isotropic', a float or an array."
            )
        return lambda z, classes: z
    if np.ndim(covariance) == 0:
        rho = _check_real("covariance", covariance)
        if not -1 < rho < 1:
            raise ValueError(
                f"covariance={rho} as the correlation of neighbouring features must be "
                "strictly between -1 and 1."
            )
        return lambda z, classes: _autoregression(z, rho)
    matrices = _check_array("covariance", covariance)
    p = n_features
    if matrices.shape not in {(p, p), (n_classes, p, p)}:
        raise ValueError(
            f"covariance has shape {matrices.shape}: use {(p, p)}, or {(n_classes, p, p)} "
            "for one matrix a class."
        )
    if matrices.ndim == 2:
        root = _square_root(matrices)
        return lambda z, classes: z @ root
    roots = [_square_root(matrix) for matrix in matrices]

    def colour(z, classes):
        for k, root in enumerate(roots):
            z[classes == k] = z[classes == k] @ root
        return z

    return colour


def _autoregression(z, rho):
    """Give the columns of white noise the covariance rho^|i - j|, at a cost of n p."""
    innovation = np.sqrt(1 - rho**2)
    z[:, 0] /= innovation
    return lfilter([innovation], [1, -rho], z, axis=1)


def _square_root(matrix):
    """Return the symmetric square root of a covariance matrix, checked."""
    scale = np.abs(matrix).max()
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-8 * scale):
        raise ValueError("covariance is not symmetric: give (C + C.T) / 2 if that is meant.")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    if values[0] < -1e-8 * scale:
        raise ValueError(
            f"covariance has the negative eigenvalue {values[0]:.3g}: give a positive "
            "semi-definite matrix."
        )
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _check_noise(noise, n_classes, name):
    """Return the matrix T[k, l] = P(observed l | true k) from any of its short forms."""
    noise = 0.0 if noise is None else noise
    noise = _check_array(name, noise)
    if noise.shape == (n_classes, n_classes):
        return _check_transition(noise, name)
    if noise.shape not in {(), (n_classes,)}:
        raise ValueError(
            f"{name} has shape {noise.shape}: use a float, one rate for each of the "
            f"{n_classes} classes, or a matrix of shape {(n_classes, n_classes)}."
        )
    rates = np.broadcast_to(noise, n_classes)
    if (rates < 0).any() or (rates >= 1).any():
        raise ValueError(f"{name}={noise.tolist()}: every rate must be in [0, 1).")
    transition = np.repeat(rates[:, None] / (n_classes - 1), n_classes, axis=1)
    np.fill_diagonal(transition, 1 - rates)
    return _check_transition(transition, name)


def _check_transition(transition, name):
    """Return a matrix of label noise, checked."""
    if (transition < 0).any():
        raise ValueError(f"{name} has the negative entry {transition.min()}: use probabilities.")
    sums = transition.sum(axis=1)
    worst = np.argmax(np.abs(sums - 1))
    if abs(sums[worst] - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"Row {worst} of {name} has sum {sums[worst]:.6g}: every row must have sum 1, since "
            f"{name}[k, l] is the probability of the observed label l given the true class k."
        )
    rates = 1 - np.diagonal(transition)
    if (rates >= 1).any():
        raise ValueError(
            f"{name} never observes class {np.argmax(rates)} as itself: every rate must be below 1."
        )
    if len(rates) == 2 and rates.sum() >= 1 - _SUM_TOLERANCE:
        raise ValueError(
            f"{name} has rates {rates[0]:.6g} and {rates[1]:.6g}, of sum {rates.sum():.6g}: the "
            "sum must be below 1, else observed labels say nothing of the truth or its opposite."
        )
    return transition


def _check_prior(class_prior, n_classes):
    """Return the probabilities of the classes, of sum exactly 1."""
    if class_prior is None:
        return np.full(n_classes, 1 / n_classes)
    prior = _check_array("class_prior", class_prior)
    if prior.shape != (n_classes,):
        raise ValueError(
            f"class_prior has shape {prior.shape}: give one probability for each of the "
            f"{n_classes} classes."
        )
    if (prior < 0).any() or abs(prior.sum() - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"class_prior={prior.tolist()} has sum {prior.sum():.6g}: give non-negative "
            "probabilities of sum 1."
        )
    return prior / prior.sum()


def _check_labels(y):
    """Return labels as a vector without missing values."""
    refuse_masked(y, "y")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"y has shape {labels.shape}: give a vector of at least two labels.")
    # An array of strings would turn a NaN among them into the word "nan".
    given = labels if isinstance(y, np.ndarray) else np.asarray(y, dtype=object).ravel()
    if given.dtype.kind in "fOmM" and any(map(is_missing, given)):
        raise ValueError("y has missing values: remove these rows before adding noise.")
    if labels.dtype.kind == "f":
        check_classification_targets(labels)
    return labels


def _check_array(name, value):
    """Return a finite array of floats."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}={value!r} is not a number or an array of numbers.") from error
    if not np.isfinite(array).all():
        raise ValueError(f"{name} has entries that are not finite: {value!r}.")
    return array


def _check_integer(name, value, least):
    """Return an integer that is large enough."""
    if not isinstance(value, Integral) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r} must be an integer.")
    if value < least:
        raise ValueError(f"{name}={value} is too small: use at least {least}.")
    return int(value)


def _check_real(name, value):
    """Return a finite float."""
    if not isinstance(value, Real) or isinstance(value, bool):
        raise TypeError(f"{name}={value!r} must be a number.")
    if not np.isfinite(float(value)):
        raise ValueError(f"{name}={value!r} must be finite.")
    return float(value)
