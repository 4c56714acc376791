"""One matrix from views of unequal widths."""

from __future__ import annotations

import numpy as np

from ..linalg import get_backend, to_numpy
from ..theory.nested_tensor import unequal_views
from ..utils._dask import is_dask, map_blocks
from ..utils._rows import row_sums
from ..utils._scaling import power_of_two
from ._block_reading import largest_entry
from ._clusters import weighted_rows
from ._combination import (
    MOST_COMPONENTS,
    CombinedViews,
    ConcatenatedModel,
    refuse_constant_views,
    single_spike,
)
from ._factor import spiked_spectrum
from ._view_products import leading_components
from ._views_input import side_by_side

_PER_VIEW = 10
"""Components of each view, of which only the spikes and the trace are used: views of the model have
one spike, and ten show a view that is not of the model."""

_SEEN_BY_OTHERS = 0.05
"""Squared alignment with the labels from which the other views may estimate a weak one: below it
the noise of the estimate exceeds the signal."""

_LEAST_SIGNAL = 1e-3
"""Least signal of a weak view, over the noise norm: it keeps the weight of every view positive."""


def concatenate_views(views, scaling):
    """Concatenate weighted views of unequal widths."""
    n = int(views[0].shape[0])
    scales = np.array([power_of_two(_largest(view)) for view in views])
    scaled = [_in_double(view) / scale for view, scale in zip(views, scales, strict=True)]
    means = [_mean(view) for view in scaled]
    centred = [view - _beside(mean, view) for view, mean in zip(scaled, means, strict=True)]
    widths = np.array([int(view.shape[1]) for view in views])
    parts = [
        leading_components(view, min(_PER_VIEW, n - 1, width))
        for view, width in zip(centred, widths, strict=True)
    ]
    refuse_constant_views(np.array([part.trace for part in parts]))
    spectra = [
        spiked_spectrum(part, n - 1, width) for part, width in zip(parts, widths, strict=True)
    ]
    noise = np.array([spectrum.noise_variance for spectrum in spectra])
    signals = np.array([s.signals[0] if s.n_spikes else 0.0 for s in spectra])
    noise = np.maximum(noise, 1e-12 * np.array([p.trace for p in parts]) / (n * widths))
    signals = _weak_signals(centred, widths, signals, noise, n)
    weights = _scaling(scaling, parts, signals, noise, widths, n)
    joined = [view * float(np.sqrt(w)) for view, w in zip(centred, weights, strict=True)]
    total = int(widths.sum())
    components = leading_components(side_by_side(joined), min(MOST_COMPONENTS, n - 1, total))
    spectrum = spiked_spectrum(components, n - 1, total)
    ends = np.cumsum(widths)[:-1]
    rows = zip(np.split(components.right, ends), weights, scales, strict=True)
    loadings = [right * (np.sqrt(w) / scale) for right, w, scale in rows]
    means = [mean * scale for mean, scale in zip(means, scales, strict=True)]
    limit = unequal_views(n, widths, signals, noise, weights)
    white = all(s.white and s.n_spikes <= 1 for s in spectra)
    if white:
        first = spectrum.signals[:1] if spectrum.n_spikes else components.eigenvalues[:1]
        spectrum = single_spike(spectrum._replace(n_spikes=1, signals=first), limit.detected)
    return CombinedViews(
        components,
        spectrum,
        loadings,
        means,
        weights,
        noise * scales**2,
        ConcatenatedModel(limit, signals, widths, noise),
        white,
        overlap=limit.sample_overlap if white else None,
    )


def _largest(view):
    """Return the largest modulus of a view."""
    return max(map_blocks(largest_entry, view)) if is_dask(view) else largest_entry(view)


def _scaling(scaling, parts, signals, noise, widths, n):
    """Return the weights of the squared views."""
    if scaling == "mfa":
        return np.array([1 / part.eigenvalues[0] for part in parts])
    if scaling == "unit" or not signals.any():
        return np.array([n / part.trace for part in parts])
    return np.maximum(signals / (noise * (widths * noise + signals)), 1e-12 / noise)


def _weak_signals(centred, widths, signals, noise, n):
    """Return the signals with those of views below their own threshold, from the other views."""
    strong = signals.copy()
    for _ in range(2):
        for k in np.flatnonzero(signals == 0):
            others = [j for j in range(len(widths)) if j != k and strong[j] > 0]
            if not others:
                continue
            limit = unequal_views(n, widths[others], strong[others], noise[others])
            if limit.sample_overlap <= _SEEN_BY_OTHERS:
                continue
            roots = np.sqrt(limit.weights)
            joined = [centred[j] * float(w) for j, w in zip(others, roots, strict=True)]
            y = leading_components(side_by_side(joined), 1).left[:, 0]
            view = centred[k] if is_dask(centred[k]) else np.asarray(to_numpy(centred[k]))
            found = float((row_sums(weighted_rows, view, y) ** 2).sum())
            estimate = (found - widths[k] * noise[k]) / limit.sample_overlap
            least = _LEAST_SIGNAL * noise[k] * np.sqrt(n * widths[k])
            strong[k] = max(estimate, least)
    return strong


def _in_double(view):
    """Return a view in float64, on its device."""
    if is_dask(view):
        return view.astype(np.float64)
    return get_backend(view).asarray(view, like=view, dtype="float64")


def _mean(view):
    """Return the mean of every feature."""
    if is_dask(view):
        return row_sums(_column_sums, view) / view.shape[0]
    return np.asarray(to_numpy(view)).mean(axis=0)


def _column_sums(rows):
    """Return the sum of every column."""
    return rows.sum(axis=0)


def _beside(mean, view):
    """Return means on the device of a view."""
    if is_dask(view):
        return mean
    return get_backend(view).asarray(mean, like=view, dtype="float64")
