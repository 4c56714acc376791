"""Preference optimisation and self-play: what losses converge to, and whether rounds converge.

A policy gives probabilities to responses, and learns from pairs of a chosen and a rejected one, or
from human responses against its own. Policies are given and returned as log-probabilities over the
candidates on the last axis.

- `population_margin`: what each loss converges to at a preference probability.
- `pairwise_accuracy`: how well a linear policy fitted by IPO to noisy pairs ranks fresh ones.
- `kl_regularized_optimum`: the best policy for a reward near a reference.
- `safety_utility_curve`: two rewards, one traded for the other.
- `self_play_map`, `self_play_fixed_point`: one round of SPIN, alpha-SPIN or fictitious play, and
  where it rests.
- `self_play_rate`, `self_play_stable`, `self_play_min_beta`: whether and how fast it gets
  there.

References
----------
Investigating Regularization of Self-Play Language Models, arXiv:2404.04291.
Alignment with Preference Optimization Is All You Need for LLM Safety, arXiv:2409.07772.
"""

from ._convergence import self_play_min_beta, self_play_rate, self_play_stable
from ._margin import pairwise_accuracy
from ._optimum import KLOptimum, SafetyUtilityCurve, kl_regularized_optimum, safety_utility_curve
from ._population import population_margin
from ._self_play import SelfPlayFixedPoint, self_play_fixed_point, self_play_map

__all__ = [
    "KLOptimum",
    "SafetyUtilityCurve",
    "SelfPlayFixedPoint",
    "kl_regularized_optimum",
    "pairwise_accuracy",
    "population_margin",
    "safety_utility_curve",
    "self_play_fixed_point",
    "self_play_map",
    "self_play_min_beta",
    "self_play_rate",
    "self_play_stable",
]
