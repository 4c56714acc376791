"""Learning curves: the risk of ridge regression at any number of rows.

- `renormalized_penalty`, `ridge_risk`: from the spectrum of the population.
- `ridge_profile`, `transfer_penalty`, `transfer_degrees`, `transfer_values`: from one training set,
  whatever the spectrum: what depends on the renormalised penalty alone is read off at the penalty
  that another number of rows has.
"""

from ._ridge_transfer import (
    RidgeProfile,
    RidgeRisk,
    renormalized_penalty,
    ridge_profile,
    ridge_risk,
    transfer_degrees,
    transfer_penalty,
    transfer_values,
)

__all__ = [
    "RidgeProfile",
    "RidgeRisk",
    "renormalized_penalty",
    "ridge_profile",
    "ridge_risk",
    "transfer_degrees",
    "transfer_penalty",
    "transfer_values",
]
