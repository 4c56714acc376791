"""Scores of a report at other numbers of rows, and the rows that a score takes."""

from __future__ import annotations

from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from ..utils._forecast import Forecast, check_asked, unbanded
from ..utils._sklearn_compat import check_is_fitted
from ..utils._warnings import warn
from ._outlook import (
    FEWEST_ROWS,
    NO_NOISE,
    NO_ROWS,
    Evidence,
    cannot_measure,
    cannot_predict,
    cannot_require,
    fewest_rows,
    is_measured,
    measure_outlook,
    outlook_scores,
)
from ._texts import TOO_FEW_ROWS, UNDETECTED

_MOST_ROWS = 1e9
"""More rows than anyone has: a score that they do not reach is out of reach."""
_SIZES_TRIED = 64
"""Numbers of rows, 1.4 times each other, between which a score is looked for."""
_PRECISION = 1e-9
"""Relative error of numbers of rows at which a score is reached."""


class ForecastMixin:
    """Predict scores of the same estimator under other conditions."""

    n_effective_samples_: float
    regime_: str
    theoretical_score_: float
    theoretical_score_interval_: np.ndarray
    _curve: tuple
    _evidence: Evidence

    def forecast(
        self,
        *,
        n_samples: float | ArrayLike | None = None,
        noise_rates: float | ArrayLike | None = None,
    ) -> Forecast:
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
            If there are hardly more rows than features in use, or fewer and a ridge fit passes
            through them, the classes are not apart beyond chance, a class has fewer than eight rows
            to fit parts of, or other noise is asked for where there is no theory of it: scores are
            nan then.

        Notes
        -----
        Exact in high dimension for ridge regression and for classifiers of two classes that are
        one: the ridge classifier, and discriminant analysis, whose direction is that of least
        squares. Accuracies are anchored at `theoretical_accuracy_`. Logistic regression is
        represented by the ridge classifier whose held-out scores correlate best with its own,
        shrinkage that is estimated is held, and three or more classes are taken as equally far
        apart: there theory gives the shape of the curve, and fits to parts of the rows by how much
        it rises.

        For all other estimators and metrics the curve is measured. The first call fits the
        estimator four times to a quarter of the rows and six times to half of them, and compares
        their scores with those of the whole on the same rows. What the score at m rows misses of
        its limit is a power of m: -1/4, -1/2, -1 and -2 count as much as they are likely, and what
        it misses of the best score there is falls no faster than 1/m. The band contains what is
        uncertain of both, and above it that half of the last doubling's rise comes on top; near the
        score of a constant guess, where curves may still begin, more, and any rise where `regime_`
        is "undetected". Where the score does not rise visibly from a quarter of the rows to all of
        them, no gain is predicted, with a band. The same is done for linear estimators of more
        features than rows, where theory would have to be continued beyond what the rows show. A
        ridge fit that passes through its rows, of more features, has no forecast: its scores may
        fall before they rise.

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
        reason = self._no_forecast(rates)
        if reason is not None:
            warn(reason)
            return unbanded(np.full(shape, np.nan), **conditions)
        sizes = np.broadcast_to(sizes, shape).ravel()
        if rates is not None:
            rates = np.broadcast_to(rates, (*shape, rates.shape[-1])).reshape(len(sizes), -1)
        score, lower, upper = self._scores(sizes, rates).reshape(3, *shape)
        return Forecast(score, lower, upper, conditions)

    def required(
        self,
        score: float,
        *,
        of: Literal["n_samples"] = "n_samples",
        noise_rates: float | ArrayLike | None = None,
    ) -> float:
        """Predict how many training rows a score takes.

        Parameters
        ----------
        score : float
            Score in the metric of the report.
        of : {"n_samples"}, default="n_samples"
            What is counted.
        noise_rates : float or array-like of shape (K,), default=None
            Rates of wrong labels, see `forecast`.

        Returns
        -------
        float
            Smallest number of rows, up to 1e9, at which `forecast` reaches the score: at least 2,
            or a quarter of the rows at hand where the curve is measured on parts of them. inf if
            none does, nan where nothing can be predicted or no rise of the score is seen.

        Raises
        ------
        NotFittedError
            If the report is not fitted.
        ValueError
            If a value is out of its domain.

        Warns
        -----
        TheoryWarning
            Where `forecast` does, and where no rise is seen: the result is nan then.

        See Also
        --------
        required_interval : How far off this may be: curves are flat, and numbers of rows hang on
            the third digit of a score.

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
        score, rates = self._question(score, of, noise_rates)
        reason = self._no_forecast(rates) or cannot_require(self._outlook())
        if reason is not None:
            warn(reason)
            return np.nan
        return self._reaching(score, rates, 0, fewest_rows(self._outlook()))

    def required_interval(
        self,
        score: float,
        *,
        of: Literal["n_samples"] = "n_samples",
        noise_rates: float | ArrayLike | None = None,
    ) -> NDArray[Any]:
        """Predict between which numbers of training rows a score is reached.

        Parameters
        ----------
        score : float
            Score in the metric of the report.
        of : {"n_samples"}, default="n_samples"
            What is counted.
        noise_rates : float or array-like of shape (K,), default=None
            Rates of wrong labels, see `forecast`.

        Returns
        -------
        ndarray of shape (2,)
            Numbers of rows between which the score is reached in 95 % of cases: those at which the
            upper and the lower bound of the band of `forecast` reach it. The first is 2 where few
            rows may do, the second inf where no number may. nan where nothing can be predicted.

        Raises
        ------
        NotFittedError
            If the report is not fitted.
        ValueError
            If a value is out of its domain.

        Warns
        -----
        TheoryWarning
            Where `forecast` does: both are nan then.

        See Also
        --------
        required : The number of rows at which the score predicted is reached.

        Notes
        -----
        A score that is within the present interval, `theoretical_score_interval_`, may have been
        reached already, and may never be: from 100 rows accuracies are known to .07, as much as
        four times the rows bring. Such a question has no answer that is short and true.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> report = GeneralizationReport(Ridge(0.1)).fit(X, y)
        >>> report.required_interval(0.4).round()
        array([ 15., 322.])
        >>> report.required_interval(0.5).round()
        array([44., inf])
        """
        score, rates = self._question(score, of, noise_rates)
        reason = self._no_forecast(rates)
        if reason is not None:
            warn(reason)
            return np.full(2, np.nan)
        ends = (2, FEWEST_ROWS), (1, fewest_rows(self._outlook()))
        return np.array([self._reaching(score, rates, *end) for end in ends])

    def _question(self, score, of, noise_rates):
        """Return the score that is asked for, and noise rates with one axis."""
        check_is_fitted(self)
        check_asked(of, ("n_samples",))
        if not isinstance(score, Real) or np.isnan(float(score)):
            raise ValueError(f"score={score!r} must be a number.")
        _, rates = self._conditions(None, noise_rates)
        if rates is not None and rates.ndim > 1:
            raise ValueError(f"noise_rates={noise_rates!r} must be one rate, or one per class.")
        return float(score), rates

    def _reaching(self, score, rates, bound, fewest):
        """Return the number of rows at which the score (0), or a bound of its band, is reached."""

        def missing(logs):
            repeated = None if rates is None else np.tile(rates, (len(logs), 1))
            return self._scores(np.exp(logs), repeated)[bound] - score

        logs = np.linspace(np.log(fewest), np.log(_MOST_ROWS), _SIZES_TRIED)
        reached = np.flatnonzero(missing(logs) >= 0.0)
        if len(reached) == 0:
            return np.inf
        first = reached[0]
        if first == 0:
            return float(fewest)
        ends = logs[first - 1 : first + 1]
        return float(np.exp(brentq(lambda x: missing(np.array([x]))[0], *ends, xtol=_PRECISION)))

    def _conditions(self, n_samples, noise_rates):
        """Return numbers of rows, and noise rates with one axis at least."""
        given = self.n_effective_samples_ if n_samples is None else n_samples
        sizes = np.asarray(given, dtype=float)
        if not (np.isfinite(sizes) & (sizes >= FEWEST_ROWS)).all():
            raise ValueError(f"n_samples={n_samples!r} must be numbers of rows, 2 at least.")
        if noise_rates is None:
            return sizes, None
        if self._evidence.labels is None:
            raise ValueError(
                f"noise_rates={noise_rates!r} is for classifiers, this report is on a regressor: "
                "leave it at None."
            )
        rates = np.atleast_1d(np.asarray(noise_rates, dtype=float))
        n_classes = len(self._evidence.labels.prior)
        if rates.shape[-1] not in (1, n_classes) or not ((rates >= 0) & (rates < 1)).all():
            raise ValueError(
                f"noise_rates={noise_rates!r} must be one rate in [0, 1), or one for each of the "
                f"{n_classes} classes along the last axis."
            )
        return sizes, rates

    def _no_forecast(self, rates=None):
        """Return why nothing can be predicted, None if something can."""
        if np.isnan(self.theoretical_score_):
            return TOO_FEW_ROWS if self.regime_ == "too_few_rows" else UNDETECTED
        if not (self._curve or self._evidence.has_rows):
            return NO_ROWS
        reason = cannot_measure(self._evidence, getattr(self, "classes_", None))
        if reason is not None:
            return reason
        reason = cannot_predict(self._outlook(), self._evidence)
        if reason is None and rates is not None and is_measured(self._outlook()):
            return NO_NOISE
        return reason

    def _outlook(self):
        """Return what scores at other numbers of rows depend on, measured at its first use."""
        if not self._curve:
            self._curve = (measure_outlook(self._evidence, self, self._present()),)
        return self._curve[0]

    def _present(self):
        """Return score, lower and upper bound at hand."""
        return np.array([self.theoretical_score_, *self.theoretical_score_interval_])

    def _scores(self, sizes, rates):
        """Return score, lower and upper bound (3, m) at numbers of rows (m,)."""
        return outlook_scores(self._outlook(), self._evidence, self._present(), sizes, rates)
