"""Two encoders of the same items, and pairs of correlated graphs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.random import RandomState

from ..utils._random import fresh_random_state


class PairedEncoders(NamedTuple):
    """Embeddings of the same items by two encoders.

    Attributes
    ----------
    X : ndarray of shape (n, p)
        Embeddings by the first.
    Y : ndarray of shape (n, q)
        Embeddings by the second, in the same order.
    latent : ndarray of shape (n, k)
        Latent variables that both see.
    """

    X: np.ndarray
    Y: np.ndarray
    latent: np.ndarray


class CorrelatedGraphs(NamedTuple):
    """Two symmetric matrices whose entries are correlated once their items are matched.

    Attributes
    ----------
    A : ndarray of shape (n, n)
        The first.
    B : ndarray of shape (n, n)
        The second, its items in another order.
    indices : ndarray of int of shape (n,)
        Item i of A is item indices[i] of B.
    """

    A: np.ndarray
    B: np.ndarray
    indices: np.ndarray


def make_paired_encoders(
    n_samples: int = 500,
    n_features_x: int = 50,
    n_features_y: int = 80,
    *,
    n_latent: int = 20,
    noise_std: float | tuple[Any, ...] = 0.5,
    nonlinear: bool = False,
    random_state: int | RandomState | None = None,
) -> PairedEncoders:
    r"""Generate embeddings of the same items by two encoders.

    Parameters
    ----------
    n_samples : int, default=500
        Number of items.
    n_features_x : int, default=50
        Width of the first encoder.
    n_features_y : int, default=80
        Width of the second.
    n_latent : int, default=20
        Number of dimensions that both see.
    noise_std : float or tuple of float, default=0.5
        Standard deviation of the noise of each side, in units of that of a feature.
    nonlinear : bool, default=False
        Whether the second encoder sees hyperbolic tangents.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    PairedEncoders
        `X`, `Y`, `latent`.

    Raises
    ------
    ValueError
        If a size is below 1 or noise is negative.

    See Also
    --------
    make_correlated_graphs : Two matrices instead of two sets of rows.

    Notes
    -----
    Latent :math:`z\sim N(0, I_k)`, random maps A and B of variance 1/k:
    :math:`x = A z + \sigma_x e`, :math:`y = g(B z) + \sigma_y e'` with g the identity or tanh.

    Examples
    --------
    >>> from skrmt.datasets import make_paired_encoders
    >>> data = make_paired_encoders(100, 10, 7, random_state=0)
    >>> data.X.shape, data.Y.shape
    ((100, 10), (100, 7))
    """
    for name, size in (
        ("n_samples", n_samples),
        ("n_features_x", n_features_x),
        ("n_features_y", n_features_y),
        ("n_latent", n_latent),
    ):
        if int(size) != size or size < 1:
            raise ValueError(f"{name} must be a whole number of 1 or more, got {size!r}.")
    noise = np.broadcast_to(np.asarray(noise_std, dtype=float), (2,))
    if not (np.isfinite(noise) & (noise >= 0)).all():
        raise ValueError(f"noise_std must hold numbers of 0 or more, got {noise_std!r}.")
    rng = fresh_random_state(random_state)
    latent = rng.standard_normal((n_samples, n_latent))
    sides = []
    for width, spread, bent in zip(
        (n_features_x, n_features_y), noise, (False, nonlinear), strict=True
    ):
        seen = latent @ rng.standard_normal((n_latent, width)) / np.sqrt(n_latent)
        seen = np.tanh(seen) if bent else seen
        sides.append(seen + spread * rng.standard_normal((n_samples, width)))
    return PairedEncoders(sides[0], sides[1], latent)


def make_correlated_graphs(
    n_items: int = 200, correlation: float = 0.7, *, random_state: int | RandomState | None = None
) -> CorrelatedGraphs:
    r"""Generate two correlated Wigner matrices, the items of the second in a random order.

    Parameters
    ----------
    n_items : int, default=200
        Number of items.
    correlation : float, default=0.7
        Correlation :math:`\rho` of the entries of matched items.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    CorrelatedGraphs
        `A`, `B`, `indices`.

    Raises
    ------
    ValueError
        If there is no item, or the correlation is not in [-1, 1].

    Notes
    -----
    :math:`B = \rho A + \sqrt{1-\rho^2}\,Z` before the items are permuted, A and Z symmetric with
    standard normal entries (variance 2 on the diagonal).

    Examples
    --------
    >>> from skrmt.datasets import make_correlated_graphs
    >>> data = make_correlated_graphs(50, 1.0, random_state=0)
    >>> int((data.A != data.B[data.indices][:, data.indices]).sum())
    0
    """
    if int(n_items) != n_items or n_items < 1:
        raise ValueError(f"n_items must be a whole number of 1 or more, got {n_items!r}.")
    if not -1 <= correlation <= 1:
        raise ValueError(f"correlation must be in [-1, 1], got {correlation!r}.")
    rng = fresh_random_state(random_state)

    def wigner():
        G = rng.standard_normal((n_items, n_items))
        return (G + G.T) / np.sqrt(2)

    A = wigner()
    B = correlation * A + np.sqrt(1 - correlation**2) * wigner()
    order = rng.permutation(n_items)
    indices = np.argsort(order)
    return CorrelatedGraphs(A, B[np.ix_(order, order)], indices)
