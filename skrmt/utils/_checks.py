"""Checks of arrays at the boundary, on NumPy arrays and, on their own device, torch tensors.

scikit-learn's `validate_data` serves NumPy, sparse and dataframe input of two dimensions; these
serve torch tensors and arrays of three dimensions and more.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from ._scaling import moderate_unit


def is_torch(x: Any) -> bool:
    """Return whether x is a torch tensor, without importing torch.

    Parameters
    ----------
    x : object
        Anything.

    Returns
    -------
    bool
        True for a `torch.Tensor`.

    Examples
    --------
    >>> from skrmt.utils._checks import is_torch
    >>> is_torch([1.0])
    False
    """
    torch: Any = sys.modules.get("torch")
    return hasattr(torch, "Tensor") and isinstance(x, torch.Tensor)


_FLOATS = ("float16", "float32", "float64")


def tensor_on_host(x: Any) -> np.ndarray:
    """Return a dense tensor as a NumPy array; floats that NumPy does not have become float32."""
    if str(x.layout) != "torch.strided":
        raise TypeError(f"a tensor of layout {x.layout} was given: pass its to_dense().")
    if x.is_meta:
        raise TypeError("a tensor on the meta device was given: it has no values. Load it first.")
    x = x.detach().cpu()
    known = not x.is_floating_point() or str(x.dtype).removeprefix("torch.") in _FLOATS
    return (x if known else x.float()).resolve_conj().resolve_neg().numpy()


def refuse_masked(x: Any, name: str) -> None:
    """Raise TypeError for a masked array, whose masked entries would be read as numbers."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a numpy.ma.MaskedArray, whose masked values would be read as if they were "
            f"data: drop these rows, or impute them and pass {name}.filled(value)."
        )


def check_array_like_on_device(
    X: Any,
    name: str = "X",
    ndim: int = 2,
    *,
    n_features: int | None = None,
    ensure_min_samples: int = 1,
    ensure_finite: bool = True,
) -> Any:
    """Check a dense array or tensor and return it in floating point, on the device it is on."""
    X = _float_tensor(X, name) if is_torch(X) else _float_array(X, name)
    _check_shape(X, name, ndim, ensure_min_samples, n_features)
    if ensure_finite:
        _check_finite(X, name)
    return X


def check_tensor(
    X: Any,
    name: str = "X",
    *,
    shape: tuple[int, ...] | None = None,
    min_samples: int = 2,
    allow_nan: bool = False,
) -> tuple[Any, float]:
    """Check a dense tensor of order 3 or more, on the device it is on; return the largest too."""
    X = _float_tensor(X, name) if is_torch(X) else _float_array(X, name)
    sizes = tuple(int(size) for size in X.shape)
    if len(sizes) < 3:
        raise ValueError(
            f"{name} has {len(sizes)} dimension(s), shape {sizes}: expected a tensor of 3 "
            "dimensions or more. Use PCA or TruncatedSVD for matrices."
        )
    if 0 in sizes:
        raise ValueError(f"{name} is empty, shape {sizes}: every axis needs at least 1 element.")
    small = [axis for axis, size in enumerate(sizes) if size < (2 if axis else min_samples)]
    if small and shape is None:
        raise ValueError(
            f"{name} has shape {sizes}: axis {small[0]} has size {sizes[small[0]]}, while at "
            f"least 2 are needed. Remove it with {name}.squeeze(), or add data along it."
        )
    if shape is not None and sizes[1:] != tuple(shape):
        raise ValueError(
            f"{name} has shape {sizes}, but in fit the axes after the first had sizes "
            f"{tuple(shape)}: pass samples of the same shape."
        )
    highest, lowest = float(X.max()), float(X.min())
    if allow_nan and math.isnan(highest):
        missing = X != X
        if missing.all():
            raise ValueError(f"{name} has no entry that is not NaN: pass data.")
        highest = float(_filled(X, missing, -math.inf).max())
        lowest = float(_filled(X, missing, math.inf).min())
    if not (math.isfinite(highest) and math.isfinite(lowest)):
        _check_finite(_filled(X, X != X, 0.0) if allow_nan else X, name)
    if shape is None and highest == lowest:
        raise ValueError(
            f"{name} is constant, every entry is {highest:g}: there is no noise and no component "
            "to find. Pass data that varies."
        )
    return X.contiguous() if is_torch(X) else np.ascontiguousarray(X), max(highest, -lowest)


def check_sample_weight(
    sample_weight: Any, n_samples: int, *, like: Any = None, additive: bool = False
) -> Any:
    """Check the weights of the samples, and divide extreme ones by a power of two.

    Only their ratios count, except where they are added to those of other rows: there extreme
    ones are refused.
    """
    if sample_weight is None:
        sample_weight = 1.0
    weights = _as_float64(sample_weight, "sample_weight", like)
    if weights.ndim == 0:
        weights = weights + 0.0 * _as_float64(np.zeros(n_samples), "sample_weight", like)
    if tuple(weights.shape) != (n_samples,):
        # scikit-learn's own common checks look for the words "should be 1-dimensional".
        raise ValueError(
            f"sample_weight of shape {tuple(weights.shape)} should be 1-dimensional, one weight a "
            f"sample: pass an array of shape ({n_samples},)."
        )
    _check_finite(weights, "sample_weight")
    lowest, largest = float(weights.min()), float(weights.max())
    if lowest < 0:
        raise ValueError(
            f"sample_weight has a negative value ({lowest:g}): weights must be 0 or more. "
            "Drop rows by giving them the weight 0."
        )
    if largest == 0:
        raise ValueError(
            "sample_weight is zero for every sample: give a positive weight to some of them."
        )
    unit = moderate_unit(largest)
    if unit != 1.0 and additive:
        raise ValueError(
            f"sample_weight has values up to {largest:.3g}, too far from the weights of other rows "
            "to be added to them: give weights between 1e-60 and 1e60."
        )
    return weights if unit == 1.0 else weights / unit


def _as_float64(x: Any, name: str, like: Any) -> Any:
    """Return x in float64, as a tensor beside `like` where that is one."""
    if is_torch(like):
        torch = sys.modules["torch"]
        x = x if is_torch(x) else _float_array(x, name).copy()
        return torch.as_tensor(x, device=like.device).to(torch.float64)
    if is_torch(x):
        x = tensor_on_host(x)
    return np.asarray(_float_array(x, name), dtype=np.float64)


def _float_array(X: Any, name: str) -> np.ndarray:
    """Return a NumPy array of floats, or say why there is none."""
    refuse_masked(X, name)
    if hasattr(X, "toarray") and hasattr(X, "nnz"):
        raise TypeError(f"{name} is a sparse {type(X).__name__}: pass {name}.toarray().")
    try:
        X = np.asarray(X)
    except ValueError as error:
        raise ValueError(
            f"{name} is not a regular array ({error}): make its rows equal."
        ) from error
    if X.dtype.kind == "c":
        raise ValueError(f"{name} has complex values ({X.dtype}): Complex data not supported.")
    if X.dtype.kind == "O":
        X = _from_objects(X, name)
    if X.dtype.kind not in "biuf":
        raise TypeError(f"{name} has dtype {X.dtype}: convert it to numbers first.")
    if X.dtype in (np.float32, np.float64):
        return X
    return X.astype(np.float32 if X.dtype == np.float16 else np.float64)


def _from_objects(X: np.ndarray, name: str) -> np.ndarray:
    """Return an array of Python objects as float64, if they are numbers."""
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} holds objects that are not numbers: {error}.") from error


def _float_tensor(X: Any, name: str) -> Any:
    """Return a dense torch tensor of floats, or say why there is none."""
    torch = sys.modules["torch"]
    if X.layout != torch.strided:
        raise TypeError(f"{name} is a tensor of layout {X.layout}: pass {name}.to_dense().")
    if X.is_complex():
        raise ValueError(f"{name} has complex values ({X.dtype}): Complex data not supported.")
    if X.is_meta:
        raise TypeError(f"{name} is a tensor on the meta device, without values: load it first.")
    if X.dtype in (torch.float32, torch.float64):
        return X.detach()
    small = X.is_floating_point()
    return X.detach().to(torch.float32 if small else torch.float64)


def _check_shape(X: Any, name: str, ndim: int, min_samples: int, n_features: int | None) -> None:
    """Raise if the shape is not what is expected."""
    shape = tuple(X.shape)
    if len(shape) != ndim:
        raise ValueError(
            f"{name} has {len(shape)} dimension(s), shape {shape}: expected {ndim} dimensions. "
            f"Reshape your data."
        )
    if 0 in shape:
        raise ValueError(f"{name} is empty, shape {shape}: every axis needs at least 1 element.")
    if shape[0] < min_samples:
        raise ValueError(
            f"{name} has {shape[0]} sample(s), shape {shape}, while a minimum of {min_samples} "
            "is required: pass more rows."
        )
    if n_features is not None and shape[-1] != n_features:
        raise ValueError(
            f"{name} has {shape[-1]} features, but {n_features} features were seen in fit: pass "
            "the same features in the same order."
        )


def _filled(X: Any, missing: Any, value: float) -> Any:
    """Return a copy with some entries replaced."""
    return X.masked_fill(missing, value) if is_torch(X) else np.where(missing, value, X)


def _check_finite(X: Any, name: str) -> None:
    """Raise at the first NaN or infinity; a finite sum proves, without memory, there is none."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = float(X.sum())
    if math.isfinite(total):
        return
    bad = ~(sys.modules["torch"].isfinite(X) if is_torch(X) else np.isfinite(X))
    if not bad.any():
        return
    where = np.unravel_index(int((bad.reshape(-1) * 1).argmax()), tuple(X.shape))
    index = tuple(int(i) for i in where)
    raise ValueError(
        f"{name} contains NaN or infinity: {float(X[index])} at index {index}. Impute or drop such "
        "values."
    )
