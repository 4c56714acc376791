"""Linear classification with real and synthetic rows, weighted by left-out scores."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from ...linalg import is_torch, to_numpy
from ...utils._array_api import dispatched, dispatched_fit
from ...utils._dask import to_local
from ...utils._docs import DocLinkMixin
from ...utils._fit import restore_on_failure
from ...utils._sklearn_compat import StrOptions, _fit_context
from ...utils._types import DataLike
from ...utils._warnings import warn_first
from .._input import check_new_data, class_probabilities, decode_labels, linear_scores
from ._arguments import real_rows
from ._claims import claim_regime
from ._crossfit import generate_folds
from ._fit import fit_rows, fit_warnings, given_weights, scores_of_given_rows
from ._forecasts import ForecastMixin
from ._input import mix_rows
from ._judge import judge_errors


class SyntheticMixClassifier(DocLinkMixin, ForecastMixin, ClassifierMixin, BaseEstimator):
    r"""Ridge classifier on real and synthetic rows that estimates what the latter are worth.

    It weighs synthetic rows against real ones, tunes the penalty, may choose a verifier's
    threshold, and predicts its accuracy on fresh real data, all by exact leave-one-out on the
    real rows. Random matrix theory at the estimated quality of the generator then forecasts the
    accuracy for other numbers of rows, other weights and other verifiers.

    Parameters
    ----------
    alpha : "auto", float or array-like of shape (k,), default="auto"
        Ridge penalty per unit of weight: the objective is
        ``(1/W) [sum_real w_i (t_i - f_i)^2 + sum_s omega_s sum_(i in s) w_i (t_i - f_i)^2] +
        alpha |w|^2`` with targets -1/+1, W the sum of the `sample_weight` of all rows given, pruned
        ones included, and omega the synthetic weights, which W does not count. "auto" tries 25
        values up to 1e3 times the mean variance of a feature; an array tries its values.
    synthetic_weight : "auto", float or array-like of shape (S,), default="auto"
        Weight omega of a synthetic row, a real one having 1: one for all sources, or one per source
        in the order of their ids, in [0, 1]. "auto" tries 8 values, 0 (real rows only) and 1 among
        them, common to all sources first, then all 64 pairs for two sources; for more each source
        alone, then one source after another until none gains. The best is taken if it beats the
        best of 0 and 1 by a standard error, else these are.
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
        then be far too optimistic: with "same" the real rows are scored in `cv` folds by fits to
        rows of a generator refitted without the fold. Sources of "external" generators that seem
        to have seen the real rows are left out.
    generator : callable, optional
        For "same": ``generator(X, y, n, random_state) -> (X, y)``, or ``(X, y, keep)`` and
        ``(X, y, score)`` for pruning "mask" and "score".
    fit_intercept : bool, default=True
        Whether an intercept is fitted, without penalty.
    cv : int, cross-validation generator or iterable, default=5
        Folds for "same", of the distinct real rows: a number of stratified, shuffled ones, or a
        splitter. With `groups` a number deals out whole groups, and a splitter must keep them.
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
        real rows that are classified rightly, smoothed where they are few, each tenth of them at
        the weights, threshold and penalty that the others choose.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        Equal to the above: labels of real rows are taken as right.
    regime_ : {"detected", "misfit", "undetected", "too_few_rows"}
        "too_few_rows" below ten effective real rows, "undetected" where the interval contains the
        share of the largest class, "misfit" where a generator seems to have seen the real rows;
        see :term:`regime`.
    model_accuracy_ : float
        Accuracy that theory gives to this mix for isotropic Gaussian classes with the estimated
        signal, generator and verifier.
    real_only_accuracy_, mix_all_accuracy_ : float
        Predicted accuracy at weights 0 and 1, each at its best penalty; the latter nan where a
        generator seems to have seen the real rows.
    gain_ : float
        `theoretical_accuracy_` less `real_only_accuracy_`.
    gain_std_ : float
        Standard error of it, at least 1.5 / n where synthetic rows have a weight.
    held_out_scores_ : ndarray of shape (n_real,) or (n_real, K)
        Decision function of each real row by the fit without it, or without its group, in the
        order given; nan for rows of weight zero.
    scores_kind_ : {"exact", "folds"}
        Whether these are by exact leave-one-out, or by folds, for "same"; of whole groups, where
        there are `groups`.
    n_effective_samples_ : float
        Effective number of real rows: identical ones count once, unless columns have few values.
        With `groups` that of groups, ``(sum w)^2 / sum w^2`` over the weights of groups.
    equivalent_real_samples_ : float
        Number of real rows that alone would be as good as the mix, by the theory.
    noise_rate_ : float
        Share of wrong labels among synthetic rows before pruning: that of `y_judge`, where given,
        else an estimate. nan, with a `TheoryWarning` when it is read, where the share is not
        identified to 0.08, and nan without synthetic rows.
    noise_rate_interval_ : ndarray of shape (2,)
        Its range over all that may explain the labels; with `y_judge` its 95 % interval.
    noise_rates_ : ndarray of shape (S, K)
        Share of wrong labels by the judge of each source in each class, from `y_judge`; nan where
        no row shows it.
    noise_rates_interval_ : ndarray of shape (S, K, 2)
        95 % intervals of them.
    judge_confusion_ : ndarray of shape (S, K, K)
        P(label by the judge = l | right label = k), from `y_judge`; nan where no row shows it.
    keep_rates_ : ndarray of shape (2,)
        Probability that pruning keeps a right label, and a wrong one; nan where the verifier goes
        by the features.
    generator_shift_ : ndarray of shape (2,)
        Synthetic class means against real ones: component along them (1: right), and norm of the
        rest in standard deviations of a feature within classes.
    leakage_gap_ : float
        For "same": by how much exact leave-one-out exceeds the cross-fitted accuracy. For
        "external" 0, or nan where the generator seems to have seen the real rows.
    source_quality_ : list of SourceQuality
        Estimated quality of each source.
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
        Once, of the first that applies: no real row, too few of them, a generator that seems to
        have seen the real rows, pruning that keeps nothing, repeated real rows.

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

    Of synthetic labels only their agreement with the fit to real rows is seen, whose scores are
    calibrated by leave-one-out and rescaled to the separation of the synthetic classes. Wrong
    labels that fall on all rows alike, or on those of some classes, have rates of largest
    likelihood; labels by a rule of its own, such as another classifier, are wrong as often as the
    posteriors say on average. Where these differ by more than 0.16, sampling errors included, the
    share of wrong synthetic labels is not identified: `y_judge` shows it.

    Forecasts use isotropic Gaussian classes in `n_effective_features_` dimensions with the
    estimated signal and generator, and shift the probits of their accuracies so that they meet
    `real_only_accuracy_` and `theoretical_accuracy_` on average. No attribute depends on the unit
    of the weights.

    A generator fitted to the real rows carries their sampling error into its class means. The
    distance of real and synthetic class means, in the metric of the covariance within the classes
    of the source, is compared with that error and with that of the source: its likelihood is that
    of a chi-square variable, with a leak (0.02 to 0.5 times the error of the real means) and
    without (1 to 2.2 times). A source of log-odds above 1.5, or above 0 where a gain above 0.02
    is at stake, is left out: its weight is 0, its quality is nan, and what is predicted is what
    the other rows show. Where `synthetic_weight` gives it a weight, `theoretical_accuracy_` is
    nan.

    Identical rows, label included, count as one with the sum of their weights. Real ones are left
    out together, unless the columns have few values, as one-hot columns do: then one unit of
    weight is left out at a time. With `groups` the rows of a group are left out together, whatever
    they are, and synthetic rows of the group of a real one with it.

    Synthetic rows may be Dask arrays with blocks of rows, apart or stacked with the real ones,
    which are then read into memory: means, Gram matrices and scores of synthetic rows are computed
    where the blocks are, and equal those in memory to rounding. A block is read three times, and
    once more for each source of which rows repeat. Synthetic rows are read into memory where they
    are fewer than features.
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

    _parameter_constraints: dict = {
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
        alpha: Literal["auto"] | float | ArrayLike = "auto",
        *,
        synthetic_weight: Literal["auto"] | float | ArrayLike = "auto",
        pruning: Literal["mask", "score"] | None = None,
        prune_threshold: Literal["auto"] | float = "auto",
        criterion: Literal["scale_free", "nll", "squared", "smooth"] = "scale_free",
        generator_source: Literal["external", "same"] = "external",
        generator: Callable[..., Any] | None = None,
        fit_intercept: bool = True,
        cv: Any = 5,
        device: str | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
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

    @dispatched_fit
    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: DataLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sample_source: ArrayLike | None = None,
        X_synthetic: DataLike | None = None,
        y_synthetic: ArrayLike | None = None,
        keep: ArrayLike | None = None,
        verifier_score: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        y_judge: ArrayLike | None = None,
    ) -> Self:
        """Fit the classifier to real and synthetic rows.

        Synthetic rows come either stacked with the real ones in X, marked by `sample_source`,
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
        groups : array-like of shape (n,) or (n + m,), optional
            Rows of one group, such as a person or a document, are left out together, real or
            synthetic: what is predicted is of rows of new groups. One entry for each row of X,
            then for each of `X_synthetic`.
        y_judge : array-like of shape (n,) or (n, S), optional
            Where synthetic labels are those of a judge, such as a model or a crowd: its labels of
            the rows of X, None or NaN where it has given none (and not read for synthetic rows).
            They show how often it is wrong. One column for each source where there are several.

        Returns
        -------
        SyntheticMixClassifier
            The fitted estimator.
        """
        real = X, y, sample_weight, sample_source
        made = X_synthetic, y_synthetic, keep, verifier_score
        rows = mix_rows(self, *real, *made, groups, y_judge)
        weights = given_weights(self.synthetic_weight, len(rows.sources))
        folds = None
        if self.generator_source == "same" and rows.sources and rows.real is not None:
            pruning = self.pruning, self.prune_threshold
            folds = generate_folds(rows, self.generator, *pruning, self.cv, self.random_state)
        options = self.alpha, self.criterion, self.fit_intercept
        solution, claim, found = fit_rows(rows, folds, weights, *options)
        judge = judge_errors(rows)

        self.classes_ = rows.classes
        self.n_real_, self.n_synthetic_ = len(rows.place), rows.n_synthetic
        self.n_effective_samples_ = 0.0 if rows.real is None else rows.real.size
        self.coef_, self.intercept_ = solution.coef, solution.intercept
        self.alpha_, self.alphas_ = solution.alpha, solution.alphas
        self.synthetic_weight_ = solution.weights
        given = solution.threshold if self.prune_threshold == "auto" else self.prune_threshold
        self.prune_threshold_ = float(given) if self.pruning == "score" else np.nan
        self.weight_grid_ = solution.weight_grid
        self.threshold_grid_ = solution.threshold_grid
        self.accuracy_grid_ = solution.accuracy_grid
        self.score_temperature_ = solution.temperature
        self.held_out_scores_ = scores_of_given_rows(solution.scores, rows.place)
        self.scores_kind_ = "exact" if folds is None else "folds"
        self.theoretical_accuracy_ = self.observed_accuracy_ = claim.accuracy
        self.theoretical_accuracy_interval_ = claim.interval.copy()
        self.observed_accuracy_interval_ = claim.interval.copy()
        self.real_only_accuracy_, self.mix_all_accuracy_ = claim.real_only, claim.mix_all
        self.gain_ = claim.accuracy - claim.real_only
        self.gain_std_ = claim.gain_std
        self.regime_ = claim_regime(claim, found.leaked)
        self.source_quality_ = found.qualities
        self._noise_rate = found.pooled.noise_rate
        self.noise_rate_interval_ = found.pooled.noise_rate_interval
        self.judge_confusion_ = judge.confusion
        self.noise_rates_, self.noise_rates_interval_ = judge.rates, judge.intervals
        self.keep_rates_ = np.array([found.pooled.keep_correct, found.pooled.keep_incorrect])
        self.generator_shift_ = np.array([found.pooled.mean_scale, found.pooled.mean_orthogonal])
        self.leakage_gap_ = found.leakage_gap
        self.snr_, self.n_effective_features_ = found.snr, found.n_features
        self._outlook = found.outlook
        warn_first(fit_warnings(rows, claim, found))
        return self

    @dispatched
    def decision_function(self, X: DataLike) -> Any:
        """Compute the scores of the ridge fit to targets -1/+1.

        Parameters
        ----------
        X : array-like, sparse matrix or torch tensor of shape (n, n_features)
            The data.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (n, K)
            Positive for the second class where there are two; one score per class for more.
        """
        check_is_fitted(self)
        return linear_scores(self, check_new_data(self, X))

    @dispatched
    def predict(self, X: DataLike) -> Any:
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

    @dispatched
    def predict_proba(self, X: DataLike) -> Any:
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

    @dispatched
    def score(
        self,
        X: DataLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sample_source: ArrayLike | None = None,
    ) -> float:
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
            real = real_rows(sample_source, y.shape[:1])
            predicted, y = predicted[real], y[real]
            weights = None if weights is None else weights[real]
        return float(accuracy_score(y, predicted, sample_weight=weights))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.array_api_support = True
        return tags
