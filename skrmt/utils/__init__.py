"""Helpers shared by every layer, and the common checks that others may use."""

from .._install import check
from ._discovery import all_estimators
from ._forecast import Forecast

check()

__all__ = ["Forecast", "all_estimators"]
