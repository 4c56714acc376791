"""Kernels: pure functions of NumPy arrays, SciPy sparse matrices and torch tensors."""

from .. import _install
from ._backend import as_device, get_backend, is_torch, to_numpy
from ._mix_basis import MixBasis, MixSource, mix_basis
from ._mix_path import mix_coefficients, mix_loo
from ._onsager import onsager
from ._predict_path import predict_path
from ._ridge_basis import RidgeBasis, ridge_basis
from ._ridge_path import coefficients, loo_path, loo_scores, loo_squared_error

_install.check()

__all__ = [
    "MixBasis",
    "MixSource",
    "RidgeBasis",
    "as_device",
    "coefficients",
    "get_backend",
    "is_torch",
    "loo_path",
    "loo_scores",
    "loo_squared_error",
    "mix_basis",
    "mix_coefficients",
    "mix_loo",
    "onsager",
    "predict_path",
    "ridge_basis",
    "to_numpy",
]
