"""Matching of two embedding spaces from a few known pairs."""

from __future__ import annotations

import numbers
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted

from ..linalg import as_device, is_torch
from ..utils._checks import check_array_like_on_device
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from . import _matching as matching
from ._base_pairs import bilinear_model, deviations, dimensions, information
from ._cka import cka_test
from ._inputs import check_sides, count, generator, host, resolve_bandwidths, warn
from ._kernel_alignment import kernel_alignment
from ._matching import Matching, Plan
from ._scorers import METHODS, Options

_SURE = 0.95
_ROUNDS = 10


class Neighbors(NamedTuple):
    """The best candidates of each query.

    Attributes
    ----------
    indices : ndarray of int of shape (n, k)
        Rows of Y_query, the best first.
    scores : ndarray of shape (n, k)
        Their scores.
    """

    indices: np.ndarray
    scores: np.ndarray


class EncoderMatcher(DocLinkMixin, BaseEstimator):
    r"""Match two embedding spaces from a few known pairs, and know how well.

    Two encoders see the same items: images and captions, two languages, two feature sets. Some
    pairs are known, the others are to be found. It says whether the spaces are alike beyond chance,
    which goes with which, how sure each match is, and how many pairs must be labelled.

    Parameters
    ----------
    method : {"local_cka", "qap", "procrustes", "relative", "cca", "ridge", "auto"}
        "local_cka" by default. How candidates are scored: by the CKA of the known pairs together
        with them; by the CKA of all items together (quadratic assignment); by the cosine after a
        rotation; of the similarities to the known pairs; by the likelihood ratio of canonical
        variables; by the cosine after a regression. "auto" takes the one, "qap" aside, that is
        right most often on known pairs.
    kernel : {"rbf", "linear"}, default="rbf"
        Kernel of CKA.
    debiased : bool, default=True
        Whether CKA is the debiased one.
    stretch : bool, default=True
        Whether each feature is divided by its standard deviation among the known pairs.
    bandwidth : "median", float or tuple of float, default="median"
        Length of the RBF kernels, one for each side; the median distance of the known pairs.
    assignment : {"hungarian", "argmax"}, default="hungarian"
        Whether matches are one to one, with the largest sum of scores, or nearest neighbours.
    n_init : int, default=1
        Starts of "qap": the barycentre, the matching by local CKA, random ones.
    cv : int, default=10
        Folds of the known pairs, for everything that is told about accuracy.
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
        known pairs is the right one; cross-fitted, no assumption. NaN with fewer than 6 known
        pairs.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        Its 95 % interval.
    model_accuracy_ : float
        The same from the model in which the whitened features of both sides are correlated
        Gaussians, as many as the effective dimension.
    accuracy_table_ : dict of str to float
        `theoretical_accuracy_` of each method that was tried.
    cka_ : float
        CKA of the known pairs.
    z_score_ : float
        Its distance from the mean over random pairings, in standard deviations.
    p_value_ : float
        Probability of as large a CKA under random pairing (normal law).
    effective_dimensions_ : tuple of float
        Effective dimension of the features of each side.
    information_ : float
        Mutual information of the sides in nats, from canonical correlations of held-out pairs.
    recoverable_size_ : float
        Number of pairs that so much information can tell apart exactly.
    correlation_ : float
        Their correlation: the root of the debiased linear CKA.
    bandwidths_ : tuple of float
        Lengths of the RBF kernels; NaN for the linear kernel.
    method_ : str
        The method used.
    n_pairs_ : int
        Number of known pairs.

    Warns
    -----
    TheoryWarning
        If the spaces are not alike beyond chance, or there are too few known pairs to tell an
        accuracy.

    See Also
    --------
    cka_test : The test.
    local_cka_scores : The scores.
    quadratic_assignment : Matching without features.

    Notes
    -----
    What is told of accuracy is measured on known pairs that are held out: they are planted among
    the queries (`predict_accuracy`, and the confidence of `match`), or among one another
    (`theoretical_accuracy_`), scored without their folds. Unpaired queries are genuine wrong
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

    _parameter_constraints = {
        "method": [StrOptions({*METHODS, "qap", "auto"})],
        "kernel": [StrOptions({"linear", "rbf"})],
        "debiased": ["boolean"],
        "stretch": ["boolean"],
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
        stretch=True,
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
        self.stretch = stretch
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
    def fit(self, X_base, Y_base):
        """Learn from known pairs.

        Parameters
        ----------
        X_base : array-like or torch tensor of shape (m, p)
            One side of the known pairs.
        Y_base : array-like or torch tensor of shape (m, q)
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
        """
        base = check_sides(
            X_base, Y_base, names=("X_base", "Y_base"), device=self.device, min_samples=4
        )
        for name, side in zip(("X_base", "Y_base"), base, strict=True):
            if float(abs(side - side[:1]).max()) == 0:
                raise ValueError(
                    f"{name} is the same in all {len(side)} rows: nothing can be matched. Check "
                    "how the embeddings were computed."
                )
        scales = tuple(deviations(side) for side in base) if self.stretch else (1.0, 1.0)
        base = tuple(side / scale for side, scale in zip(base, scales, strict=True))
        bandwidths = resolve_bandwidths(self.bandwidth, *base, self.kernel)
        options = Options(self.kernel, self.debiased, bandwidths)
        attributes = self._measure(base, options)
        self._base, self._scales, self._options = base, scales, options
        vars(self).update(attributes)
        self._warn()
        return self

    def _measure(self, base, options):
        """Return the fitted attributes."""
        test = cka_test(
            *base,
            kernel=options.kernel,
            debiased=options.debiased,
            bandwidth=options.bandwidths,
        )
        m, rng = len(base[0]), generator(self.random_state)
        right = self._cross_fitted(base, options, rng)
        accuracies = {name: float(np.mean(values)) for name, values in right.items()}
        method = max(accuracies, key=accuracies.get) if self.method == "auto" else self.method
        chosen = right[method]
        widths = dimensions(base)
        model = bilinear_model(base, widths)
        told, size = information(base)
        return {
            "n_pairs_": m,
            "method_": method,
            "cka_": test.statistic,
            "z_score_": test.z_score,
            "p_value_": test.p_value,
            "effective_dimensions_": widths,
            "theoretical_accuracy_": accuracies[method],
            "theoretical_accuracy_interval_": (
                np.full(2, np.nan) if np.isnan(accuracies[method]) else matching.interval_of(chosen)
            ),
            "model_accuracy_": model.accuracy(m, m),
            "accuracy_table_": accuracies,
            "information_": told,
            "recoverable_size_": size,
            "correlation_": model.rho,
            "bandwidths_": options.bandwidths if self.kernel == "rbf" else (np.nan, np.nan),
            "_model": model,
        }

    def _cross_fitted(self, base, options, rng):
        """Return what became of the known pairs, for every method that is tried."""
        methods = METHODS if self.method == "auto" else (self.method,)
        m = len(base[0])
        if not matching.enough_pairs(m, self.cv, 2):
            return {name: np.array([np.nan]) for name in methods}
        return {
            name: matching.cross_fitted(
                Plan(name, "argmax", options, 1), base, self.cv, rng, self.n_jobs
            )
            for name in methods
        }

    def _warn(self):
        """Warn once of what cannot be told."""
        messages = []
        if np.isnan(self.theoretical_accuracy_):
            messages.append(
                f"{self.n_pairs_} known pairs with cv={self.cv} are too few to hold any out: "
                "theoretical_accuracy_ is nan."
            )
        if self.p_value_ > 0.05:
            messages.append(
                f"the two spaces are not alike beyond chance (CKA {self.cka_:.3f}, z-score "
                f"{self.z_score_:.1f}): matches will be guesses. Check the order of the pairs."
            )
        if messages:
            warn(" ".join(messages))

    def _queries(self, X_query, Y_query, *, one_to_one=False):
        """Return checked, stretched queries and candidates."""
        check_is_fitted(self)
        sides = (
            self._side(0, X_query, "X_query"),
            self._side(1, Y_query, "Y_query"),
        )
        n, candidates = (int(side.shape[0]) for side in sides)
        if one_to_one and n > candidates:
            raise ValueError(
                f"X_query has {n} rows and Y_query {candidates}: a one-to-one matching needs as "
                "many candidates as queries. Swap the sides, or use assignment='argmax'."
            )
        if one_to_one and self.method_ == "qap" and n != candidates:
            raise ValueError(
                f"method='qap' matches as many candidates as queries, got {candidates} for {n}. "
                "Use method='local_cka'."
            )
        return sides

    def _side(self, k, rows, name):
        """Return checked and stretched rows of one side."""
        known, scale = self._base[k], self._scales[k]
        checked = check_array_like_on_device(rows, name, n_features=int(known.shape[1]))
        if is_torch(known):
            checked = as_device(checked, str(known.device)).to(known.dtype)
        else:
            checked = host(checked).astype(known.dtype)
        return checked / scale

    def _plan(self):
        """Return how queries are matched."""
        return Plan(self.method_, self.assignment, self._options, self.n_init)

    def score_matrix(self, X_query, Y_query):
        """Score all candidate pairs.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates.

        Returns
        -------
        ndarray of shape (n, n')
            Scores; those of local CKA under "qap".
        """
        queries = self._queries(X_query, Y_query)
        return np.asarray(host(matching.scores(self._plan(), self._base, queries)))

    def kneighbors(self, X_query, Y_query, n_neighbors=5):
        """Find the best candidates of each query.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates.
        n_neighbors : int, default=5
            Number of candidates, at most n'.

        Returns
        -------
        Neighbors
            `indices` and `scores`, the best first; ties in random order.
        """
        score = self.score_matrix(X_query, Y_query)
        k = count("n_neighbors", n_neighbors)
        if k > score.shape[1]:
            raise ValueError(
                f"n_neighbors={k} exceeds the {score.shape[1]} candidates. Ask for fewer."
            )
        shuffle = generator(self.random_state).permutation(score.shape[1])
        order = np.argsort(-score[:, shuffle], axis=1, kind="stable")[:, :k]
        indices = shuffle[order]
        return Neighbors(indices, np.take_along_axis(score, indices, axis=1))

    def match(self, X_query, Y_query, *, precision=None):
        """Match queries with candidates.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates, as many or more unless `assignment` is "argmax".
        precision : float, default=None
            Share of right ones among the matches that are given, in (0, 1]: it abstains from as
            many as it takes.

        Returns
        -------
        Matching
            `indices`, `confidence`, `objective`, `n_iter`. Nothing in the estimator changes.

        Raises
        ------
        ValueError
            If a side is no finite matrix of the width seen in `fit`, or there are too few
            candidates.
        """
        if precision is not None and not 0 < precision <= 1:
            raise ValueError(f"precision must be in (0, 1], got {precision!r}.")
        found = self._matched(X_query, Y_query)
        if precision is None:
            return found
        kept = matching.abstaining(np.nan_to_num(found.confidence), precision)
        return found._replace(indices=np.where(kept, found.indices, -1))

    def _matched(self, X_query, Y_query, *, sure=True):
        """Match queries with candidates, by self-training where it is asked for."""
        check_is_fitted(self)
        one_to_one = self.assignment == "hungarian" or self.method_ == "qap"
        queries = self._queries(X_query, Y_query, one_to_one=one_to_one)
        if not self.self_training:
            return self._match(self._base, queries, sure=sure)
        return self._self_trained(queries, self._match(self._base, queries))

    def _match(self, base, queries, *, sure=True):
        """Match queries, given known pairs, and tell how sure it is."""
        plan, rng = self._plan(), generator(self.random_state)
        score = host(matching.scores(plan, base, queries))
        n_iter = 0
        if plan.method == "qap":
            indices, objective, n_iter = matching.quadratic_matches(
                plan, base, queries, rng, self.n_jobs
            )
        else:
            indices = matching.assign(score, plan.assignment, rng)
            objective = float(score[np.arange(len(score)), indices].mean())
        confidence = np.full(len(indices), np.nan)
        if sure and matching.enough_pairs(len(base[0]), self.cv, 1):
            how = "hungarian" if plan.method == "qap" else plan.assignment
            scorer = plan._replace(method=plan.scorer, assignment=how)
            known = matching.planted(scorer, base, queries, self.cv, rng, self.n_jobs)
            confidence = matching.calibrated(known, matching.margins(score, indices, how))
        return Matching(indices, confidence, objective, n_iter)

    def _self_trained(self, queries, found):
        """Match again with confident matches as known pairs, as long as the z-score rises."""
        base, best = self._base, self._z_score(self._base)
        for rounds in range(1, _ROUNDS + 1):
            sure = np.flatnonzero(found.confidence >= _SURE)
            first = [np.flatnonzero(found.indices[sure] == j)[0] for j in set(found.indices[sure])]
            sure = sure[np.sort(np.array(first, dtype=np.intp))]
            if not sure.size:
                break
            chosen = (sure, found.indices[sure])
            grown = tuple(
                matching._joined(known, query[rows])
                for known, query, rows in zip(self._base, queries, chosen, strict=True)
            )
            z_score = self._z_score(grown)
            if z_score <= best:
                break
            best, base = z_score, grown
            again = self._match(base, queries)
            found = again._replace(confidence=found.confidence, n_iter=rounds)
        return found

    def _z_score(self, base):
        """Return the z-score of known pairs."""
        options = self._options
        found = kernel_alignment(*base, kernel=options.kernel, bandwidths=options.bandwidths)
        return found.cka * np.sqrt(found.n * (found.n - 3) / 2)

    def predict(self, X_query, Y_query):
        """Return the row of Y_query that goes with each row of X_query.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates.

        Returns
        -------
        ndarray of int of shape (n,)
            The `indices` of `match`.
        """
        return self._matched(X_query, Y_query, sure=False).indices

    def score(self, X_query, Y_query, true_match=None):
        """Measure the share of right matches.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates.
        true_match : array-like of int of shape (n,), default=None
            Row of Y_query of each query; the same row if None.

        Returns
        -------
        float
            Accuracy of `match`.
        """
        found = self.predict(X_query, Y_query)
        truth = np.arange(len(found)) if true_match is None else np.asarray(true_match)
        if truth.shape != found.shape:
            raise ValueError(
                f"true_match has shape {truth.shape}, expected one row of Y_query for each of "
                f"{len(found)} queries."
            )
        return float(np.mean(found == truth))

    def predict_accuracy(self, X_query, Y_query):
        """Tell the accuracy of `match` without labels.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates.

        Returns
        -------
        PredictedAccuracy
            `accuracy` and `standard_error`: known pairs are held out, planted among the queries,
            and matched with them. NaN if there are too few.
        """
        check_is_fitted(self)
        one_to_one = self.assignment == "hungarian" or self.method_ == "qap"
        queries = self._queries(X_query, Y_query, one_to_one=one_to_one)
        if not matching.enough_pairs(self.n_pairs_, self.cv, 1):
            return matching.PredictedAccuracy(np.nan, np.nan)
        plan = self._plan()
        if plan.method == "qap":
            plan = plan._replace(assignment="hungarian")
        rng = generator(self.random_state)
        known = matching.planted(plan, self._base, queries, self.cv, rng, self.n_jobs)
        return matching.accuracy_of(known.right)

    def classify(self, X_query, Y_prototypes, labels):
        """Name the class of each query by prototypes on the other side.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_prototypes : array-like or torch tensor of shape (k, q)
            Prototypes, captions of the classes for instance.
        labels : array-like of shape (k,)
            Class of each prototype; several may share one.

        Returns
        -------
        ndarray of shape (n,)
            The class with the best mean score.
        """
        score = self.score_matrix(X_query, Y_prototypes)
        labels = np.asarray(labels)
        if labels.shape != (score.shape[1],):
            raise ValueError(
                f"labels has shape {labels.shape}, expected one for each of {score.shape[1]} "
                "prototypes."
            )
        classes, where = np.unique(labels, return_inverse=True)
        members = np.eye(len(classes))[where]
        means = (score @ members) / members.sum(axis=0)
        shuffle = generator(self.random_state).permutation(len(classes))
        return classes[shuffle[means[:, shuffle].argmax(axis=1)]]

    def suggest_seeds(self, X_pool, n):
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
        """
        check_is_fitted(self)
        pool = host(self._side(0, X_pool, "X_pool"))
        number = count("n", n)
        if number > len(pool):
            raise ValueError(f"n={number} exceeds the {len(pool)} rows of X_pool. Ask for fewer.")
        seed = int(generator(self.random_state).integers(2**31))
        groups = min(number, len(np.unique(pool, axis=0)))
        centres = KMeans(groups, n_init=1, random_state=seed).fit(pool).cluster_centers_
        gaps = (centres**2).sum(1)[:, None] - 2 * centres @ pool.T + (pool**2).sum(1)
        chosen = list(dict.fromkeys(int(row) for row in gaps.argmin(axis=1)))
        rest = [row for row in np.argsort(gaps.min(axis=0), kind="stable") if row not in chosen]
        return np.array(chosen + rest[: number - len(chosen)], dtype=np.intp)

    def required_seeds(self, accuracy, n_queries=None):
        """Tell how many known pairs a wanted accuracy takes.

        Parameters
        ----------
        accuracy : float
            Wanted share of right nearest neighbours, below 1.
        n_queries : int, default=None
            Number of candidates; that of the known pairs if None.

        Returns
        -------
        float
            Number of pairs, by the model of correlated features, its correlation such that it
            tells `theoretical_accuracy_`; inf if no number is enough.

        Raises
        ------
        ValueError
            If the accuracy is not between 0 and 1.
        """
        check_is_fitted(self)
        if not 0 < accuracy < 1:
            raise ValueError(f"accuracy must be between 0 and 1, got {accuracy!r}.")
        queries = self.n_pairs_ if n_queries is None else count("n_queries", n_queries)
        model = self._model.anchored(self.theoretical_accuracy_, self.n_pairs_)
        return model.required_pairs(accuracy, queries)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.required = True
        return tags
