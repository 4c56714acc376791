"""Centre a design matrix and decompose its smaller Gram matrix."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, lapack

from ..utils._dask import is_dask, map_blocks, reduce_blocks
from ..utils._scaling import moderate_unit
from ..utils._scratch import Scratch
from ._backend import Array, get_backend, is_torch

_BLOCK = 1 << 21
"""Numbers of a block of rows, 16 MB: products of larger ones are no faster."""

_DENSE_LEFT = 1 << 24
"""Numbers up to which left singular vectors of sparse data are stored, 128 MB."""

_NARROW = 64
"""Columns up to which left singular vectors of large arrays are computed at each use: that costs
about as many products as scores at 29 penalties."""

_SAFE = 1e70
"""Magnitude up to which sums of squares and their products stay finite."""

_RANK_CUT = 1e-11
"""Eigenvalue over the largest below which a direction is rounding: eps times a few thousand."""

_EPS = float(np.finfo(np.float64).eps)


class Factors(NamedTuple):
    """Thin factorisation ``Xc / unit = left diag(sqrt(scale)) V^T`` of the centred data.

    Attributes
    ----------
    left : array of shape (n, r) or None
        Left singular vectors; None with n > p for large sparse data, where ``n x r`` numbers
        would be a dense copy, and for data that do not lie in memory.
    right : array of shape (p, r) or None
        ``V diag(1 / sqrt(scale))``, known when p < n.
    scale : array of shape (r,)
        Squared singular values, largest first, in squares of `unit`.
    mean : array of shape (p,)
        Weighted column means in the unit of the data.
    varying : array of shape (p,)
        False for the columns that are constant up to rounding: they have no coefficient.
    unit : float
        Power of two by which the data were divided.
    projected : array of shape (r, q) or None
        ``left^T diag(roots) (targets - mean(targets))`` of targets that were given beforehand, of
        data read by blocks.
    """

    left: Array | None
    right: Array | None
    scale: Array
    mean: Array
    varying: Array
    unit: float
    projected: Array | None = None


def row_blocks(n: int, width: int, pieces: int = 1) -> Iterator[slice]:
    """Yield slices over n rows of `width` numbers, two million divided by `pieces` a block."""
    size = max(16, _BLOCK // max(1, width * pieces))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def factorise(
    X: Array,
    roots: Array,
    weighted: bool,
    centre: bool,
    near: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    moments: Moments | None = None,
) -> Factors:
    """Factorise ``diag(roots) (X - mean)`` through the Gram matrix of its smaller side.

    `near` are rough column means of data of moderate scale: with them, data that are read by
    blocks are read once. `targets` are projected in the same reading. `moments` are the sums of a
    reading before.
    """
    if sparse.issparse(X):
        return _factorise_sparse(X, roots, weighted, centre)
    if is_dask(X) or (is_mapped(X) and X.shape[0] > X.shape[1]) or is_tall(X):
        return _factorise_blocks(X, roots, centre, near, targets, moments)
    return _factorise_dense(X, roots, weighted, centre)


def is_tall(X: Any) -> bool:
    """Return whether an array in memory is so narrow that a copy costs more than products."""
    is_array = isinstance(X, np.ndarray) and X.dtype == np.float64
    return is_array and X.size > _DENSE_LEFT and X.shape[1] <= _NARROW


def is_mapped(X: Any) -> bool:
    """Return whether an array is mapped from a file rather than held in memory."""
    while isinstance(X, np.ndarray):
        if isinstance(X, np.memmap):
            return True
        X = X.base
    return isinstance(X, mmap.mmap)


class Moments(NamedTuple):
    """Weighted sums over centred rows: first (p,), products (p, p), cross (p, q)."""

    first: np.ndarray
    products: np.ndarray
    cross: np.ndarray


def _factorise_blocks(
    X: Array,
    roots: np.ndarray,
    centre: bool,
    near: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    moments: Moments | None = None,
) -> Factors:
    """Factorise data with n > p that are read by blocks of rows."""
    weights = roots * roots
    total, p = float(weights.sum()), X.shape[1]
    unit, mean = 1.0, np.zeros(p)
    if near is None:
        unit = moderate_unit(float(_over_blocks(_block_largest, X, combine=max)), _SAFE)
    if centre and near is None:
        mean = _over_blocks(_block_mean, X, weights, shared=(unit,)) / total
    elif centre:
        mean = np.asarray(near)
    if moments is None:
        fitted, n_targets = fitted_targets(targets, len(roots))
        shared = mean, unit, n_targets
        moments = _over_blocks(block_moments, X, weights, fitted, shared=shared, scratch=True)
    elif not centre:
        moments = _from_zero(moments, np.asarray(near), weights, targets)
    first, products, cross = moments
    squares = products.diagonal()
    if centre and targets is not None:
        cross = cross - np.outer(first, _weighted_targets(weights, targets) / total)
    varying = np.ones(p, dtype=bool)
    if centre:
        shift = first / total
        products = products - total * np.outer(shift, shift)
        varying = squares - total * shift * shift > total * (4 * _EPS * abs(mean)) ** 2
        mean = mean + shift
    products[~varying], products[:, ~varying] = 0.0, 0.0
    extra = moderate_unit(math.sqrt(float(products.diagonal().max())), _SAFE)
    scale, vectors = eigh_descending(products / extra / extra)
    right = vectors / scale**0.5
    right[~varying] = 0.0
    projected = None if targets is None else right.T @ (cross / extra)
    return Factors(None, right, scale, mean * unit, varying, unit * extra, projected)


def _over_blocks(
    function: Callable[..., Any],
    X: Array,
    *row_arrays: np.ndarray,
    shared: tuple = (),
    combine: Callable[..., Any] | None = None,
    scratch: bool = False,
) -> Any:
    """Add up a function of the blocks of rows of a Dask array, or of an array in a file."""
    if is_dask(X):
        if combine is not None:
            return combine(map_blocks(function, X, *row_arrays, shared=shared))
        return reduce_blocks(function, X, *row_arrays, shared=shared, scratch=scratch)
    if scratch:
        function = partial(function, scratch=Scratch())
    parts = (
        function(X[rows], *(array[rows] for array in row_arrays), *shared)
        for rows in row_blocks(X.shape[0], X.shape[1], pieces=16)
    )
    if combine is not None:
        return combine(parts)
    total = next(parts)
    for part in parts:
        if isinstance(part, tuple):
            total = type(part)(*(a + b for a, b in zip(total, part, strict=True)))
        else:
            total = total + part
    return total


def _from_zero(sums: Moments, near: np.ndarray, weights: np.ndarray, targets: Any) -> Moments:
    """Return sums over rows that are not centred from those over rows centred at a point."""
    first, products, cross = sums
    total = weights.sum()
    pairs = np.outer(near, first + 0.5 * total * near)
    if targets is not None:
        cross = cross + np.outer(near, _weighted_targets(weights, targets))
    return Moments(first + total * near, products + pairs + pairs.T, cross)


def fitted_targets(targets: np.ndarray | None, n: int) -> tuple[np.ndarray, int]:
    """Return what blocks need of targets, small codes or columns, and the number of columns."""
    if targets is None:
        return np.zeros((n, 0)), 0
    if targets.ndim == 1:
        n_classes = int(targets.max()) + 1
        return targets.astype(np.min_scalar_type(n_classes)), n_classes
    return targets, targets.shape[1]


def _weighted_targets(weights: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return weighted sums of targets, or of the weights of classes."""
    return weights @ targets if targets.ndim == 2 else np.bincount(targets, weights)


def _block_largest(block: np.ndarray) -> float:
    """Return max |x| of a block."""
    return _largest(block) if len(block) else 0.0


def _block_mean(block: np.ndarray, weights: np.ndarray, unit: float) -> np.ndarray:
    """Return the weighted sum of the rows of a block, divided by the unit."""
    return weights @ (np.asarray(block, dtype=np.float64) / unit)


def block_moments(
    block: np.ndarray,
    weights: np.ndarray,
    targets: np.ndarray,
    mean: np.ndarray,
    unit: float,
    n_targets: int,
    scratch: Scratch,
) -> Moments:
    """Return the weighted sums of the centred rows of a block."""
    return moments_of_centred(centred_rows(block, mean, unit, scratch), weights, targets, n_targets)


def centred_rows(block: np.ndarray, mean: np.ndarray, unit: float, scratch: Scratch) -> np.ndarray:
    """Return the rows of a block from a centre, in a unit, to be written over."""
    centred = scratch("centred", *block.shape)
    if unit != 1.0:
        block = np.divide(block, unit, out=centred, dtype=np.float64)
    return np.subtract(block, mean, out=centred, dtype=np.float64)


def moments_of_centred(
    centred: np.ndarray, weights: np.ndarray, targets: np.ndarray, n_targets: int
) -> Moments:
    """Return weighted sums of centred rows, which are written over."""
    targets = np.eye(n_targets)[targets] if targets.ndim == 1 else targets
    roots = np.sqrt(weights)
    if (roots != 1.0).any():
        centred *= roots[:, None]
        targets = targets * roots[:, None]
    # The product of a matrix with itself takes half the time of another.
    return Moments(roots @ centred, centred.T @ centred, centred.T @ targets)


def eigh_descending(gram: Array, lean: bool = False) -> tuple[Array, Array]:
    """Return the eigenvalues above the rank cut, largest first, and their eigenvectors."""
    if is_torch(gram):
        values, vectors = get_backend(gram).eigh(gram)
        values, vectors = values.flip(0), vectors.flip(1)
    else:
        values, vectors = symmetric_eigh(gram.T, lean)
        values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > max(_RANK_CUT * float(values[0]), 0.0)).sum())
    return get_backend(gram).copy(values[:rank]), vectors[:, :rank]


def symmetric_eigh(gram: np.ndarray, lean: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues, increasing, and eigenvectors of a finite matrix that is overwritten."""
    if lean or len(gram) == 1 or gram.dtype != np.float64:
        driver = "evr" if lean or len(gram) == 1 else "evd"
        return eigh(gram, driver=driver, overwrite_a=True, check_finite=False)
    # What `eigh` calls: its own checks take a third of the time for 64 columns.
    work, iwork, _ = lapack.dsyevd_lwork(len(gram), lower=1)
    values, vectors, info = lapack.dsyevd(
        gram, lower=1, lwork=int(work), liwork=int(iwork), overwrite_a=1
    )
    if info != 0:
        raise np.linalg.LinAlgError("the eigenvalues of a Gram matrix do not converge.")
    return values, vectors


def _largest(X: Array) -> float:
    """Return max |X| without a temporary of the size of X."""
    return max(float(X.max()), -float(X.min()), 0.0)


def _factorise_dense(X: Array, roots: Array, weighted: bool, centre: bool) -> Factors:
    """Factorise a NumPy array or a tensor."""
    xp = get_backend(X)
    n, p = X.shape
    Xc, mean, varying, unit, _ = _centred_copy(X, roots, weighted, centre)
    if p >= n:
        gram = _outer_gram(Xc)
        del Xc
        scale, vectors = eigh_descending(gram)
        left = xp.empty(tuple(vectors.shape), like=X, dtype=_name(X))
        left[:] = _cast(vectors, X)
        return Factors(left, None, scale, mean, varying, unit)
    scale, vectors = eigh_descending(_inner_gram(Xc), lean=n < 2 * p)
    right = vectors / scale**0.5
    del vectors
    rank = len(scale)
    for rows in row_blocks(n, p):
        Xc[rows, :rank] = _cast(_float64(Xc[rows]) @ right, X)
    return Factors(Xc[:, :rank], right, scale, mean, varying, unit)


def _name(X: Array) -> str:
    """Return the name of the floating dtype in which X is kept: float32 stays, all else widens."""
    return "float32" if str(X.dtype).endswith("float32") else "float64"


def _float64(x: Array) -> Array:
    """Return x in double precision, without a copy if it already is."""
    return get_backend(x).asarray(x, dtype="float64")


def _cast(x: Array, like: Array) -> Array:
    """Return x in the kept dtype of `like`."""
    return get_backend(x).asarray(x, dtype=_name(like))


class _Centred(NamedTuple):
    """``copy = diag(roots) (X - mean) / unit`` with the mean in data units.

    `varying` marks the columns that are not constant, `largest` is the largest column square.
    """

    copy: Array
    mean: Array
    varying: Array
    unit: float
    largest: float


def _centred_copy(X: Array, roots: Array, weighted: bool, centre: bool) -> _Centred:
    """Centre the data in a unit in which squares neither overflow nor vanish."""
    centred = _centre_scaled(X, roots, weighted, centre, 1.0)
    if 1.0 / _SAFE**2 < centred.largest < _SAFE**2:
        return centred
    unit = moderate_unit(_largest(X), _SAFE)
    if unit != 1.0:
        centred = _centre_scaled(X, roots, weighted, centre, unit)
    extra = moderate_unit(_largest(centred.copy), _SAFE)
    copy = centred.copy
    copy /= extra
    return centred._replace(copy=copy, mean=centred.mean * unit, unit=unit * extra)


def _centre_scaled(X: Array, roots: Array, weighted: bool, centre: bool, unit: float) -> _Centred:
    """Return ``diag(roots) (X / unit - mean)`` and the mean, as if `unit` were one."""
    xp = get_backend(X)
    n, p = X.shape
    weights = roots * roots
    total = float(weights.sum())
    copy = xp.empty((n, p), like=X, dtype=_name(X))
    mean = _column_means(X, weights / total, unit) if centre else _zeros(roots, p)
    shift, squares = _zeros(roots, p), _zeros(roots, p)
    for rows in row_blocks(n, p, pieces=16):
        block = _scaled_rows(X, rows, unit)
        block = block - mean if centre else block
        heavy = block * weights[rows, None] if weighted else block
        shift = shift + heavy.sum(0)
        squares = squares + (heavy * block).sum(0)
        copy[rows] = _cast(block * roots[rows, None] if weighted else block, X)
    if not centre:
        return _Centred(copy, mean, squares >= 0.0, 1.0, float(squares.max()))
    shift = shift / total
    drift = total * shift * shift
    varying = squares - drift > total * (4 * _EPS * abs(mean)) ** 2
    if bool((drift > 1e-18 * squares)[varying].any()):
        for rows in row_blocks(n, p, pieces=16):
            copy[rows] -= _cast(roots[rows, None] * shift, X)
    if not bool(varying.all()):
        copy[:, ~varying] = 0.0
        squares = xp.where(varying, squares, _zeros(roots, p))
    return _Centred(copy, mean + shift, varying, 1.0, float(squares.max()))


def _zeros(like: Array, size: int) -> Array:
    """Return a float64 vector of zeros beside `like`."""
    return get_backend(like).zeros(size, **get_backend(like).context(like))


def _column_means(X: Array, shares: Array, unit: float) -> Array:
    """Return the weighted column means of ``X / unit``."""
    if _name(X) == "float64" and unit == 1.0:
        return shares @ X
    n, p = X.shape
    return sum(shares[rows] @ _scaled_rows(X, rows, unit) for rows in row_blocks(n, p, pieces=16))


def _scaled_rows(X: Array, rows: slice, unit: float) -> Array:
    """Return a block of rows in double precision, divided by the unit."""
    block = _float64(X[rows])
    return block if unit == 1.0 else block / unit


def _inner_gram(Xc: Array) -> Array:
    """Return ``Xc^T Xc`` accumulated in double precision."""
    if _name(Xc) == "float64":
        return Xc.T @ Xc
    return sum(_float64(Xc[rows]).T @ _float64(Xc[rows]) for rows in row_blocks(*Xc.shape))


def _outer_gram(Xc: Array) -> Array:
    """Return ``Xc Xc^T`` accumulated in double precision."""
    if _name(Xc) == "float64":
        return Xc @ Xc.T
    n, p = Xc.shape
    blocks = (_float64(Xc[:, columns]) for columns in row_blocks(p, n))
    return sum(block @ block.T for block in blocks)


def _factorise_sparse(X: Array, roots: Array, weighted: bool, centre: bool) -> Factors:
    """Factorise a sparse matrix with implicit centring."""
    n, p = X.shape
    scaled = sparse.csr_array(X, dtype=np.float64, copy=True)
    first_row = scaled[[0]].toarray().ravel()
    weights = roots * roots
    mean, varying = np.zeros(p), np.ones(p, dtype=bool)
    if centre:
        varying = ~_constant_columns(scaled)
        _clear_columns(scaled, varying)
    unit = moderate_unit(float(abs(scaled.data).max()) if scaled.nnz else 0.0, _SAFE)
    scaled.data /= unit
    if centre:
        mean = scaled.T @ weights / weights.sum()
        full_mean = np.where(varying, mean * unit, first_row)
    else:
        full_mean = mean
    if p >= n:
        projected = scaled @ mean
        gram = _sparse_gram(scaled.T.tocsr())
        gram += mean @ mean - projected[:, None] - projected[None, :]
        gram *= roots[:, None] * roots[None, :]
        scale, left = eigh_descending(gram)
        left = np.ascontiguousarray(left)
        return Factors(left, None, scale, full_mean, varying, unit)
    if weighted:
        scaled.data *= np.repeat(roots, np.diff(scaled.indptr))
    gram = _sparse_gram(scaled)
    gram -= weights.sum() * np.outer(mean, mean)
    scale, vectors = eigh_descending(gram)
    right = vectors / np.sqrt(scale)
    right[~varying] = 0.0
    left = None
    if right.size and n * len(scale) <= max(_DENSE_LEFT, 4 * scaled.nnz):
        left = scaled @ right - roots[:, None] * (mean @ right)
    return Factors(left, right, scale, full_mean, varying, unit)


def _constant_columns(X: Array) -> np.ndarray:
    """Return which columns of a CSR matrix hold one value only."""
    return X.max(axis=0).toarray().ravel() == X.min(axis=0).toarray().ravel()


def _clear_columns(X: Array, varying: np.ndarray) -> None:
    """Set the stored values of the columns that do not vary to zero, in place."""
    if not varying.all():
        X.data *= varying[X.indices]


def _sparse_gram(A: Array) -> np.ndarray:
    """Return ``A^T A`` as a dense array for a CSR matrix A."""
    n, p = A.shape
    per_row = np.diff(A.indptr).astype(float)
    if 200.0 * (per_row @ per_row) < float(n) * p * p:
        return np.asarray((A.T @ A).toarray())
    gram = np.zeros((p, p))
    for rows in row_blocks(n, p):
        block = A[rows].toarray()
        gram += block.T @ block
    return gram
