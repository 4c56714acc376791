"""Noise that is not white: its covariance in each mode, and the tensor in which it is white."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor

FloatArray = np.ndarray

_SIGNAL_DIRECTIONS = 10
"""Leading directions of a mode that are taken for signal at most, a third of a short mode: as many
as are kept of a compressed tensor beside the components sought."""

_SPARE = 2
"""Directions that are taken for signal beside those that stand out of white noise."""

_ROUNDS = 3
"""Rounds of the flip-flop: the third moves the covariances by less than their standard error."""

_SIGMAS = 5.0
"""Standard errors by which eigenvalues must vary more than those of white noise, so that white
noise is practically never changed."""

_STATIONARY = 1.3
"""Mean squares about the diagonal means, over those that sampling explains, up to which noise along
a mode counts as stationary, as smooth noise is: its covariance then has fewer parameters."""

_UNCHANGED = 1e-3
"""Change of a covariance, relative to the mean variance, that counts as none."""

_SMALLEST = 0.02
"""Smallest eigenvalue of a covariance over their mean: whitening then blows up no direction that
is empty, and follows variances that differ by a factor of 50."""

_DIGITS = {"float32": 1e-3, "float64": 1e-10}
"""Share of the sum of squares that must be left for differences of Gram matrices to have digits."""


class Whitening(NamedTuple):
    """A change of basis in each mode after which the noise is white.

    Attributes
    ----------
    covariances : list of ndarray of shape (p_m, p_m)
        Covariance of the noise in each mode, its mean eigenvalue 1.
    roots : list of ndarray of shape (p_m, p_m)
        Their symmetric roots.
    inverse_roots : list of ndarray of shape (p_m, p_m)
        The inverses of these.
    """

    covariances: list[FloatArray]
    roots: list[FloatArray]
    inverse_roots: list[FloatArray]

    def apply(self, tensor: DenseTensor) -> DenseTensor:
        """Return the tensor in which the noise is white: one pass a mode."""
        for mode, root in enumerate(self.inverse_roots):
            tensor = tensor.project(root, mode)
        return tensor

    def with_covariance(self, mode: int, covariance: FloatArray) -> Whitening:
        """Return the change of basis with another covariance in one mode."""
        changed = [list(matrices) for matrices in self]
        changed[0][mode] = covariance
        changed[1][mode], changed[2][mode] = _roots(covariance)
        return Whitening(*changed)

    def whiten(self, components: Components) -> Components:
        """Return components of the tensor as components of the whitened one."""
        return _changed(components, self.inverse_roots)

    def colour(self, components: Components) -> Components:
        """Return components of the whitened tensor as components of the tensor."""
        return _changed(components, self.roots)


class _Moment(NamedTuple):
    """Gram matrix of the noise in a mode, and from how many columns it is."""

    gram: FloatArray
    n_columns: float

    def excess(self, kurtosis: float) -> float:
        """Return the relative variance of the eigenvalues beyond that of white noise."""
        size = len(self.gram)
        spread = float((self.gram**2).sum()) * size / float(np.trace(self.gram)) ** 2 - 1
        return spread - (size + 1 + max(kurtosis, 0.0) + 2 * _SIGMAS) / self.n_columns


def estimate_whitening(
    tensor: DenseTensor, kurtosis: float = 0.0, copies: int = 1
) -> Whitening | None:
    """Estimate the covariance of the noise in each mode by turns; None where it is white.

    `copies` counts how often each entry recurs in a row of an unfolding, as in symmetric tensors.
    """
    moments = _noise_moments(tensor, range(tensor.order), copies)
    excesses = [moment.excess(kurtosis) for moment in moments or ()]
    if max(excesses, default=0.0) <= 0:
        return None
    whitening, current = whitening_of([np.eye(size) for size in tensor.shape]), tensor
    for _ in range(_ROUNDS):
        before = whitening
        for mode in np.argsort(excesses)[::-1]:
            moments = _noise_moments(current, [mode], copies)
            if moments is None:
                return None
            root, (moment,) = whitening.roots[mode], moments
            covariance = _covariance(moment._replace(gram=root @ moment.gram @ root), kurtosis)
            if not np.allclose(covariance, whitening.covariances[mode], atol=_UNCHANGED):
                whitening = whitening.with_covariance(mode, covariance)
                current = whitening.apply(tensor)
        if whitening is before:
            break
    return whitening


def whitening_of(covariances: list[FloatArray]) -> Whitening:
    """Return the change of basis that belongs to covariances."""
    pairs = [_roots(covariance) for covariance in covariances]
    return Whitening(covariances, [root for root, _ in pairs], [inverse for _, inverse in pairs])


def _roots(covariance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the symmetric root of a covariance and its inverse."""
    values, vectors = np.linalg.eigh(covariance)
    root = np.sqrt(values)
    return (vectors * root) @ vectors.T, (vectors / root) @ vectors.T


def _noise_moments(tensor: DenseTensor, modes: Iterable[int], copies: int) -> list[_Moment] | None:
    """Return Gram matrices of unfoldings, the other modes off their leading directions.

    A component is gone if any other mode has it among its leading directions, while the
    covariance of separable noise in a mode is the same whatever the others are projected on.
    None where nothing is left but rounding.
    """
    entries = int(np.prod(tensor.shape)) / copies
    grams = [tensor.gram(mode) for mode in range(tensor.order)]
    bases = [_signal_directions(gram, entries) for gram in grams]
    removed = [basis.shape[1] for basis in bases]
    digits = _DIGITS["float32" if tensor.resolution > 1e-10 else "float64"]
    projected: dict[tuple[int, ...], DenseTensor] = {(): tensor}
    moments = []
    for mode in modes:
        others = [other for other in range(tensor.order) if other != mode]
        gram = grams[mode].copy()
        for count in range(1, tensor.order):
            for chosen in combinations([m for m in others if removed[m]], count):
                if chosen not in projected:
                    last = chosen[-1]
                    projected[chosen] = projected[chosen[:-1]].project(bases[last], last)
                gram = gram + (-1.0) ** count * projected[chosen].gram(mode)
        if np.trace(gram) <= digits * np.trace(grams[mode]):
            return None
        n_columns = float(np.prod([tensor.shape[m] - removed[m] for m in others])) / copies
        moments.append(_Moment(gram, n_columns))
    return moments


def _signal_directions(gram: FloatArray, entries: float) -> FloatArray:
    """Return eigenvectors whose eigenvalues stand out of white noise, and some more."""
    size = len(gram)
    values, vectors = np.linalg.eigh(gram)
    edge = (1 + np.sqrt(size**2 / entries)) ** 2 * float(np.median(values))
    count = min(int((values > edge).sum()) + _SPARE, _SIGNAL_DIRECTIONS, size // 3)
    return vectors[:, size - count :]


def _covariance(moment: _Moment, kurtosis: float) -> FloatArray:
    """Estimate a covariance: equal variances, variances, or a matrix, as the data ask for."""
    size, sample = len(moment.gram), moment.gram / moment.n_columns
    if moment.excess(kurtosis) <= 0:
        return np.eye(size)
    variances = np.diag(sample).clip(1e-300)
    off = float((sample**2 / np.outer(variances, variances)).sum()) - size
    pairs = size * (size - 1)
    # A squared correlation of independent rows has mean 1/n and standard deviation sqrt(2)/n.
    if off <= (pairs + _SIGMAS * np.sqrt(4.0 * pairs)) / moment.n_columns:
        return _bounded(np.diag(variances))
    smooth = _stationary(sample)
    products = np.outer(np.diag(sample), np.diag(sample)) + sample**2
    if float(((sample - smooth) ** 2).sum()) <= _STATIONARY * products.sum() / moment.n_columns:
        return _bounded(smooth)
    return _bounded(shrunk_covariance(sample, moment.n_columns))


def _stationary(sample: FloatArray) -> FloatArray:
    """Return the covariance with the mean of each diagonal on that diagonal."""
    size = len(sample)
    lags = np.array([np.diagonal(sample, lag).mean() for lag in range(size)])
    rows = np.arange(size)
    return lags[np.abs(rows[:, None] - rows)]


def shrunk_covariance(sample: FloatArray, n_columns: float) -> FloatArray:
    """Shrink the eigenvalues of a sample covariance by quadratic-inverse shrinkage.

    Quadratic Shrinkage for Large Covariance Matrices, Ledoit and Wolf, Bernoulli 28, 2022.
    """
    size = len(sample)
    ratio = size / n_columns
    values, vectors = np.linalg.eigh(sample)
    used = int(min(size, np.ceil(n_columns)))
    inverse = 1 / values[size - used :].clip(1e-12 * max(float(values[-1]), 1e-300))
    width = min(ratio**2, 1 / ratio**2) ** 0.35 / size**0.35
    gaps = inverse - inverse[:, None]
    kernel = gaps**2 + (inverse * width) ** 2
    stieltjes = (inverse * gaps / kernel).mean(axis=1)
    amplitude = stieltjes**2 + (inverse**2 * width / kernel).mean(axis=1) ** 2
    if size <= n_columns:
        linear = (1 - ratio) ** 2 + 2 * ratio * (1 - ratio) * stieltjes
        shrunk = 1 / (inverse * (linear + ratio**2 * amplitude))
    else:
        null = 1 / ((ratio - 1) * inverse.mean())
        shrunk = np.concatenate([np.full(size - used, null), 1 / (inverse * amplitude)])
    return (vectors * (shrunk * (values.sum() / shrunk.sum()))) @ vectors.T


def _bounded(covariance: FloatArray) -> FloatArray:
    """Return a covariance with mean eigenvalue 1 and none that is too small."""
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, _SMALLEST * values.mean())
    return (vectors * (values / values.mean())) @ vectors.T


def _changed(components: Components, matrices: list[FloatArray]) -> Components:
    """Multiply factors by a matrix a mode; their norms go into the weights."""
    factors = [matrix @ factor for matrix, factor in zip(matrices, components.factors, strict=True)]
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    units = [
        factor / np.where(norm > 0, norm, 1.0) for factor, norm in zip(factors, norms, strict=True)
    ]
    return Components(components.weights * np.prod(norms, axis=0), units)
