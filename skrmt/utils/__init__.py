"""Helpers shared by every layer, and the common checks that others may use."""

from .._install import check
from ._discovery import all_estimators

check()

__all__ = ["all_estimators"]
