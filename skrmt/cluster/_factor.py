"""Strengths and noise of views, and the spikes of what they have in common."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..theory.nested_tensor import spike_strength
from ._view_products import LeadingComponents

_SWEEPS = 5000
_TOLERANCE = 1e-12
_SETTLED = 1e-3
"""Change of a correlation in the last of all sweeps that still counts as convergence."""

_HEYWOOD = 1e-6
"""Least noise of a view over its variance, where the fit gives none: a Heywood case."""

_EDGE_WIDTHS = 2.0
"""Distance of the largest eigenvalue of noise from the edge that counts as a spike, in widths of
the Tracy-Widom law: one draw of noise in fifty exceeds it (test_false_alarms_are_rare)."""

_ROUNDS = 20
_WHITE_SIGMAS = 4.5
"""Standard deviations by which the second moment of the rest of the spectrum may be off white
noise; one matrix of white noise in a hundred thousand is further off."""


class ViewFactor(NamedTuple):
    """One factor that views share, in noise of their own.

    Attributes
    ----------
    strengths : ndarray of shape (m,)
        a: root mean square of the shared part of an entry of each view, signed.
    noise : ndarray of shape (m,)
        Variance of the own part of an entry.
    weights : ndarray of shape (m,)
        w, which bring the sum of the views to the shared part with noise of variance 1/P.
    precision : float
        P, the sum of squared strengths over noise variances.
    improper : bool
        Whether a noise variance came out negative and was set to almost 0.
    n_iter : int
        Sweeps.
    converged : bool
        Whether they settled.
    """

    strengths: np.ndarray
    noise: np.ndarray
    weights: np.ndarray
    precision: float
    improper: bool
    n_iter: int
    converged: bool


class SpikedSpectrum(NamedTuple):
    """Spikes in the spectrum of a matrix, and the noise beside them.

    Attributes
    ----------
    noise_variance : float
        Variance v of an entry of the noise.
    signals : ndarray of shape (s,)
        Squared singular values of the signal, the largest first.
    n_spikes : int
        Number s of eigenvalues outside of the noise.
    departure : float
        Second moment of the rest of the spectrum, in standard deviations from white noise.
    white : bool
        Whether the rest is like white noise.
    """

    noise_variance: float
    signals: np.ndarray
    n_spikes: int
    departure: float
    white: bool


def fit_view_factor(covariance: np.ndarray, noise: np.ndarray | None = None) -> ViewFactor:
    r"""Fit one factor to the covariance matrix of views."""
    if len(covariance) == 1 and noise is None:
        strength = np.sqrt(covariance[0])
        return ViewFactor(strength, np.full(1, np.nan), 1 / strength, np.inf, False, 0, True)
    if noise is None:
        strengths, n_iter, converged = _off_diagonal(covariance)
        noise = np.diag(covariance) - strengths**2
    else:
        strengths, n_iter, converged = _known_noise(covariance, noise), 0, True
    floor = _HEYWOOD * np.diag(covariance)
    improper = bool((noise <= floor).any())
    noise = np.maximum(noise, floor)
    strengths = strengths * (1.0 if strengths.sum() >= 0 else -1.0)
    precision = float((strengths**2 / noise).sum())
    weights = strengths / noise / max(precision, 1e-300)
    return ViewFactor(strengths, noise, weights, precision, improper, n_iter, converged)


def _off_diagonal(covariance: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """Return the strengths that reproduce the entries off the diagonal."""
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    np.fill_diagonal(correlation, 0.0)
    values, vectors = np.linalg.eigh(correlation)
    a = vectors[:, -1] * np.sqrt(max(values[-1], 0.0))
    if len(a) == 3 and correlation[0, 1] * correlation[0, 2] * correlation[1, 2] > 0:
        pairs = correlation[[0, 0, 1], [1, 2, 2]]
        squares = np.abs([pairs[0] * pairs[1] / pairs[2], pairs[0] * pairs[2] / pairs[1]])
        squares = np.append(squares, abs(pairs[1] * pairs[2] / pairs[0]))
        return np.where(a < 0, -1.0, 1.0) * np.sqrt(squares) * scale, 1, True
    moved = np.inf
    for sweep in range(_SWEEPS):
        before = a.copy()
        for k in range(len(a)):
            others = a @ a - a[k] ** 2
            a[k] = correlation[k] @ a / others if others > 0 else 0.0
        moved = np.abs(a - before).max()
        if moved <= _TOLERANCE:
            return a * scale, sweep + 1, True
    return a * scale, _SWEEPS, bool(moved <= _SETTLED)


def _known_noise(covariance: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the strengths given the noise of the views."""
    root = np.sqrt(noise)
    values, vectors = np.linalg.eigh(covariance / np.outer(root, root))
    return np.asarray(root * vectors[:, -1] * np.sqrt(max(values[-1] - 1, 1e-12)))


def spiked_spectrum(
    components: LeadingComponents, n_samples: float, n_features: float
) -> SpikedSpectrum:
    r"""Separate the spikes in the spectrum of a centred matrix from white noise."""
    values, n, p = components.eigenvalues, float(n_samples), float(n_features)
    roots = np.sqrt(n) + np.sqrt(p)
    edge = roots**2 + _EDGE_WIDTHS * roots * (n**-0.5 + p**-0.5) ** (1 / 3)
    variance, signals, count = components.trace / (n * p), np.zeros(0), -1
    for _ in range(_ROUNDS):
        before = variance, count
        count = int((values > edge * variance).sum())
        signals = np.asarray(spike_strength(values[:count], variance, n, p)) if variance else values
        variance = max(components.trace - signals.sum(), 0.0) / (n * p)
        if count == before[1] and abs(variance - before[0]) <= _TOLERANCE * before[0]:
            break
    departure = _departure(components, count, n, p)
    return SpikedSpectrum(variance, signals, count, departure, departure <= _WHITE_SIGMAS)


def _departure(components: LeadingComponents, count: int, n: float, p: float) -> float:
    """Return how far the second moment of the rest is from that of white noise."""
    small, large = min(n, p) - count, max(n, p) - count
    removed = components.eigenvalues[:count]
    mean = (components.trace - removed.sum()) / max(small, 1)
    if small < 2 or mean <= 1e-12 * components.trace / min(n, p):
        return 0.0
    spread = (components.squares - (removed**2).sum()) / small / mean**2 - 1
    return float(abs(spread * large - (small + 1)) / 2)
