"""Low-rank tensors that know how close they are to the truth."""

from .. import _install
from ._alignment import factor_alignments
from ._tensor_deflation import TensorDeflation

_install.check()

__all__ = ["TensorDeflation", "factor_alignments"]
