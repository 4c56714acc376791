"""Two sets of embeddings: how similar they are, and which row goes with which."""

from .. import _install
from ._cka import CKAMatrix, CKATest, cka, cka_matrix, cka_test, hsic
from ._encoder_matcher import EncoderMatcher
from ._faq import QuadraticAssignment
from ._held_out import PredictedAccuracy
from ._kernel_cca import KernelConfiguration
from ._local_cka import local_cka_scores
from ._matching import Matching, Neighbors
from ._quadratic_assignment import quadratic_assignment

_install.check()

__all__ = [
    "CKAMatrix",
    "CKATest",
    "EncoderMatcher",
    "KernelConfiguration",
    "Matching",
    "Neighbors",
    "PredictedAccuracy",
    "QuadraticAssignment",
    "cka",
    "cka_matrix",
    "cka_test",
    "hsic",
    "local_cka_scores",
    "quadratic_assignment",
]
