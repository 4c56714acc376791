"""Moving an index: vectors that find rows of the other space by cosine, and how often they do."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..utils._types import DataLike
from ._held_out import PredictedAccuracy, mean_and_error
from ._inputs import count
from ._kernels import numpy_float64
from ._matching import Neighbors
from ._nearest import nearest
from ._transfer import fit_transfer, ranks


class IndexMixin:
    """Methods of EncoderMatcher that search an index of one space with rows of the other."""

    # Attributes of EncoderMatcher that they read.
    n_pairs_: int
    _known: tuple
    _transfers: dict
    _ensemble: Any
    _side: Any
    _fitted_ensemble: Any

    def transform(self, X: DataLike) -> NDArray[Any]:
        r"""Turn rows of the first space into query vectors for an index of the second.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, p)
            Rows of the first space.

        Returns
        -------
        ndarray of shape (n, q)
            Vectors of length 1. Rows of the second space with the largest *cosine* with a vector
            are the most likely partners; in an index by Euclidean distance or inner product, store
            rows of length 1.

        Raises
        ------
        ValueError
            If X is no finite matrix of the width seen in `fit`.

        Notes
        -----
        The vectors are those of regularised CCA, carried over to the second space:
        :math:`(S_y + \alpha I)^{-1} S_{yx} (S_x + \alpha' I)^{-1} x`. They point to where the
        partner is found among all other rows, which is not where a regression predicts it.
        """
        return self._transfer(0).vectors(numpy_float64(self._side(0, X, "X")))

    def inverse_transform(self, Y: DataLike) -> NDArray[Any]:
        """Turn rows of the second space into query vectors for an index of the first.

        Parameters
        ----------
        Y : array-like or torch tensor of shape (n, q)
            Rows of the second space.

        Returns
        -------
        ndarray of shape (n, p)
            Vectors of length 1, to be compared by cosine with rows of the first space.

        Raises
        ------
        ValueError
            If Y is no finite matrix of the width seen in `fit`.
        """
        return self._transfer(1).vectors(numpy_float64(self._side(1, Y, "Y")))

    def search(
        self,
        X_query: DataLike,
        Y_gallery: DataLike,
        n_neighbors: int = 10,
        *,
        library: Literal["auto", "sklearn", "faiss"] = "auto",
    ) -> Neighbors:
        """Find the rows of an index nearest to `transform`'s vectors.

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_gallery : array-like or torch tensor of shape (n', q)
            Rows of the index, any number.
        n_neighbors : int, default=10
            Number of rows to find, at most n'.
        library : {"auto", "sklearn", "faiss"}, default="auto"
            What searches: scikit-learn's NearestNeighbors, or an exact index of faiss, in single
            precision. "auto" is faiss where it is installed.

        Returns
        -------
        Neighbors
            `indices`, rows of Y_gallery, and `scores`, their cosines, the nearest first.

        Raises
        ------
        ValueError
            If a side is no finite matrix of the width seen in `fit`, or an argument is out of
            range.
        ImportError
            If faiss is asked for and not installed.
        """
        if library not in ("auto", "sklearn", "faiss"):
            raise ValueError(f"library must be 'auto', 'sklearn' or 'faiss', got {library!r}.")
        vectors = self.transform(X_query)
        gallery = numpy_float64(self._side(1, Y_gallery, "Y_gallery"))
        k = count("n_neighbors", n_neighbors)
        if k > len(gallery):
            raise ValueError(
                f"n_neighbors={k} exceeds the {len(gallery)} rows of Y_gallery: ask for fewer."
            )
        return nearest(vectors, gallery, k, library)

    def score_topk(
        self,
        X_query: DataLike,
        Y_gallery: DataLike,
        true_match: ArrayLike | None = None,
        *,
        top_k: int = 10,
    ) -> float:
        """Measure how often the right row is among the nearest to `transform`'s vectors (recall@k).

        Parameters
        ----------
        X_query : array-like or torch tensor of shape (n, p)
            Queries.
        Y_gallery : array-like or torch tensor of shape (n', q)
            Rows of the index, any number.
        true_match : array-like of int of shape (n,), default=None
            Row of Y_gallery of each query; the same row if None.
        top_k : int, default=10
            Number of nearest rows.

        Returns
        -------
        float
            Share of queries whose right row is among them. Scores are computed a block of the
            gallery at a time, 16 MB of them.

        Raises
        ------
        ValueError
            If a side is no finite matrix of the width seen in `fit`, or a match is out of range.
        """
        vectors = self.transform(X_query)
        gallery = numpy_float64(self._side(1, Y_gallery, "Y_gallery"))
        truth = np.arange(len(vectors)) if true_match is None else np.asarray(true_match)
        good = truth.shape == (len(vectors),) and truth.dtype.kind in "iu"
        if not good or truth.min() < 0 or truth.max() >= len(gallery):
            raise ValueError(
                f"true_match must hold a row of Y_gallery, 0 to {len(gallery) - 1}, for each of "
                f"{len(vectors)} queries."
            )
        return float(np.mean(ranks(vectors, gallery, truth) < count("top_k", top_k)))

    def predict_topk(self, Y_gallery: DataLike, *, top_k: int = 10) -> PredictedAccuracy:
        """Predict `score_topk` for an index, without queries.

        Parameters
        ----------
        Y_gallery : array-like or torch tensor of shape (n', q)
            Rows of the index, with or without those of the known pairs.
        top_k : int, default=10
            Number of nearest rows.

        Returns
        -------
        PredictedAccuracy
            `accuracy` and `standard_error`: each known pair is left out and searched for in the
            gallery. nan with fewer than 6 known pairs.

        Raises
        ------
        ValueError
            If the gallery is no finite matrix of the width seen in `fit`.
        """
        gallery = numpy_float64(self._side(1, Y_gallery, "Y_gallery"))
        places = count("top_k", top_k)
        if self.n_pairs_ < 6:
            return PredictedAccuracy(np.nan, np.nan)
        return mean_and_error(self._transfer(0).left_out_ahead(gallery) < places)

    def _transfer(self, side):
        """Return the map from one side to the other, chosen when first asked for."""
        check_is_fitted(self)
        if side not in self._transfers:
            ensemble = self._ensemble
            if ensemble is None:
                ensemble = self._fitted_ensemble(tuple(map(numpy_float64, self._known)), ())
            members = [ensemble.members[k] for k in ensemble.chosen]
            self._transfers[side] = fit_transfer(members, ensemble.known, side)
        return self._transfers[side]
