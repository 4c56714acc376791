"""Moments of the rows of a stage, and the rows that stand for all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from ...linalg import to_numpy
from ...utils._memory import refuse_dense

_RANK = 1e-10
"""Eigenvalue over the largest below which a direction is rounding error."""
_ROUNDING = 1e-26
"""Squared rounding error of a mean, over its largest square."""
_LITTLE = 0.1
"""Part of the second moments that a mean makes up to which subtracting it costs no digit."""
_MOST_ROWS = 2000
"""Rows of which fourth moments are taken: an error of a few per cent in the critical rate."""
_OUTLYING = 8.0
"""Robust standard deviations beyond which no noise of the other rows explains a residual."""
_MOST_OUTLYING = 0.01
"""Share of the rows beyond which outliers are the data and stay in the prediction."""


class RowMoments:
    """Moments of the rows of a stage, in coordinates of the eigenvectors of their covariance.

    Attributes
    ----------
    X : ndarray or sparse matrix of shape (n, p)
        The rows.
    rows : ndarray of int of shape (n,)
        Which rows of the fit they are.
    shares : ndarray of shape (n,)
        Probability of each row.
    together : ndarray of shape (n,)
        Probability of what goes out together with each row.
    mean : ndarray of shape (p,)
        Mean of the features.
    Y : ndarray of shape (n, K)
        Centred targets.
    target_mean : ndarray of shape (K,)
        Mean of the targets.
    eigenvalues : ndarray of shape (r,)
        Positive eigenvalues.
    vectors : ndarray of shape (p, r)
        Their eigenvectors.
    moment : ndarray of shape (r, K)
        Mean product of coordinates and targets.
    power : float
        Mean squared norm of the centred targets.
    """

    def __init__(self, X, rows, shares, together, mean, Y, target_mean, eigenvalues, vectors):
        self.X, self.rows, self.shares, self.together = X, rows, shares, together
        self.mean, self.Y, self.target_mean = mean, Y, target_mean
        self.eigenvalues, self.vectors = eigenvalues, vectors
        weighted = shares[:, None] * Y
        self.moment = vectors.T @ (X.T @ weighted - np.outer(mean, weighted.sum(axis=0)))
        self.power = float(np.vdot(weighted, Y))

    @property
    def n_effective(self) -> float:
        """Effective number of rows."""
        return 1 / float(self.shares @ self.together)

    @property
    def small_mean(self) -> bool:
        """Whether the mean is at most about three standard deviations."""
        return bool((self.mean**2).sum() <= 10 * self.eigenvalues.sum())

    def coordinates(self, rows=slice(None)) -> np.ndarray:
        """Return the coordinates of the centred rows, or of some of them, shape (n, r)."""
        if sparse.issparse(self.X):
            return self.X[rows] @ self.vectors - self.mean @ self.vectors
        return (self.X[rows] - self.mean) @ self.vectors

    def residuals(self, mean) -> np.ndarray:
        """Return the residuals (n, K) of weights that are given in coordinates."""
        weights = self.vectors @ mean
        fitted = self.X @ weights
        fitted -= self.mean @ weights
        return np.subtract(self.Y, fitted, out=fitted)

    def risk(self, weights) -> float:
        """Return half the mean squared residual of given weights."""
        weights = to_numpy(weights).astype(float).reshape(len(self.mean), -1)
        residuals = self.Y - (self.X @ weights - self.mean @ weights)
        return float(self.shares @ (residuals**2).sum(axis=1)) / 2


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
    norms : ndarray of shape (n,) or None
        Squared norms of all rows of the stage, where these are not all.
    n_extreme : int
        How many of the rows, the first ones, are those of largest norm.
    """

    rows: np.ndarray
    Z: np.ndarray
    shares: np.ndarray
    squares: np.ndarray
    fourth: np.ndarray
    norms: np.ndarray | None
    n_extreme: int


def row_moments(X, targets, shares, together, centred) -> RowMoments:
    """Return the moments of the rows that have a share; X is an array or a sparse matrix."""
    if sparse.issparse(X):
        why = "the predicted course takes the axes of the features"
        refuse_dense("X", X, int(min(X.shape)), why)
    used = np.flatnonzero(shares > 0)
    X = X.astype(float, copy=False) if sparse.issparse(X) else np.asarray(to_numpy(X), dtype=float)
    if len(used) < len(shares):
        X, targets, shares, together = X[used], targets[used], shares[used], together[used]
    mean, target_mean = shares @ X, shares @ targets
    if not centred:
        mean, target_mean = np.zeros_like(mean), np.zeros_like(target_mean)
    rounding = _ROUNDING * float((mean * mean).max())
    if sparse.issparse(X):
        values, vectors = _sparse_eigen(X, shares, mean, rounding)
    else:
        values, vectors = _eigen(X, shares, mean, rounding)
    together, Y = shares * together, targets - target_mean
    return RowMoments(X, used, shares, together, mean, Y, target_mean, values, vectors)


def _eigen(X, shares, mean, rounding):
    """Return the positive eigenvalues of the covariance and their vectors."""
    if X.shape[1] <= X.shape[0]:
        gram = weighted_gram(X, shares)
        if mean @ mean <= _LITTLE * np.trace(gram):
            gram -= np.outer(mean, mean)
        elif mean.any():
            gram = weighted_gram(X - mean, shares)
        values, vectors = eigh(gram)
        kept = values > max(_RANK * values[-1], rounding)
        return values[kept], vectors[:, kept]
    root = np.sqrt(shares)[:, None] * (X - mean)
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
        return _sample(np.arange(n), moments.coordinates(), moments.shares)
    norms = squared_norms(moments)
    order = np.argsort(-norms, kind="stable")
    head = most // 3
    rest = order[head:]
    picked = rest[np.linspace(0, len(rest) - 1, most - head).astype(int)]
    factor = moments.shares[rest].sum() / moments.shares[picked].sum()
    rows = np.concatenate([order[:head], picked])
    shares = np.concatenate([moments.shares[order[:head]], factor * moments.shares[picked]])
    return _sample(rows, moments.coordinates(rows), shares, norms, head)


def squared_norms(moments) -> np.ndarray:
    """Return the squared norm of each centred row."""
    X, mean = moments.X, moments.mean
    if sparse.issparse(X):
        norms = np.asarray(X.multiply(X).sum(axis=1)).ravel()
    else:
        norms = np.einsum("ij,ij->i", X, X)
    return np.maximum(norms - 2 * (X @ mean) + mean @ mean, 0)


def _sample(rows, Z, shares, norms=None, n_extreme=0) -> Sample:
    """Return rows with their fourth moments."""
    squares = Z**2
    fourth = weighted_gram(squares, shares)
    return Sample(rows, Z, shares, squares, fourth, norms, n_extreme)


def inlying_rows(moments) -> np.ndarray | None:
    """Return which rows no noise of the others explains less, None if all are or too many not."""
    solution = moments.moment / moments.eigenvalues[:, None]
    residuals = np.abs(moments.residuals(solution))
    scale = 1.4826 * np.median(residuals, axis=0)
    if not (scale > 1e-8 * np.abs(moments.Y).max()).all():
        return None
    kept = (residuals <= _OUTLYING * scale).all(axis=1)
    if kept.all() or moments.shares[~kept].sum() > _MOST_OUTLYING:
        return None
    return kept
