"""Exact leave-one-out on the real rows for every weight of synthetic ones and every penalty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from scipy.linalg import eigh, lapack

from ...linalg._backend import Array, get_backend, is_torch
from ...linalg._gram import eigh_descending, row_blocks
from ...linalg._group_path import group_path
from ...linalg._ridge_basis import RidgeBasis, check_alphas, ridge_basis
from ...linalg._ridge_path import LEVERAGE_ROOM, coefficients, loo_path
from ...utils._dask import to_local
from ...utils._memory import explains_memory
from ...utils._merging import rows_together
from ._basis import MixBasis, Rows, as_like, centred_rows, is_dense, with_gram

_SAME = 1e-10
_CELLS = 1 << 22


class _Pooled(NamedTuple):
    """Synthetic rows of all sources in one direction of the weights, as one source."""

    weight: float
    mean: Array
    target_mean: Array


class _Spectrum(NamedTuple):
    """Real rows in the eigenbasis of the pooled synthetic ones.

    With A the weighted real rows centred on their mean, d the difference of both means and R the
    cross product of the synthetic rows: eigenvalues l, coordinates A V, d V, V^T R, and the parts
    of A A^T, A d and d d outside the basis (None where the basis is complete).
    """

    values: Array
    rows: Array
    shift: Array
    cross: Array
    outside: tuple[Array, Array, Array] | None


@explains_memory("fewer weights or penalties at a time", "fewer rows")
def mix_loo(
    basis: MixBasis, source_weights: Any, alphas: Any
) -> Iterator[tuple[np.ndarray, Array]]:
    """Compute exact leave-one-out scores of the real rows for weights and penalties."""
    weights = _check_source_weights(basis, source_weights)
    alphas = check_alphas(alphas)
    if not np.isfinite(alphas).all():
        raise ValueError(f"alphas={alphas!r} must be finite: give a large penalty instead.")
    size = weights.max(axis=1, initial=0.0)
    alone = np.flatnonzero(size == 0)
    if len(alone):
        scores = _cast(basis, _real_only(basis, alphas))
        for index in alone:
            yield np.array([index]), scores
    mixed = np.flatnonzero(size > 0)
    if basis.joined is not None and basis.form != "primal":
        for index in mixed:
            yield np.array([index]), _cast(basis, _stacked(basis, weights[index], alphas))
        return
    if basis.form == "primal" or (alphas == 0).any():
        for index in mixed:
            yield np.array([index]), _cast(basis, _primal(basis, weights[index], alphas))
        return
    for members in _directions(weights, size, mixed):
        direction = weights[members[0]] / size[members[0]]
        scores = _dual(basis, direction, size[members], alphas)
        yield members, _cast(basis, scores)


def _check_source_weights(basis: MixBasis, source_weights: Any) -> np.ndarray:
    """Return the weights as a table (g, S) of non-negative numbers."""
    weights = np.asarray(source_weights, dtype=float)
    if weights.ndim != 2 or weights.shape[1] != len(basis.sources):
        raise ValueError(
            f"source_weights has shape {weights.shape}: give (g, {len(basis.sources)})."
        )
    if not ((weights >= 0) & np.isfinite(weights)).all():
        raise ValueError(f"source_weights has the value {weights.min()}: give numbers >= 0.")
    return weights


def _cast(basis: MixBasis, scores: Array) -> Array:
    """Return scores in the precision of the data."""
    return get_backend(scores).asarray(scores, dtype=basis.dtype)


def _real_only(basis: MixBasis, alphas: np.ndarray) -> Array:
    """Return leave-one-out scores without synthetic rows, (n, q, 1, k)."""
    if basis.group is not None:
        return group_path(basis.alone, basis.real.targets, alphas, basis.group)[:, :, None]
    return loo_path(basis.alone, basis.real.targets, alphas)[0][:, :, None]


def _stacked(basis: MixBasis, weights: np.ndarray, alphas: np.ndarray) -> Array:
    """Return scores without groups of real and synthetic rows, (n, q, 1, k), from all rows."""
    assert basis.group is not None and basis.joined is not None
    stacked, targets = _stacked_basis(basis, weights)
    codes = [basis.group, *(g for w, g in zip(weights, basis.joined, strict=True) if w > 0)]
    group = np.concatenate(codes)
    # Synthetic rows of no real group are groups of their own.
    group[group < 0] = group.max() + 1 + np.arange((group < 0).sum())
    scores = group_path(stacked, targets, alphas, group)
    return scores[: len(basis.group), :, None]


def _directions(weights: np.ndarray, size: np.ndarray, mixed: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the positions of weights in the same direction."""
    keys: dict[tuple[float, ...], list[int]] = {}
    for index in mixed:
        key = tuple(np.round(weights[index] / size[index], 12))
        keys.setdefault(key, []).append(int(index))
    for members in keys.values():
        yield np.array(members)


def _combine(basis: MixBasis, weights: np.ndarray) -> tuple[Array, Array, Array, Array, float]:
    """Return Gram matrix, cross products, means and weight of all rows at given weights."""
    parts = [with_gram(basis.real)] + [with_gram(source) for source in basis.sources]
    factors = [1.0, *map(float, weights)]
    total = sum(f * part.weight for f, part in zip(factors, parts, strict=True))
    mean, target_mean = parts[0].mean * 0.0, parts[0].target_mean * 0.0
    for f, part in zip(factors, parts, strict=True):
        mean = mean + part.mean * (f * part.weight / total)
        target_mean = target_mean + part.target_mean * (f * part.weight / total)
    gram: Any = 0.0
    cross: Any = 0.0
    for f, part in zip(factors, parts, strict=True):
        if f == 0:
            continue
        products: Any = part.gram, part.cross
        gram, cross = gram + products[0] * f, cross + products[1] * f
        if basis.fit_intercept:
            shift = part.mean - mean
            gram = gram + (f * part.weight) * (shift[:, None] * shift)
            cross = cross + (f * part.weight) * (shift[:, None] * (part.target_mean - target_mean))
    return gram, cross, mean, target_mean, total


def _primal(basis: MixBasis, weights: np.ndarray, alphas: np.ndarray) -> Array:
    """Return leave-one-out scores at one weight, (n, q, 1, k), from one p x p decomposition."""
    gram, cross, mean, target_mean, total = _combine(basis, weights)
    xp = get_backend(basis.real.roots)
    values, vectors = eigh_descending(gram)
    inverse = 1.0 / (values[:, None] + as_like(basis.total_weight * alphas, values))
    projected = vectors.T @ cross
    real = basis.real
    n, q, k = real.X.shape[0], cross.shape[1], len(alphas)
    filters = (projected[:, :, None] * inverse[:, None, :]).reshape(-1, q * k)
    offset = mean @ vectors
    scores = xp.empty((n, q, k), like=real.roots, dtype="float64")
    intercept = 1.0 / total if basis.fit_intercept else 0.0
    for rows in row_blocks(n, 2 * vectors.shape[1]):
        left = _product(real, rows, vectors) - offset
        fit = (left @ filters).reshape(-1, q, k) + target_mean[:, None]
        weight = (real.roots[rows] * real.roots[rows] * basis.part[rows])[:, None]
        room = 1.0 - weight * ((left * left) @ inverse + intercept)
        room = xp.clip(room, LEVERAGE_ROOM, None)[:, None, :]
        targets = real.targets[rows][:, :, None]
        scores[rows] = targets - (targets - fit) / room
    if basis.group is not None:
        shares = _Shares(vectors, offset, filters, inverse, target_mean, intercept)
        _leave_groups_out(basis, weights, shares, scores)
    return scores[:, :, None]


class _Shares(NamedTuple):
    """What fits at every penalty are made of, in the eigenbasis of all rows."""

    vectors: Array
    offset: Array
    filters: Array
    inverse: Array
    target_mean: Array
    intercept: float


def _leave_groups_out(basis: MixBasis, weights: np.ndarray, shares: _Shares, scores: Array) -> None:
    """Replace the scores (n, q, k) of rows in groups of several, synthetic ones included."""
    assert basis.group is not None
    xp = get_backend(scores)
    n, q, k = scores.shape
    parts, codes = [(1.0, basis.real)], [basis.group]
    for weight, source, group in zip(weights, basis.members, basis.joined or (), strict=False):
        if weight > 0:
            parts.append((float(weight), source))
            codes.append(group[group >= 0])
    starts = np.cumsum([0, *map(len, codes)])
    for together in rows_together(np.concatenate(codes)):
        own = together[together < n]
        inside = np.split(together, np.searchsorted(together, starts[1:-1]))
        places = zip(parts, inside, starts, strict=False)
        picked = [(f, rows, some - start) for (f, rows), some, start in places if len(some)]
        left = [_product(rows, some, shares.vectors) for _, rows, some in picked]
        left = xp.concatenate(left, axis=0) - shares.offset
        roots = xp.concatenate([rows.roots[some] * f**0.5 for f, rows, some in picked], axis=0)
        targets = xp.concatenate([rows.targets[some] for _, rows, some in picked], axis=0)
        fit = (left @ shares.filters).reshape(-1, q, k) + shares.target_mean[:, None]
        outer = roots[:, None] * roots
        whole = as_like(np.eye(len(together)), roots)
        step = max(1, _CELLS // (left.shape[0] * left.shape[1]))
        for some in (slice(first, first + step) for first in range(0, k, step)):
            scaled = left * shares.inverse[:, some].T[:, None, :]
            leverage = scaled @ left.T + shares.intercept
            residual = (targets[:, :, None] - fit[:, :, some]) * roots[:, None, None]
            missed = _missed(whole - leverage * outer, residual.swapaxes(1, 2).swapaxes(0, 1))
            unseen = (targets - missed / roots[:, None])[:, : len(own)]
            scores[own, :, some] = unseen.swapaxes(0, 1).swapaxes(1, 2)


def _missed(room: Array, residual: Array) -> Array:
    """Return ``(I - H)^{-1} r`` of the rows of a group, for one fit or several."""
    xp = get_backend(residual)
    values, vectors = xp.eigh(room)
    # Groups that the fit passes through leave no room: bounded as in `loo_path`.
    room = xp.clip(values, LEVERAGE_ROOM, None)[..., None]
    return vectors @ ((vectors.swapaxes(-1, -2) @ residual) / room)


def _product(rows: Rows, block: Any, vectors: Array) -> Array:
    """Return ``X[block] @ vectors`` in double precision."""
    if not is_dense(rows):
        return np.asarray(rows.X[block].astype(np.float64) @ vectors)
    return as_like(rows.X[block], rows.roots) @ vectors


def _pooled(basis: MixBasis, direction: np.ndarray) -> _Pooled:
    """Return weight and means of the synthetic rows at the weights of a direction."""
    factors = [float(d) * s.weight for d, s in zip(direction, basis.sources, strict=True)]
    total = sum(factors)
    mean, target_mean = basis.real.mean * 0.0, basis.real.target_mean * 0.0
    for factor, source in zip(factors, basis.sources, strict=True):
        mean = mean + source.mean * (factor / total)
        target_mean = target_mean + source.target_mean * (factor / total)
    return _Pooled(total, mean, target_mean)


def _spectrum(basis: MixBasis, direction: np.ndarray, pooled: _Pooled) -> _Spectrum:
    """Decompose the synthetic rows of a direction, and project the real ones."""
    if basis.form == "gram":
        return _gram_spectrum(basis, direction, pooled)
    return _kernel_spectrum(basis, direction, pooled)


def _gram_spectrum(basis: MixBasis, direction: np.ndarray, pooled: _Pooled) -> _Spectrum:
    """Use the p x p Gram matrix of the synthetic rows, whose eigenbasis is complete."""
    gram, cross = 0.0, 0.0
    for d, source in zip(direction, basis.sources, strict=True):
        shift = source.mean - pooled.mean
        gram = gram + float(d) * (source.gram + source.weight * shift[:, None] * shift)
        target = source.target_mean - pooled.target_mean
        cross = cross + float(d) * (source.cross + source.weight * shift[:, None] * target)
    values, vectors = _eigh(gram)
    real = basis.real
    rows = _product(real, slice(None), vectors) - real.mean @ vectors
    rows = rows * real.roots[:, None]
    shift = (real.mean - pooled.mean) @ vectors
    return _Spectrum(values, rows, shift, vectors.T @ cross, None)


def _kernel_spectrum(basis: MixBasis, direction: np.ndarray, pooled: _Pooled) -> _Spectrum:
    """Use the m x m kernel of the synthetic rows; the rest of the space is kept as products."""
    xp = get_backend(basis.real.roots)
    real = basis.real
    shift = real.mean - pooled.mean
    used = [(float(d), s) for d, s in zip(direction, basis.sources, strict=True) if d > 0]
    parts = [s._replace(roots=s.roots * d**0.5, mean=pooled.mean) for d, s in used]
    targets = [(s.targets - pooled.target_mean) * s.roots[:, None] for s in parts]
    blocks = [[_inner(a, b) for b in parts] for a in parts]
    kernel = xp.concatenate([xp.concatenate(row, axis=1) for row in blocks], axis=0)
    values, vectors = eigh_descending(kernel)
    scaled = vectors / xp.sqrt(values)
    rows = xp.concatenate([_inner(real, part) for part in parts], axis=1) @ scaled
    along = xp.concatenate([_apply(part, shift) for part in parts], axis=0) @ scaled
    cross = xp.sqrt(values)[:, None] * (vectors.T @ xp.concatenate(targets, axis=0))
    outside = (
        _inner(real, real) - rows @ rows.T,
        _apply(real, shift) - rows @ along,
        shift @ shift - along @ along,
    )
    return _Spectrum(values, rows, along, cross, outside)


def _inner(one: Rows, other: Rows) -> Array:
    """Return the products of weighted centred rows of two groups."""
    if is_dense(one):
        return centred_rows(one) @ centred_rows(other).T
    product = (one.X.astype(np.float64) @ other.X.T.astype(np.float64)).toarray()
    product -= np.asarray(one.X @ other.mean)[:, None] + np.asarray(other.X @ one.mean)
    product += one.mean @ other.mean
    return product * one.roots[:, None] * other.roots


def _apply(rows: Rows, vector: Array) -> Array:
    """Return weighted centred rows times a vector."""
    if is_dense(rows):
        return centred_rows(rows) @ vector
    return (np.asarray(rows.X @ vector) - rows.mean @ vector) * rows.roots


def _eigh(gram: Array) -> tuple[Array, Array]:
    """Return all eigenvalues, none negative, and eigenvectors."""
    if is_torch(gram):
        values, vectors = get_backend(gram).eigh(gram)
    else:
        values, vectors = eigh(gram, driver="evd" if len(gram) > 1 else "evr", check_finite=False)
    return get_backend(gram).clip(values, 0.0, None), vectors


def _dual(basis: MixBasis, direction: np.ndarray, sizes: np.ndarray, alphas: np.ndarray) -> Array:
    """Return leave-one-out scores of a direction, (n, q, h, k), from n x n systems."""
    xp = get_backend(basis.real.roots)
    pooled = _pooled(basis, direction)
    spectrum = _spectrum(basis, direction, pooled)
    n, q = basis.real.targets.shape
    scores = xp.empty((n, q, len(sizes), len(alphas)), like=basis.real.roots, dtype="float64")
    ratio = basis.total_weight * alphas[None, :] / sizes[:, None]
    order = np.argsort(ratio, axis=None)
    flat = ratio.ravel()[order]
    starts = np.flatnonzero(np.diff(flat, prepend=-1.0) > _SAME * flat)
    for start, stop in zip(starts, [*starts[1:], len(flat)], strict=True):
        pairs = [np.unravel_index(cell, ratio.shape) for cell in order[start:stop]]
        system = _System(spectrum, float(flat[start]), len(pairs), float(sizes[pairs[0][0]]))
        for i, j in pairs:
            scores[:, :, i, j] = _left_out(basis, pooled, system, float(sizes[i]))
    return scores


class _System:
    """The n x n kernel at one ratio of penalty and weight, and what depends on it alone."""

    def __init__(self, spectrum: _Spectrum, ratio: float, n_uses: int, size: float) -> None:
        damped = 1.0 / (spectrum.values + ratio)
        scaled = spectrum.rows * damped
        kernel = scaled @ spectrum.rows.T
        self.shift = scaled @ spectrum.shift
        self.cross = scaled @ spectrum.cross
        self.length = (spectrum.shift * damped) @ spectrum.shift
        self.shift_cross = (spectrum.shift * damped) @ spectrum.cross
        if spectrum.outside is not None:
            kernel = kernel + spectrum.outside[0] / ratio
            self.shift = self.shift + spectrum.outside[1] / ratio
            self.length = self.length + spectrum.outside[2] / ratio
        self.inverse = None
        if n_uses == 1 and not is_torch(kernel):
            self.inverse = _inverse_plus_one(kernel, size)
        else:
            self.values, self.vectors = _eigh(kernel)
            self.squares = self.vectors * self.vectors

    def block(self, size: float, rows: np.ndarray) -> Array:
        """Return some rows and columns of M."""
        if self.inverse is not None:
            return self.inverse[np.ix_(rows, rows)]
        own = self.vectors[rows]
        return (own / (1.0 + self.values / size)) @ own.T

    def residual_maker(self, size: float, columns: Array) -> tuple[Array, Array]:
        """Return the diagonal of ``M = (1 + K / c)^{-1}`` and M times columns."""
        if self.inverse is not None:
            return np.diag(self.inverse), self.inverse @ columns
        shrunk = 1.0 / (1.0 + self.values / size)
        inner = shrunk[:, None] * (self.vectors.T @ columns)
        return self.squares @ shrunk, self.vectors @ inner


def _inverse_plus_one(kernel: np.ndarray, size: float) -> np.ndarray:
    """Return ``(1 + K / c)^{-1}``."""
    kernel /= size
    kernel.flat[:: len(kernel) + 1] += 1.0
    factor, info = lapack.dpotrf(kernel.T, lower=1, overwrite_a=1)
    if info != 0:
        raise np.linalg.LinAlgError("the kernel of the real rows is not positive definite.")
    inverse, _ = lapack.dpotri(factor, lower=1, overwrite_c=1)
    return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)


def _left_out(basis: MixBasis, pooled: _Pooled, system: _System, size: float) -> Array:
    """Return the left-out scores (n, q) at one weight and one penalty."""
    xp = get_backend(basis.real.roots)
    real = basis.real
    roots = real.roots[:, None]
    weight = size * pooled.weight
    total = real.weight + weight
    centred = basis.fit_intercept
    e = real.weight * weight / total if centred else 0.0
    s = weight / total if centred else 0.0
    difference = real.target_mean - pooled.target_mean
    targets = roots * (real.targets - real.target_mean)
    columns = xp.concatenate([targets - system.cross, system.cross, system.shift[:, None]], axis=1)
    q = targets.shape[1]
    diagonal, product = system.residual_maker(size, columns)
    reach = product[:, 2 * q] / size
    along = (system.length - (system.shift @ product[:, 2 * q]) / size) / size
    score = reach @ targets + system.shift_cross - (system.shift @ product[:, q : 2 * q]) / size
    score = (score + along * e * difference) / (1.0 + e * along)
    inflation = 1.0 / (1.0 + e * along)
    residual = product[:, :q] - e * reach[:, None] * (difference - score)
    residual = residual + roots * (s * (difference - score))
    room = diagonal + e * inflation * reach**2 - 2.0 * s * inflation * real.roots * reach
    own = s * s * inflation * along + (1.0 / total if centred else 0.0)
    room = room - real.roots**2 * own
    # The leverage of the part that is left out is that share of the leverage of the row.
    room = xp.clip(room + (1.0 - basis.part) * (1.0 - room), LEVERAGE_ROOM, None)
    scores = real.targets - residual / roots / room[:, None]
    for rows in rows_together(basis.group):
        near, root = reach[rows], real.roots[rows]
        outer = near[:, None] * root
        left = system.block(size, rows) + e * inflation * near[:, None] * near
        left = left - s * inflation * (outer + outer.T) - own * root[:, None] * root
        missed = _missed(left, residual[rows])
        scores[rows] = real.targets[rows] - missed / root[:, None]
    return scores


def mix_coefficients(basis: MixBasis, source_weights: Any, alpha: float) -> tuple[Array, Array]:
    """Compute the ridge coefficients at one weight and one penalty."""
    weights = _check_source_weights(basis, np.asarray(source_weights, dtype=float)[None])[0]
    real = basis.real
    n_used = real.X.shape[0] + sum(
        s.X.shape[0] for w, s in zip(weights, basis.sources, strict=True) if w > 0
    )
    if not weights.any():
        return coefficients(basis.alone, real.targets, alpha)
    if basis.form == "kernel" or (basis.form == "gram" and n_used < real.X.shape[1]):
        return _stacked_coefficients(basis, weights, alpha)
    gram, cross, mean, target_mean, _ = _combine(basis, weights)
    xp = get_backend(real.roots)
    values = None
    if alpha > 0 and not is_torch(gram):
        coef = _solve_positive(gram, basis.total_weight * alpha, cross)
    else:
        values, vectors = eigh_descending(gram)
        inner = (vectors.T @ cross) / (values[:, None] + basis.total_weight * alpha)
        coef = vectors @ inner
    intercept = target_mean - mean @ coef
    return (
        xp.asarray(xp.transpose(coef), dtype=basis.dtype),
        xp.asarray(intercept, dtype=basis.dtype),
    )


def _solve_positive(gram: np.ndarray, penalty: float, cross: np.ndarray) -> np.ndarray:
    """Solve ``(gram + penalty) coef = cross``, by eigenvectors if Cholesky's method fails."""
    system = gram.copy()
    system.flat[:: len(system) + 1] += penalty
    _, solution, info = lapack.dposv(system, cross)
    if info == 0:
        return np.asarray(solution)
    values, vectors = eigh_descending(gram)
    return np.asarray(vectors @ ((vectors.T @ cross) / (values[:, None] + penalty)))


def _stacked_coefficients(
    basis: MixBasis, weights: np.ndarray, alpha: float
) -> tuple[Array, Array]:
    """Return the coefficients from the decomposition of the stacked rows."""
    xp = get_backend(basis.real.roots)
    coef, intercept = coefficients(*_stacked_basis(basis, weights), alpha)
    return xp.asarray(coef, dtype=basis.dtype), xp.asarray(intercept, dtype=basis.dtype)


def _stacked_basis(basis: MixBasis, weights: np.ndarray) -> tuple[RidgeBasis, Array]:
    """Return the decomposition of all rows of positive weight, and their targets."""
    xp = get_backend(basis.real.roots)
    parts = [(1.0, basis.real)]
    parts += [(float(w), s) for w, s in zip(weights, basis.sources, strict=True) if w > 0]
    data = [to_local(part.X) for _, part in parts]
    if is_dense(basis.real):
        rows = xp.concatenate([as_like(x, basis.real.roots) for x in data], axis=0)
    else:
        rows = sparse.vstack(data, format="csr")
    stacked = ridge_basis(
        rows,
        xp.concatenate([f * part.roots**2 for f, part in parts], axis=0),
        fit_intercept=basis.fit_intercept,
        total_weight=basis.total_weight,
    )
    return stacked, xp.concatenate([part.targets for _, part in parts], axis=0)
