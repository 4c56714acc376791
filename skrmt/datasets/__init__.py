"""Generators of the models that the theory describes."""

from .. import _install
from ._nested_views import NestedViews, make_nested_views, make_noisy_copies
from ._noisy_labels import flip_labels, make_noisy_mixture
from ._spiked_tensor import SpikedTensor, make_spiked_tensor
from ._synthetic_mix import GaussianGenerator, make_synthetic_mix

_install.check()

__all__ = [
    "GaussianGenerator",
    "NestedViews",
    "SpikedTensor",
    "flip_labels",
    "make_nested_views",
    "make_noisy_copies",
    "make_noisy_mixture",
    "make_spiked_tensor",
    "make_synthetic_mix",
]
