"""Ridge scores of groups of rows by fits without the whole group, from one decomposition."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..utils._memory import explains_memory
from ..utils._merging import rows_together
from ._backend import Array, get_backend
from ._ridge_basis import RidgeBasis, check_alphas, gains, left_blocks
from ._ridge_path import LEVERAGE_ROOM, _targets, loo_path


@explains_memory("fewer penalties", "smaller groups")
def group_path(basis: RidgeBasis, targets: Array, alphas: Any, groups: Any) -> Array:
    r"""Compute exact leave-one-group-out scores at every penalty.

    Parameters
    ----------
    basis : RidgeBasis
        From `ridge_basis`.
    targets : array of shape (n,) or (n, q)
        One or several targets.
    alphas : array-like of shape (k,)
        Penalties per unit weight (penalty ``W alpha``). At ``np.inf`` the scores are those of
        the limit of ``alpha w``.
    groups : array-like of shape (n,)
        Group of each row. Groups of one row cost what `loo_path` costs.

    Returns
    -------
    array of shape (n, q, k)
        Score of each row by the fit without its group; means and intercept are those of the other
        rows, the penalty ``W alpha`` stays.

    Raises
    ------
    ValueError
        If there is one group only, or `groups` has another length.

    Notes
    -----
    With weighted residuals r of the fit to all rows and the hat matrix
    ``H = s s^T + U diag(G) U^T``, ``s = sqrt(w / sum w)`` with an intercept, the residuals of a
    group left out are

    .. math:: (I - H_{gg})^{-1} r_g.

    At ``alpha = inf`` the coefficients are sums over rows, from which those of the group are taken.

    The cost is ``O(r n_g^2 + n_g^3)`` per group and penalty, beyond that of `loo_path`.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import group_path, ridge_basis
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> group_path(ridge_basis(X), 2 * X[:, 0], [0.0], [0, 0, 1, 1])[:, 0, 0].round(6)
    array([0., 2., 4., 8.])
    """
    alphas = check_alphas(alphas)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
    if len(codes) != basis.n_samples:
        raise ValueError(f"groups has length {len(codes)}: give {basis.n_samples}, one per row.")
    if codes.max() == 0:
        raise ValueError("groups has one group only: leaving it out leaves nothing to fit.")
    scores, fitted, _ = loo_path(basis, targets, alphas)
    xp = get_backend(basis.scale)
    columns, means = _targets(basis, targets)
    left = xp.concatenate([block for _, block in left_blocks(basis)], axis=0)
    gain, intercept = gains(basis, alphas), xp.sqrt(basis.share)
    for rows in rows_together(codes):
        own, roots, ones = left[rows], basis.sqrt_weights[rows][:, None], intercept[rows]
        for k in range(len(alphas)):
            kept = (own * gain[:, k]) @ own.T
            fit = xp.asarray(fitted[rows, :, k], dtype="float64")
            if np.isfinite(alphas[k]):
                found = _ridge_scores(xp, kept, columns[rows], fit, roots, ones)
            else:
                found = _limit_scores(kept, columns[rows], fit, roots, ones, means)
            scores[rows, :, k] = xp.asarray(found, dtype=basis.dtype)
    return scores


def _ridge_scores(
    xp: Any, kept: Array, targets: Array, fit: Array, roots: Array, ones: Array
) -> Array:
    """Return the scores of a group by the ridge fit without it."""
    # Groups that the fit passes through leave no room: bounded as in `loo_path`.
    values, vectors = xp.eigh(kept + ones[:, None] * ones[None, :])
    room = xp.clip(1.0 - values, LEVERAGE_ROOM, None)[:, None]
    return targets - vectors @ ((vectors.T @ ((targets - fit) * roots)) / room) / roots


def _limit_scores(
    kept: Array, targets: Array, fit: Array, roots: Array, ones: Array, means: Array
) -> Array:
    """Return the scores of a group at an infinite penalty, from the means of the other rows."""
    share = ones * ones
    room = max(float(1.0 - share.sum()), LEVERAGE_ROOM)
    shift = -(share @ (targets - means)) / room
    own = kept @ (roots * (targets - means - shift)) / roots
    score = fit - means - own
    return means + shift + score + share @ score / room
