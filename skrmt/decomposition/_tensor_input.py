"""From what a user passes to the tensor that is decomposed."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor, as_device, is_torch, to_numpy
from ..utils._checks import check_tensor
from ..utils._scaling import moderate_unit
from ._noise import Entries
from ._rank import largest_rank

_SAFE = {"float32": 1e8, "float64": 1e50}
"""Magnitudes up to which cubic products stay finite in that precision."""

_MUCH_LARGER = 4
"""Ratio of an axis to the first one from which a copy with that axis first pays: passes over the
tensor are products with the first mode, which are slow where it is short."""

_MOST_MISSING = 1 / 3
"""Share of missing entries up to which a fit is offered: number of components and alignments are
right up to 30 % (`test_missing_entries_are_fitted_around`)."""

_SYMMETRIC = {"float32": 1e-5, "float64": 1e-12}
"""Difference of transposed entries, over the largest magnitude, that is put down to rounding."""


class TensorInput(NamedTuple):
    """A checked tensor, ready for contractions.

    Attributes
    ----------
    tensor : DenseTensor
        The entries over `scale`, a much larger mode than the first one moved to the front; zeros
        where they are not observed.
    modes : tuple of int
        Axis of X of each mode of it.
    dims : tuple of int
        Shape of X.
    scale : float
        1, or a power of two where the magnitude of X is extreme.
    dtype : str
        "float32" or "float64".
    observed : ndarray or torch tensor of bool, or None
        Which entries count; None if all do.
    symmetric : bool
        Whether the tensor is symmetric in all axes.
    largest : float
        Largest magnitude of an entry over `scale`.
    """

    tensor: DenseTensor
    modes: tuple[int, ...]
    dims: tuple[int, ...]
    scale: float
    dtype: str
    observed: Any = None
    symmetric: bool = False
    largest: float = np.inf

    @property
    def entries(self) -> Entries:
        """How many independent numbers there are."""
        share = 1.0 if self.observed is None else float((self.observed * 1.0).mean())
        return Entries(self.dims, share, self.symmetric)

    def original(self, factors):
        """Return arrays, one a mode, in the order of the axes of X."""
        return [factors[self.modes.index(axis)] for axis in range(len(self.dims))]

    def filled(self, components: Components, share: float) -> DenseTensor:
        """Fill what is missing from a low-rank tensor, and scale what it leaves by 1 / share.

        With the share observed, what is left has the signal and, but for the noise that missing
        entries would have, the law of a tensor without gaps whose noise has variance over share.
        """
        if self.observed is None:
            return self.tensor
        left = DenseTensor(self.tensor.minus(components).tensor * self.observed / share)
        return left.minus(components._replace(weights=-components.weights))

    def without_outliers(
        self, components: Components, limit: float, deviations: list[np.ndarray] | None
    ) -> tuple[TensorInput, int]:
        """Return the input without entries that are far from a low-rank tensor, and their number.

        `limit` is in units of the products of the `deviations`, one a slice of each mode.
        """
        left = self.tensor.minus(components).tensor
        for mode, deviation in enumerate(deviations or ()):
            shape = [-1 if m == mode else 1 for m in range(self.tensor.order)]
            left = left / self.tensor.native(deviation.reshape(shape))
        near = abs(left) <= limit
        observed = near if self.observed is None else near & self.observed
        before = int(np.prod(self.dims)) if self.observed is None else int(self.observed.sum())
        tensor = DenseTensor(self.tensor.tensor * observed)
        largest = float(abs(tensor.tensor).max())
        fewer = self._replace(tensor=tensor, observed=observed, largest=largest)
        return fewer, before - int(observed.sum())


def tensor_input(X, device):
    """Check the tensor given to `fit`."""
    X, largest = check_tensor(X, allow_nan=True)
    X = as_device(X, device)
    dtype = str(X.dtype).removeprefix("torch.")
    missing = X != X
    observed = None
    if bool(missing.any()):
        _check_missing(to_numpy(missing))
        observed = ~missing
        X = X.masked_fill(missing, 0.0) if is_torch(X) else np.where(observed, X, X.dtype.type(0))
    scale = moderate_unit(largest, _SAFE[dtype])
    X = X if scale == 1.0 else X / scale
    dims = tuple(int(size) for size in X.shape)
    symmetric = _is_symmetric(X, dims, _SYMMETRIC[dtype] * largest / scale)
    modes = tuple(range(len(dims)))
    longest = int(np.argmax(dims))
    if dims[longest] >= _MUCH_LARGER * dims[0]:
        modes = (longest, *(mode for mode in modes if mode != longest))
        X = _permuted(X, modes)
        observed = None if observed is None else _permuted(observed, modes)
    return TensorInput(
        DenseTensor(X), modes, dims, scale, dtype, observed, symmetric, largest / scale
    )


def _permuted(X, modes):
    """Return a contiguous copy with the axes in another order."""
    if is_torch(X):
        return X.permute(modes).contiguous()
    return np.ascontiguousarray(X.transpose(modes))


def _is_symmetric(X, dims, tolerance):
    """Return whether exchanging any two neighbouring axes changes nothing."""
    if len(set(dims)) > 1:
        return False
    for axis, other in pairwise(range(len(dims))):
        modes = list(range(len(dims)))
        modes[axis], modes[other] = other, axis
        turned = X.permute(modes) if is_torch(X) else X.transpose(modes)
        first = (0,) * (len(dims) - 2)
        if float(abs(X[first] - turned[first]).max()) > tolerance:
            return False
        if float(abs(X - turned).max()) > tolerance:
            return False
    return True


def _check_missing(missing):
    """Refuse tensors of which too much is missing."""
    share = float(missing.mean())
    if share > _MOST_MISSING:
        raise ValueError(
            f"X has {share:.0%} missing entries (NaN), more than {_MOST_MISSING:.0%}: the number "
            "of components and their alignments are no longer reliable. Drop the slices with most "
            "gaps, or impute."
        )
    for axis in range(missing.ndim):
        empty = missing.all(axis=tuple(m for m in range(missing.ndim) if m != axis))
        if empty.any():
            raise ValueError(
                f"X has only missing entries (NaN) at index {int(np.argmax(empty))} of axis "
                f"{axis}: drop that slice."
            )


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
    """Return the least-squares scores of the slices of a tensor, of their observed entries."""
    rank = factors[0].shape[1]
    dtype = str(X.dtype).removeprefix("torch.")
    scores = np.zeros((X.shape[0], 0))
    if rank:
        missing = to_numpy(X != X)
        filled = X if not missing.any() else _zero_filled(X)
        products = DenseTensor(as_device(filled, device)).contract_rest(factors)
        gram = np.prod([factor.T @ factor for factor in factors], axis=0)
        scores = products @ np.linalg.pinv(gram, hermitian=True)
        gaps = missing.reshape(len(missing), -1)
        for row in np.flatnonzero(gaps.any(axis=1)):
            terms = np.ones((1, rank))
            for factor in factors:
                terms = (terms[:, None] * factor[None]).reshape(-1, rank)
            seen = terms[~gaps[row]]
            scores[row] = np.linalg.pinv(seen.T @ seen, hermitian=True) @ products[row]
    return like_input(scores.astype(dtype), X)


def _zero_filled(X):
    """Return a copy with 0 for NaN."""
    return X.nan_to_num() if is_torch(X) else np.nan_to_num(X)


def like_input(array, X):
    """Return a NumPy array as what X is."""
    return X.new_tensor(array) if is_torch(X) else array


def mean_square(X, largest):
    """Return the mean square of the observed numbers over the largest magnitude, in float64."""
    array = to_numpy(X).astype(np.float64) / largest
    return float(np.nanmean(array**2))
