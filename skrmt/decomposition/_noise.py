"""The noise of a tensor: its variance, and whether it is white with light tails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor, no_components, residual_gram

_SAMPLE = 2**16
"""Entries of which the tails are tested: their kurtosis has a standard error of 0.02."""

_SLACK = 0.1
"""Relative variance of the eigenvalues, and its square root of their largest, by which noise may be
off white: it moves predicted alignments by less than their standard deviation."""

_SIGMAS = 5.0
"""Standard errors that a test statistic may be off, so that white noise practically never fails."""

_LARGEST_MISSING = 0.01
"""Share of exact zeros that is not taken for missing entries."""

_FEW_ENTRIES = 5.0
"""Entries that a component effectively has, at most, where it is an outlier and not a component."""

_SUSPECT_ENTRIES = 50.0
_SUSPECT_SHARE = 0.02
"""Entries that a component effectively has, and their share in a small tensor, where it may be
outliers with the noise about them: it is looked at without them."""


MORE_OR_COLOUR = "the residual holds more components, or noise that is not white"


class NoiseCheck(NamedTuple):
    """What a residual says against independent noise of one variance with light tails.

    Attributes
    ----------
    excess_kurtosis : float
        Fourth moment over the squared variance, less 3.
    dispersion : float
        Largest relative variance of the eigenvalues of the residual in a mode, in excess of what
        white noise has.
    edge_ratio : float
        Largest eigenvalue in the first mode over the largest that white noise has.
    misfit : str
        What does not hold, in words; empty where everything does.
    """

    excess_kurtosis: float
    dispersion: float
    edge_ratio: float
    misfit: str


class Entries(NamedTuple):
    """How many independent numbers a tensor has.

    Attributes
    ----------
    dims : tuple of int
        Its sizes.
    share : float
        Share of the entries that were observed; the others were filled in, see `filled`.
    symmetric : bool
        Whether it is symmetric in all its axes.
    """

    dims: tuple[int, ...]
    share: float = 1.0
    symmetric: bool = False

    @property
    def copies(self) -> int:
        """How often an entry recurs in a row of an unfolding."""
        return math.factorial(len(self.dims) - 1) if self.symmetric else 1

    def variance(self, residual: float, rank: int) -> float:
        """Return the variance of an entry of the noise of an asymmetric tensor of this kind.

        Symmetric noise, the mean of independent noise of variance d over all orders of the axes,
        has the limits of independent noise of variance 1.
        """
        order = len(self.dims)
        if self.symmetric:
            independent = math.comb(self.dims[0] + order - 1, order)
            freedom = order * max(1.0, independent - rank * self.dims[0] / self.share)
        else:
            used = rank * (sum(self.dims) - order + 1) / self.share
            freedom = max(1.0, int(np.prod(self.dims)) - used)
        return max(residual, 0.0) / freedom

    def unit(self, residual: float, rank: int) -> float:
        r"""Return :math:`\sigma\sqrt N`, the unit of rank-one values."""
        return math.sqrt(self.variance(residual, rank) * sum(self.dims))


def degrees_of_freedom(dims: Sequence[int], rank: int) -> int:
    """Return the number of entries less that of the parameters of a low-rank tensor."""
    return max(1, int(np.prod(dims)) - rank * (sum(dims) - len(dims) + 1))


def check_tensor_noise(
    tensor: DenseTensor,
    components: Components,
    noise_variance: float,
    seed: int = 0,
    copies: int = 1,
    raw: DenseTensor | None = None,
) -> NoiseCheck:
    """Test what is left of a tensor for missing entries, colour and structure.

    `raw` is the tensor before its noise was whitened, which has the zeros of missing entries.
    """
    rng = np.random.default_rng(seed)
    kurtosis = residual_kurtosis(tensor, components)
    masked = _suspicious_zeros(tensor if raw is None else raw)
    dispersion = max(
        _dispersion(tensor, components, mode, kurtosis, rng) for mode in range(tensor.order)
    )
    ratio = _edge_ratio(tensor, components, noise_variance, copies)
    misfit = _misfit(components, masked, dispersion, ratio)
    return NoiseCheck(kurtosis, dispersion, ratio, misfit)


def residual_kurtosis(tensor: DenseTensor, components: Components) -> float:
    """Return the excess kurtosis of what some slices leave off their leading directions."""
    residual = tensor.rows(_some_slices(tensor), components)
    if not components.rank:
        vectors = np.linalg.svd(residual, full_matrices=False)[2][: len(residual) // 3]
        residual = residual - (residual @ vectors.T) @ vectors
    return _kurtosis(residual)


def effective_entries(components: Components) -> np.ndarray:
    """Return how many entries each component has, by the fourth powers of its long factors."""
    fourth = [(factor**4).sum(axis=0) for factor in components.factors if len(factor) > 4]
    return 1 / np.prod(fourth, axis=0) if fourth else np.full(components.rank, np.inf)


def has_single_entry(components: Components) -> bool:
    """Return whether a component is little more than one entry of the tensor: an outlier."""
    return bool((effective_entries(components) < _FEW_ENTRIES).any())


def is_suspect(components: Components) -> np.ndarray:
    """Return which components may be a few outliers."""
    size = np.prod([len(factor) for factor in components.factors])
    limit = max(_FEW_ENTRIES, min(_SUSPECT_ENTRIES, _SUSPECT_SHARE * size))
    return effective_entries(components) < limit


def _misfit(
    components: Components,
    masked: float,
    dispersion: float,
    ratio: float,
) -> str:
    """Return which of the tests fails first."""
    if masked > _LARGEST_MISSING:
        return "many entries are exact zeros, as if they were missing"
    if has_single_entry(components):
        return "a component is a single entry, an outlier"
    if ratio > 1:
        return MORE_OR_COLOUR
    if dispersion > _SLACK:
        return "the entries of the residual are correlated or of unequal variance"
    return ""


def _suspicious_zeros(tensor: DenseTensor) -> float:
    """Return the share of exact zeros of some slices, 0 if they may be counts or rounded."""
    magnitudes = np.abs(tensor.rows(_some_slices(tensor), no_components(tensor.shape))).ravel()
    zeros, positive = float((magnitudes == 0).mean()), magnitudes[magnitudes > 0]
    if zeros == 0 or not positive.size:
        return 0.0
    steps = positive / positive.min()
    return zeros if np.abs(steps - np.rint(steps)).max() > 1e-6 * steps.max() else 0.0


def _some_slices(tensor: DenseTensor) -> np.ndarray:
    """Return evenly spaced slices of the first mode."""
    n_slices = min(tensor.shape[0], max(4, _SAMPLE // (int(np.prod(tensor.shape[1:])))))
    return np.unique(np.linspace(0, tensor.shape[0] - 1, n_slices).round().astype(int))


def _kurtosis(numbers: np.ndarray) -> float:
    """Return the excess kurtosis of numbers of mean zero."""
    squares = numbers.ravel() ** 2
    variance = float(squares.mean())
    return float(squares @ squares) / squares.size / variance**2 - 3 if variance > 0 else 0.0


def _dispersion(
    tensor: DenseTensor,
    components: Components,
    mode: int,
    kurtosis: float,
    rng: np.random.Generator,
) -> float:
    """Return the relative variance of the eigenvalues of a mode beyond that of white noise."""
    size = tensor.shape[mode]
    columns = tensor.columns(mode, 2 * size, components, rng)
    gram = columns @ columns.T
    mean = float(np.trace(gram)) / size
    if mean <= 0:
        return 0.0
    spread = float((gram**2).sum()) / size / mean**2 - 1
    independent = max(1, columns.shape[1] - components.rank)
    return spread - (size + 1 + max(kurtosis, 0.0) + 2 * _SIGMAS) / independent


def _edge_ratio(
    tensor: DenseTensor, components: Components, noise_variance: float, copies: int
) -> float:
    """Return the largest eigenvalue of the smallest mode over the largest of white noise."""
    mode = int(np.argmin(tensor.shape))
    size = tensor.shape[mode]
    n_columns = int(np.prod(tensor.shape)) / size / copies
    gram = tensor.gram(mode)
    if components.rank:
        gram = residual_gram(tensor, components, mode)
    roots = np.sqrt(n_columns) + np.sqrt(size)
    spread = roots * (n_columns**-0.5 + size**-0.5) ** (1 / 3)
    edge = noise_variance * (roots**2 * (1 + _SLACK * _SLACK) + _SIGMAS * spread)
    return float(np.linalg.eigvalsh(gram)[-1]) / edge if edge > 0 else 0.0
