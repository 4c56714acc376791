"""Scores of training rows by fits without them, from one decomposition each."""

from ._dual import has_dual_form
from ._frequencies import HeldOut
from ._held_out import held_out, predicted_codes
from ._ridge import least_squares_targets, rows_basis

__all__ = [
    "HeldOut",
    "has_dual_form",
    "held_out",
    "least_squares_targets",
    "predicted_codes",
    "rows_basis",
]
