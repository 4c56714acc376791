"""What a fitted policy predicts of pairs, differences and candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from ...linalg import is_torch
from ...theory.preference._names import canonical_loss
from ...utils._array_api import beside, dispatched, on_host
from ...utils._checks import check_array_like_on_device, check_sample_weight
from ...utils._dask import is_dask, to_local
from ...utils._sklearn_compat import validate_data
from ...utils._types import DataLike
from ..losses._table import LOSSES
from ._blocks import lazy_margins
from ._candidate_fit import log_policy
from ._input import (
    as_host,
    n_dimensions,
    output_dtype,
    read_candidates,
    read_choices,
    read_reference,
)


class PolicyPredictions:
    """Predictions of a fitted policy; the attributes are those of `PreferencePolicy`."""

    loss: str
    beta: float
    reference: Any
    classes_: np.ndarray
    coef_: np.ndarray
    _loss_noise: float
    n_features_in_: int

    @dispatched
    def decision_function(self, X: DataLike) -> Any:
        r"""Compute rewards, or their differences.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features) or (..., n_candidates, n_features)
            Differences of features, which may be sparse, or features of candidates.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (..., n_candidates)
            :math:`\beta u^\top x`: the reward of a response up to a constant of its prompt, or
            that of the first minus that of the second, positive where the first is preferred.
        """
        check_is_fitted(self)
        return self._margins(X) * self.beta

    def _margins(self, X):
        """Return log-ratios to the reference up to a constant per prompt, or their differences."""
        if is_dask(X):
            return lazy_margins(self, X, beside(self.coef_, X).astype(output_dtype(X)))
        if is_torch(X) or n_dimensions(X) == 3:
            X = check_array_like_on_device(X, "X", n_dimensions(X), n_features=self.n_features_in_)
        else:
            dtype = [np.float64, np.float32]
            X = validate_data(self, X, dtype=dtype, reset=False, accept_sparse="csr")
        coef = beside(self.coef_, X)
        return X @ (coef if is_torch(X) else coef.astype(X.dtype))

    @dispatched
    def predict(self, X: ArrayLike) -> NDArray[Any]:
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

    @dispatched
    def predict_proba(
        self, X: ArrayLike, *, log_reference: ArrayLike | None = None, mask: ArrayLike | None = None
    ) -> NDArray[Any]:
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
        if n_dimensions(X) == 3:
            features, base = read_candidates(X, mask, log_reference, self.n_features_in_)
            reference = read_reference(self.reference, self.n_features_in_)
            policy = np.exp(log_policy(features, base, reference + on_host(self).coef_))
            return policy.astype(output_dtype(X), copy=False)
        z = as_host(self.decision_function(X))
        probability = LOSSES[canonical_loss(self.loss)].probability
        if is_dask(z):
            chunks = (z.chunks[0], (2,))
            return z.map_blocks(
                _both_ways, probability, self._loss_noise, dtype=z.dtype, chunks=chunks, new_axis=1
            )
        return _both_ways(z, probability, self._loss_noise)

    @dispatched
    def rank(self, candidates: ArrayLike) -> NDArray[Any]:
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

    @dispatched
    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
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
        if n_dimensions(X) != 3:
            predicted = to_local(self.predict(X))
            weights = to_local(as_host(sample_weight))
            return float(accuracy_score(to_local(as_host(y)), predicted, sample_weight=weights))
        scores = as_host(self.decision_function(X))
        choices = read_choices(y, np.zeros(scores.shape))
        rows = np.arange(len(scores))
        gap = scores[rows, choices[:, 0]] - scores[rows, choices[:, 1]]
        weights = check_sample_weight(as_host(sample_weight), len(gap))
        return float(np.average(np.where(gap == 0, 0.5, gap > 0), weights=weights))


def _labels(scores, classes):
    """Return the classes of differences of rewards."""
    return classes[(scores > 0).astype(int)]


def _both_ways(z, probability, noise):
    """Return the probabilities that the second and that the first response is preferred."""
    first = probability(z, noise)
    return np.column_stack([1 - first, first])
