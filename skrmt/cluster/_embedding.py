"""Scores of samples on leading components, in units of their noise."""

from __future__ import annotations

import numpy as np

from ._combination import CombinedViews


def embed(combined, views, n_clusters):
    """Return the embedding of the training samples, what embeds new ones, and how sure each is.

    The embedding has all spikes, and enough components to separate the clusters. How sure a sample
    is, is None where all have all views.
    """
    components, found = combined.components, combined.spectrum.n_spikes
    q = max(1, min(len(components.eigenvalues), max(n_clusters - 1, found)))
    inside, outside = _scales(combined)
    embedding = components.left[:, :q] * inside[:q]
    loadings = [loading[:, :q] * outside[:q] for loading in combined.loadings]
    if views.mask is None:
        return embedding, loadings, None
    precisions = views.mask @ (combined.model.strengths**2 / combined.noise)
    variances = combined.model.within + 1 / precisions
    sure = np.sqrt(combined.spectrum.noise_variance / variances)
    norms = np.sqrt((embedding**2).mean(axis=0))
    signal = combined.model.signal / len(embedding)
    wanted = np.sqrt((signal + variances.mean()) / combined.spectrum.noise_variance)
    embedding = embedding / np.maximum(norms, 1e-300) * (wanted if signal else 1.0)
    return embedding * sure[:, None], loadings, sure


def _scales(combined: CombinedViews):
    """Return what brings singular vectors and new scores to unit noise."""
    spectrum, values = combined.spectrum, combined.components.eigenvalues
    v = spectrum.noise_variance
    if v <= 1e-14 * values[0]:
        v = max(float(values[0]) * 1e-14, 1e-300)
    singular = np.sqrt(values)
    inflation = np.ones_like(values)
    count = min(spectrum.n_spikes, len(values))
    signals = np.asarray(spectrum.signals[:count])
    inflation[: len(signals)] += len(combined.components.right) * v / signals
    inside, outside = singular / inflation / np.sqrt(v), np.full(len(values), 1 / np.sqrt(v))
    if combined.overlap is not None:
        inside[0] = np.sqrt(len(combined.components.left) / max(1 - combined.overlap, 1e-12))
        outside[0] = inside[0] / max(singular[0], 1e-300)
    return inside, outside


def complete_scores(combined, scores, present):
    """Scale scores of incomplete samples by their views; return them and how sure each is."""
    strengths, weights = combined.strengths, combined.weights
    share = present @ (weights * strengths)
    noise = combined.model.within + present @ (weights**2 * combined.noise) / share**2
    sure = np.sqrt(combined.spectrum.noise_variance / noise)
    return scores / share[:, None] * sure[:, None], sure
