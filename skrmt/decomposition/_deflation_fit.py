"""Ways to fit components to a tensor: jointly, or one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..linalg import Components, best_rank_one, deflate_mode, no_components
from ._cp import join
from ._rank import JointComponents
from ._tensor_input import TensorInput

_CANCELLED = {"float32": 1e-3, "float64": 1e-8}
"""Share of the sum of squares that must be left for the difference of two sums to have digits."""


class TensorFit(NamedTuple):
    """Components of a tensor, found by one of the methods.

    Attributes
    ----------
    components : Components
        Weights and factors.
    values : ndarray of shape (r,)
        Rank-one values of the steps, the weights of a joint fit.
    detected : ndarray of bool of shape (r,)
        Which stand out of the noise.
    n_iter : int
        Sweeps.
    converged : bool
        Whether they converged.
    """

    components: Components
    values: np.ndarray
    detected: np.ndarray
    n_iter: int
    converged: bool


def largest_first(joint: JointComponents) -> TensorFit:
    """Return a joint fit with the largest weight first."""
    order = np.argsort(-joint.components.weights, kind="stable")
    weights = joint.components.weights[order]
    components = Components(weights, [factor[:, order] for factor in joint.components.factors])
    return TensorFit(components, weights, joint.detected[order], joint.n_iter, joint.converged)


def residual_variance(data: TensorInput, components: Components) -> float:
    """Return the variance of the noise, over the squared scale; at least that of rounding."""
    total = data.tensor.squared_norm()
    gram = np.prod([factor.T @ factor for factor in components.factors], axis=0)
    left = total - float(components.weights @ gram @ components.weights)
    if components.rank and left < _CANCELLED[data.dtype] * total:
        left = data.tensor.squared_norm(components)
    rounding = data.tensor.resolution**2 * total
    return data.entries.variance(max(left, rounding), components.rank)


def deflate(
    data: TensorInput,
    pilot: TensorFit,
    gamma: float,
    *,
    report: Callable[[str], None],
    **search: Any,
) -> TensorFit:
    """Find as many components as a joint fit one after the other; nan `gamma` is Hotelling's."""
    tensor, found = data.tensor, no_components(data.tensor.shape)
    n_iter, converged, rank = 0, True, pilot.components.rank
    hotelling = np.isnan(gamma)
    for step in range(rank):
        best = best_rank_one(tensor, minus=found if hotelling else None, **search)
        found = join(found, best.values, best.factors)
        n_iter, converged = max(n_iter, best.n_iter), converged and best.converged
        report(f"step {step + 1}: {best.n_iter} sweep(s)")
        if not hotelling and step + 1 < rank:
            first = data.modes.index(0)
            vector = best.factors[first][:, 0]
            tensor = deflate_mode(tensor, vector, first, gamma, overwrite=step > 0)
    detected = np.arange(rank) < pilot.detected.sum()
    found = _oriented(found, pilot.components)
    components = found if hotelling or not rank else _least_squares_weights(data, found)
    return TensorFit(components, found.weights, detected, n_iter, converged)


def _oriented(found: Components, reference: Components) -> Components:
    """Give the factors the signs of those they are about, in all modes but the last."""
    pairs = zip(found.factors, reference.factors, strict=True)
    cosines = np.array([a.T @ b for a, b in pairs])
    rows, about = linear_sum_assignment(-np.abs(cosines.prod(axis=0)))
    signs = np.where(cosines[:, rows, about] < 0, -1.0, 1.0)
    signs[-1] = signs[:-1].prod(axis=0)
    factors = [factor * sign for factor, sign in zip(found.factors, signs, strict=True)]
    return Components(found.weights, factors)


def _least_squares_weights(data: TensorInput, components: Components) -> Components:
    """Return the components with the weights that come closest to the tensor."""
    factors = list(components.factors)
    products = np.einsum("pr,pr->r", data.tensor.contract_rest(factors[1:]), factors[0])
    gram = np.prod([factor.T @ factor for factor in factors], axis=0)
    weights = np.linalg.pinv(gram, hermitian=True) @ products
    factors[0] = factors[0] * np.where(weights < 0, -1.0, 1.0)
    return Components(np.abs(weights), factors)


def signs_of(factors: list[np.ndarray]) -> np.ndarray:
    """Return signs (d, r) that make the largest entry of all factors but the last positive."""
    signs = []
    for factor in factors:
        largest = np.abs(factor).argmax(axis=0) if factor.shape[1] else np.zeros(0, dtype=int)
        entries = factor[largest, np.arange(factor.shape[1])]
        signs.append(np.where(entries < 0, -1.0, 1.0))
    signs[-1] = np.prod(signs[:-1], axis=0)
    return np.array(signs)
