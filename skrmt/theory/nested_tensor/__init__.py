r"""Two classes seen through several noisy views: what each method reaches without labels.

Sample i of class :math:`y_i=\pm1` has the features
:math:`X_{i\cdot k} = h_k(y_i\mu + \sigma_z z_i) + \sigma_k w_{ik}` in view k: within-class noise z
that the views share, and noise w of their own. Views over their noise level, with
:math:`N = n + p + m` and unit vectors,

.. math:: T = \beta_T\,M\otimes h + W/\sqrt N,\qquad M = \beta_M\,xy^\top + Z/\sqrt{n+p}.

Overlaps are *squared* alignments. Instead of :math:`(\beta_T,\beta_M)` every function takes
:math:`\theta = \beta_T\beta_M = |\mu||h|\sqrt{n/N}` and
:math:`\tau = \beta_T^2N/(n+p) = \sigma_z^2|h|^2`, which is 0 without within-class noise.

- `unfolding`, `tensor`, `two_step`, `nested_ml`: the methods.
- `oracle`, `fixed_weights`, `bayes_accuracy`: what known strengths of the views reach, any weights,
  and the best labels; `performance_gap` compares them all.
- `unequal_views`, `imbalanced`, `missing_views`: views of unequal width, classes of unequal size,
  incomplete samples.
- `matrix_spike`, `spike_strength`, `overlap_accuracy`: the building blocks.
- `thresholds`: the signal from which each method finds the classes at all.
- `unfolding_density`, `contraction_density`: the bulk of the spectrum of concatenated views and of
  the contracted tensor.

References
----------
A Nested Matrix-Tensor Model for Noisy Multi-view Clustering, arXiv:2305.19992.

Performance Gaps in Multi-view Clustering under the Nested Matrix-Tensor Model, arXiv:2402.10677.
"""

from ._bayes import PerformanceGap, bayes_accuracy, performance_gap
from ._contraction import contraction_density
from ._methods import TensorLimit, fixed_weights, nested_ml, oracle, tensor, two_step
from ._model import MatrixSpike, NestedLimit, matrix_spike, overlap_accuracy, spike_strength
from ._thresholds import NestedThresholds, thresholds
from ._unfolding import unfolding, unfolding_density
from ._views import Imbalanced, MissingViews, UnequalViews, imbalanced, missing_views, unequal_views

__all__ = [
    "Imbalanced",
    "MatrixSpike",
    "MissingViews",
    "NestedLimit",
    "NestedThresholds",
    "PerformanceGap",
    "TensorLimit",
    "UnequalViews",
    "bayes_accuracy",
    "contraction_density",
    "fixed_weights",
    "imbalanced",
    "matrix_spike",
    "missing_views",
    "nested_ml",
    "oracle",
    "overlap_accuracy",
    "performance_gap",
    "spike_strength",
    "tensor",
    "thresholds",
    "two_step",
    "unequal_views",
    "unfolding",
    "unfolding_density",
]
