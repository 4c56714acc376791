"""Array checks: what is accepted, on which device and dtype, and the errors."""

import numpy as np
import pytest
import scipy.sparse as sp

from skrmt.utils._checks import (
    check_array_like_on_device,
    check_sample_weight,
    is_torch,
    tensor_on_host,
)


def test_dtype_is_kept_without_a_copy(backend, dtype, rng):
    X = backend.asarray(rng.standard_normal((4, 3)), dtype)
    checked = check_array_like_on_device(X)
    assert backend.is_native(checked)
    assert str(checked.dtype).endswith(dtype.name)
    assert np.shares_memory(backend.to_numpy(checked), backend.to_numpy(X)) or (
        backend.device == "cuda"
    )


@pytest.mark.parametrize(
    ("given", "kept"), [("int8", "float64"), ("uint8", "float64"), ("float16", "float32")]
)
def test_small_types_are_cast_first(backend, given, kept):
    checked = check_array_like_on_device(backend.asarray([[100, 120]], given))
    assert str(checked.dtype).endswith(kept)
    assert float((checked * checked).sum()) == 24400.0


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros(3), r"X has 1 dimension.*shape \(3,\).*expected 2"),
        (np.zeros((1, 2, 3)), r"X has 3 dimension"),
        (np.zeros((0, 3)), r"X is empty, shape \(0, 3\)"),
        (np.zeros((3, 0)), r"X is empty"),
        (np.zeros((1, 3)), r"1 sample\(s\).*minimum of 2"),
        (np.zeros((2, 4)), r"X has 4 features, but 3 features"),
        ([[0, 0, 0], [0, np.nan, 0]], r"nan at index \(1, 1\)"),
        ([[0, 0, np.inf], [0, -np.inf, 0]], r"inf at index \(0, 2\)"),
        (np.zeros((2, 3), complex), r"complex"),
    ],
)
def test_refused_values(backend, X, message):
    with pytest.raises(ValueError, match=message):
        check_array_like_on_device(backend.asarray(X), n_features=3, ensure_min_samples=2)


@pytest.mark.parametrize(
    "X", [[["a", "b"]], [[None, {}]], sp.csr_array(np.eye(2)), np.array([["2020-01-01"]], "M8[D]")]
)
def test_refused_types(X):
    with pytest.raises(TypeError, match="X"):
        check_array_like_on_device(X)


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match="regular"):
        check_array_like_on_device([[1.0], [1.0, 2.0]])


def test_sparse_torch_tensor_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="to_dense"):
        check_array_like_on_device(torch.eye(2).to_sparse())


def test_torch_tensors_that_numpy_does_not_take_as_they_are():
    torch = pytest.importorskip("torch")
    for bad, message in (
        (torch.eye(2).to_sparse(), "to_dense"),
        (torch.eye(2, device="meta"), "no values|without values"),
    ):
        for read in (tensor_on_host, check_array_like_on_device):
            with pytest.raises(TypeError, match=message):
                read(bad)
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2):
        small = torch.eye(2).to(dtype)
        assert tensor_on_host(small).dtype == np.float32
        assert check_array_like_on_device(small).dtype == torch.float32
        np.testing.assert_array_equal(tensor_on_host(small), np.eye(2))
    negative = torch.complex(torch.eye(2), torch.eye(2)).conj().imag
    assert negative.is_neg()
    np.testing.assert_array_equal(tensor_on_host(negative), -np.eye(2))


def test_objects_that_are_numbers_are_accepted():
    X = np.array([[1, 2.5]], dtype=object)
    assert check_array_like_on_device(X).dtype == np.float64


def test_finite_values_whose_sum_overflows_are_accepted(backend):
    X = backend.asarray(np.full((4, 3), 1e308))
    assert check_array_like_on_device(X).shape == (4, 3)


def test_nan_may_be_accepted(backend):
    X = backend.asarray([[np.nan]])
    assert check_array_like_on_device(X, ensure_finite=False).shape == (1, 1)


def test_weights_default_to_one(backend):
    like = backend.asarray(np.zeros((3, 2)))
    for given in (None, 1):
        weights = check_sample_weight(given, 3, like=like)
        assert backend.is_native(weights)
        np.testing.assert_array_equal(backend.to_numpy(weights), np.ones(3))


def test_weights_come_to_where_the_data_are(backend):
    like = backend.asarray(np.zeros((2, 2)), "float32")
    for given in ([1, 2], np.array([1, 2], "float32"), backend.asarray([1.0, 2.0])):
        weights = check_sample_weight(given, 2, like=like)
        assert backend.is_native(weights)
        np.testing.assert_array_equal(backend.to_numpy(weights), [1.0, 2.0])


def test_torch_weights_for_numpy_data():
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(check_sample_weight(torch.tensor([1, 2]), 2), [1.0, 2.0])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, -2.0], r"negative value \(-2\)"),
        ([0.0, 0.0], "zero for every sample"),
        ([1.0], r"shape \(1,\).*pass an array of shape \(2,\)"),
        ([[1.0, 1.0]], "1-dimensional"),
        ([1.0, np.nan], r"sample_weight contains NaN.*\(1,\)"),
        ([1.0, np.inf], "sample_weight contains"),
    ],
)
def test_refused_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weights, 2)


def test_is_torch(backend, without_torch):
    assert not is_torch(np.zeros(1))
