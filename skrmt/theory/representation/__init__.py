r"""Two sets of embeddings of the same items: their similarity, and how well they can be matched.

The items are rows; the two sides may have different numbers of features. Kernels K and L are
symmetric matrices of similarities, and CKA compares them after centring.

- `debiased_cka_null`, `permutation_moments`, `moments_of_invariants`: the law of CKA when the
  rows are unrelated.
- `expected_cka`, `effective_dimension`: what CKA of related Gaussian embeddings shows, and why the
  biased one is large without any relation.
- `similarity_accuracy`, `required_pairs`: how often the nearest neighbour by similarities to known
  pairs is the right one, and how many known pairs a wanted accuracy takes.
- `bilinear_accuracy`, `white_bilinear_accuracy`: the same for a bilinear score, given and learned.
- `mutual_information`, `recoverable_size`: how many pairs can be distinguished at all.

References
----------
Do Vision and Language Encoders Represent the World Similarly?, arXiv:2401.05224.
"""

from ._bilinear import BilinearAccuracy, bilinear_accuracy, white_bilinear_accuracy
from ._gaussian import effective_dimension, expected_cka, mutual_information, recoverable_size
from ._null import (
    KernelInvariants,
    NullMoments,
    debiased_cka_null,
    moments_of_invariants,
    permutation_moments,
)
from ._similarity import required_pairs, similarity_accuracy

__all__ = [
    "BilinearAccuracy",
    "KernelInvariants",
    "NullMoments",
    "bilinear_accuracy",
    "debiased_cka_null",
    "effective_dimension",
    "expected_cka",
    "moments_of_invariants",
    "mutual_information",
    "permutation_moments",
    "recoverable_size",
    "required_pairs",
    "similarity_accuracy",
    "white_bilinear_accuracy",
]
