"""Passes over a stack of views: moments of the views, combinations of them, leading components.

On Dask arrays chunked by samples every pass runs where the blocks are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh

from ..linalg._backend import Array, get_backend, to_numpy
from ..linalg._dense_tensor import FloatArray
from ..utils._dask import is_dask, map_blocks, reduce_blocks, to_local
from ..utils._memory import explains_memory
from ..utils._optional import import_optional
from ..utils._rows import row_sums

_CHUNK = 2**18
"""Numbers of a block of samples that is centred at a time, 2 MB: it stays in the cache."""

_MOST_LEVELS = 16
"""Sets of views that samples have, or precisions of these, for which products of blocks are kept
apart: all sets of four views. With more, blocks are read for every weighting of the samples."""


class LeadingComponents(NamedTuple):
    """The leading part of the singular value decomposition of a matrix.

    Attributes
    ----------
    eigenvalues : ndarray of shape (q,)
        Squared singular values, the largest first.
    left : ndarray of shape (n, q)
        Left singular vectors.
    right : ndarray of shape (p, q)
        Right singular vectors, the largest entry of each positive.
    trace : float
        Sum of all squared singular values.
    squares : float
        Sum of their squares.
    """

    eigenvalues: FloatArray
    left: FloatArray
    right: FloatArray
    trace: float
    squares: float


def view_means(X: Array, mask: Array | None = None) -> FloatArray:
    """Return the mean of every feature in every view."""
    n, p, m = (int(size) for size in X.shape)
    counts = n if mask is None else np.maximum(mask.sum(axis=0), 1)
    if is_dask(X):
        return np.asarray(reduce_blocks(_block_sum, X) / counts)
    if mask is None and "float64" in str(X.dtype):
        return np.asarray(to_numpy(X.reshape(n, -1).mean(0))).reshape(p, m)
    return np.asarray(_block_sum(X) / counts)


def _block_sum(X: Array) -> FloatArray:
    """Return the sum over samples, (p, m)."""
    n, p, m = (int(size) for size in X.shape)
    total = np.zeros(p * m)
    for rows in _blocks(n, p * m):
        total += _float64(X[rows].reshape(rows.stop - rows.start, -1)).sum(0)
    return total.reshape(p, m)


def view_gram(X: Array, mean: FloatArray, mask: Array | None = None) -> FloatArray:
    r"""Return the Gram matrix of centred views: one pass, :math:`npm^2` flops."""
    if is_dask(X):
        return np.asarray(reduce_blocks(_block_gram, X, *_given(mask), shared=(mean,)))
    m = mean.shape[1]
    gram = np.zeros((m, m))
    for _, block in centred_blocks(X, mean, mask):
        flat = block.reshape(-1, m)
        gram += to_numpy(flat.T @ flat)
    return gram


def _given(mask: Array | None) -> tuple[Array, ...]:
    """Return the mask as the arrays that go with the rows: one, or none."""
    return () if mask is None else (mask,)


def _block_gram(block: Array, *mask_and_mean: Array) -> FloatArray:
    """Return the Gram matrix of the views of a block of samples."""
    *mask, mean = mask_and_mean
    return view_gram(block, mean, *mask)


@explains_memory("fewer samples", "a Dask array chunked by samples")
def combine_views(
    X: Array, mean: FloatArray, weights: FloatArray, mask: Array | None = None
) -> Array:
    """Return a weighted sum of centred views: one pass."""
    if is_dask(X):
        return _combine_lazily(X, mean, weights, mask)
    n, p = int(X.shape[0]), int(X.shape[1])
    backend = get_backend(X)
    combined = backend.empty((n, p), like=X, dtype="float64")
    vector = backend.asarray(weights, like=X, dtype="float64")
    for rows, block in centred_blocks(X, mean, mask):
        combined[rows] = block @ vector
    return combined


def _combine_lazily(X: Array, mean: FloatArray, weights: FloatArray, mask: Array | None) -> Array:
    """Return the weighted sum of the views of a Dask array as another."""
    da = import_optional("dask.array", "dask")
    there = _given(mask)
    masks = [da.from_array(part, chunks=(X.chunks[0], -1))[:, None, :] for part in there]
    return da.map_blocks(
        _combined_block, X, *masks, mean=mean, weights=weights, drop_axis=2, dtype=np.float64
    )


def _combined_block(
    block: Array, present: Array | None = None, *, mean: FloatArray, weights: FloatArray
) -> Array:
    """Return the weighted sum of the views of a block of samples."""
    return combine_views(block, mean, weights, None if present is None else present[:, 0])


@explains_memory("fewer directions", "fewer samples")
def project_views(
    X: Array, mean: FloatArray, directions: FloatArray, mask: Array | None = None
) -> FloatArray:
    """Return the scores of every centred view along directions of the features: one pass."""
    if is_dask(X):
        return np.concatenate(
            map_blocks(_projected_block, X, *_given(mask), shared=(mean, directions))
        )
    rows_of = np.ascontiguousarray(directions.T)
    matrix = get_backend(X).asarray(rows_of, like=X, dtype="float64")
    parts = [to_numpy(matrix @ block) for _, block in centred_blocks(X, mean, mask)]
    return np.concatenate(parts) if parts else np.zeros((0, directions.shape[1], mean.shape[1]))


def _projected_block(block: Array, *mask_mean_directions: Array) -> FloatArray:
    """Return the scores of a block of samples."""
    *mask, mean, directions = mask_mean_directions
    return project_views(block, mean, directions, *mask)


@explains_memory("fewer features")
def leading_components(
    Y: Array | None, n_components: int, gram: FloatArray | None = None
) -> LeadingComponents:
    r"""Return the leading singular triplets of a matrix, from its smaller Gram matrix.

    Given ``Y^T Y``, that of its columns is not computed; without Y, left vectors have no entry.
    """
    if Y is None:
        Y = np.zeros((0, len(gram) if gram is not None else 0))
    n, p = (int(size) for size in Y.shape)
    transposed = n < p and gram is None
    Y = to_local(Y) if transposed else Y
    A = Y if transposed else Y.T
    if gram is None:
        gram = reduce_blocks(_inner, Y) if is_dask(Y) else to_numpy(A @ A.T)
    size = len(gram)
    q = min(n_components, size)
    values, vectors = eigh(gram, subset_by_index=(size - q, size - 1), check_finite=False)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1].copy()
    trace, squares = float(np.trace(gram)), float((gram**2).sum())
    if is_dask(Y):
        other = np.concatenate(map_blocks(np.matmul, Y, shared=(vectors,)))
    else:
        native = get_backend(Y).asarray(np.ascontiguousarray(vectors), like=Y, dtype="float64")
        other = np.array(to_numpy(A.T @ native))
    norms = np.sqrt(np.maximum(values, values[0] * size * 2.0**-52 if q else 0.0))
    other /= np.where(norms > 0, norms, 1.0)
    left, right = (vectors, other) if transposed else (other, vectors)
    signs = np.sign(right[np.abs(right).argmax(axis=0), np.arange(q)])
    signs = np.where(signs == 0, 1.0, signs)
    return LeadingComponents(values, left * signs, right * signs, trace, squares)


def _inner(block: Array) -> FloatArray:
    """Return the products of the columns of a block."""
    return np.asarray(block.T @ block)


def centred_blocks(X: Array, mean: FloatArray, mask: Array | None) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows, centred, in float64, with 0 where a view is missing."""
    backend = get_backend(X)
    centre = backend.asarray(mean, like=X, dtype="float64")
    for rows in _blocks(int(X.shape[0]), mean.size):
        block = backend.asarray(X[rows], like=X, dtype="float64") - centre
        if mask is not None:
            present = np.ascontiguousarray(mask[rows], dtype=np.float64)
            block = block * backend.asarray(present, like=X, dtype="float64")[:, None, :]
        yield rows, block


def _blocks(n_rows: int, row_size: int) -> Iterator[slice]:
    """Yield slices of rows of bounded size."""
    step = max(1, _CHUNK // max(1, row_size))
    for start in range(0, n_rows, step):
        yield slice(start, min(start + step, n_rows))


def _float64(array: Array) -> FloatArray:
    """Return an array as float64 on the host."""
    return np.asarray(to_numpy(array), dtype=np.float64)


def weighted_components(
    Y: Array, precisions: FloatArray, size: int
) -> Callable[[FloatArray], LeadingComponents]:
    """Return the function that yields leading components for weights of the squares of samples.

    Weights follow from precisions. Blocks are read once for the products of the samples of each.
    """
    levels, member = np.unique(precisions, return_inverse=True)
    if not is_dask(Y) or len(levels) > _MOST_LEVELS:
        return lambda weights: leading_components(Y * np.sqrt(weights)[:, None], size)
    codes = member.ravel().astype(np.uint8)
    grams = row_sums(_products_of_levels, Y, codes, shared=(len(levels),))
    first = np.unique(codes, return_index=True)[1]
    return lambda weights: leading_components(
        None, size, np.tensordot(weights[first], grams, axes=1)
    )


def _products_of_levels(rows: FloatArray, codes: Array, n_levels: int) -> FloatArray:
    """Return the products of the columns of some rows for the rows of each code."""
    parts = (rows[codes == level] for level in range(n_levels))
    return np.stack([part.T @ part for part in parts])
