"""Multi-view clustering that tells its own accuracy without labels."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.special import expit
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    ClusterMixin,
    TransformerMixin,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..exceptions import TheoryWarning
from ..linalg import get_backend, is_torch, to_numpy
from ..utils._dask import is_dask, to_local
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context, validate_data
from ._nested_fit import Problem, fit_views
from ._new_samples import as_input, by_blocks, complete_scores, dtype_of, listed_views
from ._views_input import (
    is_dask_views,
    is_view_list,
    n_dimensions,
    stacked,
    view_list,
    view_stack,
)
from ._what_if import accuracy_if


class NestedTensorClustering(
    DocLinkMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClusterMixin, BaseEstimator
):
    r"""Clustering of samples seen through several noisy views, with its own accuracy.

    Views of the same samples carry the same clusters with different, unknown strengths and noise.
    The estimator learns from the covariance of the views how far each is to be trusted, combines
    them into one matrix, and clusters along its leading components. Random matrix theory tells
    whether there is anything to be found and how many samples are in the right cluster, and where
    the data break its assumptions, a test on held-out samples tells it instead.

    Parameters
    ----------
    n_clusters : int, default=2
        Number of clusters.
    method : {"nested_ml", "two_step", "tensor", "unfolding", "auto"}, default="nested_ml"
        How views of equal width are combined. "two_step": by their covariance, in closed form.
        "nested_ml": by maximum likelihood, which is iterated only where theory says that this is
        worth more than 0.1 % of the samples. "tensor": by the best rank-one approximation.
        "unfolding": not at all, the views are concatenated. "auto": as theory says is best here.
    view_noise : {"auto", "diagonal", "full", "known"}, default="auto"
        Noise of the views: "diagonal" is independent between views, of unequal unknown variances,
        which takes three views; "full" may be correlated between views; "known" has the standard
        deviations `noise_scale`. "auto" is "full" for two views and "diagonal" for more.
    noise_scale : array-like of shape (n_views,), default=None
        Standard deviations of the noise of the views, for `view_noise="known"`.
    scaling : {"mfa", "optimal", "unit"}, default="mfa"
        Weights of views of unequal widths: "mfa" divides each by its largest singular value,
        "unit" gives them equal variances, "optimal" is best under the model of white noise.
    refine : {None, "amp"}, default=None
        "amp" improves the labels of two clusters by approximate message passing, which reaches
        `bayes_accuracy_` under the model; rarely more than one sample in a hundred.
    threshold : {"mixture", "zero"}, default="mixture"
        Where two clusters are separated: at 0, the mean of the scores, or, if their sizes differ
        by more than two standard errors, between two fitted Gaussian laws.
    n_bootstrap : int, default=0
        Draws of a parametric bootstrap of the interval; 0 for the delta method.
    tol : float, default=1e-6
        Iterations stop when weights or means move by no more.
    max_iter : int, default=300
        Largest number of iterations.
    n_jobs : int, default=None
        Number of draws of the bootstrap that are made at a time.
    device : str, default=None
        Torch device on which NumPy input is computed, such as "cuda"; results come back as NumPy.
    random_state : int, RandomState instance or None, default=None
        Seed of starts, splits and draws.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,)
        Cluster of each sample, from 0.
    embedding_ : ndarray of shape (n_samples, q)
        Scores on all components that stand out of the noise, at most 50, in units of the noise.
    theoretical_accuracy_ : float
        Share of the samples in the right cluster, for the training samples and for new ones. Under
        the model where its tests do not reject it, else calibrated on held-out samples; nan where
        it cannot be told, chance where nothing is found.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it.
    model_accuracy_ : float
        What the model of white noise within clusters says, optimistic where that is not so.
    model_fit_ : bool
        Whether white noise within the clusters and the law of the scores survive their tests.
    accuracy_table_ : dict of str to float
        Accuracy under the model of every method, and of the bounds "oracle" (known strengths of
        the views) and "bayes"; of every weighting for views of unequal widths.
    bayes_accuracy_ : float
        What no method exceeds under the model.
    saturation_accuracy_ : float
        What any number of further views would reach: the noise within the clusters remains. nan
        where it is not known.
    view_accuracies_ : ndarray of shape (n_views,)
        Accuracy of each view by itself, along the direction found from all; nan where unknown.
    view_weights_ : ndarray of shape (n_views,)
        Weights of the views, absolute values summing to 1; negative for views that are reversed.
    view_noise_ : ndarray of shape (n_views,)
        Variance of an entry of the noise of each view, in squared units of X; of all of an entry
        for correlated noise, nan for a single view.
    overlaps_ : ndarray of shape (3,)
        Squared alignments of labels, of the direction of the features and of the strengths of the
        views with the true ones, under the model.
    beta_t_, beta_m_ : float
        Strengths of the tensor and of the matrix inside it, the parameters of
        `skrmt.theory.nested_tensor`; nan where the noise of the views is not known by itself.
    n_spikes_ : int
        Components that stand out of the noise, at most 50.
    detected_ : bool
        Whether there is any.
    class_prior_ : ndarray of shape (n_clusters,)
        Shares of the clusters; equal for two whose sizes do not differ for sure.
    threshold_ : float
        Score that separates two clusters, in standard deviations; nan for more.
    method_ : str
        Method used; "concatenated" for views of unequal widths.
    n_iter_ : int
        Iterations.
    converged_ : bool
        Whether they settled.
    n_features_in_ : int
        Number of features of a view, or of all views of unequal widths together.

    See Also
    --------
    skrmt.theory.nested_tensor : What each method reaches.
    skrmt.datasets.make_nested_views : Data of this kind.

    Notes
    -----
    The fit takes three passes over the views, one Gram matrix of the combined view and its leading
    eigenvectors, :math:`2npm^2 + np\min(n,p)` flops beyond reading; views are centred block by
    block, not copied. Only "tensor", "unfolding", correlated noise and views of unequal widths
    copy them.

    Dask arrays are read where their blocks are by the methods "two_step" and "nested_ml", one pass
    each for checks, means, covariance, Gram matrix and embedding, and three for every sweep of
    "nested_ml": persist them if they fit into the memory of the workers. What travels is as small
    as p x p, m x m or the embedding; with more features than samples it is the combined view. The
    fit is the one in memory. "tensor", "unfolding" and correlated noise, hence two views of unknown
    noise, need all views in memory; "auto" chooses between the two others.

    The model: sample i of class :math:`y_i=\pm1` is :math:`h_k(y_i\mu+\sigma_zz_i)+\sigma_kw_{ik}`
    in view k. On real data the noise z within clusters is not white, and the first component need
    not be the one that separates them: where the spectrum says so, two clusters are separated
    along the direction of two modes among the eight leading components. An accuracy is told if
    fits to halves of the samples agree on it, and it agrees with the first component.

    References
    ----------
    A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

    Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model,
    arXiv:2402.10677.

    Examples
    --------
    >>> from skrmt.cluster import NestedTensorClustering
    >>> from skrmt.datasets import make_nested_views
    >>> data = make_nested_views(
    ...     400, 300, noise_stds=[1, 2, 3, 6], separation=2.0, random_state=0
    ... )
    >>> model = NestedTensorClustering(random_state=0).fit(data.X)
    >>> round(model.theoretical_accuracy_, 2), round(model.score(data.X, data.y), 2)
    (0.91, 0.92)
    >>> round(model.what_if(n_samples=4000), 2)
    0.94
    """

    _parameter_constraints = {
        "n_clusters": [Interval(numbers.Integral, 1, None, closed="left")],
        "method": [StrOptions({"nested_ml", "two_step", "tensor", "unfolding", "auto"})],
        "view_noise": [StrOptions({"auto", "diagonal", "full", "known"})],
        "noise_scale": ["array-like", None],
        "scaling": [StrOptions({"optimal", "mfa", "unit"})],
        "refine": [StrOptions({"amp"}), None],
        "threshold": [StrOptions({"mixture", "zero"})],
        "n_bootstrap": [Interval(numbers.Integral, 0, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="neither")],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_jobs": [numbers.Integral, None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters=2,
        *,
        method="nested_ml",
        view_noise="auto",
        noise_scale=None,
        scaling="mfa",
        refine=None,
        threshold="mixture",
        n_bootstrap=0,
        tol=1e-6,
        max_iter=300,
        n_jobs=None,
        device=None,
        random_state=None,
    ):
        self.n_clusters = n_clusters
        self.method = method
        self.view_noise = view_noise
        self.noise_scale = noise_scale
        self.scaling = scaling
        self.refine = refine
        self.threshold = threshold
        self.n_bootstrap = n_bootstrap
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, *, mask=None):
        """Cluster the samples of several views.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            The views; a matrix is one view. A list holds one matrix a view, of equal or unequal
            widths. A view that a sample lacks is NaN throughout. Dask arrays are chunked by
            samples; see Notes.
        y : None
            Not used.
        mask : array-like of bool of shape (n_samples, n_views), default=None
            Which samples have which view.

        Returns
        -------
        NestedTensorClustering
            The fitted estimator.

        Raises
        ------
        ValueError
            If the views or the mask cannot be used, or not with these parameters.
        """
        problem = self._problem(X, mask)
        attributes, messages, converged = fit_views(self, problem)
        dtype = self._dtype(X, problem)
        attributes["embedding_"] = attributes["embedding_"].astype(dtype)
        vars(self).update(attributes)
        if messages:
            warnings.warn(" ".join(messages), TheoryWarning, stacklevel=2)
        if not converged and self.detected_:
            warnings.warn(
                f"The weights of the views still moved after {self.n_iter_} iterations: raise "
                "max_iter or tol, or use method='two_step'.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def predict(self, X):
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
        labels = (decision > 0).astype(np.int64) if decision.ndim == 1 else decision.argmax(axis=1)
        return as_input(labels, like)

    def decision_function(self, X):
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

    def predict_proba(self, X):
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

    def transform(self, X):
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
        if is_dask_views(X):
            return by_blocks(self, "transform", X, self._fitted("_loadings")[0].shape[1])
        scores, _, like = self._scores(X, self._fitted("_loadings"))
        return as_input(scores.astype(dtype_of(like)), like)

    def score(self, X, y):
        """Compute the accuracy under the best naming of the clusters.

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
                f"y has {len(classes)} entries for {len(labels)} samples: pass one class a sample."
            )
        table = np.zeros((max(labels.max(), 0) + 1, classes.max() + 1))
        np.add.at(table, (labels, classes), 1)
        rows, columns = linear_sum_assignment(-table)
        return float(table[rows, columns].sum() / len(labels))

    def what_if(self, n_samples=None, n_views=None, drop_view=None):
        """Predict the accuracy of two clusters on other data of the same kind, in closed form.

        Parameters
        ----------
        n_samples : int, default=None
            Number of samples; that of the training data if None.
        n_views : int, default=None
            Number of views that are on average like those there are.
        drop_view : int or sequence of int, default=None
            Views to leave out.

        Returns
        -------
        float
            Accuracy under the model, to be compared with `model_accuracy_`.

        Raises
        ------
        ValueError
            If a number is not positive, a view does not exist, or none is left.
        """
        return accuracy_if(self._fitted("_core"), self._shape, n_samples, n_views, drop_view)

    @property
    def _n_features_out(self):
        """Number of columns that `transform` returns."""
        return self._loadings[0].shape[1]

    def _fitted(self, name):
        """Return a private attribute of a fitted estimator."""
        check_is_fitted(self)
        return getattr(self, name)

    def _problem(self, X, mask):
        """Check the input of `fit`."""
        vars(self).pop("feature_names_in_", None)
        if is_view_list(X):
            views = view_list(X, self.device)
            if len({int(view.shape[1]) for view in views}) > 1:
                return self._list_problem(views, mask)
            X = _stacked(views)
        if n_dimensions(X) == 2 and not is_torch(X) and not is_dask(X):
            X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2)
        stack = view_stack(X, mask, self.device)
        n, p, m = stack.shape
        self.n_features_in_ = p
        self._is_list, self._shape, self._scale = False, (n, p, m), stack.scale
        self._check_sizes(n, p)
        noise, scale = self._view_noise(m)
        return Problem(
            stack, None, noise, None if scale is None else scale / stack.scale, (n, p, m)
        )

    def _list_problem(self, views, mask):
        """Check what views of unequal widths do not allow."""
        if mask is not None or self.refine is not None:
            name, value = ("mask", "a mask") if mask is not None else ("refine", repr(self.refine))
            raise ValueError(
                f"{name} is {value}, which views of unequal widths do not allow: got widths "
                f"{[int(view.shape[1]) for view in views]}. Leave it at None."
            )
        n, width = int(views[0].shape[0]), sum(int(view.shape[1]) for view in views)
        self.n_features_in_ = width
        self._is_list, self._shape, self._scale = True, (n, width, len(views)), 1.0
        self._check_sizes(n, width)
        return Problem(None, views, "diagonal", None, (n, width, len(views)))

    def _check_sizes(self, n, p):
        """Refuse more clusters than samples or components."""
        if n < 2:
            raise ValueError(
                f"X has {n} sample(s), while a minimum of 2 is required: pass more samples."
            )
        if self.n_clusters > n or self.n_clusters - 1 > min(n, p):
            raise ValueError(
                f"n_clusters={self.n_clusters} is too large for {n} samples of {p} features: it "
                f"must be at most {min(n, min(n, p) + 1)}."
            )
        if self.refine is not None and self.n_clusters > 2:
            raise ValueError(
                f"refine={self.refine!r} separates two clusters, got n_clusters={self.n_clusters}. "
                "Use refine=None."
            )

    def _view_noise(self, n_views):
        """Return what is known of the noise of the views."""
        if self.view_noise == "known":
            return "known", _checked_scale(self.noise_scale, n_views)
        if self.view_noise == "diagonal" and n_views < 3:
            raise ValueError(
                f"view_noise='diagonal' needs 3 views to tell their noise apart, got {n_views}. "
                "Use view_noise='full', or 'known' with noise_scale."
            )
        if n_views == 1:
            return "none", None
        full = self.view_noise == "full" or (self.view_noise == "auto" and n_views == 2)
        return ("full" if full else "diagonal"), None

    def _dtype(self, X, problem):
        """Return the precision of the input."""
        first = problem.views[0] if problem.views is not None else problem.stack.X
        return dtype_of(first)

    def _decide(self, X):
        """Return the decision of checked samples, and what they are like."""
        head = self._fitted("_head")
        if self._amp_loadings is not None:
            scores, _, like = self._scores(X, self._amp_loadings)
            return scores[:, 0], like
        scores, precision, like = self._scores(X, self._loadings)
        return head.decision(scores * precision[:, None]), like

    def _scores(self, X, loadings):
        """Return scores of samples, how far their noise is below the usual, and a view."""
        check_is_fitted(self)
        if self._is_list:
            return self._list_scores(X, loadings)
        if is_view_list(X):
            X = _stacked(view_list(X, self.device))
        if n_dimensions(X) == 2 and not is_torch(X):
            X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        stack = view_stack(X, None, self.device, self._shape[1:])
        core = self._core
        flat = np.concatenate(loadings, axis=0)
        n = stack.shape[0]
        means = np.stack(core.means, axis=1) * (self._scale / stack.scale)
        views = np.asarray(to_numpy(stack.X), dtype=np.float64) - means
        views *= stack.scale / self._scale
        precision = np.ones(n)
        if stack.mask is not None:
            views *= stack.mask[:, None, :]
        scores = views.transpose(0, 2, 1).reshape(n, -1) @ flat
        present = stack.mask
        if "strengths" in core.model and present is None:
            present = np.ones((n, self._shape[2]), dtype=bool)
        if present is not None:
            scores, precision = complete_scores(core, scores, present, self.method_)
        return scores, precision, X

    def _list_scores(self, X, loadings):
        """Return scores of samples of views of unequal widths."""
        views = listed_views(self, X)
        parts = [
            (np.asarray(to_numpy(view), dtype=np.float64) - mean) @ loading
            for view, mean, loading in zip(views, self._core.means, loadings, strict=True)
        ]
        return np.sum(parts, axis=0), np.ones(len(parts[0])), views[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _stacked(views):
    """Return views of equal width as one array."""
    if is_dask(views[0]):
        return stacked(views)
    return get_backend(*views).stack(views, -1)


def _checked_scale(noise_scale, n_views):
    """Return the standard deviations of the noise, or say what is wrong."""
    if noise_scale is None:
        raise ValueError(
            "view_noise='known' needs noise_scale, the standard deviations of the noise of the "
            f"{n_views} views, got None."
        )
    scale = np.asarray(to_numpy(noise_scale), dtype=np.float64)
    if scale.shape != (n_views,) or not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(
            f"noise_scale must hold {n_views} positive standard deviations, one a view, got "
            f"{noise_scale!r}."
        )
    return scale
