"""Properties of the libraries of arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skrmt import linalg

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.property_of(
    "linalg.as_device", "linalg.to_numpy", "linalg.get_backend", "linalg.is_torch"
)
@given(SEEDS, st.sampled_from([np.float32, np.float64]))
def test_arrays_go_to_torch_and_back_unchanged(seed, dtype):
    X = np.random.default_rng(seed).standard_normal((4, 3)).astype(dtype)
    assert linalg.get_backend(X).name == "numpy"
    assert linalg.as_device(X, None) is X
    assert not linalg.is_torch(X)
    pytest.importorskip("torch")
    moved = linalg.as_device(X, "cpu")
    assert linalg.is_torch(moved)
    assert linalg.get_backend(moved).name == "pytorch"
    back = linalg.to_numpy(moved)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, X)
