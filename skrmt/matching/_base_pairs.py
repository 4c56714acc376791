"""What the known pairs say: are the sides alike, how strongly, in how many dimensions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import centred_kernel, is_torch, kernel_alignment, kernel_matrix, to_numpy
from ..theory.representation import (
    effective_dimension,
    mutual_information,
    recoverable_size,
    seeded_accuracy,
)
from ._inputs import host
from ._scorers import canonical_rank, held_out_correlations


class SeededModel(NamedTuple):
    """The model in which similarities to known pairs are correlated Gaussians.

    Attributes
    ----------
    rho : float
        Correlation of the similarities of a pair to a known pair, over held-out pairs.
    dimension : float
        Effective number of known pairs.
    """

    rho: float
    dimension: float


def deviations(rows):
    """Return the standard deviation of each feature, 1 for a constant one.

    Parameters
    ----------
    rows : ndarray or torch tensor of shape (m, p)
        Rows.

    Returns
    -------
    ndarray or torch tensor of shape (p,)
        Deviations (ddof = 1), like the rows.
    """
    values = host(rows)
    shift = np.abs(values).max(initial=0.0) or 1.0
    found = (values / shift).std(axis=0, ddof=1) * shift
    found = np.where(found > 1e-12 * np.abs(values).max(axis=0, initial=0.0), found, 1.0)
    found[found == 0] = 1.0
    if is_torch(rows):
        return rows.new_tensor(found)
    return found.astype(rows.dtype)


def dimensions(base):
    """Return the effective dimension of the features of both sides.

    Parameters
    ----------
    base : tuple of array of shape (m, p) and (m, q)
        Known pairs.

    Returns
    -------
    tuple of float
        Between 1 and the number of features; NaN for a constant side.
    """
    return tuple(_dimension(side) for side in base)


def _dimension(side):
    """Return (tr S)^2 / |S|^2 of the covariance, the square estimated without bias."""
    m, p = (int(size) for size in side.shape)
    found = kernel_alignment(side, side, debiased=True)
    rows = host(side)
    trace = float((rows - rows.mean(axis=0)).var(axis=0, ddof=1).sum()) / found.scales[0]
    square = found.first[1] / (m * (m - 3)) if m > 3 else 0.0
    if square <= 0:
        return float("nan")
    return float(np.clip(trace**2 / square, 1.0, p))


def seeded_model(base, options, parts):
    """Fit the model of correlated similarities to held-out pairs.

    Parameters
    ----------
    base : tuple of array of shape (m, p) and (m, q)
        Known pairs.
    options : Options
        Kernels.
    parts : list of ndarray of int
        Folds.

    Returns
    -------
    SeededModel
        The model.
    """
    kernels = [
        host(kernel_matrix(side, kernel=options.kernel, bandwidth=width))
        for side, width in zip(base, options.bandwidths, strict=True)
    ]
    products = np.zeros(3)
    for part in parts:
        known = np.setdiff1d(np.arange(len(kernels[0])), part)
        rows = []
        for K in kernels:
            similarities = K[np.ix_(part, known)] - K[np.ix_(known, known)].mean(axis=0)
            rows.append(similarities - similarities.mean(axis=1, keepdims=True))
        products += [(rows[0] * rows[1]).sum(), (rows[0] ** 2).sum(), (rows[1] ** 2).sum()]
    size = np.sqrt(products[1] * products[2])
    rho = float(np.clip(products[0] / size, -1.0, 1.0)) if size > 0 else 0.0
    width = [_kernel_dimension(K) for K in kernels]
    return SeededModel(rho, float(np.clip(np.sqrt(width[0] * width[1]), 1.0, len(kernels[0]))))


def _kernel_dimension(K):
    """Return the effective dimension of a centred kernel."""
    centred = centred_kernel(K)
    values = np.linalg.eigvalsh(centred)
    values = np.clip(values, 0.0, None)
    return effective_dimension(values) if values.any() else 1.0


def model_accuracy(model, n_queries):
    """Return what the model of correlated similarities says.

    Parameters
    ----------
    model : SeededModel
        The model.
    n_queries : int
        Number of candidates.

    Returns
    -------
    float
        Probability that the nearest neighbour is right.
    """
    return float(seeded_accuracy(model.rho, model.dimension, max(n_queries, 1)))


def information(base):
    """Return the mutual information of the sides, and how many pairs it can tell apart.

    Parameters
    ----------
    base : tuple of array of shape (m, p) and (m, q)
        Known pairs.

    Returns
    -------
    information : float
        In nats, under the Gaussian model, from canonical correlations of held-out pairs.
    size : float
        Number of pairs that can be recovered exactly.
    """
    known = [np.asarray(to_numpy(side), dtype=np.float64) for side in base]
    rho = held_out_correlations(known, canonical_rank(known))
    if not rho.size:
        return 0.0, 1.0
    return float(mutual_information(rho)), float(recoverable_size(rho))
