"""One matrix from many views of equal width: their weights, and what is left of their noise."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq

from ..linalg import DenseTensor, RankOne, best_rank_one, get_backend, to_numpy
from ..theory import nested_tensor
from ..theory.nested_tensor import UnequalViews
from ..theory.nested_tensor._views import weighted_spike
from ..theory.spiked_tensor import thresholds
from ..utils._dask import is_dask
from ..utils._rows import row_values
from ._factor import SpikedSpectrum, ViewFactor, fit_view_factor, spiked_spectrum
from ._rank_one_start import as_factor, fit_rank_one, is_clear, nested_loss
from ._view_products import (
    LeadingComponents,
    combine_views,
    leading_components,
    project_views,
    view_gram,
    view_means,
    weighted_components,
)
from ._views_input import ViewStack

MOST_ROWS = 4000
"""Samples on which what needs all views in memory is fitted: of more, the rest changes little."""

MOST_COMPONENTS = 50
"""Components that are kept, documented in `embedding_`."""

_LEAST_CORRELATION = 0.01
_CORRELATION_SIGMAS = 5.0
"""Correlation of the noise of two views that is looked into, and the standard errors of one of
white noise that come on top: it costs a search, but views that are not correlated none."""

_LEAST_GAIN = 1e-3
"""Accuracy that maximum likelihood must gain in theory to be iterated: one sample in a thousand,
less than the standard error of the accuracy of any sample that fits into memory."""

_UNDAMPED = 20
"""Sweeps after which steps are halved, which ends the rare oscillations between two weights."""

IMPROPER = (
    "The noise of a view was estimated at 0 or below: the views share more than one factor, or one "
    "is a copy of others. Try noise_structure='full'."
)


class NestedModel(NamedTuple):
    """Parameters of the nested model, in units of the part that the views share.

    Attributes
    ----------
    signal : float
        Squared singular value of the labels in the combined view.
    within : float
        Variance of the noise within the classes.
    precision : float
        Inverse of the variance that the noise of the views leaves.
    strengths : ndarray of shape (m,) or None
        Strengths of the views; None where weights, noise and precision give them.
    """

    signal: float
    within: float
    precision: float
    strengths: np.ndarray | None = None


class ConcatenatedModel(NamedTuple):
    """Parameters of views of unequal widths: squared signals, widths and noise of each."""

    limit: UnequalViews
    signals: np.ndarray
    widths: np.ndarray
    noise: np.ndarray


class CombinedViews(NamedTuple):
    """Leading components of combined or concatenated views.

    Attributes
    ----------
    components : LeadingComponents
        Of the matrix of all samples.
    spectrum : SpikedSpectrum
        Its spikes.
    loadings : list of ndarray of shape (p_k, q)
        What a centred view is multiplied with; the sum over views are the scores on the right
        singular vectors.
    means : list of ndarray of shape (p_k,)
        Means of the views.
    weights : ndarray of shape (m,)
        Weights of the views.
    noise : ndarray of shape (m,)
        Noise variances of the views.
    model : NestedModel or ConcatenatedModel
        Parameters of the model.
    white : bool
        Whether the noise is like that of the model.
    improper : bool
        Whether the noise of a view was estimated at 0 or below.
    n_iter : int
        Iterations.
    converged : bool
        Whether they settled.
    overlap : float or None
        Squared alignment of the first left singular vector with the labels, where it is not that
        of a spike in white noise.
    """

    components: LeadingComponents
    spectrum: SpikedSpectrum
    loadings: list[np.ndarray]
    means: list[np.ndarray]
    weights: np.ndarray
    noise: np.ndarray
    model: Any
    white: bool
    improper: bool = False
    n_iter: int = 0
    converged: bool = True
    overlap: float | None = None
    correlated: bool = False

    @property
    def strengths(self) -> np.ndarray:
        """Strengths of the views under the nested model."""
        if self.model.strengths is not None:
            return self.model.strengths
        return self.weights * self.noise * self.model.precision

    def for_new_samples(self) -> CombinedViews:
        """Return the combination without what only the training samples need."""
        nothing = np.zeros((0, 0))
        return self._replace(
            components=self.components._replace(left=nothing, right=nothing), loadings=[]
        )


def combine_stack(views: ViewStack, method: str, search: dict[str, Any]) -> CombinedViews:
    """Combine views of equal width."""
    m = views.shape[2]
    if is_dask(views.X):
        _refuse_whole(method, views.noise_structure)
    known = views.moments
    mean = view_means(views.X, views.mask) if known is None else known.mean
    covariance = _covariance(views, mean)
    refuse_constant_views(np.diag(covariance))
    if views.noise_structure == "full":
        return _whitened(views, mean, covariance, search)
    factor = fit_view_factor(covariance, views.noise_variance)
    if method == "unfolding":
        return _unfolded(views, mean, factor)
    if views.mask is not None:
        return _incomplete(views, mean, factor)
    if method == "tensor" and m > 1:
        return _by_rank_one(views, mean, factor, search)
    combined = _weighted_sum(views, mean, factor)
    if (
        m > 2
        and views.noise_variance is None
        and not is_clear(covariance, views.shape[0] * views.shape[1])
    ):
        factor, combined = _more_likely(views, mean, covariance, factor, combined)
    if method == "nested_ml" and m > 1:
        return _maximum_likelihood(views, mean, covariance, factor, combined, search)
    return combined


def may_be_correlated(views: ViewStack, combined: CombinedViews) -> bool:
    """Return whether the covariance of views says that the noise of some is correlated.

    One factor leaves correlations then, or, of three views, takes all of one or shows no cluster.
    """
    n, p, m = views.shape
    if m < 3 or views.mask is not None or is_dask(views.X):
        return False
    covariance = _covariance(views, np.stack(combined.means, axis=1))
    root = np.sqrt(np.diag(covariance))
    found = np.abs(covariance / np.outer(root, root))[np.triu_indices(m, 1)]
    least = _LEAST_CORRELATION + _CORRELATION_SIGMAS / np.sqrt(max(n - 1, 1) * p)
    if m == 3:
        nothing = combined.spectrum.n_spikes == 0
        return bool((combined.improper or nothing) and found.max() > least)
    a = fit_view_factor(covariance).strengths
    left = np.abs((covariance - np.outer(a, a)) / np.outer(root, root))[np.triu_indices(m, 1)]
    return bool(left.max() > least)


def _refuse_whole(method, noise_structure):
    """Raise where a method needs all views in memory."""
    name, value = ("method", method) if method in ("tensor", "unfolding") else ("", "")
    if noise_structure == "full":
        name, value = "noise_structure", noise_structure
    if name:
        raise ValueError(
            f"{name}={value!r} needs the views in memory, but X is a Dask array: pass X.compute(), "
            "or three views or more with method='two_step' and noise_structure='diagonal'."
        )


def _covariance(views, mean):
    """Return the covariance matrix of the views over samples and features."""
    n, p, _ = views.shape
    known = views.moments
    gram = view_gram(views.X, mean, views.mask) if known is None else known.gram
    if views.mask is None:
        return gram / ((n - 1) * p)
    present = views.mask.astype(np.float64)
    together = present.T @ present
    if together.min() < 2:
        k, other = np.unravel_index(int(together.argmin()), together.shape)
        what = f"view {k} is" if k == other else f"views {k} and {other} are together"
        raise ValueError(
            f"mask leaves too little: {what} in {int(together.min())} sample(s), at least 2 are "
            "needed to separate their noise. Leave a view out."
        )
    return gram / ((together - 1) * p)


def refuse_constant_views(variances):
    """Raise if a view does not vary."""
    if not (variances > 0).all():
        raise ValueError(
            f"view {int(np.argmin(variances > 0))} of X is constant over the samples: it has no "
            "information. Drop it."
        )


def _weighted_sum(views, mean, factor, weights=None, n_iter=0, converged=True):
    """Return the components of a weighted sum of the views."""
    n, p, _ = views.shape
    weights = factor.weights if weights is None else weights
    Y = combine_views(views.X, mean, weights)
    components = leading_components(Y, min(MOST_COMPONENTS, n - 1, p))
    spectrum = spiked_spectrum(components, n - 1, p)
    signal = float(spectrum.signals[0]) if spectrum.n_spikes else 0.0
    within = max(spectrum.noise_variance - 1 / factor.precision, 0.0)
    return CombinedViews(
        components,
        spectrum,
        [components.right * weight for weight in weights],
        list(mean.T),
        weights,
        factor.noise,
        NestedModel(signal, within, factor.precision),
        spectrum.white,
        factor.improper,
        max(n_iter, factor.n_iter),
        converged and factor.converged,
    )


def _more_likely(views, mean, covariance, factor, combined):
    """Return the factor and the combination of rank one, where they are more likely."""
    n = views.shape[0]
    rows = np.arange(n) if n <= MOST_ROWS else np.linspace(0, n - 1, MOST_ROWS).astype(int)
    part = views.X[rows]
    part = np.asarray(to_numpy(part.compute() if is_dask(part) else part), dtype=np.float64)
    part = np.ascontiguousarray((part - mean).transpose(0, 2, 1))
    other = as_factor(fit_rank_one(part))
    found = _weighted_sum(views, mean, other)
    losses = [
        nested_loss(f, covariance, c.components.eigenvalues[0] / c.components.trace)
        for f, c in ((factor, combined), (other, found))
    ]
    return (other, found) if losses[1] < losses[0] else (factor, combined)


def normalised(model, n_samples, n_features, n_views):
    """Return theta and tau of a fitted model, the units of `skrmt.theory.nested_tensor`."""
    total = n_samples + n_features + n_views
    return {
        "n_samples": n_samples,
        "n_features": n_features,
        "n_views": n_views,
        "theta": float(np.sqrt(model.signal * model.precision / total)),
        "tau": float(model.within * model.precision),
    }


def _maximum_likelihood(views, mean, covariance, factor, combined, search):
    """Iterate to the weights of maximum likelihood, where theory predicts a gain."""
    n, p, m = views.shape
    if not np.isfinite(factor.precision) or not combined.spectrum.n_spikes:
        return combined
    given = normalised(combined.model, n, p, m)
    gain = nested_tensor.nested_ml(**given).accuracy - nested_tensor.two_step(**given).accuracy
    if gain < _LEAST_GAIN:
        return combined
    root, tau = np.sqrt(factor.noise), given["tau"]
    gram = covariance / np.outer(root, root) * ((n - 1) * p)
    theta = given["theta"] * np.sqrt(n + p + m)
    reference, weights, converged = combined, combined.weights, False
    for sweep in range(1, search["max_iter"] + 1):
        u, v = combined.components.left[:, 0], combined.components.right[:, :1]
        pull = np.einsum("nk,n->k", project_views(views.X, mean, v)[:, 0], u) / root
        h = root * weights / np.linalg.norm(root * weights)
        new = tau * (gram @ h) + theta * pull * np.sign(pull @ h)
        new /= np.linalg.norm(new)
        moved = np.linalg.norm(new - h)
        if sweep > _UNDAMPED:
            new = new + h
        weights = _unit_strengths(new / root, factor)
        combined = _weighted_sum(views, mean, factor, weights, sweep)
        if moved <= max(search["tol"], 1e-4):
            converged = True
            break
    combined = _with_model_of(reference, combined, views, nested_tensor.nested_ml)
    return combined._replace(converged=converged)


def _unit_strengths(weights, factor):
    """Scale weights so that they bring the strengths of the views to 1."""
    total = weights @ factor.strengths
    return weights / (total if total != 0 else 1.0)


def _by_rank_one(views, mean, factor, search):
    """Combine with the weights of the best rank-one tensor."""
    root = np.sqrt(factor.noise)
    found = _rank_one(views, mean, np.diag(1 / root), search)
    weights = _unit_strengths(found.factors[2][:, 0] / root, factor)
    combined = _weighted_sum(views, mean, factor, weights, found.n_iter, found.converged)
    reference = _weighted_sum(views, mean, factor)
    return _with_model_of(reference, combined, views, nested_tensor.tensor)


def _with_model_of(reference, combined, views, theory):
    """Take the model from weights that have not seen the labels; weights that have flatter it."""
    overlap = None
    if reference.white and reference.spectrum.n_spikes:
        overlap = theory(**normalised(reference.model, *views.shape)).sample_overlap
    spectrum = reference.spectrum if reference.white else combined.spectrum
    return combined._replace(
        model=reference.model, spectrum=spectrum, white=reference.white, overlap=overlap
    )


def _rank_one(views, mean, transform, search) -> RankOne:
    """Return the best rank-one approximation of views combined by a matrix."""
    backend = get_backend(views.X)
    centred = backend.asarray(views.X, like=views.X, dtype="float64")
    centred = centred - backend.asarray(mean, like=views.X, dtype="float64")
    matrix = backend.asarray(np.ascontiguousarray(transform), like=views.X, dtype="float64")
    return best_rank_one(DenseTensor(centred @ matrix), **search)


def _whitened(views, mean, covariance, search):
    """Combine views whose noise may be correlated."""
    if views.mask is not None:
        raise ValueError(
            "views are missing, which noise_structure='full' does not allow. Use three views or "
            "more and noise_structure='diagonal', or 'known'."
        )
    values, vectors = np.linalg.eigh(covariance)
    root = np.sqrt(np.maximum(values, 1e-12 * values[-1]))
    whitening = vectors / root @ vectors.T
    found = _rank_one(views, mean, whitening, search)
    weights = whitening @ found.factors[2][:, 0]
    strengths = covariance @ weights
    weights = weights * (1.0 if strengths.sum() >= 0 else -1.0)
    factor = ViewFactor(covariance @ weights, np.diag(covariance), weights, 1.0, False, 0, True)
    combined = _weighted_sum(views, mean, factor, weights, found.n_iter, found.converged)
    combined = combined._replace(spectrum=_beyond_a_tensor(combined, views.shape))
    noise = combined.spectrum.noise_variance
    # All noise counts as that of the views, since it cannot be separated from that within classes.
    model = combined.model._replace(within=0.0, precision=1 / noise if noise > 0 else np.inf)
    return combined._replace(model=model, correlated=True)


def _beyond_a_tensor(combined, shape):
    """Return the spectrum; without spikes where the best weights may have found one in noise."""
    (n, p, m), spectrum = shape, combined.spectrum
    if not spectrum.n_spikes or m == 1:
        return spectrum
    # `thresholds` counts in units of the root of the summed sizes.
    least = thresholds((n - 1, p, m)).noise_norm ** 2 * (n - 1 + p + m) * spectrum.noise_variance
    return single_spike(spectrum, combined.components.eigenvalues[0] > least)


def _unfolded(views, mean, factor):
    """Concatenate views, each over its noise."""
    n, p, m = views.shape
    if views.mask is not None:
        raise ValueError(
            "views are missing, which method='unfolding' does not allow. Use method='two_step'."
        )
    noise = factor.noise if m > 1 or np.isfinite(factor.noise).all() else np.ones(1)
    root = np.sqrt(noise)
    backend = get_backend(views.X)
    flat = backend.asarray(views.X, like=views.X, dtype="float64")
    flat = (flat - backend.asarray(mean, like=views.X, dtype="float64")) / backend.asarray(
        root, like=views.X, dtype="float64"
    )
    components = leading_components(flat.reshape(n, -1), min(MOST_COMPONENTS, n - 1, p * m))
    right = components.right.reshape(p, m, -1)
    reference = _weighted_sum(views, mean, factor)
    spectrum, overlap = spiked_spectrum(components, n - 1, p * m), None
    if reference.white and np.isfinite(factor.precision):
        limit = nested_tensor.unfolding(**normalised(reference.model, n, p, m))
        spectrum, overlap = single_spike(reference.spectrum, limit.detected), limit.sample_overlap
    return reference._replace(
        components=components,
        spectrum=spectrum,
        loadings=[right[:, k] / root[k] for k in range(m)],
        weights=1 / root,
        overlap=overlap,
    )


def single_spike(spectrum, detected):
    """Return a spectrum with one spike where the theory detects it, else none."""
    if detected and spectrum.n_spikes:
        return spectrum
    return spectrum._replace(n_spikes=0, signals=np.zeros(0))


def _incomplete(views, mean, factor):
    """Combine the views that each sample has."""
    n, p, _ = views.shape
    precisions = views.mask @ (factor.strengths**2 / factor.noise)
    weights = factor.strengths / factor.noise
    Y = combine_views(views.X, mean, weights, views.mask)
    Y = (Y if is_dask(Y) else to_numpy(Y)) / precisions[:, None]
    weighted = weighted_components(Y, precisions, min(MOST_COMPONENTS, n - 1, p))
    rho, within = 0.0, 1.0
    for _ in range(8):
        v = within + 1 / precisions
        omega = 1 / v if not rho else rho / (v * (v + rho))
        components = weighted(omega)
        rho = _incomplete_signal(components.eigenvalues[0], omega, v, p)
        within = max(1 - rho / p, 0.0)
    white = spiked_spectrum(weighted(1 / v), n - 1, p)
    spectrum = white._replace(
        noise_variance=within + float(1 / precisions.mean()),
        signals=np.array([n * rho]) if rho else np.zeros(0),
        n_spikes=max(white.n_spikes, 1) if rho else 0,
    )
    scores = row_values(np.matmul, Y, shared=(components.right,))
    components = components._replace(left=scores / np.linalg.norm(scores, axis=0))
    return CombinedViews(
        components,
        spectrum,
        [components.right * weight for weight in weights],
        list(mean.T),
        weights,
        factor.noise,
        NestedModel(n * rho, within, float(precisions.mean()), factor.strengths),
        white.white,
        factor.improper,
        factor.n_iter,
        factor.converged,
    )


def _incomplete_signal(eigenvalue, omega, v, n_features):
    """Return the signal of a sample from the largest eigenvalue of the weighted samples."""
    widths = np.ones_like(v)

    def excess(log_rho):
        return (
            weighted_spike(n_features, widths, omega * np.exp(log_rho), omega * v)[1] - eigenvalue
        )

    low, high = np.log(1e-8), np.log(1e8)
    if excess(low) >= 0:
        return 0.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-10)))
