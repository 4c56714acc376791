"""Linear models fitted by stochastic gradient descent in stages, whose loss is predicted."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ...linalg import to_numpy
from ...utils._checks import check_sample_weight, is_torch
from ...utils._fit import restore_on_failure
from ...utils._sklearn_compat import _fit_context
from .._input import check_new_data, decode_labels, encode_labels, linear_scores
from ._base import StagedSGD
from ._input import checked_data
from ._theory import predicted_accuracy


class StagedSGDRegressor(RegressorMixin, StagedSGD):
    r"""Least squares by stochastic gradient descent in stages, whose loss curve is known ahead.

    Each stage has its own steps, batch size, learning rates and mixture of sources. The mean loss
    of every step is predicted from second and fourth moments of the rows before the first one.

    Parameters
    ----------
    stages : "auto" or list of Stage, default="auto"
        The schedule. "auto" is one pass in batches of a hundredth of the rows, from 1 to 32, with
        cosine decay from half the critical rate to 0.
    detect_spikes : bool, default=True
        Whether losses are compared with the predicted ones.
    rollback : bool, default=True
        Whether a spike makes the fit go back to a snapshot before it and leave out its batches.
    max_rollbacks : int, default=5
        Most rollbacks.
    snapshot_every : int, default=100
        Steps between snapshots of the weights.
    snapshot_dir : path-like, default=None
        Folder for snapshots. A fit that crashed is continued, with the same result, by a fit of
        the same data with the same parameters; without a seed, its seed is found there. The
        file is deleted at the end.
    fit_intercept : bool, default=True
        Whether features and targets are centred, by the means of each stage.
    strict : bool, default=False
        Whether a rate above the critical one is an error.
    device : str, default=None
        Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
    verbose : int, default=0
        1 prints ten lines on progress, 2 one a snapshot.
    random_state : int, RandomState instance or None, default=None
        Seed of the batches.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        Coefficients.
    intercept_ : float
        Intercept.
    loss_curve_ : ndarray of shape (T,)
        Half the mean squared residual of each batch before its step, in squared units
        of the targets.
    theoretical_loss_curve_ : ndarray of shape (T,)
        Its predicted mean, before each step.
    theoretical_risk_ : float
        Predicted mean after the last step.
    critical_learning_rate_ : float
        Rate above which the mean loss diverges, for the batch size of the first stage.
    critical_batch_size_ : float
        Batch size beyond which a larger one no longer allows a much larger rate.
    noise_floor_ : float
        Risk at which the largest rate of the last stage would end; nan where one pass over about
        as many rows as features does not tell.
    tail_index_ : float
        How fast the tails of the weights fall, for batches of one row and features of one
        variance; nan otherwise.
    spikes_ : list of (int, float)
        First step of each spike and its p-value.
    rollbacks_ : list of (int, int)
        Step at which a spike was noticed, and the one to which the fit went back.
    stage_bounds_ : ndarray of shape (n_stages + 1,)
        Steps at which stages begin, and their total number.
    n_iter_ : int
        Number of steps.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or the loss overflows.

    Warns
    -----
    ConvergenceWarning
        If a learning rate is above the critical one.
    TheoryWarning
        If the critical rate is half that of Gaussian features or less.

    See Also
    --------
    Stage : A stage.
    skrmt.theory.sgd : The theory.
    StagedSGDClassifier : For classes.
    sklearn.linear_model.SGDRegressor : Without batches and predictions.

    Notes
    -----
    If the schedule needs no more rows than there are, and weights and shares are equal, each row
    is used once, in random order; the predicted loss is then that on fresh rows. Otherwise rows
    are drawn with replacement, in proportion to weight and share, and the predicted loss is that
    on these rows. The critical rate is that of the rows themselves: the largest at which
    :math:`M \mapsto M-\eta(HM+MH)+\eta^2[(1-1/B)HMH+E(xx^\top Mxx^\top)/B]` has no eigenvalue
    above 1. The prediction follows the mean of the weights exactly and the diagonal of their
    covariance, in eigenvectors of H, by fourth moments of the rows; leave-one-out residuals make
    it one for fresh rows.

    Up to three batches in a row are a spike if their losses exceed the predicted ones by a
    quarter, and by so much that one fit in a hundred has such a stretch by luck. The law of a
    loss is chi-square, its degrees of freedom matched to the variance of the loss over rows. As
    weights wander, the risk of the present ones replaces the predicted one if it is larger, up to
    ten times. Where spikes are looked for, rows that are off by more than 8 robust standard
    deviations, a hundredth at most, are left out of the prediction. A second spike within
    `snapshot_every` steps halves the rate for as many steps.

    References
    ----------
    .. [1] "Falcon2-11B Technical Report", arXiv:2407.14885.
    .. [2] "Homogenization of SGD in high-dimensions: exact dynamics and generalization
       properties", arXiv:2205.07069.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linear_model import Stage, StagedSGDRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((4000, 20))
    >>> y = X[:, 0] + 0.5 * rng.standard_normal(4000)
    >>> stages = [Stage(200, 4, 0.5, relative=True), Stage(200, 8, 0.5, "cosine", relative=True)]
    >>> model = StagedSGDRegressor(stages, random_state=0).fit(X, y)
    >>> model.spikes_
    []
    >>> late = model.loss_curve_[200:].mean() / model.theoretical_loss_curve_[200:].mean()
    >>> bool(0.9 < late < 1.1)
    True
    """

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, sample_source=None):
        """Run all stages, and predict how they go.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows: a row of weight 2 is the same as that row twice.
        sample_source : array-like of shape (n,), optional
            Source of each row, which the mixtures of stages name.

        Returns
        -------
        StagedSGDRegressor
            The fitted model.
        """
        X, y = checked_data(self, X, y, numeric=True)
        self._fit_rows(X, y[:, None], sample_weight, sample_source)
        self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Take one pass over further rows, in the order given.

        Steps continue those before; past the last stage its last rate is kept. "auto" is half the
        critical rate of the first rows, without decay. Nothing is predicted.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Targets.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        StagedSGDRegressor
            The model.
        """
        X, y = checked_data(self, X, y, numeric=True, reset=not hasattr(self, "coef_"))
        self._more_rows(X, y[:, None], sample_weight)
        self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray or torch tensor of shape (n,)
            Predictions.
        """
        check_is_fitted(self)
        X = check_new_data(self, X)
        if is_torch(X):
            return X @ X.new_tensor(self.coef_) + float(self.intercept_)
        return X @ self.coef_ + self.intercept_


class StagedSGDClassifier(ClassifierMixin, StagedSGD):
    r"""Least squares on classes by stochastic gradient descent in stages, with its accuracy.

    The targets are -1 and +1, or 0 and 1 for each of more classes. Loss curve and accuracy are
    predicted from second and fourth moments of the rows.

    Parameters
    ----------
    stages : "auto" or list of Stage, default="auto"
        The schedule. "auto" is one pass in batches of a hundredth of the rows, from 1 to 32, with
        cosine decay from half the critical rate to 0.
    detect_spikes : bool, default=True
        Whether losses are compared with the predicted ones.
    rollback : bool, default=True
        Whether a spike makes the fit go back to a snapshot before it and leave out its batches.
    max_rollbacks : int, default=5
        Most rollbacks.
    snapshot_every : int, default=100
        Steps between snapshots of the weights.
    snapshot_dir : path-like, default=None
        Folder for snapshots. A fit that crashed is continued, with the same result, by a fit of
        the same data with the same parameters; without a seed, its seed is found there. The
        file is deleted at the end.
    fit_intercept : bool, default=True
        Whether features and targets are centred, by the means of each stage.
    strict : bool, default=False
        Whether a rate above the critical one is an error.
    device : str, default=None
        Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
    verbose : int, default=0
        1 prints ten lines on progress, 2 one a snapshot.
    random_state : int, RandomState instance or None, default=None
        Seed of the batches.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Classes, sorted.
    coef_ : ndarray of shape (1, n_features) or (K, n_features)
        Coefficients.
    intercept_ : ndarray of shape (1,) or (K,)
        Intercepts.
    theoretical_accuracy_ : float
        Predicted accuracy on fresh rows, in [0, 1]: the mean over rows, each left out, of the
        probability that its score, Gaussian over the draws of batches, is on the right side.
    loss_curve_ : ndarray of shape (T,)
        Half the mean squared residual of each batch before its step, summed over more than two
        classes.
    theoretical_loss_curve_ : ndarray of shape (T,)
        Its predicted mean, before each step.
    theoretical_risk_ : float
        Predicted mean after the last step.
    critical_learning_rate_ : float
        Rate above which the mean loss diverges, for the batch size of the first stage.
    critical_batch_size_ : float
        Batch size beyond which a larger one no longer allows a much larger rate.
    noise_floor_ : float
        Risk at which the largest rate of the last stage would end; nan where one pass over about
        as many rows as features does not tell.
    tail_index_ : float
        How fast the tails of the weights fall, for batches of one row and features of one
        variance; nan otherwise.
    spikes_ : list of (int, float)
        First step of each spike and its p-value.
    rollbacks_ : list of (int, int)
        Step at which a spike was noticed, and the one to which the fit went back.
    stage_bounds_ : ndarray of shape (n_stages + 1,)
        Steps at which stages begin, and their total number.
    n_iter_ : int
        Number of steps.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    Raises
    ------
    ValueError
        If an argument is out of its domain, or the loss overflows.

    Warns
    -----
    ConvergenceWarning
        If a learning rate is above the critical one.
    TheoryWarning
        If the critical rate is half that of Gaussian features or less.

    See Also
    --------
    Stage : A stage.
    skrmt.theory.sgd : The theory.
    StagedSGDRegressor : For numbers.
    sklearn.linear_model.SGDClassifier : Without batches and predictions.

    Notes
    -----
    If the schedule needs no more rows than there are, and weights and shares are equal, each row
    is used once, in random order; the predicted loss is then that on fresh rows. Otherwise rows
    are drawn with replacement, in proportion to weight and share, and the predicted loss is that
    on these rows. The critical rate is that of the rows themselves: the largest at which
    :math:`M \mapsto M-\eta(HM+MH)+\eta^2[(1-1/B)HMH+E(xx^\top Mxx^\top)/B]` has no eigenvalue
    above 1. The prediction follows the mean of the weights exactly and the diagonal of their
    covariance, in eigenvectors of H, by fourth moments of the rows; leave-one-out residuals make
    it one for fresh rows.

    Up to three batches in a row are a spike if their losses exceed the predicted ones by a
    quarter, and by so much that one fit in a hundred has such a stretch by luck. The law of a
    loss is chi-square, its degrees of freedom matched to the variance of the loss over rows. As
    weights wander, the risk of the present ones replaces the predicted one if it is larger, up to
    ten times. Where spikes are looked for, rows that are off by more than 8 robust standard
    deviations, a hundredth at most, are left out of the prediction. A second spike within
    `snapshot_every` steps halves the rate for as many steps.

    References
    ----------
    .. [1] "Falcon2-11B Technical Report", arXiv:2407.14885.
    .. [2] "Homogenization of SGD in high-dimensions: exact dynamics and generalization
       properties", arXiv:2205.07069.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skrmt.linear_model import Stage, StagedSGDClassifier
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> X = StandardScaler().fit_transform(X)[:, :10]
    >>> model = StagedSGDClassifier([Stage(500, 8, "auto", "linear")], random_state=0).fit(X, y)
    >>> bool(abs(model.score(X, y) - model.theoretical_accuracy_) < 0.02)
    True
    """

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None, *, sample_source=None):
        """Run all stages, and predict how they go.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Classes, numbers or strings.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows: a row of weight 2 is the same as that row twice.
        sample_source : array-like of shape (n,), optional
            Source of each row, which the mixtures of stages name.

        Returns
        -------
        StagedSGDClassifier
            The fitted model.
        """
        X, y = checked_data(self, X, y, numeric=False)
        check_classification_targets(y)
        weights = check_sample_weight(sample_weight, len(y))
        self.classes_, codes = encode_labels(y, weights)
        targets = _class_targets(codes, len(self.classes_))
        _, prediction, law = self._fit_rows(X, targets, sample_weight, sample_source)
        known = law.Y + law.target_mean
        codes = (known[:, 0] > 0) * 1 if known.shape[1] == 1 else known.argmax(axis=1)
        self.theoretical_accuracy_ = predicted_accuracy(prediction, codes, law.shares)
        return self

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Take one pass over further rows, in the order given.

        Steps continue those before; past the last stage its last rate is kept. "auto" is half the
        critical rate of the first rows, without decay. Nothing is predicted.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features. float32 is kept.
        y : array-like of shape (n,)
            Classes.
        classes : array-like of shape (K,), optional
            All classes; needed in the first call.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.

        Returns
        -------
        StagedSGDClassifier
            The model.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call, or has changed, or y has others.
        """
        first = not hasattr(self, "coef_")
        X, y = checked_data(self, X, y, numeric=False, reset=first)
        self.classes_ = self._all_classes(classes, first)
        if not np.isin(y, self.classes_).all():
            raise ValueError(f"y has labels that are not in classes={self.classes_.tolist()}.")
        targets = _class_targets(np.searchsorted(self.classes_, y), len(self.classes_))
        self._more_rows(X, targets, sample_weight)
        self.theoretical_accuracy_ = np.nan
        return self

    def _all_classes(self, classes, first):
        """Return the classes, which do not change after the first call."""
        if classes is None:
            if first:
                raise ValueError("classes must be passed in the first call of partial_fit.")
            return self.classes_
        found = np.unique(to_numpy(classes))
        if len(found) < 2:
            raise ValueError(f"classes has only one class, {found.tolist()}: give two or more.")
        if not first and not np.array_equal(found, self.classes_):
            raise ValueError(
                f"classes={found.tolist()} is not the same as in the call before, "
                f"{self.classes_.tolist()}."
            )
        return found

    def decision_function(self, X):
        """Compute the scores.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray or torch tensor of shape (n,) or (n, K)
            Positive for the second class where there are two; one score a class for more.
        """
        check_is_fitted(self)
        return linear_scores(self, check_new_data(self, X))

    def predict(self, X):
        """Predict classes.

        Parameters
        ----------
        X : array-like or torch tensor of shape (n, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n,), or torch tensor for torch input and numeric labels
            Classes.
        """
        scores = self.decision_function(X)
        codes = (scores > 0) * 1 if len(self.classes_) == 2 else scores.argmax(1)
        return decode_labels(self.classes_, codes)


def _class_targets(codes, n_classes):
    """Return -1 and +1 for two classes, 0 and 1 for each of more."""
    if n_classes == 2:
        return (2.0 * codes - 1)[:, None]
    return (codes[:, None] == np.arange(n_classes)).astype(float)
