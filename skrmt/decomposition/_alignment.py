"""How close estimated factors are to true ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment


def factor_alignments(factors: Sequence[Any], true_factors: Sequence[Any]) -> NDArray[Any]:
    """Match estimated components to true ones and return the cosines of their factors.

    Parameters
    ----------
    factors : sequence of array-like of shape (p_m, r)
        Estimated factors, one array a mode; columns of any norm.
    true_factors : sequence of array-like of shape (p_m, k)
        True factors, likewise.

    Returns
    -------
    ndarray of shape (k, d)
        For each true component the absolute cosine with the estimated one that it is matched to,
        in each mode; 0 where none is left for it.

    Raises
    ------
    ValueError
        If the numbers or the sizes of the modes differ, or a value is not finite.

    Notes
    -----
    The matching maximises the sum, over the pairs, of the products of the cosines of all modes.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.decomposition import factor_alignments
    >>> eye = np.eye(3)
    >>> factor_alignments([eye[:, [1, 0]]] * 3, [2 * eye[:, :2]] * 3)
    array([[1., 1., 1.],
           [1., 1., 1.]])
    """
    found, true = _unit(factors, "factors"), _unit(true_factors, "true_factors")
    sizes = [[len(factor) for factor in array] for array in (found, true)]
    if sizes[0] != sizes[1]:
        raise ValueError(
            f"true_factors has modes of sizes {sizes[1]}, but the factors have {sizes[0]}: give "
            "one array of shape (size, n_components) for each axis of the tensor."
        )
    cosines = np.abs([f.T @ t for f, t in zip(found, true, strict=True)])
    rows, columns = linear_sum_assignment(-cosines.prod(axis=0))
    alignments = np.zeros((true[0].shape[1], len(true)))
    alignments[columns] = cosines[:, rows, columns].T
    return np.clip(alignments, 0.0, 1.0)


def _unit(factors, name):
    """Return matrices with unit columns."""
    if not isinstance(factors, (list, tuple, np.ndarray)):
        raise TypeError(f"{name} must be a list of arrays, got {type(factors).__name__}.")
    arrays = [np.asarray(factor, dtype=np.float64) for factor in factors]
    counts = {array.shape[1] if array.ndim == 2 else None for array in arrays}
    if len(counts) != 1 or None in counts:
        raise ValueError(
            f"{name} has arrays of shapes {[array.shape for array in arrays]}: give one array of "
            "shape (size, n_components) a mode, with the same number of columns."
        )
    if not all(np.isfinite(array).all() for array in arrays):
        raise ValueError(f"{name} contains NaN or infinity: drop such components.")
    norms = [np.linalg.norm(array, axis=0) for array in arrays]
    return [a / np.where(norm > 0, norm, 1.0) for a, norm in zip(arrays, norms, strict=True)]
