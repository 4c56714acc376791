"""Split halves: how alike the components of two halves of a tensor are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..linalg import DenseTensor, no_components
from ._cp import strong_components
from ._joint_fit import JointFit, fill_in
from ._rank import JointComponents, joint_components, largest_rank
from ._whitening import whitening_of

_SHORTEST = 4
"""Size from which an axis is halved: halves have two slices or more."""

_STARTS = 5
_SWEEPS = 100
_TOLERANCE = 1e-3
"""Restarts, sweeps and tolerance of the fits of halves, which are found anew."""

_FILLS = 5
"""Times that missing entries of a half are filled in."""

REPRODUCED = 0.9
"""Congruence of halves, a product of cosines, from which a component is not called noise."""


class Reproducibility(NamedTuple):
    """What the components of two halves have in common.

    Attributes
    ----------
    alignments : ndarray of shape (r, d)
        Alignment of each factor with that of very many data: square roots of reliabilities.
    congruence : ndarray of shape (r,)
        Mean product, over the axes that were not halved, of the cosines of the halves.
    spread : float
        Standard deviation of the mean squared alignment over the splits.
    """

    alignments: np.ndarray
    congruence: np.ndarray
    spread: float


def split_halves(
    fit: JointFit,
    factors: list[np.ndarray],
    search: dict[str, Any],
    asked: np.ndarray | None = None,
) -> Any:
    """Fit halves of each mode anew, and compare their factors in the other modes.

    With c the cosine of two halves, an estimate of the square of the alignment of each with the
    common component, the whole has the reliability 2c / (1 + c), Spearman-Brown's. `factors` are
    those of the whole, mode by mode, to which components of halves are assigned. None where no
    axis can be halved, or none of the components that are `asked` for can be reproduced any more.
    """
    rng = np.random.default_rng(search["seed"])
    rank, order = factors[0].shape[1], len(factors)
    if not rank:
        return None
    cosines, means, left = [], [], order
    for mode, size in enumerate(fit.data.tensor.shape):
        half = tuple(size // 2 if m == mode else n for m, n in enumerate(fit.tensor.shape))
        left -= 1
        if size < _SHORTEST or rank > largest_rank(half):
            continue
        chosen = rng.permutation(size)
        pair = [
            _factors_of_half(fit, mode, np.sort(part), rank, factors, search)
            for part in (chosen[: size // 2], chosen[size // 2 :])
        ]
        cosine = np.abs([np.einsum("pr,pr->r", a, b) for a, b in zip(*pair, strict=True)]).T
        cosine[:, mode] = np.nan
        cosines.append(cosine)
        means.append(float(np.nanmean(2 * cosine / (1 + cosine))))
        if asked is not None:
            products = np.sum([np.nanprod(c, axis=1) for c in cosines], axis=0)
            if ((products + left)[asked] < REPRODUCED * (len(cosines) + left)).all():
                return None
    if not cosines:
        return None
    products = [np.nanprod(cosine, axis=1) for cosine in cosines]
    counts = np.sum(np.isfinite(cosines), axis=0)
    common = np.nansum(cosines, axis=0) / np.maximum(counts, 1)
    common = np.where(counts > 0, common, common.sum(axis=1, keepdims=True) / max(1, order - 1))
    alignments = np.sqrt(2 * common / (1 + common))
    spread = float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")
    return Reproducibility(alignments, np.mean(products, axis=0), spread)


def _fit_of_half(tensor: DenseTensor, rank: int, options: dict[str, Any]) -> JointComponents:
    """Fit components jointly, from those of a compressed tensor: most come out of any search."""
    found = strong_components(
        tensor,
        no_components(tensor.shape),
        enough=-np.inf,
        max_rank=rank,
        n_init=options["n_init"],
        seed=options["seed"],
        spare=rank,
    )
    start = JointComponents(found, np.ones(found.rank, dtype=bool), tensor.squared_norm())
    return joint_components(tensor, rank, start, keep_outliers=True, **options)


def _factors_of_half(
    fit: JointFit,
    mode: int,
    rows: np.ndarray,
    rank: int,
    factors: list[np.ndarray],
    search: dict[str, Any],
) -> list[np.ndarray]:
    """Return the factors of some slices, in the order of those of the whole."""
    data = fit.data
    index = (slice(None),) * mode + (rows,)
    tensor = DenseTensor(data.tensor.tensor[index] * 1)
    observed = None if data.observed is None else data.observed[index]
    dims = tuple(len(rows) if axis == data.modes[mode] else n for axis, n in enumerate(data.dims))
    part = data._replace(tensor=tensor, observed=observed, dims=dims, symmetric=False)
    whitening = fit.whitening
    if whitening is not None:
        covariances = list(whitening.covariances)
        block = covariances[mode][np.ix_(rows, rows)]
        covariances[mode] = block * (len(rows) / np.trace(block))
        whitening = whitening_of(covariances)
    white = part.filled(no_components(tensor.shape), part.entries.share)
    white = white if whitening is None else whitening.apply(white)
    options = {
        **search,
        "n_init": min(_STARTS, search["n_init"]),
        "max_iter": min(_SWEEPS, search["max_iter"]),
        "tol": max(_TOLERANCE, search["tol"]),
        "report": lambda line: None,
    }
    joint = _fit_of_half(white, rank, options)
    found = JointFit(joint, part, white, whitening, fit.n_outliers, True)
    if part.entries.share < 1 - 1e-2:
        found = fill_in(found, options, _FILLS)
    halves = found.coloured(found.joint.components).factors
    products = [a.T @ b for m, (a, b) in enumerate(zip(halves, factors, strict=True)) if m != mode]
    order = linear_sum_assignment(-np.abs(np.prod(products, axis=0)))
    about = np.empty(rank, dtype=int)
    about[order[1]] = order[0]
    return [
        np.zeros((1, rank)) if m == mode else factor[:, about] for m, factor in enumerate(halves)
    ]
