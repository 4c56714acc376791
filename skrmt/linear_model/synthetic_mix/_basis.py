"""Moments of real and synthetic rows that serve every weight and every penalty."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg._backend import Array, get_backend, is_torch
from ...linalg._gram import row_blocks
from ...linalg._ridge_basis import (
    RidgeBasis,
    check_data,
    check_part,
    check_weights,
    ridge_basis,
)
from ...utils._dask import block_tasks, is_dask, summed, to_local
from ...utils._memory import explains_memory
from ...utils._rows import compute_together, take_rows

_WEIGHTS, _SYSTEMS, _EIGH = 8, 37, 15.0
"""Weights and n x n systems of the default grid, and operations of `eigh` in units of p^3."""
_SAFE_SHARE = 1e-3
"""Share of a column's squares that centring must leave: its variance then keeps 13 digits."""


class MixSource(NamedTuple):
    """Synthetic rows of one source.

    Attributes
    ----------
    X : array, sparse matrix, torch tensor or dask array of shape (m, p)
        The rows.
    targets : array of shape (m,) or (m, q)
        Their targets.
    sample_weight : array of shape (m,), optional
        Their positive weights; ones by default.
    """

    X: Array
    targets: Array
    sample_weight: Array | None = None


class Rows(NamedTuple):
    """Rows with what centres them.

    Attributes
    ----------
    X : array, sparse matrix, tensor or dask array of shape (n, p)
        The data given, not copied.
    targets : array of shape (n, q)
        Targets in double precision.
    roots : array of shape (n,)
        Square roots of the weights.
    weight : float
        Sum of the weights.
    mean : array of shape (p,)
        Weighted mean of the rows; zeros without intercept.
    target_mean : array of shape (q,)
        Weighted mean of the targets; zeros without intercept.
    gram : array of shape (p, p) or None
        Weighted Gram matrix of the centred rows, in the primal form or with many rows.
    cross : array of shape (p, q) or None
        Weighted product of centred rows and targets, likewise.
    """

    X: Array
    targets: Array
    roots: Array
    weight: float
    mean: Array
    target_mean: Array
    gram: Array | None = None
    cross: Array | None = None


class MixBasis(NamedTuple):
    """What of real and synthetic rows depends on neither weights nor penalties.

    Attributes
    ----------
    real : Rows
        The real rows.
    alone : RidgeBasis
        Their decomposition, in units of W.
    sources : list of Rows
        The synthetic ones.
    form : {"primal", "gram", "kernel"}
        "primal": one p x p decomposition a weight; "gram": one of the synthetic p x p Gram matrix,
        then n x n systems; "kernel": one of the m x m kernel of the synthetic rows, then n x n
        systems.
    total_weight : float
        W: the penalty is ``W alpha``.
    fit_intercept : bool
        Whether an intercept is fitted.
    dtype : {"float32", "float64"}
        Precision of what the kernels return.
    part : array of shape (n,)
        Part of the weight of each real row that leave-one-out leaves out: 1 for the row whole.
    group : ndarray of int of shape (n,) or None
        Which real rows are left out together, from 0; None for each alone.
    joined : list of ndarray of int of shape (m,) or None
        With which of these groups each synthetic row of a source is left out, -1 for none; None if
        all stay.
    members : list of Rows
        The rows of each source that are, in memory, in the primal form.
    """

    real: Rows
    alone: RidgeBasis
    sources: list[Rows]
    form: str
    total_weight: float
    fit_intercept: bool
    dtype: str
    part: Array
    group: np.ndarray | None = None
    joined: list[np.ndarray] | None = None
    members: Sequence[Rows] = ()


@explains_memory("fewer rows", "a Dask array of synthetic rows")
def mix_basis(
    X: Array,
    targets: Array,
    sources: Sequence[tuple],
    sample_weight: Array | None = None,
    *,
    fit_intercept: bool = True,
    total_weight: float | None = None,
    part: Array | None = None,
    form: str | None = None,
    groups: tuple[np.ndarray, Sequence[np.ndarray | None]] | None = None,
) -> MixBasis:
    """Prepare ridge regression on real rows and sources (X, targets, weights) of synthetic ones."""
    group, made = (None, []) if groups is None else groups
    joined = [codes for codes in made if codes is not None] or None
    real = _rows(MixSource(X, targets, sample_weight), fit_intercept)
    (n, p), q = real.X.shape, real.targets.shape[1]
    given = _in_memory_if_few([MixSource(*source) for source in sources], p, form)
    sums = _block_sums(given, fit_intercept)
    synthetic = [_rows(s, fit_intercept, found) for s, found in zip(given, sums, strict=True)]
    for source in synthetic:
        if source.X.shape[1] != p or source.targets.shape[1] != q:
            raise ValueError(
                f"a source has {source.X.shape[1]} features and {source.targets.shape[1]} targets, "
                f"the real rows have {p} and {q}: give the same."
            )
    m = sum(source.X.shape[0] for source in synthetic)
    # Groups of real and synthetic rows go out of moments, or of all rows stacked.
    mixed = "primal" if p <= n + m else "kernel"
    chosen = form or (_cheapest(n, m, p) if joined is None else mixed)
    if chosen != "kernel":
        synthetic = [with_gram(rows) for rows in synthetic]
    if chosen == "primal":
        real = with_gram(real)
    parts = [real, *synthetic]
    total = sum(rows.weight for rows in parts) if total_weight is None else float(total_weight)
    narrow = all(str(rows.X.dtype).endswith("float32") for rows in parts)
    dtype = "float32" if narrow else "float64"
    left_out = np.ones(n) if part is None else part
    left_out = check_part(as_like(left_out, real.roots), n)
    members = _joined_rows(synthetic, joined) if joined and chosen == "primal" else ()
    alone = ridge_basis(
        real.X,
        real.roots * real.roots,
        fit_intercept=fit_intercept,
        total_weight=total,
        part=left_out,
    )
    return MixBasis(
        real, alone, synthetic, chosen, total, fit_intercept, dtype, left_out, group, joined,
        members,
    )  # fmt: skip


def _joined_rows(sources: Sequence[Rows], joined: Sequence[np.ndarray]) -> list[Rows]:
    """Return the synthetic rows that go out with real ones, in memory."""
    members = []
    for source, group in zip(sources, joined, strict=True):
        some = np.flatnonzero(group >= 0)
        X = to_local(source.X if len(some) == len(group) else take_rows(source.X, group >= 0))
        members.append(source._replace(X=X, targets=source.targets[some], roots=source.roots[some]))
    return members


def _cheapest(n: int, m: int, p: int) -> str:
    """Return the form with the fewest operations for 8 weights and 25 penalties in step."""
    primal = _WEIGHTS * (_EIGH * p**3 + 2.0 * n * p**2) + (n + m) * p**2
    systems = _SYSTEMS * _EIGH * n**3
    gram = _EIGH * p**3 + (2.0 * n + m) * p**2 + 2.0 * _SYSTEMS * n**2 * p + systems
    kernel = _EIGH * m**3 + 2.0 * (n + m) * m * p + 2.0 * _SYSTEMS * n**2 * m + systems
    kernel = kernel if m < p else np.inf
    costs = {"primal": primal, "gram": gram, "kernel": kernel}
    return min(costs, key=lambda name: costs[name])


def _in_memory_if_few(
    sources: Sequence[MixSource], n_features: int, form: str | None
) -> Sequence[MixSource]:
    """Return sources with Dask arrays read where they are small, or the rows are needed."""
    if not any(is_dask(source.X) for source in sources):
        return sources
    if form != "kernel" and sum(source.X.shape[0] for source in sources) >= n_features:
        return sources
    return [source._replace(X=to_local(source.X)) for source in sources]


class _Sums(NamedTuple):
    """Weight, weighted means and, about these, products of rows with rows and with targets."""

    weight: float
    mean: np.ndarray
    target_mean: np.ndarray
    gram: np.ndarray
    cross: np.ndarray


def _block_sums(sources: Sequence[MixSource], centre: bool) -> list[_Sums | None]:
    """Return the sums over the rows of Dask arrays, read together once; None for others."""
    sums: list[_Sums | None] = [None] * len(sources)
    lazy = [k for k, source in enumerate(sources) if is_dask(source.X)]
    tasks = []
    for k in lazy:
        X, targets, given = sources[k]
        weights = np.ones(X.shape[0]) if given is None else np.asarray(given, dtype=float)
        columns = np.asarray(targets, dtype=float).reshape(len(targets), -1)
        rows = (columns, check_weights(weights, X.shape[0]))
        tasks.append([summed(block_tasks(_sums_of, X, rows, (centre,), join=_merged), _merged)])
    for k, (found,) in zip(lazy, compute_together(tasks) if tasks else [], strict=True):
        sums[k] = found
    return sums


def _sums_of(rows: np.ndarray, targets: np.ndarray, weights: np.ndarray, centre: bool) -> _Sums:
    """Return the sums over some rows, about their own means."""
    weight, roots = float(weights.sum()), np.sqrt(weights)[:, None]
    rows = rows.astype(np.float64, copy=False)
    mean, target_mean = np.zeros(rows.shape[1]), np.zeros(targets.shape[1])
    if centre and weight > 0:
        mean, target_mean = weights @ rows / weight, weights @ targets / weight
    part = (rows - mean) * roots
    return _Sums(
        weight, mean, target_mean, part.T @ part, part.T @ ((targets - target_mean) * roots)
    )


def _merged(parts: Iterable[_Sums]) -> _Sums:
    """Merge sums about different means, without cancellation."""
    parts = iter(parts)
    total = next(parts)
    for part in parts:
        weight = total.weight + part.weight
        share = part.weight / weight if weight > 0 else 0.0
        shift, target_shift = part.mean - total.mean, part.target_mean - total.target_mean
        moved = share * total.weight * shift[:, None]
        total = _Sums(
            weight,
            total.mean + share * shift,
            total.target_mean + share * target_shift,
            total.gram + part.gram + moved * shift,
            total.cross + part.cross + moved * target_shift,
        )
    return total


def _rows(source: MixSource, centre: bool, sums: _Sums | None = None) -> Rows:
    """Check rows and compute their means, from sums over them where they are known."""
    blocks = is_dask(source.X)
    data = source.X if blocks else check_data(source.X)
    xp = get_backend(data)
    like = None if blocks or sparse.issparse(data) else data
    n = data.shape[0]
    targets = xp.asarray(source.targets, like=like, dtype="float64")
    targets = targets[:, None] if targets.ndim == 1 else targets
    if targets.ndim != 2 or targets.shape[0] != n:
        raise ValueError(f"targets has shape {tuple(targets.shape)}: give one row for each of {n}.")
    given = np.ones(n) if source.sample_weight is None else source.sample_weight
    weights = check_weights(xp.asarray(given, like=like, dtype="float64"), n)
    weight = float(weights.sum())
    if sums is not None:
        return Rows(data, targets, xp.sqrt(weights), weight, *sums[1:])
    if centre:
        mean = _weighted_sum(data, weights) / weight
        target_mean = weights @ targets / weight
    else:
        mean = xp.zeros(data.shape[1], **xp.context(weights))
        target_mean = targets[0] * 0.0
    return Rows(data, targets, xp.sqrt(weights), weight, mean, target_mean)


def _weighted_sum(X: Array, weights: Array) -> Array:
    """Return ``weights @ X`` in double precision."""
    if sparse.issparse(X):
        return np.asarray(X.T.astype(np.float64) @ weights).ravel()
    xp = get_backend(X)
    total: Any = 0.0
    for rows in row_blocks(*X.shape):
        total = total + weights[rows] @ xp.asarray(X[rows], dtype="float64")
    return total


def with_gram(rows: Rows) -> Rows:
    """Return rows with their Gram matrix and cross products."""
    if rows.gram is not None:
        return rows
    centred = _centred_targets(rows)
    if sparse.issparse(rows.X):
        scaled = sparse.diags(rows.roots) @ rows.X.astype(np.float64)
        share = rows.roots[:, None] * centred
        dense = np.asarray((scaled.T @ scaled).todense())
        dense -= rows.weight * np.outer(rows.mean, rows.mean)
        product = scaled.T @ centred - np.outer(rows.mean, share.sum(0))
        return rows._replace(gram=dense, cross=product)
    raw = _raw_gram(rows)
    if raw is not None:
        product = rows.X.T @ centred - rows.mean[:, None] * centred.sum(0)
        return rows._replace(gram=raw, cross=product)
    gram: Any = 0.0
    cross: Any = 0.0
    for block in row_blocks(*rows.X.shape):
        part = centred_rows(rows, block)
        gram = gram + part.T @ part
        cross = cross + part.T @ centred[block]
    return rows._replace(gram=gram, cross=cross)


def _centred_targets(rows: Rows) -> Array:
    """Return ``sqrt(u) (t - mean)``."""
    return (rows.targets - rows.target_mean) * rows.roots[:, None]


def _raw_gram(rows: Rows) -> Array | None:
    """Return the centred Gram matrix of unweighted rows without a copy, if that is safe."""
    narrow = str(rows.X.dtype).endswith("float32")
    if narrow or not bool((rows.roots == 1.0).all()):
        return None
    gram = rows.X.T @ rows.X
    squares = gram.diagonal()
    kept = squares - rows.weight * rows.mean * rows.mean
    if bool((kept < _SAFE_SHARE * squares).any()):
        return None
    gram -= (rows.weight * rows.mean)[:, None] * rows.mean
    return gram


def centred_rows(rows: Rows, block: slice = slice(None)) -> Array:
    """Return ``sqrt(u) (x - mean)`` of some rows, in double precision."""
    xp = get_backend(rows.roots)
    data = rows.X[block]
    data = data.toarray().astype(np.float64) if sparse.issparse(data) else data
    part = xp.asarray(data, like=rows.roots, dtype="float64") - rows.mean
    return part * rows.roots[block, None]


def is_dense(rows: Rows) -> bool:
    """Return whether rows are an array or a tensor."""
    return is_torch(rows.X) or not sparse.issparse(rows.X)


def as_like(values: Any, like: Array) -> Array:
    """Return numbers in double precision beside an array."""
    return get_backend(like).asarray(values, like=like, dtype="float64")
