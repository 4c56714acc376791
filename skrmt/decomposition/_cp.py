"""Joint least-squares fit of several rank-one components (CP) to a dense tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..linalg._dense_tensor import (
    Components,
    DenseTensor,
    FloatArray,
    contract_slices,
    no_components,
)
from ..linalg._power_sweeps import column_change, normalize
from ..linalg._spectral_start import compress, mode_orders, search_core
from ..utils._memory import explains_memory

_INNER = 2
"""Updates of the short modes for one of the first, which takes two passes over the tensor."""

_CORE_TOLERANCE = 1e-2
_CORE_SWEEPS = 30
"""A fit of a compressed tensor is a start, which needs no digits."""

_STALLED = 25
"""Sweeps over which a gain is judged: well separated components need fewer in all."""

_REPRODUCED = 3.0
"""Difference of the sums of squares that two fits leave, over that of one entry, at which they are
the same: the tolerance of these fits leaves less, another maximum some tens."""

_FEWEST_STARTS = 8
_TIMES = 3
"""Starts, and times that the best fit must come out, before a search ends: of two components that
look like one, a third of the starts find both, while wrong maxima come out twice as soon."""

_RIDGE = 1e-12
_MEMORY = 8
"""Steps from which the next point is extrapolated: more cost more and help no further."""

_ROUNDING = 1e-12
"""Relative loss of explained squares that is put down to rounding."""


class CPFit(NamedTuple):
    """A low-rank tensor fitted to a tensor.

    Attributes
    ----------
    components : Components
        The low-rank tensor.
    explained : float
        Its squared norm: by how much it lowers the sum of squares.
    n_iter : int
        Sweeps over all modes.
    converged : bool
        Whether the last sweep moved no factor by more than the tolerance.
    """

    components: Components
    explained: float
    n_iter: int
    converged: bool


@explains_memory("fewer components")
def cp_als(
    tensor: DenseTensor,
    start: Components,
    *,
    tol: float | FloatArray = 1e-6,
    max_iter: int = 500,
    least_gain: float = 0.0,
) -> CPFit:
    """Fit a low-rank tensor to a tensor by alternating least squares.

    The fit also ends where 25 sweeps, after the first 25, explain less than `least_gain` more.
    """
    if not start.rank:
        return CPFit(start, 0.0, 0, True)
    point, mixing = list(start.factors), _Mixing()
    best, n_iter, converged = _Sweep(point, start.weights, -np.inf), 0, False
    explained = []
    while not converged and n_iter < max_iter:
        sweep = _sweep(tensor, point)
        n_iter += 1
        explained.append(max(sweep.explained, best.explained))
        if mixing.points and sweep.explained < best.explained * (1 - _ROUNDING):
            mixing, point = _Mixing(), best.factors
            continue
        best = sweep
        moved = [column_change(a, b) for a, b in zip(best.factors, point, strict=True)]
        converged = bool((np.max(moved, axis=0) <= tol).all())
        if n_iter >= 2 * _STALLED and explained[-1] - explained[-1 - _STALLED] < least_gain:
            converged = True
        point = mixing.extrapolate(point, best.factors)
    return CPFit(Components(best.weights, best.factors), best.explained, n_iter, converged)


class _Sweep(NamedTuple):
    """Unit factors, weights, and the squared norm of the fit."""

    factors: list[FloatArray]
    weights: FloatArray
    explained: float


def _sweep(tensor: DenseTensor, factors: list[FloatArray]) -> _Sweep:
    """Update every mode."""
    factors = list(factors)
    slices = tensor.contract_first(factors[0])
    for mode in [*range(1, tensor.order)] * _INNER:
        product = contract_slices(tensor, slices, factors[1:], mode - 1)
        factors[mode], _ = _update(product, factors, mode)
    product = tensor.contract_rest(factors[1:])
    factors[0], weights = _update(product, factors, 0)
    return _Sweep(factors, weights, float(np.einsum("pr,pr,r->", product, factors[0], weights)))


class _Mixing:
    """Anderson's extrapolation of a fixed-point iteration, from its last few steps."""

    def __init__(self) -> None:
        self.points: list[FloatArray] = []
        self.steps: list[FloatArray] = []

    def extrapolate(self, before: list[FloatArray], after: list[FloatArray]) -> list[FloatArray]:
        """Return where to go on from, given where the last sweep began and ended."""
        signs = [np.sign(np.einsum("pr,pr->r", a, b)) for a, b in zip(after, before, strict=True)]
        after = [a * sign for a, sign in zip(after, signs, strict=True)]
        point = np.concatenate([factor.ravel() for factor in after])
        step = point - np.concatenate([factor.ravel() for factor in before])
        self.points = [*self.points, point][-_MEMORY:]
        self.steps = [*self.steps, step][-_MEMORY:]
        if len(self.steps) > 1:
            changes = np.diff(self.steps, axis=0)
            mix = np.linalg.lstsq(changes.T, step, rcond=1e-8)[0]
            point = point - mix @ np.diff(self.points, axis=0)
        ends = np.cumsum([factor.size for factor in after])[:-1]
        parts = zip(np.split(point, ends), after, strict=True)
        return [normalize(part.reshape(factor.shape), factor)[0] for part, factor in parts]


def _update(
    product: FloatArray, factors: list[FloatArray], mode: int
) -> tuple[FloatArray, FloatArray]:
    """Solve the least-squares problem of one mode; return unit columns and their norms."""
    others = [factor for m, factor in enumerate(factors) if m != mode]
    gram = np.prod([factor.T @ factor for factor in others], axis=0)
    ridge = _RIDGE * np.eye(len(gram))
    return normalize(np.linalg.solve(gram + ridge, product.T).T, factors[mode])


@explains_memory("a smaller tensor")
def strong_components(
    tensor: DenseTensor,
    minus: Components,
    *,
    enough: float,
    max_rank: int,
    n_init: int = 20,
    seed: int = 0,
    spare: int = 0,
) -> Components:
    """Find the components of a compressed tensor that stand out; keep `spare` more directions."""
    rng = np.random.default_rng(seed)
    compressed = compress(tensor, minus, mode_orders(tensor.shape)[0], spare)
    core = compressed.core
    found = no_components(core.shape)
    while found.rank < max_rank:
        best = search_core(core, found, n_init, rng, enough)
        if not best.values[0] >= enough:
            break
        found = join(found, best.values[:1], [factor[:, :1] for factor in best.factors])
        found = cp_als(core, found, tol=_CORE_TOLERANCE, max_iter=_CORE_SWEEPS).components
    return Components(found.weights, compressed.lift(found.factors))


@explains_memory("a smaller tensor")
def restarted_components(
    tensor: DenseTensor, rank: int, *, n_init: int = 20, seed: int = 0
) -> Components:
    """Fit a compressed tensor jointly from random starts, until the best fit comes out again."""
    rng = np.random.default_rng(seed)
    orders = mode_orders(tensor.shape)
    compressed = compress(tensor, no_components(tensor.shape), orders[0], rank)
    core, fits = compressed.core, []
    total = core.squared_norm()
    for _ in range(n_init):
        factors = [rng.standard_normal((size, rank)) for size in core.shape]
        factors = [factor / np.linalg.norm(factor, axis=0) for factor in factors]
        start = Components(np.ones(rank), factors)
        fits.append(cp_als(core, start, tol=_CORE_TOLERANCE, max_iter=_CORE_SWEEPS))
        best = max(fit.explained for fit in fits)
        same = best - _REPRODUCED * (total - best) / np.prod(core.shape)
        again = sum(fit.explained >= same for fit in fits)
        if len(fits) >= _FEWEST_STARTS and again >= _TIMES:
            break
    found = max(fits, key=lambda fit: fit.explained).components
    return Components(found.weights, compressed.lift(found.factors))


def join(components: Components, weights: FloatArray, factors: Sequence[FloatArray]) -> Components:
    """Append components."""
    pairs = zip(components.factors, factors, strict=True)
    joined = [np.concatenate(pair, axis=1) for pair in pairs]
    return Components(np.concatenate([components.weights, weights]), joined)
