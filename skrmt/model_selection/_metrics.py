"""Metrics on fresh rows, with their intervals, from what fits make of rows left out of them.

Names and signs are those of scikit-learn's scorers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, stdtrit
from sklearn.metrics import average_precision_score, get_scorer_names, roc_auc_score

from ..utils._intervals import SHARED_FITS, Z95, held_out_interval
from ._rounds import Round
from ._smoothing import smoothed_confusion

_AREA_DEVIATIONS = 1.2
"""By how much areas under curves spread more than Hanley and McNeil's formula says."""
_LOSS_DEVIATIONS = 1.1
"""By how much mean losses of rows that share their fits spread more than independent ones."""
_UNSTABLE_PART = 1.0 / 3.0
"""Part of the relative change of losses between rounds that their mean is off by."""
_LEAST_R2 = 0.05
"""R^2 whose sampling error, sqrt(4 R^2 / n) of ``1 - R^2``, is the least that is allowed for."""

_TWO_CLASSES = 2.0
"""An error is missed in one class and too many in another: the F1 of both count it."""
_EDGE = 1e-9
"""Distance from areas of 0 and 1 at which roots beside these are looked for."""

CLASSIFIER_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1",
    "f1_macro",
    "roc_auc",
    "roc_auc_ovr",
    "average_precision",
    "neg_log_loss",
    "neg_brier_score",
)
REGRESSOR_METRICS = (
    "r2",
    "neg_mean_squared_error",
    "neg_root_mean_squared_error",
    "neg_mean_absolute_error",
)
OF_CONFUSION = ("accuracy", "balanced_accuracy", "f1", "f1_macro")


_SHARES = ("accuracy", "roc_auc", "f1", "precision", "recall", "jaccard")
_BOUNDED = ("r2", "variance", "d2_", "matthews")
"""Parts of names of metrics that are from 0 to 1, and of others of which 1 is best."""


def score_range(scoring: str) -> tuple[float, float]:
    """Return the least and the largest score that there is, infinite if the name says nothing."""
    if scoring not in get_scorer_names():
        return -np.inf, np.inf
    if scoring.startswith("neg_"):
        return -np.inf, 0.0
    if any(part in scoring for part in _SHARES):
        return 0.0, 1.0
    return -np.inf, 1.0 if any(part in scoring for part in _BOUNDED) else np.inf


class Claim(NamedTuple):
    """A metric on fresh rows, the bounds of its 95 % interval, and that of a constant guess."""

    score: float
    low: float
    high: float
    guess: float

    @property
    def interval(self) -> np.ndarray:
        """The 95 % interval."""
        return np.array([self.low, self.high])


def _claimed(ends: Any, guess: float) -> Claim:
    """Return a score and its bounds, given together, as a claim."""
    score, low, high = ends
    return Claim(float(score), float(low), float(high), guess)


class Sample(NamedTuple):
    """Rows that metrics are counted on.

    Attributes
    ----------
    y : ndarray of shape (n,)
        Codes of the labels, or targets.
    weights : ndarray of shape (n,)
        Weights.
    size : float
        Number of independent observations.
    n_classes : int
        Number of classes, 0 for targets.
    unmixing : ndarray of shape (K, K) or None
        Turns shares of observed labels into shares of the true classes.
    contrast : float
        What noise leaves of a difference between classes.
    """

    y: np.ndarray
    weights: np.ndarray
    size: float
    n_classes: int
    unmixing: np.ndarray | None = None
    contrast: float = 1.0

    @property
    def as_given(self) -> Sample:
        """The same rows with their labels as given."""
        return self._replace(unmixing=None, contrast=1.0)

    def seen(self, rounds: tuple[Round, ...]) -> float:
        """Return how many observations have been left out by some round."""
        out = np.any([some.fold >= 0 for some in rounds], axis=0)
        return self.size * float(self.weights[out].sum() / self.weights.sum())


def read_sample(y: np.ndarray, weights: np.ndarray, size: float, labels: Any = None) -> Sample:
    """Return the rows that metrics are counted on: codes of labels, or targets without labels."""
    if labels is None:
        return Sample(y.astype(float), weights, size, 0)
    n_classes, contrast = len(labels.prior), labels.contrast
    return Sample(y, weights, size, n_classes, labels.unmixing, contrast)


def metric_names(sample: Sample, rounds: tuple[Round, ...]) -> tuple[str, ...]:
    """Return the metrics that can be claimed."""
    if not sample.n_classes:
        return REGRESSOR_METRICS
    two = sample.n_classes == 2
    names = ["accuracy", "balanced_accuracy", "f1" if two else "f1_macro"]
    if sample.unmixing is not None:
        return tuple(names)
    if two and rounds[0].ranks is not None:
        names += ["roc_auc", "average_precision"]
    if rounds[0].shares is not None:
        names += [] if two else ["roc_auc_ovr"]
        names += ["neg_log_loss", "neg_brier_score"]
    return tuple(names)


def claim(name: str, rounds: tuple[Round, ...], sample: Sample) -> Claim:
    """Return a metric on fresh rows."""
    if name in OF_CONFUSION:
        return _confusion_claim(name, confusion(rounds, sample), sample.seen(rounds), sample)
    if name in ("roc_auc", "roc_auc_ovr"):
        return _area_claim(rounds, sample)
    if name == "average_precision":
        return _precision_claim(rounds, sample)
    return _loss_claim(name, rounds, sample)


def confusion(rounds: tuple[Round, ...], sample: Sample) -> np.ndarray:
    """Return the shares of true (rows) and predicted classes."""
    parts = [_round_confusion(some, sample) for some in rounds]
    return np.average(parts, axis=0, weights=[(some.fold >= 0).sum() for some in rounds])


def _round_confusion(some: Round, sample: Sample) -> np.ndarray:
    """Return the shares of true and predicted classes in one round, half of them smoothed."""
    out = some.fold >= 0
    shares = sample.weights[out] / sample.weights[out].sum()
    codes, decided = sample.y[out], some.decided[out].astype(int)
    counted = np.zeros((sample.n_classes, sample.n_classes))
    np.add.at(counted, (codes, decided), shares)
    if sample.unmixing is not None:
        unmixed = np.clip(sample.unmixing @ counted, 0.0, None)
        return unmixed / unmixed.sum()
    if not some.smooth:
        return counted
    weights = shares * sample.seen((some,))
    smoothed = smoothed_confusion(some, sample.n_classes, out, codes, decided, weights)
    return counted if smoothed is None else 0.5 * (counted + smoothed)


def _confusion_claim(name: str, shares: np.ndarray, size: float, sample: Sample) -> Claim:
    """Return a metric that follows from the shares of true and predicted classes."""
    own, actual, predicted = np.diag(shares), shares.sum(1), shares.sum(0)
    size = size * _worth(float(own.sum()), size, sample)
    if name == "accuracy":
        score = float(own.sum())
        return _claimed((score, *held_out_interval(score, size)), float(actual.max()))
    if name == "balanced_accuracy":
        recalls = own / np.maximum(actual, 1e-300)
        return _claimed(_mean_of_shares(recalls, size * actual), 1.0 / sample.n_classes)
    joint = own / np.maximum(actual + predicted - own, 1e-300)
    known = size * np.maximum(actual + predicted - own, 1e-300)
    # The best constant guess of F1 is the class itself, though it be rare.
    constant = 2.0 * actual / (1.0 + actual)
    if name == "f1":
        low, high = held_out_interval(joint[1], known[1])
        ends = [2.0 * x / (1.0 + x) for x in (joint[1], low, high)]
        return _claimed(ends, float(constant[1]))
    each = np.array([(x, *held_out_interval(x, n)) for x, n in zip(joint, known, strict=True)]).T
    score, low, high = 2.0 * each / (1.0 + each)
    return _claimed(
        _mean_of_intervals(score, low, high, _TWO_CLASSES), float(constant.max()) / sample.n_classes
    )


def _worth(accuracy: float, size: float, sample: Sample) -> float:
    """Return what a row with a noisy label is worth beside one with a clean label.

    An accuracy near 1 is counted as a share that noise keeps far from 1, and stretched.
    """
    contrast = min(sample.contrast, 1.0)
    if contrast == 1.0:
        return 1.0
    # Never 0 or 1: two more rows are right, and two more wrong, as in Agresti and Coull's interval.
    clean = (accuracy * size + 2.0) / (size + 4.0)
    observed = clean * contrast + (1.0 - contrast) / sample.n_classes
    return contrast**2 * clean * (1.0 - clean) / (observed * (1.0 - observed))


def _mean_of_shares(shares: np.ndarray, sizes: np.ndarray) -> tuple[float, float, float]:
    """Return the mean of independent shares of rows, and its interval."""
    ends = [held_out_interval(x, n) for x, n in zip(shares, np.maximum(sizes, 1e-9), strict=True)]
    return _mean_of_intervals(shares, *np.array(ends).T)


def _mean_of_intervals(
    centre: np.ndarray, low: np.ndarray, high: np.ndarray, shared: float = 1.0
) -> tuple[float, float, float]:
    """Return the mean of estimates, and its interval from those of each.

    `shared` is in how many of them each error counts.
    """
    mean, part = float(centre.mean()), np.sqrt(shared) / len(centre)
    below, above = np.sqrt(((centre - low) ** 2).sum()), np.sqrt(((high - centre) ** 2).sum())
    return mean, max(0.0, mean - part * below), min(1.0, mean + part * above)


def _area_claim(rounds: tuple[Round, ...], sample: Sample) -> Claim:
    """Return the area under the curve: the mean over folds, whose scores have one unit each."""
    shares = np.bincount(sample.y, sample.weights, sample.n_classes) / sample.weights.sum()
    size = sample.seen(rounds)
    if sample.n_classes == 2:
        positive = sample.y == 1
        each = [
            _area(some.ranks, positive, some, sample) if some.area is None else some.area
            for some in rounds
        ]
        area = float(np.mean(each))
        return _claimed((area, *_area_interval(area, *(size * shares))), 0.5)
    areas = np.zeros(sample.n_classes)
    for some in rounds:
        columns = some.shares.T  # type: ignore[union-attr]
        each = [_area(x, sample.y == k, some, sample) for k, x in enumerate(columns)]
        areas += np.array(each) / len(rounds)
    ends = [_area_interval(a, size * (1 - q), size * q) for a, q in zip(areas, shares, strict=True)]
    low, high = np.array(ends).T
    # A row in a wrong place is so among the rows of every class.
    return _claimed(_mean_of_intervals(areas, low, high, sample.n_classes), 0.5)


def _area(ranks: Any, positive: np.ndarray, some: Round, sample: Sample) -> float:
    """Return the mean of the areas within folds, weighted by their pairs of rows."""
    areas, pairs = [], []
    for k in range(some.fold.max() + 1):
        own = some.fold == k
        n_positive = positive[own].sum()
        if 0 < n_positive < own.sum():
            areas.append(
                roc_auc_score(positive[own], ranks[own], sample_weight=sample.weights[own])
            )
            pairs.append(n_positive * (own.sum() - n_positive))
    return float(np.average(areas, weights=pairs)) if areas else np.nan


def _area_interval(area: float, n_negative: float, n_positive: float) -> np.ndarray:
    """Return the areas at which one as observed is within its deviations, shape (2,)."""

    def excess(true: float, sign: float) -> float:
        q1, q2 = true / (2.0 - true), 2.0 * true**2 / (1.0 + true)
        variance = true * (1.0 - true)
        variance += (n_positive - 1.0) * (q1 - true**2) + (n_negative - 1.0) * (q2 - true**2)
        error = np.sqrt(max(variance, 0.0) / (n_negative * n_positive))
        return sign * (true - area) - _AREA_DEVIATIONS * Z95 * error

    if not np.isfinite(area):
        return np.full(2, np.nan)
    # At areas of 0 and 1 the deviation is 0, and the observed one itself a root.
    inner = min(max(area, _EDGE), 1.0 - _EDGE)
    low = brentq(excess, 0.0, inner, args=(-1.0,)) if excess(0.0, -1.0) > 0 else 0.0
    high = brentq(excess, inner, 1.0, args=(1.0,)) if excess(1.0, 1.0) > 0 else 1.0
    return np.array([min(low, area), max(high, area)])


def _precision_claim(rounds: tuple[Round, ...], sample: Sample) -> Claim:
    """Return the average precision; its log-odds are as uncertain as those of a share."""
    values = []
    for some in rounds:
        out = some.fold >= 0
        ranks = some.ranks[out]  # type: ignore[index]
        values.append(
            average_precision_score(sample.y[out], ranks, sample_weight=sample.weights[out])
        )
    score, share = float(np.mean(values)), float(np.average(sample.y, weights=sample.weights))
    n_positive = max(sample.seen(rounds) * share, 1e-9)
    # Never 0 or 1: one more row is right, and one more wrong, as in Laplace's rule.
    inner = (score * n_positive + 1.0) / (n_positive + 2.0)
    half = SHARED_FITS * Z95 / np.sqrt(n_positive * inner * (1.0 - inner))
    low, high = expit([logit(inner) - half, logit(inner) + half])
    return Claim(score, min(low, score), max(high, score), share)


def _loss_claim(name: str, rounds: tuple[Round, ...], sample: Sample) -> Claim:
    """Return a mean loss of rows, or what follows from it."""
    loss = _LOSSES[name]
    seen = np.array([some.fold >= 0 for some in rounds])
    table = np.array([loss(some, sample) for some in rounds])
    out = np.asarray(seen.any(axis=0))
    losses = (table * seen).sum(0)[out] / seen.sum(0)[out]
    shares = sample.weights[out] / sample.weights[out].sum()
    if not sample.n_classes:
        return _target_claim(name, rounds, sample, losses, shares, out)
    mean = max(float(shares @ losses), 1e-300)
    deviation = np.sqrt(shares @ (losses - mean) ** 2 / sample.seen(rounds)) / mean
    half = 2.0 * np.hypot(_LOSS_DEVIATIONS * deviation, _UNSTABLE_PART * _change(table, seen, mean))
    guess = _constant_loss(name, np.bincount(sample.y, sample.weights, sample.n_classes))
    most = max(mean * np.exp(half), _unseen(losses, _LARGEST_LOSS[name], sample.seen(rounds)))
    return Claim(-mean, -most, -mean * np.exp(-half), guess)


def _unseen(losses: np.ndarray, largest: float, size: float) -> float:
    """Return what the mean loss may be where no row has any: 95 % of samples have one of 3 / n."""
    return 3.0 / size * largest if losses.max() <= 1e-12 * largest else 0.0


def _change(table: np.ndarray, seen: np.ndarray, mean: float) -> float:
    """Return by how much of the mean the losses of a row change between rounds."""
    if len(table) < 2:
        return 0.0
    both = seen[0] & seen[1]
    return float(np.abs(table[0] - table[1])[both].mean()) / mean if both.any() else 0.0


def _target_claim(
    name: str,
    rounds: tuple[Round, ...],
    sample: Sample,
    losses: np.ndarray,
    shares: np.ndarray,
    out: np.ndarray,
) -> Claim:
    """Return R^2 or an error on fresh rows; the logarithm of the error is nearly normal."""
    y, size = sample.y[out], sample.seen(rounds)
    mean = max(float(shares @ losses), 1e-300)
    spread = (y - shares @ y) ** 2 * size / max(size - 1.0, 1.0)
    variance = max(float(shares @ spread), 1e-300)
    reached = float(np.ptp(y)) ** (1 if name == "neg_mean_absolute_error" else 2)
    unseen = _unseen(losses, max(reached, 1e-300), size)
    if unseen:
        found = np.array([0.0, unseen, 0.0])
        if name == "r2":
            return _claimed(1.0 - found / variance, 0.0)
        return _claimed(-np.sqrt(found) if "root" in name else -found, -variance)
    reach = _instability(rounds, out, shares, y)
    if name == "neg_mean_absolute_error":
        deviation = np.sqrt(shares @ (losses - mean) ** 2 / size) / mean
        half = _quantile(size) * np.hypot(SHARED_FITS * deviation, 0.5 * reach)
        guess = -float(shares @ np.abs(y - shares @ y))
        return _claimed((-mean, *(-mean * np.exp([half, -half]))), guess)
    r2 = 1.0 - mean / variance
    if name == "r2":
        ratio = losses / mean - spread / variance
        least = np.sqrt(4.0 * max(r2, _LEAST_R2) / size)
        deviation = max(np.sqrt(shares @ ratio**2 / size), least)
        half = _quantile(size) * np.hypot(SHARED_FITS * deviation, reach)
        return _claimed((r2, *(1.0 - (1.0 - r2) * np.exp([half, -half]))), 0.0)
    deviation = np.sqrt(shares @ (losses / mean - 1.0) ** 2 / size)
    half = _quantile(size) * np.hypot(SHARED_FITS * deviation, reach)
    found = np.array([mean, *(mean * np.exp([half, -half])), variance])
    found = -np.sqrt(found) if name == "neg_root_mean_squared_error" else -found
    return _claimed(found[:3], float(found[3]))


def _instability(
    rounds: tuple[Round, ...], out: np.ndarray, shares: np.ndarray, y: np.ndarray
) -> float:
    """Return the squared change of predictions between rounds over the squared error."""
    if len(rounds) < 2:
        return 0.0
    first, second = (some.decided[out] for some in rounds[:2])
    both = (rounds[0].fold[out] >= 0) & (rounds[1].fold[out] >= 0)
    error = float(shares[both] @ (y - first)[both] ** 2)
    return float(shares[both] @ (first - second)[both] ** 2) / max(error, 1e-300)


def _quantile(size: float) -> float:
    """Return Student's quantile for a variance that some rows estimate."""
    return float(stdtrit(max(size - 1.0, 1.0), 0.975))


def _log_loss(some: Round, sample: Sample) -> np.ndarray:
    """Return the log loss of each row."""
    shares: Any = some.shares
    total = shares.sum(axis=1, keepdims=True)
    clipped = np.clip(shares / np.where(total > 0, total, 1.0), np.finfo(float).eps, 1.0)
    return -np.log(clipped[np.arange(len(clipped)), sample.y])


def _brier(some: Round, sample: Sample) -> np.ndarray:
    """Return the squared error of the probabilities of each row, of one of two or of all."""
    squares = ((some.shares - np.eye(sample.n_classes)[sample.y]) ** 2).sum(axis=1)
    return squares / 2.0 if sample.n_classes == 2 else squares


def _squares(some: Round, sample: Sample) -> np.ndarray:
    """Return the squared error of each row."""
    return (sample.y - some.decided) ** 2


_LARGEST_LOSS = {"neg_log_loss": -float(np.log(np.finfo(float).eps)), "neg_brier_score": 1.0}
_LOSSES: dict[str, Callable] = {
    "neg_log_loss": _log_loss,
    "neg_brier_score": _brier,
    "r2": _squares,
    "neg_mean_squared_error": _squares,
    "neg_root_mean_squared_error": _squares,
    "neg_mean_absolute_error": lambda some, sample: np.abs(sample.y - some.decided),
}


def _constant_loss(name: str, counts: np.ndarray) -> float:
    """Return the score of the frequencies of the classes as probabilities of every row."""
    shares = counts / counts.sum()
    if name == "neg_log_loss":
        return float((shares * np.log(np.maximum(shares, 1e-300))).sum())
    brier = 1.0 - float((shares**2).sum())
    return -brier / 2.0 if len(shares) == 2 else -brier


def scorer_claim(scoring: str, rounds: tuple[Round, ...]) -> Claim:
    """Return the mean of a scorer's values over folds, and Student's interval of it.

    Folds share training rows: the variance of their mean is larger by Nadeau and Bengio's term,
    the ratio of test to training rows.
    """
    score = float(np.mean([np.mean(some.values) for some in rounds]))
    least, best = score_range(scoring)
    counts = np.array([len(some.values) for some in rounds])
    if counts.min() < 2:
        return Claim(score, np.nan, np.nan, np.nan)
    widths = np.sqrt(1.0 / counts + 1.0 / (counts - 1.0)) * stdtrit(counts - 1.0, 0.975)
    half = float(np.mean([np.std(r.values, ddof=1) for r in rounds] * widths))
    ends = np.clip([score - half, score + half], least, best)
    if half == 0.0:
        # Folds that are all as good as can be do not show how rare the others are.
        out = sum((some.fold >= 0).sum() for some in rounds) / len(rounds)
        ends = held_out_interval(score, out) if (least, best) == (0.0, 1.0) else np.full(2, np.nan)
    return Claim(score, float(ends[0]), float(ends[1]), np.nan)
