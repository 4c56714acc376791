"""Low-rank decomposition of a noisy tensor whose accuracy is known without the truth."""

from __future__ import annotations

import numbers
from typing import Literal, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.random import RandomState
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from ..theory.spiked_tensor import thresholds
from ..utils._docs import DocLinkMixin
from ..utils._fit import restore_on_failure
from ..utils._progress import say
from ..utils._random import random_seed
from ..utils._regimes import regime
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context
from ..utils._types import DataLike
from ..utils._warnings import warn, warn_first
from ._decomposition import accuracy_of, decompose
from ._deflation_fit import signs_of
from ._joint_fit import fit_jointly
from ._predictions import TOO_FEW
from ._scorer import TensorScorer
from ._tensor_input import check_rank, tensor_input

_USE_AUTO = "use n_components='auto'"


class TensorDeflation(TensorScorer, DocLinkMixin, BaseEstimator):
    r"""Low-rank decomposition (CP) of a noisy tensor, with the accuracy of each factor.

    The tensor is a sum of `n_components` rank-one tensors and of independent noise. Random matrix
    theory predicts from the fit alone how many components stand out of the noise, how strong each
    is, and how far each estimated factor is from the true one.

    Parameters
    ----------
    n_components : int or "auto", default="auto"
        Number of components. "auto" adds components as long as the best rank one of what the
        joint fit leaves exceeds that of pure noise, :math:`\lambda_0 + 1/\sqrt N`; there may be
        none.
    method : {"joint", "hotelling", "orthogonalized", "auto"}, default="joint"
        "joint" fits all components by least squares. "hotelling" subtracts the best rank one and
        starts again. "orthogonalized" projects the first axis off the estimate, with strength
        `gamma`. "auto" predicts what each would reach on this tensor and takes the best.
    gamma : float or "auto", default="auto"
        Strength of the projection, 0 to 1, for "orthogonalized"; "auto" is the best in theory.
    noise_variance : float, default=None
        Mean variance of an entry of the noise; estimated from the residual if None.
    noise_structure : {"auto", "white"}, default="auto"
        "auto" tests whether the noise is white; where it is not, its covariance in each axis is
        estimated, and the components are those of the whitened tensor. "white" trusts that it is.
    n_init : int, default=20
        Random starts of every search in a compressed tensor, beside spectral ones, at most: a joint
        fit that comes out three times ends it.
    tol : float, default=1e-6
        Iterations stop when no unit factor moves by more in a sweep, or when 25 sweeps explain no
        more than one entry of the noise a component.
    max_iter : int, default=500
        Largest number of sweeps.
    device : str, default=None
        Torch device on which NumPy input is computed, such as "cuda"; results come back as NumPy.
    n_jobs : int, default=None
        Threads that search compressed tensors side by side where components are weak.
    verbose : int, default=0
        Print a line on every component if positive.
    random_state : int, RandomState instance or None, default=None
        Seed of the random starts.

    Attributes
    ----------
    weights_ : ndarray of shape (r,)
        Norms of the components, in the units of X, largest first for "joint", else in the order
        found. They exceed the true ones where components are weak; see `reconstruct`.
    factors_ : list of ndarray of shape (p_m, r)
        Unit factors, one array an axis, the largest entries of all but the last positive.
    n_components_ : int
        Number of components r, 0 where "auto" finds none.
    noise_variance_ : float
        Mean variance of an entry of the noise, in squared units of X.
    noise_covariances_ : list of ndarray of shape (p_m, p_m)
        Covariance of the noise in each axis, its mean eigenvalue 1; the identity for white noise.
    n_outliers_ : int
        Entries that were set aside, each of which could pass for a component of its own.
    singular_values_ : ndarray of shape (r,)
        Norms of a joint fit, the rank-one values of the steps of deflation, in units of
        :math:`\sigma\sqrt N`, N the sum of the sizes; those of the whitened tensor without gaps.
    next_singular_value_ : float
        Best rank-one value of what "auto" left, in the same units; nan with a given number.
    snr_ : ndarray of shape (r,)
        Norms :math:`\beta` of the true components, in the same units: `singular_values_`
        without their bias. nan for components that are not detected.
    snr_std_ : ndarray of shape (r,)
        Standard errors of `snr_`.
    grams_ : ndarray of shape (d, r, r)
        Estimated cosines of the true factors in each axis.
    theoretical_alignments_ : ndarray of shape (r, d)
        Predicted absolute cosine of each estimated factor and the true one; 0 for components that
        are not detected. Where a component's regime is "misfit", its reproducibility: the
        alignment with the fit of very many data, by the cosines of halves of the tensor; nan where
        there are more components than `n_components_`.
    theoretical_alignments_std_ : ndarray of shape (r, d)
        Standard deviation of the realised alignments about these: errors of `snr_`, and the
        finite sizes. nan for components that are not detected.
    theoretical_accuracy_ : float
        Mean overlap, the mean of their squares: 1 for perfect factors, 0 where none is found.
    theoretical_accuracy_interval_ : ndarray of shape (2,)
        95 % interval of the realised mean overlap. Where halves are compared it extends down by
        what a distortion that all data share may do, as far as the residual shows it; nan where
        only one axis is long enough to be halved.
    observed_accuracy_, observed_accuracy_interval_ : float, ndarray of shape (2,)
        The same: there are no labels that could be wrong.
    regime_ : {"detected", "ambiguous", "misfit", "undetected", "too_few_rows"}
        "misfit" where theory does not apply to the residual, and alignments are those of split
        halves, "undetected" where no component
        stands out of the noise, else "detected"; see :term:`regime`.
    component_regimes_ : list of str
        "detected", "undetected" or "misfit" for each component.
    cross_alignments_ : ndarray of shape (r, r, d)
        Cosines of the estimated factors.
    shrinkage_ : ndarray of shape (r,)
        Factors by which `weights_` are multiplied to come closest to the signal.
    thresholds_ : SpikedThresholds
        Bulk edge, least signal, noise norm, critical signal and that of a spectral start, in the
        same units, for tensors of this shape.
    gamma_ : float
        Strength of the projection; nan without one.
    method_ : str
        Method used.
    method_scores_ : dict of str to float
        Predicted mean overlap of the methods, of all of them for "auto".
    n_iter_ : int
        Sweeps of the last fit.

    See Also
    --------
    skrmt.datasets.make_spiked_tensor : Tensors of this kind.
    skrmt.theory.spiked_tensor : Thresholds and limits for one component.
    skrmt.theory.deflation : Limits for several.

    Notes
    -----
    The theory is that of independent noise entries of one variance, in tensors whose sizes are of
    one order of magnitude. Noise that is not white is brought to it: its covariance in each axis
    (variances, a smooth or any matrix, as the data ask for) is estimated by turns from what is
    left off the leading directions of the other axes, the tensor is multiplied by the inverse
    roots, and the components found are multiplied by the roots. The tails of the noise need no
    fourth moment; entries that could pass for components are set aside. Where entries have
    unequal variances still, the norm of the noise is measured with random signs.

    Missing entries (NaN), at random and at most a third, are filled from the fit; what is left of
    the others is scaled by one over their share, which gives the noise of a tensor without gaps of
    that much more variance. `snr_` counts in that noise. A tensor that is symmetric in all axes is
    recognised: noise averaged over the orders of d axes has the limits of independent noise.

    If the residual still has structure, or tails that no variance describes, `snr_` is nan, a
    `TheoryWarning` says why, and `theoretical_alignments_` are measured: halves of every axis are
    fitted anew, and a cosine c of the halves stands for the squared alignment 2c / (1 + c) of the
    whole. Nothing is centred or scaled.

    The search compresses the tensor by singular vectors, one axis after the other, and looks for
    all components there; the least-squares fit then takes two passes over the tensor a sweep,
    whatever the number of components. Beside X it needs memory for the products of the factors;
    X is copied where it is not C-contiguous, where its magnitude is extreme, and where an axis is
    four times longer than the first one.

    The joint fit is nearly always the most accurate: deflation leaves correlated components
    mixed, however strong they are.

    References
    ----------
    On the Accuracy of Hotelling-Type Asymmetric Tensor Deflation, arXiv:2310.18717.

    Hotelling Deflation on Large Symmetric Spiked Tensors, arXiv:2304.10248.

    Optimizing Orthogonalized Tensor Deflation via Random Tensor Theory, arXiv:2302.05798.

    Quadratic Shrinkage for Large Covariance Matrices, Bernoulli 28(3), 2022.

    When Random Tensors meet Random Matrices, arXiv:2112.12348.

    Examples
    --------
    >>> from skrmt.datasets import make_spiked_tensor
    >>> from skrmt.decomposition import TensorDeflation
    >>> data = make_spiked_tensor((50, 60, 70), [5.0, 3.5], grams=0.4, random_state=0)
    >>> model = TensorDeflation(random_state=0).fit(data.X)
    >>> model.n_components_
    2
    >>> model.theoretical_alignments_.round(2)
    array([[0.99, 0.99, 0.99],
           [0.99, 0.99, 0.98]])
    >>> round(model.alignment_score(data.factors), 2)
    0.99
    """

    _parameter_constraints: dict = {
        "n_components": [Interval(numbers.Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "method": [StrOptions({"joint", "hotelling", "orthogonalized", "auto"})],
        "gamma": [Interval(numbers.Real, 0, 1, closed="both"), StrOptions({"auto"})],
        "noise_variance": [Interval(numbers.Real, 0, None, closed="neither"), None],
        "noise_structure": [StrOptions({"auto", "white"})],
        "n_init": [Interval(numbers.Integral, 1, None, closed="left")],
        "tol": [Interval(numbers.Real, 0, None, closed="neither")],
        "max_iter": [Interval(numbers.Integral, 1, None, closed="left")],
        "device": [str, None],
        "n_jobs": [numbers.Integral, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | Literal["auto"] = "auto",
        *,
        method: Literal["joint", "hotelling", "orthogonalized", "auto"] = "joint",
        gamma: float | Literal["auto"] = "auto",
        noise_variance: float | None = None,
        noise_structure: Literal["auto", "white"] = "auto",
        n_init: int = 20,
        tol: float = 1e-6,
        max_iter: int = 500,
        device: str | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.n_components = n_components
        self.method = method
        self.gamma = gamma
        self.noise_variance = noise_variance
        self.noise_structure = noise_structure
        self.n_init = n_init
        self.tol = tol
        self.max_iter = max_iter
        self.device = device
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: DataLike, y: None = None) -> Self:
        """Decompose a tensor.

        Parameters
        ----------
        X : array-like or torch tensor of shape (p_1, ..., p_d)
            The tensor, of order 3 or more, every size 2 or more; samples along the first axis.
            NaN for missing entries, at most a third of all. float32 is kept.
        y : None
            Not used.

        Returns
        -------
        TensorDeflation
            The fitted estimator.
        """
        data = tensor_input(X, self.device)
        rank = check_rank(self.n_components, data.dims)
        search = self._search_options(data)
        known = self._known_variance(data)
        options = {**search, "noise_variance": known}
        found = fit_jointly(data, rank, self.noise_structure, options)
        result = decompose(found, rank, known, self.method, self.gamma, search)
        accuracy, regimes = accuracy_of(result, data, search)

        self._keep_components(result, data)
        self.noise_variance_ = float((np.sqrt(result.entry_variance) * data.scale) ** 2)
        self.singular_values_ = result.fit.values / result.unit
        self.next_singular_value_ = found.joint.next_value / result.unit
        self.thresholds_ = thresholds(data.dims)
        self.n_outliers_ = found.n_outliers
        self.method_, self.gamma_, self.n_iter_ = result.method, result.gamma, result.fit.n_iter
        self.snr_, self.snr_std_ = accuracy.snr, accuracy.snr_std
        self.grams_ = accuracy.grams
        self.theoretical_alignments_ = accuracy.alignments
        self.theoretical_alignments_std_ = accuracy.alignments_std
        self.theoretical_accuracy_ = self.observed_accuracy_ = accuracy.mean
        self.theoretical_accuracy_interval_ = accuracy.interval
        self.observed_accuracy_interval_ = accuracy.interval.copy()
        self.shrinkage_, self.method_scores_ = accuracy.shrinkage, accuracy.methods
        self.component_regimes_ = regimes
        misfit = bool(result.signal.misfit) or set(regimes) == {"misfit"}
        nothing = not (misfit or set(regimes) - {"undetected"})
        self.regime_ = regime(undetected=nothing, misfit=misfit)
        self._warn(result.signal.misfit, result.fit.converged)
        return self

    def _keep_components(self, result, data):
        """Set weights, factors and their cosines, and the covariances of the noise."""
        components, factors = result.components, result.factors
        signs = signs_of(factors)
        self.weights_ = components.weights * data.scale
        self.factors_ = [
            (factor * sign).astype(data.dtype) for factor, sign in zip(factors, signs, strict=True)
        ]
        self.n_components_ = components.rank
        grams = np.array([factor.T @ factor for factor in factors])
        cross = grams * signs[:, :, None] * signs[:, None, :]
        self.cross_alignments_ = cross.transpose(1, 2, 0)
        covariances = result.covariances or [np.eye(size) for size in data.dims]
        self.noise_covariances_ = [matrix.copy() for matrix in covariances]

    def _known_variance(self, data):
        """Return the variance of the noise over the squared scale, None if it is estimated."""
        if self.noise_variance is None:
            return None
        return float((np.sqrt(self.noise_variance) / data.scale) ** 2)

    def _search_options(self, data):
        """Return how to search."""
        return {
            "n_init": self.n_init,
            "tol": max(self.tol, 20 * data.tensor.resolution),
            "max_iter": self.max_iter,
            "seed": random_seed(self.random_state),
            "report": say,
            "run": lambda function, jobs: Parallel(n_jobs=self.n_jobs, prefer="threads")(
                delayed(function)(job) for job in jobs
            ),
        }

    def _warn(self, misfit, converged):
        """Warn where theory does not apply, or nothing is found."""
        messages = []
        if misfit:
            instead = "alignments are those of split halves"
            if misfit == TOO_FEW:
                more = "more data may separate them" if self.n_components == "auto" else _USE_AUTO
                instead = f"so are alignments; {more}"
            messages.append(f"Theory does not apply: {misfit}. snr_ is NaN, {instead}.")
        if not self.n_components_:
            messages.append(
                "No component stands out of the noise: n_components_ is 0. Give n_components to "
                "fit some nevertheless."
            )
        elif "undetected" in self.component_regimes_:
            messages.append(
                "Some components do not stand out of the noise: their component_regimes_ are "
                "'undetected', their alignments 0. Use fewer components, or n_components='auto'."
            )
        warn_first(messages)
        if not converged:
            warn(
                "The components still moved by more than tol in the last sweep: raise max_iter or "
                "tol, or use fewer components; those that nearly coincide converge slowly.",
                ConvergenceWarning,
            )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
