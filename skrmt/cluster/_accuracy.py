"""What the model says of combined views: the accuracy of methods, of bounds and of single views."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import to_numpy
from ..theory import nested_tensor
from ..theory.nested_tensor import (
    bayes_accuracy,
    matrix_spike,
    missing_views,
    overlap_accuracy,
    unequal_views,
)
from ..utils._rows import row_values
from ._combination import CombinedViews, ConcatenatedModel, normalised

METHODS = ("unfolding", "tensor", "two_step", "nested_ml")


class Limits(NamedTuple):
    """What the model says beside the accuracy.

    Attributes
    ----------
    saturation : float
        Accuracy with any number of further views.
    view_accuracies : ndarray of shape (m,)
        Accuracy of each view by itself.
    overlaps : ndarray of shape (3,)
        Squared alignments of labels, features and views with the true ones.
    beta_t, beta_m : float
        Strengths of the tensor and of the matrix inside it.
    """

    saturation: float
    view_accuracies: np.ndarray
    overlaps: np.ndarray
    beta_t: float
    beta_m: float


def balanced_accuracy(combined, views):
    """Return the accuracy of two balanced clusters under the model."""
    model = combined.model
    if isinstance(model, ConcatenatedModel):
        return float(model.limit.accuracy)
    if not combined.spectrum.n_spikes:
        return 0.5
    n, p, _ = views.shape
    if views.mask is not None:
        limit = missing_views(
            views.mask,
            n_features=p,
            signal=model.signal / n,
            noise=combined.noise / model.strengths**2,
            within=model.within,
        )
        return limit.accuracy
    if combined.overlap is not None:
        return float(overlap_accuracy(combined.overlap))
    return spike_accuracy(model.signal, combined.spectrum.noise_variance, n, p)


def spike_accuracy(signal, noise_variance, n_samples, n_features):
    """Return the accuracy of the first component."""
    if noise_variance <= 0:
        return 1.0
    spike = matrix_spike(signal, noise_variance, n_samples, n_features)
    return float(overlap_accuracy(np.clip(spike.sample_overlap, 0, 1)))


def method_accuracies(combined, shape):
    """Return the accuracies of all methods, or of all scalings, at the fitted parameters."""
    (n, p, m), model = shape, combined.model
    if isinstance(model, ConcatenatedModel):
        given = (n, model.widths, model.signals, model.noise)
        rules = ("optimal", "inverse_variance", "unit")
        return {rule: unequal_views(*given, weights=rule).accuracy for rule in rules}
    v = max(combined.spectrum.noise_variance, 1e-300)
    bayes = bayes_accuracy(model.signal / (n * v), n / p)
    if m == 1 or not np.isfinite(model.precision):
        alone = spike_accuracy(model.signal, combined.spectrum.noise_variance, n, p)
        return {**dict.fromkeys((*METHODS, "oracle"), alone), "bayes": max(bayes, alone)}
    gap = nested_tensor.performance_gap(**normalised(model, n, p, m))
    return {name: getattr(gap, name) for name in (*METHODS, "oracle", "bayes")}


def concatenated_limits(combined, n_samples):
    """Return what is known of views of unequal widths."""
    model, nan = combined.model, float("nan")
    alone = [
        spike_accuracy(t, s, n_samples, p)
        for t, s, p in zip(model.signals, model.noise, model.widths, strict=True)
    ]
    overlaps = np.array([model.limit.sample_overlap, nan, nan])
    return Limits(nan, np.array(alone), overlaps, nan, nan)


def nested_limits(combined, views, solution):
    """Return what the nested model says of views of equal width."""
    (n, p, m), model = views.shape, combined.model
    nan, v = float("nan"), combined.spectrum.noise_variance
    clusters, nested = solution.clusters, solution.is_nested
    known = np.isfinite(model.precision) and views.noise_structure in ("diagonal", "known")
    known = known and not combined.correlated
    overlaps = np.array([nan, nan, nan])
    if v > 0:
        spike = matrix_spike(model.signal, v, n, p)
        overlaps[:2] = spike.sample_overlap, spike.feature_overlap
    if not known or not combined.spectrum.n_spikes or clusters.coefficients is None or not nested:
        alone = np.full(m, nan if combined.spectrum.n_spikes else 0.5)
    elif clusters.model_fit:
        alone = _accuracies_alone(combined, n, p)
    else:
        alone = _agreeing(combined, views.X, clusters, solution.labels, solution.loadings)
    if not known:
        return Limits(nan, alone, overlaps, nan, nan)
    given = normalised(model, n, p, m)
    overlaps[2] = nested_tensor.two_step(**given).view_overlap
    return Limits(
        spike_accuracy(model.signal, model.within, n, p) if model.signal else 0.5,
        alone,
        overlaps,
        float(np.sqrt(given["tau"] * (n + p) / (n + p + m))),
        float(np.sqrt(model.signal / (model.within * (n + p)))) if model.within else float("inf"),
    )


def _accuracies_alone(combined: CombinedViews, n: int, p: int) -> np.ndarray:
    """Return the accuracy of each view by itself, along the direction of all."""
    model = combined.model
    q = matrix_spike(model.signal, combined.spectrum.noise_variance, n, p).feature_overlap
    noise = model.within + combined.noise / np.maximum(combined.strengths**2, 1e-300)
    odds = q * model.signal / n / noise
    return np.asarray(overlap_accuracy(odds / (1 + odds)))


def _agreeing(combined, X, clusters, labels, loadings):
    """Return how often each view by itself gives the labels of all."""
    strengths = combined.strengths
    loadings = [
        loading / (weight if weight else 1.0)
        for loading, weight in zip(loadings, combined.weights, strict=True)
    ]
    shared = (combined.means, loadings, np.array(clusters.coefficients))
    scores = row_values(_view_scores, X, shared=shared)
    scores = scores / np.where(strengths == 0, 1.0, strengths) + clusters.intercept
    return ((scores > 0) == labels[:, None]).mean(axis=0)


def _view_scores(X, means, loadings, direction):
    """Return the score of every sample in each view by itself, (n, m)."""
    columns = [
        (np.asarray(to_numpy(X[:, :, k]), dtype=np.float64) - mean) @ loading @ direction
        for k, (mean, loading) in enumerate(zip(means, loadings, strict=True))
    ]
    return np.stack(columns, axis=1)
