"""What a classifier on real and synthetic rows predicts for other rows, weights and verifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ...utils._array_api import from_host
from ...utils._warnings import warn
from ._outlook import Outlook
from ._plan import MixReport, advice, best_amount, forecast_mix, required_amount
from ._quality import SourceQuality

if TYPE_CHECKING:
    from ...utils._forecast import Forecast

NOT_IDENTIFIED = (
    "The share of wrong synthetic labels is not identified: wrong labels and overlapping classes "
    "look alike. `noise_rate_interval_` has its range. Pass y_judge, the labels that the same "
    "judge gives to real rows, to count it."
)


class ForecastMixin:
    """Forecasts of a fitted `SyntheticMixClassifier`."""

    classes_: np.ndarray
    theoretical_accuracy_: float
    theoretical_accuracy_interval_: np.ndarray
    real_only_accuracy_: float
    mix_all_accuracy_: float
    gain_: float
    gain_std_: float
    synthetic_weight_: np.ndarray
    source_quality_: list[SourceQuality]
    n_real_: int
    n_synthetic_: int
    n_effective_samples_: float
    _outlook: Outlook
    _noise_rate: float

    @property
    def noise_rate_(self) -> float:
        """Share of wrong labels among synthetic rows; nan, with a warning, if not identified."""
        check_is_fitted(self)
        fair = [source for source in self.source_quality_ if not source.leaked and source.n_rows]
        if np.isnan(self._noise_rate) and fair:
            warn(NOT_IDENTIFIED)
        return self._noise_rate

    @property
    def model_accuracy_(self) -> float:
        """Accuracy that theory gives to this mix, worked out once."""
        check_is_fitted(self)
        return self._outlook.model_accuracy

    @property
    def equivalent_real_samples_(self) -> float:
        """Number of real rows that alone would be as good as the mix, worked out once."""
        check_is_fitted(self)
        return self._outlook.equivalent_real_samples

    @from_host
    def forecast(
        self,
        *,
        n_samples: ArrayLike | None = None,
        n_synthetic: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        keep_rates: ArrayLike | None = None,
    ) -> Forecast:
        """Predict the accuracy with other rows, weights and verifiers.

        Parameters
        ----------
        n_samples : array-like, optional
            Numbers of real rows, at least 1; those of the fit by default.
        n_synthetic : array-like, optional
            Numbers of synthetic rows before pruning; those of the fit by default.
        weight : array-like, optional
            Weights of a synthetic row, in [0, 1]; the mean one of the fit by default.
        keep_rates : array-like of shape (..., 2), optional
            Probabilities that another verifier keeps a right label, and a wrong one; those of the
            fit by default. The first axes broadcast with the other conditions.

        Returns
        -------
        Forecast
            Accuracies at the best penalty, of the shape to which the conditions broadcast; there is
            no band. nan with a `TheoryWarning` if the fit had too few real rows.

        Raises
        ------
        ValueError
            If a condition is out of its domain.

        Examples
        --------
        >>> from skrmt.datasets import make_synthetic_mix
        >>> from skrmt.linear_model import SyntheticMixClassifier
        >>> data = make_synthetic_mix(100, 1000, 50, noise_rate=0.3, random_state=0)
        >>> model = SyntheticMixClassifier()
        >>> model = model.fit(data.X, data.y, sample_source=data.sample_source)
        >>> model.forecast(n_synthetic=[100, 10000], weight=0.3).score.round(2)
        array([0.89, 0.91])
        """
        check_is_fitted(self)
        conditions = n_samples, n_synthetic, weight, keep_rates
        return forecast_mix(self._outlook.model, conditions)

    @from_host
    def required(
        self,
        score: float,
        *,
        of: Literal["n_samples", "n_synthetic"] = "n_samples",
        n_samples: float | None = None,
        n_synthetic: float | None = None,
        weight: float | None = None,
        keep_rates: ArrayLike | None = None,
    ) -> float:
        """Return how many rows it takes to reach an accuracy.

        Parameters
        ----------
        score : float
            The accuracy, in [0, 1].
        of : {"n_samples", "n_synthetic"}, default="n_samples"
            What is counted: real rows, or synthetic ones before pruning.
        n_samples, n_synthetic, weight : float, optional
            The other conditions, as in `forecast`.
        keep_rates : array-like of shape (2,), optional
            As in `forecast`.

        Returns
        -------
        float
            The smallest number; infinity if none is enough, nan with a `TheoryWarning` if the fit
            had too few real rows.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the condition counted is given.

        Examples
        --------
        >>> from skrmt.datasets import make_synthetic_mix
        >>> from skrmt.linear_model import SyntheticMixClassifier
        >>> data = make_synthetic_mix(100, 1000, 50, noise_rate=0.3, random_state=0)
        >>> model = SyntheticMixClassifier()
        >>> model = model.fit(data.X, data.y, sample_source=data.sample_source)
        >>> model.required(0.9, of="n_synthetic", weight=0.3) < 10_000, model.required(1.0)
        (True, inf)
        """
        check_is_fitted(self)
        conditions = n_samples, n_synthetic, weight, keep_rates
        return required_amount(self._outlook.model, score, of, conditions)

    @from_host
    def best(
        self,
        *,
        of: Literal["n_synthetic", "weight"] = "n_synthetic",
        n_samples: float | None = None,
        n_synthetic: float | None = None,
        weight: float | None = None,
        keep_rates: ArrayLike | None = None,
        max_n_synthetic: float | None = None,
    ) -> float:
        """Return the number or the weight of synthetic rows with the largest predicted accuracy.

        Parameters
        ----------
        of : {"n_synthetic", "weight"}, default="n_synthetic"
            What is chosen: the number before pruning, or the weight.
        n_samples, n_synthetic, weight : float, optional
            The other conditions, as in `forecast`.
        keep_rates : array-like of shape (2,), optional
            As in `forecast`.
        max_n_synthetic : float, optional
            Largest number considered; by default 100 times that of all rows given.

        Returns
        -------
        float
            The smallest amount, 0 included, within 0.0005 of the largest accuracy; nan with a
            `TheoryWarning` if the fit had too few real rows.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the condition chosen is given.

        Notes
        -----
        At a fixed weight accuracy may have a maximum or a minimum inside: 200 numbers on a
        logarithmic scale, or 201 weights, are compared.

        Examples
        --------
        >>> from skrmt.datasets import make_synthetic_mix
        >>> from skrmt.linear_model import SyntheticMixClassifier
        >>> data = make_synthetic_mix(100, 1000, 50, noise_rate=0.3, random_state=0)
        >>> model = SyntheticMixClassifier()
        >>> model = model.fit(data.X, data.y, sample_source=data.sample_source)
        >>> model.best(weight=0.0)
        0.0
        """
        check_is_fitted(self)
        conditions = n_samples, n_synthetic, weight, keep_rates
        if max_n_synthetic is None:
            max_n_synthetic = max(100 * (self.n_real_ + self.n_synthetic_), 1)
        return best_amount(self._outlook.model, of, conditions, max_n_synthetic)

    @from_host
    def value_of_sample(self) -> float:
        """Return how many real rows a synthetic row is worth.

        Returns
        -------
        float
            ``(equivalent_real_samples_ - n_effective_samples_) / n_synthetic_``; nan without
            synthetic rows, or if the fit had too few real rows.
        """
        check_is_fitted(self)
        if self.n_synthetic_ == 0:
            return np.nan
        return (self.equivalent_real_samples_ - self.n_effective_samples_) / self.n_synthetic_

    @from_host
    def data_report(self) -> MixReport:
        """Summarise the quality of generator, verifier and labels, and what to do next.

        Returns
        -------
        MixReport
            Its fields hold the numbers; ``print`` shows them.
        """
        check_is_fitted(self)
        return MixReport(
            accuracy=self.theoretical_accuracy_,
            interval=self.theoretical_accuracy_interval_,
            real_only=self.real_only_accuracy_,
            mix_all=self.mix_all_accuracy_,
            sources=self.source_quality_,
            weights=self.synthetic_weight_,
            value=self.value_of_sample(),
            advice=advice(
                self.n_real_,
                self.gain_,
                self.gain_std_,
                self.synthetic_weight_,
                self.source_quality_,
                len(self.classes_),
            ),
        )
