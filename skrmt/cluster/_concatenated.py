"""One matrix from views of unequal widths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import get_backend, to_numpy
from ..theory.nested_tensor import unequal_views
from ..utils._dask import block_tasks, is_dask, summed, to_local
from ..utils._rows import compute_together
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

_SAFE = 1e50
"""Magnitude of views up to which sums of their squares stay finite, and 1 over it where they are
not lost."""

_LEAST_SIGNAL = 1e-3
"""Least signal of a weak view, over the noise norm: it keeps the weight of every view positive."""


def concatenate_views(views, scaling):
    """Concatenate weighted views of unequal widths."""
    n = int(views[0].shape[0])
    total = sum(int(view.shape[1]) for view in views)
    if is_dask(views[0]) and n < total:
        views = [to_local(view) for view in views]
    table = (_read_blocks if is_dask(views[0]) else _read)(views)
    scales, means, widths = table.scales, table.means, table.widths
    parts = [
        table.components([k], np.ones(1), min(_PER_VIEW, n - 1, width))
        for k, width in enumerate(widths)
    ]
    refuse_constant_views(np.array([part.trace for part in parts]))
    spectra = [
        spiked_spectrum(part, n - 1, width) for part, width in zip(parts, widths, strict=True)
    ]
    noise = np.array([spectrum.noise_variance for spectrum in spectra])
    signals = np.array([s.signals[0] if s.n_spikes else 0.0 for s in spectra])
    noise = np.maximum(noise, 1e-12 * np.array([p.trace for p in parts]) / (n * widths))
    signals = _weak_signals(table, signals, noise)
    weights = _scaling(scaling, parts, signals, noise, widths, n)
    every = list(range(len(views)))
    components = table.components(every, weights, min(MOST_COMPONENTS, n - 1, total), left=True)
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


class _Table(NamedTuple):
    """Centred views in units of their largest entries, in memory or in blocks.

    Attributes
    ----------
    scales, widths : ndarray of shape (m,)
        Powers of two by which views are divided, and their numbers of features.
    means : list of ndarray of shape (p_k,)
        Means of the features, in these units.
    centred : list of array of shape (n, p_k)
        The centred views.
    gram : ndarray of shape (p, p) or None
        Products of all features, where the views are in blocks.
    """

    scales: np.ndarray
    widths: np.ndarray
    means: list
    centred: list
    gram: np.ndarray | None = None

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.centred[0].shape[0])

    def joined(self, some, weights):
        """Return some views side by side, their squares weighted."""
        return side_by_side([self.centred[k] * float(np.sqrt(w)) for k, w in _each(some, weights)])

    def components(self, some, weights, size, left=False):
        """Return leading components of some views, the left ones of blocks if they are needed."""
        if self.gram is None:
            return leading_components(self.joined(some, weights), size)
        places = self._places(some)
        roots = np.repeat(np.sqrt(weights), self.widths[some])
        gram = roots[:, None] * self.gram[np.ix_(places, places)] * roots
        return leading_components(self.joined(some, weights) if left else None, size, gram)

    def seen_by(self, others, weights, k):
        """Return the squared norm of a view in the leading direction of samples of others."""
        found = self.components(others, weights, 1)
        if self.gram is None:
            view = np.asarray(to_numpy(self.centred[k]))
            return float((weighted_rows(view, found.left[:, 0]) ** 2).sum())
        roots = np.repeat(np.sqrt(weights), self.widths[others])
        across = self.gram[np.ix_(self._places([k]), self._places(others))]
        return float(((across @ (roots * found.right[:, 0])) ** 2).sum() / found.eigenvalues[0])

    def _places(self, some):
        """Return the columns of some views in all."""
        ends = np.cumsum(self.widths)
        return np.concatenate([np.arange(ends[k] - self.widths[k], ends[k]) for k in some])


def _each(some, weights):
    """Yield views with their weights."""
    return zip(some, weights, strict=True)


def _read(views):
    """Return views in memory as a table."""
    scales = np.array([power_of_two(largest_entry(view)) for view in views])
    scaled = [_in_double(view) / scale for view, scale in zip(views, scales, strict=True)]
    means = [np.asarray(to_numpy(view)).mean(axis=0) for view in scaled]
    centred = [
        view - get_backend(view).asarray(mean, like=view, dtype="float64")
        for view, mean in zip(scaled, means, strict=True)
    ]
    return _Table(scales, _widths(views), means, centred)


def _read_blocks(views):
    """Return views in blocks as a table, by one reading of them."""
    largest, mean, gram = _sums_of_blocks(views)
    scales = np.array([power_of_two(size) for size in largest])
    scaled = [_in_double(view) / scale for view, scale in zip(views, scales, strict=True)]
    widths = _widths(views)
    units = np.repeat(scales, widths)
    if min(scales) > 1.0 / _SAFE and max(scales) < _SAFE:
        mean, gram = mean / units, gram / units[:, None] / units
    else:
        # Squares of extreme numbers overflow: they are summed once more, in other units.
        _, mean, gram = _sums_of_blocks(scaled)
    means = np.split(mean, np.cumsum(widths)[:-1])
    centred = [view - mean for view, mean in zip(scaled, means, strict=True)]
    return _Table(scales, widths, means, centred, gram)


def _sums_of_blocks(views):
    """Return largest entries of views in blocks, means and products of all centred features."""
    tasks = block_tasks(_block_sums, side_by_side(views), (), (_widths(views),))
    [[(_, largest, mean, gram)]] = compute_together([[summed(tasks, _merged)]])
    return largest, mean, gram


def _block_sums(block, widths):
    """Return size, largest entries, means and centred products of a block of samples."""
    n = len(block)
    if n == 0:
        p = block.shape[1]
        return 0, np.zeros(len(widths)), np.zeros(p), np.zeros((p, p))
    parts = np.split(block, np.cumsum(widths)[:-1], axis=1)
    mean = block.mean(axis=0, dtype=float)
    centred = block - mean
    with np.errstate(over="ignore", invalid="ignore"):
        return n, np.array([largest_entry(part) for part in parts]), mean, centred.T @ centred


def _merged(parts):
    """Merge the sums of sets of samples, each about means of its own, without cancellation."""
    n, largest, mean, gram = parts[0]
    for m, other, theirs, more in parts[1:]:
        share, shift = m / max(n + m, 1), theirs - mean
        with np.errstate(over="ignore", invalid="ignore"):
            gram = gram + more + (n * share * shift)[:, None] * shift
        n, largest, mean = n + m, np.maximum(largest, other), mean + share * shift
    return n, largest, mean, gram


def _widths(views):
    """Return the numbers of features of views."""
    return np.array([int(view.shape[1]) for view in views])


def _scaling(scaling, parts, signals, noise, widths, n):
    """Return the weights of the squared views."""
    if scaling == "mfa":
        return np.array([1 / part.eigenvalues[0] for part in parts])
    if scaling == "unit" or not signals.any():
        return np.array([n / part.trace for part in parts])
    return np.maximum(signals / (noise * (widths * noise + signals)), 1e-12 / noise)


def _weak_signals(table, signals, noise):
    """Return the signals with those of views below their own threshold, from the other views."""
    strong, widths, n = signals.copy(), table.widths, table.n
    for _ in range(2):
        for k in np.flatnonzero(signals == 0):
            others = [j for j in range(len(widths)) if j != k and strong[j] > 0]
            if not others:
                continue
            limit = unequal_views(n, widths[others], strong[others], noise[others])
            if limit.sample_overlap <= _SEEN_BY_OTHERS:
                continue
            found = table.seen_by(others, limit.weights, k)
            estimate = (found - widths[k] * noise[k]) / limit.sample_overlap
            least = _LEAST_SIGNAL * noise[k] * np.sqrt(n * widths[k])
            strong[k] = max(estimate, least)
    return strong


def _in_double(view):
    """Return a view in float64, on its device."""
    if is_dask(view):
        return view.astype(np.float64)
    return get_backend(view).asarray(view, like=view, dtype="float64")
