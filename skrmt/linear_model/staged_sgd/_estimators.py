"""Linear models fitted by stochastic gradient descent in stages, whose loss is predicted."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, is_classifier
from sklearn.utils.validation import check_is_fitted

from ...linalg import to_numpy
from ...theory.sgd import critical_batch_size
from ...utils._checks import check_sample_weight, is_torch
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._intervals import Z95, not_below_guess, wilson_interval
from ...utils._random import random_entropy
from ...utils._regimes import regime
from ...utils._sklearn_compat import Interval, _fit_context
from ...utils._types import DataLike
from .._input import (
    check_class_labels,
    check_new_data,
    decode_labels,
    encode_labels,
    linear_scores,
)
from ._documentation import documented
from ._fit import Schedule, checked_stages, progress_reporter, spike_watch
from ._input import checked_data, staged_rows
from ._run import Batches, run
from ._stream import new_stream, stream_steps
from ._theory import predicted_accuracy
from ._warnings import warn_of_fit

_FEWEST_ROWS = 10
"""Effective rows below which nothing is predicted: leave-one-out residuals of fewer vary by more
than what they predict."""


class StagedSGD(DocLinkMixin, BaseEstimator):
    """What regressor and classifier share: parameters, the steps, their prediction, streams."""

    _parameter_constraints: dict = {
        "stages": "no_validation",
        "detect_spikes": ["boolean"],
        "rollback": ["boolean"],
        "max_rollbacks": [Interval(numbers.Integral, 0, None, closed="left")],
        "snapshot_every": [Interval(numbers.Integral, 1, None, closed="left")],
        "fit_intercept": ["boolean"],
        "strict": ["boolean"],
        "device": [str, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        stages: Literal["auto"] | Sequence[Any] = "auto",
        *,
        detect_spikes: bool = True,
        rollback: bool = True,
        max_rollbacks: int = 5,
        snapshot_every: int = 100,
        fit_intercept: bool = True,
        strict: bool = False,
        device: str | None = None,
        verbose: int = 0,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.stages = stages
        self.detect_spikes = detect_spikes
        self.rollback = rollback
        self.max_rollbacks = max_rollbacks
        self.snapshot_every = snapshot_every
        self.fit_intercept = fit_intercept
        self.strict = strict
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def _fit_rows(self, X, targets, sample_weight, sample_source, groups=None):
        """Fit to targets of shape (n, K); return prediction, last rows and risk without a fit."""
        rows = staged_rows(X, targets, sample_weight, sample_source, groups)
        schedule = Schedule(rows, checked_stages(self.stages), bool(self.fit_intercept))
        self._refuse_fast(schedule)
        prediction, moments = schedule.predict(self.detect_spikes, is_classifier(self))
        watch = None
        if self.detect_spikes:
            most = self.max_rollbacks if self.rollback else 0
            watch = spike_watch(prediction, moments, schedule.steps, most)
        seed = random_entropy(self.random_state)
        batches = Batches(rows.X, rows.targets, schedule.steps, seed, schedule.fresh)
        bounds = np.cumsum([0, *(len(step.rates) for step in schedule.steps)])
        scale, area = rows.target_unit**2, rows.unit**2
        report = progress_reporter(type(self).__name__, self.verbose, bounds[-1], scale)
        start = float(prediction.risks[0])
        course = run(batches, watch, start=start, snapshot_every=self.snapshot_every, report=report)
        warn_of_fit(rows, schedule, prediction, course.diverged, _FEWEST_ROWS)

        last, lam = schedule.steps[-1].moments, schedule.steps[0].moments.eigenvalues
        weights = to_numpy(course.weights).reshape(X.shape[1], -1).T
        shift = last.target_mean - weights.astype(float) @ last.mean
        self.coef_ = (weights * (rows.target_unit / rows.unit)).astype(weights.dtype)
        self.intercept_ = (rows.target_unit * shift).astype(weights.dtype)
        self.loss_curve_ = scale * course.losses
        self.spikes_, self.rollbacks_ = course.spikes, course.rollbacks
        self.stage_bounds_, self.n_iter_ = bounds, int(course.step)
        self.critical_learning_rate_ = float(schedule.critical[0] / area)
        self.critical_batch_size_ = critical_batch_size(lam) if lam.size else np.nan
        self.tail_index_ = schedule.tail_index()
        self.n_effective_samples_ = rows.n_effective
        claimed = scale if rows.n_effective >= _FEWEST_ROWS else np.nan
        self.theoretical_loss_curve_ = claimed * prediction.risks[:-1]
        self.theoretical_risk_ = float(claimed * prediction.claim.risk)
        self.theoretical_risk_interval_ = claimed * prediction.claim.interval
        self.noise_floor_ = float(claimed * prediction.floor)
        self._stream = new_stream(X.shape[1], targets.shape[1], self.n_iter_)
        if course.velocity is not None:
            speed = to_numpy(course.velocity).astype(float).reshape(X.shape[1], -1)
            self._stream = self._stream._replace(velocity=speed * (rows.unit * rows.target_unit))
        if self.fit_intercept:
            self._stream = self._stream._replace(
                weight=float(check_sample_weight(sample_weight, len(targets)).sum()),
                mean=rows.unit * last.mean,
                target_mean=rows.target_unit * last.target_mean,
            )
        return prediction, moments[-1], last.power / 2

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _refuse_fast(self, schedule):
        """Refuse rates above the critical one where that is asked for."""
        fast = schedule.too_fast()
        if fast is not None and self.strict:
            raise ValueError(
                f"the learning rate {fast[1]:.4g} of stage {fast[0]} is above the critical one, "
                f"{fast[2]:.4g}: the mean loss diverges if the stage is long. Lower it, or give "
                "it with relative=True."
            )

    def _more_rows(self, X, targets, sample_weight):
        """Take one pass over further rows, in the order given."""
        weights = check_sample_weight(sample_weight, len(targets), additive=True)
        n_features, n_targets = X.shape[1], targets.shape[1]
        coef = np.zeros((n_targets, n_features))
        losses = np.zeros(0)
        stream = new_stream(n_features, n_targets, 0)
        if hasattr(self, "coef_"):
            coef, losses, stream = np.atleast_2d(self.coef_), self.loss_curve_, self._stream
        stages = checked_stages(self.stages)
        stream, coef, new = stream_steps(
            stages, bool(self.fit_intercept), stream, X, targets, weights, coef
        )
        shift = stream.target_mean - coef.astype(float) @ stream.mean
        coef = coef.astype(str(X.dtype).rpartition(".")[2])
        self._stream = stream
        self.coef_, self.intercept_ = coef, shift.astype(coef.dtype)
        self.loss_curve_ = np.concatenate([losses, new])
        self.n_iter_ = len(self.loss_curve_)
        self.stage_bounds_ = np.array([0, self.n_iter_])
        self.spikes_, self.rollbacks_ = [], []
        self.critical_learning_rate_ = float(next(iter(stream.critical.values()), np.nan))
        self.theoretical_loss_curve_ = np.full(self.n_iter_, np.nan)
        self.theoretical_risk_ = self.noise_floor_ = np.nan
        self.theoretical_risk_interval_ = np.full(2, np.nan)
        self.critical_batch_size_ = self.tail_index_ = self.n_effective_samples_ = np.nan
        # Nothing is predicted, so no theory holds or fails.
        if hasattr(self, "regime_"):
            del self.regime_


@documented
class StagedSGDRegressor(RegressorMixin, StagedSGD):
    r"""Least squares by stochastic gradient descent in stages, whose loss curve is known ahead.

    Each stage has its own steps, batch size, learning rates and mixture of sources. The mean loss
    of every step is predicted from second and fourth moments of the rows before the first one.

    {parameters}

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept.
    loss_curve_ : ndarray of shape (T,)
        Half the mean squared residual of each batch before its step, in squared units
        of the targets.
    regime_ : {"detected", "ambiguous", "undetected", "too_few_rows"}
        "undetected" where the predicted risk is no lower than that of the mean target, "ambiguous"
        where it is nan, "too_few_rows" below 10 effective rows; see :term:`regime`.
    {attributes}

    {warnings}

    See Also
    --------
    Stage : A stage.
    skrmt.theory.sgd : The theory.
    StagedSGDClassifier : For classes.
    sklearn.linear_model.SGDRegressor : Without batches and predictions.

    {notes}

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model import Stage, StagedSGDRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((4000, 20))
    >>> y = X[:, 0] + 0.5 * rng.standard_normal(4000)
    >>> stages = [Stage(200, 4, 0.5, relative=True), Stage(200, 8, 0.5, "cosine", relative=True)]
    >>> model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    >>> model.spikes_
    []
    >>> late = model.loss_curve_[200:].mean() / model.theoretical_loss_curve_[200:].mean()
    >>> bool(0.9 < late < 1.1)
    True
    """

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: DataLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sample_source: ArrayLike | None = None,
    ) -> Self:
        """Run all stages, and predict how they go.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows: a row of weight 2 is the same as that row twice.
        sample_source : array-like of shape (n,), optional
            Source of each row, which the mixtures of stages name.

        Returns
        -------
        StagedSGDRegressor
            The fitted model.
        """
        X, y = checked_data(self, X, y, numeric=True)
        prediction, _, start = self._fit_rows(X, y[:, None], sample_weight, sample_source)
        self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        risk = prediction.claim.risk
        self.regime_ = regime(
            too_few_rows=self.n_effective_samples_ < _FEWEST_ROWS,
            undetected=risk >= start,
            ambiguous=bool(np.isnan(risk)),
        )
        return self

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: DataLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Take one pass over further rows, in the order given.

        Steps continue those before; past the last stage its last rate is kept. "auto" is half the
        critical rate of the first rows, without decay. Nothing is predicted.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        StagedSGDRegressor
            The model.
        """
        X, y = checked_data(self, X, y, numeric=True, reset=not hasattr(self, "coef_"))
        self._more_rows(X, y[:, None], sample_weight)
        self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    def predict(self, X: DataLike) -> Any:
        """Predict targets.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray or torch tensor of shape (n,)
            Predictions.
        """
        check_is_fitted(self)
        X = check_new_data(self, X)
        if is_torch(X):
            return X @ X.new_tensor(self.coef_) + float(self.intercept_)
        return X @ self.coef_ + self.intercept_


@documented
class StagedSGDClassifier(ClassifierMixin, StagedSGD):
    r"""Least squares on classes by stochastic gradient descent in stages, with its accuracy.

    The targets are -1 and +1, or 0 and 1 for each of more classes. Loss curve and accuracy are
    predicted from second and fourth moments of the rows.

    {parameters}

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, sorted.
    coef_ : ndarray of shape (1, n_features) or (K, n_features)
        Coefficients.
    intercept_ : ndarray of shape (1,) or (K,)
        Intercepts.
    theoretical_accuracy_ : float
        Predicted accuracy on fresh rows, in [0, 1]: the mean over rows, each left out, of the
        probability that its score, Gaussian over the draws of batches, is on the right side. With
        `groups` a twentieth of them is left out at a time.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval, of Wilson for the effective rows, or groups, of the last stage.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        The same: labels are taken as they are.
    loss_curve_ : ndarray of shape (T,)
        Half the mean squared residual of each batch before its step, summed over more than two
        classes.
    regime_ : {"detected", "undetected", "too_few_rows"}
        "undetected" where the interval reaches the share of the largest class, "too_few_rows" below
        10 effective rows; see :term:`regime`.
    {attributes}

    {warnings}

    See Also
    --------
    Stage : A stage.
    skrmt.theory.sgd : The theory.
    StagedSGDRegressor : For numbers.
    sklearn.linear_model.SGDClassifier : Without batches and predictions.

    {notes}

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skrmt.linear_model import Stage, StagedSGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)[:, :10]
    >>> model = StagedSGDClassifier([Stage(500, 8, "auto", "linear")], random_state=0).fit(X, y)
    >>> bool(abs(model.score(X, y) - model.theoretical_accuracy_) < 0.02)
    True
    """

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: DataLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sample_source: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Run all stages, and predict how they go.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Classes, numbers or strings.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows: a row of weight 2 is the same as that row twice.
        sample_source : array-like of shape (n,), optional
            Source of each row, which the mixtures of stages name.
        groups : array-like of shape (n,), optional
            Rows of a group (a person, a document) are left out together, and the accuracy is that
            on rows of other groups. `n_effective_samples_` then counts groups.

        Returns
        -------
        StagedSGDClassifier
            The fitted model.
        """
        X, y = checked_data(self, X, y, numeric=False)
        check_class_labels(y)
        weights = check_sample_weight(sample_weight, len(y))
        self.classes_, codes = encode_labels(y, weights)
        targets = _class_targets(codes, len(self.classes_))
        prediction, rows, _ = self._fit_rows(X, targets, sample_weight, sample_source, groups)
        known = rows.Y + rows.target_mean
        codes = (known[:, 0] > 0) * 1 if known.shape[1] == 1 else known.argmax(axis=1)
        few = self.n_effective_samples_ < _FEWEST_ROWS
        accuracy = np.nan if few else predicted_accuracy(prediction, codes, rows.shares)
        frequencies = np.bincount(codes, rows.shares)
        guess, largest = float(frequencies.min()), frequencies.max()
        accuracy = not_below_guess(accuracy, prediction.size, guess)
        interval = wilson_interval(accuracy, prediction.size)
        # Of rates near the critical one runs differ by more than rows.
        wide = np.hypot(interval - accuracy, Z95 * prediction.accuracy_spread)
        low, high = np.clip([accuracy - wide[0], accuracy + wide[1]], 0, 1)
        interval = np.array([low, max(high, guess)])
        self.theoretical_accuracy_ = self.observed_accuracy_ = accuracy
        self.theoretical_accuracy_interval_ = interval
        self.observed_accuracy_interval_ = interval.copy()
        self.regime_ = regime(too_few_rows=few, undetected=not low > largest)
        return self

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: DataLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Take one pass over further rows, in the order given.

        Steps continue those before; past the last stage its last rate is kept. "auto" is half the
        critical rate of the first rows, without decay. Nothing is predicted.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Classes.
        classes : array-like of shape (K,), optional
            All classes; needed in the first call.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        StagedSGDClassifier
            The model.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call, or has changed, or y has others.
        """
        first = not hasattr(self, "coef_")
        X, y = checked_data(self, X, y, numeric=False, reset=first)
        self.classes_ = self._all_classes(classes, first)
        if not np.isin(y, self.classes_).all():
            raise ValueError(f"y has labels that are not in classes={self.classes_.tolist()}.")
        targets = _class_targets(np.searchsorted(self.classes_, y), len(self.classes_))
        self._more_rows(X, targets, sample_weight)
        self.theoretical_accuracy_ = self.observed_accuracy_ = np.nan
        self.theoretical_accuracy_interval_ = np.full(2, np.nan)
        self.observed_accuracy_interval_ = np.full(2, np.nan)
        return self

    def _all_classes(self, classes, first):
        """Return the classes, which do not change after the first call."""
        if classes is None:
            if first:
                raise ValueError("classes must be passed in the first call of partial_fit.")
            return self.classes_
        found = np.unique(to_numpy(classes))
        if len(found) < 2:
            raise ValueError(f"classes has only one class, {found.tolist()}: give two or more.")
        if not first and not np.array_equal(found, self.classes_):
            raise ValueError(
                f"classes={found.tolist()} is not the same as in the call before, "
                f"{self.classes_.tolist()}."
            )
        return found

    def decision_function(self, X: DataLike) -> Any:
        """Compute the scores.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (n, K)
            Positive for the second class where there are two; one score per class for more.
        """
        check_is_fitted(self)
        return linear_scores(self, check_new_data(self, X))

    def predict(self, X: DataLike) -> Any:
        """Predict classes.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n,), or torch tensor for torch input and numeric labels
            Classes.
        """
        scores = self.decision_function(X)
        codes = (scores > 0) * 1 if len(self.classes_) == 2 else scores.argmax(1)
        return decode_labels(self.classes_, codes)


def _class_targets(codes, n_classes):
    """Return -1 and +1 for two classes, 0 and 1 for each of more."""
    if n_classes == 2:
        return (2.0 * codes - 1)[:, None]
    return (codes[:, None] == np.arange(n_classes)).astype(float)
