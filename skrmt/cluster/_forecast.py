"""Closed forms of the accuracy on other data of the same kind."""

from __future__ import annotations

import numpy as np

from ..theory.nested_tensor import matrix_spike, overlap_accuracy, unequal_views
from ._combination import ConcatenatedModel


def accuracy_if(combined, shape, n_samples, n_views, dropped):
    """Return the accuracies of two clusters with other samples or views."""
    kept = _kept(dropped, shape[2])
    n = positive("n_samples", shape[0] if n_samples is None else n_samples)
    m = positive("n_views", int(kept.sum()) if n_views is None else n_views)
    if isinstance(combined.model, ConcatenatedModel):
        predict = _concatenated(combined.model, shape[0], kept)
    else:
        predict = _nested(combined, shape, kept)
    return np.vectorize(predict, otypes=[float])(n, m)


def _nested(combined, shape, kept):
    """Return the accuracy of views of equal width as a function of samples and views."""
    signal = combined.model.signal / shape[0] if combined.spectrum.n_spikes else 0.0

    def predict(n, m):
        v = combined.model.within + _view_noise(combined, kept, m)
        if signal == 0 or v <= 0:
            return 0.5 if signal == 0 else 1.0
        return overlap_accuracy(matrix_spike(n * signal, v, n, shape[1]).sample_overlap)

    return predict


def _view_noise(combined, kept, n_views):
    """Return the noise that the views leave in their best combination."""
    precision = combined.model.precision
    if not np.isfinite(precision):
        return combined.spectrum.noise_variance if not combined.model.within else 0.0
    shares = combined.strengths**2 / combined.noise
    share = shares[kept].sum() / shares.sum() * n_views / kept.sum()
    return 1 / (precision * share) if share > 0 else np.inf


def _concatenated(model, n_fitted, kept):
    """Return the accuracy of views of unequal widths with their best weights."""

    def predict(n, m):
        # A view that is there twice, with noise of its own, is one of twice the width and signal.
        repeats = m / kept.sum()
        widths, signals = repeats * model.widths[kept], repeats * model.signals[kept]
        return unequal_views(n, widths, n / n_fitted * signals, model.noise[kept]).accuracy

    return predict


def positive(name, values):
    """Return positive numbers as an array."""
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or not ((numbers >= 1) & (numbers < np.inf)).all():
        raise ValueError(f"{name} must be numbers of 1 or more, got {values!r}.")
    return numbers.astype(float)


def _kept(dropped, n_views):
    """Return which views are kept."""
    kept = np.ones(n_views, dtype=bool)
    kept[dropped] = False
    if not kept.any():
        raise ValueError(f"drop_view leaves none of {n_views} different views. Keep one at least.")
    return kept


def checked_views(drop_view, n_views):
    """Return the numbers of the views to leave out."""
    index = np.atleast_1d([] if drop_view is None else drop_view)
    if not index.size:
        return index.astype(int)
    if index.dtype.kind not in "iu" or not ((index >= -n_views) & (index < n_views)).all():
        raise ValueError(f"drop_view must name views from 0 to {n_views - 1}, got {drop_view!r}.")
    return index
