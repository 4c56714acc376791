"""From what a user passes to the tensor that is decomposed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..linalg import DenseTensor, as_device, is_torch, to_numpy
from ..utils._checks import check_tensor
from ..utils._scaling import moderate_unit
from ._rank import largest_rank

_SAFE = {"float32": 1e8, "float64": 1e50}
"""Magnitudes up to which cubic products stay finite in that precision."""

_MUCH_LARGER = 4
"""Ratio of an axis to the first one from which a copy with that axis first pays: passes over the
tensor are products with the first mode, which are slow where it is short."""


class TensorInput(NamedTuple):
    """A checked tensor, ready for contractions.

    Attributes
    ----------
    tensor : DenseTensor
        The entries over `scale`, a much larger mode than the first one moved to the front.
    modes : tuple of int
        Axis of X of each mode of it.
    dims : tuple of int
        Shape of X.
    scale : float
        1, or a power of two where the magnitude of X is extreme.
    dtype : str
        "float32" or "float64".
    """

    tensor: DenseTensor
    modes: tuple[int, ...]
    dims: tuple[int, ...]
    scale: float
    dtype: str

    def original(self, factors):
        """Return arrays, one a mode, in the order of the axes of X."""
        return [factors[self.modes.index(axis)] for axis in range(len(self.dims))]


def tensor_input(X, device):
    """Check the tensor given to `fit`."""
    X, largest = check_tensor(X)
    X = as_device(X, device)
    dtype = str(X.dtype).removeprefix("torch.")
    scale = moderate_unit(largest, _SAFE[dtype])
    X = X if scale == 1.0 else X / scale
    dims = tuple(int(size) for size in X.shape)
    modes = tuple(range(len(dims)))
    longest = int(np.argmax(dims))
    if dims[longest] >= _MUCH_LARGER * dims[0]:
        modes = (longest, *(mode for mode in modes if mode != longest))
        X = X.permute(modes) if is_torch(X) else X.transpose(modes)
        X = X.contiguous() if is_torch(X) else np.ascontiguousarray(X)
    return TensorInput(DenseTensor(X), modes, dims, scale, dtype)


def check_rank(n_components, dims):
    """Check the number of components."""
    if isinstance(n_components, str):
        return None
    largest = largest_rank(dims)
    if not isinstance(n_components, (int, np.integer)) or n_components > largest:
        raise ValueError(
            f"n_components={n_components!r} is too large: a tensor of shape {dims} has degrees of "
            f"freedom for {largest}. Use n_components='auto' to have the number chosen."
        )
    return int(n_components)


def slice_scores(X, factors, device):
    """Return the least-squares scores of the slices of a tensor."""
    rank = factors[0].shape[1]
    dtype = str(X.dtype).removeprefix("torch.")
    scores = np.zeros((X.shape[0], 0))
    if rank:
        products = DenseTensor(as_device(X, device)).contract_rest(factors)
        gram = np.prod([factor.T @ factor for factor in factors], axis=0)
        scores = products @ np.linalg.pinv(gram, hermitian=True)
    return like_input(scores.astype(dtype), X)


def like_input(array, X):
    """Return a NumPy array as what X is."""
    return X.new_tensor(array) if is_torch(X) else array


def mean_square(X, largest):
    """Return the mean square of numbers over the largest magnitude, in float64."""
    array = to_numpy(X).astype(np.float64) / largest
    return float(np.mean(array**2))
