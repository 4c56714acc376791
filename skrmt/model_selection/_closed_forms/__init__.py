"""Scores of training rows by fits without them, from one decomposition each."""

from ._dual import has_dual_form
from ._held_out import HeldOut, held_out, least_squares_targets, predicted_codes, rows_basis

__all__ = [
    "HeldOut",
    "has_dual_form",
    "held_out",
    "least_squares_targets",
    "predicted_codes",
    "rows_basis",
]
