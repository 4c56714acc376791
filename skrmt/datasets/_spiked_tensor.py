"""Noisy tensors of low rank."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike

from ..theory.deflation._signal import check_grams, check_norms
from ..theory.spiked_tensor._limits import check_dims
from ..utils._random import fresh_random_state


class SpikedTensor(NamedTuple):
    """A noisy tensor and its true factors.

    Attributes
    ----------
    X : ndarray of shape (p_1, ..., p_d)
        The tensor.
    factors : list of ndarray of shape (p_m, r)
        Unit columns, one array per axis.
    """

    X: np.ndarray
    factors: list[np.ndarray]


def make_spiked_tensor(
    dims: Sequence[int],
    betas: ArrayLike,
    *,
    grams: float | ArrayLike = 0.0,
    noise_std: float = 1.0,
    random_state: int | RandomState | None = None,
) -> SpikedTensor:
    r"""Draw a tensor of low rank in independent Gaussian noise.

    Parameters
    ----------
    dims : sequence of int
        Sizes :math:`p_1, \ldots, p_d`, three or more, each at least 2.
    betas : array-like of shape (r,)
        Norms of the components, positive, in units of :math:`\sigma\sqrt N`, N the sum of the
        sizes: those in which `TensorDeflation.snr_` and `skrmt.theory` count. Empty for noise.
    grams : float or array-like of shape (d,), (r, r) or (d, r, r), default=0.0
        Cosines of the components: one for all pairs, one for all pairs in each mode, Gram matrix
        common to the modes, or Gram matrix of each mode. The factors have them exactly.
    noise_std : float, default=1.0
        Standard deviation :math:`\sigma` of an entry of the noise, positive.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    SpikedTensor
        ``X`` and ``factors``, the list of arrays of shape (p_m, r) with unit columns;
        :math:`X = \sigma\sqrt N\sum_j\beta_j\,x_j^{(1)}\circ\cdots\circ x_j^{(d)} + \sigma W`.

    Raises
    ------
    ValueError
        If an argument is out of its domain.

    See Also
    --------
    skrmt.decomposition.TensorDeflation : Finds the components.
    skrmt.theory.spiked_tensor.thresholds : From which norm on that is possible.

    References
    ----------
    On the Accuracy of Hotelling-Type Asymmetric Tensor Deflation, arXiv:2310.18717.

    Examples
    --------
    >>> from skrmt.datasets import make_spiked_tensor
    >>> X, factors = make_spiked_tensor((20, 30, 40), [5.0, 3.0], grams=0.5, random_state=0)
    >>> X.shape, [factor.shape for factor in factors]
    ((20, 30, 40), [(20, 2), (30, 2), (40, 2)])
    >>> round(float(factors[0][:, 0] @ factors[0][:, 1]), 6)
    0.5
    """
    sizes = check_dims(dims)
    if not isinstance(noise_std, numbers.Real) or not 0 < float(noise_std) < np.inf:
        raise ValueError(
            f"noise_std={noise_std!r} must be positive and finite: betas are in units of the noise."
        )
    n_betas = np.size(betas)
    norms = check_norms("betas", betas) if n_betas else np.zeros(0)
    products = check_grams(grams, len(sizes), n_betas) if n_betas else np.zeros((len(sizes), 0, 0))
    roots = [_root(gram) for gram in products]
    for size, root in zip(sizes, roots, strict=True):
        if root.shape[1] > size:
            raise ValueError(
                f"grams needs {root.shape[1]} dimensions in a mode of size {size}: use larger "
                "dims or fewer components."
            )
    rng = fresh_random_state(random_state)
    X = noise_std * rng.standard_normal(sizes)
    factors = [
        np.linalg.qr(rng.standard_normal((size, root.shape[1])))[0] @ root.T
        for size, root in zip(sizes, roots, strict=True)
    ]
    left, right = factors[0] * (norms * noise_std * np.sqrt(sum(sizes))), np.ones((1, n_betas))
    for factor in factors[1:]:
        right = (right[:, None] * factor[None]).reshape(len(right) * len(factor), n_betas)
    X += (left @ right.T).reshape(sizes)
    return SpikedTensor(X, factors)


def _root(gram):
    """Return a matrix of full column rank whose rows have a Gram matrix."""
    if not len(gram):
        return gram
    values, vectors = np.linalg.eigh(gram)
    # Rounding of the eigenvalues of a Gram matrix of a few components.
    kept = values > 1e-12 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])
