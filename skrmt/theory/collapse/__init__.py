"""Models trained on the output of models: how fast diversity goes, what dies first, what is safe.

A token model of one context is a distribution over tokens; the next generation is fitted to tokens
drawn from it, alone or mixed with real ones. Generation 0 is the truth, 1 the first fitted model;
with the empirical distribution of a corpus in the place of the truth, generations count from the
corpus, and the statements hold exactly, given it.

- `diversity`, `variance_factor`, `half_life`, `corpus_half_life`: six ways of mixing data.
- `collapse_probability`, `collapse_probability_bounds`, `expected_collapse_time`,
  `expected_collapse_time_bounds`: when a single token is left, without real data.
- `survival_probabilities`, `expected_support`, `expected_functional`, `token_expectation`: which
  tokens are left, the entropy, and the distance to the truth.
- `drift`, `safe_synthetic_size`: real tokens used again and again beside synthetic ones.
- `optimal_real_weight`: new real tokens in every generation.
- `selected_distribution`, `tempered_distribution`, `fixation_probability`: verified, pruned or
  sharpened output.
- `gaussian_recursion`, `ols_recursion`: the same for a Gaussian and for least squares.

References
----------
How Bad is Training on Synthetic Data? A Statistical Analysis of Language Model Collapse,
arXiv:2404.05090.
Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and Synthetic
Data, arXiv:2404.01413.
"""

from ._diversity import corpus_half_life, diversity, half_life, optimal_real_weight, variance_factor
from ._drift import drift, safe_synthetic_size
from ._functionals import expected_functional, token_expectation
from ._genealogy import (
    CollapseBounds,
    collapse_probability,
    collapse_probability_bounds,
    expected_collapse_time,
    expected_collapse_time_bounds,
    expected_support,
    survival_probabilities,
)
from ._recursions import GaussianCollapse, gaussian_recursion, ols_recursion
from ._selection import fixation_probability, selected_distribution, tempered_distribution

__all__ = [
    "CollapseBounds",
    "GaussianCollapse",
    "collapse_probability",
    "collapse_probability_bounds",
    "corpus_half_life",
    "diversity",
    "drift",
    "expected_collapse_time",
    "expected_collapse_time_bounds",
    "expected_functional",
    "expected_support",
    "fixation_probability",
    "gaussian_recursion",
    "half_life",
    "ols_recursion",
    "optimal_real_weight",
    "safe_synthetic_size",
    "selected_distribution",
    "survival_probabilities",
    "tempered_distribution",
    "token_expectation",
    "variance_factor",
]
