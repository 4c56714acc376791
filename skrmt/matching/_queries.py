"""What a fitted matcher does with queries: score, match, self-train, classify."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..linalg import as_device, is_torch
from ..utils._checks import check_array_like_on_device
from ..utils._feature_names import check_feature_names
from ..utils._random import random_generator
from ..utils._types import DataLike
from ._held_out import (
    FEWEST,
    PredictedAccuracy,
    calibrated,
    enough_pairs,
    planted_accuracy,
    planted_matches,
    planted_pairs,
)
from ._inputs import count
from ._kernel_alignment import kernel_alignment
from ._kernels import numpy_float64
from ._matching import (
    Matching,
    abstaining,
    append_rows,
    assign,
    best_candidates,
    margins,
    quadratic_matches,
)
from ._scorers import MatchingRule, pair_factors, scaled, score_pairs
from ._sparse_matching import sparse_matches

if TYPE_CHECKING:
    from ._matching import Neighbors

_MOST_SCORES = 150_000_000
"""Scores that a one-to-one matching may have at once: with their copies they take 4 GiB."""
# Confidence from which self-training takes a match for a known pair: one in 20 may be wrong.
_CONFIDENT = 0.95
_MAX_ROUNDS = 10


def match_queries(rule, known, queries, *, cv, random_state, n_jobs, with_confidence=True):
    """Match queries with candidates, given known pairs."""
    rng = random_generator(random_state)
    if rule.method == "kernel_cca" and known is not rule.ensemble.known:
        rule = rule._replace(ensemble=rule.ensemble.refit(known))
    planted = planted_pairs(rule, known, queries)
    if rule.assignment == "sparse":
        found = sparse_matches(rule, known, queries, rng)
        confidence = np.full(len(found.indices), np.nan)
        if with_confidence and enough_pairs(len(known[0]), cv, 1):
            options = cv, rng, n_jobs, planted, found.scores
            right, ahead = planted_matches(rule, known, queries, *options)
            confidence = calibrated(right, ahead, found.margins)
        return Matching(found.indices, confidence, float(found.own.mean()), 0)
    score = planted.scores()
    if rule.method == "qap":
        found = quadratic_matches(rule, known, queries, rng, n_jobs)
        indices, objective, n_iter = found.indices, found.objective, found.n_iter
    else:
        indices, n_iter = assign(score, rule.assignment, rng), 0
        objective = float(score[np.arange(len(score)), indices].mean())
    confidence = np.full(len(indices), np.nan)
    if with_confidence and enough_pairs(len(known[0]), cv, 1):
        # Quadratic assignments of every fold would take too long: scores of pairs stand for them.
        if rule.method == "qap":
            rule = rule._replace(method="local_cka")
            planted = planted_pairs(rule, known, queries)
        right, ahead = planted_matches(rule, known, queries, cv, rng, n_jobs, planted)
        confidence = calibrated(right, ahead, margins(score, indices, rule.assignment))
    return Matching(indices, confidence, objective, n_iter)


def self_trained_match(rule, known, queries, **options):
    """Match again with confident matches as known pairs, as long as the z-score rises."""
    found = match_queries(rule, known, queries, **options)
    best = _z_score(rule, known)
    for rounds in range(1, _MAX_ROUNDS + 1):
        rows = np.flatnonzero(found.confidence >= _CONFIDENT)
        # A candidate that several queries share counts for the first of them.
        rows = rows[np.sort(np.unique(found.indices[rows], return_index=True)[1])]
        if not rows.size:
            break
        chosen = (rows, found.indices[rows])
        grown = tuple(
            append_rows(side, query[taken])
            for side, query, taken in zip(known, queries, chosen, strict=True)
        )
        z_score = _z_score(rule, grown)
        if z_score <= best:
            break
        best = z_score
        again = match_queries(rule, grown, queries, with_confidence=False, **options)
        found = again._replace(confidence=found.confidence, n_iter=rounds)
    return found


def _z_score(rule, known):
    """Return the z-score of the debiased CKA of known pairs."""
    known = scaled(rule, known)
    found = kernel_alignment(*known, kernel=rule.kernel, bandwidths=rule.bandwidths)
    return found.cka * np.sqrt(found.n * (found.n - 3) / 2)


class QueryMixin:
    """Methods of EncoderMatcher that take queries and candidates."""

    # Parameters and attributes of EncoderMatcher that they read.
    assignment: str
    debiased: bool
    n_init: int
    cv: int
    self_training: bool
    n_jobs: int | None
    random_state: Any
    method_: str
    n_pairs_: int
    feature_names_in_: tuple
    _known: tuple
    _scales: tuple
    _kernel: str
    _bandwidths: tuple
    _ensemble: Any

    def score_matrix(self, X_query: DataLike, Y_query: DataLike) -> NDArray[Any]:
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
        check_is_fitted(self)
        queries = self._side(0, X_query, "X_query"), self._side(1, Y_query, "Y_query")
        rule = self._rule(self.method_, self.assignment)
        return numpy_float64(score_pairs(rule, self._known, queries))

    def kneighbors(self, X_query: DataLike, Y_query: DataLike, n_neighbors: int = 5) -> Neighbors:
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
        check_is_fitted(self)
        queries = self._side(0, X_query, "X_query"), self._side(1, Y_query, "Y_query")
        candidates = int(queries[1].shape[0])
        k = count("n_neighbors", n_neighbors)
        if k > candidates:
            raise ValueError(f"n_neighbors={k} exceeds the {candidates} candidates. Ask for fewer.")
        rule = self._rule(self.method_, self.assignment)
        left, right = pair_factors(rule, self._known, queries)
        shuffle = random_generator(self.random_state).permutation(candidates)
        return best_candidates(left, right, k, shuffle)

    def match(
        self, X_query: DataLike, Y_query: DataLike, *, precision: float | None = None
    ) -> Matching:
        """Match queries with candidates.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_query : array-like or torch tensor of shape (n', q)
            Candidates, as many or more unless `assignment` is "argmax".
        precision : float, default=None
            Wanted share of right matches among those that are given, in (0, 1]: the least
            confident ones are withheld.

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
        kept = abstaining(np.nan_to_num(found.confidence), precision)
        return found._replace(indices=np.where(kept, found.indices, -1))

    def _matched(self, X_query, Y_query, *, with_confidence=True):
        """Match queries with candidates, by self-training if it is on."""
        rule, queries = self._rule_and_queries(X_query, Y_query)
        options = {"cv": self.cv, "random_state": self.random_state, "n_jobs": self.n_jobs}
        if self.self_training:
            return self_trained_match(rule, self._known, queries, **options)
        return match_queries(rule, self._known, queries, with_confidence=with_confidence, **options)

    def predict(self, X_query: DataLike, Y_query: DataLike) -> NDArray[Any]:
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
        return self._matched(X_query, Y_query, with_confidence=False).indices

    def score(
        self, X_query: DataLike, Y_query: DataLike, true_match: ArrayLike | None = None
    ) -> float:
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

    def predict_accuracy(self, X_query: DataLike, Y_query: DataLike) -> PredictedAccuracy:
        """Predict the accuracy of `match` without labels.

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
            and matched with them. nan if there are too few.
        """
        rule, queries = self._rule_and_queries(X_query, Y_query)
        if self.n_pairs_ < FEWEST or not enough_pairs(self.n_pairs_, self.cv, 1):
            return PredictedAccuracy(np.nan, np.nan)
        rng = random_generator(self.random_state)
        return planted_accuracy(rule, self._known, queries, self.cv, rng, self.n_jobs)

    def classify(
        self, X_query: DataLike, Y_prototypes: DataLike, labels: ArrayLike
    ) -> NDArray[Any]:
        """Classify each query by prototypes on the other side.

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
        shuffle = random_generator(self.random_state).permutation(len(classes))
        return classes[shuffle[means[:, shuffle].argmax(axis=1)]]

    def _rule(self, method, assignment):
        """Return how pairs are scored and matched."""
        return MatchingRule(
            method,
            assignment,
            self._kernel,
            self.debiased,
            self._bandwidths,
            self.n_init,
            self._scales,
            self._ensemble,
        )

    def _rule_and_queries(self, X_query, Y_query):
        """Return how queries are matched, and checked queries and candidates."""
        check_is_fitted(self)
        rule = self._rule(self.method_, "hungarian" if self.method_ == "qap" else self.assignment)
        queries = self._side(0, X_query, "X_query"), self._side(1, Y_query, "Y_query")
        n, candidates = (int(side.shape[0]) for side in queries)
        if (
            rule.assignment == "hungarian"
            and rule.method != "qap"
            and n * candidates > _MOST_SCORES
        ):
            raise ValueError(
                f"{n} queries and {candidates} candidates have {n * candidates:.2g} scores, too "
                "many to hold at once: use assignment='sparse', which takes the best candidates of "
                "each, or assignment='argmax' for nearest neighbours."
            )
        if rule.assignment != "argmax" and n > candidates:
            raise ValueError(
                f"X_query has {n} rows and Y_query {candidates}: a one-to-one matching needs as "
                "many candidates as queries. Swap the sides, or use assignment='argmax'."
            )
        if rule.method == "qap" and n != candidates:
            raise ValueError(
                f"method='qap' matches as many candidates as queries, got {candidates} for {n}. "
                "Use method='local_cka'."
            )
        return rule, queries

    def _side(self, k, rows, name):
        """Return rows of one side, checked, in the library of the known pairs."""
        check_feature_names(self, rows, self.feature_names_in_[k])
        known = self._known[k]
        checked = check_array_like_on_device(rows, name, n_features=int(known.shape[1]))
        if is_torch(known):
            checked = as_device(checked, str(known.device)).to(known.dtype)
        else:
            checked = numpy_float64(checked).astype(known.dtype)
        return checked
