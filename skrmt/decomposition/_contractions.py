"""Contractions of a residual with a component: similar components behind one show there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..linalg import Components, DenseTensor, to_numpy
from ..theory.spiked_tensor import thresholds

_FAR_BEYOND = 4.0
"""Distance of the largest eigenvalue from the edge of the bulk, in units of its fluctuation, from
which it is not noise: that of white noise goes beyond once in some ten thousand draws."""


_APART = 0.3
"""Tangent of the angle by which a component is turned to either side where it is split: similar
components that can be seen have cosines of about .8, and the fit moves them from there."""


def split_component(
    tensor: DenseTensor,
    components: Components,
    unit: float,
    excess: float = 1.0,
    symmetric: bool = False,
) -> Components | None:
    r"""Split the component that is most clearly several similar ones; None if none is.

    What one component leaves of two, with cosine c, is :math:`O(1 - c)` of them, in no direction
    that a rank-one search looks for, but along the component in all axes but two. Contracted with
    the component in all axes but two, each pair of axes in turn, white noise gives the blocks of a
    symmetric matrix whose largest eigenvalue is the edge of the bulk of theory, and fluctuates by
    :math:`\sqrt{(d - 1)/d}\,N^{-2/3}`. `excess` is the norm of the noise over that of theory.
    """
    if not components.rank:
        return None
    order, count = tensor.order, float(sum(tensor.shape))
    independent = count / order if symmetric else count
    spread = np.sqrt((order - 1) / order) * independent ** (-2 / 3)
    limit = unit * excess * (thresholds(tensor.shape).bulk_edge + _FAR_BEYOND * spread)
    pairs = [np.linalg.eigh(_contraction(tensor, components, j)) for j in range(components.rank)]
    largest = np.array([values[-1] for values, _ in pairs])
    index = int(np.argmax(largest))
    if largest[index] <= limit:
        return None
    ends = np.cumsum(tensor.shape)[:-1]
    direction = np.split(pairs[index][1][:, -1:], ends)
    columns = np.append(np.arange(components.rank), index)
    factors = [factor[:, columns] for factor in components.factors]
    for factor, turn in zip(factors, direction, strict=True):
        turn = _APART * turn / max(float(np.linalg.norm(turn)), 1e-300)
        factor[:, [index]] += turn
        factor[:, [-1]] -= turn
        factor /= np.linalg.norm(factor, axis=0)
    weights = components.weights[columns]
    weights[[index, -1]] /= 2
    return Components(weights, factors)


def _contraction(tensor: DenseTensor, components: Components, index: int) -> np.ndarray:
    """Return the residual contracted with one component in all axes but two, all pairs."""
    ends = np.cumsum((0, *tensor.shape))
    vectors = [factor[:, [index]] for factor in components.factors]
    matrix = np.zeros((ends[-1], ends[-1]))
    for pair in combinations(range(tensor.order), 2):
        block = contracted_residual(tensor, components, vectors, pair)
        rows, columns = (slice(ends[mode], ends[mode + 1]) for mode in pair)
        matrix[rows, columns] = block
        matrix[columns, rows] = block.T
    return matrix


def contracted_residual(
    tensor: DenseTensor,
    components: Components,
    vectors: Sequence[np.ndarray],
    pair: tuple[int, ...],
) -> np.ndarray:
    """Contract what components leave with vectors (p_m, 1), in all axes but a pair."""
    weights = components.weights
    for mode in reversed(range(tensor.order)):
        if mode not in pair:
            tensor = tensor.project(vectors[mode], mode)
            weights = weights * (components.factors[mode].T @ vectors[mode])[:, 0]
    first, second = (components.factors[mode] for mode in pair)
    entries = np.asarray(to_numpy(tensor.tensor), dtype=np.float64)
    return entries.reshape(len(first), len(second)) - (first * weights) @ second.T
