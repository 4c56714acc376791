"""Accuracy on right labels from out-of-fold scores of any classifier and noisy labels."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike

from ...utils._checks import check_sample_weight, is_torch, tensor_on_host
from ...utils._intervals import held_out_interval
from ...utils._labels import refuse_masked, refuse_missing_labels
from ...utils._merging import group_codes
from ...utils._regimes import regime
from ...utils._scaling import moderate_unit
from ...utils._warnings import warn_first
from ._detection import chance_agreement, is_detected
from ._noisy_labels import frequencies_contradict, read_labels
from ._record import Stories
from ._stories import FEWEST_ROWS, tell_stories
from ._ties import without_rounding

_TOO_FEW = (
    f"There are fewer than {FEWEST_ROWS} effective rows: no accuracy is estimated. Give more rows."
)
_UNDETECTED = (
    "The scores do not follow the labels: the accuracies are those of a guess. Give other scores."
)
_AMBIGUOUS = (
    "Wrong labels and overlapping classes explain the scores equally (`noise_probability`): the "
    "interval of the accuracy contains both. Give noise_rates if they are known."
)
_CONTRADICTION = (
    "The given noise_rates cannot produce the observed class frequencies: the nearest possible "
    "`class_prior` is used. Correct noise_rates, or let them be estimated."
)


class CleanAccuracy(NamedTuple):
    """What out-of-fold scores show of a classifier and of the labels.

    Attributes
    ----------
    observed_accuracy : float
        Share of the rows whose label is the one that the scores predict.
    observed_accuracy_interval : ndarray of shape (2,)
        95 % interval of it on fresh rows.
    accuracy : float
        Accuracy on right labels, averaged over the explanations of the labels.
    accuracy_interval : ndarray of shape (2,)
        95 % interval of it; unless rates are given, it contains the accuracies of all explanations
        that the scores do not exclude.
    accuracy_if_clean : float
        Accuracy if every label is right; nan if rates are given.
    accuracy_if_noisy : float
        Accuracy if some labels are wrong.
    noise_probability : float
        Probability that labels are wrong at all.
    noise_rates : ndarray of shape (K,)
        Rate of wrong labels of each class, zero if all are right included in the mean.
    noise_rates_std : ndarray of shape (K,)
        Their standard deviations, 0 if they are given.
    noise_matrix : ndarray of shape (K, K)
        ``P(observed l | true k)``.
    class_prior : ndarray of shape (K,)
        Frequencies of the true classes.
    label_posterior : ndarray of shape (n, K)
        Probability of each true class given score and observed label.
    label_quality : ndarray of shape (n,)
        Probability that the observed label is right.
    regime : {"detected", "ambiguous", "undetected", "too_few_rows"}
        "too_few_rows" below 10 effective rows (accuracies are then nan), "undetected" if the
        scores do not follow the labels, "ambiguous" if neither right nor wrong labels have 95 %
        of the probability; see :term:`regime`.
    """

    observed_accuracy: float
    observed_accuracy_interval: np.ndarray
    accuracy: float
    accuracy_interval: np.ndarray
    accuracy_if_clean: float
    accuracy_if_noisy: float
    noise_probability: float
    noise_rates: np.ndarray
    noise_rates_std: np.ndarray
    noise_matrix: np.ndarray
    class_prior: np.ndarray
    label_posterior: np.ndarray
    label_quality: np.ndarray
    regime: str


def clean_accuracy(
    scores: ArrayLike,
    y: ArrayLike,
    *,
    noise_rates: Literal["estimate"] | float | ArrayLike | None = "estimate",
    classes: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    random_state: int | RandomState | None = None,
) -> CleanAccuracy:
    r"""Estimate the accuracy on right labels of any classifier from its out-of-fold scores.

    Parameters
    ----------
    scores : array-like of shape (n,) or (n, K)
        Out-of-fold scores: of each row by a fit that has not seen it, such as
        ``cross_val_predict(model, X, y, method="decision_function")``. Margins, log-odds or
        probabilities; a common increasing affine map changes nothing. For two classes, (n, 2)
        columns count by their difference. In-sample scores make every number too high.
    y : array-like of shape (n,) or (n, K)
        Observed labels, or the probabilities of the true classes of each row, such as shares of
        annotators; these replace `noise_rates`.
    noise_rates : "estimate", None, float or array-like, default="estimate"
        How often labels are wrong: estimated, never (None), a rate for all classes, one per class
        in sorted order (K,), the noise matrix ``T[k, l] = P(observed l | true k)`` (K, K), or the
        rates of each row, one (n,) or one per true class (n, K).
    classes : array-like of shape (K,), optional
        Labels of the columns of `scores`; the sorted distinct labels by default.
    sample_weight : array-like of shape (n,), optional
        Weights of the rows.
    groups : array-like of shape (n,), optional
        Rows of one group are one observation in the intervals, which is right if out-of-fold
        scores left out whole groups.
    random_state : int, RandomState instance or None, default=None
        Nothing is drawn at random: accepted for the sake of a common signature.

    Returns
    -------
    CleanAccuracy
        Observed and clean accuracy, noise of the labels, and the quality of each label.

    Raises
    ------
    ValueError
        If scores are not finite, constant or of another number of classes, or an argument is out
        of its domain.

    Warns
    -----
    TheoryWarning
        Once, where little can be said: see `regime`.

    Notes
    -----
    If scores predict the true class by a logistic link q, labels with class-conditional rates
    agree with the positive class with probability

    .. math:: r(s) = e_0 + (1 - e_0 - e_1) q(s),

    so that labels that are right (r = q) are never excluded, and noise shows as a curve that levels
    off away from 0 and 1. Half the prior mass is on right labels; the accuracy is the posterior
    mean of the link's and of the count of agreements from which the noise has been taken.

    References
    ----------
    High-dimensional Learning with Noisy Labels, arXiv:2405.14088. The estimate is skrmt's own.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.model_selection import clean_accuracy
    >>> X, y, clean, _ = make_noisy_mixture(600, 10, noise_rates=(0.1, 0.3), random_state=0)
    >>> scores = cross_val_predict(LogisticRegression(), X, y, method="decision_function")
    >>> found = clean_accuracy(scores, y)
    >>> round(found.observed_accuracy, 2), round(found.accuracy, 2)
    (0.76, 0.94)
    """
    found, complaints = _found(scores, y, noise_rates, classes, sample_weight, groups)
    warn_first(complaints)
    return found


def find_clean_accuracy(scores, y, *, sample_weight, groups) -> CleanAccuracy:
    """Return what `clean_accuracy` does of estimated noise, without a warning."""
    return _found(scores, y, "estimate", None, sample_weight, groups)[0]


def _found(scores, y, noise_rates, classes, sample_weight, groups):
    """Return what scores show of the labels, and why it may be little."""
    codes, n_classes, shares = _labels(y, classes)
    scores = _scores(scores, len(codes), n_classes)
    weights = check_sample_weight(sample_weight, len(codes))
    kept = weights > 0
    rates, by_row = _rates(noise_rates, len(codes), n_classes)
    labels = read_labels(codes, weights, n_classes, rates, None, by_row, shares)
    group, size = _group_sizes(groups, weights, kept)
    labels = labels._replace(size=size)
    if scores.ndim == 2:
        scores[kept] = _as_regression(scores[kept], labels)
    stories = tell_stories(scores[kept], labels, group=group)
    return _result(stories, scores, labels, kept)


def _result(stories: Stories, scores, labels, kept):
    """Return what stories say of all rows, and why that may be little."""
    observed, interval = observed_accuracy(stories, labels)
    state = regime(
        too_few_rows=labels.size < FEWEST_ROWS,
        undetected=not is_detected(scores[kept], labels),
        misfit=False,
        ambiguous=labels.likelihood is None and stories.is_ambiguous,
    )
    complaints = {
        _TOO_FEW: state == "too_few_rows",
        _CONTRADICTION: frequencies_contradict(labels),
        _UNDETECTED: state == "undetected",
        _AMBIGUOUS: state == "ambiguous",
    }
    posterior = np.full((len(kept), labels.n_classes), np.nan)
    posterior[kept] = stories.label_posterior
    quality = np.full(len(kept), np.nan)
    quality[kept] = stories.label_posterior[np.arange(len(labels.observed)), labels.observed]
    found = CleanAccuracy(
        observed_accuracy=observed,
        observed_accuracy_interval=interval,
        accuracy=stories.accuracy,
        accuracy_interval=stories.interval,
        accuracy_if_clean=stories.accuracy_if_clean,
        accuracy_if_noisy=stories.accuracy_if_noisy,
        noise_probability=stories.noise_probability,
        noise_rates=1.0 - np.diag(stories.noise_matrix),
        noise_rates_std=stories.noise_rates_std,
        noise_matrix=stories.noise_matrix,
        class_prior=stories.prior,
        label_posterior=posterior,
        label_quality=quality,
        regime=state,
    )
    return found, [text for text, applies in complaints.items() if applies]


def observed_accuracy(stories, labels):
    """Return the share of rows that agree with the decision, and its 95 % interval."""
    if labels.size < FEWEST_ROWS:
        return np.nan, np.full(2, np.nan)
    share = float(labels.shares_of_rows @ (stories.predicted == labels.observed))
    low, high = held_out_interval(share, labels.size)
    # Without its row a class is rarer, which alone can make decisions worse than a guess.
    return share, np.array([low, max(high, chance_agreement(stories.predicted, labels))])


def _labels(y, classes):
    """Return the codes of the labels, K, and the label distributions if y has them."""
    # An array of strings would turn a NaN among them into the word "nan".
    refuse_missing_labels(y)
    y = tensor_on_host(y) if is_torch(y) else np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        n_classes = y.shape[1] if classes is None else len(classes)
        return y.argmax(1), n_classes, y.astype(float)
    y = y.ravel()
    names = np.unique(y) if classes is None else np.asarray(classes)
    unknown = set(y.tolist()) - set(names.tolist())
    if unknown or len(names) < 2:
        raise ValueError(
            f"classes={names.tolist()!r} must be two labels or more, and contain all of y: "
            f"{sorted(map(str, unknown))} are not among them."
        )
    order = np.argsort(names, kind="stable")
    return order[np.searchsorted(names[order], y)], len(names), None


def _scores(scores, n, n_classes):
    """Return checked scores, (n,) for two classes and (n, K) for more."""
    refuse_masked(scores, "scores")
    scores = np.array(tensor_on_host(scores) if is_torch(scores) else scores, dtype=float)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    allowed = [(n,), (n, 2)] if n_classes == 2 else [(n, n_classes)]
    if scores.shape not in allowed:
        raise ValueError(
            f"scores has shape {scores.shape}, but y has {n} rows and {n_classes} classes: give "
            f"shape {allowed[0]}."
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores contains NaN or infinity: every row needs an out-of-fold score.")
    scores = scores / moderate_unit(float(np.abs(scores).max(initial=0.0)))
    scores = scores[:, 1] - scores[:, 0] if scores.shape[1:] == (2,) else scores
    scores = without_rounding(scores)
    if not np.ptp(scores, axis=0).any():
        raise ValueError("scores are constant: they rank no row above another. Give other scores.")
    return scores


def _as_regression(scores, labels):
    """Return scores of K > 2 classes in the unit of a regression of one-hot labels."""
    share = labels.shares_of_rows
    wanted = np.eye(labels.n_classes)[labels.observed]
    columns = scores - scores.mean(1, keepdims=True)
    columns = columns - share @ columns
    power = share @ (columns**2).sum(1)
    slope = share @ (columns * (wanted - share @ wanted)).sum(1) / max(power, 1e-300)
    # Scores that follow the labels the wrong way round stay as weak as they are.
    return share @ wanted + max(slope, 1e-3 / np.sqrt(max(power, 1e-300))) * columns


def _rates(noise_rates, n, n_classes):
    """Return the noise rates of the classes, and those of the rows if each has its own."""
    if noise_rates is None or isinstance(noise_rates, str):
        if isinstance(noise_rates, str) and noise_rates != "estimate":
            raise ValueError(f"noise_rates={noise_rates!r} must be 'estimate', None or rates.")
        return noise_rates, None
    rates = np.asarray(noise_rates, dtype=float)
    by_class = rates.shape in ((n_classes,), (n_classes, n_classes))
    if rates.shape[:1] == (n,) and not by_class:
        return "estimate", rates
    return noise_rates, None


def _group_sizes(groups, weights, kept):
    """Return the groups of the rows as codes, and the effective number of observations."""
    if groups is None:
        return None, float(weights.sum() ** 2 / (weights**2).sum())
    codes = np.unique(group_codes(groups, len(weights))[kept], return_inverse=True)[1].ravel()
    mass = np.bincount(codes, weights[kept])
    return codes, float(mass.sum() ** 2 / (mass**2).sum())
