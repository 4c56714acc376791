"""How wrong the labels of generated rows are, and where their classes lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax
from scipy.stats import gamma

_TINY = 1e-300
_SMALLEST_SIGNAL = 0.05
_RANGE = (0.2, 5.0)
_FACTOR_SPREAD = 0.3
_LOG_FACTORS = np.linspace(-0.9, 0.9, 13)


class FlipRate(NamedTuple):
    """Share of wrong labels.

    Attributes
    ----------
    rate : float
        The estimate, in [0, 1].
    std : float
        Its standard error, that of the scale of the scores excepted.
    """

    rate: float
    std: float


class ClassGeometry(NamedTuple):
    """Where the classes of rows lie.

    Attributes
    ----------
    means : ndarray of shape (K, p)
        Class means less their weighted mean.
    shares : ndarray of shape (K,)
        Frequencies of the classes.
    trace : float
        Trace of the covariance within classes.
    size : float
        Effective number of rows.
    """

    means: np.ndarray
    shares: np.ndarray
    trace: float
    size: float

    @property
    def noise(self):
        """Expected squared norm of the error of `means`, weighted by `shares`."""
        return (len(self.shares) - 1) * self.trace / self.size

    def energy(self):
        """Return the squared norm of the means, weighted by `shares`, without bias."""
        return float(self.shares @ (self.means**2).sum(1)) - self.noise


def separation_ratio(
    real_scores, real_observed, real_weights, scores, sample_weight, variance_ratio
):
    r"""Return how much larger the log-odds of generated rows are than those of real ones.

    Parameters
    ----------
    real_scores : ndarray of shape (n, q)
        Leave-one-out scores of the real rows.
    real_observed : ndarray of shape (n,)
        Codes of their classes.
    real_weights : ndarray of shape (n,)
        Their weights.
    scores : ndarray of shape (m, q)
        Scores of the generated rows by a fit to real ones.
    sample_weight : ndarray of shape (m,)
        Weights of the generated rows.
    variance_ratio : float
        Variance within classes of the generated rows over that of the real ones.

    Returns
    -------
    float
        Ratio, between 0.2 and 5.

    Notes
    -----
    The variance of a score is that within classes plus that between; the second part is the square
    of the separation of the classes. The log-odds of Gaussian classes have the slope separation
    over variance.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._source_labels import separation_ratio
    >>> scores = np.array([[-1.2], [-0.8], [0.8], [1.2]])
    >>> labels, one = np.array([0, 0, 1, 1]), np.ones(4)
    >>> round(separation_ratio(scores, labels, one, 2 * scores, one, 4.0), 3)
    0.5
    """
    w = real_weights / real_weights.sum()
    means = np.stack(
        [
            np.average(real_scores[real_observed == k], axis=0, weights=w[real_observed == k])
            for k in np.unique(real_observed)
        ]
    )
    places = np.searchsorted(np.unique(real_observed), real_observed)
    within = float(w @ ((real_scores - means[places]) ** 2).sum(1))
    between = float(w @ ((real_scores - w @ real_scores) ** 2).sum(1)) - within
    share = sample_weight / sample_weight.sum()
    seen = float(share @ ((scores - share @ scores) ** 2).sum(1)) - variance_ratio * within
    if not (between > 0 and variance_ratio > 0):
        return 1.0
    ratio = np.sqrt(max(seen, 0.0) / between) / variance_ratio
    return float(np.clip(ratio, *_RANGE))


def flip_rate(logits, observed, sample_weight):
    r"""Estimate the share of wrong labels from scores that have not seen them.

    Parameters
    ----------
    logits : ndarray of shape (m,) or (m, K)
        Log-odds of the second class, or log-posteriors, for the true class; up to a factor whose
        logarithm has the standard deviation 0.3.
    observed : ndarray of shape (m,)
        Codes of the labels.
    sample_weight : ndarray of shape (m,)
        Weights of the rows.

    Returns
    -------
    FlipRate
        Rate of largest posterior probability; wrong labels are uniform over the other classes.

    Notes
    -----
    With q the posterior of the label, its probability is
    ``(1 - e) q + e (1 - q) / (K - 1)``, linear in the rate e: the likelihood is concave in it, and
    is maximised for 13 factors of the logits.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._source_labels import flip_rate
    >>> logits = np.tile([-9.0, 9.0], 50)
    >>> observed = np.tile([0, 1], 50)
    >>> observed[:20] = 0
    >>> round(flip_rate(logits, observed, np.ones(100)).rate, 3)
    0.1
    """
    if len(observed) == 0:
        return FlipRate(np.nan, np.nan)
    n_classes = 2 if logits.ndim == 1 else logits.shape[1]
    best, highest = None, -np.inf
    for log_factor in _LOG_FACTORS:
        own = _own_posterior(np.exp(log_factor) * logits, observed)
        slope = (1.0 - own) / (n_classes - 1) - own
        rate = _likeliest_rate(own, slope, sample_weight)
        value = sample_weight @ np.log(np.maximum(own + rate * slope, 1e-12))
        value -= 0.5 * (log_factor / _FACTOR_SPREAD) ** 2
        if value > highest:
            best, highest = (rate, own + rate * slope, slope), value
    rate, seen, slope = best
    information = sample_weight @ (slope / np.maximum(seen, 1e-6)) ** 2
    size = sample_weight.sum() ** 2 / (sample_weight**2).sum()
    information *= size / sample_weight.sum()
    return FlipRate(rate, float(1.0 / np.sqrt(max(information, _TINY))))


def _own_posterior(logits, observed):
    """Return the posterior of each label's class."""
    if logits.ndim == 1:
        return expit(np.where(observed == 1, logits, -logits))
    return softmax(logits, axis=1)[np.arange(len(observed)), observed]


def _likeliest_rate(own, slope, sample_weight):
    """Return the rate of largest likelihood, in [0, 1], by Fisher's method."""
    rate = 0.25
    for _ in range(60):
        gain = slope / np.maximum(own + rate * slope, 1e-12)
        information = sample_weight @ gain**2
        new = float(np.clip(rate + sample_weight @ gain / max(information, _TINY), 0.0, 1.0))
        if abs(new - rate) < 1e-9:
            break
        rate = new
    return rate


def class_geometry(X, observed, sample_weight, n_classes):
    """Return the class means and the variance within classes.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, p)
        The rows.
    observed : ndarray of shape (n,)
        Codes of the labels.
    sample_weight : ndarray of shape (n,)
        Weights of the rows.
    n_classes : int
        K.

    Returns
    -------
    ClassGeometry
        Moments; a class without rows has a mean of zero and no share.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._source_labels import class_geometry
    >>> X = np.array([[-2.0], [0.0], [1.0], [3.0]])
    >>> geometry = class_geometry(X, np.array([0, 0, 1, 1]), np.ones(4), 2)
    >>> geometry.means.ravel().tolist(), geometry.trace
    ([-1.5, 1.5], 2.0)
    """
    member = np.eye(n_classes)[observed] * sample_weight[:, None]
    return geometry_of_sums(*class_sums(X, member), member)


def class_sums(X, member):
    """Return what rows add to the moments of the classes.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n, p)
        The rows.
    member : ndarray of shape (n, K)
        Weight of each row in the column of its class, 0 in the others.

    Returns
    -------
    sums : ndarray of shape (K, p)
        Weighted sum of the rows of each class.
    energy : float
        Weighted sum of the squared norms of the rows.
    """
    squares = X.multiply(X).sum(1) if hasattr(X, "multiply") else np.einsum("ij,ij->i", X, X)
    energy = member.sum(1) @ np.asarray(squares, dtype=float).ravel()
    return np.asarray((X.T @ member).T, dtype=float), float(energy)


def geometry_of_sums(sums, energy, member):
    """Return the class means and the variance within classes from sums over the rows.

    Parameters
    ----------
    sums : ndarray of shape (K, p)
        Weighted sum of the rows of each class.
    energy : float
        Weighted sum of the squared norms of the rows.
    member : ndarray of shape (n, K)
        Weight of each row in the column of its class, 0 in the others.

    Returns
    -------
    ClassGeometry
        Moments; a class without rows has a mean of zero and no share.
    """
    weights = member.sum(1)
    total = weights.sum()
    shares = member.sum(0) / total
    means = sums / np.maximum(shares * total, _TINY)[:, None]
    within = energy / total - shares @ (means**2).sum(1)
    size = total**2 / (weights**2).sum()
    freedom = max(size - (shares > 0).sum(), 1.0)
    means = np.where(shares[:, None] > 0, means - shares @ means, 0.0)
    return ClassGeometry(means, shares, float(max(within, 0.0) * size / freedom), float(size))


def generator_shift(real, synthetic, contrast):
    r"""Return how the class means of a generator differ from those of real rows.

    Parameters
    ----------
    real, synthetic : ClassGeometry
        From `class_geometry`, by observed labels.
    contrast : float
        ``1 - e K / (K - 1)`` with e the share of wrong synthetic labels, by which means of
        observed classes are shrunk; negative where labels are worse than chance.

    Returns
    -------
    scale : float
        Component along the real means (1: right); nan without signal.
    orthogonal : float
        Norm of the other component for a pair of classes, in the unit of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._source_labels import class_geometry, generator_shift
    >>> X = np.array([[-2.0, 1.0], [-2.0, -1.0], [2.0, 1.0], [2.0, -1.0]])
    >>> real = class_geometry(X, np.array([0, 0, 1, 1]), np.ones(4), 2)
    >>> scale, orthogonal = generator_shift(real, real, 0.5)
    >>> bool(scale > 1.0)
    True
    """
    if not abs(contrast) > _SMALLEST_SIGNAL:
        return np.nan, np.nan
    cross = float(real.shares @ (real.means * synthetic.means).sum(1)) / contrast
    energy = real.energy()
    if energy <= 0.0:
        return np.nan, np.nan
    rest = synthetic.energy() / contrast**2 - cross**2 / energy
    return cross / energy, float(np.sqrt(max(rest, 0.0) / (len(real.shares) - 1)))


def leak_pvalue(real, synthetic, n_dimensions):
    r"""Test whether a generator has seen the real rows.

    Parameters
    ----------
    real, synthetic : ClassGeometry
        From `class_geometry`.
    n_dimensions : float
        Effective number of features, ``(tr C)^2 / tr C^2``.

    Returns
    -------
    float
        Probability that class means independent of the real rows come so near to theirs.

    Notes
    -----
    The distance of the real class means from a multiple of the synthetic ones is, at least, the
    error of both: ``(K - 1) (tr C_r / n + a^2 tr C_s / m)`` on average, about a multiple of a
    chi-squared variable with ``(K - 1) d - 1`` degrees of freedom. A generator fitted to the very
    rows reproduces the error of their means, and the first part is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model.synthetic_mix._source_labels import class_geometry, leak_pvalue
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 2
    >>> X = rng.standard_normal((60, 40)) + 0.3 * y[:, None]
    >>> real = class_geometry(X, y, np.ones(60), 2)
    >>> copies = class_geometry(np.tile(X, (9, 1)), np.tile(y, 9), np.ones(540), 2)
    >>> bool(leak_pvalue(real, copies, 40) < 1e-4)
    True
    """
    shares = real.shares
    energy = float(shares @ (synthetic.means**2).sum(1))
    cross = float(shares @ (real.means * synthetic.means).sum(1))
    if energy <= 0.0 or real.noise <= 0.0:
        return 1.0
    factor = cross / energy
    distance = float(shares @ ((real.means - factor * synthetic.means) ** 2).sum(1))
    freedom = max((len(shares) - 1) * n_dimensions, 1.0)
    expected = (real.noise + factor**2 * synthetic.noise) * max(1.0 - 1.0 / freedom, 0.1)
    shape = max(freedom - 1.0, 1.0) / 2.0
    return float(gamma.cdf(distance, shape, scale=expected / shape))
