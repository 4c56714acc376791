"""How many fresh pairs more comparisons will rank as chosen."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri
from sklearn.utils.validation import check_is_fitted

from ...utils._array_api import from_host
from ...utils._forecast import Forecast, check_asked
from ...utils._warnings import warn
from ._held_out import HeldOut

_TINY = 1e-300

_UNKNOWN = (
    "More comparisons change nothing that is known: theoretical_accuracy_ is nan, or the fit ranks "
    "held-out pairs no better than a coin (`regime_`)."
)


class Growth(NamedTuple):
    """How the margins of held-out pairs depend on the number of comparisons.

    Attributes
    ----------
    ratio : float
        Mean of the margins over their standard deviation.
    noise : float
        Share of their variance that comes from the error of the coefficients, which more
        comparisons reduce.
    """

    ratio: float
    noise: float

    def gain(self, factor: np.ndarray) -> np.ndarray:
        """Return what times as many comparisons add to the share of pairs ranked as chosen."""
        variance = 1.0 - self.noise + self.noise / factor
        return ndtr(self.ratio / np.sqrt(np.maximum(variance, _TINY))) - ndtr(self.ratio)

    def factor(self, gain: float) -> float:
        """Return how many times as many comparisons add so much, inf if none do."""
        wanted = float(ndtr(self.ratio)) + gain
        if wanted <= 0.5:
            return 0.0
        if wanted >= 1.0:
            return float("inf")
        variance = (self.ratio / float(ndtri(wanted))) ** 2
        open_ = variance - (1.0 - self.noise)
        return self.noise / open_ if open_ > 0 else float("inf")


def growth_of(held: HeldOut, fitted_margin: float) -> Growth:
    """Return how held-out margins depend on the number of comparisons, from those of the fit.

    What the mean margin loses where a pair is left out is the part of the variance of margins that
    the error of the coefficients makes.
    """
    w = held.shares
    scale = max(float(np.abs(held.margins).max()), _TINY)
    f = held.margins / scale
    mean = float(w @ f)
    spread = float(np.sqrt(max(float(w @ f**2) - mean**2, _TINY)))
    noise = 1.0 - mean * scale / fitted_margin if fitted_margin > 0 else 1.0
    return Growth(mean / spread, float(np.clip(noise, 0.0, 1.0)))


class PolicyOutlook:
    """Forecasts of a fitted policy; the attributes are those of `PreferencePolicy`."""

    theoretical_accuracy_: float
    theoretical_accuracy_interval_: np.ndarray
    n_effective_samples_: float
    noise_rate_: float
    regime_: str
    _growth: Growth | None

    @from_host
    def forecast(self, *, n_samples: ArrayLike | None = None) -> Forecast:
        r"""Predict the accuracy with more or fewer comparisons of the same kind.

        Parameters
        ----------
        n_samples : array-like, optional
            Numbers of comparisons, or of groups where groups are left out, in the unit of
            `n_effective_samples_`, which is the default.

        Returns
        -------
        Forecast
            Accuracies of the kind of `theoretical_accuracy_`, with 95 % bands; nan, with a
            TheoryWarning, where it is nan.

        Raises
        ------
        ValueError
            If a number is not positive.

        Notes
        -----
        The margin of a fresh pair has the mean m and the variance :math:`v + e/n`, where e is the
        error of the coefficients: the mean margin of the fit exceeds that of held-out pairs by
        the same part. What n' comparisons in place of n add is

        .. math:: \Phi(m / \sqrt{v + e/n'}) - \Phi(m / \sqrt{v + e/n}).

        Where the preferences may be noise, nothing is added.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.preference import PreferencePolicy
        >>> rng = np.random.default_rng(0)
        >>> chosen, rejected = rng.standard_normal((2, 400, 50))
        >>> policy = PreferencePolicy("ipo").fit_pairs(chosen + 0.12, rejected)
        >>> policy.forecast(n_samples=[200, 400, 4000]).score.round(2)
        array([0.69, 0.71, 0.74])
        """
        check_is_fitted(self)
        sizes = np.asarray(self.n_effective_samples_ if n_samples is None else n_samples, float)
        if not (sizes > 0).all():
            raise ValueError(f"n_samples={n_samples!r} must be positive.")
        growth = self._known_growth()
        gain = (
            np.zeros(sizes.shape)
            if growth is None
            else growth.gain(sizes / self.n_effective_samples_)
        )
        gain = gain / (1.0 - 2.0 * self.noise_rate_)
        low, high = self.theoretical_accuracy_interval_
        # From no gain to twice as much: it is right to a third on few pairs of many features.
        low, high = low + np.minimum(2 * gain, 0.0), high + np.maximum(2 * gain, 0.0)
        return Forecast(
            np.clip(self.theoretical_accuracy_ + gain, 0.0, 1.0),
            np.clip(low, 0.0, 1.0),
            np.clip(high, 0.0, 1.0),
            {} if n_samples is None else {"n_samples": np.asarray(n_samples)},
        )

    @from_host
    def required(self, score: float, *, of: Literal["n_samples"] = "n_samples") -> float:
        """Return how many comparisons reach an accuracy.

        Parameters
        ----------
        score : float
            The accuracy, in [0, 1], of the kind of `theoretical_accuracy_`.
        of : {"n_samples"}, default="n_samples"
            What is asked for.

        Returns
        -------
        float
            The number, in the unit of `n_effective_samples_`, inf if none suffices; nan, with a
            TheoryWarning, where the preferences may be noise.

        Raises
        ------
        ValueError
            If an argument is out of its domain.

        See Also
        --------
        PreferencePolicy.forecast : What it inverts.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.preference import PreferencePolicy
        >>> rng = np.random.default_rng(0)
        >>> chosen, rejected = rng.standard_normal((2, 400, 50))
        >>> policy = PreferencePolicy("ipo").fit_pairs(chosen + 0.12, rejected)
        >>> round(policy.required(0.72)), policy.required(0.95)
        (591, inf)
        """
        check_is_fitted(self)
        check_asked(of, ("n_samples",))
        if not 0 <= score <= 1:
            raise ValueError(f"score={score!r} must be an accuracy, between 0 and 1.")
        growth = self._known_growth()
        if growth is None:
            return float("nan")
        gain = (score - self.theoretical_accuracy_) * (1.0 - 2.0 * self.noise_rate_)
        return growth.factor(gain) * self.n_effective_samples_

    def _known_growth(self):
        """Return how margins grow, None with a warning where that is not known."""
        if self._growth is None or self.regime_ in ("undetected", "too_few_rows"):
            warn(_UNKNOWN)
            return None
        return self._growth
