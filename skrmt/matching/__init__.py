"""Two sets of embeddings: are they alike, and which row goes with which."""

from .. import _install
from ._assignment import QuadraticAssignment, local_cka_scores, quadratic_assignment
from ._cka import CKAMatrix, CKATest, cka, cka_matrix, cka_test, hsic
from ._encoder_matcher import EncoderMatcher, Neighbors
from ._matching import Matching, PredictedAccuracy

_install.check()

__all__ = [
    "CKAMatrix",
    "CKATest",
    "EncoderMatcher",
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
