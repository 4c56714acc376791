"""Policies that learn from comparisons of responses and tell how well they rank fresh ones."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ...exceptions import TheoryWarning
from ...linalg import is_torch
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._sklearn_compat import Interval, StrOptions, _fit_context, validate_data
from ..self_play._candidate_fit import log_policy
from ._blocks import lazy_margins
from ._fit import Problem, check_loss, fit_policy
from ._input import (
    Candidates,
    as_host,
    merge,
    output_dtype,
    read_candidates,
    read_choices,
    read_differences,
    read_pairs,
    read_reference,
)
from ._stream import add_comparisons, keeps_sums


class PreferencePolicy(DocLinkMixin, ClassifierMixin, BaseEstimator):
    r"""Log-linear policy fitted to comparisons, which tells how well it ranks fresh pairs.

    The policy is the reference times :math:`e^{u^\top\phi}`, normalised over the responses to a
    prompt, with :math:`\phi` the features of a response. Any preference loss fits it, in
    milliseconds on embeddings. Exact or approximate leave-one-out chooses the penalty and says,
    before any test pair, which share of fresh pairs will be ranked rightly.

    Parameters
    ----------
    loss : str, default="dpo"
        Name of the loss, see `preference_loss`; the names of TRL are understood. Losses of the
        margin, "dpo", "cdpo", "robust", "hinge", "ipo", "exo", "discopop", "sigmoid_norm" and
        "simpo" (all lengths 1), learn from pairs; "nca", "bco", "sppo", "apo_zero", "apo_down",
        "kto", "sft", "cpo", "orpo" and "slic" need candidate sets.
    beta : float, default=1.0
        Strength of the pull to the reference, positive.
    noise_rate : float or "estimate", default=0.0
        Share of the comparisons that went the wrong way, in [0, 1/2). The losses cdpo, robust and
        exo read it (exo needs it above 0); what the policy tells of its accuracy is for right
        comparisons, whatever the loss. "estimate" takes what repeated and cyclic comparisons tell,
        0 where there are none; at 0 the accuracy still makes use of that estimate.
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
    theoretical_accuracy_ : float
        Share of fresh pairs, their order free of noise, that will be ranked rightly: from
        leave-one-out, or `model_accuracy_` where the noise is white. nan for losses that are not
        convex, and after `partial_fit`.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    model_accuracy_ : float
        What theory says for differences with isotropic Gaussian noise and the estimated signal;
        it misleads where noise is correlated. nan with losses that are not convex, or that need
        candidate sets.
    model_fit_ : bool
        Whether the noise of the differences passes a test of being white and Gaussian, at 1 %, and
        leave-one-out agrees with the model.
    signal_ : float
        Estimated squared norm of the mean difference over the variance about it, an entry.
    signal_std_ : float
        Standard error of it.
    noise_rate_ : float
        Share of wrong comparisons: from repeated comparisons and from cycles of three responses
        where 20 or more of them could contradict each other, else the parameter.
    held_out_scores_ : ndarray of shape (n,)
        Left-out margin of each comparison, positive where it is ranked as observed. Empty after
        `partial_fit`.
    margin_ : float
        Mean margin of the comparisons: log-ratio of the chosen less that of the rejected response.
    chosen_logratio_, rejected_logratio_ : float
        Mean of log policy / reference of the chosen and rejected responses; nan for pairs, which
        tell differences only.
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
        Once: for losses that are not convex, pairs of identical features, more agreement than
        `noise_rate` allows, or what `partial_fit` cannot tell.

    See Also
    --------
    SelfPlayPolicy : From human responses alone.
    preference_loss : The losses.
    skrmt.theory.preference.pairwise_accuracy : The theory.

    Notes
    -----
    Convex losses of the margin are minimised by Newton's method with at most one Gram matrix a
    step; the squared loss of ipo for every penalty from one eigendecomposition. dpo is logistic
    regression without intercept on the differences and their negatives, with ``coef_ = w / beta``
    and ``C = beta^2 / (4 n alpha)`` in scikit-learn's parameters.

    Comparisons of the same pair, whichever way they went, are left out together. Under isotropic
    noise theory alone would take the penalty of ipo to infinity; under correlated noise a finite
    one is better, which leave-one-out finds.

    With ipo, differences may be a Dask array with blocks of rows, and pairs two of them: sums and
    left-out scores are computed where the blocks are, and equal those in memory to rounding.
    `decision_function`, `predict` and `predict_proba` then return Dask arrays. A block is read
    five times, seven where rows are repeated: persist the array where memory allows.

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

    _parameter_constraints = {
        "loss": [str],
        "beta": [Interval(numbers.Real, 0, None, closed="neither")],
        "noise_rate": [
            StrOptions({"estimate"}),
            Interval(numbers.Real, 0, 0.5, closed="left"),
        ],
        "alpha": [StrOptions({"auto"}), Interval(numbers.Real, 0, None, closed="left")],
        "reference": ["array-like", None],
        "loss_options": [dict, None],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        loss="dpo",
        *,
        beta=1.0,
        noise_rate=0.0,
        alpha="auto",
        reference=None,
        loss_options=None,
        max_iter=100,
    ):
        self.loss = loss
        self.beta = beta
        self.noise_rate = noise_rate
        self.alpha = alpha
        self.reference = reference
        self.loss_options = loss_options
        self.max_iter = max_iter

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, log_reference=None, mask=None):
        """Fit the policy to differences of features, or to candidate sets.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n_prompts, n_candidates, n_features)
            Features of the first response minus those of the second, or of all candidates. With
            ipo differences may be a dask array.
        y : array-like of shape (n,) or (n_prompts, 2)
            For differences one of two labels, the larger where the first response is preferred.
            For candidate sets the indices of the chosen and of the rejected response.
        sample_weight : array-like of shape (n,), default=None
            Weights: a comparison of weight 2 is the same as that comparison twice.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            For candidate sets: log-probabilities of a reference policy up to a constant a prompt,
            multiplied with that of `reference`; `-inf` for a candidate that does not exist.
        mask : array-like of bool of shape (n_prompts, n_candidates), default=None
            For candidate sets: which candidates there are.

        Returns
        -------
        PreferencePolicy
            The fitted policy.
        """
        self._check_loss(X)
        if _ndim(X) == 3:
            return self._fit_sets(X, y, sample_weight, log_reference, mask)
        if log_reference is not None or mask is not None:
            raise ValueError(
                "log_reference and mask belong to candidate sets, but X has "
                f"{_ndim(X)} dimensions: leave them out, as pairs cancel the reference."
            )
        differences, signs = read_differences(self, X, y)
        read_reference(self.reference, self.n_features_in_)
        return self._finish(Problem(merge(differences, signs, sample_weight), None, None))

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit_pairs(self, X_chosen, X_rejected, sample_weight=None):
        """Fit the policy to pairs of a chosen and a rejected response.

        Parameters
        ----------
        X_chosen, X_rejected : array-like of shape (n, n_features)
            Features of the responses; with ipo both may be dask arrays. Rows that are equal are
            taken for the same response, whose comparisons with others tell the share of wrong
            ones.
        sample_weight : array-like of shape (n,), default=None
            Weights.

        Returns
        -------
        PreferencePolicy
            The fitted policy; `classes_` is ``[0, 1]``.
        """
        self._check_loss(X_chosen, X_rejected)
        chosen, rejected = read_pairs(self, X_chosen, X_rejected)
        read_reference(self.reference, self.n_features_in_)
        pairs = merge(chosen - rejected, np.ones(len(chosen)), sample_weight)
        return self._finish(Problem(pairs, None, (chosen, rejected)))

    @available_if(keeps_sums)
    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Fit the policy to further differences, exactly as if all had come at once.

        Only for ``loss="ipo"`` with `alpha` and `noise_rate` given as numbers: the fit is then
        that of sums over the comparisons, of which no row is kept. Comparisons of the same pair
        count as independent in `signal_` and `model_accuracy_`, which `fit` merges.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Features of the first response minus those of the second.
        y : array-like of shape (n,)
            One of two labels, the larger where the first response is preferred.
        classes : array-like of shape (2,), default=None
            Both labels; needed in the first call where y has one of them only.
        sample_weight : array-like of shape (n,), default=None
            Weights.

        Returns
        -------
        PreferencePolicy
            The fitted policy. `theoretical_accuracy_` and its interval are nan, as they take
            leave-one-out, `model_fit_` is False, and `model_accuracy_` is given.

        Raises
        ------
        ValueError
            If `classes` are missing, or have changed, or y has others.

        Warns
        -----
        TheoryWarning
            In the first call, of what is nan. A first call after `fit` starts anew, and says so.

        Examples
        --------
        >>> import numpy as np
        >>> from skrmt.exceptions import TheoryWarning
        >>> from skrmt.preference import PreferencePolicy
        >>> import warnings
        >>> rng = np.random.default_rng(0)
        >>> X, y = rng.standard_normal((400, 3)) + 0.5, np.ones(400)
        >>> policy = PreferencePolicy("ipo", alpha=0.1)
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore", TheoryWarning)
        ...     for part in np.split(np.arange(400), 4):
        ...         policy = policy.partial_fit(X[part], y[part], classes=[0, 1])
        >>> X[::2], y[::2] = -X[::2], 0
        >>> whole = PreferencePolicy("ipo", alpha=0.1).fit(X, y)
        >>> bool(np.allclose(policy.coef_, whole.coef_, rtol=1e-10))
        True
        """
        first, forgets = not hasattr(self, "_moments"), hasattr(self, "coef_")
        vars(self).update(add_comparisons(self, X, y, classes, sample_weight, first))
        if first:
            message = (
                "partial_fit keeps sums, not comparisons, so that none can be left out: "
                "theoretical_accuracy_ is nan. Read model_accuracy_, which holds for white noise, "
                "or use fit."
            )
            if forgets:
                message += " What fit was given before is forgotten, as it keeps no sums."
            warnings.warn(message, TheoryWarning, stacklevel=4)
        return self

    def _check_loss(self, *data):
        """Check the loss, and whether it can be fitted to Dask arrays where they are given."""
        name = check_loss(self.loss)
        if not any(is_dask(X) for X in data):
            return
        if name != "ipo" or max(map(_ndim, data)) == 3:
            raise ValueError(
                f"loss={self.loss!r} with a dask array of shape {data[0].shape}: only loss='ipo' "
                "is fitted by blocks, to differences or pairs of two dimensions. Use it, or read "
                "the data into memory with X.compute()."
            )

    def _fit_sets(self, X, y, sample_weight, log_reference, mask):
        """Fit the policy to candidate sets."""
        X, base = read_candidates(X, mask, log_reference)
        choices = read_choices(y, base)
        weights = check_sample_weight(as_host(sample_weight), len(X))
        reference = read_reference(self.reference, X.shape[2])
        rows = np.arange(len(X))
        items = tuple(X[rows, choices[:, side]] for side in (0, 1))
        pairs = merge(items[0] - items[1], np.ones(len(X)), weights)
        self.n_features_in_ = X.shape[2]
        vars(self).pop("feature_names_in_", None)
        self.classes_ = np.array([0, 1])
        known = log_policy(X, base, reference)
        sets = Candidates(X / pairs.unit, known, choices, weights)
        return self._finish(Problem(pairs, sets, items))

    def _finish(self, problem):
        """Fit, set the attributes, and warn at most once."""
        vars(self).pop("_moments", None)
        attributes, messages, converged = fit_policy(self, problem)
        vars(self).update(attributes)
        if messages:
            warnings.warn(" ".join(messages), TheoryWarning, stacklevel=5)
        if not converged:
            warnings.warn(
                f"The fit has not settled after {self.n_iter_} steps: raise max_iter or alpha.",
                ConvergenceWarning,
                stacklevel=5,
            )
        return self

    def decision_function(self, X):
        r"""Compute rewards, or their differences.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features) or (..., n_candidates, n_features)
            Differences of features, or features of candidates.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (..., n_candidates)
            :math:`\beta u^\top x`: the reward of a response up to a constant of its prompt, or
            that of the first minus that of the second, positive where the first is preferred.
        """
        check_is_fitted(self)
        return self._margins(X) * self.beta

    def _margins(self, X):
        """Return log-ratios to the reference up to a constant a prompt, or their differences."""
        if is_dask(X):
            return lazy_margins(self, X, self.coef_.astype(output_dtype(X)))
        if is_torch(X) or _ndim(X) == 3:
            X = check_array_like_on_device(X, "X", _ndim(X), n_features=self.n_features_in_)
        else:
            X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        coef = X.new_tensor(self.coef_) if is_torch(X) else self.coef_.astype(X.dtype)
        return X @ coef

    def predict(self, X):
        """Predict which response is preferred.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n_prompts, n_candidates, n_features)
            Differences of features, or features of candidates.

        Returns
        -------
        ndarray of shape (n,) or (n_prompts,)
            Labels, or indices of the candidates of largest reward.
        """
        scores = as_host(self.decision_function(X))
        if scores.ndim == 2:
            return scores.argmax(axis=1)
        if is_dask(scores):
            return scores.map_blocks(_labels, self.classes_, dtype=self.classes_.dtype)
        return _labels(scores, self.classes_)

    def predict_proba(self, X, *, log_reference=None, mask=None):
        r"""Compute the probabilities of preferences, or of responses.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n_prompts, n_candidates, n_features)
            Differences of features, or features of candidates.
        log_reference : array-like of shape (n_prompts, n_candidates), default=None
            For candidates, as in `fit`.
        mask : array-like of bool of shape (n_prompts, n_candidates), default=None
            For candidates, as in `fit`.

        Returns
        -------
        ndarray of shape (n, 2) or (n_prompts, n_candidates)
            Probability that the second and that the first response is preferred, where the
            minimum of the loss is at this margin: :math:`\sigma(\beta d)` for most losses,
            :math:`1/2+\beta d` within [0, 1] for ipo and sppo. For candidates, the policy.
        """
        check_is_fitted(self)
        if _ndim(X) == 3:
            features, base = read_candidates(X, mask, log_reference, self.n_features_in_)
            reference = read_reference(self.reference, self.n_features_in_)
            policy = np.exp(log_policy(features, base, reference + self.coef_))
            return policy.astype(output_dtype(X), copy=False)
        z = as_host(self.decision_function(X))
        told = check_loss(self.loss), self._loss_noise()
        if is_dask(z):
            chunks = (z.chunks[0], (2,))
            return z.map_blocks(_both_ways, *told, dtype=z.dtype, chunks=chunks, new_axis=1)
        return _both_ways(z, *told)

    def _loss_noise(self):
        """Return the noise that the loss was given."""
        return self.noise_rate_ if isinstance(self.noise_rate, str) else self.noise_rate

    def rank(self, candidates):
        """Rank candidates by their reward.

        Parameters
        ----------
        candidates : array-like of shape (n_candidates, n_features) or (n_prompts, \
n_candidates, n_features)
            Features of the candidates.

        Returns
        -------
        ndarray of int of shape (n_candidates,) or (n_prompts, n_candidates)
            Their indices, the best first.
        """
        scores = to_local(as_host(self.decision_function(candidates)))
        return np.argsort(-scores, axis=-1, kind="stable")

    def score(self, X, y, sample_weight=None):
        """Compute the share of pairs that are ranked rightly.

        Parameters
        ----------
        X : array-like of shape (n, n_features) or (n_prompts, n_candidates, n_features)
            Differences of features, or features of candidates.
        y : array-like of shape (n,) or (n_prompts, 2)
            Labels, or indices of the chosen and of the rejected response.
        sample_weight : array-like of shape (n,), default=None
            Weights.

        Returns
        -------
        float
            The share; equal rewards of candidates count half.
        """
        if _ndim(X) != 3:
            predicted = to_local(self.predict(X))
            weights = to_local(as_host(sample_weight))
            return float(accuracy_score(to_local(as_host(y)), predicted, sample_weight=weights))
        scores = as_host(self.decision_function(X))
        choices = read_choices(y, np.zeros(scores.shape))
        rows = np.arange(len(scores))
        gap = scores[rows, choices[:, 0]] - scores[rows, choices[:, 1]]
        weights = check_sample_weight(as_host(sample_weight), len(gap))
        return float(np.average(np.where(gap == 0, 0.5, gap > 0), weights=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.input_tags.three_d_array = True
        return tags


def preference_probability(name, z, noise):
    """Return the probability of a preference at whose margin a loss is least."""
    if name in ("ipo", "sppo"):
        return np.clip(0.5 + z, 0.0, 1.0)
    if name == "exo":
        return np.clip(0.5 + z / (2 * np.log((1 - noise) / noise)), 0.0, 1.0)
    if name == "cdpo":
        return np.clip(0.5 + (expit(z) - 0.5) / (1 - 2 * noise), 0.0, 1.0)
    return expit(z)


def _labels(scores, classes):
    """Return the classes of differences of rewards."""
    return classes[(scores > 0).astype(int)]


def _both_ways(z, name, noise):
    """Return the probabilities that the second and that the first response is preferred."""
    first = preference_probability(name, z, noise)
    return np.column_stack([1 - first, first])


def _ndim(X):
    """Return the number of dimensions of an array-like."""
    shape = getattr(X, "shape", None)
    return len(shape) if shape is not None else np.ndim(np.asarray(X, dtype=object))
