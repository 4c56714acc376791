"""Kernels: pure functions of NumPy arrays, SciPy sparse matrices and torch tensors."""

from .. import _install
from ._backend import as_device, get_backend, is_torch, to_numpy
from ._onsager import onsager
from ._ridge_basis import RidgeBasis, ridge_basis
from ._ridge_path import coefficients, loo_path, loo_scores, loo_squared_error

_install.check()

__all__ = [
    "RidgeBasis",
    "as_device",
    "coefficients",
    "get_backend",
    "is_torch",
    "loo_path",
    "loo_scores",
    "loo_squared_error",
    "onsager",
    "ridge_basis",
    "to_numpy",
]
