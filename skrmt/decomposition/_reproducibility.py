"""Split halves: how alike the components of two halves of a tensor are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..linalg import Components, DenseTensor, no_components
from ..utils._intervals import normal_interval
from ._contractions import contracted_residual
from ._cp import strong_components
from ._joint_fit import JointFit, fill_in
from ._rank import JointComponents, joint_components, largest_rank
from ._tensor_input import TensorInput
from ._whitening import whitening_of

_SHORTEST = 4
"""Size from which an axis is halved: halves have two slices or more."""

_STARTS = 5
_SWEEPS = 100
_TOLERANCE = 1e-3
"""Restarts, sweeps and tolerance of the fits of halves, which are found anew."""

_FILLS = 5
"""Times that missing entries of a half are filled in."""

_CHANCE = 4.0
"""Variance of what an alignment lacks, over its square and size: the squared norm of errors in p
directions varies by 2 / p, and so does the product of those of two halves."""

_LOST = 0.5
"""Congruence of halves below which they do not find the same component: cosines of different
directions say nothing about the whole."""

_UNSEEN = 2.0
"""What a distortion that all data share may turn factors by, over what it does to two axes at
once: of one order, of saturated signals a tenth to one and a half times as much."""

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
    distortion : ndarray of shape (r,)
        Squared tangent of the angle by which a distortion that all halves share may turn a factor.
    overlaps : ndarray of shape (splits, r)
        Mean squared alignment of each component by each split.
    sizes : tuple of int
        Sizes of the axes.
    """

    alignments: np.ndarray
    congruence: np.ndarray
    distortion: np.ndarray
    overlaps: np.ndarray
    sizes: tuple[int, ...]

    def interval(self, values: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """Return a 95 % interval of the mean of squared alignments (r, d).

        Of the components that are `measured` those that halves do not find again may be anything.
        nan where a single axis was halved, so that the spread of the splits is unknown.
        """
        rank, lost = len(values), measured & (self.congruence < _LOST)
        kept = ~lost
        lack = 1 - self.alignments[kept] ** 2
        sizes = np.array(self.sizes)
        chance = _CHANCE * (lack**2 / sizes).sum() / len(sizes) ** 2
        splits = self.overlaps[:, kept].sum(axis=1)
        spread = splits.var(ddof=1) if len(splits) > 1 else np.nan
        error = float(np.sqrt(chance + spread)) / rank
        centre = float(values[kept].mean(axis=1).sum()) / rank
        low, high = normal_interval(centre, error, high=kept.mean())
        turned = _UNSEEN * self.distortion[kept]
        hidden = float((turned / (1 + turned)).sum()) / rank
        return np.array([np.maximum(low - hidden, 0.0), high + lost.mean()])


def split_halves(
    fit: JointFit,
    given: TensorInput,
    components: Components,
    search: dict[str, Any],
    asked: np.ndarray | None = None,
) -> Reproducibility | None:
    """Fit halves of each mode anew, and compare their factors in the other modes.

    With c the cosine of two halves, an estimate of the square of the alignment of each with the
    common component, the whole has the reliability 2c / (1 + c), Spearman-Brown's. `components` are
    those of the whole, mode by mode, to which those of halves are assigned; `given` is the input
    with the entries that were set aside, which a distortion may consist of. None where no axis can
    be halved, or none of the components that are `asked` for can be reproduced any more.
    """
    rng = np.random.default_rng(search["seed"])
    rank, left = components.rank, len(components.factors)
    if not rank:
        return None
    filled = given.filled(components, given.entries.share)
    cosines, distortions = [], []
    for mode, size in enumerate(filled.shape):
        half = tuple(size // 2 if m == mode else n for m, n in enumerate(filled.shape))
        left -= 1
        if size < _SHORTEST or rank > largest_rank(half):
            continue
        chosen = rng.permutation(size)
        parts = [np.sort(part) for part in (chosen[: size // 2], chosen[size // 2 :])]
        cosines.append(_cosines(fit, mode, parts, components.factors, search))
        if asked is not None:
            products = np.sum([np.nanprod(c, axis=1) for c in cosines], axis=0)
            if ((products + left)[asked] < REPRODUCED * (len(cosines) + left)).all():
                return None
        distortions.append(shared_distortion(filled, components, mode, parts))
    if not cosines:
        return None
    return _summary(np.array(cosines), np.mean(distortions, axis=0), filled.shape)


def _summary(cosines: np.ndarray, distortion: np.ndarray, sizes: tuple[int, ...]) -> Any:
    """Summarise cosines of halves (splits, r, d), which are nan in the axis that was halved."""
    products = [np.nanprod(cosine, axis=1) for cosine in cosines]
    overlaps = np.nanmean(2 * cosines / (1 + cosines), axis=2)
    counts = np.sum(np.isfinite(cosines), axis=0)
    common = np.nansum(cosines, axis=0) / np.maximum(counts, 1)
    others = common.sum(axis=1, keepdims=True) / max(1, len(sizes) - 1)
    common = np.where(counts > 0, common, others)
    alignments = np.sqrt(2 * common / (1 + common))
    return Reproducibility(alignments, np.mean(products, axis=0), distortion, overlaps, sizes)


def _cosines(
    fit: JointFit,
    mode: int,
    parts: list[np.ndarray],
    factors: Sequence[np.ndarray],
    search: dict[str, Any],
) -> np.ndarray:
    """Return absolute cosines (r, d) of the factors of two halves, nan in the mode halved."""
    pair = [_factors_of_half(fit, mode, part, factors, search) for part in parts]
    cosines = np.abs([np.einsum("pr,pr->r", a, b) for a, b in zip(*pair, strict=True)]).T
    cosines[:, mode] = np.nan
    return cosines


def shared_distortion(
    tensor: DenseTensor, components: Components, mode: int, parts: list[np.ndarray]
) -> np.ndarray:
    r"""Return how far what two halves share beyond the components may turn the factors.

    A distortion that is the same in all data, such as a limit of the instrument, turns the factors
    of all halves alike, and a least-squares fit leaves nothing of it to be seen. What it does to
    two axes at once is left: the residual contracted with a component in all other axes. Its value
    v is that of one half along the singular vectors of the other, which noise does not share, and
    the angle is about v, summed over the other axes, over the weight of the component.
    """
    others = [m for m in range(tensor.order) if m != mode]
    turns = np.zeros(components.rank)
    for index in range(components.rank):
        values = []
        for pair in combinations(others, 2):
            halves = [_contracted(tensor, components, index, mode, part, pair) for part in parts]
            values.append(max(0.0, _shared_value(*halves)))
        turns[index] = (tensor.order - 1) * np.sqrt(np.mean(np.square(values)))
    return (turns / components.weights.clip(1e-300)) ** 2


def _shared_value(first: np.ndarray, second: np.ndarray) -> float:
    """Return the leading singular value of a sum, each part along the vectors of the other."""
    value = 0.0
    for one, other in ((first, second), (second, first)):
        left, _, right = np.linalg.svd(one, full_matrices=False)
        value += float(left[:, 0] @ other @ right[0])
    return value


def _contracted(
    tensor: DenseTensor,
    components: Components,
    index: int,
    mode: int,
    rows: np.ndarray,
    pair: tuple[int, int],
) -> np.ndarray:
    """Return the residual of some slices contracted with a component in all axes but two."""
    vectors = [factor[:, [index]] for factor in components.factors]
    chosen = np.zeros_like(vectors[mode])
    chosen[rows] = vectors[mode][rows]
    vectors[mode] = chosen
    return contracted_residual(tensor, components, vectors, pair)


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
    factors: Sequence[np.ndarray],
    search: dict[str, Any],
) -> list[np.ndarray]:
    """Return the factors of some slices, in the order of those of the whole."""
    data, rank = fit.data, factors[0].shape[1]
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
