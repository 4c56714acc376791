"""Moments of the rows of a stage, and the rows that stand for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from ...linalg import to_numpy

_RANK = 1e-10
"""Eigenvalue over the largest below which a direction is rounding error."""
_ROUNDING = 1e-26
"""Squared rounding error of a mean, over its largest square."""
_MOST_ROWS = 3000
"""Rows of which fourth moments are taken: an error of a few per cent in the critical rate."""
_OUTLYING = 8.0
"""Robust standard deviations beyond which no noise of the other rows explains a residual."""
_MOST_OUTLYING = 0.01
"""Share of the rows beyond which outliers are the data and stay in the prediction."""


class RowMoments(NamedTuple):
    """Moments of the rows of a stage, in coordinates of the eigenvectors of their covariance.

    Attributes
    ----------
    rows : ndarray of int of shape (n,)
        Which rows of the fit they are.
    shares : ndarray of shape (n,)
        Probability of each row.
    together : ndarray of shape (n,)
        Probability of what goes out together with each row.
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

    rows: np.ndarray
    shares: np.ndarray
    together: np.ndarray
    mean: np.ndarray
    target_mean: np.ndarray
    eigenvalues: np.ndarray
    vectors: np.ndarray
    Z: np.ndarray
    Y: np.ndarray
    moment: np.ndarray

    @property
    def n_effective(self) -> float:
        """Effective number of rows."""
        return 1 / float(self.shares @ self.together)

    @property
    def small_mean(self) -> bool:
        """Whether the mean is at most about three standard deviations."""
        return bool((self.mean**2).sum() <= 10 * self.eigenvalues.sum())

    def risk(self, weights) -> float:
        """Return half the mean squared residual of given weights."""
        rotated = self.vectors.T @ to_numpy(weights).astype(float).reshape(len(self.mean), -1)
        return float(self.shares @ ((self.Y - self.Z @ rotated) ** 2).sum(axis=1)) / 2


class Sample(NamedTuple):
    """Rows that stand for all of a stage.

    Attributes
    ----------
    rows : ndarray of int of shape (m,)
        Which rows of the stage they are.
    Z : ndarray of shape (m, r)
        Their coordinates.
    shares : ndarray of shape (m,)
        What each stands for, summing to 1.
    squares : ndarray of shape (m, r)
        Squared coordinates.
    fourth : ndarray of shape (r, r)
        Mean products of squared coordinates.
    """

    rows: np.ndarray
    Z: np.ndarray
    shares: np.ndarray
    squares: np.ndarray
    fourth: np.ndarray


def row_moments(X, targets, shares, together, centred) -> RowMoments:
    """Return the moments of the rows that have a share; X is an array or a sparse matrix."""
    used = np.flatnonzero(shares > 0)
    X = X if sparse.issparse(X) else np.asarray(to_numpy(X), dtype=float)
    if len(used) < len(shares):
        X, targets, shares, together = X[used], targets[used], shares[used], together[used]
    together = shares * together
    mean, target_mean = shares @ X, shares @ targets
    if not centred:
        mean, target_mean = np.zeros_like(mean), np.zeros_like(target_mean)
    rounding = _ROUNDING * float((mean * mean).max())
    Y = targets - target_mean
    if sparse.issparse(X):
        values, vectors = _sparse_eigen(X, shares, mean, rounding)
        Z = X @ vectors
        Z -= mean @ vectors
    else:
        X = X - mean if centred else X
        values, vectors = _eigen(X, shares, rounding)
        Z = X @ vectors
    moment = Z.T @ (shares[:, None] * Y)
    return RowMoments(used, shares, together, mean, target_mean, values, vectors, Z, Y, moment)


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


def _sparse_eigen(X, shares, mean, rounding):
    """Return the same of a sparse matrix, whose rows are centred in the products alone."""
    root = np.sqrt(shares)
    scaled = sparse.diags_array(root) @ X
    if X.shape[1] <= X.shape[0]:
        values, vectors = eigh((scaled.T @ scaled).toarray() - np.outer(mean, mean))
        kept = values > max(_RANK * values[-1], rounding)
        return values[kept], vectors[:, kept]
    across = scaled @ mean
    gram = (scaled @ scaled.T).toarray() - np.outer(across, root) - np.outer(root, across)
    values, left = eigh(gram + float(mean @ mean) * np.outer(root, root))
    kept = values > max(_RANK * values[-1], rounding)
    left = left[:, kept] / np.sqrt(values[kept])
    return values[kept], scaled.T @ left - np.outer(mean, root @ left)


def weighted_gram(A, shares):
    """Return the mean of a a' over the rows a of A, without a copy where shares are equal."""
    if (shares == shares[0]).all():
        return shares[0] * (A.T @ A)
    return A.T @ (shares[:, None] * A)


def sample_rows(moments) -> Sample:
    """Return the rows of largest norm and a sample of the others, where there are many."""
    n, most = len(moments.shares), max(_MOST_ROWS, 2 * moments.eigenvalues.size)
    if n <= most:
        return _sample(np.arange(n), moments.Z, moments.shares)
    order = np.argsort(-np.einsum("ij,ij->i", moments.Z, moments.Z), kind="stable")
    head = most // 3
    rest = order[head:]
    picked = rest[np.linspace(0, len(rest) - 1, most - head).astype(int)]
    factor = moments.shares[rest].sum() / moments.shares[picked].sum()
    rows = np.concatenate([order[:head], picked])
    shares = np.concatenate([moments.shares[order[:head]], factor * moments.shares[picked]])
    return _sample(rows, moments.Z[rows], shares)


def _sample(rows, Z, shares) -> Sample:
    """Return rows with their fourth moments."""
    squares = Z**2
    return Sample(rows, Z, shares, squares, weighted_gram(squares, shares))


def inlying_rows(moments) -> np.ndarray | None:
    """Return which rows no noise of the others explains less, None if all are or too many not."""
    solution = moments.moment / moments.eigenvalues[:, None]
    residuals = np.abs(moments.Y - moments.Z @ solution)
    scale = 1.4826 * np.median(residuals, axis=0)
    if not (scale > 1e-8 * np.abs(moments.Y).max()).all():
        return None
    kept = (residuals <= _OUTLYING * scale).all(axis=1)
    if kept.all() or moments.shares[~kept].sum() > _MOST_OUTLYING:
        return None
    return kept
