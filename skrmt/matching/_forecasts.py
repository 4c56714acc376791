"""Forecasts of a fitted matcher at other numbers of known pairs."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..utils._forecast import Forecast, check_asked, unbanded
from ..utils._random import random_generator
from ..utils._warnings import warn
from ._inputs import count, whole_numbers
from ._kernels import numpy_float64
from ._learning_curve import LearningCurve, learning_curve
from ._scorers import score_pairs


class ForecastMixin:
    """Forecasts of a fitted `EncoderMatcher`."""

    random_state: int | RandomState | None
    method_: str
    n_pairs_: int
    observed_accuracy_: float
    _known: tuple
    _ahead: Any
    _measured_curve: LearningCurve | None
    _fitted_ensemble: Any
    _rule: Any

    def forecast(
        self,
        *,
        n_pairs: int | ArrayLike | None = None,
        n_candidates: int | ArrayLike | None = None,
        top_k: int | ArrayLike = 1,
    ) -> Forecast:
        """Predict how often the right one is among the nearest, for other numbers of pairs.

        Parameters
        ----------
        n_pairs : int or array-like of int, default=None
            Numbers of known pairs, at least 2; `n_pairs_` if None.
        n_candidates : int or array-like of int, default=None
            Numbers of candidates, at least 1; `n_pairs_` if None.
        top_k : int or array-like of int, default=1
            Numbers of nearest candidates among which the right one counts.

        Returns
        -------
        Forecast
            `score`, and its 95 % band; nan where `theoretical_accuracy_` is.

        Raises
        ------
        ValueError
            If a number is below its least value or not whole, or shapes do not broadcast.

        Notes
        -----
        The normal quantile of the accuracy grows by the same amount whenever the known pairs are
        doubled; the amount is measured on halves and quarters of them. Fewer candidates than known
        pairs are counted exactly, more of them extrapolated likewise.
        """
        check_is_fitted(self)
        given = {
            "n_pairs": self.n_pairs_ if n_pairs is None else n_pairs,
            "n_candidates": self.n_pairs_ if n_candidates is None else n_candidates,
            "top_k": top_k,
        }
        least = {"n_pairs": 2, "n_candidates": 1, "top_k": 1}
        given = {name: whole_numbers(name, value, least[name]) for name, value in given.items()}
        if np.isnan(self.observed_accuracy_):
            return unbanded(np.full(np.broadcast(*given.values()).shape, np.nan), **given)
        return self._curve().forecast(**given)

    def required(
        self,
        score: float,
        *,
        of: Literal["n_pairs"] = "n_pairs",
        n_candidates: int | None = None,
        top_k: int = 1,
    ) -> float:
        """Compute how many known pairs a wanted accuracy takes.

        Parameters
        ----------
        score : float
            Wanted share of right nearest neighbours, between 0 and 1.
        of : {"n_pairs"}, default="n_pairs"
            What is counted.
        n_candidates : int, default=None
            Number of candidates; `n_pairs_` if None.
        top_k : int, default=1
            Number of nearest candidates among which the right one counts.

        Returns
        -------
        float
            The smallest number of known pairs whose `forecast` reaches the score; inf if no number
            below a million does, nan with a TheoryWarning if `theoretical_accuracy_` is nan.

        Raises
        ------
        ValueError
            If the score is not between 0 and 1, or something else is to be counted.

        See Also
        --------
        required_interval : How far off this may be.
        """
        asked = self._question(score, of, n_candidates, top_k)
        return float("nan") if asked is None else self._curve().required(*asked)

    def required_interval(
        self,
        score: float,
        *,
        of: Literal["n_pairs"] = "n_pairs",
        n_candidates: int | None = None,
        top_k: int = 1,
    ) -> NDArray[Any]:
        """Compute between which numbers of known pairs a wanted accuracy is reached.

        Parameters
        ----------
        score : float
            Wanted share of right nearest neighbours, between 0 and 1.
        of : {"n_pairs"}, default="n_pairs"
            What is counted.
        n_candidates : int, default=None
            Number of candidates; `n_pairs_` if None.
        top_k : int, default=1
            Number of nearest candidates among which the right one counts.

        Returns
        -------
        ndarray of shape (2,)
            Numbers of known pairs between which the score is reached in 95 % of cases: those at
            which the upper and the lower bound of the band of `forecast` reach it. inf where no
            number below a million does; both nan, with a TheoryWarning, if `theoretical_accuracy_`
            is nan.

        Raises
        ------
        ValueError
            If the score is not between 0 and 1, or something else is to be counted.

        See Also
        --------
        required : The number of known pairs at which the score predicted is reached.

        Examples
        --------
        >>> from skrmt.datasets import make_paired_encoders
        >>> from skrmt.matching import EncoderMatcher
        >>> data = make_paired_encoders(100, 30, 30, n_latent=8, noise_std=0.7, random_state=0)
        >>> matcher = EncoderMatcher(random_state=0).fit(data.X, data.Y)
        >>> matcher.required(0.9), matcher.required_interval(0.9)
        (1774.0, array([462.,  inf]))
        """
        asked = self._question(score, of, n_candidates, top_k)
        return np.full(2, np.nan) if asked is None else self._curve().required_interval(*asked)

    def _question(self, score, of, n_candidates, top_k):
        """Return the score that is asked for, and numbers of candidates and places, if known."""
        check_is_fitted(self)
        check_asked(of, ("n_pairs",))
        if not 0 < score < 1:
            raise ValueError(f"score must be between 0 and 1, got {score!r}.")
        number = self.n_pairs_ if n_candidates is None else count("n_candidates", n_candidates)
        asked = score, number, count("top_k", top_k)
        if np.isnan(self.observed_accuracy_):
            warn("theoretical_accuracy_ is nan: no number can be given.")
            return None
        return asked

    def _curve(self):
        """Return how the accuracy grows with the known pairs, measured when first asked for."""
        if self._measured_curve is None:
            rng = random_generator(self.random_state)
            self._measured_curve = learning_curve(
                self._ahead, self.observed_accuracy_, self._scores_of_others, rng
            )
        return self._measured_curve

    def _scores_of_others(self, rows, others):
        """Return scores of known pairs by a fit on others of them."""
        known, queries = (tuple(side[k] for side in self._known) for k in (rows, others))
        rule = self._rule(self.method_, "argmax")
        if self.method_ == "kernel_cca":
            rule = rule._replace(ensemble=self._fitted_ensemble(known, ()))
            known = rule.ensemble.known
        return numpy_float64(score_pairs(rule, known, queries))
