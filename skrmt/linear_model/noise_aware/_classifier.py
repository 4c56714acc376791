"""Linear classification with noisy labels, tuned and judged by theory."""

from __future__ import annotations

import numbers
import warnings
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ...exceptions import TheoryWarning
from ...linalg import ridge_basis, to_numpy
from ...utils._checks import check_sample_weight
from ...utils._dask import to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._rows import take_rows
from ...utils._sklearn_compat import Interval, StrOptions, _fit_context
from .._input import (
    check_new_data,
    check_training_data,
    class_probabilities,
    data_unit,
    decode_labels,
    encode_labels,
    linear_scores,
    penalty_grid,
)
from ._accuracy_curve import accuracy_curve
from ._fit import fit_noise_aware
from ._options import distinct_rows, label_data

_PER_ROW = ("loo_scores_", "label_posterior_", "label_quality_")


class LabelIssues(NamedTuple):
    """Rows whose label is probably wrong, the most suspicious first.

    Attributes
    ----------
    indices : ndarray of shape (m,)
        Indices of the rows.
    probabilities : ndarray of shape (m,)
        Probability that the label of each is wrong.
    """

    indices: np.ndarray
    probabilities: np.ndarray


class NoiseAwareLinearClassifier(DocLinkMixin, ClassifierMixin, BaseEstimator):
    r"""Ridge classifier for noisy labels that knows its accuracy on clean ones.

    It estimates how noisy the labels are, fits the classifier that is best under that noise, and
    predicts from the training data alone how accurate it is on fresh, clean data.

    Parameters
    ----------
    alpha : "auto", float or array-like of shape (k,), default="auto"
        Ridge penalty per unit of weight: the objective is
        ``(1/W) sum_i w_i (t_i - x_i . w - b)^2 + alpha |w|^2`` with W the sum of the weights, so
        that scikit-learn's ``Ridge(alpha=W * alpha)`` has the same solution. "auto" tries 29
        values from 1e-4 to 1e3 times the mean variance of a feature; an array tries its values.
        The exact leave-one-out squared error on the noisy labels chooses. ``np.inf`` is the limit
        in which the coefficients are the class-mean difference.
    noise_rates : "estimate", None, float or array-like of shape (K,) or (K, K), default="estimate"
        How often labels are wrong: estimated, never (None), a rate for all classes, one rate for
        each class (in the order of `classes_`), or the noise matrix
        ``T[k, l] = P(observed l | true k)``. For K > 2 wrong labels at given rates are uniform
        over the other classes.
    method : {"soft", "threshold", "lpc"}, default="soft"
        "threshold" fits the noisy labels and moves the threshold (for K > 2, a linear discriminant
        of the scores). "soft" adds rounds in which labels are replaced by their posterior means.
        "lpc" is the labels-perturbed classifier of [1]_: perturbed targets, threshold 0.
    perturbation : {"optimal", "unbiased", "naive"} or pair of floats, default="optimal"
        For "lpc" only: the targets. A pair is ``(rho_-, rho_+)``, with a sum below 1 (K = 2).
    n_relabel : int, default=2
        For "soft" only: largest number of rounds. A round that explains the observed labels
        worse than the one before is dropped.
    fit_intercept : "auto" or bool, default="auto"
        Whether an intercept is fitted. "auto" is False for "lpc", whose theory knows that the
        centre of the data is 0, and True otherwise.
    class_prior : array-like of shape (K,), optional
        Frequencies of the true classes, where they are known.
    device : str, optional
        Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
    random_state : int, RandomState instance or None, default=None
        Kept for compatibility with model selection: the fit is deterministic.

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
        Penalties tried, increasing.
    noise_matrix_ : ndarray of shape (K, K)
        ``P(observed l | true k)``, known or estimated.
    noise_rates_ : ndarray of shape (K,)
        Rate of wrong labels in each class, ``1 - diag(noise_matrix_)``.
    noise_rates_std_ : ndarray of shape (K,)
        Posterior standard deviation of the rates; 0 where they are known, nan for K > 2.
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
        95 % interval of it.
    theoretical_accuracy_path_ : ndarray of shape (k,)
        The same for each of `alphas_`, given the targets of the last fit.
    loo_accuracy_ : float
        Accuracy of leave-one-out predictions on clean labels, unmixed with no law assumed; nan
        where the labels say too little of the classes.
    model_accuracy_ : float
        Accuracy that theory gives to this method at `alpha_` for isotropic Gaussian classes with
        the estimated signal and noise.
    bayes_accuracy_ : float
        Accuracy that no method can exceed for such classes; nan for K > 2.
    snr_ : float
        Distance of a class mean from the centre of the classes over the standard deviation of a
        feature within classes, averaged over features (root mean square over classes if K > 2).
    model_fit_ : bool
        Whether the scores pass a test, at 1 %, of the Gaussian law fitted to them.
    model_fit_pvalue_ : float
        p-value of that test.
    regime_ : {"detected", "noise_unidentified", "misfit", "undetected", "too_few_rows"}
        Whether the theory holds: "noise_unidentified" if the noise rates are known to no better
        than 0.1, "misfit" if the test fails, "undetected" if the scores do not tell the classes
        apart, "too_few_rows" below 10 effective rows (accuracies are then nan).
    score_means_ : ndarray of shape (2,) or (K, K)
        Mean decision function of each class on fresh data.
    score_variances_ : ndarray of shape (2,) or (K, K)
        Its variance within each class.
    loo_scores_ : ndarray of shape (n,) or (n, K)
        Leave-one-out decision function of the training rows.
    label_posterior_ : ndarray of shape (n, K)
        Probability of each true class given the leave-one-out score and the observed label.
    label_quality_ : ndarray of shape (n,)
        Probability that the observed label is right.
    n_effective_samples_ : float
        ``(sum w)^2 / sum w^2`` over distinct rows: the n of the theory.
    n_iter_ : int
        Rounds of relabelling kept.
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
    A leave-one-out score does not depend on the observed label of its own row given the true
    class. Its law given that label is therefore a mixture of the laws of both classes in
    proportions that the noise rates fix, and fitting that mixture yields the laws, hence the best
    threshold, the accuracy on clean data and, through its shape, the rates themselves.

    One eigendecomposition of the smaller Gram matrix serves every penalty and every round:
    ``O(n p min(n, p) + min(n, p)^3)``, and O(n r) a penalty or target, r the rank. Memory: at most
    two copies of X and ``min(n, p)^2`` numbers. Rows that are identical, label included, count as
    one row with the sum of their weights and are left out together.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.linear_model import NoiseAwareLinearClassifier
    >>> X, y, clean = make_noisy_mixture(600, 50, noise_rates=(0.2, 0.3), random_state=0)
    >>> model = NoiseAwareLinearClassifier().fit(X, y)
    >>> low, high = model.theoretical_accuracy_interval_
    >>> bool(low < model.score(X, clean) < high)
    True
    """

    _parameter_constraints = {
        "alpha": [StrOptions({"auto"}), numbers.Real, "array-like"],
        "noise_rates": [StrOptions({"estimate"}), numbers.Real, "array-like", None],
        "method": [StrOptions({"soft", "threshold", "lpc"})],
        "perturbation": [StrOptions({"optimal", "unbiased", "naive"}), "array-like"],
        "n_relabel": [Interval(numbers.Integral, 0, None, closed="left")],
        "fit_intercept": [StrOptions({"auto"}), "boolean"],
        "class_prior": ["array-like", None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha="auto",
        *,
        noise_rates="estimate",
        method="soft",
        perturbation="optimal",
        n_relabel=2,
        fit_intercept="auto",
        class_prior=None,
        device=None,
        random_state=None,
    ):
        self.alpha = alpha
        self.noise_rates = noise_rates
        self.method = method
        self.perturbation = perturbation
        self.n_relabel = n_relabel
        self.fit_intercept = fit_intercept
        self.class_prior = class_prior
        self.device = device
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, sample_noise=None, label_distribution=None):
        """Fit the classifier to noisy labels.

        Parameters
        ----------
        X : array-like, sparse matrix, torch tensor or dask array of shape (n, n_features)
            The data. float32 is kept. A Dask array is chunked by rows and fitted where its blocks
            are; with as many features as rows it is read into memory.
        y : array-like of shape (n,)
            Observed labels, numbers or strings, of at least two classes.
        sample_weight : array-like of shape (n,), optional
            Weights: a row of weight 2 is the same as that row twice.
        sample_noise : array-like of shape (n,) or (n, K), optional
            Rate at which the label of each row is wrong, whatever or for each true class; it
            replaces `noise_rates`.
        label_distribution : array-like of shape (n, K), optional
            Probabilities of the true classes of each row, from annotators say; it replaces
            `noise_rates`. `y` then only names the classes: the observed label of a row is its
            likeliest class.

        Returns
        -------
        NoiseAwareLinearClassifier
            The fitted estimator.
        """
        X, y = check_training_data(self, X, y)
        weights = check_sample_weight(sample_weight, len(y))
        self.classes_, observed = encode_labels(y, weights)
        check_classification_targets(y)
        kept = weights > 0
        data, messages = label_data(
            self,
            observed[kept],
            weights[kept],
            _rows("sample_noise", sample_noise, kept),
            _rows("label_distribution", label_distribution, kept),
        )
        rows, repeats = distinct_rows(X if kept.all() else take_rows(X, kept), data)
        unit = data_unit(rows.X)
        basis = ridge_basis(
            rows.X if unit == 1.0 else rows.X * (1.0 / unit),
            None if np.ptp(rows.data.weights) == 0 else rows.data.weights,
            fit_intercept=self._uses_intercept(),
        )
        alphas = penalty_grid(self.alpha, basis, unit)
        fitted, more = fit_noise_aware(self, basis, rows.data, alphas)
        fitted["coef_"] = fitted["coef_"] / unit
        fitted |= {name: fitted[name] * unit**2 for name in ("alpha_", "alphas_")}
        vars(self).update(fitted)
        self._spread_rows(rows.origin)
        if not kept.all():
            self._insert_unweighted(X, observed, kept)
        messages = messages + repeats + more
        if messages:
            warnings.warn(" ".join(messages), TheoryWarning, stacklevel=2)
        return self

    def _spread_rows(self, origin):
        """Give every row the values of the distinct row to which it belongs."""
        if origin is not None:
            for name in _PER_ROW:
                setattr(self, name, getattr(self, name)[origin])

    def _insert_unweighted(self, X, observed, kept):
        """Give the rows of weight 0 the values that the fit without them predicts."""
        scores = to_numpy(to_local(linear_scores(self, X)))
        posterior = class_probabilities(scores)
        known = observed >= 0
        posterior[known] *= np.maximum(self.noise_matrix_.T[observed[known]], 1e-12)
        posterior = np.maximum(posterior, 1e-300)
        posterior /= posterior.sum(1, keepdims=True)
        quality = np.where(known, posterior[np.arange(len(observed)), observed], np.nan)
        for name, values in zip(_PER_ROW, (scores, posterior, quality), strict=True):
            values[kept] = getattr(self, name)
            setattr(self, name, values)

    def _uses_intercept(self):
        """Return whether an intercept is fitted."""
        return self.method != "lpc" if self.fit_intercept == "auto" else bool(self.fit_intercept)

    def decision_function(self, X):
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

    def predict(self, X):
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

    def predict_proba(self, X):
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

    def find_label_issues(self, *, threshold=0.5):
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
        >>> X, y, clean = make_noisy_mixture(600, 50, noise_rates=(0.2, 0.3), random_state=0)
        >>> issues = NoiseAwareLinearClassifier().fit(X, y).find_label_issues()
        >>> bool((y != clean)[issues.indices[:10]].all())
        True
        """
        check_is_fitted(self)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold={threshold!r} must be a probability, between 0 and 1.")
        wrong = 1.0 - self.label_quality_
        order = np.argsort(-wrong, kind="stable")
        order = order[wrong[order] >= threshold]
        return LabelIssues(order, wrong[order])

    def accuracy_curve(self, *, n_samples=None, noise_rates=None, cleaned_fraction=None):
        """Predict the accuracy with more data, other noise, or cleaned labels.

        Parameters
        ----------
        n_samples : array-like, optional
            Numbers of training rows; the present effective number by default.
        noise_rates : float or array-like of shape (..., K), optional
            Rates of wrong labels of each class, in the order of `classes_`; the present ones by
            default.
        cleaned_fraction : array-like, optional
            Share of the rows, chosen at random, whose labels are put right; 0 by default.

        Returns
        -------
        float or ndarray
            Accuracies on clean data, of the shape to which the arguments broadcast.

        Raises
        ------
        ValueError
            If an argument is out of its domain.

        Notes
        -----
        Classes are taken as isotropic Gaussians in `n_features_in_` dimensions, with the signal
        that gives `theoretical_accuracy_` at the present size and noise, and the noise rates as
        known: gains from more rows are right to a few hundredths on real data, the harm of more
        noise is understated.

        Examples
        --------
        >>> from skrmt.datasets import make_noisy_mixture
        >>> from skrmt.linear_model import NoiseAwareLinearClassifier
        >>> X, y, clean = make_noisy_mixture(600, 50, noise_rates=(0.2, 0.3), random_state=0)
        >>> model = NoiseAwareLinearClassifier().fit(X, y)
        >>> fewer, present, more = model.accuracy_curve(n_samples=[200, 600, 5000])
        >>> bool(fewer < present < more)
        True
        """
        check_is_fitted(self)
        return accuracy_curve(self, n_samples, noise_rates, cleaned_fraction)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _rows(name, values, kept):
    """Return the rows kept of an optional argument."""
    if values is None:
        return None
    values = np.asarray(values)
    if values.shape[:1] != kept.shape:
        raise ValueError(f"{name} has shape {values.shape}: give one row a sample, {len(kept)}.")
    return values[kept]
