"""Ridge regression at every penalty, with exact leave-one-out scores, from one decomposition."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ..utils._memory import explains_memory
from ..utils._scratch import Scratch
from ._backend import Array, get_backend, is_torch
from ._gram import row_blocks
from ._ridge_basis import (
    RidgeBasis,
    check_alphas,
    gains,
    left_blocks,
    map_left,
    rows_of_left,
    sum_left,
)

LEVERAGE_ROOM = 1e-10
"""Least 1 - h in leave-one-out scores: a row that decides its own fit has no digits left there."""


def _targets(basis: RidgeBasis, targets: Array) -> tuple[Array, Array]:
    """Return the targets (n, q) in double precision and their weighted means (q,)."""
    xp = get_backend(basis.scale)
    targets = xp.asarray(targets, like=basis.scale, dtype="float64")
    if targets.ndim not in (1, 2) or targets.shape[0] != basis.n_samples:
        raise ValueError(
            f"targets has shape {tuple(targets.shape)}: give ({basis.n_samples},) or "
            f"({basis.n_samples}, q)."
        )
    targets = targets[:, None] if targets.ndim == 1 else targets
    return targets, basis.share @ targets


def _project(basis: RidgeBasis, targets: Array, means: Array) -> Array:
    """Return ``U^T D (t - mean(t))`` of shape (r, q)."""
    mixing = None if basis.targets is None else _combination(basis.targets, targets)
    if mixing is not None:
        return basis.projected @ mixing
    weighted = (targets - means) * basis.sqrt_weights[:, None]
    if basis.left is not None and basis.dtype == "float64":
        return basis.left.T @ weighted
    return sum_left(basis, _cross_product, weighted)


def _combination(known: np.ndarray, wanted: np.ndarray) -> np.ndarray | None:
    """Return the combination of known columns that others are, None if they are none.

    Known are columns, or the codes of classes, which stand for their indicators.
    """
    if known.ndim == 2:
        return np.eye(known.shape[1]) if np.array_equal(known, wanted) else None
    first = np.unique(known, return_index=True)[1]
    blocks = row_blocks(len(known), wanted.shape[1])
    mixing = wanted[first]
    scale = 1e-10 * abs(mixing).max(initial=0.0)
    same = all((abs(mixing[known[b]] - wanted[b]) <= scale).all() for b in blocks)
    return mixing if same else None


def left_rows(basis: RidgeBasis, rows: np.ndarray) -> Array:
    """Return some rows of the left singular vectors, in double precision."""
    xp = get_backend(basis.scale)
    if basis.left is not None:
        return xp.asarray(basis.left[rows], dtype="float64")
    if basis.some is not None and np.array_equal(basis.some[0], rows):
        return rows_of_left(basis, *basis.some)
    units = np.zeros((basis.n_samples, len(rows)))
    units[rows, np.arange(len(rows))] = 1.0
    projected = _project(basis, units, basis.share @ units)
    return xp.transpose(projected) / basis.sqrt_weights[rows][:, None]


def _cross_product(block: Array, columns: Array) -> Array:
    """Return the product of a block of U with columns."""
    return block.T @ columns


class _Block(NamedTuple):
    """Leave-one-out scores (b, q, k), fits (b, q, k) and leverages (b, k) of a block of rows."""

    scores: Array
    fitted: Array
    leverage: Array


def _loo_arguments(
    basis: RidgeBasis, targets: Array, means: Array, alphas: np.ndarray
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Return what `_loo_block` needs beside U: arrays of rows, and what all blocks share."""
    xp = get_backend(basis.scale)
    gain = gains(basis, alphas)
    projected = _project(basis, targets, means)
    columns = targets.shape[1] * gain.shape[1]
    filters = (projected[:, :, None] * gain[:, None, :]).reshape(basis.rank, columns)
    finite = xp.asarray(np.isfinite(alphas), like=basis.scale)
    row_arrays = (targets, basis.sqrt_weights, basis.share, basis.part)
    return row_arrays, (means, gain, filters, finite)


def _loo_block(
    block: Array,
    targets: Array,
    roots: Array,
    share: Array,
    part: Array,
    means: Array,
    gain: Array,
    filters: Array,
    finite: Array,
) -> _Block:
    """Return the leave-one-out results of a block of rows."""
    xp = get_backend(block)
    energy = ((block * block) @ gain) * part[:, None]
    share = share * part
    lift = (block @ filters).reshape(-1, targets.shape[1], gain.shape[1]) / roots[:, None, None]
    leverage = xp.where(finite, energy, energy * 0.0) + share[:, None]
    residual = (targets - means)[:, :, None]
    room = xp.clip(1.0 - leverage, LEVERAGE_ROOM, None)[:, None, :]
    own = (energy / room[:, 0, :])[:, None, :] * residual
    limit = means[:, None] + (lift - own - share[:, None, None] * residual) / room
    regular = targets[:, :, None] - (residual - lift) / room
    return _Block(xp.where(finite, regular, limit), lift + means[:, None], leverage)


def scores_across(
    block: Array,
    targets: Array,
    roots: Array,
    share: Array,
    part: Array,
    means: Array,
    gain: Array,
    filters: Array,
    finite: Array,
    *,
    scratch: Scratch | None = None,
) -> tuple[Array, Array]:
    """Return leave-one-out scores (q, k, b) of a block of rows and 1 - h (k, b), rows last.

    What belongs to a row is then added to many numbers that lie side by side. Both may be written
    over, and are by the next call with the same scratch.
    """
    if not isinstance(block, np.ndarray) or not finite.all():
        others = targets, roots, share, part, means, gain, filters, finite
        found = _loo_block(block, *others)
        scores = found.scores
        scores = scores.permute(1, 2, 0) if is_torch(scores) else scores.transpose(1, 2, 0)
        return scores, (1.0 - found.leverage).T
    scratch = Scratch() if scratch is None else scratch
    (b, r), k = block.shape, gain.shape[1]
    squares = np.multiply(block, block, out=scratch("rows", b, r))
    room = np.matmul(gain.T, squares.T, out=scratch("room", k, b))
    room *= -part
    room += 1.0 - share * part
    np.maximum(room, LEVERAGE_ROOM, out=room)
    scores = np.matmul(filters.T, block.T, out=scratch("scores", filters.shape[1], b))
    if (roots != 1.0).any():
        scores /= roots
    scores = scores.reshape(len(means), k, b)
    scores -= (targets - means).T[:, None, :]
    scores /= room
    scores += targets.T[:, None, :]
    return scores, room


def _squared_errors(block: Array, targets: Array, roots: Array, *arguments: Array) -> Array:
    """Return the weighted sums of squared leave-one-out errors of a block of rows."""
    scores = _loo_block(block, targets, roots, *arguments).scores
    error = (targets[:, :, None] - scores) * roots[:, None, None]
    return (error * error).sum(0)


@explains_memory("fewer penalties", "fewer targets")
def loo_path(basis: RidgeBasis, targets: Array, alphas: Any) -> tuple[Array, Array, Array]:
    r"""Compute exact leave-one-out scores, fitted values and leverages at every penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets; each further one costs one more product with U.
    alphas : array-like of shape (k,)
        Penalties per unit weight (penalty ``W alpha``). At ``np.inf`` the scores are those of
        the limit of ``alpha w``.

    Returns
    -------
    loo : array of shape (n, q, k)
        Score of each row by the fit without it: the row is left out whole, with all its weight,
        or the `part` of it that the basis names; means and intercept are those of what remains,
        the penalty ``W alpha`` stays.
    fitted : array of shape (n, q, k)
        Score of each row by the fit on all rows.
    leverage : array of shape (n, k)
        Derivative of a row's fitted value by its own target, as far as it is left out, intercept
        included (at ``np.inf`` the intercept's share of it alone).

    Notes
    -----
    With ``G = s^2 / (s^2 + W alpha)``, ``h = w / sum(w) + (U * U) @ G`` and the fitted values
    ``mean(t) + D^-1 U (G * U^T D (t - mean(t)))``, the leave-one-out score is

    .. math:: f_i = t_i - (t_i - \mathrm{fit}_i) / (1 - h_i),

    with ``1 - h`` clipped at 1e-10. At ``alpha = inf`` the coefficients are
    ``(1/W) sum_j w_j (x_j - m) (t_j - mean(t))``, and with ``a_i = w_i / sum(w)``,
    ``l_i`` the centred score of row i and ``e_i = w_i |x_i - m|^2 / W``,

    .. math:: f_i = \bar t + \frac{l_i - a_i (t_i - \bar t)}{1 - a_i}
              - \frac{e_i (t_i - \bar t)}{(1 - a_i)^2}.

    Both hold without intercept with ``a = 0`` and means of zero. A row that holds all the weight
    has no leave-one-out score with an intercept: its value there means nothing. The cost is
    ``O(n r (k + q + q k))``.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import loo_path, ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0], [3.0]])
    >>> loo, fitted, leverage = loo_path(ridge_basis(X), X[:, 0], [0.0])
    >>> np.round(loo[:, 0, 0], 6)
    array([0., 1., 2., 3.])
    """
    alphas = check_alphas(alphas)
    xp = get_backend(basis.scale)
    targets, means = _targets(basis, targets)
    row_arrays, shared = _loo_arguments(basis, targets, means, alphas)
    n, q, k = basis.n_samples, targets.shape[1], len(alphas)
    loo = xp.empty((n, q, k), like=basis.scale, dtype=basis.dtype)
    fitted = xp.empty((n, q, k), like=basis.scale, dtype=basis.dtype)
    leverage = xp.empty((n, k), like=basis.scale, dtype=basis.dtype)
    start = 0
    for part in map_left(basis, _loo_block, *row_arrays, shared=shared):
        rows = slice(start, start + len(part.leverage))
        loo[rows] = xp.asarray(part.scores, dtype=basis.dtype)
        fitted[rows] = xp.asarray(part.fitted, dtype=basis.dtype)
        leverage[rows] = xp.asarray(part.leverage, dtype=basis.dtype)
        start = rows.stop
    return loo, fitted, leverage


def loo_scores(basis: RidgeBasis, targets: Array, alpha: float) -> tuple[Array, Array, Array]:
    """Compute exact leave-one-out scores, fitted values and leverages at one penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets.
    alpha : float
        Penalty per unit weight, ``np.inf`` included.

    Returns
    -------
    loo, fitted : arrays of the shape of targets
        As in `loo_path`.
    leverage : array of shape (n,)
        As in `loo_path`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import loo_scores, ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> np.round(loo_scores(ridge_basis(X), X[:, 0], 0.0)[0], 6)
    array([0., 1., 2., 4.])
    """
    loo, fitted, leverage = loo_path(basis, targets, [alpha])
    shape = tuple(np.shape(targets))
    return loo[:, :, 0].reshape(shape), fitted[:, :, 0].reshape(shape), leverage[:, 0]


def loo_squared_error(basis: RidgeBasis, targets: Array, alphas: Any) -> Array:
    """Compute the weighted mean squared leave-one-out error at every penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets.
    alphas : array-like of shape (k,)
        Penalties per unit weight. At ``np.inf`` the error is that of the limiting ridge fit,
        which predicts the mean of the other rows (zero without intercept).

    Returns
    -------
    array of shape (k, q)
        ``sum_i w_i (t_i - f_i)^2 / sum_i w_i``, float64.

    Notes
    -----
    Blocks of rows are summed as they come: no array of n x q x k numbers is kept.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import loo_squared_error, ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> np.round(loo_squared_error(ridge_basis(X), X[:, 0], [0.0]), 6)
    array([[0.]])
    """
    alphas = np.minimum(check_alphas(alphas), np.finfo(float).max)
    xp = get_backend(basis.scale)
    columns, means = _targets(basis, targets)
    row_arrays, shared = _loo_arguments(basis, columns, means, alphas)
    total = sum_left(basis, _squared_errors, *row_arrays, shared=shared)
    return xp.transpose(total) / (basis.sqrt_weights * basis.sqrt_weights).sum()


def coefficients(basis: RidgeBasis, targets: Array, alpha: float) -> tuple[Array, Array]:
    """Compute the ridge coefficients at one penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets.
    alpha : float
        Penalty per unit weight. At ``np.inf`` the coefficients are the limit of ``alpha w``,
        ``(1/W) sum_i w_i (x_i - mean) (t_i - mean(t))``.

    Returns
    -------
    coef : array of shape (q, p)
        Coefficients w.
    intercept : array of shape (q,)
        ``mean(t) - mean . w``; zero without intercept.

    Notes
    -----
    ``w = V diag(s / (s^2 + W alpha)) U^T D (t - mean(t))``, where for p >= n
    ``V = X_c^T U / s`` is applied without being formed.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import coefficients, ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> coef, intercept = coefficients(ridge_basis(X), 2.0 * X[:, 0] + 1.0, 0.0)
    >>> np.round(coef, 6), np.round(intercept, 6)
    (array([[2.]]), array([1.]))
    """
    xp = get_backend(basis.scale)
    targets, means = _targets(basis, targets)
    projected = _project(basis, targets, means)
    with np.errstate(over="ignore", under="ignore"):
        kept = projected * gains(basis, [alpha]) / basis.unit
        if basis.right is not None:
            coef = basis.right @ kept
        else:
            coef = _apply_data(basis, kept / basis.scale[:, None])
        coef = xp.where(basis.varying[:, None], coef, coef * 0.0)
    intercept = means - basis.mean @ coef
    cast = xp.asarray(xp.transpose(coef), dtype=basis.dtype)
    return cast, xp.asarray(intercept, dtype=basis.dtype)


def _apply_data(basis: RidgeBasis, vectors: Array) -> Array:
    """Return ``X_c^T D U vectors / unit`` of shape (p, q) from the data themselves."""
    xp = get_backend(basis.scale)
    dual = _apply_left(basis, vectors) * basis.sqrt_weights[:, None]
    if sparse.issparse(basis.data):
        centring = basis.mean[:, None] * dual.sum(0)
        return (basis.data.T @ dual - centring) / basis.unit
    coef = 0.0
    for rows in row_blocks(*basis.data.shape):
        block = xp.asarray(basis.data[rows], dtype="float64") - basis.mean
        coef = coef + (block / basis.unit).T @ dual[rows]
    return coef


def _apply_left(basis: RidgeBasis, vectors: Array) -> Array:
    """Return ``U vectors`` of shape (n, q) in double precision."""
    xp = get_backend(basis.scale)
    return xp.concatenate([block @ vectors for _, block in left_blocks(basis)], axis=0)
