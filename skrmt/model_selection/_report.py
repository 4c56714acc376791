"""What estimators of scikit-learn will reach, from their training data alone."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils.metaestimators import available_if

from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._forecast import Forecast, first_reaching, unbanded
from ..utils._merging import COPIES
from ..utils._regimes import regime
from ..utils._sklearn_compat import (
    HasMethods,
    Interval,
    _check_feature_names,
    _fit_context,
    check_is_fitted,
    get_tags,
)
from ..utils._warnings import warn, warn_first
from ._accuracy import (
    MISFIT_LEVEL,
    Labels,
    predict_accuracy,
    predict_error,
    read_labels,
    unknown,
)
from ._curve import Extrapolation, extrapolation, no_forecast, predicted_scores
from ._estimators import (
    check_predicts,
    chooses_by_folds,
    fit_weighted,
    last_step,
    last_step_rows,
)
from ._held_out import HeldOut, held_out
from ._rows import Rows, distinct_rows, read_rows
from ._whole_folds import has_closed_form, is_linear, whole_folds

_FEWEST_ROWS = 10
"""Effective rows below which an interval of 95 % spans half of all accuracies or more."""
_TOO_FEW_ROWS = (
    "There are fewer than ten effective rows (`n_effective_samples_`): nothing is predicted. Give "
    "more rows."
)
_UNDETECTED = (
    "The held-out score is not better than that of a constant guess "
    "(`theoretical_score_interval_` reaches it, or is nan): the features show no signal. Give more "
    "rows or other features."
)
_NO_CURVE = (
    "This is an estimator for which there is no theory: the score at other numbers of rows is not "
    "predicted."
)
_MISFIT = (
    "Theory and held-out scores disagree (`model_fit_pvalue_`): leverages differ between rows, or "
    "scores are not Gaussian within classes. `theoretical_score_` is counted on held-out scores."
)
_KINDS = {
    "exact": "Rows are held out in closed form, exactly.",
    "newton": "Rows are held out by one Newton step per row.",
    "folds": "Rows are held out by folds, twenty fits at most: there is no closed form here.",
}


class _Evidence(NamedTuple):
    """What `forecast` needs of a fit.

    Attributes
    ----------
    model : estimator
        The fitted last step; None where there is no theory of it.
    rows : Rows
        Its rows.
    left : HeldOut
        Their held-out scores.
    labels : Labels or None
        Labels of a classifier.
    """

    model: Any
    rows: Rows
    left: HeldOut
    labels: Labels | None


def _estimator_has(name):
    """Return a check that the estimator of a report has an attribute."""
    return lambda report: hasattr(getattr(report, "estimator_", report.estimator), name)


def _alias(name, kind, summary):
    """Return a property that is an attribute of reports on classifiers, or on regressors."""

    def read(self):
        check_is_fitted(self)
        if kind != ("regressor" if self._evidence.labels is None else "classifier"):
            raise AttributeError(f"This report is not on a {kind}: there is no such attribute.")
        return getattr(self, name)

    return property(read, doc=summary)


class GeneralizationReport(DocLinkMixin, MetaEstimatorMixin, BaseEstimator):
    r"""Predict from training data how well an estimator of scikit-learn does on fresh data.

    The estimator is fitted to all rows. Leave-one-out scores of linear ones come from the
    decomposition of that fit: exactly for ridge regression and linear discriminant analysis, after
    one Newton step per row for logistic regression. Those of others come from ten folds, twice.
    They predict the accuracy on fresh rows, with an interval. Of linear ones random matrix theory
    predicts the same from the mean leverage alone, and where the two disagree the data are not what
    theory assumes; from the same decomposition the accuracy at other numbers of rows and with other
    label noise is extrapolated.

    Parameters
    ----------
    estimator : classifier or regressor
        With one target, fitted or not: any, a `Pipeline`, or a search. It is cloned.
    noise_rates : float or array-like of shape (K,), default=None
        Known rates of wrong training labels, one for all classes or one for each in sorted order;
        the score predicted is the accuracy on clean labels. None means that every label is right.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    theoretical_score_ : float
        Accuracy on clean labels of fresh rows, or R^2: the number to read first.
    theoretical_score_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    observed_score_ : float
        Accuracy on labels of fresh rows that are as noisy as those given, or R^2, counted on
        held-out scores.
    observed_score_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    theoretical_accuracy_, theoretical_accuracy_interval_ : float, ndarray of shape (2,)
        `theoretical_score_` under its own name, of classifiers.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        `observed_score_` under its own name, of classifiers.
    theoretical_r2_, theoretical_r2_interval_ : float, ndarray of shape (2,)
        `theoretical_score_` under its own name, of regressors.
    theoretical_error_, theoretical_error_interval_ : float, ndarray of shape (2,)
        Mean squared error on fresh rows, of regressors, in squares of the unit of y.
    model_score_ : float
        Accuracy or R^2 in theory: every row has the mean leverage, and scores of two classes are
        Gaussian. nan where scores come from folds.
    model_fit_ : bool
        Whether theory and held-out scores agree, at the level of 1 %.
    model_fit_pvalue_ : float
        p-value of that test.
    held_out_scores_ : ndarray of shape (n,) or (n, K)
        Decision function or prediction of every training row by the fit without it; nan for rows
        of weight zero.
    scores_kind_ : {"exact", "newton", "folds"}
        How rows are held out; folds, twenty fits at most, where there is no closed form.
    regime_ : {"detected", "misfit", "undetected", "too_few_rows"}
        "undetected" if the interval reaches the score of a constant guess, the share of the most
        frequent class or an R^2 of 0; "misfit" if `model_fit_` is False, see :term:`regime`.
    n_effective_samples_ : float
        Number of observations: distinct rows, unless rows repeat because their features have few
        values, and fewer where weights differ.
    classes_ : ndarray of shape (K,)
        Sorted classes, of classifiers.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    ForecastDisplay : Draws the learning curve.
    skrmt.linear_model.NoiseAwareLinearClassifier : Estimates the label noise too.

    Notes
    -----
    Leave-one-out scores of the last step of a pipeline are those of the whole only if no step
    before it learns from the targets, or much from single rows, as scalers, encoders and imputers
    do not. After any other step, for searches, and for all other classifiers and regressors the
    whole is fitted again without each of ten folds, twice: what a selector of features, or a
    search, learns from a row is not counted in its favour. Copies, and rows of one group, are in
    one fold.

    Penalties of scikit-learn grow with the unit of the sample weights. The estimator is fitted to
    weights that add up to the number of observations, so that their unit does not matter, and
    copies of a row count as one row.

    References
    ----------
    Dobriban & Wager, High-dimensional asymptotics of prediction: ridge regression and
    classification, arXiv:1507.03003. High-dimensional Learning with Noisy Labels, arXiv:2405.14088.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.model_selection import GeneralizationReport
    >>> X, y, _, _ = make_noisy_mixture(2000, 100, noise_rates=None, random_state=0)
    >>> model = make_pipeline(StandardScaler(), RidgeClassifier())
    >>> report = GeneralizationReport(model).fit(X[:300], y[:300])
    >>> report.theoretical_accuracy_interval_.round(2)
    array([0.9 , 0.96])
    >>> round(report.estimator_.score(X[300:], y[300:]), 2)
    0.94
    >>> report.forecast(n_samples=[100, 2000]).score.round(2)
    array([0.77, 0.97])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"])],
        "noise_rates": [None, Interval(Real, 0, 1, closed="left"), "array-like"],
    }

    def __init__(self, estimator, *, noise_rates=None):
        self.estimator = estimator
        self.noise_rates = noise_rates

    theoretical_accuracy_ = _alias("theoretical_score_", "classifier", "Accuracy on clean labels.")
    theoretical_accuracy_interval_ = _alias(
        "theoretical_score_interval_", "classifier", "Its 95 % interval."
    )
    observed_accuracy_ = _alias("observed_score_", "classifier", "Accuracy on labels as given.")
    observed_accuracy_interval_ = _alias(
        "observed_score_interval_", "classifier", "Its 95 % interval."
    )
    theoretical_r2_ = _alias("theoretical_score_", "regressor", "R^2 on fresh rows.")
    theoretical_r2_interval_ = _alias(
        "theoretical_score_interval_", "regressor", "Its 95 % interval."
    )
    theoretical_error_ = _alias("_error", "regressor", "Mean squared error on fresh rows.")
    theoretical_error_interval_ = _alias("_error_interval", "regressor", "Its 95 % interval.")

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, sample_weight=None, *, groups=None):
        """Fit the estimator, and predict its score on fresh rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Training rows, as the estimator takes them.
        y : array-like of shape (n,)
            Labels or targets.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for the last step of a pipeline.
        groups : array-like of shape (n,), default=None
            Rows of a group (a person, a day) are left out together, and fresh rows are those of
            other groups. The group is what `n_effective_samples_` counts.

        Returns
        -------
        GeneralizationReport
            The report.

        Raises
        ------
        TypeError
            If the estimator is neither a classifier nor a regressor.
        ValueError
            If the data or the noise rates cannot be used.

        Warns
        -----
        TheoryWarning
            If there are fewer than ten effective rows, no signal, a theory that the data
            contradict, or copies of rows; the first that applies.
        """
        last_step(self.estimator)
        check_predicts(self.estimator)
        given = read_rows(self.estimator, X, y, sample_weight, groups)
        self.estimator_ = fit_weighted(clone(self.estimator), given.X, given.y, given.fit_weights)
        features = model = None
        if has_closed_form(self.estimator):
            features, model = last_step_rows(self.estimator_, given.X)
        rows = distinct_rows(model, features, given)
        labels = self._read_labels(rows)
        if model is None or chooses_by_folds(self.estimator):
            left = whole_folds(self.estimator, given, None if labels is None else self.classes_)
        else:
            left = held_out(model, rows)
        self._error, self._error_interval = np.nan, np.full(2, np.nan)
        few = rows.size < _FEWEST_ROWS
        if labels is not None:
            found = predict_accuracy(left, labels, rows)
        else:
            errors = predict_error(left, rows)
            found = errors.r2
            if not few:
                self._error, self._error_interval = errors.error, errors.error_interval
        found = unknown(found.guess) if few else found

        self.theoretical_score_ = float(found.score)
        self.theoretical_score_interval_ = found.interval
        self.observed_score_ = float(found.observed)
        self.observed_score_interval_ = found.observed_interval
        self.model_score_ = float(found.model)
        self.model_fit_pvalue_ = float(found.p_value)
        self.model_fit_ = not found.p_value < MISFIT_LEVEL
        self.held_out_scores_ = given.spread(left.scores)
        self.scores_kind_ = left.kind
        self.n_effective_samples_ = rows.size
        self.regime_ = regime(
            too_few_rows=few,
            undetected=not found.interval[0] > found.guess,
            misfit=not self.model_fit_,
        )
        _check_feature_names(self, X, reset=True)
        model = model if is_linear(self.estimator) else None
        self._evidence = _Evidence(model, rows, left, labels)
        self._curve = None
        texts = {"too_few_rows": _TOO_FEW_ROWS, "undetected": _UNDETECTED, "misfit": _MISFIT}
        complaints = [texts[self.regime_]] if self.regime_ in texts else []
        warn_first(complaints + [COPIES] * (given.merged.kind == "copies"))
        return self

    def _read_labels(self, rows):
        """Return what is known of the labels of a classifier, None for a regressor."""
        rates = np.asarray(0.0 if self.noise_rates is None else self.noise_rates, dtype=float)
        if is_classifier(self.estimator):
            return read_labels(np.searchsorted(self.classes_, rows.y), rows.weights, rates)
        if np.any(rates != 0):
            raise ValueError(
                f"noise_rates={self.noise_rates!r} is for classifiers, {self.estimator_!r} is "
                "none: leave it at None."
            )
        return None

    def forecast(self, *, n_samples=None, noise_rates=None):
        """Predict the score at other numbers of training rows, or with other label noise.

        Parameters
        ----------
        n_samples : float or array-like of float, default=None
            Numbers of training rows, at least 2; `n_effective_samples_` by default.
        noise_rates : float or array-like of shape (..., 1) or (..., K), default=None
            Rates of wrong labels, one for all classes or one for each along the last axis; those
            given to the report by default. Not for regression.

        Returns
        -------
        Forecast
            Scores of the same estimator, with the same parameters, with their 95 % band: the
            interval of the present score, carried along. A penalty chosen by cross-validation is
            chosen anew. The shape is that to which the numbers of rows and the leading axes of the
            rates broadcast.

        Raises
        ------
        NotFittedError
            If the report is not fitted.
        ValueError
            If a number of rows is below 2 or a noise rate is out of its domain.

        Warns
        -----
        TheoryWarning
            If there are hardly more rows than features in use, or the classes are not apart beyond
            chance: scores are nan then.

        Notes
        -----
        Exact in high dimension for ridge regression and for classifiers that are one: the ridge
        classifier, and discriminant analysis, whose direction is that of least squares. Logistic
        regression is represented by the ridge classifier whose held-out scores correlate best with
        its own. Accuracies are anchored at `theoretical_accuracy_`.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> report = GeneralizationReport(Ridge(0.1)).fit(X, y)
        >>> report.forecast(n_samples=[100, 442, 4420]).score.round(2)
        array([0.46, 0.49, 0.5 ])
        """
        check_is_fitted(self)
        sizes, rates = self._conditions(n_samples, noise_rates)
        conditions = {"n_samples": sizes} | ({} if rates is None else {"noise_rates": rates})
        shape = np.broadcast_shapes(sizes.shape, () if rates is None else rates.shape[:-1])
        reason = self._no_forecast()
        if reason is not None:
            warn(reason)
            return unbanded(np.full(shape, np.nan), **conditions)
        sizes = np.broadcast_to(sizes, shape).ravel()
        if rates is not None:
            rates = np.broadcast_to(rates, (*shape, rates.shape[-1])).reshape(len(sizes), -1)
        score, lower, upper = self._scores(sizes, rates).reshape(3, *shape)
        return Forecast(score, lower, upper, conditions)

    def required(self, score, *, of="n_samples", noise_rates=None):
        """Predict how many training rows a score takes.

        Parameters
        ----------
        score : float
            Accuracy on clean labels, or R^2.
        of : {"n_samples"}, default="n_samples"
            What is counted.
        noise_rates : float or array-like of shape (K,), default=None
            Rates of wrong labels, see `forecast`.

        Returns
        -------
        float
            Smallest number of rows, from 2 to 1e9, at which `forecast` reaches the score; inf if
            none does, nan where nothing can be predicted.

        Raises
        ------
        NotFittedError
            If the report is not fitted.
        ValueError
            If a value is out of its domain.

        Warns
        -----
        TheoryWarning
            Where `forecast` does: the result is nan then.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> report = GeneralizationReport(Ridge(0.1)).fit(X, y)
        >>> round(report.required(0.5))
        1029
        """
        check_is_fitted(self)
        if of != "n_samples":
            raise ValueError(f"of={of!r} must be 'n_samples'.")
        if not isinstance(score, Real) or np.isnan(float(score)):
            raise ValueError(f"score={score!r} must be a number.")
        _, rates = self._conditions(None, noise_rates)
        if rates is not None and rates.ndim > 1:
            raise ValueError(f"noise_rates={noise_rates!r} must be one rate, or one per class.")
        reason = self._no_forecast()
        if reason is not None:
            warn(reason)
            return np.nan

        def score_at(sizes):
            repeated = None if rates is None else np.tile(rates, (len(sizes), 1))
            return self._scores(sizes, repeated)[0]

        return first_reaching(score_at, float(score), 2.0)

    def _conditions(self, n_samples, noise_rates):
        """Return numbers of rows, and noise rates with one axis at least."""
        given = self.n_effective_samples_ if n_samples is None else n_samples
        sizes = np.asarray(given, dtype=float)
        if not (np.isfinite(sizes) & (sizes >= 2)).all():
            raise ValueError(f"n_samples={n_samples!r} must be numbers of rows, 2 at least.")
        if noise_rates is None:
            return sizes, None
        if self._evidence.labels is None:
            raise ValueError(
                f"noise_rates={noise_rates!r} is for classifiers, this report is on a regressor: "
                "leave it at None."
            )
        rates = np.atleast_1d(np.asarray(noise_rates, dtype=float))
        n_classes = len(self.classes_)
        if rates.shape[-1] not in (1, n_classes) or not ((rates >= 0) & (rates < 1)).all():
            raise ValueError(
                f"noise_rates={noise_rates!r} must be one rate in [0, 1), or one for each of the "
                f"{n_classes} classes along the last axis."
            )
        return sizes, rates

    def _extrapolation(self) -> Extrapolation:
        """Return what scores at other numbers of rows depend on, measured at its first use."""
        if self._curve is None:
            self._curve = extrapolation(*self._evidence[:3])
        return self._curve

    def _no_forecast(self):
        """Return why nothing can be predicted, None if something can."""
        if np.isnan(self.theoretical_score_):
            return _TOO_FEW_ROWS if self.regime_ == "too_few_rows" else _UNDETECTED
        if self._evidence.model is None:
            return _NO_CURVE
        return no_forecast(self._extrapolation(), self._evidence.labels)

    def _scores(self, sizes, rates):
        """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
        present = np.array([self.theoretical_score_, *self.theoretical_score_interval_])
        labels = self._evidence.labels
        return predicted_scores(self._extrapolation(), labels, present, sizes, rates)

    def summary(self):
        """Return the report in words.

        Returns
        -------
        str
            Some lines.

        Raises
        ------
        NotFittedError
            If the report is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> print(GeneralizationReport(Ridge(0.1)).fit(X, y).summary())
        Predicted R^2 on fresh rows: 0.494 (95 % interval 0.435 to 0.554).
        Rows are held out in closed form, exactly.
        Theory predicts 0.494: it agrees with held-out rows (p = 0.61).
        Predicted with twice the rows: 0.499; with ten times: 0.504.
        """
        check_is_fitted(self)
        name = "R^2" if self._evidence.labels is None else "accuracy"
        low, high = self.theoretical_score_interval_
        lines = [
            f"Predicted {name} on fresh rows: {self.theoretical_score_:.3f} (95 % interval "
            f"{low:.3f} to {high:.3f}).",
            _KINDS[self.scores_kind_],
        ]
        if np.isfinite(self.model_score_):
            verdict = "agrees" if self.model_fit_ else "disagrees"
            lines.append(
                f"Theory predicts {self.model_score_:.3f}: it {verdict} with held-out rows "
                f"(p = {self.model_fit_pvalue_:.2g})."
            )
        reason = self._no_forecast()
        if reason is None:
            sizes = np.array([2.0, 10.0]) * self.n_effective_samples_
            twice, ten = self._scores(sizes, None)[0]
            lines.append(f"Predicted with twice the rows: {twice:.3f}; with ten times: {ten:.3f}.")
        else:
            lines.append(reason)
        return "\n".join(lines)

    @property
    def classes_(self):
        """Sorted classes, of classifiers."""
        check_is_fitted(self)
        return self.estimator_.classes_

    @property
    def n_features_in_(self):
        """Number of features."""
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    @available_if(_estimator_has("predict"))
    def predict(self, X):
        """Predict with the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Labels or targets.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X):
        """Predict probabilities of classes with the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X):
        """Return the scores of the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            Scores.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X, y, sample_weight=None):
        """Return the accuracy or R^2 of the fitted estimator on some rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.
        y : array-like of shape (n,)
            Labels or targets.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The score.
        """
        check_is_fitted(self)
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(X, y, **given)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        tags.input_tags = inner.input_tags
        tags.target_tags.required = True
        return tags
