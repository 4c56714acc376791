"""Generators of the models that the theory describes."""

from .. import _install
from ._noisy_labels import flip_labels, make_noisy_mixture

_install.check()

__all__ = ["flip_labels", "make_noisy_mixture"]
