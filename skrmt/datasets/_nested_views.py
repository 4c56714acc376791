"""Samples seen through several noisy views."""

from __future__ import annotations

import numbers
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike

from ..utils._random import fresh_random_state


class NestedViews(NamedTuple):
    """Views of samples, and what they are views of.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features, n_views)
        The views.
    y : ndarray of int of shape (n_samples,)
        Class of each sample.
    means : ndarray of shape (n_classes, n_features)
        Means of the classes.
    strengths : ndarray of shape (n_views,)
        Strengths of the views.
    """

    X: np.ndarray
    y: np.ndarray
    means: np.ndarray
    strengths: np.ndarray


class NoisyCopies(NamedTuple):
    """Noisy views of data.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features, n_views)
        The views.
    noise_stds : ndarray of shape (n_views,)
        Standard deviations of their noise, in units of the data.
    """

    X: np.ndarray
    noise_stds: np.ndarray


def make_nested_views(
    n_samples: int = 400,
    n_features: int = 300,
    *,
    noise_stds: ArrayLike = (1.0, 2.0, 3.0, 6.0),
    separation: float = 2.0,
    within_std: float = 1.0,
    strengths: ArrayLike | None = None,
    n_classes: int = 2,
    prior: ArrayLike | None = None,
    random_state: int | RandomState | None = None,
) -> NestedViews:
    r"""Draw samples of several classes, seen through several noisy views.

    Parameters
    ----------
    n_samples, n_features : int, default=400, 300
        Sizes.
    noise_stds : array-like of shape (n_views,), default=(1.0, 2.0, 3.0, 6.0)
        Standard deviations :math:`\sigma_k` of the noise of the views.
    separation : float, default=2.0
        Norm of the mean of each class: two are at :math:`\pm\mu`, more at the corners of a regular
        simplex.
    within_std : float, default=1.0
        Standard deviation :math:`\sigma_z` of the noise within classes, which the views share.
    strengths : array-like of shape (n_views,), default=None
        Strengths :math:`h_k` of the views; 1 if None.
    n_classes : int, default=2
        Number of classes.
    prior : array-like of shape (n_classes,), default=None
        Shares of the classes, met exactly up to rounding; equal ones if None.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    NestedViews
        Views :math:`h_k(\mu_{y_i}+\sigma_zz_i)+\sigma_kw_{ik}`, classes, means and strengths.

    Raises
    ------
    ValueError
        If an argument is outside its domain.

    See Also
    --------
    skrmt.cluster.NestedTensorClustering : Finds the classes.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Examples
    --------
    >>> from skrmt.datasets import make_nested_views
    >>> make_nested_views(50, 20, random_state=0).X.shape
    (50, 20, 4)
    """
    sizes = {"n_samples": n_samples, "n_features": n_features, "n_classes": n_classes}
    for name, value in sizes.items():
        if not isinstance(value, numbers.Integral) or value < 1:
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    if n_classes < 2 or n_classes - 1 > n_features:
        raise ValueError(
            f"n_classes must be from 2 to n_features + 1 = {n_features + 1}, got {n_classes}."
        )
    noise = _not_negative("noise_stds", noise_stds)
    within = _not_negative("within_std", [within_std])[0]
    norm = _not_negative("separation", [separation])[0]
    h = np.ones(len(noise)) if strengths is None else np.asarray(strengths, dtype=np.float64)
    if h.shape != noise.shape or not np.isfinite(h).all():
        raise ValueError(
            f"strengths must hold {len(noise)} finite numbers, one per view, got {strengths!r}."
        )
    counts = _counts(prior, n_classes, n_samples)
    rng = fresh_random_state(random_state)
    means = norm * _simplex(n_classes, n_features, rng)
    y = rng.permutation(np.repeat(np.arange(n_classes), counts))
    core = means[y] + within * rng.standard_normal((n_samples, n_features))
    X = core[:, :, None] * h
    X += rng.standard_normal((n_samples, n_features, len(noise))) * noise
    return NestedViews(X, y, means, h)


def make_noisy_copies(
    X: ArrayLike,
    noise_stds: ArrayLike,
    *,
    relative: bool = True,
    random_state: int | RandomState | None = None,
) -> NoisyCopies:
    """Make noisy views of data.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        The data.
    noise_stds : array-like of shape (n_views,)
        Standard deviations of the noise of the views.
    relative : bool, default=True
        Whether these are in units of the standard deviation of all entries of X.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    NoisyCopies
        Copies of X with independent Gaussian noise, and its standard deviations.

    Raises
    ------
    ValueError
        If X is not a finite matrix or a standard deviation is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.datasets import make_noisy_copies
    >>> make_noisy_copies(np.eye(3), [0.0, 1.0], random_state=0).X[:, :, 0]
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    data = np.asarray(X, dtype=np.float64)
    if data.ndim != 2 or not data.size or not np.isfinite(data).all():
        raise ValueError(
            f"X must be a finite matrix (n_samples, n_features), got shape {data.shape}. Reshape "
            "it, and impute what is missing."
        )
    noise = _not_negative("noise_stds", noise_stds) * (data.std() if relative else 1.0)
    rng = fresh_random_state(random_state)
    views = data[:, :, None] + rng.standard_normal((*data.shape, len(noise))) * noise
    return NoisyCopies(views, noise)


def _not_negative(name, values):
    """Return numbers of 0 or more."""
    array = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if array.ndim != 1 or not array.size or not (np.isfinite(array) & (array >= 0)).all():
        raise ValueError(f"{name} must be finite and 0 or more, got {values!r}.")
    return array


def _counts(prior, n_classes, n_samples):
    """Return how many samples each class has."""
    shares = np.full(n_classes, 1 / n_classes) if prior is None else np.asarray(prior, dtype=float)
    if shares.shape != (n_classes,) or not (shares > 0).all() or abs(shares.sum() - 1) > 1e-8:
        raise ValueError(
            f"prior must hold {n_classes} positive shares that sum to 1, got {prior!r}."
        )
    ends = np.round(np.cumsum(shares) * n_samples).astype(int)
    return np.diff(ends, prepend=0)


def _simplex(n_classes, n_features, rng):
    """Return unit vectors at equal angles, two of them opposite, in random directions."""
    basis = np.linalg.qr(rng.standard_normal((n_features, n_classes - 1)))[0]
    centred = np.eye(n_classes) - 1 / n_classes
    vectors = np.linalg.svd(centred)[0][:, : n_classes - 1]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ basis.T
