"""Kernels: pure functions of NumPy arrays, SciPy sparse matrices and torch tensors."""

from .. import _install
from ._backend import as_device, get_backend, is_torch, to_numpy
from ._cp import CPFit, cp_als, join, restarted_components, strong_components
from ._dense_tensor import Components, DenseTensor, no_components
from ._mix_basis import MixBasis, MixSource, mix_basis
from ._mix_path import mix_coefficients, mix_loo
from ._onsager import onsager
from ._power_sweeps import RankOne, power_sweeps
from ._predict_path import predict_path
from ._rank_one import best_rank_one, deflate_mode
from ._ridge_basis import RidgeBasis, ridge_basis
from ._ridge_path import coefficients, loo_path, loo_scores, loo_squared_error
from ._spectral_start import residual_gram
from ._views import (
    LeadingComponents,
    combine_views,
    leading_components,
    project_views,
    view_gram,
    view_means,
)

_install.check()

__all__ = [
    "view_means",
    "view_gram",
    "project_views",
    "leading_components",
    "combine_views",
    "LeadingComponents",
    "CPFit",
    "Components",
    "DenseTensor",
    "MixBasis",
    "MixSource",
    "RankOne",
    "RidgeBasis",
    "as_device",
    "best_rank_one",
    "coefficients",
    "cp_als",
    "deflate_mode",
    "get_backend",
    "is_torch",
    "join",
    "loo_path",
    "loo_scores",
    "loo_squared_error",
    "mix_basis",
    "mix_coefficients",
    "mix_loo",
    "no_components",
    "onsager",
    "power_sweeps",
    "predict_path",
    "residual_gram",
    "restarted_components",
    "ridge_basis",
    "strong_components",
    "to_numpy",
]
