"""Generators of synthetic rows that people fit to a few real ones, each from (X, y, n, rng)."""

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.mixture import GaussianMixture

from skrmt.datasets import GaussianGenerator


def _by_class(draw):
    """Return a generator that draws each class in its share of the real rows."""

    def generator(X, y, n, rng):
        classes, counts = np.unique(y, return_counts=True)
        sizes = np.diff(np.round(np.cumsum([0, *counts]) * n / len(y)).astype(int))
        parts = [draw(X[y == k], size, rng) for k, size in zip(classes, sizes, strict=True)]
        return np.concatenate(parts), np.repeat(classes, sizes)

    return generator


@_by_class
def smote(X, n, rng):
    """Draw points between a row and one of its five nearest neighbours."""
    first = rng.integers(len(X), size=n)
    if len(X) == 1:
        return X[first]
    distances = ((X[:, None] - X) ** 2).sum(-1)
    near = np.argsort(distances, axis=1)[:, 1 : min(6, len(X))]
    second = near[first, rng.integers(near.shape[1], size=n)]
    return X[first] + rng.random((n, 1)) * (X[second] - X[first])


@_by_class
def mixture(X, n, rng):
    """Draw from a mixture of three Gaussians, or one for each ten rows."""
    model = GaussianMixture(
        min(3, max(1, len(X) // 10)), reg_covar=1e-2, random_state=int(rng.integers(2**31))
    ).fit(X if len(X) > 1 else np.repeat(X, 2, axis=0))
    return model.sample(max(n, 1))[0][:n]


@_by_class
def density(X, n, rng):
    """Draw from a kernel density with Scott's bandwidth, one for each feature."""
    width = X.std(0) * len(X) ** (-1 / (X.shape[1] + 4))
    return X[rng.integers(len(X), size=n)] + width * rng.normal(size=(n, X.shape[1]))


@_by_class
def copula(X, n, rng):
    """Draw from a Gaussian copula with the quantiles of the rows as margins."""
    scores = norm.ppf(rankdata(X, axis=0) / (len(X) + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(scores.T)).reshape(X.shape[1], -1)
    correlation = 0.9 * correlation + 0.1 * np.eye(len(correlation))
    np.fill_diagonal(correlation, 1.0)
    values, vectors = np.linalg.eigh(correlation)
    drawn = rng.normal(size=(n, X.shape[1])) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    shares = norm.cdf(drawn)
    return np.stack([np.quantile(x, share) for x, share in zip(X.T, shares.T, strict=True)], axis=1)


@_by_class
def jitter(X, n, rng):
    """Draw copies of rows with noise of a tenth of a standard deviation."""
    return X[rng.integers(len(X), size=n)] + 0.1 * X.std(0) * rng.normal(size=(n, X.shape[1]))


def gaussian(X, y, n, rng):
    """Draw from Gaussians of shrunk covariances, one for each class."""
    return GaussianGenerator()(X, y, n, int(rng.integers(2**31)))


GENERATORS = {
    "SMOTE": smote,
    "Gaussian mixture": mixture,
    "kernel density": density,
    "copula": copula,
    "jittered copies": jitter,
    "Gaussian": gaussian,
}
