"""Safety against utility of the policies that trade one for the other."""

from __future__ import annotations

import numbers
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..theory.preference import kl_regularized_optimum, safety_utility_curve
from ..utils._checks import check_array_like_on_device
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._sklearn_compat import Interval, _fit_context
from .policy._input import as_host


class SafetyUtilityFrontier(DocLinkMixin, BaseEstimator):
    r"""Exact trade-off of two rewards of candidate responses, such as safety and utility.

    For every weight of safety it computes, without training, the policy that is best near a
    reference for the weighted mean of both rewards, how safe and useful it is, how far from the
    reference, and where further safety begins to cost most.

    Parameters
    ----------
    beta : float, default=1.0
        Strength of the pull to the reference, positive, in units of the rewards.
    safety_weights : array-like of shape (n_weights,), default=None
        Increasing weights in [0, 1]; 101 equally spaced ones by default.

    Attributes
    ----------
    safety_weights_ : ndarray of shape (n_weights,)
        The weights.
    safety_, utility_, kl_ : ndarray of shape (n_weights,)
        Means over the prompts of both rewards, and of the divergence from the reference in nats.
    slope_ : ndarray of shape (n_weights,)
        Utility gained for each unit of safety along the frontier; negative where it is lost, nan
        where safety does not move, or one of the rewards is constant.
    knee_ : float
        Weight where the frontier is farthest from its chord; nan for a straight one, as with a
        constant reward.
    n_candidates_ : int
        Number of candidates.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or rewards cannot be used.

    See Also
    --------
    skrmt.theory.preference.safety_utility_curve : The formulas.
    skrmt.inspection.SafetyUtilityDisplay : Draws it.

    Notes
    -----
    NumPy computes everything, since responses to a prompt are few: torch tensors are copied.

    The policy of weight :math:`\lambda` is proportional to
    :math:`\pi_{ref}\exp((\lambda R_s + (1-\lambda)R_u)/\beta)`.

    References
    ----------
    .. [1] "Alignment with Preference Optimization Is All You Need for LLM Safety",
       arXiv:2409.07772.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.preference import SafetyUtilityFrontier
    >>> frontier = SafetyUtilityFrontier(beta=0.1)
    >>> frontier = frontier.fit([[1, 0.8, 0]], [[0, 0.7, 1]], np.log([[0.2, 0.3, 0.5]]))
    >>> frontier.knee_
    0.55
    >>> frontier.policy().round(3)
    array([[0.074, 0.859, 0.068]])
    """

    _parameter_constraints = {
        "beta": [Interval(numbers.Real, 0, None, closed="neither")],
        "safety_weights": ["array-like", None],
    }

    def __init__(self, beta: float = 1.0, *, safety_weights: ArrayLike | None = None) -> None:
        self.beta = beta
        self.safety_weights = safety_weights

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, safety: ArrayLike, utility: ArrayLike, log_reference: ArrayLike | None = None
    ) -> Self:
        """Trace the frontier.

        Parameters
        ----------
        safety, utility : array-like of shape (n_prompts, n_candidates)
            Rewards of the candidates, the more the better.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            Log-probabilities of the reference up to a constant per prompt, `-inf` for a candidate
            that does not exist; equal probabilities by default.

        Returns
        -------
        SafetyUtilityFrontier
            The fitted frontier.
        """
        safety = np.asarray(check_array_like_on_device(as_host(safety), "safety", 2))
        utility = np.asarray(check_array_like_on_device(as_host(utility), "utility", 2))
        base = (
            np.zeros(safety.shape)
            if log_reference is None
            else np.asarray(as_host(log_reference), dtype=float)
        )
        if not safety.shape == utility.shape == base.shape:
            raise ValueError(
                f"safety has shape {safety.shape}, utility {utility.shape} and log_reference "
                f"{base.shape}: give one number per candidate in each."
            )
        weights = self.safety_weights
        if weights is not None:
            weights = np.asarray(weights, dtype=float)
            if not ((weights >= 0) & (weights <= 1)).all():
                raise ValueError(f"safety_weights={self.safety_weights!r} must lie in [0, 1].")
        curve = safety_utility_curve(safety, utility, base, self.beta, safety_weight=weights)
        self.safety_weights_ = curve.safety_weight
        self.safety_, self.utility_, self.kl_ = curve.safety, curve.utility, curve.kl
        self.slope_, self.knee_ = curve.slope, float(curve.knee)
        self.n_candidates_ = safety.shape[1]
        self._rewards = (safety, utility, base)
        return self

    def policy(self, safety_weight: float | None = None) -> NDArray[Any]:
        """Compute the policy at a weight of safety.

        Parameters
        ----------
        safety_weight : float, default=None
            Weight in [0, 1]; the knee by default, or 1/2 where there is none.

        Returns
        -------
        ndarray of shape (n_prompts, n_candidates)
            Probabilities of the candidates.

        Raises
        ------
        ValueError
            If the weight is out of its range.
        """
        check_is_fitted(self)
        if safety_weight is None:
            safety_weight = 0.5 if np.isnan(self.knee_) else self.knee_
        if not 0 <= safety_weight <= 1:
            raise ValueError(f"safety_weight={safety_weight!r} must be between 0 and 1.")
        safety, utility, base = self._rewards
        reward = safety_weight * safety + (1 - safety_weight) * utility
        return np.exp(kl_regularized_optimum(reward, base, self.beta).log_policy)

    def weight_for(self, safety: float) -> float:
        """Find the least weight at which the mean safety reaches a target.

        Parameters
        ----------
        safety : float
            Target, in units of the safety rewards.

        Returns
        -------
        float
            Weight, linear between those tried; nan where none reaches the target.
        """
        check_is_fitted(self)
        reached = np.flatnonzero(self.safety_ >= safety)
        if len(reached) == 0:
            return float("nan")
        last = reached[0]
        if last == 0:
            return float(self.safety_weights_[0])
        span = slice(last - 1, last + 1)
        return float(np.interp(safety, self.safety_[span], self.safety_weights_[span]))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # Rewards are no features: the common checks of matrices of features do not apply.
        tags.input_tags.two_d_array = False
        return tags
