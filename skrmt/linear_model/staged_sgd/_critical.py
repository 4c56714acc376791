"""The largest learning rate at which second moments of the weights converge, for given rows."""

from __future__ import annotations

import numpy as np
from scipy.linalg import get_blas_funcs
from scipy.optimize import brentq

_MANY_NUMBERS = 100_000
"""Numbers from which products are of single precision: their error is far below that of sampling
the rows."""
_SAMPLED = 10.0
"""How much less exact the rate of a sample is found: to a thousandth, of an error of per cents."""
_LARGE = 10.0
"""Excess of a norm over 1 that is as good as a larger one where a rate is sought."""


def critical_rate(moments, sample, batch_size, momentum=0.0, tolerance=1e-4, most_steps=200):
    r"""Return the largest rate at which second moments converge, for the rows themselves."""
    lam = moments.eigenvalues
    if not lam.size:
        return np.inf
    top = lam[-1]
    Z, lam, shares = sample.Z / np.sqrt(top), lam / top, sample.shares
    room = _Room(lam, batch_size, momentum)
    matrix = np.diag(_diagonal_start(sample.fourth / top**2, room))
    if lam.size > 400:
        tolerance, most_steps = max(tolerance, 2e-2), 25
    if Z.size > _MANY_NUMBERS and tolerance > 1e-5:
        Z = Z.astype(np.float32)
    # The error of a sample is far above that of the last digits.
    sampled, rate = len(sample.rows) < len(moments.shares), np.inf
    for _ in range(most_steps):
        image = _fourth(Z, shares, matrix) / batch_size
        previous, rate = rate, _norm_keeping_rate(image, room)
        matrix = rate * image / room.at(rate)
        matrix /= np.linalg.norm(matrix)
        if abs(rate - previous) <= tolerance * rate * (_SAMPLED if sampled else 0.1):
            break
    return float(rate / top)


class _Room:
    r"""What a mean product of two coordinates loses in a step at a rate, over that rate.

    With :math:`\phi_j=1+\mu-\eta\lambda_j` a step is an autoregression of order two of each
    coordinate, whose stationary covariances under a common noise are
    :math:`(1-\mu^2)/[(1-\mu^2)^2-(1+\mu^2)\phi_j\phi_k+\mu(\phi_j^2+\phi_k^2)]`.
    """

    def __init__(self, lam, batch_size, momentum):
        self.lam, self.batch_size, self.momentum = lam, batch_size, momentum
        self.sums, self.products = lam[:, None] + lam, np.outer(lam, lam)
        self.highest = 2 * (1 + momentum) / (1 - 1 / batch_size) if batch_size > 1 else np.inf

    def at(self, rate, diagonal=False):
        """Return it for all pairs of coordinates, or for each coordinate with itself."""
        mu = self.momentum
        if diagonal:
            sums, products = 2 * self.lam, self.lam**2
        else:
            sums, products = self.sums, self.products
        noise = rate / self.batch_size * products
        if not mu:
            return sums - rate * products + noise
        # The bracket with 1 + mu - rate * lam written out: the constant cancels.
        squares = sums**2 - 2 * products
        loss = (1 - mu) ** 2 * (1 + mu) * sums + rate * (mu * squares - (1 + mu**2) * products)
        return loss / (1 - mu**2) + noise


def _diagonal_start(fourth, room):
    """Return the mean squares that a rate keeps if products of coordinates are left out."""
    squares, rate = np.full(room.lam.size, room.lam.size**-0.5), np.inf
    for _ in range(50):
        image = fourth @ squares / room.batch_size
        previous, rate = rate, _norm_keeping_rate(image, room, diagonal=True)
        squares = rate * image / room.at(rate, True)
        squares /= np.linalg.norm(squares)
        if abs(rate - previous) <= 1e-4 * rate:
            break
    return squares


def _fourth(Z, shares, matrix):
    """Return E[x x' M x x']."""
    forms = shares * np.einsum("ij,ij->i", Z @ matrix.astype(Z.dtype), Z)
    scaled = np.sqrt(np.maximum(forms, 0)).astype(Z.dtype)[:, None] * Z
    syrk = get_blas_funcs("syrk", (scaled,))
    lower = syrk(1.0, scaled.T, lower=1).astype(float)
    return np.tril(lower) + np.tril(lower, -1).T


def _norm_keeping_rate(image, room, diagonal=False):
    """Return the rate at which the norm of rate * image / room is 1."""
    if room.batch_size == 1 and not room.momentum:
        return float(1 / np.linalg.norm(image / room.at(0.0, diagonal)))

    def excess(rate):
        left = room.at(rate, diagonal)
        if not left.min() > 0:
            return _LARGE
        return min(rate * float(np.linalg.norm(image / left)) - 1, _LARGE)

    high = room.highest
    if np.isinf(high):
        high = 1.0
        while excess(high) < 0:
            high *= 2
    return float(brentq(excess, 0.0, high, xtol=1e-300, rtol=1e-9))
