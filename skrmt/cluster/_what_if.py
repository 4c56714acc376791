"""Closed forms of the accuracy on other data of the same kind."""

from __future__ import annotations

import numbers

import numpy as np

from ..theory.nested_tensor import matrix_spike, overlap_accuracy, unequal_views


def accuracy_if(core, shape, n_samples, n_views, drop_view):
    """Return the accuracy of two clusters with other samples or views."""
    n = _positive("n_samples", n_samples, shape[0])
    kept = _kept(drop_view, shape[2])
    m = _positive("n_views", n_views, int(kept.sum()))
    if "limit" in core.model:
        return _concatenated(core.model, n / shape[0], n, kept, m)
    if not core.spectrum.n_spikes:
        signal = 0.0
    else:
        signal = core.model["signal"] / shape[0]
    v = core.model["within"] + _view_noise(core, kept, m)
    if signal == 0 or v <= 0:
        return 0.5 if signal == 0 else 1.0
    return float(overlap_accuracy(matrix_spike(n * signal, v, n, shape[1]).sample_overlap))


def _view_noise(core, kept, n_views):
    """Return the noise that the views leave in their best combination."""
    precision = core.model["precision"]
    if not np.isfinite(precision):
        return core.spectrum.noise_variance if not core.model["within"] else 0.0
    strengths = core.model.get("strengths")
    if strengths is None:
        strengths = core.weights * core.noise * precision
    shares = strengths**2 / core.noise
    share = shares[kept].sum() / shares.sum() * n_views / kept.sum()
    return 1 / (precision * share) if share > 0 else np.inf


def _concatenated(model, growth, n, kept, n_views):
    """Return the accuracy of views of unequal widths with their best weights."""
    repeats = n_views / kept.sum()
    if repeats != int(repeats):
        raise ValueError(
            f"n_views={n_views} must be a multiple of the {int(kept.sum())} views of unequal "
            "widths there are: which of them would be repeated?"
        )
    index = np.tile(np.flatnonzero(kept), int(repeats))
    limit = unequal_views(
        n, model["widths"][index], growth * model["signals"][index], model["noise"][index]
    )
    return float(limit.accuracy)


def _positive(name, value, default):
    """Return a number that is a positive integer, the default where it is None."""
    if value is None:
        return default
    if not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{name} must be a positive integer, got {value!r}.")
    return int(value)


def _kept(drop_view, n_views):
    """Return which views are kept."""
    kept = np.ones(n_views, dtype=bool)
    if drop_view is None:
        return kept
    index = np.atleast_1d(drop_view)
    if index.dtype.kind not in "iu" or not ((index >= -n_views) & (index < n_views)).all():
        raise ValueError(f"drop_view must name views from 0 to {n_views - 1}, got {drop_view!r}.")
    kept[index] = False
    if not kept.any():
        raise ValueError(f"drop_view={drop_view!r} leaves no view. Keep one at least.")
    return kept
