"""Clusters in a few leading components, and an accuracy that holds on real data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, ndtr
from sklearn.cluster import KMeans

_STARTS = 20
"""Random directions from which two modes are sought, beside the axes."""

_CONTRAST = 2.0
"""Slope of the tanh of the fixed-point iteration: between FastICA's 1 and 2, the end that favours
two modes over heavy tails."""

_FIRST_SWEEPS = 12
"""Sweeps from all starts; the fixed points attract so fast that their order is then settled."""

_FINALISTS = 3
_SWEEPS = 100
_EM_SWEEPS = 200
_CUTS = (0.1, 0.9)
"""Shares of the scores at which starts of a mixture are cut, beside their mean: the likelihood of
clusters of unequal size has a poor maximum at equal ones."""

_SETTLED = 1e-4
"""Gain of log-likelihood of a row at which mixtures stop: labels no longer change."""

_LEAST_VARIANCE = 1e-6
"""Least variance of a cluster over that of all points: a cluster of one point would have none."""

_KMEANS_STARTS = 10
_DRAWS = 20_000
"""Draws of a mixture from which its accuracy is counted, to a standard error below 0.004."""


class TiedMixture(NamedTuple):
    """Two Gaussian laws of one variance.

    Attributes
    ----------
    means : ndarray of shape (2,)
        The lower and the higher mean.
    variance : float
        Their variance.
    prior : float
        Share of the higher one.
    """

    means: np.ndarray
    variance: float
    prior: float

    @property
    def separation(self) -> float:
        """Half the distance of the means, in standard deviations."""
        return float((self.means[1] - self.means[0]) / 2 / np.sqrt(self.variance))

    @property
    def slope(self) -> float:
        """Change of the log-odds with the score."""
        return float((self.means[1] - self.means[0]) / self.variance)

    @property
    def threshold(self) -> float:
        """Score of equal odds."""
        odds = np.log(self.prior / (1 - self.prior))
        return float(self.means.mean() - odds / self.slope)

    def log_odds(self, scores: np.ndarray) -> np.ndarray:
        """Return the log-odds of the higher law."""
        return self.slope * (scores - self.threshold)

    def prior_error(self, scores: np.ndarray) -> float:
        """Return the standard error of the prior, all four parameters unknown."""
        share = expit(self.log_odds(scores))
        low, high = scores - self.means[0], scores - self.means[1]
        squares = (1 - share) * low**2 + share * high**2
        gradients = np.stack(
            [
                share / self.prior - (1 - share) / (1 - self.prior),
                (1 - share) * low / self.variance,
                share * high / self.variance,
                squares / (2 * self.variance**2) - 1 / (2 * self.variance),
            ]
        )
        information = gradients @ gradients.T
        scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
        values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
        if values[0] < 1e-10:
            return float("inf")
        return float(np.sqrt((vectors[0] ** 2 / values).sum()) / scale[0])

    @property
    def accuracy(self) -> float:
        """Share of draws on the right side of the threshold."""
        a, odds = self.separation, np.log(self.prior / (1 - self.prior))
        offset = odds / (2 * a) if a > 0 else 0.0
        return float(self.prior * ndtr(a + offset) + (1 - self.prior) * ndtr(a - offset))


def fit_tied_mixture(scores: np.ndarray) -> TiedMixture:
    """Fit two Gaussian laws of one variance to scores, by maximum likelihood."""
    centre, scale = scores.mean(), scores.std() or 1.0
    s = (scores - centre) / scale
    cuts = np.quantile(s, _CUTS)
    starts = [(np.array([-1.0, 1.0]) * np.abs(s).mean(), 0.5)]
    starts += [
        (np.array([s[s <= c].mean(), s[s > c].mean()]), 1 - q)
        for q, c in zip(_CUTS, cuts, strict=True)
        if (s > c).any()
    ]
    fits = [_tied_from(s, means, prior) for means, prior in starts]
    _, means, variance, prior = max(fits, key=lambda fit: fit[0])
    return TiedMixture(centre + scale * means, variance * scale**2, prior)


def _tied_from(s, means, prior):
    """Return the log-likelihood, means, variance and prior of standardised scores from a start."""
    variance = max(1e-6, float(1 - (1 - prior) * means[0] ** 2 - prior * means[1] ** 2))
    for _ in range(_EM_SWEEPS):
        odds = np.log(prior / (1 - prior)) + (means[1] - means[0]) / variance * (s - means.mean())
        share = expit(odds)
        count = np.clip(share.mean(), 1 / len(s), 1 - 1 / len(s))
        first = (share * s).mean()
        updated = np.array([(s.mean() - first) / (1 - count), first / count])
        moved, means, prior = np.abs(updated - means).max(), updated, float(count)
        variance = max(1e-6, float(1 - (1 - prior) * means[0] ** 2 - prior * means[1] ** 2))
        if moved < 1e-8:
            break
    if means[0] > means[1]:
        means, prior = means[::-1], 1 - prior
    squares = -((s[:, None] - means) ** 2) / (2 * variance) + np.log([1 - prior, prior])
    likelihood = np.logaddexp(*squares.T).mean() - 0.5 * np.log(variance)
    return float(likelihood), means, variance, prior


def bimodal_direction(whitened: np.ndarray, seed: int = 0) -> np.ndarray:
    r"""Find the direction along which whitened scores have two modes."""
    r = whitened.shape[1]
    if r == 1:
        return np.ones(1)
    starts = np.random.default_rng(seed).standard_normal((r, _STARTS))
    W = np.concatenate([np.eye(r), starts / np.linalg.norm(starts, axis=0)], axis=1)
    W = _towards_modes(whitened, W, _FIRST_SWEEPS)
    W = W[:, np.argsort(-_contrasts(whitened, W), kind="stable")[:_FINALISTS]]
    W = _towards_modes(whitened, W, _SWEEPS)
    return np.asarray(W[:, int(_contrasts(whitened, W).argmax())])


def _towards_modes(whitened, W, sweeps):
    """Move directions to those of two modes by fixed-point iterations."""
    for _ in range(sweeps):
        bent = np.tanh(_CONTRAST * (whitened @ W))
        flat = 1 - np.einsum("nj,nj->j", bent, bent) / len(whitened)
        new = whitened.T @ bent / len(whitened) - _CONTRAST * flat * W
        new /= np.maximum(np.linalg.norm(new, axis=0), 1e-300)
        new *= np.where((new * W).sum(axis=0) < 0, -1.0, 1.0)
        moved, W = np.abs(new - W).max(), new
        if moved < 1e-8:
            break
    return W


def _contrasts(whitened, W):
    """Return how much of two modes scores have along directions."""
    scores = _CONTRAST * np.abs(whitened @ W)
    return (scores + np.log1p(np.exp(-2 * scores))).mean(axis=0)


def kurtosis(scores: np.ndarray) -> float:
    """Return the fourth moment of centred scores over their squared variance."""
    squares = (scores - scores.mean()) ** 2
    variance = float(squares.mean())
    return float((squares**2).mean()) / variance**2 if variance > 0 else 3.0


class UnitMixture(NamedTuple):
    """Gaussian clusters of covariance 1.

    Attributes
    ----------
    means : ndarray of shape (k, r)
        Their means.
    priors : ndarray of shape (k,)
        Their shares.
    n_iter : int
        Sweeps.
    """

    means: np.ndarray
    priors: np.ndarray
    n_iter: int

    def log_joint(self, points: np.ndarray) -> np.ndarray:
        """Return the log-densities of points in the clusters, up to a constant of each point."""
        products = points @ self.means.T - 0.5 * (self.means**2).sum(axis=1)
        return np.asarray(products + np.log(np.maximum(self.priors, 1e-300)))

    def accuracy(self, rng: np.random.Generator) -> float:
        """Return the share of draws that go to their own cluster."""
        classes = rng.choice(len(self.priors), _DRAWS, p=self.priors / self.priors.sum())
        points = self.means[classes] + rng.standard_normal((_DRAWS, self.means.shape[1]))
        return float((self.log_joint(points).argmax(axis=1) == classes).mean())


def fit_gaussian_clusters(
    points: np.ndarray, starts: list[np.ndarray], k: int, tied: bool
) -> GaussianClusters:
    """Fit Gaussian clusters by maximum likelihood, from labels; keep the most likely fit."""
    fits = [_from_labels(points, labels, k, tied) for labels in starts]
    return max(fits, key=lambda fit: fit[0])[1]


def _from_labels(points, labels, k, tied):
    """Return the log-likelihood and the fit that starts from labels."""
    share, last = np.eye(k)[labels], -np.inf
    fit = _gaussians(points, share, tied, 0)
    for sweep in range(1, _EM_SWEEPS + 1):
        log_joint = fit.log_joint(points)
        top = log_joint.max(axis=1, keepdims=True)
        share = np.exp(log_joint - top)
        total = share.sum(axis=1, keepdims=True)
        likelihood = float((top + np.log(total)).mean())
        fit = _gaussians(points, share / total, tied, sweep)
        if likelihood - last < _SETTLED:
            break
        last = likelihood
    return likelihood, fit


def _gaussians(points, share, tied, n_iter):
    """Return the Gaussian clusters of soft labels."""
    counts = np.maximum(share.sum(axis=0), 1e-9)
    means = share.T @ points / counts[:, None]
    rest = points[:, None] - means
    squares = np.einsum("nk,nkr,nks->krs", share, rest, rest, optimize=True)
    if tied:
        squares = np.broadcast_to(squares.sum(axis=0) / len(points), squares.shape)
    else:
        squares = squares / counts[:, None, None]
    floor = _LEAST_VARIANCE * points.var(axis=0).mean() + 1e-300
    values, vectors = np.linalg.eigh(squares)
    roots = vectors / np.sqrt(np.maximum(values, floor))[:, None, :]
    return GaussianClusters(means, roots, counts / counts.sum(), n_iter)


class GaussianClusters(NamedTuple):
    """Gaussian clusters of any covariances.

    Attributes
    ----------
    means : ndarray of shape (k, r)
        Their means.
    roots : ndarray of shape (k, r, r)
        Matrices that whiten them from the right.
    priors : ndarray of shape (k,)
        Their shares.
    n_iter : int
        Sweeps.
    """

    means: np.ndarray
    roots: np.ndarray
    priors: np.ndarray
    n_iter: int

    def log_joint(self, points: np.ndarray) -> np.ndarray:
        """Return the log-densities of points in the clusters, up to a constant of each point."""
        white = np.einsum("nkr,krs->nks", points[:, None] - self.means, self.roots)
        volumes = np.log(np.abs(np.linalg.det(self.roots)))
        priors = np.log(np.maximum(self.priors, 1e-300))
        return np.asarray(priors + volumes - 0.5 * (white**2).sum(axis=2))


def fit_unit_mixture(
    points: np.ndarray, n_clusters: int, seed: int, tol: float = 1e-6, max_iter: int = 300
) -> UnitMixture:
    """Fit Gaussian clusters of covariance 1, by maximum likelihood from ten k-means starts."""
    start = KMeans(n_clusters, n_init=_KMEANS_STARTS, random_state=seed).fit(points)
    counts = np.bincount(start.labels_, minlength=n_clusters)
    fit = UnitMixture(start.cluster_centers_.astype(np.float64), counts / len(points), 0)
    for sweep in range(max_iter):
        log_joint = fit.log_joint(points)
        share = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        priors = np.maximum(share.mean(axis=0), 1e-12)
        means = share.T @ points / (len(points) * priors[:, None])
        moved = np.abs(means - fit.means).max()
        fit = UnitMixture(means, priors / priors.sum(), sweep + 1)
        if moved <= tol:
            break
    order = np.argsort(-fit.means[:, 0], kind="stable")
    return UnitMixture(fit.means[order], fit.priors[order], fit.n_iter)
