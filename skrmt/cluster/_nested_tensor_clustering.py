"""Multi-view clustering that predicts, without labels, how far its labels are settled."""

from __future__ import annotations

import numbers
from typing import Literal, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.exceptions import ConvergenceWarning

from ..linalg import is_torch
from ..utils._dask import is_dask
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._random import random_seed
from ..utils._regimes import regime
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context, validate_data
from ..utils._types import DataLike
from ..utils._warnings import warn, warn_first
from ._accuracy import concatenated_limits, method_accuracies, nested_limits
from ._claims import claimed_agreement
from ._combination import IMPROPER
from ._copies import copied_views, message, spread, without_copies
from ._new_samples import dtype_of
from ._predictor import ViewsPredictor
from ._solution import Options, solve
from ._views_input import (
    ViewList,
    check_sizes,
    checked_variance,
    is_view_list,
    n_dimensions,
    names_of_views,
    stacked,
    view_list,
    view_stack,
)


class NestedTensorClustering(ViewsPredictor, DocLinkMixin, ClusterMixin, BaseEstimator):
    r"""Clustering of samples seen through several noisy views, with the agreement to expect.

    Views of the same samples carry the same clusters with different, unknown strengths and noise.
    The estimator learns from the covariance of the views how far each is to be trusted, combines
    them into one matrix, and clusters along its leading components. Where the data break the
    assumptions of the model, solutions of other methods are tried, and the one is kept that
    separates held-out samples best. It predicts on how many labels of fresh samples a fit to many
    more samples would agree. That clusters are anybody's classes is not claimed.

    Parameters
    ----------
    n_clusters : int, default=2
        Number of clusters.
    method : {"nested_ml", "two_step", "tensor", "unfolding", "auto"}, default="nested_ml"
        How views of equal width are combined. "two_step": by their covariance, in closed form.
        "nested_ml": by maximum likelihood, which is iterated only where theory says that this is
        worth more than 0.1 % of the samples. "tensor": by the best rank-one approximation.
        "unfolding": not at all, the views are concatenated. "auto": as theory says is best here.
    noise_structure : {"auto", "diagonal", "full", "known"}, default="auto"
        Noise of the views: "diagonal" is independent between views, of unequal unknown variances,
        which takes three views; "full" may be correlated between views; "known" has the variances
        `noise_variance`. "auto" is "full" for two views, and for more where the covariance of the
        views speaks against one factor and correlated noise explains clusters that independent
        noise does not, as where views are noisy copies of one; else "diagonal".
    noise_variance : array-like of shape (n_views,), default=None
        Variance of an entry of the noise of each view, for `noise_structure="known"`.
    scaling : {"mfa", "optimal", "unit"}, default="mfa"
        Weights of views of unequal widths: "mfa" divides each by its largest singular value,
        "unit" gives them equal variances, "optimal" is best under the model of white noise.
    refine : {None, "amp"}, default=None
        "amp" improves the labels of two clusters by approximate message passing, which reaches
        `bayes_accuracy_` under the model; rarely more than one sample in a hundred.
    threshold : {"mixture", "zero"}, default="mixture"
        Where two clusters are separated: at 0, the mean of the scores, or, if their sizes differ
        by more than two standard errors, between two fitted Gaussian laws.
    compare : bool, default=True
        Whether solutions of other methods are tried where the model fails its tests; see
        `method_`. Not where views are missing, nor with `refine`.
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
        Agreement: share of the labels of fresh samples that a fit to many more samples of the kind
        gives too, under the best naming of the clusters. In closed form where the model survives
        its tests, else from fits to random halves of the samples; nan where these differ on more
        than 15 % of the labels, chance where nothing is found. It is not the share of samples in
        the right class: clusters can be stable and not be the classes.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of it, for fits to three times the samples or more.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        The same: there are no labels that could be wrong.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "undetected" where no component stands out of the noise, "misfit" where the model fails its
        tests and fits to halves of the samples agree, "ambiguous" where they do not, else
        "detected"; see :term:`regime`.
    model_accuracy_ : float
        Share of the samples in the right class under the model of white noise within classes,
        optimistic where that is not so.
    model_fit_ : bool
        Whether white noise within the clusters and the law of the scores survive their tests, and
        the clusters are those of the model.
    method_scores_ : dict of str to float
        Accuracy under the model of every method, and of the bounds "oracle" (known strengths of
        the views) and "bayes"; of every weighting for views of unequal widths.
    bayes_accuracy_ : float
        What no method exceeds under the model.
    saturation_accuracy_ : float
        What any number of further views would reach: the noise within the clusters remains. nan
        where it is not known.
    view_accuracies_ : ndarray of shape (n_views,)
        Accuracy of each view by itself under the model, along the direction found from all; where
        the model fails its tests, the share of samples that it puts where all views do; nan where
        unknown.
    view_weights_ : ndarray of shape (n_views,)
        Weights of the views in the solution kept, absolute values summing to 1; negative for views
        that are reversed, 0 for copies, equal for "kmeans" and "gaussian_mixture".
    view_copies_ : ndarray of int of shape (n_views,)
        The view that each is a copy of, up to the units and the sign of columns; itself if of none.
        Copies count once.
    noise_variance_ : ndarray of shape (n_views,)
        Variance of an entry of the noise of each view, in squared units of X; of all of an entry
        for correlated noise, nan for a single view and for copies.
    noise_structure_ : {"none", "diagonal", "full", "known"}
        Form of the noise of the views; "none" for a single view or views of unequal widths.
    overlaps_ : ndarray of shape (3,)
        Squared alignments of labels, of the direction of the features and of the strengths of the
        views with the true ones, under the model.
    beta_t_, beta_m_ : float
        Strengths of the tensor and of the matrix inside it, the parameters of
        `skrmt.theory.nested_tensor`; nan where the noise of the views is not known by itself.
    n_spikes_ : int
        Components that stand out of the noise, at most 50.
    class_prior_ : ndarray of shape (n_clusters,)
        Shares of the clusters; equal for two whose sizes do not differ for sure.
    threshold_ : float
        Score that separates two clusters, in standard deviations; nan for more.
    method_ : str
        Method whose clusters are kept: that of the nested model, "concatenated" for views of
        unequal widths, or "components" (two modes among leading components of standardised views
        that count by how well the others predict them), "kmeans" or "gaussian_mixture" (on
        standardised views side by side). With these three `embedding_` and `transform` are the
        scores that separate the clusters - whitened components, coordinates between the means of
        k-means, five leading components - and `model_accuracy_`, `method_scores_`, `overlaps_` and
        `forecast` are still those of the nested model.
    n_iter_ : int
        Iterations.
    converged_ : bool
        Whether they settled.
    n_features_in_ : int
        Number of features of a view, or of all views of unequal widths together.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X is a frame, or a list of frames that have the same names or unequal
        widths.

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

    Dask arrays are read where their blocks are by the methods "two_step" and "nested_ml": once for
    checks, means and covariance, once for the Gram matrix of the combined view, once for the
    embedding, and once more for every step of ``refine="amp"``. What travels is as small
    as p x p, m x m or the embedding; with more features than samples it is the combined view. The
    fit is the one in memory. "tensor", "unfolding" and correlated noise, hence two views of unknown
    noise, need all views in memory; "auto" chooses between the two others.

    The model: sample i of class :math:`y_i=\pm1` is :math:`h_k(y_i\mu+\sigma_zz_i)+\sigma_kw_{ik}`
    in view k. On real data the noise z within clusters is not white, and the first component need
    not be the one that separates them: where the spectrum says so, two clusters are separated
    along the direction of two modes among the eight leading components. That solution is compared
    with those of other methods: on half of the samples a linear discriminant of the labels gives
    Gaussian laws, and the log-likelihood of the other half less that of one law is the criterion.
    Another solution of two clusters is kept where it is better by .05 per sample and by two
    standard errors; of more clusters, the best. At most 4000 samples decide, and are taken into
    memory.

    With the mean disagreement d of eight pairs of fits to random halves of the samples, the
    agreement is 1 - d/2, since labels near a boundary change like the root of the summed inverse
    numbers of samples: d is that of n/2 with n/2, and a fit to n differs from one to many more half
    as often. Samples that are equal go to the same half, and halves follow from what samples are,
    not from their order. Under the model, scores along the fitted and the true direction have the
    correlation c and means :math:`\pm cA` and :math:`\pm A`, from which the agreement follows.

    Where the covariance of the views does not show what they share without doubt, as with small
    classes, strengths and noise also come from the best rank-one tensor of maximum likelihood, and
    the likelier of both solutions of the nested model is taken.

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
    >>> round(model.theoretical_accuracy_, 2)  # agreement with a fit to many more samples
    0.93
    >>> round(model.model_accuracy_, 2), round(model.score(data.X, data.y), 2)
    (0.91, 0.92)
    >>> round(float(model.forecast(n_samples=4000).score), 2)
    0.94
    """

    _parameter_constraints: dict = {
        "n_clusters": [Interval(numbers.Integral, 1, None, closed="left")],
        "method": [StrOptions({"nested_ml", "two_step", "tensor", "unfolding", "auto"})],
        "noise_structure": [StrOptions({"auto", "diagonal", "full", "known"})],
        "noise_variance": ["array-like", None],
        "scaling": [StrOptions({"optimal", "mfa", "unit"})],
        "refine": [StrOptions({"amp"}), None],
        "threshold": [StrOptions({"mixture", "zero"})],
        "compare": ["boolean"],
        "n_bootstrap": [Interval(numbers.Integral, 0, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="neither")],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "n_jobs": [numbers.Integral, None],
        "device": [str, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_clusters: int = 2,
        *,
        method: Literal["nested_ml", "two_step", "tensor", "unfolding", "auto"] = "nested_ml",
        noise_structure: Literal["auto", "diagonal", "full", "known"] = "auto",
        noise_variance: ArrayLike | None = None,
        scaling: Literal["mfa", "optimal", "unit"] = "mfa",
        refine: Literal["amp"] | None = None,
        threshold: Literal["mixture", "zero"] = "mixture",
        compare: bool = True,
        n_bootstrap: int = 0,
        tol: float = 1e-6,
        max_iter: int = 300,
        n_jobs: int | None = None,
        device: str | None = None,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.method = method
        self.noise_structure = noise_structure
        self.noise_variance = noise_variance
        self.scaling = scaling
        self.refine = refine
        self.threshold = threshold
        self.compare = compare
        self.n_bootstrap = n_bootstrap
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.device = device
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: DataLike, y: None = None, *, mask: ArrayLike | None = None) -> Self:
        """Cluster the samples of several views.

        Parameters
        ----------
        X : array-like, tensor or dask array of shape (n_samples, n_features, n_views), or list
            The views; a matrix is one view. A list holds one matrix or frame per view, of equal or
            unequal widths. A view that a sample lacks is NaN throughout. Dask arrays are chunked
            by samples; see Notes.
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
        views = self._check_views(X, mask)
        self._shape, self._scale = views.shape, views.scale
        self._widths = [int(v.shape[1]) for v in views.X] if self._is_list else None
        self.view_copies_ = copied_views(views)
        views = self._with_noise(without_copies(views, self.view_copies_))
        options = self._options()
        solution = solve(views, options)
        claim = claimed_agreement(views, solution, options, self.n_bootstrap, self.n_jobs)
        combined, clusters = solution.combined, solution.clusters
        detected = combined.spectrum.n_spikes > 0
        misfit = not (solution.is_nested and clusters.model_fit)
        if isinstance(views, ViewList):
            limits = concatenated_limits(combined, views.shape[0])
        else:
            limits = nested_limits(combined, views, solution)

        self.method_ = solution.method
        self.labels_, self.embedding_ = solution.labels, solution.embedding.astype(dtype_of(views))
        self.theoretical_accuracy_ = self.observed_accuracy_ = float(claim.value)
        self.theoretical_accuracy_interval_ = claim.interval
        self.observed_accuracy_interval_ = claim.interval.copy()
        unknown = not np.isfinite(claim.value)
        self.regime_ = regime(
            undetected=not detected, misfit=misfit and not unknown, ambiguous=unknown
        )
        self.model_accuracy_ = float(clusters.model_accuracy)
        self.model_fit_ = not misfit
        self.method_scores_ = method_accuracies(combined, views.shape)
        self.bayes_accuracy_ = float(self.method_scores_.get("bayes", np.nan))
        self.saturation_accuracy_ = limits.saturation
        origin = self.view_copies_
        self.view_accuracies_ = spread(limits.view_accuracies, origin)
        self.view_weights_ = spread(solution.view_weights, origin, 0.0)
        self.noise_variance_ = spread(combined.noise * (views.scale * views.scale), origin, np.nan)
        structure = "none" if isinstance(views, ViewList) else views.noise_structure
        self.noise_structure_ = "full" if combined.correlated else structure
        self.overlaps_ = limits.overlaps
        self.beta_t_, self.beta_m_ = limits.beta_t, limits.beta_m
        self.n_spikes_ = int(combined.spectrum.n_spikes)
        self.class_prior_, self.threshold_ = clusters.priors, float(clusters.threshold)
        self.n_iter_ = max(1, combined.n_iter, clusters.n_iter)
        self.converged_ = bool(combined.converged)
        nothing = np.zeros((0, 0))
        self._solution = solution._replace(
            combined=combined.for_new_samples(), embedding=nothing, labels=nothing.ravel()
        )
        self._warn(combined.improper)
        return self

    def _check_views(self, X, mask):
        """Check the input of `fit`."""
        self.__dict__.pop("feature_names_in_", None)
        self._view_names, self._is_list = None, False
        if is_view_list(X):
            views = view_list(X, self.device)
            self._is_list = len({int(view.shape[1]) for view in views}) > 1
            self._record_names(names_of_views(X))
            if self._is_list:
                return self._check_list(views, mask)
            X = stacked(views)
        if n_dimensions(X) == 2 and not is_torch(X) and not is_dask(X):
            X = validate_data(self, X, dtype=(np.float64, np.float32), ensure_min_samples=2)
        views = view_stack(X, mask, self.device)
        n, self.n_features_in_, _ = views.shape
        check_sizes(n, self.n_features_in_, self.n_clusters, self.refine)
        return views

    def _with_noise(self, views):
        """Return views with the form of their noise, and its variances where they are known."""
        if isinstance(views, ViewList):
            return views
        structure, variance = self._check_noise(views.shape[2])
        return views._replace(
            noise_structure=structure,
            noise_variance=None if variance is None else variance / views.scale**2,
        )

    def _record_names(self, names):
        """Record the feature names of a list of frames."""
        self._view_names = names
        if any(one is None for one in names):
            return
        if self._is_list:
            self.feature_names_in_ = np.concatenate(names)
        elif all(np.array_equal(one, names[0]) for one in names):
            self.feature_names_in_ = names[0]

    def _check_list(self, views, mask):
        """Check what views of unequal widths do not allow."""
        if mask is not None or self.refine is not None:
            name, value = ("mask", "a mask") if mask is not None else ("refine", repr(self.refine))
            raise ValueError(
                f"{name} is {value}, which views of unequal widths do not allow: got widths "
                f"{[int(view.shape[1]) for view in views]}. Leave it at None."
            )
        views = ViewList(views)
        n, self.n_features_in_, _ = views.shape
        check_sizes(n, self.n_features_in_, self.n_clusters, self.refine)
        return views

    def _check_noise(self, n_views):
        """Return the form of the noise of the views, and its variances where they are known."""
        if self.noise_structure == "known":
            variance = checked_variance(self.noise_variance, self._shape[2])
            return "known", variance[self.view_copies_ == np.arange(len(variance))]
        if self.noise_structure == "diagonal" and n_views < 3:
            raise ValueError(
                f"noise_structure='diagonal' needs 3 different views to separate their noise, got "
                f"{n_views}. Use noise_structure='full', or 'known' with noise_variance."
            )
        if n_views == 1:
            return "none", None
        full = self.noise_structure == "full" or (self.noise_structure == "auto" and n_views == 2)
        return ("full" if full else "diagonal"), None

    def _options(self):
        """Return the parameters of the procedure, with a seed."""
        return Options(
            self.n_clusters,
            self.method,
            self.scaling,
            self.refine,
            self.threshold,
            self.compare,
            self.tol,
            self.max_iter,
            random_seed(self.random_state),
            self.noise_structure == "auto",
        )

    def _warn(self, improper):
        """Warn of what the user should know."""
        messages = []
        if self.regime_ == "undetected":
            messages.append(
                "No component stands out of the noise: the clusters are no better than chance. "
                "More samples or views may bring them out; see n_spikes_."
            )
        elif not np.isfinite(self.theoretical_accuracy_):
            messages.append(
                "The agreement with other fits is unknown: the noise within clusters is not like "
                "that of the model, and fits to halves of the samples find different clusters. See "
                "model_accuracy_ for what the model would predict."
            )
        if (self.view_copies_ != np.arange(len(self.view_copies_))).any():
            messages.append(message(self.view_copies_))
        if improper:
            messages.append(IMPROPER)
        warn_first(messages)
        if not self.converged_ and self.regime_ != "undetected":
            warn(
                "The weights of the views still moved after the last iteration: raise max_iter or "
                "tol, or use method='two_step'.",
                ConvergenceWarning,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
