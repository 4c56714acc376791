"""What contractions of the nested model along its views reach: tensor, two-step, likelihood."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from .._checks import FloatArray
from ._model import Model, NestedLimit, as_model, cosine, spike_complements
from ._root import largest_overlap


class TensorLimit(NamedTuple):
    """What the best rank-one approximation of the nested model is.

    Attributes
    ----------
    sample_overlap : float
        Squared alignment with the labels.
    feature_overlap : float
        Squared alignment with the direction of the means.
    view_overlap : float
        Squared alignment with the strengths of the views; alone positive where only the views
        are found.
    accuracy : float
        Share of samples put into the right class: 0.5 at chance.
    detected : bool
        Whether the classes are found.
    singular_value : float
        What the tensor contracted with the three unit vectors is; nan where nothing is found.
    """

    sample_overlap: float
    feature_overlap: float
    view_overlap: float
    accuracy: float
    detected: bool
    singular_value: float


def contracted(model: Model, view_overlap: float) -> tuple[float, float, float]:
    """Return what the largest singular triplet of a combination of the views is."""
    signal = model.signal * view_overlap
    noise = model.contracted_noise(view_overlap)
    n, p = model.n_samples, model.n_features
    sample, feature = spike_complements(signal, noise, n, p)
    eigenvalue = noise * (np.sqrt(n) + np.sqrt(p)) ** 2
    if sample < 1:
        eigenvalue = (signal + n * noise) * (1 + p * noise / signal)
    return float(sample), float(feature), float(eigenvalue)


def accuracy_of(complement: float) -> float:
    """Return the accuracy at one less an overlap of samples."""
    return float(ndtr(np.sqrt((1 - complement) / complement))) if complement > 0 else 1.0


def nested_limit(
    sample: float, feature: float, view_overlap: float, eigenvalue: float = np.nan
) -> NestedLimit:
    """Return the result of a method from one less its overlaps of samples and features."""
    return NestedLimit(
        1 - sample, 1 - feature, view_overlap, accuracy_of(sample), sample < 1, eigenvalue
    )


def oracle(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> NestedLimit:
    r"""Return the limits if the strengths of the views are known: the bound of spectral methods.

    Parameters
    ----------
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    beta_t, beta_m : float, optional
        Strength of the tensor and of the matrix inside it.
    theta, tau : float, optional
        Instead of these, :math:`\theta = \beta_T\beta_M` and the energy of the within-class noise
        :math:`\tau = \beta_T^2(n+p+m)/(n+p)`, which may be 0.

    Returns
    -------
    NestedLimit
        View overlap 1; the eigenvalue is that of the Gram matrix of the combined view.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer or a strength is negative or not finite.

    Notes
    -----
    The combination h of the views is a matrix of signal :math:`\theta^2` in noise of variance
    :math:`(1+\tau)/(n+p+m)`; see `matrix_spike`.

    References
    ----------
    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import oracle
    >>> round(oracle(n_samples=200, n_features=150, n_views=60, beta_t=2, beta_m=1.5).accuracy, 4)
    0.9412
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    sample, feature, eigenvalue = contracted(model, 1.0)
    return nested_limit(sample, feature, 1.0, eigenvalue)


def fixed_weights(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
    view_cosine: float,
) -> NestedLimit:
    r"""Return the limits of a fixed combination of the views, such as their average.

    Parameters
    ----------
    n_samples, n_features, n_views : int
        Sizes n, p and m.
    beta_t, beta_m : float, optional
        Strength of the tensor and of the matrix inside it.
    theta, tau : float, optional
        Instead of these, their product and the energy of the within-class noise; see `oracle`.
    view_cosine : float
        Cosine of the weights with the strengths of the views, -1 to 1.

    Returns
    -------
    NestedLimit
        The eigenvalue is that of the Gram matrix of the combined view.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If an argument is outside its range.

    Notes
    -----
    With q the square of `view_cosine` and N = n + p + m, the combined view is a matrix of signal
    :math:`\theta^2q` in noise of variance :math:`(1+\tau q)/N`; see `matrix_spike`.

    References
    ----------
    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import fixed_weights
    >>> sizes = dict(n_samples=200, n_features=150, n_views=60)
    >>> round(fixed_weights(**sizes, beta_t=2, beta_m=1.5, view_cosine=0.5).accuracy, 4)
    0.8737
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    overlap = cosine("view_cosine", view_cosine, -1.0) ** 2
    sample, feature, eigenvalue = contracted(model, overlap)
    return nested_limit(sample, feature, overlap, eigenvalue)


def two_step(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> NestedLimit:
    r"""Return the limits of weighting the views by the top eigenvector of their Gram matrix.

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
    NestedLimit
        The eigenvalue is that of the Gram matrix of the views.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer or a strength is negative or not finite.

    Notes
    -----
    The unfolding of the views, m x pn, is a spike of signal :math:`E = \theta^2 + \tau pn/N`,
    N = n + p + m, with m - 1 directions of noise beside it: the within-class noise tells the views
    apart as well as the classes do. With the overlap :math:`q_v` of its right singular vector, a
    matrix of signal :math:`q_v\theta^2` in noise of variance :math:`q_v\tau/N + (1-q_v)E/(np)` is
    left.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import two_step
    >>> result = two_step(n_samples=200, n_features=150, n_views=60, beta_t=2, beta_m=1.5)
    >>> round(result.sample_overlap, 4), round(result.view_overlap, 4)
    (0.71, 0.9995)
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    n, p, m, noise = model.n_samples, model.n_features, model.other_views, model.view_variance
    view, rest = (float(q) for q in spike_complements(model.energy, noise, m, n * p))
    eigenvalue = noise * (np.sqrt(m) + np.sqrt(n * p)) ** 2
    if view >= 1:
        return nested_limit(1.0, 1.0, 0.0, eigenvalue)
    eigenvalue = (model.energy + m * noise) * (1 + n * p * noise / model.energy)
    left = (1 - rest) * model.within / model.total + rest * model.energy / (n * p)
    sample, feature = spike_complements((1 - rest) * model.signal, left, n, p)
    return nested_limit(float(sample), float(feature), 1 - view, eigenvalue)


def tensor(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> TensorLimit:
    r"""Return the limits of the best rank-one approximation of the tensor.

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
    TensorLimit
        The overlaps and the singular value.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer or a strength is negative or not finite.

    Notes
    -----
    With :math:`c_i` the shares of p, n and m - 1 in the sum N = n + p + m,
    :math:`a(q) = 1 + \tau q` and :math:`(q_y, q_x)` those of `matrix_spike` at signal
    :math:`\theta^2 q` and noise variance :math:`a(q)/N`, the overlap of the views is the largest
    root in (0, 1) of

    .. math:: \sqrt{\frac{c_3}{1-q}} - \tau\left(\sqrt{\frac{c_1(1-q_x)}{a}}
        + \sqrt{\frac{c_2(1-q_y)}{a}}\right) - \theta\sqrt{\frac{q_xq_y}{q}} = 0,

    and the singular value is :math:`\theta\sqrt{q_xq_yq} + \sqrt{c_3(1-q)}
    + \sqrt a(\sqrt{c_1(1-q_x)} + \sqrt{c_2(1-q_y)})`. Three phases: nothing is found; the views
    alone; views and classes.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import tensor
    >>> result = tensor(n_samples=200, n_features=150, n_views=60, beta_t=2, beta_m=1.5)
    >>> round(result.sample_overlap, 4), round(result.singular_value, 4)
    (0.7094, 3.8276)
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    n, p, total = model.n_samples, model.n_features, model.total
    shares = np.array([p, n, model.other_views]) / total
    theta_ = np.sqrt(model.signal)

    def left(u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        noise = model.contracted_noise(1 - u)
        return noise * total, *spike_complements(model.signal * (1 - u), noise, n, p)

    def residual(u: FloatArray) -> FloatArray:
        growth, sample, feature = left(u)
        pull = np.sqrt(shares[0] * feature / growth) + np.sqrt(shares[1] * sample / growth)
        classes = theta_ * np.sqrt((1 - feature) * (1 - sample) / (1 - u))
        return np.asarray(np.sqrt(shares[2] / u) - model.within * pull - classes)

    view = largest_overlap(residual)
    if view >= 1:
        return TensorLimit(0.0, 0.0, 0.0, 0.5, False, np.nan)
    growth, sample, feature = (float(x) for x in left(np.asarray(view)))
    value = theta_ * np.sqrt((1 - feature) * (1 - sample) * (1 - view))
    value += np.sqrt(shares[2] * view)
    value += np.sqrt(growth) * (np.sqrt(shares[0] * feature) + np.sqrt(shares[1] * sample))
    return TensorLimit(
        1 - sample, 1 - feature, 1 - view, accuracy_of(sample), sample < 1, float(value)
    )


def nested_ml(
    *,
    n_samples: int,
    n_features: int,
    n_views: int,
    beta_t: float | None = None,
    beta_m: float | None = None,
    theta: float | None = None,
    tau: float | None = None,
) -> NestedLimit:
    r"""Return the limits of maximum likelihood in the nested model.

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
    NestedLimit
        The eigenvalue is that of the Gram matrix of the combined view.

    Raises
    ------
    TypeError
        If not exactly one pair of strengths is given.
    ValueError
        If a size is not a positive integer or a strength is negative or not finite.

    Notes
    -----
    With the within-class noise integrated out, the likelihood is maximal over unit vectors h, u
    and v where :math:`(1/s_2 - 1/s_1)\|T(h)\|^2 + (2\theta/s_1)\,u^\top T(h)v` is,
    :math:`s_1 = (1+\tau)/N` and :math:`s_2 = 1/N`. It is the tensor method at :math:`\tau = 0`
    and the two steps at :math:`\theta = 0`, and better than both between. The overlap of the views
    is the largest root of

    .. math:: \frac{q}{1-q} = \frac N{m-1}\left[w\left(\theta^2 + \tau\frac{pn}N\right)
        + (1-w)\,\theta^2q_xq_y\right],\quad w = \frac{\tau q}{\tau q + 1}.

    Examples
    --------
    >>> from skrmt.theory.nested_tensor import nested_ml
    >>> result = nested_ml(n_samples=100, n_features=80, n_views=60, beta_t=0.4, beta_m=3)
    >>> round(result.sample_overlap, 4), round(result.view_overlap, 4)
    (0.6327, 0.8838)
    """
    model = as_model(n_samples, n_features, n_views, beta_t, beta_m, theta, tau)
    n, p, total = model.n_samples, model.n_features, model.total

    def residual(u: FloatArray) -> FloatArray:
        q = 1 - u
        noise = model.contracted_noise(q)
        sample, feature = spike_complements(model.signal * q, noise, n, p)
        classes = model.signal * (1 - feature) * (1 - sample) / q
        drive = (model.within * model.energy + classes) / noise
        return np.asarray(model.other_views - u * drive)

    view = largest_overlap(residual)
    if view >= 1:
        noise_edge = (np.sqrt(n) + np.sqrt(p)) ** 2 / total
        return nested_limit(1.0, 1.0, 0.0, noise_edge)
    sample, feature, eigenvalue = contracted(model, 1 - view)
    return nested_limit(sample, feature, 1 - view, eigenvalue)
