"""What a user gives to a quadratic assignment: checked, padded to one size, brought to scale."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..linalg._backend import Array, get_backend
from ..utils._scaling import power_of_two
from ._inputs import check_sides, same_library
from ._kernels import dtype_name, largest_entry


class GivenProblem(NamedTuple):
    """A quadratic assignment of sides of the same size, in units of its own.

    Attributes
    ----------
    first, second : array of shape (n, n) or (n, p)
        Matrices or features, with zeros for the items that the smaller side lacks.
    term : array of shape (n, n) or None
        Linear term, with zeros likewise.
    pairs : ndarray of int of shape (m, 2)
        Known pairs.
    features : bool
        Whether the sides are features.
    sizes : tuple of int
        Numbers of items that each side has.
    exponent : int
        The objective is in units of 2 to this power.
    """

    first: Array
    second: Array
    term: Array | None
    pairs: NDArray[np.intp]
    features: bool
    sizes: tuple[int, int]
    exponent: int


def read_problem(A, B, known_pairs, linear_term, features: bool) -> GivenProblem:
    """Check what is given, pad the smaller side, and divide by powers of two."""
    A, B = check_sides(A, B, names=("A", "B"), paired=False)
    sizes = int(A.shape[0]), int(B.shape[0])
    if not features:
        _check_square(A, B)
    pairs = _checked_pairs(known_pairs, sizes)
    term = None if linear_term is None else _linear_term(linear_term, A, sizes)
    n, square = max(sizes), not features
    A, B = (_padded(M, n, n if square else int(M.shape[1])) for M in (A, B))
    term = None if term is None else _padded(term, n, n)
    return _in_units(A, B, term, pairs, features, sizes)


def _in_units(A, B, term, pairs, features, sizes) -> GivenProblem:
    """Return the problem in a unit in which nothing overflows."""
    # Scalar products of features have twice their exponents.
    twice = 2 if features else 1
    own = [_exponent(M) for M in (A, B)]
    exponent = twice * sum(own)
    A, B = (_times_power(M, -e) for M, e in zip((A, B), own, strict=True))
    if term is not None:
        size = _exponent(term)
        above = max(size - exponent, 0)
        above += above % twice
        A = _times_power(A, -above // twice)
        exponent += above
        term = _times_power(_times_power(term, -size), size - exponent)
    return GivenProblem(A, B, term, pairs, features, sizes, exponent)


def _exponent(M: Array) -> int:
    """Return the exponent of the largest entry."""
    return int(np.frexp(power_of_two(largest_entry(M)))[1]) - 1


def _times_power(M: Array, exponent: int) -> Array:
    """Return a matrix times a power of two, 0 where that is too small a number."""
    least = -126 if dtype_name(M) == "float32" else -1022
    if exponent > 1000:
        return M * 2.0**1000 * 2.0 ** (exponent - 1000)
    return M * 2.0**exponent if exponent >= least else M * 0.0


def _padded(M: Array, rows: int, columns: int) -> Array:
    """Return a matrix with rows and columns of zeros up to a size."""
    if tuple(M.shape) == (rows, columns):
        return M
    backend, kind = get_backend(M), dtype_name(M)
    for axis, size in enumerate((rows, columns)):
        shape = [int(length) for length in M.shape]
        shape[axis] = size - shape[axis]
        zeros = backend.asarray(np.zeros(shape), like=M, dtype=kind)
        M = backend.concatenate([M, zeros], axis=axis)
    return M


def _check_square(A, B):
    """Raise unless both matrices are square."""
    for name, M in (("A", A), ("B", B)):
        if M.shape[0] != M.shape[1]:
            raise ValueError(
                f"{name} has shape {tuple(M.shape)}: expected a square matrix. Pass its scalar "
                "products, or low_rank='features'."
            )


def _checked_pairs(known_pairs: Any, sizes: tuple[int, int]) -> NDArray[np.intp]:
    """Return known pairs as an array of shape (m, 2)."""
    pairs = np.asarray([] if known_pairs is None else known_pairs)
    if pairs.size == 0:
        return np.empty((0, 2), dtype=np.intp)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise ValueError(
            f"known_pairs must be whole numbers of shape (m, 2), got shape {pairs.shape} of "
            f"{pairs.dtype}. Give the row of A and the row of B of each known pair."
        )
    for side, name in enumerate("AB"):
        rows, last = pairs[:, side], sizes[side] - 1
        if rows.min() < 0 or rows.max() > last:
            raise ValueError(
                f"known_pairs must name rows of {name} between 0 and {last}, got {rows.min()} to "
                f"{rows.max()}."
            )
        if len(np.unique(rows)) < len(pairs):
            raise ValueError(f"known_pairs name a row of {name} twice. Each row has one partner.")
    return pairs.astype(np.intp)


def _linear_term(linear_term, A, sizes):
    """Return the linear term beside A."""
    term, _ = check_sides(linear_term, A, names=("linear_term", "A"), paired=False)
    if tuple(term.shape) != sizes:
        raise ValueError(
            f"linear_term must have the shape {sizes}, got {tuple(term.shape)}: one row for each "
            "item of A and one column for each of B."
        )
    return same_library(term, A)[0]
