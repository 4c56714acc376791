"""Compare what two fits say."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._checks import is_torch, tensor_on_host


def fitted_state(estimator: Any) -> dict[str, Any]:
    """Return the public fitted attributes of an estimator."""
    return {k: v for k, v in vars(estimator).items() if k.endswith("_") and not k.startswith("_")}


def assert_same(actual: Any, expected: Any, rtol: float = 0.0, what: str = "value") -> None:
    """Raise unless two results agree: numbers, arrays, tensors, containers or objects."""
    if is_torch(actual) or is_torch(expected):
        _assert_same_arrays(_numpy(actual), _numpy(expected), rtol, what)
    elif isinstance(expected, dict):
        assert set(actual) == set(expected), f"{what}: keys {set(actual)} != {set(expected)}"
        for key in expected:
            assert_same(actual[key], expected[key], rtol, f"{what}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected), f"{what}: lengths {len(actual)} != {len(expected)}"
        for i, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same(a, e, rtol, f"{what}[{i}]")
    elif hasattr(expected, "iloc"):
        assert list(actual) == list(expected), f"{what}: {list(actual)} != {list(expected)}"
        _assert_same_arrays(np.asarray(actual), np.asarray(expected), rtol, what)
    elif hasattr(expected, "__dict__") and not isinstance(expected, type):
        assert type(actual) is type(expected), f"{what}: {type(actual)} != {type(expected)}"
        assert_same(vars(actual), vars(expected), rtol, what)
    else:
        _assert_same_arrays(np.asarray(actual), np.asarray(expected), rtol, what)


def _numpy(x: Any) -> np.ndarray:
    """Return x as a NumPy array."""
    return tensor_on_host(x) if is_torch(x) else np.asarray(x)


def _assert_same_arrays(actual: np.ndarray, expected: np.ndarray, rtol: float, what: str) -> None:
    """Raise unless two arrays agree to rtol times the largest entry."""
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(actual, expected, err_msg=what)
        return
    largest = np.max(np.abs(expected), initial=0.0, where=np.isfinite(expected))
    np.testing.assert_allclose(
        actual, expected, rtol=0.0, atol=rtol * largest, equal_nan=True, err_msg=what
    )
