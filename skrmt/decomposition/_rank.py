"""Joint components of a tensor, one after the other, until nothing but noise is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor, best_rank_one, no_components
from ..theory.spiked_tensor import thresholds
from ._contractions import split_component
from ._cp import cp_als, join, restarted_components, strong_components
from ._noise import Entries, has_single_entry

_FAR_OUT = 1.25
"""Value over the edge of the bulk from which components of a compressed tensor are taken at once;
weaker ones are looked for one by one."""

_LOOSE = 0.05
_LOOSEST = 0.1
"""Tolerances of a joint fit of which only the residual matters: a factor that is off by 5 % of the
noise over its weight, a tenth at most, leaves the same number of components."""

_ROUGH = 1e-3
"""Tolerance of a search whose result a joint fit improves."""

_MOST_HIDDEN = 3
"""Joint fits of one more component than stands out: each is dear, and components that only they
separate come in pairs; noise that is not as assumed would ask for one after the other."""

_FLIPS = 3
"""Draws of random signs: the norm of noise varies by a sixtieth from draw to draw."""

_FLIP_SWEEPS = 30
"""Sweeps of their searches: the value is within a hundredth of its maximum."""

_EXACT = 1e-6
"""Norm of the residual, over that of the tensor, that counts as an exact fit."""


class JointComponents(NamedTuple):
    """Jointly fitted components of a tensor.

    Attributes
    ----------
    components : Components
        In the order in which they were found.
    detected : ndarray of bool of shape (r,)
        Whether each stood out of the noise when it was found.
    residual : float
        Sum of squares that is left.
    next_value : float
        Rank-one value of the residual where the search ended; NaN if it was not looked for.
    n_iter : int
        Sweeps of the last fit.
    converged : bool
        Whether it converged.
    outlier : bool
        Whether the search ended because a single entry of the tensor stood out.
    exhausted : bool
        Whether the search ended because there were too many components.
    n_hidden : int
        How many times a joint fit of one more component was tried.
    """

    components: Components
    detected: np.ndarray
    residual: float
    next_value: float = float("nan")
    n_iter: int = 0
    converged: bool = True
    outlier: bool = False
    exhausted: bool = False
    n_hidden: int = 0

    def extended(self, found: Components, detected: np.ndarray) -> JointComponents:
        """Return a start with further components."""
        return self._replace(
            components=join(self.components, *found),
            detected=np.concatenate([self.detected, detected]),
        )


class SearchOptions(NamedTuple):
    """How components are searched for.

    Attributes
    ----------
    n_init : int
        Random starts of each search.
    tol : float
        Largest change of a unit factor in the last sweep.
    max_iter : int
        Largest number of sweeps.
    seed : int
        Seed of the random starts.
    noise_variance : float or None
        Variance of the noise, None to estimate it.
    report : callable
        Called with a line of text on each component.
    run : callable
        Calls a function on each of several items, in parallel perhaps.
    entries : Entries or None
        How many independent numbers the tensor has; all of them if None.
    keep_outliers : bool
        Whether a component that is little more than one entry is taken like any other.
    noise_norm : float
        Best rank-one value of the noise, where it is larger than in theory.
    """

    n_init: int = 20
    tol: float = 1e-6
    max_iter: int = 500
    seed: int = 0
    noise_variance: float | None = None
    report: Callable[[str], None] = lambda line: None
    run: Callable[..., Any] = map
    entries: Entries | None = None
    keep_outliers: bool = False
    noise_norm: float = 0.0

    def unit(self, residual: float, dims: tuple[int, ...], rank: int) -> float:
        r"""Return :math:`\sigma\sqrt N`, the unit of rank-one values."""
        if self.noise_variance is not None:
            return float(np.sqrt(self.noise_variance * sum(dims)))
        return (self.entries or Entries(dims)).unit(residual, rank)

    def limit(self, dims: tuple[int, ...]) -> float:
        """Return the rank-one value in that unit from which a component is not noise."""
        norm = max(thresholds(dims).noise_norm, self.noise_norm)
        return norm + 1 / float(np.sqrt(sum(dims)))


def largest_rank(dims: tuple[int, ...]) -> int:
    """Return the largest number of components whose fit leaves degrees of freedom."""
    entries = int(np.prod(dims))
    fewest_columns = min(entries // size for size in dims)
    return max(1, min(fewest_columns, (entries - 1) // (sum(dims) - len(dims) + 1)))


def joint_components(
    tensor: DenseTensor, rank: int | None, start: JointComponents | None = None, **search: Any
) -> JointComponents:
    """Fit components jointly, adding the largest of the residual as long as `SearchOptions` ask."""
    options = SearchOptions(**search)
    total = tensor.squared_norm()
    fit = JointComponents(no_components(tensor.shape), np.zeros(0, dtype=bool), total)
    wanted = _most_searched(tensor.shape) if rank is None else rank
    if start is not None and start.components.rank:
        fit = _refit(tensor, start._replace(outlier=False), total, options)
        if rank is None:
            fit = _without_weak(tensor, fit, total, options)
    smallest = max(_EXACT, 10 * options.tol, 1e4 * tensor.resolution) ** 2 * total
    while fit.components.rank < wanted and (rank is not None or fit.residual > smallest):
        further = None
        if fit.residual > smallest and fit.detected.all():
            further = _strong(tensor, fit, wanted, options)
        further = further or _next(tensor, fit, rank, smallest, total, options)
        if further.outlier or further.components.rank == fit.components.rank:
            fit = further
            break
        if further.detected.all() or further.components.rank == rank:
            rough = further.components.rank != rank
            further = _refit(tensor, further, total, options, rough=rough)
        fit = further
        options.report(_line(fit, tensor.shape, options))
    if not fit.converged:
        fit = _refit(tensor, fit, total, options)
    return fit._replace(exhausted=rank is None and fit.components.rank == wanted)


def _without_weak(
    tensor: DenseTensor, fit: JointComponents, total: float, options: SearchOptions
) -> JointComponents:
    """Return the fit without components that no longer stand out of the noise."""
    rank = fit.components.rank
    unit = options.unit(fit.residual, tensor.shape, rank)
    strong = np.flatnonzero(fit.components.weights > options.limit(tensor.shape) * unit)
    if len(strong) == rank:
        return fit
    left = Components(
        fit.components.weights[strong], [f[:, strong] for f in fit.components.factors]
    )
    fit = fit._replace(components=left, detected=fit.detected[strong], residual=total)
    return _refit(tensor, fit, total, options) if left.rank else fit


def holds_more(tensor: DenseTensor, fit: JointComponents, searched: bool, **search: Any) -> bool:
    """Return whether the residual holds another component, one that was not `searched` for yet."""
    options, total = SearchOptions(**search), tensor.squared_norm()
    smallest = max(_EXACT, 10 * options.tol, 1e4 * tensor.resolution) ** 2 * total
    if fit.residual <= smallest or fit.components.rank >= largest_rank(tensor.shape):
        return False
    if _split(tensor, fit, options) is not None:
        return True
    if searched:
        return False
    fit = fit._replace(n_hidden=_MOST_HIDDEN - 1)
    further = _next(tensor, fit, None, smallest, total, options)
    return further.components.rank > fit.components.rank


def _most_searched(dims: tuple[int, ...]) -> int:
    """Return the number of components at which "auto" gives up: half the second smallest size."""
    return min(largest_rank(dims), max(2, sorted(dims)[1] // 2))


def _strong(
    tensor: DenseTensor, fit: JointComponents, wanted: int, options: SearchOptions
) -> JointComponents | None:
    """Return the fit with components that stand far out; None if there are none."""
    rank = fit.components.rank
    unit = options.unit(fit.residual, tensor.shape, rank)
    limits = thresholds(tensor.shape)
    excess = max(1.0, options.noise_norm / limits.noise_norm)
    found = strong_components(
        tensor,
        fit.components,
        enough=_FAR_OUT * limits.bulk_edge * excess * unit,
        max_rank=wanted - rank,
        n_init=options.n_init,
        seed=options.seed,
    )
    if not found.rank or has_single_entry(found):
        return None
    return fit.extended(found, np.ones(found.rank, dtype=bool))


def _next(
    tensor: DenseTensor,
    fit: JointComponents,
    rank: int | None,
    smallest: float,
    total: float,
    options: SearchOptions,
) -> JointComponents:
    """Search the residual thoroughly; return the fit with what was found, if it is to be kept."""
    norm = max(thresholds(tensor.shape).noise_norm, options.noise_norm)
    limit = options.limit(tensor.shape)
    known = fit.components.rank
    unit = options.unit(fit.residual, tensor.shape, known)
    best = best_rank_one(
        tensor,
        minus=fit.components,
        n_init=options.n_init,
        floor=norm * unit if rank is None else -np.inf,
        tol=_ROUGH,
        max_iter=options.max_iter,
        seed=options.seed,
        run=options.run,
    )
    found = Components(best.values, best.factors)
    value = float(best.values[0])
    limit *= options.unit(fit.residual - value**2, tensor.shape, known + 1)
    stands_out = fit.residual > smallest and value > limit
    if has_single_entry(found) and not options.keep_outliers and (stands_out or rank is None):
        return fit._replace(next_value=value, outlier=stands_out)
    further = fit.extended(found, np.array([stands_out]))
    further = further._replace(residual=max(fit.residual - value**2, 0.0))
    hidden = fit.n_hidden < _MOST_HIDDEN and fit.detected.all() and fit.residual > smallest
    if known and not stands_out and hidden:
        further = _jointly(tensor, fit, further, total, options)
        stands_out = bool(further.detected[-1])
    return further if stands_out or rank is not None else fit._replace(next_value=value)


def _jointly(
    tensor: DenseTensor,
    fit: JointComponents,
    further: JointComponents,
    total: float,
    options: SearchOptions,
) -> JointComponents:
    """Judge one more component by what a joint fit gains, or by what it no longer hides."""
    rank = further.components.rank
    other = restarted_components(tensor, rank, n_init=options.n_init, seed=options.seed)
    split = _split(tensor, fit, options)
    starts = [further, further._replace(components=other)]
    if split is not None:
        starts.append(further._replace(components=split))
    fits = [_refit(tensor, start, total, options, rough=True) for start in starts]
    best = min(fits, key=lambda joint: joint.residual)
    limit = options.limit(tensor.shape)
    limit *= options.unit(best.residual, tensor.shape, rank)
    stands_out = fit.residual - best.residual > limit**2
    if split is not None and not stands_out:
        stands_out = _split(tensor, best, options) is None
    detected = np.append(fit.detected, stands_out)
    return best._replace(detected=detected, n_hidden=fit.n_hidden + 1)


def _split(tensor: DenseTensor, fit: JointComponents, options: SearchOptions) -> Components | None:
    """Return components of which one is split that may be several similar ones; None if none is."""
    entries = options.entries or Entries(tensor.shape)
    unit = options.unit(fit.residual, tensor.shape, fit.components.rank)
    excess = max(1.0, options.noise_norm / thresholds(tensor.shape).noise_norm)
    return split_component(tensor, fit.components, unit, excess, entries.symmetric)


def _refit(
    tensor: DenseTensor,
    start: JointComponents,
    total: float,
    options: SearchOptions,
    rough: bool = False,
) -> JointComponents:
    """Fit all components jointly, roughly if only the residual matters."""
    components, n_iter, finest = start.components, 0, not rough
    tol: float | np.ndarray = np.full(components.rank, _LOOSEST) if rough else options.tol
    residual = start.residual
    while True:
        before, unit = residual, options.unit(residual, tensor.shape, components.rank)
        least_gain = components.rank * unit**2 / sum(tensor.shape)
        left = max(1, options.max_iter - n_iter)
        fit = cp_als(tensor, components, tol=tol, max_iter=left, least_gain=least_gain)
        components, n_iter = fit.components, n_iter + fit.n_iter
        residual = total - fit.explained
        unit = options.unit(residual, tensor.shape, components.rank)
        wanted = np.clip(_LOOSE * unit / components.weights.clip(1e-300), options.tol, _LOOSEST)
        if n_iter >= options.max_iter or (finest and residual > 0.5 * before):
            break
        if not finest and (wanted >= 0.5 * np.asarray(tol)).all():
            break
        tol = tol if finest else wanted
    return start._replace(
        components=components,
        residual=residual,
        n_iter=n_iter,
        converged=fit.converged and not rough,
    )


def flipped_norm(tensor: DenseTensor, fit: JointComponents, options: SearchOptions) -> float:
    """Return the largest best rank-one value of the residual with random signs, in its unit.

    Signs at random leave the variance of each entry as it is, and no component.
    """
    rng = np.random.default_rng(options.seed)
    residual = tensor.minus(fit.components).tensor
    unit = options.unit(fit.residual, tensor.shape, fit.components.rank)
    values = []
    for _ in range(_FLIPS):
        signs = tensor.native(rng.choice([-1.0, 1.0], tensor.shape))
        flipped = DenseTensor(residual * signs)
        best = best_rank_one(
            flipped, n_init=options.n_init, tol=_ROUGH, max_iter=_FLIP_SWEEPS, seed=options.seed
        )
        values.append(float(best.values[0]) / max(unit, 1e-300))
    return max(values)


def _line(fit: JointComponents, dims: tuple[int, ...], options: SearchOptions) -> str:
    """Describe a fit in one line."""
    rank = fit.components.rank
    unit = max(options.unit(fit.residual, dims, rank), 1e-300)
    weights = ", ".join(f"{weight / unit:.3g}" for weight in fit.components.weights)
    return f"{rank} component(s) after {fit.n_iter} sweep(s), weights {weights} times the noise"
