"""Kernels: pure functions of NumPy arrays, SciPy sparse matrices and torch tensors."""

from .. import _install
from ._backend import as_device, get_backend, is_torch, to_numpy
from ._dense_tensor import Components, DenseTensor, no_components
from ._group_path import group_path
from ._power_sweeps import RankOne, power_sweeps
from ._rank_one import best_rank_one, deflate_mode
from ._ridge_basis import RidgeBasis, ridge_basis
from ._ridge_path import coefficients, loo_path, loo_scores, loo_squared_error
from ._sparse_size import needs_krylov
from ._spectral_start import residual_gram

_install.check()

__all__ = [
    "Components",
    "DenseTensor",
    "RankOne",
    "RidgeBasis",
    "as_device",
    "best_rank_one",
    "coefficients",
    "deflate_mode",
    "get_backend",
    "group_path",
    "is_torch",
    "loo_path",
    "loo_scores",
    "loo_squared_error",
    "needs_krylov",
    "no_components",
    "power_sweeps",
    "residual_gram",
    "ridge_basis",
    "to_numpy",
]
