"""What linear estimators of scikit-learn will reach, from their training data alone."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LogisticRegression,
    LogisticRegressionCV,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_array, check_consistent_length

from ..exceptions import TheoryWarning
from ..linalg import loo_path, ridge_basis, to_numpy
from ..utils._checks import check_sample_weight
from ..utils._sklearn_compat import NotFittedError
from ._accuracy import Labels, accuracy_told, error_told, stretched
from ._curve import LearningCurve, ridge_transfer, separation
from ._scores import (
    discriminant_left_out,
    folded_scores,
    logistic_left_out,
    ridge_left_out,
    ridge_penalty,
    total_weights,
)

_RIDGES = (Ridge, RidgeCV, RidgeClassifier, RidgeClassifierCV)
_LOGISTIC = (LogisticRegression, LogisticRegressionCV)
_KNOWN = (*_RIDGES, LinearDiscriminantAnalysis, *_LOGISTIC)
_CHOOSE = (RidgeCV, RidgeClassifierCV, LogisticRegressionCV)
_FEWEST_ROWS = 10
_LEVEL = 0.01
_LEAST_ROOM = 0.1
_CHOICES = np.logspace(-5, 3, 33)


class GeneralizationReport:
    r"""What a linear estimator of scikit-learn will reach on fresh data, told from training data.

    The estimator is fitted to all rows. Its leave-one-out scores come from the decomposition of
    that fit: exactly for ridge regression and linear discriminant analysis, after one Newton step a
    row for logistic regression. They tell the accuracy on fresh rows, with an interval; random
    matrix theory tells the same from the mean leverage alone, and where the two disagree the data
    are not what theory assumes. From the same decomposition the accuracy at other numbers of rows
    and with other label noise is extrapolated.

    Parameters
    ----------
    estimator : Ridge, RidgeClassifier, LinearDiscriminantAnalysis or LogisticRegression
        Of scikit-learn, fitted or not; the forms that choose their penalty by cross-validation, a
        `Pipeline` that ends in one and a search over one are reported too. It is cloned.
    noise_rates : float or array-like of shape (K,), default=0.0
        Known rates of wrong training labels, one for all classes or one for each in sorted order;
        what is told is the accuracy on clean labels.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    theoretical_score_ : float
        Accuracy on clean labels of fresh rows, or R^2: the number to read first.
    theoretical_score_interval_ : tuple of float
        Its 95 % interval.
    theoretical_accuracy_, theoretical_accuracy_interval_ : float, tuple of float
        The same under its own name, for classifiers.
    theoretical_r2_, theoretical_r2_interval_ : float, tuple of float
        The same under its own name, for regressors.
    theoretical_error_, theoretical_error_interval_ : float, tuple of float
        Mean squared error on fresh rows, for regressors, in squares of the unit of y.
    loo_score_ : float
        Accuracy counted on leave-one-out scores, or R^2 of leave-one-out predictions.
    model_score_ : float
        Accuracy or R^2 in theory: every row has the mean leverage, and scores of two classes are
        Gaussian. nan where scores come from folds.
    model_fit_ : bool
        Whether theory and leave-one-out agree, at the level of 1 %.
    model_fit_pvalue_ : float
        p-value of that test.
    loo_kind_ : {"exact", "newton", "folds"}
        How scores were left out; folds, twenty at most, where there is no closed form.
    loo_scores_ : ndarray of shape (n,) or (n, K)
        Decision function or prediction of every training row by the fit without it.
    regime_ : {"theory", "misfit", "folds", "too_few_rows"}
        Whether theory holds for these data.
    n_effective_samples_ : float
        Number of rows, weights taken into account.

    See Also
    --------
    ForecastDisplay : Draws the learning curve.
    skrmt.linear_model.NoiseAwareLinearClassifier : Estimates the label noise too.

    Notes
    -----
    Transformers of a pipeline are fitted once: the report is that of its last step on transformed
    rows, and what transformers learn from the left-out row is not counted. Nor is the choice of a
    penalty by a search.

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
    >>> low, high = report.theoretical_accuracy_interval_
    >>> bool(low < report.estimator_.score(X[300:], y[300:]) < high)
    True
    >>> few, more = report.learning_curve([100, 2000]).score
    >>> bool(few < report.theoretical_accuracy_ < more)
    True
    """

    def __init__(self, estimator, *, noise_rates=0.0):
        self.estimator = estimator
        self.noise_rates = noise_rates

    def __repr__(self):
        text = f"GeneralizationReport({self.estimator!r})"
        return f"{text}: {self._headline()}" if hasattr(self, "theoretical_score_") else text

    def fit(self, X, y, sample_weight=None):
        """Fit the estimator, and tell what it will reach.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Training rows, as the estimator takes them.
        y : array-like of shape (n,)
            Labels or targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        GeneralizationReport
            The report.

        Raises
        ------
        TypeError
            If the estimator is none of those that are reported.
        ValueError
            If the data or the noise rates cannot be used.
        """
        last = _last_step(self.estimator)
        _check_supported(last)
        y = _target(y)
        check_consistent_length(X, y)
        weights = np.asarray(check_sample_weight(sample_weight, len(y)), dtype=float)
        kept = weights > 0
        if not kept.all():
            X, y, weights = _rows(X, kept), y[kept], weights[kept]
        if len(y) and (y == y[0]).all():
            raise ValueError(
                f"y is {str(y[0])!r} in every row: there is nothing to tell. Give rows of "
                "other labels or targets."
            )
        fitted = _fit(clone(self.estimator), y, X, weights if sample_weight is not None else None)
        features, model = _features(fitted, X)
        state = _Report(model, features, y, weights, self.noise_rates)
        vars(self).update(state.attributes(), estimator_=fitted, _state=state)
        if self.regime_ in ("misfit", "too_few_rows"):
            warnings.warn(_COMPLAINTS[self.regime_], TheoryWarning, stacklevel=2)
        return self

    def learning_curve(self, n_samples, *, noise_rates=None):
        """Predict the score at other numbers of training rows, or with other label noise.

        Parameters
        ----------
        n_samples : array-like of float of shape (m,)
            Numbers of training rows, at least 2.
        noise_rates : float or array-like of shape (K,), optional
            Rates of wrong labels; those given to the report by default. Not for regression.

        Returns
        -------
        LearningCurve
            Scores of the same estimator, with the same parameters, with their band; a penalty
            chosen by cross-validation is chosen anew.

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
        regression is represented by the ridge classifier whose leave-one-out scores are most like
        its own. Accuracies are anchored at `theoretical_accuracy_`.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> report = GeneralizationReport(Ridge(0.1)).fit(X, y)
        >>> curve = report.learning_curve([100, 442, 4420])
        >>> bool(curve.score[0] < curve.score[1] < curve.score[2])
        True
        """
        self._check_fitted()
        return self._state.curve(n_samples, noise_rates)

    def summary(self):
        """Say in words what the report found.

        Returns
        -------
        str
            Some lines.

        Raises
        ------
        NotFittedError
            If the report is not fitted.
        """
        self._check_fitted()
        lines = [self._headline(), _WORDS[self.loo_kind_]]
        if np.isfinite(self.model_score_):
            verdict = "agree" if self.model_fit_ else "disagree: rely on what was counted"
            lines.append(
                f"In theory {self.model_score_:.3f}, counted {self.loo_score_:.3f}: they {verdict} "
                f"(p = {self.model_fit_pvalue_:.2g})."
            )
        if np.isfinite(self.theoretical_score_):
            size = self.n_effective_samples_
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TheoryWarning)
                twice, ten = self.learning_curve([2 * size, 10 * size]).score
            lines.append(
                f"With twice the rows {twice:.3f}, with ten times {ten:.3f}."
                if np.isfinite(twice)
                else "What more rows would give cannot be told: see learning_curve."
            )
        return "\n".join(lines)

    def _headline(self):
        """Return the score told, with its interval."""
        low, high = self.theoretical_score_interval_
        name = "Accuracy" if self._state.is_classifier else "R^2"
        return f"{name} on fresh rows {self.theoretical_score_:.3f} ({low:.3f} to {high:.3f})."

    def _check_fitted(self):
        """Raise where nothing is fitted."""
        if not hasattr(self, "theoretical_score_"):
            raise NotFittedError(
                "This GeneralizationReport is not fitted yet: call its 'fit' first."
            )


_WORDS = {
    "exact": "Scores are left out exactly.",
    "newton": "Scores are left out by one Newton step a row.",
    "folds": "There is no closed form here: scores come from folds, twenty at most.",
}
_COMPLAINTS = {
    "misfit": "Theory and leave-one-out disagree: the rows are not alike, or not Gaussian within "
    "classes. The accuracy told is counted on leave-one-out scores.",
    "too_few_rows": f"There are fewer than {_FEWEST_ROWS} effective rows: nothing is told. Give "
    "more rows.",
}


class _Report:
    """The fitted last step, its rows, and what follows from them."""

    def __init__(self, model, X, y, weights, noise_rates):
        self.model, self.X, self.y, self.weights = model, X, y, weights
        self.is_classifier = hasattr(model, "classes_")
        self.basis = None
        if self.is_classifier:
            self.codes = np.searchsorted(model.classes_, y)
            self.labels = _labels(self.codes, len(model.classes_), weights, noise_rates)
        elif np.any(np.asarray(noise_rates) != 0):
            raise ValueError(
                f"noise_rates={noise_rates!r} is for classifiers, {type(model).__name__} is none: "
                "leave it at 0."
            )
        self.left_out = self._left_out()
        self._transfer = None

    @property
    def size(self):
        """Effective number of rows."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())

    def _left_out(self):
        """Return the leave-one-out scores."""
        model, found = self.model, None
        if isinstance(model, _RIDGES):
            weights = self.weights
            if self.is_classifier:
                weights = total_weights(model, self.y, weights)
            found, self.basis = ridge_left_out(model, self.X, self._targets(), weights)
        elif isinstance(model, LinearDiscriminantAnalysis):
            found = discriminant_left_out(model, self.X, self.codes)
        elif not _other_penalty(model):
            weights = total_weights(model, self.y, self.weights)
            found = logistic_left_out(_with_c(model), self.X, self.codes, weights)
        if found is None:
            found = folded_scores(model, self.X, self.y, self.weights)
        return found

    def _targets(self):
        """Return the targets of least squares: y, or -1/+1 in one column or one a class."""
        if not self.is_classifier:
            return self.y.astype(float)
        n_classes = len(self.model.classes_)
        if n_classes == 2:
            return 2.0 * self.codes - 1.0
        return 2.0 * np.eye(n_classes)[self.codes] - 1.0

    def attributes(self):
        """Return the public attributes."""
        if self.is_classifier:
            told, extra = accuracy_told(self.left_out, self.labels), {}
        else:
            found = error_told(self.left_out, self.y, self.weights)
            told = found.r2
            extra = {
                "theoretical_error_": found.error,
                "theoretical_error_interval_": found.error_interval,
            }
        if self.size < _FEWEST_ROWS:
            told = told._replace(score=np.nan, interval=(np.nan, np.nan), model=np.nan)
            extra = dict.fromkeys(extra, np.nan)
        agrees = not told.p_value < _LEVEL
        self.told = told
        name = "accuracy" if self.is_classifier else "r2"
        return extra | {
            f"theoretical_{name}_": float(told.score),
            f"theoretical_{name}_interval_": told.interval,
            "theoretical_score_": float(told.score),
            "theoretical_score_interval_": told.interval,
            "loo_score_": float(told.counted),
            f"loo_{name}_": float(told.counted),
            "model_score_": float(told.model),
            f"model_{name}_": float(told.model),
            "model_fit_": bool(agrees),
            "model_fit_pvalue_": float(told.p_value),
            "loo_kind_": self.left_out.kind,
            "loo_scores_": self.left_out.scores,
            "regime_": self._regime(agrees),
            "n_effective_samples_": self.size,
        }

    def _regime(self, agrees):
        """Return whether theory holds."""
        if self.size < _FEWEST_ROWS:
            return "too_few_rows"
        if self.left_out.kind == "folds":
            return "folds"
        return "theory" if agrees else "misfit"

    def curve(self, n_samples, noise_rates):
        """Return the learning curve."""
        sizes = np.atleast_1d(np.asarray(n_samples, dtype=float))
        if sizes.ndim != 1 or not (np.isfinite(sizes) & (sizes >= 2)).all():
            raise ValueError(f"n_samples={n_samples!r} must be numbers of rows, 2 at least.")
        if self._transfer is None:
            self._prepare()
        make = self._accuracy_curve if self.is_classifier else self._error_curve
        curve = make(sizes, noise_rates)
        reason = self._no_curve()
        if not reason:
            return curve
        warnings.warn(reason, TheoryWarning, stacklevel=3)
        unknown = np.full(len(sizes), np.nan)
        return curve._replace(score=unknown, lower=unknown, upper=unknown)

    def _no_curve(self):
        """Return why no learning curve can be told, nothing where one can."""
        interpolates = isinstance(self.model, _RIDGES) and self.left_out.kind == "folds"
        if interpolates or self._moments()[2] < _LEAST_ROOM:
            return (
                f"The {self.size:.4g} rows are hardly more than the features in use, where a fit "
                "with too little penalty is all noise: no learning curve is told. Give more rows, "
                "or a larger penalty."
            )
        if self.is_classifier and self._present().mean() < self._chance().mean():
            return (
                "The classes are not apart beyond chance in leave-one-out scores: there is nothing "
                "to extrapolate, and no learning curve is told. Give more rows."
            )
        return ""

    def _moments(self):
        """Return the moments at the rows there are."""
        return self._transfer.moments(self._penalty.at(self.size), self.size)

    def _clean_variances(self):
        """Return the variances of the targets without noise."""
        prior, rates = self.labels.prior, self.labels.rates
        scale = self._transfer.variances / _variances(prior, rates)
        return scale * _variances(prior, np.zeros(len(prior)))

    def _present(self):
        """Return the separation of the classes at the rows there are."""
        return separation(
            self._moments(), self._transfer.variances, self._clean_variances(), self.labels.contrast
        )

    def _chance(self):
        """Return two standard errors of the separation of classes that are alike."""
        return 2.0 / np.sqrt(self.size * self._clean_variances()) / self.labels.contrast

    def _prepare(self):
        """Measure what other sizes depend on, and the penalty."""
        intercept = getattr(self.model, "fit_intercept", True)
        X, targets = self.X, self._targets()
        columns = targets.reshape(len(targets), -1)
        if self.basis is None:
            self.basis = ridge_basis(X, None, fit_intercept=intercept)
        self._transfer = ridge_transfer(X, columns, self.weights, intercept, self.basis)
        self._penalty = _Penalty(self)

    def _error_curve(self, sizes, noise_rates):
        """Return R^2 at other numbers of rows."""
        if noise_rates is not None:
            raise ValueError(
                f"noise_rates={noise_rates!r} is for classifiers, {type(self.model).__name__} is "
                "none: leave it at None."
            )
        present = self._moments()[0][0]
        found = [self._best(n, lambda m: -m[0][0]) for n in sizes]
        ratio = np.array([moments[0][0] for moments in found]) / present
        told, (low, high) = self.told.score, self.told.interval
        score, lower, upper = (1.0 - ratio * (1.0 - value) for value in (told, low, high))
        return LearningCurve(sizes, score, lower, upper, np.array([m[3] for m in found]))

    def _best(self, n, value, noise=None):
        """Return the moments at n rows, at the penalty kept or chosen anew."""
        if not self._penalty.chosen:
            return self._transfer.moments(self._penalty.at(n), n, noise)
        level = self._transfer.profile.penalties[len(_CHOICES) // 2]
        options = [self._transfer.moments(level * factor, n, noise) for factor in _CHOICES]
        return max(options, key=value)

    def _accuracy_curve(self, sizes, noise_rates):
        """Return accuracies at other numbers of rows or with other noise."""
        n_classes = len(self.model.classes_)
        labels, new = self.labels, self.labels
        if noise_rates is not None:
            new = _labels(self.codes, n_classes, self.weights, noise_rates, labels.prior)
        clean, present = self._clean_variances(), self._present()
        variances = self._transfer.variances / _variances(labels.prior, labels.rates)
        variances = variances * _variances(labels.prior, new.rates)
        noise = (new.contrast / labels.contrast, variances)

        # A class between the others is not apart from their mean, and tells nothing.
        clear = present > self._chance()
        clear = clear if clear.any() else np.ones_like(clear)

        def ratio(moments):
            values = separation(moments, variances, clean, new.contrast)
            return (values[clear] / present[clear]).mean()

        found = [self._best(n, ratio, noise) for n in sizes]
        ratios = np.array([ratio(moments) for moments in found])
        values = (self.told.score, *self.told.interval)
        score, lower, upper = (stretched(value, ratios, 1.0 / n_classes) for value in values)
        return LearningCurve(sizes, score, lower, upper, np.array([m[3] for m in found]))


class _Penalty:
    """How the penalty per row of the ridge fit that stands for a model depends on the rows."""

    def __init__(self, report):
        self.chosen = isinstance(report.model, _CHOOSE)
        self.fixed, self.total = 0.0, 0.0
        model = report.model
        if isinstance(model, _RIDGES):
            self.total = ridge_penalty(model)
        elif isinstance(model, LinearDiscriminantAnalysis):
            self.fixed = _shrinkage_penalty(model, report.X, report.codes)
        else:
            self.total = _nearest_ridge(report) * report.size

    def at(self, n):
        """Return the penalty per row at n rows."""
        return self.fixed + self.total / n


def _shrinkage_penalty(model, X, codes):
    """Return the penalty that shrinking the covariance amounts to."""
    if model.shrinkage is None:
        return 0.0
    spread = X - np.array([X[codes == k].mean(axis=0) for k in np.unique(codes)])[codes]
    level = float((spread**2).mean())
    if model.shrinkage == "auto":
        from sklearn.covariance import ledoit_wolf_shrinkage

        share = float(ledoit_wolf_shrinkage(spread))
    else:
        share = float(model.shrinkage)
    return level * share / max(1.0 - share, 1e-6)


def _nearest_ridge(report):
    """Return the penalty per row of the ridge classifier whose scores are most like these."""
    targets = report._targets().reshape(len(report.codes), -1)
    alphas = _CHOICES * float(to_numpy(report.basis.scale).mean()) / report.basis.total_weight
    alphas = alphas * report.basis.unit**2
    scores = report.left_out.scores.reshape(len(targets), -1)
    scores = scores - scores.mean(0)
    if scores.shape[1] > 1:
        scores = scores - scores.mean(1, keepdims=True)
    likeness = []
    for alpha in alphas:
        path = to_numpy(loo_path(report.basis, targets, [alpha])[0])[:, :, 0]
        path = path - path.mean(0)
        likeness.append((path * scores).sum() / np.sqrt((path**2).sum() + 1e-300))
    return float(alphas[int(np.argmax(likeness))])


def _variances(prior, rates):
    """Return the variances of the targets -1/+1 of noisy labels, one or one a class."""
    n_classes = len(prior)
    spread = prior * rates / max(n_classes - 1, 1)
    observed = prior * (1.0 - rates) + spread.sum() - spread
    variances = 4.0 * observed * (1.0 - observed)
    return variances[1:] if n_classes == 2 else variances


def _labels(codes, n_classes, weights, noise_rates, prior=None):
    """Return what is known of the labels."""
    rates = np.asarray(noise_rates, dtype=float)
    if rates.ndim > 1 or rates.size not in (1, n_classes) or not ((rates >= 0) & (rates < 1)).all():
        raise ValueError(
            f"noise_rates={noise_rates!r} must be one rate in [0, 1), or one for each of the "
            f"{n_classes} classes."
        )
    rates = np.broadcast_to(rates.ravel(), (n_classes,)).copy()
    contrast = 1.0 - float(rates.mean()) * n_classes / (n_classes - 1.0)
    if contrast <= 0.05:
        raise ValueError(
            f"noise_rates={noise_rates!r} leave nothing of the labels: their sum must stay below "
            f"{0.95 * (n_classes - 1):.3g}."
        )
    matrix = np.tile((rates / (n_classes - 1))[:, None], (1, n_classes))
    np.fill_diagonal(matrix, 1.0 - rates)
    if prior is None:
        observed = np.bincount(codes, weights, n_classes) / weights.sum()
        prior = np.clip(np.linalg.solve(matrix.T, observed), 1e-3, None)
        prior = prior / prior.sum()
    joint = prior[:, None] * matrix
    posterior = (joint / np.maximum(joint.sum(0), 1e-300)).T[codes]
    return Labels(codes, posterior, prior, weights, contrast, rates)


def _last_step(estimator):
    """Return the estimator inside pipelines and searches, unfitted."""
    if isinstance(estimator, type):
        raise TypeError(f"Got the class {estimator.__name__}: give an instance of it.")
    if isinstance(estimator, Pipeline):
        return _last_step(estimator.steps[-1][1])
    if hasattr(estimator, "param_grid") or hasattr(estimator, "param_distributions"):
        return _last_step(estimator.estimator)
    return estimator


def _check_supported(model):
    """Raise for what is not reported."""
    if not isinstance(model, _KNOWN):
        names = ", ".join(kind.__name__ for kind in (Ridge, RidgeClassifier))
        raise TypeError(
            f"estimator={model!r} is not reported: give {names}, LinearDiscriminantAnalysis, "
            "LogisticRegression, one that chooses its penalty, or a Pipeline that ends in one."
        )
    if getattr(model, "positive", False):
        raise ValueError(f"estimator={model!r} has positive=True, for which there is no theory.")


def _target(y):
    """Return the labels or targets as a vector."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ValueError(f"y has shape {y.shape}: give one label or target a row.")
    return y


def _rows(X, kept):
    """Return some rows of an array, matrix or frame."""
    if hasattr(X, "iloc"):
        return X.iloc[np.flatnonzero(kept)]
    return X[np.flatnonzero(kept)] if hasattr(X, "shape") else np.asarray(X)[kept]


def _fit(estimator, y, X, weights):
    """Fit the clone, its last step with the weights."""
    if weights is None:
        return estimator.fit(X, y)
    if isinstance(_last_step(estimator), LinearDiscriminantAnalysis):
        raise ValueError(
            "sample_weight is given, but LinearDiscriminantAnalysis takes none: leave it at None."
        )
    inner = estimator.estimator if hasattr(estimator, "estimator") else estimator
    name = (
        f"{inner.steps[-1][0]}__sample_weight" if isinstance(inner, Pipeline) else "sample_weight"
    )
    return estimator.fit(X, y, **{name: weights})


def _features(fitted, X):
    """Return the rows as the last step sees them, and the last step."""
    if getattr(fitted, "refit", True) is False:
        raise ValueError("estimator has refit=False: there is no fit to report. Leave it at True.")
    if hasattr(fitted, "best_estimator_"):
        return _features(fitted.best_estimator_, X)
    if isinstance(fitted, Pipeline):
        rows = fitted[:-1].transform(X) if len(fitted.steps) > 1 else X
        return _features(fitted.steps[-1][1], rows)
    sparse = isinstance(fitted, _RIDGES)
    kept = (np.float64, np.float32)
    X = check_array(X, accept_sparse="csr" if sparse else False, dtype=kept)
    return X, fitted


def _other_penalty(model):
    """Tell whether a logistic regression has another penalty than the l2 norm."""
    chosen = getattr(model, "l1_ratio_", getattr(model, "l1_ratio", None))
    mixed = any(bool(ratio) for ratio in np.ravel(chosen) if not isinstance(ratio, str))
    return mixed or getattr(model, "penalty", "l2") in ("l1", "elasticnet")


def _with_c(model):
    """Return a logistic regression with its penalty as the number C."""
    if getattr(model, "penalty", "l2") is None:
        return _Penalised(model, np.inf)
    chosen = getattr(model, "C_", None)
    return _Penalised(model, float(np.mean(chosen)) if chosen is not None else float(model.C))


class _Penalised:
    """A fitted logistic regression and its penalty."""

    def __init__(self, model, C):
        self.C, self.fit_intercept = C, model.fit_intercept
        self.decision_function = model.decision_function
