"""What a report hands over to its fitted estimator."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping
from sklearn.utils.metaestimators import available_if

from ..utils._sklearn_compat import check_is_fitted, get_tags
from ..utils._types import DataLike


def _estimator_has(name):
    """Return a check that the estimator of a report has an attribute."""
    return lambda report: hasattr(getattr(report, "estimator_", report.estimator), name)


class FittedEstimatorMixin:
    """Predict and score by `estimator_`."""

    estimator: Any
    estimator_: Any

    @property
    def classes_(self) -> NDArray[Any]:
        """Sorted classes, of classifiers."""
        check_is_fitted(self)
        return self.estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of features."""
        check_is_fitted(self)
        return self.estimator_.n_features_in_

    @available_if(_estimator_has("predict"))
    def predict(self, X: DataLike) -> NDArray[Any]:
        """Predict with the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            Labels or targets.
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X: DataLike) -> NDArray[Any]:
        """Predict probabilities of classes with the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n, K)
            Probabilities.
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @available_if(_estimator_has("decision_function"))
    def decision_function(self, X: DataLike) -> NDArray[Any]:
        """Return the scores of the fitted estimator.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.

        Returns
        -------
        ndarray of shape (n,) or (n, K)
            Scores.
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    @available_if(_estimator_has("score"))
    def score(self, X: DataLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the accuracy or R^2 of the fitted estimator on some rows.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n, p)
            Rows.
        y : array-like of shape (n,)
            Labels or targets.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        float
            The score.
        """
        check_is_fitted(self)
        given = {} if sample_weight is None else {"sample_weight": sample_weight}
        return self.estimator_.score(X, y, **given)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        tags.input_tags = inner.input_tags
        tags.target_tags.required = True
        return tags

    def get_metadata_routing(self) -> Any:
        """Return how metadata reach the estimator.

        Returns
        -------
        MetadataRouter
            Parameters of `fit` go to `fit` of the estimator.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        mapping.add(caller="score", callee="score")
        return MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)
