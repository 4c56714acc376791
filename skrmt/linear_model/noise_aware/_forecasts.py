"""What a classifier on noisy labels predicts for more rows, other noise, or cleaned labels."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ...utils._array_api import from_host
from ...utils._forecast import check_asked, first_reaching, unbanded
from ...utils._warnings import warn
from ._diagnosis import TOO_FEW
from ._prediction import Setting, accuracy_forecaster, forecast_accuracy, noise_matrices

if TYPE_CHECKING:
    from ...utils._forecast import Forecast


class ForecastMixin:
    """Forecasts of a fitted `NoiseAwareLinearClassifier`."""

    classes_: np.ndarray
    class_prior_: np.ndarray
    noise_matrix_: np.ndarray
    n_effective_samples_: float
    theoretical_accuracy_: float
    _setting: Setting

    @from_host
    def forecast(
        self,
        *,
        n_samples: ArrayLike | None = None,
        noise_rates: float | ArrayLike | None = None,
        cleaned_fraction: ArrayLike | None = None,
    ) -> Forecast:
        """Predict the accuracy with more data, other noise, or cleaned labels.

        Parameters
        ----------
        n_samples : array-like, optional
            Numbers of training rows; the present effective number by default.
        noise_rates : float or array-like of shape (..., K), optional
            Rates of wrong labels of each class, in the order of `classes_`; the present ones by
            default.
        cleaned_fraction : array-like, optional
            Share of the rows, chosen at random, whose labels are corrected; 0 by default.

        Returns
        -------
        Forecast
            Accuracies on clean data, without a band. They are nan, with a TheoryWarning, where
            `theoretical_accuracy_` is.

        Raises
        ------
        ValueError
            If an argument is out of its domain.

        Notes
        -----
        Classes are taken as isotropic Gaussians in as many dimensions as columns vary, with the
        signal that gives `theoretical_accuracy_` at the present size and noise, and the noise
        rates as known: gains from more rows are right to a few hundredths on real data, the harm
        of more noise is understated.

        Examples
        --------
        >>> from skrmt.datasets import make_noisy_mixture
        >>> from skrmt.linear_model import NoiseAwareLinearClassifier
        >>> X, y, clean, _ = make_noisy_mixture(
        ...     600, 50, mean_norm=1.5, noise_rates=(0.2, 0.3), random_state=0)
        >>> model = NoiseAwareLinearClassifier(noise_rates=(0.2, 0.3)).fit(X, y)
        >>> model.forecast(n_samples=[200, 600, 5000]).score.round(3)
        array([0.831, 0.868, 0.888])
        """
        check_is_fitted(self)
        given = {
            "n_samples": n_samples,
            "noise_rates": noise_rates,
            "cleaned_fraction": cleaned_fraction,
        }
        predict = self._accuracy_forecaster()
        score = forecast_accuracy(predict, *self._conditions(**given))
        conditions = {k: np.asarray(v) for k, v in given.items() if v is not None}
        return unbanded(score, **conditions)

    @from_host
    def required(
        self,
        score: float,
        *,
        of: Literal["n_samples", "cleaned_fraction"] = "n_samples",
        n_samples: float | None = None,
        noise_rates: float | ArrayLike | None = None,
        cleaned_fraction: float | None = None,
    ) -> float:
        """Return how many rows, or what share of corrected labels, reach an accuracy.

        Parameters
        ----------
        score : float
            The accuracy on clean data, in [0, 1].
        of : {"n_samples", "cleaned_fraction"}, default="n_samples"
            What is asked for.
        n_samples : float, optional
            Number of training rows; the present effective number by default.
        noise_rates : float or array-like of shape (K,), optional
            Rates of wrong labels of each class; the present ones by default.
        cleaned_fraction : float, optional
            Share of the rows whose labels are corrected; 0 by default.

        Returns
        -------
        float
            The smallest amount, inf if none suffices; nan, with a TheoryWarning, where
            `theoretical_accuracy_` is nan.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or what is asked for is given.

        See Also
        --------
        NoiseAwareLinearClassifier.forecast : What it inverts.

        Examples
        --------
        >>> from skrmt.datasets import make_noisy_mixture
        >>> from skrmt.linear_model import NoiseAwareLinearClassifier
        >>> X, y, clean, _ = make_noisy_mixture(
        ...     600, 50, mean_norm=1.5, noise_rates=(0.2, 0.3), random_state=0)
        >>> model = NoiseAwareLinearClassifier(noise_rates=(0.2, 0.3)).fit(X, y)
        >>> round(model.required(0.88))
        1302
        """
        check_is_fitted(self)
        given = {
            "n_samples": n_samples,
            "noise_rates": noise_rates,
            "cleaned_fraction": cleaned_fraction,
        }
        check_asked(of, ("n_samples", "cleaned_fraction"), given)
        if not 0 <= score <= 1:
            raise ValueError(f"score={score!r} must be an accuracy, between 0 and 1.")
        predict = self._accuracy_forecaster()
        if np.isnan(self.theoretical_accuracy_):
            return float("nan")

        def reaches(amount):
            conditions = self._conditions(**given | {of: amount})
            return bool(forecast_accuracy(predict, *conditions) >= score)

        def score_at(amounts):
            # The accuracy increases with both amounts: bisect the grid rather than fill it.
            index = bisect_left(amounts, True, key=reaches)
            return np.where(np.arange(len(amounts)) < index, -np.inf, np.inf)

        if of == "n_samples":
            return first_reaching(score_at, score, 1.0)
        return 0.0 if reaches(0.0) else first_reaching(score_at, score, 1e-6, 1.0)

    def _conditions(self, n_samples, noise_rates, cleaned_fraction):
        """Return sizes, noise matrices and shares, the present ones where none are given."""
        matrices = self.noise_matrix_
        if noise_rates is not None:
            matrices = noise_matrices(noise_rates, len(self.classes_))
        n_samples = self.n_effective_samples_ if n_samples is None else n_samples
        return n_samples, matrices, 0.0 if cleaned_fraction is None else cleaned_fraction

    def _accuracy_forecaster(self):
        """Return the accuracy as a function of size, noise matrix and share of cleaned labels."""
        if np.isnan(self.theoretical_accuracy_):
            warn(TOO_FEW)
            return lambda size, matrix, cleaned: np.nan
        return accuracy_forecaster(
            self.class_prior_,
            max(self._setting.classes.means.shape[1], 1),
            self.theoretical_accuracy_,
            self.n_effective_samples_,
            self.noise_matrix_,
        )
