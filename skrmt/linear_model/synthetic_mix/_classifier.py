"""Linear classification with real and synthetic rows, weighted and judged by theory."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from ...exceptions import TheoryWarning
from ...linalg import is_torch, to_numpy
from ...utils._dask import to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._sklearn_compat import StrOptions, _fit_context
from .._input import check_new_data, class_probabilities, decode_labels, linear_scores
from ._fit import fit_mix
from ._input import mix_rows
from ._plan import data_report, optimal_n_synthetic, plan, value_of_sample


class SyntheticMixClassifier(DocLinkMixin, ClassifierMixin, BaseEstimator):
    r"""Ridge classifier on real and synthetic rows that knows what the synthetic ones are worth.

    It weighs synthetic rows against real ones, tunes the penalty, may choose a verifier's
    threshold, and predicts its accuracy on fresh real data, all by exact leave-one-out on the
    real rows. Random matrix theory at the estimated quality of the generator then plans: how many
    more rows, at which weight, behind which verifier.

    Parameters
    ----------
    alpha : "auto", float or array-like of shape (k,), default="auto"
        Ridge penalty per unit of weight: the objective is
        ``(1/W) [sum_real w_i (t_i - f_i)^2 + sum_s omega_s sum_(i in s) w_i (t_i - f_i)^2] +
        alpha |w|^2`` with targets -1/+1, W the sum of the `sample_weight` of all rows given, pruned
        ones included, and omega the synthetic weights, which W does not count. "auto" tries 25
        values up to 1e3 times the mean variance of a feature; an array tries its values.
    synthetic_weight : "auto", float or array-like of shape (S,), default="auto"
        Weight omega of a synthetic row, a real one having 1: one for all sources, or one a source
        in the order of their ids, in [0, 1]. "auto" tries 8 values, 0 (real rows only) and 1 among
        them, common to all sources first, then for one source after another.
    pruning : {None, "mask", "score"}, default=None
        Which synthetic rows are used: all (`keep` and `verifier_score` are then not read), those of
        the mask `keep`, or those whose `verifier_score` is at least `prune_threshold`.
    prune_threshold : "auto" or float, default="auto"
        For "score": the threshold. "auto" chooses none or one of 7 quantiles of the scores, by
        leave-one-out.
    criterion : {"scale_free", "nll", "squared", "smooth"}, default="scale_free"
        What leave-one-out minimises: ``1 - sign(c) c^2`` with c the cosine of scores and targets,
        the log-loss at the best temperature, the squared error (which punishes wrong labels for
        shrinking scores), or minus the accuracy of Gaussian margins.
    generator_source : {"external", "same"}, default="external"
        Whether the generator was fitted to other data, or to these real rows. Leave-one-out would
        then be far too optimistic: with "same" the real rows are judged in `cv` folds by fits to
        rows of a generator refitted without the fold.
    generator : callable, optional
        For "same": ``generator(X, y, n, random_state) -> (X, y)``, or ``(X, y, keep)`` and
        ``(X, y, score)`` for pruning "mask" and "score".
    fit_intercept : bool, default=True
        Whether an intercept is fitted, without penalty.
    cv : int, cross-validation generator or iterable, default=5
        Folds for "same", of the distinct real rows: a number of stratified, shuffled ones, or a
        splitter.
    device : str, optional
        Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
    random_state : int, RandomState instance or None, default=None
        Seed of the folds and the generator for "same"; the fit is deterministic otherwise.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Class labels, sorted.
    coef_ : ndarray of shape (1, n_features) or (K, n_features)
        Coefficients of the decision function.
    intercept_ : ndarray of shape (1,) or (K,)
        Its intercept.
    alpha_ : float
        Penalty chosen.
    alphas_ : ndarray of shape (k,)
        Penalties tried, increasing.
    synthetic_weight_ : ndarray of shape (S,)
        Weight of each source, in the order of their ids.
    prune_threshold_ : float
        Smallest verifier score kept; minus infinity keeps all, nan where scores do not prune.
    weight_grid_ : ndarray of shape (g, S)
        Weights tried.
    threshold_grid_ : ndarray of shape (g,)
        Verifier threshold of each of them; minus infinity where all rows are kept.
    accuracy_grid_ : ndarray of shape (g, k)
        Predicted accuracy of each of them at each of `alphas_`.
    theoretical_accuracy_ : float
        Accuracy on fresh real data, in [0, 1]: the number to read first. The share of left-out
        real rows that are classified rightly, smoothed where they are few.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    model_accuracy_ : float
        Accuracy that theory gives to this mix for isotropic Gaussian classes with the estimated
        signal, generator and verifier.
    real_only_accuracy_, mix_all_accuracy_ : float
        Predicted accuracy at weights 0 and 1, each at its best penalty.
    gain_ : float
        `theoretical_accuracy_` less `real_only_accuracy_`.
    gain_std_ : float
        Standard error of it.
    effective_sample_size_ : float
        Number of real rows that alone would be as good as the mix, by the theory.
    noise_rate_ : float
        Share of wrong labels among synthetic rows before pruning; nan without any.
    keep_rates_ : ndarray of shape (2,)
        Probability that pruning keeps a right label, and a wrong one.
    generator_shift_ : ndarray of shape (2,)
        Synthetic class means against real ones: component along them (1: right), and norm of the
        rest in standard deviations of a feature within classes.
    leakage_gap_ : float
        For "same": by how much exact leave-one-out exceeds the cross-fitted accuracy. For
        "external" 0, or nan where the generator seems to have seen the real rows.
    source_quality_ : list of SourceQuality
        What is known of each source.
    snr_ : float
        Estimated norm of half the difference of the class means (its analogue for K > 2) over the
        deviation of an effective feature.
    n_effective_features_ : float
        ``(tr C)^2 / tr C^2`` with C the covariance within classes.
    score_temperature_ : float
        Factor that makes scores log-odds, in `predict_proba`.
    n_real_ : int
        Real rows given.
    n_synthetic_ : int
        Synthetic rows given, before pruning.
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
        Once: where there are no real rows or too few, where pruning keeps nothing, or where the
        generator seems to have seen the real rows.

    See Also
    --------
    NoiseAwareLinearClassifier : For wrong labels with no clean row at all.
    skrmt.theory.synthetic_mix : The theory.
    skrmt.datasets.GaussianGenerator : A generator to start with.

    Notes
    -----
    Real labels are taken as right. Leave-one-out removes one real row at a time and keeps every
    synthetic one, for all weights and penalties from one decomposition a weight at most; where
    real rows are fewer than features, one decomposition serves all weights.

    The label noise is the rate of largest likelihood given the posterior of each label by the fit
    to real rows alone, whose scores are calibrated by leave-one-out and rescaled to the separation
    of the synthetic classes. Planning uses isotropic Gaussian classes in `n_effective_features_`
    dimensions with the estimated signal and generator, and shifts the probits of its accuracies so
    that they meet `real_only_accuracy_` and `theoretical_accuracy_` on average.

    Identical real rows, label included, count as one with the sum of their weights and are left
    out together.

    Synthetic rows may be Dask arrays with blocks of rows, apart or stacked with the real ones,
    which are then read into memory: means, Gram matrices and scores of synthetic rows are computed
    where the blocks are, and equal those in memory to rounding. A block is read five times, or
    5 + S times where S sources are stacked with real rows: persist the array where memory allows.
    Synthetic rows are read into memory where they are fewer than features.
    `generator_source="same"` and `device` are refused. Predictions on Dask arrays are Dask arrays.

    References
    ----------
    .. [1] "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
       arXiv:2410.08942.
    .. [2] "Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification",
       arXiv:2406.07515.

    Examples
    --------
    >>> from skrmt.datasets import make_synthetic_mix
    >>> from skrmt.linear_model import SyntheticMixClassifier
    >>> data = make_synthetic_mix(100, 1000, 50, noise_rate=0.3, n_test=1000, random_state=0)
    >>> model = SyntheticMixClassifier()
    >>> model = model.fit(data.X, data.y, sample_source=data.sample_source)
    >>> low, high = model.theoretical_accuracy_interval_
    >>> bool(low < model.score(data.X_test, data.y_test) < high)
    True
    >>> bool(0 < model.synthetic_weight_[0] <= 1)
    True
    """

    _parameter_constraints = {
        "alpha": [StrOptions({"auto"}), numbers.Real, "array-like"],
        "synthetic_weight": [StrOptions({"auto"}), numbers.Real, "array-like"],
        "pruning": [StrOptions({"mask", "score"}), None],
        "prune_threshold": [StrOptions({"auto"}), numbers.Real],
        "criterion": [StrOptions({"scale_free", "nll", "squared", "smooth"})],
        "generator_source": [StrOptions({"external", "same"})],
        "generator": "no_validation",
        "fit_intercept": ["boolean"],
        "cv": ["cv_object"],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        alpha="auto",
        *,
        synthetic_weight="auto",
        pruning=None,
        prune_threshold="auto",
        criterion="scale_free",
        generator_source="external",
        generator=None,
        fit_intercept=True,
        cv=5,
        device=None,
        random_state=None,
    ):
        self.alpha = alpha
        self.synthetic_weight = synthetic_weight
        self.pruning = pruning
        self.prune_threshold = prune_threshold
        self.criterion = criterion
        self.generator_source = generator_source
        self.generator = generator
        self.fit_intercept = fit_intercept
        self.cv = cv
        self.device = device
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y,
        sample_weight=None,
        *,
        sample_source=None,
        X_synthetic=None,
        y_synthetic=None,
        keep=None,
        verifier_score=None,
    ):
        """Fit the classifier to real and synthetic rows.

        Synthetic rows come either stacked with the real ones in X, told apart by `sample_source`,
        or apart in `X_synthetic`. Without either, the fit is a ridge classifier tuned by exact
        leave-one-out. In a search or a cross-validation use the stacked form: there, arrays of the
        length of X are split with it, and `X_synthetic` would be too if it had that length.

        Parameters
        ----------
        X : array-like, sparse matrix, torch tensor or dask array of shape (n, n_features)
            Real rows, or real and synthetic ones. float32 is kept.
        y : array-like of shape (n,)
            Their labels, numbers or strings.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows of X: a row of weight 2 is the same as that row twice.
        sample_source : array-like of shape (n,), optional
            0 for a real row, 1, 2, ... for synthetic sources.
        X_synthetic : array-like, sparse matrix, torch tensor or dask array of shape \
(m, n_features), optional
            Rows of one synthetic source, of weight 1 each.
        y_synthetic : array-like of shape (m,), optional
            Their labels, all of them among those of real rows.
        keep : array-like of bool of shape (n,) or (m,), optional
            For `pruning="mask"`: which synthetic rows are used, one entry for each row of X (not
            read for real ones) or of `X_synthetic`.
        verifier_score : array-like of shape (n,) or (m,), optional
            For `pruning="score"`: how plausible each label is, larger for better; minus infinity is
            allowed. One entry for each row of X (not read for real ones) or of `X_synthetic`.

        Returns
        -------
        SyntheticMixClassifier
            The fitted estimator.
        """
        rows = mix_rows(
            self,
            X,
            y,
            sample_weight,
            sample_source,
            X_synthetic,
            y_synthetic,
            keep,
            verifier_score,
        )
        attributes, messages = fit_mix(self, rows)
        vars(self).update(attributes)
        self.classes_ = rows.classes
        if messages:
            warnings.warn(" ".join(messages), TheoryWarning, stacklevel=2)
        return self

    def decision_function(self, X):
        """Compute the scores of the ridge fit to targets -1/+1.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (n, K)
            Positive for the second class where there are two; one score a class for more.
        """
        check_is_fitted(self)
        return linear_scores(self, check_new_data(self, X))

    def predict(self, X):
        """Predict classes.

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
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray or torch tensor of shape (n, K)
            Probabilities: scores times `score_temperature_` as log-odds.
        """
        return class_probabilities(self.decision_function(X) * self.score_temperature_)

    def score(self, X, y, sample_weight=None, *, sample_source=None):
        """Compute the accuracy on real rows.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.
        y : array-like of shape (n,)
            Their labels.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        sample_source : array-like of shape (n,), optional
            Rows whose entry is not 0 are synthetic and not counted.

        Returns
        -------
        float
            Accuracy.

        Raises
        ------
        ValueError
            If there is no real row.
        """
        predicted, y = to_numpy(to_local(self.predict(X))), to_local(y)
        y = to_numpy(y) if is_torch(y) else np.asarray(y)
        weights = None if sample_weight is None else np.asarray(to_numpy(to_local(sample_weight)))
        if sample_source is not None:
            real = np.asarray(to_numpy(to_local(sample_source))) == 0
            if real.shape != y.shape[:1]:
                raise ValueError(
                    f"sample_source has shape {real.shape}: give one id a row, ({len(y)},)."
                )
            if not real.any():
                raise ValueError(
                    "sample_source has no 0: accuracy is counted on real rows, of which there are "
                    "none here. Stratify the folds by sample_source."
                )
            predicted, y = predicted[real], y[real]
            weights = None if weights is None else weights[real]
        return float(accuracy_score(y, predicted, sample_weight=weights))

    def plan(self, n_synthetic=None, weights=None, verifier=None):
        """Predict the accuracy with other numbers and weights of synthetic rows.

        Parameters
        ----------
        n_synthetic : array-like of shape (a,), optional
            Numbers of synthetic rows before pruning; by default 9 from a tenth to ten times the
            present one.
        weights : array-like of shape (b,), optional
            Weights; by default 0, the present one and 1.
        verifier : pair of floats or array-like of shape (c, 2), optional
            Probability that another verifier keeps a right label, and a wrong one.

        Returns
        -------
        MixPlan
            `n_synthetic`, `weights` and `accuracy` of shape (a, b), or (a, b, c) for several
            verifiers, each at its best penalty; ``to_frame()`` makes a DataFrame of it.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the fit had too few real rows.

        Examples
        --------
        >>> from skrmt.datasets import make_synthetic_mix
        >>> from skrmt.linear_model import SyntheticMixClassifier
        >>> data = make_synthetic_mix(100, 1000, 50, noise_rate=0.3, random_state=0)
        >>> model = SyntheticMixClassifier()
        >>> model = model.fit(data.X, data.y, sample_source=data.sample_source)
        >>> some, many = model.plan(n_synthetic=[100, 10000], weights=[0.3]).accuracy[:, 0]
        >>> bool(some < many)
        True
        """
        check_is_fitted(self)
        return plan(self, n_synthetic, weights, verifier)

    def optimal_n_synthetic(self, weight=None, max_n_synthetic=None):
        """Return the number of synthetic rows with the largest predicted accuracy.

        Parameters
        ----------
        weight : float, optional
            Weight of a synthetic row; the present one by default.
        max_n_synthetic : float, optional
            Largest number considered; by default 100 times that of all rows given.

        Returns
        -------
        int
            Smallest number (0 included, before pruning) within 0.0005 of the largest accuracy.

        Raises
        ------
        ValueError
            If an argument is out of its domain, or the fit had too few real rows.

        Notes
        -----
        At a fixed weight accuracy may have a maximum or a minimum inside: 200 numbers on a
        logarithmic scale are compared.
        """
        check_is_fitted(self)
        return optimal_n_synthetic(self, weight, max_n_synthetic)

    def value_of_sample(self):
        """Return how many real rows a synthetic row is worth.

        Returns
        -------
        float
            ``(effective_sample_size_ - n) / m`` with n the effective number of real rows, m that of
            synthetic rows given; nan without synthetic rows.

        Raises
        ------
        ValueError
            If the fit had too few real rows.
        """
        check_is_fitted(self)
        return value_of_sample(self)

    def data_report(self):
        """Summarise the quality of generator, verifier and labels, and what to do next.

        Returns
        -------
        MixReport
            Its fields hold the numbers; ``print`` shows them.
        """
        check_is_fitted(self)
        return data_report(self)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
