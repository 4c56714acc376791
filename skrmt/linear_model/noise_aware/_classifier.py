"""Linear classification with noisy labels."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ...linalg import needs_krylov, ridge_basis, to_numpy
from ...model_selection._clean_labels import (
    FEWEST_ROWS,
    class_posterior,
    is_detected,
    labels_of_no_fit,
    observed_accuracy,
    read_labels,
    tell_stories,
)
from ...utils._array_api import dispatched, dispatched_fit, from_host
from ...utils._checks import check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._progress import say
from ...utils._regimes import regime
from ...utils._rows import take_rows
from ...utils._sklearn_compat import StrOptions, _fit_context
from ...utils._types import DataLike
from ...utils._warnings import warn, warn_first
from .._input import (
    check_class_labels,
    check_new_data,
    check_training_data,
    class_probabilities,
    decode_labels,
    encode_labels,
    linear_scores,
    penalty_grid,
)
from ._diagnosis import TEST_LEVEL, complaints, gaussian_p_value, link_p_value, score_moments
from ._forecasts import ForecastMixin
from ._held_out import (
    choose_landmarks,
    content_folds,
    held_out,
    kernel_evidence,
    known_targets,
    linear_form,
    share_of_fold,
)
from ._label_issues import label_issues
from ._perturbation import perturbed_targets
from ._prediction import accuracy_path, model_accuracy, theory_setting
from ._reading import read_rows
from ._sparse_ridge import sparse_ridge

if TYPE_CHECKING:
    from ._label_issues import LabelIssues

_MANY_CLASSES = 50
"""Classes from which labels are likely to be numbers or names rather than kinds."""

_REGRESSION = (
    f"y has more than {_MANY_CLASSES} classes, or as many as rows. For numbers use a regressor, "
    "such as sklearn.linear_model.RidgeCV; for names, group them into fewer classes."
)


class NoiseAwareLinearClassifier(DocLinkMixin, ForecastMixin, ClassifierMixin, BaseEstimator):
    r"""Ridge classifier for noisy labels that predicts its accuracy on clean ones.

    It estimates how noisy the labels are, fits the classifier that is best under that noise, and
    predicts from the training data alone how accurate it is on fresh, clean data.

    Parameters
    ----------
    alpha : "auto", float or array-like of shape (k,), default="auto"
        Ridge penalty per unit of weight: the objective is
        ``(1/W) sum_i w_i (t_i - x_i . w - b)^2 + alpha |w|^2`` with W the sum of the weights, so
        that scikit-learn's ``Ridge(alpha=W * alpha)`` has the same solution. "auto" tries 29
        values from 1e-4 to 1e3 times the mean variance of a feature; an array tries its values.
        The leave-one-out squared error on the noisy labels chooses, bounded for far
        scores. ``np.inf`` is the limit in which the coefficients are the class-mean difference.
    noise_rates : "estimate", None, float or array-like of shape (K,) or (K, K), default="estimate"
        How often labels are wrong: estimated, never (None), a rate for all classes, one rate per
        class (in the order of `classes_`), or the noise matrix
        ``T[k, l] = P(observed l | true k)``. For K > 2 wrong labels at given rates are uniform
        over the other classes.
    method : {"threshold", "lpc"}, default="threshold"
        "threshold" fits the noisy labels and decides where, by what is inferred of their noise,
        the true classes are equally likely. "lpc" is the labels-perturbed classifier of [1]_:
        perturbed targets, threshold 0.
    perturbation : {"optimal", "unbiased", "naive"} or pair of floats, default="optimal"
        For "lpc" only: the targets. A pair is ``(rho_-, rho_+)``, with a sum below 1 (K = 2).
    fit_intercept : "auto" or bool, default="auto"
        Whether an intercept is fitted. "auto" is False for "lpc", whose theory knows that the
        centre of the data is 0, and True otherwise.
    class_prior : array-like of shape (K,), optional
        Frequencies of the true classes, where they are known.
    device : str, optional
        Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
    verbose : int, default=0
        Print a line on every step of a fit if positive.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Class labels, sorted.
    coef_ : ndarray of shape (1, n_features) or (K, n_features)
        Coefficients of the decision function, the log-odds of the true class.
    intercept_ : ndarray of shape (1,) or (K,)
        Its intercept, threshold and prior included.
    alpha_ : float
        Penalty of the last fit.
    alphas_ : ndarray of shape (k,)
        Penalties tried, increasing; of "auto" for wide sparse data those whose fits converge.
    noise_matrix_ : ndarray of shape (K, K)
        ``P(observed l | true k)``, known or estimated.
    noise_rates_ : ndarray of shape (K,)
        Rate of wrong labels in each class, ``1 - diag(noise_matrix_)``.
    noise_rates_std_ : ndarray of shape (K,)
        Posterior standard deviation of the rates; 0 where they are known.
    noise_probability_ : float
        Probability that labels are wrong at all, in [0, 1].
    class_prior_ : ndarray of shape (K,)
        Frequencies of the true classes.
    perturbation_ : ndarray of shape (2,)
        ``(rho_-, rho_+)`` for "lpc" with two classes, nan otherwise.
    threshold_ : float
        Threshold, in the -1/+1 units of the targets, that was folded into the intercept; nan for
        K > 2.
    theoretical_accuracy_ : float
        Accuracy on fresh data with clean labels, in [0, 1]: the number to read first.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it. Unless rates are given, it contains the accuracies of all explanations
        of the labels that are not excluded.
    accuracy_if_clean_, accuracy_if_noisy_ : float
        The same if every label is right, and if some are wrong; nan where that is excluded.
    theoretical_accuracy_path_ : ndarray of shape (k,)
        The same for each of `alphas_`, up to the noise of counting.
    observed_accuracy_ : float
        Accuracy on fresh data with labels as noisy as those given: share of the held-out scores
        that predict the observed label.
    observed_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    model_accuracy_ : float
        Accuracy that theory gives to this method at `alpha_` for isotropic Gaussian classes with
        the estimated signal and noise.
    bayes_accuracy_ : float
        Accuracy that no method can exceed for such classes; nan for K > 2.
    snr_ : float
        Distance of a class mean from the centre of the classes over the standard deviation of a
        feature within classes, averaged over features (root mean square over classes if K > 2).
    model_fit_ : bool
        Whether the scores pass a test, at 1 %, of the Gaussian law behind `model_accuracy_` and
        `forecast`. Other accuracies do not lean on it.
    model_fit_pvalue_ : float
        p-value of that test.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "too_few_rows" below 10 effective rows (accuracies are then nan), "undetected" if the
        held-out scores do not follow the labels, "misfit" if they agree with them less or more
        often than the decision function expects (test at 1 %), "ambiguous" if neither right nor
        wrong labels have 95 % of the probability; see :term:`regime`.
    score_means_ : ndarray of shape (2,) or (K, K)
        Mean decision function of each class on fresh data.
    score_variances_ : ndarray of shape (2,) or (K, K)
        Its variance within each class.
    held_out_scores_ : ndarray of shape (n,) or (n, K)
        Decision function of each training row by the fit without it, its group or its fold, at
        a penalty that the rows of other folds choose.
    scores_kind_ : {"exact", "folds"}
        How they were made: by the closed form of leave-one-out or, for wide sparse data, by fits
        without each of ten folds.
    label_posterior_ : ndarray of shape (n, K)
        Probability of each true class given the held-out score and the observed label.
    label_quality_ : ndarray of shape (n,)
        Probability that the observed label is right.
    n_effective_samples_ : float
        ``(sum w)^2 / sum w^2`` over what is left out together: the n of theory and intervals.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Raises
    ------
    ValueError
        If an argument is out of its domain; the message names it, its value and the remedy.

    Warns
    -----
    TheoryWarning
        Once, where the theory does not hold: see `regime_`.

    See Also
    --------
    sklearn.linear_model.RidgeClassifierCV : The same fit, blind to the noise of the labels.
    skrmt.theory.noisy_labels : The theory.

    Notes
    -----
    What is known of the labels are held-out scores: each row is scored by a fit that has not seen
    it, at a penalty that nine tenths of the other rows choose. They are explained in many ways,
    each with the probability that it gives to the observed labels: all labels are right (half of
    the prior), or they are wrong at rates from a grid. Attributes are averages over
    these explanations. A second score from a radial kernel, in up to 20 000 rows, helps to judge
    them: labels that a better classifier predicts are not wrong.

    One eigendecomposition of the smaller Gram matrix serves every penalty:
    ``O(n p min(n, p) + min(n, p)^3)``, and O(n r) per penalty or target, r the rank. Memory: at
    most two copies of X and ``min(n, p)^2`` numbers. Rows far out (log-norm three interquartile
    ranges above the quartile) count less, down to the norm at that fence.

    Rows that are identical, label included, are one row with the sum of their weights. In a table
    of few distinct rows, such as one-hot columns, each unit of weight is an observation and is
    left out alone; elsewhere identical rows are copies, which are left out together.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.linear_model import NoiseAwareLinearClassifier
    >>> X, y, clean, _ = make_noisy_mixture(600, 50, noise_rates=(0.2, 0.3), random_state=0)
    >>> model = NoiseAwareLinearClassifier().fit(X, y)
    >>> round(model.theoretical_accuracy_, 2)
    0.95
    >>> round(model.score(X, clean), 2)
    0.96
    >>> round(model.observed_accuracy_, 2)
    0.73
    """

    _parameter_constraints: dict = {
        "alpha": [StrOptions({"auto"}), numbers.Real, "array-like"],
        "noise_rates": [StrOptions({"estimate"}), numbers.Real, "array-like", None],
        "method": [StrOptions({"threshold", "lpc"})],
        "perturbation": [StrOptions({"optimal", "unbiased", "naive"}), "array-like"],
        "fit_intercept": [StrOptions({"auto"}), "boolean"],
        "class_prior": ["array-like", None],
        "device": [str, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        alpha: Literal["auto"] | float | ArrayLike = "auto",
        *,
        noise_rates: Literal["estimate"] | float | ArrayLike | None = "estimate",
        method: Literal["threshold", "lpc"] = "threshold",
        perturbation: Literal["optimal", "unbiased", "naive"] | tuple[float, float] = "optimal",
        fit_intercept: Literal["auto"] | bool = "auto",
        class_prior: ArrayLike | None = None,
        device: str | None = None,
        verbose: int = 0,
    ) -> None:
        self.alpha = alpha
        self.noise_rates = noise_rates
        self.method = method
        self.perturbation = perturbation
        self.fit_intercept = fit_intercept
        self.class_prior = class_prior
        self.device = device
        self.verbose = verbose

    @dispatched_fit
    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: DataLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        sample_noise: ArrayLike | None = None,
        label_distribution: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier to noisy labels.

        Parameters
        ----------
        X : array-like, sparse matrix, torch tensor or dask array of shape (n, n_features)
            The data. float32 is kept. A Dask array is chunked by rows and fitted on the workers
            that hold its blocks; with as many features as rows it is read into memory.
        y : array-like of shape (n,)
            Observed labels, numbers or strings, of at least two classes.
        sample_weight : array-like of shape (n,), optional
            Weights: a row of weight 2 is the same as that row twice.
        groups : array-like of shape (n,), optional
            Rows of one group, such as a person or a document, are left out together: what is
            predicted is of rows of new groups.
        sample_noise : array-like of shape (n,) or (n, K), optional
            Rate at which the label of each row is wrong, one or per true class; it
            replaces `noise_rates`.
        label_distribution : array-like of shape (n, K), optional
            Probabilities of the true classes of each row, such as shares of annotators; it replaces
            `noise_rates`. `y` then only names the classes: the observed label of a row is its
            likeliest class.

        Returns
        -------
        NoiseAwareLinearClassifier
            The fitted estimator.
        """
        X, y = check_training_data(self, X, y, ensure_finite=False)
        weights = check_sample_weight(sample_weight, len(y))
        self.classes_, observed = encode_labels(y, weights)
        check_class_labels(y)
        known = self.noise_rates, self.class_prior, sample_noise, label_distribution
        labels = read_labels(observed, weights, len(self.classes_), *known)
        kept = weights > 0
        rows = read_rows(X, kept, labels, groups)
        say(f"{len(rows.merged.first)} distinct rows of {rows.data.shape[1]} features read")
        labels, group = labels.merged(rows.merged), rows.merged.group
        targets, landmarks = labels.first_targets(), choose_landmarks(rows.key)
        basis = self._decompose(rows, labels)
        say("rows decomposed")
        alphas = penalty_grid(self.alpha, basis, rows.unit)
        folds = content_folds(rows.key, labels.observed, group)
        # Where rows are many, numbers of rows that nothing reads any more are dear.
        rows = rows._replace(key=rows.key[:0].copy())
        choose = isinstance(self.alpha, str)
        fit = held_out(basis, targets, alphas, folds, group, landmarks, choose)
        say("rows scored by fits without them")
        evidence = kernel_evidence(fit, landmarks, targets, rows.weights, labels, folds, group)
        stories = tell_stories(fit.scores, labels, evidence=evidence, group=group)
        self.perturbation_ = np.full(2, np.nan)
        if self.method == "lpc":
            inferred = labels.with_inferred(stories)
            targets, self.perturbation_ = perturbed_targets(inferred, self.perturbation)
            fit = held_out(basis, targets, fit.alphas, folds, group, choose=choose)
            stories = tell_stories(fit.scores, labels, fixed=True, group=group)
        say("explanations of the labels weighed")
        scores = stories.apply(fit.scores)
        by_label = class_posterior(labels.with_inferred(stories).likelihood, stories.prior)
        self._assign_decision(basis, targets, fit, rows.unit, stories)
        own = labels_of_no_fit(observed, ~kept, stories, sample_noise, label_distribution)
        self._assign_rows(X, kept, own, rows.merged, labels, stories, scores)
        self._assign_accuracy(labels, by_label, stories, scores)
        self._assign_theory(basis, fit.alphas[fit.alpha_index], labels, by_label, stories)
        path = accuracy_path(basis, targets, fit, labels, stories, folds, group)
        self.theoretical_accuracy_path_ = path
        say("accuracies predicted")
        warn_first(complaints(self.regime_, labels, rows.merged.kind))
        if len(self.classes_) > min(_MANY_CLASSES, len(y) - 1):
            warn(_REGRESSION, UserWarning)
        return self

    def _decompose(self, rows, labels):
        """Return the decomposition behind fits at every penalty, or sparse data that have none."""
        auto = self.fit_intercept == "auto"
        weights = None if np.ptp(rows.weights) == 0 else rows.weights
        fit_intercept = self.method != "lpc" if auto else bool(self.fit_intercept)
        if needs_krylov(rows.data):
            part = share_of_fold(labels.part)
            return sparse_ridge(rows.data, weights, fit_intercept=fit_intercept, part=part)
        basis = ridge_basis(
            rows.data,
            weights,
            fit_intercept=fit_intercept,
            part=labels.part,
            near=rows.centre,
            targets=known_targets(labels) if is_dask(rows.data) else None,
            moments=rows.moments,
        )
        return basis if rows.some is None else basis._replace(some=rows.some)

    def _assign_decision(self, basis, targets, fit, unit, stories):
        """Assign the decision function, and what is inferred of the noise."""
        coef, intercept = linear_form(basis, targets, fit.alphas[fit.alpha_index])
        self.coef_ = (stories.directions @ coef / unit).astype(coef.dtype)
        self.intercept_ = (stories.directions @ intercept + stories.offsets).astype(coef.dtype)
        self.scores_kind_ = fit.kind
        self.alphas_ = fit.alphas * unit**2
        self.alpha_ = float(self.alphas_[fit.alpha_index])
        self.threshold_ = stories.threshold
        self.class_prior_ = stories.prior
        self.noise_matrix_ = stories.noise_matrix
        self.noise_rates_ = 1.0 - np.diag(stories.noise_matrix)
        self.noise_rates_std_ = stories.noise_rates_std
        self.noise_probability_ = stories.noise_probability

    def _assign_rows(self, X, kept, unseen, merged, labels, stories, scores):
        """Assign what is known of each given row."""
        scores, posterior = merged.spread(scores), merged.spread(stories.label_posterior)
        codes = merged.spread(labels.observed)
        if not kept.all():
            # A row of weight 0 is in no fit: the one fit leaves it out.
            own = to_numpy(to_local(linear_scores(self, take_rows(X, ~kept)))).astype(float)
            observed, likelihood = unseen
            joint = class_probabilities(own) * likelihood
            right = joint / np.maximum(joint.sum(1, keepdims=True), 1e-300)
            order = np.argsort(np.concatenate([np.flatnonzero(kept), np.flatnonzero(~kept)]))
            scores = np.concatenate([scores, own])[order]
            posterior = np.concatenate([posterior, right])[order]
            codes = np.concatenate([codes, observed])[order]
        self.held_out_scores_, self.label_posterior_ = scores, posterior
        quality = posterior[np.arange(len(codes)), codes]
        self.label_quality_ = np.where(codes >= 0, quality, np.nan)

    def _assign_accuracy(self, labels, by_label, stories, scores):
        """Assign the accuracies, the laws of the scores, and whether both can be relied on."""
        self.n_effective_samples_ = labels.size
        observed = observed_accuracy(stories, labels)
        self.observed_accuracy_, self.observed_accuracy_interval_ = observed
        self.theoretical_accuracy_ = stories.accuracy
        self.theoretical_accuracy_interval_ = stories.interval
        self.accuracy_if_clean_ = stories.accuracy_if_clean
        self.accuracy_if_noisy_ = stories.accuracy_if_noisy
        moments = score_moments(scores, stories, labels)
        self.score_means_, self.score_variances_ = moments
        self.model_fit_pvalue_ = gaussian_p_value(scores, moments, by_label, stories, labels)
        self.model_fit_ = self.model_fit_pvalue_ >= TEST_LEVEL
        self.regime_ = regime(
            too_few_rows=labels.size < FEWEST_ROWS,
            undetected=not is_detected(scores, labels),
            misfit=link_p_value(scores, stories, labels) < TEST_LEVEL,
            ambiguous=labels.likelihood is None and stories.is_ambiguous,
        )

    def _assign_theory(self, basis, alpha, labels, by_label, stories):
        """Assign what theory gives for Gaussian classes."""
        perturbation = self.perturbation_ if self.method == "lpc" else None
        self._setting = theory_setting(basis, labels, by_label, stories, alpha, perturbation)
        self.snr_ = self._setting.classes.norm
        self._by_theory = (np.nan, np.nan) if self.regime_ == "too_few_rows" else None

    @property
    def model_accuracy_(self) -> float:
        """Accuracy that theory gives to this method on isotropic Gaussian classes like these."""
        return self._accuracies_by_theory()[0]

    @property
    def bayes_accuracy_(self) -> float:
        """Accuracy that no method can exceed on such classes; nan for K > 2."""
        return self._accuracies_by_theory()[1]

    def _accuracies_by_theory(self):
        """Return both, worked out when they are first read."""
        check_is_fitted(self)
        if self._by_theory is None:
            self._by_theory = model_accuracy(self._setting)
        return self._by_theory

    @dispatched
    def decision_function(self, X: DataLike) -> Any:
        """Compute the log-odds of the true class.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (n, K)
            Log-odds of the second class for two classes; for more, log-posteriors up to a
            constant per row.
        """
        check_is_fitted(self)
        return linear_scores(self, check_new_data(self, X))

    @dispatched
    def predict(self, X: DataLike) -> Any:
        """Predict the true class.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray of shape (n,), or torch tensor for torch input and numeric labels
            Predicted labels.
        """
        scores = self.decision_function(X)
        codes = (scores > 0) * 1 if len(self.classes_) == 2 else scores.argmax(1)
        return decode_labels(self.classes_, codes)

    @dispatched
    def predict_proba(self, X: DataLike) -> Any:
        """Compute the probabilities of the true classes.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray or torch tensor of shape (n, K)
            Probabilities of the clean label, not of the noisy one.
        """
        return class_probabilities(self.decision_function(X))

    @from_host
    def find_label_issues(self, *, threshold: float = 0.5) -> LabelIssues:
        """List the training rows whose label is probably wrong.

        Parameters
        ----------
        threshold : float, default=0.5
            Smallest probability of being wrong; 0 ranks all rows.

        Returns
        -------
        LabelIssues
            Indices and probabilities, the most suspicious first.

        Raises
        ------
        ValueError
            If the threshold is not in [0, 1].

        Examples
        --------
        >>> from skrmt.datasets import make_noisy_mixture
        >>> from skrmt.linear_model import NoiseAwareLinearClassifier
        >>> X, y, clean, _ = make_noisy_mixture(600, 50, noise_rates=(0.2, 0.3), random_state=0)
        >>> issues = NoiseAwareLinearClassifier().fit(X, y).find_label_issues()
        >>> int((y != clean)[issues.indices[:10]].sum())  # of the first ten
        10
        """
        check_is_fitted(self)
        return label_issues(self.label_quality_, threshold)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
