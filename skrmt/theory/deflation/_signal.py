"""Signals of several correlated components: checks, coordinates and signs."""

from typing import Any, NamedTuple

import numpy as np

from .._checks import FloatArray, as_floats, finite_floats, in_range
from ..spiked_tensor._limits import check_dims, shares

_GRAM_TOLERANCE = 1e-8


class SpikedSignal(NamedTuple):
    """A checked low-rank signal.

    Attributes
    ----------
    betas : ndarray of shape (r,)
        Norms of the components, in units in which the noise entries have variance 1/N.
    grams : ndarray of shape (d, r, r)
        Gram matrix of the components in each mode.
    sizes : tuple of int
        Sizes of the tensor.
    share : ndarray of shape (d,)
        Share of each mode in the sum of the sizes.
    """

    betas: FloatArray
    grams: FloatArray
    sizes: tuple[int, ...]
    share: FloatArray

    @property
    def order(self) -> int:
        """Number of modes."""
        return len(self.sizes)

    @property
    def rank(self) -> int:
        """Number of components."""
        return len(self.betas)


def check_signal(betas: Any, grams: Any, dims: Any) -> SpikedSignal:
    """Check a low-rank signal."""
    sizes = check_dims(dims)
    norms = check_norms("betas", betas)
    return SpikedSignal(norms, check_grams(grams, len(sizes), len(norms)), sizes, shares(sizes))


def check_norms(name: str, norms: Any) -> FloatArray:
    """Check the norms of components: one or more, positive, with squares that do not overflow."""
    remedy = "Give one positive norm a component, in units of the noise."
    checked = in_range(name, norms, 0.0, 1e50, "neither", remedy)
    if checked.ndim != 1 or checked.size == 0:
        raise ValueError(
            f"{name} must be a sequence of one norm or more, got shape {checked.shape}. {remedy}"
        )
    return checked


def check_grams(grams: Any, order: int, rank: int) -> FloatArray:
    """Return the Gram matrix of each mode."""
    given = finite_floats("grams", grams, "They are cosines between components.")
    if given.ndim <= 1 and given.shape in ((), (order,)):
        cosines = np.broadcast_to(given, (order,))[:, None, None]
        eye = np.eye(rank)
        full = eye + cosines * (1 - eye)
    elif given.shape in ((rank, rank), (order, rank, rank)):
        full = np.broadcast_to(given, (order, rank, rank)).copy()
    else:
        raise ValueError(
            f"grams must be a number or have shape ({order},), ({rank}, {rank}) or "
            f"({order}, {rank}, {rank}), got {given.shape}. Give one Gram matrix a mode, over "
            "the components."
        )
    diagonal = np.diagonal(full, axis1=1, axis2=2)
    if np.abs(diagonal - 1).max() > _GRAM_TOLERANCE:
        worst = diagonal.flat[np.abs(diagonal - 1).argmax()]
        raise ValueError(
            f"grams must have ones on the diagonal, got {worst:g}. Divide each component by its "
            "norm, and put the norm into betas."
        )
    gap = np.abs(full - full.transpose(0, 2, 1)).max()
    if gap > _GRAM_TOLERANCE:
        raise ValueError(f"grams must be symmetric, got a difference of {gap:g}. Average them.")
    full = 0.5 * (full + full.transpose(0, 2, 1))
    least = float(np.linalg.eigvalsh(full).min())
    if least < -_GRAM_TOLERANCE:
        raise ValueError(
            f"grams must be positive semi-definite, got an eigenvalue of {least:g}. No vectors "
            "have such cosines: take the Gram matrices of actual vectors."
        )
    return full


def check_steps(n_steps: Any, rank: int) -> int:
    """Return the number of deflation steps, by default the number of components."""
    if n_steps is None:
        return rank
    steps = as_floats("n_steps", n_steps)
    if steps.ndim or not (steps >= 1 and steps == np.floor(steps) and np.isfinite(steps)):
        raise ValueError(f"n_steps must be an integer of 1 or more, got {n_steps!r}. Count steps.")
    return int(steps)


def coordinates(grams: FloatArray) -> FloatArray:
    """Return vectors with the given Gram matrices."""
    values, vectors = np.linalg.eigh(grams)
    scaled = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return np.asarray(scaled @ vectors.transpose(0, 2, 1), dtype=np.float64)


def outer(vectors: FloatArray) -> FloatArray:
    """Return the rank-one tensor of one vector a mode."""
    tensor = vectors[0]
    for vector in vectors[1:]:
        tensor = np.multiply.outer(tensor, vector)
    return tensor


def contractions(tensor: FloatArray, vectors: FloatArray) -> FloatArray:
    """Contract a tensor with all vectors but one, for each mode left out."""
    order, size = vectors.shape[1:]
    result = np.empty_like(vectors)
    tail = tensor.reshape(1, -1)
    for mode in reversed(range(order)):
        left = tail
        for other in range(mode):
            rows = left.reshape(len(left), size, -1)
            left = (vectors[:, other, None, :] @ rows)[:, 0]
        result[:, mode] = left
        if mode:
            tail = (tail.reshape(len(tail), -1, size) @ vectors[:, mode, :, None])[..., 0]
    return result


def even_signs(products: FloatArray) -> FloatArray:
    """Return the signs, with product 1, that make all entries but the last one non-negative."""
    signs = np.where(products < 0, -1.0, 1.0)
    signs[-1] = signs[:-1].prod()
    return signs
