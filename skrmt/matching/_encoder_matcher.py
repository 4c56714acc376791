"""Matching of two embedding spaces from a few known pairs."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..utils._docs import DocLinkMixin
from ..utils._feature_names import feature_names
from ..utils._fit import restore_on_failure
from ..utils._random import random_generator
from ..utils._regimes import regime
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from ..utils._types import DataLike
from ..utils._warnings import warn_first
from ._cka import cka_test
from ._forecasts import ForecastMixin
from ._held_out import (
    FEWEST,
    cross_fitted_matches,
    extrapolated,
    jeffreys_interval,
    missing_doublings,
    split,
)
from ._index import IndexMixin
from ._inputs import check_sides, count, refuse_constant, resolve_bandwidths
from ._kernel_cca import fit_ensemble
from ._kernels import numpy_float64
from ._known_pairs import SimilarityMixin, covering_rows, deviations
from ._learning_curve import LearningCurve
from ._queries import QueryMixin
from ._scorers import METHODS

# Level of the test below which the spaces count as similar.
_LEVEL = 0.05

_REASONS = {
    "too_few_rows": (
        "There are fewer than ten known pairs, or too few to hold any out: theoretical_accuracy_ "
        "is nan. Give more pairs (n_pairs_), or more folds (cv)."
    ),
    "undetected": (
        "The two spaces are not more similar than chance (see cka_, z_score_ and p_value_): "
        "matches are guesses. Check the order of the pairs."
    ),
}


class EncoderMatcher(
    DocLinkMixin, ForecastMixin, QueryMixin, IndexMixin, SimilarityMixin, BaseEstimator
):
    r"""Match two embedding spaces from a few known pairs, and predict the accuracy.

    Two encoders see the same items: images and captions, two languages, two feature sets. Some
    pairs are known, the others are to be found. The matcher tests whether the spaces are similar
    beyond chance, finds which row goes with which, estimates how sure each match is, and predicts
    how many pairs must be labelled.

    Parameters
    ----------
    method : {"kernel_cca", "local_cka", "qap", "procrustes", "relative", "cca", "ridge", "auto"}
        "kernel_cca" by default. How candidates are scored: by the cosine after regularised kernel
        CCA, whose kernel, scaling and penalty are chosen on held-out known pairs; by the CKA of
        the known pairs together with them; by the CKA of all items together (quadratic
        assignment); by the cosine after a rotation; of the similarities to the known pairs; by the
        likelihood ratio of canonical variables; by the cosine after a regression. "auto" takes the
        one, "qap" aside, that is right most often on held-out known pairs.
    kernel : {"auto", "linear", "rbf"}, default="auto"
        Kernel of "kernel_cca" and CKA; "auto" is chosen by the former, "rbf" for the latter.
    alpha : "auto" or float, default="auto"
        Penalty of "kernel_cca", in units of the mean eigenvalue of the kernel of the known pairs.
    unit_rows : "auto" or bool, default="auto"
        Whether "kernel_cca" divides centred rows by their lengths.
    debiased : bool, default=True
        Whether CKA is the debiased one.
    standardize : "auto" or bool, default="auto"
        Whether each feature is divided by its standard deviation among the known pairs; "auto" is
        chosen by "kernel_cca", True for the other methods.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side; the median distance of the known pairs.
    assignment : {"hungarian", "sparse", "argmax"}, default="hungarian"
        Whether matches are one to one, with the largest sum of scores of all candidates or of the
        32 best of each row and column (for more than 12 000 queries), or nearest neighbours.
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
        Torch device on which kernels, CKA and "qap" are computed; results come back as NumPy. The
        other methods are computed by NumPy, linear assignment by SciPy.
    random_state : int, RandomState instance or None, default=None
        Seed of folds, starts and ties.

    Attributes
    ----------
    theoretical_accuracy_ : float
        Estimated share of queries whose nearest neighbour among as many candidates as there are
        known pairs is the right one; cross-fitted, no assumption. nan with fewer than ten known
        pairs.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval (Jeffreys).
    observed_accuracy_ : float
        Share of held-out known pairs whose nearest neighbour among all known pairs is the right
        one. Known pairs hide nothing: it equals `theoretical_accuracy_`.
    observed_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "too_few_rows" below ten known pairs, or if none can be held out, "undetected" if
        `p_value_` is above 0.05; no claim rests on a model, so that nothing is ambiguous or a
        misfit; see :term:`regime`.
    model_accuracy_ : float
        `theoretical_accuracy_` in the model in which the whitened features of both sides are
        correlated Gaussians, as many as the effective dimension.
    configurations_ : list of KernelConfiguration
        What "kernel_cca" has chosen; scores of several are added. Empty for other methods.
    method_scores_ : dict of str to float
        `theoretical_accuracy_` of each method that was tried.
    cka_ : float
        CKA of the known pairs.
    z_score_ : float
        Its distance from the mean over random pairings, in standard deviations.
    p_value_ : float
        Probability of as large a CKA under random pairing (see `cka_test`).
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
        Number of known pairs that are used.
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
    Accuracies are measured on known pairs that are left out: planted among the queries
    (`predict_accuracy`, and the confidence of `match`), or among one another
    (`theoretical_accuracy_`). Unpaired queries are genuine wrong candidates. What a fold takes from
    the known pairs is given back at the usual rate: the normal quantile of the accuracy grows by
    0.3 when they are doubled.

    `assignment="sparse"` holds the factors of scores in single precision, and blocks of scores:
    20 000 queries and candidates and 400 known pairs take 1 GB. Rows that no assignment among the
    best candidates serves are assigned among the candidates that are left. Confidence, and accuracy
    predicted, take an assignment for every fold.

    "kernel_cca" leaves pairs out in closed form. A query is represented by its smoothing weights on
    the known pairs, those of kernel ridge regression with an intercept, and so is a candidate; the
    score is the cosine of both, whose numerator

    .. math:: x^\top (S_x + \alpha I)^{-1} S_{xy} (S_y + \alpha I)^{-1} y

    is that of regularised CCA with components weighted by their correlations. Large penalties give
    relative representations and local CKA. Eight ways to compare rows and five penalties are ranked
    by the likelihood of left-out pairs, and the scores of the best three are added; an accuracy is
    counted on pairs that had no part in the choice. Of more than 400 known pairs, 400 choose; of
    more than 2000, 2000 are used. Other methods cost a score matrix of the known pairs for each
    pair of folds.

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
        "kernel": [StrOptions({"auto", "linear", "rbf"})],
        "alpha": [StrOptions({"auto"}), Interval(numbers.Real, 0, None, closed="neither")],
        "unit_rows": [StrOptions({"auto"}), "boolean"],
        "debiased": ["boolean"],
        "standardize": [StrOptions({"auto"}), "boolean"],
        "bandwidth": [
            StrOptions({"median"}),
            Interval(numbers.Real, 0, None, closed="neither"),
            tuple,
            list,
        ],
        "assignment": [StrOptions({"hungarian", "sparse", "argmax"})],
        "n_init": [Interval(numbers.Integral, 1, None, closed="left")],
        "cv": [Interval(numbers.Integral, 2, None, closed="left")],
        "self_training": ["boolean"],
        "n_jobs": [numbers.Integral, None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        method: Literal[
            "kernel_cca", "local_cka", "qap", "procrustes", "relative", "cca", "ridge", "auto"
        ] = "kernel_cca",
        *,
        kernel: Literal["auto", "linear", "rbf"] = "auto",
        alpha: Literal["auto"] | float = "auto",
        unit_rows: Literal["auto"] | bool = "auto",
        debiased: bool = True,
        standardize: Literal["auto"] | bool = "auto",
        bandwidth: Literal["median"] | float | Sequence[float] = "median",
        assignment: Literal["hungarian", "sparse", "argmax"] = "hungarian",
        n_init: int = 1,
        cv: int = 10,
        self_training: bool = False,
        n_jobs: int | None = None,
        device: str | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.method = method
        self.kernel = kernel
        self.alpha = alpha
        self.unit_rows = unit_rows
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
    def fit(self, X: DataLike, Y: DataLike) -> Self:
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
        if self.method in ("kernel_cca", "auto"):
            known = tuple(map(numpy_float64, known))
        self._known = known
        self._scales = (1.0, 1.0) if self.standardize is False else tuple(map(deviations, known))
        scaled = tuple(side / scale for side, scale in zip(known, self._scales, strict=True))
        self._kernel = "rbf" if self.kernel == "auto" else self.kernel
        self._bandwidths = resolve_bandwidths(self.bandwidth, scaled[0], scaled[1], self._kernel)
        self.bandwidths_ = self._bandwidths if self._kernel == "rbf" else (np.nan, np.nan)
        self.n_pairs_ = len(known[0])
        self.feature_names_in_ = feature_names(X), feature_names(Y)

        test = cka_test(
            *scaled, kernel=self._kernel, debiased=self.debiased, bandwidth=self._bandwidths
        )
        self.cka_, self.z_score_, self.p_value_ = test.statistic, test.z_score, test.p_value
        rng = random_generator(self.random_state)
        self._ensemble, self._transfers, self._similarities = None, {}, {}
        if self.method in ("kernel_cca", "auto"):
            self._ensemble = self._fitted_ensemble(known, split(self.n_pairs_, self.cv, rng))
            self._known = known = self._ensemble.known
            self.n_pairs_ = len(known[0])
        self.configurations_ = self._ensemble.configurations if self._ensemble else []
        found = {
            name: cross_fitted_matches(self._rule(name, "argmax"), known, self.cv, rng, self.n_jobs)
            for name in (METHODS if self.method == "auto" else (self.method,))
        }
        if self._ensemble is not None:
            self._ensemble = self._ensemble.released()
        right = {name: both[0] for name, both in found.items()}
        # "kernel_cca" leaves out two pairs at a time, other methods two folds.
        missing = missing_doublings(self.n_pairs_, self.cv, 2)
        missing = {name: 0.0 if name == "kernel_cca" else missing for name in right}
        self.method_scores_ = {
            name: float(extrapolated(np.mean(right[name]), missing[name])) for name in right
        }
        best = max(self.method_scores_, key=self.method_scores_.__getitem__)
        self.method_ = best if self.method == "auto" else self.method
        self._measured_curve: LearningCurve | None = None
        self._ahead = found[self.method_][1]
        few = self.n_pairs_ < FEWEST
        interval = jeffreys_interval(right[self.method_], missing[self.method_])
        self.observed_accuracy_ = np.nan if few else self.method_scores_[self.method_]
        self.observed_accuracy_interval_ = np.full(2, np.nan) if few else interval
        self.theoretical_accuracy_ = self.observed_accuracy_
        self.theoretical_accuracy_interval_ = self.observed_accuracy_interval_.copy()

        self.regime_ = regime(
            too_few_rows=bool(np.isnan(self.observed_accuracy_)),
            undetected=self.p_value_ > _LEVEL,
        )
        warn_first([_REASONS[self.regime_]] if self.regime_ in _REASONS else [])
        return self

    def _fitted_ensemble(self, known, folds):
        """Return the choice of "kernel_cca" for known pairs."""
        options = (
            ("linear", "rbf") if self.kernel == "auto" else (self.kernel,),
            (False, True) if self.standardize == "auto" else (bool(self.standardize),),
            (False, True) if self.unit_rows == "auto" else (bool(self.unit_rows),),
            self.alpha,
        )
        given = self.bandwidth
        widths = tuple(given) if isinstance(given, (tuple, list)) else (given, given)
        return fit_ensemble(known, options, widths, folds)

    def suggest_pairs(self, X_pool: DataLike, n: int) -> NDArray[Any]:
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
        pool = numpy_float64(self._side(0, X_pool, "X_pool")) / numpy_float64(self._scales[0])
        number = count("n", n)
        if number > len(pool):
            raise ValueError(f"n={number} exceeds the {len(pool)} rows of X_pool. Ask for fewer.")
        seed = int(random_generator(self.random_state).integers(2**31))
        return covering_rows(pool, number, seed)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags
