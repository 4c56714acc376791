"""Generators of the models that the theory describes."""

from .. import _install
from ._nested_views import NestedViews, NoisyCopies, make_nested_views, make_noisy_copies
from ._noisy_labels import NoisyMixture, flip_labels, make_noisy_mixture
from ._paired_encoders import (
    CorrelatedGraphs,
    PairedEncoders,
    make_correlated_graphs,
    make_paired_encoders,
)
from ._spiked_tensor import SpikedTensor, make_spiked_tensor
from ._synthetic_mix import GaussianGenerator, SyntheticMix, make_synthetic_mix

_install.check()

__all__ = [
    "CorrelatedGraphs",
    "GaussianGenerator",
    "NestedViews",
    "NoisyCopies",
    "NoisyMixture",
    "PairedEncoders",
    "SpikedTensor",
    "SyntheticMix",
    "flip_labels",
    "make_correlated_graphs",
    "make_nested_views",
    "make_noisy_copies",
    "make_noisy_mixture",
    "make_paired_encoders",
    "make_spiked_tensor",
    "make_synthetic_mix",
]
