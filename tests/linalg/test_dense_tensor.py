"""Contractions of a dense tensor against einsum, on NumPy and torch."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.linalg import Components, DenseTensor, deflate_mode, no_components, residual_gram

SHAPES = [(4, 5, 6), (6, 3, 4, 5), (3, 2, 4, 2, 3)]
LETTERS = "abcde"


def problem(shape, rank, rng):
    factors = [rng.standard_normal((size, rank)) for size in shape]
    factors = [factor / np.linalg.norm(factor, axis=0) for factor in factors]
    return rng.standard_normal(shape), Components(rng.uniform(1, 2, rank), factors)


def dense(components):
    """Return a low-rank tensor entry by entry."""
    letters = LETTERS[: len(components.factors)]
    terms = ",".join(f"{letter}r" for letter in letters)
    return np.einsum(f"r,{terms}->{letters}", components.weights, *components.factors)


def contracted(array, factors, mode):
    """Contract all modes but one."""
    letters = LETTERS[: array.ndim]
    others = [m for m in range(array.ndim) if m != mode]
    terms = ",".join(f"{letters[m]}r" for m in others)
    return np.einsum(f"{letters},{terms}->{letters[mode]}r", array, *[factors[m] for m in others])


@pytest.mark.parametrize("shape", SHAPES)
def test_contractions_are_those_of_einsum(shape, backend, dtype, rng):
    array, low = problem(shape, 3, rng)
    array = array.astype(dtype)
    tensor = DenseTensor(backend.asarray(array))
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    for mode in range(len(shape)):
        expected = contracted(array, low.factors, mode)
        np.testing.assert_allclose(tensor.mttkrp(low.factors, mode), expected, rtol, 10 * rtol)
        unfolded = np.moveaxis(array, mode, 0).reshape(shape[mode], -1).astype(float)
        np.testing.assert_allclose(tensor.gram(mode), unfolded @ unfolded.T, rtol, 10 * rtol)
        basis = np.linalg.qr(rng.standard_normal((shape[mode], 2)))[0]
        projected = backend.to_numpy(tensor.project(basis, mode).tensor)
        assert projected.dtype == dtype
        expected = np.moveaxis(np.tensordot(basis.T, array, (1, mode)), 0, mode)
        np.testing.assert_allclose(projected, expected, rtol, 10 * rtol)
    assert tensor.squared_norm() == pytest.approx(float((array.astype(float) ** 2).sum()), rel=rtol)


@pytest.mark.parametrize("shape", SHAPES)
def test_low_rank_is_subtracted_without_a_copy(shape, backend, rng):
    array, low = problem(shape, 2, rng)
    tensor, rest = DenseTensor(backend.asarray(array)), array - dense(low)
    np.testing.assert_allclose(backend.to_numpy(tensor.minus(low).tensor), rest, atol=1e-12)
    assert tensor.squared_norm(low) == pytest.approx(float((rest**2).sum()), rel=1e-12)
    for mode in range(len(shape)):
        unfolded = np.moveaxis(rest, mode, 0).reshape(shape[mode], -1)
        gram = residual_gram(tensor, low, mode)
        np.testing.assert_allclose(gram, unfolded @ unfolded.T, atol=1e-10)
        everything = tensor.columns(mode, 10**6, low, rng)
        order = np.lexsort(everything)
        np.testing.assert_allclose(
            everything[:, order], unfolded[:, np.lexsort(unfolded)], atol=1e-12
        )
    np.testing.assert_allclose(tensor.rows([1, 0], low), rest[[1, 0]].reshape(2, -1), atol=1e-12)


def test_columns_are_distinct_and_of_the_tensor(rng):
    array = rng.standard_normal((4, 5, 6))
    columns = DenseTensor(array).columns(1, 7, no_components(array.shape), rng)
    known = np.moveaxis(array, 1, 0).reshape(5, -1)
    found = [np.flatnonzero((known == column[:, None]).all(axis=0)) for column in columns.T]
    assert len({int(index[0]) for index in found}) == 7


def test_gram_of_blocks_is_that_of_the_whole(rng, monkeypatch):
    import skrmt.linalg._dense_tensor as module

    array = rng.standard_normal((6, 7, 8)).astype(np.float32)
    expected = [DenseTensor(array).gram(mode) for mode in range(3)]
    monkeypatch.setattr(module, "_CHUNK", 20)
    for mode in range(3):
        np.testing.assert_allclose(DenseTensor(array).gram(mode), expected[mode], rtol=1e-12)


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("overwrite", [False, True])
def test_deflation_of_a_mode(mode, overwrite, backend, rng):
    array = rng.standard_normal((4, 5, 6))
    u = rng.standard_normal(array.shape[mode])
    u /= np.linalg.norm(u)
    given = backend.asarray(array)
    matrix = np.eye(len(u)) - 0.7 * np.outer(u, u)
    expected = np.moveaxis(np.tensordot(matrix, array, (1, mode)), 0, mode)
    result = deflate_mode(DenseTensor(given), u, mode, 0.7, overwrite=overwrite)
    np.testing.assert_allclose(backend.to_numpy(result.tensor), expected, atol=1e-14)
    kept = backend.to_numpy(given)
    np.testing.assert_allclose(kept, expected if overwrite else array, atol=1e-14)
