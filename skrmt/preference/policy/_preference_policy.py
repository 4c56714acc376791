"""Policies that learn from comparisons of responses and predict how well they rank fresh ones."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning

from ...theory.preference._names import canonical_loss
from ...utils._array_api import dispatched_fit
from ...utils._checks import check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._progress import say
from ...utils._sklearn_compat import (
    Interval,
    StrOptions,
    _check_feature_names,
    _fit_context,
)
from ...utils._warnings import warn, warn_first
from ..losses._table import LOSSES
from ._blocks import read_once
from ._candidate_fit import Drift, drift, log_policy
from ._claim import claim_of
from ._comparisons import by_outcome, merge_pairs, prompt_groups, varying_columns
from ._fit import derivatives_of, mean_margin, read_setting
from ._input import (
    Candidates,
    as_host,
    check_two_classes,
    n_dimensions,
    read_candidates,
    read_choices,
    read_pairs,
    read_reference,
    signs_of,
    validated,
)
from ._items import (
    UNKNOWN,
    NewItems,
    items_of_rows,
    linked_sets,
    new_items_accuracy,
    recognise,
    worth_of_known,
)
from ._latent import fit_policy
from ._moments import moments_of_pairs
from ._noise import noise_pvalue
from ._outlook import PolicyOutlook, growth_of
from ._predictions import PolicyPredictions
from ._stream import PolicyStream

_UNSETTLED = "The fit has not converged after `n_iter_` steps: raise max_iter or alpha."


class PreferencePolicy(
    PolicyPredictions, PolicyOutlook, PolicyStream, DocLinkMixin, ClassifierMixin, BaseEstimator
):
    r"""Log-linear policy fitted to comparisons, with a prediction of how it ranks fresh pairs.

    The policy is the reference times :math:`e^{u^\top\phi}`, normalised over the responses to a
    prompt, with :math:`\phi` the features of a response. Any preference loss fits it, in
    milliseconds on embeddings. Exact or approximate leave-one-out chooses the penalty and predicts,
    before any test pair, which share of fresh pairs will be ranked as they are chosen.

    Parameters
    ----------
    loss : str, default="dpo"
        Name of the loss, see `preference_loss`; the names of TRL are understood. Losses of the
        margin, "dpo", "cdpo", "robust", "hinge", "ipo", "exo", "discopop", "sigmoid_norm" and
        "simpo" (all lengths 1), learn from pairs; "nca", "bco", "sppo", "apo_zero", "apo_down",
        "kto", "sft", "cpo", "orpo" and "slic" need candidate sets.
    beta : float, default=1.0
        Strength of the pull to the reference, positive.
    noise_rate : None, float or "estimate", default=None
        Share of the comparisons that went the wrong way, in [0, 1/2). None and 0 take every
        comparison for what the person prefers; people who differ or change their minds make no
        error. With a share, `theoretical_accuracy_` is that on right comparisons, and the losses
        cdpo, robust and exo read it (exo needs it above 0). "estimate" lets
        :func:`~skrmt.model_selection.clean_accuracy` find it from held-out margins, and a loss
        takes it if it then ranks no fewer held-out pairs rightly.
    alpha : "auto" or float, default="auto"
        Penalty: the objective is ``(1/W) sum_i w_i loss_i + alpha |u|^2`` for every loss, with W
        the sum of the weights. "auto" tries 29 values for ipo, 15 or fewer for other convex losses,
        by leave-one-out; losses that are not convex, and slic, take the one of ipo, scaled to their
        curvature.
    reference : array-like of shape (n_features,), default=None
        Coefficients of the reference policy, proportional to :math:`e^{\theta^\top\phi}`; None for
        equal probabilities. It matters with candidate sets only, as pairs cancel it.
    loss_options : dict, default=None
        Options of the loss, such as ``{"tau": 0.1}`` for discopop.
    max_iter : int, default=100
        Largest number of Newton steps for one penalty.
    verbose : int, default=0
        Print a line on every step of a fit if positive.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Labels where the second response is preferred, and where the first is.
    coef_ : ndarray of shape (n_features,)
        Coefficients u, beside those of the reference.
    alpha_ : float
        Penalty used.
    alphas_ : ndarray of shape (k,)
        Penalties tried.
    observed_accuracy_ : float
        Share of fresh pairs of the kind `fresh_pairs_` that will be ranked as they are chosen: the
        share of held-out comparisons that are; equal scores count half. nan for losses that are
        not convex, below 10 effective comparisons, and after `partial_fit`.
    observed_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it; contains 1/2 where `noise_pvalue_` is above 0.05.
    theoretical_accuracy_ : float
        The same of comparisons that go the right way: `observed_accuracy_` unless `noise_rate` is
        given or estimated, and nan where it is.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it; with an estimated rate it contains the accuracies of all explanations
        that the margins do not exclude.
    fresh_pairs_ : {"new responses", "known responses", "new groups"}
        Which pairs these are: those of responses that were compared before, where responses
        repeat; of other groups, where `groups` were given or responses are linked in many small
        sets, as those to a prompt are; else of any.
    new_items_accuracy_ : float
        The observed accuracy on pairs of responses that were never compared, from fits without
        both; `observed_accuracy_` unless `fresh_pairs_` is "known responses". nan then for hinge,
        losses that need candidate sets, Dask arrays, and fewer effective responses than features,
        or 10.
    new_items_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    noise_pvalue_ : float
        P-value of the preferences being noise, every comparison, or all those of a group
        together, the toss of a coin.
    noise_probability_ : float
        Probability that some comparisons are wrong: 0 or 1 unless it is estimated.
    accuracy_if_noisy_ : float
        `theoretical_accuracy_` if some are; nan where that is excluded.
    model_accuracy_ : float
        Accuracy by theory for differences with isotropic Gaussian noise and the estimated signal;
        it misleads if noise is correlated. nan with losses that are not convex, or that need
        candidate sets, and with `groups`, whose comparisons are not independent.
    model_fit_ : bool
        Whether the noise of the differences passes a test of being white and Gaussian, at 1 %, and
        leave-one-out agrees with the model.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "too_few_rows" below 10 effective comparisons; "undetected" if `observed_accuracy_` may be
        1/2, or `signal_` 0 where it is nan; "misfit" if the noise is not white (`model_fit_`), or
        a given `noise_rate` is contradicted; "ambiguous" if an estimated one may be 0 or not; see
        :term:`regime`.
    n_effective_samples_ : float
        Effective number of comparisons that are left out one by one, or of groups.
    signal_ : float
        Estimated squared norm of the mean difference over the variance about it, per entry.
    signal_std_ : float
        Standard error of it.
    noise_rate_ : float
        Share of wrong comparisons, given or estimated; 0 for None.
    held_out_scores_ : ndarray of shape (n,)
        Margin of each comparison by the fit without it, or without its group, at the penalty that
        other folds choose, in the unit of the fit's; positive if it is ranked as observed. Empty
        after `partial_fit`.
    scores_kind_ : {"exact", "newton", "folds"} or None
        How they were computed: exactly, by one Newton step, by refits without a tenth of the
        groups (hinge with `groups`), or not at all.
    margin_ : float
        Mean margin of the comparisons: log-ratio of the chosen less that of the rejected response.
    chosen_logratio_, rejected_logratio_ : float
        Mean of log policy / reference of the chosen and rejected responses; nan for pairs, which
        determine differences only.
    kl_to_reference_ : float
        Mean divergence of the policy from the reference over the candidates, in nats; nan for
        pairs.
    n_iter_ : int
        Steps taken, over all penalties tried.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Raises
    ------
    ValueError
        If an argument is out of its domain, the loss needs candidate sets, or an unpenalised
        optimum is infinite; the message names the remedy.

    Warns
    -----
    TheoryWarning
        Once, the first that applies: fewer than 10 effective comparisons, a loss that is not
        convex, more agreement than `noise_rate` allows, an estimate of it that may be 0 or not,
        pairs of identical features, copies of pairs; or for what `partial_fit` cannot predict.

    See Also
    --------
    SelfPlayPolicy : From human responses alone.
    preference_loss : The losses.
    skrmt.theory.preference.pairwise_accuracy : The theory.

    Notes
    -----
    Fits are computed by NumPy, in milliseconds on embeddings: torch tensors, of half precision or
    with a gradient too, are copied. The decision function of tensors is computed where they are.

    Convex losses of the margin are minimised by Newton's method with at most one Gram matrix a
    step; the squared loss of ipo for every penalty from one eigendecomposition. dpo is logistic
    regression without intercept on the differences and their negatives, with ``coef_ = w / beta``
    and ``C = beta^2 / (4 n alpha)`` in scikit-learn's parameters.

    Comparisons of the same pair, whichever way they went, are left out together; where features
    have few values, as differences of one-hot columns, one comparison at a time. Given `groups`,
    whole groups are left out, and the interval counts their comparisons for as many as their
    spread between groups says. Every pair is scored at the penalty that nine other folds choose;
    folds follow the content of the rows. Differences that are 0 in all rows change nothing; other
    constant ones are a preference for the first side. Under isotropic noise theory alone would
    take the penalty of ipo to infinity; under correlated noise a finite one is better, which
    leave-one-out finds.

    With ipo, differences may be a Dask array with blocks of rows, and pairs two of them: sums and
    left-out scores are computed where the blocks are, and equal those in memory to rounding.
    `decision_function`, `predict` and `predict_proba` then return Dask arrays. A block is read
    three times, and once or twice more where pairs or responses are repeated.

    References
    ----------
    .. [1] "Direct Preference Optimization", arXiv:2305.18290.
    .. [2] "A General Theoretical Paradigm to Understand Learning from Human Preferences",
       arXiv:2310.12036.
    .. [3] "Alignment with Preference Optimization Is All You Need for LLM Safety",
       arXiv:2409.07772.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.preference import PreferencePolicy
    >>> rng = np.random.default_rng(0)
    >>> chosen, rejected = rng.standard_normal((2, 6000, 50))
    >>> chosen += 0.3
    >>> policy = PreferencePolicy("ipo").fit_pairs(chosen[:1000], rejected[:1000])
    >>> low, high = policy.theoretical_accuracy_interval_
    >>> fresh = policy.decision_function(chosen[1000:] - rejected[1000:])
    >>> bool(low < np.mean(fresh > 0) < high)
    True
    """

    _parameter_constraints: dict[str, Any] = {
        "loss": [str],
        "beta": [Interval(numbers.Real, 0, None, closed="neither")],
        "noise_rate": [
            StrOptions({"estimate"}),
            Interval(numbers.Real, 0, 0.5, closed="left"),
            None,
        ],
        "alpha": [StrOptions({"auto"}), Interval(numbers.Real, 0, None, closed="left")],
        "reference": ["array-like", None],
        "loss_options": [dict, None],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        loss: str = "dpo",
        *,
        beta: float = 1.0,
        noise_rate: float | Literal["estimate"] | None = None,
        alpha: Literal["auto"] | float = "auto",
        reference: ArrayLike | None = None,
        loss_options: Mapping[str, Any] | None = None,
        max_iter: int = 100,
        verbose: int = 0,
    ) -> None:
        self.loss = loss
        self.beta = beta
        self.noise_rate = noise_rate
        self.alpha = alpha
        self.reference = reference
        self.loss_options = loss_options
        self.max_iter = max_iter
        self.verbose = verbose

    @dispatched_fit
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
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the policy to differences of features, or to candidate sets.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n_prompts, n_candidates, n_features)
            Features of the first response minus those of the second, or of all candidates. With
            ipo differences may be a dask array. Sparse differences are made dense.
        y : array-like of shape (n,) or (n_prompts, 2)
            For differences one of two labels, the larger where the first response is preferred.
            For candidate sets the indices of the chosen and of the rejected response.
        sample_weight : array-like of shape (n,), default=None
            Weights: a comparison of weight 2 is the same as that comparison twice.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            For candidate sets: log-probabilities of a reference policy up to a constant per prompt,
            multiplied with that of `reference`; `-inf` for a candidate that does not exist.
        mask : array-like of bool of shape (n_prompts, n_candidates), default=None
            For candidate sets: which candidates there are.
        groups : array-like of shape (n,), default=None
            Comparisons of a group (an annotator, a prompt) are left out together, and fresh pairs
            are those of other groups. `n_effective_samples_` then counts groups. If None,
            candidate sets are treated as `fit_pairs` treats pairs.

        Returns
        -------
        PreferencePolicy
            The fitted policy.
        """
        self._check_loss(X)
        if n_dimensions(X) == 3:
            return self._fit_sets(X, y, sample_weight, log_reference, mask, groups)
        if log_reference is not None or mask is not None:
            raise ValueError(
                "log_reference and mask belong to candidate sets, but X has "
                f"{n_dimensions(X)} dimensions: leave them out, as pairs cancel the reference."
            )
        X, y = validated(self, X, y)
        weights = check_sample_weight(as_host(to_local(sample_weight)), len(y))
        self.classes_ = check_two_classes("y", y)
        read_reference(self.reference, self.n_features_in_)
        pairs = merge_pairs(X, signs_of(y, self.classes_), sample_weight, groups)
        return self._fit(pairs, weights)

    @dispatched_fit
    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_pairs(
        self,
        X_chosen: ArrayLike,
        X_rejected: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the policy to pairs of a chosen and a rejected response.

        Parameters
        ----------
        X_chosen, X_rejected : array-like of shape (n, n_features)
            Features of the responses; with ipo both may be dask arrays. Rows that are equal are
            taken for the same response. In memory, where these link comparisons in many small
            sets, as all responses to a prompt are, sets are left out whole.
        sample_weight : array-like of shape (n,), default=None
            Weights.
        groups : array-like of shape (n,), default=None
            As in `fit`.

        Returns
        -------
        PreferencePolicy
            The fitted policy; `classes_` is ``[0, 1]``.
        """
        self._check_loss(X_chosen, X_rejected)
        chosen, rejected = read_pairs(self, X_chosen, X_rejected)
        read_reference(self.reference, self.n_features_in_)
        self.classes_ = np.array([0, 1])
        weights = check_sample_weight(as_host(to_local(sample_weight)), len(chosen))
        differences, reading = chosen - rejected, None
        if is_dask(chosen) and groups is None:
            reading = read_once(differences, weights > 0, (chosen, rejected))
        groups, items = self._together(chosen, rejected, groups, reading)
        pairs = merge_pairs(
            differences, np.ones(len(chosen)), sample_weight, groups, reading=reading
        )
        return self._fit(pairs, weights, items=items)

    def _check_loss(self, *data):
        """Check the loss, and whether it can be fitted to Dask arrays if they are given."""
        name = canonical_loss(self.loss)
        if not any(is_dask(X) for X in data):
            return
        if name != "ipo" or max(map(n_dimensions, data)) == 3:
            raise ValueError(
                f"loss={self.loss!r} with a dask array of shape {data[0].shape}: only loss='ipo' "
                "is fitted by blocks, to differences or pairs of two dimensions. Use it, or read "
                "the data into memory with X.compute()."
            )

    def _fit_sets(self, X, y, sample_weight, log_reference, mask, groups):
        """Fit the policy to candidate sets."""
        X, log_reference = read_candidates(X, mask, log_reference)
        choices = read_choices(y, log_reference)
        weights = check_sample_weight(as_host(sample_weight), len(X))
        log_reference = log_policy(X, log_reference, read_reference(self.reference, X.shape[2]))
        chosen, rejected = (X[np.arange(len(X)), choices[:, side]] for side in (0, 1))
        _check_feature_names(self, X, reset=True)
        self.n_features_in_ = X.shape[2]
        self.classes_ = np.array([0, 1])
        groups, items = self._together(chosen, rejected, groups)
        varying = None
        if LOSSES[canonical_loss(self.loss)].margin is None:
            present = np.isfinite(log_reference)[:, :, None]
            varying = varying_columns(
                (np.where(present, X, chosen[:, None]) - chosen[:, None]).reshape(-1, X.shape[2])
            )
        pairs = merge_pairs(chosen - rejected, np.ones(len(X)), weights, groups, varying)
        group = prompt_groups(groups, weights)
        features = X[:, :, pairs.columns] / pairs.unit
        sets = Candidates(features, log_reference, choices, weights, group)
        return self._fit(pairs, weights, sets, items)

    def _together(self, chosen, rejected, groups, reading=None):
        """Return what is left out together, given or recognised, and responses that repeat."""
        items = None if groups is not None else recognise(chosen, rejected, reading)
        sets = None if items is None or is_dask(chosen) else linked_sets(items)
        return (groups, items) if sets is None else (sets, None)

    def _fit(self, pairs, sample_weight, sets=None, items=None):
        """Fit the loss, predict its accuracy, and warn at most once."""
        if pairs.kind == "discrete":
            pairs = by_outcome(pairs)
        setting = read_setting(
            self.loss,
            beta=self.beta,
            alpha=self.alpha,
            options=self.loss_options,
            max_iter=self.max_iter,
            unit=pairs.unit,
        )
        say(f"{len(pairs.row)} comparisons read")
        fitted = fit_policy(setting, self.noise_rate, pairs, sets, sample_weight)
        say("loss fitted, comparisons left out")
        choice, held = fitted.choice, fitted.held
        moments = moments_of_pairs(pairs) if choice.moments is None else choice.moments
        pvalue = noise_pvalue(pairs, moments)
        worth = np.nan if held is None else held.worth()
        if items is not None:
            items = items_of_rows(items, pairs)
            n_given = sample_weight.sum() ** 2 / (sample_weight @ sample_weight)
            worth = np.nan if held is None else worth_of_known(held, pairs, items, n_given)
        claim = claim_of(choice, pairs, held, fitted.rate, fitted.latent, pvalue, worth, moments)
        self._moments = None
        self._loss_noise = fitted.noise
        self.coef_ = pairs.all_features(choice.fit.coef)
        self.alpha_ = choice.alpha * pairs.unit * pairs.unit
        self.alphas_ = choice.alphas * pairs.unit * pairs.unit
        self.noise_rate_ = fitted.rate
        self.noise_pvalue_ = pvalue
        self.margin_ = mean_margin(choice, pairs, sets)
        self.n_iter_ = choice.fit.n_iter
        self._growth = None if held is None else growth_of(held, self.margin_)
        self.held_out_scores_ = np.full(len(pairs.row), np.nan) if held is None else held.scores
        self.scores_kind_ = choice.kind
        nowhere = Drift(np.nan, np.nan, np.nan)
        self._set_drift(nowhere if sets is None else drift(sets, choice.fit.coef))
        self._set_claim(claim)
        new = UNKNOWN
        if items is not None:
            self.fresh_pairs_ = "known responses"
            new = self._new_items(claim, fitted, pairs, setting, items)
        else:
            self.fresh_pairs_ = "new responses" if pairs.group is None else "new groups"
            new = NewItems(claim.observed, claim.observed_interval.copy())
        self.new_items_accuracy_, self.new_items_accuracy_interval_ = new
        say("accuracies predicted")
        warn_first(claim.messages)
        if not choice.fit.converged:
            warn(_UNSETTLED, ConvergenceWarning)
        return self

    def _new_items(self, claim, fitted, pairs, setting, items):
        """Predict which share of pairs of new responses is ranked as chosen."""
        fit = derivatives_of(fitted.choice, pairs, setting._replace(noise=fitted.noise))
        if fit is None or np.isnan(claim.observed):
            return UNKNOWN
        return new_items_accuracy(fit, pairs, items)

    def _set_drift(self, moved):
        """Set how far the policy has moved from its reference."""
        self.chosen_logratio_ = moved.chosen
        self.rejected_logratio_ = moved.rejected
        self.kl_to_reference_ = moved.kl

    def _set_claim(self, claim):
        """Set what is predicted of fresh pairs."""
        self.observed_accuracy_ = claim.observed
        self.observed_accuracy_interval_ = claim.observed_interval
        self.theoretical_accuracy_ = claim.accuracy
        self.theoretical_accuracy_interval_ = claim.interval
        self.accuracy_if_noisy_ = claim.if_noisy
        self.noise_probability_ = claim.noise_probability
        self.model_accuracy_ = claim.model_accuracy
        self.model_fit_ = claim.model_fit
        self.signal_ = claim.signal.value
        self.signal_std_ = claim.signal.std
        self.n_effective_samples_ = claim.size
        self.regime_ = claim.regime

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
