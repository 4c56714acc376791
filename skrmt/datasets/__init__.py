"""Generators of the models that the theory describes."""

from .. import _install
from ._noisy_labels import flip_labels, make_noisy_mixture
from ._synthetic_mix import GaussianGenerator, make_synthetic_mix

_install.check()

__all__ = ["GaussianGenerator", "flip_labels", "make_noisy_mixture", "make_synthetic_mix"]
