"""Scores of samples, samples of scores, and how well components fit either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..linalg import to_numpy
from ..utils._checks import check_array_like_on_device, check_tensor
from ..utils._types import DataLike
from ._alignment import factor_alignments
from ._tensor_input import like_input, mean_square, slice_scores


class TensorScorer(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Scores, reconstructions and alignments of an estimator that has fitted components."""

    device: str | None
    weights_: NDArray[Any]
    factors_: list[NDArray[Any]]
    shrinkage_: NDArray[Any]
    n_components_: int

    def transform(self, X: DataLike) -> Any:
        """Compute the scores of samples: their least-squares coefficients.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, p_2, ..., p_d)
            Samples of the shape seen in `fit`.

        Returns
        -------
        ndarray or torch tensor of shape (n, r)
            Coefficients of the products of the factors of all axes but the first.
        """
        check_is_fitted(self)
        return self._scores(self._check_samples(X)[0])

    def inverse_transform(self, X: DataLike) -> Any:
        """Return the samples with given scores.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, r)
            Scores.

        Returns
        -------
        ndarray or torch tensor of shape (n, p_2, ..., p_d)
            Sums of the products of the factors, times the scores.
        """
        check_is_fitted(self)
        if np.shape(X)[1:] == (0,) and not self.n_components_:
            return like_input(np.zeros((len(X), *self._sample_shape)), X)
        scores = check_array_like_on_device(X, n_features=self.n_components_)
        return self._samples(scores)

    def predict(self, X: DataLike) -> Any:
        """Denoise samples.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, p_2, ..., p_d)
            Samples of the shape seen in `fit`, those or new ones.

        Returns
        -------
        ndarray or torch tensor of the same shape
            Their projection on the components.
        """
        check_is_fitted(self)
        return self._samples(self._scores(self._check_samples(X)[0]))

    def reconstruct(self, shrink: bool = False) -> NDArray[Any]:
        """Return the fitted low-rank tensor.

        Parameters
        ----------
        shrink : bool, default=False
            Whether to weight each component so that the result comes closest to the signal, by
            `shrinkage_`, instead of closest to the data.

        Returns
        -------
        ndarray of shape (p_1, ..., p_d)
            The tensor; nan with `shrink` where theory does not apply.
        """
        check_is_fitted(self)
        weights = self.weights_ * self.shrinkage_ if shrink else self.weights_
        scores = (self.factors_[0] * weights).astype(self.factors_[0].dtype)
        return self._samples(scores)

    def score(self, X: DataLike, y: None = None) -> float:
        """Compute the share of the sum of squares that the components explain.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, p_2, ..., p_d)
            Samples of the shape seen in `fit`.
        y : None
            Not used.

        Returns
        -------
        float
            ``1 - |X - predict(X)|^2 / |X|^2``; nothing is centred. 1 where X is zero.
        """
        check_is_fitted(self)
        X, largest = self._check_samples(X)
        if largest == 0:
            return 1.0
        residual = X - self._samples(self._scores(X))
        return 1.0 - mean_square(residual, largest) / mean_square(X, largest)

    def alignment_score(self, true_factors: Sequence[Any]) -> float:
        """Compute the mean alignment with true factors.

        Parameters
        ----------
        true_factors : sequence of array-like of shape (p_m, k)
            The truth, one array an axis.

        Returns
        -------
        float
            Mean over true components and axes of the absolute cosine with the estimated factor,
            components matched at best; 0 counts for one that has no partner.

        See Also
        --------
        factor_alignments : The cosines one by one.
        """
        check_is_fitted(self)
        return float(factor_alignments(self.factors_, true_factors).mean())

    @property
    def _sample_shape(self):
        """Shape of one sample."""
        return tuple(len(factor) for factor in self.factors_[1:])

    @property
    def _n_features_out(self):
        """Number of columns that `transform` returns."""
        return self.n_components_

    def _check_samples(self, X):
        """Check samples; return them and their largest magnitude."""
        return check_tensor(X, shape=self._sample_shape, min_samples=1, allow_nan=True)

    def _scores(self, X):
        """Return the scores of checked samples."""
        return slice_scores(X, self.factors_[1:], self.device)

    def _samples(self, scores):
        """Return the samples with checked scores, of their kind."""
        rows = to_numpy(scores)
        products = np.ones((1, self.n_components_))
        for factor in self.factors_[1:]:
            size = len(products) * len(factor)
            products = (products[:, None] * factor[None]).reshape(size, self.n_components_)
        samples = rows @ products.astype(rows.dtype).T
        return like_input(samples.reshape(len(rows), *self._sample_shape), scores)
