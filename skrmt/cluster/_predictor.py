"""Predictions of a fitted clustering of views, and forecasts at other numbers of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.special import expit
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..linalg import is_torch, to_numpy
from ..utils._dask import to_local
from ..utils._forecast import Forecast, check_asked, first_reaching, unbanded
from ..utils._sklearn_compat import validate_data
from ..utils._types import DataLike
from ..utils._warnings import warn
from ._copies import dropped_originals, without_copies
from ._forecast import accuracy_if, checked_views
from ._new_samples import as_input, by_blocks, dtype_of, listed_views
from ._solution import Solution, decide, labels_of, scores_of
from ._views_input import (
    ViewList,
    check_names_of_views,
    is_dask_views,
    is_view_list,
    n_dimensions,
    stacked,
    view_list,
    view_stack,
)


class ViewsPredictor(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Clusters, embedding and forecasts of an estimator that has fitted views."""

    n_clusters: int
    device: str | None
    view_copies_: np.ndarray
    regime_: str
    _solution: Solution
    _shape: tuple[int, int, int]
    _scale: float
    _view_names: list[Any] | None
    _is_list: bool

    def predict(self, X: DataLike) -> Any:
        """Assign new samples to clusters.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            Samples with the views seen in `fit`.

        Returns
        -------
        ndarray, torch tensor or dask array of shape (n_samples,)
            The clusters.
        """
        if is_dask_views(X):
            return by_blocks(self, "predict", X, None, np.int64)
        decision, like = self._decide(X)
        return as_input(labels_of(decision), like)

    def decision_function(self, X: DataLike) -> Any:
        """Compute how far samples are on the side of each cluster.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            Samples with the views seen in `fit`.

        Returns
        -------
        ndarray, torch tensor or dask array of shape (n_samples,) or (n_samples, n_clusters)
            Log-odds of the second of two clusters, 0 at the threshold; log-probabilities of more.
        """
        if is_dask_views(X):
            columns = None if self.n_clusters == 2 else self.n_clusters
            return by_blocks(self, "decision_function", X, columns)
        decision, like = self._decide(X)
        return as_input(decision.astype(dtype_of(like)), like)

    def predict_proba(self, X: DataLike) -> Any:
        """Compute the probabilities of the clusters.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            Samples with the views seen in `fit`.

        Returns
        -------
        ndarray, torch tensor or dask array of shape (n_samples, n_clusters)
            Probabilities under Gaussian clusters in the embedding; nearer to each other for samples
            that lack views.
        """
        if is_dask_views(X):
            return by_blocks(self, "predict_proba", X, self.n_clusters)
        decision, like = self._decide(X)
        if decision.ndim == 1:
            proba = np.column_stack([expit(-decision), expit(decision)])
        else:
            proba = np.exp(decision)
        return as_input(proba.astype(dtype_of(like)), like)

    def transform(self, X: DataLike) -> Any:
        """Embed samples in the leading components.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            Samples with the views seen in `fit`.

        Returns
        -------
        ndarray, torch tensor or dask array of shape (n_samples, q)
            Scores in units of the noise of a new sample. Those of training samples in
            `embedding_` are smaller where features are many: they have fitted noise.
        """
        check_is_fitted(self)
        if is_dask_views(X):
            return by_blocks(self, "transform", X, self._n_features_out)
        views, unit, like = self._new_views(X)
        scores, _ = scores_of(self._solution, views, self._solution.loadings, unit)
        return as_input(scores.astype(dtype_of(like)), like)

    def score(self, X: DataLike, y: ArrayLike) -> float:
        """Compute the accuracy against classes, under the best naming of the clusters.

        This is another quantity than `theoretical_accuracy_`, which is agreement with a fit to many
        more samples: clusters that every fit finds need not be the classes.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            Samples with the views seen in `fit`.
        y : array-like of shape (n_samples,)
            True classes, of any type.

        Returns
        -------
        float
            Share of samples whose cluster is matched with their class.
        """
        labels = to_local(to_numpy(self.predict(X)))
        classes = np.unique(np.asarray(to_local(to_numpy(y))), return_inverse=True)[1].ravel()
        if len(classes) != len(labels):
            raise ValueError(
                f"y has {len(classes)} entries for {len(labels)} samples: give one per sample."
            )
        table = np.zeros((max(labels.max(), 0) + 1, classes.max() + 1))
        np.add.at(table, (labels, classes), 1)
        rows, columns = linear_sum_assignment(-table)
        return float(table[rows, columns].sum() / len(labels))

    def forecast(
        self,
        *,
        n_samples: float | ArrayLike | None = None,
        n_views: float | ArrayLike | None = None,
        drop_view: int | Sequence[int] | None = None,
    ) -> Forecast:
        """Predict the accuracy of two clusters on other data of the same kind, in closed form.

        Parameters
        ----------
        n_samples : float or array-like of float, default=None
            Number of samples; that of the training data if None.
        n_views : float or array-like of float, default=None
            Number of views that are on average like those that are kept; as many as these if None.
        drop_view : int or sequence of int, default=None
            Views to leave out: one set of views for all predictions.

        Returns
        -------
        skrmt.utils.Forecast
            Accuracy under the model, to be compared with `model_accuracy_`, of the shape to which
            `n_samples` and `n_views` broadcast. There is no band.

        Raises
        ------
        ValueError
            If a number is not 1 or more, a view does not exist, or none is left.
        """
        check_is_fitted(self)
        dropped = checked_views(drop_view, self._shape[2])
        dropped = dropped_originals(dropped, self.view_copies_)
        shape = (*self._shape[:2], len(self._solution.means))
        score = accuracy_if(self._solution.combined, shape, n_samples, n_views, dropped)
        given = {"n_samples": n_samples, "n_views": n_views, "drop_view": drop_view}
        return unbanded(score, **{name: v for name, v in given.items() if v is not None})

    def required(
        self,
        score: float,
        *,
        of: Literal["n_samples", "n_views"] = "n_samples",
        n_samples: Any = None,
        n_views: Any = None,
        drop_view: Any = None,
    ) -> float:
        """Compute how many samples or views the accuracy of two clusters takes.

        Parameters
        ----------
        score : float
            Accuracy to be reached, under the model.
        of : {"n_samples", "n_views"}, default="n_samples"
            What is counted; its own argument below is not used.
        n_samples, n_views, drop_view : default=None
            The other conditions, as in `forecast`.

        Returns
        -------
        float
            The smallest number, inf if none suffices; nan, with a TheoryWarning, where no component
            stands out of the noise.

        Raises
        ------
        ValueError
            If `of` is unknown, or a condition is not one that `forecast` takes.
        """
        check_is_fitted(self)
        check_asked(of, ("n_samples", "n_views"))
        given = {"n_samples": n_samples, "n_views": n_views, "drop_view": drop_view}
        self.forecast(**given)
        if self.regime_ == "undetected":
            warn("No component stands out of the noise: what would be required is unknown.")
            return float("nan")
        low = 2.0 if of == "n_samples" else 1.0
        return first_reaching(lambda x: self.forecast(**given | {of: x}).score, score, low)

    @property
    def _n_features_out(self):
        """Number of columns that `transform` returns."""
        return self._solution.loadings[0].shape[1]

    def _decide(self, X):
        """Return the decision of checked samples, and what they are like."""
        check_is_fitted(self)
        views, unit, like = self._new_views(X)
        return decide(self._solution, views, unit), like

    def _new_views(self, X):
        """Check new samples; return them, their unit, and what the result should be like."""
        if is_view_list(X) and self._view_names is not None:
            check_names_of_views(self, X, self._view_names)
        if self._is_list:
            views = listed_views(self, X)
            return without_copies(ViewList(views), self.view_copies_), 1.0, views[0]
        if is_view_list(X):
            X = stacked(view_list(X, self.device))
        if n_dimensions(X) == 2 and not is_torch(X):
            X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        stack = view_stack(X, None, self.device, self._shape[1:])
        stack = without_copies(stack, self.view_copies_)
        return stack, stack.scale / self._scale, X
