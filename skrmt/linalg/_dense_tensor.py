"""A dense tensor seen through its contractions, each one pass over its memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._backend import Array, get_backend, to_numpy

FloatArray = NDArray[np.float64]

_CHUNK = 2**19
"""Numbers that are converted to float64 at a time, 4 MB."""


class Components(NamedTuple):
    r"""A low-rank tensor :math:`\sum_j w_j\,a_j^{(1)}\circ\cdots\circ a_j^{(d)}`.

    Attributes
    ----------
    weights : ndarray of shape (r,)
        Norms of the components.
    factors : list of ndarray of shape (p_m, r)
        Unit columns, one array a mode.
    """

    weights: FloatArray
    factors: list[FloatArray]

    @property
    def rank(self) -> int:
        """Number of components."""
        return len(self.weights)


def no_components(dims: Sequence[int]) -> Components:
    """Return the tensor of rank 0.

    Parameters
    ----------
    dims : sequence of int
        Sizes of the tensor.

    Returns
    -------
    Components
        No weights, factors without columns.

    Examples
    --------
    >>> from skrmt.linalg import no_components
    >>> no_components((4, 3, 2)).rank
    0
    """
    return Components(np.zeros(0), [np.zeros((size, 0)) for size in dims])


class DenseTensor:
    """A dense array of order 2 or more with its contractions and its mode Gram matrices.

    Parameters
    ----------
    tensor : ndarray or torch tensor of shape (p_1, ..., p_d)
        The entries, C-contiguous, float32 or float64; never written to.

    Attributes
    ----------
    tensor : ndarray or torch tensor
        The entries.
    shape : tuple of int
        Sizes.

    Notes
    -----
    Contractions run in the precision of the tensor on its device, as matrix products with the
    view (p_1, p_2...p_d), which needs no copy. Vectors and factors are float64 NumPy arrays on
    either side. Gram matrices are summed in float64 and kept.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import DenseTensor
    >>> T = DenseTensor(np.einsum("i,j,k->ijk", [3.0, 4.0], [1.0, 0.0], [0.6, 0.8]))
    >>> T.mttkrp([np.zeros((2, 1)), np.eye(2, 1), np.ones((2, 1))], 0).ravel()
    array([4.2, 5.6])
    """

    def __init__(self, tensor: Array) -> None:
        self.tensor = tensor
        self.shape = tuple(int(size) for size in tensor.shape)
        self._backend = get_backend(tensor)
        self._dtype = str(tensor.dtype).removeprefix("torch.")
        self._grams: dict[int, FloatArray] = {}

    @property
    def order(self) -> int:
        """Number of modes."""
        return len(self.shape)

    @property
    def flat(self) -> Array:
        """The first mode against all others, a view."""
        return self.tensor.reshape(self.shape[0], -1)

    @property
    def resolution(self) -> float:
        """Relative spacing of its floating-point numbers."""
        return 2.0**-23 if self._dtype == "float32" else 2.0**-52

    def native(self, array: FloatArray) -> Array:
        """Return an array in the precision and on the device of the tensor.

        Parameters
        ----------
        array : ndarray
            Any array.

        Returns
        -------
        ndarray or torch tensor
            The same numbers.
        """
        return self._backend.asarray(array, like=self.tensor, dtype=self._dtype)

    def contract_first(self, factor: FloatArray) -> Array:
        """Contract the first mode with each column of a matrix: one pass.

        Parameters
        ----------
        factor : ndarray of shape (p_1, r)
            The columns.

        Returns
        -------
        ndarray or torch tensor of shape (r, p_2, ..., p_d)
            The contractions.
        """
        contracted = self.native(np.ascontiguousarray(factor.T)) @ self.flat
        return contracted.reshape(factor.shape[1], *self.shape[1:])

    def contract_rest(self, factors: Sequence[FloatArray]) -> FloatArray:
        """Contract all modes but the first with the columns of matrices: one pass.

        Parameters
        ----------
        factors : sequence of ndarray of shape (p_m, r), m = 2, ..., d
            One matrix a mode.

        Returns
        -------
        ndarray of shape (p_1, r)
            The contractions.
        """
        rows = khatri_rao([self.native(np.ascontiguousarray(factor.T)) for factor in factors])
        return _float64(rows @ self.flat.T).T

    def mttkrp(self, factors: Sequence[FloatArray], mode: int) -> FloatArray:
        """Contract all modes but one with the columns of matrices: one pass.

        Parameters
        ----------
        factors : sequence of ndarray of shape (p_m, r)
            One matrix a mode; that of `mode` is not read.
        mode : int
            The mode that is left.

        Returns
        -------
        ndarray of shape (p_mode, r)
            The contractions.
        """
        if mode == 0:
            return self.contract_rest(factors[1:])
        return contract_slices(self, self.contract_first(factors[0]), factors[1:], mode - 1)

    def gram(self, mode: int) -> FloatArray:
        r"""Return the Gram matrix of the unfolding of a mode, :math:`2 p_m\prod_k p_k` flops.

        Parameters
        ----------
        mode : int
            The mode.

        Returns
        -------
        ndarray of shape (p_mode, p_mode)
            Its Gram matrix, kept for the next call.
        """
        if mode not in self._grams:
            self._grams[mode] = self._gram(mode)
        return self._grams[mode]

    def _gram(self, mode: int) -> FloatArray:
        """Sum the Gram matrices of blocks of bounded size."""
        size, before = self.shape[mode], int(np.prod(self.shape[:mode]))
        blocks = self.tensor.reshape(before, size, -1)
        after = blocks.shape[2]
        if self._dtype == "float64" and (before == 1 or after == 1):
            matrix = blocks[0] if before == 1 else blocks[:, :, 0].T
            return _float64(matrix @ matrix.T)
        gram: Array = 0.0
        rows = max(1, _CHUNK // (size * min(after, max(1, _CHUNK // size))))
        columns = max(1, _CHUNK // (size * rows))
        for i in range(0, before, rows):
            for j in range(0, after, columns):
                block = self._backend.moveaxis(blocks[i : i + rows, :, j : j + columns], 1, 0)
                matrix = self._wide(block.reshape(size, -1))
                gram = gram + matrix @ matrix.T
        return _float64(gram)

    def squared_norm(self, minus: Components | None = None) -> float:
        """Return the sum of squares, in float64: one pass.

        Parameters
        ----------
        minus : Components, optional
            A low-rank tensor that is subtracted.

        Returns
        -------
        float
            The sum.
        """
        if minus is None and self._dtype == "float64":
            return float(self.tensor.reshape(-1) @ self.tensor.reshape(-1))
        minus = no_components(self.shape) if minus is None else minus
        n_rows = max(1, _CHUNK // int(np.prod(self.shape[1:])))
        total = 0.0
        for start in range(0, self.shape[0], n_rows):
            block = self._residual(slice(start, start + n_rows), minus).reshape(-1)
            total = total + block @ block
        return float(total)

    def rows(self, index: Sequence[int] | NDArray[np.intp], minus: Components) -> FloatArray:
        """Return some slices of the first mode, less those of a low-rank tensor.

        Parameters
        ----------
        index : sequence of int
            Which slices.
        minus : Components
            What is subtracted.

        Returns
        -------
        ndarray of shape (s, p_2 ... p_d)
            The flattened slices.
        """
        return _float64(self._residual(list(index), minus))

    def _residual(self, index: slice | list[int], minus: Components) -> Array:
        """Return slices of the first mode less those of a low-rank tensor, in float64, in place."""
        chosen = self._wide(self.flat[index])
        if minus.rank:
            first, *rest = minus.factors
            products = khatri_rao([self._wide(np.ascontiguousarray(f.T)) for f in rest])
            chosen = chosen - self._wide(first[index] * minus.weights) @ products
        return chosen

    def _wide(self, array: Array) -> Array:
        """Return an array in float64 on the device of the tensor."""
        return self._backend.asarray(array, like=self.tensor, dtype="float64")

    def columns(
        self, mode: int, n_columns: int, minus: Components, rng: np.random.Generator
    ) -> FloatArray:
        """Return distinct random columns of an unfolding, less those of a low-rank tensor.

        Parameters
        ----------
        mode : int
            The mode.
        n_columns : int
            How many; all of them if there are not more.
        minus : Components
            What is subtracted.
        rng : numpy Generator
            Source of the choice.

        Returns
        -------
        ndarray of shape (p_mode, n_columns)
            The columns.
        """
        sizes = [1 if m == mode else size for m, size in enumerate(self.shape)]
        total = int(np.prod(sizes))
        chosen = rng.choice(total, min(n_columns, total), replace=False, shuffle=False)
        picks = np.unravel_index(chosen, sizes)
        index = tuple(
            np.arange(size)[:, None] if m == mode else picks[m][None]
            for m, size in enumerate(self.shape)
        )
        others = [minus.factors[m][picks[m]] for m in range(self.order) if m != mode]
        return (
            _float64(self.tensor[index])
            - (minus.factors[mode] * minus.weights) @ np.prod(others, axis=0).T
        )

    def project(self, basis: FloatArray, mode: int) -> DenseTensor:
        """Multiply a mode by the transpose of a matrix: one pass.

        Parameters
        ----------
        basis : ndarray of shape (p_mode, k)
            The matrix.
        mode : int
            The mode.

        Returns
        -------
        DenseTensor
            The same tensor with size k in that mode.
        """
        before = int(np.prod(self.shape[:mode]))
        shape = (*self.shape[:mode], basis.shape[1], *self.shape[mode + 1 :])
        if mode == self.order - 1:
            product = self.tensor.reshape(before, -1) @ self.native(basis)
        else:
            rows = self.native(np.ascontiguousarray(basis.T))
            product = rows @ self.tensor.reshape(before, self.shape[mode], -1)
        return DenseTensor(product.reshape(shape))

    def minus(self, components: Components) -> DenseTensor:
        """Subtract a low-rank tensor: a copy.

        Parameters
        ----------
        components : Components
            What to subtract.

        Returns
        -------
        DenseTensor
            The difference.
        """
        if not components.rank:
            return self
        first, *rest = components.factors
        rows = khatri_rao([self.native(np.ascontiguousarray(factor.T)) for factor in rest])
        fitted = self.native(first * components.weights) @ rows
        return DenseTensor(self.tensor - fitted.reshape(self.shape))


def khatri_rao(rows: Sequence[Array]) -> Array:
    """Return the tensor products of the rows of matrices."""
    product = rows[0]
    for factor in rows[1:]:
        product = (product[:, :, None] * factor[:, None, :]).reshape(len(product), -1)
    return product


def contract_slices(
    like: DenseTensor, slices: Array, factors: Sequence[FloatArray], mode: int
) -> FloatArray:
    """Contract slice j with column j of the matrices, in all modes but one."""
    rank = slices.shape[0]
    rows = [like.native(np.ascontiguousarray(factor.T)) for factor in factors]
    for row in reversed(rows[mode + 1 :]):
        slices = (slices.reshape(rank, -1, row.shape[1]) @ row[:, :, None])[..., 0]
    for row in rows[:mode]:
        slices = (row[:, None, :] @ slices.reshape(rank, row.shape[1], -1))[:, 0]
    return _float64(slices.reshape(rank, -1)).T


def _float64(array: Any) -> FloatArray:
    """Return an array as float64 on the host."""
    return np.asarray(to_numpy(array), dtype=np.float64)
