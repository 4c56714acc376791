"""What estimators of scikit-learn will reach, from their training data alone."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone
from sklearn.utils.metadata_routing import process_routing

from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._merging import COPIES
from ..utils._sklearn_compat import (
    CallbackSupportMixin,
    HasMethods,
    Interval,
    StrOptions,
    _check_feature_names,
    _fit_context,
    check_is_fitted,
)
from ..utils._types import DataLike
from ..utils._warnings import warn_first
from ._accuracy import MISFIT_LEVEL
from ._delegation import FittedEstimatorMixin
from ._evidence import leave_out
from ._forecasting import ForecastMixin
from ._input import (
    check_predicts,
    fit_weighted,
    groups_name,
    last_step,
    params_of_rows,
    read_rows,
)
from ._page import report_page
from ._prediction import all_claims, predict_scores
from ._report_display import ReportDisplay
from ._report_forms import ReportForms
from ._scoring import check_noise, read_scoring
from ._texts import OF_REGIME
from ._words import report_dict


def _part(name, part, summary):
    """Return a property that is the score, or the interval, of one metric."""

    def read(self) -> Any:
        check_is_fitted(self)
        if name not in self.theoretical_scores_:
            raise AttributeError(f"This report has no {name}: there is no such attribute.")
        return _signed(self.theoretical_scores_[name], part, name.startswith("neg_"))

    return property(read, doc=summary)


def _signed(claim, part, is_loss):
    """Return a score or an interval; that of a loss is not negative."""
    claim = np.array([-claim[0], -claim[2], -claim[1]] if is_loss else claim)
    return float(claim[part]) if part == 0 else claim[part]


def _observed(part, summary):
    """Return a property that is the accuracy on labels as given, or its interval."""

    def read(self) -> Any:
        check_is_fitted(self)
        if self._evidence.labels is None:
            raise AttributeError("This report is on a regressor: there is no such attribute.")
        found = self._found.observed_default
        return float(found.score) if part == 0 else found.interval

    return property(read, doc=summary)


class GeneralizationReport(
    DocLinkMixin,
    FittedEstimatorMixin,
    ForecastMixin,
    ReportForms,
    CallbackSupportMixin,
    MetaEstimatorMixin,
    BaseEstimator,
):
    r"""Predict from training data how well any estimator of scikit-learn does on fresh data.

    The estimator, a pipeline or search included, is fitted to all rows. What it would make of rows
    it has not seen comes from the decomposition of that fit for linear estimators, and from ten
    folds of the whole estimator, twice, for all others. From these rows follow the metrics of
    scikit-learn on fresh rows, each with its interval, and what more rows would bring.

    Parameters
    ----------
    estimator : classifier or regressor
        With one target, fitted or not: any, a `Pipeline`, or a search. It is cloned.
    scoring : str or callable, default=None
        The metric that is predicted, a name or a scorer of scikit-learn; None is that of the
        estimator's own `score`, accuracy or R^2. Names that are not in `theoretical_scores_` and
        scorers are counted on the folds.
    noise_rates : float, array-like of shape (K,) or "estimate", default=None
        Known rates of wrong training labels, one for all classes or one for each in sorted order,
        or "estimate" to let :func:`clean_accuracy` find them; the score predicted is that on clean
        labels. None means that every label is right.
    cv : "auto", int, splitter or iterable of (train, test), default="auto"
        How rows are left out. "auto" is in closed form where there is one, and ten folds twice
        elsewhere; an int is so many folds of the whole estimator, once. Folds follow from what the
        rows hold, not from their order.
    n_jobs : int, default=None
        Number of folds that are fitted in parallel; None is 1 unless in a
        :func:`joblib.parallel_config`, -1 all processors.
    random_state : int, RandomState instance or None, default=None
        Deals rows out over folds; None is always the same way. The estimator has its own.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    theoretical_score_ : float
        The metric on fresh rows, with clean labels: the number to read first.
    theoretical_score_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    theoretical_scores_ : dict of str to (float, float, float)
        All metrics that the estimator has, by the names and with the signs of scikit-learn: score,
        lower and upper bound of the 95 % interval. Those of one class are of the second.
    observed_score_ : float
        The metric on fresh rows with labels as noisy as those given, counted on held-out rows.
    observed_score_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    baseline_score_ : float
        The metric of a constant guess; nan for scorers that are counted on folds.
    theoretical_accuracy_, theoretical_accuracy_interval_ : float, ndarray of shape (2,)
        Accuracy on clean labels, of classifiers.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        Accuracy on labels as given, of classifiers.
    theoretical_r2_, theoretical_r2_interval_ : float, ndarray of shape (2,)
        R^2, of regressors.
    theoretical_error_, theoretical_error_interval_ : float, ndarray of shape (2,)
        Mean squared error on fresh rows, of regressors, in squares of the unit of y.
    clean_accuracy_ : CleanAccuracy or None
        What held-out scores show of the labels, where `noise_rates` is "estimate".
    model_score_ : float
        Accuracy or R^2 in theory: every row has the mean leverage, and scores of two classes are
        Gaussian. nan for other metrics, and where scores come from folds.
    model_fit_ : bool
        Whether theory and held-out scores agree, at the level of 1 %.
    model_fit_pvalue_ : float
        p-value of that test.
    held_out_scores_ : ndarray of shape (n,) or (n, K)
        Decision function or prediction of every training row by a fit without it; nan for rows
        of weight zero, and for rows that `cv` never leaves out.
    scores_kind_ : {"exact", "newton", "folds"}
        How rows are held out: by folds if there is no closed form.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "undetected" if the interval reaches the score of a constant guess, and that of the area
        under the curve, or balanced accuracy, does; "misfit" if
        `model_fit_` is False; "ambiguous" if estimated noise may or may not be there, see
        :term:`regime`.
    n_effective_samples_ : float
        Number of observations: distinct rows, unless rows repeat because their features have few
        values, and fewer where weights differ.
    n_fits_ : int
        How often the estimator was fitted.
    classes_ : ndarray of shape (K,)
        Sorted classes, of classifiers.
    n_features_in_ : int
        Number of features.

    See Also
    --------
    ForecastDisplay : Draws the learning curve.
    ReportDisplay : Draws the report.
    clean_accuracy : Estimates the label noise from scores of any classifier.

    Notes
    -----
    NumPy computes everything: the estimators are scikit-learn's. Torch tensors are copied, of half
    precision or with a gradient too.

    Leave-one-out scores of the last step of a pipeline are those of the whole only if no step
    before it learns from the targets, or much from single rows, as scalers, encoders and imputers
    do not. After any other step, for searches, and for all other classifiers and regressors the
    whole is fitted again without each fold: what a selector or a search learns from a row does not
    raise the score of that row. Copies, and rows of one group, are in one fold.

    Accuracy, balanced accuracy and F1 from folds are half counted, and half the sum of the
    probabilities that held-out scores give after calibration on all of them; areas under curves are
    means over folds. Intervals are Wilson's, their product over classes, Hanley and McNeil's, and
    normal ones of the logarithm of errors, all wider for rows sharing their fits.

    Without a row its label is rarer than among fresh rows, and a row of noise would be taken for
    one of another class. Metrics of closed forms are therefore counted from fits in which the other
    rows of its label weigh as much more as the row did, to first order; discriminants keep the
    priors of all rows, exactly. `held_out_scores_` are those of plain fits without each row.

    Callbacks of scikit-learn are called at every fold:
    ``report.set_callbacks(sklearn.callback.ProgressBar())`` shows the progress of long ones.

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
    array([0.89, 0.96])
    >>> round(report.estimator_.score(X[300:], y[300:]), 2)
    0.94
    >>> report.forecast(n_samples=[100, 2000]).score.round(2)
    array([0.77, 0.97])

    Any other estimator, in any metric:

    >>> from sklearn.ensemble import RandomForestClassifier
    >>> forest = RandomForestClassifier(20, random_state=0)
    >>> report = GeneralizationReport(forest, scoring="roc_auc").fit(X[:300], y[:300])
    >>> report.theoretical_score_interval_.round(2)
    array([0.91, 0.98])
    """

    _parameter_constraints: dict = {
        "estimator": [HasMethods(["fit"])],
        "scoring": [str, callable, None],
        "noise_rates": [
            None,
            StrOptions({"estimate"}),
            Interval(Real, 0, 1, closed="left"),
            "array-like",
        ],
        "cv": [StrOptions({"auto"}), "cv_object"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: BaseEstimator,
        *,
        scoring: str | Callable[..., Any] | None = None,
        noise_rates: Literal["estimate"] | float | ArrayLike | None = None,
        cv: Any = "auto",
        n_jobs: int | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.estimator = estimator
        self.scoring = scoring
        self.noise_rates = noise_rates
        self.cv = cv
        self.n_jobs = n_jobs
        self.random_state = random_state

    theoretical_accuracy_ = _part("accuracy", 0, "Accuracy on clean labels.")
    theoretical_accuracy_interval_ = _part("accuracy", slice(1, 3), "Its 95 % interval.")
    observed_accuracy_ = _observed(0, "Accuracy on labels as given.")
    observed_accuracy_interval_ = _observed(slice(1, 3), "Its 95 % interval.")
    theoretical_r2_ = _part("r2", 0, "R^2 on fresh rows.")
    theoretical_r2_interval_ = _part("r2", slice(1, 3), "Its 95 % interval.")
    theoretical_error_ = _part("neg_mean_squared_error", 0, "Mean squared error on fresh rows.")
    theoretical_error_interval_ = _part("neg_mean_squared_error", slice(1, 3), "Its 95 % interval.")

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: DataLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the estimator, and predict its score on fresh rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p), or list of str
            Training rows, as the estimator takes them.
        y : array-like of shape (n,)
            Labels or targets.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows, for the last step of a pipeline.
        groups : array-like of shape (n,), default=None
            Rows of a group (a person, a day) are left out together, and fresh rows are those of
            other groups. The group is what `n_effective_samples_` counts.
        **fit_params : dict
            Further parameters of `fit` of the estimator; those with one entry per row go with
            their rows.

        Returns
        -------
        GeneralizationReport
            The report.

        Raises
        ------
        TypeError
            If the estimator is neither a classifier nor a regressor of one target.
        ValueError
            If the data, the metric or the noise rates cannot be used.

        Warns
        -----
        TheoryWarning
            If there are fewer than ten effective rows, no signal, a theory that the data
            contradict, labels that may or may not be wrong, or copies of rows; the first that
            applies.
        """
        task = None
        if hasattr(self, "_skl_callbacks"):
            task = self._init_callback_context(max_subtasks=1)
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        last_step(self.estimator)
        check_predicts(self.estimator)
        scoring, scorer = read_scoring(self.estimator, self.scoring)
        check_noise(self.estimator, scoring, scorer, self.noise_rates)
        given = read_rows(self.estimator, X, y, sample_weight, groups)
        name = None if groups is None else groups_name(self.estimator)
        if name is not None:
            fit_params = {name: groups} | fit_params
        params = self._routed(fit_params, given)
        given = self._fit_estimator(given, params, is_weighted=sample_weight is not None)
        evidence = leave_out(self, given, params, groups, scoring, scorer)
        found = predict_scores(evidence, self.noise_rates)

        self.theoretical_score_ = float(found.main.score)
        self.theoretical_score_interval_ = found.main.interval
        self.observed_score_ = float(found.observed.score)
        self.observed_score_interval_ = found.observed.interval
        self.baseline_score_ = float(found.main.guess)
        self.clean_accuracy_ = found.clean
        self.model_score_ = found.model
        self.model_fit_pvalue_ = found.p_value
        self.model_fit_ = not found.p_value < MISFIT_LEVEL
        self.held_out_scores_ = evidence.held_out_scores()
        self.scores_kind_ = evidence.left.kind
        self.n_effective_samples_ = evidence.sample.size
        self.n_fits_ = 1 + sum(some.n_fits for some in evidence.rounds)
        self.regime_ = found.regime
        _check_feature_names(self, X, reset=True)
        self._evidence = evidence
        self._found = found
        self._claims: dict[str, Any] = {}
        self._curve = ()
        if task is not None:
            task.call_on_fit_task_end(estimator=self, X=X, y=y)
        complaints = [OF_REGIME[found.regime]] if found.regime in OF_REGIME else []
        warn_first(complaints + [COPIES] * (given.merged.kind == "copies"))
        return self

    def __getstate__(self):
        """Return the state without training rows; what theory needs of them is worked out first."""
        state = dict(super().__getstate__())
        evidence = state.get("_evidence")
        if evidence is not None and evidence.has_rows:
            if evidence.needs_no_parts:
                self._no_forecast()
                state["_curve"] = self._curve
            state["_evidence"] = evidence.without_rows()
        return state

    def _fit_estimator(self, given, params, *, is_weighted):
        """Fit the estimator to all rows, and return them with the weights that it takes."""
        rows = given.X, given.y
        try:
            self.estimator_ = fit_weighted(clone(self.estimator), *rows, given.fit_weights, params)
        except Exception:
            if is_weighted or given.fit_weights is None:
                raise
            # Copies alone have weights, and some estimators take none where others do.
            given = given._replace(fit_weights=None)
            self.estimator_ = fit_weighted(clone(self.estimator), *rows, None, params)
        return given

    def _routed(self, fit_params, given):
        """Return the parameters that are for the fit of the estimator, of rows with weight."""
        if fit_params and get_config()["enable_metadata_routing"]:
            fit_params = dict(process_routing(self, "fit", **fit_params).estimator.fit)
        return params_of_rows(fit_params, len(given.kept), given.kept)

    @property
    def theoretical_scores_(self) -> dict[str, tuple[Any, ...]]:
        """All metrics that the estimator has, worked out when they are first read."""
        check_is_fitted(self)
        return {
            name: (float(found.score), float(found.low), float(found.high))
            for name, found in self._all_claims().items()
        }

    def _all_claims(self):
        """Return all metrics with their intervals and those of a constant guess."""
        if not self._claims:
            self._claims = all_claims(self._evidence, self._found)
        return self._claims

    def plot(self) -> ReportDisplay:
        """Draw the report.

        Returns
        -------
        ReportDisplay
            The display, drawn.

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
        >>> len(GeneralizationReport(Ridge(0.1)).fit(X, y).plot().axes_)
        4
        """
        return ReportDisplay.from_estimator(self)

    def _repr_html_(self):
        """Return the page for a notebook; other fits than those there are not made for it."""
        if not hasattr(self, "theoretical_score_"):
            return super()._repr_html_()
        return report_page(report_dict(self, measure=False), whole=False)
