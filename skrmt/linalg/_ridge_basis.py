"""The decomposition behind ridge fits at every penalty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..utils._dask import add_parts, block_tasks, is_dask, join_rows, summed
from ..utils._memory import explains_memory
from ..utils._optional import import_optional
from ..utils._scratch import Scratch
from ._backend import Array, get_backend, is_torch
from ._gram import Moments, factorise, row_blocks


class RidgeBasis(NamedTuple):
    """The decomposition from which ridge fits at every penalty are read.

    With ``D = diag(sqrt_weights)``, ``D (X - mean) / unit = U diag(sqrt(scale)) V^T``.

    Parameters
    ----------
    left : array of shape (n, r) or None
        U. None with n > p for large sparse data, for Dask arrays, for data mapped from a file and
        for more than 2^24 numbers in at most 64 columns: it is then computed by blocks of rows.
    scale : array of shape (r,)
        Squared singular values, largest first, in squares of `unit`.
    mean : array of shape (p,)
        Weighted column means in the unit of the data; zeros without intercept.
    sqrt_weights : array of shape (n,)
        Square roots of the sample weights.
    total_weight : float
        W: the penalty is ``W alpha``.
    fit_intercept : bool
        Whether an intercept is fitted.
    data : array, sparse matrix, tensor or dask array of shape (n, p)
        The data given, not copied.
    right : array of shape (p, r) or None
        ``V diag(scale^(-1/2))``, known when p < n.
    varying : array of shape (p,)
        False for the columns that are constant up to rounding: with an intercept they have no
        coefficient.
    unit : float
        Power of two by which the data were divided (1 unless their scale is extreme).
    dtype : {"float32", "float64"}
        Precision of what the kernels return.
    part : array of shape (n,)
        Part of the weight of each row that leave-one-out leaves out: 1 for the row whole.
    targets : array of shape (n, q), or of int of shape (n,), or None
        Targets that were projected when the data were read by blocks, or codes of such classes.
    projected : array of shape (r, q) or None
        ``U^T D (targets - mean(targets))``, q the number of classes for codes.
    some : tuple of arrays of shape (m,) and (m, p), or None
        Numbers of some rows and these rows of data that do not lie in memory.
    """

    left: Array | None
    scale: Array
    mean: Array
    sqrt_weights: Array
    total_weight: float
    fit_intercept: bool
    data: Array
    right: Array | None
    varying: Array
    unit: float
    dtype: str
    part: Array
    targets: Array | None = None
    projected: Array | None = None
    some: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return int(self.sqrt_weights.shape[0])

    @property
    def rank(self) -> int:
        """Number of directions kept."""
        return int(self.scale.shape[0])

    @property
    def trace(self) -> float:
        """Sum of the squared singular values."""
        return float(self.scale.sum())

    @property
    def largest(self) -> float:
        """Largest squared singular value, 0 for none."""
        return float(self.scale[0]) if self.rank else 0.0

    @property
    def share(self) -> Array:
        """Leverage of the intercept: each row's share of the weight, zero without intercept."""
        weights = self.sqrt_weights * self.sqrt_weights
        return weights / weights.sum() if self.fit_intercept else weights * 0.0


@explains_memory("fewer rows", "a Dask array or numpy.memmap")
def ridge_basis(
    X: Array,
    sample_weight: Array | None = None,
    *,
    fit_intercept: bool = True,
    total_weight: float | None = None,
    part: Array | None = None,
    near: Array | None = None,
    targets: Array | None = None,
    moments: Moments | None = None,
) -> RidgeBasis:
    r"""Decompose a design matrix for ridge regression at every penalty.

    The objective is ``(1/W) sum_i w_i (t_i - x_i . w - b)^2 + alpha |w|^2``.

    Parameters
    ----------
    X : array, sparse matrix, torch tensor or dask array of shape (n, p)
        The data. float32 is kept, every other type is computed in float64. A Dask array is chunked
        by rows; with as many features as rows it is read into memory.
    sample_weight : array of shape (n,), optional
        Positive weights w; ones by default.
    fit_intercept : bool, default=True
        Whether b is fitted (and not penalised).
    total_weight : float, optional
        W in the penalty ``W alpha``; the sum of the weights by default.
    part : array of shape (n,), optional
        Part of the weight of each row that leave-one-out leaves out, in (0, 1]: a row of weight w
        that stands for w observations leaves one out at a time with ``1 / w``. By default a row
        is left out whole.
    near : array of shape (p,), optional
        Rough column means of data whose squares are finite: a Dask array is read once then.
    targets : array of shape (n, q), or of int of shape (n,), optional
        Targets to project in that reading: what is equal for equal codes of classes, or these
        targets themselves, is fitted without another.
    moments : Moments, optional
        What `block_moments` has summed for these weights and targets around `near`, if the data
        have been read before.

    Returns
    -------
    RidgeBasis
        What `loo_path`, `loo_scores` and `coefficients` need.

    Raises
    ------
    TypeError
        If X is a sparse torch tensor.
    ValueError
        If X is not a non-empty matrix, or a weight is not positive.

    Notes
    -----
    The eigenvectors of the smaller Gram matrix, ``X_c^T X_c`` or ``X_c X_c^T``, give the left
    singular vectors U and the squared singular values ``s^2``; directions with
    ``s^2 < 1e-11 max(s^2)`` are dropped. Cost: ``O(n p min(n, p) + min(n, p)^3)`` once, and
    ``O(n r k)`` for k penalties afterwards. Memory: one centred copy of X, overwritten by U when
    p < n, and ``min(n, p)^2``. Sparse data are centred implicitly; U is stored for them only up
    to 2^24 numbers, and computed by blocks of rows at each use beyond. With n > p, Dask arrays and
    arrays mapped from a file are never copied: each use of U reads them once, block by block, on
    the workers of the active Dask scheduler, and nothing longer than n numbers a target travels.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import ridge_basis
    >>> basis = ridge_basis(np.array([[1.0, 0.0], [3.0, 1.0], [5.0, 5.0]]))
    >>> basis.rank
    2
    """
    data = check_data(X)
    xp = get_backend(data)
    like = None if sparse.issparse(data) or is_dask(data) else data
    n = data.shape[0]
    if sample_weight is None:
        roots = xp.asarray(np.ones(n), like=like)
    else:
        roots = xp.sqrt(check_weights(xp.asarray(sample_weight, like=like, dtype="float64"), n))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        weighted = sample_weight is not None
        factors = factorise(data, roots, weighted, fit_intercept, near, targets, moments)
    total = float((roots * roots).sum()) if total_weight is None else float(total_weight)
    if not (total > 0.0 and np.isfinite(total)):
        raise ValueError(f"total_weight={total_weight!r} must be a positive number.")
    dtype = "float32" if str(data.dtype).endswith("float32") else "float64"
    return RidgeBasis(
        left=factors.left,
        scale=factors.scale,
        mean=factors.mean,
        sqrt_weights=roots,
        total_weight=total,
        fit_intercept=fit_intercept,
        data=data,
        right=factors.right,
        varying=factors.varying,
        unit=factors.unit,
        dtype=dtype,
        part=check_part(xp.asarray(np.ones(n) if part is None else part, like=roots), n),
        targets=None if factors.projected is None else targets,
        projected=factors.projected,
    )


def check_data(X: Array) -> Array:
    """Return X as a floating NumPy array, sparse matrix or detached tensor."""
    if is_torch(X):
        if str(X.layout) != "torch.strided":
            raise TypeError(f"X has layout {X.layout}: give a dense tensor or a SciPy matrix.")
        X = X.detach()
        X = X if str(X.dtype) == "torch.float32" else X.double()
    elif is_dask(X):
        X = X.compute() if X.shape[1] >= X.shape[0] else X
    elif not sparse.issparse(X):
        X = np.asarray(X)
        X = X if X.dtype == np.float32 else X.astype(np.float64, copy=False)
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X has shape {tuple(X.shape)}: give a matrix with rows and columns.")
    return X


def check_weights(weights: Array, n: int) -> Array:
    """Return the weights if they are n positive finite numbers."""
    if tuple(weights.shape) != (n,):
        raise ValueError(f"sample_weight has shape {tuple(weights.shape)}: give shape ({n},).")
    if not bool(((weights > 0) & (weights < np.inf)).all()):
        raise ValueError(
            f"sample_weight must be positive and finite, its smallest value is "
            f"{float(weights.min())!r}: drop the rows of weight zero first."
        )
    return weights


def check_part(part: Array, n: int) -> Array:
    """Return the parts of weights that are left out, if they are n numbers in (0, 1]."""
    if tuple(part.shape) != (n,) or not bool(((part > 0) & (part <= 1)).all()):
        raise ValueError(f"part must be {n} numbers in (0, 1], one per row of X.")
    return part


def left_blocks(basis: RidgeBasis) -> Iterator[tuple[slice, Array]]:
    """Yield blocks of rows of the left singular vectors, in double precision.

    The next one may be written over the last.
    """
    if basis.left is not None:
        xp = get_backend(basis.left)
        # A device wants large blocks, the cache of a core small ones.
        pieces = 16 if isinstance(basis.left, np.ndarray) else 1
        for rows in row_blocks(basis.n_samples, 2 * basis.rank, pieces):
            yield rows, xp.asarray(basis.left[rows], dtype="float64")
        return
    if isinstance(basis.data, np.ndarray):
        (n, p), scratch = basis.data.shape, Scratch()
        for rows in row_blocks(n, p, pieces=16):
            data, roots = basis.data[rows], basis.sqrt_weights[rows]
            yield rows, left_block(data, roots, *projector(basis), scratch)
        return
    data = basis.data.tocsr()
    right, offset, unit = projector(basis)
    for rows in row_blocks(basis.n_samples, 2 * basis.rank):
        scaled = data[rows].astype(np.float64) / unit
        yield rows, (scaled @ right - offset) * basis.sqrt_weights[rows, None]


def projector(basis: RidgeBasis) -> tuple[Array, Array, float]:
    """Return what turns rows of the data into rows of U: V / s, the projected mean and the unit."""
    return basis.right, basis.mean / basis.unit @ basis.right, basis.unit


def rows_of_left(basis: RidgeBasis, numbers: np.ndarray, rows: Array) -> Array:
    """Return the rows of the left singular vectors of some rows of the data."""
    return left_block(rows, basis.sqrt_weights[numbers], *projector(basis), Scratch())


def left_block(
    data: Array, roots: Array, right: Array, offset: Array, unit: float, scratch: Scratch
) -> Array:
    """Return the rows of U of a block of rows of dense data, to be written over."""
    scaled = doubles(data, unit, scratch)
    left = np.matmul(scaled, right, out=scratch("left", len(scaled), right.shape[1]))
    left -= offset
    if (roots != 1.0).any():
        left *= roots[:, None]
    return left


def doubles(data: np.ndarray, unit: float, scratch: Scratch) -> np.ndarray:
    """Return rows in double precision in a unit: those given, or some to be written over."""
    if data.dtype == np.float64 and unit == 1.0:
        return data
    return np.divide(data, unit, out=scratch("rows", *data.shape), dtype=np.float64)


def left_tasks(
    basis: RidgeBasis,
    function: Callable[..., Any],
    row_arrays: tuple[Array, ...],
    shared: tuple,
    join: Callable[..., Any] | None,
    *,
    with_roots: bool = False,
    width: int = 0,
    scratch: bool = False,
) -> list[Any]:
    """Return one task for each block of rows of the left singular vectors of a Dask array.

    `with_roots` gives the function the square roots of the weights before the arrays of rows;
    `width` is how many numbers it computes a row, if they are many; `scratch` is as in
    `block_tasks`.
    """
    return block_tasks(
        partial(_on_worker, function, len(row_arrays), with_roots, scratch),
        basis.data,
        (basis.sqrt_weights, *row_arrays),
        (*shared, *projector(basis)),
        join,
        width,
        scratch=True,
    )


def map_left(
    basis: RidgeBasis, function: Callable[..., Any], *row_arrays: Array, shared: tuple = ()
) -> Iterator[Any]:
    """Yield what a function gives for every block of rows of the left singular vectors."""
    if is_dask(basis.data):
        tasks = left_tasks(basis, function, row_arrays, shared, join_rows)
        yield from import_optional("dask", "dask").compute(*tasks)
        return
    for rows, block in left_blocks(basis):
        yield function(block, *(array[rows] for array in row_arrays), *shared)


def sum_left(
    basis: RidgeBasis, function: Callable[..., Any], *row_arrays: Array, shared: tuple = ()
) -> Any:
    """Add up what `map_left` yields, arrays or one tuple of arrays a block."""
    if is_dask(basis.data):
        tasks = left_tasks(basis, function, row_arrays, shared, add_parts)
        return import_optional("dask", "dask").compute(summed(tasks))[0]
    total: Any = None
    for part in map_left(basis, function, *row_arrays, shared=shared):
        if total is None:
            total = part
        elif isinstance(part, tuple):
            total = tuple(a + b for a, b in zip(total, part, strict=True))
        else:
            total = total + part
    return total


def _on_worker(
    function: Callable[..., Any],
    n_arrays: int,
    with_roots: bool,
    with_scratch: bool,
    data: Array,
    roots: Array,
    *arguments: Any,
    scratch: Scratch,
) -> Any:
    """Call a function of the left singular vectors where the rows of data are."""
    *shared, right, offset, unit = arguments[n_arrays:]
    block = left_block(data, roots, right, offset, unit, scratch)
    given = (roots,) if with_roots else ()
    keywords = {"scratch": scratch} if with_scratch else {}
    return function(block, *given, *arguments[:n_arrays], *shared, **keywords)


def check_alphas(alphas: Any) -> np.ndarray:
    """Return the penalties as a vector of non-negative numbers."""
    alphas = np.atleast_1d(np.asarray(alphas, dtype=float))
    if alphas.ndim != 1 or not (alphas >= 0.0).all():
        raise ValueError(f"alphas={alphas!r} must be non-negative numbers (np.inf included).")
    return alphas


def gains(basis: RidgeBasis, alphas: Any) -> Array:
    """Return the factor by which each direction of the targets is kept."""
    alphas = check_alphas(alphas)
    xp = get_backend(basis.scale)
    with np.errstate(over="ignore", under="ignore"):
        penalty = basis.total_weight * alphas / basis.unit / basis.unit
        limit = np.float64(basis.unit) / basis.total_weight * basis.unit
    finite = xp.asarray(np.isfinite(alphas), like=basis.scale)
    penalty = xp.asarray(penalty, like=basis.scale)
    scale = basis.scale[:, None]
    with np.errstate(over="ignore", under="ignore"):
        return xp.where(finite, scale / (scale + penalty), scale * float(limit))
