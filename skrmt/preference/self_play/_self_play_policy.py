"""Policies that learn from human responses by playing against their own past."""

from __future__ import annotations

import numbers
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ...utils._checks import check_sample_weight, refuse_masked
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._random import fresh_random_state
from ...utils._regimes import regime
from ...utils._sklearn_compat import Interval, Options, StrOptions, _fit_context
from ...utils._warnings import warn
from ..policy._candidate_fit import log_policy
from ..policy._input import (
    as_host,
    feature_unit,
    output_dtype,
    read_candidates,
    read_indices,
    read_reference,
)
from ._fit import Prompts, distance_moved, mean_square, play
from ._rates import is_slower, observed_rate, seen_rate
from ._theory import DIVERGES, Rules, predict_rounds

_STEPS_GREW = (
    "The steps of the last rounds grew, though theory for policies that can express anything "
    "predicts that they shrink: raise beta or alpha, or set sampler='reference'."
)


class SelfPlayPolicy(DocLinkMixin, BaseEstimator):
    r"""Log-linear policy fitted by self-play, with a prediction of whether the rounds converge.

    Each round teaches the policy to discriminate human responses from those of an opponent, its own
    past: SPIN, its regularised form alpha-SPIN, and fictitious play. Theory predicts the factor by
    which a round multiplies the error and the policy at which the rounds come to rest; a warning
    names settings that diverge before the first round, with others that do not.

    Parameters
    ----------
    beta : float, default=1.0
        Factor :math:`\beta` of the log-ratios in the loss, positive: the strength of the pull to
        the policy that the loss compares to. Rounds of plain self-play converge above 1/2, fastest
        at 1.
    mixture_weight : float, default=0.0
        Weight of the reference in its geometric mixture with the previous policy, to which the loss
        compares, in [0, 1].
    sampler : {"reference", "previous"}, default="reference"
        Whose responses are rejected: those of the mixture with the reference, or of the previous
        policies. The first widens the range of stable values of `beta`.
    history : {1, 2, "all"}, default=1
        Over how many policies the opponent is averaged (fictitious play).
    n_rounds : int, default=50
        Largest number of rounds.
    n_draws : int, default=None
        Responses drawn from the opponent for each prompt; None for exact expectations.
    reference : array-like of shape (n_features,), default=None
        Coefficients of the reference policy, where the rounds start; None for zeros.
    alpha : float, default=1e-6
        Penalty of the squared distance to the mixture in each round, for the mean loss of a
        prompt and features whose difference from the human response has mean square 1; it does not
        move the point of rest.
    tol : float, default=1e-8
        Rounds stop when no coefficient moves by more than this fraction of the largest.
    verbose : int, default=0
        1 prints a line per round.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients of the policy, those of the reference included.
    coef_path_ : ndarray of shape (n_rounds + 1, n_features)
        Coefficients after each round, those of the reference first.
    log_likelihood_path_ : ndarray of shape (n_rounds + 1,)
        Mean log-probability of the human responses.
    rate_ : float
        Factor by which a round multiplies the error, negative where it oscillates: that of
        policies that can express anything, 1 for `history="all"`, which is slower than any factor;
        or that of these features at the point of rest, if rounds are more than 20 % slower by it,
        or `observed_rate_`, if the steps grew.
    observed_rate_ : float
        The same, measured on the steps above rounding: ratio of the last two, with its sign; for
        averaged opponents the mean factor of the sizes of the last ten. nan with one step.
    is_stable_ : bool
        Whether the rounds converge as theory predicts: it predicts that they do, their steps did
        not grow, and on these features a round leaves at most 1.2 times as much of the error as
        predicted (a rate below 1/6 counting as 1/6), and removes 1/1.2 as much of it or more.
        `converged_` says whether they came to rest all the same.
    min_beta_ : float
        The `beta` above which they are, at the other settings.
    stable_settings_ : list of dict
        Other values of `sampler`, `history` and `mixture_weight` at which rounds with this `beta`
        converge.
    stationary_weight_ : float
        Weight w of the reference b where the rounds rest: the policy is proportional to
        :math:`b^w d^{1-w}` with d the human one; negative where it overshoots that.
    chosen_logratio_, rejected_logratio_ : float
        Mean log-ratio of policy to reference of the human responses, and of one drawn from the
        reference.
    kl_to_reference_ : float
        Mean divergence from the reference over the candidates, in nats.
    converged_ : bool
        Whether the coefficients came to rest.
    regime_ : {"detected", "misfit"}
        "misfit" if the steps grew although theory predicts that the rounds converge; see
        :term:`regime`.
    n_iter_ : int
        Rounds played.
    n_features_in_ : int
        Number of features.

    Raises
    ------
    ValueError
        If an argument is out of its domain; the message names the remedy.

    Warns
    -----
    TheoryWarning
        Before the first round, where theory predicts that the rounds diverge.

    See Also
    --------
    PreferencePolicy : From comparisons of responses.
    skrmt.theory.preference.self_play_stable : The theory.

    Notes
    -----
    NumPy computes everything, since responses to a prompt are few: torch tensors are copied, of
    half precision or with a gradient too.

    With previous policy :math:`p_t`, reference b, mixture :math:`r\propto p_t^{1-a}b^a` and
    opponent q a round minimises

    .. math::

        \frac1n\sum_i\sum_k q(k|i)\log\bigl(1+e^{-\beta(h(y_i)-h(k))}\bigr), \qquad
        h = \log\frac{p}{r},

    a convex problem, by Newton's method. On a policy that can express anything this maps
    :math:`p_t` to :math:`r(d/q)^{1/\beta}`, from which rates and thresholds follow. The
    log-linear policy rests where the mean features of policy and humans agree, at its fit of
    largest likelihood, and its rounds behave as predicted near it as far as that fit describes the
    humans. In general, with C the mean covariance of the features under the policy and S the
    covariance of the human features about their means, a round without mixture multiplies the error
    by the eigenvalues of :math:`1 - \frac2\beta(S+C)^{-1}C`, which are :math:`1-1/\beta` where
    :math:`S=C`; with a mixture, and for two policies, it is linearised in the same way. Where the
    opponent averages several policies, so does r with `sampler="reference"`.

    References
    ----------
    .. [1] "Self-Play Fine-Tuning", arXiv:2401.01335.
    .. [2] "Investigating Regularization of Self-Play Language Models", arXiv:2404.04291.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.preference import SelfPlayPolicy
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((500, 5, 3))
    >>> y = (X @ [1.0, -1.0, 0.5] + rng.gumbel(size=(500, 5))).argmax(axis=1)
    >>> policy = SelfPlayPolicy(beta=2.0).fit(X, y)
    >>> policy.rate_, policy.converged_
    (0.5, True)
    >>> bool(np.abs(policy.coef_ - [1.0, -1.0, 0.5]).max() < 0.2)
    True
    """

    _parameter_constraints = {
        "beta": [Interval(numbers.Real, 0, None, closed="neither")],
        "mixture_weight": [Interval(numbers.Real, 0, 1, closed="both")],
        "sampler": [StrOptions({"reference", "previous"})],
        "history": [StrOptions({"all"}), Options(numbers.Integral, {1, 2})],
        "n_rounds": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_draws": [Interval(numbers.Integral, 1, None, closed="left"), None],
        "reference": ["array-like", None],
        "alpha": [Interval(numbers.Real, 0, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        beta: float = 1.0,
        *,
        mixture_weight: float = 0.0,
        sampler: Literal["reference", "previous"] = "reference",
        history: Literal[1, 2, "all"] = 1,
        n_rounds: int = 50,
        n_draws: int | None = None,
        reference: ArrayLike | None = None,
        alpha: float = 1e-6,
        tol: float = 1e-8,
        verbose: int = 0,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.beta = beta
        self.mixture_weight = mixture_weight
        self.sampler = sampler
        self.history = history
        self.n_rounds = n_rounds
        self.n_draws = n_draws
        self.reference = reference
        self.alpha = alpha
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        log_reference: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Self:
        """Play rounds of self-play.

        Parameters
        ----------
        X : array-like of shape (n_prompts, n_candidates, n_features)
            Features of the candidate responses.
        y : array-like of shape (n_prompts,)
            Index of the human response to each prompt.
        sample_weight : array-like of shape (n_prompts,), default=None
            Weights of the prompts.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            Log-probabilities that every policy shares, up to a constant per prompt; `-inf` for a
            candidate that does not exist.
        mask : array-like of bool of shape (n_prompts, n_candidates), default=None
            Which candidates there are.

        Returns
        -------
        SelfPlayPolicy
            The fitted policy.
        """
        X, offsets = read_candidates(X, mask, log_reference)
        human = _read_human(y, offsets)
        weights = check_sample_weight(as_host(sample_weight), len(X))
        reference = read_reference(self.reference, X.shape[2])
        rules = self._rules()
        theory = predict_rounds(rules)
        self.min_beta_, self.stable_settings_ = theory.min_beta, theory.stable_settings
        self.stationary_weight_ = theory.stationary_weight
        if not theory.is_stable:
            warn(DIVERGES)
        unit = feature_unit(X)
        prompts = Prompts(X / unit, offsets, human, weights / weights.sum())
        start = reference * unit
        rules = rules._replace(alpha=rules.alpha * mean_square(prompts))
        rng = fresh_random_state(self.random_state)
        rounds = play(prompts, start, rules, rng, _print_round if self.verbose else None)
        self.coef_, self.coef_path_ = rounds.coefs[-1] / unit, rounds.coefs / unit
        self.log_likelihood_path_ = rounds.likelihoods
        self.observed_rate_ = observed_rate(rounds.coefs, self.history)
        seen = seen_rate(prompts, start, rules, rounds, self.observed_rate_)
        slower = bool(rounds.diverged) or is_slower(seen, theory.rate)
        self.rate_ = seen if slower and theory.is_stable else theory.rate
        self.is_stable_ = theory.is_stable and not slower
        moved = distance_moved(prompts, start, rounds.coefs[-1])
        self.chosen_logratio_, self.rejected_logratio_ = moved.chosen, moved.rejected
        self.kl_to_reference_ = moved.kl
        self.converged_, self.n_iter_ = bool(rounds.settled), len(rounds.coefs) - 1
        self.n_features_in_ = X.shape[2]
        grew = bool(rounds.diverged) and theory.is_stable
        self.regime_ = regime(misfit=grew)
        if grew:
            warn(_STEPS_GREW, ConvergenceWarning)
        return self

    def _rules(self):
        """Return the settings of the rounds."""
        return Rules(
            float(self.beta),
            float(self.mixture_weight),
            self.sampler,
            self.history if isinstance(self.history, str) else int(self.history),
            float(self.alpha),
            int(self.n_rounds),
            self.n_draws,
            float(self.tol),
        )

    def decision_function(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the logits of candidates, up to a constant per prompt and `log_reference`.

        Parameters
        ----------
        X : array-like of shape (..., n_candidates, n_features)
            Features of the candidates.

        Returns
        -------
        ndarray of shape (..., n_candidates)
            Logits.
        """
        check_is_fitted(self)
        X = as_host(X)
        if np.ndim(X) == 2:
            return self.decision_function(np.asarray(X)[None])[0]
        features, _ = read_candidates(X, None, None, self.n_features_in_)
        return (features @ self.coef_).astype(output_dtype(X), copy=False)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict the likeliest candidates.

        Parameters
        ----------
        X : array-like of shape (n_prompts, n_candidates, n_features)
            Features of the candidates.

        Returns
        -------
        ndarray of int of shape (n_prompts,)
            Their indices.
        """
        return self.decision_function(X).argmax(axis=-1)

    def predict_proba(
        self, X: ArrayLike, *, log_reference: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> NDArray[Any]:
        """Compute the probabilities of candidates.

        Parameters
        ----------
        X : array-like of shape (n_prompts, n_candidates, n_features)
            Features of the candidates.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            As in `fit`.
        mask : array-like of bool of shape (n_prompts, n_candidates), default=None
            As in `fit`.

        Returns
        -------
        ndarray of shape (n_prompts, n_candidates)
            The policy.
        """
        check_is_fitted(self)
        features, offsets = read_candidates(
            X, mask, log_reference, self.n_features_in_, name="log_reference"
        )
        probabilities = np.exp(log_policy(features, offsets, self.coef_))
        return probabilities.astype(output_dtype(X), copy=False)

    def rank(self, candidates: ArrayLike) -> NDArray[Any]:
        """Rank candidates by their probability.

        Parameters
        ----------
        candidates : array-like of shape (..., n_candidates, n_features)
            Features of the candidates.

        Returns
        -------
        ndarray of int of shape (..., n_candidates)
            Their indices, the likeliest first.
        """
        return np.argsort(-self.decision_function(candidates), axis=-1, kind="stable")

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Compute the share of prompts whose likeliest candidate is the human one.

        Parameters
        ----------
        X : array-like of shape (n_prompts, n_candidates, n_features)
            Features of the candidates.
        y : array-like of shape (n_prompts,)
            Index of the human response.
        sample_weight : array-like of shape (n_prompts,), default=None
            Weights of the prompts.

        Returns
        -------
        float
            The share.
        """
        scores = self.decision_function(X)
        human = _read_human(y, scores)
        weights = check_sample_weight(as_host(sample_weight), len(scores))
        return float(np.average(scores.argmax(axis=1) == human, weights=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags


def _read_human(y, offsets):
    """Check the indices of the human responses."""
    refuse_masked(y, "y")
    y = np.asarray(as_host(y))
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}, {y.ndim} dimension(s): give one index per prompt, shape "
            f"({len(offsets)},)."
        )
    return read_indices(y, offsets)


def _print_round(number, likelihood, step):
    """Print one line per round."""
    print(f"round {number}: log-likelihood {likelihood:.6g}, largest step {step:.3g}")
