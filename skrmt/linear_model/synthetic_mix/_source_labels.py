"""How wrong the labels of generated rows are, and where their classes lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit, softmax

from ...utils._intervals import Z95

_TINY = 1e-300
_SMALLEST_SIGNAL = 0.05
_RANGE = (0.2, 5.0)
_FACTOR_SPREAD = 0.3
_LOG_FACTORS = np.linspace(-0.9, 0.9, 13)
_EM_ROUNDS = 100
"""Rounds of EM at most; rates move by less than 1e-4 after some thirty."""
_CELLS = 1 << 20
"""Posteriors, 8 MB of them, that are held at a time."""
_AGREE = 0.08
"""Largest error that a share of wrong labels is given with."""


class LabelNoise(NamedTuple):
    """Share of wrong labels.

    Attributes
    ----------
    rate, std : float
        The likeliest, in [0, 1], if wrong labels fall on all rows alike, and its standard error,
        that of the scale of the scores excepted.
    shared : float
        The share where all that may explain the labels agrees on it, else nan.
    low, high : float
        Bounds over all that may explain them, sampling errors included.
    """

    rate: float
    std: float
    shared: float
    low: float
    high: float


NO_LABELS = LabelNoise(np.nan, np.nan, np.nan, 0.0, 1.0)


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
    """Return how much larger the log-odds of generated rows are than those of real ones."""
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


def label_noise(logits, observed, sample_weight, part=1.0, error_std=0.0):
    """Estimate the share of wrong labels from scores that have not seen them.

    Wrong labels that fall on rows alike, or on those of a class, are told from right ones where
    scores leave no doubt. Labels by a rule of its own, such as another classifier, are as often
    wrong as the scores say on average; right labels of overlapping classes look the same. The error
    of the scores is known up to `error_std`.
    """
    if len(observed) == 0:
        return NO_LABELS
    n_classes = 2 if logits.ndim == 1 else logits.shape[1]
    # Weights whose sum is the effective number of rows, whatever their unit.
    weights = sample_weight * (sample_weight.sum() / (sample_weight**2 * part).sum())
    log_factor, rate = _likeliest(logits, observed, weights, n_classes)
    # Labels that follow the scores make these look surer than right labels show them to be.
    free = 1.0 - float(weights @ _own_posterior(logits, observed)) / weights.sum()
    logits = np.exp(log_factor) * logits
    own = _own_posterior(logits, observed)
    slope = (1.0 - own) / (n_classes - 1) - own
    information = weights @ (slope / np.maximum(own + rate * slope, 1e-6)) ** 2
    std = float(1.0 / np.sqrt(max(information, _TINY)))
    other = class_flip_rate(_posteriors(logits), observed, weights)
    shares = rate, other, free, 1.0 - float(weights @ own) / weights.sum()
    margin = float(np.hypot(std, error_std))
    low, high = min(shares) - margin, max(shares) + margin
    agree = high - low <= 2.0 * _AGREE
    shared = float(np.clip(rate, high - _AGREE, low + _AGREE)) if agree else np.nan
    margin *= Z95
    return LabelNoise(
        rate, std, shared, max(min(shares) - margin, 0.0), min(max(shares) + margin, 1.0)
    )


def _posteriors(logits):
    """Return the posterior of every class, (n, K)."""
    if logits.ndim == 1:
        right = expit(logits)
        return np.stack([1.0 - right, right], axis=1)
    return softmax(logits, axis=1)


def class_flip_rate(posteriors, observed, weights):
    """Return the share of wrong labels if rates depend on the right class, by EM."""
    n_classes = posteriors.shape[1]
    member = np.eye(n_classes)[observed] * weights[:, None]
    flips = np.full((n_classes, n_classes), 0.1 / max(n_classes - 1, 1))
    np.fill_diagonal(flips, 0.9)
    joint = flips
    for _ in range(_EM_ROUNDS):
        # Probability of each right class given scores and label.
        share = posteriors * flips[:, observed].T
        share /= np.maximum(share.sum(1, keepdims=True), _TINY)
        joint = share.T @ member
        new = (joint + 1e-9) / (joint.sum(1, keepdims=True) + n_classes * 1e-9)
        moved = np.abs(new - flips).max()
        flips = new
        if moved < 1e-4:
            break
    return 1.0 - float(np.trace(joint) / joint.sum())


def _own_posterior(logits, observed):
    """Return the posterior of each label's class."""
    if logits.ndim == 1:
        return expit(np.where(observed == 1, logits, -logits))
    return softmax(logits, axis=1)[np.arange(len(observed)), observed]


def _likeliest(logits, observed, weights, n_classes):
    """Return the log-factor of the scores and the rate of largest likelihood."""
    step = max(1, _CELLS // len(observed))
    found: list[tuple[float, float, float]] = []
    for factors in (_LOG_FACTORS[k : k + step] for k in range(0, len(_LOG_FACTORS), step)):
        own = np.stack([_own_posterior(np.exp(f) * logits, observed) for f in factors])
        slope = (1.0 - own) / (n_classes - 1) - own
        rates = _likeliest_rates(own, slope, weights)
        seen = own + rates[:, None] * slope
        values = np.log(np.maximum(seen, 1e-12)) @ weights
        values -= 0.5 * (factors / _FACTOR_SPREAD) ** 2
        found += zip(values.tolist(), factors.tolist(), rates.tolist(), strict=True)
    return max(found)[1:]


def _likeliest_rates(own, slope, weights):
    """Return the rate of largest likelihood of each row, in [0, 1], by Fisher's method."""
    rates = np.full(len(own), 0.25)
    for _ in range(60):
        gain = slope / np.maximum(own + rates[:, None] * slope, 1e-12)
        information = np.maximum(gain**2 @ weights, _TINY)
        new = np.clip(rates + gain @ weights / information, 0.0, 1.0)
        moved = np.abs(new - rates).max()
        rates = new
        if moved < 1e-9:
            break
    return rates


def class_geometry(X, observed, sample_weight, n_classes, part=1.0):
    """Return the class means and the variance within classes."""
    member = np.eye(n_classes)[observed] * sample_weight[:, None]
    sums, energy = class_sums(X, member)
    return geometry_of_sums(sums, energy, member, part)


def class_sums(X, member):
    """Return what rows add to the moments of the classes."""
    squares = X.multiply(X).sum(1) if hasattr(X, "multiply") else np.einsum("ij,ij->i", X, X)
    energy = member.sum(1) @ np.asarray(squares, dtype=float).ravel()
    return np.asarray((X.T @ member).T, dtype=float), float(energy)


def geometry_of_sums(sums, energy, member, part=1.0):
    """Return the class means and the variance within classes from sums over the rows."""
    weights = member.sum(1)
    total = weights.sum()
    shares = member.sum(0) / total
    means = sums / np.maximum(shares * total, _TINY)[:, None]
    within = energy / total - shares @ (means**2).sum(1)
    size = total**2 / (weights**2 * part).sum()
    freedom = max(size - (shares > 0).sum(), 1.0)
    means = np.where(shares[:, None] > 0, means - shares @ means, 0.0)
    return ClassGeometry(means, shares, float(max(within, 0.0) * size / freedom), float(size))


def generator_shift(real, synthetic, contrast):
    """Return how the class means of a generator differ from those of real rows."""
    if not abs(contrast) > _SMALLEST_SIGNAL:
        return np.nan, np.nan
    cross = float(real.shares @ (real.means * synthetic.means).sum(1)) / contrast
    energy = real.energy()
    if energy <= 0.0:
        return np.nan, np.nan
    rest = synthetic.energy() / contrast**2 - cross**2 / energy
    return cross / energy, float(np.sqrt(max(rest, 0.0) / (len(real.shares) - 1)))
