"""Second and fourth moments of the rows of a stage, and the learning rate they allow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, get_blas_funcs

from ...linalg import to_numpy
from ...theory import sgd

_RANK = 1e-10
_ROUNDING = 1e-26
_MOST_ROWS = 3000


class Law(NamedTuple):
    """What rows of a stage are like, in the coordinates of the eigenvectors of their covariance.

    Attributes
    ----------
    shares : ndarray of shape (n,)
        Probability of each row.
    mean : ndarray of shape (p,)
        Mean of the features.
    target_mean : ndarray of shape (K,)
        Mean of the targets.
    eigenvalues : ndarray of shape (r,)
        Positive eigenvalues.
    vectors : ndarray of shape (p, r)
        Their eigenvectors.
    Z : ndarray of shape (n, r)
        Coordinates of the centred rows.
    Y : ndarray of shape (n, K)
        Centred targets.
    moment : ndarray of shape (r, K)
        Mean product of coordinates and targets.
    """

    shares: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    Z: np.ndarray
    Y: np.ndarray
    moment: np.ndarray


def stage_means(X, targets, shares):
    """Return the means of features and targets."""
    return shares @ np.asarray(X, dtype=float), shares @ targets


def stage_law(X, targets, shares, centred):
    """Return the law of the rows."""
    used = shares > 0
    X = np.asarray(to_numpy(X), dtype=float)[used]
    targets, shares = targets[used], shares[used]
    mean, target_mean = stage_means(X, targets, shares)
    if not centred:
        mean, target_mean = np.zeros_like(mean), np.zeros_like(target_mean)
    rounding = _ROUNDING * float((mean * mean).max())
    X, Y = X - mean, targets - target_mean
    values, vectors = _eigen(X, shares, rounding)
    Z = X @ vectors
    return Law(shares, mean, target_mean, values, vectors, Z, Y, Z.T @ (shares[:, None] * Y))


def _eigen(X, shares, rounding):
    """Return the positive eigenvalues of the covariance and their vectors."""
    if X.shape[1] <= X.shape[0]:
        values, vectors = eigh(weighted_gram(X, shares))
        kept = values > max(_RANK * values[-1], rounding)
        return values[kept], vectors[:, kept]
    root = np.sqrt(shares)[:, None] * X
    values, left = eigh(root @ root.T)
    kept = values > max(_RANK * values[-1], rounding)
    return values[kept], root.T @ (left[:, kept] / np.sqrt(values[kept]))


def weighted_gram(A, shares):
    """Return the mean of a a' over the rows a of A, without a copy where shares are equal."""
    if (shares == shares[0]).all():
        return shares[0] * (A.T @ A)
    return A.T @ (shares[:, None] * A)


def gaussian_critical(law, batch_size):
    """Return the critical rate if the rows were Gaussian; infinite where they do not vary."""
    if not law.eigenvalues.size:
        return np.inf
    return float(sgd.critical_learning_rate(law.eigenvalues, batch_size))


def critical_rate(law, batch_size, tolerance=1e-4, most_steps=200):
    r"""Return the largest rate at which second moments converge, for the rows themselves."""
    lam = law.eigenvalues
    if not lam.size:
        return np.inf
    Z, shares = _thinned(law)
    top = lam[-1]
    Z, lam = Z / np.sqrt(top), lam / top
    if lam.size > 400:
        tolerance, most_steps = max(tolerance, 2e-2), 25
    sums, products = lam[:, None] + lam, (1 - 1 / batch_size) * np.outer(lam, lam)
    matrix = np.diag(1 / np.sqrt(lam.size * np.ones_like(lam)))
    rate = np.inf
    for _ in range(most_steps):
        image = _fourth(Z, shares, matrix) / batch_size
        previous, rate = rate, _norm_keeping_rate(image, sums, products, batch_size)
        matrix = rate * image / (sums - rate * products)
        matrix /= np.linalg.norm(matrix)
        if abs(rate - previous) <= tolerance * rate / 10:
            break
    return float(rate / top)


def _thinned(law):
    """Return rows and shares, thinned out where there are many."""
    n, most = len(law.shares), max(_MOST_ROWS, 2 * law.eigenvalues.size)
    if n <= most:
        return law.Z, law.shares
    order = np.argsort(-np.einsum("ij,ij->i", law.Z, law.Z), kind="stable")
    head = most // 3
    rest = order[head:]
    picked = rest[np.linspace(0, len(rest) - 1, most - head).astype(int)]
    factor = law.shares[rest].sum() / law.shares[picked].sum()
    rows = np.concatenate([order[:head], picked])
    shares = np.concatenate([law.shares[order[:head]], factor * law.shares[picked]])
    return law.Z[rows], shares


def _fourth(Z, shares, matrix):
    """Return E[x x' M x x']."""
    forms = shares * np.einsum("ij,ij->i", Z @ matrix, Z)
    scaled = np.sqrt(np.maximum(forms, 0))[:, None] * Z
    syrk = get_blas_funcs("syrk", (scaled,))
    lower = syrk(1.0, scaled.T, lower=1)
    return np.tril(lower) + np.tril(lower, -1).T


def _norm_keeping_rate(image, sums, products, batch_size):
    """Return the rate at which the norm of rate * image / (sums - rate * products) is 1."""
    if batch_size == 1:
        return float(1 / np.linalg.norm(image / sums))
    low, high = 0.0, 2 / (1 - 1 / batch_size)
    for _ in range(50):
        rate = (low + high) / 2
        large = rate * np.linalg.norm(image / (sums - rate * products)) > 1
        low, high = (low, rate) if large else (rate, high)
        if high - low < 1e-9 * low:
            break
    return low
