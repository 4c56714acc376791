r"""The Markov chain of one token's count for many tokens, on a grid of a few hundred counts.

One generation takes a function u of the count to :math:`E\,u(\mathrm{Bin}(n, y/n))`, which is
smooth in y except near 0 and n, and near a kink of the function at the start. The grid holds every
count up to 256 on both sides and grows by 5 % a step from there; around a kink it is as fine as
the standard deviation of a generation asks. Expectations are sums over all counts near the ends
and Gauss quadratures of the binomial (13 nodes) elsewhere; between the nodes, polynomials of degree
6 interpolate.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.stats import binom

from .._checks import FloatArray

# The grid of the docstring: where it holds every count, and how it grows from there.
_DENSE = 256
_GROWTH = 0.05
# Below 200 expected counts a binomial is summed, up to 420 (16 standard deviations above); beyond,
# by 13 Gauss nodes. Polynomials go through 7 points: degree 6.
_FEW = 200.0
_REACH = 420
_STENCIL = 7
_ORDER = 13


def _march(end: float, spacing: float) -> FloatArray:
    """Return nodes from 0 to `end`, as fine as `spacing` near it if that is finite."""
    nodes, y = [0.0], 0.0
    while True:
        step = max(1.0, _GROWTH * (y - _DENSE + 1 / _GROWTH))
        step = min(step, max(1.0, spacing, _GROWTH * (end - y)) if np.isfinite(spacing) else step)
        if y + 1.5 * step >= end:
            break
        y += step
        nodes.append(y)
    return np.array([*nodes, end])


def grid(n: int, kink: float | None = None) -> FloatArray:
    """Return the counts of the grid."""
    centre = n / 2 if kink is None else kink
    spacing = np.inf if kink is None else 0.3 * np.sqrt(kink * (1 - kink / n))
    left, right = _march(centre, spacing), _march(n - centre, spacing)
    return np.concatenate([left, n - right[-2::-1]])


def _interpolation(nodes: FloatArray, points: FloatArray) -> tuple[NDArray[np.intp], FloatArray]:
    """Return the columns and weights of polynomials through the nearest nodes."""
    nearest = np.searchsorted((nodes[1:] + nodes[:-1]) / 2, points)
    first = np.clip(nearest - _STENCIL // 2, 0, len(nodes) - _STENCIL)
    columns = first[..., None] + np.arange(_STENCIL)
    near = nodes[columns]
    weights = np.ones(columns.shape)
    for i in range(_STENCIL):
        for j in range(_STENCIL):
            if i != j:
                weights[..., i] *= (points - near[..., j]) / (near[..., i] - near[..., j])
    return columns, weights


def _gauss(n: int, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the Gauss quadrature of Binomial(n, y/n), from the Krawtchouk polynomials."""
    p, k = y[:, None] / n, np.arange(_ORDER)
    diagonal = p * (n - k) + k * (1 - p)
    beside = np.sqrt(k[1:] * (n - k[1:] + 1) * p * (1 - p))
    jacobi = np.zeros((len(y), _ORDER, _ORDER))
    jacobi[:, k, k] = diagonal - y[:, None]
    jacobi[:, k[1:], k[:-1]] = jacobi[:, k[:-1], k[1:]] = beside
    points, vectors = np.linalg.eigh(jacobi)
    return points + y[:, None], vectors[:, 0, :] ** 2


def transition(n: int, nodes: FloatArray, counts: FloatArray) -> csr_array:
    """Return the matrix of one generation, from values on the grid to expectations."""
    size, few = len(nodes), np.minimum(counts, n - counts) <= _FEW
    rows, columns, weights = [], [], []
    for side in (counts <= n / 2, counts > n / 2):
        chosen = np.flatnonzero(few & side)
        if not chosen.size:
            continue
        y = counts[chosen] if counts[chosen[0]] <= n / 2 else n - counts[chosen]
        reach = np.arange(min(_REACH, n) + 1)
        chances = binom.pmf(reach, n, np.clip(y / n, 0.0, 1.0)[:, None])
        at = reach if counts[chosen[0]] <= n / 2 else n - reach
        where, parts = _interpolation(nodes, at.astype(np.float64))
        rows.append(np.broadcast_to(chosen[:, None, None], (*chances.shape, _STENCIL)).ravel())
        columns.append(np.broadcast_to(where, (*chances.shape, _STENCIL)).ravel())
        weights.append((chances[..., None] * parts).ravel())
    chosen = np.flatnonzero(~few)
    if chosen.size:
        points, chances = _gauss(n, counts[chosen])
        where, parts = _interpolation(nodes, points)
        rows.append(np.broadcast_to(chosen[:, None, None], where.shape).ravel())
        columns.append(where.ravel())
        weights.append((chances[..., None] * parts).ravel())
    entries = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    matrix = csr_array(entries, shape=(len(counts), size))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix
