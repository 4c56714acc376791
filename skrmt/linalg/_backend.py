"""Choose NumPy or PyTorch from the arrays of a call, without touching global state.

The only module that imports tensorly or torch, and it does so inside functions: importing
`skrmt.linalg` loads neither.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..utils._checks import is_torch as is_torch
from ..utils._checks import tensor_on_host

Array = Any
"""A NumPy array, a SciPy sparse matrix or a torch tensor."""


class ArrayBackend:
    """A tensorly backend object with the functions it lacks.

    Every attribute that is not defined here (``matmul``, ``sqrt``, ``where``, ``concatenate``,
    ...) is the one of the tensorly backend object, which is loaded but never set: the
    process-wide and per-thread choice of ``tensorly.set_backend`` is neither read nor changed.

    Parameters
    ----------
    name : {"numpy", "pytorch"}
        Name of the backend in tensorly.

    Attributes
    ----------
    name : str
        Name of the backend in tensorly.
    """

    def __init__(self, name: str) -> None:
        from tensorly.backend import BackendManager

        self.name = name
        self._tensorly = BackendManager.load_backend(name)

    def __getattr__(self, attribute: str) -> Any:
        """Return the tensorly function or constant of that name."""
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(self._tensorly, attribute)

    def __repr__(self) -> str:
        """Name the backend."""
        return f"ArrayBackend({self.name!r})"


class NumpyBackend(ArrayBackend):
    """The NumPy backend of tensorly with the functions it lacks."""

    logaddexp = staticmethod(np.logaddexp)
    log1p = staticmethod(np.log1p)
    expm1 = staticmethod(np.expm1)
    isfinite = staticmethod(np.isfinite)
    eigh = staticmethod(np.linalg.eigh)

    def __init__(self) -> None:
        super().__init__("numpy")

    @staticmethod
    def asarray(x: Array, like: Array = None, dtype: str | None = None) -> Array:
        """Return x as an array of that dtype, without a copy where possible."""
        return np.asarray(x, dtype=dtype)

    @staticmethod
    def empty(shape: tuple[int, ...], like: Array = None, dtype: str = "float64") -> Array:
        """Return an uninitialised array."""
        return np.empty(shape, dtype=dtype)


class TorchBackend(ArrayBackend):
    """The PyTorch backend of tensorly with the functions it lacks."""

    def __init__(self) -> None:
        super().__init__("pytorch")
        import torch

        self._torch = torch
        self.logaddexp = torch.logaddexp
        self.log1p = torch.log1p
        self.expm1 = torch.expm1
        self.isfinite = torch.isfinite
        self.eigh = torch.linalg.eigh

    def asarray(self, x: Array, like: Array = None, dtype: str | None = None) -> Array:
        """Return x as a detached tensor on the device of `like`, without a copy where possible."""
        kind = None if dtype is None else getattr(self._torch, dtype)
        device = None if like is None else like.device
        if self._torch.is_tensor(x):
            return x.detach().to(device=device, dtype=kind or x.dtype)
        return self._torch.as_tensor(_writable(x), device=device, dtype=kind)

    def empty(self, shape: tuple[int, ...], like: Array = None, dtype: str = "float64") -> Array:
        """Return an uninitialised tensor on the device of `like`."""
        device = None if like is None else like.device
        return self._torch.empty(shape, device=device, dtype=getattr(self._torch, dtype))


def _writable(x: Array) -> np.ndarray:
    """Return a C-contiguous writable NumPy array (torch warns about read-only memory)."""
    x = np.ascontiguousarray(x)
    return x if x.flags.writeable else x.copy()


@cache
def _load(name: str) -> ArrayBackend:
    """Build each backend once."""
    return TorchBackend() if name == "pytorch" else NumpyBackend()


def get_backend(*arrays: Any) -> Any:
    """Return the backend object that fits the arrays of a call.

    Parameters
    ----------
    *arrays : array-like
        The arrays of the call. One torch tensor among them selects PyTorch; anything else is
        NumPy.

    Returns
    -------
    ArrayBackend
        The backend object of tensorly (``name`` "numpy" or "pytorch") together with ``logaddexp``,
        ``log1p``, ``expm1``, ``isfinite``, ``eigh``, ``asarray`` and
        ``empty`` of the arrays' own library.

    Notes
    -----
    ``tensorly.get_backend()`` is the same before, during and after, in every thread.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import get_backend
    >>> get_backend(np.ones(3)).name
    'numpy'
    """
    return _load("pytorch" if any(map(is_torch, arrays)) else "numpy")


def to_numpy(x: Any) -> np.ndarray:
    """Return x as a NumPy array on the CPU.

    Parameters
    ----------
    x : array-like or torch tensor
        The array; a tensor may require grad and live on any device.

    Returns
    -------
    ndarray
        The same numbers. Memory is shared where possible.

    Examples
    --------
    >>> from skrmt.linalg import to_numpy
    >>> to_numpy([1, 2]).sum()
    np.int64(3)
    """
    return tensor_on_host(x) if is_torch(x) else np.asarray(x)


def as_device(x: Any, device: str | None) -> Any:
    """Move an array to a torch device.

    Parameters
    ----------
    x : array-like or torch tensor
        The array.
    device : str or None
        "cpu", "cuda", "cuda:1", or None to leave x as it is.

    Returns
    -------
    array or tensor
        The array x itself when `device` is None, otherwise a tensor on that device.

    Raises
    ------
    ImportError
        If torch is not installed.
    ValueError
        If `device` is not a torch device or is not available on this machine.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.linalg import as_device
    >>> as_device(np.ones(2), None)
    array([1., 1.])
    """
    if device is None:
        return x
    from ..utils._optional import import_optional

    torch = import_optional("torch", "torch")
    target = _check_device(device, torch)
    return x.to(target) if is_torch(x) else torch.as_tensor(_writable(x), device=target)


def _check_device(device: Any, torch: Any) -> Any:
    """Return the torch device of that name, or say why there is none."""
    try:
        target = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not a torch device: use None, 'cpu', 'cuda' or 'cuda:<index>'."
        ) from error
    if target.type not in ("cpu", "cuda"):
        raise ValueError(f"device={device!r} is not supported: use None, 'cpu' or 'cuda'.")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if target.type == "cuda" and (target.index or 0) >= count:
        raise ValueError(
            f"device={device!r} is not available: torch sees {count} CUDA device(s) here. "
            "Use device='cpu' or device=None, or install a CUDA build of torch."
        )
    return target
