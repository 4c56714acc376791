"""Inner products of centred kernels: HSIC and CKA, by blocks or from covariances of features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..linalg._backend import Array, get_backend, to_numpy
from ..utils._memory import explains_memory
from ..utils._scaling import moderate_unit
from ._kernels import (
    Kernel,
    as_float64,
    centred_rows,
    column_means,
    largest_entry,
    row_blocks,
    squared_distances,
)

# Items of a block of the kernel: 8 MB in float64.
_BLOCK = 1024
# Rows whose mean kernel is taken off before products are summed, against cancellation; exact means
# are taken off afterwards.
_LANDMARKS = 256
# Squared norms below this times what they are a difference of are rounding.
_ROUNDING = 64 * np.finfo(float).eps


class Alignment(NamedTuple):
    """Inner products of two centred kernels of the same n items.

    Attributes
    ----------
    cross : float
        Sum of the entrywise product of the centred kernels, each divided by its scale.
    first, second : tuple of float
        Trace, sum of squares and sum of squares of the diagonal of each, divided by the scale and
        its square. The diagonal of a debiased (U-centred) kernel is 0.
    scales : tuple of float
        What each kernel was divided by, so that no square overflows.
    n : int
        Number of items.
    debiased : bool
        Whether the kernels are U-centred, with a diagonal of zeros, rather than HKH.
    """

    cross: float
    first: tuple[float, float, float]
    second: tuple[float, float, float]
    scales: tuple[float, float]
    n: int
    debiased: bool

    @property
    def cka(self) -> float:
        """Cosine of the centred kernels; 0 where one of them is zero."""
        size = np.sqrt(self.first[1]) * np.sqrt(self.second[1])
        return float(np.clip(self.cross / size, -1.0, 1.0)) if size > 0 else 0.0

    @property
    def hsic(self) -> float:
        """Inner product over (n - 1)^2, or n (n - 3) if debiased."""
        count = self.n * (self.n - 3) if self.debiased else (self.n - 1) ** 2
        return float(self.cross / count * self.scales[0] * self.scales[1])


class _Side(NamedTuple):
    """A kernel by blocks, less a function of the row and one of the column.

    block(i, j) returns the block of two slices in float64; diagonal is that of all rows.
    """

    block: Callable[[slice, slice], Array]
    diagonal: Array
    scale: float


@explains_memory("fewer items", "a linear kernel")
def kernel_alignment(
    X: Array,
    Y: Array,
    *,
    kernel: Kernel = "linear",
    debiased: bool = True,
    bandwidths: tuple[float, float] = (1.0, 1.0),
    block_size: int = _BLOCK,
) -> Alignment:
    """Return the inner products that HSIC and CKA are made of."""
    n = int(X.shape[0])
    if kernel == "linear" and max(int(X.shape[1]), int(Y.shape[1])) <= n:
        return _feature_alignment(X, Y, debiased)
    sides = [
        _make_side(Z, kernel, bandwidth) for Z, bandwidth in zip((X, Y), bandwidths, strict=True)
    ]
    return _block_alignment(sides[0], sides[1], n, debiased, block_size)


def minibatch_cka(
    X: Array,
    Y: Array,
    batch_size: int,
    *,
    kernel: Kernel = "linear",
    debiased: bool = True,
    bandwidths: tuple[float, float] = (1.0, 1.0),
) -> float:
    """Return the CKA of mean HSICs of batches of consecutive rows."""
    n = int(X.shape[0])
    units = [1.0 if kernel == "rbf" else largest_entry(Z) or 1.0 for Z in (X, Y)]
    # Fourth powers of huge numbers overflow.
    sides = [(Z, moderate_unit(unit)) for Z, unit in zip((X, Y), units, strict=True)]
    X, Y = (Z if far == 1.0 else Z / far for Z, far in sides)
    units = [unit / far for unit, (_, far) in zip(units, sides, strict=True)]
    powers = [2 if kernel == "linear" else 1] * 2
    sums = np.zeros(3)
    for start in range(0, n - 3, batch_size):
        rows = slice(start, min(start + batch_size, n))
        parts = [Z[rows, rows] if kernel == "precomputed" else Z[rows] for Z in (X, Y)]
        found = kernel_alignment(
            *parts, kernel=kernel, debiased=debiased, bandwidths=bandwidths, block_size=batch_size
        )
        # Products, unlike powers, of huge numbers are infinite without an error.
        first, second = (
            scale / (unit * unit if power == 2 else unit)
            for scale, unit, power in zip(found.scales, units, powers, strict=True)
        )
        count = found.n * (found.n - 3) if debiased else (found.n - 1) ** 2
        products = found.cross, found.first[1], found.second[1]
        weights = first * second, first**2, second**2
        sums += np.array(products) * np.array(weights) / count
    size = np.sqrt(sums[1]) * np.sqrt(sums[2])
    return float(np.clip(sums[0] / size, -1.0, 1.0)) if size > 0 else 0.0


def _feature_alignment(X: Array, Y: Array, debiased: bool) -> Alignment:
    """Return the inner products of linear kernels from covariances of features."""
    n = int(X.shape[0])
    sides = [(Z, column_means(Z, "float64"), _spread(Z)) for Z in (X, Y)]
    products: list[Any] = [0.0, 0.0, 0.0]
    lengths: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    for rows in row_blocks(n, max(int(X.shape[1]), int(Y.shape[1]))):
        x, y = ((as_float64(Z[rows]) - mean) / scale for Z, mean, scale in sides)
        for k, (a, b) in enumerate([(x, y), (x, x), (y, y)]):
            products[k] = products[k] + a.T @ b
        for k, z in enumerate((x, y)):
            lengths[k].append(to_numpy((z * z).sum(1)))
    d, e = (np.concatenate(parts) for parts in lengths)
    values = [float((product * product).sum()) for product in products]
    traces: Any = (d.sum(), e.sum())
    diagonals: Any = (d @ d, e @ e)
    if debiased:
        terms = [(d @ e, d.sum() * e.sum()), (d @ d, d.sum() ** 2), (e @ e, e.sum() ** 2)]
        values = [
            _significant(value - n / (n - 2) * own + both / ((n - 1) * (n - 2)), value)
            for value, (own, both) in zip(values, terms, strict=True)
        ]
        traces, diagonals = (0.0, 0.0), (0.0, 0.0)
    # Products, unlike powers, of huge numbers are infinite without an error.
    scales = sides[0][2] * sides[0][2], sides[1][2] * sides[1][2]
    return _alignment(values, traces, diagonals, scales, n, debiased)


def _block_alignment(
    first: _Side, second: _Side, n: int, debiased: bool, block_size: int
) -> Alignment:
    """Return the inner products from the blocks on and above the diagonal."""
    backend = get_backend(first.diagonal)
    sums = [side.diagonal * 0.0 for side in (first, second)]
    products: list[Any] = [0.0, 0.0, 0.0]
    slices = [slice(s, min(s + block_size, n)) for s in range(0, n, block_size)]
    for i, rows in enumerate(slices):
        for columns in slices[i:]:
            blocks = [side.block(rows, columns) for side in (first, second)]
            if rows == columns:
                every = np.arange(rows.stop - rows.start)
                for side, block in zip((first, second), blocks, strict=True):
                    block[every, every] = 0.0 if debiased else side.diagonal[rows]
            for total, block in zip(sums, blocks, strict=True):
                total[rows] += block.sum(1)
                if rows != columns:
                    total[columns] += block.sum(0)
            K, L = (block.reshape(-1) for block in blocks)
            weight = 1.0 if rows == columns else 2.0
            for k, (a, b) in enumerate([(K, L), (K, K), (L, L)]):
                products[k] = products[k] + weight * (a @ b)
    r, s = (to_numpy(backend.asarray(total, like=total)) for total in sums)
    raw = [float(product) for product in products]
    pairs = [(r, s), (r, r), (s, s)]
    if debiased:
        values = [
            _significant(
                value - 2 / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2)), value
            )
            for value, (a, b) in zip(raw, pairs, strict=True)
        ]
        return _alignment(values, (0.0, 0.0), (0.0, 0.0), (first.scale, second.scale), n, debiased)
    values = [
        _significant(value - 2 / n * (a @ b) + a.sum() * b.sum() / n**2, value)
        for value, (a, b) in zip(raw, pairs, strict=True)
    ]
    own = [
        to_numpy(side.diagonal) - 2 * a / n + a.sum() / n**2
        for side, a in ((first, r), (second, s))
    ]
    traces, diagonals = [a.sum() for a in own], [a @ a for a in own]
    scales = first.scale, second.scale
    return _alignment(values, traces, diagonals, scales, n, debiased)


def _alignment(
    values: Any, traces: Any, diagonals: Any, scales: tuple[float, float], n: int, debiased: bool
) -> Alignment:
    """Collect Python floats; squared norms are not negative."""
    cross, *squares = values
    first, second = (
        (float(trace), max(float(square), 0.0), float(diagonal))
        for trace, square, diagonal in zip(traces, squares, diagonals, strict=True)
    )
    return Alignment(float(cross), first, second, scales, n, debiased)


def _significant(value: float, size: float) -> float:
    """Return 0 for the difference of large numbers that is not larger than their rounding."""
    return value if abs(value) > _ROUNDING * abs(size) else 0.0


def _make_side(Z: Array, kernel: Kernel, bandwidth: float) -> _Side:
    """Return a kernel by blocks, less approximate means of rows and columns."""
    if kernel == "precomputed":
        return _precomputed_side(Z)
    rows, scale = centred_rows(Z)
    if kernel == "linear":
        wide = as_float64(rows)
        return _Side(lambda i, j: as_float64(rows[i] @ rows[j].T), (wide * wide).sum(1), scale**2)
    return _rbf_side(rows * (scale / (float(bandwidth) * np.sqrt(2.0))))


def _precomputed_side(K: Array) -> _Side:
    """Return a given kernel by blocks, less its exact means."""
    n, scale = int(K.shape[0]), largest_entry(K) or 1.0
    parts = [as_float64(K[rows]).sum(1) / (n * scale) for rows in row_blocks(n, n)]
    means = get_backend(K).concatenate(parts, axis=0)
    offset = means - means.mean() / 2
    every = np.arange(n)

    def block(i: slice, j: slice) -> Array:
        return as_float64(K[i, j]) / scale - offset[i][:, None] - offset[j]

    return _Side(block, as_float64(K[every, every]) / scale - 2 * offset, scale)


def _rbf_side(rows: Array) -> _Side:
    """Return exp(-|x - z|^2) by blocks, less means over some of the rows."""
    backend, n = get_backend(rows), int(rows.shape[0])
    chosen = np.unique(np.linspace(0, n - 1, min(n, _LANDMARKS)).astype(int))
    marks = rows[backend.asarray(chosen, like=rows)]
    distances = [as_float64(squared_distances(rows[b], marks)) for b in row_blocks(n, _LANDMARKS)]
    # Near 1 everywhere, exp would round away what distinguishes the items.
    wide = float(sum(backend.exp(-part).sum() for part in distances)) > n * len(chosen) / 2
    apply = backend.expm1 if wide else backend.exp
    offset = backend.concatenate([apply(-part).mean(1) for part in distances], axis=0)
    offset = offset - offset.mean() / 2

    def block(i: slice, j: slice) -> Array:
        found = as_float64(apply(-squared_distances(rows[i], rows[j])))
        return found - offset[i][:, None] - offset[j]

    return _Side(block, (0.0 if wide else 1.0) - 2 * offset, 1.0)


def _spread(X: Array) -> float:
    """Return the largest distance of an entry from the mean of its column, or 1."""
    n, p = (int(size) for size in X.shape)
    mean = column_means(X, "float64")
    found = [largest_entry(as_float64(X[rows]) - mean) for rows in row_blocks(n, p)]
    return max(found) or 1.0
