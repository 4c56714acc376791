"""The nested matrix-tensor model, and one spike in a matrix, its building block."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from .._checks import FloatArray, FloatOrArray, in_range, unwrap


class NestedLimit(NamedTuple):
    """What an estimate of the classes of the nested model reaches.

    Attributes
    ----------
    sample_overlap : float
        Squared alignment of the estimated with the true labels, as unit vectors.
    feature_overlap : float
        Squared alignment of the estimated with the true direction of the means.
    view_overlap : float
        Squared alignment of the estimated with the true strengths of the views.
    accuracy : float
        Share of samples put into the right class, in sample and for new ones: 0.5 at chance.
    detected : bool
        Whether the classes are found at all.
    eigenvalue : float
        Largest eigenvalue, of order n_samples or n_views, that the method computes.
    """

    sample_overlap: float
    feature_overlap: float
    view_overlap: float
    accuracy: float
    detected: bool
    eigenvalue: float


class MatrixSpike(NamedTuple):
    """What the largest singular triplet of a rank-one matrix in noise is.

    Attributes
    ----------
    sample_overlap : float or ndarray
        Squared alignment of the left singular vector; 0 below the threshold.
    feature_overlap : float or ndarray
        Squared alignment of the right singular vector; 0 below the threshold.
    eigenvalue : float or ndarray
        Largest eigenvalue of the Gram matrix; the edge of the noise below the threshold.
    """

    sample_overlap: FloatOrArray
    feature_overlap: FloatOrArray
    eigenvalue: FloatOrArray


class Model(NamedTuple):
    """Parameters of the nested model.

    Attributes
    ----------
    n_samples, n_features, n_views : int
        n, p and m.
    signal : float
        theta squared.
    within : float
        tau, the energy of the within-class noise over that of the noise of the views.
    """

    n_samples: int
    n_features: int
    n_views: int
    signal: float
    within: float

    @property
    def total(self) -> int:
        """Sum of the three sizes."""
        return self.n_samples + self.n_features + self.n_views

    @property
    def other_views(self) -> int:
        """Directions among the views beside that of their strengths: where their noise is."""
        return self.n_views - 1

    @property
    def energy(self) -> float:
        """Squared norm of the noiseless tensor, within-class noise included."""
        return self.signal + self.within * self.n_samples * self.n_features / self.total

    @property
    def view_variance(self) -> float:
        """Variance of an entry of the noise of the views."""
        return 1 / self.total

    @property
    def core_noise(self) -> float:
        """Variance of an entry of the matrix that the best combination of views leaves."""
        return self.contracted_noise(1.0)

    def contracted_noise(self, view_overlap: Any) -> Any:
        """Return the variance of an entry of a combination of views, by its overlap."""
        return (1 + self.within * view_overlap) / self.total

    @property
    def arguments(self) -> dict[str, Any]:
        """The sizes and strengths, as arguments of the methods."""
        sizes = {name: getattr(self, name) for name in ("n_samples", "n_features", "n_views")}
        return {**sizes, "theta": np.sqrt(self.signal), "tau": self.within}


def as_model(
    n_samples: Any,
    n_features: Any,
    n_views: Any,
    beta_t: Any = None,
    beta_m: Any = None,
    theta: Any = None,
    tau: Any = None,
) -> Model:
    """Check the parameters of the model, in either of their forms."""
    n = check_size("n_samples", n_samples)
    p = check_size("n_features", n_features)
    m = check_size("n_views", n_views)
    if (beta_t is None) != (beta_m is None) or (theta is None) != (tau is None):
        raise TypeError(
            f"got beta_t={beta_t!r}, beta_m={beta_m!r}, theta={theta!r}, tau={tau!r}: strengths "
            "come in pairs. Pass beta_t and beta_m, or theta and tau."
        )
    if (beta_t is None) == (theta is None):
        raise TypeError(
            f"got beta_t={beta_t!r} and theta={theta!r}: exactly one form is needed. Pass beta_t "
            "and beta_m, or theta and tau."
        )
    if beta_t is None:
        signal, within = strength("theta", theta) ** 2, strength("tau", tau)
    else:
        tensor, matrix = strength("beta_t", beta_t), strength("beta_m", beta_m)
        signal, within = (tensor * matrix) ** 2, tensor**2 * ((n + p + m) / (n + p))
    return Model(n, p, m, strength("theta squared", signal), strength("tau", within))


def check_size(name: str, value: Any) -> int:
    """Check a size: an integer of 1 or more."""
    size = in_range(name, value, 1, np.inf, "left", "Pass a positive integer.")
    if size.ndim or size != np.floor(size):
        raise ValueError(f"{name} must be one integer, got {value!r}. Pass a positive integer.")
    return int(size)


def strength(name: str, value: Any) -> float:
    """Check a number of 0 or more."""
    number = in_range(name, value, 0, np.inf, "left", "Pass a finite number of 0 or more.")
    return _one_number(name, number)


def cosine(name: str, value: Any, low: float = 0.0) -> float:
    """Check one cosine, or one squared cosine."""
    return _one_number(name, in_range(name, value, low, 1, "both", "Pass one cosine."))


def _one_number(name: str, number: FloatArray) -> float:
    """Return a number, or say that it is several."""
    if number.ndim:
        raise ValueError(f"{name} must be one number, got shape {number.shape}. Pass a scalar.")
    return float(number)


def overlap_accuracy(sample_overlap: ArrayLike) -> FloatOrArray:
    r"""Return the accuracy of labels that are the signs of an estimated vector.

    Parameters
    ----------
    sample_overlap : array-like of shape (...)
        Squared alignment q of the estimate with the labels, from 0 to 1.

    Returns
    -------
    float or ndarray of shape (...)
        :math:`\Phi(\sqrt{q/(1-q)})`, 0.5 at q = 0.

    Raises
    ------
    ValueError
        If an overlap is outside [0, 1].

    Notes
    -----
    What the estimate has beside the labels is uniform on the sphere orthogonal to them: Gaussian
    entries of variance (1 - q)/n around entries of size :math:`\sqrt{q/n}`.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import overlap_accuracy
    >>> overlap_accuracy([0.0, 0.5, 1.0]).round(4)
    array([0.5   , 0.8413, 1.    ])
    """
    q = in_range("sample_overlap", sample_overlap, 0, 1, "both", "Pass a squared cosine.")
    with np.errstate(divide="ignore"):
        return unwrap(np.asarray(ndtr(np.sqrt(q / (1 - q)))))


def matrix_spike(
    signal: ArrayLike, noise_variance: ArrayLike, n_samples: ArrayLike, n_features: ArrayLike
) -> MatrixSpike:
    r"""Return the limits of the largest singular triplet of a rank-one matrix in noise.

    Parameters
    ----------
    signal : array-like
        :math:`\theta^2`, the squared singular value of the rank-one matrix.
    noise_variance : array-like
        :math:`s`, the variance of an entry of the noise, positive.
    n_samples, n_features : array-like
        Its sizes n and p.

    Returns
    -------
    MatrixSpike
        Overlaps and eigenvalue, broadcast.

    Raises
    ------
    ValueError
        If the signal is negative, or another argument is not positive.

    Notes
    -----
    Where :math:`\theta^4 > nps^2`, with :math:`C = 1 - nps^2/\theta^4`,

    .. math:: q_y = \frac{\theta^2 C}{\theta^2 + ns},\quad q_x = \frac{\theta^2 C}{\theta^2 + ps},
        \quad \lambda = \frac{(\theta^2 + ns)(\theta^2 + ps)}{\theta^2},

    else both overlaps are 0 and :math:`\lambda = s(\sqrt n + \sqrt p)^2`.

    References
    ----------
    Benaych-Georges & Nadakuditi, The singular values and vectors of low rank perturbations of
    large rectangular random matrices, arXiv:1103.2221.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import matrix_spike
    >>> matrix_spike(400.0, 1.0, 100, 50)
    MatrixSpike(sample_overlap=0.775, feature_overlap=0.8611111111111112, eigenvalue=562.5)
    """
    t = in_range("signal", signal, 0, np.inf, "left", "Pass a squared singular value.")
    s = in_range("noise_variance", noise_variance, 0, np.inf, "neither", "Pass a variance.")
    n = in_range("n_samples", n_samples, 0, np.inf, "neither", "Pass a positive size.")
    p = in_range("n_features", n_features, 0, np.inf, "neither", "Pass a positive size.")
    sample, feature = spike_complements(t, s, n, p)
    with np.errstate(divide="ignore", invalid="ignore"):
        above = (t + n * s) * (1 + p * s / t)
    detected = sample < 1
    return MatrixSpike(
        unwrap(1 - sample),
        unwrap(1 - feature),
        unwrap(np.where(detected, above, s * (np.sqrt(n) + np.sqrt(p)) ** 2)),
    )


def spike_complements(
    signal: FloatArray | float,
    noise_variance: FloatArray | float,
    n_samples: FloatArray | float,
    n_features: FloatArray | float,
) -> tuple[FloatArray, FloatArray]:
    """Return one less the overlaps of a spike, without cancellation; 1 below its threshold."""
    t = np.asarray(signal, dtype=np.float64)
    ns, ps = np.asarray(n_samples * noise_variance), np.asarray(n_features * noise_variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        detected = t > np.sqrt(ns) * np.sqrt(ps)
        sample = np.where(detected, ns / (t + ns) * (1 + ps / t), 1.0)
        feature = np.where(detected, ps / (t + ps) * (1 + ns / t), 1.0)
    return np.minimum(sample, 1.0), np.minimum(feature, 1.0)


def spike_strength(
    eigenvalue: ArrayLike, noise_variance: ArrayLike, n_samples: ArrayLike, n_features: ArrayLike
) -> FloatOrArray:
    r"""Return the signal of a rank-one matrix in noise from its largest eigenvalue.

    Parameters
    ----------
    eigenvalue : array-like
        :math:`\lambda`, the largest eigenvalue of the Gram matrix.
    noise_variance : array-like
        :math:`s`, the variance of an entry of the noise, positive.
    n_samples, n_features : array-like
        Its sizes n and p.

    Returns
    -------
    float or ndarray
        :math:`\theta^2 = (b + \sqrt{b^2 - 4nps^2})/2` with :math:`b = \lambda - (n + p)s`; 0
        where the eigenvalue is inside the noise.

    Raises
    ------
    ValueError
        If the eigenvalue is negative, or another argument is not positive.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import spike_strength
    >>> spike_strength([562.5, 200.0], 1.0, 100, 50)
    array([400.,   0.])
    """
    top = in_range("eigenvalue", eigenvalue, 0, np.inf, "left", "Pass a squared singular value.")
    s = in_range("noise_variance", noise_variance, 0, np.inf, "neither", "Pass a variance.")
    n = in_range("n_samples", n_samples, 0, np.inf, "neither", "Pass a positive size.")
    p = in_range("n_features", n_features, 0, np.inf, "neither", "Pass a positive size.")
    b = top - (n + p) * s
    edge = 2 * s * np.sqrt(n) * np.sqrt(p)
    root = np.sqrt(np.maximum(b - edge, 0)) * np.sqrt(np.maximum(b + edge, 0))
    return unwrap(np.where(b > edge, (b + root) / 2, 0.0))
