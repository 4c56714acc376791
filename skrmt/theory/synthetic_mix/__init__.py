"""Ridge on real and pruned synthetic rows: what a mix reaches, and what is best.

Real rows are ``y mu + C^(1/2) z`` with right labels; synthetic ones have a mean, a covariance and
wrong labels of their own, and a verifier keeps a right label with probability `keep_correct`, a
wrong one with `keep_incorrect`. Rows and features are both large. Penalties `alpha` are per row of
``N = n_real + n_synthetic``, synthetic rows counted before pruning. Accuracies are on fresh real
points and signed: below 1/2 where labels mislead.

- `isotropic_mix`: isotropic classes; `mixture_ridge`: any groups, covariances, classes.
- `synthetic_only_accuracy`, `infinite_sample_accuracy`, `critical_noise_rate`,
  `transition_slope`: no real rows, and the transition in the label noise.
- `estimated_generator`: a generator fitted to rows of its own.
- `pruned_gaussian_moments`: a verifier that thresholds a score.
- `optimal_averaging_weights`, `verifier_value`, `break_even_size`: what rows are worth.

References
----------
"Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory", arXiv:2410.08942.
"Beyond Model Collapse: Scaling Up with Synthesized Data Requires Verification", arXiv:2406.07515.
"""

from ._generator import estimated_generator
from ._groups import MixtureGroup, MixtureRidgeResult, mixture_ridge
from ._isotropic import (
    critical_noise_rate,
    infinite_sample_accuracy,
    isotropic_mix,
    synthetic_only_accuracy,
    transition_slope,
)
from ._proportional import MixResult, proportional_mix, simplex_accuracy
from ._value import (
    AveragingWeights,
    PrunedMoments,
    break_even_size,
    optimal_averaging_weights,
    pruned_gaussian_moments,
    verifier_value,
)

__all__ = [
    "AveragingWeights",
    "MixResult",
    "MixtureGroup",
    "MixtureRidgeResult",
    "PrunedMoments",
    "break_even_size",
    "critical_noise_rate",
    "estimated_generator",
    "infinite_sample_accuracy",
    "isotropic_mix",
    "mixture_ridge",
    "optimal_averaging_weights",
    "proportional_mix",
    "pruned_gaussian_moments",
    "simplex_accuracy",
    "synthetic_only_accuracy",
    "transition_slope",
    "verifier_value",
]
