"""Kernels: pure functions of NumPy arrays, SciPy sparse matrices and torch tensors."""

from .. import _install
from ._assignment import Factored, linear_assignment, take
from ._backend import as_device, get_backend, is_torch, to_numpy
from ._cp import CPFit, cp_als, join, restarted_components, strong_components
from ._dense_tensor import Components, DenseTensor, no_components
from ._faq import (
    Assignment,
    SeededProblem,
    faq,
    permutation_start,
    random_start,
    seeded_problem,
    top_factors,
)
from ._kernel_alignment import Alignment, kernel_alignment, minibatch_cka
from ._kernels import centred_kernel, kernel_matrix, median_bandwidth
from ._local_cka import LocalKernels, local_cka_factors, local_cka_scores, local_kernels
from ._mix_basis import MixBasis, MixSource, mix_basis
from ._mix_path import mix_coefficients, mix_loo
from ._onsager import onsager
from ._phase_cells import (
    cell_blocks,
    rank_one_cells,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
)
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
    "Alignment",
    "Assignment",
    "CPFit",
    "Components",
    "DenseTensor",
    "Factored",
    "LeadingComponents",
    "LocalKernels",
    "MixBasis",
    "MixSource",
    "RankOne",
    "RidgeBasis",
    "SeededProblem",
    "as_device",
    "best_rank_one",
    "cell_blocks",
    "centred_kernel",
    "coefficients",
    "combine_views",
    "cp_als",
    "deflate_mode",
    "faq",
    "get_backend",
    "is_torch",
    "join",
    "kernel_alignment",
    "kernel_matrix",
    "leading_components",
    "linear_assignment",
    "local_cka_factors",
    "local_cka_scores",
    "local_kernels",
    "loo_path",
    "loo_scores",
    "loo_squared_error",
    "median_bandwidth",
    "minibatch_cka",
    "mix_basis",
    "mix_coefficients",
    "mix_loo",
    "no_components",
    "onsager",
    "permutation_start",
    "power_sweeps",
    "predict_path",
    "project_views",
    "random_start",
    "rank_one_cells",
    "residual_gram",
    "restarted_components",
    "ridge_basis",
    "ridge_cells",
    "seeded_problem",
    "sgd_cells",
    "spiked_matrix_cells",
    "strong_components",
    "take",
    "to_numpy",
    "top_factors",
    "view_gram",
    "view_means",
]
