"""Matching of two embedding spaces from a few known pairs."""

from __future__ import annotations

import numbers

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..utils._docs import DocLinkMixin
from ..utils._feature_names import feature_names
from ..utils._fit import restore_on_failure
from ..utils._forecast import unbanded
from ..utils._random import random_generator
from ..utils._regimes import regime
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from ..utils._warnings import warn, warn_first
from ._cka import cka_test
from ._held_out import cross_fitted_matches, jeffreys_interval
from ._inputs import check_sides, count, refuse_constant, resolve_bandwidths
from ._kernels import numpy_float64
from ._known_pairs import (
    anchored_correlation,
    correlation,
    covering_rows,
    deviations,
    dimension,
    information,
    model_accuracy,
    model_dimension,
    required_pairs,
)
from ._queries import QueryMixin
from ._scorers import METHODS

# Level of the test below which the spaces count as similar.
_LEVEL = 0.05


_REASONS = {
    "too_few_rows": (
        "too few known pairs to hold any out: theoretical_accuracy_ is nan. Give more pairs "
        "(n_pairs_), or more folds (cv)."
    ),
    "undetected": (
        "the two spaces are not similar beyond chance (see cka_, z_score_ and p_value_): matches "
        "will be guesses. Check the order of the pairs."
    ),
}


class EncoderMatcher(DocLinkMixin, QueryMixin, BaseEstimator):
    r"""Match two embedding spaces from a few known pairs, and know how well.

    Two encoders see the same items: images and captions, two languages, two feature sets. Some
    pairs are known, the others are to be found. The matcher tests whether the spaces are similar
    beyond chance, finds which row goes with which, estimates how sure each match is, and predicts
    how many pairs must be labelled.

    Parameters
    ----------
    method : {"local_cka", "qap", "procrustes", "relative", "cca", "ridge", "auto"}
        "local_cka" by default. How candidates are scored: by the CKA of the known pairs together
        with them; by the CKA of all items together (quadratic assignment); by the cosine after a
        rotation; of the similarities to the known pairs; by the likelihood ratio of canonical
        variables; by the cosine after a regression. "auto" takes the one, "qap" aside, that is
        right most often on held-out known pairs.
    kernel : {"rbf", "linear"}, default="rbf"
        Kernel of CKA.
    debiased : bool, default=True
        Whether CKA is the debiased one.
    standardize : bool, default=True
        Whether each feature is divided by its standard deviation among the known pairs.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side; the median distance of the known pairs.
    assignment : {"hungarian", "argmax"}, default="hungarian"
        Whether matches are one to one, with the largest sum of scores, or nearest neighbours.
    n_init : int, default=1
        Starts of "qap": the barycentre, the matching by local CKA, random ones.
    cv : int, default=10
        Folds of the known pairs, for everything that is predicted about accuracy.
    self_training : bool, default=False
        Whether `match` takes matches of at least 95 % confidence for known pairs and starts again,
        as long as that raises the z-score.
    n_jobs : int, default=None
        Number of folds, or of starts of "qap", that are worked on at a time.
    device : str, default=None
        Torch device to compute on; results come back as NumPy.
    random_state : int, RandomState instance or None, default=None
        Seed of folds, starts and ties.

    Attributes
    ----------
    theoretical_accuracy_ : float
        Estimated share of queries whose nearest neighbour among as many candidates as there are
        known pairs is the right one; cross-fitted, no assumption. nan with fewer than 6 known
        pairs.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval (Jeffreys).
    observed_accuracy_ : float
        Share of held-out known pairs whose nearest neighbour among all known pairs is the right
        one. Known pairs hide nothing: it equals `theoretical_accuracy_`.
    observed_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "too_few_rows" if no known pairs can be held out, "undetected" if `p_value_` is above 0.05;
        no claim rests on a model, so that nothing is ambiguous or a misfit; see :term:`regime`.
    model_accuracy_ : float
        `theoretical_accuracy_` in the model in which the whitened features of both sides are
        correlated Gaussians, as many as the effective dimension.
    method_scores_ : dict of str to float
        `theoretical_accuracy_` of each method that was tried.
    cka_ : float
        CKA of the known pairs.
    z_score_ : float
        Its distance from the mean over random pairings, in standard deviations.
    p_value_ : float
        Probability of as large a CKA under random pairing, by the normal law; too small where few
        directions dominate (see `cka_test`).
    effective_dimensions_ : tuple of float
        Effective dimension of the features of each side.
    information_ : float
        Mutual information of the sides in nats, from canonical correlations of held-out pairs.
    recoverable_size_ : float
        Number of pairs that so much information can distinguish without error.
    correlation_ : float
        Correlation of the sides in the model: the root of the debiased linear CKA.
    bandwidths_ : tuple of float
        Lengths of the RBF kernels; nan for the linear kernel.
    method_ : str
        The method used.
    n_pairs_ : int
        Number of known pairs.
    feature_names_in_ : tuple of ndarray or None
        Feature names of each side, None for a side without; as scikit-learn checks them, queries
        must have the same in the same order.

    Warns
    -----
    TheoryWarning
        If there are too few known pairs to predict an accuracy, or the spaces are not similar
        beyond chance.

    See Also
    --------
    cka_test : The test.
    local_cka_scores : The scores.
    quadratic_assignment : Matching without features.

    Notes
    -----
    Accuracies are measured on known pairs that are held out: they are planted among the queries
    (`predict_accuracy`, and the confidence of `match`), or among one another
    (`theoretical_accuracy_`), and scored without their folds. Unpaired queries are genuine wrong
    candidates, so that nothing is extrapolated. A fit costs a score matrix of the known pairs for
    each pair of folds.

    References
    ----------
    Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.

    Examples
    --------
    >>> from skrmt.datasets import make_paired_encoders
    >>> from skrmt.matching import EncoderMatcher
    >>> data = make_paired_encoders(260, 30, 40, n_latent=12, noise_std=0.4, random_state=0)
    >>> matcher = EncoderMatcher(random_state=0).fit(data.X[:160], data.Y[:160])
    >>> matcher.z_score_ > 10
    True
    >>> found = matcher.match(data.X[160:], data.Y[160:])
    >>> float((found.indices == range(100)).mean())
    1.0
    >>> round(matcher.predict_accuracy(data.X[160:], data.Y[160:]).accuracy, 2)
    1.0
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({*METHODS, "qap", "auto"})],
        "kernel": [StrOptions({"linear", "rbf"})],
        "debiased": ["boolean"],
        "standardize": ["boolean"],
        "bandwidth": [
            StrOptions({"median"}),
            Interval(numbers.Real, 0, None, closed="neither"),
            tuple,
            list,
        ],
        "assignment": [StrOptions({"hungarian", "argmax"})],
        "n_init": [Interval(numbers.Integral, 1, None, closed="left")],
        "cv": [Interval(numbers.Integral, 2, None, closed="left")],
        "self_training": ["boolean"],
        "n_jobs": [numbers.Integral, None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method="local_cka",
        *,
        kernel="rbf",
        debiased=True,
        standardize=True,
        bandwidth="median",
        assignment="hungarian",
        n_init=1,
        cv=10,
        self_training=False,
        n_jobs=None,
        device=None,
        random_state=None,
    ):
        self.method = method
        self.kernel = kernel
        self.debiased = debiased
        self.standardize = standardize
        self.bandwidth = bandwidth
        self.assignment = assignment
        self.n_init = n_init
        self.cv = cv
        self.self_training = self_training
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, Y):
        """Learn from known pairs.

        Parameters
        ----------
        X : array-like or torch tensor of shape (m, p)
            One side of the known pairs.
        Y : array-like or torch tensor of shape (m, q)
            The other side, in the same order.

        Returns
        -------
        EncoderMatcher
            The fitted matcher.

        Raises
        ------
        ValueError
            If a side is no finite matrix or constant, the lengths differ, or there are fewer than
            4 pairs.
        TypeError
            If a side is a masked array.
        """
        known = check_sides(X, Y, device=self.device, min_samples=4)
        refuse_constant(known)
        self._scales = tuple(map(deviations, known)) if self.standardize else (1.0, 1.0)
        self._known = known = tuple(
            side / scale for side, scale in zip(known, self._scales, strict=True)
        )
        self._bandwidths = resolve_bandwidths(self.bandwidth, known[0], known[1], self.kernel)
        self.bandwidths_ = self._bandwidths if self.kernel == "rbf" else (np.nan, np.nan)
        self.n_pairs_ = len(known[0])
        self.feature_names_in_ = feature_names(X), feature_names(Y)

        test = cka_test(
            *known, kernel=self.kernel, debiased=self.debiased, bandwidth=self._bandwidths
        )
        self.cka_, self.z_score_, self.p_value_ = test.statistic, test.z_score, test.p_value
        right = self._held_out_matches()
        self.method_scores_ = {name: float(np.mean(found)) for name, found in right.items()}
        best = max(self.method_scores_, key=self.method_scores_.__getitem__)
        self.method_ = best if self.method == "auto" else self.method
        self.observed_accuracy_ = self.method_scores_[self.method_]
        self.observed_accuracy_interval_ = jeffreys_interval(right[self.method_])
        self.theoretical_accuracy_ = self.observed_accuracy_
        self.theoretical_accuracy_interval_ = self.observed_accuracy_interval_.copy()

        self.effective_dimensions_ = tuple(map(dimension, known))
        self.correlation_ = correlation(known)
        size = model_dimension(self.effective_dimensions_)
        self.model_accuracy_ = float(
            model_accuracy(self.correlation_, size, self.n_pairs_, self.n_pairs_)
        )
        self.information_, self.recoverable_size_ = information(known)
        self.regime_ = regime(
            too_few_rows=bool(np.isnan(self.observed_accuracy_)),
            undetected=self.p_value_ > _LEVEL,
        )
        warn_first([_REASONS[self.regime_]] if self.regime_ in _REASONS else [])
        return self

    def _held_out_matches(self):
        """Return which held-out known pairs are right, by every method that is tried."""
        rng = random_generator(self.random_state)
        return {
            method: cross_fitted_matches(
                self._rule(method, "argmax"), self._known, self.cv, rng, self.n_jobs
            )
            for method in (METHODS if self.method == "auto" else (self.method,))
        }

    def suggest_pairs(self, X_pool, n):
        """Choose which rows to label next, so that they cover the space.

        Parameters
        ----------
        X_pool : array-like or torch tensor of shape (N, p)
            Rows of the first side without a known partner.
        n : int
            How many, at most N.

        Returns
        -------
        ndarray of int of shape (n,)
            Different rows, each the nearest to the centre of one of n clusters of k-means.

        Raises
        ------
        ValueError
            If n exceeds the rows of the pool.
        """
        check_is_fitted(self)
        pool = numpy_float64(self._side(0, X_pool, "X_pool"))
        number = count("n", n)
        if number > len(pool):
            raise ValueError(f"n={number} exceeds the {len(pool)} rows of X_pool. Ask for fewer.")
        seed = int(random_generator(self.random_state).integers(2**31))
        return covering_rows(pool, number, seed)

    def forecast(self, *, n_pairs=None, n_queries=None):
        """Predict the accuracy of nearest neighbours for other numbers of pairs or candidates.

        Parameters
        ----------
        n_pairs : int or array-like of int, default=None
            Numbers of known pairs, at least 2; `n_pairs_` if None.
        n_queries : int or array-like of int, default=None
            Numbers of candidates; `n_pairs_` if None.

        Returns
        -------
        Forecast
            `score` by the model of correlated features, with the correlation at which it gives
            `theoretical_accuracy_`; nan where that is. No band is known: features that are not
            Gaussian, clusters for instance, follow another curve.

        Raises
        ------
        ValueError
            If a number is below its least value or not whole, or shapes do not broadcast.
        """
        rho, size = self._anchored_model()
        pairs = self.n_pairs_ if n_pairs is None else n_pairs
        queries = self.n_pairs_ if n_queries is None else n_queries
        score = model_accuracy(rho, size, np.asarray(pairs), np.asarray(queries))
        return unbanded(score, n_pairs=np.asarray(pairs), n_queries=np.asarray(queries))

    def required(self, score, *, of="n_pairs", n_queries=None):
        """Compute how many known pairs a wanted accuracy takes.

        Parameters
        ----------
        score : float
            Wanted share of right nearest neighbours, between 0 and 1.
        of : {"n_pairs"}, default="n_pairs"
            What is counted.
        n_queries : int, default=None
            Number of candidates; `n_pairs_` if None.

        Returns
        -------
        float
            The smallest number of known pairs whose `forecast` reaches the score; inf if no number
            is enough, nan with a TheoryWarning if `theoretical_accuracy_` is nan.

        Raises
        ------
        ValueError
            If the score is not between 0 and 1, or something else is to be counted.
        """
        rho, size = self._anchored_model()
        if of != "n_pairs":
            raise ValueError(f"of must be 'n_pairs', got {of!r}.")
        if not 0 < score < 1:
            raise ValueError(f"score must be between 0 and 1, got {score!r}.")
        queries = self.n_pairs_ if n_queries is None else count("n_queries", n_queries)
        if np.isnan(rho) or np.isnan(size):
            warn("theoretical_accuracy_ or effective_dimensions_ is nan: no number can be given.")
            return float("nan")
        return required_pairs(score, rho, size, queries)

    def _anchored_model(self):
        """Return correlation and dimension of the model at which it gives the observed accuracy."""
        check_is_fitted(self)
        size = model_dimension(self.effective_dimensions_)
        if np.isnan(self.observed_accuracy_) or np.isnan(size):
            return np.nan, np.nan
        return anchored_correlation(self.observed_accuracy_, size, self.n_pairs_), size

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags
